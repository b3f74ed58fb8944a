/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Every bit convolution kernel against the C reference, and the reference against a plain loop over
 * -1, 0 and +1: random and extreme data, odd shapes, thresholds that sums just reach or miss,
 * buffers that begin or end at an inaccessible page, the space around the results compared.
 * OCELLUS_TEST_SEED repeats a run.
 */
#include <stdio.h>
#include <string.h>

#include "tests/unit/kernel/kernel_test.h"

static uint64_t random_word(void)
{
    return (uint64_t)random_below(1u << 22) << 44 ^ (uint64_t)random_below(1u << 22) << 22 ^
           random_below(1u << 22);
}

static uint32_t words(uint32_t channels)
{
    return (channels + 63) / 64;
}

enum fill { FILL_RANDOM, FILL_ONES, FILL_ZEROS, FILL_OPPOSITE, FILLS };

/* Pixels or filter taps of in_c channels. opposite: what FILL_OPPOSITE sets in maps it clears in
 * weights, so that every channel differs. */
static void fill_pixels(uint64_t *signs, uint64_t *nonzero, size_t pixels, uint32_t in_c,
                        enum fill fill, int is_map)
{
    for (size_t i = 0; i < pixels * words(in_c); i++) {
        const uint32_t word = (uint32_t)(i % words(in_c));
        const uint64_t valid = word == in_c / 64 ? (UINT64_C(1) << in_c % 64) - 1 : UINT64_MAX;
        const int ones = fill == FILL_ONES || (fill == FILL_OPPOSITE && is_map);

        signs[i] = (fill == FILL_RANDOM ? random_word() : ones ? UINT64_MAX : 0) & valid;
        if (nonzero != NULL) {
            nonzero[i] = (fill == FILL_RANDOM  ? random_word() | random_word()
                          : fill == FILL_ZEROS ? 0
                                               : UINT64_MAX) &
                         valid;
            signs[i] &= nonzero[i];
        }
    }
}

static int value(const uint64_t *signs, const uint64_t *nonzero, size_t pixel_word, uint32_t c)
{
    const size_t at = pixel_word + c / 64;

    if (nonzero != NULL && (nonzero[at] >> c % 64 & 1) == 0) {
        return 0;
    }
    return (signs[at] >> c % 64 & 1) ? 1 : -1;
}

/* One convolution: its data, and what the reference makes of it. */
struct sample {
    struct kernel_bits_conv conv;
    struct guarded map[2]; /* signs, nonzero */
    uint64_t *weights[2];
    int32_t *thresholds;
    size_t out_row[2], out_bytes[2]; /* of bits, of sums */
    uint8_t *expected[2];
};

static uint64_t *map_words(const struct sample *sample, int half)
{
    return half == 1 && !sample->conv.ternary_input ? NULL
                                                    : (uint64_t *)(void *)sample->map[half].start;
}

static int32_t naive(const struct sample *sample, uint32_t y, uint32_t x, uint32_t o)
{
    const struct kernel_bits_conv *conv = &sample->conv;
    const uint32_t pool = conv->pool, w = words(conv->in_c);
    int32_t best = INT32_MIN;

    for (uint32_t i = 0; i < pool * pool; i++) {
        int32_t sum = 0;
        for (uint32_t tap = 0; tap < conv->kernel_h * conv->kernel_w; tap++) {
            size_t row = (y * pool + i / pool) * conv->stride_y + tap / conv->kernel_w;
            size_t column = (x * pool + i % pool) * conv->stride_x + tap % conv->kernel_w;
            for (uint32_t c = 0; c < conv->in_c; c++) {
                sum += value(map_words(sample, 0), map_words(sample, 1),
                             row * conv->in_row + column * w, c) *
                       value(sample->weights[0], sample->weights[1],
                             ((size_t)o * conv->kernel_h * conv->kernel_w + tap) * w, c);
            }
        }
        best = sum > best ? sum : best;
    }
    return best;
}

/* Packs and runs the convolution in guarded buffers; the output, filled with 0xa5 before, is
 * returned. */
static void run(const struct kernel_bits_ops *ops, const struct sample *sample, int sums,
                int at_end, struct guarded *out)
{
    struct kernel_bits_conv conv = sample->conv;
    struct guarded packed;

    conv.sums = sums;
    guarded_init(&packed, ops->packed_bytes(&conv), 64, at_end);
    ops->pack(&conv, sample->weights[0], sample->weights[1], sums ? NULL : sample->thresholds,
              packed.start);
    mprotect(packed.map + 4096, packed.map_bytes - 2 * 4096, PROT_READ);
    guarded_init(out, sample->out_bytes[sums], sums ? 4 : 8, at_end);
    memset(out->start, 0xa5, out->bytes);
    ops->run(&conv, packed.start, map_words(sample, 0), map_words(sample, 1), out->start,
             sample->out_row[sums]);
    guarded_finish(&packed);
}

/* The sums of the reference at (y, x). */
static const int32_t *reference_sums(const struct sample *sample, uint32_t y, uint32_t x)
{
    return (const int32_t *)(const void *)sample->expected[1] + y * sample->out_row[1] +
           (size_t)x * sample->conv.out_c;
}

static void check_reference_sums(const struct sample *sample)
{
    const struct kernel_bits_conv *conv = &sample->conv;
    const size_t results = (size_t)conv->out_h * conv->out_w * conv->out_c;

    for (uint32_t i = 0; i < 300; i++) {
        const size_t at = results <= 300 ? i % results : random_below((uint32_t)results);
        const uint32_t o = (uint32_t)(at % conv->out_c);
        const uint32_t x = (uint32_t)(at / conv->out_c % conv->out_w);
        const uint32_t y = (uint32_t)(at / conv->out_c / conv->out_w);

        assert_int_equal(reference_sums(sample, y, x)[o], naive(sample, y, x, o));
    }
}

/* Bits are the comparison of sums, spare bits are 0, the space between the rows is as it was. */
static void check_reference_bits(const struct sample *sample)
{
    const struct kernel_bits_conv *conv = &sample->conv;
    const uint64_t *row = (const uint64_t *)(const void *)sample->expected[0];
    const uint32_t w = words(conv->out_c);

    for (uint32_t y = 0; y < conv->out_h; y++, row += sample->out_row[0]) {
        for (uint32_t i = 0; i < conv->out_w * w * 64; i++) {
            const uint32_t x = i / (w * 64), o = i % (w * 64);
            const int bit =
                o < conv->out_c && reference_sums(sample, y, x)[o] >= sample->thresholds[o];

            assert_int_equal(row[i / 64] >> i % 64 & 1, bit);
        }
        for (size_t i = (size_t)conv->out_w * w; y + 1 < conv->out_h && i < sample->out_row[0];
             i++) {
            assert_true(row[i] == 0xa5a5a5a5a5a5a5a5u);
        }
    }
}

/* Thresholds that some pixel's sum just reaches, or just misses, or that decide alone. */
static void choose_thresholds(struct sample *sample)
{
    const struct kernel_bits_conv *conv = &sample->conv;
    const int32_t most = (int32_t)(conv->kernel_h * conv->kernel_w * conv->in_c);

    for (uint32_t o = 0; o < conv->out_c; o++) {
        const int32_t reached =
            reference_sums(sample, random_below(conv->out_h), random_below(conv->out_w))[o];
        const int32_t choice[] = {INT32_MIN, INT32_MAX, -most, 1 - most, most, most + 1};
        const uint32_t pick = random_below(24);

        sample->thresholds[o] = pick < 6 ? choice[pick] : reached + (int32_t)random_below(2);
    }
}

struct shape {
    uint32_t in_c, kernel_h, kernel_w, stride_y, stride_x, out_w, out_h, out_c, pool;
};

static void sample_init(struct sample *sample, const struct shape *shape, uint32_t coding,
                        enum fill fill, int at_end)
{
    struct kernel_bits_conv *conv = &sample->conv;
    const uint32_t columns = (shape->out_w * shape->pool - 1) * shape->stride_x + shape->kernel_w;
    const uint32_t rows = (shape->out_h * shape->pool - 1) * shape->stride_y + shape->kernel_h;
    const size_t taps = (size_t)shape->out_c * shape->kernel_h * shape->kernel_w;

    *conv = (struct kernel_bits_conv){
        .in_c = shape->in_c,
        .in_row = columns * words(shape->in_c) + random_below(3),
        .kernel_h = shape->kernel_h,
        .kernel_w = shape->kernel_w,
        .stride_y = shape->stride_y,
        .stride_x = shape->stride_x,
        .out_w = shape->out_w,
        .out_h = shape->out_h,
        .out_c = shape->out_c,
        .pool = shape->pool,
        .ternary_input = coding & 1,
        .ternary_weights = coding >> 1,
    };
    for (int i = 0; i < 2; i++) {
        guarded_init(&sample->map[i],
                     ((size_t)(rows - 1) * conv->in_row + columns * words(conv->in_c)) * 8, 8,
                     at_end);
        sample->weights[i] = malloc(taps * words(conv->in_c) * 8);
        assert_non_null(sample->weights[i]);
    }
    for (uint32_t y = 0; y < rows; y++) {
        fill_pixels(map_words(sample, 0) + (size_t)y * conv->in_row,
                    conv->ternary_input ? map_words(sample, 1) + (size_t)y * conv->in_row : NULL,
                    columns, conv->in_c, fill, 1);
    }
    if (!conv->ternary_weights) {
        free(sample->weights[1]);
        sample->weights[1] = NULL;
    }
    fill_pixels(sample->weights[0], sample->weights[1], taps, conv->in_c, fill, 0);
    sample->thresholds = calloc(conv->out_c, sizeof(*sample->thresholds));
    assert_non_null(sample->thresholds);
    const size_t out_pixel[] = {words(conv->out_c), conv->out_c};
    for (int sums = 0; sums < 2; sums++) {
        sample->out_row[sums] = conv->out_w * out_pixel[sums] + random_below(3);
        sample->out_bytes[sums] =
            ((conv->out_h - 1) * sample->out_row[sums] + conv->out_w * out_pixel[sums]) *
            (sums ? 4 : 8);
    }
}

static void sample_finish(struct sample *sample)
{
    for (int i = 0; i < 2; i++) {
        guarded_finish(&sample->map[i]);
        free(sample->weights[i]);
        free(sample->expected[i]);
    }
    free(sample->thresholds);
}

/* What the reference makes of the sample, kept after it was checked. */
static void reference(const struct kernel_bits_ops *c, struct sample *sample)
{
    for (int sums = 1; sums >= 0; sums--) {
        struct guarded out;

        run(c, sample, sums, sums, &out);
        sample->expected[sums] = malloc(out.bytes);
        assert_non_null(sample->expected[sums]);
        memcpy(sample->expected[sums], out.start, out.bytes);
        guarded_finish(&out);
        if (sums) {
            check_reference_sums(sample);
            choose_thresholds(sample);
        }
    }
    check_reference_bits(sample);
}

static void check_shape(const struct shape *shape, uint32_t coding, enum fill fill)
{
    const int at_end = (int)random_below(2);
    struct kernel_table table[MASKS];
    struct sample sample;

    tables(table);
    sample_init(&sample, shape, coding, fill, at_end);
    reference(&table[0].bits, &sample);
    for (uint32_t i = 1; i < MASKS; i++) {
        for (int sums = 0; sums < 2; sums++) {
            struct guarded out;

            run(&table[i].bits, &sample, sums, at_end, &out);
            if (memcmp(out.start, sample.expected[sums], out.bytes) != 0) {
                fail_msg("mask %s: in_c %u, kernel %ux%u, stride %ux%u, out %ux%ux%u, pool %u, "
                         "coding %u, fill %d, sums %d",
                         masks[i], shape->in_c, shape->kernel_h, shape->kernel_w, shape->stride_y,
                         shape->stride_x, shape->out_h, shape->out_w, shape->out_c, shape->pool,
                         coding, fill, sums);
            }
            guarded_finish(&out);
        }
    }
    sample_finish(&sample);
}

static void test_chosen_shapes(void **state)
{
    static const struct shape shapes[] = {
        {256, 2, 2, 1, 1, 29, 29, 65, 1}, {256, 2, 2, 1, 1, 13, 13, 256, 1},
        {256, 2, 2, 1, 1, 14, 14, 64, 2}, {128, 2, 2, 1, 1, 5, 5, 128, 1},
        {64, 2, 2, 1, 1, 4, 4, 64, 2},    {4096, 1, 1, 1, 1, 1, 1, 10, 1},
        {54, 1, 1, 1, 1, 30, 30, 32, 1},  {54, 1, 1, 1, 1, 8, 8, 63, 2},
        {18, 1, 1, 1, 1, 13, 13, 100, 1}, {6, 3, 3, 1, 1, 13, 13, 33, 1},
        {100, 3, 3, 2, 2, 5, 5, 17, 1},   {100, 5, 3, 1, 2, 7, 5, 9, 2},
        {64, 1, 1, 1, 1, 1, 1, 1, 1},     {1, 1, 1, 1, 1, 1, 1, 1, 1},
        {65, 3, 3, 3, 1, 2, 9, 129, 1},   {512, 3, 3, 1, 1, 3, 1, 24, 1},
        {63, 1, 7, 1, 1, 6, 3, 96, 2},    {8192, 1, 1, 1, 1, 1, 1, 40, 1},
        {54, 1, 1, 3, 2, 9, 5, 33, 2},    {20, 1, 1, 2, 3, 40, 4, 80, 2},
        {64, 1, 1, 2, 2, 43, 7, 130, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        for (uint32_t coding = 0; coding < 4; coding++) {
            for (int fill = 0; fill < FILLS; fill++) {
                check_shape(&shapes[i], coding, (enum fill)fill);
            }
        }
    }
    check_shape(&(struct shape){16384, 1, 1, 1, 1, 2, 1, 9, 2}, 0, FILL_OPPOSITE);
    check_shape(&(struct shape){16384, 1, 1, 1, 1, 2, 1, 9, 2}, 1, FILL_OPPOSITE);
}

static void test_random_shapes(void **state)
{
    (void)state;
    for (int i = 0; i < 150; i++) {
        const struct shape shape = {
            .in_c = 1 + random_below(300),
            .kernel_h = 1 + random_below(4),
            .kernel_w = 1 + random_below(4),
            .stride_y = 1 + random_below(3),
            .stride_x = 1 + random_below(3),
            .out_w = 1 + random_below(9),
            .out_h = 1 + random_below(9),
            .out_c = 1 + random_below(140),
            .pool = 1 + random_below(2),
        };
        check_shape(&shape, random_below(4), FILL_RANDOM);
    }
}

static void check_gather(const struct kernel_bits_ops *ops, const struct kernel_bits_gather *gather,
                         int at_end)
{
    const uint32_t columns = (gather->out_w - 1) * gather->stride_x + gather->kernel_w;
    const uint32_t rows = (gather->out_h - 1) * gather->stride_y + gather->kernel_h;
    const uint32_t channels = gather->kernel_h * gather->kernel_w * gather->in_c;
    struct guarded in, out;

    guarded_init(&in, ((size_t)(rows - 1) * gather->in_row + columns) * 8, 8, at_end);
    guarded_init(&out, (size_t)gather->out_h * gather->out_w * words(channels) * 8, 8, at_end);
    uint64_t *from = (uint64_t *)(void *)in.start, *to = (uint64_t *)(void *)out.start;
    for (size_t i = 0; i < in.bytes / 8; i++) {
        from[i] = random_word() & ((UINT64_C(1) << gather->in_c) - 1);
    }
    memset(out.start, 0xa5, out.bytes);
    ops->gather(gather, from, to);
    for (uint32_t i = 0; i < gather->out_h * gather->out_w; i++, to += words(channels)) {
        const size_t y = (size_t)(i / gather->out_w) * gather->stride_y;
        const size_t x = (size_t)(i % gather->out_w) * gather->stride_x;

        for (uint32_t bit = 0; bit < words(channels) * 64; bit++) {
            const uint32_t tap = bit / gather->in_c;
            uint64_t expected = 0;

            if (bit < channels) {
                expected = from[(y + tap / gather->kernel_w) * gather->in_row + x +
                                tap % gather->kernel_w] >>
                               bit % gather->in_c &
                           1;
            }
            assert_int_equal(to[bit / 64] >> bit % 64 & 1, expected);
        }
    }
    guarded_finish(&in);
    guarded_finish(&out);
}

static void test_gather(void **state)
{
    struct kernel_table table[MASKS];

    (void)state;
    tables(table);
    for (int i = 0; i < 300; i++) {
        struct kernel_bits_gather gather = {
            .in_c = 1 + random_below(random_below(2) ? 63 : 8),
            .kernel_h = 1 + random_below(5),
            .kernel_w = 1 + random_below(5),
            .stride_y = 1 + random_below(3),
            .stride_x = random_below(2) ? 1 : 1 + random_below(3),
            .out_w = 1 + random_below(35),
            .out_h = 1 + random_below(5),
        };
        gather.in_row = (gather.out_w - 1) * gather.stride_x + gather.kernel_w + random_below(3);
        for (uint32_t m = 0; m < MASKS; m++) {
            check_gather(&table[m].bits, &gather, i % 2);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chosen_shapes),
        cmocka_unit_test(test_random_shapes),
        cmocka_unit_test(test_gather),
    };

    random_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
