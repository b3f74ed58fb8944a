/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The packed codes of a camera's last frames, by frame id, in a fixed number of bytes: the newest
 * push out the oldest. Knows nothing of what the codes mean.
 */
#ifndef OCELLUS_DAEMON_RING_H
#define OCELLUS_DAEMON_RING_H

#include <stddef.h>
#include <stdint.h>

struct ring;

/* bytes: all memory that it takes. Errors: -ENOMEM, -EINVAL (too few for anything). */
int ring_create(size_t bytes, struct ring **ret_ring);
void ring_destroy(struct ring *ring);

/* Keep a frame's codes. Ids rise. What is larger than the ring is not kept. */
void ring_put(struct ring *ring, uint64_t frame, const void *codes, size_t size);

/* The codes of a frame, valid until the next ring_put; NULL: it is not there, or no longer. */
const uint8_t *ring_get(const struct ring *ring, uint64_t frame, size_t *ret_size);

/* Frames that are there. */
uint32_t ring_count(const struct ring *ring);

#endif
