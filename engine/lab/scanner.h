/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * A model scanning frames as the daemon does: level 0 by image_decode, the levels after it by
 * image_average_planes from level 0, codes once per level, network_scan over them. Lists and judges
 * nothing.
 */
#ifndef OCELLUS_ENGINE_LAB_SCANNER_H
#define OCELLUS_ENGINE_LAB_SCANNER_H

#include <stddef.h>
#include <stdint.h>

#include "engine/image/image.h"
#include "engine/lab/model.h"
#include "engine/lab/scenes.h"
#include "engine/lab/sensor.h"
#include "engine/network/scan.h"

struct lab_scanner {
    const struct lab_model *model;
    const struct kernel_table *kernels;
    struct network_scan_settings settings;
    struct image_ops ops;
    struct image_decoder *decoder;

    struct network_scan *scan; /* of frames of `width` x `height`; NULL before the first */
    uint32_t width, height, levels;
    uint16_t *planes[NETWORK_SCAN_LEVELS_MAX]; /* of the last frame */
    int32_t *margins[NETWORK_SCAN_LEVELS_MAX];
    void *arena, *codes, *scratch;
    uint16_t nominal_white; /* of the last frame */
};

struct lab_args;

/* How a model is scanned: objects from --object-min rows on, or twice the window's height; a factor
 * of 1.12, its own step, overlap 0.4, boxes from a margin of -4 natural-log units on. Errors:
 * -EINVAL, told on standard error. */
int lab_scanner_settings(const struct lab_args *args, const struct lab_model *model, uint32_t label,
                         struct network_scan_settings *ret_settings);

/* `model` and `kernels` must outlive it. Errors, told on standard error: -ENOTSUP (the model cannot
 * scan), -ENOMEM. */
int lab_scanner_init(struct lab_scanner *scanner, const struct lab_model *model,
                     const struct network_scan_settings *settings,
                     const struct kernel_table *kernels);
/* Accepts a zeroed one. */
void lab_scanner_finish(struct lab_scanner *scanner);

/* Fills planes and margins of all levels from a picture file. sensor: NULL, or what level 0 is
 * exposed by, as eval does it. Errors, told on standard error: those of image_decode,
 * network_scan_create and lab_file_read. */
int lab_scanner_run(struct lab_scanner *scanner, const char *path, struct lab_sensor *sensor);

/* A window in pixels of the frame, its score the margin in natural-log units. */
struct lab_box lab_scanner_window(const struct lab_scanner *scanner, uint32_t level,
                                  uint32_t column, uint32_t row);

/* The planes of a window: [planes][height][width] of the model's input. */
void lab_scanner_cut(const struct lab_scanner *scanner, uint32_t level, uint32_t column,
                     uint32_t row, uint16_t *ret_planes);

#endif
