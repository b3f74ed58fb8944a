/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The area average against its literal definition, bit for bit: every form of source, orientation
 * and fit, enlarging and shrinking. It drives geometry.c and scale.c below the public interface,
 * where every form can have every orientation.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/image/image_internal.h"
#include "tests/unit/image/reference.h"

struct picture {
    uint32_t width, height; /* samples of a row, rows */
    unsigned step;          /* samples of a pixel */
    bool mosaic;
    uint16_t black, white;
    uint16_t *values;
    uint8_t *bytes;    /* the same, where they are bytes */
    uint32_t next_row; /* the first that may be asked for */
};

static void picture_row(void *context, uint32_t index, size_t first, size_t n, uint16_t *out)
{
    struct picture *p = context;

    assert_true(index < p->height);
    assert_true(first + n <= p->width);
    assert_true(p->mosaic || index >= p->next_row);
    p->next_row = index + 1;
    memcpy(out, p->values + (size_t)index * p->width + first, n * sizeof(*out));
}

static uint32_t picture_count(const void *context, uint32_t x, uint32_t y, unsigned channel)
{
    const struct picture *p = context;
    uint32_t value = p->values[(size_t)y * p->width + x * p->step + channel];

    if (value < p->black) {
        return 0;
    }
    return (value < p->white ? value : p->white) - p->black;
}

/* How the rows of a picture are handed over. */
enum way { WAY_BYTES, WAY_WORDS, WAY_CONVERT };

static const char *const cfa_names[] = {"RGGB", "GRBG", "GBRG", "BGGR"};
static const unsigned steps[] = {
    [IMAGE_FORM_MONO] = 1,
    [IMAGE_FORM_MOSAIC] = 1,
    [IMAGE_FORM_RGB] = 3,
    [IMAGE_FORM_RGBX] = 4,
};

struct run {
    struct picture picture;
    struct image_source source;
    struct image_geometry geometry;
    struct image_target target;
    struct reference_picture expected;
};

/* A random picture of pixels_w x pixels_h pixels. */
static void run_init(struct run *run, enum image_form form, uint32_t pixels_w, uint32_t pixels_h,
                     const struct image_target *target)
{
    uint32_t unit = form == IMAGE_FORM_MOSAIC ? 2 : 1;
    /* An odd last column of a mosaic belongs to no quad. */
    uint32_t odd = form == IMAGE_FORM_MOSAIC ? random_below(2) : 0;
    uint8_t orientation = (uint8_t)(1 + random_below(8));
    enum way way = random_below(3);
    uint32_t highest = way == WAY_BYTES ? 255 : 65535;
    uint32_t cfa = random_below(4);

    run->target = *target;
    run->picture = (struct picture){
        .width = pixels_w * unit * steps[form] + odd,
        .height = pixels_h * unit,
        .step = steps[form],
        .mosaic = form == IMAGE_FORM_MOSAIC,
    };
    struct picture *p = &run->picture;
    p->black = (uint16_t)random_below(highest);
    p->white = (uint16_t)(p->black + 1 + random_below(highest - p->black));
    if (random_below(4) == 0) {
        p->black = 0;
        p->white = (uint16_t)highest;
    }
    size_t size = (size_t)p->width * p->height;
    p->values = malloc(size * sizeof(*p->values));
    p->bytes = malloc(size);
    assert_non_null(p->values);
    assert_non_null(p->bytes);
    for (size_t i = 0; i < size; i++) {
        p->values[i] = (uint16_t)(random_below(8) == 0 ? highest : random_below(highest + 1));
        p->bytes[i] = (uint8_t)p->values[i];
    }
    run->source = (struct image_source){
        .form = form,
        .cfa = cfa,
        .black = p->black,
        .range = (uint16_t)(p->white - p->black),
        .data = way == WAY_BYTES ? (const void *)p->bytes : p->values,
        .pitch = p->width * (way == WAY_BYTES ? 1 : sizeof(*p->values)),
        .wide = way != WAY_BYTES,
    };
    if (way == WAY_CONVERT) {
        run->source.data = NULL;
        run->source.convert = picture_row;
        run->source.context = p;
    }
    run->expected = (struct reference_picture){
        .width = pixels_w * unit,
        .height = pixels_h * unit,
        .cfa = form == IMAGE_FORM_MOSAIC ? cfa_names[cfa] : NULL,
        .channels = form == IMAGE_FORM_MONO ? 1 : 3,
        .range = run->source.range,
        .orientation = orientation,
        .count = picture_count,
        .context = p,
    };
    image_geometry_init(&run->geometry, pixels_w, pixels_h, orientation, target);
}

static void run_finish(struct run *run)
{
    free(run->picture.values);
    free(run->picture.bytes);
}

static void check(struct image_decoder *decoder, enum image_form form, uint32_t pixels_w,
                  uint32_t pixels_h, const struct image_target *target)
{
    size_t size = (size_t)target->width * target->height * target->channels;
    uint16_t *got = malloc(size * sizeof(*got)), *expected = malloc(size * sizeof(*expected));
    struct run run;
    char what[80];

    assert_non_null(got);
    assert_non_null(expected);
    run_init(&run, form, pixels_w, pixels_h, target);
    reference_planes(&run.expected, target, expected);
    assert_int_equal(image_scale(decoder, &run.geometry, &run.source, target, got), 0);
    snprintf(what, sizeof(what), "form %d wide %d of %ux%u orientation %u", (int)form,
             run.source.wide, pixels_w, pixels_h, run.expected.orientation);
    assert_planes_equal(got, expected, target, what);
    run_finish(&run);
    free(got);
    free(expected);
}

static void test_random_pictures(void **state)
{
    struct image_decoder *decoder = *state;

    for (int i = 0; i < 3000; i++) {
        struct image_target target = {
            .width = 1 + random_below(14),
            .height = 1 + random_below(14),
            .channels = random_below(2) ? IMAGE_RGB : IMAGE_GREY,
            .fit = (uint8_t)random_below(3),
        };
        check(decoder, random_below(4), 1 + random_below(40), 1 + random_below(40), &target);
    }
}

/* Ratios that are whole, next to whole, and far from it, on long thin pictures too. */
static void test_chosen_sizes(void **state)
{
    static const uint32_t sizes[] = {1, 2, 3, 7, 8, 9, 63, 64, 65, 127, 128};
    const size_t count = sizeof(sizes) / sizeof(sizes[0]);

    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            struct image_target target = {8, 3, IMAGE_RGB, (uint8_t)random_below(3)};
            check(*state, random_below(4), sizes[i], sizes[j], &target);
        }
    }
}

/* The largest sums that the decoder's limits allow do not wrap. */
static void test_largest_sums(void **state)
{
    uint16_t *row = malloc(65535 * 3 * sizeof(*row));
    struct image_target target = {1, 1, IMAGE_GREY, IMAGE_FIT_STRETCH};
    struct image_source source = {
        .form = IMAGE_FORM_RGB,
        .range = 65535,
        .data = row,
        .pitch = 0, /* the same row again and again */
        .wide = true,
    };
    struct image_geometry geometry;
    uint16_t value = 0, others[2] = {0};

    assert_non_null(row);
    memset(row, 0xff, 65535 * 3 * sizeof(*row));
    image_geometry_init(&geometry, 16384, 65535, 1, &target); /* 2^30 pixels, less one row */
    assert_int_equal(image_scale(*state, &geometry, &source, &target, &value), 0);
    assert_int_equal(value, 65535);
    source.form = IMAGE_FORM_MONO;
    target.width = 2; /* with weights: 16383 samples to 2 */
    image_geometry_init(&geometry, 16383, 65535, 1, &target);
    assert_int_equal(image_scale(*state, &geometry, &source, &target, others), 0);
    assert_int_equal(others[0], 65535);
    assert_int_equal(others[1], 65535);
    free(row);
}

static void test_srgb_table(void **state)
{
    const uint16_t *linear = image_srgb_to_linear();

    (void)state;
    for (int v = 0; v < 256; v++) {
        double s = v / 255.0;
        double l = s <= 0.04045 ? s / 12.92 : pow((s + 0.055) / 1.055, 2.4);
        assert_int_equal(linear[v], lround(65535 * l));
    }
}

static int setup(void **state)
{
    random_start();
    return image_decoder_create(NULL, NULL, (struct image_decoder **)state);
}

static int teardown(void **state)
{
    image_decoder_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_pictures),
        cmocka_unit_test(test_chosen_sizes),
        cmocka_unit_test(test_largest_sums),
        cmocka_unit_test(test_srgb_table),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
