/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Decoded pictures as a simulated sensor would have delivered them, one exposure after the other.
 */
#ifndef OCELLUS_ENGINE_LAB_EXPOSING_H
#define OCELLUS_ENGINE_LAB_EXPOSING_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/lab/samples.h"

struct lab_exposing {
    const struct lab_samples *from;
    struct lab_samples samples; /* own planes and whites; all else is borrowed */
    uint16_t *level;            /* plane value of each level of light, without noise */
};

/* `from` is kept by pointer. Errors: -ENOMEM, then there is nothing to finish. */
int lab_exposing_init(struct lab_exposing *exposing, const struct lab_samples *from);
void lab_exposing_finish(struct lab_exposing *exposing);

/* Fill the samples: light times num / den, nominal white at 1/8 of full scale, `bits` bits; noise
 * as in sensor.h, always the same. */
void lab_exposing_set(struct lab_exposing *exposing, uint32_t bits, bool noise, uint32_t num,
                      uint32_t den);

#endif
