/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Logarithmic convolution with AVX2, see log_plan.h. A tile of four output pixels times 16 channels
 * stays in registers; two neighbouring inputs of a pixel are broadcast and multiplied with two
 * weights of each channel (vpmaddwd). Looking weights up costs as much as using them on a few
 * pixels, so those of a block of channels are looked up once, into the workspace.
 */
#include <immintrin.h>

#include "engine/kernel/isa.h"
#include "engine/kernel/log_plan.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { LANES = 8, CHANNELS = 16, TILE = 4, PARTS = 4, SPAN = 16 };

static const struct kernel_log_shape layout = {
    .bits = 16, .lanes = 16, .taps = 2, .width = CHANNELS, .least = CHANNELS};

size_t kernel_log_packed_bytes_avx2(const struct kernel_log *conv)
{
    return kernel_log_plan_packed_bytes(conv, &layout);
}

size_t kernel_log_workspace_bytes_avx2(const struct kernel_log *conv)
{
    struct kernel_log_plan plan;

    kernel_log_plan_init(conv, &layout, &plan);
    return kernel_log_plan_workspace(&plan) + (size_t)plan.passes * plan.steps * CHANNELS * 4;
}

void kernel_log_pack_avx2(const struct kernel_log *conv, const int8_t *weights,
                          const int64_t *threshold, void *packed)
{
    kernel_log_plan_pack(conv, &layout, weights, threshold, packed);
}

/* 16-bit numbers by codes, in parts of 16 entries: the low bytes and the high bytes. */
struct table {
    __m256i low[PARTS], high[PARTS];
};

static void table_init(struct table *table, const int16_t *numbers, uint32_t parts)
{
    const __m128i bytes = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);

    for (uint32_t p = 0; p < parts; p++, numbers += 16) {
        const __m128i a = _mm_shuffle_epi8(_mm_loadu_si128((const void *)numbers), bytes);
        const __m128i b = _mm_shuffle_epi8(_mm_loadu_si128((const void *)(numbers + 8)), bytes);
        table->low[p] = _mm256_broadcastsi128_si256(_mm_unpacklo_epi64(a, b));
        table->high[p] = _mm256_broadcastsi128_si256(_mm_unpackhi_epi64(a, b));
    }
}

/* Numbers of the codes in the 16-bit lanes of `codes`. */
ALWAYS_INLINE __m256i lookup(const struct table *table, __m256i codes, uint32_t parts)
{
    __m256i low = _mm256_setzero_si256(), high = low;

    codes = _mm256_or_si256(codes, _mm256_slli_epi16(codes, 8));
    for (uint32_t p = 0; p < parts; p++) {
        /* A shuffle gives 0 where the highest bit is set, which it is here outside of the part. */
        __m256i index = codes;
        if (parts > 1) {
            index = _mm256_sub_epi8(codes, _mm256_set1_epi8((char)(16 * p)));
            index = _mm256_adds_epu8(index, _mm256_set1_epi8(0x70));
        }
        low = _mm256_or_si256(low, _mm256_shuffle_epi8(table->low[p], index));
        high = _mm256_or_si256(high, _mm256_shuffle_epi8(table->high[p], index));
    }
    return _mm256_blendv_epi8(low, high, _mm256_set1_epi16((int16_t)0xff00));
}

/* The codes of the input as numbers, in each plane. */
static void fill_planes(const struct kernel_log *conv, const struct kernel_log_plan *plan,
                        const uint8_t *in, int16_t *planes)
{
    const struct kernel_log_extent extent = kernel_log_extent(conv);

    for (uint32_t p = 0; p < plan->planes; p++) {
        int16_t *to = planes + p * (plan->plane_bytes / sizeof(*to));
        struct table table;

        table_init(&table, plan->input[p], 2);
        for (uint32_t row = 0; row < extent.rows; row++, to += plan->plane_row) {
            const uint8_t *from = in + (size_t)row * conv->in_row;
            for (uint32_t i = 0; i < extent.columns; i += 16) {
                __m256i value = _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)(from + i)));
                value = conv->in_bits == 0 ? _mm256_sub_epi16(_mm256_setzero_si256(), value)
                                           : lookup(&table, value, 2);
                _mm256_store_si256((void *)(to + i), value);
            }
        }
    }
}

/* A convolution at work on one block of channels. */
struct work {
    const struct kernel_log *conv;
    const struct kernel_log_plan *plan;
    const struct kernel_log_block *block;
    const int16_t *planes;
    const uint32_t *offsets;
    int16_t *weights; /* [passes][steps][CHANNELS][2] */
};

ALWAYS_INLINE void decode_pass(const struct work *work, uint32_t pass, uint32_t parts)
{
    const struct kernel_log_plan *plan = work->plan;
    const uint32_t bits = plan->nibbles ? 4 : 8, vectors = plan->steps * 2;
    const uint8_t *codes = work->block->codes;
    const __m256i mask = _mm256_set1_epi16(plan->nibbles ? 0xf : 0xff);
    __m256i *to = (__m256i *)(void *)work->weights + (size_t)pass * vectors;
    struct table table;

    table_init(&table, plan->weight[pass], parts);
    for (uint32_t i = 0; i < vectors; codes += 32) {
        __m256i load = _mm256_load_si256((const void *)codes);
        for (uint32_t shift = 0; shift < 16; shift += bits, i++) {
            const __m256i index = _mm256_and_si256(load, mask);
            _mm256_store_si256(to + i, lookup(&table, index, parts));
            load = _mm256_srli_epi16(load, (int)bits);
        }
    }
}

/* Weights that are numbers themselves. */
static void decode_linear(const struct work *work)
{
    const uint8_t *codes = work->block->codes;

    for (uint32_t pass = 0; pass < work->plan->passes; pass++) {
        __m256i *to = (__m256i *)(void *)work->weights + (size_t)pass * work->plan->steps * 2;
        for (uint32_t step = 0; step < work->plan->steps; step++, to += 2) {
            const __m256i load = _mm256_load_si256((const void *)(codes + 32 * (size_t)step));
            _mm256_store_si256(to, _mm256_srai_epi16(_mm256_slli_epi16(load, 8), 8));
            _mm256_store_si256(to + 1, _mm256_srai_epi16(load, 8));
        }
    }
}

static void decode(const struct work *work)
{
    if (work->conv->weight_bits == 0) {
        decode_linear(work);
        return;
    }
    for (uint32_t pass = 0; pass < work->plan->passes; pass++) {
        if (work->plan->nibbles) {
            decode_pass(work, pass, 1);
        } else if (work->conv->weight_bits == 5) {
            decode_pass(work, pass, 2);
        } else {
            decode_pass(work, pass, 4);
        }
    }
}

/* Done with this sum: without a word the compiler makes all products before it adds any, which
 * takes more registers than there are. */
ALWAYS_INLINE __m256i now(__m256i sums)
{
    __asm__("" : "+x"(sums));
    return sums;
}

struct tile {
    __m256i sum[TILE][2];
    __m256i high[TILE][2]; /* what was split off, in units of 2^16 */
};

/* Steps `step` to `stop` of all passes. */
ALWAYS_INLINE void add_steps(const struct work *work, const int16_t *const *from, uint32_t step,
                             uint32_t stop, __m256i sum[TILE][2], uint32_t pixels)
{
    const __m256i *weights = (const __m256i *)(const void *)work->weights + 2 * (size_t)step;

    for (; step < stop; step++, weights += 2) {
        const uint32_t offset = work->offsets[step];
        const __m256i weight[2] = {_mm256_load_si256(weights), _mm256_load_si256(weights + 1)};
        for (uint32_t i = 0; i < pixels; i++) {
            const __m256i two = _mm256_broadcastd_epi32(_mm_loadu_si32(from[i] + offset));
            for (uint32_t v = 0; v < 2; v++) {
                sum[i][v] = now(_mm256_add_epi32(sum[i][v], _mm256_madd_epi16(two, weight[v])));
            }
        }
    }
}

ALWAYS_INLINE void split(struct tile *tile, __m256i sum[TILE][2], uint32_t pixels)
{
    for (uint32_t i = 0; i < pixels; i++) {
        for (uint32_t v = 0; v < 2; v++) {
            tile->high[i][v] = _mm256_add_epi32(tile->high[i][v], _mm256_srai_epi32(sum[i][v], 16));
            sum[i][v] = _mm256_and_si256(sum[i][v], _mm256_set1_epi32(0xffff));
        }
    }
}

/* Adds the sums, shifted, to the results and clears them. */
ALWAYS_INLINE void join(struct tile *tile, __m256i sum[TILE][2], uint32_t shift, int64_t *results,
                        uint32_t pixels)
{
    for (uint32_t i = 0; i < pixels; i++) {
        for (uint32_t v = 0; v < 2; v++) {
            for (uint32_t half = 0; half < 2; half++, results += 4) {
                const __m128i high = half ? _mm256_extracti128_si256(tile->high[i][v], 1)
                                          : _mm256_castsi256_si128(tile->high[i][v]);
                const __m128i low = half ? _mm256_extracti128_si256(sum[i][v], 1)
                                         : _mm256_castsi256_si128(sum[i][v]);
                __m256i t = _mm256_slli_epi64(_mm256_cvtepi32_epi64(high), 16);
                t = _mm256_add_epi64(t, _mm256_cvtepi32_epi64(low));
                t = _mm256_slli_epi64(t, (int)shift);
                t = _mm256_add_epi64(t, _mm256_load_si256((const void *)results));
                _mm256_store_si256((void *)results, t);
            }
            tile->high[i][v] = sum[i][v] = _mm256_setzero_si256();
        }
    }
}

/* Whether the inputs of `steps` (at most SPAN) steps, and a few behind them, are all zero. Only
 * where they are neighbours. */
ALWAYS_INLINE int empty(const uint32_t *offsets, const int16_t *const *from, uint32_t steps,
                        uint32_t pixels)
{
    __m256i any = _mm256_setzero_si256();

    if (offsets[steps - 1] - offsets[0] != 2 * (steps - 1)) {
        return 0;
    }
    for (uint32_t i = 0; i < pixels; i++) {
        const __m256i *inputs = (const __m256i *)(const void *)(from[i] + offsets[0]);
        any = _mm256_or_si256(any, _mm256_loadu_si256(inputs));
        any = _mm256_or_si256(any, _mm256_loadu_si256(inputs + 1));
    }
    return _mm256_testz_si256(any, any);
}

/* Where the results of a tile are: 32-bit sums, those but of the second pass, or wide results. */
enum found { NARROW, HIGH, WIDE };

/* All passes. */
ALWAYS_INLINE enum found add_passes(const struct work *work, const int16_t *const *from,
                                    struct tile *tile, int64_t *results, uint32_t pixels)
{
    const struct kernel_log_plan *plan = work->plan;
    const uint32_t *ends = work->block->ends;
    int added = 0, first = 1; /* since the last join; no join so far */
    __m256i sum[TILE][2];

    for (uint32_t i = 0; i < 2 * pixels; i++) {
        sum[i / 2][i % 2] = tile->high[i / 2][i % 2] = _mm256_setzero_si256();
    }
    for (uint32_t i = 0; i < pixels * CHANNELS && !work->block->narrow; i += 4) {
        _mm256_store_si256((void *)(results + i), _mm256_setzero_si256());
    }
    for (uint32_t pass = 0; pass < plan->passes; pass++) {
        const int rare = plan->rare && plan->plane[pass] == 0;
        const uint32_t pass_end = (pass + 1) * plan->steps;
        uint32_t step = pass * plan->steps;

        if (added && plan->shift[pass] != plan->shift[pass - 1]) {
            join(tile, sum, plan->shift[pass - 1], results, pixels);
            added = first = 0;
        }
        while (step < pass_end) {
            if (step == *ends) {
                split(tile, sum, pixels);
                ends++;
            }
            uint32_t stop = *ends < pass_end ? *ends : pass_end;
            if (rare) {
                stop = stop - step < SPAN ? stop : step + SPAN;
                if (empty(work->offsets + step, from, stop - step, pixels)) {
                    step = stop;
                    continue;
                }
            }
            add_steps(work, from, step, stop, sum, pixels);
            added = 1;
            step = stop;
        }
    }
    const int high = first && work->block->high_threshold != NULL && work->conv->levels > 0;

    if (!work->block->narrow && !high) {
        join(tile, sum, plan->shift[plan->passes - 1], results, pixels);
        return WIDE;
    }
    for (uint32_t i = 0; i < 2 * pixels; i++) {
        tile->sum[i / 2][i % 2] = sum[i / 2][i % 2];
    }
    return high ? HIGH : NARROW;
}

/* codes[levels - missed] of 16 channels, those beyond the last left out; missed is negative */
ALWAYS_INLINE void put_codes(const struct work *work, __m256i low, __m256i high, uint8_t *out)
{
    const uint8_t *codes = work->conv->codes;
    __m256i pairs = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8);
    __m128i count =
        _mm_packs_epi16(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));

    count = _mm_add_epi8(count, _mm_set1_epi8((char)work->conv->levels));
    const __m128i first = _mm_shuffle_epi8(_mm_loadu_si128((const void *)codes), count);
    const __m128i second = _mm_shuffle_epi8(_mm_loadu_si128((const void *)(codes + 16)), count);
    const __m128i value = _mm_blendv_epi8(first, second, _mm_cmpgt_epi8(count, _mm_set1_epi8(15)));

    out += work->block->first;
    if (work->block->left == CHANNELS) {
        _mm_storeu_si128((void *)out, value);
        return;
    }
    uint8_t bytes[CHANNELS];
    _mm_storeu_si128((void *)bytes, value);
    for (uint32_t i = 0; i < work->block->left; i++) {
        out[i] = bytes[i];
    }
}

ALWAYS_INLINE void put_sums(const struct work *work, const int64_t *results, int64_t *out)
{
    for (uint32_t i = 0; i < work->block->left; i++) {
        out[work->block->first + i] = results[i];
    }
}

ALWAYS_INLINE void put_narrow(const struct work *work, const __m256i t[2], const __m256i *threshold,
                              void *out, size_t at)
{
    __m256i missed[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};

    if (work->conv->levels == 0) {
        _Alignas(32) int64_t results[CHANNELS];
        for (uint32_t v = 0; v < 2; v++) {
            __m256i *to = (__m256i *)(void *)(results + 8 * v);
            _mm256_store_si256(to, _mm256_cvtepi32_epi64(_mm256_castsi256_si128(t[v])));
            _mm256_store_si256(to + 1, _mm256_cvtepi32_epi64(_mm256_extracti128_si256(t[v], 1)));
        }
        put_sums(work, results, (int64_t *)out + at);
        return;
    }
    for (uint32_t i = 0; i < work->conv->levels; i++, threshold += 2) {
        for (uint32_t v = 0; v < 2; v++) {
            missed[v] = _mm256_add_epi32(
                missed[v], _mm256_cmpgt_epi32(_mm256_load_si256(threshold + v), t[v]));
        }
    }
    put_codes(work, missed[0], missed[1], (uint8_t *)out + at);
}

ALWAYS_INLINE void put_wide(const struct work *work, const int64_t *results, void *out, size_t at)
{
    const __m256i low_words = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
    const __m256i *threshold = work->block->threshold;
    __m256i missed[4], narrow[2];

    if (work->conv->levels == 0) {
        put_sums(work, results, (int64_t *)out + at);
        return;
    }
    for (uint32_t v = 0; v < 4; v++) {
        missed[v] = _mm256_setzero_si256();
    }
    for (uint32_t i = 0; i < work->conv->levels; i++, threshold += 4) {
        for (uint32_t v = 0; v < 4; v++) {
            const __m256i t = _mm256_load_si256((const void *)(results + 4 * v));
            missed[v] = _mm256_add_epi64(missed[v],
                                         _mm256_cmpgt_epi64(_mm256_load_si256(threshold + v), t));
        }
    }
    for (uint32_t v = 0; v < 2; v++) {
        narrow[v] =
            _mm256_blend_epi32(_mm256_permutevar8x32_epi32(missed[2 * v], low_words),
                               _mm256_permutevar8x32_epi32(missed[2 * v + 1], low_words), 0xf0);
    }
    put_codes(work, narrow[0], narrow[1], (uint8_t *)out + at);
}

/* Largest of the four pixels of a block of the map, to the first. */
static void pool_wide(int64_t *results)
{
    for (uint32_t i = 0; i < CHANNELS; i++) {
        for (uint32_t j = 1; j < 4; j++) {
            const int64_t other = results[j * CHANNELS + i];
            results[i] = other > results[i] ? other : results[i];
        }
    }
}

/* from[i] is the first tap of pixel i. With pooling the four pixels are one block of the map and
 * at[0] its output element. */
ALWAYS_INLINE void tile(const struct work *work, const int16_t *const *from, void *out,
                        const size_t *at, uint32_t pixels, int pool)
{
    _Alignas(32) int64_t results[TILE * CHANNELS];
    struct tile tile;

    const enum found found = add_passes(work, from, &tile, results, pixels);
    const void *threshold = found == HIGH ? work->block->high_threshold : work->block->threshold;

    if (found == WIDE) {
        if (pool) {
            pool_wide(results);
        }
        for (uint32_t i = 0; i < (pool ? 1 : pixels); i++) {
            put_wide(work, results + i * CHANNELS, out, at[i]);
        }
        return;
    }
    for (uint32_t v = 0; pool && v < 2; v++) {
        tile.sum[0][v] = _mm256_max_epi32(_mm256_max_epi32(tile.sum[0][v], tile.sum[1][v]),
                                          _mm256_max_epi32(tile.sum[2][v], tile.sum[3][v]));
    }
    for (uint32_t i = 0; i < (pool ? 1 : pixels); i++) {
        put_narrow(work, tile.sum[i], threshold, out, at[i]);
    }
}

/* A tile at a time in reading order; the last tile repeats the last pixel. */
ALWAYS_INLINE void map(const struct work *work, void *out, size_t out_row, uint32_t pixels,
                       int pool)
{
    const struct kernel_log *conv = work->conv;
    const size_t step_y = (size_t)conv->stride_y * work->plan->plane_row;
    const size_t step_x = (size_t)conv->stride_x * conv->in_c;
    const int16_t *from[TILE];
    size_t at[TILE];
    uint32_t x = 0, y = 0, results = pool ? 1 : pixels;

    while (y < conv->out_h) {
        for (uint32_t i = 0; i < results; i++) {
            at[i] = y * out_row + (size_t)x * conv->out_c;
            from[i] = work->planes + (pool ? 2 : 1) * (y * step_y + x * step_x);
            if (x + 1 < conv->out_w) {
                x++;
            } else if (y + 1 < conv->out_h || i + 1 == results) {
                x = 0;
                y++;
            }
        }
        if (pool) {
            from[1] = from[0] + step_x;
            from[2] = from[0] + step_y;
            from[3] = from[0] + step_y + step_x;
        }
        tile(work, from, out, at, pixels, pool);
    }
}

static void map_pooled(const struct work *work, void *out, size_t out_row)
{
    map(work, out, out_row, TILE, 1);
}

static void map_plain(const struct work *work, void *out, size_t out_row)
{
    map(work, out, out_row, TILE, 0);
}

static void map_single(const struct work *work, void *out, size_t out_row)
{
    map(work, out, out_row, 1, 0);
}

void kernel_log_run_avx2(const struct kernel_log *conv, const void *packed, const uint8_t *in,
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
    int16_t *weights = (int16_t *)workspace + kernel_log_plan_workspace(plan) / 2;

    kernel_log_plan_offsets(conv, &layout, plan, offsets);
    fill_planes(conv, plan, in, planes);
    for (uint32_t first = 0; first < conv->out_c;) {
        const struct kernel_log_block block =
            kernel_log_plan_block(conv, &layout, plan, first, &at);
        const struct work work = {conv, plan, &block, planes, offsets, weights};

        decode(&work);
        if (conv->pool == 2) {
            map_pooled(&work, out, out_row);
        } else if (conv->out_w * conv->out_h == 1) { /* a dense layer */
            map_single(&work, out, out_row);
        } else {
            map_plain(&work, out, out_row);
        }
        first += block.width;
    }
}
