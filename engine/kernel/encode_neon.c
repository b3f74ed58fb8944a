/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Encoding of sums for aarch64, 16 channels at a time over all pixels; the last 16 may be some that
 * were done before. Fewer channels are left to the reference.
 */
#include <arm_neon.h>

#include "engine/kernel/isa.h"
#include "engine/kernel/requantise_neon.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { CHANNELS = 16, VECTORS = 4 };

/* The first of the 16 channels that begin with `first`, if there are so many. */
static uint32_t first_of(const struct kernel_encode *encode, uint32_t first)
{
    return first + CHANNELS <= encode->channels ? first : encode->channels - CHANNELS;
}

static void u7_block(const struct kernel_encode *encode, const int32_t *bias, const int32_t *mult,
                     const int32_t *in, uint8_t *out)
{
    int32x4_t start[VECTORS], by[VECTORS];

    for (uint32_t v = 0; v < VECTORS; v++) {
        start[v] = bias != NULL ? vld1q_s32(bias + 4 * v) : vdupq_n_s32(0);
        by[v] = vld1q_s32(mult + 4 * v);
    }
    for (uint32_t y = 0; y < encode->height; y++) {
        const int32_t *from = in + y * encode->in_row;
        uint8_t *to = out + y * encode->out_row;

        for (uint32_t x = 0; x < encode->width; x++) {
            int32x4_t t[VECTORS];

            for (uint32_t v = 0; v < VECTORS; v++) {
                t[v] = vaddq_s32(vld1q_s32(from + 4 * v), start[v]);
            }
            vst1q_u8(to, requantise_neon(t, by, encode->preshift, encode->shift));
            from += encode->channels;
            to += encode->channels;
        }
    }
}

void kernel_encode_u7_neon(const struct kernel_encode *encode, const int32_t *bias,
                           const int32_t *mult, const int32_t *in, uint8_t *out)
{
    if (encode->channels < CHANNELS) {
        kernel_encode_u7_c(encode, bias, mult, in, out);
        return;
    }
    for (uint32_t i = 0; i < encode->channels; i += CHANNELS) {
        const uint32_t first = first_of(encode, i);

        u7_block(encode, bias != NULL ? bias + first : NULL, mult + first, in + first, out + first);
    }
}

ALWAYS_INLINE void codes_block(const struct kernel_encode *encode, const int32_t *levels,
                               const int32_t *in, uint8_t *out)
{
    const uint8x16x2_t table = {{vld1q_u8(encode->codes), vld1q_u8(encode->codes + 16)}};

    for (uint32_t y = 0; y < encode->height; y++) {
        const int32_t *from = in + y * encode->in_row;
        uint8_t *to = out + y * encode->out_row;

        for (uint32_t x = 0; x < encode->width; x++) {
            int32x4_t reached[VECTORS];

            for (uint32_t v = 0; v < VECTORS; v++) {
                const int32x4_t t = vld1q_s32(from + 4 * v);

                reached[v] = vdupq_n_s32(0);
                for (uint32_t i = 0; i < encode->levels; i++) {
                    const uint32x4_t is = vcgeq_s32(t, vld1q_s32(levels + i * CHANNELS + 4 * v));

                    reached[v] = vsubq_s32(reached[v], vreinterpretq_s32_u32(is));
                }
            }
            vst1q_u8(to, vqtbl2q_u8(table, narrow_neon(reached)));
            from += encode->channels;
            to += encode->channels;
        }
    }
}

void kernel_encode_codes_neon(const struct kernel_encode *encode, const int32_t *threshold,
                              const int32_t *in, uint8_t *out)
{
    int32_t levels[KERNEL_ENCODE_LEVELS_MAX * CHANNELS];

    if (encode->channels < CHANNELS) {
        kernel_encode_codes_c(encode, threshold, in, out);
        return;
    }
    for (uint32_t i = 0; i < encode->channels; i += CHANNELS) {
        const uint32_t first = first_of(encode, i);

        for (uint32_t k = 0; k < encode->levels * CHANNELS; k++) {
            levels[k] = threshold[(first + k % CHANNELS) * (size_t)encode->levels + k / CHANNELS];
        }
        codes_block(encode, levels, in + first, out + first);
    }
}
