/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab reproduce lognet: verdicts follow the figures, a folded network computes what the one
 * with norms does, and what is there of a run is not done again.
 */
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
#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/lognet.h"
#include "engine/lab/options.h"
#include "tests/unit/lab/folder.h"

#define PICTURES 6u /* of a class */

static int make_pictures(void **state)
{
    (void)state;
    return make_trees(PICTURES);
}

/* ---- verdicts ---- */

static void fill_row(struct lab_lognet *lognet, const struct lab_lognet_coding *coding,
                     uint32_t right)
{
    for (uint32_t s = 0; s < lognet->seeds; s++) {
        *lab_lognet_row(lognet, s, coding) = (struct lab_lognet_row){right + s, 1000, {0}};
    }
}

/* Results on which every claim holds. */
static void fill(struct lab_lognet *lognet)
{
    static const uint32_t trained[LAB_LOGNET_TRAININGS] = {750, 740, 720, 745};
    static const uint32_t rows[LAB_LOGNET_GRIDS] = {700, 741, 745};
    struct lab_lognet_coding coding;
    memset(lognet, 0, sizeof(*lognet));
    lognet->seeds = 3;
    for (uint32_t t = 0; t < LAB_LOGNET_TRAININGS; t++) {
        for (uint32_t s = 0; s < lognet->seeds; s++) {
            lognet->trained[t][s] = (struct lab_lognet_trained){trained[t] + s, 1000, false};
        }
    }
    for (uint32_t i = 0; lab_lognet_coding_at(i, &coding); i++) {
        fill_row(lognet, &coding, rows[coding.grid]);
    }
}

static void expect(struct lab_lognet *lognet, unsigned held, unsigned missed, unsigned unknown)
{
    char *bytes;
    size_t size;
    FILE *text = open_memstream(&bytes, &size);
    assert_non_null(text);
    lab_lognet_print_verdicts(lognet, text);
    assert_int_equal(fclose(text), 0);
    print_message("%s\n", bytes);
    assert_int_equal(count_words(bytes, "**held**"), held);
    assert_int_equal(count_words(bytes, "**missed**"), missed);
    assert_int_equal(count_words(bytes, "not known yet"), unknown);
    free(bytes);
}

static void test_verdicts_follow_the_figures(void **state)
{
    (void)state;
    static struct lab_lognet lognet;
    const struct lab_lognet_coding log3 = {LAB_LOGNET_ACTIVATIONS, LAB_LOGNET_BASE2, 0};
    const struct lab_lognet_coding linear3 = {LAB_LOGNET_ACTIVATIONS, LAB_LOGNET_STEPS, 0};
    const struct lab_lognet_coding conv5 = {LAB_LOGNET_CONV, LAB_LOGNET_BASE2, 2};
    fill(&lognet);
    expect(&lognet, 9, 0, 0);
    fill_row(&lognet, &log3, 739); /* 1.1 points below float */
    expect(&lognet, 8, 1, 0);
    fill_row(&lognet, &linear3, 729); /* 1 point below log */
    expect(&lognet, 7, 2, 0);
    fill_row(&lognet, &conv5, 745); /* as good as base sqrt 2 */
    expect(&lognet, 6, 3, 0);
    lognet.trained[LAB_LOGNET_LINEAR][1].right = 900;
    expect(&lognet, 4, 5, 0);
    lognet.trained[LAB_LOGNET_LINEAR][1].pictures = 0; /* a seed is missing */
    lab_lognet_row(&lognet, 2, &linear3)->pictures = 0;
    expect(&lognet, 4, 2, 3);
    memset(lognet.trained, 0, sizeof(lognet.trained));
    memset(lognet.rows, 0, sizeof(lognet.rows));
    expect(&lognet, 0, 0, 9);
}

/* ---- folding ---- */

static void test_folded_network_computes_the_same(void **state)
{
    (void)state;
    static float images[8 * 6 * 6 * 3];
    static const uint32_t labels[8] = {0, 1, 2, 0, 1, 2, 0, 1};
    const struct train_optimiser sgd = {.rule = TRAIN_SGD, .momentum = 0.9f};
    const struct train_settings settings = {.batch = 8, .cpu = kernel_cpu_detect(), .seed = 3};
    struct train_layer layers[] = {
        {.operation = TRAIN_CONV,
         .out = 5,
         .kernel = {3, 3},
         .stride = {1, 1},
         .pad = {1, 1},
         .norm = TRAIN_NORM_BATCH,
         .activation = TRAIN_RELU,
         .pool = {2, 2},
         .pool_stride = {2, 2}},
        {.operation = TRAIN_DENSE, .out = 7, .norm = TRAIN_NORM_BATCH, .activation = TRAIN_RELU},
        {.operation = TRAIN_DENSE, .out = 3, .bias = true},
    };
    const struct train_network network = {{6, 6, 3}, 3, layers};
    struct train *normed, *folded;
    struct train_result result;
    for (uint32_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
        images[i] = (float)(train_random(4, 0, i) >> 40) * 0x1p-23f - 1.0f;
    }
    assert_int_equal(train_create(&network, &settings, &normed, NULL), 0);
    for (uint32_t step = 0; step < 5; step++) { /* gamma, beta, means and biases of their own */
        train_forward(normed, images, 8, true, NULL);
        train_backward(normed, TRAIN_SOFTMAX, labels, NULL, &result);
        train_update(normed, &sgd, 0.05f);
    }
    lab_lognet_fold_layers(3, layers);
    assert_int_equal(train_create(&network, &settings, &folded, NULL), 0);
    lab_lognet_fold(normed, 3, folded);
    train_forward(normed, images, 8, false, NULL);
    train_forward(folded, images, 8, false, NULL);
    const float *want = train_scores(normed), *got = train_scores(folded);
    for (uint32_t i = 0; i < 8 * 3; i++) {
        assert_true(fabsf(want[i] - got[i]) <= 1e-4f * (1.0f + fabsf(want[i])));
    }
    train_destroy(normed);
    train_destroy(folded);
}

/* ---- whole runs ---- */

static int reproduce(const char *out, const char *epochs)
{
    static const struct lab_command command = {.name = "reproduce"};
    struct lab_args args = {.command = &command, .operands = {"lognet"}};
    args.values[LAB_OPTION_DATA] = at("train");
    args.values[LAB_OPTION_TEST] = at("test");
    args.values[LAB_OPTION_OUT] = at(out);
    args.values[LAB_OPTION_EPOCHS] = epochs;
    args.values[LAB_OPTION_SEEDS] = "1";
    args.values[LAB_OPTION_THREADS] = "2";
    return lab_reproduce(&args);
}

static char *read_text(const char *path)
{
    uint8_t *bytes;
    size_t size;
    assert_int_equal(lab_file_read(path, 1 << 20, &bytes, &size), 0);
    char *text = strndup((char *)bytes, size);
    assert_non_null(text);
    free(bytes);
    return text;
}

static void write_text(const char *path, const char *text)
{
    assert_int_equal(lab_file_write(path, text, strlen(text)), 0);
}

static void test_run_goes_on_where_it_was_broken_off(void **state)
{
    (void)state;
    struct stat before, after;
    assert_int_equal(reproduce("a", "1"), LAB_EXIT_OK);
    char *report = read_text(at("a/report.md")), *rows = read_text(at("a/codings-1.csv"));
    assert_null(strstr(report, "Not complete"));
    assert_null(strstr(report, "not known yet"));
    assert_non_null(strstr(report, "JPEG-recompressed"));
    assert_int_equal(count_words(rows, "\n"), 37);

    char *cut = strdup(rows);
    assert_non_null(cut);
    strstr(cut, "dense,")[0] = '\0'; /* the first part alone is done */
    write_text(at("a/codings-1.csv"), cut);
    assert_int_equal(unlink(at("a/log-1.csv")), 0); /* trained, but not measured */
    assert_int_equal(stat(at("a/log-1.safetensors"), &before), 0);
    assert_int_equal(reproduce("a", "1"), LAB_EXIT_OK);
    assert_int_equal(stat(at("a/log-1.safetensors"), &after), 0);
    assert_true(before.st_ino == after.st_ino); /* not trained again */
    char *again = read_text(at("a/report.md")), *new_rows = read_text(at("a/codings-1.csv"));
    assert_string_equal(again, report);
    assert_string_equal(new_rows, rows);
    free(report);
    free(rows);
    free(cut);
    free(again);
    free(new_rows);
}

static void test_other_sizes_and_changed_results_are_refused(void **state)
{
    (void)state;
    assert_int_equal(reproduce("a", "2"), LAB_EXIT_FAILED);
    write_text(at("a/float-1.csv"), "right,pictures,diverged\n13,12,0\n");
    assert_int_equal(reproduce("a", "1"), LAB_EXIT_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts_follow_the_figures),
        cmocka_unit_test(test_folded_network_computes_the_same),
        cmocka_unit_test(test_run_goes_on_where_it_was_broken_off),
        cmocka_unit_test(test_other_sizes_and_changed_results_are_refused),
    };
    return cmocka_run_group_tests(tests, make_pictures, remove_root);
}
