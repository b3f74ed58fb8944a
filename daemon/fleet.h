/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Models and the workers that have loaded them, which live and die together. There is one fleet, or
 * while a reload changes models or workers the next one beside it. Loop thread only.
 */
#ifndef OCELLUS_DAEMON_FLEET_H
#define OCELLUS_DAEMON_FLEET_H

#include "config/config.h"
#include "daemon/models.h"
#include "daemon/pool.h"

struct server;

struct fleet {
    struct server *server;
    struct models *models;
    struct pool *pool;           /* NULL: closed */
    struct pool_options options; /* as the pool has them */
    char worker_path[4096], cpu_mask[32];
    uint32_t users;    /* setups, that of a reload in work included */
    bool closing;      /* its pool is being closed */
    bool pinned;       /* its models are needed to the end: an adapter learns over them */
    bool proven;       /* a worker has judged the daemon's own picture */
    char refusal[160]; /* why it cannot; empty: it was not tried, or can */
    struct fleet *next;
};

/* Start workers, each with so much address space (memory_plan.h). Takes the models over on success; the caller is a user. Errors: negative errno of
 * pool_create. */
int fleet_create(struct server *server, const struct config *config, struct models *models,
                 uint64_t worker_bytes, struct fleet **ret_fleet);

/* How many workers it would have. */
uint32_t fleet_count_workers(const struct config *config);

/* Would fleet_create make the same again? */
bool fleet_suits(const struct fleet *fleet, const struct config *config,
                 const struct models *models, uint64_t worker_bytes);

/* Every worker is ready and has judged a picture. */
bool fleet_complete(const struct fleet *fleet);

/* A user less. The last one's frames are done: workers end, and with them goes the memory. */
void fleet_drop(struct fleet *fleet);

/* For the end: close the pools of all of the server's fleets; free what is left when the loop has
 * run on. */
void fleet_stop_all(struct server *server);
void fleet_free_all(struct server *server);

#endif
