/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * First layers on ternary log-gradient codes, 3x3 with six channels: counting bits, from the byte
 * codes on (patches, convolution), beside the byte convolution with s8 weights of u7 and
 * of ternary codes. Random data. Usage: bench_first [MASK ...], default avx2 avx512 all; pin it to
 * one core (taskset -c 0). Prints medians of turns, and how many times faster than u7 x s8.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "tests/bench/timing.h"

enum {
    ROUNDS = 41,
    RUNS = 40,
    CHANNELS = 6,
    TAPS = 9,
    WIDTH = 32,
    COLUMNS = WIDTH + 2,
    HEIGHT_MOST = 64,
    PIXELS_MOST = COLUMNS * (HEIGHT_MOST + 2),
    OUT_MOST = 32,
};

enum kind { U7_S8, TERNARY_S8, TERNARY_BINARY, TERNARY_TERNARY, KINDS };

static const char *const kind_names[] = {"u7 x s8", "ternary x s8", "ternary x binary",
                                         "ternary x ternary"};

struct layer {
    const char *name;
    uint32_t height, out_c, pool;
};

static const struct layer layers[] = {
    {"32x32, 32 outputs", 32, 32, 1},
    {"32x32, 32 outputs, pool", 32, 32, 2},
    {"64x32, 16 outputs", 64, 16, 1},
    {"64x32, 16 outputs, pool", 64, 16, 2},
};

static uint8_t codes[PIXELS_MOST * CHANNELS + KERNEL_CONV_TAIL];
static uint64_t patches[2][WIDTH * HEIGHT_MOST];
static int8_t weights[OUT_MOST * TAPS * CHANNELS];
static uint64_t filters[2][OUT_MOST];
static int32_t zeros[OUT_MOST], mult[OUT_MOST];
static uint8_t packed[KINDS][1 << 16] __attribute__((aligned(64)));
static uint8_t out[WIDTH * HEIGHT_MOST * OUT_MOST] __attribute__((aligned(64)));

static struct kernel_conv bytes_conv(const struct layer *layer, enum kind kind)
{
    return (struct kernel_conv){
        .in_c = CHANNELS,
        .in_row = COLUMNS * CHANNELS,
        .in_max = kind == U7_S8 ? 127 : 2,
        .kernel_h = 3,
        .kernel_w = 3,
        .stride_y = 1,
        .stride_x = 1,
        .out_w = WIDTH / layer->pool,
        .out_h = layer->height / layer->pool,
        .out_c = layer->out_c,
        .pool = layer->pool,
        .output = KERNEL_CONV_U7,
        .shift = 8,
    };
}

static struct kernel_bits_conv bits_conv(const struct layer *layer, enum kind kind)
{
    return (struct kernel_bits_conv){
        .in_c = TAPS * CHANNELS,
        .in_row = WIDTH,
        .kernel_h = 1,
        .kernel_w = 1,
        .stride_y = 1,
        .stride_x = 1,
        .out_w = WIDTH / layer->pool,
        .out_h = layer->height / layer->pool,
        .out_c = layer->out_c,
        .pool = layer->pool,
        .ternary_input = 1,
        .ternary_weights = kind == TERNARY_TERNARY,
    };
}

static void pack(const struct kernel_table *table, const struct layer *layer)
{
    for (int kind = 0; kind < KINDS; kind++) {
        if (kind <= TERNARY_S8) {
            const struct kernel_conv conv = bytes_conv(layer, (enum kind)kind);

            table->conv.pack(&conv, weights, zeros, mult, NULL, packed[kind]);
        } else {
            const struct kernel_bits_conv conv = bits_conv(layer, (enum kind)kind);

            table->bits.pack(&conv, filters[0], conv.ternary_weights ? filters[1] : NULL, zeros,
                             packed[kind]);
        }
    }
}

static void run(const struct kernel_table *table, const struct layer *layer, enum kind kind)
{
    const struct kernel_bits_gather gather = {CHANNELS, COLUMNS * CHANNELS, 3, 3, 1, 1,
                                              WIDTH,    layer->height};

    if (kind <= TERNARY_S8) {
        const struct kernel_conv conv = bytes_conv(layer, kind);

        table->conv.run(&conv, packed[kind], codes, out, (size_t)conv.out_w * conv.out_c);
        return;
    }
    const struct kernel_bits_conv conv = bits_conv(layer, kind);
    table->bits.gather_codes(&gather, 1, codes, patches[0], patches[1]);
    table->bits.run(&conv, packed[kind], patches[0], patches[1], out, conv.out_w);
}

static void bench_layer(const struct kernel_table *table, const char *mask,
                        const struct layer *layer)
{
    double us[KINDS][ROUNDS], median[KINDS];

    pack(table, layer);
    for (int i = 0; i < ROUNDS; i++) {
        for (int kind = 0; kind < KINDS; kind++) {
            const double start = timing_now_us();

            for (int k = 0; k < RUNS; k++) {
                run(table, layer, (enum kind)kind);
            }
            us[kind][i] = (timing_now_us() - start) / RUNS;
        }
    }
    for (int kind = 0; kind < KINDS; kind++) {
        median[kind] = timing_median(us[kind], ROUNDS);
        printf("%-7s %-24s %-18s %7.2f us  %5.2fx\n", mask, layer->name, kind_names[kind],
               median[kind], median[0] / median[kind]);
    }
}

int main(int argc, char **argv)
{
    static const char *const usual[] = {"avx2", "avx512", "all"};
    const int masks = argc > 1 ? argc - 1 : 3;

    srand(1);
    for (size_t i = 0; i < sizeof(codes); i++) {
        codes[i] = (uint8_t)(rand() % 3);
    }
    for (size_t i = 0; i < sizeof(weights); i++) {
        weights[i] = (int8_t)(rand() % 255 - 127);
    }
    for (size_t o = 0; o < OUT_MOST; o++) {
        mult[o] = 1 << 28;
        for (uint32_t bit = 0; bit < TAPS * CHANNELS; bit++) {
            const uint64_t some = (uint64_t)(rand() % 3 > 0) << bit;

            filters[1][o] |= some;
            filters[0][o] |= rand() % 2 ? some : 0;
        }
    }
    for (int m = 0; m < masks; m++) {
        const char *text = argc > 1 ? argv[m + 1] : usual[m];
        struct kernel_table table;
        uint32_t mask;

        if (kernel_cpu_mask_parse(text, &mask) < 0) {
            fprintf(stderr, "bench_first: \"%s\" is no CPU mask\n", text);
            return 2;
        }
        kernel_table_init(&table, kernel_cpu_detect() & mask);
        for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++) {
            bench_layer(&table, text, &layers[i]);
        }
    }
    return 0;
}
