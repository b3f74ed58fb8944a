/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The batch norm experiments: eigenvalues of matrices whose eigenvalues are known, the toy's table,
 * the first step against NLMS, trainings that start alike, and the command, broken off and taken
 * up. The digits are made up.
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

#include "engine/kernel/cpu.h"
#include "engine/lab/bn_eigen.h"
#include "engine/lab/bn_study.h"
#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/options.h"

#define DIGITS 128u

/* 2 on the diagonal, -1 beside it: 2 - 2 cos(k pi / (n + 1)) (Golub and Van Loan 4.8). */
static void test_eigenvalues_of_a_known_matrix(void **state)
{
    enum { N = 49 };
    double a[N * N] = {0}, copy[N * N], values[N];
    (void)state;
    for (uint32_t i = 0; i < N; i++) {
        a[i * N + i] = 2;
        if (i > 0) {
            a[i * N + i - 1] = a[(i - 1) * N + i] = -1;
        }
    }
    memcpy(copy, a, sizeof(a));
    lab_bn_eigenvalues(N, copy, values);
    for (uint32_t k = 0; k < N; k++) {
        assert_true(fabs(values[k] - (2 - 2 * cos((k + 1) * M_PI / (N + 1)))) < 1e-12);
    }
    /* The next eigenvalue is 0.3 % below: slow, and from below. */
    const double largest = lab_bn_largest(N, a);
    assert_true(largest <= values[N - 1] + 1e-9 && largest > 0.999 * values[N - 1]);
    memset(a, 0, sizeof(a));
    assert_true(lab_bn_largest(N, a) == 0);
    lab_bn_eigenvalues(N, a, values);
    assert_true(values[0] == 0 && values[N - 1] == 0);
}

/* One picture of two channels, 1x2 windows over 2x2 with a column of zeros on each side. */
static void test_autocorrelation_by_hand(void **state)
{
    static const float x[] = {1, 10, 2, 20, 3, 30, 4, 40};
    const struct lab_bn_input input = {.x = x,
                                       .step = 0.5f,
                                       .images = 1,
                                       .height = 2,
                                       .width = 2,
                                       .channels = 2,
                                       .kernel = {1, 2},
                                       .stride = {1, 1},
                                       .pad = {0, 1}};
    /* Rows of X, first channel, before the step: 0 1, 1 2, 2 0, 0 3, 3 4, 4 0. */
    static const double expected[4] = {30, 14, 14, 30};
    double r[16], block[4];
    (void)state;
    assert_int_equal(lab_bn_modes(&input), 4);
    assert_int_equal(lab_bn_autocorrelation(&input, r), 0);
    for (int i = 0; i < 4; i++) {
        const int row = i / 2, column = i % 2;
        assert_true(fabs(r[row * 4 + column] - expected[i] / 4 / 6) < 1e-12);
        assert_true(fabs(r[row * 4 + column + 2] - 10 * expected[i] / 4 / 6) < 1e-12);
        assert_true(fabs(r[(row + 2) * 4 + column] - 10 * expected[i] / 4 / 6) < 1e-12);
    }
    lab_bn_block(r, 2, 2, 1, block);
    for (int i = 0; i < 4; i++) {
        assert_true(fabs(block[i] - 100 * expected[i] / 4 / 6) < 1e-10);
    }
    struct lab_bn_input wide = input;
    wide.kernel[1] = 5;
    double large[100];
    assert_int_equal(lab_bn_autocorrelation(&wide, large), -EFBIG);
}

static void test_the_toy_reproduces_its_table(void **state)
{
    struct lab_bn_toy toy;
    (void)state;
    assert_int_equal(lab_bn_toy_run(25, &toy), 0);
    for (uint32_t v = 0; v < LAB_BN_TOY_VARIANTS; v++) {
        for (uint32_t f = 0; f < LAB_BN_TOY_FIGURES; f++) {
            if (!toy.figures[v][f].agrees) {
                fail_msg("%s, figure %u: %g, not %g", lab_bn_toy_name(v), f,
                         toy.figures[v][f].median, toy.figures[v][f].reference);
            }
        }
    }
    assert_int_equal(toy.bracketed, 25 * LAB_BN_TOY_VARIANTS);
}

static void test_the_first_step_is_that_of_nlms(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct lab_bn_first first;
        assert_int_equal(lab_bn_first_step(seed, kernel_cpu_detect(), &first), 0);
        assert_true(first.exact <= 1e-12);
        assert_true(first.trained <= LAB_BN_FIRST_MAX);
        /* and no other step, nor one with a mean */
        assert_true(first.second > 1e-3);
        assert_true(first.with_mean > 0.5);
    }
}

/* ---- trainings ---- */

/* Bars at places that depend on the class. */
static void draw_digits(uint8_t *pixels, uint8_t *labels)
{
    memset(pixels, 0, (size_t)DIGITS * LAB_BN_SIDE * LAB_BN_SIDE);
    for (uint32_t i = 0; i < DIGITS; i++) {
        uint8_t *p = pixels + (size_t)i * LAB_BN_SIDE * LAB_BN_SIDE;
        labels[i] = (uint8_t)(i % LAB_BN_CLASSES);
        for (uint32_t k = 4; k < 24; k++) {
            p[k * LAB_BN_SIDE + 4 + 2 * labels[i]] = 255;
            p[(4 + 2 * labels[i]) * LAB_BN_SIDE + k] = (uint8_t)(150 + i % 50);
        }
    }
}

static void test_trainings_start_alike(void **state)
{
    static uint8_t pixels[DIGITS * LAB_BN_SIDE * LAB_BN_SIDE], labels[DIGITS];
    const struct lab_packed digits = {.count = DIGITS,
                                      .width = LAB_BN_SIDE,
                                      .height = LAB_BN_SIDE,
                                      .channels = 1,
                                      .pixels = pixels,
                                      .labels = labels};
    struct lab_bn_outcome o[LAB_BN_NORMS], again;
    (void)state;
    draw_digits(pixels, labels);
    for (uint8_t norm = 0; norm < LAB_BN_NORMS; norm++) {
        const struct lab_bn_cell cell = {.norm = norm, .rate = 0.1, .seed = 2, .steps = 30};
        assert_int_equal(lab_bn_cell_run(&cell, &digits, kernel_cpu_detect(), ".", &o[norm]), 0);
        assert_int_equal(lab_bn_cell_run(&cell, &digits, kernel_cpu_detect(), ".", &again), 0);
        assert_true(o[norm].last == again.last && o[norm].steps == again.steps);
    }
    /* The same weights, pictures and network; then other steps. */
    assert_true(o[TRAIN_NORM_NONE].first == o[TRAIN_NORM_NLMS].first);
    assert_true(o[TRAIN_NORM_NONE].last != o[TRAIN_NORM_NLMS].last);
    assert_true(o[TRAIN_NORM_BATCH].last < o[TRAIN_NORM_BATCH].first);
    const struct lab_bn_cell wild = {
        .norm = TRAIN_NORM_AMPLIFY, .spread = true, .rate = 100, .seed = 2, .steps = 30};
    assert_int_equal(lab_bn_cell_run(&wild, &digits, kernel_cpu_detect(), ".", &again), 0);
    assert_true(again.diverged > 1 && again.steps == again.diverged && again.reached == 0);
}

/* ---- claims ---- */

/* Every seed of a norm reaches the target after `steps` at the lowest rate, and trains up to rate
 * number `trains`, then is stuck. */
static void fill(struct lab_bn_study *study, uint32_t norm, uint32_t steps, uint32_t trains)
{
    for (uint32_t rate = 0; rate < study->sizes.rate_count; rate++) {
        for (uint32_t seed = 0; seed < study->sizes.seeds; seed++) {
            study->outcomes[0][norm][rate][seed] =
                (struct lab_bn_outcome){.steps = study->sizes.steps,
                                        .reached = rate < trains ? steps : 0,
                                        .first = 2.3,
                                        .last = rate < trains ? 0.1 : 2.3};
        }
    }
}

static uint32_t hits(const struct lab_bn_study *study)
{
    struct lab_bn_claim claim;
    uint32_t bits = 0;
    for (uint32_t i = 0; lab_bn_study_claim(study, 0, i, &claim); i++) {
        bits |= (uint32_t)(claim.known && claim.hit) << i;
    }
    return bits;
}

static void test_claims_follow_the_figures(void **state)
{
    struct lab_bn_study *study = calloc(1, sizeof(*study));
    (void)state;
    assert_non_null(study);
    study->sizes =
        (struct lab_bn_sizes){.seeds = 2, .steps = 100, .rate_count = 3, .rates = {0.1, 0.2, 0.4}};
    assert_int_equal(hits(study), 0); /* nothing has run */
    fill(study, TRAIN_NORM_NONE, 50, 1);
    fill(study, TRAIN_NORM_BATCH, 20, 3);
    fill(study, TRAIN_NORM_AMPLIFY, 20, 1);
    fill(study, TRAIN_NORM_SUPPRESS, 50, 3);
    assert_int_equal(hits(study), 0x3f);
    fill(study, TRAIN_NORM_AMPLIFY, 41, 1); /* not fast enough */
    assert_int_equal(hits(study), 0x3e);
    fill(study, TRAIN_NORM_AMPLIFY, 20, 2); /* survives what it should not */
    assert_int_equal(hits(study), 0x2f);
    fill(study, TRAIN_NORM_SUPPRESS, 40, 1); /* fast, and no survivor */
    assert_int_equal(hits(study), 0x25);
    fill(study, TRAIN_NORM_SUPPRESS, 50, 3);
    assert_int_equal(hits(study) & 2, 2);
    for (uint32_t seed = 0; seed < 2; seed++) { /* cut off alike: the next rate tells */
        study->outcomes[0][TRAIN_NORM_NONE][0][seed].reached = 0;
        study->outcomes[0][TRAIN_NORM_SUPPRESS][0][seed].reached = 0;
    }
    assert_int_equal(hits(study) & 2, 0);
    study->outcomes[0][TRAIN_NORM_BATCH][2][1].diverged = 7;
    assert_true(lab_bn_study_survives(study, 0, TRAIN_NORM_BATCH, true) == 0.2);
    assert_true(lab_bn_study_survives(study, 0, TRAIN_NORM_SUPPRESS, false) == 0.4);
    free(study);
}

/* ---- the command ---- */

static void put_number(FILE *file, uint32_t n)
{
    const uint8_t bytes[] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
    assert_int_equal(fwrite(bytes, 1, 4, file), 4);
}

static void write_digits(uint8_t label)
{
    static uint8_t pixels[DIGITS * LAB_BN_SIDE * LAB_BN_SIDE], labels[DIGITS];
    FILE *images = fopen("train-images-idx3-ubyte", "wb");
    FILE *classes = fopen("train-labels-idx1-ubyte", "wb");
    assert_true(images != NULL && classes != NULL);
    draw_digits(pixels, labels);
    labels[DIGITS - 1] = label;
    put_number(images, 0x803);
    put_number(images, DIGITS);
    put_number(images, LAB_BN_SIDE);
    put_number(images, LAB_BN_SIDE);
    assert_int_equal(fwrite(pixels, 1, sizeof(pixels), images), sizeof(pixels));
    put_number(classes, 0x801);
    put_number(classes, DIGITS);
    assert_int_equal(fwrite(labels, 1, sizeof(labels), classes), sizeof(labels));
    fclose(images);
    fclose(classes);
}

static int reproduce(void)
{
    static const struct lab_command command = {.name = "reproduce"};
    struct lab_args args = {.command = &command, .operands = {"batchnorm"}};
    args.values[LAB_OPTION_DATA] = ".";
    args.values[LAB_OPTION_OUT] = "out";
    args.values[LAB_OPTION_QUICK] = "";
    return lab_reproduce(&args);
}

static char *read_text(const char *path)
{
    uint8_t *bytes;
    size_t size;
    assert_int_equal(lab_file_read(path, 1 << 20, &bytes, &size), 0);
    char *text = calloc(1, size + 1);
    assert_non_null(text);
    memcpy(text, bytes, size);
    free(bytes);
    return text;
}

static uint32_t lines(const char *text)
{
    uint32_t count = 0;
    for (; *text; text++) {
        count += *text == '\n';
    }
    return count;
}

static void test_the_command_goes_on_where_it_was_broken_off(void **state)
{
    char folder[] = "/tmp/test_lab_bn.XXXXXX", before[4096];
    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(folder), 0);
    write_digits(10);
    assert_int_equal(reproduce(), LAB_EXIT_FAILED);
    write_digits(1);
    assert_int_equal(reproduce(), LAB_EXIT_OK);
    char *cells = read_text("out/cells.csv"), *report = read_text("out/report.md");
    char *trace = read_text("out/trace-batch-spread-0.03.csv");
    assert_int_equal(lines(cells), 1 + 2 * LAB_BN_NORMS * 3);
    assert_int_equal(lines(trace), 1 + 2);
    assert_non_null(strstr(report, "40 of 40 figures pass"));
    assert_null(strstr(report, "has not run"));
    assert_non_null(strstr(report, "center"));

    /* Without its last row the command makes that one training again. */
    char *last = strrchr(cells, '\n');
    *last = '\0';
    last = strrchr(cells, '\n') + 1;
    assert_int_equal(lab_file_write("out/cells.csv", cells, (size_t)(last - cells)), 0);
    assert_int_equal(reproduce(), LAB_EXIT_OK);
    char *again = read_text("out/cells.csv");
    const size_t same = (size_t)(strrchr(last, ',') - cells); /* but its seconds */
    assert_int_equal(lines(again), 1 + 2 * LAB_BN_NORMS * 3);
    assert_memory_equal(cells, again, same);
    free(cells);
    free(report);
    free(trace);
    free(again);
    assert_int_equal(chdir(before), 0);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eigenvalues_of_a_known_matrix),
        cmocka_unit_test(test_autocorrelation_by_hand),
        cmocka_unit_test(test_the_toy_reproduces_its_table),
        cmocka_unit_test(test_the_first_step_is_that_of_nlms),
        cmocka_unit_test(test_trainings_start_alike),
        cmocka_unit_test(test_claims_follow_the_figures),
        cmocka_unit_test(test_the_command_goes_on_where_it_was_broken_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
