/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Products of bfloat16 and of signs: rounding, the same sums on every instruction set, exact
 * convolutions of coarse codes, and gradients close to those of float.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/kernel/cpu.h"
#include "engine/train/graph.h"
#include "tests/unit/train/toy.h"

#define BATCH 5u
#define SIDE  9u

static float value_of(uint32_t half)
{
    const uint32_t bits = half << 16;
    float x;

    memcpy(&x, &bits, sizeof(x));
    return x;
}

static uint32_t sets(const struct train_ops *ops[4])
{
    uint32_t n = 0;

    ops[n++] = &train_ops_c;
#if defined(__x86_64__)
    const uint32_t cpu = kernel_cpu_detect();

    if ((cpu & KERNEL_CPU_AVX2) != 0 && __builtin_cpu_supports("fma")) {
        ops[n++] = &train_ops_avx2;
    }
    if ((cpu & KERNEL_CPU_AVX512) != 0) {
        ops[n++] = &train_ops_avx512;
        ops[n] = train_ops_find(cpu);
        n += ops[n] != &train_ops_avx512;
    }
#endif
    return n;
}

static void test_train_pairs_round(void **state)
{
    /* exact; tie to even below; tie to even above; beyond a tie; into the next binade; -0 */
    static const float x[] = {-1.5f, 0x1.01p0f, 0x1.03p0f, 0x1.010002p0f, 0x1.ffp0f, -0.0f};
    static const float want[] = {-1.5f, 0x1p0f, 0x1.04p0f, 0x1.02p0f, 0x1p1f, -0.0f};
    const struct train_ops *ops[4];
    uint32_t low[6], next[3];

    (void)state;
    for (uint32_t s = sets(ops); s-- > 0;) {
        ops[s]->pair(6, x, want, low);
        ops[s]->pair_neighbours(3, x, next);
        for (uint32_t i = 0; i < 6; i++) {
            const float got = value_of(low[i] & 0xffffu), as_is = value_of(low[i] >> 16);

            assert_memory_equal(&got, &want[i], sizeof(got));
            assert_memory_equal(&as_is, &want[i], sizeof(got));
            assert_int_equal((next[i / 2] >> (i % 2 * 16)) & 0xffffu, low[i] & 0xffffu);
        }
    }
}

/* Rows 1 .. 11 and columns 1 .. 70: every tile and every tail, beside plain loops. */
static void test_train_pairs_product(void **state)
{
    enum { ROWS = 11, COLUMNS = 70, TERMS = 6 };
    static float xa[ROWS * TERMS * 2], xb[2][TERMS * COLUMNS], c[ROWS * COLUMNS];
    static uint32_t a[ROWS * TERMS], b[TERMS * COLUMNS];
    const struct train_ops *ops[4];

    (void)state;
    for (uint32_t s = sets(ops); s-- > 0;) {
        for (uint32_t n = 1; n <= COLUMNS; n++) {
            const uint32_t rows = 1 + n % ROWS;

            for (uint32_t i = 0; i < LENGTH(xa); i++) {
                xa[i] = (float)(train_random(n, 1, i) >> 56) - 128.0f;
            }
            for (uint32_t i = 0; i < TERMS * COLUMNS; i++) {
                xb[0][i] = (float)(train_random(n, 2, i) >> 56) - 128.0f;
                xb[1][i] = (float)(train_random(n, 3, i) >> 56) - 128.0f;
            }
            ops[s]->pair_neighbours(ROWS * TERMS, xa, a);
            ops[s]->pair(TERMS * COLUMNS, xb[0], xb[1], b);
            for (uint32_t i = 0; i < LENGTH(c); i++) {
                c[i] = 1.0f;
            }
            ops[s]->product_pairs(&(struct train_product){
                .a = (const float *)a,
                .a_row = TERMS,
                .a_inner = 1,
                .b = (const float *)b,
                .b_inner = COLUMNS,
                .c = c,
                .c_row = COLUMNS,
                .lines = 1,
                .rows = rows,
                .columns = n,
                .outer = 1,
                .inner = TERMS,
                .accumulate = true,
                .pairs = true,
            });
            for (uint32_t i = 0; i < ROWS; i++) {
                for (uint32_t j = 0; j < COLUMNS; j++) {
                    float want = 1.0f;

                    for (uint32_t k = 0; i < rows && j < n && k < 2 * TERMS; k++) {
                        want += xa[i * 2 * TERMS + k] * xb[k % 2][k / 2 * COLUMNS + j];
                    }
                    assert_true(c[i * COLUMNS + j] == want);
                }
            }
        }
    }
}

/* The same sizes for signs. */
static void test_train_pairs_signs(void **state)
{
    enum { ROWS = 11, COLUMNS = 70, WORDS = 5, TERMS = 32 * WORDS };
    static float xa[ROWS * TERMS], xb[COLUMNS * TERMS], c[ROWS * COLUMNS];
    static uint32_t a[ROWS * WORDS], b[WORDS * COLUMNS];
    const struct train_ops *ops[4];

    (void)state;
    for (uint32_t i = 0; i < LENGTH(xa); i++) {
        xa[i] = (train_random(3, 1, i) >> 63) != 0 ? 1.0f : -1.0f;
    }
    for (uint32_t i = 0; i < LENGTH(xb); i++) {
        xb[i] = (train_random(3, 2, i) >> 63) != 0 ? 1.0f : -1.0f;
    }
    for (uint32_t s = sets(ops); s-- > 0;) {
        ops[s]->signs(LENGTH(a), 1, xa, a);
        for (uint32_t k = 0; k < WORDS; k++) {
            for (uint32_t j = 0; j < COLUMNS; j++) { /* xb is [terms][columns] */
                ops[s]->signs(1, COLUMNS, xb + k * 32 * COLUMNS + j, b + k * COLUMNS + j);
            }
        }
        for (uint32_t n = 1; n <= COLUMNS; n++) {
            const uint32_t rows = 1 + n % ROWS;

            memset(c, 0, sizeof(c));
            ops[s]->product_signs(&(struct train_product){
                .a = (const float *)a,
                .a_row = WORDS,
                .a_inner = 1,
                .b = (const float *)b,
                .b_inner = COLUMNS,
                .c = c,
                .c_row = COLUMNS,
                .lines = 1,
                .rows = rows,
                .columns = n,
                .outer = 1,
                .inner = WORDS,
                .signs = true,
            });
            for (uint32_t i = 0; i < ROWS; i++) {
                for (uint32_t j = 0; j < COLUMNS; j++) {
                    float want = 0.0f;

                    for (uint32_t k = 0; i < rows && j < n && k < TERMS; k++) {
                        want += xa[i * TERMS + k] * xb[k * COLUMNS + j];
                    }
                    assert_true(c[i * COLUMNS + j] == want);
                }
            }
        }
    }
}

/* A layer of 32 signs and more is counted; behind a layer that changes nothing in float it is
 * multiplied, with the same sums. */
static void test_train_pairs_signs_in_place(void **state)
{
    enum { IN = 4, SUMS = 2 };
    static float image[SIDE * SIDE * IN];
    struct train_layer two[3] = {
        {.operation = TRAIN_CONV,
         .out = 64,
         .kernel = {2, 2},
         .stride = {1, 1},
         .activation = TRAIN_HARD_TANH,
         .weights = {.kind = TRAIN_BINARY},
         .output = {.kind = TRAIN_BINARY}},
        {.operation = TRAIN_CONV,
         .out = 35,
         .kernel = {3, 2},
         .stride = {2, 1},
         .weights = {.kind = TRAIN_BINARY}},
        {.operation = TRAIN_DENSE, .out = 2},
    };
    struct train_layer three[4] = {two[0], {.operation = TRAIN_IDENTITY}, two[1], two[2]};
    const struct train_settings settings = {.batch = 1, .cpu = kernel_cpu_detect()};
    const struct train_shape shape = {SIDE, SIDE, IN};
    struct train *counted = toy_create(shape, two, 3, &settings);
    struct train *multiplied = toy_create(shape, three, 4, &settings);
    struct train_view from, to;

    (void)state;
    for (uint32_t i = 0; i < LENGTH(image); i++) {
        image[i] = (float)(train_random(7, 0, i) % 3) - 1.0f;
    }
    assert_int_equal(train_view(counted, 1, TRAIN_WEIGHT, &from), 0);
    assert_int_equal(train_view(multiplied, 2, TRAIN_WEIGHT, &to), 0);
    memcpy(to.data, from.data, from.count * sizeof(float));
    train_touch(multiplied);
    train_forward(counted, image, 1, false, NULL);
    train_forward(multiplied, image, 1, false, NULL);
    assert_true(counted->nodes[SUMS].signed_only && !multiplied->nodes[SUMS + 1].signed_only);
    assert_memory_equal(counted->nodes[SUMS].sums, multiplied->nodes[SUMS + 1].sums,
                        counted->nodes[SUMS].mid_size * sizeof(float));
    train_destroy(counted);
    train_destroy(multiplied);
}

/* Kernels with and without borders, even and odd widths, an odd number of input channels that stays
 * in float, and one layer of stride 2. */
static const struct train_layer layers[] = {
    {.operation = TRAIN_CONV,
     .out = 6,
     .kernel = {2, 2},
     .stride = {1, 1},
     .norm = 1,
     .activation = TRAIN_HARD_TANH,
     .weights = {.kind = TRAIN_BINARY},
     .output = {.kind = TRAIN_BINARY}},
    {.operation = TRAIN_CONV,
     .out = 34,
     .kernel = {3, 3},
     .stride = {1, 1},
     .pad = {1, 1},
     .norm = 1,
     .activation = TRAIN_HARD_TANH,
     .weights = {.kind = TRAIN_BINARY},
     .output = {.kind = TRAIN_BINARY},
     .pool = {2, 2},
     .pool_stride = {2, 2}},
    {.operation = TRAIN_CONV,
     .out = 8,
     .kernel = {2, 2},
     .stride = {2, 2},
     .norm = 1,
     .activation = TRAIN_HARD_TANH,
     .weights = {.kind = TRAIN_TERNARY},
     .output = {.kind = TRAIN_BINARY}},
    {.operation = TRAIN_CONV,
     .out = 4,
     .kernel = {1, 2},
     .stride = {1, 1},
     .norm = 1,
     .activation = TRAIN_HARD_TANH,
     .weights = {.kind = TRAIN_BINARY},
     .output = {.kind = TRAIN_BINARY}},
    {.operation = TRAIN_DENSE, .out = 3, .bias = true},
};

static struct train *learn_once(uint32_t channels, bool bfloat16, struct train_result *result)
{
    static float images[BATCH * SIDE * SIDE * 4];
    static uint32_t labels[BATCH];
    const struct train_settings settings = {
        .batch = BATCH, .cpu = kernel_cpu_detect(), .seed = 5, .bfloat16 = bfloat16};
    struct train *train =
        toy_create((struct train_shape){SIDE, SIDE, channels}, layers, LENGTH(layers), &settings);

    for (uint32_t i = 0; i < BATCH * SIDE * SIDE * channels; i++) {
        images[i] = (float)(train_random(9, 0, i) % 3) - 1.0f;
    }
    for (uint32_t i = 0; i < BATCH; i++) {
        labels[i] = i % 3;
    }
    train_forward(train, images, BATCH, true, NULL);
    train_backward(train, TRAIN_SQUARED_HINGE, labels, NULL, result);
    return train;
}

static void compare(uint32_t channels)
{
    struct train_result results[2];
    struct train *whole = learn_once(channels, false, &results[0]);
    struct train *half = learn_once(channels, true, &results[1]);
    bool differs = false;

    assert_true(results[0].loss == results[1].loss); /* codes are exact, so is every sum */
    for (uint32_t i = 0; i < LENGTH(layers); i++) {
        double error = 0, size = 0;
        struct train_view a, b;

        assert_int_equal(train_view(whole, i, TRAIN_WEIGHT, &a), 0);
        assert_int_equal(train_view(half, i, TRAIN_WEIGHT, &b), 0);
        for (size_t k = 0; k < a.count; k++) {
            error += pow((double)a.gradient[k] - (double)b.gradient[k], 2);
            size += pow((double)a.gradient[k], 2);
        }
        assert_true(size > 0 && error < 1e-4 * size); /* each term is off by 2^-9 at most */
        differs |= error > 0;
    }
    assert_true(differs);
    train_destroy(whole);
    train_destroy(half);
}

static void test_train_pairs_gradients(void **state)
{
    (void)state;
    for (uint32_t channels = 2; channels <= 4; channels++) {
        compare(channels);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_train_pairs_round),
        cmocka_unit_test(test_train_pairs_product),
        cmocka_unit_test(test_train_pairs_gradients),
        cmocka_unit_test(test_train_pairs_signs),
        cmocka_unit_test(test_train_pairs_signs_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
