/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* What the measuring (eval.c) and the telling (eval_print.c) of ocellus-lab eval share. */
#ifndef OCELLUS_ENGINE_LAB_EVAL_H
#define OCELLUS_ENGINE_LAB_EVAL_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/kernel/kernel.h"
#include "engine/lab/model.h"
#include "engine/lab/roc.h"
#include "engine/lab/sensor.h"
#include "engine/lab/tree.h"

#define LAB_EXPOSURES_MAX 9u

struct image_decoder;

struct lab_exposure {
    const char *name;
    uint32_t num, den; /* 0/0: no sensor is simulated */
};

/* Counts at one exposure. */
struct lab_tally {
    uint64_t right;
    uint64_t *said;               /* [folder of the tree][label] */
    struct lab_answer *answers;   /* by picture; of models with two labels, else NULL */
    uint64_t other_right, agreed; /* of the model compared with */
    struct lab_sensor sensors[2]; /* by model, so that both see the same noise */
};

struct lab_eval {
    struct kernel_table kernels;
    struct lab_model models[2]; /* the second: compared with */
    uint32_t model_count;
    struct lab_tree tree;
    uint32_t limit;           /* files to look at */
    uint32_t *label_of_class; /* by folder */
    uint32_t positive;        /* of two labels, the one that is looked for */
    const struct lab_exposure *exposures;
    uint32_t exposure_count;
    uint32_t bits;
    bool noise;
    uint64_t seed;
    struct image_decoder *decoder;
    uint16_t *planes[2]; /* by model */
    uint16_t *exposed;

    uint64_t pictures; /* measured */
    uint64_t *class_pictures;
    uint32_t unreadable;
    struct lab_tally tallies[LAB_EXPOSURES_MAX];
};

/* Pictures of a folder that were called `label`. */
static inline uint64_t lab_eval_said(const struct lab_eval *eval, uint32_t exposure,
                                     uint32_t class_index, uint32_t label)
{
    return eval->tallies[exposure].said[(size_t)class_index * eval->models[0].labels + label];
}

/* Those that were called by the folder's name. */
static inline uint64_t lab_eval_right(const struct lab_eval *eval, uint32_t exposure,
                                      uint32_t class_index)
{
    return lab_eval_said(eval, exposure, class_index, eval->label_of_class[class_index]);
}

/* To standard output; pictures > 0. Errors: -ENOMEM. */
int lab_eval_print_text(const struct lab_eval *eval);
int lab_eval_print_json(const struct lab_eval *eval);

#endif
