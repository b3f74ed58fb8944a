/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Models of fixed topologies, through the writer of engine/network. Times nothing. */
#include "engine/lab/topology.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lab/draft.h"
#include "engine/lab/random_layer.h"

enum { LABELS = 10, WORDS_MAX = 32 };

enum input { INPUT_U7, INPUT_TERNARY, INPUT_THERMOMETER };

/*
 * A word a layer: "cKxN" is a convolution of N channels with a KxK kernel, "cKxNs2" one of stride
 * 2, "dK" and "dKs2" a depthwise one, all padded to keep the size when K is 3; "p" a 2x2 maximum,
 * "g" the mean of the whole map. A dense layer to the scores follows.
 */
struct topology {
    const char *name;
    enum input input;
    uint32_t size;               /* of the input */
    uint8_t levels;              /* of a thermometer; its M is levels + 1 for 41 */
    struct lab_random_style all; /* of every layer */
    uint8_t first;               /* enum network_weights of the first one */
    const char *layers[WORDS_MAX];
};

#define SMALL                                                                                      \
    {                                                                                              \
        "c3x32", "p", "c3x64", "p", "c3x64", "g"                                                   \
    }
#define SMALL_MAX                                                                                  \
    {                                                                                              \
        "c3x32", "p", "c3x64", "p", "c3x64", "p"                                                   \
    } /* no mean of logarithms */
#define LG3                                                                                        \
    {                                                                                              \
        "c3x32", "p", "c3x64", "p", "c3x128", "p"                                                  \
    }
#define NET_B                                                                                      \
    {                                                                                              \
        "c2x256", "c2x256", "p", "c2x256", "c2x256", "p", "c2x256", "c2x256", "c2x256", "c2x256",  \
            "p"                                                                                    \
    }
#define EYE(f)                                                                                     \
    {                                                                                              \
        "c2x" f, "c2x" f, "c2x" f, "c2x" f, "p", "c2x" f, "c2x" f, "p", "c2x" f, "c2x" f           \
    }

#define S8                                                                                         \
    {                                                                                              \
        NETWORK_WEIGHTS_S8, NETWORK_OUTPUT_U7, 0                                                   \
    }
#define BINARY                                                                                     \
    {                                                                                              \
        NETWORK_WEIGHTS_BINARY, NETWORK_OUTPUT_BINARY, 0                                           \
    }
#define LOG(b)                                                                                     \
    {                                                                                              \
        NETWORK_WEIGHTS_LOG, NETWORK_OUTPUT_LOG, b                                                 \
    }

static const struct topology topologies[] = {
    {"small-32-64-64", INPUT_U7, 32, 0, S8, NETWORK_WEIGHTS_S8, SMALL},
    {"lg3-32-64-128", INPUT_TERNARY, 32, 0, S8, NETWORK_WEIGHTS_S8, LG3},
    {"lg3-ternary-first", INPUT_TERNARY, 32, 0, S8, NETWORK_WEIGHTS_TERNARY, LG3},
    {"lg3-binary-first", INPUT_TERNARY, 32, 0, S8, NETWORK_WEIGHTS_BINARY, LG3},
    {"lg3-max", INPUT_U7, 32, 0, S8, NETWORK_WEIGHTS_S8, LG3},
    {"lg3-log3", INPUT_U7, 32, 0, LOG(3), NETWORK_WEIGHTS_LOG, LG3},
    {"lg3-log4", INPUT_U7, 32, 0, LOG(4), NETWORK_WEIGHTS_LOG, LG3},
    {"lg3-log5", INPUT_U7, 32, 0, LOG(5), NETWORK_WEIGHTS_LOG, LG3},
    {"net-b", INPUT_U7, 32, 0, S8, NETWORK_WEIGHTS_S8, NET_B},
    {"net-b-binary", INPUT_THERMOMETER, 32, 85, BINARY, NETWORK_WEIGHTS_BINARY, NET_B},
    {"bineareye-256", INPUT_U7, 32, 0, S8, NETWORK_WEIGHTS_S8, EYE("256")},
    {"binary-256", INPUT_THERMOMETER, 32, 85, BINARY, NETWORK_WEIGHTS_BINARY, EYE("256")},
    {"binary-128", INPUT_THERMOMETER, 32, 41, BINARY, NETWORK_WEIGHTS_BINARY, EYE("128")},
    {"binary-64", INPUT_THERMOMETER, 32, 21, BINARY, NETWORK_WEIGHTS_BINARY, EYE("64")},
    {"net-c", INPUT_U7, 96, 0, S8, NETWORK_WEIGHTS_S8, {"c3x8s2", "d3", "c1x16",  "d3s2",
                                                        "c1x32",  "d3", "c1x32",  "d3s2",
                                                        "c1x64",  "d3", "c1x64",  "d3s2",
                                                        "c1x128", "d3", "c1x128", "d3",
                                                        "c1x128", "d3", "c1x128", "d3",
                                                        "c1x128", "d3", "c1x128", "d3s2",
                                                        "c1x256", "d3", "c1x256", "g"}},
};

static const size_t topology_count = sizeof(topologies) / sizeof(topologies[0]);

const char *lab_topology_name(size_t index)
{
    return index < topology_count ? topologies[index].name : NULL;
}

/* Where the making of a network is. */
struct making {
    const struct topology *topology;
    struct lab_draft draft;
    struct network_shape shape;
    struct lab_random_values in; /* what the layer before gives */
    uint64_t seed;
};

static struct lab_random_style style_of(const struct making *making)
{
    struct lab_random_style style = making->topology->all;
    if (making->draft.point.layer_count == 0) {
        style.weights = making->topology->first;
    }
    return style;
}

static int add_pool(struct making *making, bool whole)
{
    struct network_layer *layer = lab_draft_add(&making->draft, NULL);
    if (!layer) {
        return -ENOMEM;
    }
    layer->op = whole ? NETWORK_OP_GLOBALAVGPOOL : NETWORK_OP_MAXPOOL;
    for (int i = 0; i < 2 && !whole; i++) {
        layer->kernel[i] = layer->stride[i] = 2;
    }
    return 0;
}

/* op conv or depthwise; kernel 0: the dense layer at the end. */
static int add_weighted(struct making *making, uint8_t op, unsigned kernel, unsigned out,
                        unsigned stride)
{
    const struct lab_random_style style = style_of(making);
    char name[16];
    snprintf(name, sizeof(name), kernel == 0 ? "dense" : "conv%u",
             making->draft.point.layer_count + 1);
    struct network_layer *layer = lab_draft_add(&making->draft, name);
    if (!layer) {
        return -ENOMEM;
    }
    layer->op = op;
    layer->out = out;
    for (int i = 0; i < 2 && kernel > 0; i++) {
        layer->kernel[i] = (uint16_t)kernel;
        layer->stride[i] = (uint16_t)stride;
        layer->pad[i] = kernel == 3;
    }
    return lab_random_layer(layer, &style, making->shape, &making->in, &making->seed);
}

static int add_word(struct making *making, const char *word)
{
    unsigned kernel = 0, out = 0, stride = 1;
    if (word[0] == 'c' && sscanf(word, "c%ux%us%u", &kernel, &out, &stride) >= 2) {
        return add_weighted(making, NETWORK_OP_CONV, kernel, out, stride);
    }
    if (word[0] == 'd' && sscanf(word, "d%us%u", &kernel, &stride) >= 1) {
        return add_weighted(making, NETWORK_OP_DEPTHWISE, kernel, making->shape.channels, stride);
    }
    return add_pool(making, word[0] == 'g');
}

static int add_layers(struct making *making)
{
    const struct topology *topology = making->topology;
    for (uint32_t i = 0; i < WORDS_MAX && topology->layers[i]; i++) {
        int r = add_word(making, topology->layers[i]);
        if (r == 0) {
            r = network_layer_shape(&making->draft.layers[i], making->shape, &making->shape, NULL);
        }
        if (r < 0) {
            return r;
        }
    }
    return add_weighted(making, NETWORK_OP_DENSE, 0, LABELS, 0);
}

static void describe_input(struct making *making)
{
    const struct topology *topology = making->topology;
    struct network_input *input = &making->draft.point.input;
    input->target =
        (struct image_target){topology->size, topology->size, IMAGE_RGB, IMAGE_FIT_COVER};
    input->front = (struct gradient_spec){
        .source = GRADIENT_SOURCE_SRGB, .coding = GRADIENT_CODING_U7, .planes = 3, .floor = 1};
    making->in = (struct lab_random_values){.peak = 127};
    if (topology->input == INPUT_TERNARY) {
        input->front = (struct gradient_spec){.source = GRADIENT_SOURCE_LOG_GRADIENT,
                                              .coding = GRADIENT_CODING_TERNARY,
                                              .planes = 3,
                                              .floor = 64,
                                              .ratio = {{9, 8}}};
        making->in.peak = 1;
    } else if (topology->input == INPUT_THERMOMETER) {
        input->front.coding = GRADIENT_CODING_THERMOMETER;
        input->front.levels = topology->levels;
        input->front.even = topology->levels == 41;
        making->in.peak = topology->levels;
    }
    making->shape = network_input_shape(input);
}

static const struct topology *find(const char *name)
{
    for (size_t i = 0; i < topology_count; i++) {
        if (strcmp(topologies[i].name, name) == 0) {
            return &topologies[i];
        }
    }
    return NULL;
}

int lab_topology_write(const char *name, uint8_t **ret_bytes, size_t *ret_size)
{
    static const char *const labels[LABELS] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    const struct topology *topology = find(name);
    if (!topology) {
        return -ENOENT;
    }
    struct making *making = calloc(1, sizeof(*making));
    if (!making) {
        return -ENOMEM;
    }
    lab_draft_init(&making->draft);
    making->topology = topology;
    making->seed = 1;
    making->draft.description.name = name;
    making->draft.description.labels = labels;
    making->draft.description.label_count = LABELS;
    describe_input(making);
    void *bytes = NULL;
    int r = add_layers(making);
    if (r == 0) {
        r = network_model_write(&making->draft.description, &bytes, ret_size, NULL);
    }
    if (r == 0) {
        *ret_bytes = bytes;
    }
    lab_draft_finish(&making->draft);
    free(making);
    return r;
}
