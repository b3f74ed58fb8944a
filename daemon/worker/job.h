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
 * result then. The bytes lie in the region (source REGION: the daemon copied them there and does
 * not touch them until the reply), in the passed memfd (MAP: sealed against shrinking, mapped
 * read-only and cached by inode), or in the passed regular file (PREAD: read into private memory).
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

#define JOB_FD_DOORBELL 3
#define JOB_FD_REGION   4
#define JOB_MODELS_MAX  16u
/* Packed codes of a frame, returned for the ring of recent frames. */
#define JOB_CODES_MAX (256u * 1024u)

enum job_op { JOB_OP_MODEL = 1, JOB_OP_FRAME };
enum job_source { JOB_SOURCE_REGION = 0, JOB_SOURCE_MAP, JOB_SOURCE_PREAD };

struct job_message {
    uint32_t op; /* enum job_op */
    uint32_t model;
    uint64_t generation;        /* MODEL: of the weights handed over */
    uint64_t sequence;          /* echoed in the reply */
    uint64_t length;            /* bytes of the model or frame */
    uint32_t source;            /* enum job_source */
    uint32_t kind;              /* enum image_kind */
    uint32_t want_codes;        /* FRAME: return packed codes, those of the model that answers */
    uint32_t point;             /* FRAME: operating point of the model */
    uint32_t wakes;             /* FRAME: 1 + the model behind it in a cascade; 0: none */
    uint32_t wake_label;        /* index among the model's labels */
    int32_t wake_margin;        /* see engine/network/cascade.h */
    struct image_sensor sensor; /* for IMAGE_KIND_SENSOR */
};

struct job_done {
    uint64_t sequence;
    int32_t status;   /* 0 or a negative errno of engine/ */
    uint32_t recycle; /* not 0: the worker asks to be replaced */
};

/* At the start of the region. Valid for a FRAME whose status is 0. */
struct job_result {
    uint64_t sequence;
    uint64_t generation; /* of the weights that gave the scores */
    struct image_info info;
    uint32_t label_count;
    int32_t scores[NETWORK_LABELS_MAX];
    uint64_t decode_ns, gradient_ns, network_ns;
    uint64_t macs;        /* multiply-accumulates, of both stages of a cascade */
    int32_t wake_margin;  /* what the first stage of a cascade reached; 0 where there is none */
    uint32_t awake;       /* 1: the scores are those of the model behind the one asked for */
    uint32_t codes_bytes; /* 0..JOB_CODES_MAX; ternary: plus plane, then minus plane */
    uint8_t codes[JOB_CODES_MAX];
};

/* Offset of the frame area (page aligned), and size of the region for frames up to frame_bytes_max
 * (0: overflow). */
size_t job_frame_offset(void);
size_t job_region_bytes(size_t frame_bytes_max);

/* Bytes of the result before its codes: what every reply has. */
#define JOB_RESULT_HEAD_BYTES offsetof(struct job_result, codes)

/* True when a result copied out of the region is one that an honest worker could have written for a
 * model with `label_count` labels. Reads only the head: not the codes. */
bool job_result_valid(const struct job_result *result, uint64_t sequence, uint32_t label_count);

#endif
