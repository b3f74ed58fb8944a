/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The integers of a packed layer: batch norm, scales and bias folded into one bias and one
 * multiplier a channel, or into thresholds, and outputs made by them alone. Passes without learning
 * use these, so that their codes and scores are a packed network's, bit for bit.
 */
#include "engine/train/graph.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define INT32_LIMIT  0x1p31
#define WIDE_LIMIT   0x1p62
#define INPUT_LIMIT  256.0  /* above every code of the network's input, and of u7 */
#define FLOAT_LIMIT  0x1p24 /* integers below it are exact */
#define DOUBLE_LIMIT 0x1p53
#define SCORES_SHIFT 16 /* scores are in units of 2^-16 */

/* ---- what a layer's integers count ---- */

static bool is_power(const struct train_coding *coding)
{
    return coding->kind == TRAIN_LOG && !coding->root;
}

/* Whether inputs are integers, but for a power of two that they have in common. */
static bool integers_in(const struct train *train, const struct train_node *node)
{
    const struct train_coding *coding = &node->input->spec.output;

    return node->input == train->nodes || node->input->code.function == TRAIN_STEPS ||
           node->input->code.function == TRAIN_ROUND || coding->kind == TRAIN_TERNARY ||
           coding->kind == TRAIN_BINARY ||
           (is_power(coding) && node->input->code.function == TRAIN_POWER);
}

static bool integer_weights(const struct train_coding *coding)
{
    return coding->kind == TRAIN_S8 || coding->kind == TRAIN_TERNARY ||
           coding->kind == TRAIN_BINARY || is_power(coding);
}

static bool gives_scores(const struct train *train, const struct train_node *node)
{
    return node == &train->nodes[train->node_count - 1] && node->spec.activation == TRAIN_LINEAR &&
           node->spec.pool[0] == 0;
}

/* Thresholds of an output, 0: it has none. */
static uint32_t levels_of(const struct train_node *node)
{
    switch ((enum train_function)node->code.function) {
    case TRAIN_SIGN2:
        return 1;
    case TRAIN_SIGN3:
        return 2;
    case TRAIN_POWER:
        return node->code.power.root || node->code.power.step > 0.0f
                   ? 0
                   : (1u << node->spec.output.bits) - 1;
    default:
        return 0;
    }
}

/* The exponent of the smallest power of a layer's weights. */
static int weight_exponent(const struct train *train, const struct train_node *node)
{
    const struct train_coding *coding = &node->spec.weights;

    if (coding->kind != TRAIN_LOG) {
        return 0;
    }
    const float peak =
        train->ops->largest(node->weight.count, train->values + node->weight.at, true);
    return train_power_range(coding, peak).low;
}

static bool input_of_powers(const struct train *train, const struct train_node *node)
{
    return node->input != train->nodes && node->input->spec.output.kind == TRAIN_LOG;
}

static int input_exponent(const struct train *train, const struct train_node *node)
{
    return input_of_powers(train, node) ? node->input->code.power.low : 0;
}

/* No input is above it, in units of the smallest power. */
static double input_limit(const struct train *train, const struct train_node *node)
{
    const struct train_coding *coding = &node->input->spec.output;

    if (node->input == train->nodes) {
        return INPUT_LIMIT;
    }
    return coding->kind == TRAIN_LOG ? ldexp(1, (1 << coding->bits) - 2)
           : coding->kind == TRAIN_BINARY || coding->kind == TRAIN_TERNARY ? 1
                                                                           : INPUT_LIMIT;
}

/* Sum of |weight| of an output channel, in units of the smallest power. */
static double weight_sum(const struct train_node *node, uint32_t channel)
{
    double sum = 0;

    for (uint32_t k = 0; k < node->fan_in; k++) {
        sum += (double)fabsf(node->codes[(size_t)k * node->mid.channels + channel]);
    }
    return ldexp(sum, -node->fixed.weight_exponent);
}

/* No sum of any channel is above it. */
static double largest_sum(const struct train *train, const struct train_node *node)
{
    double most = 0;

    for (uint32_t c = 0; c < node->mid.channels; c++) {
        most = fmax(most, input_limit(train, node) * weight_sum(node, c));
    }
    return most;
}

/* ---- requantised outputs and scores ---- */

/* The largest shifts with which no sum << preshift and no multiplier reaches 2^31; wide sums lose
 * bits first. */
static bool choose_shifts(double largest_sum, double largest_factor, struct train_fixed *fixed)
{
    int preshift = 0, shift = 31, narrow = 0;

    while (ldexp(largest_sum, -narrow) >= INT32_LIMIT) {
        narrow++;
    }
    while (preshift < 31 && ldexp(largest_sum, preshift + 1 - narrow) < INT32_LIMIT) {
        preshift++;
    }
    while (shift > 0 && ldexp(largest_factor, 32 + shift - preshift + narrow) >= INT32_LIMIT - 1) {
        shift--;
    }
    fixed->preshift = (uint8_t)preshift;
    fixed->shift = (uint8_t)shift;
    fixed->narrow = (uint8_t)narrow;
    return shift > 0;
}

/* Bias and multiplier of each channel. Sums of scores may be wide. */
static bool fold_linear(const struct train *train, struct train_node *node, bool scores)
{
    struct train_fixed *fixed = &node->fixed;
    const double unit = ldexp(scores ? 1 << SCORES_SHIFT : 1, fixed->exponent);
    const bool wide = scores && node->input->code.function == TRAIN_POWER;
    double most_sum = 0, most_factor = 0;

    for (uint32_t c = 0; c < node->mid.channels; c++) {
        const double a = ldexp((double)node->a[c], fixed->exponent);
        const double bias = floor((double)node->b[c] / a + 0.5);
        const double sum = input_limit(train, node) * weight_sum(node, c) + fabs(bias);

        if (!(sum < (wide ? WIDE_LIMIT : INT32_LIMIT))) { /* also a channel whose gamma is 0 */
            return false;
        }
        fixed->bias[c] = (int64_t)bias;
        most_sum = fmax(most_sum, sum);
        most_factor = fmax(most_factor, fabs((double)node->a[c]) * unit);
    }
    if (!choose_shifts(most_sum, most_factor, fixed)) {
        return false;
    }
    for (uint32_t c = 0; c < node->mid.channels; c++) {
        const int power = 32 + fixed->shift - fixed->preshift + fixed->narrow;
        fixed->mult[c] = (int32_t)floor(ldexp((double)node->a[c] * unit, power) + 0.5);
    }
    fixed->scores = scores;
    return true;
}

/* REQUANTISATION of engine/kernel/kernel.h. */
static int64_t requantise(const struct train_fixed *fixed, uint32_t channel, int64_t sum)
{
    const int64_t biased = (sum + fixed->bias[channel]) >> fixed->narrow;
    const int64_t t = biased * ((int64_t)1 << fixed->preshift);
    const int64_t h = (t * fixed->mult[channel]) >> 32;

    return (h + ((int64_t)1 << (fixed->shift - 1))) >> fixed->shift;
}

static float linear_value(const struct train_fixed *fixed, uint32_t channel, int64_t sum)
{
    const int64_t y = requantise(fixed, channel, sum);

    if (fixed->scores) {
        return (float)y * (1.0f / (1 << SCORES_SHIFT));
    }
    return (float)(y < 0 ? 0 : y > 127 ? 127 : y);
}

/* ---- outputs by thresholds ---- */

/* The smallest z that has code `level` + 1: where the coding of loops.c turns over. */
static double bound_of(const struct train_node *node, uint32_t level)
{
    switch ((enum train_function)node->code.function) {
    case TRAIN_SIGN3:
        return level == 0 ? -0.5 : 0.5;
    case TRAIN_POWER:
        return ldexp(TRAIN_ROOT_TURN, node->code.power.low + (int)level - 1);
    default:
        return 0;
    }
}

static float value_of(const struct train_node *node, uint32_t code)
{
    switch ((enum train_function)node->code.function) {
    case TRAIN_SIGN3:
        return (float)code - 1.0f;
    case TRAIN_POWER:
        return code == 0 ? 0.0f : ldexpf(1.0f, node->code.power.low + (int)code - 1);
    default:
        return code == 0 ? -1.0f : 1.0f;
    }
}

/*
 * z = a t + b reaches a bound where t reaches (bound - b) / a. Where a < 0 the channel's weights
 * change their signs, and with them t. No sum is beyond `most`: thresholds out there become the
 * type's ends, which also stand for a channel whose a is 0.
 */
static bool fold_thresholds(const struct train *train, struct train_node *node, uint32_t levels)
{
    struct train_fixed *fixed = &node->fixed;

    for (uint32_t c = 0; c < node->mid.channels; c++) {
        const double a = ldexp(fabs((double)node->a[c]), fixed->exponent);
        const double b = (double)node->b[c];
        const double most = input_limit(train, node) * weight_sum(node, c);

        if (!(most < WIDE_LIMIT) || !isfinite(a) || !isfinite(b)) {
            return false;
        }
        fixed->flip[c] = node->a[c] < 0.0f;
        for (uint32_t i = 0; i < levels; i++) {
            const double bound = bound_of(node, i);
            const double at = a > 0 ? ceil((bound - b) / a) : b >= bound ? -INFINITY : INFINITY;

            fixed->threshold[(size_t)c * levels + i] = at < -most  ? INT64_MIN
                                                       : at > most ? INT64_MAX
                                                                   : (int64_t)at;
        }
    }
    fixed->levels = (uint8_t)levels;
    return true;
}

static float threshold_value(const struct train_node *node, uint32_t channel, int64_t sum)
{
    const struct train_fixed *fixed = &node->fixed;
    const int64_t *threshold = fixed->threshold + (size_t)channel * fixed->levels;
    uint32_t code = 0;

    while (code < fixed->levels && (fixed->flip[channel] ? -sum : sum) >= threshold[code]) {
        code++;
    }
    return value_of(node, code);
}

/* ---- of a layer ---- */

void train_fold_prepare(const struct train *train, struct train_node *node)
{
    const uint32_t levels = levels_of(node);
    const bool scores = gives_scores(train, node);
    struct train_fixed *fixed = &node->fixed;

    fixed->in_force = fixed->wide = false;
    fixed->levels = fixed->narrow = 0;
    if (!integer_weights(&node->spec.weights) || !integers_in(train, node)) {
        return;
    }
    fixed->weight_exponent = weight_exponent(train, node);
    fixed->exponent = fixed->weight_exponent + input_exponent(train, node);
    if (levels > 0) {
        fixed->in_force = fold_thresholds(train, node, levels);
    } else if (scores || node->code.function == TRAIN_STEPS) {
        fixed->in_force = fold_linear(train, node, scores);
    }
    if (fixed->in_force && input_of_powers(train, node)) {
        const double most = largest_sum(train, node);

        fixed->wide = most >= FLOAT_LIMIT;
        fixed->in_force =
            most < (node->spec.operation == TRAIN_DEPTHWISE ? FLOAT_LIMIT : DOUBLE_LIMIT);
    }
}

float train_fold_value(const struct train_node *node, uint32_t channel, int64_t sum)
{
    return node->fixed.levels > 0 ? threshold_value(node, channel, sum)
                                  : linear_value(&node->fixed, channel, sum);
}

void train_fold_row(const struct train_node *node, uint32_t pixels, const float *sums, float *out)
{
    const double scale = ldexp(1, -node->fixed.exponent);
    const uint32_t n = node->mid.channels;

    for (uint32_t p = 0; p < pixels; p++, sums += n, out += n) {
        for (uint32_t c = 0; c < n; c++) {
            out[c] = train_fold_value(node, c, (int64_t)((double)sums[c] * scale));
        }
    }
}

/* An integer weight; of a log coding the code with the weight's sign. */
static int8_t packed_weight(const struct train_node *node, float code)
{
    int exponent;

    if (node->spec.weights.kind != TRAIN_LOG || code == 0.0f) {
        return (int8_t)code;
    }
    frexpf(code, &exponent); /* |code| = 2^(exponent - 1) */
    exponent -= node->fixed.weight_exponent;
    return (int8_t)(code < 0.0f ? -exponent : exponent);
}

int train_fold(const struct train *train, uint32_t layer, struct train_fold *fold)
{
    const struct train_node *node = &train->nodes[layer + 1];
    const struct train_fixed *fixed = &node->fixed;
    const uint32_t n = node->mid.channels, levels = fixed->levels;

    if (train->learn || !fixed->in_force) {
        return -ENOTSUP;
    }
    for (uint32_t c = 0; c < n; c++) {
        const bool flip = levels > 0 && fixed->flip[c];

        for (uint32_t k = 0; k < node->fan_in; k++) {
            const int8_t code = packed_weight(node, node->codes[(size_t)k * n + c]);
            fold->weights[(size_t)c * node->fan_in + k] = flip ? -code : code;
        }
    }
    if (levels > 0) {
        memcpy(fold->threshold, fixed->threshold, (size_t)n * levels * sizeof(*fold->threshold));
    } else {
        memcpy(fold->bias, fixed->bias, n * sizeof(*fold->bias));
        memcpy(fold->mult, fixed->mult, n * sizeof(*fold->mult));
    }
    fold->preshift = fixed->preshift;
    fold->shift = fixed->shift;
    fold->narrow = fixed->narrow;
    return 0;
}
