/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Row accumulation and MIPI unpacking of this machine against the definition in image.h, bit for
 * bit: all short lengths and alignments, extreme levels, buffers that end at an inaccessible page.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"

enum { PAGE = 4096, ROOM = 10 * PAGE, LONGEST = 700 };

static uint64_t random_state;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % n);
}

/* Memory whose end is followed by an inaccessible page. */
static uint8_t *guarded_end(void)
{
    uint8_t *map =
        mmap(NULL, ROOM + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(map, MAP_FAILED);
    assert_int_equal(mprotect(map + ROOM, PAGE, PROT_NONE), 0);
    return map + ROOM;
}

static uint32_t definition(uint32_t sample, uint32_t black, uint32_t range)
{
    uint32_t above = (sample > black ? sample : black) - black;

    return above < range ? above : range;
}

struct buffers {
    uint8_t *acc_end, *row_end;
};

/* `rows` rows of n samples, the last of which ends `slack` elements before the guard page. */
struct layout {
    size_t n, rows, gap, slack;
};

static void check(const struct kernel_table *table, const struct buffers *buffers,
                  const struct layout *layout, bool bytes, uint32_t black, uint32_t range)
{
    size_t n = layout->n, width = bytes ? 1 : 2, before = 16, after = layout->slack;
    size_t pitch = (n + layout->gap) * width;
    uint32_t *acc = (uint32_t *)(void *)buffers->acc_end - after - n;
    uint8_t *first = buffers->row_end - (after + n) * width - (layout->rows - 1) * pitch;
    uint32_t expected[LONGEST + 64];

    for (size_t i = 0; i < before + n + after; i++) {
        (acc - before)[i] = expected[i] = random_below(UINT32_MAX);
    }
    for (size_t k = 0; k < layout->rows; k++) {
        uint8_t *octets = first + k * pitch;
        uint16_t *words = (uint16_t *)(void *)octets;
        for (size_t i = 0; i < n; i++) {
            uint32_t value = random_below(bytes ? 256 : 65536);
            if (bytes) {
                octets[i] = (uint8_t)value;
            } else {
                words[i] = (uint16_t)value;
            }
            expected[before + i] += definition(value, black, range);
        }
    }
    if (bytes) {
        table->accumulate_u8(acc, first, pitch, layout->rows, n, (uint8_t)black, (uint8_t)range);
    } else {
        table->accumulate_u16(acc, (const uint16_t *)(const void *)first, pitch, layout->rows, n,
                              (uint16_t)black, (uint16_t)range);
    }
    assert_memory_equal(acc - before, expected, (before + n + after) * sizeof(*acc));
}

static void check_accumulate(const struct kernel_table *table)
{
    static const uint32_t levels16[][2] = {
        {0, 65535}, {0, 1}, {65534, 1}, {256, 4000}, {40000, 25535}};
    static const uint32_t levels8[][2] = {{0, 255}, {0, 1}, {254, 1}, {16, 219}, {200, 40}};
    struct buffers buffers = {guarded_end(), guarded_end()};

    for (size_t n = 0; n < LONGEST; n += n < 140 ? 1 : 61) {
        for (size_t slack = 0; slack < 5; slack++) {
            struct layout layout = {n, 1 + random_below(19), random_below(5), slack};
            size_t level = random_below(5);
            check(table, &buffers, &layout, false, levels16[level][0], levels16[level][1]);
            check(table, &buffers, &layout, true, levels8[level][0], levels8[level][1]);
        }
    }
    munmap(buffers.acc_end - ROOM, ROOM + PAGE);
    munmap(buffers.row_end - ROOM, ROOM + PAGE);
}

/* CSI-2 RAW10 and RAW12: high bytes of a group, then the low bits, first sample lowest. */
static void check_unpack(const struct kernel_table *table)
{
    uint8_t *in_end = guarded_end(), *out_end = guarded_end();

    for (size_t groups = 0; groups < 100; groups++) {
        for (size_t samples = 4; samples >= 2; samples -= 2) {
            size_t size = groups * (samples + 1), bits = 8 / samples;
            uint8_t *in = in_end - size;
            uint16_t *out = (uint16_t *)(void *)out_end - groups * samples;
            for (size_t i = 0; i < size; i++) {
                in[i] = (uint8_t)random_below(256);
            }
            out[-1] = 0xabcd;
            (samples == 4 ? table->unpack_mipi10 : table->unpack_mipi12)(out, in, groups);
            assert_int_equal(out[-1], 0xabcd);
            for (size_t i = 0; i < groups * samples; i++) {
                const uint8_t *group = in + i / samples * (samples + 1);
                unsigned low = group[samples] >> (i % samples * bits) & ((1u << bits) - 1);
                assert_int_equal(out[i], (unsigned)group[i % samples] << bits | low);
            }
        }
    }
    munmap(in_end - ROOM, ROOM + PAGE);
    munmap(out_end - ROOM, ROOM + PAGE);
}

/* Every mask that this machine can run; those that it cannot are the same tables again. */
static void test_every_instruction_set(void **state)
{
    static const char *const masks[] = {"c", "avx2", "avx512", "all"};
    uint32_t have = kernel_cpu_detect();

    (void)state;
    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        struct kernel_table table;
        uint32_t mask;
        assert_int_equal(kernel_cpu_mask_parse(masks[i], &mask), 0);
        print_message("mask %s: flags %x\n", masks[i], have & mask);
        kernel_table_init(&table, have & mask);
        check_accumulate(&table);
        check_unpack(&table);
    }
}

int main(void)
{
    const char *seed = getenv("OCELLUS_TEST_SEED");
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_instruction_set)};

    random_state = seed != NULL ? strtoull(seed, NULL, 0) : 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
