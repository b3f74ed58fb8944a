/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Reading training scripts' files: a small network computed here straight from its PyTorch-shaped
 * tensors, and files that are not what they should be.
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
#include <unistd.h>

#include <cmocka.h>

#include "engine/kernel/kernel.h"
#include "engine/lab/file.h"
#include "engine/lab/import.h"
#include "engine/lab/model.h"
#include "engine/network/safetensors.h"

enum { IN = 6, SIDE = 8, OUT = 5, LABELS = 3, HALF = SIDE / 2 };

#define DESCRIPTION                                                                                \
    "{\"name\": \"tiny\", \"input\": {\"source\": \"log-gradient\", \"width\": 8, \"height\": 8, " \
    "\"planes\": \"rgb\", \"order\": [\"gx.r\", \"gx.g\", \"gx.b\", \"gy.r\", \"gy.g\", "          \
    "\"gy.b\"], \"levels\": 3, \"ratio\": [9, 8], \"floor\": 64, \"linear_white\": 65535}, "       \
    "\"labels\": [\"a\", \"b\", \"c\"], \"layers\": [\"conv1 3x3 pad1\", \"bn1 eps1e-3\", "        \
    "\"relu\", \"maxpool2\", \"flatten chw\", \"fc\"], \"data\": \"none\"}"

static float conv[OUT][IN][3][3], gamma_[OUT], beta[OUT], mean[OUT], variance[OUT];
static float dense[LABELS][OUT][HALF][HALF], dense_bias[LABELS];

static float next_random(void)
{
    static uint32_t state = 5;
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / (1 << 23) - 1.0f;
}

static void fill(void *values, size_t bytes, float offset)
{
    float *value = values;
    for (size_t i = 0; i < bytes / sizeof(float); i++) {
        value[i] = next_random() + offset;
    }
}

static int setup(void **state)
{
    (void)state;
    fill(conv, sizeof(conv), 0.0f);
    fill(gamma_, sizeof(gamma_), 0.2f);
    fill(beta, sizeof(beta), 0.0f);
    fill(mean, sizeof(mean), 0.0f);
    fill(variance, sizeof(variance), 1.5f);
    fill(dense, sizeof(dense), 0.0f);
    fill(dense_bias, sizeof(dense_bias), 0.0f);
    return 0;
}

#define FLOATS(name_, array, ...)                                                                  \
    (struct network_tensor)                                                                        \
    {                                                                                              \
        .name = name_, .dtype = NETWORK_DTYPE_F32,                                                 \
        .rank = sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), .shape = {__VA_ARGS__},      \
        .data = array                                                                              \
    }

/* The file with `description`; `leave_out` names a tensor that is missing. The caller frees it. */
static uint8_t *make_file(const char *description, const char *leave_out, size_t *ret_size)
{
    const struct network_tensor all[] = {
        FLOATS("conv1.weight", conv, OUT, IN, 3, 3),
        FLOATS("bn1.weight", gamma_, OUT),
        FLOATS("bn1.bias", beta, OUT),
        FLOATS("bn1.running_mean", mean, OUT),
        FLOATS("bn1.running_var", variance, OUT),
        FLOATS("fc.weight", dense, LABELS, OUT * HALF * HALF),
        FLOATS("fc.bias", dense_bias, LABELS),
    };
    struct network_tensor kept[7];
    uint32_t count = 0;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (!leave_out || strcmp(all[i].name, leave_out) != 0) {
            kept[count++] = all[i];
        }
    }
    const struct network_metadata metadata = {"ocellus", description};
    void *bytes;
    assert_int_equal(network_safetensors_write(kept, count, &metadata, 1, &bytes, ret_size), 0);
    return bytes;
}

/* Convolution, normalisation and rectification at one place, as PyTorch defines them. */
static double feature(const int8_t *codes, int o, int y, int x)
{
    double sum = 0.0;
    for (int c = 0; c < IN; c++) {
        for (int k = 0; k < 9; k++) {
            int at_y = y + k / 3 - 1, at_x = x + k % 3 - 1;
            if (at_y >= 0 && at_y < SIDE && at_x >= 0 && at_x < SIDE) {
                sum += (double)conv[o][c][k / 3][k % 3] * codes[(at_y * SIDE + at_x) * IN + c];
            }
        }
    }
    sum = (sum - mean[o]) / sqrt(variance[o] + 1e-3) * gamma_[o] + beta[o];
    return fmax(sum, 0.0);
}

static double logit(const int8_t *codes, int label)
{
    double sum = dense_bias[label];
    for (int o = 0; o < OUT; o++) {
        for (int i = 0; i < HALF * HALF; i++) {
            int y = i / HALF * 2, x = i % HALF * 2;
            double pooled =
                fmax(fmax(feature(codes, o, y, x), feature(codes, o, y, x + 1)),
                     fmax(feature(codes, o, y + 1, x), feature(codes, o, y + 1, x + 1)));
            sum += dense[label][o][i / HALF][i % HALF] * pooled;
        }
    }
    return sum;
}

static void test_the_network_computes_what_the_tensors_mean(void **state)
{
    (void)state;
    char path[] = "/tmp/ocellus-lab-test.XXXXXX";
    struct kernel_table kernels;
    struct lab_model model;
    size_t size;
    uint8_t *file = make_file(DESCRIPTION, NULL, &size);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(lab_file_write(path, file, size), 0);
    free(file);
    kernel_table_init(&kernels, 0);
    assert_int_equal(lab_model_open(&model, path, &kernels), 0);
    unlink(path);
    assert_string_equal(network_model_name(model.model), "tiny");
    assert_string_equal(network_model_label(model.model, 2), "c");
    for (int n = 0; n < 20; n++) {
        int8_t *codes = model.codes;
        for (int i = 0; i < SIDE * SIDE * IN; i++) {
            codes[i] = (int8_t)floorf((next_random() + 1.0f) * 1.5f) - 1;
        }
        network_run(model.plan, model.arena, codes, model.scores);
        for (int label = 0; label < LABELS; label++) {
            assert_true(fabs(model.scores[label] / 65536.0 - logit(codes, label)) < 1e-3);
        }
    }
    lab_model_close(&model);
}

static void expect_refusal(const char *description, const char *leave_out)
{
    size_t size, made_size;
    uint8_t *made, *file = make_file(description, leave_out, &size);
    const char *reason = NULL;
    assert_true(lab_import_recognise(file, size));
    assert_int_equal(lab_import(file, size, &made, &made_size, &reason), -EBADMSG);
    assert_non_null(reason);
    print_message("  %s\n", reason);
    free(file);
}

static void test_missing_tensors_are_named_errors(void **state)
{
    (void)state;
    static const char *const tensors[] = {"conv1.weight",     "bn1.weight",      "bn1.bias",
                                          "bn1.running_mean", "bn1.running_var", "fc.weight",
                                          "fc.bias"};
    for (size_t i = 0; i < sizeof(tensors) / sizeof(tensors[0]); i++) {
        expect_refusal(DESCRIPTION, tensors[i]);
    }
}

/* The description with the first `from` replaced. */
static void expect_refusal_of(const char *from, const char *to)
{
    char text[2048];
    const char *at = strstr(DESCRIPTION, from);
    assert_non_null(at);
    snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - DESCRIPTION), DESCRIPTION, to,
             at + strlen(from));
    expect_refusal(text, NULL);
}

static void test_unknown_descriptions_are_named_errors(void **state)
{
    (void)state;
    static const char *const changes[][2] = {
        {"3x3 pad1", "3x3"},
        {"3x3 pad1", "5x5 pad1"},
        {"3x3 pad1", "3x3 pad3"},
        {"3x3 pad1", "3x3 pad1 stride2"},
        {"3x3 pad1", "-3x3 pad1"},
        {"conv1 3x3 pad1", ""},
        {"conv1", "conv2"},
        {"bn1 eps1e-3", "bn1 1e-3"},
        {"\"bn1 eps1e-3\", \"relu\"", "\"relu\", \"bn1\""},
        {"\"bn1 eps1e-3\"", "7"},
        {"\"maxpool2\"", "\"maxpool2\", \"relu\""},
        {"maxpool2", "maxpool0"},
        {"maxpool2", "maxpool9"},
        {"maxpool2", "gelu"},
        {"flatten chw", "flatten hwc"},
        {", \"fc\"", ""},
        {"[9, 8]", "[8, 9]"},
        {"[9, 8]", "[9]"},
        {"\"levels\": 3", "\"levels\": 7"},
        {"\"floor\": 64", "\"floor\": 0"},
        {"gx.g", "gx.x"},
        {"\"width\": 8", "\"width\": 1e9"},
        {"\"width\": 8", "\"width\": 10"},
        {"\"labels\": [\"a\", \"b\", \"c\"]", "\"labels\": [\"a\", \"b\"]"},
        {"\"labels\": [\"a\", \"b\", \"c\"]", "\"labels\": [\"a\", \"b\", 3]"},
        {"\"labels\": [\"a\", \"b\", \"c\"]", "\"labels\": [\"a\", \"b\", \"b\"]"},
        {"tiny", "not a name"},
        {"log-gradient", "infrared\", \"planes\": \"x"},
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        expect_refusal_of(changes[i][0], changes[i][1]);
    }
}

static void test_other_files_are_not_recognised(void **state)
{
    (void)state;
    size_t size;
    uint8_t *file = make_file("{\"layers\": [{}]}", NULL, &size);
    assert_false(lab_import_recognise(file, size));
    assert_false(lab_import_recognise(file, size - 1));
    assert_false(lab_import_recognise("", 0));
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_network_computes_what_the_tensors_mean),
        cmocka_unit_test(test_missing_tensors_are_named_errors),
        cmocka_unit_test(test_unknown_descriptions_are_named_errors),
        cmocka_unit_test(test_other_files_are_not_recognised),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
