/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab reproduce: a paper's experiment from plan to report. This file keeps the order of
 * things and goes on where an earlier run was broken off; light_run.c does the work.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/light.h"
#include "engine/lab/options.h"
#include "engine/lab/samples.h"
#include "engine/lab/threads.h"

#define DEFAULT_THREADS 2u
#define DEFAULT_OUT     "log-gradient"
#define PLAN_BYTES_MAX  ((size_t)4096)
#define PICTURES_MIN    8u
#define EPOCHS_MAX      1000u
#define MEASUREMENTS    (LAB_LIGHT_SENSORS * LAB_LIGHT_EXPOSURES + 1) /* of a network */
#define PRUNING_EPOCHS  3.5 /* about: half of one for each reported number, parts between */

struct sizes {
    uint64_t pictures, epochs, seeds, test;
};

static const struct sizes whole = {UINT32_MAX, 12, 3, UINT32_MAX};
static const struct sizes quick = {5000, 4, 3, 500};

struct reproduction {
    struct lab_light light;
    struct lab_samples data, test;
    struct lab_threads *threads;
    struct train_workers workers;
    struct lab_light_tools tools;
};

static int parse(const struct lab_args *args, struct sizes *ret_sizes, uint64_t *ret_threads,
                 uint32_t *ret_mask)
{
    *ret_sizes = lab_args_given(args, LAB_OPTION_QUICK) ? quick : whole;
    *ret_threads = DEFAULT_THREADS;
    *ret_mask = KERNEL_CPU_ALL;
    if (!lab_args_given(args, LAB_OPTION_TEST)) {
        lab_error("reproduce log-gradient: --test is needed");
        return -EINVAL;
    }
    if (lab_args_number(args, LAB_OPTION_IMAGES, PICTURES_MIN, LAB_TREE_FILES_MAX,
                        &ret_sizes->pictures) < 0 ||
        lab_args_number(args, LAB_OPTION_LIMIT, 1, LAB_TREE_FILES_MAX, &ret_sizes->test) < 0 ||
        lab_args_number(args, LAB_OPTION_EPOCHS, 1, EPOCHS_MAX, &ret_sizes->epochs) < 0 ||
        lab_args_number(args, LAB_OPTION_SEEDS, 1, LAB_LIGHT_SEEDS_MAX, &ret_sizes->seeds) < 0 ||
        lab_args_number(args, LAB_OPTION_THREADS, 1, LAB_THREADS_MAX, ret_threads) < 0 ||
        lab_args_cpu_mask(args, ret_mask) < 0) {
        return -EINVAL;
    }
    return 0;
}

/* ---- opening ---- */

static uint32_t least(uint64_t a, uint32_t b)
{
    return a < b ? (uint32_t)a : b;
}

static bool same_sizes(const struct sizes *a, const struct sizes *b)
{
    return a->pictures == b->pictures && a->epochs == b->epochs && a->seeds == b->seeds &&
           a->test == b->test;
}

static int set_sizes(struct reproduction *job, const struct sizes *sizes)
{
    struct lab_light *light = &job->light;
    const struct lab_tree *data = &job->data.tree, *test = &job->test.tree;
    if (data->class_count != test->class_count || data->class_count < 2 ||
        data->file_count < PICTURES_MIN) {
        lab_error("--data and --test need the same classes, two or more, and %u pictures or more",
                  PICTURES_MIN);
        return -EINVAL;
    }
    light->classes = data->class_count;
    light->pictures = least(sizes->pictures, data->file_count);
    light->test = least(sizes->test, test->file_count);
    light->study = light->pictures / 2;
    light->held = least(light->test, light->pictures - light->study);
    light->epochs = (uint32_t)sizes->epochs;
    light->seeds = (uint32_t)sizes->seeds;
    light->title = same_sizes(sizes, &quick)   ? "quick, under 15 minutes"
                   : same_sizes(sizes, &whole) ? "whole"
                                               : "reduced in size";
    return 0;
}

static int open_all(struct reproduction *job, const struct lab_args *args, uint64_t threads,
                    uint32_t mask)
{
    const struct network_input input = {
        .target = {.width = 32, .height = 32, .channels = IMAGE_RGB, .fit = IMAGE_FIT_COVER},
        .front = {.source = GRADIENT_SOURCE_SRGB, .coding = GRADIENT_CODING_F32, .planes = 3}};
    struct kernel_table kernels;
    uint32_t cpu = kernel_cpu_detect() & mask;
    kernel_table_init(&kernels, cpu);
    int r = lab_samples_init(&job->data, args->values[LAB_OPTION_DATA], &input, &kernels);
    if (r == 0) {
        r = lab_samples_init(&job->test, args->values[LAB_OPTION_TEST], &input, &kernels);
    }
    if (r == 0) {
        r = lab_threads_create((uint32_t)threads, &job->threads);
        if (r < 0) {
            lab_error("%s", strerror(-r));
        }
    }
    job->workers = (struct train_workers){lab_threads_run, job->threads};
    job->tools = (struct lab_light_tools){&job->data, &job->test, &job->workers, cpu};
    return r;
}

static void close_all(struct reproduction *job)
{
    lab_threads_destroy(job->threads);
    lab_samples_finish(&job->data);
    lab_samples_finish(&job->test);
}

/* ---- the run directory ---- */

static int check_plan(const char *path, const char *text)
{
    uint8_t *bytes;
    size_t size;
    int r = lab_file_read(path, PLAN_BYTES_MAX, &bytes, &size);
    if (r == -ENOENT) {
        r = lab_file_write(path, text, strlen(text));
    } else if (r == 0) {
        r = size == strlen(text) && memcmp(bytes, text, size) == 0 ? 0 : -EEXIST;
        free(bytes);
    }
    if (r < 0) {
        lab_error("%s: %s", path,
                  r == -EEXIST ? "of a run with other sizes or data" : strerror(-r));
    }
    return r;
}

/* What results of one directory have in common. Seeds may be added later. */
static int enter_directory(const struct lab_light *light)
{
    char text[512];
    snprintf(text, sizeof(text),
             "log-gradient: %u training pictures of %u classes, %u epochs, %u test "
             "pictures; floor study: %u pictures, measured on the %u next ones\n",
             light->pictures, light->classes, light->epochs, light->test, light->study,
             light->held);
    if (mkdir(light->directory, 0777) != 0 && errno != EEXIST) {
        int r = -errno;
        lab_error("%s: %s", light->directory, strerror(-r));
        return r;
    }
    char *path = lab_light_path(light, "plan", ".txt");
    int r = path ? check_plan(path, text) : -ENOMEM;
    free(path);
    return r;
}

/* ---- the plan ---- */

/* What is still to do, in epochs over all pictures and networks to measure. */
struct effort {
    uint32_t trainings, prunings;
    double epochs, measured; /* of all pictures; pictures classified */
};

static void add_study(const struct lab_light *light, const struct lab_light_curve *curve,
                      struct effort *effort)
{
    if (curve->pictures == 0) {
        effort->trainings++;
        effort->epochs += (double)light->epochs * light->study / light->pictures;
        effort->measured += (double)MEASUREMENTS * light->held;
    }
}

static void add_seed(const struct lab_light *light, uint32_t seed, struct effort *effort)
{
    for (uint32_t i = 0; i < LAB_LIGHT_INPUTS; i++) {
        if (light->inputs[i][seed].pictures == 0) {
            effort->trainings++;
            effort->epochs += light->epochs;
            effort->measured += (double)MEASUREMENTS * light->test;
        }
    }
    for (uint32_t which = 0; which < 2; which++) {
        if (light->pruned[which][seed].pictures == 0) {
            effort->prunings++;
            effort->epochs += PRUNING_EPOCHS;
            effort->measured += (double)LAB_LIGHT_STEPS * light->test;
        }
    }
}

static int print_plan(struct reproduction *job)
{
    const struct lab_light *light = &job->light;
    struct effort effort = {0};
    double learning, classifying;
    if (lab_light_complete(&job->light)) {
        puts("nothing is left to train");
        return 0;
    }
    for (uint32_t f = 0; f < LAB_LIGHT_FLOORS; f++) {
        add_study(light, &light->floors[f], &effort);
    }
    for (uint32_t r = 1; r < LAB_LIGHT_RATIOS; r++) { /* one of them is the floors' */
        add_study(light, &light->ratios[r], &effort);
    }
    for (uint32_t seed = 0; seed < light->seeds; seed++) {
        add_seed(light, seed, &effort);
    }
    int r = lab_light_time(light, &job->tools, &learning, &classifying);
    if (r < 0) {
        return r;
    }
    double epoch = learning * light->pictures;
    printf("log-gradient (%s), %u pictures, %u epochs, %u seeds, %u test pictures\n"
           "to do at most: %u trainings and %u prunings\n"
           "%8.2f h  %.1f epochs of %.1f s, as measured just now\n"
           "%8.2f h  measuring, %.0f pictures of %.2f ms\n"
           "%8.2f h  in all\n",
           light->title, light->pictures, light->epochs, light->seeds, light->test,
           effort.trainings, effort.prunings, epoch * effort.epochs / 3600, effort.epochs, epoch,
           classifying * effort.measured / 3600, effort.measured, 1000 * classifying,
           (epoch * effort.epochs + classifying * effort.measured) / 3600);
    fflush(stdout);
    return 0;
}

/* ---- the way ---- */

/* One pass over all jobs, in the order of the paper trail: `run` false only loads results. */
static int visit_training(struct reproduction *job, const struct lab_light_job *training, bool run)
{
    if (!run) {
        return lab_light_load_curve(&job->light, training);
    }
    if (training->curve->pictures > 0) {
        return 0;
    }
    int r = lab_light_run_job(&job->light, &job->tools, training);
    if (r == 0) {
        printf("%s: %.2f %%\n", training->name,
               100.0 * training->curve->decoded / training->curve->pictures);
        fflush(stdout);
        r = lab_light_report(&job->light);
    }
    return r;
}

static int visit_pruning(struct reproduction *job, uint32_t which, uint32_t seed, bool run)
{
    struct lab_light_pruning *pruning;
    struct lab_light_job training;
    char name[LAB_LIGHT_NAME_MAX];
    if (!lab_light_pruning_job(&job->light, which, seed, &training, name, &pruning)) {
        return 0;
    }
    if (!run) {
        return lab_light_load_pruning(&job->light, name, pruning);
    }
    if (pruning->pictures > 0) {
        return 0;
    }
    int r = lab_light_run_pruning(&job->light, &job->tools, &training, name, pruning);
    if (r == 0) {
        printf("%s: done\n", name);
        fflush(stdout);
        r = lab_light_report(&job->light);
    }
    return r;
}

static int visit_all(struct reproduction *job, bool run)
{
    struct lab_light_job training;
    int r = 0;
    for (uint32_t i = 0; r == 0 && lab_light_study_job(&job->light, i, &training); i++) {
        r = visit_training(job, &training, run);
    }
    for (uint32_t seed = 0; r == 0 && seed < job->light.seeds; seed++) {
        for (uint32_t i = 0; r == 0 && i < LAB_LIGHT_INPUTS; i++) {
            if (lab_light_input_job(&job->light, (enum lab_light_input)i, seed, &training)) {
                r = visit_training(job, &training, run);
            }
        }
        for (uint32_t which = 0; r == 0 && which < 2; which++) {
            r = visit_pruning(job, which, seed, run);
        }
    }
    return r;
}

static int work(struct reproduction *job)
{
    int r = enter_directory(&job->light);
    if (r == 0) {
        r = visit_all(job, false);
    }
    if (r == 0) {
        r = print_plan(job);
    }
    if (r == 0) {
        r = visit_all(job, true);
    }
    if (r == 0) {
        r = lab_light_report(&job->light);
    }
    if (r == 0) {
        printf("%s/report.md\n", job->light.directory);
    }
    return r;
}

static int reproduce_light(const struct lab_args *args)
{
    struct reproduction *job = calloc(1, sizeof(*job));
    struct sizes sizes;
    uint64_t threads;
    uint32_t mask;
    if (!job) {
        lab_error("out of memory");
        return LAB_EXIT_FAILED;
    }
    if (parse(args, &sizes, &threads, &mask) < 0) {
        free(job);
        return LAB_EXIT_USAGE;
    }
    const char *out = args->values[LAB_OPTION_OUT];
    job->light.directory = out ? out : DEFAULT_OUT;
    int r = open_all(job, args, threads, mask);
    if (r == 0) {
        r = set_sizes(job, &sizes);
    }
    if (r == 0) {
        r = work(job);
    }
    close_all(job);
    free(job);
    return r < 0 ? LAB_EXIT_FAILED : LAB_EXIT_OK;
}

int lab_reproduce(const struct lab_args *args)
{
    const char *what = args->operands[0];
    if (strcmp(what, "log-gradient") == 0) {
        return reproduce_light(args);
    }
    if (strcmp(what, "batchnorm") == 0) {
        return lab_bn_reproduce(args);
    }
    if (strcmp(what, "low-rank") == 0) {
        return lab_lrt_reproduce(args);
    }
    if (strcmp(what, "lognet") == 0) {
        return lab_lognet_reproduce(args);
    }
    lab_error("reproduce: expected batchnorm, log-gradient, lognet or low-rank, got '%s'", what);
    return LAB_EXIT_USAGE;
}
