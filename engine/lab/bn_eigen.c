/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See bn_eigen.h. */
#include "engine/lab/bn_eigen.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SWEEPS_MAX     60
#define OFF_DIAGONAL   1e-24 /* squares beside the diagonal, of all squares, that count as none */
#define ITERATIONS_MAX 1000
#define SETTLED        1e-9

uint32_t lab_bn_modes(const struct lab_bn_input *input)
{
    return input->channels * input->kernel[0] * input->kernel[1];
}

/* One row of X: the window at (y, x) of an image. */
static void gather(const struct lab_bn_input *in, const float *image, uint32_t y, uint32_t x,
                   double *row)
{
    const uint32_t taps = (uint32_t)in->kernel[0] * in->kernel[1];
    for (uint32_t k = 0; k < taps; k++) {
        const int64_t iy = (int64_t)y * in->stride[0] + k / in->kernel[1] - in->pad[0];
        const int64_t ix = (int64_t)x * in->stride[1] + k % in->kernel[1] - in->pad[1];
        const bool inside = iy >= 0 && iy < in->height && ix >= 0 && ix < in->width;
        const float *at = image + (inside ? (size_t)(iy * in->width + ix) * in->channels : 0);
        for (uint32_t c = 0; c < in->channels; c++) {
            row[(size_t)c * taps + k] = inside ? (double)at[c] * (double)in->step : 0;
        }
    }
}

/* The upper half of r += row row^T */
static void add_outer(uint32_t n, const double *row, double *r)
{
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = i; j < n && row[i] != 0; j++) {
            r[(size_t)i * n + j] += row[i] * row[j];
        }
    }
}

static void finish(uint32_t n, double scale, double *r)
{
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = i; j < n; j++) {
            r[(size_t)i * n + j] *= scale;
            r[(size_t)j * n + i] = r[(size_t)i * n + j];
        }
    }
}

int lab_bn_autocorrelation(const struct lab_bn_input *in, double *r)
{
    const uint32_t n = lab_bn_modes(in);
    const uint32_t height = in->height + 2u * in->pad[0], width = in->width + 2u * in->pad[1];
    if (n == 0 || n > LAB_BN_MODES_MAX || in->images == 0 || height < in->kernel[0] ||
        width < in->kernel[1]) {
        return -EFBIG;
    }
    const uint32_t rows = (height - in->kernel[0]) / in->stride[0] + 1;
    const uint32_t columns = (width - in->kernel[1]) / in->stride[1] + 1;
    double *row = calloc(n, sizeof(*row));
    if (!row) {
        return -ENOMEM;
    }
    memset(r, 0, (size_t)n * n * sizeof(*r));
    for (uint32_t image = 0; image < in->images; image++) {
        const float *from = in->x + (size_t)image * in->height * in->width * in->channels;
        for (uint32_t at = 0; at < rows * columns; at++) {
            gather(in, from, at / columns, at % columns, row);
            add_outer(n, row, r);
        }
    }
    finish(n, 1 / ((double)in->images * rows * columns), r);
    free(row);
    return 0;
}

void lab_bn_block(const double *r, uint32_t channels, uint32_t taps, uint32_t channel,
                  double *block)
{
    const size_t n = (size_t)channels * taps, first = (size_t)channel * taps;
    for (uint32_t i = 0; i < taps; i++) {
        memcpy(block + (size_t)i * taps, r + (first + i) * n + first, taps * sizeof(*block));
    }
}

/* Turns rows and columns p and q so that a[p][q] becomes 0. */
static void rotate(uint32_t n, double *a, uint32_t p, uint32_t q)
{
    const double off = a[(size_t)p * n + q];
    if (off == 0) {
        return;
    }
    const double theta = (a[(size_t)q * n + q] - a[(size_t)p * n + p]) / (2 * off);
    const double t = (theta < 0 ? -1 : 1) / (fabs(theta) + hypot(theta, 1));
    const double c = 1 / hypot(t, 1), s = t * c;
    for (uint32_t k = 0; k < n; k++) {
        const double x = a[(size_t)k * n + p], y = a[(size_t)k * n + q];
        a[(size_t)k * n + p] = c * x - s * y;
        a[(size_t)k * n + q] = s * x + c * y;
    }
    for (uint32_t k = 0; k < n; k++) {
        const double x = a[(size_t)p * n + k], y = a[(size_t)q * n + k];
        a[(size_t)p * n + k] = c * x - s * y;
        a[(size_t)q * n + k] = s * x + c * y;
    }
}

static bool is_diagonal(uint32_t n, const double *a)
{
    double all = 0, off = 0;
    for (size_t i = 0; i < (size_t)n * n; i++) {
        all += a[i] * a[i];
        off += i / n != i % n ? a[i] * a[i] : 0;
    }
    return !(off > OFF_DIAGONAL * all);
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void lab_bn_eigenvalues(uint32_t n, double *a, double *values)
{
    for (int sweep = 0; sweep < SWEEPS_MAX && !is_diagonal(n, a); sweep++) {
        for (uint32_t p = 0; p + 1 < n; p++) {
            for (uint32_t q = p + 1; q < n; q++) {
                rotate(n, a, p, q);
            }
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        values[i] = a[(size_t)i * n + i];
    }
    qsort(values, n, sizeof(*values), compare);
}

/* to = r from; returns its length. */
static double apply(uint32_t n, const double *r, const double *from, double *to)
{
    double squares = 0;
    for (uint32_t i = 0; i < n; i++) {
        to[i] = 0;
        for (uint32_t j = 0; j < n; j++) {
            to[i] += r[(size_t)i * n + j] * from[j];
        }
        squares += to[i] * to[i];
    }
    return sqrt(squares);
}

double lab_bn_largest(uint32_t n, const double *r)
{
    double v[LAB_BN_MODES_MAX], next[LAB_BN_MODES_MAX], largest = 0;
    for (uint32_t i = 0; i < n; i++) {
        v[i] = (1 + 0.5 * sin(i + 1.0)) / sqrt(n); /* at a right angle to no likely eigenvector */
    }
    for (int k = 0; k < ITERATIONS_MAX; k++) {
        const double length = apply(n, r, v, next), before = largest;
        if (!(length > 0)) {
            return 0;
        }
        for (uint32_t i = 0; i < n; i++) {
            v[i] = next[i] / length;
        }
        largest = length;
        if (fabs(largest - before) <= SETTLED * largest) {
            break;
        }
    }
    return largest;
}
