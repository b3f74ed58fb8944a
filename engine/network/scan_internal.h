/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* What the files scan*.c share. Not for use outside engine/network. */
#ifndef OCELLUS_ENGINE_NETWORK_SCAN_INTERNAL_H
#define OCELLUS_ENGINE_NETWORK_SCAN_INTERNAL_H

#include "engine/network/plan_internal.h"
#include "engine/network/scan.h"

/* A window that may become a box: its edges in frame pixels, right and bottom not included. */
struct scan_candidate {
    uint16_t left, top, right, bottom;
    int32_t margin;
    uint32_t index; /* of all windows, level by level */
};

struct network_scan {
    struct network_scan_settings settings; /* stride set */
    uint32_t frame_width, frame_height;
    uint32_t window_width, window_height, channels, labels;
    size_t code_bytes;              /* of a pixel */
    uint32_t levels, columns, rows; /* columns, rows: the most of any level */
    struct network_scan_level level[NETWORK_SCAN_LEVELS_MAX];
    uint32_t first[NETWORK_SCAN_LEVELS_MAX + 1]; /* window of each level */
    uint64_t macs;
    struct network_layer *layers; /* of the plan */
    struct network_plan *plan;    /* over the most columns and rows; NULL without levels */
    struct scan_candidate *candidates;
};

#endif
