/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Planes to smaller planes, by the same area average that decoding ends in. It decodes nothing and
 * allocates nothing.
 */
#include "engine/image/image_internal.h"

#include <errno.h>

/* Up to these the sums of scale.c fit their types. */
#define SIDE_MAX   65535u
#define PIXELS_MAX (UINT64_C(1) << 30)

static size_t span_bytes(uint32_t ret_width)
{
    return (size_t)ret_width * sizeof(struct image_span);
}

size_t image_average_bytes(uint32_t width, uint32_t ret_width)
{
    return span_bytes(ret_width) + image_sums_bytes(width);
}

int image_average_planes(const struct image_ops *ops, const uint16_t *planes, uint32_t channels,
                         uint32_t width, uint32_t height, uint32_t ret_width, uint32_t ret_height,
                         void *scratch, uint16_t *ret_planes)
{
    if (channels < 1 || ret_width < 1 || ret_height < 1 || ret_width > width ||
        ret_height > height || width > SIDE_MAX || height > SIDE_MAX ||
        (uint64_t)width * height > PIXELS_MAX) {
        return -EINVAL;
    }
    struct image_decoder decoder = {
        .spans = {scratch, span_bytes(ret_width)},
        .sums = {(uint8_t *)scratch + span_bytes(ret_width), image_sums_bytes(width)},
    };
    const struct image_target target = {ret_width, ret_height, IMAGE_GREY, IMAGE_FIT_STRETCH};
    struct image_source source = {
        .form = IMAGE_FORM_MONO,
        .range = UINT16_MAX,
        .pitch = width * sizeof *planes,
        .wide = true,
    };
    struct image_geometry geometry;
    int result = 0;

    image_ops_init(&decoder.ops, ops);
    image_geometry_init(&geometry, width, height, 1, &target);
    for (uint32_t c = 0; c < channels && result == 0; c++) {
        source.data = planes + (size_t)c * width * height;
        result = image_scale(&decoder, &geometry, &source, &target,
                             ret_planes + (size_t)c * ret_width * ret_height);
    }
    return result;
}
