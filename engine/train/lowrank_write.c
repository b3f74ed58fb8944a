/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What becomes of accumulated factors: the sizes that scale a step, and the function that writes
 * weights. Loops go in blocks of one width on every processor, for compilers to vectorise.
 */
#include "engine/train/lowrank.h"

#include <math.h>
#include <string.h>

#define LANES        8u
#define MAX_NORM_MIN 1e-4f
#define MAX_NORM_OLD 0.999f
#define MAX_NORM_NEW 0.001f
#define LAMBDA_NEW   0.2f
#define ROW_BLOCK    256u
#define STEP_MAX     1e6f /* far beyond any code, far inside int32 */

float train_max_norm(struct train_max_norm *state, size_t n, const float *v)
{
    float most[LANES] = {0}, x = 0;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        for (size_t k = 0; k < LANES; k++) {
            const float size = fabsf(v[i + k]);
            most[k] = size > most[k] ? size : most[k];
        }
    }
    for (; i < n; i++) {
        x = fmaxf(x, fabsf(v[i]));
    }
    for (size_t k = 0; k < LANES; k++) {
        x = fmaxf(x, most[k]);
    }
    x += MAX_NORM_MIN;
    if (state->weight == 0) {
        state->mean = MAX_NORM_MIN;
    }
    state->mean = MAX_NORM_OLD * state->mean + MAX_NORM_NEW * x;
    state->weight = MAX_NORM_OLD * state->weight + MAX_NORM_NEW;
    return fmaxf(x, state->mean / state->weight);
}

static float dot(size_t n, const float *x, const float *y)
{
    float sums[LANES] = {0}, sum = 0;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        for (size_t k = 0; k < LANES; k++) {
            sums[k] += x[i + k] * y[i + k];
        }
    }
    for (; i < n; i++) {
        sum += x[i] * y[i];
    }
    for (size_t k = 0; k < LANES; k++) {
        sum += sums[k];
    }
    return sum;
}

float train_nlms(size_t n, const float *a, float epsilon)
{
    return 1 / (epsilon + dot(n, a, a));
}

void train_lambda_init(struct train_lambda *lambda, uint32_t length, uint32_t block, float *v,
                       float *y)
{
    *lambda = (struct train_lambda){.length = length, .block = block, .v = v, .y = y};
    for (uint32_t i = 0; i < length; i++) {
        v[i] = 1 / sqrtf((float)length); /* activations are not negative: never orthogonal */
        y[i] = 0;
    }
}

void train_lambda_add(struct train_lambda *lambda, const float *a)
{
    const uint32_t n = lambda->length;
    const float p = dot(n, lambda->v, a);
    float size, value;

    for (uint32_t i = 0; i < n; i++) {
        lambda->y[i] += p * a[i];
    }
    if (++lambda->seen < lambda->block) {
        return;
    }
    size = sqrtf(dot(n, lambda->y, lambda->y));
    value = size / (float)lambda->seen;
    if (size > 0) {
        for (uint32_t i = 0; i < n; i++) {
            lambda->v[i] = lambda->y[i] / size;
        }
    }
    lambda->value += lambda->blocks == 0 ? value : LAMBDA_NEW * (value - lambda->value);
    lambda->blocks++;
    lambda->seen = 0;
    memset(lambda->y, 0, n * sizeof(*lambda->y));
}

uint64_t train_cells_step(const struct train_cells *cells, size_t at, const int32_t *steps,
                          size_t n, bool write)
{
    int8_t *codes = cells->codes + at;
    uint64_t changed = 0;

    for (size_t i = 0; i < n; i++) {
        const int64_t to = (int64_t)codes[i] - steps[i];
        const int8_t code = (int8_t)(to < cells->low    ? cells->low
                                     : to > cells->high ? cells->high
                                                        : to);

        if (code == codes[i]) {
            continue;
        }
        changed++;
        if (write) {
            codes[i] = code;
            if (cells->writes != NULL) {
                cells->writes[at + i]++;
            }
        }
    }
    return changed;
}

void train_lowrank_product(uint32_t rank, uint32_t rows, uint32_t columns, const float *left,
                           const float *right, float scale, float *out)
{
    for (uint32_t i = 0; i < rows; i++) {
        float *to = out + (size_t)i * columns;

        memset(to, 0, columns * sizeof(*to));
        for (uint32_t k = 0; k < rank; k++) {
            const float by = scale * left[(size_t)k * rows + i];
            const float *from = right + (size_t)k * columns;

            for (uint32_t j = 0; j < columns; j++) {
                to[j] += by * from[j];
            }
        }
    }
}

static int32_t rounded(float x)
{
    const float size = floorf(fabsf(x) + 0.5f);

    return (int32_t)copysignf(size < STEP_MAX ? size : STEP_MAX, x); /* NaN: a step of STEP_MAX */
}

struct low_rank {
    uint32_t rank, rows, columns;
    const float *left, *right;
    float scale;
};

static uint64_t step_all(const struct train_cells *cells, const struct low_rank *f, bool write)
{
    uint64_t changed = 0;

    for (uint32_t i = 0; i < f->rows; i++) {
        for (uint32_t from = 0; from < f->columns; from += ROW_BLOCK) {
            const uint32_t n = f->columns - from < ROW_BLOCK ? f->columns - from : ROW_BLOCK;
            float sums[ROW_BLOCK] = {0};
            int32_t steps[ROW_BLOCK];

            for (uint32_t k = 0; k < f->rank; k++) {
                const float by = f->scale * f->left[(size_t)k * f->rows + i];
                const float *right = f->right + (size_t)k * f->columns + from;

                for (uint32_t j = 0; j < n; j++) {
                    sums[j] += by * right[j];
                }
            }
            for (uint32_t j = 0; j < n; j++) {
                steps[j] = rounded(sums[j]);
            }
            changed += train_cells_step(cells, (size_t)i * f->columns + from, steps, n, write);
        }
    }
    return changed;
}

void train_lowrank_write(const struct train_cells *cells, uint32_t rank, uint32_t rows,
                         uint32_t columns, const float *left, const float *right, float scale,
                         float hold, struct train_written *ret_written)
{
    const struct low_rank f = {rank, rows, columns, left, right, scale};
    struct train_written written = {.changed = step_all(cells, &f, false)};

    written.wrote = (double)written.changed > (double)hold * (double)cells->count;
    if (written.wrote) {
        step_all(cells, &f, true);
    }
    *ret_written = written;
}
