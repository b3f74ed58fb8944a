/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Workers that crash, stall, lie, shout and fall silent: each costs one frame at most, and the pool
 * goes on. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/limits.h"
#include "pool_fixture.h"

static const char *program;

static struct pool_options hostile_options(const char *mode, int *ret_model_fd)
{
    *ret_model_fd = make_memfd("\0model", 6);
    return pool_fixture_options(program, mode, *ret_model_fd, 6);
}

static void frame(struct pool_fixture *fixture, const char *bytes, enum image_kind kind)
{
    pool_fixture_frame(fixture, make_frame(bytes, strlen(bytes), kind));
}

static void honest_frame(struct pool_fixture *fixture)
{
    frame(fixture, "ok", IMAGE_KIND_AUTO);
    assert_int_equal(fixture->error, PROTO_OK);
    assert_int_equal(fixture->result.label_count, 10);
    assert_int_equal(fixture->result.scores[2], 3);
    assert_int_equal(fixture->result.generation, 7);
}

struct mischief {
    const char *mode;
    enum proto_error error;                     /* of the frame */
    unsigned crashes, lies, timeouts, recycled; /* counted afterwards */
};

static void run_mischief(const struct mischief *mischief)
{
    int model_fd;
    struct pool_options options = hostile_options(mischief->mode, &model_fd);
    struct pool_fixture fixture;
    struct pool_stats stats;
    options.timeout_ms = 200;
    pool_fixture_open(&fixture, &options);
    assert_true(pool_fixture_wait_ready(&fixture, 1, 2000));
    honest_frame(&fixture);
    unsigned fds = count_fds();

    frame(&fixture, "X", IMAGE_KIND_AUTO);
    assert_int_equal(fixture.error, mischief->error);
    if (mischief->crashes + mischief->lies + mischief->timeouts + mischief->recycled > 0) {
        /* The worker is gone, or is about to be. */
        assert_true(pool_fixture_wait_ready(&fixture, 0, 2000));
        assert_false(pool_has_idle(fixture.pool));
    }
    assert_true(pool_fixture_wait_ready(&fixture, 1, 2000));
    honest_frame(&fixture);
    assert_int_equal(count_fds(), fds);
    assert_int_equal(count_children(), fixture.children + 1);

    pool_get_stats(fixture.pool, &stats);
    assert_int_equal(stats.crashes, mischief->crashes);
    assert_int_equal(stats.lies, mischief->lies);
    assert_int_equal(stats.timeouts, mischief->timeouts);
    assert_int_equal(stats.recycled, mischief->recycled);
    assert_int_equal(stats.busy, 0);
    assert_true(pool_resident_bytes(fixture.pool) > 0);
    pool_fixture_close(&fixture);
    close(model_fd);
}

static void test_mischief(void **state)
{
    static const struct mischief mischiefs[] = {
        {"crash", PROTO_WORKER_FAILED, .crashes = 1},
        {"exit", PROTO_WORKER_FAILED, .crashes = 1},
        {"close", PROTO_WORKER_FAILED, .crashes = 1},
        {"empty", PROTO_WORKER_FAILED, .crashes = 1},
        {"hang", PROTO_DEADLINE, .timeouts = 1},
        {"close-after-answer", PROTO_OK, .crashes = 1},
        {"exit-after-answer", PROTO_OK, .crashes = 1},
        {"lie-labels", PROTO_WORKER_FAILED, .lies = 1},
        {"lie-awake", PROTO_WORKER_FAILED, .lies = 1},
        {"lie-scanned", PROTO_WORKER_FAILED, .lies = 1},
        {"lie-box", PROTO_WORKER_FAILED, .lies = 1},
        {"lie-motion", PROTO_WORKER_FAILED, .lies = 1},
        {"lie-colour", PROTO_WORKER_FAILED, .lies = 1},
        {"lie-margin", PROTO_WORKER_FAILED, .lies = 1},
        {"lie-macs", PROTO_WORKER_FAILED, .lies = 1},
        {"lie-labels-huge", PROTO_WORKER_FAILED, .lies = 1},
        {"lie-result-sequence", PROTO_WORKER_FAILED, .lies = 1},
        {"lie-point", PROTO_WORKER_FAILED, .lies = 1},
        {"lie-done-sequence", PROTO_WORKER_FAILED, .lies = 1},
        {"lie-codes", PROTO_WORKER_FAILED, .lies = 1},
        {"lie-codes-unasked", PROTO_WORKER_FAILED, .lies = 1},
        {"lie-generation", PROTO_WORKER_FAILED, .lies = 1},
        {"lie-times", PROTO_WORKER_FAILED, .lies = 1},
        {"lie-times-huge", PROTO_WORKER_FAILED, .lies = 1},
        {"lie-kind", PROTO_WORKER_FAILED, .lies = 1},
        {"lie-orientation", PROTO_WORKER_FAILED, .lies = 1},
        {"lie-reduction", PROTO_WORKER_FAILED, .lies = 1},
        {"lie-size", PROTO_WORKER_FAILED, .lies = 1},
        {"lie-warnings", PROTO_WORKER_FAILED, .lies = 1},
        {"lie-white", PROTO_WORKER_FAILED, .lies = 1},
        {"lie-status", PROTO_WORKER_FAILED, .lies = 1},
        {"lie-status-huge", PROTO_WORKER_FAILED, .lies = 1},
        {"short", PROTO_WORKER_FAILED, .lies = 1},
        {"long", PROTO_WORKER_FAILED, .lies = 1},
        {"answer-twice", PROTO_OK, .lies = 1},
        {"flood", PROTO_OK, .lies = 1},
        {"descriptors", PROTO_OK, .lies = 0},
        {"corrupt", PROTO_CORRUPT, .lies = 0},
        {"recycle", PROTO_CORRUPT, .recycled = 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(mischiefs) / sizeof(mischiefs[0]); i++) {
        print_message("%s\n", mischiefs[i].mode);
        run_mischief(&mischiefs[i]);
    }
}

/* The answer to a frame of a stated kind must be of that kind. */
static void test_kind_is_held(void **state)
{
    int model_fd;
    struct pool_options options = hostile_options("lie-kind-other", &model_fd);
    struct pool_fixture fixture;
    (void)state;
    pool_fixture_open(&fixture, &options);
    assert_true(pool_fixture_wait_ready(&fixture, 1, 2000));
    frame(&fixture, "ok", IMAGE_KIND_RAW);
    assert_int_equal(fixture.error, PROTO_OK);
    assert_int_equal(fixture.result.info.kind, IMAGE_KIND_RAW);
    frame(&fixture, "X", IMAGE_KIND_RAW);
    assert_int_equal(fixture.error, PROTO_WORKER_FAILED);
    pool_fixture_close(&fixture);
    close(model_fd);
}

/* A worker that writes to the region after its answer may spoil its own frame, never the copy. */
static void test_scribble(void **state)
{
    int model_fd;
    struct pool_options options = hostile_options("scribble", &model_fd);
    struct pool_fixture fixture;
    unsigned good = 0;
    (void)state;
    pool_fixture_open(&fixture, &options);
    for (unsigned i = 0; i < 200; i++) {
        assert_true(pool_fixture_wait_ready(&fixture, 1, 2000));
        frame(&fixture, "X", IMAGE_KIND_AUTO);
        if (fixture.error == PROTO_OK) {
            assert_int_equal(fixture.result.label_count, 10);
            assert_int_equal(fixture.result.generation, 7);
            assert_int_equal(fixture.result.codes_bytes, 0);
            good++;
        } else {
            assert_int_equal(fixture.error, PROTO_WORKER_FAILED);
        }
    }
    print_message("%u of 200 copied out before the scribble\n", good);
    pool_fixture_close(&fixture);
    close(model_fd);
}

static void test_codes(void **state)
{
    int model_fd;
    struct pool_options options = hostile_options("none", &model_fd);
    struct pool_fixture fixture;
    struct frame *with_codes = make_frame("ok", 2, IMAGE_KIND_AUTO);
    (void)state;
    pool_fixture_open(&fixture, &options);
    assert_true(pool_fixture_wait_ready(&fixture, 1, 2000));
    with_codes->want_codes = true;
    pool_fixture_frame(&fixture, with_codes);
    assert_int_equal(fixture.error, PROTO_OK);
    assert_int_equal(fixture.result.codes_bytes, 100);
    assert_int_equal(fixture.result.codes[99], 0x5a);
    pool_fixture_close(&fixture);
    close(model_fd);
}

/* Codes that are no whole windows, or of more windows than were looked at, would be read beyond
 * their end when the frame is labelled. */
static void test_codes_of_no_window(void **state)
{
    static const char *const modes[] = {"lie-codes", "lie-codes-part", "lie-codes-many"};
    (void)state;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        int model_fd;
        struct pool_options options = hostile_options(modes[i], &model_fd);
        struct pool_fixture fixture;
        struct frame *with_codes = make_frame("X", 1, IMAGE_KIND_AUTO);
        with_codes->want_codes = true;
        pool_fixture_open(&fixture, &options);
        assert_true(pool_fixture_wait_ready(&fixture, 1, 2000));
        pool_fixture_frame(&fixture, with_codes);
        assert_int_equal(fixture.error, PROTO_WORKER_FAILED);
        pool_fixture_close(&fixture);
        close(model_fd);
    }
}

static unsigned bad_starts(const char *mode, unsigned ms)
{
    int model_fd;
    struct pool_options options = hostile_options(mode, &model_fd);
    struct pool_fixture fixture;
    struct pool_stats stats;
    pool_fixture_open(&fixture, &options);
    pool_fixture_run(&fixture, ms);
    pool_get_stats(fixture.pool, &stats);
    assert_int_equal(stats.frames, 0);
    assert_true(count_children() <= fixture.children + 1);
    pool_fixture_close(&fixture);
    close(model_fd);
    return (unsigned)(stats.crashes + stats.lies + stats.timeouts);
}

/* Workers that cannot start are tried again ever more slowly: after 0, 50, 150, 350 ms, ... */
static void test_bad_starts(void **state)
{
    (void)state;
    unsigned exits = bad_starts("exit-at-start", 300);
    assert_in_range(exits, 1, 3);
    unsigned lies = bad_starts("speak-unasked", 300);
    assert_in_range(lies, 1, 3);
    unsigned refusals = bad_starts("refuse-model", 300);
    assert_in_range(refusals, 1, 3);
    assert_int_equal(bad_starts("never-ready", LIMIT_WORKER_START_MS + 500), 1);
}

static void test_start_recovers(void **state)
{
    int model_fd;
    struct pool_options options = hostile_options("exit-twice", &model_fd);
    struct pool_fixture fixture;
    struct pool_stats stats;
    (void)state;
    pool_fixture_open(&fixture, &options);
    assert_true(pool_fixture_wait_ready(&fixture, 1, 3000));
    honest_frame(&fixture);
    pool_get_stats(fixture.pool, &stats);
    assert_int_equal(stats.crashes, 2);
    pool_fixture_close(&fixture);
    close(model_fd);
}

static void test_frames_max(void **state)
{
    int model_fd;
    struct pool_options options = hostile_options("none", &model_fd);
    struct pool_fixture fixture;
    struct pool_stats stats;
    (void)state;
    options.frames_max = 3;
    pool_fixture_open(&fixture, &options);
    for (unsigned i = 0; i < 7; i++) {
        assert_true(pool_fixture_wait_ready(&fixture, 1, 2000));
        honest_frame(&fixture);
    }
    pool_get_stats(fixture.pool, &stats);
    assert_int_equal(stats.recycled, 2);
    assert_int_equal(stats.crashes, 0);
    assert_int_equal(stats.frames, 7);
    pool_fixture_close(&fixture);
    close(model_fd);
}

static void test_refusals(void **state)
{
    int model_fd;
    struct pool_options options = hostile_options("hang", &model_fd);
    struct pool_fixture fixture;
    struct pool *none = NULL;
    (void)state;
    pool_fixture_open(&fixture, &options);
    struct frame *first = make_frame("X", 1, IMAGE_KIND_AUTO);
    struct frame *second = make_frame("X", 1, IMAGE_KIND_AUTO);
    assert_int_equal(pool_start_frame(fixture.pool, first), -EAGAIN); /* none is ready yet */
    assert_true(pool_fixture_wait_ready(&fixture, 1, 2000));
    first->length = options.frame_bytes_max + 1;
    assert_int_equal(pool_start_frame(fixture.pool, first), -EINVAL);
    first->length = 1;
    first->model_index = 1;
    assert_int_equal(pool_start_frame(fixture.pool, first), -EINVAL);
    first->model_index = 0;
    assert_int_equal(pool_start_frame(fixture.pool, first), 0);
    assert_int_equal(pool_start_frame(fixture.pool, second), -EAGAIN);

    /* Shutdown answers the frame in flight. */
    options = fixture.options;
    pool_fixture_close(&fixture);
    assert_int_equal(fixture.finished, 1);
    assert_ptr_equal(fixture.frame, first);
    assert_int_equal(fixture.error, PROTO_TOO_BUSY);
    frame_destroy(first);
    frame_destroy(second);

    options.worker_path = "/nonexistent/worker";
    assert_int_equal(pool_create(fixture.loop, &options, &none), -ENOENT);
    assert_null(none);
    close(model_fd);
}

static void kill_children(void)
{
    char path[64];
    int pid;
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (fscanf(file, "%d", &pid) == 1) {
        kill(pid, SIGKILL);
    }
    fclose(file);
}

static uint64_t crashes(const struct pool_fixture *fixture)
{
    struct pool_stats stats;

    pool_get_stats(fixture->pool, &stats);
    return stats.crashes;
}

/* A worker that was killed from outside while it was idle is replaced. */
static void test_killed_while_idle(void **state)
{
    int model_fd;
    struct pool_options options = hostile_options("none", &model_fd);
    struct pool_fixture fixture;
    (void)state;
    options.workers = 2;
    options.spin_us = 50;
    pool_fixture_open(&fixture, &options);
    assert_true(pool_fixture_wait_ready(&fixture, 2, 2000));
    honest_frame(&fixture);
    kill_children();
    for (unsigned i = 0; i < 5000 && crashes(&fixture) < 2; i++) {
        uv_run(fixture.loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    assert_int_equal(crashes(&fixture), 2);
    assert_true(pool_fixture_wait_ready(&fixture, 2, 5000));
    honest_frame(&fixture);
    pool_fixture_close(&fixture);
    close(model_fd);
}

/* With no descriptor left for a new worker the pool waits, and recovers when there is one. Each
 * limit lets the start get one step further before it fails. */
static void test_out_of_descriptors(void **state)
{
    int model_fd;
    struct pool_options options = hostile_options("crash", &model_fd);
    struct pool_fixture fixture;
    struct rlimit limit;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    pool_fixture_open(&fixture, &options);
    assert_true(pool_fixture_wait_ready(&fixture, 1, 2000));
    unsigned open = count_fds();
    unsigned failed = 0;
    for (unsigned spare = 0; spare < 6; spare++) {
        int lowest = dup(0); /* the next descriptor that would be given */
        close(lowest);
        frame(&fixture, "X", IMAGE_KIND_AUTO);
        assert_int_equal(fixture.error, PROTO_WORKER_FAILED);
        struct rlimit low = {(rlim_t)lowest + spare, limit.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
        failed += !pool_fixture_wait_ready(&fixture, 1, 500);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_true(pool_fixture_wait_ready(&fixture, 1, 2000));
        honest_frame(&fixture);
        assert_int_equal(count_fds(), open);
        assert_int_equal(count_children(), fixture.children + 1);
    }
    assert_in_range(failed, 2, 5); /* the last limit is enough */
    pool_fixture_close(&fixture);
    close(model_fd);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mischief),           cmocka_unit_test(test_kind_is_held),
        cmocka_unit_test(test_scribble),           cmocka_unit_test(test_codes),
        cmocka_unit_test(test_codes_of_no_window), cmocka_unit_test(test_bad_starts),
        cmocka_unit_test(test_start_recovers),     cmocka_unit_test(test_frames_max),
        cmocka_unit_test(test_refusals),           cmocka_unit_test(test_killed_while_idle),
        cmocka_unit_test(test_out_of_descriptors),
    };
    if (argc != 2) {
        return 2;
    }
    program = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
