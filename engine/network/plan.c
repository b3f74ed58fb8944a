/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Lays a model out for a kernel table: which kernels run in which order, where each activation lies
 * in the arena, and the weights in the kernels' own packing. It runs nothing. Layers form a chain,
 * so two activations are alive at a time: they lie at alternating ends of the arena.
 */
#include "engine/network/plan_internal.h"

#include <errno.h>
#include <stdlib.h>

#define ALIGNMENT 64u

/* Largest code of the input that the first layer gets; 0 of f32. */
static uint8_t input_peak(const struct network_input *input)
{
    static const uint8_t peaks[] = {
        [GRADIENT_CODING_TERNARY] = 1,
        [GRADIENT_CODING_SEVEN] = 3,
        [GRADIENT_CODING_U7] = 127,
        [GRADIENT_CODING_F32] = 0,
    };

    return peaks[input->front.coding];
}

static size_t round_up(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* Where planning is. The newest buffer's shape, type and offset are known, its border is not yet.
 */
struct cursor {
    struct network_plan *plan;
    struct plan_buffer *in;
};

/* The newest buffer's reader is known: its layout follows. The loader bounds all products. */
static void settle(struct plan_buffer *buffer, const struct network_layer *reader)
{
    if (reader != NULL && reader->op == NETWORK_OP_CONV) {
        buffer->pad[0] = reader->pad[0];
        buffer->pad[1] = reader->pad[1];
        buffer->pad_code = (uint8_t)(reader->pad_code + buffer->offset);
    }
    buffer->row = ((size_t)buffer->shape.width + 2u * buffer->pad[1]) * buffer->shape.channels;
    buffer->bytes = round_up(((size_t)buffer->shape.height + 2u * buffer->pad[0]) * buffer->row *
                                 plan_element(buffer) +
                             KERNEL_CONV_TAIL);
}

/* Adds a step from the newest buffer to a new one. */
static struct plan_step *add_step(struct cursor *cursor, uint8_t kind, uint32_t layer,
                                  struct network_shape out, uint8_t type)
{
    struct network_plan *plan = cursor->plan;
    struct plan_step *step = &plan->step[plan->steps++];

    step->kind = kind;
    step->layer = layer;
    cursor->in = &plan->buffer[plan->steps];
    cursor->in->shape = out;
    cursor->in->type = type;
    return step;
}

static bool is_2x2(const struct network_layer *layer)
{
    return layer->op == NETWORK_OP_MAXPOOL && layer->kernel[0] == 2 && layer->kernel[1] == 2 &&
           layer->stride[0] == 2 && layer->stride[1] == 2;
}

/* Whether the convolution may take the maximum itself: only where requantisation is monotone. */
static bool fuses(const struct network_plan *plan, uint32_t index)
{
    const struct network_point *point = plan->point;
    const struct network_layer *layer = &point->layers[index];

    if (layer->op != NETWORK_OP_CONV || index + 1 == point->layer_count ||
        !is_2x2(&point->layers[index + 1])) {
        return false;
    }
    for (uint32_t o = 0; o < layer->out; o++) {
        if (layer->mult[o] <= 0) {
            return false;
        }
    }
    return true;
}

/* Rows and columns that a kernel's window takes of its input; dense takes all as one row. */
static void window_of(const struct network_layer *layer, struct network_shape in, uint32_t *in_c,
                      uint32_t kernel[2], uint32_t stride[2])
{
    const bool conv = layer->op == NETWORK_OP_CONV;

    *in_c = conv ? in.channels : in.height * in.width * in.channels;
    for (int i = 0; i < 2; i++) {
        kernel[i] = conv ? layer->kernel[i] : 1;
        stride[i] = conv ? layer->stride[i] : 1;
    }
}

static void plan_conv(struct cursor *cursor, uint32_t index, uint8_t peak, struct network_shape out,
                      bool fused)
{
    const struct network_layer *layer = &cursor->plan->point->layers[index];
    const struct plan_buffer *in = cursor->in;
    struct plan_step *step =
        add_step(cursor, PLAN_CONV, index + (fused ? 1 : 0), out, NETWORK_TYPE_U8);
    uint32_t kernel[2], stride[2];

    step->conv = (struct kernel_conv){
        .in_row = (uint32_t)in->row,
        .in_max = peak + (uint32_t)in->offset,
        .out_w = out.width,
        .out_h = out.height,
        .out_c = out.channels,
        .pool = fused ? 2 : 1,
        .preshift = layer->preshift,
        .shift = layer->shift,
        .output = layer->output == NETWORK_OUTPUT_U7 ? KERNEL_CONV_U7 : KERNEL_CONV_SUMS,
    };
    window_of(layer, in->shape, &step->conv.in_c, kernel, stride);
    step->conv.kernel_h = kernel[0];
    step->conv.kernel_w = kernel[1];
    step->conv.stride_y = stride[0];
    step->conv.stride_x = stride[1];
}

static void plan_real(struct cursor *cursor, uint32_t index, struct network_shape out)
{
    const struct network_layer *layer = &cursor->plan->point->layers[index];
    const struct plan_buffer *in = cursor->in;
    struct plan_step *step = add_step(cursor, PLAN_REAL, index, out, NETWORK_TYPE_F32);
    uint32_t kernel[2], stride[2];

    step->real = (struct kernel_real){
        .in_row = (uint32_t)in->row,
        .out_w = out.width,
        .out_h = out.height,
        .out_c = out.channels,
        .relu = layer->relu,
    };
    window_of(layer, in->shape, &step->real.in_c, kernel, stride);
    step->real.kernel_h = kernel[0];
    step->real.kernel_w = kernel[1];
    step->real.stride_y = stride[0];
    step->real.stride_x = stride[1];
}

static void plan_pool(struct cursor *cursor, uint32_t index, struct network_shape out)
{
    const struct network_layer *layer = &cursor->plan->point->layers[index];
    const struct plan_buffer *in = cursor->in;
    const bool whole = layer->op == NETWORK_OP_GLOBALAVGPOOL;
    struct plan_step *step = add_step(cursor, PLAN_POOL, index, out, in->type);

    step->pool = (struct kernel_pool){
        .channels = out.channels,
        .window_h = whole ? in->shape.height : layer->kernel[0],
        .window_w = whole ? in->shape.width : layer->kernel[1],
        .stride_y = whole ? 1 : layer->stride[0],
        .stride_x = whole ? 1 : layer->stride[1],
        .out_h = out.height,
        .out_w = out.width,
        .in_row = in->row,
    };
}

/* Plans the layer at `index` and returns how many layers that covers. */
static uint32_t plan_layer(struct cursor *cursor, uint32_t index)
{
    const struct network_point *point = cursor->plan->point;
    const struct network_layer *layer = &point->layers[index];
    struct network_shape in = cursor->in->shape, out = in;

    /* It was computed once already, by the loader: it cannot fail. */
    network_layer_shape(layer, in, &out, NULL);
    if (!network_layer_has_weights(layer)) {
        settle(cursor->in, NULL);
        plan_pool(cursor, index, out);
        return 1;
    }
    if (layer->weights == NETWORK_WEIGHTS_F32) {
        if (cursor->in->type != NETWORK_TYPE_F32) {
            settle(cursor->in, NULL);
            add_step(cursor, PLAN_CONVERT, index, in, NETWORK_TYPE_F32);
        }
        settle(cursor->in, layer);
        plan_real(cursor, index, out);
    } else {
        bool fused = fuses(cursor->plan, index);
        uint8_t peak = index == 0 ? input_peak(&point->input) : 127;

        cursor->in->offset = peak < 127 ? peak : 0;
        settle(cursor->in, layer);
        if (fused) {
            network_layer_shape(&point->layers[index + 1], out, &out, NULL);
        }
        plan_conv(cursor, index, peak, out, fused);
        return fused ? 2 : 1;
    }
    return 1;
}

/* Neighbours in the chain lie at opposite ends, so that they never overlap. */
static void place_buffers(struct network_plan *plan)
{
    plan->arena_bytes = plan->buffer[0].bytes;
    for (uint32_t i = 1; i <= plan->steps; i++) {
        size_t pair = plan->buffer[i - 1].bytes + plan->buffer[i].bytes;

        plan->arena_bytes = pair > plan->arena_bytes ? pair : plan->arena_bytes;
    }
    for (uint32_t i = 0; i <= plan->steps; i++) {
        plan->buffer[i].at = i % 2 == 0 ? 0 : plan->arena_bytes - plan->buffer[i].bytes;
    }
}

static void lay_out(struct network_plan *plan)
{
    const struct network_point *point = plan->point;
    struct cursor cursor = {.plan = plan, .in = &plan->buffer[0]};
    const bool is_float = point->input.front.coding == GRADIENT_CODING_F32 ||
                          (network_layer_has_weights(&point->layers[0]) &&
                           point->layers[0].weights == NETWORK_WEIGHTS_F32);

    cursor.in->shape = network_input_shape(&point->input);
    cursor.in->type = is_float ? NETWORK_TYPE_F32 : NETWORK_TYPE_U8;
    for (uint32_t i = 0; i < point->layer_count;) {
        i += plan_layer(&cursor, i);
    }
    settle(cursor.in, NULL);
    for (uint32_t i = 0; i < plan->steps; i++) {
        if (plan->step[i].kind == PLAN_POOL) {
            plan->step[i].pool.out_row = plan->buffer[i + 1].row;
        }
    }
    place_buffers(plan);
}

static size_t packed_bytes(const struct network_plan *plan, const struct plan_step *step)
{
    switch (step->kind) {
    case PLAN_CONV:
        return round_up(plan->kernels.conv.packed_bytes(&step->conv));
    case PLAN_REAL:
        return round_up(plan->kernels.real.packed_bytes(&step->real));
    default:
        return 0;
    }
}

/* The kernel sees codes with the offset added: what that adds to every sum is taken off the bias.
 */
static int pack_conv(const struct network_plan *plan, const struct plan_step *step, uint8_t offset,
                     void *packed)
{
    const struct network_layer *layer =
        &plan->point->layers[step->layer - (step->conv.pool == 2 ? 1 : 0)];
    const size_t count = (size_t)step->conv.kernel_h * step->conv.kernel_w * step->conv.in_c;
    int32_t *bias = malloc(layer->out * sizeof *bias);

    if (bias == NULL) {
        return -ENOMEM;
    }
    for (uint32_t o = 0; o < layer->out; o++) {
        int64_t sum = 0;

        for (size_t i = 0; i < count; i++) {
            sum += layer->weight_s8[o * count + i];
        }
        bias[o] = (int32_t)(layer->bias_s32[o] - offset * sum);
    }
    plan->kernels.conv.pack(&step->conv, layer->weight_s8, bias, layer->mult, NULL, packed);
    free(bias);
    return 0;
}

static int pack(struct network_plan *plan)
{
    size_t total = ALIGNMENT;

    for (uint32_t i = 0; i < plan->steps; i++) {
        total += packed_bytes(plan, &plan->step[i]);
    }
    plan->packed = aligned_alloc(ALIGNMENT, total);
    if (plan->packed == NULL) {
        return -ENOMEM;
    }

    uint8_t *to = plan->packed;
    for (uint32_t i = 0; i < plan->steps; i++) {
        struct plan_step *step = &plan->step[i];
        const struct network_layer *layer = &plan->point->layers[step->layer];

        step->packed = to;
        if (step->kind == PLAN_CONV) {
            int result = pack_conv(plan, step, plan->buffer[i].offset, to);
            if (result < 0) {
                return result;
            }
        } else if (step->kind == PLAN_REAL) {
            plan->kernels.real.pack(&step->real, layer->weight_f32, layer->bias_f32, to);
        }
        to += packed_bytes(plan, step);
    }
    return 0;
}

int network_plan_create(const struct network_model *model, uint32_t point,
                        const struct kernel_table *kernels, struct network_plan **ret_plan)
{
    struct network_plan *plan = calloc(1, sizeof *plan);

    if (plan == NULL) {
        return -ENOMEM;
    }
    plan->model = model;
    plan->point = &model->points[point];
    plan->kernels = *kernels;
    lay_out(plan);
    int result = pack(plan);
    if (result < 0) {
        network_plan_destroy(plan);
        return result;
    }
    *ret_plan = plan;
    return 0;
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
    size_t bytes = 0;

    for (uint32_t i = 0; i < plan->steps; i++) {
        bytes += packed_bytes(plan, &plan->step[i]);
    }
    return bytes;
}

uint64_t network_plan_macs(const struct network_plan *plan)
{
    return plan->model->macs[plan->point - plan->model->points];
}
