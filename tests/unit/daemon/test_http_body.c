/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The text of replies, and that there is none where memory ran out for the result. */
#include "daemon/http_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

static const struct http_response json = {.content_type = HTTP_BODY_JSON_TYPE};
static const struct http_response plain = {.content_type = "text/plain"};

static void test_text_of_a_result(void **state)
{
    (void)state;
    cJSON *object = cJSON_CreateObject();
    assert_non_null(cJSON_AddTrueToObject(object, "ready"));
    char *text = http_body_print(&json, object);
    assert_string_equal(text, "{\"ready\":true}");
    free(text);

    text = http_body_print(&plain, cJSON_CreateString("a \"quoted\" line\n"));
    assert_string_equal(text, "a \"quoted\" line\n");
    free(text);
}

static void test_no_memory_for_the_result(void **state)
{
    (void)state;
    assert_null(http_body_print(&json, NULL));
    assert_null(http_body_print(&plain, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_of_a_result),
        cmocka_unit_test(test_no_memory_for_the_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
