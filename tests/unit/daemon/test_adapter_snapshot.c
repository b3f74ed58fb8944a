/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * An adapter of the shipped model whose log was replaced by a snapshot: what it learned is the same
 * after a restart, can be exported and taken by another, and can be taken back as far as is kept.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/adapter.h"
#include "engine/gradient/gradient.h"
#include "engine/kernel/cpu.h"
#include "engine/train/train.h" /* train_random */

#define CODES  (32u * 64 * 2)
#define LABELS 6u /* of a record */
/* At most, of this model: what test_adaptation_days reckons with. */
#define RECORD_SIZE 6300u
#define STORE_HEAD  56u
#define ROUNDS      40u
#define ADAPTERS    3u

struct world {
    struct network_model *model;
    struct kernel_table kernels;
    char directories[ADAPTERS][64];
};

struct export
{
    void *bytes;
    size_t size;
};

static struct adapter *open_adapter(struct world *world, unsigned which)
{
    const struct adapter_settings settings = {
        .name = "home",
        .directory = world->directories[which],
        .model = world->model,
        .kernels = &world->kernels,
        .budget_day = UINT64_C(1) << 40,
        .journal_allowance = 4096,
        .commit_after_us = 1000000,
    };
    struct adapter_status status;
    struct adapter *adapter;
    assert_int_equal(adapter_open(&settings, &adapter), 0);
    adapter_get_status(adapter, &status);
    assert_true(status.open && !status.read_only);
    return adapter;
}

/* Labels for noise of two densities; what they are called changes from time to time. */
static void teach(struct adapter *adapter, uint32_t from)
{
    struct adapter_answer answer;
    for (uint32_t i = from; i < from + LABELS; i++) {
        static int8_t codes[CODES];
        uint8_t packed[2 * (CODES / 8)];
        for (uint32_t k = 0; k < CODES; k++) {
            const uint64_t bits = train_random(1, i, k);
            codes[k] = bits % (i % 2 == 0 ? 8 : 3) == 0 ? (bits >> 32 & 1 ? 1 : -1) : 0;
        }
        gradient_pack_ternary(codes, CODES, packed, packed + CODES / 8);
        assert_int_equal(adapter_learn(adapter, packed, sizeof(packed), (i ^ i / 64) % 2, &answer),
                         0);
    }
}

static struct store_ledger ledger_of(struct adapter *adapter)
{
    struct adapter_status status;
    adapter_get_status(adapter, &status);
    assert_int_equal(status.durable, status.recorded);
    return status.ledger;
}

static struct export export_of(struct adapter *adapter)
{
    struct export export;
    int r = adapter_export(adapter, &export.bytes, &export.size);
    if (r == -ENOENT) { /* nothing was learned */
        return (struct export){NULL, 0};
    }
    assert_int_equal(r, 0);
    return export;
}

static bool same(const struct export *a, const struct export *b)
{
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

/* Teaches until what was learned is another than before; gives that. */
static struct export learn(struct adapter *adapter, uint32_t *from)
{
    const struct export before = export_of(adapter);
    for (uint32_t i = 0; i < ROUNDS; i++, *from += LABELS) {
        struct adapter_answer answer;
        teach(adapter, *from);
        assert_int_equal(adapter_sync(adapter, &answer), 0);
        struct export now = export_of(adapter);
        if (!same(&now, &before)) {
            free(before.bytes);
            return now;
        }
        free(now.bytes);
    }
    fail_msg("nothing is learned");
    return before;
}

/* Imports until a snapshot takes the place of the log; then nothing is learned any more. */
static void outgrow_log(struct adapter *adapter, const struct export *import)
{
    for (uint32_t i = 0; ledger_of(adapter).snapshots == 0; i++) {
        struct adapter_answer answer;
        assert_true(i < ROUNDS);
        assert_int_equal(adapter_import(adapter, import->bytes, import->size, &answer), 0);
        /* What a snapshot has taken in is not taken back by an undo any more. */
        int r = adapter_undo(adapter, &answer);
        assert_true(r == 0 || (r == -ENOENT && ledger_of(adapter).snapshots > 0));
    }
    struct adapter_answer answer;
    assert_int_equal(adapter_reset(adapter, &answer), 0);
}

static void expect(struct adapter *adapter, const struct export *expected)
{
    struct export now = export_of(adapter);
    assert_true(same(&now, expected));
    free(now.bytes);
}

static void test_behind_a_snapshot(void **state)
{
    struct world *world = *state;
    struct adapter_answer answer;
    uint32_t from = 0;

    struct adapter *teacher = open_adapter(world, 0);
    struct export taught = learn(teacher, &from);
    const struct store_ledger ledger = ledger_of(teacher);
    assert_true(ledger.record_bytes <= ledger.records * (RECORD_SIZE + STORE_HEAD));
    adapter_close(teacher);

    struct adapter *adapter = open_adapter(world, 1);
    outgrow_log(adapter, &taught);
    assert_int_equal(adapter_import(adapter, taught.bytes, taught.size, &answer), 0);
    const uint64_t imported = answer.sequence;
    struct export learned = learn(adapter, &from);
    adapter_close(adapter); /* a restart */
    adapter = open_adapter(world, 1);
    expect(adapter, &learned);

    struct adapter *other = open_adapter(world, 2);
    assert_int_equal(adapter_import(other, learned.bytes, learned.size, &answer), 0);
    expect(other, &learned);
    adapter_close(other);

    assert_int_equal(adapter_rollback(adapter, imported, &answer), 0);
    expect(adapter, &taught);
    assert_int_equal(adapter_rollback(adapter, 1, &answer), -ENOENT); /* before the snapshot */
    assert_int_equal(adapter_reset(adapter, &answer), 0);
    assert_int_equal(export_of(adapter).size, 0);
    adapter_close(adapter);
    free(taught.bytes);
    free(learned.bytes);
}

static int setup(void **state)
{
    static struct world world;
    static uint8_t bytes[1 << 20];
    FILE *file = fopen(SOURCE_ROOT "/engine/models/person.safetensors", "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    assert_int_equal(network_model_load(bytes, size, &world.model, NULL), 0);
    kernel_table_init(&world.kernels, kernel_cpu_detect());
    for (unsigned i = 0; i < ADAPTERS; i++) {
        snprintf(world.directories[i], sizeof(world.directories[i]), "/tmp/ocellus-adapter-XXXXXX");
        assert_non_null(mkdtemp(world.directories[i]));
    }
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    for (unsigned i = 0; i < ADAPTERS; i++) {
        char command[96];
        snprintf(command, sizeof(command), "rm -r %s", world->directories[i]);
        assert_int_equal(system(command), 0);
    }
    network_model_destroy(world->model);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_behind_a_snapshot)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
