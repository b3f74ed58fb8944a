/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What a client asks for with a frame, the same from an HTTP query string and from Varlink
 * parameters. Knows no engine type: the daemon converts. Nothing is judged here but syntax;
 * impossible sensor descriptions are refused by the worker.
 *
 *   HTTP     PUT /v1/frames/porch?model=night&point=w64&format=sensor&width=640&height=480&...
 *   Varlink  {"camera":"porch","model":"night","point":"w64","format":"sensor","fd":0,
 *             "sensor":{"width":640,"height":480,"cfa":"GBRG","packing":"mipi10"}}
 *
 *   scan     yes, no or default, which is what the camera does
 *   format   jpeg, raw, pnm or sensor; absent: the bytes tell, or a description of a sensor does
 *   sensor   width, height, cfa, packing; and stride (default: no padding), black (0),
 *            white (the largest value of the packing), nominal_white (65535)
 *   Words are not case sensitive.
 */
#ifndef OCELLUS_PROTO_REQUEST_H
#define OCELLUS_PROTO_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/result.h"

enum proto_kind {
    PROTO_KIND_AUTO = 0,
    PROTO_KIND_JPEG,
    PROTO_KIND_RAW,
    PROTO_KIND_PNM,
    PROTO_KIND_SENSOR,
};

enum proto_cfa {
    PROTO_CFA_RGGB = 0,
    PROTO_CFA_GRBG,
    PROTO_CFA_GBRG,
    PROTO_CFA_BGGR,
    PROTO_CFA_MONO, /* "mono" */
};

enum proto_packing {
    PROTO_PACKING_U8 = 0, /* "u8" */
    PROTO_PACKING_U16LE,  /* "u16le" */
    PROTO_PACKING_MIPI10, /* "mipi10" */
    PROTO_PACKING_MIPI12, /* "mipi12" */
};

enum proto_scan {
    PROTO_SCAN_DEFAULT = 0,
    PROTO_SCAN_YES,
    PROTO_SCAN_NO,
};

struct proto_sensor {
    uint32_t width, height;               /* samples, 1..65535 */
    uint32_t stride;                      /* bytes, 1..2^24 */
    uint32_t cfa;                         /* enum proto_cfa */
    uint32_t packing;                     /* enum proto_packing */
    uint32_t black, white, nominal_white; /* 0..65535 */
};

struct proto_request {
    char camera[PROTO_CAMERA_BYTES]; /* "default" unless named */
    char model[PROTO_CAMERA_BYTES];  /* empty: the camera's */
    char point[PROTO_CAMERA_BYTES];  /* operating point, or "auto"; empty: the camera's */
    enum proto_scan scan;
    enum proto_kind kind;
    struct proto_sensor sensor; /* kind SENSOR */
    /* Varlink only */
    int fd;           /* index of the descriptor, -1: none */
    const char *data; /* base64, borrowed from the tree; NULL: none */
    /* Of a label only */
    char label[64];
    uint64_t frame;                   /* number of a result, below 2^53; 0: none */
    int32_t box;                      /* index of a box, -1: none */
    char adapter[PROTO_CAMERA_BYTES]; /* with codes */
    const char *codes;                /* base64, borrowed from the tree; NULL: none */
    /* Of a model's file only */
    char sha256[65]; /* 64 hexadecimal digits, small letters */
};

struct cJSON;

/*
 * Read the query of a PUT /v1/frames/{camera}; `camera` and `query` are NUL-terminated, the query
 * is not decoded yet. Errors: -EINVAL, *ret_reason a static sentence. Unknown, repeated and
 * malformed fields are refused.
 */
int proto_request_from_query(const char *camera, const char *query,
                             struct proto_request *ret_request, const char **ret_reason);

/* Read the parameters of io.ocellus.Infer; NULL: none. Fields may be null. Errors as above. */
int proto_request_from_json(const struct cJSON *parameters, struct proto_request *ret_request,
                            const char **ret_reason);

/*
 * A label. The parameters of io.ocellus.Label, and of the body of a POST /v1/labels:
 *   {"label":"cat","frame":7204631552000001,"box":0}     box: of a scanned frame
 *   {"label":"cat","adapter":"porch","codes":"<base64>"} packed as workers return them
 *   {"label":"cat","camera":"porch","fd":0}              or data, and all that Infer takes
 * and the query of a POST /v1/labels whose body is an image:
 *   ?label=cat&camera=porch                              and all that a frame's query takes
 * Errors as above.
 */
int proto_label_from_json(const struct cJSON *parameters, struct proto_request *ret_request,
                          const char **ret_reason);
int proto_label_from_query(const char *query, struct proto_request *ret_request,
                           const char **ret_reason);

/* Whose events: the parameters of io.ocellus.Subscribe and the query of /events, of which there is
 * `camera` only; it is empty in *ret_request where it is not given. Errors as above. */
int proto_watch_from_json(const struct cJSON *parameters, struct proto_request *ret_request,
                          const char **ret_reason);
int proto_watch_from_query(const char *query, struct proto_request *ret_request,
                           const char **ret_reason);

/* Which model: the parameters of io.ocellus.RollbackModel, {"model":"person"}, and with `file` of
 * io.ocellus.LoadModel, {"model":"person","fd":0,"sha256":"64 hexadecimal digits"}. The model is
 * empty in *ret_request where it is not given. Errors as above. */
int proto_model_from_json(const struct cJSON *parameters, bool file,
                          struct proto_request *ret_request, const char **ret_reason);

#endif
