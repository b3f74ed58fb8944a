/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Sensor buffers in every packing and mosaic, and PGM / PPM, against the literal definition; the
 * descriptions, headers and buffers that must be refused.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/image/image.h"
#include "tests/unit/image/reference.h"

static const char *const cfa_names[] = {"RGGB", "GRBG", "GBRG", "BGGR", NULL};

/* Samples as numbers, packed in a buffer, and what makes counts of them. */
struct sensor_case {
    struct image_sensor sensor;
    uint16_t *values;
    uint8_t *allocated, *bytes; /* bytes ends where the allocation ends */
    size_t size;
};

static uint32_t sensor_count(const void *context, uint32_t x, uint32_t y, unsigned channel)
{
    const struct sensor_case *c = context;
    uint32_t value = c->values[(size_t)y * c->sensor.width + x];

    (void)channel;
    if (value < c->sensor.black) {
        return 0;
    }
    return (value < c->sensor.white ? value : c->sensor.white) - c->sensor.black;
}

static uint32_t packed_row(const struct image_sensor *sensor)
{
    switch (sensor->packing) {
    case IMAGE_PACKING_U8:
        return sensor->width;
    case IMAGE_PACKING_U16LE:
        return sensor->width * 2;
    case IMAGE_PACKING_MIPI10:
        return sensor->width / 4 * 5;
    default:
        return sensor->width / 2 * 3;
    }
}

/* MIPI CSI-2: the high bytes of a group of samples, then the low bits, first sample lowest. */
static void pack_row(const struct sensor_case *c, const uint16_t *values, uint8_t *out)
{
    for (uint32_t x = 0; x < c->sensor.width; x++) {
        uint16_t v = values[x];
        switch (c->sensor.packing) {
        case IMAGE_PACKING_U8:
            out[x] = (uint8_t)v;
            break;
        case IMAGE_PACKING_U16LE:
            out[2 * x] = (uint8_t)v;
            out[2 * x + 1] = (uint8_t)(v >> 8);
            break;
        case IMAGE_PACKING_MIPI10:
            out[x / 4 * 5 + x % 4] = (uint8_t)(v >> 2);
            out[x / 4 * 5 + 4] |= (uint8_t)((v & 3) << (x % 4 * 2));
            break;
        default:
            out[x / 2 * 3 + x % 2] = (uint8_t)(v >> 4);
            out[x / 2 * 3 + 2] |= (uint8_t)((v & 15) << (x % 2 * 4));
            break;
        }
    }
}

static void sensor_case_init(struct sensor_case *c, enum image_packing packing, enum image_cfa cfa)
{
    static const uint32_t highest[] = {255, 65535, 1023, 4095};
    static const uint32_t groups[] = {1, 1, 4, 2};

    *c = (struct sensor_case){.sensor = {.cfa = (uint8_t)cfa, .packing = (uint8_t)packing}};
    c->sensor.width = (1 + random_below(60 / groups[packing])) * groups[packing];
    c->sensor.height = 2 + random_below(40);
    if (cfa != IMAGE_CFA_MONO && c->sensor.width < 2) {
        c->sensor.width = 2;
    }
    c->sensor.stride = packed_row(&c->sensor) + random_below(3) * random_below(9);
    c->sensor.black = (uint16_t)random_below(highest[packing] / 4);
    c->sensor.white =
        (uint16_t)(c->sensor.black + 1 + random_below(highest[packing] - c->sensor.black));
    assert_int_equal(image_sensor_bytes(&c->sensor, &c->size), 0);
    assert_int_equal(c->size, (c->sensor.height - 1) * c->sensor.stride + packed_row(&c->sensor));

    uint32_t odd = random_below(2); /* buffers need no alignment */
    c->values = malloc((size_t)c->sensor.width * c->sensor.height * sizeof(*c->values));
    c->allocated = calloc(1, c->size + odd);
    assert_non_null(c->values);
    assert_non_null(c->allocated);
    c->bytes = c->allocated + odd;
    for (uint32_t y = 0; y < c->sensor.height; y++) {
        uint16_t *row = c->values + (size_t)y * c->sensor.width;
        for (uint32_t x = 0; x < c->sensor.width; x++) {
            row[x] = (uint16_t)random_below(highest[packing] + 1);
        }
        pack_row(c, row, c->bytes + (size_t)y * c->sensor.stride);
    }
}

static void sensor_case_finish(struct sensor_case *c)
{
    free(c->values);
    free(c->allocated);
}

static struct image_target random_target(void)
{
    return (struct image_target){
        .width = 1 + random_below(16),
        .height = 1 + random_below(16),
        .channels = random_below(2) ? IMAGE_RGB : IMAGE_GREY,
        .fit = (uint8_t)random_below(3),
    };
}

static void test_every_packing(void **state)
{
    uint16_t got[3 * 16 * 16], expected[3 * 16 * 16];
    struct image_info info;
    char what[80];

    for (int i = 0; i < 1500; i++) {
        struct image_target target = random_target();
        struct sensor_case c;
        sensor_case_init(&c, random_below(4), random_below(5));
        struct reference_picture picture = {
            .width = c.sensor.width,
            .height = c.sensor.height,
            .cfa = cfa_names[c.sensor.cfa],
            .channels = 1,
            .range = (uint32_t)(c.sensor.white - c.sensor.black),
            .orientation = 1,
            .count = sensor_count,
            .context = &c,
        };
        reference_planes(&picture, &target, expected);
        assert_int_equal(image_decode(*state, c.bytes, c.size, IMAGE_KIND_SENSOR, &c.sensor,
                                      &target, got, &info),
                         0);
        snprintf(what, sizeof(what), "packing %u cfa %u %ux%u", c.sensor.packing, c.sensor.cfa,
                 c.sensor.width, c.sensor.height);
        assert_planes_equal(got, expected, &target, what);
        assert_int_equal(info.kind, IMAGE_KIND_SENSOR);
        assert_int_equal(info.orientation, 1);
        assert_int_equal(info.width, c.sensor.width);
        assert_int_equal(info.height, c.sensor.height);
        assert_int_equal(info.nominal_white, 65535);
        sensor_case_finish(&c);
    }
}

static void test_sensor_is_checked(void **state)
{
    const struct image_sensor good = {.width = 8,
                                      .height = 4,
                                      .stride = 16,
                                      .cfa = IMAGE_CFA_BGGR,
                                      .packing = IMAGE_PACKING_U16LE,
                                      .black = 10,
                                      .white = 1000,
                                      .nominal_white = 8191};
    struct image_sensor bad[13];
    struct image_target target = {4, 4, IMAGE_RGB, IMAGE_FIT_COVER};
    uint8_t bytes[64] = {0};
    uint16_t planes[48];
    struct image_info info;
    size_t size = 7;

    for (size_t i = 0; i < 13; i++) {
        bad[i] = good;
    }
    bad[0].width = 1;
    bad[1].height = 1;
    bad[2].width = 65536;
    bad[3].height = 65536;
    bad[4].stride = 15;
    bad[5].cfa = IMAGE_CFA_MONO + 1;
    bad[6].packing = IMAGE_PACKING_MIPI12 + 1;
    bad[7].black = 1000;
    bad[8].packing = IMAGE_PACKING_MIPI10;
    bad[8].white = 1024;
    bad[9].packing = IMAGE_PACKING_MIPI12;
    bad[9].white = 4096;
    bad[10].packing = IMAGE_PACKING_U8;
    bad[10].white = 256;
    bad[11].packing = IMAGE_PACKING_MIPI10;
    bad[11].width = 6;
    bad[12].width = 0;
    for (size_t i = 0; i < 13; i++) {
        assert_int_equal(image_sensor_bytes(&bad[i], &size), -EINVAL);
        assert_int_equal(size, 7);
        assert_int_equal(image_decode(*state, bytes, sizeof(bytes), IMAGE_KIND_SENSOR, &bad[i],
                                      &target, planes, &info),
                         -EINVAL);
    }
    assert_int_equal(image_decode(*state, bytes, sizeof(bytes), IMAGE_KIND_SENSOR, &good, &target,
                                  planes, &info),
                     0);
    assert_int_equal(info.nominal_white, 8191);
    assert_int_equal(info.warnings, IMAGE_WARN_CONSTANT);
    assert_int_equal(image_decode(*state, bytes, sizeof(bytes) - 1, IMAGE_KIND_SENSOR, &good,
                                  &target, planes, &info),
                     -EBADMSG);
}

static void test_calls_are_checked(void **state)
{
    const struct image_sensor sensor = {.width = 1,
                                        .height = 1,
                                        .stride = 1,
                                        .cfa = IMAGE_CFA_MONO,
                                        .packing = IMAGE_PACKING_U8,
                                        .white = 255};
    const struct image_target good = {1, 1, IMAGE_GREY, IMAGE_FIT_COVER};
    const struct image_target bad[] = {
        {0, 1, IMAGE_GREY, 0}, {1, 0, IMAGE_GREY, 0}, {4097, 1, IMAGE_GREY, 0}, {1, 4097, 1, 0},
        {1, 1, 2, 0},          {1, 1, 0, 0},          {1, 1, IMAGE_RGB, 3},
    };
    const uint8_t byte = 255;
    uint16_t planes[3];
    struct image_info info;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(
            image_decode(*state, &byte, 1, IMAGE_KIND_SENSOR, &sensor, &bad[i], planes, &info),
            -EINVAL);
    }
    assert_int_equal(image_decode(*state, &byte, 1, IMAGE_KIND_SENSOR, NULL, &good, planes, &info),
                     -EINVAL);
    assert_int_equal(image_decode(*state, &byte, 1, IMAGE_KIND_JPEG, &sensor, &good, planes, &info),
                     -EINVAL);
    assert_int_equal(image_decode(*state, &byte, 1, IMAGE_KIND_AUTO, &sensor, &good, planes, &info),
                     -EINVAL);
    assert_int_equal(image_decode(*state, &byte, 1, 77, NULL, &good, planes, &info), -EINVAL);
    assert_int_equal(
        image_decode(*state, &byte, 1, IMAGE_KIND_SENSOR, &sensor, &good, planes, &info), 0);
    assert_int_equal(planes[0], 65535);
    for (enum image_kind kind = IMAGE_KIND_AUTO; kind <= IMAGE_KIND_PNM; kind++) {
        int r = image_decode(*state, "", 0, kind, NULL, &good, planes, &info);
        assert_true(r == -EBADMSG || r == -ENOTSUP);
    }
}

struct pnm_case {
    uint32_t width, height, maxval, channels;
    uint16_t *values;
};

static uint32_t pnm_count(const void *context, uint32_t x, uint32_t y, unsigned channel)
{
    const struct pnm_case *c = context;
    uint32_t value = c->values[((size_t)y * c->width + x) * c->channels + channel];

    return value < c->maxval ? value : c->maxval;
}

static void check_pnm(struct image_decoder *decoder, const struct pnm_case *c, const char *header)
{
    size_t samples = (size_t)c->width * c->height * c->channels, at = strlen(header);
    size_t size = at + samples * (c->maxval < 256 ? 1 : 2);
    uint8_t *bytes = malloc(size);
    uint16_t got[3 * 16 * 16], expected[3 * 16 * 16];
    struct image_target target = random_target();
    struct image_info info;
    struct reference_picture picture = {c->width,  c->height, NULL,      c->channels,
                                        c->maxval, 1,         pnm_count, c};

    assert_non_null(bytes);
    memcpy(bytes, header, at);
    for (size_t i = 0; i < samples; i++) {
        if (c->maxval > 255) {
            bytes[at++] = (uint8_t)(c->values[i] >> 8);
        }
        bytes[at++] = (uint8_t)c->values[i];
    }
    reference_planes(&picture, &target, expected);
    assert_int_equal(image_decode(decoder, bytes, size, IMAGE_KIND_AUTO, NULL, &target, got, &info),
                     0);
    assert_planes_equal(got, expected, &target, header);
    assert_int_equal(info.kind, IMAGE_KIND_PNM);
    assert_int_equal(info.width, c->width);
    assert_int_equal(info.height, c->height);
    assert_int_equal(
        image_decode(decoder, bytes, size - 1, IMAGE_KIND_AUTO, NULL, &target, got, &info),
        -EBADMSG);
    free(bytes);
}

static void test_pnm(void **state)
{
    for (int i = 0; i < 400; i++) {
        struct pnm_case c = {
            .width = 1 + random_below(50),
            .height = 1 + random_below(50),
            .maxval = 1 + random_below(random_below(2) ? 255 : 65535),
            .channels = random_below(2) ? 3 : 1,
        };
        size_t samples = (size_t)c.width * c.height * c.channels;
        char header[100];
        c.values = malloc(samples * sizeof(*c.values));
        assert_non_null(c.values);
        for (size_t k = 0; k < samples; k++) {
            c.values[k] = (uint16_t)random_below(c.maxval < 256 ? 256 : 65536);
        }
        snprintf(header, sizeof(header),
                 i % 2 ? "P%d\n%u %u\n%u\n" : "P%d#one\n# two 7\n\t%u\r\n#\n%u #\n%u ",
                 c.channels == 3 ? 6 : 5, c.width, c.height, c.maxval);
        check_pnm(*state, &c, header);
        free(c.values);
    }
}

static void test_broken_pnm(void **state)
{
    static const struct {
        const char *text;
        int result;
    } cases[] = {
        {"P5 1 1 255 x", 0},
        {"P5 1 1 255", -EBADMSG},
        {"P5 1 1 255 ", -EBADMSG},
        {"P5 1 1 255#x", -EBADMSG},
        {"P5 1 1 0 x", -EBADMSG},
        {"P5 1 1 65536 xx", -EBADMSG},
        {"P5 0 1 255 x", -EBADMSG},
        {"P5 1 0 255 x", -EBADMSG},
        {"P5 -1 1 255 x", -EBADMSG},
        {"P5 1 x", -EBADMSG},
        {"P5\n#", -EBADMSG},
        {"P5 32769 1 255 x", -EFBIG},
        {"P5 20000 20000 255 x", -EFBIG},
        {"P5 99999999999999999999 1 255 x", -EFBIG},
        {"P6 1 1 255 xx", -EBADMSG},
        {"P4 1 1 x", -ENOTSUP},
        {"P7\nWIDTH 1\n", -ENOTSUP},
        {"P8 1 1 255 x", -EBADMSG}, /* too short to be anything */
        {"P", -EBADMSG},
    };
    const struct image_target target = {1, 1, IMAGE_GREY, IMAGE_FIT_COVER};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t size = strlen(cases[i].text);
        char *copy = malloc(size);
        struct image_info info;
        uint16_t value;
        memcpy(copy, cases[i].text, size);
        int r = image_decode(*state, copy, size, IMAGE_KIND_AUTO, NULL, &target, &value, &info);
        if (r != cases[i].result) {
            fail_msg("\"%s\": %d, not %d", cases[i].text, r, cases[i].result);
        }
        free(copy);
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
        cmocka_unit_test(test_every_packing),     cmocka_unit_test(test_sensor_is_checked),
        cmocka_unit_test(test_calls_are_checked), cmocka_unit_test(test_pnm),
        cmocka_unit_test(test_broken_pnm),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
