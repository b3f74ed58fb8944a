/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * engine/train, low-rank training (LRT; Gural, Nadeau, Tikekar, Murmann 2020, 2009.03887): the sum
 * of many outer products in rank r, what scales a step made of it, and the one function that writes
 * weights. It knows nothing of layers or networks.
 *
 * ACCUMULATOR
 *   G = sum of dz (x) a is kept as sum over j < r of c[j] QL[j] (x) QR[j], rows of QL and QR
 *   orthonormal up to rounding, c >= 0. A term (dz, a):
 *     1  modified Gram-Schmidt against QL and QR gives coefficients l, k of length r + 1, the last
 *        ones being the norms of the remainders, which become the last rows of QL and QR (0 where
 *        one is below 1e-5 of its vector and so mere rounding)
 *     2  kappa > 0 and c[0] > kappa * l[r] * k[r]: the term is skipped (counted). Bias of the
 *        estimate is the price
 *     3  singular values s and vectors U, V of  l k' + diag(c, 0)
 *     4  biased: the r largest stay. Unbiased: train_lowrank_mix below, signs by train_random
 *     5  QL = (U X)' QL, QR = (V X)' QR; with `coarse` both are held to 16 bit, the scale being the
 *        largest |element| of the matrix
 *   A term with dz = 0 or a = 0 changes nothing and is not counted as skipped.
 *   float32, except for the small matrices of steps 2 to 4, which are double.
 *
 * STEP
 *   L = QL' diag(sqrt c), R = QR' diag(sqrt c); after max-norm of each,
 *   step = rate * sqrt(batch) * L R', batch = discount * batch + images since the last try. Where
 *   train_lowrank_write holds back, c is multiplied by discount and accumulation goes on; where it
 *   wrote, the accumulator is reset and batch is 0.
 *
 * Results of one instruction set repeat; those of different sets differ by rounding.
 */
#ifndef OCELLUS_ENGINE_TRAIN_LOWRANK_H
#define OCELLUS_ENGINE_TRAIN_LOWRANK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRAIN_LOWRANK_MAX  10u    /* rank */
#define TRAIN_LOWRANK_SIDE 65536u /* rows, columns; together at most twice that */

struct train_lowrank;

struct train_lowrank_settings {
    uint32_t rows, columns; /* length of dz and of a; 1..TRAIN_LOWRANK_SIDE */
    uint32_t rank;          /* 1..TRAIN_LOWRANK_MAX */
    bool unbiased;
    bool coarse;           /* factors of 16 bit */
    float kappa;           /* the paper's 100; 0: nothing is skipped */
    float discount;        /* (0, 1], the paper's 1 */
    uint64_t seed, stream; /* of the signs */
    uint32_t cpu;          /* kernel_cpu_detect() & mask */
};

struct train_lowrank_counters {
    uint64_t terms;                  /* seen, all zero ones included, since create */
    uint64_t skipped;                /* by kappa, since create */
    float batch;                     /* effective batch since the last reset, after discounts */
    uint32_t rank;                   /* values of c that are not 0 */
    float values[TRAIN_LOWRANK_MAX]; /* c; their squares are the energy */
};

/* One allocation. Errors: -EINVAL  settings out of range, -ENOMEM. */
int train_lowrank_create(const struct train_lowrank_settings *settings,
                         struct train_lowrank **ret_lowrank);
void train_lowrank_destroy(struct train_lowrank *lowrank);
size_t train_lowrank_bytes(const struct train_lowrank_settings *settings);

/* Add one term. dz [rows] and a [columns] are only read and need no alignment; finite. */
void train_lowrank_add(struct train_lowrank *lowrank, const float *dz, const float *a);

/* The same, a being a window of a map: `lines` lines of columns / lines floats each, `pitch` floats
 * apart (im2col without the copy made by the caller). lines divides columns. */
void train_lowrank_add_window(struct train_lowrank *lowrank, const float *dz, const float *from,
                              uint32_t lines, size_t pitch);

/* batch = discount * batch + images. Once before each try to write. */
void train_lowrank_count(struct train_lowrank *lowrank, float images);
/* After a try that held back: c *= discount. */
void train_lowrank_keep(struct train_lowrank *lowrank);
/* After a write: QL, QR, c and batch are 0. Counters and the stream of signs go on. */
void train_lowrank_reset(struct train_lowrank *lowrank);

void train_lowrank_get(const struct train_lowrank *lowrank,
                       struct train_lowrank_counters *ret_counters);

/* left [rank][rows] = QL[j] sqrt c[j], right [rank][columns] likewise; rows beyond the present rank
 * are 0. */
void train_lowrank_factors(const struct train_lowrank *lowrank, float *left, float *right);

/* out [rows][columns] = scale * sum over j of left[j] (x) right[j]. */
void train_lowrank_product(uint32_t rank, uint32_t rows, uint32_t columns, const float *left,
                           const float *right, float scale, float *out);

/* Length of everything that another accumulator of the same settings needs to go on with the same
 * bytes, and that copy. Layout is of this build and machine: for memory, not for files. */
size_t train_lowrank_state_bytes(const struct train_lowrank *lowrank);
void train_lowrank_save(const struct train_lowrank *lowrank, void *state);
void train_lowrank_restore(struct train_lowrank *lowrank, const void *state);

/*
 * OK() of Benzing et al. 2019 as used by LRT: the unbiased estimator of least variance of
 * diag(values), rank q - 1, from random signs. values [q], descending, >= 0, q in 2..11; signs
 * [q], each +1 or -1. mix is [q][q - 1] with orthonormal columns, ret_values [q - 1], descending:
 * the mean over all signs of mix diag(ret_values) mix' is diag(values). Pure.
 */
void train_lowrank_mix(uint32_t q, const double *values, const int8_t *signs, double *mix,
                       double *ret_values);

/* ---- what scales a step ---- */

/* Max-norm (appendix D): returns the divisor max(x, running mean of it), x = max |v| + 1e-4. The
 * running mean starts at 1e-4, has weight 0.999 and is corrected for its start as in the authors'
 * code. One state per normalised vector or factor; a zeroed state is the start. */
struct train_max_norm {
    float mean, weight; /* weight: 1 - 0.999^steps */
};
float train_max_norm(struct train_max_norm *state, size_t n, const float *v);

/* Normalised LMS: 1 / (epsilon + |a|^2). */
float train_nlms(size_t n, const float *a, float epsilon);

/*
 * Largest eigenvalue of the autocorrelation E[a a'] of a layer's inputs, followed by power
 * iteration: blocks of `block` vectors give y = mean of <v, a> a; the value moves to |y|, v to
 * y / |y|. A step of least mean squares is stable below 2 / value (papers: BatchNorm as NLMS).
 * Memory is the caller's.
 */
struct train_lambda {
    uint32_t length, block, seen; /* seen: vectors of the block that is under way */
    uint64_t blocks;
    float value;  /* 0: no block is complete */
    float *v, *y; /* [length] each */
};
void train_lambda_init(struct train_lambda *lambda, uint32_t length, uint32_t block, float *v,
                       float *y);
void train_lambda_add(struct train_lambda *lambda, const float *a);

/* ---- writing weights ---- */

/* Weights that exist as codes alone. */
struct train_cells {
    int8_t *codes;
    uint32_t *writes; /* writes to each cell so far; NULL: not counted */
    size_t count;
    int8_t low, high; /* limits of a code: -127 and 127 for packed models */
};

struct train_written {
    uint64_t changed; /* cells that change, or would have */
    bool wrote;
};

/* code = code - step held to low .. high, for the n cells from `at`. Only cells that change are
 * written, and counted once each. Returns how many change; with `write` false nothing is touched.
 * The only function that writes weights. */
uint64_t train_cells_step(const struct train_cells *cells, size_t at, const int32_t *steps,
                          size_t n, bool write);

/*
 * Step of rank `rank`: cell (i, j), row-major, steps by round(scale * sum left[k][i] right[k][j]),
 * in units of a code, halves away from zero. Nothing is written unless more than hold * count cells
 * would change (rho_min; the paper's 0.01; negative: always written). cells->count == rows *
 * columns. Pure but for the cells.
 */
void train_lowrank_write(const struct train_cells *cells, uint32_t rank, uint32_t rows,
                         uint32_t columns, const float *left, const float *right, float scale,
                         float hold, struct train_written *ret_written);

#endif
