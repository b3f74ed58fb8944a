/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Small random networks of every coding, operation and shape of graph, that the loader accepts. */
#ifndef OCELLUS_TESTS_UNIT_NETWORK_GRAPHS_H
#define OCELLUS_TESTS_UNIT_NETWORK_GRAPHS_H

#include "reference.h"

#define GRAPH_LAYERS_MAX 12u

struct graph {
    uint64_t seed; /* state of the generator */
    bool chain;    /* layers one after the other, without padding, the same stride in both axes */
    struct network_description description;
    struct network_point point;
    struct network_layer layers[GRAPH_LAYERS_MAX];
    struct reference_map map[GRAPH_LAYERS_MAX + 1]; /* without numbers */
    char names[GRAPH_LAYERS_MAX][16];
    const char *labels[16];
    void *memory[20 * GRAPH_LAYERS_MAX];
    size_t memories;
};

/* floats: of every ten, how many networks have float layers. */
void graph_create(struct graph *graph, uint64_t seed, uint32_t floats);
/* A chain of layers, which a scan may take. */
void graph_create_chain(struct graph *graph, uint64_t seed, uint32_t floats);
void graph_destroy(struct graph *graph);

uint32_t graph_range(struct graph *graph, uint32_t low, uint32_t high); /* both included */

/* Other numbers in the arrays of a layer with weights, which the caller has copied; they belong to
 * the graph. */
void graph_refill(struct graph *graph, struct network_layer *layer);

/* Random codes of `count` images; the caller frees them. */
void *graph_codes(struct graph *graph, uint32_t count, size_t *ret_bytes_each);

#endif
