/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Places all buffers in one arena: those that are alive at the same step apart, the others wherever
 * there is room, the largest first, each at the lowest place where it fits.
 */
#include "engine/network/plan_internal.h"

static void touch(struct network_plan *plan, uint16_t index, uint32_t step)
{
    if (index != PLAN_NONE) {
        struct plan_buffer *buffer = &plan->buffer[index];

        buffer->first = step < buffer->first ? (uint16_t)step : buffer->first;
        buffer->last = step > buffer->last ? (uint16_t)step : buffer->last;
    }
}

static void find_lifetimes(struct network_plan *plan)
{
    for (uint32_t i = 0; i < plan->buffers; i++) {
        struct plan_buffer *buffer = &plan->buffer[i];

        buffer->first = UINT16_MAX;
        buffer->last = 0;
        buffer->bytes = buffer->stride * (buffer->scratch ? 1 : plan->lanes);
    }
    touch(plan, 0, 0); /* the input is there before the first step */
    for (uint32_t i = 0; i < plan->steps; i++) {
        touch(plan, plan->step[i].in[0], i);
        touch(plan, plan->step[i].in[1], i);
        touch(plan, plan->step[i].out, i);
        touch(plan, plan->step[i].scratch, i);
    }
}

static bool overlap(const struct plan_buffer *a, const struct plan_buffer *b)
{
    return a->first <= b->last && b->first <= a->last && a->at < b->at + b->bytes &&
           b->at < a->at + a->bytes;
}

/* The lowest place beside the `count` that have one. */
static void place(struct network_plan *plan, struct plan_buffer *buffer, const uint16_t *placed,
                  uint32_t count)
{
    bool moved = true;

    buffer->at = 0;
    while (moved) {
        moved = false;
        for (uint32_t i = 0; i < count; i++) {
            const struct plan_buffer *other = &plan->buffer[placed[i]];

            if (overlap(buffer, other)) {
                buffer->at = other->at + other->bytes;
                moved = true;
            }
        }
    }
    if (buffer->at + buffer->bytes > plan->arena_bytes) {
        plan->arena_bytes = buffer->at + buffer->bytes;
    }
}

void network_plan_arena(struct network_plan *plan)
{
    uint16_t order[PLAN_BUFFERS_MAX];

    find_lifetimes(plan);
    for (uint32_t i = 0; i < plan->buffers; i++) {
        uint32_t at = i;

        for (; at > 0 && plan->buffer[order[at - 1]].bytes < plan->buffer[i].bytes; at--) {
            order[at] = order[at - 1];
        }
        order[at] = (uint16_t)i;
    }
    for (uint32_t i = 0; i < plan->buffers; i++) {
        place(plan, &plan->buffer[order[i]], order, i);
    }
}
