/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Row accumulation and MIPI unpacking for AVX2. Eight rows are added in registers before the sums
 * are touched: else the sums, twice as wide as the samples, cost more than the samples. Tails go
 * through the C reference, so that nothing outside the named elements is touched.
 */
#include "engine/kernel/isa.h"

#include <immintrin.h>

enum { BLOCK = 8 };

/* The same place of the next block: so many rows at once are more than the processor foresees. A
 * macro, since gcc drops calls of a function that does nothing else. */
#define PREFETCH(at, distance)                                                                     \
    _mm_prefetch((const char *)((uintptr_t)(at) + (distance)), _MM_HINT_T1)

static inline __m256i load(const void *at)
{
    return _mm256_loadu_si256((const __m256i *)at);
}

static inline void store(void *at, __m256i value)
{
    _mm256_storeu_si256((__m256i *)at, value);
}

static inline __m256i widen_low(__m256i counts)
{
    return _mm256_cvtepu16_epi32(_mm256_castsi256_si128(counts));
}

static inline __m256i widen_high(__m256i counts)
{
    return _mm256_cvtepu16_epi32(_mm256_extracti128_si256(counts, 1));
}

/* n is a multiple of 16, here and below. */
static inline __attribute__((always_inline)) void block_u16(uint32_t *acc, const uint8_t *row,
                                                            size_t pitch, size_t rows, size_t n,
                                                            __m256i blacks, __m256i ranges)
{
    for (size_t i = 0; i < n; i += 16) {
        __m256i low = load(acc + i), high = load(acc + i + 8);
        for (size_t k = 0; k < rows; k++) {
            PREFETCH(row + k * pitch + 2 * i, BLOCK * pitch);
            __m256i counts = load(row + k * pitch + 2 * i);
            counts = _mm256_min_epu16(_mm256_subs_epu16(counts, blacks), ranges);
            low = _mm256_add_epi32(low, widen_low(counts));
            high = _mm256_add_epi32(high, widen_high(counts));
        }
        store(acc + i, low);
        store(acc + i + 8, high);
    }
}

void kernel_accumulate_u16_avx2(uint32_t *acc, const uint16_t *row, size_t pitch, size_t rows,
                                size_t n, uint16_t black, uint16_t range)
{
    const __m256i blacks = _mm256_set1_epi16((short)black);
    const __m256i ranges = _mm256_set1_epi16((short)range);
    const uint8_t *at = (const uint8_t *)row;
    size_t whole = n & ~(size_t)15, left = rows;

    for (; left >= BLOCK; left -= BLOCK, at += BLOCK * pitch) {
        block_u16(acc, at, pitch, BLOCK, whole, blacks, ranges);
    }
    if (left > 0) {
        block_u16(acc, at, pitch, left, whole, blacks, ranges);
    }
    kernel_accumulate_u16_c(acc + whole, row + whole, pitch, rows, n - whole, black, range);
}

/* Sums of up to 8 rows of bytes fit 16 bits. */
static inline __attribute__((always_inline)) void block_u8(uint32_t *acc, const uint8_t *row,
                                                           size_t pitch, size_t rows, size_t n,
                                                           __m128i blacks, __m128i ranges)
{
    for (size_t i = 0; i < n; i += 16) {
        __m256i sums = _mm256_setzero_si256();
        for (size_t k = 0; k < rows; k++) {
            PREFETCH(row + k * pitch + i, BLOCK * pitch);
            __m128i counts = _mm_loadu_si128((const __m128i *)(const void *)(row + k * pitch + i));
            counts = _mm_min_epu8(_mm_subs_epu8(counts, blacks), ranges);
            sums = _mm256_add_epi16(sums, _mm256_cvtepu8_epi16(counts));
        }
        store(acc + i, _mm256_add_epi32(load(acc + i), widen_low(sums)));
        store(acc + i + 8, _mm256_add_epi32(load(acc + i + 8), widen_high(sums)));
    }
}

void kernel_accumulate_u8_avx2(uint32_t *acc, const uint8_t *row, size_t pitch, size_t rows,
                               size_t n, uint8_t black, uint8_t range)
{
    const __m128i blacks = _mm_set1_epi8((char)black);
    const __m128i ranges = _mm_set1_epi8((char)range);
    const uint8_t *at = row;
    size_t whole = n & ~(size_t)15, left = rows;

    for (; left >= BLOCK; left -= BLOCK, at += BLOCK * pitch) {
        block_u8(acc, at, pitch, BLOCK, whole, blacks, ranges);
    }
    if (left > 0) {
        block_u8(acc, at, pitch, left, whole, blacks, ranges);
    }
    kernel_accumulate_u8_c(acc + whole, row + whole, pitch, rows, n - whole, black, range);
}

/* The 16 bytes at `in` and those at `in + second`, one in each half. */
static inline __m256i load_halves(const uint8_t *in, size_t second)
{
    __m128i low = _mm_loadu_si128((const __m128i *)(const void *)in);
    __m128i high = _mm_loadu_si128((const __m128i *)(const void *)(in + second));

    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

/*
 * 16 samples at a time. A sample's high byte and the byte of its group's low bits are each put into
 * a 16-bit lane; a multiplication moves the lane's own low bits to a place that is the same in all.
 */
void kernel_unpack_mipi10_avx2(uint16_t *out, const uint8_t *in, size_t groups)
{
    const __m256i highs = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, -1, 1, -1, 2, -1, 3, -1, 5, -1, 6, -1, 7, -1, 8, -1));
    const __m256i lows = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(4, -1, 4, -1, 4, -1, 4, -1, 9, -1, 9, -1, 9, -1, 9, -1));
    const __m256i moves = _mm256_set1_epi64x(0x0001000400100040); /* 64, 16, 4, 1 */
    const __m256i three = _mm256_set1_epi16(3);

    /* Four groups are 20 bytes, of which the second load starts at 10 and reads up to 26. */
    for (; groups >= 6; groups -= 4, in += 20, out += 16) {
        __m256i bytes = load_halves(in, 10);
        __m256i high = _mm256_slli_epi16(_mm256_shuffle_epi8(bytes, highs), 2);
        __m256i low = _mm256_mullo_epi16(_mm256_shuffle_epi8(bytes, lows), moves);
        low = _mm256_and_si256(_mm256_srli_epi16(low, 6), three);
        store(out, _mm256_or_si256(high, low));
    }
    kernel_unpack_mipi10_c(out, in, groups);
}

void kernel_unpack_mipi12_avx2(uint16_t *out, const uint8_t *in, size_t groups)
{
    const __m256i highs = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, -1, 1, -1, 3, -1, 4, -1, 6, -1, 7, -1, 9, -1, 10, -1));
    const __m256i lows = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(2, -1, 2, -1, 5, -1, 5, -1, 8, -1, 8, -1, 11, -1, 11, -1));
    const __m256i moves = _mm256_set1_epi32(0x00010010); /* 16, 1 */
    const __m256i fifteen = _mm256_set1_epi16(15);

    /* Eight groups are 24 bytes, of which the second load starts at 12 and reads up to 28. */
    for (; groups >= 10; groups -= 8, in += 24, out += 16) {
        __m256i bytes = load_halves(in, 12);
        __m256i high = _mm256_slli_epi16(_mm256_shuffle_epi8(bytes, highs), 4);
        __m256i low = _mm256_mullo_epi16(_mm256_shuffle_epi8(bytes, lows), moves);
        low = _mm256_and_si256(_mm256_srli_epi16(low, 4), fifteen);
        store(out, _mm256_or_si256(high, low));
    }
    kernel_unpack_mipi12_c(out, in, groups);
}
