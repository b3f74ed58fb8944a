/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Which blocks changed, and that no window which touches one is left out. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/worker/motion.h"

enum { WIDTH = 45, HEIGHT = 30, CHANNELS = 2, CODES = WIDTH * HEIGHT * CHANNELS };

/* Change so many codes of the block at (x, y). */
static void change(int8_t *codes, uint32_t x, uint32_t y, uint32_t count)
{
    for (uint32_t v = y * MOTION_BLOCK; v < (y + 1) * MOTION_BLOCK && v < HEIGHT; v++) {
        for (uint32_t u = x * MOTION_BLOCK; u < (x + 1) * MOTION_BLOCK && u < WIDTH; u++) {
            for (uint32_t c = 0; c < CHANNELS && count > 0; c++, count--) {
                codes[(v * WIDTH + u) * CHANNELS + c] = 1;
            }
        }
    }
}

static void test_threshold(void **state)
{
    struct motion *motion = *state;
    int8_t before[CODES] = {0}, now[CODES] = {0};
    assert_int_equal(motion_init(motion, WIDTH, HEIGHT, CHANNELS), 0);
    assert_int_equal(motion->columns, 6);
    assert_int_equal(motion->rows, 4);
    change(now, 1, 2, 16); /* one in eight of 128 */
    motion_compare(motion, before, now);
    motion_gather(motion);
    assert_int_equal(motion->count, 0);
    assert_int_equal(before[(2 * MOTION_BLOCK * WIDTH + MOTION_BLOCK) * CHANNELS], 0);
    change(now, 1, 2, 17);
    motion_compare(motion, before, now);
    motion_gather(motion);
    assert_int_equal(motion->count, 1);
    assert_int_equal(motion->areas[0].left, 8);
    assert_int_equal(motion->areas[0].right, 16);
    assert_int_equal(motion->areas[0].top, 16);
    assert_int_equal(motion->areas[0].bottom, 24);
    assert_memory_equal(before, now, CODES);
}

/* Changes too small to be seen each time add up. */
static void test_slow(void **state)
{
    struct motion *motion = *state;
    int8_t before[CODES] = {0}, now[CODES] = {0};
    uint32_t seen = 0;
    for (uint32_t step = 1; step <= 24; step++) {
        change(now, 0, 0, step);
        assert_int_equal(motion_init(motion, WIDTH, HEIGHT, CHANNELS), 0);
        motion_compare(motion, before, now);
        motion_gather(motion);
        seen += motion->count;
    }
    assert_int_equal(seen, 1);
}

static void test_areas(void **state)
{
    struct motion *motion = *state;
    int8_t before[CODES] = {0}, now[CODES] = {0};
    assert_int_equal(motion_init(motion, WIDTH, HEIGHT, CHANNELS), 0);
    change(now, 0, 0, 128);
    change(now, 1, 1, 128); /* touches by its corner */
    change(now, 5, 3, 128); /* cut off by the edges */
    motion_compare(motion, before, now);
    motion_gather(motion);
    assert_int_equal(motion->count, 2);
    assert_int_equal(motion->areas[0].right, 16);
    assert_int_equal(motion->areas[0].bottom, 16);
    assert_int_equal(motion->areas[1].left, 40);
    assert_int_equal(motion->areas[1].right, WIDTH);
    assert_int_equal(motion->areas[1].bottom, HEIGHT);
}

static void test_too_many_areas(void **state)
{
    enum { SIDE = 8 * 16 };
    struct motion *motion = *state;
    int8_t *before = calloc(SIDE * SIDE, 1), *now = calloc(SIDE * SIDE, 1);
    assert_int_equal(motion_init(motion, SIDE, SIDE, 1), 0);
    for (uint32_t i = 0; i <= MOTION_AREAS_MAX; i++) {
        memset(now + (i / 3 * 4 + 1) * 8 * SIDE + (i % 3 * 4 + 1) * 8, 1, 8);
        memset(now + ((i / 3 * 4 + 1) * 8 + 1) * SIDE + (i % 3 * 4 + 1) * 8, 1, 8);
    }
    motion_compare(motion, before, now);
    motion_gather(motion);
    assert_int_equal(motion->count, 1);
    assert_int_equal(motion->areas[0].left, 8);
    assert_int_equal(motion->areas[0].right, 80);
    assert_int_equal(motion->areas[0].top, 8);
    assert_int_equal(motion->areas[0].bottom, 80);
    assert_int_equal(motion_init(motion, 8 * MOTION_BLOCKS_MAX, 9, 1), -ENOTSUP);
    free(before);
    free(now);
}

/* A box that touches a change counts as a whole, and passes nothing on. */
static void test_spread(void **state)
{
    struct motion *motion = *state;
    int8_t before[CODES] = {0}, now[CODES] = {0};
    const struct job_box boxes[] = {
        {.x = 0, .y = 0, .width = 48, .height = 32},  /* pixels of a frame twice as large */
        {.x = 40, .y = 0, .width = 20, .height = 16}, /* overlaps the first only */
        {.x = 70, .y = 40, .width = 20, .height = 20},
    };
    assert_int_equal(motion_init(motion, WIDTH, HEIGHT, CHANNELS), 0);
    change(now, 0, 0, 128);
    motion_compare(motion, before, now);
    motion_spread(motion, boxes, 3, 2 * WIDTH, 2 * HEIGHT);
    motion_gather(motion);
    assert_int_equal(motion->count, 1);
    assert_int_equal(motion->areas[0].right, 24);
    assert_int_equal(motion->areas[0].bottom, 16);
}

static bool touches(uint32_t first, uint32_t window, double from, double to)
{
    return first < to && first + window > from;
}

static void test_windows(void **state)
{
    struct motion *motion = *state;
    uint32_t none = 0;
    assert_int_equal(motion_init(motion, 160, 120, 2), 0);
    for (uint32_t seed = 0; seed < 3000; seed++) {
        uint32_t r = seed * UINT32_C(2654435761);
        const uint32_t stride = 1 + (r >> 3) % 5, window = 12 + (r >> 7) % 20;
        const uint32_t left = (r >> 11) % 160, top = (r >> 15) % 120;
        const struct motion_area area = {
            .left = left,
            .top = top,
            .right = left + 1 + (r >> 20) % (160 - left),
            .bottom = top + 1 + (r >> 24) % (120 - top),
        };
        struct network_scan_level level = {.width = 40 + (r >> 5) % 400,
                                           .height = 40 + (r >> 9) % 300};
        struct network_scan_area windows = {0};
        level.columns = (level.width - window) / stride + 1;
        level.rows = (level.height - window) / stride + 1;
        const bool some = motion_windows(motion, &area, &level, window, window, stride, &windows);
        none += !some;
        assert_true(!some || (windows.columns > 0 && windows.rows > 0 &&
                              windows.column + windows.columns <= level.columns &&
                              windows.row + windows.rows <= level.rows));
        for (uint32_t k = 0; k < level.columns; k++) {
            const double scale = (double)level.width / 160;
            const bool inside = some && k >= windows.column && k - windows.column < windows.columns;
            const bool needed = touches(k * stride, window, area.left * scale, area.right * scale);
            const bool close =
                touches(k * stride, window, area.left * scale - 3, area.right * scale + 3);
            assert_true(!some || inside || !needed);
            assert_true(!inside || close);
        }
    }
    assert_true(none > 0 && none < 500); /* pixels behind the last window */
}

static int make(void **state)
{
    *state = malloc(sizeof(struct motion));
    return *state != NULL ? 0 : -1;
}

static int drop(void **state)
{
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threshold), cmocka_unit_test(test_slow),
        cmocka_unit_test(test_areas),     cmocka_unit_test(test_too_many_areas),
        cmocka_unit_test(test_spread),    cmocka_unit_test(test_windows),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
