/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Writes uncompressed DNG files (Adobe DNG 1.4 over TIFF 6, little-endian, one strip of 16-bit
 * samples) of a Bayer sensor whose filters have the sRGB primaries. Builds bytes only; opens no
 * file.
 */
#ifndef OCELLUS_ENGINE_LAB_DNG_H
#define OCELLUS_ENGINE_LAB_DNG_H

#include <stddef.h>
#include <stdint.h>

struct lab_dng {
    const uint16_t *samples; /* [height][width], tight */
    uint32_t width, height;  /* even, 2..4096 */
    uint8_t cfa;             /* enum image_cfa, one of the four mosaics */
    uint16_t black, white;
    int32_t baseline_exposure; /* stops between nominal white and full scale */
};

/* The caller frees *ret_bytes. Errors: -ENOMEM, -EINVAL. */
int lab_dng_build(const struct lab_dng *dng, uint8_t **ret_bytes, size_t *ret_size);

#endif
