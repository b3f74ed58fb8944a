/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What the kernel tests share: random numbers that OCELLUS_TEST_SEED repeats, buffers between
 * inaccessible pages, and a kernel table for each CPU mask.
 */
#ifndef OCELLUS_TESTS_UNIT_KERNEL_KERNEL_TEST_H
#define OCELLUS_TESTS_UNIT_KERNEL_KERNEL_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"

static uint64_t random_state;

static inline void random_init(void)
{
    const char *seed = getenv("OCELLUS_TEST_SEED");

    random_state = seed != NULL ? strtoull(seed, NULL, 0) : 1;
    print_message("seed %llu\n", (unsigned long long)random_state);
}

static inline uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % n);
}

/* Any int32, small ones as often as large ones. */
static inline int32_t random_s32(void)
{
    const uint32_t bits = random_below(1u << 16) << 16 ^ random_below(1u << 16);

    return (int32_t)bits >> random_below(32);
}

/* A buffer between two inaccessible pages, touching the one before it or the one after it (as near
 * as its alignment allows). */
struct guarded {
    uint8_t *map, *start;
    size_t map_bytes, bytes;
};

static inline void guarded_init(struct guarded *guarded, size_t bytes, size_t align, int at_end)
{
    const size_t page = 4096, inner = (bytes + align + page - 1) / page * page;

    guarded->map_bytes = inner + 2 * page;
    guarded->bytes = bytes;
    guarded->map =
        mmap(NULL, guarded->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(guarded->map, MAP_FAILED);
    assert_int_equal(mprotect(guarded->map, page, PROT_NONE), 0);
    assert_int_equal(mprotect(guarded->map + page + inner, page, PROT_NONE), 0);
    guarded->start = guarded->map + page;
    if (at_end) {
        guarded->start += (inner - bytes) / align * align;
    }
}

static inline void guarded_finish(struct guarded *guarded)
{
    munmap(guarded->map, guarded->map_bytes);
}

static const char *const masks[] = {"c", "avx2", "avx512", "neon", "all"};

enum { MASKS = sizeof(masks) / sizeof(masks[0]) };

static inline void tables(struct kernel_table table[MASKS])
{
    for (uint32_t i = 0; i < MASKS; i++) {
        uint32_t mask;

        assert_int_equal(kernel_cpu_mask_parse(masks[i], &mask), 0);
        kernel_table_init(&table[i], kernel_cpu_detect() & mask);
    }
}

#endif
