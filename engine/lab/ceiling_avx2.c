/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See ceiling.h. vpmaddubsw, vpmaddwd, vpaddd: 32 multiply-adds in three instructions. */
#include <immintrin.h>

#include "engine/lab/ceiling.h"

enum { PIXELS = 4, VECTORS = 2 };

static int32_t total(__m256i sum)
{
    int32_t lanes[8], all = 0;

    _mm256_storeu_si256((__m256i *)(void *)lanes, sum);
    for (int i = 0; i < 8; i++) {
        all += lanes[i];
    }
    return all;
}

uint64_t ceiling_avx2(const int8_t *weights, size_t bytes, unsigned repeats, int32_t *sink)
{
    const __m256i ones = _mm256_set1_epi16(1);
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
                    __m256i products = _mm256_maddubs_epi16(codes[i], weight);
                    sum[i][v] = _mm256_add_epi32(sum[i][v], _mm256_madd_epi16(products, ones));
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
