/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What flows between layers: shapes, and what the codes of a map stand for. It looks at no weights.
 */
#include "engine/network/model_internal.h"

#include <errno.h>

#define THERMOMETER_NARROW_MAX 63u /* levels that every kind of weights may read */

/* *ret_reason of the public function may be NULL. */
static int refuse(const char **ret_reason, int error, const char *reason)
{
    if (ret_reason != NULL) {
        *ret_reason = reason;
    }
    return error;
}

struct network_shape network_input_shape(const struct network_input *input)
{
    return (struct network_shape){
        .height = input->target.height,
        .width = input->target.width,
        .channels = gradient_channels(&input->front),
    };
}

struct network_flow network_input_flow(const struct network_input *input)
{
    static const uint8_t values[] = {
        [GRADIENT_CODING_TERNARY] = NETWORK_VALUE_TERNARY,
        [GRADIENT_CODING_SEVEN] = NETWORK_VALUE_SEVEN,
        [GRADIENT_CODING_U7] = NETWORK_VALUE_U7,
        [GRADIENT_CODING_F32] = NETWORK_VALUE_F32,
        [GRADIENT_CODING_THERMOMETER] = NETWORK_VALUE_THERMOMETER,
    };

    return (struct network_flow){.shape = network_input_shape(input),
                                 .value = values[input->front.coding],
                                 .levels = input->front.levels};
}

static bool too_big(uint64_t height, uint64_t width, uint64_t channels)
{
    uint64_t values;

    return __builtin_mul_overflow(height, width, &values) ||
           __builtin_mul_overflow(values, channels, &values) || values > NETWORK_VALUES_MAX;
}

static int window_shape(const struct network_layer *layer, struct network_shape in,
                        struct network_shape *out, const char **ret_reason)
{
    uint64_t height = in.height + 2ull * layer->pad[0], width = in.width + 2ull * layer->pad[1];

    if (layer->kernel[0] < 1 || layer->kernel[1] < 1 || layer->stride[0] < 1 ||
        layer->stride[1] < 1) {
        return refuse(ret_reason, -EBADMSG, "A layer has a kernel or stride of zero.");
    }
    if (height < layer->kernel[0] || width < layer->kernel[1]) {
        return refuse(ret_reason, -EBADMSG, "A layer's kernel is larger than its input.");
    }
    if (too_big(height, width, in.channels)) {
        return refuse(ret_reason, -EFBIG, "A layer's input is too large.");
    }
    out->height = (uint32_t)((height - layer->kernel[0]) / layer->stride[0] + 1);
    out->width = (uint32_t)((width - layer->kernel[1]) / layer->stride[1] + 1);
    return 0;
}

int network_layer_shape(const struct network_layer *layer, struct network_shape in,
                        struct network_shape *ret_out, const char **ret_reason)
{
    struct network_shape out = {1, 1, in.channels};
    uint64_t window = (uint64_t)layer->kernel[0] * layer->kernel[1];
    int result = 0;

    if (too_big(in.height, in.width, in.channels)) {
        return refuse(ret_reason, -EFBIG, "A layer's input is too large.");
    }
    if (layer->op == NETWORK_OP_GLOBALAVGPOOL) {
        window = (uint64_t)in.height * in.width;
    } else if (layer->op == NETWORK_OP_ADD) {
        out = in;
    } else if (layer->op != NETWORK_OP_DENSE) {
        result = window_shape(layer, in, &out, ret_reason);
    }
    if (result == 0 && network_layer_is_pool(layer) && window > NETWORK_POOL_MAX) {
        result = refuse(ret_reason, -EFBIG, "A pool's window is too large.");
    }
    if (layer->op == NETWORK_OP_CONV || layer->op == NETWORK_OP_DENSE) {
        out.channels = layer->out;
    }
    if (result == 0 && too_big(out.height, out.width, out.channels)) {
        result = refuse(ret_reason, -EFBIG, "A layer's output is too large.");
    }
    if (result == 0) {
        *ret_out = out;
    }
    return result;
}

uint64_t network_layer_inputs(const struct network_layer *layer, struct network_shape in)
{
    const uint64_t window = (uint64_t)layer->kernel[0] * layer->kernel[1];

    switch (layer->op) {
    case NETWORK_OP_DENSE:
        return (uint64_t)in.height * in.width * in.channels;
    case NETWORK_OP_DEPTHWISE:
        return window;
    default:
        return window * in.channels;
    }
}

uint64_t network_codes_row(const struct network_layer *layer, uint64_t inputs)
{
    if (layer->weights != NETWORK_WEIGHTS_LOG) {
        return (inputs + 7) / 8;
    }
    return layer->weight_bits <= 4 ? (inputs + 1) / 2 : inputs;
}

bool network_layer_is_wide(const struct network_layer *layer, const struct network_flow *in)
{
    const bool weights = layer->weights == NETWORK_WEIGHTS_LOG;

    return (weights && (layer->weight_root || layer->weight_bits > 4)) ||
           (in->value == NETWORK_VALUE_LOG && (in->root || in->bits > 3));
}

uint32_t network_layer_levels(const struct network_layer *layer)
{
    if (!network_layer_has_weights(layer) || layer->weights == NETWORK_WEIGHTS_F32) {
        return 0;
    }
    switch (layer->output) {
    case NETWORK_OUTPUT_TERNARY:
        return 2;
    case NETWORK_OUTPUT_BINARY:
        return 1;
    case NETWORK_OUTPUT_LOG:
        /* More is refused elsewhere, but by the writer only once it was written. */
        return layer->output_bits <= 5 ? (1u << layer->output_bits) - 1 : 0;
    default:
        return 0;
    }
}

/* Whether the activation and the place of a layer suit its output. */
static bool output_fits(const struct network_layer *layer, bool wide)
{
    switch (layer->output) {
    case NETWORK_OUTPUT_SCORES:
        /* Of a conv only where a scan has made a dense layer one: the model's check asks. */
        return layer->op != NETWORK_OP_DEPTHWISE && !layer->relu && (wide || layer->narrow == 0);
    case NETWORK_OUTPUT_F32:
        return layer->weights == NETWORK_WEIGHTS_F32;
    case NETWORK_OUTPUT_U7:
        return layer->relu && !wide && layer->narrow == 0;
    case NETWORK_OUTPUT_LOG:
        return layer->relu;
    default:
        return !layer->relu;
    }
}

static bool pad_fits(const struct network_layer *layer, const struct network_flow *in)
{
    switch (in->value) {
    case NETWORK_VALUE_TERNARY:
    case NETWORK_VALUE_SEVEN:
        return layer->pad_code == 0;
    case NETWORK_VALUE_THERMOMETER:
        return layer->pad_code <= in->levels;
    case NETWORK_VALUE_BINARY:
        return layer->pad_code <= 1;
    case NETWORK_VALUE_LOG:
        return layer->pad_code < 1u << in->bits;
    default:
        return layer->pad_code <= 127;
    }
}

static int weights_fit(const struct network_layer *layer, const struct network_flow *in,
                       const char **ret_reason)
{
    const bool is_float = layer->weights == NETWORK_WEIGHTS_F32;
    const bool one_bit =
        layer->weights == NETWORK_WEIGHTS_BINARY || layer->weights == NETWORK_WEIGHTS_TERNARY;

    if (!is_float && in->value == NETWORK_VALUE_F32) {
        return refuse(ret_reason, -EBADMSG, "A layer with integer weights cannot read floats.");
    }
    if (layer->op == NETWORK_OP_DEPTHWISE && !is_float &&
        (layer->weights != NETWORK_WEIGHTS_S8 || in->value != NETWORK_VALUE_U7 ||
         layer->output != NETWORK_OUTPUT_U7)) {
        return refuse(ret_reason, -EBADMSG, "A depthwise layer is s8 from u7 to u7, or f32.");
    }
    if (!is_float && !one_bit && in->value == NETWORK_VALUE_THERMOMETER &&
        in->levels > THERMOMETER_NARROW_MAX) {
        return refuse(ret_reason, -EBADMSG,
                      "More than 63 levels are read by binary and ternary weights only.");
    }
    if (!pad_fits(layer, in)) {
        return refuse(ret_reason, -EBADMSG, "A layer's pad_code is no code of its input.");
    }
    if (is_float ? layer->output != NETWORK_OUTPUT_F32 && layer->output != NETWORK_OUTPUT_SCORES
                 : false) {
        return refuse(ret_reason, -EBADMSG, "A float layer gives f32 or scores.");
    }
    if (!output_fits(layer, network_layer_is_wide(layer, in))) {
        return refuse(ret_reason, -EBADMSG,
                      "A layer's output does not fit its weights, activation or place.");
    }
    return 0;
}

static struct network_flow output_flow(const struct network_layer *layer)
{
    static const uint8_t values[] = {
        [NETWORK_OUTPUT_U7] = NETWORK_VALUE_U7,
        [NETWORK_OUTPUT_F32] = NETWORK_VALUE_F32,
        [NETWORK_OUTPUT_SCORES] = NETWORK_VALUE_F32,
        [NETWORK_OUTPUT_TERNARY] = NETWORK_VALUE_TERNARY,
        [NETWORK_OUTPUT_BINARY] = NETWORK_VALUE_BINARY,
        [NETWORK_OUTPUT_LOG] = NETWORK_VALUE_LOG,
    };

    return (struct network_flow){
        .value = values[layer->output], .bits = layer->output_bits, .root = layer->output_root};
}

int network_layer_flow(const struct network_layer *layer, const struct network_flow *in,
                       struct network_flow *ret_out, const char **ret_reason)
{
    const bool number = in->value == NETWORK_VALUE_U7 || in->value == NETWORK_VALUE_F32;
    struct network_flow out = *in;
    int result = network_layer_shape(layer, in->shape, &out.shape, ret_reason);

    if (result < 0) {
        return result;
    }
    if (network_layer_has_weights(layer)) {
        const struct network_shape shape = out.shape;

        result = weights_fit(layer, in, ret_reason);
        out = output_flow(layer);
        out.shape = shape;
    } else if (!number && (layer->op != NETWORK_OP_MAXPOOL || layer->input == 0)) {
        result = refuse(ret_reason, -EBADMSG, "A pool or addition cannot read these codes.");
    }
    if (result == 0) {
        *ret_out = out;
    }
    return result;
}
