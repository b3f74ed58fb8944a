/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Portable pooling and addition: the definition of pool.h, one output value after the other. */
#include "engine/kernel/isa.h"

/* Element of the input where the window of output pixel (x, y) starts. */
static size_t corner(const struct kernel_pool *pool, uint32_t x, uint32_t y)
{
    return y * pool->stride_y * pool->in_row + (size_t)x * pool->stride_x * pool->channels;
}

static uint8_t max_u7(const struct kernel_pool *pool, const uint8_t *in)
{
    uint8_t best = 0;

    for (uint32_t i = 0; i < pool->window_h; i++) {
        for (uint32_t j = 0; j < pool->window_w; j++) {
            uint8_t value = in[i * pool->in_row + (size_t)j * pool->channels];

            best = value > best ? value : best;
        }
    }
    return best;
}

static uint8_t mean_u7(const struct kernel_pool *pool, const uint8_t *in)
{
    const uint32_t count = pool->window_h * pool->window_w;
    uint32_t sum = 0;

    for (uint32_t i = 0; i < pool->window_h; i++) {
        for (uint32_t j = 0; j < pool->window_w; j++) {
            sum += in[i * pool->in_row + (size_t)j * pool->channels];
        }
    }
    return (uint8_t)((2 * sum + count) / (2 * count));
}

static float max_f32(const struct kernel_pool *pool, const float *in)
{
    float best = in[0];

    for (uint32_t i = 0; i < pool->window_h; i++) {
        for (uint32_t j = 0; j < pool->window_w; j++) {
            float value = in[i * pool->in_row + (size_t)j * pool->channels];

            best = value > best ? value : best;
        }
    }
    return best;
}

static float mean_f32(const struct kernel_pool *pool, const float *in)
{
    float sum = 0;

    for (uint32_t i = 0; i < pool->window_h; i++) {
        for (uint32_t j = 0; j < pool->window_w; j++) {
            sum += in[i * pool->in_row + (size_t)j * pool->channels];
        }
    }
    return sum / (float)(pool->window_h * pool->window_w);
}

#define EACH_OUTPUT(reduce)                                                                        \
    for (uint32_t y = 0; y < pool->out_h; y++) {                                                   \
        for (uint32_t x = 0; x < pool->out_w; x++) {                                               \
            for (uint32_t c = 0; c < pool->channels; c++) {                                        \
                out[y * pool->out_row + (size_t)x * pool->channels + c] =                          \
                    reduce(pool, in + corner(pool, x, y) + c);                                     \
            }                                                                                      \
        }                                                                                          \
    }

void kernel_pool_max_u7_c(const struct kernel_pool *pool, const uint8_t *in, uint8_t *out)
{
    EACH_OUTPUT(max_u7)
}

void kernel_pool_mean_u7_c(const struct kernel_pool *pool, const uint8_t *in, uint8_t *out)
{
    EACH_OUTPUT(mean_u7)
}

void kernel_pool_max_f32_c(const struct kernel_pool *pool, const float *in, float *out)
{
    EACH_OUTPUT(max_f32)
}

void kernel_pool_mean_f32_c(const struct kernel_pool *pool, const float *in, float *out)
{
    EACH_OUTPUT(mean_f32)
}

void kernel_pool_add_u7_c(const struct kernel_add *add, const uint8_t *a, const uint8_t *b,
                          uint8_t *out)
{
    const uint32_t half = 1u << (add->shift - 1);

    for (uint32_t y = 0; y < add->height; y++) {
        for (uint32_t x = 0; x < add->width; x++) {
            const uint32_t value = (a[x] * add->mult[0] + b[x] * add->mult[1] + half) >> add->shift;

            out[x] = (uint8_t)(value > 127 ? 127 : value);
        }
        a += add->a_row;
        b += add->b_row;
        out += add->out_row;
    }
}

void kernel_pool_add_f32_c(const struct kernel_add *add, const float *a, const float *b, float *out)
{
    for (uint32_t y = 0; y < add->height; y++) {
        for (uint32_t x = 0; x < add->width; x++) {
            const float value = a[x] + b[x];

            out[x] = !add->relu || value > 0 ? value : 0;
        }
        a += add->a_row;
        b += add->b_row;
        out += add->out_row;
    }
}
