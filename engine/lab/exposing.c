/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See exposing.h. */
#include "engine/lab/exposing.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/lab/sensor.h"

#define SENSOR_SEED 1u /* every network sees the same noise */
#define LEVELS      65536u

void lab_exposing_finish(struct lab_exposing *exposing)
{
    free(exposing->samples.planes);
    free(exposing->samples.whites);
    free(exposing->level);
}

int lab_exposing_init(struct lab_exposing *exposing, const struct lab_samples *from)
{
    size_t count = from->tree.file_count;
    exposing->from = from;
    exposing->samples = *from;
    exposing->samples.planes = calloc(count, from->values * sizeof(uint16_t));
    exposing->samples.whites = calloc(count, sizeof(uint16_t));
    exposing->level = calloc(LEVELS, sizeof(uint16_t));
    if (!exposing->samples.planes || !exposing->samples.whites || !exposing->level) {
        lab_exposing_finish(exposing);
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        exposing->samples.whites[i] = LAB_SENSOR_NOMINAL_WHITE;
    }
    return 0;
}

void lab_exposing_set(struct lab_exposing *exposing, uint32_t bits, bool noise, uint32_t num,
                      uint32_t den)
{
    const struct lab_samples *from = exposing->from;
    struct lab_sensor chip;
    lab_sensor_init(&chip, bits, num, den, noise, SENSOR_SEED);
    for (uint32_t i = 0; i < LEVELS && !noise; i++) {
        exposing->level[i] = lab_sensor_to_plane(&chip, lab_sensor_sample(&chip, (uint16_t)i));
    }
    for (uint32_t p = 0; p < from->tree.file_count; p++) {
        const uint16_t *in = from->planes + p * from->values;
        uint16_t *out = exposing->samples.planes + p * from->values;
        uint32_t white = from->whites[p];
        for (size_t i = 0; i < from->values; i++) {
            uint32_t light = ((uint32_t)in[i] * 65535u + white / 2) / white;
            uint16_t level = light < 65535 ? (uint16_t)light : 65535;
            out[i] = noise ? lab_sensor_to_plane(&chip, lab_sensor_sample(&chip, level))
                           : exposing->level[level];
        }
    }
}
