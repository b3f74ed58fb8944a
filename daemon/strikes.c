/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* A small table that is searched from end to end. It keeps nothing of the frames themselves. */
#include "daemon/strikes.h"

#include <stddef.h>

#define STRIKE_NS (LIMIT_STRIKE_MS * UINT64_C(1000000))

static uint64_t last_ns(const struct striker *striker)
{
    return striker->times_ns[(striker->next + LIMIT_STRIKES - 1) % LIMIT_STRIKES];
}

void strikes_add(struct strikes *strikes, const struct peer *peer, uint64_t now_ns)
{
    struct striker *place = &strikes->list[0];
    if (peer->class == PEER_ROOT) {
        return;
    }
    for (uint32_t i = 0; i < LIMIT_STRIKERS; i++) {
        struct striker *striker = &strikes->list[i];
        if (last_ns(striker) != 0 && authorise_same_peer(&striker->peer, peer)) {
            place = striker;
            break;
        }
        if (last_ns(striker) < last_ns(place)) {
            place = striker;
        }
    }
    if (!authorise_same_peer(&place->peer, peer)) {
        *place = (struct striker){.peer = *peer};
    }
    place->times_ns[place->next] = now_ns;
    place->next = (place->next + 1) % LIMIT_STRIKES;
}

bool strikes_out(const struct strikes *strikes, const struct peer *peer, uint64_t now_ns)
{
    for (uint32_t i = 0; i < LIMIT_STRIKERS; i++) {
        const struct striker *striker = &strikes->list[i];
        if (last_ns(striker) != 0 && authorise_same_peer(&striker->peer, peer)) {
            const uint64_t oldest = striker->times_ns[striker->next];
            return oldest != 0 && now_ns - oldest < STRIKE_NS;
        }
    }
    return false;
}
