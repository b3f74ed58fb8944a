/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The requantisation of kernel.h for sixteen sums at once. Only for files that are built for
 * aarch64.
 */
#ifndef OCELLUS_ENGINE_KERNEL_REQUANTISE_NEON_H
#define OCELLUS_ENGINE_KERNEL_REQUANTISE_NEON_H

#include <arm_neon.h>
#include <stdint.h>

static inline __attribute__((always_inline)) uint8x16_t narrow_neon(const int32x4_t t[4])
{
    const int16x8_t low = vqmovn_high_s32(vqmovn_s32(t[0]), t[1]);
    const int16x8_t high = vqmovn_high_s32(vqmovn_s32(t[2]), t[3]);

    return vqmovun_high_s16(vqmovun_s16(low), high);
}

/* To u7. */
static inline __attribute__((always_inline)) uint8x16_t
requantise_neon(const int32x4_t t[4], const int32x4_t mult[4], uint32_t preshift, uint32_t shift)
{
    const int32x4_t half = vdupq_n_s32((int32_t)(1u << (shift - 1)));
    int32x4_t to[4];

    for (uint32_t v = 0; v < 4; v++) {
        const int32x4_t shifted = vshlq_s32(t[v], vdupq_n_s32((int32_t)preshift));
        const int32x4_t high =
            vcombine_s32(vshrn_n_s64(vmull_s32(vget_low_s32(shifted), vget_low_s32(mult[v])), 32),
                         vshrn_n_s64(vmull_high_s32(shifted, mult[v]), 32));

        to[v] = vshlq_s32(vaddq_s32(high, half), vdupq_n_s32(-(int32_t)shift));
    }
    return vminq_u8(narrow_neon(to), vdupq_n_u8(127));
}

#endif
