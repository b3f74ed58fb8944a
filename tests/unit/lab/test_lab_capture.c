/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * A captured DNG, read back through engine/image, holds what the sensor model says, sample by
 * sample: every mosaic, several depths and exposures. Expected values are computed here from the
 * definitions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/image/image.h"
#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/options.h"
#include "engine/lab/sensor.h"
#include "tests/unit/lab/pictures.h"

#define WIDTH  67u /* odd: the last column and row are left out */
#define HEIGHT 51u

static char root[64], picture[96], output[96];
static uint16_t light[3 * WIDTH * HEIGHT]; /* the picture's linear planes */

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "/tmp/ocellus-lab-test.XXXXXX");
    if (!mkdtemp(root)) {
        return -1;
    }
    snprintf(picture, sizeof(picture), "%s/picture.ppm", root);
    snprintf(output, sizeof(output), "%s/out.dng", root);
    size_t size;
    uint8_t *ppm = picture_ppm(PICTURE_ROAD, WIDTH, HEIGHT, &size);
    struct image_decoder *decoder;
    struct image_info info;
    const struct image_target target = {WIDTH, HEIGHT, IMAGE_RGB, IMAGE_FIT_COVER};
    int r = !ppm || lab_file_write(picture, ppm, size) < 0 ||
            image_decoder_create(NULL, NULL, &decoder) < 0;
    if (r == 0) {
        r = image_decode(decoder, ppm, size, IMAGE_KIND_PNM, NULL, &target, light, &info);
        image_decoder_destroy(decoder);
    }
    free(ppm);
    return r;
}

static int teardown(void **state)
{
    (void)state;
    unlink(picture);
    unlink(output);
    return rmdir(root);
}

struct shot {
    const char *cfa, *bits, *exposure;
    uint32_t depth, num, den;
    uint8_t planes[4]; /* of the quad's corners, row by row */
};

static int capture(const struct shot *shot, const char *from, const char *to)
{
    struct lab_command command = {.name = "capture"};
    struct lab_args args = {.command = &command, .operands = {from}};
    args.values[LAB_OPTION_OUTPUT] = to;
    args.values[LAB_OPTION_CFA] = shot->cfa;
    args.values[LAB_OPTION_BITS] = shot->bits;
    args.values[LAB_OPTION_EXPOSURE] = shot->exposure;
    return lab_capture(&args);
}

/* Counts above black of one sample. */
static uint64_t count_at(const struct shot *shot, uint32_t x, uint32_t y)
{
    uint64_t range = (1u << shot->depth) - 1 - (1u << shot->depth) / 16;
    uint64_t value = light[(shot->planes[y % 2 * 2 + x % 2] * HEIGHT + y) * WIDTH + x];
    uint64_t divisor = UINT64_C(65535) * 8 * shot->den;
    uint64_t count = (2 * value * shot->num * range + divisor) / (2 * divisor);
    return count < range ? count : range;
}

static uint16_t expected(const struct shot *shot, uint32_t plane, uint32_t x, uint32_t y)
{
    uint64_t range = (1u << shot->depth) - 1 - (1u << shot->depth) / 16, sum = 0, area = 0;
    for (uint32_t corner = 0; corner < 4; corner++) {
        if (shot->planes[corner] == plane) {
            sum += count_at(shot, 2 * x + corner % 2, 2 * y + corner / 2);
            area++;
        }
    }
    return (uint16_t)((sum * 65535 + area * range / 2) / (area * range));
}

static void check(const struct shot *shot)
{
    static uint16_t planes[3 * (WIDTH / 2) * (HEIGHT / 2)];
    const struct image_target target = {WIDTH / 2, HEIGHT / 2, IMAGE_RGB, IMAGE_FIT_COVER};
    struct image_decoder *decoder;
    struct image_info info;
    uint8_t *bytes;
    size_t size;
    assert_int_equal(capture(shot, picture, output), LAB_EXIT_OK);
    assert_int_equal(lab_file_read(output, 1 << 20, &bytes, &size), 0);
    assert_int_equal(image_decoder_create(NULL, NULL, &decoder), 0);
    assert_int_equal(
        image_decode(decoder, bytes, size, IMAGE_KIND_AUTO, NULL, &target, planes, &info), 0);
    image_decoder_destroy(decoder);
    free(bytes);
    assert_int_equal(info.kind, IMAGE_KIND_RAW);
    assert_int_equal(info.width, WIDTH & ~1u);
    assert_int_equal(info.height, HEIGHT & ~1u);
    assert_int_equal(info.nominal_white, LAB_SENSOR_NOMINAL_WHITE);
    assert_int_equal(info.warnings, 0);
    const uint16_t *got = planes;
    for (uint32_t plane = 0; plane < 3; plane++) {
        for (uint32_t y = 0; y < HEIGHT / 2; y++) {
            for (uint32_t x = 0; x < WIDTH / 2; x++) {
                assert_int_equal(*got++, expected(shot, plane, x, y));
            }
        }
    }
}

static void test_samples_come_back(void **state)
{
    (void)state;
    static const struct shot shots[] = {
        {"RGGB", "12", "1", 12, 1, 1, {0, 1, 1, 2}},
        {"GRBG", "10", "8", 10, 8, 1, {1, 0, 2, 1}},
        {"GBRG", "14", "1/32", 14, 1, 32, {1, 2, 0, 1}},
        {"BGGR", "12", "64", 12, 64, 1, {2, 1, 1, 0}},
        {"rggb", "16", "3/7", 16, 3, 7, {0, 1, 1, 2}},
    };
    for (size_t i = 0; i < sizeof(shots) / sizeof(shots[0]); i++) {
        check(&shots[i]);
    }
}

static void test_refuses_what_it_cannot_photograph(void **state)
{
    (void)state;
    const struct shot shot = {.cfa = "RGGB"}, mono = {.cfa = "MONO"};
    char text[96];
    snprintf(text, sizeof(text), "%s/text", root);
    assert_int_equal(lab_file_write(text, "not a picture", 13), 0);
    unlink(output);
    assert_int_equal(capture(&shot, text, output), LAB_EXIT_FAILED);
    assert_int_equal(capture(&shot, root, output), LAB_EXIT_FAILED);
    assert_int_equal(capture(&mono, picture, output), LAB_EXIT_USAGE);
    assert_int_equal(access(output, F_OK), -1);
    assert_int_equal(capture(&shot, picture, output), LAB_EXIT_OK);
    assert_int_equal(capture(&shot, output, text), LAB_EXIT_FAILED); /* a capture already */
    unlink(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples_come_back),
        cmocka_unit_test(test_refuses_what_it_cannot_photograph),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
