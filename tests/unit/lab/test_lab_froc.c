/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Curves and probabilities of a few boxes, counted by hand. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/lab/froc.h"

static void assert_near(double got, double wanted, double by)
{
    if (!(fabs(got - wanted) < by)) {
        fail_msg("%.17g is not %.17g", got, wanted);
    }
}

/* Two objects in frame 0, one in frame 2. */
static struct lab_box objects[] = {
    {.x = 0, .y = 0, .width = 10, .height = 20, .frame = 0},
    {.x = 8, .y = 0, .width = 10, .height = 20, .frame = 0},
    {.x = 50, .y = 50, .width = 10, .height = 20, .frame = 2},
};
static const struct lab_boxes truth = {objects, 3, 3};

static void test_matching(void **state)
{
    (void)state;
    struct lab_box found[] = {
        {.x = 50, .y = 50, .width = 10, .height = 10, .score = 1, .frame = 2},  /* half: it is */
        {.x = 50, .y = 50, .width = 10, .height = 9.9, .score = 2, .frame = 2}, /* less: not */
        {.x = 0, .y = 0, .width = 10, .height = 20, .score = 5, .frame = 1}, /* no object there */
        {.x = 7, .y = 0, .width = 10, .height = 20, .score = 4, .frame = 0}, /* takes the second */
        {.x = 8, .y = 0, .width = 10, .height = 20, .score = 3, .frame = 0}, /* taken by then */
        {.x = 1, .y = 0, .width = 10, .height = 20, .score = 3, .frame = 0}, /* takes the first */
    };
    struct lab_boxes boxes = {found, 6, 6};
    struct lab_froc froc;
    assert_int_equal(lab_froc_init(&froc, 4, &truth, &boxes), 0);
    assert_int_equal(froc.frames, 4);
    assert_int_equal(froc.objects, 3);
    const struct lab_froc_point wanted[] = {{5, 0, 1}, {4, 1, 1}, {3, 2, 2}, {2, 2, 3}, {1, 3, 3}};
    struct lab_froc_point point = {0};
    uint32_t at = 0;
    for (size_t i = 0; i < 5; i++) {
        assert_true(lab_froc_next(&froc, &at, &point));
        assert_true(point.score == wanted[i].score);
        assert_int_equal(point.found, wanted[i].found);
        assert_int_equal(point.mistaken, wanted[i].mistaken);
    }
    assert_false(lab_froc_next(&froc, &at, &point));

    assert_int_equal(lab_froc_at(&froc, 1).found, 3);
    assert_int_equal(lab_froc_at(&froc, 0.74).found, 2);
    assert_int_equal(lab_froc_at(&froc, 0.5).found, 2);
    assert_int_equal(lab_froc_at(&froc, 0.49).found, 1);
    assert_int_equal(lab_froc_at(&froc, 0.2).found, 0);
    assert_true(isinf(lab_froc_at(&froc, 0.2).score));
    lab_froc_finish(&froc);
}

static void test_nothing_to_count(void **state)
{
    (void)state;
    struct lab_boxes none = {0};
    struct lab_froc froc = {0};
    assert_int_equal(lab_froc_init(&froc, 4, &none, &none), -EDOM);
    assert_int_equal(lab_froc_init(&froc, 4, &truth, &none), 0);
    assert_int_equal(lab_froc_at(&froc, 1).found, 0);
    lab_froc_finish(&froc);
}

static void test_interval(void **state)
{
    (void)state;
    double interval[2];
    /* 8 of 10: a worked example of many textbooks. */
    lab_froc_interval(8, 10, interval);
    assert_near(interval[0], 0.4902, 5e-5);
    assert_near(interval[1], 0.9433, 5e-5);
    lab_froc_interval(0, 10, interval);
    assert_near(interval[0], 0, 1e-12);
    assert_near(interval[1], 0.2775, 5e-5);
    lab_froc_interval(10, 10, interval);
    assert_near(interval[0], 0.7225, 5e-5);
    assert_near(interval[1], 1, 1e-12);
}

/* 40 boxes at each score, of which the share that the sigmoid 2 * score - 1 says is found, nearly.
 */
static void test_sigmoid(void **state)
{
    (void)state;
    static const double scores[] = {2, 1, 0.5, 0, -1};
    static const uint32_t found[] = {38, 29, 20, 11, 2};
    struct lab_froc_box boxes[201];
    struct lab_froc froc = {.frames = 1, .objects = 100, .boxes = boxes};
    for (uint32_t i = 0; i < 200; i++) {
        boxes[froc.count++] = (struct lab_froc_box){scores[i / 40], i % 40 < found[i / 40]};
    }
    boxes[froc.count++] = (struct lab_froc_box){-50, true}; /* below the least score */
    struct lab_sigmoid sigmoid;
    assert_int_equal(lab_sigmoid_fit(&froc, -1, &sigmoid), 0);
    assert_near(sigmoid.slope, 2, 0.2); /* the targets are a little less sure */
    assert_near(sigmoid.offset, -1, 0.2);
    assert_near(lab_sigmoid_at(&sigmoid, 0.5), 0.5, 0.02);

    struct lab_reliability reliability;
    const struct lab_sigmoid plain = {1, 0};
    lab_reliability_measure(&froc, -1, &plain, &reliability);
    /* Probabilities 0.88, 0.73, 0.62, 0.5, 0.27 are in bins 8, 7, 6, 5, 2. */
    assert_int_equal(reliability.boxes[8], 40);
    assert_int_equal(reliability.found[8], 38);
    assert_int_equal(reliability.boxes[5], 40);
    assert_int_equal(reliability.found[2], 2);
    double error = 0;
    for (uint32_t i = 0; i < 5; i++) {
        error += fabs(found[i] / 40.0 - lab_sigmoid_at(&plain, scores[i])) / 5;
    }
    assert_near(reliability.error, error, 1e-12);
    lab_reliability_measure(&froc, -1, &sigmoid, &reliability);
    assert_true(reliability.error < 0.02);
}

static void test_no_sigmoid(void **state)
{
    (void)state;
    struct lab_froc_box boxes[] = {{3, true}, {2, true}, {1, false}, {0, false}};
    struct lab_froc froc = {.frames = 1, .objects = 2, .count = 4, .boxes = boxes};
    struct lab_sigmoid sigmoid = {5, 5};
    assert_int_equal(lab_sigmoid_fit(&froc, 2, &sigmoid), -EDOM); /* all found */
    assert_int_equal(lab_sigmoid_fit(&froc, 4, &sigmoid), -EDOM); /* none at all */
    boxes[0].found = boxes[1].found = false;
    boxes[2].found = boxes[3].found = true;
    assert_int_equal(lab_sigmoid_fit(&froc, 0, &sigmoid), -EDOM); /* falls with the score */
    assert_true(sigmoid.slope == 5 && sigmoid.offset == 5);
    boxes[0].found = boxes[1].found = true;
    boxes[2].found = boxes[3].found = false;
    /* Platt's targets keep a clean cut finite. */
    assert_int_equal(lab_sigmoid_fit(&froc, 0, &sigmoid), 0);
    assert_true(sigmoid.slope > 0 && sigmoid.slope < 10);
    assert_near(lab_sigmoid_at(&sigmoid, 1.5), 0.5, 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matching),   cmocka_unit_test(test_nothing_to_count),
        cmocka_unit_test(test_interval),   cmocka_unit_test(test_sigmoid),
        cmocka_unit_test(test_no_sigmoid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
