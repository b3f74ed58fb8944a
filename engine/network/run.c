/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * One run of a plan: codes into the arena, the steps, scores out. It allocates nothing and cannot
 * fail; all sizes were checked when the model was loaded.
 */
#include <math.h>
#include <string.h>

#include "engine/network/plan_internal.h"

/* What a buffer's border is filled with. */
struct outside {
    uint8_t byte;
    float real;
    uint64_t ones; /* of words: 0, or the bits of all channels */
};

static struct outside outside_of(const struct plan_buffer *buffer)
{
    const bool real = buffer->flow.value == NETWORK_VALUE_F32;
    const uint8_t byte = network_code_pad(buffer->flow, buffer->pad_code);
    const bool one = buffer->form == PLAN_BITS && buffer->pad_code != 0;

    return (struct outside){
        .byte = byte,
        .real = real ? buffer->pad_code : network_code_real(buffer->flow, byte),
        .ones = one ? UINT64_MAX : 0,
    };
}

/* Word `i` of a row: spare bits of a pixel's last word are 0. */
static uint64_t border_word(const struct plan_buffer *buffer, uint64_t ones, size_t i)
{
    const uint32_t spare = buffer->flow.shape.channels % 64;

    return spare != 0 && (i + 1) % buffer->unit == 0 ? ones & ((UINT64_C(1) << spare) - 1) : ones;
}

/* Fills `count` elements, which start with a pixel; returns what follows them. */
static uint8_t *fill(const struct plan_buffer *buffer, const struct outside *outside, uint8_t *to,
                     size_t count)
{
    if (buffer->form == PLAN_BYTES) {
        memset(to, outside->byte, count);
    } else if (buffer->form == PLAN_REAL) {
        for (size_t i = 0; i < count; i++) {
            ((float *)(void *)to)[i] = outside->real;
        }
    } else {
        for (size_t i = 0; i < count; i++) {
            ((uint64_t *)(void *)to)[i] = border_word(buffer, outside->ones, i);
        }
    }
    return to + count * plan_element(buffer->form);
}

/* The border of one map, or of one plane. */
static void fill_border(const struct plan_buffer *buffer, const struct outside *outside,
                        uint8_t *to)
{
    const size_t side = buffer->pad[1] * buffer->unit;
    const size_t width = buffer->flow.shape.width * buffer->unit * plan_element(buffer->form);

    to = fill(buffer, outside, to, buffer->pad[0] * buffer->row + side);
    for (uint32_t y = 0; y < buffer->flow.shape.height; y++) {
        to = fill(buffer, outside, to + width, y + 1 < buffer->flow.shape.height ? 2 * side : side);
    }
    fill(buffer, outside, to, buffer->pad[0] * buffer->row);
}

static void fill_borders(const struct network_plan *plan, uint16_t index, uint8_t *arena,
                         uint32_t count)
{
    if (index == PLAN_NONE) {
        return;
    }
    const struct plan_buffer *buffer = &plan->buffer[index];
    if (buffer->pad[0] == 0 && buffer->pad[1] == 0) {
        return;
    }
    const struct outside outside = outside_of(buffer);
    for (uint32_t image = 0; image < count; image++) {
        uint8_t *to = arena + buffer->at + image * buffer->stride;

        fill_border(buffer, &outside, to);
        if (buffer->form == PLAN_PLANES) {
            fill_border(buffer, &outside, to + buffer->plane * sizeof(uint64_t));
        }
    }
}

static void load_row(const struct plan_buffer *buffer, uint8_t coding, const void *codes,
                     void *restrict to, size_t count)
{
    const uint8_t *from = codes;
    const struct plan_bytes bytes = network_code_bytes(buffer->flow);
    const bool is_signed = coding == GRADIENT_CODING_TERNARY || coding == GRADIENT_CODING_SEVEN;
    const uint8_t offset = is_signed ? bytes.offset : 0;
    const uint8_t factor =
        buffer->flow.value == NETWORK_VALUE_THERMOMETER && bytes.scale == 1 ? 2 : 1;
    uint8_t *u8 = to;
    float *f32 = to;

    if (coding == GRADIENT_CODING_F32) {
        memcpy(to, codes, count * sizeof(float));
    } else if (buffer->form == PLAN_REAL) {
        for (size_t i = 0; i < count; i++) {
            const uint8_t byte = (uint8_t)(factor * from[i] + offset);

            f32[i] = (float)(bytes.scale * byte - bytes.offset);
        }
    } else {
        const uint8_t doubled = factor == 2 ? 0xff : 0; /* vectors of bytes have no product */

        for (size_t i = 0; i < count; i++) {
            u8[i] = (uint8_t)(from[i] + (from[i] & doubled) + offset);
        }
    }
}

static void load_codes(const struct network_plan *plan, uint8_t *arena, uint32_t image,
                       const uint8_t *codes)
{
    const struct gradient_spec *front = &plan->point->input.front;
    const struct plan_buffer *buffer = &plan->buffer[0];
    const size_t count = (size_t)buffer->flow.shape.width * buffer->flow.shape.channels;
    uint8_t *to = plan_inside(buffer, arena, image);

    for (uint32_t y = 0; y < buffer->flow.shape.height; y++) {
        load_row(buffer, front->coding, codes, to, count);
        codes += count * gradient_code_size(front);
        to += buffer->row * plan_element(buffer->form);
    }
}

static void load(const struct network_plan *plan, uint8_t *arena, const uint8_t *codes,
                 uint32_t count)
{
    const struct gradient_spec *front = &plan->point->input.front;
    const size_t bytes = plan_values(plan->buffer[0].flow.shape) * gradient_code_size(front);

    fill_borders(plan, 0, arena, count);
    for (uint32_t image = 0; image < count; image++) {
        load_codes(plan, arena, image, codes + image * bytes);
    }
}

void network_run_many(const struct network_plan *plan, void *arena, const void *codes,
                      uint32_t count, int32_t *scores)
{
    load(plan, arena, codes, count);
    for (uint32_t i = 0; i < plan->steps; i++) {
        fill_borders(plan, plan->step[i].out, arena, count);
        network_run_step(plan, &plan->step[i], arena, count, scores);
    }
}

void network_run(const struct network_plan *plan, void *arena, const void *codes, int32_t *scores)
{
    network_run_many(plan, arena, codes, 1, scores);
}

/* The step for a smaller output: its buffers keep their rows, so that weights stay as packed. */
static void resize(struct plan_step *step, struct network_shape out)
{
    struct plan_weighted *weighted = &step->weighted;

    switch (step->kind) {
    case PLAN_CONV:
        weighted->conv.out_w = out.width;
        break;
    case PLAN_COUNT:
        weighted->bits.out_w = out.width;
        if (weighted->gather.in_c != 0) {
            weighted->gather.out_w = out.width * weighted->bits.pool;
            weighted->bits.in_row = weighted->gather.out_w * plan_words(weighted->bits.in_c);
        }
        break;
    case PLAN_SHIFT:
        weighted->log.out_w = out.width;
        weighted->log.out_h = out.height;
        break;
    case PLAN_DEPTHWISE:
        step->depthwise.out_w = out.width;
        step->depthwise.out_h = out.height;
        break;
    case PLAN_POOL:
        step->pool.out_w = out.width;
        step->pool.out_h = out.height;
        break;
    case PLAN_CONVERT:
        step->convert = out;
        break;
    default:
        step->real.kernel.out_w = out.width;
        step->real.kernel.out_h = out.height;
        break;
    }
    if (step->kind <= PLAN_SHIFT) {
        weighted->out_w = out.width;
        weighted->out_h = out.height;
    }
}

static void load_part(const struct network_plan *plan, uint8_t *arena, const uint8_t *codes,
                      size_t pitch, uint32_t width, uint32_t height)
{
    const struct plan_buffer *buffer = &plan->buffer[0];
    uint8_t *to = plan_inside(buffer, arena, 0);

    for (uint32_t y = 0; y < height; y++, codes += pitch) {
        load_row(buffer, plan->point->input.front.coding, codes, to,
                 (size_t)width * buffer->flow.shape.channels);
        to += buffer->row * plan_element(buffer->form);
    }
}

void network_run_part(const struct network_plan *plan, void *arena, const void *codes, size_t pitch,
                      uint32_t width, uint32_t height, int32_t *scores)
{
    struct network_shape map = {height, width, plan->input.channels};
    uint32_t done = 0; /* layers of which `map` is the output */

    load_part(plan, arena, codes, pitch, width, height);
    for (uint32_t i = 0; i < plan->steps; i++) {
        struct plan_step step = plan->step[i];

        for (; step.kind != PLAN_CONVERT && done <= step.last; done++) {
            (void)network_layer_shape(&plan->layers[done], map, &map, NULL);
        }
        resize(&step, map);
        network_run_step(plan, &step, arena, 1, scores);
    }
}

static void observe(const struct network_plan *plan, const struct plan_step *step, uint8_t *arena,
                    const int32_t *scores, network_observer *observer, void *user)
{
    static const uint8_t types[] = {
        [PLAN_BYTES] = NETWORK_TYPE_U8,
        [PLAN_BITS] = NETWORK_TYPE_BITS,
        [PLAN_PLANES] = NETWORK_TYPE_PLANES,
        [PLAN_REAL] = NETWORK_TYPE_F32,
    };
    struct network_activation activation = {
        .shape = {1, 1, plan->labels},
        .type = NETWORK_TYPE_S32,
        .row = plan->labels,
        .data = scores,
    };

    if (step->out != PLAN_NONE) {
        const struct plan_buffer *out = &plan->buffer[step->out];
        uint64_t *inside = plan_inside(out, arena, 0);

        activation.shape = out->flow.shape;
        activation.type = types[out->form];
        activation.offset = out->form == PLAN_BYTES ? network_code_bytes(out->flow).offset : 0;
        activation.row = out->row;
        activation.data = inside;
        activation.nonzero = out->form == PLAN_PLANES ? inside + out->plane : NULL;
    }
    observer(user, step->last, &activation);
}

void network_run_observed(const struct network_plan *plan, void *arena, const void *codes,
                          int32_t *scores, network_observer *observer, void *user)
{
    load(plan, arena, codes, 1);
    for (uint32_t i = 0; i < plan->steps; i++) {
        const struct plan_step *step = &plan->step[i];

        fill_borders(plan, step->out, arena, 1);
        network_run_step(plan, step, arena, 1, scores);
        if (observer != NULL && step->kind != PLAN_CONVERT) {
            observe(plan, step, arena, scores, observer, user);
        }
    }
}

uint32_t network_argmax(const int32_t *scores, uint32_t count)
{
    uint32_t best = 0;

    for (uint32_t i = 1; i < count; i++) {
        best = scores[i] > scores[best] ? i : best;
    }
    return best;
}

int32_t network_margin(const int32_t *scores, uint32_t count)
{
    const uint32_t best = network_argmax(scores, count);
    int64_t other = INT64_MIN; /* 64 bits: the difference of two scores needs 33 */

    for (uint32_t i = 0; i < count; i++) {
        other = i != best && scores[i] > other ? scores[i] : other;
    }
    const int64_t margin = scores[best] - other;

    return margin > INT32_MAX ? INT32_MAX : (int32_t)margin;
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
