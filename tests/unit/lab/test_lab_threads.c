/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The parallel loop calls every index once, with any number of threads and loops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/lab/threads.h"

#define COUNT_MAX 1000u

static void count_call(void *argument, uint32_t index)
{
    atomic_uint *calls = argument;
    atomic_fetch_add(&calls[index], 1);
}

static void test_every_index_once(void **state)
{
    (void)state;
    static const uint32_t counts[] = {0, 1, 2, 16, COUNT_MAX};
    for (uint32_t n = 1; n <= 4; n++) {
        struct lab_threads *threads;
        assert_int_equal(lab_threads_create(n, &threads), 0);
        for (uint32_t loop = 0; loop < 200; loop++) {
            uint32_t count = counts[loop % (sizeof(counts) / sizeof(counts[0]))];
            atomic_uint calls[COUNT_MAX + 1] = {0};
            lab_threads_run(threads, count, count_call, calls);
            for (uint32_t i = 0; i <= COUNT_MAX; i++) {
                assert_int_equal(calls[i], i < count);
            }
        }
        lab_threads_destroy(threads);
    }
    lab_threads_destroy(NULL);
}

/* Slower the later the index, so that the caller's own share is done first. */
static void count_late(void *argument, uint32_t index)
{
    usleep(index * 2000);
    count_call(argument, index);
}

static void test_waits_for_the_slowest(void **state)
{
    (void)state;
    struct lab_threads *threads;
    assert_int_equal(lab_threads_create(4, &threads), 0);
    for (uint32_t loop = 0; loop < 20; loop++) {
        atomic_uint calls[4] = {0};
        lab_threads_run(threads, 4, count_late, calls);
        for (uint32_t i = 0; i < 4; i++) {
            assert_int_equal(calls[i], 1);
        }
    }
    lab_threads_destroy(threads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_index_once),
                                       cmocka_unit_test(test_waits_for_the_slowest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
