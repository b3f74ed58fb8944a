/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Synthetic pictures for golden tests, drawn with integer arithmetic only: the same bytes on every
 * machine and compiler. No randomness, no files.
 */
#ifndef OCELLUS_TESTS_UNIT_LAB_PICTURES_H
#define OCELLUS_TESTS_UNIT_LAB_PICTURES_H

#include <stddef.h>
#include <stdint.h>

enum picture {
    PICTURE_GRADIENT = 0, /* smooth ramps */
    PICTURE_DISC,         /* a shaded ball before a plain wall */
    PICTURE_STRIPES,      /* slanted bars of two colours */
    PICTURE_TEXTURE,      /* blocky noise over fine noise */
    PICTURE_ROAD,         /* sky, ground and a box on wheels */
    PICTURE_COUNT,
};

const char *picture_name(enum picture picture);

/* rgb: width * height * 3 bytes, interleaved sRGB; width, height 8..4096. */
void picture_draw(enum picture picture, uint32_t width, uint32_t height, uint8_t *rgb);

/* The same as a binary PPM; the caller frees it. NULL when out of memory. */
uint8_t *picture_ppm(enum picture picture, uint32_t width, uint32_t height, size_t *ret_size);

#endif
