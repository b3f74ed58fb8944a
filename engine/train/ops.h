/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The inner loops of training, as one table per instruction set. All sets do the same sums; they
 * differ in the order of additions and in fused multiply-adds, so results agree to rounding only.
 */
#ifndef OCELLUS_ENGINE_TRAIN_OPS_H
#define OCELLUS_ENGINE_TRAIN_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A log code: exponents low .. high on a grid of 1, or of 1/2 with `root`, and zero below. With
 * step > 0 a linear one instead: multiples of step, a power of two, up to top. */
struct train_power {
    int32_t low, high;
    bool root;
    float step, top;
};

/*
 * A product of matrices whose rows may overlap, which is what a convolution is:
 *
 *   c[l * c_line + i * c_row + j]  (+)=  sum over o < outer, k < inner of
 *       a[l * a_line + i * a_row + o * a_outer + k * a_inner] * b[o * b_outer + k * b_inner + j]
 *
 * for l < lines, i < rows, j < columns. Strides are in floats. With `panel`, b is cut into panels
 * of TRAIN_PANEL columns: b_inner is TRAIN_PANEL, panels are `panel` floats apart, and the last one
 * is filled up with zeros.
 *
 * With `pairs`, each element of a and b is two bfloat16 in place of a float, a pair of terms of the
 * sum: both halves are multiplied, low by low and high by high, and added in float.
 *
 * With `signs` it is 32 terms that are 1 or -1, a bit of each, set where it is -1: c is the number
 * of terms less twice that of unequal bits (BinaryNet; papers call it XNOR and popcount).
 */
struct train_product {
    const float *a;
    ptrdiff_t a_line, a_row, a_outer, a_inner;
    const float *b;
    ptrdiff_t b_outer, b_inner, panel;
    float *c;
    ptrdiff_t c_line, c_row;
    uint32_t lines, rows, columns, outer, inner;
    bool accumulate;   /* add to c instead of overwriting it */
    bool pairs, signs; /* a and b are arrays of uint32_t, seen through float pointers */
};

#define TRAIN_PANEL 32u

/* Windows of one row of outputs: out[x][c] looks at from[ky][x * stride + kx][c], rows `row` apart.
 */
struct train_window {
    const float *from;
    size_t row;
    uint32_t width, channels, kernel[2], stride;
};

enum train_function {
    TRAIN_PASS = 0,
    TRAIN_RAMP,  /* relu */
    TRAIN_HOLD,  /* held to [-1, 1] */
    TRAIN_ROUND, /* floor(z + 1/2), gradients pass */
    TRAIN_STEPS, /* the same, held to [0, 127]; gradients pass in (0, 127) */
    TRAIN_SIGN3,
    TRAIN_SIGN2,
    TRAIN_POWER, /* log or linear code of the positive part */
};

/* Where the rounded exponent of a float, base 2, turns over: the smallest at or above sqrt 2. */
#define TRAIN_ROOT_TURN 0x1.6a09e8p0

/* What becomes of z, which is in units of the output's step: activation and coding in one. */
struct train_code {
    uint8_t function; /* enum train_function */
    struct train_power power;
};

struct train_ops {
    void (*product)(const struct train_product *p);
    void (*product_pairs)(const struct train_product *p);
    void (*product_signs)(const struct train_product *p); /* accumulate: false */
    /* out[i] = x[i] in the low and y[i] in the high half, each rounded to the nearest bfloat16,
     * ties to even. x, y: finite. */
    void (*pair)(size_t n, const float *x, const float *y, uint32_t *out);
    /* out[i] = x[2 i] in the low and x[2 i + 1] in the high half */
    void (*pair_neighbours)(size_t n, const float *x, uint32_t *out);
    /* bit b of out[i] = whether x[(32 i + b) step] is negative */
    void (*signs)(size_t n, size_t step, const float *x, uint32_t *out);

    /* One row of a depthwise convolution, w->from its input: out[x][c] = sum over the window of
     * input * weights[ky][kx][c]. */
    void (*depthwise)(const struct train_window *w, const float *weights, float *out);
    /* weights[ky][kx][c] += sum over x of input * delta[x][c] */
    void (*depthwise_gradient)(const struct train_window *w, const float *delta, float *weights);

    /* t[x][c]: the sum under each window with the largest a[c] t; tap[x][c]: which it is (ky *
     * kernel x + kx), the first of equals. */
    void (*window_find)(const struct train_window *w, const float *a, float *t, uint8_t *tap);
    /* delta at the tap gets g, the other taps of the window 0; or, with `add`, the tap is added to.
     */
    void (*window_spread)(const struct train_window *w, const float *g, const uint8_t *tap,
                          bool add, float *delta);

    /* z = a[c] t + b[c] over t, z [pixels][channels] */
    void (*affine)(uint32_t pixels, uint32_t channels, const float *a, const float *b,
                   const float *t, float *z);
    /* out[i] = code of z[i] */
    void (*code)(const struct train_code *code, size_t n, const float *z, float *out);
    /* g[i] = grad[i] where gradients pass, else 0. */
    void (*gate)(const struct train_code *code, size_t n, const float *z, const float *grad,
                 float *g);
    float (*largest)(size_t n, const float *z, bool magnitude);

    /* first[c] += x - center[c], second[c] += (x - center[c])^2 over x [pixels][channels] */
    void (*moments)(uint32_t pixels, uint32_t channels, const float *x, const float *center,
                    float *first, float *second);
    /* first[c] += g, second[c] += g * (x - center[c]) */
    void (*products)(uint32_t pixels, uint32_t channels, const float *g, const float *x,
                     const float *center, float *first, float *second);
    /* delta = a[c] (delta - c1[c] - (x - center[c]) c2[c]) */
    void (*norm_delta)(uint32_t pixels, uint32_t channels, const float *a, const float *c1,
                       const float *c2, const float *center, const float *x, float *delta);
    /* x *= a[c] */
    void (*scale)(uint32_t pixels, uint32_t channels, const float *a, float *x);
    /* sums[i] += a x[i] */
    void (*accumulate)(size_t n, double a, const float *x, double *sums);
    /* out[i] = sign(x[i]) times the code of |x[i]| */
    void (*power)(const struct train_power *power, size_t n, const float *x, float *out);
};

/* The table for `cpu`, flags of engine/kernel/cpu.h. */
const struct train_ops *train_ops_find(uint32_t cpu);

extern const struct train_ops train_ops_c, train_ops_avx2, train_ops_avx512, train_ops_avx512bf16;

/* Files built once per instruction set have their names end in it, by -DTRAIN_ISA. */
#if defined(TRAIN_ISA)
#define TRAIN_JOIN(name, isa) name##_##isa
#define TRAIN_MAKE(name, isa) TRAIN_JOIN(name, isa)
#define TRAIN_NAME(name)      TRAIN_MAKE(name, TRAIN_ISA)
void TRAIN_NAME(train_product)(const struct train_product *p);
void TRAIN_NAME(train_product_pairs)(const struct train_product *p);
void TRAIN_NAME(train_product_signs)(const struct train_product *p);
#endif

#endif
