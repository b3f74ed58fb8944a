/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Writes the tiny model with the network's own writer. */
#include "tiny_model.h"

#include <stdint.h>
#include <stdio.h>

#include "engine/network/model.h"

enum { POINTS_MAX = 4, WEIGHTS = TINY_LABELS * TINY_CODES };

static const int32_t bias[TINY_LABELS] = {5, -7, 100, 0, 1, 2, 3, 4, -50, 9};
static const char *const labels[TINY_LABELS] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
static const char *const names[POINTS_MAX] = {"p0", "p1", "p2", "p3"};
static const char *const layer_names[POINTS_MAX] = {"dense", "dense1", "dense2", "dense3"};

static void fill_layer(struct network_layer *layer, const char *name, unsigned seed,
                       int8_t *weights, int32_t *mult)
{
    for (uint32_t i = 0; i < WEIGHTS; i++) {
        uint32_t mixed = (i + seed) * UINT32_C(2654435761);
        weights[i] = (int8_t)((int)((mixed >> 16) % 255) - 127);
    }
    for (int32_t i = 0; i < TINY_LABELS; i++) {
        mult[i] = (1 << 30) + i;
    }
    *layer = (struct network_layer){
        .op = NETWORK_OP_DENSE,
        .weights = NETWORK_WEIGHTS_S8,
        .output = NETWORK_OUTPUT_SCORES,
        .shift = 1,
        .preshift = 8,
        .out = TINY_LABELS,
        .name = name,
        .weight_s8 = weights,
        .bias_s32 = bias,
        .mult = mult,
    };
}

static struct network_point make_point(const char *name, const struct network_layer *layer)
{
    return (struct network_point){
        .name = name,
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
        .layer_count = 1,
        .layers = layer,
    };
}

static void *write_points(const struct network_point *points, unsigned count, size_t *ret_size)
{
    const struct network_description description = {
        .name = "tiny",
        .label_count = TINY_LABELS,
        .labels = labels,
        .point_count = count,
        .points = points,
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

void *tiny_model_make_matched(const int8_t codes[TINY_CODES], size_t *ret_size)
{
    int8_t weights[WEIGHTS] = {0};
    int32_t mult[TINY_LABELS] = {0}, biases[TINY_LABELS] = {0}, count = 0;
    for (uint32_t i = 0; i < TINY_CODES; i++) {
        weights[i] = codes[i];
        count += codes[i] != 0;
    }
    biases[0] = -(count / 2);
    /* (t << 16) * mult >> 32, halved and rounded: count / 2 becomes 65536. */
    mult[0] = (int32_t)((UINT64_C(1) << 34) / (uint32_t)(count - count / 2));
    const struct network_layer layer = {
        .op = NETWORK_OP_DENSE,
        .weights = NETWORK_WEIGHTS_S8,
        .output = NETWORK_OUTPUT_SCORES,
        .shift = 1,
        .preshift = 16,
        .out = TINY_LABELS,
        .name = layer_names[0],
        .weight_s8 = weights,
        .bias_s32 = biases,
        .mult = mult,
    };
    const struct network_point point = make_point(names[0], &layer);
    return write_points(&point, 1, ret_size);
}

void *tiny_model_make_points(const unsigned *seeds, unsigned count, size_t *ret_size)
{
    static int8_t weights[POINTS_MAX][WEIGHTS];
    static int32_t mult[POINTS_MAX][TINY_LABELS];
    struct network_layer layers[POINTS_MAX];
    struct network_point points[POINTS_MAX];
    for (unsigned i = 0; i < count; i++) {
        fill_layer(&layers[i], layer_names[i], seeds[i], weights[i], mult[i]);
        points[i] = make_point(names[i], &layers[i]);
    }
    return write_points(points, count, ret_size);
}

void *tiny_model_make(unsigned seed, size_t *ret_size)
{
    return tiny_model_make_points(&seed, 1, ret_size);
}
