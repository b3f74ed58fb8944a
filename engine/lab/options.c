/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Command line parsing over getopt_long. Every option of every command has one row in one table
 * here; nothing else in the lab looks at argv.
 */
#include "engine/lab/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernel/cpu.h"
#include "engine/lab/lab.h"

struct option_row {
    const char *name;
    char letter;       /* 0: no short form */
    const char *value; /* NULL: takes none */
    const char *help;
};

static const struct option_row rows[LAB_OPTION_COUNT] = {
    [LAB_OPTION_BITS] = {"bits", 0, "N", "bits of the simulated converter: 8 to 16 (default 12)"},
    [LAB_OPTION_BRIGHTNESS] = {"brightness", 0, NULL, "sweep the exposure from 1/32 to 8"},
    [LAB_OPTION_CALIBRATE] = {"calibrate", 0, "DIR",
                              "folder-per-class tree to fit to or compare on"},
    [LAB_OPTION_CFA] = {"cfa", 0, "ORDER", "RGGB (default), GRBG, GBRG or BGGR"},
    [LAB_OPTION_COMPARE] = {"compare", 0, "FILE", "another model; of scan: another's boxes"},
    [LAB_OPTION_CPU_MASK] = {"cpu-mask", 0, "MASK",
                             "instruction sets: all, c, avx2, ... or a number"},
    [LAB_OPTION_DATA] = {"data", 0, "DIR", "folder-per-class tree of training pictures"},
    [LAB_OPTION_DECOYS] = {"decoys", 0, "DIR", "crops of other things, pasted as objects are"},
    [LAB_OPTION_DISK] = {"disk", 0, "DIR",
                         "folder on a disk of its own, to count what it receives"},
    [LAB_OPTION_EPOCHS] = {"epochs", 0, "N", "epochs of each training"},
    [LAB_OPTION_EXPOSURE] = {"exposure", 0, "A/B", "exposure relative to nominal (default 1)"},
    [LAB_OPTION_FALSE_POSITIVES] = {"false-positives", 0, "P",
                                    "percent that may be mistaken (default 1)"},
    [LAB_OPTION_FILTERS] = {"filters", 0, "N", "filters to leave (default 4)"},
    [LAB_OPTION_FULL] = {"full", 0, NULL, "the paper's own sizes: days of one core"},
    [LAB_OPTION_HELP] = {"help", 'h', NULL, "print this help"},
    [LAB_OPTION_IMAGES] = {"images", 0, "N", "how many pictures"},
    [LAB_OPTION_JSON] = {"json", 0, NULL, "print JSON, an object a line, instead of text"},
    [LAB_OPTION_LIMIT] = {"limit", 0, "N", "at most N pictures, spread over the classes"},
    [LAB_OPTION_LOSS] = {"loss", 0, "P", "points of accuracy that may be lost (default 0.5)"},
    [LAB_OPTION_NOISE] = {"noise", 0, NULL, "add shot and read noise"},
    [LAB_OPTION_OBJECTS] = {"objects", 0, "N", "objects in a frame, 0 to 16 (default 1)"},
    [LAB_OPTION_OBJECT_MIN] =
        {"object-min", 0, "N",
         "rows of the smallest window in a frame (default: twice the model's)"},
    [LAB_OPTION_OUT] = {"out", 0, "DIR", "folder for the results (of train: the recipe's name)"},
    [LAB_OPTION_OUTPUT] = {"output", 'o', "FILE", "where the result is written"},
    [LAB_OPTION_PLAN] = {"plan", 0, NULL, "print the steps of a run and their kernels, too"},
    [LAB_OPTION_POSITIVE] = {"positive", 0, "LABEL",
                             "of two labels, what to look for (default: the second)"},
    [LAB_OPTION_QUICK] = {"quick", 0, NULL, "a small study of some minutes"},
    [LAB_OPTION_RECALL] = {"recall", 0, "P", "percent that must be found (default 95)"},
    [LAB_OPTION_RESUME] = {"resume", 0, NULL, "go on after the last checkpoint, if there is one"},
    [LAB_OPTION_BATCH] = {"batch", 0, "N", "images in one run, 1 to 16 (default 1)"},
    [LAB_OPTION_RUNS] = {"runs", 0, "N", "how often a network runs (default 1000)"},
    [LAB_OPTION_SEED] = {"seed", 0, "N", "seed of everything random (default 1)"},
    [LAB_OPTION_SEEDS] = {"seeds", 0, "N", "trainings of each kind, from seed 1 on"},
    [LAB_OPTION_SIZE] = {"size", 0, "WxH", "samples of the sensor (default: the picture's size)"},
    [LAB_OPTION_TEST] = {"test", 0, "DIR", "tree of pictures to measure with after each epoch"},
    [LAB_OPTION_THREADS] = {"threads", 0, "N", "threads: 1 to 64 (default 2)"},
    [LAB_OPTION_THRESHOLD] = {"threshold", 0, "P",
                              "percent of confidence from which on (of mine 20, of scan 5)"},
    [LAB_OPTION_WIDEN] = {"widen", 0, "DIR",
                          "start from a run of the same network with fewer channels"},
};

/* getopt_long's own forms of the rows that the command takes. */
struct getopt_form {
    struct option longs[LAB_OPTION_COUNT + 1];
    char shorts[2 * LAB_OPTION_COUNT + 2];
};

static bool takes(const struct lab_command *command, int option)
{
    return option == LAB_OPTION_HELP || (command->options & LAB_OPTION_BIT(option)) != 0;
}

static void form_init(struct getopt_form *form, const struct lab_command *command)
{
    size_t longs = 0, shorts = 0;
    memset(form, 0, sizeof(*form));
    form->shorts[shorts++] = ':'; /* tell a missing value from an unknown option */
    for (int i = 0; i < LAB_OPTION_COUNT; i++) {
        if (!takes(command, i)) {
            continue;
        }
        form->longs[longs++] =
            (struct option){rows[i].name, rows[i].value ? required_argument : no_argument, NULL, i};
        if (rows[i].letter != 0) {
            form->shorts[shorts++] = rows[i].letter;
            if (rows[i].value) {
                form->shorts[shorts++] = ':';
            }
        }
    }
}

static int option_of(int got)
{
    for (int i = 0; i < LAB_OPTION_COUNT; i++) {
        if (got == i || (rows[i].letter != 0 && got == rows[i].letter)) {
            return i;
        }
    }
    return -1;
}

static int check_complete(const struct lab_args *args, int operands)
{
    const struct lab_command *command = args->command;
    if (command->operands_open ? operands > LAB_OPERANDS_MAX : operands != command->operand_count) {
        lab_error("%s: expected %s", command->name, command->operands);
        return -EINVAL;
    }
    for (int i = 0; i < LAB_OPTION_COUNT; i++) {
        if ((command->required & LAB_OPTION_BIT(i)) && !args->values[i]) {
            lab_error("%s: --%s %s is needed", command->name, rows[i].name, rows[i].value);
            return -EINVAL;
        }
    }
    return 0;
}

int lab_args_parse(const struct lab_command *command, int argc, char **argv,
                   struct lab_args *ret_args)
{
    struct getopt_form form;
    form_init(&form, command);
    struct lab_args args = {.command = command};
    int got;
    optind = 0;
    opterr = 0;
    while ((got = getopt_long(argc, argv, form.shorts, form.longs, NULL)) != -1) {
        int option = option_of(got);
        if (option < 0) {
            lab_error("%s: %s %s", command->name, argv[optind - 1],
                      got == ':' ? "needs a value" : "is not an option of this command");
            return -EINVAL;
        }
        args.values[option] = rows[option].value ? optarg : "";
    }
    int operands = argc - optind;
    for (int i = 0; i < operands && i < LAB_OPERANDS_MAX; i++) {
        args.operands[i] = argv[optind + i];
    }
    if (!args.values[LAB_OPTION_HELP]) {
        int r = check_complete(&args, operands);
        if (r < 0) {
            return r;
        }
    }
    *ret_args = args;
    return 0;
}

void lab_command_help(const struct lab_command *command, FILE *stream)
{
    fprintf(stream, "Usage: ocellus-lab %s [OPTION...] %s\n\n%s\n\nOptions:\n", command->name,
            command->operands, command->about);
    for (int i = 0; i < LAB_OPTION_COUNT; i++) {
        if (!takes(command, i)) {
            continue;
        }
        char form[64];
        snprintf(form, sizeof(form), "--%s%s%s", rows[i].name, rows[i].value ? " " : "",
                 rows[i].value ? rows[i].value : "");
        if (rows[i].letter != 0) {
            fprintf(stream, "  -%c, %-20s %s\n", rows[i].letter, form, rows[i].help);
        } else {
            fprintf(stream, "      %-20s %s\n", form, rows[i].help);
        }
    }
}

bool lab_args_given(const struct lab_args *args, enum lab_option option)
{
    return args->values[option] != NULL;
}

static int refuse(const struct lab_args *args, enum lab_option option, const char *expected)
{
    lab_error("%s: --%s: expected %s, got '%s'", args->command->name, rows[option].name, expected,
              args->values[option]);
    return -EINVAL;
}

/* Digits only: strtoull alone would take signs and leading blanks. */
static bool read_number(const char **text, uint64_t max, uint64_t *ret_number)
{
    if (**text < '0' || **text > '9') {
        return false;
    }
    char *end;
    errno = 0;
    unsigned long long number = strtoull(*text, &end, 10);
    if (errno != 0 || number > max) {
        return false;
    }
    *text = end;
    *ret_number = number;
    return true;
}

int lab_args_number(const struct lab_args *args, enum lab_option option, uint64_t min, uint64_t max,
                    uint64_t *ret_number)
{
    const char *text = args->values[option];
    uint64_t number;
    if (!text) {
        return 0;
    }
    if (!read_number(&text, max, &number) || *text != '\0' || number < min) {
        char expected[64];
        snprintf(expected, sizeof(expected), "a number from %llu to %llu", (unsigned long long)min,
                 (unsigned long long)max);
        return refuse(args, option, expected);
    }
    *ret_number = number;
    return 0;
}

/* Two numbers of [min, 4096] with `between` between them; without it the second is `fallback`, if
 * not 0. */
static bool read_pair(const char *text, char between, uint64_t min, uint32_t fallback,
                      uint32_t *ret_first, uint32_t *ret_second)
{
    uint64_t first, second = fallback;
    if (!read_number(&text, 4096, &first)) {
        return false;
    }
    if (*text == between) {
        text++;
        if (!read_number(&text, 4096, &second)) {
            return false;
        }
    }
    if (*text != '\0' || first < min || second < min) {
        return false;
    }
    *ret_first = (uint32_t)first;
    *ret_second = (uint32_t)second;
    return true;
}

int lab_args_fraction(const struct lab_args *args, enum lab_option option, uint32_t *ret_num,
                      uint32_t *ret_den)
{
    const char *text = args->values[option];
    if (text && !read_pair(text, '/', 1, 1, ret_num, ret_den)) {
        return refuse(args, option, "A or A/B, each from 1 to 4096");
    }
    return 0;
}

int lab_args_size(const struct lab_args *args, enum lab_option option, uint32_t *ret_width,
                  uint32_t *ret_height)
{
    const char *text = args->values[option];
    if (text && !read_pair(text, 'x', 2, 0, ret_width, ret_height)) {
        return refuse(args, option, "WxH, each from 2 to 4096");
    }
    return 0;
}

int lab_args_percent(const struct lab_args *args, enum lab_option option, double *ret_percent)
{
    const char *text = args->values[option];
    char *end;
    if (!text) {
        return 0;
    }
    double percent = strtod(text, &end);
    if (text[0] == '\0' || text[strspn(text, "0123456789.")] != '\0' || *end != '\0' ||
        percent > 100) {
        return refuse(args, option, "a percentage from 0 to 100");
    }
    *ret_percent = percent;
    return 0;
}

int lab_args_cpu_mask(const struct lab_args *args, uint32_t *ret_mask)
{
    const char *text = args->values[LAB_OPTION_CPU_MASK];
    uint32_t mask = KERNEL_CPU_ALL;
    if (text && kernel_cpu_mask_parse(text, &mask) < 0) {
        return refuse(args, LAB_OPTION_CPU_MASK, "all, c, the name of an instruction set or 0x..");
    }
    *ret_mask = mask;
    return 0;
}
