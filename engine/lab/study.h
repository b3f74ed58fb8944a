/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What studies that train on two trees of pictures have in common (light.h, lognet.h): sizes from
 * the command line, pictures and threads, a folder that a run goes on in, and one training in it.
 * What is trained and what is found is each study's own. Errors are told on standard error, but
 * those that are named here as not told.
 */
#ifndef OCELLUS_ENGINE_LAB_STUDY_H
#define OCELLUS_ENGINE_LAB_STUDY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/lab/learn.h"
#include "engine/lab/recipe.h"
#include "engine/lab/samples.h"

#define LAB_STUDY_PICTURES_MIN 8u
#define LAB_STUDY_SEEDS_MAX    16u

struct lab_args;
struct lab_threads;

/* ---- the command line ---- */

/* Training pictures, epochs of each training, seeds, test pictures. */
struct lab_study_sizes {
    uint64_t pictures, epochs, seeds, test;
};

bool lab_study_same_sizes(const struct lab_study_sizes *a, const struct lab_study_sizes *b);

/* The usual sizes, or those of --quick, and what the command line says of them. Errors: -EINVAL. */
int lab_study_parse(const struct lab_args *args, const struct lab_study_sizes *whole,
                    const struct lab_study_sizes *quick, struct lab_study_sizes *ret_sizes,
                    uint64_t *ret_threads, uint32_t *ret_mask);

/* ---- what is trained on, and by what ---- */

/* Not to be moved. */
struct lab_study_tools {
    struct lab_samples data, test; /* sRGB planes, 32x32 */
    struct lab_threads *threads;
    struct train_workers workers;
    uint32_t cpu;
};

/* --data and --test, which must have the same classes; sizes become those that can be had. Close it
 * also after a failure. */
int lab_study_open(struct lab_study_tools *tools, const struct lab_args *args, uint64_t threads,
                   uint32_t mask, struct lab_study_sizes *sizes);
void lab_study_close(struct lab_study_tools *tools);

/* `count` samples from `first` on, as `front` sees them. It borrows everything. */
struct lab_samples lab_study_part(const struct lab_samples *all, const struct gradient_spec *front,
                                  uint32_t first, uint32_t count);

/* ---- the folder ---- */

/* DIRECTORY/NAME with SUFFIX; the caller frees it. NULL: out of memory. */
char *lab_study_path(const char *directory, const char *name, const char *suffix);

/* Make the folder, or go on in one whose plan.txt is this text. Errors: -EEXIST (another), the
 * system's. */
int lab_study_enter(const char *directory, const char *plan);

/* NAME.csv; *ret_text NULL: there is none. The caller frees it. */
int lab_study_load(const char *directory, const char *name, char **ret_text);
/* A file from a stream of open_memstream, which is closed; *bytes is freed. */
int lab_study_save(const char *directory, const char *name, const char *suffix, FILE *text,
                   char **bytes, const size_t *size);

/* ---- a training ---- */

/* A network and what it learns from. Not to be moved. */
struct lab_study_work {
    struct lab_recipe recipe;
    struct lab_samples data;
    struct lab_learner learner;
};

/* By the text of a recipe, which is freed (NULL: out of memory), over the first `pictures`. `name`
 * is for messages. */
int lab_study_work_open(struct lab_study_work *work, const struct lab_study_tools *tools,
                        const char *name, char *recipe, uint32_t pictures, uint64_t seed);
/* Also of what failed to open; accepts NULL. Frees work. */
void lab_study_work_close(struct lab_study_work *work);

/* What an earlier run learned, from NAME.safetensors. Errors: -ENOENT, not told: nothing did. */
int lab_study_work_restore(struct lab_study_work *work, const char *directory, const char *name);
/* Learn all epochs, and keep it there. Errors: -ERANGE, not told: the loss is no number any more.
 */
int lab_study_work_learn(struct lab_study_work *work, const char *directory, const char *name);

/* Seconds of learning from a picture once and of classifying one, over a few batches. */
int lab_study_work_time(struct lab_study_work *work, const struct lab_study_tools *tools,
                        double *ret_learning, double *ret_classifying);

#endif
