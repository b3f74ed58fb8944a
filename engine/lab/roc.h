/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Receiver operating characteristic of a two-class model: how many of the positive pictures are
 * found, and how many of the negative ones are taken for positive, at every threshold of the
 * margin. Counts only; reads no picture.
 */
#ifndef OCELLUS_ENGINE_LAB_ROC_H
#define OCELLUS_ENGINE_LAB_ROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lab_answer {
    int64_t margin; /* score of the positive label less that of the negative one, 2^-16 */
    bool positive;  /* truth */
};

/* Pictures with at least this margin. */
struct lab_roc_point {
    int64_t margin;
    uint64_t found, mistaken; /* positive ones and negative ones among them */
};

struct lab_roc {
    uint64_t positives, negatives; /* >= 1 each */
    double area; /* under the curve: a positive's margin exceeds a negative's, equal ones half */
    size_t count;
    struct lab_roc_point *points; /* by falling margin, one for each that occurs */
};

/* Sorts `answers`. Errors: -EDOM where either class has none; -ENOMEM. */
int lab_roc_init(struct lab_roc *roc, struct lab_answer *answers, size_t count);
/* Accepts a zeroed one. */
void lab_roc_finish(struct lab_roc *roc);

/* The point that finds most with at most `share` of the negatives mistaken; NULL if none. */
const struct lab_roc_point *lab_roc_at_mistaken(const struct lab_roc *roc, double share);
/* The first point that finds at least `share` <= 1 of the positives. */
const struct lab_roc_point *lab_roc_at_found(const struct lab_roc *roc, double share);

/* The margin as the probability that a softmax gives the positive label. */
double lab_roc_probability(int64_t margin);

#endif
