/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Int32 sums [height][width][channels] to byte codes of the same shape, where a kernel left sums.
 * in_row and out_row are elements between rows. Nothing outside the values is read or written.
 */
#ifndef OCELLUS_ENGINE_KERNEL_ENCODE_H
#define OCELLUS_ENGINE_KERNEL_ENCODE_H

#include <stddef.h>
#include <stdint.h>

#define KERNEL_ENCODE_LEVELS_MAX 31u

struct kernel_encode {
    uint32_t width, height, channels;
    size_t in_row, out_row;
    uint32_t preshift, shift; /* of u7 */
    uint32_t levels;          /* of codes: 1..KERNEL_ENCODE_LEVELS_MAX */
    uint8_t codes[KERNEL_ENCODE_LEVELS_MAX + 1];
};

struct kernel_encode_ops {
    /* Requantises sum + bias (kernel.h). bias, mult: int32 [channels]; bias may be NULL for 0. */
    void (*u7)(const struct kernel_encode *encode, const int32_t *bias, const int32_t *mult,
               const int32_t *in, uint8_t *out);
    /* codes[n], n the number of thresholds that the sum reaches (sum >= threshold). threshold:
     * int32 [channels][levels], ascending. codes[0..levels]: any bytes. */
    void (*codes)(const struct kernel_encode *encode, const int32_t *threshold, const int32_t *in,
                  uint8_t *out);
};

#endif
