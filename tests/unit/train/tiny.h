/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * A small packed model with random weights, and codes of two or more kinds of pictures that it
 * cannot tell apart until it learns to.
 */
#ifndef OCELLUS_TESTS_UNIT_TRAIN_TINY_H
#define OCELLUS_TESTS_UNIT_TRAIN_TINY_H

#include <stdint.h>

#include "engine/network/model.h"

#define TINY_SIDE   12u
#define TINY_VALUES (TINY_SIDE * TINY_SIDE * 2)
/* Layers: convolution with padding, pool, convolution, pool, dense, dense. */
enum tiny_layer { TINY_CONV1 = 0, TINY_POOL1, TINY_CONV2, TINY_POOL2, TINY_DENSE, TINY_SCORES };

struct network_model *tiny_model(uint64_t seed, uint32_t classes);

/* Picture `index` of a kind: a pattern of the kind in noise. */
void tiny_codes(uint64_t seed, uint32_t kind, uint32_t index, int8_t *codes);

#endif
