/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The product of ops.h, in tiles of TILE_ROWS x TILE_VECTORS accumulators. Built three times
 * per instruction set: as train_product_ISA, with TRAIN_PAIRS as train_product_pairs_ISA, and with
 * TRAIN_SIGNS, whose accumulators count bits as integers, as train_product_signs_ISA.
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

#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
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

#if defined(TRAIN_SIGNS)
static inline __m512i count(__m512i x)
{
#if defined(__AVX512VPOPCNTDQ__)
    return _mm512_popcnt_epi32(x);
#else
    const __m512i nibble = _mm512_set1_epi8(15);
    const __m512i bits =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const __m512i bytes = _mm512_add_epi8(
        _mm512_shuffle_epi8(bits, _mm512_and_si512(x, nibble)),
        _mm512_shuffle_epi8(bits, _mm512_and_si512(_mm512_srli_epi16(x, 4), nibble)));

    return _mm512_madd_epi16(_mm512_maddubs_epi16(bytes, _mm512_set1_epi8(1)),
                             _mm512_set1_epi16(1));
#endif
}

static inline vector multiply_add(vector a, vector b, vector c)
{
    const __m512i unequal = _mm512_xor_si512(_mm512_castps_si512(a), _mm512_castps_si512(b));

    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(c), count(unequal)));
}

static inline vector sum_of(vector unequal, float terms)
{
    return _mm512_fnmadd_ps(_mm512_set1_ps(2.0f), _mm512_cvtepi32_ps(_mm512_castps_si512(unequal)),
                            _mm512_set1_ps(terms));
}
#elif !defined(TRAIN_PAIRS)
static inline vector multiply_add(vector a, vector b, vector c)
{
    return _mm512_fmadd_ps(a, b, c);
}
#elif defined(__AVX512BF16__)
static inline vector multiply_add(vector a, vector b, vector c)
{
    return _mm512_dpbf16_ps(c, (__m512bh)a, (__m512bh)b);
}
#else
static inline vector low(vector x)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(x), 16));
}

static inline vector high(vector x)
{
    return _mm512_castsi512_ps(
        _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32((int)0xffff0000u)));
}

static inline vector multiply_add(vector a, vector b, vector c)
{
    return _mm512_fmadd_ps(high(a), high(b), _mm512_fmadd_ps(low(a), low(b), c));
}
#endif

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

#if defined(TRAIN_SIGNS)
static inline vector multiply_add(vector a, vector b, vector c)
{
    const __m256i nibble = _mm256_set1_epi8(15);
    const __m256i bits =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const __m256i x = _mm256_xor_si256(_mm256_castps_si256(a), _mm256_castps_si256(b));
    const __m256i bytes = _mm256_add_epi8(
        _mm256_shuffle_epi8(bits, _mm256_and_si256(x, nibble)),
        _mm256_shuffle_epi8(bits, _mm256_and_si256(_mm256_srli_epi16(x, 4), nibble)));
    const __m256i counts =
        _mm256_madd_epi16(_mm256_maddubs_epi16(bytes, _mm256_set1_epi8(1)), _mm256_set1_epi16(1));

    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(c), counts));
}

static inline vector sum_of(vector unequal, float terms)
{
    return _mm256_fnmadd_ps(_mm256_set1_ps(2.0f), _mm256_cvtepi32_ps(_mm256_castps_si256(unequal)),
                            _mm256_set1_ps(terms));
}
#elif !defined(TRAIN_PAIRS)
static inline vector multiply_add(vector a, vector b, vector c)
{
    return _mm256_fmadd_ps(a, b, c);
}
#else
static inline vector low(vector x)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(x), 16));
}

static inline vector high(vector x)
{
    return _mm256_castsi256_ps(
        _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32((int)0xffff0000u)));
}

static inline vector multiply_add(vector a, vector b, vector c)
{
    return _mm256_fmadd_ps(high(a), high(b), _mm256_fmadd_ps(low(a), low(b), c));
}
#endif

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
    vector x = {0.0f};

    memcpy(&x, p, lanes * sizeof(*p));
    return x;
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

typedef uint32_t word __attribute__((vector_size(16)));

#if defined(TRAIN_SIGNS)
static inline vector multiply_add(vector a, vector b, vector c)
{
    word x = (word)a ^ (word)b;

    x -= x >> 1 & 0x55555555u;
    x = (x & 0x33333333u) + (x >> 2 & 0x33333333u);
    x = (x + (x >> 4)) & 0x0f0f0f0fu;
    return (vector)((word)c + (x * 0x01010101u >> 24));
}

static inline vector sum_of(vector unequal, float terms)
{
    const word n = (word)unequal;

    return terms - 2.0f * (vector){(float)n[0], (float)n[1], (float)n[2], (float)n[3]};
}
#elif !defined(TRAIN_PAIRS)
static inline vector multiply_add(vector a, vector b, vector c)
{
    return a * b + c;
}
#else
static inline vector multiply_add(vector a, vector b, vector c)
{
    const vector low = (vector)((word)a << 16) * (vector)((word)b << 16);

    return (vector)((word)a & 0xffff0000u) * (vector)((word)b & 0xffff0000u) + (low + c);
}
#endif

#endif

/* What `from` holds, whatever its type: a float, or a pair as the bits of one. */
static inline float element(const float *from)
{
    float x;

    memcpy(&x, from, sizeof(x));
    return x;
}

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
                vector x = spread(element(a + (ptrdiff_t)i * a_row));
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
#if defined(TRAIN_SIGNS)
            sum[i][v] = sum_of(sum[i][v], 32.0f * (float)(p->outer * p->inner));
#endif
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

#if defined(TRAIN_SIGNS)
void TRAIN_NAME(train_product_signs)(const struct train_product *p)
#elif defined(TRAIN_PAIRS)
void TRAIN_NAME(train_product_pairs)(const struct train_product *p)
#else
void TRAIN_NAME(train_product)(const struct train_product *p)
#endif
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
