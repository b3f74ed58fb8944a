/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * A simulated image sensor: linear light -> raw counts. Nominal white lands at 1/8 of full scale,
 * so that 3 stops of headroom remain. Same seed, same order of samples, same counts.
 */
#ifndef OCELLUS_ENGINE_LAB_SENSOR_H
#define OCELLUS_ENGINE_LAB_SENSOR_H

#include <stdbool.h>
#include <stdint.h>

#define LAB_SENSOR_HEADROOM_STOPS 3u
/* Nominal white on the 16-bit scale of planes, 65535 / 2^3 rounded as image_decode does. */
#define LAB_SENSOR_NOMINAL_WHITE ((65535u + 4u) >> LAB_SENSOR_HEADROOM_STOPS)

struct lab_sensor {
    uint32_t exposure_num, exposure_den; /* 1..4096 each */
    uint32_t black, white;               /* raw counts */
    uint64_t random;                     /* state of the noise */
    bool noise; /* shot noise of a 10,000 e- full well, read noise of 3 e- */
};

/* bits 8..16: white is 2^bits - 1, black 2^bits / 16. */
void lab_sensor_init(struct lab_sensor *sensor, uint32_t bits, uint32_t exposure_num,
                     uint32_t exposure_den, bool noise, uint64_t seed);

/* linear: 0..65535, 65535 is nominal white. A raw count of 0..white; noise may fall below black. */
uint16_t lab_sensor_sample(struct lab_sensor *sensor, uint16_t linear);

/* What engine/image makes of a raw count: 0..65535 between black and white. */
uint16_t lab_sensor_to_plane(const struct lab_sensor *sensor, uint16_t raw);

#endif
