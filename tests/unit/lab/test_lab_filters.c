/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Pruning of first-layer filters: similarity of known filters, a filter that does nothing leaves
 * without a trace, and ocellus-lab prune from a run directory to a model.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/lab/file.h"
#include "engine/lab/filters.h"
#include "engine/lab/lab.h"
#include "engine/lab/model.h"
#include "engine/lab/options.h"
#include "engine/lab/threads.h"
#include "tests/unit/lab/folder.h"

#define PICTURES 16u /* of a class */
#define FILTERS  4u

static const char recipe_text[] = "[model]\nname = tiny\n"
                                  "[input]\nsource = srgb\nwidth = 16\nheight = 16\n"
                                  "planes = rgb\ncoding = f32\n"
                                  "[layer conv1]\nop = conv\nout = 4\nkernel = 3\npad = 1\n"
                                  "norm = yes\npool = 2\n"
                                  "[layer mean]\nop = avgpool\nkernel = 2\n"
                                  "[layer fc]\nop = dense\nout = 2\n"
                                  "[quantise]\nweights = f32\nactivations = f32\n"
                                  "[train]\nrate = 0.01\nepochs = 2\nbatch = 8\n";

static void draw_class(enum picture picture)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/train/%s", root, picture_name(picture));
    assert_int_equal(mkdir(path, 0700), 0);
    for (uint32_t i = 0; i < PICTURES; i++) {
        size_t size;
        uint8_t *bytes = picture_ppm(picture, 20 + i, 20 + i, &size);
        assert_non_null(bytes);
        snprintf(path, sizeof(path), "%s/train/%s/%02u.ppm", root, picture_name(picture), i);
        assert_int_equal(lab_file_write(path, bytes, size), 0);
        free(bytes);
    }
}

static int make_pictures(void **state)
{
    if (make_root(state) != 0 || mkdir(at("train"), 0700) != 0) {
        return -1;
    }
    draw_class(PICTURE_DISC);
    draw_class(PICTURE_STRIPES);
    return lab_file_write(at("r.ini"), recipe_text, strlen(recipe_text));
}

static void test_similarity_of_known_filters(void **state)
{
    (void)state;
    /* Columns: a, -2a, one at a right angle to both, one at 45 degrees to a. */
    static const float weights[] = {1, -2, 0, 1,  /* tap 0 */
                                    0, 0,  3, 1}; /* tap 1 */
    struct lab_similarity similarity;
    lab_filters_compare(weights, 2, 4, &similarity);
    double half = 1.0 / sqrt(2.0);
    assert_true(fabs(similarity.mean - (1.0 + 3.0 * half) / 6.0) < 1e-6);
    assert_true(fabs(similarity.most - 1.0) < 1e-6);
    assert_int_equal(similarity.redundant, 0); /* a is the shorter one */

    static const float swapped[] = {-2, 1, 0, 0, 0, 3};
    lab_filters_compare(swapped, 2, 3, &similarity);
    assert_int_equal(similarity.redundant, 1);

    static const float empty[] = {1, 0, 0, 0}; /* (1, 0) and (0, 0) */
    lab_filters_compare(empty, 2, 2, &similarity);
    assert_true(similarity.most == 1.0);
    assert_int_equal(similarity.redundant, 1);
    lab_filters_compare(weights, 8, 1, &similarity);
    assert_true(similarity.mean == 1.0);
}

struct bench {
    struct kernel_table kernels;
    struct lab_recipe recipe;
    struct lab_samples samples;
    struct lab_threads *threads;
    struct train_workers workers;
    struct lab_learner learner;
    struct lab_pruning pruning;
};

static struct bench *open_bench(void)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    const char *reason = NULL;
    assert_non_null(bench);
    kernel_table_init(&bench->kernels, kernel_cpu_detect());
    assert_int_equal(lab_recipe_parse("r.ini", recipe_text, strlen(recipe_text), &bench->recipe),
                     0);
    assert_int_equal(
        lab_samples_init(&bench->samples, at("train"), &bench->recipe.input, &bench->kernels), 0);
    assert_int_equal(lab_threads_create(1, &bench->threads), 0);
    bench->workers = (struct train_workers){lab_threads_run, bench->threads};
    assert_int_equal(lab_learner_init(&bench->learner, &bench->recipe, &bench->samples, 3,
                                      kernel_cpu_detect(), &bench->workers, &reason),
                     0);
    return bench;
}

static void close_bench(struct bench *bench)
{
    lab_pruning_finish(&bench->pruning);
    lab_learner_finish(&bench->learner);
    lab_threads_destroy(bench->threads);
    lab_samples_finish(&bench->samples);
    free(bench);
}

static int start(struct bench *bench)
{
    const char *reason = NULL;
    int r = lab_pruning_init(&bench->pruning, &bench->recipe, bench->learner.train, &bench->samples,
                             3, kernel_cpu_detect(), &bench->workers, &reason);
    assert_true(r == 0 || reason);
    return r;
}

/* Scores of the first pictures. */
static void score(struct lab_learner *learner, float scores[8])
{
    static const uint32_t order[] = {0, 1, 2, 3};
    lab_batch_fill(&learner->batch, learner->data, order, 4, NULL, learner->workers);
    train_forward(learner->train, learner->batch.images, 4, false, learner->workers);
    memcpy(scores, train_scores(learner->train), 8 * sizeof(*scores));
}

static struct train_view view(struct lab_learner *learner, enum train_tensor tensor)
{
    struct train_view found;
    assert_int_equal(train_view(learner->train, 0, tensor, &found), 0);
    return found;
}

static void test_idle_filter_leaves_without_a_trace(void **state)
{
    (void)state;
    struct bench *bench = open_bench();
    struct train_result mean;
    float rate, before[8], after[8];
    assert_int_equal(lab_learner_learn(&bench->learner, NULL, &mean, &rate), 0);
    view(&bench->learner, TRAIN_GAMMA).data[1] = 0.0f;
    view(&bench->learner, TRAIN_BETA).data[1] = 0.0f;
    train_touch(bench->learner.train);
    score(&bench->learner, before);
    assert_int_equal(start(bench), 0);
    score(&bench->pruning.learner, after);
    assert_memory_equal(before, after, sizeof(before));

    assert_int_equal(lab_pruning_remove(&bench->pruning, 1), 0);
    assert_int_equal(lab_pruning_filters(&bench->pruning), FILTERS - 1);
    score(&bench->pruning.learner, after);
    for (int i = 0; i < 8; i++) {
        assert_true(fabsf(before[i] - after[i]) < 1e-5f);
    }
    assert_int_equal(lab_pruning_remove(&bench->pruning, 0), 0); /* one that does something */
    score(&bench->pruning.learner, after);
    assert_true(fabsf(before[0] - after[0]) > 1e-5f);
    close_bench(bench);
}

static void test_tuning_learns(void **state)
{
    (void)state;
    struct bench *bench = open_bench();
    float before[8], after[8];
    assert_int_equal(start(bench), 0);
    score(&bench->pruning.learner, before);
    assert_int_equal(lab_pruning_tune(&bench->pruning, 2, 1), 0);
    assert_int_equal(train_steps(bench->pruning.learner.train), 2);
    score(&bench->pruning.learner, after);
    assert_memory_not_equal(before, after, sizeof(before));
    close_bench(bench);
}

static void test_other_networks_are_refused(void **state)
{
    (void)state;
    struct bench *bench = open_bench();
    bench->recipe.layers[0].operation = TRAIN_DEPTHWISE;
    assert_int_equal(start(bench), -ENOTSUP);
    memset(&bench->pruning, 0, sizeof(bench->pruning));
    close_bench(bench);
}

static int run(int (*command)(const struct lab_args *), const char *operand, const char *out)
{
    static const struct lab_command name = {.name = "prune"};
    struct lab_args args = {.command = &name, .operands = {operand}};
    args.values[LAB_OPTION_DATA] = at("train");
    args.values[LAB_OPTION_TEST] = at("train");
    args.values[LAB_OPTION_OUT] = out;
    args.values[LAB_OPTION_FILTERS] = "2";
    return command(&args);
}

static void test_command_prunes_a_run(void **state)
{
    (void)state;
    struct kernel_table kernels;
    struct lab_model model;
    uint8_t *bytes;
    size_t size, rows = 0;
    assert_int_equal(run(lab_train, at("r.ini"), at("run")), LAB_EXIT_OK);
    assert_int_equal(run(lab_prune, at("run"), at("pruned")), LAB_EXIT_OK);
    assert_int_equal(lab_file_read(at("pruned/prune.csv"), 4096, &bytes, &size), 0);
    for (size_t i = 0; i < size; i++) {
        rows += bytes[i] == '\n';
    }
    free(bytes);
    assert_int_equal(rows, 1 + FILTERS - 1); /* 4, 3, 2 under a header */
    kernel_table_init(&kernels, kernel_cpu_detect());
    assert_int_equal(lab_model_open(&model, at("pruned/tiny-f32.safetensors"), &kernels), 0);
    assert_int_equal(network_model_describe(model.model)->points[0].layers[0].out, 2);
    assert_string_equal(network_model_label(model.model, 1), "stripes");
    lab_model_close(&model);
    assert_int_equal(run(lab_prune, at("nowhere"), at("none")), LAB_EXIT_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_similarity_of_known_filters),
        cmocka_unit_test(test_idle_filter_leaves_without_a_trace),
        cmocka_unit_test(test_tuning_learns),
        cmocka_unit_test(test_other_networks_are_refused),
        cmocka_unit_test(test_command_prunes_a_run),
    };
    return cmocka_run_group_tests(tests, make_pictures, remove_root);
}
