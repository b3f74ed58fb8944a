/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Pasting in linear light, in integers but for the masks. Opens the files that it is told to. */
#include "engine/lab/canvas.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "engine/image/image.h"
#include "engine/lab/file.h"

#define PICTURE_BYTES_MAX ((size_t)64 << 20)
#define SIDE_MAX          4096u
#define ONE               65536 /* a whole pixel, or a mask that hides what lies beneath */
#define OVAL_INSIDE       0.75
#define TILE_RAMP         4u /* a part of its side */

int lab_canvas_init(struct lab_canvas *canvas, uint32_t width, uint32_t height)
{
    if (width < 1 || width > SIDE_MAX || height < 1 || height > SIDE_MAX) {
        return -EINVAL;
    }
    uint16_t *planes = calloc((size_t)3 * width * height, sizeof(*planes));
    if (!planes) {
        return -ENOMEM;
    }
    *canvas = (struct lab_canvas){width, height, planes};
    return 0;
}

void lab_canvas_finish(struct lab_canvas *canvas)
{
    free(canvas->planes);
    memset(canvas, 0, sizeof(*canvas));
}

int lab_canvas_probe(struct image_decoder *decoder, const char *path, uint32_t *ret_width,
                     uint32_t *ret_height)
{
    struct image_info info;
    uint8_t *bytes;
    size_t size;
    int r = lab_file_read(path, PICTURE_BYTES_MAX, &bytes, &size);
    if (r < 0) {
        return r;
    }
    r = image_probe(decoder, bytes, size, IMAGE_KIND_AUTO, NULL, &info);
    free(bytes);
    if (r == 0) {
        *ret_width = info.width;
        *ret_height = info.height;
    }
    return r;
}

int lab_canvas_read(struct image_decoder *decoder, const char *path, uint32_t width,
                    uint32_t height, struct lab_canvas *ret_canvas)
{
    struct image_target target = {width, height, IMAGE_RGB, IMAGE_FIT_STRETCH};
    struct lab_canvas canvas;
    struct image_info info;
    uint8_t *bytes;
    size_t size;
    int r = lab_canvas_init(&canvas, width, height);
    if (r < 0) {
        return r;
    }
    r = lab_file_read(path, PICTURE_BYTES_MAX, &bytes, &size);
    if (r == 0) {
        r = image_decode(decoder, bytes, size, IMAGE_KIND_AUTO, NULL, &target, canvas.planes,
                         &info);
        free(bytes);
    }
    if (r < 0) {
        lab_canvas_finish(&canvas);
        return r;
    }
    *ret_canvas = canvas;
    return 0;
}

/* ---- resizing ---- */

/* Where pixel `at` of `to` lies between the pixels of `from`: left one and part of the way. */
static uint32_t place(uint32_t at, uint32_t from, uint32_t to, uint32_t *ret_part)
{
    int64_t centre = ((int64_t)(2 * at + 1) * from * (ONE / 2)) / to - ONE / 2;
    int64_t last = (int64_t)(from - 1) * ONE;
    centre = centre < 0 ? 0 : centre > last ? last : centre;
    *ret_part = (uint32_t)(centre % ONE);
    return (uint32_t)(centre / ONE);
}

static uint32_t between(uint32_t a, uint32_t b, uint32_t part)
{
    return (uint32_t)(((uint64_t)a * (ONE - part) + (uint64_t)b * part + ONE / 2) / ONE);
}

int lab_canvas_resize(const struct lab_canvas *from, uint32_t width, uint32_t height, bool mirror,
                      struct lab_canvas *ret_canvas)
{
    struct lab_canvas to;
    int r = lab_canvas_init(&to, width, height);
    if (r < 0) {
        return r;
    }
    uint16_t *out = to.planes;
    for (size_t row = 0; row < (size_t)3 * height; row++) {
        uint32_t down, across;
        uint32_t y = place((uint32_t)(row % height), from->height, height, &down);
        const uint16_t *upper = from->planes + (row / height * from->height + y) * from->width;
        const uint16_t *lower = upper + (y + 1 < from->height ? from->width : 0);
        for (uint32_t i = 0; i < width; i++) {
            uint32_t x = place(mirror ? width - 1 - i : i, from->width, width, &across);
            uint32_t next = x + 1 < from->width ? x + 1 : x;
            *out++ = (uint16_t)between(between(upper[x], upper[next], across),
                                       between(lower[x], lower[next], across), down);
        }
    }
    *ret_canvas = to;
    return 0;
}

/* ---- pasting ---- */

static uint32_t smooth(double part)
{
    part = fmin(fmax(part, 0.0), 1.0);
    return (uint32_t)(part * part * (3 - 2 * part) * ONE + 0.5);
}

/* From the centre to the border: -1..1. */
static double across(uint32_t at, uint32_t size)
{
    return (2.0 * at + 1) / size - 1;
}

static uint32_t oval(const struct lab_canvas *patch, uint32_t x, uint32_t y)
{
    double u = fabs(across(x, patch->width)), v = fabs(across(y, patch->height));
    return smooth((1 - cbrt(u * u * u + v * v * v)) / (1 - OVAL_INSIDE));
}

static uint32_t ramp(uint32_t at, uint32_t size)
{
    return smooth((2.0 * at + 1) * TILE_RAMP / (2.0 * size));
}

static uint32_t tile(const struct lab_canvas *patch, uint32_t x, uint32_t y, bool left, bool top)
{
    uint32_t a = left ? ramp(x, patch->width) : ONE, b = top ? ramp(y, patch->height) : ONE;
    return (uint32_t)((uint64_t)a * b / ONE);
}

void lab_canvas_paste(struct lab_canvas *canvas, const struct lab_canvas *patch, int64_t x,
                      int64_t y, enum lab_mask mask, bool ramp_left, bool ramp_top)
{
    size_t area = (size_t)canvas->width * canvas->height;
    size_t patch_area = (size_t)patch->width * patch->height;
    for (uint32_t row = 0; row < patch->height; row++) {
        if (y + row < 0 || y + row >= canvas->height) {
            continue;
        }
        for (uint32_t column = 0; column < patch->width; column++) {
            if (x + column < 0 || x + column >= canvas->width) {
                continue;
            }
            uint32_t opaque = mask == LAB_MASK_OVAL ? oval(patch, column, row)
                                                    : tile(patch, column, row, ramp_left, ramp_top);
            uint16_t *to =
                canvas->planes + (size_t)(y + row) * canvas->width + (size_t)(x + column);
            const uint16_t *from = patch->planes + (size_t)row * patch->width + column;
            for (size_t plane = 0; plane < 3; plane++) {
                to[plane * area] =
                    (uint16_t)between(to[plane * area], from[plane * patch_area], opaque);
            }
        }
    }
}

/* ---- JPEG ---- */

/* The sRGB byte whose light is nearest, the lower of two. */
static uint8_t to_srgb(const uint16_t linear[256], uint16_t light)
{
    uint32_t low = 0, high = 255;
    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;
        if (linear[middle] <= light) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return (uint8_t)(light - linear[low] <= linear[high] - light ? low : high);
}

struct jpeg_errors {
    struct jpeg_error_mgr manager;
    jmp_buf failed;
};

/* libjpeg's own would end the program. */
static void jpeg_fail(j_common_ptr info)
{
    longjmp(((struct jpeg_errors *)info->err)->failed, 1);
}

static void jpeg_rows(struct jpeg_compress_struct *jpeg, const struct lab_canvas *canvas,
                      uint8_t *row)
{
    const uint16_t *linear = image_srgb_to_linear();
    size_t area = (size_t)canvas->width * canvas->height;
    for (uint32_t y = 0; y < canvas->height; y++) {
        const uint16_t *from = canvas->planes + (size_t)y * canvas->width;
        for (uint32_t x = 0; x < canvas->width; x++) {
            for (size_t plane = 0; plane < 3; plane++) {
                row[3 * x + plane] = to_srgb(linear, from[plane * area + x]);
            }
        }
        jpeg_write_scanlines(jpeg, &row, 1);
    }
}

int lab_canvas_jpeg(const struct lab_canvas *canvas, uint8_t **ret_bytes, size_t *ret_size)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_errors errors;
    unsigned char *volatile bytes = NULL;
    unsigned char *written = NULL;
    unsigned long size = 0;
    uint8_t *row = malloc((size_t)3 * canvas->width);
    if (!row) {
        return -ENOMEM;
    }
    jpeg.err = jpeg_std_error(&errors.manager);
    errors.manager.error_exit = jpeg_fail;
    if (setjmp(errors.failed) != 0) { /* memory alone can fail here */
        jpeg_destroy_compress(&jpeg);
        free(bytes);
        free(row);
        return -ENOMEM;
    }
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &written, &size);
    jpeg.image_width = canvas->width;
    jpeg.image_height = canvas->height;
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, LAB_CANVAS_JPEG_QUALITY, TRUE);
    jpeg_start_compress(&jpeg, TRUE);
    jpeg_rows(&jpeg, canvas, row);
    jpeg_finish_compress(&jpeg);
    bytes = written;
    jpeg_destroy_compress(&jpeg);
    free(row);
    *ret_bytes = bytes;
    *ret_size = size;
    return 0;
}
