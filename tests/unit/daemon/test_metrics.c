/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Histograms, the age of flash devices, and text that grows. The whole page is tested end to end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/admission.h"
#include "daemon/method.h"
#include "daemon/metrics.h"
#include "daemon/text.h"

static void count_total(struct metrics *metrics, uint64_t ns)
{
    static const struct config config;
    struct setup setup = {.config = (struct config *)&config};
    const struct frame frame = {
        .point = "", .point_index = 1, .setup = &setup, .settings = &config.other};
    const struct proto_result result = {.times = {.total = ns}};
    metrics_count_frame(metrics, &frame, &result);
}

static void test_buckets_are_cumulative_and_closed_above(void **state)
{
    (void)state;
    struct metrics metrics = {.lowered = 0};
    struct text text = {.bytes = NULL};
    count_total(&metrics, 100000);      /* the bound belongs to its bucket */
    count_total(&metrics, 100001);      /* to the next */
    count_total(&metrics, 9000000000u); /* above all */
    metrics_put_histogram(&text, "h", "stage=\"total\"", &metrics.stages[METRICS_TOTAL]);
    char *page = text_finish(&text);
    assert_non_null(page);
    assert_non_null(strstr(page, "h_bucket{stage=\"total\",le=\"0.0001\"} 1\n"));
    assert_non_null(strstr(page, "h_bucket{stage=\"total\",le=\"0.00025\"} 2\n"));
    assert_non_null(strstr(page, "h_bucket{stage=\"total\",le=\"2.5\"} 2\n"));
    assert_non_null(strstr(page, "h_bucket{stage=\"total\",le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(page, "h_sum{stage=\"total\"} 9.000200001\n"));
    assert_non_null(strstr(page, "h_count{stage=\"total\"} 3\n"));
    free(page);
    assert_int_equal(metrics.stages[METRICS_QUEUE].counts[0], 3);
    assert_int_equal(metrics.lowered, 0); /* a point that was asked for is no lowering */
}

static void test_requests_are_counted_where_they_belong(void **state)
{
    (void)state;
    struct metrics metrics = {.lowered = 0};
    metrics_count_request(&metrics, METRICS_HTTP, method_at(1), PROTO_OK);
    metrics_count_request(&metrics, METRICS_VARLINK, NULL, PROTO_METHOD_NOT_FOUND);
    assert_int_equal(metrics.requests[METRICS_HTTP][1][PROTO_OK], 1);
    assert_int_equal(metrics.requests[METRICS_VARLINK][METRICS_METHODS - 1][PROTO_METHOD_NOT_FOUND],
                     1);
}

static void write_life(const char *root, const char *device, const char *content)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", root, device);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/%s/device", root, device);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/%s/device/life_time", root, device);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
}

static void test_the_age_of_flash(void **state)
{
    (void)state;
    char root[] = "/tmp/ocellus-flash-XXXXXX", command[64];
    assert_non_null(mkdtemp(root));
    write_life(root, "mmcblk0", "0x02 0x0b\n");
    write_life(root, "mmcblk0boot0", "0x02 0x0b\n"); /* the same device */
    write_life(root, "mmcblk1", "nonsense\n");
    write_life(root, "mmcblk2", "0x0c 0x01\n"); /* no such value */
    write_life(root, "sda", "0x01 0x01\n");
    struct text text = {.bytes = NULL};
    metrics_put_flash(&text, root);
    char *page = text_finish(&text);
    assert_non_null(page);
    const char *lines = strstr(page, "gauge\n");
    assert_non_null(lines);
    assert_string_equal(lines + 6,
                        "ocellus_emmc_life_used_ratio{device=\"mmcblk0\",type=\"a\"} 0.2\n"
                        "ocellus_emmc_life_used_ratio{device=\"mmcblk0\",type=\"b\"} 1.1\n");
    free(page);
    snprintf(command, sizeof(command), "rm -r %s", root);
    assert_int_equal(system(command), 0);
    metrics_put_flash(&text, root); /* is gone */
    assert_null(text_finish(&text));
}

static void test_text_is_bounded(void **state)
{
    (void)state;
    struct text text = {.bytes = NULL};
    for (size_t i = 0; i < TEXT_BYTES_MAX / 10 - 1; i++) {
        text_add(&text, "%s%d", "12345678", 90);
    }
    assert_false(text.failed);
    assert_int_equal(text.length, TEXT_BYTES_MAX / 10 * 10 - 10);
    assert_string_equal(text.bytes + text.length - 10, "1234567890");
    text_add(&text, "%s", "12345678901234567");
    assert_true(text.failed);
    assert_null(text_finish(&text));
}

static void test_what_counting_costs(void **state)
{
    (void)state;
    struct metrics metrics = {.lowered = 0};
    struct timespec start, end;
    const unsigned count = 200000;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
    for (unsigned i = 0; i < count; i++) {
        count_total(&metrics, i * 1000u);
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    const double ns =
        ((double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec)) / count;
    print_message("%.0f ns a frame\n", ns);
    assert_true(ns < 20000); /* sanitizers included: far below what a frame costs */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets_are_cumulative_and_closed_above),
        cmocka_unit_test(test_requests_are_counted_where_they_belong),
        cmocka_unit_test(test_the_age_of_flash),
        cmocka_unit_test(test_text_is_bounded),
        cmocka_unit_test(test_what_counting_costs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
