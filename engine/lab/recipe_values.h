/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The kinds of values that keys of a recipe have. Not for files other than recipe.c. */
#ifndef OCELLUS_ENGINE_LAB_RECIPE_VALUES_H
#define OCELLUS_ENGINE_LAB_RECIPE_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lab_value {
    LAB_VALUE_NAME = 0, /* of a model: char[NETWORK_NAME_MAX + 1] */
    LAB_VALUE_WORD,     /* its number: uint8_t */
    LAB_VALUE_COUNT,    /* uint8_t, uint16_t or uint32_t */
    LAB_VALUE_PAIR,     /* uint16_t[2] */
    LAB_VALUE_REAL,     /* float */
    LAB_VALUE_FLAG,     /* bool */
    LAB_VALUE_RATIOS,   /* struct gradient_ratio[3] */
    LAB_VALUE_CODING,   /* struct train_coding */
    LAB_VALUE_LAYER,    /* uint8_t; what it means is known to recipe.c alone */
};

struct lab_recipe_key {
    const char *name;
    uint8_t section;
    uint8_t value; /* enum lab_value */
    bool required;
    uint8_t operations;       /* of [layer]: those that take it */
    size_t offset, size;      /* in the recipe, of [layer] in the layer */
    double min, max;          /* of COUNT, PAIR and REAL */
    const char *const *words; /* of WORD, and of CODING those without bits; "" stands for a number
                                 without word */
};

/* Reads a value into the key's field. Returns whether it is one; the field may be changed if not.
 */
bool lab_recipe_value_set(const struct lab_recipe_key *key, const char *text, void *field);

/* What a value should have been, in room bytes. */
void lab_recipe_value_describe(const struct lab_recipe_key *key, char *text, size_t room);

#endif
