/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What cJSON lets pass and a stranger's bytes must not: a strict check before parsing, and exact
 * integers after it. Builds no tree.
 */
#ifndef OCELLUS_PROTO_JSON_H
#define OCELLUS_PROTO_JSON_H

#include <stddef.h>
#include <stdint.h>

#define PROTO_JSON_VALUES_MAX 1024u /* values in one text: bounds the memory of its tree */

struct cJSON;

/*
 * Check that data[0..length) is one JSON text of RFC 8259 and nothing else, in UTF-8, nested at
 * most `depth_max` deep, with at most PROTO_JSON_VALUES_MAX values and no \u0000. Errors: -EBADMSG,
 * *ret_reason a static sentence.
 */
int proto_json_check(const char *data, size_t length, unsigned depth_max, const char **ret_reason);

/* Check and parse. Errors: as above, -ENOMEM. The caller owns the tree. */
int proto_json_parse(const char *data, size_t length, unsigned depth_max, struct cJSON **ret_root,
                     const char **ret_reason);

/*
 * Bytes of text[0..size) before the first that means something in a string: a quote, a backslash, a
 * control character or one that is not ASCII. An encoded picture is one long run of the others.
 */
size_t proto_json_plain(const char *text, size_t size);

/* The value of a number that is whole and in 0..2^53, else -1 (not a number, not there). */
int64_t proto_json_whole(const struct cJSON *item);

#endif
