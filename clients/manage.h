/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The commands `model` and `reload` once their options are read. They print what came of it, and
 * complain. */
#ifndef OCELLUS_CLIENTS_MANAGE_H
#define OCELLUS_CLIENTS_MANAGE_H

#include <stdbool.h>

#include "clients/ocellus_client.h"

struct manage_options {
    const char *model;  /* NULL: the default one */
    const char *sha256; /* of the file; NULL: whatever it is */
    bool json;
};

/* load FILE, or rollback */
bool manage_understands(char **arguments, int count);

/* Errors, already told: those of the daemon; OCELLUS_BAD_REQUEST of a file that cannot be read. */
enum ocellus_error manage_model(struct ocellus_client *client, const struct manage_options *options,
                                char **arguments, int count);
enum ocellus_error manage_reload(struct ocellus_client *client,
                                 const struct manage_options *options);

#endif
