/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The safetensors reader breaks each rule of the format once; the writer's files are read back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/network/safetensors.h"

/* A file in memory of exactly its size, so that a sanitizer sees every step outside. */
struct file {
    uint8_t *bytes;
    size_t size;
};

static struct file file_of(const char *header, size_t header_size, size_t data_size)
{
    struct file file = {malloc(8 + header_size + data_size), 8 + header_size + data_size};

    assert_non_null(file.bytes);
    for (unsigned i = 0; i < 8; i++) {
        file.bytes[i] = (uint8_t)((uint64_t)header_size >> 8 * i);
    }
    memcpy(file.bytes + 8, header, header_size);
    for (size_t i = 0; i < data_size; i++) {
        file.bytes[8 + header_size + i] = (uint8_t)(i * 7 + 1);
    }
    return file;
}

static int read_file(struct file file, struct network_safetensors **ret_file,
                     const char **ret_reason)
{
    int result = network_safetensors_read(file.bytes, file.size, ret_file, ret_reason);

    free(file.bytes);
    return result;
}

#define T(type, shape, begin, end)                                                                 \
    "{\"dtype\":\"" type "\",\"shape\":[" shape "],\"data_offsets\":[" #begin "," #end "]}"

static void test_reads_a_plain_file(void **state)
{
    static const char header[] = "{\"__metadata__\":{\"a\":\"b\",\"c\":\"\"},\"late\":" T(
        "I8", "2,3", 12, 18) ",\"early\":" T("F32", "3", 0,
                                             12) ",\"none\":" T("I64", "5,0", 18,
                                                                18) ",\"one\":" T("U8", "", 18,
                                                                                  19) "}   ";
    struct network_safetensors *file;
    const char *reason;

    (void)state;
    assert_int_equal(read_file(file_of(header, strlen(header), 19), &file, &reason), 0);
    assert_int_equal(network_safetensors_count(file), 4);
    assert_string_equal(network_safetensors_at(file, 0)->name, "early");
    assert_string_equal(network_safetensors_at(file, 1)->name, "late");
    assert_string_equal(network_safetensors_metadata(file, "a"), "b");
    assert_string_equal(network_safetensors_metadata(file, "c"), "");
    assert_null(network_safetensors_metadata(file, "b"));
    assert_null(network_safetensors_find(file, "lat"));

    const struct network_tensor *late = network_safetensors_find(file, "late");
    assert_int_equal(late->dtype, NETWORK_DTYPE_I8);
    assert_int_equal(late->rank, 2);
    assert_int_equal(late->shape[1], 3);
    assert_int_equal(late->bytes, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(((const uint8_t *)late->data)[i], (uint8_t)((12 + i) * 7 + 1));
    }
    assert_int_equal(network_safetensors_find(file, "none")->bytes, 0);
    assert_int_equal(network_safetensors_find(file, "one")->bytes, 1);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal((uintptr_t)network_safetensors_at(file, i)->data % 64, 0);
    }
    network_safetensors_destroy(file);
}

static void test_no_metadata_and_no_tensors(void **state)
{
    struct network_safetensors *file;

    (void)state;
    assert_int_equal(read_file(file_of("{}", 2, 0), &file, NULL), 0);
    assert_int_equal(network_safetensors_count(file), 0);
    assert_null(network_safetensors_metadata(file, "a"));
    network_safetensors_destroy(file);
}

#define DEEP "[[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]"

static const struct {
    const char *header;
    size_t data_size;
} refused[] = {
    {"", 0},
    {" {}", 0},
    {"\xef\xbb\xbf{}", 0},
    {"[]", 0},
    {"null", 0},
    {"{", 0},
    {"{\"a\":1,", 0},
    {"{}x", 0},
    {"{}\n", 0},
    {"{} {}", 0},
    {"{}", 1}, /* data that no tensor covers */
    {"{\"a\xff\":" T("I8", "1", 0, 1) "}", 1},
    {"{\"a\xc0\x80\":" T("I8", "1", 0, 1) "}", 1},
    {"{\"a\xed\xa0\x80\":" T("I8", "1", 0, 1) "}", 1},
    {"{\"a\\u0000\":" T("I8", "1", 0, 1) "}", 1},
    {"{\"a\":" T("I8", "1", 0, 1) ",\"a\":" T("I8", "1", 1, 2) "}", 2},
    {"{\"a\":" T("I8", "1", 0, 1) ",\"\\u0061\":" T("I8", "1", 1, 2) "}", 2},
    {"{\"__metadata__\":{\"k\":\"\",\"k\":\"\"}}", 0},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0},
    {"{\"__metadata__\":[]}", 0},
    {"{\"__metadata__\":{\"k\":1}}", 0},
    {"{\"__metadata__\":{\"k\":{}}}", 0},
    {"{\"__metadata__\":{\"k\":" DEEP "}}", 0},
    {"{\"a\":1}", 0},
    {"{\"\":" T("I8", "1", 0, 1) "}", 1},
    {"{\"a\":{\"dtype\":\"I8\",\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1},
    {"{\"a\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1],\"more\":1}}", 1},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1},
    {"{\"a\":{\"dtype\":\"I8\",\"data_offsets\":[0,1]}}", 1},
    {"{\"a\":{\"dtype\":\"I8\",\"shape\":[1]}}", 1},
    {"{\"a\":{\"Dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1},
    {"{\"a\":" T("F16", "1", 0, 2) "}", 2},
    {"{\"a\":" T("i8", "1", 0, 1) "}", 1},
    {"{\"a\":{\"dtype\":1,\"shape\":[1],\"data_offsets\":[0,1]}}", 1},
    {"{\"a\":{\"dtype\":\"I8\",\"shape\":1,\"data_offsets\":[0,1]}}", 1},
    {"{\"a\":" T("I8", "\"1\"", 0, 1) "}", 1},
    {"{\"a\":" T("I8", "-1,-1", 0, 1) "}", 1},
    {"{\"a\":" T("I8", "1.5", 0, 1) "}", 1},
    {"{\"a\":" T("I8", "1e400", 0, 1) "}", 1},
    {"{\"a\":" T("I8", "1,1,1,1,1,1,1,1,1", 0, 1) "}", 1},
    {"{\"a\":" T("F32", "1", 0, 3) "}", 3},
    {"{\"a\":" T("F32", "1", 0, 8) "}", 8},
    {"{\"a\":" T("I8", "2", 0, 1) "}", 1},
    {"{\"a\":" T("I64", "4294967296,4294967296", 0, 0) "}", 0}, /* 2^67 wraps to 0 */
    {"{\"a\":" T("I8", "4294967296,4294967296", 0, 0) "}", 0},
    {"{\"a\":" T("I8", "1", -1, 0) "}", 0},
    {"{\"a\":" T("I8", "1", 1, 0) "}", 1},
    {"{\"a\":" T("I8", "2", 0, 2) "}", 1}, /* beyond the file */
    {"{\"a\":" T("I8", "1", 0, 1) "}", 2}, /* the file goes on */
    {"{\"a\":" T("I8", "1", 1, 2) "}", 2}, /* starts late */
    {"{\"a\":" T("I8", "1", 0, 1) ",\"b\":" T("I8", "1", 2, 3) "}", 3},
    {"{\"a\":" T("I8", "2", 0, 2) ",\"b\":" T("I8", "2", 1, 3) "}", 3},
    {"{\"a\":" T("I8", "2", 0, 2) ",\"b\":" T("I8", "2", 0, 2) "}", 2},
    {"{\"a\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0]}}", 1},
    {"{\"a\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1,1]}}", 1},
    {"{\"a\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":{\"0\":0,\"1\":1}}}", 1},
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct network_safetensors *file = NULL;
        const char *header = refused[i].header, *reason = NULL;
        int result =
            read_file(file_of(header, strlen(header), refused[i].data_size), &file, &reason);

        if (result != -EBADMSG || file != NULL || reason == NULL) {
            fail_msg("case %zu gave %d: %s", i, result, header);
        }
    }
}

static void test_lengths(void **state)
{
    struct network_safetensors *file = NULL;
    const char *reason = NULL;
    uint8_t bytes[16] = "\2\0\0\0\0\0\0\0{}";

    (void)state;
    assert_int_equal(network_safetensors_read(bytes, 10, &file, &reason), 0);
    network_safetensors_destroy(file);
    file = NULL;
    for (size_t size = 0; size < 10; size++) {
        uint8_t *copy = malloc(size + 1);

        assert_non_null(copy);
        memcpy(copy + 1, bytes, size);
        assert_int_equal(network_safetensors_read(copy + 1, size, &file, &reason), -EBADMSG);
        free(copy);
    }
    memset(bytes, 0xff, 8);
    assert_int_equal(network_safetensors_read(bytes, 10, &file, &reason), -EBADMSG);
    memcpy(bytes, "\3\0\0\0\0\0\0\0{}\0", 11); /* a NUL in the header */
    assert_int_equal(network_safetensors_read(bytes, 11, &file, &reason), -EBADMSG);
    assert_null(file);
}

static void test_limits(void **state)
{
    struct network_safetensors *file = NULL;
    const char *reason = NULL;
    size_t size = NETWORK_HEADER_MAX + 1;
    char *header = malloc(size);

    (void)state;
    assert_non_null(header);
    memset(header, ' ', size);
    memcpy(header, "{}", 2);
    assert_int_equal(read_file(file_of(header, size, 0), &file, &reason), -EFBIG);
    assert_int_equal(read_file(file_of(header, size - 1, 0), &file, &reason), 0);
    network_safetensors_destroy(file);

    /* One tensor too many, and just as many as are allowed. */
    for (uint32_t count = NETWORK_TENSORS_MAX + 1; count >= NETWORK_TENSORS_MAX; count--) {
        size_t at = 0;

        for (uint32_t i = 0; i < count; i++) {
            at +=
                (size_t)sprintf(header + at, "%c\"t%u\":" T("I8", "0", 0, 0), i > 0 ? ',' : '{', i);
        }
        header[at++] = '}';
        file = NULL;
        int result = read_file(file_of(header, at, 0), &file, &reason);
        assert_int_equal(result, count > NETWORK_TENSORS_MAX ? -EFBIG : 0);
        network_safetensors_destroy(file);
    }
    free(header);
}

static void test_write_and_read_back(void **state)
{
    static const float floats[6] = {1, -2.5f, 3, 4e30f, 0, -0.0f};
    static const int8_t codes[3] = {-127, 0, 127};
    const struct network_tensor tensors[] = {
        {.name = "c", .dtype = NETWORK_DTYPE_I8, .rank = 1, .shape = {3}, .data = codes},
        {.name = "f \"q\" \xc3\xa4",
         .dtype = NETWORK_DTYPE_F32,
         .rank = 2,
         .shape = {2, 3},
         .data = floats},
        {.name = "empty", .dtype = NETWORK_DTYPE_I64, .rank = 1, .shape = {0}},
    };
    const struct network_metadata metadata[] = {{"ocellus", "{\"a\": [1, \"\\n\"]}"}, {"x", ""}};
    struct network_safetensors *file;
    void *bytes;
    size_t size;

    (void)state;
    assert_int_equal(network_safetensors_write(tensors, 3, metadata, 2, &bytes, &size), 0);
    assert_int_equal((size - 27) % 8, 0);
    assert_int_equal(network_safetensors_read(bytes, size, &file, NULL), 0);
    free(bytes);
    assert_int_equal(network_safetensors_count(file), 3);
    for (uint32_t i = 0; i < 3; i++) {
        const struct network_tensor *tensor = network_safetensors_find(file, tensors[i].name);

        assert_non_null(tensor);
        assert_int_equal(tensor->dtype, tensors[i].dtype);
        assert_int_equal(tensor->rank, tensors[i].rank);
        assert_memory_equal(tensor->shape, tensors[i].shape, sizeof tensor->shape);
        if (tensors[i].data != NULL) {
            assert_memory_equal(tensor->data, tensors[i].data, tensor->bytes);
        }
    }
    assert_string_equal(network_safetensors_metadata(file, "ocellus"), metadata[0].value);
    network_safetensors_destroy(file);
}

static void test_writer_refusals(void **state)
{
    const struct network_tensor good = {.name = "a", .dtype = NETWORK_DTYPE_I8, .rank = 1};
    struct network_tensor bad[8];
    const struct network_metadata twice[] = {{"k", ""}, {"k", ""}};
    char long_name[300];
    void *bytes = NULL;
    size_t size = 0;

    (void)state;
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    for (size_t i = 0; i < 8; i++) {
        bad[i] = good;
    }
    bad[0].name = "";
    bad[1].name = long_name;
    bad[2].name = "__metadata__";
    bad[3].name = "\xff";
    bad[4].dtype = NETWORK_DTYPE_I64 + 1;
    bad[5].rank = NETWORK_RANK_MAX + 1;
    bad[6].rank = 2;
    bad[6].shape[0] = bad[6].shape[1] = UINT64_C(1) << 36;
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(network_safetensors_write(&bad[i], 1, NULL, 0, &bytes, &size), -EINVAL);
    }
    bad[0] = good;
    bad[1] = good; /* the same name twice */
    assert_int_equal(network_safetensors_write(bad, 2, NULL, 0, &bytes, &size), -EINVAL);
    assert_int_equal(network_safetensors_write(&good, 1, twice, 2, &bytes, &size), -EINVAL);
    assert_null(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_a_plain_file),
        cmocka_unit_test(test_no_metadata_and_no_tensors),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_write_and_read_back),
        cmocka_unit_test(test_writer_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
