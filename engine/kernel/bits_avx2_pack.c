/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Lays the weights of bit convolutions out for AVX2, see bits_avx2.c. It runs once a layer and is
 * not fast. */
#include <string.h>

#include "engine/kernel/bits_avx2.h"

/* The bits of word `word` of a pixel that are channels. */
static uint64_t valid_bits(uint32_t channels, uint32_t word)
{
    return word == channels / 64 ? (UINT64_C(1) << channels % 64) - 1 : UINT64_MAX;
}

size_t kernel_bits_packed_bytes_avx2(const struct kernel_bits_conv *conv)
{
    size_t bytes = 0;

    if (is_word(conv)) {
        return kernel_bits_word_packed_bytes(conv);
    }
    for (uint32_t first = 0; first < conv->out_c;) {
        uint32_t vectors = block_vectors(conv, first);
        bytes += block_bytes(conv, vectors);
        first += vectors * LANES;
    }
    return bytes;
}

/* See the top; no count is as low as INT16_MIN. */
static int16_t limit(const struct kernel_bits_conv *conv, int64_t threshold, uint32_t odd)
{
    const int64_t base =
        conv->ternary_input ? odd : (int64_t)conv->kernel_h * conv->kernel_w * conv->in_c;
    const int64_t most = (base - threshold) >> (conv->ternary_weights ? 0 : 1);

    return (int16_t)(most < INT16_MIN ? INT16_MIN : most > INT16_MAX ? INT16_MAX : most);
}

static int16_t *pack_limits(const struct kernel_bits_conv *conv, const int32_t *thresholds,
                            uint32_t first, uint32_t vectors, int16_t *to)
{
    for (uint32_t odd = 0; odd < 2; odd++) {
        for (uint32_t i = 0; i < vectors * LANES; i++) {
            const uint32_t lane = i % LANES;
            const uint32_t channel = first + i / LANES * LANES + lane % 16 * 2 + lane / 16;

            *to++ = channel < conv->out_c && thresholds != NULL
                        ? limit(conv, thresholds[channel], odd)
                        : INT16_MIN;
        }
    }
    return to;
}

/* The nibbles of a word of `width` channels from `first` on, `signs` being that of channel 0. */
static uint8_t *pack_word(const struct kernel_bits_conv *conv, const uint64_t *signs,
                          const uint64_t *nonzero, size_t at, uint32_t first, uint32_t width,
                          uint8_t *to)
{
    const size_t filter = (size_t)conv->kernel_h * conv->kernel_w * words(conv->in_c);
    const uint32_t word = (uint32_t)(at % words(conv->in_c));
    const uint32_t bytes = word_bytes(conv->in_c, word);

    for (uint32_t i = 0; i < width; i++) {
        const uint32_t channel = first + i;
        uint64_t bits = channel < conv->out_c ? signs[channel * filter + at] : 0;

        if (nonzero != NULL && channel < conv->out_c) {
            bits |= ~nonzero[channel * filter + at] & valid_bits(conv->in_c, word);
        }
        for (uint32_t byte = 0; byte < bytes; byte++) {
            to[byte * width + i] = bits >> 8 * byte & 15;
            to[(bytes + byte) * width + i] = bits >> (8 * byte + 4) & 15;
        }
    }
    return to + (size_t)2 * bytes * width;
}

void kernel_bits_pack_avx2(const struct kernel_bits_conv *conv, const uint64_t *signs,
                           const uint64_t *nonzero, const int32_t *thresholds, void *packed)
{
    const size_t filter = (size_t)conv->kernel_h * conv->kernel_w * words(conv->in_c);
    uint8_t *block = packed;

    if (is_word(conv)) {
        kernel_bits_word_pack(conv, signs, nonzero, thresholds, packed);
        return;
    }
    for (uint32_t first = 0; first < conv->out_c;) {
        const uint32_t vectors = block_vectors(conv, first), width = vectors * LANES;
        uint8_t *end = block + block_bytes(conv, vectors),
                *to = (uint8_t *)pack_limits(conv, thresholds, first, vectors,
                                             (int16_t *)(void *)block);

        for (uint32_t pass = conv->ternary_weights ? 0 : 1; pass < 2; pass++) {
            for (size_t at = 0; at < filter; at++) {
                to = pack_word(conv, signs, pass == 0 ? nonzero : NULL, at, first, width, to);
            }
        }
        memset(to, 0, (size_t)(end - to));
        block = end;
        first += width;
    }
}
