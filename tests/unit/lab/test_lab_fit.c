/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Integer least squares: exact where the answer is known, better than rounding where it is not. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/lab/fit.h"

enum { INPUTS = 24, PAIRS = 2000 };

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void test_finds_integer_weights_that_made_the_outputs(void **state)
{
    (void)state;
    struct lab_fit fit;
    int8_t truth[INPUTS], weights[INPUTS];
    double prior[INPUTS], scratch[2 * INPUTS], step, bias;
    uint32_t random = 1;
    for (int i = 0; i < INPUTS; i++) {
        truth[i] = (int8_t)((int)(next_random(&random) % 255) - 127);
    }
    truth[3] = 127; /* fixes the step */
    assert_int_equal(lab_fit_init(&fit, INPUTS, 1), 0);
    for (int n = 0; n < PAIRS; n++) {
        int16_t in[INPUTS];
        int sum = 0;
        for (int i = 0; i < INPUTS; i++) {
            in[i] = (int16_t)(next_random(&random) % 128);
            sum += truth[i] * in[i];
        }
        float out = 0.25f * (float)sum + 10.0f;
        lab_fit_add(&fit, in, &out);
    }
    lab_fit_prepare(&fit);
    for (int i = 0; i < INPUTS; i++) { /* a prior that is off by up to three steps */
        prior[i] = 0.25 * (truth[i] + (i == 3 ? 0 : (int)(next_random(&random) % 7) - 3));
        prior[i] = fmin(fmax(prior[i], -31.75), 31.75);
    }
    lab_fit_solve(&fit, 0, prior, scratch, weights, &step, &bias);
    assert_true(fabs(step - 0.25) < 1e-12);
    assert_memory_equal(weights, truth, sizeof(truth));
    assert_true(fabs(step * bias - 10.0) < 1e-2);
    lab_fit_finish(&fit);
}

/* Inputs that move together, as neighbouring samples of a picture do. */
static void draw(uint32_t *random, int16_t *in)
{
    int common = (int)(next_random(random) % 100);
    for (int i = 0; i < INPUTS; i++) {
        in[i] = (int16_t)(common + (int)(next_random(random) % 28));
    }
}

static void test_beats_rounding_on_inputs_that_move_together(void **state)
{
    (void)state;
    struct lab_fit fit;
    double weight[INPUTS], scratch[2 * INPUTS], step, bias, fitted = 0.0, rounded = 0.0;
    int8_t weights[INPUTS];
    uint32_t random = 7;
    for (int i = 0; i < INPUTS; i++) {
        weight[i] = (double)next_random(&random) / (1 << 24) - 0.5;
    }
    assert_int_equal(lab_fit_init(&fit, INPUTS, 1), 0);
    for (int n = 0; n < PAIRS; n++) {
        int16_t in[INPUTS];
        double out = 0.5;
        draw(&random, in);
        for (int i = 0; i < INPUTS; i++) {
            out += weight[i] * in[i];
        }
        float single = (float)out;
        lab_fit_add(&fit, in, &single);
    }
    lab_fit_prepare(&fit);
    lab_fit_solve(&fit, 0, weight, scratch, weights, &step, &bias);
    for (int n = 0; n < PAIRS; n++) { /* fresh pairs */
        int16_t in[INPUTS];
        double fit_error = step * bias - 0.5, round_error = 0.0;
        draw(&random, in);
        for (int i = 0; i < INPUTS; i++) {
            fit_error += (step * weights[i] - weight[i]) * in[i];
            round_error += (step * floor(weight[i] / step + 0.5) - weight[i]) * in[i];
        }
        fitted += fit_error * fit_error;
        rounded += round_error * round_error;
    }
    print_message("squared error: fitted %.4g, rounded %.4g\n", fitted / PAIRS, rounded / PAIRS);
    assert_true(fitted < 0.5 * rounded);
    lab_fit_finish(&fit);
}

static void test_inputs_without_evidence_keep_their_weights(void **state)
{
    (void)state;
    struct lab_fit fit;
    const double prior[3] = {1.0, -0.5, 0.25};
    double scratch[6], step, bias;
    const int16_t in[3] = {0, 0, 0};
    const float out[2] = {4.0f, -1.0f};
    int8_t weights[3];
    assert_int_equal(lab_fit_init(&fit, 3, 2), 0);
    lab_fit_add(&fit, in, out);
    lab_fit_prepare(&fit);
    lab_fit_solve(&fit, 1, prior, scratch, weights, &step, &bias);
    assert_int_equal(weights[0], 127);
    assert_int_equal(weights[1], -63); /* -63.5 is rounded up */
    assert_int_equal(weights[2], 32);
    assert_true(fabs(step * bias + 1.0) < 1e-9);
    lab_fit_finish(&fit);
}

static void test_sizes_are_bounded(void **state)
{
    (void)state;
    struct lab_fit fit;
    assert_int_equal(lab_fit_init(&fit, LAB_FIT_INPUTS_MAX + 1, 1), -EFBIG);
    lab_fit_finish(&fit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_integer_weights_that_made_the_outputs),
        cmocka_unit_test(test_beats_rounding_on_inputs_that_move_together),
        cmocka_unit_test(test_inputs_without_evidence_keep_their_weights),
        cmocka_unit_test(test_sizes_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
