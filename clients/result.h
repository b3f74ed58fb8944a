/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* JSON of a result -> struct ocellus_result. Internal to clients/; knows no connection. */
#ifndef OCELLUS_CLIENTS_RESULT_H
#define OCELLUS_CLIENTS_RESULT_H

#include "clients/ocellus_client.h"

struct cJSON;

/* Copies what it needs; `json` stays the caller's (NULL is refused). The caller owns *ret_result.
 * Errors: OCELLUS_DISCONNECTED something is missing or of the wrong kind, OCELLUS_MEMORY. */
enum ocellus_error result_from_json(const struct cJSON *json, struct ocellus_result **ret_result);
void result_destroy(struct ocellus_result *result);

/* One line of JSON with whole numbers exact up to 2^53 (cJSON rounds them to 15 digits); it changes
 * the tree's numbers. NULL when out of memory; else the caller frees it. */
char *result_print(struct cJSON *json);

#endif
