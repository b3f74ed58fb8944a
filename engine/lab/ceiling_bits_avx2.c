/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See ceiling_bits.h. vpxor, two vpshufb that count the bits of nibbles, byte sums. */
#include <immintrin.h>

#include "engine/lab/ceiling_bits.h"

enum { PIXELS = 2, VECTORS = 4 };

uint64_t ceiling_bits_avx2(const void *weights, size_t bytes, unsigned repeats, uint64_t *sink)
{
    const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1,
                                            2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i low = _mm256_set1_epi8(15);
    __m256i pixel[PIXELS], sum[PIXELS][VECTORS], total = _mm256_setzero_si256();

    bytes -= bytes % (32 * VECTORS);
    for (int i = 0; i < PIXELS * VECTORS; i++) {
        pixel[i % PIXELS] = _mm256_set1_epi64x(0x0123456789abcdef + i % PIXELS);
        sum[i / VECTORS][i % VECTORS] = _mm256_setzero_si256();
    }
    for (unsigned repeat = 0; repeat < repeats; repeat++) {
        for (size_t at = 0; at < bytes; at += 32 * VECTORS) {
            for (int v = 0; v < VECTORS; v++) {
                const void *from = (const uint8_t *)weights + at + 32 * v;
                for (int i = 0; i < PIXELS; i++) {
                    __m256i differ =
                        _mm256_xor_si256(pixel[i], _mm256_load_si256((const __m256i *)from));
                    __m256i high = _mm256_and_si256(_mm256_srli_epi16(differ, 4), low);
                    sum[i][v] = _mm256_add_epi8(
                        sum[i][v],
                        _mm256_add_epi8(_mm256_shuffle_epi8(counts, _mm256_and_si256(differ, low)),
                                        _mm256_shuffle_epi8(counts, high)));
                }
            }
        }
    }
    for (int i = 0; i < PIXELS * VECTORS; i++) {
        total = _mm256_xor_si256(total, sum[i / VECTORS][i % VECTORS]);
    }
    *sink += (uint64_t)_mm256_extract_epi64(total, 0);
    return (uint64_t)repeats * bytes * 8 * PIXELS * 2;
}
