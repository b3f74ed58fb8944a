/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Ownership of a description's layers. */
#include "engine/lab/draft.h"

#include <stdlib.h>
#include <string.h>

void lab_draft_init(struct lab_draft *draft)
{
    memset(draft, 0, sizeof(*draft));
    draft->point = (struct network_point){.name = "default", .layers = draft->layers};
    draft->description.points = &draft->point;
    draft->description.point_count = 1;
}

void lab_draft_finish(struct lab_draft *draft)
{
    for (uint32_t i = 0; i < draft->point.layer_count; i++) {
        const struct network_layer *layer = &draft->layers[i];
        free((void *)layer->weight_s8);
        free((void *)layer->weight_f32);
        free((void *)layer->bias_s32);
        free((void *)layer->bias_f32);
        free((void *)layer->mult);
        free((void *)layer->weight_codes);
        free((void *)layer->nonzero);
        free((void *)layer->bias_s64);
        free((void *)layer->threshold_s32);
        free((void *)layer->threshold_s64);
    }
    lab_draft_init(draft);
}

struct network_layer *lab_draft_add(struct lab_draft *draft, const char *name)
{
    uint32_t index = draft->point.layer_count;
    if (index == NETWORK_LAYERS_MAX || (name && strlen(name) > NETWORK_LAYER_NAME_MAX)) {
        return NULL;
    }
    struct network_layer *layer = &draft->layers[index];
    *layer = (struct network_layer){.input = index};
    if (name) {
        strcpy(draft->names[index], name);
        layer->name = draft->names[index];
    }
    draft->point.layer_count++;
    return layer;
}
