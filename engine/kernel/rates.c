/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Rates of kernels: typical ones by instruction set, and a measurement on one small layer. Times
 * only; no result depends on them.
 */
#include "engine/kernel/rates.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"

/* The layer: CHANNELS -> CHANNELS, a square window over WIDTH x HEIGHT results. */
enum { CHANNELS = 64, WINDOW = 3, WIDTH = 8, HEIGHT = 4, ROUNDS = 4 };
enum { ROW = WIDTH + WINDOW - 1, PIXELS = ROW * (HEIGHT + WINDOW - 1) };
enum { TAPS = WINDOW * WINDOW, RESULTS = WIDTH * HEIGHT * CHANNELS };

/* Measured with kernel_table_measure on a Zen 4 core; of 64-bit Arm estimated. */
static const uint32_t all_c[KERNEL_RATES] = {115000, 85000, 94500, 85000, 94500, 1900000, 930000};
static const uint32_t all_avx2[KERNEL_RATES] = {9900, 1400, 2300, 2650, 4350, 135000, 35000};
static const uint32_t all_neon[KERNEL_RATES] = {30000, 4500, 7000, 8000, 13000, 800000, 400000};
static const uint32_t of_popcnt[4] = {950, 1240, 1790, 2280};
enum { OF_VNNI = 5300, OF_AMX = 900, OF_DOTPROD = 10000 };

void kernel_rates_nominal(struct kernel_table *table)
{
    const uint32_t cpu = table->cpu;
    const uint32_t *rates = all_c;

    if (cpu & KERNEL_CPU_NEON) {
        rates = all_neon;
    } else if (cpu & KERNEL_CPU_AVX2) {
        rates = all_avx2;
    }
    memcpy(table->rates, rates, sizeof table->rates);
    if ((cpu & KERNEL_CPU_AVX512) && (cpu & KERNEL_CPU_AVX512POPCNT)) {
        memcpy(table->rates + KERNEL_RATE_BITS, of_popcnt, sizeof of_popcnt);
    }
    if (cpu & KERNEL_CPU_AMX) {
        table->rates[KERNEL_RATE_CONV] = OF_AMX;
    } else if ((cpu & KERNEL_CPU_AVX512) && (cpu & KERNEL_CPU_AVX512VNNI)) {
        table->rates[KERNEL_RATE_CONV] = OF_VNNI;
    } else if (cpu & KERNEL_CPU_DOTPROD) {
        table->rates[KERNEL_RATE_CONV] = OF_DOTPROD;
    }
}

/* Operands of all kinds; what they hold does not matter, but codes are kept in range. */
struct work {
    const struct kernel_table *table;
    uint8_t codes[PIXELS * CHANNELS + KERNEL_CONV_TAIL];
    int8_t weights[CHANNELS * TAPS * CHANNELS];
    uint64_t map[2 * PIXELS], filters[2 * CHANNELS * TAPS];
    int32_t numbers[3 * CHANNELS], sums[RESULTS];
    uint8_t bytes[RESULTS];
    struct kernel_conv conv;
    struct kernel_bits_conv bits;
    uint8_t *packed; /* for one kernel at a time */
};

static void set_up(struct work *work)
{
    for (size_t i = 0; i < sizeof work->codes; i++) {
        work->codes[i] = i % 3;
    }
    for (size_t i = 0; i < sizeof work->weights; i++) {
        work->weights[i] = (int8_t)(i % 251 - 125);
    }
    for (size_t i = 0; i < 2 * PIXELS; i++) {
        work->map[i] = UINT64_MAX;
    }
    for (size_t i = 0; i < sizeof work->filters / sizeof work->filters[0]; i++) {
        work->filters[i] = UINT64_MAX;
    }
    work->conv = (struct kernel_conv){
        .in_c = CHANNELS,
        .in_row = ROW * CHANNELS,
        .in_max = 127,
        .kernel_h = WINDOW,
        .kernel_w = WINDOW,
        .stride_y = 1,
        .stride_x = 1,
        .out_w = WIDTH,
        .out_h = HEIGHT,
        .out_c = CHANNELS,
        .pool = 1,
        .output = KERNEL_CONV_SUMS,
    };
    work->bits = (struct kernel_bits_conv){
        .in_c = CHANNELS,
        .in_row = ROW,
        .kernel_h = WINDOW,
        .kernel_w = WINDOW,
        .stride_y = 1,
        .stride_x = 1,
        .out_w = WIDTH,
        .out_h = HEIGHT,
        .out_c = CHANNELS,
        .pool = 1,
    };
}

static void run_conv(struct work *work)
{
    work->table->conv.run(&work->conv, work->packed, work->codes, work->sums, WIDTH * CHANNELS);
}

static void run_bits(struct work *work)
{
    work->table->bits.run(&work->bits, work->packed, work->map,
                          work->bits.ternary_input ? work->map + PIXELS : NULL, work->sums, WIDTH);
}

static void run_encode(struct work *work)
{
    work->table->encode.codes(&(struct kernel_encode){.width = WIDTH,
                                                      .height = HEIGHT,
                                                      .channels = CHANNELS,
                                                      .in_row = WIDTH * CHANNELS,
                                                      .out_row = WIDTH * CHANNELS,
                                                      .levels = 2,
                                                      .codes = {0, 1, 2}},
                              work->numbers, work->sums, work->bytes);
}

static void run_map(struct work *work)
{
    work->table->bits.from_codes(&(struct kernel_bits_map){.width = ROW,
                                                           .height = PIXELS / ROW,
                                                           .channels = CHANNELS,
                                                           .in_row = ROW * CHANNELS,
                                                           .out_row = ROW,
                                                           .zero = 1},
                                 work->codes, work->map, work->map + PIXELS);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The shortest of a few rounds, the first of which warms the caches. */
static uint32_t rate(struct work *work, void (*run)(struct work *), uint64_t operations)
{
    uint64_t best = UINT64_MAX;

    for (int i = 0; i < ROUNDS; i++) {
        const uint64_t begin = now_ns();

        run(work);
        const uint64_t time = now_ns() - begin;
        best = time < best ? time : best;
    }
    best = (best << 20) / operations;
    return best < 1 ? 1 : best < UINT32_MAX ? (uint32_t)best : UINT32_MAX;
}

static void measure(struct work *work, struct kernel_table *table)
{
    const uint64_t macs = (uint64_t)RESULTS * TAPS * CHANNELS;

    table->conv.pack(&work->conv, work->weights, work->numbers, NULL, NULL, work->packed);
    table->rates[KERNEL_RATE_CONV] = rate(work, run_conv, macs);
    for (int kind = 0; kind < 4; kind++) {
        work->bits.ternary_input = kind % 2;
        work->bits.ternary_weights = kind / 2;
        table->bits.pack(&work->bits, work->filters,
                         kind / 2 != 0 ? work->filters + (size_t)CHANNELS * TAPS : NULL,
                         work->numbers, work->packed);
        table->rates[KERNEL_RATE_BITS + kind] = rate(work, run_bits, macs);
    }
    table->rates[KERNEL_RATE_SUMS] = rate(work, run_encode, RESULTS);
    table->rates[KERNEL_RATE_MAP] = rate(work, run_map, PIXELS * CHANNELS);
}

void kernel_table_measure(struct kernel_table *table)
{
    struct work *work;
    size_t bytes;

    if (table->cpu == 0) { /* slow, and the same everywhere but for a factor */
        return;
    }
    work = calloc(1, sizeof *work);
    if (work == NULL) {
        return;
    }
    work->table = table;
    set_up(work);
    bytes = table->conv.packed_bytes(&work->conv);
    work->bits.ternary_weights = 1;
    if (table->bits.packed_bytes(&work->bits) > bytes) {
        bytes = table->bits.packed_bytes(&work->bits);
    }
    work->packed = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (work->packed != NULL) {
        measure(work, table);
    }
    free(work->packed);
    free(work);
}
