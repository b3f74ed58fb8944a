/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Tries settings of the trainer, and rates of the ways that it is compared with, on windows that
 * neither the model nor the figures of adapt see. It picks; it changes no default.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "engine/lab/adapt_study.h"
#include "engine/lab/lab.h"
#include "engine/lab/progress.h"

#define DRAWS      6u
#define FIRST_SEED 1001u /* other draws than those of the figures */
#define TRIALS_MAX 128u
#define PAIRS      (LAB_ADAPT_SCENES * DRAWS)
#define CHANGE_MIN -1.0    /* points on the windows as they are */
#define RECORD_MAX 16384.0 /* bytes */

struct trial {
    struct train_online_settings settings;
    struct lab_adapt_row row;
    double scene[PAIRS], change[LAB_ADAPT_SCENES], record;
};

struct grid {
    struct trial *trials;
    uint32_t count;
    uint32_t today[LAB_ADAPT_SCHEMES];
};

/* ---- the grid ---- */

static struct train_online_settings *add(struct grid *grid, uint32_t scheme,
                                         const struct train_online_settings *base)
{
    struct trial *trial = &grid->trials[grid->count++];

    trial->settings = *base;
    trial->row.scheme = (uint8_t)scheme;
    trial->row.eligible = true;
    return &trial->settings;
}

static char *what_of(struct grid *grid)
{
    return grid->trials[grid->count - 1].row.what;
}

#define WHAT_BYTES sizeof(((struct lab_adapt_row *)0)->what)

static void add_factors(struct grid *grid, const struct train_online_settings *base)
{
    static const float margins[] = {8, 12, 16, 20, 24}, rates[] = {0.05f, 0.1f, 0.2f};
    static const float bias_rates[] = {0.005f, 0.1f, 0.3f};

    for (uint32_t i = 0; i < 45; i++) {
        struct train_online_settings *s = add(grid, LAB_ADAPT_RULE, base);

        s->margin = margins[i / 9];
        s->rate = rates[i / 3 % 3];
        s->bias_rate = bias_rates[i % 3];
        snprintf(what_of(grid), WHAT_BYTES, "margin %g, rate %g, bias rate %g", (double)s->margin,
                 (double)s->rate, (double)s->bias_rate);
    }
}

/* One thing other than today. */
static void add_variants(struct grid *grid, const struct train_online_settings *base)
{
    static const float rates[] = {0.02f, 0.05f, 0.1f, 0.2f};
    struct train_online_settings *s;

    for (uint32_t i = 0; i < 4; i++) {
        s = add(grid, LAB_ADAPT_RULE, base);
        s->norm = TRAIN_ONLINE_MAX_NORM;
        s->rate = rates[i];
        snprintf(what_of(grid), WHAT_BYTES, "max-norm, rate %g", (double)rates[i]);
    }
    for (uint32_t i = 0; i < 2; i++) {
        add(grid, LAB_ADAPT_RULE, base)->passes = 4 + 12 * i;
        snprintf(what_of(grid), WHAT_BYTES, "%u passes", 4 + 12 * i);
    }
    add(grid, LAB_ADAPT_RULE, base)->rank = base->rank + 1;
    snprintf(what_of(grid), WHAT_BYTES, "rank %u", base->rank + 1);
    add(grid, LAB_ADAPT_RULE, base)->unbiased = !base->unbiased;
    snprintf(what_of(grid), WHAT_BYTES, "unbiased");
    add(grid, LAB_ADAPT_RULE, base)->hold = 0;
    snprintf(what_of(grid), WHAT_BYTES, "rho_min 0");
    add(grid, LAB_ADAPT_RULE, base)->hold = 0.1f;
    snprintf(what_of(grid), WHAT_BYTES, "rho_min 0.1");
    add(grid, LAB_ADAPT_RULE, base)->head = TRAIN_ONLINE_LOWRANK;
    snprintf(what_of(grid), WHAT_BYTES, "never prototypes");
    if (base->layer_count == 1 && base->layers[0] > 0) {
        s = add(grid, LAB_ADAPT_RULE, base);
        s->layers[1] = base->layers[0];
        s->layers[0] = base->layers[0] - 1;
        s->layer_count = 2;
        snprintf(what_of(grid), WHAT_BYTES, "the last two layers");
    }
}

static void add_rivals(struct lab_adapt_study *study, struct grid *grid)
{
    static const float bias_rates[] = {0.1f, 0.2f, 0.4f, 0.6f, 0.8f, 1};
    static const float sgd_rates[] = {0.1f, 0.2f, 0.4f, 0.7f, 1};
    struct train_online_settings base, *s;

    lab_adapt_settings(study, LAB_ADAPT_BIASES, &base);
    for (uint32_t i = 0; i < sizeof(bias_rates) / sizeof(*bias_rates); i++) {
        s = add(grid, LAB_ADAPT_BIASES, &base);
        s->bias_rate = bias_rates[i];
        snprintf(what_of(grid), WHAT_BYTES, "bias rate %g", (double)bias_rates[i]);
    }
    lab_adapt_settings(study, LAB_ADAPT_SGD, &base);
    for (uint32_t i = 0; i < sizeof(sgd_rates) / sizeof(*sgd_rates); i++) {
        s = add(grid, LAB_ADAPT_SGD, &base);
        s->rate = sgd_rates[i];
        snprintf(what_of(grid), WHAT_BYTES, "rate %g", (double)sgd_rates[i]);
    }
    lab_adapt_settings(study, LAB_ADAPT_PROTOTYPES, &base);
    add(grid, LAB_ADAPT_PROTOTYPES, &base);
    snprintf(what_of(grid), WHAT_BYTES, "as they are");
}

static bool same(const struct train_online_settings *a, const struct train_online_settings *b)
{
    return a->rate == b->rate && a->margin == b->margin && a->passes == b->passes &&
           a->bias_rate == b->bias_rate && a->norm == b->norm && a->rank == b->rank &&
           a->unbiased == b->unbiased && a->hold == b->hold && a->head == b->head &&
           a->layer_count == b->layer_count;
}

/* Marks what is today's of each scheme, and adds it where the grid lacks it. */
static void mark_today(const struct lab_adapt_study *study, struct grid *grid)
{
    for (uint32_t scheme = 0; scheme < LAB_ADAPT_SCHEMES; scheme++) {
        struct train_online_settings today;
        uint32_t i = 0;

        lab_adapt_settings(study, (enum lab_adapt_scheme)scheme, &today);
        while (i < grid->count &&
               (grid->trials[i].row.scheme != scheme || !same(&grid->trials[i].settings, &today))) {
            i++;
        }
        if (i == grid->count) {
            add(grid, scheme, &today);
            snprintf(what_of(grid), WHAT_BYTES, "today's");
        }
        grid->today[scheme] = i;
        grid->trials[i].row.today = true;
    }
}

static int make_grid(struct lab_adapt_study *study, struct grid *grid)
{
    struct train_online_settings today;

    *grid = (struct grid){.trials = calloc(TRIALS_MAX, sizeof(*grid->trials))};
    if (grid->trials == NULL) {
        lab_error("out of memory");
        return -ENOMEM;
    }
    lab_adapt_settings(study, LAB_ADAPT_RULE, &today);
    add_factors(grid, &today);
    add_variants(grid, &today);
    add_rivals(study, grid);
    mark_today(study, grid);
    return 0;
}

/* ---- trying ---- */

static int try_draw(struct lab_adapt_study *study, struct grid *grid, uint32_t scene, uint32_t draw,
                    struct lab_progress *progress)
{
    uint32_t labelled[LAB_ADAPT_LABELS];
    struct lab_adapt_outcome before, after;
    int r = lab_adapt_draw(study, FIRST_SEED + draw, labelled);

    if (r == 0) {
        r = lab_adapt_run(study, &grid->trials[0].settings, &(struct lab_adapt_way){0}, labelled, 0,
                          &before);
    }
    for (uint32_t i = 0; r == 0 && i < grid->count; i++) {
        struct trial *trial = &grid->trials[i];
        const struct lab_adapt_way way = {.by_label = trial->row.scheme == LAB_ADAPT_SGD};

        r = lab_adapt_run(study, &trial->settings, &way, labelled, LAB_ADAPT_LABELS, &after);
        if (r == 0) {
            trial->scene[scene * DRAWS + draw] = after.scene;
            trial->change[scene] += (after.original - before.original) / DRAWS;
            trial->record += (double)after.record / PAIRS;
            lab_progress_step(progress);
        }
    }
    return r;
}

static void sum_up(struct trial *trial, const struct trial *today)
{
    struct lab_adapt_row *row = &trial->row;
    double squares = 0;

    row->worst = 100;
    row->change = 100;
    row->record = trial->record;
    for (uint32_t scene = 0; scene < LAB_ADAPT_SCENES; scene++) {
        double mean = 0;

        for (uint32_t draw = 0; draw < DRAWS; draw++) {
            mean += trial->scene[scene * DRAWS + draw] / DRAWS;
        }
        row->mean += mean / LAB_ADAPT_SCENES;
        row->worst = fmin(row->worst, mean);
        row->change = fmin(row->change, trial->change[scene]);
    }
    for (uint32_t i = 0; i < PAIRS; i++) {
        const double gain = trial->scene[i] - today->scene[i];

        row->gain += gain / PAIRS;
        squares += gain * gain;
    }
    row->error = sqrt(fmax(0, squares / PAIRS - row->gain * row->gain) / (PAIRS - 1));
    row->eligible =
        row->scheme != LAB_ADAPT_RULE || (row->change >= CHANGE_MIN && row->record <= RECORD_MAX);
}

int lab_adapt_choose(struct lab_adapt_study *study, struct lab_adapt_choice *ret_choice)
{
    struct lab_adapt_choice choice = {.windows = study->count, .draws = DRAWS};
    struct lab_progress progress;
    struct grid grid;
    int r = make_grid(study, &grid);

    if (r < 0) {
        return r;
    }
    lab_progress_init(&progress, "settings", (uint64_t)grid.count * PAIRS);
    for (uint32_t scene = 0; r == 0 && scene < LAB_ADAPT_SCENES; scene++) {
        double strength;

        r = lab_adapt_enter(study, (enum lab_adapt_scene)scene, &strength);
        for (uint32_t draw = 0; r == 0 && draw < DRAWS; draw++) {
            r = try_draw(study, &grid, scene, draw, &progress);
        }
    }
    lab_progress_finish(&progress);
    if (r == 0) {
        choice.rows = calloc(grid.count, sizeof(*choice.rows));
        r = choice.rows != NULL ? 0 : -ENOMEM;
    }
    for (uint32_t i = 0; r == 0 && i < grid.count; i++) {
        sum_up(&grid.trials[i], &grid.trials[grid.today[grid.trials[i].row.scheme]]);
        choice.rows[choice.count++] = grid.trials[i].row;
    }
    free(grid.trials);
    if (r == 0) {
        *ret_choice = choice;
    }
    return r;
}

void lab_adapt_choice_finish(struct lab_adapt_choice *choice)
{
    free(choice->rows);
    choice->rows = NULL;
}

const struct lab_adapt_row *lab_adapt_best(const struct lab_adapt_choice *choice, uint32_t scheme)
{
    const struct lab_adapt_row *best = NULL;

    for (uint32_t i = 0; i < choice->count; i++) {
        const struct lab_adapt_row *row = &choice->rows[i];

        if (row->scheme == scheme && row->eligible && (best == NULL || row->mean > best->mean)) {
            best = row;
        }
    }
    return best;
}
