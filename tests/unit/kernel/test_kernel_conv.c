/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Every s8 convolution kernel against the definition, bit for bit: random and extreme data, odd
 * shapes, buffers that end at an inaccessible page, the space around the results compared.
 * OCELLUS_TEST_SEED repeats a run.
 */
#include <stdbool.h>
#include <string.h>

#include "engine/kernel/isa.h"
#include "engine/kernel/requantise.h"
#include "kernel_test.h"

KERNEL_CONV_DECLARE(evex);
KERNEL_CONV_DECLARE(amx_model);

enum fill { FILL_RANDOM, FILL_MOST, FILL_LEAST, FILL_SMALL, FILL_EDGE };

/* The four weights that meet in a 16-bit lane of two groups add up to 256, 257, ... 260, or minus
 * that: with codes of 127, 258 still fits 16 bits. `k` counts within a channel's weights. */
static int8_t edge_weight(size_t k)
{
    const size_t rank = k % 2 + k % 8 / 4 * 2;
    const int size = 64 + (rank < k / 8 % 5);

    return (int8_t)(k / 40 % 2 ? -size : size);
}

static int8_t random_weight(enum fill fill)
{
    switch (fill) {
    case FILL_MOST:
        return 127;
    case FILL_LEAST:
        return -127;
    case FILL_SMALL:
        return (int8_t)((int)random_below(41) - 20);
    default:
        return (int8_t)((int)random_below(255) - 127);
    }
}

/* The definition of conv.h once more, in the plainest way, for one output element. */
static int64_t naive(const struct kernel_conv *conv, const int8_t *weights, const int32_t *bias,
                     const uint8_t *in, uint32_t x, uint32_t y, uint32_t o)
{
    int64_t best = INT64_MIN;

    for (uint32_t py = 0; py < conv->pool; py++) {
        for (uint32_t px = 0; px < conv->pool; px++) {
            int64_t sum = bias[o];
            for (uint32_t ky = 0; ky < conv->kernel_h; ky++) {
                for (uint32_t kx = 0; kx < conv->kernel_w; kx++) {
                    for (uint32_t c = 0; c < conv->in_c; c++) {
                        size_t row = (y * conv->pool + py) * conv->stride_y + ky;
                        size_t column = (x * conv->pool + px) * conv->stride_x + kx;
                        sum +=
                            in[row * conv->in_row + column * conv->in_c + c] *
                            weights[((o * conv->kernel_h + ky) * conv->kernel_w + kx) * conv->in_c +
                                    c];
                    }
                }
            }
            best = sum > best ? sum : best;
        }
    }
    return best;
}

static int ascending(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return x < y ? -1 : x > y;
}

static int32_t held(int64_t value)
{
    return (int32_t)(value < INT32_MIN ? INT32_MIN : value > INT32_MAX ? INT32_MAX : value);
}

/* Thresholds of one channel around `sum`, one of its sums: it itself and its neighbours, the ends
 * of the type, numbers about 2^16 apart, anything. */
static void random_thresholds(int64_t sum, uint32_t levels, int32_t *threshold)
{
    const uint32_t kind = random_below(4);

    for (uint32_t i = 0; i < levels; i++) {
        int32_t near = held(sum + (int64_t)random_below(5) - 2);

        switch (kind) {
        case 0:
            threshold[i] = near;
            break;
        case 1:
            threshold[i] = (const int32_t[]){INT32_MIN, near, INT32_MAX}[random_below(3)];
            break;
        case 2:
            threshold[i] = i % 2 ? held((int64_t)near + 65534 - random_below(3)) : near;
            break;
        default:
            threshold[i] = held(sum + ((int64_t)random_below(400000) - 200000));
        }
    }
    qsort(threshold, levels, sizeof(*threshold), ascending);
}

static uint8_t code_of(const struct kernel_conv *conv, int64_t sum, const int32_t *threshold)
{
    uint32_t n = 0;

    while (n < conv->levels && sum >= threshold[n]) {
        n++;
    }
    return conv->codes[n];
}

struct shape {
    uint32_t in_c, kernel_h, kernel_w, stride, out_w, out_h, out_c, pool, in_max;
};

static const struct shape shapes[] = {
    {6, 3, 3, 1, 16, 16, 32, 2, 2},
    {32, 3, 3, 1, 8, 8, 64, 2, 127},
    {64, 3, 3, 1, 4, 4, 128, 2, 127},
    {1, 1, 1, 1, 1, 1, 1, 1, 127},
    {2048, 1, 1, 1, 1, 1, 10, 1, 127},
    {3, 5, 3, 2, 7, 5, 17, 1, 127},
    {2, 2, 2, 1, 29, 29, 33, 1, 1},
    {16, 2, 2, 1, 13, 13, 65, 1, 127},
    {5, 1, 7, 3, 5, 1, 48, 2, 6},
    {256, 2, 2, 1, 3, 5, 100, 1, 127},
    {7, 3, 3, 1, 1, 9, 15, 2, 127},
    {512, 3, 3, 1, 2, 2, 16, 1, 127},
    /* rows of the kernel just above and just below 64 bytes, maps just wider than 16 */
    {35, 3, 2, 1, 18, 3, 34, 1, 127},
    {20, 3, 3, 1, 9, 2, 33, 2, 127},
    /* codes so small that 16 bits hold the sum of 129 groups of four, but not of 130 */
    {516, 1, 1, 1, 3, 3, 16, 1, 1},
    {520, 1, 1, 1, 3, 3, 16, 1, 1},
};

/* One convolution with random numbers, everything that it reads and writes. */
struct sample {
    struct kernel_conv conv;
    struct guarded in, packed, out;
    size_t filter, out_row, element; /* weights of a channel; elements of a row; their bytes */
    int8_t *weights;
    int32_t *bias, *mult, *threshold;
};

static void *array(size_t count, size_t size)
{
    void *memory = malloc(count * size);

    assert_non_null(memory);
    return memory;
}

static void describe(struct sample *sample, const struct shape *shape,
                     enum kernel_conv_output output, uint32_t levels)
{
    struct kernel_conv *conv = &sample->conv;

    *conv = (struct kernel_conv){
        .in_c = shape->in_c,
        .in_max = shape->in_max,
        .kernel_h = shape->kernel_h,
        .kernel_w = shape->kernel_w,
        .stride_y = shape->stride,
        .stride_x = shape->stride,
        .out_w = shape->out_w,
        .out_h = shape->out_h,
        .out_c = shape->out_c,
        .pool = shape->pool,
        .preshift = random_below(3),
        .shift = 1 + random_below(12),
        .output = output,
        .levels = levels,
    };
    const uint32_t columns = (conv->out_w * conv->pool - 1) * conv->stride_x + conv->kernel_w;

    conv->in_row = columns * conv->in_c + random_below(5);
    for (uint32_t i = 0; i <= levels; i++) {
        conv->codes[i] = (uint8_t)(i * 16 + random_below(16));
    }
    sample->filter = (size_t)conv->kernel_h * conv->kernel_w * conv->in_c;
    sample->out_row = (size_t)conv->out_w * conv->out_c + random_below(9);
    sample->element = output == KERNEL_CONV_SUMS ? 4 : 1;
}

static void fill_in(struct sample *sample, enum fill fill)
{
    const struct kernel_conv *conv = &sample->conv;
    const uint32_t rows = (conv->out_h * conv->pool - 1) * conv->stride_y + conv->kernel_h;
    const bool most = fill == FILL_MOST || fill == FILL_LEAST || fill == FILL_EDGE;

    guarded_init(&sample->in, (size_t)rows * conv->in_row + KERNEL_CONV_TAIL, 1, 1);
    for (size_t i = 0; i < sample->in.bytes; i++) {
        sample->in.start[i] = (uint8_t)(most ? conv->in_max : random_below(conv->in_max + 1));
    }
    sample->weights = array(conv->out_c, sample->filter);
    for (size_t i = 0; i < conv->out_c * sample->filter; i++) {
        sample->weights[i] =
            fill == FILL_EDGE ? edge_weight(i % sample->filter) : random_weight(fill);
    }
    sample->bias = array(conv->out_c, sizeof(*sample->bias));
    sample->mult = array(conv->out_c, sizeof(*sample->mult));
    sample->threshold = array(conv->out_c * KERNEL_CONV_LEVELS_MAX, sizeof(*sample->threshold));
    for (uint32_t i = 0; i < conv->out_c; i++) {
        sample->bias[i] = (int32_t)random_below(20001) - 10000;
        sample->mult[i] = (int32_t)(1 + random_below(INT32_MAX));
    }
    for (uint32_t i = 0; i < conv->out_c; i++) {
        int64_t sum = naive(conv, sample->weights, sample->bias, sample->in.start,
                            random_below(conv->out_w), random_below(conv->out_h), i);
        random_thresholds(sum, conv->levels, sample->threshold + (size_t)i * conv->levels);
    }
}

static void run(struct sample *sample, const struct kernel_conv_ops *ops)
{
    const struct kernel_conv *conv = &sample->conv;
    const size_t out_bytes = conv->out_h * sample->out_row * sample->element;
    struct kernel_conv other = *conv; /* packed for other numbers of results, as conv.h allows */

    other.out_h = conv->out_h % 3 + 1;
    other.out_w = (conv->out_w + conv->out_h) % 3 + 1;
    guarded_init(&sample->packed, ops->packed_bytes(&other), 64, 1);
    ops->pack(&other, sample->weights, sample->bias,
              conv->output == KERNEL_CONV_U7 ? sample->mult : NULL,
              conv->output == KERNEL_CONV_CODES ? sample->threshold : NULL, sample->packed.start);
    guarded_init(&sample->out, out_bytes, sample->element, 1);
    memset(sample->out.start, 0xa5, out_bytes);
    ops->run(conv, sample->packed.start, sample->in.start, sample->out.start, sample->out_row);
}

/* Element `at` of the output is that of (x, y, o). */
static void check_element(const struct sample *sample, size_t at, uint32_t x, uint32_t y,
                          uint32_t o)
{
    const struct kernel_conv *conv = &sample->conv;
    const uint8_t *out = sample->out.start;
    const int64_t sum = naive(conv, sample->weights, sample->bias, sample->in.start, x, y, o);

    assert_true(sum >= INT32_MIN && sum <= INT32_MAX);
    if (conv->output == KERNEL_CONV_CODES) {
        assert_int_equal(out[at], code_of(conv, sum, sample->threshold + (size_t)o * conv->levels));
    } else if (conv->output == KERNEL_CONV_U7) {
        assert_int_equal(out[at], kernel_requantise_u7((int32_t)sum, sample->mult[o],
                                                       conv->preshift, conv->shift));
    } else {
        assert_int_equal(((const int32_t *)(const void *)out)[at], sum);
    }
}

static void check_one(const struct kernel_conv_ops *ops, const struct shape *shape, enum fill fill,
                      enum kernel_conv_output output, uint32_t levels)
{
    struct sample sample;
    const struct kernel_conv *conv = &sample.conv;

    describe(&sample, shape, output, levels);
    fill_in(&sample, fill);
    run(&sample, ops);
    for (uint32_t y = 0; y < conv->out_h; y++) {
        for (size_t i = 0; i < sample.out_row; i++) {
            const size_t at = y * sample.out_row + i;
            const uint32_t x = (uint32_t)(i / conv->out_c);

            if (x < conv->out_w) {
                check_element(&sample, at, x, y, (uint32_t)(i % conv->out_c));
            } else { /* between the rows */
                assert_int_equal(sample.out.start[at * sample.element], 0xa5);
            }
        }
    }
    guarded_finish(&sample.in);
    guarded_finish(&sample.packed);
    guarded_finish(&sample.out);
    free(sample.weights);
    free(sample.bias);
    free(sample.mult);
    free(sample.threshold);
}

static void check_all(const struct kernel_conv_ops *ops)
{
    uint32_t few = 0;

    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        for (int fill = FILL_RANDOM; fill <= FILL_EDGE; fill++) {
            check_one(ops, &shapes[i], (enum fill)fill, KERNEL_CONV_SUMS, 0);
            check_one(ops, &shapes[i], (enum fill)fill, KERNEL_CONV_U7, 0);
            check_one(ops, &shapes[i], (enum fill)fill, KERNEL_CONV_CODES, KERNEL_CONV_LEVELS_MAX);
            check_one(ops, &shapes[i], (enum fill)fill, KERNEL_CONV_CODES, 1 + few++ % 3);
        }
    }
}

static void test_every_mask(void **state)
{
    static const char *const sets[] = {"c", "avx2", "0x3", "0x5", "neon", "all"};
    const uint32_t cpu = kernel_cpu_detect();
    uint32_t done[sizeof(sets) / sizeof(sets[0])];
    size_t seen;

    (void)state;
    for (size_t m = 0; m < sizeof(sets) / sizeof(sets[0]); m++) {
        struct kernel_table table;
        uint32_t mask;

        assert_int_equal(kernel_cpu_mask_parse(sets[m], &mask), 0);
        mask &= cpu;
        done[m] = mask;
        for (seen = 0; done[seen] != mask; seen++) {
        }
        if (seen < m) {
            continue;
        }
        kernel_table_init(&table, mask);
        check_all(&table.conv);
    }
}

/* Kernels for instructions that this machine may lack, on a machine with AVX-512 VNNI: the one for
 * AVX-VNNI in the coding of AVX-512, the one for AMX over a model of its instructions. */
static void check_variant(const struct kernel_conv_ops *ops)
{
    if (!(kernel_cpu_detect() & KERNEL_CPU_AVX512VNNI) || ops == NULL) {
        print_message("skipped: this machine has no AVX-512 VNNI\n");
        skip();
    }
    check_all(ops);
}

#if defined(__x86_64__)
static const struct kernel_conv_ops evex = {kernel_conv_packed_bytes_evex, kernel_conv_pack_evex,
                                            kernel_conv_run_evex, "evex"};
static const struct kernel_conv_ops amx_model = {kernel_conv_packed_bytes_amx_model,
                                                 kernel_conv_pack_amx_model,
                                                 kernel_conv_run_amx_model, "amx model"};
#define VARIANT(ops) (&(ops))
#else
#define VARIANT(ops) NULL
#endif

static void test_evex(void **state)
{
    (void)state;
    check_variant(VARIANT(evex));
}

static void test_amx_model(void **state)
{
    (void)state;
    check_variant(VARIANT(amx_model));
}

/* Each processor gets the best kernel that it has; tables can be filled for any. */
static void test_choice(void **state)
{
    (void)state;
#if defined(__x86_64__)
    static const struct {
        uint32_t cpu;
        const char *isa;
    } machines[] = {
        {0, "c"},
        {KERNEL_CPU_AVX2, "avx2"},
        {KERNEL_CPU_AVX2 | KERNEL_CPU_AVXVNNI, "avxvnni"},
        {KERNEL_CPU_AVX2 | KERNEL_CPU_AVX512, "avx2"},
        {KERNEL_CPU_AVX2 | KERNEL_CPU_AVXVNNI | KERNEL_CPU_AVX512, "avxvnni"},
        {KERNEL_CPU_AVX2 | KERNEL_CPU_AVX512 | KERNEL_CPU_AVX512VNNI, "avx512vnni"},
        {KERNEL_CPU_ALL, "amx"},
        {KERNEL_CPU_ALL & ~(uint32_t)KERNEL_CPU_AMX, "avx512vnni"},
    };

    for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
        struct kernel_table table;

        kernel_table_init(&table, machines[i].cpu);
        assert_string_equal(table.conv.isa, machines[i].isa);
    }
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_mask),
                                       cmocka_unit_test(test_choice), cmocka_unit_test(test_evex),
                                       cmocka_unit_test(test_amx_model)};

    random_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
