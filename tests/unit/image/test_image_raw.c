/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Camera RAW on DNG files that are made here: levels, mosaics, orientation and exposure against the
 * literal definition; truncated and unsupported files.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/image/image_internal.h"
#include "tests/unit/image/reference.h"

enum { FILE_MAX = 65536, DATA_AT = 1024, LONG_AT = 600 };

struct dng {
    uint32_t width, height;
    const char *cfa;   /* four letters; NULL: none, and then */
    unsigned samples;  /* of a pixel: 3, or 1 of a monochrome sensor */
    uint16_t black[4]; /* of the quad, row by row */
    bool common_black; /* one black level, the first */
    uint16_t white;
    uint16_t orientation;
    int32_t exposure; /* in hundredths of a stop */
    uint16_t *values;
};

struct writer {
    uint8_t *bytes;
    size_t entry, extra; /* where the next ones go */
    unsigned count;
};

static void put(uint8_t *at, uint32_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

/* One entry of the directory; type 1 bytes, 3 shorts, 4 longs, 10 signed rational. */
static void put_tag(struct writer *w, unsigned tag, unsigned type, unsigned count,
                    const uint32_t *values)
{
    unsigned width = type == 1 ? 1 : type == 3 ? 2 : 4;
    unsigned numbers = type == 10 ? 2 * count : count;
    uint8_t *entry = w->bytes + w->entry;

    put(entry, tag, 2);
    put(entry + 2, type, 2);
    put(entry + 4, count, 4);
    uint8_t *at = entry + 8;
    if (numbers * width > 4) {
        put(entry + 8, (uint32_t)w->extra, 4);
        at = w->bytes + w->extra;
        w->extra += (numbers * width + 3) / 4 * 4;
    }
    for (unsigned i = 0; i < numbers; i++) {
        put(at + i * width, values[i], width);
    }
    w->entry += 12;
    w->count++;
    put(w->bytes + 8, w->count, 2);
}

static void put_number(struct writer *w, unsigned tag, unsigned type, uint32_t value)
{
    put_tag(w, tag, type, 1, &value);
}

/* An uncompressed 16-bit DNG. Returns its size. */
static size_t dng_write(const struct dng *dng, uint8_t *bytes)
{
    struct writer w = {.bytes = bytes, .entry = 10, .extra = LONG_AT};
    unsigned samples = dng->samples;
    uint32_t data = dng->width * dng->height * samples * 2;

    memset(bytes, 0, DATA_AT);
    memcpy(bytes, "II*\0\x08\0\0\0", 8);
    put_number(&w, 254, 4, 0);
    put_number(&w, 256, 4, dng->width);
    put_number(&w, 257, 4, dng->height);
    put_tag(&w, 258, 3, samples, (uint32_t[]){16, 16, 16});
    put_number(&w, 259, 3, 1);
    put_number(&w, 262, 3, dng->cfa != NULL ? 32803 : 34892);
    put_number(&w, 273, 4, DATA_AT);
    put_number(&w, 274, 3, dng->orientation);
    put_number(&w, 277, 3, samples);
    put_number(&w, 278, 4, dng->height);
    put_number(&w, 279, 4, data);
    if (dng->cfa != NULL) {
        uint32_t pattern[4];
        for (unsigned i = 0; i < 4; i++) {
            pattern[i] = dng->cfa[i] == 'R' ? 0 : dng->cfa[i] == 'G' ? 1 : 2;
        }
        put_tag(&w, 33421, 3, 2, (uint32_t[]){2, 2});
        put_tag(&w, 33422, 1, 4, pattern);
    }
    put_tag(&w, 50706, 1, 4, (uint32_t[]){1, 4, 0, 0});
    if (dng->common_black) {
        put_number(&w, 50714, 3, dng->black[0]);
    } else {
        put_tag(&w, 50713, 3, 2, (uint32_t[]){2, 2});
        put_tag(&w, 50714, 3, 4,
                (uint32_t[]){dng->black[0], dng->black[1], dng->black[2], dng->black[3]});
    }
    put_tag(&w, 50717, 3, samples, (uint32_t[]){dng->white, dng->white, dng->white});
    put_tag(&w, 50730, 10, 1, (uint32_t[]){(uint32_t)dng->exposure, 100});
    for (uint32_t i = 0; i < data / 2; i++) {
        put(bytes + DATA_AT + 2 * i, dng->values[i], 2);
    }
    return DATA_AT + data;
}

static uint32_t highest_black(const struct dng *dng)
{
    uint32_t highest = dng->black[0];

    for (unsigned i = 1; i < 4 && !dng->common_black; i++) {
        highest = dng->black[i] > highest ? dng->black[i] : highest;
    }
    return highest;
}

static uint32_t dng_count(const void *context, uint32_t x, uint32_t y, unsigned channel)
{
    const struct dng *dng = context;
    uint32_t value = dng->values[(y * dng->width + x) * dng->samples + channel];
    uint32_t black = dng->black[dng->common_black ? 0 : y % 2 * 2 + x % 2];
    uint32_t range = dng->white - highest_black(dng);

    value = value > black ? value - black : 0;
    return value < range ? value : range;
}

static struct dng random_dng(void)
{
    static const char *const names[] = {"RGGB", "GRBG", "GBRG", "BGGR", NULL, NULL};
    struct dng dng = {
        .width = 24 + random_below(40),
        .height = 24 + random_below(40),
        .cfa = names[random_below(6)],
        .samples = 1,
        .common_black = random_below(2),
        .orientation = (uint16_t)(1 + random_below(8)),
        .exposure = 0,
    };

    for (unsigned i = 0; i < 4; i++) {
        dng.black[i] = (uint16_t)random_below(600);
    }
    if (dng.cfa == NULL) {
        dng.common_black = true;
        dng.samples = random_below(2) ? 3 : 1;
        dng.black[0] = dng.samples == 3 ? 0 : dng.black[0];
    }
    dng.white = (uint16_t)(1000 + random_below(64000));
    size_t count = (size_t)dng.width * dng.height * 3;
    dng.values = malloc(count * sizeof(*dng.values));
    assert_non_null(dng.values);
    for (size_t i = 0; i < count; i++) {
        dng.values[i] = (uint16_t)random_below(dng.white + 500u);
    }
    return dng;
}

static void test_equals_the_definition(void **state)
{
    uint8_t *bytes = malloc(FILE_MAX);
    uint16_t got[3 * 16 * 16], expected[3 * 16 * 16];
    char what[80];

    assert_non_null(bytes);
    for (int i = 0; i < 300; i++) {
        struct dng dng = random_dng();
        size_t size = dng_write(&dng, bytes);
        struct image_target target = {1 + random_below(16), 1 + random_below(16),
                                      random_below(2) ? IMAGE_RGB : IMAGE_GREY,
                                      (uint8_t)random_below(3)};
        struct reference_picture picture = {
            .width = dng.width,
            .height = dng.height,
            .cfa = dng.cfa,
            .channels = dng.samples,
            .range = dng.white - highest_black(&dng),
            .orientation = (uint8_t)dng.orientation,
            .count = dng_count,
            .context = &dng,
        };
        struct image_info info;
        reference_planes(&picture, &target, expected);
        assert_int_equal(
            image_decode(*state, bytes, size, IMAGE_KIND_AUTO, NULL, &target, got, &info), 0);
        snprintf(what, sizeof(what), "%s %ux%u orientation %u common %d black %u white %u",
                 dng.cfa != NULL    ? dng.cfa
                 : dng.samples == 3 ? "colour"
                                    : "mono",
                 dng.width, dng.height, dng.orientation, dng.common_black, dng.black[0], dng.white);
        assert_planes_equal(got, expected, &target, what);
        assert_int_equal(info.kind, IMAGE_KIND_RAW);
        assert_int_equal(info.orientation, dng.orientation);
        assert_int_equal(info.width, dng.orientation >= 5 ? dng.height : dng.width);
        assert_int_equal(info.height, dng.orientation >= 5 ? dng.width : dng.height);
        free(dng.values);
    }
    free(bytes);
}

static void test_baseline_exposure(void **state)
{
    static const struct {
        int32_t hundredths;
        uint16_t nominal_white;
    } cases[] = {{0, 65535}, {100, 32768},  {300, 8192}, {800, 256},
                 {900, 256}, {-100, 65535}, {25, 55108}};
    uint8_t *bytes = malloc(FILE_MAX);
    struct dng dng = random_dng();

    assert_non_null(bytes);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct image_info info;
        dng.exposure = cases[i].hundredths;
        size_t size = dng_write(&dng, bytes);
        assert_int_equal(image_probe(*state, bytes, size, IMAGE_KIND_RAW, NULL, &info), 0);
        assert_int_equal(info.nominal_white, cases[i].nominal_white);
    }
    free(dng.values);
    free(bytes);
}

static int decode(struct image_decoder *decoder, const uint8_t *bytes, size_t size)
{
    struct image_target target = {8, 8, IMAGE_RGB, IMAGE_FIT_COVER};
    uint16_t planes[192];
    struct image_info info;
    uint8_t *copy = malloc(size + 1);

    assert_non_null(copy);
    memcpy(copy, bytes, size);
    int r = image_decode(decoder, copy, size, IMAGE_KIND_RAW, NULL, &target, planes, &info);
    free(copy);
    return r;
}

static uint8_t *entry_of(uint8_t *bytes, unsigned tag)
{
    unsigned count = bytes[8];

    for (unsigned i = 0; i < count; i++) {
        uint8_t *entry = bytes + 10 + 12 * i;
        if ((entry[0] | entry[1] << 8) == (int)tag) {
            return entry;
        }
    }
    fail_msg("no tag %u", tag);
    return NULL;
}

static void test_truncated(void **state)
{
    uint8_t *bytes = malloc(FILE_MAX);
    struct dng dng = random_dng();

    assert_non_null(bytes);
    size_t size = dng_write(&dng, bytes);
    assert_int_equal(decode(*state, bytes, size), 0);
    for (size_t cut = 0; cut < size; cut += cut < DATA_AT ? 13 : 131) {
        assert_int_not_equal(decode(*state, bytes, cut), 0);
    }
    assert_int_equal(decode(*state, bytes, size - 1), -EBADMSG);

    /* A file that was emptied by a tool: its strips are inside, but too small for the picture. */
    put(entry_of(bytes, 279) + 8, dng.width * dng.height / 8 - 1, 4);
    assert_int_equal(decode(*state, bytes, size), -EBADMSG);
    free(dng.values);
    free(bytes);
}

static void test_unsupported_mosaic(void **state)
{
    uint8_t *bytes = malloc(FILE_MAX);
    struct dng dng = random_dng();

    assert_non_null(bytes);
    dng.cfa = "RRGB";
    dng.samples = 1;
    size_t size = dng_write(&dng, bytes);
    assert_int_equal(decode(*state, bytes, size), -ENOTSUP);
    free(dng.values);
    free(bytes);
}

static void test_limits(void **state)
{
    struct dng dng = random_dng();
    struct image_limits limits = {.max_pixels = (uint64_t)dng.width * dng.height - 1};
    struct image_decoder *decoder;
    uint8_t *bytes = malloc(FILE_MAX);

    (void)state;
    assert_non_null(bytes);
    size_t size = dng_write(&dng, bytes);
    assert_int_equal(image_decoder_create(&limits, NULL, &decoder), 0);
    assert_int_equal(decode(decoder, bytes, size), -EFBIG);
    image_decoder_destroy(decoder);
    limits =
        (struct image_limits){.max_side = (dng.width > dng.height ? dng.width : dng.height) - 1};
    assert_int_equal(image_decoder_create(&limits, NULL, &decoder), 0);
    assert_int_equal(decode(decoder, bytes, size), -EFBIG);
    image_decoder_destroy(decoder);
    free(dng.values);
    free(bytes);
}

/* Any byte of the header with any of a few values: a result or an error, nothing else. */
static void test_damaged_header(void **state)
{
    static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
    uint8_t *bytes = malloc(FILE_MAX);
    struct dng dng = random_dng();

    assert_non_null(bytes);
    dng.cfa = "RGGB";
    dng.samples = 1;
    size_t size = dng_write(&dng, bytes);
    for (size_t at = 0; at < 10 + 12 * (size_t)bytes[8] + 4; at++) {
        uint8_t before = bytes[at];
        for (size_t i = 0; i < sizeof(values); i++) {
            bytes[at] = values[i];
            int r = decode(*state, bytes, size);
            assert_true(r == 0 || r == -EBADMSG || r == -ENOTSUP || r == -EFBIG);
        }
        bytes[at] = before;
    }
    free(dng.values);
    free(bytes);
}

/* A TIFF-like file: header, one directory of longs, zeros up to a size. Returns the size. */
static size_t write_longs(uint8_t *bytes, const char *magic, const uint32_t (*tags)[2],
                          unsigned count, size_t size)
{
    memset(bytes, 0, size);
    memcpy(bytes, magic, 4);
    put(bytes + 4, 8, 4);
    put(bytes + 8, count, 2);
    for (unsigned i = 0; i < count; i++) {
        put(bytes + 10 + 12 * i, tags[i][0], 2);
        put(bytes + 12 + 12 * i, 4, 2);
        put(bytes + 14 + 12 * i, 1, 4);
        put(bytes + 18 + 12 * i, tags[i][1], 4);
    }
    return size;
}

static void test_extent_of_tiff(void **state)
{
    static const uint32_t strip[][2] = {{256, 100}, {257, 100}, {273, 500}, {279, 1500}};
    static const uint32_t tile[][2] = {{256, 100}, {257, 100}, {324, 500}, {325, 1500}};
    static const uint32_t thumbnail[][2] = {{256, 10}, {257, 10}, {273, 500}, {279, 1500}};
    static const uint32_t panasonic[][2] = {{2, 140}, {3, 100}, {280, 1000}};
    struct image_raw_extent extent;
    uint8_t bytes[20000];

    (void)state;
    size_t size = write_longs(bytes, "II*", strip, 4, 2000);
    assert_int_equal(image_raw_check_extent(bytes, size, 10000, &extent), 0);
    assert_int_equal(extent.offset, 500);
    assert_int_equal(extent.size, 1500);
    assert_int_equal(image_raw_check_extent(bytes, size - 1, 10000, &extent), -EBADMSG);
    size = write_longs(bytes, "II*", tile, 4, 2000);
    assert_int_equal(image_raw_check_extent(bytes, size, 10000, &extent), 0);
    assert_int_equal(image_raw_check_extent(bytes, size - 1, 10000, &extent), -EBADMSG);
    size = write_longs(bytes, "II*", thumbnail, 4, 1999);
    assert_int_equal(image_raw_check_extent(bytes, size, 10000, &extent), 0);
    size = write_longs(bytes, "IIU", panasonic, 3, 17000); /* 14000 samples in 16000 bytes */
    assert_int_equal(image_raw_check_extent(bytes, size, 14000, &extent), 0);
    assert_int_equal(image_raw_check_extent(bytes, size - 1, 14000, &extent), -EBADMSG);
}

static void test_boxes(void **state)
{
    /* ftyp (24), moov (40) with trak (32) with mdia (24) with hdlr (16), mdat up to the end (16) */
    static const uint8_t good[80] = "\0\0\0\x18"
                                    "ftypcrx \0\0\0\1crx isom"
                                    "\0\0\0\x28moov\0\0\0\x20trak\0\0\0\x18mdia"
                                    "\0\0\0\x10hdlr\0\0\0\0\0\0\0\0"
                                    "\0\0\0\x10mdat";
    uint8_t bytes[80];

    (void)state;
    assert_int_equal(image_raw_check_boxes(good, sizeof(good)), 0);
    for (size_t at = 27; at <= 51; at += 8) { /* a length of each box but the first */
        memcpy(bytes, good, sizeof(bytes));
        bytes[at]++;
        assert_int_equal(image_raw_check_boxes(bytes, sizeof(bytes)), -EBADMSG);
        bytes[at] = 7;
        assert_int_equal(image_raw_check_boxes(bytes, sizeof(bytes)), -EBADMSG);
        bytes[at] = 1; /* a 64-bit length follows, which is odd here */
        assert_int_equal(image_raw_check_boxes(bytes, sizeof(bytes)), -EBADMSG);
    }
    assert_int_equal(image_raw_check_boxes(good, sizeof(good) - 1), -EBADMSG);
    memcpy(bytes, good, sizeof(bytes));
    bytes[67] = 0; /* mdat reaches to the end */
    assert_int_equal(image_raw_check_boxes(bytes, sizeof(bytes) - 1), 0);
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

/* An entry of a colour pattern, wherever it stands: 36 of it are too many, and nothing else is. */
static void test_patterns(void **state)
{
    (void)state;
    static const uint8_t entries[4][8] = {
        {0x8e, 0x82, 1, 0, 36, 0, 0, 0},
        {0x82, 0x8e, 0, 1, 0, 0, 0, 36},
        {0x09, 0xfd, 1, 0, 36, 0, 0, 0},
        {0xfd, 0x09, 0, 1, 0, 0, 0, 36},
    };
    for (unsigned i = 0; i < 4; i++) {
        for (size_t before = 0; before < 20; before++) {
            const size_t size = before + sizeof(entries[i]);
            uint8_t *bytes = malloc(size); /* of just this size, for sanitizers */
            assert_non_null(bytes);
            memset(bytes, 36, before);
            memcpy(bytes + before, entries[i], sizeof(entries[i]));
            assert_int_equal(image_raw_check_patterns(bytes, size), -ENOTSUP);
            assert_int_equal(image_raw_check_patterns(bytes, size - 1), 0);
            assert_int_equal(image_raw_check_patterns(bytes + before + 1, 7), 0);
            for (size_t k = 0; k < sizeof(entries[i]); k++) {
                const bool type = k == 2 || k == 3;
                bytes[before + k] ^= 0x40;
                assert_int_equal(image_raw_check_patterns(bytes, size), type ? -ENOTSUP : 0);
                bytes[before + k] ^= 0x40;
            }
            free(bytes);
        }
    }
    assert_int_equal(image_raw_check_patterns(entries[0], 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_the_definition),
        cmocka_unit_test(test_baseline_exposure),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_unsupported_mosaic),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_damaged_header),
        cmocka_unit_test(test_extent_of_tiff),
        cmocka_unit_test(test_boxes),
        cmocka_unit_test(test_patterns),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
