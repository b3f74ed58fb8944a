/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Every coding against a naive version written straight from the definition, and the properties
 * that the log gradient promises. Pictures are synthetic and seeded.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/gradient/gradient.h"

static const struct gradient_spec ternary = {
    .coding = GRADIENT_CODING_TERNARY, .planes = 3, .floor = 64, .ratio = {{9, 8}}};
static const struct gradient_spec seven = {
    .coding = GRADIENT_CODING_SEVEN, .planes = 3, .floor = 64, .ratio = {{9, 8}, {3, 2}, {3, 1}}};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Values over many octaves, with runs of equal neighbours and both ends of the range. */
static void fill_planes(uint16_t *planes, size_t count, uint16_t top, uint64_t *state)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t r = next_random(state);

        switch (r % 8) {
        case 0:
            planes[i] = 0;
            break;
        case 1:
            planes[i] = top;
            break;
        case 2:
            planes[i] = i > 0 ? planes[i - 1] : 0;
            break;
        default:
            planes[i] = (uint16_t)((uint16_t)(r >> 16) >> (r >> 40) % 16);
            planes[i] = planes[i] > top ? top : planes[i];
        }
    }
}

/* The definition, one sample at a time, in 64-bit integers. */
struct neighbours {
    int64_t x0, x1, y0, y1;
};

static struct neighbours naive_neighbours(const uint16_t *plane, int64_t w, int64_t h, int64_t x,
                                          int64_t y, int64_t floor)
{
    return (struct neighbours){
        .x0 = plane[y * w + (x > 0 ? x - 1 : 0)] + floor,
        .x1 = plane[y * w + (x < w - 1 ? x + 1 : w - 1)] + floor,
        .y0 = plane[(y > 0 ? y - 1 : 0) * w + x] + floor,
        .y1 = plane[(y < h - 1 ? y + 1 : h - 1) * w + x] + floor,
    };
}

static int naive_code(const struct gradient_spec *spec, int64_t i0, int64_t i1)
{
    int levels = spec->coding == GRADIENT_CODING_SEVEN ? 3 : 1;

    for (int k = levels; k > 0; k--) {
        int64_t p = spec->ratio[k - 1].p, q = spec->ratio[k - 1].q;

        if (i1 * q > i0 * p) {
            return k;
        }
        if (i1 * p < i0 * q) {
            return -k;
        }
    }
    return 0;
}

static long double naive_strength(struct neighbours n)
{
    return fabsl(logl((long double)n.x1 / (long double)n.x0)) +
           fabsl(logl((long double)n.y1 / (long double)n.y0));
}

/* Whether a is stronger than b; near ties of the logarithms are settled by exact products. */
static int naive_stronger(struct neighbours a, struct neighbours b)
{
    long double difference = naive_strength(a) - naive_strength(b);

    if (fabsl(difference) > 1e-12L) {
        return difference > 0;
    }

    __extension__ typedef unsigned __int128 wide;
#define MAX(p, q) (wide)((p) > (q) ? (p) : (q))
#define MIN(p, q) (wide)((p) < (q) ? (p) : (q))
    return MAX(a.x0, a.x1) * MAX(a.y0, a.y1) * MIN(b.x0, b.x1) * MIN(b.y0, b.y1) >
           MAX(b.x0, b.x1) * MAX(b.y0, b.y1) * MIN(a.x0, a.x1) * MIN(a.y0, a.y1);
}

static int64_t naive_floor(const struct gradient_spec *spec, int64_t white)
{
    int64_t floor = (spec->floor * white + 32767) / 65535;

    return floor > 1 ? floor : 1;
}

static void put_naive(const struct gradient_spec *spec, int64_t i0, int64_t i1, size_t at,
                      void *codes)
{
    if (spec->coding == GRADIENT_CODING_F32) {
        ((float *)codes)[at] = (float)(log((double)i1) - log((double)i0));
    } else {
        ((int8_t *)codes)[at] = (int8_t)naive_code(spec, i0, i1);
    }
}

static void naive_encode(const struct gradient_spec *spec, const uint16_t *planes, uint32_t w,
                         uint32_t h, uint16_t white, void *codes)
{
    size_t at = 0, pixels = (size_t)w * h;
    int64_t floor = naive_floor(spec, white);

    for (uint32_t y = 0; y < h; y++) {
        for (uint32_t x = 0; x < w; x++) {
            struct neighbours n[3];
            uint32_t best = 0;

            for (uint32_t p = 0; p < spec->planes; p++) {
                n[p] = naive_neighbours(planes + p * pixels, w, h, x, y, floor);
                best = naive_stronger(n[p], n[best]) ? p : best;
            }
            uint32_t first = spec->merge == GRADIENT_MERGE_STRONGEST ? best : 0;
            uint32_t last = spec->merge == GRADIENT_MERGE_STRONGEST ? best : spec->planes - 1u;

            for (uint32_t p = first; p <= last; p++) {
                put_naive(spec, n[p].x0, n[p].x1, at++, codes);
            }
            for (uint32_t p = first; p <= last; p++) {
                put_naive(spec, n[p].y0, n[p].y1, at++, codes);
            }
        }
    }
}

static void compare_with_naive(const struct gradient_spec *spec, uint32_t w, uint32_t h,
                               uint16_t white, uint64_t *seed)
{
    size_t pixels = (size_t)w * h;
    size_t bytes = pixels * gradient_channels(spec) * gradient_code_size(spec);
    uint16_t *planes = malloc(pixels * spec->planes * sizeof *planes);
    uint8_t *codes = malloc(bytes), *expect = malloc(bytes);

    assert_non_null(planes);
    assert_non_null(codes);
    assert_non_null(expect);
    fill_planes(planes, pixels * spec->planes, UINT16_MAX, seed);
    assert_int_equal(gradient_spec_check(spec), 0);
    gradient_encode(spec, planes, w, h, white, codes);
    naive_encode(spec, planes, w, h, white, expect);
    assert_memory_equal(codes, expect, bytes);
    free(planes);
    free(codes);
    free(expect);
}

static void test_equals_definition(void **state)
{
    /* Around and across the chunk of 256 pixels, and every tiny shape. */
    static const uint32_t sizes[][2] = {{1, 1},   {1, 2},   {2, 1},   {2, 2},   {3, 1},
                                        {1, 3},   {3, 3},   {32, 32}, {33, 17}, {255, 3},
                                        {256, 3}, {257, 3}, {258, 2}, {512, 2}, {513, 5}};
    static const uint16_t floors[] = {1, 2, 64, 1000, UINT16_MAX};
    static const uint16_t whites[] = {65535, 8191, 1023, 1};
    uint64_t seed = 0x9e3779b97f4a7c15u;

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (unsigned coding = 0; coding < 3; coding++) {
            struct gradient_spec spec = coding == 1 ? seven : ternary;

            spec.coding = coding == 2 ? GRADIENT_CODING_F32 : (uint8_t)coding;
            for (unsigned form = 0; form < 4; form++) {
                spec.planes = form & 1 ? 3 : 1;
                spec.merge = form & 2 ? GRADIENT_MERGE_STRONGEST : GRADIENT_MERGE_ALL;
                spec.floor = floors[(i + form) % 5];
                compare_with_naive(&spec, sizes[i][0], sizes[i][1], whites[(i + form) % 4], &seed);
            }
        }
    }
}

/* The largest terms that the integers must hold. */
static void test_extreme_ratios(void **state)
{
    uint64_t seed = 88172645463325252u;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct gradient_spec spec = ternary;

        spec.floor = i & 1 ? UINT16_MAX : 1;
        spec.ratio[0] =
            i & 2 ? (struct gradient_ratio){4096, 1} : (struct gradient_ratio){4096, 4095};
        compare_with_naive(&spec, 67, 31, 65535, &seed);
    }
}

static void test_scaling_by_powers_of_two(void **state)
{
    static uint16_t dark[3 * 64 * 48], scaled[3 * 64 * 48];
    static int8_t codes[6 * 64 * 48], expect[6 * 64 * 48];
    const struct gradient_spec *specs[] = {&ternary, &seven};
    uint64_t seed = 42;

    (void)state;
    fill_planes(dark, 3 * 64 * 48, 1023, &seed);
    for (unsigned merge = 0; merge < 2; merge++) {
        for (size_t s = 0; s < 2; s++) {
            struct gradient_spec spec = *specs[s];

            spec.merge = (uint8_t)merge;
            spec.floor = 3;
            gradient_encode(&spec, dark, 64, 48, 65535, expect);
            for (unsigned shift = 1; shift <= 6; shift++) {
                for (size_t i = 0; i < 3 * 64 * 48; i++) {
                    scaled[i] = (uint16_t)(dark[i] << shift);
                }
                spec.floor = (uint16_t)(3 << shift);
                gradient_encode(&spec, scaled, 64, 48, 65535, codes);
                assert_memory_equal(codes, expect, 64 * 48 * gradient_channels(&spec));
            }
        }
    }
}

/* A soft synthetic scene: two crossing waves and a disc, so that neighbours are correlated. */
static void scene(uint16_t *planes, uint32_t w, uint32_t h)
{
    for (uint32_t p = 0; p < 3; p++) {
        for (uint32_t y = 0; y < h; y++) {
            for (uint32_t x = 0; x < w; x++) {
                double wave = sin(x * 0.21 + p) * sin(y * 0.17 - p * 0.5);
                double disc = hypot(x - w / 2.0, y - h / 2.0) < h / 4.0 ? 2.0 : 0.0;

                planes[(p * h + y) * w + x] = (uint16_t)(600.0 * exp(wave + disc));
            }
        }
    }
}

static void test_exposure_with_a_fixed_floor(void **state)
{
    static uint16_t planes[3 * 96 * 64], exposed[3 * 96 * 64];
    static int8_t codes[6 * 96 * 64], expect[6 * 96 * 64];
    double previous = 1.0;

    (void)state;
    scene(planes, 96, 64);
    gradient_encode(&ternary, planes, 96, 64, 65535, expect);
    for (int stop = -5; stop <= 3; stop++) {
        size_t changed = 0;

        for (size_t i = 0; i < 3 * 96 * 64; i++) {
            exposed[i] = (uint16_t)fmin(65535.0, ldexp(planes[i], stop));
        }
        gradient_encode(&ternary, exposed, 96, 64, 65535, codes);
        for (size_t i = 0; i < 6 * 96 * 64; i++) {
            changed += codes[i] != expect[i];
        }
        double share = (double)changed / (6 * 96 * 64);
        print_message("exposure 2^%+d: %.2f %% of codes changed\n", stop, 100 * share);
        if (stop == 0) {
            assert_int_equal(changed, 0);
        }
        if (stop < 0) { /* The darker, the more the floor hides. */
            assert_true(share <= previous);
            previous = share;
        }
    }
    assert_true(previous < 0.1);
}

static void test_flat_pictures(void **state)
{
    static uint16_t planes[3 * 20 * 10];
    static const uint16_t values[] = {0, 1, 300, 65535};
    const struct gradient_spec *specs[] = {&ternary, &seven};
    int8_t codes[6 * 20 * 10];
    float floats[6 * 20 * 10];

    (void)state;
    for (size_t v = 0; v < 4; v++) {
        for (size_t i = 0; i < 3 * 20 * 10; i++) {
            planes[i] = values[v];
        }
        for (size_t s = 0; s < 2; s++) {
            memset(codes, 99, sizeof codes);
            gradient_encode(specs[s], planes, 20, 10, 65535, codes);
            for (size_t i = 0; i < sizeof codes; i++) {
                assert_int_equal(codes[i], 0);
            }
        }
        struct gradient_spec real = ternary;
        real.coding = GRADIENT_CODING_F32;
        gradient_encode(&real, planes, 20, 10, 65535, floats);
        for (size_t i = 0; i < 6 * 20 * 10; i++) {
            assert_true(floats[i] == 0.0f);
        }
    }
}

static void test_border_is_replicated(void **state)
{
    static const uint16_t ramp[4] = {100, 200, 400, 800};
    struct gradient_spec spec = {.planes = 1, .floor = 1, .ratio = {{3, 2}}};
    int8_t codes[8];

    (void)state;
    /* One row: gy compares the row with itself; gx at the ends compares with the end itself. */
    gradient_encode(&spec, ramp, 4, 1, 65535, codes);
    assert_memory_equal(codes, ((int8_t[]){1, 0, 1, 0, 1, 0, 1, 0}), 8);
    gradient_encode(&spec, ramp, 1, 4, 65535, codes);
    assert_memory_equal(codes, ((int8_t[]){0, 1, 0, 1, 0, 1, 0, 1}), 8);
    /* At 9/4 only the inner pixels, which span two octaves, are above the threshold. */
    spec.ratio[0] = (struct gradient_ratio){9, 4};
    gradient_encode(&spec, ramp, 4, 1, 65535, codes);
    assert_memory_equal(codes, ((int8_t[]){0, 0, 1, 0, 1, 0, 0, 0}), 8);
}

static void test_floor_follows_nominal_white(void **state)
{
    static uint16_t planes[3 * 40 * 30];
    int8_t codes[6 * 40 * 30], expect[6 * 40 * 30];
    struct gradient_spec spec = ternary;
    uint64_t seed = 7;

    (void)state;
    /* A sensor with three stops of headroom: values and floor are an eighth. 65535 / 8 is no
     * integer, so the comparison is against the floor that the definition gives: (64 * 8191 +
     * 32767) / 65535 = 8. */
    fill_planes(planes, 3 * 40 * 30, 8191, &seed);
    gradient_encode(&spec, planes, 40, 30, 8191, codes);
    spec.floor = 8;
    gradient_encode(&spec, planes, 40, 30, 65535, expect);
    assert_memory_equal(codes, expect, sizeof codes);
    /* It never falls to zero. */
    spec.floor = 1;
    gradient_encode(&spec, planes, 40, 30, 1, codes);
    gradient_encode(&spec, planes, 40, 30, 65535, expect);
    assert_memory_equal(codes, expect, sizeof codes);
}

static void test_spec_check(void **state)
{
    static const struct {
        struct gradient_spec spec;
        int result;
    } cases[] = {
        {{.planes = 1, .floor = 1, .ratio = {{2, 1}}}, 0},
        {{.planes = 2, .floor = 1, .ratio = {{2, 1}}}, -EINVAL},
        {{.planes = 0, .floor = 1, .ratio = {{2, 1}}}, -EINVAL},
        {{.planes = 3, .floor = 0, .ratio = {{2, 1}}}, -EINVAL},
        {{.planes = 3, .floor = 1, .ratio = {{1, 1}}}, -EINVAL},
        {{.planes = 3, .floor = 1, .ratio = {{1, 0}}}, -EINVAL},
        {{.planes = 3, .floor = 1, .ratio = {{4096, 4095}}}, 0},
        {{.planes = 3, .floor = 1, .ratio = {{4097, 1}}}, -EINVAL},
        {{.planes = 3, .floor = 1, .merge = 2, .ratio = {{2, 1}}}, -EINVAL},
        {{.planes = 3, .floor = 1, .source = 2, .ratio = {{2, 1}}}, -EINVAL},
        {{.planes = 3, .floor = 1, .coding = GRADIENT_CODING_U7, .ratio = {{2, 1}}}, -EINVAL},
        {{.planes = 3, .floor = 1, .coding = 9, .ratio = {{2, 1}}}, -EINVAL},
        {{.planes = 3, .floor = 1, .coding = GRADIENT_CODING_F32}, 0},
        {{.planes = 3, .floor = 1, .coding = GRADIENT_CODING_SEVEN, .ratio = {{2, 1}}}, -EINVAL},
        {{.planes = 3,
          .floor = 1,
          .coding = GRADIENT_CODING_SEVEN,
          .ratio = {{9, 8}, {3, 2}, {3, 1}}},
         0},
        {{.planes = 3,
          .floor = 1,
          .coding = GRADIENT_CODING_SEVEN,
          .ratio = {{9, 8}, {18, 16}, {3, 1}}},
         -EINVAL},
        {{.planes = 3,
          .floor = 1,
          .coding = GRADIENT_CODING_SEVEN,
          .ratio = {{9, 8}, {3, 1}, {3, 2}}},
         -EINVAL},
        {{.planes = 3, .source = GRADIENT_SOURCE_SRGB, .coding = GRADIENT_CODING_U7}, 0},
        {{.planes = 1, .source = GRADIENT_SOURCE_SRGB, .coding = GRADIENT_CODING_F32}, 0},
        {{.planes = 3, .source = GRADIENT_SOURCE_SRGB, .coding = GRADIENT_CODING_TERNARY}, -EINVAL},
        {{.planes = 3, .source = GRADIENT_SOURCE_SRGB, .coding = GRADIENT_CODING_U7, .merge = 1},
         -EINVAL},
        {{.planes = 3,
          .source = GRADIENT_SOURCE_SRGB,
          .coding = GRADIENT_CODING_THERMOMETER,
          .levels = 127},
         0},
        {{.planes = 3,
          .source = GRADIENT_SOURCE_SRGB,
          .coding = GRADIENT_CODING_THERMOMETER,
          .levels = 42},
         -EINVAL},
        {{.planes = 3, .source = GRADIENT_SOURCE_SRGB, .coding = GRADIENT_CODING_THERMOMETER},
         -EINVAL},
        {{.planes = 3, .floor = 1, .coding = GRADIENT_CODING_THERMOMETER, .levels = 21}, -EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (gradient_spec_check(&cases[i].spec) != cases[i].result) {
            fail_msg("case %zu: expected %d", i, cases[i].result);
        }
    }
}

static double srgb_of(double linear)
{
    return linear <= 0.0031308 ? 12.92 * linear : 1.055 * pow(linear, 1 / 2.4) - 0.055;
}

static void test_srgb_all_samples(void **state)
{
    static uint16_t planes[65536];
    static uint8_t codes[65536];
    static float floats[65536];
    static const uint16_t whites[] = {65535, 32768, 8191, 255, 1};
    struct gradient_spec spec = {
        .source = GRADIENT_SOURCE_SRGB, .coding = GRADIENT_CODING_U7, .planes = 1};

    (void)state;
    for (size_t i = 0; i < 65536; i++) {
        planes[i] = (uint16_t)i;
    }
    for (size_t n = 0; n < sizeof whites / sizeof whites[0]; n++) {
        spec.coding = GRADIENT_CODING_U7;
        gradient_encode(&spec, planes, 256, 256, whites[n], codes);
        spec.coding = GRADIENT_CODING_F32;
        gradient_encode(&spec, planes, 256, 256, whites[n], floats);
        for (size_t i = 0; i < 65536; i++) {
            int v = (int)floor(255 * srgb_of(fmin(1.0, (double)i / whites[n])) + 0.5);

            assert_int_equal(codes[i], v == 255 ? 127 : (v + 1) / 2);
            assert_true(floats[i] == (float)v / 127.5f - 1.0f);
        }
    }
}

/* The formula in gradient.h by floating point, for each 8-bit value and BinarEye's three widths. */
static void test_thermometer(void **state)
{
    static const struct {
        int f, levels;
    } sizes[] = {{256, 85}, {128, 41}, {64, 21}};
    static uint16_t planes[65536];
    static uint8_t codes[65536];
    const struct gradient_spec plain = {
        .source = GRADIENT_SOURCE_SRGB, .coding = GRADIENT_CODING_F32, .planes = 1};
    static float floats[65536];

    (void)state;
    for (size_t i = 0; i < 65536; i++) {
        planes[i] = (uint16_t)i;
    }
    gradient_encode(&plain, planes, 256, 256, 65535, floats);
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        const int m = (int)floor(256 / (3 * (256.0 / sizes[s].f)));
        const struct gradient_spec spec = {.source = GRADIENT_SOURCE_SRGB,
                                           .coding = GRADIENT_CODING_THERMOMETER,
                                           .planes = 1,
                                           .levels = (uint8_t)sizes[s].levels,
                                           .even = m % 2 == 0};
        bool seen[256] = {false};

        assert_int_equal(gradient_spec_check(&spec), 0);
        assert_int_equal(sizes[s].levels, m % 2 == 0 ? m - 1 : m);
        gradient_encode(&spec, planes, 256, 256, 65535, codes);
        for (size_t i = 0; i < 65536; i++) {
            const int v = (int)lrint(((double)floats[i] + 1) * 127.5);
            const double x = 2.0 * v / 255 - 1, sign = x < 0 ? -1 : 1;
            const double q = 2 * sign * ceil(fabs(x) * m / 2 - 1e-9) - sign;

            seen[v] = true;
            assert_int_equal(codes[i], (int)(q + sizes[s].levels) / 2);
        }
        for (int v = 0; v < 256; v++) {
            assert_true(seen[v]);
        }
        assert_int_equal(codes[0], 0);
        assert_int_equal(codes[65535], sizes[s].levels);
    }
}

static void test_srgb_interleaves(void **state)
{
    static const uint16_t planes[6] = {0, 65535, 65535, 0, 0, 0};
    const struct gradient_spec spec = {
        .source = GRADIENT_SOURCE_SRGB, .coding = GRADIENT_CODING_U7, .planes = 3};
    uint8_t codes[6];

    (void)state;
    gradient_encode(&spec, planes, 2, 1, 65535, codes);
    assert_memory_equal(codes, ((uint8_t[]){0, 127, 0, 127, 0, 0}), 6);
}

static void test_bits_round_trip(void **state)
{
    int8_t codes[70], back[70];
    uint8_t plus[9], minus[9];
    uint64_t seed = 3;

    (void)state;
    assert_int_equal(gradient_bits_bytes(0), 0);
    assert_int_equal(gradient_bits_bytes(SIZE_MAX), SIZE_MAX / 8 + 1);
    for (size_t count = 0; count <= 70; count++) {
        size_t bytes = gradient_bits_bytes(count);

        assert_int_equal(bytes, (count + 7) / 8);
        for (size_t i = 0; i < count; i++) {
            codes[i] = (int8_t)(next_random(&seed) % 3 - 1);
        }
        memset(plus, 0xff, sizeof plus);
        memset(minus, 0xff, sizeof minus);
        gradient_pack_ternary(codes, count, plus, minus);
        for (size_t i = 0; i < bytes * 8; i++) {
            assert_int_equal(plus[i / 8] >> i % 8 & 1, i < count && codes[i] == 1);
            assert_int_equal(minus[i / 8] >> i % 8 & 1, i < count && codes[i] == -1);
        }
        memset(back, 99, sizeof back);
        assert_int_equal(gradient_unpack_ternary(plus, minus, count, back), 0);
        assert_memory_equal(back, codes, count);
        for (size_t i = 0; i < bytes * 8; i++) { /* any one wrong bit is refused */
            if (i < count && codes[i] == 0) {
                continue;
            }
            plus[i / 8] ^= (uint8_t)(codes[i % 70] == 1 && i < count ? 0 : 1u << i % 8);
            minus[i / 8] ^= (uint8_t)(codes[i % 70] == 1 && i < count ? 1u << i % 8 : 0);
            assert_int_equal(gradient_unpack_ternary(plus, minus, count, back), -EBADMSG);
            gradient_pack_ternary(codes, count, plus, minus);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_definition),
        cmocka_unit_test(test_extreme_ratios),
        cmocka_unit_test(test_scaling_by_powers_of_two),
        cmocka_unit_test(test_exposure_with_a_fixed_floor),
        cmocka_unit_test(test_flat_pictures),
        cmocka_unit_test(test_border_is_replicated),
        cmocka_unit_test(test_floor_follows_nominal_white),
        cmocka_unit_test(test_spec_check),
        cmocka_unit_test(test_srgb_all_samples),
        cmocka_unit_test(test_thermometer),
        cmocka_unit_test(test_srgb_interleaves),
        cmocka_unit_test(test_bits_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
