/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * A loaded model: the bytes of a file -> tensors and description, tied together and checked. It
 * never changes once loaded.
 */
#include "engine/network/model_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <sha2.h>

#include "engine/network/json.h"
#include "engine/network/safetensors.h"

static int refuse(const char **ret_reason, const char *reason)
{
    *ret_reason = reason;
    return -EBADMSG;
}

/* The data of tensor LAYER.PART, or NULL when there is none of that type and shape. */
static const void *find(const struct network_model *model, const struct network_layer *layer,
                        const char *part, uint8_t dtype, uint8_t rank, const uint64_t *shape)
{
    char name[NETWORK_LAYER_NAME_MAX + 16];

    snprintf(name, sizeof name, "%s.%s", layer->name, part);
    const struct network_tensor *tensor = network_safetensors_find(model->file, name);
    if (tensor == NULL || tensor->dtype != dtype || tensor->rank != rank ||
        memcmp(tensor->shape, shape, rank * sizeof *shape) != 0) {
        return NULL;
    }
    return tensor->data;
}

uint8_t network_weight_shape(const struct network_layer *layer, struct network_shape in,
                             uint64_t shape[4])
{
    const bool codes =
        layer->weights != NETWORK_WEIGHTS_S8 && layer->weights != NETWORK_WEIGHTS_F32;
    const uint64_t count = network_layer_inputs(layer, in);

    shape[0] = layer->out;
    if (codes || layer->op == NETWORK_OP_DENSE) {
        shape[1] = codes ? network_codes_row(layer, count) : count;
        return 2;
    }
    shape[1] = layer->kernel[0];
    shape[2] = layer->kernel[1];
    shape[3] = in.channels;
    return layer->op == NETWORK_OP_DEPTHWISE ? 3 : 4;
}

static bool attach_weights(const struct network_model *model, struct network_layer *layer,
                           const struct network_flow *in, uint32_t *used)
{
    uint64_t shape[4];
    const uint8_t rank = network_weight_shape(layer, in->shape, shape);

    *used += 1;
    switch (layer->weights) {
    case NETWORK_WEIGHTS_S8:
        layer->weight_s8 = find(model, layer, "weight", NETWORK_DTYPE_I8, rank, shape);
        return layer->weight_s8 != NULL;
    case NETWORK_WEIGHTS_F32:
        layer->weight_f32 = find(model, layer, "weight", NETWORK_DTYPE_F32, rank, shape);
        return layer->weight_f32 != NULL;
    case NETWORK_WEIGHTS_TERNARY:
        layer->nonzero = find(model, layer, "nonzero", NETWORK_DTYPE_U8, rank, shape);
        *used += 1;
        if (layer->nonzero == NULL) {
            return false;
        }
        break;
    default:
        break;
    }
    layer->weight_codes = find(model, layer, "weight", NETWORK_DTYPE_U8, rank, shape);
    return layer->weight_codes != NULL;
}

/* What turns sums into outputs. */
static bool attach_rest(const struct network_model *model, struct network_layer *layer,
                        const struct network_flow *in, uint32_t *used)
{
    const uint64_t out = layer->out, levels[] = {out, network_layer_levels(layer)};
    const bool wide = network_layer_is_wide(layer, in);

    *used += 1;
    if (layer->weights == NETWORK_WEIGHTS_F32) {
        layer->bias_f32 = find(model, layer, "bias", NETWORK_DTYPE_F32, 1, &out);
        return layer->bias_f32 != NULL;
    }
    if (levels[1] > 0) {
        if (wide) {
            layer->threshold_s64 = find(model, layer, "threshold", NETWORK_DTYPE_I64, 2, levels);
        } else {
            layer->threshold_s32 = find(model, layer, "threshold", NETWORK_DTYPE_I32, 2, levels);
        }
        return layer->threshold_s64 != NULL || layer->threshold_s32 != NULL;
    }
    *used += 1;
    if (wide) {
        layer->bias_s64 = find(model, layer, "bias", NETWORK_DTYPE_I64, 1, &out);
    } else {
        layer->bias_s32 = find(model, layer, "bias", NETWORK_DTYPE_I32, 1, &out);
    }
    layer->mult = find(model, layer, "mult", NETWORK_DTYPE_I32, 1, &out);
    return layer->mult != NULL && (layer->bias_s64 != NULL || layer->bias_s32 != NULL);
}

/* What a layer without weights gives has the coding of what it reads. */
static void inherit(struct network_layer *layer, const struct network_flow *flow)
{
    static const uint8_t outputs[] = {
        [NETWORK_VALUE_F32] = NETWORK_OUTPUT_F32,
        [NETWORK_VALUE_TERNARY] = NETWORK_OUTPUT_TERNARY,
        [NETWORK_VALUE_SEVEN] = NETWORK_OUTPUT_TERNARY, /* refused elsewhere */
        [NETWORK_VALUE_U7] = NETWORK_OUTPUT_U7,
        [NETWORK_VALUE_THERMOMETER] = NETWORK_OUTPUT_U7, /* refused elsewhere */
        [NETWORK_VALUE_BINARY] = NETWORK_OUTPUT_BINARY,
        [NETWORK_VALUE_LOG] = NETWORK_OUTPUT_LOG,
    };

    layer->output = outputs[flow->value];
    layer->output_bits = flow->bits;
    layer->output_root = flow->root;
}

/* Points the layers at their tensors. Their shapes fix the array lengths that the checks rely on.
 */
static int attach_point(struct network_model *model, uint32_t point, uint32_t *used,
                        const char **ret_reason)
{
    struct network_flow flow[NETWORK_LAYERS_MAX + 1] = {
        network_input_flow(&model->points[point].input)};

    for (uint32_t i = 0; i < model->points[point].layer_count; i++) {
        struct network_layer *layer = &model->layers[point][i];
        const struct network_flow *in = &flow[layer->input];

        if (layer->op == NETWORK_OP_DEPTHWISE) {
            layer->out = in->shape.channels;
        }
        int result = network_layer_flow(layer, in, &flow[i + 1], ret_reason);
        if (result < 0) {
            return result;
        }
        if (!network_layer_has_weights(layer)) {
            inherit(layer, &flow[i + 1]);
        } else if (!attach_weights(model, layer, in, used) ||
                   !attach_rest(model, layer, in, used)) {
            return refuse(ret_reason, "A layer's tensor is missing or has another type or shape.");
        }
    }
    return 0;
}

static int attach_all(struct network_model *model, const char **ret_reason)
{
    uint32_t used = 0;

    for (uint32_t i = 0; i < model->description.point_count; i++) {
        int result = attach_point(model, i, &used, ret_reason);
        if (result < 0) {
            return result;
        }
    }
    /* Names of layers are all different, so as many tensors as were attached are all there are. */
    if (used != network_safetensors_count(model->file)) {
        return refuse(ret_reason, "A tensor belongs to no layer.");
    }
    return 0;
}

static int load(struct network_model *model, const void *bytes, size_t size,
                const char **ret_reason)
{
    int result = network_safetensors_read(bytes, size, &model->file, ret_reason);
    if (result < 0) {
        return result;
    }

    const char *text = network_safetensors_metadata(model->file, "ocellus");
    if (text == NULL) {
        return refuse(ret_reason, "The file's metadata has no entry \"ocellus\".");
    }
    result = network_json_parse(text, strlen(text), &model->json, ret_reason);
    if (result == 0) {
        result = network_model_parse(model, ret_reason);
    }
    if (result == 0) {
        result = attach_all(model, ret_reason);
    }
    for (uint32_t i = 0; result == 0 && i < model->description.point_count; i++) {
        result = network_model_check(&model->points[i], model->description.label_count,
                                     &model->macs[i], ret_reason);
    }
    return result;
}

int network_model_load(const void *bytes, size_t size, struct network_model **ret_model,
                       const char **ret_reason)
{
    const char *reason = "There is not enough memory.";

    if (size > NETWORK_FILE_MAX) {
        if (ret_reason != NULL) {
            *ret_reason = "The file is too large.";
        }
        return -EFBIG;
    }
    struct network_model *model = calloc(1, sizeof *model);
    int result = model != NULL ? load(model, bytes, size, &reason) : -ENOMEM;
    if (result < 0) {
        network_model_destroy(model);
        if (ret_reason != NULL) {
            *ret_reason = reason;
        }
        return result;
    }
    *ret_model = model;
    return 0;
}

void network_model_destroy(struct network_model *model)
{
    if (model == NULL) {
        return;
    }
    network_safetensors_destroy(model->file);
    cJSON_Delete(model->json);
    for (uint32_t i = 0; i < NETWORK_POINTS_MAX; i++) {
        free(model->layers[i]);
    }
    free(model->labels);
    cJSON_free(model->provenance);
    free(model);
}

const char *network_model_name(const struct network_model *model)
{
    return model->description.name;
}

void network_model_identify(struct network_model *model, const void *bytes, size_t size)
{
    SHA256Data(bytes, size, model->id);
}

const char *network_model_id(const struct network_model *model)
{
    return model->id;
}

uint32_t network_model_points(const struct network_model *model)
{
    return model->description.point_count;
}

const char *network_model_point(const struct network_model *model, uint32_t point)
{
    return model->points[point].name;
}

const struct network_input *network_model_input(const struct network_model *model, uint32_t point)
{
    return &model->points[point].input;
}

uint32_t network_model_labels(const struct network_model *model)
{
    return model->description.label_count;
}

const char *network_model_label(const struct network_model *model, uint32_t index)
{
    return model->description.labels[index];
}

bool network_model_has_exits(const struct network_model *model)
{
    return model->description.exits != NULL;
}

bool network_model_exits(const struct network_model *model, uint32_t point, const int32_t *scores)
{
    return point == 0 || network_margin(scores, model->description.label_count) >=
                             model->description.exits[point - 1];
}

const struct network_scan_meaning *network_model_scan(const struct network_model *model)
{
    return model->description.scan;
}

const struct network_description *network_model_describe(const struct network_model *model)
{
    return &model->description;
}
