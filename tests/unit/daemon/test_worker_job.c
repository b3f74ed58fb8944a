/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Which results the daemon believes, and the sizes of the region. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/worker/job.h"

#define SEQUENCE UINT64_C(0x1234567890)

static const struct job_message asked = {.op = JOB_OP_FRAME, .sequence = SEQUENCE};

static struct job_result *good(void **state)
{
    struct job_result *result = *state;
    *result = (struct job_result){
        .sequence = SEQUENCE,
        .info = {.kind = IMAGE_KIND_JPEG,
                 .orientation = 8,
                 .reduction = 8,
                 .warnings = IMAGE_WARN_CONSTANT | IMAGE_WARN_DAMAGED | IMAGE_WARN_TRUNCATED,
                 .width = 65500,
                 .height = 1,
                 .nominal_white = 1},
        .label_count = 1000,
        .codes_bytes = JOB_CODES_MAX,
    };
    return result;
}

static void test_good(void **state)
{
    struct job_result *result = good(state);
    assert_true(job_result_valid(result, &asked, 1000));
    result->info.kind = IMAGE_KIND_SENSOR;
    assert_false(job_result_valid(result, &asked, 1000)); /* only JPEG is reduced */
    result->info.reduction = 1;
    assert_true(job_result_valid(result, &asked, 1000));
}

#define REFUSED(change)                                                                            \
    do {                                                                                           \
        struct job_result *result = good(state);                                                   \
        result->change;                                                                            \
        assert_false(job_result_valid(result, &asked, 1000));                                      \
    } while (0)

static void test_each_field(void **state)
{
    REFUSED(sequence++);
    REFUSED(label_count = 999);
    REFUSED(label_count = 1001);
    REFUSED(codes_bytes = JOB_CODES_MAX + 1);
    REFUSED(codes_bytes = UINT32_MAX);
    REFUSED(decode_ns = UINT64_MAX);
    REFUSED(gradient_ns = UINT64_MAX);
    REFUSED(network_ns = UINT64_MAX);
    REFUSED(info.kind = IMAGE_KIND_AUTO);
    REFUSED(info.kind = IMAGE_KIND_SENSOR + 1);
    REFUSED(info.orientation = 0);
    REFUSED(info.orientation = 9);
    REFUSED(info.reduction = 0);
    REFUSED(info.reduction = 5);
    REFUSED(info.reduction = 16);
    REFUSED(info.warnings = 8);
    REFUSED(info.width = 0);
    REFUSED(info.width = 65536);
    REFUSED(info.height = 0);
    REFUSED(info.height = UINT32_MAX);
    REFUSED(info.nominal_white = 0);
}

static void test_label_limit(void **state)
{
    struct job_result *result = good(state);
    result->label_count = NETWORK_LABELS_MAX;
    assert_true(job_result_valid(result, &asked, NETWORK_LABELS_MAX));
    result->label_count++;
    assert_false(job_result_valid(result, &asked, NETWORK_LABELS_MAX + 1));
}

static void test_region(void **state)
{
    (void)state;
    assert_true(job_frame_offset() >= sizeof(struct job_result));
    assert_int_equal(job_frame_offset() % 4096, 0);
    assert_true(job_region_bytes(1) >= job_frame_offset() + 1);
    assert_true(job_region_bytes(1000000) >= job_frame_offset() + 1000000);
    assert_int_equal(job_region_bytes(SIZE_MAX), 0);
    assert_int_equal(job_region_bytes(SIZE_MAX - job_frame_offset()), 0);
}

static int make_result(void **state)
{
    *state = malloc(sizeof(struct job_result));
    return *state == NULL;
}

static int free_result(void **state)
{
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_each_field),
        cmocka_unit_test(test_label_limit),
        cmocka_unit_test(test_region),
    };
    return cmocka_run_group_tests(tests, make_result, free_result);
}
