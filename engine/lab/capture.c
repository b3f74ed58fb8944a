/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab capture: a picture -> the DNG that a simulated Bayer sensor would have made of it.
 * Takes no part in evaluation, which simulates on planes (eval.c) through the same sensor model.
 */
#include "engine/lab/capture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/image/image.h"
#include "engine/lab/dng.h"
#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/options.h"
#include "engine/lab/sensor.h"

#define PICTURE_BYTES_MAX ((size_t)64 << 20)
#define SIDE_MAX          4096u /* what image_decode gives at most */
#define DEFAULT_BITS      12u

struct capture {
    const char *picture, *output;
    uint32_t width, height; /* 0: the picture's own */
    uint8_t cfa;
    struct lab_sensor sensor;
};

static int parse_cfa(const char *text, uint8_t *ret_cfa)
{
    static const char *const names[] = {
        [IMAGE_CFA_RGGB] = "RGGB",
        [IMAGE_CFA_GRBG] = "GRBG",
        [IMAGE_CFA_GBRG] = "GBRG",
        [IMAGE_CFA_BGGR] = "BGGR",
    };
    for (uint8_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcasecmp(text, names[i]) == 0) {
            *ret_cfa = i;
            return 0;
        }
    }
    lab_error("capture: --cfa: expected RGGB, GRBG, GBRG or BGGR, got '%s'", text);
    return -EINVAL;
}

static int parse(const struct lab_args *args, struct capture *capture)
{
    uint64_t bits = DEFAULT_BITS, seed = 1;
    uint32_t num = 1, den = 1;
    *capture = (struct capture){.picture = args->operands[0],
                                .output = args->values[LAB_OPTION_OUTPUT],
                                .cfa = IMAGE_CFA_RGGB};
    if (lab_args_number(args, LAB_OPTION_BITS, 8, 16, &bits) < 0 ||
        lab_args_number(args, LAB_OPTION_SEED, 0, UINT64_MAX, &seed) < 0 ||
        lab_args_fraction(args, LAB_OPTION_EXPOSURE, &num, &den) < 0 ||
        lab_args_size(args, LAB_OPTION_SIZE, &capture->width, &capture->height) < 0) {
        return -EINVAL;
    }
    if (lab_args_given(args, LAB_OPTION_CFA) &&
        parse_cfa(args->values[LAB_OPTION_CFA], &capture->cfa) < 0) {
        return -EINVAL;
    }
    lab_sensor_init(&capture->sensor, (uint32_t)bits, num, den,
                    lab_args_given(args, LAB_OPTION_NOISE), seed);
    return 0;
}

/* The picture's own size, scaled down where a side is over the limit. */
static void choose_size(const struct image_info *info, uint32_t *ret_width, uint32_t *ret_height)
{
    uint64_t longest = info->width > info->height ? info->width : info->height;
    uint64_t width = info->width, height = info->height;
    if (longest > SIDE_MAX) {
        width = width * SIDE_MAX / longest;
        height = height * SIDE_MAX / longest;
    }
    *ret_width = width < 2 ? 2 : (uint32_t)width;
    *ret_height = height < 2 ? 2 : (uint32_t)height;
}

/* Linear planes [3][height][width] of the picture; fills in capture's size. The caller frees them.
 */
static int decode(struct image_decoder *decoder, struct capture *capture, const uint8_t *bytes,
                  size_t size, uint16_t **ret_planes)
{
    struct image_info info;
    int r = image_probe(decoder, bytes, size, IMAGE_KIND_AUTO, NULL, &info);
    if (r < 0) {
        return r;
    }
    if (info.kind != IMAGE_KIND_JPEG && info.kind != IMAGE_KIND_PNM) {
        return -ENOTSUP; /* a RAW file is a capture already */
    }
    if (capture->width == 0) {
        choose_size(&info, &capture->width, &capture->height);
    }
    struct image_target target = {capture->width, capture->height, IMAGE_RGB, IMAGE_FIT_COVER};
    uint16_t *planes = calloc((size_t)3 * target.width * target.height, sizeof(*planes));
    if (!planes) {
        return -ENOMEM;
    }
    r = image_decode(decoder, bytes, size, IMAGE_KIND_AUTO, NULL, &target, planes, &info);
    if (r < 0) {
        free(planes);
        return r;
    }
    *ret_planes = planes;
    return 0;
}

/* Which plane each corner of a quad takes, by row and column. */
static const uint8_t quad_plane[4][2][2] = {
    [IMAGE_CFA_RGGB] = {{0, 1}, {1, 2}},
    [IMAGE_CFA_GRBG] = {{1, 0}, {2, 1}},
    [IMAGE_CFA_GBRG] = {{1, 2}, {0, 1}},
    [IMAGE_CFA_BGGR] = {{2, 1}, {1, 0}},
};

static void expose(struct lab_sensor *sensor, uint8_t cfa, const uint16_t *planes,
                   uint32_t plane_width, size_t plane_size, uint32_t width, uint32_t height,
                   uint16_t *samples)
{
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            size_t plane = quad_plane[cfa][y % 2][x % 2];
            uint16_t light = planes[plane * plane_size + (size_t)y * plane_width + x];
            *samples++ = lab_sensor_sample(sensor, light);
        }
    }
}

int lab_capture_dng(struct lab_sensor *sensor, uint8_t cfa, const uint16_t *planes, uint32_t width,
                    uint32_t height, uint8_t **ret_bytes, size_t *ret_size)
{
    uint32_t even_width = width & ~1u, even_height = height & ~1u;
    uint16_t *samples = calloc((size_t)even_width * even_height, sizeof(*samples));
    if (!samples) {
        return -ENOMEM;
    }
    expose(sensor, cfa, planes, width, (size_t)width * height, even_width, even_height, samples);
    struct lab_dng dng = {
        .samples = samples,
        .width = even_width,
        .height = even_height,
        .cfa = cfa,
        .black = (uint16_t)sensor->black,
        .white = (uint16_t)sensor->white,
        .baseline_exposure = LAB_SENSOR_HEADROOM_STOPS,
    };
    int r = lab_dng_build(&dng, ret_bytes, ret_size);
    free(samples);
    return r;
}

static int write_dng(struct capture *capture, const uint16_t *planes)
{
    uint8_t *bytes;
    size_t size;
    int r = lab_capture_dng(&capture->sensor, capture->cfa, planes, capture->width, capture->height,
                            &bytes, &size);
    if (r == 0) {
        r = lab_file_write(capture->output, bytes, size);
        free(bytes);
    }
    return r;
}

int lab_capture(const struct lab_args *args)
{
    struct capture capture;
    if (parse(args, &capture) < 0) {
        return LAB_EXIT_USAGE;
    }
    uint8_t *bytes = NULL;
    size_t size = 0;
    uint16_t *planes = NULL;
    struct image_decoder *decoder = NULL;
    int r = lab_file_read(capture.picture, PICTURE_BYTES_MAX, &bytes, &size);
    if (r == 0) {
        r = image_decoder_create(NULL, NULL, &decoder);
    }
    if (r == 0) {
        r = decode(decoder, &capture, bytes, size, &planes);
    }
    image_decoder_destroy(decoder);
    free(bytes);
    if (r < 0) {
        lab_error("%s: %s", capture.picture, lab_image_error(r));
        return LAB_EXIT_FAILED;
    }
    r = write_dng(&capture, planes);
    free(planes);
    if (r < 0) {
        lab_error("%s: %s", capture.output, strerror(-r));
        return LAB_EXIT_FAILED;
    }
    return LAB_EXIT_OK;
}
