/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Heads and bodies -> who asks for what. Holds nothing. */
#include "daemon/http_body.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "daemon/admission.h"
#include "daemon/limits.h"
#include "daemon/server.h"
#include "proto/json.h"

#define DEPTH_MAX        16u
#define BODY_FIRST_BYTES (256u * 1024u) /* then it doubles */
#define REPLY_BYTES      4096           /* most replies need no more */

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

static enum proto_error check_body(const struct method *method, const struct http_head *head,
                                   const char *rest, uint64_t frame_bytes_max,
                                   struct proto_request *ret_request, enum http_body *ret_body,
                                   const char **ret_message)
{
    const enum http_body body = body_of(method, head);
    int r = 0;
    *ret_body = body;
    if (method->takes == METHOD_TAKES_WATCH) {
        r = proto_watch_from_query(head->query, ret_request, ret_message);
    }
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

void http_body_identify(struct server *server, const char *authorization, struct peer *peer)
{
    if (peer->class != PEER_TCP || authorization == NULL) {
        return;
    }
    peer->class = authorise_token(server->config, authorization);
    if (peer->class == PEER_TCP) {
        char address[INET6_ADDRSTRLEN] = "?";
        inet_ntop(AF_INET6, &peer->address, address, sizeof(address));
        log_message(&server->log, LOG_ID_TOKEN_REFUSED, "a token that is not known, from %s",
                    address);
    }
}

enum proto_error http_body_open(const struct server *server, const struct peer *peer,
                                const struct http_head *head, const struct method **ret_method,
                                struct proto_request *ret_request, enum http_body *ret_body,
                                const char **ret_message)
{
    const char *rest;
    const struct method *method = method_by_path(head->path, &rest);
    *ret_method = method;
    *ret_body = HTTP_BODY_NONE;
    if (method == NULL) {
        *ret_message = "there is nothing at this path";
        return PROTO_NOT_FOUND;
    }
    if ((method->verbs & head->verb) == 0) {
        *ret_message = "this path does not take this HTTP method";
        return PROTO_METHOD_NOT_FOUND;
    }
    if (!server_allows(server, method, peer)) {
        *ret_message = peer->class == PEER_TCP ? "this needs a token: Authorization: Bearer TOKEN"
                                               : "you may not call this method";
        return PROTO_FORBIDDEN;
    }
    return check_body(method, head, rest, server->config->frame_bytes_max, ret_request, ret_body,
                      ret_message);
}

int http_body_grow(const struct server *server, enum http_body body, const struct http_head *head,
                   size_t needed, struct method_call *call)
{
    size_t most = http_body_limit(body, server->config->frame_bytes_max);
    if (needed > most) {
        return -EFBIG;
    }
    if (needed <= call->reserved) {
        return 0;
    }
    if (!head->chunked) {
        most = (size_t)head->content_length; /* was checked: not over the limit */
    }
    size_t size = call->reserved > 0 ? call->reserved * 2 : BODY_FIRST_BYTES;
    size = size < needed ? needed : size;
    size = size > most ? most : size;
    if (!admission_reserve(server->admission, size - call->reserved)) {
        return -ENOBUFS;
    }
    uint8_t *bytes = realloc(call->bytes, size);
    if (bytes == NULL) {
        admission_release(server->admission, size - call->reserved);
        return -ENOMEM;
    }
    call->bytes = bytes;
    call->reserved = size;
    return 0;
}

enum proto_error http_body_error(enum http_body body, int error, const char **reason)
{
    if (*reason != NULL) {
        return error == -EFBIG     ? PROTO_TOO_LARGE
               : error == -ENOTSUP ? PROTO_UNSUPPORTED
                                   : PROTO_BAD_REQUEST;
    }
    *reason = error == -EFBIG     ? http_body_too_large(body)
              : error == -ENOBUFS ? "too many frames are held already"
              : error == -EINVAL  ? "this method takes no body"
                                  : "out of memory";
    return error == -EFBIG     ? PROTO_TOO_LARGE
           : error == -ENOBUFS ? PROTO_TOO_BUSY
           : error == -EINVAL  ? PROTO_BAD_REQUEST
                               : PROTO_INTERNAL;
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

char *http_body_print(const struct http_response *response, cJSON *result)
{
    char *text = NULL;
    if (strcmp(response->content_type, HTTP_BODY_JSON_TYPE) == 0) {
        text = result != NULL ? cJSON_PrintBuffered(result, REPLY_BYTES, 0) : NULL;
    } else {
        const char *string = cJSON_GetStringValue(result);
        text = string != NULL ? strdup(string) : NULL;
    }
    cJSON_Delete(result);
    return text;
}
