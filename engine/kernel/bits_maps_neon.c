/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Makes and gathers bit maps for aarch64. Bits of codes are weighed and added up, as there is no
 * instruction that collects them; no code behind the last one is read.
 */
#include <arm_neon.h>
#include <string.h>

#include "engine/kernel/isa.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* A bit of each of 64 lanes, all ones or zero. */
ALWAYS_INLINE uint64_t collect(const uint8x16_t lanes[4])
{
    static const uint8_t weights[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t weight = vld1q_u8(weights);
    const uint8x16_t low = vpaddq_u8(vandq_u8(lanes[0], weight), vandq_u8(lanes[1], weight));
    const uint8x16_t high = vpaddq_u8(vandq_u8(lanes[2], weight), vandq_u8(lanes[3], weight));
    const uint8x16_t quarters = vpaddq_u8(low, high);

    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(quarters, quarters)), 0);
}

/* A word of a pixel: `count` codes, 1..64. */
ALWAYS_INLINE void map_word(const uint8_t *codes, const uint8_t *end, uint32_t count,
                            uint8x16_t zero, uint64_t *above, uint64_t *other)
{
    const uint64_t valid = UINT64_MAX >> (64 - count);
    uint8x16_t more[4], same[4];
    uint8_t last[64];

    if (end - codes < 64) {
        memset(last, 0, sizeof(last));
        memcpy(last, codes, (size_t)(end - codes));
        codes = last;
    }
    for (uint32_t i = 0; i < 4; i++) {
        const uint8x16_t v = vld1q_u8(codes + 16 * i);

        more[i] = vcgtq_u8(v, zero);
        same[i] = vceqq_u8(v, zero);
    }
    *above = collect(more) & valid;
    if (other != NULL) {
        *other = ~collect(same) & valid;
    }
}

void kernel_bits_from_codes_neon(const struct kernel_bits_map *map, const uint8_t *in,
                                 uint64_t *signs, uint64_t *nonzero)
{
    const uint8_t *end = in + (map->height - 1) * map->in_row + (size_t)map->width * map->channels;
    const uint8x16_t zero = vdupq_n_u8(map->zero);

    for (uint32_t y = 0; y < map->height; y++, in += map->in_row) {
        const uint8_t *codes = in;
        size_t to = y * map->out_row;

        for (uint32_t x = 0; x < map->width; x++) {
            for (uint32_t left = map->channels; left > 0; to++) {
                const uint32_t count = left < 64 ? left : 64;

                map_word(codes, end, count, zero, signs + to,
                         nonzero != NULL ? nonzero + to : NULL);
                codes += count;
                left -= count;
            }
        }
    }
}

/* Two outputs next to each other. */
ALWAYS_INLINE uint64x2_t gather_two(const struct kernel_bits_gather *gather, const uint64_t *in)
{
    uint64x2_t sum = vdupq_n_u64(0);
    int64_t shift = 0;

    for (uint32_t ky = 0; ky < gather->kernel_h; ky++, in += gather->in_row) {
        for (uint32_t kx = 0; kx < gather->kernel_w; kx++, shift += gather->in_c) {
            sum = vorrq_u64(sum, vshlq_u64(vld1q_u64(in + kx), vdupq_n_s64(shift)));
        }
    }
    return sum;
}

/* The last two columns may be some that were done before. */
void kernel_bits_gather_neon(const struct kernel_bits_gather *gather, const uint64_t *in,
                             uint64_t *out)
{
    const uint32_t taps = gather->kernel_h * gather->kernel_w, width = gather->out_w;

    if (taps * gather->in_c > 64 || gather->stride_x != 1 || width < 2) {
        kernel_bits_gather_c(gather, in, out);
        return;
    }
    for (uint32_t y = 0; y < gather->out_h; y++, out += width) {
        const uint64_t *row = in + (size_t)y * gather->stride_y * gather->in_row;

        for (uint32_t i = 0; i < width; i += 2) {
            const uint32_t x = i + 2 <= width ? i : width - 2;

            vst1q_u64(out + x, gather_two(gather, row + x));
        }
    }
}

/* Adds to the patches of eight outputs what a row of the kernel finds. */
ALWAYS_INLINE void add_row(uint64_t bits, uint32_t step, uint32_t run, uint32_t shift,
                           uint64_t *patches)
{
    const uint64_t valid = UINT64_MAX >> (64 - run);

    for (uint32_t i = 0; i < 8; i++) {
        const uint64_t found = (bits >> i * step & valid) << shift;

        patches[i] = shift == 0 ? found : patches[i] | found;
    }
}

/* The last eight columns may be some that were done before. */
void kernel_bits_gather_codes_neon(const struct kernel_bits_gather *gather, uint8_t zero,
                                   const uint8_t *in, uint64_t *signs, uint64_t *nonzero)
{
    const uint32_t step = gather->stride_x * gather->in_c, run = gather->kernel_w * gather->in_c;
    const uint32_t width = gather->out_w, codes = 7 * step + run;
    const size_t last = (size_t)(gather->out_h - 1) * gather->stride_y + gather->kernel_h - 1;
    const uint8_t *end = in + last * gather->in_row + (width - 1) * (size_t)step + run;

    if (gather->kernel_h * run > 64 || codes > 64 || width < 8) {
        kernel_bits_gather_codes_c(gather, zero, in, signs, nonzero);
        return;
    }
    for (uint32_t y = 0; y < gather->out_h; y++) {
        for (uint32_t i = 0; i < width; i += 8) {
            const uint32_t x = i + 8 <= width ? i : width - 8;
            const size_t to = (size_t)y * width + x;
            const uint8_t *from =
                in + (size_t)y * gather->stride_y * gather->in_row + x * (size_t)step;

            for (uint32_t ky = 0; ky < gather->kernel_h; ky++, from += gather->in_row) {
                uint64_t above, other;

                map_word(from, end, codes, vdupq_n_u8(zero), &above,
                         nonzero != NULL ? &other : NULL);
                add_row(above, step, run, ky * run, signs + to);
                if (nonzero != NULL) {
                    add_row(other, step, run, ky * run, nonzero + to);
                }
            }
        }
    }
}

void kernel_bits_max_binary_neon(const struct kernel_pool *pool, const uint64_t *in, uint64_t *out)
{
    kernel_bits_max_binary_c(pool, in, out);
}
