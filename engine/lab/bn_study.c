/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See bn_study.h. The list of trainings, and the command that runs them one after the other. */
#include "engine/lab/bn_study.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/kernel/cpu.h"
#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/options.h"

#define DEFAULT_OUT "batchnorm"
#define CELLS_MAX   ((size_t)1 << 20) /* bytes of cells.csv */
#define TIMED_STEPS 10u

static const struct lab_bn_sizes whole = {
    .title = "whole",
    .seeds = 3,
    .steps = 300,
    .trace_each = 20,
    .draws = 25,
    .rate_count = 8,
    .rates = {0.01, 0.03, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2},
    .traced = {0, 4},
};
static const struct lab_bn_sizes quick = {
    .title = "quick",
    .seeds = 1,
    .steps = 40,
    .trace_each = 20,
    .draws = 25,
    .rate_count = 3,
    .rates = {0.03, 0.4, 3.2},
    .traced = {0, 1},
};

static const char columns[] =
    "norm,weights,rate,seed,of,steps,reached,diverged,first,last,seconds\n";

struct lab_bn_cell lab_bn_study_cell(const struct lab_bn_study *study, uint32_t set, uint32_t norm,
                                     uint32_t rate, uint32_t seed)
{
    const struct lab_bn_sizes *sizes = &study->sizes;
    const bool traced =
        set == 1 && seed == 0 && (rate == sizes->traced[0] || rate == sizes->traced[1]);
    return (struct lab_bn_cell){
        .norm = (uint8_t)norm,
        .spread = set == 1,
        .rate = sizes->rates[rate],
        .seed = seed + 1,
        .steps = sizes->steps,
        .trace_each = traced ? sizes->trace_each : 0,
    };
}

/* ---- cells.csv ---- */

struct place {
    uint32_t set, norm, rate, seed;
};

/* Cells in the order in which they run: one seed of everything, then the next. */
static bool cell_at(const struct lab_bn_study *study, uint32_t index, struct place *ret_place)
{
    const uint32_t rates = study->sizes.rate_count;
    ret_place->rate = index % rates;
    ret_place->norm = index / rates % LAB_BN_NORMS;
    ret_place->set = index / rates / LAB_BN_NORMS % LAB_BN_SETS;
    ret_place->seed = index / rates / LAB_BN_NORMS / LAB_BN_SETS;
    return ret_place->seed < study->sizes.seeds;
}

static struct lab_bn_outcome *outcome_at(struct lab_bn_study *study, const struct place *at)
{
    return &study->outcomes[at->set][at->norm][at->rate][at->seed];
}

/* "batch,spread,0.01,1,400," */
static void cell_key(const struct lab_bn_study *study, const struct place *at, char key[96])
{
    const struct lab_bn_cell cell = lab_bn_study_cell(study, at->set, at->norm, at->rate, at->seed);
    snprintf(key, 96, "%s,%s,%g,%llu,%u,", lab_bn_norm_name(cell.norm),
             cell.spread ? "spread" : "plain", cell.rate, (unsigned long long)cell.seed,
             cell.steps);
}

static int save_cells(const struct lab_bn_study *study)
{
    char path[4096], *bytes = NULL, key[96];
    size_t size;
    struct place at;
    FILE *text = open_memstream(&bytes, &size);
    if (!text) {
        return -ENOMEM;
    }
    fputs(columns, text);
    for (uint32_t i = 0; cell_at(study, i, &at); i++) {
        const struct lab_bn_outcome *o = outcome_at((struct lab_bn_study *)study, &at);
        if (o->steps > 0) {
            cell_key(study, &at, key);
            fprintf(text, "%s%u,%u,%u,%.6g,%.6g,%.3g\n", key, o->steps, o->reached, o->diverged,
                    o->first, o->last, o->seconds);
        }
    }
    int r = fclose(text) == 0 ? 0 : -EIO;
    snprintf(path, sizeof(path), "%s/cells.csv", study->directory);
    r = r < 0 ? r : lab_file_write(path, bytes, size);
    free(bytes);
    if (r < 0) {
        lab_error("%s: %s", path, strerror(-r));
    }
    return r;
}

/* Takes the row of a cell, if there is one: text is cells.csv, ended by a zero. */
static void take_row(struct lab_bn_study *study, const struct place *at, const char *text)
{
    char key[96];
    struct lab_bn_outcome o;
    cell_key(study, at, key);
    for (const char *row = text; row; row = strchr(row, '\n')) {
        row += *row == '\n';
        if (strncmp(row, key, strlen(key)) == 0 &&
            sscanf(row + strlen(key), "%u,%u,%u,%lf,%lf,%lf", &o.steps, &o.reached, &o.diverged,
                   &o.first, &o.last, &o.seconds) == 6) {
            *outcome_at(study, at) = o;
            return;
        }
    }
}

static int load_cells(struct lab_bn_study *study)
{
    char path[4096], *text;
    uint8_t *bytes;
    size_t size;
    struct place at;
    snprintf(path, sizeof(path), "%s/cells.csv", study->directory);
    int r = lab_file_read(path, CELLS_MAX, &bytes, &size);
    if (r < 0) {
        if (r != -ENOENT) {
            lab_error("%s: %s", path, strerror(-r));
        }
        return r == -ENOENT ? 0 : r;
    }
    text = calloc(1, size + 1);
    if (text) {
        memcpy(text, bytes, size);
        for (uint32_t i = 0; cell_at(study, i, &at); i++) {
            take_row(study, &at, text);
        }
    }
    r = text ? 0 : -ENOMEM;
    free(text);
    free(bytes);
    return r;
}

/* ---- the plan ---- */

static int print_plan(struct lab_bn_study *study, const struct lab_packed *digits, uint32_t cpu)
{
    struct lab_bn_cell cell = {
        .norm = TRAIN_NORM_BATCH, .rate = 0.01, .seed = 1, .steps = TIMED_STEPS};
    struct lab_bn_outcome timed;
    struct place at;
    uint32_t left = 0, count = 0;
    int r = lab_bn_cell_run(&cell, digits, cpu, study->directory, &timed);
    if (r < 0) {
        return r;
    }
    for (; cell_at(study, count, &at); count++) {
        left += outcome_at(study, &at)->steps == 0;
    }
    const double step = timed.seconds / TIMED_STEPS;
    printf("batchnorm (%s): %u of %u trainings to run, %u steps of %u digits each\n"
           "%8.2f ms a step, as measured just now\n"
           "%8.1f min of one core at most; trainings that diverge end early\n",
           study->sizes.title, left, count, study->sizes.steps, LAB_BN_BATCH, 1e3 * step,
           left * study->sizes.steps * step / 60);
    fflush(stdout);
    return 0;
}

/* ---- the linear parts ---- */

static void print_figure(uint32_t index, double value)
{
    if (isinf(value)) {
        fputs("diverges", stdout);
    } else if (index >= LAB_BN_TOY_FIRST_RATE && value > LAB_BN_TOY_STEPS) {
        printf(">%u", LAB_BN_TOY_STEPS);
    } else {
        printf("%.4g", value);
    }
}

static void print_toy(const struct lab_bn_toy *toy)
{
    static const char *const names[LAB_BN_TOY_FIRST_RATE] = {"least", "most", "spread", "bound"};
    for (uint32_t v = 0; v < LAB_BN_TOY_VARIANTS; v++) {
        printf("toy, %s:", lab_bn_toy_name(v));
        for (uint32_t f = 0; f < LAB_BN_TOY_FIGURES; f++) {
            const struct lab_bn_toy_figure *figure = &toy->figures[v][f];
            if (f < LAB_BN_TOY_FIRST_RATE) {
                printf(" %s ", names[f]);
            } else {
                printf(" @%g ", lab_bn_toy_rates[f - LAB_BN_TOY_FIRST_RATE]);
            }
            print_figure(f, figure->median);
            fputs(" (", stdout);
            print_figure(f, figure->reference);
            printf(") %s;", figure->agrees ? "pass" : "FAIL");
        }
        puts("");
    }
    printf("toy: %u of %u figures pass, reference in brackets, medians of %u draws; 2 / largest "
           "eigenvalue brackets divergence in %u of %u\n",
           toy->agree, LAB_BN_TOY_VARIANTS * LAB_BN_TOY_FIGURES, toy->draws, toy->bracketed,
           toy->draws * LAB_BN_TOY_VARIANTS);
}

static void print_first(const struct lab_bn_first *first)
{
    printf("first step, batch norm against NLMS (gamma 1, beta 0, both held; zero mean; sigma a "
           "constant; same epsilon, rate and function):\n"
           "  difference %.2g by the formulas, %.2g in the trainer: %s (at most %g)\n"
           "  second step %.2g, tenth %.2g; first with a mean of one deviation %.2g\n",
           first->exact, first->trained,
           first->exact <= LAB_BN_FIRST_MAX && first->trained <= LAB_BN_FIRST_MAX ? "pass" : "FAIL",
           LAB_BN_FIRST_MAX, first->second, first->tenth, first->with_mean);
    fflush(stdout);
}

/* ---- the command ---- */

static int run_cells(struct lab_bn_study *study, const struct lab_packed *digits, uint32_t cpu)
{
    struct place at;
    int r = 0;
    for (uint32_t i = 0; r == 0 && cell_at(study, i, &at); i++) {
        struct lab_bn_outcome *o = outcome_at(study, &at);
        if (o->steps > 0) {
            continue;
        }
        const struct lab_bn_cell cell = lab_bn_study_cell(study, at.set, at.norm, at.rate, at.seed);
        r = lab_bn_cell_run(&cell, digits, cpu, study->directory, o);
        if (r == 0) {
            char name[LAB_BN_NAME];
            lab_bn_cell_name(&cell, name);
            printf("%s, seed %u: %s%u, last loss %.3f\n", name, at.seed + 1,
                   o->diverged > 0  ? "diverged at "
                   : o->reached > 0 ? "reached at "
                                    : "not reached in ",
                   o->diverged > 0  ? o->diverged
                   : o->reached > 0 ? o->reached
                                    : o->steps,
                   o->last);
            fflush(stdout);
            r = save_cells(study);
            if (r == 0 && at.rate + 1 == study->sizes.rate_count && at.norm + 1 == LAB_BN_NORMS) {
                r = lab_bn_report(study); /* of what is there: long jobs are looked at */
            }
        }
    }
    return r;
}

static int print_claims(const struct lab_bn_study *study)
{
    struct lab_bn_claim claim;
    for (uint32_t set = 0; set < LAB_BN_SETS; set++) {
        for (uint32_t i = 0; lab_bn_study_claim(study, set, i, &claim); i++) {
            printf("%s: %s, %s (%s)\n", claim.hit ? "hit" : "MISS", set == 1 ? "spread" : "plain",
                   claim.text, claim.figures);
        }
    }
    printf("%s/report.md\n", study->directory);
    return 0;
}

static int run_all(struct lab_bn_study *study, const struct lab_packed *digits, uint32_t cpu)
{
    if (mkdir(study->directory, 0777) != 0 && errno != EEXIST) {
        int r = -errno;
        lab_error("%s: %s", study->directory, strerror(-r));
        return r;
    }
    int r = load_cells(study);
    r = r < 0 ? r : print_plan(study, digits, cpu);
    r = r < 0 ? r : lab_bn_toy_run(study->sizes.draws, &study->toy);
    r = r < 0 ? r : lab_bn_first_step(1, cpu, &study->first);
    if (r < 0) {
        return r;
    }
    print_toy(&study->toy);
    print_first(&study->first);
    r = run_cells(study, digits, cpu);
    r = r < 0 ? r : lab_bn_report(study);
    return r < 0 ? r : print_claims(study);
}

static bool are_digits(const struct lab_packed *digits)
{
    bool good = digits->width == LAB_BN_SIDE && digits->height == LAB_BN_SIDE &&
                digits->channels == 1 && digits->count >= LAB_BN_BATCH;
    for (uint32_t i = 0; good && i < digits->count; i++) {
        good = digits->labels[i] < LAB_BN_CLASSES;
    }
    return good;
}

int lab_bn_reproduce(const struct lab_args *args)
{
    struct lab_bn_study *study = calloc(1, sizeof(*study));
    const char *out = args->values[LAB_OPTION_OUT];
    struct lab_packed digits;
    uint32_t mask = KERNEL_CPU_ALL;
    if (!study || lab_args_cpu_mask(args, &mask) < 0) {
        free(study);
        return LAB_EXIT_USAGE;
    }
    study->sizes = lab_args_given(args, LAB_OPTION_QUICK) ? quick : whole;
    study->directory = out ? out : DEFAULT_OUT;
    int r = lab_packed_open(args->values[LAB_OPTION_DATA], &digits);
    if (r == 0) {
        if (!are_digits(&digits)) {
            lab_error("%s: not the digits of MNIST", args->values[LAB_OPTION_DATA]);
            r = -EBADMSG;
        } else {
            r = run_all(study, &digits, kernel_cpu_detect() & mask);
        }
        lab_packed_close(&digits);
    }
    free(study);
    return r < 0 ? LAB_EXIT_FAILED : LAB_EXIT_OK;
}
