/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What changed between two frames, told from the ternary codes of one coarse level. Codes compare
 * scenes and not brightness: a light that is switched on changes few of them. It runs no network.
 */
#ifndef OCELLUS_DAEMON_WORKER_MOTION_H
#define OCELLUS_DAEMON_WORKER_MOTION_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/worker/job.h"

/* Pixels along a side of a block, of the level; those at the right and lower edge are cut off. */
#define MOTION_BLOCK 8u
/* A block has changed when more than one in so many of its codes has: noise in a lit scene flips
 * fewer, an edge that moves through the block flips more. */
#define MOTION_CODES 8u
/* Levels that are compared have no more blocks. */
#define MOTION_BLOCKS_MAX 4096u
/* Areas told apart; where there are more, one around all of them stands for them. */
#define MOTION_AREAS_MAX 8u

/* Pixels [left, right) x [top, bottom) of the level. */
struct motion_area {
    uint32_t left, top, right, bottom;
};

struct motion {
    uint32_t width, height, channels; /* of the level */
    uint32_t columns, rows;           /* blocks */
    uint32_t count;
    struct motion_area areas[MOTION_AREAS_MAX];
    uint8_t block[MOTION_BLOCKS_MAX]; /* 1: changed */
    uint16_t stack[MOTION_BLOCKS_MAX];
};

/* Errors: -ENOTSUP  the level has too many blocks. */
int motion_init(struct motion *motion, uint32_t width, uint32_t height, uint32_t channels);

/*
 * Compare codes [height][width][channels]. In changed blocks `before` takes over what is `now`;
 * elsewhere it stays, so that slow changes add up until they are seen.
 */
void motion_compare(struct motion *motion, int8_t *before, const int8_t *now);

/* A box of a frame of width x height pixels that touches a changed block counts as changed as a
 * whole, since other windows may take its place. To be called for all boxes at once. */
void motion_spread(struct motion *motion, const struct job_box *boxes, uint32_t count,
                   uint32_t width, uint32_t height);

/* Fills in areas: what hangs together, each in its bounding rectangle. Uses the blocks up. */
void motion_gather(struct motion *motion);

/*
 * Windows of a level that touch an area; `window` and `stride` in its pixels. False when there are
 * none.
 */
bool motion_windows(const struct motion *motion, const struct motion_area *area,
                    const struct network_scan_level *level, uint32_t window_width,
                    uint32_t window_height, uint32_t stride, struct network_scan_area *ret_area);

#endif
