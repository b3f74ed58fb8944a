/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Models that operators hand in while the daemon runs (io.ocellus.LoadModel), in place of the files
 * that the configuration names. Loop thread only, but for copying and syncing files.
 *
 *   STATE/.models/NAME/current    what stands for the configured file, also after a restart
 *   STATE/.models/NAME/previous   what stood there before it; absent: the configured file did
 *   STATE/.models/NAME/new        one that is being handed in; without meaning after a crash
 *
 * A file is written and synced under `new`, taken by a reload (daemon/reload.h) as any other
 * change, and gets its name only when workers have judged a picture with it. Who asked is answered
 * when the names are durable. One is handed in at a time. These writes are an operator's and do not
 * count against the write budget of learning.
 */
#ifndef OCELLUS_DAEMON_INSTALL_H
#define OCELLUS_DAEMON_INSTALL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "config/config.h"
#include "daemon/method.h"
#include "daemon/models.h"

struct install {
    struct server *server;
    char *state;               /* STATE; NULL: there is none */
    char *directory;           /* STATE/.models */
    bool busy;                 /* one is being handed in, or taken back */
    struct method_call *call;  /* whose answer it is; NULL: nobody waits any more */
    struct method_call reload; /* our own */
    uv_work_t work;
    char name[CONFIG_NAME_BYTES];
    bool rollback;
    bool has_previous;      /* of a rollback: it goes to `previous`, else to the configured file */
    int from;               /* the client's descriptor, -1: none */
    int file;               /* what the reload is to read, -1: none */
    bool whole;             /* it may be read: the work on it is done */
    char digest[65];        /* what its SHA-256 must be, in hexadecimal */
    double configuration;   /* that the reload gave */
    enum proto_error error; /* of the work, with a sentence */
    char message[256];
    atomic_bool stop; /* the daemon ends: copy no further */
};

/* Errors: -ENOMEM. */
int install_init(struct install *install, struct server *server, const struct config *config);

/* The daemon ends; nobody is answered. Work that runs ends before the loop does. */
void install_stop(struct install *install);
void install_finish(struct install *install);

/* From where models are read now; borrowed. */
struct models_source install_source(const struct install *install);

/* The methods: call->request names the model, and of a file its descriptor and SHA-256. */
void install_load(struct install *install, struct method_call *call);
void install_rollback(struct install *install, struct method_call *call);

/* Nobody waits for the answer; what was asked for happens all the same. */
void install_cancel(struct install *install, const struct method_call *call);

#endif
