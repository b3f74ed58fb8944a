/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab reproduce: a paper's experiment from plan to report. This file keeps the order of
 * things and goes on where an earlier run was broken off; light_run.c does the work.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lab/lab.h"
#include "engine/lab/light.h"
#include "engine/lab/options.h"

#define DEFAULT_OUT    "log-gradient"
#define MEASUREMENTS   (LAB_LIGHT_SENSORS * LAB_LIGHT_EXPOSURES + 1) /* of a network */
#define PRUNING_EPOCHS 3.5 /* about: half of one for each reported number, parts between */

static const struct lab_study_sizes whole = {UINT32_MAX, 12, 3, UINT32_MAX};
static const struct lab_study_sizes quick = {5000, 4, 3, 500};

struct reproduction {
    struct lab_light light;
    struct lab_study_tools tools;
};

static void set_sizes(struct reproduction *job, const struct lab_study_sizes *asked,
                      const struct lab_study_sizes *sizes)
{
    struct lab_light *light = &job->light;
    light->classes = job->tools.data.tree.class_count;
    light->pictures = (uint32_t)sizes->pictures;
    light->test = (uint32_t)sizes->test;
    light->study = light->pictures / 2;
    light->held =
        light->test < light->pictures - light->study ? light->test : light->pictures - light->study;
    light->epochs = (uint32_t)sizes->epochs;
    light->seeds = (uint32_t)sizes->seeds;
    light->title = lab_study_same_sizes(asked, &quick)   ? "quick, under 15 minutes"
                   : lab_study_same_sizes(asked, &whole) ? "whole"
                                                         : "reduced in size";
}

/* ---- the run directory ---- */

/* What results of one directory have in common. Seeds may be added later. */
static int enter_directory(const struct lab_light *light)
{
    char text[512];
    snprintf(text, sizeof(text),
             "log-gradient: %u training pictures of %u classes, %u epochs, %u test "
             "pictures; floor study: %u pictures, measured on the %u next ones\n",
             light->pictures, light->classes, light->epochs, light->test, light->study,
             light->held);
    return lab_study_enter(light->directory, text);
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
    struct lab_study_sizes asked, sizes;
    uint64_t threads;
    uint32_t mask;
    if (!job) {
        lab_error("out of memory");
        return LAB_EXIT_FAILED;
    }
    if (lab_study_parse(args, &whole, &quick, &asked, &threads, &mask) < 0) {
        free(job);
        return LAB_EXIT_USAGE;
    }
    const char *out = args->values[LAB_OPTION_OUT];
    job->light.directory = out ? out : DEFAULT_OUT;
    sizes = asked;
    int r = lab_study_open(&job->tools, args, threads, mask, &sizes);
    if (r == 0) {
        set_sizes(job, &asked, &sizes);
        r = work(job);
    }
    lab_study_close(&job->tools);
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
    if (strcmp(what, "bineareye") == 0) {
        return lab_bineareye_reproduce(args);
    }
    if (strcmp(what, "low-rank") == 0) {
        return lab_lrt_reproduce(args);
    }
    if (strcmp(what, "lognet") == 0) {
        return lab_lognet_reproduce(args);
    }
    lab_error(
        "reproduce: expected batchnorm, bineareye, log-gradient, lognet or low-rank, got '%s'",
        what);
    return LAB_EXIT_USAGE;
}
