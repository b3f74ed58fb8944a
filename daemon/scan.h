/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Scans as the daemon sees them: a camera's settings -> what a worker is told, boxes -> names and
 * confidences, and what a camera's frame leaves for its next. It evaluates no window.
 */
#ifndef OCELLUS_DAEMON_SCAN_H
#define OCELLUS_DAEMON_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "daemon/frame.h"
#include "daemon/models.h"

#define SCAN_EVERY_POINT UINT32_MAX

/*
 * What a worker is told for a scan with this model and operating point (SCAN_EVERY_POINT: any of
 * them may be chosen). Errors: -EINVAL, *ret_reason a static sentence: the model cannot scan, or
 * the settings do not fit it.
 */
int scan_settings(const struct models *models, const struct config_scan *config, uint32_t model,
                  uint32_t point, struct job_scan *ret_scan, const char **ret_reason);

/* Put names and confidences to a checked result of a scan. Writes what boxes and scores models has
 * room for, and the members of *result that concern them. */
void scan_describe(struct models *models, const struct frame *frame, const struct job_result *job,
                   struct proto_result *result);

/* What is remembered of a camera's frames for the next. */
struct scan_memory {
    struct job_motion *before; /* NULL: none yet */
    uint64_t whole_ns;         /* when every window was evaluated last */
    uint64_t generation;       /* of the weights */
    uint32_t model, point;
    enum image_colour colour;
    uint64_t colour_ns; /* when it was looked for last; 0: never */
};

/* Set what the frame's worker is to be handed; frame->generation is that of the weights now. */
void scan_recall(struct scan_memory *memory, const struct config_scan *config, struct frame *frame,
                 uint64_t now_ns);

/* Take what a checked result says. Sets frame->colour. */
void scan_remember(struct scan_memory *memory, struct frame *frame, const struct job_result *result,
                   uint64_t now_ns);

void scan_forget(struct scan_memory *memory);

#endif
