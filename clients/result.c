/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Reads a result's JSON. The daemon is trusted with the content, not with the form: each field's
 * type is checked. */
#include "clients/result.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#define WHOLE_MAX 9007199254740992.0 /* 2^53 */

/* What the caller sees comes first, so that both have one address. */
struct owner {
    struct ocellus_result result;
    cJSON *tree; /* owns the strings */
    struct ocellus_score *scores;
    struct ocellus_box *boxes;
    char *json;
};

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static bool get_text(const cJSON *object, const char *name, const char **ret_text)
{
    *ret_text = cJSON_GetStringValue(member(object, name));
    return *ret_text != NULL;
}

static bool get_number(const cJSON *object, const char *name, double *ret_number)
{
    const cJSON *item = member(object, name);

    *ret_number = cJSON_IsNumber(item) ? item->valuedouble : 0;
    return cJSON_IsNumber(item);
}

/* A whole number in min..max. */
static bool get_whole(const cJSON *object, const char *name, double min, double max,
                      double *ret_number)
{
    return get_number(object, name, ret_number) && *ret_number >= min && *ret_number <= max &&
           floor(*ret_number) == *ret_number;
}

static bool get_u32(const cJSON *object, const char *name, uint32_t *ret_number)
{
    double number;

    if (!get_whole(object, name, 0, UINT32_MAX, &number)) {
        return false;
    }
    *ret_number = (uint32_t)number;
    return true;
}

static bool get_u64(const cJSON *object, const char *name, uint64_t *ret_number)
{
    double number;

    if (!get_whole(object, name, 0, WHOLE_MAX, &number)) {
        return false;
    }
    *ret_number = (uint64_t)number;
    return true;
}

/* owner->scores has room for all of them. */
static bool read_scores(struct owner *owner, const cJSON *list)
{
    const cJSON *item;
    size_t count = 0;

    cJSON_ArrayForEach(item, list)
    {
        struct ocellus_score *score = &owner->scores[count++];
        double number;
        if (!get_text(item, "label", &score->label) ||
            !get_number(item, "probability", &score->probability) ||
            !get_whole(item, "score", INT32_MIN, INT32_MAX, &number)) {
            return false;
        }
        score->score = (int32_t)number;
    }
    owner->result.scores = owner->scores;
    owner->result.score_count = count;
    return true;
}

static bool read_box(const cJSON *item, struct ocellus_box *box)
{
    double score;

    if (!get_u32(item, "x", &box->x) || !get_u32(item, "y", &box->y) ||
        !get_u32(item, "width", &box->width) || !get_u32(item, "height", &box->height) ||
        !get_text(item, "label", &box->label) ||
        !get_number(item, "confidence", &box->confidence) ||
        !get_whole(item, "score", INT32_MIN, INT32_MAX, &score) ||
        !get_u32(item, "level", &box->level)) {
        return false;
    }
    box->score = (int32_t)score;
    return get_text(item, "zone", &box->zone) || member(item, "zone") == NULL;
}

/* owner->boxes has room for all of them. */
static bool read_boxes(struct owner *owner, const cJSON *list)
{
    struct ocellus_result *result = &owner->result;
    const cJSON *item, *motion = member(owner->tree, "motion");

    result->scanned = list != NULL;
    result->boxes = owner->boxes;
    cJSON_ArrayForEach(item, list)
    {
        if (!read_box(item, &owner->boxes[result->box_count++])) {
            return false;
        }
    }
    result->motion_share = 1;
    return motion == NULL || get_number(motion, "share", &result->motion_share);
}

static bool read_light(struct ocellus_result *result, const cJSON *light)
{
    struct ocellus_light *read = &result->light;
    const cJSON *mono = member(light, "mono");

    *read = (struct ocellus_light){-1, -1, -1, -1};
    if (light == NULL) {
        return true;
    }
    if (mono != NULL) {
        read->mono = cJSON_IsTrue(mono);
    }
    return get_number(light, "level", &read->level) &&
           get_number(light, "saturated", &read->saturated) &&
           get_number(light, "dark", &read->dark) && (mono == NULL || cJSON_IsBool(mono));
}

static bool read_warnings(struct ocellus_result *result, const cJSON *list)
{
    static const char *const names[] = {"constant", "damaged", "truncated"};
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        const char *text = cJSON_GetStringValue(item);
        uint32_t bit = OCELLUS_WARNING_OTHER;
        for (uint32_t i = 0; text != NULL && i < 3; i++) {
            bit = strcmp(text, names[i]) == 0 ? 1u << i : bit;
        }
        result->warnings |= bit;
    }
    return cJSON_IsArray(list);
}

/* It is there where the model is the detector of a cascade. */
static bool read_cascade(struct ocellus_result *result, const cJSON *cascade)
{
    if (cascade == NULL) {
        return true;
    }
    result->cascade.awake = cJSON_IsTrue(member(cascade, "awake"));
    return get_text(cascade, "detector", &result->cascade.detector) &&
           get_text(cascade, "label", &result->cascade.label) &&
           get_number(cascade, "confidence", &result->cascade.confidence) &&
           cJSON_IsBool(member(cascade, "awake"));
}

static bool read_fields(struct owner *owner)
{
    struct ocellus_result *result = &owner->result;
    const cJSON *root = owner->tree;
    const cJSON *model = member(root, "model"), *image = member(root, "image");
    const cJSON *times = member(root, "times_us");

    return get_text(root, "camera", &result->camera) && get_u64(root, "frame", &result->frame) &&
           get_text(root, "label", &result->label) &&
           get_number(root, "confidence", &result->confidence) &&
           get_text(model, "name", &result->model_name) &&
           get_text(model, "point", &result->point) && get_u64(root, "macs", &result->macs) &&
           read_cascade(result, member(root, "cascade")) &&
           get_text(model, "id", &result->model_id) &&
           get_u64(model, "generation", &result->generation) &&
           get_text(image, "format", &result->format) && get_u32(image, "width", &result->width) &&
           get_u32(image, "height", &result->height) &&
           get_u32(image, "orientation", &result->orientation) &&
           get_u32(image, "reduction", &result->reduction) &&
           get_number(times, "wait", &result->times.wait) &&
           get_number(times, "decode", &result->times.decode) &&
           get_number(times, "gradient", &result->times.gradient) &&
           get_number(times, "network", &result->times.network) &&
           get_number(times, "total", &result->times.total) &&
           (get_number(times, "average", &result->times.average) ||
            member(times, "average") == NULL) &&
           read_scores(owner, member(root, "scores")) && read_boxes(owner, member(root, "boxes")) &&
           read_light(result, member(root, "light")) &&
           read_warnings(result, member(root, "warnings"));
}

enum ocellus_error result_from_json(const struct cJSON *json, struct ocellus_result **ret_result)
{
    const cJSON *scores = member(json, "scores"), *boxes = member(json, "boxes");
    int count = cJSON_IsArray(scores) ? cJSON_GetArraySize(scores) : 0;

    if (!cJSON_IsObject(json) || count == 0 || (boxes != NULL && !cJSON_IsArray(boxes))) {
        return OCELLUS_DISCONNECTED;
    }
    struct owner *owner = calloc(1, sizeof(*owner));
    if (owner == NULL) {
        return OCELLUS_MEMORY;
    }
    owner->tree = cJSON_Duplicate(json, true);
    owner->scores = calloc((size_t)count, sizeof(*owner->scores));
    owner->boxes = calloc((size_t)cJSON_GetArraySize(boxes) + 1, sizeof(*owner->boxes));
    if (owner->tree == NULL || owner->scores == NULL || owner->boxes == NULL) {
        result_destroy(&owner->result);
        return OCELLUS_MEMORY;
    }
    if (!read_fields(owner)) {
        result_destroy(&owner->result);
        return OCELLUS_DISCONNECTED;
    }
    owner->json = result_print(owner->tree);
    if (owner->json == NULL) {
        result_destroy(&owner->result);
        return OCELLUS_MEMORY;
    }
    owner->result.json = owner->json;
    *ret_result = &owner->result;
    return OCELLUS_OK;
}

void result_destroy(struct ocellus_result *result)
{
    struct owner *owner = (struct owner *)result;

    if (owner != NULL) {
        cJSON_Delete(owner->tree);
        free(owner->scores);
        free(owner->boxes);
        free(owner->json);
        free(owner);
    }
}

/* Whole numbers become raw text. The tree's depth is bounded by cJSON's parser. */
static bool spell_whole_numbers(cJSON *item)
{
    if (cJSON_IsNumber(item) && fabs(item->valuedouble) <= WHOLE_MAX &&
        floor(item->valuedouble) == item->valuedouble) {
        char *text = cJSON_malloc(24);
        if (text == NULL) {
            return false;
        }
        snprintf(text, 24, "%.0f", item->valuedouble);
        item->type = (item->type & ~0xff) | cJSON_Raw;
        item->valuestring = text;
    }
    for (cJSON *child = item->child; child != NULL; child = child->next) {
        if (!spell_whole_numbers(child)) {
            return false;
        }
    }
    return true;
}

char *result_print(struct cJSON *json)
{
    return spell_whole_numbers(json) ? cJSON_PrintUnformatted(json) : NULL;
}
