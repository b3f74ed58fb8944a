/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Admission: bounded, fair between cameras, and the newest frame of a camera wins. Each camera has one waiting place and one
 * frame in work; a newer frame takes the waiting place and the older is answered TOO_BUSY ("superseded by a newer frame"). Cameras with
 * a waiting frame are served in turn. Frames past their deadline are dropped before they run. Loop thread only.
 */
#ifndef OCELLUS_DAEMON_ADMISSION_H
#define OCELLUS_DAEMON_ADMISSION_H

#include <stdint.h>
#include <uv.h>

#include "config/config.h"
#include "daemon/frame.h"
#include "daemon/pool.h"

/* Every frame sent is counted once: admitted frames end as answered, failed, superseded, expired or cancelled. */
struct admission_counters {
    uint64_t received, refused; /* refused: no room, unknown model, disabled camera */
    uint64_t answered, failed, superseded, expired, cancelled;
};

struct admission;

int admission_create(uv_loop_t *loop, const struct config *config, struct pool *pool,
                     struct admission **ret_admission);
void admission_destroy(struct admission *admission);

/* Takes the frame; frame->done runs exactly once, possibly before this returns (refused). */
void admission_submit(struct admission *admission, struct frame *frame);

/* The frame's client is gone: done will not run, the frame is destroyed here or when the pool gives it back. */
void admission_cancel(struct admission *admission, struct frame *frame);

#endif
