/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Bit convolutions with AVX2 of ternary patches that are one word: gathered ones and narrow dense
 * layers, where looking tables up by pixel (bits_avx2.c) spends its time on fetching tables. Here
 * each lane of a vector is a pixel: the nibbles of 32 pixels' positive and negative channels are
 * the indices, and the table, which four weights of one output channel choose, holds the sum of the
 * weights whose bits are set. Sums fit a signed byte; ternary weights cost no more than binary
 * ones.
 *
 * Packed: for each output channel, their number filled up to a multiple of eight, limits first: s
 * >= threshold is s > limit, int8; then the tables, int8 [nibbles of a word][16].
 */
#include <string.h>

#include "engine/kernel/bits_avx2.h"

#include <immintrin.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum {
    BLOCKS = 4, /* vectors of pixels at work together; with pooling the four of each result */
    OCTET = 8,  /* channels whose bits make a byte */
    NIBBLES = 16,
    WORD = 64,
};

static uint32_t octets(const struct kernel_bits_conv *conv)
{
    return (conv->out_c + OCTET - 1) / OCTET;
}

static uint32_t nibbles(const struct kernel_bits_conv *conv)
{
    return (conv->in_c + 3) / 4;
}

static size_t limit_bytes(const struct kernel_bits_conv *conv)
{
    return ((size_t)octets(conv) * OCTET + 31) / 32 * 32;
}

size_t kernel_bits_word_packed_bytes(const struct kernel_bits_conv *conv)
{
    return limit_bytes(conv) + (size_t)octets(conv) * OCTET * nibbles(conv) * 16;
}

/* The table of four weights. */
static void pack_table(uint64_t signs, uint64_t nonzero, int8_t table[16])
{
    for (uint32_t index = 0; index < 16; index++) {
        const uint64_t of = index & nonzero;

        table[index] = (int8_t)(2 * __builtin_popcountll(of & signs) - __builtin_popcountll(of));
    }
}

void kernel_bits_word_pack(const struct kernel_bits_conv *conv, const uint64_t *signs,
                           const uint64_t *nonzero, const int32_t *thresholds, void *packed)
{
    int8_t *limit = packed, *table = limit + limit_bytes(conv);

    memset(packed, 0, kernel_bits_word_packed_bytes(conv));
    for (uint32_t o = 0; o < conv->out_c; o++) {
        const int64_t most = thresholds != NULL ? (int64_t)thresholds[o] - 1 : 0;
        const uint64_t of = nonzero != NULL ? nonzero[o] : UINT64_MAX;

        limit[o] = (int8_t)(most < INT8_MIN ? INT8_MIN : most > INT8_MAX ? INT8_MAX : most);
        for (uint32_t k = 0; k < nibbles(conv); k++, table += 16) {
            pack_table(signs[o] >> 4 * k & 15, of >> 4 * k & 15, table);
        }
    }
    memset(limit + conv->out_c, INT8_MAX, octets(conv) * OCTET - conv->out_c);
}

/* 32 results, or 128 without pooling. */
struct work {
    const struct kernel_bits_conv *conv;
    const uint64_t *signs, *nonzero;
    size_t out_row;
    uint32_t x, y; /* of the next result */
    uint32_t count;
    size_t to[BLOCKS * LANES];         /* where results go */
    uint64_t words[2][BLOCKS][LANES];  /* signs, nonzero of the patches */
    __m256i index[NIBBLES][BLOCKS][2]; /* nibbles: positive, negative channels */
    __m256i bits[BLOCKS][OCTET];       /* bytes of an output word, a lane a pixel */
};

/* Patches next to each other in one half of a map, each `step` words after the one before. */
ALWAYS_INLINE void fetch(const uint64_t *in, size_t step, uint32_t count, uint64_t *words)
{
    for (uint32_t i = 0; i < count; i++, in += step) {
        words[i] = *in;
    }
}

/* The patches of `count` results of a row, the first of which is at x. */
static void fetch_row(struct work *work, uint32_t x, uint32_t count)
{
    const struct kernel_bits_conv *conv = work->conv;
    const size_t down = (size_t)conv->stride_y * conv->in_row, step = conv->stride_x;
    const size_t from = work->y * conv->pool * down + x * conv->pool * step;
    const uint64_t *half[] = {work->signs + from, work->nonzero + from};

    for (uint32_t i = 0; i < 2; i++) {
        if (conv->pool == 1) {
            fetch(half[i], step, count, work->words[i][0] + work->count);
            continue;
        }
        for (uint32_t part = 0; part < BLOCKS; part++) {
            fetch(half[i] + part / 2 * down + part % 2 * step, 2 * step, count,
                  work->words[i][part] + work->count);
        }
    }
}

/* Where the next results are, and their patches. */
static void place(struct work *work)
{
    const struct kernel_bits_conv *conv = work->conv;
    const uint32_t most = conv->pool == 2 ? LANES : BLOCKS * LANES;
    const size_t to_x = conv->sums ? conv->out_c : (conv->out_c + 63) / 64;

    for (work->count = 0; work->count < most && work->y < conv->out_h;) {
        const uint32_t room = most - work->count, left = conv->out_w - work->x;
        const uint32_t count = room < left ? room : left;

        fetch_row(work, work->x, count);
        for (uint32_t i = 0; i < count; i++) {
            work->to[work->count + i] = work->y * work->out_row + (work->x + i) * to_x;
        }
        work->count += count;
        work->x += count;
        if (work->x == conv->out_w) {
            work->x = 0;
            work->y++;
        }
    }
}

/* One of the steps that, four together, turn sixteen words of each half into eight rows of their
 * bytes; three turn the rows back into words. */
ALWAYS_INLINE void shuffle(__m256i v[OCTET])
{
    __m256i to[OCTET];

    for (uint32_t i = 0; i < OCTET / 2; i++) {
        to[2 * i] = _mm256_unpacklo_epi8(v[i], v[i + OCTET / 2]);
        to[2 * i + 1] = _mm256_unpackhi_epi8(v[i], v[i + OCTET / 2]);
    }
    for (uint32_t i = 0; i < OCTET; i++) {
        v[i] = to[i];
    }
}

/* Bytes of 32 words: vector c holds byte c of each. */
ALWAYS_INLINE void bytes_of(__m256i v[OCTET])
{
    for (uint32_t i = 0; i < 4; i++) {
        shuffle(v);
    }
}

/* Words of 32 rows of bytes: vector i holds words 2 i, 2 i + 1, 16 + 2 i and 17 + 2 i. */
ALWAYS_INLINE void words_of(__m256i v[OCTET])
{
    for (uint32_t i = 0; i < 3; i++) {
        shuffle(v);
    }
}

/* Words 2 i, 2 i + 1, 16 + 2 i and 17 + 2 i. */
ALWAYS_INLINE __m256i words_at(const uint64_t *words, uint32_t i)
{
    const __m128i *from = (const __m128i *)(const void *)(words + 2 * (size_t)i);

    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(from)),
                                   _mm_loadu_si128(from + LANES / 4), 1);
}

static void index_block(struct work *work, uint32_t block)
{
    const __m256i low = _mm256_set1_epi8(15);
    __m256i v[2][OCTET];

    for (uint32_t i = 0; i < OCTET; i++) {
        v[0][i] = words_at(work->words[0][block], i);
        v[1][i] = _mm256_andnot_si256(v[0][i], words_at(work->words[1][block], i));
    }
    for (uint32_t half = 0; half < 2; half++) {
        bytes_of(v[half]);
        for (uint32_t i = 0; i < OCTET; i++) {
            work->index[2 * i][block][half] = _mm256_and_si256(v[half][i], low);
            work->index[2 * i + 1][block][half] =
                _mm256_and_si256(_mm256_srli_epi16(v[half][i], 4), low);
        }
    }
}

ALWAYS_INLINE __m256i table_at(const int8_t *table)
{
    return _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(const void *)table));
}

/*
 * The sums of two output channels. Not inlined, so that all sums stay in registers; and one block
 * after the other, its nibbles loaded once, as gcc would mix them.
 */
static __attribute__((noinline)) void sum_two(const struct work *work, const int8_t *tables,
                                              uint32_t count, __m256i to[2][BLOCKS])
{
    const int8_t *second = tables + (size_t)16 * count;
    __m256i sum[2][BLOCKS];

    for (uint32_t b = 0; b < BLOCKS; b++) {
        sum[0][b] = sum[1][b] = _mm256_setzero_si256();
    }
    for (uint32_t k = 0; k < count; k++, tables += 16, second += 16) {
        const __m256i a = table_at(tables), c = table_at(second);

        for (uint32_t b = 0; b < BLOCKS; b++) {
            __m256i plus = work->index[k][b][0], minus = work->index[k][b][1];
            __m256i first_sum, second_sum;

            __asm__ volatile("" : "+x"(plus), "+x"(minus));
            first_sum = _mm256_add_epi8(sum[0][b], _mm256_shuffle_epi8(a, plus));
            second_sum = _mm256_add_epi8(sum[1][b], _mm256_shuffle_epi8(c, plus));
            first_sum = _mm256_sub_epi8(first_sum, _mm256_shuffle_epi8(a, minus));
            second_sum = _mm256_sub_epi8(second_sum, _mm256_shuffle_epi8(c, minus));
            __asm__ volatile("" : "+x"(first_sum), "+x"(second_sum));
            sum[0][b] = first_sum;
            sum[1][b] = second_sum;
        }
    }
    memcpy(to, sum, sizeof(sum));
}

/* With pooling the largest of the four blocks becomes the first. */
ALWAYS_INLINE void pool_blocks(__m256i sum[BLOCKS])
{
    sum[0] = _mm256_max_epi8(_mm256_max_epi8(sum[0], sum[1]), _mm256_max_epi8(sum[2], sum[3]));
}

/* The bits of eight channels from `first` on. */
static void bits_octet(struct work *work, const int8_t *limits, const int8_t *tables,
                       uint32_t first, uint32_t blocks)
{
    const uint32_t count = nibbles(work->conv), octet = first % WORD / OCTET;
    __m256i byte[BLOCKS];

    for (uint32_t b = 0; b < blocks; b++) {
        byte[b] = _mm256_setzero_si256();
    }
    for (uint32_t i = 0; i < OCTET; i += 2, tables += (size_t)32 * count) {
        __m256i sum[2][BLOCKS];

        sum_two(work, tables, count, sum);
        for (uint32_t k = 0; k < 2; k++) {
            const __m256i limit = _mm256_set1_epi8(limits[first + i + k]);
            const __m256i bit = _mm256_set1_epi8((char)(1 << (i + k)));

            if (blocks == 1) {
                pool_blocks(sum[k]);
            }
            for (uint32_t b = 0; b < blocks; b++) {
                const __m256i above = _mm256_cmpgt_epi8(sum[k][b], limit);

                byte[b] = _mm256_or_si256(byte[b], _mm256_and_si256(above, bit));
            }
        }
    }
    for (uint32_t b = 0; b < blocks; b++) {
        work->bits[b][octet] = byte[b];
    }
}

/* Vector `i` of words_of: the result of each of its words. */
ALWAYS_INLINE uint32_t result_of(uint32_t i, uint32_t word)
{
    return word / 2 * 16 + 2 * i + word % 2;
}

/* Writes the output words of up to 64 channels. */
static void put_words(struct work *work, uint32_t octets_done, uint32_t blocks, uint64_t *out)
{
    for (uint32_t b = 0; b < blocks && b * LANES < work->count; b++) {
        __m256i v[OCTET];

        for (uint32_t i = 0; i < OCTET; i++) {
            v[i] = i < octets_done ? work->bits[b][i] : _mm256_setzero_si256();
        }
        words_of(v);
        for (uint32_t i = 0; i < OCTET; i++) {
            uint64_t words[4];

            _mm256_storeu_si256((__m256i *)(void *)words, v[i]);
            for (uint32_t word = 0; word < 4; word++) {
                const uint32_t result = b * LANES + result_of(i, word);

                if (result < work->count) {
                    out[work->to[result]] = words[word];
                }
            }
        }
    }
}

/* Writes the sums of eight channels from `first` on. */
static void sums_octet(struct work *work, const int8_t *tables, uint32_t first, uint32_t blocks,
                       int32_t *out)
{
    const uint32_t count = nibbles(work->conv), left = work->conv->out_c - first;
    const __m256i mask =
        _mm256_cmpgt_epi32(_mm256_set1_epi32((int)left), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    __m256i v[BLOCKS][OCTET];

    for (uint32_t i = 0; i < OCTET; i += 2, tables += (size_t)32 * count) {
        __m256i sum[2][BLOCKS];

        sum_two(work, tables, count, sum);
        for (uint32_t k = 0; k < 2; k++) {
            if (blocks == 1) {
                pool_blocks(sum[k]);
            }
            for (uint32_t b = 0; b < blocks; b++) {
                v[b][i + k] = sum[k][b];
            }
        }
    }
    for (uint32_t b = 0; b < blocks && b * LANES < work->count; b++) {
        words_of(v[b]);
        for (uint32_t i = 0; i < OCTET; i++) {
            const __m128i low = _mm256_castsi256_si128(v[b][i]),
                          high = _mm256_extracti128_si256(v[b][i], 1);
            const __m128i of[] = {low, _mm_srli_si128(low, 8), high, _mm_srli_si128(high, 8)};

            for (uint32_t word = 0; word < 4; word++) {
                const uint32_t result = b * LANES + result_of(i, word);

                if (result >= work->count) {
                    continue;
                }
                const __m256i sums = _mm256_cvtepi8_epi32(of[word]);
                int32_t *to = out + work->to[result] + first;
                if (left >= OCTET) {
                    _mm256_storeu_si256((__m256i *)(void *)to, sums);
                } else {
                    _mm256_maskstore_epi32(to, mask, sums);
                }
            }
        }
    }
}

static void run_round(struct work *work, const void *packed, void *out)
{
    const struct kernel_bits_conv *conv = work->conv;
    const int8_t *limits = packed, *tables = limits + limit_bytes(conv);
    const uint32_t blocks = conv->pool == 2 ? 1 : BLOCKS, all = octets(conv);
    const size_t octet_bytes = (size_t)OCTET * 16 * nibbles(conv);

    for (uint32_t octet = 0; octet < all; octet++, tables += octet_bytes) {
        if (conv->sums) {
            sums_octet(work, tables, octet * OCTET, blocks, out);
            continue;
        }
        bits_octet(work, limits, tables, octet * OCTET, blocks);
        if (octet % OCTET == OCTET - 1 || octet + 1 == all) {
            put_words(work, octet % OCTET + 1, blocks, (uint64_t *)out + octet / OCTET);
        }
    }
}

void kernel_bits_word_run(const struct kernel_bits_conv *conv, const void *packed,
                          const uint64_t *signs, const uint64_t *nonzero, void *out, size_t out_row)
{
    struct work work;

    work.conv = conv;
    work.signs = signs;
    work.nonzero = nonzero;
    work.out_row = out_row;
    work.x = 0;
    work.y = 0;
    memset(work.words, 0, sizeof(work.words)); /* of results that a small map does not have */
    for (place(&work); work.count > 0; place(&work)) {
        for (uint32_t b = 0; b < BLOCKS; b++) {
            index_block(&work, b);
        }
        run_round(&work, packed, out);
    }
}
