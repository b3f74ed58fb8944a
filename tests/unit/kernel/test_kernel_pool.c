/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Every pooling kernel and the sum of two maps against their definitions: random and extreme data,
 * odd shapes, windows up to the largest, buffers at inaccessible pages, the space between the rows
 * compared.
 */
#include <stdio.h>
#include <string.h>

#include "tests/unit/kernel/kernel_test.h"

static struct kernel_pool random_pool(void)
{
    struct kernel_pool pool = {
        .channels = random_below(3) ? 1 + random_below(140) : 32 * (1 + random_below(4)),
        .window_h = 1 + random_below(4),
        .window_w = 1 + random_below(4),
        .stride_y = 1 + random_below(3),
        .stride_x = 1 + random_below(3),
        .out_h = 1 + random_below(5),
        .out_w = 1 + random_below(5),
    };

    if (random_below(3) == 0) {
        pool.window_h = pool.window_w = pool.stride_y = pool.stride_x = 2;
    }
    return pool;
}

static void set_rows(struct kernel_pool *pool)
{
    const size_t columns = (size_t)(pool->out_w - 1) * pool->stride_x + pool->window_w;

    pool->in_row = columns * pool->channels + random_below(4);
    pool->out_row = (size_t)pool->out_w * pool->channels + random_below(40);
}

static size_t in_values(const struct kernel_pool *pool)
{
    const size_t rows = (size_t)(pool->out_h - 1) * pool->stride_y + pool->window_h;
    const size_t columns = (size_t)(pool->out_w - 1) * pool->stride_x + pool->window_w;

    return (rows - 1) * pool->in_row + columns * pool->channels;
}

static size_t out_values(const struct kernel_pool *pool)
{
    return (pool->out_h - 1) * pool->out_row + (size_t)pool->out_w * pool->channels;
}

static uint8_t naive(const struct kernel_pool *pool, const uint8_t *corner, int mean)
{
    const uint64_t count = (uint64_t)pool->window_h * pool->window_w;
    uint64_t sum = 0;
    uint8_t best = 0;

    for (uint32_t i = 0; i < pool->window_h; i++) {
        for (uint32_t j = 0; j < pool->window_w; j++) {
            const uint8_t value = corner[i * pool->in_row + (size_t)j * pool->channels];

            sum += value;
            best = value > best ? value : best;
        }
    }
    return mean ? (uint8_t)((2 * sum + count) / (2 * count)) : best;
}

/* most: the largest value in the input. */
static void check_u7(const struct kernel_pool *pool, uint32_t most)
{
    const int at_end = (int)random_below(2);
    struct kernel_table table[MASKS];
    struct guarded in, out, expected;

    tables(table);
    guarded_init(&in, in_values(pool), 1, at_end);
    guarded_init(&out, out_values(pool), 1, at_end);
    guarded_init(&expected, out_values(pool), 1, 0);
    for (size_t i = 0; i < in.bytes; i++) {
        in.start[i] = (uint8_t)(most - (random_below(2) ? random_below(most + 1) : 0));
    }
    for (int mean = 0; mean < 2; mean++) {
        memset(expected.start, 0xa5, expected.bytes);
        for (uint32_t y = 0; y < pool->out_h; y++) {
            for (uint32_t i = 0; i < pool->out_w * pool->channels; i++) {
                const size_t at = y * pool->stride_y * pool->in_row +
                                  (size_t)(i / pool->channels) * pool->stride_x * pool->channels +
                                  i % pool->channels;
                expected.start[y * pool->out_row + i] = naive(pool, in.start + at, mean);
            }
        }
        for (uint32_t m = 0; m < MASKS; m++) {
            memset(out.start, 0xa5, out.bytes);
            (mean ? table[m].pool.mean_u7 : table[m].pool.max_u7)(pool, in.start, out.start);
            if (memcmp(out.start, expected.start, out.bytes) != 0) {
                fail_msg("mask %s, mean %d: channels %u, window %ux%u, stride %ux%u, out %ux%u",
                         masks[m], mean, pool->channels, pool->window_h, pool->window_w,
                         pool->stride_y, pool->stride_x, pool->out_h, pool->out_w);
            }
        }
    }
    guarded_finish(&in);
    guarded_finish(&out);
    guarded_finish(&expected);
}

static void test_pool_u7(void **state)
{
    static const struct kernel_pool large[] = {
        {.channels = 1, .window_h = 1024, .window_w = 1024, .out_h = 1, .out_w = 1},
        {.channels = 9, .window_h = 300, .window_w = 300, .out_h = 1, .out_w = 1},
        {.channels = 33, .window_h = 23, .window_w = 23, .out_h = 1, .out_w = 2},
        {.channels = 64, .window_h = 8, .window_w = 8, .out_h = 1, .out_w = 1},
        {.channels = 70, .window_h = 517, .window_w = 1, .out_h = 1, .out_w = 1},
    };

    (void)state;
    for (int i = 0; i < 300; i++) {
        struct kernel_pool pool = random_pool();

        set_rows(&pool);
        check_u7(&pool, random_below(3) ? 127 : random_below(128));
    }
    for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
        struct kernel_pool pool = large[i];

        pool.stride_y = pool.stride_x = 1;
        set_rows(&pool);
        check_u7(&pool, 127);
    }
}

/* Sums at which the mean just becomes the next one, or just does not, and the largest ones. */
static void check_mean_edges(uint32_t height, uint32_t width)
{
    const uint32_t channels = 24, count = height * width;
    const struct kernel_pool pool = {channels, height, width, 1, 1, 1, 1, (size_t)width * channels,
                                     channels};
    struct kernel_table table[MASKS];
    uint8_t *in = malloc((size_t)count * channels), out[24], expected[24];

    tables(table);
    assert_non_null(in);
    for (uint32_t c = 0; c < channels; c++) {
        const uint64_t edge = (uint64_t)(c + 104) * count - (count + 1) / 2;
        const uint64_t sum = c + 104 == 127 ? (uint64_t)127 * count : edge - c % 2;

        for (uint32_t i = 0; i < count; i++) {
            in[(size_t)i * channels + c] = (uint8_t)(sum / count + (i < sum % count));
        }
        expected[c] = (uint8_t)((2 * sum + count) / (2 * count));
    }
    for (uint32_t m = 0; m < MASKS; m++) {
        table[m].pool.mean_u7(&pool, in, out);
        assert_memory_equal(out, expected, channels);
    }
    free(in);
}

static void test_mean_edges(void **state)
{
    (void)state;
    for (uint32_t count = 1; count < 600; count++) {
        check_mean_edges(1, count);
    }
    check_mean_edges(1023, 1025);
    check_mean_edges(1024, 1024);
    check_mean_edges(300, 7);
}

static void check_binary(const struct kernel_pool *pool)
{
    const int at_end = (int)random_below(2);
    struct kernel_table table[MASKS];
    struct guarded in, out;

    tables(table);
    guarded_init(&in, in_values(pool) * 8, 8, at_end);
    guarded_init(&out, out_values(pool) * 8, 8, at_end);
    const uint64_t *from = (const uint64_t *)(const void *)in.start;
    for (size_t i = 0; i < in.bytes; i++) {
        in.start[i] = (uint8_t)(random_below(256) & random_below(256) & random_below(256));
    }
    for (uint32_t m = 0; m < MASKS; m++) {
        const uint64_t *to = (const uint64_t *)(const void *)out.start;

        memset(out.start, 0xa5, out.bytes);
        table[m].bits.max_binary(pool, from, (uint64_t *)(void *)out.start);
        for (size_t i = 0; i < out.bytes / 8; i++) {
            const size_t y = i / pool->out_row, x = i % pool->out_row / pool->channels;
            uint64_t any = 0;

            for (uint32_t tap = 0; tap < pool->window_h * pool->window_w; tap++) {
                any |= x < pool->out_w
                           ? from[(y * pool->stride_y + tap / pool->window_w) * pool->in_row +
                                  (x * pool->stride_x + tap % pool->window_w) * pool->channels +
                                  i % pool->out_row % pool->channels]
                           : 0xa5a5a5a5a5a5a5a5u;
            }
            assert_true(to[i] == any);
        }
    }
    guarded_finish(&in);
    guarded_finish(&out);
}

static void test_pool_binary(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        struct kernel_pool pool = random_pool();

        pool.channels = 1 + random_below(9);
        set_rows(&pool);
        check_binary(&pool);
    }
}

static void check_add(const struct kernel_add *add, uint8_t most)
{
    const int at_end = (int)random_below(2);
    struct kernel_table table[MASKS];
    struct guarded a, b, out;

    tables(table);
    guarded_init(&a, (add->height - 1) * add->a_row + add->width, 1, at_end);
    guarded_init(&b, (add->height - 1) * add->b_row + add->width, 1, at_end);
    guarded_init(&out, (add->height - 1) * add->out_row + add->width, 1, at_end);
    for (size_t i = 0; i < a.bytes; i++) {
        a.start[i] = (uint8_t)(most - random_below(most + 1u) * random_below(2));
    }
    for (size_t i = 0; i < b.bytes; i++) {
        b.start[i] = (uint8_t)(most - random_below(most + 1u) * random_below(2));
    }
    for (uint32_t m = 0; m < MASKS; m++) {
        memset(out.start, 0xa5, out.bytes);
        table[m].pool.add_u7(add, a.start, b.start, out.start);
        for (size_t i = 0; i < out.bytes; i++) {
            const size_t y = i / add->out_row, x = i % add->out_row;
            uint64_t value = 0xa5;

            if (x < add->width) {
                value = a.start[y * add->a_row + x] * (uint64_t)add->mult[0] +
                        b.start[y * add->b_row + x] * (uint64_t)add->mult[1];
                value = (value + (UINT64_C(1) << (add->shift - 1))) >> add->shift;
                value = value > 127 ? 127 : value;
            }
            if (out.start[i] != value) {
                fail_msg("mask %s: width %u, mult %u %u, shift %u: %u is not %u", masks[m],
                         add->width, add->mult[0], add->mult[1], add->shift, out.start[i],
                         (unsigned)value);
            }
        }
    }
    guarded_finish(&a);
    guarded_finish(&b);
    guarded_finish(&out);
}

static void test_add(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        struct kernel_add add = {
            .width = 1 + random_below(200),
            .height = 1 + random_below(4),
            .mult = {random_below(random_below(2) ? 65536 : 300), random_below(65536)},
            .shift = 1 + random_below(24),
        };

        if (random_below(4) == 0) {
            add.mult[0] = add.mult[1] = 65535;
        }
        add.a_row = add.width + random_below(3);
        add.b_row = add.width + random_below(3);
        add.out_row = add.width + random_below(3);
        check_add(&add, random_below(2) ? 127 : (uint8_t)random_below(128));
    }
}

static void test_add_float(void **state)
{
    const float a[] = {1.5f, -2, 0, 9, -0.25f}, b[] = {1, 1.5f, 0, 0, 4, 0.5f};
    const struct kernel_add add = {.width = 2, .height = 2, .a_row = 3, .b_row = 4, .out_row = 3};
    struct kernel_table table[MASKS];

    (void)state;
    tables(table);
    for (uint32_t i = 0; i < 2 * MASKS; i++) {
        const float expected[] = {2.5f, i % 2 ? 0 : -0.5f, 7, 13, 0.25f};
        struct kernel_add this = add;
        float out[5] = {0, 0, 7, 0, 0};

        this.relu = (int)(i % 2);
        table[i / 2].pool.add_f32(&this, a, b, out);
        assert_memory_equal(out, expected, sizeof(out));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool_u7),     cmocka_unit_test(test_mean_edges),
        cmocka_unit_test(test_pool_binary), cmocka_unit_test(test_add),
        cmocka_unit_test(test_add_float),
    };

    random_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
