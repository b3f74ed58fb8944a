/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Weights exchanged between runs: the new layer's results and no other's, from any memory; what is
 * refused changes nothing.
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
#include "engine/network/plan.h"
#include "graphs.h"

struct fixture {
    struct graph graph;
    struct network_model *model;
    struct network_plan *plan, *other; /* of the same model and table; of another table */
    void *arena;
    uint8_t *codes;
    int32_t scores[16];
};

static void *aligned(size_t bytes)
{
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);

    assert_non_null(memory);
    return memory;
}

static void set_up(struct fixture *fixture, uint64_t seed, uint32_t cpu)
{
    struct kernel_table table;
    size_t size;
    void *bytes;

    graph_create(&fixture->graph, seed, 2);
    assert_int_equal(network_model_write(&fixture->graph.description, &bytes, &size, NULL), 0);
    assert_int_equal(network_model_load(bytes, size, &fixture->model, NULL), 0);
    free(bytes);
    kernel_table_init(&table, cpu);
    assert_int_equal(network_plan_create(fixture->model, 0, 1, &table, &fixture->plan), 0);
    table.cpu ^= 1u << 31; /* the kernels are the same, the plan cannot know that */
    assert_int_equal(network_plan_create(fixture->model, 0, 1, &table, &fixture->other), 0);
    fixture->arena = aligned(network_plan_arena_bytes(fixture->plan));
    fixture->codes = graph_codes(&fixture->graph, 1, &size);
}

static void tear_down(struct fixture *fixture)
{
    free(fixture->codes);
    free(fixture->arena);
    network_plan_destroy(fixture->plan);
    network_plan_destroy(fixture->other);
    network_model_destroy(fixture->model);
    graph_destroy(&fixture->graph);
}

/* The scores are those of the graph as it is now. */
static void check(struct fixture *fixture)
{
    struct reference reference = reference_run(&fixture->graph.point, fixture->codes);
    const uint32_t labels = fixture->graph.description.label_count;

    network_run(fixture->plan, fixture->arena, fixture->codes, fixture->scores);
    assert_memory_equal(fixture->scores, reference.map[reference.count - 1].codes,
                        labels * sizeof(int32_t));
    reference_finish(&reference);
}

static bool all_positive(const struct network_layer *layer)
{
    for (uint32_t o = 0; layer->mult != NULL && o < layer->out; o++) {
        if (layer->mult[o] <= 0) {
            return false;
        }
    }
    return true;
}

/* Exchanges the weights of one layer, runs, and takes the model's own again. */
static void swap_layer(struct fixture *fixture, uint32_t layer, uint32_t *refused)
{
    struct network_layer *values = &fixture->graph.layers[layer], old = *values;
    const size_t size = network_plan_group_bytes(fixture->plan, layer);
    uint8_t *packed = aligned(size);

    graph_refill(&fixture->graph, values);
    int result = network_plan_pack(fixture->plan, layer, values, packed);
    if (result < 0) { /* a fused pool wants positive multipliers */
        assert_int_equal(result, -EINVAL);
        assert_false(all_positive(values));
        (*refused)++;
    } else {
        uint8_t *moved = aligned(size);

        memcpy(moved, packed, size);
        memset(packed, 0xff, size);
        assert_int_equal(network_plan_use(fixture->plan, layer, moved), 0);
        check(fixture);
        assert_int_equal(network_plan_use(fixture->other, layer, moved), -EINVAL);
        assert_int_equal(network_plan_use(fixture->plan, layer, packed), -EINVAL);
        check(fixture);
        assert_int_equal(network_plan_use(fixture->plan, layer, NULL), 0);
        free(moved);
    }
    *values = old;
    check(fixture);
    free(packed);
}

static void test_swaps(void **state)
{
    static const char *const levels[] = {"c", "all"};
    uint32_t swapped = 0, refused = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct fixture fixture;
        uint32_t mask;

        assert_int_equal(kernel_cpu_mask_parse(levels[seed % 2], &mask), 0);
        set_up(&fixture, seed, mask & kernel_cpu_detect());
        check(&fixture);
        for (uint32_t i = 0; i < fixture.graph.point.layer_count; i++) {
            const bool weighted = fixture.graph.layers[i].op <= NETWORK_OP_DEPTHWISE;

            assert_int_equal(network_plan_group_bytes(fixture.plan, i) > 0, weighted);
            assert_int_equal(network_plan_group_bytes(fixture.plan, i) % 64, 0);
            if (weighted) {
                swap_layer(&fixture, i, &refused);
                swapped++;
            } else {
                assert_int_equal(network_plan_use(fixture.plan, i, NULL), -EINVAL);
            }
        }
        tear_down(&fixture);
    }
    assert_true(swapped > 100 && refused < swapped / 4);
}

static void test_refusals(void **state)
{
    static const float no_number = __builtin_nanf("");
    struct fixture fixture;
    uint64_t seed = 1;

    (void)state;
    for (;; seed++) { /* a network with an s8 layer that gives u7, and something before it */
        set_up(&fixture, seed, 0);
        if (fixture.graph.layers[0].op == NETWORK_OP_CONV &&
            fixture.graph.layers[0].weights == NETWORK_WEIGHTS_S8 &&
            fixture.graph.layers[0].output == NETWORK_OUTPUT_U7) {
            break;
        }
        tear_down(&fixture);
    }
    const struct network_layer *layer = &fixture.graph.layers[0];
    uint8_t *packed = aligned(network_plan_group_bytes(fixture.plan, 0));
    int8_t *weights = malloc(layer->out * reference_taps(layer, fixture.graph.map[0].shape));
    struct network_layer values = *layer;

    assert_non_null(weights);
    memcpy(weights, layer->weight_s8,
           layer->out * reference_taps(layer, fixture.graph.map[0].shape));
    values.weight_s8 = weights;
    assert_int_equal(network_plan_pack(fixture.plan, 0, &values, packed), 0);
    weights[0] = INT8_MIN;
    assert_int_equal(network_plan_pack(fixture.plan, 0, &values, packed), -EINVAL);
    values = *layer;
    values.preshift = 31;
    assert_int_equal(network_plan_pack(fixture.plan, 0, &values, packed), -EINVAL);
    values = *layer;
    values.shift = 0;
    assert_int_equal(network_plan_pack(fixture.plan, 0, &values, packed), -EINVAL);
    values = *layer;
    values.stride[0]++;
    assert_int_equal(network_plan_pack(fixture.plan, 0, &values, packed), -EINVAL);
    values = *layer;
    values.weights = NETWORK_WEIGHTS_F32;
    values.weight_f32 = &no_number;
    assert_int_equal(network_plan_pack(fixture.plan, 0, &values, packed), -EINVAL);
    assert_int_equal(network_plan_pack(fixture.plan, 99, layer, packed), -EINVAL);
    check(&fixture);
    free(weights);
    free(packed);
    tear_down(&fixture);
}

static void test_generation_is_a_number(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up(&fixture, 3, 0);
    assert_int_equal(network_plan_generation(fixture.plan), 0);
    network_plan_publish(fixture.plan, 17);
    assert_int_equal(network_plan_generation(fixture.plan), 17);
    check(&fixture);
    tear_down(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_swaps),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_generation_is_a_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
