/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* What happens in the daemon, for people. Internal to the command `ocellus`. */
#ifndef OCELLUS_CLIENTS_WATCH_H
#define OCELLUS_CLIENTS_WATCH_H

#include "clients/ocellus_client.h"

#include <stdbool.h>

/* Print events to stdout, each on a line as it comes, until the connection or the output ends.
 * Returns why. */
enum ocellus_error watch(struct ocellus_client *client, const char *camera, bool json);

#endif
