/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * A training recipe: an INI file that says what a network sees, its layers and how it learns. Reads
 * and checks text only; knows no picture and trains nothing.
 *
 * FILE (keys are required unless a default is given)
 *   [model]
 *   name = person                 1..64 of A-Z a-z 0-9 . _ -
 *   [input]                       words as in engine/network/model.h
 *   source = log-gradient         or srgb
 *   width = 32
 *   height = 64
 *   planes = rgb                  or grey
 *   fit = cover                   default; or contain, stretch
 *   coding = ternary              or seven, f32; of srgb thermometer, f32
 *   levels = 21                   of thermometer: planes a colour, odd
 *   even = no                     default; of thermometer, see gradient.h
 *   merge = all                   default; or strongest
 *   ratio = 9/8                   of ternary; three, rising, of seven
 *   floor = 64                    of log-gradient
 *   [layer NAME]                  in order; NAME as in model.h
 *   op = conv                     or depthwise, dense, avgpool, globalavgpool, add
 *   out = 16                      of conv and dense
 *   kernel = 3x3                  of conv, depthwise and avgpool; rows x columns, or one number for
 *                                 both
 *   stride = 1x1                  default; of avgpool its kernel
 *   pad = 1x1                     of conv and depthwise; default 0x0
 *   pool = 2x2                    of conv, depthwise and add: max pool after it; default none
 *   norm = yes                    not of pools: batch norm (of weighted layers in place of a bias);
 *                                 default no. amplify, suppress, center: batch norm's divisor held
 *                                 to at most, at least, exactly 1, for studies: no model file is
 *                                 made of them.
 *                                 nlms: how weights learn; the model has a bias. See NORMS in
 *                                 engine/train/train.h
 *   activation = relu             default, but of pools and the last layer; or hard-tanh, none.
 *                                 hard-tanh is the default before ternary and binary outputs
 *   input = NAME                  the layer it reads; default the one before
 *   with = NAME                   of add: the layer that is added to the input
 *   weights = s8                  CODING of this layer; default as [quantise] says
 *   output = u7                   CODING of this layer; default as [quantise] says, f32 after
 *                                 activation = none; of avgpools that of u7 inputs
 *   [quantise]                    the section may be left out
 *   weights = s8                  default; CODING of the weights of layers that read codes
 *   activations = u7              default; CODING of the outputs of all layers but the last
 *   gradients = f32               default; log or linear CODING of the gradients
 *   [train]
 *   loss = softmax                default; or squared-hinge
 *   optimiser = adam              default; or sgd
 *   momentum = 0.9                default; of adam beta 1
 *   decay = 0                     default; weight decay
 *   precision = f32               default; bf16: products of convolutions, see bfloat16 in train.h
 *   schedule = cosine             default; or constant, exponential
 *   rate = 0.002
 *   final = 0.00002               default: rate / 100; at the end of the schedule
 *   warmup = 1                    default 0; epochs
 *   epochs = 20
 *   batch = 64                    default
 *   balance = no                  default; yes: classes take turns, pictures of small ones repeat
 *   [augment]                     the section may be left out
 *   shift = 2                     default 0: shifts of at most so many pixels, border repeated
 *   mirror = yes                  default no
 *   exposure = 1.5                default 0: light times 2^e, e from -1.5 to 1.5, clipped at white
 *
 *   [search]                      bounds and size of ocellus-lab search; the section may be left
 * out memory = 10000                default; bytes of an operation's inputs and outputs together
 *   bytes = 20000                 default; of the packed weights, biases and multipliers
 *   macs = 1000000                default
 *   error = 0.02                  default; wanted error
 *   candidates = 60               default; networks to train
 *   population = 20               default; 2..1000, the newest candidates
 *   sample = 5                    default; of the population, to pick a parent from
 *
 *   CODING is f32, s8 (weights), u7 (outputs), ternary, binary, log:BITS, log:BITS:sqrt2 or
 *   linear:BITS, BITS from 2 to 5; see CODINGS in engine/train/train.h. Ranges of log and linear
 *   codes are tracked.
 *
 * The last layer is dense, without activation and output coding, one output per class.
 */
#ifndef OCELLUS_ENGINE_LAB_RECIPE_H
#define OCELLUS_ENGINE_LAB_RECIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/network/model.h"
#include "engine/train/train.h"

#define LAB_RECIPE_BYTES_MAX ((size_t)256 << 10)
#define LAB_EPOCHS_MAX       100000u
#define LAB_SHIFT_MAX        64u
#define LAB_STOPS_MAX        8.0

enum lab_precision { LAB_FLOAT32 = 0, LAB_BFLOAT16 };

struct lab_recipe_search {
    uint32_t memory, bytes, macs;
    float error;
    uint32_t candidates, population, sample;
};

struct lab_recipe {
    char name[NETWORK_NAME_MAX + 1];
    struct network_input input;
    uint32_t layer_count;
    struct train_layer layers[TRAIN_LAYERS_MAX];
    char names[TRAIN_LAYERS_MAX][NETWORK_LAYER_NAME_MAX + 1];

    struct train_coding weights, activations; /* where a layer says nothing else */
    struct train_coding gradients;
    uint8_t loss; /* enum train_loss */
    struct train_optimiser optimiser;
    uint8_t precision; /* enum lab_precision */
    uint8_t schedule;  /* enum train_schedule_kind */
    float rate, final;
    uint32_t warmup, epochs, batch;
    bool balance;
    uint32_t shift;
    bool mirror;
    float stops; /* of exposure */
    struct lab_recipe_search search;
};

/* Reads `size` bytes of text; `path` is for messages. What is wrong is told on standard error as
 * "PATH:LINE: ...". Errors: -EINVAL. */
int lab_recipe_parse(const char *path, const char *text, size_t size,
                     struct lab_recipe *ret_recipe);

#endif
