/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* What the body of an HTTP request is to its method, and the reading of one that is JSON. */
#ifndef OCELLUS_DAEMON_HTTP_BODY_H
#define OCELLUS_DAEMON_HTTP_BODY_H

#include "daemon/method.h"
#include "proto/http.h"

enum http_body { HTTP_BODY_NONE = 0, HTTP_BODY_FRAME, HTTP_BODY_JSON };

/* Bytes that such a body may have, and what to say of one that has more. */
size_t http_body_limit(enum http_body body, uint64_t frame_bytes_max);
const char *http_body_too_large(enum http_body body);

/* Tell the kind of body from the head, whose query may describe a frame or a label; `rest` is what
 * follows the method's path. PROTO_OK, or the error with *ret_message. */
enum proto_error http_body_check(const struct method *method, const struct http_head *head,
                                 const char *rest, uint64_t frame_bytes_max,
                                 struct proto_request *ret_request, enum http_body *ret_body,
                                 const char **ret_message);

/* Read a whole body. *ret_root, which the caller deletes on failure, too, is NULL where it is
 * empty; *ret_request is set where the method takes a label. */
enum proto_error http_body_read_json(const struct method *method, const char *bytes, size_t length,
                                     struct proto_request *ret_request, struct cJSON **ret_root,
                                     const char **ret_message);

#endif
