/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Bit convolutions with AVX-512 and VPOPCNTDQ. Each 64-bit lane counts for one output channel: a
 * tile of four pixels times four vectors of eight channels stays in registers, a word of a pixel is
 * broadcast, and where it differs from the channels' weights is counted.
 *
 * A ternary weight is the mean of two binary ones, zeros being +1 in the first and -1 in the
 * second; so ternary weights are two passes, and in general s = base - (count << shift) with base
 * the number of non-zero channels of the patch and shift = 1 for one pass, 0 for two.
 *
 * Packed: for each block of 32 or 8 output channels the limits of count for a bit to be 1, int64
 * [2][block]; then for each pass, row of the kernel and word of the row the weights [block].
 */
#include <immintrin.h>
#include <string.h>

#include "engine/kernel/isa.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { LANES = 8, TILE = 4, VECTORS = 4, TILES_TOGETHER = 16 };

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

/* Channels of the block that starts at channel `first`. */
static uint32_t block_width(const struct kernel_bits_conv *conv, uint32_t first)
{
    return conv->out_c - first > 2 * LANES ? VECTORS * LANES : LANES;
}

static size_t block_bytes(const struct kernel_bits_conv *conv, uint32_t width)
{
    return width * sizeof(uint64_t) * (2 + filter_words(conv) * (conv->ternary_weights ? 2 : 1));
}

size_t kernel_bits_packed_bytes_avx512(const struct kernel_bits_conv *conv)
{
    size_t bytes = 0;

    for (uint32_t first = 0; first < conv->out_c;) {
        uint32_t width = block_width(conv, first);
        bytes += block_bytes(conv, width);
        first += width;
    }
    return bytes;
}

/*
 * s >= threshold is count <= limit. A ternary input starts its count at -(base >> shift), so that
 * the limit depends on the pixel only by odd = base & shift.
 */
static int64_t limit(const struct kernel_bits_conv *conv, int64_t threshold, uint32_t odd)
{
    const int64_t shift = conv->ternary_weights ? 0 : 1;

    if (!conv->ternary_input) {
        return ((int64_t)conv->kernel_h * conv->kernel_w * conv->in_c - threshold) >> shift;
    }
    return (odd - threshold) >> shift;
}

/* The limits of a block; no count is as low as that of a channel past the last one. */
static void pack_limits(const struct kernel_bits_conv *conv, const int32_t *thresholds,
                        uint32_t first, uint32_t width, int64_t *limits)
{
    for (uint32_t i = 0; i < width; i++) {
        const int known = first + i < conv->out_c && thresholds != NULL;

        limits[i] = known ? limit(conv, thresholds[first + i], 0) : INT64_MIN;
        limits[width + i] = known ? limit(conv, thresholds[first + i], 1) : INT64_MIN;
    }
}

void kernel_bits_pack_avx512(const struct kernel_bits_conv *conv, const uint64_t *signs,
                             const uint64_t *nonzero, const int32_t *thresholds, void *packed)
{
    const size_t filter = filter_words(conv);
    uint64_t *to = packed;

    for (uint32_t first = 0; first < conv->out_c;) {
        const uint32_t width = block_width(conv, first);

        pack_limits(conv, thresholds, first, width, (int64_t *)to);
        to += 2 * width;
        for (uint32_t pass = 0; pass < (conv->ternary_weights ? 2u : 1u); pass++) {
            for (size_t k = 0; k < filter; k++) {
                const uint64_t valid = valid_bits(conv->in_c, (uint32_t)(k % words(conv->in_c)));

                for (uint32_t i = 0; i < width; i++) {
                    const size_t at = (first + i) * filter + k;
                    uint64_t word = first + i < conv->out_c ? signs[at] : 0;
                    if (pass == 0 && conv->ternary_weights && first + i < conv->out_c) {
                        word |= ~nonzero[at] & valid;
                    }
                    *to++ = word;
                }
            }
        }
        first += width;
    }
}

/* A convolution at work: what is the same for all of its pixels and channels. */
struct work {
    const struct kernel_bits_conv *conv;
    const uint64_t *signs, *nonzero;
    uint32_t terms; /* words that are compared for one result */
    uint32_t shift;
    uint32_t offset[KERNEL_BITS_WORDS_MAX]; /* of each, from the first word of the patch */
};

/* Four patches; with pooling they are one block, and only to[0] counts. */
struct tile {
    size_t from[TILE], to[TILE]; /* words or elements from the start of the input, of the output */
    int64_t start[TILE];         /* of the count */
    int64_t base[TILE];          /* s = base - (count << shift) */
};

/* Channels first to first + width. */
struct block {
    const int64_t *limits;
    const uint64_t *weights;
    uint32_t first, left;
};

ALWAYS_INLINE void count(const struct work *work, const struct block *block,
                         const struct tile *tile, __m512i sum[TILE][VECTORS], uint32_t pixels,
                         uint32_t vectors, int ternary)
{
    const uint64_t *weights = block->weights, *signs[TILE], *nonzero[TILE];

    for (uint32_t p = 0; p < pixels; p++) {
        signs[p] = work->signs + tile->from[p];
        if (ternary) {
            nonzero[p] = work->nonzero + tile->from[p];
        }
        for (uint32_t v = 0; v < vectors; v++) {
            sum[p][v] = _mm512_set1_epi64(ternary ? tile->start[p] : 0);
        }
    }
    for (uint32_t k = 0; k < work->terms; k++, weights += vectors * LANES) {
        const uint32_t at = work->offset[k];

        for (uint32_t p = 0; p < pixels; p++) {
            for (uint32_t v = 0; v < vectors; v++) {
                __m512i differ = _mm512_xor_si512(_mm512_set1_epi64((int64_t)signs[p][at]),
                                                  _mm512_load_si512(weights + v * LANES));
                if (ternary) {
                    differ = _mm512_and_si512(differ, _mm512_set1_epi64((int64_t)nonzero[p][at]));
                }
                sum[p][v] = _mm512_add_epi64(sum[p][v], _mm512_popcnt_epi64(differ));
            }
        }
    }
}

/* The bits of one pixel and the block's channels. */
ALWAYS_INLINE uint32_t compare(const int64_t *limits, const __m512i sum[VECTORS], uint32_t vectors)
{
    __mmask8 bits[VECTORS];

    for (uint32_t v = 0; v < vectors; v++) {
        bits[v] = _mm512_cmple_epi64_mask(sum[v], _mm512_load_si512(limits + v * LANES));
    }
    return vectors == 1 ? bits[0]
                        : _mm512_kunpackw(_mm512_kunpackb(bits[3], bits[2]),
                                          _mm512_kunpackb(bits[1], bits[0]));
}

ALWAYS_INLINE void bits_tile(const struct work *work, const struct block *block,
                             const struct tile *tile, uint64_t *out, uint32_t pixels,
                             uint32_t vectors, int ternary)
{
    __m512i sum[TILE][VECTORS];
    uint32_t bits[TILE] = {0};

    count(work, block, tile, sum, pixels, vectors, ternary);
    for (uint32_t p = 0; p < pixels; p++) {
        const int64_t *limits = block->limits + (ternary ? tile->base[p] * vectors * LANES : 0);
        bits[p] = compare(limits, sum[p], vectors);
    }
    if (pixels == TILE && work->conv->pool == 2) {
        bits[0] |= bits[1] | bits[2] | bits[3];
        pixels = 1;
    }
    for (uint32_t p = 0; p < pixels; p++) {
        memcpy((uint8_t *)(out + tile->to[p]) + block->first / 8, &bits[p], vectors);
    }
}

ALWAYS_INLINE void sums_tile(const struct work *work, const struct block *block,
                             const struct tile *tile, int32_t *out, uint32_t pixels,
                             uint32_t vectors, int ternary)
{
    const int pool = pixels == TILE && work->conv->pool == 2;
    __m512i sum[TILE][VECTORS];

    count(work, block, tile, sum, pixels, vectors, ternary);
    for (uint32_t v = 0; v < vectors && v * LANES < block->left; v++) {
        const uint32_t left = block->left - v * LANES;
        const __mmask8 mask = left >= LANES ? (__mmask8)0xff : (__mmask8)((1u << left) - 1);

        for (uint32_t p = 0; p < pixels; p++) {
            sum[p][v] = _mm512_sub_epi64(_mm512_set1_epi64(tile->base[p]),
                                         _mm512_slli_epi64(sum[p][v], work->shift));
        }
        if (pool) {
            sum[0][v] = _mm512_max_epi64(_mm512_max_epi64(sum[0][v], sum[1][v]),
                                         _mm512_max_epi64(sum[2][v], sum[3][v]));
        }
        for (uint32_t p = 0; p < (pool ? 1 : pixels); p++) {
            _mm256_mask_storeu_epi32(out + tile->to[p] + block->first + v * LANES, mask,
                                     _mm512_cvtepi64_epi32(sum[p][v]));
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
#define TILES_OF(kind)                                                                             \
    TILES(kind, 4, 4, 0)                                                                           \
    TILES(kind, 4, 4, 1)                                                                           \
    TILES(kind, 4, 1, 0)                                                                           \
    TILES(kind, 4, 1, 1)                                                                           \
    TILES(kind, 1, 4, 0)                                                                           \
    TILES(kind, 1, 4, 1)                                                                           \
    TILES(kind, 1, 1, 0)                                                                           \
    TILES(kind, 1, 1, 1)
TILES_OF(bits)
TILES_OF(sums)

/* [sums][one pixel][narrow block][ternary] */
static tiles_function *const tiles_functions[2][2][2][2] = {
    {{{bits_4_4_0, bits_4_4_1}, {bits_4_1_0, bits_4_1_1}},
     {{bits_1_4_0, bits_1_4_1}, {bits_1_1_0, bits_1_1_1}}},
    {{{sums_4_4_0, sums_4_4_1}, {sums_4_1_0, sums_4_1_1}},
     {{sums_1_4_0, sums_1_4_1}, {sums_1_1_0, sums_1_1_1}}},
};

/* single: only the first patch of the tiles is used. */
static void run_blocks(const struct work *work, const void *packed, const struct tile *tiles,
                       uint32_t count, int single, void *out)
{
    const struct kernel_bits_conv *conv = work->conv;
    const uint8_t *at = packed;

    for (uint32_t first = 0; first < conv->out_c;) {
        const uint32_t width = block_width(conv, first);
        const struct block block = {
            .limits = (const int64_t *)(const void *)at,
            .weights = (const uint64_t *)(const void *)at + 2 * width,
            .first = first,
            .left = conv->out_c - first,
        };
        tiles_functions[conv->sums != 0][single][width == LANES][conv->ternary_input != 0](
            work, &block, tiles, count, out);
        at += block_bytes(conv, width);
        first += width;
    }
}

static void work_init(struct work *work, const struct kernel_bits_conv *conv, const uint64_t *signs,
                      const uint64_t *nonzero)
{
    const uint32_t run = conv->kernel_w * words(conv->in_c);
    uint32_t *to = work->offset;

    work->conv = conv;
    work->signs = signs;
    work->nonzero = nonzero;
    work->shift = conv->ternary_weights ? 0 : 1;
    for (uint32_t pass = work->shift; pass < 2; pass++) {
        for (uint32_t ky = 0; ky < conv->kernel_h; ky++) {
            for (uint32_t i = 0; i < run; i++) {
                *to++ = ky * conv->in_row + i;
            }
        }
    }
    work->terms = (uint32_t)(to - work->offset);
}

/* Where the counts of a tile's patches start, and how their sums and bits follow. */
static void start_tile(const struct work *work, struct tile *tile)
{
    const uint64_t *const from[] = {work->nonzero + tile->from[0], work->nonzero + tile->from[1],
                                    work->nonzero + tile->from[2], work->nonzero + tile->from[3]};
    __m256i count = _mm256_setzero_si256();

    for (uint32_t k = 0; k < work->terms >> (1 - work->shift); k++) {
        const uint32_t at = work->offset[k];
        const __m256i patches = _mm256_set_epi64x((int64_t)from[3][at], (int64_t)from[2][at],
                                                  (int64_t)from[1][at], (int64_t)from[0][at]);

        count = _mm256_add_epi64(count, _mm256_popcnt_epi64(patches));
    }
    _mm256_storeu_si256((__m256i *)(void *)tile->base,
                        _mm256_and_si256(count, _mm256_set1_epi64x(work->shift)));
    count = _mm256_srli_epi64(count, work->shift);
    _mm256_storeu_si256((__m256i *)(void *)tile->start,
                        _mm256_sub_epi64(_mm256_setzero_si256(), count));
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

ALWAYS_INLINE void next_tile(const struct work *work, struct walk *walk, struct tile *tile)
{
    const struct kernel_bits_conv *conv = work->conv;

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
    if (conv->ternary_input) {
        start_tile(work, tile);
    }
}

/* Clears what the blocks leave of the last word of each pixel. */
static void clear_last_words(const struct kernel_bits_conv *conv, uint64_t *out, size_t out_row)
{
    const size_t count = words(conv->out_c);

    for (uint32_t y = 0; y < conv->out_h; y++) {
        for (uint32_t x = 0; x < conv->out_w; x++) {
            out[y * out_row + x * count + count - 1] = 0;
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

    if (!conv->sums && conv->out_c % 64 != 0) {
        clear_last_words(conv, out, out_row);
    }
    work_init(&work, conv, signs, nonzero);
    walk_init(&walk, conv, out_row);
    for (uint32_t i = 0; i < TILES_TOGETHER * TILE; i++) {
        tiles[i / TILE].base[i % TILE] = (int64_t)conv->kernel_h * conv->kernel_w * conv->in_c;
    }
    while (left > 0) {
        const uint32_t count = left < TILES_TOGETHER ? (uint32_t)left : TILES_TOGETHER;

        for (uint32_t i = 0; i < count; i++) {
            next_tile(&work, &walk, &tiles[i]);
        }
        run_blocks(&work, packed, tiles, count, 0, out);
        left -= count;
    }
    if (single) {
        next_tile(&work, &walk, tiles);
        run_blocks(&work, packed, tiles, 1, 1, out);
    }
}
