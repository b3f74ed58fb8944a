/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Logarithmic convolution with AVX-512 VNNI, see log_plan.h. A tile of output pixels times 32 or 64
 * channels stays in registers; two neighbouring inputs of a pixel are broadcast and multiplied with
 * two weights of each channel (vpdpwssd). Weights stay codes in memory and are looked up in
 * registers (vpermw), four vectors or two from one load.
 */
#include <immintrin.h>

#include "engine/kernel/isa.h"
#include "engine/kernel/log_plan.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { LANES = 16, TILE_MAX = 8, VECTORS_MAX = 4 };

static const struct kernel_log_shape layout = {
    .bits = 16, .lanes = 32, .taps = 2, .width = 64, .least = 32};

size_t kernel_log_packed_bytes_avx512vnni(const struct kernel_log *conv)
{
    return kernel_log_plan_packed_bytes(conv, &layout);
}

size_t kernel_log_workspace_bytes_avx512vnni(const struct kernel_log *conv)
{
    struct kernel_log_plan plan;

    kernel_log_plan_init(conv, &layout, &plan);
    return kernel_log_plan_workspace(&plan);
}

void kernel_log_pack_avx512vnni(const struct kernel_log *conv, const int8_t *weights,
                                const int64_t *threshold, void *packed)
{
    kernel_log_plan_pack(conv, &layout, weights, threshold, packed);
}

/* The codes of the input as numbers, in each plane. */
static void fill_planes(const struct kernel_log *conv, const struct kernel_log_plan *plan,
                        const uint8_t *in, void *planes)
{
    for (uint32_t p = 0; p < plan->planes; p++) {
        const __m512i table = _mm512_loadu_si512(plan->input[p]);
        int16_t *to = (int16_t *)((uint8_t *)planes + p * plan->plane_bytes);

        for (uint32_t row = 0; row < plan->rows; row++, to += plan->plane_row) {
            const uint8_t *from = in + (size_t)row * conv->in_row;
            for (uint32_t i = 0; i < plan->columns; i += 32) {
                const __m256i codes = _mm256_loadu_si256((const void *)(from + i));
                __m512i value = _mm512_cvtepu8_epi16(codes);
                value = conv->in_bits == 0 ? _mm512_sub_epi16(_mm512_setzero_si512(), value)
                                           : _mm512_permutexvar_epi16(value, table);
                _mm512_store_si512(to + i, value);
            }
        }
    }
}

/* How the codes of a pass become numbers. bits: 4, 5 or 6 of a table, 8 a number itself. */
struct decoder {
    __m512i table[2];
};

ALWAYS_INLINE __m512i decode(const struct decoder *decoder, __m512i codes, uint32_t index,
                             uint32_t bits)
{
    if (bits == 4) {
        codes = index == 0 ? codes : _mm512_srli_epi16(codes, 4 * index);
        return _mm512_permutexvar_epi16(codes, decoder->table[0]);
    }
    if (bits == 8) {
        return _mm512_srai_epi16(index == 0 ? _mm512_slli_epi16(codes, 8) : codes, 8);
    }
    codes = index == 0 ? codes : _mm512_srli_epi16(codes, 8);
    return bits == 5 ? _mm512_permutexvar_epi16(codes, decoder->table[0])
                     : _mm512_permutex2var_epi16(decoder->table[0], codes, decoder->table[1]);
}

/* A convolution at work on one block of channels. */
struct work {
    const struct kernel_log *conv;
    const struct kernel_log_plan *plan;
    const struct kernel_log_block *block;
    const int16_t *planes;
    const uint32_t *offsets;
};

struct tile {
    __m512i sum[TILE_MAX][VECTORS_MAX];
    __m512i high[TILE_MAX][VECTORS_MAX]; /* what was split off, in units of 2^16 */
};

/* Steps `step` to `stop` of a pass. */
ALWAYS_INLINE void add_steps(const struct work *work, const struct decoder *decoder,
                             const uint32_t *offsets, const int16_t *const *from, uint32_t step,
                             uint32_t stop, __m512i sum[TILE_MAX][VECTORS_MAX], uint32_t pixels,
                             uint32_t vectors, uint32_t bits)
{
    const uint32_t per_load = bits == 4 ? 4 : 2, steps = vectors < per_load ? 2 : 1;
    const uint8_t *codes = work->block->codes + (size_t)step * vectors / per_load * 64;

    for (; step < stop; step += steps) {
        __m512i load = _mm512_setzero_si512();
        for (uint32_t s = 0; s < steps; s++) {
            __m512i weight[VECTORS_MAX];
            for (uint32_t v = 0; v < vectors; v++) {
                const uint32_t index = (s * vectors + v) % per_load;
                if (index == 0) {
                    load = _mm512_load_si512(codes);
                    codes += 64;
                }
                weight[v] = decode(decoder, load, index, bits);
            }
            for (uint32_t i = 0; i < pixels; i++) {
                const __m512i two =
                    _mm512_broadcastd_epi32(_mm_loadu_si32(from[i] + offsets[step + s]));
                for (uint32_t v = 0; v < vectors; v++) {
                    sum[i][v] = _mm512_dpwssd_epi32(sum[i][v], two, weight[v]);
                }
            }
        }
    }
}

ALWAYS_INLINE void split(struct tile *tile, __m512i sum[TILE_MAX][VECTORS_MAX], uint32_t pixels,
                         uint32_t vectors)
{
    for (uint32_t i = 0; i < pixels; i++) {
        for (uint32_t v = 0; v < vectors; v++) {
            tile->high[i][v] = _mm512_add_epi32(tile->high[i][v], _mm512_srai_epi32(sum[i][v], 16));
            sum[i][v] = _mm512_and_si512(sum[i][v], _mm512_set1_epi32(0xffff));
        }
    }
}

/* Adds the sums, shifted, to the results and clears them. */
ALWAYS_INLINE void join(struct tile *tile, __m512i sum[TILE_MAX][VECTORS_MAX], uint32_t shift,
                        int64_t *results, uint32_t pixels, uint32_t vectors)
{
    for (uint32_t i = 0; i < pixels; i++) {
        for (uint32_t v = 0; v < vectors; v++, results += LANES) {
            for (uint32_t half = 0; half < 2; half++) {
                const __m256i high = half ? _mm512_extracti64x4_epi64(tile->high[i][v], 1)
                                          : _mm512_castsi512_si256(tile->high[i][v]);
                const __m256i low = half ? _mm512_extracti64x4_epi64(sum[i][v], 1)
                                         : _mm512_castsi512_si256(sum[i][v]);
                __m512i t = _mm512_slli_epi64(_mm512_cvtepi32_epi64(high), 16);
                t = _mm512_add_epi64(t, _mm512_cvtepi32_epi64(low));
                t = _mm512_slli_epi64(t, shift);
                t = _mm512_add_epi64(t, _mm512_load_si512(results + 8 * half));
                _mm512_store_si512(results + 8 * half, t);
            }
            tile->high[i][v] = sum[i][v] = _mm512_setzero_si512();
        }
    }
}

/* All passes. Narrow blocks leave the sums in tile->sum, others in results. */
ALWAYS_INLINE void add_passes(const struct work *work, const int16_t *const *from,
                              struct tile *tile, int64_t *results, uint32_t pixels,
                              uint32_t vectors, uint32_t bits)
{
    const struct kernel_log_plan *plan = work->plan;
    const uint32_t *ends = work->block->ends;
    __m512i sum[TILE_MAX][VECTORS_MAX];

    for (uint32_t i = 0; i < pixels * vectors; i++) {
        sum[i / vectors][i % vectors] = _mm512_setzero_si512();
        tile->high[i / vectors][i % vectors] = _mm512_setzero_si512();
    }
    for (uint32_t i = 0; i < pixels * vectors && !work->block->narrow; i++) {
        _mm512_store_si512(results + 2 * i * 8, _mm512_setzero_si512());
        _mm512_store_si512(results + 2 * i * 8 + 8, _mm512_setzero_si512());
    }
    for (uint32_t pass = 0; pass < plan->passes; pass++) {
        const uint32_t base = pass * plan->steps;
        const struct decoder decoder = {
            {_mm512_loadu_si512(plan->weight[pass]), _mm512_loadu_si512(plan->weight[pass] + 32)}};
        uint32_t step = 0;

        if (pass > 0 && plan->shift[pass] != plan->shift[pass - 1]) {
            join(tile, sum, plan->shift[pass - 1], results, pixels, vectors);
        }
        while (step < plan->steps) {
            if (base + step == *ends) {
                split(tile, sum, pixels, vectors);
                ends++;
            }
            const uint32_t stop = *ends - base < plan->steps ? *ends - base : plan->steps;
            add_steps(work, &decoder, work->offsets + base, from, step, stop, sum, pixels, vectors,
                      bits);
            step = stop;
        }
    }
    if (!work->block->narrow) {
        join(tile, sum, plan->shift[plan->passes - 1], results, pixels, vectors);
        return;
    }
    for (uint32_t i = 0; i < pixels * vectors; i++) {
        tile->sum[i / vectors][i % vectors] = sum[i / vectors][i % vectors];
    }
}

/* codes[count] of 16 channels, those beyond the last left out */
ALWAYS_INLINE void put_codes(const struct work *work, __m512i count, uint32_t vector, uint8_t *out)
{
    const uint32_t left = work->block->left - vector * LANES;
    const __mmask16 mask = left >= LANES ? (__mmask16)0xffff : (__mmask16)((1u << left) - 1);
    const __m256i codes = _mm256_loadu_si256((const void *)work->conv->codes);
    const __m256i low = _mm256_broadcastsi128_si256(_mm256_castsi256_si128(codes));
    const __m256i high = _mm256_broadcastsi128_si256(_mm256_extracti128_si256(codes, 1));
    const __m128i index = _mm512_cvtepi32_epi8(count);
    const __m128i value =
        _mm_mask_blend_epi8(_mm_cmpgt_epi8_mask(index, _mm_set1_epi8(15)),
                            _mm_shuffle_epi8(_mm256_castsi256_si128(low), index),
                            _mm_shuffle_epi8(_mm256_castsi256_si128(high), index));

    _mm_mask_storeu_epi8(out + work->block->first + vector * LANES, mask, value);
}

ALWAYS_INLINE void put_narrow(const struct work *work, __m512i t, uint32_t vector, void *out,
                              size_t at)
{
    const struct kernel_log_block *block = work->block;
    const int32_t *threshold = (const int32_t *)block->threshold + vector * LANES;
    __m512i count = _mm512_setzero_si512();

    if (work->conv->levels == 0) {
        const uint32_t left = block->left - vector * LANES;
        const uint32_t mask = left >= LANES ? 0xffff : (1u << left) - 1;
        int64_t *to = (int64_t *)out + at + block->first + vector * LANES;
        const __m256i low = _mm512_castsi512_si256(t), high = _mm512_extracti64x4_epi64(t, 1);
        _mm512_mask_storeu_epi64(to, (__mmask8)mask, _mm512_cvtepi32_epi64(low));
        _mm512_mask_storeu_epi64(to + 8, (__mmask8)(mask >> 8), _mm512_cvtepi32_epi64(high));
        return;
    }
    for (uint32_t i = 0; i < work->conv->levels; i++, threshold += block->width) {
        const __mmask16 reached = _mm512_cmpge_epi32_mask(t, _mm512_load_si512(threshold));
        count = _mm512_mask_add_epi32(count, reached, count, _mm512_set1_epi32(1));
    }
    put_codes(work, count, vector, (uint8_t *)out + at);
}

ALWAYS_INLINE void put_wide(const struct work *work, const __m512i t[2], uint32_t vector, void *out,
                            size_t at)
{
    const struct kernel_log_block *block = work->block;
    const int64_t *threshold = (const int64_t *)block->threshold + vector * LANES;
    __m512i count = _mm512_setzero_si512();

    if (work->conv->levels == 0) {
        const uint32_t left = block->left - vector * LANES;
        const uint32_t mask = left >= LANES ? 0xffff : (1u << left) - 1;
        int64_t *to = (int64_t *)out + at + block->first + vector * LANES;
        _mm512_mask_storeu_epi64(to, (__mmask8)mask, t[0]);
        _mm512_mask_storeu_epi64(to + 8, (__mmask8)(mask >> 8), t[1]);
        return;
    }
    for (uint32_t i = 0; i < work->conv->levels; i++, threshold += block->width) {
        const __mmask8 low = _mm512_cmpge_epi64_mask(t[0], _mm512_load_si512(threshold));
        const __mmask8 high = _mm512_cmpge_epi64_mask(t[1], _mm512_load_si512(threshold + 8));
        count =
            _mm512_mask_add_epi32(count, _mm512_kunpackb(high, low), count, _mm512_set1_epi32(1));
    }
    put_codes(work, count, vector, (uint8_t *)out + at);
}

/* from[i] is the first tap of pixel i. With pooling, four pixels in a row are one block of the map,
 * and at[i] is the output element of block i. */
ALWAYS_INLINE void tile(const struct work *work, const int16_t *const *from, void *out,
                        const size_t *at, uint32_t pixels, uint32_t vectors, uint32_t bits,
                        int pool)
{
    struct tile tile;
    _Alignas(64) int64_t results[TILE_MAX * VECTORS_MAX * LANES];

    add_passes(work, from, &tile, results, pixels, vectors, bits);
    for (uint32_t v = 0; v < vectors && v * LANES < work->block->left; v++) {
        for (uint32_t i = 0; i < pixels; i += pool ? 4 : 1) {
            const size_t element = at[pool ? i / 4 : i];
            if (work->block->narrow) {
                __m512i best = tile.sum[i][v];
                for (uint32_t j = 1; pool && j < 4; j++) {
                    best = _mm512_max_epi32(best, tile.sum[i + j][v]);
                }
                put_narrow(work, best, v, out, element);
                continue;
            }
            const int64_t *result = results + (i * vectors + v) * LANES;
            __m512i best[2] = {_mm512_load_si512(result), _mm512_load_si512(result + 8)};
            for (uint32_t j = 1; pool && j < 4; j++) {
                result += vectors * LANES;
                best[0] = _mm512_max_epi64(best[0], _mm512_load_si512(result));
                best[1] = _mm512_max_epi64(best[1], _mm512_load_si512(result + 8));
            }
            put_wide(work, best, v, out, element);
        }
    }
}

/* All output pixels of one block of channels, a tile at a time in reading order. The last tile
 * repeats the last pixel. */
ALWAYS_INLINE void map(const struct work *work, void *out, size_t out_row, uint32_t pixels,
                       uint32_t vectors, uint32_t bits, int pool)
{
    const struct kernel_log *conv = work->conv;
    const size_t step_y = (size_t)conv->stride_y * work->plan->plane_row;
    const size_t step_x = (size_t)conv->stride_x * conv->in_c;
    const uint32_t results = pool ? pixels / 4 : pixels;
    const int16_t *from[TILE_MAX];
    size_t at[TILE_MAX];
    uint32_t x = 0, y = 0;

    while (y < conv->out_h) {
        for (uint32_t i = 0; i < results; i++) {
            at[i] = y * out_row + (size_t)x * conv->out_c;
            if (pool) {
                const int16_t *corner = work->planes + 2 * (y * step_y + x * step_x);
                from[4 * i] = corner;
                from[4 * i + 1] = corner + step_x;
                from[4 * i + 2] = corner + step_y;
                from[4 * i + 3] = corner + step_y + step_x;
            } else {
                from[i] = work->planes + y * step_y + x * step_x;
            }
            if (x + 1 < conv->out_w) {
                x++;
            } else if (y + 1 < conv->out_h || i + 1 == results) {
                x = 0;
                y++;
            }
        }
        tile(work, from, out, at, pixels, vectors, bits, pool);
    }
}

#define MAPS(bits)                                                                                 \
    static void map_wide_##bits(const struct work *work, void *out, size_t out_row)                \
    {                                                                                              \
        map(work, out, out_row, 6, 4, bits, 0);                                                    \
    }                                                                                              \
    static void map_half_##bits(const struct work *work, void *out, size_t out_row)                \
    {                                                                                              \
        map(work, out, out_row, 8, 2, bits, 0);                                                    \
    }                                                                                              \
    static void map_single_##bits(const struct work *work, void *out, size_t out_row)              \
    {                                                                                              \
        map(work, out, out_row, 1, 4, bits, 0);                                                    \
    }                                                                                              \
    static void map_wide_pooled_##bits(const struct work *work, void *out, size_t out_row)         \
    {                                                                                              \
        map(work, out, out_row, 4, 4, bits, 1);                                                    \
    }                                                                                              \
    static void map_half_pooled_##bits(const struct work *work, void *out, size_t out_row)         \
    {                                                                                              \
        map(work, out, out_row, 8, 2, bits, 1);                                                    \
    }                                                                                              \
    static void map_block_##bits(const struct work *work, void *out, size_t out_row)               \
    {                                                                                              \
        const struct kernel_log *conv = work->conv;                                                \
        if (conv->pool == 2) {                                                                     \
            (work->block->width == 64 ? map_wide_pooled_##bits                                     \
                                      : map_half_pooled_##bits)(work, out, out_row);               \
        } else if (work->block->width == 64 && conv->out_w * conv->out_h == 1) {                   \
            map_single_##bits(work, out, out_row);                                                 \
        } else {                                                                                   \
            (work->block->width == 64 ? map_wide_##bits : map_half_##bits)(work, out, out_row);    \
        }                                                                                          \
    }
MAPS(4)
MAPS(5)
MAPS(6)
MAPS(8)

void kernel_log_run_avx512vnni(const struct kernel_log *conv, const void *packed, const uint8_t *in,
                               void *workspace, void *out, size_t out_row)
{
    const struct kernel_log_plan *plan = packed;
    const uint8_t *at = (const uint8_t *)packed + kernel_log_plan_bytes();

    if (!plan->possible) {
        kernel_log_run_c(conv, at, in, workspace, out, out_row);
        return;
    }
    uint32_t *offsets = workspace;
    int16_t *planes = (int16_t *)workspace + ((plan->offsets_bytes + 63) & ~(size_t)63) / 2;

    kernel_log_plan_offsets(conv, &layout, plan, offsets);
    fill_planes(conv, plan, in, planes);
    for (uint32_t first = 0; first < conv->out_c;) {
        const struct kernel_log_block block =
            kernel_log_plan_block(conv, &layout, plan, first, &at);
        const struct work work = {conv, plan, &block, planes, offsets};

        (plan->nibbles            ? map_block_4
         : conv->weight_bits == 0 ? map_block_8
         : conv->weight_bits == 5 ? map_block_5
                                  : map_block_6)(&work, out, out_row);
        first += block.width;
    }
}
