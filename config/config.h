/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * INI files -> one immutable struct. Unknown sections, unknown keys, duplicates in one file and
 * values out of range are errors with file and line. Drop-ins (<file>.d/NAME.conf, in order of
 * NAME) override single keys of the main file. Prints nothing and keeps no state. See
 * ocellus.conf(5) for the keys.
 */
#ifndef OCELLUS_CONFIG_CONFIG_H
#define OCELLUS_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_MODELS_MAX   16u
#define CONFIG_CAMERAS_MAX  64u
#define CONFIG_ADAPTERS_MAX 16u
#define CONFIG_NAME_BYTES   64u
#define CONFIG_POLYGONS_MAX 8u   /* zones, and masks, of one camera */
#define CONFIG_CORNERS_MAX  16u  /* of one polygon */
#define CONFIG_PATH_BYTES   108u /* a socket's path must fit sun_path */

struct config_model { /* [model NAME] */
    char name[CONFIG_NAME_BYTES];
    char path[4096]; /* path = FILE */
    /* A cascade: where this model sees wake-label, the frame goes on to another, which answers. */
    char wakes[CONFIG_NAME_BYTES];      /* wakes = NAME of another [model]; default: none */
    char wake_label[CONFIG_NAME_BYTES]; /* wake-label = LABEL of this model; needed with wakes */
    uint32_t wake_confidence;           /* wake-confidence = 50: percent, 1..99 */
};

/* A polygon of the upright frame, closed by itself; even-odd rule. */
struct config_polygon { /* [zone CAMERA NAME], [mask CAMERA NAME] */
    char name[CONFIG_NAME_BYTES];
    uint32_t count; /* area = 0,60 100,60 100,100 0,100: 3..CONFIG_CORNERS_MAX corners x,y in
                       percent of width and height, with up to two decimals */
    struct {
        uint16_t x, y; /* 1/100 percent, 0..10000 */
    } corners[CONFIG_CORNERS_MAX];
};

/* How a camera's frames are scanned for the label: by the camera, or at a client's wish. */
struct config_scan {
    bool enabled;                  /* scan = no */
    char label[CONFIG_NAME_BYTES]; /* scan-label = LABEL; default: the one that the model names */
    uint32_t object_min; /* scan-object-min = 20: height of the smallest object, percent of the
                            frame's, 1..100. A share, so that the work does not depend on the
                            camera's resolution, which need not be known. */
    uint32_t factor;     /* scan-factor = 1.12, from level to level: here in 1/1024, 1034..4096 */
    uint32_t stride; /* scan-stride = 0: level pixels from window to window; 0: the model's step */
    uint32_t confidence; /* scan-confidence = 50: percent, 1..99 */
    uint32_t overlap;    /* scan-overlap = 40: percent, intersection over union; 0..100 */
    uint32_t boxes_max;  /* scan-boxes = 16: 1..64 */
    char confirm[CONFIG_NAME_BYTES]; /* scan-confirm = an operating point of the model or else
                                        another [model], which must find each box too */
    bool motion;                     /* motion = off: evaluate only what changed */
    uint32_t motion_whole_ms;        /* motion-whole = 10s: a whole scan at least so often */
    uint32_t zone_count, mask_count;
    struct config_polygon zones[CONFIG_POLYGONS_MAX], masks[CONFIG_POLYGONS_MAX];
};

struct config_camera { /* [camera NAME] */
    char name[CONFIG_NAME_BYTES];
    char model[CONFIG_NAME_BYTES];   /* model = NAME of a [model]; default: the default model */
    char point[CONFIG_NAME_BYTES];   /* point = NAME of an operating point of the model, or auto: a
                                        cheaper one under load; default empty: the model's first */
    char adapter[CONFIG_NAME_BYTES]; /* adapter = NAME: the camera learns; cameras that name the
                                        same learn together; default empty: it does not */
    bool enabled;                    /* enabled = yes|no; frames of a disabled camera are refused */
    struct config_scan scan;
    uint32_t adapter_slot; /* 1 + the index of its adapter; 0: none */
};

struct config_adapter { /* what cameras name */
    char name[CONFIG_NAME_BYTES];
    char model[CONFIG_NAME_BYTES], point[CONFIG_NAME_BYTES]; /* of all its cameras */
};

struct config_adaptation { /* [adaptation] */
    char state[4096];      /* state = DIR, for what is learned; default: $STATE_DIRECTORY */
    char trainer_group[CONFIG_NAME_BYTES]; /* trainer-group = GROUP of those who may label besides
                                              root and the daemon's user; default empty: none */
    uint32_t adapters_max;                 /* adapters-max = 4; 1..16 */
    uint64_t budget_day;        /* budget-day = 4M: bytes for the block device, all adapters */
    uint64_t journal_allowance; /* journal-allowance = 16K: bytes charged for each sync beyond the
                                   blocks that are written */
    uint64_t ring_bytes;        /* ring-bytes = 256K: codes of recent frames, each camera */
    uint32_t flush;             /* flush = 0 labels, then weights change; 0: the trainer's choice */
    uint32_t commit_after_ms;   /* commit-after = 1800s: a label is not held in memory for longer */
};

#define CONFIG_DIGEST_CHARS 64u /* SHA-256 in hexadecimal */
#define CONFIG_TOKENS_MAX   64u

enum config_role { CONFIG_ROLE_CLIENT = 0, CONFIG_ROLE_TRAINER, CONFIG_ROLE_ADMIN, CONFIG_ROLES };

struct config_token { /* a line of the file of tokens (config/tokens.h) */
    char name[CONFIG_NAME_BYTES];
    uint32_t role;                        /* enum config_role */
    char sha256[CONFIG_DIGEST_CHARS + 1]; /* small letters */
};

struct config {
    /* [daemon] */
    char http_socket[CONFIG_PATH_BYTES];    /* http = /run/ocellus/http.sock; empty: no such door */
    char varlink_socket[CONFIG_PATH_BYTES]; /* varlink = /run/ocellus/varlink.sock */
    char http_tcp[CONFIG_PATH_BYTES]; /* http-tcp = 127.0.0.1:8080 or [::1]:8080; default empty */
    char tokens_path[4096]; /* tokens = FILE, of clients on TCP; default: a systemd credential */
    struct config_token tokens[CONFIG_TOKENS_MAX];
    uint32_t token_count;
    uint32_t socket_mode;                 /* socket-mode = 0660 */
    char socket_group[CONFIG_NAME_BYTES]; /* socket-group = ocellus-clients; default empty */
    bool allow_other; /* allow-other = no: may local users outside the group post frames */
    uint32_t workers; /* workers = 0 (one per core the process may use), 1..64 */
    char
        worker_path[4096]; /* worker = /usr/libexec/ocellus/ocellus-worker; default: set at build */
    char cpu_mask[32];     /* cpu-mask = all */
    uint64_t frame_bytes_max; /* frame-bytes-max = 32M; suffixes K M G; 4K..1G */
    uint64_t queue_bytes_max; /* queue-bytes-max = 128M: bodies held for admission, all cameras */
    uint64_t memory_max;  /* memory-max = 0: bytes of daemon and workers together, up to 1T; 0: as
                             much as the control group may have */
    uint32_t cameras_max; /* cameras-max = 64: declared ones and those that appear by posting */
    uint32_t deadline_ms; /* deadline = 1000: from whole request to reply */
    uint32_t
        worker_timeout_ms; /* worker-timeout = 800: one frame in a worker, then it is replaced */
    uint32_t worker_frames_max; /* worker-frames-max = 100000: then it is recycled; 0: never */
    uint64_t pixels_max;        /* pixels-max = 100M declared pixels of an image */
    uint32_t spin_us;           /* spin-us = 0; 0..1000 */
    char default_model[CONFIG_NAME_BYTES]; /* model = NAME; default: the first [model] */

    struct config_model models[CONFIG_MODELS_MAX];
    uint32_t model_count;
    struct config_camera cameras[CONFIG_CAMERAS_MAX];
    uint32_t camera_count;
    struct config_adaptation adaptation;
    struct config_adapter adapters[CONFIG_ADAPTERS_MAX];
    uint32_t adapter_count;
    struct config_camera other; /* a camera without a section: the default of everything */
};

struct config_error {
    char file[4096];
    unsigned line; /* 0: the file as a whole */
    char reason[256];
};

#define CONFIG_ERROR_BYTES 4608u /* of an error as text */

/* "FILE:LINE: REASON", or without a line. */
void config_error_format(const struct config_error *error, char *out, size_t size);

/* Read `path` and its drop-ins into a new config, filling in defaults. On failure *ret_error says
 * where and why. Errors: -ENOENT, -EACCES, -EBADMSG (a rule is broken), -ENOMEM. The caller owns
 * *ret_config. */
int config_load(const char *path, struct config **ret_config, struct config_error *ret_error);
void config_destroy(struct config *config);

/* Index of the camera that has a section; -ENOENT. */
int config_find_camera(const struct config *config, const char *name);

/* Where state is kept: of the configuration, else what the service manager gave. NULL: nowhere. */
const char *config_state(const struct config *config);

#endif
