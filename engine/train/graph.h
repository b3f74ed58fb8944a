/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What the files of engine/train share: the laid-out network and the two halves of a layer, its
 * operation and its tail (everything after the operation). Not for other modules.
 */
#ifndef OCELLUS_ENGINE_TRAIN_GRAPH_H
#define OCELLUS_ENGINE_TRAIN_GRAPH_H

#include "engine/train/ops.h"
#include "engine/train/train.h"

/* Where a tensor lies in a flat array. Absent: count 0. */
struct train_slot {
    size_t at, count;
};

/* Working memory of one shard. */
struct train_scratch {
    float *padded;      /* an input with its border of zeros */
    float *spread;      /* gradients spread by the stride, with their border */
    float *delta;       /* gradient of one image's sums; of a dense layer, of all of a shard's */
    float *row[4];      /* a row of outputs or inputs each, or one value a channel */
    uint32_t *pairs[2]; /* operands of products of bfloat16; of signs: the first */
    double *exact; /* sums of one image that float does not hold; NULL where there are no such */
};

/* What one shard found out about a layer. */
struct train_part {
    double *first, *second; /* [mid.channels] sums of moments or of products */
    float peak;             /* largest output before its coding */
    float steepest;         /* largest |gradient| of the sums */
};

/* The integers that a packed layer would hold. Set in passes without learning where there are such.
 */
struct train_fixed {
    bool in_force;
    bool scores;                   /* makes scores, not u7 codes */
    bool wide;                     /* sums of powers beyond what float holds: see exact.c */
    int exponent, weight_exponent; /* a sum, a weight is 2^exponent times its integer */
    int64_t *bias;                 /* [mid.channels] */
    int32_t *mult;                 /* [mid.channels] */
    uint8_t preshift, shift, narrow;
    uint8_t levels;     /* thresholds of a channel; 0: bias and mult are used */
    int64_t *threshold; /* [mid.channels][levels] */
    bool *flip;         /* [mid.channels]: thresholds are of the negative sum */
};

/*
 * One layer. The operation makes "sums", the tail makes `out` of them. Node 0 is the input: it has
 * `out` and `shape` only. Sizes are in floats, of one image.
 */
struct train_node {
    struct train_layer spec;
    struct train_node *input, *other;
    bool input_adds, other_adds;   /* gradients are added to what the input already got */
    bool bare;                     /* the tail does nothing: out is the sums */
    struct train_shape mid, shape; /* of the sums, of the output */
    size_t mid_size, size;
    uint32_t fan_in; /* terms of one sum, where there are weights */

    float *sums;  /* [batch][mid_size] */
    float *top;   /* [batch][size]: the sum that wins each window of the max pool, or `sums` */
    uint8_t *tap; /* [batch][size]: which it was; NULL: no max pool */
    float *out;   /* [batch][size]: codes; times `step` they are values */
    float *grad;  /* [batch][size], with respect to the values; NULL: not wanted */
    float step;

    struct train_slot weight, bias, gamma, beta, clip; /* in the parameters */
    struct train_slot mean, variance; /* in the state: running, of the values of the sums */
    struct train_slot range;          /* in the state: tracked peak, tracked steepest */

    /* Set before a pass, see prepare.c. */
    float *codes;     /* as the weights, or the weights themselves */
    float *scale;     /* [out] values per weight code; NULL: 1 */
    float *pack;      /* codes as the forward product wants them */
    float *pack_back; /* flipped, transposed, divided by the input's step; NULL: not wanted */
    bool halved;      /* learns by products of bfloat16, these packs: */
    uint32_t *pairs, *pairs_back;
    bool signed_only; /* inputs and weights are 1 or -1: sums are counted from these bits */
    uint32_t *signs;
    struct train_code code;
    struct train_power power; /* of gradients; low > high: not coded */

    /*
     * [mid.channels] each. A sum t is the value unit t, and becomes z = a t + b in steps of the
     * output. Norm: center is the mean of t (before it is known, what t is measured from), spread
     * is unit / divisor of the norm. With g the gradient of the value z step,
     * that of t is gain (g - c1 - (t - center) c2).
     */
    float *unit, *a, *b, *gain;
    float *center, *spread, *c1, *c2;
    double *input_power; /* [input channels] of nlms: mean squares of the values read */
    struct train_fixed fixed;
    struct train_part part[TRAIN_SHARDS];
};

struct train {
    struct train_settings settings;
    const struct train_ops *ops;
    uint32_t node_count; /* layers + 1 */
    struct train_node *nodes;
    uint32_t shard_size; /* images of a shard */

    size_t parameters, states;
    float *values, *gradients, *moment1, *moment2; /* [parameters] each */
    float *shard_gradients;                        /* [TRAIN_SHARDS][parameters] */
    float *state;                                  /* [states] */
    uint64_t steps;
    bool fresh; /* codes and packs are those of the values */

    struct train_scratch scratch[TRAIN_SHARDS];
    double shard_loss[TRAIN_SHARDS];
    uint32_t shard_correct[TRAIN_SHARDS];

    /* The pass in progress. */
    const uint32_t *labels;
    uint32_t count;
    uint8_t loss;
    bool learn;
    void *memory;
};

/* graph.c. Nodes from layers: specs, inputs, shapes, sizes. Errors: -EINVAL, with *ret_reason (may
 * be NULL). */
const char *train_coding_check(const struct train_coding *coding);
int train_graph_check(struct train *train, const struct train_network *network,
                      const char **ret_reason);

/* prepare.c. Steps and codes of the outputs, in the order of the nodes; then, in any order, each
 * node's coded weights and packs; then its map from sums to outputs where it is known before the
 * pass. */
void train_prepare_steps(struct train *train);
void train_prepare_weights(struct train *train, struct train_node *node);
void train_prepare_map(struct train *train, struct train_node *node);

/* tail.c. What a norm divides by where the standard deviation is sigma. */
double train_norm_divisor(uint8_t norm, double sigma);

/* fold.c. node->fixed from the map; then outputs [pixels][channels] of sums by it. */
void train_fold_prepare(const struct train *train, struct train_node *node);
void train_fold_row(const struct train_node *node, uint32_t pixels, const float *sums, float *out);
/* The output of one channel's sum. */
float train_fold_value(const struct train_node *node, uint32_t channel, int64_t sum);

/* exact.c. One image through a folded layer whose sums are wide: in [input], out [shape]; sums:
 * room for [mid]. */
void train_exact_forward(const struct train_ops *ops, const struct train_node *node,
                         const float *in, double *sums, float *out);

/* Codings that are log or linear codes. */
static inline bool train_has_fsr(const struct train_coding *coding)
{
    return coding->kind == TRAIN_LOG || coding->kind == TRAIN_LEVELS;
}

/* coding.c. weights, codes [fan_in][out]; scale [out]. */
void train_code_weights(const struct train_coding *coding, const struct train_ops *ops,
                        uint32_t fan_in, uint32_t out, const float *weights, float *codes,
                        float *scale);
/* The range of a log or linear coding for values up to `peak`; low > high where peak is 0. */
struct train_power train_power_range(const struct train_coding *coding, float peak);

/*
 * Operations, one image unless said otherwise.
 *   in, in_gradient    [input->shape]
 *   sums, delta        [mid]; delta is the gradient of the sums
 *   weight_gradient    as the weights, of the codes; overwritten, or added to with `adds`
 * in_gradient is of values, NULL where it is not wanted, and added to where node->input_adds.
 */
void train_conv_forward(const struct train_ops *ops, const struct train_node *node, bool learn,
                        const float *in, float *sums, struct train_scratch *scratch);
void train_conv_backward(const struct train_ops *ops, const struct train_node *node,
                         const float *in, const float *delta, float *weight_gradient, bool adds,
                         float *in_gradient, struct train_scratch *scratch);
void train_depthwise_forward(const struct train_ops *ops, const struct train_node *node,
                             const float *in, float *sums, struct train_scratch *scratch);
void train_depthwise_backward(const struct train_ops *ops, const struct train_node *node,
                              const float *in, const float *delta, float *weight_gradient,
                              bool adds, float *in_gradient, struct train_scratch *scratch);
/* `count` images at once, [count] in front of every shape; always overwrites weight_gradient. */
void train_dense_forward(const struct train_ops *ops, const struct train_node *node,
                         const float *in, uint32_t count, float *sums);
void train_dense_backward(const struct train_ops *ops, const struct train_node *node,
                          const float *in, const float *delta, uint32_t count,
                          float *weight_gradient, float *in_gradient);
void train_pool_forward(const struct train_node *node, const float *in, float *sums);
void train_pool_backward(const struct train_node *node, const float *delta, float *in_gradient);
void train_add_forward(const struct train_node *node, const float *in, const float *other,
                       float *sums);
void train_add_backward(const struct train_node *node, const float *delta, float *in_gradient,
                        float *other_gradient);
void train_identity_backward(const struct train_node *node, const float *delta, float *in_gradient);

/*
 * Tails that are not bare, one image.
 *   sums, delta            [mid]
 *   top, tap, out, grad    [shape]; grad is of values
 * Forward of a norm in learning: measure all images, settle once, then forward. Backward: reduce
 * all images, settle once, then backward. Everything else: forward, backward.
 */
void train_tail_measure(const struct train_ops *ops, const struct train_node *node,
                        const float *sums, struct train_part *part, struct train_scratch *scratch);
void train_tail_settle(struct train *train, struct train_node *node);
/* part: NULL, or its peak rises to the largest value before coding. */
void train_tail_forward(const struct train_ops *ops, const struct train_node *node,
                        const float *sums, float *top, uint8_t *tap, float *out,
                        struct train_part *part, struct train_scratch *scratch);
void train_tail_reduce(const struct train_ops *ops, const struct train_node *node, const float *top,
                       const float *grad, struct train_part *part, struct train_scratch *scratch);
void train_tail_settle_backward(struct train *train, struct train_node *node);
/* bias_gradient [mid.channels] and clip_gradient [1] are added to; NULL where the layer has none.
 */
void train_tail_backward(const struct train_ops *ops, const struct train_node *node,
                         const float *sums, const float *top, const uint8_t *tap, const float *grad,
                         float *delta, float *bias_gradient, float *clip_gradient,
                         struct train_scratch *scratch);

/* loss.c. One shard of scores [count][classes]; `images` of the whole batch. gradient as scores, or
 * NULL. Returns the sum of the shard's losses; adds to *ret_correct. */
double train_loss_shard(uint8_t loss, const float *scores, const uint32_t *labels, uint32_t count,
                        uint32_t classes, uint32_t images, float *gradient, uint32_t *ret_correct);

#endif
