/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What a detector's boxes are worth on frames whose objects are known: found objects against false
 * boxes per frame at every threshold (free-response ROC), and what a score says about a box. Counts
 * only.
 *
 * MATCHING  In a frame the boxes come by falling score. Each takes, of the objects that are still
 * to be had, the one that it overlaps most, if it does by LAB_FROC_OVERLAP at least; else it is
 * false, as a second box of one object is.
 */
#ifndef OCELLUS_ENGINE_LAB_FROC_H
#define OCELLUS_ENGINE_LAB_FROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/lab/scenes.h"

#define LAB_FROC_OVERLAP 0.5
#define LAB_FROC_BINS    10u

struct lab_froc_box {
    double score;
    bool found;
};

struct lab_froc {
    uint32_t frames, objects; /* >= 1 each */
    uint32_t count;
    struct lab_froc_box *boxes; /* by falling score */
};

/* Boxes of at least this score. */
struct lab_froc_point {
    double score; /* infinite: no box */
    uint32_t found, mistaken;
};

/* truth and boxes by frame; `boxes` are sorted by score within their frames. Errors: -EDOM  no
 * frame or no object; -ENOMEM. */
int lab_froc_init(struct lab_froc *froc, uint32_t frames, const struct lab_boxes *truth,
                  struct lab_boxes *boxes);
/* Accepts a zeroed one. */
void lab_froc_finish(struct lab_froc *froc);

/* The lowest score with at most `rate` false boxes a frame: what finds most. Boxes of one score go
 * together. */
struct lab_froc_point lab_froc_at(const struct lab_froc *froc, double rate);
/* Points after the boxes [0, *at); moves *at on. False at the end. */
bool lab_froc_next(const struct lab_froc *froc, uint32_t *at, struct lab_froc_point *ret_point);

/* Wilson's 95% interval of a share (JASA 22, 1927). whole >= 1. */
void lab_froc_interval(uint32_t part, uint32_t whole, double ret_interval[2]);

/* ---- scores as probabilities ---- */

/* 1 / (1 + exp(-(slope * score + offset))) */
struct lab_sigmoid {
    double slope, offset;
};

double lab_sigmoid_at(const struct lab_sigmoid *sigmoid, double score);

/*
 * The sigmoid that makes the found and false boxes of at least `score` likeliest, with Platt's
 * targets (1999) in place of 0 and 1. Errors: -EDOM  none found or none false, or a slope that is
 * not above 0.
 */
int lab_sigmoid_fit(const struct lab_froc *froc, double score, struct lab_sigmoid *ret_sigmoid);

/* Boxes by their probability in equal bins. */
struct lab_reliability {
    uint32_t boxes[LAB_FROC_BINS], found[LAB_FROC_BINS];
    double sure[LAB_FROC_BINS]; /* sum of the probabilities */
    double error; /* mean over the boxes of |share found - mean probability| of their bin */
};

void lab_reliability_measure(const struct lab_froc *froc, double score,
                             const struct lab_sigmoid *sigmoid,
                             struct lab_reliability *ret_reliability);

#endif
