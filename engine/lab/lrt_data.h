/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What the low-rank training paper (2009.03887) lets a network see: MNIST digits under elastic
 * distortion, a stream that shifts, and weights that drift. Everything follows from a seed and an
 * index; nothing is kept.
 *
 * DIGITS   The first 9,000 training digits are for learning before the stream, the next 1,000 for
 *   measuring that; the stream draws from the other 50,000.
 * ELASTIC  Simard, Steinkraus and Platt 2003: a field of uniform noise in [-1, 1], smoothed by a
 *   Gaussian of sigma pixels, times alpha; one of the paper's eleven pairs (sigma, alpha) for each
 *   digit. With the pairs taken in pixels digits would be torn apart; a tenth of alpha is used, up
 * to about 3 pixels of standard deviation. SHIFT    Ten segments of equal length. CD: classes
 * cluster in time: with probability 0.7 the class is a wandering one or its neighbour. ST: scaled
 * by exp N(0, 0.1), turned by N(0, 10 degrees), moved by N(0, 2 pixels). BG: times U(0.3, 1), plus
 * U(0, 0.7), plus a slope of up to 0.5 across the picture. WN: noise of a standard deviation
 * between 0.03 and 0.3, uniform in its logarithm. Held to [0, 1]. DRIFT    Every 10 pictures:
 * analog, N(0, 10 / sqrt(10^5)) on every weight; digital, each bit of a weight (as an offset-binary
 * code) turns over with probability 10^-4.
 */
#ifndef OCELLUS_ENGINE_LAB_LRT_DATA_H
#define OCELLUS_ENGINE_LAB_LRT_DATA_H

#include <stdint.h>

#include "engine/lab/lrt_net.h"
#include "engine/lab/packed.h"

#define LAB_LRT_OFFLINE    9000u
#define LAB_LRT_VALIDATION 1000u
#define LAB_LRT_DIGITS     60000u
#define LAB_LRT_SEGMENTS   10u
#define LAB_LRT_DRIFT_EACH 10u

enum lab_lrt_environment {
    LAB_LRT_CONTROL = 0,
    LAB_LRT_SHIFT,
    LAB_LRT_ANALOG,
    LAB_LRT_DIGITAL,
    LAB_LRT_ENVIRONMENTS,
};

const char *lab_lrt_environment_name(uint32_t environment);
const char *lab_lrt_segment_name(uint32_t segment);

/* Which digits a stream draws from. */
enum lab_lrt_source { LAB_LRT_FROM_OFFLINE = 0, LAB_LRT_FROM_VALIDATION, LAB_LRT_FROM_ONLINE };

struct lab_lrt_stream {
    const struct lab_packed *digits; /* 60,000 of 28x28 */
    enum lab_lrt_source source;
    enum lab_lrt_environment environment;
    uint64_t seed, length; /* pictures; the segments are tenths of it */
};

/* Picture number `index`. pixels [28][28] in [0, 1]. */
void lab_lrt_picture(const struct lab_lrt_stream *stream, uint64_t index, float *pixels,
                     uint32_t *ret_label);

/* The pixels of a digit, moved by the field of a pair and an affine map; for tests. */
void lab_lrt_distort(const uint8_t *digit, uint64_t seed, uint64_t index, bool affine,
                     float *pixels);

/* Weights drift once, after `index` pictures: codes alone are changed, the layers touched. */
void lab_lrt_drift(struct lab_lrt_net *net, enum lab_lrt_environment environment, uint64_t seed,
                   uint64_t index);

#endif
