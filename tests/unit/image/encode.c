/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
#include "tests/unit/image/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jpeglib.h>

#include "tests/unit/image/reference.h"

static uint8_t texture(const uint32_t *slopes, uint32_t x, uint32_t y, unsigned channel)
{
    uint32_t wave = x * slopes[channel] + y * slopes[channel + 1];

    return (uint8_t)((wave & 256 ? 255 - wave % 256 : wave % 256) / 2 + random_below(96));
}

uint8_t *encode_jpeg(const struct encode *e, size_t *ret_size)
{
    static const J_COLOR_SPACE in[] = {JCS_GRAYSCALE, JCS_RGB, JCS_RGB, JCS_CMYK};
    static const J_COLOR_SPACE out[] = {JCS_GRAYSCALE, JCS_YCbCr, JCS_RGB, JCS_CMYK};
    static const int components[] = {1, 3, 3, 4};
    struct jpeg_compress_struct cinfo;
    struct jpeg_error_mgr error;
    unsigned char *bytes = NULL;
    unsigned long size = 0;
    uint32_t slopes[5];

    cinfo.err = jpeg_std_error(&error);
    jpeg_create_compress(&cinfo);
    jpeg_mem_dest(&cinfo, &bytes, &size);
    cinfo.image_width = e->width;
    cinfo.image_height = e->height;
    cinfo.input_components = components[e->colour];
    cinfo.in_color_space = in[e->colour];
    jpeg_set_defaults(&cinfo);
    jpeg_set_colorspace(&cinfo, out[e->colour]);
    jpeg_set_quality(&cinfo, e->quality, TRUE);
    cinfo.comp_info[0].h_samp_factor = e->sampling_h;
    cinfo.comp_info[0].v_samp_factor = e->sampling_v;
    cinfo.arith_code = e->arithmetic;
    cinfo.restart_interval = (unsigned)e->restart;
    if (e->progressive) {
        jpeg_simple_progression(&cinfo);
    }
    for (unsigned i = 0; i < 5; i++) {
        slopes[i] = random_below(12);
    }
    unsigned step = (unsigned)components[e->colour];
    uint8_t *row = malloc((size_t)e->width * step);
    assert_non_null(row);
    jpeg_start_compress(&cinfo, TRUE);
    for (uint32_t y = 0; y < e->height; y++) {
        for (uint32_t i = 0; i < e->width * step; i++) {
            row[i] = texture(slopes, i / step, y, i % step);
        }
        jpeg_write_scanlines(&cinfo, &row, 1);
    }
    jpeg_finish_compress(&cinfo);
    jpeg_destroy_compress(&cinfo);
    free(row);
    *ret_size = size;
    return bytes;
}

uint8_t *encode_orientation(uint8_t *jpeg, size_t size, unsigned orientation, bool big_endian,
                            size_t *ret_size)
{
    /* APP1, length 34; TIFF header, directory at 8 with one entry, no next directory. */
    static const uint8_t little[36] = "\xff\xe1\x00\x22"
                                      "Exif\0\0II*\0\x08\0\0\0\x01\0"
                                      "\x12\x01\x03\0\x01\0\0\0\0\0\0\0";
    static const uint8_t big[36] = "\xff\xe1\x00\x22"
                                   "Exif\0\0MM\0*\0\0\0\x08\0\x01"
                                   "\x01\x12\0\x03\0\0\0\x01\0\0\0\0";
    uint8_t *out = malloc(size + 36);

    assert_non_null(out);
    memcpy(out, jpeg, 2);
    memcpy(out + 2, big_endian ? big : little, 36);
    out[2 + (big_endian ? 29 : 28)] = (uint8_t)orientation;
    memcpy(out + 38, jpeg + 2, size - 2);
    free(jpeg);
    *ret_size = size + 36;
    return out;
}
