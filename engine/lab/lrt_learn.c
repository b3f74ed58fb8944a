/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See lrt_learn.h. The schemes; learning before the stream is in lrt_prepare.c. */
#include "engine/lab/lrt_learn.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t cells_of(const struct lab_lrt_layer *l)
{
    return (size_t)l->out_c * l->patch;
}

static bool dense(const struct lab_lrt_layer *l)
{
    return l->kernel == 1;
}

/* ---- creation ---- */

static int create_lowrank(struct lab_lrt_learner *learner, uint64_t seed, uint32_t cpu)
{
    for (uint32_t i = 0; i < LAB_LRT_LAYERS; i++) {
        const struct lab_lrt_layer *l = &learner->net->layer[i];
        const struct lab_lrt_scheme *s = &learner->scheme;
        const struct train_lowrank_settings settings = {
            .rows = l->out_c,
            .columns = l->patch,
            .rank = s->rank,
            .unbiased = dense(l) ? s->unbiased_dense : s->unbiased_conv,
            .coarse = true,
            .kappa = s->kappa,
            .discount = 1,
            .seed = seed,
            .stream = 200 + i,
            .cpu = cpu,
        };
        int r = train_lowrank_create(&settings, &learner->lowrank[i]);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int lab_lrt_learner_create(struct lab_lrt_learner *learner, const struct lab_lrt_scheme *scheme,
                           struct lab_lrt_net *net, uint64_t seed, uint32_t cpu)
{
    size_t all = 0, most = 0;
    *learner = (struct lab_lrt_learner){.scheme = *scheme, .net = net};
    net->normalise = !scheme->no_norm;
    for (uint32_t i = 0; i < LAB_LRT_LAYERS; i++) {
        all += cells_of(&net->layer[i]);
        most = cells_of(&net->layer[i]) > most ? cells_of(&net->layer[i]) : most;
    }
    learner->memory_bytes = all * (sizeof(uint64_t) + 2 * sizeof(uint32_t));
    learner->memory = calloc(1, learner->memory_bytes);
    learner->scratch = malloc(most * sizeof(float));
    learner->steps = malloc(most * sizeof(int32_t));
    for (int k = 0; k < 2; k++) { /* no side is longer than fc1's input */
        learner->factors[k] = malloc(TRAIN_LOWRANK_MAX * 2048u * sizeof(float));
    }
    int r = learner->memory && learner->scratch && learner->steps && learner->factors[0] &&
                    learner->factors[1]
                ? 0
                : -ENOMEM;
    if (r == 0 && scheme->kind == LAB_LRT_LOWRANK) {
        r = create_lowrank(learner, seed, cpu);
    }
    if (r < 0) {
        lab_lrt_learner_destroy(learner);
        return r;
    }
    uint64_t *terms = learner->memory;
    uint32_t *counts = (uint32_t *)(void *)(terms + all);
    for (uint32_t i = 0; i < LAB_LRT_LAYERS; i++) {
        const size_t cells = cells_of(&net->layer[i]);
        learner->writes[i] = (struct lab_lrt_writes){terms, counts, counts + cells};
        terms += cells;
        counts += 2 * cells;
    }
    return 0;
}

void lab_lrt_learner_destroy(struct lab_lrt_learner *learner)
{
    for (uint32_t i = 0; i < LAB_LRT_LAYERS; i++) {
        train_lowrank_destroy(learner->lowrank[i]);
    }
    free(learner->memory);
    free(learner->scratch);
    free(learner->steps);
    free(learner->factors[0]);
    free(learner->factors[1]);
    *learner = (struct lab_lrt_learner){0};
}

/* ---- biases and norms ---- */

static void step_vector(struct train_max_norm *state, bool max_norm, uint32_t n,
                        const float *gradient, float *values)
{
    const float divisor = max_norm ? train_max_norm(state, n, gradient) : 1;
    for (uint32_t i = 0; i < n; i++) {
        values[i] = lab_lrt_bias(values[i] - LAB_LRT_RATE * gradient[i] / divisor);
    }
}

static void step_biases(struct lab_lrt_learner *learner)
{
    const bool max_norm = learner->scheme.max_norm;
    for (uint32_t i = 0; i < LAB_LRT_LAYERS; i++) {
        struct lab_lrt_layer *l = &learner->net->layer[i];
        step_vector(&learner->bias[i], max_norm, l->out_c, l->bias_gradient, l->bias);
    }
    for (uint32_t i = 0; i < LAB_LRT_NORMS; i++) {
        struct lab_lrt_norm *n = &learner->net->norm[i];
        step_vector(&learner->gamma[i], max_norm, n->channels, n->gamma_gradient, n->gamma);
        step_vector(&learner->beta[i], max_norm, n->channels, n->beta_gradient, n->beta);
    }
}

/* ---- weights ---- */

static struct train_cells cells(const struct lab_lrt_learner *learner, uint32_t layer)
{
    const struct lab_lrt_layer *l = &learner->net->layer[layer];
    const int half = 1 << (learner->net->bits - 1);
    return (struct train_cells){
        .codes = l->codes,
        .writes = learner->writes[layer].changes,
        .count = cells_of(l),
        .low = (int8_t)-half,
        .high = (int8_t)(half - 1),
    };
}

static void step_sgd(struct lab_lrt_learner *learner, uint32_t layer)
{
    struct lab_lrt_net *net = learner->net;
    const struct lab_lrt_layer *l = &net->layer[layer];
    const struct train_cells to = cells(learner, layer);
    struct lab_lrt_writes *writes = &learner->writes[layer];
    float *g = learner->scratch;
    if (l->silent) {
        return;
    }
    memset(g, 0, to.count * sizeof(float));
    lab_lrt_net_weight_gradient(net, layer, true, g);
    for (size_t i = 0; i < to.count; i++) {
        writes->terms[i] += (uint64_t)g[i];
        writes->samples[i] += g[i] > 0;
    }
    memset(g, 0, to.count * sizeof(float));
    lab_lrt_net_weight_gradient(net, layer, false, g);
    const float divisor =
        learner->scheme.max_norm ? train_max_norm(&learner->left[layer], to.count, g) : 1;
    const float scale = LAB_LRT_RATE / (divisor * lab_lrt_code(net));
    for (size_t i = 0; i < to.count; i++) {
        learner->steps[i] = (int32_t)lab_lrt_grid(scale * g[i], 1, -256, 256);
    }
    if (train_cells_step(&to, 0, learner->steps, to.count, true) > 0) {
        lab_lrt_net_touch(net, layer);
    }
}

static void add_terms(struct lab_lrt_learner *learner, uint32_t layer)
{
    const struct lab_lrt_layer *l = &learner->net->layer[layer];
    const size_t row = (size_t)l->in_w * l->in_c;
    if (l->silent) {
        return;
    }
    for (uint32_t y = 0; y < l->out_h; y++) {
        for (uint32_t x = 0; x < l->out_w; x++) {
            train_lowrank_add_window(learner->lowrank[layer],
                                     l->delta + ((size_t)y * l->out_w + x) * l->out_c,
                                     l->in + y * row + (size_t)x * l->in_c, l->kernel, row);
        }
    }
}

static void flush(struct lab_lrt_learner *learner, uint32_t layer, float batch)
{
    struct lab_lrt_net *net = learner->net;
    const struct lab_lrt_layer *l = &net->layer[layer];
    const struct train_cells to = cells(learner, layer);
    struct train_lowrank *lowrank = learner->lowrank[layer];
    float *left = learner->factors[0], *right = learner->factors[1];
    struct train_lowrank_counters counters;
    struct train_written written;
    const uint32_t rank = learner->scheme.rank;
    train_lowrank_count(lowrank, batch);
    train_lowrank_get(lowrank, &counters);
    train_lowrank_factors(lowrank, left, right);
    float scale = LAB_LRT_RATE * sqrtf(counters.batch) / lab_lrt_code(net);
    if (learner->scheme.max_norm) {
        scale /= train_max_norm(&learner->left[layer], (size_t)rank * l->out_c, left) *
                 train_max_norm(&learner->right[layer], (size_t)rank * l->patch, right);
    }
    train_lowrank_write(&to, rank, l->out_c, l->patch, left, right, scale, LAB_LRT_HOLD, &written);
    learner->flushes++;
    if (written.wrote) {
        train_lowrank_reset(lowrank);
        lab_lrt_net_touch(net, layer);
    } else {
        learner->held++;
        train_lowrank_keep(lowrank);
    }
}

void lab_lrt_learn(struct lab_lrt_learner *learner, uint32_t label)
{
    const uint8_t kind = learner->scheme.kind;
    const uint32_t patience = learner->scheme.patience > 0 ? learner->scheme.patience : 1;
    if (kind == LAB_LRT_INFERENCE) {
        return;
    }
    lab_lrt_net_backward(learner->net, label);
    learner->pictures++;
    if (!learner->scheme.still_bias) {
        step_biases(learner);
    }
    for (uint32_t i = 0; i < LAB_LRT_LAYERS; i++) {
        const uint32_t batch =
            (dense(&learner->net->layer[i]) ? LAB_LRT_BATCH_DENSE : LAB_LRT_BATCH_CONV) * patience;
        if (kind == LAB_LRT_SGD) {
            step_sgd(learner, i);
        } else if (kind == LAB_LRT_LOWRANK) {
            add_terms(learner, i);
            if (learner->pictures % batch == 0) {
                flush(learner, i, (float)batch);
            }
        }
    }
}

void lab_lrt_worst(const struct lab_lrt_learner *learner, struct lab_lrt_worst *ret_worst)
{
    struct lab_lrt_worst worst = {0};
    for (uint32_t i = 0; i < LAB_LRT_LAYERS; i++) {
        const struct lab_lrt_writes *w = &learner->writes[i];
        const size_t count = cells_of(&learner->net->layer[i]);
        worst.cells += count;
        for (size_t k = 0; k < count; k++) {
            worst.terms = w->terms[k] > worst.terms ? w->terms[k] : worst.terms;
            worst.samples = w->samples[k] > worst.samples ? w->samples[k] : worst.samples;
            worst.changes = w->changes[k] > worst.changes ? w->changes[k] : worst.changes;
            worst.all_changes += w->changes[k];
        }
    }
    if (learner->scheme.kind == LAB_LRT_LOWRANK) {
        worst.terms = worst.samples = worst.changes;
    }
    *ret_worst = worst;
}

/* ---- state ---- */

/* Copies one part after the other, in or out; with state NULL it only counts. */
struct copy {
    uint8_t *state;
    const uint8_t *saved;
    size_t used;
};

static void part(struct copy *copy, void *bytes, size_t size)
{
    if (copy->state) {
        memcpy(copy->state + copy->used, bytes, size);
    } else if (copy->saved) {
        memcpy(bytes, copy->saved + copy->used, size);
    }
    copy->used += (size + 63) / 64 * 64;
}

static void visit(struct lab_lrt_learner *learner, struct copy *copy)
{
    struct lab_lrt_net *net = learner->net;
    part(copy, net->memory, net->state_bytes);
    for (uint32_t i = 0; i < LAB_LRT_NORMS; i++) {
        part(copy, &net->norm[i].steps, sizeof(net->norm[i].steps));
    }
    part(copy, learner->left, sizeof(learner->left));
    part(copy, learner->right, sizeof(learner->right));
    part(copy, learner->bias, sizeof(learner->bias));
    part(copy, learner->gamma, sizeof(learner->gamma));
    part(copy, learner->beta, sizeof(learner->beta));
    part(copy, &learner->pictures, sizeof(learner->pictures));
    part(copy, &learner->flushes, sizeof(learner->flushes));
    part(copy, &learner->held, sizeof(learner->held));
    part(copy, learner->memory, learner->memory_bytes);
    for (uint32_t i = 0; i < LAB_LRT_LAYERS && learner->lowrank[i]; i++) {
        if (copy->state) {
            train_lowrank_save(learner->lowrank[i], copy->state + copy->used);
        } else if (copy->saved) {
            train_lowrank_restore(learner->lowrank[i], copy->saved + copy->used);
        }
        copy->used += (train_lowrank_state_bytes(learner->lowrank[i]) + 63) / 64 * 64;
    }
}

size_t lab_lrt_state_bytes(const struct lab_lrt_learner *learner)
{
    struct lab_lrt_learner copied = *learner;
    struct copy copy = {0};
    visit(&copied, &copy);
    return copy.used;
}

void lab_lrt_save(const struct lab_lrt_learner *learner, void *state)
{
    struct lab_lrt_learner copied = *learner;
    struct copy copy = {.state = state};
    memset(state, 0, lab_lrt_state_bytes(learner));
    visit(&copied, &copy);
}

void lab_lrt_restore(struct lab_lrt_learner *learner, const void *state)
{
    struct copy copy = {.saved = state};
    visit(learner, &copy);
    for (uint32_t i = 0; i < LAB_LRT_LAYERS; i++) {
        lab_lrt_net_touch(learner->net, i);
    }
}
