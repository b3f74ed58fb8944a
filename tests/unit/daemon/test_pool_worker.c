/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The pool with the real, sandboxed worker: frames by every way, errors, models, memory given back.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/weights.h"
#include "daemon/worker/builtin.h"
#include "daemon/worker/sandbox.h"
#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "pool_fixture.h"
#include "tiny_model.h"

/* A PGM of 3 MiB. */
#define LARGE_HEAD "P5 2048 1536 255\n"
#define LARGE      (sizeof(LARGE_HEAD) - 1 + (size_t)2048 * 1536)

static const char *program;

static void open_pool(struct pool_fixture *fixture, uint32_t workers)
{
    size_t size;
    void *bytes = tiny_model_make(0, &size);
    assert_non_null(bytes);
    int fd = make_memfd(bytes, size);
    free(bytes);
    struct pool_options options = pool_fixture_options(program, "all", fd, size);
    options.workers = workers;
    options.models[0].codes_bytes[0] = 2 * gradient_bits_bytes(TINY_CODES);
    /* Two models, which happen to be the same. */
    options.models[1] = options.models[0];
    options.models[1].generation = 9;
    options.model_count = 2;
    pool_fixture_open(fixture, &options);
    assert_true(pool_fixture_wait_ready(fixture, workers, 5000));
}

static void close_pool(struct pool_fixture *fixture)
{
    struct pool_stats stats;
    pool_get_stats(fixture->pool, &stats);
    assert_int_equal(stats.crashes + stats.lies + stats.timeouts, 0);
    pool_fixture_close(fixture);
    close(fixture->options.models[0].memfd);
}

static struct frame *file_frame(enum job_source source, int fd, size_t length, enum image_kind kind)
{
    struct frame *frame = frame_create();
    assert_non_null(frame);
    frame->source = source;
    frame->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    frame->length = length;
    frame->kind = kind;
    return frame;
}

static void test_every_way(void **state)
{
    static const struct {
        const uint8_t *bytes;
        size_t size;
        enum image_kind kind;
    } pictures[] = {
        {builtin_jpeg, sizeof(builtin_jpeg), IMAGE_KIND_JPEG},
        {builtin_dng, sizeof(builtin_dng), IMAGE_KIND_RAW},
    };
    struct pool_fixture fixture;
    int32_t scores[TINY_LABELS];
    (void)state;
    open_pool(&fixture, 2);
    for (size_t i = 0; i < 2; i++) {
        int fd = make_memfd(pictures[i].bytes, pictures[i].size);
        pool_fixture_frame(&fixture,
                           make_frame(pictures[i].bytes, pictures[i].size, IMAGE_KIND_AUTO));
        assert_int_equal(fixture.error, PROTO_OK);
        assert_int_equal(fixture.result.info.kind, pictures[i].kind);
        assert_int_equal(fixture.result.generation, 7);
        memcpy(scores, fixture.result.scores, sizeof(scores));
        for (int source = JOB_SOURCE_MAP; source <= JOB_SOURCE_PREAD; source++) {
            struct frame *frame = file_frame(source, fd, pictures[i].size, pictures[i].kind);
            frame->model_index = 1;
            frame->want_codes = true;
            pool_fixture_frame(&fixture, frame);
            assert_int_equal(fixture.error, PROTO_OK);
            assert_int_equal(fixture.result.generation, 9);
            assert_int_equal(fixture.result.codes_bytes, 2 * gradient_bits_bytes(TINY_CODES));
            assert_memory_equal(fixture.result.scores, scores, sizeof(scores));
        }
        close(fd);
    }
    close_pool(&fixture);
}

static void expect(struct pool_fixture *fixture, struct frame *frame, enum proto_error error)
{
    assert_true(pool_fixture_wait_ready(fixture, 1, 5000));
    pool_fixture_frame(fixture, frame);
    assert_int_equal(fixture->error, error);
}

static void test_errors(void **state)
{
    struct pool_fixture fixture;
    struct pool_stats stats;
    char text[1000];
    (void)state;
    memset(text, 'a', sizeof(text));
    open_pool(&fixture, 1);
    unsigned fds = count_fds();
    expect(&fixture, make_frame(builtin_jpeg, 100, IMAGE_KIND_AUTO), PROTO_CORRUPT);
    expect(&fixture, make_frame(text, sizeof(text), IMAGE_KIND_AUTO), PROTO_UNSUPPORTED);
    expect(&fixture, make_frame(builtin_jpeg, sizeof(builtin_jpeg), IMAGE_KIND_SENSOR),
           PROTO_BAD_REQUEST);
    pool_get_stats(fixture.pool, &stats);
    assert_int_equal(stats.recycled, 0);
    expect(&fixture, make_frame(builtin_dng, sizeof(builtin_dng) - 50, IMAGE_KIND_AUTO),
           PROTO_CORRUPT);
    pool_get_stats(fixture.pool, &stats);
    assert_int_equal(stats.recycled, 1);
    int fd = make_memfd(builtin_jpeg, sizeof(builtin_jpeg));
    expect(&fixture, file_frame(JOB_SOURCE_MAP, fd, 1000, IMAGE_KIND_AUTO), PROTO_BAD_REQUEST);
    expect(&fixture, file_frame(JOB_SOURCE_PREAD, fd, 1000, IMAGE_KIND_AUTO), PROTO_CORRUPT);
    close(fd);
    expect(&fixture, make_frame(builtin_jpeg, sizeof(builtin_jpeg), IMAGE_KIND_AUTO), PROTO_OK);
    assert_int_equal(count_fds(), fds);
    close_pool(&fixture);
}

/* A model that is none: the worker is never ready, the pool keeps trying, slowly. */
static void test_bad_model(void **state)
{
    struct pool_fixture fixture;
    (void)state;
    int fd = make_memfd("rubbish!", 8);
    struct pool_options options = pool_fixture_options(program, "all", fd, 8);
    pool_fixture_open(&fixture, &options);
    assert_false(pool_fixture_wait_ready(&fixture, 1, 200));
    assert_false(pool_has_idle(fixture.pool));
    pool_fixture_close(&fixture);
    close(fd);
}

/* Large frames by every way; a second later their memory is back. */
static void test_memory_goes_back(void **state)
{
    struct pool_fixture fixture;
    (void)state;
#ifdef __SANITIZE_THREAD__
    print_message("skipped: ThreadSanitizer's shadow of freed memory stays resident\n");
    skip();
#endif
    uint8_t *samples = malloc(LARGE);
    assert_non_null(samples);
    memset(samples, 100, LARGE);
    memcpy(samples, LARGE_HEAD, sizeof(LARGE_HEAD) - 1);
    open_pool(&fixture, 1);
    int fd = make_memfd(samples, LARGE);
    expect(&fixture, make_frame(samples, 100, IMAGE_KIND_PNM), PROTO_CORRUPT);
    uint64_t before = pool_resident_bytes(fixture.pool);
    expect(&fixture, make_frame(samples, LARGE, IMAGE_KIND_PNM), PROTO_OK);
    expect(&fixture, file_frame(JOB_SOURCE_MAP, fd, LARGE, IMAGE_KIND_PNM), PROTO_OK);
    expect(&fixture, file_frame(JOB_SOURCE_MAP, fd, LARGE, IMAGE_KIND_AUTO), PROTO_OK);
    expect(&fixture, file_frame(JOB_SOURCE_PREAD, fd, LARGE, IMAGE_KIND_AUTO), PROTO_OK);
    uint64_t during = pool_resident_bytes(fixture.pool);
    assert_true(during > before + LARGE);
    pool_fixture_run(&fixture, 2500);
    uint64_t after = pool_resident_bytes(fixture.pool);
    print_message("resident KiB: %u, with large frames %u, afterwards %u\n",
                  (unsigned)(before >> 10), (unsigned)(during >> 10), (unsigned)(after >> 10));
    assert_true(after < before + ((size_t)512 << 10));
    close(fd);
    free(samples);
    close_pool(&fixture);
}

/* A client that shrinks its file under the worker (the doors refuse such files: these are not
 * sealed) costs itself the frame: the worker sees the size, or dies of SIGBUS and is replaced. */
static void test_shrinking_file(void **state)
{
    struct pool_fixture fixture;
    struct pool_stats stats;
    unsigned counts[PROTO_ERROR_COUNT] = {0};
    (void)state;
    if (SANDBOX_WIDE) {
        print_message("skipped: the sanitizer would report the SIGBUS\n");
        skip();
    }
    open_pool(&fixture, 1);
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    for (unsigned i = 0; i < 300 && counts[PROTO_WORKER_FAILED] < 3; i++) {
        assert_int_equal(ftruncate(fd, (off_t)LARGE), 0);
        struct frame *frame = file_frame(JOB_SOURCE_MAP, fd, LARGE, IMAGE_KIND_SENSOR);
        frame->sensor = (struct image_sensor){.width = 2048,
                                              .height = 1536,
                                              .stride = 2048,
                                              .packing = IMAGE_PACKING_U8,
                                              .white = 255};
        assert_true(pool_fixture_wait_ready(&fixture, 1, 5000));
        unsigned before = fixture.finished;
        assert_int_equal(pool_start_frame(fixture.pool, frame), 0);
        usleep(10 * i);
        assert_int_equal(ftruncate(fd, 0), 0);
        while (fixture.finished == before) {
            uv_run(fixture.loop, UV_RUN_ONCE);
        }
        frame_destroy(frame);
        counts[fixture.error]++;
    }
    print_message("%u results, %u too short, %u workers died\n", counts[PROTO_OK],
                  counts[PROTO_BAD_REQUEST], counts[PROTO_WORKER_FAILED]);
    assert_int_equal(counts[PROTO_WORKER_FAILED], 3);
    pool_get_stats(fixture.pool, &stats);
    assert_int_equal(stats.crashes, 3);
    expect(&fixture, make_frame(builtin_jpeg, sizeof(builtin_jpeg), IMAGE_KIND_AUTO), PROTO_OK);
    close(fd);
    pool_fixture_close(&fixture);
    close(fixture.options.models[0].memfd);
}

/* The weights of tiny_model_make(seed) for the one layer of model 0. */
static struct pool_weights weights_of(unsigned seed, uint32_t adapter, uint64_t generation)
{
    struct pool_weights weights = {.adapter = adapter, .generation = generation};
    struct kernel_table kernels;
    struct network_model *model;
    struct network_plan *plan;
    size_t size;
    void *bytes = tiny_model_make(seed, &size);
    assert_non_null(bytes);
    kernel_table_init(&kernels, kernel_cpu_detect());
    assert_int_equal(network_model_load(bytes, size, &model, NULL), 0);
    free(bytes);
    assert_int_equal(network_plan_create(model, 0, 1, &kernels, &plan), 0);
    assert_int_equal(weights_seal(model, 0, plan, 0,
                                  network_model_describe(model)->points[0].layers, &weights.memfd,
                                  &weights.bytes),
                     0);
    network_plan_destroy(plan);
    network_model_destroy(model);
    return weights;
}

/* Judges the picture by adapter 1 + ... or by none; expects the scores of the model of that seed.
 */
static void expect_adapter(struct pool_fixture *fixture, uint32_t adapter, uint64_t generation,
                           const int32_t *scores)
{
    struct frame *frame = make_frame(builtin_jpeg, sizeof(builtin_jpeg), IMAGE_KIND_AUTO);
    frame->adapter = adapter;
    pool_fixture_frame(fixture, frame);
    assert_int_equal(fixture->error, PROTO_OK);
    assert_int_equal(fixture->result.generation, generation);
    assert_memory_equal(fixture->result.scores, scores, TINY_LABELS * sizeof(scores[0]));
}

static void scores_of(unsigned seed, int32_t *scores)
{
    struct pool_fixture fixture;
    size_t size;
    void *bytes = tiny_model_make(seed, &size);
    int fd = make_memfd(bytes, size);
    struct pool_options options = pool_fixture_options(program, "all", fd, size);
    free(bytes);
    pool_fixture_open(&fixture, &options);
    assert_true(pool_fixture_wait_ready(&fixture, 1, 5000));
    expect(&fixture, make_frame(builtin_jpeg, sizeof(builtin_jpeg), IMAGE_KIND_AUTO), PROTO_OK);
    memcpy(scores, fixture.result.scores, TINY_LABELS * sizeof(scores[0]));
    pool_fixture_close(&fixture);
    close(fd);
}

static void wait_idle(struct pool_fixture *fixture)
{
    while (!pool_has_idle(fixture->pool)) {
        uv_run(fixture->loop, UV_RUN_ONCE);
    }
}

/* What was published judges the next frame, in every worker, in one that came later, too; other
 * adapters and the model itself stay what they are. */
static void test_weights(void **state)
{
    int32_t own[TINY_LABELS], five[TINY_LABELS], six[TINY_LABELS];
    struct pool_fixture fixture;
    (void)state;
    scores_of(0, own);
    scores_of(5, five);
    scores_of(6, six);
    assert_true(memcmp(own, five, sizeof(own)) != 0 && memcmp(five, six, sizeof(six)) != 0);
    open_pool(&fixture, 1);
    expect_adapter(&fixture, 1, 7, own); /* nothing was published */

    struct pool_weights weights[2] = {weights_of(5, 0, 20), weights_of(6, 3, 30)};
    assert_int_equal(pool_publish(fixture.pool, weights, 2), 0);
    assert_false(pool_has_idle(fixture.pool)); /* no frame comes between */
    wait_idle(&fixture);
    expect_adapter(&fixture, 1, 20, five);
    expect_adapter(&fixture, 4, 30, six);
    expect_adapter(&fixture, 2, 7, own);
    expect_adapter(&fixture, 0, 7, own);

    /* While a frame is at work. */
    struct frame *frame = make_frame(builtin_jpeg, sizeof(builtin_jpeg), IMAGE_KIND_AUTO);
    frame->adapter = 1;
    assert_int_equal(pool_start_frame(fixture.pool, frame), 0);
    weights[0] = weights_of(6, 0, 21);
    assert_int_equal(pool_publish(fixture.pool, weights, 1), 0);
    wait_idle(&fixture);
    assert_memory_equal(fixture.result.scores, five, sizeof(five));
    frame_destroy(frame);
    expect_adapter(&fixture, 1, 21, six);

    /* A new worker. */
    expect(&fixture, make_frame(builtin_dng, sizeof(builtin_dng) - 50, IMAGE_KIND_AUTO),
           PROTO_CORRUPT);
    wait_idle(&fixture);
    expect_adapter(&fixture, 1, 21, six);
    expect_adapter(&fixture, 4, 30, six);

    weights[0] = (struct pool_weights){.memfd = -1, .generation = 22};
    assert_int_equal(pool_publish(fixture.pool, weights, 1), 0);
    wait_idle(&fixture);
    expect_adapter(&fixture, 1, 22, own);
    weights[0] = weights_of(5, JOB_ADAPTERS_MAX, 1);
    assert_int_equal(pool_publish(fixture.pool, weights, 1), -EINVAL);
    close_pool(&fixture);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_way),      cmocka_unit_test(test_errors),
        cmocka_unit_test(test_bad_model),      cmocka_unit_test(test_memory_goes_back),
        cmocka_unit_test(test_shrinking_file), cmocka_unit_test(test_weights),
    };
    if (argc != 2) {
        return 2;
    }
    program = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
