/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* One pass over the sorted margins. */
#include "engine/lab/roc.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SCORES_PER_UNIT 65536.0

static int by_falling_margin(const void *a, const void *b)
{
    int64_t x = ((const struct lab_answer *)a)->margin, y = ((const struct lab_answer *)b)->margin;
    return (x < y) - (x > y);
}

int lab_roc_init(struct lab_roc *roc, struct lab_answer *answers, size_t count)
{
    memset(roc, 0, sizeof(*roc));
    for (size_t i = 0; i < count; i++) {
        roc->positives += answers[i].positive;
    }
    roc->negatives = count - roc->positives;
    if (roc->positives == 0 || roc->negatives == 0) {
        return -EDOM;
    }
    roc->points = calloc(count, sizeof(*roc->points));
    if (!roc->points) {
        return -ENOMEM;
    }
    qsort(answers, count, sizeof(*answers), by_falling_margin);
    struct lab_roc_point at = {0}, before = {0};
    double area = 0.0; /* in pairs of a positive and a negative */
    for (size_t i = 0; i < count; i++) {
        at.margin = answers[i].margin;
        at.found += answers[i].positive;
        at.mistaken += !answers[i].positive;
        if (i + 1 == count || answers[i + 1].margin != at.margin) {
            area += (double)(at.mistaken - before.mistaken) * (double)(at.found + before.found) / 2;
            roc->points[roc->count++] = at;
            before = at;
        }
    }
    roc->area = area / ((double)roc->positives * (double)roc->negatives);
    return 0;
}

void lab_roc_finish(struct lab_roc *roc)
{
    free(roc->points);
    memset(roc, 0, sizeof(*roc));
}

const struct lab_roc_point *lab_roc_at_mistaken(const struct lab_roc *roc, double share)
{
    const struct lab_roc_point *best = NULL;
    for (size_t i = 0; i < roc->count; i++) {
        const struct lab_roc_point *point = &roc->points[i];
        if ((double)point->mistaken > share * (double)roc->negatives) {
            break;
        }
        if (!best || point->found > best->found) {
            best = point;
        }
    }
    return best;
}

const struct lab_roc_point *lab_roc_at_found(const struct lab_roc *roc, double share)
{
    size_t i = 0;
    while (i + 1 < roc->count && (double)roc->points[i].found < share * (double)roc->positives) {
        i++;
    }
    return &roc->points[i];
}

double lab_roc_probability(int64_t margin)
{
    return 1.0 / (1.0 + exp(-(double)margin / SCORES_PER_UNIT));
}
