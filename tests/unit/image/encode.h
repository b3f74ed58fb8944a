/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Makes JPEG files for the tests, by libjpeg, in memory.
 */
#ifndef OCELLUS_TESTS_UNIT_IMAGE_ENCODE_H
#define OCELLUS_TESTS_UNIT_IMAGE_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum encode_colour { ENCODE_GREY, ENCODE_YCC, ENCODE_RGB, ENCODE_CMYK };

struct encode {
    uint32_t width, height;
    enum encode_colour colour;
    int quality;
    int sampling_h, sampling_v; /* of luma against chroma, 1 or 2 */
    bool progressive, arithmetic;
    int restart; /* MCUs between restart markers, or 0 */
};

/* A smooth random picture with some noise. The bytes are malloc'ed. */
uint8_t *encode_jpeg(const struct encode *encode, size_t *ret_size);

/*
 * Put an Exif segment with this orientation behind the SOI marker. Frees `jpeg`; the result is
 * malloc'ed.
 */
uint8_t *encode_orientation(uint8_t *jpeg, size_t size, unsigned orientation, bool big_endian,
                            size_t *ret_size);

#endif
