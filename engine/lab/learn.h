/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Training and measuring by a recipe, over pictures in memory. Opens no file and prints nothing but
 * progress: what becomes of the result is the caller's.
 */
#ifndef OCELLUS_ENGINE_LAB_LEARN_H
#define OCELLUS_ENGINE_LAB_LEARN_H

#include <stdint.h>

#include "engine/lab/recipe.h"
#include "engine/lab/samples.h"
#include "engine/train/train.h"

struct lab_progress;

struct lab_score {
    uint32_t right, count;
    double accuracy, balanced; /* balanced: mean over the classes of the share found */
};

/* Recipe, samples and workers are kept by pointer. */
struct lab_learner {
    const struct lab_recipe *recipe;
    const struct lab_samples *data; /* to learn from */
    const struct train_workers *workers;
    struct train *train;
    struct lab_batch batch;
    uint64_t seed;
    uint32_t steps;  /* of an epoch; pictures left over when it is cut into batches are left out */
    uint32_t *order; /* of an epoch's pictures */
    uint32_t *shuffled, *next; /* with `balance`: all pictures, and where a class goes on there */
    uint32_t *class_right, *class_count; /* of the last measurement */
};

/* cpu: kernel_cpu_detect() & mask. *ret_reason, a static sentence, is set with -EINVAL alone.
 * Errors: those of train_create. On failure there is nothing to finish. */
int lab_learner_init(struct lab_learner *learner, const struct lab_recipe *recipe,
                     const struct lab_samples *data, uint64_t seed, uint32_t cpu,
                     const struct train_workers *workers, const char **ret_reason);
/* Accepts a zeroed one. */
void lab_learner_finish(struct lab_learner *learner);

/* Epochs that were learned, also before train_restore. */
uint32_t lab_learner_epochs(const struct lab_learner *learner);

/*
 * Learns one more epoch, stepping `progress` (may be NULL) once a batch. *ret_mean: mean loss, and
 * images right as they were learned. *ret_rate: of the last step. The same recipe, samples, seed
 * and instruction set give the same weights. Errors: -ERANGE: the loss is no number any more.
 */
int lab_learner_learn(struct lab_learner *learner, struct lab_progress *progress,
                      struct train_result *ret_mean, float *ret_rate);

/* Accuracy over samples, which have the classes of the data, with the running statistics. */
void lab_learner_measure(struct lab_learner *learner, const struct lab_samples *samples,
                         struct lab_score *ret_score);

#endif
