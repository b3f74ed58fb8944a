/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Plans as others see them: made from a model and a kernel table, asked for their sizes, given new
 * weights between runs. It runs nothing.
 */
#include "engine/network/plan_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The model's own weights: one block, a group after the other. */
static int pack_own(struct network_plan *plan)
{
    uint8_t *to;

    for (uint32_t i = 0; i < plan->steps; i++) {
        network_plan_lay_group(plan, &plan->step[i]);
        plan->packed_bytes += plan->step[i].group.bytes;
    }
    to = plan->packed = aligned_alloc(PLAN_ALIGNMENT, plan->packed_bytes);
    if (to == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < plan->steps; i++) {
        struct plan_step *step = &plan->step[i];

        if (step->group.bytes > 0) {
            int result = network_plan_pack_step(plan, step, &plan->layers[step->first], to);
            if (result < 0) {
                return result;
            }
            step->own = step->packed = to;
            to += step->group.bytes;
        }
    }
    return 0;
}

int network_plan_create_over(const struct network_model *model, uint32_t point,
                             const struct network_layer *layers, uint32_t width, uint32_t height,
                             uint32_t lanes, const struct kernel_table *kernels,
                             struct network_plan **ret_plan)
{
    struct network_plan *plan = calloc(1, sizeof *plan);

    if (plan == NULL) {
        return -ENOMEM;
    }
    plan->model = model;
    plan->point = &model->points[point];
    plan->layers = layers;
    plan->input = network_input_shape(&plan->point->input);
    plan->input.width = width;
    plan->input.height = height;
    plan->labels = model->description.label_count;
    plan->lanes = lanes;
    plan->kernels = *kernels;

    struct plan_draft draft = {.plan = plan, .layers = layers, .count = plan->point->layer_count};
    network_plan_graph(&draft);
    network_plan_arena(plan);
    int result = pack_own(plan);
    if (result < 0) {
        network_plan_destroy(plan);
        return result;
    }
    *ret_plan = plan;
    return 0;
}

int network_plan_create(const struct network_model *model, uint32_t point, uint32_t lanes,
                        const struct kernel_table *kernels, struct network_plan **ret_plan)
{
    const struct network_point *of = &model->points[point];

    return network_plan_create_over(model, point, of->layers, of->input.target.width,
                                    of->input.target.height, lanes, kernels, ret_plan);
}

void network_plan_destroy(struct network_plan *plan)
{
    if (plan != NULL) {
        free(plan->packed);
        free(plan);
    }
}

size_t network_plan_arena_bytes(const struct network_plan *plan)
{
    return plan->arena_bytes;
}

size_t network_plan_packed_bytes(const struct network_plan *plan)
{
    return plan->packed_bytes;
}

uint64_t network_plan_macs(const struct network_plan *plan)
{
    return plan->macs;
}

/* Index of the step that has the weights of `layer`; the number of steps where there is none. */
static uint32_t step_of(const struct network_plan *plan, uint32_t layer)
{
    uint32_t i = 0;

    while (i < plan->steps && (plan->step[i].first != layer || plan->step[i].group.bytes == 0)) {
        i++;
    }
    return i;
}

size_t network_plan_group_bytes(const struct network_plan *plan, uint32_t layer)
{
    const uint32_t i = step_of(plan, layer);

    return i < plan->steps ? plan->step[i].group.bytes : 0;
}

/* Whether both have the same shape and codings: what differs is only in the arrays, and in the
 * shifts of a requantisation. */
static bool alike(const struct network_layer *a, const struct network_layer *b)
{
    return a->op == b->op && a->weights == b->weights && a->output == b->output &&
           a->relu == b->relu && a->weight_bits == b->weight_bits &&
           a->output_bits == b->output_bits && a->weight_root == b->weight_root &&
           a->output_root == b->output_root && a->pad_code == b->pad_code &&
           memcmp(a->kernel, b->kernel, sizeof a->kernel) == 0 &&
           memcmp(a->stride, b->stride, sizeof a->stride) == 0 &&
           memcmp(a->pad, b->pad, sizeof a->pad) == 0 && a->out == b->out;
}

/* Shifts as the file may have them. */
static bool shifts_fit(const struct network_layer *values)
{
    const bool requantises = values->mult != NULL;

    return !requantises || (values->preshift <= 30 && values->shift >= 1 && values->shift <= 31 &&
                            values->narrow <= 62);
}

/* Whether the model would be loaded with these values. */
static bool keeps_bounds(const struct network_plan *plan, uint32_t layer,
                         const struct network_layer *values)
{
    struct network_layer layers[NETWORK_LAYERS_MAX];
    struct network_point point = *plan->point;
    const char *reason;
    uint64_t macs;

    memcpy(layers, point.layers, point.layer_count * sizeof *layers);
    layers[layer] = *values;
    layers[layer].input = point.layers[layer].input;
    layers[layer].name = point.layers[layer].name;
    point.layers = layers;
    return network_model_check(&point, plan->labels, &macs, &reason) == 0;
}

int network_plan_pack(const struct network_plan *plan, uint32_t layer,
                      const struct network_layer *values, void *to)
{
    const uint32_t i = step_of(plan, layer);
    const struct plan_step *step = &plan->step[i];

    if (i == plan->steps || !alike(values, &plan->point->layers[layer]) || !shifts_fit(values) ||
        !keeps_bounds(plan, layer, values)) {
        return -EINVAL;
    }
    if (step->first != step->last && values->output == NETWORK_OUTPUT_U7) {
        for (uint32_t o = 0; o < values->out; o++) {
            if (values->mult[o] <= 0) {
                return -EINVAL;
            }
        }
    }
    return network_plan_pack_step(plan, step, values, to);
}

int network_plan_use(struct network_plan *plan, uint32_t layer, const void *packed)
{
    const uint32_t i = step_of(plan, layer);
    struct plan_step *step = &plan->step[i];
    const struct plan_head *head = packed;

    if (i == plan->steps || (head != NULL && head->layout != step->group.layout)) {
        return -EINVAL;
    }
    step->packed = packed != NULL ? packed : step->own;
    return 0;
}

void network_plan_publish(struct network_plan *plan, uint64_t generation)
{
    plan->generation = generation;
}

uint64_t network_plan_generation(const struct network_plan *plan)
{
    return plan->generation;
}
