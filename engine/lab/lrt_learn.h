/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * How the network of lrt_net.h learns: before the stream from digits at rest, and on the stream by
 * one of the paper's schemes (LRT, 2009.03887), one labelled picture at a time.
 */
#ifndef OCELLUS_ENGINE_LAB_LRT_LEARN_H
#define OCELLUS_ENGINE_LAB_LRT_LEARN_H

#include "engine/lab/lrt_data.h"
#include "engine/lab/lrt_net.h"
#include "engine/train/lowrank.h"

enum lab_lrt_kind {
    LAB_LRT_INFERENCE = 0, /* nothing moves, norms neither */
    LAB_LRT_BIAS,          /* biases and norms */
    LAB_LRT_SGD,           /* and weights, after every picture, rounded to a code */
    LAB_LRT_LOWRANK,       /* and weights, by rank, after 10 pictures (dense: 100) */
};

struct lab_lrt_scheme {
    uint8_t kind; /* enum lab_lrt_kind */
    bool max_norm;
    bool unbiased_conv, unbiased_dense;
    bool still_bias; /* biases and norms do not learn */
    bool no_norm;    /* norms pass their input on */
    uint32_t rank;
    float kappa;       /* 0: no term is skipped */
    uint32_t patience; /* weights after so many times the paper's batches; 0: once */
};

#define LAB_LRT_RATE        0.01f
#define LAB_LRT_HOLD        0.01f /* rho_min: a smaller share of changing weights is not written */
#define LAB_LRT_BATCH_CONV  10u
#define LAB_LRT_BATCH_DENSE 100u

/* Writes to the weights of a layer, for each cell. */
struct lab_lrt_writes {
    uint64_t *terms;   /* SGD: products delta times input that are not zero, the paper's count */
    uint32_t *samples; /* SGD: pictures with a gradient that is not zero */
    uint32_t *changes; /* codes that changed */
};

struct lab_lrt_learner {
    struct lab_lrt_scheme scheme;
    struct lab_lrt_net *net;
    struct train_lowrank *lowrank[LAB_LRT_LAYERS]; /* NULL but of LOWRANK */
    struct train_max_norm left[LAB_LRT_LAYERS], right[LAB_LRT_LAYERS], bias[LAB_LRT_LAYERS];
    struct train_max_norm gamma[LAB_LRT_NORMS], beta[LAB_LRT_NORMS];
    struct lab_lrt_writes writes[LAB_LRT_LAYERS];
    uint64_t pictures, flushes, held; /* held: flushes that rho_min held back */
    void *memory;                     /* of writes */
    size_t memory_bytes;
    float *scratch; /* a layer's weights */
    int32_t *steps;
    float *factors[2];
};

/* The net stays the caller's. Errors: -ENOMEM. */
int lab_lrt_learner_create(struct lab_lrt_learner *learner, const struct lab_lrt_scheme *scheme,
                           struct lab_lrt_net *net, uint64_t seed, uint32_t cpu);
void lab_lrt_learner_destroy(struct lab_lrt_learner *learner);

/* Learn from the picture of the last forward pass. */
void lab_lrt_learn(struct lab_lrt_learner *learner, uint32_t label);

/* The most written cell, by the three counts; cells and changes of all layers. */
struct lab_lrt_worst {
    uint64_t terms, samples, changes; /* LOWRANK: all three are changes */
    uint64_t cells, all_changes;
};
void lab_lrt_worst(const struct lab_lrt_learner *learner, struct lab_lrt_worst *ret_worst);

/* Everything needed to go on with the same bytes, for the same build and machine. */
size_t lab_lrt_state_bytes(const struct lab_lrt_learner *learner);
void lab_lrt_save(const struct lab_lrt_learner *learner, void *state);
void lab_lrt_restore(struct lab_lrt_learner *learner, const void *state);

/*
 * Learning before the stream: Adam on float weights with their codes and all other quantisation but
 * that of gradients in the loop, batches of 32, the rate falling from 0.0025 by a cosine.
 * `pictures` of distorted digits; told: called now and then with what is done. *ret_accuracy: on
 * 1,000 validation pictures, frozen. Errors: -ENOMEM.
 */
int lab_lrt_prepare(struct lab_lrt_net *net, const struct lab_packed *digits, uint64_t seed,
                    uint64_t pictures, void (*told)(void *user, uint64_t done, double accuracy),
                    void *user, double *ret_accuracy);

#endif
