/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The small decomposition of low-rank sums, with the loops of every instruction set, and the
 * unbiased estimator over all signs.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/kernel/cpu.h"
#include "engine/train/lowrank.h"
#include "engine/train/svd.h"
#include "engine/train/train.h"

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

/* ---- decomposition ---- */

static void check_svd(const struct train_lowrank_ops *ops, uint32_t q, const double *a)
{
    double u[121], v[121], s[11], largest = 0;

    ops->svd(q, a, u, s, v);
    for (uint32_t k = 0; k < q; k++) {
        assert_true(s[k] >= 0 && (k == 0 || s[k] <= s[k - 1]));
        for (uint32_t j = 0; j < q; j++) {
            double uu = 0, vv = 0;
            for (uint32_t i = 0; i < q; i++) {
                uu += u[k * q + i] * u[j * q + i];
                vv += v[k * q + i] * v[j * q + i];
            }
            assert_true(fabs(uu - (j == k)) < 1e-9);
            assert_true(fabs(vv - (j == k)) < 1e-13);
        }
    }
    for (uint32_t i = 0; i < q * q; i++) {
        largest = fmax(largest, fabs(a[i]));
    }
    for (uint32_t i = 0; i < q; i++) {
        for (uint32_t j = 0; j < q; j++) {
            double x = 0;
            for (uint32_t k = 0; k < q; k++) {
                x += u[k * q + i] * s[k] * v[k * q + j];
            }
            assert_true(fabs(x - a[i * q + j]) <= 1e-13 * largest);
        }
    }
}

static void test_svd(void **state)
{
    (void)state;
    for (size_t cpu = 0; cpu < CPUS; cpu++) {
        const struct train_lowrank_ops *ops = ops_of(cpu);
        for (uint32_t trial = 0; trial < 300; trial++) {
            const uint32_t q = 1 + trial % TRAIN_SVD_MAX, kind = trial / TRAIN_SVD_MAX % 7;
            const double scale = kind == 5 ? 1e-170 : kind == 6 ? 1e170 : 1;
            double a[121] = {0};

            for (uint32_t i = 0; i < q; i++) {
                for (uint32_t j = 0; j < q; j++) {
                    const double x = normal(trial, i * q + j);
                    const double outer = normal(trial, 200 + i) * normal(trial, 300 + j);

                    a[i * q + j] = kind == 0   ? 0                /* nothing */
                                   : kind == 1 ? (i == j ? 3 : 0) /* one value, q times */
                                   : kind == 2 ? outer            /* rank 1 */
                                   : kind == 3 ? outer + (i == j && i < q / 2 ? 2 : 0)
                                               : x * scale;
                }
            }
            check_svd(ops, q, a);
        }
    }
}

/* A Householder reflection has q equal values and is full, unlike the diagonal one. */
static void test_svd_of_reflection(void **state)
{
    double a[121], v[11], norm = 0;

    (void)state;
    for (uint32_t i = 0; i < 11; i++) {
        v[i] = normal(5, i);
        norm += v[i] * v[i];
    }
    for (uint32_t i = 0; i < 121; i++) {
        a[i] = (i / 11 == i % 11) - 2 * v[i / 11] * v[i % 11] / norm;
    }
    for (size_t cpu = 0; cpu < CPUS; cpu++) {
        check_svd(ops_of(cpu), 11, a);
    }
}

/* ---- the unbiased estimator ---- */

static void check_mix(uint32_t q, const double *values)
{
    const uint32_t r = q - 1;
    double mean[121] = {0}, mix[110], new[10];

    for (uint32_t bits = 0; bits < 1u << q; bits++) {
        int8_t signs[11];

        for (uint32_t i = 0; i < q; i++) {
            signs[i] = (bits >> i & 1) != 0 ? 1 : -1;
        }
        train_lowrank_mix(q, values, signs, mix, new);
        for (uint32_t j = 0; j < r; j++) {
            assert_true(new[j] >= 0 && (j == 0 || new[j] <= new[j - 1] * (1 + 1e-15)));
            for (uint32_t k = 0; k < r; k++) {
                double x = 0;
                for (uint32_t i = 0; i < q; i++) {
                    x += mix[i * r + j] * mix[i * r + k];
                }
                assert_true(fabs(x - (j == k)) < 1e-12);
            }
        }
        for (uint32_t i = 0; i < q * q; i++) {
            for (uint32_t j = 0; j < r; j++) {
                mean[i] += mix[i / q * r + j] * new[j] * mix[i % q * r + j] / (1u << q);
            }
        }
    }
    for (uint32_t i = 0; i < q * q; i++) {
        assert_true(fabs(mean[i] - (i / q == i % q ? values[i / q] : 0)) < 1e-12 * (1 + values[0]));
    }
}

static void test_mix_over_all_signs(void **state)
{
    (void)state;
    for (uint32_t trial = 0; trial < 60; trial++) {
        const uint32_t q = 2 + trial % 10;
        double values[11];

        for (uint32_t i = 0; i < q; i++) {
            double x = fabs(normal(9, trial * 11 + i)) * (trial % 3 == 0 ? pow(10, -(double)i) : 1);
            uint32_t at = i;
            for (; at > 0 && values[at - 1] < x; at--) {
                values[at] = values[at - 1];
            }
            values[at] = x;
        }
        if (trial % 5 == 1) { /* some of them equal */
            values[q - 1] = values[q - 2];
        }
        if (trial % 5 == 2) { /* all of them */
            for (uint32_t i = 1; i < q; i++) {
                values[i] = values[0];
            }
        }
        if (trial % 5 == 3) {
            values[q - 1] = 0;
        }
        check_mix(q, values);
    }
}

/* Of all estimators of rank 2 for (2, 1, 1), that which keeps 2 and gives sqrt(2) * sqrt(2) to the
 * rest: the common value is the sum over the number of columns. */
static void test_mix_groups_the_small_values(void **state)
{
    const double values[3] = {4, 1, 1};
    const int8_t signs[3] = {1, 1, 1};
    double mix[6], new[2];

    (void)state;
    train_lowrank_mix(3, values, signs, mix, new);
    assert_true(new[0] == 4 && new[1] == 2);
    assert_true(fabs(mix[1 * 2 + 1] * mix[1 * 2 + 1] - 0.5) < 1e-15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_svd),
        cmocka_unit_test(test_svd_of_reflection),
        cmocka_unit_test(test_mix_over_all_signs),
        cmocka_unit_test(test_mix_groups_the_small_values),
    };

    return cmocka_run_group_tests_name("train_svd", tests, NULL, NULL);
}
