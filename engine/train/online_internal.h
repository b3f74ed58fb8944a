/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What the files of the online trainer share. The TAIL is the point's layers from the first trained
 * one to the last; what lies before it never changes.
 */
#ifndef OCELLUS_ENGINE_TRAIN_ONLINE_INTERNAL_H
#define OCELLUS_ENGINE_TRAIN_ONLINE_INTERNAL_H

#include "engine/kernel/kernel.h"
#include "engine/train/delta.h"
#include "engine/train/lowrank.h"
#include "engine/train/online.h"
#include "engine/train/prototype.h"

/* Integers that an update changes in a layer. */
struct online_values {
    int8_t *codes; /* [rows][columns] */
    int32_t *bias; /* [rows] */
};

/* One layer of the tail. Maps of its input have the layer's padding as a border; elements of row y
 * are pitch values apart from those of row y + 1. */
struct online_node {
    const struct network_layer *layer;
    uint32_t index; /* in the point */
    struct network_shape in, out;
    uint16_t kernel[2], stride[2], pad[2];
    bool weighted, trained;
    uint32_t rows, columns; /* of the weights */
    uint32_t input_bound;   /* times sum of |weight|: what the loader bounds */
    size_t pitch;

    int8_t *in_codes;
    float *in_map, *in_delta; /* in_delta: without the border */
    float *gradient;          /* scratch with the border */
    uint32_t *tap;            /* of a pool: offset into in_map */
    float *z, *dt;            /* [out pixels][rows]: sums times scale; gradients of the sums */
    float *weights;           /* [rows][columns] that passes use */
    float *scale;             /* [rows]: what one unit of a sum is, in codes or natural-log units */

    /* Of trained ones. */
    struct online_values durable, trial;
    int32_t *live;              /* durable.bias and what is fresh */
    struct online_values shown; /* live, with prototypes folded in: what predicts */
    uint32_t *writes;
    float *whole;                /* shown codes as floats */
    struct train_lowrank *total; /* what passes take off `whole` */
    float *left, *right;
    uint8_t *left_bytes, *right_bytes, *bias_bytes;
    struct train_lambda lambda;
    struct train_max_norm norm_dt, norm_a;
    uint64_t steps, capped;
    uint64_t generation;
    float energy;
};

struct online_labelled {
    int8_t *latent; /* [latent_values]: input of the tail */
    uint32_t *labels;
    uint64_t *tags;
    bool *learned; /* a flush has had it */
    uint32_t count, room;
};

struct train_online {
    struct train_online_settings settings;
    const struct network_point *point;
    uint32_t classes;

    struct network_plan *plan;
    struct kernel_table kernels;
    void *arena;
    int32_t *scores;
    size_t latent_values;
    int8_t *latent;

    struct online_node *nodes;
    uint32_t node_count, trained_count, first; /* first: index of the first node's layer */
    struct online_node *last;
    bool can_prototype;

    struct train_prototypes durable_head, trial_head;
    struct online_labelled recent, holdout;
    uint32_t next;      /* of the recent ones: to be overwritten */
    uint64_t held_seen; /* labels offered to the holdout */
    uint32_t since;     /* labels since the last record */
    bool fresh;         /* biases that no record has */

    /* Scratch of a flush, one entry per recent label. */
    float *aims, *starts,
        *plain;       /* [recent][classes]: aim, scores at the start, without the head */
    int8_t *features; /* [recent][features] */
    uint32_t *order;
    bool *use;
    float *margins, *trial_margins; /* when left out */
    float *z, *dz;                  /* [classes] */

    uint8_t *record;
    size_t record_room;
    uint64_t base, generation;
    struct train_online_status status;

    void **blocks; /* all allocations */
    uint32_t block_count;
    size_t bytes;
    bool failed; /* an allocation */
};

/* Zeroed memory that lives as long as the trainer; NULL and online->failed when there is none. */
void *train_online_take(struct train_online *online, size_t count, size_t size);

/* ---- online_tail.c ---- */

enum online_which { ONLINE_SHOWN = 0, ONLINE_TRIAL };

/* Scores of a latent in exact integers. Fills in_codes of all nodes. */
void train_online_exact(struct train_online *online, enum online_which which, const int8_t *latent,
                        int32_t *scores);
/* Scores in float by the nodes' `weights` and biases of `which`; fills in_map, z and taps. */
void train_online_forward(struct train_online *online, const int8_t *latent, float *z);
/* From dz fills dt of all nodes down to the first. */
void train_online_backward(struct train_online *online, const float *dz);
/* Inputs under one output pixel start here; kernel[0] lines of columns / kernel[0]. */
const float *train_online_window(const struct online_node *node, uint32_t pixel);

/* ---- online_state.c ---- */

/* shown and `whole` from the durable state, live biases and prototypes; generations rise where
 * arrays changed. */
void train_online_show(struct train_online *online);
/* Codes and biases within what the loader allows. */
bool train_online_within(const struct online_node *node, const int8_t *codes, const int32_t *bias);
/* Apply a parsed record to the trial values, made from the durable ones. Errors: -EBADMSG, -ERANGE.
 */
int train_online_try(struct train_online *online, const struct train_delta *delta);
/* Apply one that was tried. */
void train_online_commit(struct train_online *online, const struct train_delta *delta, size_t size);

/* ---- online_learn.c ---- */

float train_online_square(const float *x, size_t n);
/* How many of them come out right. */
uint32_t train_online_right(struct train_online *online, enum online_which which,
                            const struct online_labelled *labelled);

/* ---- online_fit.c ---- */

struct online_choice {
    uint8_t head;   /* enum train_online_head, not AUTO */
    float share;    /* of the margin that is asked for, or of a prototype's full strength */
    uint32_t right; /* recent labels, when left out */
    uint32_t fresh; /* those of them that no flush has had */
};

/* Starts and features of the recent labels in the present state. */
void train_online_look(struct train_online *online);
/* Aims of the recent labels, for that share of the margin. */
void train_online_aim(struct train_online *online, float share);
/* Leave part `part` of `parts` out of `use`; parts 0: nothing. */
void train_online_leave_out(struct train_online *online, uint32_t part, uint32_t parts);
/* Factors from the recent labels in use towards their aims; the nodes' `weights` are then what they
 * make. */
void train_online_fit(struct train_online *online);
/* Strength with which a mean label in use gets the margin from trial_head alone; 0: none would. */
float train_online_strength(struct train_online *online);
struct online_choice train_online_choose(struct train_online *online);

#endif
