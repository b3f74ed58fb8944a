/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * engine/network, scan: a model that was trained on windows, run over whole scenes. It answers
 * where the object is, in pixels of the frame. It sees codes only: whoever calls makes the planes
 * of each level and encodes them, once per level.
 *
 * LEVELS
 *   The window is the model's input, W x H. Level 0 shows the frame at the scale at which an object
 *   of object_min frame rows fills H rows, but never enlarged. In units of 2^-32 that scale is
 *       s[0] = floor(2^32 * H / max(object_min, H)),  s[n + 1] = floor(s[n] * 1024 / factor),
 *   and a level's size (frame * s[n] + 2^31) >> 32, each axis on its own.
 *   There are levels while a window fits and NETWORK_SCAN_LEVELS_MAX are not reached.
 *
 * WINDOWS
 *   A window's top left corner lies on a multiple of `stride` level pixels in both axes; stride is
 *   a multiple of the network's own step, the product of the strides of its layers before the
 *   first dense one.
 *   The network is evaluated convolutionally over the level; its dense layers become convolutions.
 *   A window's scores are those that network_run gives for its codes cut out of the level's codes,
 *   bit for bit. That holds because such a model pads nothing.
 *
 * MODELS THAT SCAN
 *   conv and depthwise without padding, max and average pools, and dense layers, one after the
 *   other (no add, no global pool), the same step in both axes, two labels at least. All codings.
 *
 * BOXES
 *   A window is a candidate where its margin, the score of `label` less the largest other one (held
 *   to int32), is `threshold` at least. Its edges on the level are brought to frame pixels, rounded
 *   half up and held to the frame. Candidates are taken from the largest margin down (ties: lower
 *   level, row, column first); one that overlaps a taken one by more than `overlap` is dropped, the
 *   overlap being intersection over union in frame pixels. Only the first
 *   NETWORK_SCAN_CANDIDATES_MAX in that order are looked at. All in integers.
 */
#ifndef OCELLUS_ENGINE_NETWORK_SCAN_H
#define OCELLUS_ENGINE_NETWORK_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "engine/network/network.h"

#define NETWORK_SCAN_LEVELS_MAX 32u
#define NETWORK_SCAN_BOXES_MAX  64u
/* Window positions of all levels together. */
#define NETWORK_SCAN_WINDOWS_MAX (1u << 20)
/* Of more, the strongest; it bounds the time for boxes and their memory. */
#define NETWORK_SCAN_CANDIDATES_MAX (1u << 14)

struct network_scan;

struct network_scan_settings {
    uint32_t point, label; /* of the model */
    uint32_t object_min;   /* frame rows, 1..65535 */
    uint32_t factor;       /* in 1/1024: 1025..4096; 1147 is 1.12 */
    uint32_t stride;       /* level pixels; 0: the network's own step */
    int32_t threshold;     /* units of a score */
    uint32_t overlap;      /* in 1/256, 0..256 */
    uint32_t boxes_max;    /* 1..NETWORK_SCAN_BOXES_MAX */
};

struct network_scan_level {
    uint32_t width, height; /* pixels */
    uint32_t columns, rows; /* windows */
};

/* Windows [column, column + columns) x [row, row + rows) of a level. */
struct network_scan_area {
    uint32_t column, row, columns, rows;
};

struct network_scan_box {
    uint32_t x, y, width, height; /* pixels of the upright frame, inside it */
    int32_t margin;
    uint16_t level, column, row; /* the window that it is */
};

/* 0 when the point can scan; -ENOTSUP, *ret_reason (may be NULL) then is a static sentence.
 * ret_step: its own step. */
int network_scan_check(const struct network_model *model, uint32_t point, uint32_t *ret_step,
                       const char **ret_reason);

/*
 * Lay a scan of frames of one size out. Model and kernels as for network_plan_create; `kernels` is
 * copied. A frame in which no window fits has no levels. Frames are 1..65535 pixels a side.
 * Errors: -ENOTSUP  network_scan_check
 *         -EINVAL   settings out of range, or no multiple of the step
 *         -EFBIG    more than NETWORK_SCAN_WINDOWS_MAX windows, or over a limit of model.h
 *         -ENOMEM
 */
int network_scan_create(const struct network_model *model,
                        const struct network_scan_settings *settings, uint32_t frame_width,
                        uint32_t frame_height, const struct kernel_table *kernels,
                        struct network_scan **ret_scan);
void network_scan_destroy(struct network_scan *scan);

uint32_t network_scan_levels(const struct network_scan *scan);
const struct network_scan_level *network_scan_level(const struct network_scan *scan,
                                                    uint32_t level);

/* Its plan, for network_plan_pack and network_plan_use (layers are numbered as in the model; groups
 * are of no use to other plans) and the generation; NULL without levels. */
struct network_plan *network_scan_plan(struct network_scan *scan);

/* Bytes of the arena, 64-byte aligned as in network_run; and of everything that the scan itself
 * holds, packed weights included. */
size_t network_scan_arena_bytes(const struct network_scan *scan);
size_t network_scan_bytes(const struct network_scan *scan);
/* Multiply-accumulates of all levels. */
uint64_t network_scan_macs(const struct network_scan *scan);

/*
 * Margins of the windows of `area` (NULL: all) of a level. codes: of the whole level, as
 * gradient_encode writes them. margins: [rows][columns] of the whole level; those outside of the
 * area stay as they are. An area costs as much as its share of the level, and a window's height and
 * width of border. Errors: -EINVAL  no such level, or an area that is empty or not inside of it.
 * Nothing is allocated. One thread per arena.
 */
int network_scan_run(const struct network_scan *scan, void *arena, uint32_t level,
                     const void *codes, const struct network_scan_area *area, int32_t *margins);

/* Codes of one window, for network_run. */
void network_scan_cut(const struct network_scan *scan, uint32_t level, const void *codes,
                      uint32_t column, uint32_t row, void *ret_codes);

/* Boxes of all levels; margins[level] as network_scan_run fills them. boxes: boxes_max of the
 * settings; the strongest first. Returns how many. */
uint32_t network_scan_boxes(struct network_scan *scan, const int32_t *const *margins,
                            struct network_scan_box *boxes);

#endif
