/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Framing of Varlink messages, calls that must be refused, and the interface texts. */
#include "proto/varlink.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#define START ((struct varlink_scanner){.terminator = VARLINK_TERMINATOR_UNKNOWN})

/* Scan a stream that arrives in pieces of `step` bytes; write the messages, divided by '|', and the
 * last error. */
static void scan_stream(const char *stream, size_t size, size_t step, char *out, size_t out_size)
{
    struct varlink_scanner scanner = START;
    size_t start = 0, used = 0;
    int r = -EAGAIN;
    for (size_t end = 0; end < size && r == -EAGAIN;) {
        end = end + step < size ? end + step : size;
        size_t length, consumed;
        while ((r = varlink_scan(&scanner, stream + start, end - start, &length, &consumed)) == 0) {
            used +=
                (size_t)snprintf(out + used, out_size - used, "%.*s|", (int)length, stream + start);
            assert_int_equal(consumed, length + 1);
            start += consumed;
        }
    }
    snprintf(out + used, out_size - used, "%d", r == -EAGAIN ? 0 : r);
}

struct stream {
    const char *bytes;
    size_t size;
    const char *messages;
};

#define STREAM(text, messages)                                                                     \
    {                                                                                              \
        text, sizeof(text) - 1, messages                                                           \
    }

static void test_scan_any_split(void **state)
{
    static const struct stream streams[] = {
        STREAM("{}\0{\"a\":1}\0", "{}|{\"a\":1}|0"),
        STREAM("{}\n{\"a\":[1,{}]}\n", "{}|{\"a\":[1,{}]}|0"),
        STREAM("{\"a\":\"}\"}\0", "{\"a\":\"}\"}|0"),
        STREAM("{\"a\":\"\\\"}\"}\0", "{\"a\":\"\\\"}\"}|0"),
        STREAM("{\"a\":\"\\\\\"}\0{}\0", "{\"a\":\"\\\\\"}|{}|0"),
        STREAM("{\n \"a\": 1\n}\0", "{\n \"a\": 1\n}|0"), /* newlines inside decide nothing */
        STREAM("{\n}\n{\n}\n", "{\n}|{\n}|0"),
        STREAM("{\"a\":", "0"),
        STREAM("{}", "0"),
        STREAM("{}\0{}\n", "{}|-74"), /* the terminator is fixed by the first message */
        STREAM("{}\n{}\0", "{}|-74"),
        STREAM("{} \0", "-74"),
        STREAM("{}{}\0", "-74"),
        STREAM("[]\0", "-74"),
        STREAM(" {}\0", "-74"),
        STREAM("\0", "-74"),
        STREAM("{\"a\":\0}", "-74"),
        STREAM("{\"a\0\":1}", "-74"),
        STREAM("GET / HTTP/1.1\r\n", "-74"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        for (size_t step = 1; step <= streams[i].size; step++) {
            char out[256];
            scan_stream(streams[i].bytes, streams[i].size, step, out, sizeof(out));
            assert_string_equal(out, streams[i].messages);
        }
    }
}

/* However a message arrives, no byte of it is looked at twice: the bytes already seen may be
 * overwritten. */
static void test_scan_looks_once(void **state)
{
    (void)state;
    char message[] = "{\"key\":\"a \\\"string\\\"\"}";
    struct varlink_scanner scanner = START;
    size_t length, consumed;
    for (size_t end = 1; end < sizeof(message); end++) {
        assert_int_equal(varlink_scan(&scanner, message, end, &length, &consumed), -EAGAIN);
        message[end - 1] = 'x';
    }
    assert_int_equal(varlink_scan(&scanner, message, sizeof(message), &length, &consumed), 0);
    assert_int_equal(length, sizeof(message) - 1);
    assert_int_equal(scanner.terminator, VARLINK_TERMINATOR_NUL);
}

static void test_call_good(void **state)
{
    (void)state;
    struct varlink_call call;
    const char *reason = NULL;
    const char *text = "{\"method\":\"io.ocellus.Infer\",\"parameters\":{\"fd\":0},\"oneway\":true,"
                       "\"more\":false}";
    assert_int_equal(varlink_call_parse(text, strlen(text), &call, &reason), 0);
    assert_string_equal(call.method, "io.ocellus.Infer");
    assert_true(cJSON_IsObject(call.parameters));
    assert_true(call.oneway);
    assert_false(call.more);
    assert_false(call.upgrade);
    varlink_call_finish(&call);

    assert_int_equal(varlink_call_parse("{\"method\":\"a.B\"}", 16, &call, &reason), 0);
    assert_null(call.parameters);
    varlink_call_finish(&call);
}

static void assert_refused(const char *text, size_t length)
{
    struct varlink_call call = {.method = "untouched"};
    const char *reason = NULL;
    int r = varlink_call_parse(text, length, &call, &reason);
    if (r != -EBADMSG || reason == NULL) {
        fail_msg("not refused: %.*s", (int)length, text);
    }
    assert_string_equal(call.method, "untouched");
}

static void test_call_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "1",
        "{}",
        "{\"method\":1}",
        "{\"method\":\"\"}",
        "{\"method\":\"a b\"}",
        "{\"method\":\"a\",\"method\":\"a\"}",
        "{\"method\":\"a\",\"fds\":1}",
        "{\"Method\":\"a\"}",
        "{\"method\":\"a\",\"parameters\":[]}",
        "{\"method\":\"a\",\"parameters\":null}",
        "{\"method\":\"a\",\"oneway\":1}",
        "{\"method\":\"a\",\"more\":\"true\"}",
        "{\"method\":\"a\",\"oneway\":true,\"more\":true}",
        "{\"method\":\"a\"}{}",
        "{\"method\":\"a\"}x",
        "{\"method\":\"a\",}",
        "{\"method\":\"a\" \"more\":true}",
        "{\"method\":\"a\",\"parameters\":{\"x\":01}}",
        "{\"method\":\"a\",\"parameters\":{\"x\":1.}}",
        "{\"method\":\"a\",\"parameters\":{\"x\":+1}}",
        "{\"method\":\"a\",\"parameters\":{\"x\":1e}}",
        "{\"method\":\"a\",\"parameters\":{\"x\":NaN}}",
        "{\"method\":\"a\",\"parameters\":{\"x\":tru}}",
        "{\"method\":\"a\",\"parameters\":{\"x\":\"\\u0000\"}}",
        "{\"method\":\"a\",\"parameters\":{\"x\":\"\\ud800\"}}",
        "{\"method\":\"a\",\"parameters\":{\"x\":\"\\udc00\"}}",
        "{\"method\":\"a\",\"parameters\":{\"x\":\"\\ud800\\u0041\"}}",
        "{\"method\":\"a\",\"parameters\":{\"x\":\"\\x41\"}}",
        "{\"method\":\"a\",\"parameters\":{\"x\":\"\n\"}}",
        "{\"method\":\"a\",\"parameters\":{\"x\":\"\xff\"}}",
        "{\"method\":\"a\",\"parameters\":{\"x\":\"\xc0\x80\"}}",
        "{\"method\":\"a\",\"parameters\":{\"x\":\"\xe0\x80\x80\"}}",
        "{\"method\":\"a\",\"parameters\":{\"x\":\"\xed\xa0\x80\"}}",
        "{\"method\":\"a\",\"parameters\":{\"x\":\"\xf4\x90\x80\x80\"}}",
        "{\"method\":\"a\",\"parameters\":{\"x\":\"\xe2\x82\"}}",
        "{\"method\":\"a\",\"parameters\":{\"x\":[}}",
        "{\"method\":\"a\",\"parameters\":{\"x\"}}",
        "{\"method\":\"a\",\"parameters\":{'x':1}}",
        "{\"method\":\"a\"",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_refused(texts[i], strlen(texts[i]));
    }
    assert_refused("{\"method\":\"a\"}\0", 15); /* a NUL after the object */
}

/* An array of `depth` more levels below the parameters' two. */
static int parse_nested(unsigned depth)
{
    char text[256];
    struct varlink_call call;
    const char *reason;
    int used = snprintf(text, sizeof(text), "{\"method\":\"a\",\"parameters\":{\"x\":");
    for (unsigned i = 0; i < depth; i++) {
        text[used++] = '[';
    }
    for (unsigned i = 0; i < depth; i++) {
        text[used++] = ']';
    }
    used += snprintf(text + used, sizeof(text) - (size_t)used, "}}");
    int r = varlink_call_parse(text, (size_t)used, &call, &reason);
    if (r == 0) {
        varlink_call_finish(&call);
    }
    return r;
}

static void test_call_limits(void **state)
{
    (void)state;
    assert_int_equal(parse_nested(VARLINK_JSON_DEPTH_MAX - 2), 0);
    assert_int_equal(parse_nested(VARLINK_JSON_DEPTH_MAX - 1), -EBADMSG);

    char text[8192];
    int used = snprintf(text, sizeof(text), "{\"method\":\"a\",\"parameters\":{\"x\":[1");
    for (unsigned i = 0; i < 2000; i++) {
        memcpy(text + used, ",1", 2);
        used += 2;
    }
    memcpy(text + used, "]}}", 3);
    assert_refused(text, (size_t)used + 3);
}

static void test_interface_texts(void **state)
{
    (void)state;
    const char *text = varlink_interface_text("io.ocellus");
    assert_non_null(text);
    assert_non_null(strstr(text, "\ninterface io.ocellus\n"));
    assert_non_null(strstr(text, "\nmethod Infer("));
    assert_non_null(strstr(text, "\nmethod Status() -> (\n"));
    assert_non_null(strstr(text, "error TooBusy (message: string)\n"));
    assert_non_null(strstr(varlink_interface_text("org.varlink.service"), "method GetInfo()"));
    assert_null(varlink_interface_text("io.ocellus.Infer"));
    assert_null(varlink_interface_text(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan_any_split), cmocka_unit_test(test_scan_looks_once),
        cmocka_unit_test(test_call_good),      cmocka_unit_test(test_call_refused),
        cmocka_unit_test(test_call_limits),    cmocka_unit_test(test_interface_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
