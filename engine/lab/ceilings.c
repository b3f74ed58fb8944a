/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Picks and times the loop for a step. */
#include "engine/lab/ceilings.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/lab/ceiling.h"
#include "engine/lab/ceiling_bits.h"

enum { RUNS = 5, UNIT = 6144 /* of every loop: a multiple of 384 and 2048 */ };

/* Bytes of weights that a run walks over; about 50 us of the fastest loop. */
#define WALK ((size_t)4 << 20)

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* One run's operations. */
static uint64_t run(const struct network_step *step, const void *weights, size_t bytes)
{
    unsigned repeats = (unsigned)(WALK / bytes) + 1;
#ifdef __x86_64__
    static const struct {
        const char *isa;
        ceiling_function *loop;
    } bytes_loops[] = {
        {"avx2", ceiling_avx2},
        {"avxvnni", ceiling_avxvnni},
        {"avx512vnni", ceiling_avx512vnni},
        {"amx", ceiling_amx},
    };
    if (strcmp(step->kernel, "bits") == 0) {
        uint64_t sink = 0;
        /* The loop of AVX2 is no bound: its kernel looks two pixels up at a time. */
        return strcmp(step->isa, "avx512") == 0
                   ? ceiling_bits_avx512(weights, bytes, repeats, &sink)
                   : 0;
    }
    for (size_t i = 0; i < sizeof(bytes_loops) / sizeof(bytes_loops[0]); i++) {
        int32_t sink = 0;
        if (strcmp(step->kernel, "conv") == 0 && strcmp(step->isa, bytes_loops[i].isa) == 0) {
            return bytes_loops[i].loop(weights, bytes, repeats, &sink);
        }
    }
#else
    (void)weights;
    (void)repeats;
#endif
    (void)step;
    return 0;
}

double lab_ceiling(const struct network_step *step)
{
    size_t bytes = (step->packed_bytes + UNIT - 1) / UNIT * UNIT;
    void *weights = bytes > 0 ? aligned_alloc(64, bytes + (64 - bytes % 64) % 64) : NULL;
    double rates[RUNS] = {0};
    if (!weights) {
        return 0;
    }
    memset(weights, 1, bytes);
    for (int i = 0; i < RUNS; i++) {
        double start = now_ns();
        uint64_t operations = run(step, weights, bytes);
        rates[i] = (double)operations / (now_ns() - start);
    }
    free(weights);
    qsort(rates, RUNS, sizeof(*rates), by_value);
    return rates[RUNS / 2];
}
