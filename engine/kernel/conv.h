/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Convolution of byte codes with s8 weights: the one integer kernel that conv2d and dense layers
 * run on. Each instruction set has its own packing of the weights; the sums, and so the results,
 * are the same to the bit.
 *
 * INPUT
 *   u8 [rows][columns][in_c], interleaved, the padding border included: there are no bounds tests.
 *   Codes are 0..in_max (<= 127). Signed codes (-1..1, -3..3) are stored with an offset added, and
 *   the caller takes offset * sum(weights) off the bias. A kernel may read KERNEL_CONV_TAIL bytes
 *   past the last pixel it needs; they must be readable, their values do not matter.
 * RESULT
 *   t[y][x][o] = bias[o] + sum over ky, kx, c of
 *                in[y * stride_y + ky][x * stride_x + kx][c] * weight[o][ky][kx][c],
 *   which must fit int32 for all possible codes (the loader checks). With pool == 2 the result is
 *   the maximum of a 2x2 block of t, out_w and out_h being those of the pooled map. With a
 *   multiplier the result is requantised to u7 (kernel.h; with pool == 2 all mult > 0, so that
 *   maximum and requantisation commute), without one it is the int32.
 * OUTPUT
 *   u8 or int32 [out_h][out_w][out_c] with out_row elements between rows. Nothing else is written.
 */
#ifndef OCELLUS_ENGINE_KERNEL_CONV_H
#define OCELLUS_ENGINE_KERNEL_CONV_H

#include <stddef.h>
#include <stdint.h>

#define KERNEL_CONV_TAIL 64u

struct kernel_conv {
    uint32_t in_c;   /* channels of the input, which are the bytes between its pixels */
    uint32_t in_row; /* bytes between its rows */
    uint32_t in_max; /* largest code */
    uint32_t kernel_h, kernel_w, stride_y, stride_x;
    uint32_t out_w, out_h, out_c;
    uint32_t pool;            /* 1 or 2 */
    uint32_t preshift, shift; /* of the requantisation */
    int requantise;           /* 0: int32 results */
};

/* Filled by an instruction set; see struct kernel_table. */
struct kernel_conv_ops {
    /* Bytes that packed weights take; they must be 64-byte aligned. */
    size_t (*packed_bytes)(const struct kernel_conv *conv);
    /* weights: s8 [out_c][kernel_h][kernel_w][in_c]; bias: int32 [out_c]; mult: int32 [out_c], NULL
     * without requantisation. */
    void (*pack)(const struct kernel_conv *conv, const int8_t *weights, const int32_t *bias,
                 const int32_t *mult, void *packed);
    void (*run)(const struct kernel_conv *conv, const void *packed, const uint8_t *in, void *out,
                size_t out_row);
};

#endif
