/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The definition of engine/image/image.h, computed literally and slowly for one output value after
 * the other, and small things that the image tests share. It shares no code with the module.
 */
#ifndef OCELLUS_TESTS_UNIT_IMAGE_REFERENCE_H
#define OCELLUS_TESTS_UNIT_IMAGE_REFERENCE_H

#include <stdint.h>

#include "engine/image/image.h"

struct reference_picture {
    uint32_t width, height; /* as stored, in samples */
    const char *cfa;        /* "RGGB" and so on; NULL: no mosaic */
    unsigned channels;      /* of a pixel without mosaic: 1, or 3 */
    uint32_t range;         /* white - black */
    uint8_t orientation;
    /* Count of a stored sample, 0..range. */
    uint32_t (*count)(const void *context, uint32_t x, uint32_t y, unsigned channel);
    const void *context;
};

void reference_planes(const struct reference_picture *picture, const struct image_target *target,
                      uint16_t *planes);

/* Where an Exif orientation puts a stored pixel: its upright place. */
void reference_upright(uint8_t orientation, uint32_t width, uint32_t height, uint32_t x, uint32_t y,
                       uint32_t *ret_x, uint32_t *ret_y);

/* Fails the test and names the first value that differs. */
void assert_planes_equal(const uint16_t *got, const uint16_t *expected,
                         const struct image_target *target, const char *what);

/* A generator that OCELLUS_TEST_SEED seeds; the seed is printed. */
void random_start(void);
uint32_t random_below(uint32_t n);

/* Content of a file, malloc'ed with nothing behind it, or NULL. */
uint8_t *read_file(const char *path, size_t *ret_size);

#endif
