/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Temperatures of drawn answers whose temperature is known, and an error counted by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/lab/temperature.h"
#include "engine/train/train.h"

#define COUNT  20000u
#define LABELS 4u
#define UNIT   65536

static void assert_near(double got, double wanted, double within)
{
    if (!(fabs(got - wanted) <= within)) {
        fail_msg("%.17g is not %.17g", got, wanted);
    }
}

static double uniform(uint64_t stream, uint64_t counter)
{
    return (double)(train_random(3, stream, counter) >> 11) / 0x1p53;
}

/* Truths follow the softmax of scores / temperature. */
static void draw(struct lab_answers *answers, double temperature)
{
    for (size_t i = 0; i < COUNT; i++) {
        double weight[LABELS], sum = 0.0, at = uniform(1, i);
        int32_t *scores = answers->scores + i * LABELS;
        for (uint32_t l = 0; l < LABELS; l++) {
            scores[l] = (int32_t)(6 * UNIT * uniform(2 + l, i));
            sum += weight[l] = exp(scores[l] / (UNIT * temperature));
        }
        answers->truth[i] = 0;
        for (at *= sum; answers->truth[i] + 1 < LABELS && at >= weight[answers->truth[i]];) {
            at -= weight[answers->truth[i]++];
        }
        answers->half[i] = i % 2;
    }
}

static void test_finds_the_temperature_that_was_there(void **state)
{
    (void)state;
    static int32_t scores[COUNT * LABELS];
    static uint32_t truth[COUNT];
    static uint8_t half[COUNT];
    struct lab_answers answers = {LABELS, COUNT, scores, truth, half};
    const double one[2] = {1, 1}, wanted[] = {0.5, 1.0, 2.5};
    for (int i = 0; i < 3; i++) {
        draw(&answers, wanted[i]);
        double found = lab_temperature_fit(&answers, LAB_HALF_BOTH);
        double halves[2] = {lab_temperature_fit(&answers, LAB_HALF_FIRST),
                            lab_temperature_fit(&answers, LAB_HALF_SECOND)};
        assert_near(found / wanted[i], 1, 0.04);
        assert_near(halves[0] / wanted[i], 1, 0.08);
        assert_near(halves[1] / wanted[i], 1, 0.08);
        assert_true(halves[0] != halves[1]);
        double loss = lab_temperature_loss(&answers, LAB_HALF_BOTH, found);
        assert_true(loss <= lab_temperature_loss(&answers, LAB_HALF_BOTH, found * 1.01));
        assert_true(loss <= lab_temperature_loss(&answers, LAB_HALF_BOTH, found / 1.01));
        double before = lab_temperature_error(&answers, one);
        double after = lab_temperature_error(&answers, halves);
        assert_true(after < 0.02);
        assert_true(wanted[i] == 1.0 ? before < 0.02 : before > 0.08);
    }
}

static void test_error_by_hand(void **state)
{
    (void)state;
    /* Sure 0.8 twice, right once; sure 0.5 once, wrong. */
    const int32_t four = (int32_t)lround(log(4) * UNIT);
    int32_t scores[] = {four, 0, 0, four, 7, 7};
    uint32_t truth[] = {0, 0, 1};
    uint8_t half[] = {0, 0, 0};
    struct lab_answers answers = {2, 3, scores, truth, half};
    const double one[2] = {1, 1};
    assert_near(lab_temperature_error(&answers, one), (fabs(1 - 1.6) + 0.5) / 3, 1e-5);
    double loss = -(log(0.8) + log(0.2) + log(0.5)) / 3;
    assert_near(lab_temperature_loss(&answers, LAB_HALF_BOTH, 1), loss, 1e-5);
}

static void test_answers_without_fault_end_at_the_bound(void **state)
{
    (void)state;
    int32_t scores[] = {UNIT, 0, 0, UNIT};
    uint32_t truth[] = {0, 1};
    uint8_t half[] = {0, 0};
    struct lab_answers answers = {2, 2, scores, truth, half};
    double found = lab_temperature_fit(&answers, LAB_HALF_BOTH);
    assert_near(found, LAB_TEMPERATURE_MIN, 1e-6);
    truth[0] = 1;
    truth[1] = 0;
    assert_near(lab_temperature_fit(&answers, LAB_HALF_BOTH), LAB_TEMPERATURE_MAX, 1e-3);
    /* A half without answers has no loss to lose. */
    assert_near(lab_temperature_loss(&answers, LAB_HALF_SECOND, 1), 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_the_temperature_that_was_there),
        cmocka_unit_test(test_error_by_hand),
        cmocka_unit_test(test_answers_without_fault_end_at_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
