/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Checks a description and works out shapes and who reads whom. It allocates nothing.
 */
#include "engine/train/graph.h"

#include <errno.h>

#define POOL_MAX   256u              /* taps of a max pool, numbered in a byte */
#define VALUES_MAX ((size_t)1 << 26) /* of one image at one layer, and of one layer's weights */

static bool has_weights(const struct train_layer *l)
{
    return l->operation == TRAIN_CONV || l->operation == TRAIN_DEPTHWISE ||
           l->operation == TRAIN_DENSE;
}

const char *train_coding_check(const struct train_coding *coding)
{
    if (coding->kind > TRAIN_LEVELS) {
        return "no such coding";
    }
    if (coding->learned && coding->kind != TRAIN_U7) {
        return "only the clip of u7 is learned";
    }
    if (train_has_fsr(coding) && (coding->bits < 2 || coding->bits > 5)) {
        return "log and linear codes have 2 to 5 bits";
    }
    if (train_has_fsr(coding) && coding->fsr != TRAIN_FSR_TRACKED &&
        (coding->fsr < -60 || coding->fsr > 60)) {
        return "fsr is from -60 to 60";
    }
    return NULL;
}

/* What may follow what; see CODINGS in train.h. */
static const char *check_tail(const struct train_node *node)
{
    const struct train_layer *l = &node->spec;
    const bool average = l->operation == TRAIN_AVERAGE_POOL || l->operation == TRAIN_GLOBAL_POOL;
    const char *reason = train_coding_check(&l->weights);

    reason = reason != NULL ? reason : train_coding_check(&l->output);
    if (reason != NULL) {
        return reason;
    }
    if (l->activation > TRAIN_HARD_TANH) {
        return "no such activation";
    }
    if (l->weights.kind == TRAIN_U7 || (l->weights.kind != TRAIN_F32 && !has_weights(l))) {
        return "such weights do not exist";
    }
    if (l->norm > TRAIN_NORM_NLMS || (l->norm == TRAIN_NORM_NLMS && !has_weights(l))) {
        return "no such norm, or nlms without weights";
    }
    if (l->bias && (train_normalises(l) || !has_weights(l))) {
        return "a bias needs weights, and no norm";
    }
    switch ((enum train_coding_kind)l->output.kind) {
    case TRAIN_F32:
        return NULL;
    case TRAIN_S8:
        return "outputs are not s8";
    case TRAIN_U7:
        if (average && l->activation == TRAIN_LINEAR) {
            return node->input->spec.output.kind == TRAIN_U7 && !train_normalises(l) &&
                           l->pool[0] == 0
                       ? NULL
                       : "an average pool has u7 outputs only right after u7";
        }
        return l->activation == TRAIN_RELU ? NULL : "u7 outputs follow relu";
    case TRAIN_LOG:
    case TRAIN_LEVELS:
        return l->activation == TRAIN_RELU ? NULL : "log and linear outputs follow relu";
    case TRAIN_TERNARY:
    case TRAIN_BINARY:
        break;
    }
    return l->activation == TRAIN_HARD_TANH ? NULL : "ternary and binary outputs follow hard tanh";
}

/* Windows of `kernel` every `stride` over `side`; 0 where they do not fit or a limit is passed. */
static uint32_t windows(uint32_t side, uint32_t kernel, uint32_t stride)
{
    if (kernel == 0 || kernel > TRAIN_SIDE_MAX || stride == 0 || stride > TRAIN_KERNEL_MAX ||
        kernel > side) {
        return 0;
    }
    return (side - kernel) / stride + 1;
}

/* Shape of the sums, all zero where the operation does not fit its input. */
static struct train_shape operation_shape(const struct train_node *node)
{
    const struct train_layer *l = &node->spec;
    const struct train_shape in = node->input->shape;
    struct train_shape mid = in;

    switch ((enum train_operation)l->operation) {
    case TRAIN_CONV:
    case TRAIN_DEPTHWISE:
        if (l->kernel[0] > TRAIN_KERNEL_MAX || l->kernel[1] > TRAIN_KERNEL_MAX ||
            l->pad[0] >= l->kernel[0] || l->pad[1] >= l->kernel[1]) {
            return (struct train_shape){0};
        }
        mid.height = windows(in.height + 2u * l->pad[0], l->kernel[0], l->stride[0]);
        mid.width = windows(in.width + 2u * l->pad[1], l->kernel[1], l->stride[1]);
        mid.channels = l->operation == TRAIN_CONV ? l->out : in.channels;
        break;
    case TRAIN_DENSE:
        mid = (struct train_shape){1, 1, l->out};
        break;
    case TRAIN_AVERAGE_POOL:
    case TRAIN_GLOBAL_POOL:
        mid.height = windows(in.height, l->kernel[0], l->stride[0]);
        mid.width = windows(in.width, l->kernel[1], l->stride[1]);
        break;
    case TRAIN_ADD:
    case TRAIN_IDENTITY:
        break;
    }
    return mid;
}

static bool usable(struct train_shape s, size_t *ret_size)
{
    const uint64_t size = (uint64_t)s.height * s.width * s.channels;

    *ret_size = (size_t)size;
    return s.height > 0 && s.height <= TRAIN_SIDE_MAX && s.width > 0 && s.width <= TRAIN_SIDE_MAX &&
           s.channels > 0 && s.channels <= TRAIN_CHANNELS_MAX && size <= VALUES_MAX;
}

static const char *find_shapes(struct train_node *node)
{
    struct train_layer *l = &node->spec;
    const struct train_shape in = node->input->shape;

    if (l->operation == TRAIN_GLOBAL_POOL) {
        l->kernel[0] = (uint16_t)in.height;
        l->kernel[1] = (uint16_t)in.width;
        l->stride[0] = l->stride[1] = 1;
    }
    node->mid = operation_shape(node);
    if (!usable(node->mid, &node->mid_size)) {
        return "the operation does not fit its input, or passes a limit";
    }
    node->shape = node->mid;
    if (l->pool[0] != 0 || l->pool[1] != 0) {
        node->shape.height = windows(node->mid.height, l->pool[0], l->pool_stride[0]);
        node->shape.width = windows(node->mid.width, l->pool[1], l->pool_stride[1]);
    }
    if (!usable(node->shape, &node->size) || (uint32_t)l->pool[0] * l->pool[1] > POOL_MAX) {
        return "the max pool does not fit its input";
    }
    node->fan_in = l->operation == TRAIN_DENSE ? (uint32_t)node->input->size
                   : has_weights(l)            ? (uint32_t)l->kernel[0] * l->kernel[1] *
                                          (l->operation == TRAIN_CONV ? in.channels : 1u)
                                    : 0;
    const uint64_t weights = (uint64_t)node->fan_in * node->mid.channels;
    node->weight.count = (size_t)weights;
    return weights <= VALUES_MAX ? NULL : "a layer has too many weights";
}

/* Node i reads the layers that the spec names. */
static const char *find_inputs(struct train *train, uint32_t i)
{
    struct train_node *node = &train->nodes[i];
    const struct train_layer *l = &node->spec;

    if (l->operation > TRAIN_IDENTITY) {
        return "no such operation";
    }
    if (l->input >= i || l->other >= i) {
        return "a layer reads from before the input";
    }
    node->input = &train->nodes[i - 1 - l->input];
    if (l->operation == TRAIN_ADD) {
        const struct train_shape a = node->input->shape;

        node->other = &train->nodes[i - 1 - l->other];
        const struct train_shape b = node->other->shape;
        if (a.height != b.height || a.width != b.width || a.channels != b.channels) {
            return "only layers of one shape can be added";
        }
    }
    return NULL;
}

/* Gradients come from the last reader first: it writes, the others add. */
static const char *find_readers(struct train *train)
{
    bool read[TRAIN_LAYERS_MAX + 1] = {false};

    for (uint32_t i = train->node_count - 1; i > 0; i--) {
        struct train_node *node = &train->nodes[i];

        if (i < train->node_count - 1 && !read[i]) {
            return "a layer's output is read by nobody";
        }
        node->input_adds = read[node->input - train->nodes];
        read[node->input - train->nodes] = true;
        if (node->other != NULL) {
            node->other_adds = read[node->other - train->nodes];
            read[node->other - train->nodes] = true;
        }
    }
    return NULL;
}

/* Nothing changes the sums: no tail, and one unit of them is one of values. */
static bool is_bare(const struct train_node *node)
{
    const struct train_layer *l = &node->spec;

    return !train_normalises(l) && !l->bias && l->activation == TRAIN_LINEAR && l->pool[0] == 0 &&
           l->output.kind == TRAIN_F32 && l->weights.kind != TRAIN_S8 &&
           l->weights.kind != TRAIN_TERNARY &&
           (l->operation == TRAIN_ADD || node->input->spec.output.kind != TRAIN_U7);
}

int train_graph_check(struct train *train, const struct train_network *network,
                      const char **ret_reason)
{
    const char *reason = NULL;

    train->nodes[0].shape = network->input;
    train->nodes[0].step = 1.0f;
    train->nodes[0].bare = true;
    if (!usable(network->input, &train->nodes[0].size)) {
        reason = "the input is empty or passes a limit";
    }
    for (uint32_t i = 1; reason == NULL && i < train->node_count; i++) {
        struct train_node *node = &train->nodes[i];

        node->spec = network->layers[i - 1];
        reason = find_inputs(train, i);
        reason = reason != NULL ? reason : find_shapes(node);
        reason = reason != NULL ? reason : check_tail(node);
        node->bare = reason == NULL && is_bare(node);
    }
    reason = reason != NULL ? reason : find_readers(train);
    if (reason == NULL) {
        const struct train_node *last = &train->nodes[train->node_count - 1];

        if (last->size != last->shape.channels || last->spec.output.kind != TRAIN_F32) {
            reason = "the last layer gives a vector of f32 scores";
        }
    }
    if (reason != NULL && ret_reason != NULL) {
        *ret_reason = reason;
    }
    return reason == NULL ? 0 : -EINVAL;
}
