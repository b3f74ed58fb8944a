/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * One cell of the low-rank training experiments: a scheme in an environment over a stream, from its
 * first picture to its last, in a folder where it can be broken off and taken up again.
 */
#ifndef OCELLUS_ENGINE_LAB_LRT_RUN_H
#define OCELLUS_ENGINE_LAB_LRT_RUN_H

#include "engine/lab/lrt_learn.h"

#define LAB_LRT_NAME_BYTES 64u
#define LAB_LRT_ROW_EACH   100u  /* pictures from one row of a cell's CSV to the next */
#define LAB_LRT_SAVE_EACH  2000u /* and from one saved state to the next */
#define LAB_LRT_LAST       500u  /* pictures of the mean at the end */

struct lab_lrt_cell {
    char name[LAB_LRT_NAME_BYTES]; /* of NAME.csv and NAME.state */
    struct lab_lrt_scheme scheme;
    enum lab_lrt_environment environment;
    uint64_t pictures, seed;
    uint32_t bits;
    bool scratch; /* from random weights, else from the prepared network */
    /* Do no harm: the prepared network stays beside the one that learns, and answers while it has
     * been right more often (mean with weight 1/100). */
    bool gated;
};

/* What a cell's CSV says last. */
struct lab_lrt_outcome {
    uint64_t pictures; /* 0: nothing yet */
    double accuracy;   /* mean with weight 1/1000, corrected for its start, at the end */
    double last;       /* mean of the last LAB_LRT_LAST pictures */
    double terms, samples, changes; /* of the worst cell, struct lab_lrt_worst */
    double density;                 /* codes changed per cell and picture */
    double milliseconds;            /* a picture */
};

struct lab_lrt_place {
    const char *directory;
    const struct lab_packed *digits;
    const uint8_t *base; /* state of the prepared network of 8 bit; NULL: none */
    uint32_t cpu;
};

/* Length of what lab_lrt_base_save writes, and that copy: codes, biases, norms. */
size_t lab_lrt_base_bytes(const struct lab_lrt_net *net);
void lab_lrt_base_save(const struct lab_lrt_net *net, uint8_t *base);
void lab_lrt_base_load(struct lab_lrt_net *net, const uint8_t *base);

/*
 * Run what is left of a cell. Several processes may share a folder: one that finds a cell taken
 * leaves it. Errors (told on standard error): -EAGAIN  it is taken (not told); -ENOMEM; the
 * system's.
 */
int lab_lrt_cell_run(const struct lab_lrt_cell *cell, const struct lab_lrt_place *place);

/* The row of `picture`, 0: the last one. Errors: -ENOENT  there is none yet. */
int lab_lrt_cell_read(const struct lab_lrt_cell *cell, const char *directory, uint64_t picture,
                      struct lab_lrt_outcome *ret_outcome);

#endif
