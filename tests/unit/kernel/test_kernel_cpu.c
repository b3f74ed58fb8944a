/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The decision which instruction sets count, over recorded register values, and the parser of
 * masks. What this machine has is only checked for not contradicting itself.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/cpu_decide.h"

#define AVX512_ALL (KERNEL_CPU_AVX512 | KERNEL_CPU_AVX512VNNI | KERNEL_CPU_AVX512POPCNT)

/* CPUID as Intel and AMD document it: what is not written is zero. */
#define ECX1_NEHALEM  0x0098e3fdu /* no XSAVE, no AVX */
#define ECX1_AVX      0x7ffafbffu /* OSXSAVE, AVX, FMA */
#define ECX1_NO_OS    0x77fafbffu /* the processor has AVX, the OS did not turn XSAVE on */
#define EBX7_HASWELL  0x000027abu /* AVX2 */
#define EBX7_SKYLAKE  0xd39ffffbu /* AVX2, AVX-512 F DQ CD BW VL */
#define ECX7_ICELAKE  0x00405fceu /* VNNI, VPOPCNTDQ */
#define EDX7_SAPPHIRE 0xffc05432u /* AMX-TILE, AMX-INT8 */

static const struct {
    struct kernel_cpuid id;
    uint32_t expect;
} machines[] = {
    {{0}, 0},
    {{.leaf1_ecx = ECX1_NEHALEM}, 0},
    {{.leaf1_ecx = ECX1_AVX, .xcr0 = 0x7}, 0},
    {{.leaf1_ecx = ECX1_AVX, .leaf7_ebx = EBX7_HASWELL, .xcr0 = 0x7}, KERNEL_CPU_AVX2},
    /* The OS saves nothing, or xmm only. */
    {{.leaf1_ecx = ECX1_NO_OS, .leaf7_ebx = EBX7_HASWELL, .xcr0 = 0x7}, 0},
    {{.leaf1_ecx = ECX1_AVX, .leaf7_ebx = EBX7_HASWELL, .xcr0 = 0x3}, 0},
    /* Alder Lake: AVX-VNNI without AVX-512. */
    {{.leaf1_ecx = ECX1_AVX, .leaf7_ebx = EBX7_HASWELL, .leaf7_1_eax = 0x10, .xcr0 = 0x7},
     KERNEL_CPU_AVX2 | KERNEL_CPU_AVXVNNI},
    {{.leaf1_ecx = ECX1_AVX, .leaf7_ebx = EBX7_SKYLAKE, .xcr0 = 0xe7},
     KERNEL_CPU_AVX2 | KERNEL_CPU_AVX512},
    /* The OS saves ymm but not zmm; opmask and the low half only. */
    {{.leaf1_ecx = ECX1_AVX, .leaf7_ebx = EBX7_SKYLAKE, .leaf7_ecx = ECX7_ICELAKE, .xcr0 = 0x7},
     KERNEL_CPU_AVX2},
    {{.leaf1_ecx = ECX1_AVX, .leaf7_ebx = EBX7_SKYLAKE, .leaf7_ecx = ECX7_ICELAKE, .xcr0 = 0x67},
     KERNEL_CPU_AVX2},
    /* Knights Landing has F and CD but not BW, DQ, VL: not our AVX-512. */
    {{.leaf1_ecx = ECX1_AVX, .leaf7_ebx = 0x1c0d23abu, .xcr0 = 0xe7}, KERNEL_CPU_AVX2},
    {{.leaf1_ecx = ECX1_AVX, .leaf7_ebx = EBX7_SKYLAKE, .leaf7_ecx = ECX7_ICELAKE, .xcr0 = 0xe7},
     KERNEL_CPU_AVX2 | AVX512_ALL},
    {{.leaf1_ecx = ECX1_AVX, .leaf7_ebx = EBX7_SKYLAKE, .leaf7_ecx = 0x800, .xcr0 = 0xe7},
     KERNEL_CPU_AVX2 | KERNEL_CPU_AVX512 | KERNEL_CPU_AVX512VNNI},
    {{.leaf1_ecx = ECX1_AVX, .leaf7_ebx = EBX7_SKYLAKE, .leaf7_ecx = 0x4000, .xcr0 = 0xe7},
     KERNEL_CPU_AVX2 | KERNEL_CPU_AVX512 | KERNEL_CPU_AVX512POPCNT},
    /* Sapphire Rapids: tiles count only when saved and granted. */
    {{.leaf1_ecx = ECX1_AVX,
      .leaf7_ebx = EBX7_SKYLAKE,
      .leaf7_ecx = ECX7_ICELAKE,
      .leaf7_edx = EDX7_SAPPHIRE,
      .leaf7_1_eax = 0x10,
      .xcr0 = 0x602e7,
      .amx_granted = true},
     KERNEL_CPU_AVX2 | KERNEL_CPU_AVXVNNI | AVX512_ALL | KERNEL_CPU_AMX},
    {{.leaf1_ecx = ECX1_AVX,
      .leaf7_ebx = EBX7_SKYLAKE,
      .leaf7_ecx = ECX7_ICELAKE,
      .leaf7_edx = EDX7_SAPPHIRE,
      .leaf7_1_eax = 0x10,
      .xcr0 = 0x602e7},
     KERNEL_CPU_AVX2 | KERNEL_CPU_AVXVNNI | AVX512_ALL},
    {{.leaf1_ecx = ECX1_AVX,
      .leaf7_ebx = EBX7_SKYLAKE,
      .leaf7_ecx = ECX7_ICELAKE,
      .leaf7_edx = EDX7_SAPPHIRE,
      .xcr0 = 0xe7,
      .amx_granted = true},
     KERNEL_CPU_AVX2 | AVX512_ALL},
};

static void test_decide_x86(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++) {
        uint32_t flags = kernel_cpu_decide_x86(&machines[i].id);

        if (flags != machines[i].expect) {
            fail_msg("machine %zu: flags 0x%x, expected 0x%x", i, flags, machines[i].expect);
        }
    }
}

static void test_decide_arm(void **state)
{
    (void)state;
    assert_int_equal(kernel_cpu_decide_arm(0), 0);
    assert_int_equal(kernel_cpu_decide_arm(1u << 20), 0);
    assert_int_equal(kernel_cpu_decide_arm(0xff), KERNEL_CPU_NEON); /* A72 */
    assert_int_equal(kernel_cpu_decide_arm(0x100fff),
                     KERNEL_CPU_NEON | KERNEL_CPU_DOTPROD); /* A76 */
}

static void test_detect_is_consistent(void **state)
{
    uint32_t flags = kernel_cpu_detect();

    (void)state;
    print_message("flags of this machine: 0x%x\n", flags);
    assert_int_equal(flags, kernel_cpu_detect());
    if (flags & (KERNEL_CPU_AVX512VNNI | KERNEL_CPU_AVX512POPCNT | KERNEL_CPU_AMX)) {
        assert_true(flags & KERNEL_CPU_AVX512);
    }
    if (flags & KERNEL_CPU_AVX512) {
        assert_true(flags & KERNEL_CPU_AVX2);
    }
}

static void test_mask_parse(void **state)
{
    static const struct {
        const char *text;
        uint32_t mask;
    } good[] = {
        {"all", KERNEL_CPU_ALL},
        {"c", 0},
        {"avx2", KERNEL_CPU_AVX2},
        {"avx512", KERNEL_CPU_AVX2 | KERNEL_CPU_AVXVNNI | AVX512_ALL},
        {"amx", KERNEL_CPU_AVX2 | KERNEL_CPU_AVXVNNI | AVX512_ALL | KERNEL_CPU_AMX},
        {"neon", KERNEL_CPU_NEON},
        {"dotprod", KERNEL_CPU_NEON | KERNEL_CPU_DOTPROD},
        {"0x0", 0},
        {"0x5", KERNEL_CPU_AVX2 | KERNEL_CPU_AVX512},
        {"0xFFFFffff", UINT32_MAX},
    };
    static const char *const bad[] = {"",    "avx",  "AVX2", "avx2 ",       "5",       "0x",
                                      "0xg", "-0x1", "0x 1", "0x100000000", "0x1,avx2"};
    uint32_t mask;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        mask = 0xdeadbeef;
        assert_int_equal(kernel_cpu_mask_parse(good[i].text, &mask), 0);
        assert_int_equal(mask, good[i].mask);
    }
    mask = 7;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(kernel_cpu_mask_parse(bad[i], &mask), -EINVAL);
        assert_int_equal(mask, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decide_x86),
        cmocka_unit_test(test_decide_arm),
        cmocka_unit_test(test_detect_is_consistent),
        cmocka_unit_test(test_mask_parse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
