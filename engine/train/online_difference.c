/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * All that was learned as one record, for another trainer over the same base. It changes nothing.
 */
#include <errno.h>
#include <stdlib.h>

#include "engine/train/online_internal.h"

static uint8_t *put(uint8_t *p, uint32_t x, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        p[i] = (uint8_t)(x >> (8 * i));
    }
    return p + bytes;
}

/* Bytes of the biases and steps that describe_node makes. */
static size_t room_of(const struct online_node *node)
{
    return 4 * (size_t)node->rows + 2 * (size_t)node->rows * node->columns;
}

/* Whether the layer is another than the base's. Errors: -ERANGE. */
static int describe_node(const struct online_node *node, uint8_t *room,
                         struct train_delta_layer *layer)
{
    uint8_t *at = room;
    bool any = false;

    *layer = (struct train_delta_layer){.layer = node->index,
                                        .rank = TRAIN_DELTA_DENSE,
                                        .rows = node->rows,
                                        .columns = node->columns,
                                        .bias = room,
                                        .left = room + 4 * (size_t)node->rows};
    for (uint32_t o = 0; o < node->rows; o++) {
        const int64_t add = (int64_t)node->durable.bias[o] - node->layer->bias_s32[o];

        if (add != (int32_t)add) {
            return -ERANGE;
        }
        any = any || add != 0;
        at = put(at, (uint32_t)add, 4);
    }
    for (size_t i = 0; i < (size_t)node->rows * node->columns; i++) {
        const int step = node->layer->weight_s8[i] - node->durable.codes[i];

        any = any || step != 0;
        at = put(at, (uint32_t)step, 2);
    }
    return any;
}

/* The gains as a record has them; `room` has 4 bytes for each class. */
static void describe_head(const struct train_prototypes *head, uint8_t *room,
                          struct train_delta *delta)
{
    delta->prototypes = true;
    delta->classes = head->classes;
    delta->features = head->features;
    delta->exponent = head->exponent;
    delta->gain = room;
    delta->means = head->means;
    for (uint32_t c = 0; c < head->classes; c++) {
        room = put(room, (uint32_t)head->gain[c], 4);
    }
}

/* Into `room`. Errors: -ERANGE, -ENOENT where nothing was learned. */
static int describe(const struct train_online *online, uint8_t *room, struct train_delta *delta)
{
    for (uint32_t i = 0; i < online->node_count; i++) {
        const struct online_node *node = &online->nodes[i];
        const int r =
            node->trained ? describe_node(node, room, &delta->layers[delta->layer_count]) : 0;

        if (r < 0) {
            return r;
        }
        delta->layer_count += (uint32_t)r;
        room += r > 0 ? room_of(node) : 0;
    }
    if (online->durable_head.present) {
        describe_head(&online->durable_head, room, delta);
    }
    return delta->layer_count > 0 || delta->prototypes ? 0 : -ENOENT;
}

int train_online_difference(const struct train_online *online, void **ret_record, size_t *ret_size)
{
    struct train_delta delta = {.base = online->base};
    size_t size = online->can_prototype ? 4 * (size_t)online->durable_head.classes : 0;
    int r = 0;

    for (uint32_t i = 0; i < online->node_count; i++) {
        size += online->nodes[i].trained ? room_of(&online->nodes[i]) : 0;
    }
    uint8_t *room = malloc(size), *record = NULL;
    r = room != NULL ? describe(online, room, &delta) : -ENOMEM;
    if (r == 0) {
        record = malloc(train_delta_size(&delta));
        r = record != NULL ? 0 : -ENOMEM;
    }
    if (r == 0) {
        train_delta_write(&delta, record);
        *ret_record = record;
        *ret_size = train_delta_size(&delta);
    }
    free(room);
    return r;
}
