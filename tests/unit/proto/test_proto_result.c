/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The JSON of results and errors, names, base64, runs in strings. */
#include "proto/result.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include "proto/base64.h"
#include "proto/error.h"
#include "proto/json.h"

static void test_result_text(void **state)
{
    (void)state;
    const struct proto_score scores[] = {{"cat", 0.83f, 131072}, {"dog \"x\"", 0.17f, -5}};
    const struct proto_result result = {
        .camera = "porch",
        .frame = 9007199254740991,
        .label = "cat",
        .confidence = 0.83f,
        .scores = scores,
        .score_count = 2,
        .model_name = "m",
        .model_id = "ab",
        .point = "w64",
        .macs = 123456789012,
        .cascade = {"d", "face", 0.5f, true},
        .generation = 3,
        .format = "jpeg",
        .width = 640,
        .height = 480,
        .orientation = 1,
        .reduction = 4,
        .times =
            {.wait = 3100, .decode = 511049, .gradient = 12440, .network = 96000, .total = 640299},
        .light = {0.25f, 0.5f, 1, PROTO_MONO_NO},
        .warnings = 5,
    };
    cJSON *tree = proto_result_to_json(&result);
    char *text = cJSON_PrintUnformatted(tree);
    assert_string_equal(
        text,
        "{\"camera\":\"porch\",\"frame\":9007199254740991,\"label\":\"cat\",\"confidence\":0.83,"
        "\"scores\":[{\"label\":\"cat\",\"probability\":0.83,\"score\":131072},"
        "{\"label\":\"dog \\\"x\\\"\",\"probability\":0.17,\"score\":-5}],"
        "\"model\":{\"name\":\"m\",\"point\":\"w64\",\"id\":\"ab\",\"generation\":3},"
        "\"macs\":123456789012,"
        "\"cascade\":{\"detector\":\"d\",\"label\":\"face\",\"confidence\":0.5,"
        "\"awake\":true},"
        "\"image\":{\"format\":\"jpeg\",\"width\":640,\"height\":480,\"orientation\":1,"
        "\"reduction\":4},"
        "\"times_us\":{\"wait\":3.1,\"decode\":511,\"gradient\":12.4,\"network\":96,"
        "\"total\":640.2},"
        "\"light\":{\"level\":0.25,\"saturated\":0.5,\"dark\":1,\"mono\":false},"
        "\"warnings\":[\"constant\",\"truncated\"]}");
    free(text);
    cJSON_Delete(tree);
}

/* Only what a scan adds. */
static void test_scan_text(void **state)
{
    (void)state;
    const struct proto_box boxes[] = {
        {1, 2, 30, 40, "person", 0.91f, 301204, 4, "drive"},
        {65534, 0, 1, 65535, "person", 0.5f, -7, 0, NULL},
    };
    struct proto_result result = {
        .camera = "c",
        .label = "person",
        .model_name = "m",
        .model_id = "",
        .point = "p",
        .format = "raw",
        .times = {.average = 1500},
        .scanned = true,
        .boxes = boxes,
        .box_count = 2,
        .motion = true,
        .motion_share = 0.125f,
    };
    cJSON *tree = proto_result_to_json(&result);
    char *text = cJSON_PrintUnformatted(tree);
    assert_non_null(strstr(
        text, "\"boxes\":[{\"x\":1,\"y\":2,\"width\":30,\"height\":40,\"label\":\"person\","
              "\"confidence\":0.91,\"score\":301204,\"level\":4,\"zone\":\"drive\"},"
              "{\"x\":65534,\"y\":0,\"width\":1,\"height\":65535,\"label\":\"person\","
              "\"confidence\":0.5,\"score\":-7,\"level\":0}],\"motion\":{\"share\":0.125},"));
    assert_non_null(strstr(text, "\"decode\":0,\"average\":1.5,\"gradient\":0"));
    assert_non_null(strstr(text, "\"light\":{\"level\":0,\"saturated\":0,\"dark\":0}"));
    free(text);
    cJSON_Delete(tree);
    result.box_count = 0;
    result.motion = false;
    tree = proto_result_to_json(&result);
    text = cJSON_PrintUnformatted(tree);
    assert_non_null(strstr(text, "\"boxes\":[],"));
    assert_null(strstr(text, "motion"));
    free(text);
    cJSON_Delete(tree);
}

static void test_names(void **state)
{
    (void)state;
    assert_true(proto_name_valid("a"));
    assert_true(proto_name_valid("Porch_2.east-"));
    assert_true(
        proto_name_valid("012345678901234567890123456789012345678901234567890123456789012"));
    assert_false(
        proto_name_valid("0123456789012345678901234567890123456789012345678901234567890123"));
    static const char *const bad[] = {"", ".", "..", ".a", "-a", "a b", "a/b", "\xc3\xa4", "a\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(proto_name_valid(bad[i]));
    }
}

static void test_errors(void **state)
{
    (void)state;
    for (unsigned i = PROTO_OK + 1; i < PROTO_ERROR_COUNT; i++) {
        const char *name = proto_error_name((enum proto_error)i);
        assert_non_null(strrchr(name, '.'));
        assert_int_equal(proto_error_from_name(name), i);
        assert_in_range(proto_error_http_status((enum proto_error)i), 400, 504);
    }
    assert_int_equal(proto_error_http_status(PROTO_OK), 200);
    assert_int_equal(proto_error_from_name("io.ocellus.Newer"), PROTO_INTERNAL);
    assert_int_equal(proto_error_from_name(""), PROTO_INTERNAL);
    assert_string_equal(proto_error_name((enum proto_error)99), "io.ocellus.Internal");
    assert_int_equal(proto_error_from_errno(0), PROTO_OK);
    assert_int_equal(proto_error_from_errno(-EBADMSG), PROTO_CORRUPT);
    assert_int_equal(proto_error_from_errno(-ENOTSUP), PROTO_UNSUPPORTED);
    assert_int_equal(proto_error_from_errno(-EFBIG), PROTO_TOO_LARGE);
    assert_int_equal(proto_error_from_errno(-EINVAL), PROTO_BAD_REQUEST);
    assert_int_equal(proto_error_from_errno(-ETIME), PROTO_DEADLINE);
    assert_int_equal(proto_error_from_errno(-ENOMEM), PROTO_INTERNAL);
    assert_int_equal(proto_error_from_errno(-EPIPE), PROTO_INTERNAL);

    cJSON *tree = proto_error_to_json(PROTO_TOO_LARGE, "why");
    char *text = cJSON_PrintUnformatted(tree);
    assert_string_equal(text,
                        "{\"error\":\"io.ocellus.TooLarge\",\"parameters\":{\"message\":\"why\"}}");
    free(text);
    cJSON_Delete(tree);
}

static void check_base64(const char *text, const char *bytes, size_t size)
{
    uint8_t out[16];
    size_t got = 99;
    assert_true(PROTO_BASE64_BYTES(strlen(text)) <= sizeof(out));
    assert_int_equal(proto_base64_decode(text, strlen(text), out, &got), 0);
    assert_int_equal(got, size);
    assert_memory_equal(out, bytes, size);
}

static void test_base64(void **state)
{
    (void)state;
    check_base64("", "", 0); /* RFC 4648 section 10 */
    check_base64("Zg==", "f", 1);
    check_base64("Zm8=", "fo", 2);
    check_base64("Zm9v", "foo", 3);
    check_base64("Zm9vYg==", "foob", 4);
    check_base64("Zm9vYmE=", "fooba", 5);
    check_base64("Zm9vYmFy", "foobar", 6);
    check_base64("+/+/", "\xfb\xff\xbf", 3);
    static const char *const bad[] = {"Z",    "Zg",       "Zg=",    "Zh==", "Zm9=", "====",
                                      "Z===", "Zg==Zg==", "Zm9v\n", "Zm 9", "-_-_", "Zm\x80v"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t out[16];
        size_t got = 99;
        assert_int_equal(proto_base64_decode(bad[i], strlen(bad[i]), out, &got), -EBADMSG);
        assert_int_equal(got, 99);
    }
}

static void test_base64_of_every_character(void **state)
{
    (void)state;
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (unsigned i = 0; i < 4 * 256; i++) {
        char text[8] = "AAAABBBB", c = (char)(i / 4);
        uint8_t out[6];
        size_t size;
        const char *digit = c != '\0' ? strchr(digits, c) : NULL;
        text[i % 4] = c;
        assert_int_equal(proto_base64_decode(text, sizeof(text), out, &size),
                         digit != NULL ? 0 : -EBADMSG);
        if (digit != NULL) {
            const uint32_t bits = (uint32_t)(digit - digits) << (18 - 6 * (i % 4));
            assert_int_equal((uint32_t)out[0] << 16 | (uint32_t)out[1] << 8 | out[2], bits);
        }
    }
}

/* Every byte, at every place of runs of every length, against the definition. */
static void test_plain_runs(void **state)
{
    (void)state;
    char text[32];
    for (size_t size = 0; size <= sizeof(text); size++) {
        memset(text, 'a', sizeof(text));
        assert_int_equal(proto_json_plain(text, size), size);
        for (size_t at = 0; at < size; at++) {
            for (int c = 0; c < 256; c++) {
                const bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
                text[at] = (char)c;
                assert_int_equal(proto_json_plain(text, size), plain ? size : at);
            }
            text[at] = at % 2 == 0 ? '!' : '#'; /* beside the quote's code */
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_result_text), cmocka_unit_test(test_scan_text),
        cmocka_unit_test(test_names),       cmocka_unit_test(test_errors),
        cmocka_unit_test(test_base64),      cmocka_unit_test(test_base64_of_every_character),
        cmocka_unit_test(test_plain_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
