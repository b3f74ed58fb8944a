/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * `ocellus-lab reproduce low-rank`: which cells there are, and the report of what has run. The work
 * is in lrt_run.c.
 */
#ifndef OCELLUS_ENGINE_LAB_LRT_STUDY_H
#define OCELLUS_ENGINE_LAB_LRT_STUDY_H

#include "engine/lab/lrt_run.h"

#define LAB_LRT_CELLS_MAX 256u
#define LAB_LRT_SCHEMES   5u
#define LAB_LRT_ABLATIONS 8u
#define LAB_LRT_RANKS     6u
#define LAB_LRT_WIDTHS    4u
#define LAB_LRT_PATIENCE  16u

struct lab_lrt_sizes {
    const char *title;
    uint64_t prepare;           /* pictures before the stream */
    uint64_t drift_long;        /* of SGD and low rank with max-norm under both drifts */
    uint64_t environment;       /* of every other cell of scheme and environment */
    uint64_t table, table_long; /* the ablations; those of the first seed */
    uint64_t seeds;             /* of the ablations */
    uint64_t rank;              /* rank against bits of a weight */
};

/* Cells in the order in which they run; each has its part in the report. */
struct lab_lrt_study {
    struct lab_lrt_sizes sizes;
    const char *directory;
    uint32_t count;
    struct lab_lrt_cell cell[LAB_LRT_CELLS_MAX];
    /* Indices into cell. */
    uint32_t environment[LAB_LRT_ENVIRONMENTS][LAB_LRT_SCHEMES], gated;
    uint32_t patient[LAB_LRT_ENVIRONMENTS];     /* low rank, max-norm, LAB_LRT_PATIENCE */
    uint32_t ablation[LAB_LRT_ABLATIONS][2][8]; /* without and with max-norm; seeds */
    uint32_t rank[LAB_LRT_WIDTHS][LAB_LRT_RANKS];
    double prepared; /* accuracy of the prepared network */
};

extern const uint32_t lab_lrt_ranks[LAB_LRT_RANKS], lab_lrt_widths[LAB_LRT_WIDTHS];

void lab_lrt_study_init(struct lab_lrt_study *study, const struct lab_lrt_sizes *sizes,
                        const char *directory);
const char *lab_lrt_scheme_title(uint32_t scheme);
const char *lab_lrt_ablation_title(uint32_t ablation);

/* report.md, and charts, of the rows that are there. Errors (told): the system's. */
int lab_lrt_report(const struct lab_lrt_study *study);

#endif
