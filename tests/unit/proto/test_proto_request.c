/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The same request from a query string and from Varlink parameters; what both refuse. */
#include "proto/request.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include "proto/base64.h"

static int from_query(const char *query, struct proto_request *request)
{
    const char *reason = NULL;
    int r = proto_request_from_query("porch", query, request, &reason);
    assert_true((r == 0) == (reason == NULL));
    return r;
}

static int from_json(const char *text, struct proto_request *request)
{
    const char *reason = NULL;
    cJSON *tree = cJSON_Parse(text);
    assert_non_null(tree);
    int r = proto_request_from_json(tree, request, &reason);
    if (r == 0) {
        request->data = request->data != NULL ? "" : NULL; /* the tree goes away */
    }
    cJSON_Delete(tree);
    assert_true((r == 0) == (reason == NULL));
    return r;
}

static void test_sensor_same_on_both(void **state)
{
    (void)state;
    struct proto_request query, call;
    assert_int_equal(from_query("model=night&format=sensor&width=640&height=480&stride=832&cfa=gbrg"
                                "&packing=mipi10&black=64&white=1000&nominal_white=30000",
                                &query),
                     0);
    assert_int_equal(
        from_json("{\"camera\":\"porch\",\"model\":\"night\",\"format\":\"sensor\",\"fd\":0,"
                  "\"sensor\":{\"width\":640,\"height\":480,\"stride\":832,\"cfa\":\"GBRG\","
                  "\"packing\":\"mipi10\",\"black\":64,\"white\":1000,\"nominal_white\":30000}}",
                  &call),
        0);
    const struct proto_sensor expected = {640, 480,  832,  PROTO_CFA_GBRG, PROTO_PACKING_MIPI10,
                                          64,  1000, 30000};
    assert_memory_equal(&query.sensor, &expected, sizeof(expected));
    assert_memory_equal(&call.sensor, &expected, sizeof(expected));
    assert_int_equal(query.kind, PROTO_KIND_SENSOR);
    assert_int_equal(call.kind, PROTO_KIND_SENSOR);
    assert_string_equal(query.camera, "porch");
    assert_string_equal(call.camera, "porch");
    assert_string_equal(query.model, "night");
    assert_string_equal(call.model, "night");
    assert_int_equal(query.fd, -1);
    assert_int_equal(call.fd, 0);
}

static int label_from_json(const char *text, struct proto_request *request)
{
    const char *reason = NULL;
    cJSON *tree = cJSON_Parse(text);
    int r = proto_label_from_json(tree, request, &reason);
    if (r == 0) {
        request->data = request->codes = NULL; /* the tree goes away */
    }
    cJSON_Delete(tree);
    assert_true((r == 0) == (reason == NULL));
    return r;
}

static int label_from_query(const char *text, struct proto_request *request)
{
    const char *reason = NULL;
    int r = proto_label_from_query(text, request, &reason);
    assert_true((r == 0) == (reason == NULL));
    return r;
}

static void test_labels(void **state)
{
    (void)state;
    struct proto_request request;
    static const char *const good[] = {
        "{\"label\":\"a cat\",\"frame\":9007199254740991,\"box\":63}",
        "{\"label\":\"a cat\",\"adapter\":\"yard\",\"codes\":\"AAAA\"}",
        "{\"label\":\"a cat\",\"camera\":\"porch\",\"data\":\"AAAA\",\"box\":1}",
        "{\"label\":\"a cat\",\"fd\":0,\"format\":\"jpeg\",\"frame\":null}",
    };
    static const char *const bad[] = {
        "{}",
        "[]",
        "{\"label\":\"\",\"frame\":1}",
        "{\"label\":\"a\"}",
        "{\"label\":1,\"frame\":1}",
        "{\"label\":\"a\",\"frame\":0}",
        "{\"label\":\"a\",\"frame\":-1}",
        "{\"label\":\"a\",\"frame\":1.5}",
        "{\"label\":\"a\",\"frame\":1,\"frame\":1}",
        "{\"label\":\"a\",\"frame\":1,\"fd\":0}",
        "{\"label\":\"a\",\"frame\":1,\"codes\":\"AAAA\",\"adapter\":\"y\"}",
        "{\"label\":\"a\",\"frame\":1,\"camera\":\"porch\"}",
        "{\"label\":\"a\",\"frame\":1,\"adapter\":\"yard\"}",
        "{\"label\":\"a\",\"codes\":\"AAAA\"}",
        "{\"label\":\"a\",\"codes\":\"AAAA\",\"adapter\":\"y\",\"box\":0}",
        "{\"label\":\"a\",\"fd\":0,\"data\":\"AAAA\"}",
        "{\"label\":\"a\",\"frame\":1,\"box\":65536}",
        "{\"label\":\"a\",\"frame\":1,\"colour\":1}",
        "{\"label\":\"0123456789012345678901234567890123456789012345678901234567890123\","
        "\"frame\":1}",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(label_from_json(good[i], &request), 0);
        assert_string_equal(request.label, "a cat");
    }
    assert_int_equal(label_from_json(good[0], &request), 0);
    assert_true(request.frame == UINT64_C(9007199254740991) && request.box == 63);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(label_from_json(bad[i], &request), -EINVAL);
    }
    assert_int_equal(label_from_query("camera=porch&label=a%20cat&format=jpeg&box=2", &request), 0);
    assert_string_equal(request.label, "a cat");
    assert_string_equal(request.camera, "porch");
    assert_int_equal(request.box, 2);
    assert_int_equal(label_from_query("camera=porch", &request), -EINVAL);
    assert_int_equal(label_from_query("label=cat&frame=7", &request), -EINVAL);
    assert_int_equal(from_query("label=cat", &request), -EINVAL); /* of labels alone */
    assert_int_equal(from_json("{\"data\":\"\",\"label\":\"cat\"}", &request), -EINVAL);
}

static void test_base64(void **state)
{
    (void)state;
    uint8_t bytes[64], back[64];
    char text[PROTO_BASE64_LENGTH(64) + 1];
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        size_t length = 99;
        for (size_t i = 0; i < size; i++) {
            bytes[i] = (uint8_t)(i * 37 + size);
        }
        proto_base64_encode(bytes, size, text);
        assert_int_equal(strlen(text), PROTO_BASE64_LENGTH(size));
        assert_int_equal(proto_base64_decode(text, strlen(text), back, &length), 0);
        assert_int_equal(length, size);
        assert_memory_equal(back, bytes, size);
    }
    proto_base64_encode("light", 5, text);
    assert_string_equal(text, "bGlnaHQ=");
}

static void test_scan(void **state)
{
    (void)state;
    struct proto_request request;
    assert_int_equal(from_query("", &request), 0);
    assert_int_equal(request.scan, PROTO_SCAN_DEFAULT);
    assert_int_equal(from_query("scan=YES", &request), 0);
    assert_int_equal(request.scan, PROTO_SCAN_YES);
    assert_int_equal(from_query("scan=no", &request), 0);
    assert_int_equal(request.scan, PROTO_SCAN_NO);
    assert_int_equal(from_json("{\"data\":\"\",\"scan\":\"default\"}", &request), 0);
    assert_int_equal(request.scan, PROTO_SCAN_DEFAULT);
    assert_int_equal(from_json("{\"data\":\"\",\"scan\":\"yes\"}", &request), 0);
    assert_int_equal(request.scan, PROTO_SCAN_YES);
    assert_int_equal(from_query("scan=1", &request), -EINVAL);
    assert_int_equal(from_query("scan=", &request), -EINVAL);
    assert_int_equal(from_query("scan=yes&scan=yes", &request), -EINVAL);
    assert_int_equal(from_json("{\"data\":\"\",\"scan\":true}", &request), -EINVAL);
}

static void test_subscriptions(void **state)
{
    (void)state;
    struct proto_request request;
    const char *reason = NULL;
    assert_int_equal(proto_watch_from_query("", &request, &reason), 0);
    assert_string_equal(request.camera, "");
    assert_int_equal(proto_watch_from_json(NULL, &request, &reason), 0);
    assert_string_equal(request.camera, "");
    assert_int_equal(proto_watch_from_query("camera=porch", &request, &reason), 0);
    assert_string_equal(request.camera, "porch");
    assert_null(reason);
    static const char *const refused[] = {"camera=", "camera=..", "model=x", "camera=a&camera=b"};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        reason = NULL;
        assert_int_equal(proto_watch_from_query(refused[i], &request, &reason), -EINVAL);
        assert_non_null(reason);
    }
    cJSON *parameters = cJSON_Parse("{\"camera\":\"yard\"}");
    assert_int_equal(proto_watch_from_json(parameters, &request, &reason), 0);
    assert_string_equal(request.camera, "yard");
    cJSON_AddStringToObject(parameters, "model", "m");
    assert_int_equal(proto_watch_from_json(parameters, &request, &reason), -EINVAL);
    cJSON_Delete(parameters);
}

static int model_from(const char *text, bool file, struct proto_request *request)
{
    cJSON *parameters = cJSON_Parse(text);
    const char *reason = NULL;
    assert_non_null(parameters);
    int r = proto_model_from_json(parameters, file, request, &reason);
    assert_true((r < 0) == (reason != NULL));
    cJSON_Delete(parameters);
    return r;
}

#define DIGEST "00ff0102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1e"

static void test_models(void **state)
{
    (void)state;
    struct proto_request request;
    assert_int_equal(
        model_from("{\"model\":\"m\",\"fd\":0,\"sha256\":\"" DIGEST "\"}", true, &request), 0);
    assert_string_equal(request.model, "m");
    assert_int_equal(request.fd, 0);
    assert_string_equal(request.sha256,
                        "00ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e");
    assert_int_equal(model_from("{\"fd\":0,\"sha256\":\"" DIGEST "\"}", true, &request), 0);
    assert_string_equal(request.model, "");
    assert_int_equal(model_from("{}", false, &request), 0);
    static const char *const refused[] = {
        "{}",
        "{\"fd\":0}",
        "{\"sha256\":\"" DIGEST "\"}",
        "{\"fd\":0,\"sha256\":\"" DIGEST "0\"}",
        "{\"fd\":0,\"sha256\":\"g0" DIGEST "\"}",
        "{\"fd\":0,\"sha256\":7}",
        "{\"fd\":0,\"sha256\":\"" DIGEST "\",\"camera\":\"c\"}",
        "{\"model\":\"../m\",\"fd\":0,\"sha256\":\"" DIGEST "\"}",
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        assert_int_equal(model_from(refused[i], true, &request), -EINVAL);
    }
    assert_int_equal(model_from("{\"fd\":0}", false, &request), -EINVAL);
}

static void test_defaults(void **state)
{
    (void)state;
    static const struct {
        const char *packing;
        uint32_t stride, white;
    } rows[] = {
        {"u8", 640, 255}, {"u16le", 1280, 65535}, {"MIPI10", 800, 1023}, {"mipi12", 960, 4095}};
    for (size_t i = 0; i < 4; i++) {
        char query[128] = "width=640&height=480&cfa=mono&packing=";
        struct proto_request request;
        assert_int_equal(from_query(strcat(query, rows[i].packing), &request), 0);
        assert_int_equal(request.kind, PROTO_KIND_SENSOR);
        assert_int_equal(request.sensor.packing, i);
        assert_int_equal(request.sensor.stride, rows[i].stride);
        assert_int_equal(request.sensor.white, rows[i].white);
        assert_int_equal(request.sensor.black, 0);
        assert_int_equal(request.sensor.nominal_white, 0);
    }
    struct proto_request request;
    assert_int_equal(from_query("", &request), 0);
    assert_int_equal(request.kind, PROTO_KIND_AUTO);
    assert_int_equal(from_query("format=Jpeg", &request), 0);
    assert_int_equal(request.kind, PROTO_KIND_JPEG);
    assert_int_equal(from_query("f%6frmat=%70nm", &request), 0);
    assert_int_equal(request.kind, PROTO_KIND_PNM);
    assert_int_equal(from_query("point=w64", &request), 0);
    assert_string_equal(request.point, "w64");
    assert_int_equal(from_json("{\"data\":\"AAAA\",\"camera\":null,\"sensor\":null}", &request), 0);
    assert_string_equal(request.camera, "default");
    assert_int_equal(request.fd, -1);
    assert_non_null(request.data);
}

#define SENSOR "width=6&height=4&cfa=mono&packing=u8"

static void test_query_refused(void **state)
{
    static const char *const queries[] = {
        "format=sensor",
        "format=jpeg&" SENSOR,
        "format=",
        "format",
        "format=png",
        "Format=jpeg",
        "format=jpeg&format=jpeg",
        "camera=x",
        "kind=jpeg",
        "point=a/b",
        "point=a&point=a",
        "fd=0",
        "data=AAAA",
        "sensor=1",
        "unknown=1",
        "=",
        "&",
        "format=jpeg&",
        "format=jpeg&&model=a",
        "model=",
        "model=.a",
        "model=-a",
        "model=a/b",
        "model=a%2Fb",
        "model=a%00",
        "model=%",
        "model=0123456789012345678901234567890123456789012345678901234567890123",
        "width=6&height=4&cfa=mono",
        "width=6&height=4&packing=u8",
        "width=6&cfa=mono&packing=u8",
        "height=4&cfa=mono&packing=u8",
        SENSOR "&width=6",
        SENSOR "&black=-1",
        SENSOR "&black=65536",
        SENSOR "&black=1.0",
        SENSOR "&black= 1",
        SENSOR "&black=",
        SENSOR "&black=1x",
        SENSOR "&black=99999999999999999999999999",
        SENSOR "&stride=16777217",
        "width=65536&height=4&cfa=mono&packing=u8",
        "width=6&height=4&cfa=rgb&packing=u8",
        "width=6&height=4&cfa=0&packing=u8",
        "width=6&height=4&cfa=mono&packing=8",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        struct proto_request request = {.fd = 77};
        if (from_query(queries[i], &request) != -EINVAL || request.fd != 77) {
            fail_msg("not refused: %s", queries[i]);
        }
    }
    struct proto_request request;
    const char *reason;
    assert_int_equal(proto_request_from_query("", "", &request, &reason), -EINVAL);
    assert_int_equal(proto_request_from_query("../x", "", &request, &reason), -EINVAL);
}

static void test_parameters_refused(void **state)
{
    static const char *const texts[] = {
        "[1]",
        "\"fd\"",
        "{}",
        "{\"fd\":0,\"data\":\"AAAA\"}",
        "{\"fd\":null,\"data\":null}",
        "{\"fd\":-1}",
        "{\"fd\":0.5}",
        "{\"fd\":\"0\"}",
        "{\"fd\":true}",
        "{\"fd\":1e300}",
        "{\"fd\":0,\"fd\":0}",
        "{\"data\":1}",
        "{\"data\":\"AAAA\",\"kind\":\"jpeg\"}",
        "{\"data\":\"AAAA\",\"format\":\"png\"}",
        "{\"data\":\"AAAA\",\"format\":1}",
        "{\"data\":\"AAAA\",\"format\":\"sensor\"}",
        "{\"data\":\"AAAA\",\"camera\":\"a b\"}",
        "{\"data\":\"AAAA\",\"camera\":1}",
        "{\"data\":\"AAAA\",\"width\":1}",
        "{\"data\":\"AAAA\",\"sensor\":[]}",
        "{\"data\":\"AAAA\",\"sensor\":{}}",
        "{\"data\":\"AAAA\",\"sensor\":{\"width\":6,\"height\":4,\"cfa\":\"mono\"}}",
        "{\"data\":\"AAAA\",\"sensor\":{\"width\":\"6\",\"height\":4,\"cfa\":\"mono\",\"packing\":"
        "\"u8\"}}",
        "{\"data\":\"AAAA\",\"sensor\":{\"width\":6,\"height\":4,\"cfa\":4,\"packing\":\"u8\"}}",
        "{\"data\":\"AAAA\",\"sensor\":{\"width\":6,\"height\":4,\"cfa\":\"mono\",\"packing\":"
        "\"u8\","
        "\"sensor\":{}}}",
        "{\"data\":\"AAAA\",\"sensor\":{\"width\":6,\"height\":4,\"cfa\":\"mono\",\"packing\":"
        "\"u8\","
        "\"fd\":0}}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct proto_request request = {.fd = 77};
        if (from_json(texts[i], &request) != -EINVAL || request.fd != 77) {
            fail_msg("not refused: %s", texts[i]);
        }
    }
    struct proto_request request;
    const char *reason;
    assert_int_equal(proto_request_from_json(NULL, &request, &reason), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sensor_same_on_both),
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_subscriptions),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_query_refused),
        cmocka_unit_test(test_parameters_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
