/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Scans of the worker in this process: the boxes that the engine gives, masks, a confirming model,
 * codes, sources, and messages that no daemon sends.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/gradient/gradient.h"
#include "scan_fixture.h"

static void test_equals_engine(void **state)
{
    struct scan_fixture fixture;
    struct scan_engine engine;
    (void)state;
    scan_open(&fixture);
    for (uint32_t seed = 0; seed < 4; seed++) {
        fixture.message.scan.label = seed;
        fixture.message.scan.stride = seed % 3;
        scan_noise(&fixture, seed);
        scan_put_ppm(&fixture, SCAN_WIDTH, SCAN_HEIGHT);
        const struct job_result *result = scan_run(&fixture);
        scan_engine_run(&engine, &fixture, SCAN_WIDTH, SCAN_HEIGHT);
        scan_assert_boxes(result, engine.boxes, engine.count);
        assert_true(engine.count > 3 && engine.levels > 3);
        assert_int_equal(result->levels, engine.levels);
        assert_int_equal(result->windows, engine.windows);
        assert_int_equal(result->windows_run, engine.windows);
        assert_true(result->macs == network_scan_macs(engine.scan));
        assert_true(result->light.mean > 8000 && result->light.mean < 40000);
        assert_int_equal(result->light.colour, IMAGE_COLOUR_YES);
        scan_engine_finish(&engine);
    }
    scan_close(&fixture);
}

/* Of codes that came back, the margins that the boxes have. */
static void test_codes_of_boxes(void **state)
{
    const size_t plane = gradient_bits_bytes(TINY_CODES);
    struct scan_fixture fixture;
    int8_t codes[TINY_CODES];
    int32_t scores[TINY_LABELS];
    (void)state;
    scan_open(&fixture);
    scan_noise(&fixture, 9);
    scan_put_ppm(&fixture, SCAN_WIDTH, SCAN_HEIGHT);
    fixture.message.want_codes = 1;
    const struct job_result *result = scan_run(&fixture);
    assert_true(result->box_count > 3);
    assert_int_equal(result->codes_bytes, result->box_count * 2 * plane);
    for (uint32_t i = 0; i < result->box_count; i++) {
        const uint8_t *packed = result->codes + i * 2 * plane;
        assert_int_equal(gradient_unpack_ternary(packed, packed + plane, TINY_CODES, codes), 0);
        network_run(fixture.worker.models[0].plans[0], fixture.worker.arena, codes, scores);
        int32_t other = INT32_MIN;
        for (uint32_t k = 1; k < TINY_LABELS; k++) {
            other = scores[k] > other ? scores[k] : other;
        }
        assert_int_equal(result->boxes[i].margin, scores[0] - other);
    }
    scan_close(&fixture);
}

static const struct job_polygon left_half = {4, {{0, 0}, {5000, 0}, {5000, 10000}, {0, 10000}}};

static void test_masks(void **state)
{
    struct scan_fixture fixture;
    struct job_box before[NETWORK_SCAN_BOXES_MAX];
    (void)state;
    scan_open(&fixture);
    scan_noise(&fixture, 5);
    scan_put_ppm(&fixture, SCAN_WIDTH, SCAN_HEIGHT);
    const struct job_result *result = scan_run(&fixture);
    const uint32_t count = result->box_count;
    memcpy(before, result->boxes, sizeof(before));
    fixture.message.scan.mask_count = 1;
    fixture.message.scan.masks[0] = left_half;
    result = scan_run(&fixture);
    assert_true(result->box_count > 0);
    for (uint32_t i = 0; i < result->box_count; i++) {
        assert_true(2 * result->boxes[i].x + result->boxes[i].width + 2 >= SCAN_WIDTH);
    }
    uint32_t masked = 0;
    for (uint32_t i = 0; i < count; i++) {
        masked += job_polygon_holds(&left_half, &before[i], SCAN_WIDTH, SCAN_HEIGHT);
    }
    assert_true(masked > 0 && masked < count);
    fixture.message.scan.mask_count = 0;
    result = scan_run(&fixture);
    assert_int_equal(result->box_count, count);
    assert_memory_equal(result->boxes, before, count * sizeof(before[0]));
    /* All of it: nothing is left, and no window counts. */
    fixture.message.scan.mask_count = 1;
    fixture.message.scan.masks[0] =
        (struct job_polygon){4, {{0, 0}, {10000, 0}, {10000, 10000}, {0, 10000}}};
    result = scan_run(&fixture);
    assert_int_equal(result->box_count, 0);
    assert_int_equal(result->peak, INT32_MIN);
    scan_close(&fixture);
}

/* Take the margins of all windows away that model 2 refuses label 4. Returns how many candidates.
 */
static uint32_t refuse_windows(struct scan_engine *engine, struct scan_fixture *fixture)
{
    uint32_t refused = 0;
    for (uint32_t i = 0; i < engine->levels; i++) {
        const struct network_scan_level *level = network_scan_level(engine->scan, i);
        for (uint32_t k = 0; k < level->columns * level->rows; k++) {
            int8_t codes[TINY_CODES];
            int32_t scores[TINY_LABELS];
            network_scan_cut(engine->scan, i, engine->codes[i], k % level->columns,
                             k / level->columns, codes);
            network_run(fixture->worker.models[2].plans[0], fixture->worker.arena, codes, scores);
            bool most = true;
            for (uint32_t n = 0; n < TINY_LABELS; n++) {
                most = most && scores[4] >= scores[n];
            }
            refused += !most && engine->margins[i][k] >= fixture->message.scan.threshold;
            engine->margins[i][k] = most ? engine->margins[i][k] : INT32_MIN;
        }
    }
    return refused;
}

/* A second model takes some of the boxes, and lets weaker ones through where it refuses. */
static void test_confirm(void **state)
{
    struct scan_fixture fixture;
    struct scan_engine engine;
    (void)state;
    scan_open(&fixture);
    scan_load_seeded(&fixture, 2, 77);
    scan_noise(&fixture, 6);
    scan_put_ppm(&fixture, SCAN_WIDTH, SCAN_HEIGHT);
    const struct job_result *result = scan_run(&fixture);
    fixture.message.scan.threshold = result->boxes[0].margin / 3; /* few enough to look at all */
    result = scan_run(&fixture);
    const uint32_t all = result->box_count;
    const uint64_t macs = result->macs;
    scan_engine_run(&engine, &fixture, SCAN_WIDTH, SCAN_HEIGHT);
    assert_int_equal(all, engine.count);
    assert_true(refuse_windows(&engine, &fixture) > all);
    engine.count =
        network_scan_boxes(engine.scan, (const int32_t *const *)engine.margins, engine.boxes);
    fixture.message.scan.confirm = 3;
    fixture.message.scan.confirm_label = 4;
    result = scan_run(&fixture);
    assert_true(result->box_count > 0 && result->macs > macs);
    scan_assert_boxes(result, engine.boxes, engine.count);
    scan_engine_finish(&engine);
    fixture.message.scan.confirm_threshold = INT32_MAX;
    assert_int_equal(scan_run(&fixture)->box_count, 0);
    fixture.message.scan.confirm_threshold = -INT32_MAX;
    assert_int_equal(scan_run(&fixture)->box_count, all);
    scan_close(&fixture);
}

static void test_small_frame(void **state)
{
    struct scan_fixture fixture;
    (void)state;
    scan_open(&fixture);
    scan_noise(&fixture, 1);
    scan_put_ppm(&fixture, 60, 7); /* no window fits */
    fixture.message.scan.motion = 1;
    fixture.message.want_codes = 1;
    const struct job_result *result = scan_run(&fixture);
    assert_int_equal(result->levels, 0);
    assert_int_equal(result->windows, 0);
    assert_int_equal(result->box_count, 0);
    assert_int_equal(result->peak, INT32_MIN);
    assert_int_equal(result->info.width, 60);
    assert_true(result->light.mean > 0);
    scan_close(&fixture);
}

/* More sizes than are kept: the memory is bounded, and the answers stay. */
static void test_many_sizes(void **state)
{
    struct scan_fixture fixture;
    struct scan_engine engine;
    (void)state;
    scan_open(&fixture);
    scan_noise(&fixture, 3);
    for (uint32_t i = 0; i < 20; i++) {
        const uint32_t width = 40 + i * 7 % 24, height = 30 + i % 7;
        scan_put_ppm(&fixture, width, height);
        const struct job_result *result = scan_run(&fixture);
        scan_engine_run(&engine, &fixture, width, height);
        scan_assert_boxes(result, engine.boxes, engine.count);
        scan_engine_finish(&engine);
        size_t bytes = 0;
        for (uint32_t k = 0; k < SCANNER_COUNT; k++) {
            bytes += fixture.worker.scanner.scans[k].bytes;
        }
        assert_int_equal(bytes, fixture.worker.scanner.bytes);
        assert_true(bytes > 0 && bytes < SCANNER_BYTES_MAX);
    }
    scan_load_seeded(&fixture, 0, 5); /* other weights: what was laid out is gone */
    assert_int_equal(fixture.worker.scanner.bytes, 0);
    scan_close(&fixture);
}

/* A mosaic is seen by its quads: where level 0 is half the picture anyway, a sensor's boxes are
 * those of the picture whose quads it holds. */
static void test_mosaic(void **state)
{
    struct scan_fixture fixture;
    struct job_box boxes[NETWORK_SCAN_BOXES_MAX];
    (void)state;
    scan_open(&fixture);
    scan_noise(&fixture, 4);
    scan_put_ppm(&fixture, 32, 24);
    const struct job_result *result = scan_run(&fixture);
    const uint32_t count = result->box_count;
    memcpy(boxes, result->boxes, sizeof(boxes));
    assert_true(count > 2);
    uint8_t *to = (uint8_t *)fixture.worker.region + job_frame_offset();
    for (uint32_t y = 0; y < 48; y++) {
        for (uint32_t x = 0; x < 64; x++) {
            const uint32_t colour = y % 2 + x % 2; /* RGGB */
            to[y * 64 + x] = (&fixture.pixels[0][0][0])[(y / 2 * 32 + x / 2) * 3 + colour];
        }
    }
    fixture.message.length = 64 * 48;
    fixture.message.kind = IMAGE_KIND_SENSOR;
    fixture.message.sensor = (struct image_sensor){
        .width = 64, .height = 48, .stride = 64, .packing = IMAGE_PACKING_U8, .white = 255};
    result = scan_run(&fixture);
    assert_int_equal(result->info.width, 64);
    assert_int_equal(result->box_count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(result->boxes[i].margin, boxes[i].margin);
        assert_int_equal(result->boxes[i].x, 2 * boxes[i].x);
        assert_int_equal(result->boxes[i].y, 2 * boxes[i].y);
        assert_int_equal(result->boxes[i].width, 2 * boxes[i].width);
        assert_int_equal(result->boxes[i].height, 2 * boxes[i].height);
    }
    scan_close(&fixture);
}

static void test_not_understood(void **state)
{
    struct scan_fixture fixture;
    struct job_done done;
    (void)state;
    scan_open(&fixture);
    scan_noise(&fixture, 1);
    scan_put_ppm(&fixture, SCAN_WIDTH, SCAN_HEIGHT);
    const struct job_message good = fixture.message;
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        fixture.message = good;                                                                    \
        fixture.message.scan.change;                                                               \
        assert_int_equal(worker_handle(&fixture.worker, &fixture.message, -1, &done), -EPROTO);    \
    } while (0)
    REFUSED(wanted = 2);
    REFUSED(object_min = 0);
    REFUSED(object_min = 101);
    REFUSED(boxes_max = 0);
    REFUSED(boxes_max = NETWORK_SCAN_BOXES_MAX + 1);
    REFUSED(mask_count = JOB_MASKS_MAX + 1);
    REFUSED(mask_count = 1); /* without corners */
    REFUSED(confirm = 2);    /* not loaded */
    REFUSED(confirm = JOB_MODELS_MAX + 1);
#undef REFUSED
    /* Settings that the engine refuses fail the frame alone. */
    fixture.message = good;
    fixture.message.scan.factor = 1024;
    assert_int_equal(worker_handle(&fixture.worker, &fixture.message, -1, &done), 0);
    assert_int_equal(done.status, -EINVAL);
    fixture.message = good;
    scan_run(&fixture);
    scan_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_engine), cmocka_unit_test(test_codes_of_boxes),
        cmocka_unit_test(test_masks),         cmocka_unit_test(test_confirm),
        cmocka_unit_test(test_small_frame),   cmocka_unit_test(test_many_sizes),
        cmocka_unit_test(test_mosaic),        cmocka_unit_test(test_not_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
