/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Scores, losses, gradients and three optimiser steps of small networks against values that PyTorch
 * computed once (tests/data/train/make_vectors.py has the same networks), for every instruction set
 * of this machine.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/kernel/cpu.h"
#include "engine/network/safetensors.h"
#include "tests/unit/train/toy.h"

#define STEPS    3u
#define ROUNDING 2e-4f /* both sides add floats in orders of their own */

static const struct train_layer plain[] = {
    {CONV3(5), .bias = true, .activation = TRAIN_RELU},
    {.operation = TRAIN_CONV,
     .out = 6,
     .kernel = {3, 2},
     STRIDE(2, 1),
     .pad = {1, 0},
     .bias = true,
     .activation = TRAIN_RELU,
     .pool = {3, 3},
     .pool_stride = {2, 2}},
    {DENSE(7), .bias = true, .activation = TRAIN_HARD_TANH},
    {DENSE(4), .bias = true},
};

static const struct train_layer norm[] = {
    {CONV3(8), NORM_RELU, POOL2},
    {.operation = TRAIN_CONV,
     .out = 35,
     SQUARE(3),
     STRIDE(1, 1),
     .norm = true,
     .activation = TRAIN_HARD_TANH},
    {DENSE(3), .norm = true},
};

static const struct train_layer residual[] = {
    {CONV3(6), NORM_RELU},
    {.operation = TRAIN_DEPTHWISE, SQUARE(3), STRIDE(1, 1), .pad = {1, 1}, NORM_RELU},
    {.operation = TRAIN_CONV, .out = 6, SQUARE(1), STRIDE(1, 1), .norm = true},
    {.operation = TRAIN_ADD, .other = 2, .activation = TRAIN_RELU},
    {.operation = TRAIN_DEPTHWISE, SQUARE(3), STRIDE(2, 2), .pad = {1, 1}, NORM_RELU},
    {.operation = TRAIN_CONV,
     .out = 40,
     SQUARE(3),
     STRIDE(2, 1),
     .pad = {1, 1},
     .bias = true,
     .activation = TRAIN_RELU},
    {.operation = TRAIN_AVERAGE_POOL, SQUARE(2), STRIDE(1, 2)},
    {.operation = TRAIN_IDENTITY, .pool = {1, 2}, .pool_stride = {1, 1}},
    {.operation = TRAIN_GLOBAL_POOL},
    {DENSE(3), .bias = true},
};

static const struct train_layer s8[] = {
    {CONV3(6), S8, NORM_RELU, POOL2, .output = {.kind = TRAIN_U7, .learned = true}},
    {.operation = TRAIN_DEPTHWISE,
     SQUARE(3),
     STRIDE(1, 1),
     .pad = {1, 1},
     S8,
     NORM_RELU,
     .output = {.kind = TRAIN_U7}},
    {.operation = TRAIN_AVERAGE_POOL, SQUARE(2), STRIDE(2, 2), .output = {.kind = TRAIN_U7}},
    {DENSE(3), S8, .bias = true},
};

static const struct train_layer low[] = {
    {CONV3(8), .norm = true, .activation = TRAIN_HARD_TANH, .pool = {1, 3}, .pool_stride = {1, 3},
     .weights = {.kind = TRAIN_BINARY}, .output = {.kind = TRAIN_BINARY}},
    {CONV3(9), .norm = true, .activation = TRAIN_HARD_TANH, POOL2,
     .weights = {.kind = TRAIN_TERNARY}, .output = {.kind = TRAIN_TERNARY}},
    {CONV3(7), NORM_RELU, .weights = {.kind = TRAIN_LOG, .bits = 3, .fsr = TRAIN_FSR_TRACKED},
     .output = {.kind = TRAIN_LOG, .bits = 3, .fsr = 1}},
    {CONV3(7), NORM_RELU, .weights = {.kind = TRAIN_LOG, .bits = 4, .root = true, .fsr = 0},
     .output = {.kind = TRAIN_LOG, .bits = 4, .root = true, .fsr = TRAIN_FSR_TRACKED}},
    {DENSE(3), .norm = true, .weights = {.kind = TRAIN_TERNARY}},
};

static const struct train_layer gradient[] = {
    {CONV3(5), NORM_RELU, POOL2},
    {CONV3(6), .bias = true, .activation = TRAIN_RELU},
    {DENSE(3), .bias = true},
};

static const struct reference {
    const char *name;
    const struct train_layer *layers;
    uint32_t layer_count;
    uint8_t loss, rule, gradient_bits;
    float served; /* tolerance of scores without learning: wide where biases are rounded to integers
                   */
} references[] = {
    {"plain", plain, LENGTH(plain), TRAIN_SOFTMAX, TRAIN_SGD, 0, ROUNDING},
    {"norm", norm, LENGTH(norm), TRAIN_SQUARED_HINGE, TRAIN_ADAM, 0, ROUNDING},
    {"residual", residual, LENGTH(residual), TRAIN_SOFTMAX, TRAIN_SGD, 0, ROUNDING},
    {"s8", s8, LENGTH(s8), TRAIN_SOFTMAX, TRAIN_SGD, 0, 0.05f},
    {"low", low, LENGTH(low), TRAIN_SQUARED_HINGE, TRAIN_ADAM, 0, ROUNDING},
    {"gradient", gradient, LENGTH(gradient), TRAIN_SOFTMAX, TRAIN_SGD, 5, ROUNDING},
};

static const char *const tensor_names[] = {"weight", "bias", "gamma",    "beta",
                                           "clip",   "mean", "variance", "range"};

static struct network_safetensors *load(const char *name)
{
    struct network_safetensors *file = NULL;
    char path[512];
    static unsigned char bytes[1 << 20];

    snprintf(path, sizeof(path), "%s/tests/data/train/%s.safetensors", SOURCE_ROOT, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t size = fread(bytes, 1, sizeof(bytes), f);
    fclose(f);
    assert_int_equal(network_safetensors_read(bytes, size, &file, NULL), 0);
    return file;
}

static const struct network_tensor *find(const struct network_safetensors *file, const char *name)
{
    const struct network_tensor *tensor = network_safetensors_find(file, name);

    if (tensor == NULL) {
        fail_msg("no tensor %s", name);
    }
    return tensor;
}

/* Within `tolerance` of the largest expected value. */
static void compare(const struct network_tensor *expected, float tolerance, const float *got,
                    size_t count)
{
    const float *want = expected->data;
    float most = 1e-4f;

    assert_int_equal(expected->bytes, count * sizeof(*got));
    for (size_t i = 0; i < count; i++) {
        most = fmaxf(most, fabsf(want[i]));
    }
    for (size_t i = 0; i < count; i++) {
        if (!(fabsf(want[i] - got[i]) <= tolerance * most)) {
            fail_msg("%s[%zu]: %.8g, expected %.8g", expected->name, i, (double)got[i],
                     (double)want[i]);
        }
    }
}

enum purpose { SET, GRADIENTS, VALUES };

/* Set, or compare, every tensor of every layer that the file has under `prefix`. Returns how many.
 */
static uint32_t each_tensor(struct train *train, const struct reference *reference,
                            const struct network_safetensors *file, const char *prefix,
                            enum purpose purpose)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < reference->layer_count; i++) {
        for (uint32_t t = 0; t < LENGTH(tensor_names); t++) {
            struct train_view view;
            char name[64];

            snprintf(name, sizeof(name), "%s.%u.%s", prefix, i, tensor_names[t]);
            const struct network_tensor *tensor = network_safetensors_find(file, name);
            if (tensor == NULL) {
                continue;
            }
            assert_int_equal(train_view(train, i, (enum train_tensor)t, &view), 0);
            if (purpose == SET) {
                assert_int_equal(tensor->bytes, view.count * sizeof(*view.data));
                memcpy(view.data, tensor->data, tensor->bytes);
            } else {
                compare(tensor, ROUNDING, purpose == GRADIENTS ? view.gradient : view.data,
                        view.count);
            }
            count++;
        }
    }
    train_touch(train);
    return count;
}

static void check(const struct reference *reference, uint32_t cpu)
{
    const struct train_optimiser optimiser = {
        .rule = reference->rule,
        .momentum = 0.9f,
        .beta2 = 0.99f,
        .epsilon = 1e-3f,
        .decay = 0.01f,
    };
    const float rate = reference->rule == TRAIN_SGD ? 0.05f : 0.01f;
    struct network_safetensors *file = load(reference->name);
    const struct network_tensor *images = find(file, "images");
    const uint32_t *labels = find(file, "labels")->data;
    const uint32_t count = (uint32_t)images->shape[0];
    const size_t scores = find(file, "scores")->bytes / sizeof(float);
    const struct train_settings settings = {
        .batch = count,
        .cpu = cpu,
        .gradients = {.kind = reference->gradient_bits > 0 ? TRAIN_LOG : TRAIN_F32,
                      .bits = reference->gradient_bits,
                      .fsr = TRAIN_FSR_TRACKED}};
    struct train_result result;
    struct train *train =
        toy_create((struct train_shape){(uint32_t)images->shape[1], (uint32_t)images->shape[2],
                                        (uint32_t)images->shape[3]},
                   reference->layers, reference->layer_count, &settings);

    assert_true(each_tensor(train, reference, file, "first", SET) > 0);
    for (uint32_t step = 0; step < STEPS; step++) {
        train_forward(train, images->data, count, true, NULL);
        train_backward(train, (enum train_loss)reference->loss, labels, NULL, &result);
        if (step == 0) {
            float loss = (float)result.loss;
            compare(find(file, "scores"), ROUNDING, train_scores(train), scores);
            compare(find(file, "loss"), ROUNDING, &loss, 1);
            assert_true(each_tensor(train, reference, file, "gradient", GRADIENTS) > 0);
        }
        train_update(train, &optimiser, rate);
    }
    assert_true(each_tensor(train, reference, file, "last", VALUES) > 0);
    train_forward(train, images->data, count, false, NULL);
    compare(find(file, "served"), reference->served, train_scores(train), scores);
    train_destroy(train);
    network_safetensors_destroy(file);
}

static void test_train_vectors(void **state)
{
    static const char *const masks[] = {"c", "avx2", "avx512"};

    (void)state;
    for (uint32_t m = 0; m < LENGTH(masks); m++) {
        uint32_t mask = 0;

        assert_int_equal(kernel_cpu_mask_parse(masks[m], &mask), 0);
        for (uint32_t i = 0; i < LENGTH(references); i++) {
            print_message("%s on %s\n", references[i].name, masks[m]);
            check(&references[i], kernel_cpu_detect() & mask);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_train_vectors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
