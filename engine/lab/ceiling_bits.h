/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The most that an instruction set can do of a binary convolution on this core, as loops that do
 * nothing else: pixels held in registers, weights streamed from memory of the given size over and
 * over, four pixels for each weight loaded.
 */
#ifndef OCELLUS_ENGINE_LAB_CEILING_BITS_H
#define OCELLUS_ENGINE_LAB_CEILING_BITS_H

#include <stddef.h>
#include <stdint.h>

/* bytes: a multiple of 384. Returns the operations done (a multiply and an add are two); *sink
 * keeps the work alive. */
typedef uint64_t ceiling_bits_function(const void *weights, size_t bytes, unsigned repeats,
                                       uint64_t *sink);

/* xor, count, add: vpopcntq. Of AVX2 no such loop is a bound: its kernel looks two pixels up at a
 * time. */
ceiling_bits_function ceiling_bits_avx512;

#endif
