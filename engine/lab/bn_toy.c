/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See bn_toy.h. The linear toy and its table. */
#include "engine/lab/bn_toy.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lab/bn_eigen.h"
#include "engine/train/train.h"

#define SAMPLES       LAB_BN_TOY_SAMPLES
#define CHANNELS      LAB_BN_TOY_CHANNELS
#define TAPS          LAB_BN_TOY_TAPS
#define MODES         LAB_BN_TOY_MODES
#define EXPLODED      1e6 /* times the first error */
#define GOAL          0.01
#define BRACKET_STEPS 1000u /* 1.04^1000 is beyond EXPLODED */
#define DRAWS_MAX     101u

enum { SHARED_STREAM = 1, OWN_STREAM, TARGET_STREAM };

static const struct {
    const char *name;
    double figures[LAB_BN_TOY_FIGURES];
} reference[LAB_BN_TOY_VARIANTS] = {
    {"none", {.0053, 20.8, 3906, .096, 12239, 2448, INFINITY, INFINITY}},
    {"batch", {.400, 2.43, 6, .82, 264, 53, 13, 5}},
    {"amplify", {.448, 20.8, 46, .096, 231, 46, INFINITY, INFINITY}},
    {"suppress", {.0053, 2.38, 451, .84, 12239, 2448, 612, 245}},
    {"nlms, one power", {.0029, 10.7, 3669, .19, 20001, 4736, INFINITY, INFINITY}},
};

const double lab_bn_toy_rates[LAB_BN_TOY_RATES] = {.01, .05, .2, .5};

const char *lab_bn_toy_name(uint32_t variant)
{
    return reference[variant].name;
}

/* A standard normal number (Box and Muller 1958). */
static double normal(uint64_t seed, uint64_t stream, uint64_t index)
{
    const double u = ((double)(train_random(seed, stream, 2 * index) >> 11) + 1) * 0x1p-53;
    const double v = (double)(train_random(seed, stream, 2 * index + 1) >> 11) * 0x1p-53;
    return sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

void lab_bn_toy_samples(uint64_t seed, double *x)
{
    const double shared = sqrt(LAB_BN_TOY_CORRELATION), own = sqrt(1 - LAB_BN_TOY_CORRELATION);
    for (uint32_t c = 0; c < CHANNELS; c++) {
        const double deviation = pow(10, 1.5 * c / (CHANNELS - 1) - 1);
        double mean = 0;
        for (uint32_t p = 0; p < SAMPLES; p++) {
            const double common = normal(seed, SHARED_STREAM, (uint64_t)p * CHANNELS + c);
            for (uint32_t k = 0; k < TAPS; k++) {
                const size_t at = ((size_t)p * CHANNELS + c) * TAPS + k;
                x[at] = deviation * (shared * common + own * normal(seed, OWN_STREAM, at));
                mean += x[at] / (SAMPLES * TAPS);
            }
        }
        for (size_t i = 0; i < (size_t)SAMPLES * TAPS; i++) {
            x[(i / TAPS * CHANNELS + c) * TAPS + i % TAPS] -= mean;
        }
    }
}

/* ---- LMS ---- */

/* X^T X / P of samples whose channel c is divided by divisor[c]. */
static void correlate(const double *x, const double *divisor, double *r)
{
    memset(r, 0, sizeof(*r) * MODES * MODES);
    for (uint32_t p = 0; p < SAMPLES; p++) {
        const double *row = x + (size_t)p * MODES;
        for (uint32_t i = 0; i < MODES; i++) {
            for (uint32_t j = 0; j < MODES; j++) {
                r[i * MODES + j] +=
                    row[i] * row[j] / (divisor[i / TAPS] * divisor[j / TAPS] * SAMPLES);
            }
        }
    }
}

/* step = R e; returns e R e, the error that is left. */
static double look(const double *r, const double *e, double *step)
{
    double sum = 0;
    for (uint32_t i = 0; i < MODES; i++) {
        step[i] = 0;
        for (uint32_t j = 0; j < MODES; j++) {
            step[i] += r[i * MODES + j] * e[j];
        }
        sum += e[i] * step[i];
    }
    return sum;
}

/* Steps until the error is `goal` of the first; `limit` + 1: more; INFINITY: it explodes. e =
 * target
 * - w becomes e - rate R e. */
static double count_steps(const double *r, const double *target, double rate, double goal,
                          uint32_t limit)
{
    double e[MODES], step[MODES];
    memcpy(e, target, sizeof(e));
    const double first = look(r, e, step);
    for (uint32_t n = 0; n <= limit; n++) {
        const double now = look(r, e, step);
        if (!(now <= EXPLODED * first)) {
            return INFINITY;
        }
        if (now <= goal * first) {
            return n;
        }
        for (uint32_t i = 0; i < MODES; i++) {
            e[i] -= rate * step[i];
        }
    }
    return limit + 1;
}

static void find_divisors(const double *x, uint32_t variant, double *divisor, double *deviation)
{
    double mean = 0, power[CHANNELS] = {0};
    for (size_t i = 0; i < (size_t)SAMPLES * MODES; i++) {
        power[i / TAPS % CHANNELS] += x[i] * x[i] / (SAMPLES * TAPS);
    }
    for (uint32_t c = 0; c < CHANNELS; c++) {
        mean += power[c] / CHANNELS;
    }
    for (uint32_t c = 0; c < CHANNELS; c++) {
        const double all[LAB_BN_TOY_VARIANTS] = {1, sqrt(power[c]), fmin(sqrt(power[c]), 1),
                                                 fmax(sqrt(power[c]), 1), sqrt(mean)};
        divisor[c] = all[variant];
        deviation[c] = all[1];
    }
}

/* Returns whether the bound lies between a rate that converges and one that does not. */
static bool run_variant(const double *x, const double *teacher, uint32_t variant, double *figures)
{
    double r[MODES * MODES], copy[MODES * MODES], values[MODES], target[MODES];
    double divisor[CHANNELS], deviation[CHANNELS];
    find_divisors(x, variant, divisor, deviation);
    for (uint32_t i = 0; i < MODES; i++) {
        target[i] = teacher[i] * divisor[i / TAPS] / deviation[i / TAPS];
    }
    correlate(x, divisor, r);
    memcpy(copy, r, sizeof(copy));
    lab_bn_eigenvalues(MODES, copy, values);
    const double bound = 2 / values[MODES - 1];
    figures[LAB_BN_TOY_LEAST] = values[0];
    figures[LAB_BN_TOY_MOST] = values[MODES - 1];
    figures[LAB_BN_TOY_SPREAD] = values[MODES - 1] / values[0];
    figures[LAB_BN_TOY_BOUND] = bound;
    for (uint32_t i = 0; i < LAB_BN_TOY_RATES; i++) {
        figures[LAB_BN_TOY_FIRST_RATE + i] =
            count_steps(r, target, lab_bn_toy_rates[i], GOAL, LAB_BN_TOY_STEPS);
    }
    return isfinite(count_steps(r, target, 0.98 * bound, 0, BRACKET_STEPS)) &&
           !isfinite(count_steps(r, target, 1.02 * bound, 0, BRACKET_STEPS));
}

/* ---- the table ---- */

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void judge(uint32_t draws, double *drawn, double expected, struct lab_bn_toy_figure *figure)
{
    qsort(drawn, draws, sizeof(*drawn), compare);
    figure->reference = expected;
    figure->least = drawn[0];
    figure->median = drawn[draws / 2];
    figure->most = drawn[draws - 1];
    figure->agrees = isinf(expected) ? isinf(figure->median)
                                     : figure->least <= expected && expected <= figure->most &&
                                           figure->median <= LAB_BN_TOY_FACTOR * expected &&
                                           expected <= LAB_BN_TOY_FACTOR * figure->median;
}

struct draws {
    double x[SAMPLES * MODES], teacher[MODES];
    double figures[LAB_BN_TOY_VARIANTS][LAB_BN_TOY_FIGURES][DRAWS_MAX];
};

int lab_bn_toy_run(uint32_t draws, struct lab_bn_toy *ret_toy)
{
    struct draws *all = calloc(1, sizeof(*all));
    struct lab_bn_toy toy = {.draws = draws};
    if (!all) {
        return -ENOMEM;
    }
    for (uint32_t draw = 0; draw < draws; draw++) {
        lab_bn_toy_samples(draw + 1, all->x);
        for (uint32_t i = 0; i < MODES; i++) {
            all->teacher[i] = normal(draw + 1, TARGET_STREAM, i);
        }
        for (uint32_t v = 0; v < LAB_BN_TOY_VARIANTS; v++) {
            double figures[LAB_BN_TOY_FIGURES];
            toy.bracketed += run_variant(all->x, all->teacher, v, figures);
            for (uint32_t f = 0; f < LAB_BN_TOY_FIGURES; f++) {
                all->figures[v][f][draw] = figures[f];
            }
        }
    }
    for (uint32_t v = 0; v < LAB_BN_TOY_VARIANTS; v++) {
        for (uint32_t f = 0; f < LAB_BN_TOY_FIGURES; f++) {
            judge(draws, all->figures[v][f], reference[v].figures[f], &toy.figures[v][f]);
            toy.agree += toy.figures[v][f].agrees;
        }
    }
    free(all);
    *ret_toy = toy;
    return 0;
}
