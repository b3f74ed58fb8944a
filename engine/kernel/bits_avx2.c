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
 * the number of non-zero channels of the patch and shift = 1 for one pass, 0 for two. Counts start
 * at -(base >> shift), which keeps them in 16 bits; s >= threshold is then count <= limit[base &
 * shift].
 *
 * Steps: each word of a patch is eight low nibbles, then eight high ones, fewer where a pixel's
 * last word has fewer bytes; steps are filled up with zeros to a multiple of three. Packed: for
 * each block of 128, 64 or 32 output channels the limits, int16 [2][vector][even, odd][16], then
 * for each step the nibbles of the weights, a byte each.
 */
#include <immintrin.h>
#include <string.h>

#include "engine/kernel/isa.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

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

static uint32_t words(uint32_t channels)
{
    return (channels + 63) / 64;
}

/* The bits of word `word` of a pixel that are channels. */
static uint64_t valid_bits(uint32_t channels, uint32_t word)
{
    return word == channels / 64 ? (UINT64_C(1) << channels % 64) - 1 : UINT64_MAX;
}

/* Bytes of word `word` of a pixel that have channels. */
static uint32_t word_bytes(uint32_t channels, uint32_t word)
{
    return word == channels / 64 ? (channels % 64 + 7) / 8 : 8;
}

/* Steps of one pass. */
static uint32_t pass_steps(const struct kernel_bits_conv *conv)
{
    return conv->kernel_h * conv->kernel_w * 2 * ((conv->in_c + 7) / 8);
}

static uint32_t groups(const struct kernel_bits_conv *conv)
{
    return (pass_steps(conv) * (conv->ternary_weights ? 2 : 1) + GROUP - 1) / GROUP;
}

static uint32_t block_vectors(const struct kernel_bits_conv *conv, uint32_t first)
{
    const uint32_t left = conv->out_c - first;

    return left > 2 * LANES ? 4 : left > LANES ? 2 : 1;
}

static size_t block_bytes(const struct kernel_bits_conv *conv, uint32_t vectors)
{
    return (size_t)vectors * LANES * (2 * sizeof(int16_t) + (size_t)GROUP * groups(conv));
}

size_t kernel_bits_packed_bytes_avx2(const struct kernel_bits_conv *conv)
{
    size_t bytes = 0;

    for (uint32_t first = 0; first < conv->out_c;) {
        uint32_t vectors = block_vectors(conv, first);
        bytes += block_bytes(conv, vectors);
        first += vectors * LANES;
    }
    return bytes;
}

/* The largest count whose sum reaches the threshold; no count is as low as INT16_MIN. */
static int16_t limit(const struct kernel_bits_conv *conv, int64_t threshold, uint32_t odd)
{
    const int64_t most = (odd - threshold) >> (conv->ternary_weights ? 0 : 1);

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

/* One pixel of the output, or one of the four that are pooled. */
struct patch {
    size_t from, to;    /* words or elements from the start of the input, of the output */
    int16_t start, odd; /* of the count; base & shift */
};

/* A convolution at work, and the patches that are worked on together. */
struct work {
    const struct kernel_bits_conv *conv;
    const uint64_t *signs, *nonzero;
    uint32_t shift, groups;
    uint32_t
        row_steps; /* entries of `steps` from one pair (binary) or patch (ternary) to the next */
    uint32_t pairs;
    struct patch patch[2 * PAIRS];
    __m256i count[PAIRS][VECTORS][4]; /* [first, second patch][even, odd channels] */
    uint16_t step[4 * STEPS_MAX];     /* offsets of table rows; two pairs of ternary patches */
};

/* Table rows of a word's steps: nibbles of a choose within 16 rows, nibbles of b among them. */
ALWAYS_INLINE void word_steps(uint64_t a, uint64_t b, uint32_t bytes, uint16_t *to)
{
    const __m128i low = _mm_set1_epi8(0x0f), high = _mm_set1_epi8((char)0xf0);
    const __m128i va = _mm_cvtsi64_si128((long long)a), vb = _mm_cvtsi64_si128((long long)b);

    _mm_storeu_si128(
        (__m128i *)(void *)to,
        _mm_unpacklo_epi8(_mm_and_si128(_mm_slli_epi16(va, 4), high), _mm_and_si128(vb, low)));
    _mm_storeu_si128(
        (__m128i *)(void *)(to + bytes),
        _mm_unpacklo_epi8(_mm_and_si128(va, high), _mm_and_si128(_mm_srli_epi16(vb, 4), low)));
}

/* The steps of patches a and b, or of the two halves of one ternary patch. */
static void patch_steps(const struct work *work, const uint64_t *a, const uint64_t *b, uint16_t *to)
{
    const struct kernel_bits_conv *conv = work->conv;
    const uint32_t run = conv->kernel_w * words(conv->in_c), last = words(conv->in_c) - 1;
    const uint32_t last_bytes = word_bytes(conv->in_c, last);
    uint16_t *start = to;

    for (uint32_t ky = 0; ky < conv->kernel_h; ky++) {
        const size_t row = (size_t)ky * conv->in_row;

        for (uint32_t i = 0; i < run; i++) {
            const uint32_t bytes = last_bytes == 8 || i % (last + 1) != last ? 8 : last_bytes;

            word_steps(a[row + i], b[row + i], bytes, to);
            to += 2 * bytes;
        }
    }
    if (work->shift == 0) {
        memcpy(to, start, (size_t)(to - start) * sizeof(*to));
        to += to - start;
    }
    memset(to, 0, (GROUP - 1) * sizeof(*to));
}

ALWAYS_INLINE __m256i table_row(const uint8_t (*table)[16], uint32_t offset)
{
    const void *row = (const uint8_t *)table + offset;

    return _mm256_broadcastsi128_si256(_mm_load_si128(row));
}

/* The table of one step for a pair of patches. */
ALWAYS_INLINE __m256i pair_row(const uint16_t *first, const uint16_t *second, uint32_t step,
                               int ternary)
{
    if (!ternary) {
        return table_row(pair_table, first[step]);
    }
    return _mm256_or_si256(table_row(ternary_table, first[step]),
                           _mm256_slli_epi16(table_row(ternary_table, second[step]), 4));
}

/*
 * Adds to the counts what the byte sums say. plain holds a + 16 b of each channel modulo 256, a and
 * b below 256 being the counts of the two patches; shifted the same divided by 16, as 16-bit
 * numbers, so that its low byte is b of the even channel + 16 a of the odd one, its high byte b of
 * the odd one.
 */
ALWAYS_INLINE void flush(__m256i plain, __m256i shifted, __m256i count[4])
{
    const __m256i byte = _mm256_set1_epi16(255);
    const __m256i b_odd = _mm256_srli_epi16(shifted, 8);
    const __m256i a_odd = _mm256_and_si256(
        _mm256_sub_epi16(_mm256_srli_epi16(plain, 8), _mm256_slli_epi16(b_odd, 4)), byte);
    const __m256i b_even =
        _mm256_and_si256(_mm256_sub_epi16(shifted, _mm256_slli_epi16(a_odd, 4)), byte);
    const __m256i a_even =
        _mm256_and_si256(_mm256_sub_epi16(plain, _mm256_slli_epi16(b_even, 4)), byte);

    count[0] = _mm256_add_epi16(count[0], a_even);
    count[1] = _mm256_add_epi16(count[1], a_odd);
    count[2] = _mm256_add_epi16(count[2], b_even);
    count[3] = _mm256_add_epi16(count[3], b_odd);
}

/* At most FLUSH groups of one pair. weights: those of the first of them. */
ALWAYS_INLINE void count_groups(const uint8_t *weights, const uint16_t *first,
                                const uint16_t *second, uint32_t count, uint32_t vectors,
                                int ternary, __m256i sums[VECTORS][4])
{
    __m256i plain[VECTORS], shifted[VECTORS];

    for (uint32_t v = 0; v < vectors; v++) {
        plain[v] = _mm256_setzero_si256();
        shifted[v] = _mm256_setzero_si256();
    }
    for (uint32_t i = 0; i < count; i++) {
        const __m256i *w = (const __m256i *)(const void *)weights + (size_t)i * GROUP * vectors;
        const __m256i row0 = pair_row(first, second, GROUP * i, ternary);
        const __m256i row1 = pair_row(first, second, GROUP * i + 1, ternary);
        const __m256i row2 = pair_row(first, second, GROUP * i + 2, ternary);

        for (uint32_t v = 0; v < vectors; v++) {
            __m256i sum = _mm256_shuffle_epi8(row0, _mm256_load_si256(w + v));
            sum =
                _mm256_add_epi8(sum, _mm256_shuffle_epi8(row1, _mm256_load_si256(w + vectors + v)));
            sum = _mm256_add_epi8(
                sum, _mm256_shuffle_epi8(row2, _mm256_load_si256(w + 2 * vectors + v)));
            plain[v] = _mm256_add_epi8(plain[v], sum);
            shifted[v] = _mm256_add_epi8(shifted[v], _mm256_srli_epi16(sum, 4));
        }
    }
    for (uint32_t v = 0; v < vectors; v++) {
        flush(plain[v], shifted[v], sums[v]);
    }
}

/* The counts of all pairs for one block of channels. */
ALWAYS_INLINE void count_block(struct work *work, const uint8_t *weights, uint32_t vectors,
                               int ternary)
{
    for (uint32_t pair = 0; pair < work->pairs; pair++) {
        for (uint32_t v = 0; v < vectors; v++) {
            for (uint32_t i = 0; i < 4; i++) {
                work->count[pair][v][i] = _mm256_set1_epi16(work->patch[2 * pair + i / 2].start);
            }
        }
    }
    for (uint32_t group = 0; group < work->groups; group += FLUSH) {
        const uint32_t left = work->groups - group, count = left < FLUSH ? left : FLUSH;

        for (uint32_t pair = 0; pair < work->pairs; pair++) {
            const uint16_t *first =
                work->step + (ternary ? 2 * pair : pair) * work->row_steps + group * GROUP;

            count_groups(weights, first, first + work->row_steps, count, vectors, ternary,
                         work->count[pair]);
        }
        weights += (size_t)count * GROUP * vectors * LANES;
    }
}

#define COUNT_BLOCK(vectors, ternary)                                                              \
    static void count_block_##vectors##_##ternary(struct work *work, const uint8_t *weights)       \
    {                                                                                              \
        count_block(work, weights, vectors, ternary);                                              \
    }
COUNT_BLOCK(4, 0)
COUNT_BLOCK(4, 1)
COUNT_BLOCK(2, 0)
COUNT_BLOCK(2, 1)
COUNT_BLOCK(1, 0)
COUNT_BLOCK(1, 1)

/* 32 bits of a patch: which counts are not above the limits. */
ALWAYS_INLINE uint32_t compare(const __m256i count[2], const __m256i limits[2])
{
    const __m256i even = _mm256_cmpgt_epi16(count[0], limits[0]);
    const __m256i odd = _mm256_cmpgt_epi16(count[1], limits[1]);
    const __m256i above = _mm256_or_si256(_mm256_srli_epi16(even, 8), _mm256_slli_epi16(odd, 8));

    return ~(uint32_t)_mm256_movemask_epi8(above);
}

static void put_bits(const struct work *work, const int16_t *limits, uint32_t first,
                     uint32_t vectors, uint64_t *out)
{
    const uint32_t together = work->conv->pool == 2 ? 4 : 1;

    for (uint32_t p = 0; p < 2 * work->pairs; p += together) {
        uint32_t bits[VECTORS] = {0};

        for (uint32_t i = p; i < p + together; i++) {
            const __m256i *of =
                (const __m256i *)(const void *)limits + (size_t)work->patch[i].odd * 2 * vectors;

            for (uint32_t v = 0; v < vectors; v++) {
                bits[v] |= compare(&work->count[i / 2][v][i % 2 * 2], of + (size_t)2 * v);
            }
        }
        memcpy(out + work->patch[p].to + first / 64, bits, vectors == 4 ? 16 : 8);
    }
}

/* The sums of 32 channels of a patch. */
ALWAYS_INLINE void sums_of(const struct work *work, const struct patch *patch,
                           const __m256i count[2], __m256i sums[4])
{
    const __m256i odd = _mm256_set1_epi32(patch->odd);
    const __m256i low = _mm256_unpacklo_epi16(count[0], count[1]);
    const __m256i high = _mm256_unpackhi_epi16(count[0], count[1]);
    const __m128i part[] = {_mm256_castsi256_si128(low), _mm256_castsi256_si128(high),
                            _mm256_extracti128_si256(low, 1), _mm256_extracti128_si256(high, 1)};

    for (uint32_t i = 0; i < 4; i++) {
        const __m256i wide = _mm256_slli_epi32(_mm256_cvtepi16_epi32(part[i]), (int)work->shift);
        sums[i] = _mm256_sub_epi32(odd, wide);
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

static void run_blocks(struct work *work, const void *packed, void *out)
{
    const struct kernel_bits_conv *conv = work->conv;
    const int ternary = conv->ternary_input;
    const uint8_t *block = packed;

    for (uint32_t first = 0; first < conv->out_c;) {
        const uint32_t vectors = block_vectors(conv, first);
        const int16_t *limits = (const int16_t *)(const void *)block;
        const uint8_t *weights = (const uint8_t *)(limits + (size_t)2 * vectors * LANES);

        if (vectors == 4) {
            (ternary ? count_block_4_1 : count_block_4_0)(work, weights);
        } else if (vectors == 2) {
            (ternary ? count_block_2_1 : count_block_2_0)(work, weights);
        } else {
            (ternary ? count_block_1_1 : count_block_1_0)(work, weights);
        }
        if (conv->sums) {
            put_sums(work, first, vectors, out);
        } else {
            put_bits(work, limits, first, vectors, out);
        }
        block += block_bytes(conv, vectors);
        first += vectors * LANES;
    }
}

/* Where the counts of a patch start. */
static void start_patch(const struct work *work, struct patch *patch)
{
    const struct kernel_bits_conv *conv = work->conv;
    const uint32_t run = conv->kernel_w * words(conv->in_c);
    uint32_t base = conv->kernel_h * conv->kernel_w * conv->in_c;

    if (conv->ternary_input) {
        base = 0;
        for (uint32_t ky = 0; ky < conv->kernel_h; ky++) {
            for (uint32_t i = 0; i < run; i++) {
                base += (uint32_t)__builtin_popcountll(
                    work->nonzero[patch->from + (size_t)ky * conv->in_row + i]);
            }
        }
    }
    patch->start = (int16_t) - (int32_t)(base >> work->shift);
    patch->odd = (int16_t)(base & work->shift);
}

/* The walk over the output pixels in reading order. */
struct walk {
    uint32_t y, x;
};

/* The patches of the walk's pixel, and on to the next pixel; after the last one it stays. */
static void place(const struct work *work, struct walk *walk, size_t out_row, struct patch *patch)
{
    const struct kernel_bits_conv *conv = work->conv;
    const size_t to =
        walk->y * out_row + (size_t)walk->x * (conv->sums ? conv->out_c : words(conv->out_c));

    for (uint32_t i = 0; i < conv->pool * conv->pool; i++) {
        const size_t row = ((size_t)walk->y * conv->pool + i / 2) * conv->stride_y;
        const size_t column = ((size_t)walk->x * conv->pool + i % 2) * conv->stride_x;

        patch[i].from = row * conv->in_row + column * words(conv->in_c);
        patch[i].to = to;
        start_patch(work, &patch[i]);
    }
    if (walk->x + 1 < conv->out_w) {
        walk->x++;
    } else if (walk->y + 1 < conv->out_h) {
        walk->x = 0;
        walk->y++;
    }
}

/* Some pairs of patches: where they are, and their steps. */
static void prepare(struct work *work, struct walk *walk, size_t out_row)
{
    const uint32_t of_pixel = work->conv->pool * work->conv->pool;

    for (uint32_t p = 0; p < 2 * work->pairs; p += of_pixel) {
        place(work, walk, out_row, &work->patch[p]);
    }
    if (work->conv->ternary_input) {
        for (uint32_t p = 0; p < 2 * work->pairs; p++) {
            const size_t from = work->patch[p].from;

            patch_steps(work, work->nonzero + from, work->signs + from,
                        work->step + (size_t)p * work->row_steps);
        }
        return;
    }
    for (uint32_t pair = 0; pair < work->pairs; pair++) {
        patch_steps(work, work->signs + work->patch[2 * pair].from,
                    work->signs + work->patch[2 * pair + 1].from,
                    work->step + (size_t)pair * work->row_steps);
    }
}

void kernel_bits_run_avx2(const struct kernel_bits_conv *conv, const void *packed,
                          const uint64_t *signs, const uint64_t *nonzero, void *out, size_t out_row)
{
    const size_t patches = (size_t)conv->out_w * conv->out_h * conv->pool * conv->pool;
    struct walk walk = {0, 0};
    struct work work;

    work.conv = conv;
    work.signs = signs;
    work.nonzero = nonzero;
    work.shift = conv->ternary_weights ? 0 : 1;
    work.groups = groups(conv);
    work.row_steps = work.groups * GROUP + SLACK;
    uint32_t together = USUAL / ((conv->ternary_input ? 2 : 1) * work.row_steps) & ~1u;
    together = together > PAIRS ? PAIRS : together < conv->pool ? conv->pool : together;
    for (size_t left = (patches + 1) / 2; left > 0; left -= work.pairs) {
        work.pairs = left < together ? (uint32_t)left : together;
        prepare(&work, &walk, out_row);
        run_blocks(&work, packed, out);
    }
}

void kernel_bits_gather_avx2(const struct kernel_bits_gather *gather, const uint64_t *in,
                             uint64_t *out)
{
    const uint32_t taps = gather->kernel_h * gather->kernel_w;

    if (taps * gather->in_c > 64 || gather->stride_x != 1) {
        kernel_bits_gather_c(gather, in, out);
        return;
    }
    for (uint32_t y = 0; y < gather->out_h; y++, out += gather->out_w) {
        const uint64_t *row = in + (size_t)y * gather->stride_y * gather->in_row;
        uint32_t x = 0;

        for (; x + 4 <= gather->out_w; x += 4) {
            __m256i sum = _mm256_setzero_si256();
            for (uint32_t tap = 0; tap < taps; tap++) {
                const uint64_t *from = row + (size_t)(tap / gather->kernel_w) * gather->in_row +
                                       tap % gather->kernel_w;
                const __m256i four = _mm256_loadu_si256((const __m256i *)(const void *)(from + x));
                const __m128i shift = _mm_cvtsi32_si128((int)(tap * gather->in_c));
                sum = _mm256_or_si256(sum, _mm256_sll_epi64(four, shift));
            }
            _mm256_storeu_si256((__m256i *)(void *)(out + x), sum);
        }
        for (; x < gather->out_w; x++) {
            out[x] = 0;
            for (uint32_t tap = 0; tap < taps; tap++) {
                out[x] |= row[(size_t)(tap / gather->kernel_w) * gather->in_row +
                              tap % gather->kernel_w + x]
                          << tap * gather->in_c;
            }
        }
    }
}
