/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Bit convolutions for aarch64. Each 16-bit lane counts for one output channel: a tile of four
 * patches times up to four vectors of eight channels stays in registers, a quarter of a word of a
 * patch is repeated over a vector, and where it differs from the channels' weights is counted in
 * bytes and added up in pairs of them.
 *
 * A ternary weight is the mean of two binary ones, zeros being +1 in the first and -1 in the
 * second; so ternary weights are two passes, and in general s = base - (count << shift) with base
 * the number of non-zero channels of the patch and shift = 1 for one pass, 0 for two. s >=
 * threshold is count <= limit; a ternary input, whose base depends on the patch, starts its count
 * at -(base >> shift), and has a limit for each value of base & shift. All of these fit 16 bits.
 *
 * Packed: for each block of 32, 16 or 8 output channels the limits, int16 [2][block]; then for each
 * pass, row of the kernel and quarter word of the row the weights, uint16 [block].
 */
#include <arm_neon.h>
#include <string.h>

#include "engine/kernel/isa.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { LANES = 8, TILE = 4, VECTORS = 4, TILES_TOGETHER = 16 };

static uint32_t words(uint32_t channels)
{
    return (channels + 63) / 64;
}

/* Quarter words of a pixel. */
static uint32_t quarters(uint32_t channels)
{
    return (channels + 15) / 16;
}

/* Quarter words that are compared for one result. */
static uint32_t terms(const struct kernel_bits_conv *conv)
{
    return conv->kernel_h * conv->kernel_w * quarters(conv->in_c) * (conv->ternary_weights ? 2 : 1);
}

static uint32_t block_vectors(const struct kernel_bits_conv *conv, uint32_t first)
{
    const uint32_t left = conv->out_c - first;

    return left > 2 * LANES ? 4 : left > LANES ? 2 : 1;
}

static size_t block_bytes(const struct kernel_bits_conv *conv, uint32_t vectors)
{
    return (size_t)vectors * LANES * sizeof(uint16_t) * (2 + terms(conv));
}

size_t kernel_bits_packed_bytes_neon(const struct kernel_bits_conv *conv)
{
    size_t bytes = 0;

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

static uint16_t *pack_limits(const struct kernel_bits_conv *conv, const int32_t *thresholds,
                             uint32_t first, uint32_t width, uint16_t *to)
{
    for (uint32_t odd = 0; odd < 2; odd++) {
        for (uint32_t i = 0; i < width; i++) {
            *to++ = first + i < conv->out_c && thresholds != NULL
                        ? (uint16_t)limit(conv, thresholds[first + i], odd)
                        : (uint16_t)INT16_MIN;
        }
    }
    return to;
}

/* The bits of quarter word `quarter` of a pixel that are channels. */
static uint16_t valid_bits(uint32_t channels, uint32_t quarter)
{
    return (uint16_t)(quarter == channels / 16 ? (1u << channels % 16) - 1 : UINT16_MAX);
}

/* One pass over the filters of a block; zeros are 1 where nonzero says so. */
static uint16_t *pack_pass(const struct kernel_bits_conv *conv, const uint64_t *signs,
                           const uint64_t *nonzero, uint32_t first, uint32_t width, uint16_t *to)
{
    const uint32_t taps = conv->kernel_h * conv->kernel_w, of_tap = quarters(conv->in_c);

    for (uint32_t k = 0; k < taps * of_tap; k++) {
        const uint32_t quarter = k % of_tap;

        for (uint32_t i = 0; i < width; i++) {
            const size_t at =
                ((size_t)(first + i) * taps + k / of_tap) * words(conv->in_c) + quarter / 4;
            uint64_t word = first + i < conv->out_c ? signs[at] : 0;

            if (nonzero != NULL && first + i < conv->out_c) {
                word |= ~nonzero[at];
            }
            *to++ = (uint16_t)(word >> quarter % 4 * 16) & valid_bits(conv->in_c, quarter);
        }
    }
    return to;
}

void kernel_bits_pack_neon(const struct kernel_bits_conv *conv, const uint64_t *signs,
                           const uint64_t *nonzero, const int32_t *thresholds, void *packed)
{
    uint16_t *to = packed;

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
    uint32_t offset[4 * KERNEL_BITS_WORDS_MAX]; /* quarter words, from the first one of the patch */
};

/* Four patches; with pooling they are one block, and only to[0] counts. */
struct tile {
    size_t from[TILE], to[TILE]; /* words or elements from the start of the input, of the output */
    int32_t start[TILE];         /* of the count */
    int32_t base[TILE];          /* s = base - (count << shift) */
};

struct block {
    const int16_t *limits;
    const uint16_t *weights;
    uint32_t first, left; /* channels */
};

ALWAYS_INLINE uint16x8_t broadcast(const uint64_t *patch, uint32_t quarter)
{
    uint16_t bits;

    memcpy(&bits, (const uint8_t *)patch + (size_t)quarter * 2, sizeof(bits));
    return vdupq_n_u16(bits);
}

ALWAYS_INLINE void count(const struct work *work, const struct block *block,
                         const struct tile *tile, uint16x8_t sum[TILE][VECTORS], uint32_t pixels,
                         uint32_t vectors, int ternary)
{
    const uint64_t *signs[TILE], *nonzero[TILE];
    const uint16_t *weights = block->weights;

    for (uint32_t p = 0; p < pixels; p++) {
        signs[p] = work->signs + tile->from[p];
        if (ternary) {
            nonzero[p] = work->nonzero + tile->from[p];
        }
        for (uint32_t v = 0; v < vectors; v++) {
            sum[p][v] = vdupq_n_u16((uint16_t)(ternary ? tile->start[p] : 0));
        }
    }
    uint32_t k = 0;
    do { /* there is always one */
        const uint32_t at = work->offset[k];

        for (uint32_t p = 0; p < pixels; p++) {
            const uint16x8_t sign = broadcast(signs[p], at);

            for (uint32_t v = 0; v < vectors; v++) {
                uint16x8_t differ = veorq_u16(sign, vld1q_u16(weights + v * LANES));
                if (ternary) {
                    differ = vandq_u16(differ, broadcast(nonzero[p], at));
                }
                sum[p][v] = vpadalq_u8(sum[p][v], vcntq_u8(vreinterpretq_u8_u16(differ)));
            }
            /* One patch after the other: gcc would mix them and run out of registers. */
            __asm__ volatile("");
        }
        weights += vectors * LANES;
    } while (++k < work->terms);
}

/* The bits of one patch and the block's channels. */
ALWAYS_INLINE uint32_t compare(const int16_t *limits, const uint16x8_t sum[VECTORS],
                               uint32_t vectors)
{
    static const uint16_t bit[LANES] = {1, 2, 4, 8, 16, 32, 64, 128};
    uint32_t bits = 0;

    for (uint32_t v = 0; v < vectors; v++) {
        const uint16x8_t below =
            vcleq_s16(vreinterpretq_s16_u16(sum[v]), vld1q_s16(limits + v * LANES));

        bits |= (uint32_t)vaddvq_u16(vandq_u16(below, vld1q_u16(bit))) << v * LANES;
    }
    return bits;
}

/* A block writes its 8 to 32 bits; in the low half of a word it clears the rest. */
ALWAYS_INLINE void put_bits(const struct block *block, uint64_t *out, size_t to, uint64_t bits)
{
    uint8_t *at = (uint8_t *)(out + to) + block->first / 8;

    memcpy(at, &bits, block->first % 64 == 0 ? 8 : 4);
}

ALWAYS_INLINE void bits_tile(const struct work *work, const struct block *block,
                             const struct tile *tile, uint64_t *out, uint32_t pixels,
                             uint32_t vectors, int ternary)
{
    const int pool = pixels == TILE && work->conv->pool == 2;
    uint16x8_t sum[TILE][VECTORS];
    uint64_t any = 0;

    count(work, block, tile, sum, pixels, vectors, ternary);
    for (uint32_t p = 0; p < pixels; p++) {
        const size_t odd = ternary ? (size_t)tile->base[p] : 0;
        const uint64_t bits = compare(block->limits + odd * vectors * LANES, sum[p], vectors);

        any |= bits;
        if (!pool) {
            put_bits(block, out, tile->to[p], bits);
        }
    }
    if (pool) {
        put_bits(block, out, tile->to[0], any);
    }
}

ALWAYS_INLINE void sums_tile(const struct work *work, const struct block *block,
                             const struct tile *tile, int32_t *out, uint32_t pixels,
                             uint32_t vectors, int ternary)
{
    const uint32_t together = pixels == TILE && work->conv->pool == 2 ? TILE : 1;
    const uint32_t channels =
        block->left < vectors * LANES ? block->left : (uint32_t)(vectors * LANES);
    uint16x8_t sum[TILE][VECTORS];
    int16_t counts[TILE][VECTORS * LANES];

    count(work, block, tile, sum, pixels, vectors, ternary);
    for (uint32_t p = 0; p < pixels; p++) {
        for (uint32_t v = 0; v < vectors; v++) {
            vst1q_s16(counts[p] + v * LANES, vreinterpretq_s16_u16(sum[p][v]));
        }
    }
    for (uint32_t p = 0; p < pixels; p += together) {
        int32_t *to = out + tile->to[p] + block->first;

        for (uint32_t i = 0; i < channels; i++) {
            int32_t best = INT32_MIN;
            for (uint32_t k = p; k < p + together; k++) {
                const int32_t s = tile->base[k] - counts[k][i] * (1 << work->shift);
                best = s > best ? s : best;
            }
            to[i] = best;
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
            .limits = (const int16_t *)(const void *)at,
            .weights = (const uint16_t *)(const void *)at + (size_t)2 * vectors * LANES,
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

            for (uint32_t quarter = 0; quarter < quarters(conv->in_c); quarter++) {
                *to++ = 4 * word + quarter;
            }
        }
    }
}

/* Where the counts of a tile's patches start, and how their sums and bits follow. */
static void start_tile(const struct work *work, struct tile *tile)
{
    const struct kernel_bits_conv *conv = work->conv;
    const uint32_t run = conv->kernel_w * words(conv->in_c);

    for (uint32_t p = 0; p < TILE; p++) {
        const uint64_t *row = work->nonzero + tile->from[p];
        int32_t nonzero = 0;

        for (uint32_t ky = 0; ky < conv->kernel_h; ky++, row += conv->in_row) {
            for (uint32_t i = 0; i < run; i++) {
                nonzero += __builtin_popcountll(row[i]);
            }
        }
        tile->start[p] = -(nonzero >> work->shift);
        tile->base[p] = nonzero & (int32_t)work->shift;
    }
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

void kernel_bits_run_neon(const struct kernel_bits_conv *conv, const void *packed,
                          const uint64_t *signs, const uint64_t *nonzero, void *out, size_t out_row)
{
    const size_t results = (size_t)conv->out_h * conv->out_w;
    const int single = conv->pool == 1 && results % TILE == 1; /* one patch is left at the end */
    size_t left = conv->pool == 2 ? results : (results + TILE - 1) / TILE - (single ? 1 : 0);
    struct tile tiles[TILES_TOGETHER];
    struct work work;
    struct walk walk;

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
