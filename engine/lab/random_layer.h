/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Random weights for one layer of a model that is only timed: of any coding, with outputs that are
 * spread over their codes instead of all lying at an end.
 */
#ifndef OCELLUS_ENGINE_LAB_RANDOM_LAYER_H
#define OCELLUS_ENGINE_LAB_RANDOM_LAYER_H

#include <stdint.h>

#include "engine/network/model.h"

struct lab_random_style {
    uint8_t weights, output; /* enum network_weights, enum network_output; a dense layer at the end
                                gives scores */
    uint8_t bits;            /* of log weights, with the sign, and of log outputs; base 2 */
};

/* What the values of a map are: at most `peak`, or log codes of so many bits. */
struct lab_random_values {
    uint32_t peak;
    uint8_t log_bits; /* 0: none */
};

/*
 * Fills in codings and arrays, which come from malloc; operation, outputs and window are set.
 * *values is what the layer reads, and becomes what it gives. Errors: -ENOMEM.
 */
int lab_random_layer(struct network_layer *layer, const struct lab_random_style *style,
                     struct network_shape in, struct lab_random_values *values, uint64_t *seed);

#endif
