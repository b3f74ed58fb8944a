/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Describes a plan's steps for people. It changes nothing. */
#include "engine/network/plan_internal.h"

static const char *form_of(const struct network_plan *plan, uint16_t index)
{
    static const char *const words[] = {
        [PLAN_BYTES] = "bytes",
        [PLAN_BITS] = "bits",
        [PLAN_PLANES] = "bit planes",
        [PLAN_REAL] = "float",
    };
    if (index == PLAN_NONE) {
        return "scores";
    }
    const struct plan_buffer *buffer = &plan->buffer[index];
    if (buffer->form == PLAN_BYTES && network_code_bytes(buffer->flow).codes) {
        return "log codes";
    }
    return words[buffer->form];
}

static size_t arena_of(const struct network_plan *plan, uint16_t index)
{
    return index != PLAN_NONE ? plan->buffer[index].bytes : 0;
}

static const char *isa_of(const struct network_plan *plan, const struct plan_step *step)
{
    switch (step->kind) {
    case PLAN_CONV:
        return plan->kernels.conv.isa;
    case PLAN_COUNT:
        return plan->kernels.bits.isa;
    case PLAN_SHIFT:
        return plan->kernels.log.isa;
    case PLAN_DEPTHWISE:
        return plan->kernels.depthwise.isa;
    default:
        return "";
    }
}

static uint64_t macs_of(const struct network_plan *plan, const struct plan_step *step)
{
    const struct network_layer *layer = &plan->layers[step->first];
    const struct plan_buffer *in = &plan->buffer[step->in[0]];
    struct network_shape out;

    if (step->group.bytes == 0 || network_layer_shape(layer, in->flow.shape, &out, NULL) < 0) {
        return 0;
    }
    return network_layer_inputs(layer, in->flow.shape) * plan_values(out);
}

uint32_t network_plan_steps(const struct network_plan *plan)
{
    return plan->steps;
}

void network_plan_step(const struct network_plan *plan, uint32_t index,
                       struct network_step *ret_step)
{
    static const char *const kernels[] = {
        [PLAN_CONV] = "conv",    [PLAN_COUNT] = "bits",
        [PLAN_SHIFT] = "log",    [PLAN_DEPTHWISE] = "depthwise",
        [PLAN_FLOAT] = "float",  [PLAN_FLOAT_DEPTHWISE] = "float depthwise",
        [PLAN_POOL] = "pool",    [PLAN_ADD] = "add",
        [PLAN_CONVERT] = "copy",
    };
    const struct plan_step *step = &plan->step[index];

    *ret_step = (struct network_step){
        .first = step->first,
        .last = step->last,
        .kernel = kernels[step->kind],
        .isa = isa_of(plan, step),
        .in = form_of(plan, step->in[0]),
        .out = form_of(plan, step->out),
        .macs = macs_of(plan, step),
        .packed_bytes = step->group.bytes,
        .arena_bytes = arena_of(plan, step->in[0]) + arena_of(plan, step->in[1]) +
                       arena_of(plan, step->out) + arena_of(plan, step->scratch),
    };
}
