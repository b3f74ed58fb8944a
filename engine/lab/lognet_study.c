/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab reproduce lognet: from plan to report. This file keeps the order of things and goes
 * on where an earlier run was broken off; lognet_run.c does the work.
 */
#include "engine/lab/lognet.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/options.h"
#include "engine/lab/samples.h"
#include "engine/lab/threads.h"

#define DEFAULT_THREADS 2u
#define DEFAULT_OUT     "lognet"
#define PLAN_BYTES_MAX  ((size_t)4096)
#define PICTURES_MIN    8u
#define EPOCHS_MAX      1000u
#define CALIBRATION     1000u
#define RANGES          40.0 /* passes to choose ranges by, of a kind and number of bits */

struct sizes {
    uint64_t pictures, epochs, seeds, test;
};

static const struct sizes whole = {UINT32_MAX, 4, 3, UINT32_MAX};
static const struct sizes quick = {5000, 2, 1, 500};

struct study {
    struct lab_lognet lognet;
    struct lab_samples data, test;
    struct lab_threads *threads;
    struct train_workers workers;
    struct lab_lognet_tools tools;
};

static int parse(const struct lab_args *args, struct sizes *ret_sizes, uint64_t *ret_threads,
                 uint32_t *ret_mask)
{
    *ret_sizes = lab_args_given(args, LAB_OPTION_QUICK) ? quick : whole;
    *ret_threads = DEFAULT_THREADS;
    *ret_mask = KERNEL_CPU_ALL;
    if (!lab_args_given(args, LAB_OPTION_TEST)) {
        lab_error("reproduce lognet: --test is needed");
        return -EINVAL;
    }
    if (lab_args_number(args, LAB_OPTION_IMAGES, PICTURES_MIN, LAB_TREE_FILES_MAX,
                        &ret_sizes->pictures) < 0 ||
        lab_args_number(args, LAB_OPTION_LIMIT, 1, LAB_TREE_FILES_MAX, &ret_sizes->test) < 0 ||
        lab_args_number(args, LAB_OPTION_EPOCHS, 1, EPOCHS_MAX, &ret_sizes->epochs) < 0 ||
        lab_args_number(args, LAB_OPTION_SEEDS, 1, LAB_LOGNET_SEEDS_MAX, &ret_sizes->seeds) < 0 ||
        lab_args_number(args, LAB_OPTION_THREADS, 1, LAB_THREADS_MAX, ret_threads) < 0 ||
        lab_args_cpu_mask(args, ret_mask) < 0) {
        return -EINVAL;
    }
    return 0;
}

static uint32_t least(uint64_t a, uint32_t b)
{
    return a < b ? (uint32_t)a : b;
}

static bool same_sizes(const struct sizes *a, const struct sizes *b)
{
    return a->pictures == b->pictures && a->epochs == b->epochs && a->seeds == b->seeds &&
           a->test == b->test;
}

static int set_sizes(struct study *study, const struct sizes *sizes)
{
    struct lab_lognet *lognet = &study->lognet;
    const struct lab_tree *data = &study->data.tree, *test = &study->test.tree;
    if (data->class_count != test->class_count || data->class_count < 2 ||
        data->file_count < PICTURES_MIN) {
        lab_error("--data and --test need the same classes, two or more, and %u pictures or more",
                  PICTURES_MIN);
        return -EINVAL;
    }
    lognet->classes = data->class_count;
    lognet->pictures = least(sizes->pictures, data->file_count);
    lognet->calibration = least(CALIBRATION, lognet->pictures);
    lognet->test = least(sizes->test, test->file_count);
    lognet->epochs = (uint32_t)sizes->epochs;
    lognet->seeds = (uint32_t)sizes->seeds;
    lognet->title = same_sizes(sizes, &quick)   ? "quick"
                    : same_sizes(sizes, &whole) ? "whole"
                                                : "other sizes than the usual";
    return 0;
}

static int open_all(struct study *study, const struct lab_args *args, uint64_t threads,
                    uint32_t mask)
{
    const struct network_input input = {
        .target = {.width = 32, .height = 32, .channels = IMAGE_RGB, .fit = IMAGE_FIT_COVER},
        .front = {.source = GRADIENT_SOURCE_SRGB, .coding = GRADIENT_CODING_F32, .planes = 3}};
    const uint32_t cpu = kernel_cpu_detect() & mask;
    struct kernel_table kernels;
    kernel_table_init(&kernels, cpu);
    int r = lab_samples_init(&study->data, args->values[LAB_OPTION_DATA], &input, &kernels);
    if (r == 0) {
        r = lab_samples_init(&study->test, args->values[LAB_OPTION_TEST], &input, &kernels);
    }
    if (r == 0) {
        r = lab_threads_create((uint32_t)threads, &study->threads);
        if (r < 0) {
            lab_error("%s", strerror(-r));
        }
    }
    study->workers = (struct train_workers){lab_threads_run, study->threads};
    study->tools = (struct lab_lognet_tools){&study->data, &study->test, &study->workers, cpu};
    return r;
}

static void close_all(struct study *study)
{
    lab_threads_destroy(study->threads);
    lab_samples_finish(&study->data);
    lab_samples_finish(&study->test);
}

/* What results of one directory have in common. Seeds may be added later. */
static int check_plan(const struct lab_lognet *lognet, const char *path)
{
    char text[256];
    uint8_t *bytes;
    size_t size;
    snprintf(text, sizeof(text),
             "lognet: %" PRIu32 " training pictures of %" PRIu32 " classes, %" PRIu32
             " epochs, %" PRIu32 " test pictures\n",
             lognet->pictures, lognet->classes, lognet->epochs, lognet->test);
    int r = lab_file_read(path, PLAN_BYTES_MAX, &bytes, &size);
    if (r == -ENOENT) {
        return lab_file_write(path, text, strlen(text));
    }
    if (r == 0) {
        r = size == strlen(text) && memcmp(bytes, text, size) == 0 ? 0 : -EEXIST;
        free(bytes);
    }
    return r;
}

static int enter_directory(const struct lab_lognet *lognet)
{
    if (mkdir(lognet->directory, 0777) != 0 && errno != EEXIST) {
        int r = -errno;
        lab_error("%s: %s", lognet->directory, strerror(-r));
        return r;
    }
    char *path = lab_lognet_path(lognet, "plan", ".txt");
    int r = path ? check_plan(lognet, path) : -ENOMEM;
    if (r < 0) {
        lab_error("%s: %s", lognet->directory,
                  r == -EEXIST ? "of a run with other sizes or data" : strerror(-r));
    }
    free(path);
    return r;
}

static int print_plan(struct study *study)
{
    struct lab_lognet *lognet = &study->lognet;
    struct lab_lognet_coding coding;
    uint32_t trainings = 0, rows = 0;
    double learning, classifying;
    for (uint32_t s = 0; s < lognet->seeds; s++) {
        for (uint32_t t = 0; t < LAB_LOGNET_TRAININGS; t++) {
            trainings += lognet->trained[t][s].pictures == 0;
        }
        for (uint32_t i = 0; lab_lognet_coding_at(i, &coding); i++) {
            rows += lab_lognet_row(lognet, s, &coding)->pictures == 0;
        }
    }
    if (trainings + rows == 0) {
        puts("nothing is left to do");
        return 0;
    }
    int r = lab_lognet_time(lognet, &study->tools, &learning, &classifying);
    if (r < 0) {
        return r;
    }
    const double train = learning * lognet->pictures * lognet->epochs * trainings / 3600;
    const double code = classifying *
                        (lognet->test + RANGES / LAB_LOGNET_PARTS * lognet->calibration) * rows /
                        3600;
    printf("lognet (%s), %" PRIu32 " pictures, %" PRIu32 " epochs, %" PRIu32 " seeds, %" PRIu32
           " test pictures\n"
           "%8.2f h  %" PRIu32 " trainings at most, of %.1f s an epoch, as measured just now\n"
           "%8.2f h  %" PRIu32 " codings of trained networks\n"
           "%8.2f h  in all\n",
           lognet->title, lognet->pictures, lognet->epochs, lognet->seeds, lognet->test, train,
           trainings, learning * lognet->pictures, code, rows, train + code);
    fflush(stdout);
    return 0;
}

static int run_training(struct study *study, enum lab_lognet_training training, uint32_t seed)
{
    struct lab_lognet *lognet = &study->lognet;
    const struct lab_lognet_trained *trained = &lognet->trained[training][seed];
    if (trained->pictures > 0) {
        return 0;
    }
    int r = lab_lognet_train(lognet, &study->tools, training, seed);
    if (r == 0) {
        printf("%s-%" PRIu32 ": %.2f %%%s\n", lab_lognet_training_names[training], seed + 1,
               100.0 * trained->right / trained->pictures, trained->diverged ? ", diverged" : "");
        fflush(stdout);
        r = lab_lognet_report(lognet);
    }
    return r;
}

/* What takes least and says most comes first: the float networks and their codings. */
static int run_all(struct study *study)
{
    const uint32_t seeds = study->lognet.seeds;
    int r = 0;
    for (uint32_t seed = 0; r == 0 && seed < seeds; seed++) {
        r = run_training(study, LAB_LOGNET_FLOAT, seed);
        r = r < 0 ? r : lab_lognet_code(&study->lognet, &study->tools, seed);
    }
    for (uint32_t t = LAB_LOGNET_FLOAT + 1; r == 0 && t < LAB_LOGNET_TRAININGS; t++) {
        for (uint32_t seed = 0; r == 0 && seed < seeds; seed++) {
            r = run_training(study, (enum lab_lognet_training)t, seed);
        }
    }
    return r < 0 ? r : lab_lognet_report(&study->lognet);
}

static int work(struct study *study)
{
    int r = enter_directory(&study->lognet);
    if (r == 0) {
        r = lab_lognet_load(&study->lognet);
    }
    if (r == 0) {
        r = print_plan(study);
    }
    if (r == 0) {
        r = run_all(study);
    }
    if (r == 0) {
        printf("%s/report.md\n", study->lognet.directory);
    }
    return r;
}

int lab_lognet_reproduce(const struct lab_args *args)
{
    struct study *study = calloc(1, sizeof(*study));
    struct sizes sizes;
    uint64_t threads;
    uint32_t mask;
    if (!study) {
        lab_error("out of memory");
        return LAB_EXIT_FAILED;
    }
    if (parse(args, &sizes, &threads, &mask) < 0) {
        free(study);
        return LAB_EXIT_USAGE;
    }
    study->lognet.directory =
        args->values[LAB_OPTION_OUT] ? args->values[LAB_OPTION_OUT] : DEFAULT_OUT;
    int r = open_all(study, args, threads, mask);
    if (r == 0) {
        r = set_sizes(study, &sizes);
    }
    if (r == 0) {
        r = work(study);
    }
    close_all(study);
    free(study);
    return r < 0 ? LAB_EXIT_FAILED : LAB_EXIT_OK;
}
