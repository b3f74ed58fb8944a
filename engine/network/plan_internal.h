/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* What plan.c lays out and run.c follows. Not for use outside engine/network. */
#ifndef OCELLUS_ENGINE_NETWORK_PLAN_INTERNAL_H
#define OCELLUS_ENGINE_NETWORK_PLAN_INTERNAL_H

#include "engine/kernel/kernel.h"
#include "engine/network/model_internal.h"
#include "engine/network/plan.h"

/*
 * One activation in the arena: a map with the border that its reader pads with, and
 * KERNEL_CONV_TAIL readable bytes behind it. Integers are stored as uint8 with `offset` added.
 */
struct plan_buffer {
    struct network_shape shape; /* without the border */
    uint16_t pad[2];
    uint8_t type; /* NETWORK_TYPE_U8 or _F32 */
    uint8_t offset;
    uint8_t pad_code; /* as stored */
    size_t row;       /* elements */
    size_t bytes;     /* with border and tail, a multiple of 64 */
    size_t at;        /* in the arena */
};

enum plan_kind {
    PLAN_CONV = 0, /* and dense */
    PLAN_REAL,
    PLAN_POOL,
    PLAN_CONVERT, /* integers to floats, in front of the first float layer */
};

/* Reads buffers[i], writes buffers[i + 1], i being the index of the step; the last one writes
 * scores. */
struct plan_step {
    uint8_t kind;   /* enum plan_kind */
    uint32_t layer; /* the last one that it covers: a fused pool comes after its convolution */
    const void *packed;
    union {
        struct kernel_conv conv;
        struct kernel_real real;
        struct kernel_pool pool;
    };
};

/* Each layer is a step at most, and one conversion may stand between two. */
#define PLAN_STEPS_MAX (NETWORK_LAYERS_MAX + 1)

struct network_plan {
    const struct network_model *model;
    const struct network_point *point; /* the model's */
    struct kernel_table kernels;
    uint32_t steps;
    struct plan_step step[PLAN_STEPS_MAX];
    struct plan_buffer buffer[PLAN_STEPS_MAX + 1];
    size_t arena_bytes;
    void *packed; /* one block for all steps */
};

static inline size_t plan_element(const struct plan_buffer *buffer)
{
    return buffer->type == NETWORK_TYPE_U8 ? 1 : sizeof(float);
}

#endif
