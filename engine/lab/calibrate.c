/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Two passes over the calibration frames through the network's observer. Runs no layer of its own
 * but the few positions of each that are sampled.
 */
#include "engine/lab/calibrate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lab/model.h"
#include "engine/lab/progress.h"
#include "engine/network/plan.h"

#define CODE_MAX  127.0
#define SAMPLES   96u           /* positions of a layer looked at per frame */
#define SRGB_STEP (2.0 / 127.5) /* of u7 codes: two 8-bit values share one */
#define SRGB_ZERO 64u

static size_t shape_size(struct network_shape shape)
{
    return (size_t)shape.height * shape.width * shape.channels;
}

static int refuse(struct lab_calibration *calibration, const char *reason)
{
    calibration->reason = reason;
    return -ENOTSUP;
}

/* ---- shapes and buffers ---- */

static void init_window(struct lab_stage *stage)
{
    const struct network_layer *layer = stage->layer;
    bool dense = layer->op == NETWORK_OP_DENSE;
    for (int axis = 0; axis < 2; axis++) {
        stage->kernel[axis] = layer->kernel[axis];
        stage->stride[axis] = layer->stride[axis];
        stage->pad[axis] = layer->pad[axis];
        if (dense) {
            stage->kernel[axis] = axis == 0 ? stage->in.height : stage->in.width;
            stage->stride[axis] = 1;
            stage->pad[axis] = 0;
        }
    }
    stage->inputs = stage->kernel[0] * stage->kernel[1] * stage->in.channels;
}

static int init_weighted(struct lab_calibration *calibration, struct lab_stage *stage)
{
    const struct network_layer *layer = stage->layer;
    if (layer->weights != NETWORK_WEIGHTS_F32) {
        return refuse(calibration, "the model is packed already");
    }
    if (!layer->relu && layer->output != NETWORK_OUTPUT_SCORES) {
        return refuse(calibration, "a layer without relu cannot be packed");
    }
    init_window(stage);
    uint32_t inputs = stage->inputs, out = layer->out;
    int r = lab_fit_init(&stage->fit, inputs, out);
    if (r < 0) {
        calibration->reason = r == -EFBIG ? "a layer has more inputs than can be fitted" : NULL;
        return r;
    }
    stage->step_out = calloc(out, sizeof(double));
    stage->transposed = calloc(inputs, out * sizeof(float));
    stage->patch = calloc(inputs, sizeof(float));
    stage->codes = calloc(inputs, sizeof(int16_t));
    stage->result = calloc(out, sizeof(float));
    if (!stage->step_out || !stage->transposed || !stage->patch || !stage->codes ||
        !stage->result) {
        return -ENOMEM;
    }
    for (size_t o = 0; o < out; o++) {
        for (size_t k = 0; k < inputs; k++) {
            stage->transposed[k * out + o] = layer->weight_f32[o * inputs + k];
        }
    }
    return 0;
}

static int init_stage(struct lab_calibration *calibration, uint32_t index,
                      const struct network_layer *layer, struct network_shape in)
{
    struct lab_stage *stage = &calibration->stages[index];
    stage->layer = layer;
    stage->in = in;
    stage->weighted = layer->op == NETWORK_OP_CONV || layer->op == NETWORK_OP_DENSE;
    stage->in_max = 127;
    calibration->count = index + 1;
    if (layer->op == NETWORK_OP_DEPTHWISE || layer->op == NETWORK_OP_ADD || layer->input != index) {
        return refuse(calibration, "only a chain of plain layers can be packed");
    }
    int r = network_layer_shape(layer, in, &stage->out, &calibration->reason);
    if (r < 0) {
        return r;
    }
    if (index == 0 && !stage->weighted) {
        return refuse(calibration, "a pool cannot be the first layer of a packed model");
    }
    stage->step_in = index == 0 ? calibration->input_step : calibration->stages[index - 1].step_out;
    if (!stage->weighted) {
        stage->step_out = stage->step_in;
        return 0;
    }
    return init_weighted(calibration, stage);
}

static void init_input(struct lab_calibration *calibration, const struct gradient_spec *front,
                       uint32_t channels)
{
    bool srgb = front->coding == GRADIENT_CODING_U7;
    for (uint32_t c = 0; c < channels; c++) {
        calibration->input_step[c] = srgb ? SRGB_STEP : 1.0;
    }
    calibration->stages[0].zero = srgb ? SRGB_ZERO : 0;
    calibration->stages[0].in_max = srgb ? 127 : front->coding == GRADIENT_CODING_SEVEN ? 3 : 1;
}

int lab_calibration_init(struct lab_calibration *calibration, const struct network_point *from,
                         const struct gradient_spec *front)
{
    struct network_shape shape = network_input_shape(&from->input);
    size_t largest = shape_size(shape);
    memset(calibration, 0, sizeof(*calibration));
    calibration->input_step = calloc(shape.channels, sizeof(double));
    if (!calibration->input_step) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < from->layer_count; i++) {
        int r = init_stage(calibration, i, &from->layers[i], shape);
        if (r < 0) {
            return r;
        }
        shape = calibration->stages[i].out;
        largest = shape_size(shape) > largest ? shape_size(shape) : largest;
    }
    init_input(calibration, front, network_input_shape(&from->input).channels);
    calibration->values = calloc(largest, sizeof(float));
    calibration->coded = calloc(largest, sizeof(int16_t));
    return calibration->values && calibration->coded ? 0 : -ENOMEM;
}

void lab_calibration_finish(struct lab_calibration *calibration)
{
    for (uint32_t i = 0; i < calibration->count; i++) {
        struct lab_stage *stage = &calibration->stages[i];
        lab_fit_finish(&stage->fit);
        free(stage->weighted ? stage->step_out : NULL);
        free(stage->transposed);
        free(stage->patch);
        free(stage->codes);
        free(stage->result);
    }
    free(calibration->input_step);
    free(calibration->values);
    free(calibration->coded);
    memset(calibration, 0, sizeof(*calibration));
}

/* ---- first pass: the largest value of each channel ---- */

static void tighten(struct lab_calibration *calibration,
                    const struct network_activation *activation)
{
    const float *data = activation->data;
    size_t width = (size_t)activation->shape.width * activation->shape.channels;
    for (size_t y = 0; y < activation->shape.height; y++) {
        memcpy(calibration->values + y * width, data + y * activation->row, width * sizeof(float));
    }
}

static void observe_peaks(void *user, uint32_t layer, const struct network_activation *activation)
{
    struct lab_calibration *calibration = user;
    struct lab_stage *stage = &calibration->stages[layer];
    if (!stage->weighted || activation->type != NETWORK_TYPE_F32) {
        return;
    }
    tighten(calibration, activation);
    size_t size = shape_size(stage->out), channels = stage->out.channels;
    for (size_t i = 0; i < size; i += channels) {
        for (size_t c = 0; c < channels; c++) {
            stage->step_out[c] = fmax(stage->step_out[c], calibration->values[i + c]);
        }
    }
}

/* Peaks become steps. A channel that was never seen above 0 is coded like the liveliest one. */
static void peaks_to_steps(struct lab_calibration *calibration)
{
    for (uint32_t i = 0; i < calibration->count; i++) {
        struct lab_stage *stage = &calibration->stages[i];
        double most = 0.0;
        for (uint32_t c = 0; stage->weighted && c < stage->out.channels; c++) {
            most = fmax(most, stage->step_out[c]);
        }
        for (uint32_t c = 0; stage->weighted && c < stage->out.channels; c++) {
            double peak = stage->step_out[c] > 0.0 ? stage->step_out[c] : most > 0.0 ? most : 1.0;
            stage->step_out[c] = peak / CODE_MAX;
        }
    }
}

/* ---- second pass: what each layer reads and what it should answer ---- */

/* The window of one output position, as values and as codes. */
static void gather(const struct lab_calibration *calibration, struct lab_stage *stage,
                   uint32_t out_y, uint32_t out_x)
{
    size_t channels = stage->in.channels, k = 0;
    for (uint32_t ky = 0; ky < stage->kernel[0]; ky++) {
        for (uint32_t kx = 0; kx < stage->kernel[1]; kx++, k += channels) {
            uint32_t y = out_y * stage->stride[0] + ky - stage->pad[0];
            uint32_t x = out_x * stage->stride[1] + kx - stage->pad[1];
            if (y >= stage->in.height || x >= stage->in.width) { /* above 0 wraps, too */
                for (size_t c = 0; c < channels; c++) {
                    stage->patch[k + c] = 0.0f;
                    stage->codes[k + c] = stage->zero;
                }
                continue;
            }
            size_t at = ((size_t)y * stage->in.width + x) * channels;
            memcpy(stage->patch + k, calibration->values + at, channels * sizeof(float));
            memcpy(stage->codes + k, calibration->coded + at, channels * sizeof(int16_t));
        }
    }
}

/* The float layer's answer before rectification. */
static void answer(struct lab_stage *stage)
{
    uint32_t inputs = stage->inputs, out = stage->layer->out;
    memcpy(stage->result, stage->layer->bias_f32, out * sizeof(float));
    for (size_t k = 0; k < inputs; k++) {
        float value = stage->patch[k];
        const float *weights = stage->transposed + k * out;
        for (size_t o = 0; value != 0.0f && o < out; o++) {
            stage->result[o] += value * weights[o];
        }
    }
}

/* Samples positions evenly; each frame starts elsewhere. */
static void sample(struct lab_calibration *calibration, struct lab_stage *stage)
{
    bool dense = stage->layer->op == NETWORK_OP_DENSE;
    size_t width = dense ? 1 : stage->out.width;
    size_t positions = dense ? 1 : width * stage->out.height;
    size_t samples = positions < SAMPLES ? positions : SAMPLES;
    for (size_t s = 0; s < samples; s++) {
        size_t position = (s * positions / samples + calibration->frame) % positions;
        gather(calibration, stage, (uint32_t)(position / width), (uint32_t)(position % width));
        answer(stage);
        lab_fit_add(&stage->fit, stage->codes, stage->result);
    }
}

static void observe_inputs(void *user, uint32_t layer, const struct network_activation *activation)
{
    struct lab_calibration *calibration = user;
    struct lab_stage *next = &calibration->stages[layer + 1];
    if (layer + 1 == calibration->count || !next->weighted) {
        return;
    }
    tighten(calibration, activation);
    size_t size = shape_size(next->in), channels = next->in.channels;
    for (size_t i = 0; i < size; i++) {
        double code = floor(calibration->values[i] / next->step_in[i % channels] + 0.5);
        calibration->coded[i] = (int16_t)fmin(code, CODE_MAX);
    }
    sample(calibration, next);
}

/* The first layer reads the frame's codes. */
static void sample_frame(struct lab_calibration *calibration, const struct gradient_spec *from,
                         const uint8_t *float_codes, const uint8_t *packed_codes)
{
    size_t size = shape_size(calibration->stages[0].in);
    bool srgb = from->source == GRADIENT_SOURCE_SRGB;
    if (srgb) {
        memcpy(calibration->values, float_codes, size * sizeof(float));
    }
    for (size_t i = 0; i < size; i++) {
        calibration->coded[i] = srgb ? packed_codes[i] : (int8_t)packed_codes[i];
        if (!srgb) {
            calibration->values[i] = calibration->coded[i];
        }
    }
    sample(calibration, &calibration->stages[0]);
}

void lab_calibration_watch(struct lab_calibration *calibration, struct lab_model *model,
                           const struct lab_frames *frames, struct lab_progress *progress,
                           uint32_t *labels)
{
    const struct gradient_spec *front = &model->input->front;
    for (uint32_t i = 0; i < frames->count; i++) {
        network_run_observed(model->plan, model->arena,
                             frames->float_codes + i * frames->float_stride, model->scores,
                             observe_peaks, calibration);
        labels[i] = network_argmax(model->scores, model->labels);
        lab_progress_step(progress);
    }
    peaks_to_steps(calibration);
    for (calibration->frame = 0; calibration->frame < frames->count; calibration->frame++) {
        const uint8_t *codes = frames->float_codes + calibration->frame * frames->float_stride;
        sample_frame(calibration, front, codes,
                     frames->packed_codes + calibration->frame * frames->packed_stride);
        network_run_observed(model->plan, model->arena, codes, model->scores, observe_inputs,
                             calibration);
        lab_progress_step(progress);
    }
}
