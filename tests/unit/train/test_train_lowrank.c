/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Low-rank accumulation: streams against exact sums, with the loops of every instruction set, and
 * what becomes of them: norms, eigenvalues, writes.
 */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/kernel/cpu.h"
#include "engine/train/lowrank.h"
#include "engine/train/svd.h"
#include "engine/train/train.h"

#define SIDE 48u

static double normal(uint64_t seed, uint64_t i)
{
    double sum = -6;

    for (uint64_t k = 0; k < 12; k++) {
        sum += (double)(train_random(seed, k, i) >> 11) * 0x1p-53;
    }
    return sum;
}

static const uint32_t cpus[] = {0, KERNEL_CPU_AVX2, KERNEL_CPU_ALL};
#define CPUS (sizeof(cpus) / sizeof(cpus[0]))

static const struct train_lowrank_ops *ops_of(size_t cpu)
{
    return train_lowrank_ops_find(cpus[cpu] & kernel_cpu_detect());
}

/* ---- streams ---- */

struct stream {
    struct train_lowrank *lowrank;
    struct train_lowrank_settings settings;
    float *dz, *a; /* [terms][SIDE] each; rows and columns of the settings in use */
    uint32_t terms;
    double *exact;
};

static void open_stream(struct stream *s, uint32_t terms, uint32_t inner)
{
    const uint32_t n = s->settings.rows, m = s->settings.columns;

    s->terms = terms;
    s->dz = calloc((size_t)terms * n, sizeof(float));
    s->a = calloc((size_t)terms * m, sizeof(float));
    s->exact = calloc((size_t)n * m, sizeof(double));
    assert_int_equal(train_lowrank_create(&s->settings, &s->lowrank), 0);
    for (uint32_t t = 0; t < terms; t++) { /* of a space of dimension `inner` */
        for (uint32_t k = 0; k < inner; k++) {
            const double by = normal(t, k), for_a = normal(t, 100 + k);
            for (uint32_t i = 0; i < n; i++) {
                s->dz[t * n + i] += (float)(by * normal(1000 + k, i));
            }
            for (uint32_t i = 0; i < m; i++) {
                s->a[t * m + i] += (float)(for_a * normal(2000 + k, i));
            }
        }
        for (uint32_t i = 0; i < n * m; i++) {
            s->exact[i] += (double)s->dz[t * n + i / m] * (double)s->a[t * m + i % m];
        }
    }
}

static void close_stream(struct stream *s)
{
    train_lowrank_destroy(s->lowrank);
    free(s->dz);
    free(s->a);
    free(s->exact);
}

static void add_all(struct stream *s)
{
    for (uint32_t t = 0; t < s->terms; t++) {
        train_lowrank_add(s->lowrank, s->dz + (size_t)t * s->settings.rows,
                          s->a + (size_t)t * s->settings.columns);
    }
}

static void sum_of(const struct stream *s, float *out)
{
    const uint32_t n = s->settings.rows, m = s->settings.columns, r = s->settings.rank;
    float *left = calloc(r * (n + m), sizeof(float));

    train_lowrank_factors(s->lowrank, left, left + r * n);
    train_lowrank_product(r, n, m, left, left + r * n, 1, out);
    free(left);
}

/* |sum - exact| / |exact|, in the Frobenius norm */
static double error_of(const struct stream *s, const double *sum)
{
    double error = 0, size = 0;

    for (uint32_t i = 0; i < s->settings.rows * s->settings.columns; i++) {
        error += (sum[i] - s->exact[i]) * (sum[i] - s->exact[i]);
        size += s->exact[i] * s->exact[i];
    }
    return sqrt(error / size);
}

static double error_now(const struct stream *s)
{
    float sum[SIDE * SIDE];
    double wide[SIDE * SIDE];

    sum_of(s, sum);
    for (uint32_t i = 0; i < s->settings.rows * s->settings.columns; i++) {
        wide[i] = (double)sum[i];
    }
    return error_of(s, wide);
}

static struct stream make(uint32_t n, uint32_t m, uint32_t rank, bool unbiased, uint32_t cpu)
{
    return (struct stream){.settings = {.rows = n,
                                        .columns = m,
                                        .rank = rank,
                                        .unbiased = unbiased,
                                        .discount = 1,
                                        .seed = 1,
                                        .cpu = cpu & kernel_cpu_detect()}};
}

/* Terms of a space of 3 dimensions: rank 3 and more gives their sum, biased or not. */
static void test_sum_is_exact_where_rank_suffices(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < CPUS * 2 * 8; i++) {
        const uint32_t rank = 3 + i % 8;
        struct stream s = make(37, 23, rank, i / 8 % 2, cpus[i / 16]);

        open_stream(&s, 40, 3);
        add_all(&s);
        assert_true(error_now(&s) < 2e-6);
        close_stream(&s);
    }
}

/* Rank 2 of 12 terms: one stream misses, the mean of many does not. */
static void test_mean_of_streams_is_the_sum(void **state)
{
    (void)state;
    for (uint32_t unbiased = 0; unbiased < 2; unbiased++) {
        struct stream s = make(7, 6, 2, unbiased, KERNEL_CPU_ALL);
        double mean[42] = {0};
        const uint32_t runs = 20000;

        open_stream(&s, 12, 12);
        for (uint32_t k = 0; k < runs; k++) {
            float sum[42];

            train_lowrank_reset(s.lowrank); /* signs go on */
            add_all(&s);
            sum_of(&s, sum);
            for (uint32_t i = 0; i < 42; i++) {
                mean[i] += (double)sum[i] / runs;
            }
        }
        if (unbiased != 0) {
            assert_true(error_of(&s, mean) < 0.02);
            assert_true(error_now(&s) > 0.1);
        } else {
            assert_true(error_of(&s, mean) > 0.1);
        }
        close_stream(&s);
    }
}

/* Rank r after r + 1 terms is the truncated decomposition: the error is the last singular value,
 * which is that of G, whatever the order of the terms. */
static void test_biased_is_the_truncated_decomposition(void **state)
{
    (void)state;
    for (uint32_t rank = 1; rank <= 10; rank++) {
        struct stream s = make(11, 11, rank, false, KERNEL_CPU_ALL);
        double u[121], v[121], values[11], size = 0;

        open_stream(&s, rank + 1, 11);
        add_all(&s);
        ops_of(0)->svd(11, s.exact, u, values, v);
        for (uint32_t i = 0; i < 11; i++) {
            size += values[i] * values[i];
        }
        assert_true(fabs(error_now(&s) - values[rank] / sqrt(size)) < 1e-5);
        close_stream(&s);
    }
}

static void test_kappa_skips_small_terms(void **state)
{
    const float big[4] = {100, 0, 0, 0}, small[4] = {0, 0.9f, 0, 0}, zero[4] = {0};

    (void)state;
    for (uint32_t with = 0; with < 2; with++) {
        struct stream s = make(4, 4, 2, true, KERNEL_CPU_ALL);
        struct train_lowrank_counters counters;

        s.settings.kappa = with != 0 ? 100 : 0;
        assert_int_equal(train_lowrank_create(&s.settings, &s.lowrank), 0);
        train_lowrank_add(s.lowrank, big, big);
        train_lowrank_add(s.lowrank, small, small);
        train_lowrank_add(s.lowrank, zero, big);
        train_lowrank_add(s.lowrank, big, zero);
        train_lowrank_get(s.lowrank, &counters);
        assert_int_equal(counters.terms, 4);
        assert_int_equal(counters.skipped, with);
        assert_int_equal(counters.rank, 2 - with);
        assert_true(counters.values[0] == 10000.0f);
        close_stream(&s);
    }
}

/* With `coarse` every element is a whole multiple of the largest over 32767. */
static void test_factors_of_16_bit(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < CPUS * 2; i++) {
        const uint32_t n = 37, rank = 4;
        struct stream s = make(n, n, rank, true, cpus[i / 2]);
        struct train_lowrank_counters counters;
        float left[148], right[148], largest = 0;
        uint32_t whole = 0;

        s.settings.coarse = i % 2;
        open_stream(&s, 30, 20);
        add_all(&s);
        train_lowrank_get(s.lowrank, &counters);
        train_lowrank_factors(s.lowrank, left, right);
        for (uint32_t k = 0; k < rank * n; k++) {
            left[k] /= sqrtf(counters.values[k / n]);
            largest = fmaxf(largest, fabsf(left[k]));
        }
        for (uint32_t k = 0; k < rank * n; k++) {
            const double step = (double)left[k] / (double)largest * 32767;
            whole += fabs(step - round(step)) < 0.02;
        }
        if (s.settings.coarse) {
            assert_int_equal(whole, rank * n);
        } else {
            assert_true(whole < rank * n / 4);
        }
        close_stream(&s);
    }
}

/* Rows stay orthonormal over many terms. */
static void test_factors_stay_orthonormal(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < CPUS; i++) {
        const uint32_t n = 40, rank = 4;
        struct stream s = make(n, n, rank, true, cpus[i]);
        struct train_lowrank_counters counters;
        float left[160], right[160];

        s.settings.coarse = true;
        open_stream(&s, 2000, 6);
        add_all(&s);
        train_lowrank_get(s.lowrank, &counters);
        train_lowrank_factors(s.lowrank, left, right);
        for (uint32_t j = 0; j < rank * rank; j++) {
            float x = 0;
            for (uint32_t k = 0; k < n; k++) {
                x += right[j / rank * n + k] * right[j % rank * n + k];
            }
            x /= sqrtf(counters.values[j / rank] * counters.values[j % rank]);
            assert_true(fabsf(x - (float)(j / rank == j % rank)) < 0.03f); /* 16 bit */
        }
        close_stream(&s);
    }
}

/* A window of a map is the same term as its copy. */
static void test_windows(void **state)
{
    struct stream s = make(5, 12, 3, true, KERNEL_CPU_ALL), t = s;
    float map[4 * 20], copy[12], dz[5], out[2][60];

    (void)state;
    assert_int_equal(train_lowrank_create(&s.settings, &s.lowrank), 0);
    assert_int_equal(train_lowrank_create(&t.settings, &t.lowrank), 0);
    for (uint32_t i = 0; i < 80; i++) {
        map[i] = (float)normal(3, i);
    }
    for (uint32_t k = 0; k < 10; k++) {
        for (uint32_t i = 0; i < 5; i++) {
            dz[i] = (float)normal(4, k * 5 + i);
        }
        for (uint32_t i = 0; i < 12; i++) {
            copy[i] = map[i / 4 * 20 + k + i % 4];
        }
        train_lowrank_add_window(s.lowrank, dz, map + k, 3, 20);
        train_lowrank_add(t.lowrank, dz, copy);
    }
    sum_of(&s, out[0]);
    sum_of(&t, out[1]);
    assert_memory_equal(out[0], out[1], sizeof(out[0]));
    train_lowrank_destroy(s.lowrank);
    train_lowrank_destroy(t.lowrank);
}

/* Saved and restored in another, an accumulator goes on with the same bytes. */
static void test_save_and_restore(void **state)
{
    struct stream s = make(20, 30, 4, true, KERNEL_CPU_ALL);
    struct train_lowrank *other;
    float first[600], second[600];
    void *copy;

    (void)state;
    open_stream(&s, 25, 25);
    add_all(&s);
    copy = malloc(train_lowrank_state_bytes(s.lowrank));
    train_lowrank_save(s.lowrank, copy);
    add_all(&s);
    sum_of(&s, first);
    assert_int_equal(train_lowrank_create(&s.settings, &other), 0);
    train_lowrank_destroy(s.lowrank);
    s.lowrank = other;
    train_lowrank_restore(s.lowrank, copy);
    add_all(&s);
    sum_of(&s, second);
    assert_memory_equal(first, second, sizeof(first));
    free(copy);
    close_stream(&s);
}

static void test_batches(void **state)
{
    struct stream s = make(4, 4, 2, false, KERNEL_CPU_ALL);
    const float x[4] = {1, 2, 3, 4};
    struct train_lowrank_counters counters;

    (void)state;
    s.settings.discount = 0.5f;
    assert_int_equal(train_lowrank_create(&s.settings, &s.lowrank), 0);
    train_lowrank_add(s.lowrank, x, x);
    train_lowrank_count(s.lowrank, 10);
    train_lowrank_keep(s.lowrank);
    train_lowrank_count(s.lowrank, 10);
    train_lowrank_get(s.lowrank, &counters);
    assert_true(counters.batch == 15 && fabsf(counters.values[0] - 15) < 1e-4f);
    train_lowrank_reset(s.lowrank);
    train_lowrank_get(s.lowrank, &counters);
    assert_true(counters.batch == 0 && counters.rank == 0 && counters.terms == 1);
    close_stream(&s);
}

static void test_settings_are_checked(void **state)
{
    struct stream s = make(4, 4, 2, false, 0);

    (void)state;
    for (uint32_t i = 0; i < 8; i++) {
        struct train_lowrank_settings bad = s.settings;

        bad.rows = i == 0 ? 0 : i == 1 ? TRAIN_LOWRANK_SIDE + 1 : bad.rows;
        bad.columns = i == 2 ? 0 : bad.columns;
        bad.rank = i == 3 ? 0 : i == 4 ? TRAIN_LOWRANK_MAX + 1 : bad.rank;
        bad.kappa = i == 5 ? NAN : bad.kappa;
        bad.discount = i == 6 ? 0 : i == 7 ? 1.5f : bad.discount;
        assert_int_equal(train_lowrank_create(&bad, &s.lowrank), -EINVAL);
    }
}

/* ---- scales and writes ---- */

/* The authors' formula in double. */
static void test_max_norm(void **state)
{
    struct train_max_norm norm = {0};
    double mv = 1e-4;

    (void)state;
    for (uint32_t k = 1; k < 3000; k++) {
        float v[37];
        double x = 0;

        for (uint32_t i = 0; i < 37; i++) {
            v[i] = (float)(normal(k, i) / (1 + k % 7));
            x = fmax(x, fabs((double)v[i]));
        }
        x += 1e-4;
        mv = 0.999 * mv + 0.001 * x;
        x = fmax(x, mv / (1 - pow(0.999, k)));
        assert_true(fabs((double)train_max_norm(&norm, 37, v) - x) < 1e-3 * x);
    }
}

static void test_nlms(void **state)
{
    const float a[11] = {1, -2, 3, 0, 0, 0, 0, 1, 0, 0, 1};

    (void)state;
    assert_true(fabsf(train_nlms(11, a, 1) - 1.0f / 17) < 1e-7f);
}

/* Inputs of known autocorrelation: two axes of variance 9 and 1, hidden by a rotation. */
static void test_lambda(void **state)
{
    struct train_lambda lambda;
    float v[2], y[2];

    (void)state;
    train_lambda_init(&lambda, 2, 100, v, y);
    for (uint32_t i = 0; i < 20000; i++) {
        const double s = 3 * normal(1, i), t = normal(2, i);
        const float a[2] = {(float)(0.6 * s - 0.8 * t), (float)(0.8 * s + 0.6 * t)};

        assert_true((lambda.value > 0) == (i >= 100));
        train_lambda_add(&lambda, a);
    }
    assert_int_equal(lambda.blocks, 200);
    assert_true(fabsf(lambda.value - 9) < 1.5f);
    assert_true(fabsf(fabsf(v[0]) - 0.6f) < 0.1f);
}

static void test_cells(void **state)
{
    int8_t codes[6] = {0, 126, -126, 5, 127, -127};
    uint32_t writes[6] = {0};
    const int32_t steps[6] = {0, -5, INT32_MAX, 2, INT32_MIN, 1};
    const int8_t after[6] = {0, 127, -127, 3, 127, -127};
    const struct train_cells cells = {codes, writes, 6, -127, 127};

    (void)state;
    assert_int_equal(train_cells_step(&cells, 0, steps, 6, false), 3);
    assert_int_equal(codes[1], 126);
    assert_int_equal(train_cells_step(&cells, 0, steps, 6, true), 3);
    assert_memory_equal(codes, after, 6);
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(writes[i], i >= 1 && i <= 3);
    }
    assert_int_equal(train_cells_step(&cells, 4, steps + 3, 1, true), 1);
    assert_int_equal(codes[4], 125);
}

static void test_writes_are_held_back(void **state)
{
    int8_t codes[12] = {0};
    uint32_t writes[12] = {0};
    const struct train_cells cells = {codes, writes, 12, -127, 127};
    const float left[6] = {1, 0, 0, 0, 1, 0}, right[8] = {2.5f, -0.4f, 0.5f, 0, 0, 0, -0.5f, 0.49f};
    struct train_written written;

    (void)state;
    train_lowrank_write(&cells, 2, 3, 4, left, right, 1, 0.25f, &written);
    assert_int_equal(written.changed, 3);
    assert_false(written.wrote);
    assert_int_equal(codes[0], 0);
    train_lowrank_write(&cells, 2, 3, 4, left, right, 1, 0.24f, &written);
    assert_true(written.wrote);
    assert_int_equal(codes[0], -3); /* halves go away from zero */
    assert_int_equal(codes[2], -1);
    assert_int_equal(codes[6], 1);
    for (uint32_t i = 0; i < 12; i++) {
        assert_int_equal(writes[i], i == 0 || i == 2 || i == 6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sum_is_exact_where_rank_suffices),
        cmocka_unit_test(test_mean_of_streams_is_the_sum),
        cmocka_unit_test(test_biased_is_the_truncated_decomposition),
        cmocka_unit_test(test_kappa_skips_small_terms),
        cmocka_unit_test(test_factors_of_16_bit),
        cmocka_unit_test(test_factors_stay_orthonormal),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_save_and_restore),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_settings_are_checked),
        cmocka_unit_test(test_max_norm),
        cmocka_unit_test(test_nlms),
        cmocka_unit_test(test_lambda),
        cmocka_unit_test(test_cells),
        cmocka_unit_test(test_writes_are_held_back),
    };

    return cmocka_run_group_tests_name("train_lowrank", tests, NULL, NULL);
}
