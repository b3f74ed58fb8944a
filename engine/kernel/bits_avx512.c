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

#include "engine/kernel/isa.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { LANES = 8, TILE = 4, VECTORS = 4 };

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

/* One block of channels at work. */
struct block {
    const struct kernel_bits_conv *conv;
    const int64_t *limits;
    const uint64_t *weights;
    uint32_t first, left; /* channels */
};

/* The places of a tile: first words of its patches, and where its results go, counted in words or
 * elements from the output's start. With pooling the four patches are a block with one result. */
struct tile {
    const uint64_t *signs[TILE], *nonzero[TILE];
    size_t to[TILE];
};

ALWAYS_INLINE int64_t count_nonzero(const struct kernel_bits_conv *conv, const uint64_t *patch)
{
    const uint32_t run = conv->kernel_w * words(conv->in_c);
    int64_t count = 0;

    for (uint32_t ky = 0; ky < conv->kernel_h; ky++, patch += conv->in_row) {
        for (uint32_t i = 0; i < run; i++) {
            count += __builtin_popcountll(patch[i]);
        }
    }
    return count;
}

ALWAYS_INLINE void put_sums(const struct block *block, __m512i count[TILE][VECTORS],
                            const int64_t base[TILE], const struct tile *tile, int32_t *out,
                            uint32_t pixels, uint32_t vectors)
{
    const uint32_t shift = block->conv->ternary_weights ? 0 : 1;
    const uint32_t together = pixels == TILE && block->conv->pool == 2 ? TILE : 1;

    for (uint32_t v = 0; v < vectors && v * LANES < block->left; v++) {
        const uint32_t left = block->left - v * LANES;
        const __mmask8 mask = left >= LANES ? (__mmask8)0xff : (__mmask8)((1u << left) - 1);
        __m512i sum[TILE];

        for (uint32_t p = 0; p < pixels; p++) {
            sum[p] =
                _mm512_sub_epi64(_mm512_set1_epi64(base[p]), _mm512_slli_epi64(count[p][v], shift));
        }
        if (together == TILE) {
            sum[0] = _mm512_max_epi64(_mm512_max_epi64(sum[0], sum[1]),
                                      _mm512_max_epi64(sum[2], sum[3]));
        }
        for (uint32_t p = 0; p < pixels; p += together) {
            _mm512_mask_cvtepi64_storeu_epi32(out + tile->to[p] + block->first + v * LANES, mask,
                                              sum[p]);
        }
    }
}

ALWAYS_INLINE void put_bits(const struct block *block, __m512i count[TILE][VECTORS],
                            const int64_t odd[TILE], const struct tile *tile, uint64_t *out,
                            uint32_t pixels, uint32_t vectors, int ternary)
{
    const uint32_t together = pixels == TILE && block->conv->pool == 2 ? TILE : 1;
    __mmask8 bits[TILE][VECTORS];

    for (uint32_t v = 0; v < vectors; v++) {
        for (uint32_t p = 0; p < pixels; p++) {
            const int64_t *limits = block->limits + v * LANES;
            if (ternary) {
                limits += odd[p] * vectors * LANES;
            }
            bits[p][v] = _mm512_cmple_epi64_mask(count[p][v], _mm512_load_si512(limits));
        }
        if (together == TILE) {
            bits[0][v] =
                _kor_mask8(_kor_mask8(bits[0][v], bits[1][v]), _kor_mask8(bits[2][v], bits[3][v]));
        }
    }
    for (uint32_t p = 0; p < pixels; p += together) {
        uint8_t *to = (uint8_t *)(out + tile->to[p]) + block->first / 8;
        for (uint32_t v = 0; v < vectors; v++) {
            _store_mask8(to + v, bits[p][v]);
        }
    }
}

ALWAYS_INLINE void run_tile(const struct block *block, const struct tile *tile, void *out,
                            uint32_t pixels, uint32_t vectors, int ternary)
{
    const struct kernel_bits_conv *conv = block->conv;
    const uint32_t run = conv->kernel_w * words(conv->in_c);
    const uint32_t shift = conv->ternary_weights ? 0 : 1;
    const uint64_t *weights = block->weights;
    __m512i count[TILE][VECTORS];
    int64_t base[TILE];

    for (uint32_t p = 0; p < pixels; p++) {
        base[p] = ternary ? count_nonzero(conv, tile->nonzero[p])
                          : (int64_t)conv->kernel_h * conv->kernel_w * conv->in_c;
        for (uint32_t v = 0; v < vectors; v++) {
            count[p][v] = _mm512_set1_epi64(ternary ? -(base[p] >> shift) : 0);
        }
        base[p] = ternary ? base[p] & shift : base[p];
    }
    for (uint32_t pass = 0; pass < 2 - shift; pass++) {
        for (uint32_t ky = 0; ky < conv->kernel_h; ky++) {
            const size_t row = (size_t)ky * conv->in_row;

            for (size_t i = row; i < row + run; i++, weights += vectors * LANES) {
                for (uint32_t p = 0; p < pixels; p++) {
                    const __m512i sign = _mm512_set1_epi64((int64_t)tile->signs[p][i]);

                    for (uint32_t v = 0; v < vectors; v++) {
                        __m512i differ =
                            _mm512_xor_si512(sign, _mm512_load_si512(weights + v * LANES));
                        if (ternary) {
                            differ = _mm512_and_si512(
                                differ, _mm512_set1_epi64((int64_t)tile->nonzero[p][i]));
                        }
                        count[p][v] = _mm512_add_epi64(count[p][v], _mm512_popcnt_epi64(differ));
                    }
                }
            }
        }
    }
    if (conv->sums) {
        put_sums(block, count, base, tile, out, pixels, vectors);
    } else {
        put_bits(block, count, base, tile, out, pixels, vectors, ternary);
    }
}

/* The place of output pixel (x, y), as patch p of a tile, or with pooling as patches 0 to 3. */
ALWAYS_INLINE void place(const struct kernel_bits_conv *conv, struct tile *tile, uint32_t p,
                         uint32_t y, uint32_t x, const uint64_t *signs, const uint64_t *nonzero,
                         size_t out_row, int ternary)
{
    const size_t step_y = (size_t)conv->stride_y * conv->in_row;
    const size_t step_x = (size_t)conv->stride_x * words(conv->in_c);
    const size_t at = conv->pool * (y * step_y + x * step_x);

    tile->to[p] = y * out_row + (size_t)x * (conv->sums ? conv->out_c : words(conv->out_c));
    tile->signs[p] = signs + at;
    if (conv->pool == 2) {
        tile->signs[1] = signs + at + step_x;
        tile->signs[2] = signs + at + step_y;
        tile->signs[3] = signs + at + step_y + step_x;
    }
    if (ternary) {
        for (uint32_t i = p; i < (conv->pool == 2 ? TILE : p + 1); i++) {
            tile->nonzero[i] = nonzero + (tile->signs[i] - signs);
        }
    }
}

/* All output pixels of one block of channels, a tile at a time in reading order. The last tile
 * repeats the last pixel. */
ALWAYS_INLINE void map(const struct block *block, const uint64_t *signs, const uint64_t *nonzero,
                       void *out, size_t out_row, uint32_t pixels, uint32_t vectors, int ternary)
{
    const struct kernel_bits_conv *conv = block->conv;
    const uint32_t results = conv->pool == 2 ? 1 : pixels;
    uint32_t x = 0, y = 0;
    struct tile tile;

    while (y < conv->out_h) {
        for (uint32_t p = 0; p < results; p++) {
            place(conv, &tile, p, y, x, signs, nonzero, out_row, ternary);
            if (x + 1 < conv->out_w) {
                x++;
            } else if (y + 1 < conv->out_h || p + 1 == results) {
                x = 0;
                y++;
            }
        }
        run_tile(block, &tile, out, pixels, vectors, ternary);
    }
}

#define MAP(pixels, vectors)                                                                       \
    static void map_##pixels##_##vectors(const struct block *block, const uint64_t *signs,         \
                                         const uint64_t *nonzero, void *out, size_t out_row)       \
    {                                                                                              \
        if (nonzero != NULL) {                                                                     \
            map(block, signs, nonzero, out, out_row, pixels, vectors, 1);                          \
        } else {                                                                                   \
            map(block, signs, NULL, out, out_row, pixels, vectors, 0);                             \
        }                                                                                          \
    }
MAP(4, 4)
MAP(4, 1)
MAP(1, 4)
MAP(1, 1)

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
    const int single = conv->pool == 1 && conv->out_w == 1 && conv->out_h == 1;
    const uint8_t *at = packed;

    if (!conv->sums && conv->out_c % 64 != 0) {
        clear_last_words(conv, out, out_row);
    }
    for (uint32_t first = 0; first < conv->out_c;) {
        const uint32_t width = block_width(conv, first);
        const struct block block = {
            .conv = conv,
            .limits = (const int64_t *)(const void *)at,
            .weights = (const uint64_t *)(const void *)at + 2 * width,
            .first = first,
            .left = conv->out_c - first,
        };
        if (width == LANES) {
            (single ? map_1_1 : map_4_1)(&block, signs, nonzero, out, out_row);
        } else {
            (single ? map_1_4 : map_4_4)(&block, signs, nonzero, out, out_row);
        }
        at += block_bytes(conv, width);
        first += width;
    }
}
