/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What the tests of the trainer share: shorthand for layers, images that can be told apart, two
 * threads.
 */
#ifndef OCELLUS_TESTS_UNIT_TRAIN_TOY_H
#define OCELLUS_TESTS_UNIT_TRAIN_TOY_H

#include "engine/train/train.h"

#define LENGTH(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

#define SQUARE(n)    .kernel = {n, n}
#define STRIDE(y, x) .stride = {y, x}
#define CONV3(n)     .operation = TRAIN_CONV, .out = (n), SQUARE(3), STRIDE(1, 1), .pad = {1, 1}
#define DEPTHWISE3   .operation = TRAIN_DEPTHWISE, SQUARE(3), STRIDE(1, 1), .pad = {1, 1}
#define DENSE(n)     .operation = TRAIN_DENSE, .out = (n)
#define POOL2        .pool = {2, 2}, .pool_stride = {2, 2}
#define NORM_RELU    .norm = true, .activation = TRAIN_RELU
#define NORM_TANH    .norm = true, .activation = TRAIN_HARD_TANH
#define S8           .weights = {.kind = TRAIN_S8}

/* Fails the test where the network is refused. */
struct train *toy_create(struct train_shape input, const struct train_layer *layers, uint32_t count,
                         const struct train_settings *settings);

/*
 * Ternary images [count][side][side][channels] of four classes: stripes along x, along y, a
 * checkered board, blots; a quarter of the codes is noise. labels [count].
 */
void toy_images(uint64_t seed, uint32_t count, uint32_t side, uint32_t channels, float *images,
                uint32_t *labels);

/* Uniform in [-1, 1). */
void toy_noise(uint64_t seed, uint32_t count, float *values);

/* A parallel loop of two new threads that take indices from both ends. */
extern const struct train_workers toy_two_threads;

#endif
