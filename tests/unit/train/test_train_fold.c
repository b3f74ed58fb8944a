/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * A trained network with s8 weights and u7 outputs, packed by train_fold and run by engine/network,
 * gives the scores of the trainer's own pass, bit for bit; and what cannot be packed is refused.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/network/model.h"
#include "tests/unit/train/toy.h"

#define BATCH    40u
#define SIDE     13u
#define CHANNELS 6u
#define VALUES   (SIDE * SIDE * CHANNELS)
#define WEIGHTED 3u

#define U7         .output = {.kind = TRAIN_U7}
#define U7_LEARNED .output = {.kind = TRAIN_U7, .learned = true}

static const struct train_layer layers[] = {
    {CONV3(20), S8, NORM_RELU, POOL2, U7_LEARNED},
    {.operation = TRAIN_CONV,
     .out = 33,
     .kernel = {2, 3},
     STRIDE(1, 2),
     .pad = {0, 1},
     S8,
     .bias = true,
     .activation = TRAIN_RELU,
     U7},
    {.operation = TRAIN_AVERAGE_POOL, SQUARE(2), STRIDE(2, 1), U7},
    {DENSE(4), S8, .bias = true},
};

static float images[BATCH * VALUES];
static uint32_t labels[BATCH];

/* The packed twin of `layers`, its max pool a layer of its own. */
struct packed {
    struct train_fold fold[WEIGHTED];
    int32_t *bias[WEIGHTED];
    struct network_layer layers[5];
    struct network_description description;
    struct network_point point;
};

static void fill(struct packed *packed, const struct train *train)
{
    static const uint32_t from[WEIGHTED] = {0, 1, 3}, to[WEIGHTED] = {0, 2, 4};
    static const char *const names[WEIGHTED] = {"conv1", "conv2", "fc"};
    static const char *const classes[] = {"a", "b", "c", "d"};
    struct network_layer *l = packed->layers;

    l[0] = (struct network_layer){.kernel = {3, 3}, .stride = {1, 1}, .pad = {1, 1}, .relu = true};
    l[1] = (struct network_layer){.op = NETWORK_OP_MAXPOOL, .kernel = {2, 2}, .stride = {2, 2}};
    l[2] = (struct network_layer){.kernel = {2, 3}, .stride = {1, 2}, .pad = {0, 1}, .relu = true};
    l[3] = (struct network_layer){.op = NETWORK_OP_AVGPOOL, .kernel = {2, 2}, .stride = {2, 1}};
    l[4] = (struct network_layer){.op = NETWORK_OP_DENSE, .output = NETWORK_OUTPUT_SCORES};
    for (uint32_t i = 0; i < 5; i++) {
        l[i].input = i;
    }
    for (uint32_t i = 0; i < WEIGHTED; i++) {
        struct train_fold *fold = &packed->fold[i];
        struct network_layer *layer = &l[to[i]];
        struct train_view view;

        assert_int_equal(train_view(train, from[i], TRAIN_WEIGHT, &view), 0);
        layer->out = train_layer_shape(train, from[i]).channels;
        layer->name = names[i];
        layer->weight_s8 = fold->weights = malloc(view.count);
        layer->bias_s32 = packed->bias[i] = calloc(layer->out, sizeof(int32_t));
        layer->mult = fold->mult = calloc(layer->out, sizeof(int32_t));
        fold->bias = calloc(layer->out, sizeof(int64_t));
        assert_int_equal(train_fold(train, from[i], fold), 0);
        for (uint32_t c = 0; c < layer->out; c++) {
            packed->bias[i][c] = (int32_t)fold->bias[c];
        }
        layer->preshift = fold->preshift;
        layer->shift = fold->shift;
    }
    packed->description = (struct network_description){
        .name = "toy",
        .label_count = 4,
        .labels = classes,
        .point_count = 1,
        .points = &packed->point,
    };
    packed->point = (struct network_point){
        .name = "default",
        .layer_count = 5,
        .layers = l,
        .input = {.target = {.width = SIDE, .height = SIDE, .channels = 3},
                  .front = {.planes = 3, .floor = 64, .ratio = {{9, 8}}}},
    };
}

static void release(struct packed *packed)
{
    for (uint32_t i = 0; i < WEIGHTED; i++) {
        free(packed->fold[i].weights);
        free(packed->fold[i].bias);
        free(packed->bias[i]);
        free(packed->fold[i].mult);
    }
}

/* Runs each image through the packed model. */
static void compare(const struct packed *packed, const struct train *train)
{
    struct network_model *model;
    struct network_plan *plan;
    struct kernel_table kernels;
    const char *reason = "";
    void *bytes;
    size_t size;
    int8_t codes[VALUES];
    int32_t scores[4];

    kernel_table_init(&kernels, kernel_cpu_detect());
    if (network_model_write(&packed->description, &bytes, &size, &reason) < 0) {
        fail_msg("%s", reason);
    }
    assert_int_equal(network_model_load(bytes, size, &model, NULL), 0);
    assert_int_equal(network_plan_create(model, 0, 1, &kernels, &plan), 0);
    void *arena = aligned_alloc(64, (network_plan_arena_bytes(plan) + 63) / 64 * 64);
    for (uint32_t i = 0; i < BATCH; i++) {
        for (uint32_t k = 0; k < VALUES; k++) {
            codes[k] = (int8_t)images[i * VALUES + k];
        }
        network_run(plan, arena, codes, scores);
        for (uint32_t c = 0; c < 4; c++) {
            assert_int_equal(scores[c], lrintf(train_scores(train)[i * 4 + c] * 65536.0f));
        }
    }
    free(arena);
    network_plan_destroy(plan);
    network_model_destroy(model);
    free(bytes);
}

static void draw(uint64_t seed)
{
    toy_images(seed, BATCH, SIDE, CHANNELS, images, labels);
}

static struct train *learn(uint32_t steps)
{
    const struct train_settings settings = {.batch = BATCH, .cpu = kernel_cpu_detect(), .seed = 9};
    const struct train_optimiser sgd = {.momentum = 0.9f};
    struct train *train =
        toy_create((struct train_shape){SIDE, SIDE, CHANNELS}, layers, LENGTH(layers), &settings);
    struct train_result result;
    struct train_view gamma;

    assert_int_equal(train_view(train, 0, TRAIN_GAMMA, &gamma), 0);
    gamma.data[3] = -0.5f; /* its windows take the smallest sum */
    for (uint32_t i = 0; i < steps; i++) {
        draw(i);
        train_forward(train, images, BATCH, true, NULL);
        train_backward(train, TRAIN_SOFTMAX, labels, NULL, &result);
        train_update(train, &sgd, 0.02f);
    }
    return train;
}

static void test_train_fold_is_the_packed_network(void **state)
{
    (void)state;
    struct train *train = learn(12);
    struct packed packed;
    struct train_result result;

    draw(100);
    train_forward(train, images, BATCH, false, NULL);
    train_measure(train, TRAIN_SOFTMAX, labels, &result);
    assert_true(result.correct > BATCH / 2); /* scores that tell classes apart are compared */
    fill(&packed, train);
    compare(&packed, train);
    release(&packed);
    train_destroy(train);
}

/* 2^15 + 2^-15 - 2^15: float loses the middle one, a packed network's sums do not. */
static void test_train_fold_adds_powers_exactly(void **state)
{
    static const struct train_layer powers[] = {
        {DENSE(3), .bias = true, .activation = TRAIN_RELU,
         .output = {.kind = TRAIN_LOG, .bits = 5, .fsr = 16}},
        {DENSE(1), .bias = true, .activation = TRAIN_RELU,
         .weights = {.kind = TRAIN_LOG, .bits = 3, .fsr = 1},
         .output = {.kind = TRAIN_LOG, .bits = 3, .fsr = -11}},
        {DENSE(2), .bias = true},
    };
    static const float first[] = {0x1p15f, 0x1p-15f, 0x1p15f}, second[] = {1, 1, -1}, image = 1;
    const struct train_settings settings = {.batch = 1, .cpu = kernel_cpu_detect()};
    struct train *train =
        toy_create((struct train_shape){1, 1, 1}, powers, LENGTH(powers), &settings);
    struct train_view view;
    float step;

    (void)state;
    assert_int_equal(train_view(train, 0, TRAIN_WEIGHT, &view), 0);
    memcpy(view.data, first, sizeof(first));
    assert_int_equal(train_view(train, 1, TRAIN_WEIGHT, &view), 0);
    memcpy(view.data, second, sizeof(second));
    train_touch(train);
    train_forward(train, &image, 1, false, NULL);
    assert_true(train_output(train, 0, &step)[1] == 0x1p-15f);
    assert_true(train_output(train, 1, &step)[0] == 0x1p-15f);
    train_destroy(train);
}

static void test_train_fold_refuses(void **state)
{
    struct train *train = learn(1);
    struct train_fold fold = {0};
    struct train_view gamma;

    (void)state;
    train_forward(train, images, BATCH, true, NULL); /* learning: batch statistics */
    assert_int_equal(train_fold(train, 0, &fold), -ENOTSUP);
    train_forward(train, images, BATCH, false, NULL);
    assert_int_equal(train_fold(train, 2, &fold), -ENOTSUP); /* a pool */
    assert_int_equal(train_view(train, 0, TRAIN_GAMMA, &gamma), 0);
    gamma.data[1] = 0.0f; /* no multiplier makes a constant of it */
    train_touch(train);
    train_forward(train, images, BATCH, false, NULL);
    assert_int_equal(train_fold(train, 0, &fold), -ENOTSUP);
    train_destroy(train);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_train_fold_is_the_packed_network),
        cmocka_unit_test(test_train_fold_adds_powers_exactly),
        cmocka_unit_test(test_train_fold_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
