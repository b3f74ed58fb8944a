/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The pool of sandboxed workers: starts them, hands each its models, gives an idle one a frame,
 * holds it to its time, replaces it when it dies, lies or stalls. Runs on the loop thread and never
 * blocks it. It parses no image and decides nothing about order: admission does.
 */
#ifndef OCELLUS_DAEMON_POOL_H
#define OCELLUS_DAEMON_POOL_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "daemon/frame.h"
#include "engine/kernel/rates.h"

/* A model as the workers get it. The pool borrows the fd; label_count is what results are checked
 * against. */
struct pool_model {
    int memfd; /* sealed against writing, growing and shrinking */
    uint64_t bytes;
    uint64_t generation;
    uint32_t label_count;
    /* Packed codes of one window, by operating point: workers return whole ones. */
    size_t codes_bytes[NETWORK_POINTS_MAX];
    /* A cascade: 1 + the index of the model behind this one (0: none), and what wakes it. */
    uint32_t wakes, wake_label;
    int32_t wake_margin;
};

/* Weights of one layer of an adapter (JOB_OP_WEIGHTS). */
struct pool_weights {
    uint32_t adapter, layer; /* adapters are numbered from 0 */
    uint32_t model, point;   /* of the adapter: always the same */
    int memfd;               /* sealed; -1: the model's own weights */
    uint64_t bytes;
    uint64_t generation; /* of the adapter; one number for all that are published together */
};

struct pool_options {
    const char *worker_path;
    const char *cpu_mask;
    uint32_t rates[KERNEL_RATES]; /* of the kernel table; the first 0: each worker measures */
    uint32_t workers;
    uint32_t timeout_ms; /* one frame; then SIGKILL */
    uint32_t frames_max; /* a worker is recycled after so many; 0: never */
    uint64_t frame_bytes_max;
    uint64_t pixels_max;
    uint64_t worker_bytes; /* of its address space; 0: as much as it can need */
    uint32_t
        spin_us; /* the loop spins on the doorbells for so long after a frame was handed over */
    struct pool_model models[JOB_MODELS_MAX];
    uint32_t model_count;
    /* Called on the loop whenever a worker became idle or the number of ready workers changed. */
    void (*changed)(void *context);
    /* Called once for each frame that pool_start_frame took. error OK: `result` was copied out and
     * checked, and is valid during the call. The frame is the callee's again. */
    void (*finished)(void *context, struct frame *frame, enum proto_error error,
                     const char *message, const struct job_result *result);
    void *context;
};

struct pool_stats {
    uint32_t workers, ready, busy; /* ready: loaded its models; busy: has a frame */
    uint64_t frames, crashes, timeouts, lies, recycled;
};

struct pool;

/* Starts the workers; they become ready later. options is copied, its strings are borrowed. A
 * worker that does not start is tried again. Errors: -ENOMEM, -EINVAL (no workers or models),
 * negative errno of access() to the program and of memfd_create. */
int pool_create(uv_loop_t *loop, const struct pool_options *options, struct pool **ret_pool);

/* Kills the workers, closes handles; `closed` runs on the loop when nothing of the pool is left.
 * Frames in flight are finished with TOO_BUSY first. */
void pool_destroy(struct pool *pool, void (*closed)(void *context), void *context);

bool pool_has_idle(const struct pool *pool);

/* Hand a frame to an idle worker: its bytes are copied into the worker's region, or its fd is
 * passed. Errors: -EAGAIN when none is idle, -EIO when the worker died just now (try another),
 * -ENOMEM, -EINVAL when the frame is longer than frame_bytes_max or names no model. On failure the
 * frame stays the caller's. */
int pool_start_frame(struct pool *pool, struct frame *frame);

/* Take the answers of workers that are done by now instead of at the loop's next turn: `finished`
 * and `changed` run before this returns. Does nothing from within these. */
void pool_collect(struct pool *pool);

/*
 * From now on frames of these adapters are judged with these weights: every worker gets them before
 * its next frame, new workers at their start. Frames that are at work are not touched. An adapter
 * is the model as it is until something of it was published. Takes the memfds over, also on
 * failure. Errors: -EINVAL  some name no model or adapter, or too many layers of an adapter; the
 * others are taken.
 */
int pool_publish(struct pool *pool, const struct pool_weights *weights, uint32_t count);

/*
 * Workers that answered no frame since `since_ns` (0: ever) are not proven to work. Hand the frame
 * to one that is idle. Errors: -EAGAIN when there is none, and those of pool_start_frame.
 */
bool pool_has_unproven(const struct pool *pool, uint64_t since_ns);
int pool_start_probe(struct pool *pool, struct frame *frame, uint64_t since_ns);

/* Every worker has answered a frame since then, or is at work, or is being replaced without
 * trouble. */
bool pool_healthy(const struct pool *pool, uint64_t since_ns, uint64_t now_ns);

/* Publish in `pool` all that was published in `from`, whose adapters' models have the same numbers.
 * Errors: negative errno of dup; nothing was published then. */
int pool_inherit(struct pool *pool, const struct pool *from);

/* Of the weights that would judge the frame now. */
uint64_t pool_generation(const struct pool *pool, const struct frame *frame);

void pool_get_stats(const struct pool *pool, struct pool_stats *ret_stats);

/* Sum of the workers' resident memory; reads /proc for each. */
uint64_t pool_resident_bytes(const struct pool *pool);

#endif
