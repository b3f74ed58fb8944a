/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Writes the tiny model with the network's own writer. */
#include "tiny_model.h"

#include <stdint.h>
#include <stdio.h>

#include "engine/network/model.h"

void *tiny_model_make(unsigned seed, size_t *ret_size)
{
    static int8_t weights[TINY_LABELS * TINY_CODES];
    static const int32_t bias[TINY_LABELS] = {5, -7, 100, 0, 1, 2, 3, 4, -50, 9};
    int32_t mult[TINY_LABELS];
    static const char *const labels[TINY_LABELS] = {"a", "b", "c", "d", "e",
                                                    "f", "g", "h", "i", "j"};
    for (uint32_t i = 0; i < TINY_LABELS * TINY_CODES; i++) {
        uint32_t mixed = (i + seed) * UINT32_C(2654435761);
        weights[i] = (int8_t)((int)((mixed >> 16) % 255) - 127);
    }
    for (size_t i = 0; i < TINY_LABELS; i++) {
        mult[i] = (1 << 30) + (int32_t)i;
    }
    const struct network_layer layer = {
        .op = NETWORK_OP_DENSE,
        .weights = NETWORK_WEIGHTS_S8,
        .output = NETWORK_OUTPUT_SCORES,
        .shift = 1,
        .preshift = 8,
        .out = TINY_LABELS,
        .name = "dense",
        .weight_s8 = weights,
        .bias_s32 = bias,
        .mult = mult,
    };
    const struct network_description description = {
        .name = "tiny",
        .input = {.target = {.width = TINY_SIDE,
                             .height = TINY_SIDE,
                             .channels = IMAGE_RGB,
                             .fit = IMAGE_FIT_COVER},
                  .front = {.source = GRADIENT_SOURCE_LOG_GRADIENT,
                            .coding = GRADIENT_CODING_TERNARY,
                            .merge = GRADIENT_MERGE_ALL,
                            .planes = 3,
                            .floor = 64,
                            .ratio = {{9, 8}}}},
        .label_count = TINY_LABELS,
        .labels = labels,
        .layer_count = 1,
        .layers = &layer,
    };
    void *bytes = NULL;
    const char *reason = "";
    int err = network_model_write(&description, &bytes, ret_size, &reason);
    if (err < 0) {
        fprintf(stderr, "tiny model: %d %s\n", err, reason);
        return NULL;
    }
    return bytes;
}
