/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The study behind `ocellus-lab reproduce bineareye`: all-binary networks of 2x2 convolutions whose
 * width and depth are programmed, on a thermometer of sRGB as in the paper (Moons et al. 2018,
 * 1804.05554) and on log gradients of 1.5 bit. Shared by what trains, measures and keeps results
 * (bineareye.c) and what reports (bineareye_report.c).
 *
 * RUN DIRECTORY
 *   plan.txt          sizes; a run goes on only with the same ones, but may get more seeds
 *   NAME.safetensors  what a training learned
 *   NAME.csv          what was measured of it; done when this is there
 *   report.md, cells.csv, *.svg
 */
#ifndef OCELLUS_ENGINE_LAB_BINEAREYE_H
#define OCELLUS_ENGINE_LAB_BINEAREYE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/lab/light.h" /* exposures */
#include "engine/lab/study.h"

enum lab_bineareye_input {
    LAB_BINEAREYE_THERMOMETER = 0,
    LAB_BINEAREYE_LOG_GRADIENT,
    LAB_BINEAREYE_INPUTS,
};

/* A network in one input's form: convolutions of each of three stages, pools between them. */
struct lab_bineareye_shape {
    const char *name; /* in names of files */
    uint32_t width, convolutions[3];
    uint32_t share; /* of the study's epochs, in twelfths */
    bool seeds;     /* trained with each seed, else with the first */
    bool widened;   /* begins as the shape before it, widened (widen.h) */
};

#define LAB_BINEAREYE_SHAPES   5u
#define LAB_BINEAREYE_DEEP     2u /* index of width 64 in full depth; 128 and 256 follow */
#define LAB_BINEAREYE_NAME_MAX 48u

extern const struct lab_bineareye_shape lab_bineareye_shapes[LAB_BINEAREYE_SHAPES];
extern const char *const lab_bineareye_input_names[LAB_BINEAREYE_INPUTS];

/* pictures 0: not measured. */
struct lab_bineareye_cell {
    uint32_t pictures, decoded;          /* right on pictures as they are */
    uint32_t right[LAB_LIGHT_EXPOSURES]; /* of a 16-bit sensor */
};

struct lab_bineareye {
    const char *directory, *title; /* title: which size of study this is */
    uint32_t pictures, test, epochs, seeds, classes;
    struct lab_bineareye_cell cells[LAB_BINEAREYE_INPUTS][LAB_BINEAREYE_SHAPES]
                                   [LAB_STUDY_SEEDS_MAX];
};

/* Planes of an input: bits of the thermometer, codes of 1.5 bit of the log gradient. */
uint32_t lab_bineareye_planes(const struct lab_bineareye_shape *shape,
                              enum lab_bineareye_input input);

/* Operations of a frame as the chip counts them, an XNOR and a count of each bit of `planes` of
 * input and of the maps after it. */
double lab_bineareye_operations(const struct lab_bineareye_shape *shape, uint32_t planes);

/* Percent right over the seeds: mean, lowest, highest; exposure LAB_LIGHT_EXPOSURES: pictures as
 * they are. seeds 0: nothing known. */
struct lab_bineareye_value {
    uint32_t seeds;
    double mean, low, high;
};
struct lab_bineareye_value lab_bineareye_value(const struct lab_bineareye *study,
                                               enum lab_bineareye_input input, uint32_t shape,
                                               uint32_t exposure);

/* Points lost at the worst of the exposures 1/16 to 8 against exposure 1, by seed. */
struct lab_bineareye_value lab_bineareye_loss(const struct lab_bineareye *study,
                                              enum lab_bineareye_input input, uint32_t shape);

/* The claims as a Markdown list: each held, missed or not known yet, with its figures. */
void lab_bineareye_print_verdicts(const struct lab_bineareye *study, FILE *text);

/* report.md, its table and charts, from what is known. Errors are told. */
int lab_bineareye_report(const struct lab_bineareye *study);

#endif
