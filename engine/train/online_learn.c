/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What one label does at once: a prediction, a step of the biases, and a place among the labels
 * that are kept.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "engine/network/plan.h"
#include "engine/train/online_internal.h"
#include "engine/train/train.h"

#define STREAM_HOLDOUT 1u
#define STREAM_DRAW    2u
#define LOSS_OLD       0.95f

/* ---- predicting ---- */

struct tap {
    struct train_online *online;
    uint32_t layer;
};

static void copy_latent(void *user, uint32_t layer, const struct network_activation *activation)
{
    const struct tap *tap = user;
    const uint8_t *from = activation->data;
    const size_t line = (size_t)activation->shape.width * activation->shape.channels;

    if (layer != tap->layer) {
        return;
    }
    for (uint32_t y = 0; y < activation->shape.height; y++) {
        for (size_t i = 0; i < line; i++) {
            tap->online->latent[y * line + i] =
                (int8_t)(from[y * activation->row + i] - activation->offset);
        }
    }
}

/* Input of the tail. */
static void find_latent(struct train_online *online, const void *codes)
{
    struct tap tap = {online, online->first - 1};

    if (online->first == 0) {
        memcpy(online->latent, codes, online->latent_values);
    } else {
        network_run_observed(online->plan, online->arena, codes, online->scores, copy_latent, &tap);
    }
}

void train_online_predict(struct train_online *online, const void *codes, int32_t *scores)
{
    find_latent(online, codes);
    train_online_exact(online, ONLINE_SHOWN, online->latent, scores);
}

uint32_t train_online_right(struct train_online *online, enum online_which which,
                            const struct online_labelled *labelled)
{
    uint32_t right = 0;

    for (uint32_t i = 0; i < labelled->count; i++) {
        train_online_exact(online, which, labelled->latent + i * online->latent_values,
                           online->scores);
        right += network_argmax(online->scores, online->classes) == labelled->labels[i];
    }
    return right;
}

/* ---- one label ---- */

static void keep_label(struct train_online *online, struct online_labelled *labelled, uint32_t at,
                       uint32_t label, uint64_t tag)
{
    memcpy(labelled->latent + at * online->latent_values, online->latent, online->latent_values);
    labelled->labels[at] = label;
    labelled->tags[at] = tag;
    labelled->learned[at] = false;
    labelled->count += at == labelled->count;
}

/* One label in HOLDOUT_EACH, drawn, into a reservoir: each that was drawn is as likely to be there.
 */
static bool hold_out(struct train_online *online, uint32_t label, uint64_t tag)
{
    const uint64_t seed = online->settings.seed, labels = online->status.labels;
    struct online_labelled *holdout = &online->holdout;
    uint64_t at;

    if (holdout->room == 0 || labels <= TRAIN_ONLINE_HOLDOUT_FROM ||
        train_random(seed, STREAM_DRAW, labels) % TRAIN_ONLINE_HOLDOUT_EACH != 0) {
        return false;
    }
    at = online->held_seen++;
    if (at >= holdout->room) {
        at = train_random(seed, STREAM_HOLDOUT, at) % online->held_seen;
    }
    if (at < holdout->room) {
        keep_label(online, holdout, (uint32_t)at, label, tag);
    }
    return true;
}

/* Softmax less the label, in dz; returns the cross-entropy. */
static float cross_entropy(struct train_online *online, const int32_t *scores, uint32_t label)
{
    const int32_t most = scores[network_argmax(scores, online->classes)];
    float sum = 0;

    for (uint32_t c = 0; c < online->classes; c++) {
        online->dz[c] = expf((float)((double)scores[c] - (double)most) / 65536);
        sum += online->dz[c];
    }
    for (uint32_t c = 0; c < online->classes; c++) {
        online->dz[c] = online->dz[c] / sum - (c == label ? 1 : 0);
    }
    return logf(sum) - (float)((double)scores[label] - (double)most) / 65536;
}

float train_online_square(const float *x, size_t n)
{
    float sum = 0;

    for (size_t i = 0; i < n; i++) {
        sum += x[i] * x[i];
    }
    return sum;
}

/* Gradient of a channel's bias: the sum of dt over the map. */
static float bias_gradient(const struct online_node *node, uint32_t channel)
{
    const uint32_t pixels = node->out.height * node->out.width;
    float sum = 0;

    for (uint32_t p = 0; p < pixels; p++) {
        sum += node->dt[(size_t)p * node->rows + channel];
    }
    return sum;
}

static void step_bias(struct train_online *online, struct online_node *node)
{
    const float part = online->settings.bias_rate / (float)online->settings.layer_count;
    float size = 0, by;

    for (uint32_t o = 0; o < node->rows; o++) {
        const float g = bias_gradient(node, o);
        size += g * g;
    }
    by = size > 0 ? part * train_online_square(online->dz, online->classes) / size : 0;
    for (uint32_t o = 0; o < node->rows; o++) {
        const double to =
            (double)node->live[o] - round((double)by * (double)bias_gradient(node, o));

        node->trial.bias[o] = (int32_t)fmax(INT32_MIN, fmin(INT32_MAX, to));
    }
    if (train_online_within(node, node->durable.codes, node->trial.bias) &&
        memcmp(node->live, node->trial.bias, node->rows * sizeof(int32_t)) != 0) {
        memcpy(node->live, node->trial.bias, node->rows * sizeof(int32_t));
        online->fresh = true;
    }
}

static void follow_inputs(struct online_node *node)
{
    const uint32_t pixels = node->out.height * node->out.width;
    const size_t line = node->columns / node->kernel[0];
    float *copy = node->right; /* scratch between flushes */

    for (uint32_t p = 0; p < pixels; p++) {
        for (uint32_t k = 0; k < node->kernel[0]; k++) {
            memcpy(copy + k * line, train_online_window(node, p) + k * node->pitch,
                   line * sizeof(*copy));
        }
        train_lambda_add(&node->lambda, copy);
    }
}

int train_online_learn(struct train_online *online, const void *codes, uint32_t label, uint64_t tag,
                       struct train_online_answer *ret_answer)
{
    struct train_online_answer answer = {0};
    struct train_online_status *status = &online->status;

    if (label >= online->classes) {
        return -EINVAL;
    }
    train_online_predict(online, codes, online->scores);
    answer.predicted = network_argmax(online->scores, online->classes);
    answer.loss = cross_entropy(online, online->scores, label);
    status->loss =
        status->labels == 0 ? answer.loss : LOSS_OLD * status->loss + (1 - LOSS_OLD) * answer.loss;
    status->labels++;
    status->correct += answer.predicted == label;
    answer.held_out = hold_out(online, label, tag);
    if (!answer.held_out) {
        keep_label(online, &online->recent, online->next, label, tag);
        online->next = (online->next + 1) % online->recent.room;
        status->loo_count = 0; /* the parts that were left out are no longer these */
        train_online_forward(online, online->latent, online->z);
        train_online_backward(online, online->dz);
        for (uint32_t i = 0; i < online->node_count; i++) {
            if (online->nodes[i].trained) {
                follow_inputs(&online->nodes[i]);
                step_bias(online, &online->nodes[i]);
            }
        }
        online->since++;
        train_online_show(online);
    }
    answer.flush_due = online->since >= online->settings.flush;
    *ret_answer = answer;
    return 0;
}

/* The kept ones close up in their places; which is overwritten next need not be the oldest then. */
static void forget(struct train_online *online, struct online_labelled *labelled, uint64_t tag)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < labelled->count; i++) {
        if (labelled->tags[i] > tag) {
            continue;
        }
        if (kept != i) {
            memcpy(labelled->latent + kept * online->latent_values,
                   labelled->latent + i * online->latent_values, online->latent_values);
            labelled->labels[kept] = labelled->labels[i];
            labelled->tags[kept] = labelled->tags[i];
            labelled->learned[kept] = labelled->learned[i];
        }
        kept++;
    }
    labelled->count = kept;
}

void train_online_forget(struct train_online *online, uint64_t tag)
{
    uint32_t fresh = 0;

    forget(online, &online->recent, tag);
    forget(online, &online->holdout, tag);
    online->next = online->recent.count % online->recent.room;
    online->status.loo_count = 0;
    for (uint32_t i = 0; i < online->recent.count; i++) {
        fresh += !online->recent.learned[i];
    }
    online->since = online->since < fresh ? online->since : fresh;
}
