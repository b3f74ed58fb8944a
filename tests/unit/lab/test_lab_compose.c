/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Composed frames against their truth: a white object on black lies in its box and fills its
 * middle, whatever the seed; decoys have no box; the same seed gives the same bytes, as a sensor
 * the same scenes. Of frames with a planted pattern, mine takes its window, once, and scan boxes
 * it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "engine/gradient/gradient.h"
#include "engine/image/image.h"
#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/options.h"
#include "engine/lab/scenes.h"
#include "engine/network/model.h"

#define WIDTH  96u
#define HEIGHT 80u
#define SIDE   8u   /* of the mined windows */
#define WEIGHT 0.1f /* so small that misses are boxes, too */

static char root[64];

static char *place(const char *name)
{
    static char paths[4][160];
    static uint32_t turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", root, name);
    return path;
}

static void put_pgm(const char *name, uint32_t width, uint32_t height, const uint8_t *pixels)
{
    char *bytes = malloc(64 + (size_t)width * height);
    assert_non_null(bytes);
    int header = sprintf(bytes, "P5 %u %u 255\n", width, height);
    memcpy(bytes + header, pixels, (size_t)width * height);
    assert_int_equal(lab_file_write(place(name), bytes, (size_t)header + width * height), 0);
    free(bytes);
}

static void put_flat(const char *name, uint32_t width, uint32_t height, uint8_t value)
{
    uint8_t *pixels = malloc((size_t)width * height);
    assert_non_null(pixels);
    memset(pixels, value, (size_t)width * height);
    put_pgm(name, width, height, pixels);
    free(pixels);
}

static int setup(void **state)
{
    static const char *const folders[] = {"objects", "decoys", "black", "small", "frames", "again"};
    (void)state;
    snprintf(root, sizeof(root), "/tmp/ocellus-lab-test.XXXXXX");
    if (!mkdtemp(root)) {
        return -1;
    }
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        if (mkdir(place(folders[i]), 0700) != 0) {
            return -1;
        }
    }
    put_flat("objects/white.pgm", 12, 24, 255);
    put_flat("decoys/white.pgm", 10, 10, 255);
    put_flat("black/black.pgm", 200, 100, 0);
    put_flat("small/grey.pgm", 16, 16, 100);
    return 0;
}

static int teardown(void **state)
{
    char command[96];
    (void)state;
    snprintf(command, sizeof(command), "rm -r '%s'", root);
    return system(command);
}

static int compose(const char *out, const char *seed, const char *decoys, const char *exposure)
{
    struct lab_command command = {.name = "compose", .operands = ""};
    struct lab_args args = {.command = &command, .operands = {place("objects"), place("black")}};
    args.values[LAB_OPTION_OUT] = out;
    args.values[LAB_OPTION_SEED] = seed;
    args.values[LAB_OPTION_DECOYS] = decoys;
    args.values[LAB_OPTION_EXPOSURE] = exposure;
    args.values[LAB_OPTION_IMAGES] = "6";
    args.values[LAB_OPTION_SIZE] = "96x80";
    return lab_compose(&args);
}

static void decode(const char *path, uint32_t width, uint32_t height, uint16_t *planes)
{
    const struct image_target target = {width, height, IMAGE_GREY, IMAGE_FIT_STRETCH};
    struct image_decoder *decoder;
    struct image_info info;
    uint8_t *bytes;
    size_t size;
    assert_int_equal(lab_file_read(path, 1 << 24, &bytes, &size), 0);
    assert_int_equal(image_decoder_create(NULL, NULL, &decoder), 0);
    assert_int_equal(
        image_decode(decoder, bytes, size, IMAGE_KIND_AUTO, NULL, &target, planes, &info), 0);
    image_decoder_destroy(decoder);
    free(bytes);
}

/* Light is inside the box alone, and the box's middle is white. */
static void check_frame(const uint16_t *planes, const struct lab_box *box)
{
    uint32_t inside = 0, bright = 0;
    for (uint32_t y = 0; y < HEIGHT; y++) {
        for (uint32_t x = 0; x < WIDTH; x++) {
            bool in =
                x >= box->x && x < box->x + box->width && y >= box->y && y < box->y + box->height;
            double u = 2 * (x + 0.5 - box->x) / box->width - 1;
            double v = 2 * (y + 0.5 - box->y) / box->height - 1;
            uint16_t light = planes[y * WIDTH + x];
            inside += in;
            bright += light > 50000;
            if (!in) {
                assert_in_range(light, 0, 1500); /* what JPEG smears */
            } else if (u * u + v * v < 0.25) {
                assert_in_range(light, 60000, 65535);
            }
        }
    }
    assert_true(bright * 2 > inside);
}

static void test_truth_is_exact(void **state)
{
    static uint16_t planes[WIDTH * HEIGHT];
    (void)state;
    double least = 1e9, most = 0;
    for (int seed = 1; seed <= 4; seed++) {
        char text[16];
        struct lab_scenes scenes;
        snprintf(text, sizeof(text), "%d", seed);
        assert_int_equal(compose(place("frames"), text, NULL, NULL), LAB_EXIT_OK);
        assert_int_equal(lab_scenes_init(&scenes, place("frames")), 0);
        assert_int_equal(scenes.count, 6);
        assert_int_equal(scenes.truth.count, 6);
        for (uint32_t i = 0; i < 6; i++) {
            uint32_t count;
            const struct lab_box *box = lab_boxes_of(&scenes.truth, i, &count);
            char *path = lab_scenes_path(&scenes, i);
            assert_int_equal(count, 1);
            assert_true(box->x >= 0 && box->y >= 0 && box->x + box->width <= WIDTH &&
                        box->y + box->height <= HEIGHT);
            assert_true(box->width >= 12 && box->width <= 48 && box->height >= 24);
            least = box->height < least ? box->height : least;
            most = box->height > most ? box->height : most;
            decode(path, WIDTH, HEIGHT, planes);
            check_frame(planes, box);
            free(path);
        }
        lab_scenes_finish(&scenes);
    }
    assert_true(least < 40 && most > 60 && most <= 80);
}

static void read_file(const char *name, uint8_t **ret_bytes, size_t *ret_size)
{
    assert_int_equal(lab_file_read(place(name), 1 << 24, ret_bytes, ret_size), 0);
}

static bool equal(const char *one, const char *other)
{
    uint8_t *a, *b;
    size_t a_size, b_size;
    read_file(one, &a, &a_size);
    read_file(other, &b, &b_size);
    bool same = a_size == b_size && memcmp(a, b, a_size) == 0;
    free(a);
    free(b);
    return same;
}

static void test_seeds(void **state)
{
    (void)state;
    assert_int_equal(compose(place("frames"), "7", NULL, NULL), LAB_EXIT_OK);
    assert_int_equal(compose(place("again"), "7", NULL, NULL), LAB_EXIT_OK);
    assert_true(equal("frames/truth.csv", "again/truth.csv"));
    assert_true(equal("frames/00003.jpg", "again/00003.jpg"));
    assert_int_equal(compose(place("again"), "8", NULL, NULL), LAB_EXIT_OK);
    assert_false(equal("frames/truth.csv", "again/truth.csv"));
}

/* A decoy is as bright as an object but in no table. */
static void test_decoys(void **state)
{
    static uint16_t planes[WIDTH * HEIGHT];
    (void)state;
    assert_int_equal(compose(place("frames"), "5", NULL, NULL), LAB_EXIT_OK);
    assert_int_equal(compose(place("again"), "5", place("decoys"), NULL), LAB_EXIT_OK);
    assert_true(equal("frames/truth.csv", "again/truth.csv"));
    uint32_t with = 0, without = 0;
    for (int frame = 0; frame < 6; frame++) {
        char name[32];
        for (int folder = 0; folder < 2; folder++) {
            snprintf(name, sizeof(name), "%s/%05d.jpg", folder ? "again" : "frames", frame);
            decode(place(name), WIDTH, HEIGHT, planes);
            for (uint32_t i = 0; i < WIDTH * HEIGHT; i++) {
                *(folder ? &with : &without) += planes[i] > 50000;
            }
        }
    }
    assert_true(with > without + 6 * 30);
}

static void test_sensor_sees_the_same(void **state)
{
    static uint16_t planes[WIDTH / 2 * HEIGHT / 2];
    (void)state;
    assert_int_equal(compose(place("again"), "5", NULL, "1/4"), LAB_EXIT_OK);
    assert_int_equal(compose(place("frames"), "5", NULL, NULL), LAB_EXIT_OK);
    struct lab_scenes scenes;
    assert_int_equal(lab_scenes_init(&scenes, place("frames")), 0);
    uint32_t count;
    const struct lab_box *box = lab_boxes_of(&scenes.truth, 2, &count);
    decode(place("again/00002.dng"), WIDTH / 2, HEIGHT / 2, planes);
    uint32_t middle = (uint32_t)(box->y + box->height / 2) / 2 * (WIDTH / 2) +
                      (uint32_t)(box->x + box->width / 2) / 2;
    assert_in_range(planes[middle], 2040, 2056); /* an eighth and a quarter of full scale */
    lab_scenes_finish(&scenes);
}

static void test_mosaic_and_errors(void **state)
{
    static uint16_t planes[WIDTH * HEIGHT];
    struct lab_command command = {.name = "compose", .operands = ""};
    struct lab_args args = {.command = &command, .operands = {place("objects"), place("small")}};
    (void)state;
    args.values[LAB_OPTION_OUT] = place("again");
    args.values[LAB_OPTION_IMAGES] = "1";
    args.values[LAB_OPTION_OBJECTS] = "0";
    args.values[LAB_OPTION_SIZE] = "96x80";
    assert_int_equal(lab_compose(&args), LAB_EXIT_OK);
    decode(place("again/00000.jpg"), WIDTH, HEIGHT, planes);
    for (uint32_t i = 0; i < WIDTH * HEIGHT; i++) { /* no seam, no hole */
        assert_in_range(planes[i], 25000, 26400);
    }
    args.values[LAB_OPTION_OBJECTS] = "1";
    args.values[LAB_OPTION_SIZE] = "10x80"; /* smaller than the object */
    assert_int_equal(lab_compose(&args), LAB_EXIT_FAILED);
    args.operands[1] = NULL;
    assert_int_equal(lab_compose(&args), LAB_EXIT_USAGE);
}

/* ---- mining ---- */

static const struct gradient_spec front = {.source = GRADIENT_SOURCE_LOG_GRADIENT,
                                           .coding = GRADIENT_CODING_TERNARY,
                                           .planes = 1,
                                           .floor = 32,
                                           .ratio = {{9, 8}}};

/* A window with an edge of its own at every pixel; twice as large in the frame. */
static uint8_t pattern(uint32_t x, uint32_t y)
{
    return (uint8_t)(40 + (x * 37 + y * 101 + x * y * 13) % 200);
}

/* One dense layer whose weights are the pattern's codes: the margin is theirs in common, less 3/4
 * of their number. */
static void put_model(void)
{
    static const char *const labels[] = {"background", "thing"};
    uint16_t planes[SIDE * SIDE];
    int8_t codes[SIDE * SIDE * 2];
    float weight[2 * SIDE * SIDE * 2] = {0}, bias[2] = {0};
    for (uint32_t i = 0; i < SIDE * SIDE; i++) {
        planes[i] = (uint16_t)(pattern(i % SIDE, i / SIDE) * 257);
    }
    gradient_encode(&front, planes, SIDE, SIDE, UINT16_MAX, codes);
    for (size_t i = 0; i < sizeof(codes); i++) {
        uint32_t x = i / 2 % SIDE, y = (uint32_t)(i / 2 / SIDE);
        bool inner = x > 0 && x + 1 < SIDE && y > 0 && y + 1 < SIDE; /* the same in a frame */
        weight[sizeof(codes) + i] = inner ? codes[i] * WEIGHT : 0;
        bias[1] -= inner && codes[i] != 0 ? 0.75f * WEIGHT : 0.0f;
    }
    const struct network_layer layer = {.op = NETWORK_OP_DENSE,
                                        .name = "fc",
                                        .weights = NETWORK_WEIGHTS_F32,
                                        .output = NETWORK_OUTPUT_SCORES,
                                        .out = 2,
                                        .weight_f32 = weight,
                                        .bias_f32 = bias};
    const struct network_point point = {.name = "default",
                                        .input = {{SIDE, SIDE, IMAGE_GREY, IMAGE_FIT_COVER}, front},
                                        .layer_count = 1,
                                        .layers = &layer};
    const struct network_description description = {
        .name = "pattern", .label_count = 2, .labels = labels, .point_count = 1, .points = &point};
    const char *reason = NULL;
    void *bytes;
    size_t size;
    if (network_model_write(&description, &bytes, &size, &reason) != 0) {
        fail_msg("%s", reason);
    }
    assert_int_equal(lab_file_write(place("model"), bytes, size), 0);
    free(bytes);
}

static void put_planted(const char *name, uint32_t left, uint32_t top)
{
    static uint8_t pixels[WIDTH * HEIGHT];
    memset(pixels, 90, sizeof(pixels));
    for (uint32_t y = 0; y < 2 * SIDE; y++) {
        for (uint32_t x = 0; x < 2 * SIDE; x++) {
            pixels[(top + y) * WIDTH + left + x] = pattern(x / 2, y / 2);
        }
    }
    put_pgm(name, WIDTH, HEIGHT, pixels);
}

static int mine(const char *frames, const char *out)
{
    struct lab_command command = {.name = "mine"};
    struct lab_args args = {.command = &command, .operands = {place("model"), frames}};
    args.values[LAB_OPTION_OUT] = out;
    args.values[LAB_OPTION_THRESHOLD] = "60";
    return lab_mine(&args);
}

/* The one file of a folder, or NULL; the caller frees it. */
static char *only_file(const char *name, uint32_t *ret_count)
{
    struct lab_scenes scenes;
    if (lab_scenes_init(&scenes, place(name)) < 0) {
        *ret_count = 0;
        return NULL;
    }
    *ret_count = scenes.count;
    char *path = lab_scenes_path(&scenes, 0);
    lab_scenes_finish(&scenes);
    return path;
}

static void check_mined(const char *folder)
{
    uint16_t planes[SIDE * SIDE];
    uint32_t count;
    char *path = only_file(folder, &count);
    assert_int_equal(count, 1);
    decode(path, SIDE, SIDE, planes);
    for (uint32_t i = 0; i < SIDE * SIDE; i++) {
        assert_int_equal(planes[i], pattern(i % SIDE, i / SIDE) * 257);
    }
    free(path);
}

static void test_mine(void **state)
{
    uint32_t count;
    (void)state;
    put_model();
    assert_int_equal(mkdir(place("planted"), 0700), 0);
    put_planted("planted/one.pgm", 20, 36);
    put_planted("planted/two.pgm", 50, 8); /* the same window: one file */
    put_flat("planted/flat.pgm", WIDTH, HEIGHT, 128);
    assert_int_equal(mine(place("planted"), place("mined")), LAB_EXIT_OK);
    check_mined("mined/background");
    free(only_file("mined/thing", &count));
    assert_int_equal(count, 0);

    /* Where an object is known to be, it is one. */
    const char *truth = LAB_TRUTH_HEADER "one.pgm,20,36,16,16\ntwo.pgm,50,8,16,16\n";
    assert_int_equal(lab_file_write(place("planted/truth.csv"), truth, strlen(truth)), 0);
    assert_int_equal(mine(place("planted"), place("known")), LAB_EXIT_OK);
    free(only_file("known/background", &count));
    assert_int_equal(count, 0);
    char *path = only_file("known/thing", &count);
    assert_in_range(count, 2, 8); /* the window and its neighbours that fit as well */
    free(path);
}

/* The planted ones are the surest boxes, and the model learns what its margins mean. */
static void test_scan(void **state)
{
    struct lab_command command = {.name = "scan"};
    struct lab_args args = {.command = &command};
    struct network_model *model;
    uint8_t *bytes;
    size_t size;
    (void)state;
    args.operands[0] = strdup(place("model")); /* place() keeps four names at a time */
    args.operands[1] = strdup(place("planted"));
    args.values[LAB_OPTION_OUT] = strdup(place("report"));
    args.values[LAB_OPTION_OUTPUT] = strdup(place("measured"));
    args.values[LAB_OPTION_THRESHOLD] = "0";
    args.values[LAB_OPTION_JSON] = "";
    assert_int_equal(lab_scan(&args), LAB_EXIT_OK);

    struct lab_scenes scenes;
    struct lab_boxes boxes;
    assert_int_equal(lab_scenes_init(&scenes, args.operands[1]), 0);
    assert_int_equal(lab_scenes_boxes(&scenes, place("report/boxes.csv"), &boxes), 0);
    static const double wanted[] = {20, 36, 50, 8}; /* of one.pgm and two.pgm; flat.pgm is first */
    for (uint32_t frame = 1; frame < 3; frame++) {
        uint32_t count;
        const struct lab_box *box = lab_boxes_of(&boxes, frame, &count);
        assert_true(count > 0 && box->score > 0 && box->width == 16 && box->height == 16);
        assert_true(box->x == wanted[2 * frame - 2] && box->y == wanted[2 * frame - 1]);
    }
    lab_boxes_finish(&boxes);
    lab_scenes_finish(&scenes);

    read_file("measured", &bytes, &size);
    assert_int_equal(network_model_load(bytes, size, &model, NULL), 0);
    assert_non_null(network_model_scan(model));
    assert_int_equal(network_model_scan(model)->label, 1);
    assert_true(network_model_scan(model)->slope > 0);
    network_model_destroy(model);
    free(bytes);
    free((char *)args.operands[0]);
    free((char *)args.operands[1]);
    free((char *)args.values[LAB_OPTION_OUT]);
    free((char *)args.values[LAB_OPTION_OUTPUT]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truth_is_exact),
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_decoys),
        cmocka_unit_test(test_sensor_sees_the_same),
        cmocka_unit_test(test_mosaic_and_errors),
        cmocka_unit_test(test_mine),
        cmocka_unit_test(test_scan),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
