/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Bit convolutions with AVX-512 and VPOPCNTDQ of ternary patches that are one word, to bits: with
 * so little to count for a result all weights of a block stay in registers, and pixels are taken as
 * they come. The packing is that of bits_avx512.c, which also tells how counts become bits.
 */
#include <immintrin.h>

#include "engine/kernel/bits_avx512.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { HALVES = 2, PASSES = 2 };

/* One block of channels of a convolution. */
struct block {
    const struct kernel_bits_conv *conv;
    const uint64_t *signs, *nonzero;
    const int32_t *limits;
    const uint32_t *weights;
    uint64_t *out;
    size_t out_row;
};

ALWAYS_INLINE __m512i half_of(const uint64_t *word, uint32_t half)
{
    return _mm512_broadcastd_epi32(_mm_loadu_si32((const uint8_t *)word + (size_t)half * 4));
}

/* The bits of one patch. */
ALWAYS_INLINE uint64_t bits_of(__m512i weights[PASSES][HALVES][VECTORS], const int32_t *limits,
                               const uint64_t *signs, const uint64_t *nonzero, uint32_t vectors,
                               uint32_t passes)
{
    const uint32_t some = (uint32_t)__builtin_popcountll(*nonzero);
    const uint32_t shift = passes == 1 ? 1 : 0;
    const __m512i base = _mm512_set1_epi32((int32_t)(some >> shift));
    __mmask16 bits[VECTORS] = {0};

    limits += (size_t)(some & shift) * vectors * LANES;
    for (uint32_t v = 0; v < vectors; v++) {
        __m512i count = _mm512_sub_epi32(_mm512_setzero_si512(), base);

        for (uint32_t i = 0; i < passes * HALVES; i++) {
            const uint32_t half = i % HALVES;
            const __m512i differ =
                _mm512_xor_si512(half_of(signs, half), weights[i / HALVES][half][v]);
            const __m512i counted = _mm512_and_si512(differ, half_of(nonzero, half));

            count = _mm512_add_epi32(count, _mm512_popcnt_epi32(counted));
        }
        bits[v] = _mm512_cmple_epi32_mask(count, _mm512_load_si512(limits + v * LANES));
    }
    if (vectors == 4) {
        return _mm512_kunpackd(_mm512_kunpackw(bits[3], bits[2]),
                               _mm512_kunpackw(bits[1], bits[0]));
    }
    return vectors == 2 ? _mm512_kunpackw(bits[1], bits[0]) : bits[0];
}

ALWAYS_INLINE void run_block(const struct block *block, uint32_t vectors, uint32_t passes,
                             uint32_t pool)
{
    const struct kernel_bits_conv *conv = block->conv;
    const size_t right = conv->stride_x, down = (size_t)conv->stride_y * conv->in_row;
    const size_t to_x = (conv->out_c + 63) / 64;
    __m512i weights[PASSES][HALVES][VECTORS];

    for (uint32_t i = 0; i < passes * HALVES * vectors; i++) {
        const uint32_t pass = i / vectors / HALVES, half = i / vectors % HALVES;

        /* Without channels in the second half there are no weights for it, nor bits. */
        weights[pass][half][i % vectors] = _mm512_setzero_si512();
        if (half < halves(conv->in_c)) {
            weights[pass][half][i % vectors] = _mm512_load_si512(
                block->weights +
                ((size_t)(pass * halves(conv->in_c) + half) * vectors + i % vectors) * LANES);
        }
    }
    for (uint32_t y = 0; y < conv->out_h; y++) {
        const uint64_t *signs = block->signs + y * pool * down;
        const uint64_t *nonzero = block->nonzero + y * pool * down;
        uint64_t *out = block->out + y * block->out_row;

        for (uint32_t x = 0; x < conv->out_w; x++, out += to_x) {
            uint64_t any = 0;

            for (uint32_t part = 0; part < pool * pool; part++) {
                const size_t at = part / 2 * down + part % 2 * right;

                any |= bits_of(weights, block->limits, signs + at, nonzero + at, vectors, passes);
            }
            *out = any;
            signs += pool * right;
            nonzero += pool * right;
        }
    }
}

#define RUN_BLOCK(vectors, passes)                                                                 \
    static void run_block_##vectors##_##passes(const struct block *block)                          \
    {                                                                                              \
        if (block->conv->pool == 2) {                                                              \
            run_block(block, vectors, passes, 2);                                                  \
        } else {                                                                                   \
            run_block(block, vectors, passes, 1);                                                  \
        }                                                                                          \
    }
RUN_BLOCK(4, 1)
RUN_BLOCK(4, 2)
RUN_BLOCK(2, 1)
RUN_BLOCK(2, 2)
RUN_BLOCK(1, 1)
RUN_BLOCK(1, 2)

void kernel_bits_word_run_avx512(const struct kernel_bits_conv *conv, const void *packed,
                                 const uint64_t *signs, const uint64_t *nonzero, uint64_t *out,
                                 size_t out_row)
{
    static void (*const functions[3][2])(const struct block *) = {{run_block_1_1, run_block_1_2},
                                                                  {run_block_2_1, run_block_2_2},
                                                                  {run_block_4_1, run_block_4_2}};
    const uint8_t *at = packed;

    for (uint32_t first = 0; first < conv->out_c;) {
        const uint32_t vectors = block_vectors(conv, first);
        const struct block block = {
            .conv = conv,
            .signs = signs,
            .nonzero = nonzero,
            .limits = (const int32_t *)(const void *)at,
            .weights = (const uint32_t *)(const void *)at + (size_t)2 * vectors * LANES,
            .out = out + first / 64,
            .out_row = out_row,
        };

        functions[vectors / 2][conv->ternary_weights != 0](&block);
        at += block_bytes(conv, vectors);
        first += vectors * LANES;
    }
}
