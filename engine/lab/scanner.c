/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Buffers and the order of the stages; every stage is the engine's own. */
#include "engine/lab/scanner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernel/kernel.h"
#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/options.h"

#define PICTURE_BYTES_MAX ((size_t)64 << 20)
#define ALIGNMENT         64u
#define FACTOR            1147u        /* 1.12 */
#define OVERLAP           102u         /* 0.4 */
#define LEAST             (-4 * 65536) /* a confidence of 1.8 % */
#define SCORES_PER_UNIT   65536.0

int lab_scanner_settings(const struct lab_args *args, const struct lab_model *model, uint32_t label,
                         struct network_scan_settings *ret_settings)
{
    uint64_t object_min = 2 * (uint64_t)model->input->target.height;
    if (lab_args_number(args, LAB_OPTION_OBJECT_MIN, 1, UINT16_MAX, &object_min) < 0) {
        return -EINVAL;
    }
    *ret_settings = (struct network_scan_settings){.label = label,
                                                   .object_min = (uint32_t)object_min,
                                                   .factor = FACTOR,
                                                   .threshold = LEAST,
                                                   .overlap = OVERLAP,
                                                   .boxes_max = NETWORK_SCAN_BOXES_MAX};
    return 0;
}

int lab_scanner_init(struct lab_scanner *scanner, const struct lab_model *model,
                     const struct network_scan_settings *settings,
                     const struct kernel_table *kernels)
{
    const char *reason = NULL;
    uint32_t step = 0;
    *scanner = (struct lab_scanner){
        .model = model,
        .kernels = kernels,
        .settings = *settings,
        .ops = {.accumulate_u16 = kernels->accumulate_u16, .accumulate_u8 = kernels->accumulate_u8},
    };
    int r = network_scan_check(model->model, settings->point, &step, &reason);
    scanner->settings.stride = settings->stride > 0 ? settings->stride : step;
    if (r == 0) {
        r = image_decoder_create(NULL, &scanner->ops, &scanner->decoder);
    }
    if (r < 0) {
        lab_error("%s: %s", network_model_name(model->model), reason ? reason : strerror(-r));
    }
    return r;
}

static void drop_scan(struct lab_scanner *scanner)
{
    for (uint32_t i = 0; i < NETWORK_SCAN_LEVELS_MAX; i++) {
        free(scanner->planes[i]);
        free(scanner->margins[i]);
        scanner->planes[i] = NULL;
        scanner->margins[i] = NULL;
    }
    free(scanner->arena);
    free(scanner->codes);
    free(scanner->scratch);
    scanner->arena = scanner->codes = scanner->scratch = NULL;
    network_scan_destroy(scanner->scan);
    scanner->scan = NULL;
}

void lab_scanner_finish(struct lab_scanner *scanner)
{
    drop_scan(scanner);
    image_decoder_destroy(scanner->decoder);
    memset(scanner, 0, sizeof(*scanner));
}

static void *aligned(size_t size)
{
    return aligned_alloc(ALIGNMENT, (size / ALIGNMENT + 1) * ALIGNMENT);
}

/* The limits of networks and of NETWORK_SCAN_WINDOWS_MAX keep these products far below overflow. */
static int make_buffers(struct lab_scanner *scanner)
{
    const struct gradient_spec *front = &scanner->model->input->front;
    const struct network_scan_level *first = network_scan_level(scanner->scan, 0);
    size_t pixels = (size_t)first->width * first->height;
    bool whole = true;
    for (uint32_t i = 0; i < scanner->levels; i++) {
        const struct network_scan_level *level = network_scan_level(scanner->scan, i);
        scanner->planes[i] =
            calloc((size_t)level->width * level->height * front->planes, sizeof(uint16_t));
        scanner->margins[i] = calloc((size_t)level->columns * level->rows, sizeof(int32_t));
        whole = whole && scanner->planes[i] && scanner->margins[i];
    }
    scanner->arena = aligned(network_scan_arena_bytes(scanner->scan));
    scanner->codes = aligned(pixels * gradient_channels(front) * gradient_code_size(front));
    scanner->scratch = aligned(image_average_bytes(first->width, first->width));
    return whole && scanner->arena && scanner->codes && scanner->scratch ? 0 : -ENOMEM;
}

/* A scan of frames of this size, the one at hand if it is. */
static int fit(struct lab_scanner *scanner, uint32_t width, uint32_t height)
{
    if (scanner->scan && scanner->width == width && scanner->height == height) {
        return 0;
    }
    drop_scan(scanner);
    int r = network_scan_create(scanner->model->model, &scanner->settings, width, height,
                                scanner->kernels, &scanner->scan);
    if (r < 0) {
        return r;
    }
    scanner->width = width;
    scanner->height = height;
    scanner->levels = network_scan_levels(scanner->scan);
    r = scanner->levels > 0 ? make_buffers(scanner) : 0;
    if (r < 0) {
        drop_scan(scanner);
    }
    return r;
}

static void expose(struct lab_scanner *scanner, size_t values, struct lab_sensor *sensor)
{
    for (size_t i = 0; i < values; i++) {
        uint16_t raw = lab_sensor_sample(sensor, scanner->planes[0][i]);
        scanner->planes[0][i] = lab_sensor_to_plane(sensor, raw);
    }
    scanner->nominal_white = LAB_SENSOR_NOMINAL_WHITE;
}

static int scan_level(struct lab_scanner *scanner, uint32_t index)
{
    const struct gradient_spec *front = &scanner->model->input->front;
    const struct network_scan_level *first = network_scan_level(scanner->scan, 0);
    const struct network_scan_level *level = network_scan_level(scanner->scan, index);
    int r = index == 0
                ? 0
                : image_average_planes(&scanner->ops, scanner->planes[0], front->planes,
                                       first->width, first->height, level->width, level->height,
                                       scanner->scratch, scanner->planes[index]);
    if (r < 0) {
        return r;
    }
    gradient_encode(front, scanner->planes[index], level->width, level->height,
                    scanner->nominal_white, scanner->codes);
    return network_scan_run(scanner->scan, scanner->arena, index, scanner->codes, NULL,
                            scanner->margins[index]);
}

static int scan_bytes(struct lab_scanner *scanner, const uint8_t *bytes, size_t size,
                      struct lab_sensor *sensor)
{
    struct image_info info;
    int r = image_probe(scanner->decoder, bytes, size, IMAGE_KIND_AUTO, NULL, &info);
    if (r == 0) {
        r = fit(scanner, info.width, info.height);
    }
    if (r < 0 || scanner->levels == 0) {
        return r;
    }
    const struct network_scan_level *first = network_scan_level(scanner->scan, 0);
    struct image_target target = {first->width, first->height, scanner->model->input->front.planes,
                                  IMAGE_FIT_STRETCH};
    r = image_decode(scanner->decoder, bytes, size, IMAGE_KIND_AUTO, NULL, &target,
                     scanner->planes[0], &info);
    if (r < 0) {
        return r;
    }
    scanner->nominal_white = info.nominal_white;
    if (sensor) {
        expose(scanner, (size_t)first->width * first->height * target.channels, sensor);
    }
    for (uint32_t i = 0; r == 0 && i < scanner->levels; i++) {
        r = scan_level(scanner, i);
    }
    return r;
}

int lab_scanner_run(struct lab_scanner *scanner, const char *path, struct lab_sensor *sensor)
{
    uint8_t *bytes;
    size_t size;
    int r = lab_file_read(path, PICTURE_BYTES_MAX, &bytes, &size);
    if (r == 0) {
        r = scan_bytes(scanner, bytes, size, sensor);
        free(bytes);
    }
    if (r < 0) {
        lab_error("%s: %s", path, lab_image_error(r));
    }
    return r;
}

struct lab_box lab_scanner_window(const struct lab_scanner *scanner, uint32_t index,
                                  uint32_t column, uint32_t row)
{
    const struct network_scan_level *level = network_scan_level(scanner->scan, index);
    const struct image_target *window = &scanner->model->input->target;
    double across = (double)scanner->width / level->width;
    double down = (double)scanner->height / level->height;
    uint32_t stride = scanner->settings.stride;
    return (struct lab_box){
        .x = column * stride * across,
        .y = row * stride * down,
        .width = window->width * across,
        .height = window->height * down,
        .score = scanner->margins[index][(size_t)row * level->columns + column] / SCORES_PER_UNIT,
    };
}

void lab_scanner_cut(const struct lab_scanner *scanner, uint32_t index, uint32_t column,
                     uint32_t row, uint16_t *ret_planes)
{
    const struct network_scan_level *level = network_scan_level(scanner->scan, index);
    const struct image_target *window = &scanner->model->input->target;
    uint32_t stride = scanner->settings.stride;
    for (uint32_t plane = 0; plane < window->channels; plane++) {
        for (uint32_t y = 0; y < window->height; y++) {
            size_t at = ((size_t)plane * level->height + row * stride + y) * level->width;
            memcpy(ret_planes, scanner->planes[index] + at + (size_t)column * stride,
                   window->width * sizeof(*ret_planes));
            ret_planes += window->width;
        }
    }
}
