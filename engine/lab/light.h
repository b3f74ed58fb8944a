/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The study behind `ocellus-lab reproduce log-gradient`: the same three-layer network on sRGB and
 * on log-gradient input under changing light (Lu and Murmann, tinyML 2022, 2203.02571). Shared by
 * what trains and measures (light_run.c), what keeps results (light.c) and what reports
 * (light_report.c).
 *
 * RUN DIRECTORY
 *   plan.txt          sizes; a run goes on only with the same ones, but may get more seeds
 *   NAME.safetensors  what a training learned
 *   NAME.csv          what was measured of it; a job is done when this is there
 *   report.md, *.csv, *.svg
 */
#ifndef OCELLUS_ENGINE_LAB_LIGHT_H
#define OCELLUS_ENGINE_LAB_LIGHT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/gradient/gradient.h"
#include "engine/lab/sensor.h"
#include "engine/lab/study.h"

#define LAB_LIGHT_EXPOSURES 9u
#define LAB_LIGHT_NOMINAL   5u /* index of exposure 1 */
#define LAB_LIGHT_FLOORS    3u
#define LAB_LIGHT_RATIOS    4u
#define LAB_LIGHT_STEPS     5u /* numbers of filters that are reported */
#define LAB_LIGHT_SEEDS_MAX LAB_STUDY_SEEDS_MAX
#define LAB_LIGHT_NAME_MAX  48u

enum lab_light_sensor { LAB_LIGHT_16 = 0, LAB_LIGHT_12, LAB_LIGHT_NOISE, LAB_LIGHT_SENSORS };

enum lab_light_input {
    LAB_LIGHT_SRGB = 0,
    LAB_LIGHT_FLOAT,
    LAB_LIGHT_SEVEN,
    LAB_LIGHT_TERNARY,
    LAB_LIGHT_NOISY, /* ternary with the floor and threshold that suit the noisy sensor */
    LAB_LIGHT_INPUTS,
};

extern const char *const lab_light_sensor_names[LAB_LIGHT_SENSORS];
extern const char *const lab_light_input_names[LAB_LIGHT_INPUTS];  /* in names of files */
extern const char *const lab_light_input_titles[LAB_LIGHT_INPUTS]; /* for people */
extern const char *const lab_light_exposure_names[LAB_LIGHT_EXPOSURES];
extern const uint32_t lab_light_exposures[LAB_LIGHT_EXPOSURES][2];
extern const uint16_t lab_light_floors[LAB_LIGHT_FLOORS];
extern const struct gradient_ratio lab_light_ratios[LAB_LIGHT_RATIOS];
extern const uint32_t lab_light_filters[LAB_LIGHT_STEPS];

/* Answers that were right. pictures 0: not measured. */
struct lab_light_curve {
    uint32_t pictures;
    uint32_t decoded; /* pictures as they are, without a sensor */
    uint32_t right[LAB_LIGHT_SENSORS][LAB_LIGHT_EXPOSURES];
};

struct lab_light_pruning {
    uint32_t pictures;
    uint32_t right[LAB_LIGHT_STEPS];
    double similarity[LAB_LIGHT_STEPS];
};

struct lab_light_choice {
    uint16_t floor;
    struct gradient_ratio ratio;
};

struct lab_light {
    const char *directory;
    const char *title;                    /* which size of study this is */
    uint32_t pictures, study, held, test; /* training, floor study, its held ones, test */
    uint32_t epochs, seeds, classes;      /* seeds 1..LAB_LIGHT_SEEDS_MAX */
    struct lab_light_curve floors[LAB_LIGHT_FLOORS]; /* at ratio 9/8, one seed */
    struct lab_light_curve ratios[LAB_LIGHT_RATIOS]; /* at the chosen floor */
    struct lab_light_curve inputs[LAB_LIGHT_INPUTS][LAB_LIGHT_SEEDS_MAX];
    struct lab_light_pruning pruned[2][LAB_LIGHT_SEEDS_MAX]; /* sRGB, 1.5 bit */
};

/* What the floor study says so far: highest mean accuracy over all exposures, on 16 bit and on the
 * noisy sensor; the first of equals. False while parts of the study are missing. */
bool lab_light_choose_floor(const struct lab_light *light, uint16_t *ret_floor);
bool lab_light_choose(const struct lab_light *light, enum lab_light_sensor sensor,
                      struct lab_light_choice *ret_choice);

/* Mean share of right answers over the exposures. */
double lab_light_mean(const struct lab_light_curve *curve, enum lab_light_sensor sensor);

/* One training: its files' name and what its network sees. */
struct lab_light_job {
    char name[LAB_LIGHT_NAME_MAX];
    enum lab_light_input input;
    struct lab_light_choice choice; /* of log-gradient inputs */
    uint64_t seed;
    bool study; /* trained on the first `study` pictures, measured on the `held` next ones */
    struct lab_light_curve *curve;
};

/* Jobs in the order in which they are done. False: no job of this number, or a choice that it needs
 * is not made yet. */
bool lab_light_study_job(struct lab_light *light, uint32_t index, struct lab_light_job *ret_job);
/* False also where the noisy input would be the ternary one again. */
bool lab_light_input_job(struct lab_light *light, enum lab_light_input input, uint32_t seed,
                         struct lab_light_job *ret_job);

/* Text of a recipe for the job; the caller frees it. NULL: out of memory. */
char *lab_light_recipe(const struct lab_light *light, const struct lab_light_job *job);

/*
 * NAME.csv read or written. Reading leaves `pictures` at 0 where there is no file. Errors (told on
 * standard error): -EBADMSG (not what was written there), -ENOMEM, the system's.
 */
int lab_light_load_curve(const struct lab_light *light, const struct lab_light_job *job);
int lab_light_save_curve(const struct lab_light *light, const struct lab_light_job *job);
int lab_light_load_pruning(const struct lab_light *light, const char *name,
                           struct lab_light_pruning *ret_pruning);
int lab_light_save_pruning(const struct lab_light *light, const char *name,
                           const struct lab_light_pruning *pruning);

/*
 * A pruning, of sRGB (0) or 1.5-bit (1) networks: the job that it starts from, its name and
 * where its result belongs. False as with lab_light_input_job.
 */
bool lab_light_pruning_job(struct lab_light *light, uint32_t which, uint32_t seed,
                           struct lab_light_job *ret_job, char name[LAB_LIGHT_NAME_MAX],
                           struct lab_light_pruning **ret_pruning);

/* Mean over the seeds, in percent, with the lowest and the highest. seeds 0: nothing known. */
struct lab_light_value {
    uint32_t seeds;
    double mean, low, high;
};

/* Accuracy on decoded pictures; at one exposure; of pruned networks; similarity (no percent). */
struct lab_light_value lab_light_decoded(const struct lab_light *light, enum lab_light_input input);
struct lab_light_value lab_light_exposed(const struct lab_light *light, enum lab_light_input input,
                                         enum lab_light_sensor sensor, uint32_t exposure);
struct lab_light_value lab_light_pruned(const struct lab_light *light, uint32_t which,
                                        uint32_t step);
struct lab_light_value lab_light_similar(const struct lab_light *light, uint32_t which,
                                         uint32_t step);

/* The input that stands for 1.5 bit where a sensor has noise: noisy, or ternary if they are one. */
enum lab_light_input lab_light_for_noise(struct lab_light *light);
/* Whether all trainings and prunings are done. */
bool lab_light_complete(struct lab_light *light);

/* The claims as a Markdown list: each held, missed or not known yet, with its figures. */
void lab_light_print_verdicts(struct lab_light *light, FILE *text);

/* report.md and its tables, from what is known; once all of it is, charts too. Errors are told. */
int lab_light_report(struct lab_light *light);

/* Train and measure one job, unless its files say that this is done. Errors are told. */
int lab_light_run_job(const struct lab_light *light, const struct lab_study_tools *tools,
                      const struct lab_light_job *job);
/* Prune the network that a job gave; that job must be done. */
int lab_light_run_pruning(const struct lab_light *light, const struct lab_study_tools *tools,
                          const struct lab_light_job *job, const char *name,
                          struct lab_light_pruning *pruning);

/* Seconds of learning from a picture once and of classifying one, measured over a few batches. */
int lab_light_time(const struct lab_light *light, const struct lab_study_tools *tools,
                   double *ret_learning, double *ret_classifying);

#endif
