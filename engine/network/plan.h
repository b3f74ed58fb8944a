/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * A look inside a plan and a run, for calibration, measurements and tests. Frames go through
 * network_run.
 */
#ifndef OCELLUS_ENGINE_NETWORK_PLAN_H
#define OCELLUS_ENGINE_NETWORK_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "engine/network/model.h"

enum network_type { NETWORK_TYPE_U8 = 0, NETWORK_TYPE_F32, NETWORK_TYPE_S32 };

/* One activation: element (y, x, c) is data[y * row + x * shape.channels + c] of its type. int8
 * codes are kept as uint8 with `offset` added; offset is 0 for everything else. */
struct network_activation {
    struct network_shape shape;
    uint8_t type; /* enum network_type */
    uint8_t offset;
    size_t row; /* elements from one row to the next */
    const void *data;
};

/* Called after each layer, in order; the data is gone after the call. A packed convolution that
 * takes the maximum of its pool itself has no call of its own. */
typedef void network_observer(void *user, uint32_t layer,
                              const struct network_activation *activation);

/* network_run, with an observer (may be NULL). */
void network_run_observed(const struct network_plan *plan, void *arena, const void *codes,
                          int32_t *scores, network_observer *observer, void *user);

/* Bytes of the weights as the plan's kernels keep them. */
size_t network_plan_packed_bytes(const struct network_plan *plan);

#endif
