/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Groups of packed weights: a head, what the runtime itself needs (biases, multipliers, thresholds)
 * and the kernel's own packing, in which the offset of the input's bytes is folded. A group holds
 * no pointers. The model's own groups are one block; others may take their place between runs.
 */
#include "engine/network/plan_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t no_hash = UINT64_C(0xcbf29ce484222325);

/* FNV-1a over 32-bit words. */
static uint64_t hash(uint64_t state, const void *bytes, size_t size)
{
    uint32_t word;

    for (size_t i = 0; i + sizeof word <= size; i += sizeof word) {
        memcpy(&word, (const uint8_t *)bytes + i, sizeof word);
        state = (state ^ word) * UINT64_C(0x100000001b3);
    }
    return state;
}

/* Space for `count` elements behind what the group has; returns where. */
static size_t reserve(struct plan_group *group, size_t count, size_t element)
{
    const size_t at = group->bytes;

    group->bytes += plan_round_up(count * element);
    return at;
}

static size_t kernel_bytes(const struct network_plan *plan, const struct plan_step *step)
{
    const struct kernel_table *kernels = &plan->kernels;

    switch (step->kind) {
    case PLAN_CONV:
        return kernels->conv.packed_bytes(&step->weighted.conv);
    case PLAN_COUNT:
        return kernels->bits.packed_bytes(&step->weighted.bits);
    case PLAN_SHIFT:
        return kernels->log.packed_bytes(&step->weighted.log);
    case PLAN_DEPTHWISE:
        return kernels->depthwise.packed_bytes(&step->depthwise);
    case PLAN_FLOAT:
        return kernels->real.packed_bytes(&step->real.kernel);
    default: /* PLAN_FLOAT_DEPTHWISE: as in the file */
        return step->real.kernel.out_c * sizeof(float) * step->real.kernel.kernel_h *
               step->real.kernel.kernel_w;
    }
}

static void lay_finish(struct plan_group *group, const struct plan_weighted *weighted, uint8_t kind)
{
    const size_t out = weighted->out_c;

    if (weighted->finish == PLAN_FINISH_WIDE_SCORES) {
        group->bias = reserve(group, out, sizeof(int64_t));
    } else if (weighted->finish == PLAN_FINISH_U7 ||
               (weighted->finish == PLAN_FINISH_SCORES && kind == PLAN_COUNT)) {
        group->bias = reserve(group, out, sizeof(int32_t));
    }
    if (weighted->finish == PLAN_FINISH_CODES) {
        group->threshold = reserve(group, out * weighted->levels, sizeof(int32_t));
    } else if (weighted->finish != PLAN_FINISH_NONE) {
        group->mult = reserve(group, out, sizeof(int32_t));
    }
}

void network_plan_lay_group(const struct network_plan *plan, struct plan_step *step)
{
    struct plan_group *group = &step->group;

    if (step->kind >= PLAN_POOL) {
        return;
    }
    reserve(group, 1, sizeof(struct plan_head));
    if (step->kind <= PLAN_SHIFT) {
        lay_finish(group, &step->weighted, step->kind);
    }
    if (step->kind == PLAN_FLOAT_DEPTHWISE) {
        group->bias = reserve(group, step->real.kernel.out_c, sizeof(float));
    }
    group->kernel = reserve(group, 1, kernel_bytes(plan, step));
    group->layout = hash(no_hash, &plan->kernels.cpu, sizeof plan->kernels.cpu);
    group->layout = hash(group->layout, &(uint32_t){step->kind}, sizeof(uint32_t));
    switch (step->kind) {
    case PLAN_CONV:
        group->layout = hash(group->layout, &step->weighted.conv, sizeof step->weighted.conv);
        break;
    case PLAN_COUNT:
        group->layout = hash(group->layout, &step->weighted.bits, sizeof step->weighted.bits);
        break;
    case PLAN_SHIFT:
        group->layout = hash(group->layout, &step->weighted.log, sizeof step->weighted.log);
        break;
    case PLAN_DEPTHWISE:
        group->layout = hash(group->layout, &step->depthwise, sizeof step->depthwise);
        break;
    default:
        group->layout = hash(group->layout, &step->real.kernel, sizeof step->real.kernel);
        break;
    }
}

/* What a weight adds to a sum for each unit of its input: SUMS in model.h. */
static int64_t weight_of(const struct plan_step *step, int8_t weight)
{
    const struct kernel_log *log = &step->weighted.log;
    const int64_t sign = weight < 0 ? -1 : 1;
    const int steps = weight < 0 ? -weight - 1 : weight - 1; /* of its exponent */

    if (step->kind != PLAN_SHIFT || weight == 0 || log->weight_bits == 0) {
        return weight * (step->kind == PLAN_SHIFT && log->in_root ? 128 : 1);
    }
    if (!log->weight_root) {
        return sign * (INT64_C(1) << steps) * (log->in_root ? 128 : 1);
    }
    return sign * (INT64_C(1) << steps / 2) * (steps % 2 == 0 ? 128 : 181);
}

/* What the offset of the input's bytes adds to all sums of an output. */
static int64_t excess(const struct plan_step *step, struct plan_bytes bytes, const int8_t *weights,
                      uint64_t count)
{
    int64_t sum = 0;

    if (bytes.offset == 0) {
        return 0;
    }
    for (uint64_t i = 0; i < count; i++) {
        sum += weight_of(step, weights[i]);
    }
    return sum * bytes.offset / bytes.scale; /* weights are scaled already, so it divides */
}

static int32_t bias_of(const struct network_layer *values, uint32_t o)
{
    return values->bias_s32 != NULL ? values->bias_s32[o] : 0;
}

/* Weights [output][row][count] as [row][output][count]. */
static void fold_weights(const int8_t *from, uint32_t out, uint32_t rows, uint64_t count,
                         int8_t *to)
{
    for (uint32_t row = 0; row < rows; row++) {
        for (uint32_t o = 0; o < out; o++, to += count) {
            memcpy(to, from + ((uint64_t)o * rows + row) * count, count);
        }
    }
}

static int pack_conv(const struct network_plan *plan, const struct plan_step *step,
                     const struct network_layer *values, const int8_t *weights, uint64_t count,
                     struct plan_bytes bytes, uint8_t *to)
{
    const uint32_t rows = step->weighted.fold_h > 0 ? step->weighted.fold_h : 1;
    struct kernel_conv conv = step->weighted.conv;
    int32_t *bias = malloc(conv.out_c * sizeof *bias);
    int8_t *folded = rows > 1 ? malloc(values->out * count) : NULL;

    if (bias == NULL || (rows > 1 && folded == NULL)) {
        free(bias);
        free(folded);
        return -ENOMEM;
    }
    if (folded != NULL) {
        fold_weights(weights, values->out, rows, count / rows, folded);
        weights = folded;
    }
    count /= rows;
    conv.preshift = values->preshift;
    conv.shift = values->shift;
    for (uint32_t o = 0; o < conv.out_c; o++) { /* the first row of a folded kernel has the bias */
        bias[o] = (int32_t)((o < values->out ? bias_of(values, o) : 0) -
                            excess(step, bytes, weights + o * count, count));
    }
    plan->kernels.conv.pack(&conv, weights, bias, values->mult, values->threshold_s32,
                            to + step->group.kernel);
    free(bias);
    free(folded);
    return 0;
}

/* Thresholds are of either type in the file. */
static int64_t threshold_of(const struct network_layer *values, size_t at, int64_t more)
{
    int64_t threshold;

    if (values->threshold_s32 != NULL) {
        const int32_t narrow = values->threshold_s32[at];

        threshold = narrow == INT32_MIN ? INT64_MIN : narrow == INT32_MAX ? INT64_MAX : narrow;
    } else {
        threshold = values->threshold_s64[at];
    }
    if (threshold == INT64_MIN || threshold == INT64_MAX) {
        return threshold;
    }
    if (__builtin_add_overflow(threshold, more, &threshold)) {
        return more < 0 ? INT64_MIN : INT64_MAX;
    }
    return threshold;
}

static int pack_log(const struct network_plan *plan, const struct plan_step *step,
                    const struct network_layer *values, const int8_t *weights, uint64_t count,
                    struct plan_bytes bytes, uint8_t *to)
{
    const struct kernel_log *log = &step->weighted.log;
    int64_t *bias = (int64_t *)(void *)(to + step->group.bias);
    int64_t *threshold = malloc(((size_t)log->out_c * log->levels + 1) * sizeof *threshold);

    if (threshold == NULL) {
        return -ENOMEM;
    }
    for (uint32_t o = 0; o < log->out_c; o++) {
        const int64_t more = excess(step, bytes, weights + o * count, count);

        for (uint32_t i = 0; i < log->levels; i++) {
            const size_t at = (size_t)o * log->levels + i;

            threshold[at] = threshold_of(values, at, more);
        }
        if (step->weighted.finish == PLAN_FINISH_WIDE_SCORES) {
            bias[o] = values->bias_s64[o] - more;
        }
    }
    plan->kernels.log.pack(log, weights, threshold, to + step->group.kernel);
    free(threshold);
    return 0;
}

/* Filters as the kernel reads their map: with gathered patches the filters are gathered too. */
static void gather_filters(const struct network_plan *plan, const struct plan_weighted *weighted,
                           const uint64_t *from, uint64_t *to)
{
    struct kernel_bits_gather gather = weighted->gather;
    const size_t taps = (size_t)gather.kernel_h * gather.kernel_w;

    gather.in_row = gather.kernel_w;
    gather.out_w = gather.out_h = 1;
    for (uint32_t o = 0; o < weighted->out_c; o++) {
        plan->kernels.bits.gather(&gather, from + o * taps,
                                  to + o * (size_t)plan_words(weighted->bits.in_c));
    }
}

/* The words of one array of bits; *ret_words is freed by the caller. */
static int take_words(const struct network_plan *plan, const struct plan_weighted *weighted,
                      const uint8_t *from, uint64_t **ret_words)
{
    const bool gathers = weighted->gather.in_c != 0;
    const uint32_t channels = gathers ? weighted->gather.in_c : weighted->bits.in_c;
    const uint32_t taps = gathers ? weighted->gather.kernel_h * weighted->gather.kernel_w
                                  : weighted->bits.kernel_h * weighted->bits.kernel_w;
    const size_t count = (size_t)weighted->out_c * taps * plan_words(channels);
    uint64_t *words = malloc((gathers ? 2 : 1) * count * sizeof *words);

    if (words == NULL) {
        return -ENOMEM;
    }
    if (gathers) {
        network_plan_words(from, weighted->out_c, taps, channels, words + count);
        gather_filters(plan, weighted, words + count, words);
    } else {
        network_plan_words(from, weighted->out_c, taps, channels, words);
    }
    *ret_words = words;
    return 0;
}

static int pack_bits(const struct network_plan *plan, const struct plan_step *step,
                     const struct network_layer *values, uint8_t *to)
{
    const struct plan_weighted *weighted = &step->weighted;
    uint64_t *signs = NULL, *nonzero = NULL;
    int result = take_words(plan, weighted, values->weight_codes, &signs);

    if (result == 0 && weighted->bits.ternary_weights) {
        result = take_words(plan, weighted, values->nonzero, &nonzero);
    }
    if (result == 0) {
        plan->kernels.bits.pack(&weighted->bits, signs, nonzero,
                                weighted->bits.sums ? NULL : values->threshold_s32,
                                to + step->group.kernel);
    }
    free(signs);
    free(nonzero);
    return result;
}

/* Layers of byte kernels. */
static int pack_bytes(const struct network_plan *plan, const struct plan_step *step,
                      const struct network_layer *values, uint8_t *to)
{
    const struct plan_buffer *in = &plan->buffer[step->in[0]];
    const struct plan_bytes bytes = network_code_bytes(in->flow);
    const uint64_t count = network_layer_inputs(&plan->layers[step->first], in->flow.shape);
    const bool shift = step->kind == PLAN_SHIFT;
    int8_t *expanded = NULL;

    if (values->weights != NETWORK_WEIGHTS_S8) {
        expanded = network_plan_expand(values, count, shift && step->weighted.log.weight_bits != 0,
                                       (int8_t)bytes.scale);
        if (expanded == NULL) {
            return -ENOMEM;
        }
    }
    const int8_t *weights = expanded != NULL ? expanded : values->weight_s8;
    int result = shift ? pack_log(plan, step, values, weights, count, bytes, to)
                       : pack_conv(plan, step, values, weights, count, bytes, to);
    free(expanded);
    return result;
}

/* What the runtime does to sums itself. */
static void pack_finish(const struct plan_step *step, const struct network_layer *values,
                        uint8_t *to)
{
    const struct plan_weighted *weighted = &step->weighted;
    const struct plan_group *group = &step->group;
    const size_t out = weighted->out_c * sizeof(int32_t);

    if (group->bias != 0 && weighted->finish != PLAN_FINISH_WIDE_SCORES) {
        memcpy(to + group->bias, values->bias_s32, out);
    }
    if (group->mult != 0) {
        memcpy(to + group->mult, values->mult, out);
    }
    if (group->threshold != 0) {
        memcpy(to + group->threshold, values->threshold_s32, weighted->levels * out);
    }
}

int network_plan_pack_step(const struct network_plan *plan, const struct plan_step *step,
                           const struct network_layer *values, void *to)
{
    struct plan_head *head = to;
    uint8_t *kernel = (uint8_t *)to + step->group.kernel;
    struct kernel_depthwise depthwise = step->depthwise;

    memset(head, 0, PLAN_ALIGNMENT);
    *head = (struct plan_head){step->group.layout, values->preshift, values->shift, values->narrow};
    switch (step->kind) {
    case PLAN_FLOAT:
        plan->kernels.real.pack(&step->real.kernel, values->weight_f32, values->bias_f32, kernel);
        return 0;
    case PLAN_FLOAT_DEPTHWISE:
        memcpy((uint8_t *)to + step->group.bias, values->bias_f32,
               step->real.kernel.out_c * sizeof(float));
        memcpy(kernel, values->weight_f32, kernel_bytes(plan, step));
        return 0;
    case PLAN_DEPTHWISE:
        depthwise.preshift = values->preshift;
        depthwise.shift = values->shift;
        plan->kernels.depthwise.pack(&depthwise, values->weight_s8, values->bias_s32, values->mult,
                                     kernel);
        return 0;
    case PLAN_COUNT:
        pack_finish(step, values, to);
        return pack_bits(plan, step, values, to);
    default:
        pack_finish(step, values, to);
        return pack_bytes(plan, step, values, to);
    }
}
