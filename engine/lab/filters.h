/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Structured pruning of a network's first layer: how alike its filters are, and a network without
 * one of them. Reads and writes no file.
 *
 * Similarity of two filters is |cosine| of their weights, s_ij = |<w_i, w_j>| / (|w_i| |w_j|). Of
 * the most similar pair the filter with the lower L1 norm goes. The papers do not say which metric
 * they use; this one is ours.
 */
#ifndef OCELLUS_ENGINE_LAB_FILTERS_H
#define OCELLUS_ENGINE_LAB_FILTERS_H

#include <stdint.h>

#include "engine/lab/learn.h"

struct lab_similarity {
    double mean;        /* over all pairs; 1 for a single filter */
    double most;        /* of the most similar pair */
    uint32_t redundant; /* the filter of that pair with the lower L1 norm */
};

/* weights: [taps][filters], as engine/train keeps them. A filter of zeros is like any other one. */
void lab_filters_compare(const float *weights, uint32_t taps, uint32_t filters,
                         struct lab_similarity *ret_similarity);

/* A network that loses filters. The learner points into the recipe: do not move it. */
struct lab_pruning {
    struct lab_recipe recipe; /* of the network as it is now */
    struct lab_learner learner;
    const struct lab_samples *data;
    const struct train_workers *workers;
    uint64_t seed;
    uint32_t cpu;
    uint32_t renewals;
};

/*
 * Starts with the weights of `from`, a trainer of the recipe's network. Errors: -ENOTSUP (its first
 * layer is no convolution or its layers no chain; *ret_reason then is a static sentence), those of
 * lab_learner_init. On failure there is nothing to finish.
 */
int lab_pruning_init(struct lab_pruning *pruning, const struct lab_recipe *recipe,
                     const struct train *from, const struct lab_samples *data, uint64_t seed,
                     uint32_t cpu, const struct train_workers *workers, const char **ret_reason);
/* Accepts a zeroed one. */
void lab_pruning_finish(struct lab_pruning *pruning);

uint32_t lab_pruning_filters(const struct lab_pruning *pruning);
void lab_pruning_compare(const struct lab_pruning *pruning, struct lab_similarity *ret_similarity);

/* Removes a filter; 2 at least must be there. Errors: -ENOMEM; the pruning is as it was then. */
int lab_pruning_remove(struct lab_pruning *pruning, uint32_t filter);

/*
 * Learns on for `epochs` of `steps` batches (0: the whole of the pictures), from a tenth of the
 * recipe's rate down. Errors: -ERANGE (the loss is no number any more), -ENOMEM.
 */
int lab_pruning_tune(struct lab_pruning *pruning, uint32_t epochs, uint32_t steps);

#endif
