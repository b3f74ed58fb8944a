/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * A network run written straight from the text of model.h: one tap after the other, 64-bit
 * integers, no kernels, no packing, no borders. It shares no arithmetic with the code under test.
 */
#ifndef OCELLUS_TESTS_UNIT_NETWORK_REFERENCE_H
#define OCELLUS_TESTS_UNIT_NETWORK_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/network/model.h"

enum reference_coding {
    REFERENCE_U7 = 0,
    REFERENCE_TERNARY,
    REFERENCE_SEVEN,
    REFERENCE_THERMOMETER,
    REFERENCE_BINARY,
    REFERENCE_LOG,
    REFERENCE_F32,
};

/* One activation. codes: of ternary and seven the values -1..1 and -3..3, else the codes. */
struct reference_map {
    struct network_shape shape;
    uint8_t coding; /* enum reference_coding */
    uint8_t levels, bits;
    bool root;
    int32_t *codes;
    float *real; /* of F32 only */
};

/* Map 0 is the input, map i + 1 the output of layer i; the last one's codes are the scores. */
struct reference {
    uint32_t count;
    struct reference_map map[NETWORK_LAYERS_MAX + 1];
};

/* What the input of a point, and a layer that reads `in`, put out: everything but the numbers. */
struct reference_map reference_input(const struct network_input *input);
struct reference_map reference_output(const struct network_layer *layer,
                                      const struct reference_map *in);
/* SUMS in model.h: whether they are wide. */
bool reference_wide(const struct network_layer *layer, const struct reference_map *in);
/* Products of one output. */
uint64_t reference_taps(const struct network_layer *layer, struct network_shape in);
/* The largest value of a map times 128 where it needs it: what SUMS counts it as. */
int64_t reference_largest(const struct reference_map *map);

struct reference reference_run(const struct network_point *point, const void *codes);
void reference_finish(struct reference *reference);

#endif
