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
 *   the maximum of a 2x2 block of t, out_w and out_h being those of the pooled map. Of it comes
 *     SUMS   the int32 itself;
 *     U7     its requantisation (kernel.h; with pool == 2 all mult > 0, so that maximum and
 *            requantisation commute);
 *     CODES  codes[n], n being the number of the channel's thresholds that it reaches: t >=
 *            threshold, thresholds ascending, 1, 2, 3 or 7 of them. codes[0..levels] are ascending
 *            and at most 127: values {0, 1, 2, 4, .. 64} of a log activation, or -1..1 plus an
 *            offset for the next layer to take off again.
 * OUTPUT
 *   u8, of SUMS int32, [out_h][out_w][out_c] with out_row elements between rows. Nothing else is
 *   written.
 */
#ifndef OCELLUS_ENGINE_KERNEL_CONV_H
#define OCELLUS_ENGINE_KERNEL_CONV_H

#include <stddef.h>
#include <stdint.h>

#define KERNEL_CONV_TAIL 64u

#define KERNEL_CONV_LEVELS_MAX 7u

enum kernel_conv_output { KERNEL_CONV_SUMS = 0, KERNEL_CONV_U7, KERNEL_CONV_CODES };

struct kernel_conv {
    uint32_t in_c;   /* channels of the input, which are the bytes between its pixels */
    uint32_t in_row; /* bytes between its rows */
    uint32_t in_max; /* largest code */
    uint32_t kernel_h, kernel_w, stride_y, stride_x;
    uint32_t out_w, out_h, out_c;
    uint32_t pool;            /* 1 or 2 */
    uint32_t output;          /* enum kernel_conv_output */
    uint32_t preshift, shift; /* U7 */
    uint32_t levels;          /* CODES */
    uint8_t codes[KERNEL_CONV_LEVELS_MAX + 1];
};

/* Filled by an instruction set; see struct kernel_table. */
struct kernel_conv_ops {
    /* Bytes that packed weights take; they must be 64-byte aligned. */
    size_t (*packed_bytes)(const struct kernel_conv *conv);
    /* What is packed serves every out_h and out_w: a run may take a part of the same map.
     * weights: s8 [out_c][kernel_h][kernel_w][in_c]; bias: int32 [out_c]; mult: int32 [out_c], read
     * for U7 only; threshold: int32 [out_c][levels], read for CODES only. */
    void (*pack)(const struct kernel_conv *conv, const int8_t *weights, const int32_t *bias,
                 const int32_t *mult, const int32_t *threshold, void *packed);
    void (*run)(const struct kernel_conv *conv, const void *packed, const uint8_t *in, void *out,
                size_t out_row);
    const char *isa; /* instruction set of run, for people */
};

#endif
