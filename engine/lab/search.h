/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* What the searching (search.c) and the telling (search_report.c) of ocellus-lab search share. */
#ifndef OCELLUS_ENGINE_LAB_SEARCH_H
#define OCELLUS_ENGINE_LAB_SEARCH_H

#include <stdint.h>

#include "engine/lab/genome.h"
#include "engine/lab/recipe.h"
#include "engine/lab/samples.h"

#define LAB_SEARCH_RECIPES_MAX 4u

struct lab_candidate {
    struct lab_genome genome;
    struct lab_genome_cost cost;
    double error, test_error; /* shares, of the held-out and the test pictures; in millionths */
};

/* One recipe and its candidates. */
struct lab_contest {
    const char *path;
    char *text;               /* of the recipe, without layers */
    struct lab_recipe recipe; /* with the smallest network there is */
    struct lab_samples data, held, test;
    struct network_shape input;
    char *rows; /* of NAME.csv, all that is known */
    struct lab_candidate *candidates;
    uint32_t count; /* of candidates known */
};

/* Writes NAME-front.csv for each contest, report.md and search.svg to a folder, and the report to
 * standard output where `print`. Errors: told on standard error. */
int lab_search_report(const struct lab_contest *contests, uint32_t contest_count, uint64_t seed,
                      const char *directory, bool print);

#endif
