/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Random models of fixed topologies, through the writer of engine/network. Times nothing. */
#include "engine/lab/topology.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lab/draft.h"

enum { SIZE = 32, LABELS = 10, WORDS_MAX = 12 };

/*
 * A word a layer: "cKxN" is a convolution of N channels with a KxK kernel, padded to keep the size
 * when K is 3, "p" a 2x2 maximum, "g" the mean of the whole map. A dense layer to the scores
 * follows.
 */
struct topology {
    const char *name;
    bool gradient; /* ternary codes of six channels; else sRGB, u7, three channels */
    const char *layers[WORDS_MAX];
};

static const struct topology topologies[] = {
    {"small-32-64-64", false, {"c3x32", "p", "c3x64", "p", "c3x64", "g"}},
    {"lg3-32-64-128", true, {"c3x32", "p", "c3x64", "p", "c3x128", "p"}},
    {"net-b",
     false,
     {"c2x256", "c2x256", "p", "c2x256", "c2x256", "p", "c2x256", "c2x256", "c2x256", "c2x256",
      "p"}},
    {"bineareye-256",
     false,
     {"c2x256", "c2x256", "c2x256", "c2x256", "p", "c2x256", "c2x256", "p", "c2x256", "c2x256"}},
};

static const size_t topology_count = sizeof(topologies) / sizeof(topologies[0]);

const char *lab_topology_name(size_t index)
{
    return index < topology_count ? topologies[index].name : NULL;
}

static uint32_t random_below(uint64_t *state, uint32_t n)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*state >> 33) % n);
}

/* Weights, and a scale that spreads the sums over 0..127 rather than holding all at an end. */
static int fill(struct network_layer *layer, size_t taps, uint64_t *seed)
{
    int8_t *weights = malloc(layer->out * taps);
    int32_t *bias = calloc(layer->out, sizeof(*bias));
    int32_t *mult = malloc(layer->out * sizeof(*mult));
    layer->weight_s8 = weights;
    layer->bias_s32 = bias;
    layer->mult = mult;
    if (!weights || !bias || !mult) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < layer->out * taps; i++) {
        weights[i] = (int8_t)((int)random_below(seed, 255) - 127);
    }
    for (uint32_t o = 0; o < layer->out; o++) {
        mult[o] = 1 << 30;
    }
    layer->shift = 4;
    while (taps >> (2 * layer->shift - 8) > 1) {
        layer->shift++;
    }
    return 0;
}

static int add_weighted(struct lab_draft *draft, const char *name, uint8_t kernel, uint32_t out,
                        struct network_shape in, uint64_t *seed)
{
    struct network_layer *layer = lab_draft_add(draft, name);
    if (!layer) {
        return -ENOMEM;
    }
    const bool dense = kernel == 0;
    size_t taps = dense ? (size_t)in.height * in.width : (size_t)kernel * kernel;
    layer->op = dense ? NETWORK_OP_DENSE : NETWORK_OP_CONV;
    layer->out = out;
    layer->relu = !dense;
    layer->output = dense ? NETWORK_OUTPUT_SCORES : NETWORK_OUTPUT_U7;
    for (int i = 0; i < 2 && !dense; i++) {
        layer->kernel[i] = kernel;
        layer->stride[i] = 1;
        layer->pad[i] = kernel == 3;
    }
    return fill(layer, taps * in.channels, seed);
}

static int add_pool(struct lab_draft *draft, bool whole)
{
    struct network_layer *layer = lab_draft_add(draft, NULL);
    if (!layer) {
        return -ENOMEM;
    }
    layer->op = whole ? NETWORK_OP_GLOBALAVGPOOL : NETWORK_OP_MAXPOOL;
    for (int i = 0; i < 2 && !whole; i++) {
        layer->kernel[i] = layer->stride[i] = 2;
    }
    return 0;
}

static int add_layers(struct lab_draft *draft, const struct topology *topology)
{
    struct network_shape shape = network_input_shape(&draft->point.input);
    uint64_t seed = 1;
    int r = 0;
    for (int i = 0; r == 0 && i < WORDS_MAX && topology->layers[i]; i++) {
        unsigned kernel, out;
        char name[16];
        if (sscanf(topology->layers[i], "c%ux%u", &kernel, &out) == 2) {
            snprintf(name, sizeof(name), "conv%d", i + 1);
            r = add_weighted(draft, name, (uint8_t)kernel, out, shape, &seed);
        } else {
            r = add_pool(draft, topology->layers[i][0] == 'g');
        }
        if (r == 0) {
            r = network_layer_shape(&draft->layers[i], shape, &shape, NULL);
        }
    }
    return r < 0 ? r : add_weighted(draft, "dense", 0, LABELS, shape, &seed);
}

static void describe_input(struct network_input *input, bool gradient)
{
    input->target = (struct image_target){SIZE, SIZE, IMAGE_RGB, IMAGE_FIT_COVER};
    input->front = (struct gradient_spec){
        .source = GRADIENT_SOURCE_SRGB, .coding = GRADIENT_CODING_U7, .planes = 3, .floor = 1};
    if (gradient) {
        input->front = (struct gradient_spec){.source = GRADIENT_SOURCE_LOG_GRADIENT,
                                              .coding = GRADIENT_CODING_TERNARY,
                                              .planes = 3,
                                              .floor = 64,
                                              .ratio = {{9, 8}}};
    }
}

int lab_topology_write(const char *name, uint8_t **ret_bytes, size_t *ret_size)
{
    static const char *const labels[LABELS] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    const struct topology *topology = NULL;
    for (size_t i = 0; i < topology_count; i++) {
        if (strcmp(topologies[i].name, name) == 0) {
            topology = &topologies[i];
        }
    }
    if (!topology) {
        return -ENOENT;
    }
    struct lab_draft *draft = malloc(sizeof(*draft));
    if (!draft) {
        return -ENOMEM;
    }
    lab_draft_init(draft);
    draft->description.name = name;
    draft->description.labels = labels;
    draft->description.label_count = LABELS;
    describe_input(&draft->point.input, topology->gradient);
    void *bytes = NULL;
    int r = add_layers(draft, topology);
    if (r == 0) {
        r = network_model_write(&draft->description, &bytes, ret_size, NULL);
    }
    if (r == 0) {
        *ret_bytes = bytes;
    }
    lab_draft_finish(draft);
    free(draft);
    return r;
}
