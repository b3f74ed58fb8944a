/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Chooses, from the last layer to the first, the kernel of each layer, the form in which it reads
 * its input, and which convolutions take the pool behind them. Where more than one kernel can do a
 * layer the table's rates decide; the results are the same. It lays nothing out.
 */
#include "engine/network/plan_internal.h"

/* The only layer that reads `map`, or -1. */
static int only_reader(const struct plan_draft *draft, uint32_t map)
{
    int reader = -1;

    for (uint32_t i = map; i < draft->count; i++) {
        if (plan_reads(&draft->layers[i], map)) {
            if (reader >= 0) {
                return -1;
            }
            reader = (int)i;
        }
    }
    return reader;
}

static bool is_2x2(const struct network_layer *layer)
{
    return layer->op == NETWORK_OP_MAXPOOL && layer->kernel[0] == 2 && layer->kernel[1] == 2 &&
           layer->stride[0] == 2 && layer->stride[1] == 2;
}

/* Whether the convolution may take the maximum itself: thresholds never fall, a requantisation
 * rises only with positive multipliers. */
static bool fuses(const struct plan_draft *draft, uint32_t index)
{
    const struct network_layer *layer = &draft->layers[index];

    if (layer->op != NETWORK_OP_CONV || only_reader(draft, index + 1) != (int)index + 1 ||
        !is_2x2(&draft->layers[index + 1])) {
        return false;
    }
    for (uint32_t o = 0; layer->output == NETWORK_OUTPUT_U7 && o < layer->out; o++) {
        if (layer->mult[o] <= 0) {
            return false;
        }
    }
    return true;
}

/* Whether all readers of `map` want it as `form`; they have chosen before its writer does. */
static bool all_read(const struct plan_draft *draft, uint32_t map, uint8_t form)
{
    bool any = false;

    for (uint32_t i = map; i < draft->count; i++) {
        if (plan_reads(&draft->layers[i], map)) {
            if (draft->reads[i] != form) {
                return false;
            }
            any = true;
        }
    }
    return any;
}

/* The layer as the bits kernel would see it, but for what decides nothing here. */
static struct kernel_bits_conv counted(const struct network_layer *layer, struct network_shape in)
{
    const bool dense = layer->op == NETWORK_OP_DENSE;
    struct kernel_bits_conv bits = {
        .in_c = in.channels,
        .kernel_h = dense ? in.height : layer->kernel[0],
        .kernel_w = dense ? in.width : layer->kernel[1],
        .ternary_weights = layer->weights == NETWORK_WEIGHTS_TERNARY,
    };

    if (plan_gathers(layer, in)) {
        bits.in_c = bits.kernel_h * bits.kernel_w * in.channels;
        bits.kernel_h = bits.kernel_w = 1;
    }
    return bits;
}

static bool can_count(const struct network_layer *layer, const struct plan_map *in)
{
    const struct kernel_bits_conv bits = counted(layer, in->flow.shape);

    return (layer->weights == NETWORK_WEIGHTS_TERNARY ||
            layer->weights == NETWORK_WEIGHTS_BINARY) &&
           (in->flow.value == NETWORK_VALUE_TERNARY || in->flow.value == NETWORK_VALUE_BINARY) &&
           kernel_bits_fits(&bits);
}

/* The bits rate of a pair of codings. */
static uint32_t rate_of(const struct network_layer *layer, const struct plan_map *in)
{
    return KERNEL_RATE_BITS + (in->flow.value == NETWORK_VALUE_TERNARY ? 1u : 0u) +
           (layer->weights == NETWORK_WEIGHTS_TERNARY ? 2u : 0u);
}

/* Estimated times, of no unit that matters. */
static double conv_cost(const struct plan_draft *draft, uint32_t index, bool to_bits)
{
    const struct network_layer *layer = &draft->layers[index];
    const uint32_t *rates = draft->plan->kernels.rates;
    const double results = (double)plan_values(draft->map[index + 1].flow.shape);
    const double macs =
        results * (double)network_layer_inputs(layer, draft->map[layer->input].flow.shape);

    return macs * rates[KERNEL_RATE_CONV] + (to_bits ? results * rates[KERNEL_RATE_MAP] : 0);
}

static double bits_cost(const struct plan_draft *draft, uint32_t index, bool to_bits)
{
    const struct network_layer *layer = &draft->layers[index];
    const struct plan_map *in = &draft->map[layer->input];
    const uint32_t *rates = draft->plan->kernels.rates;
    const struct kernel_bits_conv bits = counted(layer, in->flow.shape);
    const double results = (double)plan_values(draft->map[index + 1].flow.shape);
    const double words = (double)bits.kernel_h * bits.kernel_w * plan_words(bits.in_c);
    const bool direct = to_bits && layer->output == NETWORK_OUTPUT_BINARY;
    double cost = 64 * words * results * rates[rate_of(layer, in)];

    if (in->flow.value == NETWORK_VALUE_TERNARY) { /* it lies in bytes at first */
        cost += (double)plan_values(in->flow.shape) * rates[KERNEL_RATE_MAP];
    }
    if (!direct) {
        cost += results * (rates[KERNEL_RATE_SUMS] + (to_bits ? rates[KERNEL_RATE_MAP] : 0));
    }
    return cost;
}

static bool counting_wins(const struct plan_draft *draft, uint32_t index)
{
    const uint32_t map = index + 1u + draft->fused[index];
    const bool to_bits = all_read(draft, map, PLAN_BITS) || all_read(draft, map, PLAN_PLANES);

    return bits_cost(draft, index, to_bits) < conv_cost(draft, index, to_bits);
}

static void choose_integer(struct plan_draft *draft, uint32_t index)
{
    const struct network_layer *layer = &draft->layers[index];
    const struct plan_map *in = &draft->map[layer->input];

    draft->fused[index] = fuses(draft, index);
    draft->reads[index] = PLAN_BYTES;
    if (network_layer_is_wide(layer, &in->flow)) {
        draft->kind[index] = PLAN_SHIFT;
    } else if (can_count(layer, in) && counting_wins(draft, index)) {
        draft->kind[index] = PLAN_COUNT;
        /* Ternary maps come as bytes, which can be gathered as they are. */
        draft->reads[index] = in->flow.value == NETWORK_VALUE_BINARY ? PLAN_BITS
                              : plan_gathers(layer, in->flow.shape)  ? PLAN_BYTES
                                                                     : PLAN_PLANES;
    } else {
        draft->kind[index] = PLAN_CONV;
    }
}

static void choose_pool(struct plan_draft *draft, uint32_t index)
{
    const uint8_t kind = draft->map[index + 1].flow.value;
    const bool bits = kind == NETWORK_VALUE_BINARY && all_read(draft, index + 1, PLAN_BITS);

    draft->kind[index] = PLAN_POOL;
    draft->reads[index] = kind == NETWORK_VALUE_F32 ? PLAN_REAL : bits ? PLAN_BITS : PLAN_BYTES;
}

void network_plan_choose(struct plan_draft *draft)
{
    for (uint32_t i = draft->count; i-- > 0;) {
        const struct network_layer *layer = &draft->layers[i];
        const bool real = layer->weights == NETWORK_WEIGHTS_F32;

        if (layer->op == NETWORK_OP_ADD) {
            draft->kind[i] = PLAN_ADD;
            draft->reads[i] =
                draft->map[i + 1].flow.value == NETWORK_VALUE_F32 ? PLAN_REAL : PLAN_BYTES;
        } else if (!network_layer_has_weights(layer)) {
            choose_pool(draft, i);
        } else if (layer->op == NETWORK_OP_DEPTHWISE) {
            draft->kind[i] = real ? PLAN_FLOAT_DEPTHWISE : PLAN_DEPTHWISE;
            draft->reads[i] = real ? PLAN_REAL : PLAN_BYTES;
        } else if (real) {
            draft->kind[i] = PLAN_FLOAT;
            draft->reads[i] = PLAN_REAL;
        } else {
            choose_integer(draft, i);
        }
    }
}
