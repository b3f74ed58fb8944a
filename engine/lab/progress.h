/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Progress of a long job on standard error: a bar with the time left on a terminal, a plain line at
 * each tenth of the way otherwise. Never writes to standard output.
 */
#ifndef OCELLUS_ENGINE_LAB_PROGRESS_H
#define OCELLUS_ENGINE_LAB_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

struct lab_progress {
    FILE *stream;
    const char *what; /* kept by pointer */
    uint64_t total, done;
    struct timespec start, shown;
    bool terminal;
};

/* stderr, bar or lines as it is a terminal or not. total >= 1. */
void lab_progress_init(struct lab_progress *progress, const char *what, uint64_t total);

/* One step further. */
void lab_progress_step(struct lab_progress *progress);

/* Leaves the cursor at the start of a fresh line. */
void lab_progress_finish(struct lab_progress *progress);

#endif
