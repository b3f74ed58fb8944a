/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * One run of a plan: codes into the arena, the steps, scores out. It allocates nothing and cannot
 * fail; all sizes were checked when the model was loaded.
 */
#include <math.h>
#include <string.h>

#include "engine/kernel/requantise.h"
#include "engine/network/plan_internal.h"

/* First element of the border, or of the map where there is none. */
static void *outside(const struct plan_buffer *buffer, uint8_t *arena)
{
    return arena + buffer->at;
}

/* First element of the map, inside the border. */
static void *inside(const struct plan_buffer *buffer, uint8_t *arena)
{
    size_t elements =
        buffer->pad[0] * buffer->row + (size_t)buffer->pad[1] * buffer->shape.channels;

    return arena + buffer->at + elements * plan_element(buffer);
}

/* Writes the padding value to `count` elements and returns what follows them. */
static uint8_t *fill(const struct plan_buffer *buffer, uint8_t *to, size_t count)
{
    if (buffer->type == NETWORK_TYPE_U8) {
        memset(to, buffer->pad_code, count);
    } else {
        const float value = buffer->pad_code;

        for (size_t i = 0; i < count; i++) {
            memcpy(to + i * sizeof value, &value, sizeof value);
        }
    }
    return to + count * plan_element(buffer);
}

/* Everything of a buffer but the map: border and tail. */
static void fill_border(const struct plan_buffer *buffer, uint8_t *arena)
{
    const size_t side = (size_t)buffer->pad[1] * buffer->shape.channels;
    const size_t width = (size_t)buffer->shape.width * buffer->shape.channels;
    uint8_t *base = outside(buffer, arena);
    uint8_t *at = fill(buffer, base, buffer->pad[0] * buffer->row + side);

    for (uint32_t y = 0; y < buffer->shape.height; y++) {
        at += width * plan_element(buffer);
        at = fill(buffer, at, y + 1 < buffer->shape.height ? 2 * side : side);
    }
    at = fill(buffer, at, buffer->pad[0] * buffer->row);
    memset(at, 0, buffer->bytes - (size_t)(at - base));
}

static void load_row(const struct plan_buffer *buffer, uint8_t coding, const void *codes,
                     void *restrict to, size_t count)
{
    const int8_t *s8 = codes;
    const uint8_t *u8 = codes;
    float *f32 = to;

    if (coding == GRADIENT_CODING_F32) {
        memcpy(to, codes, count * sizeof(float));
    } else if (buffer->type == NETWORK_TYPE_F32) {
        for (size_t i = 0; i < count; i++) {
            f32[i] = coding == GRADIENT_CODING_U7 ? (float)u8[i] : (float)s8[i];
        }
    } else {
        for (size_t i = 0; i < count; i++) {
            ((uint8_t *)to)[i] = (uint8_t)(u8[i] + buffer->offset);
        }
    }
}

static void load_codes(const struct network_plan *plan, uint8_t *arena, const uint8_t *codes)
{
    const struct gradient_spec *front = &plan->point->input.front;
    const struct plan_buffer *buffer = &plan->buffer[0];
    const size_t count = (size_t)buffer->shape.width * buffer->shape.channels;
    uint8_t *to = inside(buffer, arena);

    fill_border(buffer, arena);
    for (uint32_t y = 0; y < buffer->shape.height; y++) {
        load_row(buffer, front->coding, codes, to, count);
        codes += count * gradient_code_size(front);
        to += buffer->row * plan_element(buffer);
    }
}

static void convert(const struct plan_buffer *in, const struct plan_buffer *out, uint8_t *arena)
{
    const size_t count = (size_t)in->shape.width * in->shape.channels;
    const uint8_t *from = inside(in, arena);
    float *to = inside(out, arena);

    for (uint32_t y = 0; y < in->shape.height; y++) {
        for (size_t i = 0; i < count; i++) {
            to[i] = from[i];
        }
        from += in->row;
        to += out->row;
    }
}

static void run_pool(const struct network_plan *plan, const struct plan_step *step, const void *in,
                     void *out)
{
    const struct kernel_pool_ops *ops = &plan->kernels.pool;
    const bool max = plan->point->layers[step->layer].op == NETWORK_OP_MAXPOOL;

    if (plan->buffer[step - plan->step].type == NETWORK_TYPE_U8) {
        (max ? ops->max_u7 : ops->mean_u7)(&step->pool, in, out);
    } else {
        (max ? ops->max_f32 : ops->mean_f32)(&step->pool, in, out);
    }
}

static void requantise_scores(const struct network_layer *layer, int32_t *scores)
{
    for (uint32_t o = 0; o < layer->out; o++) {
        scores[o] = kernel_requantise(scores[o], layer->mult[o], layer->preshift, layer->shift);
    }
}

/* Halves go up; what is out of range, or no number, becomes the nearest end, or the lowest. */
static void round_scores(const float *from, uint32_t count, int32_t *scores)
{
    for (uint32_t o = 0; o < count; o++) {
        double score = floor((double)from[o] * 65536.0 + 0.5);

        scores[o] = score >= INT32_MAX   ? INT32_MAX
                    : score >= INT32_MIN ? (int32_t)score
                                         : INT32_MIN;
    }
}

/* Step i; the last one also writes the scores. */
static void run_step(const struct network_plan *plan, uint32_t i, uint8_t *arena, int32_t *scores)
{
    const struct plan_step *step = &plan->step[i];
    const struct plan_buffer *in = &plan->buffer[i], *out = &plan->buffer[i + 1];
    const struct network_layer *layer = &plan->point->layers[step->layer];
    const bool last = i + 1 == plan->steps;

    fill_border(out, arena);
    switch (step->kind) {
    case PLAN_CONV:
        plan->kernels.conv.run(&step->conv, step->packed, outside(in, arena),
                               last ? scores : inside(out, arena), out->row);
        if (last) {
            requantise_scores(layer, scores);
        }
        break;
    case PLAN_REAL:
        plan->kernels.real.run(&step->real, step->packed, outside(in, arena), inside(out, arena),
                               out->row);
        if (last) {
            round_scores(inside(out, arena), layer->out, scores);
        }
        break;
    case PLAN_POOL:
        run_pool(plan, step, inside(in, arena), inside(out, arena));
        break;
    case PLAN_CONVERT:
        convert(in, out, arena);
        break;
    }
}

void network_run_observed(const struct network_plan *plan, void *arena, const void *codes,
                          int32_t *scores, network_observer *observer, void *user)
{
    load_codes(plan, arena, codes);
    for (uint32_t i = 0; i < plan->steps; i++) {
        const struct plan_buffer *out = &plan->buffer[i + 1];
        const bool last = i + 1 == plan->steps;

        run_step(plan, i, arena, scores);
        if (observer != NULL && plan->step[i].kind != PLAN_CONVERT) {
            observer(user, plan->step[i].layer,
                     &(struct network_activation){
                         .shape = out->shape,
                         .type = last ? NETWORK_TYPE_S32 : out->type,
                         .offset = out->offset,
                         .row = out->row,
                         .data = last ? scores : inside(out, arena),
                     });
        }
    }
}

void network_run(const struct network_plan *plan, void *arena, const void *codes, int32_t *scores)
{
    network_run_observed(plan, arena, codes, scores, NULL, NULL);
}

uint32_t network_argmax(const int32_t *scores, uint32_t count)
{
    uint32_t best = 0;

    for (uint32_t i = 1; i < count; i++) {
        best = scores[i] > scores[best] ? i : best;
    }
    return best;
}

void network_probabilities(const int32_t *scores, uint32_t count, float *ret_probabilities)
{
    const double top = scores[network_argmax(scores, count)];
    double sum = 0;

    for (uint32_t i = 0; i < count; i++) {
        sum += exp((scores[i] - top) / 65536.0);
    }
    for (uint32_t i = 0; i < count; i++) {
        ret_probabilities[i] = (float)(exp((scores[i] - top) / 65536.0) / sum);
    }
}
