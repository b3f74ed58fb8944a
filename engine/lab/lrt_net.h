/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The network of the low-rank training paper (LRT; Gural et al. 2020, 2009.03887) with its
 * quantisation in the loop, one picture at a time: forward, and backward to the terms that a rule
 * for learning takes. It learns nothing itself.
 *
 * NETWORK  28x28x1 -> conv 3x3x128, relu -> conv 3x3x128, max pool 2, relu, norm -> conv 3x3x128,
 *   relu -> conv 3x3x128, max pool 2, relu, norm -> dense 512, relu -> dense 10. Convolutions are
 *   valid, maps [y][x][channel]. A dense layer is a 1x1 convolution of a 1x1 map.
 *
 * NUMBERS  uniform, halves to even, as floats on the grid
 *   weights      codes of `bits` bit, 8 in the paper, of 2^(1 - bits), in [-1, 1); the only copy
 *                that learning changes
 *   bias, sums   16 bit, 2^-12, [-8, 8);  activations  8 bit, 2^-7, [0, 2)
 *   norm         8 bit, 2^-6, [-2, 2);    gradients    8 bit, 2^-7, [-1, 1)
 *   z = Qb(alpha * W a), z = Qb(z + b), alpha a power of two per layer: 2^floor(log2(sqrt(3 v /
 *   in))), v = 2 before relu, else 1. Below, delta is alpha * Qg(dL/dz): the left side of every
 *   term delta (x) patch whose sum is the gradient of the weights.
 *
 * NORM  streaming: mean and mean square of each channel over a picture, followed with weight 1/10
 *   and corrected for their start; the backward pass takes them for constants. Frozen networks use
 *   slower means of the same (weight 1/1000).
 */
#ifndef OCELLUS_ENGINE_LAB_LRT_NET_H
#define OCELLUS_ENGINE_LAB_LRT_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/train/ops.h"

#define LAB_LRT_LAYERS  6u
#define LAB_LRT_NORMS   2u
#define LAB_LRT_SIDE    28u
#define LAB_LRT_PIXELS  (LAB_LRT_SIDE * LAB_LRT_SIDE)
#define LAB_LRT_CLASSES 10u
#define LAB_LRT_STEP    0.0078125f /* of activations and gradients, 2^-7 */

struct lab_lrt_norm {
    uint32_t channels, steps;
    float *mean, *square;           /* running */
    float *slow_mean, *slow_square; /* running, slower */
    float *gamma, *beta;
    float *mean_now, *scale_now; /* in force: y = gamma (x - mean) scale + beta */
    float *gamma_gradient, *beta_gradient;
};

struct lab_lrt_layer {
    uint32_t in_h, in_w, in_c, kernel, out_h, out_w, out_c, patch;
    bool pool, relu;
    int norm; /* index, or -1 */
    float alpha;

    int8_t *codes; /* [out_c][kernel][kernel][in_c] */
    float *bias;   /* [out_c] */

    /* Of the last picture. */
    const float *in; /* [in_h][in_w][in_c] */
    float *z;        /* [out_h][out_w][out_c] */
    float *top;      /* after pool and relu */
    uint8_t *tap;    /* of the pool: which of four */
    float *out;      /* what the next layer reads: top, or normalised */
    float *delta;    /* [out_h][out_w][out_c] */
    float *bias_gradient;
    bool silent; /* delta is all zeros */

    float *forward, *backward; /* the weights as products want them: panels of TRAIN_PANEL */
};

struct lab_lrt_net {
    const struct train_ops *ops;
    struct lab_lrt_layer layer[LAB_LRT_LAYERS];
    struct lab_lrt_norm norm[LAB_LRT_NORMS];
    float *gradient, *spread; /* scratch */
    bool normalise;           /* false: norms pass their input on */
    bool exact;               /* values are not quantised: for checks of gradients */
    bool fine;                /* gradients are not quantised: for learning before the stream */
    uint32_t bits;            /* of a weight */
    void *memory;
    size_t memory_bytes, state_bytes; /* what a run must save lies first */
};

/* Weights drawn by train_random(seed, ...), uniform in [-1, 1). bits: 3..8 of a weight. cpu:
 * kernel_cpu_detect() & mask. Errors: -ENOMEM. */
int lab_lrt_net_create(struct lab_lrt_net *net, uint32_t bits, uint64_t seed, uint32_t cpu);
void lab_lrt_net_destroy(struct lab_lrt_net *net);

/* Call after codes of a layer changed. */
void lab_lrt_net_touch(struct lab_lrt_net *net, uint32_t layer);

/* pixels [28][28] in [0, 1]. stream: norms follow this picture, else the slow means are in force.
 * Scores of the classes: layer[5].z. */
void lab_lrt_net_forward(struct lab_lrt_net *net, const float *pixels, bool stream);

/* The largest score, the first of equals. */
uint32_t lab_lrt_net_class(const struct lab_lrt_net *net);

/* Deltas, and gradients of biases and norms, of the cross-entropy of softmax, for the picture of
 * the last forward pass. Returns the loss. */
float lab_lrt_net_backward(struct lab_lrt_net *net, uint32_t label);

/* gradient [out_c][patch] += sum over pixels of delta (x) patch (absolute false), or how many of
 * these products are not zero (true). */
void lab_lrt_net_weight_gradient(struct lab_lrt_net *net, uint32_t layer, bool count,
                                 float *gradient);

/* What a weight's code of 1 stands for. */
static inline float lab_lrt_code(const struct lab_lrt_net *net)
{
    return 1.0f / (float)(1u << (net->bits - 1));
}

/* A number on the grid. */
static inline float lab_lrt_grid(float x, float step, float low, float high)
{
    const float shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds halves to even */
    x = x < low ? low : x;
    x = x > high ? high : x;
    return ((x / step + shift) - shift) * step;
}

static inline float lab_lrt_bias(float x)
{
    return lab_lrt_grid(x, 1.0f / 4096, -8.0f, 8.0f - 1.0f / 4096);
}

#endif
