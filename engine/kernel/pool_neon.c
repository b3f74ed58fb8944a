/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Pooling and addition of u7 maps for aarch64. Channels are pooled 16 at a time, of which the last
 * may be some that were done before; maps of fewer channels are left to the reference.
 */
#include <arm_neon.h>

#include "engine/kernel/isa.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { CHANNELS = 16, SUMS_MOST = 512 /* codes whose sum fits 16 bits */ };

static uint8x16_t largest(const struct kernel_pool *pool, const uint8_t *in)
{
    uint8x16_t best = vdupq_n_u8(0);

    for (uint32_t ky = 0; ky < pool->window_h; ky++, in += pool->in_row) {
        for (uint32_t kx = 0; kx < pool->window_w; kx++) {
            best = vmaxq_u8(best, vld1q_u8(in + (size_t)kx * pool->channels));
        }
    }
    return best;
}

/* x / (2 n) as (x * factor) >> shift: see pool_avx2.c, which tells why it is exact. */
struct division {
    uint32x2_t factor;
    int64x2_t shift;
    uint32x4_t count;
};

static struct division division_by(uint32_t count)
{
    const uint64_t divisor = 2 * (uint64_t)count;
    uint32_t shift = 31;

    while (divisor >> (shift - 31 + 1) != 0) {
        shift++;
    }
    return (struct division){
        .factor = vdup_n_u32((uint32_t)(((UINT64_C(1) << shift) + divisor - 1) / divisor)),
        .shift = vdupq_n_s64(-(int64_t)shift),
        .count = vdupq_n_u32(count),
    };
}

ALWAYS_INLINE uint16x4_t mean(const struct division *by, uint32x4_t sums)
{
    const uint32x4_t x = vaddq_u32(vaddq_u32(sums, sums), by->count);
    const uint64x2_t low = vshlq_u64(vmull_u32(vget_low_u32(x), by->factor), by->shift);
    const uint64x2_t high = vshlq_u64(vmull_u32(vget_high_u32(x), by->factor), by->shift);

    return vmovn_u32(vcombine_u32(vmovn_u64(low), vmovn_u64(high)));
}

ALWAYS_INLINE void widen(uint16x8_t sums[2], uint32x4_t wide[4])
{
    for (uint32_t i = 0; i < 2; i++) {
        wide[2 * i] = vaddw_u16(wide[2 * i], vget_low_u16(sums[i]));
        wide[2 * i + 1] = vaddw_high_u16(wide[2 * i + 1], sums[i]);
        sums[i] = vdupq_n_u16(0);
    }
}

static uint8x16_t means(const struct kernel_pool *pool, const struct division *by,
                        const uint8_t *in)
{
    const uint32x4_t zero = vdupq_n_u32(0);
    uint16x8_t sums[2] = {vdupq_n_u16(0), vdupq_n_u16(0)};
    uint32x4_t wide[4] = {zero, zero, zero, zero};
    uint32_t held = 0;

    for (uint32_t ky = 0; ky < pool->window_h; ky++, in += pool->in_row) {
        for (uint32_t kx = 0; kx < pool->window_w; kx++) {
            const uint8x16_t codes = vld1q_u8(in + (size_t)kx * pool->channels);

            sums[0] = vaddw_u8(sums[0], vget_low_u8(codes));
            sums[1] = vaddw_high_u8(sums[1], codes);
            if (++held == SUMS_MOST) {
                widen(sums, wide);
                held = 0;
            }
        }
    }
    widen(sums, wide);
    const uint16x8_t low = vcombine_u16(mean(by, wide[0]), mean(by, wide[1]));
    const uint16x8_t high = vcombine_u16(mean(by, wide[2]), mean(by, wide[3]));
    return vcombine_u8(vmovn_u16(low), vmovn_u16(high));
}

/* by: of means, else the largest. */
ALWAYS_INLINE void pool_rows(const struct kernel_pool *pool, const struct division *by,
                             const uint8_t *in, uint8_t *out)
{
    for (uint32_t y = 0; y < pool->out_h; y++, out += pool->out_row) {
        const uint8_t *corner = in + (size_t)y * pool->stride_y * pool->in_row;
        uint8_t *to = out;

        for (uint32_t x = 0; x < pool->out_w; x++, to += pool->channels) {
            for (uint32_t i = 0; i < pool->channels; i += CHANNELS) {
                const uint32_t c = i + CHANNELS <= pool->channels ? i : pool->channels - CHANNELS;

                vst1q_u8(to + c,
                         by != NULL ? means(pool, by, corner + c) : largest(pool, corner + c));
            }
            corner += (size_t)pool->stride_x * pool->channels;
        }
    }
}

void kernel_pool_max_u7_neon(const struct kernel_pool *pool, const uint8_t *in, uint8_t *out)
{
    if (pool->channels < CHANNELS) {
        kernel_pool_max_u7_c(pool, in, out);
        return;
    }
    pool_rows(pool, NULL, in, out);
}

void kernel_pool_mean_u7_neon(const struct kernel_pool *pool, const uint8_t *in, uint8_t *out)
{
    const struct division by = division_by(pool->window_h * pool->window_w);

    if (pool->channels < CHANNELS) {
        kernel_pool_mean_u7_c(pool, in, out);
        return;
    }
    pool_rows(pool, &by, in, out);
}

/* Four values of a * mult[0] + b * mult[1]. */
ALWAYS_INLINE uint16x4_t scaled(const struct kernel_add *add, uint16x4_t a, uint16x4_t b)
{
    uint32x4_t t = vdupq_n_u32(1u << (add->shift - 1));

    t = vmlal_n_u16(t, a, (uint16_t)add->mult[0]);
    t = vmlal_n_u16(t, b, (uint16_t)add->mult[1]);
    return vqmovn_u32(vshlq_u32(t, vdupq_n_s32(-(int32_t)add->shift)));
}

ALWAYS_INLINE void add_row(const struct kernel_add *add, const uint8_t *a, const uint8_t *b,
                           uint8_t *out)
{
    for (size_t x = 0; x + 8 <= add->width; x += 8) {
        const uint16x8_t va = vmovl_u8(vld1_u8(a + x)), vb = vmovl_u8(vld1_u8(b + x));
        const uint16x8_t sums = vcombine_u16(scaled(add, vget_low_u16(va), vget_low_u16(vb)),
                                             scaled(add, vget_high_u16(va), vget_high_u16(vb)));

        vst1_u8(out + x, vmin_u8(vqmovn_u16(sums), vdup_n_u8(127)));
    }
}

void kernel_pool_add_u7_neon(const struct kernel_add *add, const uint8_t *a, const uint8_t *b,
                             uint8_t *out)
{
    const uint32_t done = add->width & ~7u;
    struct kernel_add rest = *add;

    for (uint32_t y = 0; y < add->height; y++) {
        add_row(add, a + y * add->a_row, b + y * add->b_row, out + y * add->out_row);
    }
    rest.width -= done;
    kernel_pool_add_u7_c(&rest, a + done, b + done, out + done);
}
