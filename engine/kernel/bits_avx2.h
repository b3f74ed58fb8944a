/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Shapes of the packed weights that bits_avx2_pack.c writes and bits_avx2.c reads; the format is
 * told at the head of bits_avx2.c. Only for the files of bit convolutions that are built for AVX2.
 */
#ifndef OCELLUS_ENGINE_KERNEL_BITS_AVX2_H
#define OCELLUS_ENGINE_KERNEL_BITS_AVX2_H

#include "engine/kernel/isa.h"

enum {
    LANES = 32,
    VECTORS = 4,
    GROUP = 3,    /* steps whose sum fits a half byte */
    FLUSH = 21,   /* groups whose sum fits a byte: 21 * 12 < 256 */
    PAIRS = 16,   /* of pixels, at most, that are worked on together */
    USUAL = 4096, /* steps that they may have together, if they are more than one */
    SLACK = 16,   /* steps written past the last one */
    STEPS_MAX = 16 * KERNEL_BITS_WORDS_MAX + GROUP + SLACK,
};

static inline uint32_t words(uint32_t channels)
{
    return (channels + 63) / 64;
}

/* Bytes of word `word` of a pixel that have channels. */
static inline uint32_t word_bytes(uint32_t channels, uint32_t word)
{
    return word == channels / 64 ? (channels % 64 + 7) / 8 : 8;
}

/* Steps of one pass. */
static inline uint32_t pass_steps(const struct kernel_bits_conv *conv)
{
    return conv->kernel_h * conv->kernel_w * 2 * ((conv->in_c + 7) / 8);
}

static inline uint32_t groups(const struct kernel_bits_conv *conv)
{
    return (pass_steps(conv) * (conv->ternary_weights ? 2 : 1) + GROUP - 1) / GROUP;
}

static inline uint32_t block_vectors(const struct kernel_bits_conv *conv, uint32_t first)
{
    const uint32_t left = conv->out_c - first;

    return left > 2 * LANES ? 4 : left > LANES ? 2 : 1;
}

static inline size_t block_bytes(const struct kernel_bits_conv *conv, uint32_t vectors)
{
    return (size_t)vectors * LANES * (2 * sizeof(int16_t) + (size_t)GROUP * groups(conv));
}

/* Whether a convolution is that of bits_word_avx2.c, which has a packing of its own. */
static inline int is_word(const struct kernel_bits_conv *conv)
{
    return conv->ternary_input && conv->kernel_h * conv->kernel_w == 1 && conv->in_c <= 64;
}

size_t kernel_bits_word_packed_bytes(const struct kernel_bits_conv *conv);
void kernel_bits_word_pack(const struct kernel_bits_conv *conv, const uint64_t *signs,
                           const uint64_t *nonzero, const int32_t *thresholds, void *packed);
void kernel_bits_word_run(const struct kernel_bits_conv *conv, const void *packed,
                          const uint64_t *signs, const uint64_t *nonzero, void *out,
                          size_t out_row);

#endif
