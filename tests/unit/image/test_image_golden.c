/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What the JPEG files in tests/data/image decode to, pinned for libjpeg-turbo 2.1: another version
 * may round differently, and then published model results need a new look. OCELLUS_TEST_PRINT=1
 * prints the table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jpeglib.h>

#include "engine/image/image.h"
#include "tests/unit/image/reference.h"

static const struct image_target targets[] = {
    {32, 32, IMAGE_RGB, IMAGE_FIT_COVER},    /* 1/1 */
    {28, 28, IMAGE_GREY, IMAGE_FIT_STRETCH}, /* 1/2, 1/1 for the turned one */
    {9, 11, IMAGE_RGB, IMAGE_FIT_CONTAIN},   /* 1/4 */
};
enum { TARGETS = sizeof(targets) / sizeof(targets[0]) };

static const struct golden {
    const char *name;
    uint32_t warnings;
    uint64_t digests[TARGETS];
} goldens[] = {
    {"ycc420.jpg", 0, {0x1a72be8373f4fb1e, 0x9d4218c2512f0b96, 0xffa45fdc4cb26802}},
    {"ycc422.jpg", 0, {0xece5a1b456d3466a, 0x9d4218c2512f0b96, 0x05544bafc985094a}},
    {"ycc444.jpg", 0, {0xe2ff56ddefe037eb, 0x9d4218c2512f0b96, 0x2f6f09693ca2ac42}},
    {"grey.jpg", 0, {0x43bd5742a5b3dd26, 0x9d4218c2512f0b96, 0xb87f7636e5b8edc3}},
    {"rgb.jpg", 0, {0x57abe7c1af773c64, 0xb70bba3bd4b9985a, 0x6ed080b51e11f05d}},
    {"progressive.jpg", 0, {0x1a72be8373f4fb1e, 0x9d4218c2512f0b96, 0xffa45fdc4cb26802}},
    {"arithmetic.jpg", 0, {0x1a72be8373f4fb1e, 0x9d4218c2512f0b96, 0xffa45fdc4cb26802}},
    {"restart.jpg", 0, {0x1a72be8373f4fb1e, 0x9d4218c2512f0b96, 0xffa45fdc4cb26802}},
    {"orientation6.jpg", 0, {0xdb864a38b5b6f2da, 0x18d0f50be663cee6, 0x5ac1f3b76f584ff1}},
    {"truncated.jpg",
     IMAGE_WARN_TRUNCATED,
     {0x21905b877ab75f86, 0x86c4215c0b2276db, 0xf0e497253c9e7d14}},
};

/* FNV-1a over the values, low byte first. */
static uint64_t digest(const uint16_t *planes, size_t count)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (size_t i = 0; i < 2 * count; i++) {
        hash ^= planes[i / 2] >> (i % 2 * 8) & 255;
        hash *= UINT64_C(0x100000001b3);
    }
    return hash;
}

static uint64_t decode(struct image_decoder *decoder, const struct golden *golden,
                       const struct image_target *target)
{
    size_t count = (size_t)target->width * target->height * target->channels, size = 0;
    uint16_t *planes = malloc(count * sizeof(*planes));
    struct image_info info;
    char path[4096];

    snprintf(path, sizeof(path), "%s/%s", IMAGE_DATA, golden->name);
    uint8_t *bytes = read_file(path, &size);
    if (bytes == NULL) {
        fail_msg("%s: not there", path);
    }
    assert_non_null(planes);
    assert_int_equal(
        image_decode(decoder, bytes, size, IMAGE_KIND_AUTO, NULL, target, planes, &info), 0);
    assert_int_equal(info.warnings, golden->warnings);
    uint64_t hash = digest(planes, count);
    free(planes);
    free(bytes);
    return hash;
}

static void test_digests(void **state)
{
    struct image_decoder *decoder;
    unsigned wrong = 0;

    (void)state;
    if (LIBJPEG_TURBO_VERSION_NUMBER / 1000 != 2001) {
        print_message("skipped: libjpeg-turbo is not 2.1\n");
        skip();
    }
    assert_int_equal(image_decoder_create(NULL, NULL, &decoder), 0);
    for (size_t i = 0; i < sizeof(goldens) / sizeof(goldens[0]); i++) {
        for (size_t t = 0; t < TARGETS; t++) {
            uint64_t hash = decode(decoder, &goldens[i], &targets[t]);
            wrong += hash != goldens[i].digests[t];
            if (hash != goldens[i].digests[t]) {
                print_message("%s target %zu: 0x%016llx\n", goldens[i].name, t,
                              (unsigned long long)hash);
            }
        }
    }
    image_decoder_destroy(decoder);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_digests)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
