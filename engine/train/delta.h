/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The record of one update of the online trainer: bytes to a view and back. It is safe on hostile
 * bytes, allocates nothing and changes no weight.
 *
 * RECORD, little-endian
 *   u32 magic "OLD1"; u32 size, of all; u64 base (train_online_base)
 *   u32 writes_max: cells that were written so often stay as they are; 0: no limit
 *   u8 layers; u8 prototypes (0 or 1); u16 0
 *   each layer, ascending:
 *     u16 layer; u8 rank, 0..TRAIN_LOWRANK_MAX or TRAIN_DELTA_DENSE; u8 shift, 0..62 (dense: 0);
 *     u32 rows; u32 columns
 *     i32 bias[rows]             added to the layer's
 *     i16 left[rank][rows], right[rank][columns], in -32767..32767; dense: i16 step[rows][columns]
 *                                in -TRAIN_DELTA_DENSE_MAX..TRAIN_DELTA_DENSE_MAX
 *   prototypes, where there are: u16 classes; u8 exponent, 0..7; u8 0; u32 features
 *     i32 gain[classes]; u8 means[classes][features]; see prototype.h
 *   u64 XXH64, seed 0, of all before it
 *
 * STEP of cell (i, j): s = sum over k of left[k][i] * right[k][j] in int64;
 *   step = sign(s) * ((|s| + 2^(shift - 1)) >> shift), shift 0: s. Dense: step[i][j]. code = code -
 *   step, held to -127..127. Layers in order. That is all that a replay does, on every machine.
 */
#ifndef OCELLUS_ENGINE_TRAIN_DELTA_H
#define OCELLUS_ENGINE_TRAIN_DELTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRAIN_DELTA_LAYERS_MAX 8u
#define TRAIN_DELTA_STEP_MAX   127  /* of a cell in one record of factors, either way */
#define TRAIN_DELTA_DENSE      255u /* in place of a rank: the steps themselves */
#define TRAIN_DELTA_DENSE_MAX  254
#define TRAIN_DELTA_SIDE_MAX   (1u << 26)

/* One layer of a record. Arrays are little-endian and of any alignment. */
struct train_delta_layer {
    uint32_t layer, rank, shift, rows, columns;
    const uint8_t *bias, *left, *right; /* dense: left has the steps, right is NULL */
};

struct train_delta {
    uint64_t base;
    uint32_t writes_max, layer_count;
    struct train_delta_layer layers[TRAIN_DELTA_LAYERS_MAX];
    bool prototypes;
    uint32_t classes, features, exponent;
    const uint8_t *gain, *means;
};

/* Checks everything that the bytes alone can tell; the view points into them. Errors: -EBADMSG. */
int train_delta_parse(const void *bytes, size_t size, struct train_delta *ret_delta);

/* Bytes of the record of a view whose sizes are filled in; 0: over 4 GiB. */
size_t train_delta_size(const struct train_delta *delta);
/* Write a record. The view's arrays are copied; `to` has train_delta_size bytes. */
void train_delta_write(const struct train_delta *delta, void *to);

/* Element of such an array. */
int32_t train_delta_s32(const uint8_t *array, size_t index);
int32_t train_delta_s16(const uint8_t *array, size_t index);

/* Steps of cells (row, from) .. (row, from + n - 1). Beyond int32 they are held to it. */
void train_delta_steps(const struct train_delta_layer *layer, uint32_t row, uint32_t from,
                       uint32_t n, int32_t *steps);

/*
 * Factors as a record's: left [rank][rows] and right [rank][columns] become int16, little-endian,
 * and a shift so that the steps are those of left' right, rounded; the largest |step| is below
 * 2^15. Rows of tiny values become 0. Returns the shift.
 */
uint32_t train_delta_factors(uint32_t rank, uint32_t rows, uint32_t columns, const float *left,
                             const float *right, uint8_t *ret_left, uint8_t *ret_right);

#endif
