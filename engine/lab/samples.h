/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * A tree of pictures decoded once, and batches of codes made from them: shifted, mirrored, exposed,
 * coded by engine/gradient. Learns nothing.
 */
#ifndef OCELLUS_ENGINE_LAB_SAMPLES_H
#define OCELLUS_ENGINE_LAB_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/lab/tree.h"
#include "engine/network/network.h"
#include "engine/train/train.h"

struct kernel_table;

struct lab_samples {
    struct network_input input;
    struct lab_tree tree;
    size_t values;    /* of one picture's planes */
    uint16_t *planes; /* [picture][plane][y][x] */
    uint16_t *whites; /* nominal white by picture */
    uint32_t *labels;
};

/* Lists and decodes all pictures of a folder-per-class tree. Errors are told on standard error. */
int lab_samples_init(struct lab_samples *samples, const char *directory,
                     const struct network_input *input, const struct kernel_table *kernels);
/* Accepts a zeroed one. */
void lab_samples_finish(struct lab_samples *samples);

/*
 * Moves the last of `part` parts of every class to *ret_held: neighbours by name, often pictures of
 * one scene, stay together but for one place. Neither knows its files any more. Errors: -EINVAL (a
 * class of fewer than `part` pictures), -ENOMEM; then nothing is changed.
 */
int lab_samples_hold_out(struct lab_samples *samples, uint32_t part, struct lab_samples *ret_held);

/* How pictures vary: `number` + i is the counter of the i-th one's random numbers. */
struct lab_variation {
    uint32_t shift; /* by at most so many pixels each way; the border repeats */
    bool mirror;    /* every second one or so */
    float stops;    /* light times 2^-stops to 2^stops, clipped at the end of the scale */
    uint64_t seed, stream, number;
};

struct lab_batch {
    uint32_t room;
    uint16_t *planes; /* of each picture, moved */
    void *codes;
    float *images; /* [room][height][width][channels] */
    uint32_t *labels;
};

/* Errors: -ENOMEM. */
int lab_batch_init(struct lab_batch *batch, const struct lab_samples *samples, uint32_t room);
void lab_batch_finish(struct lab_batch *batch);

/*
 * Fills images and labels with `count` <= room pictures order[0], order[1], ...; variation NULL:
 * as they are.
 */
void lab_batch_fill(struct lab_batch *batch, const struct lab_samples *samples,
                    const uint32_t *order, uint32_t count, const struct lab_variation *variation,
                    const struct train_workers *workers);

#endif
