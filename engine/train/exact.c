/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Passes without learning of folded layers whose inputs are powers of two and whose sums go beyond
 * the integers that float holds: the same sums in double, which holds these. Slow, and exact.
 */
#include "engine/train/graph.h"

#include <math.h>
#include <string.h>

/* sums [out] of the window at (y, x); a dense layer is a window over its whole input. */
static void window_sums(const struct train_ops *ops, const struct train_node *node, const float *in,
                        uint32_t y, uint32_t x, double *sums)
{
    const struct train_layer *l = &node->spec;
    const struct train_shape s = node->input->shape;
    const size_t out = node->mid.channels;
    const bool dense = l->operation == TRAIN_DENSE;
    const uint32_t rows = dense ? s.height : l->kernel[0], columns = dense ? s.width : l->kernel[1];
    const float *codes = node->codes;

    memset(sums, 0, out * sizeof(*sums));
    for (uint32_t i = 0; i < rows; i++) {
        for (uint32_t k = 0; k < columns; k++, codes += s.channels * out) {
            /* Outside the input they wrap around and are large. */
            const uint32_t at_y = dense ? i : y * l->stride[0] + i - l->pad[0];
            const uint32_t at_x = dense ? k : x * l->stride[1] + k - l->pad[1];
            const size_t from = ((size_t)at_y * s.width + at_x) * s.channels;

            for (uint32_t c = 0; at_y < s.height && at_x < s.width && c < s.channels; c++) {
                if (in[from + c] != 0.0f) {
                    ops->accumulate(out, (double)in[from + c], codes + c * out, sums);
                }
            }
        }
    }
}

/* The sum of a channel that decides an output: the largest value under its window of the pool. */
static double pooled(const struct train_node *node, const double *sums, uint32_t y, uint32_t x,
                     uint32_t c)
{
    const struct train_layer *l = &node->spec;
    const size_t n = node->mid.channels;
    const double sign = node->a[c] < 0.0f ? -1 : 1;
    double most = -INFINITY;

    if (l->pool[0] == 0) {
        return sums[((size_t)y * node->mid.width + x) * n + c];
    }
    for (uint32_t i = 0; i < l->pool[0]; i++) {
        for (uint32_t k = 0; k < l->pool[1]; k++) {
            const size_t row = (size_t)y * l->pool_stride[0] + i;
            const size_t column = (size_t)x * l->pool_stride[1] + k;

            most = fmax(most, sign * sums[(row * node->mid.width + column) * n + c]);
        }
    }
    return sign * most;
}

void train_exact_forward(const struct train_ops *ops, const struct train_node *node,
                         const float *in, double *sums, float *out)
{
    const uint32_t n = node->mid.channels;
    const double scale = ldexp(1, -node->fixed.exponent);

    for (uint32_t y = 0; y < node->mid.height; y++) {
        for (uint32_t x = 0; x < node->mid.width; x++) {
            window_sums(ops, node, in, y, x, sums + ((size_t)y * node->mid.width + x) * n);
        }
    }
    for (uint32_t y = 0; y < node->shape.height; y++) {
        for (uint32_t x = 0; x < node->shape.width; x++, out += n) {
            for (uint32_t c = 0; c < n; c++) {
                const double sum = pooled(node, sums, y, x, c) * scale;

                out[c] = train_fold_value(node, c, (int64_t)sum);
            }
        }
    }
}
