/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The command line of ocellus-lab: one table of options, commands that name the options they take,
 * a parser and the help text made from both. Knows no command's meaning.
 */
#ifndef OCELLUS_ENGINE_LAB_OPTIONS_H
#define OCELLUS_ENGINE_LAB_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum lab_option {
    LAB_OPTION_BITS = 0,
    LAB_OPTION_BRIGHTNESS,
    LAB_OPTION_CALIBRATE,
    LAB_OPTION_CFA,
    LAB_OPTION_COMPARE,
    LAB_OPTION_CPU_MASK,
    LAB_OPTION_DATA,
    LAB_OPTION_DECOYS,
    LAB_OPTION_DISK,
    LAB_OPTION_EPOCHS,
    LAB_OPTION_EXPOSURE,
    LAB_OPTION_FALSE_POSITIVES,
    LAB_OPTION_FILTERS,
    LAB_OPTION_FULL,
    LAB_OPTION_HELP,
    LAB_OPTION_IMAGES,
    LAB_OPTION_JSON,
    LAB_OPTION_LIMIT,
    LAB_OPTION_LOSS,
    LAB_OPTION_NOISE,
    LAB_OPTION_OBJECTS,
    LAB_OPTION_OBJECT_MIN,
    LAB_OPTION_OUT,
    LAB_OPTION_OUTPUT,
    LAB_OPTION_PLAN,
    LAB_OPTION_POSITIVE,
    LAB_OPTION_QUICK,
    LAB_OPTION_RECALL,
    LAB_OPTION_RESUME,
    LAB_OPTION_BATCH,
    LAB_OPTION_RUNS,
    LAB_OPTION_SEED,
    LAB_OPTION_SEEDS,
    LAB_OPTION_SIZE,
    LAB_OPTION_TEST,
    LAB_OPTION_THREADS,
    LAB_OPTION_THRESHOLD,
    LAB_OPTION_WIDEN,
    LAB_OPTION_COUNT,
};

#define LAB_OPTION_BIT(option) (1ull << (option))
#define LAB_OPERANDS_MAX       16

struct lab_args;

struct lab_command {
    const char *name;
    const char *operands; /* as help shows them: "MODEL DIR" */
    int operand_count;    /* exactly so many, at most LAB_OPERANDS_MAX */
    bool operands_open;   /* or any number up to LAB_OPERANDS_MAX */
    uint64_t options;     /* LAB_OPTION_BIT of each it takes; help is always taken */
    uint64_t required;    /* those of them that must be given */
    const char *summary;  /* one line */
    const char *about;    /* more lines for --help of the command */
    int (*run)(const struct lab_args *args);
};

/* A parsed command line. Strings are argv's own. */
struct lab_args {
    const struct lab_command *command;
    const char *values[LAB_OPTION_COUNT];   /* NULL: not given; "" for an option without value */
    const char *operands[LAB_OPERANDS_MAX]; /* NULL behind the last */
};

/*
 * argv[0] is the command's name. 0, or -EINVAL after telling what is wrong on standard error. With
 * --help given nothing else is checked.
 */
int lab_args_parse(const struct lab_command *command, int argc, char **argv,
                   struct lab_args *ret_args);

void lab_command_help(const struct lab_command *command, FILE *stream);

bool lab_args_given(const struct lab_args *args, enum lab_option option);

/*
 * The value of an option as a number of [min, max], a fraction "a" or "a/b" (each 1..4096) or a
 * size "WxH" (each 2..4096). The out-parameters keep what they hold, the default, when the option
 * was not given. -EINVAL after telling what is wrong.
 */
int lab_args_number(const struct lab_args *args, enum lab_option option, uint64_t min, uint64_t max,
                    uint64_t *ret_number);
int lab_args_fraction(const struct lab_args *args, enum lab_option option, uint32_t *ret_num,
                      uint32_t *ret_den);
int lab_args_size(const struct lab_args *args, enum lab_option option, uint32_t *ret_width,
                  uint32_t *ret_height);

/* A percentage, "99.5", of [0, 100]; else as above. */
int lab_args_percent(const struct lab_args *args, enum lab_option option, double *ret_percent);

/* --cpu-mask as the kernel module reads it; KERNEL_CPU_ALL when not given. */
int lab_args_cpu_mask(const struct lab_args *args, uint32_t *ret_mask);

#endif
