/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Cosines of filters, and weights copied from a trainer to a smaller one. Prints nothing. */
#include "engine/lab/filters.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "engine/train/train.h"

#define NO_FILTER    UINT32_MAX
#define TUNING_RATE  0.1f /* of the recipe's */
#define FINAL_RATE   0.01f
#define STREAM_SEEDS ((uint64_t)3 << 32) /* learn.c has those below */

/* |cosine| of two columns. */
static double similarity(const float *weights, uint32_t taps, uint32_t filters, uint32_t i,
                         uint32_t j)
{
    double product = 0.0, a = 0.0, b = 0.0;
    for (uint32_t t = 0; t < taps; t++, weights += filters) {
        product += (double)weights[i] * weights[j];
        a += (double)weights[i] * weights[i];
        b += (double)weights[j] * weights[j];
    }
    return a > 0.0 && b > 0.0 ? fabs(product) / sqrt(a * b) : 1.0;
}

static double norm1(const float *weights, uint32_t taps, uint32_t filters, uint32_t i)
{
    double sum = 0.0;
    for (uint32_t t = 0; t < taps; t++) {
        sum += fabs((double)weights[(size_t)t * filters + i]);
    }
    return sum;
}

void lab_filters_compare(const float *weights, uint32_t taps, uint32_t filters,
                         struct lab_similarity *ret_similarity)
{
    struct lab_similarity result = {.mean = filters < 2 ? 1.0 : 0.0, .most = -1.0};
    double pairs = (double)filters * (filters - 1) / 2;
    uint32_t first = 0, second = 0;
    for (uint32_t i = 0; i < filters; i++) {
        for (uint32_t j = i + 1; j < filters; j++) {
            double s = similarity(weights, taps, filters, i, j);
            result.mean += s / pairs;
            if (s > result.most) {
                result.most = s;
                first = i;
                second = j;
            }
        }
    }
    result.redundant = norm1(weights, taps, filters, second) < norm1(weights, taps, filters, first)
                           ? second
                           : first;
    *ret_similarity = result;
}

/* Copies a tensor seen as [rows][columns], without one column. */
static void copy_columns(const struct train_view *from, const struct train_view *to, size_t columns,
                         uint32_t without)
{
    float *out = to->data;
    for (size_t i = 0; i < from->count; i++) {
        if (i % columns != without) {
            *out++ = from->data[i];
        }
    }
}

/* The same of [positions][channels][run]: a channel with its run goes. */
static void copy_channels(const struct train_view *from, const struct train_view *to,
                          size_t channels, size_t run, uint32_t without)
{
    float *out = to->data;
    for (size_t i = 0; i < from->count; i++) {
        if (i / run % channels != without) {
            *out++ = from->data[i];
        }
    }
}

/* Index of the layer with weights that reads the first one, pools between; 0: none. */
static uint32_t reader(const struct lab_recipe *recipe)
{
    uint32_t layer = 1;
    while (layer < recipe->layer_count && (recipe->layers[layer].operation == TRAIN_AVERAGE_POOL ||
                                           recipe->layers[layer].operation == TRAIN_GLOBAL_POOL)) {
        layer++;
    }
    bool reads = layer < recipe->layer_count && (recipe->layers[layer].operation == TRAIN_CONV ||
                                                 recipe->layers[layer].operation == TRAIN_DENSE);
    return reads ? layer : 0;
}

static bool prunable(const struct lab_recipe *recipe)
{
    bool chain = recipe->layers[0].operation == TRAIN_CONV && reader(recipe) != 0;
    for (uint32_t i = 0; i < recipe->layer_count; i++) {
        const struct train_layer *layer = &recipe->layers[i];
        chain = chain && layer->input == 0 && layer->operation != TRAIN_ADD;
    }
    return chain;
}

/* Everything that a trainer keeps but moments; `without` may be NO_FILTER. */
static void copy(const struct lab_recipe *recipe, const struct train *from, struct train *to,
                 uint32_t without)
{
    const uint32_t filters = recipe->layers[0].out, next = reader(recipe);
    for (uint32_t i = 0; i < recipe->layer_count; i++) {
        for (int tensor = TRAIN_WEIGHT; tensor <= TRAIN_RANGE; tensor++) {
            struct train_view source, target;
            if (train_view(from, i, (enum train_tensor)tensor, &source) < 0 ||
                train_view(to, i, (enum train_tensor)tensor, &target) < 0) {
                continue;
            }
            bool whole = tensor == TRAIN_CLIP || tensor == TRAIN_RANGE;
            if (i == 0 && !whole) {
                copy_columns(&source, &target, filters, without);
            } else if (i == next && tensor == TRAIN_WEIGHT) {
                copy_channels(&source, &target, filters, recipe->layers[i].out, without);
            } else {
                memcpy(target.data, source.data, source.count * sizeof(*source.data));
            }
        }
    }
    train_touch(to);
}

/* A fresh learner for the recipe as it is to be. */
static int start(struct lab_pruning *pruning, const struct lab_recipe *recipe,
                 struct lab_learner *ret_learner, const char **ret_reason)
{
    uint64_t seed = train_random(pruning->seed, STREAM_SEEDS, pruning->renewals++);
    return lab_learner_init(ret_learner, recipe, pruning->data, seed, pruning->cpu,
                            pruning->workers, ret_reason);
}

/* The same weights in a new trainer, without moments and steps, and without a filter. */
static int renew(struct lab_pruning *pruning, uint32_t without)
{
    struct lab_recipe before = pruning->recipe;
    struct lab_learner learner;
    pruning->recipe.layers[0].out -= without != NO_FILTER;
    int r = start(pruning, &pruning->recipe, &learner, NULL);
    if (r < 0) {
        pruning->recipe = before;
        return r;
    }
    copy(&before, pruning->learner.train, learner.train, without);
    lab_learner_finish(&pruning->learner);
    pruning->learner = learner;
    return 0;
}

int lab_pruning_init(struct lab_pruning *pruning, const struct lab_recipe *recipe,
                     const struct train *from, const struct lab_samples *data, uint64_t seed,
                     uint32_t cpu, const struct train_workers *workers, const char **ret_reason)
{
    if (!prunable(recipe)) {
        *ret_reason = "only a chain that begins with a convolution can be pruned";
        return -ENOTSUP;
    }
    memset(pruning, 0, sizeof(*pruning));
    pruning->recipe = *recipe;
    pruning->data = data;
    pruning->seed = seed;
    pruning->cpu = cpu;
    pruning->workers = workers;
    pruning->recipe.warmup = 0;
    pruning->recipe.rate = TUNING_RATE * recipe->rate;
    pruning->recipe.final = FINAL_RATE * pruning->recipe.rate;
    int r = start(pruning, &pruning->recipe, &pruning->learner, ret_reason);
    if (r == 0) {
        copy(recipe, from, pruning->learner.train, NO_FILTER);
    }
    return r;
}

void lab_pruning_finish(struct lab_pruning *pruning)
{
    lab_learner_finish(&pruning->learner);
}

uint32_t lab_pruning_filters(const struct lab_pruning *pruning)
{
    return pruning->recipe.layers[0].out;
}

void lab_pruning_compare(const struct lab_pruning *pruning, struct lab_similarity *ret_similarity)
{
    uint32_t filters = lab_pruning_filters(pruning);
    struct train_view view;
    train_view(pruning->learner.train, 0, TRAIN_WEIGHT, &view); /* a convolution has weights */
    lab_filters_compare(view.data, (uint32_t)(view.count / filters), filters, ret_similarity);
}

int lab_pruning_remove(struct lab_pruning *pruning, uint32_t filter)
{
    return renew(pruning, filter);
}

int lab_pruning_tune(struct lab_pruning *pruning, uint32_t epochs, uint32_t steps)
{
    struct train_result mean;
    float rate;
    int r = renew(pruning, NO_FILTER);
    pruning->recipe.epochs = epochs;
    if (r == 0 && steps > 0 && steps < pruning->learner.steps) {
        pruning->learner.steps = steps;
    }
    for (uint32_t epoch = 0; r == 0 && epoch < epochs; epoch++) {
        r = lab_learner_learn(&pruning->learner, NULL, &mean, &rate);
    }
    return r;
}
