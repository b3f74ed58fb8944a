/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * JSON trees with one look at memory at the end: each call does nothing to a tree that could not be
 * built, and json_builder_finish tells. Any thread; one tree per builder.
 */
#ifndef OCELLUS_DAEMON_JSON_BUILDER_H
#define OCELLUS_DAEMON_JSON_BUILDER_H

#include <stdbool.h>

struct cJSON;

struct json_builder {
    bool good; /* starts true; false when memory ran out */
};

/* Names are borrowed: they must be literals. Numbers that are not finite become 0. */
void json_put(struct json_builder *builder, struct cJSON *object, const char *name,
              struct cJSON *item);
void json_put_number(struct json_builder *builder, struct cJSON *object, const char *name,
                     double value);
void json_put_string(struct json_builder *builder, struct cJSON *object, const char *name,
                     const char *text);
void json_put_bool(struct json_builder *builder, struct cJSON *object, const char *name,
                   bool value);

/* A new member or element; NULL: no memory. The tree owns it. */
struct cJSON *json_put_object(struct json_builder *builder, struct cJSON *object, const char *name);
struct cJSON *json_put_array(struct json_builder *builder, struct cJSON *object, const char *name);
struct cJSON *json_append_object(struct json_builder *builder, struct cJSON *array);

/* The tree, the caller's; NULL, and the tree is gone, when it could not be built. */
struct cJSON *json_builder_finish(const struct json_builder *builder, struct cJSON *root);

#endif
