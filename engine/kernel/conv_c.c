/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Portable reference of the s8 convolution: the definition of conv.h, written plainly. It is what
 * every other kernel is compared with.
 */
#include "engine/kernel/isa.h"
#include "engine/kernel/requantise.h"

#include <string.h>

/* bias, multiplier and weights as they came: int32 [out_c], int32 [out_c], s8
 * [out_c][kernel_h][run] */
static size_t filter_bytes(const struct kernel_conv *conv)
{
    return (size_t)conv->kernel_h * conv->kernel_w * conv->in_c;
}

size_t kernel_conv_packed_bytes_c(const struct kernel_conv *conv)
{
    return conv->out_c * (2 * sizeof(int32_t) + filter_bytes(conv));
}

void kernel_conv_pack_c(const struct kernel_conv *conv, const int8_t *weights, const int32_t *bias,
                        const int32_t *mult, void *packed)
{
    int32_t *head = packed;

    memcpy(head, bias, conv->out_c * sizeof(*head));
    if (mult != NULL) {
        memcpy(head + conv->out_c, mult, conv->out_c * sizeof(*head));
    }
    memcpy(head + 2 * (size_t)conv->out_c, weights, conv->out_c * filter_bytes(conv));
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

void kernel_conv_run_c(const struct kernel_conv *conv, const void *packed, const uint8_t *in,
                       void *out, size_t out_row)
{
    const int32_t *bias = packed, *mult = bias + conv->out_c;
    const int8_t *weights = (const int8_t *)(mult + conv->out_c);

    for (uint32_t y = 0; y < conv->out_h; y++) {
        for (uint32_t x = 0; x < conv->out_w; x++) {
            size_t at = y * out_row + (size_t)x * conv->out_c;
            for (uint32_t o = 0; o < conv->out_c; o++) {
                int32_t sum = pooled(conv, in, weights + o * filter_bytes(conv), bias[o], x, y);
                if (conv->requantise) {
                    ((uint8_t *)out)[at + o] =
                        kernel_requantise_u7(sum, mult[o], conv->preshift, conv->shift);
                } else {
                    ((int32_t *)out)[at + o] = sum;
                }
            }
        }
    }
}
