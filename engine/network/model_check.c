/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Shapes, types and numeric bounds of a model's layers. After these checks no size overflows, no
 * accumulator leaves int32, and a run cannot fail.
 */
#include "engine/network/model_internal.h"

#include <errno.h>
#include <math.h>

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

uint8_t network_input_peak(const struct network_input *input)
{
    static const uint8_t peaks[] = {
        [GRADIENT_CODING_TERNARY] = 1,
        [GRADIENT_CODING_SEVEN] = 3,
        [GRADIENT_CODING_U7] = 127,
        [GRADIENT_CODING_F32] = 0,
    };

    return peaks[input->front.coding];
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
    } else if (layer->op != NETWORK_OP_DENSE) {
        result = window_shape(layer, in, &out, ret_reason);
    }
    if (result == 0 && !network_layer_has_weights(layer) && window > NETWORK_POOL_MAX) {
        result = refuse(ret_reason, -EFBIG, "A pool's window is too large.");
    }
    if (network_layer_has_weights(layer)) {
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

/* What flows between two layers. */
struct flow {
    struct network_shape shape;
    bool is_float;
    uint8_t peak; /* of integers; signed when below 127 */
};

static bool outputs_fit(const struct network_layer *layer, bool last)
{
    bool scores = layer->output == NETWORK_OUTPUT_SCORES;

    if (scores != last || (scores && (layer->op != NETWORK_OP_DENSE || layer->relu))) {
        return false;
    }
    if (layer->weights == NETWORK_WEIGHTS_S8) {
        return scores || (layer->output == NETWORK_OUTPUT_U7 && layer->relu);
    }
    return scores || layer->output == NETWORK_OUTPUT_F32;
}

static uint64_t inputs_per_output(const struct network_layer *layer, struct network_shape in)
{
    if (layer->op == NETWORK_OP_DENSE) {
        return (uint64_t)in.height * in.width * in.channels;
    }
    return (uint64_t)layer->kernel[0] * layer->kernel[1] * in.channels;
}

/* The sums of one channel: see VALUES in model.h. */
static bool sums_fit(const struct network_layer *layer, const int8_t *weights, uint64_t count,
                     int32_t bias, uint8_t peak)
{
    const int64_t limit = INT64_C(1) << 31;
    int64_t sum = 0, offset = bias < 0 ? -(int64_t)bias : bias;

    for (uint64_t i = 0; i < count; i++) {
        sum += weights[i] < 0 ? -weights[i] : weights[i];
    }
    return (peak * sum + offset) < limit >> layer->preshift &&
           (peak == 127 || 3 * peak * sum + offset < limit);
}

static int check_s8(const struct network_layer *layer, const struct flow *in,
                    const char **ret_reason)
{
    const uint64_t count = inputs_per_output(layer, in->shape);

    for (uint32_t o = 0; o < layer->out; o++) {
        const int8_t *weights = layer->weight_s8 + o * count;

        for (uint64_t i = 0; i < count; i++) {
            if (weights[i] == INT8_MIN) {
                return refuse(ret_reason, -EBADMSG,
                              "A weight is -128, below the smallest allowed.");
            }
        }
        if (!sums_fit(layer, weights, count, layer->bias_s32[o], in->peak)) {
            return refuse(ret_reason, -EBADMSG, "A layer's sums can leave 32 bits.");
        }
    }
    return 0;
}

static bool all_finite(const float *values, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) {
            return false;
        }
    }
    return true;
}

static int check_weighted(const struct network_layer *layer, const struct flow *in, bool last,
                          const char **ret_reason)
{
    if (!outputs_fit(layer, last)) {
        return refuse(ret_reason, -EBADMSG,
                      "A layer's output does not fit its weights, activation or place.");
    }
    if (!in->is_float && in->peak < 127 && layer->pad_code != 0) {
        return refuse(ret_reason, -EBADMSG, "Log-gradient codes are padded with 0 only.");
    }
    if (layer->weights == NETWORK_WEIGHTS_S8) {
        if (in->is_float) {
            return refuse(ret_reason, -EBADMSG, "A layer with s8 weights cannot read floats.");
        }
        return check_s8(layer, in, ret_reason);
    }
    if (!all_finite(layer->weight_f32, layer->out * inputs_per_output(layer, in->shape)) ||
        !all_finite(layer->bias_f32, layer->out)) {
        return refuse(ret_reason, -EBADMSG, "A weight or bias is not a finite number.");
    }
    return 0;
}

static int check_layer(const struct network_layer *layer, bool last, struct flow *flow,
                       uint64_t *macs, const char **ret_reason)
{
    struct network_shape out;
    int result = network_layer_shape(layer, flow->shape, &out, ret_reason);

    if (result < 0) {
        return result;
    }
    if (network_layer_has_weights(layer)) {
        result = check_weighted(layer, flow, last, ret_reason);
        if (result < 0) {
            return result;
        }
        /* Below 2^26 outputs of below 2^26 inputs: no overflow over 64 layers. */
        *macs +=
            (uint64_t)out.height * out.width * out.channels * inputs_per_output(layer, flow->shape);
        if (*macs > NETWORK_MACS_MAX) {
            return refuse(ret_reason, -EFBIG, "The network takes too many operations.");
        }
        flow->is_float = layer->weights == NETWORK_WEIGHTS_F32;
        flow->peak = flow->is_float ? 0 : 127;
    } else if (last) {
        return refuse(ret_reason, -EBADMSG, "The last layer is not dense.");
    } else if (!flow->is_float && flow->peak < 127) {
        return refuse(ret_reason, -EBADMSG, "A pool cannot read log-gradient codes.");
    }
    flow->shape = out;
    return 0;
}

int network_model_check(const struct network_point *point, uint32_t labels, uint64_t *ret_macs,
                        const char **ret_reason)
{
    struct flow flow = {
        .shape = network_input_shape(&point->input),
        .is_float = point->input.front.coding == GRADIENT_CODING_F32,
        .peak = network_input_peak(&point->input),
    };
    uint64_t macs = 0;

    for (uint32_t i = 0; i < point->layer_count; i++) {
        int result =
            check_layer(&point->layers[i], i + 1 == point->layer_count, &flow, &macs, ret_reason);
        if (result < 0) {
            return result;
        }
    }
    if (flow.shape.channels != labels) {
        return refuse(ret_reason, -EBADMSG, "The last layer has not one output per label.");
    }
    *ret_macs = macs;
    return 0;
}
