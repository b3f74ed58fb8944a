/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Requests read in pieces of every size, requests that must be refused, heads of responses. */
#include "proto/http.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD_MAX 512u

struct transcript {
    char text[1024];
    size_t used;
    int body_error;
};

static void note(struct transcript *transcript, const char *data, size_t size)
{
    assert_true(transcript->used + size < sizeof(transcript->text));
    memcpy(transcript->text + transcript->used, data, size);
    transcript->used += size;
    transcript->text[transcript->used] = '\0';
}

static int take_body(void *context, const char *data, size_t size)
{
    struct transcript *transcript = context;
    note(transcript, data, size);
    return transcript->body_error;
}

static void note_head(struct transcript *transcript, const struct http_reader *reader)
{
    const struct http_head *head = http_reader_head(reader);
    char line[256];
    int length = snprintf(line, sizeof(line), "%d %s ? %s %d%s%s:", head->verb, head->path,
                          head->query, (int)head->content_length, head->chunked ? " chunked" : "",
                          head->expect_continue ? " expect" : "");
    note(transcript, line, (size_t)length);
}

static int feed_piece(struct http_reader *reader, const char *data, size_t size,
                      struct transcript *transcript)
{
    const char *reason = NULL;
    bool again = true;
    while (again) {
        size_t used = 0;
        enum http_event event;
        int r = http_reader_feed(reader, data, size, &used, &event, &reason);
        if (r < 0) {
            return r;
        }
        assert_true(used <= size);
        data += used;
        size -= used;
        if (event == HTTP_EVENT_HEAD) {
            note_head(transcript, reader);
        } else if (event == HTTP_EVENT_END) {
            note(transcript, http_reader_keep_alive(reader) ? ";" : ".", 1);
            http_reader_reset(reader);
        }
        again = event != HTTP_EVENT_MORE && (size > 0 || event == HTTP_EVENT_HEAD);
        assert_true(again || size == 0);
    }
    return 0;
}

/* Read a connection's bytes in pieces of `step`; the transcript holds what was seen and the last
 * error. */
static void read_stream(const char *stream, size_t size, size_t step, struct transcript *transcript)
{
    struct http_reader *reader;
    int r = http_reader_create(HEAD_MAX, take_body, transcript, &reader);
    assert_int_equal(r, 0);
    for (size_t start = 0; start < size && r == 0; start += step) {
        r = feed_piece(reader, stream + start, size - start < step ? size - start : step,
                       transcript);
    }
    http_reader_destroy(reader);
    if (r < 0) {
        char text[16];
        note(transcript, text, (size_t)snprintf(text, sizeof(text), "%d", r));
    }
}

static const struct {
    const char *stream, *seen;
} streams[] = {
    {"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "1 /healthz ?  0:;"},
    {"GET /healthz HTTP/1.0\r\n\r\n", "1 /healthz ?  0:."},
    {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "1 / ?  0:;"},
    {"GET /a%20b?c=%20&d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "1 /a b ? c=%20&d 0:."},
    {"GET http://host:1/v1/status?q HTTP/1.1\r\nHost: x\r\n\r\n", "1 /v1/status ? q 0:;"},
    {"GET http://host HTTP/1.1\r\nHost: x\r\n\r\n", "1 / ?  0:;"},
    {"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", "0 / ?  0:."},
    {"DELETE /x HTTP/1.1\r\nHost:\r\n\r\n", "0 /x ?  0:;"},
    {"PUT /f HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", "2 /f ?  5:hello;"},
    {"PUT /f HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "2 /f ?  0:;"},
    {"POST /f HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\nhi",
     "4 /f ?  2 expect:hi;"},
    {"PUT /f HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
     "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\n",
     "2 /f ?  0 chunked:abcde;"},
    {"PUT /f HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhiGET /g HTTP/1.1\r\nHost: x\r\n\r\n",
     "2 /f ?  2:hi;1 /g ?  0:;"},
    {"\r\n\r\nGET /g HTTP/1.1\r\nHost: x\r\n\r\n", "1 /g ?  0:;"},
    {"GET /h HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", "1 /h ?  0:;"},
    {"PUT /f HTTP/1.1\r\nHost: x\r\nContent-Length: 9", ""},
    /* refused */
    {"GET /h HTTP/1.1\r\n\r\n", "-74"},
    {"GET /h HTTP/2.0\r\nHost: x\r\n\r\n", "-74"},
    {"GET /h%zz HTTP/1.1\r\nHost: x\r\n\r\n", "-74"},
    {"GET /h%00 HTTP/1.1\r\nHost: x\r\n\r\n", "-74"},
    {"GET /h%4 HTTP/1.1\r\nHost: x\r\n\r\n", "-74"},
    {"HELLO\r\n\r\n", "-74"},
    {"\x16\x03\x01\x02", "-74"},
    {"GET /h HTTP/1.1\r\nHost: x\r\nA: b\rC: d\r\n\r\n", "-74"},
    {"GET /h HTTP/1.1\r\nHost : x\r\n\r\n", "-74"},
    {"PUT /f HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "-74"},
    {"PUT /f HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "-74"},
    {"PUT /f HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", "-74"},
    {"PUT /f HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
     "-74"},
    {"PUT /f HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\nhello", "2 /f ?  0:-74"},
    {"PUT /f HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
     "2 /f ?  0 chunked:-74"},
    {"PUT /f HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\n\r\n", "-95"},
    {"PUT /f HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n\r\n", "-95"},
};

static void test_streams_any_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        size_t size = strlen(streams[i].stream);
        for (size_t step = 1; step <= size; step++) {
            struct transcript transcript = {.used = 0};
            read_stream(streams[i].stream, size, step, &transcript);
            assert_string_equal(transcript.text, streams[i].seen);
        }
    }
}

/* A head of exactly `size` bytes. */
static char *make_head(size_t size)
{
    static const char start[] = "GET / HTTP/1.1\r\nHost: x\r\nA: ";
    char *head = malloc(size + 1);
    assert_non_null(head);
    memset(head, 'a', size);
    memcpy(head, start, sizeof(start) - 1);
    memcpy(head + size - 4, "\r\n\r\n", 5);
    return head;
}

static void test_head_limit(void **state)
{
    (void)state;
    for (size_t size = HEAD_MAX - 1; size <= HEAD_MAX + 2; size++) {
        char *head = make_head(size);
        for (size_t step = 1; step <= size; step += 7) {
            struct transcript transcript = {.used = 0};
            read_stream(head, size, step, &transcript);
            assert_string_equal(transcript.text, size <= HEAD_MAX ? "1 / ?  0:;" : "-27");
        }
        free(head);
    }
    char blank[HEAD_MAX * 2];
    memset(blank, '\n', sizeof(blank));
    struct transcript transcript = {.used = 0};
    read_stream(blank, sizeof(blank), 100, &transcript);
    assert_string_equal(transcript.text, "-27");
}

static void test_headers(void **state)
{
    (void)state;
    static const char request[] =
        "GET / HTTP/1.1\r\nHost: x\r\nEmpty:\r\nX-Twice: 1\r\nx-twice: 2\r\n"
        "Last:  z \r\n\r\n";
    struct http_reader *reader;
    size_t used;
    enum http_event event;
    const char *reason;
    assert_int_equal(http_reader_create(HEAD_MAX, take_body, NULL, &reader), 0);
    assert_true(http_reader_idle(reader));
    int r = http_reader_feed(reader, request, sizeof(request) - 1, &used, &event, &reason);
    assert_int_equal(r, 0);
    assert_int_equal(event, HTTP_EVENT_HEAD);
    assert_false(http_reader_idle(reader));
    assert_string_equal(http_reader_header(reader, "host"), "x");
    assert_string_equal(http_reader_header(reader, "empty"), "");
    assert_string_equal(http_reader_header(reader, "x-twice"), "1");
    assert_memory_equal(http_reader_header(reader, "last"), "z", 1);
    assert_null(http_reader_header(reader, "x"));
    assert_null(http_reader_header(reader, "absent"));
    http_reader_destroy(reader);
}

static void test_body_error_stops(void **state)
{
    (void)state;
    static const char stream[] = "PUT /f HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
    struct transcript transcript = {.body_error = -ENOSPC};
    read_stream(stream, sizeof(stream) - 1, sizeof(stream), &transcript);
    assert_string_equal(transcript.text, "2 /f ?  5:hello-28");
}

static void test_percent_decode(void **state)
{
    (void)state;
    char out[8];
    assert_int_equal(http_percent_decode("a%2fB%2F", 8, out, sizeof(out)), 0);
    assert_string_equal(out, "a/B/");
    assert_int_equal(http_percent_decode("", 0, out, sizeof(out)), 0);
    assert_string_equal(out, "");
    assert_int_equal(http_percent_decode("1234567", 7, out, sizeof(out)), 0);
    assert_int_equal(http_percent_decode("12345678", 8, out, sizeof(out)), -ENOBUFS);
    assert_int_equal(http_percent_decode("%4", 2, out, sizeof(out)), -EINVAL);
    assert_int_equal(http_percent_decode("%", 1, out, sizeof(out)), -EINVAL);
    assert_int_equal(http_percent_decode("%g0", 3, out, sizeof(out)), -EINVAL);
    assert_int_equal(http_percent_decode("%00", 3, out, sizeof(out)), -EINVAL);
}

static void test_response_heads(void **state)
{
    (void)state;
    char out[HTTP_RESPONSE_HEAD_BYTES];
    struct http_response response = {.status = 200,
                                     .content_type = "application/json",
                                     .content_length = 12,
                                     .keep_alive = true};
    size_t length = http_response_head(&response, out);
    assert_int_equal(length, strlen(out));
    assert_string_equal(out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                             "Content-Length: 12\r\nConnection: keep-alive\r\n\r\n");
    response = (struct http_response){.status = 503,
                                      .content_type = "application/json",
                                      .content_length = SIZE_MAX,
                                      .retry_after = 4000000000u,
                                      .allow = "GET, POST, PUT"};
    length = http_response_head(&response, out);
    assert_int_equal(length, strlen(out)); /* the longest one fits */
    assert_non_null(strstr(out, "Retry-After: 4000000000\r\nAllow: GET, POST, PUT\r\n"));
    assert_string_equal(out + length - 4, "\r\n\r\n");
    response =
        (struct http_response){.status = 200, .content_type = "text/event-stream", .stream = true};
    http_response_head(&response, out);
    assert_string_equal(out, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                             "Cache-Control: no-store\r\nConnection: close\r\n\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_any_split), cmocka_unit_test(test_head_limit),
        cmocka_unit_test(test_headers),           cmocka_unit_test(test_body_error_stops),
        cmocka_unit_test(test_percent_decode),    cmocka_unit_test(test_response_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
