/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Loading, planning and writing when one allocation fails, each in turn: an error, no leak (a
 * sanitizer build tells), nothing touched. The linker sends the library's allocations here
 * (--wrap), cJSON's come by its hooks.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "engine/kernel/kernel.h"
#include "example.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

/* Allocations until one fails; below zero none does. */
static long until_failure = -1;

static bool fails(void)
{
    return until_failure >= 0 && until_failure-- == 0;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

static int load_and_plan(const void *bytes, size_t size)
{
    struct network_model *model = NULL;
    struct network_plan *plan = NULL;
    struct kernel_table kernels;
    const char *reason = NULL;

    kernel_table_init(&kernels, 0);
    int result = network_model_load(bytes, size, &model, &reason);
    if (result < 0) {
        assert_null(model);
        assert_non_null(reason);
        return result;
    }
    result = network_plan_create(model, 0, 1, &kernels, &plan);
    assert_true(result == 0 || plan == NULL);
    network_plan_destroy(plan);
    network_model_destroy(model);
    return result;
}

static int write_model(const struct network_description *description, void **ret_bytes,
                       size_t *ret_size)
{
    void *bytes = NULL;
    int result = network_model_write(description, &bytes, ret_size, NULL);

    assert_true(result == 0 || bytes == NULL);
    *ret_bytes = bytes;
    return result;
}

static void test_each_allocation_fails_once(void **state)
{
    struct example example;
    void *bytes, *again;
    size_t size, again_size;
    long failures = 0;
    int result;

    (void)state;
    example_create(&example, 5, EXAMPLE_S8);
    example.description.provenance = "{\"by\":[1,2]}";
    assert_int_equal(write_model(&example.description, &bytes, &size), 0);
    do {
        until_failure = failures++;
        result = load_and_plan(bytes, size);
        assert_true(result == 0 || result == -ENOMEM || result == -EBADMSG);
    } while (until_failure < 0);
    assert_int_equal(result, 0);
    print_message("%ld allocations to load and plan\n", failures - 1);
    assert_true(failures > 50);

    failures = 0;
    do {
        until_failure = failures++;
        result = write_model(&example.description, &again, &again_size);
        assert_true(result == 0 || result == -ENOMEM || result == -EINVAL || result == -EBADMSG);
        if (result == 0) {
            assert_int_equal(size, again_size);
            assert_memory_equal(bytes, again, size);
        }
        free(again);
    } while (until_failure < 0);
    assert_int_equal(result, 0);
    until_failure = -1;
    free(bytes);
    example_destroy(&example);
}

int main(void)
{
    cJSON_Hooks hooks = {.malloc_fn = __wrap_malloc, .free_fn = free};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_allocation_fails_once),
    };

    cJSON_InitHooks(&hooks);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
