/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The online trainer: its scores are the network's, records replay to the same bytes, what is
 * damaged or harmful changes nothing, and it learns.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/train/delta.h"
#include "engine/train/online.h"
#include "engine/train/train.h"
#include "tests/unit/train/tiny.h"

#define CLASSES_MAX 4u

static struct train_online *make(const struct network_model *model,
                                 const struct train_online_settings *settings)
{
    struct train_online *online;
    const char *reason = NULL;

    if (train_online_create(model, 0, settings, &online, &reason) < 0) {
        fail_msg("%s", reason);
    }
    return online;
}

/* Picture `index`: kinds take turns, and a kind is a class. */
static uint32_t picture(uint32_t classes, uint32_t index, int8_t *codes)
{
    tiny_codes(1, index % classes, index / classes, codes);
    return index % classes;
}

static void learn(struct train_online *online, uint32_t classes, uint32_t from, uint32_t count)
{
    struct train_online_answer answer;
    int8_t codes[TINY_VALUES];

    for (uint32_t i = from; i < from + count; i++) {
        const uint32_t label = picture(classes, i, codes);
        assert_int_equal(train_online_learn(online, codes, label, i, &answer), 0);
    }
}

static uint32_t right(struct train_online *online, uint32_t classes, uint32_t from, uint32_t count)
{
    int8_t codes[TINY_VALUES];
    int32_t scores[CLASSES_MAX];
    uint32_t sum = 0;

    for (uint32_t i = from; i < from + count; i++) {
        const uint32_t label = picture(classes, i, codes);
        train_online_predict(online, codes, scores);
        sum += network_argmax(scores, classes) == label;
    }
    return sum;
}

/* The trainer's scores are those of the network with its layers. */
static void check_scores(struct train_online *online, const struct network_model *model,
                         uint32_t classes, uint32_t cpu)
{
    struct kernel_table table;
    struct network_plan *plan;
    void *arena, *groups[6] = {NULL};

    kernel_table_init(&table, cpu);
    assert_int_equal(network_plan_create(model, 0, 1, &table, &plan), 0);
    arena = aligned_alloc(64, (network_plan_arena_bytes(plan) + 63) / 64 * 64);
    for (uint32_t i = 0; i < 6; i++) {
        struct network_layer values;
        if (train_online_layer(online, i, &values) == 0) {
            groups[i] = aligned_alloc(64, network_plan_group_bytes(plan, i));
            assert_int_equal(network_plan_pack(plan, i, &values, groups[i]), 0);
            assert_int_equal(network_plan_use(plan, i, groups[i]), 0);
        }
    }
    for (uint32_t i = 0; i < 40; i++) {
        int8_t codes[TINY_VALUES];
        int32_t scores[CLASSES_MAX], expected[CLASSES_MAX];

        picture(classes, i, codes);
        network_run(plan, arena, codes, expected);
        train_online_predict(online, codes, scores);
        assert_memory_equal(scores, expected, classes * sizeof(int32_t));
    }
    for (uint32_t i = 0; i < 6; i++) {
        free(groups[i]);
    }
    free(arena);
    network_plan_destroy(plan);
}

static void same_layers(const struct train_online *a, const struct train_online *b)
{
    for (uint32_t i = 0; i < 6; i++) {
        struct network_layer x, y;

        assert_int_equal(train_online_layer(a, i, &x), train_online_layer(b, i, &y));
        if (train_online_layer(a, i, &x) == 0) {
            static const size_t columns[6] = {18, 0, 108, 0, 64, 24};
            assert_memory_equal(x.weight_s8, y.weight_s8, x.out * columns[i]);
            assert_memory_equal(x.bias_s32, y.bias_s32, x.out * sizeof(int32_t));
        }
    }
}

struct setup {
    uint32_t classes, count, layers[4];
    uint8_t head, norm;
};

static const struct setup setups[] = {
    {2, 1, {TINY_SCORES}, TRAIN_ONLINE_LOWRANK, TRAIN_ONLINE_NLMS},
    {4, 1, {TINY_SCORES}, TRAIN_ONLINE_LOWRANK, TRAIN_ONLINE_NLMS},
    {4, 1, {TINY_SCORES}, TRAIN_ONLINE_PROTOTYPE, TRAIN_ONLINE_NLMS},
    {3, 2, {TINY_DENSE, TINY_SCORES}, TRAIN_ONLINE_AUTO, TRAIN_ONLINE_NLMS},
    {2, 2, {TINY_CONV2, TINY_SCORES}, TRAIN_ONLINE_LOWRANK, TRAIN_ONLINE_NLMS},
    {2, 1, {TINY_CONV2}, TRAIN_ONLINE_AUTO, TRAIN_ONLINE_NLMS},
    {2, 1, {TINY_CONV1}, TRAIN_ONLINE_LOWRANK, TRAIN_ONLINE_NLMS},
    {2, 4, {TINY_CONV1, TINY_CONV2, TINY_DENSE, TINY_SCORES}, TRAIN_ONLINE_AUTO, TRAIN_ONLINE_NLMS},
    {2, 1, {TINY_SCORES}, TRAIN_ONLINE_LOWRANK, TRAIN_ONLINE_MAX_NORM},
    {2, 1, {TINY_CONV2}, TRAIN_ONLINE_LOWRANK, TRAIN_ONLINE_MAX_NORM},
};
#define SETUPS (sizeof(setups) / sizeof(setups[0]))

static struct train_online_settings settings_of(const struct network_model *model,
                                                const struct setup *setup)
{
    struct train_online_settings s;

    train_online_defaults(model, 0, &s);
    s.layer_count = setup->count;
    memcpy(s.layers, setup->layers, sizeof(setup->layers));
    s.head = setup->head;
    s.norm = setup->norm;
    s.bias_rate = 0.1f;
    s.margin = 8; /* scores of so small a model */
    s.rate = setup->norm == TRAIN_ONLINE_NLMS ? 0.3f : 0.02f;
    s.hold = 0;
    s.holdout = 8;
    return s;
}

/* Learns, flushes twice and takes it all apart. */
static void check_setup(const struct setup *setup)
{
    struct network_model *model = tiny_model(3, setup->classes);
    struct train_online_settings s = settings_of(model, setup);
    struct train_online *online = make(model, &s), *other;
    struct train_online_verdict verdict;
    const uint32_t before = right(online, setup->classes, 400, 200);
    const void *record;
    static uint8_t records[2][16384];
    size_t size, snapshot_size, sizes[2] = {0};
    void *snapshot;
    uint64_t generation, digest;
    int result;

    check_scores(online, model, setup->classes, kernel_cpu_detect());
    s.cpu = 0;
    other = make(model, &s);
    assert_int_equal(train_online_base(online), train_online_base(other));
    for (uint32_t round = 0; round < 2; round++) {
        learn(online, setup->classes, round * 60, 60);
        check_scores(online, model, setup->classes, 0);
        generation = train_online_generation(online);
        digest = train_online_digest(online);
        result = train_online_flush(online, &record, &size, &verdict);
        if (result == -ECANCELED && round > 0) { /* what is learned is learned: no harm is done */
            assert_int_equal(train_online_digest(online), digest);
            continue;
        }
        assert_int_equal(result, 0);
        assert_true(verdict.after >= verdict.before);
        assert_true(round > 0 || train_online_generation(online) > generation);
        check_scores(online, model, setup->classes, 0);
        assert_int_equal(train_online_apply(other, record, size), 0);
        assert_int_equal(train_online_digest(online), train_online_digest(other));
        same_layers(online, other);
        memcpy(records[round], record, size);
        sizes[round] = size;
        if (round == 0) {
            assert_int_equal(train_online_snapshot(online, &snapshot, &snapshot_size), 0);
            digest = train_online_digest(online);
        }
    }
    /* the first convolution alone can do little */
    assert_true(right(online, setup->classes, 400, 200) >=
                before + (setup->count == 1 && setup->layers[0] == TINY_CONV1 ? 10 : 60));
    /* a snapshot and what came after it */
    assert_int_equal(train_online_restore(other, snapshot, snapshot_size), 0);
    if (sizes[1] > 0) {
        assert_true(train_online_digest(online) != train_online_digest(other));
        assert_int_equal(train_online_apply(other, records[1], sizes[1]), 0);
    }
    assert_int_equal(train_online_digest(online), train_online_digest(other));
    same_layers(online, other);
    train_online_reset(other);
    s.cpu = kernel_cpu_detect();
    train_online_destroy(online);
    online = make(model, &s);
    assert_int_equal(train_online_digest(online), train_online_digest(other));
    same_layers(online, other);
    free(snapshot);
    train_online_destroy(online);
    train_online_destroy(other);
    network_model_destroy(model);
}

static void test_learns_and_replays(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETUPS; i++) {
        check_setup(&setups[i]);
    }
}

/* More margin than the layer can give in one record: less is learned, but it is. */
static void test_too_much_margin(void **state)
{
    struct network_model *model = tiny_model(3, 2);
    struct train_online_settings s = settings_of(model, &setups[0]);
    struct train_online_verdict verdict;
    struct train_online *online;
    const void *record;
    uint32_t before;
    size_t size;

    (void)state;
    s.margin = 40;
    online = make(model, &s);
    before = right(online, 2, 400, 200);
    learn(online, 2, 0, 60);
    assert_int_equal(train_online_flush(online, &record, &size, &verdict), 0);
    assert_true(right(online, 2, 400, 200) >= before + 60);
    train_online_destroy(online);
    network_model_destroy(model);
}

/* The same labels give the same record. */
static void test_repeats(void **state)
{
    struct network_model *model = tiny_model(3, 3);
    struct train_online_settings s = settings_of(model, &setups[3]);
    struct train_online *a = make(model, &s), *b = make(model, &s);
    struct train_online_verdict verdict;
    const void *first, *second;
    size_t size, other;

    (void)state;
    learn(a, 3, 0, 40);
    learn(b, 3, 0, 40);
    assert_int_equal(train_online_flush(a, &first, &size, &verdict), 0);
    assert_int_equal(train_online_flush(b, &second, &other, &verdict), 0);
    assert_int_equal(size, other);
    assert_memory_equal(first, second, size);
    assert_int_equal(train_online_flush(a, &first, &size, &verdict), -EAGAIN);
    train_online_destroy(a);
    train_online_destroy(b);
    network_model_destroy(model);
}

/* Each byte of a record or a snapshot, changed or missing, is found. */
static void test_damage_is_refused(void **state)
{
    struct network_model *model = tiny_model(3, 2);
    struct train_online_settings s = settings_of(model, &setups[0]);
    struct train_online *online = make(model, &s), *other = make(model, &s);
    struct train_online_verdict verdict;
    const void *record;
    void *snapshot, *copy;
    size_t size, snapshot_size;
    uint64_t digest;

    (void)state;
    learn(online, 2, 0, 20);
    assert_int_equal(train_online_flush(online, &record, &size, &verdict), 0);
    assert_int_equal(train_online_snapshot(online, &snapshot, &snapshot_size), 0);
    digest = train_online_digest(other);
    copy = malloc(size > snapshot_size ? size : snapshot_size);
    for (size_t i = 0; i < size; i++) {
        memcpy(copy, record, size);
        ((uint8_t *)copy)[i] ^= 0x10;
        assert_int_equal(train_online_apply(other, copy, size), -EBADMSG);
        assert_int_equal(train_online_apply(other, record, i), -EBADMSG);
    }
    for (size_t i = 0; i < snapshot_size; i++) {
        memcpy(copy, snapshot, snapshot_size);
        ((uint8_t *)copy)[i] ^= 0x10;
        assert_int_equal(train_online_restore(other, copy, snapshot_size), -EBADMSG);
        assert_int_equal(train_online_restore(other, snapshot, i), -EBADMSG);
    }
    assert_int_equal(train_online_digest(other), digest);
    free(copy);
    free(snapshot);
    train_online_destroy(online);
    train_online_destroy(other);
    network_model_destroy(model);
}

/* One record has all that was learned, also from several records and behind a snapshot. */
static void test_difference(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(setups) / sizeof(setups[0]); i++) {
        struct network_model *model = tiny_model(3, 2);
        struct train_online_settings s = settings_of(model, &setups[i]);
        struct train_online *online = make(model, &s), *other = make(model, &s);
        struct train_online_verdict verdict;
        const void *record;
        void *all, *again;
        size_t size, again_size;

        assert_int_equal(train_online_difference(online, &all, &size), -ENOENT);
        for (uint32_t from = 0; from < 60; from += 20) {
            learn(online, 2, from, 20);
            int r = train_online_flush(online, &record, &size, &verdict);
            assert_true(r == 0 || r == -ECANCELED || r == -EAGAIN);
        }
        assert_int_equal(train_online_difference(online, &all, &size), 0);
        assert_int_equal(train_online_import(other, all, size, &verdict), 0);
        same_layers(online, other);
        assert_int_equal(train_online_difference(other, &again, &again_size), 0);
        assert_int_equal(again_size, size);
        assert_memory_equal(again, all, size);
        free(all);
        free(again);
        train_online_destroy(online);
        train_online_destroy(other);
        network_model_destroy(model);
    }
}

/* A record of one step in one cell of the last layer, and a bias. */
static size_t craft(uint64_t base, int16_t left, int16_t right, uint32_t shift, int32_t bias,
                    uint32_t writes_max, uint8_t *to)
{
    uint8_t biases[8] = {0}, lefts[4] = {0}, rights[48] = {0};
    const struct train_delta delta = {.base = base,
                                      .writes_max = writes_max,
                                      .layer_count = 1,
                                      .layers = {{.layer = TINY_SCORES,
                                                  .rank = 1,
                                                  .shift = shift,
                                                  .rows = 2,
                                                  .columns = 24,
                                                  .bias = biases,
                                                  .left = lefts,
                                                  .right = rights}}};

    memcpy(biases, &bias, 4);
    memcpy(lefts, &left, 2);
    memcpy(rights + 2, &right, 2); /* cell (0, 1) */
    train_delta_write(&delta, to);
    return train_delta_size(&delta);
}

static int8_t cell(const struct train_online *online)
{
    struct network_layer layer;

    assert_int_equal(train_online_layer(online, TINY_SCORES, &layer), 0);
    return layer.weight_s8[1];
}

static void test_steps_and_bounds(void **state)
{
    struct network_model *model = tiny_model(3, 2);
    struct train_online_settings s = settings_of(model, &setups[0]);
    struct train_online *online = make(model, &s);
    const uint64_t base = train_online_base(online);
    const int8_t start = cell(online);
    struct train_online_status status;
    uint8_t record[256];
    size_t size;

    (void)state;
    size = craft(base, 5, 3, 1, 0, 0, record); /* 7.5: away from zero */
    assert_int_equal(train_online_apply(online, record, size), 0);
    assert_int_equal(cell(online), start - 8);
    size = craft(base, -5, 3, 1, 0, 0, record);
    assert_int_equal(train_online_apply(online, record, size), 0);
    assert_int_equal(cell(online), start);
    size = craft(base, 127, 2, 1, 0, 0, record);
    assert_int_equal(train_online_apply(online, record, size), 0);
    size = craft(base, 127, 2, 1, 0, 0, record);
    assert_int_equal(train_online_apply(online, record, size), 0);
    assert_int_equal(cell(online), -127); /* held */
    size = craft(base, 128, 2, 1, 0, 0, record);
    assert_int_equal(train_online_apply(online, record, size), -ERANGE);
    size = craft(base, 0, 0, 0, 1 << 27, 0, record); /* a sum could leave int32 */
    assert_int_equal(train_online_apply(online, record, size), -ERANGE);
    size = craft(base + 1, 1, 1, 0, 0, 0, record);
    assert_int_equal(train_online_apply(online, record, size), -EBADMSG);
    size = craft(base, -9, 1, 0, 0, 4, record); /* written 4 times already */
    assert_int_equal(train_online_apply(online, record, size), 0);
    assert_int_equal(cell(online), -127);
    train_online_get(online, &status);
    assert_int_equal(status.layers[0].worst, 4);
    assert_int_equal(status.records, 5);
    train_online_destroy(online);
    network_model_destroy(model);
}

/* Labels that contradict each other teach nothing. */
static void test_harm_is_refused(void **state)
{
    struct network_model *model = tiny_model(3, 2);
    struct train_online_settings s = settings_of(model, &setups[3]);
    struct train_online *online;
    struct train_online_verdict verdict;
    struct train_online_answer answer;
    const void *record;
    uint64_t digest;
    size_t size;

    (void)state;
    s.layer_count = 1;
    s.layers[0] = TINY_SCORES;
    online = make(model, &s);
    digest = train_online_digest(online);
    for (uint32_t i = 0; i < 20; i++) {
        int8_t codes[TINY_VALUES];

        tiny_codes(9, 0, i / 2, codes); /* each picture with both labels */
        assert_int_equal(train_online_learn(online, codes, i % 2, i, &answer), 0);
    }
    assert_int_equal(train_online_flush(online, &record, &size, &verdict), -ECANCELED);
    assert_true(verdict.recent_parts < verdict.recent_before);
    assert_int_equal(train_online_digest(online), digest);
    assert_int_equal(train_online_flush(online, &record, &size, &verdict), -EAGAIN);
    train_online_destroy(online);
    network_model_destroy(model);
}

/* A record that makes one class win always, and one that does nothing. */
static void test_harmful_import_is_refused(void **state)
{
    struct network_model *model = tiny_model(3, 2);
    struct train_online_settings s = settings_of(model, &setups[0]);
    struct train_online *online = make(model, &s);
    struct train_online_verdict verdict;
    uint8_t record[256];
    uint64_t digest;
    const void *own;
    size_t size;

    (void)state;
    learn(online, 2, 0, 40);
    assert_int_equal(train_online_flush(online, &own, &size, &verdict), 0);
    digest = train_online_digest(online);
    size = craft(train_online_base(online), 0, 0, 0, 100000, 0, record);
    assert_int_equal(train_online_import(online, record, size, &verdict), -ECANCELED);
    assert_true(verdict.recent_after < verdict.recent_before);
    assert_int_equal(train_online_digest(online), digest);
    size = craft(train_online_base(online), 0, 0, 0, 1, 0, record);
    assert_int_equal(train_online_import(online, record, size, &verdict), 0);
    assert_true(train_online_digest(online) != digest);
    train_online_destroy(online);
    network_model_destroy(model);
}

/* One label of 30 is wrong: it heads the list. */
static void test_wrong_label_is_named(void **state)
{
    struct network_model *model = tiny_model(3, 2);
    struct train_online_settings s = settings_of(model, &setups[0]);
    struct train_online *online = make(model, &s);
    struct train_online_verdict verdict;
    struct train_online_answer answer;
    struct train_online_status status;
    const void *record;
    uint64_t tags[4] = {0};
    size_t size;

    (void)state;
    for (uint32_t i = 0; i < 30; i++) {
        int8_t codes[TINY_VALUES];
        const uint32_t label = picture(2, i, codes);
        assert_int_equal(
            train_online_learn(online, codes, i == 13 ? 1 - label : label, 100 + i, &answer), 0);
    }
    assert_int_equal(train_online_flush(online, &record, &size, &verdict), 0);
    assert_true(train_online_distrusted(online, tags, 4) >= 1);
    assert_int_equal(tags[0], 113);
    train_online_get(online, &status);
    assert_int_equal(status.loo_count, 30);
    assert_true(status.loo_right >= 25 && status.loo_right <= 29);
    assert_true(status.layers[0].lambda == 0 || status.layers[0].lambda > 1);
    train_online_destroy(online);
    network_model_destroy(model);
}

/* With rho_min of all cells no weight is written; biases still are. */
static void test_hold(void **state)
{
    struct network_model *model = tiny_model(3, 2);
    struct train_online_settings s = settings_of(model, &setups[0]);
    struct train_online *online;
    struct train_online_verdict verdict;
    struct train_online_status status;
    const void *record;
    size_t size;

    (void)state;
    s.hold = 1;
    online = make(model, &s);
    learn(online, 2, 0, 20);
    assert_int_equal(train_online_flush(online, &record, &size, &verdict), 0);
    train_online_get(online, &status);
    assert_int_equal(status.layers[0].cells_written, 0);
    assert_true(size < 64);
    train_online_destroy(online);
    network_model_destroy(model);
}

/* From label 33 on about every fourth one is held out, and nothing is learned from it. */
static void test_holdout(void **state)
{
    struct network_model *model = tiny_model(3, 2);
    struct train_online_settings s = settings_of(model, &setups[0]);
    struct train_online *online = make(model, &s);
    struct train_online_status status;
    struct train_online_answer answer;
    int8_t codes[TINY_VALUES];
    uint32_t held = 0;

    (void)state;
    for (uint32_t i = 1; i <= 100; i++) {
        const uint32_t label = picture(2, i, codes);
        const uint64_t generation = train_online_generation(online);

        assert_int_equal(train_online_learn(online, codes, label, i, &answer), 0);
        assert_true(!answer.held_out || i > 32);
        held += answer.held_out;
        assert_true(!answer.held_out || train_online_generation(online) == generation);
    }
    train_online_get(online, &status);
    assert_true(held >= 10 && held <= 24);
    assert_int_equal(status.holdout, 8);
    assert_int_equal(status.recent, 100 - held < 64 ? 100 - held : 64);
    assert_int_equal(status.labels, 100);
    assert_int_equal(train_online_learn(online, codes, 2, 0, &answer), -EINVAL);
    train_online_destroy(online);
    network_model_destroy(model);
}

static void test_what_cannot_learn_is_refused(void **state)
{
    struct network_model *model = tiny_model(3, 2);
    struct train_online_settings s = settings_of(model, &setups[0]), bad = s;
    struct train_online *online;
    const char *reason = NULL;

    (void)state;
    bad.layers[0] = TINY_POOL1;
    assert_int_equal(train_online_create(model, 0, &bad, &online, &reason), -ENOTSUP);
    assert_non_null(reason);
    bad.layers[0] = 6;
    assert_int_equal(train_online_create(model, 0, &bad, &online, &reason), -ENOTSUP);
    bad = s;
    bad.rank = 0;
    assert_int_equal(train_online_create(model, 0, &bad, &online, NULL), -EINVAL);
    assert_int_equal(train_online_create(model, 1, &s, &online, NULL), -EINVAL);
    network_model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns_and_replays),
        cmocka_unit_test(test_too_much_margin),
        cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_damage_is_refused),
        cmocka_unit_test(test_difference),
        cmocka_unit_test(test_steps_and_bounds),
        cmocka_unit_test(test_harm_is_refused),
        cmocka_unit_test(test_harmful_import_is_refused),
        cmocka_unit_test(test_wrong_label_is_named),
        cmocka_unit_test(test_hold),
        cmocka_unit_test(test_holdout),
        cmocka_unit_test(test_what_cannot_learn_is_refused),
    };

    return cmocka_run_group_tests_name("train_online", tests, NULL, NULL);
}
