/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * A cascade of two models: a cheap detector looks at every frame and wakes a bigger recogniser, the
 * purpose of BinarEye's operating points (Moons et al. 2018, 1804.05554). It runs neither: whoever
 * owns the arenas does.
 */
#ifndef OCELLUS_ENGINE_NETWORK_CASCADE_H
#define OCELLUS_ENGINE_NETWORK_CASCADE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/network/network.h"

struct network_cascade {
    const struct network_plan *detector;
    uint32_t label; /* of the detector: what wakes */
    int32_t margin; /* units of a score */
};

/* The plan must outlive the cascade. Errors: -EINVAL  the detector has no such label, or has only
 * one. */
int network_cascade_init(struct network_cascade *cascade, const struct network_plan *detector,
                         uint32_t label, int32_t margin);

/* How far the label's score is above the largest other one, held to the range of int32. */
int32_t network_cascade_margin(const struct network_cascade *cascade, const int32_t *scores);

/* Whether the detector's scores wake the recogniser: their margin is the cascade's at least. A
 * negative margin wakes more often than the label wins. */
bool network_cascade_wakes(const struct network_cascade *cascade, const int32_t *scores);

#endif
