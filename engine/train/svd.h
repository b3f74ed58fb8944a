/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The inner loops of low-rank accumulation, as one table per instruction set. All sets do the same
 * sums and differ by rounding only.
 */
#ifndef OCELLUS_ENGINE_TRAIN_SVD_H
#define OCELLUS_ENGINE_TRAIN_SVD_H

#include <stddef.h>
#include <stdint.h>

#define TRAIN_SVD_MAX      11u
#define TRAIN_LOWRANK_LANE 16u /* rows are padded with zeros to multiples of so many floats */

struct train_lowrank_ops {
    /*
     * Singular values, descending, and vectors of a [q][q], row-major, q in 1..TRAIN_SVD_MAX:
     * a = sum over k of values[k] u[k] (x) v[k]. Rows of u [q][q] and of v are orthonormal, those
     * of values that are 0 (or below 1e-15 of the largest, which count as 0) included. One-sided
     * Jacobi (Hestenes 1958) in the order of a tournament, so that neighbouring rotations do not
     * wait for each other. Finite input gives finite output.
     */
    void (*svd)(uint32_t q, const double *a, double *u, double *values, double *v);

    /* Modified Gram-Schmidt of x = rows[rank] against rows 0 .. rank - 1, one pass:
     * coefficients[j] = <rows[j], x>, x -= coefficients[j] rows[j]; coefficients[rank] = |x|. Rows
     * of `length` floats, a multiple of TRAIN_LOWRANK_LANE, 64-byte aligned. */
    void (*project)(uint32_t rank, size_t length, float *rows, float *coefficients);
    /* rows[j] = sum over i <= rank of turn[j][i] rows[i] for j < rank, turn [rank][rank + 1].
     * Returns the largest |element| of the new rows. */
    float (*turn)(uint32_t rank, size_t length, float *rows, const float *turn);
    /* x = step * round(x / step) over n floats, 64-byte aligned; |x / step| < 2^22. */
    void (*coarsen)(size_t n, float *x, float step);
};

const struct train_lowrank_ops *train_lowrank_ops_find(uint32_t cpu);

extern const struct train_lowrank_ops train_lowrank_ops_c, train_lowrank_ops_avx2,
    train_lowrank_ops_avx512;

/* Built once per instruction set, as are the tables. */
#if defined(TRAIN_ISA)
#include "engine/train/ops.h"
void TRAIN_NAME(train_svd)(uint32_t q, const double *a, double *u, double *values, double *v);
#endif

#endif
