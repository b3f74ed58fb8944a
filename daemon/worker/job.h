/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The wire between ocellusd and one ocellus-worker. Both ends are built together, so the structs
 * are copied as they are; the daemon nevertheless believes nothing that a worker writes.
 *
 * A worker inherits two descriptors: JOB_FD_DOORBELL, one end of a SOCK_SEQPACKET pair, and
 * JOB_FD_REGION, a memfd of job_region_bytes() that both map: results at the start, frame bytes
 * after them. The daemon sends one struct job_message at a time, with at most one descriptor, and
 * waits for the worker's struct job_done.
 *
 * MODEL: hand over or replace model `model` (fd: the sealed memfd of a model file); done.status
 * tells whether it was taken.
 *
 * FRAME: bytes -> planes -> codes -> scores. In a cascade, where the model's scores say the wake
 * label with at least the wake margin, the same for the model behind it, whose scores are the
 * result then. A frame to be scanned is searched window by window instead (engine/network/scan.h):
 * its result has boxes. The bytes lie in the region (source REGION: the daemon copied them there
 * and does not touch them until the reply), in the passed memfd (MAP: sealed against shrinking,
 * mapped read-only and cached by inode), or in the passed regular file (PREAD: read into private
 * memory).
 *
 * WEIGHTS: an adapter's weights of one layer take the place of what it had before (fd: a sealed
 * memfd, struct job_weights, which stays mapped; none, and length 0: the model's own again). An
 * adapter begins as a copy of the operating point that its first message names, and keeps to that.
 * Frames that name it use its present weights. Between frames, and a generation in any number of
 * messages: the daemon sends no frame between them.
 *
 * SCANS  The worker makes the planes of level 0 at its size, the others from them by averaging. Of
 * a mosaic's samples the scan sees whole quads: half the frame's width and height. Where motion is
 * asked for, the daemon hands back what the worker returned with the camera's frame before (struct
 * job_motion): the worker then evaluates only windows that touch what changed.
 *
 * A worker that gets a message it does not understand exits. The daemon copies the result head out
 * of the region before it looks at any field, then checks all of them (job_result_valid).
 */
#ifndef OCELLUS_DAEMON_WORKER_JOB_H
#define OCELLUS_DAEMON_WORKER_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/image/image.h"
#include "engine/network/network.h"
#include "engine/network/scan.h"

#define JOB_FD_DOORBELL 3
#define JOB_FD_REGION   4
#define JOB_MODELS_MAX  16u
/* Adapters: sets of trained layers over one operating point of a model. */
#define JOB_ADAPTERS_MAX 16u
/* Packed codes of a frame, returned for the ring of recent frames. */
#define JOB_CODES_MAX (256u * 1024u)
/* Packed codes of the level on which frames of a camera are compared. */
#define JOB_MOTION_MAX (32u * 1024u)
/* Masks of a camera, and corners of one. */
#define JOB_MASKS_MAX   8u
#define JOB_CORNERS_MAX 16u

enum job_op { JOB_OP_MODEL = 1, JOB_OP_FRAME, JOB_OP_WEIGHTS };
enum job_source { JOB_SOURCE_REGION = 0, JOB_SOURCE_MAP, JOB_SOURCE_PREAD };

/* A polygon of the upright frame, closed by itself: even-odd rule. Corners in 1/100 percent of its
 * width and height: 0..10000. */
struct job_polygon {
    uint32_t count; /* 3..JOB_CORNERS_MAX */
    struct {
        uint16_t x, y;
    } corners[JOB_CORNERS_MAX];
};

/* How a frame is scanned; see struct network_scan_settings. */
struct job_scan {
    uint32_t wanted;     /* 0: not at all, and all else is 0; 1 */
    uint32_t label;      /* of the model */
    uint32_t object_min; /* percent of the frame's height, 1..100 */
    uint32_t factor, stride, overlap, boxes_max;
    int32_t threshold;
    /* Each box needs to be confirmed: 1 + a model, or 0, its operating point, label and margin. It
     * takes the same codes of the same window. */
    uint32_t confirm, confirm_point, confirm_label;
    int32_t confirm_threshold;
    uint32_t motion; /* 1: return struct job_motion; compare with the one handed over, if any */
    /* Windows whose foot, the middle of the lower edge, lies in one are no candidates. */
    uint32_t mask_count;
    struct job_polygon masks[JOB_MASKS_MAX];
};

struct job_message {
    uint32_t op; /* enum job_op */
    uint32_t model;
    uint64_t generation;        /* MODEL, WEIGHTS: of the weights handed over */
    uint64_t sequence;          /* echoed in the reply */
    uint64_t length;            /* bytes of the model, frame or weights */
    uint32_t source;            /* enum job_source */
    uint32_t kind;              /* enum image_kind */
    uint32_t want_codes;        /* FRAME: return packed codes, those of the model that answers */
    uint32_t point;             /* FRAME, WEIGHTS: operating point of the model */
    uint32_t exits;             /* FRAME: 1: the point is where to start, see EXITS in model.h */
    uint32_t wakes;             /* FRAME: 1 + the model behind it in a cascade; 0: none */
    uint32_t wake_label;        /* index among the model's labels */
    int32_t wake_margin;        /* see engine/network/cascade.h */
    struct image_sensor sensor; /* for IMAGE_KIND_SENSOR */
    uint32_t want_colour;       /* FRAME: find out whether the picture has colour, even if that
                                   takes a second look at it (image_measure_light) */
    struct job_scan scan;       /* FRAME */
    uint32_t adapter; /* FRAME: 1 + the adapter to use; 0: the model as it is. WEIGHTS: 1 + it */
    uint32_t layer;   /* WEIGHTS: of the point */
};

/* At the start of a memfd of WEIGHTS. Offsets from there, multiples of 64; 0: none. */
struct job_weights {
    uint64_t group; /* as network_plan_pack made it, for the plan of one image */
    /* The arrays of the layer, from which plans of scans pack their own. */
    uint64_t weight_s8, bias_s32, mult;
    uint32_t preshift, shift, narrow;
};

struct job_done {
    uint64_t sequence;
    int32_t status;   /* 0 or a negative errno of engine/ */
    uint32_t recycle; /* not 0: the worker asks to be replaced */
};

struct job_box {
    uint32_t x, y, width, height; /* pixels of the upright frame, inside it */
    int32_t margin;               /* of the model that was asked for; units of a score */
    uint16_t level, column, row;  /* the window that it is */
    uint16_t zero;
};

/* What one scan of a camera leaves for the next, in the region behind the result: written by the
 * daemon before the message (bytes 0: nothing), and returned as part of the result. */
struct job_motion {
    uint32_t width, height; /* of the frame */
    uint32_t box_count;
    struct job_box boxes[NETWORK_SCAN_BOXES_MAX];
    uint32_t level;                /* that was compared */
    uint32_t bytes;                /* of codes; 0: frames cannot be compared */
    uint8_t codes[JOB_MOTION_MAX]; /* ternary: plus plane, then minus plane */
};

/* At the start of the region. Valid for a FRAME whose status is 0. */
struct job_result {
    uint64_t sequence;
    uint64_t generation; /* of the weights that gave the scores */
    struct image_info info;
    uint32_t label_count;
    int32_t scores[NETWORK_LABELS_MAX]; /* all 0 of a scanned frame */
    uint64_t decode_ns, gradient_ns, network_ns;
    uint64_t average_ns; /* level 0 -> planes of the other levels */
    uint64_t macs;       /* multiply-accumulates, of all networks that ran */
    int32_t wake_margin; /* what the first stage of a cascade reached; 0 where there is none */
    uint32_t awake;      /* 1: the scores are those of the model behind the one asked for */
    uint32_t point;      /* operating point that gave the scores, of the model that did */
    struct image_light light;
    uint32_t scanned;              /* 1: what follows holds, else it is 0 */
    uint32_t box_count;            /* 0..scan.boxes_max, the strongest first */
    uint32_t levels;               /* 0..NETWORK_SCAN_LEVELS_MAX */
    uint32_t windows, windows_run; /* of all levels; those that were evaluated */
    int32_t peak;                  /* largest margin of a window that is not masked and was
                                      not refused by the confirming model; INT32_MIN: none */
    struct job_box boxes[NETWORK_SCAN_BOXES_MAX];
    uint32_t motion_bytes; /* bytes of struct job_motion's codes, which are in `motion`; 0: none */
    uint32_t motion_level;
    /* 0..JOB_CODES_MAX; ternary: plus plane, then minus plane. Of a scanned frame the codes of the
     * window of each box, one after the other, as many of the first boxes as fit. */
    uint32_t codes_bytes;
    uint8_t codes[JOB_CODES_MAX];
    uint8_t motion[JOB_MOTION_MAX];
};

/* What is at the start of the region. */
struct job_shared {
    struct job_result result;
    struct job_motion before; /* written by the daemon, where scan.motion is asked for */
};

/* Offset of the frame area (page aligned), and size of the region for frames up to frame_bytes_max
 * (0: overflow). */
size_t job_frame_offset(void);
size_t job_region_bytes(size_t frame_bytes_max);

/* Bytes of the result before its codes: what every reply has. */
#define JOB_RESULT_HEAD_BYTES offsetof(struct job_result, codes)

/* True when a result copied out of the region is one that an honest worker could have written to
 * this message, for a model with `label_count` labels. Reads only the head: not the codes. */
bool job_result_valid(const struct job_result *result, const struct job_message *asked,
                      uint32_t label_count);

/* Whether two models take the same codes of the same window: a box's for one serve the other. */
bool job_same_input(const struct network_input *a, const struct network_input *b);

/* Whether the foot of a box of a frame of width x height pixels, the middle of its lowest row of
 * pixels in whole 1/100 percent, lies in the polygon. */
bool job_polygon_holds(const struct job_polygon *polygon, const struct job_box *box, uint32_t width,
                       uint32_t height);

#endif
