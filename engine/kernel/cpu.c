/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Reads what processor and operating system allow, decides which instruction sets count, and parses
 * masks over them. It chooses no kernel.
 */
#include "engine/kernel/cpu.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernel/cpu_decide.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

#define BIT(n) (1u << (n))

/* Register sets that the operating system saves: bits of XCR0. */
#define XCR0_AVX    0x6u     /* xmm, ymm */
#define XCR0_AVX512 0xe6u    /* and opmask, both halves of zmm */
#define XCR0_AMX    0x60000u /* tile configuration, tile data */

static bool has(uint64_t value, uint64_t bits)
{
    return (value & bits) == bits;
}

uint32_t kernel_cpu_decide_x86(const struct kernel_cpuid *id)
{
    uint32_t flags = 0;
    bool ymm = has(id->leaf1_ecx, BIT(27) | BIT(28)) && has(id->xcr0, XCR0_AVX);

    if (!ymm || !has(id->leaf7_ebx, BIT(5))) {
        return 0;
    }
    flags |= KERNEL_CPU_AVX2;
    if (has(id->leaf7_1_eax, BIT(4))) {
        flags |= KERNEL_CPU_AVXVNNI;
    }
    if (!has(id->xcr0, XCR0_AVX512) ||
        !has(id->leaf7_ebx, BIT(16) | BIT(17) | BIT(28) | BIT(30) | BIT(31))) {
        return flags;
    }
    flags |= KERNEL_CPU_AVX512;
    if (has(id->leaf7_ecx, BIT(11))) {
        flags |= KERNEL_CPU_AVX512VNNI;
    }
    if (has(id->leaf7_ecx, BIT(14))) {
        flags |= KERNEL_CPU_AVX512POPCNT;
    }
    if (has(id->leaf7_edx, BIT(24) | BIT(25)) && has(id->xcr0, XCR0_AMX) && id->amx_granted) {
        flags |= KERNEL_CPU_AMX;
    }
    return flags;
}

uint32_t kernel_cpu_decide_arm(uint64_t hwcap)
{
    if (!has(hwcap, BIT(1))) {
        return 0;
    }
    return has(hwcap, BIT(20)) ? KERNEL_CPU_NEON | KERNEL_CPU_DOTPROD : KERNEL_CPU_NEON;
}

#if defined(__x86_64__)

/* In assembly, since the intrinsic asks for -mxsave. Call it only where OSXSAVE is set. */
static uint64_t read_xcr0(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static bool request_amx(void)
{
#ifdef SYS_arch_prctl
    const int arch_req_xcomp_perm = 0x1023, xfeature_xtiledata = 18;

    return syscall(SYS_arch_prctl, arch_req_xcomp_perm, xfeature_xtiledata) == 0;
#else
    return false;
#endif
}

uint32_t kernel_cpu_detect(void)
{
    struct kernel_cpuid id = {0};
    uint32_t eax, ebx, ecx, edx;

    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx)) {
        return 0;
    }
    id.leaf1_ecx = ecx;
    if (ecx & BIT(27)) {
        id.xcr0 = read_xcr0();
    }
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
        id.leaf7_ebx = ebx;
        id.leaf7_ecx = ecx;
        id.leaf7_edx = edx;
        if (eax >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx)) {
            id.leaf7_1_eax = eax;
        }
    }
    if (has(id.leaf7_edx, BIT(24)) && has(id.xcr0, XCR0_AMX)) {
        id.amx_granted = request_amx();
    }
    return kernel_cpu_decide_x86(&id);
}

#elif defined(__aarch64__)

uint32_t kernel_cpu_detect(void)
{
    return kernel_cpu_decide_arm(getauxval(AT_HWCAP));
}

#else

uint32_t kernel_cpu_detect(void)
{
    return 0;
}

#endif

static const struct {
    const char *name;
    uint32_t mask;
} levels[] = {
    {"all", KERNEL_CPU_ALL},
    {"c", 0},
    {"avx2", KERNEL_CPU_AVX2},
    {"avx512", KERNEL_CPU_AVX2 | KERNEL_CPU_AVXVNNI | KERNEL_CPU_AVX512 | KERNEL_CPU_AVX512VNNI |
                   KERNEL_CPU_AVX512POPCNT},
    {"amx", KERNEL_CPU_AVX2 | KERNEL_CPU_AVXVNNI | KERNEL_CPU_AVX512 | KERNEL_CPU_AVX512VNNI |
                KERNEL_CPU_AVX512POPCNT | KERNEL_CPU_AMX},
    {"neon", KERNEL_CPU_NEON},
    {"dotprod", KERNEL_CPU_NEON | KERNEL_CPU_DOTPROD},
};

int kernel_cpu_mask_parse(const char *text, uint32_t *ret_mask)
{
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (strcmp(text, levels[i].name) == 0) {
            *ret_mask = levels[i].mask;
            return 0;
        }
    }

    if (strncmp(text, "0x", 2) != 0) {
        return -EINVAL;
    }
    size_t digits = strspn(text + 2, "0123456789abcdefABCDEF");
    if (digits < 1 || digits > 8 || text[2 + digits] != '\0') {
        return -EINVAL;
    }
    *ret_mask = (uint32_t)strtoul(text, NULL, 16);
    return 0;
}
