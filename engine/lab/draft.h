/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * A model description under construction that owns its layers' names and arrays. Computes nothing.
 */
#ifndef OCELLUS_ENGINE_LAB_DRAFT_H
#define OCELLUS_ENGINE_LAB_DRAFT_H

#include "engine/network/model.h"

struct lab_draft {
    /* name, labels and provenance are borrowed; layers and layer_count are kept by the calls below.
     */
    struct network_description description;
    struct network_point point; /* the only one */
    struct network_layer layers[NETWORK_LAYERS_MAX];
    char names[NETWORK_LAYERS_MAX][NETWORK_LAYER_NAME_MAX + 1];
};

void lab_draft_init(struct lab_draft *draft);
/* Frees the arrays of every layer. */
void lab_draft_finish(struct lab_draft *draft);

/*
 * Appends a layer that reads the one before, with a copy of `name` (NULL for layers without). The caller may set its fields;
 * arrays put there come from malloc and belong to the draft. NULL when there is no room or the name
 * is too long.
 */
struct network_layer *lab_draft_add(struct lab_draft *draft, const char *name);

#endif
