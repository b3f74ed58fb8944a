/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See ceiling.h. vpdpbusd: 64 multiply-adds an instruction. */
#include <immintrin.h>

#include "engine/lab/ceiling.h"

enum { PIXELS = 4, VECTORS = 4 };

uint64_t ceiling_avx512vnni(const int8_t *weights, size_t bytes, unsigned repeats, int32_t *sink)
{
    __m512i codes[PIXELS], sum[PIXELS][VECTORS];

    for (int i = 0; i < PIXELS; i++) {
        codes[i] = _mm512_set1_epi32(0x01020304 + i);
        for (int v = 0; v < VECTORS; v++) {
            sum[i][v] = _mm512_setzero_si512();
        }
    }
    for (unsigned repeat = 0; repeat < repeats; repeat++) {
        for (size_t at = 0; at < bytes; at += VECTORS * 64) {
            for (int v = 0; v < VECTORS; v++) {
                __m512i weight = _mm512_load_si512(weights + at + v * 64);
                for (int i = 0; i < PIXELS; i++) {
                    sum[i][v] = _mm512_dpbusd_epi32(sum[i][v], codes[i], weight);
                }
            }
        }
    }
    for (int i = 0; i < PIXELS; i++) {
        for (int v = 0; v < VECTORS; v++) {
            *sink += _mm512_reduce_add_epi32(sum[i][v]);
        }
    }
    return (uint64_t)repeats * bytes * PIXELS * 2;
}
