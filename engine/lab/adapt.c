/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab adapt: how far a model of two classes gets in five scenes from 20 labels, what it
 * costs elsewhere and what it writes; before that, what other settings would have done on windows
 * held out for that.
 */
#include "engine/lab/adapt.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/lab/adapt_study.h"
#include "engine/lab/lab.h"
#include "engine/lab/options.h"
#include "engine/lab/progress.h"

#define SEEDS_DEFAULT    3u
#define PATTERNS         1u /* of the scenes that figures are told of */
#define PATTERNS_CHOICE  101u
#define RUNS_OF_ONE_DRAW (1 + LAB_ADAPT_SCHEMES * LAB_ADAPT_STOPS)

static int run_draw(struct lab_adapt_study *study, uint32_t scene, uint32_t draw,
                    struct lab_adapt_disk *disk, struct lab_adapt_results *results,
                    struct lab_progress *progress)
{
    uint32_t labelled[LAB_ADAPT_LABELS];
    struct train_online_settings settings;
    int r = lab_adapt_draw(study, draw + 1, labelled);

    lab_adapt_settings(study, LAB_ADAPT_RULE, &settings);
    if (r == 0) {
        r = lab_adapt_run(study, &settings, &(struct lab_adapt_way){.light = true}, labelled, 0,
                          &results->before[scene][draw]);
        lab_progress_step(progress);
    }
    for (uint32_t i = 0; r == 0 && i < LAB_ADAPT_SCHEMES * LAB_ADAPT_STOPS; i++) {
        const uint32_t scheme = i / LAB_ADAPT_STOPS, stop = i % LAB_ADAPT_STOPS;
        const struct lab_adapt_way way = {.by_label = scheme == LAB_ADAPT_SGD,
                                          .light = true,
                                          .disk = stop + 1 == LAB_ADAPT_STOPS ? disk : NULL};

        lab_adapt_settings(study, (enum lab_adapt_scheme)scheme, &settings);
        r = lab_adapt_run(study, &settings, &way, labelled, lab_adapt_stops[stop],
                          &results->after[scene][draw][scheme][stop]);
        lab_progress_step(progress);
    }
    return r;
}

static int run_scenes(struct lab_adapt_study *study, struct lab_adapt_disk *disk,
                      struct lab_adapt_results *results)
{
    struct lab_progress progress;
    int r = 0;

    lab_progress_init(&progress, "adapt",
                      (uint64_t)LAB_ADAPT_SCENES * results->seeds * RUNS_OF_ONE_DRAW);
    for (uint32_t scene = 0; r == 0 && scene < LAB_ADAPT_SCENES; scene++) {
        r = lab_adapt_enter(study, (enum lab_adapt_scene)scene, &results->strength[scene]);
        for (uint32_t draw = 0; r == 0 && draw < results->seeds; draw++) {
            r = run_draw(study, scene, draw, disk, results, &progress);
        }
    }
    lab_progress_finish(&progress);
    return r;
}

static int choose(const struct lab_args *args, uint32_t mask, struct lab_adapt_choice *ret_choice)
{
    struct lab_adapt_study study;
    int r = lab_adapt_open(&study, args->operands[0], args->values[LAB_OPTION_DATA], mask,
                           PATTERNS_CHOICE);

    if (r == 0) {
        r = lab_adapt_choose(&study, ret_choice);
    }
    lab_adapt_close(&study);
    return r;
}

static int measure(const struct lab_args *args, uint32_t mask, struct lab_adapt_results *results)
{
    struct lab_adapt_disk disk = {.root = -1, .folder = -1};
    struct lab_adapt_study study = {0};
    int r = 0;

    if (lab_args_given(args, LAB_OPTION_DISK)) {
        r = lab_adapt_disk_open(&disk, args->values[LAB_OPTION_DISK]);
    }
    if (r == 0) {
        r = lab_adapt_open(&study, args->operands[0], args->values[LAB_OPTION_TEST], mask,
                           PATTERNS);
    }
    if (r == 0) {
        results->model = network_model_describe(study.model.model)->name;
        results->windows = study.count;
        results->block = disk.block;
        r = run_scenes(&study, disk.block > 0 ? &disk : NULL, results);
        results->made = disk.made;
    }
    if (r == 0) {
        lab_adapt_print(results, stdout);
    }
    if (r == 0 && lab_args_given(args, LAB_OPTION_OUT)) {
        r = lab_adapt_report(results, args->values[LAB_OPTION_OUT]);
    }
    lab_adapt_close(&study);
    lab_adapt_disk_close(&disk);
    return r;
}

int lab_adapt(const struct lab_args *args)
{
    struct lab_adapt_results *results = NULL;
    struct lab_adapt_choice choice = {0};
    uint64_t seeds = SEEDS_DEFAULT;
    uint32_t mask;
    int r = 0;

    if (lab_args_cpu_mask(args, &mask) < 0 ||
        lab_args_number(args, LAB_OPTION_SEEDS, 1, LAB_ADAPT_SEEDS_MAX, &seeds) < 0) {
        return LAB_EXIT_USAGE;
    }
    results = calloc(1, sizeof(*results));
    if (results == NULL) {
        lab_error("out of memory");
        return LAB_EXIT_FAILED;
    }
    results->seeds = (uint32_t)seeds;
    if (lab_args_given(args, LAB_OPTION_DATA)) {
        results->choice = &choice;
        r = choose(args, mask, &choice);
    }
    if (r == 0) {
        r = measure(args, mask, results);
    }
    lab_adapt_choice_finish(&choice);
    free(results);
    return r < 0 ? LAB_EXIT_FAILED : LAB_EXIT_OK;
}
