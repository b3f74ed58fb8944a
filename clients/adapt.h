/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The commands `label` and `adapt` once their options are read. They print; nothing is learned
 * here. */
#ifndef OCELLUS_CLIENTS_ADAPT_H
#define OCELLUS_CLIENTS_ADAPT_H

#include <stdbool.h>

#include "clients/ocellus_client.h"

struct adapt_options {
    const char *adapter; /* NULL: the only one */
    int box;             /* -1: none */
    bool json;
};

/* What was wrong, for the exit status. */
enum adapt_end { ADAPT_DONE = 0, ADAPT_FAILED, ADAPT_USAGE, ADAPT_GONE };

/* FRAME LABEL */
enum adapt_end adapt_label(struct ocellus_client *client, const struct adapt_options *options,
                           char **arguments, int count);
/* status, sync, undo, rollback NUMBER, reset, export FILE, import FILE */
enum adapt_end adapt_change(struct ocellus_client *client, const struct adapt_options *options,
                            char **arguments, int count);

#endif
