/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Which results the daemon believes, and the sizes of the region. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/worker/job.h"

#define SEQUENCE UINT64_C(0x1234567890)

static const struct job_message asked = {.op = JOB_OP_FRAME, .sequence = SEQUENCE};

static struct job_result *good(void **state)
{
    struct job_result *result = *state;
    *result = (struct job_result){
        .sequence = SEQUENCE,
        .info = {.kind = IMAGE_KIND_JPEG,
                 .orientation = 8,
                 .reduction = 8,
                 .warnings = IMAGE_WARN_CONSTANT | IMAGE_WARN_DAMAGED | IMAGE_WARN_TRUNCATED,
                 .width = 65500,
                 .height = 1,
                 .nominal_white = 1},
        .label_count = 1000,
        .codes_bytes = JOB_CODES_MAX,
    };
    return result;
}

static void test_good(void **state)
{
    struct job_result *result = good(state);
    assert_true(job_result_valid(result, &asked, 1000));
    result->info.kind = IMAGE_KIND_SENSOR;
    assert_false(job_result_valid(result, &asked, 1000)); /* only JPEG is reduced */
    result->info.reduction = 1;
    assert_true(job_result_valid(result, &asked, 1000));
}

/* The point asked for answers; where the frame exits, one as dear or dearer; of a recogniser the
 * only one. */
static void test_points(void **state)
{
    struct job_message message = asked;
    struct job_result *result = good(state);
    for (uint32_t point = 0; point < 4; point++) {
        result->point = point;
        message.point = 2;
        message.exits = 0;
        assert_true(job_result_valid(result, &message, 1000) == (point == 2));
        message.exits = 1;
        assert_true(job_result_valid(result, &message, 1000) == (point <= 2));
        result->awake = 1;
        assert_true(job_result_valid(result, &message, 1000) == (point == 0));
        result->awake = 0;
    }
}

#define REFUSED(change)                                                                            \
    do {                                                                                           \
        struct job_result *result = good(state);                                                   \
        result->change;                                                                            \
        assert_false(job_result_valid(result, &asked, 1000));                                      \
    } while (0)

static void test_each_field(void **state)
{
    REFUSED(sequence++);
    REFUSED(label_count = 999);
    REFUSED(label_count = 1001);
    REFUSED(codes_bytes = JOB_CODES_MAX + 1);
    REFUSED(codes_bytes = UINT32_MAX);
    REFUSED(decode_ns = UINT64_MAX);
    REFUSED(gradient_ns = UINT64_MAX);
    REFUSED(network_ns = UINT64_MAX);
    REFUSED(info.kind = IMAGE_KIND_AUTO);
    REFUSED(info.kind = IMAGE_KIND_SENSOR + 1);
    REFUSED(info.orientation = 0);
    REFUSED(info.orientation = 9);
    REFUSED(info.reduction = 0);
    REFUSED(info.reduction = 5);
    REFUSED(info.reduction = 16);
    REFUSED(info.warnings = 8);
    REFUSED(info.width = 0);
    REFUSED(info.width = 65536);
    REFUSED(info.height = 0);
    REFUSED(info.height = UINT32_MAX);
    REFUSED(info.nominal_white = 0);
}

static const struct job_message asked_scan = {
    .op = JOB_OP_FRAME,
    .sequence = SEQUENCE,
    .scan = {.wanted = 1, .threshold = -100, .boxes_max = 3, .motion = 1},
};

static struct job_result *good_scan(void **state)
{
    struct job_result *result = good(state);
    result->info.width = 640;
    result->info.height = 480;
    result->light = (struct image_light){65535, 65535, 65535, IMAGE_COLOUR_YES};
    result->scanned = 1;
    result->levels = NETWORK_SCAN_LEVELS_MAX;
    result->windows = NETWORK_SCAN_WINDOWS_MAX;
    result->windows_run = NETWORK_SCAN_WINDOWS_MAX;
    result->peak = 50;
    result->box_count = 3;
    result->boxes[0] = (struct job_box){0, 0, 640, 480, 50, 31, 65535, 65535, 0};
    result->boxes[1] = (struct job_box){639, 479, 1, 1, -7, 0, 0, 0, 0};
    result->boxes[2] = (struct job_box){1, 2, 3, 4, -100, 0, 0, 0, 0};
    result->motion_bytes = JOB_MOTION_MAX;
    result->motion_level = 31;
    return result;
}

#define SCAN_REFUSED(change)                                                                       \
    do {                                                                                           \
        struct job_result *result = good_scan(state);                                              \
        result->change;                                                                            \
        assert_false(job_result_valid(result, &asked_scan, 1000));                                 \
    } while (0)

static void test_scan(void **state)
{
    struct job_message still = asked_scan;
    assert_true(job_result_valid(good_scan(state), &asked_scan, 1000));
    assert_false(job_result_valid(good_scan(state), &asked, 1000)); /* not asked for */
    assert_false(job_result_valid(good(state), &asked_scan, 1000)); /* asked for */
    still.scan.motion = 0;
    assert_false(job_result_valid(good_scan(state), &still, 1000));
    SCAN_REFUSED(scanned = 2);
    SCAN_REFUSED(box_count = 4); /* more than asked for */
    SCAN_REFUSED(box_count = UINT32_MAX);
    SCAN_REFUSED(levels = NETWORK_SCAN_LEVELS_MAX + 1);
    SCAN_REFUSED(levels = 31);
    SCAN_REFUSED(windows = NETWORK_SCAN_WINDOWS_MAX + 1);
    SCAN_REFUSED(windows--);
    SCAN_REFUSED(windows_run++);
    SCAN_REFUSED(peak = 49);
    SCAN_REFUSED(motion_bytes++);
    SCAN_REFUSED(motion_level++);
    SCAN_REFUSED(light.colour = IMAGE_COLOUR_YES + 1);
    SCAN_REFUSED(average_ns = UINT64_MAX);
    SCAN_REFUSED(boxes[0].width++);
    SCAN_REFUSED(boxes[0].height++);
    SCAN_REFUSED(boxes[0].x = 1);
    SCAN_REFUSED(boxes[0].x = UINT32_MAX);
    SCAN_REFUSED(boxes[0].y = UINT32_MAX);
    SCAN_REFUSED(boxes[0].level = 32);
    SCAN_REFUSED(boxes[0].zero = 1);
    SCAN_REFUSED(boxes[0].margin = -8); /* not sorted */
    SCAN_REFUSED(boxes[1].margin = 51);
    SCAN_REFUSED(boxes[1].width = 0);
    SCAN_REFUSED(boxes[1].height = 0);
    SCAN_REFUSED(boxes[1].width = UINT32_MAX);
    SCAN_REFUSED(boxes[2].margin = -101); /* below the threshold */
    REFUSED(scanned = 1);
    REFUSED(box_count = 1);
    REFUSED(levels = 1);
    REFUSED(windows = 1);
    REFUSED(peak = 1);
    REFUSED(motion_bytes = 1);
}

static bool holds(const struct job_polygon *polygon, uint32_t x, uint32_t y, uint32_t width,
                  uint32_t height)
{
    const struct job_box box = {.x = x, .y = y, .width = width, .height = height};
    return job_polygon_holds(polygon, &box, 200, 100);
}

static void test_polygon(void **state)
{
    static const struct job_polygon all = {4, {{0, 0}, {10000, 0}, {10000, 10000}, {0, 10000}}};
    static const struct job_polygon slope = {3, {{0, 10000}, {10000, 0}, {10000, 10000}}};
    static const struct job_polygon turned = {3, {{10000, 10000}, {10000, 0}, {0, 10000}}};
    /* An arrow: its notch is outside. */
    static const struct job_polygon notch = {4, {{0, 0}, {10000, 5000}, {0, 10000}, {5000, 5000}}};
    (void)state;
    assert_true(holds(&all, 0, 0, 1, 1));
    assert_true(holds(&all, 199, 99, 1, 1)); /* a foot on the lower edge is inside */
    assert_true(holds(&all, 0, 0, 200, 100));
    for (int i = 0; i < 2; i++) {
        const struct job_polygon *polygon = i == 0 ? &slope : &turned;
        assert_false(holds(polygon, 20, 0, 20, 80)); /* foot at 15%, 80% */
        assert_true(holds(polygon, 40, 0, 20, 80));  /* at 25% */
        assert_true(holds(polygon, 180, 50, 20, 50));
        assert_false(holds(polygon, 0, 0, 20, 20));
    }
    assert_true(holds(&notch, 110, 0, 20, 50));
    assert_false(holds(&notch, 30, 0, 20, 50));
    assert_true(holds(&notch, 24, 0, 8, 10));
}

static void test_label_limit(void **state)
{
    struct job_result *result = good(state);
    result->label_count = NETWORK_LABELS_MAX;
    assert_true(job_result_valid(result, &asked, NETWORK_LABELS_MAX));
    result->label_count++;
    assert_false(job_result_valid(result, &asked, NETWORK_LABELS_MAX + 1));
}

static void test_region(void **state)
{
    (void)state;
    assert_true(job_frame_offset() >= sizeof(struct job_result));
    assert_int_equal(job_frame_offset() % 4096, 0);
    assert_true(job_region_bytes(1) >= job_frame_offset() + 1);
    assert_true(job_region_bytes(1000000) >= job_frame_offset() + 1000000);
    assert_int_equal(job_region_bytes(SIZE_MAX), 0);
    assert_int_equal(job_region_bytes(SIZE_MAX - job_frame_offset()), 0);
}

static int make_result(void **state)
{
    *state = malloc(sizeof(struct job_result));
    return *state == NULL;
}

static int free_result(void **state)
{
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),       cmocka_unit_test(test_points),
        cmocka_unit_test(test_each_field), cmocka_unit_test(test_scan),
        cmocka_unit_test(test_polygon),    cmocka_unit_test(test_label_limit),
        cmocka_unit_test(test_region),
    };
    return cmocka_run_group_tests(tests, make_result, free_result);
}
