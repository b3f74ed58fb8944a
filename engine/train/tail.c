/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What follows an operation: bias or batch norm, activation, max pool and output coding, in one
 * walk over the sums forward, and one or (norm) two backward. Values between are not kept: backward
 * makes them again from the sums.
 */
#include "engine/train/graph.h"

#include <math.h>
#include <string.h>

/* The max pool's windows of row y of the output. */
static struct train_window window_at(const struct train_node *node, const float *sums, uint32_t y)
{
    const struct train_layer *l = &node->spec;
    const size_t row = (size_t)node->mid.width * node->mid.channels;

    return (struct train_window){
        .from = sums + (size_t)y * l->pool_stride[0] * row,
        .row = row,
        .width = node->shape.width,
        .channels = node->mid.channels,
        .kernel = {l->pool[0], l->pool[1]},
        .stride = l->pool_stride[1],
    };
}

static uint32_t mid_pixels(const struct train_node *node)
{
    return node->mid.height * node->mid.width;
}

/* acc[c] += add[c] */
static void collect(uint32_t channels, const float *add, double *acc)
{
    for (uint32_t c = 0; c < channels; c++) {
        acc[c] += (double)add[c];
    }
}

/* sums [mid] -> part: moments about node->center */
void train_tail_measure(const struct train_ops *ops, const struct train_node *node,
                        const float *sums, struct train_part *part, struct train_scratch *scratch)
{
    const uint32_t n = node->mid.channels;
    float *first = scratch->row[0], *second = scratch->row[1];

    memset(first, 0, n * sizeof(*first));
    memset(second, 0, n * sizeof(*second));
    ops->moments(mid_pixels(node), n, sums, node->center, first, second);
    collect(n, first, part->first);
    collect(n, second, part->second);
}

/* Sum of the shards' parts, in order. */
static double over_shards(const struct train_node *node, uint32_t c, bool second)
{
    double total = 0;

    for (uint32_t s = 0; s < TRAIN_SHARDS; s++) {
        total += (second ? node->part[s].second : node->part[s].first)[c];
    }
    return total;
}

double train_norm_divisor(uint8_t norm, double sigma)
{
    return norm == TRAIN_NORM_AMPLIFY    ? fmin(sigma, 1)
           : norm == TRAIN_NORM_SUPPRESS ? fmax(sigma, 1)
           : norm == TRAIN_NORM_CENTER   ? 1
                                         : sigma;
}

void train_tail_settle(struct train *train, struct train_node *node)
{
    const double count = (double)mid_pixels(node) * train->count;
    const float *gamma = train->values + node->gamma.at, *beta = train->values + node->beta.at;
    float *mean = train->state + node->mean.at, *variance = train->state + node->variance.at;

    for (uint32_t c = 0; c < node->mid.channels; c++) {
        const double unit = (double)node->unit[c];
        const double shift = over_shards(node, c, false) / count;
        const double second = over_shards(node, c, true) / count - shift * shift;
        const double center = (double)node->center[c] + shift;
        const double var = (second > 0 ? second : 0) * unit * unit;
        const double unbiased = count > 1 ? var * count / (count - 1) : var;
        const double sigma = sqrt(var + (double)TRAIN_NORM_EPSILON);
        const double spread = unit / train_norm_divisor(node->spec.norm, sigma);
        const double gain = (double)gamma[c] * spread, step = (double)node->step;

        mean[c] += TRAIN_NORM_MOMENTUM * ((float)(center * unit) - mean[c]);
        variance[c] += TRAIN_NORM_MOMENTUM * ((float)unbiased - variance[c]);
        node->center[c] = (float)center;
        node->spread[c] = (float)spread;
        node->gain[c] = (float)gain;
        node->a[c] = (float)(gain / step);
        node->b[c] = (float)(((double)beta[c] - gain * center) / step);
    }
}

/*
 * sums [mid] -> top [shape], the sum that wins each window; tap [shape], which it was; out [shape],
 * codes. Without a pool top is sums. part->peak: largest value before its coding.
 */
void train_tail_forward(const struct train_ops *ops, const struct train_node *node,
                        const float *sums, float *top, uint8_t *tap, float *out,
                        struct train_part *part, struct train_scratch *scratch)
{
    const uint32_t width = node->shape.width, channels = node->shape.channels;
    const size_t n = (size_t)width * channels;
    float *z = scratch->row[0];

    for (uint32_t y = 0; y < node->shape.height; y++, top += n, out += n) {
        if (tap != NULL) {
            struct train_window w = window_at(node, sums, y);
            ops->window_find(&w, node->a, top, tap + y * n);
        }
        if (node->fixed.in_force) {
            train_fold_row(node, width, top, out);
            continue;
        }
        ops->affine(width, channels, node->a, node->b, top, z);
        ops->code(&node->code, n, z, out);
        if (part != NULL) {
            part->peak = fmaxf(part->peak, ops->largest(n, z, false) * node->step);
        }
    }
}

/* One row again: z, and g, the gradient that passes to top. */
static void pass_row(const struct train_ops *ops, const struct train_node *node, const float *top,
                     const float *grad, float *z, float *g)
{
    const uint32_t width = node->shape.width, channels = node->shape.channels;

    ops->affine(width, channels, node->a, node->b, top, z);
    ops->gate(&node->code, (size_t)width * channels, z, grad, g);
}

/* top, grad [shape] -> part: sums of g and of g (top - center), g as above */
void train_tail_reduce(const struct train_ops *ops, const struct train_node *node, const float *top,
                       const float *grad, struct train_part *part, struct train_scratch *scratch)
{
    const uint32_t width = node->shape.width, n = node->mid.channels;
    const size_t row = (size_t)width * n;
    float *g = scratch->row[1], *first = scratch->row[2], *second = scratch->row[3];

    memset(first, 0, n * sizeof(*first));
    memset(second, 0, n * sizeof(*second));
    for (uint32_t y = 0; y < node->shape.height; y++, top += row, grad += row) {
        pass_row(ops, node, top, grad, scratch->row[0], g);
        ops->products(width, n, g, top, node->center, first, second);
    }
    collect(n, first, part->first);
    collect(n, second, part->second);
}

void train_tail_settle_backward(struct train *train, struct train_node *node)
{
    const double count = (double)mid_pixels(node) * train->count;
    float *gamma = train->gradients + node->gamma.at, *beta = train->gradients + node->beta.at;

    for (uint32_t c = 0; c < node->mid.channels; c++) {
        const double spread = (double)node->spread[c];
        const double first = over_shards(node, c, false), second = over_shards(node, c, true);

        beta[c] = (float)first;
        gamma[c] = (float)(second * spread);
        node->c1[c] = (float)(first / count);
        /* A divisor of 1 is held, whatever sigma is. */
        node->c2[c] = node->spec.norm != TRAIN_NORM_BATCH && node->spread[c] == node->unit[c]
                          ? 0.0f
                          : (float)(second * spread * spread / count);
    }
}

/* Windows that overlap or leave sums out cannot write every gradient once. */
static bool windows_tile(const struct train_node *node)
{
    const struct train_layer *l = &node->spec;

    return l->pool[0] == l->pool_stride[0] && l->pool[1] == l->pool_stride[1] &&
           node->shape.height * l->pool[0] == node->mid.height &&
           node->shape.width * l->pool[1] == node->mid.width;
}

/* Gradients of a learned clip: those of the values at or beyond it. */
static float clip_row(size_t n, const float *z, const float *grad)
{
    float sum = 0.0f;

    for (size_t i = 0; i < n; i++) {
        sum += z[i] >= 127.0f ? grad[i] : 0.0f;
    }
    return sum;
}

/* bias[c] += g over g [pixels][channels] */
static void bias_row(uint32_t pixels, uint32_t channels, const float *g, float *bias)
{
    for (uint32_t p = 0; p < pixels; p++, g += channels) {
        for (uint32_t c = 0; c < channels; c++) {
            bias[c] += g[c];
        }
    }
}

/* top, tap, grad [shape], sums [mid] -> delta [mid], the gradient of the sums */
void train_tail_backward(const struct train_ops *ops, const struct train_node *node,
                         const float *sums, const float *top, const uint8_t *tap, const float *grad,
                         float *delta, float *bias_gradient, float *clip_gradient,
                         struct train_scratch *scratch)
{
    const uint32_t n = node->mid.channels, pixels = node->mid.height * node->mid.width;
    const size_t row = (size_t)node->shape.width * n;
    const bool add = tap != NULL && !windows_tile(node);

    if (add) {
        memset(delta, 0, node->mid_size * sizeof(*delta));
    }
    for (uint32_t y = 0; y < node->shape.height; y++, top += row, grad += row) {
        float *z = scratch->row[0], *g = tap != NULL ? scratch->row[1] : delta + y * row;

        pass_row(ops, node, top, grad, z, g);
        if (bias_gradient != NULL) {
            bias_row(node->shape.width, n, g, bias_gradient);
        }
        if (clip_gradient != NULL && node->code.function == TRAIN_STEPS) {
            *clip_gradient += clip_row(row, z, grad);
        }
        if (tap != NULL) {
            struct train_window w = window_at(node, sums, y);
            ops->window_spread(&w, g, tap + y * row, add, delta + (w.from - sums));
        }
    }
    if (train_normalises(&node->spec)) {
        ops->norm_delta(pixels, n, node->gain, node->c1, node->c2, node->center, sums, delta);
    } else {
        ops->scale(pixels, n, node->gain, delta);
    }
}
