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
 *    "provenance": {...}}                      optional; any object, kept
 *   A model of one point may say "input": INPUT, "layers": [LAYER, ...] in place of "points"; its
 *   point is called "default".
 *
 *   POINT is a complete network, after BinarEye's widths (Moons et al. 2018, 1804.05554). All
 * points of a model want the same planes: width, height, planes and fit are equal.
 *   {"name": "w64", "input": INPUT, "layers": [LAYER, ...]}   name: 1..32 of a-z 0-9 _, once
 *
 *   INPUT
 *   {"source": "log-gradient",                 or "srgb"
 *    "width": 32, "height": 32,
 *    "planes": "rgb",                          or "grey"
 *    "fit": "cover",                           or "contain", "stretch"
 *    "coding": "ternary",                      or "seven", "f32"; of srgb "u7", "f32"
 *    "merge": "all",                           or "strongest"; log gradient only
 *    "ratio": [[9, 8]],                        three of "seven"; not with "f32", not with srgb
 *    "floor": 64}                              log gradient only
 *
 *   LAYER is one of
 *   {"op": "conv", "name": "conv1",            name: 1..32 of a-z 0-9 _, once per model
 *    "weights": "s8",                          or "f32"
 *    "out": 32, "kernel": [3, 3],              rows, columns
 *    "stride": [1, 1], "pad": [1, 1],          pad < kernel, on both sides
 *    "pad_code": 0,                            default 0: the input value that stands for zero
 *    "activation": "relu",                     or "none" (f32 only)
 *    "output": "u7",                           of s8; "f32" of f32
 *    "preshift": 0, "shift": 7}                s8 only; see REQUANTISATION in
 * engine/kernel/kernel.h
 *   {"op": "dense", "name", "weights", "out", "activation", "output", "preshift", "shift"}
 *    as above, over the whole input as one vector in the order [y][x][channel]. The last layer is
 *    dense with "output": "scores", "activation": "none" and one output per label: int32 in units
 * of 2^-16, of f32 rounded to them.
 *   {"op": "maxpool", "kernel": [2, 2], "stride": [2, 2]}      only whole windows
 *   {"op": "avgpool", "kernel": [2, 2], "stride": [2, 2]}      u7: (2 * sum + n) / (2 * n), floor
 *   {"op": "globalavgpool"}
 *
 *   Tensors, C order:
 *       NAME.weight   [out][kernel rows][kernel columns][in] of conv, [out][in] of dense: I8 or F32
 *       NAME.bias     [out]  I32 or F32
 *       NAME.mult     [out]  I32, s8 only
 *   I8 weights are in [-127, 127], floats are finite.
 *
 * VALUES
 *   Activations are int8 codes (ternary, seven), u7 or f32. s8 layers take codes or u7. f32 layers
 * take all: an integer x counts as the number x. Pools take u7 or f32. Of codes, pad_code is 0.
 *   With M = 1 (ternary), 3 (seven) or 127 (u7) and, per output channel, A = sum |weight|, B =
 * |bias|, the loader demands (M * A + B) << preshift < 2^31, and of codes also 3 * M * A + B <
 * 2^31.
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
#define NETWORK_MACS_MAX       (1ull << 40) /* of one run */

enum network_op {
    NETWORK_OP_CONV = 0,
    NETWORK_OP_DENSE,
    NETWORK_OP_MAXPOOL,
    NETWORK_OP_AVGPOOL,
    NETWORK_OP_GLOBALAVGPOOL,
};

enum network_weights { NETWORK_WEIGHTS_S8 = 0, NETWORK_WEIGHTS_F32 };

enum network_output { NETWORK_OUTPUT_U7 = 0, NETWORK_OUTPUT_F32, NETWORK_OUTPUT_SCORES };

/* Fields that an operation does not have are 0. Index 0 of a pair is rows, 1 columns. */
struct network_layer {
    uint8_t op;      /* enum network_op */
    uint8_t weights; /* enum network_weights */
    uint8_t output;  /* enum network_output */
    bool relu;
    uint8_t pad_code;
    uint8_t preshift, shift;
    uint16_t kernel[2], stride[2], pad[2];
    uint32_t out;
    const char *name;

    /* [out][kernel[0]][kernel[1]][in]; the pair that `weights` names, the others NULL. */
    const int8_t *weight_s8;
    const float *weight_f32;
    const int32_t *bias_s32;
    const float *bias_f32;
    const int32_t *mult;
};

/* One complete network of a model. */
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
    const struct network_point *points; /* the first is the default */
    const char *provenance;             /* an object as JSON text, or NULL */
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
