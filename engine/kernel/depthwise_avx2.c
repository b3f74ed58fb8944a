/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Depthwise convolution with AVX2, and with the byte dot product of AVX-512 where this file is
 * built for that. Sixteen channels at a time: the bytes of four taps are interleaved, so that each
 * 32-bit lane holds one channel's, and multiplied by four weights. A 3x3 kernel that moves by one
 * column interleaves each column of the map once for the three outputs that it serves. Of eight
 * channels it takes two pixels at a time.
 *
 * Packed: for each block of 16 channels bias and multiplier, int32 [16] each, then for each four
 * taps the weights, s8 [16][4], zero beyond the last. Channels are in the order of the lanes: 0-3,
 * 8-11, 4-7, 12-15. Taps go down the columns of the kernel; columns of three are filled up to four.
 */
#include <immintrin.h>
#include <string.h>

#include "engine/kernel/isa.h"
#include "engine/kernel/requantise_avx2.h"

#ifdef __AVX512VNNI__
#define NAME(function) kernel_depthwise_##function##_avx512vnni
#else
#define NAME(function) kernel_depthwise_##function##_avx2
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum {
    CHANNELS = 16,
    VECTORS = 2,
    SLOTS_MAX = KERNEL_DEPTHWISE_SIDE_MAX * (KERNEL_DEPTHWISE_SIDE_MAX + 1) + 3,
};

/* Slots of the taps of one column. */
static uint32_t column_slots(const struct kernel_depthwise *conv)
{
    return conv->kernel_h == 3 ? 4 : conv->kernel_h;
}

static uint32_t quads(const struct kernel_depthwise *conv)
{
    return (conv->kernel_w * column_slots(conv) + 3) / 4;
}

static size_t block_bytes(const struct kernel_depthwise *conv)
{
    return (size_t)CHANNELS * (2 * sizeof(int32_t) + (size_t)4 * quads(conv));
}

size_t NAME(packed_bytes)(const struct kernel_depthwise *conv)
{
    return (conv->channels + CHANNELS - 1) / CHANNELS * block_bytes(conv);
}

static int is_three(const struct kernel_depthwise *conv)
{
    return conv->kernel_h == 3 && conv->kernel_w == 3 && conv->stride_x == 1;
}

/* The channel of a lane; the lanes of two pixels have the same ones. */
static uint32_t channel_of(const struct kernel_depthwise *conv, uint32_t lane)
{
    const uint32_t upper = is_three(conv) && conv->channels == CHANNELS / 2 ? 0 : CHANNELS / 2;

    return lane / 4 % 2 * upper + lane / 8 * 4 + lane % 4;
}

void NAME(pack)(const struct kernel_depthwise *conv, const int8_t *weights, const int32_t *bias,
                const int32_t *mult, void *packed)
{
    const uint32_t slots = column_slots(conv), height = conv->kernel_h;
    uint8_t *block = packed;

    memset(packed, 0, NAME(packed_bytes)(conv));
    for (uint32_t first = 0; first < conv->channels; first += CHANNELS) {
        int32_t *head = (int32_t *)(void *)block;
        int8_t *to = (int8_t *)(head + 2 * CHANNELS);

        for (uint32_t lane = 0; lane < CHANNELS; lane++) {
            const uint32_t c = first + channel_of(conv, lane);

            if (c >= conv->channels) {
                continue;
            }
            head[lane] = bias[c];
            head[CHANNELS + lane] = mult[c];
            for (uint32_t tap = 0; tap < height * conv->kernel_w; tap++) {
                const uint32_t kx = tap / height, ky = tap % height, slot = kx * slots + ky;

                to[slot / 4 * 4 * CHANNELS + lane * 4 + slot % 4] =
                    weights[((size_t)c * height + ky) * conv->kernel_w + kx];
            }
        }
        block += block_bytes(conv);
    }
}

/* 16 channels at work. */
struct block {
    __m256i bias[VECTORS], mult[VECTORS], odd_mult[VECTORS];
    const __m256i *weights;
    struct requantise requantise;
    uint32_t count; /* of channels */
};

/* t += products of four taps. */
ALWAYS_INLINE __m256i add_products(__m256i t, __m256i codes, __m256i weights)
{
#ifdef __AVX512VNNI__
    return _mm256_dpbusd_epi32(t, codes, weights);
#else
    const __m256i pairs = _mm256_maddubs_epi16(codes, weights);

    return _mm256_add_epi32(t, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#endif
}

/* 16 codes, eight in the low half of each lane. */
ALWAYS_INLINE __m256i codes_at(const uint8_t *from)
{
    const __m128i codes = _mm_loadu_si128((const __m128i *)(const void *)from);

    return _mm256_permute4x64_epi64(_mm256_castsi128_si256(codes), 0x10);
}

/* The codes of four taps interleaved. */
ALWAYS_INLINE void interleave(__m256i a, __m256i b, __m256i c, __m256i d, __m256i to[VECTORS])
{
    const __m256i ab = _mm256_unpacklo_epi8(a, b), cd = _mm256_unpacklo_epi8(c, d);

    to[0] = _mm256_unpacklo_epi16(ab, cd);
    to[1] = _mm256_unpackhi_epi16(ab, cd);
}

ALWAYS_INLINE void put(const struct block *block, const __m256i t[VECTORS], uint8_t *out)
{
    const __m256i low = requantise(&block->requantise, t[0], block->mult[0], block->odd_mult[0]);
    const __m256i high = requantise(&block->requantise, t[1], block->mult[1], block->odd_mult[1]);
    __m256i wide = _mm256_packs_epi32(low, high);

    wide = _mm256_packus_epi16(wide, wide);
    const __m128i bytes =
        _mm_unpacklo_epi64(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
    const __m128i held = _mm_min_epu8(bytes, _mm_set1_epi8(127));
    if (block->count == CHANNELS) {
        _mm_storeu_si128((__m128i *)(void *)out, held);
    } else if (block->count == 8) {
        _mm_storel_epi64((__m128i *)(void *)out, held);
    } else {
        uint8_t part[CHANNELS];

        _mm_storeu_si128((__m128i *)(void *)part, held);
        memcpy(out, part, block->count);
    }
}

/* One column of three rows. */
ALWAYS_INLINE void column(const struct kernel_depthwise *conv, const uint8_t *in,
                          __m256i to[VECTORS])
{
    interleave(codes_at(in), codes_at(in + conv->in_row), codes_at(in + 2 * (size_t)conv->in_row),
               _mm256_setzero_si256(), to);
}

ALWAYS_INLINE void put_three(const struct block *block, const __m256i a[VECTORS],
                             const __m256i b[VECTORS], const __m256i c[VECTORS], uint8_t *out)
{
    __m256i t[VECTORS];

    for (uint32_t v = 0; v < VECTORS; v++) {
        t[v] = add_products(block->bias[v], a[v], block->weights[v]);
        t[v] = add_products(t[v], b[v], block->weights[VECTORS + v]);
        t[v] = add_products(t[v], c[v], block->weights[2 * VECTORS + v]);
    }
    put(block, t, out);
}

/* One row of outputs of a 3x3 kernel that moves by one column. in, out: of the block's first
 * channel. */
ALWAYS_INLINE void run_three(const struct kernel_depthwise *conv, const struct block *block,
                             const uint8_t *in, uint8_t *out)
{
    const size_t step = conv->channels;
    __m256i a[VECTORS], b[VECTORS], c[VECTORS];
    uint32_t x = 0;

    column(conv, in, a);
    column(conv, in + step, b);
    for (in += 2 * step; x + 3 <= conv->out_w; x += 3, in += 3 * step, out += 3 * step) {
        column(conv, in, c);
        put_three(block, a, b, c, out);
        column(conv, in + step, a);
        put_three(block, b, c, a, out + step);
        column(conv, in + 2 * step, b);
        put_three(block, c, a, b, out + 2 * step);
    }
    if (x == conv->out_w) {
        return;
    }
    column(conv, in, c);
    put_three(block, a, b, c, out);
    if (x + 1 < conv->out_w) {
        column(conv, in + step, a);
        put_three(block, b, c, a, out + step);
    }
}

/* The same of eight channels, two outputs at a time; the last two may be some that were done
 * before. */
ALWAYS_INLINE void run_pairs(const struct kernel_depthwise *conv, const struct block *block,
                             const uint8_t *in, uint8_t *out)
{
    const size_t step = conv->channels;

    for (uint32_t i = 0; i < conv->out_w; i += 2) {
        const size_t x = i + 2 <= conv->out_w ? i : conv->out_w - 2;
        __m256i a[VECTORS], b[VECTORS], c[VECTORS];

        column(conv, in + x * step, a);
        column(conv, in + (x + 1) * step, b);
        column(conv, in + (x + 2) * step, c);
        put_three(block, a, b, c, out + x * step);
    }
}

/* One row of outputs of any kernel. offsets: bytes from a patch's start to its taps, in slots. */
ALWAYS_INLINE void run_any(const struct kernel_depthwise *conv, const struct block *block,
                           const uint32_t *offsets, uint32_t count, const uint8_t *in, uint8_t *out)
{
    const size_t step = (size_t)conv->stride_x * conv->channels;

    for (uint32_t x = 0; x < conv->out_w; x++, in += step, out += conv->channels) {
        const __m256i *weights = block->weights;
        __m256i t[VECTORS] = {block->bias[0], block->bias[1]};

        for (uint32_t i = 0; i < 4 * count; i += 4, weights += VECTORS) {
            __m256i codes[VECTORS];

            interleave(codes_at(in + offsets[i]), codes_at(in + offsets[i + 1]),
                       codes_at(in + offsets[i + 2]), codes_at(in + offsets[i + 3]), codes);
            for (uint32_t v = 0; v < VECTORS; v++) {
                t[v] = add_products(t[v], codes[v], weights[v]);
            }
        }
        put(block, t, out);
    }
}

/* A slot without a tap has weights of 0 and reads the patch's first pixel. */
static void offsets_init(const struct kernel_depthwise *conv, uint32_t *to)
{
    const uint32_t slots = column_slots(conv);

    memset(to, 0, (size_t)4 * quads(conv) * sizeof(*to));
    for (uint32_t kx = 0; kx < conv->kernel_w; kx++) {
        for (uint32_t ky = 0; ky < conv->kernel_h; ky++) {
            to[kx * slots + ky] = ky * conv->in_row + kx * conv->channels;
        }
    }
}

ALWAYS_INLINE void block_init(struct block *block, const struct kernel_depthwise *conv,
                              const void *packed)
{
    const __m256i *from = packed;

    for (uint32_t v = 0; v < VECTORS; v++) {
        block->bias[v] = from[v];
        block->mult[v] = from[VECTORS + v];
        block->odd_mult[v] = _mm256_srli_epi64(block->mult[v], 32);
    }
    block->weights = from + 2 * (size_t)VECTORS;
    block->requantise = requantise_init(conv->preshift, conv->shift);
}

void NAME(run)(const struct kernel_depthwise *conv, const void *packed, const uint8_t *in,
               uint8_t *out, size_t out_row)
{
    const int three = is_three(conv);
    const int pairs = three && conv->channels == CHANNELS / 2 && conv->out_w > 1;
    const uint8_t *weights = packed;
    uint32_t offsets[SLOTS_MAX];
    struct block block;

    offsets_init(conv, offsets);
    for (uint32_t first = 0; first < conv->channels; first += CHANNELS) {
        block_init(&block, conv, weights);
        block.count =
            pairs || conv->channels - first > CHANNELS ? CHANNELS : conv->channels - first;
        for (uint32_t y = 0; y < conv->out_h; y++) {
            const uint8_t *row = in + (size_t)y * conv->stride_y * conv->in_row + first;
            uint8_t *to = out + y * out_row + first;

            if (pairs) {
                run_pairs(conv, &block, row, to);
            } else if (three) {
                run_three(conv, &block, row, to);
            } else {
                run_any(conv, &block, offsets, quads(conv), row, to);
            }
        }
        weights += block_bytes(conv);
    }
}
