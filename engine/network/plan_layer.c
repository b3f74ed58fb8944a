/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The step of one layer: its kernel's shape, strides and scratch, once all buffers of maps are laid
 * out. It chooses nothing and packs nothing.
 */
#include "engine/network/plan_internal.h"

#include <string.h>

/* Window of a conv2d or dense layer over the buffer that it reads. */
struct window {
    uint32_t in_c, in_row, kernel_h, kernel_w, stride_y, stride_x;
    uint32_t out_w, out_h;
    bool joined;
};

/* A dense layer over a map without a border takes it as one row of pixels, and the images of a run,
 * which lie one after the other, as the rows of a map: one product for all of them. Over a map with
 * a border it is a convolution as large as the map. */
static struct window window_of(const struct network_layer *layer, const struct plan_buffer *in,
                               struct network_shape out)
{
    const bool bordered = in->pad[0] != 0 || in->pad[1] != 0;

    if (layer->op != NETWORK_OP_DENSE) {
        return (struct window){in->flow.shape.channels,
                               (uint32_t)in->row,
                               layer->kernel[0],
                               layer->kernel[1],
                               layer->stride[0],
                               layer->stride[1],
                               out.width,
                               out.height,
                               false};
    }
    if (bordered) {
        return (struct window){in->flow.shape.channels,
                               (uint32_t)in->row,
                               in->flow.shape.height,
                               in->flow.shape.width,
                               1,
                               1,
                               1,
                               1,
                               false};
    }
    return (struct window){
        .in_c = in->flow.shape.channels,
        .in_row = (uint32_t)(in->stride / plan_element(in->form)),
        .kernel_h = 1,
        .kernel_w = in->flow.shape.height * in->flow.shape.width,
        .stride_y = 1,
        .stride_x = 1,
        .out_w = 1,
        .out_h = 1,
        .joined = true,
    };
}

/* Elements from the start of the buffer, or of its image, to what a layer with `pad` reads first.
 */
static size_t inset(const struct plan_buffer *buffer, const uint16_t pad[2])
{
    return (size_t)(buffer->pad[0] - pad[0]) * buffer->row +
           (size_t)(buffer->pad[1] - pad[1]) * buffer->unit;
}

static void set_codes(struct plan_weighted *weighted, const struct network_layer *layer,
                      struct network_flow coding)
{
    weighted->levels = layer->output == NETWORK_OUTPUT_BINARY    ? 1
                       : layer->output == NETWORK_OUTPUT_TERNARY ? 2
                       : layer->output == NETWORK_OUTPUT_LOG
                           ? (uint8_t)((1u << layer->output_bits) - 1)
                           : 0;
    for (uint32_t n = 0; n <= weighted->levels; n++) {
        weighted->codes[n] = network_code_byte(coding, (uint8_t)n);
    }
}

static void set_conv(struct plan_weighted *weighted, const struct window *window,
                     const struct network_layer *layer, const struct plan_buffer *in, uint32_t pool)
{
    const bool scores = layer->output == NETWORK_OUTPUT_SCORES;
    const bool many = weighted->levels > KERNEL_CONV_LEVELS_MAX;

    weighted->conv = (struct kernel_conv){
        .in_c = window->in_c,
        .in_row = window->in_row,
        .in_max = network_code_bytes(in->flow).peak,
        .kernel_h = window->kernel_h,
        .kernel_w = window->kernel_w,
        .stride_y = window->stride_y,
        .stride_x = window->stride_x,
        .out_w = window->out_w,
        .out_h = window->out_h,
        .out_c = layer->out,
        .pool = pool,
        .output = layer->output == NETWORK_OUTPUT_U7 ? KERNEL_CONV_U7
                  : scores || many                   ? KERNEL_CONV_SUMS
                                                     : KERNEL_CONV_CODES,
        .preshift = layer->preshift,
        .shift = layer->shift,
        .levels = many ? 0 : weighted->levels,
    };
    if (!many) {
        memcpy(weighted->conv.codes, weighted->codes, sizeof weighted->conv.codes);
    }
    weighted->finish = scores ? PLAN_FINISH_SCORES : many ? PLAN_FINISH_CODES : PLAN_FINISH_NONE;
}

/* FOLDED in plan_internal.h; the convolution is set already. */
static void set_fold(struct plan_weighted *weighted)
{
    struct kernel_conv *conv = &weighted->conv;

    weighted->fold_h = conv->kernel_h;
    weighted->fold_y = conv->stride_y;
    conv->out_c *= conv->kernel_h;
    conv->out_h = (conv->out_h - 1) * conv->stride_y + conv->kernel_h;
    conv->kernel_h = conv->stride_y = 1;
}

static void set_gather(struct plan_weighted *weighted, const struct window *window, uint32_t pool)
{
    struct kernel_bits_conv *bits = &weighted->bits;
    const uint32_t taps = window->kernel_h * window->kernel_w;

    weighted->gather = (struct kernel_bits_gather){
        .in_c = window->in_c,
        .in_row = window->in_row,
        .kernel_h = window->kernel_h,
        .kernel_w = window->kernel_w,
        .stride_y = window->stride_y,
        .stride_x = window->stride_x,
        .out_w = window->out_w * pool,
        .out_h = window->out_h * pool,
    };
    bits->in_c = taps * window->in_c;
    bits->in_row = weighted->gather.out_w * plan_words(bits->in_c);
    bits->kernel_h = bits->kernel_w = bits->stride_y = bits->stride_x = 1;
}

static void set_bits(struct plan_weighted *weighted, const struct window *window,
                     const struct network_layer *layer, const struct plan_buffer *in, uint32_t pool,
                     bool to_bits)
{
    const bool fused = layer->output == NETWORK_OUTPUT_BINARY && to_bits;

    weighted->bits = (struct kernel_bits_conv){
        .in_c = window->in_c,
        .in_row = window->in_row,
        .kernel_h = window->kernel_h,
        .kernel_w = window->kernel_w,
        .stride_y = window->stride_y,
        .stride_x = window->stride_x,
        .out_w = window->out_w,
        .out_h = window->out_h,
        .out_c = layer->out,
        .pool = pool,
        .ternary_input = in->flow.value == NETWORK_VALUE_TERNARY,
        .ternary_weights = layer->weights == NETWORK_WEIGHTS_TERNARY,
        .sums = !fused,
    };
    weighted->finish = fused                                    ? PLAN_FINISH_NONE
                       : layer->output == NETWORK_OUTPUT_SCORES ? PLAN_FINISH_SCORES
                       : layer->output == NETWORK_OUTPUT_U7     ? PLAN_FINISH_U7
                                                                : PLAN_FINISH_CODES;
    if (plan_gathers(layer, in->flow.shape)) {
        set_gather(weighted, window, pool);
    }
}

static void set_log(struct plan_weighted *weighted, const struct window *window,
                    const struct network_layer *layer, const struct plan_buffer *in, uint32_t pool)
{
    const bool codes = network_code_bytes(in->flow).codes;
    const bool log = layer->weights == NETWORK_WEIGHTS_LOG;

    weighted->log = (struct kernel_log){
        .in_c = window->in_c,
        .in_row = window->in_row,
        .in_bits = !codes              ? 0
                   : in->flow.bits > 3 ? in->flow.bits
                                       : 3,
        .in_root = codes && in->flow.root,
        .weight_bits = log ? layer->weight_bits : 0,
        .weight_root = log && layer->weight_root,
        .kernel_h = window->kernel_h,
        .kernel_w = window->kernel_w,
        .stride_y = window->stride_y,
        .stride_x = window->stride_x,
        .out_w = window->out_w,
        .out_h = window->out_h,
        .out_c = layer->out,
        .pool = pool,
        .levels = weighted->levels,
    };
    memcpy(weighted->log.codes, weighted->codes, sizeof weighted->codes);
    weighted->finish =
        layer->output == NETWORK_OUTPUT_SCORES ? PLAN_FINISH_WIDE_SCORES : PLAN_FINISH_NONE;
}

/* Parts of the scratch, and the band of output rows that keeps it small. */
static void add_scratch(struct network_plan *plan, struct plan_step *step, uint32_t pool)
{
    struct plan_weighted *weighted = &step->weighted;
    const size_t results = (size_t)weighted->out_w * weighted->out_c;
    const bool sums = weighted->finish == PLAN_FINISH_U7 || weighted->finish == PLAN_FINISH_CODES;
    const size_t patch = weighted->gather.in_c == 0 ? 0
                                                    : (size_t)weighted->bits.in_row * pool *
                                                          (weighted->bits.ternary_input ? 2 : 1);
    const size_t folded = weighted->fold_h * results;
    const size_t row =
        folded * sizeof(int32_t) + patch * sizeof(uint64_t) +
        (sums ? results * sizeof(int32_t) : 0) +
        (weighted->finish == PLAN_FINISH_WIDE_SCORES ? results * sizeof(int64_t) : 0) +
        (weighted->to_bits ? results : 0);
    const uint32_t rows = weighted->joined       ? plan->lanes
                          : weighted->fold_h > 0 ? weighted->conv.out_h
                                                 : weighted->out_h;
    size_t at = 0;

    /* The log kernels are packed for one number of rows. */
    const bool whole = row == 0 || step->kind == PLAN_SHIFT;
    weighted->band = whole ? rows : (uint32_t)(PLAN_BAND_BYTES / row);
    weighted->band = weighted->band < 1 ? 1 : weighted->band > rows ? rows : weighted->band;
    weighted->patches = at;
    at += plan_round_up(weighted->band * patch * sizeof(uint64_t));
    weighted->sums = at;
    at += plan_round_up(weighted->band * folded * sizeof(int32_t));
    at += plan_round_up(weighted->band * results *
                        (sums                                          ? sizeof(int32_t)
                         : weighted->finish == PLAN_FINISH_WIDE_SCORES ? sizeof(int64_t)
                                                                       : 0));
    weighted->bytes = at;
    at += plan_round_up(weighted->to_bits ? weighted->band * results : 0);
    weighted->workspace = at;
    if (step->kind == PLAN_SHIFT) {
        at += plan->kernels.log.workspace_bytes(&weighted->log);
    }
    if (at > 0) {
        step->scratch = network_plan_add_scratch(plan, at);
    }
}

static void add_weighted(struct plan_draft *draft, uint32_t index, uint16_t to)
{
    struct network_plan *plan = draft->plan;
    const struct network_layer *layer = &draft->layers[index];
    const struct plan_buffer *in = &plan->buffer[draft->in[index][0]];
    const uint32_t pool = draft->fused[index] ? 2 : 1;
    const uint8_t kind = draft->kind[index];
    struct network_shape out = draft->map[index + pool].flow.shape;
    struct plan_step *step = network_plan_add_step(plan, kind, index, draft->in[index][0], to);
    struct plan_weighted *weighted = &step->weighted;
    struct window window = window_of(layer, in, out);
    const bool to_bits = to != PLAN_NONE && plan->buffer[to].form != PLAN_BYTES;

    step->last = (uint8_t)(index + pool - 1);
    step->in_at[0] = inset(in, layer->pad);
    set_codes(weighted, layer, draft->map[index + 1].flow);
    if (kind == PLAN_CONV) {
        set_conv(weighted, &window, layer, in, pool);
        if (layer->op == NETWORK_OP_CONV && layer->output == NETWORK_OUTPUT_SCORES &&
            layer->out <= PLAN_FOLD_MAX && layer->kernel[0] > 1) {
            set_fold(weighted);
        }
    } else if (kind == PLAN_COUNT) {
        set_bits(weighted, &window, layer, in, pool, to_bits);
    } else {
        set_log(weighted, &window, layer, in, pool);
    }
    weighted->to_bits = to_bits && !(kind == PLAN_COUNT && weighted->finish == PLAN_FINISH_NONE);
    weighted->joined = window.joined && kind != PLAN_SHIFT;
    weighted->out_w = window.out_w;
    weighted->out_h = window.out_h;
    weighted->out_c = layer->out;
    weighted->in_rows = window.stride_y * pool;
    add_scratch(plan, step, pool);
}

static void add_float(struct plan_draft *draft, uint32_t index, uint16_t to)
{
    struct network_plan *plan = draft->plan;
    const struct network_layer *layer = &draft->layers[index];
    const struct plan_buffer *in = &plan->buffer[draft->in[index][0]];
    struct plan_step *step =
        network_plan_add_step(plan, draft->kind[index], index, draft->in[index][0], to);
    struct window window = window_of(layer, in, draft->map[index + 1].flow.shape);
    const size_t scores =
        (size_t)window.out_w * window.out_h * layer->out * sizeof(float) * plan->lanes;

    step->in_at[0] = inset(in, layer->pad);
    step->real.joined = window.joined;
    step->real.kernel = (struct kernel_real){
        .in_c = window.in_c,
        .in_row = window.in_row,
        .kernel_h = window.kernel_h,
        .kernel_w = window.kernel_w,
        .stride_y = window.stride_y,
        .stride_x = window.stride_x,
        .out_w = window.out_w,
        .out_h = window.out_h,
        .out_c = layer->op == NETWORK_OP_DEPTHWISE ? in->flow.shape.channels : layer->out,
        .relu = layer->relu,
    };
    if (to == PLAN_NONE) {
        step->scratch = network_plan_add_scratch(plan, scores);
    }
}

static void add_depthwise(struct plan_draft *draft, uint32_t index, uint16_t to)
{
    const struct network_layer *layer = &draft->layers[index];
    const struct plan_buffer *in = &draft->plan->buffer[draft->in[index][0]];
    const struct network_shape out = draft->map[index + 1].flow.shape;
    struct plan_step *step =
        network_plan_add_step(draft->plan, PLAN_DEPTHWISE, index, draft->in[index][0], to);

    step->in_at[0] = inset(in, layer->pad);
    step->depthwise = (struct kernel_depthwise){
        .channels = in->flow.shape.channels,
        .in_row = (uint32_t)in->row,
        .kernel_h = layer->kernel[0],
        .kernel_w = layer->kernel[1],
        .stride_y = layer->stride[0],
        .stride_x = layer->stride[1],
        .out_w = out.width,
        .out_h = out.height,
        .preshift = layer->preshift,
        .shift = layer->shift,
    };
}

static void add_pool(struct plan_draft *draft, uint32_t index, uint16_t to)
{
    static const uint16_t no_pad[2] = {0, 0};
    const struct network_layer *layer = &draft->layers[index];
    const struct plan_buffer *in = &draft->plan->buffer[draft->in[index][0]];
    const struct plan_buffer *out = &draft->plan->buffer[to];
    const bool whole = layer->op == NETWORK_OP_GLOBALAVGPOOL;
    struct plan_step *step =
        network_plan_add_step(draft->plan, PLAN_POOL, index, draft->in[index][0], to);

    step->in_at[0] = inset(in, no_pad);
    step->pool = (struct kernel_pool){
        .channels = (uint32_t)in->unit,
        .window_h = whole ? in->flow.shape.height : layer->kernel[0],
        .window_w = whole ? in->flow.shape.width : layer->kernel[1],
        .stride_y = whole ? 1 : layer->stride[0],
        .stride_x = whole ? 1 : layer->stride[1],
        .out_h = out->flow.shape.height,
        .out_w = out->flow.shape.width,
        .in_row = in->row,
        .out_row = out->row,
    };
}

static void add_add(struct plan_draft *draft, uint32_t index, uint16_t to)
{
    static const uint16_t no_pad[2] = {0, 0};
    const struct network_layer *layer = &draft->layers[index];
    const struct plan_buffer *buffers = draft->plan->buffer;
    const uint16_t *in = draft->in[index];
    struct plan_step *step = network_plan_add_step(draft->plan, PLAN_ADD, index, in[0], to);

    step->in[1] = in[1];
    for (int i = 0; i < 2; i++) {
        step->in_at[i] = inset(&buffers[in[i]], no_pad);
    }
    step->add = (struct kernel_add){
        .width = buffers[to].flow.shape.width * buffers[to].flow.shape.channels,
        .height = buffers[to].flow.shape.height,
        .a_row = buffers[in[0]].row,
        .b_row = buffers[in[1]].row,
        .out_row = buffers[to].row,
        .mult = {layer->add_mult[0], layer->add_mult[1]},
        .shift = layer->shift,
        .relu = layer->relu,
    };
}

void network_plan_layer(struct plan_draft *draft, uint32_t index)
{
    const uint16_t to = draft->map[index + 1u + draft->fused[index]].buffer;

    switch (draft->kind[index]) {
    case PLAN_CONV:
    case PLAN_COUNT:
    case PLAN_SHIFT:
        add_weighted(draft, index, to);
        break;
    case PLAN_DEPTHWISE:
        add_depthwise(draft, index, to);
        break;
    case PLAN_POOL:
        add_pool(draft, index, to);
        break;
    case PLAN_ADD:
        add_add(draft, index, to);
        break;
    default:
        add_float(draft, index, to);
        break;
    }
}
