/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Batches hold the codes of the pictures, or of all their shifts and mirror images and no others.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/lab/samples.h"

#define WIDTH    9u
#define HEIGHT   7u
#define PLANES   3u
#define CODES    (WIDTH * HEIGHT * PLANES * 2)
#define PICTURES 2u
#define SHIFT    1
#define VARIANTS 18u /* 3 x 3 shifts, mirrored or not */

static uint16_t planes[PICTURES][PLANES][HEIGHT][WIDTH];
static uint16_t whites[PICTURES] = {65535, 8192};
static uint32_t labels[PICTURES] = {4, 2};
static struct lab_samples samples;

static int make_samples(void **state)
{
    (void)state;
    uint16_t *value = &planes[0][0][0][0];
    for (uint32_t i = 0; i < PICTURES * PLANES * HEIGHT * WIDTH; i++) {
        value[i] = (uint16_t)(train_random(1, 1, i) >> 48);
    }
    samples.input.target = (struct image_target){WIDTH, HEIGHT, IMAGE_RGB, IMAGE_FIT_COVER};
    samples.input.front = (struct gradient_spec){
        .coding = GRADIENT_CODING_TERNARY, .planes = PLANES, .floor = 64, .ratio = {{9, 8}}};
    samples.values = PLANES * HEIGHT * WIDTH;
    samples.planes = &planes[0][0][0][0];
    samples.whites = whites;
    samples.labels = labels;
    return gradient_spec_check(&samples.input.front);
}

static void run_in_turn(void *context, uint32_t count, void (*task)(void *, uint32_t),
                        void *argument)
{
    (void)context;
    for (uint32_t i = 0; i < count; i++) {
        task(argument, i);
    }
}

static const struct train_workers workers = {run_in_turn, NULL};

/* Codes of a picture seen `down` and `across` of its place, then mirrored. */
static void expect(uint32_t picture, int down, int across, bool mirror, int8_t *codes)
{
    uint16_t moved[PLANES][HEIGHT][WIDTH];
    for (int p = 0; p < (int)PLANES; p++) {
        for (int y = 0; y < (int)HEIGHT; y++) {
            for (int x = 0; x < (int)WIDTH; x++) {
                int from_y = y + down, from_x = (mirror ? (int)WIDTH - 1 - x : x) + across;
                from_y = from_y < 0 ? 0 : from_y > (int)HEIGHT - 1 ? (int)HEIGHT - 1 : from_y;
                from_x = from_x < 0 ? 0 : from_x > (int)WIDTH - 1 ? (int)WIDTH - 1 : from_x;
                moved[p][y][x] = planes[picture][p][from_y][from_x];
            }
        }
    }
    gradient_encode(&samples.input.front, &moved[0][0][0], WIDTH, HEIGHT, whites[picture], codes);
}

static bool equal(const float *image, const int8_t *codes)
{
    for (uint32_t i = 0; i < CODES; i++) {
        if (image[i] != codes[i]) {
            return false;
        }
    }
    return true;
}

static void test_pictures_as_they_are_in_any_order(void **state)
{
    (void)state;
    static const uint32_t order[] = {1, 0, 1};
    struct lab_batch batch;
    assert_int_equal(lab_batch_init(&batch, &samples, 3), 0);
    lab_batch_fill(&batch, &samples, order, 3, NULL, &workers);
    for (uint32_t i = 0; i < 3; i++) {
        int8_t codes[CODES];
        expect(order[i], 0, 0, false, codes);
        assert_true(equal(batch.images + i * CODES, codes));
        assert_int_equal(batch.labels[i], labels[order[i]]);
    }
    lab_batch_finish(&batch);
}

/* How often each variant of picture 0 is met; fails on anything else. */
static void tally(const struct lab_variation *variation, uint32_t count, uint32_t *met)
{
    struct lab_batch batch;
    uint32_t order[400] = {0};
    assert_true(count <= 400);
    assert_int_equal(lab_batch_init(&batch, &samples, count), 0);
    lab_batch_fill(&batch, &samples, order, count, variation, &workers);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t v = 0;
        for (; v < VARIANTS; v++) {
            int8_t codes[CODES];
            expect(0, (int)(v / 3 % 3) - SHIFT, (int)(v % 3) - SHIFT, v >= 9, codes);
            if (equal(batch.images + i * CODES, codes)) {
                break;
            }
        }
        assert_true(v < VARIANTS);
        met[v]++;
    }
    lab_batch_finish(&batch);
}

static void test_all_variants_and_no_others(void **state)
{
    (void)state;
    struct lab_variation variation = {
        .shift = SHIFT, .mirror = true, .seed = 5, .stream = 6, .number = 7};
    uint32_t met[VARIANTS] = {0}, again[VARIANTS] = {0};
    tally(&variation, 400, met);
    for (uint32_t v = 0; v < VARIANTS; v++) {
        assert_in_range(met[v], 5, 60); /* 22 on average */
    }
    tally(&variation, 400, again);
    assert_memory_equal(met, again, sizeof(met));

    variation.mirror = false;
    memset(met, 0, sizeof(met));
    tally(&variation, 400, met);
    for (uint32_t v = 0; v < VARIANTS; v++) {
        assert_int_equal(met[v] > 0, v < 9);
    }
    variation = (struct lab_variation){.seed = 5, .stream = 6, .number = 7};
    memset(met, 0, sizeof(met));
    tally(&variation, 100, met);
    assert_int_equal(met[4], 100);
}

/* Planes times one factor of [1/4, 4) each, rounded and clipped; all parts of that are met. */
static void test_exposures(void **state)
{
    (void)state;
    const struct lab_variation variation = {.stops = 2, .seed = 5, .stream = 6, .number = 7};
    struct lab_batch batch;
    uint32_t order[64] = {0}, met[4] = {0}, clipped = 0;
    assert_int_equal(lab_batch_init(&batch, &samples, 64), 0);
    lab_batch_fill(&batch, &samples, order, 64, &variation, &workers);
    for (uint32_t i = 0; i < 64; i++) {
        const uint16_t *exposed = batch.planes + i * samples.values;
        const uint16_t *plain = samples.planes;
        size_t best = samples.values; /* the largest that is not clipped */
        for (size_t v = 0; v < samples.values; v++) {
            clipped += exposed[v] == UINT16_MAX;
            if (exposed[v] < UINT16_MAX && (best == samples.values || exposed[v] > exposed[best])) {
                best = v;
            }
        }
        assert_true(best < samples.values && plain[best] > 0);
        double factor = (double)exposed[best] / plain[best];
        for (size_t v = 0; v < samples.values; v++) {
            double slack = 1 + (double)plain[v] / plain[best];
            assert_true(fabs(exposed[v] - fmin(plain[v] * factor, UINT16_MAX)) <= slack);
        }
        double stops = log2(factor) + 2;
        assert_true(stops > -0.001 && stops < 4.001);
        met[(int)fmin(fmax(stops, 0), 3)]++;
    }
    lab_batch_finish(&batch);
    assert_true(clipped > 0);
    for (int i = 0; i < 4; i++) {
        assert_in_range(met[i], 6, 30);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pictures_as_they_are_in_any_order),
        cmocka_unit_test(test_all_variants_and_no_others),
        cmocka_unit_test(test_exposures),
    };
    return cmocka_run_group_tests(tests, make_samples, NULL);
}
