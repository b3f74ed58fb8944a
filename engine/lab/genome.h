/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Descriptions of small convolutional networks that a search can change: random ones, mutations,
 * their costs, and the layers of a recipe that they stand for. Trains nothing.
 *
 * A simplified form of the space of uNAS (Liberis, Dudziak, Lane 2021, 2010.14246): a chain of
 * blocks, each a convolution or a depthwise one with a 1x1 convolution behind it, then an average
 * pool and at most one hidden dense layer. There are no parallel branches.
 *
 * TEXT, for tables: a word a block, conv3x16 or sep5x8 (kernel, channels), with /2 for a stride of
 * 2 and p for a max pool of 2; then mean, mean2 or mean4 for the average pool, and dense32.
 */
#ifndef OCELLUS_ENGINE_LAB_GENOME_H
#define OCELLUS_ENGINE_LAB_GENOME_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/network/model.h"

#define LAB_GENOME_BLOCKS_MAX   6u
#define LAB_GENOME_CHANNELS_MAX 64u
#define LAB_GENOME_TEXT         160u  /* bytes, with the NUL */
#define LAB_GENOME_RECIPE       4096u /* bytes, with the NUL */

struct lab_genome {
    uint8_t block_count; /* 1..LAB_GENOME_BLOCKS_MAX */
    struct lab_genome_block {
        bool separable, pool;
        uint8_t kernel, stride; /* 1, 3 or 5; 1 or 2 */
        uint8_t channels;       /* 2..LAB_GENOME_CHANNELS_MAX */
    } blocks[LAB_GENOME_BLOCKS_MAX];
    uint8_t mean;   /* side of the average pool; 0: none, 1: over all */
    uint8_t hidden; /* 0: none */
};

/* Bytes of memory: inputs and outputs of one operation, a byte a value, a pool apart from what it
 * pools. Bytes of a model: a byte a weight, 8 an output for bias and multiplier. */
struct lab_genome_cost {
    uint64_t memory, bytes, macs;
};

/* A stream of random numbers: numbers seed, stream, next, next + 1 ... of train_random. */
struct lab_genome_random {
    uint64_t seed, stream, next;
};

/* A number below `count`, 1 or more. */
uint32_t lab_genome_draw(struct lab_genome_random *random, uint32_t count);

/* May fit no input and no bound. */
void lab_genome_random(struct lab_genome_random *random, struct lab_genome *ret_genome);
void lab_genome_mutate(struct lab_genome_random *random, struct lab_genome *genome);

/* False: the network does not fit the input. */
bool lab_genome_cost(const struct lab_genome *genome, struct network_shape input, uint32_t classes,
                     struct lab_genome_cost *ret_cost);

/* text: LAB_GENOME_TEXT bytes. */
void lab_genome_write(const struct lab_genome *genome, char *text);

/* The [layer] sections; text: LAB_GENOME_RECIPE bytes. */
void lab_genome_recipe(const struct lab_genome *genome, uint32_t classes, char *text);

#endif
