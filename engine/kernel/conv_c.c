/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Portable reference of the s8 convolution: the definition of conv.h, written plainly. It is what
 * every other kernel is compared with.
 */
#include "engine/kernel/isa.h"
#include "engine/kernel/requantise.h"

#include <string.h>

/* Packed: everything as it came: bias, multipliers (U7) or thresholds (CODES), weights. */
static size_t filter_bytes(const struct kernel_conv *conv)
{
    return (size_t)conv->kernel_h * conv->kernel_w * conv->in_c;
}

/* int32 a channel that its result depends on, besides the sum. */
static size_t parameters(const struct kernel_conv *conv)
{
    return conv->output == KERNEL_CONV_CODES ? conv->levels : conv->output == KERNEL_CONV_U7;
}

size_t kernel_conv_packed_bytes_c(const struct kernel_conv *conv)
{
    return conv->out_c * ((1 + parameters(conv)) * sizeof(int32_t) + filter_bytes(conv));
}

void kernel_conv_pack_c(const struct kernel_conv *conv, const int8_t *weights, const int32_t *bias,
                        const int32_t *mult, const int32_t *threshold, void *packed)
{
    const int32_t *parameter = conv->output == KERNEL_CONV_CODES ? threshold : mult;
    const size_t count = conv->out_c * parameters(conv);
    int32_t *to = packed;

    memcpy(to, bias, conv->out_c * sizeof(*to));
    to += conv->out_c;
    if (count > 0) {
        memcpy(to, parameter, count * sizeof(*to));
    }
    memcpy(to + count, weights, conv->out_c * filter_bytes(conv));
}

static int32_t dot(const uint8_t *restrict a, const int8_t *restrict b, size_t n)
{
    int32_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

/* The accumulator of one output pixel before pooling; in points at its first tap. */
static int32_t accumulate(const struct kernel_conv *conv, const uint8_t *in, const int8_t *filter,
                          int32_t bias)
{
    const size_t run = (size_t)conv->kernel_w * conv->in_c;
    int32_t sum = bias;

    for (uint32_t ky = 0; ky < conv->kernel_h; ky++) {
        sum += dot(in + (size_t)ky * conv->in_row, filter + ky * run, run);
    }
    return sum;
}

/* Largest accumulator of the pooling block of output pixel (x, y). */
static int32_t pooled(const struct kernel_conv *conv, const uint8_t *in, const int8_t *filter,
                      int32_t bias, uint32_t x, uint32_t y)
{
    int32_t best = INT32_MIN;

    for (uint32_t i = 0; i < conv->pool * conv->pool; i++) {
        size_t row = ((size_t)y * conv->pool + i / conv->pool) * conv->stride_y;
        size_t column = ((size_t)x * conv->pool + i % conv->pool) * conv->stride_x;
        int32_t sum = accumulate(conv, in + row * conv->in_row + column * conv->in_c, filter, bias);
        best = sum > best ? sum : best;
    }
    return best;
}

static uint8_t code_of(const struct kernel_conv *conv, int32_t sum, const int32_t *threshold)
{
    uint32_t reached = 0;

    for (uint32_t i = 0; i < conv->levels; i++) {
        reached += sum >= threshold[i];
    }
    return conv->codes[reached];
}

void kernel_conv_run_c(const struct kernel_conv *conv, const void *packed, const uint8_t *in,
                       void *out, size_t out_row)
{
    const int32_t *bias = packed, *parameter = bias + conv->out_c;
    const int8_t *weights = (const int8_t *)(parameter + conv->out_c * parameters(conv));

    for (uint32_t y = 0; y < conv->out_h; y++) {
        for (uint32_t x = 0; x < conv->out_w; x++) {
            size_t at = y * out_row + (size_t)x * conv->out_c;
            for (uint32_t o = 0; o < conv->out_c; o++, at++) {
                int32_t sum = pooled(conv, in, weights + o * filter_bytes(conv), bias[o], x, y);
                if (conv->output == KERNEL_CONV_CODES) {
                    ((uint8_t *)out)[at] = code_of(conv, sum, parameter + o * conv->levels);
                } else if (conv->output == KERNEL_CONV_U7) {
                    ((uint8_t *)out)[at] =
                        kernel_requantise_u7(sum, parameter[o], conv->preshift, conv->shift);
                } else {
                    ((int32_t *)out)[at] = sum;
                }
            }
        }
    }
}
