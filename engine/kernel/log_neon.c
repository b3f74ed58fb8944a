/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Logarithmic convolution for aarch64, see log_plan.h, built twice: with the dot product
 * instructions (kernel_*_dotprod), where numbers have 8 bits and meet in fours, and without
 * (kernel_*_neon), where they have 16 and meet alone. A tile of four output pixels times 16
 * channels stays in registers. The weights of a block of channels are looked up once, into the
 * workspace.
 */
#include <arm_neon.h>

#include "engine/kernel/isa.h"
#include "engine/kernel/log_plan.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { CHANNELS = 16, VECTORS = 4, TILE = 4 }; /* VECTORS: of sums, for the channels */

#if defined(__ARM_FEATURE_DOTPROD)
#define NAME(function) kernel_log_##function##_dotprod
enum { TAPS = 4, LANES = 16, NUMBERS = 4 }; /* NUMBERS: vectors of numbers in a step */
typedef int8_t number;
#else
#define NAME(function) kernel_log_##function##_neon
enum { TAPS = 1, LANES = 8, NUMBERS = 2 };
typedef int16_t number;
#endif

static const struct kernel_log_shape layout = {
    .bits = 8 * sizeof(number), .lanes = LANES, .taps = TAPS, .width = CHANNELS, .least = CHANNELS};

size_t NAME(packed_bytes)(const struct kernel_log *conv)
{
    return kernel_log_plan_packed_bytes(conv, &layout);
}

size_t NAME(workspace_bytes)(const struct kernel_log *conv)
{
    struct kernel_log_plan plan;

    kernel_log_plan_init(conv, &layout, &plan);
    return kernel_log_plan_workspace(&plan) +
           (size_t)plan.passes * plan.steps * CHANNELS * TAPS * sizeof(number);
}

void NAME(pack)(const struct kernel_log *conv, const int8_t *weights, const int64_t *threshold,
                void *packed)
{
    kernel_log_plan_pack(conv, &layout, weights, threshold, packed);
}

/* Low and high bytes of up to 64 numbers. */
struct table {
    uint8x16x4_t low, high;
};

static struct table table_of(const int16_t *numbers, uint32_t count)
{
    struct table table = {0};

    for (uint32_t i = 0; i < count / 16; i++, numbers += 16) {
        const uint8x16_t a = vreinterpretq_u8_s16(vld1q_s16(numbers));
        const uint8x16_t b = vreinterpretq_u8_s16(vld1q_s16(numbers + 8));
        table.low.val[i] = vuzp1q_u8(a, b);
        table.high.val[i] = vuzp2q_u8(a, b);
    }
    return table;
}

/* Sixteen bytes of codes as numbers; to is where they go. */
ALWAYS_INLINE void put_numbers(const struct table *table, uint8x16_t codes, number *to)
{
    const uint8x16_t low = vqtbl4q_u8(table->low, codes);

#if defined(__ARM_FEATURE_DOTPROD)
    vst1q_s8(to, vreinterpretq_s8_u8(low));
#else
    const uint8x16_t high = vqtbl4q_u8(table->high, codes);
    vst1q_s16(to, vreinterpretq_s16_u8(vzip1q_u8(low, high)));
    vst1q_s16(to + 8, vreinterpretq_s16_u8(vzip2q_u8(low, high)));
#endif
}

/* Sixteen signed bytes as numbers. */
ALWAYS_INLINE void put_bytes(int8x16_t bytes, number *to)
{
#if defined(__ARM_FEATURE_DOTPROD)
    vst1q_s8(to, bytes);
#else
    vst1q_s16(to, vmovl_s8(vget_low_s8(bytes)));
    vst1q_s16(to + 8, vmovl_high_s8(bytes));
#endif
}

/* The codes of the input as numbers, in each plane. */
static void fill_planes(const struct kernel_log *conv, const struct kernel_log_plan *plan,
                        const uint8_t *in, number *planes)
{
    const struct kernel_log_extent extent = kernel_log_extent(conv);

    for (uint32_t p = 0; p < plan->planes; p++) {
        number *to = planes + p * (plan->plane_bytes / sizeof(*to));
        const struct table table = table_of(plan->input[p], 32);

        for (uint32_t row = 0; row < extent.rows; row++, to += plan->plane_row) {
            const uint8_t *from = in + (size_t)row * conv->in_row;
            for (uint32_t i = 0; i < extent.columns; i += 16) {
                const uint8x16_t codes = vld1q_u8(from + i);
                if (conv->in_bits == 0) {
                    put_bytes(vnegq_s8(vreinterpretq_s8_u8(codes)), to + i);
                } else {
                    put_numbers(&table, codes, to + i);
                }
            }
        }
    }
}

/* A convolution at work on one block of channels. */
struct work {
    const struct kernel_log *conv;
    const struct kernel_log_plan *plan;
    const struct kernel_log_block *block;
    const number *planes;
    const uint32_t *offsets;
    number *weights; /* [passes][steps][CHANNELS][TAPS] */
};

/* Bytes of codes, in the order of their numbers, of which the load holds `vectors`. */
ALWAYS_INLINE uint8x16_t codes_of(const uint8_t *load, uint32_t vector, uint32_t bits)
{
    const uint8x16_t mask = vdupq_n_u8(0xf);
    const uint8x16_t bytes = vld1q_u8(load);

#if defined(__ARM_FEATURE_DOTPROD)
    return bits == 8 ? bytes : vector == 0 ? vandq_u8(bytes, mask) : vshrq_n_u8(bytes, 4);
#else
    /* Two vectors of eight: bytes of even and of odd place are codes of different vectors. */
    if (bits == 8) {
        return vuzp1q_u8(bytes, vextq_u8(bytes, bytes, 1));
    }
    const uint8x16_t places = vuzp1q_u8(bytes, vextq_u8(bytes, bytes, 1));
    const uint8x16_t low = vandq_u8(places, mask), high = vshrq_n_u8(places, 4);
    return vreinterpretq_u8_u64(
        vector == 0 ? vzip1q_u64(vreinterpretq_u64_u8(low), vreinterpretq_u64_u8(high))
                    : vzip2q_u64(vreinterpretq_u64_u8(low), vreinterpretq_u64_u8(high)));
#endif
}

static void decode(const struct work *work)
{
    const struct kernel_log_plan *plan = work->plan;
    const uint32_t bits = plan->nibbles ? 4 : 8;
    const size_t count = (size_t)plan->steps * CHANNELS * TAPS;
    number *to = work->weights;

    for (uint32_t pass = 0; pass < plan->passes; pass++) {
        const struct table table = table_of(plan->weight[pass], 64);
        const uint8_t *load = work->block->codes;

        for (size_t i = 0; i < count; load += 16) {
            for (uint32_t v = 0; v < 8 / bits; v++, i += 16, to += 16) {
                const uint8x16_t codes = codes_of(load, v, bits);
                if (work->conv->weight_bits == 0) {
                    put_bytes(vreinterpretq_s8_u8(codes), to);
                } else {
                    put_numbers(&table, codes, to);
                }
            }
        }
    }
}

struct tile {
    int32x4_t sum[TILE][VECTORS];
    int32x4_t high[TILE][VECTORS]; /* what was split off, in units of 2^16 */
};

/* Adds the products of a step for one pixel. */
ALWAYS_INLINE void add_products(int32x4_t sum[VECTORS], const number *from, const number *weights)
{
#if defined(__ARM_FEATURE_DOTPROD)
    const int32_t *four = (const int32_t *)(const void *)from;
    const int8x16_t codes = vreinterpretq_s8_s32(vld1q_dup_s32(four));
    for (uint32_t v = 0; v < VECTORS; v++) {
        sum[v] = vdotq_s32(sum[v], vld1q_s8(weights + LANES * v), codes);
    }
#else
    const int16x8_t code = vld1q_dup_s16(from);
    for (uint32_t v = 0; v < NUMBERS; v++) {
        const int16x8_t weight = vld1q_s16(weights + LANES * v);
        sum[2 * v] = vmlal_s16(sum[2 * v], vget_low_s16(weight), vget_low_s16(code));
        sum[2 * v + 1] = vmlal_high_s16(sum[2 * v + 1], weight, code);
    }
#endif
}

/* Steps `step` to `stop` of all passes. */
ALWAYS_INLINE void add_steps(const struct work *work, const number *const *from, uint32_t step,
                             uint32_t stop, int32x4_t sum[TILE][VECTORS], uint32_t pixels)
{
    const number *weights = work->weights + (size_t)step * CHANNELS * TAPS;

    for (; step < stop; step++, weights += CHANNELS * TAPS) {
        for (uint32_t i = 0; i < pixels; i++) {
            add_products(sum[i], from[i] + work->offsets[step], weights);
        }
    }
}

ALWAYS_INLINE void split(struct tile *tile, int32x4_t sum[TILE][VECTORS], uint32_t pixels)
{
    for (uint32_t i = 0; i < pixels; i++) {
        for (uint32_t v = 0; v < VECTORS; v++) {
            tile->high[i][v] = vsraq_n_s32(tile->high[i][v], sum[i][v], 16);
            sum[i][v] = vandq_s32(sum[i][v], vdupq_n_s32(0xffff));
        }
    }
}

/* Adds the sums, shifted, to the results and clears them. */
ALWAYS_INLINE void join(struct tile *tile, int32x4_t sum[TILE][VECTORS], uint32_t shift,
                        int64_t *results, uint32_t pixels)
{
    const int64x2_t by = vdupq_n_s64((int64_t)shift);

    for (uint32_t i = 0; i < pixels; i++) {
        for (uint32_t v = 0; v < VECTORS; v++, results += 4) {
            const int32x4_t high = tile->high[i][v], low = sum[i][v];
            const int64x2_t a =
                vaddq_s64(vshll_n_s32(vget_low_s32(high), 16), vmovl_s32(vget_low_s32(low)));
            const int64x2_t b = vaddq_s64(vshll_high_n_s32(high, 16), vmovl_high_s32(low));
            vst1q_s64(results, vaddq_s64(vld1q_s64(results), vshlq_s64(a, by)));
            vst1q_s64(results + 2, vaddq_s64(vld1q_s64(results + 2), vshlq_s64(b, by)));
            tile->high[i][v] = sum[i][v] = vdupq_n_s32(0);
        }
    }
}

/* All passes. Narrow blocks leave the sums in tile->sum, others in results. */
ALWAYS_INLINE void add_passes(const struct work *work, const number *const *from, struct tile *tile,
                              int64_t *results, uint32_t pixels)
{
    const struct kernel_log_plan *plan = work->plan;
    const uint32_t *ends = work->block->ends;
    int32x4_t sum[TILE][VECTORS];

    for (uint32_t i = 0; i < pixels * VECTORS; i++) {
        sum[i / VECTORS][i % VECTORS] = tile->high[i / VECTORS][i % VECTORS] = vdupq_n_s32(0);
    }
    for (uint32_t i = 0; i < pixels * CHANNELS && !work->block->narrow; i++) {
        results[i] = 0;
    }
    for (uint32_t pass = 0; pass < plan->passes; pass++) {
        const uint32_t pass_end = (pass + 1) * plan->steps;
        uint32_t step = pass * plan->steps;

        if (pass > 0 && plan->shift[pass] != plan->shift[pass - 1]) {
            join(tile, sum, plan->shift[pass - 1], results, pixels);
        }
        while (step < pass_end) {
            if (step == *ends) {
                split(tile, sum, pixels);
                ends++;
            }
            const uint32_t stop = *ends < pass_end ? *ends : pass_end;
            add_steps(work, from, step, stop, sum, pixels);
            step = stop;
        }
    }
    if (!work->block->narrow) {
        join(tile, sum, plan->shift[plan->passes - 1], results, pixels);
        return;
    }
    for (uint32_t i = 0; i < pixels * VECTORS; i++) {
        tile->sum[i / VECTORS][i % VECTORS] = sum[i / VECTORS][i % VECTORS];
    }
}

/* Results or codes of the channels that there are. */
static void put(const struct work *work, const int64_t *results, const uint32_t *count, void *out,
                size_t at)
{
    at += work->block->first;
    for (uint32_t i = 0; i < work->block->left; i++) {
        if (work->conv->levels == 0) {
            ((int64_t *)out)[at + i] = results[i];
        } else {
            ((uint8_t *)out)[at + i] = work->conv->codes[count[i]];
        }
    }
}

static void put_narrow(const struct work *work, const int32x4_t t[VECTORS], void *out, size_t at)
{
    const int32_t *threshold = work->block->threshold;
    int64_t results[CHANNELS];
    uint32_t count[CHANNELS];

    for (uint32_t v = 0; v < VECTORS; v++) {
        uint32x4_t reached = vdupq_n_u32(0);

        for (uint32_t i = 0; i < work->conv->levels; i++) {
            const int32x4_t level = vld1q_s32(threshold + (size_t)i * CHANNELS + 4 * v);
            reached = vsubq_u32(reached, vcgeq_s32(t[v], level));
        }
        vst1q_u32(count + 4 * v, reached);
        vst1q_s64(results + 4 * v, vmovl_s32(vget_low_s32(t[v])));
        vst1q_s64(results + 4 * v + 2, vmovl_high_s32(t[v]));
    }
    put(work, results, count, out, at);
}

static void put_wide(const struct work *work, const int64_t *results, void *out, size_t at)
{
    const int64_t *threshold = work->block->threshold;
    uint32_t count[CHANNELS];

    for (uint32_t v = 0; v < CHANNELS / 2; v++) {
        const int64x2_t t = vld1q_s64(results + 2 * v);
        uint64x2_t reached = vdupq_n_u64(0);

        for (uint32_t i = 0; i < work->conv->levels; i++) {
            const int64x2_t level = vld1q_s64(threshold + (size_t)i * CHANNELS + 2 * v);
            reached = vsubq_u64(reached, vcgeq_s64(t, level));
        }
        vst1_u32(count + 2 * v, vmovn_u64(reached));
    }
    put(work, results, count, out, at);
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
ALWAYS_INLINE void tile(const struct work *work, const number *const *from, void *out,
                        const size_t *at, uint32_t pixels, int pool)
{
    int64_t results[TILE * CHANNELS];
    struct tile tile;

    add_passes(work, from, &tile, results, pixels);
    if (!work->block->narrow) {
        if (pool) {
            pool_wide(results);
        }
        for (uint32_t i = 0; i < (pool ? 1 : pixels); i++) {
            put_wide(work, results + (size_t)i * CHANNELS, out, at[i]);
        }
        return;
    }
    for (uint32_t v = 0; pool && v < VECTORS; v++) {
        tile.sum[0][v] = vmaxq_s32(vmaxq_s32(tile.sum[0][v], tile.sum[1][v]),
                                   vmaxq_s32(tile.sum[2][v], tile.sum[3][v]));
    }
    for (uint32_t i = 0; i < (pool ? 1 : pixels); i++) {
        put_narrow(work, tile.sum[i], out, at[i]);
    }
}

/* A tile at a time in reading order; the last tile repeats the last pixel. */
ALWAYS_INLINE void map(const struct work *work, void *out, size_t out_row, uint32_t pixels,
                       int pool)
{
    const struct kernel_log *conv = work->conv;
    const size_t step_y = (size_t)conv->stride_y * work->plan->plane_row;
    const size_t step_x = (size_t)conv->stride_x * conv->in_c;
    const number *from[TILE];
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

void NAME(run)(const struct kernel_log *conv, const void *packed, const uint8_t *in,
               void *workspace, void *out, size_t out_row)
{
    const struct kernel_log_plan *plan = packed;
    const uint8_t *at = (const uint8_t *)packed + kernel_log_plan_bytes();

    if (!plan->possible) {
        kernel_log_run_c(conv, at, in, workspace, out, out_row);
        return;
    }
    uint8_t *const space = workspace;
    uint32_t *offsets = workspace;
    number *planes = (number *)(void *)(space + ((plan->offsets_bytes + 63) & ~(size_t)63));
    number *weights = (number *)(void *)(space + kernel_log_plan_workspace(plan));

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
