/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* A loop with a pool on it, driven one frame at a time, for the tests and measurements of the pool.
 */
#ifndef OCELLUS_TESTS_POOL_FIXTURE_H
#define OCELLUS_TESTS_POOL_FIXTURE_H

#include "daemon/pool.h"

struct pool_fixture {
    uv_loop_t *loop; /* the default loop: closing one leaves libuv 1.44 a dangling child watcher */
    struct pool *pool;
    struct pool_options options; /* callbacks and context are the fixture's */
    unsigned finished;           /* frames given back, and the last of them: */
    enum proto_error error;
    char message[128];
    struct job_result result;
    struct frame *frame;
    unsigned changes;
    bool closed;
    unsigned fds, children; /* before the pool was made */
};

unsigned count_fds(void);
unsigned count_children(void);

/* A memfd with these bytes. Fails the test when it cannot be had. */
int make_memfd(const void *bytes, size_t size);

/* Options for one worker of the program, with one model of 10 labels in `model_fd`, generation 7.
 */
struct pool_options pool_fixture_options(const char *program, const char *mask, int model_fd,
                                         size_t model_bytes);

void pool_fixture_open(struct pool_fixture *fixture, const struct pool_options *options);

/* Runs the loop until so many workers are ready, at most timeout_ms. False when it took longer. */
bool pool_fixture_wait_ready(struct pool_fixture *fixture, uint32_t ready, unsigned timeout_ms);
void pool_fixture_run(struct pool_fixture *fixture, unsigned ms);

struct frame *make_frame(const void *bytes, size_t length, enum image_kind kind);

/* Hands the frame over, runs the loop until it is back, frees it. fixture->error and result tell.
 */
void pool_fixture_frame(struct pool_fixture *fixture, struct frame *frame);

/* Destroys the pool, checks that no descriptor and no child is left. */
void pool_fixture_close(struct pool_fixture *fixture);

#endif
