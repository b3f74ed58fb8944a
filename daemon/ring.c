/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Frames lie one behind the other, each behind its head; one that does not fit before the end goes
 * to the start. */
#include "daemon/ring.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN 8u

struct head {
    uint64_t frame;
    uint32_t size;   /* of the codes */
    uint32_t stride; /* to the next head */
};

struct ring {
    size_t room;        /* of the area */
    size_t first, next; /* the oldest head; where the next goes */
    bool wrapped;       /* the oldest lie behind the newest, up to `end` */
    size_t end;
    uint32_t count;
    _Alignas(ALIGN) uint8_t area[];
};

int ring_create(size_t bytes, struct ring **ret_ring)
{
    if (bytes < sizeof(struct ring) + sizeof(struct head) + ALIGN) {
        return -EINVAL;
    }
    struct ring *ring = malloc(bytes);
    if (ring == NULL) {
        return -ENOMEM;
    }
    *ring = (struct ring){.room = (bytes - sizeof(*ring)) / ALIGN * ALIGN};
    *ret_ring = ring;
    return 0;
}

void ring_destroy(struct ring *ring)
{
    free(ring);
}

uint32_t ring_count(const struct ring *ring)
{
    return ring->count;
}

static struct head head_at(const struct ring *ring, size_t at)
{
    struct head head;
    memcpy(&head, ring->area + at, sizeof(head));
    return head;
}

static void drop_first(struct ring *ring)
{
    ring->first += head_at(ring, ring->first).stride;
    if (ring->wrapped && ring->first == ring->end) {
        ring->first = 0;
        ring->wrapped = false;
    }
    if (--ring->count == 0) {
        ring->first = ring->next = 0;
    }
}

void ring_put(struct ring *ring, uint64_t frame, const void *codes, size_t size)
{
    if (size > UINT32_MAX - ALIGN - sizeof(struct head)) {
        return;
    }
    const size_t stride = sizeof(struct head) + (size + ALIGN - 1) / ALIGN * ALIGN;
    if (stride > ring->room) {
        return;
    }
    if (stride > ring->room - ring->next) { /* not before the end: go to the start */
        while (ring->wrapped) {
            drop_first(ring);
        }
        ring->wrapped = ring->count > 0;
        ring->end = ring->next;
        ring->next = 0;
    }
    while (ring->wrapped && ring->first - ring->next < stride) {
        drop_first(ring);
    }
    struct head head = {.frame = frame, .size = (uint32_t)size, .stride = (uint32_t)stride};
    memcpy(ring->area + ring->next, &head, sizeof(head));
    memcpy(ring->area + ring->next + sizeof(head), codes, size);
    ring->next += stride;
    ring->count++;
}

const uint8_t *ring_get(const struct ring *ring, uint64_t frame, size_t *ret_size)
{
    size_t at = ring->first;
    for (uint32_t i = 0; i < ring->count; i++) {
        struct head head = head_at(ring, at);
        if (head.frame == frame) {
            *ret_size = head.size;
            return ring->area + at + sizeof(head);
        }
        at += head.stride;
        if (ring->wrapped && at == ring->end) {
            at = 0;
        }
    }
    return NULL;
}
