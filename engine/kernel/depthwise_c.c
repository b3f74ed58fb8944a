/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Portable depthwise convolution: the definition of depthwise.h, written plainly. Packed: bias,
 * multiplier and weights as they came.
 */
#include <string.h>

#include "engine/kernel/isa.h"
#include "engine/kernel/requantise.h"

static size_t filter_bytes(const struct kernel_depthwise *conv)
{
    return (size_t)conv->kernel_h * conv->kernel_w;
}

size_t kernel_depthwise_packed_bytes_c(const struct kernel_depthwise *conv)
{
    return conv->channels * (2 * sizeof(int32_t) + filter_bytes(conv));
}

void kernel_depthwise_pack_c(const struct kernel_depthwise *conv, const int8_t *weights,
                             const int32_t *bias, const int32_t *mult, void *packed)
{
    int32_t *head = packed;

    memcpy(head, bias, conv->channels * sizeof(*head));
    memcpy(head + conv->channels, mult, conv->channels * sizeof(*head));
    memcpy(head + 2 * (size_t)conv->channels, weights, conv->channels * filter_bytes(conv));
}

/* in points at the filter's first tap. */
static int32_t dot(const struct kernel_depthwise *conv, const uint8_t *in, const int8_t *filter)
{
    int32_t sum = 0;

    for (uint32_t ky = 0; ky < conv->kernel_h; ky++, in += conv->in_row) {
        for (uint32_t kx = 0; kx < conv->kernel_w; kx++) {
            sum += in[(size_t)kx * conv->channels] * *filter++;
        }
    }
    return sum;
}

void kernel_depthwise_run_c(const struct kernel_depthwise *conv, const void *packed,
                            const uint8_t *in, uint8_t *out, size_t out_row)
{
    const int32_t *bias = packed, *mult = bias + conv->channels;
    const int8_t *weights = (const int8_t *)(mult + conv->channels);

    for (uint32_t y = 0; y < conv->out_h; y++, out += out_row) {
        const uint8_t *row = in + (size_t)y * conv->stride_y * conv->in_row;

        for (uint32_t x = 0; x < conv->out_w; x++) {
            const uint8_t *patch = row + (size_t)x * conv->stride_x * conv->channels;

            for (uint32_t c = 0; c < conv->channels; c++) {
                const int32_t sum = dot(conv, patch + c, weights + c * filter_bytes(conv));

                out[(size_t)x * conv->channels + c] =
                    kernel_requantise_u7(bias[c] + sum, mult[c], conv->preshift, conv->shift);
            }
        }
    }
}
