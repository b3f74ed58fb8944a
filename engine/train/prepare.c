/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What a pass needs before its first image: steps and codes of the outputs, coded weights laid out
 * for the products, and each layer's map from sums to outputs. It looks at no image.
 */
#include "engine/train/graph.h"

#include <math.h>
#include <string.h>

/* The clip or peak that the output's coding rests on; 0 where no batch has shown one. */
static float output_range(const struct train *train, const struct train_node *node)
{
    return node->clip.count > 0    ? train->values[node->clip.at]
           : node->range.count > 0 ? train->state[node->range.at]
                                   : 0.0f;
}

static void prepare_step(const struct train *train, struct train_node *node)
{
    static const uint8_t plain[] = {
        [TRAIN_LINEAR] = TRAIN_PASS, [TRAIN_RELU] = TRAIN_RAMP, [TRAIN_HARD_TANH] = TRAIN_HOLD};
    const struct train_coding *coding = &node->spec.output;
    const float range = output_range(train, node);

    node->step = 1.0f;
    node->code.function = plain[node->spec.activation];
    switch ((enum train_coding_kind)coding->kind) {
    case TRAIN_F32:
    case TRAIN_S8:
        break;
    case TRAIN_U7:
        if (node->spec.activation == TRAIN_LINEAR) { /* an average pool */
            node->step = node->input->step;
            node->code.function = TRAIN_ROUND;
        } else if (range > 0.0f) {
            node->step = range / 127.0f;
            node->code.function = TRAIN_STEPS;
        }
        break;
    case TRAIN_TERNARY:
        node->code.function = TRAIN_SIGN3;
        break;
    case TRAIN_BINARY:
        node->code.function = TRAIN_SIGN2;
        break;
    case TRAIN_LOG:
    case TRAIN_LEVELS:
        node->code.power = train_power_range(coding, range);
        if (node->code.power.low <= node->code.power.high) {
            node->code.function = TRAIN_POWER;
        }
        break;
    }
}

void train_prepare_steps(struct train *train)
{
    const struct train_coding *gradients = &train->settings.gradients;

    for (uint32_t i = 1; i < train->node_count; i++) {
        struct train_node *node = &train->nodes[i];

        prepare_step(train, node);
        node->power = gradients->kind == TRAIN_F32
                          ? (struct train_power){.low = 1}
                          : train_power_range(gradients, train->state[node->range.at + 1]);
    }
}

/* [rows][columns] -> panels of TRAIN_PANEL columns, the last filled up with zeros */
static void pack_panels(uint32_t rows, uint32_t columns, const float *matrix, float *panels)
{
    for (uint32_t j = 0; j < columns; j += TRAIN_PANEL) {
        const uint32_t n = columns - j < TRAIN_PANEL ? columns - j : TRAIN_PANEL;

        for (uint32_t r = 0; r < rows; r++, panels += TRAIN_PANEL) {
            memcpy(panels, matrix + (size_t)r * columns + j, n * sizeof(*panels));
            memset(panels + n, 0, (TRAIN_PANEL - n) * sizeof(*panels));
        }
    }
}

/* codes [taps][in][out] -> panels of [taps, last first][out][TRAIN_PANEL of in], times factor */
static void pack_transposed(uint32_t taps, uint32_t in, uint32_t out, const float *codes,
                            float factor, float *panels)
{
    for (uint32_t j = 0; j < in; j += TRAIN_PANEL) {
        const uint32_t n = in - j < TRAIN_PANEL ? in - j : TRAIN_PANEL;

        for (uint32_t tap = taps; tap-- > 0;) {
            const float *from = codes + ((size_t)tap * in + j) * out;

            for (uint32_t o = 0; o < out; o++, panels += TRAIN_PANEL) {
                for (uint32_t i = 0; i < TRAIN_PANEL; i++) {
                    panels[i] = i < n ? from[(size_t)i * out + o] * factor : 0.0f;
                }
            }
        }
    }
}

/* codes [taps][channels] -> [taps, last first][channels], times factor */
static void pack_flipped(uint32_t taps, uint32_t channels, const float *codes, float factor,
                         float *flipped)
{
    for (uint32_t tap = taps; tap-- > 0; flipped += channels) {
        for (uint32_t c = 0; c < channels; c++) {
            flipped[c] = codes[(size_t)tap * channels + c] * factor;
        }
    }
}

/* panels of floats [rows][TRAIN_PANEL] -> of pairs [rows / 2][TRAIN_PANEL]; rows: of all panels */
static void pair_panels(const struct train_ops *ops, size_t rows, const float *panels,
                        uint32_t *pairs)
{
    for (size_t r = 0; r < rows; r += 2) {
        const float *from = panels + r * TRAIN_PANEL;

        ops->pair(TRAIN_PANEL, from, from + TRAIN_PANEL, pairs + r / 2 * TRAIN_PANEL);
    }
}

/* the same -> [rows / 32][TRAIN_PANEL] signs */
static void sign_panels(const struct train_ops *ops, size_t rows, const float *panels,
                        uint32_t *signs)
{
    for (size_t r = 0; r < rows; r += 32, signs += TRAIN_PANEL) {
        for (size_t j = 0; j < TRAIN_PANEL; j++) {
            ops->signs(1, TRAIN_PANEL, panels + r * TRAIN_PANEL + j, signs + j);
        }
    }
}

static size_t panels_of(uint32_t columns)
{
    return (columns + TRAIN_PANEL - 1) / TRAIN_PANEL;
}

void train_prepare_weights(struct train *train, struct train_node *node)
{
    const struct train_layer *l = &node->spec;
    const uint32_t out = node->mid.channels, in = node->input->shape.channels;
    const uint32_t taps = (uint32_t)l->kernel[0] * l->kernel[1];
    const float factor = 1.0f / node->input->step;

    if (node->weight.count == 0) {
        return;
    }
    if (l->weights.kind != TRAIN_F32) {
        train_code_weights(&l->weights, train->ops, node->fan_in, out,
                           train->values + node->weight.at, node->codes, node->scale);
    }
    if (l->operation == TRAIN_DEPTHWISE) {
        memcpy(node->pack, node->codes, node->weight.count * sizeof(*node->pack));
    } else {
        pack_panels(node->fan_in, out, node->codes, node->pack);
    }
    if (node->signed_only) {
        sign_panels(train->ops, node->fan_in * panels_of(out), node->pack, node->signs);
    } else if (node->halved) {
        pair_panels(train->ops, node->fan_in * panels_of(out), node->pack, node->pairs);
    }
    if (node->pack_back == NULL) {
        return;
    }
    if (l->operation == TRAIN_DEPTHWISE) {
        pack_flipped(taps, out, node->codes, factor, node->pack_back);
    } else if (l->operation == TRAIN_CONV) {
        pack_transposed(taps, in, out, node->codes, factor, node->pack_back);
        if (node->halved) {
            pair_panels(train->ops, (size_t)taps * out * panels_of(in), node->pack_back,
                        node->pairs_back);
        }
    } else {
        pack_transposed(1, (uint32_t)node->input->size, out, node->codes, factor, node->pack_back);
    }
}

void train_prepare_map(struct train *train, struct train_node *node)
{
    const float *values = train->values, *state = train->state;
    const float in_step = node->spec.operation == TRAIN_ADD ? 1.0f : node->input->step;
    const float per_step = 1.0f / node->step;

    if (node->bare) {
        return;
    }
    for (uint32_t c = 0; c < node->mid.channels; c++) {
        float unit = node->scale != NULL ? node->scale[c] * in_step : in_step;

        node->unit[c] = unit;
        if (train_normalises(&node->spec)) {
            float sigma = sqrtf(state[node->variance.at + c] + TRAIN_NORM_EPSILON);
            float spread = unit / (float)train_norm_divisor(node->spec.norm, (double)sigma);
            float gain = values[node->gamma.at + c] * spread;

            node->center[c] = state[node->mean.at + c] / unit;
            node->spread[c] = spread;
            node->gain[c] = gain;
            node->a[c] = gain * per_step;
            node->b[c] = (values[node->beta.at + c] - gain * node->center[c]) * per_step;
        } else {
            node->gain[c] = unit;
            node->a[c] = unit == node->step ? 1.0f : unit * per_step; /* exact means of codes */
            node->b[c] = node->bias.count > 0 ? values[node->bias.at + c] * per_step : 0.0f;
        }
    }
    node->fixed.in_force = false;
    if (!train->learn) {
        train_fold_prepare(train, node);
    }
}
