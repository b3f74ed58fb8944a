/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Operations without weights: average pools, the sum of two layers, and none at all, forward and
 * backward. Max pools belong to the tail.
 */
#include "engine/train/graph.h"

#include <string.h>

/* in [in height][in width][n] -> sums [mid height][mid width][n], the mean under each window. Of
 * codes the sum is exact and the quotient rounded once, so that a mean half way between two codes
 * is seen as that. */
void train_pool_forward(const struct train_node *node, const float *in, float *sums)
{
    const struct train_layer *l = &node->spec;
    const size_t n = node->mid.channels, row = node->input->shape.width * n;
    const float area = (float)(l->kernel[0] * l->kernel[1]);

    memset(sums, 0, node->mid_size * sizeof(*sums));
    for (size_t i = 0; i < node->mid_size / n; i++, sums += n) {
        const size_t y = i / node->mid.width * l->stride[0];
        const size_t x = i % node->mid.width * l->stride[1];

        for (size_t tap = 0; tap < (size_t)l->kernel[0] * l->kernel[1]; tap++) {
            const float *from = in + (y + tap / l->kernel[1]) * row + (x + tap % l->kernel[1]) * n;
            for (size_t c = 0; c < n; c++) {
                sums[c] += from[c];
            }
        }
        for (size_t c = 0; c < n; c++) {
            sums[c] /= area;
        }
    }
}

/* delta [mid height][mid width][n] -> in_gradient [in height][in width][n] */
void train_pool_backward(const struct train_node *node, const float *delta, float *in_gradient)
{
    const struct train_layer *l = &node->spec;
    const size_t n = node->mid.channels, row = node->input->shape.width * n;
    const float share = 1.0f / ((float)(l->kernel[0] * l->kernel[1]) * node->input->step);

    if (in_gradient == NULL) {
        return;
    }
    if (!node->input_adds) {
        memset(in_gradient, 0, node->input->size * sizeof(*in_gradient));
    }
    for (size_t i = 0; i < node->mid_size / n; i++, delta += n) {
        const size_t y = i / node->mid.width * l->stride[0];
        const size_t x = i % node->mid.width * l->stride[1];

        for (size_t tap = 0; tap < (size_t)l->kernel[0] * l->kernel[1]; tap++) {
            float *to = in_gradient + (y + tap / l->kernel[1]) * row + (x + tap % l->kernel[1]) * n;
            for (size_t c = 0; c < n; c++) {
                to[c] += delta[c] * share;
            }
        }
    }
}

/* in, other, sums [n]; sums are values */
void train_add_forward(const struct train_node *node, const float *in, const float *other,
                       float *sums)
{
    const float a = node->input->step, b = node->other->step;

    for (size_t i = 0; i < node->mid_size; i++) {
        sums[i] = a * in[i] + b * other[i];
    }
}

static void pass_on(size_t count, const float *delta, float factor, bool adds, float *gradient)
{
    if (gradient == NULL) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        gradient[i] = delta[i] * factor + (adds ? gradient[i] : 0.0f);
    }
}

void train_add_backward(const struct train_node *node, const float *delta, float *in_gradient,
                        float *other_gradient)
{
    pass_on(node->mid_size, delta, 1.0f, node->input_adds, in_gradient);
    pass_on(node->mid_size, delta, 1.0f, node->other_adds, other_gradient);
}

void train_identity_backward(const struct train_node *node, const float *delta, float *in_gradient)
{
    pass_on(node->mid_size, delta, 1.0f / node->input->step, node->input_adds, in_gradient);
}
