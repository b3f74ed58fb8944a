/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Every kernel that turns byte codes into bit maps against its definition, and what maps and
 * convolutions make of codes together: ternary times ternary is the integer convolution, and
 * pooling bits by OR is pooling sums by maximum.
 */
#include <stdio.h>
#include <string.h>

#include "tests/unit/kernel/kernel_test.h"

static uint32_t words(uint32_t channels)
{
    return (channels + 63) / 64;
}

static void check_map(const struct kernel_bits_map *map, int binary)
{
    const size_t of_row = (size_t)map->width * words(map->channels);
    const int at_end = (int)random_below(2);
    struct kernel_table table[MASKS];
    struct guarded in, out[2];

    tables(table);
    guarded_init(&in, (map->height - 1) * map->in_row + (size_t)map->width * map->channels, 1,
                 at_end);
    for (size_t i = 0; i < in.bytes; i++) {
        const uint8_t near[] = {0, 127, map->zero, (uint8_t)(map->zero + 1) % 128};

        in.start[i] = (uint8_t)(random_below(2) ? near[random_below(4)] : random_below(128));
    }
    for (int half = 0; half < 2; half++) {
        guarded_init(&out[half], ((map->height - 1) * map->out_row + of_row) * 8, 8, at_end);
    }
    for (uint32_t m = 0; m < MASKS; m++) {
        uint64_t *to[2];

        for (int half = 0; half < 2; half++) {
            to[half] = (uint64_t *)(void *)out[half].start;
            memset(to[half], 0xa5, out[half].bytes);
        }
        table[m].bits.from_codes(map, in.start, to[0], binary ? NULL : to[1]);
        for (size_t i = 0; i < out[0].bytes * 8; i++) {
            const size_t y = i / 64 / map->out_row, word = i / 64 % map->out_row;
            const size_t x = word / words(map->channels);
            const size_t c = word % words(map->channels) * 64 + i % 64;
            uint64_t expected[] = {0xa5u >> i % 8 & 1, 0xa5u >> i % 8 & 1};

            if (word < of_row) {
                const uint8_t code = c < map->channels
                                         ? in.start[y * map->in_row + x * map->channels + c]
                                         : map->zero;
                expected[0] = code > map->zero;
                expected[1] = binary ? expected[1] : code != map->zero;
            }
            if ((to[0][i / 64] >> i % 64 & 1) != expected[0] ||
                (to[1][i / 64] >> i % 64 & 1) != expected[1]) {
                fail_msg("mask %s: width %u, channels %u, zero %u, binary %d", masks[m], map->width,
                         map->channels, map->zero, binary);
            }
        }
    }
    guarded_finish(&in);
    guarded_finish(&out[0]);
    guarded_finish(&out[1]);
}

static void test_from_codes(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 300; i++) {
        struct kernel_bits_map map = {
            .width = 1 + random_below(40),
            .height = 1 + random_below(3),
            .channels = i < 140 ? i + 1 : 1 + random_below(i % 2 ? 16 : 300),
            .zero = (uint8_t)(random_below(2) ? 1 : random_below(128)),
        };

        map.in_row = (size_t)map.width * map.channels + random_below(3);
        map.out_row = (size_t)map.width * words(map.channels) + random_below(3);
        check_map(&map, (int)random_below(2));
    }
}

/* Patches from codes are those that maps give. */
static void check_gather(const struct kernel_bits_gather *gather, uint8_t zero, int binary)
{
    const uint32_t rows = (gather->out_h - 1) * gather->stride_y + gather->kernel_h;
    const uint32_t columns = (gather->out_w - 1) * gather->stride_x + gather->kernel_w;
    const struct kernel_bits_map map = {columns, rows, gather->in_c, gather->in_row, columns, zero};
    const size_t patch = words(gather->kernel_h * gather->kernel_w * gather->in_c);
    const int at_end = (int)random_below(2);
    struct kernel_bits_gather of_words = *gather;
    struct guarded in, expected[2], out[2];
    struct kernel_table table[MASKS];

    tables(table);
    of_words.in_row = columns;
    guarded_init(&in, (rows - 1) * (size_t)gather->in_row + (size_t)columns * gather->in_c, 1,
                 at_end);
    for (size_t i = 0; i < in.bytes; i++) {
        in.start[i] = (uint8_t)(random_below(2) ? zero : random_below(128));
    }
    uint64_t *maps[] = {calloc((size_t)rows * columns, 8), calloc((size_t)rows * columns, 8)};
    assert_true(maps[0] != NULL && maps[1] != NULL);
    table[0].bits.from_codes(&map, in.start, maps[0], maps[1]);
    for (int half = 0; half < 2; half++) {
        guarded_init(&expected[half], gather->out_h * (size_t)gather->out_w * patch * 8, 8, at_end);
        guarded_init(&out[half], expected[half].bytes, 8, at_end);
        table[0].bits.gather(&of_words, maps[half], (uint64_t *)(void *)expected[half].start);
        free(maps[half]);
    }
    for (uint32_t m = 0; m < MASKS; m++) {
        memset(out[0].start, 0xa5, out[0].bytes);
        memset(out[1].start, 0xa5, out[1].bytes);
        table[m].bits.gather_codes(gather, zero, in.start, (uint64_t *)(void *)out[0].start,
                                   binary ? NULL : (uint64_t *)(void *)out[1].start);
        if (memcmp(out[0].start, expected[0].start, out[0].bytes) != 0 ||
            (!binary && memcmp(out[1].start, expected[1].start, out[1].bytes) != 0)) {
            fail_msg("mask %s: in_c %u, kernel %ux%u, stride %ux%u, out %ux%u", masks[m],
                     gather->in_c, gather->kernel_h, gather->kernel_w, gather->stride_y,
                     gather->stride_x, gather->out_h, gather->out_w);
        }
    }
    guarded_finish(&in);
    for (int half = 0; half < 2; half++) {
        guarded_finish(&expected[half]);
        guarded_finish(&out[half]);
    }
}

static void test_gather_codes(void **state)
{
    (void)state;
    for (int i = 0; i < 400; i++) {
        struct kernel_bits_gather gather = {
            .in_c = 1 + random_below(random_below(4) ? 7 : 63),
            .kernel_h = random_below(2) ? 3 : 1 + random_below(5),
            .kernel_w = 1 + random_below(4),
            .stride_y = random_below(2) ? 1 : 1 + random_below(3),
            .stride_x = random_below(2) ? 1 : 1 + random_below(3),
            .out_w = 1 + random_below(35),
            .out_h = 1 + random_below(5),
        };
        gather.in_row = ((gather.out_w - 1) * gather.stride_x + gather.kernel_w) * gather.in_c +
                        random_below(3);
        check_gather(&gather, (uint8_t)random_below(100), i % 4 == 0);
    }
}

enum { SIDE = 9, OUT = 8, IN_C = 70, OUT_C = 40, WORDS = 2 };

/* Codes 0..2 stand for -1..1. */
struct ternary {
    uint8_t in[SIDE * SIDE * IN_C], weights[OUT_C * 4 * IN_C];
    uint64_t in_bits[2][SIDE * SIDE * WORDS], weight_bits[2][OUT_C * 4 * WORDS];
    int32_t thresholds[OUT_C];
};

static void ternary_init(struct ternary *data, const struct kernel_bits_ops *ops)
{
    const struct kernel_bits_map in = {SIDE, SIDE, IN_C, (size_t)SIDE * IN_C, (size_t)SIDE * WORDS,
                                       1};
    const struct kernel_bits_map weights = {4, OUT_C, IN_C, (size_t)4 * IN_C, (size_t)4 * WORDS, 1};

    for (size_t i = 0; i < sizeof(data->in); i++) {
        data->in[i] = (uint8_t)random_below(3);
    }
    for (size_t i = 0; i < sizeof(data->weights); i++) {
        data->weights[i] = (uint8_t)random_below(3);
    }
    for (uint32_t o = 0; o < OUT_C; o++) {
        data->thresholds[o] = (int32_t)random_below(40) - 20;
    }
    ops->from_codes(&in, data->in, data->in_bits[0], data->in_bits[1]);
    ops->from_codes(&weights, data->weights, data->weight_bits[0], data->weight_bits[1]);
}

static void convolve(const struct ternary *data, const struct kernel_bits_ops *ops, int sums,
                     uint32_t pool, void *out)
{
    const struct kernel_bits_conv conv = {
        .in_c = IN_C,
        .in_row = SIDE * WORDS,
        .kernel_h = 2,
        .kernel_w = 2,
        .stride_y = 1,
        .stride_x = 1,
        .out_w = OUT / pool,
        .out_h = OUT / pool,
        .out_c = OUT_C,
        .pool = pool,
        .ternary_input = 1,
        .ternary_weights = 1,
        .sums = sums,
    };
    void *packed = aligned_alloc(64, (ops->packed_bytes(&conv) + 63) & ~(size_t)63);

    assert_non_null(packed);
    ops->pack(&conv, data->weight_bits[0], data->weight_bits[1], data->thresholds, packed);
    ops->run(&conv, packed, data->in_bits[0], data->in_bits[1], out,
             sums ? (size_t)conv.out_w * OUT_C : conv.out_w);
    free(packed);
}

static int32_t integer_sum(const struct ternary *data, uint32_t y, uint32_t x, uint32_t o)
{
    int32_t sum = 0;

    for (uint32_t tap = 0; tap < 4; tap++) {
        const uint8_t *pixel = data->in + ((y + tap / 2) * SIDE + x + tap % 2) * IN_C;

        for (uint32_t c = 0; c < IN_C; c++) {
            sum += (pixel[c] - 1) * (data->weights[(o * 4 + tap) * IN_C + c] - 1);
        }
    }
    return sum;
}

static void test_ternary_is_integer(void **state)
{
    static struct ternary data;
    static int32_t sums[OUT * OUT * OUT_C];
    struct kernel_table table[MASKS];

    (void)state;
    tables(table);
    for (uint32_t m = 0; m < MASKS; m++) {
        ternary_init(&data, &table[m].bits);
        convolve(&data, &table[m].bits, 1, 1, sums);
        for (uint32_t i = 0; i < OUT * OUT * OUT_C; i++) {
            assert_int_equal(sums[i],
                             integer_sum(&data, i / OUT_C / OUT, i / OUT_C % OUT, i % OUT_C));
        }
    }
}

static void test_or_is_maximum(void **state)
{
    static const struct kernel_pool pool = {1, 2, 2, 2, 2, OUT / 2, OUT / 2, OUT, OUT / 2};
    static int32_t sums[OUT * OUT * OUT_C / 4];
    static struct ternary data;
    struct kernel_table table[MASKS];

    (void)state;
    tables(table);
    for (uint32_t m = 0; m < MASKS; m++) {
        uint64_t bits[OUT * OUT], pooled[OUT * OUT / 4], fused[OUT * OUT / 4];

        ternary_init(&data, &table[m].bits);
        convolve(&data, &table[m].bits, 0, 1, bits);
        table[m].bits.max_binary(&pool, bits, pooled);
        convolve(&data, &table[m].bits, 0, 2, fused);
        convolve(&data, &table[m].bits, 1, 2, sums);
        for (uint32_t i = 0; i < OUT * OUT / 4 * OUT_C; i++) {
            const uint64_t bit = sums[i] >= data.thresholds[i % OUT_C];

            assert_true((pooled[i / OUT_C] >> i % OUT_C & 1) == bit);
        }
        assert_memory_equal(pooled, fused, sizeof(fused));
    }
}

static void test_fits(void **state)
{
    struct kernel_bits_conv conv = {.in_c = 16384, .kernel_h = 1, .kernel_w = 1};

    (void)state;
    assert_true(kernel_bits_fits(&conv));
    conv.ternary_weights = 1;
    assert_false(kernel_bits_fits(&conv));
    conv.in_c = 8192;
    assert_true(kernel_bits_fits(&conv));
    conv.kernel_w = 2;
    assert_false(kernel_bits_fits(&conv));
    conv.ternary_weights = 0;
    assert_true(kernel_bits_fits(&conv));
    conv.in_c++;
    assert_false(kernel_bits_fits(&conv));
    conv = (struct kernel_bits_conv){.in_c = UINT32_MAX, .kernel_h = UINT32_MAX};
    conv.kernel_w = UINT32_MAX;
    assert_false(kernel_bits_fits(&conv));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_codes),
        cmocka_unit_test(test_gather_codes),
        cmocka_unit_test(test_ternary_is_integer),
        cmocka_unit_test(test_or_is_maximum),
        cmocka_unit_test(test_fits),
    };

    random_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
