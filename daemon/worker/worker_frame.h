/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* A frame that is classified whole, from bytes to scores. Internal to the worker. */
#ifndef OCELLUS_DAEMON_WORKER_WORKER_FRAME_H
#define OCELLUS_DAEMON_WORKER_WORKER_FRAME_H

#include "daemon/worker/worker.h"

/* Bytes of a frame that stay where they are while it is worked on. */
struct worker_frame {
    const uint8_t *bytes;
    size_t size;
    enum image_kind kind;
    const struct image_sensor *sensor; /* for IMAGE_KIND_SENSOR, else NULL */
};

/* Zeros what stages and scans add to. */
void worker_frame_start(struct job_result *result);

/*
 * Fills in the head of the region's result but for its sequence, and the codes that are asked for:
 * of the operating point that the message names, or of the one at which the frame exits, and of the
 * model behind in a cascade if that is woken. The message was understood. Errors: of image_decode.
 */
int worker_frame_classify(struct worker *worker, const struct job_message *message,
                          const struct worker_frame *frame);

/* One operating point alone, of a model that is not in use yet. Errors: as above. */
int worker_frame_try(struct worker *worker, const struct worker_model *model, uint32_t point,
                     const struct worker_frame *frame);

/* Whether the picture has colour, where its planes did not tell, into the region's result. Not of
 * RAW files, which take too long for a second look. Errors: of image_decode. */
int worker_frame_look_for_colour(struct worker *worker, const struct worker_frame *frame);

/* Codes of one input. */
size_t worker_code_count(const struct network_input *input);

/* Pack codes of one input: ternary as bit planes, others as they are. Returns their bytes, 0 when
 * these are more than `room`. */
size_t worker_pack_codes(const struct network_input *input, const uint8_t *codes,
                         uint8_t *ret_packed, size_t room);

#endif
