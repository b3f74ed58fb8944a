/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Speed of the logarithmic convolution kernel beside the s8 x u7 one on the same layers, the two
 * timed in turn. Random data: codes of normally distributed values, or with -u all codes alike.
 * Usage: bench_log [-u] [MASK ...], default avx2 all; pin it to one core (taskset -c 0). Prints a
 * table of medians: times, the s8 time over the log time, packed bytes over those of s8.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"

enum { RUNS = 61, WARMUP = 5 };

struct layer {
    const char *name;
    uint32_t in_c, size, kernel, out_c, pool; /* size: of the map before pooling */
};

static const struct layer layers[] = {
    {"lg3 conv2", 32, 16, 3, 64, 2},       {"lg3 conv3", 64, 8, 3, 128, 2},
    {"2x2x256 31x31", 256, 31, 2, 256, 1}, {"2x2x256 14x14", 256, 14, 2, 256, 1},
    {"2x2x256 5x5", 256, 5, 2, 256, 1},
};

struct coding {
    const char *name;
    uint32_t in_bits, in_root, weight_bits, weight_root;
};

static const struct coding codings[] = {
    {"4 x 4", 4, 0, 4, 0},   {"4 x 5", 4, 0, 5, 0},   {"5 x 4", 5, 0, 4, 0},
    {"5 x 5", 5, 0, 5, 0},   {"u7 x 5", 0, 0, 5, 0},  {"4 x s8", 4, 0, 0, 0},
    {"4r x 4", 4, 1, 4, 0},  {"4 x 4r", 4, 0, 4, 1},  {"4 x 5r", 4, 0, 5, 1},
    {"4r x 4r", 4, 1, 4, 1}, {"4r x 5r", 4, 1, 5, 1}, {"5r x 4", 5, 1, 4, 0},
    {"5r x 5r", 5, 1, 5, 1}, {"u7 x 4r", 0, 0, 4, 1}, {"4 x 6", 4, 0, 6, 0},
};

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % n);
}

/* The code, out of 0..most, of |x| / 8, x normally distributed: twelve draws of [0, 1) added up. */
static uint32_t random_code(uint32_t most, uint32_t root, int uniform)
{
    double x = -6;

    if (uniform) {
        return random_below(most + 1);
    }
    for (int i = 0; i < 12; i++) {
        x += random_below(1 << 20) * 0x1p-20;
    }
    const double steps = round(log2(fabs(x) / 4) * (root ? 2 : 1)) + most;

    return steps < 0 ? 0 : steps > most ? most : (uint32_t)steps;
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

static void *aligned(size_t bytes)
{
    void *memory = aligned_alloc(64, (bytes + 64) & ~(size_t)63);

    if (memory == NULL) {
        fprintf(stderr, "bench_log: out of memory\n");
        exit(1);
    }
    return memset(memory, 0, (bytes + 64) & ~(size_t)63);
}

/* A layer in both kernels. */
struct bench {
    struct kernel_conv conv;
    struct kernel_log log;
    void *conv_packed, *log_packed, *workspace;
    uint8_t *conv_in, *log_in, *out;
    size_t conv_bytes, log_bytes;
};

static void init_conv(struct bench *bench, const struct kernel_table *table,
                      const struct layer *layer)
{
    const size_t filter = (size_t)layer->kernel * layer->kernel * layer->in_c * layer->out_c;
    const size_t in_bytes = (size_t)(layer->size + layer->kernel - 1) *
                                (layer->size + layer->kernel - 1) * layer->in_c +
                            KERNEL_CONV_TAIL;
    int8_t *weights = aligned(filter);
    int32_t *zero = aligned(layer->out_c * sizeof(*zero));
    int32_t *mult = aligned(layer->out_c * sizeof(*mult));

    bench->conv = (struct kernel_conv){
        .in_c = layer->in_c,
        .in_row = (layer->size + layer->kernel - 1) * layer->in_c,
        .in_max = 127,
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
    for (size_t i = 0; i < filter; i++) {
        weights[i] = (int8_t)((int)random_below(255) - 127);
    }
    for (uint32_t i = 0; i < layer->out_c; i++) {
        mult[i] = 1 << 28;
    }
    bench->conv_in = aligned(in_bytes);
    bench->log_in = aligned(in_bytes);
    for (size_t i = 0; i < in_bytes; i++) {
        bench->conv_in[i] = (uint8_t)random_below(128);
    }
    bench->out = aligned((size_t)layer->size * layer->size * layer->out_c * sizeof(int64_t));
    bench->conv_bytes = table->conv.packed_bytes(&bench->conv);
    bench->conv_packed = aligned(bench->conv_bytes);
    table->conv.pack(&bench->conv, weights, zero, mult, NULL, bench->conv_packed);
    free(weights);
    free(zero);
    free(mult);
}

/* Thresholds that divide the sums of this input evenly, by running without them first. */
static void init_thresholds(struct bench *bench, const struct kernel_table *table,
                            const int8_t *weights, int64_t *threshold)
{
    struct kernel_log log = bench->log;
    const size_t out_row = (size_t)log.out_w * log.out_c;
    int64_t *sums = (int64_t *)(void *)bench->out, most = 1;

    log.levels = 0;
    void *packed = aligned(table->log.packed_bytes(&log));
    table->log.pack(&log, weights, NULL, packed);
    table->log.run(&log, packed, bench->log_in, bench->workspace, sums, out_row);
    for (size_t i = 0; i < out_row * log.out_h; i++) {
        most = sums[i] > most ? sums[i] : most;
    }
    for (size_t i = 0; i < (size_t)log.out_c * bench->log.levels; i++) {
        const uint32_t level = (uint32_t)(i % bench->log.levels);
        threshold[i] = most / bench->log.levels * (level + 1) + (int64_t)random_below(100);
    }
    free(packed);
}

static void init_log(struct bench *bench, const struct kernel_table *table,
                     const struct layer *layer, const struct coding *coding, int uniform)
{
    const size_t filter = (size_t)layer->kernel * layer->kernel * layer->in_c * layer->out_c;
    const size_t in_bytes = (size_t)(layer->size + layer->kernel - 1) * bench->conv.in_row;
    const uint32_t most_in = coding->in_bits == 0 ? 127 : (1u << coding->in_bits) - 1;
    const uint32_t most_weight =
        coding->weight_bits == 0 ? 127 : (1u << (coding->weight_bits - 1)) - 1;
    int8_t *weights = aligned(filter);
    int64_t *threshold;

    bench->log = (struct kernel_log){
        .in_c = layer->in_c,
        .in_row = bench->conv.in_row,
        .in_bits = coding->in_bits,
        .in_root = coding->in_root,
        .weight_bits = coding->weight_bits,
        .weight_root = coding->weight_root,
        .kernel_h = layer->kernel,
        .kernel_w = layer->kernel,
        .stride_y = 1,
        .stride_x = 1,
        .out_w = bench->conv.out_w,
        .out_h = bench->conv.out_h,
        .out_c = layer->out_c,
        .pool = layer->pool,
        .levels = coding->in_bits == 5 ? 31 : 15,
    };
    for (uint32_t i = 0; i < 32; i++) {
        bench->log.codes[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < filter; i++) {
        const int size = coding->weight_bits == 0
                             ? (int)random_below(128)
                             : (int)random_code(most_weight, coding->weight_root, uniform);
        weights[i] = (int8_t)(random_below(2) ? size : -size);
    }
    for (size_t i = 0; i < in_bytes; i++) { /* half of what comes from a ReLU is zero */
        bench->log_in[i] = (uint8_t)(coding->in_bits == 0 ? random_below(128)
                                     : !uniform && random_below(2)
                                         ? 0
                                         : random_code(most_in, coding->in_root, uniform));
    }
    threshold = aligned((size_t)layer->out_c * bench->log.levels * sizeof(*threshold));
    bench->workspace = aligned(table->log.workspace_bytes(&bench->log));
    init_thresholds(bench, table, weights, threshold);
    bench->log_bytes = table->log.packed_bytes(&bench->log);
    bench->log_packed = aligned(bench->log_bytes);
    table->log.pack(&bench->log, weights, threshold, bench->log_packed);
    free(weights);
    free(threshold);
}

static void time_both(const struct bench *bench, const struct kernel_table *table, double *ret_conv,
                      double *ret_log)
{
    const size_t out_row = (size_t)bench->log.out_w * bench->log.out_c;
    double conv_us[RUNS], log_us[RUNS];

    for (int i = -WARMUP; i < RUNS; i++) {
        const double start = now_us();
        table->conv.run(&bench->conv, bench->conv_packed, bench->conv_in, bench->out, out_row);
        const double middle = now_us();
        table->log.run(&bench->log, bench->log_packed, bench->log_in, bench->workspace, bench->out,
                       out_row);
        if (i >= 0) {
            conv_us[i] = middle - start;
            log_us[i] = now_us() - middle;
        }
    }
    qsort(conv_us, RUNS, sizeof(conv_us[0]), by_value);
    qsort(log_us, RUNS, sizeof(log_us[0]), by_value);
    *ret_conv = conv_us[RUNS / 2];
    *ret_log = log_us[RUNS / 2];
}

static void bench_layer(const struct kernel_table *table, const char *mask,
                        const struct layer *layer, int uniform)
{
    struct bench bench;

    init_conv(&bench, table, layer);
    for (size_t i = 0; i < sizeof(codings) / sizeof(codings[0]); i++) {
        double conv_us, log_us;

        init_log(&bench, table, layer, &codings[i], uniform);
        time_both(&bench, table, &conv_us, &log_us);
        printf("%-7s %-14s %-8s %9.2f us  s8 x u7 %9.2f us  ratio %4.2f  bytes %4.2f\n", mask,
               layer->name, codings[i].name, log_us, conv_us, conv_us / log_us,
               (double)bench.log_bytes / (double)bench.conv_bytes);
        free(bench.log_packed);
        free(bench.workspace);
    }
    free(bench.conv_packed);
    free(bench.conv_in);
    free(bench.log_in);
    free(bench.out);
}

static int bench_mask(const char *text, int uniform)
{
    struct kernel_table table;
    uint32_t mask;

    if (kernel_cpu_mask_parse(text, &mask) < 0) {
        fprintf(stderr, "bench_log: \"%s\" is no CPU mask\n", text);
        return 2;
    }
    kernel_table_init(&table, kernel_cpu_detect() & mask);
    for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++) {
        bench_layer(&table, text, &layers[i], uniform);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const usual[] = {"avx2", "all"};
    const int uniform = argc > 1 && strcmp(argv[1], "-u") == 0;
    int result = 0;

    for (int i = 1 + uniform; i < argc && result == 0; i++) {
        result = bench_mask(argv[i], uniform);
    }
    for (int i = 0; argc == 1 + uniform && i < 2 && result == 0; i++) {
        result = bench_mask(usual[i], uniform);
    }
    return result;
}
