/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Speed of the s8 convolution kernel on the layers of the bench networks, with u7 output and as a
 * layer of a network of 3-bit log codes, beside the ceiling of the instruction set over weights of
 * the same size. The three are measured in turn. Random weights. Usage: bench_conv [--json]
 * [MASK ...], default every set of instructions that this machine has; "evex" is the AVX-VNNI
 * kernel in the coding of AVX-512. Pin it to one core (taskset -c 0). Prints a table, or a JSON
 * line for each layer; medians.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/isa.h"
#include "engine/lab/ceiling.h"
#include "tests/bench/timing.h"

enum { ROUNDS = 41, ROUND_US = 300, LOG_LEVELS = 7, CEILING_BYTES = 2048 };

struct layer {
    const char *name;
    uint32_t in_c, size, kernel, out_c, pool, in_max; /* size: of the map before pooling */
};

static const struct layer layers[] = {
    {"lg3 conv1", 6, 32, 3, 32, 2, 2},          {"lg3 conv2", 32, 16, 3, 64, 2, 127},
    {"lg3 conv3", 64, 8, 3, 128, 2, 127},       {"lg3 dense", 2048, 1, 1, 10, 1, 127},
    {"small conv1", 3, 32, 3, 32, 2, 127},      {"small conv3", 64, 8, 3, 64, 1, 127},
    {"2x2x256 31x31", 256, 31, 2, 256, 1, 127}, {"2x2x256 14x14", 256, 14, 2, 256, 1, 127},
    {"2x2x256 5x5", 256, 5, 2, 256, 1, 127},
};

KERNEL_CONV_DECLARE(evex);

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % n);
}

static void *aligned(size_t bytes)
{
    void *memory = aligned_alloc(64, (bytes + 63) & ~(size_t)63);

    if (memory == NULL) {
        fprintf(stderr, "bench_conv: out of memory\n");
        exit(1);
    }
    return memset(memory, 0, bytes);
}

/* One layer as one kernel runs it. */
struct work {
    const struct kernel_table *table;
    struct kernel_conv conv;
    int8_t *weights;
    size_t weight_bytes;
    uint8_t *in, *out;
    void *packed;
    unsigned runs; /* in a round */
};

/* 0, 1, 2, 4, .. 64 */
static int power(uint32_t code)
{
    return code == 0 ? 0 : 1 << (code - 1);
}

/* Thresholds that spread random sums over the codes. */
static void fill(struct work *work, size_t in_bytes, int log, int32_t *threshold)
{
    const struct kernel_conv *conv = &work->conv;
    const int32_t filter = (int32_t)(work->weight_bytes / conv->out_c);

    for (size_t i = 0; i < work->weight_bytes; i++) {
        int size = log ? power(random_below(8)) : (int)random_below(128);
        work->weights[i] = (int8_t)(random_below(2) ? size : -size);
    }
    for (size_t i = 0; i < in_bytes; i++) {
        work->in[i] = (uint8_t)(log && conv->in_max > 2 ? power(random_below(8))
                                                        : (int)random_below(conv->in_max + 1));
    }
    for (uint32_t i = 0; i < conv->out_c * LOG_LEVELS; i++) {
        threshold[i] = power(i % LOG_LEVELS + 1) * filter / 2;
    }
}

static void work_init(struct work *work, const struct kernel_table *table,
                      const struct layer *layer, int log)
{
    const uint32_t in_size = layer->size + layer->kernel - 1;
    const size_t in_bytes = (size_t)in_size * in_size * layer->in_c + KERNEL_CONV_TAIL;
    int32_t *bias = aligned(layer->out_c * sizeof(*bias));
    int32_t *mult = aligned(layer->out_c * sizeof(*mult));
    int32_t *threshold = aligned(layer->out_c * LOG_LEVELS * sizeof(*threshold));

    *work = (struct work){.table = table, .runs = 1};
    work->conv = (struct kernel_conv){
        .in_c = layer->in_c,
        .in_row = in_size * layer->in_c,
        .in_max = log && layer->in_max > 2 ? 64 : layer->in_max,
        .kernel_h = layer->kernel,
        .kernel_w = layer->kernel,
        .stride_y = 1,
        .stride_x = 1,
        .out_w = layer->size / layer->pool,
        .out_h = layer->size / layer->pool,
        .out_c = layer->out_c,
        .pool = layer->pool,
        .output = log ? KERNEL_CONV_CODES : KERNEL_CONV_U7,
        .shift = 8,
        .levels = LOG_LEVELS,
        .codes = {0, 1, 2, 4, 8, 16, 32, 64},
    };
    work->weight_bytes = (size_t)layer->kernel * layer->kernel * layer->in_c * layer->out_c;
    work->weights = aligned(work->weight_bytes + CEILING_BYTES);
    work->in = aligned(in_bytes);
    work->out = aligned((size_t)layer->size * layer->size * layer->out_c);
    work->packed = aligned(table->conv.packed_bytes(&work->conv));
    fill(work, in_bytes, log, threshold);
    for (uint32_t i = 0; i < layer->out_c; i++) {
        mult[i] = 1 << 28;
    }
    table->conv.pack(&work->conv, work->weights, bias, mult, threshold, work->packed);
    free(bias);
    free(mult);
    free(threshold);
}

static void work_finish(struct work *work)
{
    free(work->weights);
    free(work->in);
    free(work->out);
    free(work->packed);
}

/* Microseconds of one run, the mean over about ROUND_US. */
static double round_us(struct work *work)
{
    const struct kernel_conv *conv = &work->conv;
    const double start = timing_now_us();

    for (unsigned i = 0; i < work->runs; i++) {
        work->table->conv.run(conv, work->packed, work->in, work->out,
                              (size_t)conv->out_w * conv->out_c);
    }
    const double us = (timing_now_us() - start) / work->runs;
    work->runs = us < ROUND_US ? (unsigned)(ROUND_US / us) + 1 : 1;
    return us;
}

/* Gop/s of the ceiling loop over the layer's weights, as often as about 8 MiB of them. */
static double ceiling_gops(ceiling_function *loop, const struct work *work, int32_t *sink)
{
    const size_t bytes = (work->weight_bytes + CEILING_BYTES - 1) & ~(size_t)(CEILING_BYTES - 1);
    const double start = timing_now_us();
    const uint64_t operations = loop(work->weights, bytes, (unsigned)((8u << 20) / bytes), sink);

    return (double)operations / (timing_now_us() - start) * 1e-3;
}

/* Medians; of the last three 0 where there is no ceiling. */
struct result {
    double us, log_us, ratio, ceiling, share, log_share;
};

static struct result bench_layer(const struct kernel_table *table, ceiling_function *loop,
                                 const struct layer *layer)
{
    const double operations = 2.0 * layer->size * layer->size * layer->kernel * layer->kernel *
                              layer->in_c * layer->out_c;
    double value[6][ROUNDS];
    struct work u7, log;
    int32_t sink = 0;

    work_init(&u7, table, layer, 0);
    work_init(&log, table, layer, 1);
    round_us(&u7);
    round_us(&log);
    for (int i = 0; i < ROUNDS; i++) {
        value[0][i] = round_us(&u7);
        value[1][i] = round_us(&log);
        value[2][i] = value[0][i] / value[1][i];
        value[3][i] = loop != NULL ? ceiling_gops(loop, &u7, &sink) : 0;
        value[4][i] = loop != NULL ? operations * 1e-3 / value[0][i] / value[3][i] : 0;
        value[5][i] = loop != NULL ? operations * 1e-3 / value[1][i] / value[3][i] : 0;
    }
    work_finish(&u7);
    work_finish(&log);
    double median[6];
    for (int i = 0; i < 6; i++) {
        median[i] = timing_median(value[i], ROUNDS);
    }
    /* The sink keeps the ceiling's work alive; no sum of it is that number. */
    return (struct result){median[0], median[1], sink == 42 ? 0 : median[2],
                           median[3], median[4], median[5]};
}

static void print_row(const char *mask, const char *layer, const struct result *r, int json)
{
    if (json) {
        printf(
            "{\"mask\":\"%s\",\"layer\":\"%s\",\"u7_us\":%.2f,\"log3_us\":%.2f,\"log3_speed\":%.3f,"
            "\"ceiling_gops\":%.1f,\"u7_share\":%.3f,\"log3_share\":%.3f}\n",
            mask, layer, r->us, r->log_us, r->ratio, r->ceiling, r->share, r->log_share);
    } else {
        printf("%-10s %-14s u7 %9.2f us  log3 %9.2f us  %5.2fx", mask, layer, r->us, r->log_us,
               r->ratio);
        if (r->ceiling > 0) {
            printf("  ceiling %6.1f Gop/s  share %3.0f%%  log3 %3.0f%%", r->ceiling, 100 * r->share,
                   100 * r->log_share);
        }
        printf("\n");
    }
    fflush(stdout);
}

static void bench_table(const char *mask, const struct kernel_table *table, ceiling_function *loop,
                        int json)
{
    for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++) {
        const struct result result = bench_layer(table, loop, &layers[i]);

        print_row(mask, layers[i].name, &result, json);
    }
}

static void bench_cpu(const char *mask, uint32_t cpu, int json)
{
    struct kernel_table table;

    kernel_table_init(&table, cpu);
    bench_table(mask, &table, ceiling_of(cpu), json);
}

/* The AVX-VNNI kernel in the coding of AVX-512, to judge it by where the other is missing. */
static void bench_evex(uint32_t cpu, int json)
{
#if defined(__x86_64__)
    struct kernel_table table;

    if ((cpu & KERNEL_CPU_AVX512) && (cpu & KERNEL_CPU_AVX512VNNI)) {
        kernel_table_init(&table, cpu);
        table.conv.packed_bytes = kernel_conv_packed_bytes_evex;
        table.conv.pack = kernel_conv_pack_evex;
        table.conv.run = kernel_conv_run_evex;
        bench_table("evex", &table, ceiling_evex, json);
    }
#endif
    (void)cpu;
    (void)json;
}

int main(int argc, char **argv)
{
    /* 0x3: AVX2 and AVX-VNNI; 0x5: AVX-512 without VNNI. */
    static const char *const usual[] = {"c",      "avx2", "0x3",  "0x5",
                                        "avx512", "amx",  "neon", "dotprod"};
    const uint32_t detected = kernel_cpu_detect();
    uint32_t mask, seen[sizeof(usual) / sizeof(usual[0])];
    const int json = argc > 1 && strcmp(argv[1], "--json") == 0;
    size_t count = 0;

    for (int i = 1 + json; i < argc; i++) {
        if (strcmp(argv[i], "evex") == 0) {
            bench_evex(detected, json);
            continue;
        }
        if (kernel_cpu_mask_parse(argv[i], &mask) < 0) {
            fprintf(stderr, "bench_conv: \"%s\" is no CPU mask\n", argv[i]);
            return 2;
        }
        bench_cpu(argv[i], detected & mask, json);
    }
    for (size_t i = 0; argc == 1 + json && i < sizeof(usual) / sizeof(usual[0]); i++) {
        size_t same = 0;

        kernel_cpu_mask_parse(usual[i], &mask);
        while (same < count && seen[same] != (detected & mask)) {
            same++;
        }
        if (same == count) {
            seen[count++] = detected & mask;
            bench_cpu(usual[i], detected & mask, json);
        }
    }
    return 0;
}
