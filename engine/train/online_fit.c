/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What a flush makes of the recent labels: low-rank factors by passes over them, prototypes, and
 * the rule that picks. It changes no state.
 */
#include <math.h>
#include <string.h>

#include "engine/train/online_internal.h"
#include "engine/train/train.h"

#define STREAM_ORDER 1000u
#define CAP          0.5f /* of 2 / lambda */
#define STRENGTHS    3u   /* of prototypes: margin, half of it, a quarter */

/* ---- passes ---- */

static uint32_t strongest_other(const float *z, uint32_t classes, uint32_t label)
{
    uint32_t other = label == 0 ? 1 : 0;

    for (uint32_t c = 0; c < classes; c++) {
        other = c != label && z[c] > z[other] ? c : other;
    }
    return other;
}

static float margin_of(const struct train_online *online, const float *z, uint32_t label)
{
    return online->classes > 1 ? z[label] - z[strongest_other(z, online->classes, label)] : 0;
}

void train_online_look(struct train_online *online)
{
    const uint32_t classes = online->classes;
    const size_t features = online->last->columns;

    for (uint32_t i = 0; i < online->recent.count; i++) {
        train_online_exact(online, ONLINE_SHOWN, online->recent.latent + i * online->latent_values,
                           online->scores);
        memcpy(online->features + i * features, online->last->in_codes, features);
        for (uint32_t c = 0; c < classes; c++) {
            online->starts[(size_t)i * classes + c] = (float)online->scores[c] / 65536;
        }
    }
}

void train_online_aim(struct train_online *online, float share)
{
    const uint32_t classes = online->classes;

    for (uint32_t i = 0; i < online->recent.count; i++) {
        const uint32_t label = online->recent.labels[i];
        const float *start = online->starts + (size_t)i * classes;
        const float lack = share * online->settings.margin - margin_of(online, start, label);
        float *aim = online->aims + (size_t)i * classes;

        memcpy(aim, start, classes * sizeof(*aim));
        if (classes > 1 && lack > 0) {
            aim[label] += lack / 2;
            aim[strongest_other(start, classes, label)] -= lack / 2;
        }
    }
}

/* The float weights that passes use, from the factors so far. */
static void refresh(struct train_online *online, struct online_node *node)
{
    const size_t cells = (size_t)node->rows * node->columns;

    train_lowrank_factors(node->total, node->left, node->right);
    train_lowrank_product(online->settings.rank, node->rows, node->columns, node->left, node->right,
                          -1, node->weights);
    for (size_t i = 0; i < cells; i++) {
        node->weights[i] += node->whole[i];
    }
}

/* Norm of the vector under an output pixel. */
static float window_norm(const struct online_node *node, uint32_t pixel)
{
    const size_t line = node->columns / node->kernel[0];
    float sum = 0;

    for (uint32_t k = 0; k < node->kernel[0]; k++) {
        sum += train_online_square(train_online_window(node, pixel) + k * node->pitch, line);
    }
    return sqrtf(sum);
}

/* What multiplies dt (x) a in this step; see FLUSH in online.h. */
static float step_size(struct train_online *online, struct online_node *node)
{
    const struct train_online_settings *s = &online->settings;
    const uint32_t pixels = node->out.height * node->out.width;
    const float error = train_online_square(online->dz, online->classes);
    const float dts = train_online_square(node->dt, (size_t)pixels * node->rows);
    const size_t map = (node->in.height + 2u * node->pad[0]) * node->pitch;
    float size, sum = 0;

    if (s->norm == TRAIN_ONLINE_NLMS) {
        for (uint32_t p = 0; p < pixels; p++) {
            const float *dt = node->dt + (size_t)p * node->rows;
            const float d = train_online_square(dt, node->rows);

            sum += d > 0 ? sqrtf(d) * window_norm(node, p) : 0;
        }
        size = sum > 0 ? s->rate * error / ((float)s->layer_count * sum * sum) : 0;
    } else {
        size = s->rate * 127 /
               (train_max_norm(&node->norm_dt, (size_t)pixels * node->rows, node->dt) *
                train_max_norm(&node->norm_a, map, node->in_map));
    }
    node->steps++;
    if (node->lambda.value > 0 && dts > 0 && size * dts * node->lambda.value > 2 * CAP * error) {
        size = 2 * CAP * error / (dts * node->lambda.value);
        node->capped++;
    }
    return size;
}

static void step_weights(struct train_online *online, struct online_node *node)
{
    const uint32_t pixels = node->out.height * node->out.width;
    const float size = step_size(online, node);

    if (!(size > 0)) {
        return;
    }
    for (uint32_t p = 0; p < pixels; p++) {
        float *dt = node->dt + (size_t)p * node->rows;

        for (uint32_t o = 0; o < node->rows; o++) {
            dt[o] *= size;
        }
        train_lowrank_add_window(node->total, dt, train_online_window(node, p), node->kernel[0],
                                 node->pitch);
    }
    refresh(online, node);
}

/* Factors from the recent labels with `use`; the nodes' weights then are what they make. */
void train_online_fit(struct train_online *online)
{
    const uint32_t n = online->recent.count, classes = online->classes;

    for (uint32_t i = 0; i < online->node_count; i++) {
        if (online->nodes[i].trained) {
            train_lowrank_reset(online->nodes[i].total);
            refresh(online, &online->nodes[i]);
        }
    }
    for (uint32_t pass = 0; pass < online->settings.passes; pass++) {
        train_shuffle(online->settings.seed, STREAM_ORDER + pass, n, online->order);
        for (uint32_t k = 0; k < n; k++) {
            const uint32_t at = online->order[k];

            if (!online->use[at]) {
                continue;
            }
            train_online_forward(online, online->recent.latent + at * online->latent_values,
                                 online->z);
            for (uint32_t c = 0; c < classes; c++) {
                online->dz[c] = online->z[c] - online->aims[(size_t)at * classes + c];
            }
            train_online_backward(online, online->dz);
            for (uint32_t i = 0; i < online->node_count; i++) {
                if (online->nodes[i].trained) {
                    step_weights(online, &online->nodes[i]);
                }
            }
        }
    }
}

/* ---- prototypes ---- */

/* -|f - mu|^2 / 2 up to what classes share, in units of features squared. */
static void near(const struct train_prototypes *head, const int8_t *features, float *z)
{
    const float unit = ldexpf(1, -(int)head->exponent);

    for (uint32_t c = 0; c < head->classes; c++) {
        const uint8_t *mean = head->means + (size_t)c * head->features;
        float sum = 0;

        for (uint32_t j = 0; j < head->features; j++) {
            const float mu = unit * mean[j];
            sum += mu * ((float)features[j] - mu / 2);
        }
        z[c] = sum;
    }
}

/* Scores of the recent labels without prototypes. */
static void look_plain(struct train_online *online)
{
    const struct online_node *last = online->last;

    for (uint32_t i = 0; i < online->recent.count; i++) {
        const int8_t *f = online->features + (size_t)i * last->columns;

        for (uint32_t c = 0; c < online->classes; c++) {
            const int8_t *w = last->durable.codes + (size_t)c * last->columns;
            float t = (float)last->live[c];

            for (uint32_t j = 0; j < last->columns; j++) {
                t += (float)(w[j] * f[j]);
            }
            online->plain[(size_t)i * online->classes + c] = t * last->scale[c];
        }
    }
}

/* Strength with which a mean label gets the margin from the prototypes alone; 0: none would. */
float train_online_strength(struct train_online *online)
{
    double sum = 0;
    uint32_t count = 0;

    for (uint32_t i = 0; i < online->recent.count; i++) {
        if (online->use[i]) {
            near(&online->trial_head, online->features + (size_t)i * online->last->columns,
                 online->z);
            sum += (double)margin_of(online, online->z, online->recent.labels[i]);
            count++;
        }
    }
    return sum > 0 ? (float)((double)online->settings.margin * count / sum) : 0;
}

/* ---- the rule ---- */

/* Leaves part `part` of `parts` out. */
void train_online_leave_out(struct train_online *online, uint32_t part, uint32_t parts)
{
    for (uint32_t i = 0; i < online->recent.count; i++) {
        online->use[i] = parts == 0 || i % parts != part;
    }
}

/* Counts margins above 0 into a choice. */
static struct online_choice count_right(const struct train_online *online, uint8_t head,
                                        float share, const float *margins)
{
    struct online_choice choice = {.head = head, .share = share};

    for (uint32_t i = 0; i < online->recent.count; i++) {
        choice.right += margins[i] > 0;
        choice.fresh += margins[i] > 0 && !online->recent.learned[i];
    }
    return choice;
}

static uint32_t parts_of(const struct train_online *online)
{
    const uint32_t n = online->recent.count;

    return n < TRAIN_ONLINE_FOLDS ? n : TRAIN_ONLINE_FOLDS;
}

static void try_lowrank(struct train_online *online, float *margins)
{
    const uint32_t parts = parts_of(online);

    train_online_aim(online, 1);
    for (uint32_t part = 0; part < parts; part++) {
        train_online_leave_out(online, part, parts);
        train_online_fit(online);
        for (uint32_t i = part; i < online->recent.count; i += parts) {
            train_online_forward(online, online->recent.latent + i * online->latent_values,
                                 online->z);
            margins[i] = margin_of(online, online->z, online->recent.labels[i]);
        }
    }
}

/* Returns false where a class would have no mean. */
static bool try_prototypes(struct train_online *online, float share, float *margins)
{
    const uint32_t parts = parts_of(online), classes = online->classes;

    for (uint32_t part = 0; part < parts; part++) {
        float strength;

        train_online_leave_out(online, part, parts);
        if (!train_prototypes_make(&online->trial_head, online->features, online->recent.labels,
                                   online->use, online->recent.count)) {
            return false;
        }
        strength = share * train_online_strength(online);
        for (uint32_t i = part; i < online->recent.count; i += parts) {
            near(&online->trial_head, online->features + (size_t)i * online->last->columns,
                 online->z);
            for (uint32_t c = 0; c < classes; c++) {
                online->z[c] = strength * online->z[c] + online->plain[(size_t)i * classes + c];
            }
            margins[i] = margin_of(online, online->z, online->recent.labels[i]);
        }
    }
    return true;
}

struct online_choice train_online_choose(struct train_online *online)
{
    const uint8_t asked = online->settings.head;
    const size_t size = online->recent.count * sizeof(float);
    struct online_choice best;

    for (uint32_t i = 0; i < online->recent.count; i++) {
        online->margins[i] = margin_of(online, online->starts + (size_t)i * online->classes,
                                       online->recent.labels[i]);
    }
    best = count_right(online, TRAIN_ONLINE_BIAS, 0, online->margins);
    if (asked == TRAIN_ONLINE_AUTO || asked == TRAIN_ONLINE_LOWRANK) {
        try_lowrank(online, online->margins);
        best = count_right(online, TRAIN_ONLINE_LOWRANK, 1, online->margins);
    }
    if ((asked != TRAIN_ONLINE_AUTO && asked != TRAIN_ONLINE_PROTOTYPE) || !online->can_prototype) {
        return best;
    }
    look_plain(online);
    for (uint32_t k = 0; k < STRENGTHS; k++) {
        const float share = 1.0f / (float)(1u << k);
        struct online_choice choice;

        if (!try_prototypes(online, share, online->trial_margins)) {
            break;
        }
        choice = count_right(online, TRAIN_ONLINE_PROTOTYPE, share, online->trial_margins);
        if (best.head == TRAIN_ONLINE_BIAS ||
            choice.right >
                best.right + (asked == TRAIN_ONLINE_AUTO ? online->recent.count / 10 : 0)) {
            best = choice;
            memcpy(online->margins, online->trial_margins, size);
        }
    }
    return best;
}
