/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What a model file says, as one description that the loader fills and the writer takes, so that
 * both share one schema. It computes nothing.
 *
 * SCHEMA ("ocellus" in the metadata of a safetensors file; JSON; every key shown is required unless
 * a default is given, and unknown keys, operations and tensors are refused)
 *
 *   {"format": 1,
 *    "name": "cifar10-lg3",                    1..64 of A-Z a-z 0-9 . _ -
 *    "labels": ["airplane", ...],              all different; printable UTF-8 below 64 bytes
 *    "points": [POINT, ...],                   1..8 operating points, the first is the default
 *    "scan": {"label": "person",               optional: what the margins of a scan (scan.h) mean,
 *             "slope": 1.2, "offset": -3.4},   see struct network_scan_meaning; 0 < slope <= 1000,
 *                                              offset within +-1000
 *    "exits": [61000, 42000],                  optional; see EXITS
 *    "provenance": {...}}                      optional; any object, kept
 *   A model of one point may say "input": INPUT, "layers": [LAYER, ...] in place of "points"; its
 *   point is then called "default".
 *
 *   POINT: a complete network, after BinarEye's widths (Moons et al. 2018, 1804.05554). All points
 *   of a model want the same planes: width, height, planes and fit are equal.
 *   {"name": "w64", "input": INPUT, "layers": [LAYER, ...]}   name: 1..32 of a-z 0-9 _, once
 *
 *   EXITS: how a frame may take as many points as it needs. It starts with the last point, the
 *   cheapest, whose answer stands if its largest score is above the second largest by the last
 *   margin, and else goes on to the point before; that of the first always stands. A margin for
 * each point but the first, in their order, in units of a score, 0..2^31 - 1. No point is called
 * "exit" then, and there are two labels at least.
 *
 *   INPUT
 *   {"source": "log-gradient",                 or "srgb"
 *    "width": 32, "height": 32,
 *    "planes": "rgb",                          or "grey"
 *    "fit": "cover",                           or "contain", "stretch"
 *    "coding": "ternary",                      or "seven", "f32"; srgb: "u7", "thermometer", "f32"
 *    "levels": 85,                             thermometer only: planes a colour, odd, 1..127
 *    "even": false,                            thermometer only, default false; see gradient.h
 *    "merge": "all",                           or "strongest"; log gradient only
 *    "ratio": [[9, 8]],                        three of "seven"; not with "f32", not with srgb
 *    "floor": 64}                              log gradient only
 *
 *   LAYER is one of
 *   {"op": "conv", "name": "conv1",            name: 1..32 of a-z 0-9 _, once per model, since
 *                                              tensors are called after it
 *    "input": "NAME",                          default: the layer before; INPUT for the first
 *    "weights": "s8",                          or "f32", "ternary", "binary", "log"
 *    "weight_bits": 4, "weight_base": "2",     log only: bits with the sign, 3..6; "2" or "sqrt2"
 *    "out": 32, "kernel": [3, 3],              rows, columns
 *    "stride": [1, 1], "pad": [1, 1],          pad < kernel, on both sides
 *    "pad_code": 0,                            default 0: the input code outside the map
 *    "activation": "relu",                     of u7 and log outputs; "none" of ternary and
 *                                              binary ones; either of f32
 *    "output": "u7",                           or "ternary", "binary", "log"; "f32" of f32
 *    "output_bits": 4, "output_base": "2",     log only: bits (there is no sign), 2..5
 *    "preshift": 0, "shift": 7,                u7 and scores of integers only; see REQUANTISATION
 *                                              in engine/kernel/kernel.h
 *    "narrow": 0}                              scores of wide sums only, 0..62, default 0; see SUMS
 *   {"op": "dense", "name", "input", "weights", "weight_bits", "weight_base", "out", "activation",
 *    "output", "output_bits", "output_base", "preshift", "shift", "narrow"}
 *    as above, over the whole input as one vector in the order [y][x][channel]. The last layer is
 *    dense with "output": "scores", "activation": "none" and one output per label: int32 in units
 *    of 2^-16, of f32 rounded to them.
 *   {"op": "depthwise", "name", "input", "weights", "kernel", "stride", "pad", "pad_code",
 *    "activation", "output", "preshift", "shift"}
 *    each channel with its own filter; weights s8 (input and output u7) or f32.
 *   {"op": "add", "name", "inputs": ["A", "B"], "mult": [64, 64], "shift": 6}
 *    u7: (a * mult[0] + b * mult[1] + (1 << (shift - 1))) >> shift, held to [0, 127]; mult
 *    0..65535, shift 1..24. f32: a + b, without mult and shift, with "activation".
 *   {"op": "maxpool", "kernel": [2, 2], "stride": [2, 2]}      only whole windows
 *   {"op": "avgpool", "kernel": [2, 2], "stride": [2, 2]}      u7: (2 * sum + n) / (2 * n), floor
 *   {"op": "globalavgpool"}
 *    pools: "name" and "input" are optional.
 *   "input" and "inputs" name earlier layers of the same point; every layer but the last is read.
 *   What is still to be read after any layer, and its own output, have at most NETWORK_LIVE_MAX
 *   values together.
 *
 *   Tensors, C order, little-endian. n is the number of weights of one output, in the order shown.
 *       NAME.weight     [out][kernel rows][kernel columns][in] of conv, [out][in] of dense,
 *                       [channel][kernel rows][kernel columns] of depthwise: I8 or F32
 *          of binary    U8 [out][ceil(n / 8)]: weight i is bit i % 8 of byte i / 8, 1 is +1, 0 is
 *                       -1; spare bits 0
 *          of ternary   the same, 1 is +1, and NAME.nonzero alike: 1 where it is not zero; no bit
 *                       in weight without its bit in nonzero
 *          of log       3 and 4 bits: U8 [out][ceil(n / 2)], weight i in the low (even i) or high
 *                       half of byte i / 2; spare halves 0. 5 and 6 bits: U8 [out][n]. Of b bits
 *                       the highest is the sign (1: negative), the others are the code, see VALUES.
 *                       Negative zero is refused, the bits above b are 0
 *       NAME.bias       [out]  I32 or F32; I64 for scores of wide sums. None where there are
 *                       thresholds, which take it in
 *       NAME.mult       [out]  I32, u7 and scores of integers only
 *       NAME.threshold  [out][levels], none below the one before, of ternary (2 levels), binary
 *                       (1) and log (2^bits - 1) outputs: I32, or I64 where the sums are wide
 *   I8 weights are in [-127, 127], floats are finite.
 *
 * VALUES that codes stand for
 *   ternary -1..1, seven -3..3, u7 0..127. Thermometer: code k of 0..levels is 2k - levels, the sum
 *   of `levels` planes of +-1. Binary: code 0 is -1, 1 is +1. Log (LogNet, Miyashita et al. 2016,
 *   1603.01025): code 0 is zero, code n is 2^(n - 1), or sqrt2^(n - 1) in that base.
 *
 * SUMS
 *   t = sum of weight times input value. Where a base is sqrt2, products with an even sum of
 *   half-steps add to E and the others, over sqrt2, to O, and t = 128 E + 181 O.
 *   Sums are wide (int64) where a base is sqrt2, or weights are log of 5 or 6 bits, or the input is
 *   log of 4 or 5 bits; else int32.
 *   The loader demands that no input can make them leave that type, nor t + bias: with S = sum of
 *   |weight| (of base sqrt2: of the largest |128 E + 181 O|) times the largest |input value|, per
 *   output channel, S + |bias| is below 2^31, or 2^62 of wide sums. Where input values may be
 *   negative (ternary, seven, thermometer, binary) 3 S + |bias| is, so that kernels may add an
 *   offset to the codes and take it off the bias.
 *   u7, scores   REQUANTISATION of t + bias. Of wide sums (scores only): of (t + bias) >> narrow,
 *                arithmetic. (S + |bias|) << preshift (>> narrow << preshift) is below 2^31.
 *   thresholds   the code is the number of thresholds that t reaches: t >= threshold. Binary: that
 *                is the code. Ternary: the value is that less 1. Log: that is the code. A
 *                normalisation with a negative factor is folded by negating the channel's weights.
 *                The smallest number of the type is always reached; the largest never occurs as a
 *                sum, the bound above being less by 1 for int32.
 *   f32 layers take all codings: a code counts as its value.
 *   Thermometer codes of more than 63 levels are read by binary or ternary weights or f32 only.
 *   Pools and add read u7 or f32; maxpool reads also binary, ternary and log outputs. pad_code is
 *   one of the input's codes; of ternary and seven it is 0, of f32 it is itself, 0..127.
 */
#ifndef OCELLUS_ENGINE_NETWORK_MODEL_H
#define OCELLUS_ENGINE_NETWORK_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/network/network.h"

#define NETWORK_FILE_MAX       (64u << 20) /* bytes of a model file */
#define NETWORK_NAME_MAX       64u         /* of a model */
#define NETWORK_LAYER_NAME_MAX 32u
#define NETWORK_LAYERS_MAX     64u /* of one point */
#define NETWORK_CHANNELS_MAX   4096u
#define NETWORK_KERNEL_MAX     31u          /* of conv, a side; also of stride */
#define NETWORK_VALUES_MAX     (1u << 26)   /* of one activation */
#define NETWORK_POOL_MAX       (1u << 20)   /* values under one window */
#define NETWORK_LIVE_MAX       (1u << 28)   /* values of all maps that are needed at one time */
#define NETWORK_MACS_MAX       (1ull << 40) /* of one run */

enum network_op {
    NETWORK_OP_CONV = 0,
    NETWORK_OP_DENSE,
    NETWORK_OP_DEPTHWISE,
    NETWORK_OP_ADD,
    NETWORK_OP_MAXPOOL,
    NETWORK_OP_AVGPOOL,
    NETWORK_OP_GLOBALAVGPOOL,
};

enum network_weights {
    NETWORK_WEIGHTS_S8 = 0,
    NETWORK_WEIGHTS_F32,
    NETWORK_WEIGHTS_TERNARY,
    NETWORK_WEIGHTS_BINARY,
    NETWORK_WEIGHTS_LOG,
};

enum network_output {
    NETWORK_OUTPUT_U7 = 0,
    NETWORK_OUTPUT_F32,
    NETWORK_OUTPUT_SCORES,
    NETWORK_OUTPUT_TERNARY,
    NETWORK_OUTPUT_BINARY,
    NETWORK_OUTPUT_LOG,
};

/* Fields that an operation does not have are 0. Index 0 of a pair is rows, 1 columns. */
struct network_layer {
    uint8_t op;      /* enum network_op */
    uint8_t weights; /* enum network_weights */
    uint8_t output;  /* enum network_output; of pools and add that of what they read */
    bool relu;
    uint8_t weight_bits, output_bits; /* log */
    bool weight_root, output_root;    /* log: base sqrt2 */
    uint8_t pad_code;
    uint8_t preshift, shift, narrow;
    uint16_t kernel[2], stride[2], pad[2];
    uint32_t out;
    uint32_t add_mult[2];
    uint32_t input, other; /* layers read: index + 1 within the point, 0 is the point's input. The
                              writer and the parser always fill them; other: of add */
    const char *name;      /* NULL: a pool without one */

    /* Arrays as in the file; those that `weights` and `output` do not name are NULL. */
    const int8_t *weight_s8;
    const float *weight_f32;
    const uint8_t *weight_codes; /* ternary, binary, log */
    const uint8_t *nonzero;      /* ternary */
    const int32_t *bias_s32;
    const int64_t *bias_s64;
    const float *bias_f32;
    const int32_t *mult;
    const int32_t *threshold_s32;
    const int64_t *threshold_s64;
};

struct network_point {
    const char *name;
    struct network_input input;
    uint32_t layer_count;
    const struct network_layer *layers;
};

struct network_description {
    const char *name;
    uint32_t label_count;
    const char *const *labels;
    uint32_t point_count;
    const struct network_point *points;
    const char *provenance;                  /* an object as JSON text, or NULL */
    const struct network_scan_meaning *scan; /* or NULL */
    const int32_t *exits;                    /* [point_count - 1], or NULL */
};

/* Rows, columns and channels of an activation. */
struct network_shape {
    uint32_t height, width, channels;
};

/* What a loaded model says; lives as long as the model. */
const struct network_description *network_model_describe(const struct network_model *model);

/* Shape of the codes that the first layer reads. */
struct network_shape network_input_shape(const struct network_input *input);

/* Shape after `layer`. Errors: -EBADMSG when the layer does not fit the shape, -EFBIG over a limit;
 * *ret_reason (may be NULL) then points to a static sentence. */
int network_layer_shape(const struct network_layer *layer, struct network_shape in,
                        struct network_shape *ret_out, const char **ret_reason);

/*
 * Write a model file that network_model_load accepts. Tensor sizes follow from the layers; whoever
 * fills the description answers for the arrays behind the pointers being that long. The caller
 * frees *ret_bytes. Errors: as network_model_load, by which the result is checked; -EINVAL where
 * the description cannot be written at all.
 */
int network_model_write(const struct network_description *description, void **ret_bytes,
                        size_t *ret_size, const char **ret_reason);

#endif
