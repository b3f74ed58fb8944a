/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Picks the table of inner loops for a processor. It computes nothing.
 */
#include "engine/train/ops.h"

#include "engine/kernel/cpu.h"

const struct train_ops *train_ops_find(uint32_t cpu)
{
#if defined(__x86_64__)
    if ((cpu & KERNEL_CPU_AVX512) != 0) {
        return __builtin_cpu_supports("avx512bf16") && (cpu & KERNEL_CPU_AVX512POPCNT) != 0
                   ? &train_ops_avx512bf16
                   : &train_ops_avx512;
    }
    /* kernel_cpu has no flag for FMA, which is older than AVX2 but apart from it. */
    if ((cpu & KERNEL_CPU_AVX2) != 0 && __builtin_cpu_supports("fma")) {
        return &train_ops_avx2;
    }
#else
    (void)cpu;
#endif
    return &train_ops_c;
}
