/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The requantisation of kernel.h as code, for the reference kernels and for whoever must predict a
 * result. Not for files of an instruction set: they hold no shared function bodies.
 */
#ifndef OCELLUS_ENGINE_KERNEL_REQUANTISE_H
#define OCELLUS_ENGINE_KERNEL_REQUANTISE_H

#include <stdint.h>

/* preshift 0..30 with sum << preshift in int32; shift 1..31. Right shifts of negative numbers
 * floor, as gcc and clang define them. */
static inline int32_t kernel_requantise(int32_t sum, int32_t mult, uint32_t preshift,
                                        uint32_t shift)
{
    int32_t shifted = (int32_t)((uint32_t)sum << preshift);
    int32_t high = (int32_t)(((int64_t)shifted * mult) >> 32);

    return (int32_t)(((int64_t)high + (INT64_C(1) << (shift - 1))) >> shift);
}

static inline uint8_t kernel_requantise_u7(int32_t sum, int32_t mult, uint32_t preshift,
                                           uint32_t shift)
{
    int32_t value = kernel_requantise(sum, mult, preshift, shift);

    return (uint8_t)(value < 0 ? 0 : value > 127 ? 127 : value);
}

#endif
