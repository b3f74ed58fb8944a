/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Scans that are laid out, with their buffers: planes, codes and margins of each level. A worker
 * keeps some, since a camera's frames are of one size and cameras are often alike. It decodes
 * nothing.
 */
#ifndef OCELLUS_DAEMON_WORKER_SCANNER_H
#define OCELLUS_DAEMON_WORKER_SCANNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/worker/adapter.h"
#include "daemon/worker/job.h"
#include "engine/kernel/kernel.h"

#define SCANNER_COUNT 16u
/* Of all scans together, their arenas included. */
#define SCANNER_BYTES_MAX ((size_t)256 << 20)

/* What a scan is laid out for. */
struct scanner_key {
    uint32_t model;         /* index among the worker's */
    uint32_t adapter;       /* 1 + that whose weights it takes; 0: the model's own */
    uint32_t width, height; /* of the frame as the scan sees it */
    struct network_scan_settings settings;
};

/* One laid-out scan. margins of all levels lie one after the other, as do `masked`. */
struct scanner_scan {
    struct scanner_key key;
    struct network_scan *scan; /* NULL: free */
    uint64_t generation;       /* of the adapter's weights */
    void *weights[NETWORK_LAYERS_MAX];
    const struct network_input *input;
    size_t bytes;
    uint64_t used;
    uint32_t stride, levels, windows;
    void *slab;        /* owns what follows */
    uint16_t *planes;  /* of level 0 */
    uint16_t *smaller; /* of the level that is being encoded */
    void *scratch;     /* for averaging */
    uint8_t *codes[NETWORK_SCAN_LEVELS_MAX];
    int32_t *margins[NETWORK_SCAN_LEVELS_MAX];
    uint8_t *masked; /* 1: the window is no candidate, with these masks */
    int8_t *before;  /* codes of the level on which frames are compared */
    void *arena;
    uint32_t motion_level, motion_bytes; /* bytes 0: no level is small enough */
    uint32_t mask_count;
    struct job_polygon masks[JOB_MASKS_MAX];

    /* of the frame */
    bool encoded[NETWORK_SCAN_LEVELS_MAX];
    const struct image_ops *ops;
    uint16_t nominal_white;
    uint32_t windows_run;
    uint64_t average_ns, gradient_ns, network_ns;
};

struct scanner {
    struct scanner_scan scans[SCANNER_COUNT];
    size_t bytes;
    uint64_t ticks;
};

/*
 * The scan for this key, laid out if it is not there; the least recently used make room. It is
 * valid until the next call. Errors: those of network_scan_create, and -EFBIG where it alone takes
 * more than SCANNER_BYTES_MAX or level 0 is larger than a target of image_decode.
 */
int scanner_get(struct scanner *scanner, const struct scanner_key *key,
                const struct network_model *model, const struct kernel_table *kernels,
                struct scanner_scan **ret_scan);

/* Give the scan the present weights of its adapter, if it does not have them. Errors: -ENOMEM,
 * -EINVAL  weights that do not fit it. */
int scanner_adapt(struct scanner *scanner, struct scanner_scan *scan,
                  const struct worker_adapter *adapter);

/* Drop the scans of a model; UINT32_MAX: all. */
void scanner_forget(struct scanner *scanner, uint32_t model);

/* Begin a frame whose planes of level 0 are in scan->planes: no window has a margin (INT32_MIN).
 * ops as in image_average_planes; borrowed. */
void scanner_start(struct scanner_scan *scan, const struct image_ops *ops, uint16_t nominal_white);

/* Codes of a level, made at the first call in a frame. */
const void *scanner_codes(struct scanner_scan *scan, uint32_t level);

/* Evaluate the windows of an area; NULL: of the level. */
void scanner_run(struct scanner_scan *scan, uint32_t level, const struct network_scan_area *area);

/* Take the margins of windows whose foot lies in a mask away. */
void scanner_mask(struct scanner_scan *scan, const struct job_polygon *masks, uint32_t count);

#endif
