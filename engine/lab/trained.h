/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * A run directory of ocellus-lab train, taken up again to be packed: nothing is learned and nothing
 * is written there.
 */
#ifndef OCELLUS_ENGINE_LAB_TRAINED_H
#define OCELLUS_ENGINE_LAB_TRAINED_H

#include <stdint.h>

#include "engine/lab/model.h"
#include "engine/lab/recipe.h"
#include "engine/lab/samples.h"

#define LAB_TRAINED_NAME_BYTES (NETWORK_NAME_MAX + 32u)

/* Name of the file in a run directory that is the result. */
void lab_trained_name(const struct lab_recipe *recipe, char name[LAB_TRAINED_NAME_BYTES]);

/* A pass without learning over one grey picture, after which train_fold gives the integers. Errors
 * (told on standard error): -ENOMEM. */
int lab_trained_settle(const struct lab_recipe *recipe, struct train *train);

struct lab_trained {
    struct lab_recipe recipe;
    struct train *train;     /* as after the last epoch, a pass without learning behind it */
    struct lab_model master; /* the model that the run gave */
};

/*
 * Opens DIRECTORY's recipe, checkpoint and model, and checks that the three belong together:
 * the checkpoint gives the model again byte for byte. Errors are told on standard error.
 */
int lab_trained_open(struct lab_trained *trained, const char *directory, uint32_t cpu,
                     const struct kernel_table *kernels);
/* Accepts a zeroed one. */
void lab_trained_close(struct lab_trained *trained);

/*
 * Runs the trainer, without learning, and a packed model over the first `count` samples, which must
 * be made for the recipe's input. *ret_differ: samples for which any score is not the same number.
 * Errors: -ENOMEM.
 */
int lab_trained_compare(struct lab_trained *trained, struct lab_model *packed,
                        const struct lab_samples *samples, uint32_t count,
                        const struct train_workers *workers, uint32_t *ret_differ);

#endif
