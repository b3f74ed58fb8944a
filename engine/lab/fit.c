/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Integer least squares by coordinate descent. Knows vectors only, no layers. */
#include "engine/lab/fit.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHT_MAX  127.0
#define PASSES_MAX  12u
#define RIDGE       0.02 /* of the mean variance of an input */
#define RIDGE_LEAST 1e-9 /* where no input varies */

int lab_fit_init(struct lab_fit *fit, uint32_t inputs, uint32_t outputs)
{
    memset(fit, 0, sizeof(*fit));
    if (inputs > LAB_FIT_INPUTS_MAX) {
        return -EFBIG;
    }
    fit->inputs = inputs;
    fit->outputs = outputs;
    fit->moment = calloc((size_t)inputs * inputs, sizeof(double));
    fit->cross = calloc((size_t)inputs * outputs, sizeof(double));
    fit->mean_in = calloc(inputs, sizeof(double));
    fit->mean_out = calloc(outputs, sizeof(double));
    if (!fit->moment || !fit->cross || !fit->mean_in || !fit->mean_out) {
        lab_fit_finish(fit);
        return -ENOMEM;
    }
    return 0;
}

void lab_fit_finish(struct lab_fit *fit)
{
    free(fit->moment);
    free(fit->cross);
    free(fit->mean_in);
    free(fit->mean_out);
    memset(fit, 0, sizeof(*fit));
}

void lab_fit_add(struct lab_fit *fit, const int16_t *in, const float *out)
{
    fit->pairs++;
    for (uint32_t o = 0; o < fit->outputs; o++) {
        fit->mean_out[o] += out[o];
    }
    for (uint32_t i = 0; i < fit->inputs; i++) {
        if (in[i] == 0) {
            continue;
        }
        double value = in[i], *moment = fit->moment + (size_t)i * fit->inputs;
        double *cross = fit->cross + (size_t)i * fit->outputs;
        fit->mean_in[i] += value;
        for (uint32_t j = 0; j <= i; j++) {
            moment[j] += value * in[j];
        }
        for (uint32_t o = 0; o < fit->outputs; o++) {
            cross[o] += value * out[o];
        }
    }
}

void lab_fit_prepare(struct lab_fit *fit)
{
    double count = (double)fit->pairs, trace = 0.0;
    size_t n = fit->inputs;
    for (size_t i = 0; i < n; i++) {
        fit->mean_in[i] /= count;
    }
    for (size_t o = 0; o < fit->outputs; o++) {
        fit->mean_out[o] /= count;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) {
            double central = fit->moment[i * n + j] / count - fit->mean_in[i] * fit->mean_in[j];
            fit->moment[i * n + j] = fit->moment[j * n + i] = central;
        }
        for (size_t o = 0; o < fit->outputs; o++) {
            double *cross = &fit->cross[i * fit->outputs + o];
            *cross = *cross / count - fit->mean_in[i] * fit->mean_out[o];
        }
        trace += fit->moment[i * n + i];
    }
    fit->ridge = fmax(RIDGE * trace / (double)n, RIDGE_LEAST);
    for (size_t i = 0; i < n; i++) {
        fit->moment[i * n + i] += fit->ridge;
    }
}

static double round_weight(double value)
{
    return fmin(fmax(floor(value + 0.5), -WEIGHT_MAX), WEIGHT_MAX);
}

/* slope = half the derivative of the squared error by each weight, in units of the step. */
static void first_slope(const struct lab_fit *fit, uint32_t output, const double *prior,
                        double step, const double *w, double *slope)
{
    size_t n = fit->inputs;
    for (size_t i = 0; i < n; i++) {
        double target = fit->cross[i * fit->outputs + output] + fit->ridge * prior[i];
        slope[i] = -target / step;
    }
    for (size_t j = 0; j < n; j++) {
        const double *moment = fit->moment + j * n;
        for (size_t i = 0; i < n; i++) {
            slope[i] += moment[i] * w[j];
        }
    }
}

/* Moves each weight in turn to its best whole number, the others held. False: none moved. */
static bool descend(const struct lab_fit *fit, double *w, double *slope)
{
    size_t n = fit->inputs;
    bool moved = false;
    for (size_t j = 0; j < n; j++) {
        const double *moment = fit->moment + j * n;
        double change = round_weight(w[j] - slope[j] / moment[j]) - w[j];
        if (change == 0.0) {
            continue;
        }
        moved = true;
        w[j] += change;
        for (size_t i = 0; i < n; i++) {
            slope[i] += moment[i] * change;
        }
    }
    return moved;
}

void lab_fit_solve(const struct lab_fit *fit, uint32_t output, const double *prior, double *scratch,
                   int8_t *weights, double *ret_step, double *ret_bias)
{
    uint32_t n = fit->inputs;
    double *w = scratch, *slope = scratch + n, largest = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs(prior[i]));
    }
    double step = largest > 0.0 ? largest / WEIGHT_MAX : 1.0;
    for (uint32_t i = 0; i < n; i++) {
        w[i] = round_weight(prior[i] / step);
    }
    first_slope(fit, output, prior, step, w, slope);
    for (uint32_t pass = 0; pass < PASSES_MAX && descend(fit, w, slope); pass++) {
    }
    double bias = fit->mean_out[output] / step;
    for (uint32_t i = 0; i < n; i++) {
        bias -= w[i] * fit->mean_in[i];
        weights[i] = (int8_t)w[i];
    }
    *ret_step = step;
    *ret_bias = bias;
}
