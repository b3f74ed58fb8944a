/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Pictures in linear light that are cut, resized and laid over one another, and written as JPEG.
 * Chooses nothing and draws no random number: compose.c does.
 */
#ifndef OCELLUS_ENGINE_LAB_CANVAS_H
#define OCELLUS_ENGINE_LAB_CANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image_decoder;

#define LAB_CANVAS_JPEG_QUALITY 95 /* 4:2:0, the slow integer transform */

struct lab_canvas {
    uint32_t width, height; /* 1..4096 each */
    uint16_t *planes;       /* [3][height][width], linear, 65535 is white */
};

/* How opaque each pixel of a patch is. */
enum lab_mask {
    LAB_MASK_OVAL = 0, /* |u|^3 + |v|^3, u and v from the centre to the border -1..1: whole up to
                          0.75^3, nothing from 1 on */
    LAB_MASK_TILE,     /* a ramp over the first quarter at left and top, where wanted; else whole */
};

/* Black. Errors: -EINVAL, -ENOMEM. */
int lab_canvas_init(struct lab_canvas *canvas, uint32_t width, uint32_t height);
/* Accepts a zeroed one. */
void lab_canvas_finish(struct lab_canvas *canvas);

/* The size of a picture file, upright. Errors: of image_probe and lab_file_read. */
int lab_canvas_probe(struct image_decoder *decoder, const char *path, uint32_t *ret_width,
                     uint32_t *ret_height);
/* A picture file, stretched to width x height. Errors: of image_decode and lab_file_read. */
int lab_canvas_read(struct image_decoder *decoder, const char *path, uint32_t width,
                    uint32_t height, struct lab_canvas *ret_canvas);

/* All of `from` at another size, between its pixels in straight lines; made to enlarge. Errors: as
 * lab_canvas_init. */
int lab_canvas_resize(const struct lab_canvas *from, uint32_t width, uint32_t height, bool mirror,
                      struct lab_canvas *ret_canvas);

/* Lays `patch` with its left top corner at (x, y), which may lie outside; what leaves the canvas is
 * cut off. ramp_left, ramp_top: of LAB_MASK_TILE. */
void lab_canvas_paste(struct lab_canvas *canvas, const struct lab_canvas *patch, int64_t x,
                      int64_t y, enum lab_mask mask, bool ramp_left, bool ramp_top);

/* An sRGB JPEG. The caller frees *ret_bytes. Errors: -ENOMEM. */
int lab_canvas_jpeg(const struct lab_canvas *canvas, uint8_t **ret_bytes, size_t *ret_size);

#endif
