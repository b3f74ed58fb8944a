/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The decision behind kernel_cpu_detect, apart from the instructions that read the machine, so that
 * it can be tested with recorded values on any machine.
 */
#ifndef OCELLUS_ENGINE_KERNEL_CPU_DECIDE_H
#define OCELLUS_ENGINE_KERNEL_CPU_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

/* Registers of CPUID; a leaf that the processor does not have is all zero. xcr0 counts only where
 * leaf 1 reports OSXSAVE. */
struct kernel_cpuid {
    uint32_t leaf1_ecx;
    uint32_t leaf7_ebx, leaf7_ecx, leaf7_edx; /* leaf 7, sub-leaf 0 */
    uint32_t leaf7_1_eax;                     /* leaf 7, sub-leaf 1 */
    uint64_t xcr0;
    bool amx_granted; /* the kernel let this process use the tile registers */
};

/* Flags of enum kernel_cpu (Intel SDM vol. 1, 13.3, 14.3, 15.2 and 18.2). */
uint32_t kernel_cpu_decide_x86(const struct kernel_cpuid *id);

/* hwcap: AT_HWCAP of Linux on aarch64 (bit 1 ASIMD, bit 20 ASIMDDP). */
uint32_t kernel_cpu_decide_arm(uint64_t hwcap);

#endif
