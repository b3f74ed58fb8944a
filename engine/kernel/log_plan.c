/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Tables, bounds and packing that the fast logarithmic kernels share. It runs when weights are
 * packed; nothing here is done for each result.
 */
#include "engine/kernel/log_plan.h"

#include <stdbool.h>
#include <string.h>

#include "engine/kernel/isa.h"

/* A sum that was split keeps up to 2^16 - 1. */
#define SUM_MAX (INT32_MAX - INT64_C(65536))

enum { CHANNELS_MAX = 64, STEP_MAX = 2 * CHANNELS_MAX };

static size_t padded(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

/* Value of code n > 0 in half-steps: even ones times `even`, odd ones times `odd`. */
static int64_t scaled(uint32_t n, uint32_t root, int64_t even, int64_t odd)
{
    const uint32_t steps = root ? n - 1 : 2 * (n - 1);

    return (steps % 2 ? odd : even) << (steps / 2);
}

/* Negated value of an input code. part: with sqrt2 on both sides the even or the odd plane. */
static int64_t input_value(const struct kernel_log *conv, uint32_t code, uint32_t part)
{
    if (conv->in_bits == 0 || code == 0) {
        return -(int64_t)code;
    }
    if (conv->in_root && conv->weight_root) {
        return -scaled(code, 1, part == 0, part == 1);
    }
    return conv->in_root ? -scaled(code, 1, 128, 181) : -scaled(code, 0, 1, 1);
}

static int64_t weight_value(const struct kernel_log *conv, uint32_t code, uint32_t part)
{
    const uint32_t sign = 1u << (conv->weight_bits - 1), n = code & (sign - 1);
    int64_t value = 0;

    if (n > 0 && conv->in_root && conv->weight_root) {
        value = part == 0 ? scaled(n, 1, 128, 181) : scaled(n, 1, 181, 256);
    } else if (n > 0) {
        value = conv->weight_root ? scaled(n, 1, 128, 181) : scaled(n, 0, 1, 1);
    }
    return code & sign ? value : -value;
}

enum { SLICES_MAX = 4 };

/* Splits value = sum of slice[i] 2^(bits i); returns how many are needed, at least 1. */
static uint32_t split(int64_t value, uint32_t bits, int16_t slice[SLICES_MAX])
{
    const int64_t half = INT64_C(1) << (bits - 1);
    uint32_t needed = 1;

    for (uint32_t i = 0; i < SLICES_MAX; i++) {
        const int64_t low = ((value + half) & (2 * half - 1)) - half;

        slice[i] = (int16_t)low;
        needed = low != 0 ? i + 1 : needed;
        value = (value - low) / (2 * half);
    }
    return needed;
}

/* Whether two planes hold each code in one of them, the second in units of 2^shift. */
static bool divide_codes(const struct kernel_log *conv, const struct kernel_log_shape *shape,
                         uint32_t shift, struct kernel_log_plan *plan)
{
    const int64_t least = -(INT64_C(1) << (shape->bits - 1)), unit = INT64_C(1) << shift;

    for (uint32_t code = 0; code < 1u << conv->in_bits; code++) {
        const int64_t value = input_value(conv, code, 0);
        const bool low = value >= least;

        if (!low && (value % unit != 0 || value / unit < least)) {
            return false;
        }
        plan->input[0][code] = (int16_t)(low ? value : 0);
        plan->input[1][code] = (int16_t)(low ? 0 : value / unit);
    }
    return true;
}

/* Fills planes with the slices of the input's codes; returns how many, 0: too many. */
static uint32_t add_planes(const struct kernel_log *conv, const struct kernel_log_shape *shape,
                           uint32_t part, struct kernel_log_plan *plan, uint32_t *ret_shift)
{
    uint32_t slices = 1;

    *ret_shift = shape->bits;
    for (uint32_t code = 0; conv->in_bits != 0 && code < 1u << conv->in_bits; code++) {
        int16_t slice[SLICES_MAX];
        const uint32_t used = split(input_value(conv, code, part), shape->bits, slice);

        slices = used > slices ? used : slices;
        for (uint32_t s = 0; s < SLICES_MAX && plan->planes + s < KERNEL_LOG_PLANES_MAX; s++) {
            plan->input[plan->planes + s][code] = slice[s];
        }
    }
    if (slices == 2 && !(conv->in_root && conv->weight_root) && shape->bits == 16) {
        *ret_shift = conv->in_root ? 8 : 16;
        plan->rare = divide_codes(conv, shape, *ret_shift, plan);
    }
    return plan->planes + slices <= KERNEL_LOG_PLANES_MAX ? slices : 0;
}

/* Moves in a pass behind those of lower shifts. */
static void insert_pass(struct kernel_log_plan *plan, uint32_t plane, uint32_t shift,
                        const int16_t table[64])
{
    uint32_t at = plan->passes++;

    for (; at > 0 && plan->shift[at - 1] > shift; at--) {
        plan->shift[at] = plan->shift[at - 1];
        plan->plane[at] = plan->plane[at - 1];
        memcpy(plan->weight[at], plan->weight[at - 1], sizeof(plan->weight[at]));
    }
    plan->shift[at] = shift;
    plan->plane[at] = plane;
    memcpy(plan->weight[at], table, sizeof(plan->weight[at]));
}

/* A pass for each slice of the weights; whether there is room. */
static bool add_passes(const struct kernel_log *conv, const struct kernel_log_shape *shape,
                       uint32_t part, uint32_t plane, uint32_t plane_shift,
                       struct kernel_log_plan *plan)
{
    int16_t table[SLICES_MAX][64] = {0};
    uint32_t slices = 1;

    for (uint32_t i = 0; i < 64 && conv->weight_bits != 0; i++) {
        int16_t slice[SLICES_MAX];
        const uint32_t code = i & ((1u << conv->weight_bits) - 1);
        const uint32_t used = split(weight_value(conv, code, part), shape->bits, slice);

        slices = used > slices ? used : slices;
        for (uint32_t s = 0; s < SLICES_MAX; s++) {
            table[s][i] = slice[s];
        }
    }
    for (uint32_t s = 0; s < slices; s++) {
        if (plan->passes == KERNEL_LOG_PASSES_MAX) {
            return false;
        }
        insert_pass(plan, plane, plane_shift + shape->bits * s, table[s]);
    }
    return true;
}

static bool add_tables(const struct kernel_log *conv, const struct kernel_log_shape *shape,
                       struct kernel_log_plan *plan)
{
    for (uint32_t part = 0; part < (conv->in_root && conv->weight_root ? 2u : 1u); part++) {
        uint32_t shift;
        const uint32_t slices = add_planes(conv, shape, part, plan, &shift);

        for (uint32_t s = 0; s < slices; s++) {
            if (!add_passes(conv, shape, part, plan->planes++, shift * s, plan)) {
                return false;
            }
        }
        if (slices == 0) {
            return false;
        }
    }
    return true;
}

/* Least and largest number that a plane can hold. */
static void input_range(const struct kernel_log *conv, const struct kernel_log_plan *plan,
                        uint32_t plane, int64_t range[2])
{
    range[0] = conv->in_bits == 0 ? -127 : 0;
    range[1] = 0;
    for (uint32_t i = 0; i < 32; i++) {
        const int64_t value = plan->input[plane][i];
        range[0] = value < range[0] ? value : range[0];
        range[1] = value > range[1] ? value : range[1];
    }
}

/* Size of the largest product of a pass. */
static int64_t product_max(const struct kernel_log *conv, const struct kernel_log_plan *plan,
                           uint32_t pass)
{
    int64_t range[2], most = conv->weight_bits == 0 ? 127 : 0;

    input_range(conv, plan, plan->plane[pass], range);
    for (uint32_t code = 0; code < 64; code++) {
        const int64_t value = plan->weight[pass][code];
        most = value > most ? value : -value > most ? -value : most;
    }
    return most * (-range[0] > range[1] ? -range[0] : range[1]);
}

/* Vectors of the narrowest block's steps may share a load. */
static uint32_t steps_a_load(const struct kernel_log_shape *shape,
                             const struct kernel_log_plan *plan)
{
    const uint32_t vectors = shape->bits / (plan->nibbles ? 4 : 8); /* of a load */
    const uint32_t least = shape->least * shape->taps / shape->lanes;

    return vectors > least ? vectors / least : 1;
}

static uint32_t run_steps(const struct kernel_log *conv, const struct kernel_log_shape *shape)
{
    return (conv->kernel_w * conv->in_c + shape->taps - 1) / shape->taps;
}

/* Whether the sums of all steps of one load, and all splits, fit; sets the most ends. */
static void add_bounds(const struct kernel_log *conv, const struct kernel_log_shape *shape,
                       struct kernel_log_plan *plan)
{
    const uint32_t load = steps_a_load(shape, plan);
    int64_t most = 1;

    for (uint32_t pass = 0; pass < plan->passes; pass++) {
        const int64_t product = product_max(conv, plan, pass);
        most = product > most ? product : most;
    }
    const int64_t safe = SUM_MAX / (most * shape->taps) / load * load;
    const uint64_t all = (uint64_t)plan->passes * plan->steps;

    plan->possible = safe > 0 && all * shape->taps < (UINT64_C(1) << 46) / (uint64_t)most;
    plan->ends_max = plan->possible ? (uint32_t)(all / (uint64_t)safe) : 0;
}

struct kernel_log_extent kernel_log_extent(const struct kernel_log *conv)
{
    return (struct kernel_log_extent){
        .columns = ((conv->out_w * conv->pool - 1) * conv->stride_x + conv->kernel_w) * conv->in_c,
        .rows = (conv->out_h * conv->pool - 1) * conv->stride_y + conv->kernel_h,
    };
}

void kernel_log_plan_init(const struct kernel_log *conv, const struct kernel_log_shape *shape,
                          struct kernel_log_plan *plan)
{
    *plan = (struct kernel_log_plan){.nibbles = conv->weight_bits == 3 || conv->weight_bits == 4};
    const bool enough = add_tables(conv, shape, plan);
    const uint32_t load = steps_a_load(shape, plan);
    const struct kernel_log_extent extent = kernel_log_extent(conv);

    plan->steps = (conv->kernel_h * run_steps(conv, shape) + load - 1) / load * load;
    plan->plane_row = (extent.columns + 31) & ~31u;
    plan->plane_bytes = (size_t)extent.rows * plan->plane_row * (shape->bits / 8);
    plan->offsets_bytes = (size_t)plan->passes * plan->steps * sizeof(uint32_t);
    if (enough) {
        add_bounds(conv, shape, plan);
    }
}

static uint32_t block_width(const struct kernel_log *conv, const struct kernel_log_shape *shape,
                            uint32_t first)
{
    return conv->out_c - first <= shape->least ? shape->least : shape->width;
}

struct parts {
    size_t high, ends, codes, end; /* offsets in a block; thresholds are at 0 */
};

static bool has_high(const struct kernel_log_plan *plan)
{
    return plan->rare && plan->passes == 2;
}

static struct parts parts(const struct kernel_log *conv, const struct kernel_log_shape *shape,
                          const struct kernel_log_plan *plan, uint32_t width)
{
    const size_t thresholds = (size_t)conv->levels * width;
    const size_t high = padded(thresholds * sizeof(int64_t));
    const size_t ends = high + (has_high(plan) ? padded(thresholds * sizeof(int32_t)) : 0);
    const size_t codes = ends + padded(((size_t)plan->ends_max + 1) * sizeof(uint32_t));
    const size_t count = (size_t)plan->steps * width * shape->taps;

    return (struct parts){high, ends, codes, codes + padded(plan->nibbles ? count / 2 : count)};
}

size_t kernel_log_plan_bytes(void)
{
    return padded(sizeof(struct kernel_log_plan));
}

size_t kernel_log_plan_packed_bytes(const struct kernel_log *conv,
                                    const struct kernel_log_shape *shape)
{
    struct kernel_log_plan plan;
    size_t bytes = kernel_log_plan_bytes();

    kernel_log_plan_init(conv, shape, &plan);
    if (!plan.possible) {
        return bytes + kernel_log_packed_bytes_c(conv);
    }
    for (uint32_t first = 0, width; first < conv->out_c; first += width) {
        width = block_width(conv, shape, first);
        bytes += parts(conv, shape, &plan, width).end;
    }
    return bytes;
}

size_t kernel_log_plan_workspace(const struct kernel_log_plan *plan)
{
    return padded(plan->planes * plan->plane_bytes + 64) + padded(plan->offsets_bytes);
}

struct kernel_log_block kernel_log_plan_block(const struct kernel_log *conv,
                                              const struct kernel_log_shape *shape,
                                              const struct kernel_log_plan *plan, uint32_t first,
                                              const uint8_t **at)
{
    const uint32_t width = block_width(conv, shape, first);
    const struct parts of = parts(conv, shape, plan, width);
    struct kernel_log_block block = {
        .threshold = *at,
        .ends = (const uint32_t *)(const void *)(*at + of.ends),
        .codes = *at + of.codes,
        .first = first,
        .left = conv->out_c - first < width ? conv->out_c - first : width,
        .width = width,
    };

    block.narrow = plan->shift[plan->passes - 1] == 0 && block.ends[0] == UINT32_MAX;
    if (has_high(plan)) {
        const uint32_t *end = block.ends;

        while (*end < plan->steps) {
            end++;
        }
        if (*end == UINT32_MAX) {
            block.high_threshold = (const int32_t *)(const void *)(*at + of.high);
        }
    }
    *at += of.end;
    return block;
}

/* Codes of a step, [channel][tap]; 0, which is zero, beyond the channels and beyond the run. */
static void gather(const struct kernel_log *conv, const struct kernel_log_shape *shape,
                   const int8_t *weights, const struct kernel_log_block *block, uint32_t step,
                   uint8_t codes[STEP_MAX])
{
    const uint32_t run = conv->kernel_w * conv->in_c, steps = run_steps(conv, shape);
    const uint32_t ky = step / steps, k = step % steps * shape->taps;
    const uint32_t sign = conv->weight_bits == 0 ? 0 : 1u << (conv->weight_bits - 1);

    memset(codes, 0, STEP_MAX);
    for (uint32_t i = 0; i < block->left && ky < conv->kernel_h; i++, codes += shape->taps) {
        const size_t at = ((size_t)(block->first + i) * conv->kernel_h + ky) * run + k;

        for (uint32_t tap = 0; tap < shape->taps && k + tap < run; tap++) {
            const int weight = weights[at + tap];

            codes[tap] = (uint8_t)(sign == 0 || weight < 0 ? -weight : weight);
            codes[tap] |= (uint8_t)(weight < 0 ? sign : 0);
        }
    }
}

/* Codes of the block, in the order in which vectors of numbers come out of them. */
static void pack_codes(const struct kernel_log *conv, const struct kernel_log_shape *shape,
                       const struct kernel_log_plan *plan, const int8_t *weights,
                       const struct kernel_log_block *block, uint8_t *to)
{
    const uint32_t bits = plan->nibbles ? 4 : 8, lane_bytes = shape->bits / 8;
    uint32_t at = 0; /* bit of a lane */

    for (uint32_t step = 0; step < plan->steps; step++) {
        uint8_t codes[STEP_MAX];

        gather(conv, shape, weights, block, step, codes);
        for (uint32_t i = 0; i < block->width * shape->taps; i += shape->lanes) {
            for (uint32_t lane = 0; lane < shape->lanes; lane++) {
                uint8_t *byte = to + lane * lane_bytes + at / 8;
                *byte = (uint8_t)((at % 8 == 0 ? 0 : *byte) | codes[i + lane] << at % 8);
            }
            at = (at + bits) % shape->bits;
            to += at == 0 ? shape->lanes * lane_bytes : 0;
        }
    }
}

/* How far a sum of each channel can have moved since its last end, down and up. */
struct reach {
    int64_t sum[CHANNELS_MAX][2];
};

/* Adds to `by` what the step can do in the pass. */
static void add_reach(const struct kernel_log *conv, const struct kernel_log_shape *shape,
                      const int16_t *table, const int64_t range[2], const uint8_t *codes,
                      struct reach *by)
{
    for (uint32_t i = 0; i < shape->width * shape->taps; i++) {
        const int64_t weight = conv->weight_bits == 0 ? (int8_t)codes[i] : table[codes[i]];
        const int64_t a = weight * range[0], b = weight * range[1];

        by->sum[i / shape->taps][0] += a < b ? a : b;
        by->sum[i / shape->taps][1] += a < b ? b : a;
    }
}

/* Adds `by` to `all` where every sum stays in range, else starts anew from `by`. */
static bool join(struct reach *all, const struct reach *by, bool fresh)
{
    bool fits = true;

    for (uint32_t i = 0; i < CHANNELS_MAX; i++) {
        fits = fits && all->sum[i][0] + by->sum[i][0] >= -SUM_MAX &&
               all->sum[i][1] + by->sum[i][1] <= SUM_MAX;
    }
    for (uint32_t i = 0; i < CHANNELS_MAX; i++) {
        for (uint32_t s = 0; s < 2; s++) {
            all->sum[i][s] = (fits && !fresh ? all->sum[i][s] : 0) + by->sum[i][s];
        }
    }
    return fits || fresh;
}

/* Ends of the block's sums, where any channel could need one. */
static void pack_ends(const struct kernel_log *conv, const struct kernel_log_shape *shape,
                      const struct kernel_log_plan *plan, const int8_t *weights,
                      const struct kernel_log_block *block, uint32_t *ends)
{
    const uint32_t load = steps_a_load(shape, plan);
    struct reach all = {0};

    for (uint32_t pass = 0; pass < plan->passes && plan->ends_max > 0; pass++) {
        const bool joins = pass > 0 && plan->shift[pass] == plan->shift[pass - 1];
        int64_t range[2];

        input_range(conv, plan, plan->plane[pass], range);
        for (uint32_t step = 0; step < plan->steps; step += load) {
            struct reach by = {0};
            uint8_t codes[STEP_MAX];

            for (uint32_t i = 0; i < load; i++) {
                gather(conv, shape, weights, block, step + i, codes);
                add_reach(conv, shape, plan->weight[pass], range, codes, &by);
            }
            if (!join(&all, &by, step == 0 && !joins)) {
                *ends++ = pass * plan->steps + step;
            }
        }
    }
    *ends = UINT32_MAX;
}

/* Beyond int32 a threshold is reached always or never, as before. */
static int32_t held(int64_t value)
{
    return (int32_t)(value < INT32_MIN ? INT32_MIN : value > INT32_MAX ? INT32_MAX : value);
}

static void pack_thresholds(const struct kernel_log *conv, const struct kernel_log_plan *plan,
                            const struct kernel_log_block *block, const int64_t *threshold,
                            uint8_t *to, size_t high_at)
{
    const int64_t unit = INT64_C(1) << plan->shift[plan->passes - 1];
    int32_t *narrow = (int32_t *)(void *)to, *high = (int32_t *)(void *)(to + high_at);
    int64_t *wide = (int64_t *)(void *)to;

    for (size_t at = 0; at < (size_t)conv->levels * block->width; at++) {
        const uint32_t level = (uint32_t)(at / block->width), i = (uint32_t)(at % block->width);
        const int64_t value =
            i < block->left ? threshold[(size_t)(block->first + i) * conv->levels + level] : 0;

        if (block->narrow) {
            narrow[at] = held(value);
        } else {
            wide[at] = value;
        }
        if (has_high(plan)) { /* unit t >= value where t >= value / unit, rounded up */
            high[at] = held(value / unit + (value % unit > 0));
        }
    }
}

void kernel_log_plan_pack(const struct kernel_log *conv, const struct kernel_log_shape *shape,
                          const int8_t *weights, const int64_t *threshold, void *packed)
{
    struct kernel_log_plan *plan = packed;
    uint8_t *to = (uint8_t *)packed + kernel_log_plan_bytes();

    kernel_log_plan_init(conv, shape, plan);
    if (!plan->possible) {
        kernel_log_pack_c(conv, weights, threshold, to);
        return;
    }
    for (uint32_t first = 0; first < conv->out_c;) {
        const struct parts of = parts(conv, shape, plan, block_width(conv, shape, first));
        const uint8_t *at = to;

        /* No ends yet: what the memory held must not be read as such. */
        memset(to + of.ends, 0xff, sizeof(uint32_t));
        struct kernel_log_block block = kernel_log_plan_block(conv, shape, plan, first, &at);

        pack_ends(conv, shape, plan, weights, &block, (uint32_t *)(void *)(to + of.ends));
        pack_codes(conv, shape, plan, weights, &block, to + of.codes);
        at = to;
        block = kernel_log_plan_block(conv, shape, plan, first, &at); /* with its ends */
        pack_thresholds(conv, plan, &block, threshold, to, of.high);
        to += of.end;
        first += block.width;
    }
}

void kernel_log_plan_offsets(const struct kernel_log *conv, const struct kernel_log_shape *shape,
                             const struct kernel_log_plan *plan, uint32_t *offsets)
{
    const uint32_t steps = run_steps(conv, shape);

    for (uint32_t pass = 0; pass < plan->passes; pass++) {
        const uint32_t plane =
            plan->plane[pass] * (uint32_t)(plan->plane_bytes / (shape->bits / 8));
        uint32_t *to = offsets + (size_t)pass * plan->steps, step = 0;

        for (uint32_t ky = 0; ky < conv->kernel_h; ky++) {
            for (uint32_t i = 0; i < steps; i++) {
                to[step++] = plane + ky * plan->plane_row + i * shape->taps;
            }
        }
        for (; step < plan->steps; step++) { /* weights of zero */
            to[step] = plane;
        }
    }
}
