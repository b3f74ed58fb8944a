/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * How fast the kernels of a table are, for whoever may choose between two that give the same
 * result. Results never depend on it.
 */
#ifndef OCELLUS_ENGINE_KERNEL_RATES_H
#define OCELLUS_ENGINE_KERNEL_RATES_H

#include <stdint.h>

/* Nanoseconds for 2^20 of what each rate counts; at least 1. */
enum kernel_rate {
    KERNEL_RATE_CONV = 0, /* multiply-accumulates of conv.h */
    KERNEL_RATE_BITS,     /* of bits.h, by the input and the weights: binary, binary */
    KERNEL_RATE_BITS_TERNARY_INPUT,
    KERNEL_RATE_BITS_TERNARY_WEIGHTS,
    KERNEL_RATE_BITS_TERNARY_BOTH,
    KERNEL_RATE_SUMS, /* int32 sums written and encoded */
    KERNEL_RATE_MAP,  /* bytes made bits */
    KERNEL_RATES,
};

struct kernel_table;

/* Rates of typical machines with the table's instruction sets; kernel_table_init sets them. */
void kernel_rates_nominal(struct kernel_table *table);

/*
 * Measures the rates on this machine and this core, in well under a millisecond. For programs, once
 * at their start: plans for tables with different rates may pack weights differently.
 */
void kernel_table_measure(struct kernel_table *table);

#endif
