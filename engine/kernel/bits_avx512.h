/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Shapes of the packed weights that bits_avx512.c writes, which also tells the format. Only for the
 * files of bit convolutions that are built for AVX-512.
 */
#ifndef OCELLUS_ENGINE_KERNEL_BITS_AVX512_H
#define OCELLUS_ENGINE_KERNEL_BITS_AVX512_H

#include "engine/kernel/isa.h"

enum { LANES = 16, VECTORS = 4 };

static inline uint32_t words(uint32_t channels)
{
    return (channels + 63) / 64;
}

/* Half words of a pixel. */
static inline uint32_t halves(uint32_t channels)
{
    return (channels + 31) / 32;
}

/* Half words that are compared for one result. */
static inline uint32_t terms(const struct kernel_bits_conv *conv)
{
    return conv->kernel_h * conv->kernel_w * halves(conv->in_c) * (conv->ternary_weights ? 2 : 1);
}

static inline uint32_t block_vectors(const struct kernel_bits_conv *conv, uint32_t first)
{
    const uint32_t left = conv->out_c - first;

    return left > 2 * LANES ? 4 : left > LANES ? 2 : 1;
}

static inline size_t block_bytes(const struct kernel_bits_conv *conv, uint32_t vectors)
{
    return (size_t)vectors * LANES * sizeof(uint32_t) * (2 + terms(conv));
}

/* Convolutions to bits of ternary maps with patches of one word. */
void kernel_bits_word_run_avx512(const struct kernel_bits_conv *conv, const void *packed,
                                 const uint64_t *signs, const uint64_t *nonzero, uint64_t *out,
                                 size_t out_row);

#endif
