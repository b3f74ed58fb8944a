/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Trains, measures and prunes for the light study. What it learns and counts goes into files. */
#include "engine/lab/light.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lab/exposing.h"
#include "engine/lab/filters.h"
#include "engine/lab/lab.h"
#include "engine/lab/progress.h"

#define PARTS          32u /* of an epoch: learning after each filter that goes */
#define REPORTED_PARTS 2u  /* the same at a number of filters that is reported */

static const struct {
    uint32_t bits;
    bool noise;
} sensors[LAB_LIGHT_SENSORS] = {{16, false}, {12, false}, {12, true}};

static int tell(const char *name, int r, const char *reason)
{
    reason = reason ? reason : r == -ERANGE ? "the loss is no number any more" : strerror(-r);
    lab_error("%s: %s", name, reason);
    return r;
}

static int open_work(struct lab_study_work *work, const struct lab_light *light,
                     const struct lab_study_tools *tools, const struct lab_light_job *job)
{
    return lab_study_work_open(work, tools, job->name, lab_light_recipe(light, job),
                               job->study ? light->study : light->pictures, job->seed);
}

/* ---- measuring ---- */

static int measure(struct lab_study_work *work, const struct lab_samples *on,
                   struct lab_light_curve *curve)
{
    struct lab_exposing exposing;
    struct lab_score score;
    int r = lab_exposing_init(&exposing, on);
    if (r < 0) {
        return r;
    }
    lab_learner_measure(&work->learner, on, &score);
    curve->decoded = score.right;
    curve->pictures = score.count;
    for (uint32_t s = 0; s < LAB_LIGHT_SENSORS; s++) {
        for (uint32_t e = 0; e < LAB_LIGHT_EXPOSURES; e++) {
            lab_exposing_set(&exposing, sensors[s].bits, sensors[s].noise,
                             lab_light_exposures[e][0], lab_light_exposures[e][1]);
            lab_learner_measure(&work->learner, &exposing.samples, &score);
            curve->right[s][e] = score.right;
        }
    }
    lab_exposing_finish(&exposing);
    return 0;
}

/* ---- training ---- */

/* What an earlier run learned, or it is learned now and kept. */
static int restore_or_learn(struct lab_study_work *work, const struct lab_light *light,
                            const char *name)
{
    int r = lab_study_work_restore(work, light->directory, name);
    if (r == -ENOENT) {
        r = lab_study_work_learn(work, light->directory, name);
        r = r == -ERANGE ? tell(name, r, NULL) : r;
    }
    return r;
}

int lab_light_run_job(const struct lab_light *light, const struct lab_study_tools *tools,
                      const struct lab_light_job *job)
{
    if (job->curve->pictures > 0) {
        return 0;
    }
    struct lab_study_work *work = calloc(1, sizeof(*work));
    int r = work ? open_work(work, light, tools, job) : tell(job->name, -ENOMEM, NULL);
    if (r == 0) {
        r = restore_or_learn(work, light, job->name);
    }
    if (r == 0) {
        const struct gradient_spec *front = &work->recipe.input.front;
        const struct lab_samples on =
            job->study ? lab_study_part(&tools->data, front, light->study, light->held)
                       : lab_study_part(&tools->test, front, 0, light->test);
        r = measure(work, &on, job->curve);
        r = r < 0 ? tell(job->name, r, NULL) : lab_light_save_curve(light, job);
    }
    lab_study_work_close(work);
    return r;
}

/* ---- pruning ---- */

/* Down to a number of filters: a part of an epoch after each one, a longer one at the end. */
static int prune_to(struct lab_pruning *pruning, uint32_t filters)
{
    struct lab_similarity similarity;
    const uint32_t steps = pruning->data->tree.file_count / pruning->learner.batch.room;
    int r = 0;
    while (r == 0 && lab_pruning_filters(pruning) > filters) {
        lab_pruning_compare(pruning, &similarity);
        r = lab_pruning_remove(pruning, similarity.redundant);
        if (r == 0 && lab_pruning_filters(pruning) > filters) {
            r = lab_pruning_tune(pruning, 1, steps / PARTS + 1);
        }
    }
    return r < 0 ? r : lab_pruning_tune(pruning, 1, steps / REPORTED_PARTS + 1);
}

static int prune(struct lab_pruning *pruning, const struct lab_samples *test, const char *name,
                 struct lab_light_pruning *result)
{
    struct lab_progress progress;
    int r = 0;
    lab_progress_init(&progress, name, LAB_LIGHT_STEPS);
    for (uint32_t i = 0; r == 0 && i < LAB_LIGHT_STEPS; i++) {
        struct lab_similarity similarity;
        struct lab_score score;
        r = prune_to(pruning, lab_light_filters[i]);
        if (r == 0) {
            lab_pruning_compare(pruning, &similarity);
            lab_learner_measure(&pruning->learner, test, &score);
            result->similarity[i] = similarity.mean;
            result->right[i] = score.right;
            result->pictures = score.count;
            lab_progress_step(&progress);
        }
    }
    lab_progress_finish(&progress);
    return r;
}

int lab_light_run_pruning(const struct lab_light *light, const struct lab_study_tools *tools,
                          const struct lab_light_job *job, const char *name,
                          struct lab_light_pruning *result)
{
    struct lab_light_pruning measured = {0};
    struct lab_pruning *pruning = calloc(1, sizeof(*pruning));
    struct lab_study_work *work = calloc(1, sizeof(*work));
    const char *reason = NULL;
    int r = work && pruning ? open_work(work, light, tools, job) : tell(name, -ENOMEM, NULL);
    if (r == 0) {
        r = restore_or_learn(work, light, job->name);
    }
    if (r == 0) {
        const struct lab_samples test =
            lab_study_part(&tools->test, &work->recipe.input.front, 0, light->test);
        r = lab_pruning_init(pruning, &work->recipe, work->learner.train, &work->data, job->seed,
                             tools->cpu, &tools->workers, &reason);
        r = r < 0 ? r : prune(pruning, &test, name, &measured);
        lab_pruning_finish(pruning);
        r = r < 0 ? tell(name, r, reason) : lab_light_save_pruning(light, name, &measured);
    }
    if (r == 0) {
        *result = measured;
    }
    lab_study_work_close(work);
    free(pruning);
    return r;
}

/* ---- timing ---- */

int lab_light_time(const struct lab_light *light, const struct lab_study_tools *tools,
                   double *ret_learning, double *ret_classifying)
{
    const struct lab_light_job job = {.name = "timing",
                                      .input = LAB_LIGHT_TERNARY,
                                      .choice = {lab_light_floors[0], lab_light_ratios[0]}};
    struct lab_study_work *work = calloc(1, sizeof(*work));
    int r = work ? open_work(work, light, tools, &job) : tell(job.name, -ENOMEM, NULL);
    if (r == 0) {
        r = lab_study_work_time(work, tools, ret_learning, ret_classifying);
    }
    lab_study_work_close(work);
    return r;
}
