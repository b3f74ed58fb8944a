/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Who sent frames that cost a worker lately. It only remembers; admission decides. Loop thread
 * only.
 */
#ifndef OCELLUS_DAEMON_STRIKES_H
#define OCELLUS_DAEMON_STRIKES_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/authorise.h"
#include "daemon/limits.h"

struct striker {
    struct peer peer;
    uint64_t times_ns[LIMIT_STRIKES]; /* of its last strikes, a ring; CLOCK_MONOTONIC; 0: none */
    uint32_t next;                    /* the place of the oldest */
};

/* All zeros: nobody. */
struct strikes {
    struct striker list[LIMIT_STRIKERS];
};

/* One of the peer's frames cost a worker. Root is not counted. */
void strikes_add(struct strikes *strikes, const struct peer *peer, uint64_t now_ns);

/* LIMIT_STRIKES within LIMIT_STRIKE_MS: is the peer out? */
bool strikes_out(const struct strikes *strikes, const struct peer *peer, uint64_t now_ns);

#endif
