/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The flush: a record of what was learned, tried on the state that it will be applied to, and kept
 * if it does no harm.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/train/online_internal.h"

#define NEGLIGIBLE 1e-3f /* singular values beside the largest */
#define HALVINGS   4u    /* of the margin */
#define SLACK      20u   /* one label in so many may come out worse when left out: chance */

/* ---- the record ---- */

static void put_s32(uint8_t *to, int32_t x)
{
    for (uint32_t i = 0; i < 4; i++) {
        to[i] = (uint8_t)((uint32_t)x >> (8 * i));
    }
}

/* Factors and shift go into the layer, none where they change too few cells (rho_min). False: a
 * step is longer than a record may hold. */
static bool describe_factors(struct train_online *online, struct online_node *node,
                             struct train_delta_layer *layer)
{
    struct train_lowrank_counters counters;
    const struct train_cells cells = {node->durable.codes, NULL, (size_t)node->rows * node->columns,
                                      -127, 127};
    double energy = 0, changed = 0;

    train_lowrank_get(node->total, &counters);
    for (uint32_t j = 0; j < online->settings.rank; j++) {
        energy += (double)counters.values[j] * (double)counters.values[j];
        layer->rank += counters.values[j] > NEGLIGIBLE * counters.values[0];
    }
    node->energy =
        energy > 0 ? (float)((double)counters.values[0] * (double)counters.values[0] / energy) : 0;
    train_lowrank_factors(node->total, node->left, node->right);
    layer->shift = train_delta_factors(layer->rank, node->rows, node->columns, node->left,
                                       node->right, node->left_bytes, node->right_bytes);
    for (uint32_t row = 0; row < node->rows; row++) {
        for (uint32_t from = 0; from < node->columns; from += 256) {
            const uint32_t n = node->columns - from < 256 ? node->columns - from : 256;
            int32_t steps[256];

            train_delta_steps(layer, row, from, n, steps);
            for (uint32_t i = 0; i < n; i++) {
                if (abs(steps[i]) > TRAIN_DELTA_STEP_MAX) {
                    return false;
                }
            }
            changed += (double)train_cells_step(&cells, (size_t)row * node->columns + from, steps,
                                                n, false);
        }
    }
    if (!(changed > (double)online->settings.hold * (double)cells.count)) {
        layer->rank = 0;
        layer->shift = 0;
    }
    return true;
}

/* Errors: -EAGAIN  the record would change nothing; -ERANGE  a step is too long. */
static int describe(struct train_online *online, const struct online_choice *choice,
                    struct train_delta *delta)
{
    struct train_prototypes *head = &online->trial_head;
    bool any = online->fresh;

    *delta = (struct train_delta){.base = online->base, .writes_max = online->settings.writes_max};
    for (uint32_t i = 0; i < online->node_count; i++) {
        struct online_node *node = &online->nodes[i];
        struct train_delta_layer *layer = &delta->layers[delta->layer_count];

        if (!node->trained) {
            continue;
        }
        *layer = (struct train_delta_layer){.layer = node->index,
                                            .rows = node->rows,
                                            .columns = node->columns,
                                            .bias = node->bias_bytes,
                                            .left = node->left_bytes,
                                            .right = node->right_bytes};
        for (uint32_t o = 0; o < node->rows; o++) { /* both are far from the ends of int32 */
            put_s32(node->bias_bytes + 4 * (size_t)o, node->live[o] - node->durable.bias[o]);
        }
        if (choice->head == TRAIN_ONLINE_LOWRANK) {
            if (!describe_factors(online, node, layer)) {
                return -ERANGE;
            }
            any = any || layer->rank > 0;
        }
        delta->layer_count++;
    }
    if (choice->head == TRAIN_ONLINE_PROTOTYPE) {
        delta->prototypes = true;
        delta->classes = head->classes;
        delta->features = head->features;
        delta->exponent = head->exponent;
        for (uint32_t c = 0; c < head->classes; c++) { /* in place: 4 bytes for 4 bytes */
            put_s32((uint8_t *)&head->gain[c], head->gain[c]);
        }
        delta->gain = (const uint8_t *)head->gain;
        delta->means = head->means;
        any = true;
    }
    return any ? 0 : -EAGAIN;
}

/* What is fresh goes into durable biases with the record, and so must not count twice. */
static void settle(struct train_online *online)
{
    for (uint32_t i = 0; i < online->node_count; i++) {
        struct online_node *node = &online->nodes[i];

        if (node->trained) {
            memcpy(node->live, node->durable.bias, node->rows * sizeof(int32_t));
        }
    }
    online->fresh = false;
}

/* The record is tried on the durable state, then judged by the holdout. */
static int judge(struct train_online *online, const struct train_delta *delta,
                 struct train_online_verdict *verdict)
{
    int r = train_online_try(online, delta);

    if (r == 0) {
        verdict->after = train_online_right(online, ONLINE_TRIAL, &online->holdout);
        verdict->recent_after = train_online_right(online, ONLINE_TRIAL, &online->recent);
        r = verdict->after < verdict->before ? -ECANCELED : 0;
    }
    return r;
}

static void prepare_heads(struct train_online *online, const struct online_choice *choice)
{
    train_online_leave_out(online, 0, 0);
    if (choice->head == TRAIN_ONLINE_LOWRANK) {
        train_online_aim(online, choice->share);
        train_online_fit(online);
    } else if (choice->head == TRAIN_ONLINE_PROTOTYPE) {
        train_prototypes_make(&online->trial_head, online->features, online->recent.labels, NULL,
                              online->recent.count);
        train_prototypes_strength(&online->trial_head,
                                  (double)(choice->share * train_online_strength(online)),
                                  online->last->scale);
    }
}

/* Steps that are too long are those of a margin that the layers cannot give: half of it is asked
 * for then. */
static int make_record(struct train_online *online, const struct online_choice *choice,
                       struct train_online_verdict *verdict, struct train_delta *ret_delta,
                       size_t *ret_size)
{
    struct online_choice asked = *choice;
    int r = -ERANGE;

    for (uint32_t k = 0; r == -ERANGE && k <= HALVINGS; k++, asked.share /= 2) {
        prepare_heads(online, &asked);
        r = describe(online, &asked, ret_delta);
    }
    if (r < 0) {
        return r == -ERANGE ? -ECANCELED : r;
    }
    *ret_size = train_delta_size(ret_delta);
    train_delta_write(ret_delta, online->record);
    settle(online);
    r = train_delta_parse(online->record, *ret_size, ret_delta);
    if (r == 0) {
        r = judge(online, ret_delta, verdict);
    }
    return r == -EBADMSG || r == -ERANGE ? -ECANCELED : r;
}

/* Labels that no flush has had, and how many of them the state gets right; all count as had then.
 */
static uint32_t take_fresh(struct train_online *online, uint32_t *ret_right)
{
    const uint32_t classes = online->classes;
    uint32_t count = 0, right = 0;

    for (uint32_t i = 0; i < online->recent.count; i++) {
        const float *z = online->starts + (size_t)i * classes;
        uint32_t best = 0;

        if (online->recent.learned[i]) {
            continue;
        }
        for (uint32_t c = 1; c < classes; c++) {
            best = z[c] > z[best] ? c : best;
        }
        right += best == online->recent.labels[i];
        count++;
        online->recent.learned[i] = true;
    }
    *ret_right = right;
    return count;
}

int train_online_flush(struct train_online *online, const void **ret_record, size_t *ret_size,
                       struct train_online_verdict *ret_verdict)
{
    struct train_online_verdict verdict = {.count = online->holdout.count,
                                           .recent_count = online->recent.count};
    struct train_delta delta;
    struct online_choice choice;
    uint32_t fresh, right;
    size_t size = 0;
    int r;

    if (online->since == 0) {
        return -EAGAIN;
    }
    train_online_look(online);
    verdict.before = train_online_right(online, ONLINE_SHOWN, &online->holdout);
    verdict.recent_before = train_online_right(online, ONLINE_SHOWN, &online->recent);
    choice = train_online_choose(online);
    verdict.head = choice.head;
    verdict.recent_parts = choice.right;
    fresh = take_fresh(online, &right);
    online->status.loo_right = choice.right;
    online->status.loo_count = online->recent.count;

    r = choice.fresh + fresh / SLACK < right
            ? -ECANCELED
            : make_record(online, &choice, &verdict, &delta, &size);
    if (r == 0) {
        train_online_commit(online, &delta, size);
        *ret_record = online->record;
        *ret_size = size;
    } else if (r == -ECANCELED) {
        settle(online);
        online->status.refused++;
    }
    train_online_show(online);
    if (r != -EAGAIN) {
        online->since = 0;
        online->status.last = verdict;
        *ret_verdict = verdict;
    }
    return r;
}

int train_online_import(struct train_online *online, const void *record, size_t size,
                        struct train_online_verdict *ret_verdict)
{
    struct train_online_verdict verdict = {.count = online->holdout.count,
                                           .recent_count = online->recent.count,
                                           .head = TRAIN_ONLINE_LOWRANK};
    struct train_delta delta;
    int r = train_delta_parse(record, size, &delta);

    if (r == 0) {
        verdict.head = delta.prototypes ? TRAIN_ONLINE_PROTOTYPE : TRAIN_ONLINE_LOWRANK;
        verdict.before = train_online_right(online, ONLINE_SHOWN, &online->holdout);
        verdict.recent_before = train_online_right(online, ONLINE_SHOWN, &online->recent);
        r = judge(online, &delta, &verdict);
    }
    if (r == 0 && verdict.recent_after < verdict.recent_before) {
        r = -ECANCELED;
    }
    if (r == 0) {
        train_online_commit(online, &delta, size);
    }
    if (r == 0 || r == -ECANCELED) {
        online->status.refused += r != 0;
        online->status.last = verdict;
        *ret_verdict = verdict;
    }
    return r;
}
