/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The layers of a point as steps over buffers: one buffer for each map, laid out as its readers
 * want it, and a further one, filled by a step of its own, only for a reader that wants another
 * form or another code outside the map. It places nothing and packs nothing.
 */
#include "engine/network/plan_internal.h"

/* Shapes and codings. The loader computed and bounded all of them once: nothing can fail. */
static void describe(struct plan_draft *draft)
{
    draft->map[0].flow = network_input_flow(&draft->plan->point->input);
    draft->map[0].flow.shape = draft->plan->input;
    for (uint32_t i = 0; i < draft->count; i++) {
        const struct network_layer *layer = &draft->layers[i];
        const struct plan_map *in = &draft->map[layer->input];
        struct plan_map *out = &draft->map[i + 1];

        network_layer_flow(layer, &in->flow, &out->flow, NULL);
        if (network_layer_has_weights(layer)) {
            draft->plan->macs +=
                network_layer_inputs(layer, in->flow.shape) * plan_values(out->flow.shape);
        }
    }
}

/* The form that suits most: what all readers want, where the writer can write it. Bytes can be
 * turned into everything else. */
static uint8_t primary_form(const struct plan_draft *draft, uint32_t map)
{
    const uint8_t kind = draft->map[map].flow.value;
    int wanted = -1;

    if (kind == NETWORK_VALUE_F32) {
        return PLAN_REAL;
    }
    for (uint32_t i = map; i < draft->count; i++) {
        if (plan_reads(&draft->layers[i], map)) {
            if (wanted >= 0 && wanted != draft->reads[i]) {
                return PLAN_BYTES;
            }
            wanted = draft->reads[i];
        }
    }
    if (wanted == PLAN_REAL) { /* only the input's codes are loaded as floats */
        return map == 0 ? PLAN_REAL : PLAN_BYTES;
    }
    /* The input comes as bytes, and a pool writes what it reads. */
    if (map == 0) {
        return PLAN_BYTES;
    }
    const bool pool = draft->kind[map - 1] == PLAN_POOL && !(map > 1 && draft->fused[map - 2]);
    return pool ? draft->reads[map - 1] : (uint8_t)wanted;
}

static uint16_t add_buffer(struct plan_draft *draft, uint32_t map, uint8_t form)
{
    struct network_plan *plan = draft->plan;
    struct plan_buffer *buffer = &plan->buffer[plan->buffers];

    buffer->flow = draft->map[map].flow;
    buffer->form = form;
    return (uint16_t)plan->buffers++;
}

/* Makes the buffer's border serve the reader too, if it can. */
static bool serves(struct plan_buffer *buffer, const struct network_layer *reader, uint8_t form)
{
    const bool borders = reader->pad[0] != 0 || reader->pad[1] != 0;
    const bool bordered = buffer->pad[0] != 0 || buffer->pad[1] != 0;

    if (buffer->form != form || (borders && bordered && buffer->pad_code != reader->pad_code)) {
        return false;
    }
    if (borders) {
        buffer->pad_code = reader->pad_code;
    }
    for (int i = 0; i < 2; i++) {
        buffer->pad[i] = reader->pad[i] > buffer->pad[i] ? reader->pad[i] : buffer->pad[i];
    }
    return true;
}

/* The buffers of one map, one after the other: the primary one first. */
static void add_buffers(struct plan_draft *draft, uint32_t map)
{
    struct network_plan *plan = draft->plan;
    const uint32_t first = plan->buffers;

    draft->map[map].buffer = add_buffer(draft, map, primary_form(draft, map));
    for (uint32_t i = map; i < draft->count; i++) {
        const struct network_layer *reader = &draft->layers[i];
        uint32_t at = first;

        if (!plan_reads(reader, map)) {
            continue;
        }
        while (at < plan->buffers && !serves(&plan->buffer[at], reader, draft->reads[i])) {
            at++;
        }
        if (at == plan->buffers) {
            add_buffer(draft, map, draft->reads[i]);
            serves(&plan->buffer[at], reader, draft->reads[i]);
        }
        for (int k = 0; k < 2; k++) {
            if ((k == 0 ? reader->input : reader->other) == map) {
                draft->in[i][k] = (uint16_t)at;
            }
        }
    }
}

/* All borders are known. */
static void settle(struct plan_buffer *buffer)
{
    const bool words = buffer->form == PLAN_BITS || buffer->form == PLAN_PLANES;
    const size_t rows = (size_t)buffer->flow.shape.height + 2u * buffer->pad[0];

    buffer->unit = words ? plan_words(buffer->flow.shape.channels) : buffer->flow.shape.channels;
    buffer->row = ((size_t)buffer->flow.shape.width + 2u * buffer->pad[1]) * buffer->unit;
    buffer->plane = buffer->form == PLAN_PLANES ? rows * buffer->row : 0;
    buffer->stride =
        plan_round_up((rows * buffer->row + buffer->plane) * plan_element(buffer->form) +
                      (buffer->form == PLAN_BYTES ? KERNEL_CONV_TAIL : 0));
}

struct plan_step *network_plan_add_step(struct network_plan *plan, uint8_t kind, uint32_t layer,
                                        uint16_t in, uint16_t out)
{
    struct plan_step *step = &plan->step[plan->steps++];

    *step = (struct plan_step){
        .kind = kind,
        .first = (uint8_t)layer,
        .last = (uint8_t)layer,
        .in = {in, PLAN_NONE},
        .out = out,
        .scratch = PLAN_NONE,
    };
    return step;
}

uint16_t network_plan_add_scratch(struct network_plan *plan, size_t bytes)
{
    plan->buffer[plan->buffers] =
        (struct plan_buffer){.scratch = true, .stride = plan_round_up(bytes)};
    return (uint16_t)plan->buffers++;
}

/* Steps that fill the further buffers of a map from its first, right after it is written. */
static void convert(struct plan_draft *draft, uint32_t map, uint32_t end)
{
    struct network_plan *plan = draft->plan;

    for (uint32_t i = draft->map[map].buffer + 1u; i < end; i++) {
        struct plan_step *step = network_plan_add_step(plan, PLAN_CONVERT, map > 0 ? map - 1 : 0,
                                                       draft->map[map].buffer, (uint16_t)i);
        step->convert = draft->map[map].flow.shape;
    }
}

void network_plan_graph(struct plan_draft *draft)
{
    struct network_plan *plan = draft->plan;
    uint32_t end[NETWORK_LAYERS_MAX + 1]; /* of the buffers of each map */

    describe(draft);
    network_plan_choose(draft);
    for (uint32_t map = 0; map <= draft->count; map++) {
        const bool inner = map > 0 && (map == draft->count || draft->fused[map - 1]);

        draft->map[map].buffer = PLAN_NONE;
        if (!inner) {
            add_buffers(draft, map);
        }
        end[map] = plan->buffers;
    }
    for (uint32_t i = 0; i < plan->buffers; i++) {
        settle(&plan->buffer[i]);
    }
    convert(draft, 0, end[0]);
    for (uint32_t i = 0; i < draft->count; i += 1u + draft->fused[i]) {
        const uint32_t map = i + 1u + draft->fused[i];

        network_plan_layer(draft, i);
        if (map < draft->count) {
            convert(draft, map, end[map]);
        }
    }
}
