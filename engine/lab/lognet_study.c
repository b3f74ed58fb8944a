/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab reproduce lognet: from plan to report. This file keeps the order of things and goes
 * on where an earlier run was broken off; lognet_run.c does the work.
 */
#include "engine/lab/lognet.h"

#include <inttypes.h>
#include <stdlib.h>

#include "engine/lab/lab.h"
#include "engine/lab/options.h"

#define DEFAULT_OUT "lognet"
#define CALIBRATION 1000u
#define RANGES      40.0 /* passes to choose ranges by, of a kind and number of bits */

static const struct lab_study_sizes whole = {UINT32_MAX, 4, 3, UINT32_MAX};
static const struct lab_study_sizes quick = {5000, 2, 1, 500};

struct study {
    struct lab_lognet lognet;
    struct lab_study_tools tools;
};

static void set_sizes(struct study *study, const struct lab_study_sizes *asked,
                      const struct lab_study_sizes *sizes)
{
    struct lab_lognet *lognet = &study->lognet;
    lognet->classes = study->tools.data.tree.class_count;
    lognet->pictures = (uint32_t)sizes->pictures;
    lognet->calibration = lognet->pictures < CALIBRATION ? lognet->pictures : CALIBRATION;
    lognet->test = (uint32_t)sizes->test;
    lognet->epochs = (uint32_t)sizes->epochs;
    lognet->seeds = (uint32_t)sizes->seeds;
    lognet->title = lab_study_same_sizes(asked, &quick)   ? "quick"
                    : lab_study_same_sizes(asked, &whole) ? "whole"
                                                          : "other sizes than the usual";
}

/* What results of one directory have in common. Seeds may be added later. */
static int enter_directory(const struct lab_lognet *lognet)
{
    char text[256];
    snprintf(text, sizeof(text),
             "lognet: %" PRIu32 " training pictures of %" PRIu32 " classes, %" PRIu32
             " epochs, %" PRIu32 " test pictures\n",
             lognet->pictures, lognet->classes, lognet->epochs, lognet->test);
    return lab_study_enter(lognet->directory, text);
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
    struct lab_study_sizes asked, sizes;
    uint64_t threads;
    uint32_t mask;
    if (!study) {
        lab_error("out of memory");
        return LAB_EXIT_FAILED;
    }
    if (lab_study_parse(args, &whole, &quick, &asked, &threads, &mask) < 0) {
        free(study);
        return LAB_EXIT_USAGE;
    }
    study->lognet.directory =
        args->values[LAB_OPTION_OUT] ? args->values[LAB_OPTION_OUT] : DEFAULT_OUT;
    sizes = asked;
    int r = lab_study_open(&study->tools, args, threads, mask, &sizes);
    if (r == 0) {
        set_sizes(study, &asked, &sizes);
        r = work(study);
    }
    lab_study_close(&study->tools);
    free(study);
    return r < 0 ? LAB_EXIT_FAILED : LAB_EXIT_OK;
}
