/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Results as JSON trees. Numbers are rounded to what people can use. */
#include "proto/result.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

static const char *const warning_names[] = {"constant", "damaged", "truncated"};

static bool add_string(cJSON *object, const char *name, const char *text)
{
    cJSON *item = cJSON_CreateString(text);
    return cJSON_AddItemToObjectCS(object, name, item);
}

/* value / 10^digits, exactly. (cJSON prints doubles and drops the last digits of large whole ones.)
 */
static bool add_decimal(cJSON *object, const char *name, int64_t value, int digits)
{
    char text[32];
    int64_t scale = 1;
    for (int i = 0; i < digits; i++) {
        scale *= 10;
    }
    int length = snprintf(text, sizeof(text), "%" PRId64, value / scale);
    if (value % scale != 0) {
        length += snprintf(text + length, sizeof(text) - (size_t)length, ".%0*" PRId64, digits,
                           value % scale);
        while (text[length - 1] == '0') {
            text[--length] = '\0';
        }
    }
    cJSON *item = cJSON_CreateRaw(text);
    return cJSON_AddItemToObjectCS(object, name, item);
}

static bool add_whole(cJSON *object, const char *name, int64_t value)
{
    return add_decimal(object, name, value, 0);
}

/* 0..1 with six digits after the point. */
static bool add_probability(cJSON *object, const char *name, float probability)
{
    return add_decimal(object, name, lroundf(probability * 1e6f), 6);
}

/* Microseconds with one digit after the point. */
static bool add_time(cJSON *object, const char *name, uint64_t nanoseconds)
{
    return add_decimal(object, name, (int64_t)(nanoseconds / 100), 1);
}

/* The new object or array is in the tree, or NULL is returned and it is freed. */
static cJSON *add_child(cJSON *object, const char *name, cJSON *child)
{
    if (cJSON_AddItemToObjectCS(object, name, child)) {
        return child;
    }
    cJSON_Delete(child);
    return NULL;
}

static bool add_scores(cJSON *root, const struct proto_result *result)
{
    cJSON *scores = add_child(root, "scores", cJSON_CreateArray());
    for (uint32_t i = 0; scores != NULL && i < result->score_count; i++) {
        const struct proto_score *score = &result->scores[i];
        cJSON *entry = cJSON_CreateObject();
        if (!cJSON_AddItemToArray(scores, entry)) {
            cJSON_Delete(entry);
            return false;
        }
        if (!add_string(entry, "label", score->label) ||
            !add_probability(entry, "probability", score->probability) ||
            !add_whole(entry, "score", score->score)) {
            return false;
        }
    }
    return scores != NULL;
}

static bool add_model(cJSON *root, const struct proto_result *result)
{
    cJSON *model = add_child(root, "model", cJSON_CreateObject());
    bool good = model != NULL && add_string(model, "name", result->model_name) &&
                add_string(model, "point", result->point) &&
                add_string(model, "id", result->model_id) &&
                add_whole(model, "generation", (int64_t)result->generation) &&
                (result->adapter == NULL || add_string(model, "adapter", result->adapter)) &&
                add_whole(root, "macs", (int64_t)result->macs);
    if (!good || result->cascade.detector == NULL) {
        return good;
    }
    cJSON *cascade = add_child(root, "cascade", cJSON_CreateObject());
    return cascade != NULL && add_string(cascade, "detector", result->cascade.detector) &&
           add_string(cascade, "label", result->cascade.label) &&
           add_probability(cascade, "confidence", result->cascade.confidence) &&
           cJSON_AddBoolToObject(cascade, "awake", result->cascade.awake) != NULL;
}

static bool add_boxes(cJSON *root, const struct proto_result *result)
{
    cJSON *boxes = add_child(root, "boxes", cJSON_CreateArray());
    for (uint32_t i = 0; boxes != NULL && i < result->box_count; i++) {
        const struct proto_box *box = &result->boxes[i];
        cJSON *entry = cJSON_CreateObject();
        if (!cJSON_AddItemToArray(boxes, entry)) {
            cJSON_Delete(entry);
            return false;
        }
        if (!add_whole(entry, "x", box->x) || !add_whole(entry, "y", box->y) ||
            !add_whole(entry, "width", box->width) || !add_whole(entry, "height", box->height) ||
            !add_string(entry, "label", box->label) ||
            !add_probability(entry, "confidence", box->confidence) ||
            !add_whole(entry, "score", box->score) || !add_whole(entry, "level", box->level) ||
            (box->zone != NULL && !add_string(entry, "zone", box->zone))) {
            return false;
        }
    }
    return boxes != NULL;
}

static bool add_scan(cJSON *root, const struct proto_result *result)
{
    if (!result->scanned) {
        return true;
    }
    if (!add_boxes(root, result)) {
        return false;
    }
    if (!result->motion) {
        return true;
    }
    cJSON *motion = add_child(root, "motion", cJSON_CreateObject());
    return motion != NULL && add_probability(motion, "share", result->motion_share);
}

static bool add_light(cJSON *root, const struct proto_light *light)
{
    cJSON *object = add_child(root, "light", cJSON_CreateObject());
    return object != NULL && add_probability(object, "level", light->level) &&
           add_probability(object, "saturated", light->saturated) &&
           add_probability(object, "dark", light->dark) &&
           (light->mono == PROTO_MONO_UNKNOWN ||
            cJSON_AddBoolToObject(object, "mono", light->mono == PROTO_MONO_YES) != NULL);
}

static bool add_details(cJSON *root, const struct proto_result *result)
{
    cJSON *image = add_child(root, "image", cJSON_CreateObject());
    bool good = image != NULL && add_string(image, "format", result->format) &&
                add_whole(image, "width", result->width) &&
                add_whole(image, "height", result->height) &&
                add_whole(image, "orientation", result->orientation) &&
                add_whole(image, "reduction", result->reduction);

    const struct proto_times *times = &result->times;
    cJSON *object = good ? add_child(root, "times_us", cJSON_CreateObject()) : NULL;
    good = object != NULL && add_time(object, "wait", times->wait) &&
           add_time(object, "decode", times->decode) &&
           (!result->scanned || add_time(object, "average", times->average)) &&
           add_time(object, "gradient", times->gradient) &&
           add_time(object, "network", times->network) && add_time(object, "total", times->total) &&
           add_light(root, &result->light);

    cJSON *warnings = good ? add_child(root, "warnings", cJSON_CreateArray()) : NULL;
    good = warnings != NULL;
    for (unsigned i = 0; good && i < sizeof(warning_names) / sizeof(warning_names[0]); i++) {
        if ((result->warnings & (1u << i)) != 0) {
            good = cJSON_AddItemToArray(warnings, cJSON_CreateString(warning_names[i]));
        }
    }
    return good;
}

struct cJSON *proto_result_to_json(const struct proto_result *result)
{
    cJSON *root = cJSON_CreateObject();
    if (root == NULL) {
        return NULL;
    }
    if (!add_string(root, "camera", result->camera) ||
        !add_whole(root, "frame", (int64_t)result->frame) ||
        !add_string(root, "label", result->label) ||
        !add_probability(root, "confidence", result->confidence) || !add_scores(root, result) ||
        !add_scan(root, result) || !add_model(root, result) || !add_details(root, result)) {
        cJSON_Delete(root);
        return NULL;
    }
    return root;
}

int proto_name_valid(const char *name)
{
    size_t length = strlen(name);
    return length > 0 && length < PROTO_CAMERA_BYTES && name[0] != '.' && name[0] != '-' &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") ==
               length;
}
