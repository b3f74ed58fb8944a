/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The accumulator of lowrank.h: one term at a time, in the order of its steps 1 to 5.
 */
#include "engine/train/lowrank.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/train/ops.h"
#include "engine/train/svd.h"
#include "engine/train/train.h"

#define ALIGNMENT 64u
#define TINY      1e-12
#define ROUNDING  1e-5f    /* a remainder this small beside its vector is rounding, no direction */
#define COARSE    32767.0f /* steps of 16 bit on each side */

/* One of the two factors: rank rows and the row that a term comes into. */
struct factor {
    uint32_t length;
    size_t pitch; /* length, padded */
    float *rows;
};

struct train_lowrank {
    struct train_lowrank_settings settings;
    const struct train_lowrank_ops *ops;
    struct factor left, right;
    /* What follows, and the rows, is the state that train_lowrank_save copies. */
    struct state {
        double values[TRAIN_LOWRANK_MAX];
        uint64_t terms, skipped, drawn; /* drawn: words of random signs */
        double batch;
    } state;
    float rows[];
};

static size_t padded(uint32_t length)
{
    return ((size_t)length + TRAIN_LOWRANK_LANE - 1) / TRAIN_LOWRANK_LANE * TRAIN_LOWRANK_LANE;
}

static size_t row_bytes(const struct train_lowrank_settings *s)
{
    return (s->rank + 1) * (padded(s->rows) + padded(s->columns)) * sizeof(float);
}

size_t train_lowrank_bytes(const struct train_lowrank_settings *settings)
{
    return sizeof(struct train_lowrank) + ALIGNMENT + row_bytes(settings);
}

const struct train_lowrank_ops *train_lowrank_ops_find(uint32_t cpu)
{
    const struct train_ops *ops = train_ops_find(cpu);

#if defined(__x86_64__)
    if (ops == &train_ops_avx512 || ops == &train_ops_avx512bf16) {
        return &train_lowrank_ops_avx512;
    }
    if (ops == &train_ops_avx2) {
        return &train_lowrank_ops_avx2;
    }
#endif
    (void)ops;
    return &train_lowrank_ops_c;
}

int train_lowrank_create(const struct train_lowrank_settings *settings,
                         struct train_lowrank **ret_lowrank)
{
    struct train_lowrank *lowrank;
    const struct train_lowrank_settings *s = settings;

    if (s->rows == 0 || s->rows > TRAIN_LOWRANK_SIDE || s->columns == 0 ||
        s->columns > TRAIN_LOWRANK_SIDE || s->rank == 0 || s->rank > TRAIN_LOWRANK_MAX ||
        !(s->kappa >= 0) || !(s->discount > 0 && s->discount <= 1)) {
        return -EINVAL;
    }
    lowrank = calloc(1, train_lowrank_bytes(s));
    if (lowrank == NULL) {
        return -ENOMEM;
    }
    lowrank->settings = *s;
    lowrank->ops = train_lowrank_ops_find(s->cpu);
    lowrank->left = (struct factor){.length = s->rows, .pitch = padded(s->rows)};
    lowrank->right = (struct factor){.length = s->columns, .pitch = padded(s->columns)};
    lowrank->left.rows =
        (float *)(((uintptr_t)lowrank->rows + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    lowrank->right.rows = lowrank->left.rows + (s->rank + 1) * lowrank->left.pitch;
    *ret_lowrank = lowrank;
    return 0;
}

void train_lowrank_destroy(struct train_lowrank *lowrank)
{
    free(lowrank);
}

/* ---- one term ---- */

/* Mixed block of OK(): the values from *ret_from on; returns their common new value. */
static double mixed_block(uint32_t q, const double *values, uint32_t *ret_from)
{
    uint32_t from = q - 1, k = 0;
    double sum = values[q - 1];

    while (from > 0 && (k + 1) * values[from - 1] <= sum + values[from - 1]) {
        from--;
        k++;
        sum += values[from];
    }
    *ret_from = from;
    return sum / k;
}

/* Returns the first column of the block that is mixed: q - 1 where none is. */
static uint32_t mix_small(uint32_t q, const double *values, const int8_t *signs, double *mix,
                          double *ret_values)
{
    const uint32_t r = q - 1;
    double v[TRAIN_SVD_MAX], common;
    uint32_t from;

    memset(mix, 0, (size_t)q * r * sizeof(*mix));
    if (!(values[r] > TINY * values[0])) {
        for (uint32_t j = 0; j < r; j++) {
            mix[j * r + j] = 1;
            ret_values[j] = values[j];
        }
        return r;
    }
    common = mixed_block(q, values, &from);
    for (uint32_t j = 0; j < from; j++) {
        mix[j * r + j] = 1;
        ret_values[j] = values[j];
    }
    for (uint32_t i = from; i < q; i++) {
        v[i] = sqrt(fmax(0, 1 - values[i] / common)); /* a unit vector, but for rounding */
    }
    v[from] -= 1; /* of a Householder reflection; not near 0, values[from] being the largest */
    for (uint32_t j = from; j < r; j++) {
        ret_values[j] = common;
        for (uint32_t i = from; i < q; i++) {
            mix[i * r + j] = signs[i] * ((i == j + 1) + v[i] * v[j + 1] / v[from]);
        }
    }
    return from;
}

void train_lowrank_mix(uint32_t q, const double *values, const int8_t *signs, double *mix,
                       double *ret_values)
{
    mix_small(q, values, signs, mix, ret_values);
}

static void draw_signs(struct train_lowrank *lowrank, int8_t signs[TRAIN_SVD_MAX])
{
    const struct train_lowrank_settings *s = &lowrank->settings;
    const uint64_t bits = train_random(s->seed, s->stream, lowrank->state.drawn++);

    for (uint32_t i = 0; i < TRAIN_SVD_MAX; i++) {
        signs[i] = (bits >> i & 1) != 0 ? 1 : -1;
    }
}

/* turn[j][i] = sum over k of vectors[k][i] mix[k][j]; the last column divided by the norm of the
 * remainder, which was not normalised. Column j of mix is that of the identity below `from`. */
static void make_turn(uint32_t q, const double *vectors, const double *mix, uint32_t from,
                      double norm, float *turn)
{
    const uint32_t r = q - 1;
    const double last = norm > 0 ? 1 / norm : 0;

    for (uint32_t j = 0; j < r; j++) {
        double row[TRAIN_SVD_MAX];

        memcpy(row, vectors + (size_t)j * q, q * sizeof(*row));
        if (j >= from) {
            memset(row, 0, q * sizeof(*row));
            for (uint32_t k = from; k < q; k++) {
                for (uint32_t i = 0; i < q; i++) {
                    row[i] += vectors[k * q + i] * mix[k * r + j];
                }
            }
        }
        row[r] *= last;
        for (uint32_t i = 0; i < q; i++) {
            turn[j * q + i] = (float)row[i];
        }
    }
}

static void turn_factor(const struct train_lowrank *lowrank, struct factor *factor,
                        const float *turn)
{
    const uint32_t rank = lowrank->settings.rank;
    const float largest = lowrank->ops->turn(rank, factor->pitch, factor->rows, turn);

    if (lowrank->settings.coarse && largest > 0) {
        lowrank->ops->coarsen(rank * factor->pitch, factor->rows, largest / COARSE);
    }
}

/* Steps 3 to 5. l and k: coefficients of the term that lies in the last rows. */
static void take_in(struct train_lowrank *lowrank, const float *l, const float *k)
{
    const uint32_t r = lowrank->settings.rank, q = r + 1;
    struct state *state = &lowrank->state;
    double c[TRAIN_SVD_MAX * TRAIN_SVD_MAX] = {0}, u[TRAIN_SVD_MAX * TRAIN_SVD_MAX];
    double v[TRAIN_SVD_MAX * TRAIN_SVD_MAX], mix[TRAIN_SVD_MAX * TRAIN_LOWRANK_MAX];
    double values[TRAIN_SVD_MAX];
    float turn[TRAIN_LOWRANK_MAX * TRAIN_SVD_MAX];
    int8_t signs[TRAIN_SVD_MAX];
    uint32_t from = r;

    for (uint32_t i = 0; i < q; i++) {
        for (uint32_t j = 0; j < q; j++) {
            c[i * q + j] = (double)l[i] * (double)k[j];
        }
    }
    for (uint32_t i = 0; i < r; i++) {
        c[i * q + i] += state->values[i];
    }
    lowrank->ops->svd(q, c, u, values, v);
    if (lowrank->settings.unbiased) {
        draw_signs(lowrank, signs);
        from = mix_small(q, values, signs, mix, state->values);
    } else {
        memcpy(state->values, values, r * sizeof(*values));
    }
    make_turn(q, u, mix, from, (double)l[r], turn);
    turn_factor(lowrank, &lowrank->left, turn);
    make_turn(q, v, mix, from, (double)k[r], turn);
    turn_factor(lowrank, &lowrank->right, turn);
}

static bool all_zero(const float *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (x[i] != 0) {
            return false;
        }
    }
    return true;
}

/* Step 1 for one factor, whose last row the vector is. */
static void project(const struct train_lowrank *lowrank, const struct factor *factor,
                    float *coefficients)
{
    const uint32_t rank = lowrank->settings.rank;
    float size = 0;

    lowrank->ops->project(rank, factor->pitch, factor->rows, coefficients);
    for (uint32_t j = 0; j <= rank; j++) {
        size += coefficients[j] * coefficients[j];
    }
    if (coefficients[rank] < ROUNDING * sqrtf(size)) {
        coefficients[rank] = 0;
    }
}

void train_lowrank_add_window(struct train_lowrank *lowrank, const float *dz, const float *from,
                              uint32_t lines, size_t pitch)
{
    const struct train_lowrank_settings *s = &lowrank->settings;
    const size_t line = s->columns / lines;
    float *left = lowrank->left.rows + s->rank * lowrank->left.pitch;
    float *right = lowrank->right.rows + s->rank * lowrank->right.pitch;
    float l[TRAIN_SVD_MAX], k[TRAIN_SVD_MAX];

    lowrank->state.terms++;
    if (all_zero(dz, s->rows)) {
        return;
    }
    memcpy(left, dz, s->rows * sizeof(*left));
    for (uint32_t i = 0; i < lines; i++) {
        memcpy(right + i * line, from + i * pitch, line * sizeof(*right));
    }
    if (all_zero(right, s->columns)) {
        return;
    }
    project(lowrank, &lowrank->left, l);
    project(lowrank, &lowrank->right, k);
    if (s->kappa > 0 &&
        lowrank->state.values[0] > (double)s->kappa * (double)l[s->rank] * (double)k[s->rank]) {
        lowrank->state.skipped++;
        return;
    }
    take_in(lowrank, l, k);
}

void train_lowrank_add(struct train_lowrank *lowrank, const float *dz, const float *a)
{
    train_lowrank_add_window(lowrank, dz, a, 1, 0);
}

/* ---- the rest ---- */

void train_lowrank_count(struct train_lowrank *lowrank, float images)
{
    lowrank->state.batch =
        (double)lowrank->settings.discount * lowrank->state.batch + (double)images;
}

void train_lowrank_keep(struct train_lowrank *lowrank)
{
    for (uint32_t j = 0; j < lowrank->settings.rank; j++) {
        lowrank->state.values[j] *= (double)lowrank->settings.discount;
    }
}

void train_lowrank_reset(struct train_lowrank *lowrank)
{
    memset(lowrank->left.rows, 0, row_bytes(&lowrank->settings));
    memset(lowrank->state.values, 0, sizeof(lowrank->state.values));
    lowrank->state.batch = 0;
}

void train_lowrank_get(const struct train_lowrank *lowrank,
                       struct train_lowrank_counters *ret_counters)
{
    struct train_lowrank_counters counters = {.terms = lowrank->state.terms,
                                              .skipped = lowrank->state.skipped,
                                              .batch = (float)lowrank->state.batch};

    for (uint32_t j = 0; j < lowrank->settings.rank; j++) {
        counters.values[j] = (float)lowrank->state.values[j];
        counters.rank += lowrank->state.values[j] > 0;
    }
    *ret_counters = counters;
}

static void scale_rows(const struct train_lowrank *lowrank, const struct factor *factor, float *out)
{
    for (uint32_t j = 0; j < lowrank->settings.rank; j++) {
        const float root = (float)sqrt(lowrank->state.values[j]);
        const float *row = factor->rows + j * factor->pitch;

        for (uint32_t i = 0; i < factor->length; i++) {
            out[(size_t)j * factor->length + i] = root * row[i];
        }
    }
}

void train_lowrank_factors(const struct train_lowrank *lowrank, float *left, float *right)
{
    scale_rows(lowrank, &lowrank->left, left);
    scale_rows(lowrank, &lowrank->right, right);
}

size_t train_lowrank_state_bytes(const struct train_lowrank *lowrank)
{
    return sizeof(lowrank->state) + row_bytes(&lowrank->settings);
}

void train_lowrank_save(const struct train_lowrank *lowrank, void *state)
{
    memcpy(state, &lowrank->state, sizeof(lowrank->state));
    memcpy((char *)state + sizeof(lowrank->state), lowrank->left.rows,
           row_bytes(&lowrank->settings));
}

void train_lowrank_restore(struct train_lowrank *lowrank, const void *state)
{
    memcpy(&lowrank->state, state, sizeof(lowrank->state));
    memcpy(lowrank->left.rows, (const char *)state + sizeof(lowrank->state),
           row_bytes(&lowrank->settings));
}
