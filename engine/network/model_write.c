/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * A description -> the bytes of a model file. What is written is loaded once, so that no file
 * leaves here that the loader would refuse.
 */
#include "engine/network/model_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "engine/network/json.h"
#include "engine/network/safetensors.h"

static bool add_pair(cJSON *to, const char *key, const uint16_t pair[2])
{
    const int numbers[] = {pair[0], pair[1]};

    return network_json_add(to, key, cJSON_CreateIntArray(numbers, 2));
}

static bool add_word(cJSON *to, const char *key, const char *const *words, uint8_t index)
{
    uint8_t count = 0;

    while (words[count] != NULL) {
        count++;
    }
    return index < count && cJSON_AddStringToObject(to, key, words[index]) != NULL;
}

static bool add_number(cJSON *to, const char *key, uint32_t number)
{
    return cJSON_AddNumberToObject(to, key, number) != NULL;
}

static bool add_ratios(cJSON *to, const struct gradient_spec *front)
{
    int count = front->coding == GRADIENT_CODING_TERNARY ? 1 : 3;
    cJSON *list = cJSON_AddArrayToObject(to, "ratio");

    for (int i = 0; i < count; i++) {
        const int pair[] = {front->ratio[i].p, front->ratio[i].q};

        if (!network_json_add(list, NULL, cJSON_CreateIntArray(pair, 2))) {
            return false;
        }
    }
    return list != NULL;
}

static bool describe_input(cJSON *root, const struct network_input *input)
{
    const struct gradient_spec *front = &input->front;
    cJSON *to = cJSON_AddObjectToObject(root, "input");
    bool ok = add_word(to, "source", network_source_words, front->source) &&
              add_number(to, "width", input->target.width) &&
              add_number(to, "height", input->target.height) &&
              add_word(to, "planes", network_planes_words, front->planes == 1 ? 0 : 1) &&
              add_word(to, "fit", network_fit_words, input->target.fit) &&
              add_word(to, "coding", network_coding_words, front->coding);

    if (front->source == GRADIENT_SOURCE_LOG_GRADIENT) {
        ok = ok && add_word(to, "merge", network_merge_words, front->merge) &&
             add_number(to, "floor", front->floor);
    }
    if (front->coding == GRADIENT_CODING_THERMOMETER) {
        ok = ok && add_number(to, "levels", front->levels) &&
             (!front->even || cJSON_AddTrueToObject(to, "even") != NULL);
    }
    if (front->coding == GRADIENT_CODING_TERNARY || front->coding == GRADIENT_CODING_SEVEN) {
        ok = ok && add_ratios(to, front);
    }
    return ok;
}

static bool add_base(cJSON *to, const char *key, bool root)
{
    return add_word(to, key, network_base_words, root);
}

/* Of a layer whose input is not the one before. */
static bool add_input(cJSON *to, const struct network_layer *layers, uint32_t index)
{
    const uint32_t input = layers[index].input;

    if (input == index) {
        return true;
    }
    return input > 0 && input < index && layers[input - 1].name != NULL &&
           cJSON_AddStringToObject(to, "input", layers[input - 1].name) != NULL;
}

static bool describe_geometry(cJSON *to, const struct network_layer *layer)
{
    return add_pair(to, "kernel", layer->kernel) && add_pair(to, "stride", layer->stride) &&
           (network_layer_is_pool(layer) ||
            (add_pair(to, "pad", layer->pad) && add_number(to, "pad_code", layer->pad_code)));
}

static bool describe_numbers(cJSON *to, const struct network_layer *layer)
{
    bool ok = add_word(to, "activation", network_activation_words, layer->relu) &&
              add_word(to, "output", network_output_words, layer->output);

    if (layer->output == NETWORK_OUTPUT_LOG) {
        ok = ok && add_number(to, "output_bits", layer->output_bits) &&
             add_base(to, "output_base", layer->output_root);
    }
    if (layer->weights != NETWORK_WEIGHTS_F32 && network_layer_levels(layer) == 0) {
        ok = ok && add_number(to, "preshift", layer->preshift) &&
             add_number(to, "shift", layer->shift) &&
             (layer->narrow == 0 || add_number(to, "narrow", layer->narrow));
    }
    return ok;
}

static bool describe_weighted(cJSON *to, const struct network_layer *layer)
{
    bool ok = add_word(to, "weights", network_weights_words, layer->weights);

    if (layer->weights == NETWORK_WEIGHTS_LOG) {
        ok = ok && add_number(to, "weight_bits", layer->weight_bits) &&
             add_base(to, "weight_base", layer->weight_root);
    }
    if (layer->op != NETWORK_OP_DEPTHWISE) {
        ok = ok && add_number(to, "out", layer->out);
    }
    if (layer->op != NETWORK_OP_DENSE) {
        ok = ok && describe_geometry(to, layer);
    }
    return ok && describe_numbers(to, layer);
}

static bool describe_add(cJSON *to, const struct network_layer *layers, uint32_t index)
{
    const struct network_layer *layer = &layers[index];
    cJSON *inputs = cJSON_AddArrayToObject(to, "inputs");
    const uint32_t read[] = {layer->input, layer->other};

    for (int i = 0; i < 2; i++) {
        if (read[i] < 1 || read[i] > index || layers[read[i] - 1].name == NULL ||
            !network_json_add(inputs, NULL, cJSON_CreateString(layers[read[i] - 1].name))) {
            return false;
        }
    }
    if (layer->shift == 0) {
        return add_word(to, "activation", network_activation_words, layer->relu);
    }
    const int mult[] = {(int)layer->add_mult[0], (int)layer->add_mult[1]};
    return network_json_add(to, "mult", cJSON_CreateIntArray(mult, 2)) &&
           add_number(to, "shift", layer->shift);
}

static bool describe_layer(cJSON *list, const struct network_layer *layers, uint32_t index)
{
    const struct network_layer *layer = &layers[index];
    cJSON *to = cJSON_CreateObject();

    if (!network_json_add(list, NULL, to) || !add_word(to, "op", network_op_words, layer->op) ||
        (layer->name != NULL && cJSON_AddStringToObject(to, "name", layer->name) == NULL)) {
        return false;
    }
    if (layer->op == NETWORK_OP_ADD) {
        return describe_add(to, layers, index);
    }
    if (!add_input(to, layers, index)) {
        return false;
    }
    if (network_layer_has_weights(layer)) {
        return describe_weighted(to, layer);
    }
    return layer->op == NETWORK_OP_GLOBALAVGPOOL || describe_geometry(to, layer);
}

static bool describe_layers(cJSON *to, const struct network_point *point)
{
    cJSON *list = cJSON_AddArrayToObject(to, "layers");
    bool ok = list != NULL;

    for (uint32_t i = 0; i < point->layer_count; i++) {
        ok = ok && describe_layer(list, point->layers, i);
    }
    return ok;
}

static bool describe_points(cJSON *root, const struct network_description *description)
{
    cJSON *list = cJSON_AddArrayToObject(root, "points");

    for (uint32_t i = 0; i < description->point_count; i++) {
        const struct network_point *point = &description->points[i];
        cJSON *to = cJSON_CreateObject();

        if (!network_json_add(list, NULL, to) ||
            cJSON_AddStringToObject(to, "name", point->name) == NULL ||
            !describe_input(to, &point->input) || !describe_layers(to, point)) {
            return false;
        }
    }
    return list != NULL;
}

static bool describe_scan(cJSON *root, const struct network_description *description)
{
    const struct network_scan_meaning *scan = description->scan;
    cJSON *to = cJSON_AddObjectToObject(root, "scan");

    return to != NULL && scan->label < description->label_count &&
           cJSON_AddStringToObject(to, "label", description->labels[scan->label]) != NULL &&
           cJSON_AddNumberToObject(to, "slope", scan->slope) != NULL &&
           cJSON_AddNumberToObject(to, "offset", scan->offset) != NULL;
}

static bool describe(cJSON *root, const struct network_description *description)
{
    const struct network_point *first = &description->points[0];
    /* A single point called "default" needs no list. */
    const bool single = description->point_count == 1 && strcmp(first->name, "default") == 0;
    bool ok = add_number(root, "format", 1) &&
              cJSON_AddStringToObject(root, "name", description->name) != NULL &&
              (!single || describe_input(root, &first->input)) &&
              network_json_add(
                  root, "labels",
                  cJSON_CreateStringArray(description->labels, (int)description->label_count)) &&
              (single ? describe_layers(root, first) : describe_points(root, description));

    if (description->scan != NULL) {
        ok = ok && describe_scan(root, description);
    }
    if (description->exits != NULL) {
        ok = ok && network_json_add(
                       root, "exits",
                       cJSON_CreateIntArray(description->exits, (int)description->point_count - 1));
    }
    if (description->provenance != NULL) {
        ok = ok && network_json_add(root, "provenance", cJSON_Parse(description->provenance));
    }
    return ok;
}

static int metadata_text(const struct network_description *description, char **ret_text)
{
    cJSON *root = cJSON_CreateObject();
    char *text = describe(root, description) ? cJSON_PrintUnformatted(root) : NULL;

    cJSON_Delete(root);
    if (text == NULL) {
        return -EINVAL; /* or no memory, which cJSON does not tell */
    }
    *ret_text = text;
    return 0;
}

#define TENSORS_MAX (4u * NETWORK_LAYERS_MAX * NETWORK_POINTS_MAX)

struct tensor_list {
    char names[TENSORS_MAX][NETWORK_LAYER_NAME_MAX + 16];
    struct network_tensor tensors[TENSORS_MAX];
    uint32_t count;
};

static void add_tensor(struct tensor_list *list, const struct network_layer *layer,
                       const char *part, uint8_t dtype, uint8_t rank, const uint64_t *shape,
                       const void *data)
{
    char *name = list->names[list->count];
    struct network_tensor *tensor = &list->tensors[list->count++];

    snprintf(name, sizeof list->names[0], "%s.%s", layer->name, part);
    *tensor = (struct network_tensor){.name = name, .dtype = dtype, .rank = rank, .data = data};
    memcpy(tensor->shape, shape, rank * sizeof *shape);
}

static void add_weights(struct tensor_list *list, const struct network_layer *layer,
                        struct network_shape in)
{
    uint64_t shape[4];
    const uint8_t rank = network_weight_shape(layer, in, shape);

    if (layer->weights == NETWORK_WEIGHTS_S8) {
        add_tensor(list, layer, "weight", NETWORK_DTYPE_I8, rank, shape, layer->weight_s8);
    } else if (layer->weights == NETWORK_WEIGHTS_F32) {
        add_tensor(list, layer, "weight", NETWORK_DTYPE_F32, rank, shape, layer->weight_f32);
    } else {
        add_tensor(list, layer, "weight", NETWORK_DTYPE_U8, rank, shape, layer->weight_codes);
    }
    if (layer->weights == NETWORK_WEIGHTS_TERNARY) {
        add_tensor(list, layer, "nonzero", NETWORK_DTYPE_U8, rank, shape, layer->nonzero);
    }
}

static void add_rest(struct tensor_list *list, const struct network_layer *layer,
                     const struct network_flow *in)
{
    const uint64_t out = layer->out, levels[] = {out, network_layer_levels(layer)};
    const bool wide = network_layer_is_wide(layer, in);

    if (layer->weights == NETWORK_WEIGHTS_F32) {
        add_tensor(list, layer, "bias", NETWORK_DTYPE_F32, 1, &out, layer->bias_f32);
    } else if (levels[1] > 0) {
        add_tensor(list, layer, "threshold", wide ? NETWORK_DTYPE_I64 : NETWORK_DTYPE_I32, 2,
                   levels,
                   wide ? (const void *)layer->threshold_s64 : (const void *)layer->threshold_s32);
    } else {
        add_tensor(list, layer, "bias", wide ? NETWORK_DTYPE_I64 : NETWORK_DTYPE_I32, 1, &out,
                   wide ? (const void *)layer->bias_s64 : (const void *)layer->bias_s32);
        add_tensor(list, layer, "mult", NETWORK_DTYPE_I32, 1, &out, layer->mult);
    }
}

static int list_tensors(const struct network_point *point, struct tensor_list *list,
                        const char **ret_reason)
{
    struct network_flow flow[NETWORK_LAYERS_MAX + 1] = {network_input_flow(&point->input)};

    for (uint32_t i = 0; i < point->layer_count; i++) {
        struct network_layer layer = point->layers[i];

        if (layer.input > i || layer.other > i) {
            return -EINVAL;
        }
        const struct network_flow *in = &flow[layer.input];
        if (layer.op == NETWORK_OP_DEPTHWISE) {
            layer.out = in->shape.channels;
        }
        int result = network_layer_flow(&layer, in, &flow[i + 1], ret_reason);
        if (result < 0) {
            return result;
        }
        if (network_layer_has_weights(&layer)) {
            add_weights(list, &layer, in->shape);
            add_rest(list, &layer, in);
        }
    }
    return 0;
}

static int write_checked(const struct network_description *description, struct tensor_list *list,
                         void **ret_bytes, size_t *ret_size, const char **ret_reason)
{
    struct network_metadata metadata = {.key = "ocellus"};
    struct network_model *model;
    char *text;
    void *bytes;
    size_t size;

    int result = metadata_text(description, &text);
    if (result < 0) {
        return result;
    }
    metadata.value = text;
    for (uint32_t i = 0; result == 0 && i < description->point_count; i++) {
        result = list_tensors(&description->points[i], list, ret_reason);
    }
    if (result == 0) {
        result = network_safetensors_write(list->tensors, list->count, &metadata, 1, &bytes, &size);
    }
    cJSON_free(text);
    if (result < 0) {
        return result;
    }
    result = network_model_load(bytes, size, &model, ret_reason);
    if (result < 0) {
        free(bytes);
        return result;
    }
    network_model_destroy(model);
    *ret_bytes = bytes;
    *ret_size = size;
    return 0;
}

int network_model_write(const struct network_description *description, void **ret_bytes,
                        size_t *ret_size, const char **ret_reason)
{
    const char *reason = "The description cannot be written.";
    int result = -EINVAL;

    bool fits = description->label_count <= NETWORK_LABELS_MAX && description->point_count >= 1 &&
                description->point_count <= NETWORK_POINTS_MAX;

    for (uint32_t i = 0; fits && i < description->point_count; i++) {
        fits = description->points[i].layer_count <= NETWORK_LAYERS_MAX;
    }
    if (fits) {
        struct tensor_list *list = calloc(1, sizeof *list);

        result =
            list != NULL ? write_checked(description, list, ret_bytes, ret_size, &reason) : -ENOMEM;
        free(list);
    }
    if (result < 0 && ret_reason != NULL) {
        *ret_reason = reason;
    }
    return result;
}
