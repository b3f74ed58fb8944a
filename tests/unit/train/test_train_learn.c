/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * A toy problem that every coding, rule and loss must learn, and that walking uphill must not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/kernel/cpu.h"
#include "tests/unit/train/toy.h"

#define BATCH    32u
#define SIDE     10u
#define CHANNELS 2u
#define STEPS    80u
#define VALUES   (SIDE * SIDE * CHANNELS)

#define LOG4                                                                                       \
    {                                                                                              \
        .kind = TRAIN_LOG, .bits = 4, .fsr = TRAIN_FSR_TRACKED                                     \
    }
#define LOG3ROOT                                                                                   \
    {                                                                                              \
        .kind = TRAIN_LOG, .bits = 3, .root = true, .fsr = TRAIN_FSR_TRACKED                       \
    }
#define LEVELS4                                                                                    \
    {                                                                                              \
        .kind = TRAIN_LEVELS, .bits = 4, .fsr = TRAIN_FSR_TRACKED                                  \
    }

static const struct train_layer f32[] = {
    {CONV3(8), NORM_RELU, POOL2}, {CONV3(8), NORM_RELU, POOL2}, {DENSE(4), .bias = true}};

static const struct train_layer s8[] = {
    {CONV3(8), S8, NORM_RELU, POOL2, .output = {.kind = TRAIN_U7, .learned = true}},
    {CONV3(8), S8, NORM_RELU, POOL2, .output = {.kind = TRAIN_U7}},
    {DENSE(4), S8, .bias = true}};

static const struct train_layer ternary[] = {
    {CONV3(12), NORM_TANH, POOL2, .weights = {.kind = TRAIN_TERNARY},
     .output = {.kind = TRAIN_TERNARY}},
    {CONV3(12), NORM_TANH, POOL2, .weights = {.kind = TRAIN_TERNARY},
     .output = {.kind = TRAIN_TERNARY}},
    {DENSE(4), .norm = true, .weights = {.kind = TRAIN_TERNARY}}};

static const struct train_layer binary[] = {
    {CONV3(16), NORM_TANH, POOL2, .weights = {.kind = TRAIN_BINARY},
     .output = {.kind = TRAIN_BINARY}},
    {CONV3(16), NORM_TANH, POOL2, .weights = {.kind = TRAIN_BINARY},
     .output = {.kind = TRAIN_BINARY}},
    {DENSE(4), .norm = true, .weights = {.kind = TRAIN_BINARY}}};

static const struct train_layer powers[] = {
    {CONV3(8), NORM_RELU, POOL2, .weights = LOG4, .output = LOG3ROOT},
    {CONV3(8), NORM_RELU, POOL2, .weights = LOG3ROOT, .output = LOG4},
    {DENSE(4), .bias = true, .weights = LOG4}};

static const struct train_layer levels[] = {
    {CONV3(8), NORM_RELU, POOL2, .weights = LEVELS4, .output = LEVELS4},
    {CONV3(8), NORM_RELU, POOL2, .weights = LEVELS4, .output = LEVELS4},
    {DENSE(4), .bias = true, .weights = LEVELS4}};

static const struct problem {
    const char *name;
    const struct train_layer *layers;
    uint8_t loss, rule;
    uint8_t gradients, gradient_bits; /* their coding */
    float rate;
    double loss_below; /* mean of the last ten steps; the first is about 1.4 (softmax), 1 to 2
                          (hinge) */
    uint32_t correct;  /* at least, of 256 new images, without batch statistics */
} problems[] = {
    {"f32", f32, TRAIN_SOFTMAX, TRAIN_SGD, TRAIN_F32, 0, 0.05f, 0.02, 252},
    {"f32, hinge, Adam", f32, TRAIN_SQUARED_HINGE, TRAIN_ADAM, TRAIN_F32, 0, 0.01f, 0.03, 252},
    {"f32, gradients of 5 bits", f32, TRAIN_SOFTMAX, TRAIN_SGD, TRAIN_LOG, 5, 0.05f, 0.02, 252},
    {"s8", s8, TRAIN_SOFTMAX, TRAIN_SGD, TRAIN_F32, 0, 0.05f, 0.02, 252},
    {"ternary", ternary, TRAIN_SQUARED_HINGE, TRAIN_ADAM, TRAIN_F32, 0, 0.01f, 0.25, 240},
    {"binary", binary, TRAIN_SQUARED_HINGE, TRAIN_ADAM, TRAIN_F32, 0, 0.01f, 0.25, 240},
    {"log", powers, TRAIN_SOFTMAX, TRAIN_SGD, TRAIN_F32, 0, 0.05f, 0.02, 250},
    {"linear", levels, TRAIN_SOFTMAX, TRAIN_SGD, TRAIN_LEVELS, 5, 0.05f, 0.02, 250},
};

static float images[BATCH * VALUES];
static uint32_t labels[BATCH];

static double learn(struct train *train, const struct problem *problem, float sign)
{
    const struct train_schedule schedule = {.kind = TRAIN_COSINE,
                                            .rate = problem->rate,
                                            .final = problem->rate / 10,
                                            .warmup = 5,
                                            .steps = STEPS};
    const struct train_optimiser optimiser = {
        .rule = problem->rule, .momentum = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f, .decay = 1e-4f};
    double last = 0;

    for (uint32_t step = 0; step < STEPS; step++) {
        struct train_result result;

        toy_images(step, BATCH, SIDE, CHANNELS, images, labels);
        train_forward(train, images, BATCH, true, NULL);
        train_backward(train, (enum train_loss)problem->loss, labels, NULL, &result);
        train_update(train, &optimiser, sign * train_rate(&schedule, step));
        last += step + 10 >= STEPS ? result.loss / 10 : 0;
    }
    return last;
}

static uint32_t serve(struct train *train, const struct problem *problem)
{
    uint32_t correct = 0;

    for (uint32_t i = 0; i < 8; i++) {
        struct train_result result;

        toy_images(1000 + i, BATCH, SIDE, CHANNELS, images, labels);
        train_forward(train, images, BATCH, false, NULL);
        train_measure(train, (enum train_loss)problem->loss, labels, &result);
        correct += result.correct;
    }
    return correct;
}

static struct train *make(const struct problem *problem)
{
    const struct train_settings settings = {.batch = BATCH,
                                            .cpu = kernel_cpu_detect(),
                                            .seed = 5,
                                            .gradients = {.kind = problem->gradients,
                                                          .bits = problem->gradient_bits,
                                                          .fsr = TRAIN_FSR_TRACKED}};

    return toy_create((struct train_shape){SIDE, SIDE, CHANNELS}, problem->layers, 3, &settings);
}

static void test_train_learn_downhill(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < LENGTH(problems); i++) {
        struct train *train = make(&problems[i]);
        double loss = learn(train, &problems[i], 1.0f);
        uint32_t correct = serve(train, &problems[i]);

        print_message("%-26s loss %.4f, %u of 256\n", problems[i].name, loss, correct);
        assert_true(loss < problems[i].loss_below);
        assert_true(correct >= problems[i].correct);
        train_destroy(train);
    }
}

static void test_train_learn_uphill(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < LENGTH(problems); i++) {
        struct train *train = make(&problems[i]);

        assert_false(learn(train, &problems[i], -1.0f) < 1.0);
        train_destroy(train);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_train_learn_downhill),
        cmocka_unit_test(test_train_learn_uphill),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
