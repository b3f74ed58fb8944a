/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* An HTTP connection's bytes: any split gives the same requests and bodies. First byte: size of the
 * pieces. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/http.h"

#define HEAD_MAX 1024u

/* A digest of everything seen, FNV-1a. */
struct seen {
    uint64_t digest;
    int error;
};

static void mix(struct seen *seen, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) {
        seen->digest = (seen->digest ^ bytes[i]) * 1099511628211u;
    }
}

static int take_body(void *context, const char *data, size_t size)
{
    mix(context, data, size);
    return 0;
}

static void see_head(struct seen *seen, const struct http_reader *reader)
{
    const struct http_head *head = http_reader_head(reader);
    const uint64_t facts[] = {head->verb, head->content_length, head->chunked,
                              head->expect_continue};
    if (strlen(head->path) + strlen(head->query) > HEAD_MAX) {
        abort();
    }
    mix(seen, facts, sizeof(facts));
    mix(seen, head->path, strlen(head->path) + 1);
    mix(seen, head->query, strlen(head->query) + 1);
    const char *accept = http_reader_header(reader, "accept");
    mix(seen, accept, accept != NULL ? strlen(accept) : 0);
}

/* Feed one piece and act on all that it brings. */
static int feed(struct http_reader *reader, const char *data, size_t size, struct seen *seen)
{
    for (;;) {
        const char *reason = NULL;
        size_t used = 0;
        enum http_event event;
        int r = http_reader_feed(reader, data, size, &used, &event, &reason);
        if (r < 0) {
            return reason != NULL ? r : (abort(), 0);
        }
        if (used > size) {
            abort();
        }
        data += used;
        size -= used;
        if (event == HTTP_EVENT_HEAD) {
            see_head(seen, reader);
        } else if (event == HTTP_EVENT_END) {
            mix(seen, http_reader_keep_alive(reader) ? "k" : "c", 1);
            http_reader_reset(reader);
        } else if (size != 0) {
            abort();
        }
        if (event == HTTP_EVENT_MORE || (event == HTTP_EVENT_END && size == 0)) {
            return 0;
        }
    }
}

static struct seen read_stream(const char *data, size_t size, size_t step)
{
    struct seen seen = {.digest = 14695981039346656037u};
    struct http_reader *reader;
    if (http_reader_create(HEAD_MAX, take_body, &seen, &reader) < 0) {
        abort();
    }
    for (size_t start = 0; start < size && seen.error == 0; start += step) {
        seen.error = feed(reader, data + start, size - start < step ? size - start : step, &seen);
    }
    http_reader_destroy(reader);
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct seen whole = read_stream((const char *)data + 1, size - 1, size);
    struct seen pieces = read_stream((const char *)data + 1, size - 1, data[0] + 1u);
    if (whole.error != pieces.error || (whole.error == 0 && whole.digest != pieces.digest)) {
        abort();
    }
    return 0;
}
