/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The daemon as systemd sees it: READY, STATUS, WATCHDOG, STOPPING, and the frames of its own by
 * which it knows that its workers work. Without a service manager it only makes those. Loop thread
 * only; it serves nobody.
 *
 * A worker is proven when it has answered a frame: any, or else the daemon's own, which a new
 * process gets first and an idle one once in each period of the watchdog. READY is sent when the
 * first is proven. The watchdog is fed while every worker was proven in the last period, or is at
 * work, or is being replaced and that does not fail.
 */
#ifndef OCELLUS_DAEMON_SERVICE_H
#define OCELLUS_DAEMON_SERVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "daemon/frame.h"

struct fleet;
struct server;

#define SERVICE_STATUS_BYTES 1024u

struct service {
    struct server *server;
    uv_timer_t watchdog, status;
    uint64_t period_start_ns;        /* the watchdog's; 0: there is none */
    bool managed;                    /* somebody listens */
    bool announced;                  /* READY was sent */
    bool starving;                   /* the watchdog was not fed in the last period */
    bool lowered;                    /* load makes "auto" a cheaper operating point */
    uint64_t lowered_ns;             /* when a frame got one last */
    int told_state;                  /* what the last event of the state said; -1: there was none */
    char told[SERVICE_STATUS_BYTES]; /* the status line that was sent last */
};

void service_init(struct service *service, struct server *server);

/* STOPPING, and no more of anything. */
void service_stop(struct service *service);

/* The pool's `changed`: new workers get a frame to prove themselves. */
void service_pool_changed(struct service *service, const struct fleet *fleet);

/* The pool's `finished` of a frame whose `probe` is set. Frees it. */
void service_probe_finished(struct service *service, struct fleet *fleet, struct frame *frame,
                            enum proto_error error, const char *message);

/* RELOADING, and READY again, whatever came of it: what went wrong stays in the status line. */
void service_reloading(struct service *service);
void service_reloaded(struct service *service);

/* Make an event of the state, where that has changed. */
void service_tell(struct service *service);

/* A frame was judged, maybe at a cheaper operating point than its camera's load of one would be. */
void service_frame_judged(struct service *service, const struct frame *frame);

/* Something happened that the status line may tell, within ten seconds. Cheap. */
void service_note(struct service *service);

#endif
