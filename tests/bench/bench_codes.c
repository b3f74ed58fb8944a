/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Speed of what works on byte codes beside convolutions: depthwise layers of MobileNetV1 0.25 at
 * 96x96, pools, residual sums, encoding of sums. Usage: bench_codes [MASK ...], default c avx2 all;
 * pin it to one core (taskset -c 0). Prints medians.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "tests/bench/timing.h"

enum { ROUNDS = 31, ROUND_US = 500, BYTES = 1 << 20 };

static uint8_t in[BYTES], other[BYTES], out[BYTES];
static int32_t sums[BYTES / 4], numbers[8192];
static int8_t weights[BYTES];
static uint8_t packed[BYTES] __attribute__((aligned(64)));

enum kind { DEPTHWISE, MAX, MEAN, ADD, ENCODE_U7, ENCODE_CODES };

struct work {
    const char *name;
    enum kind kind;
    uint32_t channels, size, kernel, stride; /* size: of the output */
};

static const struct work works[] = {
    {"depthwise 48x48x8", DEPTHWISE, 8, 48, 3, 1},
    {"depthwise 48x48x16 / 2", DEPTHWISE, 16, 24, 3, 2},
    {"depthwise 24x24x32", DEPTHWISE, 32, 24, 3, 1},
    {"depthwise 24x24x32 / 2", DEPTHWISE, 32, 12, 3, 2},
    {"depthwise 12x12x64", DEPTHWISE, 64, 12, 3, 1},
    {"depthwise 12x12x64 / 2", DEPTHWISE, 64, 6, 3, 2},
    {"depthwise 6x6x128", DEPTHWISE, 128, 6, 3, 1},
    {"depthwise 6x6x128 / 2", DEPTHWISE, 128, 3, 3, 2},
    {"depthwise 3x3x256", DEPTHWISE, 256, 3, 3, 1},
    {"depthwise 24x24x32 5x5", DEPTHWISE, 32, 24, 5, 1},
    {"maxpool 2x2 32x32x32", MAX, 32, 16, 2, 2},
    {"avgpool 2x2 32x32x32", MEAN, 32, 16, 2, 2},
    {"global mean 8x8x64", MEAN, 64, 1, 8, 1},
    {"add 24x24x32", ADD, 32, 24, 1, 1},
    {"encode u7 16x16x64", ENCODE_U7, 64, 16, 1, 1},
    {"encode 7 levels 16x16x64", ENCODE_CODES, 64, 16, 1, 1},
};

static struct kernel_depthwise conv_of(const struct work *work)
{
    const uint32_t columns = (work->size - 1) * work->stride + work->kernel;

    return (struct kernel_depthwise){
        .channels = work->channels,
        .in_row = columns * work->channels,
        .kernel_h = work->kernel,
        .kernel_w = work->kernel,
        .stride_y = work->stride,
        .stride_x = work->stride,
        .out_w = work->size,
        .out_h = work->size,
        .shift = 8,
    };
}

static struct kernel_pool pool_of(const struct work *work)
{
    const uint32_t columns = (work->size - 1) * work->stride + work->kernel;

    return (struct kernel_pool){
        .channels = work->channels,
        .window_h = work->kernel,
        .window_w = work->kernel,
        .stride_y = work->stride,
        .stride_x = work->stride,
        .out_h = work->size,
        .out_w = work->size,
        .in_row = (size_t)columns * work->channels,
        .out_row = (size_t)work->size * work->channels,
    };
}

static void run(const struct kernel_table *table, const struct work *work)
{
    const size_t row = (size_t)work->size * work->channels;
    const struct kernel_add add = {(uint32_t)row, work->size, row, row, row, {61, 70}, 7, 0};
    const struct kernel_encode encode = {work->size, work->size, work->channels, row, row, 0, 8,
                                         7,          {0}};
    const struct kernel_depthwise conv = conv_of(work);
    const struct kernel_pool pool = pool_of(work);

    switch (work->kind) {
    case DEPTHWISE:
        table->depthwise.run(&conv, packed, in, out, row);
        break;
    case MAX:
        table->pool.max_u7(&pool, in, out);
        break;
    case MEAN:
        table->pool.mean_u7(&pool, in, out);
        break;
    case ADD:
        table->pool.add_u7(&add, in, other, out);
        break;
    case ENCODE_U7:
        table->encode.u7(&encode, numbers, numbers, sums, out);
        break;
    case ENCODE_CODES:
        table->encode.codes(&encode, numbers, sums, out);
        break;
    }
}

static double median_us(const struct kernel_table *table, const struct work *work)
{
    const struct kernel_depthwise conv = conv_of(work);
    double us[ROUNDS];
    int runs = 1;

    if (work->kind == DEPTHWISE) {
        table->depthwise.pack(&conv, weights, numbers, numbers, packed);
    }
    for (int i = -2; i < ROUNDS; i++) {
        const double start = timing_now_us();

        for (int k = 0; k < runs; k++) {
            run(table, work);
        }
        const double spent = (timing_now_us() - start) / runs;
        us[i < 0 ? 0 : i] = spent;
        runs = (int)(ROUND_US / spent) + 1;
    }
    return timing_median(us, ROUNDS);
}

int main(int argc, char **argv)
{
    static const char *const usual[] = {"c", "avx2", "all"};
    const int masks = argc > 1 ? argc - 1 : 3;

    for (size_t i = 0; i < BYTES; i++) {
        in[i] = (uint8_t)(i * 2654435761u >> 25 & 127);
        other[i] = (uint8_t)(i * 2246822519u >> 25 & 127);
        weights[i] = (int8_t)((int)(i * 3266489917u >> 24 & 127) - 64);
    }
    for (size_t i = 0; i < BYTES / 4; i++) {
        sums[i] = (int32_t)(i * 2654435761u) >> 16;
        numbers[i % 8192] = (int32_t)(i * 16);
    }
    for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
        printf("%-26s", works[i].name);
        for (int m = 0; m < masks; m++) {
            const char *text = argc > 1 ? argv[m + 1] : usual[m];
            struct kernel_table table;
            uint32_t mask;

            if (kernel_cpu_mask_parse(text, &mask) < 0) {
                fprintf(stderr, "bench_codes: \"%s\" is no CPU mask\n", text);
                return 2;
            }
            kernel_table_init(&table, kernel_cpu_detect() & mask);
            printf("  %s %9.2f us", text, median_us(&table, &works[i]));
        }
        printf("\n");
    }
    return 0;
}
