/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Row accumulation for AVX-512. Eight rows are added in registers before the sums are touched: else
 * the sums, twice as wide as the samples, cost more than the samples. Tails are masked, so that
 * nothing outside the n elements is touched.
 */
#include "engine/kernel/isa.h"

#include <immintrin.h>

enum { BLOCK = 8 };

/* The same place of the next block: so many rows at once are more than the processor foresees. A
 * macro, since gcc drops calls of a function that does nothing else. */
#define PREFETCH(at, distance)                                                                     \
    _mm_prefetch((const char *)((uintptr_t)(at) + (distance)), _MM_HINT_T1)

static inline __mmask32 mask32(size_t left)
{
    return left >= 32 ? UINT32_MAX : (UINT32_C(1) << left) - 1;
}

static inline __mmask64 mask64(size_t left)
{
    return left >= 64 ? UINT64_MAX : (UINT64_C(1) << left) - 1;
}

static inline __m512i widen_low(__m512i counts)
{
    return _mm512_cvtepu16_epi32(_mm512_castsi512_si256(counts));
}

static inline __m512i widen_high(__m512i counts)
{
    return _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(counts, 1));
}

static inline __attribute__((always_inline)) void block_u16(uint32_t *acc, const uint8_t *row,
                                                            size_t pitch, size_t rows, size_t n,
                                                            __m512i blacks, __m512i ranges)
{
    for (size_t i = 0; i < n; i += 32) {
        __mmask32 mask = mask32(n - i);
        __mmask16 low_mask = (__mmask16)mask, high_mask = (__mmask16)(mask >> 16);
        __m512i low = _mm512_maskz_loadu_epi32(low_mask, acc + i);
        __m512i high = _mm512_maskz_loadu_epi32(high_mask, acc + i + 16);
        for (size_t k = 0; k < rows; k++) {
            PREFETCH(row + k * pitch + 2 * i, BLOCK * pitch);
            __m512i counts = _mm512_maskz_loadu_epi16(mask, row + k * pitch + 2 * i);
            counts = _mm512_min_epu16(_mm512_subs_epu16(counts, blacks), ranges);
            low = _mm512_add_epi32(low, widen_low(counts));
            high = _mm512_add_epi32(high, widen_high(counts));
        }
        _mm512_mask_storeu_epi32(acc + i, low_mask, low);
        _mm512_mask_storeu_epi32(acc + i + 16, high_mask, high);
    }
}

void kernel_accumulate_u16_avx512(uint32_t *acc, const uint16_t *row, size_t pitch, size_t rows,
                                  size_t n, uint16_t black, uint16_t range)
{
    const __m512i blacks = _mm512_set1_epi16((short)black);
    const __m512i ranges = _mm512_set1_epi16((short)range);
    const uint8_t *at = (const uint8_t *)row;

    for (; rows >= BLOCK; rows -= BLOCK, at += BLOCK * pitch) {
        block_u16(acc, at, pitch, BLOCK, n, blacks, ranges);
    }
    if (rows > 0) {
        block_u16(acc, at, pitch, rows, n, blacks, ranges);
    }
}

static inline void add_32(uint32_t *acc, __m512i counts, __mmask32 mask)
{
    __mmask16 low_mask = (__mmask16)mask, high_mask = (__mmask16)(mask >> 16);
    __m512i low = _mm512_maskz_loadu_epi32(low_mask, acc);
    __m512i high = _mm512_maskz_loadu_epi32(high_mask, acc + 16);

    _mm512_mask_storeu_epi32(acc, low_mask, _mm512_add_epi32(low, widen_low(counts)));
    _mm512_mask_storeu_epi32(acc + 16, high_mask, _mm512_add_epi32(high, widen_high(counts)));
}

/* Sums of up to 8 rows of bytes fit 16 bits. */
static inline __attribute__((always_inline)) void block_u8(uint32_t *acc, const uint8_t *row,
                                                           size_t pitch, size_t rows, size_t n,
                                                           __m512i blacks, __m512i ranges)
{
    for (size_t i = 0; i < n; i += 64) {
        __mmask64 mask = mask64(n - i);
        __m512i low = _mm512_setzero_si512(), high = _mm512_setzero_si512();
        for (size_t k = 0; k < rows; k++) {
            PREFETCH(row + k * pitch + i, BLOCK * pitch);
            __m512i counts = _mm512_maskz_loadu_epi8(mask, row + k * pitch + i);
            counts = _mm512_min_epu8(_mm512_subs_epu8(counts, blacks), ranges);
            low = _mm512_add_epi16(low, _mm512_cvtepu8_epi16(_mm512_castsi512_si256(counts)));
            high =
                _mm512_add_epi16(high, _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(counts, 1)));
        }
        add_32(acc + i, low, (__mmask32)mask);
        if (n - i > 32) {
            add_32(acc + i + 32, high, (__mmask32)(mask >> 32));
        }
    }
}

void kernel_accumulate_u8_avx512(uint32_t *acc, const uint8_t *row, size_t pitch, size_t rows,
                                 size_t n, uint8_t black, uint8_t range)
{
    const __m512i blacks = _mm512_set1_epi8((char)black);
    const __m512i ranges = _mm512_set1_epi8((char)range);

    for (; rows >= BLOCK; rows -= BLOCK, row += BLOCK * pitch) {
        block_u8(acc, row, pitch, BLOCK, n, blacks, ranges);
    }
    if (rows > 0) {
        block_u8(acc, row, pitch, rows, n, blacks, ranges);
    }
}
