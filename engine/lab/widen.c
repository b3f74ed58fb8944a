/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See widen.h. */
#include "engine/lab/widen.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>

#include "engine/network/network.h"

#define STREAM ((uint64_t)3 << 32) /* of train_random; others are in learn.c */

/* One layer on its way: channels of inputs and outputs of both networks. */
struct layer {
    uint32_t index, in[2], out[2];
};

static const char *check_layer(const struct train_layer *narrow, const struct train_layer *wide,
                               const struct layer *layer)
{
    if (narrow->operation != wide->operation || narrow->input > 0 ||
        (narrow->operation != TRAIN_CONV && narrow->operation != TRAIN_DENSE)) {
        return "only convolutions and dense layers in a chain can be widened";
    }
    if (narrow->norm != TRAIN_NORM_BATCH || wide->norm != TRAIN_NORM_BATCH) {
        return "only layers with batch norm can be widened";
    }
    if (narrow->kernel[0] != wide->kernel[0] || narrow->kernel[1] != wide->kernel[1]) {
        return "the kernels of a layer differ";
    }
    if (layer->out[1] % layer->out[0] != 0 || layer->in[1] % layer->in[0] != 0) {
        return "the channels of a layer are not a multiple of the narrow ones";
    }
    return NULL;
}

static double mean_magnitude(const struct train_view *view)
{
    double sum = 0;
    for (size_t i = 0; i < view->count; i++) {
        sum += fabs((double)view->data[i]);
    }
    return sum / (double)view->count;
}

/* Weights are [tap or place][input channel][output]. */
static const char *copy_weights(const struct train *narrow, struct train *wide,
                                const struct layer *l, float noise, uint64_t seed)
{
    struct train_view from, to;
    if (train_view(narrow, l->index, TRAIN_WEIGHT, &from) < 0 ||
        train_view(wide, l->index, TRAIN_WEIGHT, &to) < 0 ||
        from.count / l->in[0] / l->out[0] != to.count / l->in[1] / l->out[1]) {
        return "the maps of a layer differ in size";
    }
    const float most = noise * (float)mean_magnitude(&from);
    for (size_t i = 0; i < to.count; i++) {
        const size_t o = i % l->out[1], row = i / l->out[1];
        const size_t in = row % l->in[1], place = row / l->in[1];
        const size_t source = (place * l->in[0] + in % l->in[0]) * l->out[0] + o % l->out[0];
        to.data[i] = from.data[source];
        if (o >= l->out[0] || in >= l->in[0]) {
            const float r = (float)(train_random(seed, STREAM + l->index, i) >> 40) * 0x1p-23f;
            to.data[i] += most * (r - 1.0f);
        }
    }
    return NULL;
}

static void copy_channels(const struct train *narrow, struct train *wide, const struct layer *l,
                          enum train_tensor tensor, float factor)
{
    struct train_view from, to;
    if (train_view(narrow, l->index, tensor, &from) == 0 &&
        train_view(wide, l->index, tensor, &to) == 0) {
        for (size_t i = 0; i < to.count; i++) {
            to.data[i] = factor * from.data[i % from.count];
        }
    }
}

int lab_widen(const struct lab_recipe *narrow_recipe, const struct train *narrow,
              const struct lab_recipe *wide_recipe, struct train *wide, float noise, uint64_t seed,
              const char **ret_reason)
{
    const struct network_shape in[2] = {network_input_shape(&narrow_recipe->input),
                                        network_input_shape(&wide_recipe->input)};
    const uint32_t layers = wide_recipe->layer_count;
    const char *reason = NULL;
    if (narrow_recipe->layer_count != layers || in[0].channels != in[1].channels ||
        narrow_recipe->layers[layers - 1].out != wide_recipe->layers[layers - 1].out) {
        reason = "the networks differ in layers, in input channels or in classes";
    }
    struct layer l = {.out = {in[0].channels, in[1].channels}};
    for (; reason == NULL && l.index < layers; l.index++) {
        const struct train_layer *of[2] = {&narrow_recipe->layers[l.index],
                                           &wide_recipe->layers[l.index]};
        for (int k = 0; k < 2; k++) {
            l.in[k] = l.out[k];
            l.out[k] = of[k]->out;
        }
        reason = check_layer(of[0], of[1], &l);
        if (reason == NULL) {
            reason = copy_weights(narrow, wide, &l, noise, seed);
        }
        if (reason == NULL) {
            const float times = (float)(l.in[1] / l.in[0]);
            copy_channels(narrow, wide, &l, TRAIN_GAMMA, 1.0f);
            copy_channels(narrow, wide, &l, TRAIN_BETA, 1.0f);
            copy_channels(narrow, wide, &l, TRAIN_CLIP, 1.0f);
            copy_channels(narrow, wide, &l, TRAIN_MEAN, times);
            copy_channels(narrow, wide, &l, TRAIN_VARIANCE, times * times);
        }
    }
    train_touch(wide);
    if (reason != NULL) {
        *ret_reason = reason;
        return -EINVAL;
    }
    return 0;
}
