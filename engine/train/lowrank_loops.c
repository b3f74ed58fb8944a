/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The long loops of svd.h, over vectors as wide as the instruction set's. Built once per
 * instruction set, into the table train_lowrank_ops_ISA.
 */
#include "engine/train/svd.h"

#include <math.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#define BYTES 64
#elif defined(__AVX2__)
#define BYTES 32
#else
#define BYTES 16
#endif
#define LANES (BYTES / sizeof(float))
typedef float vector __attribute__((vector_size(BYTES)));
typedef int32_t whole __attribute__((vector_size(BYTES)));

/* Loops of a known length that must leave no loop behind. */
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#define ROUNDER 12582912.0f /* 1.5 * 2^23: adding it leaves no fraction */

static inline float sum_of(const vector *x)
{
#if defined(__AVX512F__)
    return _mm512_reduce_add_ps((__m512)*x);
#else
    float parts[LANES];

    memcpy(parts, x, sizeof(parts));
    for (size_t n = LANES / 2; n > 0; n /= 2) {
        for (size_t i = 0; i < n; i++) {
            parts[i] += parts[i + n];
        }
    }
    return parts[0];
#endif
}

/* x -= c * of, and the sum of x * with (with NULL: x * x). n vectors, a multiple of 16 / LANES. */
static inline __attribute__((always_inline)) float reduce(size_t n, vector *x, const vector *of,
                                                          float c, const vector *with)
{
    vector sums[4] = {{0}, {0}, {0}, {0}};
    size_t i = 0;

    for (; i + 4 <= n; i += 4) {
        for (size_t k = 0; k < 4; k++) {
            const vector y = x[i + k] - c * of[i + k];

            x[i + k] = y;
            sums[k] += y * (with != NULL ? with[i + k] : y);
        }
    }
    for (; i < n; i++) {
        const vector y = x[i] - c * of[i];

        x[i] = y;
        sums[0] += y * (with != NULL ? with[i] : y);
    }
    sums[0] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    return sum_of(&sums[0]);
}

static void project(uint32_t rank, size_t length, float *rows, float *coefficients)
{
    const size_t n = length / LANES;
    vector *x = (vector *)(void *)(rows + rank * length);
    const vector *row = (const vector *)(const void *)rows;

    coefficients[0] = reduce(n, x, row, 0, row);
    for (uint32_t j = 0; j + 1 < rank; j++) {
        coefficients[j + 1] = reduce(n, x, row + j * n, coefficients[j], row + (j + 1) * n);
    }
    coefficients[rank] = sqrtf(reduce(n, x, row + (rank - 1) * n, coefficients[rank - 1], NULL));
}

static inline __attribute__((always_inline)) float turn_by(const uint32_t rank, size_t length,
                                                           float *rows, const float *turn)
{
    const size_t n = length / LANES;
    vector *row = (vector *)(void *)rows;
    whole most = {0};
    float largest = 0;

    for (size_t at = 0; at < n; at++) {
        vector in[TRAIN_SVD_MAX];

        UNROLL
        for (uint32_t i = 0; i <= rank; i++) {
            in[i] = row[i * n + at];
        }
        UNROLL
        for (uint32_t j = 0; j < rank; j++) {
            const float *by = turn + j * (rank + 1);
            vector out = by[0] * in[0];
            whole size, above;

            UNROLL
            for (uint32_t i = 1; i <= rank; i++) {
                out += by[i] * in[i];
            }
            row[j * n + at] = out;
            size = (whole)out & 0x7fffffff; /* positive floats have the order of integers */
            above = size > most;
            most = (size & above) | (most & ~above);
        }
    }
    for (size_t i = 0; i < LANES; i++) {
        float x;
        int32_t bits = most[i];

        memcpy(&x, &bits, sizeof(x));
        largest = x > largest ? x : largest;
    }
    return largest;
}

static float turn(uint32_t rank, size_t length, float *rows, const float *by)
{
    switch (rank) { /* one loop for each, so that what it keeps fits registers */
    case 1:
        return turn_by(1, length, rows, by);
    case 2:
        return turn_by(2, length, rows, by);
    case 3:
        return turn_by(3, length, rows, by);
    case 4:
        return turn_by(4, length, rows, by);
    case 5:
        return turn_by(5, length, rows, by);
    case 6:
        return turn_by(6, length, rows, by);
    case 7:
        return turn_by(7, length, rows, by);
    case 8:
        return turn_by(8, length, rows, by);
    case 9:
        return turn_by(9, length, rows, by);
    default:
        return turn_by(10, length, rows, by);
    }
}

static void coarsen(size_t n, float *x, float step)
{
    const float inverse = 1 / step;
    vector *v = (vector *)(void *)x;

    for (size_t i = 0; i < n / LANES; i++) {
        vector rounded = v[i] * inverse + ROUNDER;

        v[i] = (rounded - ROUNDER) * step;
    }
}

const struct train_lowrank_ops TRAIN_NAME(train_lowrank_ops) = {
    .svd = TRAIN_NAME(train_svd),
    .project = project,
    .turn = turn,
    .coarsen = coarsen,
};
