/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What the processor and the operating system together allow. Instruction sets whose registers the
 * OS does not save (OSXSAVE, XCR0) are not reported.
 */
#ifndef OCELLUS_ENGINE_KERNEL_CPU_H
#define OCELLUS_ENGINE_KERNEL_CPU_H

#include <stdint.h>

enum kernel_cpu {
    KERNEL_CPU_AVX2 = 1u << 0,
    KERNEL_CPU_AVXVNNI = 1u << 1,
    KERNEL_CPU_AVX512 = 1u << 2, /* F, BW, VL, DQ, CD together */
    KERNEL_CPU_AVX512VNNI = 1u << 3,
    KERNEL_CPU_AVX512POPCNT = 1u << 4, /* VPOPCNTDQ */
    KERNEL_CPU_AMX = 1u << 5,          /* tile, int8; permission was granted to this process */
    KERNEL_CPU_NEON = 1u << 8,
    KERNEL_CPU_DOTPROD = 1u << 9,
};

#define KERNEL_CPU_ALL UINT32_MAX

/* Flags of this machine. Asks the kernel for AMX permission; call it before a sandbox closes. */
uint32_t kernel_cpu_detect(void);

/*
 * A --cpu-mask argument: "all", "c" (portable C only), a level ("avx2", "avx512", "amx", "neon",
 * "dotprod": that one and what it stands on), or a number of enum kernel_cpu (0x..). "avx2" is
 * without AVX-VNNI, "avx512" is with all of its extensions above. Errors: -EINVAL.
 */
int kernel_cpu_mask_parse(const char *text, uint32_t *ret_mask);

#endif
