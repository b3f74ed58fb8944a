/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* What the command scan measures, and the reports of it. Scans nothing. */
#ifndef OCELLUS_ENGINE_LAB_SCAN_H
#define OCELLUS_ENGINE_LAB_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/kernel/kernel.h"
#include "engine/lab/froc.h"
#include "engine/lab/model.h"
#include "engine/lab/scanner.h"
#include "engine/lab/scenes.h"

struct lab_scan {
    struct kernel_table kernels;
    struct lab_model model;
    struct lab_scanner scanner;
    struct lab_scenes scenes;
    uint32_t positive, frames;
    double threshold; /* natural-log units; boxes below are no matter of the calibration */
    bool exposed;     /* by a simulated sensor */
    uint32_t exposure_num, exposure_den, bits;
    bool noise;
    double seconds; /* processor time of all frames, files read to boxes */

    struct lab_boxes boxes, other;
    struct lab_froc froc, other_froc; /* zeroed where there is nothing to compare with */
    /* The model's own meaning where it says one, else the one fitted here. calibrated: there is
     * either. fitted: `fit` is that of these frames. */
    bool calibrated, fitted;
    struct lab_sigmoid meaning, fit;
    struct lab_reliability reliability;
};

/* The report on standard output. Errors: -ENOMEM. */
int lab_scan_print(const struct lab_scan *scan, bool json);

/* boxes.csv, curve.csv and reliability.csv, and charts of the latter two, in a folder that is made.
 * Errors: told on standard error. */
int lab_scan_write(const struct lab_scan *scan, const char *directory);

#endif
