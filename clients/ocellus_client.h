/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Client library of ocellusd: hands frames to the daemon over its Varlink socket and gives back
 * results. It decodes no image, starts no thread, prints nothing and changes no signal handling.
 * Link with -locellus-client.
 *
 *     struct ocellus_client *client;
 *     struct ocellus_result *result;
 *     if (ocellus_client_open(NULL, 0, &client) == OCELLUS_OK) {
 *         if (ocellus_client_infer_fd(client, fd, NULL, &result) == OCELLUS_OK) {
 *             printf("%s %.0f%%\n", result->label, result->confidence * 100);
 *             ocellus_result_destroy(result);
 *         } else {
 *             fprintf(stderr, "%s\n", ocellus_client_message(client));
 *         }
 *         ocellus_client_close(client);
 *     }
 *
 * A client is one connection; one thread at a time may use it. Calls block until the reply or the
 * timeout. Outputs (ret_...) are untouched on failure. Zero-initialise what you hand in; what you
 * get was made by the library.
 */
#ifndef OCELLUS_CLIENT_H
#define OCELLUS_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OCELLUS_SOCKET "/run/ocellus/varlink.sock"

enum ocellus_error {
    OCELLUS_OK = 0,
    /* The daemon answered with an error; the connection goes on. */
    OCELLUS_UNSUPPORTED,      /* a kind of image or variant that it does not read */
    OCELLUS_CORRUPT,          /* a damaged or truncated image */
    OCELLUS_TOO_LARGE,        /* over a limit of the daemon */
    OCELLUS_TOO_BUSY,         /* no room now, or a newer frame of the same camera came first */
    OCELLUS_BAD_REQUEST,      /* the request itself is wrong */
    OCELLUS_FORBIDDEN,        /* this user may not call this method */
    OCELLUS_DEADLINE,         /* not done in time */
    OCELLUS_NOT_FOUND,        /* no such camera or model */
    OCELLUS_METHOD_NOT_FOUND, /* an older daemon */
    OCELLUS_WORKER_FAILED,    /* the sandboxed worker died on this frame */
    OCELLUS_INTERNAL,         /* out of memory in the daemon and the like */
    OCELLUS_GONE,             /* it was there, and is no longer kept */
    /* Seen on this side. */
    OCELLUS_UNREACHABLE,  /* nobody listens at the socket, or this user may not connect; errno says
                             which */
    OCELLUS_DISCONNECTED, /* the connection ended, timed out or made no sense: close the client */
    OCELLUS_MEMORY,       /* no memory, or no descriptor, on this side */
};

/* One word such as "corrupt"; never NULL. */
const char *ocellus_error_name(enum ocellus_error error);

struct ocellus_client;

/*
 * Connect to the daemon. path: its Varlink socket, NULL for OCELLUS_SOCKET. timeout_ms: longest
 * wait for one reply, 0 for 30 s. The caller owns *ret_client. Errors: OCELLUS_UNREACHABLE (errno
 * is set), OCELLUS_MEMORY.
 */
enum ocellus_error ocellus_client_open(const char *path, unsigned timeout_ms,
                                       struct ocellus_client **ret_client);

/* NULL is fine. */
void ocellus_client_close(struct ocellus_client *client);

/* A sentence about the last failed call on this client, never NULL. Valid until its next call. */
const char *ocellus_client_message(const struct ocellus_client *client);

/* A bare sensor buffer without a container. */
struct ocellus_sensor {
    uint32_t width, height; /* samples */
    uint32_t stride;        /* bytes from row to row; 0: rows follow each other without padding */
    const char *cfa;        /* "RGGB", "GRBG", "GBRG", "BGGR" or "mono" */
    const char *packing;    /* "u8", "u16le", "mipi10" or "mipi12" */
    uint16_t black;
    uint16_t white;         /* 0: the largest value of the packing */
    uint16_t nominal_white; /* plane value of a nominally exposed white; 0: 65535 */
};

/* What a frame is. NULL anywhere means the daemon's default. Strings are borrowed for the call. */
struct ocellus_frame {
    const char *camera; /* 1 to 63 of A-Z a-z 0-9 _ . -, starting with neither . nor - */
    const char *model;
    const char *point;  /* an operating point of the model, or "auto" */
    const char *scan;   /* "yes", "no"; NULL or "default": what the camera does */
    const char *format; /* "jpeg", "raw", "pnm" or "sensor"; NULL: the bytes tell */
    const struct ocellus_sensor *sensor;
};

struct ocellus_score {
    const char *label;
    double probability; /* 0..1 */
    int32_t score;      /* units of 2^-16 of a natural-log unit */
};

/* Where a scan found the label, in pixels of the upright frame. */
struct ocellus_box {
    uint32_t x, y, width, height;
    const char *label;
    double confidence;
    int32_t score;    /* margin of the label over the others, units of 2^-16 */
    uint32_t level;   /* of the pyramid; 0 has the smallest windows */
    const char *zone; /* of the camera's that holds its foot; NULL: none */
};

/* How the picture is lit. */
struct ocellus_light {
    double level, saturated, dark; /* 0..1; negative: an older daemon did not say */
    int mono;                      /* 1: it has no colour, 0: it has, -1: not known */
};

/* In microseconds. */
struct ocellus_times {
    double wait, decode, average, gradient, network, total; /* average: 0 but of a scan */
};

enum ocellus_warning {
    OCELLUS_WARNING_CONSTANT = 1 << 0,  /* every sample is equal: a lens cap? */
    OCELLUS_WARNING_DAMAGED = 1 << 1,   /* parts of the image could not be decoded */
    OCELLUS_WARNING_TRUNCATED = 1 << 2, /* the image ended early */
    OCELLUS_WARNING_OTHER = 1 << 30,    /* one that this library does not know; see json */
};

/* What the detector said where the model is a cascade's; detector is NULL where it is none. */
struct ocellus_cascade {
    const char *detector, *label;
    double confidence; /* of the label against the strongest other one */
    int awake;         /* not 0: the result is that of the model that was woken */
};

/* Everything in it belongs to it, down to the strings. A scanned frame has boxes, maybe none: label
 * and confidence are then those of the first, or "background". */
struct ocellus_result {
    const char *camera;
    uint64_t frame; /* unique on this machine, below 2^53 */
    const char *label;
    double confidence;
    const struct ocellus_score *scores; /* in the model's order */
    size_t score_count;
    const char *model_name, *model_id, *point;
    uint64_t generation; /* of the model's weights */
    uint64_t macs;       /* multiply-accumulates of this frame */
    struct ocellus_cascade cascade;
    const char *format; /* what the image was: "jpeg", "raw", "pnm", "sensor" */
    uint32_t width, height, orientation, reduction;
    struct ocellus_times times;
    uint32_t warnings; /* enum ocellus_warning, or-ed */
    int scanned;
    const struct ocellus_box *boxes; /* the most confident first */
    size_t box_count;
    double motion_share; /* windows that were evaluated, of all; 1 where motion is not asked for */
    struct ocellus_light light;
    const char *json; /* the whole as the daemon sent it, one line */
};

/*
 * Classify what an open descriptor holds, from its beginning, without copying it through the
 * socket: a regular file opened read-only, or a memfd sealed with F_SEAL_SHRINK. The descriptor
 * stays the caller's, and may be used again. frame may be NULL. The caller owns *ret_result.
 * Errors: any but OCELLUS_UNREACHABLE.
 */
enum ocellus_error ocellus_client_infer_fd(struct ocellus_client *client, int fd,
                                           const struct ocellus_frame *frame,
                                           struct ocellus_result **ret_result);

/* The same for bytes in memory: they are copied into a sealed memfd first. */
enum ocellus_error ocellus_client_infer_bytes(struct ocellus_client *client, const void *bytes,
                                              size_t size, const struct ocellus_frame *frame,
                                              struct ocellus_result **ret_result);

/* NULL is fine. */
void ocellus_result_destroy(struct ocellus_result *result);

/* The daemon's state as JSON on one line, see ocellus-protocol(7). Release it with free(3). */
enum ocellus_error ocellus_client_status(struct ocellus_client *client, char **ret_json);

/*
 * Teach the adapter of a frame's camera what it shows. frame: the number of a recent result; box:
 * the index of one of its boxes, -1: the whole frame. The caller frees *ret_json, one line, which
 * ocellus-protocol(7) describes. Errors: those of the daemon; OCELLUS_GONE the frame is too old.
 */
enum ocellus_error ocellus_client_label(struct ocellus_client *client, uint64_t frame, int box,
                                        const char *label, char **ret_json);

/* What an adapter is made to do. */
enum ocellus_adapt {
    OCELLUS_ADAPT_STATUS = 0, /* of all adapters: takes no name */
    OCELLUS_ADAPT_SYNC,
    OCELLUS_ADAPT_UNDO,
    OCELLUS_ADAPT_ROLLBACK, /* to `sequence` */
    OCELLUS_ADAPT_RESET,
    OCELLUS_ADAPT_EXPORT, /* the reply's member data */
    OCELLUS_ADAPT_IMPORT, /* of such data, a string of base64 */
};

/* adapter: NULL where there is one only. sequence and data: of the two that take them, else 0 and
 * NULL. The caller frees *ret_json as above. */
enum ocellus_error ocellus_client_adapt(struct ocellus_client *client, enum ocellus_adapt what,
                                        const char *adapter, uint64_t sequence, const char *data,
                                        char **ret_json);

/* What operators do. */
enum ocellus_manage {
    OCELLUS_MANAGE_RELOAD = 0,
    OCELLUS_MANAGE_LOAD_MODEL,
    OCELLUS_MANAGE_ROLLBACK_MODEL,
};

/*
 * Have the configuration and its models read again, or one model's file changed. model: NULL for
 * the default one. Of a load: fd, a file open for reading or a sealed memfd, which stays the
 * caller's, and sha256, its digest as 64 hexadecimal digits; else -1 and NULL. The caller frees
 * *ret_json as above. Errors: those of the daemon, in which nothing has changed.
 */
enum ocellus_error ocellus_client_manage(struct ocellus_client *client, enum ocellus_manage what,
                                         const char *model, int fd, const char *sha256,
                                         char **ret_json);

/*
 * Ask to be told what happens from now on, see ocellus-protocol(7). camera: whose results, NULL:
 * all cameras'. From then on the connection is for ocellus_client_next only.
 */
enum ocellus_error ocellus_client_subscribe(struct ocellus_client *client, const char *camera);

/* Wait for the next event, without a limit. The caller frees *ret_json, one line. Errors: those of
 * the daemon, which refuses the subscription here; OCELLUS_DISCONNECTED. */
enum ocellus_error ocellus_client_next(struct ocellus_client *client, char **ret_json);

#ifdef __cplusplus
}
#endif

#endif
