/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* llhttp behind a pull interface: the parser is paused after the head and after the end of each
 * request. */
#include "proto/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <llhttp.h>

struct http_reader {
    llhttp_t parser;
    http_body_function body;
    void *context;

    struct http_head head;
    bool head_done, ended, keep_alive;
    int error;        /* why a callback stopped the parser */
    size_t head_size; /* raw bytes of the head so far */
    size_t head_max;
    size_t target_size; /* text: the target, NUL, then name NUL value NUL for each header */
    size_t text_size;
    char text[]; /* head_max + 2 bytes */
};

static struct http_reader *reader_of(llhttp_t *parser)
{
    return parser->data;
}

static int append(struct http_reader *reader, const char *data, size_t size)
{
    if (size > reader->head_max + 2 - reader->text_size) {
        reader->error = -EFBIG;
        return -1;
    }
    memcpy(reader->text + reader->text_size, data, size);
    reader->text_size += size;
    return 0;
}

/* Spans may come in pieces; their ends are marked by a NUL. Trailers are read over. */
static int on_text(llhttp_t *parser, const char *at, size_t length)
{
    struct http_reader *reader = reader_of(parser);
    return reader->head_done ? 0 : append(reader, at, length);
}

static int on_name(llhttp_t *parser, const char *at, size_t length)
{
    struct http_reader *reader = reader_of(parser);
    if (reader->head_done) {
        return 0;
    }
    size_t start = reader->text_size;
    if (append(reader, at, length) < 0) {
        return -1;
    }
    for (size_t i = start; i < reader->text_size; i++) {
        if (reader->text[i] >= 'A' && reader->text[i] <= 'Z') {
            reader->text[i] = (char)(reader->text[i] - 'A' + 'a');
        }
    }
    return 0;
}

static int on_text_end(llhttp_t *parser)
{
    struct http_reader *reader = reader_of(parser);
    return reader->head_done ? 0 : append(reader, "", 1);
}

static int on_url_end(llhttp_t *parser)
{
    struct http_reader *reader = reader_of(parser);
    int r = on_text_end(parser);
    reader->target_size = reader->text_size;
    return r;
}

static int on_head(llhttp_t *parser)
{
    struct http_reader *reader = reader_of(parser);
    reader->head_done = true;
    /* HEAD is answered with an error and its body, which a client takes for the next reply. */
    reader->keep_alive = llhttp_should_keep_alive(parser) != 0 && parser->method != HTTP_HEAD;
    return HPE_PAUSED;
}

static int on_body(llhttp_t *parser, const char *at, size_t length)
{
    struct http_reader *reader = reader_of(parser);
    int r = reader->body(reader->context, at, length);
    if (r < 0) {
        reader->error = r;
        return -1;
    }
    return 0;
}

static int on_end(llhttp_t *parser)
{
    reader_of(parser)->ended = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_text,
    .on_header_field = on_name,
    .on_header_value = on_text,
    .on_headers_complete = on_head,
    .on_body = on_body,
    .on_message_complete = on_end,
    .on_url_complete = on_url_end,
    .on_header_field_complete = on_text_end,
    .on_header_value_complete = on_text_end,
};

int http_reader_create(size_t head_max, http_body_function body, void *context,
                       struct http_reader **ret_reader)
{
    struct http_reader *reader = calloc(1, sizeof(*reader) + head_max + 2);
    if (reader == NULL) {
        return -ENOMEM;
    }
    reader->body = body;
    reader->context = context;
    reader->head_max = head_max;
    http_reader_reset(reader);
    *ret_reader = reader;
    return 0;
}

void http_reader_destroy(struct http_reader *reader)
{
    free(reader);
}

void http_reader_reset(struct http_reader *reader)
{
    llhttp_init(&reader->parser, HTTP_REQUEST, &settings);
    reader->parser.data = reader;
    reader->head = (struct http_head){.verb = HTTP_VERB_OTHER};
    reader->head_done = reader->ended = reader->keep_alive = false;
    reader->error = 0;
    reader->head_size = reader->target_size = reader->text_size = 0;
}

/* Split the target into path and query, both in reader->text. */
static int split_target(struct http_reader *reader)
{
    char *path = reader->text;
    if (strncasecmp(path, "http://", 7) ==
        0) { /* absolute form: the authority says nothing to us */
        path += 7 + strcspn(path + 7, "/?");
    }
    char *query = strchr(path, '?');
    if (query != NULL) {
        *query++ = '\0';
    }
    size_t length = strlen(path);
    if (length > 0 && http_percent_decode(path, length, path, length + 1) < 0) {
        return -EINVAL;
    }
    reader->head.path = length > 0 ? path : "/";
    reader->head.query = query != NULL ? query : "";
    return 0;
}

static int finish_head(struct http_reader *reader, const char **ret_reason)
{
    llhttp_t *parser = &reader->parser;
    struct http_head *head = &reader->head;

    if (split_target(reader) < 0) {
        *ret_reason = "the path is badly escaped";
        return -EBADMSG;
    }
    if (parser->http_major != 1) {
        *ret_reason = "only HTTP/1.0 and HTTP/1.1 are spoken here";
        return -EBADMSG;
    }
    if (parser->http_minor >= 1 && http_reader_header(reader, "host") == NULL) {
        *ret_reason = "the Host header is missing";
        return -EBADMSG;
    }
    head->verb = parser->method == HTTP_GET    ? HTTP_VERB_GET
                 : parser->method == HTTP_PUT  ? HTTP_VERB_PUT
                 : parser->method == HTTP_POST ? HTTP_VERB_POST
                                               : HTTP_VERB_OTHER;
    head->chunked = (parser->flags & F_CHUNKED) != 0;
    head->content_length =
        !head->chunked && (parser->flags & F_CONTENT_LENGTH) != 0 ? parser->content_length : 0;

    const char *expect = http_reader_header(reader, "expect");
    head->expect_continue = expect != NULL && parser->http_minor >= 1;
    if (head->expect_continue && strcasecmp(expect, "100-continue") != 0) {
        *ret_reason = "the only expectation that can be met is 100-continue";
        return -ENOTSUP;
    }
    const char *coding = http_reader_header(reader, "content-encoding");
    if (coding != NULL && strcasecmp(coding, "identity") != 0) {
        *ret_reason = "compressed bodies are not read";
        return -ENOTSUP;
    }
    return 0;
}

/* Run llhttp over the bytes; *ret_used is how far it came. */
static int execute(struct http_reader *reader, const char *data, size_t size, size_t *ret_used,
                   const char **ret_reason)
{
    llhttp_t *parser = &reader->parser;
    if (llhttp_get_errno(parser) == HPE_PAUSED) {
        llhttp_resume(parser);
    }
    llhttp_errno_t error = llhttp_execute(parser, data, size);
    if (error == HPE_OK) {
        *ret_used = size;
        return 0;
    }
    if (error == HPE_PAUSED) {
        *ret_used = (size_t)(llhttp_get_error_pos(parser) - data);
        return 0;
    }
    if (reader->error < 0) {
        *ret_reason = reader->head_done ? NULL : "the request's head is too large";
        return reader->error;
    }
    *ret_reason = "this is not an HTTP/1.1 request";
    return -EBADMSG;
}

int http_reader_feed(struct http_reader *reader, const char *data, size_t size, size_t *ret_used,
                     enum http_event *ret_event, const char **ret_reason)
{
    bool in_head = !reader->head_done;
    size_t room = reader->head_max - reader->head_size;
    size_t offered = in_head && size > room ? room : size;
    size_t used = 0;

    if (offered == 0 && in_head) {
        if (size > 0) {
            *ret_reason = "the request's head is too large";
            return -EFBIG;
        }
        *ret_used = 0;
        *ret_event = HTTP_EVENT_MORE;
        return 0;
    }
    int r = execute(reader, data, offered, &used, ret_reason);
    if (r < 0) {
        return r;
    }
    if (in_head) {
        reader->head_size += used;
    }
    if (in_head && reader->head_done) {
        r = finish_head(reader, ret_reason);
        if (r < 0) {
            return r;
        }
        *ret_event = HTTP_EVENT_HEAD;
    } else if (in_head && used < size) {
        *ret_reason = "the request's head is too large";
        return -EFBIG;
    } else {
        *ret_event = reader->ended ? HTTP_EVENT_END : HTTP_EVENT_MORE;
    }
    *ret_used = used;
    return 0;
}

const struct http_head *http_reader_head(const struct http_reader *reader)
{
    return &reader->head;
}

const char *http_reader_header(const struct http_reader *reader, const char *name)
{
    const char *next = reader->text + reader->target_size;
    const char *end = reader->text + reader->text_size;
    while (next < end) {
        const char *value = next + strlen(next) + 1;
        if (strcmp(next, name) == 0) {
            return value;
        }
        next = value + strlen(value) + 1;
    }
    return NULL;
}

bool http_reader_idle(const struct http_reader *reader)
{
    return reader->head_size == 0;
}

bool http_reader_keep_alive(const struct http_reader *reader)
{
    return reader->keep_alive;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Decoding in place is fine: what is written never overtakes what is read. */
int http_percent_decode(const char *text, size_t length, char *out, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 2 < length ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < length ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return -EINVAL;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0') {
            return -EINVAL;
        }
        if (used + 1 >= size) {
            return -ENOBUFS;
        }
        out[used++] = c;
    }
    if (size == 0) {
        return -ENOBUFS;
    }
    out[used] = '\0';
    return 0;
}

static const char *status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } texts[] = {
        {200, "OK"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].status == status) {
            return texts[i].text;
        }
    }
    return "Unknown";
}

size_t http_response_head(const struct http_response *response, char out[HTTP_RESPONSE_HEAD_BYTES])
{
    char retry[32] = "", allow[48] = "", type[64] = "", size[48] = "Cache-Control: no-store\r\n";
    if (!response->stream) {
        snprintf(size, sizeof(size), "Content-Length: %zu\r\n", response->content_length);
    }
    if (response->retry_after > 0) {
        snprintf(retry, sizeof(retry), "Retry-After: %u\r\n", response->retry_after);
    }
    if (response->allow != NULL) {
        snprintf(allow, sizeof(allow), "Allow: %.32s\r\n", response->allow);
    }
    if (response->content_type != NULL) {
        snprintf(type, sizeof(type), "Content-Type: %.40s\r\n", response->content_type);
    }
    int length = snprintf(out, HTTP_RESPONSE_HEAD_BYTES,
                          "HTTP/1.1 %d %s\r\n%s%s%s%s%sConnection: %s\r\n\r\n", response->status,
                          status_text(response->status), type, size, retry, allow,
                          response->authenticate ? "WWW-Authenticate: Bearer\r\n" : "",
                          response->keep_alive ? "keep-alive" : "close");
    return (size_t)length; /* the pieces sum to less than the buffer */
}
