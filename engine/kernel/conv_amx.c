/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * s8 convolution with AMX. It is proven against a software model of the tile instructions
 * (tests/unit/kernel/amx_model.h), and unmeasured until somebody runs bench_conv and `ocellus-lab
 * bench` on a processor that has them.
 *
 * Four tiles hold the sums of up to 16 neighbouring pixels of two rows times 32 output channels.
 * Each step multiplies 64 bytes of every pixel's run with 64 weights of every channel (tdpbusd,
 * exact). Pixels are read where they lie; where that would fill much of the 64 bytes with zero
 * weights, the rows of the kernel are first copied behind each other. A dense layer is left to
 * AVX-512 VNNI.
 *
 * Packed: 64 bytes of which the first word says whether the layer is dense, since maps of any width
 * may be run later; then for each block of 32 output channels its head (isa.h), then for each 64
 * bytes of a run, for 16 channels and for the other 16, the weights [four][channel][4]. Runs are
 * filled up with zero weights to a multiple of 64.
 */
#include <string.h>

#include "engine/kernel/conv_avx512.h"

#if defined(KERNEL_CONV_AMX_MODEL)
#define NAME(function) kernel_conv_##function##_amx_model
KERNEL_CONV_DECLARE(amx_model);
#else
#define NAME(function) kernel_conv_##function##_amx
#endif

enum { CHANNELS = 32, ROWS = 16, CHUNK = 64, FOURS = CHUNK / 4, COPY_MAX = 1024, FLAG_BYTES = 64 };

/* Tiles by number, which the intrinsics want as constants: sums of the first row (0, 1) and of the
 * second (2, 3), pixels of both (4, 5), weights (6, 7). */

static uint32_t row_bytes(const struct kernel_conv *conv)
{
    return conv->kernel_w * conv->in_c;
}

/* Whether the rows of the kernel are copied behind each other: where that saves a fifth. */
static int is_copied(const struct kernel_conv *conv)
{
    const uint64_t apart = (uint64_t)conv->kernel_h * ((row_bytes(conv) + CHUNK - 1) / CHUNK);
    const uint64_t together = ((uint64_t)conv->kernel_h * row_bytes(conv) + CHUNK - 1) / CHUNK;

    return together * CHUNK <= COPY_MAX && together * 5 <= apart * 4;
}

/* Whatever its height: the rows of such a map may be the images of a batch. */
static int is_dense(const struct kernel_conv *conv)
{
    return conv->out_w == 1 && conv->pool == 1;
}

/* The kernel as rows of bytes, after copying if it is to be. */
struct extent {
    uint32_t rows, bytes, chunks; /* chunks: of a row */
};

static struct extent extent_of(const struct kernel_conv *conv)
{
    struct extent extent = {.rows = conv->kernel_h, .bytes = row_bytes(conv)};

    if (is_copied(conv)) {
        extent.bytes *= extent.rows;
        extent.rows = 1;
    }
    extent.chunks = (extent.bytes + CHUNK - 1) / CHUNK;
    return extent;
}

static size_t block_bytes(const struct kernel_conv *conv)
{
    const struct extent extent = extent_of(conv);

    return kernel_conv_head_bytes(conv, CHANNELS) +
           (size_t)extent.rows * extent.chunks * CHUNK * CHANNELS;
}

size_t NAME(packed_bytes)(const struct kernel_conv *conv)
{
    if (is_dense(conv)) {
        return FLAG_BYTES + kernel_conv_packed_bytes_avx512vnni(conv);
    }
    return FLAG_BYTES + block_bytes(conv) * ((conv->out_c + CHANNELS - 1) / CHANNELS);
}

/* 64 weights of 16 channels, 1024 bytes. */
static void pack_chunk(const struct kernel_conv *conv, const int8_t *weights, uint32_t channel,
                       uint32_t row, uint32_t chunk, int8_t *to)
{
    const struct extent extent = extent_of(conv);
    const size_t filter = (size_t)extent.rows * extent.bytes;

    for (uint32_t i = 0; i < CHUNK * LANES; i++) {
        const uint32_t k = chunk * CHUNK + i / (LANES * 4) * 4 + i % 4;
        const uint32_t c = channel + i / 4 % LANES;

        to[i] = c < conv->out_c && k < extent.bytes
                    ? weights[c * filter + (size_t)row * extent.bytes + k]
                    : 0;
    }
}

void NAME(pack)(const struct kernel_conv *conv, const int8_t *weights, const int32_t *bias,
                const int32_t *mult, const int32_t *threshold, void *packed)
{
    const struct extent extent = extent_of(conv);
    int8_t *to = (int8_t *)packed + FLAG_BYTES;

    memset(packed, 0, FLAG_BYTES);
    *(uint32_t *)packed = (uint32_t)is_dense(conv);
    if (is_dense(conv)) {
        kernel_conv_pack_avx512vnni(conv, weights, bias, mult, threshold, to);
        return;
    }
    for (uint32_t first = 0; first < conv->out_c; first += CHANNELS) {
        kernel_conv_pack_head(conv, weights, bias, mult, threshold, first, CHANNELS, to);
        to += kernel_conv_head_bytes(conv, CHANNELS);
        for (uint32_t i = 0; i < extent.rows * extent.chunks; i++) {
            for (uint32_t half = 0; half < CHANNELS; half += LANES, to += CHUNK * LANES) {
                pack_chunk(conv, weights, first + half, i / extent.chunks, i % extent.chunks, to);
            }
        }
    }
}

/* Pixels at work: `count` of two rows of the map before pooling. */
struct panel {
    const uint8_t *row[2]; /* first taps; the same twice where there is no second row */
    size_t step;           /* bytes between pixels */
    size_t down;           /* bytes between rows of the kernel */
    uint32_t count;
};

/* As the processor reads it (Intel SDM vol. 1, 18.3). */
struct config {
    uint8_t palette, start_row, reserved[14];
    uint16_t columns[16]; /* bytes */
    uint8_t rows[16];
};

/* The intrinsics do not tell every compiler which memory they read and write. */
ALWAYS_INLINE void settle(void)
{
    __asm__ volatile("" : : : "memory");
}

static void configure(uint32_t pixels)
{
    struct config config = {.palette = 1};

    for (int tile = 0; tile < 8; tile++) {
        config.columns[tile] = CHUNK;
        config.rows[tile] = (uint8_t)(tile < 6 ? pixels : FOURS);
    }
    settle();
    _tile_loadconfig(&config);
}

/* sum: int32 [2][ROWS][CHANNELS] */
static void add_up(const struct block *block, const struct extent *extent,
                   const struct panel *panel, int32_t *sum)
{
    const int8_t *weights = block->weights;

    settle();
    /* A step of 0: every pixel begins with the bias. */
    _tile_loadd(0, block->bias, 0);
    _tile_loadd(1, block->bias + LANES, 0);
    _tile_loadd(2, block->bias, 0);
    _tile_loadd(3, block->bias + LANES, 0);
    for (uint32_t row = 0; row < extent->rows; row++) {
        size_t offset = row * panel->down;

        for (uint32_t chunk = 0; chunk < extent->chunks; chunk++, offset += CHUNK) {
            _tile_loadd(4, panel->row[0] + offset, panel->step);
            _tile_loadd(6, weights, CHUNK);
            _tile_loadd(7, weights + CHUNK * LANES, CHUNK);
            _tile_loadd(5, panel->row[1] + offset, panel->step);
            weights += CHUNK * CHANNELS;
            _tile_dpbusd(0, 4, 6);
            _tile_dpbusd(1, 4, 7);
            _tile_dpbusd(2, 5, 6);
            _tile_dpbusd(3, 5, 7);
        }
    }
    _tile_stored(0, sum, CHANNELS * 4);
    _tile_stored(1, sum + LANES, CHANNELS * 4);
    _tile_stored(2, sum + ROWS * CHANNELS, CHANNELS * 4);
    _tile_stored(3, sum + ROWS * CHANNELS + LANES, CHANNELS * 4);
    settle();
}

/* The 32 results of one pixel; sums of more pixels than one are pooled: from[0..count-1]. */
ALWAYS_INLINE void put_pixel(const struct block *block, const int32_t *const *from, uint32_t count,
                             void *out, size_t at)
{
    __m512i low = _mm512_load_si512(from[0]), high = _mm512_load_si512(from[0] + LANES);

    for (uint32_t i = 1; i < count; i++) {
        low = _mm512_max_epi32(low, _mm512_load_si512(from[i]));
        high = _mm512_max_epi32(high, _mm512_load_si512(from[i] + LANES));
    }
    if (block->paired) {
        put_pair(block, low, high, 0, out, at);
        return;
    }
    put(block, low, 0, out, at);
    if (block->left > LANES) {
        put(block, high, 1, out, at);
    }
}

/* The results of a panel, the first at element at[0] and, without pooling, those of the second row
 * at at[1]. */
static void put_panel(const struct block *block, const int32_t *sum, uint32_t pixels, void *out,
                      const size_t at[2])
{
    const struct kernel_conv *conv = block->conv;
    const int32_t *second = sum + ROWS * CHANNELS;

    if (conv->pool == 2) {
        for (uint32_t i = 0; i < pixels; i += 2) {
            const int32_t *const from[4] = {sum + i * CHANNELS, sum + (i + 1) * CHANNELS,
                                            second + i * CHANNELS, second + (i + 1) * CHANNELS};
            put_pixel(block, from, 4, out, at[0] + (size_t)i / 2 * conv->out_c);
        }
        return;
    }
    for (uint32_t i = 0; i < pixels; i++, sum += CHANNELS, second += CHANNELS) {
        put_pixel(block, &sum, 1, out, at[0] + (size_t)i * conv->out_c);
        put_pixel(block, &second, 1, out, at[1] + (size_t)i * conv->out_c);
    }
}

/* Moves a panel to `to`, the rows of the kernel behind each other. Whole vectors are copied: what
 * is too much of one row is overwritten by the next, the last has room behind it. */
static void copy_panel(const struct kernel_conv *conv, struct panel *panel, uint8_t *to)
{
    const uint32_t bytes = row_bytes(conv);
    const size_t step = (size_t)extent_of(conv).chunks * CHUNK;

    for (uint32_t row = 0; row < 2; row++) {
        const uint8_t *pixel = panel->row[row];

        panel->row[row] = to;
        for (uint32_t i = 0; i < panel->count; i++, pixel += panel->step, to += step) {
            for (uint32_t ky = 0; ky < conv->kernel_h; ky++) {
                const uint8_t *from = pixel + ky * panel->down;
                for (uint32_t k = 0; k < bytes; k += CHUNK) {
                    _mm512_storeu_si512(to + (size_t)ky * bytes + k, _mm512_loadu_si512(from + k));
                }
            }
        }
    }
    panel->step = step;
}

/* All channels of one panel. */
static void run_panel(const struct kernel_conv *conv, const int8_t *packed, struct panel panel,
                      void *out, const size_t at[2])
{
    const struct extent extent = extent_of(conv);
    _Alignas(64) uint8_t copy[2 * ROWS * COPY_MAX + CHUNK];
    _Alignas(64) int32_t sum[2 * ROWS * CHANNELS];

    if (is_copied(conv)) {
        copy_panel(conv, &panel, copy);
    }
    for (uint32_t first = 0; first < conv->out_c; first += CHANNELS) {
        const struct block block = block_at(conv, packed, first, CHANNELS);

        add_up(&block, &extent, &panel, sum);
        put_panel(&block, sum, panel.count, out, at);
        packed += block_bytes(conv);
    }
}

void NAME(run)(const struct kernel_conv *conv, const void *packed, const uint8_t *in, void *out,
               size_t out_row)
{
    const uint32_t width = conv->out_w * conv->pool, height = conv->out_h * conv->pool;
    const size_t step_y = (size_t)conv->stride_y * conv->in_row;
    const uint32_t dense = *(const uint32_t *)packed;
    struct panel panel = {
        .step = (size_t)conv->stride_x * conv->in_c,
        .down = conv->in_row,
        .count = width < ROWS ? width : ROWS,
    };

    packed = (const int8_t *)packed + FLAG_BYTES;
    if (dense) {
        kernel_conv_run_avx512vnni(conv, packed, in, out, out_row);
        return;
    }
    configure(panel.count);
    for (uint32_t y = 0; y < height; y += 2) {
        const uint32_t below = y + 1 < height ? y + 1 : y;

        for (uint32_t x = 0; x < width; x += ROWS) {
            /* The last panel of a row reaches back over the one before. */
            const uint32_t left = x + panel.count <= width ? x : width - panel.count;
            const size_t column = (size_t)left / conv->pool * conv->out_c;
            const size_t at[2] = {y / conv->pool * out_row + column,
                                  below / conv->pool * out_row + column};

            panel.row[0] = in + y * step_y + left * panel.step;
            panel.row[1] = in + below * step_y + left * panel.step;
            run_panel(conv, packed, panel, out, at);
        }
    }
    _tile_release();
}
