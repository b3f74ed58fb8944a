/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Gradients of every operation, tail and loss against differences of the loss: for each tensor, the
 * slope along a direction that is half its gradient and half chance.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/kernel/cpu.h"
#include "tests/unit/train/toy.h"

#define BATCH     20u
#define SIDE      7u
#define CHANNELS  3u
#define CLASSES   4u
#define STEP      2e-3 /* of the way: small against kinks of relu and max, large against rounding */
#define TOLERANCE 0.01

static const struct train_layer smooth[] = {
    {.operation = TRAIN_IDENTITY, .norm = true},
    {.operation = TRAIN_CONV,
     .out = 9,
     .kernel = {3, 2},
     STRIDE(2, 1),
     .pad = {2, 1},
     .bias = true},
    {DEPTHWISE3, .norm = true},
    {.operation = TRAIN_AVERAGE_POOL, .kernel = {2, 3}, STRIDE(1, 2)},
    {DENSE(11), .bias = true},
    {DENSE(CLASSES), .norm = true},
};

static const struct train_layer bent[] = {
    {CONV3(34), NORM_RELU, POOL2},
    {.operation = TRAIN_DEPTHWISE,
     SQUARE(2),
     STRIDE(1, 2),
     .pad = {1, 0},
     .bias = true,
     .activation = TRAIN_HARD_TANH},
    {DENSE(CLASSES), .bias = true},
};

/* 0 is read three times: by 1, as the other side of 2, and by 3. */
static const struct train_layer branches[] = {
    {CONV3(5), .norm = true},
    {.operation = TRAIN_CONV, .out = 5, SQUARE(1), STRIDE(1, 1), .bias = true},
    {.operation = TRAIN_ADD, .other = 1},
    {CONV3(5), .input = 2, .norm = true},
    {.operation = TRAIN_ADD, .other = 1},
    {.operation = TRAIN_IDENTITY, .norm = true},
    {.operation = TRAIN_GLOBAL_POOL},
    {DENSE(CLASSES), .bias = true},
};

/* Kernel rows, and lines of outputs, that meet zeros alone. */
static const struct train_layer thin[] = {
    {.operation = TRAIN_AVERAGE_POOL, .kernel = {7, 4}, STRIDE(1, 1)},
    {.operation = TRAIN_CONV, .out = 5, SQUARE(3), STRIDE(1, 1), .pad = {1, 1}, .bias = true},
    {.operation = TRAIN_CONV, .out = 6, SQUARE(3), STRIDE(1, 1), .pad = {2, 2}, .norm = true},
    {.operation = TRAIN_CONV, .out = 4, SQUARE(3), STRIDE(2, 2), .pad = {2, 0}, .bias = true},
    {.operation = TRAIN_CONV,
     .out = 4,
     .kernel = {5, 1},
     STRIDE(3, 1),
     .pad = {4, 0},
     .bias = true},
    {DENSE(CLASSES), .bias = true},
};

static float images[BATCH * SIDE * SIDE * CHANNELS];
static uint32_t labels[BATCH];

static double loss_at(struct train *train, enum train_loss loss)
{
    struct train_result result;

    train_touch(train);
    train_forward(train, images, BATCH, true, NULL);
    train_measure(train, loss, labels, &result);
    return result.loss;
}

static double length(const float *v, size_t count)
{
    double sum = 0;

    for (size_t i = 0; i < count; i++) {
        sum += (double)v[i] * (double)v[i];
    }
    return sqrt(sum);
}

/* Returns whether the tensor exists and was checked. */
static bool check_tensor(struct train *train, enum train_loss loss, uint32_t layer,
                         enum train_tensor tensor)
{
    struct train_view view;
    double slope = 0;

    if (train_view(train, layer, tensor, &view) < 0) {
        return false;
    }
    float *before = calloc(view.count, sizeof(float)),
          *direction = calloc(view.count, sizeof(float));
    assert_true(before != NULL && direction != NULL);
    memcpy(before, view.data, view.count * sizeof(float));
    toy_noise(layer * 10 + tensor, (uint32_t)view.count, direction);
    const double chance = length(direction, view.count), along = length(view.gradient, view.count);
    for (size_t i = 0; i < view.count; i++) {
        direction[i] =
            (float)((double)direction[i] / chance + (double)view.gradient[i] / (along + 1e-9));
        slope += (double)direction[i] * (double)view.gradient[i];
    }
    const double step = STEP * (length(before, view.count) + 0.1);
    double losses[2];
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < view.count; i++) {
            view.data[i] = before[i] + (float)(side == 0 ? step : -step) * direction[i];
        }
        losses[side] = loss_at(train, loss);
    }
    memcpy(view.data, before, view.count * sizeof(float));
    const double measured = (losses[0] - losses[1]) / (2 * step);
    /* What follows a norm may not matter at all: then both are only rounding. */
    if (fabs(measured - slope) > TOLERANCE * along + 1e-4) {
        fail_msg("layer %u tensor %d: slope %g, measured %g", layer, (int)tensor, slope, measured);
    }
    free(before);
    free(direction);
    return true;
}

static void check(const struct train_layer *layers, uint32_t count, enum train_loss loss)
{
    const struct train_settings settings = {.batch = BATCH, .cpu = kernel_cpu_detect(), .seed = 3};
    struct train *train =
        toy_create((struct train_shape){SIDE, SIDE, CHANNELS}, layers, count, &settings);
    struct train_result result;
    uint32_t checked = 0;

    toy_noise(1, LENGTH(images), images);
    for (uint32_t i = 0; i < BATCH; i++) {
        labels[i] = i % CLASSES;
    }
    for (uint32_t l = 0; l < count; l++) { /* not all gamma 1, nor beta and bias 0 */
        struct train_view view;

        for (enum train_tensor t = TRAIN_BIAS; t <= TRAIN_BETA; t++) {
            for (size_t i = 0; train_view(train, l, t, &view) == 0 && i < view.count; i++) {
                view.data[i] += 0.3f * (float)(train_random(l, t, i) % 5) - 0.5f;
            }
        }
    }
    loss_at(train, loss);
    train_backward(train, loss, labels, NULL, &result);
    for (uint32_t l = 0; l < count; l++) {
        for (enum train_tensor t = TRAIN_WEIGHT; t <= TRAIN_BETA; t++) {
            checked += check_tensor(train, loss, l, t);
        }
    }
    assert_true(checked >= count);
    train_destroy(train);
}

static void test_train_gradients_smooth(void **state)
{
    (void)state;
    check(smooth, LENGTH(smooth), TRAIN_SOFTMAX);
    check(smooth, LENGTH(smooth), TRAIN_SQUARED_HINGE);
}

static void test_train_gradients_bent(void **state)
{
    (void)state;
    check(bent, LENGTH(bent), TRAIN_SOFTMAX);
    check(bent, LENGTH(bent), TRAIN_SQUARED_HINGE);
}

static void test_train_gradients_branches(void **state)
{
    (void)state;
    check(branches, LENGTH(branches), TRAIN_SOFTMAX);
}

static void test_train_gradients_thin(void **state)
{
    (void)state;
    check(thin, LENGTH(thin), TRAIN_SOFTMAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_train_gradients_smooth),
        cmocka_unit_test(test_train_gradients_bent),
        cmocka_unit_test(test_train_gradients_branches),
        cmocka_unit_test(test_train_gradients_thin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
