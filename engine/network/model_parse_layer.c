/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * One layer of a model's JSON -> its description, by the schema of model.h. It sees no tensors and
 * no shapes.
 */
#include "engine/network/model_parse.h"

const char *const network_op_words[] = {"conv",    "dense",   "depthwise",     "add",
                                        "maxpool", "avgpool", "globalavgpool", NULL};
const char *const network_weights_words[] = {"s8", "f32", "ternary", "binary", "log", NULL};
const char *const network_activation_words[] = {"none", "relu", NULL};
const char *const network_output_words[] = {"u7",     "f32", "scores", "ternary",
                                            "binary", "log", NULL};
const char *const network_base_words[] = {"2", "sqrt2", NULL};

static bool is_integer(const struct network_layer *layer)
{
    return layer->weights != NETWORK_WEIGHTS_F32;
}

static bool requantises(const struct network_layer *layer)
{
    return is_integer(layer) &&
           (layer->output == NETWORK_OUTPUT_U7 || layer->output == NETWORK_OUTPUT_SCORES);
}

/* Adds keys[0..] to a list that ends in NULL and has room. */
static void allow(const char **list, const char *const *keys)
{
    while (*list != NULL) {
        list++;
    }
    while (*keys != NULL) {
        *list++ = *keys++;
    }
    *list = NULL;
}

#define ALLOW(list, ...) allow(list, (const char *const[]){__VA_ARGS__, NULL})

/* A key that nobody reads may be a setting that someone relies on. What a key depends on has been
 * read. */
static bool keys_known(const cJSON *item, const struct network_layer *layer)
{
    const char *keys[32] = {"op", "name", NULL};

    if (layer->op == NETWORK_OP_ADD) {
        ALLOW(keys, "inputs", "mult", "shift", "activation");
        return network_json_only(item, keys);
    }
    ALLOW(keys, "input");
    if (network_layer_has_weights(layer)) {
        ALLOW(keys, "weights", "activation", "output");
    }
    if (layer->op != NETWORK_OP_DENSE && layer->op != NETWORK_OP_GLOBALAVGPOOL) {
        ALLOW(keys, "kernel", "stride");
    }
    if (layer->op == NETWORK_OP_CONV || layer->op == NETWORK_OP_DENSE) {
        ALLOW(keys, "out");
    }
    if (layer->op == NETWORK_OP_CONV || layer->op == NETWORK_OP_DEPTHWISE) {
        ALLOW(keys, "pad", "pad_code");
    }
    if (network_layer_has_weights(layer) && layer->weights == NETWORK_WEIGHTS_LOG) {
        ALLOW(keys, "weight_bits", "weight_base");
    }
    if (network_layer_has_weights(layer) && layer->output == NETWORK_OUTPUT_LOG) {
        ALLOW(keys, "output_bits", "output_base");
    }
    if (network_layer_has_weights(layer) && requantises(layer)) {
        ALLOW(keys, "preshift", "shift", "narrow");
    }
    return network_json_only(item, keys);
}

/* Index + 1 of the earlier layer with this name; 0: none. */
static uint32_t find_layer(const cJSON *name, const struct network_layer *layers, uint32_t count)
{
    for (uint32_t i = 0; cJSON_IsString(name) && i < count; i++) {
        if (layers[i].name != NULL && strcmp(layers[i].name, name->valuestring) == 0) {
            return i + 1;
        }
    }
    return 0;
}

static int parse_inputs(const cJSON *item, struct network_layer *layers, uint32_t index,
                        const char **ret_reason)
{
    struct network_layer *layer = &layers[index];
    const cJSON *input = get(item, "input"), *inputs = get(item, "inputs");

    layer->input = index;
    if (layer->op == NETWORK_OP_ADD) {
        if (!cJSON_IsArray(inputs) || cJSON_GetArraySize(inputs) != 2) {
            return refuse(ret_reason, "An addition has not two inputs.");
        }
        layer->input = find_layer(cJSON_GetArrayItem(inputs, 0), layers, index);
        layer->other = find_layer(cJSON_GetArrayItem(inputs, 1), layers, index);
        if (layer->input == 0 || layer->other == 0) {
            return refuse(ret_reason, "An addition's input is no earlier layer.");
        }
    } else if (input != NULL) {
        layer->input = find_layer(input, layers, index);
        if (layer->input == 0) {
            return refuse(ret_reason, "A layer's input is no earlier layer.");
        }
    }
    return 0;
}

static int parse_geometry(const cJSON *item, struct network_layer *layer, const char **ret_reason)
{
    bool pool = network_layer_is_pool(layer);
    int64_t side = pool ? UINT16_MAX : NETWORK_KERNEL_MAX;
    const cJSON *code = get(item, "pad_code");

    if (!read_pair(get(item, "kernel"), 1, side, layer->kernel) ||
        !read_pair(get(item, "stride"), 1, side, layer->stride)) {
        return refuse(ret_reason, "A layer's kernel or stride is missing or out of range.");
    }
    if (pool) {
        return 0;
    }
    if (!read_pair(get(item, "pad"), 0, side, layer->pad) || layer->pad[0] >= layer->kernel[0] ||
        layer->pad[1] >= layer->kernel[1] ||
        (code != NULL && !read_byte(code, 0, 127, &layer->pad_code))) {
        return refuse(ret_reason, "A layer's padding is missing or out of range.");
    }
    return 0;
}

static bool read_log(const cJSON *item, const char *bits_key, const char *base_key, int64_t low,
                     int64_t high, uint8_t *bits, bool *root)
{
    uint8_t base;

    if (!read_byte(get(item, bits_key), low, high, bits) ||
        !read_word(item, base_key, network_base_words, &base)) {
        return false;
    }
    *root = base != 0;
    return true;
}

static int parse_codings(const cJSON *item, struct network_layer *layer, const char **ret_reason)
{
    uint8_t relu;

    if (!read_word(item, "weights", network_weights_words, &layer->weights)) {
        return refuse(ret_reason, "A layer's kind of weights is not known here.");
    }
    if (layer->weights == NETWORK_WEIGHTS_LOG &&
        !read_log(item, "weight_bits", "weight_base", 3, 6, &layer->weight_bits,
                  &layer->weight_root)) {
        return refuse(ret_reason, "Log weights have 3 to 6 bits and the base 2 or sqrt2.");
    }
    if (!read_word(item, "activation", network_activation_words, &relu) ||
        !read_word(item, "output", network_output_words, &layer->output)) {
        return refuse(ret_reason, "A layer's activation or output is not known here.");
    }
    layer->relu = relu != 0;
    if (layer->output == NETWORK_OUTPUT_LOG &&
        !read_log(item, "output_bits", "output_base", 2, 5, &layer->output_bits,
                  &layer->output_root)) {
        return refuse(ret_reason, "Log outputs have 2 to 5 bits and the base 2 or sqrt2.");
    }
    return 0;
}

static int parse_weighted(const cJSON *item, struct network_layer *layer, const char **ret_reason)
{
    const cJSON *narrow = get(item, "narrow");

    if (layer->name == NULL) {
        return refuse(ret_reason, "A layer's name is missing or not a plain word.");
    }
    if (layer->op != NETWORK_OP_DEPTHWISE &&
        !read_u32(get(item, "out"), 1, NETWORK_CHANNELS_MAX, &layer->out)) {
        return refuse(ret_reason, "A layer's number of outputs is missing or out of range.");
    }
    if (requantises(layer) && (!read_byte(get(item, "preshift"), 0, 30, &layer->preshift) ||
                               !read_byte(get(item, "shift"), 1, 31, &layer->shift) ||
                               (narrow != NULL && !read_byte(narrow, 0, 62, &layer->narrow)))) {
        return refuse(ret_reason, "A layer's shifts are missing or out of range.");
    }
    return 0;
}

/* Of integers mult and shift are needed, of floats none may be there; which it is the shapes tell.
 */
static int parse_add(const cJSON *item, struct network_layer *layer, const char **ret_reason)
{
    const cJSON *mult = get(item, "mult"), *shift = get(item, "shift");
    uint16_t pair[2];
    uint8_t relu = 0;

    if ((mult == NULL) != (shift == NULL) || (mult == NULL) == (get(item, "activation") == NULL)) {
        return refuse(ret_reason, "An addition has either mult and shift or an activation.");
    }
    if (mult == NULL) {
        if (!read_word(item, "activation", network_activation_words, &relu)) {
            return refuse(ret_reason, "A layer's activation or output is not known here.");
        }
        layer->relu = relu != 0;
        return 0;
    }
    if (!read_pair(mult, 0, UINT16_MAX, pair) || !read_byte(shift, 1, 24, &layer->shift)) {
        return refuse(ret_reason, "An addition's mult or shift is out of range.");
    }
    layer->add_mult[0] = pair[0];
    layer->add_mult[1] = pair[1];
    return 0;
}

static int parse_name(const cJSON *item, struct network_layer *layer, const char **ret_reason)
{
    const cJSON *name = get(item, "name");

    if (name == NULL) {
        return 0;
    }
    if (!cJSON_IsString(name) ||
        !is_name(name->valuestring, NETWORK_LAYER_NAME_MAX, PLAIN_LETTERS)) {
        return refuse(ret_reason, "A layer's name is missing or not a plain word.");
    }
    layer->name = name->valuestring;
    return 0;
}

int network_layer_parse(const cJSON *item, struct network_layer *layers, uint32_t index,
                        const char **ret_reason)
{
    struct network_layer *layer = &layers[index];

    if (!cJSON_IsObject(item) || !read_word(item, "op", network_op_words, &layer->op)) {
        return refuse(ret_reason, "A layer's operation is not known here.");
    }
    int result = parse_name(item, layer, ret_reason);
    if (result == 0 && network_layer_has_weights(layer)) {
        result = parse_codings(item, layer, ret_reason);
    }
    if (result < 0) {
        return result;
    }
    if (!keys_known(item, layer)) {
        return refuse(ret_reason, "A layer has a key that its operation does not know.");
    }
    result = parse_inputs(item, layers, index, ret_reason);
    if (result == 0 && network_layer_has_weights(layer)) {
        result = parse_weighted(item, layer, ret_reason);
    }
    if (result == 0 && layer->op == NETWORK_OP_ADD) {
        result = parse_add(item, layer, ret_reason);
    }
    if (result == 0 && layer->op != NETWORK_OP_DENSE && layer->op != NETWORK_OP_ADD &&
        layer->op != NETWORK_OP_GLOBALAVGPOOL) {
        result = parse_geometry(item, layer, ret_reason);
    }
    return result;
}
