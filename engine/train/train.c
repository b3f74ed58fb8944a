/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Makes a trainer: one allocation for everything, first weights, and views of its tensors.
 */
#include "engine/train/train.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/train/graph.h"

#define ALIGNMENT 64u

/* Cuts one block into pieces. Without a block it only counts, so that the same code finds the size.
 */
struct arena {
    char *base;
    size_t used;
    bool overflow;
};

static void *piece(struct arena *arena, uint64_t count, size_t size)
{
    size_t bytes, end;

    if (count == 0) {
        return NULL;
    }
    if (__builtin_mul_overflow(count, size, &bytes) ||
        __builtin_add_overflow(bytes, ALIGNMENT - 1, &bytes) ||
        __builtin_add_overflow(arena->used, bytes / ALIGNMENT * ALIGNMENT, &end)) {
        arena->overflow = true;
        return NULL;
    }
    void *p = arena->base != NULL ? arena->base + arena->used : NULL;
    arena->used = end;
    return p;
}

/* count * each floats */
static float *floats(struct arena *arena, uint64_t count, uint64_t each)
{
    if (__builtin_mul_overflow(count, each, &count)) {
        arena->overflow = true;
        return NULL;
    }
    return piece(arena, count, sizeof(float));
}

static struct train_slot take(size_t *at, size_t count)
{
    struct train_slot slot = {*at, count};

    *at += count;
    return slot;
}

/* Where each layer's tensors lie in the flat arrays. */
static void assign_slots(struct train *train)
{
    train->parameters = train->states = 0;
    for (uint32_t i = 1; i < train->node_count; i++) {
        struct train_node *node = &train->nodes[i];
        const struct train_layer *l = &node->spec;
        const size_t n = node->mid.channels;

        node->weight = take(&train->parameters, node->weight.count);
        node->bias = take(&train->parameters, l->bias ? n : 0);
        node->gamma = take(&train->parameters, train_normalises(l) ? n : 0);
        node->beta = take(&train->parameters, train_normalises(l) ? n : 0);
        node->clip = take(&train->parameters, l->output.learned ? 1 : 0);
        node->mean = take(&train->states, train_normalises(l) ? n : 0);
        node->variance = take(&train->states, train_normalises(l) ? n : 0);
        node->range = take(&train->states, 2);
    }
}

static uint64_t panels_size(uint64_t rows, uint64_t columns)
{
    return (columns + TRAIN_PANEL - 1) / TRAIN_PANEL * TRAIN_PANEL * rows;
}

/* Pairs of terms lie in one pixel of the convolution's input, and in one of its gradient. */
static bool can_pair(const struct train_node *node)
{
    const struct train_layer *l = &node->spec;

    return l->operation == TRAIN_CONV && l->stride[0] == 1 && l->stride[1] == 1 &&
           node->input->shape.channels % 2 == 0 && node->mid.channels % 2 == 0;
}

/* A word of signs lies in one pixel, and there is no border, whose zeros have no sign. */
static bool can_count_signs(const struct train_node *node)
{
    const struct train_layer *l = &node->spec;

    return l->operation == TRAIN_CONV && l->weights.kind == TRAIN_BINARY && l->pad[0] == 0 &&
           l->pad[1] == 0 && node->input->spec.output.kind == TRAIN_BINARY &&
           node->input->shape.channels % 32 == 0;
}

static void lay_out_weights(struct arena *arena, struct train_node *node, bool back)
{
    const struct train_layer *l = &node->spec;
    const size_t out = node->mid.channels, taps = (size_t)l->kernel[0] * l->kernel[1];
    const bool coded = l->weights.kind != TRAIN_F32;
    uint64_t pack = panels_size(node->fan_in, out), pack_back;

    if (l->operation == TRAIN_DEPTHWISE) {
        pack = pack_back = node->weight.count;
    } else if (l->operation == TRAIN_CONV) {
        pack_back = panels_size((uint64_t)taps * out, node->input->shape.channels);
    } else {
        pack_back = panels_size(out, node->input->size);
    }
    node->codes = floats(arena, coded ? node->weight.count : 0, 1);
    node->scale = floats(arena, coded ? out : 0, 1);
    node->pack = floats(arena, pack, 1);
    node->pack_back = floats(arena, back ? pack_back : 0, 1);
    if (node->signed_only) {
        node->signs = piece(arena, pack / 32, sizeof(uint32_t));
    }
    if (node->halved) {
        node->pairs = piece(arena, pack / 2, sizeof(uint32_t));
        node->pairs_back = piece(arena, back ? pack_back / 2 : 0, sizeof(uint32_t));
    }
}

static void lay_out_fixed(struct arena *arena, struct train_node *node)
{
    const struct train_coding *output = &node->spec.output;
    const size_t n = node->mid.channels;
    const uint32_t levels = output->kind == TRAIN_LOG ? (1u << output->bits) - 1 : 2;

    node->fixed.bias = piece(arena, n, sizeof(int64_t));
    node->fixed.mult = piece(arena, n, sizeof(int32_t));
    node->fixed.threshold = piece(arena, n * levels, sizeof(int64_t));
    node->fixed.flip = piece(arena, n, sizeof(bool));
}

static void lay_out_node(struct arena *arena, struct train *train, struct train_node *node)
{
    const size_t batch = train->settings.batch, n = node->mid.channels;
    const bool pool = node->spec.pool[0] > 0;
    float **const maps[] = {&node->unit,   &node->a,      &node->b,  &node->gain,
                            &node->center, &node->spread, &node->c1, &node->c2};

    node->sums = floats(arena, node->mid_size, batch);
    node->top = pool ? floats(arena, node->size, batch) : node->sums;
    node->tap = pool ? piece(arena, node->size, batch) : NULL;
    node->out = node->bare ? node->sums : floats(arena, node->size, batch);
    node->grad = floats(arena, node->size, batch);
    node->halved = train->settings.bfloat16 && can_pair(node);
    node->signed_only = can_count_signs(node);
    if (node->weight.count > 0) {
        lay_out_weights(arena, node, node->input != train->nodes);
        if (node->spec.weights.kind == TRAIN_F32) {
            node->codes = train->values + node->weight.at;
        }
    }
    for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
        *maps[i] = floats(arena, n, 1);
    }
    lay_out_fixed(arena, node);
    if (node->spec.norm == TRAIN_NORM_NLMS) {
        node->input_power = piece(arena, node->input->shape.channels, sizeof(double));
    }
    for (uint32_t s = 0; s < TRAIN_SHARDS && train_normalises(&node->spec); s++) {
        node->part[s].first = piece(arena, n, sizeof(double));
        node->part[s].second = piece(arena, n, sizeof(double));
    }
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void lay_out_scratch(struct arena *arena, struct train *train)
{
    uint64_t padded = 0, spread = 0, delta = 0, row = 0, exact = 0, pairs = 0;

    for (uint32_t i = 1; i < train->node_count; i++) {
        const struct train_node *node = &train->nodes[i];
        const struct train_layer *l = &node->spec;
        const struct train_shape in = node->input->shape;
        const bool dense = l->operation == TRAIN_DENSE;

        row = larger(row, (uint64_t)node->mid.width * node->mid.channels);
        delta = larger(delta, (uint64_t)node->mid_size * (dense ? train->shard_size : 1));
        if (node->input->spec.output.kind == TRAIN_LOG) {
            exact = larger(exact, node->mid_size);
        }
        if (l->operation == TRAIN_CONV || l->operation == TRAIN_DEPTHWISE) {
            const uint64_t height = in.height + 2u * l->kernel[0];
            const uint64_t width = in.width + 2u * l->kernel[1];

            row = larger(row, (uint64_t)in.width * in.channels);
            padded = larger(padded, height * width * in.channels);
            spread = larger(spread, height * width * node->mid.channels);
            pairs = node->halved || node->signed_only ? larger(padded, spread) : pairs;
        }
    }
    for (uint32_t s = 0; s < TRAIN_SHARDS; s++) {
        struct train_scratch *scratch = &train->scratch[s];

        scratch->padded = floats(arena, padded, 1);
        scratch->spread = floats(arena, spread, 1);
        scratch->delta = floats(arena, delta, 1);
        scratch->pairs[0] = piece(arena, pairs, sizeof(uint32_t));
        scratch->pairs[1] = piece(arena, pairs, sizeof(uint32_t));
        scratch->exact = piece(arena, exact, sizeof(double));
        for (size_t i = 0; i < sizeof(scratch->row) / sizeof(scratch->row[0]); i++) {
            scratch->row[i] = floats(arena, row, 1);
        }
    }
}

/* Everything but the nodes. What is not written before it is read lies first and is cleared. */
static void lay_out(struct arena *arena, struct train *train, size_t *ret_cleared)
{
    const size_t n = train->parameters;

    train->values = floats(arena, n, 1);
    train->gradients = floats(arena, n, 1);
    train->moment1 = floats(arena, n, 1);
    train->moment2 = floats(arena, n, 1);
    train->state = floats(arena, train->states, 1);
    *ret_cleared = arena->used;
    train->shard_gradients = floats(arena, n, TRAIN_SHARDS);
    for (uint32_t i = 1; i < train->node_count; i++) {
        lay_out_node(arena, train, &train->nodes[i]);
    }
    lay_out_scratch(arena, train);
}

static int allocate(struct train *train)
{
    struct arena arena = {0};
    size_t cleared;

    lay_out(&arena, train, &cleared);
    if (arena.overflow) {
        return -ENOMEM;
    }
    arena.base = train->memory = aligned_alloc(ALIGNMENT, arena.used);
    if (train->memory == NULL) {
        return -ENOMEM;
    }
    arena.used = 0;
    lay_out(&arena, train, &cleared);
    memset(train->memory, 0, cleared);
    return 0;
}

/* Uniform in [-bound, bound), 24 bits. */
static void draw(uint64_t seed, uint64_t stream, float bound, size_t count, float *w)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = train_random(seed, stream, i) >> 40;
        w[i] = bound * ((float)bits * 0x1p-23f - 1.0f);
    }
}

static void fill(float *values, struct train_slot slot, float value)
{
    for (size_t i = 0; i < slot.count; i++) {
        values[slot.at + i] = value;
    }
}

static void draw_weights(struct train *train)
{
    for (uint32_t i = 1; i < train->node_count; i++) {
        struct train_node *node = &train->nodes[i];
        const bool rectified = train_normalises(&node->spec) || node->spec.activation == TRAIN_RELU;

        if (node->weight.count > 0) {
            float bound = sqrtf((rectified ? 6.0f : 3.0f) / (float)node->fan_in);
            draw(train->settings.seed, i, bound, node->weight.count,
                 train->values + node->weight.at);
        }
        fill(train->values, node->gamma, 1.0f);
        fill(train->state, node->variance, 1.0f);
    }
}

static int refuse(const char *reason, const char **ret_reason)
{
    if (ret_reason != NULL) {
        *ret_reason = reason;
    }
    return -EINVAL;
}

int train_create(const struct train_network *network, const struct train_settings *settings,
                 struct train **ret_train, const char **ret_reason)
{
    struct train *train;
    int r;

    if (network->layer_count == 0 || network->layer_count > TRAIN_LAYERS_MAX) {
        return refuse("a network has 1 to 64 layers", ret_reason);
    }
    if (settings->batch == 0 || settings->batch > TRAIN_BATCH_MAX) {
        return refuse("a batch has 1 to 65536 images", ret_reason);
    }
    if (settings->gradients.kind != TRAIN_F32 && !train_has_fsr(&settings->gradients)) {
        return refuse("gradients are f32, log or linear", ret_reason);
    }
    if (train_coding_check(&settings->gradients) != NULL) {
        return refuse(train_coding_check(&settings->gradients), ret_reason);
    }
    train = calloc(1, sizeof(*train));
    if (train == NULL) {
        return -ENOMEM;
    }
    train->settings = *settings;
    train->ops = train_ops_find(settings->cpu);
    train->shard_size = (settings->batch + TRAIN_SHARDS - 1) / TRAIN_SHARDS;
    train->node_count = network->layer_count + 1;
    train->nodes = calloc(train->node_count, sizeof(*train->nodes));
    r = train->nodes != NULL ? train_graph_check(train, network, ret_reason) : -ENOMEM;
    if (r == 0) {
        assign_slots(train);
        r = allocate(train);
    }
    if (r < 0) {
        train_destroy(train);
        return r;
    }
    draw_weights(train);
    *ret_train = train;
    return 0;
}

void train_destroy(struct train *train)
{
    if (train == NULL) {
        return;
    }
    free(train->memory);
    free(train->nodes);
    free(train);
}

struct train_shape train_layer_shape(const struct train *train, uint32_t layer)
{
    return train->nodes[layer + 1].shape;
}

int train_view(const struct train *train, uint32_t layer, enum train_tensor tensor,
               struct train_view *ret_view)
{
    const struct train_node *node = &train->nodes[layer + 1];
    const struct train_slot slots[] = {
        [TRAIN_WEIGHT] = node->weight,     [TRAIN_BIAS] = node->bias,
        [TRAIN_GAMMA] = node->gamma,       [TRAIN_BETA] = node->beta,
        [TRAIN_CLIP] = node->clip,         [TRAIN_MEAN] = node->mean,
        [TRAIN_VARIANCE] = node->variance, [TRAIN_RANGE] = {node->range.at, 1},
    };
    const struct train_slot slot = slots[tensor];

    if (slot.count == 0) {
        return -ENOENT;
    }
    ret_view->count = slot.count;
    if (tensor >= TRAIN_MEAN) {
        ret_view->data = train->state + slot.at;
        ret_view->gradient = NULL;
    } else {
        ret_view->data = train->values + slot.at;
        ret_view->gradient = train->gradients + slot.at;
    }
    return 0;
}

void train_touch(struct train *train)
{
    train->fresh = false;
}

const float *train_output(const struct train *train, uint32_t layer, float *ret_step)
{
    *ret_step = train->nodes[layer + 1].step;
    return train->nodes[layer + 1].out;
}

const float *train_scores(const struct train *train)
{
    return train->nodes[train->node_count - 1].out;
}

uint64_t train_steps(const struct train *train)
{
    return train->steps;
}
