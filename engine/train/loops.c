/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The loops of ops.h other than the product, in plain C for the compiler to vectorise. Built once
 * per instruction set, into the table train_ops_ISA.
 */
#include "engine/train/ops.h"

#include <math.h>
#include <string.h>

#define RESTRICT __restrict__

static inline uint32_t bits_of(float x)
{
    uint32_t u;

    memcpy(&u, &x, sizeof(u));
    return u;
}

static inline float float_of(uint32_t u)
{
    float x;

    memcpy(&x, &u, sizeof(x));
    return x;
}

static inline uint32_t bfloat_of(float x)
{
    const uint32_t u = bits_of(x);

    return (u + 0x7fffu + (u >> 16 & 1u)) >> 16;
}

static void pair(size_t n, const float *RESTRICT x, const float *RESTRICT y, uint32_t *RESTRICT out)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = bfloat_of(x[i]) | bfloat_of(y[i]) << 16;
    }
}

static void pair_neighbours(size_t n, const float *RESTRICT x, uint32_t *RESTRICT out)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = bfloat_of(x[2 * i]) | bfloat_of(x[2 * i + 1]) << 16;
    }
}

static void signs(size_t n, size_t step, const float *RESTRICT x, uint32_t *RESTRICT out)
{
    for (size_t i = 0; i < n; i++, x += 32 * step) {
        uint32_t word = 0;

        for (uint32_t b = 0; b < 32; b++) {
            word |= (uint32_t)(x[b * step] < 0.0f) << b;
        }
        out[i] = word;
    }
}

/* The nearest exponent in the log domain: the fraction turns over at sqrt 2, on the half grid at
 * 2^(1/4) and 2^(3/4); the constants are the smallest float fractions at or above them. 0x350000 is
 * 181/128. */
static inline float power_of(float x, int32_t low, int32_t high, bool root)
{
    const uint32_t u = bits_of(x) & 0x7fffffffu, sign = bits_of(x) & 0x80000000u;
    const uint32_t fraction = u & 0x7fffffu;
    const int32_t whole = (int32_t)(u >> 23) - 127;
    int32_t e = root ? 2 * whole + (fraction >= 0x1837f1u) + (fraction >= 0x5744fdu)
                     : whole + (fraction >= 0x3504f4u);
    uint32_t value;

    e = e > high ? high : e;
    value = root ? (((uint32_t)((e >> 1) + 127) << 23) | ((e & 1) != 0 ? 0x350000u : 0u))
                 : (uint32_t)(e + 127) << 23;
    return float_of(e < low ? 0u : value | sign);
}

/* The nearest multiple of step, by inverse = 1 / step; half a step counts up. */
static inline float level_of(float x, float step, float inverse, float top)
{
    const float level = floorf(fabsf(x) * inverse + 0.5f) * step;

    return copysignf(level < top ? level : top, x);
}

/* x and out may be one array. */
static void power(const struct train_power *p, size_t n, const float *x, float *out)
{
    const int32_t low = p->low, high = p->high;

    if (p->step > 0.0f) {
        const float step = p->step, inverse = 1.0f / step, top = p->top;

        for (size_t i = 0; i < n; i++) {
            out[i] = level_of(x[i], step, inverse, top);
        }
    } else if (p->root) {
        for (size_t i = 0; i < n; i++) {
            out[i] = power_of(x[i], low, high, true);
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            out[i] = power_of(x[i], low, high, false);
        }
    }
}

static void depthwise(const struct train_window *w, const float *RESTRICT weights,
                      float *RESTRICT out)
{
    const size_t n = w->channels;

    memset(out, 0, w->width * n * sizeof(*out));
    for (uint32_t tap = 0; tap < w->kernel[0] * w->kernel[1]; tap++) {
        const float *in = w->from + tap / w->kernel[1] * w->row + tap % w->kernel[1] * n;
        const float *v = weights + tap * n;

        for (uint32_t x = 0; x < w->width; x++) {
            const float *RESTRICT i = in + x * w->stride * n;
            float *RESTRICT o = out + x * n;

            for (size_t c = 0; c < n; c++) {
                o[c] += i[c] * v[c];
            }
        }
    }
}

static void depthwise_gradient(const struct train_window *w, const float *RESTRICT delta,
                               float *RESTRICT weights)
{
    const size_t n = w->channels;

    for (uint32_t tap = 0; tap < w->kernel[0] * w->kernel[1]; tap++) {
        const float *in = w->from + tap / w->kernel[1] * w->row + tap % w->kernel[1] * n;
        float *RESTRICT v = weights + tap * n;

        for (uint32_t x = 0; x < w->width; x++) {
            const float *RESTRICT i = in + x * w->stride * n;
            const float *RESTRICT d = delta + x * n;

            for (size_t c = 0; c < n; c++) {
                v[c] += i[c] * d[c];
            }
        }
    }
}

static void affine(uint32_t pixels, uint32_t channels, const float *RESTRICT a,
                   const float *RESTRICT b, const float *RESTRICT t, float *RESTRICT z)
{
    for (uint32_t p = 0; p < pixels; p++, t += channels, z += channels) {
        for (uint32_t c = 0; c < channels; c++) {
            z[c] = a[c] * t[c] + b[c];
        }
    }
}

/* One pixel of outputs under 2 x 2, the usual window; v0 .. v3 are its taps. */
static inline void find_four(uint32_t n, const float *RESTRICT a, const float *RESTRICT v0,
                             const float *RESTRICT v1, const float *RESTRICT v2,
                             const float *RESTRICT v3, float *RESTRICT t, uint8_t *RESTRICT tap)
{
    for (uint32_t c = 0; c < n; c++) {
        const float x0 = a[c] * v0[c], x1 = a[c] * v1[c], x2 = a[c] * v2[c], x3 = a[c] * v3[c];
        const bool right = x1 > x0, right_below = x3 > x2;
        const float above = right ? x1 : x0, below = right_below ? x3 : x2;
        const float t_above = right ? v1[c] : v0[c], t_below = right_below ? v3[c] : v2[c];

        t[c] = below > above ? t_below : t_above;
        tap[c] = below > above ? (right_below ? 3 : 2) : (right ? 1 : 0);
    }
}

static void window_find(const struct train_window *w, const float *RESTRICT a, float *RESTRICT t,
                        uint8_t *RESTRICT tap)
{
    const uint32_t n = w->channels, taps = w->kernel[0] * w->kernel[1];

    for (uint32_t x = 0; x < w->width; x++, t += n, tap += n) {
        const float *in = w->from + (size_t)x * w->stride * n;

        if (taps == 4 && w->kernel[0] == 2) {
            find_four(n, a, in, in + n, in + w->row, in + w->row + n, t, tap);
            continue;
        }
        memcpy(t, in, n * sizeof(*t));
        memset(tap, 0, n);
        for (uint32_t k = 1; k < taps; k++) {
            const float *RESTRICT v = in + k / w->kernel[1] * w->row + k % w->kernel[1] * n;

            for (uint32_t c = 0; c < n; c++) {
                bool better = a[c] * v[c] > a[c] * t[c];
                t[c] = better ? v[c] : t[c];
                tap[c] = better ? (uint8_t)k : tap[c];
            }
        }
    }
}

static void window_spread(const struct train_window *w, const float *RESTRICT g,
                          const uint8_t *RESTRICT tap, bool add, float *RESTRICT delta)
{
    const size_t n = w->channels;

    for (uint32_t k = 0; k < w->kernel[0] * w->kernel[1]; k++) {
        float *base = delta + k / w->kernel[1] * w->row + k % w->kernel[1] * n;

        for (uint32_t x = 0; x < w->width; x++) {
            float *RESTRICT d = base + x * w->stride * n;
            const float *RESTRICT v = g + x * n;
            const uint8_t *RESTRICT at = tap + x * n;

            if (add) {
                for (size_t c = 0; c < n; c++) {
                    d[c] += at[c] == k ? v[c] : 0.0f;
                }
            } else {
                for (size_t c = 0; c < n; c++) {
                    d[c] = at[c] == k ? v[c] : 0.0f;
                }
            }
        }
    }
}

static inline float held(float x, float low, float high)
{
    x = x > low ? x : low;
    return x < high ? x : high;
}

#define EACH(expression)                                                                           \
    for (size_t i = 0; i < n; i++) {                                                               \
        const float x = z[i];                                                                      \
        out[i] = (expression);                                                                     \
    }                                                                                              \
    break

static void code(const struct train_code *code, size_t n, const float *RESTRICT z,
                 float *RESTRICT out)
{
    const struct train_power p = code->power;

    switch ((enum train_function)code->function) {
    case TRAIN_PASS:
        EACH(x);
    case TRAIN_RAMP:
        EACH(x > 0.0f ? x : 0.0f);
    case TRAIN_HOLD:
        EACH(held(x, -1.0f, 1.0f));
    case TRAIN_ROUND:
        EACH(floorf(x + 0.5f));
    case TRAIN_STEPS:
        EACH(held(floorf(x + 0.5f), 0.0f, 127.0f));
    case TRAIN_SIGN3:
        EACH((float)(x > 0.5f) - (float)(x < -0.5f));
    case TRAIN_SIGN2:
        EACH(x >= 0.0f ? 1.0f : -1.0f);
    case TRAIN_POWER:
        if (p.step > 0.0f) {
            EACH(level_of(x > 0.0f ? x : 0.0f, p.step, 1.0f / p.step, p.top));
        }
        if (p.root) {
            EACH(power_of(x > 0.0f ? x : 0.0f, p.low, p.high, true));
        }
        EACH(power_of(x > 0.0f ? x : 0.0f, p.low, p.high, false));
    }
}
#undef EACH

#define WHERE(expression)                                                                          \
    for (size_t i = 0; i < n; i++) {                                                               \
        const float x = z[i];                                                                      \
        g[i] = (expression) ? grad[i] : 0.0f;                                                      \
    }                                                                                              \
    break

static void gate(const struct train_code *code, size_t n, const float *RESTRICT z,
                 const float *RESTRICT grad, float *RESTRICT g)
{
    switch ((enum train_function)code->function) {
    case TRAIN_PASS:
    case TRAIN_ROUND:
        memcpy(g, grad, n * sizeof(*g));
        break;
    case TRAIN_RAMP:
    case TRAIN_POWER:
        WHERE(x > 0.0f);
    case TRAIN_STEPS:
        WHERE(x > 0.0f && x < 127.0f);
    case TRAIN_HOLD:
    case TRAIN_SIGN3:
    case TRAIN_SIGN2:
        WHERE(x >= -1.0f && x <= 1.0f);
    }
}
#undef WHERE

static float largest(size_t n, const float *RESTRICT z, bool magnitude)
{
    float most = 0.0f;

    if (magnitude) {
        for (size_t i = 0; i < n; i++) {
            float x = fabsf(z[i]);
            most = x > most ? x : most;
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            most = z[i] > most ? z[i] : most;
        }
    }
    return most;
}

static void moments(uint32_t pixels, uint32_t channels, const float *RESTRICT x,
                    const float *RESTRICT center, float *RESTRICT first, float *RESTRICT second)
{
    for (uint32_t p = 0; p < pixels; p++, x += channels) {
        for (uint32_t c = 0; c < channels; c++) {
            float d = x[c] - center[c];
            first[c] += d;
            second[c] += d * d;
        }
    }
}

static void products(uint32_t pixels, uint32_t channels, const float *RESTRICT g,
                     const float *RESTRICT x, const float *RESTRICT center, float *RESTRICT first,
                     float *RESTRICT second)
{
    for (uint32_t p = 0; p < pixels; p++, g += channels, x += channels) {
        for (uint32_t c = 0; c < channels; c++) {
            first[c] += g[c];
            second[c] += g[c] * (x[c] - center[c]);
        }
    }
}

static void norm_delta(uint32_t pixels, uint32_t channels, const float *RESTRICT a,
                       const float *RESTRICT c1, const float *RESTRICT c2,
                       const float *RESTRICT center, const float *RESTRICT x, float *RESTRICT delta)
{
    for (uint32_t p = 0; p < pixels; p++, x += channels, delta += channels) {
        for (uint32_t c = 0; c < channels; c++) {
            delta[c] = a[c] * (delta[c] - c1[c] - (x[c] - center[c]) * c2[c]);
        }
    }
}

static void scale(uint32_t pixels, uint32_t channels, const float *RESTRICT a, float *RESTRICT x)
{
    for (uint32_t p = 0; p < pixels; p++, x += channels) {
        for (uint32_t c = 0; c < channels; c++) {
            x[c] *= a[c];
        }
    }
}

static void accumulate(size_t n, double a, const float *RESTRICT x, double *RESTRICT sums)
{
    for (size_t i = 0; i < n; i++) {
        sums[i] += a * (double)x[i];
    }
}

const struct train_ops TRAIN_NAME(train_ops) = {
    .product = TRAIN_NAME(train_product),
    .product_pairs = TRAIN_NAME(train_product_pairs),
    .product_signs = TRAIN_NAME(train_product_signs),
    .signs = signs,
    .pair = pair,
    .pair_neighbours = pair_neighbours,
    .depthwise = depthwise,
    .depthwise_gradient = depthwise_gradient,
    .affine = affine,
    .window_find = window_find,
    .window_spread = window_spread,
    .code = code,
    .gate = gate,
    .largest = largest,
    .moments = moments,
    .products = products,
    .norm_delta = norm_delta,
    .scale = scale,
    .power = power,
    .accumulate = accumulate,
};
