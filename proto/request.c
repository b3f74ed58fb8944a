/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Both readers turn each field into text or a number and hand it to one setter. */
#include "proto/request.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include <cjson/cJSON.h>

#include "proto/http.h"
#include "proto/json.h"

#define STRIDE_MAX     (1u << 24)
#define QUERY_TEXT_MAX 128u /* a decoded name or value; all of ours are shorter */

/* A field's value: text is NULL when it has none, number is -1 when it is not a whole number. */
struct value {
    const char *text;
    int64_t number;
};

/* What was given so far, to refuse repetition and find what is missing. */
struct progress {
    struct proto_request *request;
    unsigned given; /* bits of enum field */
    const char *reason;
};

enum field {
    FIELD_CAMERA,
    FIELD_MODEL,
    FIELD_POINT,
    FIELD_SCAN,
    FIELD_FORMAT,
    FIELD_FD,
    FIELD_DATA,
    FIELD_SENSOR,
    FIELD_WIDTH,
    FIELD_HEIGHT,
    FIELD_STRIDE,
    FIELD_CFA,
    FIELD_PACKING,
    FIELD_BLACK,
    FIELD_WHITE,
    FIELD_NOMINAL_WHITE,
    FIELD_LABEL,
    FIELD_FRAME,
    FIELD_BOX,
    FIELD_ADAPTER,
    FIELD_CODES,
    FIELD_SHA256,
    FIELD_COUNT,
};

#define BIT(field)    (1u << (field))
#define SENSOR_FIELDS (BIT(FIELD_LABEL) - BIT(FIELD_WIDTH))
#define QUERY_FIELDS                                                                               \
    (BIT(FIELD_MODEL) | BIT(FIELD_POINT) | BIT(FIELD_SCAN) | BIT(FIELD_FORMAT) | SENSOR_FIELDS)
#define CALL_FIELDS        (BIT(FIELD_WIDTH) - 1u)
#define LABEL_QUERY_FIELDS (QUERY_FIELDS | BIT(FIELD_CAMERA) | BIT(FIELD_LABEL) | BIT(FIELD_BOX))
#define LABEL_CALL_FIELDS  (CALL_FIELDS | (BIT(FIELD_SHA256) - BIT(FIELD_LABEL)))

static const char *const kind_words[] = {"jpeg", "raw", "pnm", "sensor", NULL};
static const char *const scan_words[] = {"default", "yes", "no", NULL};
static const char *const cfa_words[] = {"RGGB", "GRBG", "GBRG", "BGGR", "mono", NULL};
static const char *const packing_words[] = {"u8", "u16le", "mipi10", "mipi12", NULL};

static int fail(struct progress *progress, const char *reason)
{
    progress->reason = reason;
    return -EINVAL;
}

static int set_name(struct progress *progress, char *name, const struct value *value)
{
    if (value->text == NULL || !proto_name_valid(value->text)) {
        return fail(progress,
                    "the name of a camera, model or point is 1 to 63 of A-Z a-z 0-9 _ . - "
                    "and starts with neither . nor -");
    }
    memcpy(name, value->text, strlen(value->text) + 1);
    return 0;
}

static int set_number(struct progress *progress, uint32_t *number, const struct value *value,
                      uint32_t max)
{
    if (value->number < 0 || value->number > (int64_t)max) {
        return fail(progress, "a number of the sensor is not whole or out of range");
    }
    *number = (uint32_t)value->number;
    return 0;
}

/* Index of the word in the list. */
static int set_word(struct progress *progress, uint32_t *index, const struct value *value,
                    const char *const *words, const char *reason)
{
    for (uint32_t i = 0; value->text != NULL && words[i] != NULL; i++) {
        if (strcasecmp(value->text, words[i]) == 0) {
            *index = i;
            return 0;
        }
    }
    return fail(progress, reason);
}

static int set_kind(struct progress *progress, const struct value *value)
{
    uint32_t index = 0;
    int r = set_word(progress, &index, value, kind_words,
                     "the kind of image is one of jpeg, raw, pnm, sensor");
    if (r == 0) {
        progress->request->kind = (enum proto_kind)(index + 1); /* 0 is AUTO, which has no word */
    }
    return r;
}

static int set_scan(struct progress *progress, const struct value *value)
{
    uint32_t index = 0;
    int r = set_word(progress, &index, value, scan_words, "scan is one of yes, no, default");
    if (r == 0) {
        progress->request->scan = (enum proto_scan)index;
    }
    return r;
}

static int set_sensor_field(struct progress *progress, enum field field, const struct value *value)
{
    struct proto_sensor *sensor = &progress->request->sensor;
    switch (field) {
    case FIELD_WIDTH:
        return set_number(progress, &sensor->width, value, UINT16_MAX);
    case FIELD_HEIGHT:
        return set_number(progress, &sensor->height, value, UINT16_MAX);
    case FIELD_STRIDE:
        return set_number(progress, &sensor->stride, value, STRIDE_MAX);
    case FIELD_CFA:
        return set_word(progress, &sensor->cfa, value, cfa_words,
                        "cfa is one of RGGB, GRBG, GBRG, BGGR, mono");
    case FIELD_PACKING:
        return set_word(progress, &sensor->packing, value, packing_words,
                        "packing is one of u8, u16le, mipi10, mipi12");
    case FIELD_BLACK:
        return set_number(progress, &sensor->black, value, UINT16_MAX);
    case FIELD_WHITE:
        return set_number(progress, &sensor->white, value, UINT16_MAX);
    default:
        return set_number(progress, &sensor->nominal_white, value, UINT16_MAX);
    }
}

static int set_label_field(struct progress *progress, enum field field, const struct value *value)
{
    struct proto_request *request = progress->request;
    switch (field) {
    case FIELD_LABEL:
        if (value->text == NULL || value->text[0] == '\0' ||
            strlen(value->text) >= sizeof(request->label)) {
            return fail(progress, "label is the name of a class, at most 63 bytes");
        }
        memcpy(request->label, value->text, strlen(value->text) + 1);
        return 0;
    case FIELD_FRAME:
        if (value->number <= 0) {
            return fail(progress, "frame is the number that a result has");
        }
        request->frame = (uint64_t)value->number;
        return 0;
    case FIELD_BOX:
        if (value->number < 0 || value->number > UINT16_MAX) {
            return fail(progress, "box is the index of a box, counted from 0");
        }
        request->box = (int32_t)value->number;
        return 0;
    case FIELD_ADAPTER:
        return set_name(progress, request->adapter, value);
    default:
        request->codes = value->text;
        return value->text != NULL ? 0 : fail(progress, "codes is a string of base64");
    }
}

static int set_sha256(struct progress *progress, const struct value *value)
{
    char *digest = progress->request->sha256;
    const size_t digits = sizeof(progress->request->sha256) - 1;
    if (value->text == NULL || strlen(value->text) != digits ||
        strspn(value->text, "0123456789abcdefABCDEF") != digits) {
        return fail(progress, "sha256 is 64 hexadecimal digits");
    }
    for (size_t i = 0; i < digits; i++) {
        digest[i] = (char)tolower(value->text[i]);
    }
    digest[digits] = '\0';
    return 0;
}

static int set_field(struct progress *progress, enum field field, const struct value *value)
{
    struct proto_request *request = progress->request;
    if ((progress->given & BIT(field)) != 0) {
        return fail(progress, "a parameter is given twice");
    }
    progress->given |= BIT(field);
    switch (field) {
    case FIELD_CAMERA:
        return set_name(progress, request->camera, value);
    case FIELD_MODEL:
        return set_name(progress, request->model, value);
    case FIELD_POINT:
        return set_name(progress, request->point, value);
    case FIELD_SCAN:
        return set_scan(progress, value);
    case FIELD_FORMAT:
        return set_kind(progress, value);
    case FIELD_FD:
        if (value->number < 0 || value->number > INT16_MAX) {
            return fail(progress, "fd is the index of a descriptor, counted from 0");
        }
        request->fd = (int)value->number;
        return 0;
    case FIELD_DATA:
        request->data = value->text;
        return value->text != NULL ? 0 : fail(progress, "data is a string of base64");
    case FIELD_SHA256:
        return set_sha256(progress, value);
    case FIELD_LABEL:
    case FIELD_FRAME:
    case FIELD_BOX:
    case FIELD_ADAPTER:
    case FIELD_CODES:
        return set_label_field(progress, field, value);
    default:
        return set_sensor_field(progress, field, value);
    }
}

/* The field of `allowed` with this name, or FIELD_COUNT. */
static enum field find_field(const char *name, unsigned allowed)
{
    static const char *const names[FIELD_COUNT] = {
        "camera", "model",  "point",  "scan",    "format",  "fd",     "data",  "sensor",
        "width",  "height", "stride", "cfa",     "packing", "black",  "white", "nominal_white",
        "label",  "frame",  "box",    "adapter", "codes",   "sha256",
    };
    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        if ((allowed & BIT(i)) != 0 && strcmp(name, names[i]) == 0) {
            return (enum field)i;
        }
    }
    return FIELD_COUNT;
}

static void fill_sensor(struct proto_sensor *sensor, unsigned given)
{
    static const uint16_t largest[] = {255, 65535, 1023, 4095};
    if ((given & BIT(FIELD_STRIDE)) == 0) {
        uint32_t width = sensor->width;
        const uint32_t rows[] = {width, width * 2, width + (width + 3) / 4,
                                 width + (width + 1) / 2};
        sensor->stride = rows[sensor->packing];
    }
    if ((given & BIT(FIELD_WHITE)) == 0) {
        sensor->white = largest[sensor->packing];
    }
}

/* Put the fields together: what is missing, what excludes each other, what has a default. */
static int finish(struct progress *progress)
{
    struct proto_request *request = progress->request;
    const unsigned needed =
        BIT(FIELD_WIDTH) | BIT(FIELD_HEIGHT) | BIT(FIELD_CFA) | BIT(FIELD_PACKING);
    bool described = (progress->given & (SENSOR_FIELDS | BIT(FIELD_SENSOR))) != 0;

    if (described && request->kind == PROTO_KIND_AUTO) {
        request->kind = PROTO_KIND_SENSOR;
    }
    if (described != (request->kind == PROTO_KIND_SENSOR)) {
        return fail(progress, described ? "a sensor is described but another kind of image named"
                                        : "a sensor buffer needs width, height, cfa and packing");
    }
    if (described && (progress->given & needed) != needed) {
        return fail(progress, "a sensor buffer needs width, height, cfa and packing");
    }
    if (described) {
        fill_sensor(&request->sensor, progress->given);
    }
    return 0;
}

static void start(struct progress *progress, struct proto_request *request)
{
    *request = (struct proto_request){.camera = "default", .fd = -1, .box = -1};
    *progress = (struct progress){.request = request};
}

static int64_t parse_whole(const char *text)
{
    int64_t number = 0;
    size_t length = strlen(text);
    if (length == 0 || length > 16) { /* every number of ours is shorter */
        return -1;
    }
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return -1;
        }
        number = number * 10 + (text[i] - '0');
    }
    return number;
}

/* One name=value of the query. */
static int set_pair(struct progress *progress, const char *pair, size_t length, unsigned allowed)
{
    char name[QUERY_TEXT_MAX], text[QUERY_TEXT_MAX];
    const char *equals = memchr(pair, '=', length);
    size_t name_length = equals != NULL ? (size_t)(equals - pair) : length;
    const char *tail = equals != NULL ? equals + 1 : pair + length;

    if (http_percent_decode(pair, name_length, name, sizeof(name)) < 0 ||
        http_percent_decode(tail, (size_t)(pair + length - tail), text, sizeof(text)) < 0) {
        return fail(progress, "a query parameter is too long or badly escaped");
    }
    enum field field = find_field(name, allowed);
    if (field == FIELD_COUNT) {
        return fail(progress, "unknown query parameter");
    }
    struct value value = {.text = text, .number = parse_whole(text)};
    return set_field(progress, field, &value);
}

static int read_query(struct progress *progress, const char *query, unsigned allowed)
{
    const char *next = *query != '\0' ? query : NULL;
    int r = 0;
    while (r == 0 && next != NULL) {
        size_t length = strcspn(next, "&");
        r = set_pair(progress, next, length, allowed);
        next = next[length] == '&' ? next + length + 1 : NULL;
    }
    return r == 0 ? finish(progress) : r;
}

/* Hand out what was read, or why it was refused. */
static int give(const struct progress *progress, int r, struct proto_request *ret_request,
                const char **ret_reason)
{
    if (r < 0) {
        *ret_reason = progress->reason;
        return r;
    }
    *ret_request = *progress->request;
    return 0;
}

int proto_request_from_query(const char *camera, const char *query,
                             struct proto_request *ret_request, const char **ret_reason)
{
    struct proto_request request;
    struct progress progress;
    start(&progress, &request);

    struct value value = {.text = camera, .number = -1};
    int r = set_field(&progress, FIELD_CAMERA, &value);
    if (r == 0) {
        r = read_query(&progress, query, QUERY_FIELDS);
    }
    return give(&progress, r, ret_request, ret_reason);
}

int proto_label_from_query(const char *query, struct proto_request *ret_request,
                           const char **ret_reason)
{
    struct proto_request request;
    struct progress progress;
    start(&progress, &request);

    int r = read_query(&progress, query, LABEL_QUERY_FIELDS);
    if (r == 0 && (progress.given & BIT(FIELD_LABEL)) == 0) {
        r = fail(&progress, "a label is missing");
    }
    return give(&progress, r, ret_request, ret_reason);
}

static int set_members(struct progress *progress, const cJSON *object, unsigned allowed)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        enum field field = find_field(item->string, allowed);
        if (field == FIELD_COUNT) {
            return fail(progress, "unknown parameter");
        }
        if (cJSON_IsNull(item)) {
            continue;
        }
        struct value value = {.text = cJSON_GetStringValue(item), .number = proto_json_whole(item)};
        int r;
        if (field != FIELD_SENSOR) {
            r = set_field(progress, field, &value);
        } else if (!cJSON_IsObject(item) || (progress->given & BIT(FIELD_SENSOR)) != 0) {
            r = fail(progress, "sensor is one object");
        } else {
            progress->given |= BIT(FIELD_SENSOR);
            r = set_members(progress, item, SENSOR_FIELDS);
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int read_parameters(struct progress *progress, const cJSON *parameters, unsigned allowed)
{
    int r = parameters != NULL && !cJSON_IsObject(parameters)
                ? fail(progress, "parameters is an object")
                : set_members(progress, parameters, allowed);
    return r == 0 ? finish(progress) : r;
}

int proto_request_from_json(const struct cJSON *parameters, struct proto_request *ret_request,
                            const char **ret_reason)
{
    struct proto_request request;
    struct progress progress;
    start(&progress, &request);

    int r = read_parameters(&progress, parameters, CALL_FIELDS);
    if (r == 0 && (request.fd >= 0) == (request.data != NULL)) {
        r = fail(&progress, "a frame comes either as fd or as data");
    }
    return give(&progress, r, ret_request, ret_reason);
}

/* A label says what it is of: a frame by number, codes, or an image. */
static int check_label(struct progress *progress)
{
    const struct proto_request *request = progress->request;
    const bool image = request->fd >= 0 || request->data != NULL;
    const unsigned of_image = CALL_FIELDS | SENSOR_FIELDS;

    if ((progress->given & BIT(FIELD_LABEL)) == 0) {
        return fail(progress, "a label is missing");
    }
    if ((request->frame != 0) + (request->codes != NULL) + image != 1 ||
        (request->fd >= 0 && request->data != NULL)) {
        return fail(progress, "a label is of one thing: frame, codes, fd or data");
    }
    if (!image && (progress->given & of_image) != 0) {
        return fail(progress, "only an image has a camera, a model or a format");
    }
    if ((request->codes != NULL) != ((progress->given & BIT(FIELD_ADAPTER)) != 0)) {
        return fail(progress, "codes need an adapter, and nothing else has one");
    }
    if (request->codes != NULL && request->box >= 0) {
        return fail(progress, "codes have no box");
    }
    return 0;
}

int proto_label_from_json(const struct cJSON *parameters, struct proto_request *ret_request,
                          const char **ret_reason)
{
    struct proto_request request;
    struct progress progress;
    start(&progress, &request);

    int r = read_parameters(&progress, parameters, LABEL_CALL_FIELDS);
    if (r == 0) {
        r = check_label(&progress);
    }
    return give(&progress, r, ret_request, ret_reason);
}

int proto_watch_from_json(const struct cJSON *parameters, struct proto_request *ret_request,
                          const char **ret_reason)
{
    struct proto_request request;
    struct progress progress;
    start(&progress, &request);
    request.camera[0] = '\0';
    return give(&progress, read_parameters(&progress, parameters, BIT(FIELD_CAMERA)), ret_request,
                ret_reason);
}

int proto_watch_from_query(const char *query, struct proto_request *ret_request,
                           const char **ret_reason)
{
    struct proto_request request;
    struct progress progress;
    start(&progress, &request);
    request.camera[0] = '\0';
    return give(&progress, read_query(&progress, query, BIT(FIELD_CAMERA)), ret_request,
                ret_reason);
}

int proto_model_from_json(const struct cJSON *parameters, bool file,
                          struct proto_request *ret_request, const char **ret_reason)
{
    const unsigned needed = file ? BIT(FIELD_FD) | BIT(FIELD_SHA256) : 0;
    struct proto_request request;
    struct progress progress;
    start(&progress, &request);

    int r = read_parameters(&progress, parameters, BIT(FIELD_MODEL) | needed);
    if (r == 0 && (progress.given & needed) != needed) {
        r = fail(&progress, "a model needs fd and sha256");
    }
    return give(&progress, r, ret_request, ret_reason);
}
