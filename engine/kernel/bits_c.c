/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Portable reference of the bit convolutions. One formula serves all codings: a binary map or
 * filter is a ternary one without zeros. Packed: the thresholds, then for each output channel the
 * signs and the non-zero bits.
 */
#include <string.h>

#include "engine/kernel/isa.h"

static uint32_t words(uint32_t channels)
{
    return (channels + 63) / 64;
}

/* The bits of word `word` of a pixel that are channels. */
static uint64_t valid_bits(uint32_t channels, uint32_t word)
{
    return word == channels / 64 ? (UINT64_C(1) << channels % 64) - 1 : UINT64_MAX;
}

static size_t filter_words(const struct kernel_bits_conv *conv)
{
    return (size_t)conv->kernel_h * conv->kernel_w * words(conv->in_c);
}

static size_t threshold_bytes(const struct kernel_bits_conv *conv)
{
    return ((size_t)conv->out_c * sizeof(int32_t) + 7) / 8 * 8;
}

size_t kernel_bits_packed_bytes_c(const struct kernel_bits_conv *conv)
{
    return threshold_bytes(conv) + conv->out_c * filter_words(conv) * 2 * sizeof(uint64_t);
}

void kernel_bits_pack_c(const struct kernel_bits_conv *conv, const uint64_t *signs,
                        const uint64_t *nonzero, const int32_t *thresholds, void *packed)
{
    const size_t filter = filter_words(conv);
    uint64_t *to = (uint64_t *)(void *)((uint8_t *)packed + threshold_bytes(conv));

    if (thresholds != NULL) {
        memcpy(packed, thresholds, conv->out_c * sizeof(*thresholds));
    }
    for (uint32_t o = 0; o < conv->out_c; o++, to += 2 * filter) {
        memcpy(to, signs + o * filter, filter * sizeof(*to));
        for (size_t i = 0; i < filter; i++) {
            to[filter + i] = nonzero != NULL
                                 ? nonzero[o * filter + i]
                                 : valid_bits(conv->in_c, (uint32_t)(i % words(conv->in_c)));
        }
    }
}

/* The sum of one patch; signs and nonzero point to its first pixel. */
static int32_t dot(const struct kernel_bits_conv *conv, const uint64_t *signs,
                   const uint64_t *nonzero, const uint64_t *filter)
{
    const size_t run = (size_t)conv->kernel_w * words(conv->in_c), all = conv->kernel_h * run;
    int32_t sum = 0;

    for (size_t i = 0; i < all; i++) {
        const size_t at = i / run * conv->in_row + i % run;
        const uint64_t both = filter[all + i] & (nonzero != NULL ? nonzero[at] : UINT64_MAX);
        const uint64_t differ = both & (signs[at] ^ filter[i]);

        sum += __builtin_popcountll(both) - 2 * __builtin_popcountll(differ);
    }
    return sum;
}

/* The largest sum of a block of pool x pool patches; (y, x) is the place in the output. */
static int32_t largest(const struct kernel_bits_conv *conv, const uint64_t *signs,
                       const uint64_t *nonzero, const uint64_t *filter, uint32_t y, uint32_t x)
{
    int32_t best = INT32_MIN;

    for (uint32_t i = 0; i < conv->pool * conv->pool; i++) {
        const size_t row = ((size_t)y * conv->pool + i / conv->pool) * conv->stride_y;
        const size_t column = ((size_t)x * conv->pool + i % conv->pool) * conv->stride_x;
        const size_t at = row * conv->in_row + column * words(conv->in_c);
        const int32_t sum = dot(conv, signs + at, nonzero != NULL ? nonzero + at : NULL, filter);

        best = sum > best ? sum : best;
    }
    return best;
}

void kernel_bits_run_c(const struct kernel_bits_conv *conv, const void *packed,
                       const uint64_t *signs, const uint64_t *nonzero, void *out, size_t out_row)
{
    const int32_t *thresholds = packed;
    const uint64_t *filters =
        (const uint64_t *)(const void *)((const uint8_t *)packed + threshold_bytes(conv));

    for (uint32_t y = 0; y < conv->out_h; y++) {
        for (uint32_t i = 0; i < conv->out_w * conv->out_c; i++) {
            const uint32_t x = i / conv->out_c, o = i % conv->out_c;
            const uint64_t *filter = filters + o * filter_words(conv) * 2;
            const int32_t sum = largest(conv, signs, nonzero, filter, y, x);

            if (conv->sums) {
                ((int32_t *)out)[y * out_row + i] = sum;
                continue;
            }
            uint64_t *word =
                (uint64_t *)out + y * out_row + (size_t)x * words(conv->out_c) + o / 64;
            *word = (o % 64 == 0 ? 0 : *word) | (uint64_t)(sum >= thresholds[o]) << o % 64;
        }
    }
}

/* `in` is the first pixel of a patch; returns the end of its words in `out`. */
static uint64_t *gather_patch(const struct kernel_bits_gather *gather, const uint64_t *in,
                              uint64_t *out)
{
    uint32_t filled = 0; /* bits of word */
    uint64_t word = 0;

    for (uint32_t ky = 0; ky < gather->kernel_h; ky++, in += gather->in_row) {
        for (uint32_t kx = 0; kx < gather->kernel_w; kx++) {
            word |= in[kx] << filled;
            filled += gather->in_c;
            if (filled >= 64) {
                filled -= 64;
                *out++ = word;
                word = in[kx] >> (gather->in_c - filled);
            }
        }
    }
    if (filled > 0) {
        *out++ = word;
    }
    return out;
}

void kernel_bits_gather_c(const struct kernel_bits_gather *gather, const uint64_t *in,
                          uint64_t *out)
{
    for (uint32_t y = 0; y < gather->out_h; y++) {
        for (uint32_t x = 0; x < gather->out_w; x++) {
            out = gather_patch(gather,
                               in + (size_t)y * gather->stride_y * gather->in_row +
                                   (size_t)x * gather->stride_x,
                               out);
        }
    }
}

/* `in` is the first code of a patch. */
static void gather_patch_codes(const struct kernel_bits_gather *gather, uint8_t zero,
                               const uint8_t *in, uint64_t *signs, uint64_t *nonzero)
{
    const uint32_t run = gather->kernel_w * gather->in_c;
    uint32_t bit = 0;

    for (uint32_t ky = 0; ky < gather->kernel_h; ky++, in += gather->in_row) {
        for (uint32_t i = 0; i < run; i++, bit++) {
            if (bit % 64 == 0) {
                signs[bit / 64] = 0;
                if (nonzero != NULL) {
                    nonzero[bit / 64] = 0;
                }
            }
            signs[bit / 64] |= (uint64_t)(in[i] > zero) << bit % 64;
            if (nonzero != NULL) {
                nonzero[bit / 64] |= (uint64_t)(in[i] != zero) << bit % 64;
            }
        }
    }
}

void kernel_bits_gather_codes_c(const struct kernel_bits_gather *gather, uint8_t zero,
                                const uint8_t *in, uint64_t *signs, uint64_t *nonzero)
{
    const size_t patch = words(gather->kernel_h * gather->kernel_w * gather->in_c);

    for (uint32_t y = 0; y < gather->out_h; y++) {
        const uint8_t *row = in + (size_t)y * gather->stride_y * gather->in_row;

        for (uint32_t x = 0; x < gather->out_w; x++, signs += patch) {
            gather_patch_codes(gather, zero, row + (size_t)x * gather->stride_x * gather->in_c,
                               signs, nonzero);
            nonzero = nonzero != NULL ? nonzero + patch : NULL;
        }
    }
}

bool kernel_bits_fits(const struct kernel_bits_conv *conv)
{
    const uint64_t most = KERNEL_BITS_WORDS_MAX / (conv->ternary_weights ? 2 : 1);
    const uint64_t pixel = ((uint64_t)conv->in_c + 63) / 64;

    return conv->kernel_h <= most && conv->kernel_w <= most && pixel <= most &&
           conv->kernel_h * pixel * conv->kernel_w <= most;
}

void kernel_bits_from_codes_c(const struct kernel_bits_map *map, const uint8_t *in, uint64_t *signs,
                              uint64_t *nonzero)
{
    const uint32_t of_pixel = words(map->channels);

    for (uint32_t y = 0; y < map->height; y++) {
        const uint8_t *code = in + y * map->in_row;

        for (size_t i = 0; i < (size_t)map->width * of_pixel; i++) {
            const uint32_t first = (uint32_t)(i % of_pixel) * 64;
            const uint32_t bits = map->channels - first < 64 ? map->channels - first : 64;
            uint64_t above = 0, other = 0;

            for (uint32_t bit = 0; bit < bits; bit++, code++) {
                above |= (uint64_t)(*code > map->zero) << bit;
                other |= (uint64_t)(*code != map->zero) << bit;
            }
            signs[y * map->out_row + i] = above;
            if (nonzero != NULL) {
                nonzero[y * map->out_row + i] = other;
            }
        }
    }
}

static uint64_t any_of(const struct kernel_pool *pool, const uint64_t *in)
{
    uint64_t any = 0;

    for (uint32_t ky = 0; ky < pool->window_h; ky++, in += pool->in_row) {
        for (uint32_t kx = 0; kx < pool->window_w; kx++) {
            any |= in[(size_t)kx * pool->channels];
        }
    }
    return any;
}

void kernel_bits_max_binary_c(const struct kernel_pool *pool, const uint64_t *in, uint64_t *out)
{
    for (uint32_t y = 0; y < pool->out_h; y++, out += pool->out_row) {
        const uint64_t *corner = in + (size_t)y * pool->stride_y * pool->in_row;

        for (size_t i = 0; i < (size_t)pool->out_w * pool->channels; i += pool->channels) {
            for (uint32_t word = 0; word < pool->channels; word++) {
                out[i + word] = any_of(pool, corner + word);
            }
            corner += (size_t)pool->stride_x * pool->channels;
        }
    }
}
