/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See lrt_study.h. The list of cells, and the command that runs them one after the other. */
#include "engine/lab/lrt_study.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "engine/kernel/cpu.h"
#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/options.h"
#include "engine/lab/progress.h"

#define DEFAULT_OUT "low-rank"
#define SEED        1u
#define BASE_MAX    ((size_t)64 << 20)

static const struct lab_lrt_sizes whole = {
    "100,000 pictures under drift", 40000, 100000, 10000, 5000, 10000, 3, 2000};
static const struct lab_lrt_sizes quick = {"quick", 4000, 1000, 1000, 500, 500, 1, 300};
static const struct lab_lrt_sizes full = {
    "the paper's sizes", 1500000, 100000, 100000, 10000, 10000, 5, 2000};

const uint32_t lab_lrt_ranks[LAB_LRT_RANKS] = {1, 2, 3, 4, 6, 8};
const uint32_t lab_lrt_widths[LAB_LRT_WIDTHS] = {8, 6, 4, 3};

/* The paper's settings: rank 4, kappa 100, unbiased. */
#define LOWRANK(norm)                                                                              \
    {                                                                                              \
        .kind = LAB_LRT_LOWRANK, .max_norm = (norm), .unbiased_conv = true,                        \
        .unbiased_dense = true, .rank = 4, .kappa = 100                                            \
    }

static const struct {
    const char *name, *title;
    struct lab_lrt_scheme scheme;
} schemes[LAB_LRT_SCHEMES] = {
    {"inference", "inference", {.kind = LAB_LRT_INFERENCE}},
    {"bias", "bias only", {.kind = LAB_LRT_BIAS}},
    {"sgd", "SGD", {.kind = LAB_LRT_SGD}},
    {"lowrank", "low rank", LOWRANK(false)},
    {"lowrank-max", "low rank, max-norm", LOWRANK(true)},
};

enum { SGD = 2, LOWRANK_MAX = 4 };

static const struct {
    const char *name, *title;
    bool biased_conv, biased_dense, bias_alone, no_norm, still_bias, keep_all;
} ablations[LAB_LRT_ABLATIONS] = {
    {"uu", "unbiased conv, unbiased dense", false, false, false, false, false, false},
    {"ub", "unbiased conv, biased dense", false, true, false, false, false, false},
    {"bu", "biased conv, unbiased dense", true, false, false, false, false, false},
    {"bb", "biased conv, biased dense", true, true, false, false, false, false},
    {"bias", "bias only", false, false, true, false, false, false},
    {"no-norm", "no streaming norm", false, false, false, true, false, false},
    {"still-bias", "no bias training", false, false, false, false, true, false},
    {"keep-all", "no term skipped (kappa)", false, false, false, false, false, true},
};

const char *lab_lrt_scheme_title(uint32_t scheme)
{
    return schemes[scheme].title;
}

const char *lab_lrt_ablation_title(uint32_t ablation)
{
    return ablations[ablation].title;
}

/* ---- the cells ---- */

static uint32_t add(struct lab_lrt_study *study, const struct lab_lrt_cell *cell)
{
    study->cell[study->count] = *cell;
    return study->count++;
}

static void add_environment(struct lab_lrt_study *study, uint32_t environment, uint32_t scheme)
{
    const bool drift = environment == LAB_LRT_ANALOG || environment == LAB_LRT_DIGITAL;
    struct lab_lrt_cell cell = {
        .scheme = schemes[scheme].scheme,
        .environment = (enum lab_lrt_environment)environment,
        .pictures = drift && (scheme == SGD || scheme == LOWRANK_MAX) ? study->sizes.drift_long
                                                                      : study->sizes.environment,
        .seed = SEED,
        .bits = 8,
    };
    snprintf(cell.name, sizeof(cell.name), "%s-%s", lab_lrt_environment_name(environment),
             schemes[scheme].name);
    study->environment[environment][scheme] = add(study, &cell);
}

static void add_ablation(struct lab_lrt_study *study, uint32_t which, uint32_t norm, uint32_t seed)
{
    struct lab_lrt_cell cell = {
        .scheme = schemes[LOWRANK_MAX].scheme,
        .environment = LAB_LRT_CONTROL,
        .pictures = seed == 0 ? study->sizes.table_long : study->sizes.table,
        .seed = seed + 1,
        .bits = 8,
        .scratch = true,
    };
    cell.scheme.max_norm = norm != 0;
    cell.scheme.unbiased_conv = !ablations[which].biased_conv;
    cell.scheme.unbiased_dense = !ablations[which].biased_dense;
    cell.scheme.no_norm = ablations[which].no_norm;
    cell.scheme.still_bias = ablations[which].still_bias;
    cell.scheme.kind = ablations[which].bias_alone ? LAB_LRT_BIAS : LAB_LRT_LOWRANK;
    cell.scheme.kappa = ablations[which].keep_all ? 0 : cell.scheme.kappa;
    snprintf(cell.name, sizeof(cell.name), "table-%s-%s-%u", ablations[which].name,
             norm ? "max" : "plain", seed + 1);
    study->ablation[which][norm][seed] = add(study, &cell);
}

static void add_rank(struct lab_lrt_study *study, uint32_t width, uint32_t rank)
{
    struct lab_lrt_cell cell = {
        .scheme = schemes[LOWRANK_MAX].scheme,
        .environment = LAB_LRT_CONTROL,
        .pictures = study->sizes.rank,
        .seed = SEED,
        .bits = lab_lrt_widths[width],
        .scratch = true,
    };
    cell.scheme.rank = lab_lrt_ranks[rank];
    snprintf(cell.name, sizeof(cell.name), "rank-%u-bits-%u", lab_lrt_ranks[rank],
             lab_lrt_widths[width]);
    study->rank[width][rank] = add(study, &cell);
}

/* What says most comes first. */
void lab_lrt_study_init(struct lab_lrt_study *study, const struct lab_lrt_sizes *sizes,
                        const char *directory)
{
    static const uint8_t order[] = {LAB_LRT_ANALOG, LAB_LRT_CONTROL, LAB_LRT_DIGITAL,
                                    LAB_LRT_SHIFT};
    *study = (struct lab_lrt_study){.sizes = *sizes, .directory = directory};
    for (uint32_t e = 0; e < LAB_LRT_ENVIRONMENTS; e++) {
        for (uint32_t s = LAB_LRT_SCHEMES; s-- > 0;) {
            add_environment(study, order[e], s);
        }
    }
    struct lab_lrt_cell gated = study->cell[study->environment[LAB_LRT_CONTROL][LOWRANK_MAX]];
    gated.gated = true;
    snprintf(gated.name, sizeof(gated.name), "control-lowrank-max-gated");
    study->gated = add(study, &gated);
    for (uint32_t e = 0; e < LAB_LRT_ENVIRONMENTS; e++) {
        struct lab_lrt_cell patient = study->cell[study->environment[e][LOWRANK_MAX]];
        patient.pictures = sizes->environment;
        patient.scheme.patience = LAB_LRT_PATIENCE;
        snprintf(patient.name, sizeof(patient.name), "%s-lowrank-max-patient",
                 lab_lrt_environment_name(e));
        study->patient[e] = add(study, &patient);
    }
    for (uint32_t seed = 0; seed < sizes->seeds; seed++) {
        for (uint32_t i = 0; i < LAB_LRT_ABLATIONS; i++) {
            add_ablation(study, i, 0, seed);
            add_ablation(study, i, 1, seed);
        }
    }
    for (uint32_t w = 0; w < LAB_LRT_WIDTHS; w++) {
        for (uint32_t r = 0; r < LAB_LRT_RANKS; r++) {
            add_rank(study, w, r);
        }
    }
}

/* ---- the prepared network ---- */

struct base {
    struct lab_progress progress;
    uint64_t told;
};

static void told(void *user, uint64_t done, double accuracy)
{
    struct base *base = user;
    (void)accuracy;
    for (; base->told < done / 1000; base->told++) {
        lab_progress_step(&base->progress);
    }
}

/* Reads base.state, or prepares the network and writes it: accuracy, then the state. */
static int get_base(struct lab_lrt_study *study, struct lab_lrt_place *place, uint8_t **ret_base)
{
    struct base base = {0};
    struct lab_lrt_net net;
    char path[4096];
    size_t size;
    snprintf(path, sizeof(path), "%s/base.state", study->directory);
    int r = lab_lrt_net_create(&net, 8, SEED, place->cpu);
    if (r < 0) {
        return r;
    }
    const size_t wanted = sizeof(double) + lab_lrt_base_bytes(&net);
    uint8_t *bytes = NULL;
    r = lab_file_read(path, BASE_MAX, &bytes, &size);
    if (r == 0 && size != wanted) {
        free(bytes);
        r = -EBADMSG;
    } else if (r == -ENOENT) {
        lab_progress_init(&base.progress, "learning before the stream",
                          (study->sizes.prepare + 999) / 1000);
        bytes = malloc(wanted);
        r = bytes ? lab_lrt_prepare(&net, place->digits, SEED, study->sizes.prepare, told, &base,
                                    &study->prepared)
                  : -ENOMEM;
        lab_progress_finish(&base.progress);
        if (r == 0) {
            memcpy(bytes, &study->prepared, sizeof(double));
            lab_lrt_base_save(&net, bytes + sizeof(double));
            r = lab_file_write(path, bytes, wanted);
        }
    }
    lab_lrt_net_destroy(&net);
    if (r < 0) {
        lab_error("%s: %s", path, strerror(-r));
        return r;
    }
    memcpy(&study->prepared, bytes, sizeof(double));
    place->base = bytes + sizeof(double);
    *ret_base = bytes;
    return 0;
}

/* ---- the plan ---- */

/* Milliseconds of one picture by a scheme, over a few. */
static double time_scheme(const struct lab_lrt_scheme *scheme, const struct lab_lrt_place *place)
{
    enum { PICTURES = 30 };
    const struct lab_lrt_stream stream = {
        .digits = place->digits, .source = LAB_LRT_FROM_ONLINE, .seed = SEED, .length = 1000};
    struct lab_lrt_learner learner;
    struct lab_lrt_net net;
    struct timespec from, to;
    float pixels[LAB_LRT_PIXELS];
    double ms = 0;
    if (lab_lrt_net_create(&net, 8, SEED, place->cpu) < 0) {
        return 0;
    }
    if (lab_lrt_learner_create(&learner, scheme, &net, SEED, place->cpu) == 0) {
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
        for (uint32_t i = 0; i < PICTURES; i++) {
            uint32_t label;
            lab_lrt_picture(&stream, i, pixels, &label);
            lab_lrt_net_forward(&net, pixels, true);
            lab_lrt_learn(&learner, label);
        }
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
        ms =
            ((double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) * 1e-6) /
            PICTURES;
        lab_lrt_learner_destroy(&learner);
    }
    lab_lrt_net_destroy(&net);
    return ms;
}

static void print_plan(const struct lab_lrt_study *study, const struct lab_lrt_place *place)
{
    double ms[LAB_LRT_LOWRANK + 1], hours = 0;
    uint32_t left = 0;
    for (uint32_t s = 0; s < LAB_LRT_SCHEMES; s++) {
        ms[schemes[s].scheme.kind] = time_scheme(&schemes[s].scheme, place);
    }
    for (uint32_t i = 0; i < study->count; i++) {
        const struct lab_lrt_cell *cell = &study->cell[i];
        struct lab_lrt_outcome outcome = {0};
        lab_lrt_cell_read(cell, study->directory, 0, &outcome);
        left += outcome.pictures < cell->pictures;
        hours += (double)(cell->pictures - outcome.pictures) * ms[cell->scheme.kind] / 3.6e6;
    }
    printf("low-rank (%s): %u of %u cells to run\n"
           "milliseconds a picture, from random weights: inference %.1f, bias only %.1f, SGD %.1f, "
           "low rank %.1f\n"
           "%8.2f h of one core; more processes may work in the same folder\n",
           study->sizes.title, left, study->count, ms[LAB_LRT_INFERENCE], ms[LAB_LRT_BIAS],
           ms[LAB_LRT_SGD], ms[LAB_LRT_LOWRANK], hours);
    fflush(stdout);
}

/* ---- the command ---- */

static int run_all(struct lab_lrt_study *study, struct lab_lrt_place *place)
{
    uint8_t *base = NULL;
    if (mkdir(study->directory, 0777) != 0 && errno != EEXIST) {
        int r = -errno;
        lab_error("%s: %s", study->directory, strerror(-r));
        return r;
    }
    int r = get_base(study, place, &base);
    if (r < 0) {
        return r;
    }
    r = lab_lrt_report(study); /* of what is there: long jobs are looked at */
    if (r == 0) {
        print_plan(study, place);
    }
    for (uint32_t i = 0; r == 0 && i < study->count; i++) {
        const struct lab_lrt_cell *cell = &study->cell[i];
        r = lab_lrt_cell_run(cell, place);
        if (r == 0) {
            r = lab_lrt_report(study);
        } else if (r == -EAGAIN) { /* another process has it */
            r = 0;
        }
    }
    free(base);
    return r;
}

int lab_lrt_reproduce(const struct lab_args *args)
{
    struct lab_lrt_study *study = malloc(sizeof(*study));
    const char *out = args->values[LAB_OPTION_OUT];
    const bool small = lab_args_given(args, LAB_OPTION_QUICK);
    struct lab_packed digits;
    uint32_t mask = KERNEL_CPU_ALL;
    if (!study || lab_args_cpu_mask(args, &mask) < 0) {
        free(study);
        return LAB_EXIT_USAGE;
    }
    lab_lrt_study_init(study,
                       small                                   ? &quick
                       : lab_args_given(args, LAB_OPTION_FULL) ? &full
                                                               : &whole,
                       out ? out : DEFAULT_OUT);
    int r = lab_packed_open(args->values[LAB_OPTION_DATA], &digits);
    if (r == 0 && (digits.count != LAB_LRT_DIGITS || digits.width != LAB_LRT_SIDE ||
                   digits.height != LAB_LRT_SIDE || digits.channels != 1)) {
        lab_error("%s: not the %u training digits of MNIST", args->values[LAB_OPTION_DATA],
                  LAB_LRT_DIGITS);
        lab_packed_close(&digits);
        r = -EBADMSG;
    }
    if (r == 0) {
        struct lab_lrt_place place = {
            .directory = study->directory, .digits = &digits, .cpu = kernel_cpu_detect() & mask};
        r = run_all(study, &place);
        if (r == 0) {
            printf("%s/report.md\n", study->directory);
        }
        lab_packed_close(&digits);
    }
    free(study);
    return r < 0 ? LAB_EXIT_FAILED : LAB_EXIT_OK;
}
