/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Drives a pool for the tests. */
#include "pool_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

unsigned count_fds(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

unsigned count_children(void)
{
    char path[64];
    unsigned count = 0;
    int pid;
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (fscanf(file, "%d", &pid) == 1) {
        count++;
    }
    fclose(file);
    return count;
}

int make_memfd(const void *bytes, size_t size)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    return fd;
}

struct pool_options pool_fixture_options(const char *program, const char *mask, int model_fd,
                                         size_t model_bytes)
{
    return (struct pool_options){
        .worker_path = program,
        .cpu_mask = mask,
        .workers = 1,
        .timeout_ms = 2000,
        .frame_bytes_max = (size_t)4 << 20,
        .pixels_max = 100000000,
        .models = {{.memfd = model_fd,
                    .bytes = model_bytes,
                    .generation = 7,
                    .label_count = 10,
                    .codes_bytes = {100}}},
        .model_count = 1,
    };
}

static void on_changed(void *context)
{
    struct pool_fixture *fixture = context;
    fixture->changes++;
}

static void on_finished(void *context, struct frame *frame, enum proto_error error,
                        const char *message, const struct job_result *result)
{
    struct pool_fixture *fixture = context;
    fixture->finished++;
    fixture->frame = frame;
    fixture->error = error;
    assert_true((error == PROTO_OK) == (result != NULL));
    assert_true((error == PROTO_OK) == (message == NULL));
    if (result != NULL) {
        memcpy(&fixture->result, result, JOB_RESULT_HEAD_BYTES + result->codes_bytes);
    } else {
        snprintf(fixture->message, sizeof(fixture->message), "%s", message);
    }
}

void pool_fixture_open(struct pool_fixture *fixture, const struct pool_options *options)
{
    memset(fixture, 0, sizeof(*fixture));
    fixture->options = *options;
    fixture->options.changed = on_changed;
    fixture->options.finished = on_finished;
    fixture->options.context = fixture;
    fixture->loop = uv_default_loop();
    assert_non_null(fixture->loop);
    fixture->fds = count_fds();
    fixture->children = count_children();
    assert_int_equal(pool_create(fixture->loop, &fixture->options, &fixture->pool), 0);
}

bool pool_fixture_wait_ready(struct pool_fixture *fixture, uint32_t ready, unsigned timeout_ms)
{
    struct pool_stats stats;
    uint64_t end = uv_hrtime() + timeout_ms * UINT64_C(1000000);
    pool_get_stats(fixture->pool, &stats);
    while (stats.ready != ready) {
        if (uv_hrtime() > end) {
            return false;
        }
        uv_run(fixture->loop, UV_RUN_NOWAIT);
        usleep(200);
        pool_get_stats(fixture->pool, &stats);
    }
    return true;
}

void pool_fixture_run(struct pool_fixture *fixture, unsigned ms)
{
    uint64_t end = uv_hrtime() + ms * UINT64_C(1000000);
    while (uv_hrtime() < end) {
        uv_run(fixture->loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
}

struct frame *make_frame(const void *bytes, size_t length, enum image_kind kind)
{
    struct frame *frame = frame_create();
    assert_non_null(frame);
    frame->bytes = malloc(length);
    assert_non_null(frame->bytes);
    memcpy(frame->bytes, bytes, length);
    frame->length = length;
    frame->kind = kind;
    return frame;
}

void pool_fixture_frame(struct pool_fixture *fixture, struct frame *frame)
{
    unsigned before = fixture->finished;
    assert_int_equal(pool_start_frame(fixture->pool, frame), 0);
    while (fixture->finished == before) {
        uv_run(fixture->loop, UV_RUN_ONCE);
    }
    assert_int_equal(fixture->finished, before + 1);
    assert_ptr_equal(fixture->frame, frame);
    frame_destroy(frame);
}

static void on_closed(void *context)
{
    struct pool_fixture *fixture = context;
    fixture->closed = true;
}

void pool_fixture_close(struct pool_fixture *fixture)
{
    pool_destroy(fixture->pool, on_closed, fixture);
    assert_int_equal(uv_run(fixture->loop, UV_RUN_DEFAULT), 0);
    assert_true(fixture->closed);
    assert_false(uv_loop_alive(fixture->loop));
    assert_int_equal(count_children(), fixture->children);
    assert_int_equal(count_fds(), fixture->fds);
}
