/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Speed of the s8 convolution kernel on the layers of the bench networks, beside the ceiling of the
 * instruction set measured in the same run over weights of the same size. Random weights. Usage:
 * bench_conv [MASK ...], default c avx2 all; pin it to one core (taskset -c 0). Prints a table;
 * medians.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "tests/bench/ceiling.h"

enum { RUNS = 201, WARMUP = 20 };

struct layer {
    const char *name;
    uint32_t in_c, size, kernel, out_c, pool, in_max; /* size: of the map before pooling */
};

static const struct layer layers[] = {
    {"lg3 conv1", 6, 32, 3, 32, 2, 2},          {"lg3 conv2", 32, 16, 3, 64, 2, 127},
    {"lg3 conv3", 64, 8, 3, 128, 2, 127},       {"lg3 dense", 2048, 1, 1, 10, 1, 127},
    {"2x2x256 31x31", 256, 31, 2, 256, 1, 127}, {"2x2x256 14x14", 256, 14, 2, 256, 1, 127},
    {"2x2x256 5x5", 256, 5, 2, 256, 1, 127},
};

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % n);
}

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void *need(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "bench_conv: out of memory\n");
        exit(1);
    }
    return memory;
}

static void *aligned(size_t bytes)
{
    return need(aligned_alloc(64, (bytes + 63) & ~(size_t)63));
}

/* Gop/s of the ceiling loop over `bytes` of weights, 0 where this build has none for the flags. */
static double ceiling_gops(uint32_t cpu, const void *weights, size_t bytes)
{
    ceiling_function *loop = NULL;
    double best[21];
    int32_t sink = 0;

#if defined(__x86_64__)
    if (cpu & KERNEL_CPU_AVX512VNNI) {
        loop = ceiling_avx512vnni;
    } else if (cpu & KERNEL_CPU_AVX2) {
        loop = ceiling_avx2;
    }
#endif
    bytes &= ~(size_t)255;
    if (loop == NULL || bytes == 0) {
        return 0;
    }
    unsigned repeats = (unsigned)(1 + (4u << 20) / bytes);
    for (int i = 0; i < 21; i++) {
        double start = now_us();
        uint64_t operations = loop(weights, bytes, repeats, &sink);
        best[i] = (double)operations / (now_us() - start) * 1e-3;
    }
    qsort(best, 21, sizeof(best[0]), by_value);
    return sink == 42 ? 0 : best[10];
}

static double time_layer(const struct kernel_table *table, const struct layer *layer,
                         double *ret_ceiling)
{
    struct kernel_conv conv = {
        .in_c = layer->in_c,
        .in_row = (layer->size + layer->kernel - 1) * layer->in_c,
        .in_max = layer->in_max,
        .kernel_h = layer->kernel,
        .kernel_w = layer->kernel,
        .stride_y = 1,
        .stride_x = 1,
        .out_w = layer->size / layer->pool,
        .out_h = layer->size / layer->pool,
        .out_c = layer->out_c,
        .pool = layer->pool,
        .shift = 8,
        .output = KERNEL_CONV_U7,
    };
    const size_t filter = (size_t)layer->kernel * layer->kernel * layer->in_c * layer->out_c;
    const size_t in_bytes = (layer->size + layer->kernel - 1) * conv.in_row + KERNEL_CONV_TAIL;
    const size_t out_row = (size_t)conv.out_w * conv.out_c;
    int8_t *weights = aligned(filter);
    int32_t *bias = need(calloc(conv.out_c, sizeof(*bias)));
    int32_t *mult = need(calloc(conv.out_c, sizeof(*mult)));
    uint8_t *in = aligned(in_bytes), *out = aligned(conv.out_h * out_row);
    void *packed = aligned(table->conv.packed_bytes(&conv));
    double us[RUNS];

    for (size_t i = 0; i < filter; i++) {
        weights[i] = (int8_t)((int)random_below(255) - 127);
    }
    for (size_t i = 0; i < in_bytes; i++) {
        in[i] = (uint8_t)random_below(layer->in_max + 1);
    }
    for (uint32_t i = 0; i < conv.out_c; i++) {
        mult[i] = 1 << 28;
    }
    table->conv.pack(&conv, weights, bias, mult, NULL, packed);
    for (int i = -WARMUP; i < RUNS; i++) {
        double start = now_us();
        table->conv.run(&conv, packed, in, out, out_row);
        if (i >= 0) {
            us[i] = now_us() - start;
        }
    }
    qsort(us, RUNS, sizeof(us[0]), by_value);
    *ret_ceiling = ceiling_gops(table->cpu, weights, filter);
    free(weights);
    free(bias);
    free(mult);
    free(in);
    free(out);
    free(packed);
    return us[RUNS / 2];
}

static int bench_mask(const char *text)
{
    struct kernel_table table;
    uint32_t mask;

    if (kernel_cpu_mask_parse(text, &mask) < 0) {
        fprintf(stderr, "bench_conv: \"%s\" is no CPU mask\n", text);
        return 2;
    }
    kernel_table_init(&table, kernel_cpu_detect() & mask);
    for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++) {
        const struct layer *layer = &layers[i];
        double ceiling, us = time_layer(&table, layer, &ceiling);
        double operations = 2.0 * layer->size * layer->size * layer->kernel * layer->kernel *
                            layer->in_c * layer->out_c;
        double gops = operations / us * 1e-3;
        printf("%-7s %-14s %9.2f us %7.1f Gop/s", text, layer->name, us, gops);
        if (ceiling > 0) {
            printf("  ceiling %6.1f  share %3.0f%%", ceiling, 100 * gops / ceiling);
        }
        printf("\n");
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const usual[] = {"c", "avx2", "all"};
    int result = 0;

    for (int i = 1; i < argc && result == 0; i++) {
        result = bench_mask(argv[i]);
    }
    for (int i = 0; argc == 1 && i < 3 && result == 0; i++) {
        result = bench_mask(usual[i]);
    }
    return result;
}
