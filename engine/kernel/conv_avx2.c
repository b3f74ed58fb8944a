/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * s8 convolution with AVX2. A tile of four output pixels times 16 output channels stays in
 * registers; four neighbouring bytes of a pixel's run are broadcast, multiplied with four weights
 * of each channel in 16 bits (vpmaddubsw, which cannot saturate: codes are at most 127) and widened
 * to 32 bits (vpmaddwd).
 *
 * Packed: for each block of 16 output channels int32 bias, int32 multiplier, then for each row of
 * the kernel and each four bytes of its run the weights [channel][4]. Runs are filled up with zero
 * weights to a multiple of four.
 */
#include <immintrin.h>

#include "engine/kernel/isa.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { LANES = 8, CHANNELS = 16, TILE = 4 };

static uint32_t groups(const struct kernel_conv *conv)
{
    return (conv->kernel_w * conv->in_c + 3) / 4;
}

static size_t block_bytes(const struct kernel_conv *conv)
{
    return (size_t)CHANNELS * 4 * (2 + (size_t)conv->kernel_h * groups(conv));
}

size_t kernel_conv_packed_bytes_avx2(const struct kernel_conv *conv)
{
    return block_bytes(conv) * ((conv->out_c + CHANNELS - 1) / CHANNELS);
}

/* Four weights of one channel; zero beyond the channels and beyond the run. */
static void pack_group(const struct kernel_conv *conv, const int8_t *weights, uint32_t channel,
                       uint32_t ky, uint32_t group, int8_t *to)
{
    const uint32_t run = conv->kernel_w * conv->in_c;

    for (uint32_t i = 0; i < 4; i++) {
        uint32_t k = group * 4 + i;
        to[i] = channel < conv->out_c && k < run
                    ? weights[((size_t)channel * conv->kernel_h + ky) * run + k]
                    : 0;
    }
}

void kernel_conv_pack_avx2(const struct kernel_conv *conv, const int8_t *weights,
                           const int32_t *bias, const int32_t *mult, void *packed)
{
    int8_t *to = packed;

    for (uint32_t first = 0; first < conv->out_c; first += CHANNELS) {
        int32_t *head = (int32_t *)(void *)to;

        for (uint32_t i = 0; i < CHANNELS; i++) {
            head[i] = first + i < conv->out_c ? bias[first + i] : 0;
            head[CHANNELS + i] = mult != NULL && first + i < conv->out_c ? mult[first + i] : 0;
        }
        to += CHANNELS * 8;
        for (uint32_t ky = 0; ky < conv->kernel_h; ky++) {
            for (uint32_t group = 0; group < groups(conv); group++) {
                for (uint32_t i = 0; i < CHANNELS; i++, to += 4) {
                    pack_group(conv, weights, first + i, ky, group, to);
                }
            }
        }
    }
}

ALWAYS_INLINE __m256i requantise(const struct kernel_conv *conv, __m256i t, __m256i mult)
{
    t = _mm256_slli_epi32(t, (int)conv->preshift);
    __m256i even = _mm256_srli_epi64(_mm256_mul_epi32(t, mult), 32);
    __m256i odd = _mm256_mul_epi32(_mm256_srli_epi64(t, 32), _mm256_srli_epi64(mult, 32));
    __m256i high = _mm256_blend_epi32(even, odd, 0xaa);
    high = _mm256_add_epi32(high, _mm256_set1_epi32((int32_t)(1u << (conv->shift - 1))));
    high = _mm256_srai_epi32(high, (int)conv->shift);
    high = _mm256_max_epi32(high, _mm256_setzero_si256());
    return _mm256_min_epi32(high, _mm256_set1_epi32(127));
}

/* One block of channels at work: where its weights are and where its results go. */
struct block {
    const struct kernel_conv *conv;
    const int32_t *bias, *mult;
    const int8_t *weights;
    uint32_t first, left; /* channels */
};

/* The 16 results of one pixel to element `at` of out, the channels beyond the last left out. */
ALWAYS_INLINE void put(const struct block *block, __m256i low, __m256i high, void *out, size_t at)
{
    const struct kernel_conv *conv = block->conv;
    const uint32_t count = block->left < CHANNELS ? block->left : CHANNELS;
    union {
        int32_t words[CHANNELS];
        uint8_t bytes[CHANNELS];
    } narrow;

    at += block->first;
    if (!conv->requantise) {
        _mm256_storeu_si256((__m256i *)(void *)narrow.words, low);
        _mm256_storeu_si256((__m256i *)(void *)(narrow.words + LANES), high);
        for (uint32_t i = 0; i < count; i++) {
            ((int32_t *)out)[at + i] = narrow.words[i];
        }
        return;
    }
    const __m256i *mult = (const __m256i *)(const void *)block->mult;
    __m256i pairs = _mm256_packs_epi32(requantise(conv, low, _mm256_load_si256(mult)),
                                       requantise(conv, high, _mm256_load_si256(mult + 1)));
    pairs = _mm256_permute4x64_epi64(pairs, 0xd8);
    __m128i bytes =
        _mm_packus_epi16(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
    if (count == CHANNELS) {
        _mm_storeu_si128((__m128i *)(void *)((uint8_t *)out + at), bytes);
        return;
    }
    _mm_storeu_si128((__m128i *)(void *)narrow.bytes, bytes);
    for (uint32_t i = 0; i < count; i++) {
        ((uint8_t *)out)[at + i] = narrow.bytes[i];
    }
}

/* from[i] is the first tap of pixel i. With pooling the four pixels are one block and at[0] its
 * output element. */
ALWAYS_INLINE void tile(const struct block *block, const uint8_t *const *from, void *out,
                        const size_t *at, uint32_t pixels, int pool)
{
    const struct kernel_conv *conv = block->conv;
    const __m256i *bias = (const __m256i *)(const void *)block->bias;
    const __m256i ones = _mm256_set1_epi16(1);
    const uint32_t count = groups(conv);
    const int8_t *weights = block->weights;
    __m256i sum[TILE][2];

    for (uint32_t i = 0; i < pixels; i++) {
        sum[i][0] = _mm256_load_si256(bias);
        sum[i][1] = _mm256_load_si256(bias + 1);
    }
    for (uint32_t ky = 0; ky < conv->kernel_h; ky++) {
        size_t offset = (size_t)ky * conv->in_row;
        for (uint32_t group = 0; group < count; group++, offset += 4, weights += 64) {
            const __m256i low = _mm256_load_si256((const __m256i *)(const void *)weights);
            const __m256i high = _mm256_load_si256((const __m256i *)(const void *)(weights + 32));
            for (uint32_t i = 0; i < pixels; i++) {
                __m256i codes = _mm256_broadcastd_epi32(_mm_loadu_si32(from[i] + offset));
                __m256i a = _mm256_madd_epi16(_mm256_maddubs_epi16(codes, low), ones);
                __m256i b = _mm256_madd_epi16(_mm256_maddubs_epi16(codes, high), ones);
                sum[i][0] = _mm256_add_epi32(sum[i][0], a);
                sum[i][1] = _mm256_add_epi32(sum[i][1], b);
            }
        }
    }
    for (uint32_t v = 0; pool && v < 2; v++) {
        sum[0][v] = _mm256_max_epi32(_mm256_max_epi32(sum[0][v], sum[1][v]),
                                     _mm256_max_epi32(sum[2][v], sum[3][v]));
    }
    for (uint32_t i = 0; i < (pool ? 1 : pixels); i++) {
        put(block, sum[i][0], sum[i][1], out, at[i]);
    }
}

/* A tile at a time in reading order; the last tile repeats the last pixel. */
ALWAYS_INLINE void map(const struct block *block, const uint8_t *in, void *out, size_t out_row,
                       uint32_t pixels, int pool)
{
    const struct kernel_conv *conv = block->conv;
    const size_t step_y = (size_t)conv->stride_y * conv->in_row;
    const size_t step_x = (size_t)conv->stride_x * conv->in_c;
    const uint8_t *from[TILE];
    size_t at[TILE];
    uint32_t x = 0, y = 0, results = pool ? 1 : pixels;

    while (y < conv->out_h) {
        for (uint32_t i = 0; i < results; i++) {
            at[i] = y * out_row + (size_t)x * conv->out_c;
            from[i] = in + (pool ? 2 : 1) * (y * step_y + x * step_x);
            if (x + 1 < conv->out_w) {
                x++;
            } else if (y + 1 < conv->out_h || i + 1 == results) {
                x = 0;
                y++;
            }
        }
        if (pool) {
            from[1] = from[0] + step_x;
            from[2] = from[0] + step_y;
            from[3] = from[0] + step_y + step_x;
        }
        tile(block, from, out, at, pixels, pool);
    }
}

static void map_pooled(const struct block *block, const uint8_t *in, void *out, size_t out_row)
{
    map(block, in, out, out_row, TILE, 1);
}

static void map_plain(const struct block *block, const uint8_t *in, void *out, size_t out_row)
{
    map(block, in, out, out_row, TILE, 0);
}

static void map_single(const struct block *block, const uint8_t *in, void *out, size_t out_row)
{
    map(block, in, out, out_row, 1, 0);
}

void kernel_conv_run_avx2(const struct kernel_conv *conv, const void *packed, const uint8_t *in,
                          void *out, size_t out_row)
{
    const int8_t *at = packed;

    for (uint32_t first = 0; first < conv->out_c; first += CHANNELS, at += block_bytes(conv)) {
        const int32_t *head = (const int32_t *)(const void *)at;
        struct block block = {
            .conv = conv,
            .bias = head,
            .mult = head + CHANNELS,
            .weights = at + CHANNELS * 8,
            .first = first,
            .left = conv->out_c - first,
        };
        if (conv->pool == 2) {
            map_pooled(&block, in, out, out_row);
        } else if (conv->out_w * conv->out_h == 1) { /* a dense layer */
            map_single(&block, in, out, out_row);
        } else {
            map_plain(&block, in, out, out_row);
        }
    }
}
