/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Scans of frames that are compared with the one before: the boxes are those of a whole scan. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/gradient/gradient.h"
#include "scan_fixture.h"

enum { OBJECT = 8 };

/* A checked plate of fixed look. */
static void draw_object(struct scan_fixture *fixture, uint32_t x, uint32_t y)
{
    for (uint32_t v = 0; v < OBJECT; v++) {
        for (uint32_t u = 0; u < OBJECT; u++) {
            const bool bright = (u / 2 + v / 3) % 2 == 0;
            memset(fixture->pixels[y + v][x + u], bright ? 250 : 60, 3);
        }
    }
}

static void draw_scene(struct scan_fixture *fixture, uint32_t x, uint32_t y)
{
    for (uint32_t v = 0; v < SCAN_HEIGHT; v++) {
        for (uint32_t u = 0; u < SCAN_WIDTH; u++) {
            memset(fixture->pixels[v][u], (int)(100 + u + v), 3);
        }
    }
    draw_object(fixture, 50, 36);
    draw_object(fixture, x, y);
    scan_put_ppm(fixture, SCAN_WIDTH, SCAN_HEIGHT);
}

/* A model that finds the object, from the object's own codes. */
static void load_matched(struct scan_fixture *fixture)
{
    size_t size = 0;
    int8_t codes[TINY_CODES];
    const struct job_result *result;
    fixture->message.scan.wanted = 0;
    fixture->message.want_codes = 1;
    memset(fixture->pixels, 120, sizeof(fixture->pixels));
    draw_object(fixture, 0, 0);
    /* Alone in a frame of its size. */
    for (uint32_t v = 1; v < OBJECT; v++) {
        memcpy(&fixture->pixels[0][0][0] + v * OBJECT * 3, fixture->pixels[v], OBJECT * 3);
    }
    scan_put_ppm(fixture, OBJECT, OBJECT);
    const struct job_scan asked = fixture->message.scan;
    fixture->message.scan = (struct job_scan){0};
    result = scan_run(fixture);
    const uint8_t *minus = result->codes + result->codes_bytes / 2;
    assert_int_equal(gradient_unpack_ternary(result->codes, minus, TINY_CODES, codes), 0);
    for (uint32_t i = 0; i < TINY_CODES; i++) {
        const uint32_t x = i / 6 % OBJECT, y = i / 6 / OBJECT;
        const bool edge = x == 0 || y == 0 || x == OBJECT - 1 || y == OBJECT - 1;
        codes[i] = edge ? 0 : codes[i];
    }
    void *bytes = tiny_model_make_matched(codes, &size);
    scan_load(fixture, 1, bytes, size);
    fixture->message.model = 1;
    fixture->message.want_codes = 0;
    fixture->message.scan = asked;
    fixture->message.scan.wanted = 1;
    fixture->message.scan.threshold = 50000;
    fixture->message.scan.motion = 1;
}

/* What the daemon does between two frames. */
static void hand_back(struct scan_fixture *fixture)
{
    struct job_shared *shared = scan_region(fixture);
    const struct job_result *result = &shared->result;
    shared->before.width = result->info.width;
    shared->before.height = result->info.height;
    shared->before.box_count = result->box_count;
    memcpy(shared->before.boxes, result->boxes, sizeof(result->boxes));
    shared->before.level = result->motion_level;
    shared->before.bytes = result->motion_bytes;
    memcpy(shared->before.codes, result->motion, result->motion_bytes);
}

static void test_motion(void **state)
{
    struct scan_fixture fixture;
    struct scan_engine engine;
    double share = 0;
    (void)state;
    scan_open(&fixture);
    load_matched(&fixture);
    scan_region(&fixture)->before.bytes = 0;
    for (uint32_t step = 0; step < 20; step++) {
        /* Along, a leap, and at rest. */
        const uint32_t x = step < 8 ? 2 + 3 * step : step < 14 ? 8 : 40;
        const uint32_t y = step < 8 ? 4 + step : step < 14 ? 30 : 3;
        draw_scene(&fixture, x, y);
        const struct job_result *result = scan_run(&fixture);
        scan_engine_run(&engine, &fixture, SCAN_WIDTH, SCAN_HEIGHT);
        assert_int_equal(engine.count, 2);
        scan_assert_boxes(result, engine.boxes, engine.count);
        scan_engine_finish(&engine);
        assert_true(result->motion_bytes > 0);
        if (step == 0) {
            assert_int_equal(result->windows_run, result->windows);
        } else if (step == 9 || step == 15) {
            assert_int_equal(result->windows_run, 0); /* nothing moved */
            assert_int_equal(result->macs, 0);
        } else if (step < 8) {
            assert_true(result->windows_run > 0);
            share += (double)result->windows_run / result->windows / 7;
        }
        hand_back(&fixture);
    }
    print_message("share of windows while the object moves: %.2f\n", share);
    assert_true(share < 0.6);
    scan_close(&fixture);
}

static void test_useless_memories(void **state)
{
    struct scan_fixture fixture;
    (void)state;
    scan_open(&fixture);
    load_matched(&fixture);
    scan_region(&fixture)->before.bytes = 0;
    draw_scene(&fixture, 8, 8);
    scan_run(&fixture);
    hand_back(&fixture);
    struct job_motion *before = &scan_region(&fixture)->before;
    struct job_motion *good = malloc(sizeof(*good));
    assert_non_null(good);
    *good = *before;
    assert_int_equal(scan_run(&fixture)->windows_run, 0);
#define USELESS(change)                                                                            \
    do {                                                                                           \
        *before = *good;                                                                           \
        before->change;                                                                            \
        const struct job_result *result = scan_run(&fixture);                                      \
        assert_int_equal(result->windows_run, result->windows);                                    \
        assert_int_equal(result->box_count, 2);                                                    \
    } while (0)
    USELESS(bytes = 0);
    USELESS(bytes -= 2);
    USELESS(bytes = UINT32_MAX);
    USELESS(width--);
    USELESS(height = 0);
    USELESS(level = 1);
    USELESS(box_count = NETWORK_SCAN_BOXES_MAX + 1);
    USELESS(boxes[0].level = UINT16_MAX);
    USELESS(boxes[1].column = UINT16_MAX);
    USELESS(boxes[1].row = UINT16_MAX);
    USELESS(boxes[0].x = SCAN_WIDTH);
    USELESS(boxes[0].width = UINT32_MAX);
    USELESS(boxes[0].height = 0);
    USELESS(codes[3] = before->codes[3 + before->bytes / 2] = 255);
#undef USELESS
    free(good);
    scan_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_motion),
        cmocka_unit_test(test_useless_memories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
