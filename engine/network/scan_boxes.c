/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Boxes of a scan: candidates, and of those that overlap the strongest. One pass over what is left
 * for each box that is taken. All in integers.
 */
#include "engine/network/scan_internal.h"

/* A place on a level in frame pixels, rounded half up and held to the frame. */
static uint16_t in_frame(uint64_t at, uint32_t level, uint32_t frame)
{
    const uint64_t place = (2 * at * frame + level) / (2ull * level);

    return (uint16_t)(place < frame ? place : frame);
}

static struct scan_candidate candidate_at(const struct network_scan *scan, uint32_t index,
                                          uint32_t column, uint32_t row, int32_t margin)
{
    const struct network_scan_level *level = &scan->level[index];
    const uint64_t x = (uint64_t)column * scan->settings.stride;
    const uint64_t y = (uint64_t)row * scan->settings.stride;

    return (struct scan_candidate){
        .left = in_frame(x, level->width, scan->frame_width),
        .top = in_frame(y, level->height, scan->frame_height),
        .right = in_frame(x + scan->window_width, level->width, scan->frame_width),
        .bottom = in_frame(y + scan->window_height, level->height, scan->frame_height),
        .margin = margin,
        .index = scan->first[index] + row * level->columns + column,
    };
}

/* Windows whose margin is `least` or more. */
static uint32_t count_from(const struct network_scan *scan, const int32_t *const *margins,
                           int64_t least)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < scan->levels; i++) {
        const uint32_t windows = scan->first[i + 1] - scan->first[i];

        for (uint32_t k = 0; k < windows; k++) {
            count += margins[i][k] >= least;
        }
    }
    return count;
}

/* The largest margin that as many windows reach as there is room for, the threshold at least. */
static int32_t cut_off(const struct network_scan *scan, const int32_t *const *margins)
{
    int64_t low = scan->settings.threshold, high = INT64_C(1) + INT32_MAX;

    if (count_from(scan, margins, low) <= NETWORK_SCAN_CANDIDATES_MAX) {
        return (int32_t)low;
    }
    while (high - low > 1) { /* `low` is reached by so many, `high` is not */
        const int64_t middle = low + (high - low) / 2;

        if (count_from(scan, margins, middle) >= NETWORK_SCAN_CANDIDATES_MAX) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return (int32_t)low;
}

/* In the order of levels, rows, columns. */
static uint32_t collect(struct network_scan *scan, const int32_t *const *margins)
{
    const int32_t least = cut_off(scan, margins);
    /* Of those that are just at it, only the first have room. */
    const uint32_t above = count_from(scan, margins, (int64_t)least + 1);
    uint32_t count = 0, equal = NETWORK_SCAN_CANDIDATES_MAX - above;

    for (uint32_t i = 0; i < scan->levels; i++) {
        const struct network_scan_level *level = &scan->level[i];
        const int32_t *margin = margins[i];

        for (uint32_t y = 0; y < level->rows; y++) {
            for (uint32_t x = 0; x < level->columns; x++, margin++) {
                if (*margin > least || (*margin == least && equal > 0)) {
                    equal -= *margin == least;
                    scan->candidates[count++] = candidate_at(scan, i, x, y, *margin);
                }
            }
        }
    }
    return count;
}

static uint64_t pixels(const struct scan_candidate *box)
{
    return (uint64_t)(box->right - box->left) * (uint64_t)(box->bottom - box->top);
}

static bool overlap(const struct scan_candidate *a, const struct scan_candidate *b, uint32_t most)
{
    const int left = a->left > b->left ? a->left : b->left;
    const int right = a->right < b->right ? a->right : b->right;
    const int top = a->top > b->top ? a->top : b->top;
    const int bottom = a->bottom < b->bottom ? a->bottom : b->bottom;

    if (left >= right || top >= bottom) {
        return false;
    }
    const uint64_t both = (uint64_t)(right - left) * (uint64_t)(bottom - top);
    return both * 256 > most * (pixels(a) + pixels(b) - both);
}

/* Drops from the list what overlaps `taken` (NULL: nothing); returns how many are left, and the
 * first of the strongest. */
static uint32_t sift(struct scan_candidate *list, uint32_t count,
                     const struct scan_candidate *taken, uint32_t most, uint32_t *ret_best)
{
    uint32_t left = 0, best = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (taken != NULL && (list[i].index == taken->index || overlap(&list[i], taken, most))) {
            continue;
        }
        list[left] = list[i];
        best = list[left].margin > list[best].margin ? left : best;
        left++;
    }
    *ret_best = best;
    return left;
}

static struct network_scan_box box_of(const struct network_scan *scan,
                                      const struct scan_candidate *taken)
{
    uint32_t level = 0;

    while (taken->index >= scan->first[level + 1]) {
        level++;
    }
    const uint32_t place = taken->index - scan->first[level];
    return (struct network_scan_box){
        .x = taken->left,
        .y = taken->top,
        .width = (uint32_t)(taken->right - taken->left),
        .height = (uint32_t)(taken->bottom - taken->top),
        .margin = taken->margin,
        .level = (uint16_t)level,
        .column = (uint16_t)(place % scan->level[level].columns),
        .row = (uint16_t)(place / scan->level[level].columns),
    };
}

uint32_t network_scan_boxes(struct network_scan *scan, const int32_t *const *margins,
                            struct network_scan_box *boxes)
{
    uint32_t left = collect(scan, margins), boxes_count = 0, best;

    left = sift(scan->candidates, left, NULL, 0, &best);
    while (left > 0 && boxes_count < scan->settings.boxes_max) {
        const struct scan_candidate taken = scan->candidates[best];

        boxes[boxes_count++] = box_of(scan, &taken);
        left = sift(scan->candidates, left, &taken, scan->settings.overlap, &best);
    }
    return boxes_count;
}
