/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See json_builder.h. */
#include "daemon/json_builder.h"

#include <math.h>

#include <cjson/cJSON.h>

void json_put(struct json_builder *builder, cJSON *object, const char *name, cJSON *item)
{
    if (!cJSON_AddItemToObjectCS(object, name, item)) {
        cJSON_Delete(item);
        builder->good = false;
    }
}

void json_put_number(struct json_builder *builder, cJSON *object, const char *name, double value)
{
    json_put(builder, object, name, cJSON_CreateNumber(isfinite(value) ? value : 0));
}

void json_put_string(struct json_builder *builder, cJSON *object, const char *name,
                     const char *text)
{
    json_put(builder, object, name, cJSON_CreateString(text));
}

void json_put_bool(struct json_builder *builder, cJSON *object, const char *name, bool value)
{
    json_put(builder, object, name, cJSON_CreateBool(value));
}

cJSON *json_put_object(struct json_builder *builder, cJSON *object, const char *name)
{
    cJSON *child = cJSON_CreateObject();
    json_put(builder, object, name, child);
    return builder->good ? child : NULL;
}

cJSON *json_put_array(struct json_builder *builder, cJSON *object, const char *name)
{
    cJSON *child = cJSON_CreateArray();
    json_put(builder, object, name, child);
    return builder->good ? child : NULL;
}

cJSON *json_append_object(struct json_builder *builder, cJSON *array)
{
    cJSON *child = cJSON_CreateObject();
    if (!cJSON_AddItemToArray(array, child)) {
        cJSON_Delete(child);
        builder->good = false;
        return NULL;
    }
    return child;
}

cJSON *json_builder_finish(const struct json_builder *builder, cJSON *root)
{
    if (!builder->good) {
        cJSON_Delete(root);
        return NULL;
    }
    return root;
}
