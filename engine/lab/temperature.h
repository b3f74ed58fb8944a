/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * How far a model's confidence can be believed, and the temperature that scores are divided by so
 * that it can (Guo, Pleiss, Sun, Weinberger, ICML 2017, 1706.04599). Counts only.
 */
#ifndef OCELLUS_ENGINE_LAB_TEMPERATURE_H
#define OCELLUS_ENGINE_LAB_TEMPERATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAB_TEMPERATURE_MIN 0.05
#define LAB_TEMPERATURE_MAX 20.0
#define LAB_ERROR_BINS      15u

struct lab_answers {
    uint32_t labels;
    size_t count;
    int32_t *scores; /* [count][labels], units of 2^-16 */
    uint32_t *truth; /* [count] */
    uint8_t *half;   /* [count] 0 or 1 */
};

/* Which answers: those of one half, or all. */
enum lab_half { LAB_HALF_FIRST = 0, LAB_HALF_SECOND = 1, LAB_HALF_BOTH = 2 };

/* Mean of -log of the probability that softmax gives the truth. */
double lab_temperature_loss(const struct lab_answers *answers, enum lab_half half,
                            double temperature);

/* The temperature of [LAB_TEMPERATURE_MIN, LAB_TEMPERATURE_MAX] with the least loss. */
double lab_temperature_fit(const struct lab_answers *answers, enum lab_half half);

/*
 * Expected calibration error: over LAB_ERROR_BINS equal bins of the winner's confidence, the mean
 * of |share right - mean confidence|, weighted by the bins' answers. temperatures: for each half.
 */
double lab_temperature_error(const struct lab_answers *answers, const double temperatures[2]);

#endif
