/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * One training of the batch norm experiments: a small network on digits with one kind of norm at
 * one learning rate, until it diverges or its steps are done. Knows no other training.
 *
 * NETWORK  Digits at half their size, 14x14x1 in [0, 1] -> conv 3x3x8, norm, relu, max pool 2 ->
 *   conv 3x3x16, norm, relu, max pool 2 -> conv 3x3x16, norm, relu -> dense 10; convolutions padded
 *   to keep their size; softmax; batches of 64; SGD without momentum or decay, one rate throughout.
 *   With nlms the layers that read what a norm would make have it: the second and third convolution
 *   and the dense layer. First weights and the order of the digits follow from the seed alone.
 * GAINS    With `spread` the first weights of output channel c of a convolution of n channels are
 *   scaled by 10^(1.5 c / (n - 1) - 1), 0.1 to 3.16, so that each layer has quiet and loud channels
 *   as the linear toy has; else they are as train_create draws them.
 */
#ifndef OCELLUS_ENGINE_LAB_BN_RUN_H
#define OCELLUS_ENGINE_LAB_BN_RUN_H

#include "engine/lab/packed.h"
#include "engine/train/train.h"

#define LAB_BN_SIDE     28u
#define LAB_BN_LAYERS   4u
#define LAB_BN_CLASSES  10u
#define LAB_BN_BATCH    64u
#define LAB_BN_NORMS    6u
#define LAB_BN_TARGET   0.5  /* loss that is to be reached */
#define LAB_BN_WINDOW   10u  /* by the mean of so many batches */
#define LAB_BN_DIVERGED 10.0 /* times the first loss */
#define LAB_BN_NAME     48u

struct lab_bn_cell {
    uint8_t norm; /* enum train_norm */
    bool spread;
    double rate;
    uint64_t seed;
    uint32_t steps, trace_each; /* 0: no trace */
};

struct lab_bn_outcome {
    uint32_t steps;     /* made; 0: has not run */
    uint32_t reached;   /* first step at which the target was reached, 0: never */
    uint32_t diverged;  /* first step whose loss is no number or LAB_BN_DIVERGED times the first */
    double first, last; /* loss of the first batch, and mean of the last LAB_BN_WINDOW */
    double seconds;
};

const char *lab_bn_norm_name(uint8_t norm);

/*
 * digits: 28x28, one channel, labels below LAB_BN_CLASSES, LAB_BN_BATCH of them or more. With a
 * trace, trace-NAME.csv (a row each trace_each steps: step, loss, rate, and for each layer the
 * largest eigenvalue of its input's autocorrelation, 2 / it and the smallest and largest of a
 * channel) and channels-NAME.csv (step, layer, channel, smallest, largest) go to `directory`.
 * Errors (told): -ENOMEM, the system's.
 */
int lab_bn_cell_run(const struct lab_bn_cell *cell, const struct lab_packed *digits, uint32_t cpu,
                    const char *directory, struct lab_bn_outcome *ret_outcome);

/* NAME: "batch-spread-0.01". */
void lab_bn_cell_name(const struct lab_bn_cell *cell, char name[LAB_BN_NAME]);

#endif
