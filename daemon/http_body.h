/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* HTTP requests and their bodies as the method table sees them; the text of replies. Holds no
 * connection. */
#ifndef OCELLUS_DAEMON_HTTP_BODY_H
#define OCELLUS_DAEMON_HTTP_BODY_H

#include "daemon/method.h"
#include "proto/http.h"

struct server;

#define HTTP_BODY_JSON_TYPE "application/json"

enum http_body { HTTP_BODY_NONE = 0, HTTP_BODY_FRAME, HTTP_BODY_JSON };

/* Bytes that such a body may have, and what to say of one that has more. */
size_t http_body_limit(enum http_body body, uint64_t frame_bytes_max);
const char *http_body_too_large(enum http_body body);

/* On TCP the class of the peer by the value of an Authorization header (NULL: none), which a token
 * that is not known leaves as it is, with a line in the log. */
void http_body_identify(struct server *server, const char *authorization, struct peer *peer);

/*
 * A head has come: find its method (*ret_method NULL: none), see that the peer may call it, tell
 * the kind of body, and read the query of one that is a frame or a labelled image. PROTO_OK, or the
 * error with *ret_message.
 */
enum proto_error http_body_open(const struct server *server, const struct peer *peer,
                                const struct http_head *head, const struct method **ret_method,
                                struct proto_request *ret_request, enum http_body *ret_body,
                                const char **ret_message);

/* Make room for `needed` bytes of the call's body. The buffer grows as the body comes, so that a
 * length alone holds no memory. Errors: -EFBIG, -ENOBUFS (all requests together hold too much),
 * -ENOMEM. */
int http_body_grow(const struct server *server, enum http_body body, const struct http_head *head,
                   size_t needed, struct method_call *call);

/* The reader stopped with this error, and maybe a reason: what to answer. */
enum proto_error http_body_error(enum http_body body, int error, const char **reason);

/* Read a whole body. *ret_root, which the caller deletes on failure, too, is NULL where it is
 * empty; *ret_request is set where the method takes a label. */
enum proto_error http_body_read_json(const struct method *method, const char *bytes, size_t length,
                                     struct proto_request *ret_request, struct cJSON **ret_root,
                                     const char **ret_message);

/* The text of a reply: JSON, or of another type the string that the result is. Takes the result
 * over. NULL: no memory, or there was none for the result. */
char *http_body_print(const struct http_response *response, struct cJSON *result);

#endif
