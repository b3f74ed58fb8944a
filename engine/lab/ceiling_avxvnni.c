/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See ceiling.h. vpdpbusd: 32 multiply-adds an instruction, in the coding of AVX-VNNI or, for a
 * processor that has only that one, of AVX-512 (KERNEL_CONV_EVEX). */
#include <immintrin.h>

#include "engine/lab/ceiling.h"

#if defined(KERNEL_CONV_EVEX)
#define NAME                  ceiling_evex
#define DOT(sum, codes, four) _mm256_dpbusd_epi32(sum, codes, four)
#else
#define NAME                  ceiling_avxvnni
#define DOT(sum, codes, four) _mm256_dpbusd_avx_epi32(sum, codes, four)
#endif

enum { PIXELS = 6, VECTORS = 2 };

static int32_t total(__m256i sum)
{
    int32_t lanes[8], all = 0;

    _mm256_storeu_si256((__m256i *)(void *)lanes, sum);
    for (int i = 0; i < 8; i++) {
        all += lanes[i];
    }
    return all;
}

uint64_t NAME(const int8_t *weights, size_t bytes, unsigned repeats, int32_t *sink)
{
    __m256i codes[PIXELS], sum[PIXELS][VECTORS];

    for (int i = 0; i < PIXELS; i++) {
        codes[i] = _mm256_set1_epi32(0x01020304 + i);
        for (int v = 0; v < VECTORS; v++) {
            sum[i][v] = _mm256_setzero_si256();
        }
    }
    for (unsigned repeat = 0; repeat < repeats; repeat++) {
        for (size_t at = 0; at < bytes; at += VECTORS * 32) {
            for (int v = 0; v < VECTORS; v++) {
                __m256i weight =
                    _mm256_load_si256((const __m256i *)(const void *)(weights + at + v * 32));
                for (int i = 0; i < PIXELS; i++) {
                    sum[i][v] = DOT(sum[i][v], codes[i], weight);
                }
            }
        }
    }
    for (int i = 0; i < PIXELS; i++) {
        for (int v = 0; v < VECTORS; v++) {
            *sink += total(sum[i][v]);
        }
    }
    return (uint64_t)repeats * bytes * PIXELS * 2;
}
