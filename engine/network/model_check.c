/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The layers of an operating point against each other: who reads whom, what flows, how much is
 * alive. After these checks and those of the values no size overflows and a run cannot fail.
 */
#include "engine/network/model_internal.h"

#include <errno.h>

static int refuse(const char **ret_reason, int error, const char *reason)
{
    *ret_reason = reason;
    return error;
}

/* flow[0] is the input, flow[i + 1] what layer i gives; read[] likewise. */
struct graph {
    struct network_flow flow[NETWORK_LAYERS_MAX + 1];
    uint32_t last_reader[NETWORK_LAYERS_MAX + 1]; /* index + 1 of it; 0: nobody */
};

static bool same_flow(const struct network_flow *a, const struct network_flow *b)
{
    return a->value == b->value && a->shape.height == b->shape.height &&
           a->shape.width == b->shape.width && a->shape.channels == b->shape.channels;
}

static int check_add(const struct network_layer *layer, const struct graph *graph,
                     const char **ret_reason)
{
    const struct network_flow *a = &graph->flow[layer->input], *b = &graph->flow[layer->other];

    if (layer->input == 0 || layer->other == 0 || !same_flow(a, b)) {
        return refuse(ret_reason, -EBADMSG, "An addition's inputs are not alike.");
    }
    if ((a->value == NETWORK_VALUE_F32) != (layer->shift == 0)) {
        return refuse(ret_reason, -EBADMSG,
                      "An addition of integers has mult and shift, one of floats has not.");
    }
    return 0;
}

/* Below 2^26 outputs of below 2^26 inputs: no overflow over 64 layers. */
static int count_macs(const struct network_layer *layer, const struct network_flow *in,
                      const struct network_flow *out, uint64_t *macs, const char **ret_reason)
{
    *macs += (uint64_t)out->shape.height * out->shape.width * out->shape.channels *
             network_layer_inputs(layer, in->shape);
    if (*macs > NETWORK_MACS_MAX) {
        return refuse(ret_reason, -EFBIG, "The network takes too many operations.");
    }
    return 0;
}

static int check_layer(const struct network_point *point, uint32_t index, struct graph *graph,
                       uint64_t *macs, const char **ret_reason)
{
    const struct network_layer *layer = &point->layers[index];
    const struct network_flow *in = &graph->flow[layer->input];
    int result = network_layer_flow(layer, in, &graph->flow[index + 1], ret_reason);

    if (result == 0 && layer->op == NETWORK_OP_ADD) {
        result = check_add(layer, graph, ret_reason);
    }
    if (result == 0 && network_layer_has_weights(layer)) {
        result = network_layer_check_values(layer, in, ret_reason);
        if (result == 0) {
            result = count_macs(layer, in, &graph->flow[index + 1], macs, ret_reason);
        }
    }
    if (result == 0) {
        graph->last_reader[layer->input] = index + 1;
        if (layer->op == NETWORK_OP_ADD) {
            graph->last_reader[layer->other] = index + 1;
        }
    }
    return result;
}

static uint64_t values_of(struct network_shape shape)
{
    return (uint64_t)shape.height * shape.width * shape.channels;
}

/* Everything is read, and what has to be kept at one time stays within bounds. */
static int check_life(const struct network_point *point, const struct graph *graph,
                      const char **ret_reason)
{
    for (uint32_t map = 0; map < point->layer_count; map++) {
        if (graph->last_reader[map] == 0) {
            return refuse(ret_reason, -EBADMSG, "A layer's output is read by nobody.");
        }
    }
    for (uint32_t index = 0; index < point->layer_count; index++) {
        uint64_t alive = values_of(graph->flow[index + 1].shape);

        for (uint32_t map = 0; map <= index; map++) {
            if (graph->last_reader[map] > index) {
                alive += values_of(graph->flow[map].shape);
            }
        }
        if (alive > NETWORK_LIVE_MAX) {
            return refuse(ret_reason, -EFBIG, "The network keeps too many values at one time.");
        }
    }
    return 0;
}

int network_model_check(const struct network_point *point, uint32_t labels, uint64_t *ret_macs,
                        const char **ret_reason)
{
    struct graph graph = {.flow[0] = network_input_flow(&point->input)};
    const struct network_layer *last = &point->layers[point->layer_count - 1];
    uint64_t macs = 0;

    for (uint32_t i = 0; i < point->layer_count; i++) {
        int result = check_layer(point, i, &graph, &macs, ret_reason);

        if (result < 0) {
            return result;
        }
        if ((point->layers[i].output == NETWORK_OUTPUT_SCORES) != (i + 1 == point->layer_count) ||
            (i + 1 == point->layer_count && point->layers[i].op != NETWORK_OP_DENSE)) {
            return refuse(ret_reason, -EBADMSG,
                          "The last layer, and no other, is dense and gives the scores.");
        }
    }
    if (last->out != labels) {
        return refuse(ret_reason, -EBADMSG, "The last layer has not one output per label.");
    }
    int result = check_life(point, &graph, ret_reason);
    if (result < 0) {
        return result;
    }
    *ret_macs = macs;
    return 0;
}
