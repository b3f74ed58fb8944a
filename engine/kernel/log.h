/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Convolution whose input codes or weights are logarithms and whose sums need 64 bits: LogNet
 * (Miyashita, Lee, Murmann 2016, 1603.01025), section 3, methods 1 and 2, accumulated exactly in
 * the linear domain. A network of so few bits that its values are bytes and its sums 32 bits runs
 * on conv.h instead. Each instruction set has its own packing; the results are the same to the bit.
 *
 * INPUT
 *   u8 [rows][columns][in_c] with its border, as in conv.h. in_bits == 0: values 0..127. Else codes
 *   0..2^in_bits - 1: 0 is zero, n is 2^(n - 1), or sqrt2^(n - 1) with in_root. A kernel may read
 *   KERNEL_CONV_TAIL bytes past the last pixel it needs; they must be readable.
 * WEIGHTS
 *   int8 [out_c][kernel_h][kernel_w][in_c]. weight_bits == 0: values -127..127. Else signed codes:
 *   +-n stands for +-2^(n - 1), or +-sqrt2^(n - 1) with weight_root; n below 2^(weight_bits - 1).
 * RESULT
 *   t[y][x][o] = sum over ky, kx, c of input times weight. Where a base is sqrt2, products with an
 *   even sum of half-steps add to E, the others, divided by sqrt2, to O, and t = 128 E + 181 O.
 *   t fits +-2^62 for all codes (the caller checks). With pool == 2 the result is the maximum of a
 *   2x2 block of t, out_w and out_h being those of the pooled map.
 * OUTPUT
 *   levels == 0: int64 [out_h][out_w][out_c], the results. Else u8 of that shape: codes[n], n the
 *   number of the channel's thresholds that the result reaches (t >= threshold). out_row elements
 *   lie between rows; nothing else is written.
 */
#ifndef OCELLUS_ENGINE_KERNEL_LOG_H
#define OCELLUS_ENGINE_KERNEL_LOG_H

#include <stddef.h>
#include <stdint.h>

#define KERNEL_LOG_LEVELS_MAX 31u

struct kernel_log {
    uint32_t in_c;                     /* channels of the input, bytes between its pixels */
    uint32_t in_row;                   /* bytes between its rows */
    uint32_t in_bits, in_root;         /* 0 or 3..5; 0 or 1: base sqrt2 */
    uint32_t weight_bits, weight_root; /* 0 or 3..6, with the sign; 0 or 1 */
    uint32_t kernel_h, kernel_w, stride_y, stride_x;
    uint32_t out_w, out_h, out_c;
    uint32_t pool;   /* 1 or 2 */
    uint32_t levels; /* 0..KERNEL_LOG_LEVELS_MAX */
    uint8_t codes[KERNEL_LOG_LEVELS_MAX + 1];
};

/* Filled by an instruction set; see struct kernel_table. */
struct kernel_log_ops {
    /* Bytes that packed weights take; they must be 64-byte aligned. */
    size_t (*packed_bytes)(const struct kernel_log *conv);
    /* Bytes of scratch memory for a run, 64-byte aligned too; may be 0. */
    size_t (*workspace_bytes)(const struct kernel_log *conv);
    /* What is packed serves a run of fewer columns and rows of the same map, in the same workspace.
     * threshold: int64 [out_c][levels], ascending for each channel; NULL without levels. */
    void (*pack)(const struct kernel_log *conv, const int8_t *weights, const int64_t *threshold,
                 void *packed);
    void (*run)(const struct kernel_log *conv, const void *packed, const uint8_t *in,
                void *workspace, void *out, size_t out_row);
    const char *isa; /* instruction set of run, for people */
};

/*
 * For studies: the same sums by LogNet's accumulation in the log domain (section 3.3), an
 * approximation. Only products of powers of two: in_bits and weight_bits are not 0; levels and pool
 * are not looked at. Result int64 [out_h][out_w][out_c] as t above.
 */
void kernel_log_domain_c(const struct kernel_log *conv, const int8_t *weights, const uint8_t *in,
                         int64_t *out, size_t out_row);

#endif
