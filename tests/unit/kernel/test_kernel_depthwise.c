/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Every depthwise kernel against its definition: random and extreme data, odd shapes, buffers at
 * inaccessible pages, the space between the rows compared. The float one too, bit for bit.
 */
#include <stdio.h>
#include <string.h>

#include "engine/kernel/requantise.h"
#include "tests/unit/kernel/kernel_test.h"

enum fill { FILL_RANDOM, FILL_MOST, FILL_LEAST, FILLS };

struct shape {
    uint32_t channels, kernel_h, kernel_w, stride_y, stride_x, out_w, out_h;
};

static struct kernel_depthwise conv_of(const struct shape *shape)
{
    const uint32_t columns = (shape->out_w - 1) * shape->stride_x + shape->kernel_w;

    return (struct kernel_depthwise){
        .channels = shape->channels,
        .in_row = columns * shape->channels + random_below(5),
        .kernel_h = shape->kernel_h,
        .kernel_w = shape->kernel_w,
        .stride_y = shape->stride_y,
        .stride_x = shape->stride_x,
        .out_w = shape->out_w,
        .out_h = shape->out_h,
        .preshift = random_below(8),
        .shift = 1 + random_below(12),
    };
}

static size_t in_bytes(const struct kernel_depthwise *conv)
{
    const size_t rows = (size_t)(conv->out_h - 1) * conv->stride_y + conv->kernel_h;
    const size_t columns = (size_t)(conv->out_w - 1) * conv->stride_x + conv->kernel_w;

    return (rows - 1) * conv->in_row + columns * conv->channels;
}

/* A convolution, its data, and the expected output. */
struct sample {
    struct kernel_depthwise conv;
    struct guarded in, expected;
    int8_t *weights;
    int32_t *bias, *mult;
    size_t out_row;
};

static void sample_init(struct sample *sample, const struct shape *shape, enum fill fill)
{
    const size_t weights = (size_t)shape->channels * shape->kernel_h * shape->kernel_w;

    sample->conv = conv_of(shape);
    sample->out_row = (size_t)shape->out_w * shape->channels + random_below(40);
    guarded_init(&sample->in, in_bytes(&sample->conv) + KERNEL_CONV_TAIL, 1, 1);
    guarded_init(&sample->expected,
                 (shape->out_h - 1) * sample->out_row + (size_t)shape->out_w * shape->channels, 1,
                 1);
    sample->weights = malloc(weights);
    sample->bias = malloc(shape->channels * sizeof(int32_t));
    sample->mult = malloc(shape->channels * sizeof(int32_t));
    assert_true(sample->weights != NULL && sample->bias != NULL && sample->mult != NULL);
    for (size_t i = 0; i < sample->in.bytes; i++) {
        sample->in.start[i] = (uint8_t)(fill == FILL_RANDOM ? random_below(128) : 127);
    }
    memset(sample->in.start + in_bytes(&sample->conv), 0xff, KERNEL_CONV_TAIL);
    for (size_t i = 0; i < weights; i++) {
        sample->weights[i] = (int8_t)(fill == FILL_RANDOM ? (int)random_below(255) - 127
                                      : fill == FILL_MOST ? 127
                                                          : -127);
    }
    for (uint32_t c = 0; c < shape->channels; c++) {
        sample->bias[c] = (int32_t)random_below(1u << 14) - (1 << 13);
        sample->mult[c] = random_below(8) ? random_s32() : INT32_MIN;
    }
}

static void sample_finish(struct sample *sample)
{
    guarded_finish(&sample->in);
    guarded_finish(&sample->expected);
    free(sample->weights);
    free(sample->bias);
    free(sample->mult);
}

/* t of one output. */
static int32_t naive(const struct sample *sample, uint32_t y, uint32_t x, uint32_t c)
{
    const struct kernel_depthwise *conv = &sample->conv;
    const uint32_t taps = conv->kernel_h * conv->kernel_w;
    int32_t sum = sample->bias[c];

    for (uint32_t tap = 0; tap < taps; tap++) {
        const size_t row = (size_t)y * conv->stride_y + tap / conv->kernel_w;
        const size_t column = (size_t)x * conv->stride_x + tap % conv->kernel_w;

        sum += sample->in.start[row * conv->in_row + column * conv->channels + c] *
               sample->weights[(size_t)c * taps + tap];
    }
    return sum;
}

static void expect(struct sample *sample)
{
    const struct kernel_depthwise *conv = &sample->conv;

    memset(sample->expected.start, 0xa5, sample->expected.bytes);
    for (uint32_t y = 0; y < conv->out_h; y++) {
        for (uint32_t i = 0; i < conv->out_w * conv->channels; i++) {
            const uint32_t c = i % conv->channels;

            sample->expected.start[y * sample->out_row + i] =
                kernel_requantise_u7(naive(sample, y, i / conv->channels, c), sample->mult[c],
                                     conv->preshift, conv->shift);
        }
    }
}

static void check_shape(const struct shape *shape, enum fill fill)
{
    struct kernel_table table[MASKS];
    struct sample sample;

    tables(table);
    sample_init(&sample, shape, fill);
    expect(&sample);
    for (uint32_t m = 0; m < MASKS; m++) {
        const struct kernel_depthwise_ops *ops = &table[m].depthwise;
        struct guarded packed, out;

        guarded_init(&packed, ops->packed_bytes(&sample.conv), 64, 1);
        guarded_init(&out, sample.expected.bytes, 1, (int)random_below(2));
        memset(out.start, 0xa5, out.bytes);
        ops->pack(&sample.conv, sample.weights, sample.bias, sample.mult, packed.start);
        mprotect(packed.map + 4096, packed.map_bytes - 2 * 4096, PROT_READ);
        ops->run(&sample.conv, packed.start, sample.in.start, out.start, sample.out_row);
        if (memcmp(out.start, sample.expected.start, out.bytes) != 0) {
            fail_msg("mask %s: channels %u, kernel %ux%u, stride %ux%u, out %ux%u, fill %d",
                     masks[m], shape->channels, shape->kernel_h, shape->kernel_w, shape->stride_y,
                     shape->stride_x, shape->out_h, shape->out_w, fill);
        }
        guarded_finish(&packed);
        guarded_finish(&out);
    }
    sample_finish(&sample);
}

static void test_chosen_shapes(void **state)
{
    static const struct shape shapes[] = {
        {8, 3, 3, 1, 1, 48, 48}, {8, 3, 3, 2, 1, 7, 5},    {8, 3, 3, 1, 1, 1, 3},
        {8, 3, 3, 1, 1, 2, 1},   {8, 3, 3, 1, 2, 5, 2},    {16, 3, 3, 2, 2, 24, 24},
        {32, 3, 3, 1, 1, 24, 5}, {64, 3, 3, 2, 2, 6, 6},   {128, 3, 3, 1, 1, 6, 6},
        {256, 3, 3, 1, 1, 3, 3}, {256, 3, 3, 1, 1, 1, 1},  {40, 3, 3, 1, 2, 7, 3},
        {3, 3, 3, 1, 1, 9, 4},   {24, 5, 5, 1, 1, 4, 4},   {33, 5, 5, 2, 2, 4, 4},
        {17, 7, 7, 1, 1, 3, 2},  {1, 1, 1, 1, 1, 1, 1},    {96, 1, 3, 1, 1, 13, 2},
        {48, 3, 1, 1, 3, 6, 2},  {64, 31, 31, 1, 1, 2, 2}, {65, 2, 4, 3, 1, 5, 5},
        {112, 9, 9, 1, 1, 4, 4},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        for (int fill = 0; fill < FILLS; fill++) {
            check_shape(&shapes[i], (enum fill)fill);
        }
    }
}

static void test_random_shapes(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        const uint32_t square = random_below(2);
        const struct shape shape = {
            .channels = 1 + random_below(150),
            .kernel_h = square ? 3 : 1 + random_below(6),
            .kernel_w = square ? 3 : 1 + random_below(6),
            .stride_y = 1 + random_below(3),
            .stride_x = 1 + random_below(3),
            .out_w = 1 + random_below(12),
            .out_h = 1 + random_below(8),
        };
        check_shape(&shape, (enum fill)random_below(FILLS));
    }
}

static void test_float(void **state)
{
    enum { COLUMNS = 7, CHANNELS = 5, OUT = 3 };
    float in[COLUMNS * COLUMNS * CHANNELS], weights[CHANNELS * 6], bias[CHANNELS];
    float out[OUT * OUT * CHANNELS];
    struct kernel_table table[MASKS];

    (void)state;
    tables(table);
    for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
        in[i] = (float)random_s32() * 1e-5f;
    }
    for (size_t i = 0; i < sizeof(weights) / sizeof(weights[0]); i++) {
        weights[i] = (float)random_s32() * 1e-7f;
        bias[i % CHANNELS] = (float)random_s32() * 1e-3f;
    }
    for (uint32_t i = 0; i < 2 * MASKS; i++) {
        const struct kernel_real conv = {
            .in_c = CHANNELS,
            .in_row = COLUMNS * CHANNELS,
            .kernel_h = 3,
            .kernel_w = 2,
            .stride_y = 2,
            .stride_x = 2,
            .out_w = OUT,
            .out_h = OUT,
            .out_c = CHANNELS,
            .relu = (int)(i % 2),
        };
        table[i / 2].real.depthwise(&conv, weights, bias, in, out, (size_t)OUT * CHANNELS);
        for (uint32_t k = 0; k < OUT * OUT * CHANNELS; k++) {
            const uint32_t c = k % CHANNELS, x = k / CHANNELS % OUT, y = k / CHANNELS / OUT;
            float sum = bias[c];

            for (uint32_t tap = 0; tap < 6; tap++) {
                const uint32_t pixel = (2 * y + tap / 2) * COLUMNS + 2 * x + tap % 2;
                sum += in[pixel * CHANNELS + c] * weights[c * 6 + tap];
            }
            sum = conv.relu && !(sum > 0) ? 0 : sum;
            assert_memory_equal(&sum, &out[k], sizeof(sum));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chosen_shapes),
        cmocka_unit_test(test_random_shapes),
        cmocka_unit_test(test_float),
    };

    random_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
