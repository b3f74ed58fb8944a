/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Microseconds that one term of a low-rank sum takes, for the shapes of the paper's network and
 * each instruction set; terms are random, so that kappa skips few of them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/kernel/cpu.h"
#include "engine/train/lowrank.h"
#include "engine/train/train.h"
#include "tests/bench/timing.h"

#define TERMS 512u
#define RUNS  31u

static double measure(struct train_lowrank_settings s, const float *dz, const float *a)
{
    struct train_lowrank *lowrank;
    double times[RUNS];

    if (train_lowrank_create(&s, &lowrank) < 0) {
        exit(1);
    }
    for (uint32_t run = 0; run < RUNS; run++) {
        const double start = timing_now_us();

        for (uint32_t t = 0; t < TERMS; t++) {
            train_lowrank_add(lowrank, dz + (size_t)t * s.rows, a + (size_t)t * s.columns);
        }
        times[run] = (timing_now_us() - start) / TERMS;
    }
    train_lowrank_destroy(lowrank);
    return timing_median(times, RUNS);
}

int main(void)
{
    static const struct {
        const char *name;
        uint32_t cpu;
    } sets[] = {{"c", 0}, {"avx2", KERNEL_CPU_AVX2}, {"avx512", KERNEL_CPU_ALL}};
    static const uint32_t shapes[][3] = {{128, 1152, 4}, {128, 9, 4},    {48, 288, 4},
                                         {512, 2048, 4}, {128, 1152, 1}, {128, 1152, 10}};
    float *values = malloc(sizeof(float) * TERMS * 2560);

    if (values == NULL) {
        return 1;
    }
    for (size_t i = 0; i < (size_t)TERMS * 2560; i++) {
        values[i] = (float)(int32_t)train_random(1, 0, i) * 0x1p-31f;
    }
    printf("%-8s %5s %7s %5s %7s %10s %10s\n", "isa", "rows", "columns", "rank", "coarse", "biased",
           "unbiased");
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        for (size_t k = 0; k < sizeof(shapes) / sizeof(shapes[0]); k++) {
            for (uint32_t coarse = 0; coarse < 2; coarse++) {
                struct train_lowrank_settings s = {.rows = shapes[k][0],
                                                   .columns = shapes[k][1],
                                                   .rank = shapes[k][2],
                                                   .coarse = coarse != 0,
                                                   .kappa = 1e6f,
                                                   .discount = 1,
                                                   .cpu = sets[i].cpu & kernel_cpu_detect()};
                double biased = measure(s, values, values + (size_t)TERMS * s.rows);

                s.unbiased = true;
                printf("%-8s %5u %7u %5u %7s %7.2f us %7.2f us\n", sets[i].name, s.rows, s.columns,
                       s.rank, coarse != 0 ? "yes" : "no", biased,
                       measure(s, values, values + (size_t)TERMS * s.rows));
            }
        }
    }
    free(values);
    return 0;
}
