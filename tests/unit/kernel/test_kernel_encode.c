/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Every kernel that turns sums into codes against its definition: random and extreme sums, sums
 * that just reach or miss a threshold, odd shapes, buffers at inaccessible pages, the space between
 * the rows compared.
 */
#include <stdio.h>
#include <string.h>

#include "engine/kernel/requantise.h"
#include "tests/unit/kernel/kernel_test.h"

/* An encoding, its data, and the expected output. */
struct sample {
    struct kernel_encode encode;
    struct guarded in, expected, bias, mult, threshold;
};

static int32_t *ints(const struct guarded *guarded)
{
    return (int32_t *)(void *)guarded->start;
}

static int by_value(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

/* Ascending thresholds; in some channels all alike or at the ends of the range. */
static void fill_thresholds(struct sample *sample)
{
    const uint32_t levels = sample->encode.levels;
    int32_t *to = ints(&sample->threshold);

    for (uint32_t c = 0; c < sample->encode.channels; c++, to += levels) {
        const uint32_t kind = random_below(8);

        for (uint32_t i = 0; i < levels; i++) {
            to[i] = kind == 0 ? INT32_MIN : kind == 1 ? INT32_MAX : kind == 2 ? 7 : random_s32();
        }
        qsort(to, levels, sizeof(*to), by_value);
    }
}

/* preshift leaves sums of `bits` bits and the sign. */
static void fill_sums(struct sample *sample)
{
    const struct kernel_encode *encode = &sample->encode;
    const uint32_t lost = encode->preshift + 1; /* a bias is added */
    int32_t *in = ints(&sample->in);

    for (size_t i = 0; i < sample->in.bytes / 4; i++) {
        const uint32_t c = (uint32_t)(i % encode->in_row % encode->channels);
        const int32_t *near = ints(&sample->threshold) + (size_t)c * encode->levels;
        const int32_t edges[] = {INT32_MIN, INT32_MAX, near[random_below(encode->levels)]};
        const uint32_t pick = random_below(12);

        in[i] = pick < 3 ? edges[pick] : random_s32();
        if (pick == 2 && random_below(2) && in[i] > INT32_MIN) {
            in[i]--;
        }
        in[i] = encode->preshift > 0 ? in[i] >> lost : in[i];
    }
}

static void sample_init(struct sample *sample, uint32_t width, uint32_t height, uint32_t channels,
                        uint32_t levels)
{
    const int at_end = (int)random_below(2);
    struct kernel_encode *encode = &sample->encode;
    const size_t values = (size_t)width * channels;

    *encode = (struct kernel_encode){
        .width = width,
        .height = height,
        .channels = channels,
        .in_row = values + random_below(3),
        .out_row = values + random_below(40),
        .preshift = random_below(2) * random_below(16),
        .shift = 1 + random_below(31),
        .levels = levels,
    };
    for (uint32_t i = 0; i <= levels; i++) {
        encode->codes[i] = (uint8_t)random_below(256);
    }
    guarded_init(&sample->in, ((height - 1) * encode->in_row + values) * 4, 4, at_end);
    guarded_init(&sample->expected, (height - 1) * encode->out_row + values, 1, at_end);
    guarded_init(&sample->bias, channels * sizeof(int32_t), 4, at_end);
    guarded_init(&sample->mult, channels * sizeof(int32_t), 4, at_end);
    guarded_init(&sample->threshold, (size_t)channels * levels * sizeof(int32_t), 4, at_end);
    fill_thresholds(sample);
    fill_sums(sample);
    for (uint32_t c = 0; c < channels; c++) {
        ints(&sample->bias)[c] = random_s32() >> (encode->preshift + 1);
        ints(&sample->mult)[c] = random_below(8) ? random_s32() : INT32_MIN;
    }
}

static void sample_finish(struct sample *sample)
{
    guarded_finish(&sample->in);
    guarded_finish(&sample->expected);
    guarded_finish(&sample->bias);
    guarded_finish(&sample->mult);
    guarded_finish(&sample->threshold);
}

/* Sums of which bias takes none out of int32. */
static void make_room(struct sample *sample)
{
    for (size_t i = 0; i < sample->in.bytes / 4; i++) {
        ints(&sample->in)[i] >>= sample->encode.preshift > 0 ? 0 : 1;
    }
}

/* kind: 0 codes, 1 u7 with a bias, 2 u7 without. */
static void expect(struct sample *sample, int kind)
{
    const struct kernel_encode *encode = &sample->encode;

    memset(sample->expected.start, 0xa5, sample->expected.bytes);
    for (uint32_t y = 0; y < encode->height; y++) {
        for (uint32_t i = 0; i < encode->width * encode->channels; i++) {
            const int32_t sum = ints(&sample->in)[y * encode->in_row + i];
            const uint32_t c = i % encode->channels;
            const int32_t *threshold = ints(&sample->threshold) + (size_t)c * encode->levels;
            uint8_t *to = sample->expected.start + y * encode->out_row + i;
            uint32_t reached = 0;

            while (reached < encode->levels && sum >= threshold[reached]) {
                reached++;
            }
            *to = encode->codes[reached];
            if (kind > 0) {
                *to = kernel_requantise_u7(sum + (kind == 1 ? ints(&sample->bias)[c] : 0),
                                           ints(&sample->mult)[c], encode->preshift, encode->shift);
            }
        }
    }
}

static void check(const struct sample *sample, int kind, int at_end)
{
    const struct kernel_encode *encode = &sample->encode;
    struct kernel_table table[MASKS];

    tables(table);
    for (uint32_t m = 0; m < MASKS; m++) {
        struct guarded out;

        guarded_init(&out, sample->expected.bytes, 1, at_end);
        memset(out.start, 0xa5, out.bytes);
        if (kind == 0) {
            table[m].encode.codes(encode, ints(&sample->threshold), ints(&sample->in), out.start);
        } else {
            table[m].encode.u7(encode, kind == 1 ? ints(&sample->bias) : NULL, ints(&sample->mult),
                               ints(&sample->in), out.start);
        }
        if (memcmp(out.start, sample->expected.start, out.bytes) != 0) {
            fail_msg("mask %s, kind %d: %ux%u, channels %u, levels %u, preshift %u, shift %u",
                     masks[m], kind, encode->width, encode->height, encode->channels,
                     encode->levels, encode->preshift, encode->shift);
        }
        guarded_finish(&out);
    }
}

static void check_shape(uint32_t width, uint32_t height, uint32_t channels, uint32_t levels)
{
    struct sample sample;

    sample_init(&sample, width, height, channels, levels);
    expect(&sample, 0);
    check(&sample, 0, (int)random_below(2));
    make_room(&sample);
    for (int kind = 1; kind < 3; kind++) {
        expect(&sample, kind);
        check(&sample, kind, (int)random_below(2));
    }
    sample_finish(&sample);
}

static void test_encode(void **state)
{
    (void)state;
    for (uint32_t channels = 1; channels <= 70; channels++) {
        check_shape(1 + random_below(5), 1 + random_below(4), channels, 1 + random_below(31));
        check_shape(1 + random_below(5), 1 + random_below(4), channels, 1 + random_below(7));
    }
    for (uint32_t levels = 1; levels <= KERNEL_ENCODE_LEVELS_MAX; levels++) {
        check_shape(3, 3, 1 + random_below(300), levels);
    }
    check_shape(1, 1, 10, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_encode)};

    random_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
