/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* A model of one dense layer over 8x8 ternary log-gradient codes, so that tests need no file. */
#ifndef OCELLUS_TESTS_TINY_MODEL_H
#define OCELLUS_TESTS_TINY_MODEL_H

#include <stddef.h>
#include <stdint.h>

#define TINY_LABELS 10
#define TINY_SIDE   8
#define TINY_CODES  (TINY_SIDE * TINY_SIDE * 6)

/* The file's bytes; the caller frees them. `seed` makes the weights. NULL when it could not be
 * made. */
void *tiny_model_make(unsigned seed, size_t *ret_size);

/* One with an operating point "p0", "p1", ... (at most 4) for each seed: each has the weights that
 * tiny_model_make(seed) has. */
void *tiny_model_make_points(const unsigned *seeds, unsigned count, size_t *ret_size);

/* One whose label "a" scores a window by how many of its codes are those that are not 0 here. The
 * margin of label "a" is 65536 where they all are, and 0 where no more than half of them. */
void *tiny_model_make_matched(const int8_t codes[TINY_CODES], size_t *ret_size);

#endif
