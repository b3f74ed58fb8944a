/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * A look inside a plan and a run, for calibration, measurements and tests. Frames go through
 * network_run.
 */
#ifndef OCELLUS_ENGINE_NETWORK_PLAN_H
#define OCELLUS_ENGINE_NETWORK_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "engine/network/model.h"

enum network_type {
    NETWORK_TYPE_U8 = 0, /* values with `offset` added; log codes of base sqrt2, or of more than 3
                            bits, as codes */
    NETWORK_TYPE_F32,
    NETWORK_TYPE_S32,    /* scores */
    NETWORK_TYPE_BITS,   /* uint64 [y][x][ceil(channels / 64)], see engine/kernel/bits.h: binary */
    NETWORK_TYPE_PLANES, /* two of them, `nonzero` the other: ternary */
};

/* One activation: element (y, x, c) is data[y * row + x * shape.channels + c] of its type, or bit c
 * % 64 of word data[y * row + x * ceil(shape.channels / 64) + c / 64]. */
struct network_activation {
    struct network_shape shape;
    uint8_t type; /* enum network_type */
    uint8_t offset;
    size_t row; /* elements or words from one row to the next */
    const void *data, *nonzero;
};

/* Called after each layer, in order; the data is gone after the call. A packed convolution that
 * takes the maximum of its pool itself has no call of its own. */
typedef void network_observer(void *user, uint32_t layer,
                              const struct network_activation *activation);

/* network_run, with an observer (may be NULL). */
void network_run_observed(const struct network_plan *plan, void *arena, const void *codes,
                          int32_t *scores, network_observer *observer, void *user);

/* Bytes of the weights as the plan's kernels keep them. */
size_t network_plan_packed_bytes(const struct network_plan *plan);

/* One step of a run and what was chosen for it. The words are static. */
struct network_step {
    uint32_t first, last; /* layers of the point that it covers */
    const char *kernel;   /* "conv", "bits", "log", "depthwise", "float", "pool", "add", "copy" */
    const char *isa;      /* "c", "avx2", ...; "" where none is named */
    const char *in, *out; /* "bytes", "log codes", "bits", "bit planes", "float", "scores" */
    uint64_t macs;        /* of one image */
    size_t packed_bytes;  /* of its weights */
    size_t arena_bytes;   /* of what it reads, writes and needs beside */
};

uint32_t network_plan_steps(const struct network_plan *plan);
void network_plan_step(const struct network_plan *plan, uint32_t index,
                       struct network_step *ret_step);

#endif
