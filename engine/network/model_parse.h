/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Readers of single fields, shared by the files that parse a model's JSON. Not for use elsewhere.
 */
#ifndef OCELLUS_ENGINE_NETWORK_MODEL_PARSE_H
#define OCELLUS_ENGINE_NETWORK_MODEL_PARSE_H

#include <errno.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "engine/network/json.h"
#include "engine/network/model_internal.h"

static inline int refuse(const char **ret_reason, const char *reason)
{
    *ret_reason = reason;
    return -EBADMSG;
}

static inline const cJSON *get(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static inline bool read_word(const cJSON *object, const char *key, const char *const *words,
                             uint8_t *ret_index)
{
    int index = network_json_word(get(object, key), words);

    if (index < 0) {
        return false;
    }
    *ret_index = (uint8_t)index;
    return true;
}

/* 0..255, or false. */
static inline bool read_byte(const cJSON *value, int64_t low, int64_t high, uint8_t *ret_number)
{
    int64_t number;

    if (!network_json_integer(value, low, high, &number)) {
        return false;
    }
    *ret_number = (uint8_t)number;
    return true;
}

static inline bool read_u32(const cJSON *value, int64_t low, int64_t high, uint32_t *ret_number)
{
    int64_t number;

    if (!network_json_integer(value, low, high, &number)) {
        return false;
    }
    *ret_number = (uint32_t)number;
    return true;
}

static inline bool read_pair(const cJSON *value, int64_t low, int64_t high, uint16_t pair[2])
{
    if (!cJSON_IsArray(value) || cJSON_GetArraySize(value) != 2) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        int64_t number;

        if (!network_json_integer(cJSON_GetArrayItem(value, i), low, high, &number)) {
            return false;
        }
        pair[i] = (uint16_t)number;
    }
    return true;
}

#define PLAIN_LETTERS "abcdefghijklmnopqrstuvwxyz0123456789_"

static inline bool is_name(const char *text, size_t max, const char *characters)
{
    size_t length = strlen(text);

    return length >= 1 && length <= max && strspn(text, characters) == length;
}

/* Fill layers[index]; layers before it are filled. Errors: -EBADMSG, with reason. */
int network_layer_parse(const cJSON *item, struct network_layer *layers, uint32_t index,
                        const char **ret_reason);

#endif
