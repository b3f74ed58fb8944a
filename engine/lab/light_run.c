/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Trains, measures and prunes for the light study. What it learns and counts goes into files. */
#include "engine/lab/light.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lab/filters.h"
#include "engine/lab/lab.h"
#include "engine/lab/progress.h"

#define SENSOR_SEED    1u  /* every network sees the same noise */
#define PARTS          32u /* of an epoch: learning after each filter that goes */
#define REPORTED_PARTS 2u  /* the same at a number of filters that is reported */
#define LEVELS         65536u

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

/* One exposure for one network after the other: planes as a sensor delivers them. */
struct exposing {
    struct lab_samples samples; /* own planes and whites */
    uint16_t *level;            /* plane value of each level of light, without noise */
};

static void close_exposing(struct exposing *exposing)
{
    free(exposing->samples.planes);
    free(exposing->samples.whites);
    free(exposing->level);
}

static int open_exposing(struct exposing *exposing, const struct lab_samples *from)
{
    size_t count = from->tree.file_count;
    exposing->samples = *from;
    exposing->samples.planes = calloc(count, from->values * sizeof(uint16_t));
    exposing->samples.whites = calloc(count, sizeof(uint16_t));
    exposing->level = calloc(LEVELS, sizeof(uint16_t));
    if (!exposing->samples.planes || !exposing->samples.whites || !exposing->level) {
        close_exposing(exposing);
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        exposing->samples.whites[i] = LAB_SENSOR_NOMINAL_WHITE;
    }
    return 0;
}

static void expose(struct exposing *exposing, const struct lab_samples *from, uint32_t sensor,
                   uint32_t exposure)
{
    struct lab_sensor chip;
    lab_sensor_init(&chip, sensors[sensor].bits, lab_light_exposures[exposure][0],
                    lab_light_exposures[exposure][1], sensors[sensor].noise, SENSOR_SEED);
    for (uint32_t i = 0; i < LEVELS && !chip.noise; i++) {
        exposing->level[i] = lab_sensor_to_plane(&chip, lab_sensor_sample(&chip, (uint16_t)i));
    }
    for (uint32_t p = 0; p < from->tree.file_count; p++) {
        const uint16_t *in = from->planes + p * from->values;
        uint16_t *out = exposing->samples.planes + p * from->values;
        uint32_t white = from->whites[p];
        for (size_t i = 0; i < from->values; i++) {
            uint32_t light = ((uint32_t)in[i] * 65535u + white / 2) / white;
            uint16_t level = light < 65535 ? (uint16_t)light : 65535;
            out[i] = chip.noise ? lab_sensor_to_plane(&chip, lab_sensor_sample(&chip, level))
                                : exposing->level[level];
        }
    }
}

static int measure(struct lab_study_work *work, const struct lab_samples *on,
                   struct lab_light_curve *curve)
{
    struct exposing exposing;
    struct lab_score score;
    int r = open_exposing(&exposing, on);
    if (r < 0) {
        return r;
    }
    lab_learner_measure(&work->learner, on, &score);
    curve->decoded = score.right;
    curve->pictures = score.count;
    for (uint32_t s = 0; s < LAB_LIGHT_SENSORS; s++) {
        for (uint32_t e = 0; e < LAB_LIGHT_EXPOSURES; e++) {
            expose(&exposing, on, s, e);
            lab_learner_measure(&work->learner, &exposing.samples, &score);
            curve->right[s][e] = score.right;
        }
    }
    close_exposing(&exposing);
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
