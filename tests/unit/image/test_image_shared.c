/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The hostile, RAW and JPEG files of ../shared, where it is there (OCELLUS_SHARED names another
 * place): each ends in a picture or a typed error, in time, without a word on stderr; genuine RAW
 * files decode and truncated ones do not.
 */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/image/image.h"
#include "tests/unit/image/reference.h"

enum { MAX_FILES = 4096, SIDE = 256 };

static const char *const refused_raw[] = {
    "GoPro_Hero7Black_GOPR8508.GPR",
    "rw2_Issue_419.rw2",
    "src_shufflepuck_generators_transform_test.raw",
    "t_images_CanonRaw.cr3",
    "t_images_DNG.dng",
    "t_images_Minolta.mrw",
    "t_images_Nikon.nef",
    "t_images_Panasonic.rw2",
    "t_images_PhaseOne.iiq",
    "t_images_Sigma.x3f",
    "t_images_SigmaDP2.x3f",
    "test_data_IMG_1361.dng",
    "test_data_exiv2-canon-powershot-s40.crw",
    "test_data_issue_1838_poc.crw",
    "test_data_issue_843_poc.crw",
    "tests_fixtures_sample.dng",
};

/* Beginnings of the names of genuine files. */
static const char *const genuine_raw[] = {
    "Canon_PowerShot",      "Kodak_DC",           "autotests_read_raw_RAW_KODAK_C330",
    "colorchart.dng",       "images_test.dng",    "nef_Issue_247-", /* JPEG under a RAW name */
    "src_quicktake_tests_", "src_sixforty_TEST2", "testImages_CRW",
};

struct files {
    char *names[MAX_FILES];
    size_t count;
};

/* nftw() has no context argument. */
static struct files *collected;

static int collect(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status;
    (void)ftw;
    if (type == FTW_F && collected->count < MAX_FILES) {
        collected->names[collected->count++] = strdup(path);
    }
    return 0;
}

static bool listed(const char *name, const char *const *list, size_t count, bool whole)
{
    for (size_t i = 0; i < count; i++) {
        if (strncmp(name, list[i], strlen(list[i]) + whole) == 0) {
            return true;
        }
    }
    return false;
}

static const char *base_name(const char *path)
{
    return strrchr(path, '/') + 1;
}

struct tally {
    unsigned decoded, unsupported, corrupt, too_large;
    double slowest_ms;
};

/* Of this process alone: the machine may be busy. */
static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* Decode one file to several targets; the result of the last one. */
static int decode_file(struct image_decoder *decoder, const char *path, struct tally *tally)
{
    static const struct image_target targets[] = {
        {SIDE, SIDE, IMAGE_RGB, IMAGE_FIT_CONTAIN},
        {32, 32, IMAGE_GREY, IMAGE_FIT_STRETCH},
        {32, 32, IMAGE_RGB, IMAGE_FIT_COVER},
    };
    static uint16_t planes[3 * SIDE * SIDE];
    size_t size = 0;
    uint8_t *bytes = read_file(path, &size);
    int r = 0;

    assert_non_null(bytes);
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        struct image_info info;
        double from = now_ms();
        r = image_decode(decoder, bytes, size, IMAGE_KIND_AUTO, NULL, &targets[i], planes, &info);
        double took = now_ms() - from;
        if (took > tally->slowest_ms) {
            tally->slowest_ms = took;
        }
        if (took > 1000 || (r != 0 && r != -ENOTSUP && r != -EBADMSG && r != -EFBIG)) {
            fail_msg("%s: %d after %.0f ms", path, r, took);
        }
    }
    tally->decoded += r == 0;
    tally->unsupported += r == -ENOTSUP;
    tally->corrupt += r == -EBADMSG;
    tally->too_large += r == -EFBIG;
    free(bytes);
    return r;
}

/* Everything that anybody writes to stderr in the meantime. */
static int catch_stderr(int *ret_old)
{
    int caught = memfd_create("stderr", MFD_CLOEXEC);

    assert_true(caught >= 0);
    fflush(stderr);
    *ret_old = dup(2);
    dup2(caught, 2);
    return caught;
}

static long release_stderr(int caught, int old)
{
    fflush(stderr);
    dup2(old, 2);
    close(old);
    long length = (long)lseek(caught, 0, SEEK_END);
    close(caught);
    return length;
}

typedef void (*verdict)(const char *path, int result);

static void check_folder(const char *folder, verdict judge)
{
    const char *shared = getenv("OCELLUS_SHARED");
    struct files files = {.count = 0};
    struct tally tally = {0};
    struct image_decoder *decoder;
    char root[4096];
    int old;

    snprintf(root, sizeof(root), "%s/data/%s", shared != NULL ? shared : SOURCE_ROOT "/../shared",
             folder);
    collected = &files;
    if (nftw(root, collect, 8, FTW_PHYS) < 0 || files.count == 0) {
        print_message("skipped: no files in %s\n", root);
        skip();
    }
    assert_int_equal(image_decoder_create(NULL, NULL, &decoder), 0);
    int caught = catch_stderr(&old);
    int *results = calloc(files.count, sizeof(*results));
    for (size_t i = 0; i < files.count; i++) {
        results[i] = decode_file(decoder, files.names[i], &tally);
    }
    long words = release_stderr(caught, old);
    if (words != 0) {
        fail_msg("%s: %ld bytes on stderr", folder, words);
    }
    image_decoder_destroy(decoder);
    print_message("%s: %zu files: %u decoded, %u unsupported, %u corrupt, %u too large; slowest "
                  "%.1f ms\n",
                  folder, files.count, tally.decoded, tally.unsupported, tally.corrupt,
                  tally.too_large, tally.slowest_ms);
    for (size_t i = 0; i < files.count; i++) {
        judge(files.names[i], results[i]);
        free(files.names[i]);
    }
    free(results);
}

static void judge_nothing(const char *path, int result)
{
    (void)path;
    (void)result;
}

static void judge_genuine(const char *path, int result)
{
    if (result != 0) {
        fail_msg("%s: %d", path, result);
    }
}

static void judge_raw(const char *path, int result)
{
    const char *name = base_name(path);
    size_t refused = sizeof(refused_raw) / sizeof(refused_raw[0]);
    size_t genuine = sizeof(genuine_raw) / sizeof(genuine_raw[0]);

    if ((listed(name, refused_raw, refused, true) && result == 0) ||
        (listed(name, genuine_raw, genuine, false) && result != 0)) {
        fail_msg("%s: %d", path, result);
    }
}

static void test_hostile(void **state)
{
    (void)state;
    check_folder("hostile", judge_nothing);
}

static void test_camera_jpeg(void **state)
{
    (void)state;
    check_folder("jpeg", judge_genuine);
}

static void test_camera_raw(void **state)
{
    (void)state;
    check_folder("raw", judge_raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_camera_jpeg),
        cmocka_unit_test(test_camera_raw),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
