/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Random networks, written to a file, loaded, planned for every instruction set that this machine
 * has and run in an arena between guard pages, against a naive run.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/network/plan.h"
#include "example.h"
#include "network_test.h"

/* Instruction sets of this machine, portable C first. */
static size_t masks(uint32_t list[8])
{
    static const char *const levels[] = {"c", "avx2", "avx512", "amx", "neon", "dotprod"};
    const uint32_t cpu = kernel_cpu_detect();
    size_t count = 0;

    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        uint32_t mask;

        assert_int_equal(kernel_cpu_mask_parse(levels[i], &mask), 0);
        if (count == 0 || (mask & cpu) != list[count - 1]) {
            list[count++] = mask & cpu;
        }
    }
    return count;
}

static void run_once(const struct network_model *model, uint32_t cpu, const void *codes,
                     uint8_t poison, int32_t *scores)
{
    struct kernel_table kernels;
    struct network_plan *plan;

    kernel_table_init(&kernels, cpu);
    assert_int_equal(network_plan_create(model, 0, 1, &kernels, &plan), 0);
    struct guarded arena = guard(network_plan_arena_bytes(plan));
    struct guarded out = guard(network_model_labels(model) * sizeof *scores);

    assert_int_equal((uintptr_t)arena.bytes % 64, 0);
    memset(arena.bytes, poison, network_plan_arena_bytes(plan));
    network_run(plan, arena.bytes, codes, (int32_t *)(void *)out.bytes);
    memcpy(scores, out.bytes, network_model_labels(model) * sizeof *scores);
    release(out);
    release(arena);
    network_plan_destroy(plan);
}

static void check_scores(const struct example *example, enum example_kind kind, uint64_t seed,
                         const int32_t *scores, const int64_t *expect, const double *real)
{
    for (uint32_t i = 0; i < example->description.label_count; i++) {
        if (kind == EXAMPLE_S8 && scores[i] != expect[i]) {
            fail_msg("seed %lu, score %u is %d, should be %ld", (unsigned long)seed, i, scores[i],
                     (long)expect[i]);
        }
        if (kind != EXAMPLE_S8) {
            double held = fmin(fmax(real[i], -32768), 32767.99999);
            double error = fabs(scores[i] / 65536.0 - held);

            if (!(error < 1e-4 * fmax(1, fabs(held)))) {
                fail_msg("seed %lu, score %u is off by %g of %g", (unsigned long)seed, i, error,
                         held);
            }
        }
    }
}

static void compare_kind(enum example_kind kind, uint64_t seeds)
{
    uint32_t cpus[8], fused = 0;
    const size_t cpu_count = masks(cpus);

    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct example example;
        int64_t expect[16];
        double real[16];
        int32_t first[16], scores[16];

        example_create(&example, seed, kind);
        struct network_model *model = model_of(&example.description);
        void *codes = example_codes(&example);
        example_naive(&example, codes, expect, real);
        for (size_t i = 0; i < 2 * cpu_count; i++) {
            run_once(model, cpus[i / 2], codes, i % 2 == 0 ? 0xa5 : 0x7f, scores);
            if (i == 0) {
                memcpy(first, scores, sizeof first);
                check_scores(&example, kind, seed, scores, expect, real);
            }
            assert_memory_equal(scores, first, example.description.label_count * sizeof *scores);
        }
        for (uint32_t i = 1; i < example.point.layer_count; i++) {
            fused += example.layers[i].op == NETWORK_OP_MAXPOOL &&
                     example.layers[i - 1].op == NETWORK_OP_CONV;
        }
        free(codes);
        network_model_destroy(model);
        example_destroy(&example);
    }
    assert_true(fused > seeds / 20); /* the generator still makes what is worth testing */
}

static void test_packed(void **state)
{
    (void)state;
    compare_kind(EXAMPLE_S8, 400);
}

static void test_float(void **state)
{
    (void)state;
    compare_kind(EXAMPLE_F32, 150);
}

static void test_mixed(void **state)
{
    (void)state;
    compare_kind(EXAMPLE_MIXED, 150);
}

struct seen {
    const struct example *example;
    uint32_t calls, last;
};

static void observe(void *user, uint32_t layer, const struct network_activation *activation)
{
    struct seen *seen = user;
    const struct network_layer *layers = seen->example->layers;
    struct network_shape shape = network_input_shape(&seen->example->point.input);

    assert_true(seen->calls == 0 || layer > seen->last);
    for (uint32_t i = 0; i <= layer; i++) {
        assert_int_equal(network_layer_shape(&layers[i], shape, &shape, NULL), 0);
    }
    assert_memory_equal(&activation->shape, &shape, sizeof shape);
    seen->calls++;
    seen->last = layer;
    if (layer + 1 == seen->example->point.layer_count) {
        assert_int_equal(activation->type, NETWORK_TYPE_S32);
        return;
    }
    /* Reads every value: a sanitizer would tell of a wrong layout. */
    for (uint32_t y = 0; y < shape.height; y++) {
        for (uint32_t x = 0; x < shape.width * shape.channels; x++) {
            size_t at = y * activation->row + x;

            if (activation->type == NETWORK_TYPE_U8) {
                assert_true(((const uint8_t *)activation->data)[at] <= 127);
            } else {
                assert_true(isfinite(((const float *)activation->data)[at]));
            }
        }
    }
}

static void test_observer(void **state)
{
    struct kernel_table kernels;

    (void)state;
    kernel_table_init(&kernels, 0);
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct example example;
        struct network_plan *plan;
        struct seen seen = {.example = &example};
        int32_t scores[16], observed[16];

        example_create(&example, seed, (enum example_kind)(seed % 3));
        struct network_model *model = model_of(&example.description);
        void *codes = example_codes(&example);
        assert_int_equal(network_plan_create(model, 0, 1, &kernels, &plan), 0);
        void *arena = aligned_alloc(64, network_plan_arena_bytes(plan));
        assert_non_null(arena);
        network_run(plan, arena, codes, scores);
        network_run_observed(plan, arena, codes, observed, observe, &seen);
        assert_int_equal(seen.last + 1, example.point.layer_count);
        assert_memory_equal(scores, observed, example.description.label_count * sizeof *scores);
        if (seed % 3 == EXAMPLE_F32) {
            assert_int_equal(seen.calls, example.point.layer_count);
        }
        free(arena);
        free(codes);
        network_plan_destroy(plan);
        network_model_destroy(model);
        example_destroy(&example);
    }
}

/* Overflowing floats end at the ends; what is no number is the lowest. */
static void test_float_scores_saturate(void **state)
{
    static const float bias[3] = {0, 0, 0};
    static const float wide[2] = {3e38f, 3e38f}, zero[2] = {0, 0};
    static const float last[6] = {1, 1, -1, -1, 1, -1};
    static const char *const labels[] = {"a", "b", "c"};
    struct network_layer layers[2] = {
        {.op = NETWORK_OP_CONV,
         .weights = NETWORK_WEIGHTS_F32,
         .output = NETWORK_OUTPUT_F32,
         .kernel = {1, 1},
         .stride = {1, 1},
         .out = 2,
         .name = "a",
         .weight_f32 = wide,
         .bias_f32 = zero},
        {.op = NETWORK_OP_DENSE,
         .input = 1,
         .weights = NETWORK_WEIGHTS_F32,
         .output = NETWORK_OUTPUT_SCORES,
         .out = 3,
         .name = "b",
         .weight_f32 = last,
         .bias_f32 = bias},
    };
    struct example example = {
        .description = {.name = "x",
                        .labels = labels,
                        .label_count = 3,
                        .point_count = 1,
                        .points = &example.point},
        .point = {.name = "default",
                  .layers = layers,
                  .layer_count = 2,
                  .input = {.target = {1, 1, 1, 0},
                            .front = {.source = GRADIENT_SOURCE_SRGB,
                                      .planes = 1,
                                      .coding = GRADIENT_CODING_U7}}},
    };
    const uint8_t code = 127; /* 127 * 3e38 is infinite, and infinite minus infinite is no number */
    int32_t scores[3];

    (void)state;
    struct network_model *model = model_of(&example.description);
    run_once(model, 0, &code, 0, scores);
    assert_int_equal(scores[0], INT32_MAX);
    assert_int_equal(scores[1], INT32_MIN);
    assert_int_equal(scores[2], INT32_MIN);
    network_model_destroy(model);
}

static void test_argmax_and_probabilities(void **state)
{
    static const int32_t scores[4] = {-5, 65536, 65536, INT32_MIN};
    float shares[4];

    (void)state;
    assert_int_equal(network_argmax(scores, 4), 1);
    assert_int_equal(network_argmax(scores, 1), 0);
    network_probabilities(scores, 4, shares);
    assert_true(fabsf(shares[0] + shares[1] + shares[2] + shares[3] - 1) < 1e-6f);
    assert_true(shares[1] == shares[2] && shares[3] == 0);
    assert_true(fabs(shares[1] / shares[0] - exp(1 + 5 / 65536.0)) < 1e-4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packed),
        cmocka_unit_test(test_float),
        cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_observer),
        cmocka_unit_test(test_float_scores_saturate),
        cmocka_unit_test(test_argmax_and_probabilities),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
