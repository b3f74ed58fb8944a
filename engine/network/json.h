/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Strict JSON over cJSON, and the field readers that model files need. Not for use outside
 * engine/network.
 */
#ifndef OCELLUS_ENGINE_NETWORK_JSON_H
#define OCELLUS_ENGINE_NETWORK_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cJSON;

#define NETWORK_JSON_DEPTH_MAX 16u

/*
 * Parse one object; text[size] must be NUL, since cJSON may look one byte too far. Refused with a
 * static sentence in *ret_reason: no valid UTF-8, NUL characters (also escaped), a key twice in an
 * object, deeper nesting than the limit, anything but spaces behind it. The caller gives *ret_json
 * to cJSON_Delete. Errors: -EBADMSG, -ENOMEM.
 */
int network_json_parse(const char *text, size_t size, struct cJSON **ret_json,
                       const char **ret_reason);

/* Whether every key of the object is one of `keys` (a list ending in NULL). */
bool network_json_only(const struct cJSON *object, const char *const *keys);

/* Whether the value exists, is a whole number and lies in low..high, which is within +-2^53. */
bool network_json_integer(const struct cJSON *value, int64_t low, int64_t high,
                          int64_t *ret_number);

/* Gives the item to an object, or with key NULL to an array. False, and the item is freed, when
 * either is NULL or memory is short. */
bool network_json_add(struct cJSON *to, const char *key, struct cJSON *item);

/* Index of a string value in `words` (a list ending in NULL), or -1. */
int network_json_word(const struct cJSON *value, const char *const *words);

/* Whether text[size] is valid UTF-8; with `printable` also free of control characters (C0, DEL,
 * C1). */
bool network_utf8(const char *text, size_t size, bool printable);

#endif
