/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * One value of a key: text -> field of a struct, with its range checked. Internal to config/; it
 * knows no files, no sections and no defaults.
 */
#ifndef OCELLUS_CONFIG_VALUE_H
#define OCELLUS_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum value_kind {
    VALUE_BOOL,    /* bool: yes, no, true, false, on, off, 1, 0 */
    VALUE_COUNT,   /* uint32_t or uint64_t: 12; K M G are thousands */
    VALUE_RATIO,   /* uint32_t in 1/1024: 1.12; min and max are in 1/1024, too */
    VALUE_BYTES,   /* uint64_t: 4096, 4K; K M G are powers of 1024 */
    VALUE_MS,      /* uint32_t milliseconds: 800, 800ms, 2s */
    VALUE_US,      /* uint32_t microseconds: 50, 50us */
    VALUE_MODE,    /* uint32_t: three or four octal digits */
    VALUE_PATH,    /* char[]: absolute */
    VALUE_SOCKET,  /* char[]: absolute or empty */
    VALUE_ADDRESS, /* char[]: IPV4:PORT, [IPV6]:PORT or empty */
    VALUE_NAME,    /* char[]: of a camera or model */
    VALUE_LABEL,   /* char[]: of a model's class; not empty */
    VALUE_GROUP,   /* char[]: of a user group, or empty */
    VALUE_WORD,    /* char[]: small letters and digits */
    VALUE_CORNERS, /* struct config_polygon, from its count on: 0,60 100,60 100,100.5 */
};

struct value_key {
    const char *name;
    uint8_t kind;      /* enum value_kind */
    size_t offset;     /* of the field in the struct that it is set in */
    size_t size;       /* bytes of the field */
    uint64_t min, max; /* for numbers */
};

/* Set the field. -EBADMSG with a sentence in reason (of reason_size bytes) when the text is not
 * such a value. */
int config_value_set(const struct value_key *key, const char *text, void *fields, char *reason,
                     size_t reason_size);

/* A name of a camera or model: 1..63 of [A-Za-z0-9_.-], not starting with . or -. */
bool config_value_name_valid(const char *text);

#endif
