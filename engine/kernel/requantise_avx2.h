/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The requantisation of kernel.h for eight sums at once. Only for files that are built for AVX2 and
 * what stands on it.
 */
#ifndef OCELLUS_ENGINE_KERNEL_REQUANTISE_AVX2_H
#define OCELLUS_ENGINE_KERNEL_REQUANTISE_AVX2_H

#include <immintrin.h>
#include <stdint.h>

/* The same for all values of a map. */
struct requantise {
    __m128i preshift, shift;
    __m256i half;
};

static inline __attribute__((always_inline)) struct requantise requantise_init(uint32_t preshift,
                                                                               uint32_t shift)
{
    return (struct requantise){
        .preshift = _mm_cvtsi32_si128((int)preshift),
        .shift = _mm_cvtsi32_si128((int)shift),
        .half = _mm256_set1_epi32((int32_t)(1u << (shift - 1))),
    };
}

/* Not yet held to [0, 127]. odd_mult: mult >> 32 in each half. */
static inline __attribute__((always_inline)) __m256i
requantise(const struct requantise *of, __m256i t, __m256i mult, __m256i odd_mult)
{
    t = _mm256_sll_epi32(t, of->preshift);
    const __m256i even = _mm256_srli_epi64(_mm256_mul_epi32(t, mult), 32);
    const __m256i odd = _mm256_mul_epi32(_mm256_srli_epi64(t, 32), odd_mult);
    const __m256i high = _mm256_blend_epi32(even, odd, 0xaa);

    return _mm256_sra_epi32(_mm256_add_epi32(high, of->half), of->shift);
}

#endif
