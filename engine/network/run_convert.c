/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Turns a buffer of a map into another one of the same map: of another form, or with another
 * border.
 */
#include <string.h>

#include "engine/network/plan_internal.h"

/* Bytes to the values that they stand for. */
static void to_real(const struct plan_buffer *in, const struct plan_buffer *out,
                    struct network_shape map, const uint8_t *from, float *to)
{
    const size_t count = (size_t)map.width * map.channels;
    float value[128];

    for (uint32_t byte = 0; byte < 128; byte++) {
        value[byte] = network_code_real(in->flow, (uint8_t)byte);
    }
    for (uint32_t y = 0; y < map.height; y++, from += in->row, to += out->row) {
        for (size_t i = 0; i < count; i++) {
            to[i] = value[from[i]];
        }
    }
}

static void to_bits(const struct network_plan *plan, const struct plan_buffer *in,
                    const struct plan_buffer *out, struct network_shape map, const uint8_t *from,
                    uint64_t *to)
{
    plan->kernels.bits.from_codes(
        &(struct kernel_bits_map){
            .width = map.width,
            .height = map.height,
            .channels = map.channels,
            .in_row = in->row,
            .out_row = out->row,
            .zero = network_code_bytes(in->flow).offset,
        },
        from, to, out->form == PLAN_PLANES ? to + out->plane : NULL);
}

/* The same form with another border. */
static void copy(const struct plan_buffer *in, const struct plan_buffer *out,
                 struct network_shape map, const uint8_t *from, uint8_t *to)
{
    const size_t element = plan_element(in->form);
    const size_t planes = in->form == PLAN_PLANES ? 2 : 1;

    for (size_t plane = 0; plane < planes; plane++) {
        for (uint32_t y = 0; y < map.height; y++) {
            memcpy(to + (plane * out->plane + y * out->row) * element,
                   from + (plane * in->plane + y * in->row) * element,
                   map.width * in->unit * element);
        }
    }
}

void network_run_convert(const struct network_plan *plan, const struct plan_step *step,
                         uint8_t *arena, uint32_t image)
{
    const struct plan_buffer *in = &plan->buffer[step->in[0]], *out = &plan->buffer[step->out];
    const void *from = plan_inside(in, arena, image);
    void *to = plan_inside(out, arena, image);

    if (in->form == out->form) {
        copy(in, out, step->convert, from, to);
    } else if (out->form == PLAN_REAL) {
        to_real(in, out, step->convert, from, to);
    } else {
        to_bits(plan, in, out, step->convert, from, to);
    }
}
