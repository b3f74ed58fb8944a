/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Pooling over windows that lie wholly inside the map. Input [rows][columns][c] and output
 * [out_h][out_w][c] are interleaved, with elements between rows as given.
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

struct kernel_pool_ops {
    void (*max_u7)(const struct kernel_pool *pool, const uint8_t *in, uint8_t *out);
    /* (2 * sum + n) / (2 * n), n values in a window: the mean, halves rounded up. */
    void (*mean_u7)(const struct kernel_pool *pool, const uint8_t *in, uint8_t *out);
    void (*max_f32)(const struct kernel_pool *pool, const float *in, float *out);
    /* Summed row by row in float, then divided by n. */
    void (*mean_f32)(const struct kernel_pool *pool, const float *in, float *out);
};

#endif
