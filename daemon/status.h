/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The state of the daemon as people and programs see it: one JSON object for both doors, as
 * io.ocellus.varlink describes it. Changes nothing. */
#ifndef OCELLUS_DAEMON_STATUS_H
#define OCELLUS_DAEMON_STATUS_H

#include <stddef.h>
#include <stdint.h>

struct cJSON;
struct server;

/* NULL when out of memory. The caller owns the tree. */
struct cJSON *status_to_json(const struct server *server);

/* Resident bytes of this process, 0 when /proc does not tell. */
uint64_t status_resident_bytes(void);

/* One line for the service manager. */
void status_line(const struct server *server, char *out, size_t size);

#endif
