/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Curves of a few answers, counted by hand. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/lab/roc.h"

static void assert_near(double got, double wanted)
{
    if (!(fabs(got - wanted) < 1e-12)) {
        fail_msg("%.17g is not %.17g", got, wanted);
    }
}

static struct lab_answer answers[] = {{5, false}, {-8, false}, {9, true}, {5, true},
                                      {-3, true}, {7, false},  {5, true}, {2, false}};

static void test_counts(void **state)
{
    (void)state;
    struct lab_roc roc;
    assert_int_equal(lab_roc_init(&roc, answers, 8), 0);
    const struct lab_roc_point wanted[] = {{9, 1, 0}, {7, 1, 1},  {5, 3, 2},
                                           {2, 3, 3}, {-3, 4, 3}, {-8, 4, 4}};
    assert_int_equal(roc.positives, 4);
    assert_int_equal(roc.negatives, 4);
    assert_int_equal(roc.count, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(roc.points[i].margin, wanted[i].margin);
        assert_int_equal(roc.points[i].found, wanted[i].found);
        assert_int_equal(roc.points[i].mistaken, wanted[i].mistaken);
    }
    /* 9 beats 4; each 5 beats 2 and -8 and ties with 5; -3 beats -8: 4 + 2 * 2.5 + 1 of 16. */
    assert_near(roc.area, 10.0 / 16);
    lab_roc_finish(&roc);
}

static void test_points_of_choice(void **state)
{
    (void)state;
    struct lab_roc roc;
    assert_int_equal(lab_roc_init(&roc, answers, 8), 0);
    assert_int_equal(lab_roc_at_mistaken(&roc, 0.0)->margin, 9);
    assert_int_equal(lab_roc_at_mistaken(&roc, 0.49)->margin, 9); /* 7 finds no more */
    assert_int_equal(lab_roc_at_mistaken(&roc, 0.5)->margin, 5);
    assert_int_equal(lab_roc_at_mistaken(&roc, 1.0)->margin, -3);
    assert_int_equal(lab_roc_at_found(&roc, 0.25)->margin, 9);
    assert_int_equal(lab_roc_at_found(&roc, 0.26)->margin, 5);
    assert_int_equal(lab_roc_at_found(&roc, 1.0)->margin, -3);
    lab_roc_finish(&roc);

    struct lab_answer worse[] = {{3, false}, {1, true}};
    assert_int_equal(lab_roc_init(&roc, worse, 2), 0);
    assert_null(lab_roc_at_mistaken(&roc, 0.5));
    assert_near(roc.area, 0.0);
    lab_roc_finish(&roc);
}

static void test_needs_both_classes(void **state)
{
    (void)state;
    struct lab_answer all[] = {{3, true}, {1, true}}, none[] = {{3, false}};
    struct lab_roc roc;
    assert_int_equal(lab_roc_init(&roc, all, 2), -EDOM);
    assert_int_equal(lab_roc_init(&roc, none, 1), -EDOM);
    assert_int_equal(lab_roc_init(&roc, NULL, 0), -EDOM);
}

static void test_probability(void **state)
{
    (void)state;
    assert_near(lab_roc_probability(0), 0.5);
    assert_near(lab_roc_probability(65536), 1 / (1 + exp(-1)));
    assert_near(lab_roc_probability(-INT64_C(1099511627776)), 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_points_of_choice),
        cmocka_unit_test(test_needs_both_classes),
        cmocka_unit_test(test_probability),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
