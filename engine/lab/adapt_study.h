/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What the files of ocellus-lab adapt share: a model in scenes made of a tree of windows, ways to
 * teach it, what comes of them, and what that writes. The trainer is the daemon's
 * (engine/train/online.h).
 *
 * A scene is made as strong as the model's balanced accuracy in it falls to LAB_ADAPT_AIM. Labelled
 * frames are LAB_ADAPT_LABELS, half of each class, of different photographs; everything else of
 * those photographs (mirrored windows above all) is left out of all that is measured. A photograph
 * is a file's name up to one letter before the dot. Light is that of a sensor whose nominal white
 * is 1/8 of its scale.
 */
#ifndef OCELLUS_ENGINE_LAB_ADAPT_STUDY_H
#define OCELLUS_ENGINE_LAB_ADAPT_STUDY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/kernel/kernel.h"
#include "engine/lab/adapt.h"
#include "engine/lab/model.h"
#include "engine/lab/samples.h"
#include "engine/train/online.h"

#define LAB_ADAPT_AIM       82.0 /* percent */
#define LAB_ADAPT_LABELS    20u
#define LAB_ADAPT_STOPS     3u /* numbers of labels after which it is measured */
#define LAB_ADAPT_SEEDS_MAX 20u

extern const uint32_t lab_adapt_stops[LAB_ADAPT_STOPS]; /* ascending, the last is LABELS */

/* ---- what is written (adapt_disk.c) ---- */

struct lab_adapt_disk {
    const char *path;
    int root, folder; /* folder: where one run writes; -1: none */
    char statistic[64];
    uint64_t begun; /* bytes at the device when the run began to learn */
    uint64_t made;  /* bytes at the device that making the last store took */
    uint32_t block; /* bytes, of the file system */
    struct lab_adapt_store *store;
};

/* path: a folder on a file system that nothing else writes to. Errors, told: -ENODEV  no block
 * device is behind it; the system's. */
int lab_adapt_disk_open(struct lab_adapt_disk *disk, const char *path);
void lab_adapt_disk_close(struct lab_adapt_disk *disk);

/* Make a store for one run, as the daemon does, or with `file` that file in place of it. */
int lab_adapt_disk_begin(struct lab_adapt_disk *disk, const void *file, size_t size);
int lab_adapt_disk_commit(struct lab_adapt_disk *disk, const void *record, size_t size);
/* Write the file again from its begin and sync it, the cheapest way there is: a crash in between
 * leaves a mixture. */
int lab_adapt_disk_rewrite(struct lab_adapt_disk *disk, const void *file, size_t size);
/* Bytes since begin: of the store's records (0 of a file), and that the block device received,
 * after all was written back. Removes what the run wrote, also after an error of the calls above.
 */
int lab_adapt_disk_end(struct lab_adapt_disk *disk, uint64_t *ret_store, uint64_t *ret_device);

/* ---- scenes and teaching (adapt_study.c) ---- */

struct lab_adapt_study {
    struct lab_model model;
    struct lab_samples samples;
    struct kernel_table kernels;
    struct lab_adapt_window window;
    uint64_t patterns; /* seed of the scenes' patterns, one after the other */
    uint32_t count;
    uint32_t *source;          /* photograph of a window */
    bool *held;                /* windows that are measured */
    uint8_t *original, *scene; /* codes [window] */
    uint8_t *dark, *bright;    /* the scene at 1/16 and 4 */
    uint16_t *shown, *exposed; /* planes of one window */
    float *work;
    int32_t scores[2];
};

/* Errors are told. Close it also after a failure; a zeroed one is accepted. */
int lab_adapt_open(struct lab_adapt_study *study, const char *model, const char *directory,
                   uint32_t cpu_mask, uint64_t patterns);
void lab_adapt_close(struct lab_adapt_study *study);

/* Make the codes of a scene. Errors, told: -ERANGE  the model errs at no strength; -ENOMEM. */
int lab_adapt_enter(struct lab_adapt_study *study, enum lab_adapt_scene scene,
                    double *ret_strength);

/* Draw LAB_ADAPT_LABELS windows, the classes in turns; only other photographs are measured from now
 * on. Errors, told: -EINVAL  there are too few. */
int lab_adapt_draw(struct lab_adapt_study *study, uint64_t seed, uint32_t *labelled);

/* How labels teach. */
enum lab_adapt_scheme {
    LAB_ADAPT_RULE = 0,   /* as the daemon does: one record, the trainer's rule picks the head */
    LAB_ADAPT_PROTOTYPES, /* the same with prototypes alone */
    LAB_ADAPT_BIASES,     /* the same with biases alone */
    LAB_ADAPT_SGD,        /* label by label, the model's file written again each time */
    LAB_ADAPT_SCHEMES,
};

extern const char *const lab_adapt_schemes[LAB_ADAPT_SCHEMES];

void lab_adapt_settings(const struct lab_adapt_study *study, enum lab_adapt_scheme scheme,
                        struct train_online_settings *ret_settings);

/* Percent of the windows that are measured: balanced in the scene, dark and bright; right of all on
 * the windows as they are. */
struct lab_adapt_outcome {
    double scene, original, dark, bright;
    uint64_t record; /* bytes, or of all files */
    uint64_t store, device;
    bool prototypes; /* were picked */
};

/* What run does beyond teaching. */
struct lab_adapt_way {
    bool by_label;               /* a file each time, not one record */
    bool light;                  /* measure dark and bright */
    struct lab_adapt_disk *disk; /* NULL: write nothing */
};

/* Teach a new trainer the first n labels, measure. n 0: the model as it is. Errors are told. */
int lab_adapt_run(struct lab_adapt_study *study, const struct train_online_settings *settings,
                  const struct lab_adapt_way *way, const uint32_t *labelled, uint32_t n,
                  struct lab_adapt_outcome *ret_outcome);

/* ---- the choice of settings (adapt_choose.c) ---- */

struct lab_adapt_row {
    char what[80];
    uint8_t scheme; /* enum lab_adapt_scheme */
    bool today;     /* what lab_adapt_settings gives */
    bool eligible;
    double mean, worst; /* balanced accuracy over scenes and draws; of the worst scene */
    double change;      /* on the windows as they are, mean of the worst scene */
    double gain, error; /* over today's of the scheme: mean of pairs, its standard error */
    double record;      /* bytes, mean */
};

struct lab_adapt_choice {
    uint32_t windows, draws, count;
    struct lab_adapt_row *rows; /* [count] */
};

/* Tries the settings of a grid in all scenes. Errors are told. */
int lab_adapt_choose(struct lab_adapt_study *study, struct lab_adapt_choice *ret_choice);
void lab_adapt_choice_finish(struct lab_adapt_choice *choice);

/* The best row of a scheme: the largest mean of those that are eligible. */
const struct lab_adapt_row *lab_adapt_best(const struct lab_adapt_choice *choice, uint32_t scheme);

/* ---- the report (adapt_report.c) ---- */

struct lab_adapt_results {
    const char *model;
    uint32_t windows, seeds;
    uint32_t block; /* bytes, of the file system that was written to; 0: none was */
    uint64_t made;  /* bytes at the device for a store that is empty */
    const struct lab_adapt_choice *choice; /* NULL: none was made */
    double strength[LAB_ADAPT_SCENES];
    struct lab_adapt_outcome before[LAB_ADAPT_SCENES][LAB_ADAPT_SEEDS_MAX];
    struct lab_adapt_outcome after[LAB_ADAPT_SCENES][LAB_ADAPT_SEEDS_MAX][LAB_ADAPT_SCHEMES]
                                  [LAB_ADAPT_STOPS];
};

void lab_adapt_print(const struct lab_adapt_results *results, FILE *text);
/* report.md with its tables and chart, to a folder that is made if it is not there. Errors are
 * told. */
int lab_adapt_report(const struct lab_adapt_results *results, const char *directory);

#endif
