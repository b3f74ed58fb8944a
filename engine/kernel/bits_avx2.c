/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Bit convolutions with AVX2. There is no instruction that counts bits, but vpshufb looks up 32
 * nibbles at once: the nibbles of 32 channels' weights are the indices, and the table, chosen by
 * the same nibble of two pixels, holds the number of bits that differ from the first pixel in its
 * low half byte and from the second in its high one. Sums of three steps fit a half byte (3 * 4 <
 * 16); they are added up in two bytes, one of them shifted by four, from which both counts follow.
 *
 * A ternary weight is the mean of two binary ones, zeros being +1 in the first and -1 in the
 * second; so ternary weights are two passes, and in general s = base - (count << shift) with base
 * the number of non-zero channels of the patch and shift = 1 for one pass, 0 for two. s >=
 * threshold is count <= limit; for a ternary input, whose base depends on the pixel, count - (base
 * >> shift) <= limit[base & shift]. All of these fit 16 bits.
 *
 * Steps: each word of a patch is eight low nibbles, then eight high ones, fewer where a pixel's
 * last word has fewer bytes; steps are filled up with zeros to a multiple of three. Packed: for
 * each block of 128, 64 or 32 output channels the limits, int16 [2][vector][even, odd][16], then
 * for each step the nibbles of the weights, a byte each.
 */
#include <immintrin.h>
#include <string.h>

#include "engine/kernel/bits_avx2.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

#define BITS(n)                (((n)&1) + ((n) >> 1 & 1) + ((n) >> 2 & 1) + ((n) >> 3 & 1))
#define PAIR_ENTRY(a, b, w)    (BITS((a) ^ (w)) + 16 * BITS((b) ^ (w)))
#define TERNARY_ENTRY(a, b, w) BITS((a) & ((b) ^ (w)))
#define ROW(entry, a, b)                                                                           \
    {                                                                                              \
        entry(a, b, 0), entry(a, b, 1), entry(a, b, 2), entry(a, b, 3), entry(a, b, 4),            \
            entry(a, b, 5), entry(a, b, 6), entry(a, b, 7), entry(a, b, 8), entry(a, b, 9),        \
            entry(a, b, 10), entry(a, b, 11), entry(a, b, 12), entry(a, b, 13), entry(a, b, 14),   \
            entry(a, b, 15)                                                                        \
    }
#define ROWS(entry, b)                                                                             \
    ROW(entry, 0, b), ROW(entry, 1, b), ROW(entry, 2, b), ROW(entry, 3, b), ROW(entry, 4, b),      \
        ROW(entry, 5, b), ROW(entry, 6, b), ROW(entry, 7, b), ROW(entry, 8, b), ROW(entry, 9, b),  \
        ROW(entry, 10, b), ROW(entry, 11, b), ROW(entry, 12, b), ROW(entry, 13, b),                \
        ROW(entry, 14, b), ROW(entry, 15, b)
#define TABLE(entry)                                                                               \
    {                                                                                              \
        ROWS(entry, 0), ROWS(entry, 1), ROWS(entry, 2), ROWS(entry, 3), ROWS(entry, 4),            \
            ROWS(entry, 5), ROWS(entry, 6), ROWS(entry, 7), ROWS(entry, 8), ROWS(entry, 9),        \
            ROWS(entry, 10), ROWS(entry, 11), ROWS(entry, 12), ROWS(entry, 13), ROWS(entry, 14),   \
            ROWS(entry, 15)                                                                        \
    }

/* [nibble of pixel b][nibble of pixel a][nibble of weights]: bits that differ from a, from b. */
static const uint8_t pair_table[256][16] __attribute__((aligned(64))) = TABLE(PAIR_ENTRY);
/* [signs][non-zero bits][nibble of weights]: bits that differ and are not zero. */
static const uint8_t ternary_table[256][16] __attribute__((aligned(64))) = TABLE(TERNARY_ENTRY);

/* One pixel of the output, or one of the four that are pooled. */
struct patch {
    size_t from, to; /* words or elements from the start of the input, of the output */
    uint32_t base;   /* s = base - (count << shift) */
};

/* A convolution at work, and the patches that are worked on together. */
struct work {
    const struct kernel_bits_conv *conv;
    const uint64_t *signs, *nonzero;
    uint32_t shift, groups, flush; /* flush: groups between two flushes */
    uint32_t run, last_bytes;      /* words of a patch's row, bytes of a pixel's last word */
    int one_word;                  /* in a patch: a gathered one */
    uint32_t
        row_steps; /* entries of `step` from one pair (binary) or patch (ternary) to the next */
    uint32_t pairs;
    struct patch patch[2 * PAIRS];
    __m256i count[PAIRS][VECTORS][4]; /* [first, second patch][even, odd channels] */
    uint16_t step[4 * STEPS_MAX];     /* offsets of table rows; two pairs of ternary patches */
};

/* Table rows of the steps of two words: nibbles of a choose one of 16 rows, nibbles of b the 16. */
ALWAYS_INLINE void two_words_steps(__m128i a, __m128i b, uint16_t *to)
{
    const __m128i low = _mm_set1_epi8(0x0f), high = _mm_set1_epi8((char)0xf0);
    const __m128i a_low = _mm_and_si128(_mm_slli_epi16(a, 4), high),
                  a_high = _mm_and_si128(a, high);
    const __m128i b_low = _mm_and_si128(b, low), b_high = _mm_and_si128(_mm_srli_epi16(b, 4), low);
    __m128i *steps = (__m128i *)(void *)to;

    _mm_storeu_si128(steps, _mm_unpacklo_epi8(a_low, b_low));
    _mm_storeu_si128(steps + 1, _mm_unpacklo_epi8(a_high, b_high));
    _mm_storeu_si128(steps + 2, _mm_unpackhi_epi8(a_low, b_low));
    _mm_storeu_si128(steps + 3, _mm_unpackhi_epi8(a_high, b_high));
}

/* The same of one word, of which `bytes` count. */
ALWAYS_INLINE void word_steps(const uint64_t *a, const uint64_t *b, uint32_t bytes, uint16_t *to)
{
    const __m128i low = _mm_set1_epi8(0x0f), high = _mm_set1_epi8((char)0xf0);
    const __m128i va = _mm_loadl_epi64((const __m128i *)(const void *)a);
    const __m128i vb = _mm_loadl_epi64((const __m128i *)(const void *)b);

    _mm_storeu_si128(
        (__m128i *)(void *)to,
        _mm_unpacklo_epi8(_mm_and_si128(_mm_slli_epi16(va, 4), high), _mm_and_si128(vb, low)));
    _mm_storeu_si128(
        (__m128i *)(void *)(to + bytes),
        _mm_unpacklo_epi8(_mm_and_si128(va, high), _mm_and_si128(_mm_srli_epi16(vb, 4), low)));
}

/* The steps of one pass over the words of patches a and b; returns their end. */
ALWAYS_INLINE uint16_t *pass_of_patch(const struct work *work, const uint64_t *a, const uint64_t *b,
                                      uint16_t *to)
{
    const uint32_t of_pixel = words(work->conv->in_c);

    for (uint32_t ky = 0; ky < work->conv->kernel_h; ky++) {
        uint32_t i = 0;

        for (; work->last_bytes == 8 && i + 2 <= work->run; i += 2, to += 32) {
            two_words_steps(_mm_loadu_si128((const __m128i *)(const void *)(a + i)),
                            _mm_loadu_si128((const __m128i *)(const void *)(b + i)), to);
        }
        for (uint32_t word = 0; i < work->run; i++) {
            const uint32_t bytes = ++word == of_pixel ? work->last_bytes : 8;

            word_steps(a + i, b + i, bytes, to);
            to += 2 * (size_t)bytes;
            word = word == of_pixel ? 0 : word;
        }
        a += work->conv->in_row;
        b += work->conv->in_row;
    }
    return to;
}

/* The steps of patches a and b, or of the two halves of one ternary patch. */
ALWAYS_INLINE void patch_steps(const struct work *work, const uint64_t *a, const uint64_t *b,
                               uint16_t *to)
{
    if (work->one_word) {
        word_steps(a, b, work->last_bytes, to);
        to += 2 * (size_t)work->last_bytes;
    } else {
        to = pass_of_patch(work, a, b, to);
    }
    if (work->shift == 0) {
        to = pass_of_patch(work, a, b, to);
    }
    to[0] = 0;
    to[1] = 0;
}

ALWAYS_INLINE __m256i table_row(const uint8_t (*table)[16], uint32_t offset)
{
    const void *row = (const uint8_t *)table + offset;

    return _mm256_broadcastsi128_si256(_mm_load_si128(row));
}

/* Adds to the counts, or starts them with, the counts of patches a and b. */
ALWAYS_INLINE void add_counts(__m256i a_even, __m256i a_odd, __m256i b_even, __m256i b_odd,
                              int is_first, __m256i count[4])
{
    count[0] = is_first ? a_even : _mm256_add_epi16(count[0], a_even);
    count[1] = is_first ? a_odd : _mm256_add_epi16(count[1], a_odd);
    count[2] = is_first ? b_even : _mm256_add_epi16(count[2], b_even);
    count[3] = is_first ? b_odd : _mm256_add_epi16(count[3], b_odd);
}

/*
 * The counts of a pair from its byte sums. plain holds a + 16 b of each channel modulo 256, a and b
 * below 256 being the counts of the two patches; shifted the same divided by 16, as 16-bit numbers,
 * so that its low byte is b of the even channel + 16 a of the odd one, its high byte b of the odd
 * one.
 */
ALWAYS_INLINE void flush_pair(__m256i plain, __m256i shifted, int is_first, __m256i count[4])
{
    const __m256i byte = _mm256_set1_epi16(255);
    const __m256i b_odd = _mm256_srli_epi16(shifted, 8);
    const __m256i a_odd = _mm256_and_si256(
        _mm256_sub_epi16(_mm256_srli_epi16(plain, 8), _mm256_slli_epi16(b_odd, 4)), byte);
    const __m256i b_even =
        _mm256_and_si256(_mm256_sub_epi16(shifted, _mm256_slli_epi16(a_odd, 4)), byte);
    const __m256i a_even =
        _mm256_and_si256(_mm256_sub_epi16(plain, _mm256_slli_epi16(b_even, 4)), byte);

    add_counts(a_even, a_odd, b_even, b_odd, is_first, count);
}

/* At most FLUSH groups of a pair of binary patches. weights: those of the first of them. */
ALWAYS_INLINE void count_pair(const __m256i *weights, const uint16_t *step, uint32_t groups,
                              uint32_t vectors, int is_first, __m256i count[VECTORS][4])
{
    __m256i plain[VECTORS], shifted[VECTORS];

    for (uint32_t v = 0; v < vectors; v++) {
        plain[v] = _mm256_setzero_si256();
        shifted[v] = _mm256_setzero_si256();
    }
    for (uint32_t i = 0; i < groups; i++, step += GROUP, weights += (size_t)GROUP * vectors) {
        const __m256i row[] = {table_row(pair_table, step[0]), table_row(pair_table, step[1]),
                               table_row(pair_table, step[2])};

        for (uint32_t v = 0; v < vectors; v++) {
            __m256i sum = _mm256_shuffle_epi8(row[0], weights[v]);
            sum = _mm256_add_epi8(sum, _mm256_shuffle_epi8(row[1], weights[vectors + v]));
            sum = _mm256_add_epi8(sum, _mm256_shuffle_epi8(row[2], weights[2 * vectors + v]));
            __m256i next_plain = _mm256_add_epi8(plain[v], sum);
            __m256i next_shifted = _mm256_add_epi8(shifted[v], _mm256_srli_epi16(sum, 4));
            /* One vector after the other: gcc would mix them and run out of registers. */
            __asm__ volatile("" : "+x"(next_plain), "+x"(next_shifted));
            plain[v] = next_plain;
            shifted[v] = next_shifted;
        }
    }
    for (uint32_t v = 0; v < vectors; v++) {
        flush_pair(plain[v], shifted[v], is_first, count[v]);
    }
}

/* The same of two ternary patches, whose tables are too many to be of pairs. */
ALWAYS_INLINE void count_ternary(const __m256i *weights, const uint16_t *a, const uint16_t *b,
                                 uint32_t groups, uint32_t vectors, int is_first,
                                 __m256i count[VECTORS][4])
{
    const __m256i byte = _mm256_set1_epi16(255);
    __m256i sum_a[VECTORS], sum_b[VECTORS];

    for (uint32_t v = 0; v < vectors; v++) {
        sum_a[v] = _mm256_setzero_si256();
        sum_b[v] = _mm256_setzero_si256();
    }
    for (uint32_t i = 0; i < groups; i++, a += GROUP, b += GROUP) {
        for (uint32_t j = 0; j < GROUP; j++, weights += vectors) {
            const __m256i row_a = table_row(ternary_table, a[j]);
            const __m256i row_b = table_row(ternary_table, b[j]);

            for (uint32_t v = 0; v < vectors; v++) {
                __m256i weight = weights[v];

                __asm__("" : "+x"(weight)); /* loaded once */
                sum_a[v] = _mm256_add_epi8(sum_a[v], _mm256_shuffle_epi8(row_a, weight));
                sum_b[v] = _mm256_add_epi8(sum_b[v], _mm256_shuffle_epi8(row_b, weight));
            }
        }
    }
    for (uint32_t v = 0; v < vectors; v++) {
        add_counts(_mm256_and_si256(sum_a[v], byte), _mm256_srli_epi16(sum_a[v], 8),
                   _mm256_and_si256(sum_b[v], byte), _mm256_srli_epi16(sum_b[v], 8), is_first,
                   count[v]);
    }
}

/* At most FLUSH groups, from `group` on, of all pairs for one block of channels. */
ALWAYS_INLINE void count_groups(struct work *work, const __m256i *weights, uint32_t group,
                                uint32_t count, uint32_t vectors, int ternary, int is_first)
{
    const uint16_t *step = work->step + group * GROUP;

    for (uint32_t pair = 0; pair < work->pairs; pair++) {
        if (ternary) {
            count_ternary(weights, step, step + work->row_steps, count, vectors, is_first,
                          work->count[pair]);
            step += work->row_steps;
        } else {
            count_pair(weights, step, count, vectors, is_first, work->count[pair]);
        }
        step += work->row_steps;
    }
}

ALWAYS_INLINE void count_block(struct work *work, const void *packed, uint32_t vectors, int ternary)
{
    const __m256i *weights = packed;

    count_groups(work, weights, 0, work->flush, vectors, ternary, 1);
    for (uint32_t group = work->flush; group < work->groups; group += work->flush) {
        const uint32_t left = work->groups - group;

        count_groups(work, weights + (size_t)group * GROUP * vectors, group,
                     left < work->flush ? left : work->flush, vectors, ternary, 0);
    }
}

/* 32 bits of a patch: which counts + start are not above the limits. */
ALWAYS_INLINE uint32_t compare(const __m256i count[2], __m256i start, const __m256i limits[2])
{
    const __m256i even = _mm256_cmpgt_epi16(_mm256_add_epi16(count[0], start), limits[0]);
    const __m256i odd = _mm256_cmpgt_epi16(_mm256_add_epi16(count[1], start), limits[1]);
    const __m256i above = _mm256_or_si256(_mm256_srli_epi16(even, 8), _mm256_slli_epi16(odd, 8));

    return ~(uint32_t)_mm256_movemask_epi8(above);
}

ALWAYS_INLINE void put_bits(const struct work *work, const int16_t *limits, uint32_t first,
                            uint32_t vectors, int ternary, uint64_t *out)
{
    const uint32_t together = work->conv->pool == 2 ? 4 : 1;
    const __m256i *of = (const __m256i *)(const void *)limits;
    __m256i start = _mm256_setzero_si256();

    for (uint32_t p = 0; p < 2 * work->pairs; p += together) {
        uint32_t bits[VECTORS] = {0};

        for (uint32_t i = p; i < p + together; i++) {
            const uint32_t base = work->patch[i].base;
            size_t odd = 0;

            if (ternary) {
                odd = base & work->shift;
                start = _mm256_set1_epi16((int16_t) - (int32_t)(base >> work->shift));
            }
            for (uint32_t v = 0; v < vectors; v++) {
                bits[v] |= compare(&work->count[i / 2][v][i % 2 * 2], start,
                                   of + odd * 2 * vectors + (size_t)2 * v);
            }
        }
        memcpy(out + work->patch[p].to + first / 64, bits, vectors == 4 ? 16 : 8);
    }
}

/* The sums of 32 channels of a patch. */
ALWAYS_INLINE void sums_of(const struct work *work, const struct patch *patch,
                           const __m256i count[2], __m256i sums[4])
{
    const __m256i base = _mm256_set1_epi32((int32_t)patch->base);
    const __m256i low = _mm256_unpacklo_epi16(count[0], count[1]);
    const __m256i high = _mm256_unpackhi_epi16(count[0], count[1]);
    const __m128i part[] = {_mm256_castsi256_si128(low), _mm256_castsi256_si128(high),
                            _mm256_extracti128_si256(low, 1), _mm256_extracti128_si256(high, 1)};

    for (uint32_t i = 0; i < 4; i++) {
        const __m256i wide = _mm256_slli_epi32(_mm256_cvtepi16_epi32(part[i]), (int)work->shift);
        sums[i] = _mm256_sub_epi32(base, wide);
    }
}

static void put_sums(const struct work *work, uint32_t first, uint32_t vectors, int32_t *out)
{
    const uint32_t together = work->conv->pool == 2 ? 4 : 1, left = work->conv->out_c - first;

    for (uint32_t p = 0; p < 2 * work->pairs; p += together) {
        for (uint32_t v = 0; v < vectors && v * LANES < left; v++) {
            const uint32_t channels = left - v * LANES < LANES ? left - v * LANES : LANES;
            __m256i best[4], sums[4];

            sums_of(work, &work->patch[p], &work->count[p / 2][v][p % 2 * 2], best);
            for (uint32_t i = p + 1; i < p + together; i++) {
                sums_of(work, &work->patch[i], &work->count[i / 2][v][i % 2 * 2], sums);
                for (uint32_t k = 0; k < 4; k++) {
                    best[k] = _mm256_max_epi32(best[k], sums[k]);
                }
            }
            memcpy(out + work->patch[p].to + first + v * LANES, best, channels * sizeof(*out));
        }
    }
}

/* One block of channels. */
ALWAYS_INLINE void run_block(struct work *work, const void *packed, uint32_t first,
                             uint32_t vectors, int ternary, void *out)
{
    const int16_t *limits = packed;

    count_block(work, limits + (size_t)2 * vectors * LANES, vectors, ternary);
    if (work->conv->sums) {
        put_sums(work, first, vectors, out);
    } else {
        put_bits(work, limits, first, vectors, ternary, out);
    }
}

#define RUN_BLOCK(vectors)                                                                         \
    static void run_block_##vectors(struct work *work, const void *packed, uint32_t first,         \
                                    void *out)                                                     \
    {                                                                                              \
        if (work->nonzero != NULL) {                                                               \
            run_block(work, packed, first, vectors, 1, out);                                       \
        } else {                                                                                   \
            run_block(work, packed, first, vectors, 0, out);                                       \
        }                                                                                          \
    }
RUN_BLOCK(4)
RUN_BLOCK(2)
RUN_BLOCK(1)

static void run_blocks(struct work *work, const void *packed, void *out)
{
    const struct kernel_bits_conv *conv = work->conv;
    const uint8_t *block = packed;

    for (uint32_t first = 0; first < conv->out_c;) {
        const uint32_t vectors = block_vectors(conv, first);

        (vectors == 4   ? run_block_4
         : vectors == 2 ? run_block_2
                        : run_block_1)(work, block, first, out);
        block += block_bytes(conv, vectors);
        first += vectors * LANES;
    }
}

static uint32_t count_nonzero(const struct work *work, const uint64_t *patch)
{
    uint32_t count = 0;

    for (uint32_t ky = 0; ky < work->conv->kernel_h; ky++, patch += work->conv->in_row) {
        for (uint32_t i = 0; i < work->run; i++) {
            count += (uint32_t)__builtin_popcountll(patch[i]);
        }
    }
    return count;
}

/* The walk over the output pixels in reading order. */
struct walk {
    uint32_t x, y;
    size_t from, from_x, from_y; /* of this pixel's (first) patch, and from it to the next */
    size_t to, to_x, to_y;
    size_t patch_x, patch_y; /* from one patch of a pooled block to the next */
};

static void walk_init(struct walk *walk, const struct kernel_bits_conv *conv, size_t out_row)
{
    const size_t step_x = (size_t)conv->stride_x * words(conv->in_c);
    const size_t step_y = (size_t)conv->stride_y * conv->in_row;
    const size_t to_x = conv->sums ? conv->out_c : words(conv->out_c);

    *walk = (struct walk){
        .from_x = step_x * conv->pool,
        .from_y = step_y * conv->pool - step_x * conv->pool * (conv->out_w - 1),
        .to_x = to_x,
        .to_y = out_row - to_x * (conv->out_w - 1),
        .patch_x = step_x,
        .patch_y = step_y,
    };
}

/* On to the next pixel; after the last one it stays. */
ALWAYS_INLINE void walk_on(struct walk *walk, const struct kernel_bits_conv *conv)
{
    if (walk->x + 1 < conv->out_w) {
        walk->x++;
        walk->from += walk->from_x;
        walk->to += walk->to_x;
    } else if (walk->y + 1 < conv->out_h) {
        walk->x = 0;
        walk->y++;
        walk->from += walk->from_y;
        walk->to += walk->to_y;
    }
}

/* Where the next pairs are. */
static void place(struct work *work, struct walk *walk)
{
    for (uint32_t p = 0; p < 2 * work->pairs; p++) {
        const uint32_t part = work->conv->pool == 2 ? p % 4 : 0;

        work->patch[p].from = walk->from + part / 2 * walk->patch_y + part % 2 * walk->patch_x;
        work->patch[p].to = walk->to;
        if (work->conv->pool != 2 || part == 3) {
            walk_on(walk, work->conv);
        }
    }
}

static void prepare_binary(struct work *work)
{
    for (uint32_t pair = 0; pair < work->pairs; pair++) {
        patch_steps(work, work->signs + work->patch[2 * pair].from,
                    work->signs + work->patch[2 * pair + 1].from,
                    work->step + (size_t)pair * work->row_steps);
    }
}

static void prepare_ternary(struct work *work)
{
    for (uint32_t p = 0; p < 2 * work->pairs; p++) {
        struct patch *patch = &work->patch[p];

        patch->base = count_nonzero(work, work->nonzero + patch->from);
        patch_steps(work, work->nonzero + patch->from, work->signs + patch->from,
                    work->step + (size_t)p * work->row_steps);
    }
}

static void work_init(struct work *work, const struct kernel_bits_conv *conv, const uint64_t *signs,
                      const uint64_t *nonzero)
{
    work->conv = conv;
    work->signs = signs;
    work->nonzero = nonzero;
    work->shift = conv->ternary_weights ? 0 : 1;
    work->groups = groups(conv);
    const uint32_t flushes = (work->groups + FLUSH - 1) / FLUSH;
    work->flush = (work->groups + flushes - 1) / flushes;
    work->run = conv->kernel_w * words(conv->in_c);
    work->last_bytes = word_bytes(conv->in_c, words(conv->in_c) - 1);
    work->one_word = conv->kernel_h * work->run == 1;
    work->row_steps = work->groups * GROUP + SLACK;
    for (uint32_t p = 0; p < 2 * PAIRS; p++) {
        work->patch[p].base = conv->kernel_h * conv->kernel_w * conv->in_c;
    }
}

void kernel_bits_run_avx2(const struct kernel_bits_conv *conv, const void *packed,
                          const uint64_t *signs, const uint64_t *nonzero, void *out, size_t out_row)
{
    const size_t patches = (size_t)conv->out_w * conv->out_h * conv->pool * conv->pool;
    struct walk walk;
    struct work work;

    if (is_word(conv)) {
        kernel_bits_word_run(conv, packed, signs, nonzero, out, out_row);
        return;
    }
    walk_init(&walk, conv, out_row);
    work_init(&work, conv, signs, nonzero);
    uint32_t together = USUAL / ((conv->ternary_input ? 2 : 1) * work.row_steps) & ~1u;
    together = together > PAIRS ? PAIRS : together < conv->pool ? conv->pool : together;
    for (size_t left = (patches + 1) / 2; left > 0; left -= work.pairs) {
        work.pairs = left < together ? (uint32_t)left : together;
        place(&work, &walk);
        if (conv->ternary_input) {
            prepare_ternary(&work);
        } else {
            prepare_binary(&work);
        }
        run_blocks(&work, packed, out);
    }
}
