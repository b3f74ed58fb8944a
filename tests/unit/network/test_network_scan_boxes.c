/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What a scan lays out and what it makes of margins: levels, refusals, and boxes against the
 * definition computed the slow way.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/kernel/kernel.h"
#include "engine/network/model.h"
#include "engine/network/scan.h"

/* One dense layer over a grey window of 4 x 8 codes of u7, whose margin is that of one pixel. */
struct tiny {
    struct network_layer layers[3];
    struct network_point point;
    struct network_description description;
    int8_t weights[2 * 4 * 8];
    int32_t bias[2], mult[2];
    struct network_model *model;
};

static const char *const tiny_labels[] = {"nothing", "object"};

static void tiny_describe(struct tiny *tiny)
{
    *tiny = (struct tiny){.mult = {INT32_MAX, INT32_MAX}};
    tiny->weights[4 * 8] = 1;
    tiny->layers[0] = (struct network_layer){
        .op = NETWORK_OP_DENSE,
        .output = NETWORK_OUTPUT_SCORES,
        .preshift = 8,
        .shift = 1,
        .out = 2,
        .name = "fc",
        .weight_s8 = tiny->weights,
        .bias_s32 = tiny->bias,
        .mult = tiny->mult,
    };
    tiny->point = (struct network_point){
        .name = "default",
        .input = {.target = {4, 8, 1, 0},
                  .front = {.source = GRADIENT_SOURCE_SRGB,
                            .coding = GRADIENT_CODING_U7,
                            .planes = 1}},
        .layer_count = 1,
        .layers = tiny->layers,
    };
    tiny->description = (struct network_description){
        .name = "tiny",
        .label_count = 2,
        .labels = tiny_labels,
        .point_count = 1,
        .points = &tiny->point,
    };
}

static void tiny_load(struct tiny *tiny)
{
    const char *reason = "";
    void *bytes;
    size_t size;

    if (network_model_write(&tiny->description, &bytes, &size, &reason) < 0) {
        fail_msg("not written: %s", reason);
    }
    assert_int_equal(network_model_load(bytes, size, &tiny->model, &reason), 0);
    free(bytes);
}

static struct network_scan *scan_of(const struct tiny *tiny,
                                    const struct network_scan_settings *settings, uint32_t width,
                                    uint32_t height)
{
    struct network_scan *scan = NULL;
    struct kernel_table kernels;

    kernel_table_init(&kernels, 0);
    assert_int_equal(network_scan_create(tiny->model, settings, width, height, &kernels, &scan), 0);
    return scan;
}

static void test_levels(void **state)
{
    struct network_scan_settings settings = {
        .label = 1, .object_min = 16, .factor = 2048, .overlap = 64, .boxes_max = 4};
    struct tiny tiny;

    (void)state;
    tiny_describe(&tiny);
    tiny_load(&tiny);
    struct network_scan *scan = scan_of(&tiny, &settings, 101, 64);
    /* Half, a quarter, an eighth; 101 / 2 = 50.5 goes up. */
    static const struct network_scan_level expect[] = {
        {51, 32, 48, 25}, {25, 16, 22, 9}, {13, 8, 10, 1}};
    assert_int_equal(network_scan_levels(scan), 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_memory_equal(network_scan_level(scan, i), &expect[i], sizeof expect[i]);
    }
    assert_int_equal(network_scan_macs(scan), (48 * 25 + 22 * 9 + 10) * 2 * 32);
    assert_true(network_scan_bytes(scan) > (48 * 25 + 22 * 9 + 10) * 16);
    network_scan_destroy(scan);
    /* Never enlarged, and no levels where no window fits. */
    settings.object_min = 1;
    scan = scan_of(&tiny, &settings, 4, 15);
    assert_int_equal(network_scan_levels(scan), 1);
    assert_int_equal(network_scan_level(scan, 0)->height, 15);
    network_scan_destroy(scan);
    scan = scan_of(&tiny, &settings, 3, 8);
    assert_int_equal(network_scan_levels(scan), 0);
    assert_null(network_scan_plan(scan));
    assert_int_equal(network_scan_boxes(scan, NULL, NULL), 0);
    network_scan_destroy(scan);
    network_model_destroy(tiny.model);
}

static void expect_error(const struct tiny *tiny, struct network_scan_settings settings,
                         uint32_t width, uint32_t height, int error)
{
    struct network_scan *scan = NULL;
    struct kernel_table kernels;

    kernel_table_init(&kernels, 0);
    assert_int_equal(network_scan_create(tiny->model, &settings, width, height, &kernels, &scan),
                     error);
    assert_null(scan);
}

static void test_settings_out_of_range(void **state)
{
    const struct network_scan_settings good = {
        .label = 1, .object_min = 8, .factor = 1147, .overlap = 64, .boxes_max = 4};
    struct network_scan_settings bad;
    struct tiny tiny;

    (void)state;
    tiny_describe(&tiny);
    tiny_load(&tiny);
#define REFUSED(field, value)                                                                      \
    bad = good;                                                                                    \
    bad.field = value;                                                                             \
    expect_error(&tiny, bad, 64, 64, -EINVAL)
    REFUSED(point, 1);
    REFUSED(label, 2);
    REFUSED(object_min, 0);
    REFUSED(object_min, 65536);
    REFUSED(factor, 1024);
    REFUSED(factor, 4097);
    REFUSED(overlap, 257);
    REFUSED(boxes_max, 0);
    REFUSED(boxes_max, NETWORK_SCAN_BOXES_MAX + 1);
    REFUSED(stride, 65536);
#undef REFUSED
    expect_error(&tiny, good, 0, 64, -EINVAL);
    expect_error(&tiny, good, 64, 65536, -EINVAL);
    expect_error(&tiny, good, 2000, 2000, -EFBIG); /* windows */

    struct network_scan *scan = scan_of(&tiny, &good, 8, 16);
    const struct network_scan_area areas[] = {{0, 0, 0, 1}, {0, 0, 1, 0}, {5, 0, 1, 1},
                                              {0, 9, 1, 1}, {1, 0, 5, 1}, {0, 0, 1, 10}};
    uint8_t codes[8 * 16] = {0};
    int32_t margins[45];
    void *arena = aligned_alloc(64, network_scan_arena_bytes(scan));
    for (size_t i = 0; i < sizeof areas / sizeof areas[0]; i++) {
        assert_int_equal(network_scan_run(scan, arena, 0, codes, &areas[i], margins), -EINVAL);
    }
    assert_int_equal(network_scan_run(scan, arena, 99, codes, NULL, margins), -EINVAL);
    free(arena);
    network_scan_destroy(scan);
    network_model_destroy(tiny.model);
}

/* A pool in front of the dense layer, with a stride for each axis; or padding. */
static void test_models_that_do_not_scan(void **state)
{
    struct tiny tiny;
    const char *reason = NULL;
    uint32_t step = 0;

    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        tiny_describe(&tiny);
        tiny.layers[1] = tiny.layers[0];
        tiny.layers[1].input = 1;
        tiny.layers[0] = (struct network_layer){
            .op = kind == 3 ? NETWORK_OP_GLOBALAVGPOOL : NETWORK_OP_AVGPOOL,
            .kernel = {1, 1},
            .stride = {2, kind == 1 ? 1 : 2},
        };
        if (kind == 2) {
            tiny.layers[0] = (struct network_layer){
                .op = NETWORK_OP_DEPTHWISE,
                .output = NETWORK_OUTPUT_U7,
                .relu = true,
                .kernel = {3, 3},
                .stride = {1, 1},
                .pad = {1, 1},
                .shift = 1,
                .out = 1,
                .name = "dw",
                .weight_s8 = tiny.weights,
                .bias_s32 = tiny.bias,
                .mult = tiny.mult,
            };
        }
        if (kind == 3) {
            tiny.layers[0].kernel[0] = tiny.layers[0].kernel[1] = 0;
            tiny.layers[0].stride[0] = tiny.layers[0].stride[1] = 0;
        }
        tiny.point.layer_count = 2;
        tiny_load(&tiny);
        assert_int_equal(network_scan_check(tiny.model, 0, &step, &reason),
                         kind == 0 ? 0 : -ENOTSUP);
        if (kind == 0) {
            const struct network_scan_settings odd = {
                .label = 1, .object_min = 8, .factor = 1147, .stride = 3, .boxes_max = 4};

            assert_int_equal(step, 2);
            expect_error(&tiny, odd, 64, 64, -EINVAL);
        } else {
            const struct network_scan_settings settings = {
                .label = 1, .object_min = 8, .factor = 1147, .boxes_max = 4};

            assert_non_null(reason);
            expect_error(&tiny, settings, 64, 64, -ENOTSUP);
        }
        network_model_destroy(tiny.model);
    }
}

/* Both ends included. */
static uint32_t random_range(uint64_t *state, uint32_t low, uint32_t high)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return low + (uint32_t)((*state >> 33) % (high - low + 1));
}

/* A taken box, computed the slow way. */
struct rectangle {
    int64_t left, top, right, bottom;
};

static struct rectangle rectangle_of(const struct network_scan *scan, uint32_t level,
                                     uint32_t column, uint32_t row, int64_t width, int64_t height)
{
    const struct network_scan_level *of = network_scan_level(scan, level);
    struct rectangle box = {column, row, column + 4, row + 8};

    box.left = (2 * box.left * width + of->width) / (2 * of->width);
    box.right = (2 * box.right * width + of->width) / (2 * of->width);
    box.top = (2 * box.top * height + of->height) / (2 * of->height);
    box.bottom = (2 * box.bottom * height + of->height) / (2 * of->height);
    return box;
}

static bool too_close(struct rectangle a, struct rectangle b, int64_t most)
{
    const int64_t width =
        (a.right < b.right ? a.right : b.right) - (a.left > b.left ? a.left : b.left);
    const int64_t height =
        (a.bottom < b.bottom ? a.bottom : b.bottom) - (a.top > b.top ? a.top : b.top);

    if (width <= 0 || height <= 0) {
        return false;
    }
    const int64_t all = (a.right - a.left) * (a.bottom - a.top) +
                        (b.right - b.left) * (b.bottom - b.top) - width * height;
    return width * height * 256 > most * all;
}

static uint32_t naive_boxes(const struct network_scan *scan, int32_t *const *margins,
                            const struct network_scan_settings *settings, int64_t width,
                            int64_t height, struct network_scan_box *boxes)
{
    struct rectangle taken[NETWORK_SCAN_BOXES_MAX];
    uint32_t count = 0;

    while (count < settings->boxes_max) {
        struct network_scan_box best = {.margin = INT32_MIN};
        bool any = false;

        for (uint32_t i = 0; i < network_scan_levels(scan); i++) {
            const struct network_scan_level *level = network_scan_level(scan, i);

            for (uint32_t k = 0; k < level->columns * level->rows; k++) {
                const uint32_t column = k % level->columns, row = k / level->columns;
                const struct rectangle box = rectangle_of(scan, i, column, row, width, height);
                bool free_place = margins[i][k] >= settings->threshold;

                for (uint32_t j = 0; j < count; j++) {
                    free_place =
                        free_place && !too_close(box, taken[j], settings->overlap) &&
                        !(boxes[j].level == i && boxes[j].column == column && boxes[j].row == row);
                }
                if (free_place && (!any || margins[i][k] > best.margin)) {
                    any = true;
                    taken[count] = box;
                    best = (struct network_scan_box){
                        .x = (uint32_t)box.left,
                        .y = (uint32_t)box.top,
                        .width = (uint32_t)(box.right - box.left),
                        .height = (uint32_t)(box.bottom - box.top),
                        .margin = margins[i][k],
                        .level = (uint16_t)i,
                        .column = (uint16_t)column,
                        .row = (uint16_t)row,
                    };
                }
            }
        }
        if (!any) {
            break;
        }
        boxes[count++] = best;
    }
    return count;
}

static int32_t *random_margins(uint64_t *random, const struct network_scan_level *level,
                               uint32_t most)
{
    const uint32_t windows = level->columns * level->rows;
    int32_t *margins = malloc(windows * sizeof *margins);

    assert_non_null(margins);
    for (uint32_t k = 0; k < windows; k++) {
        margins[k] = (int32_t)random_range(random, 0, most);
    }
    return margins;
}

/* More candidates than there is room for: those with margins of 7 and more have, and the first of
 * those with 6. */
static void test_many_candidates(void **state)
{
    const struct network_scan_settings settings = {.label = 1,
                                                   .object_min = 8,
                                                   .factor = 4096,
                                                   .threshold = INT32_MIN,
                                                   .overlap = 0,
                                                   .boxes_max = NETWORK_SCAN_BOXES_MAX};
    struct network_scan_box got[NETWORK_SCAN_BOXES_MAX];
    uint64_t random = 5;
    struct tiny tiny;

    (void)state;
    tiny_describe(&tiny);
    tiny_load(&tiny);
    struct network_scan *scan = scan_of(&tiny, &settings, 160, 160);
    const struct network_scan_level *level = network_scan_level(scan, 0);
    const uint32_t windows = level->columns * level->rows;
    assert_int_equal(network_scan_levels(scan), 3);
    assert_true(windows > NETWORK_SCAN_CANDIDATES_MAX + 7000);
    int32_t *margins[3];
    for (uint32_t i = 0; i < 3; i++) {
        margins[i] = random_margins(&random, network_scan_level(scan, i), 0);
    }
    for (uint32_t k = 0; k < windows; k++) {
        margins[0][k] = k < 8 ? 7 : 6;
    }
    margins[1][0] = 8;
    const uint32_t count = network_scan_boxes(scan, (const int32_t *const *)margins, got);
    assert_true(count > 3);
    assert_int_equal(got[0].level, 1);
    assert_int_equal(got[0].margin, 8);
    for (uint32_t i = 1; i < count; i++) {
        assert_int_equal(got[i].level, 0);
        /* The one on level 1 takes a place. */
        assert_true(got[i].row * level->columns + got[i].column < NETWORK_SCAN_CANDIDATES_MAX - 1);
    }
    for (uint32_t i = 0; i < 3; i++) {
        free(margins[i]);
    }
    network_scan_destroy(scan);
    network_model_destroy(tiny.model);
}

static void test_boxes(void **state)
{
    uint64_t random = 77;
    struct tiny tiny;

    (void)state;
    tiny_describe(&tiny);
    tiny_load(&tiny);
    for (int round = 0; round < 60; round++) {
        const uint32_t width = random_range(&random, 4, 70), height = random_range(&random, 8, 60);
        const struct network_scan_settings settings = {
            .label = 1,
            .object_min = random_range(&random, 8, 16),
            .factor = random_range(&random, 1100, 1600),
            .threshold = (int32_t)random_range(&random, 0, 40),
            .overlap = round % 5 == 0 ? 256 : random_range(&random, 0, 200),
            .boxes_max = random_range(&random, 1, 12),
        };
        struct network_scan *scan = scan_of(&tiny, &settings, width, height);
        int32_t *margins[NETWORK_SCAN_LEVELS_MAX];
        struct network_scan_box got[NETWORK_SCAN_BOXES_MAX], expect[NETWORK_SCAN_BOXES_MAX];

        for (uint32_t i = 0; i < network_scan_levels(scan); i++) {
            const struct network_scan_level *level = network_scan_level(scan, i);

            margins[i] = random_margins(&random, level, 50); /* with many ties */
        }
        const uint32_t count = network_scan_boxes(scan, (const int32_t *const *)margins, got);
        assert_int_equal(count, naive_boxes(scan, margins, &settings, width, height, expect));
        for (uint32_t i = 0; i < count; i++) {
            assert_memory_equal(&got[i], &expect[i], sizeof got[i]);
            assert_true(got[i].x + got[i].width <= width && got[i].y + got[i].height <= height);
        }
        for (uint32_t i = 0; i < network_scan_levels(scan); i++) {
            free(margins[i]);
        }
        network_scan_destroy(scan);
    }
    network_model_destroy(tiny.model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_settings_out_of_range),
        cmocka_unit_test(test_models_that_do_not_scan),
        cmocka_unit_test(test_boxes),
        cmocka_unit_test(test_many_candidates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
