/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Greedy choice by score. */
#include "engine/lab/pick.h"

#include <stdlib.h>

static int by_falling_score(const void *a, const void *b)
{
    const struct lab_box *x = a, *y = b;
    if (x->score != y->score) {
        return x->score < y->score ? 1 : -1;
    }
    return (x->frame > y->frame) - (x->frame < y->frame);
}

static bool overlaps_any(const struct lab_box *box, const struct lab_box *others, uint32_t count,
                         double most)
{
    for (uint32_t i = 0; i < count; i++) {
        if (lab_box_overlap(box, &others[i]) > most) {
            return true;
        }
    }
    return false;
}

static bool overlaps_picked(const struct lab_box *boxes, uint32_t index, const uint32_t *picked,
                            uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (lab_box_overlap(&boxes[index], &boxes[picked[i]]) > LAB_PICK_TWICE) {
            return true;
        }
    }
    return false;
}

uint32_t lab_pick_hard(struct lab_box *boxes, uint32_t count, const struct lab_box *truth,
                       uint32_t truth_count, double threshold, uint32_t limit, uint32_t *ret_picked)
{
    uint32_t picked = 0;
    if (count > 0) {
        qsort(boxes, count, sizeof(*boxes), by_falling_score);
    }
    for (uint32_t i = 0; i < count && picked < limit && boxes[i].score >= threshold; i++) {
        if (!overlaps_any(&boxes[i], truth, truth_count, LAB_PICK_APART) &&
            !overlaps_picked(boxes, i, ret_picked, picked)) {
            ret_picked[picked++] = i;
        }
    }
    return picked;
}

uint32_t lab_pick_fitting(const struct lab_box *boxes, uint32_t count, const struct lab_box *object,
                          uint32_t limit, uint32_t *ret_picked)
{
    uint32_t fitting = 0, seen = 0, picked = 0;
    for (uint32_t i = 0; i < count; i++) {
        fitting += lab_box_overlap(&boxes[i], object) >= LAB_PICK_FITS;
    }
    for (uint32_t i = 0; i < count && picked < limit; i++) {
        if (lab_box_overlap(&boxes[i], object) >= LAB_PICK_FITS) {
            /* The n-th of `limit` is the first one from n / limit of all on. */
            if ((uint64_t)seen * limit >= (uint64_t)picked * fitting) {
                ret_picked[picked++] = i;
            }
            seen++;
        }
    }
    return picked;
}
