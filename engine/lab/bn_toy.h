/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Batch norm as an adaptive filter where everything is linear, so that theory says what must come
 * out (Chai, Pilanci, Murmann 2020, 2002.10674): LMS on loud and quiet channels, and the first step
 * of a batch norm against NLMS. Reads and writes no file.
 *
 * TOY    512 samples of 8 channels of zero mean with deviations from 0.1 to 3.16, even in their
 *   logarithm, of 4 taps each: normal numbers, two taps of a channel with a correlation of 0.36
 *   (LAB_BN_TOY_CORRELATION). A linear filter w starts at 0 and follows d, a filter of normal
 *   numbers on the samples divided by their channels' deviations, so that each channel matters
 *   alike, by full-batch LMS, w += rate X^T (d - X w) / 512; counted are the steps until
 *   |d - X w|^2 <= 0.01 |d|^2. The variants divide channels of X by their deviation (batch), by
 *   min or max of it and 1 (amplify, suppress), or all by the root of the mean power (nlms with one
 *   global power, whose steps are those of LMS at rate / power).
 * REFERENCE  An earlier run of the same toy: one draw, whose random numbers and correlation were
 *   not kept; the correlation here fits its eigenvalues. A figure agrees where it lies within the
 *   range of our draws and within a factor LAB_BN_TOY_FACTOR of their median; what diverged there
 *   must diverge in more than half of the draws.
 */
#ifndef OCELLUS_ENGINE_LAB_BN_TOY_H
#define OCELLUS_ENGINE_LAB_BN_TOY_H

#include <stdbool.h>
#include <stdint.h>

#define LAB_BN_TOY_SAMPLES     512u
#define LAB_BN_TOY_CHANNELS    8u
#define LAB_BN_TOY_TAPS        4u
#define LAB_BN_TOY_MODES       (LAB_BN_TOY_CHANNELS * LAB_BN_TOY_TAPS)
#define LAB_BN_TOY_CORRELATION 0.36
#define LAB_BN_TOY_STEPS       20000u /* at most; a figure of one more: did not get there */
#define LAB_BN_TOY_FACTOR      1.5
#define LAB_BN_TOY_VARIANTS    5u
#define LAB_BN_TOY_RATES       4u
#define LAB_BN_TOY_FIGURES     (4 + LAB_BN_TOY_RATES)

/* Figures of a row: eigenvalues, their ratio, 2 / largest, then steps at each rate (INFINITY:
 * diverges). */
enum lab_bn_toy_figure_index {
    LAB_BN_TOY_LEAST = 0,
    LAB_BN_TOY_MOST,
    LAB_BN_TOY_SPREAD,
    LAB_BN_TOY_BOUND,
    LAB_BN_TOY_FIRST_RATE,
};

struct lab_bn_toy_figure {
    double reference, median, least, most;
    bool agrees;
};

struct lab_bn_toy {
    struct lab_bn_toy_figure figures[LAB_BN_TOY_VARIANTS][LAB_BN_TOY_FIGURES];
    uint32_t draws, agree;
    uint32_t bracketed; /* of draws * variants: 0.98 * bound converges and 1.02 * bound diverges */
};

extern const double lab_bn_toy_rates[LAB_BN_TOY_RATES];
const char *lab_bn_toy_name(uint32_t variant);

/* Samples [SAMPLES][CHANNELS][TAPS] of a draw, mean of each channel 0. */
void lab_bn_toy_samples(uint64_t seed, double *x);

/* draws: 1..101. Errors: -ENOMEM. */
int lab_bn_toy_run(uint32_t draws, struct lab_bn_toy *ret_toy);

/* |difference| / |step of NLMS|, of the changes of w. */
struct lab_bn_first {
    double exact; /* the first step, in double precision by the formulas */
    double
        trained;   /* the first step, by the trainer: norm = batch before the layer, against nlms */
    double second; /* its second step and its tenth, gamma and beta learning along */
    double tenth;
    double with_mean; /* the first step where channels have a mean of one deviation */
};

/*
 * CONDITIONS of the identity: the first step; gamma 1, beta 0, both held in this step; every
 * channel of zero mean; sigma a constant of the batch; both with the same epsilon and rate; the
 * same function before the step, v = w sqrt(variance + epsilon). Errors: -ENOMEM.
 */
int lab_bn_first_step(uint64_t seed, uint32_t cpu, struct lab_bn_first *ret_first);

#endif
