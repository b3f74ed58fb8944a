/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Blocks of codes that changed, and rectangles around them. */
#include "daemon/worker/motion.h"

#include <errno.h>
#include <string.h>

static uint32_t blocks(uint32_t pixels)
{
    return (pixels + MOTION_BLOCK - 1) / MOTION_BLOCK;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

int motion_init(struct motion *motion, uint32_t width, uint32_t height, uint32_t channels)
{
    if ((uint64_t)blocks(width) * blocks(height) > MOTION_BLOCKS_MAX) {
        return -ENOTSUP;
    }
    motion->width = width;
    motion->height = height;
    motion->channels = channels;
    motion->columns = blocks(width);
    motion->rows = blocks(height);
    motion->count = 0;
    memset(motion->block, 0, sizeof(motion->block));
    return 0;
}

static bool block_changed(const int8_t *before, const int8_t *now, size_t pitch, uint32_t rows,
                          uint32_t codes)
{
    uint32_t changed = 0;
    for (uint32_t y = 0; y < rows; y++) {
        for (uint32_t i = 0; i < codes; i++) {
            changed += before[y * pitch + i] != now[y * pitch + i];
        }
    }
    return changed * MOTION_CODES > rows * codes;
}

void motion_compare(struct motion *motion, int8_t *before, const int8_t *now)
{
    const size_t pitch = (size_t)motion->width * motion->channels;

    for (uint32_t i = 0; i < motion->columns * motion->rows; i++) {
        const uint32_t x = i % motion->columns * MOTION_BLOCK;
        const uint32_t y = i / motion->columns * MOTION_BLOCK;
        const uint32_t rows = smaller(MOTION_BLOCK, motion->height - y);
        const uint32_t codes = smaller(MOTION_BLOCK, motion->width - x) * motion->channels;
        const size_t at = y * pitch + (size_t)x * motion->channels;

        motion->block[i] = block_changed(before + at, now + at, pitch, rows, codes);
        for (uint32_t k = 0; motion->block[i] && k < rows; k++) {
            memcpy(before + at + k * pitch, now + at + k * pitch, codes);
        }
    }
}

/* Blocks [left, right) x [top, bottom) that a box touches. */
static struct motion_area blocks_of(const struct motion *motion, const struct job_box *box,
                                    uint32_t width, uint32_t height)
{
    const uint64_t right = ((uint64_t)box->x + box->width) * motion->width;
    const uint64_t bottom = ((uint64_t)box->y + box->height) * motion->height;

    return (struct motion_area){
        .left = (uint32_t)((uint64_t)box->x * motion->width / width / MOTION_BLOCK),
        .top = (uint32_t)((uint64_t)box->y * motion->height / height / MOTION_BLOCK),
        .right = smaller(motion->columns, blocks((uint32_t)((right + width - 1) / width))),
        .bottom = smaller(motion->rows, blocks((uint32_t)((bottom + height - 1) / height))),
    };
}

static bool touches_change(const struct motion *motion, const struct motion_area *area)
{
    for (uint32_t y = area->top; y < area->bottom; y++) {
        for (uint32_t x = area->left; x < area->right; x++) {
            if (motion->block[y * motion->columns + x] == 1) {
                return true;
            }
        }
    }
    return false;
}

void motion_spread(struct motion *motion, const struct job_box *boxes, uint32_t count,
                   uint32_t width, uint32_t height)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct motion_area area = blocks_of(motion, &boxes[i], width, height);
        if (!touches_change(motion, &area)) {
            continue;
        }
        for (uint32_t y = area.top; y < area.bottom; y++) {
            for (uint32_t x = area.left; x < area.right; x++) {
                uint8_t *block = &motion->block[y * motion->columns + x];
                *block = *block == 1 ? 1 : 2; /* 2 starts no further box: its codes are the old */
            }
        }
    }
}

static void include(struct motion_area *area, uint32_t x, uint32_t y)
{
    area->left = smaller(area->left, x);
    area->top = smaller(area->top, y);
    area->right = area->right > x ? area->right : x + 1;
    area->bottom = area->bottom > y ? area->bottom : y + 1;
}

/* The blocks that hang together with this one, corners included; they are cleared. */
static struct motion_area flood(struct motion *motion, uint32_t first)
{
    struct motion_area area = {UINT32_MAX, UINT32_MAX, 0, 0};
    uint32_t depth = 0;

    motion->stack[depth++] = (uint16_t)first;
    motion->block[first] = 0;
    while (depth > 0) {
        const uint32_t x = motion->stack[--depth] % motion->columns;
        const uint32_t y = motion->stack[depth] / motion->columns;
        include(&area, x, y);
        for (uint32_t v = y > 0 ? y - 1 : 0; v <= y + 1 && v < motion->rows; v++) {
            for (uint32_t u = x > 0 ? x - 1 : 0; u <= x + 1 && u < motion->columns; u++) {
                const uint32_t i = v * motion->columns + u;
                if (motion->block[i] != 0) {
                    motion->block[i] = 0;
                    motion->stack[depth++] = (uint16_t)i;
                }
            }
        }
    }
    return area;
}

static struct motion_area pixels_of(const struct motion *motion, const struct motion_area *area)
{
    return (struct motion_area){
        .left = area->left * MOTION_BLOCK,
        .top = area->top * MOTION_BLOCK,
        .right = smaller(area->right * MOTION_BLOCK, motion->width),
        .bottom = smaller(area->bottom * MOTION_BLOCK, motion->height),
    };
}

void motion_gather(struct motion *motion)
{
    struct motion_area all = {UINT32_MAX, UINT32_MAX, 0, 0};
    uint32_t found = 0;

    for (uint32_t i = 0; i < motion->columns * motion->rows; i++) {
        if (motion->block[i] == 0) {
            continue;
        }
        const struct motion_area area = flood(motion, i);
        include(&all, area.left, area.top);
        include(&all, area.right - 1, area.bottom - 1);
        if (found < MOTION_AREAS_MAX) {
            motion->areas[found] = pixels_of(motion, &area);
        }
        found++;
    }
    motion->count = found;
    if (found > MOTION_AREAS_MAX) {
        motion->areas[0] = pixels_of(motion, &all);
        motion->count = 1;
    }
}

/* First and last window of one axis that touch [from, to) of `size` pixels of the compared level,
 * with one pixel more on either side for what averaging and the gradient take from neighbours. */
static bool windows_along(uint32_t from, uint32_t to, uint32_t size, uint32_t level_size,
                          uint32_t window, uint32_t stride, uint32_t windows, uint32_t *ret_first,
                          uint32_t *ret_count)
{
    const uint64_t low = (uint64_t)from * level_size / size;
    const uint64_t high = ((uint64_t)to * level_size + size - 1) / size + 1;
    const uint64_t behind = low > 0 ? low - 1 : 0; /* the first pixel that counts */
    const uint64_t first = behind >= window ? (behind - window) / stride + 1 : 0;
    uint64_t last = (high - 1) / stride;

    last = last < windows ? last : windows - 1;
    if (first > last) {
        return false;
    }
    *ret_first = (uint32_t)first;
    *ret_count = (uint32_t)(last - first + 1);
    return true;
}

bool motion_windows(const struct motion *motion, const struct motion_area *area,
                    const struct network_scan_level *level, uint32_t window_width,
                    uint32_t window_height, uint32_t stride, struct network_scan_area *ret_area)
{
    return windows_along(area->left, area->right, motion->width, level->width, window_width, stride,
                         level->columns, &ret_area->column, &ret_area->columns) &&
           windows_along(area->top, area->bottom, motion->height, level->height, window_height,
                         stride, level->rows, &ret_area->row, &ret_area->rows);
}
