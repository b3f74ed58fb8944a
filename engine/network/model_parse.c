/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The JSON of a model file -> its description, by the schema of model.h. It sees no tensors. Every
 * key is accounted for: a key that nobody reads is an error, since it may be a setting that someone
 * relies on.
 */
#include "engine/network/model_internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "engine/network/model_parse.h"

#define SCAN_LIMIT 1000.0

const char *const network_source_words[] = {"log-gradient", "srgb", NULL};
const char *const network_planes_words[] = {"grey", "rgb", NULL};
const char *const network_fit_words[] = {"cover", "contain", "stretch", NULL};
const char *const network_coding_words[] = {"ternary", "seven", "u7", "f32", "thermometer", NULL};
const char *const network_merge_words[] = {"all", "strongest", NULL};

/* As many ratios as the coding has levels a side, each above 1 and above the one before. */
static bool read_ratios(const cJSON *list, struct gradient_spec *front)
{
    int count = front->coding == GRADIENT_CODING_TERNARY ? 1
                : front->coding == GRADIENT_CODING_SEVEN ? 3
                                                         : 0;
    uint32_t p = 1, q = 1;

    if (count == 0) {
        return list == NULL;
    }
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != count) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        uint16_t pair[2];

        if (!read_pair(cJSON_GetArrayItem(list, i), 1, 4096, pair) || pair[0] * q <= pair[1] * p) {
            return false;
        }
        p = pair[0];
        q = pair[1];
        front->ratio[i] = (struct gradient_ratio){pair[0], pair[1]};
    }
    return true;
}

static bool read_levels(const cJSON *input, struct gradient_spec *front)
{
    const cJSON *even = get(input, "even");

    if (front->coding != GRADIENT_CODING_THERMOMETER) {
        return get(input, "levels") == NULL && even == NULL;
    }
    front->even = cJSON_IsTrue(even);
    return read_byte(get(input, "levels"), 1, 127, &front->levels) && front->levels % 2 == 1 &&
           (even == NULL || cJSON_IsBool(even));
}

/* The rules of gradient_spec_check, which lives in a module that this one does not link. */
static int parse_front(const cJSON *input, struct gradient_spec *front, const char **ret_reason)
{
    uint8_t colour;

    if (!read_word(input, "source", network_source_words, &front->source) ||
        !read_word(input, "coding", network_coding_words, &front->coding) ||
        !read_word(input, "planes", network_planes_words, &colour)) {
        return refuse(ret_reason, "The input's source, coding or planes are not known here.");
    }
    front->planes = colour == 0 ? 1 : 3;
    if (front->source == GRADIENT_SOURCE_LOG_GRADIENT) {
        uint32_t floor;

        if (front->coding == GRADIENT_CODING_U7 || front->coding == GRADIENT_CODING_THERMOMETER ||
            !read_word(input, "merge", network_merge_words, &front->merge) ||
            !read_u32(get(input, "floor"), 1, UINT16_MAX, &floor)) {
            return refuse(ret_reason,
                          "The input's coding, merge or floor does not suit a log gradient.");
        }
        front->floor = (uint16_t)floor;
    } else if (front->coding < GRADIENT_CODING_U7 || get(input, "merge") != NULL ||
               get(input, "floor") != NULL) {
        return refuse(ret_reason,
                      "An sRGB input is u7, thermometer or f32 and has neither merge nor floor.");
    }
    if (!read_levels(input, front)) {
        return refuse(ret_reason, "A thermometer has an odd number of levels, 1 to 127.");
    }
    if (!read_ratios(get(input, "ratio"), front)) {
        return refuse(ret_reason, "The input's ratios do not suit its coding.");
    }
    return 0;
}

static int parse_input(const cJSON *input, struct network_input *to, const char **ret_reason)
{
    static const char *const keys[] = {"source", "width", "height", "planes", "fit",  "coding",
                                       "merge",  "ratio", "floor",  "levels", "even", NULL};

    if (!cJSON_IsObject(input) || !network_json_only(input, keys)) {
        return refuse(ret_reason, "The input is missing or has a key that is not known here.");
    }
    if (!read_u32(get(input, "width"), 1, 4096, &to->target.width) ||
        !read_u32(get(input, "height"), 1, 4096, &to->target.height) ||
        !read_word(input, "fit", network_fit_words, &to->target.fit)) {
        return refuse(ret_reason, "The input's width, height or fit is missing or wrong.");
    }
    int result = parse_front(input, &to->front, ret_reason);
    to->target.channels = to->front.planes;
    return result;
}

static int parse_labels(const cJSON *list, struct network_model *model, const char **ret_reason)
{
    if (!cJSON_IsArray(list) || list->child == NULL) {
        return refuse(ret_reason, "The labels are missing.");
    }

    uint32_t count = (uint32_t)cJSON_GetArraySize(list);
    if (count > NETWORK_LABELS_MAX) {
        *ret_reason = "There are too many labels.";
        return -EFBIG;
    }
    model->labels = calloc(count, sizeof *model->labels);
    if (model->labels == NULL) {
        return -ENOMEM;
    }
    model->description.labels = model->labels;
    for (const cJSON *item = list->child; item != NULL; item = item->next) {
        const char *label = cJSON_IsString(item) ? item->valuestring : "";
        size_t length = strlen(label);

        if (length < 1 || length >= NETWORK_LABEL_BYTES || !network_utf8(label, length, true)) {
            return refuse(ret_reason, "A label is empty, too long or not printable.");
        }
        for (uint32_t i = 0; i < model->description.label_count; i++) {
            if (strcmp(model->labels[i], label) == 0) {
                return refuse(ret_reason, "Two labels are the same.");
            }
        }
        model->labels[model->description.label_count++] = label;
    }
    return 0;
}

/* Whether a layer of this or an earlier point has the name. */
static bool name_taken(const struct network_model *model, const char *name)
{
    uint32_t same = 0;

    for (uint32_t i = 0; i < model->description.point_count; i++) {
        for (uint32_t k = 0; k < model->points[i].layer_count; k++) {
            const char *other = model->layers[i][k].name;
            same += other != NULL && strcmp(other, name) == 0;
        }
    }
    return same > 1; /* once is the layer itself */
}

static int parse_layers(const cJSON *list, struct network_model *model, uint32_t point,
                        const char **ret_reason)
{
    if (!cJSON_IsArray(list) || list->child == NULL) {
        return refuse(ret_reason, "The layers are missing.");
    }

    uint32_t count = (uint32_t)cJSON_GetArraySize(list);
    if (count > NETWORK_LAYERS_MAX) {
        *ret_reason = "There are too many layers.";
        return -EFBIG;
    }
    model->layers[point] = calloc(count, sizeof(struct network_layer));
    if (model->layers[point] == NULL) {
        return -ENOMEM;
    }
    model->points[point].layers = model->layers[point];
    for (const cJSON *item = list->child; item != NULL; item = item->next) {
        const uint32_t index = model->points[point].layer_count++;
        struct network_layer *layer = &model->layers[point][index];
        int result = network_layer_parse(item, model->layers[point], index, ret_reason);

        if (result < 0) {
            return result;
        }
        if (layer->name != NULL && name_taken(model, layer->name)) {
            return refuse(ret_reason, "Two layers have the same name.");
        }
    }
    return 0;
}

/* `object` has "input" and "layers": a point, or a model of one. */
static int parse_point(const cJSON *object, struct network_model *model, const char *name,
                       const char **ret_reason)
{
    uint32_t index = model->description.point_count++;
    struct network_point *point = &model->points[index];

    point->name = name;
    int result = parse_input(get(object, "input"), &point->input, ret_reason);
    if (result == 0) {
        result = parse_layers(get(object, "layers"), model, index, ret_reason);
    }
    return result;
}

static bool same_target(const struct image_target *a, const struct image_target *b)
{
    return a->width == b->width && a->height == b->height && a->channels == b->channels &&
           a->fit == b->fit;
}

static int parse_points(const cJSON *list, struct network_model *model, const char **ret_reason)
{
    static const char *const keys[] = {"name", "input", "layers", NULL};

    if (!cJSON_IsArray(list) || list->child == NULL) {
        return refuse(ret_reason, "The operating points are missing.");
    }
    if (cJSON_GetArraySize(list) > (int)NETWORK_POINTS_MAX) {
        *ret_reason = "There are too many operating points.";
        return -EFBIG;
    }
    for (const cJSON *item = list->child; item != NULL; item = item->next) {
        const cJSON *name = get(item, "name");
        uint32_t index = model->description.point_count;

        if (!cJSON_IsObject(item) || !network_json_only(item, keys) || !cJSON_IsString(name) ||
            !is_name(name->valuestring, NETWORK_LAYER_NAME_MAX, PLAIN_LETTERS)) {
            return refuse(ret_reason, "An operating point has no plain name or an unknown key.");
        }
        int result = parse_point(item, model, name->valuestring, ret_reason);
        if (result < 0) {
            return result;
        }
        for (uint32_t i = 0; i < index; i++) {
            if (strcmp(model->points[i].name, name->valuestring) == 0) {
                return refuse(ret_reason, "Two operating points have the same name.");
            }
        }
        if (!same_target(&model->points[0].input.target, &model->points[index].input.target)) {
            return refuse(ret_reason, "The operating points do not want the same planes.");
        }
    }
    return 0;
}

static int parse_provenance(const cJSON *object, struct network_model *model,
                            const char **ret_reason)
{
    if (object == NULL) {
        return 0;
    }
    if (!cJSON_IsObject(object)) {
        return refuse(ret_reason, "The provenance is not an object.");
    }
    model->provenance = cJSON_PrintUnformatted(object);
    model->description.provenance = model->provenance;
    return model->provenance != NULL ? 0 : -ENOMEM;
}

/* A finite number in [-limit, limit]. */
static bool read_real(const cJSON *value, double limit, double *ret_number)
{
    if (!cJSON_IsNumber(value) || !(fabs(value->valuedouble) <= limit)) {
        return false;
    }
    *ret_number = value->valuedouble;
    return true;
}

/* The labels are parsed. */
static int parse_scan(const cJSON *object, struct network_model *model, const char **ret_reason)
{
    static const char *const keys[] = {"label", "slope", "offset", NULL};
    const cJSON *label = get(object, "label");
    struct network_scan_meaning *scan = &model->scan;

    if (object == NULL) {
        return 0;
    }
    if (!cJSON_IsObject(object) || !network_json_only(object, keys) || !cJSON_IsString(label) ||
        !read_real(get(object, "slope"), SCAN_LIMIT, &scan->slope) || scan->slope <= 0 ||
        !read_real(get(object, "offset"), SCAN_LIMIT, &scan->offset)) {
        return refuse(ret_reason, "What scans mean has no label, slope and offset in bounds.");
    }
    while (scan->label < model->description.label_count &&
           strcmp(model->labels[scan->label], label->valuestring) != 0) {
        scan->label++;
    }
    if (scan->label == model->description.label_count) {
        return refuse(ret_reason, "Scans look for a label that the model does not have.");
    }
    model->description.scan = scan;
    return 0;
}

/* Points and labels are parsed. */
static int parse_exits(const cJSON *list, struct network_model *model, const char **ret_reason)
{
    const struct network_description *about = &model->description;
    uint32_t count = 0;

    if (list == NULL) {
        return 0;
    }
    if (!cJSON_IsArray(list) || about->label_count < 2 || about->point_count < 2 ||
        cJSON_GetArraySize(list) != (int)about->point_count - 1) {
        return refuse(ret_reason, "There is not an exit for each operating point but the first.");
    }
    for (const cJSON *item = list->child; item != NULL; item = item->next) {
        int64_t margin;

        if (!network_json_integer(item, 0, INT32_MAX, &margin)) {
            return refuse(ret_reason, "The margin of an exit is not a whole number in bounds.");
        }
        model->exits[count++] = (int32_t)margin;
    }
    for (uint32_t i = 0; i < about->point_count; i++) {
        if (strcmp(about->points[i].name, "exit") == 0) {
            return refuse(ret_reason, "A model with exits has a point of that name.");
        }
    }
    model->description.exits = model->exits;
    return 0;
}

int network_model_parse(struct network_model *model, const char **ret_reason)
{
    static const char *const keys[] = {"format", "name",  "points",     "labels",
                                       "scan",   "exits", "provenance", NULL};
    static const char *const single[] = {"format", "name", "input",      "labels",
                                         "layers", "scan", "provenance", NULL};
    const bool many = get(model->json, "points") != NULL;
    const cJSON *name = get(model->json, "name");
    int64_t format;

    if (!network_json_integer(get(model->json, "format"), 1, 1, &format)) {
        return refuse(ret_reason, "The model's format is missing or not 1.");
    }
    if (!network_json_only(model->json, many ? keys : single)) {
        return refuse(ret_reason, "The model has a key that is not known here.");
    }
    if (!cJSON_IsString(name) ||
        !is_name(name->valuestring, NETWORK_NAME_MAX,
                 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")) {
        return refuse(ret_reason,
                      "The model's name is missing or has other than A-Z a-z 0-9 . _ -");
    }
    model->description.name = name->valuestring;
    model->description.points = model->points;

    int result = many ? parse_points(get(model->json, "points"), model, ret_reason)
                      : parse_point(model->json, model, "default", ret_reason);
    if (result == 0) {
        result = parse_labels(get(model->json, "labels"), model, ret_reason);
    }
    if (result == 0) {
        result = parse_scan(get(model->json, "scan"), model, ret_reason);
    }
    if (result == 0) {
        result = parse_exits(get(model->json, "exits"), model, ret_reason);
    }
    if (result == 0) {
        result = parse_provenance(get(model->json, "provenance"), model, ret_reason);
    }
    return result;
}
