/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * s8 convolution with AVX2. vpmaddubsw multiplies pairs of bytes into 16 bits, vpmaddwd widens to
 * 32; the two share the machine's multipliers, so every widening saved is speed. When the weights
 * of a block of channels are packed, groups of four bytes whose products can never leave 16 bits
 * together, whatever the codes, are put into one bin: their products are added in 16 bits and
 * widened once. Bins are exact by construction, not by luck.
 *
 * Packed: for each block of 16 output channels int32 bias[16], int32 mult[16], uint32 bins[4] (how
 * many bins of 1, 2, 3, 4 groups), padding to 64 bytes; int32 offset of each group in bin order (in
 * input bytes), padded to 64 bytes; then the weights of each group in the same order, [channel][4].
 */
#include <immintrin.h>
#include <stdlib.h>

#include "engine/kernel/isa.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { CHANNELS = 16, BIN_MAX = 4, HEAD_BYTES = 192, GROUP_BYTES = 4 * CHANNELS, TILE = 4 };

static uint32_t row_groups(const struct kernel_conv *conv)
{
    return (conv->kernel_w * conv->in_c + 3) / 4;
}

static uint32_t group_count(const struct kernel_conv *conv)
{
    return conv->kernel_h * row_groups(conv);
}

static size_t offsets_bytes(const struct kernel_conv *conv)
{
    return ((size_t)group_count(conv) * sizeof(int32_t) + 63) & ~(size_t)63;
}

static size_t block_bytes(const struct kernel_conv *conv)
{
    return HEAD_BYTES + offsets_bytes(conv) + (size_t)group_count(conv) * GROUP_BYTES;
}

size_t kernel_conv_packed_bytes_avx2(const struct kernel_conv *conv)
{
    return block_bytes(conv) * ((conv->out_c + CHANNELS - 1) / CHANNELS);
}

/* Largest positive and negative 16-bit sums that each of the block's 2 * 16 lanes can reach. */
struct load {
    int32_t high[2 * CHANNELS], low[2 * CHANNELS];
};

static void group_weights(const struct kernel_conv *conv, const int8_t *weights, uint32_t first,
                          uint32_t group, int8_t *to)
{
    const uint32_t run = conv->kernel_w * conv->in_c;
    const uint32_t ky = group / row_groups(conv), start = group % row_groups(conv) * 4;

    for (uint32_t i = 0; i < CHANNELS; i++) {
        for (uint32_t j = 0; j < 4; j++) {
            to[4 * i + j] = 0;
            if (first + i < conv->out_c && start + j < run) {
                to[4 * i + j] =
                    weights[((size_t)(first + i) * conv->kernel_h + ky) * run + start + j];
            }
        }
    }
}

static void add_group(struct load *load, const int8_t *group, int32_t in_max)
{
    for (uint32_t i = 0; i < GROUP_BYTES; i++) {
        *(group[i] > 0 ? &load->high[i / 2] : &load->low[i / 2]) += group[i] * in_max;
    }
}

static int fits(const struct load *a, const struct load *b)
{
    for (uint32_t i = 0; i < 2 * CHANNELS; i++) {
        if (a->high[i] + b->high[i] > INT16_MAX || a->low[i] + b->low[i] < INT16_MIN) {
            return 0;
        }
    }
    return 1;
}

/*
 * First fit with look-ahead, in the given order: each unplaced group starts a bin and takes the
 * next groups that still fit. Not optimal; near 100% of trained layers' groups find at least one
 * partner.
 */
static void sort_into_bins(const struct load *load, uint32_t count, uint32_t *bin_of,
                           uint32_t *bin_size)
{
    for (uint32_t i = 0; i < count; i++) {
        bin_of[i] = UINT32_MAX;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct load sum = load[i];

        if (bin_of[i] != UINT32_MAX) {
            continue;
        }
        bin_of[i] = i;
        bin_size[i] = 1;
        for (uint32_t j = i + 1; j < count && bin_size[i] < BIN_MAX; j++) {
            if (bin_of[j] != UINT32_MAX || !fits(&sum, &load[j])) {
                continue;
            }
            bin_of[j] = i;
            bin_size[i]++;
            for (uint32_t lane = 0; lane < 2 * CHANNELS; lane++) {
                sum.high[lane] += load[j].high[lane];
                sum.low[lane] += load[j].low[lane];
            }
        }
    }
}

/* Groups that cannot be binned for lack of memory go alone: slower, equally right. */
static void order_groups(const struct kernel_conv *conv, const int8_t *weights, uint32_t first,
                         uint32_t bins[BIN_MAX], int32_t *order)
{
    const uint32_t count = group_count(conv);
    struct load *load = calloc(count, sizeof(*load));
    uint32_t *bin_of = calloc(2 * (size_t)count, sizeof(*bin_of));
    uint32_t *bin_size = bin_of + count, at = 0;
    int8_t group[GROUP_BYTES];

    if (load == NULL || bin_of == NULL) {
        bins[0] = count;
        for (uint32_t i = 0; i < count; i++) {
            order[i] = (int32_t)i;
        }
        free(load);
        free(bin_of);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        group_weights(conv, weights, first, i, group);
        add_group(&load[i], group, (int32_t)conv->in_max);
    }
    sort_into_bins(load, count, bin_of, bin_size);
    for (uint32_t size = 1; size <= BIN_MAX; size++) {
        for (uint32_t bin = 0; bin < count; bin++) {
            if (bin_of[bin] != bin || bin_size[bin] != size) {
                continue;
            }
            bins[size - 1]++;
            for (uint32_t i = bin, placed = 0; placed < size; i++) {
                if (bin_of[i] == bin) {
                    order[at++] = (int32_t)i;
                    placed++;
                }
            }
        }
    }
    free(load);
    free(bin_of);
}

void kernel_conv_pack_avx2(const struct kernel_conv *conv, const int8_t *weights,
                           const int32_t *bias, const int32_t *mult, void *packed)
{
    const uint32_t count = group_count(conv);
    int8_t *to = packed;

    for (uint32_t first = 0; first < conv->out_c; first += CHANNELS, to += block_bytes(conv)) {
        int32_t *head = (int32_t *)(void *)to;
        int32_t *order = head + HEAD_BYTES / sizeof(*head);
        int8_t *group = to + HEAD_BYTES + offsets_bytes(conv);

        for (uint32_t i = 0; i < HEAD_BYTES / sizeof(*head); i++) {
            head[i] = 0;
        }
        for (uint32_t i = 0; i < CHANNELS && first + i < conv->out_c; i++) {
            head[i] = bias[first + i];
            head[CHANNELS + i] = mult != NULL ? mult[first + i] : 0;
        }
        order_groups(conv, weights, first, (uint32_t *)head + 2 * CHANNELS, order);
        for (uint32_t i = 0; i < count; i++, group += GROUP_BYTES) {
            uint32_t index = (uint32_t)order[i];
            group_weights(conv, weights, first, index, group);
            order[i] =
                (int32_t)(index / row_groups(conv) * conv->in_row + index % row_groups(conv) * 4);
        }
    }
}

struct block {
    const struct kernel_conv *conv;
    const int32_t *bias, *mult, *offsets;
    const uint32_t *bins;
    const int8_t *weights;
    uint32_t first, left;
};

/* `bins` bins of `size` groups: 16-bit sums inside a bin, widened once. */
ALWAYS_INLINE void add_bins(__m256i sum[TILE][2], const uint8_t *const *from,
                            const int32_t **offsets, const int8_t **weights, uint32_t bins,
                            uint32_t size, uint32_t pixels)
{
    const __m256i ones = _mm256_set1_epi16(1);

    for (uint32_t bin = 0; bin < bins; bin++) {
        __m256i part[TILE][2];
        for (uint32_t group = 0; group < size; group++) {
            const __m256i low = _mm256_load_si256((const __m256i *)(const void *)*weights);
            const __m256i high = _mm256_load_si256((const __m256i *)(const void *)(*weights + 32));
            for (uint32_t i = 0; i < pixels; i++) {
                __m256i codes = _mm256_broadcastd_epi32(_mm_loadu_si32(from[i] + **offsets));
                __m256i a = _mm256_maddubs_epi16(codes, low);
                __m256i b = _mm256_maddubs_epi16(codes, high);
                part[i][0] = group == 0 ? a : _mm256_add_epi16(part[i][0], a);
                part[i][1] = group == 0 ? b : _mm256_add_epi16(part[i][1], b);
            }
            *weights += GROUP_BYTES;
            *offsets += 1;
        }
        for (uint32_t i = 0; i < pixels; i++) {
            sum[i][0] = _mm256_add_epi32(sum[i][0], _mm256_madd_epi16(part[i][0], ones));
            sum[i][1] = _mm256_add_epi32(sum[i][1], _mm256_madd_epi16(part[i][1], ones));
        }
    }
}

ALWAYS_INLINE __m256i requantise(const struct kernel_conv *conv, __m256i t, __m256i mult)
{
    t = _mm256_slli_epi32(t, (int)conv->preshift);
    __m256i even = _mm256_srli_epi64(_mm256_mul_epi32(t, mult), 32);
    __m256i odd = _mm256_mul_epi32(_mm256_srli_epi64(t, 32), _mm256_srli_epi64(mult, 32));
    __m256i high = _mm256_blend_epi32(even, odd, 0xaa);
    high = _mm256_add_epi32(high, _mm256_set1_epi32((int32_t)(1u << (conv->shift - 1))));
    high = _mm256_srai_epi32(high, (int)conv->shift);
    high = _mm256_max_epi32(high, _mm256_setzero_si256());
    return _mm256_min_epi32(high, _mm256_set1_epi32(127));
}

/* 16 results of one pixel to element `at` of out, the channels beyond the last left out. */
ALWAYS_INLINE void put(const struct block *block, const __m256i sum[2], void *out, size_t at)
{
    const struct kernel_conv *conv = block->conv;
    const uint32_t count = block->left < CHANNELS ? block->left : CHANNELS;

    at += block->first;
    if (!conv->requantise) {
        int32_t wide[CHANNELS];
        _mm256_storeu_si256((__m256i *)(void *)wide, sum[0]);
        _mm256_storeu_si256((__m256i *)(void *)(wide + 8), sum[1]);
        for (uint32_t i = 0; i < count; i++) {
            ((int32_t *)out)[at + i] = wide[i];
        }
        return;
    }
    const __m256i *mult = (const __m256i *)(const void *)block->mult;
    __m256i a = requantise(conv, sum[0], _mm256_load_si256(mult));
    __m256i b = requantise(conv, sum[1], _mm256_load_si256(mult + 1));
    a = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
    __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    uint8_t *to = (uint8_t *)out + at;
    if (count == CHANNELS) {
        _mm_storeu_si128((__m128i *)(void *)to, bytes);
    } else {
        uint8_t narrow[CHANNELS];
        _mm_storeu_si128((__m128i *)(void *)narrow, bytes);
        for (uint32_t i = 0; i < count; i++) {
            to[i] = narrow[i];
        }
    }
}

ALWAYS_INLINE void tile(const struct block *block, const uint8_t *const *from, void *out,
                        const size_t *at, uint32_t pixels, int pool)
{
    const __m256i *bias = (const __m256i *)(const void *)block->bias;
    const int32_t *offsets = block->offsets;
    const int8_t *weights = block->weights;
    __m256i sum[TILE][2];

    for (uint32_t i = 0; i < pixels; i++) {
        sum[i][0] = _mm256_load_si256(bias);
        sum[i][1] = _mm256_load_si256(bias + 1);
    }
    add_bins(sum, from, &offsets, &weights, block->bins[0], 1, pixels);
    add_bins(sum, from, &offsets, &weights, block->bins[1], 2, pixels);
    add_bins(sum, from, &offsets, &weights, block->bins[2], 3, pixels);
    add_bins(sum, from, &offsets, &weights, block->bins[3], 4, pixels);
    if (pool) {
        for (uint32_t v = 0; v < 2; v++) {
            sum[0][v] = _mm256_max_epi32(_mm256_max_epi32(sum[0][v], sum[1][v]),
                                         _mm256_max_epi32(sum[2][v], sum[3][v]));
        }
    }
    for (uint32_t i = 0; i < (pool ? 1 : pixels); i++) {
        put(block, sum[i], out, at[i]);
    }
}

/* A tile at a time in reading order; the last tile repeats the last pixel. */
ALWAYS_INLINE void map(const struct block *block, const uint8_t *in, void *out, size_t out_row,
                       uint32_t pixels, int pool)
{
    const struct kernel_conv *conv = block->conv;
    const size_t step_y = (size_t)conv->stride_y * conv->in_row;
    const size_t step_x = (size_t)conv->stride_x * conv->in_c;
    const uint8_t *from[TILE];
    size_t at[TILE];
    uint32_t x = 0, y = 0, results = pool ? 1 : pixels;

    while (y < conv->out_h) {
        for (uint32_t i = 0; i < results; i++) {
            at[i] = y * out_row + (size_t)x * conv->out_c;
            from[i] = in + (pool ? 2 : 1) * (y * step_y + x * step_x);
            if (x + 1 < conv->out_w) {
                x++;
            } else if (y + 1 < conv->out_h || i + 1 == results) {
                x = 0;
                y++;
            }
        }
        if (pool) {
            from[1] = from[0] + step_x;
            from[2] = from[0] + step_y;
            from[3] = from[0] + step_y + step_x;
        }
        tile(block, from, out, at, pixels, pool);
    }
}

static void map_pooled(const struct block *block, const uint8_t *in, void *out, size_t out_row)
{
    map(block, in, out, out_row, TILE, 1);
}

static void map_plain(const struct block *block, const uint8_t *in, void *out, size_t out_row)
{
    map(block, in, out, out_row, TILE, 0);
}

static void map_single(const struct block *block, const uint8_t *in, void *out, size_t out_row)
{
    map(block, in, out, out_row, 1, 0);
}

void kernel_conv_run_avx2(const struct kernel_conv *conv, const void *packed, const uint8_t *in,
                          void *out, size_t out_row)
{
    const int8_t *at = packed;

    for (uint32_t first = 0; first < conv->out_c; first += CHANNELS, at += block_bytes(conv)) {
        const int32_t *head = (const int32_t *)(const void *)at;
        struct block block = {
            .conv = conv,
            .bias = head,
            .mult = head + CHANNELS,
            .bins = (const uint32_t *)head + 2 * CHANNELS,
            .offsets = head + HEAD_BYTES / sizeof(*head),
            .weights = at + HEAD_BYTES + offsets_bytes(conv),
            .first = first,
            .left = conv->out_c - first,
        };
        (conv->pool == 2                  ? map_pooled
         : conv->out_w * conv->out_h == 1 ? map_single
                                          : map_plain)(&block, in, out, out_row);
    }
}
