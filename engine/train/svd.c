/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Singular values and vectors of one small matrix by one-sided Jacobi rotations. Built once per
 * instruction set, as train_svd_ISA.
 */
#include "engine/train/svd.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define LANE      8u
#define LANES_MAX 2u /* of TRAIN_SVD_MAX values */
#define SWEEPS    30u
/* Columns whose cosine is below this are orthogonal. The square of the cosine is what a singular
 * value would still change by. */
#define COSINE     1e-9
#define NEGLIGIBLE 1e-15

#if defined(__AVX512F__)
#include <immintrin.h>
#define BYTES 64
#elif defined(__AVX2__)
#define BYTES 32
#else
#define BYTES 16
#endif
typedef double vector __attribute__((vector_size(BYTES)));
#define PARTS (LANE * sizeof(double) / BYTES) /* vectors of a lane */

/* A column of the matrix and the same column of V under it. */
struct column {
    vector a[LANES_MAX * PARTS], v[LANES_MAX * PARTS];
    double norm; /* squared */
};

static inline double sum_of(const vector *x)
{
#if defined(__AVX512F__)
    return _mm512_reduce_add_pd((__m512d)*x);
#else
    double parts[BYTES / sizeof(double)], sum = 0;

    memcpy(parts, x, sizeof(parts));
    for (size_t i = 0; i < BYTES / sizeof(double); i += 2) {
        sum += parts[i] + parts[i + 1];
    }
    return sum;
#endif
}

static inline double dot(const vector *x, const vector *y, uint32_t parts)
{
    vector sum = x[0] * y[0];

    for (uint32_t i = 1; i < parts; i++) {
        sum += x[i] * y[i];
    }
    return sum_of(&sum);
}

static inline void rotate(vector *x, vector *y, double c, double s, uint32_t parts)
{
    for (uint32_t i = 0; i < parts; i++) {
        const vector first = x[i];

        x[i] = c * first - s * y[i];
        y[i] = s * first + c * y[i];
    }
}

/* Make two columns orthogonal. Returns whether they were not. */
static inline bool orthogonalise(struct column *x, struct column *y, uint32_t parts)
{
    const double g = dot(x->a, y->a, parts), difference = y->norm - x->norm;
    double t, c;

    if (!(g * g > COSINE * COSINE * x->norm * y->norm)) {
        return false;
    }
    t = 2 * g / (difference + copysign(sqrt(difference * difference + 4 * g * g), difference));
    c = 1 / sqrt(1 + t * t);
    rotate(x->a, y->a, c, c * t, parts);
    rotate(x->v, y->v, c, c * t, parts);
    x->norm -= t * g;
    y->norm += t * g;
    return true;
}

static inline bool sweep(struct column *columns, uint32_t q, uint32_t parts)
{
    const uint32_t players = (q + 1) & ~1u;
    bool moved = false;

    for (uint32_t i = 0; i < q; i++) {
        columns[i].norm = dot(columns[i].a, columns[i].a, parts);
    }
    for (uint32_t round = 0; round + 1 < players; round++) {
        for (uint32_t k = 0; k < players / 2; k++) {
            /* The last player stays, the others move in a circle. */
            uint32_t i = k == 0 ? players - 1 : (round + k) % (players - 1);
            uint32_t j = (round + players - 1 - k) % (players - 1);

            if (i < q && j < q) {
                moved |= orthogonalise(&columns[i], &columns[j], parts);
            }
        }
    }
    return moved;
}

static void fill(struct column *columns, uint32_t q, const double *a, double scale)
{
    memset(columns, 0, q * sizeof(*columns));
    for (uint32_t j = 0; j < q; j++) {
        double *column = (double *)columns[j].a, *v = (double *)columns[j].v;

        for (uint32_t i = 0; i < q; i++) {
            column[i] = a[i * q + j] * scale;
        }
        v[j] = 1;
    }
}

/* Row k of u becomes a unit vector orthogonal to the rows before it: the best of the axes. */
static void complete(uint32_t q, uint32_t k, double *u)
{
    double best = 0;

    for (uint32_t axis = 0; axis < q; axis++) {
        double x[TRAIN_SVD_MAX] = {0}, norm = 0;

        x[axis] = 1;
        for (uint32_t pass = 0; pass < 2; pass++) {
            for (uint32_t j = 0; j < k; j++) {
                double c = 0;
                for (uint32_t i = 0; i < q; i++) {
                    c += x[i] * u[j * q + i];
                }
                for (uint32_t i = 0; i < q; i++) {
                    x[i] -= c * u[j * q + i];
                }
            }
        }
        for (uint32_t i = 0; i < q; i++) {
            norm += x[i] * x[i];
        }
        if (norm > best) {
            best = norm;
            for (uint32_t i = 0; i < q; i++) {
                u[k * q + i] = x[i] / sqrt(norm);
            }
        }
    }
}

static void order_columns(const struct column *columns, uint32_t q, uint32_t *order)
{
    for (uint32_t k = 0; k < q; k++) {
        uint32_t at = k;

        while (at > 0 && columns[order[at - 1]].norm < columns[k].norm) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = k;
    }
}

void TRAIN_NAME(train_svd)(uint32_t q, const double *a, double *u, double *values, double *v)
{
    const uint32_t parts = (uint32_t)PARTS * (q > LANE ? 2 : 1);
    struct column columns[TRAIN_SVD_MAX];
    uint32_t order[TRAIN_SVD_MAX] = {0};
    double largest = 0, scale;
    int exponent;

    for (uint32_t i = 0; i < q * q; i++) {
        largest = fabs(a[i]) > largest ? fabs(a[i]) : largest;
    }
    frexp(largest, &exponent); /* squares neither overflow nor vanish */
    exponent = exponent < -1000 ? -1000 : exponent;
    scale = ldexp(1, exponent);
    fill(columns, q, a, 1 / scale);
    for (uint32_t i = 0; i < SWEEPS && sweep(columns, q, parts); i++) {
    }
    for (uint32_t i = 0; i < q; i++) {
        columns[i].norm = dot(columns[i].a, columns[i].a, parts);
    }
    order_columns(columns, q, order);
    largest = sqrt(columns[order[0]].norm);
    for (uint32_t k = 0; k < q; k++) {
        const struct column *column = &columns[order[k]];
        const double value = sqrt(column->norm);

        memcpy(v + (size_t)k * q, column->v, q * sizeof(*v));
        if (value > NEGLIGIBLE * largest) {
            const double inverse = 1 / value;
            const double *from = (const double *)column->a;

            values[k] = value * scale;
            for (uint32_t i = 0; i < q; i++) {
                u[k * q + i] = from[i] * inverse;
            }
        } else {
            values[k] = 0;
            complete(q, k, u);
        }
    }
}
