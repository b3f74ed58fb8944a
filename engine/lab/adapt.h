/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Scenes in which a model errs, for ocellus-lab adapt: what a fixed camera does to every window
 * that it sees. Made from windows of linear light; nothing is learned here.
 */
#ifndef OCELLUS_ENGINE_LAB_ADAPT_H
#define OCELLUS_ENGINE_LAB_ADAPT_H

#include <stdint.h>

enum lab_adapt_scene {
    LAB_ADAPT_DUSK = 0, /* exposure: few electrons, photon and read noise, 12 bits */
    LAB_ADAPT_BLUR,     /* out of focus */
    LAB_ADAPT_FENCE,    /* dark bars at fixed places, more or less opaque */
    LAB_ADAPT_HEDGE,    /* the lower part hidden behind a fixed texture */
    LAB_ADAPT_GLASS,    /* a background reflected in a pane: a fixed pattern of light is added */
    LAB_ADAPT_SCENES,
};

extern const char *const lab_adapt_names[LAB_ADAPT_SCENES];

struct lab_adapt_window {
    uint32_t width, height, planes;
};

/*
 * Planes [plane][y][x] of 0..65535 as the scene shows them. strength 0..1; the pattern is that of
 * the seed, noise that of seed and number. `work` has room for two windows of floats. The same
 * numbers on every machine but for the rounding of floats.
 */
void lab_adapt_show(enum lab_adapt_scene scene, const struct lab_adapt_window *window,
                    double strength, uint64_t seed, uint64_t number, const uint16_t *from,
                    float *work, uint16_t *to);

#endif
