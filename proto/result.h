/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The result of one frame and its JSON, the same on every door and in the client. Pure functions
 * over buffers: no sockets, no engine.
 *
 *   {"camera":"porch","frame":7204631552000001,"label":"cat","confidence":0.83,
 *    "scores":[{"label":"cat","probability":0.83,"score":131072}, ...in the model's order...],
 *    "model":{"name":"cifar10-lg3","point":"default","id":"<sha256>","generation":0,
 *             "adapter":"porch"},                                        where one judged it
 *    "macs":7962624,
 *    "cascade":{"detector":"face","label":"face","confidence":0.97,"awake":true},   of a cascade
 *    "image":{"format":"jpeg","width":640,"height":480,"orientation":1,"reduction":4},
 *    "times_us":{"wait":3.1,"decode":511.0,"gradient":12.4,"network":96.0,"total":640.2},
 *    "light":{"level":0.18,"saturated":0.002,"dark":0.31,"mono":false},    mono: where it is known
 *    "warnings":["constant"]}
 *
 * Of a scanned frame:
 *    "boxes":[{"x":212,"y":96,"width":61,"height":122,"label":"person","confidence":0.91,
 *              "score":301204,"level":4,"zone":"drive"},...],    zone: where it lies in one
 *    "motion":{"share":0.12},                                    where the camera asks for it
 *    "times_us":{...,"average":140.1,...}
 * Boxes are sorted by confidence. label and confidence are those of the first box. Without a box
 * the label is "background" and its confidence that the strongest window looked at, too, shows
 * nothing. scores has one entry, the label that was looked for in that window, whose score is its
 * margin over the other labels. share: windows that were evaluated, of all.
 */
#ifndef OCELLUS_PROTO_RESULT_H
#define OCELLUS_PROTO_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* With the NUL. A name is 1..63 of [A-Za-z0-9_.-], not starting with . or - */
#define PROTO_CAMERA_BYTES 64u

struct proto_score {
    const char *label;
    float probability; /* 0..1, softmax over the model's labels */
    int32_t score;     /* units of 2^-16 */
};

/* In pixels of the upright frame. */
struct proto_box {
    uint32_t x, y, width, height;
    const char *label;
    float confidence;
    int32_t score;    /* margin of the label over the others, units of 2^-16 */
    uint32_t level;   /* of the pyramid; 0 has the smallest windows */
    const char *zone; /* NULL: in none */
};

enum proto_mono { PROTO_MONO_UNKNOWN = 0, PROTO_MONO_YES, PROTO_MONO_NO };

/* How the picture is lit: mean level against nominal white, shares of its pixels. */
struct proto_light {
    float level, saturated, dark; /* 0..1 */
    enum proto_mono mono;
};

struct proto_times {   /* nanoseconds */
    uint64_t wait;     /* whole request in memory -> handed to a worker */
    uint64_t decode;   /* bytes -> planes */
    uint64_t average;  /* of a scan: planes -> smaller planes */
    uint64_t gradient; /* planes -> codes */
    uint64_t network;  /* codes -> scores */
    uint64_t total;    /* whole request in memory -> result checked */
};

struct proto_result {
    const char *camera;
    uint64_t frame; /* unique on this machine, below 2^53 */
    const char *label;
    float confidence;
    const struct proto_score *scores;
    uint32_t score_count;
    const char *model_name, *model_id, *point;
    uint64_t macs; /* multiply-accumulates of this frame, both stages of a cascade */
    /* What the first stage of a cascade said; detector is NULL where there is none. */
    struct {
        const char *detector, *label;
        float confidence; /* of the label against the strongest other one */
        bool awake;       /* the result is the second stage's */
    } cascade;
    uint64_t generation;
    const char *adapter; /* that judged it; NULL: none */
    const char *format;  /* "jpeg", "raw", "pnm", "sensor" */
    uint32_t width, height, orientation, reduction;
    struct proto_times times;
    uint32_t warnings; /* bits 0..2: "constant", "damaged", "truncated" */
    struct proto_light light;
    bool scanned; /* there are boxes, if only none */
    const struct proto_box *boxes;
    uint32_t box_count;
    bool motion; /* of a scan: only windows that touch what changed were evaluated */
    float motion_share;
};

struct cJSON;

/* NULL when out of memory. The caller owns the tree. */
struct cJSON *proto_result_to_json(const struct proto_result *result);

/* 1 when `name` is a valid camera or model name, else 0. */
int proto_name_valid(const char *name);

#endif
