/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Dense layers, forward and backward, for all images of a shard at once.
 */
#include "engine/train/graph.h"

/* in [count][n], sums [count][out]; pack: panels of [n][32] */
void train_dense_forward(const struct train_ops *ops, const struct train_node *node,
                         const float *in, uint32_t count, float *sums)
{
    const ptrdiff_t n = (ptrdiff_t)node->input->size, out = node->mid.channels;

    ops->product(&(struct train_product){
        .a = in,
        .a_row = n,
        .a_inner = 1,
        .b = node->pack,
        .b_inner = TRAIN_PANEL,
        .panel = n * TRAIN_PANEL,
        .c = sums,
        .c_row = out,
        .lines = 1,
        .rows = count,
        .columns = node->mid.channels,
        .outer = 1,
        .inner = (uint32_t)n,
    });
}

/* in, in_gradient [count][n], delta [count][out], weight_gradient [n][out]; pack_back: panels of
 * [out][32], of the transposed weights */
void train_dense_backward(const struct train_ops *ops, const struct train_node *node,
                          const float *in, const float *delta, uint32_t count,
                          float *weight_gradient, float *in_gradient)
{
    const ptrdiff_t n = (ptrdiff_t)node->input->size, out = node->mid.channels;

    ops->product(&(struct train_product){
        .a = in,
        .a_row = 1,
        .a_inner = n,
        .b = delta,
        .b_inner = out,
        .c = weight_gradient,
        .c_row = out,
        .lines = 1,
        .rows = (uint32_t)n,
        .columns = node->mid.channels,
        .outer = 1,
        .inner = count,
    });
    if (in_gradient == NULL) {
        return;
    }
    ops->product(&(struct train_product){
        .a = delta,
        .a_row = out,
        .a_inner = 1,
        .b = node->pack_back,
        .b_inner = TRAIN_PANEL,
        .panel = out * TRAIN_PANEL,
        .c = in_gradient,
        .c_row = n,
        .lines = 1,
        .rows = count,
        .columns = (uint32_t)n,
        .outer = 1,
        .inner = node->mid.channels,
        .accumulate = node->input_adds,
    });
}
