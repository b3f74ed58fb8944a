/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * s8 convolution with 256-bit vectors, built twice: with AVX2 alone (kernel_*_avx2) and with the
 * dot product of AVX-VNNI (kernel_*_avxvnni). A tile of output pixels times 16 output channels
 * stays in registers; four neighbouring bytes of a pixel's run (a group) are broadcast and
 * multiplied with four weights of each channel. A test builds it a third time, with the same
 * instruction in the coding of AVX-512 (KERNEL_CONV_EVEX), for processors that have only that one.
 *
 * AVX2 multiplies in 16 bits (vpmaddubsw, which cannot saturate: codes are at most 127) and widens
 * to 32 bits (vpmaddwd). The multiplies are what limits it, so 16-bit sums are added before they
 * are widened wherever the weights and the largest code show that they cannot overflow: of two
 * groups, or, with small codes, of all.
 *
 * Packed: for each block of 16 output channels its head (isa.h), a uint32 that counts the pairs of
 * groups, the offset of each group in the input, pairs first, and in the same order the weights
 * [channel][4]. Runs are filled up with zero weights to a multiple of four.
 */
#include <immintrin.h>

#include "engine/kernel/isa.h"
#include "engine/kernel/requantise_avx2.h"

#if defined(KERNEL_CONV_EVEX)
KERNEL_CONV_DECLARE(evex);
#define NAME(function)        kernel_conv_##function##_evex
#define DOT(sum, codes, four) _mm256_dpbusd_epi32(sum, codes, four)
#elif defined(__AVXVNNI__)
#define NAME(function)        kernel_conv_##function##_avxvnni
#define DOT(sum, codes, four) _mm256_dpbusd_avx_epi32(sum, codes, four)
#else
#define NAME(function) kernel_conv_##function##_avx2
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Pixels of a tile: as many as leave registers for weights and codes, and four with pooling. */
#if defined(DOT)
enum { LANES = 8, CHANNELS = 16, POOLED = 4, TILE = 6 };
#else
enum { LANES = 8, CHANNELS = 16, POOLED = 4, TILE = 4 };
#endif

static uint32_t all_groups(const struct kernel_conv *conv)
{
    return conv->kernel_h * kernel_conv_groups(conv);
}

/* Of the head, the number of pairs and the offsets. */
static size_t head_bytes(const struct kernel_conv *conv)
{
    return (kernel_conv_head_bytes(conv, CHANNELS) + 4 * (1 + (size_t)all_groups(conv)) + 63) &
           ~(size_t)63;
}

static size_t block_bytes(const struct kernel_conv *conv)
{
    return head_bytes(conv) + (size_t)CHANNELS * 4 * all_groups(conv);
}

size_t NAME(packed_bytes)(const struct kernel_conv *conv)
{
    return block_bytes(conv) * ((conv->out_c + CHANNELS - 1) / CHANNELS);
}

static void pack_group(const struct kernel_conv *conv, const int8_t *weights, uint32_t channel,
                       uint32_t group, int8_t *to)
{
    kernel_conv_pack_group(conv, weights, channel, group / kernel_conv_groups(conv),
                           group % kernel_conv_groups(conv), to);
}

#if defined(DOT)

/* Nothing is gained by pairs. */
static uint32_t order_groups(const struct kernel_conv *conv, const int8_t *weights, uint32_t first,
                             uint32_t *order)
{
    (void)weights;
    (void)first;
    for (uint32_t group = 0; group < all_groups(conv); group++) {
        order[group] = group;
    }
    return 0;
}

#else

/* Whether no codes can bring the 16-bit sums of a group and the next, added, out of range. */
static int fit_together(const struct kernel_conv *conv, const int8_t *weights, uint32_t first,
                        uint32_t group)
{
    for (uint32_t channel = first; channel < first + CHANNELS; channel++) {
        int8_t taps[8];

        pack_group(conv, weights, channel, group, taps);
        pack_group(conv, weights, channel, group + 1, taps + 4);
        for (uint32_t lane = 0; lane < 4; lane += 2) {
            const int of_lane[] = {taps[lane], taps[lane + 1], taps[lane + 4], taps[lane + 5]};
            int above = 0, below = 0;

            for (int i = 0; i < 4; i++) {
                above += of_lane[i] > 0 ? of_lane[i] : 0;
                below -= of_lane[i] < 0 ? of_lane[i] : 0;
            }
            if ((uint32_t)(above > below ? above : below) * conv->in_max > INT16_MAX) {
                return 0;
            }
        }
    }
    return 1;
}

/* Writes the groups' numbers, those of pairs first; returns the number of pairs. */
static uint32_t order_groups(const struct kernel_conv *conv, const int8_t *weights, uint32_t first,
                             uint32_t *order)
{
    const uint32_t count = all_groups(conv);
    uint32_t pairs = 0, singles = 0;

    for (uint32_t group = 0; group < count;) {
        if (group + 1 < count && fit_together(conv, weights, first, group)) {
            order[2 * pairs] = group++;
            order[2 * pairs + 1] = group++;
            pairs++;
        } else {
            order[count - ++singles] = group++;
        }
    }
    return pairs;
}

#endif

void NAME(pack)(const struct kernel_conv *conv, const int8_t *weights, const int32_t *bias,
                const int32_t *mult, const int32_t *threshold, void *packed)
{
    const uint32_t per_row = kernel_conv_groups(conv);
    int8_t *to = packed;

    for (uint32_t first = 0; first < conv->out_c; first += CHANNELS) {
        uint32_t *pairs = (uint32_t *)(void *)(to + kernel_conv_head_bytes(conv, CHANNELS));
        uint32_t *order = pairs + 1;

        kernel_conv_pack_head(conv, weights, bias, mult, threshold, first, CHANNELS, to);
        *pairs = order_groups(conv, weights, first, order);
        to += head_bytes(conv);
        for (uint32_t g = 0; g < all_groups(conv); g++) {
            for (uint32_t i = 0; i < CHANNELS; i++, to += 4) {
                pack_group(conv, weights, first + i, order[g], to);
            }
            order[g] = order[g] / per_row * conv->in_row + order[g] % per_row * 4;
        }
    }
}

/* One block of channels at work: where its weights are and where its results go. */
struct block {
    const struct kernel_conv *conv;
    const int32_t *bias;
    const void *parameter; /* see the head in isa.h */
    int narrow;
    uint32_t pairs;
    const uint32_t *offsets;
    const int8_t *weights;
    uint32_t first, left; /* channels */
};

/* How many thresholds each t does not reach, negative; in 32 and in 16 bits. */
ALWAYS_INLINE __m256i missed(const struct block *block, __m256i t, uint32_t vector)
{
    const int32_t *threshold = (const int32_t *)block->parameter + vector * LANES;
    __m256i n = _mm256_setzero_si256();

    for (uint32_t i = 0; i < block->conv->levels; i++, threshold += CHANNELS) {
        __m256i each = _mm256_load_si256((const __m256i *)(const void *)threshold);
        n = _mm256_add_epi32(n, _mm256_cmpgt_epi32(each, t));
    }
    return n;
}

ALWAYS_INLINE __m256i missed_narrow(const struct block *block, __m256i t, uint32_t levels)
{
    const __m256i *threshold = block->parameter;
    __m256i n = _mm256_setzero_si256();

    for (uint32_t i = 0; i < levels; i++) {
        n = _mm256_add_epi16(n, _mm256_cmpgt_epi16(_mm256_load_si256(threshold + i), t));
    }
    return n;
}

/* The channels of two vectors in order, held to 16 bits. */
ALWAYS_INLINE __m256i in_pairs(__m256i low, __m256i high)
{
    return _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8);
}

ALWAYS_INLINE __m128i in_bytes(__m256i pairs)
{
    return _mm_packs_epi16(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
}

ALWAYS_INLINE __m128i codes_of(const struct block *block, __m256i low, __m256i high)
{
    const __m128i codes = _mm_loadl_epi64((const __m128i *)(const void *)block->conv->codes);
    __m256i n;

    if (block->narrow && block->conv->levels == KERNEL_CONV_LEVELS_MAX) { /* without a loop */
        n = missed_narrow(block, in_pairs(low, high), KERNEL_CONV_LEVELS_MAX);
    } else if (block->narrow) {
        n = missed_narrow(block, in_pairs(low, high), block->conv->levels);
    } else {
        n = in_pairs(missed(block, low, 0), missed(block, high, 1));
    }
    n = _mm256_add_epi16(n, _mm256_set1_epi16((int16_t)block->conv->levels));
    return _mm_shuffle_epi8(codes, in_bytes(n));
}

ALWAYS_INLINE __m128i in_u7(const struct block *block, __m256i low, __m256i high)
{
    const struct requantise how = requantise_init(block->conv->preshift, block->conv->shift);
    const __m256i *mult = block->parameter;
    const __m256i first = _mm256_load_si256(mult), second = _mm256_load_si256(mult + 1);

    low = requantise(&how, low, first, _mm256_srli_epi64(first, 32));
    high = requantise(&how, high, second, _mm256_srli_epi64(second, 32));
    const __m256i pairs = in_pairs(low, high);
    return _mm_min_epu8(
        _mm_packus_epi16(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1)),
        _mm_set1_epi8(127));
}

/* The 16 results of one pixel to element `at` of out, the channels beyond the last left out. */
ALWAYS_INLINE void put(const struct block *block, __m256i low, __m256i high, void *out, size_t at)
{
    const struct kernel_conv *conv = block->conv;
    const uint32_t count = block->left < CHANNELS ? block->left : CHANNELS;
    union {
        int32_t words[CHANNELS];
        uint8_t bytes[CHANNELS];
    } whole;
    __m128i bytes;

    at += block->first;
    if (conv->output == KERNEL_CONV_SUMS) {
        _mm256_storeu_si256((__m256i *)(void *)whole.words, low);
        _mm256_storeu_si256((__m256i *)(void *)(whole.words + LANES), high);
        for (uint32_t i = 0; i < count; i++) {
            ((int32_t *)out)[at + i] = whole.words[i];
        }
        return;
    }
    if (conv->output == KERNEL_CONV_U7) {
        bytes = in_u7(block, low, high);
    } else {
        bytes = codes_of(block, low, high);
    }
    if (count == CHANNELS) {
        _mm_storeu_si128((__m128i *)(void *)((uint8_t *)out + at), bytes);
        return;
    }
    _mm_storeu_si128((__m128i *)(void *)whole.bytes, bytes);
    for (uint32_t i = 0; i < count; i++) {
        ((uint8_t *)out)[at + i] = whole.bytes[i];
    }
}

ALWAYS_INLINE __m256i load(const int8_t *weights)
{
    return _mm256_load_si256((const __m256i *)(const void *)weights);
}

ALWAYS_INLINE __m256i codes_at(const uint8_t *from)
{
    return _mm256_broadcastd_epi32(_mm_loadu_si32(from));
}

/* Done with this sum: without a word the compiler makes all products before it adds any, which
 * takes more registers than there are. */
ALWAYS_INLINE __m256i now(__m256i sums)
{
    __asm__("" : "+x"(sums));
    return sums;
}

#if defined(DOT)

/* Bias and all groups. The sums have names of their own until they are complete, since the compiler
 * keeps in memory what is later read in a loop. */
ALWAYS_INLINE void sum_all(const struct block *block, const uint8_t *const *from,
                           __m256i sum[TILE][2], uint32_t pixels)
{
    const uint32_t count = all_groups(block->conv);
    const __m256i *bias = (const __m256i *)(const void *)block->bias;
    const int8_t *weights = block->weights;
    __m256i part[TILE][2];

    for (uint32_t i = 0; i < pixels; i++) {
        part[i][0] = bias[0];
        part[i][1] = bias[1];
    }
    for (uint32_t group = 0; group < count; group++, weights += 64) {
        const __m256i low = load(weights), high = load(weights + 32);
        const size_t offset = block->offsets[group];

        for (uint32_t i = 0; i < pixels; i++) {
            const __m256i codes = codes_at(from[i] + offset);
            part[i][0] = now(DOT(part[i][0], codes, low));
            part[i][1] = now(DOT(part[i][1], codes, high));
        }
    }
    for (uint32_t i = 0; i < pixels; i++) {
        sum[i][0] = part[i][0];
        sum[i][1] = part[i][1];
    }
}

#else

ALWAYS_INLINE __m256i widen(__m256i sums)
{
    return _mm256_madd_epi16(sums, _mm256_set1_epi16(1));
}

/* Bias and all groups: pairs, then what is left alone. */
ALWAYS_INLINE void sum_wide(const struct block *block, const uint8_t *const *from,
                            __m256i sum[TILE][2], uint32_t pixels)
{
    const uint32_t count = all_groups(block->conv);
    const __m256i *bias = (const __m256i *)(const void *)block->bias;
    const uint32_t *at = block->offsets;
    const int8_t *weights = block->weights;

    for (uint32_t i = 0; i < pixels; i++) {
        sum[i][0] = bias[0];
        sum[i][1] = bias[1];
    }
    for (uint32_t pair = 0; pair < block->pairs; pair++, at += 2, weights += 128) {
        for (uint32_t i = 0; i < pixels; i++) {
            const __m256i a = codes_at(from[i] + at[0]), b = codes_at(from[i] + at[1]);
            for (uint32_t v = 0; v < 2; v++) {
                __m256i sums =
                    _mm256_add_epi16(_mm256_maddubs_epi16(a, load(weights + v * 32)),
                                     _mm256_maddubs_epi16(b, load(weights + 64 + v * 32)));
                sum[i][v] = now(_mm256_add_epi32(sum[i][v], widen(sums)));
            }
        }
    }
    for (uint32_t group = 2 * block->pairs; group < count; group++, at++, weights += 64) {
        for (uint32_t i = 0; i < pixels; i++) {
            const __m256i codes = codes_at(from[i] + *at);
            for (uint32_t v = 0; v < 2; v++) {
                __m256i sums = _mm256_maddubs_epi16(codes, load(weights + v * 32));
                sum[i][v] = now(_mm256_add_epi32(sum[i][v], widen(sums)));
            }
        }
    }
}

/* The same where 16 bits hold the sum of all groups: the 32-bit sums need no registers till then.
 */
ALWAYS_INLINE void sum_narrow(const struct block *block, const uint8_t *const *from,
                              __m256i sum[TILE][2], uint32_t pixels)
{
    const uint32_t count = all_groups(block->conv);
    const __m256i *bias = (const __m256i *)(const void *)block->bias;
    const int8_t *weights = block->weights;
    __m256i narrow[TILE][2];

    for (uint32_t i = 0; i < pixels; i++) {
        narrow[i][0] = narrow[i][1] = _mm256_setzero_si256();
    }
    for (uint32_t group = 0; group < count; group++, weights += 64) {
        for (uint32_t i = 0; i < pixels; i++) {
            const __m256i codes = codes_at(from[i] + block->offsets[group]);
            for (uint32_t v = 0; v < 2; v++) {
                narrow[i][v] = now(_mm256_add_epi16(
                    narrow[i][v], _mm256_maddubs_epi16(codes, load(weights + v * 32))));
            }
        }
    }
    for (uint32_t i = 0; i < pixels; i++) {
        sum[i][0] = _mm256_add_epi32(bias[0], widen(narrow[i][0]));
        sum[i][1] = _mm256_add_epi32(bias[1], widen(narrow[i][1]));
    }
}

ALWAYS_INLINE void sum_all(const struct block *block, const uint8_t *const *from,
                           __m256i sum[TILE][2], uint32_t pixels)
{
    const struct kernel_conv *conv = block->conv;

    if ((uint64_t)all_groups(conv) * 2 * 127 * conv->in_max <= INT16_MAX) {
        sum_narrow(block, from, sum, pixels);
    } else {
        sum_wide(block, from, sum, pixels);
    }
}

#endif

/* from[i] is the first tap of pixel i. With pooling the four pixels are one block and at[0] its
 * output element. */
ALWAYS_INLINE void tile(const struct block *block, const uint8_t *const *from, void *out,
                        const size_t *at, uint32_t pixels, int pool)
{
    __m256i sum[TILE][2];

    sum_all(block, from, sum, pixels);
    for (uint32_t v = 0; pool && v < 2; v++) {
        sum[0][v] = _mm256_max_epi32(_mm256_max_epi32(sum[0][v], sum[1][v]),
                                     _mm256_max_epi32(sum[2][v], sum[3][v]));
    }
    for (uint32_t i = 0; i < (pool ? 1 : pixels); i++) {
        put(block, sum[i][0], sum[i][1], out, at[i]);
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
    map(block, in, out, out_row, POOLED, 1);
}

static void map_plain(const struct block *block, const uint8_t *in, void *out, size_t out_row)
{
    map(block, in, out, out_row, TILE, 0);
}

static void map_single(const struct block *block, const uint8_t *in, void *out, size_t out_row)
{
    map(block, in, out, out_row, 1, 0);
}

void NAME(run)(const struct kernel_conv *conv, const void *packed, const uint8_t *in, void *out,
               size_t out_row)
{
    const int8_t *at = packed;

    for (uint32_t first = 0; first < conv->out_c; first += CHANNELS, at += block_bytes(conv)) {
        const int32_t *head = (const int32_t *)(const void *)at;
        const uint32_t *pairs =
            (const uint32_t *)(const void *)(at + kernel_conv_head_bytes(conv, CHANNELS));
        struct block block = {
            .conv = conv,
            .bias = head,
            .parameter = head + CHANNELS,
            .narrow = conv->output == KERNEL_CONV_CODES && head[(1 + conv->levels) * CHANNELS] != 0,
            .pairs = *pairs,
            .offsets = pairs + 1,
            .weights = at + head_bytes(conv),
            .first = first,
            .left = conv->out_c - first,
        };
        if (conv->pool == 2) {
            map_pooled(&block, in, out, out_row);
        } else if (conv->out_w * conv->out_h == 1) { /* a dense layer */
            map_single(&block, in, out, out_row);
        } else {
            map_plain(&block, in, out, out_row);
        }
    }
}
