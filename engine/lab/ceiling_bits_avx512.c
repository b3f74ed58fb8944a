/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See ceiling_bits.h. vpxorq, vpopcntq, vpaddq: 512 bits in three instructions. */
#include <immintrin.h>

#include "engine/lab/ceiling_bits.h"

enum { PIXELS = 4, VECTORS = 4 };

uint64_t ceiling_bits_avx512(const void *weights, size_t bytes, unsigned repeats, uint64_t *sink)
{
    __m512i pixel[PIXELS], sum[PIXELS][VECTORS];

    bytes -= bytes % (64 * VECTORS);
    for (int i = 0; i < PIXELS; i++) {
        pixel[i] = _mm512_set1_epi64(0x0123456789abcdef + i);
        for (int v = 0; v < VECTORS; v++) {
            sum[i][v] = _mm512_setzero_si512();
        }
    }
    for (unsigned repeat = 0; repeat < repeats; repeat++) {
        for (size_t at = 0; at < bytes; at += 64 * VECTORS) {
            for (int v = 0; v < VECTORS; v++) {
                __m512i weight = _mm512_load_si512((const uint8_t *)weights + at + 64 * v);
                for (int i = 0; i < PIXELS; i++) {
                    __m512i differ = _mm512_xor_si512(pixel[i], weight);
                    sum[i][v] = _mm512_add_epi64(sum[i][v], _mm512_popcnt_epi64(differ));
                }
            }
        }
    }
    for (int i = 0; i < PIXELS * VECTORS; i++) {
        *sink += (uint64_t)_mm512_reduce_add_epi64(sum[i / VECTORS][i % VECTORS]);
    }
    return (uint64_t)repeats * bytes * 8 * PIXELS * 2;
}
