/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Rates of every instruction set of this machine: fixed at first, plausible once measured. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"

static void test_measuring_changes_rates_alone(void **state)
{
    static const char *const levels[] = {"c", "avx2", "avx512", "amx", "neon", "dotprod"};

    (void)state;
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        struct kernel_table nominal, measured;
        uint32_t mask;

        assert_int_equal(kernel_cpu_mask_parse(levels[i], &mask), 0);
        memset(&nominal, 0, sizeof nominal);
        memset(&measured, 0xff, sizeof measured);
        kernel_table_init(&nominal, mask & kernel_cpu_detect());
        kernel_table_init(&measured, mask & kernel_cpu_detect());
        assert_memory_equal(nominal.rates, measured.rates, sizeof nominal.rates);

        kernel_table_measure(&measured);
        for (uint32_t k = 0; k < KERNEL_RATES; k++) {
            assert_in_range(nominal.rates[k], 1, UINT32_MAX);
            assert_in_range(measured.rates[k], 1, UINT32_MAX);
        }
        if (nominal.cpu != 0) {
            assert_memory_not_equal(nominal.rates, measured.rates, sizeof nominal.rates);
        }
        assert_ptr_equal(measured.conv.run, nominal.conv.run);
        assert_ptr_equal(measured.bits.run, nominal.bits.run);
        assert_non_null(nominal.conv.isa);
        assert_non_null(nominal.bits.isa);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_measuring_changes_rates_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
