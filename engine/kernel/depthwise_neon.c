/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Depthwise convolution for aarch64: sixteen channels at a time, the products of two taps added in
 * 16 bits, which they fit (2 * 127 * 127), and the pairs in 32.
 *
 * Packed: for each block of 16 channels bias and multiplier, int32 [16] each, then for each tap the
 * weights, s8 [16], their number filled up to an even one with zeros.
 */
#include <arm_neon.h>
#include <string.h>

#include "engine/kernel/isa.h"
#include "engine/kernel/requantise_neon.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { CHANNELS = 16, VECTORS = 4, TAPS_MAX = 962 };

static uint32_t taps(const struct kernel_depthwise *conv)
{
    return (conv->kernel_h * conv->kernel_w + 1) / 2 * 2;
}

static size_t block_bytes(const struct kernel_depthwise *conv)
{
    return CHANNELS * (2 * sizeof(int32_t) + taps(conv));
}

size_t kernel_depthwise_packed_bytes_neon(const struct kernel_depthwise *conv)
{
    return (conv->channels + CHANNELS - 1) / CHANNELS * block_bytes(conv);
}

void kernel_depthwise_pack_neon(const struct kernel_depthwise *conv, const int8_t *weights,
                                const int32_t *bias, const int32_t *mult, void *packed)
{
    const uint32_t filter = conv->kernel_h * conv->kernel_w;
    uint8_t *block = packed;

    memset(packed, 0, kernel_depthwise_packed_bytes_neon(conv));
    for (uint32_t c = 0; c < conv->channels; c++) {
        const uint32_t lane = c % CHANNELS;
        int32_t *head = (int32_t *)(void *)block;
        int8_t *to = (int8_t *)(head + 2 * CHANNELS);

        head[lane] = bias[c];
        head[CHANNELS + lane] = mult[c];
        for (uint32_t tap = 0; tap < filter; tap++) {
            to[tap * CHANNELS + lane] = weights[(size_t)c * filter + tap];
        }
        block += lane == CHANNELS - 1 ? block_bytes(conv) : 0;
    }
}

struct block {
    int32x4_t bias[VECTORS], mult[VECTORS];
    const int8_t *weights;
    uint32_t count; /* of channels */
};

ALWAYS_INLINE int8x16_t codes_at(const uint8_t *from)
{
    return vreinterpretq_s8_u8(vld1q_u8(from));
}

ALWAYS_INLINE void sum(const struct block *block, const uint32_t *offsets, uint32_t count,
                       const uint8_t *in, int32x4_t t[VECTORS])
{
    const int8_t *weights = block->weights;

    for (uint32_t v = 0; v < VECTORS; v++) {
        t[v] = block->bias[v];
    }
    for (uint32_t i = 0; i < count; i += 2, weights += 2 * CHANNELS) {
        const int8x16_t a = codes_at(in + offsets[i]), b = codes_at(in + offsets[i + 1]);
        const int8x16_t wa = vld1q_s8(weights), wb = vld1q_s8(weights + CHANNELS);
        const int16x8_t low =
            vmlal_s8(vmull_s8(vget_low_s8(a), vget_low_s8(wa)), vget_low_s8(b), vget_low_s8(wb));
        const int16x8_t high = vmlal_high_s8(vmull_high_s8(a, wa), b, wb);

        t[0] = vaddw_s16(t[0], vget_low_s16(low));
        t[1] = vaddw_high_s16(t[1], low);
        t[2] = vaddw_s16(t[2], vget_low_s16(high));
        t[3] = vaddw_high_s16(t[3], high);
    }
}

static void run_row(const struct kernel_depthwise *conv, const struct block *block,
                    const uint32_t *offsets, const uint8_t *in, uint8_t *out)
{
    for (uint32_t x = 0; x < conv->out_w; x++, out += conv->channels) {
        int32x4_t t[VECTORS];

        sum(block, offsets, taps(conv), in, t);
        const uint8x16_t codes = requantise_neon(t, block->mult, conv->preshift, conv->shift);
        if (block->count == CHANNELS) {
            vst1q_u8(out, codes);
        } else {
            uint8_t part[CHANNELS];

            vst1q_u8(part, codes);
            memcpy(out, part, block->count);
        }
        in += (size_t)conv->stride_x * conv->channels;
    }
}

void kernel_depthwise_run_neon(const struct kernel_depthwise *conv, const void *packed,
                               const uint8_t *in, uint8_t *out, size_t out_row)
{
    const uint8_t *weights = packed;
    uint32_t offsets[TAPS_MAX];

    for (uint32_t tap = 0; tap < taps(conv); tap++) {
        const uint32_t ky = tap / conv->kernel_w, kx = tap % conv->kernel_w;

        /* Beyond the last tap weights are 0, and the first code is as good as any. */
        offsets[tap] = ky < conv->kernel_h ? ky * conv->in_row + kx * conv->channels : 0;
    }
    for (uint32_t first = 0; first < conv->channels; first += CHANNELS) {
        const uint32_t left = conv->channels - first;
        const int32_t *head = (const int32_t *)(const void *)weights;
        struct block block = {.weights = (const int8_t *)(head + 2 * CHANNELS),
                              .count = left < CHANNELS ? left : CHANNELS};

        for (uint32_t v = 0; v < VECTORS; v++) {
            block.bias[v] = vld1q_s32(head + 4 * v);
            block.mult[v] = vld1q_s32(head + CHANNELS + 4 * v);
        }
        for (uint32_t y = 0; y < conv->out_h; y++) {
            run_row(conv, &block, offsets, in + (size_t)y * conv->stride_y * conv->in_row + first,
                    out + y * out_row + first);
        }
        weights += block_bytes(conv);
    }
}
