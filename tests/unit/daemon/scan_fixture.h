/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* A worker in the test's own process that scans small pictures, and the engine that does the same
 * without a worker. */
#ifndef OCELLUS_TESTS_SCAN_FIXTURE_H
#define OCELLUS_TESTS_SCAN_FIXTURE_H

#include "daemon/worker/worker.h"
#include "tiny_model.h"

#define SCAN_WIDTH  64u
#define SCAN_HEIGHT 48u

struct scan_fixture {
    struct worker worker;
    struct job_message message;
    int region_fd;
    uint8_t pixels[SCAN_HEIGHT][SCAN_WIDTH][3];
};

/* With tiny_model_make(0) as model 0, and a message that scans for its first label. */
void scan_open(struct scan_fixture *fixture);
void scan_close(struct scan_fixture *fixture);

/* Take a model over and free its bytes. */
void scan_load(struct scan_fixture *fixture, uint32_t index, void *bytes, size_t size);
void scan_load_seeded(struct scan_fixture *fixture, uint32_t index, unsigned seed);

/* Fill pixels; put the first of them into the region as a picture. */
void scan_noise(struct scan_fixture *fixture, uint32_t seed);
void scan_put_ppm(struct scan_fixture *fixture, uint32_t width, uint32_t height);

/* The result of the message, which must be a valid one. */
const struct job_result *scan_run(struct scan_fixture *fixture);
struct job_shared *scan_region(struct scan_fixture *fixture);

struct scan_engine {
    struct network_scan *scan;
    uint32_t levels, windows;
    void *arena;
    uint8_t *codes[NETWORK_SCAN_LEVELS_MAX];
    int32_t *margins[NETWORK_SCAN_LEVELS_MAX];
    struct network_scan_box boxes[NETWORK_SCAN_BOXES_MAX];
    uint32_t count;
};

/* The picture in the region, of this size, by the engine alone. */
void scan_engine_run(struct scan_engine *engine, struct scan_fixture *fixture, uint32_t width,
                     uint32_t height);
void scan_engine_finish(struct scan_engine *engine);
void scan_assert_boxes(const struct job_result *result, const struct network_scan_box *boxes,
                       uint32_t count);

#endif
