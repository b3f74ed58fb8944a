/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What the tests of plans, runs and scans share: models of descriptions, memory between
 * inaccessible pages, and kernel tables for each instruction set.
 */
#ifndef OCELLUS_TESTS_UNIT_NETWORK_NETWORK_TEST_H
#define OCELLUS_TESTS_UNIT_NETWORK_NETWORK_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/network/model.h"

static inline struct network_model *model_of(const struct network_description *description)
{
    struct network_model *model = NULL;
    const char *reason = "";
    void *bytes;
    size_t size;

    if (network_model_write(description, &bytes, &size, &reason) < 0) {
        fail_msg("not written: %s", reason);
    }
    assert_int_equal(network_model_load(bytes, size, &model, &reason), 0);
    free(bytes);
    return model;
}

/* Each instruction set with its own rates, then with rates that favour bytes, then bits. */
static inline size_t make_tables(struct kernel_table *tables)
{
    static const char *const levels[] = {"c", "avx2", "avx512", "amx", "neon", "dotprod"};
    const uint32_t cpu = kernel_cpu_detect();
    size_t count = 0;

    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        uint32_t mask;

        assert_int_equal(kernel_cpu_mask_parse(levels[i], &mask), 0);
        if (count > 0 && tables[count - 1].cpu == (mask & cpu)) {
            continue;
        }
        for (int kind = 0; kind < 3; kind++) {
            struct kernel_table *table = &tables[count++];

            kernel_table_init(table, mask & cpu);
            for (uint32_t k = 0; kind > 0 && k < KERNEL_RATES; k++) {
                table->rates[k] = (k == KERNEL_RATE_CONV) == (kind == 1) ? 1 : 1u << 30;
            }
        }
    }
    return count;
}

/* Memory that ends at a page without access; another lies in front of it. */
struct guarded {
    uint8_t *map, *bytes;
    size_t map_size;
};

static inline struct guarded guard(size_t size)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t pages = (size + page - 1) / page * page;
    struct guarded guarded = {.map_size = pages + 2 * page};

    guarded.map = mmap(NULL, guarded.map_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(guarded.map, MAP_FAILED);
    assert_int_equal(mprotect(guarded.map + page, pages, PROT_READ | PROT_WRITE), 0);
    guarded.bytes = guarded.map + page + pages - size;
    return guarded;
}

static inline void release(struct guarded guarded)
{
    munmap(guarded.map, guarded.map_size);
}

#endif
