/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What the packings of the instruction sets have in common: the numbers at the head of a block of
 * channels, and weights by fours. Packing happens once a plan and need not be fast.
 */
#include <string.h>

#include "engine/kernel/isa.h"

uint32_t kernel_conv_groups(const struct kernel_conv *conv)
{
    return (conv->kernel_w * conv->in_c + 3) / 4;
}

/* int32 a channel that its result depends on, besides the sum. */
static uint32_t parameters(const struct kernel_conv *conv)
{
    return conv->output == KERNEL_CONV_CODES ? conv->levels : conv->output == KERNEL_CONV_U7;
}

size_t kernel_conv_head_bytes(const struct kernel_conv *conv, uint32_t width)
{
    return (size_t)width * 4 * (1 + parameters(conv)) +
           (conv->output == KERNEL_CONV_CODES ? KERNEL_CONV_HEAD_FLAGS : 0);
}

/* Smallest and largest sum of a channel, without the bias. */
static void bounds(const struct kernel_conv *conv, const int8_t *filter, int64_t *ret_low,
                   int64_t *ret_high)
{
    const size_t count = (size_t)conv->kernel_h * conv->kernel_w * conv->in_c;
    int64_t low = 0, high = 0;

    for (size_t i = 0; i < count; i++) {
        low += filter[i] < 0 ? filter[i] : 0;
        high += filter[i] > 0 ? filter[i] : 0;
    }
    *ret_low = low * conv->in_max;
    *ret_high = high * conv->in_max;
}

static int64_t held(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/*
 * Whether a channel's thresholds lie so close together that, with a centre taken off sum and
 * thresholds, the sum may be cut to 16 bits before they are compared. Thresholds that are always or
 * never reached are first moved to the bounds of the sum.
 */
static int narrow_channel(const struct kernel_conv *conv, const int8_t *filter, int32_t *bias,
                          const int32_t *threshold, int16_t narrow[KERNEL_CONV_LEVELS_MAX])
{
    int64_t low, high, first, last;

    bounds(conv, filter, &low, &high);
    low += *bias;
    high += *bias + 1;
    first = held(threshold[0], low, high);
    last = held(threshold[conv->levels - 1], low, high);
    if (last - first > 2 * INT16_MAX || high - low > INT32_MAX) {
        return 0;
    }
    const int64_t centre = first + (last - first) / 2;
    for (uint32_t i = 0; i < conv->levels; i++) {
        narrow[i] = (int16_t)(held(threshold[i], low, high) - centre);
    }
    *bias = (int32_t)(*bias - centre);
    return 1;
}

/* Rewrites the head of a block for 16 bits if all its channels allow it. */
static void narrow_head(const struct kernel_conv *conv, const int8_t *weights,
                        const int32_t *threshold, uint32_t first, uint32_t width, int32_t *head)
{
    const size_t filter = (size_t)conv->kernel_h * conv->kernel_w * conv->in_c;
    int32_t bias[KERNEL_CONV_WIDTH_MAX] = {0};
    int16_t narrow[KERNEL_CONV_LEVELS_MAX * KERNEL_CONV_WIDTH_MAX] = {0};

    for (uint32_t i = 0; i < width && first + i < conv->out_c; i++) {
        const size_t channel = first + i;
        int16_t of_channel[KERNEL_CONV_LEVELS_MAX] = {0};

        bias[i] = head[i];
        if (!narrow_channel(conv, weights + channel * filter, &bias[i],
                            threshold + channel * conv->levels, of_channel)) {
            return;
        }
        for (uint32_t n = 0; n < conv->levels; n++) {
            narrow[n * width + i] = of_channel[n];
        }
    }
    memcpy(head, bias, width * sizeof(*head));
    memcpy(head + width, narrow, (size_t)conv->levels * width * sizeof(*narrow));
    head[(1 + conv->levels) * width] = 1;
}

void kernel_conv_pack_head(const struct kernel_conv *conv, const int8_t *weights,
                           const int32_t *bias, const int32_t *mult, const int32_t *threshold,
                           uint32_t first, uint32_t width, void *to)
{
    const int32_t *parameter = conv->output == KERNEL_CONV_CODES ? threshold : mult;
    const uint32_t count = parameters(conv);
    int32_t *head = to;

    memset(head, 0, kernel_conv_head_bytes(conv, width));
    for (uint32_t i = 0; i < width && first + i < conv->out_c; i++) {
        head[i] = bias[first + i];
        for (uint32_t n = 0; n < count; n++) {
            head[(1 + n) * width + i] = parameter[(size_t)(first + i) * count + n];
        }
    }
    if (conv->output == KERNEL_CONV_CODES) {
        narrow_head(conv, weights, threshold, first, width, head);
    }
}

void kernel_conv_pack_group(const struct kernel_conv *conv, const int8_t *weights, uint32_t channel,
                            uint32_t ky, uint32_t group, int8_t *to)
{
    const uint32_t run = conv->kernel_w * conv->in_c, from = group * 4;
    const uint32_t left = channel < conv->out_c ? run - from : 0, count = left < 4 ? left : 4;

    memset(to, 0, 4);
    if (count > 0) {
        memcpy(to, weights + ((size_t)channel * conv->kernel_h + ky) * run + from, count);
    }
}
