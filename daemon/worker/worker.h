/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What a worker does with a message: load a model, or take a frame from bytes to scores. It knows
 * neither the doorbell nor the sandbox, so that tests can run it in their own process. One thread;
 * allocates nothing per frame besides what the decoder does.
 */
#ifndef OCELLUS_DAEMON_WORKER_WORKER_H
#define OCELLUS_DAEMON_WORKER_WORKER_H

#include <stdbool.h>

#include "daemon/worker/adapter.h"
#include "daemon/worker/frame_map.h"
#include "daemon/worker/job.h"
#include "daemon/worker/scanner.h"
#include "engine/kernel/kernel.h"
#include "engine/kernel/rates.h"

struct worker_options {
    size_t frame_bytes_max;
    uint64_t pixels_max;
    uint64_t memory_max; /* bytes of address space; 0: as much as it can need */
    uint32_t cpu_mask;
    /* Of the kernel table, so that all workers pack weights alike; the first 0: measured here. */
    uint32_t rates[KERNEL_RATES];
};

struct worker_model {
    struct network_model *model;                    /* NULL: none */
    struct network_plan *plans[NETWORK_POINTS_MAX]; /* by operating point */
    uint64_t generation;
};

/* Sides of the second look at a picture that tells whether it has colour. */
#define WORKER_COLOUR_SIDE 64u

struct worker {
    struct worker_options options;
    struct kernel_table kernels;
    struct image_ops ops;
    struct image_decoder *decoder;
    void *region;           /* job_region_bytes(): the result, then a frame */
    uint8_t *private_bytes; /* frame_bytes_max: frames that nobody else may change */
    uint8_t *codes;         /* room for the largest model's frame */
    uint16_t *planes;
    void *arena;
    size_t codes_bytes, planes_bytes, arena_bytes;
    struct worker_model models[JOB_MODELS_MAX];
    struct worker_adapter adapters[JOB_ADAPTERS_MAX];
    struct scanner scanner;
    uint16_t colour[IMAGE_RGB * WORKER_COLOUR_SIDE * WORKER_COLOUR_SIDE];
    struct frame_maps maps;
    uint64_t private_ns; /* when private_bytes last took a large frame; 0: it holds none */
};

/*
 * Map the region behind region_fd, make the decoder, detect the processor, read one JPEG and one
 * DNG so that the libraries have initialised themselves. Errors: -ENOMEM, -EINVAL (the region is
 * too small), -ENOTRECOVERABLE (a built-in picture is not read). On failure nothing is left.
 */
int worker_init(struct worker *worker, const struct worker_options *options, int region_fd);
void worker_finish(struct worker *worker);

/* Address space that a worker so configured can need and may have. */
uint64_t worker_memory_bytes(const struct worker_options *options);

/*
 * Do what the message says; fd is the descriptor that came with it, or -1, and stays the caller's.
 * ret_done is the answer. Errors: -EPROTO: the message is not one that the daemon sends.
 */
int worker_handle(struct worker *worker, const struct job_message *message, int fd,
                  struct job_done *ret_done);

/* Give back memory of large frames and mappings not used for WORKER_HOLD_NS. True when some is
 * still held. */
#define WORKER_HOLD_NS UINT64_C(1000000000)
bool worker_release(struct worker *worker);

#endif
