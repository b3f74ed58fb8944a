/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Random networks of every coding, operation and shape of graph against the reference interpreter:
 * every map and score, for every instruction set of this machine and every choice of kernels, one
 * image at a time and many, in an arena between guard pages.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/network/plan.h"
#include "graphs.h"
#include "network_test.h"

enum { LANES = 3, LABELS = 16 };

/* ---- maps ---- */

struct watch {
    const struct reference *reference;
    uint64_t seed;
    uint32_t calls;
    bool seen[5]; /* types */
};

static bool bit_at(const uint64_t *words, size_t pixel, uint32_t channels, uint32_t c)
{
    (void)channels;
    return words[pixel + c / 64] >> c % 64 & 1;
}

/* The code of a value of an observed map, as the reference keeps it. */
static int32_t code_at(const struct network_activation *map, const struct reference_map *expect,
                       size_t y, size_t x, uint32_t c)
{
    const uint32_t words = (map->shape.channels + 63) / 64;
    const size_t at = y * map->row + x * map->shape.channels + c;
    const size_t pixel = y * map->row + x * words;

    if (map->type == NETWORK_TYPE_BITS) {
        return bit_at(map->data, pixel, map->shape.channels, c);
    }
    if (map->type == NETWORK_TYPE_PLANES) {
        const bool sign = bit_at(map->data, pixel, map->shape.channels, c);

        assert_true(!sign || bit_at(map->nonzero, pixel, map->shape.channels, c));
        return !bit_at(map->nonzero, pixel, map->shape.channels, c) ? 0 : sign ? 1 : -1;
    }
    const int32_t value = ((const uint8_t *)map->data)[at] - map->offset;
    if (expect->coding == REFERENCE_BINARY) {
        return (value + 1) / 2;
    }
    if (expect->coding == REFERENCE_LOG && !expect->root && expect->bits <= 3) {
        return value == 0 ? 0 : 1 + __builtin_ctz((unsigned)value);
    }
    return value;
}

static void observe(void *user, uint32_t layer, const struct network_activation *map)
{
    struct watch *watch = user;
    const struct reference_map *expect = &watch->reference->map[layer + 1];
    const size_t columns = (size_t)map->shape.width * map->shape.channels;

    watch->calls++;
    watch->seen[map->type] = true;
    assert_memory_equal(&map->shape, &expect->shape, sizeof map->shape);
    if (map->type == NETWORK_TYPE_S32) {
        assert_memory_equal(map->data, expect->codes, map->shape.channels * sizeof(int32_t));
        return;
    }
    for (size_t i = 0; i < map->shape.height * columns; i++) {
        const size_t y = i / columns, x = i % columns / map->shape.channels;
        const uint32_t c = i % map->shape.channels;

        if (map->type == NETWORK_TYPE_F32) {
            const float value = ((const float *)map->data)[y * map->row + i % columns];

            assert_memory_equal(&value, &expect->real[i], sizeof value);
        } else if (code_at(map, expect, y, x, c) != expect->codes[i]) {
            fail_msg("seed %lu layer %u value %zu: %d, should be %d", (unsigned long)watch->seed,
                     layer, i, code_at(map, expect, y, x, c), expect->codes[i]);
        }
    }
}

/* ---- runs ---- */

struct images {
    const uint8_t *codes;
    size_t bytes;
    struct reference reference[LANES];
};

static void check_plan(const struct network_plan *plan, const struct images *images, uint64_t seed,
                       uint32_t cpu, bool seen[5])
{
    const struct reference_map *last = &images->reference[0].map[images->reference[0].count - 1];
    const uint32_t labels = last->shape.channels;
    struct guarded arena = guard(network_plan_arena_bytes(plan));
    struct guarded out = guard(LANES * labels * sizeof(int32_t));
    int32_t *scores = (int32_t *)(void *)out.bytes;
    struct watch watch = {.reference = &images->reference[0], .seed = seed};

    assert_int_equal((uintptr_t)arena.bytes % 64, 0);
    memset(arena.bytes, 0xa5, network_plan_arena_bytes(plan));
    network_run_observed(plan, arena.bytes, images->codes, scores, observe, &watch);
    assert_true(watch.calls > 0);
    for (int i = 0; i < 5; i++) {
        seen[i] = seen[i] || watch.seen[i];
    }
    for (uint32_t count = 1; count <= LANES; count++) {
        memset(scores, 0x7e, LANES * labels * sizeof(int32_t));
        network_run_many(plan, arena.bytes, images->codes, count, scores);
        for (uint32_t i = 0; i < count; i++) {
            const struct reference *one = &images->reference[i];

            if (memcmp(scores + i * labels, one->map[one->count - 1].codes,
                       labels * sizeof(int32_t)) != 0) {
                fail_msg("seed %lu cpu %#x: scores of image %u of %u", (unsigned long)seed, cpu, i,
                         count);
            }
        }
    }
    release(out);
    release(arena);
}

/* Whether the plans of a seed ran each kind of step. */
struct tally {
    uint32_t bits, conv, log, depthwise, add, copies, fused;
    bool seen[5];
};

static void count_steps(const struct network_plan *plan, struct tally *tally)
{
    for (uint32_t i = 0; i < network_plan_steps(plan); i++) {
        struct network_step step;

        network_plan_step(plan, i, &step);
        tally->bits += strcmp(step.kernel, "bits") == 0;
        tally->conv += strcmp(step.kernel, "conv") == 0;
        tally->log += strcmp(step.kernel, "log") == 0;
        tally->depthwise += strcmp(step.kernel, "depthwise") == 0;
        tally->add += strcmp(step.kernel, "add") == 0;
        tally->copies += strcmp(step.kernel, "copy") == 0;
        tally->fused += step.first != step.last;
    }
}

static void compare(uint64_t first, uint64_t last, uint32_t floats, struct tally *tally)
{
    struct kernel_table tables[24];
    const size_t table_count = make_tables(tables);

    for (uint64_t seed = first; seed <= last; seed++) {
        struct images images;
        struct graph graph;

        graph_create(&graph, seed, floats);
        struct network_model *model = model_of(&graph.description);
        images.codes = graph_codes(&graph, LANES, &images.bytes);
        for (uint32_t i = 0; i < LANES; i++) {
            images.reference[i] = reference_run(&graph.point, images.codes + i * images.bytes);
        }
        for (size_t i = 0; i < table_count; i++) {
            struct network_plan *plan;

            assert_int_equal(network_plan_create(model, 0, LANES, &tables[i], &plan), 0);
            check_plan(plan, &images, seed, tables[i].cpu, tally->seen);
            count_steps(plan, tally);
            network_plan_destroy(plan);
        }
        for (uint32_t i = 0; i < LANES; i++) {
            reference_finish(&images.reference[i]);
        }
        free((void *)(uintptr_t)images.codes);
        network_model_destroy(model);
        graph_destroy(&graph);
    }
}

static void test_integer_networks(void **state)
{
    struct tally tally = {0};

    (void)state;
    compare(1, 160, 0, &tally);
    /* The generator still makes what is worth testing. */
    print_message("steps: %u conv, %u bits, %u log, %u depthwise, %u add, %u copy, %u fused\n",
                  tally.conv, tally.bits, tally.log, tally.depthwise, tally.add, tally.copies,
                  tally.fused);
    assert_true(tally.conv > 100 && tally.bits > 100 && tally.log > 100);
    assert_true(tally.depthwise > 20 && tally.add > 20 && tally.copies > 20 && tally.fused > 20);
    assert_true(tally.seen[NETWORK_TYPE_BITS] && tally.seen[NETWORK_TYPE_PLANES]);
}

static void test_networks_with_floats(void **state)
{
    struct tally tally = {0};

    (void)state;
    compare(1000, 1060, 10, &tally);
    assert_true(tally.seen[NETWORK_TYPE_F32]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integer_networks),
        cmocka_unit_test(test_networks_with_floats),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
