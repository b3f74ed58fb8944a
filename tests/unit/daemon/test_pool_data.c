/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Every picture and every broken file of the data beside the project, through a real worker: each
 * gets a result or a typed error in time, none makes a worker call what its sandbox forbids, and
 * memory is back at the end.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/worker/sandbox.h"
#include "pool_fixture.h"
#include "tiny_model.h"

#define FRAME_BYTES_MAX ((size_t)64 << 20)
#define TIME_LIMIT_NS   UINT64_C(1000000000)

static const char *program;
static const char *source_root;

/* For nftw, which passes no context. */
static struct {
    struct pool_fixture fixture;
    unsigned counts[PROTO_ERROR_COUNT];
    unsigned files, large;
    uint64_t slowest_ns;
    char slowest[256];
} run;

static int one_file(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
    (void)walk;
    if (type != FTW_F || !S_ISREG(stat->st_mode)) {
        return 0;
    }
    run.files++;
    if ((uint64_t)stat->st_size > FRAME_BYTES_MAX) {
        run.large++;
        return 0;
    }
    struct frame *frame = frame_create();
    assert_non_null(frame);
    frame->source = JOB_SOURCE_PREAD;
    frame->fd = open(path, O_RDONLY | O_CLOEXEC);
    frame->length = (size_t)stat->st_size;
    assert_true(frame->fd >= 0);
    assert_true(pool_fixture_wait_ready(&run.fixture, 1, 5000));
    uint64_t start = uv_hrtime();
    pool_fixture_frame(&run.fixture, frame);
    uint64_t took = uv_hrtime() - start;
    if (took > run.slowest_ns) {
        run.slowest_ns = took;
        snprintf(run.slowest, sizeof(run.slowest), "%s", path);
    }
    run.counts[run.fixture.error]++;
    if (run.fixture.error == PROTO_WORKER_FAILED || run.fixture.error == PROTO_INTERNAL ||
        run.fixture.error == PROTO_DEADLINE || took > TIME_LIMIT_NS) {
        print_message("%s: %s after %u ms\n", path, proto_error_name(run.fixture.error),
                      (unsigned)(took / 1000000));
    }
    return 0;
}

static void test_data(void **state)
{
    (void)state;
    char path[512];
    const char *shared = getenv("OCELLUS_SHARED");
    if (shared != NULL) {
        snprintf(path, sizeof(path), "%s/data", shared);
    } else {
        snprintf(path, sizeof(path), "%s/../shared/data", source_root);
    }
    if (access(path, R_OK) < 0) {
        print_message("skipped: no %s\n", path);
        skip();
    }
    size_t size;
    struct pool_stats stats;
    void *bytes = tiny_model_make(0, &size);
    assert_non_null(bytes);
    int fd = make_memfd(bytes, size);
    free(bytes);
    struct pool_options options = pool_fixture_options(program, "all", fd, size);
    options.frame_bytes_max = FRAME_BYTES_MAX;
    pool_fixture_open(&run.fixture, &options);
    assert_true(pool_fixture_wait_ready(&run.fixture, 1, 5000));
    uint64_t before = pool_resident_bytes(run.fixture.pool);

    static const char *const folders[] = {"raw", "jpeg", "hostile"};
    for (size_t i = 0; i < 3; i++) {
        char folder[600];
        snprintf(folder, sizeof(folder), "%s/%s", path, folders[i]);
        unsigned had = run.files;
        assert_int_equal(nftw(folder, one_file, 16, FTW_PHYS), 0);
        print_message("%s: %u files\n", folders[i], run.files - had);
        assert_true(run.files > had);
    }
    for (unsigned i = 0; i < PROTO_ERROR_COUNT; i++) {
        if (run.counts[i] > 0) {
            print_message("%5u %s\n", run.counts[i],
                          i == PROTO_OK ? "result" : proto_error_name(i));
        }
    }
    pool_fixture_run(&run.fixture, 2500);
    pool_get_stats(run.fixture.pool, &stats);
    uint64_t after = pool_resident_bytes(run.fixture.pool);
    print_message("slowest %u ms: %s\nrecycled %u, resident KiB %u before, %u after\n",
                  (unsigned)(run.slowest_ns / 1000000), run.slowest, (unsigned)stats.recycled,
                  (unsigned)(before >> 10), (unsigned)(after >> 10));
    assert_int_equal(stats.crashes + stats.lies + stats.timeouts, 0);
    assert_int_equal(run.large, 0);
    assert_int_equal(run.counts[PROTO_WORKER_FAILED] + run.counts[PROTO_INTERNAL], 0);
    assert_true(run.counts[PROTO_OK] >= 40);
    assert_true(run.counts[PROTO_CORRUPT] > 0 && run.counts[PROTO_UNSUPPORTED] > 0 &&
                run.counts[PROTO_TOO_LARGE] > 0);
    if (!SANDBOX_WIDE) { /* a sanitizer keeps freed memory for a while */
        assert_true(after < before + ((uint64_t)4 << 20));
    }
    pool_fixture_close(&run.fixture);
    close(fd);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data),
    };
    if (argc != 3) {
        return 2;
    }
    program = argv[1];
    source_root = argv[2];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
