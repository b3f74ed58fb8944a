/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The product of ops.h, in tiles of TILE_ROWS x TILE_VECTORS accumulators. Built once per
 * instruction set, as train_product_ISA.
 *
 * Measured beside libraries by tests/bench/bench_product (one Zen 4 thread with AVX-512, a busy
 * machine; convolutions of the lg3 network, batch 128; GFLOP/s of processor time; forward, input
 * gradient, weight gradient; and milliseconds of all that a training step needs):
 *                   32x32, 6 to 32   16x16, 32 to 64   8x8, 64 to 128      ms
 *   this file        102   -   88     112  116  111      120  122  108    72.8
 *   oneDNN 2.6       103   -   65     122  120  108      135  133  120    70.6   blocked layout
 *                    102   -   82     117  112  106      130  120  120    71.9   interleaved
 *         bf16       207   -  146     246  240  193      250  236  178    38.2   blocked layout
 *   OpenBLAS 0.3.21   43   -   40      87   80   86       91   84   94   105.5   sgemm over columns
 * (Rows and, in oneDNN, columns of the border's zeros are left out.) PyTorch 1.13 calls oneDNN, and
 * takes longer for a whole step than this trainer (tests/bench/train_torch.py): a few hundredths of
 * the convolutions' time are not worth a library and its layouts, so none is asked for.
 */
#include "engine/train/ops.h"

#if defined(__AVX2__)
#include <immintrin.h>
#else
#include <string.h>
#endif

#if defined(__AVX512F__)

#define LANES        16u
#define TILE_ROWS    8u
#define TILE_VECTORS 2u

typedef __m512 vector;

static inline vector load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline void store(float *p, vector x)
{
    _mm512_storeu_ps(p, x);
}

static inline vector load_some(const float *p, uint32_t lanes)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1u << lanes) - 1), p);
}

static inline void store_some(float *p, vector x, uint32_t lanes)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << lanes) - 1), x);
}

static inline vector spread(float x)
{
    return _mm512_set1_ps(x);
}

static inline vector multiply_add(vector a, vector b, vector c)
{
    return _mm512_fmadd_ps(a, b, c);
}

#elif defined(__AVX2__)

#define LANES        8u
#define TILE_ROWS    4u
#define TILE_VECTORS 2u

typedef __m256 vector;

static inline vector load(const float *p)
{
    return _mm256_loadu_ps(p);
}

static inline void store(float *p, vector x)
{
    _mm256_storeu_ps(p, x);
}

static inline __m256i lane_mask(uint32_t lanes)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)lanes),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline vector load_some(const float *p, uint32_t lanes)
{
    return _mm256_maskload_ps(p, lane_mask(lanes));
}

static inline void store_some(float *p, vector x, uint32_t lanes)
{
    _mm256_maskstore_ps(p, lane_mask(lanes), x);
}

static inline vector spread(float x)
{
    return _mm256_set1_ps(x);
}

static inline vector multiply_add(vector a, vector b, vector c)
{
    return _mm256_fmadd_ps(a, b, c);
}

#else

#define LANES        4u
#define TILE_ROWS    4u
#define TILE_VECTORS 2u

typedef float vector __attribute__((vector_size(16)));

static inline vector load(const float *p)
{
    vector x;

    memcpy(&x, p, sizeof(x));
    return x;
}

static inline void store(float *p, vector x)
{
    memcpy(p, &x, sizeof(x));
}

static inline vector load_some(const float *p, uint32_t lanes)
{
    return (vector){p[0], lanes > 1 ? p[1] : 0.0f, lanes > 2 ? p[2] : 0.0f,
                    lanes > 3 ? p[3] : 0.0f};
}

static inline void store_some(float *p, vector x, uint32_t lanes)
{
    for (uint32_t i = 0; i < lanes; i++) {
        p[i] = x[i];
    }
}

static inline vector spread(float x)
{
    return (vector){x, x, x, x};
}

static inline vector multiply_add(vector a, vector b, vector c)
{
    return a * b + c;
}

#endif

struct tile {
    const float *a, *b;
    float *c;
    uint32_t lanes; /* in the last vector */
};

/* One tile. rows, vectors and whole are constants at every call, so that the loops unroll. */
static inline __attribute__((always_inline)) void tile_run(const struct train_product *p,
                                                           struct tile t, const uint32_t rows,
                                                           const uint32_t vectors, const bool whole)
{
    vector sum[TILE_ROWS][TILE_VECTORS];
    const uint32_t last = vectors - 1;
    const ptrdiff_t a_row = p->a_row, a_inner = p->a_inner, b_inner = p->b_inner;

    for (uint32_t i = 0; i < rows; i++) {
        for (uint32_t v = 0; v < vectors; v++) {
            const float *c = t.c + (ptrdiff_t)i * p->c_row + v * LANES;
            if (!p->accumulate) {
                sum[i][v] = spread(0.0f);
            } else if (whole || v < last) {
                sum[i][v] = load(c);
            } else {
                sum[i][v] = load_some(c, t.lanes);
            }
        }
    }
    for (uint32_t o = 0; o < p->outer; o++) {
        const float *a = t.a + (ptrdiff_t)o * p->a_outer;
        const float *b = t.b + (ptrdiff_t)o * p->b_outer;

        for (uint32_t k = 0; k < p->inner; k++) {
            vector w[TILE_VECTORS];
            for (uint32_t v = 0; v < vectors; v++) {
                w[v] = whole || v < last ? load(b + v * LANES) : load_some(b + v * LANES, t.lanes);
            }
            for (uint32_t i = 0; i < rows; i++) {
                vector x = spread(a[(ptrdiff_t)i * a_row]);
                for (uint32_t v = 0; v < vectors; v++) {
                    sum[i][v] = multiply_add(x, w[v], sum[i][v]);
                }
            }
            a += a_inner;
            b += b_inner;
        }
    }
    for (uint32_t i = 0; i < rows; i++) {
        for (uint32_t v = 0; v < vectors; v++) {
            float *c = t.c + (ptrdiff_t)i * p->c_row + v * LANES;
            if (whole || v < last) {
                store(c, sum[i][v]);
            } else {
                store_some(c, sum[i][v], t.lanes);
            }
        }
    }
}

/* All rows of one line for one tile's columns, in tiles of TILE_ROWS, then 4, 2 and 1. */
static inline __attribute__((always_inline)) void
line_run(const struct train_product *p, struct tile t, const uint32_t vectors, const bool whole)
{
    uint32_t left = p->rows;

#define STEP(n)                                                                                    \
    do {                                                                                           \
        tile_run(p, t, n, vectors, whole);                                                         \
        t.a += (n)*p->a_row;                                                                       \
        t.c += (n)*p->c_row;                                                                       \
        left -= (n);                                                                               \
    } while (0)
    while (left >= TILE_ROWS) {
        STEP(TILE_ROWS);
    }
    if (TILE_ROWS > 4 && left >= 4) {
        STEP(4);
    }
    if (left >= 2) {
        STEP(2);
    }
    if (left >= 1) {
        STEP(1);
    }
#undef STEP
}

void TRAIN_NAME(train_product)(const struct train_product *p)
{
    const uint32_t wide = TILE_VECTORS * LANES;

    for (uint32_t j = 0; j < p->columns; j += wide) {
        const uint32_t left = p->columns - j;
        const float *b =
            p->panel != 0 ? p->b + (j / TRAIN_PANEL) * p->panel + j % TRAIN_PANEL : p->b + j;
        for (uint32_t l = 0; l < p->lines; l++) {
            struct tile t = {p->a + (ptrdiff_t)l * p->a_line, b,
                             p->c + (ptrdiff_t)l * p->c_line + j, LANES};
            if (left >= wide) {
                line_run(p, t, TILE_VECTORS, true);
            } else if (left > LANES) {
                t.lanes = left - LANES;
                line_run(p, t, TILE_VECTORS, false);
            } else {
                t.lanes = left;
                line_run(p, t, 1, false);
            }
        }
    }
}
