/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Values of a recipe's keys, each read and described by its kind. Knows no section. */
#include "engine/lab/recipe_values.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/gradient/gradient.h"
#include "engine/network/model.h"
#include "engine/train/train.h"

static bool read_count(const char **text, double min, double max, uint32_t *ret_count)
{
    if (**text < '0' || **text > '9') {
        return false;
    }
    char *end;
    errno = 0;
    unsigned long count = strtoul(*text, &end, 10);
    *text = end;
    *ret_count = (uint32_t)count;
    return errno == 0 && (double)count >= min && (double)count <= max;
}

static bool set_name(const char *text, char *name)
{
    size_t length = strlen(text);
    size_t good = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    if (length > NETWORK_NAME_MAX || good != length) {
        return false;
    }
    memcpy(name, text, length + 1);
    return true;
}

static bool set_word(const struct lab_recipe_key *key, const char *text, uint8_t *field)
{
    for (uint8_t i = 0; key->words[i]; i++) {
        if (strcmp(key->words[i], text) == 0) {
            *field = i;
            return true;
        }
    }
    return false;
}

static bool set_count(const struct lab_recipe_key *key, const char *text, void *field)
{
    uint32_t count;
    if (!read_count(&text, key->min, key->max, &count) || *text != '\0') {
        return false;
    }
    uint16_t half = (uint16_t)count;
    uint8_t byte = (uint8_t)count;
    memcpy(field, key->size == 1 ? &byte : key->size == 2 ? (void *)&half : &count, key->size);
    return true;
}

static bool set_pair(const struct lab_recipe_key *key, const char *text, uint16_t *pair)
{
    uint32_t first, second;
    if (!read_count(&text, key->min, key->max, &first)) {
        return false;
    }
    second = first;
    if (*text == 'x') {
        text++;
        if (!read_count(&text, key->min, key->max, &second)) {
            return false;
        }
    }
    pair[0] = (uint16_t)first;
    pair[1] = (uint16_t)second;
    return *text == '\0';
}

static bool set_real(const struct lab_recipe_key *key, const char *text, float *field)
{
    char *end;
    if (text[strspn(text, "0123456789.eE+-")] != '\0') { /* no blanks, no hexadecimals, no words */
        return false;
    }
    double value = strtod(text, &end);
    *field = (float)value;
    return *end == '\0' && value >= key->min && value <= key->max;
}

static bool set_flag(const char *text, bool *field)
{
    *field = strcmp(text, "yes") == 0;
    return *field || strcmp(text, "no") == 0;
}

/* "u7", or "linear:4", "log:4" or "log:4:sqrt2" */
static bool set_coding(const struct lab_recipe_key *key, const char *text,
                       struct train_coding *coding)
{
    uint32_t bits;
    const bool log = strncmp(text, "log:", 4) == 0, linear = strncmp(text, "linear:", 7) == 0;
    *coding = (struct train_coding){0};
    if (!log && !linear) {
        return set_word(key, text, &coding->kind);
    }
    text += log ? 4 : 7;
    if (!read_count(&text, 2, 5, &bits)) {
        return false;
    }
    coding->kind = log ? TRAIN_LOG : TRAIN_LEVELS;
    coding->bits = (uint8_t)bits;
    coding->fsr = TRAIN_FSR_TRACKED;
    coding->root = log && strcmp(text, ":sqrt2") == 0;
    return coding->root || *text == '\0';
}

/* "9/8" or "9/8 5/4 2/1" */
static bool set_ratios(const char *text, struct gradient_ratio *ratio)
{
    for (size_t i = 0; i < 3; i++) {
        uint32_t p, q;
        if (!read_count(&text, 1, 4096, &p) || *text++ != '/' || !read_count(&text, 1, 4096, &q)) {
            return false;
        }
        ratio[i] = (struct gradient_ratio){(uint16_t)p, (uint16_t)q};
        text += strspn(text, " ");
        if (*text == '\0') {
            return i != 1;
        }
    }
    return false;
}

bool lab_recipe_value_set(const struct lab_recipe_key *key, const char *text, void *field)
{
    switch ((enum lab_value)key->value) {
    case LAB_VALUE_NAME:
        return set_name(text, field);
    case LAB_VALUE_WORD:
        return set_word(key, text, field);
    case LAB_VALUE_COUNT:
        return set_count(key, text, field);
    case LAB_VALUE_PAIR:
        return set_pair(key, text, field);
    case LAB_VALUE_REAL:
        return set_real(key, text, field);
    case LAB_VALUE_FLAG:
        return set_flag(text, field);
    case LAB_VALUE_RATIOS:
        return set_ratios(text, field);
    case LAB_VALUE_CODING:
        return set_coding(key, text, field);
    case LAB_VALUE_LAYER:
        break;
    }
    return false;
}

/* Returns the length, below room. */
static size_t list_words(const struct lab_recipe_key *key, char *text, size_t room)
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; key->words[i] && at < room; i++) {
        if (key->words[i][0] != '\0') {
            at += (size_t)snprintf(text + at, room - at, "%s%s", at > 0 ? ", " : "", key->words[i]);
        }
    }
    return at < room ? at : room - 1;
}

void lab_recipe_value_describe(const struct lab_recipe_key *key, char *text, size_t room)
{
    switch ((enum lab_value)key->value) {
    case LAB_VALUE_NAME:
        snprintf(text, room, "at most %u of A-Z a-z 0-9 . _ -", NETWORK_NAME_MAX);
        break;
    case LAB_VALUE_WORD:
        list_words(key, text, room);
        break;
    case LAB_VALUE_CODING: {
        size_t length = list_words(key, text, room);
        snprintf(text + length, room - length,
                 ", log:BITS, log:BITS:sqrt2 or linear:BITS with BITS from 2 to 5");
        break;
    }
    case LAB_VALUE_LAYER:
        snprintf(text, room, "the name of a layer before this one");
        break;
    case LAB_VALUE_COUNT:
        snprintf(text, room, "a whole number from %.0f to %.0f", key->min, key->max);
        break;
    case LAB_VALUE_PAIR:
        snprintf(text, room, "N or RxC, each from %.0f to %.0f", key->min, key->max);
        break;
    case LAB_VALUE_REAL:
        snprintf(text, room, "a number from %g to %g", key->min, key->max);
        break;
    case LAB_VALUE_FLAG:
        snprintf(text, room, "yes or no");
        break;
    case LAB_VALUE_RATIOS:
        snprintf(text, room, "P/Q, or three of them, each number from 1 to 4096");
        break;
    }
}
