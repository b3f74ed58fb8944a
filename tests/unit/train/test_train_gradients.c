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
#define QUIET     (0.2 / 1.7320508) /* deviations of the quiet and the loud channel */
#define LOUD      (5 / 1.7320508)
#define LAYERS    8u
#define STEP      2e-3 /* of the way: small against kinks of relu and max, large against rounding */
#define FINE_STEP 5e-4 /* kinks where a deviation passes 1 */
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

/* Every kind of weights, read from a map, a map of codes, and a vector. */
static const struct train_layer weighted[] = {
    {CONV3(6), .bias = true, .activation = TRAIN_RELU, .output = {.kind = TRAIN_U7}},
    {DEPTHWISE3, .bias = true},
    {.operation = TRAIN_CONV, .out = 7, SQUARE(3), STRIDE(2, 1), .bias = true},
    {DENSE(9), .bias = true, .activation = TRAIN_HARD_TANH},
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
                         enum train_tensor tensor, double part)
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
    const double step = part * (length(before, view.count) + 0.1);
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
    if (fabs(measured - slope) > TOLERANCE * along + 4e-4) {
        fail_msg("layer %u tensor %d: slope %g, measured %g", layer, (int)tensor, slope, measured);
    }
    free(before);
    free(direction);
    return true;
}

/* Channels below, about and above a standard deviation of 1. */
static void draw_images(void)
{
    static const float loud[CHANNELS] = {0.2f, 1.0f, 5.0f};

    toy_noise(1, LENGTH(images), images);
    for (uint32_t i = 0; i < LENGTH(images); i++) {
        images[i] *= loud[i % CHANNELS];
    }
    for (uint32_t i = 0; i < BATCH; i++) {
        labels[i] = i % CLASSES;
    }
}

/* The network with every norm of it turned into `norm`. */
static void set_norm(const struct train_layer *layers, uint32_t count, enum train_norm norm,
                     struct train_layer *ret_layers)
{
    for (uint32_t l = 0; l < count; l++) {
        ret_layers[l] = layers[l];
        ret_layers[l].norm = layers[l].norm ? (uint8_t)norm : 0;
    }
}

static void check(const struct train_layer *layers, uint32_t count, enum train_loss loss,
                  double part)
{
    const struct train_settings settings = {.batch = BATCH, .cpu = kernel_cpu_detect(), .seed = 3};
    struct train *train =
        toy_create((struct train_shape){SIDE, SIDE, CHANNELS}, layers, count, &settings);
    struct train_result result;
    uint32_t checked = 0;

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
            checked += check_tensor(train, loss, l, t, part);
        }
    }
    assert_true(checked >= count);
    train_destroy(train);
}

static void draw_plain_images(void)
{
    toy_noise(1, LENGTH(images), images);
    for (uint32_t i = 0; i < BATCH; i++) {
        labels[i] = i % CLASSES;
    }
}

static void test_train_gradients_smooth(void **state)
{
    (void)state;
    draw_plain_images();
    check(smooth, LENGTH(smooth), TRAIN_SOFTMAX, STEP);
    check(smooth, LENGTH(smooth), TRAIN_SQUARED_HINGE, STEP);
}

static void test_train_gradients_bent(void **state)
{
    (void)state;
    draw_plain_images();
    check(bent, LENGTH(bent), TRAIN_SOFTMAX, STEP);
    check(bent, LENGTH(bent), TRAIN_SQUARED_HINGE, STEP);
}

static void test_train_gradients_branches(void **state)
{
    (void)state;
    draw_plain_images();
    check(branches, LENGTH(branches), TRAIN_SOFTMAX, STEP);
}

static void test_train_gradients_thin(void **state)
{
    (void)state;
    draw_plain_images();
    check(thin, LENGTH(thin), TRAIN_SOFTMAX, STEP);
}

static void test_train_gradients_held_norms(void **state)
{
    (void)state;
    for (enum train_norm norm = TRAIN_NORM_AMPLIFY; norm <= TRAIN_NORM_CENTER; norm++) {
        struct train_layer layers[LAYERS];

        draw_images();
        set_norm(smooth, LENGTH(smooth), norm, layers);
        check(layers, LENGTH(smooth), TRAIN_SOFTMAX, FINE_STEP);
        set_norm(branches, LENGTH(branches), norm, layers);
        check(layers, LENGTH(branches), TRAIN_SQUARED_HINGE, FINE_STEP);
    }
}

/* What a norm makes of the loud and the quiet channel, gamma 1 and beta 0. */
static void test_train_norms_divide(void **state)
{
    static const struct {
        uint8_t norm;
        double quiet, loud;
    } cases[] = {{TRAIN_NORM_BATCH, 1, 1},
                 {TRAIN_NORM_AMPLIFY, 1, LOUD},
                 {TRAIN_NORM_SUPPRESS, QUIET, 1},
                 {TRAIN_NORM_CENTER, QUIET, LOUD}};
    const struct train_settings settings = {.batch = BATCH, .cpu = kernel_cpu_detect()};

    (void)state;
    draw_images();
    for (size_t k = 0; k < LENGTH(cases); k++) {
        const struct train_layer layers[] = {{.operation = TRAIN_IDENTITY, .norm = cases[k].norm},
                                             {DENSE(CLASSES), .bias = true}};
        struct train *train =
            toy_create((struct train_shape){SIDE, SIDE, CHANNELS}, layers, 2, &settings);
        double squares[CHANNELS] = {0}, sums[CHANNELS] = {0};
        float step;

        train_forward(train, images, BATCH, true, NULL);
        const float *out = train_output(train, 0, &step);
        for (uint32_t i = 0; i < LENGTH(images); i++) {
            sums[i % CHANNELS] += (double)out[i];
            squares[i % CHANNELS] += (double)out[i] * (double)out[i];
        }
        const double count = BATCH * SIDE * SIDE;
        for (uint32_t c = 0; c < CHANNELS; c++) {
            assert_true(fabs(sums[c] / count) < 1e-5);
        }
        assert_true(fabs(sqrt(squares[0] / count) / cases[k].quiet - 1) < 0.05);
        assert_true(fabs(sqrt(squares[2] / count) / cases[k].loud - 1) < 0.05);
        train_destroy(train);
    }
}

/* nlms shows the gradient of the network without a norm, divided by the inputs' powers. */
static void test_train_gradients_nlms(void **state)
{
    const struct train_settings settings = {.batch = BATCH, .cpu = kernel_cpu_detect(), .seed = 3};
    const struct train_shape shape = {SIDE, SIDE, CHANNELS};
    struct train_layer layers[LAYERS];
    struct train_result results[2];

    (void)state;
    draw_images();
    memcpy(layers, weighted, sizeof(weighted));
    for (uint32_t l = 0; l < LENGTH(weighted); l++) {
        layers[l].norm = TRAIN_NORM_NLMS;
    }
    struct train *plain_train = toy_create(shape, weighted, LENGTH(weighted), &settings);
    struct train *nlms = toy_create(shape, layers, LENGTH(weighted), &settings);
    for (int pass = 0; pass < 2; pass++) { /* the second codes the outputs */
        train_forward(plain_train, images, BATCH, true, NULL);
        train_forward(nlms, images, BATCH, true, &toy_two_threads);
        train_backward(plain_train, TRAIN_SOFTMAX, labels, NULL, &results[0]);
        train_backward(nlms, TRAIN_SOFTMAX, labels, &toy_two_threads, &results[1]);
        assert_true(results[0].loss == results[1].loss);
    }
    for (uint32_t l = 0; l < LENGTH(weighted); l++) {
        const struct train_shape in = l > 0 ? train_layer_shape(nlms, l - 1) : shape;
        const uint32_t out = train_layer_shape(nlms, l).channels;
        const size_t count = (size_t)BATCH * in.height * in.width * in.channels;
        float step = 1;
        const float *x = l > 0 ? train_output(nlms, l - 1, &step) : images;
        double power[16] = {0};
        struct train_view views[2];

        for (size_t i = 0; i < count; i++) {
            const double value = (double)x[i] * (double)step;
            power[i % in.channels] += value * value * in.channels / (double)count;
        }
        assert_int_equal(train_view(plain_train, l, TRAIN_BIAS, &views[0]), 0);
        assert_int_equal(train_view(nlms, l, TRAIN_BIAS, &views[1]), 0);
        assert_memory_equal(views[0].gradient, views[1].gradient, out * sizeof(float));
        assert_int_equal(train_view(plain_train, l, TRAIN_WEIGHT, &views[0]), 0);
        assert_int_equal(train_view(nlms, l, TRAIN_WEIGHT, &views[1]), 0);
        for (size_t i = 0; i < views[0].count; i++) {
            const size_t c =
                weighted[l].operation == TRAIN_DEPTHWISE ? i % in.channels : i / out % in.channels;
            const double expected =
                (double)views[0].gradient[i] / (power[c] + (double)TRAIN_NORM_EPSILON);

            assert_true(fabs((double)views[1].gradient[i] - expected) <= 1e-6 * fabs(expected));
        }
    }
    train_destroy(plain_train);
    train_destroy(nlms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_train_gradients_smooth),
        cmocka_unit_test(test_train_gradients_bent),
        cmocka_unit_test(test_train_gradients_branches),
        cmocka_unit_test(test_train_gradients_thin),
        cmocka_unit_test(test_train_gradients_held_norms),
        cmocka_unit_test(test_train_norms_divide),
        cmocka_unit_test(test_train_gradients_nlms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
