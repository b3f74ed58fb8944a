/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Heads and bodies -> requests. Holds nothing. */
#include "daemon/http_body.h"

#include <errno.h>

#include <cjson/cJSON.h>

#include "daemon/limits.h"
#include "proto/json.h"

#define DEPTH_MAX 16u

/* A label with a query has its image as the body, else it is JSON itself. */
static enum http_body body_of(const struct method *method, const struct http_head *head)
{
    switch (method->takes) {
    case METHOD_TAKES_FRAME:
        return HTTP_BODY_FRAME;
    case METHOD_TAKES_LABEL:
        return head->query[0] != '\0' ? HTTP_BODY_FRAME : HTTP_BODY_JSON;
    case METHOD_TAKES_JSON:
        return HTTP_BODY_JSON;
    default:
        return HTTP_BODY_NONE;
    }
}

size_t http_body_limit(enum http_body body, uint64_t frame_bytes_max)
{
    return body == HTTP_BODY_JSON ? LIMIT_JSON_BYTES : (size_t)frame_bytes_max;
}

const char *http_body_too_large(enum http_body body)
{
    return body == HTTP_BODY_JSON ? "the JSON is too large"
                                  : "the frame is larger than frame-bytes-max";
}

enum proto_error http_body_check(const struct method *method, const struct http_head *head,
                                 const char *rest, uint64_t frame_bytes_max,
                                 struct proto_request *ret_request, enum http_body *ret_body,
                                 const char **ret_message)
{
    const enum http_body body = body_of(method, head);
    int r = 0;
    *ret_body = body;
    if (body == HTTP_BODY_FRAME) {
        r = method->takes == METHOD_TAKES_FRAME
                ? proto_request_from_query(rest, head->query, ret_request, ret_message)
                : proto_label_from_query(head->query, ret_request, ret_message);
    }
    if (r < 0) {
        return PROTO_BAD_REQUEST;
    }
    if (body != HTTP_BODY_NONE && head->content_length > http_body_limit(body, frame_bytes_max)) {
        *ret_message = http_body_too_large(body);
        return PROTO_TOO_LARGE;
    }
    return PROTO_OK;
}

static int read_label(const cJSON *root, struct proto_request *ret_request,
                      const char **ret_message)
{
    int r = proto_label_from_json(root, ret_request, ret_message);
    if (r == 0 && (ret_request->fd >= 0 || ret_request->data != NULL)) {
        *ret_message = "an image is the body, and its label in the query";
        r = -EINVAL;
    }
    return r;
}

enum proto_error http_body_read_json(const struct method *method, const char *bytes, size_t length,
                                     struct proto_request *ret_request, cJSON **ret_root,
                                     const char **ret_message)
{
    int r = 0;
    *ret_root = NULL;
    *ret_message = "out of memory";
    if (length > 0) {
        r = proto_json_parse(bytes, length, DEPTH_MAX, ret_root, ret_message);
    }
    if (r == 0 && *ret_root != NULL && !cJSON_IsObject(*ret_root)) {
        *ret_message = "the body is no JSON object";
        r = -EINVAL;
    }
    if (r == 0 && method->takes == METHOD_TAKES_LABEL) {
        r = read_label(*ret_root, ret_request, ret_message);
    }
    return r == 0 ? PROTO_OK : r == -ENOMEM ? PROTO_INTERNAL : PROTO_BAD_REQUEST;
}
