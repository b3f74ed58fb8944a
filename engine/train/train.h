/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * engine/train: learns the weights of small convolutional networks in float, with the codings of
 * the packed networks in the loop. It opens no file, prints nothing and starts no thread: the
 * caller hands in a parallel loop, and saves the bytes of train_save where it likes.
 *
 * ORDER OF A LAYER
 *   operation, bias or batch norm, activation, max pool, output coding. What a layer does not name
 *   is left out. Activations are interleaved, [image][y][x][channel].
 *
 * CODINGS, with straight-through estimators: forward uses coded values, backward takes the coding
 *   for the identity within the ranges given. c is the output channel.
 *
 *   weights, w the master weight:
 *     s8       w ~ s_c k, k = round(w / s_c) in [-127, 127], s_c = max |w| / 127
 *     ternary  w ~ s_c k, k = sign(w) where |w| > 0.7 mean |w|, else 0; s_c is the mean |w| of
 *              those beyond (Li, Zhang, Liu 2016, 1605.04711)
 *     binary   w ~ k = sign(w), sign(0) = +1; w is held to [-1, 1] (BinaryNet)
 *     log      w ~ a log code, see below
 *     linear   w ~ a linear code, see below
 *
 *   outputs, x the value:
 *     u7       x ~ s k, k = floor(x / s + 1/2) held to [0, 127], s = clip / 127; gradients pass
 *              where 0 < x < clip. A learned clip gets those of x >= clip (PACT, 1805.06085), a
 *              tracked one follows the largest x of the batches. An average pool keeps the scale
 *              of its input, and gradients pass
 *     ternary  +1 above 1/2, -1 below -1/2, else 0; gradients pass where |x| <= 1
 *     binary   sign(x), sign(0) = +1; gradients pass where |x| <= 1
 *     log, linear
 *              see below; gradients pass where x > 0
 *   An output whose range no batch has shown yet (the first step) is not coded.
 *
 *   Log codes (LogNet, 1603.01025, section 3): code 0 is zero, code n of 1 .. 2^bits - 1 stands for
 *   the exponent F - 2^bits + n on a grid of 1 (base 2, F = fsr) or 1/2 (base sqrt 2, F = 2 fsr),
 *   so that the largest value is 2^(fsr - 1) or 2^(fsr - 1/2). The nearest exponent is taken; the
 *   sign is apart. 2^(n + 1/2) counts as 181/128 * 2^n.
 *   TRAIN_FSR_TRACKED: fsr = ceil(log2(max |x|)) + 1.
 *
 *   Linear codes, the control of equal bits (LinearQuant there): code k of 0 .. 2^bits - 1 stands
 *   for k step, step = 2^(fsr - bits); k = floor(|x| / step + 1/2), held to that range; the sign is
 *   apart. The paper's Clip lets 2^bits pass, which would be one code more than bits can hold.
 *   TRAIN_FSR_TRACKED: fsr = ceil(log2(max |x|)).
 *
 *   Weights and gradients of log or linear codes take bits + 1 bits with their sign.
 *
 * NORMS, one switch of a layer (enum train_norm); x is a sum of the layer as a value, c its
 * channel.
 *   batch, amplify, suppress and center (Ioffe and Szegedy 2015, algorithm 1, with a divisor d):
 *       y = gamma (x - mean_c) / d_c + beta, sigma_c = sqrt(variance_c + epsilon)
 *       batch     d = sigma            amplify   d = min(sigma, 1)
 *       suppress  d = max(sigma, 1)    center    d = 1
 *     Mean and variance are those of the batch, over images, rows and columns; without learning
 *     the running ones. All four take the mean away, so that they differ in d alone. The layer
 *     that reads y sees the eigenvalues of its input's autocorrelation divided by d^2: amplify
 *     raises those of quiet channels and suppress lowers those of loud ones, the two effects of
 *     batch norm that Chai, Pilanci and Murmann 2020 (2002.10674) tell apart; center is what the
 *     missing mean does by itself. Backward is the gradient of this formula, through mean and
 *     sigma; where d is 1 it does not depend on sigma.
 *   nlms (the update that 2002.10674 finds in batch norm's first step): forward is that of no
 *     norm, with a bias. Backward divides the gradient of the layer's own weights, for each input
 *     channel c, by epsilon + the mean square of that channel, mean included, over the batch, rows
 *     and columns of the layer's input (of a dense layer too; zeros of a border do not count). The
 *     quotient is the gradient that train_view shows and train_update follows. Gradients of biases
 *     and of inputs are left as they are. Textbooks divide by |x|^2 of the whole window instead: a
 *     rate there is, for channels of equal power, one here times the taps of the window.
 *   Where a layer reads a batch norm with gamma 1, beta 0 and x of zero mean, a step of SGD on its
 *   weights v is, in w = v / sigma with sigma held, that of nlms on w without the norm.
 *
 * WHERE BATCH NORM FOLDS
 *   A product of coded weights and coded inputs is a sum of small integers t, exact in float below
 *   2^24. Scales, bias and norm make it the value a_c t + b_c. With norm,
 *       a_c = gamma s_c s_in / sqrt(variance + epsilon)
 *       b_c = beta - gamma mean / sqrt(variance + epsilon)
 *   s_c does not depend on gamma, so that folding changes no weight code: a packed layer holds k,
 *   the bias b_c / a_c, rounded, and the multiplier a_c / s of the REQUANTISATION in
 *   engine/kernel/kernel.h; of ternary, binary and log outputs the thresholds of t at which the
 * code changes, and where a_c < 0 the negative weights. Passes without learning do just that, in
 *   integers, wherever a layer has coded weights and inputs and a coded output or the scores, none
 *   of them linear or log of base sqrt 2: codes and scores are those of the packed network, bit for
 *   bit. Sums of log inputs that may pass 2^24 are made in double; where they may pass 2^53 the
 *   layer stays float and has no packed form.
 *
 * REPEATABLE
 *   A batch is cut into TRAIN_SHARDS shards, whatever the number of threads, and their sums are
 *   added in order: the same seed, data and instruction set give the same bytes. Instruction sets
 *   differ by rounding.
 */
#ifndef OCELLUS_ENGINE_TRAIN_TRAIN_H
#define OCELLUS_ENGINE_TRAIN_TRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRAIN_SHARDS        16u
#define TRAIN_LAYERS_MAX    64u
#define TRAIN_CHANNELS_MAX  4096u
#define TRAIN_KERNEL_MAX    31u
#define TRAIN_SIDE_MAX      4096u
#define TRAIN_BATCH_MAX     65536u
#define TRAIN_FSR_TRACKED   INT8_MIN
#define TRAIN_NORM_EPSILON  1e-5f
#define TRAIN_NORM_MOMENTUM 0.1f  /* of the running mean and variance */
#define TRAIN_CLIP_MOMENTUM 0.05f /* of tracked ranges */

enum train_operation {
    TRAIN_CONV = 0,     /* weights [kernel y][kernel x][in][out] */
    TRAIN_DEPTHWISE,    /* weights [kernel y][kernel x][channel]; out is the input's channels */
    TRAIN_DENSE,        /* weights [in][out], in over the whole input, [y][x][channel] */
    TRAIN_AVERAGE_POOL, /* kernel, stride; only whole windows */
    TRAIN_GLOBAL_POOL,  /* mean over y and x */
    TRAIN_ADD,          /* sum of two layers of one shape */
    TRAIN_IDENTITY,     /* for what follows it, e.g. a pool of its own */
};

enum train_norm { /* see NORMS */
                  TRAIN_NORM_NONE = 0,
                  TRAIN_NORM_BATCH,
                  TRAIN_NORM_AMPLIFY,
                  TRAIN_NORM_SUPPRESS,
                  TRAIN_NORM_CENTER,
                  TRAIN_NORM_NLMS, /* of layers with weights */
};

enum train_activation { TRAIN_LINEAR = 0, TRAIN_RELU, TRAIN_HARD_TANH /* held to [-1, 1] */ };

enum train_coding_kind {
    TRAIN_F32 = 0,
    TRAIN_S8, /* weights only */
    TRAIN_U7, /* outputs only; after relu */
    TRAIN_TERNARY,
    TRAIN_BINARY,
    TRAIN_LOG,
    TRAIN_LEVELS, /* linear codes */
};

struct train_coding {
    uint8_t kind; /* enum train_coding_kind */
    uint8_t bits; /* log, linear: 2..5 of magnitude */
    bool root;    /* log: base sqrt 2 */
    bool learned; /* u7: the clip is a parameter */
    int8_t fsr;   /* log, linear: -60..60 or TRAIN_FSR_TRACKED */
};

/* Index 0 of a pair is y, 1 is x. Fields that an operation does not have are 0. */
struct train_layer {
    uint8_t operation;    /* enum train_operation */
    uint8_t activation;   /* enum train_activation; ternary and binary outputs need hard tanh */
    bool bias;            /* not with a norm that normalises */
    uint8_t norm;         /* enum train_norm */
    uint8_t input, other; /* how many layers further back than the one before; other: of add */
    uint32_t out;         /* channels of conv and dense */
    uint16_t kernel[2], stride[2], pad[2]; /* pad < kernel, zeros on both sides */
    uint16_t pool[2], pool_stride[2];      /* max pool, only whole windows; 0: none */
    struct train_coding weights, output;
};

/* Whether sums are normalised, so that there are gamma, beta and running statistics. */
static inline bool train_normalises(const struct train_layer *layer)
{
    return layer->norm != TRAIN_NORM_NONE && layer->norm != TRAIN_NORM_NLMS;
}

struct train_shape {
    uint32_t height, width, channels;
};

struct train_network {
    struct train_shape input;
    uint32_t layer_count;
    const struct train_layer *layers; /* the last one gives the scores, a vector */
};

struct train_settings {
    uint32_t batch; /* images at most in one call */
    uint32_t cpu;   /* kernel_cpu_detect() & mask */
    uint64_t seed;  /* of the first weights */
    /* f32, or log or linear: gradients at every operation are held to codes and a sign (LogNet,
     * algorithm 1), their fsr tracked. */
    struct train_coding gradients;
    /* Convolutions of stride 1 between even numbers of channels round what they multiply to
     * bfloat16 in passes that learn, sums stay float. Exact for coded weights and inputs (all but
     * srgb's f32), not for gradients. Processors without AVX512_BF16 gain nothing and differ in the
     * order of additions. */
    bool bfloat16;
};

/* A parallel loop: run calls task(argument, i) once for each i < count and returns when all are
 * done. Its order and its threads change no result. */
struct train_workers {
    void (*run)(void *context, uint32_t count, void (*task)(void *argument, uint32_t index),
                void *argument);
    void *context;
};

struct train;

/*
 * Check the network and lay out parameters, gradients, moments and activations in one allocation.
 * Weights are drawn uniformly (He et al. 2015 where relu or norm follows, variance 1 / fan-in
 * elsewhere); gamma = 1, beta = bias = 0. `network` may go away afterwards. Errors: -EINVAL
 * (*ret_reason, may be NULL, points to a static sentence), -ENOMEM.
 */
int train_create(const struct train_network *network, const struct train_settings *settings,
                 struct train **ret_train, const char **ret_reason);
void train_destroy(struct train *train);

/* Shape of a layer's output. */
struct train_shape train_layer_shape(const struct train *train, uint32_t layer);

enum train_tensor {
    TRAIN_WEIGHT = 0,
    TRAIN_BIAS,
    TRAIN_GAMMA,
    TRAIN_BETA,
    TRAIN_CLIP,     /* 1 value: a learned clip */
    TRAIN_MEAN,     /* of norm, running */
    TRAIN_VARIANCE, /* of norm, running, unbiased */
    TRAIN_RANGE,    /* 1 value: a tracked range of the output; 0: not seen */
};

/* Values of a tensor, and their gradients after train_backward (NULL where not trained). They live
 * as long as `train`; values may be written, then train_touch must be called. */
struct train_view {
    float *data;
    const float *gradient;
    size_t count;
};

/* Errors: -ENOENT where the layer has no such tensor. */
int train_view(const struct train *train, uint32_t layer, enum train_tensor tensor,
               struct train_view *ret_view);
void train_touch(struct train *train);

/*
 * images: [count][height][width][channels], count in 1..batch; they must stay until train_backward
 * is done. `learn`: norms take the batch's statistics, and running ones and tracked ranges move.
 * Otherwise those are used, and no image's result depends on another image. workers may be
 * NULL. One caller at a time.
 */
void train_forward(struct train *train, const float *images, uint32_t count, bool learn,
                   const struct train_workers *workers);

/* Output of a layer in the last forward pass: [count][shape], codes times *ret_step. */
const float *train_output(const struct train *train, uint32_t layer, float *ret_step);

/* Scores of the last forward pass, [count][classes]. */
const float *train_scores(const struct train *train);

/*
 * A layer as a packed network holds it, see VALUES and SUMS in engine/network/model.h. The arrays
 * are the caller's: weights [out][kernel y][kernel x][in] or [out][in] (depthwise: [channel][kernel
 * y][kernel x]), integers, of log weights the code with the weight's sign. Ternary, binary and log
 * outputs have thresholds [out][levels], levels = 2, 1, 2^bits - 1, where INT64_MIN is always
 * reached and INT64_MAX never; all others have bias and mult [out].
 */
struct train_fold {
    int8_t *weights;
    int64_t *bias, *threshold;
    int32_t *mult;
    uint8_t preshift, shift, narrow;
};

/*
 * After train_forward without `learn`. Errors: -ENOTSUP where that pass did not use the layer's
 * integers: its codings are others, or a channel's numbers are beyond 32 bits (wide sums: 62 bits;
 * without thresholds gamma 0 among them).
 */
int train_fold(const struct train *train, uint32_t layer, struct train_fold *fold);

enum train_loss {
    TRAIN_SOFTMAX = 0,   /* mean cross-entropy of softmax */
    TRAIN_SQUARED_HINGE, /* mean over images and classes of max(0, 1 - t s)^2, t = +1 of the label,
                            else -1 */
};

struct train_result {
    double loss;      /* mean */
    uint32_t correct; /* images whose largest score, the first of equals, is the label's */
};

/* Loss of the scores of the last forward pass. labels: count values below the number of classes. */
void train_measure(struct train *train, enum train_loss loss, const uint32_t *labels,
                   struct train_result *ret_result);

/* The same, and the gradients of all parameters. After train_forward with `learn`. */
void train_backward(struct train *train, enum train_loss loss, const uint32_t *labels,
                    const struct train_workers *workers, struct train_result *ret_result);

enum train_rule { TRAIN_SGD = 0, TRAIN_ADAM };

/*
 * SGD   v = momentum v + g, w -= rate v
 * Adam  as in Kingma and Ba 2015, with bias correction; momentum is beta 1
 * g = gradient + decay w for weights and learned clips, the gradient for everything else.
 */
struct train_optimiser {
    uint8_t rule; /* enum train_rule */
    float momentum;
    float beta2, epsilon; /* Adam */
    float decay;
};

/* One step along the gradients of the last train_backward. */
void train_update(struct train *train, const struct train_optimiser *optimiser, float rate);

/* Steps made. With the seed, this is all that random numbers by train_random need to go on. */
uint64_t train_steps(const struct train *train);

/*
 * Everything that another `struct train` of the same network needs to go on with the same bytes:
 * values, moments, running statistics, ranges, steps; as a safetensors file in memory. The caller
 * frees *ret_bytes. Errors: -ENOMEM.
 */
int train_save(const struct train *train, void **ret_bytes, size_t *ret_size);

/* On failure nothing is changed. Errors: -EBADMSG (*ret_reason, may be NULL, is a static sentence:
 * not such a file, or one of another network), -EFBIG, -ENOMEM. */
int train_restore(struct train *train, const void *bytes, size_t size, const char **ret_reason);

enum train_schedule_kind { TRAIN_CONSTANT = 0, TRAIN_COSINE, TRAIN_EXPONENTIAL };

/* Rises linearly over `warmup` steps to `rate`, then falls to `final` at step `steps` and stays. */
struct train_schedule {
    uint8_t kind; /* enum train_schedule_kind */
    float rate, final;
    uint64_t warmup, steps;
};

float train_rate(const struct train_schedule *schedule, uint64_t step);

/*
 * 64 random bits number `counter` of a stream: SplitMix64 (Steele, Lea, Flood 2014) started at the
 * seed and stream mixed. No state: any number can be had at any time, on any thread.
 */
uint64_t train_random(uint64_t seed, uint64_t stream, uint64_t counter);

/* Fill order[0 .. count - 1] with a permutation of 0 .. count - 1, one for each seed and stream. */
void train_shuffle(uint64_t seed, uint64_t stream, uint32_t count, uint32_t *order);

#endif
