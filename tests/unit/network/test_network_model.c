/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The loader: one model that it accepts, and what happens when each rule of the schema is broken
 * once, in the text or in the tensors. The writer: what it writes is what it was given.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/network/safetensors.h"
#include "example.h"

static const char model_text[] =
    "{\"format\":1,\"name\":\"tiny-1.0\","
    "\"input\":{\"source\":\"log-gradient\",\"width\":4,\"height\":4,\"planes\":\"rgb\","
    "\"fit\":\"cover\",\"coding\":\"ternary\",\"merge\":\"all\",\"ratio\":[[9,8]],\"floor\":64},"
    "\"labels\":[\"no\",\"yes\"],\"layers\":["
    "{\"op\":\"conv\",\"name\":\"conv1\",\"weights\":\"s8\",\"out\":2,\"kernel\":[3,3],"
    "\"stride\":[1,1],\"pad\":[1,1],\"activation\":\"relu\",\"output\":\"u7\",\"preshift\":3,"
    "\"shift\":5},"
    "{\"op\":\"maxpool\",\"kernel\":[2,2],\"stride\":[2,2]},"
    "{\"op\":\"dense\",\"name\":\"fc\",\"weights\":\"f32\",\"out\":2,\"activation\":\"none\","
    "\"output\":\"scores\"}],"
    "\"scan\":{\"label\":\"yes\",\"slope\":1.25,\"offset\":-3.5},"
    "\"provenance\":{\"by\":[1,\"\\u00e4\"]}}";

static int8_t conv_weight[2 * 9 * 6];
static int32_t conv_bias[2], conv_mult[2];
static float fc_weight[2 * 8], fc_bias[2];

static struct network_tensor tensors[6];

static void reset_tensors(void)
{
    memset(conv_weight, 1, sizeof conv_weight);
    memset(conv_bias, 0, sizeof conv_bias);
    conv_mult[0] = conv_mult[1] = 1 << 30;
    memset(fc_weight, 0, sizeof fc_weight);
    memset(fc_bias, 0, sizeof fc_bias);
    const struct network_tensor fresh[] = {
        {"conv1.weight", NETWORK_DTYPE_I8, 4, {2, 3, 3, 6}, 0, conv_weight},
        {"conv1.bias", NETWORK_DTYPE_I32, 1, {2}, 0, conv_bias},
        {"conv1.mult", NETWORK_DTYPE_I32, 1, {2}, 0, conv_mult},
        {"fc.weight", NETWORK_DTYPE_F32, 2, {2, 8}, 0, fc_weight},
        {"fc.bias", NETWORK_DTYPE_F32, 1, {2}, 0, fc_bias},
        {"extra", NETWORK_DTYPE_F32, 1, {0}, 0, NULL},
    };
    memcpy(tensors, fresh, sizeof fresh);
}

static int load_with(const char *text, uint32_t tensor_count, struct network_model **ret_model,
                     const char **ret_reason)
{
    const struct network_metadata metadata[] = {{"format", "pt"}, {"ocellus", text}};
    void *bytes;
    size_t size;

    assert_int_equal(network_safetensors_write(tensors, tensor_count, metadata, 2, &bytes, &size),
                     0);
    int result = network_model_load(bytes, size, ret_model, ret_reason);
    if (result == 0) {
        assert_string_equal(network_model_id(*ret_model), "");
        network_model_identify(*ret_model, bytes, size);
    }
    free(bytes);
    return result;
}

/* The model's text with the first `from` replaced. */
static char *edited(const char *from, const char *to)
{
    const char *at = strstr(model_text, from);
    char *text = malloc(sizeof model_text + strlen(to));

    assert_non_null(text);
    if (at == NULL) {
        fail_msg("the model's text has no %s", from);
    }
    sprintf(text, "%.*s%s%s", (int)(at - model_text), model_text, to, at + strlen(from));
    return text;
}

static void test_accepts(void **state)
{
    struct network_model *model;
    const char *reason = "";

    (void)state;
    reset_tensors();
    if (load_with(model_text, 5, &model, &reason) != 0) {
        fail_msg("refused: %s", reason);
    }
    assert_string_equal(network_model_name(model), "tiny-1.0");
    assert_int_equal(network_model_labels(model), 2);
    assert_string_equal(network_model_label(model, 1), "yes");
    const struct network_input *input = network_model_input(model, 0);
    assert_int_equal(input->target.width, 4);
    assert_int_equal(input->target.channels, 3);
    assert_int_equal(input->front.ratio[0].p, 9);
    assert_int_equal(input->front.floor, 64);
    const struct network_description *description = network_model_describe(model);
    assert_int_equal(description->points[0].layer_count, 3);
    assert_int_equal(description->points[0].layers[0].preshift, 3);
    assert_string_equal(description->provenance, "{\"by\":[1,\"\xc3\xa4\"]}");
    const struct network_scan_meaning *scan = network_model_scan(model);
    assert_non_null(scan);
    assert_int_equal(scan->label, 1);
    assert_true(scan->slope == 1.25 && scan->offset == -3.5);
    network_model_destroy(model);
    network_model_destroy(NULL);
}

static void test_id_is_sha256_of_the_file(void **state)
{
    struct network_model *a, *b;
    char id[NETWORK_ID_BYTES];

    (void)state;
    reset_tensors();
    assert_int_equal(load_with(model_text, 5, &a, NULL), 0);
    assert_int_equal(load_with(model_text, 5, &b, NULL), 0);
    assert_string_equal(network_model_id(a), network_model_id(b));
    strcpy(id, network_model_id(a));
    assert_int_equal(strlen(id), 64);
    assert_int_equal(strspn(id, "0123456789abcdef"), 64);
    network_model_destroy(a);
    network_model_destroy(b);
    conv_bias[0] = 1;
    assert_int_equal(load_with(model_text, 5, &a, NULL), 0);
    assert_string_not_equal(network_model_id(a), id);
    network_model_destroy(a);
}

#define LONG_32 "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"

static const struct {
    const char *from, *to;
    int result;
} edits[] = {
    /* accepted variants, so that the refusals below are known to be about what they change */
    {"\"format\":1", "\"format\":1.0", 0},
    {"tiny-1.0", LONG_32 LONG_32, 0},
    {"conv1\",\"weights", "conv1\",\"pad_code\":0,\"weights", 0},
    {",\"provenance\":{\"by\":[1,\"\\u00e4\"]}", "", 0},
    {"\"no\"", "\"\\u00e4 \\ud83d\\ude00\"", 0},
    {"[[9,8]]", "[[4096,4095]]", 0},
    {"\"cover\"", "\"stretch\"", 0},
    {"\"preshift\":3", "\"preshift\":0", 0},
    {"\"shift\":5", "\"shift\":31", 0},
    /* the model */
    {"\"format\":1,", "", -EBADMSG},
    {"\"format\":1", "\"format\":2", -EBADMSG},
    {"\"format\":1", "\"format\":\"1\"", -EBADMSG},
    {"\"format\":1", "\"format\":1,\"format\":1", -EBADMSG},
    {"\"format\":1", "\"format\":1,\"more\":1", -EBADMSG},
    {"\"format\":1", "\"Format\":1", -EBADMSG},
    {"\"tiny-1.0\"", "1", -EBADMSG},
    {"tiny-1.0", "", -EBADMSG},
    {"tiny-1.0", "a b", -EBADMSG},
    {"tiny-1.0", "\\u00e4", -EBADMSG},
    {"tiny-1.0", LONG_32 LONG_32 "n", -EBADMSG},
    {"\"provenance\":{\"by\":[1,\"\\u00e4\"]}", "\"provenance\":[]", -EBADMSG},
    {"\"by\":", "\"by\":0,\"by\":", -EBADMSG},
    {"}}", "}}x", -EBADMSG},
    {"}}", "}", -EBADMSG},
    /* what scans mean */
    {"\"scan\":{\"label\":\"yes\",\"slope\":1.25,\"offset\":-3.5},", "", 0},
    {"\"slope\":1.25", "\"slope\":1000", 0},
    {"\"offset\":-3.5", "\"offset\":1000", 0},
    {"\"scan\":{", "\"scan\":{\"more\":1,", -EBADMSG},
    {"\"scan\":{\"label\":\"yes\",\"slope\":1.25,\"offset\":-3.5}", "\"scan\":1", -EBADMSG},
    {"\"label\":\"yes\"", "\"label\":\"perhaps\"", -EBADMSG},
    {"\"label\":\"yes\"", "\"label\":1", -EBADMSG},
    {"\"slope\":1.25,", "", -EBADMSG},
    {"\"slope\":1.25", "\"slope\":0", -EBADMSG},
    {"\"slope\":1.25", "\"slope\":-1", -EBADMSG},
    {"\"slope\":1.25", "\"slope\":1001", -EBADMSG},
    {"\"slope\":1.25", "\"slope\":1e999", -EBADMSG},
    {",\"offset\":-3.5", "", -EBADMSG},
    {"\"offset\":-3.5", "\"offset\":\"0\"", -EBADMSG},
    {"\"offset\":-3.5", "\"offset\":-1001", -EBADMSG},
    /* the input */
    {"\"input\":{", "\"input\":{\"more\":1,", -EBADMSG},
    {"log-gradient", "log", -EBADMSG},
    {"\"log-gradient\"", "\"srgb\"", -EBADMSG},
    {"\"width\":4", "\"width\":0", -EBADMSG},
    {"\"width\":4", "\"width\":4097", -EBADMSG},
    {"\"width\":4", "\"width\":4.5", -EBADMSG},
    {"\"width\":4", "\"width\":6", -EBADMSG}, /* the dense layer no longer fits */
    {"\"height\":4,", "", -EBADMSG},
    {"\"rgb\"", "\"RGB\"", -EBADMSG},
    {"\"rgb\"", "\"grey\"", -EBADMSG}, /* the weights no longer fit */
    {"\"cover\"", "\"fill\"", -EBADMSG},
    {"\"ternary\"", "\"u7\"", -EBADMSG},
    {"\"ternary\"", "\"f32\"", -EBADMSG},
    {"\"ternary\"", "\"seven\"", -EBADMSG},
    {"\"merge\":\"all\",", "", -EBADMSG},
    {"\"merge\":\"all\"", "\"merge\":\"best\"", -EBADMSG},
    {"\"ratio\":[[9,8]],", "", -EBADMSG},
    {"[[9,8]]", "[[8,9]]", -EBADMSG},
    {"[[9,8]]", "[[4097,1]]", -EBADMSG},
    {"[[9,8]]", "[[8,8]]", -EBADMSG},
    {"\"ternary\",\"merge\":\"all\",\"ratio\":[[9,8]]",
     "\"seven\",\"merge\":\"all\",\"ratio\":[[9,8],[3,2],[3,1]]", 0},
    {"\"ternary\",\"merge\":\"all\",\"ratio\":[[9,8]]",
     "\"seven\",\"merge\":\"all\",\"ratio\":[[9,8],[3,1],[3,2]]", -EBADMSG},
    {"\"ternary\",\"merge\":\"all\",\"ratio\":[[9,8]]",
     "\"seven\",\"merge\":\"all\",\"ratio\":[[9,8],[18,16],[3,1]]", -EBADMSG},
    {"[[9,8]]", "[[9,8],[9,7]]", -EBADMSG},
    {"[[9,8]]", "[9,8]", -EBADMSG},
    {"[[9,8]]", "[[9,8,7]]", -EBADMSG},
    {",\"floor\":64", "", -EBADMSG},
    {"\"floor\":64", "\"floor\":0", -EBADMSG},
    {"\"floor\":64", "\"floor\":65536", -EBADMSG},
    /* the labels */
    {"[\"no\",\"yes\"]", "[]", -EBADMSG},
    {"[\"no\",\"yes\"]", "[\"no\"]", -EBADMSG},
    {"[\"no\",\"yes\"]", "[\"no\",\"yes\",\"maybe\"]", -EBADMSG},
    {"[\"no\",\"yes\"]", "{\"no\":1,\"yes\":2}", -EBADMSG},
    {"\"no\"", "\"yes\"", -EBADMSG},
    {"\"no\"", "\"\"", -EBADMSG},
    {"\"no\"", "1", -EBADMSG},
    {"\"no\"", "\"\\n\"", -EBADMSG},
    {"\"no\"", "\"\\u007f\"", -EBADMSG},
    {"\"no\"", "\"\\u0085\"", -EBADMSG},
    {"\"no\"", "\"" LONG_32 LONG_32 "\"", -EBADMSG},
    /* the layers */
    {"\"op\":\"conv\"", "\"op\":\"conv3d\"", -EBADMSG},
    {"\"op\":\"conv\",", "", -EBADMSG},
    {"\"op\":\"conv\"", "\"op\":\"conv\",\"dilation\":[1,1]", -EBADMSG},
    {"\"op\":\"maxpool\"", "\"op\":\"maxpool\",\"pad\":[0,0]", -EBADMSG},
    {"\"op\":\"maxpool\"", "\"op\":\"globalavgpool\"", -EBADMSG},
    {"\"op\":\"dense\"", "\"op\":\"dense\",\"kernel\":[1,1]", -EBADMSG},
    {"\"op\":\"dense\"", "\"op\":\"dense\",\"shift\":1", -EBADMSG}, /* float layers have none */
    {"\"name\":\"conv1\",", "", -EBADMSG},
    {"conv1", "Conv1", -EBADMSG},
    {"conv1", "", -EBADMSG},
    {"conv1", LONG_32 "n", -EBADMSG},
    {"\"fc\"", "\"conv1\"", -EBADMSG},
    {"\"fc\"", "\"fc2\"", -EBADMSG},
    {"\"s8\"", "\"s4\"", -EBADMSG},
    {"\"s8\"", "\"f32\"", -EBADMSG},
    {"\"out\":2", "\"out\":0", -EBADMSG},
    {"\"out\":2", "\"out\":3", -EBADMSG},
    {"\"out\":2", "\"out\":4097", -EBADMSG},
    {"\"kernel\":[3,3]", "\"kernel\":[3]", -EBADMSG},
    {"\"kernel\":[3,3]", "\"kernel\":3", -EBADMSG},
    {"\"kernel\":[3,3]", "\"kernel\":[3,0]", -EBADMSG},
    {"\"kernel\":[3,3]", "\"kernel\":[32,3]", -EBADMSG},
    {"\"kernel\":[3,3]", "\"kernel\":[7,7]", -EBADMSG}, /* larger than the input */
    {"\"stride\":[1,1]", "\"stride\":[0,1]", -EBADMSG},
    {"\"stride\":[1,1],", "", -EBADMSG},
    {"\"pad\":[1,1],", "", -EBADMSG},
    {"\"pad\":[1,1]", "\"pad\":[-1,1]", -EBADMSG},
    {"\"pad\":[1,1]", "\"pad\":[1,3]", -EBADMSG},
    {"\"pad\":[1,1]", "\"pad\":[1,1],\"pad_code\":1", -EBADMSG}, /* zero is 0 in log gradients */
    {"\"pad\":[1,1]", "\"pad\":[1,1],\"pad_code\":128", -EBADMSG},
    {"\"relu\"", "\"none\"", -EBADMSG},
    {"\"relu\"", "\"gelu\"", -EBADMSG},
    {"\"u7\"", "\"scores\"", -EBADMSG},
    {"\"u7\"", "\"f32\"", -EBADMSG},
    {"\"preshift\":3,", "", -EBADMSG},
    {"\"preshift\":3", "\"preshift\":31", -EBADMSG},
    {"\"preshift\":3", "\"preshift\":-1", -EBADMSG},
    {"\"shift\":5", "\"shift\":0", -EBADMSG},
    {"\"shift\":5", "\"shift\":32", -EBADMSG},
    {"\"preshift\":3", "\"preshift\":26", -EBADMSG}, /* 54 << 26 is above 2^31 */
    {"\"preshift\":3", "\"preshift\":25", 0},
    {"\"kernel\":[2,2]", "\"kernel\":[5,2]", -EBADMSG},
    {"\"kernel\":[2,2]", "\"kernel\":[65536,2]", -EBADMSG},
    {"\"activation\":\"none\"", "\"activation\":\"relu\"", -EBADMSG},
    {"\"scores\"", "\"f32\"", -EBADMSG},
};

static void test_text_rules(void **state)
{
    (void)state;
    reset_tensors();
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        struct network_model *model = NULL;
        const char *reason = NULL;
        char *text = edited(edits[i].from, edits[i].to);
        int result = load_with(text, 5, &model, &reason);

        if (result != edits[i].result || (result < 0) != (model == NULL) ||
            (result < 0 && reason == NULL)) {
            fail_msg("%s -> %s gave %d: %s", edits[i].from, edits[i].to, result, reason);
        }
        network_model_destroy(model);
        free(text);
    }
}

static void expect_refused(const char *text, uint32_t tensor_count, int error)
{
    struct network_model *model = NULL;
    const char *reason = NULL;

    assert_int_equal(load_with(text, tensor_count, &model, &reason), error);
    assert_null(model);
    assert_non_null(reason);
    reset_tensors();
}

static void test_tensor_rules(void **state)
{
    struct network_model *model;

    (void)state;
    reset_tensors();
    expect_refused(model_text, 6, -EBADMSG); /* one that no layer knows */
    for (uint32_t i = 0; i < 5; i++) {
        tensors[i].name = "other";
        expect_refused(model_text, 5, -EBADMSG);
        tensors[i].dtype =
            tensors[i].dtype == NETWORK_DTYPE_I8 ? NETWORK_DTYPE_U8 : NETWORK_DTYPE_U32;
        expect_refused(model_text, 5, -EBADMSG);
        tensors[i].shape[0] = 1;
        expect_refused(model_text, 5, -EBADMSG);
        tensors[i].rank++;
        tensors[i].shape[tensors[i].rank - 1] = 1;
        expect_refused(model_text, 5, -EBADMSG);
    }
    tensors[0].shape[1] = 9; /* as many weights in another shape */
    tensors[0].shape[2] = 1;
    expect_refused(model_text, 5, -EBADMSG);
    conv_weight[107] = INT8_MIN;
    expect_refused(model_text, 5, -EBADMSG);
    fc_weight[15] = NAN;
    expect_refused(model_text, 5, -EBADMSG);
    fc_bias[1] = -INFINITY;
    expect_refused(model_text, 5, -EBADMSG);
    /* Sums of 54 and the bias, shifted by 3, against 2^31. */
    conv_bias[1] = (1 << 28) - 54;
    expect_refused(model_text, 5, -EBADMSG);
    conv_bias[1] = -(1 << 28) + 54;
    expect_refused(model_text, 5, -EBADMSG);
    conv_bias[0] = INT32_MIN;
    expect_refused(model_text, 5, -EBADMSG);
    conv_bias[1] = -(1 << 28) + 55;
    assert_int_equal(load_with(model_text, 5, &model, NULL), 0);
    network_model_destroy(model);
    /* Without preshift the kernel's own sum, three times the weights, is what counts. */
    char *text = edited("\"preshift\":3", "\"preshift\":0");
    reset_tensors();
    conv_bias[1] = INT32_MAX - 3 * 54;
    assert_int_equal(load_with(text, 5, &model, NULL), 0);
    network_model_destroy(model);
    conv_bias[1]++;
    expect_refused(text, 5, -EBADMSG);
    free(text);
}

static void test_without_metadata(void **state)
{
    struct network_model *model = NULL;
    const char *reason = NULL;
    void *bytes;
    size_t size;

    (void)state;
    assert_int_equal(network_safetensors_write(NULL, 0, NULL, 0, &bytes, &size), 0);
    assert_int_equal(network_model_load(bytes, size, &model, &reason), -EBADMSG);
    assert_non_null(reason);
    free(bytes);
    assert_int_equal(network_model_load("", 0, &model, NULL), -EBADMSG);
    assert_int_equal(network_model_load("", (size_t)NETWORK_FILE_MAX + 1, &model, &reason), -EFBIG);
    assert_null(model);
}

/* The model's text with `count` labels and "yes". */
static char *with_labels(unsigned count)
{
    char *list = malloc(count * 16 + 1), *to = list;

    assert_non_null(list);
    for (unsigned i = 0; i < count; i++) {
        to += sprintf(to, "%s\"l%u\"", i > 0 ? "," : "", i);
    }
    char *text = edited("\"no\"", list);
    free(list);
    return text;
}

static void test_limits(void **state)
{
    char *text = with_labels(NETWORK_LABELS_MAX - 1);

    (void)state;
    reset_tensors();
    expect_refused(text, 5, -EBADMSG); /* only too many for the layer */
    free(text);
    text = with_labels(NETWORK_LABELS_MAX);
    expect_refused(text, 5, -EFBIG);
    free(text);
    static const char pool[] = "\"layers\":[";
    char many[sizeof pool + 64 * 24] = "\"layers\":[";
    for (int i = 0; i < 62; i++) {
        strcat(many, "{\"op\":\"globalavgpool\"},");
    }
    text = edited(pool, many);
    expect_refused(text, 5, -EFBIG);
    free(text);
}

/* Sizes that no 4x4 model reaches. */
static void test_shape_limits(void **state)
{
    const struct network_shape large = {4096, 4096, 4}, larger = {4096, 4096, 5};
    struct network_layer pool = {.op = NETWORK_OP_MAXPOOL, .kernel = {1, 1}, .stride = {1, 1}};
    struct network_layer whole = {.op = NETWORK_OP_GLOBALAVGPOOL};
    struct network_layer conv = {
        .op = NETWORK_OP_CONV, .kernel = {3, 3}, .stride = {1, 1}, .out = 4};
    struct network_shape out = {7, 7, 7};
    const char *reason = NULL;

    (void)state;
    assert_int_equal(network_layer_shape(&pool, large, &out, NULL), 0);
    assert_memory_equal(&out, &large, sizeof out);
    assert_int_equal(network_layer_shape(&pool, larger, &out, &reason), -EFBIG);
    assert_non_null(reason);
    assert_int_equal(network_layer_shape(&whole, large, &out, NULL), -EFBIG);
    assert_int_equal(network_layer_shape(&conv, large, &out, NULL), 0);
    assert_int_equal(out.width, 4094);
    conv.pad[0] = 1; /* the border makes it too large */
    assert_int_equal(network_layer_shape(&conv, large, &out, NULL), -EFBIG);
    conv.pad[0] = 0;
    conv.out = 5;
    assert_int_equal(network_layer_shape(&conv, large, &out, NULL), -EFBIG);
    pool.kernel[0] = pool.kernel[1] = 1025;
    assert_int_equal(network_layer_shape(&pool, large, &out, NULL), -EFBIG);
    pool.stride[0] = 0;
    assert_int_equal(network_layer_shape(&pool, large, &out, NULL), -EBADMSG);
}

static void compare_layers(const struct network_point *a, const struct network_point *b)
{
    struct network_shape shape = network_input_shape(&a->input);

    for (uint32_t i = 0; i < a->layer_count; i++) {
        struct network_layer x = a->layers[i], y = b->layers[i];
        size_t count = x.op == NETWORK_OP_DENSE
                           ? (size_t)shape.height * shape.width * shape.channels
                           : (size_t)x.kernel[0] * x.kernel[1] * shape.channels;

        if (x.op >= NETWORK_OP_MAXPOOL) { /* it has the coding of what it reads */
            x.output = y.output;
        }
        if (x.name != NULL) {
            assert_string_equal(x.name, y.name);
        }
        if (x.weight_s8 != NULL) {
            assert_memory_equal(x.weight_s8, y.weight_s8, count * x.out);
            assert_memory_equal(x.bias_s32, y.bias_s32, 4 * x.out);
            assert_memory_equal(x.mult, y.mult, 4 * x.out);
        }
        if (x.weight_f32 != NULL) {
            assert_memory_equal(x.weight_f32, y.weight_f32, 4 * count * x.out);
            assert_memory_equal(x.bias_f32, y.bias_f32, 4 * x.out);
        }
        assert_memory_equal(&x, &y, offsetof(struct network_layer, name));
        assert_int_equal(network_layer_shape(&x, shape, &shape, NULL), 0);
    }
}

static void test_writer_round_trip(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 90; seed++) {
        struct example example;
        struct network_model *model;
        void *bytes, *again;
        size_t size, again_size;

        example_create(&example, seed, (enum example_kind)(seed % 3));
        struct network_scan_meaning scan = {seed % example.description.label_count, 0.1, -1 / 3.0};
        example.description.scan = seed % 4 > 1 ? &scan : NULL;
        example.description.provenance = seed % 2 ? "{\"seed\":\"\xc3\xa4\\n\"}" : NULL;
        assert_int_equal(network_model_write(&example.description, &bytes, &size, NULL), 0);
        assert_int_equal(network_model_load(bytes, size, &model, NULL), 0);
        const struct network_description *read = network_model_describe(model);
        assert_memory_equal(&read->points[0].input, &example.point.input,
                            sizeof example.point.input);
        assert_int_equal(read->points[0].layer_count, example.point.layer_count);
        assert_int_equal(gradient_spec_check(&read->points[0].input.front), 0);
        compare_layers(&example.point, &read->points[0]);
        assert_int_equal(network_model_write(read, &again, &again_size, NULL), 0);
        assert_int_equal(size, again_size);
        assert_memory_equal(bytes, again, size);
        free(bytes);
        free(again);
        network_model_destroy(model);
        example_destroy(&example);
    }
}

static void test_writer_refuses(void **state)
{
    struct example example;
    const char *reason = NULL;
    void *bytes = NULL;
    size_t size = 0;

    (void)state;
    example_create(&example, 2, EXAMPLE_S8);
    example.description.name = "no spaces";
    assert_int_equal(network_model_write(&example.description, &bytes, &size, &reason), -EBADMSG);
    assert_non_null(reason);
    example.description.name = "fine";
    example.description.provenance = "[1]";
    assert_int_equal(network_model_write(&example.description, &bytes, &size, &reason), -EBADMSG);
    example.description.provenance = "{";
    assert_int_equal(network_model_write(&example.description, &bytes, &size, &reason), -EINVAL);
    example.description.provenance = NULL;
    struct network_scan_meaning scan = {example.description.label_count, 1, 0};
    example.description.scan = &scan;
    assert_int_equal(network_model_write(&example.description, &bytes, &size, &reason), -EINVAL);
    example.description.scan = NULL;
    example.layers[0].op = NETWORK_OP_GLOBALAVGPOOL + 1;
    assert_true(network_model_write(&example.description, &bytes, &size, &reason) < 0);
    example.point.layer_count = NETWORK_LAYERS_MAX + 1;
    assert_int_equal(network_model_write(&example.description, &bytes, &size, &reason), -EINVAL);
    assert_null(bytes);
    example_destroy(&example);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),          cmocka_unit_test(test_id_is_sha256_of_the_file),
        cmocka_unit_test(test_text_rules),       cmocka_unit_test(test_tensor_rules),
        cmocka_unit_test(test_without_metadata), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_shape_limits),     cmocka_unit_test(test_writer_round_trip),
        cmocka_unit_test(test_writer_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
