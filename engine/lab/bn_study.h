/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * `ocellus-lab reproduce batchnorm`: which trainings there are, what they came to, and the report.
 * The work is in bn_toy.c, bn_first.c and bn_run.c.
 */
#ifndef OCELLUS_ENGINE_LAB_BN_STUDY_H
#define OCELLUS_ENGINE_LAB_BN_STUDY_H

#include "engine/lab/bn_run.h"
#include "engine/lab/bn_toy.h"

#define LAB_BN_SETS      2u /* first weights as drawn, and spread (bn_run.h) */
#define LAB_BN_RATES_MAX 8u
#define LAB_BN_SEEDS_MAX 3u
#define LAB_BN_FIRST_MAX 1e-6 /* of the first step, in the trainer's single precision */
#define LAB_BN_STUCK     2.0  /* a loss above it is near that of guessing, log 10 = 2.30 */

struct lab_bn_sizes {
    const char *title;
    uint32_t seeds, steps, trace_each, draws;
    uint32_t rate_count;
    double rates[LAB_BN_RATES_MAX]; /* rising */
    uint32_t traced[2];             /* of the spread set, seed 1: indices of rates */
};

struct lab_bn_study {
    struct lab_bn_sizes sizes;
    const char *directory;
    struct lab_bn_toy toy;
    struct lab_bn_first first;
    struct lab_bn_outcome outcomes[LAB_BN_SETS][LAB_BN_NORMS][LAB_BN_RATES_MAX][LAB_BN_SEEDS_MAX];
};

/* What the seeds of one norm at one rate came to. */
struct lab_bn_group {
    uint32_t ran, diverged, stuck, reached;
    double steps; /* mean of the first steps at the target; those that never came count in full */
    double diverged_at; /* mean over those that did */
    double last;        /* mean over those that did not diverge */
};

struct lab_bn_cell lab_bn_study_cell(const struct lab_bn_study *study, uint32_t set, uint32_t norm,
                                     uint32_t rate, uint32_t seed);
void lab_bn_study_group(const struct lab_bn_study *study, uint32_t set, uint32_t norm,
                        uint32_t rate, struct lab_bn_group *ret_group);

/* The highest rate up to which, from the lowest, no seed diverged (and, with `trains`, none was
 * stuck); 0: none. */
double lab_bn_study_survives(const struct lab_bn_study *study, uint32_t set, uint32_t norm,
                             bool trains);

/* A claim and whether the figures bear it out; false behind the last. */
struct lab_bn_claim {
    char text[160], figures[160];
    bool known, hit; /* known: all of its cells have run */
};
bool lab_bn_study_claim(const struct lab_bn_study *study, uint32_t set, uint32_t index,
                        struct lab_bn_claim *ret_claim);

/* report.md, tables and charts of what has run. Errors (told): the system's. */
int lab_bn_report(const struct lab_bn_study *study);

#endif
