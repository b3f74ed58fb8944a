/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The command line of ocellus-lab: what is taken, what is refused, what defaults survive. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/lab/options.h"

#define BIT(name) LAB_OPTION_BIT(LAB_OPTION_##name)

static const struct lab_command command = {
    .name = "try",
    .operands = "FILE",
    .operand_count = 1,
    .options = BIT(BITS) | BIT(EXPOSURE) | BIT(NOISE) | BIT(OUTPUT) | BIT(SIZE),
    .required = BIT(OUTPUT),
};

/* Splits a copy of `line` at blanks and parses it; the copy lives until the next call. */
static int parse(const char *line, struct lab_args *ret_args)
{
    static char text[256];
    char *argv[16] = {NULL};
    int argc = 0;
    snprintf(text, sizeof(text), "try %s", line);
    for (char *word = strtok(text, " "); word && argc < 15; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    return lab_args_parse(&command, argc, argv, ret_args);
}

static void test_takes_options_and_operands_in_any_order(void **state)
{
    (void)state;
    struct lab_args args;
    assert_int_equal(parse("--bits 10 picture.jpg -o out.dng --noise", &args), 0);
    assert_string_equal(args.operands[0], "picture.jpg");
    assert_string_equal(args.values[LAB_OPTION_OUTPUT], "out.dng");
    assert_true(lab_args_given(&args, LAB_OPTION_NOISE));
    assert_false(lab_args_given(&args, LAB_OPTION_SIZE));
    assert_int_equal(parse("--output=out.dng -- --noise", &args), 0);
    assert_string_equal(args.operands[0], "--noise");
    assert_false(lab_args_given(&args, LAB_OPTION_NOISE));
}

static void test_refuses_what_the_command_does_not_take(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "-o out.dng",                    /* no operand */
        "a b -o out.dng",                /* one too many */
        "picture.jpg",                   /* required option missing */
        "picture.jpg -o",                /* value missing */
        "picture.jpg -o out.dng --json", /* another command's option */
        "picture.jpg -o out.dng --nonsense",
        "picture.jpg -o out.dng -x",
        "picture.jpg -o out.dng --noise=3", /* takes no value */
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct lab_args args = {.operands = {"untouched"}};
        assert_int_equal(parse(lines[i], &args), -EINVAL);
        assert_string_equal(args.operands[0], "untouched");
    }
}

static void test_help_needs_nothing_else(void **state)
{
    (void)state;
    struct lab_args args;
    assert_int_equal(parse("--help", &args), 0);
    assert_true(lab_args_given(&args, LAB_OPTION_HELP));
    assert_int_equal(parse("-h", &args), 0);
    assert_true(lab_args_given(&args, LAB_OPTION_HELP));
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int result;
        uint64_t number;
    } cases[] = {
        {"8", 0, 8},          {"16", 0, 16},
        {"7", -EINVAL, 12},   {"17", -EINVAL, 12},
        {"-8", -EINVAL, 12},  {"+8", -EINVAL, 12},
        {"8x", -EINVAL, 12},  {"", -EINVAL, 12},
        {"0x8", -EINVAL, 12}, {"99999999999999999999", -EINVAL, 12},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lab_args args = {.command = &command};
        args.values[LAB_OPTION_BITS] = cases[i].text;
        uint64_t number = 12;
        assert_int_equal(lab_args_number(&args, LAB_OPTION_BITS, 8, 16, &number), cases[i].result);
        assert_int_equal(number, cases[i].number);
    }
    struct lab_args none = {.command = &command};
    uint64_t number = 12;
    assert_int_equal(lab_args_number(&none, LAB_OPTION_BITS, 8, 16, &number), 0);
    assert_int_equal(number, 12);
}

static void test_fractions_and_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int fraction, size; /* results */
        uint32_t a, b;
    } cases[] = {
        {"1/32", 0, -EINVAL, 1, 32},      {"8", 0, -EINVAL, 8, 1},
        {"3/4", 0, -EINVAL, 3, 4},        {"0/4", -EINVAL, -EINVAL, 0, 0},
        {"4/0", -EINVAL, -EINVAL, 0, 0},  {"1/", -EINVAL, -EINVAL, 0, 0},
        {"/2", -EINVAL, -EINVAL, 0, 0},   {"5000", -EINVAL, -EINVAL, 0, 0},
        {"64x48", -EINVAL, 0, 64, 48},    {"64x1", -EINVAL, -EINVAL, 0, 0},
        {"64x", -EINVAL, -EINVAL, 0, 0},  {"64x48x3", -EINVAL, -EINVAL, 0, 0},
        {"1/2 ", -EINVAL, -EINVAL, 0, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lab_args args = {.command = &command};
        args.values[LAB_OPTION_EXPOSURE] = cases[i].text;
        args.values[LAB_OPTION_SIZE] = cases[i].text;
        uint32_t a = 0, b = 0;
        assert_int_equal(lab_args_fraction(&args, LAB_OPTION_EXPOSURE, &a, &b), cases[i].fraction);
        if (cases[i].fraction == 0) {
            assert_int_equal(a, cases[i].a);
            assert_int_equal(b, cases[i].b);
        }
        a = b = 0;
        assert_int_equal(lab_args_size(&args, LAB_OPTION_SIZE, &a, &b), cases[i].size);
        assert_int_equal(a, cases[i].size == 0 ? cases[i].a : 0);
        assert_int_equal(b, cases[i].size == 0 ? cases[i].b : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_options_and_operands_in_any_order),
        cmocka_unit_test(test_refuses_what_the_command_does_not_take),
        cmocka_unit_test(test_help_needs_nothing_else),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_fractions_and_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
