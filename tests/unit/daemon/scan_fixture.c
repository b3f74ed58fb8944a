/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Small pictures through the worker and through the engine. */
#include "scan_fixture.h"

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

#include "engine/gradient/gradient.h"
#include "engine/kernel/cpu.h"

#define FRAME_BYTES_MAX ((size_t)1 << 20)

struct job_shared *scan_region(struct scan_fixture *fixture)
{
    return fixture->worker.region;
}

void scan_load(struct scan_fixture *fixture, uint32_t index, void *bytes, size_t size)
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

void scan_load_seeded(struct scan_fixture *fixture, uint32_t index, unsigned seed)
{
    size_t size = 0;
    void *bytes = tiny_model_make(seed, &size);
    scan_load(fixture, index, bytes, size);
}

void scan_open(struct scan_fixture *fixture)
{
    const struct worker_options options = {
        .frame_bytes_max = FRAME_BYTES_MAX, .pixels_max = 1000000, .cpu_mask = KERNEL_CPU_ALL};
    memset(fixture, 0, sizeof(*fixture));
    fixture->region_fd = memfd_create("region", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fixture->region_fd, (off_t)job_region_bytes(FRAME_BYTES_MAX)), 0);
    assert_int_equal(worker_init(&fixture->worker, &options, fixture->region_fd), 0);
    scan_load_seeded(fixture, 0, 0);
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

void scan_close(struct scan_fixture *fixture)
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

void scan_noise(struct scan_fixture *fixture, uint32_t seed)
{
    for (uint32_t i = 0; i < SCAN_WIDTH * SCAN_HEIGHT * 3; i++) {
        (&fixture->pixels[0][0][0])[i] = (uint8_t)(mix(seed * 1000003 + i) >> 24);
    }
}

void scan_put_ppm(struct scan_fixture *fixture, uint32_t width, uint32_t height)
{
    char *to = (char *)fixture->worker.region + job_frame_offset();
    int head = sprintf(to, "P6 %u %u 255\n", width, height);
    memcpy(to + head, fixture->pixels, (size_t)width * height * 3);
    fixture->message.length = (uint64_t)head + (uint64_t)width * height * 3;
    fixture->message.kind = IMAGE_KIND_PNM;
}

const struct job_result *scan_run(struct scan_fixture *fixture)
{
    struct job_done done = {.status = 1};
    const struct job_result *result = &scan_region(fixture)->result;
    fixture->message.sequence++;
    assert_int_equal(worker_handle(&fixture->worker, &fixture->message, -1, &done), 0);
    assert_int_equal(done.status, 0);
    assert_true(job_result_valid(result, &fixture->message, TINY_LABELS));
    assert_int_equal(result->generation, 3);
    return result;
}

static void engine_levels(struct scan_engine *engine, struct scan_fixture *fixture,
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

void scan_engine_run(struct scan_engine *engine, struct scan_fixture *fixture, uint32_t width,
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

void scan_engine_finish(struct scan_engine *engine)
{
    for (uint32_t i = 0; i < engine->levels; i++) {
        free(engine->codes[i]);
        free(engine->margins[i]);
    }
    free(engine->arena);
    network_scan_destroy(engine->scan);
}

void scan_assert_boxes(const struct job_result *result, const struct network_scan_box *boxes,
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
