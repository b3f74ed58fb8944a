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
    if (front->coding == GRADIENT_CODING_TERNARY || front->coding == GRADIENT_CODING_SEVEN) {
        ok = ok && add_ratios(to, front);
    }
    return ok;
}

static bool describe_weighted(cJSON *to, const struct network_layer *layer)
{
    bool ok = cJSON_AddStringToObject(to, "name", layer->name) != NULL &&
              add_word(to, "weights", network_weights_words, layer->weights) &&
              add_number(to, "out", layer->out);

    if (layer->op == NETWORK_OP_CONV) {
        ok = ok && add_pair(to, "kernel", layer->kernel) && add_pair(to, "stride", layer->stride) &&
             add_pair(to, "pad", layer->pad) && add_number(to, "pad_code", layer->pad_code);
    }
    ok = ok && add_word(to, "activation", network_activation_words, layer->relu) &&
         add_word(to, "output", network_output_words, layer->output);
    if (layer->weights == NETWORK_WEIGHTS_S8) {
        ok = ok && add_number(to, "preshift", layer->preshift) &&
             add_number(to, "shift", layer->shift);
    }
    return ok;
}

static bool describe_layer(cJSON *list, const struct network_layer *layer)
{
    cJSON *to = cJSON_CreateObject();

    if (!network_json_add(list, NULL, to) || !add_word(to, "op", network_op_words, layer->op)) {
        return false;
    }
    if (network_layer_has_weights(layer)) {
        return describe_weighted(to, layer);
    }
    return layer->op == NETWORK_OP_GLOBALAVGPOOL ||
           (add_pair(to, "kernel", layer->kernel) && add_pair(to, "stride", layer->stride));
}

static bool describe_layers(cJSON *to, const struct network_point *point)
{
    cJSON *list = cJSON_AddArrayToObject(to, "layers");
    bool ok = list != NULL;

    for (uint32_t i = 0; i < point->layer_count; i++) {
        ok = ok && describe_layer(list, &point->layers[i]);
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

#define TENSORS_MAX (3u * NETWORK_LAYERS_MAX * NETWORK_POINTS_MAX)

struct tensor_list {
    char names[TENSORS_MAX][NETWORK_LAYER_NAME_MAX + 8];
    struct network_tensor tensors[TENSORS_MAX];
    uint32_t count;
};

static void add_tensor(struct tensor_list *list, const struct network_layer *layer,
                       const char *part, struct network_tensor tensor)
{
    char *name = list->names[list->count];

    snprintf(name, sizeof list->names[0], "%s.%s", layer->name, part);
    tensor.name = name;
    list->tensors[list->count++] = tensor;
}

static void add_layer_tensors(struct tensor_list *list, const struct network_layer *layer,
                              struct network_shape in)
{
    bool s8 = layer->weights == NETWORK_WEIGHTS_S8;
    struct network_tensor weight = {
        .dtype = s8 ? NETWORK_DTYPE_I8 : NETWORK_DTYPE_F32,
        .rank = 2,
        .shape = {layer->out, (uint64_t)in.height * in.width * in.channels},
        .data = s8 ? (const void *)layer->weight_s8 : layer->weight_f32,
    };
    struct network_tensor vector = {
        .dtype = s8 ? NETWORK_DTYPE_I32 : NETWORK_DTYPE_F32,
        .rank = 1,
        .shape = {layer->out},
        .data = s8 ? (const void *)layer->bias_s32 : layer->bias_f32,
    };

    if (layer->op == NETWORK_OP_CONV) {
        weight.rank = 4;
        weight.shape[1] = layer->kernel[0];
        weight.shape[2] = layer->kernel[1];
        weight.shape[3] = in.channels;
    }
    add_tensor(list, layer, "weight", weight);
    add_tensor(list, layer, "bias", vector);
    if (s8) {
        vector.data = layer->mult;
        add_tensor(list, layer, "mult", vector);
    }
}

static int list_tensors(const struct network_point *point, struct tensor_list *list,
                        const char **ret_reason)
{
    struct network_shape shape = network_input_shape(&point->input);

    for (uint32_t i = 0; i < point->layer_count; i++) {
        const struct network_layer *layer = &point->layers[i];
        struct network_shape out;
        int result = network_layer_shape(layer, shape, &out, ret_reason);

        if (result < 0) {
            return result;
        }
        if (network_layer_has_weights(layer)) {
            add_layer_tensors(list, layer, shape);
        }
        shape = out;
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
