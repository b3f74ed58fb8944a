/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Portable reference of log.h: every product is a shift, every sum exact. It is what the other
 * kernels are compared with, and it must hold no multiply instruction: tests/meta reads the object.
 */
#include "engine/kernel/isa.h"

/* Packed: int64 thresholds [out_c][levels], then the weights as they came. */

static size_t times(size_t a, size_t b)
{
    size_t product = 0;

    for (; b != 0; a <<= 1, b >>= 1) {
        product += b & 1 ? a : 0;
    }
    return product;
}

size_t kernel_log_packed_bytes_c(const struct kernel_log *conv)
{
    size_t filter = times(times(conv->kernel_h, conv->kernel_w), conv->in_c);

    return times(conv->out_c, conv->levels * sizeof(int64_t) + filter);
}

size_t kernel_log_workspace_bytes_c(const struct kernel_log *conv)
{
    (void)conv;
    return 0;
}

void kernel_log_pack_c(const struct kernel_log *conv, const int8_t *weights,
                       const int64_t *threshold, void *packed)
{
    const size_t thresholds = times(conv->out_c, conv->levels);
    int64_t *head = packed;
    int8_t *to = (int8_t *)(head + thresholds);
    const int8_t *end = (const int8_t *)packed + kernel_log_packed_bytes_c(conv);

    for (size_t i = 0; i < thresholds; i++) {
        head[i] = threshold[i];
    }
    while (to < end) {
        *to++ = *weights++;
    }
}

/* value times sqrt2^steps */
struct factor {
    uint32_t value, steps;
};

static struct factor factor(uint32_t code, uint32_t bits, uint32_t root)
{
    if (bits == 0 || code == 0) {
        return (struct factor){code, 0};
    }
    return (struct factor){1, (code - 1) << (root ? 0 : 1)};
}

struct sums {
    uint64_t even, odd; /* two's complement */
};

/* Adds the products of a row of the kernel; returns where the weights of the next row are. */
static const int8_t *add_run(const struct kernel_log *conv, const uint8_t *in, const int8_t *weight,
                             struct sums *sums)
{
    const uint8_t *end = in + times(conv->kernel_w, conv->in_c);

    for (; in < end; in++, weight++) {
        const struct factor a = factor(*in, conv->in_bits, conv->in_root);
        const uint32_t size = (uint32_t)(*weight < 0 ? -*weight : *weight);
        const struct factor b = factor(size, conv->weight_bits, conv->weight_root);
        const uint32_t steps = a.steps + b.steps;
        const uint64_t product = (uint64_t)times(a.value, b.value) << (steps >> 1);
        uint64_t *sum = steps & 1 ? &sums->odd : &sums->even;

        *sum += *weight < 0 ? -product : product;
    }
    return weight;
}

/* The sum of one channel at one pixel; *weight moves on to the next channel. */
static int64_t accumulate(const struct kernel_log *conv, const uint8_t *in, const int8_t **weight)
{
    struct sums sums = {0, 0};

    for (uint32_t ky = 0; ky < conv->kernel_h; ky++, in += conv->in_row) {
        *weight = add_run(conv, in, *weight, &sums);
    }
    if (conv->in_root || conv->weight_root) { /* 128 E + 181 O */
        return (int64_t)((sums.even << 7) + (sums.odd << 7) + (sums.odd << 5) + (sums.odd << 4) +
                         (sums.odd << 2) + sums.odd);
    }
    return (int64_t)sums.even;
}

static uint32_t levels_reached(const struct kernel_log *conv, const int64_t *threshold, int64_t sum)
{
    uint32_t reached = 0;

    while (reached < conv->levels && sum >= threshold[reached]) {
        reached++;
    }
    return reached;
}

/* All channels of one result; in points at its first tap. */
static void pixel(const struct kernel_log *conv, const void *packed, const uint8_t *in, void *out,
                  size_t at)
{
    const int64_t *threshold = packed;
    const int8_t *weights = (const int8_t *)(threshold + times(conv->out_c, conv->levels));
    const size_t right = times(conv->stride_x, conv->in_c);
    const size_t down = times(conv->stride_y, conv->in_row);

    for (uint32_t o = 0; o < conv->out_c; o++, threshold += conv->levels) {
        const int8_t *next = weights;
        int64_t best = accumulate(conv, in, &next);

        for (uint32_t i = 1; i < 4 && conv->pool == 2; i++) {
            const uint8_t *tap = in + (i & 1 ? right : 0) + (i & 2 ? down : 0);
            next = weights;
            int64_t sum = accumulate(conv, tap, &next);
            best = sum > best ? sum : best;
        }
        weights = next;
        if (conv->levels == 0) {
            ((int64_t *)out)[at + o] = best;
        } else {
            ((uint8_t *)out)[at + o] = conv->codes[levels_reached(conv, threshold, best)];
        }
    }
}

void kernel_log_run_c(const struct kernel_log *conv, const void *packed, const uint8_t *in,
                      void *workspace, void *out, size_t out_row)
{
    const size_t right = times(conv->stride_x, conv->in_c) << (conv->pool - 1);
    const size_t down = times(conv->stride_y, conv->in_row) << (conv->pool - 1);
    size_t row = 0;

    (void)workspace;
    for (uint32_t y = 0; y < conv->out_h; y++, in += down, row += out_row) {
        const uint8_t *tap = in;
        size_t at = row;

        for (uint32_t x = 0; x < conv->out_w; x++, tap += right, at += conv->out_c) {
            pixel(conv, packed, tap, out, at);
        }
    }
}
