/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The study behind `ocellus-lab reproduce lognet`: a small network of convolutions and dense layers
 * with its activations or weights held to log and linear codes, after training and in training
 * (Miyashita, Lee, Murmann 2016, 1603.01025). Shared by what keeps results (lognet.c), what trains
 * and measures (lognet_run.c), what reports (lognet_report.c) and the command (lognet_study.c).
 *
 * Bits are those of the magnitude, b of the paper's formulas; weights and gradients have a sign
 * beside them. The codes are those of engine/train/train.h.
 *
 * RUN DIRECTORY
 *   plan.txt          sizes; a run goes on only with the same ones, but may get more seeds
 *   NAME.safetensors  what a training learned
 *   NAME.csv          what was measured of it; done when this is there
 *   codings-SEED.csv  the float network of a seed in codes, one row each; rows that are there are
 *                     done
 *   report.md, other *.csv, *.svg
 */
#ifndef OCELLUS_ENGINE_LAB_LOGNET_H
#define OCELLUS_ENGINE_LAB_LOGNET_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/lab/study.h"
#include "engine/train/train.h"

#define LAB_LOGNET_LAYERS    5u /* three convolutions, two dense layers */
#define LAB_LOGNET_CONVS     3u
#define LAB_LOGNET_SEEDS_MAX LAB_STUDY_SEEDS_MAX
#define LAB_LOGNET_NAME_MAX  32u
#define LAB_LOGNET_BITS      3u /* 3, 4 and 5 */
#define LAB_LOGNET_BITS_MIN  3u

/* Float, or weights, activations and gradients of 5 bits. */
enum lab_lognet_training {
    LAB_LOGNET_FLOAT = 0,
    LAB_LOGNET_LOG, /* base 2, as in the paper */
    LAB_LOGNET_LINEAR,
    LAB_LOGNET_SQRT2, /* log, base sqrt 2, which the paper has not trained in */
    LAB_LOGNET_TRAININGS,
};

/* What is coded after training; everything else stays float. */
enum lab_lognet_part {
    LAB_LOGNET_ACTIVATIONS = 0, /* of all layers but the last; the input stays float */
    LAB_LOGNET_PEAKS,           /* the same, their ranges not chosen but the largest value's */
    LAB_LOGNET_DENSE,           /* weights of the dense layers */
    LAB_LOGNET_CONV,            /* weights of the convolutions */
    LAB_LOGNET_PARTS,
};

enum lab_lognet_grid {
    LAB_LOGNET_STEPS = 0, /* linear */
    LAB_LOGNET_BASE2,
    LAB_LOGNET_ROOT2, /* log, base sqrt 2 */
    LAB_LOGNET_GRIDS,
};

extern const char *const lab_lognet_training_names[LAB_LOGNET_TRAININGS];
extern const char *const lab_lognet_part_names[LAB_LOGNET_PARTS]; /* in names of files */
extern const char *const lab_lognet_grid_names[LAB_LOGNET_GRIDS];
extern const char *const lab_lognet_layer_names[LAB_LOGNET_LAYERS];

/* pictures 0: not measured. */
struct lab_lognet_trained {
    uint32_t right, pictures;
    bool diverged; /* the loss became no number; what was measured is what was left */
};

struct lab_lognet_row {
    uint32_t right, pictures;
    int8_t fsr[LAB_LOGNET_LAYERS]; /* of coded layers */
};

/* Which row: bits is an index, LAB_LOGNET_BITS_MIN is that of 0. */
struct lab_lognet_coding {
    enum lab_lognet_part part;
    enum lab_lognet_grid grid;
    uint32_t bits;
};

struct lab_lognet {
    const char *directory;
    const char *title;                    /* which size of study this is */
    uint32_t pictures, calibration, test; /* calibration: the first ones of the training pictures */
    uint32_t epochs, seeds, classes;      /* seeds 1..LAB_LOGNET_SEEDS_MAX */
    struct lab_lognet_trained trained[LAB_LOGNET_TRAININGS][LAB_LOGNET_SEEDS_MAX];
    struct lab_lognet_row rows[LAB_LOGNET_SEEDS_MAX][LAB_LOGNET_PARTS][LAB_LOGNET_BITS]
                              [LAB_LOGNET_GRIDS];
};

/* Whether a part has the layer's weights, or its outputs. */
bool lab_lognet_has_weights(enum lab_lognet_part part, uint32_t layer);
bool lab_lognet_has_outputs(enum lab_lognet_part part, uint32_t layer);

/* Codings in the order in which they are measured; false: no coding of this number. */
bool lab_lognet_coding_at(uint32_t index, struct lab_lognet_coding *ret_coding);
struct lab_lognet_row *lab_lognet_row(struct lab_lognet *lognet, uint32_t seed,
                                      const struct lab_lognet_coding *coding);

/* Text of a recipe; the caller frees it. NULL: out of memory. Seeds count from 0 here. */
char *lab_lognet_recipe(const struct lab_lognet *lognet, enum lab_lognet_training training);
void lab_lognet_name(enum lab_lognet_training training, uint32_t seed,
                     char name[LAB_LOGNET_NAME_MAX]);

/* All results that are there. Errors (told): -EBADMSG (not what was written there), -ENOMEM, the
 * system's. */
int lab_lognet_load(struct lab_lognet *lognet);
int lab_lognet_save_trained(const struct lab_lognet *lognet, enum lab_lognet_training training,
                            uint32_t seed);
int lab_lognet_save_rows(struct lab_lognet *lognet, uint32_t seed);

/* Accuracy in percent: mean over the seeds, lowest and highest. seeds 0: nothing known. */
struct lab_lognet_value {
    uint32_t seeds;
    double mean, low, high;
};

struct lab_lognet_value lab_lognet_accuracy(const struct lab_lognet *lognet,
                                            enum lab_lognet_training training);
struct lab_lognet_value lab_lognet_coded(struct lab_lognet *lognet,
                                         const struct lab_lognet_coding *coding);

/* The claims as a Markdown list: each held, missed or not known yet, with its figures. */
void lab_lognet_print_verdicts(struct lab_lognet *lognet, FILE *text);

/* report.md, its tables and charts, from what is known. Errors are told. */
int lab_lognet_report(struct lab_lognet *lognet);

/* Train, unless its state is there, and measure. Errors are told. */
int lab_lognet_train(struct lab_lognet *lognet, const struct lab_study_tools *tools,
                     enum lab_lognet_training training, uint32_t seed);

/* The rows that are still to be measured of a seed whose float network is trained. Errors are told.
 */
int lab_lognet_code(struct lab_lognet *lognet, const struct lab_study_tools *tools, uint32_t seed);

/*
 * A network with norms as one with biases, so that codings of weights act on the weights with the
 * norm in them, w gamma / sqrt(variance + epsilon). fold_layers: its layers, of which no weights
 * and outputs are coded yet. fold: its values; `to` was created of such layers.
 */
void lab_lognet_fold_layers(uint32_t count, struct train_layer *layers);
void lab_lognet_fold(const struct train *from, uint32_t layers, struct train *to);

/* Seconds of learning from a picture once, in log codes, and of classifying one. */
int lab_lognet_time(const struct lab_lognet *lognet, const struct lab_study_tools *tools,
                    double *ret_learning, double *ret_classifying);

#endif
