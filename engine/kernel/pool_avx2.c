/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Pooling and addition of u7 maps with AVX2. Channels are pooled in vectors, of which the last may
 * hold some that were done before; maps of few channels are left to the reference.
 */
#include <immintrin.h>

#include "engine/kernel/isa.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { SUMS_MOST = 512 }; /* codes whose sum fits 16 bits */

/* 8, 16 or 32 codes. */
ALWAYS_INLINE __m256i load(const uint8_t *from, uint32_t bytes)
{
    const void *at = from;

    return bytes == 32   ? _mm256_loadu_si256(at)
           : bytes == 16 ? _mm256_castsi128_si256(_mm_loadu_si128(at))
                         : _mm256_castsi128_si256(_mm_loadl_epi64(at));
}

ALWAYS_INLINE void store(__m256i codes, uint8_t *to, uint32_t bytes)
{
    void *at = to;

    if (bytes == 32) {
        _mm256_storeu_si256(at, codes);
    } else if (bytes == 16) {
        _mm_storeu_si128(at, _mm256_castsi256_si128(codes));
    } else {
        _mm_storel_epi64(at, _mm256_castsi256_si128(codes));
    }
}

ALWAYS_INLINE __m256i largest(const struct kernel_pool *pool, const uint8_t *in, uint32_t bytes)
{
    __m256i best = _mm256_setzero_si256();

    for (uint32_t ky = 0; ky < pool->window_h; ky++, in += pool->in_row) {
        const uint8_t *from = in;

        for (uint32_t kx = 0; kx < pool->window_w; kx++, from += pool->channels) {
            best = _mm256_max_epu8(best, load(from, bytes));
        }
    }
    return best;
}

ALWAYS_INLINE void max_rows(const struct kernel_pool *pool, const uint8_t *in, uint8_t *out,
                            uint32_t bytes)
{
    for (uint32_t y = 0; y < pool->out_h; y++, out += pool->out_row) {
        const uint8_t *corner = in + (size_t)y * pool->stride_y * pool->in_row;
        uint8_t *to = out;

        for (uint32_t x = 0; x < pool->out_w; x++, to += pool->channels) {
            for (uint32_t i = 0; i < pool->channels; i += bytes) {
                const uint32_t c = i + bytes <= pool->channels ? i : pool->channels - bytes;

                store(largest(pool, corner + c, bytes), to + c, bytes);
            }
            corner += (size_t)pool->stride_x * pool->channels;
        }
    }
}

void kernel_pool_max_u7_avx2(const struct kernel_pool *pool, const uint8_t *in, uint8_t *out)
{
    if (pool->channels >= 32) {
        max_rows(pool, in, out, 32);
    } else if (pool->channels >= 16) {
        max_rows(pool, in, out, 16);
    } else if (pool->channels >= 8) {
        max_rows(pool, in, out, 8);
    } else {
        kernel_pool_max_u7_c(pool, in, out);
    }
}

/*
 * x / (2 n) is (x * factor) >> shift for all x that occur: with d = 2 n, 2^l <= d < 2^(l + 1) and
 * shift = 31 + l the factor ceil(2^shift / d) is at most 2^31, and the product is off by less than
 * x <= 255 n < 2^shift / d * d / d, too little to reach the next quotient.
 */
struct division {
    __m256i factor;
    __m128i shift;
    __m256i count;
};

static struct division division_by(uint32_t count)
{
    const uint64_t divisor = 2 * (uint64_t)count;
    uint32_t shift = 31;

    while (divisor >> (shift - 31 + 1) != 0) {
        shift++;
    }
    return (struct division){
        .factor = _mm256_set1_epi32(
            (int32_t)(uint32_t)(((UINT64_C(1) << shift) + divisor - 1) / divisor)),
        .shift = _mm_cvtsi32_si128((int)shift),
        .count = _mm256_set1_epi32((int32_t)count),
    };
}

/* The means of eight sums. */
ALWAYS_INLINE __m256i mean(const struct division *by, __m256i sums)
{
    const __m256i x = _mm256_add_epi32(_mm256_slli_epi32(sums, 1), by->count);
    const __m256i even = _mm256_srl_epi64(_mm256_mul_epu32(x, by->factor), by->shift);
    const __m256i odd =
        _mm256_srl_epi64(_mm256_mul_epu32(_mm256_srli_epi64(x, 32), by->factor), by->shift);

    return _mm256_or_si256(even, _mm256_slli_epi64(odd, 32));
}

/* 16 channels of one window. */
ALWAYS_INLINE __m128i means(const struct kernel_pool *pool, const struct division *by,
                            const uint8_t *in, uint32_t bytes)
{
    __m256i low = _mm256_setzero_si256(), high = low, sums = low;
    uint32_t held = 0;

    for (uint32_t ky = 0; ky < pool->window_h; ky++, in += pool->in_row) {
        const uint8_t *from = in;

        for (uint32_t kx = 0; kx < pool->window_w; kx++, from += pool->channels) {
            const __m128i codes = _mm256_castsi256_si128(load(from, bytes));

            sums = _mm256_add_epi16(sums, _mm256_cvtepu8_epi16(codes));
            if (++held == SUMS_MOST) {
                low = _mm256_add_epi32(low, _mm256_cvtepu16_epi32(_mm256_castsi256_si128(sums)));
                high = _mm256_add_epi32(high,
                                        _mm256_cvtepu16_epi32(_mm256_extracti128_si256(sums, 1)));
                sums = _mm256_setzero_si256();
                held = 0;
            }
        }
    }
    low = _mm256_add_epi32(low, _mm256_cvtepu16_epi32(_mm256_castsi256_si128(sums)));
    high = _mm256_add_epi32(high, _mm256_cvtepu16_epi32(_mm256_extracti128_si256(sums, 1)));
    __m256i pairs = _mm256_packus_epi32(mean(by, low), mean(by, high));
    pairs = _mm256_permute4x64_epi64(pairs, 0xd8);
    return _mm_packus_epi16(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
}

ALWAYS_INLINE void mean_rows(const struct kernel_pool *pool, const uint8_t *in, uint8_t *out,
                             uint32_t bytes)
{
    const struct division by = division_by(pool->window_h * pool->window_w);

    for (uint32_t y = 0; y < pool->out_h; y++, out += pool->out_row) {
        const uint8_t *corner = in + (size_t)y * pool->stride_y * pool->in_row;
        uint8_t *to = out;

        for (uint32_t x = 0; x < pool->out_w; x++, to += pool->channels) {
            for (uint32_t i = 0; i < pool->channels; i += bytes) {
                const uint32_t c = i + bytes <= pool->channels ? i : pool->channels - bytes;

                store(_mm256_castsi128_si256(means(pool, &by, corner + c, bytes)), to + c, bytes);
            }
            corner += (size_t)pool->stride_x * pool->channels;
        }
    }
}

void kernel_pool_mean_u7_avx2(const struct kernel_pool *pool, const uint8_t *in, uint8_t *out)
{
    if (pool->channels >= 16) {
        mean_rows(pool, in, out, 16);
    } else if (pool->channels >= 8) {
        mean_rows(pool, in, out, 8);
    } else {
        kernel_pool_mean_u7_c(pool, in, out);
    }
}

/* Multipliers have 16 bits without a sign: halves and lowest bits are multiplied apart. */
struct scale {
    __m256i halves, lowest, half;
    __m128i shift;
};

ALWAYS_INLINE __m256i scaled(const struct scale *scale, __m256i pairs)
{
    const __m256i large = _mm256_madd_epi16(_mm256_add_epi16(pairs, pairs), scale->halves);
    const __m256i small = _mm256_madd_epi16(pairs, scale->lowest);

    return _mm256_srl_epi32(_mm256_add_epi32(_mm256_add_epi32(large, small), scale->half),
                            scale->shift);
}

ALWAYS_INLINE void add_row(const struct scale *scale, const uint8_t *a, const uint8_t *b,
                           uint8_t *out, size_t width)
{
    for (size_t x = 0; x + 16 <= width; x += 16) {
        const __m256i va = _mm256_cvtepu8_epi16(_mm256_castsi256_si128(load(a + x, 16)));
        const __m256i vb = _mm256_cvtepu8_epi16(_mm256_castsi256_si128(load(b + x, 16)));
        __m256i sums = _mm256_packs_epi32(scaled(scale, _mm256_unpacklo_epi16(va, vb)),
                                          scaled(scale, _mm256_unpackhi_epi16(va, vb)));

        sums = _mm256_permute4x64_epi64(_mm256_packus_epi16(sums, sums), 0x08);
        store(_mm256_min_epu8(sums, _mm256_set1_epi8(127)), out + x, 16);
    }
}

void kernel_pool_add_u7_avx2(const struct kernel_add *add, const uint8_t *a, const uint8_t *b,
                             uint8_t *out)
{
    const struct scale scale = {
        .halves = _mm256_set1_epi32((int32_t)(add->mult[0] >> 1 | add->mult[1] >> 1 << 16)),
        .lowest = _mm256_set1_epi32((int32_t)((add->mult[0] & 1) | (add->mult[1] & 1) << 16)),
        .half = _mm256_set1_epi32((int32_t)(1u << (add->shift - 1))),
        .shift = _mm_cvtsi32_si128((int)add->shift),
    };
    const uint32_t done = add->width & ~15u;
    struct kernel_add rest = *add;

    for (uint32_t y = 0; y < add->height; y++) {
        add_row(&scale, a + y * add->a_row, b + y * add->b_row, out + y * add->out_row, add->width);
    }
    rest.width -= done;
    kernel_pool_add_u7_c(&rest, a + done, b + done, out + done);
}
