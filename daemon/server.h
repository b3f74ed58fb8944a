/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The daemon as a whole: what all doors share, the list of connections, start and stop. Loop thread
 * only.
 */
#ifndef OCELLUS_DAEMON_SERVER_H
#define OCELLUS_DAEMON_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "config/config.h"
#include "daemon/authorise.h"
#include "daemon/events.h"
#include "daemon/install.h"
#include "daemon/listen.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/reload.h"
#include "daemon/service.h"
#include "engine/kernel/kernel.h"

struct adaptation;
struct method;

#define SERVER_SIGNALS 3u

struct server {
    uv_loop_t loop;
    struct setup *setup; /* in use; the next three are its */
    const struct config *config;
    struct models *models;
    struct pool *pool;
    struct setup *pinned; /* the first, where adapters borrow from it and it is not in use */
    struct fleet *fleets; /* a list */
    struct admission *admission;
    struct adaptation *adaptation; /* NULL: no camera learns */
    struct kernel_table kernels;   /* as all workers have it */
    uid_t service_uid;
    gid_t client_gid, trainer_gid; /* (gid_t)-1: there are no trainers */
    uint64_t started_ns;

    struct connection *connections; /* a list */
    uint32_t connection_count;

    struct listener listeners[LISTEN_MAX];
    uint32_t listener_count;
    uv_timer_t accept_timer; /* accepts again after descriptors ran out */
    uv_signal_t signals[SERVER_SIGNALS];
    struct service service;
    struct reload reload;
    struct install install;
    struct metrics metrics;
    struct events events;
    bool stopping;
    int result; /* what server_run returns */
    struct log log;
    uint64_t failures_logged;
};

/* The part of a connection that the server knows. Doors put it first in theirs. */
struct connection {
    struct server *server;
    struct peer peer;
    struct connection *previous, *next;
    void (*close)(struct connection *connection); /* drop it: no reply, frames cancelled */
};

/*
 * Run until a signal or an error stops it. Takes the configuration, which was read from `path`.
 * Errors, already logged: negative errno.
 */
int server_run(struct config *config, const char *path);

/* Load what the configuration names without serving anything. Takes the configuration. Errors:
 * logged, negative errno. */
int server_check(struct config *config);

/* From now on with this setup. */
void server_use(struct server *server, struct setup *setup);

void server_add(struct server *server, struct connection *connection);
void server_remove(struct connection *connection);

/* A client may shut down its sending half and wait for replies; true when it has closed both. */
bool server_peer_gone(int fd);

/* May this peer call the method? */
bool server_allows(const struct server *server, const struct method *method,
                   const struct peer *peer);

/* Stop, and have server_run fail. */
void server_fail(struct server *server, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A worker has judged the daemon's own frame, and one is there to take more. */
bool server_ready(const struct server *server);

#endif
