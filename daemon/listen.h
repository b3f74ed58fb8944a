/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Listening sockets: made from the configuration or handed over by systemd. Accepts nothing.
 */
#ifndef OCELLUS_DAEMON_LISTEN_H
#define OCELLUS_DAEMON_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "config/config.h"

#define LISTEN_MAX 8u

enum listen_door {
    LISTEN_HTTP = 0,
    LISTEN_VARLINK,
    LISTEN_METRICS, /* HTTP, for monitors: what everybody may ask and nothing else */
};

struct listener {
    int fd;
    enum listen_door door;
    bool local;                   /* a Unix socket */
    char path[CONFIG_PATH_BYTES]; /* of a socket file that we made; empty: none */
    dev_t device;                 /* of that file */
    ino_t inode;
    uv_poll_t poll; /* the server's */
};

/*
 * Open every door: the sockets named "http", "varlink" and "metrics" that systemd passed, or when
 * it passed none the configuration's. A socket file that nobody listens on is replaced; one that
 * somebody does is an error. On failure nothing stays open and
 * ret_reason[0..reason_size) says why. Errors: negative errno.
 */
int listen_open(const struct config *config, gid_t group, struct listener listeners[LISTEN_MAX],
                uint32_t *ret_count, char *ret_reason, size_t reason_size);

/* Close, and remove the file if it is still ours. */
void listen_close(struct listener *listener);

#endif
