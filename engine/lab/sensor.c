/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The simulated sensor: scale, noise, clip, round. Does no I/O and keeps no state but the noise's.
 */
#include "engine/lab/sensor.h"

#include <math.h>

#define FULL_WELL       10000.0 /* electrons at full scale */
#define READ_NOISE      3.0     /* electrons, standard deviation */
#define POISSON_DIRECT  50.0    /* below this mean, photons are drawn one by one */
#define SCALE_OF_PLANES 65535u

void lab_sensor_init(struct lab_sensor *sensor, uint32_t bits, uint32_t exposure_num,
                     uint32_t exposure_den, bool noise, uint64_t seed)
{
    sensor->exposure_num = exposure_num;
    sensor->exposure_den = exposure_den;
    sensor->white = (1u << bits) - 1;
    sensor->black = (1u << bits) / 16;
    sensor->random = seed;
    sensor->noise = noise;
}

/* splitmix64: Steele, Lea, Flood, OOPSLA 2014. */
static uint64_t next_random(struct lab_sensor *sensor)
{
    uint64_t z = sensor->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* In (0, 1), so that its logarithm is finite. */
static double uniform(struct lab_sensor *sensor)
{
    return ((double)(next_random(sensor) >> 11) + 0.5) / 9007199254740992.0;
}

/* Box and Muller; the second value is thrown away to keep no state. */
static double normal(struct lab_sensor *sensor)
{
    double radius = sqrt(-2.0 * log(uniform(sensor)));
    return radius * cos(6.283185307179586 * uniform(sensor));
}

/* Knuth's product for few photons; the normal approximation where it is good to a fraction of one.
 */
static double poisson(struct lab_sensor *sensor, double mean)
{
    if (mean >= POISSON_DIRECT) {
        return fmax(0.0, floor(mean + sqrt(mean) * normal(sensor) + 0.5));
    }
    double limit = exp(-mean), product = uniform(sensor), count = 0.0;
    while (product > limit) {
        product *= uniform(sensor);
        count += 1.0;
    }
    return count;
}

uint16_t lab_sensor_sample(struct lab_sensor *sensor, uint16_t linear)
{
    uint64_t range = sensor->white - sensor->black;
    uint64_t light = (uint64_t)linear * sensor->exposure_num;
    uint64_t full = ((uint64_t)SCALE_OF_PLANES << LAB_SENSOR_HEADROOM_STOPS) * sensor->exposure_den;
    light = light < full ? light : full; /* the well is full */
    if (!sensor->noise) {
        return (uint16_t)(sensor->black + (light * range + full / 2) / full);
    }
    double electrons = poisson(sensor, FULL_WELL * (double)light / (double)full);
    electrons = fmin(electrons, FULL_WELL) + READ_NOISE * normal(sensor);
    double raw = floor((double)sensor->black + electrons * (double)range / FULL_WELL + 0.5);
    return (uint16_t)fmin(fmax(raw, 0.0), (double)sensor->white);
}

uint16_t lab_sensor_to_plane(const struct lab_sensor *sensor, uint16_t raw)
{
    uint32_t range = sensor->white - sensor->black;
    uint32_t count = raw > sensor->black ? raw - sensor->black : 0;
    return (uint16_t)(((uint64_t)count * SCALE_OF_PLANES + range / 2) / range);
}
