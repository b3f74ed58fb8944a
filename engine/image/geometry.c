/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Which source samples make which output value: fit, orientation and the weights of an axis. Pure
 * integer arithmetic on sizes; it never sees a sample.
 */
#include "engine/image/image_internal.h"

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    while (b != 0) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* min(limit, floor(size * numerator / denominator)), at least 1. */
static uint32_t proportion(uint32_t limit, uint32_t size, uint32_t numerator, uint32_t denominator)
{
    uint64_t part = (uint64_t)size * numerator / denominator;

    if (part > limit) {
        return limit;
    }
    return part > 0 ? (uint32_t)part : 1;
}

void image_fit_rectangle(uint32_t width, uint32_t height, const struct image_target *target,
                         uint32_t *ret_width, uint32_t *ret_height)
{
    *ret_width = width;
    *ret_height = height;
    if (target->fit == IMAGE_FIT_COVER) {
        *ret_width = proportion(width, height, target->width, target->height);
        *ret_height = proportion(height, width, target->height, target->width);
    }
}

unsigned image_orientation_flags(uint8_t orientation)
{
    static const uint8_t flags[9] = {
        [1] = 0,
        [2] = IMAGE_MIRROR_X,
        [3] = IMAGE_MIRROR_X | IMAGE_MIRROR_Y,
        [4] = IMAGE_MIRROR_Y,
        [5] = IMAGE_SWAP_AXES,
        [6] = IMAGE_SWAP_AXES | IMAGE_MIRROR_X,
        [7] = IMAGE_SWAP_AXES | IMAGE_MIRROR_X | IMAGE_MIRROR_Y,
        [8] = IMAGE_SWAP_AXES | IMAGE_MIRROR_Y,
    };

    return orientation <= 8 ? flags[orientation] : 0;
}

/* The centred `count` of `size` upright samples for `outputs` values, as an axis of stored samples.
 */
static struct image_axis axis_make(uint32_t size, uint32_t count, uint32_t outputs, bool mirrored)
{
    uint32_t upright_offset = (size - count) / 2;
    struct image_axis axis = {
        .offset = mirrored ? size - upright_offset - count : upright_offset,
        .count = count,
        .outputs = outputs,
        .inner = 1,
        .total = 1,
        .mirrored = mirrored,
    };

    if (count >= outputs) {
        uint32_t divisor = common_divisor(count, outputs);
        axis.inner = outputs / divisor;
        axis.total = count / divisor;
    }
    return axis;
}

void image_geometry_init(struct image_geometry *geometry, uint32_t stored_width,
                         uint32_t stored_height, uint8_t orientation,
                         const struct image_target *target)
{
    unsigned flags = image_orientation_flags(orientation);
    bool swap = flags & IMAGE_SWAP_AXES;
    uint32_t width = swap ? stored_height : stored_width;
    uint32_t height = swap ? stored_width : stored_height;
    struct image_geometry g = {.inner_width = target->width, .inner_height = target->height};

    if (target->fit == IMAGE_FIT_CONTAIN) {
        g.inner_width = proportion(target->width, target->height, width, height);
        g.inner_height = proportion(target->height, target->width, height, width);
    }
    g.inner_x = (target->width - g.inner_width) / 2;
    g.inner_y = (target->height - g.inner_height) / 2;

    uint32_t source_width, source_height;
    image_fit_rectangle(width, height, target, &source_width, &source_height);
    bool mirror_x = flags & IMAGE_MIRROR_X, mirror_y = flags & IMAGE_MIRROR_Y;
    struct image_axis x = axis_make(width, source_width, g.inner_width, mirror_x);
    struct image_axis y = axis_make(height, source_height, g.inner_height, mirror_y);

    ptrdiff_t pitch = target->width;
    ptrdiff_t first_x = g.inner_x + (mirror_x ? g.inner_width - 1 : 0);
    ptrdiff_t first_y = g.inner_y + (mirror_y ? g.inner_height - 1 : 0);
    ptrdiff_t x_step = mirror_x ? -1 : 1, y_step = mirror_y ? -pitch : pitch;
    g.origin = first_y * pitch + first_x;
    g.rows = swap ? x : y;
    g.columns = swap ? y : x;
    g.row_step = swap ? x_step : y_step;
    g.column_step = swap ? y_step : x_step;
    *geometry = g;
}

/* Enlarging: one sample, chosen in the upright picture, where a tie goes to the larger index. */
static struct image_span nearest_span(const struct image_axis *axis, uint32_t k)
{
    uint32_t upright = axis->mirrored ? axis->outputs - 1 - k : k;
    uint64_t sample = ((uint64_t)2 * upright + 1) * axis->count / ((uint64_t)2 * axis->outputs);
    uint32_t begin = axis->mirrored ? axis->count - 1 - (uint32_t)sample : (uint32_t)sample;

    return (struct image_span){.begin = begin, .end = begin + 1};
}

struct image_span image_axis_span(const struct image_axis *axis, uint32_t k)
{
    if (axis->count < axis->outputs) {
        return nearest_span(axis, k);
    }

    /* Output k covers [from, to) in units of 1 / inner sample; a mirrored axis covers the same. */
    uint64_t from = (uint64_t)k * axis->total, to = from + axis->total;
    struct image_span span = {
        .begin = (uint32_t)(from / axis->inner),
        .end = (uint32_t)(to / axis->inner),
        .tail = (uint32_t)(to % axis->inner),
    };
    uint32_t cut = (uint32_t)(from % axis->inner);
    if (cut > 0) {
        span.head = axis->inner - cut;
        span.begin++;
    }
    return span;
}
