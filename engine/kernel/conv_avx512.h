/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * From int32 sums to results, in vectors of 16 channels: what the convolutions with AVX-512 VNNI
 * and with AMX have in common. Only for these two files; it needs F, BW, VL and DQ.
 */
#ifndef OCELLUS_ENGINE_KERNEL_CONV_AVX512_H
#define OCELLUS_ENGINE_KERNEL_CONV_AVX512_H

#include <immintrin.h>

#include "engine/kernel/isa.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { LANES = 16 };

/* One block of channels at work: where its weights are and where its results go. */
struct block {
    const struct kernel_conv *conv;
    const int32_t *bias;
    const void *parameter; /* see the head in isa.h */
    const int8_t *weights;
    uint32_t first, left, width; /* channels; width with those beyond the last */
    int paired;                  /* put_pair serves it, otherwise put */
    __m512i codes;               /* the first eight words */
};

/* codes[n] of the n thresholds that each t reaches. */
ALWAYS_INLINE __m512i codes_of(const struct block *block, __m512i t, uint32_t vector)
{
    const __m512i one = _mm512_set1_epi32(1);
    const int32_t *threshold = (const int32_t *)block->parameter + vector * LANES;
    __m512i n = _mm512_setzero_si512();

    for (uint32_t i = 0; i < block->conv->levels; i++, threshold += block->width) {
        __mmask16 reached = _mm512_cmpge_epi32_mask(t, _mm512_load_si512(threshold));
        n = _mm512_mask_add_epi32(n, reached, n, one);
    }
    return _mm512_permutexvar_epi32(n, block->codes);
}

ALWAYS_INLINE void put(const struct block *block, __m512i sum, uint32_t vector, void *out,
                       size_t at)
{
    uint32_t left = block->left - vector * LANES;
    __mmask16 mask = left >= LANES ? (__mmask16)0xffff : (__mmask16)((1u << left) - 1);

    at += block->first + vector * LANES;
    if (block->conv->output == KERNEL_CONV_SUMS) {
        _mm512_mask_storeu_epi32((int32_t *)out + at, mask, sum);
    } else {
        _mm512_mask_cvtepi32_storeu_epi8((uint8_t *)out + at, mask, codes_of(block, sum, vector));
    }
}

/* Twice the requantised sums, before the half is added that rounds them; of each four neighbours
 * the first, third, second and fourth. The word behind mult's last may be anything. */
ALWAYS_INLINE __m512i scaled(const struct kernel_conv *conv, __m512i t, const int32_t *mult)
{
    /* Shifts by vectors: those by a count take turns with the multiplications on Zen 4. */
    t = _mm512_sllv_epi32(t, _mm512_set1_epi32((int32_t)conv->preshift));
    const __m512i even = _mm512_mul_epi32(t, _mm512_load_si512(mult));
    const __m512i odd = _mm512_mul_epi32(_mm512_srli_epi64(t, 32), _mm512_loadu_si512(mult + 1));
    const __m512i high = _mm512_castps_si512(
        _mm512_shuffle_ps(_mm512_castsi512_ps(even), _mm512_castsi512_ps(odd), 0xdd));
    return _mm512_srav_epi32(high, _mm512_set1_epi32((int32_t)conv->shift - 1));
}

/* Requantisation. What 16 bits cannot hold is below 0 or above 127 in any case. */
ALWAYS_INLINE __m256i pair_of_u7(const struct block *block, __m512i low, __m512i high,
                                 uint32_t vector)
{
    const __m256i fours = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);
    const __m256i order = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15));
    const int32_t *mult = (const int32_t *)block->parameter + vector * LANES;
    const int32_t *next = mult + ((vector + 1) * LANES < block->width ? LANES : 0);
    const __m512i twice =
        _mm512_packus_epi32(scaled(block->conv, low, mult), scaled(block->conv, high, next));
    __m256i bytes = _mm512_cvtusepi16_epi8(_mm512_avg_epu16(twice, _mm512_setzero_si512()));
    bytes = _mm256_min_epu8(bytes, _mm256_set1_epi8(127));
    return _mm256_shuffle_epi8(_mm256_permutevar8x32_epi32(bytes, fours), order);
}

/* Codes by thresholds that are narrow. */
ALWAYS_INLINE __m256i pair_of_codes(const struct block *block, __m512i low, __m512i high,
                                    uint32_t vector)
{
    const __m512i one = _mm512_set1_epi16(1);
    const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    const int16_t *threshold = (const int16_t *)block->parameter + vector * LANES;
    const uint32_t levels = block->conv->levels;
    const __m512i t = _mm512_permutexvar_epi64(order, _mm512_packs_epi32(low, high));
    __m512i n = _mm512_setzero_si512();

    if (levels == KERNEL_CONV_LEVELS_MAX) { /* the middle one decides which three are left */
        const __mmask32 upper =
            _mm512_cmpge_epi16_mask(t, _mm512_loadu_si512(threshold + 3 * (size_t)block->width));
        n = _mm512_maskz_set1_epi16(upper, 4);
        for (uint32_t i = 0; i < 3; i++, threshold += block->width) {
            __m512i rest = _mm512_loadu_si512(threshold);
            rest = _mm512_mask_loadu_epi16(rest, upper, threshold + 4 * (size_t)block->width);
            n = _mm512_mask_add_epi16(n, _mm512_cmpge_epi16_mask(t, rest), n, one);
        }
    } else {
        for (uint32_t i = 0; i < levels; i++, threshold += block->width) {
            __mmask32 reached = _mm512_cmpge_epi16_mask(t, _mm512_loadu_si512(threshold));
            n = _mm512_mask_add_epi16(n, reached, n, one);
        }
    }
    const __m256i codes =
        _mm256_broadcastq_epi64(_mm_loadl_epi64((const void *)block->conv->codes));
    return _mm256_shuffle_epi8(codes, _mm512_cvtepi16_epi8(n));
}

/* As put for two vectors at once; of a block of one vector `high` is without meaning and not
 * written. */
ALWAYS_INLINE void put_pair(const struct block *block, __m512i low, __m512i high, uint32_t vector,
                            uint8_t *out, size_t at)
{
    const uint32_t left = block->left - vector * LANES;
    const __m256i bytes = block->conv->output == KERNEL_CONV_U7
                              ? pair_of_u7(block, low, high, vector)
                              : pair_of_codes(block, low, high, vector);

    out += at + block->first + vector * LANES;
    if (left >= 2 * LANES) {
        _mm256_storeu_si256((__m256i *)(void *)out, bytes);
    } else {
        _mm256_mask_storeu_epi8(out, (1u << left) - 1, bytes);
    }
}

/* The block of `width` channels from `first` on that is packed at `packed`. */
ALWAYS_INLINE struct block block_at(const struct kernel_conv *conv, const int8_t *packed,
                                    uint32_t first, uint32_t width)
{
    const int32_t *head = (const int32_t *)(const void *)packed;

    return (struct block){
        .conv = conv,
        .bias = head,
        .parameter = head + width,
        .weights = packed + kernel_conv_head_bytes(conv, width),
        .first = first,
        .left = conv->out_c - first,
        .width = width,
        .paired = conv->output == KERNEL_CONV_U7 ||
                  (conv->output == KERNEL_CONV_CODES && head[(1 + conv->levels) * width] != 0),
        .codes = _mm512_cvtepu8_epi32(_mm_loadl_epi64((const void *)conv->codes)),
    };
}

#endif
