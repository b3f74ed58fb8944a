/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Admission: bounded, fair between cameras, and the newest frame of a camera wins. Each camera has
 * one waiting place and one frame in work; a newer frame takes the waiting place and the older is
 * answered TOO_BUSY ("superseded by a newer frame"). Cameras with a waiting frame are served in
 * turn. Frames past their deadline are answered DEADLINE at once, and never run when they still
 * wait. Loop thread only.
 *
 * A camera is declared in the configuration or appears by its first frame; when there are
 * cameras-max of them, the least recently used undeclared one without frames makes room.
 */
#ifndef OCELLUS_DAEMON_ADMISSION_H
#define OCELLUS_DAEMON_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "config/config.h"
#include "daemon/frame.h"
#include "daemon/models.h"
#include "daemon/pool.h"

/* Every frame sent is counted once: admitted frames end as answered, failed, superseded, expired or
 * cancelled. */
struct admission_counters {
    uint64_t received, refused; /* refused: no room, unknown model, disabled camera */
    uint64_t answered, failed, superseded, expired, cancelled;
    uint64_t pending; /* received and none of the others yet */
};

struct admission_camera {
    const char *name;
    uint32_t model_index;
    bool declared; /* by the configuration */
    bool enabled;
    struct admission_counters counters;
};

struct fleet;

/* What frames are admitted and judged by. A reload makes another one; each frame ends by the one
 * that it was admitted by. */
struct setup {
    struct config *config;
    struct models *models;
    struct pool *pool;
    struct fleet *fleet; /* whose models and pool these are */
    uint32_t frames;     /* admission's, that are not finished */
    bool pinned;         /* an adapter borrows from it to the end */
    /* Called when no frame is left of a setup that admission uses no more. */
    void (*idle)(struct setup *setup);
};

struct admission;

/* The setup is borrowed. */
int admission_create(uv_loop_t *loop, struct setup *setup, struct admission **ret_admission);

/* Admit by another setup from now on, with as many cameras-max. The one before is needed as long as
 * frames are left of it. */
void admission_switch(struct admission *admission, struct setup *setup);

/* Answer the waiting frames TOO_BUSY and take no more; to be called before pool_destroy. */
void admission_stop(struct admission *admission);

/* After admission_stop, when the pool is gone and the loop has run on. */
void admission_destroy(struct admission *admission);

/* Takes the frame; frame->done runs exactly once, possibly before this returns. */
void admission_submit(struct admission *admission, struct frame *frame);

/* The frame's client is gone: done will not run. */
void admission_cancel(struct admission *admission, struct frame *frame);

/* The pool's callbacks, to be handed on. `result` is NULL unless error is PROTO_OK. */
void admission_changed(struct admission *admission);
void admission_finished(struct admission *admission, struct frame *frame, enum proto_error error,
                        const char *message, const struct proto_result *result);

/* What the result of a frame says of its camera is remembered; to be called before the frame is
 * described and finished. */
void admission_observe(struct admission *admission, struct frame *frame,
                       const struct job_result *result);

/*
 * Memory of requests, all clients together, up to queue-bytes-max. What was reserved is released by
 * its holder, or by admission when it is handed over as frame->reserved.
 */
bool admission_reserve(struct admission *admission, size_t bytes);
void admission_release(struct admission *admission, size_t bytes);

/* Sums over all cameras, forgotten ones included, and the bytes reserved now. */
void admission_get_totals(const struct admission *admission, struct admission_counters *ret_totals,
                          uint64_t *ret_reserved);

/* Camera number `index`, counted from 0; false when there are no more. The name is valid until the
 * next frame. */
bool admission_get_camera(const struct admission *admission, uint32_t index,
                          struct admission_camera *ret_camera);

#endif
