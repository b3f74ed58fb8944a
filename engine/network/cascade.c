/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Decides whether a detector's scores wake the recogniser. It runs no network. */
#include "engine/network/cascade.h"

#include <errno.h>

#include "engine/network/plan_internal.h"

int network_cascade_init(struct network_cascade *cascade, const struct network_plan *detector,
                         uint32_t label, int32_t margin)
{
    if (detector->labels < 2 || label >= detector->labels) {
        return -EINVAL;
    }
    *cascade = (struct network_cascade){detector, label, margin};
    return 0;
}

int32_t network_cascade_margin(const struct network_cascade *cascade, const int32_t *scores)
{
    int64_t other = INT64_MIN; /* 64 bits: the difference of two scores needs 33 */

    for (uint32_t i = 0; i < cascade->detector->labels; i++) {
        if (i != cascade->label && scores[i] > other) {
            other = scores[i];
        }
    }
    const int64_t margin = scores[cascade->label] - other;

    return margin > INT32_MAX ? INT32_MAX : margin < INT32_MIN ? INT32_MIN : (int32_t)margin;
}

bool network_cascade_wakes(const struct network_cascade *cascade, const int32_t *scores)
{
    return network_cascade_margin(cascade, scores) >= cascade->margin;
}
