/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Reloading: configuration and models are read anew, checked whole, and take effect at one moment
 * of the loop. Frames that were admitted before end by what they were admitted by. Where anything
 * is wrong all stays as it is. Loop thread only.
 *
 * Reloads that are asked for while one is under way are one reload after it. Where models or
 * workers change, new workers are started beside the old ones, and take over when each has judged a
 * picture.
 */
#ifndef OCELLUS_DAEMON_RELOAD_H
#define OCELLUS_DAEMON_RELOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "config/config.h"
#include "daemon/admission.h"
#include "daemon/fleet.h"

struct method_call;
struct server;

struct reload {
    struct server *server;
    const char *path;                 /* of the configuration */
    uv_timer_t timer;                 /* how long new workers may take */
    uv_timer_t soon;                  /* the loop's next turn, for signals */
    struct setup *next;               /* prepared, its workers are starting; NULL: none */
    struct method_call *calls;        /* answered by the reload that is under way */
    struct method_call *later;        /* by the one after it */
    bool again;                       /* there is to be one */
    uint64_t done;                    /* configurations that took effect since the start */
    char trouble[CONFIG_ERROR_BYTES]; /* of the last reload, "FILE:LINE: REASON"; empty: it was good
                                       */
};

/* `path` is borrowed. */
void reload_init(struct reload *reload, struct server *server, const char *path);

/* The daemon ends: what is prepared is dropped, nobody is answered. */
void reload_stop(struct reload *reload);

/* Reload in the loop's next turn, or after the reload that is under way: signals that come in one
 * turn are one reload. */
void reload_soon(struct reload *reload);

/* The same for a client, who is answered when it is done, {"configuration":N}, or what is wrong. */
void reload_call(struct reload *reload, struct method_call *call);
void reload_cancel(struct reload *reload, struct method_call *call);

/* A fleet's worker became idle, or their number changed. */
void reload_fleet_changed(struct reload *reload, struct fleet *fleet);

/* A setup for the configuration, with the fleet in use if that suits, else with a new one. Takes
 * the configuration on success. Errors: ret_reason says why; negative errno. */
int setup_create(struct server *server, struct config *config, char *ret_reason, size_t size,
                 struct setup **ret_setup);

/* Nothing uses it any more. */
void setup_destroy(struct setup *setup);

#endif
