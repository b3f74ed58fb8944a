/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * JPEG: the whole path against a bare libjpeg decode and the literal definition, orientation,
 * damage, limits, and the kinds that are refused.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <jpeglib.h>

#include "engine/image/image.h"
#include "tests/unit/image/encode.h"
#include "tests/unit/image/reference.h"

static const struct encode plain = {.width = 96,
                                    .height = 64,
                                    .colour = ENCODE_YCC,
                                    .quality = 85,
                                    .sampling_h = 2,
                                    .sampling_v = 2};

/* A picture as libjpeg alone gives it. */
struct bare {
    uint32_t width, height;
    unsigned channels;
    uint8_t *samples;
};

static uint32_t bare_count(const void *context, uint32_t x, uint32_t y, unsigned channel)
{
    const struct bare *bare = context;

    return image_srgb_to_linear()[bare->samples[(y * bare->width + x) * bare->channels + channel]];
}

static struct bare bare_decode(const uint8_t *bytes, size_t size, unsigned reduction, bool colour)
{
    struct jpeg_decompress_struct cinfo;
    struct jpeg_error_mgr error;
    struct bare bare;

    cinfo.err = jpeg_std_error(&error);
    jpeg_create_decompress(&cinfo);
    jpeg_mem_src(&cinfo, bytes, size);
    jpeg_read_header(&cinfo, TRUE);
    cinfo.scale_num = 1;
    cinfo.scale_denom = reduction;
    cinfo.dct_method = JDCT_ISLOW;
    cinfo.out_color_space = colour ? JCS_RGB : JCS_GRAYSCALE;
    jpeg_start_decompress(&cinfo);
    bare = (struct bare){cinfo.output_width, cinfo.output_height, colour ? 3 : 1, NULL};
    bare.samples = malloc((size_t)bare.width * bare.height * bare.channels);
    assert_non_null(bare.samples);
    while (cinfo.output_scanline < cinfo.output_height) {
        JSAMPROW row = bare.samples + (size_t)cinfo.output_scanline * bare.width * bare.channels;
        jpeg_read_scanlines(&cinfo, &row, 1);
    }
    jpeg_finish_decompress(&cinfo);
    jpeg_destroy_decompress(&cinfo);
    return bare;
}

/* The rule of image.h: the largest reduction whose source rectangle is twice the model's size. */
static unsigned expected_reduction(uint32_t width, uint32_t height, unsigned orientation,
                                   const struct image_target *target)
{
    uint64_t W = orientation >= 5 ? height : width, H = orientation >= 5 ? width : height;
    uint64_t w = target->width, h = target->height, sw = W, sh = H;

    if (target->fit == IMAGE_FIT_COVER) {
        sw = H * w / h < W ? H * w / h : W;
        sh = W * h / w < H ? W * h / w : H;
    }
    for (unsigned reduction = 8; reduction > 1; reduction /= 2) {
        if (sw >= reduction * 2 * w && sh >= reduction * 2 * h) {
            return reduction;
        }
    }
    return 1;
}

static void check(struct image_decoder *decoder, const struct encode *encode, unsigned orientation,
                  const struct image_target *target)
{
    size_t count = (size_t)target->width * target->height * target->channels, size;
    uint16_t *got = malloc(count * sizeof(*got)), *expected = malloc(count * sizeof(*expected));
    uint8_t *bytes = encode_jpeg(encode, &size);
    struct image_info info;
    char what[80];

    assert_non_null(got);
    assert_non_null(expected);
    bytes = encode_orientation(bytes, size, orientation, random_below(2), &size);
    unsigned reduction = expected_reduction(encode->width, encode->height, orientation, target);
    bool colour = encode->colour != ENCODE_GREY && target->channels == IMAGE_RGB;
    struct bare bare = bare_decode(bytes, size, reduction, colour);
    struct reference_picture picture = {
        .width = bare.width,
        .height = bare.height,
        .channels = bare.channels,
        .range = 65535,
        .orientation = (uint8_t)orientation,
        .count = bare_count,
        .context = &bare,
    };
    reference_planes(&picture, target, expected);

    assert_int_equal(image_decode(decoder, bytes, size, IMAGE_KIND_AUTO, NULL, target, got, &info),
                     0);
    snprintf(what, sizeof(what), "%ux%u colour %d orientation %u reduction %u", encode->width,
             encode->height, (int)encode->colour, orientation, reduction);
    assert_planes_equal(got, expected, target, what);
    assert_int_equal(info.kind, IMAGE_KIND_JPEG);
    assert_int_equal(info.orientation, orientation);
    assert_int_equal(info.reduction, reduction);
    assert_int_equal(info.warnings & ~(unsigned)IMAGE_WARN_CONSTANT, 0);
    assert_int_equal(info.width, orientation >= 5 ? encode->height : encode->width);
    assert_int_equal(info.height, orientation >= 5 ? encode->width : encode->height);
    assert_int_equal(info.nominal_white, 65535);
    free(bare.samples);
    free(bytes);
    free(got);
    free(expected);
}

static void test_equals_the_definition(void **state)
{
    for (int i = 0; i < 400; i++) {
        struct encode encode = {
            .width = 1 + random_below(160),
            .height = 1 + random_below(160),
            .colour = random_below(3),
            .quality = 30 + (int)random_below(70),
            .sampling_h = 1 + (int)random_below(2),
            .sampling_v = 1 + (int)random_below(2),
            .progressive = random_below(4) == 0,
            .arithmetic = random_below(8) == 0,
            .restart = random_below(4) == 0 ? 3 : 0,
        };
        struct image_target target = {
            .width = 1 + random_below(24),
            .height = 1 + random_below(24),
            .channels = random_below(2) ? IMAGE_RGB : IMAGE_GREY,
            .fit = (uint8_t)random_below(3),
        };
        check(*state, &encode, 1 + random_below(8), &target);
    }
}

/* Decode to a small target; returns the result and, on success, the warnings. */
static int decode(struct image_decoder *decoder, const uint8_t *bytes, size_t size,
                  uint32_t *ret_warnings)
{
    struct image_target target = {16, 16, IMAGE_RGB, IMAGE_FIT_STRETCH};
    uint16_t planes[3 * 16 * 16];
    struct image_info info = {.kind = 77};

    int r = image_decode(decoder, bytes, size, IMAGE_KIND_JPEG, NULL, &target, planes, &info);
    if (r < 0) {
        assert_int_equal(info.kind, 77); /* untouched */
    } else {
        *ret_warnings = info.warnings;
    }
    return r;
}

static size_t find_marker(const uint8_t *bytes, size_t size, uint8_t marker)
{
    for (size_t i = 0; i + 1 < size; i++) {
        if (bytes[i] == 0xff && bytes[i + 1] == marker) {
            return i;
        }
    }
    fail_msg("no marker %02x", marker);
    return 0;
}

static void test_truncated(void **state)
{
    for (int progressive = 0; progressive < 2; progressive++) {
        struct encode encode = plain;
        encode.progressive = progressive;
        size_t size;
        uint8_t *bytes = encode_jpeg(&encode, &size);
        size_t scan = find_marker(bytes, size, 0xda), data = scan + 2 + bytes[scan + 3];
        uint32_t warnings;
        for (size_t cut = 0; cut < size; cut += cut < data + 4 ? 1 : 37) {
            uint8_t *part = malloc(cut); /* so that a sanitizer sees a read past its end */
            memcpy(part, bytes, cut);
            int r = decode(*state, part, cut, &warnings);
            if (cut < data + 2) {
                assert_int_equal(r, -EBADMSG);
            } else if (cut < size - 2 && !(progressive && r == -EBADMSG)) {
                /* A cut through the tables between two scans is an error of its own. */
                assert_int_equal(r, 0);
                assert_true(warnings & IMAGE_WARN_TRUNCATED);
            }
            free(part);
        }
        assert_int_equal(decode(*state, bytes, size, &warnings), 0);
        assert_int_equal(warnings, 0);
        free(bytes);
    }
}

static void test_header_without_picture(void **state)
{
    uint32_t warnings;
    size_t size;
    uint8_t *bytes = encode_jpeg(&plain, &size);
    size_t scan = find_marker(bytes, size, 0xda), data = scan + 2 + bytes[scan + 3];

    bytes[data] = 0xff;
    bytes[data + 1] = 0xd9;
    assert_int_equal(decode(*state, bytes, size, &warnings), -EBADMSG);
    bytes[scan + 1] = 0xd9; /* the end before any scan */
    assert_int_equal(decode(*state, bytes, size, &warnings), -EBADMSG);
    free(bytes);
}

static void test_damaged(void **state)
{
    uint32_t warnings = 0, seen = 0;
    size_t size;
    uint8_t *bytes = encode_jpeg(&plain, &size);
    size_t scan = find_marker(bytes, size, 0xda);

    for (size_t at = scan + 40; at < size - 2; at += 101) {
        uint8_t before = bytes[at];
        bytes[at] ^= 0x55;
        if (decode(*state, bytes, size, &warnings) == 0) {
            seen |= warnings;
        }
        bytes[at] = before;
    }
    assert_true(seen & IMAGE_WARN_DAMAGED);
    assert_int_equal(decode(*state, bytes, size, &warnings), 0);
    assert_int_equal(warnings, 0); /* nothing is carried over from image to image */
    free(bytes);
}

static void test_refused_kinds(void **state)
{
    struct encode cmyk = plain;
    uint32_t warnings;
    size_t size;

    cmyk.colour = ENCODE_CMYK;
    uint8_t *bytes = encode_jpeg(&cmyk, &size);
    assert_int_equal(decode(*state, bytes, size, &warnings), -ENOTSUP);
    free(bytes);

    bytes = encode_jpeg(&plain, &size);
    size_t frame = find_marker(bytes, size, 0xc0);
    bytes[frame + 1] = 0xc3; /* lossless */
    assert_int_equal(decode(*state, bytes, size, &warnings), -ENOTSUP);
    bytes[frame + 1] = 0xc1;
    bytes[frame + 4] = 12; /* bits a sample */
    assert_int_equal(decode(*state, bytes, size, &warnings), -ENOTSUP);
    free(bytes);
}

static void test_size_limits(void **state)
{
    struct image_limits limits = {.max_pixels = 96 * 64, .max_side = 96};
    struct image_decoder *decoder;
    uint32_t warnings;
    size_t size;
    uint8_t *bytes = encode_jpeg(&plain, &size);
    size_t frame = find_marker(bytes, size, 0xc0);

    bytes[frame + 5] = bytes[frame + 7] = 0xff; /* about 65300 x 65300 */
    assert_int_equal(decode(*state, bytes, size, &warnings), -EFBIG);
    bytes[frame + 5] = bytes[frame + 7] = 0;
    bytes[frame + 6] = 0;
    assert_int_equal(decode(*state, bytes, size, &warnings), -EBADMSG);
    bytes[frame + 6] = 64;
    assert_int_equal(image_decoder_create(&limits, NULL, &decoder), 0);
    assert_int_equal(decode(decoder, bytes, size, &warnings), 0);
    bytes[frame + 6] = 65;
    assert_int_equal(decode(decoder, bytes, size, &warnings), -EFBIG);
    bytes[frame + 6] = 10;
    bytes[frame + 8] = 97;
    assert_int_equal(decode(decoder, bytes, size, &warnings), -EFBIG);
    image_decoder_destroy(decoder);
    free(bytes);
}

static int decode_limited(const struct image_limits *limits, const uint8_t *bytes, size_t size)
{
    struct image_decoder *decoder;
    uint32_t warnings;

    assert_int_equal(image_decoder_create(limits, NULL, &decoder), 0);
    int r = decode(decoder, bytes, size, &warnings);
    image_decoder_destroy(decoder);
    return r;
}

/* A probe decodes nothing: scans are counted before. */
static int probe_limited(const struct image_limits *limits, const uint8_t *bytes, size_t size)
{
    struct image_decoder *decoder;
    struct image_info info;

    assert_int_equal(image_decoder_create(limits, NULL, &decoder), 0);
    int r = image_probe(decoder, bytes, size, IMAGE_KIND_JPEG, NULL, &info);
    image_decoder_destroy(decoder);
    return r;
}

static void test_scan_limits(void **state)
{
    struct encode encode = plain;
    size_t size;

    (void)state;
    encode.progressive = true; /* libjpeg's simple progression of three components: 10 scans */
    uint8_t *bytes = encode_jpeg(&encode, &size);
    struct image_limits limits = {.max_scans = 10};
    assert_int_equal(decode_limited(&limits, bytes, size), 0);
    assert_int_equal(probe_limited(&limits, bytes, size), 0);
    limits.max_scans = 9;
    assert_int_equal(decode_limited(&limits, bytes, size), -EFBIG);
    assert_int_equal(probe_limited(&limits, bytes, size), -EFBIG);
    limits = (struct image_limits){.max_scan_pixels = 10 * 96 * 64};
    assert_int_equal(decode_limited(&limits, bytes, size), 0);
    limits.max_scan_pixels--;
    assert_int_equal(decode_limited(&limits, bytes, size), -EFBIG);
    limits = (struct image_limits){.max_bytes = size - 1};
    assert_int_equal(decode_limited(&limits, bytes, size), -EFBIG);
    free(bytes);

    /* Scans behind the end of the picture, or inside of other segments, are none. */
    bytes = encode_jpeg(&plain, &size);
    limits = (struct image_limits){.max_scans = 1};
    assert_int_equal(decode_limited(&limits, bytes, size), 0);
    free(bytes);
}

/* Decode and fail the test when that takes long, in time of this process; generous to sanitizers.
 */
static int decode_in_time(struct image_decoder *decoder, const uint8_t *bytes, size_t size)
{
    struct timespec from, to;
    uint32_t warnings;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    int r = decode(decoder, bytes, size, &warnings);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    double ms =
        (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) * 1e-6;
    print_message("%d in %.3f ms\n", r, ms);
    assert_true(ms < 200);
    return r;
}

/* Many tiny scans of a large progressive picture: refused at once, not decoded for seconds. */
static void test_scan_bomb(void **state)
{
    enum { SCANS = 5000, FILL = 1 << 20 };
    struct encode encode = plain;
    size_t size;

    encode.progressive = true;
    uint8_t *bytes = encode_jpeg(&encode, &size);
    size_t frame = find_marker(bytes, size, 0xc2), scan = find_marker(bytes, size, 0xda);
    size_t length = 2 + (size_t)bytes[scan + 3] + 2;
    uint8_t *bomb = malloc(size + SCANS * length + FILL);
    assert_non_null(bomb);

    /* Nothing but fill bytes behind the first scan: counting must not start over at each. */
    memcpy(bomb, bytes, scan + length);
    memset(bomb + scan + length, 0xff, FILL);
    assert_int_equal(decode_in_time(*state, bomb, scan + length + FILL), 0);

    bytes[frame + 5] = bytes[frame + 7] = 20; /* about 5000 x 5000 */
    memcpy(bomb, bytes, size - 2);
    for (size_t i = 0; i < SCANS; i++) {
        memcpy(bomb + size - 2 + i * length, bytes + scan, length);
    }
    assert_int_equal(decode_in_time(*state, bomb, size - 2 + SCANS * length), -EFBIG);
    free(bomb);
    free(bytes);
}

static unsigned probed_orientation(struct image_decoder *decoder, const uint8_t *bytes, size_t size)
{
    struct image_info info;

    assert_int_equal(image_probe(decoder, bytes, size, IMAGE_KIND_AUTO, NULL, &info), 0);
    assert_int_equal(info.reduction, 1);
    assert_int_equal(info.warnings, 0);
    return info.orientation;
}

static void test_broken_exif(void **state)
{
    for (int big_endian = 0; big_endian < 2; big_endian++) {
        size_t size;
        uint8_t *bytes = encode_jpeg(&plain, &size);
        bytes = encode_orientation(bytes, size, 6, big_endian, &size);
        assert_int_equal(probed_orientation(*state, bytes, size), 6);
        /* Every byte of the segment's payload with every value: never worse than an odd answer. */
        for (size_t at = 6; at < 38; at++) {
            uint8_t before = bytes[at];
            for (unsigned value = 0; value < 256; value++) {
                bytes[at] = (uint8_t)value;
                unsigned orientation = probed_orientation(*state, bytes, size);
                assert_in_range(orientation, 1, 8);
            }
            bytes[at] = before;
        }
        bytes[2 + (big_endian ? 29 : 28)] = 9;
        assert_int_equal(probed_orientation(*state, bytes, size), 1);
        free(bytes);
    }
}

static void test_constant_is_a_warning(void **state)
{
    struct image_target target = {1, 1, IMAGE_GREY, IMAGE_FIT_STRETCH};
    struct image_info info;
    uint16_t value;
    size_t size;
    uint8_t *bytes = encode_jpeg(&plain, &size);

    assert_int_equal(
        image_decode(*state, bytes, size, IMAGE_KIND_AUTO, NULL, &target, &value, &info), 0);
    assert_int_equal(info.warnings, IMAGE_WARN_CONSTANT); /* one value equals itself */
    free(bytes);
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
        cmocka_unit_test(test_equals_the_definition),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_header_without_picture),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_refused_kinds),
        cmocka_unit_test(test_size_limits),
        cmocka_unit_test(test_scan_limits),
        cmocka_unit_test(test_scan_bomb),
        cmocka_unit_test(test_broken_exif),
        cmocka_unit_test(test_constant_is_a_warning),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
