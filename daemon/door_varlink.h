/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The Varlink door: one connection at a time, with the descriptors that its messages bring. Names
 * and rights are the method table's, syntax is proto's. */
#ifndef OCELLUS_DAEMON_DOOR_VARLINK_H
#define OCELLUS_DAEMON_DOOR_VARLINK_H

#include "daemon/authorise.h"

struct server;

/* Serve a connected socket; the fd is taken over, also on failure. Errors: -ENOMEM, negative errno
 * of libuv. */
int door_varlink_open(struct server *server, int fd, const struct peer *peer);

#endif
