/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The models that the configuration names: read, checked, and sealed into memfds that the workers
 * map. The daemon keeps names, labels and identity; it never runs a network.
 */
#ifndef OCELLUS_DAEMON_MODELS_H
#define OCELLUS_DAEMON_MODELS_H

#include <stdint.h>

#include "config/config.h"
#include "daemon/frame.h"
#include "daemon/worker/job.h"
#include "engine/network/model.h"
#include "proto/result.h"

struct model {
    char name[CONFIG_NAME_BYTES];  /* of its [model] section, which is how clients name it */
    struct network_model *network; /* labels, id, input */
    int memfd;                     /* the file's bytes, sealed against every change */
    uint64_t bytes;
    uint64_t generation; /* of the weights; 0 as shipped */
    uint32_t point_count;
    const char *points[NETWORK_POINTS_MAX]; /* names, the default first; the network's */
    bool exits;                             /* of the network */
    bool installed;                         /* not the configured file (daemon/install.h) */
    /* A cascade: 1 + the index of the model behind this one (0: none), and which label with which
     * margin wakes it (engine/network/cascade.h). */
    uint32_t wakes, wake_label;
    int32_t wake_margin;
};

struct models {
    struct model list[JOB_MODELS_MAX];
    uint32_t count;
    uint32_t standard; /* index of the default model */
    char damage[160];  /* an installed file that cannot be used, so that the configured one is;
                          empty:  none */
    /* of the result described last */
    struct proto_score scores[NETWORK_LABELS_MAX];
    struct proto_box boxes[NETWORK_SCAN_BOXES_MAX];
};

/* Files that are read in place of those that the configuration names. */
struct models_source {
    const char *directory; /* DIRECTORY/NAME/current, where it is there; NULL: none */
    const char *name; /* of the model that is read from `file` whatever else is there, or NULL */
    int file;
    bool installed; /* `file` is not the configured one */
};

/* source: NULL for the configured files alone. On failure ret_reason[0..size) holds a sentence that
 * names the file. Errors: negative errno. */
int models_load(const struct config *config, const struct models_source *source,
                struct models **ret_models, char *ret_reason, size_t size);
void models_destroy(struct models *models);

/* Packed codes of one window of an operating point, as workers return them (daemon/worker/job.h).
 */
size_t models_codes_bytes(const struct model *model, uint32_t point);

/* Index of the model with this name, -ENOENT when there is none. */
int models_find(const struct models *models, const char *name);

/* What stands for a point in place of a name: one by load. */
#define MODELS_POINT_AUTO "auto"
/* Another, of models that have exits (EXITS in engine/network/model.h): as many as it takes. */
#define MODELS_POINT_EXIT "exit"

/* Index of the operating point; the first for an empty name and for MODELS_POINT_AUTO, the
 * last for MODELS_POINT_EXIT. Errors:
 * -ENOENT. */
int models_find_point(const struct model *model, const char *name);
/* Whether the name stands for the exits of the model. */
bool models_exits(const struct model *model, const char *name);

/*
 * Which model and operating point judge a frame, and whether and how it is scanned: what it names,
 * else what its camera does, whose settings these are and whose model is number `own`. Errors:
 * PROTO_NOT_FOUND, PROTO_BAD_REQUEST, with a static sentence in *ret_message.
 */
enum proto_error models_route(const struct models *models, const struct config_camera *settings,
                              uint32_t own, struct frame *frame, const char **ret_message);

/* Put names to a checked result of a frame that was just finished. *ret_result borrows from models
 * and frame until the next call. */
void models_describe(struct models *models, const struct frame *frame,
                     const struct job_result *result, struct proto_result *ret_result);

#endif
