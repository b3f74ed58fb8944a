/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The thread on which adapters learn, at the lowest priority, and the bounded queues between it and
 * the loop. All calls are the loop thread's; none but create and destroy waits for the other
 * thread.
 */
#ifndef OCELLUS_DAEMON_TRAINER_H
#define OCELLUS_DAEMON_TRAINER_H

#include <uv.h>

#include "daemon/adapter.h"

enum trainer_op {
    TRAINER_LABEL = 0,
    TRAINER_SYNC,
    TRAINER_UNDO,
    TRAINER_ROLLBACK,
    TRAINER_RESET,
    TRAINER_EXPORT,
    TRAINER_IMPORT,
};

/* Made by trainer_request_create. From trainer_submit until `done` it is the trainer's, but `done`
 * may be set to NULL at any time by the loop thread: then nobody waits for the answer. */
struct trainer_request {
    struct trainer_request *next;
    enum trainer_op op;
    uint32_t adapter;
    uint32_t label;    /* LABEL */
    uint64_t sequence; /* ROLLBACK */
    int result;        /* 0 or a negative errno of the adapter's function */
    struct adapter_answer answer;
    void *exported; /* EXPORT; freed with the request */
    size_t exported_bytes;
    /* Called once on the loop thread; the request is destroyed after it. */
    void (*done)(struct trainer_request *request);
    void *context;
    size_t size; /* of the bytes: packed codes of LABEL, an export of IMPORT */
    uint8_t bytes[];
};

/* With room for `size` bytes, which are copied from `bytes` (NULL: left alone). NULL: no memory. */
struct trainer_request *trainer_request_create(enum trainer_op op, const void *bytes, size_t size);
void trainer_request_destroy(struct trainer_request *request);

struct trainer_options {
    const struct adapter_settings *adapters; /* copied; their strings are borrowed */
    uint32_t count;                          /* 1..JOB_ADAPTERS_MAX */
    /* Weights of an adapter for pool_publish, which owns their memfds from then on; none where
     * there is only a new number. Called on the loop thread. */
    void (*published)(void *context, uint32_t adapter, const struct pool_weights *weights,
                      uint32_t count, uint64_t generation);
    void *context;
};

struct trainer;

/* Opens every adapter, one after the other, on the new thread, and waits for that; `published` is
 * called for those that have learned before. Errors: -ENOMEM, negative errno of libuv. */
int trainer_create(uv_loop_t *loop, const struct trainer_options *options,
                   struct trainer **ret_trainer);

/* Finish what is queued, flush and commit; waits for that. Requests are not answered any more. The
 * memory goes when the loop has run on. */
void trainer_destroy(struct trainer *trainer);

/* Errors: -EAGAIN  the queue is full; the request stays the caller's. */
int trainer_submit(struct trainer *trainer, struct trainer_request *request);

/* As it was when the thread last finished something. */
void trainer_get_status(struct trainer *trainer, uint32_t adapter,
                        struct adapter_status *ret_status);

#endif
