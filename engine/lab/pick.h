/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Which windows of a scanned frame are worth learning from. Boxes only; sees no picture. */
#ifndef OCELLUS_ENGINE_LAB_PICK_H
#define OCELLUS_ENGINE_LAB_PICK_H

#include <stdint.h>

#include "engine/lab/scenes.h"

#define LAB_PICK_APART 0.35 /* overlap with every object of a window that shows none, at most */
#define LAB_PICK_FITS  0.70 /* overlap with its object of a window that shows it, at least */
#define LAB_PICK_TWICE 0.50 /* overlap of two picked ones, at most */

/*
 * Of `boxes`, one frame's windows, those of at least `threshold` that keep apart from all of
 * `truth`: the highest scores first (ties: the earlier one), none over another by more than
 * LAB_PICK_TWICE, `limit` at most. Sorts `boxes` by score. Returns how many; their indices are in
 * ret_picked.
 */
uint32_t lab_pick_hard(struct lab_box *boxes, uint32_t count, const struct lab_box *truth,
                       uint32_t truth_count, double threshold, uint32_t limit,
                       uint32_t *ret_picked);

/* Of the windows that fit `object`, at most `limit`, evenly spread over them in their order. */
uint32_t lab_pick_fitting(const struct lab_box *boxes, uint32_t count, const struct lab_box *object,
                          uint32_t limit, uint32_t *ret_picked);

#endif
