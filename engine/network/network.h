/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * engine/network: a model file -> a plan -> scores. A model is immutable once loaded and may be
 * shared by threads; a plan is a model laid out for one kernel table; a run needs the plan and one
 * arena. Nothing is allocated in a run. No file is opened here: models come as bytes.
 *
 * MODEL FILE
 *   One safetensors file (safetensors.h). Everything but the tensors is JSON in the metadata entry
 *   "ocellus" (model.h has the schema). The same schema holds float masters ("weights": "f32")
 *   and packed models ("s8"). Model id = SHA-256 of the file's bytes, lower-case hex.
 *
 * NUMBERS
 *   Activations are interleaved [y][x][channel]. Packed models are integers from codes to scores:
 *   s8 weights in [-127, 127], u7 activations in [0, 127], int32 accumulators, and one defined
 *   requantisation (engine/kernel/kernel.h). The same bytes come out on every instruction set.
 *   Scores are int32 in units of 2^-16 (65536 is one natural-log unit of a softmax logit), for
 *   float models rounded to that unit.
 */
#ifndef OCELLUS_ENGINE_NETWORK_NETWORK_H
#define OCELLUS_ENGINE_NETWORK_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/gradient/gradient.h" /* struct gradient_spec: type only */
#include "engine/image/image.h"       /* struct image_target: type only */

#define NETWORK_POINTS_MAX  8u
#define NETWORK_LANES_MAX   16u
#define NETWORK_LABELS_MAX  1024u
#define NETWORK_LABEL_BYTES 64u /* with the NUL; printable UTF-8, no control characters */
#define NETWORK_ID_BYTES    65u /* 64 hex digits and the NUL */

struct kernel_table;
struct network_layer;
struct network_model;
struct network_plan;

/*
 * What a margin of a scan is worth, measured on scenes: a box of `label` whose margin is m
 * natural-log units (scores / 65536) shows its object with probability
 * 1 / (1 + exp(-(slope * m + offset))), after Platt (1999).
 */
struct network_scan_meaning {
    uint32_t label;
    double slope, offset;
};

/* What a model asks of the stages before it. target.channels == front.planes. */
struct network_input {
    struct image_target target;
    struct gradient_spec front;
};

/*
 * Parse and check a model file; `bytes` may go away afterwards (tensors are copied, 64-byte
 * aligned). On an error ret_reason (may be NULL) points to a static sentence for people.
 * Errors: -EBADMSG  not a model, or one that breaks a rule
 *         -EFBIG    over a limit of model.h
 *         -ENOMEM
 */
int network_model_load(const void *bytes, size_t size, struct network_model **ret_model,
                       const char **ret_reason);
void network_model_destroy(struct network_model *model);

const char *network_model_name(const struct network_model *model);

/* Hash the file that the model was loaded from. Not part of loading, of which it would take half: a
 * worker needs no names. */
void network_model_identify(struct network_model *model, const void *bytes, size_t size);
/* Empty before network_model_identify. */
const char *network_model_id(const struct network_model *model);

uint32_t network_model_points(const struct network_model *model);
const char *network_model_point(const struct network_model *model, uint32_t point);
const struct network_input *network_model_input(const struct network_model *model, uint32_t point);
uint32_t network_model_labels(const struct network_model *model);
const char *network_model_label(const struct network_model *model, uint32_t index);

/* Whether frames may take as many points as they need: EXITS of model.h. */
bool network_model_has_exits(const struct network_model *model);
/* Whether a point's scores are the answer of such a frame; else the point before is to be run. */
bool network_model_exits(const struct network_model *model, uint32_t point, const int32_t *scores);

/* NULL: the model does not say. */
const struct network_scan_meaning *network_model_scan(const struct network_model *model);

/* Lay one operating point out for a kernel table, which is copied. lanes: images that one run may
 * take, 1..NETWORK_LANES_MAX. The model must outlive the plan. Errors: -ENOMEM. */
int network_plan_create(const struct network_model *model, uint32_t point, uint32_t lanes,
                        const struct kernel_table *kernels, struct network_plan **ret_plan);
void network_plan_destroy(struct network_plan *plan);

/* Bytes of the arena for one run; it must be 64-byte aligned. Its content need not survive between
 * runs. */
size_t network_plan_arena_bytes(const struct network_plan *plan);

/* Multiply-accumulates of one run, counted from the shapes. */
uint64_t network_plan_macs(const struct network_plan *plan);

/*
 * codes: height * width * gradient_channels(front) codes of gradient_code_size(front) bytes, as
 * gradient_encode writes them. scores: one int32 per label. Cannot fail. One thread per arena.
 */
void network_run(const struct network_plan *plan, void *arena, const void *codes, int32_t *scores);

/* As network_run, for count (1..lanes) images: codes and scores lie one image after the other. The
 * same scores as image by image. */
void network_run_many(const struct network_plan *plan, void *arena, const void *codes,
                      uint32_t count, int32_t *scores);

/*
 * WEIGHTS BY GENERATION
 *   A group is the weights of one layer with all that its normalisation was folded to. A plan
 *   starts with the model's own, generation 0. Packed groups hold no pointers: they may lie,
 *   64-byte aligned, in memory that another process wrote whose plan is of the same model, point,
 *   lanes and kernel table (its flags and its rates).
 */
/* Bytes of a packed group; 0: the layer has no weights. */
size_t network_plan_group_bytes(const struct network_plan *plan, uint32_t layer);

/* Packs a group. values: the layer with other arrays and other shifts; all else is as in the model.
 * On an error `to` may be half written. Errors: -EINVAL  the values break a bound of model.h, or
 * what the plan rests on (all mult > 0 where the layer takes the maximum of the pool behind it);
 * -ENOMEM. */
int network_plan_pack(const struct network_plan *plan, uint32_t layer,
                      const struct network_layer *values, void *to);

/* Runs from now on take the group at `packed`, which must stay; NULL: the model's own. Between runs
 * only. Errors: -EINVAL  a group packed for another plan; the one in use stays. */
int network_plan_use(struct network_plan *plan, uint32_t layer, const void *packed);

/* A number that replies carry; it changes no result. */
void network_plan_publish(struct network_plan *plan, uint64_t generation);
uint64_t network_plan_generation(const struct network_plan *plan);

/* Index of the largest score; the first of equals. count >= 1. */
uint32_t network_argmax(const int32_t *scores, uint32_t count);

/* The largest score less the second largest, held to int32. count >= 2. */
int32_t network_margin(const int32_t *scores, uint32_t count);

/* Softmax of scores for people to read; not part of any exact result. */
void network_probabilities(const int32_t *scores, uint32_t count, float *ret_probabilities);

#endif
