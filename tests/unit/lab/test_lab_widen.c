/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* A widened network gives the scores of the narrow one; networks that do not fit are refused. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/kernel/cpu.h"
#include "engine/lab/widen.h"
#include "engine/network/network.h"

#define IMAGES 3u
#define SIDE   8u

static const char head[] = "[model]\nname = w\n[input]\nsource = log-gradient\nwidth = 8\n"
                           "height = 8\nplanes = grey\ncoding = ternary\nratio = 9/8\nfloor = 64\n"
                           "[quantise]\nweights = binary\nactivations = binary\n"
                           "[train]\nloss = squared-hinge\nrate = 0.01\nepochs = 1\n";

/* Two convolutions of `first` and `second` channels, and scores. */
static void make(uint32_t first, uint32_t second, const char *kernel, const char *norm,
                 struct lab_recipe *recipe, struct train **ret_train)
{
    char text[1024];
    snprintf(text, sizeof(text),
             "%s[layer a]\nop = conv\nout = %u\nkernel = %s\nnorm = yes\n"
             "[layer b]\nop = conv\nout = %u\nkernel = 2\nnorm = %s\npool = 2\n"
             "[layer c]\nop = dense\nout = 3\nnorm = yes\n",
             head, first, kernel, second, norm);
    assert_int_equal(lab_recipe_parse("w.ini", text, strlen(text), recipe), 0);
    const struct network_shape in = network_input_shape(&recipe->input);
    const struct train_network network = {
        {in.height, in.width, in.channels}, recipe->layer_count, recipe->layers};
    const struct train_settings settings = {
        .batch = IMAGES, .cpu = kernel_cpu_detect(), .seed = first};
    assert_int_equal(train_create(&network, &settings, ret_train, NULL), 0);
}

/* Running statistics and norms as if it had learned. */
static void spoil(struct train *train)
{
    static const enum train_tensor tensors[] = {TRAIN_GAMMA, TRAIN_BETA, TRAIN_MEAN,
                                                TRAIN_VARIANCE};
    for (uint32_t l = 0; l < 3; l++) {
        for (uint32_t t = 0; t < 4; t++) {
            struct train_view view;
            assert_int_equal(train_view(train, l, tensors[t], &view), 0);
            for (size_t i = 0; i < view.count; i++) {
                float r = (float)(train_random(4, 4 * l + t, i) >> 40) * 0x1p-24f;
                view.data[i] = tensors[t] == TRAIN_VARIANCE ? 16.0f + r
                               : tensors[t] == TRAIN_MEAN   ? 9.0f * (r - 0.5f)
                                                            : r - 0.3f;
            }
        }
    }
    train_touch(train);
}

/* By running statistics, or by those of the pictures. */
static void score(struct train *train, bool learn, float scores[IMAGES * 3])
{
    static float images[IMAGES * SIDE * SIDE * 2];
    for (uint32_t i = 0; i < IMAGES * SIDE * SIDE * 2; i++) {
        images[i] = (float)(train_random(2, 0, i) % 3) - 1.0f;
    }
    train_forward(train, images, IMAGES, learn, NULL);
    memcpy(scores, train_scores(train), IMAGES * 3 * sizeof(*scores));
}

static void test_scores_stay(void **state)
{
    struct lab_recipe recipes[2];
    struct train *narrow, *wide;
    const char *reason = NULL;
    float before[IMAGES * 3], after[IMAGES * 3], noisy[IMAGES * 3], learning[2][IMAGES * 3];
    (void)state;
    make(4, 6, "3", "yes", &recipes[0], &narrow);
    make(8, 18, "3", "yes", &recipes[1], &wide);
    spoil(narrow);
    score(narrow, false, before);
    assert_int_equal(lab_widen(&recipes[0], narrow, &recipes[1], wide, 0.0f, 1, &reason), 0);
    score(wide, false, after);
    score(narrow, true, learning[0]);
    score(wide, true, learning[1]);
    for (uint32_t i = 0; i < IMAGES * 3; i++) { /* packed ones have rounded biases */
        assert_true(fabsf(before[i] - after[i]) < 0.1f);
        assert_true(fabsf(learning[0][i] - learning[1][i]) < 1e-4f);
    }
    assert_true(before[0] != before[1]);
    assert_int_equal(lab_widen(&recipes[0], narrow, &recipes[1], wide, 4.0f, 1, &reason), 0);
    score(wide, false, noisy);
    assert_memory_not_equal(after, noisy, sizeof(after));
    train_destroy(narrow);
    train_destroy(wide);
}

static void test_what_does_not_fit_is_refused(void **state)
{
    static const struct {
        uint32_t first, second;
        const char *kernel, *norm, *reason;
    } cases[] = {
        {8, 7, "3", "yes", "multiple"},
        {8, 6, "2", "yes", "kernels"},
        {8, 6, "3", "amplify", "batch norm"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lab_recipe recipes[2];
        struct train *narrow, *wide;
        const char *reason = NULL;
        make(4, 6, "3", "yes", &recipes[0], &narrow);
        make(cases[i].first, cases[i].second, cases[i].kernel, cases[i].norm, &recipes[1], &wide);
        assert_int_equal(lab_widen(&recipes[0], narrow, &recipes[1], wide, 0.0f, 1, &reason),
                         -EINVAL);
        assert_non_null(strstr(reason, cases[i].reason));
        train_destroy(narrow);
        train_destroy(wide);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scores_stay),
        cmocka_unit_test(test_what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
