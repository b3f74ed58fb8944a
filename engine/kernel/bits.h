/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Convolution of one-bit and ternary maps with one-bit and ternary weights, by counting bits, after
 * BinarEye (Moons et al., CICC 2018, 1804.05554). conv2d and dense layers run on it (dense: a 1x1
 * map); each instruction set has its own packing of the weights; the results are the same to the
 * bit.
 *
 * CODING
 *   A map is uint64 [rows][columns][words], words = ceil(channels / 64); channel c is bit c % 64 of
 *   word c / 64. Spare bits of the last word are 0, in maps and in weights. Binary: bit 1 is +1,
 *   bit 0 is -1. Ternary is two such arrays: `nonzero`, and `signs` for what is not zero; a bit
 *   that is set in signs is set in nonzero. A zero border needs a ternary map: in a binary one a
 *   border is -1 (or whatever the caller writes).
 * INPUT
 *   carries its padding border: there are no bounds tests.
 * RESULT
 *   s[y][x][o] = sum over ky, kx, c of
 *                in[y * stride_y + ky][x * stride_x + kx][c] * weight[o][ky][kx][c].
 *   With pool == 2 the maximum of a 2x2 block of s, out_w and out_h being those of the pooled map.
 *   Then bit o = (s >= threshold[o]), where INT32_MIN gives 1 and INT32_MAX gives 0 always; or s
 *   itself. Pooling bits by OR is the same as pooling sums by maximum. A normalisation with a
 *   negative factor is folded by negating the channel's weights beforehand (spare bits stay 0).
 * OUTPUT
 *   a binary map with out_row words between rows, spare bits 0, or int32 [out_h][out_w][out_c] with
 *   out_row elements between rows. Nothing else is written; nothing is read outside the pixels and
 *   rows that the result needs.
 */
#ifndef OCELLUS_ENGINE_KERNEL_BITS_H
#define OCELLUS_ENGINE_KERNEL_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/kernel/pool.h"

/* kernel_h * kernel_w * ceil(in_c / 64) is at most this, half of it with ternary weights. */
#define KERNEL_BITS_WORDS_MAX 256u

struct kernel_bits_conv {
    uint32_t in_c;   /* channels of the input */
    uint32_t in_row; /* words between its rows */
    uint32_t kernel_h, kernel_w, stride_y, stride_x;
    uint32_t out_w, out_h, out_c;
    uint32_t pool;                      /* 1 or 2 */
    int ternary_input, ternary_weights; /* else binary */
    int sums;                           /* int32 results, else bits */
};

/* Whether the kernels take a convolution that long (KERNEL_BITS_WORDS_MAX). */
bool kernel_bits_fits(const struct kernel_bits_conv *conv);

/* Byte codes [height][width][channels] as a bit map, row by row; a border is the caller's. */
struct kernel_bits_map {
    uint32_t width, height, channels;
    size_t in_row;  /* bytes between the rows of codes */
    size_t out_row; /* words between the rows of the map */
    uint8_t zero;   /* signs: code > zero; nonzero: code != zero; 0..127, as codes are */
};

/*
 * Patches packed densely, for inputs of few channels: output pixel (y, x) is a pixel of kernel_h *
 * kernel_w * in_c channels, channel (ky * kernel_w + kx) * in_c + c being channel c of input pixel
 * (y*stride_y + ky, x*stride_x + kx). A 1x1 convolution of the result is the convolution of the
 * input. Weights are packed alike: each filter is a map of kernel_h rows with one output pixel.
 */
struct kernel_bits_gather {
    uint32_t in_c;   /* 1..63: one word a pixel */
    uint32_t in_row; /* words, or bytes of codes */
    uint32_t kernel_h, kernel_w, stride_y, stride_x;
    uint32_t out_w, out_h;
};

/* Filled by an instruction set; see struct kernel_table. */
struct kernel_bits_ops {
    /* Bytes that packed weights take; they must be 64-byte aligned. */
    size_t (*packed_bytes)(const struct kernel_bits_conv *conv);
    /* What is packed serves every out_h and out_w, and with a kernel of one row every in_row.
     * signs: [out_c][kernel_h][kernel_w][words]; nonzero: the same, NULL for binary weights;
     * thresholds: int32 [out_c], NULL for sums. */
    void (*pack)(const struct kernel_bits_conv *conv, const uint64_t *signs,
                 const uint64_t *nonzero, const int32_t *thresholds, void *packed);
    /* nonzero: NULL for a binary input. */
    void (*run)(const struct kernel_bits_conv *conv, const void *packed, const uint64_t *signs,
                const uint64_t *nonzero, void *out, size_t out_row);
    /* in: a binary map or one half of a ternary one; out: [out_h][out_w][words], without gaps. */
    void (*gather)(const struct kernel_bits_gather *gather, const uint64_t *in, uint64_t *out);
    /* The same patches straight from byte codes, as from_codes and gather give them for both
     * halves. nonzero: NULL for a binary map. Nothing outside the codes is read. */
    void (*gather_codes)(const struct kernel_bits_gather *gather, uint8_t zero, const uint8_t *in,
                         uint64_t *signs, uint64_t *nonzero);
    /* nonzero: NULL for a binary map. Nothing outside the codes is read. */
    void (*from_codes)(const struct kernel_bits_map *map, const uint8_t *in, uint64_t *signs,
                       uint64_t *nonzero);
    /* The maximum over windows of a binary map, which is OR. channels, in_row and out_row of the
     * pool count words. */
    void (*max_binary)(const struct kernel_pool *pool, const uint64_t *in, uint64_t *out);
    const char *isa; /* instruction set of run, for people */
};

#endif
