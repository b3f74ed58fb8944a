/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The decoder object, limits, and the choice of who reads the bytes. It parses nothing but the
 * first few bytes itself.
 */
#include "engine/image/image_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The arithmetic of scale.c holds up to these, whatever a caller asks for. */
#define HIGHEST_PIXELS (UINT64_C(1) << 30)
#define HIGHEST_SIDE   65535u

static void limits_init(struct image_limits *limits, const struct image_limits *wanted)
{
    *limits = wanted != NULL ? *wanted : (struct image_limits){0};
    if (limits->max_bytes == 0) {
        limits->max_bytes = (size_t)64 << 20;
    }
    if (limits->max_pixels == 0) {
        limits->max_pixels = 100000000;
    }
    if (limits->max_side == 0) {
        limits->max_side = 32768;
    }
    if (limits->max_scans == 0) {
        limits->max_scans = 100;
    }
    if (limits->max_raw_mib == 0) {
        limits->max_raw_mib = 512;
    }
    if (limits->max_scan_pixels == 0) {
        limits->max_scan_pixels = 400000000;
    }
    if (limits->max_pixels > HIGHEST_PIXELS) {
        limits->max_pixels = HIGHEST_PIXELS;
    }
    if (limits->max_side > HIGHEST_SIDE) {
        limits->max_side = HIGHEST_SIDE;
    }
}

int image_decoder_create(const struct image_limits *limits, const struct image_ops *ops,
                         struct image_decoder **ret_decoder)
{
    if (ret_decoder == NULL) {
        return -EINVAL;
    }
    struct image_decoder *decoder = calloc(1, sizeof(*decoder));
    if (decoder == NULL) {
        return -ENOMEM;
    }
    limits_init(&decoder->limits, limits);
    image_ops_init(&decoder->ops, ops);
    *ret_decoder = decoder;
    return 0;
}

void image_decoder_destroy(struct image_decoder *decoder)
{
    if (decoder == NULL) {
        return;
    }
    image_jpeg_destroy(decoder->jpeg);
    image_raw_destroy(decoder->raw);
    free(decoder->sums.data);
    free(decoder->spans.data);
    free(decoder->block.data);
    free(decoder->line.data);
    free(decoder);
}

int image_scratch_reserve(struct image_scratch *scratch, size_t size)
{
    if (scratch->size >= size) {
        return 0;
    }
    free(scratch->data);
    scratch->data = malloc(size);
    scratch->size = scratch->data != NULL ? size : 0;
    return scratch->data != NULL ? 0 : -ENOMEM;
}

int image_check_size(const struct image_decoder *decoder, uint64_t width, uint64_t height)
{
    const struct image_limits *limits = &decoder->limits;

    if (width == 0 || height == 0) {
        return -EBADMSG;
    }
    if (width > limits->max_side || height > limits->max_side ||
        width * height > limits->max_pixels) {
        return -EFBIG;
    }
    return 0;
}

void image_info_init(struct image_info *info, enum image_kind kind, uint8_t orientation,
                     uint32_t stored_width, uint32_t stored_height)
{
    bool swap = image_orientation_flags(orientation) & IMAGE_SWAP_AXES;

    *info = (struct image_info){
        .kind = (uint8_t)kind,
        .orientation = orientation,
        .reduction = 1,
        .width = swap ? stored_height : stored_width,
        .height = swap ? stored_width : stored_height,
        .nominal_white = 65535,
    };
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static enum image_kind sniff(const uint8_t *bytes, size_t size)
{
    if (size >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff) {
        return IMAGE_KIND_JPEG;
    }
    if (size >= 3 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '7' &&
        (is_space(bytes[2]) || bytes[2] == '#')) {
        return IMAGE_KIND_PNM;
    }
    return IMAGE_KIND_RAW;
}

static bool target_valid(const struct image_target *target)
{
    return target->width >= 1 && target->width <= 4096 && target->height >= 1 &&
           target->height <= 4096 &&
           (target->channels == IMAGE_GREY || target->channels == IMAGE_RGB) &&
           target->fit <= IMAGE_FIT_STRETCH;
}

static int decode(struct image_decoder *decoder, const struct image_job *job, enum image_kind kind,
                  struct image_info *info)
{
    if ((kind == IMAGE_KIND_SENSOR) != (job->sensor != NULL)) {
        return -EINVAL;
    }
    if (job->size > decoder->limits.max_bytes) {
        return -EFBIG;
    }
    if (kind == IMAGE_KIND_AUTO) {
        kind = sniff(job->bytes, job->size);
    }
    switch (kind) {
    case IMAGE_KIND_JPEG:
        return image_decode_jpeg(decoder, job, info);
    case IMAGE_KIND_RAW:
        return image_decode_raw(decoder, job, info);
    case IMAGE_KIND_PNM:
        return image_decode_pnm(decoder, job, info);
    case IMAGE_KIND_SENSOR:
        return image_decode_sensor(decoder, job, info);
    case IMAGE_KIND_AUTO:
        break;
    }
    return -EINVAL;
}

static bool all_equal(const uint16_t *planes, const struct image_target *target)
{
    size_t size = (size_t)target->width * target->height * target->channels;

    return memcmp(planes, planes + 1, (size - 1) * sizeof(*planes)) == 0;
}

int image_decode(struct image_decoder *decoder, const void *bytes, size_t size,
                 enum image_kind kind, const struct image_sensor *sensor,
                 const struct image_target *target, uint16_t *planes, struct image_info *ret_info)
{
    struct image_job job = {bytes, size, sensor, target, planes};
    struct image_info info;

    if (target == NULL || planes == NULL || !target_valid(target)) {
        return -EINVAL;
    }
    int r = decode(decoder, &job, kind, &info);
    if (r < 0) {
        return r;
    }
    if (all_equal(planes, target)) {
        info.warnings |= IMAGE_WARN_CONSTANT;
    }
    *ret_info = info;
    return 0;
}

int image_probe(struct image_decoder *decoder, const void *bytes, size_t size, enum image_kind kind,
                const struct image_sensor *sensor, struct image_info *ret_info)
{
    struct image_job job = {.bytes = bytes, .size = size, .sensor = sensor};
    struct image_info info;

    int r = decode(decoder, &job, kind, &info);
    if (r == 0) {
        *ret_info = info;
    }
    return r;
}
