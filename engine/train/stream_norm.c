/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Streaming batch norm in 64-bit integers; the limits of stream_norm.h keep every product inside.
 */
#include "engine/train/stream_norm.h"

#include <errno.h>
#include <stdbool.h>

#define WEIGHT_ONE  (1 << 30)
#define WEIGHT_BITS 30u
#define ROOT_LEAST  (UINT64_C(1) << 60)

/* num / den, halves away from zero; den > 0 */
static int64_t divide(int64_t num, int64_t den)
{
    return num < 0 ? -((-num + den / 2) / den) : (num + den / 2) / den;
}

/* x * 2^-bits, halves away from zero; negative bits: x * 2^-bits, which must fit. */
static int64_t scale_down(int64_t x, int bits)
{
    const uint64_t size = (uint64_t)(x < 0 ? -x : x);
    const uint64_t scaled = bits > 62  ? 0
                            : bits > 0 ? (size + (UINT64_C(1) << (bits - 1))) >> bits
                                       : size << -bits;

    return x < 0 ? -(int64_t)scaled : (int64_t)scaled;
}

/* sum / count in units of 2^-16, the fraction cut; sum >= 0 */
static int64_t mean_of(uint64_t sum, uint32_t count)
{
    return (int64_t)((sum / count << 16) + (sum % count << 16) / count);
}

int train_stream_add(struct train_stream_norm *norm, uint32_t pixels, const int32_t *values)
{
    const uint32_t n = norm->channels;

    if (pixels == 0 || pixels > TRAIN_STREAM_PIXELS_MAX) {
        return -ERANGE;
    }
    for (size_t i = 0; i < (size_t)pixels * n; i++) {
        if (values[i] > TRAIN_STREAM_VALUE_MAX || values[i] < -TRAIN_STREAM_VALUE_MAX) {
            return -ERANGE;
        }
    }
    for (uint32_t c = 0; c < n; c++) {
        int64_t sum = 0, mean;
        uint64_t squares = 0;

        for (uint32_t p = 0; p < pixels; p++) {
            const int64_t v = values[(size_t)p * n + c];

            sum += v;
            squares += (uint64_t)(v * v);
        }
        mean = mean_of((uint64_t)(sum < 0 ? -sum : sum), pixels);
        mean = sum < 0 ? -mean : mean;
        norm->mean[c] += divide(mean - norm->mean[c], norm->window);
        norm->square[c] += divide(mean_of(squares, pixels) - norm->square[c], norm->window);
    }
    norm->weight += (uint32_t)divide(WEIGHT_ONE - (int64_t)norm->weight, norm->window);
    return 0;
}

/* x / weight */
static int64_t correct(int64_t x, uint32_t weight)
{
    const uint64_t size = (uint64_t)(x < 0 ? -x : x);
    const uint64_t y =
        (size / weight << WEIGHT_BITS) + ((size % weight << WEIGHT_BITS) + weight / 2) / weight;

    return x < 0 ? -(int64_t)y : (int64_t)y;
}

int train_stream_get(const struct train_stream_norm *norm, uint32_t channel, int64_t *ret_mean,
                     int64_t *ret_variance)
{
    int64_t mean, variance, whole, part;

    if (norm->weight == 0) {
        return -EAGAIN;
    }
    mean = correct(norm->mean[channel], norm->weight);
    whole = (mean < 0 ? -mean : mean) >> 16;
    part = (mean < 0 ? -mean : mean) & 0xffff;
    variance = correct(norm->square[channel], norm->weight) -
               (whole * whole * TRAIN_STREAM_ONE + 2 * whole * part + (part * part >> 16));
    *ret_mean = mean;
    *ret_variance = variance > 1 ? variance : 1;
    return 0;
}

/* floor(sqrt(x)) bit by bit */
static uint64_t root(uint64_t x)
{
    uint64_t r = 0;

    for (uint64_t bit = UINT64_C(1) << 31; bit > 0; bit >>= 1) {
        if ((r + bit) * (r + bit) <= x) {
            r += bit;
        }
    }
    return r;
}

static bool fits(int64_t x)
{
    return x >= INT32_MIN && x <= INT32_MAX;
}

int train_stream_fold(const struct train_stream_norm *norm, uint32_t channel, int32_t gamma,
                      int32_t beta, uint32_t preshift, uint32_t shift, int32_t *ret_bias,
                      int32_t *ret_mult)
{
    int64_t mean, variance, deviation, bias, quotient;
    int bits = 16, down;
    int r = train_stream_get(norm, channel, &mean, &variance);

    if (r < 0) {
        return r;
    }
    if (gamma == 0) {
        return -ERANGE;
    }
    while ((uint64_t)variance < ROOT_LEAST) {
        variance <<= 2;
        bits += 2;
    }
    deviation = (int64_t)root((uint64_t)variance); /* times 2^-(bits / 2), in 2^30 .. 2^32 */
    bias = beta * deviation / 2;                   /* below 2^62 */
    bias = divide(gamma < 0 ? -bias : bias, gamma < 0 ? -(int64_t)gamma : gamma);
    bias = scale_down(bias, bits / 2 - 1) - scale_down(mean, 16);
    /* gamma / 2^16 * 2^(bits / 2) / deviation * 2^(32 + shift - preshift) */
    quotient = divide((int64_t)gamma * (INT64_C(1) << 31), deviation);
    down = 15 - bits / 2 - (int)shift + (int)preshift;
    if (down < -30 || !fits(bias)) {
        return -ERANGE;
    }
    quotient = scale_down(quotient, down);
    if (!fits(quotient)) {
        return -ERANGE;
    }
    *ret_bias = (int32_t)bias;
    *ret_mult = (int32_t)quotient;
    return 0;
}
