/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Small random networks for tests, and a run of them written straight from the definitions: int64
 * and double, a test of bounds for every tap, no packing.
 */
#ifndef OCELLUS_TESTS_UNIT_NETWORK_EXAMPLE_H
#define OCELLUS_TESTS_UNIT_NETWORK_EXAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/network/model.h"

#define EXAMPLE_LAYERS_MAX 7u

struct example {
    uint64_t seed; /* state of the generator */
    struct network_description description;
    struct network_point point; /* the only one */
    struct network_layer layers[EXAMPLE_LAYERS_MAX];
    char names[EXAMPLE_LAYERS_MAX][8];
    const char *labels[16];
    void *memory[3 * EXAMPLE_LAYERS_MAX];
    size_t memories;
};

enum example_kind {
    EXAMPLE_S8 = 0, /* packed */
    EXAMPLE_F32,
    EXAMPLE_MIXED, /* packed, then float */
};

uint64_t example_random(uint64_t *state);
uint32_t example_range(uint64_t *state, uint32_t low, uint32_t high); /* both included */

/* A network that the loader accepts. */
void example_create(struct example *example, uint64_t seed, enum example_kind kind);
void example_destroy(struct example *example);

/* Random codes of the example's input; the caller frees them. */
void *example_codes(struct example *example);

/* Exact scores of packed examples, and scores in units of 1 of float ones. */
void example_naive(const struct example *example, const void *codes, int64_t *scores, double *real);

#endif
