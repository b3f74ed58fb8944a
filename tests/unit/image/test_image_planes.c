/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* What is done to finished planes: the area average to smaller ones, and how they are lit. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/image/image.h"
#include "tests/unit/image/reference.h"

struct plane {
    uint32_t width;
    const uint16_t *values;
};

static uint32_t count_of(const void *context, uint32_t x, uint32_t y, unsigned channel)
{
    const struct plane *plane = context;

    (void)channel;
    return plane->values[(size_t)y * plane->width + x];
}

static uint16_t *some_planes(size_t count)
{
    uint16_t *values = malloc(count * sizeof *values);

    assert_non_null(values);
    for (size_t i = 0; i < count; i++) {
        values[i] = (uint16_t)(random_below(8) == 0 ? 65535 : random_below(65536));
    }
    return values;
}

static void check_average(uint32_t width, uint32_t height, uint32_t to_width, uint32_t to_height)
{
    const struct image_target target = {to_width, to_height, IMAGE_GREY, IMAGE_FIT_STRETCH};
    const size_t size = (size_t)width * height, to_size = (size_t)to_width * to_height;
    uint16_t *from = some_planes(3 * size);
    uint16_t *got = malloc(3 * to_size * sizeof *got), *expected = malloc(to_size * sizeof *got);
    void *scratch = malloc(image_average_bytes(width, to_width));

    assert_non_null(got);
    assert_non_null(expected);
    assert_non_null(scratch);
    assert_int_equal(
        image_average_planes(NULL, from, 3, width, height, to_width, to_height, scratch, got), 0);
    for (size_t c = 0; c < 3; c++) {
        const struct plane plane = {width, from + c * size};
        const struct reference_picture picture = {
            .width = width,
            .height = height,
            .channels = 1,
            .range = 65535,
            .orientation = 1,
            .count = count_of,
            .context = &plane,
        };

        reference_planes(&picture, &target, expected);
        assert_planes_equal(got + c * to_size, expected, &target, "average");
    }
    free(from);
    free(got);
    free(expected);
    free(scratch);
}

static void test_average(void **state)
{
    (void)state;
    check_average(64, 48, 32, 24);
    check_average(33, 1, 33, 1);
    for (int i = 0; i < 400; i++) {
        const uint32_t width = 1 + random_below(90), height = 1 + random_below(60);

        check_average(width, height, 1 + random_below(width), 1 + random_below(height));
    }
}

static void test_average_refuses(void **state)
{
    uint32_t scratch[256];
    uint16_t from[16] = {0}, to[16];

    (void)state;
    assert_int_equal(image_average_planes(NULL, from, 1, 4, 4, 5, 4, scratch, to), -EINVAL);
    assert_int_equal(image_average_planes(NULL, from, 1, 4, 4, 4, 5, scratch, to), -EINVAL);
    assert_int_equal(image_average_planes(NULL, from, 1, 4, 4, 0, 4, scratch, to), -EINVAL);
    assert_int_equal(image_average_planes(NULL, from, 1, 4, 4, 4, 0, scratch, to), -EINVAL);
    assert_int_equal(image_average_planes(NULL, from, 0, 4, 4, 4, 4, scratch, to), -EINVAL);
    assert_int_equal(image_average_planes(NULL, from, 1, 65536, 1, 4, 1, scratch, to), -EINVAL);
    assert_int_equal(image_average_planes(NULL, from, 1, 40000, 40000, 4, 4, scratch, to), -EINVAL);
}

#define PIXELS 100u

/* `count` pixels from `first` on get one colour. */
static void paint(uint16_t *planes, size_t first, size_t count, uint16_t r, uint16_t g, uint16_t b)
{
    for (size_t i = first; i < first + count; i++) {
        planes[i] = r;
        planes[PIXELS + i] = g;
        planes[2 * PIXELS + i] = b;
    }
}

static struct image_light light_of(const uint16_t *planes, uint32_t channels, uint16_t white)
{
    struct image_light light;

    assert_int_equal(image_measure_light(planes, channels, PIXELS / 4, 4, white, &light), 0);
    return light;
}

static void test_light_of_grey(void **state)
{
    uint16_t plane[PIXELS];
    struct image_light light;

    (void)state;
    for (size_t i = 0; i < PIXELS; i++) {
        plane[i] = i < 10   ? IMAGE_LIGHT_SATURATED
                   : i < 20 ? IMAGE_LIGHT_SATURATED - 1
                   : i < 60 ? 255
                            : 256;
    }
    light = light_of(plane, IMAGE_GREY, 65535);
    assert_int_equal(light.saturated, 6554); /* 10 of 100 */
    assert_int_equal(light.dark, 26214);     /* 40 of 100 */
    assert_int_equal(light.mean, (10 * 63488 + 10 * 63487 + 40 * 255 + 40 * 256) / 100);
    assert_int_equal(light.colour, IMAGE_COLOUR_UNKNOWN);
    /* With headroom the level is against the nominal white, saturation is not. */
    light = light_of(plane, IMAGE_GREY, 16384);
    assert_int_equal(light.saturated, 6554);
    assert_int_equal(light.dark, 0);
    assert_int_equal(light.mean, (12901u * 65535 + 8192) / 16384);
    assert_int_equal(light_of(plane, IMAGE_GREY, 100).mean, 65535);
}

static void test_light_of_colours(void **state)
{
    uint16_t planes[3 * PIXELS];

    (void)state;
    paint(planes, 0, PIXELS, 30000, 36000, 40000); /* a quarter between them is no colour yet */
    assert_int_equal(light_of(planes, IMAGE_RGB, 65535).colour, IMAGE_COLOUR_NONE);
    assert_int_equal(light_of(planes, IMAGE_RGB, 65535).mean, 35500);
    paint(planes, 0, 1, 29999, 40000, 40000);
    assert_int_equal(light_of(planes, IMAGE_RGB, 65535).colour, IMAGE_COLOUR_NONE);
    paint(planes, 1, 1, 40000, 29999, 40000);
    assert_int_equal(light_of(planes, IMAGE_RGB, 65535).colour, IMAGE_COLOUR_YES);
    /* What is dark or saturated tells nothing. */
    paint(planes, 0, PIXELS, 0, 1023, 0);
    assert_int_equal(light_of(planes, IMAGE_RGB, 65535).colour, IMAGE_COLOUR_UNKNOWN);
    assert_int_equal(light_of(planes, IMAGE_RGB, 65535).dark, 0);
    paint(planes, 0, PIXELS, 0, 255, 0);
    assert_int_equal(light_of(planes, IMAGE_RGB, 65535).dark, 65535);
    paint(planes, 0, PIXELS, 0, 65535, 0);
    assert_int_equal(light_of(planes, IMAGE_RGB, 65535).colour, IMAGE_COLOUR_UNKNOWN);
    assert_int_equal(light_of(planes, IMAGE_RGB, 65535).saturated, 65535);
    paint(planes, 0, 2, 0, 1024, 0);
    assert_int_equal(light_of(planes, IMAGE_RGB, 65535).colour, IMAGE_COLOUR_YES);
}

static void test_light_refuses(void **state)
{
    uint16_t plane[3] = {0};
    struct image_light light;

    (void)state;
    assert_int_equal(image_measure_light(plane, 2, 1, 1, 65535, &light), -EINVAL);
    assert_int_equal(image_measure_light(plane, 1, 0, 1, 65535, &light), -EINVAL);
    assert_int_equal(image_measure_light(plane, 1, 1, 0, 65535, &light), -EINVAL);
    assert_int_equal(image_measure_light(plane, 1, 1, 1, 0, &light), -EINVAL);
}

/* What the decoder says without looking at a pixel. */
static void test_mono_sources(void **state)
{
    static const char *const files[] = {"P5 1 1 255\n\x40", "P6 1 1 255\n\x40\x40\x40"};
    static const uint8_t mosaic[4] = {1, 2, 3, 4};
    struct image_sensor sensor = {.width = 2, .height = 2, .stride = 2, .white = 255};
    struct image_decoder *decoder;
    struct image_info info;

    (void)state;
    assert_int_equal(image_decoder_create(NULL, NULL, &decoder), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            image_probe(decoder, files[i], strlen(files[i]), IMAGE_KIND_AUTO, NULL, &info), 0);
        assert_true(info.mono == (i == 0));
    }
    for (uint8_t cfa = IMAGE_CFA_RGGB; cfa <= IMAGE_CFA_MONO; cfa++) {
        sensor.cfa = cfa;
        assert_int_equal(
            image_probe(decoder, mosaic, sizeof mosaic, IMAGE_KIND_SENSOR, &sensor, &info), 0);
        assert_true(info.mono == (cfa == IMAGE_CFA_MONO));
    }
    image_decoder_destroy(decoder);
}

static int setup(void **state)
{
    (void)state;
    random_start();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_average),       cmocka_unit_test(test_average_refuses),
        cmocka_unit_test(test_light_of_grey), cmocka_unit_test(test_light_of_colours),
        cmocka_unit_test(test_light_refuses), cmocka_unit_test(test_mono_sources),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
