/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The one list of errors, the same on every door. On Varlink an error is
 *     {"error":"io.ocellus.TooLarge","parameters":{"message":"..."}}
 * and on HTTP the same object is the body of the status below.
 */
#ifndef OCELLUS_PROTO_ERROR_H
#define OCELLUS_PROTO_ERROR_H

enum proto_error {
    PROTO_OK = 0,
    PROTO_UNSUPPORTED,      /* 415  a kind of image or variant that is not read */
    PROTO_CORRUPT,          /* 422  a damaged or truncated image */
    PROTO_TOO_LARGE,        /* 413  over a stated limit */
    PROTO_TOO_BUSY,         /* 503  no room now, or a newer frame of the camera came first */
    PROTO_BAD_REQUEST,      /* 400  the request itself is wrong */
    PROTO_FORBIDDEN,        /* 403  this peer may not call this method */
    PROTO_DEADLINE,         /* 504  not done in time */
    PROTO_NOT_FOUND,        /* 404  no such path, camera or model */
    PROTO_METHOD_NOT_FOUND, /* 405  Varlink: org.varlink.service.MethodNotFound */
    PROTO_WORKER_FAILED,    /* 500  the sandboxed worker died or answered nonsense on this frame */
    PROTO_INTERNAL,         /* 500  out of memory and the like */
    PROTO_GONE,             /* 410  it was there, and is no longer kept */
    PROTO_ERROR_COUNT,
};

/* "io.ocellus.TooLarge"; for METHOD_NOT_FOUND the org.varlink.service name. Never NULL. */
const char *proto_error_name(enum proto_error error);

/* HTTP status code, 200 for PROTO_OK. */
int proto_error_http_status(enum proto_error error);

/* The error with this name, or PROTO_INTERNAL when it is unknown (a newer daemon). */
enum proto_error proto_error_from_name(const char *name);

/* From the negative errno values of engine/: -EBADMSG, -ENOTSUP, -EFBIG, -EINVAL, -ETIME, -ENOMEM.
 */
enum proto_error proto_error_from_errno(int negative_errno);

struct cJSON;

/* The error object above; NULL when out of memory. The caller owns the tree. */
struct cJSON *proto_error_to_json(enum proto_error error, const char *message);

#endif
