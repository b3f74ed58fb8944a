/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab export of a run directory: the packed model has the trainer's own scores, and
 * whatever differs in one number, or does not belong to the run, is refused.
 */
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
#include "engine/lab/lab.h"
#include "engine/lab/options.h"
#include "engine/lab/threads.h"
#include "engine/lab/trained.h"
#include "engine/network/safetensors.h"
#include "tests/unit/lab/folder.h"

static const char recipe[] = "[model]\n"
                             "name = tiny\n"
                             "[input]\n"
                             "source = log-gradient\n"
                             "width = 24\n"
                             "height = 16\n"
                             "planes = rgb\n"
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
                             "[layer conv2]\n"
                             "op = conv\n"
                             "out = 12\n"
                             "kernel = 3x1\n"
                             "[layer pool]\n"
                             "op = avgpool\n"
                             "kernel = 2\n"
                             "[layer fc]\n"
                             "op = dense\n"
                             "out = 2\n"
                             "[quantise]\n"
                             "weights = s8\n"
                             "[train]\n"
                             "rate = 0.01\n"
                             "epochs = 2\n"
                             "batch = 5\n"
                             "[augment]\n"
                             "shift = 1\n";

static int train(const char *out)
{
    static const struct lab_command command = {.name = "train"};
    struct lab_args args = {.command = &command, .operands = {at("r.ini")}};
    args.values[LAB_OPTION_DATA] = at("data");
    args.values[LAB_OPTION_OUT] = at(out);
    return lab_train(&args);
}

static int export(const char *run, const char *output)
{
    static const struct lab_command command = {.name = "export"};
    struct lab_args args = {.command = &command, .operands = {at(run)}};
    args.values[LAB_OPTION_CALIBRATE] = at("data");
    args.values[LAB_OPTION_OUTPUT] = at(output);
    return lab_export(&args);
}

/* Two classes, four drawn pictures in two sizes each. */
static int make_run(void **state)
{
    if (make_root(state) != 0 || mkdir(at("data"), 0700) != 0 || mkdir(at("data/a"), 0700) != 0 ||
        mkdir(at("data/b"), 0700) != 0) {
        return -1;
    }
    for (int i = 0; i < 2 * PICTURE_COUNT; i++) {
        char name[32];
        size_t size;
        uint32_t side = 40 + 8 * (uint32_t)(i / PICTURE_COUNT);
        uint8_t *ppm = picture_ppm((enum picture)(i % PICTURE_COUNT), side, side, &size);
        snprintf(name, sizeof(name), "data/%c/%d.ppm", 'a' + i % 2, i);
        if (!ppm || lab_file_write(at(name), ppm, size) < 0) {
            return -1;
        }
        free(ppm);
    }
    return lab_file_write(at("r.ini"), recipe, strlen(recipe)) < 0 ? -1 : train("run");
}

static void test_packed_model_is_the_trainer(void **state)
{
    (void)state;
    assert_int_equal(export("run", "tiny.safetensors"), LAB_EXIT_OK);

    struct kernel_table kernels;
    struct lab_model packed;
    kernel_table_init(&kernels, kernel_cpu_detect());
    assert_int_equal(lab_model_open(&packed, at("tiny.safetensors"), &kernels), 0);
    const struct network_description *d = network_model_describe(packed.model);
    assert_string_equal(d->name, "tiny");
    assert_string_equal(d->labels[1], "b");
    assert_int_equal(d->points[0].layers[0].weights, NETWORK_WEIGHTS_S8);
    assert_non_null(strstr(d->provenance, "\"seed\""));
    assert_non_null(strstr(d->provenance, "\"packed_by\""));
    lab_model_close(&packed);
}

/* ---- what is not the trainer's ---- */

/* Adds `delta` to a byte of a tensor of a safetensors file in memory. */
static void change(uint8_t *bytes, size_t size, const char *tensor, size_t index, int delta)
{
    struct network_safetensors *file;
    size_t behind = 0;
    assert_int_equal(network_safetensors_read(bytes, size, &file, NULL), 0);
    uint32_t i = network_safetensors_count(file);
    do {
        assert_true(i-- > 0);
        behind += network_safetensors_at(file, i)->bytes;
    } while (strcmp(network_safetensors_at(file, i)->name, tensor) != 0);
    network_safetensors_destroy(file);
    uint8_t *byte = bytes + size - behind + index;
    *byte = (uint8_t)(*byte + delta);
}

/* Pictures that get other scores from a packed model with one byte changed. */
static uint32_t differing(const char *tensor, size_t index, int delta)
{
    struct kernel_table kernels;
    struct lab_trained trained;
    struct lab_samples samples;
    struct lab_threads *threads;
    struct lab_model packed;
    uint8_t *bytes;
    size_t size;
    uint32_t differ = UINT32_MAX;
    kernel_table_init(&kernels, kernel_cpu_detect());
    assert_int_equal(lab_threads_create(1, &threads), 0);
    const struct train_workers workers = {lab_threads_run, threads};
    assert_int_equal(lab_trained_open(&trained, at("run"), kernel_cpu_detect(), &kernels), 0);
    assert_int_equal(lab_samples_init(&samples, at("data"), &trained.recipe.input, &kernels), 0);
    assert_int_equal(lab_file_read(at("tiny.safetensors"), 1 << 20, &bytes, &size), 0);
    change(bytes, size, tensor, index, delta);
    assert_int_equal(lab_model_open_bytes(&packed, "changed", bytes, size, &kernels), 0);
    assert_int_equal(samples.tree.file_count, 2 * PICTURE_COUNT);
    assert_int_equal(lab_trained_compare(&trained, &packed, &samples, samples.tree.file_count,
                                         &workers, &differ),
                     0);
    lab_model_close(&packed);
    free(bytes);
    lab_samples_finish(&samples);
    lab_trained_close(&trained);
    lab_threads_destroy(threads);
    return differ;
}

static void test_one_changed_number_is_seen(void **state)
{
    (void)state;
    assert_int_equal(differing("conv1.weight", 0, 0), 0);
    assert_true(differing("conv1.weight", 24, 8) > 0);
    assert_true(differing("conv2.bias", 1, 1) > 0); /* 256 */
    assert_true(differing("conv2.mult", 2, 16) > 0);
    assert_true(differing("fc.weight", 0, 1) > 0);
    assert_true(differing("fc.bias", 0, 1) > 0);
}

static void break_file(const char *name, const char *tensor)
{
    uint8_t *bytes;
    size_t size;
    assert_int_equal(lab_file_read(at(name), 1 << 20, &bytes, &size), 0);
    change(bytes, size, tensor, 2, 1);
    assert_int_equal(lab_file_write(at(name), bytes, size), 0);
    free(bytes);
}

static void assert_refused(const char *run)
{
    assert_int_equal(export(run, "refused.safetensors"), LAB_EXIT_FAILED);
    assert_int_not_equal(access(at("refused.safetensors"), F_OK), 0);
}

static void test_what_does_not_belong_to_the_run_is_refused(void **state)
{
    (void)state;
    assert_int_equal(train("broken"), 0);
    assert_int_equal(export("broken", "same.safetensors"), LAB_EXIT_OK);
    break_file("broken/tiny-f32.safetensors", "conv1.weight");
    assert_refused("broken");

    assert_int_equal(unlink(at("broken/tiny-f32.safetensors")), 0);
    assert_refused("broken");
    assert_refused("data");
}

/* Weights that were learned as floats cannot become a packed model by themselves. */
static void test_training_without_codings_is_refused(void **state)
{
    (void)state;
    char text[sizeof(recipe)];
    memcpy(text, recipe, sizeof(recipe));
    memcpy(strstr(text, "weights = s8"), "weights =f32", 12);
    assert_int_equal(lab_file_write(at("r.ini"), text, strlen(text)), 0);
    assert_int_equal(train("floats"), 0);
    assert_refused("floats");
    assert_int_equal(export("floats/tiny-f32.safetensors", "fitted.safetensors"), LAB_EXIT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packed_model_is_the_trainer),
        cmocka_unit_test(test_one_changed_number_is_seen),
        cmocka_unit_test(test_what_does_not_belong_to_the_run_is_refused),
        cmocka_unit_test(test_training_without_codings_is_refused),
    };
    return cmocka_run_group_tests(tests, make_run, remove_root);
}
