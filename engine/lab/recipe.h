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
 *   coding = ternary              or seven, f32; of srgb f32
 *   merge = all                   default; or strongest
 *   ratio = 9/8                   of ternary; three, rising, of seven
 *   floor = 64                    of log-gradient
 *   [layer NAME]                  in order; NAME as in model.h. All but the last one have relu
 *   op = conv                     or dense, avgpool, globalavgpool
 *   out = 16                      of conv and dense
 *   kernel = 3x3                  of conv and avgpool; rows x columns, or one number for both
 *   stride = 1x1                  default; of avgpool its kernel
 *   pad = 1x1                     of conv; default 0x0
 *   pool = 2x2                    of conv: max pool after it; default none
 *   norm = yes                    of conv and dense: batch norm instead of a bias; default no
 *   [quantise]                    the section may be left out
 *   weights = s8                  default: 8-bit weights in the loop; or f32
 *   activations = u7              default: 7-bit activations in the loop; or f32
 *   gradient-bits = 0             default; 2..5: gradients in log codes
 *   [train]
 *   loss = softmax                default; or squared-hinge
 *   optimiser = adam              default; or sgd
 *   momentum = 0.9                default; of adam beta 1
 *   decay = 0                     default; weight decay
 *   schedule = cosine             default; or constant, exponential
 *   rate = 0.002
 *   final = 0.00002               default: rate / 100; at the end of the schedule
 *   warmup = 1                    default 0; epochs
 *   epochs = 20
 *   batch = 64                    default
 *   [augment]                     the section may be left out
 *   shift = 2                     default 0: shifts of at most so many pixels, border repeated
 *   mirror = yes                  default no
 *
 * A layer without relu is the last one: dense, no norm, one output per class.
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

struct lab_recipe {
    char name[NETWORK_NAME_MAX + 1];
    struct network_input input;
    uint32_t layer_count;
    struct train_layer layers[TRAIN_LAYERS_MAX];
    char names[TRAIN_LAYERS_MAX][NETWORK_LAYER_NAME_MAX + 1];

    uint8_t weights, activations; /* enum train_coding_kind */
    uint8_t gradient_bits;
    uint8_t loss; /* enum train_loss */
    struct train_optimiser optimiser;
    uint8_t schedule; /* enum train_schedule_kind */
    float rate, final;
    uint32_t warmup, epochs, batch;
    uint32_t shift;
    bool mirror;
};

/* Reads `size` bytes of text; `path` is for messages. What is wrong is told on standard error as
 * "PATH:LINE: ...". Errors: -EINVAL. */
int lab_recipe_parse(const char *path, const char *text, size_t size,
                     struct lab_recipe *ret_recipe);

#endif
