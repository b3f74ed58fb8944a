/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Pooling over windows that lie wholly inside the map, and the sum of two maps. Input
 * [rows][columns][c] and output [out_h][out_w][c] are interleaved, with elements between rows as
 * given.
 */
#ifndef OCELLUS_ENGINE_KERNEL_POOL_H
#define OCELLUS_ENGINE_KERNEL_POOL_H

#include <stddef.h>
#include <stdint.h>

struct kernel_pool {
    uint32_t channels;
    uint32_t window_h, window_w; /* window_h * window_w <= 2^20 */
    uint32_t stride_y, stride_x;
    uint32_t out_h, out_w;
    size_t in_row, out_row;
};

/* Two maps of the same shape; a pixel's channels count as values of its row. */
struct kernel_add {
    uint32_t width, height; /* width: values of a row */
    size_t a_row, b_row, out_row;
    uint32_t mult[2], shift; /* u7: 0..65535 each, 1..24 */
    int relu;                /* f32 */
};

struct kernel_pool_ops {
    void (*max_u7)(const struct kernel_pool *pool, const uint8_t *in, uint8_t *out);
    /* (2 * sum + n) / (2 * n), n values in a window: the mean, halves rounded up. */
    void (*mean_u7)(const struct kernel_pool *pool, const uint8_t *in, uint8_t *out);
    void (*max_f32)(const struct kernel_pool *pool, const float *in, float *out);
    /* Summed row by row in float, then divided by n. */
    void (*mean_f32)(const struct kernel_pool *pool, const float *in, float *out);
    /* (a * mult[0] + b * mult[1] + (1 << (shift - 1))) >> shift, held to [0, 127]. */
    void (*add_u7)(const struct kernel_add *add, const uint8_t *a, const uint8_t *b, uint8_t *out);
    /* a + b; with relu, what is not above 0 becomes 0. */
    void (*add_f32)(const struct kernel_add *add, const float *a, const float *b, float *out);
};

#endif
