/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* A written model gives the scores of the trainer that it was written from: a float model nearly, a
 * packed one exactly. */
#include <errno.h>
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
#include "engine/kernel/kernel.h"
#include "engine/lab/master.h"

#define WIDTH    14u
#define HEIGHT   11u
#define CHANNELS 6u
#define CODES    (WIDTH * HEIGHT * CHANNELS)
#define IMAGES   8u
#define CLASSES  3u

#define HEAD                                                                                       \
    "[model]\nname = m\n[input]\nsource = log-gradient\nwidth = 14\nheight = 11\nplanes = rgb\n"   \
    "coding = ternary\nratio = 9/8\nfloor = 64\n"
#define TAIL                                                                                       \
    "[layer fc]\nop = dense\nout = 3\n[quantise]\nweights = f32\nactivations = f32\n"              \
    "[train]\nrate = 0.1\nepochs = 1\n"

static const char convolutions[] =
    HEAD "[layer a]\nop = conv\nout = 5\nkernel = 3x5\npad = 1x2\nnorm = yes\npool = 2x3\n"
         "[layer b]\nop = conv\nout = 7\nkernel = 3\nstride = 1x2\npad = 1x0\n"
         "[layer hidden]\nop = dense\nout = 9\nnorm = yes\n" TAIL;
static const char pools[] = HEAD "[layer a]\nop = conv\nout = 5\nkernel = 2\nnorm = yes\n"
                                 "[layer b]\nop = avgpool\nkernel = 2x3\nstride = 1x2\n"
                                 "[layer c]\nop = globalavgpool\n" TAIL;

/* The sum is read by two layers, the second of which reads past the first. */
static const char graphs[] =
    HEAD "[layer a]\nop = conv\nout = 5\nkernel = 3\npad = 1\nnorm = yes\npool = 2\n"
         "[layer deep]\nop = depthwise\nkernel = 3x5\npad = 1x2\nnorm = yes\nactivation = none\n"
         "[layer sum]\nop = add\nwith = a\n"
         "[layer b]\nop = conv\nout = 5\nkernel = 1\n"
         "[layer c]\nop = depthwise\nkernel = 3\npad = 1\ninput = sum\n"
         "[layer both]\nop = add\ninput = c\nwith = b\nactivation = none\npool = 2\n" TAIL;

/* nlms is how weights learn: the model has a bias in its place. */
static const char steps[] = HEAD "[layer a]\nop = conv\nout = 5\nkernel = 3\nnorm = nlms\n"
                                 "[layer hidden]\nop = dense\nout = 9\nnorm = nlms\n" TAIL;

/* Coarse codings of weights and outputs, in convolutions with a pool and in dense layers. */
#define COARSE(weights, outputs)                                                                   \
    HEAD "[layer a]\nop = conv\nout = 5\nkernel = 3x5\npad = 1x2\nnorm = yes\npool = 2x3\n"        \
         "[layer b]\nop = conv\nout = 9\nkernel = 2\nnorm = yes\n"                                 \
         "[layer c]\nop = dense\nout = 11\nnorm = yes\n"                                           \
         "[layer fc]\nop = dense\nout = 3\nnorm = yes\n[quantise]\nweights = " weights             \
         "\nactivations = " outputs "\n[train]\nrate = 0.1\nepochs = 1\n"

static const char *const coarse[] = {
    COARSE("binary", "binary"), COARSE("ternary", "ternary"),
    COARSE("s8", "ternary"),    COARSE("ternary", "u7"),
    COARSE("log:3", "log:3"),   COARSE("log:2", "u7"),
    COARSE("binary", "log:4"), /* wide sums */
    COARSE("log:4", "binary"),  COARSE("s8", "log:2"),
    COARSE("log:3", "log:4"), /* sums that float does not hold */
    COARSE("log:4", "log:4"),
};

/* Codes of any image, -1, 0 or 1. */
static int8_t code(uint32_t image, uint32_t i)
{
    return (int8_t)(train_random(3, image, i) % 3) - 1;
}

/* Statistics away from their first values, and gammas, betas and biases, too. */
static void disturb(struct train *train, uint32_t layers, const float *images)
{
    static const enum train_tensor tensors[] = {TRAIN_BIAS, TRAIN_GAMMA, TRAIN_BETA};
    for (uint32_t i = 0; i < layers; i++) {
        for (size_t t = 0; t < sizeof(tensors) / sizeof(tensors[0]); t++) {
            struct train_view view = {0};
            (void)train_view(train, i, tensors[t], &view);
            for (size_t v = 0; v < view.count; v++) {
                view.data[v] += (float)(train_random(4, i * 8 + t, v) % 1000) / 1000;
                view.data[v] *= tensors[t] == TRAIN_GAMMA && v % 3 == 1 ? -1 : 1;
            }
        }
    }
    train_touch(train);
    for (int i = 0; i < 20; i++) {
        train_forward(train, images, IMAGES, true, NULL);
    }
    train_forward(train, images, IMAGES, false, NULL);
}

static struct train *make_trainer(const struct lab_recipe *recipe)
{
    static float images[IMAGES * CODES];
    const struct train_network network = {
        {HEIGHT, WIDTH, CHANNELS}, recipe->layer_count, recipe->layers};
    const struct train_settings settings = {.batch = IMAGES, .cpu = kernel_cpu_detect()};
    struct train *train;
    const char *reason = "";
    if (train_create(&network, &settings, &train, &reason) < 0) {
        fail_msg("%s", reason);
    }
    for (uint32_t i = 0; i < IMAGES * CODES; i++) {
        images[i] = code(i / CODES, i % CODES);
    }
    disturb(train, recipe->layer_count, images);
    return train;
}

static void compare_scores(const struct network_model *model, const float *expected, float within)
{
    struct kernel_table kernels;
    struct network_plan *plan;
    kernel_table_init(&kernels, kernel_cpu_detect());
    assert_int_equal(network_plan_create(model, 0, 1, &kernels, &plan), 0);
    size_t bytes = (network_plan_arena_bytes(plan) + 63) / 64 * 64;
    void *arena = aligned_alloc(64, bytes);
    assert_non_null(arena);
    float least = expected[0], most = expected[0];
    for (uint32_t image = 0; image < IMAGES; image++) {
        int8_t codes[CODES];
        int32_t scores[CLASSES];
        for (uint32_t i = 0; i < CODES; i++) {
            codes[i] = code(image, i);
        }
        network_run(plan, arena, codes, scores);
        for (uint32_t c = 0; c < CLASSES; c++) {
            float want = expected[image * CLASSES + c];
            assert_float_equal((float)scores[c] / 65536, want, within);
            least = fminf(least, want);
            most = fmaxf(most, want);
        }
    }
    assert_true(most - least > 0.1f); /* else everything is close to everything */
    free(arena);
    network_plan_destroy(plan);
}

static void check(const char *text)
{
    static const char *const labels[] = {"x", "y", "z"};
    static struct lab_recipe recipe;
    struct network_model *model;
    const char *reason = "";
    void *bytes;
    size_t size;
    assert_int_equal(lab_recipe_parse("text", text, strlen(text), &recipe), 0);
    struct train *train = make_trainer(&recipe);
    if (lab_master_write(&recipe, train, labels, CLASSES, "{\"by\":\"me\"}", &bytes, &size,
                         &reason) < 0) {
        fail_msg("%s", reason);
    }
    assert_int_equal(network_model_load(bytes, size, &model, NULL), 0);
    assert_string_equal(network_model_name(model), "m");
    assert_string_equal(network_model_label(model, 2), "z");
    assert_string_equal(network_model_describe(model)->provenance, "{\"by\":\"me\"}");
    compare_scores(model, train_scores(train), lab_master_is_coarse(&recipe) ? 0 : 1e-3f);
    network_model_destroy(model);
    free(bytes);
    train_destroy(train);
}

static void test_convolutions_norms_and_dense_layers(void **state)
{
    (void)state;
    check(convolutions);
}

static void test_pools(void **state)
{
    (void)state;
    check(pools);
}

static void test_depthwise_layers_and_sums(void **state)
{
    (void)state;
    check(graphs);
}

static void test_nlms(void **state)
{
    (void)state;
    check(steps);
}

static void test_norms_for_studies_are_refused(void **state)
{
    static const char *const texts[] = {
        HEAD "[layer a]\nop = conv\nout = 5\nkernel = 3\nnorm = amplify\n" TAIL,
        HEAD "[layer a]\nop = conv\nout = 5\nkernel = 3\nnorm = suppress\n" TAIL,
        HEAD "[layer a]\nop = conv\nout = 5\nkernel = 3\nnorm = center\n" TAIL};
    static const char *const labels[] = {"x", "y", "z"};
    static struct lab_recipe recipe;
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const char *reason = "";
        void *bytes;
        size_t size;
        assert_int_equal(lab_recipe_parse("text", texts[i], strlen(texts[i]), &recipe), 0);
        struct train *train = make_trainer(&recipe);
        assert_int_equal(
            lab_master_write(&recipe, train, labels, CLASSES, "{}", &bytes, &size, &reason),
            -ENOTSUP);
        assert_non_null(strstr(reason, "batch norm alone"));
        assert_int_equal(
            lab_master_pack(&recipe, train, labels, CLASSES, "{}", &bytes, &size, &reason),
            -ENOTSUP);
        train_destroy(train);
    }
}

static void test_coarse_codings_are_packed_exactly(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(coarse) / sizeof(coarse[0]); i++) {
        check(coarse[i]);
    }
}

static void test_what_has_no_packed_form(void **state)
{
    static struct lab_recipe recipe;
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {COARSE("log:3:sqrt2", "u7"), "sqrt 2"},
        {COARSE("binary", "f32"), "no floats"},
        {COARSE("f32", "binary"), "no floats"},
        {COARSE("linear:3", "u7"), "linear codes"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *reason = "";
        assert_int_equal(lab_recipe_parse("text", cases[i].text, strlen(cases[i].text), &recipe),
                         0);
        assert_int_equal(lab_master_check(&recipe, &reason), -ENOTSUP);
        assert_non_null(strstr(reason, cases[i].reason));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convolutions_norms_and_dense_layers),
        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_depthwise_layers_and_sums),
        cmocka_unit_test(test_nlms),
        cmocka_unit_test(test_norms_for_studies_are_refused),
        cmocka_unit_test(test_coarse_codings_are_packed_exactly),
        cmocka_unit_test(test_what_has_no_packed_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
