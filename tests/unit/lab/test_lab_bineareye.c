/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The study of binary networks: the chip's count of operations, verdicts by figures, and a run that
 * goes on where it was broken off. */
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

#include "engine/lab/bineareye.h"
#include "engine/lab/lab.h"
#include "engine/lab/options.h"
#include "tests/unit/lab/folder.h"

static void test_operations_are_the_chip_s(void **state)
{
    static const double paper[] = {0.126e9, 0.503e9, 2.013e9};
    static const uint32_t levels[] = {21, 41, 85};
    (void)state;
    for (uint32_t w = 0; w < 3; w++) {
        const double counted =
            lab_bineareye_operations(&lab_bineareye_shapes[LAB_BINEAREYE_DEEP + w], 3 * levels[w]);
        assert_true(fabs(counted - paper[w]) < 0.01 * paper[w]); /* odd planes: some are left out */
    }
}

static unsigned count_in(const struct lab_bineareye *study, const char *word)
{
    char *bytes;
    size_t size;
    FILE *text = open_memstream(&bytes, &size);
    assert_non_null(text);
    lab_bineareye_print_verdicts(study, text);
    assert_int_equal(fclose(text), 0);
    const unsigned found = count_words(bytes, word);
    free(bytes);
    return found;
}

static void test_verdicts_follow_the_figures(void **state)
{
    static struct lab_bineareye study = {.seeds = 2};
    struct lab_bineareye_cell(*cells)[LAB_BINEAREYE_SHAPES][LAB_STUDY_SEEDS_MAX] = study.cells;
    (void)state;
    assert_int_equal(count_in(&study, "**not known yet**"), 4);
    for (uint32_t i = 0; i < LAB_BINEAREYE_INPUTS; i++) {
        for (uint32_t s = 0; s < LAB_BINEAREYE_SHAPES; s++) {
            cells[i][s][0] = (struct lab_bineareye_cell){.pictures = 1000, .decoded = 600 + 10 * s};
            for (uint32_t e = 0; e < LAB_LIGHT_EXPOSURES; e++) {
                cells[i][s][0].right[e] = 600;
            }
        }
    }
    cells[0][LAB_BINEAREYE_DEEP][0].right[1] = 500; /* 1/16: ten points lost */
    cells[1][LAB_BINEAREYE_DEEP][0].right[8] = 584; /* 8 */
    cells[1][LAB_BINEAREYE_DEEP][0].right[0] = 0;   /* 1/32 does not count */
    assert_int_equal(count_in(&study, "**held**"), 4);
    cells[1][LAB_BINEAREYE_DEEP][0].right[8] = 582;
    assert_int_equal(count_in(&study, "**missed**"), 1);
    cells[0][LAB_BINEAREYE_DEEP][0].right[1] = 501;
    assert_int_equal(count_in(&study, "**missed**"), 2);
    cells[0][LAB_BINEAREYE_DEEP + 1][0].decoded = 640; /* as good as width 256 */
    assert_int_equal(count_in(&study, "**missed**"), 3);
    cells[0][LAB_BINEAREYE_DEEP][1] = cells[0][LAB_BINEAREYE_DEEP][0];
    cells[0][LAB_BINEAREYE_DEEP][1].right[1] = 400; /* the least of the seeds counts */
    assert_int_equal(count_in(&study, "**missed**"), 3);
}

static int reproduce(const char *out, const char *limit)
{
    static const struct lab_command command = {.name = "reproduce"};
    struct lab_args args = {.command = &command, .operands = {"bineareye"}};
    args.values[LAB_OPTION_DATA] = at("train");
    args.values[LAB_OPTION_TEST] = at("test");
    args.values[LAB_OPTION_OUT] = at(out);
    args.values[LAB_OPTION_IMAGES] = "8";
    args.values[LAB_OPTION_EPOCHS] = "1";
    args.values[LAB_OPTION_SEEDS] = "1";
    args.values[LAB_OPTION_LIMIT] = limit;
    return lab_reproduce(&args);
}

static char *read_report(void)
{
    uint8_t *bytes;
    size_t size;
    assert_int_equal(lab_file_read(at("run/report.md"), 1 << 20, &bytes, &size), 0);
    char *text = realloc(bytes, size + 1);
    assert_non_null(text);
    text[size] = '\0';
    return text;
}

static void test_run_goes_on_where_it_was_broken_off(void **state)
{
    (void)state;
    assert_int_equal(reproduce("run", "4"), LAB_EXIT_OK);
    char *first = read_report();
    assert_int_equal(count_words(first, " - |"), 0); /* all is known */
    assert_int_equal(unlink(at("run/thermometer-64-1.csv")), 0);
    assert_int_equal(unlink(at("run/log-gradient-128-1.csv")), 0);
    assert_int_equal(unlink(at("run/log-gradient-128-1.safetensors")), 0);
    assert_int_equal(unlink(at("run/log-gradient-256-1.csv")), 0); /* begins as width 128 */
    assert_int_equal(unlink(at("run/log-gradient-256-1.safetensors")), 0);
    assert_int_equal(reproduce("run", "4"), LAB_EXIT_OK);
    char *second = read_report();
    assert_string_equal(first, second);
    free(first);
    free(second);
    assert_int_equal(reproduce("run", "3"), LAB_EXIT_FAILED); /* other sizes */
    assert_int_equal(lab_file_write(at("run/thermometer-64-1.csv"), "exposure\n", 9), 0);
    assert_int_equal(reproduce("run", "4"), LAB_EXIT_FAILED);
}

static int setup(void **state)
{
    (void)state;
    return make_trees(8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operations_are_the_chip_s),
        cmocka_unit_test(test_verdicts_follow_the_figures),
        cmocka_unit_test(test_run_goes_on_where_it_was_broken_off),
    };
    return cmocka_run_group_tests(tests, setup, remove_root);
}
