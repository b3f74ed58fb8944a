/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Encoding of sums with AVX2, 16 channels at a time over all pixels; the last 16 may be some that
 * were done before. Fewer channels are masked.
 */
#include <immintrin.h>
#include <string.h>

#include "engine/kernel/isa.h"
#include "engine/kernel/requantise_avx2.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { CHANNELS = 16, VECTORS = 2, LANES = 8 };

/* 16 channels, or all of fewer ones. */
struct block {
    uint32_t first, count;
    __m256i mask[VECTORS];
};

ALWAYS_INLINE struct block block_init(const struct kernel_encode *encode, uint32_t first)
{
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const uint32_t all = encode->channels;
    struct block block = {.first = first, .count = CHANNELS};

    if (all < CHANNELS) {
        block.count = all;
    } else if (first + CHANNELS > all) {
        block.first = all - CHANNELS;
    }
    for (uint32_t v = 0; v < VECTORS; v++) {
        block.mask[v] =
            _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(block.count - v * LANES)), lanes);
    }
    return block;
}

/* from: of the block's first channel. */
ALWAYS_INLINE __m256i load(const struct block *block, const int32_t *from, uint32_t v)
{
    if (block->count == CHANNELS) {
        return _mm256_loadu_si256((const __m256i *)(const void *)(from + v * LANES));
    }
    return _mm256_maskload_epi32(from + v * LANES, block->mask[v]);
}

ALWAYS_INLINE void store(const struct block *block, __m128i bytes, uint8_t *to)
{
    if (block->count == CHANNELS) {
        _mm_storeu_si128((__m128i *)(void *)to, bytes);
    } else {
        uint8_t part[CHANNELS];

        _mm_storeu_si128((__m128i *)(void *)part, bytes);
        memcpy(to, part, block->count);
    }
}

/* 16 numbers to bytes, those beyond 0..255 held to that. */
ALWAYS_INLINE __m128i narrow(const __m256i wide[VECTORS])
{
    __m256i pairs = _mm256_packs_epi32(wide[0], wide[1]);

    pairs = _mm256_permute4x64_epi64(pairs, 0xd8);
    return _mm_packus_epi16(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
}

void kernel_encode_u7_avx2(const struct kernel_encode *encode, const int32_t *bias,
                           const int32_t *mult, const int32_t *in, uint8_t *out)
{
    const struct requantise of = requantise_init(encode->preshift, encode->shift);

    for (uint32_t first = 0; first < encode->channels; first += CHANNELS) {
        const struct block block = block_init(encode, first);
        __m256i start[VECTORS], by[VECTORS], odd[VECTORS];

        for (uint32_t v = 0; v < VECTORS; v++) {
            start[v] = bias != NULL ? load(&block, bias + block.first, v) : _mm256_setzero_si256();
            by[v] = load(&block, mult + block.first, v);
            odd[v] = _mm256_srli_epi64(by[v], 32);
        }
        for (uint32_t y = 0; y < encode->height; y++) {
            const int32_t *from = in + y * encode->in_row + block.first;
            uint8_t *to = out + y * encode->out_row + block.first;

            for (uint32_t x = 0; x < encode->width; x++) {
                __m256i t[VECTORS];

                for (uint32_t v = 0; v < VECTORS; v++) {
                    t[v] = _mm256_add_epi32(load(&block, from, v), start[v]);
                    t[v] = requantise(&of, t[v], by[v], odd[v]);
                }
                store(&block, _mm_min_epu8(narrow(t), _mm_set1_epi8(127)), to);
                from += encode->channels;
                to += encode->channels;
            }
        }
    }
}

/* Codes of 16 numbers of thresholds reached. */
ALWAYS_INLINE __m128i codes_of(const __m128i table[2], __m128i reached, uint32_t levels)
{
    const __m128i low = _mm_shuffle_epi8(table[0], reached);

    if (levels < 16) {
        return low;
    }
    return _mm_blendv_epi8(low, _mm_shuffle_epi8(table[1], reached),
                           _mm_cmpgt_epi8(reached, _mm_set1_epi8(15)));
}

/* The block's thresholds: [levels][VECTORS] vectors. */
static void transpose(const struct kernel_encode *encode, const struct block *block,
                      const int32_t *threshold, int32_t *to)
{
    for (uint32_t i = 0; i < encode->levels; i++) {
        for (uint32_t c = 0; c < CHANNELS; c++) {
            *to++ =
                c < block->count ? threshold[(block->first + c) * (size_t)encode->levels + i] : 0;
        }
    }
}

/* levels: of the encoding, or as a constant. */
ALWAYS_INLINE void encode_block(const struct kernel_encode *encode, const struct block *block,
                                const __m256i *threshold, uint32_t levels, const int32_t *in,
                                uint8_t *out)
{
    const __m128i *codes = (const __m128i *)(const void *)encode->codes;
    const __m128i table[] = {_mm_loadu_si128(codes), _mm_loadu_si128(codes + 1)};

    for (uint32_t y = 0; y < encode->height; y++) {
        const int32_t *from = in + y * encode->in_row + block->first;
        uint8_t *to = out + y * encode->out_row + block->first;

        for (uint32_t x = 0; x < encode->width; x++) {
            __m256i reached[VECTORS];

            for (uint32_t v = 0; v < VECTORS; v++) {
                const __m256i t = load(block, from, v);

                reached[v] = _mm256_set1_epi32((int)levels);
                for (uint32_t i = 0; i < levels; i++) {
                    reached[v] = _mm256_add_epi32(
                        reached[v], _mm256_cmpgt_epi32(threshold[i * VECTORS + v], t));
                }
            }
            store(block, codes_of(table, narrow(reached), levels), to);
            from += encode->channels;
            to += encode->channels;
        }
    }
}

void kernel_encode_codes_avx2(const struct kernel_encode *encode, const int32_t *threshold,
                              const int32_t *in, uint8_t *out)
{
    for (uint32_t first = 0; first < encode->channels; first += CHANNELS) {
        const struct block block = block_init(encode, first);
        __m256i levels[KERNEL_ENCODE_LEVELS_MAX * VECTORS];

        transpose(encode, &block, threshold, (int32_t *)(void *)levels);
        switch (encode->levels) {
        case 1:
            encode_block(encode, &block, levels, 1, in, out);
            break;
        case 2:
            encode_block(encode, &block, levels, 2, in, out);
            break;
        case 3:
            encode_block(encode, &block, levels, 3, in, out);
            break;
        case 7:
            encode_block(encode, &block, levels, 7, in, out);
            break;
        default:
            encode_block(encode, &block, levels, encode->levels, in, out);
            break;
        }
    }
}
