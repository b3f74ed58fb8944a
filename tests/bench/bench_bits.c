/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Speed of the bit convolutions on the layers of three binary networks, beside the ceiling of the
 * instruction set, measured in turns over weights of the same size. Random weights. Usage:
 * bench_bits [MASK ...], default avx2 all; pin it to one core (taskset -c 0). Prints a table;
 * medians.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/lab/ceiling_bits.h"
#include "tests/bench/timing.h"

enum { ROUNDS = 41, ROUND_US = 400 };

struct layer {
    const char *network, *name;
    uint32_t in_c, kernel, size, out_c, pool; /* size: of the map before pooling */
};

/* The nine layers of BinarEye (CICC 2018) but the first, and the eight of the peers' comparison. A
 * network's rows are adjacent. */
static const struct layer layers[] = {
    {"binary-256", "31x31", 256, 2, 31, 256, 1},
    {"binary-256", "30x30", 256, 2, 30, 256, 1},
    {"binary-256", "29x29", 256, 2, 29, 256, 1},
    {"binary-256", "28x28 pool", 256, 2, 28, 256, 2},
    {"binary-256", "13x13", 256, 2, 13, 256, 1},
    {"binary-256", "12x12 pool", 256, 2, 12, 256, 2},
    {"binary-256", "5x5", 256, 2, 5, 256, 1},
    {"binary-256", "4x4", 256, 2, 4, 256, 1},
    {"binary-256", "dense 10", 4096, 1, 1, 10, 1},
    {"B-binary", "31x31", 256, 2, 31, 256, 1},
    {"B-binary", "30x30 pool", 256, 2, 30, 256, 2},
    {"B-binary", "14x14", 256, 2, 14, 256, 1},
    {"B-binary", "13x13", 256, 2, 13, 256, 1},
    {"B-binary", "5x5", 256, 2, 5, 256, 1},
    {"B-binary", "4x4", 256, 2, 4, 256, 1},
    {"B-binary", "3x3", 256, 2, 3, 256, 1},
    {"B-binary", "2x2", 256, 2, 2, 256, 1},
    {"binary-64", "31x31", 64, 2, 31, 64, 1},
    {"binary-64", "30x30", 64, 2, 30, 64, 1},
    {"binary-64", "29x29", 64, 2, 29, 64, 1},
    {"binary-64", "28x28 pool", 64, 2, 28, 64, 2},
    {"binary-64", "13x13", 64, 2, 13, 64, 1},
    {"binary-64", "12x12 pool", 64, 2, 12, 64, 2},
    {"binary-64", "5x5", 64, 2, 5, 64, 1},
    {"binary-64", "4x4", 64, 2, 4, 64, 1},
    {"binary-64", "dense 10", 1024, 1, 1, 10, 1},
};

struct result {
    double us, gops, ceiling, share;
};

static uint64_t random_state = 1;

static uint64_t random_word(void)
{
    uint64_t word = 0;

    for (int i = 0; i < 3; i++) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        word = word << 22 ^ random_state >> 33;
    }
    return word;
}

static uint64_t *words_of(size_t count, int random)
{
    uint64_t *words = aligned_alloc(64, (count * 8 + 63) & ~(size_t)63);

    if (words == NULL) {
        fprintf(stderr, "bench_bits: out of memory\n");
        exit(1);
    }
    for (size_t i = 0; i < count; i++) {
        words[i] = random ? random_word() : 0;
    }
    return words;
}

static ceiling_bits_function *ceiling_of(uint32_t cpu)
{
#if defined(__x86_64__)
    if (cpu & KERNEL_CPU_AVX512POPCNT) {
        return ceiling_bits_avx512;
    }
#endif
    (void)cpu;
    return NULL;
}

/* A layer ready to run. */
struct bench {
    const struct kernel_table *table;
    struct kernel_bits_conv conv;
    uint64_t *map, *weights, *packed, *out;
    size_t weight_bytes;
};

static void bench_init(struct bench *bench, const struct kernel_table *table,
                       const struct layer *layer)
{
    const uint32_t w = (layer->in_c + 63) / 64, size = layer->size + layer->kernel - 1;
    const size_t filters = (size_t)layer->out_c * layer->kernel * layer->kernel * w;
    int32_t *thresholds = (int32_t *)(void *)words_of(layer->out_c, 0);

    bench->table = table;
    bench->conv = (struct kernel_bits_conv){
        .in_c = layer->in_c,
        .in_row = size * w,
        .kernel_h = layer->kernel,
        .kernel_w = layer->kernel,
        .stride_y = 1,
        .stride_x = 1,
        .out_w = layer->size / layer->pool,
        .out_h = layer->size / layer->pool,
        .out_c = layer->out_c,
        .pool = layer->pool,
    };
    bench->map = words_of((size_t)size * size * w, 1);
    bench->weights = words_of(filters, 1);
    bench->weight_bytes = filters * 8;
    bench->packed = words_of(table->bits.packed_bytes(&bench->conv) / 8 + 1, 0);
    bench->out = words_of((size_t)layer->size * layer->size * ((layer->out_c + 63) / 64), 0);
    table->bits.pack(&bench->conv, bench->weights, NULL, thresholds, bench->packed);
    free(thresholds);
}

static void bench_finish(struct bench *bench)
{
    free(bench->map);
    free(bench->weights);
    free(bench->packed);
    free(bench->out);
}

static void bench_run(const struct bench *bench)
{
    const struct kernel_bits_conv *conv = &bench->conv;

    bench->table->bits.run(conv, bench->packed, bench->map, NULL, bench->out,
                           (size_t)conv->out_w * ((conv->out_c + 63) / 64));
}

/* Microseconds of one run, the mean over about ROUND_US. */
static double round_us(const struct bench *bench, unsigned *runs)
{
    const double start = timing_now_us();

    for (unsigned i = 0; i < *runs; i++) {
        bench_run(bench);
    }
    const double us = (timing_now_us() - start) / *runs;
    *runs = us < ROUND_US ? (unsigned)(ROUND_US / us) + 1 : 1;
    return us;
}

static double operations_of(const struct layer *layer)
{
    return 2.0 * layer->size * layer->size * layer->kernel * layer->kernel * layer->in_c *
           layer->out_c;
}

static struct result bench_layer(const struct kernel_table *table, const struct layer *layer)
{
    ceiling_bits_function *loop = ceiling_of(table->cpu);
    double us[ROUNDS], ceiling[ROUNDS], share[ROUNDS];
    struct bench bench;
    unsigned runs = 1;
    uint64_t sink = 0;

    bench_init(&bench, table, layer);
    round_us(&bench, &runs);
    round_us(&bench, &runs);
    for (int i = 0; i < ROUNDS; i++) {
        us[i] = round_us(&bench, &runs);
        ceiling[i] = 0;
        if (loop != NULL) {
            const double start = timing_now_us();
            const uint64_t operations = loop(bench.weights, bench.weight_bytes,
                                             (unsigned)((8u << 20) / bench.weight_bytes), &sink);
            ceiling[i] = (double)operations / (timing_now_us() - start) * 1e-3;
        }
        share[i] = ceiling[i] > 0 ? operations_of(layer) / us[i] * 1e-3 / ceiling[i] : 0;
    }
    bench_finish(&bench);
    struct result result = {.us = timing_median(us, ROUNDS),
                            .ceiling = timing_median(ceiling, ROUNDS),
                            .share = timing_median(share, ROUNDS)};
    result.gops = operations_of(layer) / result.us * 1e-3;
    return sink == 42 ? (struct result){0} : result;
}

static void print_row(const char *mask, const char *network, const char *name,
                      const struct result *result)
{
    printf("%-7s %-11s %-14s %9.2f us %7.1f Gop/s", mask, network, name, result->us, result->gops);
    if (result->ceiling > 0) {
        printf("  ceiling %6.1f  share %4.1f%%", result->ceiling, 100 * result->share);
    }
    printf("\n");
    fflush(stdout);
}

static int bench_mask(const char *text)
{
    const size_t count = sizeof(layers) / sizeof(layers[0]);
    struct result network = {0};
    struct kernel_table table;
    double operations = 0;
    uint32_t mask;

    if (kernel_cpu_mask_parse(text, &mask) < 0) {
        fprintf(stderr, "bench_bits: \"%s\" is no CPU mask\n", text);
        return 2;
    }
    kernel_table_init(&table, kernel_cpu_detect() & mask);
    for (size_t i = 0; i < count; i++) {
        const struct result result = bench_layer(&table, &layers[i]);

        print_row(text, layers[i].network, layers[i].name, &result);
        network.us += result.us;
        network.share += result.us * result.share; /* time at the ceiling */
        operations += operations_of(&layers[i]);
        if (i + 1 == count || layers[i].network != layers[i + 1].network) {
            network.gops = operations / network.us * 1e-3;
            network.share /= network.us;
            network.ceiling = network.share > 0 ? network.gops / network.share : 0;
            print_row(text, layers[i].network, "all", &network);
            network = (struct result){0};
            operations = 0;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const usual[] = {"avx2", "all"};
    int result = 0;

    for (int i = 1; i < argc && result == 0; i++) {
        result = bench_mask(argv[i]);
    }
    for (int i = 0; argc == 1 && i < 2 && result == 0; i++) {
        result = bench_mask(usual[i]);
    }
    return result;
}
