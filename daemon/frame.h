/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * One frame's way through the daemon: made by a door, held by admission, run by the pool, given
 * back to its door. All of it happens on the loop thread.
 */
#ifndef OCELLUS_DAEMON_FRAME_H
#define OCELLUS_DAEMON_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "daemon/authorise.h"
#include "daemon/worker/job.h"
#include "proto/error.h"
#include "proto/request.h"
#include "proto/result.h"

struct frame {
    /* set by the door */
    struct peer peer; /* who sent it */
    char camera[PROTO_CAMERA_BYTES];
    char model[PROTO_CAMERA_BYTES]; /* empty: the camera's */
    char point[PROTO_CAMERA_BYTES]; /* operating point, or "auto"; empty: the camera's */
    enum job_source source;
    uint8_t *bytes; /* JOB_SOURCE_REGION: malloc'd, owned by the frame */
    int fd;         /* MAP and PREAD: owned by the frame, else -1 */
    size_t length;
    enum image_kind kind;
    struct image_sensor sensor;
    enum proto_scan scan_wish;
    bool want_codes;     /* the result's codes are kept */
    size_t reserved;     /* bytes of admission's budget that go back when the frame is destroyed */
    uint64_t arrived_ns; /* CLOCK_MONOTONIC, when the whole request was in memory */
    /* Called exactly once, on the loop thread, unless the frame was cancelled. The frame stays
     * admission's: it is not to be touched after the call. error == PROTO_OK: result is valid
     * during the call. */
    void (*done)(struct frame *frame, enum proto_error error, const char *message,
                 const struct proto_result *result);
    void *door; /* for done */

    /* admission's and the pool's */
    struct setup *setup;                  /* by which it was admitted */
    const struct config_camera *settings; /* of its camera, then */
    uint32_t home_model;                  /* that of its camera, then */
    uint64_t id;
    uint64_t deadline_ns;
    uint64_t started_ns;
    uint32_t model_index;
    uint32_t point_index; /* the point of "auto" is chosen when a worker gets the frame */
    bool exits;           /* the point is where to start */
    struct job_scan scan; /* not wanted: the whole frame is classified */
    const struct config_scan *scan_config; /* of its camera */
    const struct job_motion *before;       /* of its camera; NULL: scan all of it */
    bool want_colour;
    enum image_colour colour; /* of its camera's pictures, as far as is known */
    uint32_t adapter;         /* 1 + the adapter that judges it; 0: the model as it is */
    const char *adapter_name; /* of the configuration */
    uint64_t generation;      /* of the weights that judge it */
    bool probe;               /* the daemon's own, by which a worker is proven (service.h) */
    bool cancelled;           /* nobody waits for its result any more: it only has to come back */
};

struct frame *frame_create(void);        /* NULL: out of memory; fd is -1 */
void frame_destroy(struct frame *frame); /* frees bytes, closes fd; NULL is fine */

#endif
