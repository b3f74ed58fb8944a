/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Convolution in float, for master models and calibration: the sum of one output starts with its
 * bias and takes one product after the other in the order ky, kx, c, each rounded (no fused
 * multiply-add), so that every instruction set gives the same bits.
 *
 * The depthwise one has a filter for each channel of its own (out_c is in_c), its order is ky, kx.
 *
 * INPUT and OUTPUT are laid out as in conv.h, with elements in place of bytes. With relu, an output
 * that is not above 0 becomes 0.
 */
#ifndef OCELLUS_ENGINE_KERNEL_REAL_H
#define OCELLUS_ENGINE_KERNEL_REAL_H

#include <stddef.h>
#include <stdint.h>

struct kernel_real {
    uint32_t in_c, in_row; /* in_row: elements between rows */
    uint32_t kernel_h, kernel_w, stride_y, stride_x;
    uint32_t out_w, out_h, out_c;
    int relu;
};

struct kernel_real_ops {
    /* Bytes that packed weights take; they must be 64-byte aligned. */
    size_t (*packed_bytes)(const struct kernel_real *conv);
    /* weights: [out_c][kernel_h][kernel_w][in_c]; bias: [out_c]. */
    void (*pack)(const struct kernel_real *conv, const float *weights, const float *bias,
                 void *packed);
    void (*run)(const struct kernel_real *conv, const void *packed, const float *in, float *out,
                size_t out_row);
    /* weights: [in_c][kernel_h][kernel_w], as they come; bias: [in_c]. */
    void (*depthwise)(const struct kernel_real *conv, const float *weights, const float *bias,
                      const float *in, float *out, size_t out_row);
};

#endif
