/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The most that an instruction set's s8 multiply-add can do on this core, as a loop that does
 * nothing else: codes held in registers, weights streamed from memory of the given size over and
 * over, some pixels for each weight loaded.
 */
#ifndef OCELLUS_ENGINE_LAB_CEILING_H
#define OCELLUS_ENGINE_LAB_CEILING_H

#include <stddef.h>
#include <stdint.h>

#include "engine/kernel/cpu.h"

/* bytes: a multiple of 256, of AMX of 2048. Returns the operations done (a multiply and an
 * add are two); *sink keeps the work alive. */
typedef uint64_t ceiling_function(const int8_t *weights, size_t bytes, unsigned repeats,
                                  int32_t *sink);

ceiling_function ceiling_avx2, ceiling_avxvnni, ceiling_evex, ceiling_avx512vnni, ceiling_amx;

/* The loop of the best instruction set among `cpu`, flags of engine/kernel/cpu.h; NULL: none. */
static inline ceiling_function *ceiling_of(uint32_t cpu)
{
#if defined(__x86_64__)
    if ((cpu & KERNEL_CPU_AVX512) && (cpu & KERNEL_CPU_AVX512VNNI)) {
        return cpu & KERNEL_CPU_AMX ? ceiling_amx : ceiling_avx512vnni;
    }
    if ((cpu & KERNEL_CPU_AVX2) && (cpu & KERNEL_CPU_AVXVNNI)) {
        return ceiling_avxvnni;
    }
    if (cpu & KERNEL_CPU_AVX2) {
        return ceiling_avx2;
    }
#endif
    (void)cpu;
    return NULL;
}

#endif
