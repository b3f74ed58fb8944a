/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What the daemon counts for monitors, and its page in Prometheus' text format 0.0.4. Counting is a
 * few additions; the page is made when somebody asks. Loop thread only; it changes nothing else.
 *
 * Labels are bounded: cameras, models and adapters are those of the configuration, frames of all
 * other cameras are counted together under camera="" (no camera has that name).
 */
#ifndef OCELLUS_DAEMON_METRICS_H
#define OCELLUS_DAEMON_METRICS_H

#include <stdint.h>

#include "daemon/frame.h"
#include "daemon/pool.h"
#include "proto/error.h"

struct method;
struct server;
struct text;

enum metrics_door { METRICS_HTTP = 0, METRICS_VARLINK, METRICS_DOORS };

/* front: planes -> codes, the averaging of a scan included. */
enum metrics_stage {
    METRICS_QUEUE = 0,
    METRICS_DECODE,
    METRICS_FRONT,
    METRICS_NETWORK,
    METRICS_TOTAL,
    METRICS_STAGES,
};

/* Upper bounds of buckets, in microseconds: 0.1 ms to 2.5 s, as deadlines go. */
#define METRICS_BUCKETS 14u

struct metrics_histogram {
    uint64_t counts[METRICS_BUCKETS + 1]; /* not cumulative; the last is above all bounds */
    uint64_t sum_ns;
};

#define METRICS_METHODS 32u /* rows of the method table, and one for what names no method */

/* Of the last frame of a camera of the configuration, which is told by its name: a reload may give
 * its place to another. */
struct metrics_light {
    char camera[PROTO_CAMERA_BYTES]; /* empty: no frame yet */
    struct proto_light light;
};

struct metrics {
    struct metrics_light lights[CONFIG_CAMERAS_MAX]; /* in the order of the configuration */
    uint64_t requests[METRICS_DOORS][METRICS_METHODS][PROTO_ERROR_COUNT];
    struct metrics_histogram stages[METRICS_STAGES];
    uint64_t strikes;          /* frames that cost a worker */
    uint64_t lowered;          /* frames of "auto" that got a cheaper point than the first */
    struct pool_stats retired; /* sums of pools that are gone */
};

/* A request was answered; method NULL: it named none. */
void metrics_count_request(struct metrics *metrics, enum metrics_door door,
                           const struct method *method, enum proto_error error);

/* A frame was judged. */
void metrics_count_frame(struct metrics *metrics, const struct frame *frame,
                         const struct proto_result *result);

/* A pool ends: its counters go on in the sums. */
void metrics_retire_pool(struct metrics *metrics, const struct pool *pool);

/* The page; NULL: out of memory. The caller frees it. */
char *metrics_text(const struct server *server);

/* The parts of the page that need no server. `blocks`: the directory /sys/block. */
void metrics_put_histogram(struct text *text, const char *name, const char *label,
                           const struct metrics_histogram *histogram);
void metrics_put_flash(struct text *text, const char *blocks);

#endif
