/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Steps along the gradients, and the schedule of their size.
 */
#include "engine/train/graph.h"

#include <math.h>

/* w, g, v [count] */
static void step_sgd(const struct train_optimiser *o, float rate, float decay, size_t count,
                     float *w, const float *g, float *v)
{
    for (size_t i = 0; i < count; i++) {
        v[i] = o->momentum * v[i] + (g[i] + decay * w[i]);
        w[i] -= rate * v[i];
    }
}

/* step: of this update, from 1. w, g, m, v [count] */
static void step_adam(const struct train_optimiser *o, float rate, float decay, uint64_t step,
                      size_t count, float *w, const float *g, float *m, float *v)
{
    const float size = (float)((double)rate / (1 - pow((double)o->momentum, (double)step)));
    const float root = (float)sqrt(1 - pow((double)o->beta2, (double)step));

    for (size_t i = 0; i < count; i++) {
        float d = g[i] + decay * w[i];

        m[i] = o->momentum * m[i] + (1.0f - o->momentum) * d;
        v[i] = o->beta2 * v[i] + (1.0f - o->beta2) * d * d;
        w[i] -= size * m[i] / (sqrtf(v[i]) / root + o->epsilon);
    }
}

static void step_slot(struct train *train, const struct train_optimiser *o, float rate, float decay,
                      struct train_slot slot)
{
    float *w = train->values + slot.at, *m = train->moment1 + slot.at;
    const float *g = train->gradients + slot.at;

    if (o->rule == TRAIN_ADAM) {
        step_adam(o, rate, decay, train->steps, slot.count, w, g, m, train->moment2 + slot.at);
    } else {
        step_sgd(o, rate, decay, slot.count, w, g, m);
    }
}

/* Beyond [-1, 1] a master weight of a binary one would take ever longer to come back. */
static void hold(size_t count, float *w)
{
    for (size_t i = 0; i < count; i++) {
        w[i] = fminf(fmaxf(w[i], -1.0f), 1.0f);
    }
}

void train_update(struct train *train, const struct train_optimiser *optimiser, float rate)
{
    train->steps++;
    for (uint32_t i = 1; i < train->node_count; i++) {
        const struct train_node *node = &train->nodes[i];

        step_slot(train, optimiser, rate, optimiser->decay, node->weight);
        step_slot(train, optimiser, rate, optimiser->decay, node->clip);
        step_slot(train, optimiser, rate, 0.0f, node->bias);
        step_slot(train, optimiser, rate, 0.0f, node->gamma);
        step_slot(train, optimiser, rate, 0.0f, node->beta);
        if (node->spec.weights.kind == TRAIN_BINARY) {
            hold(node->weight.count, train->values + node->weight.at);
        }
    }
    train_touch(train);
}

float train_rate(const struct train_schedule *schedule, uint64_t step)
{
    const double rate = (double)schedule->rate, final = (double)schedule->final;
    const uint64_t warmup = schedule->warmup, steps = schedule->steps;

    if (step < warmup) {
        return (float)(rate * (double)(step + 1) / (double)warmup);
    }
    if (schedule->kind == TRAIN_CONSTANT) {
        return schedule->rate;
    }
    if (step >= steps) {
        return schedule->final;
    }
    const double part = (double)(step - warmup) / (double)(steps - warmup);
    return (float)(schedule->kind == TRAIN_COSINE
                       ? final + (rate - final) * 0.5 * (1 + cos(part * M_PI))
                       : rate * pow(final / rate, part));
}
