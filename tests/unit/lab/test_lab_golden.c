/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The whole line, image -> codes -> scores, with the shipped models on synthetic pictures: every
 * set of instructions of this machine must give the bytes that tests/data/golden/expected.txt
 * names. With the argument
 * --print the program writes that file's content instead.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sha256.h>

#include "engine/image/image.h"
#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/lab/dng.h"
#include "engine/lab/file.h"
#include "engine/lab/model.h"
#include "engine/lab/sensor.h"
#include "tests/unit/lab/pictures.h"

#define WIDTH        160u
#define HEIGHT       120u
#define LINE_BYTES   512u
#define EXPECTED_MAX (64u << 10)

static const char *const models[] = {"cifar10-lg3", "cifar10-log", "cifar10-srgb3", "person"};

/* Each picture as a PPM, as a JPEG kept in the repository, and as a capture at a quarter of nominal
 * light. */
enum container { PPM = 0, JPEG, DNG, CONTAINER_COUNT };
static const char *const suffixes[CONTAINER_COUNT] = {"ppm", "jpg", "dng"};

struct blob {
    uint8_t *bytes;
    size_t size;
};

static struct blob make_dng(const struct blob *ppm)
{
    static uint16_t planes[3 * WIDTH * HEIGHT], samples[WIDTH * HEIGHT];
    const struct image_target target = {WIDTH, HEIGHT, IMAGE_RGB, IMAGE_FIT_COVER};
    struct image_decoder *decoder;
    struct image_info info;
    struct lab_sensor sensor;
    struct blob dng;
    assert_int_equal(image_decoder_create(NULL, NULL, &decoder), 0);
    assert_int_equal(
        image_decode(decoder, ppm->bytes, ppm->size, IMAGE_KIND_PNM, NULL, &target, planes, &info),
        0);
    image_decoder_destroy(decoder);
    lab_sensor_init(&sensor, 12, 1, 4, false, 0);
    for (uint32_t y = 0; y < HEIGHT; y++) {
        for (uint32_t x = 0; x < WIDTH; x++) {
            uint32_t plane = y % 2 + x % 2; /* RGGB */
            samples[y * WIDTH + x] =
                lab_sensor_sample(&sensor, planes[(plane * HEIGHT + y) * WIDTH + x]);
        }
    }
    const struct lab_dng description = {samples,
                                        WIDTH,
                                        HEIGHT,
                                        IMAGE_CFA_RGGB,
                                        (uint16_t)sensor.black,
                                        (uint16_t)sensor.white,
                                        LAB_SENSOR_HEADROOM_STOPS};
    assert_int_equal(lab_dng_build(&description, &dng.bytes, &dng.size), 0);
    return dng;
}

static struct blob make_picture(enum picture picture, enum container container)
{
    struct blob blob;
    if (container == JPEG) {
        char path[512];
        snprintf(path, sizeof(path), "%s/tests/data/golden/%s.jpg", SOURCE_ROOT,
                 picture_name(picture));
        assert_int_equal(lab_file_read(path, 1 << 20, &blob.bytes, &blob.size), 0);
        return blob;
    }
    blob.bytes = picture_ppm(picture, WIDTH, HEIGHT, &blob.size);
    assert_non_null(blob.bytes);
    if (container == DNG) {
        struct blob dng = make_dng(&blob);
        free(blob.bytes);
        return dng;
    }
    return blob;
}

/* "MODEL PICTURE SHA256-OF-CODES SCORE...\n" */
static void describe(struct lab_model *model, const struct kernel_table *kernels, const char *name,
                     const struct blob *blob, char *line)
{
    const struct image_ops ops = {.accumulate_u16 = kernels->accumulate_u16,
                                  .accumulate_u8 = kernels->accumulate_u8};
    const struct gradient_spec *front = &model->input->front;
    struct image_decoder *decoder;
    struct image_info info;
    uint16_t *planes = calloc(lab_model_plane_values(model), sizeof(*planes));
    assert_non_null(planes);
    assert_int_equal(image_decoder_create(NULL, &ops, &decoder), 0);
    assert_int_equal(image_decode(decoder, blob->bytes, blob->size, IMAGE_KIND_AUTO, NULL,
                                  &model->input->target, planes, &info),
                     0);
    lab_model_classify(model, planes, info.nominal_white);
    image_decoder_destroy(decoder);
    free(planes);
    size_t codes = (size_t)model->input->target.width * model->input->target.height *
                   gradient_channels(front) * gradient_code_size(front);
    char digest[SHA256_DIGEST_STRING_LENGTH];
    SHA256Data(model->codes, codes, digest);
    int at = snprintf(line, LINE_BYTES, "%s %s %s", network_model_name(model->model), name, digest);
    for (uint32_t i = 0; i < model->labels; i++) {
        at += snprintf(line + at, LINE_BYTES - (size_t)at, " %d", model->scores[i]);
    }
    snprintf(line + at, LINE_BYTES - (size_t)at, "\n");
}

typedef void visitor(const char *line, void *user);

static void visit(uint32_t cpu, visitor *tell, void *user)
{
    struct kernel_table kernels;
    kernel_table_init(&kernels, cpu);
    for (size_t m = 0; m < sizeof(models) / sizeof(models[0]); m++) {
        struct lab_model model;
        char path[512];
        snprintf(path, sizeof(path), "%s/engine/models/%s.safetensors", SOURCE_ROOT, models[m]);
        assert_int_equal(lab_model_open(&model, path, &kernels), 0);
        for (int i = 0; i < PICTURE_COUNT * CONTAINER_COUNT; i++) {
            enum picture picture = (enum picture)(i / CONTAINER_COUNT);
            enum container container = (enum container)(i % CONTAINER_COUNT);
            char name[32], line[LINE_BYTES];
            snprintf(name, sizeof(name), "%s.%s", picture_name(picture), suffixes[container]);
            struct blob blob = make_picture(picture, container);
            describe(&model, &kernels, name, &blob, line);
            free(blob.bytes);
            tell(line, user);
        }
        lab_model_close(&model);
    }
}

static void print_line(const char *line, void *user)
{
    (void)user;
    fputs(line, stdout);
}

/* user: the text not yet matched. */
static void match_line(const char *line, void *user)
{
    const char **rest = user;
    size_t length = strlen(line);
    if (strncmp(*rest, line, length) != 0) {
        fail_msg("got %sexpected %.*s", line, (int)strcspn(*rest, "\n"), *rest);
    }
    *rest += length;
}

static void test_every_instruction_set_gives_the_golden_bytes(void **state)
{
    (void)state;
    static const char *const masks[] = {"c", "avx2", "avx512", "amx", "neon", "dotprod", "all"};
    uint8_t *bytes;
    size_t size;
    assert_int_equal(
        lab_file_read(SOURCE_ROOT "/tests/data/golden/expected.txt", EXPECTED_MAX, &bytes, &size),
        0);
    char *text = calloc(1, size + 1);
    assert_non_null(text);
    memcpy(text, bytes, size);
    free(bytes);
    uint32_t tried = 0, machine = kernel_cpu_detect();
    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        uint32_t mask;
        assert_int_equal(kernel_cpu_mask_parse(masks[i], &mask), 0);
        if (i > 0 && ((machine & mask) == tried || (machine & mask) == 0)) {
            continue; /* another processor's, or no more than the one before */
        }
        tried = machine & mask;
        print_message("instruction sets 0x%x\n", tried);
        const char *rest = text;
        visit(tried, match_line, &rest);
        assert_string_equal(rest, "");
    }
    free(text);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--print") == 0) {
        visit(kernel_cpu_detect(), print_line, NULL);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_instruction_set_gives_the_golden_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
