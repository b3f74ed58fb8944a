/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Every logarithmic convolution kernel against the definition, bit for bit: all codings, random and
 * extreme data, odd shapes, buffers that end at an inaccessible page, the space around the results
 * compared; and LogNet's log-domain accumulator against the exact sum. OCELLUS_TEST_SEED repeats a
 * run.
 */
#include <math.h>
#include <string.h>

#include "kernel_test.h"

/* MOST and LEAST: the largest codes, and weights all of one sign; LARGE: of both signs, few zeros;
 * TURNS: long runs of one sign, so that partial sums go far beyond the whole; RARE: of the inputs
 * but few are small and not zero */
enum fill { FILL_RANDOM, FILL_MOST, FILL_LEAST, FILL_LARGE, FILL_TURNS, FILL_RARE, FILLS };

static int8_t weight_of(enum fill fill, int most, size_t i, size_t filter)
{
    switch (fill) {
    case FILL_MOST:
        return (int8_t)most;
    case FILL_LEAST:
        return (int8_t)-most;
    case FILL_LARGE:
        return (int8_t)(random_below(2) ? most - (int)random_below(2) : -most);
    case FILL_TURNS:
        return (int8_t)(i % filter < filter / 2 ? most : -most);
    default:
        return (int8_t)((int)random_below(2 * (uint32_t)most + 1) - most);
    }
}

static uint32_t most_in(const struct kernel_log *conv)
{
    return conv->in_bits == 0 ? 127 : (1u << conv->in_bits) - 1;
}

static int most_weight(const struct kernel_log *conv)
{
    return conv->weight_bits == 0 ? 127 : (1 << (conv->weight_bits - 1)) - 1;
}

static uint8_t input_of(enum fill fill, uint32_t most)
{
    switch (fill) {
    case FILL_RANDOM:
        return (uint8_t)random_below(most + 1);
    case FILL_LARGE:
        return (uint8_t)(most - random_below(2) - (most > 15) * random_below(2));
    case FILL_RARE:
        if (random_below(300) == 0) {
            return (uint8_t)random_below(most / 2 + 1);
        }
        return (uint8_t)(random_below(2) ? 0 : most - random_below(most / 2));
    default:
        return (uint8_t)most;
    }
}

/* The definition of log.h once more, in the plainest way. value: what a code stands for, where odd
 * half-steps are divided by sqrt2 and marked. */
static int64_t value_of(int code, uint32_t bits, uint32_t root, int *ret_odd)
{
    const int size = abs(code);

    *ret_odd = 0;
    if (bits == 0 || code == 0) {
        return code;
    }
    *ret_odd = root && (size - 1) % 2 == 1;
    return (code < 0 ? -1 : 1) * (INT64_C(1) << (root ? (size - 1) / 2 : size - 1));
}

static int64_t naive_sum(const struct kernel_log *conv, const int8_t *weights, const uint8_t *in,
                         uint32_t x, uint32_t y, uint32_t o)
{
    int64_t even = 0, odd = 0;

    for (uint32_t ky = 0; ky < conv->kernel_h; ky++) {
        for (uint32_t kx = 0; kx < conv->kernel_w; kx++) {
            for (uint32_t c = 0; c < conv->in_c; c++) {
                size_t row = y * conv->stride_y + ky, column = x * conv->stride_x + kx;
                size_t tap = ((o * conv->kernel_h + ky) * conv->kernel_w + kx) * conv->in_c + c;
                int odd_a, odd_b;
                int64_t a = value_of(in[row * conv->in_row + column * conv->in_c + c],
                                     conv->in_bits, conv->in_root, &odd_a);
                int64_t b = value_of(weights[tap], conv->weight_bits, conv->weight_root, &odd_b);
                if (odd_a + odd_b == 1) {
                    odd += a * b;
                } else {
                    even += a * b * (odd_a ? 2 : 1);
                }
            }
        }
    }
    return conv->in_root || conv->weight_root ? 128 * even + 181 * odd : even;
}

static int64_t naive(const struct kernel_log *conv, const int8_t *weights, const uint8_t *in,
                     uint32_t x, uint32_t y, uint32_t o)
{
    int64_t best = INT64_MIN;

    for (uint32_t py = 0; py < conv->pool; py++) {
        for (uint32_t px = 0; px < conv->pool; px++) {
            int64_t sum = naive_sum(conv, weights, in, x * conv->pool + px, y * conv->pool + py, o);
            best = sum > best ? sum : best;
        }
    }
    return best;
}

struct shape {
    uint32_t in_c, kernel_h, kernel_w, stride, out_w, out_h, out_c, pool;
};

static const struct shape shapes[] = {
    {6, 3, 3, 1, 6, 6, 32, 2},   {32, 3, 3, 1, 4, 4, 64, 2},  {1, 1, 1, 1, 1, 1, 1, 1},
    {2048, 1, 1, 1, 1, 1, 5, 1}, {3, 5, 3, 2, 7, 5, 17, 1},   {2, 2, 2, 1, 9, 9, 33, 1},
    {16, 2, 2, 1, 5, 7, 65, 1},  {5, 1, 7, 3, 5, 1, 48, 2},   {256, 2, 2, 1, 3, 1, 70, 1},
    {7, 3, 3, 1, 1, 5, 15, 2},   {512, 3, 3, 1, 1, 2, 16, 1}, {4, 1, 1, 1, 3, 2, 100, 2},
};

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

/* Around results that occur, and beyond all that can. */
static void draw_thresholds(const struct kernel_log *conv, const int64_t *sums, int64_t *threshold)
{
    const uint32_t results = conv->out_w * conv->out_h;

    for (uint32_t o = 0; o < conv->out_c && conv->levels > 0; o++, threshold += conv->levels) {
        for (uint32_t i = 0; i < conv->levels; i++) {
            threshold[i] =
                sums[(size_t)random_below(results) * conv->out_c + o] + (int)random_below(3) - 1;
        }
        switch (random_below(4)) {
        case 0:
            threshold[0] = INT64_MIN;
            break;
        case 1:
            threshold[0] = INT64_MAX;
            break;
        case 2:
            threshold[0] = INT32_MAX + (int64_t)random_below(3) - 1;
            break;
        default:
            break;
        }
        qsort(threshold, conv->levels, sizeof(*threshold), by_value);
    }
}

struct data {
    struct guarded in;
    int8_t *weights;
    int64_t *sums, *threshold; /* sums: [out_h][out_w][out_c], by the definition */
};

static void *need(size_t bytes)
{
    void *memory = malloc(bytes + 1);

    assert_non_null(memory);
    return memory;
}

static void data_init(struct data *data, struct kernel_log *conv, enum fill fill)
{
    const uint32_t columns = (conv->out_w * conv->pool - 1) * conv->stride_x + conv->kernel_w;
    const uint32_t rows = (conv->out_h * conv->pool - 1) * conv->stride_y + conv->kernel_h;
    const size_t filter = (size_t)conv->kernel_h * conv->kernel_w * conv->in_c;
    const uint32_t most = most_in(conv);

    conv->in_row = columns * conv->in_c + random_below(5);
    guarded_init(&data->in,
                 (size_t)(rows - 1) * conv->in_row + columns * conv->in_c + KERNEL_CONV_TAIL, 1, 1);
    for (size_t i = 0; i < data->in.bytes; i++) { /* also between the rows: any byte is possible */
        data->in.start[i] = (uint8_t)(i % conv->in_row < columns * conv->in_c ? 0 : 255);
    }
    for (size_t i = 0; i < (size_t)rows * columns * conv->in_c; i++) {
        size_t at = i / (columns * conv->in_c) * conv->in_row + i % (columns * conv->in_c);
        data->in.start[at] = input_of(fill, most);
    }
    data->weights = need(conv->out_c * filter);
    for (size_t i = 0; i < conv->out_c * filter; i++) {
        data->weights[i] = weight_of(fill, most_weight(conv), i, filter);
    }
    const size_t results = (size_t)conv->out_w * conv->out_h * conv->out_c;
    data->sums = need(results * sizeof(int64_t));
    for (size_t i = 0; i < results; i++) {
        size_t pixel = i / conv->out_c;
        data->sums[i] = naive(conv, data->weights, data->in.start, (uint32_t)(pixel % conv->out_w),
                              (uint32_t)(pixel / conv->out_w), (uint32_t)(i % conv->out_c));
    }
    data->threshold = need((size_t)conv->out_c * conv->levels * sizeof(int64_t));
    draw_thresholds(conv, data->sums, data->threshold);
}

static void data_finish(struct data *data)
{
    guarded_finish(&data->in);
    free(data->weights);
    free(data->sums);
    free(data->threshold);
}

static uint8_t expected_code(const struct kernel_log *conv, const int64_t *threshold, int64_t sum)
{
    uint32_t reached = 0;

    for (uint32_t i = 0; i < conv->levels; i++) {
        reached += sum >= threshold[i];
    }
    return conv->codes[reached];
}

static void check_one(const struct kernel_log_ops *ops, const struct kernel_log *conv,
                      const struct data *data)
{
    const size_t out_row = (size_t)conv->out_w * conv->out_c + random_below(9);
    const size_t element = conv->levels == 0 ? sizeof(int64_t) : 1;
    struct guarded packed, workspace, out;

    guarded_init(&packed, ops->packed_bytes(conv), 64, 1);
    guarded_init(&workspace, ops->workspace_bytes(conv), 64, 1);
    guarded_init(&out, conv->out_h * out_row * element, element, 1);
    memset(packed.start, 0x5a, packed.bytes);
    memset(workspace.start, 0x5a, workspace.bytes);
    memset(out.start, 0xa5, out.bytes);
    ops->pack(conv, data->weights, conv->levels == 0 ? NULL : data->threshold, packed.start);
    ops->run(conv, packed.start, data->in.start, workspace.start, out.start, out_row);
    for (size_t i = 0; i < conv->out_h * out_row; i++) {
        const size_t column = i % out_row, o = column % conv->out_c;
        if (column >= (size_t)conv->out_w * conv->out_c) { /* between the rows */
            assert_int_equal(out.start[i * element], 0xa5);
            continue;
        }
        const int64_t sum = data->sums[i / out_row * conv->out_w * conv->out_c + column];
        if (conv->levels == 0) {
            assert_int_equal(((int64_t *)(void *)out.start)[i], sum);
        } else {
            assert_int_equal(out.start[i],
                             expected_code(conv, data->threshold + o * conv->levels, sum));
        }
    }
    guarded_finish(&packed);
    guarded_finish(&workspace);
    guarded_finish(&out);
}

/* The size of the largest product, as a power of two that it does not exceed. */
static uint32_t product_bits(const struct kernel_log *conv)
{
    uint32_t bits = conv->in_root || conv->weight_root ? 8 : 0;

    bits += conv->in_bits == 0 ? 7 : ((1u << conv->in_bits) - 2) >> conv->in_root;
    bits += conv->weight_bits == 0 ? 7 : ((1u << (conv->weight_bits - 1)) - 2) >> conv->weight_root;
    return bits + (conv->in_root && conv->weight_root);
}

static struct kernel_log draw_conv(const struct kernel_log *coding, const struct shape *shape)
{
    static const uint32_t levels[] = {0, 1, 2, 3, 7, 15, 31, 5, 20};
    struct kernel_log conv = *coding;

    conv.in_c = shape->in_c;
    conv.kernel_h = shape->kernel_h;
    conv.kernel_w = shape->kernel_w;
    conv.stride_y = conv.stride_x = shape->stride;
    conv.out_w = shape->out_w;
    conv.out_h = shape->out_h;
    conv.out_c = shape->out_c;
    conv.pool = shape->pool;
    conv.levels = levels[random_below(sizeof(levels) / sizeof(levels[0]))];
    for (uint32_t i = 0; i <= conv.levels; i++) {
        conv.codes[i] =
            (uint8_t)(i == 0 ? random_below(3) : conv.codes[i - 1] + 1 + random_below(4));
    }
    while (conv.kernel_h * conv.kernel_w * conv.in_c > UINT64_C(1) << (62 - product_bits(&conv))) {
        if (conv.in_c > 1) {
            conv.in_c /= 2;
        } else {
            conv.kernel_h = conv.kernel_w = 1 + (conv.kernel_w > 2);
        }
    }
    return conv;
}

/* The tables of the masks that differ on this machine. */
static uint32_t tables_init(struct kernel_table *tables)
{
    static const char *const sets[] = {"c", "avx2", "neon", "all"};
    const uint32_t cpu = kernel_cpu_detect();
    uint32_t count = 0;

    for (size_t m = 0; m < sizeof(sets) / sizeof(sets[0]); m++) {
        uint32_t mask;

        assert_int_equal(kernel_cpu_mask_parse(sets[m], &mask), 0);
        if (count == 0 || (cpu & mask) > tables[count - 1].cpu) {
            kernel_table_init(&tables[count++], cpu & mask);
        }
    }
    return count;
}

static void check_coding(const struct kernel_table *tables, uint32_t count,
                         const struct kernel_log *coding)
{
    for (int fill = FILL_RANDOM; fill < FILLS; fill++) {
        const uint32_t first = random_below(sizeof(shapes) / sizeof(shapes[0]));
        for (uint32_t i = 0; i < 2; i++) {
            const uint32_t s = (first + i * 5) % (sizeof(shapes) / sizeof(shapes[0]));
            struct kernel_log conv = draw_conv(coding, &shapes[s]);
            struct data data;

            data_init(&data, &conv, (enum fill)fill);
            for (uint32_t t = 0; t < count; t++) {
                check_one(&tables[t].log, &conv, &data);
            }
            data_finish(&data);
        }
    }
}

static void test_every_mask_and_coding(void **state)
{
    struct kernel_table tables[4];
    const uint32_t count = tables_init(tables);

    (void)state;
    for (uint32_t in = 0; in < 8; in++) {
        for (uint32_t weight = 0; weight < 10; weight++) {
            const struct kernel_log coding = {
                .in_bits = in / 2 == 0 ? 0 : in / 2 + 2,
                .in_root = in % 2,
                .weight_bits = weight / 2 == 0 ? 0 : weight / 2 + 2,
                .weight_root = weight % 2,
            };
            if (coding.in_bits >= coding.in_root && coding.weight_bits >= coding.weight_root) {
                check_coding(tables, count, &coding);
            }
        }
    }
}

/* The code of |x| / 2^(FSR - 1), x normally distributed: twelve draws of [0, 1) added up. */
static uint32_t draw_log(uint32_t codes, uint32_t root)
{
    double x = -6;

    for (int i = 0; i < 12; i++) {
        x += random_below(1 << 20) * 0x1p-20;
    }
    const double steps = round(log2(fabs(x) / 4) * (root ? 2 : 1)) + codes;

    return steps < 0 ? 0 : steps > codes ? codes : (uint32_t)steps;
}

/* Sums of 256 positive terms as a network has them, normally distributed before they are coded; and
 * of as many negative ones. */
static void test_log_domain_is_near_the_exact_sum(void **state)
{
    (void)state;
    for (uint32_t run = 0; run < 600; run++) {
        struct kernel_log conv = {
            .in_c = 256,
            .in_row = 256,
            .in_bits = 3 + run % 3,
            .in_root = run / 3 % 2,
            .weight_bits = 3 + run / 6 % 2,
            .weight_root = run / 12 % 2,
            .kernel_h = 1,
            .kernel_w = 1,
            .stride_y = 1,
            .stride_x = 1,
            .out_w = 1,
            .out_h = 1,
            .out_c = 2,
            .pool = 1,
        };
        uint8_t in[256];
        int8_t weights[512];
        int64_t sums[2];

        for (uint32_t i = 0; i < 256; i++) {
            do {
                in[i] = (uint8_t)draw_log(most_in(&conv), conv.in_root);
                weights[i] = (int8_t)draw_log((uint32_t)most_weight(&conv), conv.weight_root);
            } while (in[i] == 0 || weights[i] == 0);
            weights[256 + i] = (int8_t)-weights[i];
        }
        kernel_log_domain_c(&conv, weights, in, sums, 2);
        const double exact = (double)naive_sum(&conv, weights, in, 0, 0, 0);
        const double error = log2((double)sums[0]) - log2(exact);
        if (!(fabs(error) <= 0.1)) {
            fail_msg("run %u: off by %f log2 units", run, error);
        }
        assert_int_equal(sums[1], -sums[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_mask_and_coding),
        cmocka_unit_test(test_log_domain_is_near_the_exact_sum),
    };

    random_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
