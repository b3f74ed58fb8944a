/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Decoding of whole trees and filling of batches. All randomness is train_random's. */
#include "engine/lab/samples.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/image/image.h"
#include "engine/kernel/kernel.h"
#include "engine/lab/lab.h"
#include "engine/lab/progress.h"

#define PICTURE_BYTES_MAX ((size_t)64 << 20)
#define PLANES_BYTES_MAX  ((size_t)2 << 30)

static size_t codes_of(const struct network_input *input)
{
    /* The limits of targets keep this far below overflow. */
    return (size_t)input->target.width * input->target.height * gradient_channels(&input->front);
}

static int decode(struct lab_samples *samples, struct image_decoder *decoder, uint32_t index)
{
    struct image_info info;
    uint8_t *bytes;
    size_t size;
    int r = lab_tree_read(&samples->tree, index, PICTURE_BYTES_MAX, &bytes, &size);
    if (r < 0) {
        return r;
    }
    r = image_decode(decoder, bytes, size, IMAGE_KIND_AUTO, NULL, &samples->input.target,
                     samples->planes + index * samples->values, &info);
    free(bytes);
    if (r == 0) {
        samples->whites[index] = info.nominal_white;
        samples->labels[index] = samples->tree.files[index].class_index;
    }
    return r;
}

static int decode_all(struct lab_samples *samples, const struct kernel_table *kernels)
{
    const struct image_ops ops = {.accumulate_u16 = kernels->accumulate_u16,
                                  .accumulate_u8 = kernels->accumulate_u8};
    struct image_decoder *decoder;
    struct lab_progress progress;
    int r = image_decoder_create(NULL, &ops, &decoder);
    if (r < 0) {
        lab_error("%s", strerror(-r));
        return r;
    }
    lab_progress_init(&progress, "decode", samples->tree.file_count);
    for (uint32_t i = 0; r == 0 && i < samples->tree.file_count; i++) {
        r = decode(samples, decoder, i);
        if (r == 0) {
            lab_progress_step(&progress);
        }
    }
    lab_progress_finish(&progress);
    if (r < 0) {
        lab_error("%s: %s", samples->tree.files[progress.done].path, lab_image_error(r));
    }
    image_decoder_destroy(decoder);
    return r;
}

int lab_samples_init(struct lab_samples *samples, const char *directory,
                     const struct network_input *input, const struct kernel_table *kernels)
{
    memset(samples, 0, sizeof(*samples));
    samples->input = *input;
    samples->values = (size_t)input->target.width * input->target.height * input->front.planes;
    int r = lab_tree_init(&samples->tree, directory);
    if (r < 0) {
        return r;
    }
    uint32_t count = samples->tree.file_count;
    size_t bytes;
    if (__builtin_mul_overflow(samples->values * sizeof(uint16_t), count, &bytes) ||
        bytes > PLANES_BYTES_MAX) {
        lab_error("%s: more pictures than fit into %zu GiB at the model's size", directory,
                  PLANES_BYTES_MAX >> 30);
        r = -EFBIG;
    } else {
        samples->planes = malloc(bytes);
        samples->whites = calloc(count, sizeof(*samples->whites));
        samples->labels = calloc(count, sizeof(*samples->labels));
        if (!samples->planes || !samples->whites || !samples->labels) {
            lab_error("out of memory");
            r = -ENOMEM;
        }
    }
    if (r == 0) {
        r = decode_all(samples, kernels);
    }
    if (r < 0) {
        lab_samples_finish(samples);
    }
    return r;
}

void lab_samples_finish(struct lab_samples *samples)
{
    free(samples->planes);
    free(samples->whites);
    free(samples->labels);
    lab_tree_finish(&samples->tree);
    memset(samples, 0, sizeof(*samples));
}

/* ---- holding out ---- */

/* Room for `count` pictures of the same kind and classes. */
static int like(const struct lab_samples *samples, uint32_t count, struct lab_samples *ret_like)
{
    struct lab_samples made = {.input = samples->input, .values = samples->values};
    uint32_t classes = samples->tree.class_count;
    made.planes = calloc(count, samples->values * sizeof(*made.planes));
    made.whites = calloc(count, sizeof(*made.whites));
    made.labels = calloc(count, sizeof(*made.labels));
    made.tree.classes = calloc(classes, sizeof(*made.tree.classes));
    int r = made.planes && made.whites && made.labels && made.tree.classes ? 0 : -ENOMEM;
    for (uint32_t c = 0; r == 0 && c < classes; c++) {
        made.tree.classes[c] = strdup(samples->tree.classes[c]);
        made.tree.class_count++;
        r = made.tree.classes[c] ? 0 : -ENOMEM;
    }
    if (r < 0) {
        lab_samples_finish(&made);
        return r;
    }
    *ret_like = made;
    return 0;
}

static void copy_picture(const struct lab_samples *from, uint32_t index, struct lab_samples *to,
                         uint32_t place)
{
    memmove(to->planes + place * to->values, from->planes + index * from->values,
            to->values * sizeof(*to->planes));
    to->whites[place] = from->whites[index];
    to->labels[place] = from->labels[index];
}

static void forget_files(struct lab_tree *tree)
{
    for (uint32_t i = 0; tree->files && i < tree->file_count; i++) {
        free(tree->files[i].path);
    }
    free(tree->files);
    tree->files = NULL;
}

int lab_samples_hold_out(struct lab_samples *samples, uint32_t part, struct lab_samples *ret_held)
{
    uint32_t classes = samples->tree.class_count, total = samples->tree.file_count, held_count = 0;
    uint32_t *left = calloc(classes, sizeof(*left)); /* to keep, by class */
    struct lab_samples held;
    int r = left ? 0 : -ENOMEM;
    for (uint32_t i = 0; r == 0 && i < total; i++) {
        left[samples->labels[i]]++;
    }
    for (uint32_t c = 0; r == 0 && c < classes; c++) {
        r = left[c] >= part ? 0 : -EINVAL;
        held_count += left[c] / part;
        left[c] -= left[c] / part;
    }
    if (r == 0) {
        r = like(samples, held_count, &held);
    }
    if (r == 0) {
        forget_files(&samples->tree);
        samples->tree.file_count = 0;
        for (uint32_t i = 0; i < total; i++) {
            bool keep = left[samples->labels[i]] > 0;
            struct lab_samples *to = keep ? samples : &held;
            left[samples->labels[i]] -= keep;
            copy_picture(samples, i, to, to->tree.file_count++);
        }
        *ret_held = held;
    }
    free(left);
    return r;
}

int lab_batch_init(struct lab_batch *batch, const struct lab_samples *samples, uint32_t room)
{
    size_t codes = codes_of(&samples->input), values;
    memset(batch, 0, sizeof(*batch));
    if (__builtin_mul_overflow(codes, room, &values)) {
        return -ENOMEM;
    }
    batch->room = room;
    batch->planes = calloc(room, samples->values * sizeof(uint16_t));
    batch->codes = calloc(values, gradient_code_size(&samples->input.front));
    batch->images = calloc(values, sizeof(float));
    batch->labels = calloc(room, sizeof(*batch->labels));
    if (!batch->planes || !batch->codes || !batch->images || !batch->labels) {
        lab_batch_finish(batch);
        return -ENOMEM;
    }
    return 0;
}

void lab_batch_finish(struct lab_batch *batch)
{
    free(batch->planes);
    free(batch->codes);
    free(batch->images);
    free(batch->labels);
    memset(batch, 0, sizeof(*batch));
}

/* What the threads of one filling share. */
struct filling {
    const struct lab_batch *batch;
    const struct lab_samples *samples;
    const uint32_t *order;
    const struct lab_variation *variation;
};

static uint32_t hold(int64_t at, uint32_t size)
{
    return at < 0 ? 0 : at < size ? (uint32_t)at : size - 1;
}

/* A number of -shift..shift from 16 random bits. */
static int64_t offset(uint64_t bits, uint32_t shift)
{
    return (int64_t)((bits & 0xffff) * (2 * shift + 1) >> 16) - shift;
}

static uint16_t expose(uint16_t value, double light)
{
    double exposed = floor(value * light + 0.5);
    return exposed < UINT16_MAX ? (uint16_t)exposed : UINT16_MAX;
}

static void move(const struct network_input *input, const struct lab_variation *variation,
                 uint64_t number, const uint16_t *from, uint16_t *to)
{
    uint32_t width = input->target.width, height = input->target.height;
    uint64_t bits = train_random(variation->seed, variation->stream, number);
    int64_t down = offset(bits, variation->shift), across = offset(bits >> 16, variation->shift);
    bool mirror = variation->mirror && (bits >> 63) != 0;
    double part = (double)(bits >> 32 & 0xffffff) / 0x1p23 - 1; /* of the stops: [-1, 1) */
    double light = exp2(part * (double)variation->stops);
    for (uint32_t p = 0; p < input->front.planes; p++, from += (size_t)width * height) {
        for (uint32_t y = 0; y < height; y++) {
            const uint16_t *row = from + (size_t)hold(y + down, height) * width;
            for (uint32_t x = 0; x < width; x++) {
                *to++ = expose(row[hold((mirror ? width - 1 - x : x) + across, width)], light);
            }
        }
    }
}

static void fill(void *argument, uint32_t index)
{
    const struct filling *filling = argument;
    const struct lab_batch *batch = filling->batch;
    const struct lab_samples *samples = filling->samples;
    const struct network_input *input = &samples->input;
    uint32_t picture = filling->order[index];
    const uint16_t *planes = samples->planes + picture * samples->values;
    size_t count = codes_of(input), bytes = count * gradient_code_size(&input->front);
    char *codes = (char *)batch->codes + index * bytes;
    float *image = batch->images + index * count;
    if (filling->variation) {
        uint16_t *moved = batch->planes + index * samples->values;
        move(input, filling->variation, filling->variation->number + index, planes, moved);
        planes = moved;
    }
    gradient_encode(&input->front, planes, input->target.width, input->target.height,
                    samples->whites[picture], codes);
    if (input->front.coding == GRADIENT_CODING_F32) {
        memcpy(image, codes, bytes);
    } else {
        /* what the codes stand for, see VALUES in engine/network/model.h */
        bool planes_up = input->front.coding == GRADIENT_CODING_THERMOMETER;
        int scale = planes_up ? 2 : 1, zero = planes_up ? input->front.levels : 0;
        for (size_t i = 0; i < count; i++) {
            image[i] = (float)(((const int8_t *)codes)[i] * scale - zero);
        }
    }
    batch->labels[index] = samples->labels[picture];
}

void lab_batch_fill(struct lab_batch *batch, const struct lab_samples *samples,
                    const uint32_t *order, uint32_t count, const struct lab_variation *variation,
                    const struct train_workers *workers)
{
    struct filling filling = {batch, samples, order, variation};
    workers->run(workers->context, count, fill, &filling);
}
