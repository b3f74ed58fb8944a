/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The command `token`: makes a secret for a client on TCP. It asks no daemon. */
#ifndef OCELLUS_CLIENTS_TOKEN_H
#define OCELLUS_CLIENTS_TOKEN_H

#include <stdbool.h>

/* Print a new token and the line for the file of tokens (ocellus.conf(5)). False: role or name are
 * not what that file takes, or there is no randomness; errno is 0 for the former. */
bool token_make(const char *role, const char *name);

#endif
