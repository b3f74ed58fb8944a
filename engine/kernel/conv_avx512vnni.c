/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * s8 convolution with AVX-512 VNNI. A tile of output pixels times 16, 32, 48 or 64 output channels
 * stays in registers; four neighbouring bytes of a pixel's run are broadcast and multiplied with
 * four weights of each channel (vpdpbusd, exact).
 *
 * Packed: for each block of output channels its head (isa.h), then for each row of the kernel and
 * each four bytes of its run the weights [channel][4]. Runs are filled up with zero weights to a
 * multiple of four.
 */
#include <immintrin.h>

#include "engine/kernel/conv_avx512.h"

/* For the loops that end a tile: left rolled up they would index its sums, which then lie in
 * memory, and a 64-byte store takes the time of one and a half vpdpbusd on Zen 4. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

enum { TILE_MAX = 8, VECTORS_MAX = 4, CHAINS = 4 };

/* Vectors of 16 channels in the block that starts at channel `first`. */
static uint32_t block_vectors(const struct kernel_conv *conv, uint32_t first)
{
    uint32_t left = conv->out_c - first;

    return left > 3 * LANES ? 4 : (left + LANES - 1) / LANES;
}

static size_t block_bytes(const struct kernel_conv *conv, uint32_t vectors)
{
    return kernel_conv_head_bytes(conv, vectors * LANES) +
           (size_t)vectors * 64 * conv->kernel_h * kernel_conv_groups(conv);
}

size_t kernel_conv_packed_bytes_avx512vnni(const struct kernel_conv *conv)
{
    size_t bytes = 0;

    for (uint32_t first = 0; first < conv->out_c;) {
        uint32_t vectors = block_vectors(conv, first);
        bytes += block_bytes(conv, vectors);
        first += vectors * LANES;
    }
    return bytes;
}

void kernel_conv_pack_avx512vnni(const struct kernel_conv *conv, const int8_t *weights,
                                 const int32_t *bias, const int32_t *mult, const int32_t *threshold,
                                 void *packed)
{
    int8_t *to = packed;

    for (uint32_t first = 0; first < conv->out_c;) {
        const uint32_t width = block_vectors(conv, first) * LANES;

        kernel_conv_pack_head(conv, weights, bias, mult, threshold, first, width, to);
        to += kernel_conv_head_bytes(conv, width);
        for (uint32_t ky = 0; ky < conv->kernel_h; ky++) {
            for (uint32_t group = 0; group < kernel_conv_groups(conv); group++) {
                for (uint32_t i = 0; i < width; i++, to += 4) {
                    kernel_conv_pack_group(conv, weights, first + i, ky, group, to);
                }
            }
        }
        first += width;
    }
}

/* The results of one pixel. */
ALWAYS_INLINE void put_pixel(const struct block *block, const __m512i *sum, uint32_t vectors,
                             void *out, size_t at)
{
    UNROLL
    for (uint32_t v = 0; v < vectors; v += 2) {
        const uint32_t next = v + 1 < vectors ? v + 1 : v;

        if (v * LANES >= block->left) {
            return;
        }
        if (block->paired) {
            put_pair(block, sum[v], sum[next], v, out, at);
            continue;
        }
        put(block, sum[v], v, out, at);
        if (next > v && next * LANES < block->left) {
            put(block, sum[next], next, out, at);
        }
    }
}

/* `pixels` accumulators of `vectors` channel vectors; from[i] is the first tap of pixel i. With
 * pooling, four pixels in a row are one block, and at[i] is the output element of block i. */
ALWAYS_INLINE void tile(const struct block *block, const uint8_t *const *from, void *out,
                        const size_t *at, uint32_t pixels, uint32_t vectors, int pool)
{
    const struct kernel_conv *conv = block->conv;
    const uint32_t count = kernel_conv_groups(conv);
    const int8_t *weights = block->weights;
    const uint32_t results = pool ? pixels / 4 : pixels;
    __m512i sum[TILE_MAX][VECTORS_MAX];

    for (uint32_t v = 0; v < vectors; v++) {
        __m512i bias = _mm512_load_si512(block->bias + v * LANES);
        for (uint32_t i = 0; i < pixels; i++) {
            sum[i][v] = bias;
        }
    }
    for (uint32_t ky = 0; ky < conv->kernel_h; ky++) {
        size_t offset = (size_t)ky * conv->in_row;
        for (uint32_t group = 0; group < count; group++, offset += 4) {
            __m512i weight[VECTORS_MAX];
            for (uint32_t v = 0; v < vectors; v++, weights += 64) {
                weight[v] = _mm512_load_si512(weights);
            }
            for (uint32_t i = 0; i < pixels; i++) {
                __m512i codes = _mm512_broadcastd_epi32(_mm_loadu_si32(from[i] + offset));
                for (uint32_t v = 0; v < vectors; v++) {
                    sum[i][v] = _mm512_dpbusd_epi32(sum[i][v], codes, weight[v]);
                }
            }
        }
    }
    /* No instruction; without it gcc 12 copies every sum at every step of the loop above. */
    for (uint32_t i = 0; i < pixels; i++) {
        for (uint32_t v = 0; v < vectors; v++) {
            __asm__("" : "+v"(sum[i][v]));
        }
    }
    for (uint32_t i = 0; pool && i < pixels; i += 4) {
        for (uint32_t v = 0; v < vectors; v++) {
            sum[i / 4][v] = _mm512_max_epi32(_mm512_max_epi32(sum[i][v], sum[i + 1][v]),
                                             _mm512_max_epi32(sum[i + 2][v], sum[i + 3][v]));
        }
    }
    if (results == 1) { /* clang 14 does not unroll a loop of one round */
        put_pixel(block, sum[0], vectors, out, at[0]);
        return;
    }
    UNROLL
    for (uint32_t i = 0; i < results; i++) {
        put_pixel(block, sum[i], vectors, out, at[i]);
    }
}

/* All output pixels of one block of channels, a tile at a time in reading order. The last tile
 * repeats the last pixel. */
ALWAYS_INLINE void map(const struct block *block, const uint8_t *in, void *out, size_t out_row,
                       uint32_t pixels, uint32_t vectors, int pool)
{
    const struct kernel_conv *conv = block->conv;
    const size_t step_y = (size_t)conv->stride_y * conv->in_row;
    const size_t step_x = (size_t)conv->stride_x * conv->in_c;
    const uint32_t results = pool ? pixels / 4 : pixels;
    const uint8_t *from[TILE_MAX];
    size_t at[TILE_MAX];
    uint32_t x = 0, y = 0;

    while (y < conv->out_h) {
        for (uint32_t i = 0; i < results; i++) {
            at[i] = y * out_row + (size_t)x * conv->out_c;
            if (pool) {
                const uint8_t *corner = in + 2 * (y * step_y + x * step_x);
                from[4 * i] = corner;
                from[4 * i + 1] = corner + step_x;
                from[4 * i + 2] = corner + step_y;
                from[4 * i + 3] = corner + step_y + step_x;
            } else {
                from[i] = in + y * step_y + x * step_x;
            }
            if (x + 1 < conv->out_w) {
                x++;
            } else if (y + 1 < conv->out_h || i + 1 == results) {
                x = 0;
                y++;
            }
        }
        tile(block, from, out, at, pixels, vectors, pool);
    }
}

/* One pixel and 16 channels, a dense layer: one sum would wait for itself at every step, so the
 * groups go round several. */
static void map_single(const struct block *block, const uint8_t *in, void *out)
{
    const struct kernel_conv *conv = block->conv;
    const uint32_t count = kernel_conv_groups(conv);
    const int8_t *weights = block->weights;
    __m512i sum[CHAINS] = {_mm512_load_si512(block->bias)};

    for (uint32_t ky = 0; ky < conv->kernel_h; ky++) {
        const uint8_t *from = in + (size_t)ky * conv->in_row;
        uint32_t group = 0;

        for (; group + CHAINS <= count; group += CHAINS) {
            for (uint32_t i = 0; i < CHAINS; i++, from += 4, weights += 64) {
                __m512i codes = _mm512_broadcastd_epi32(_mm_loadu_si32(from));
                sum[i] = _mm512_dpbusd_epi32(sum[i], codes, _mm512_load_si512(weights));
            }
        }
        for (; group < count; group++, from += 4, weights += 64) {
            __m512i codes = _mm512_broadcastd_epi32(_mm_loadu_si32(from));
            sum[0] = _mm512_dpbusd_epi32(sum[0], codes, _mm512_load_si512(weights));
        }
    }
    sum[0] = _mm512_add_epi32(_mm512_add_epi32(sum[0], sum[1]), _mm512_add_epi32(sum[2], sum[3]));
    if (block->paired) {
        put_pair(block, sum[0], sum[0], 0, out, 0);
    } else {
        put(block, sum[0], 0, out, 0);
    }
}

#define MAP(pixels, vectors, pool)                                                                 \
    static void map_##pixels##_##vectors##_##pool(const struct block *block, const uint8_t *in,    \
                                                  void *out, size_t out_row)                       \
    {                                                                                              \
        map(block, in, out, out_row, pixels, vectors, pool);                                       \
    }
MAP(6, 4, 0)
MAP(4, 4, 1)
MAP(8, 3, 0)
MAP(8, 3, 1)
MAP(8, 2, 0)
MAP(8, 2, 1)
MAP(8, 1, 0)
MAP(8, 1, 1)

typedef void map_function(const struct block *block, const uint8_t *in, void *out, size_t out_row);

static void run_block(const struct block *block, uint32_t vectors, const uint8_t *in, void *out,
                      size_t out_row)
{
    static map_function *const plain[] = {map_8_1_0, map_8_2_0, map_8_3_0, map_6_4_0};
    static map_function *const pooled[] = {map_8_1_1, map_8_2_1, map_8_3_1, map_4_4_1};
    const struct kernel_conv *conv = block->conv;

    if (conv->pool == 2) {
        pooled[vectors - 1](block, in, out, out_row);
    } else if (vectors == 1 && conv->out_w * conv->out_h == 1) { /* a dense layer */
        map_single(block, in, out);
    } else {
        plain[vectors - 1](block, in, out, out_row);
    }
}

void kernel_conv_run_avx512vnni(const struct kernel_conv *conv, const void *packed,
                                const uint8_t *in, void *out, size_t out_row)
{
    const int8_t *at = packed;

    for (uint32_t first = 0; first < conv->out_c;) {
        uint32_t vectors = block_vectors(conv, first);
        const struct block block = block_at(conv, at, first, vectors * LANES);

        run_block(&block, vectors, in, out, out_row);
        at += block_bytes(conv, vectors);
        first += vectors * LANES;
    }
}
