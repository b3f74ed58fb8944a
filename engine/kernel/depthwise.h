/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Depthwise convolution: each channel of a u7 map with an s8 filter of its own, requantised to u7
 * as kernel.h says.
 *
 * INPUT   u8 0..127 [rows][columns][channels], the padding border included: there are no bounds
 *         tests. A kernel may read KERNEL_CONV_TAIL bytes past the last pixel it needs.
 * RESULT  t[y][x][c] = bias[c] + sum over ky, kx of
 *                      in[y * stride_y + ky][x * stride_x + kx][c] * weight[c][ky][kx],
 *         which must fit int32 shifted left by preshift.
 * OUTPUT  u8 [out_h][out_w][channels], out_row bytes between rows. Nothing else is written.
 */
#ifndef OCELLUS_ENGINE_KERNEL_DEPTHWISE_H
#define OCELLUS_ENGINE_KERNEL_DEPTHWISE_H

#include <stddef.h>
#include <stdint.h>

#define KERNEL_DEPTHWISE_SIDE_MAX 31u

struct kernel_depthwise {
    uint32_t channels;           /* which are the bytes between pixels */
    uint32_t in_row;             /* bytes between its rows */
    uint32_t kernel_h, kernel_w; /* at most KERNEL_DEPTHWISE_SIDE_MAX */
    uint32_t stride_y, stride_x;
    uint32_t out_w, out_h;
    uint32_t preshift, shift;
};

/* Filled by an instruction set; see struct kernel_table. */
struct kernel_depthwise_ops {
    /* Bytes that packed weights take; they must be 64-byte aligned. */
    size_t (*packed_bytes)(const struct kernel_depthwise *conv);
    /* weights: s8 -127..127 [channels][kernel_h][kernel_w]; bias, mult: int32 [channels]. */
    void (*pack)(const struct kernel_depthwise *conv, const int8_t *weights, const int32_t *bias,
                 const int32_t *mult, void *packed);
    void (*run)(const struct kernel_depthwise *conv, const void *packed, const uint8_t *in,
                uint8_t *out, size_t out_row);
    const char *isa; /* instruction set of run, for people */
};

#endif
