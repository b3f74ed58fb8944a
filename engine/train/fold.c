/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The integers of a packed layer: batch norm, scales and bias folded into one bias and one
 * multiplier a channel, and outputs made by them alone. Passes without learning use these, so that
 * their codes and scores are a packed network's, bit for bit.
 */
#include "engine/train/graph.h"

#include <errno.h>
#include <math.h>

#define INT32_LIMIT  0x1p31
#define INPUT_LIMIT  256.0 /* above every input code, and above the code that stands for zero */
#define SCORES_SHIFT 16    /* scores are in units of 2^-16 */

static bool integers_in(const struct train *train, const struct train_node *node)
{
    const uint8_t kind = node->input->spec.output.kind;

    return node->input == train->nodes || node->input->code.function == TRAIN_STEPS ||
           node->input->code.function == TRAIN_ROUND || kind == TRAIN_TERNARY ||
           kind == TRAIN_BINARY;
}

static bool gives_scores(const struct train *train, const struct train_node *node)
{
    return node == &train->nodes[train->node_count - 1] && node->spec.activation == TRAIN_LINEAR &&
           node->spec.pool[0] == 0;
}

/* Sum of |code| of an output channel. */
static double weight_sum(const struct train_node *node, uint32_t channel)
{
    double sum = 0;

    for (uint32_t k = 0; k < node->fan_in; k++) {
        sum += (double)fabsf(node->codes[(size_t)k * node->mid.channels + channel]);
    }
    return sum;
}

/* The largest shifts with which no sum << preshift and no multiplier reaches 2^31. */
static bool choose_shifts(double largest_sum, double largest_factor, struct train_fixed *fixed)
{
    int preshift = 0, shift = 31;

    while (preshift < 31 && ldexp(largest_sum, preshift + 1) < INT32_LIMIT) {
        preshift++;
    }
    while (shift > 0 && ldexp(largest_factor, 32 + shift - preshift) >= INT32_LIMIT - 1) {
        shift--;
    }
    fixed->preshift = (uint8_t)preshift;
    fixed->shift = (uint8_t)shift;
    return shift > 0;
}

void train_fold_prepare(const struct train *train, struct train_node *node)
{
    const bool scores = gives_scores(train, node);
    const double unit = scores ? 1 << SCORES_SHIFT : 1;
    struct train_fixed *fixed = &node->fixed;
    double most_sum = 0, most_factor = 0;

    fixed->in_force = false;
    if (node->spec.weights.kind != TRAIN_S8 || !integers_in(train, node) ||
        !(scores || node->code.function == TRAIN_STEPS)) {
        return;
    }
    for (uint32_t c = 0; c < node->mid.channels; c++) {
        const double bias = floor((double)node->b[c] / (double)node->a[c] + 0.5);
        const double sum = INPUT_LIMIT * weight_sum(node, c) + fabs(bias);

        if (!(sum < INT32_LIMIT)) { /* also a channel whose gamma is 0 */
            return;
        }
        fixed->bias[c] = (int32_t)bias;
        most_sum = fmax(most_sum, sum);
        most_factor = fmax(most_factor, fabs((double)node->a[c]) * unit);
    }
    if (!choose_shifts(most_sum, most_factor, fixed)) {
        return;
    }
    for (uint32_t c = 0; c < node->mid.channels; c++) {
        double factor = (double)node->a[c] * unit;
        fixed->mult[c] = (int32_t)floor(ldexp(factor, 32 + fixed->shift - fixed->preshift) + 0.5);
    }
    fixed->scores = scores;
    fixed->in_force = true;
}

/* REQUANTISATION of engine/kernel/kernel.h. */
static int64_t requantise(const struct train_fixed *fixed, uint32_t channel, float sum)
{
    const int64_t t = ((int64_t)sum + fixed->bias[channel]) * ((int64_t)1 << fixed->preshift);
    const int64_t h = (t * fixed->mult[channel]) >> 32;

    return (h + ((int64_t)1 << (fixed->shift - 1))) >> fixed->shift;
}

void train_fold_row(const struct train_node *node, uint32_t pixels, const float *sums, float *out)
{
    const struct train_fixed *fixed = &node->fixed;
    const uint32_t n = node->mid.channels;

    for (uint32_t p = 0; p < pixels; p++, sums += n, out += n) {
        for (uint32_t c = 0; c < n; c++) {
            int64_t y = requantise(fixed, c, sums[c]);

            if (fixed->scores) {
                out[c] = (float)y * (1.0f / (1 << SCORES_SHIFT));
            } else {
                out[c] = (float)(y < 0 ? 0 : y > 127 ? 127 : y);
            }
        }
    }
}

int train_fold(const struct train *train, uint32_t layer, int32_t zero, struct train_fold *fold)
{
    const struct train_node *node = &train->nodes[layer + 1];
    const uint32_t n = node->mid.channels;

    if (train->learn || !node->fixed.in_force) {
        return -ENOTSUP;
    }
    for (uint32_t c = 0; c < n; c++) {
        int32_t sum = 0;

        for (uint32_t k = 0; k < node->fan_in; k++) {
            int8_t code = (int8_t)node->codes[(size_t)k * n + c];
            fold->weights[(size_t)c * node->fan_in + k] = code;
            sum += code;
        }
        fold->bias[c] = node->fixed.bias[c] - zero * sum;
        fold->mult[c] = node->fixed.mult[c];
    }
    fold->preshift = node->fixed.preshift;
    fold->shift = node->fixed.shift;
    return 0;
}
