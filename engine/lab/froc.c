/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Matching of boxes, one pass over the sorted scores, and Newton's method in two unknowns. */
#include "engine/lab/froc.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NORMAL_95 1.959963984540054
#define STEPS_MAX 100
#define SETTLED   1e-10

static int by_frame_and_falling_score(const void *a, const void *b)
{
    const struct lab_box *x = a, *y = b;
    if (x->frame != y->frame) {
        return x->frame < y->frame ? -1 : 1;
    }
    return (x->score < y->score) - (x->score > y->score);
}

static int by_falling_score(const void *a, const void *b)
{
    const struct lab_froc_box *x = a, *y = b;
    return (x->score < y->score) - (x->score > y->score);
}

/* Takes an object for the box, if there is one. */
static bool match(const struct lab_box *box, const struct lab_box *truth, uint32_t count,
                  bool *taken)
{
    double most = LAB_FROC_OVERLAP;
    uint32_t best = count;
    for (uint32_t i = 0; i < count; i++) {
        double overlap = taken[i] ? 0 : lab_box_overlap(box, &truth[i]);
        if (overlap >= most && (best == count || overlap > most)) {
            most = overlap;
            best = i;
        }
    }
    if (best < count) {
        taken[best] = true;
    }
    return best < count;
}

int lab_froc_init(struct lab_froc *froc, uint32_t frames, const struct lab_boxes *truth,
                  struct lab_boxes *boxes)
{
    memset(froc, 0, sizeof(*froc));
    if (frames == 0 || truth->count == 0) {
        return -EDOM;
    }
    froc->frames = frames;
    froc->objects = truth->count;
    froc->boxes = calloc((size_t)boxes->count + 1, sizeof(*froc->boxes));
    bool *taken = calloc(truth->count, sizeof(*taken));
    if (!froc->boxes || !taken) {
        free(taken);
        lab_froc_finish(froc);
        return -ENOMEM;
    }
    if (boxes->count > 0) {
        qsort(boxes->boxes, boxes->count, sizeof(*boxes->boxes), by_frame_and_falling_score);
    }
    for (uint32_t i = 0; i < boxes->count; i++) {
        const struct lab_box *box = &boxes->boxes[i];
        uint32_t count;
        const struct lab_box *objects = lab_boxes_of(truth, box->frame, &count);
        bool found = match(box, objects, count, taken + (objects - truth->boxes));
        froc->boxes[froc->count++] = (struct lab_froc_box){box->score, found};
    }
    free(taken);
    qsort(froc->boxes, froc->count, sizeof(*froc->boxes), by_falling_score);
    return 0;
}

void lab_froc_finish(struct lab_froc *froc)
{
    free(froc->boxes);
    memset(froc, 0, sizeof(*froc));
}

bool lab_froc_next(const struct lab_froc *froc, uint32_t *at, struct lab_froc_point *ret_point)
{
    if (*at == froc->count) {
        return false;
    }
    double score = froc->boxes[*at].score;
    for (; *at < froc->count && froc->boxes[*at].score == score; (*at)++) {
        ret_point->found += froc->boxes[*at].found;
        ret_point->mistaken += !froc->boxes[*at].found;
    }
    ret_point->score = score;
    return true;
}

struct lab_froc_point lab_froc_at(const struct lab_froc *froc, double rate)
{
    struct lab_froc_point point = {.score = INFINITY}, best = point;
    uint32_t at = 0;
    while (lab_froc_next(froc, &at, &point) && point.mistaken <= rate * froc->frames) {
        best = point;
    }
    return best;
}

void lab_froc_interval(uint32_t part, uint32_t whole, double ret_interval[2])
{
    double n = whole, share = part / n, square = NORMAL_95 * NORMAL_95;
    double centre = share + square / (2 * n);
    double reach = NORMAL_95 * sqrt(share * (1 - share) / n + square / (4 * n * n));
    ret_interval[0] = fmax(0.0, (centre - reach) / (1 + square / n));
    ret_interval[1] = fmin(1.0, (centre + reach) / (1 + square / n));
}

/* ---- scores as probabilities ---- */

double lab_sigmoid_at(const struct lab_sigmoid *sigmoid, double score)
{
    return 1 / (1 + exp(-(sigmoid->slope * score + sigmoid->offset)));
}

/* Boxes of at least `score`: they come first. */
static uint32_t count_from(const struct lab_froc *froc, double score)
{
    uint32_t count = 0;
    while (count < froc->count && froc->boxes[count].score >= score) {
        count++;
    }
    return count;
}

/* Of -log likelihood: value, gradient by (slope, offset) and the three second derivatives. */
struct slope_of_loss {
    double loss, by_slope, by_offset, slope_slope, slope_offset, offset_offset;
};

static void measure(const struct lab_froc *froc, uint32_t count, const double targets[2],
                    const struct lab_sigmoid *sigmoid, struct slope_of_loss *ret)
{
    memset(ret, 0, sizeof(*ret));
    for (uint32_t i = 0; i < count; i++) {
        double score = froc->boxes[i].score, target = targets[froc->boxes[i].found];
        double logit = sigmoid->slope * score + sigmoid->offset;
        double sure = lab_sigmoid_at(sigmoid, score), bend = sure * (1 - sure);
        ret->loss += (logit > 0 ? logit : 0) + log1p(exp(-fabs(logit))) - target * logit;
        ret->by_slope += (sure - target) * score;
        ret->by_offset += sure - target;
        ret->slope_slope += bend * score * score;
        ret->slope_offset += bend * score;
        ret->offset_offset += bend;
    }
    ret->slope_slope += SETTLED; /* not singular, should all scores be one */
    ret->offset_offset += SETTLED;
}

/* A step of Newton's, halved until the loss falls. False: there is none left to make. */
static bool step(const struct lab_froc *froc, uint32_t count, const double targets[2],
                 struct lab_sigmoid *sigmoid)
{
    struct slope_of_loss now, then;
    measure(froc, count, targets, sigmoid, &now);
    double det = now.slope_slope * now.offset_offset - now.slope_offset * now.slope_offset;
    double by_slope = (now.offset_offset * now.by_slope - now.slope_offset * now.by_offset) / det;
    double by_offset = (now.slope_slope * now.by_offset - now.slope_offset * now.by_slope) / det;
    for (double part = 1; part > SETTLED; part /= 2) {
        struct lab_sigmoid next = {sigmoid->slope - part * by_slope,
                                   sigmoid->offset - part * by_offset};
        measure(froc, count, targets, &next, &then);
        if (then.loss < now.loss) {
            *sigmoid = next;
            return now.loss - then.loss > SETTLED * now.loss;
        }
    }
    return false;
}

int lab_sigmoid_fit(const struct lab_froc *froc, double score, struct lab_sigmoid *ret_sigmoid)
{
    uint32_t count = count_from(froc, score), found = 0;
    for (uint32_t i = 0; i < count; i++) {
        found += froc->boxes[i].found;
    }
    if (found == 0 || found == count) {
        return -EDOM;
    }
    double targets[2] = {1 / (count - found + 2.0), (found + 1) / (found + 2.0)};
    struct lab_sigmoid sigmoid = {0, log((found + 1.0) / (count - found + 1.0))};
    for (int i = 0; i < STEPS_MAX && step(froc, count, targets, &sigmoid); i++) {
    }
    if (!(sigmoid.slope > 0) || !isfinite(sigmoid.slope) || !isfinite(sigmoid.offset)) {
        return -EDOM;
    }
    *ret_sigmoid = sigmoid;
    return 0;
}

void lab_reliability_measure(const struct lab_froc *froc, double score,
                             const struct lab_sigmoid *sigmoid,
                             struct lab_reliability *ret_reliability)
{
    struct lab_reliability made = {0};
    uint32_t count = count_from(froc, score);
    for (uint32_t i = 0; i < count; i++) {
        double sure = lab_sigmoid_at(sigmoid, froc->boxes[i].score);
        uint32_t bin = (uint32_t)(sure * LAB_FROC_BINS);
        bin = bin < LAB_FROC_BINS ? bin : LAB_FROC_BINS - 1;
        made.boxes[bin]++;
        made.found[bin] += froc->boxes[i].found;
        made.sure[bin] += sure;
    }
    for (uint32_t bin = 0; bin < LAB_FROC_BINS; bin++) {
        made.error += fabs(made.found[bin] - made.sure[bin]);
    }
    made.error = count > 0 ? made.error / count : 0;
    *ret_reliability = made;
}
