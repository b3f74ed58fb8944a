/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The clock and the median of the bench programs. */
#ifndef OCELLUS_TESTS_BENCH_TIMING_H
#define OCELLUS_TESTS_BENCH_TIMING_H

#include <stddef.h>

/* CLOCK_MONOTONIC in microseconds. */
double timing_now_us(void);

/* Sorts the values, smallest first, and returns the one in the middle. */
double timing_median(double *values, size_t count);

#endif
