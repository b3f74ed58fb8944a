/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The file of tokens by which clients on TCP prove who they are. Internal to config/. A line for
 * each, none holds the token itself:
 *
 *     ROLE NAME SHA256     client, trainer or admin; a name for people; 64 hexadecimal digits
 *
 * Empty lines and those that begin with # do not count.
 */
#ifndef OCELLUS_CONFIG_TOKENS_H
#define OCELLUS_CONFIG_TOKENS_H

#include "config/config.h"

/* Fill in config->tokens from the file that the configuration names, else from `tokens` in
 * $CREDENTIALS_DIRECTORY, else none. Errors as config_load. */
int config_tokens_load(struct config *config, struct config_error *ret_error);

#endif
