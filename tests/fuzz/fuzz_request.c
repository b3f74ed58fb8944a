/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* A frame's description as a query (first byte 'q') or as JSON, or a label's ('l', 'L'): what is
 * taken is within its ranges. All of it is read as a subscription's, too. Base64 that is taken
 * decodes within its bound. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "proto/base64.h"
#include "proto/json.h"
#include "proto/request.h"

static void check(const struct proto_request *request)
{
    const struct proto_sensor *sensor = &request->sensor;
    if (!proto_name_valid(request->camera) ||
        (request->model[0] != '\0' && !proto_name_valid(request->model)) ||
        (unsigned)request->kind > PROTO_KIND_SENSOR || (unsigned)request->scan > PROTO_SCAN_NO ||
        sensor->width > UINT16_MAX || sensor->height > UINT16_MAX || sensor->stride > 1u << 24 ||
        sensor->cfa > PROTO_CFA_MONO || sensor->packing > PROTO_PACKING_MIPI12 ||
        sensor->black > UINT16_MAX || sensor->white > UINT16_MAX ||
        sensor->nominal_white > UINT16_MAX) {
        abort();
    }
    if (memchr(request->label, '\0', sizeof(request->label)) == NULL ||
        request->frame > UINT64_C(1) << 53 || request->box < -1 || request->box > UINT16_MAX ||
        (request->adapter[0] != '\0' && !proto_name_valid(request->adapter))) {
        abort();
    }
    if (request->data != NULL) {
        size_t length = strlen(request->data), size = 0;
        uint8_t *bytes = malloc(PROTO_BASE64_BYTES(length) + 1);
        if (bytes != NULL && proto_base64_decode(request->data, length, bytes, &size) == 0 &&
            size > PROTO_BASE64_BYTES(length)) {
            abort();
        }
        free(bytes);
    }
}

static void check_watch(int r, const struct proto_request *request, const char *reason)
{
    if (r == 0 ? request->camera[0] != '\0' && !proto_name_valid(request->camera)
               : reason == NULL) {
        abort();
    }
}

static void read_json(const char *text, size_t length, bool label)
{
    const char *reason = NULL;
    cJSON *tree = NULL;
    struct proto_request request;
    if (proto_json_parse(text, length, 16, &tree, &reason) < 0) {
        if (reason == NULL) {
            abort();
        }
        return;
    }
    int r = label ? proto_label_from_json(tree, &request, &reason)
                  : proto_request_from_json(tree, &request, &reason);
    if (r == 0) {
        check(&request);
        if (label &&
            (request.label[0] == '\0' || (request.frame != 0) + (request.codes != NULL) +
                                                 (request.data != NULL || request.fd >= 0) !=
                                             1)) {
            abort();
        }
    }
    reason = NULL;
    r = proto_watch_from_json(tree, &request, &reason);
    check_watch(r, &request, reason);
    reason = NULL;
    r = proto_model_from_json(tree, label, &request, &reason);
    if (r == 0 ? (label && request.fd < 0) ||
                     (request.model[0] != '\0' && !proto_name_valid(request.model))
               : reason == NULL) {
        abort();
    }
    cJSON_Delete(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    if (data[0] != 'q' && data[0] != 'l') {
        const bool label = data[0] == 'L';
        read_json((const char *)data + label, size - label, label);
        return 0;
    }
    char *query = strndup((const char *)data + 1, size - 1);
    struct proto_request request;
    const char *reason = NULL;
    if (query != NULL &&
        (data[0] == 'l' ? proto_label_from_query(query, &request, &reason)
                        : proto_request_from_query("c", query, &request, &reason)) == 0) {
        check(&request);
    }
    reason = NULL;
    if (query != NULL) {
        int r = proto_watch_from_query(query, &request, &reason);
        check_watch(r, &request, reason);
    }
    free(query);
    return 0;
}
