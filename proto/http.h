/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The server's half of HTTP/1.1 (RFC 9112) over buffers: requests by way of llhttp, heads of
 * responses. No sockets, no routes; bodies are handed on as they come and kept by nobody here.
 */
#ifndef OCELLUS_PROTO_HTTP_H
#define OCELLUS_PROTO_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http_verb {
    HTTP_VERB_OTHER = 0,
    HTTP_VERB_GET = 1 << 0,
    HTTP_VERB_PUT = 1 << 1,
    HTTP_VERB_POST = 1 << 2,
};

struct http_head {
    enum http_verb verb;
    const char *path;        /* decoded, begins with '/' */
    const char *query;       /* not decoded, without the '?'; empty when there is none */
    uint64_t content_length; /* of an unchunked body */
    bool chunked;
    bool expect_continue;
};

enum http_event {
    HTTP_EVENT_MORE, /* all bytes were used and more are needed */
    HTTP_EVENT_HEAD, /* the head is whole; feed on (even with nothing) for the body */
    HTTP_EVENT_END,  /* the request is whole; reset before the next */
};

/* Gets the bytes of a body. A negative errno stops the reader, which returns it. */
typedef int (*http_body_function)(void *context, const char *data, size_t size);

struct http_reader;

/* Reads one connection's requests; heads of more than head_max bytes are refused. Errors: -ENOMEM.
 */
int http_reader_create(size_t head_max, http_body_function body, void *context,
                       struct http_reader **ret_reader);
void http_reader_destroy(struct http_reader *reader);

/* Forget the request and be ready for the next. */
void http_reader_reset(struct http_reader *reader);

/*
 * Feed bytes; stops after the head and after the end of a request, *ret_used tells how many were
 * used. Errors: -EBADMSG, *ret_reason a static sentence; -EFBIG the head is too large; -ENOTSUP an
 * Expect that is not 100-continue or a Content-Encoding; what the body function returned. The
 * connection cannot go on after one.
 */
int http_reader_feed(struct http_reader *reader, const char *data, size_t size, size_t *ret_used,
                     enum http_event *ret_event, const char **ret_reason);

/* Valid from HTTP_EVENT_HEAD to the reset. */
const struct http_head *http_reader_head(const struct http_reader *reader);

/* First value of a header, its name in lower case; NULL when it is absent. Valid like the head. */
const char *http_reader_header(const struct http_reader *reader, const char *name);

/* True when nothing of a next request came yet. */
bool http_reader_idle(const struct http_reader *reader);

/* May the connection live on after this request? Valid like the head. */
bool http_reader_keep_alive(const struct http_reader *reader);

/* Decode %XX into out[0..size) with a NUL. Errors: -EINVAL a bad escape or a NUL, -ENOBUFS. */
int http_percent_decode(const char *text, size_t length, char *out, size_t size);

struct http_response {
    int status;
    const char *content_type; /* NULL: no body */
    size_t content_length;
    bool stream; /* the body has no length: it ends with the connection */
    bool keep_alive;
    unsigned retry_after; /* seconds; 0: no such header */
    const char *allow;    /* NULL: no such header */
    bool authenticate;    /* ask for a bearer token (RFC 6750) */
};

#define HTTP_RESPONSE_HEAD_BYTES 320u
#define HTTP_CONTINUE            "HTTP/1.1 100 Continue\r\n\r\n"

/* Write the head of a response, the empty line included; its length is returned. */
size_t http_response_head(const struct http_response *response, char out[HTTP_RESPONSE_HEAD_BYTES]);

#endif
