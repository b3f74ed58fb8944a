/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The loader's rules for coarse codings, graphs and operating points: a model that has them all,
 * and what happens when each rule is broken once, in the text or in the tensors.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/network/model.h"
#include "engine/network/safetensors.h"

#define GEOMETRY(k, p) "\"kernel\":[" k "," k "],\"stride\":[1,1],\"pad\":[" p "," p "],"

static const char model_text[] =
    "{\"format\":1,\"name\":\"all\",\"labels\":[\"no\",\"yes\"],\"points\":["
    "{\"name\":\"a\",\"input\":{\"source\":\"srgb\",\"width\":4,\"height\":4,\"planes\":\"rgb\","
    "\"fit\":\"cover\",\"coding\":\"thermometer\",\"levels\":21},\"layers\":["
    "{\"op\":\"conv\",\"name\":\"c1\",\"weights\":\"binary\",\"out\":8," GEOMETRY(
        "2",
        "0") "\"activation\":\"none\",\"output\":\"binary\"},"
             "{\"op\":\"conv\",\"name\":\"c2\",\"weights\":\"ternary\",\"out\":4," GEOMETRY(
                 "2",
                 "1") "\"pad_code\":1,\"activation\":\"relu\",\"output\":\"log\","
                      "\"output_bits\":4,\"output_base\":\"2\"},"
                      "{\"op\":\"maxpool\",\"name\":\"p\",\"kernel\":[2,2],\"stride\":[2,"
                      "2]},"
                      "{\"op\":\"conv\",\"name\":\"c3\",\"weights\":\"log\",\"weight_"
                      "bits\":5,"
                      "\"weight_base\":\"sqrt2\",\"out\":3," GEOMETRY(
                          "1",
                          "0") "\"activation\":\"none\",\"output\":\"ternary\"},"
                               "{\"op\":\"dense\",\"name\":\"c4\",\"weights\":\"log\","
                               "\"weight_bits\":4,\"weight_base\":\"2\",\"out\":2,"
                               "\"activation\":\"none\",\"output\":\"scores\","
                               "\"preshift\":2,\"shift\":5}]},"
                               "{\"name\":\"b\",\"input\":{\"source\":\"srgb\","
                               "\"width\":4,\"height\":4,\"planes\":\"rgb\","
                               "\"fit\":\"cover\",\"coding\":\"u7\"},\"layers\":["
                               "{\"op\":\"conv\",\"name\":\"d1\",\"weights\":\"s8\","
                               "\"out\":4," GEOMETRY(
                                   "3",
                                   "1") "\"pad_code\":64,\"activation\":\"relu\","
                                        "\"output\":\"u7\",\"preshift\":3,"
                                        "\"shift\":5},"
                                        "{\"op\":\"depthwise\",\"name\":\"d2\","
                                        "\"weights\":\"s8\"," GEOMETRY(
                                            "3",
                                            "1") "\"activation\":\"relu\",\"output\":\"u7\","
                                                 "\"preshift\":3,\"shift\":5},"
                                                 "{\"op\":\"add\",\"name\":\"d3\",\"inputs\":["
                                                 "\"d1\",\"d2\"],\"mult\":[64,65535],\"shift\":6},"
                                                 "{\"op\":\"conv\",\"name\":\"d4\",\"input\":"
                                                 "\"d3\",\"weights\":\"log\",\"weight_bits\":6,"
                                                 "\"weight_base\":\"2\",\"out\":2," GEOMETRY(
                                                     "1",
                                                     "0") "\"activation\":\"relu\",\"output\":"
                                                          "\"log\",\"output_bits\":2,"
                                                          "\"output_base\":\"sqrt2\"},"
                                                          "{\"op\":\"dense\",\"name\":\"d5\","
                                                          "\"weights\":\"s8\",\"out\":2,"
                                                          "\"activation\":\"none\",\"output\":"
                                                          "\"scores\",\"preshift\":0,\"shift\":5,"
                                                          "\"narrow\":9}]}]}";

enum { C2_LEVELS = 15, TENSORS = 19 };

static uint8_t c1_weight[8 * 2], c2_weight[4 * 4], c2_nonzero[4 * 4], c3_weight[3 * 4];
static uint8_t c4_weight[2 * 6];
static int32_t c1_threshold[8], c2_threshold[4 * C2_LEVELS], c4_bias[2], c4_mult[2];
static int64_t c3_threshold[3 * 2], d4_threshold[2 * 3], d5_bias[2];
static int8_t d1_weight[4 * 27], d2_weight[4 * 9], d5_weight[2 * 32];
static int32_t d1_bias[4], d1_mult[4], d2_bias[4], d2_mult[4], d5_mult[2];
static uint8_t d4_weight[2 * 4];
static struct network_tensor tensors[TENSORS];

static void reset(void)
{
    memset(c1_weight, 0x5a, sizeof c1_weight);
    for (int o = 0; o < 8; o++) {
        c1_weight[2 * o + 1] = 0x0a; /* 12 weights: four bits are spare */
    }
    memset(c2_weight, 0x11, sizeof c2_weight);
    memset(c2_nonzero, 0x33, sizeof c2_nonzero);
    memset(c3_weight, 0x1f, sizeof c3_weight);
    memset(c4_weight, 0x9f, sizeof c4_weight);
    memset(d4_weight, 0x3f, sizeof d4_weight);
    memset(c1_threshold, 0, sizeof c1_threshold);
    for (int i = 0; i < 4 * C2_LEVELS; i++) {
        c2_threshold[i] = i % C2_LEVELS;
    }
    memset(c3_threshold, 0, sizeof c3_threshold);
    memset(d4_threshold, 0, sizeof d4_threshold);
    memset(d1_weight, 1, sizeof d1_weight);
    memset(d2_weight, 1, sizeof d2_weight);
    memset(d5_weight, 1, sizeof d5_weight);
    memset(c4_bias, 0, sizeof c4_bias);
    memset(d5_bias, 0, sizeof d5_bias);
    const struct network_tensor fresh[TENSORS] = {
        {"c1.weight", NETWORK_DTYPE_U8, 2, {8, 2}, 0, c1_weight},
        {"c1.threshold", NETWORK_DTYPE_I32, 2, {8, 1}, 0, c1_threshold},
        {"c2.weight", NETWORK_DTYPE_U8, 2, {4, 4}, 0, c2_weight},
        {"c2.nonzero", NETWORK_DTYPE_U8, 2, {4, 4}, 0, c2_nonzero},
        {"c2.threshold", NETWORK_DTYPE_I32, 2, {4, C2_LEVELS}, 0, c2_threshold},
        {"c3.weight", NETWORK_DTYPE_U8, 2, {3, 4}, 0, c3_weight},
        {"c3.threshold", NETWORK_DTYPE_I64, 2, {3, 2}, 0, c3_threshold},
        {"c4.weight", NETWORK_DTYPE_U8, 2, {2, 6}, 0, c4_weight},
        {"c4.bias", NETWORK_DTYPE_I32, 1, {2}, 0, c4_bias},
        {"c4.mult", NETWORK_DTYPE_I32, 1, {2}, 0, c4_mult},
        {"d1.weight", NETWORK_DTYPE_I8, 4, {4, 3, 3, 3}, 0, d1_weight},
        {"d1.bias", NETWORK_DTYPE_I32, 1, {4}, 0, d1_bias},
        {"d1.mult", NETWORK_DTYPE_I32, 1, {4}, 0, d1_mult},
        {"d2.weight", NETWORK_DTYPE_I8, 3, {4, 3, 3}, 0, d2_weight},
        {"d2.bias", NETWORK_DTYPE_I32, 1, {4}, 0, d2_bias},
        {"d2.mult", NETWORK_DTYPE_I32, 1, {4}, 0, d2_mult},
        {"d4.weight", NETWORK_DTYPE_U8, 2, {2, 4}, 0, d4_weight},
        {"d4.threshold", NETWORK_DTYPE_I64, 2, {2, 3}, 0, d4_threshold},
        {"d5.weight", NETWORK_DTYPE_I8, 2, {2, 32}, 0, d5_weight},
    };
    memcpy(tensors, fresh, sizeof fresh);
}

static int load(const char *text, uint32_t skip, struct network_model **ret_model,
                const char **ret_reason)
{
    const struct network_metadata metadata = {"ocellus", text};
    struct network_tensor list[TENSORS + 2];
    uint32_t count = 0;
    void *bytes;
    size_t size;

    for (uint32_t i = 0; i < TENSORS; i++) {
        if (i != skip) {
            list[count++] = tensors[i];
        }
    }
    list[count++] = (struct network_tensor){"d5.bias", NETWORK_DTYPE_I64, 1, {2}, 0, d5_bias};
    list[count++] = (struct network_tensor){"d5.mult", NETWORK_DTYPE_I32, 1, {2}, 0, d5_mult};
    assert_int_equal(network_safetensors_write(list, count, &metadata, 1, &bytes, &size), 0);
    int result = network_model_load(bytes, size, ret_model, ret_reason);
    free(bytes);
    return result;
}

static void test_accepts(void **state)
{
    struct network_model *model;
    const char *reason = "";

    (void)state;
    reset();
    if (load(model_text, UINT32_MAX, &model, &reason) != 0) {
        fail_msg("refused: %s", reason);
    }
    assert_int_equal(network_model_points(model), 2);
    assert_string_equal(network_model_point(model, 1), "b");
    const struct network_point *points = network_model_describe(model)->points;
    assert_int_equal(points[0].input.front.levels, 21);
    assert_int_equal(points[0].layers[1].output_bits, 4);
    assert_int_equal(points[0].layers[2].output, NETWORK_OUTPUT_LOG); /* of a pool: what it reads */
    assert_true(points[0].layers[3].weight_root && points[0].layers[3].threshold_s64 != NULL);
    assert_int_equal(points[1].layers[1].out, 4); /* of a depthwise layer: its input's */
    assert_int_equal(points[1].layers[2].input, 1);
    assert_int_equal(points[1].layers[2].other, 2);
    assert_int_equal(points[1].layers[2].add_mult[1], 65535);
    assert_int_equal(points[1].layers[4].narrow, 9);

    void *bytes, *again;
    size_t size, again_size;
    struct network_model *read;
    assert_int_equal(network_model_write(network_model_describe(model), &bytes, &size, NULL), 0);
    assert_int_equal(network_model_load(bytes, size, &read, NULL), 0);
    assert_int_equal(network_model_write(network_model_describe(read), &again, &again_size, NULL),
                     0);
    assert_int_equal(size, again_size);
    assert_memory_equal(bytes, again, size);
    free(bytes);
    free(again);
    network_model_destroy(read);
    network_model_destroy(model);
}

static void test_exits(void **state)
{
    static const int32_t sure[] = {5, 17}, unsure[] = {5, 16}, far[] = {INT32_MIN, INT32_MAX};
    char text[sizeof model_text + 64];
    struct network_model *model, *again;
    const char *reason = NULL;
    void *bytes;
    size_t size;

    (void)state;
    reset();
    snprintf(text, sizeof text, "{\"exits\":[12],%s", model_text + 1);
    assert_int_equal(load(text, UINT32_MAX, &model, NULL), 0);
    assert_true(network_model_has_exits(model));
    assert_true(network_model_exits(model, 1, sure) && !network_model_exits(model, 1, unsure));
    assert_true(network_model_exits(model, 0, unsure) && network_model_exits(model, 1, far));
    assert_int_equal(network_model_write(network_model_describe(model), &bytes, &size, NULL), 0);
    assert_int_equal(network_model_load(bytes, size, &again, NULL), 0);
    assert_int_equal(network_model_describe(again)->exits[0], 12);
    free(bytes);
    network_model_destroy(again);
    network_model_destroy(model);

    char *name = strstr(text, "\"name\":\"b\"");
    memmove(name + 13, name + 10, strlen(name + 10) + 1);
    memcpy(name, "\"name\":\"exit\"", 13);
    assert_int_equal(load(text, UINT32_MAX, &model, &reason), -EBADMSG);
    assert_non_null(strstr(reason, "a point of that name"));
}

static const struct rule {
    const char *from, *to;
    int result;
} text_rules[] = {
    {"\"thermometer\",\"levels\":21", "\"thermometer\",\"levels\":41,\"even\":true", 0},
    {"\"thermometer\",\"levels\":21", "\"thermometer\",\"levels\":63", 0},
    {"\"thermometer\",\"levels\":21", "\"thermometer\",\"levels\":127", 0},
    {"\"thermometer\",\"levels\":21", "\"thermometer\",\"levels\":22", -EBADMSG},
    {"\"thermometer\",\"levels\":21", "\"thermometer\",\"levels\":129", -EBADMSG},
    {"\"thermometer\",\"levels\":21", "\"thermometer\"", -EBADMSG},
    {"\"thermometer\",\"levels\":21", "\"thermometer\",\"levels\":21,\"even\":1", -EBADMSG},
    {"\"coding\":\"u7\"", "\"coding\":\"u7\",\"levels\":21", -EBADMSG},
    {"\"name\":\"b\"", "\"name\":\"a\"", -EBADMSG},
    {"\"name\":\"b\"", "\"name\":\"B\"", -EBADMSG},
    {"\"name\":\"b\",", "", -EBADMSG},
    {"\"name\":\"b\"", "\"more\":1,\"name\":\"b\"", -EBADMSG},
    {"\"name\":\"b\",\"input\":{\"source\":\"srgb\",\"width\":4",
     "\"name\":\"b\",\"input\":{\"source\":\"srgb\",\"width\":5", -EBADMSG},
    {"\"name\":\"b\",\"input\":{\"source\":\"srgb\",\"width\":4,\"height\":4,\"planes\":\"rgb\","
     "\"fit\":\"cover\"",
     "\"name\":\"b\",\"input\":{\"source\":\"srgb\",\"width\":4,\"height\":4,\"planes\":\"rgb\","
     "\"fit\":\"stretch\"",
     -EBADMSG},
    {"\"name\":\"d1\"", "\"name\":\"c1\"", -EBADMSG}, /* once per model */
    {"\"labels\"", "\"layers\":[],\"labels\"", -EBADMSG},
    {"\"binary\",\"out\":8", "\"binary\",\"weight_bits\":4,\"out\":8", -EBADMSG},
    {"\"output\":\"binary\"", "\"output\":\"binary\",\"shift\":5", -EBADMSG},
    {"\"none\",\"output\":\"binary\"", "\"relu\",\"output\":\"binary\"", -EBADMSG},
    {"\"relu\",\"output\":\"log\"", "\"none\",\"output\":\"log\"", -EBADMSG},
    {"\"output_bits\":4", "\"output_bits\":6", -EBADMSG},
    {"\"output_bits\":4", "\"output_bits\":3", -EBADMSG}, /* the thresholds no longer fit */
    {"\"output_base\":\"2\"", "\"output_base\":\"10\"", -EBADMSG},
    {",\"output_bits\":4", "", -EBADMSG},
    {"\"weight_bits\":5", "\"weight_bits\":7", -EBADMSG},
    {"\"weight_bits\":5", "\"weight_bits\":2", -EBADMSG},
    {"\"weight_base\":\"sqrt2\",", "", -EBADMSG},
    {"\"pad_code\":1,", "\"pad_code\":2,", -EBADMSG},
    {"\"pad_code\":1,", "\"pad_code\":0,", 0},
    {"\"preshift\":2,\"shift\":5", "\"preshift\":2,\"shift\":5,\"narrow\":1", -EBADMSG},
    {"\"name\":\"p\",\"kernel\"", "\"name\":\"p\",\"input\":\"c2\",\"kernel\"", 0},
    {"\"name\":\"p\",\"kernel\"", "\"name\":\"p\",\"input\":\"c3\",\"kernel\"", -EBADMSG},
    {"\"name\":\"p\",\"kernel\"", "\"name\":\"p\",\"input\":\"c1\",\"kernel\"", -EBADMSG},
    {"\"maxpool\",\"name\":\"p\"", "\"avgpool\",\"name\":\"p\"", -EBADMSG},
    {"\"name\":\"p\",", "", 0},
    {"\"inputs\":[\"d1\",\"d2\"]", "\"inputs\":[\"d2\",\"d2\"]", 0},
    {"\"inputs\":[\"d1\",\"d2\"]", "\"inputs\":[\"d1\",\"d1\"]", -EBADMSG}, /* nobody reads d2 */
    {"\"inputs\":[\"d1\",\"d2\"]", "\"inputs\":[\"d1\",\"d4\"]", -EBADMSG},
    {"\"inputs\":[\"d1\",\"d2\"]", "\"inputs\":[\"d1\",\"c1\"]", -EBADMSG}, /* of another point */
    {"\"inputs\":[\"d1\",\"d2\"]", "\"inputs\":[\"d1\"]", -EBADMSG},
    {"\"inputs\":[\"d1\",\"d2\"]", "\"input\":\"d1\"", -EBADMSG},
    {"[64,65535]", "[64,65536]", -EBADMSG},
    {"[64,65535]", "[-1,1]", -EBADMSG},
    {"\"mult\":[64,65535],\"shift\":6", "\"mult\":[64,65535],\"shift\":25", -EBADMSG},
    {"\"mult\":[64,65535],\"shift\":6", "\"mult\":[64,65535]", -EBADMSG},
    {"\"mult\":[64,65535],\"shift\":6", "\"activation\":\"none\"", -EBADMSG}, /* not floats */
    {"\"input\":\"d3\"", "\"input\":\"d2\"", -EBADMSG},                       /* nobody reads d3 */
    {"\"depthwise\",\"name\":\"d2\",\"weights\":\"s8\"",
     "\"depthwise\",\"name\":\"d2\",\"weights\":\"binary\"", -EBADMSG},
    {"\"depthwise\",\"name\":\"d2\"", "\"depthwise\",\"name\":\"d2\",\"out\":4", -EBADMSG},
    {"\"pad_code\":64", "\"pad_code\":128", -EBADMSG},
    {"\"labels\"", "\"exits\":[0],\"labels\"", 0},
    {"\"labels\"", "\"exits\":[2147483647],\"labels\"", 0},
    {"\"labels\"", "\"exits\":[2147483648],\"labels\"", -EBADMSG},
    {"\"labels\"", "\"exits\":[-1],\"labels\"", -EBADMSG},
    {"\"labels\"", "\"exits\":[1.5],\"labels\"", -EBADMSG},
    {"\"labels\"", "\"exits\":[\"1\"],\"labels\"", -EBADMSG},
    {"\"labels\"", "\"exits\":[],\"labels\"", -EBADMSG},
    {"\"labels\"", "\"exits\":[1,2],\"labels\"", -EBADMSG},
    {"\"labels\"", "\"exits\":1,\"labels\"", -EBADMSG},
    {"\"name\":\"b\"", "\"name\":\"exit\"", 0}, /* but not beside exits: see test_exits */
    {",\"narrow\":9", "", 0},
    {"\"narrow\":9", "\"narrow\":63", -EBADMSG},
};

static void test_text_rules(void **state)
{
    (void)state;
    reset();
    for (size_t i = 0; i < sizeof text_rules / sizeof *text_rules; i++) {
        const struct rule *rule = &text_rules[i];
        const char *at = strstr(model_text, rule->from), *reason = NULL;
        char text[sizeof model_text + 256];
        struct network_model *model = NULL;

        if (at == NULL) {
            fail_msg("the model's text has no %s", rule->from);
        }
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - model_text), model_text, rule->to,
                 at + strlen(rule->from));
        int result = load(text, UINT32_MAX, &model, &reason);
        if (result != rule->result || (result < 0) != (reason != NULL)) {
            fail_msg("%s -> %s: %d (%s)", rule->from, rule->to, result, reason ? reason : "");
        }
        network_model_destroy(model);
    }
}

static void expect(int result, const char *what)
{
    struct network_model *model = NULL;
    const char *reason = "accepted";

    if (load(model_text, UINT32_MAX, &model, &reason) != result) {
        fail_msg("%s: %s", what, reason);
    }
    network_model_destroy(model);
    reset();
}

static void test_tensor_rules(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < TENSORS; i++) {
        struct network_model *model = NULL;

        reset();
        assert_int_equal(load(model_text, i, &model, NULL), -EBADMSG);
    }
    reset();
    c1_weight[15] |= 0x10;
    expect(-EBADMSG, "a spare bit of binary weights");
    c2_weight[5] |= 0x04;
    expect(-EBADMSG, "a sign without its nonzero");
    c3_weight[0] = 0x20;
    expect(-EBADMSG, "a bit above the code");
    c3_weight[0] = 0x10;
    expect(-EBADMSG, "negative zero");
    c3_weight[0] = 0;
    expect(0, "zero");
    c4_weight[3] = 0x08;
    expect(-EBADMSG, "negative zero in a half");
    d1_weight[7] = INT8_MIN;
    expect(-EBADMSG, "-128");
    c2_threshold[3] = 20;
    expect(-EBADMSG, "falling thresholds");
    c2_threshold[3] = 2;
    expect(0, "equal thresholds");
    c1_threshold[0] = INT32_MIN;
    c1_threshold[1] = INT32_MAX;
    expect(0, "always and never");
    c3_threshold[4] = 1;
    c3_threshold[5] = 0;
    expect(-EBADMSG, "falling wide thresholds");
    c4_bias[1] = INT32_MAX;
    expect(-EBADMSG, "a bias that leaves 32 bits");
    c4_bias[1] = (1 << 29) - 1;
    expect(-EBADMSG, "sums that leave 32 bits when shifted");
    c4_bias[1] = 1 << 28;
    expect(0, "sums that stay");
    d5_bias[0] = INT64_C(1) << 62;
    expect(-EBADMSG, "a wide bias");
    d5_bias[0] = INT64_C(1) << 39;
    expect(0, "a bias that is narrowed");
    d5_bias[0] = INT64_C(1) << 40;
    expect(-EBADMSG, "a bias that narrowing leaves too large");
    tensors[4].dtype = NETWORK_DTYPE_F32;
    expect(-EBADMSG, "float thresholds");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_exits),
        cmocka_unit_test(test_text_rules),
        cmocka_unit_test(test_tensor_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
