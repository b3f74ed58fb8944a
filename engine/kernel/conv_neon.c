/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * s8 convolution for aarch64, built twice: with the dot product instructions (kernel_*_dotprod) and
 * without (kernel_*_neon). A tile of output pixels times 16 channels stays in registers; four
 * neighbouring bytes of a pixel's run are repeated over a vector and multiplied with four weights
 * of four channels.
 *
 * Packed: for each block of 16 output channels its head (isa.h), then for each row of the kernel
 * and each four bytes of its run the weights [channel][4]. Runs are filled up with zero weights to
 * a multiple of four.
 */
#include <arm_neon.h>

#include <string.h>

#include "engine/kernel/isa.h"
#include "engine/kernel/requantise_neon.h"

#if defined(__ARM_FEATURE_DOTPROD)
#define NAME(function) kernel_conv_##function##_dotprod
#else
#define NAME(function) kernel_conv_##function##_neon
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { CHANNELS = 16, VECTORS = 4, TILE = 4 };

static size_t block_bytes(const struct kernel_conv *conv)
{
    return kernel_conv_head_bytes(conv, CHANNELS) +
           (size_t)CHANNELS * 4 * conv->kernel_h * kernel_conv_groups(conv);
}

size_t NAME(packed_bytes)(const struct kernel_conv *conv)
{
    return block_bytes(conv) * ((conv->out_c + CHANNELS - 1) / CHANNELS);
}

void NAME(pack)(const struct kernel_conv *conv, const int8_t *weights, const int32_t *bias,
                const int32_t *mult, const int32_t *threshold, void *packed)
{
    int8_t *to = packed;

    for (uint32_t first = 0; first < conv->out_c; first += CHANNELS) {
        kernel_conv_pack_head(conv, weights, bias, mult, threshold, first, CHANNELS, to);
        to += kernel_conv_head_bytes(conv, CHANNELS);
        for (uint32_t ky = 0; ky < conv->kernel_h; ky++) {
            for (uint32_t group = 0; group < kernel_conv_groups(conv); group++) {
                for (uint32_t i = 0; i < CHANNELS; i++, to += 4) {
                    kernel_conv_pack_group(conv, weights, first + i, ky, group, to);
                }
            }
        }
    }
}

/* Four sums of four channels while they are gathered: one vector with the dot product, else two of
 * pairs. */
struct sums {
#if defined(__ARM_FEATURE_DOTPROD)
    int32x4_t all;
#else
    int32x4_t low, high;
#endif
};

ALWAYS_INLINE struct sums sums_zero(void)
{
    const int32x4_t zero = vdupq_n_s32(0);

#if defined(__ARM_FEATURE_DOTPROD)
    return (struct sums){zero};
#else
    return (struct sums){zero, zero};
#endif
}

ALWAYS_INLINE void sums_add(struct sums *sums, int8x16_t codes, int8x16_t weights)
{
#if defined(__ARM_FEATURE_DOTPROD)
    sums->all = vdotq_s32(sums->all, weights, codes);
#else
    sums->low = vpadalq_s16(sums->low, vmull_s8(vget_low_s8(codes), vget_low_s8(weights)));
    sums->high = vpadalq_s16(sums->high, vmull_high_s8(codes, weights));
#endif
}

ALWAYS_INLINE int32x4_t sums_total(const struct sums *sums)
{
#if defined(__ARM_FEATURE_DOTPROD)
    return sums->all;
#else
    return vpaddq_s32(sums->low, sums->high);
#endif
}

/* One block of channels at work: where its weights are and where its results go. */
struct block {
    const struct kernel_conv *conv;
    const int32_t *bias;
    const void *parameter; /* see the head in isa.h */
    int narrow;
    const int8_t *weights;
    uint32_t first, left; /* channels */
};

/* How many thresholds each sum reaches. A comparison that holds is -1. */
ALWAYS_INLINE uint8x16_t reached(const struct block *block, const int32x4_t sum[VECTORS])
{
    const int32_t *threshold = block->parameter;
    int32x4_t n[VECTORS];

    for (uint32_t v = 0; v < VECTORS; v++) {
        n[v] = vdupq_n_s32(0);
        for (uint32_t i = 0; i < block->conv->levels; i++) {
            const int32x4_t each = vld1q_s32(threshold + i * CHANNELS + 4 * v);
            n[v] = vsubq_s32(n[v], vreinterpretq_s32_u32(vcgeq_s32(sum[v], each)));
        }
    }
    return narrow_neon(n);
}

ALWAYS_INLINE uint8x16_t reached_narrow(const struct block *block, const int32x4_t sum[VECTORS])
{
    const int16_t *threshold = block->parameter;
    const int16x8_t low = vqmovn_high_s32(vqmovn_s32(sum[0]), sum[1]);
    const int16x8_t high = vqmovn_high_s32(vqmovn_s32(sum[2]), sum[3]);
    uint16x8_t n[2] = {vdupq_n_u16(0), vdupq_n_u16(0)};

    for (uint32_t i = 0; i < block->conv->levels; i++, threshold += CHANNELS) {
        n[0] = vsubq_u16(n[0], vcgeq_s16(low, vld1q_s16(threshold)));
        n[1] = vsubq_u16(n[1], vcgeq_s16(high, vld1q_s16(threshold + 8)));
    }
    return vmovn_high_u16(vmovn_u16(n[0]), n[1]);
}

/* The 16 results of one pixel to element `at` of out, the channels beyond the last left out. */
ALWAYS_INLINE void put(const struct block *block, const int32x4_t sum[VECTORS], void *out,
                       size_t at)
{
    const struct kernel_conv *conv = block->conv;
    const uint32_t count = block->left < CHANNELS ? block->left : CHANNELS;
    uint8x16_t bytes;

    at += block->first;
    if (conv->output == KERNEL_CONV_SUMS) {
        int32_t words[CHANNELS];

        for (uint32_t v = 0; v < VECTORS; v++) {
            vst1q_s32(words + 4 * v, sum[v]);
        }
        memcpy((int32_t *)out + at, words, count * sizeof(*words));
        return;
    }
    if (conv->output == KERNEL_CONV_U7) {
        const int32_t *mult = block->parameter;
        const int32x4_t mults[VECTORS] = {vld1q_s32(mult), vld1q_s32(mult + 4), vld1q_s32(mult + 8),
                                          vld1q_s32(mult + 12)};
        bytes = requantise_neon(sum, mults, conv->preshift, conv->shift);
    } else {
        const uint8x8_t codes = vld1_u8(conv->codes);
        bytes = block->narrow ? reached_narrow(block, sum) : reached(block, sum);
        bytes = vqtbl1q_u8(vcombine_u8(codes, codes), bytes);
    }
    if (count == CHANNELS) {
        vst1q_u8((uint8_t *)out + at, bytes);
    } else {
        uint8_t part[CHANNELS];

        vst1q_u8(part, bytes);
        memcpy((uint8_t *)out + at, part, count);
    }
}

/* from[i] is the first tap of pixel i. With pooling the four pixels are one block and at[0] its
 * output element. */
ALWAYS_INLINE void tile(const struct block *block, const uint8_t *const *from, void *out,
                        const size_t *at, uint32_t pixels, int pool)
{
    const struct kernel_conv *conv = block->conv;
    const uint32_t count = kernel_conv_groups(conv);
    const int8_t *weights = block->weights;
    struct sums sums[TILE][VECTORS];
    int32x4_t total[TILE][VECTORS];

    for (uint32_t i = 0; i < pixels * VECTORS; i++) {
        sums[i / VECTORS][i % VECTORS] = sums_zero();
    }
    for (uint32_t ky = 0; ky < conv->kernel_h; ky++) {
        size_t offset = (size_t)ky * conv->in_row;
        for (uint32_t group = 0; group < count; group++, offset += 4, weights += 4 * CHANNELS) {
            for (uint32_t i = 0; i < pixels; i++) {
                const void *four = from[i] + offset;
                int8x16_t codes = vreinterpretq_s8_s32(vld1q_dup_s32((const int32_t *)four));
                for (uint32_t v = 0; v < VECTORS; v++) {
                    sums_add(&sums[i][v], codes, vld1q_s8(weights + 16 * v));
                }
            }
        }
    }
    for (uint32_t i = 0; i < pixels * VECTORS; i++) {
        const uint32_t v = i % VECTORS;
        total[i / VECTORS][v] =
            vaddq_s32(sums_total(&sums[i / VECTORS][v]), vld1q_s32(block->bias + 4 * v));
    }
    for (uint32_t v = 0; pool && v < VECTORS; v++) {
        total[0][v] =
            vmaxq_s32(vmaxq_s32(total[0][v], total[1][v]), vmaxq_s32(total[2][v], total[3][v]));
    }
    for (uint32_t i = 0; i < (pool ? 1 : pixels); i++) {
        put(block, total[i], out, at[i]);
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

void NAME(run)(const struct kernel_conv *conv, const void *packed, const uint8_t *in, void *out,
               size_t out_row)
{
    const int8_t *at = packed;

    for (uint32_t first = 0; first < conv->out_c; first += CHANNELS, at += block_bytes(conv)) {
        const int32_t *head = (const int32_t *)(const void *)at;
        struct block block = {
            .conv = conv,
            .bias = head,
            .parameter = head + CHANNELS,
            .narrow = conv->output == KERNEL_CONV_CODES && head[(1 + conv->levels) * CHANNELS] != 0,
            .weights = at + kernel_conv_head_bytes(conv, CHANNELS),
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
