/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Bit convolutions with AVX-512 and VPOPCNTDQ. Each 32-bit lane counts for one output channel: a
 * tile of four patches times up to four vectors of 16 channels stays in registers, half a word of a
 * patch is broadcast, and where it differs from the channels' weights is counted.
 *
 * A ternary weight is the mean of two binary ones, zeros being +1 in the first and -1 in the
 * second; so ternary weights are two passes, and in general s = base - (count << shift) with base
 * the number of non-zero channels of the patch and shift = 1 for one pass, 0 for two. s >=
 * threshold is count <= limit; a ternary input, whose base depends on the patch, starts its count
 * at -(base >> shift), and has a limit for each value of base & shift.
 *
 * Packed: for each block of 64, 32 or 16 output channels the limits, int32 [2][block]; then for
 * each pass, row of the kernel and half word of the row the weights, uint32 [block].
 */
#include <immintrin.h>

#include "engine/kernel/bits_avx512.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { TILE = 4, TILES_TOGETHER = 16 };

size_t kernel_bits_packed_bytes_avx512(const struct kernel_bits_conv *conv)
{
    size_t bytes = 0;

    for (uint32_t first = 0; first < conv->out_c;) {
        uint32_t vectors = block_vectors(conv, first);
        bytes += block_bytes(conv, vectors);
        first += vectors * LANES;
    }
    return bytes;
}

/* See the top; no count is as low as INT32_MIN. */
static int32_t limit(const struct kernel_bits_conv *conv, int64_t threshold, uint32_t odd)
{
    const int64_t base =
        conv->ternary_input ? odd : (int64_t)conv->kernel_h * conv->kernel_w * conv->in_c;
    const int64_t most = (base - threshold) >> (conv->ternary_weights ? 0 : 1);

    return (int32_t)(most > INT32_MAX ? INT32_MAX : most);
}

static uint32_t *pack_limits(const struct kernel_bits_conv *conv, const int32_t *thresholds,
                             uint32_t first, uint32_t width, uint32_t *to)
{
    for (uint32_t odd = 0; odd < 2; odd++) {
        for (uint32_t i = 0; i < width; i++) {
            *to++ = first + i < conv->out_c && thresholds != NULL
                        ? (uint32_t)limit(conv, thresholds[first + i], odd)
                        : (uint32_t)INT32_MIN;
        }
    }
    return to;
}

/* The bits of half word `half` of a pixel that are channels. */
static uint32_t valid_bits(uint32_t channels, uint32_t half)
{
    return half == channels / 32 ? (UINT32_C(1) << channels % 32) - 1 : UINT32_MAX;
}

/* One pass over the filters of a block; zeros are 1 where nonzero says so. */
static uint32_t *pack_pass(const struct kernel_bits_conv *conv, const uint64_t *signs,
                           const uint64_t *nonzero, uint32_t first, uint32_t width, uint32_t *to)
{
    const uint32_t taps = conv->kernel_h * conv->kernel_w, of_tap = halves(conv->in_c);

    for (uint32_t k = 0; k < taps * of_tap; k++) {
        const uint32_t half = k % of_tap;

        for (uint32_t i = 0; i < width; i++) {
            const size_t at =
                ((size_t)(first + i) * taps + k / of_tap) * words(conv->in_c) + half / 2;
            uint64_t word = first + i < conv->out_c ? signs[at] : 0;

            if (nonzero != NULL && first + i < conv->out_c) {
                word |= ~nonzero[at];
            }
            *to++ = (uint32_t)(word >> half % 2 * 32) & valid_bits(conv->in_c, half);
        }
    }
    return to;
}

void kernel_bits_pack_avx512(const struct kernel_bits_conv *conv, const uint64_t *signs,
                             const uint64_t *nonzero, const int32_t *thresholds, void *packed)
{
    uint32_t *to = packed;

    for (uint32_t first = 0; first < conv->out_c;) {
        const uint32_t width = block_vectors(conv, first) * LANES;

        to = pack_limits(conv, thresholds, first, width, to);
        if (conv->ternary_weights) {
            to = pack_pass(conv, signs, nonzero, first, width, to);
        }
        to = pack_pass(conv, signs, NULL, first, width, to);
        first += width;
    }
}

/* A convolution at work: what is the same for all of its pixels and channels. */
struct work {
    const struct kernel_bits_conv *conv;
    const uint64_t *signs, *nonzero;
    uint32_t terms, shift;
    uint32_t offset[2 * KERNEL_BITS_WORDS_MAX]; /* half words, from the first one of the patch */
};

/* Four patches; with pooling they are one block, and only to[0] counts. */
struct tile {
    size_t from[TILE], to[TILE]; /* words or elements from the start of the input, of the output */
    int32_t start[TILE];         /* of the count */
    int32_t base[TILE];          /* s = base - (count << shift) */
};

struct block {
    const int32_t *limits;
    const uint32_t *weights;
    uint32_t first, left; /* channels */
};

ALWAYS_INLINE __m512i broadcast(const uint64_t *patch, uint32_t half)
{
    return _mm512_broadcastd_epi32(_mm_loadu_si32((const uint8_t *)patch + (size_t)half * 4));
}

ALWAYS_INLINE void count(const struct work *work, const struct block *block,
                         const struct tile *tile, __m512i sum[TILE][VECTORS], uint32_t pixels,
                         uint32_t vectors, int ternary)
{
    const uint64_t *signs[TILE], *nonzero[TILE];
    const uint32_t *weights = block->weights;

    for (uint32_t p = 0; p < pixels; p++) {
        signs[p] = work->signs + tile->from[p];
        if (ternary) {
            nonzero[p] = work->nonzero + tile->from[p];
        }
        for (uint32_t v = 0; v < vectors; v++) {
            sum[p][v] = _mm512_set1_epi32(ternary ? tile->start[p] : 0);
        }
    }
    uint32_t k = 0;
    do { /* there is always one */
        const uint32_t at = work->offset[k];

        for (uint32_t p = 0; p < pixels; p++) {
            const __m512i sign = broadcast(signs[p], at);

            for (uint32_t v = 0; v < vectors; v++) {
                __m512i differ = _mm512_xor_si512(sign, _mm512_load_si512(weights + v * LANES));
                if (ternary) {
                    differ = _mm512_and_si512(differ, broadcast(nonzero[p], at));
                }
                __m512i next = _mm512_add_epi32(sum[p][v], _mm512_popcnt_epi32(differ));
                /* One count after the other: gcc would do them in steps, which is slower. */
                __asm__ volatile("" : "+v"(next));
                sum[p][v] = next;
            }
        }
        weights += vectors * LANES;
    } while (++k < work->terms);
}

/* The bits of one patch and the block's channels. */
ALWAYS_INLINE uint64_t compare(const int32_t *limits, const __m512i sum[VECTORS], uint32_t vectors)
{
    __mmask16 bits[VECTORS] = {0};

    for (uint32_t v = 0; v < vectors; v++) {
        bits[v] = _mm512_cmple_epi32_mask(sum[v], _mm512_load_si512(limits + v * LANES));
    }
    if (vectors == 4) {
        return _mm512_kunpackd(_mm512_kunpackw(bits[3], bits[2]),
                               _mm512_kunpackw(bits[1], bits[0]));
    }
    return vectors == 2 ? _mm512_kunpackw(bits[1], bits[0]) : bits[0];
}

ALWAYS_INLINE void bits_tile(const struct work *work, const struct block *block,
                             const struct tile *tile, uint64_t *out, uint32_t pixels,
                             uint32_t vectors, int ternary)
{
    const int pool = pixels == TILE && work->conv->pool == 2;
    __m512i sum[TILE][VECTORS];
    uint64_t any = 0;

    count(work, block, tile, sum, pixels, vectors, ternary);
    out += block->first / 64;
    for (uint32_t p = 0; p < pixels; p++) {
        const size_t odd = ternary ? (size_t)tile->base[p] : 0;
        const uint64_t bits = compare(block->limits + odd * vectors * LANES, sum[p], vectors);

        any |= bits;
        if (!pool) {
            out[tile->to[p]] = bits;
        }
    }
    if (pool) {
        out[tile->to[0]] = any;
    }
}

ALWAYS_INLINE void sums_tile(const struct work *work, const struct block *block,
                             const struct tile *tile, int32_t *out, uint32_t pixels,
                             uint32_t vectors, int ternary)
{
    const int pool = pixels == TILE && work->conv->pool == 2;
    __m512i sum[TILE][VECTORS];

    count(work, block, tile, sum, pixels, vectors, ternary);
    out += block->first;
    for (uint32_t v = 0; v < vectors; v++) {
        const uint32_t left = block->left > v * LANES ? block->left - v * LANES : 0;
        const __mmask16 mask = left >= LANES ? (__mmask16)0xffff : (__mmask16)((1u << left) - 1);
        __m512i best = _mm512_set1_epi32(INT32_MIN);

        for (uint32_t p = 0; p < pixels; p++) {
            const __m512i s = _mm512_sub_epi32(_mm512_set1_epi32(tile->base[p]),
                                               _mm512_slli_epi32(sum[p][v], work->shift));

            best = _mm512_max_epi32(best, s);
            if (!pool && left > 0) {
                _mm512_mask_storeu_epi32(out + tile->to[p] + v * LANES, mask, s);
            }
        }
        if (pool && left > 0) {
            _mm512_mask_storeu_epi32(out + tile->to[0] + v * LANES, mask, best);
        }
    }
}

/* Some tiles of one block of channels. */
typedef void tiles_function(const struct work *work, const struct block *block,
                            const struct tile *tiles, uint32_t count, void *out);

#define TILES(kind, pixels, vectors, ternary)                                                      \
    static void kind##_##pixels##_##vectors##_##ternary(                                           \
        const struct work *work, const struct block *block, const struct tile *tiles,              \
        uint32_t count, void *out)                                                                 \
    {                                                                                              \
        for (uint32_t i = 0; i < count; i++) {                                                     \
            kind##_tile(work, block, &tiles[i], out, pixels, vectors, ternary);                    \
        }                                                                                          \
    }
#define TILES_OF(kind, pixels)                                                                     \
    TILES(kind, pixels, 4, 0)                                                                      \
    TILES(kind, pixels, 4, 1)                                                                      \
    TILES(kind, pixels, 2, 0)                                                                      \
    TILES(kind, pixels, 2, 1)                                                                      \
    TILES(kind, pixels, 1, 0)                                                                      \
    TILES(kind, pixels, 1, 1)
TILES_OF(bits, 4)
TILES_OF(bits, 1)
TILES_OF(sums, 4)
TILES_OF(sums, 1)

#define TABLE_OF(kind, pixels)                                                                     \
    {                                                                                              \
        {kind##_##pixels##_1_0, kind##_##pixels##_1_1},                                            \
            {kind##_##pixels##_2_0, kind##_##pixels##_2_1},                                        \
            {kind##_##pixels##_4_0, kind##_##pixels##_4_1},                                        \
    }
/* [sums][one patch][1, 2, 4 vectors][ternary] */
static tiles_function *const tiles_functions[2][2][3][2] = {
    {TABLE_OF(bits, 4), TABLE_OF(bits, 1)},
    {TABLE_OF(sums, 4), TABLE_OF(sums, 1)},
};

/* single: only the first patch of the tiles is used. */
static void run_blocks(const struct work *work, const void *packed, const struct tile *tiles,
                       uint32_t count, int single, void *out)
{
    const struct kernel_bits_conv *conv = work->conv;
    const uint8_t *at = packed;

    for (uint32_t first = 0; first < conv->out_c;) {
        const uint32_t vectors = block_vectors(conv, first);
        const struct block block = {
            .limits = (const int32_t *)(const void *)at,
            .weights = (const uint32_t *)(const void *)at + (size_t)2 * vectors * LANES,
            .first = first,
            .left = conv->out_c - first,
        };
        tiles_functions[conv->sums != 0][single][vectors / 2][conv->ternary_input != 0](
            work, &block, tiles, count, out);
        at += block_bytes(conv, vectors);
        first += vectors * LANES;
    }
}

static void work_init(struct work *work, const struct kernel_bits_conv *conv, const uint64_t *signs,
                      const uint64_t *nonzero)
{
    uint32_t *to = work->offset;

    work->conv = conv;
    work->signs = signs;
    work->nonzero = nonzero;
    work->terms = terms(conv);
    work->shift = conv->ternary_weights ? 0 : 1;
    for (uint32_t pass = work->shift; pass < 2; pass++) {
        for (uint32_t tap = 0; tap < conv->kernel_h * conv->kernel_w; tap++) {
            const uint32_t word =
                tap / conv->kernel_w * conv->in_row + tap % conv->kernel_w * words(conv->in_c);

            for (uint32_t half = 0; half < halves(conv->in_c); half++) {
                *to++ = 2 * word + half;
            }
        }
    }
}

/* Where the counts of a tile's patches start, and how their sums and bits follow. */
static void start_tile(const struct work *work, struct tile *tile)
{
    const __m128i shift = _mm_set1_epi32((int)work->shift);
    const uint8_t *from[TILE];
    __m128i count = _mm_setzero_si128();

    for (uint32_t p = 0; p < TILE; p++) {
        from[p] = (const uint8_t *)(work->nonzero + tile->from[p]);
    }
    for (uint32_t k = 0; k < work->terms >> (1 - work->shift); k++) {
        const size_t at = (size_t)work->offset[k] * 4;
        const __m128i low =
            _mm_unpacklo_epi32(_mm_loadu_si32(from[0] + at), _mm_loadu_si32(from[1] + at));
        const __m128i high =
            _mm_unpacklo_epi32(_mm_loadu_si32(from[2] + at), _mm_loadu_si32(from[3] + at));

        count = _mm_add_epi32(count, _mm_popcnt_epi32(_mm_unpacklo_epi64(low, high)));
    }
    _mm_storeu_si128((__m128i *)(void *)tile->base, _mm_and_si128(count, shift));
    count = _mm_srli_epi32(count, (int)work->shift);
    _mm_storeu_si128((__m128i *)(void *)tile->start, _mm_sub_epi32(_mm_setzero_si128(), count));
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

ALWAYS_INLINE void next_tile(const struct kernel_bits_conv *conv, struct walk *walk,
                             struct tile *tile)
{
    if (conv->pool == 2) {
        tile->to[0] = walk->to;
        tile->from[0] = walk->from;
        tile->from[1] = walk->from + walk->patch_x;
        tile->from[2] = walk->from + walk->patch_y;
        tile->from[3] = walk->from + walk->patch_y + walk->patch_x;
        walk_on(walk, conv);
    } else {
        for (uint32_t p = 0; p < TILE; p++) {
            tile->to[p] = walk->to;
            tile->from[p] = walk->from;
            walk_on(walk, conv);
        }
    }
}

void kernel_bits_run_avx512(const struct kernel_bits_conv *conv, const void *packed,
                            const uint64_t *signs, const uint64_t *nonzero, void *out,
                            size_t out_row)
{
    const size_t results = (size_t)conv->out_h * conv->out_w;
    const int single = conv->pool == 1 && results % TILE == 1; /* one patch is left at the end */
    size_t left = conv->pool == 2 ? results : (results + TILE - 1) / TILE - (single ? 1 : 0);
    struct tile tiles[TILES_TOGETHER];
    struct work work;
    struct walk walk;

    if (conv->ternary_input && !conv->sums && conv->in_c <= 64 &&
        conv->kernel_h * conv->kernel_w == 1) {
        kernel_bits_word_run_avx512(conv, packed, signs, nonzero, out, out_row);
        return;
    }
    work_init(&work, conv, signs, nonzero);
    walk_init(&walk, conv, out_row);
    for (uint32_t i = 0; i < TILES_TOGETHER * TILE; i++) {
        tiles[i / TILE].base[i % TILE] = (int32_t)(conv->kernel_h * conv->kernel_w * conv->in_c);
    }
    while (left > 0) {
        const uint32_t count = left < TILES_TOGETHER ? (uint32_t)left : TILES_TOGETHER;

        for (uint32_t i = 0; i < count; i++) {
            next_tile(conv, &walk, &tiles[i]);
        }
        for (uint32_t i = 0; conv->ternary_input && i < count; i++) {
            start_tile(&work, &tiles[i]);
        }
        run_blocks(&work, packed, tiles, count, 0, out);
        left -= count;
    }
    if (single) {
        next_tile(conv, &walk, tiles);
        if (conv->ternary_input) {
            start_tile(&work, tiles);
        }
        run_blocks(&work, packed, tiles, 1, 1, out);
    }
}
