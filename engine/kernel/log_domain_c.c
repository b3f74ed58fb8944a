/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * LogNet's accumulation in the log domain (Miyashita, Lee, Murmann 2016, 1603.01025, section 3.3),
 * for studies: no network runs on it. The running sum a of positive terms 2^p is kept as its
 * logarithm,
 *     a <- max(a, p) + 2^-|floor(a) - p|,
 * by log2(1 + x) ~ x, with fraction bits. Positive and negative terms have an accumulator each and
 * are subtracted once, at the end.
 */
#include "engine/kernel/isa.h"

enum { FRACTION = 16, NOTHING = -1 };

/* 2^-steps/2 in units of 2^-FRACTION; 46341 is 2^(FRACTION - 1/2). */
static int32_t power(uint32_t steps)
{
    const uint32_t whole = steps / 2;

    if (whole > FRACTION) {
        return 0;
    }
    return (steps % 2 ? 46341 : 1 << FRACTION) >> whole;
}

/* a in units of 2^-FRACTION, NOTHING before the first term; steps: 2 p */
static int32_t add(int32_t a, uint32_t steps)
{
    const int32_t p = (int32_t)(steps << (FRACTION - 1));

    if (a == NOTHING) {
        return p;
    }
    const int32_t floor_steps = a >> FRACTION << 1;
    const int32_t apart = floor_steps - (int32_t)steps;

    return (a > p ? a : p) + power((uint32_t)(apart < 0 ? -apart : apart));
}

/* 2^a times 2^scale. 2^f is taken as 1 + f - 0.3438 f (1 - f), which is within 0.3 %. */
static int64_t linear(int32_t a, uint32_t scale)
{
    if (a == NOTHING) {
        return 0;
    }
    const uint32_t one = 1u << FRACTION, f = (uint32_t)a & (one - 1);
    const uint32_t bend = (uint32_t)((uint64_t)f * (one - f) >> FRACTION);
    const uint64_t mantissa = one + f - (uint32_t)((uint64_t)bend * 22531 >> FRACTION);
    const uint32_t whole = (uint32_t)(a >> FRACTION) + scale;

    return (int64_t)(whole < FRACTION ? mantissa >> (FRACTION - whole)
                                      : mantissa << (whole - FRACTION));
}

static int64_t accumulate(const struct kernel_log *conv, const uint8_t *in, const int8_t *weight)
{
    const uint32_t run = conv->kernel_w * conv->in_c;
    int32_t sum[2] = {NOTHING, NOTHING}; /* of positive and of negative terms */

    for (uint32_t ky = 0; ky < conv->kernel_h; ky++, in += conv->in_row) {
        for (uint32_t i = 0; i < run; i++, weight++) {
            const uint32_t size = (uint32_t)(*weight < 0 ? -*weight : *weight);
            if (in[i] != 0 && size != 0) {
                const uint32_t steps =
                    ((in[i] - 1u) << !conv->in_root) + ((size - 1) << !conv->weight_root);
                sum[*weight < 0] = add(sum[*weight < 0], steps);
            }
        }
    }
    const uint32_t scale = conv->in_root || conv->weight_root ? 7 : 0;

    return linear(sum[0], scale) - linear(sum[1], scale);
}

void kernel_log_domain_c(const struct kernel_log *conv, const int8_t *weights, const uint8_t *in,
                         int64_t *out, size_t out_row)
{
    const size_t filter = (size_t)conv->kernel_h * conv->kernel_w * conv->in_c;

    for (uint32_t y = 0; y < conv->out_h; y++) {
        for (uint32_t x = 0; x < conv->out_w; x++) {
            const uint8_t *tap = in + (size_t)y * conv->stride_y * conv->in_row +
                                 (size_t)x * conv->stride_x * conv->in_c;
            for (uint32_t o = 0; o < conv->out_c; o++) {
                out[y * out_row + (size_t)x * conv->out_c + o] =
                    accumulate(conv, tap, weights + o * filter);
            }
        }
    }
}
