/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Portable float convolution. A block of outputs is summed side by side in vectors, which changes
 * the order of no sum; left to themselves, compilers shuffle taps and outputs and are five times
 * slower.
 *
 * Packed: for each block of outputs the biases, then per tap of the kernel one weight for each
 * output; zero beyond the last output.
 */
#include "engine/kernel/isa.h"

#include <string.h>

#define BLOCK 16u

static size_t taps(const struct kernel_real *conv)
{
    return (size_t)conv->kernel_h * conv->kernel_w * conv->in_c;
}

size_t kernel_real_packed_bytes_c(const struct kernel_real *conv)
{
    return (conv->out_c + BLOCK - 1) / BLOCK * (taps(conv) + 1) * BLOCK * sizeof(float);
}

void kernel_real_pack_c(const struct kernel_real *conv, const float *weights, const float *bias,
                        void *packed)
{
    const size_t count = taps(conv);
    float *to = packed;

    for (uint32_t first = 0; first < conv->out_c; first += BLOCK) {
        for (uint32_t o = first; o < first + BLOCK; o++) {
            *to++ = o < conv->out_c ? bias[o] : 0;
        }
        for (size_t k = 0; k < count; k++) {
            for (uint32_t o = first; o < first + BLOCK; o++) {
                *to++ = o < conv->out_c ? weights[o * count + k] : 0;
            }
        }
    }
}

typedef float quad __attribute__((vector_size(16), may_alias));

/* One output pixel, BLOCK outputs. packed is a block's; in points at its first tap. */
static void accumulate(const struct kernel_real *conv, const void *packed, const float *in,
                       quad sum[BLOCK / 4])
{
    const size_t run = (size_t)conv->kernel_w * conv->in_c;
    const quad *weights = packed;
    quad a = weights[0], b = weights[1], c = weights[2], d = weights[3];

    weights += BLOCK / 4;
    for (uint32_t ky = 0; ky < conv->kernel_h; ky++) {
        const float *row = in + (size_t)ky * conv->in_row;

        for (size_t k = 0; k < run; k++, weights += BLOCK / 4) {
            a += row[k] * weights[0];
            b += row[k] * weights[1];
            c += row[k] * weights[2];
            d += row[k] * weights[3];
        }
    }
    sum[0] = a;
    sum[1] = b;
    sum[2] = c;
    sum[3] = d;
}

void kernel_real_run_c(const struct kernel_real *conv, const void *packed, const float *in,
                       float *out, size_t out_row)
{
    const float *block = packed;

    for (uint32_t first = 0; first < conv->out_c; first += BLOCK) {
        uint32_t count = conv->out_c - first < BLOCK ? conv->out_c - first : BLOCK;

        for (uint32_t y = 0; y < conv->out_h; y++) {
            for (uint32_t x = 0; x < conv->out_w; x++) {
                quad sums[BLOCK / 4];
                float sum[BLOCK];

                accumulate(conv, block,
                           in + (size_t)y * conv->stride_y * conv->in_row +
                               (size_t)x * conv->stride_x * conv->in_c,
                           sums);
                memcpy(sum, sums, sizeof(sum));
                float *to = out + y * out_row + (size_t)x * conv->out_c + first;
                for (uint32_t o = 0; o < count; o++) {
                    to[o] = !conv->relu || sum[o] > 0 ? sum[o] : 0;
                }
            }
        }
        block += (taps(conv) + 1) * BLOCK;
    }
}

/* in points at the filter's first tap. */
static float filtered(const struct kernel_real *conv, const float *in, const float *filter,
                      float sum)
{
    for (uint32_t ky = 0; ky < conv->kernel_h; ky++, in += conv->in_row) {
        for (uint32_t kx = 0; kx < conv->kernel_w; kx++) {
            sum += in[(size_t)kx * conv->in_c] * *filter++;
        }
    }
    return !conv->relu || sum > 0 ? sum : 0;
}

void kernel_real_depthwise_c(const struct kernel_real *conv, const float *weights,
                             const float *bias, const float *in, float *out, size_t out_row)
{
    const size_t filter = (size_t)conv->kernel_h * conv->kernel_w;

    for (uint32_t y = 0; y < conv->out_h; y++, out += out_row) {
        const float *row = in + (size_t)y * conv->stride_y * conv->in_row;

        for (size_t x = 0; x < conv->out_w; x++) {
            const float *patch = row + x * conv->stride_x * conv->in_c;

            for (uint32_t c = 0; c < conv->in_c; c++) {
                out[x * conv->in_c + c] = filtered(conv, patch + c, weights + c * filter, bias[c]);
            }
        }
    }
}
