/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* From calibrated layers to packed ones: weights, biases, multipliers and shifts. Runs no model. */
#include "engine/lab/quantise.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "engine/lab/calibrate.h"
#include "engine/lab/model.h"

#define SCORES_PER_UNIT 65536.0
#define INT32_LIMIT     0x1p31
#define CODES_MARGIN    3.0 /* what the loader asks for where codes are signed, taken for all */

int lab_quantise_front(const struct gradient_spec *from, struct gradient_spec *ret_front)
{
    struct gradient_spec front = *from;
    if (from->coding == GRADIENT_CODING_THERMOMETER) {
        return -ENOTSUP;
    }
    if (from->source == GRADIENT_SOURCE_SRGB) {
        front.coding = GRADIENT_CODING_U7;
    } else if (from->coding == GRADIENT_CODING_F32) {
        return -ENOTSUP;
    }
    *ret_front = front;
    return 0;
}

/* A layer while it is packed. weight, bias and mult are also the draft's, which frees them. */
struct packing {
    struct lab_stage *stage;
    struct network_layer *layer;
    int8_t *weight;
    int32_t *bias, *mult;
    double *factors; /* units of the result per unit of the accumulator */
    double *prior, *scratch;
    double largest_sum; /* of an accumulator, over all channels */
};

static int fit_output(struct packing *packing, uint32_t o)
{
    const struct lab_stage *stage = packing->stage;
    const float *weights = stage->layer->weight_f32 + (size_t)o * stage->inputs;
    int8_t *weight = packing->weight + (size_t)o * stage->inputs;
    double step, bias, sum = 0.0;
    for (uint32_t k = 0; k < stage->inputs; k++) {
        packing->prior[k] = weights[k] * stage->step_in[k % stage->in.channels];
    }
    lab_fit_solve(&stage->fit, o, packing->prior, packing->scratch, weight, &step, &bias);
    for (uint32_t k = 0; k < stage->inputs; k++) {
        sum += abs(weight[k]);
    }
    bias = floor(bias + 0.5);
    sum = sum * stage->in_max + fabs(bias);
    if (CODES_MARGIN * sum >= INT32_LIMIT) {
        return -ERANGE;
    }
    packing->bias[o] = (int32_t)bias;
    packing->factors[o] = stage->layer->output == NETWORK_OUTPUT_SCORES ? step * SCORES_PER_UNIT
                                                                        : step / stage->step_out[o];
    packing->largest_sum = fmax(packing->largest_sum, sum);
    return 0;
}

/* The largest shifts with which no sum << preshift and no multiplier reaches 2^31. */
static int choose_multipliers(struct packing *packing)
{
    struct network_layer *layer = packing->layer;
    double most = 0.0;
    int preshift = 0, shift = 31;
    for (uint32_t o = 0; o < layer->out; o++) {
        most = fmax(most, packing->factors[o]);
    }
    while (preshift < 31 && ldexp(packing->largest_sum, preshift + 1) < INT32_LIMIT) {
        preshift++;
    }
    while (shift > 0 && ldexp(most, 32 + shift - preshift) > INT32_LIMIT - 1.0) {
        shift--;
    }
    if (shift == 0) {
        return -ERANGE;
    }
    layer->preshift = (uint8_t)preshift;
    layer->shift = (uint8_t)shift;
    for (uint32_t o = 0; o < layer->out; o++) {
        double mult = ldexp(packing->factors[o], 32 + shift - preshift);
        packing->mult[o] = (int32_t)fmax(floor(mult + 0.5), 1.0);
    }
    return 0;
}

static int fill(struct packing *packing)
{
    lab_fit_prepare(&packing->stage->fit);
    for (uint32_t o = 0; o < packing->layer->out; o++) {
        int r = fit_output(packing, o);
        if (r < 0) {
            return r;
        }
    }
    return choose_multipliers(packing);
}

static int pack_weighted(struct lab_stage *stage, struct network_layer *layer)
{
    struct packing packing = {
        .stage = stage,
        .layer = layer,
        .weight = calloc(layer->out, stage->inputs),
        .bias = calloc(layer->out, sizeof(int32_t)),
        .mult = calloc(layer->out, sizeof(int32_t)),
        .factors = calloc(layer->out, sizeof(double)),
        .prior = calloc(stage->inputs, sizeof(double)),
        .scratch = calloc(stage->inputs, 2 * sizeof(double)),
    };
    layer->weights = NETWORK_WEIGHTS_S8;
    layer->weight_f32 = NULL;
    layer->bias_f32 = NULL;
    layer->weight_s8 = packing.weight;
    layer->bias_s32 = packing.bias;
    layer->mult = packing.mult;
    layer->pad_code = layer->op == NETWORK_OP_CONV ? stage->zero : 0;
    int r = -ENOMEM;
    if (packing.weight && packing.bias && packing.mult && packing.factors && packing.prior &&
        packing.scratch) {
        r = fill(&packing);
    }
    free(packing.factors);
    free(packing.prior);
    free(packing.scratch);
    return r;
}

static int pack(struct lab_calibration *calibration, struct lab_draft *draft)
{
    for (uint32_t i = 0; i < calibration->count; i++) {
        struct lab_stage *stage = &calibration->stages[i];
        struct network_layer *layer = lab_draft_add(draft, stage->layer->name);
        if (!layer) {
            return -EFBIG;
        }
        const char *name = layer->name;
        *layer = *stage->layer;
        layer->name = name;
        if (layer->output == NETWORK_OUTPUT_F32) {
            layer->output = NETWORK_OUTPUT_U7;
        }
        int r = stage->weighted ? pack_weighted(stage, layer) : 0;
        if (r < 0) {
            calibration->reason = r == -ERANGE ? "a layer's numbers do not fit 32 bits" : NULL;
            return r;
        }
    }
    return 0;
}

int lab_quantise(struct lab_model *model, const struct lab_frames *frames,
                 struct lab_progress *progress, uint32_t *labels, struct lab_draft *draft,
                 const char **ret_reason)
{
    const struct network_description *from = network_model_describe(model->model);
    struct gradient_spec front;
    const struct network_point *point = &from->points[0];
    int r = lab_quantise_front(&point->input.front, &front);
    if (r < 0) {
        *ret_reason = "float log-gradient and thermometer codes cannot be packed";
        return r;
    }
    struct lab_calibration *calibration = calloc(1, sizeof(*calibration));
    if (!calibration) {
        return -ENOMEM;
    }
    lab_draft_init(draft);
    draft->description.name = from->name;
    draft->point.input = point->input;
    draft->point.input.front = front;
    draft->description.label_count = from->label_count;
    draft->description.labels = from->labels;
    draft->description.provenance = from->provenance;
    r = lab_calibration_init(calibration, point, &front);
    if (r == 0) {
        lab_calibration_watch(calibration, model, frames, progress, labels);
        r = pack(calibration, draft);
    }
    if (r < 0) {
        *ret_reason = calibration->reason;
        lab_draft_finish(draft);
    }
    lab_calibration_finish(calibration);
    free(calibration);
    return r;
}
