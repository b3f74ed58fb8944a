/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* When a detector's scores wake the recogniser, at the ends of the range of scores too. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/network/cascade.h"
#include "engine/network/plan_internal.h"

static void test_labels(void **state)
{
    const struct network_plan one = {.labels = 1}, two = {.labels = 2};
    struct network_cascade cascade;

    (void)state;
    assert_int_equal(network_cascade_init(&cascade, &one, 0, 0), -EINVAL);
    assert_int_equal(network_cascade_init(&cascade, &two, 2, 0), -EINVAL);
    assert_int_equal(network_cascade_init(&cascade, &two, 1, 0), 0);
}

static void test_margin(void **state)
{
    static const struct {
        int32_t scores[3], margin; /* of label 1 */
        int32_t reached;
        bool wakes;
    } cases[] = {
        {{5, 9, 7}, 2, 2, true},
        {{5, 9, 7}, 3, 2, false},
        {{7, 9, 5}, 2, 2, true},
        {{9, 9, 5}, 0, 0, true},
        {{9, 5, 5}, -4, -4, true},
        {{9, 5, 5}, -3, -4, false},
        {{INT32_MIN, INT32_MAX, INT32_MIN}, INT32_MAX, INT32_MAX, true},
        {{INT32_MAX, INT32_MIN, 0}, INT32_MIN, INT32_MIN, true},
        {{INT32_MAX, INT32_MIN, 0}, INT32_MIN + 1, INT32_MIN, false},
    };
    const struct network_plan detector = {.labels = 3};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct network_cascade cascade;

        assert_int_equal(network_cascade_init(&cascade, &detector, 1, cases[i].margin), 0);
        assert_int_equal(network_cascade_margin(&cascade, cases[i].scores), cases[i].reached);
        assert_int_equal(network_cascade_wakes(&cascade, cases[i].scores), cases[i].wakes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_margin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
