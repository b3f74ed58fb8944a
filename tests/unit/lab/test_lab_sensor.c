/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The simulated sensor: scale, clipping, rounding, and the statistics of its noise. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/lab/sensor.h"

static void test_nominal_white_lands_at_an_eighth(void **state)
{
    (void)state;
    static const uint32_t depths[] = {8, 10, 12, 14, 16};
    for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
        struct lab_sensor sensor;
        lab_sensor_init(&sensor, depths[i], 1, 1, false, 0);
        uint32_t range = sensor.white - sensor.black;
        assert_int_equal(sensor.white, (1u << depths[i]) - 1);
        assert_int_equal(sensor.black, (1u << depths[i]) / 16);
        assert_int_equal(lab_sensor_sample(&sensor, 0), sensor.black);
        assert_int_equal(lab_sensor_sample(&sensor, 65535), sensor.black + (range + 4) / 8);
        lab_sensor_init(&sensor, depths[i], 8, 1, false, 0);
        assert_int_equal(lab_sensor_sample(&sensor, 65535), sensor.white);
        assert_int_equal(lab_sensor_to_plane(&sensor, (uint16_t)sensor.white), 65535);
        assert_int_equal(lab_sensor_to_plane(&sensor, (uint16_t)sensor.black), 0);
        assert_int_equal(lab_sensor_to_plane(&sensor, 0), 0);
    }
}

static void test_rounds_to_nearest_and_clips(void **state)
{
    (void)state;
    static const uint32_t exposures[][2] = {{1, 32}, {1, 4}, {1, 1}, {3, 7}, {8, 1}, {4096, 1}};
    for (size_t i = 0; i < sizeof(exposures) / sizeof(exposures[0]); i++) {
        struct lab_sensor sensor;
        lab_sensor_init(&sensor, 12, exposures[i][0], exposures[i][1], false, 0);
        double range = sensor.white - sensor.black;
        for (uint32_t v = 0; v <= 65535; v += 13) {
            double exact = v / 65535.0 * exposures[i][0] / exposures[i][1] / 8.0;
            exact = sensor.black + fmin(exact, 1.0) * range;
            double got = lab_sensor_sample(&sensor, (uint16_t)v);
            assert_true(fabs(got - exact) <= 0.5 + 1e-9);
        }
    }
}

struct moments {
    double mean, deviation;
};

/* In electrons. */
static struct moments measure(uint16_t linear, uint32_t exposure, uint64_t seed)
{
    enum { SAMPLES = 20000 };
    struct lab_sensor sensor;
    lab_sensor_init(&sensor, 16, exposure, 1, true, seed);
    double scale = 10000.0 / (sensor.white - sensor.black), sum = 0.0, squares = 0.0;
    for (int i = 0; i < SAMPLES; i++) {
        double raw = lab_sensor_sample(&sensor, linear);
        double electrons = (raw - sensor.black) * scale;
        sum += electrons;
        squares += electrons * electrons;
    }
    double mean = sum / SAMPLES;
    return (struct moments){mean, sqrt(squares / SAMPLES - mean * mean)};
}

static void test_noise_has_the_stated_mean_and_spread(void **state)
{
    (void)state;
    static const uint16_t levels[] = {0, 524, 1966, 3276, 13107, 65535};
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        double mean = 10000.0 * levels[i] / 65535.0 / 8.0;
        double deviation = sqrt(mean + 9.0); /* shot and read noise */
        struct moments got = measure(levels[i], 1, 5 + i);
        assert_true(fabs(got.mean - mean) < 5.0 * deviation / sqrt(20000.0));
        assert_true(fabs(got.deviation / deviation - 1.0) < 0.03);
    }
    struct moments full = measure(65535, 64, 1); /* the well is full: half of the samples clip */
    assert_true(full.mean <= 10000.0 && full.mean > 9900.0);
}

static void test_noise_follows_its_seed(void **state)
{
    (void)state;
    struct lab_sensor a, b, c;
    lab_sensor_init(&a, 12, 1, 1, true, 42);
    lab_sensor_init(&b, 12, 1, 1, true, 42);
    lab_sensor_init(&c, 12, 1, 1, true, 43);
    int differing = 0;
    for (int i = 0; i < 100; i++) {
        uint16_t linear = (uint16_t)(i * 600);
        uint16_t sample = lab_sensor_sample(&a, linear);
        assert_int_equal(sample, lab_sensor_sample(&b, linear));
        differing += sample != lab_sensor_sample(&c, linear);
    }
    assert_true(differing > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nominal_white_lands_at_an_eighth),
        cmocka_unit_test(test_rounds_to_nearest_and_clips),
        cmocka_unit_test(test_noise_has_the_stated_mean_and_spread),
        cmocka_unit_test(test_noise_follows_its_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
