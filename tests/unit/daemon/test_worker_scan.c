/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Scans of the worker in this process: the boxes that the engine gives, masks, a confirming model,
 * codes, frames compared with the one before, and messages that no daemon sends.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/worker/worker.h"
#include "engine/gradient/gradient.h"
#include "engine/kernel/cpu.h"
#include "tiny_model.h"

#define FRAME_BYTES_MAX ((size_t)1 << 20)
#define WIDTH           64u
#define HEIGHT          48u

struct fixture {
    struct worker worker;
    struct job_message message;
    int region_fd;
    uint8_t pixels[HEIGHT][WIDTH][3];
};

static struct job_shared *shared_of(struct fixture *fixture)
{
    return fixture->worker.region;
}

static void load_bytes(struct fixture *fixture, uint32_t index, void *bytes, size_t size)
{
    struct job_done done;
    int fd = memfd_create("model", MFD_CLOEXEC);
    assert_non_null(bytes);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    free(bytes);
    const struct job_message message = {
        .op = JOB_OP_MODEL, .model = index, .generation = 3, .sequence = 1, .length = size};
    assert_int_equal(worker_handle(&fixture->worker, &message, fd, &done), 0);
    assert_int_equal(done.status, 0);
    close(fd);
}

static void load_seeded(struct fixture *fixture, uint32_t index, unsigned seed)
{
    size_t size = 0;
    void *bytes = tiny_model_make(seed, &size);
    load_bytes(fixture, index, bytes, size);
}

static void open_worker(struct fixture *fixture)
{
    const struct worker_options options = {FRAME_BYTES_MAX, 1000000, KERNEL_CPU_ALL};
    memset(fixture, 0, sizeof(*fixture));
    fixture->region_fd = memfd_create("region", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fixture->region_fd, (off_t)job_region_bytes(FRAME_BYTES_MAX)), 0);
    assert_int_equal(worker_init(&fixture->worker, &options, fixture->region_fd), 0);
    load_seeded(fixture, 0, 0);
    fixture->message = (struct job_message){
        .op = JOB_OP_FRAME,
        .sequence = 100,
        .scan =
            {
                .wanted = 1,
                .object_min = 10,
                .factor = 1300,
                .overlap = 64,
                .boxes_max = 20,
            },
    };
}

static void close_worker(struct fixture *fixture)
{
    worker_finish(&fixture->worker);
    close(fixture->region_fd);
}

static uint32_t mix(uint32_t value)
{
    value *= UINT32_C(2654435761);
    value ^= value >> 15;
    return value * UINT32_C(2246822519);
}

static void fill_noise(struct fixture *fixture, uint32_t seed)
{
    for (uint32_t i = 0; i < WIDTH * HEIGHT * 3; i++) {
        (&fixture->pixels[0][0][0])[i] = (uint8_t)(mix(seed * 1000003 + i) >> 24);
    }
}

static void put_ppm(struct fixture *fixture, uint32_t width, uint32_t height)
{
    char *to = (char *)fixture->worker.region + job_frame_offset();
    int head = sprintf(to, "P6 %u %u 255\n", width, height);
    memcpy(to + head, fixture->pixels, (size_t)width * height * 3);
    fixture->message.length = (uint64_t)head + (uint64_t)width * height * 3;
    fixture->message.kind = IMAGE_KIND_PNM;
}

static const struct job_result *scan(struct fixture *fixture)
{
    struct job_done done = {.status = 1};
    const struct job_result *result = &shared_of(fixture)->result;
    fixture->message.sequence++;
    assert_int_equal(worker_handle(&fixture->worker, &fixture->message, -1, &done), 0);
    assert_int_equal(done.status, 0);
    assert_true(job_result_valid(result, &fixture->message, TINY_LABELS));
    assert_int_equal(result->generation, 3);
    return result;
}

/* ---- by the engine alone ---- */

struct engine {
    struct network_scan *scan;
    uint32_t levels, windows;
    void *arena;
    uint8_t *codes[NETWORK_SCAN_LEVELS_MAX];
    int32_t *margins[NETWORK_SCAN_LEVELS_MAX];
    struct network_scan_box boxes[NETWORK_SCAN_BOXES_MAX];
    uint32_t count;
};

static void engine_levels(struct engine *engine, struct fixture *fixture,
                          const struct network_input *input)
{
    const struct network_scan_level *first = network_scan_level(engine->scan, 0);
    const struct image_target target = {first->width, first->height, IMAGE_RGB, IMAGE_FIT_STRETCH};
    const size_t samples = (size_t)first->width * first->height * 3;
    uint16_t *planes = malloc(samples * 2), *smaller = malloc(samples * 2);
    void *scratch = malloc(image_average_bytes(first->width, first->width));
    struct image_info info;
    const uint8_t *frame = (uint8_t *)fixture->worker.region + job_frame_offset();

    assert_int_equal(image_decode(fixture->worker.decoder, frame, fixture->message.length,
                                  fixture->message.kind, NULL, &target, planes, &info),
                     0);
    for (uint32_t i = 0; i < engine->levels; i++) {
        const struct network_scan_level *level = network_scan_level(engine->scan, i);
        engine->codes[i] = malloc((size_t)level->width * level->height * 6);
        engine->margins[i] = malloc(level->columns * level->rows * sizeof(int32_t));
        assert_int_equal(image_average_planes(NULL, planes, 3, first->width, first->height,
                                              level->width, level->height, scratch, smaller),
                         0);
        gradient_encode(&input->front, i == 0 ? planes : smaller, level->width, level->height,
                        info.nominal_white, engine->codes[i]);
        assert_int_equal(network_scan_run(engine->scan, engine->arena, i, engine->codes[i], NULL,
                                          engine->margins[i]),
                         0);
        engine->windows += level->columns * level->rows;
    }
    free(planes);
    free(smaller);
    free(scratch);
}

static void engine_run(struct engine *engine, struct fixture *fixture, uint32_t width,
                       uint32_t height)
{
    const struct worker_model *model = &fixture->worker.models[fixture->message.model];
    const struct job_scan *asked = &fixture->message.scan;
    const struct network_scan_settings settings = {
        .label = asked->label,
        .object_min = (height * asked->object_min + 50) / 100,
        .factor = asked->factor,
        .stride = asked->stride,
        .threshold = asked->threshold,
        .overlap = asked->overlap,
        .boxes_max = asked->boxes_max,
    };
    memset(engine, 0, sizeof(*engine));
    assert_int_equal(network_scan_create(model->model, &settings, width, height,
                                         &fixture->worker.kernels, &engine->scan),
                     0);
    engine->levels = network_scan_levels(engine->scan);
    engine->arena = aligned_alloc(64, network_scan_arena_bytes(engine->scan));
    engine_levels(engine, fixture, network_model_input(model->model, 0));
    engine->count =
        network_scan_boxes(engine->scan, (const int32_t *const *)engine->margins, engine->boxes);
}

static void engine_finish(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->levels; i++) {
        free(engine->codes[i]);
        free(engine->margins[i]);
    }
    free(engine->arena);
    network_scan_destroy(engine->scan);
}

static void assert_boxes(const struct job_result *result, const struct network_scan_box *boxes,
                         uint32_t count)
{
    assert_int_equal(result->box_count, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct job_box *box = &result->boxes[i];
        assert_int_equal(box->x, boxes[i].x);
        assert_int_equal(box->y, boxes[i].y);
        assert_int_equal(box->width, boxes[i].width);
        assert_int_equal(box->height, boxes[i].height);
        assert_int_equal(box->margin, boxes[i].margin);
        assert_int_equal(box->level, boxes[i].level);
        assert_int_equal(box->column, boxes[i].column);
        assert_int_equal(box->row, boxes[i].row);
    }
}

static void test_equals_engine(void **state)
{
    struct fixture fixture;
    struct engine engine;
    (void)state;
    open_worker(&fixture);
    for (uint32_t seed = 0; seed < 4; seed++) {
        fixture.message.scan.label = seed;
        fixture.message.scan.stride = seed % 3;
        fill_noise(&fixture, seed);
        put_ppm(&fixture, WIDTH, HEIGHT);
        const struct job_result *result = scan(&fixture);
        engine_run(&engine, &fixture, WIDTH, HEIGHT);
        assert_boxes(result, engine.boxes, engine.count);
        assert_true(engine.count > 3 && engine.levels > 3);
        assert_int_equal(result->levels, engine.levels);
        assert_int_equal(result->windows, engine.windows);
        assert_int_equal(result->windows_run, engine.windows);
        assert_true(result->macs == network_scan_macs(engine.scan));
        assert_true(result->light.mean > 8000 && result->light.mean < 40000);
        assert_int_equal(result->light.colour, IMAGE_COLOUR_YES);
        engine_finish(&engine);
    }
    close_worker(&fixture);
}

/* Of codes that came back, the margins that the boxes have. */
static void test_codes_of_boxes(void **state)
{
    const size_t plane = gradient_bits_bytes(TINY_CODES);
    struct fixture fixture;
    int8_t codes[TINY_CODES];
    int32_t scores[TINY_LABELS];
    (void)state;
    open_worker(&fixture);
    fill_noise(&fixture, 9);
    put_ppm(&fixture, WIDTH, HEIGHT);
    fixture.message.want_codes = 1;
    const struct job_result *result = scan(&fixture);
    assert_true(result->box_count > 3);
    assert_int_equal(result->codes_bytes, result->box_count * 2 * plane);
    for (uint32_t i = 0; i < result->box_count; i++) {
        const uint8_t *packed = result->codes + i * 2 * plane;
        assert_int_equal(gradient_unpack_ternary(packed, packed + plane, TINY_CODES, codes), 0);
        network_run(fixture.worker.models[0].plans[0], fixture.worker.arena, codes, scores);
        int32_t other = INT32_MIN;
        for (uint32_t k = 1; k < TINY_LABELS; k++) {
            other = scores[k] > other ? scores[k] : other;
        }
        assert_int_equal(result->boxes[i].margin, scores[0] - other);
    }
    close_worker(&fixture);
}

static const struct job_polygon left_half = {4, {{0, 0}, {5000, 0}, {5000, 10000}, {0, 10000}}};

static void test_masks(void **state)
{
    struct fixture fixture;
    struct job_box before[NETWORK_SCAN_BOXES_MAX];
    (void)state;
    open_worker(&fixture);
    fill_noise(&fixture, 5);
    put_ppm(&fixture, WIDTH, HEIGHT);
    const struct job_result *result = scan(&fixture);
    const uint32_t count = result->box_count;
    memcpy(before, result->boxes, sizeof(before));
    fixture.message.scan.mask_count = 1;
    fixture.message.scan.masks[0] = left_half;
    result = scan(&fixture);
    assert_true(result->box_count > 0);
    for (uint32_t i = 0; i < result->box_count; i++) {
        assert_true(2 * result->boxes[i].x + result->boxes[i].width + 2 >= WIDTH);
    }
    uint32_t masked = 0;
    for (uint32_t i = 0; i < count; i++) {
        masked += job_polygon_holds(&left_half, &before[i], WIDTH, HEIGHT);
    }
    assert_true(masked > 0 && masked < count);
    fixture.message.scan.mask_count = 0;
    result = scan(&fixture);
    assert_int_equal(result->box_count, count);
    assert_memory_equal(result->boxes, before, count * sizeof(before[0]));
    /* All of it: nothing is left, and no window counts. */
    fixture.message.scan.mask_count = 1;
    fixture.message.scan.masks[0] =
        (struct job_polygon){4, {{0, 0}, {10000, 0}, {10000, 10000}, {0, 10000}}};
    result = scan(&fixture);
    assert_int_equal(result->box_count, 0);
    assert_int_equal(result->peak, INT32_MIN);
    close_worker(&fixture);
}

/* A second model takes some of the boxes, and lets weaker ones through where it refuses. */
static void test_confirm(void **state)
{
    const size_t plane = gradient_bits_bytes(TINY_CODES);
    struct fixture fixture;
    int8_t codes[TINY_CODES];
    int32_t scores[TINY_LABELS];
    (void)state;
    open_worker(&fixture);
    load_seeded(&fixture, 2, 77);
    fill_noise(&fixture, 6);
    put_ppm(&fixture, WIDTH, HEIGHT);
    fixture.message.want_codes = 1;
    const struct job_result *result = scan(&fixture);
    const uint32_t all = result->box_count;
    const uint64_t macs = result->macs;
    fixture.message.scan.confirm = 3;
    fixture.message.scan.confirm_label = 4;
    result = scan(&fixture);
    assert_true(result->box_count > 0 && result->macs > macs);
    for (uint32_t i = 0; i < result->box_count; i++) {
        const uint8_t *packed = result->codes + i * 2 * plane;
        assert_int_equal(gradient_unpack_ternary(packed, packed + plane, TINY_CODES, codes), 0);
        network_run(fixture.worker.models[2].plans[0], fixture.worker.arena, codes, scores);
        for (uint32_t k = 0; k < TINY_LABELS; k++) {
            assert_true(scores[4] >= scores[k]);
        }
    }
    fixture.message.scan.confirm_threshold = INT32_MAX;
    assert_int_equal(scan(&fixture)->box_count, 0);
    fixture.message.scan.confirm_threshold = -INT32_MAX;
    assert_int_equal(scan(&fixture)->box_count, all);
    close_worker(&fixture);
}

/* ---- motion ---- */

enum { OBJECT = 8 };

/* A checked plate of fixed look. */
static void draw_object(struct fixture *fixture, uint32_t x, uint32_t y)
{
    for (uint32_t v = 0; v < OBJECT; v++) {
        for (uint32_t u = 0; u < OBJECT; u++) {
            const bool bright = (u / 2 + v / 3) % 2 == 0;
            memset(fixture->pixels[y + v][x + u], bright ? 250 : 60, 3);
        }
    }
}

static void draw_scene(struct fixture *fixture, uint32_t x, uint32_t y)
{
    for (uint32_t v = 0; v < HEIGHT; v++) {
        for (uint32_t u = 0; u < WIDTH; u++) {
            memset(fixture->pixels[v][u], (int)(100 + u + v), 3);
        }
    }
    draw_object(fixture, 50, 36);
    draw_object(fixture, x, y);
    put_ppm(fixture, WIDTH, HEIGHT);
}

/* A model that finds the object, from the object's own codes. */
static void load_matched(struct fixture *fixture)
{
    size_t size = 0;
    int8_t codes[TINY_CODES];
    const struct job_result *result;
    fixture->message.scan.wanted = 0;
    fixture->message.want_codes = 1;
    memset(fixture->pixels, 120, sizeof(fixture->pixels));
    draw_object(fixture, 0, 0);
    /* Alone in a frame of its size. */
    for (uint32_t v = 1; v < OBJECT; v++) {
        memcpy(&fixture->pixels[0][0][0] + v * OBJECT * 3, fixture->pixels[v], OBJECT * 3);
    }
    put_ppm(fixture, OBJECT, OBJECT);
    const struct job_scan asked = fixture->message.scan;
    fixture->message.scan = (struct job_scan){0};
    result = scan(fixture);
    const uint8_t *minus = result->codes + result->codes_bytes / 2;
    assert_int_equal(gradient_unpack_ternary(result->codes, minus, TINY_CODES, codes), 0);
    for (uint32_t i = 0; i < TINY_CODES; i++) {
        const uint32_t x = i / 6 % OBJECT, y = i / 6 / OBJECT;
        const bool edge = x == 0 || y == 0 || x == OBJECT - 1 || y == OBJECT - 1;
        codes[i] = edge ? 0 : codes[i];
    }
    void *bytes = tiny_model_make_matched(codes, &size);
    load_bytes(fixture, 1, bytes, size);
    fixture->message.model = 1;
    fixture->message.want_codes = 0;
    fixture->message.scan = asked;
    fixture->message.scan.wanted = 1;
    fixture->message.scan.threshold = 50000;
    fixture->message.scan.motion = 1;
}

/* What the daemon does between two frames. */
static void hand_back(struct fixture *fixture)
{
    struct job_shared *shared = shared_of(fixture);
    const struct job_result *result = &shared->result;
    shared->before.width = result->info.width;
    shared->before.height = result->info.height;
    shared->before.box_count = result->box_count;
    memcpy(shared->before.boxes, result->boxes, sizeof(result->boxes));
    shared->before.level = result->motion_level;
    shared->before.bytes = result->motion_bytes;
    memcpy(shared->before.codes, result->motion, result->motion_bytes);
}

static void test_motion(void **state)
{
    struct fixture fixture;
    struct engine engine;
    double share = 0;
    (void)state;
    open_worker(&fixture);
    load_matched(&fixture);
    shared_of(&fixture)->before.bytes = 0;
    for (uint32_t step = 0; step < 20; step++) {
        /* Along, a leap, and at rest. */
        const uint32_t x = step < 8 ? 2 + 3 * step : step < 14 ? 8 : 40;
        const uint32_t y = step < 8 ? 4 + step : step < 14 ? 30 : 3;
        draw_scene(&fixture, x, y);
        const struct job_result *result = scan(&fixture);
        engine_run(&engine, &fixture, WIDTH, HEIGHT);
        assert_int_equal(engine.count, 2);
        assert_boxes(result, engine.boxes, engine.count);
        engine_finish(&engine);
        assert_true(result->motion_bytes > 0);
        if (step == 0) {
            assert_int_equal(result->windows_run, result->windows);
        } else if (step == 9 || step == 15) {
            assert_int_equal(result->windows_run, 0); /* nothing moved */
            assert_int_equal(result->macs, 0);
        } else if (step < 8) {
            assert_true(result->windows_run > 0);
            share += (double)result->windows_run / result->windows / 7;
        }
        hand_back(&fixture);
    }
    print_message("share of windows while the object moves: %.2f\n", share);
    assert_true(share < 0.6);
    close_worker(&fixture);
}

static void test_useless_memories(void **state)
{
    struct fixture fixture;
    (void)state;
    open_worker(&fixture);
    load_matched(&fixture);
    shared_of(&fixture)->before.bytes = 0;
    draw_scene(&fixture, 8, 8);
    scan(&fixture);
    hand_back(&fixture);
    struct job_motion *before = &shared_of(&fixture)->before;
    struct job_motion *good = malloc(sizeof(*good));
    assert_non_null(good);
    *good = *before;
    assert_int_equal(scan(&fixture)->windows_run, 0);
#define USELESS(change)                                                                            \
    do {                                                                                           \
        *before = *good;                                                                           \
        before->change;                                                                            \
        const struct job_result *result = scan(&fixture);                                          \
        assert_int_equal(result->windows_run, result->windows);                                    \
        assert_int_equal(result->box_count, 2);                                                    \
    } while (0)
    USELESS(bytes = 0);
    USELESS(bytes -= 2);
    USELESS(bytes = UINT32_MAX);
    USELESS(width--);
    USELESS(height = 0);
    USELESS(level = 1);
    USELESS(box_count = NETWORK_SCAN_BOXES_MAX + 1);
    USELESS(boxes[0].level = UINT16_MAX);
    USELESS(boxes[1].column = UINT16_MAX);
    USELESS(boxes[1].row = UINT16_MAX);
    USELESS(boxes[0].x = WIDTH);
    USELESS(boxes[0].width = UINT32_MAX);
    USELESS(boxes[0].height = 0);
    USELESS(codes[3] = before->codes[3 + before->bytes / 2] = 255);
#undef USELESS
    free(good);
    close_worker(&fixture);
}

/* ---- sizes and sources ---- */

static void test_small_frame(void **state)
{
    struct fixture fixture;
    (void)state;
    open_worker(&fixture);
    fill_noise(&fixture, 1);
    put_ppm(&fixture, 60, 7); /* no window fits */
    fixture.message.scan.motion = 1;
    fixture.message.want_codes = 1;
    const struct job_result *result = scan(&fixture);
    assert_int_equal(result->levels, 0);
    assert_int_equal(result->windows, 0);
    assert_int_equal(result->box_count, 0);
    assert_int_equal(result->peak, INT32_MIN);
    assert_int_equal(result->info.width, 60);
    assert_true(result->light.mean > 0);
    close_worker(&fixture);
}

/* More sizes than are kept: the memory is bounded, and the answers stay. */
static void test_many_sizes(void **state)
{
    struct fixture fixture;
    struct engine engine;
    (void)state;
    open_worker(&fixture);
    fill_noise(&fixture, 3);
    for (uint32_t i = 0; i < 20; i++) {
        const uint32_t width = 40 + i * 7 % 24, height = 30 + i % 7;
        put_ppm(&fixture, width, height);
        const struct job_result *result = scan(&fixture);
        engine_run(&engine, &fixture, width, height);
        assert_boxes(result, engine.boxes, engine.count);
        engine_finish(&engine);
        size_t bytes = 0;
        for (uint32_t k = 0; k < SCANNER_COUNT; k++) {
            bytes += fixture.worker.scanner.scans[k].bytes;
        }
        assert_int_equal(bytes, fixture.worker.scanner.bytes);
        assert_true(bytes > 0 && bytes < SCANNER_BYTES_MAX);
    }
    load_seeded(&fixture, 0, 5); /* other weights: what was laid out is gone */
    assert_int_equal(fixture.worker.scanner.bytes, 0);
    close_worker(&fixture);
}

/* A mosaic is seen by its quads: where level 0 is half the picture anyway, a sensor's boxes are
 * those of the picture whose quads it holds. */
static void test_mosaic(void **state)
{
    struct fixture fixture;
    struct job_box boxes[NETWORK_SCAN_BOXES_MAX];
    (void)state;
    open_worker(&fixture);
    fill_noise(&fixture, 4);
    put_ppm(&fixture, 32, 24);
    const struct job_result *result = scan(&fixture);
    const uint32_t count = result->box_count;
    memcpy(boxes, result->boxes, sizeof(boxes));
    assert_true(count > 2);
    uint8_t *to = (uint8_t *)fixture.worker.region + job_frame_offset();
    for (uint32_t y = 0; y < 48; y++) {
        for (uint32_t x = 0; x < 64; x++) {
            const uint32_t colour = y % 2 + x % 2; /* RGGB */
            to[y * 64 + x] = (&fixture.pixels[0][0][0])[(y / 2 * 32 + x / 2) * 3 + colour];
        }
    }
    fixture.message.length = 64 * 48;
    fixture.message.kind = IMAGE_KIND_SENSOR;
    fixture.message.sensor = (struct image_sensor){
        .width = 64, .height = 48, .stride = 64, .packing = IMAGE_PACKING_U8, .white = 255};
    result = scan(&fixture);
    assert_int_equal(result->info.width, 64);
    assert_int_equal(result->box_count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(result->boxes[i].margin, boxes[i].margin);
        assert_int_equal(result->boxes[i].x, 2 * boxes[i].x);
        assert_int_equal(result->boxes[i].y, 2 * boxes[i].y);
        assert_int_equal(result->boxes[i].width, 2 * boxes[i].width);
        assert_int_equal(result->boxes[i].height, 2 * boxes[i].height);
    }
    close_worker(&fixture);
}

static void test_not_understood(void **state)
{
    struct fixture fixture;
    struct job_done done;
    (void)state;
    open_worker(&fixture);
    fill_noise(&fixture, 1);
    put_ppm(&fixture, WIDTH, HEIGHT);
    const struct job_message good = fixture.message;
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        fixture.message = good;                                                                    \
        fixture.message.scan.change;                                                               \
        assert_int_equal(worker_handle(&fixture.worker, &fixture.message, -1, &done), -EPROTO);    \
    } while (0)
    REFUSED(wanted = 2);
    REFUSED(object_min = 0);
    REFUSED(object_min = 101);
    REFUSED(boxes_max = 0);
    REFUSED(boxes_max = NETWORK_SCAN_BOXES_MAX + 1);
    REFUSED(mask_count = JOB_MASKS_MAX + 1);
    REFUSED(mask_count = 1); /* without corners */
    REFUSED(confirm = 2);    /* not loaded */
    REFUSED(confirm = JOB_MODELS_MAX + 1);
#undef REFUSED
    /* Settings that the engine refuses fail the frame alone. */
    fixture.message = good;
    fixture.message.scan.factor = 1024;
    assert_int_equal(worker_handle(&fixture.worker, &fixture.message, -1, &done), 0);
    assert_int_equal(done.status, -EINVAL);
    fixture.message = good;
    scan(&fixture);
    close_worker(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_engine), cmocka_unit_test(test_codes_of_boxes),
        cmocka_unit_test(test_masks),         cmocka_unit_test(test_confirm),
        cmocka_unit_test(test_motion),        cmocka_unit_test(test_useless_memories),
        cmocka_unit_test(test_small_frame),   cmocka_unit_test(test_many_sizes),
        cmocka_unit_test(test_mosaic),        cmocka_unit_test(test_not_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
