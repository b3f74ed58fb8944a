/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab train on drawn pictures: it learns, gives the same bytes for a seed with any number
 * of threads, and a run that was killed goes on to the same bytes.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/learn.h"
#include "engine/lab/model.h"
#include "engine/lab/options.h"
#include "engine/lab/samples.h"
#include "engine/lab/threads.h"
#include "tests/unit/lab/folder.h"

#define SIDE     16u
#define TRAINING 96u /* pictures of a class */
#define TEST     40u

static const char recipe[] = "[model]\n"
                             "name = stripes\n"
                             "[input]\n"
                             "source = log-gradient\n"
                             "width = 16\n"
                             "height = 16\n"
                             "planes = grey\n"
                             "coding = ternary\n"
                             "ratio = 9/8\n"
                             "floor = 64\n"
                             "[layer conv1]\n"
                             "op = conv\n"
                             "out = 8\n"
                             "kernel = 3\n"
                             "pad = 1\n"
                             "norm = yes\n"
                             "pool = 2\n"
                             "[layer pool]\n"
                             "op = avgpool\n"
                             "kernel = 2\n"
                             "[layer hidden]\n"
                             "op = dense\n"
                             "out = 12\n"
                             "[layer fc]\n"
                             "op = dense\n"
                             "out = 2\n"
                             "[train]\n"
                             "rate = 0.01\n"
                             "epochs = 12\n"
                             "batch = 16\n"
                             "[augment]\n"
                             "shift = 1\n"
                             "mirror = yes\n";

/* Dark and bright stripes, across or down, of any phase, under noise of +-40. */
static void draw(bool across, uint64_t number, uint8_t *pixels)
{
    uint64_t phase = train_random(99, across, number) % 6;
    for (uint32_t i = 0; i < SIDE * SIDE; i++) {
        uint64_t along = (across ? i / SIDE : i % SIDE) + phase;
        int noise = (int)(train_random(7, number * 2 + across, i) % 81) - 40;
        pixels[i] = (uint8_t)((along / 3 % 2 == 0 ? 80 : 160) + noise);
    }
}

static void draw_class(const char *part, const char *name, bool across, uint32_t first,
                       uint32_t count)
{
    char path[256];
    uint8_t bytes[64 + SIDE * SIDE];
    snprintf(path, sizeof(path), "%s/%s/%s", root, part, name);
    assert_int_equal(mkdir(path, 0700), 0);
    for (uint32_t i = 0; i < count; i++) {
        int header = snprintf((char *)bytes, 64, "P5\n%u %u\n255\n", SIDE, SIDE);
        draw(across, first + i, bytes + header);
        snprintf(path, sizeof(path), "%s/%s/%s/%04u.pgm", root, part, name, i);
        assert_int_equal(lab_file_write(path, bytes, (size_t)header + SIDE * SIDE), 0);
    }
}

static int make_pictures(void **state)
{
    if (make_root(state) != 0 || mkdir(at("train"), 0700) != 0 || mkdir(at("test"), 0700) != 0) {
        return -1;
    }
    draw_class("train", "across", true, 0, TRAINING);
    draw_class("train", "down", false, 0, TRAINING);
    draw_class("test", "across", true, TRAINING, TEST);
    draw_class("test", "down", false, TRAINING, TEST);
    return lab_file_write(at("r.ini"), recipe, strlen(recipe));
}

static int train(const char *out, const char *seed, const char *threads, bool resume)
{
    static const struct lab_command command = {.name = "train"};
    struct lab_args args = {.command = &command, .operands = {at("r.ini")}};
    args.values[LAB_OPTION_DATA] = at("train");
    args.values[LAB_OPTION_TEST] = at("test");
    args.values[LAB_OPTION_OUT] = at(out);
    args.values[LAB_OPTION_SEED] = seed;
    args.values[LAB_OPTION_THREADS] = threads;
    args.values[LAB_OPTION_RESUME] = resume ? "" : NULL;
    return lab_train(&args);
}

static bool same_file(const char *a, const char *b, const char *name)
{
    char first[256], second[256];
    uint8_t *x, *y;
    size_t x_size, y_size;
    snprintf(first, sizeof(first), "%s/%s/%s", root, a, name);
    snprintf(second, sizeof(second), "%s/%s/%s", root, b, name);
    assert_int_equal(lab_file_read(first, 1 << 24, &x, &x_size), 0);
    assert_int_equal(lab_file_read(second, 1 << 24, &y, &y_size), 0);
    bool same = x_size == y_size && memcmp(x, y, x_size) == 0;
    free(x);
    free(y);
    return same;
}

static void assert_same_run(const char *a, const char *b)
{
    assert_true(same_file(a, b, "stripes-f32.safetensors"));
    assert_true(same_file(a, b, "checkpoint.safetensors"));
    assert_true(same_file(a, b, "metrics.csv"));
    assert_true(same_file(a, b, "recipe.ini"));
}

/* Accuracy of the written model, by the network that the daemon serves. */
static double accuracy(const char *path)
{
    struct kernel_table kernels;
    struct lab_model model;
    struct lab_samples samples;
    uint32_t right = 0;
    kernel_table_init(&kernels, kernel_cpu_detect());
    assert_int_equal(lab_model_open(&model, path, &kernels), 0);
    assert_string_equal(network_model_label(model.model, 0), "across");
    assert_int_equal(lab_samples_init(&samples, at("test"), model.input, &kernels), 0);
    for (uint32_t i = 0; i < samples.tree.file_count; i++) {
        right += lab_model_classify(&model, samples.planes + i * samples.values,
                                    samples.whites[i]) == samples.labels[i];
    }
    uint32_t count = samples.tree.file_count;
    assert_int_equal(count, 2 * TEST);
    lab_samples_finish(&samples);
    lab_model_close(&model);
    return (double)right / count;
}

static void test_learns_and_exports(void **state)
{
    (void)state;
    assert_int_equal(train("a", "5", "2", false), LAB_EXIT_OK);
    double reached = accuracy(at("a/stripes-f32.safetensors"));
    print_message("float master: %.3f\n", reached);
    assert_true(reached >= 0.95);
    assert_int_equal(access(at("a/loss.gp"), F_OK), 0);
    assert_int_equal(access(at("a/accuracy.gp"), F_OK), 0);

    static const struct lab_command command = {.name = "export"};
    struct lab_args args = {.command = &command, .operands = {at("a/stripes-f32.safetensors")}};
    args.values[LAB_OPTION_CALIBRATE] = at("train");
    args.values[LAB_OPTION_OUTPUT] = at("stripes.safetensors");
    assert_int_equal(lab_export(&args), LAB_EXIT_OK);
    assert_true(accuracy(at("stripes.safetensors")) >= 0.95);
}

static void test_same_seed_same_bytes_with_any_threads(void **state)
{
    (void)state;
    assert_int_equal(train("again", "5", "2", false), LAB_EXIT_OK);
    assert_same_run("a", "again");
    assert_int_equal(train("alone", "5", "1", false), LAB_EXIT_OK);
    assert_same_run("a", "alone");
    assert_int_equal(train("three", "5", "3", false), LAB_EXIT_OK);
    assert_same_run("a", "three");
    assert_int_equal(train("other", "6", "2", false), LAB_EXIT_OK);
    assert_false(same_file("a", "other", "stripes-f32.safetensors"));
}

/* Starts a run and kills it once its first checkpoint is there. */
static void train_and_kill(const char *out, const char *checkpoint, bool resume)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(train(out, "5", "2", resume));
    }
    while (access(checkpoint, F_OK) != 0) {
        assert_int_equal(waitpid(child, NULL, WNOHANG), 0); /* it still runs */
        usleep(500);
    }
    kill(child, SIGKILL);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

static void test_killed_run_goes_on_to_the_same_bytes(void **state)
{
    (void)state;
    train_and_kill("killed", at("killed/checkpoint.safetensors"), false);
    assert_int_not_equal(access(at("killed/stripes-f32.safetensors"), F_OK), 0);
    /* A row that was written ahead of its checkpoint. */
    FILE *file = fopen(at("killed/metrics.csv"), "ae");
    assert_non_null(file);
    fputs("99,1,1,1,1,1\n", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(train("killed", "5", "1", true), LAB_EXIT_OK);
    assert_same_run("a", "killed");
    /* A finished run has nothing to do but to say so. */
    assert_int_equal(train("killed", "5", "2", true), LAB_EXIT_OK);
    assert_same_run("a", "killed");
}

static void test_runs_are_not_mixed(void **state)
{
    (void)state;
    assert_int_equal(train("a", "5", "2", false), LAB_EXIT_FAILED); /* no --resume */
    assert_int_equal(train("a", "6", "2", true), LAB_EXIT_FAILED);  /* another seed */
    assert_same_run("a", "again");
}

static void test_recipe_that_does_not_fit_fails_before_it_starts(void **state)
{
    (void)state;
    char text[sizeof(recipe) + 64], *last;
    memcpy(text, recipe, sizeof(recipe));
    last = strstr(text, "out = 2\n");
    assert_non_null(last);
    last[6] = '3'; /* classes */
    assert_int_equal(lab_file_write(at("r.ini"), text, strlen(text)), 0);
    assert_int_equal(train("none", "5", "2", false), LAB_EXIT_FAILED);
    memcpy(text, recipe, sizeof(recipe));
    memcpy(strstr(text, "kernel = 2"), "kernel = 9", 10); /* larger than its input */
    assert_int_equal(lab_file_write(at("r.ini"), text, strlen(text)), 0);
    assert_int_equal(train("none", "5", "2", false), LAB_EXIT_FAILED);
    assert_int_not_equal(access(at("none"), F_OK), 0);
    assert_int_equal(lab_file_write(at("r.ini"), recipe, strlen(recipe)), 0);
}

/* Depthwise layers, a residual and low-bit codes learn too; no model file can say them. */
static void test_layers_of_every_kind_learn(void **state)
{
    (void)state;
    static const char *const layers =
        "[layer deep]\nop = depthwise\nkernel = 3\npad = 1\nnorm = yes\nactivation = none\n"
        "weights = log:4\n"
        "[layer sum]\nop = add\nwith = conv1\n"
        "[layer bits]\nop = conv\nout = 16\nkernel = 3\nnorm = yes\noutput = ternary\n"
        "[layer fc]\nop = dense\nout = 2\n[quantise]\nweights = ternary\ngradients = log:5\n";
    char text[2 * sizeof(recipe)];
    const char *from = strstr(recipe, "[layer pool]"), *to = strstr(recipe, "[train]");
    snprintf(text, sizeof(text), "%.*s%s%s", (int)(from - recipe), recipe, layers, to);
    assert_int_equal(lab_file_write(at("r.ini"), text, strlen(text)), 0);
    assert_int_equal(train("kinds", "5", "2", false), LAB_EXIT_OK);
    assert_int_equal(access(at("kinds/checkpoint.safetensors"), F_OK), 0);
    assert_int_not_equal(access(at("kinds/stripes-f32.safetensors"), F_OK), 0);
    assert_int_equal(lab_file_write(at("r.ini"), recipe, strlen(recipe)), 0);

    uint8_t *metrics;
    size_t size;
    assert_int_equal(lab_file_read(at("kinds/metrics.csv"), 1 << 20, &metrics, &size), 0);
    metrics[size - 1] = '\0';
    const char *last = strrchr((char *)metrics, '\n');
    float accuracy_reached;
    assert_int_equal(sscanf(last, "%*d,%*f,%*f,%*f,%f", &accuracy_reached), 1);
    print_message("of every kind: %.3f\n", (double)accuracy_reached);
    assert_true(accuracy_reached >= 0.95f);
    free(metrics);
}

/* Export refuses a model whose scores are not the trainer's own. */
static void test_depthwise_layers_are_packed(void **state)
{
    (void)state;
    static const char *const layers =
        "[layer deep]\nop = depthwise\nkernel = 3\npad = 1\nnorm = yes\n"
        "[layer point]\nop = conv\nout = 12\nkernel = 1\nnorm = yes\n"
        "[layer mean]\nop = globalavgpool\n[layer fc]\nop = dense\nout = 2\n";
    static const struct lab_command command = {.name = "export"};
    char text[2 * sizeof(recipe)];
    const char *from = strstr(recipe, "[layer pool]"), *to = strstr(recipe, "[train]");
    snprintf(text, sizeof(text), "%.*s%s%s", (int)(from - recipe), recipe, layers, to);
    assert_int_equal(lab_file_write(at("r.ini"), text, strlen(text)), 0);
    assert_int_equal(train("deep", "5", "2", false), LAB_EXIT_OK);
    assert_int_equal(lab_file_write(at("r.ini"), recipe, strlen(recipe)), 0);
    struct lab_args args = {.command = &command, .operands = {at("deep")}};
    args.values[LAB_OPTION_CALIBRATE] = at("train");
    args.values[LAB_OPTION_OUTPUT] = at("deep.safetensors");
    assert_int_equal(lab_export(&args), LAB_EXIT_OK);
    assert_true(accuracy(at("deep.safetensors")) >= 0.9);
}

/* Four pictures of one class and 40 of the other: both make up half of every epoch. */
static void test_balance_gives_every_class_its_share(void **state)
{
    (void)state;
    assert_int_equal(mkdir(at("few"), 0700), 0);
    draw_class("few", "across", true, 0, 4);
    draw_class("few", "down", false, 0, 40);
    struct lab_threads *threads;
    assert_int_equal(lab_threads_create(1, &threads), 0);
    const struct train_workers workers = {lab_threads_run, threads};
    for (int balance = 0; balance < 2; balance++) {
        struct lab_recipe few;
        struct lab_samples samples;
        struct lab_learner learner;
        struct kernel_table kernels;
        struct train_result mean;
        const char *reason;
        float rate;
        uint32_t seen[44] = {0}, across = 0;
        kernel_table_init(&kernels, kernel_cpu_detect());
        assert_int_equal(lab_recipe_parse("r.ini", recipe, strlen(recipe), &few), 0);
        few.balance = balance == 1;
        assert_int_equal(lab_samples_init(&samples, at("few"), &few.input, &kernels), 0);
        assert_int_equal(
            lab_learner_init(&learner, &few, &samples, 1, kernel_cpu_detect(), &workers, &reason),
            0);
        assert_int_equal(lab_learner_learn(&learner, NULL, &mean, &rate), 0);
        for (uint32_t i = 0; i < 44; i++) {
            across += samples.labels[learner.order[i]] == 0;
            seen[learner.order[i]]++;
        }
        assert_int_equal(across, balance ? 22 : 4);
        for (uint32_t i = 0; i < 44; i++) { /* nothing comes again before its whole class has */
            uint32_t count = samples.labels[i] == 0 ? 4 : 40, drawn = balance ? 22 : count;
            assert_true(seen[i] == drawn / count || seen[i] == (drawn + count - 1) / count);
        }
        lab_learner_finish(&learner);
        lab_samples_finish(&samples);
    }
    lab_threads_destroy(threads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns_and_exports),
        cmocka_unit_test(test_same_seed_same_bytes_with_any_threads),
        cmocka_unit_test(test_killed_run_goes_on_to_the_same_bytes),
        cmocka_unit_test(test_runs_are_not_mixed),
        cmocka_unit_test(test_layers_of_every_kind_learn),
        cmocka_unit_test(test_depthwise_layers_are_packed),
        cmocka_unit_test(test_balance_gives_every_class_its_share),
        cmocka_unit_test(test_recipe_that_does_not_fit_fails_before_it_starts),
    };
    return cmocka_run_group_tests(tests, make_pictures, remove_root);
}
