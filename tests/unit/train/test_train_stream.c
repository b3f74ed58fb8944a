/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Streaming batch norm in fixed point against the paper's formulas in double, and its fold against
 * the normalisation that it stands for.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/train/stream_norm.h"
#include "engine/train/train.h"

#define CHANNELS 5u
#define PIXELS   35u
#define ETA      0.9

struct reference {
    double mean[CHANNELS], square[CHANNELS], weight;
};

static void draw(uint64_t sample, int32_t *values)
{
    static const int32_t sizes[CHANNELS] = {3, 100, 5000, 900000, 1};
    static const int32_t means[CHANNELS] = {0, 300, -20000, 100000, 7};

    for (uint32_t i = 0; i < PIXELS * CHANNELS; i++) {
        const uint32_t c = i % CHANNELS;
        const uint32_t range = 2 * (uint32_t)sizes[c] + 1;

        values[i] = means[c] - sizes[c] + (int32_t)(train_random(1, sample, i) % range);
    }
}

static void follow(struct reference *r, const int32_t *values)
{
    for (uint32_t c = 0; c < CHANNELS; c++) {
        double mean = 0, square = 0;

        for (uint32_t p = 0; p < PIXELS; p++) {
            const double v = values[p * CHANNELS + c];
            mean += v / PIXELS;
            square += v * v / PIXELS;
        }
        r->mean[c] = ETA * r->mean[c] + (1 - ETA) * mean;
        r->square[c] = ETA * r->square[c] + (1 - ETA) * square;
    }
    r->weight = ETA * r->weight + (1 - ETA);
}

static void test_statistics(void **state)
{
    int64_t means[CHANNELS] = {0}, squares[CHANNELS] = {0};
    struct train_stream_norm norm = {CHANNELS, 10, 0, means, squares};
    struct reference r = {0};
    int32_t values[PIXELS * CHANNELS];

    (void)state;
    for (uint32_t sample = 0; sample < 200; sample++) {
        draw(sample, values);
        assert_int_equal(train_stream_add(&norm, PIXELS, values), 0);
        follow(&r, values);
        for (uint32_t c = 0; c < CHANNELS; c++) {
            const double mean = r.mean[c] / r.weight;
            const double variance = r.square[c] / r.weight - mean * mean;
            int64_t got_mean, got_variance;

            assert_int_equal(train_stream_get(&norm, c, &got_mean, &got_variance), 0);
            assert_true(fabs((double)got_mean / 65536 - mean) < 1e-3 + 1e-7 * fabs(mean));
            assert_true(fabs((double)got_variance / 65536 - variance) <
                        2e-3 * (1 + fabs(mean)) + 1e-6 * variance);
        }
    }
}

static int64_t requantise(int64_t t, int32_t mult, uint32_t preshift, uint32_t shift)
{
    const int64_t h = (t * (INT64_C(1) << preshift) * mult) >> 32;

    return (h + (INT64_C(1) << (shift - 1))) >> shift;
}

/* What the packed layer computes is the normalised value, rounded. */
static void test_fold(void **state)
{
    int64_t means[CHANNELS] = {0}, squares[CHANNELS] = {0};
    struct train_stream_norm norm = {CHANNELS, 10, 0, means, squares};
    int32_t values[PIXELS * CHANNELS];

    (void)state;
    for (uint32_t sample = 0; sample < 30; sample++) {
        draw(sample, values);
        assert_int_equal(train_stream_add(&norm, PIXELS, values), 0);
    }
    for (uint32_t i = 0; i < 40; i++) {
        const uint32_t c = 1 + i % 3;
        const int32_t gamma = (i % 2 == 0 ? 1 : -1) * (int32_t)(65536 * (5 + i));
        const int32_t beta = (int32_t)(65536 * (int32_t)(i % 7 * 10)) - 65536 * 20;
        const uint32_t preshift = c == 1 ? 12 : c == 2 ? 8 : 2;
        const uint32_t shift = c == 1 ? 10 : c == 2 ? 12 : 14;
        int64_t mean, variance;
        int32_t bias, mult;

        assert_int_equal(train_stream_get(&norm, c, &mean, &variance), 0);
        assert_int_equal(train_stream_fold(&norm, c, gamma, beta, preshift, shift, &bias, &mult),
                         0);
        for (int32_t k = -3; k <= 3; k++) {
            const double deviation = sqrt((double)variance / 65536);
            const int32_t t = (int32_t)((double)mean / 65536 + k * deviation);
            const double y =
                gamma / 65536.0 * (t - (double)mean / 65536) / deviation + beta / 65536.0;

            assert_true(fabs((double)requantise((int64_t)t + bias, mult, preshift, shift) - y) <
                        1.1);
        }
    }
}

static void test_limits(void **state)
{
    int64_t means[1] = {0}, squares[1] = {0}, mean, variance;
    struct train_stream_norm norm = {1, 10, 0, means, squares};
    int32_t value = TRAIN_STREAM_VALUE_MAX, bias, mult;

    (void)state;
    assert_int_equal(train_stream_get(&norm, 0, &mean, &variance), -EAGAIN);
    assert_int_equal(train_stream_fold(&norm, 0, 1, 1, 8, 8, &bias, &mult), -EAGAIN);
    assert_int_equal(train_stream_add(&norm, 0, &value), -ERANGE);
    value++;
    assert_int_equal(train_stream_add(&norm, 1, &value), -ERANGE);
    value--;
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(train_stream_add(&norm, 1, &value), 0);
    }
    assert_int_equal(train_stream_get(&norm, 0, &mean, &variance), 0);
    assert_true(llabs(mean - (INT64_C(1) << 36)) <= 512);
    assert_true(variance >= 1);
    assert_int_equal(train_stream_fold(&norm, 0, 0, 1, 8, 8, &bias, &mult), -ERANGE);
    for (uint32_t i = 0; i < 100; i++) { /* a deviation of 2^20 */
        value = -value;
        assert_int_equal(train_stream_add(&norm, 1, &value), 0);
    }
    assert_int_equal(train_stream_fold(&norm, 0, 1, INT32_MIN, 8, 8, &bias, &mult), -ERANGE);
    value = 0;
    for (uint32_t i = 0; i < 1000; i++) { /* none */
        assert_int_equal(train_stream_add(&norm, 1, &value), 0);
    }
    assert_int_equal(train_stream_fold(&norm, 0, INT32_MAX, 1, 0, 31, &bias, &mult), -ERANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_fold),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests_name("train_stream", tests, NULL, NULL);
}
