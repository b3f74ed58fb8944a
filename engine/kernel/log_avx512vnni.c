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

enum { LANES = 16, TILE_MAX = 8, VECTORS_MAX = 4, SPAN = 16 };

static const struct kernel_log_shape layout = {
    .bits = 16, .lanes = 32, .taps = 2, .width = 64, .least = 32};

/* Of a tile: its sums in the end, what was split off them, in units of 2^16, and wide results. */
struct scratch {
    __m512i sum[TILE_MAX][VECTORS_MAX];
    __m512i high[TILE_MAX][VECTORS_MAX];
    int64_t results[TILE_MAX * VECTORS_MAX * LANES];
};

size_t kernel_log_packed_bytes_avx512vnni(const struct kernel_log *conv)
{
    return kernel_log_plan_packed_bytes(conv, &layout);
}

size_t kernel_log_workspace_bytes_avx512vnni(const struct kernel_log *conv)
{
    struct kernel_log_plan plan;

    kernel_log_plan_init(conv, &layout, &plan);
    return kernel_log_plan_workspace(&plan) + sizeof(struct scratch);
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
    const struct kernel_log_extent extent = kernel_log_extent(conv);

    for (uint32_t p = 0; p < plan->planes; p++) {
        const __m512i table = _mm512_loadu_si512(plan->input[p]);
        int16_t *to = (void *)((uint8_t *)planes + p * plan->plane_bytes);

        for (uint32_t row = 0; row < extent.rows; row++, to += plan->plane_row) {
            const uint8_t *from = in + (size_t)row * conv->in_row;
            for (uint32_t i = 0; i < extent.columns; i += 32) {
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
    struct scratch *scratch;
};

/* Some steps of a pass, which begins with step `base` of all. */
struct range {
    const int16_t *const *from; /* first taps of the pixels */
    const struct decoder *decoder;
    const uint32_t *ends; /* moves past those that are done */
    uint32_t base, step, stop;
};

/* Moves past the ends up to the step. */
static void pass_ends(struct range *range, uint32_t step)
{
    while (*range->ends <= range->base + step) {
        range->ends++;
    }
}

/* Adds the products of the range to the sums in scratch. */
typedef void add_function(const struct work *work, struct range *range);

ALWAYS_INLINE void add_step(const struct range *range, const uint32_t *offsets,
                            const uint8_t **codes, __m512i sum[TILE_MAX][VECTORS_MAX],
                            uint32_t pixels, uint32_t vectors, uint32_t bits)
{
    const uint32_t per_load = bits == 4 ? 4 : 2, steps = vectors < per_load ? 2 : 1;
    __m512i load = _mm512_setzero_si512();

    for (uint32_t s = 0; s < steps; s++) {
        __m512i weight[VECTORS_MAX];
        for (uint32_t v = 0; v < vectors; v++) {
            const uint32_t index = (s * vectors + v) % per_load;
            if (index == 0) {
                load = _mm512_load_si512(*codes);
                *codes += 64;
            }
            weight[v] = decode(range->decoder, load, index, bits);
        }
        for (uint32_t i = 0; i < pixels; i++) {
            const __m512i two =
                _mm512_broadcastd_epi32(_mm_loadu_si32(range->from[i] + offsets[s]));
            for (uint32_t v = 0; v < vectors; v++) {
                sum[i][v] = _mm512_dpwssd_epi32(sum[i][v], two, weight[v]);
            }
        }
    }
}

ALWAYS_INLINE void split(struct scratch *scratch, __m512i sum[TILE_MAX][VECTORS_MAX],
                         uint32_t pixels, uint32_t vectors)
{
    for (uint32_t i = 0; i < pixels; i++) {
        for (uint32_t v = 0; v < vectors; v++) {
            scratch->high[i][v] =
                _mm512_add_epi32(scratch->high[i][v], _mm512_srai_epi32(sum[i][v], 16));
            sum[i][v] = _mm512_and_si512(sum[i][v], _mm512_set1_epi32(0xffff));
        }
    }
}

/* Never inlined: among other uses of the sums the compiler would not keep them in registers. */
ALWAYS_INLINE void add_range(const struct work *work, struct range *range, uint32_t pixels,
                             uint32_t vectors, uint32_t bits)
{
    const uint32_t per_load = bits == 4 ? 4 : 2, steps = vectors < per_load ? 2 : 1;
    const uint32_t *offsets = work->offsets + range->base;
    const uint8_t *codes = work->block->codes + (size_t)range->step * vectors / per_load * 64;
    const struct range here = *range;
    const struct decoder decoder = *range->decoder;
    const int16_t *from[TILE_MAX];
    uint32_t step = here.step;
    __m512i sum[TILE_MAX][VECTORS_MAX];

    for (uint32_t i = 0; i < pixels * vectors; i++) {
        sum[i / vectors][i % vectors] = work->scratch->sum[i / vectors][i % vectors];
    }
    for (uint32_t i = 0; i < pixels; i++) {
        from[i] = here.from[i];
    }
    while (step < here.stop) {
        if (*range->ends <= here.base + step) {
            split(work->scratch, sum, pixels, vectors);
            pass_ends(range, step);
        }
        const uint32_t end = *range->ends - here.base;
        const uint32_t stop = end < here.stop ? end : here.stop;
        for (; step < stop; step += steps) {
            const struct range now = {.from = from, .decoder = &decoder};
            add_step(&now, offsets + step, &codes, sum, pixels, vectors, bits);
        }
    }
    for (uint32_t i = 0; i < pixels * vectors; i++) {
        work->scratch->sum[i / vectors][i % vectors] = sum[i / vectors][i % vectors];
    }
}

/* Whether the inputs of `steps` (at most SPAN) steps are all zero. Only where they are neighbours.
 */
ALWAYS_INLINE int empty(const uint32_t *offsets, const int16_t *const *from, uint32_t steps,
                        uint32_t pixels)
{
    const __mmask16 mask = (__mmask16)((1u << steps) - 1);
    __m512i any = _mm512_setzero_si512();

    if (offsets[steps - 1] - offsets[0] != 2 * (steps - 1)) {
        return 0;
    }
    for (uint32_t i = 0; i < pixels; i++) {
        any = _mm512_or_si512(any, _mm512_maskz_loadu_epi32(mask, from[i] + offsets[0]));
    }
    return _mm512_test_epi32_mask(any, any) == 0;
}

/* Eight lanes of both parts of a sum as one number. */
ALWAYS_INLINE __m512i joined(__m256i high, __m256i low)
{
    return _mm512_add_epi64(_mm512_slli_epi64(_mm512_cvtepi32_epi64(high), 16),
                            _mm512_cvtepi32_epi64(low));
}

/* Adds the sums, shifted, to the results, or begins those with them; clears them. */
ALWAYS_INLINE void join(struct scratch *scratch, uint32_t shift, int first, uint32_t pixels,
                        uint32_t vectors)
{
    int64_t *results = scratch->results;

    for (uint32_t i = 0; i < pixels; i++) {
        for (uint32_t v = 0; v < vectors; v++, results += LANES) {
            const __m512i high = scratch->high[i][v], low = scratch->sum[i][v];
            __m512i a = joined(_mm512_castsi512_si256(high), _mm512_castsi512_si256(low));
            __m512i b =
                joined(_mm512_extracti64x4_epi64(high, 1), _mm512_extracti64x4_epi64(low, 1));
            a = _mm512_slli_epi64(a, shift);
            b = _mm512_slli_epi64(b, shift);
            if (!first) {
                a = _mm512_add_epi64(a, _mm512_load_si512(results));
                b = _mm512_add_epi64(b, _mm512_load_si512(results + 8));
            }
            _mm512_store_si512(results, a);
            _mm512_store_si512(results + 8, b);
            scratch->high[i][v] = scratch->sum[i][v] = _mm512_setzero_si512();
        }
    }
}

/* Where the results of a tile are: 32-bit sums, those but of the second pass, or wide results. */
enum found { NARROW, HIGH, WIDE };

/* A pass; returns whether it added anything. */
ALWAYS_INLINE int add_pass(const struct work *work, struct range *range, uint32_t pass,
                           add_function *add, uint32_t pixels)
{
    const struct kernel_log_plan *plan = work->plan;
    const uint32_t *offsets = work->offsets + (size_t)pass * plan->steps;
    int added = 0;

    range->base = pass * plan->steps;
    range->stop = plan->steps;
    range->step = 0;
    if (!plan->rare || plan->plane[pass] != 0) {
        add(work, range);
        return 1;
    }
    for (uint32_t step = 0; step < plan->steps; step = range->stop) {
        struct range next = *range;

        pass_ends(&next, step);
        const uint32_t end = *next.ends - range->base;
        const uint32_t most = end < plan->steps ? end : plan->steps;

        range->step = step;
        range->stop = most - step < SPAN ? most : step + SPAN;
        if (!empty(offsets + step, range->from, range->stop - step, pixels)) {
            add(work, range);
            added = 1;
        }
    }
    return added;
}

/* All passes. */
ALWAYS_INLINE enum found add_passes(const struct work *work, const int16_t *const *from,
                                    add_function *add, uint32_t pixels, uint32_t vectors)
{
    const struct kernel_log_plan *plan = work->plan;
    struct range range = {.from = from, .ends = work->block->ends};
    int added = 0, first = 1; /* since the last join; no join so far */

    for (uint32_t i = 0; i < pixels * vectors; i++) {
        work->scratch->sum[i / vectors][i % vectors] = _mm512_setzero_si512();
        if (!work->block->narrow) {
            work->scratch->high[i / vectors][i % vectors] = _mm512_setzero_si512();
        }
    }
    for (uint32_t pass = 0; pass < plan->passes; pass++) {
        const struct decoder decoder = {
            {_mm512_loadu_si512(plan->weight[pass]), _mm512_loadu_si512(plan->weight[pass] + 32)}};

        if (added && plan->shift[pass] != plan->shift[pass - 1]) {
            join(work->scratch, plan->shift[pass - 1], first, pixels, vectors);
            added = first = 0;
        }
        range.decoder = &decoder;
        added |= add_pass(work, &range, pass, add, pixels);
    }
    if (work->block->narrow) {
        return NARROW;
    }
    if (first && work->block->high_threshold != NULL && work->conv->levels > 0) {
        return HIGH;
    }
    join(work->scratch, plan->shift[plan->passes - 1], first, pixels, vectors);
    return WIDE;
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

ALWAYS_INLINE void put_narrow(const struct work *work, __m512i t, const int32_t *threshold,
                              uint32_t vector, void *out, size_t at)
{
    const struct kernel_log_block *block = work->block;
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
                        const size_t *at, add_function *add, uint32_t pixels, uint32_t vectors,
                        int pool)
{
    const __m512i(*sum)[VECTORS_MAX] = (const __m512i(*)[VECTORS_MAX])work->scratch->sum;
    const enum found found = add_passes(work, from, add, pixels, vectors);
    const int32_t *threshold =
        found == HIGH ? work->block->high_threshold : (const int32_t *)work->block->threshold;

    for (uint32_t v = 0; v < vectors && v * LANES < work->block->left; v++, threshold += LANES) {
        for (uint32_t i = 0; i < pixels; i += pool ? 4 : 1) {
            const size_t element = at[pool ? i / 4 : i];
            if (found != WIDE) {
                __m512i best = sum[i][v];
                for (uint32_t j = 1; pool && j < 4; j++) {
                    best = _mm512_max_epi32(best, sum[i + j][v]);
                }
                put_narrow(work, best, threshold, v, out, element);
                continue;
            }
            const int64_t *result = work->scratch->results + (i * vectors + v) * LANES;
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
ALWAYS_INLINE void map(const struct work *work, void *out, size_t out_row, add_function *add,
                       uint32_t pixels, uint32_t vectors, int pool)
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
        tile(work, from, out, at, add, pixels, vectors, pool);
    }
}

#define ADD(pixels, vectors, bits)                                                                 \
    static __attribute__((noinline)) void add_##pixels##_##vectors##_##bits(                       \
        const struct work *work, struct range *range)                                              \
    {                                                                                              \
        add_range(work, range, pixels, vectors, bits);                                             \
    }
#define ADDS(pixels, vectors)                                                                      \
    ADD(pixels, vectors, 4)                                                                        \
    ADD(pixels, vectors, 5)                                                                        \
    ADD(pixels, vectors, 6)                                                                        \
    ADD(pixels, vectors, 8)                                                                        \
    static add_function *const adds_##pixels##_##vectors[] = {                                     \
        add_##pixels##_##vectors##_4, add_##pixels##_##vectors##_5, add_##pixels##_##vectors##_6,  \
        add_##pixels##_##vectors##_8};
ADDS(6, 4)
ADDS(4, 4)
ADDS(1, 4)
ADDS(8, 2)

static void run_block(const struct work *work, void *out, size_t out_row)
{
    const struct kernel_log *conv = work->conv;
    const uint32_t coding = work->plan->nibbles      ? 0
                            : conv->weight_bits == 5 ? 1
                            : conv->weight_bits == 6 ? 2
                                                     : 3;
    const int wide = work->block->width == 64;

    if (conv->pool == 2 && wide) {
        map(work, out, out_row, adds_4_4[coding], 4, 4, 1);
    } else if (conv->pool == 2) {
        map(work, out, out_row, adds_8_2[coding], 8, 2, 1);
    } else if (!wide) {
        map(work, out, out_row, adds_8_2[coding], 8, 2, 0);
    } else if (conv->out_w * conv->out_h == 1) { /* a dense layer */
        map(work, out, out_row, adds_1_4[coding], 1, 4, 0);
    } else {
        map(work, out, out_row, adds_6_4[coding], 6, 4, 0);
    }
}

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

    struct scratch *scratch =
        (struct scratch *)(void *)((uint8_t *)workspace + kernel_log_plan_workspace(plan));

    kernel_log_plan_offsets(conv, &layout, plan, offsets);
    fill_planes(conv, plan, in, planes);
    for (uint32_t first = 0; first < conv->out_c;) {
        const struct kernel_log_block block =
            kernel_log_plan_block(conv, &layout, plan, first, &at);
        const struct work work = {conv, plan, &block, planes, offsets, scratch};

        run_block(&work, out, out_row);
        first += block.width;
    }
}
