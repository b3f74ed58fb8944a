/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The inside of the pool: one worker process, its region and its doorbell. Only pool.c and
 * pool_worker.c include this. A slot goes DOWN -> STARTING -> IDLE <-> BUSY, from BUSY and IDLE by
 * way of UPDATING to IDLE where there are new weights, from each of them to DYING, and from there
 * to DOWN again.
 */
#ifndef OCELLUS_DAEMON_POOL_WORKER_H
#define OCELLUS_DAEMON_POOL_WORKER_H

#include "daemon/pool.h"

enum pool_state {
    POOL_DOWN,     /* no process; one is started at deadline_ns */
    POOL_STARTING, /* is being handed its models, until deadline_ns */
    POOL_UPDATING, /* is being handed weights, until deadline_ns; else as IDLE */
    POOL_IDLE,
    POOL_BUSY,  /* has a frame, until deadline_ns */
    POOL_DYING, /* killed, or found dead; its handles are being closed */
};

struct pool_worker {
    struct pool *pool;
    enum pool_state state;
    uv_process_t process;
    uv_poll_t poll;
    uint32_t handles; /* of process and poll: those not closed yet */
    bool running;     /* process has a pid that was not waited for */
    int doorbell;     /* -1: none */
    int region_fd;
    void *region;             /* struct job_result, then frame bytes */
    struct frame *frame;      /* BUSY */
    uint32_t models;          /* STARTING: acknowledged so far */
    uint64_t weights;         /* the last published weights that were handed over */
    uint64_t generation;      /* BUSY: of the weights that must judge the frame */
    uint64_t sequence;        /* of the message that waits for its answer */
    struct job_message asked; /* BUSY: that message */
    uint64_t frames;          /* done by this process */
    uint64_t deadline_ns;     /* CLOCK_MONOTONIC */
    uint64_t answered_ns;     /* the last frame of this process; 0: none yet */
    uint64_t lost_ns;         /* when its last process was given up */
    uint32_t failed_starts;   /* in a row */
};

/* Published weights; those of a layer that were replaced are forgotten. */
struct pool_published {
    struct pool_weights weights;
    uint64_t number; /* they are handed over in the order of their numbers */
};

#define POOL_PUBLISHED_MAX (JOB_ADAPTERS_MAX * 8u) /* adapters train eight layers at most */

struct pool {
    struct pool_options options;
    uv_loop_t *loop;
    uv_timer_t timer;  /* the nearest deadline of all workers */
    uint64_t timer_ns; /* when it fires; UINT64_MAX: not armed */
    uv_idle_t spin;
    uint64_t spin_until_ns;
    bool spin_allowed;
    bool destroying;
    bool answering;   /* an answer is being handed out: `result` holds it */
    uint32_t handles; /* of timer and spin: those not closed yet */
    void (*closed)(void *context);
    void *closed_context;
    uint64_t sequence;
    size_t region_bytes;
    struct pool_stats stats;
    struct pool_published published[POOL_PUBLISHED_MAX];
    uint32_t published_count;
    uint64_t published_number;
    uint64_t generations[JOB_ADAPTERS_MAX]; /* 0: nothing was published */
    struct job_result *result;              /* the copy that is checked and handed out */
    struct pool_worker workers[];
};

/* Makes the slot's region. Errors: negative errno of memfd_create, fallocate, mmap. */
int pool_worker_init(struct pool_worker *worker, struct pool *pool);
void pool_worker_finish(struct pool_worker *worker);

/* Start a process in a slot that is DOWN; if that fails it stays DOWN until a later deadline. */
void pool_worker_start(struct pool_worker *worker);

/* For pool_worker.c: the process, with the slot's region and its end of the doorbell, which stays
 * the caller's. Errors: those of uv_spawn. */
int pool_worker_spawn(struct pool_worker *worker, int doorbell, uv_exit_cb on_exit);

/* Hand a frame to an IDLE worker. Errors: -EIO (the worker is retired), -ENOMEM. */
int pool_worker_run(struct pool_worker *worker, struct frame *frame);

/* Take the worker's answer, if there is one. */
void pool_worker_collect(struct pool_worker *worker);

/* End the process, if there is one. Its frame is answered with the error. Calls no `changed`. */
void pool_worker_retire(struct pool_worker *worker, enum proto_error error, const char *message);

/* Hand an IDLE worker what was published since it last got something. */
void pool_worker_update(struct pool_worker *worker);

/* The worker's deadline has passed. */
void pool_worker_expire(struct pool_worker *worker);

/* For pool_worker.c: have the timer fire by `deadline_ns`; note that a slot has no handles left;
 * tell the owner. */
void pool_arm(struct pool *pool, uint64_t deadline_ns);
void pool_slot_closed(struct pool *pool);
void pool_changed(struct pool *pool);

#endif
