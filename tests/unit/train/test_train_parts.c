/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The small parts: random numbers, permutations, schedules, log and linear codes, and every reason
 * why a network is refused.
 */
#include <errno.h>
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

/* Values of another implementation of the formula. */
static void test_train_random(void **state)
{
    (void)state;
    assert_int_equal(train_random(1, 0, 0), 0x1d614f74e2a26c6u);
    assert_int_equal(train_random(1, 0, 1), 0x31ace0c257119b01u);
    assert_int_equal(train_random(1, 1, 0), 0x66e746650ce1b25eu);
    assert_int_equal(train_random(2, 0, 0), 0xc58e01b1f63badc2u);
}

static void test_train_shuffle(void **state)
{
    static uint32_t order[1000], other[1000];
    bool seen[1000] = {false};
    uint32_t moved = 0;

    (void)state;
    train_shuffle(1, 0, 1000, order);
    train_shuffle(1, 1, 1000, other);
    assert_memory_not_equal(order, other, sizeof(order));
    for (uint32_t i = 0; i < 1000; i++) {
        assert_true(order[i] < 1000 && !seen[order[i]]);
        seen[order[i]] = true;
        moved += order[i] != i;
    }
    assert_true(moved > 980);
    train_shuffle(1, 0, 1, order);
    assert_int_equal(order[0], 0);
}

/* Each of the 24 orders of 4 things comes up about as often. */
static void test_train_shuffle_is_fair(void **state)
{
    uint32_t counts[256] = {0}, orders = 0;

    (void)state;
    for (uint32_t i = 0; i < 24000; i++) {
        uint32_t order[4];

        train_shuffle(3, i, 4, order);
        counts[order[0] | order[1] << 2 | order[2] << 4 | order[3] << 6]++;
    }
    for (uint32_t i = 0; i < 256; i++) {
        orders += counts[i] > 0;
        assert_true(counts[i] == 0 || (counts[i] > 850 && counts[i] < 1150));
    }
    assert_int_equal(orders, 24);
}

static void near(float got, double want)
{
    if (fabs((double)got - want) > 1e-6 * fabs(want)) {
        fail_msg("%.9g, expected %.9g", (double)got, want);
    }
}

static void test_train_rate(void **state)
{
    struct train_schedule s = {.rate = 0.8f, .final = 0.2f, .warmup = 4, .steps = 104};

    (void)state;
    near(train_rate(&s, 0), 0.2);
    near(train_rate(&s, 3), 0.8);
    near(train_rate(&s, 1000), 0.8);
    s.kind = TRAIN_COSINE;
    near(train_rate(&s, 1), 0.4);
    near(train_rate(&s, 4), 0.8);
    near(train_rate(&s, 54), 0.5);
    near(train_rate(&s, 79), 0.5 - 0.3 * M_SQRT1_2);
    near(train_rate(&s, 104), 0.2);
    near(train_rate(&s, 1000), 0.2);
    s.kind = TRAIN_EXPONENTIAL;
    near(train_rate(&s, 54), 0.4);
    near(train_rate(&s, 104), 0.2);
    s.warmup = s.steps = 0;
    near(train_rate(&s, 0), 0.2);
}

/* 0, or the power whose exponent is nearest in the log domain, by logarithms. */
static float power_by_log(const struct train_power *p, float x)
{
    const double grid = p->root ? 2 : 1;
    double e = floor(grid * log2(fabs((double)x)) + 0.5);

    if (x == 0.0f || e < p->low) {
        return 0.0f;
    }
    e = fmin(e, p->high);
    const bool odd = p->root && fmod(e, 2) != 0;
    return copysignf((float)(exp2(floor(e / grid)) * (odd ? 181.0 / 128.0 : 1)), x);
}

static void check_power(const struct train_ops *ops, struct train_power p)
{
    float x[2048], out[2048];

    for (uint32_t i = 0; i < LENGTH(x); i++) {
        uint64_t r = train_random(11, 0, i);

        x[i] = ldexpf((float)(r >> 40) * 0x1p-24f + 0.5f, (int)(r % 24) - 16);
        x[i] = i % 2 == 0 ? x[i] : -x[i];
    }
    x[0] = 0.0f;
    x[1] = ldexpf(1.4142135f, 1); /* the neighbours of a boundary */
    x[2] = ldexpf(1.4142137f, 1);
    x[3] = 1e30f;
    x[4] = 1e-42f;
    ops->power(&p, LENGTH(x), x, out);
    for (uint32_t i = 0; i < LENGTH(x); i++) {
        if (out[i] != power_by_log(&p, x[i])) {
            fail_msg("%.9g became %.9g, not %.9g", (double)x[i], (double)out[i],
                     (double)power_by_log(&p, x[i]));
        }
    }
    ops->power(&p, LENGTH(x), out, x); /* a power is its own code */
    assert_memory_equal(x, out, sizeof(x));
}

static void test_train_power(void **state)
{
    const struct train_ops *tables[] = {&train_ops_c, train_ops_find(kernel_cpu_detect())};

    (void)state;
    for (uint32_t t = 0; t < LENGTH(tables); t++) {
        for (uint8_t bits = 2; bits <= 5; bits++) {
            const struct train_coding whole = {.kind = TRAIN_LOG, .bits = bits, .fsr = 1};
            const struct train_coding half = {
                .kind = TRAIN_LOG, .bits = bits, .root = true, .fsr = 3};

            check_power(tables[t], train_power_range(&whole, 0.0f));
            check_power(tables[t], train_power_range(&half, 0.0f));
        }
    }
}

static void test_train_power_range(void **state)
{
    struct train_coding log4 = {.kind = TRAIN_LOG, .bits = 4, .fsr = TRAIN_FSR_TRACKED};
    struct train_coding log3 = {.kind = TRAIN_LOG, .bits = 3, .root = true, .fsr = 2};
    struct train_power p = train_power_range(&log4, 5.0f);

    (void)state;
    assert_int_equal(p.high, 3); /* 5 is at most 2^3; fsr = 4 */
    assert_int_equal(p.low, 4 - 16 + 1);
    p = train_power_range(&log4, 4.0f);
    assert_int_equal(p.high, 2);
    p = train_power_range(&log3, 0.0f);
    assert_int_equal(p.high, 3); /* 2^1.5 */
    assert_int_equal(p.low, 4 - 8 + 1);
    log3.fsr = TRAIN_FSR_TRACKED;
    p = train_power_range(&log3, 0.0f);
    assert_true(p.low > p.high);
}

/* LinearQuant of LogNet in doubles, but for its topmost value. */
static float level_by_formula(int bits, int fsr, float x)
{
    const double step = exp2(fsr - bits);
    const double level = fmin(floor(fabs((double)x) / step + 0.5), exp2(bits) - 1);

    return copysignf((float)(level * step), x);
}

static void check_levels(const struct train_ops *ops, uint8_t bits, int8_t fsr)
{
    const struct train_coding coding = {.kind = TRAIN_LEVELS, .bits = bits, .fsr = fsr};
    const struct train_power p = train_power_range(&coding, 0.0f);
    const struct train_code code = {.function = TRAIN_POWER, .power = p};
    float x[2048], out[2048], rectified[2048], seen[64] = {0};
    uint32_t different = 0;

    for (uint32_t i = 0; i < LENGTH(x); i++) { /* odd multiples of half a step among them */
        x[i] = ldexpf((float)(train_random(12, 0, i) >> 50) - 8192.0f, fsr - 12);
    }
    x[0] = 1e30f;
    x[1] = -1e-42f;
    ops->power(&p, LENGTH(x), x, out);
    ops->code(&code, LENGTH(x), x, rectified);
    for (uint32_t i = 0; i < LENGTH(x); i++) {
        const float want = level_by_formula(bits, fsr, x[i]);

        if (out[i] != want || rectified[i] != (x[i] > 0.0f ? want : 0.0f)) {
            fail_msg("%.9g became %.9g and %.9g, not %.9g", (double)x[i], (double)out[i],
                     (double)rectified[i], (double)want);
        }
        uint32_t k = 0;
        while (k < different && seen[k] != fabsf(want)) {
            k++;
        }
        seen[k] = fabsf(want);
        different += k == different;
    }
    assert_int_equal(different, 1 << bits); /* all codes, and no more than the bits hold */
    ops->power(&p, LENGTH(x), out, x);
    assert_memory_equal(x, out, sizeof(x));
}

static void test_train_levels(void **state)
{
    const struct train_ops *tables[] = {&train_ops_c, train_ops_find(kernel_cpu_detect())};
    const struct train_coding tracked = {.kind = TRAIN_LEVELS, .bits = 3, .fsr = TRAIN_FSR_TRACKED};

    (void)state;
    for (uint32_t t = 0; t < LENGTH(tables); t++) {
        for (uint8_t bits = 2; bits <= 5; bits++) {
            check_levels(tables[t], bits, 1);
            check_levels(tables[t], bits, -3);
        }
    }
    struct train_power p = train_power_range(&tracked, 5.0f); /* below 2^3 */
    assert_true(p.low <= p.high && p.step == 1.0f && p.top == 7.0f);
    p = train_power_range(&tracked, 4.0f);
    assert_true(p.step == 0.5f && p.top == 3.5f);
    p = train_power_range(&tracked, 0.0f);
    assert_true(p.low > p.high);
}

/* The weights that a network computes with, in every log and linear coding, by the formulas. */
static void test_train_code_weights(void **state)
{
    const struct train_ops *ops = train_ops_find(kernel_cpu_detect());
    float weights[120], codes[120], scale[10];

    (void)state;
    toy_noise(9, LENGTH(weights), weights);
    for (uint8_t bits = 2; bits <= 5; bits++) {
        struct train_coding coding = {.kind = TRAIN_LEVELS, .bits = bits, .fsr = 0};

        train_code_weights(&coding, ops, 12, 10, weights, codes, scale);
        for (uint32_t i = 0; i < LENGTH(weights); i++) {
            assert_true(codes[i] == level_by_formula(bits, 0, weights[i]));
            assert_true(scale[i % 10] == 1.0f);
        }
        coding.kind = TRAIN_LOG;
        coding.root = bits % 2 == 0;
        train_code_weights(&coding, ops, 12, 10, weights, codes, scale);
        const struct train_power p = {.low = -(1 << bits) + 1, .high = -1, .root = coding.root};
        for (uint32_t i = 0; i < LENGTH(weights); i++) {
            assert_true(codes[i] == power_by_log(&p, weights[i]));
        }
    }
}

#define CHAIN(...)                                                                                 \
    {__VA_ARGS__},                                                                                 \
    {                                                                                              \
        DENSE(4)                                                                                   \
    }

static const struct refusal {
    const char *reason;
    struct train_layer layers[3];
} refusals[] = {
    {"no such operation", {CHAIN(.operation = 99)}},
    {"a layer reads from before the input", {CHAIN(CONV3(4), .input = 1)}},
    {"a layer reads from before the input", {CHAIN(.operation = TRAIN_ADD, .other = 1)}},
    {"only layers of one shape can be added",
     {{CONV3(5)}, {.operation = TRAIN_ADD, .other = 1}, {DENSE(4)}}},
    {"the operation does not fit its input, or passes a limit", {CHAIN(CONV3(0))}},
    {"the operation does not fit its input, or passes a limit", {CHAIN(CONV3(4097))}},
    {"the operation does not fit its input, or passes a limit",
     {CHAIN(.operation = TRAIN_CONV, .out = 1, SQUARE(3), STRIDE(1, 1), .pad = {3, 0})}},
    {"the operation does not fit its input, or passes a limit",
     {CHAIN(.operation = TRAIN_CONV, .out = 1, SQUARE(3), STRIDE(0, 1))}},
    {"the operation does not fit its input, or passes a limit",
     {CHAIN(.operation = TRAIN_AVERAGE_POOL, SQUARE(9), STRIDE(1, 1))}},
    {"the max pool does not fit its input",
     {CHAIN(CONV3(4), .pool = {9, 9}, .pool_stride = {1, 1})}},
    {"the max pool does not fit its input",
     {CHAIN(CONV3(4), .pool = {2, 0}, .pool_stride = {1, 1})}},
    {"a bias needs weights, and no norm", {CHAIN(CONV3(4), .bias = true, .norm = true)}},
    {"a bias needs weights, and no norm", {CHAIN(.operation = TRAIN_IDENTITY, .bias = true)}},
    {"no such norm, or nlms without weights", {CHAIN(CONV3(4), .norm = TRAIN_NORM_NLMS + 1)}},
    {"no such norm, or nlms without weights",
     {CHAIN(.operation = TRAIN_IDENTITY, .norm = TRAIN_NORM_NLMS)}},
    {"no such activation", {CHAIN(CONV3(4), .activation = 3)}},
    {"no such coding", {CHAIN(CONV3(4), .weights = {.kind = 7})}},
    {"such weights do not exist", {CHAIN(CONV3(4), .weights = {.kind = TRAIN_U7})}},
    {"such weights do not exist", {CHAIN(.operation = TRAIN_IDENTITY, S8)}},
    {"outputs are not s8", {CHAIN(CONV3(4), .output = {.kind = TRAIN_S8})}},
    {"u7 outputs follow relu", {CHAIN(CONV3(4), .output = {.kind = TRAIN_U7})}},
    {"an average pool has u7 outputs only right after u7",
     {CHAIN(.operation = TRAIN_GLOBAL_POOL, .output = {.kind = TRAIN_U7})}},
    {"log and linear outputs follow relu",
     {CHAIN(CONV3(4), .output = {.kind = TRAIN_LOG, .bits = 3})}},
    {"log and linear outputs follow relu",
     {CHAIN(CONV3(4), .output = {.kind = TRAIN_LEVELS, .bits = 3})}},
    {"log and linear codes have 2 to 5 bits",
     {CHAIN(CONV3(4), .weights = {.kind = TRAIN_LOG, .bits = 6})}},
    {"log and linear codes have 2 to 5 bits",
     {CHAIN(CONV3(4), .weights = {.kind = TRAIN_LEVELS, .bits = 1})}},
    {"fsr is from -60 to 60",
     {CHAIN(CONV3(4), .weights = {.kind = TRAIN_LOG, .bits = 3, .fsr = 61})}},
    {"only the clip of u7 is learned", {CHAIN(CONV3(4), .output = {.learned = true})}},
    {"ternary and binary outputs follow hard tanh",
     {CHAIN(CONV3(4), .output = {.kind = TRAIN_BINARY})}},
    {"a layer's output is read by nobody", {{CONV3(4)}, {CONV3(4), .input = 1}, {DENSE(4)}}},
    {"the last layer gives a vector of f32 scores", {{CONV3(4)}}},
};

static int create(uint32_t batch, uint32_t count, const struct train_layer *layers,
                  const char **ret_reason)
{
    const struct train_network network = {
        .input = {8, 8, 2}, .layer_count = count, .layers = layers};
    const struct train_settings settings = {.batch = batch};
    struct train *train;
    int r = train_create(&network, &settings, &train, ret_reason);

    if (r == 0) {
        train_destroy(train);
    }
    return r;
}

static void test_train_create_refuses(void **state)
{
    const struct train_layer good = {DENSE(4)};
    const char *reason = NULL;

    (void)state;
    for (uint32_t i = 0; i < LENGTH(refusals); i++) {
        const struct refusal *refusal = &refusals[i];
        uint32_t count = 1;

        while (count < 3 &&
               (refusal->layers[count].operation != 0 || refusal->layers[count].out != 0)) {
            count++;
        }
        assert_int_equal(create(4, count, refusal->layers, &reason), -EINVAL);
        assert_string_equal(reason, refusal->reason);
        assert_int_equal(create(4, count, refusal->layers, NULL), -EINVAL);
    }
    assert_int_equal(create(4, 1, &good, &reason), 0);
    assert_int_equal(create(0, 1, &good, &reason), -EINVAL);
    assert_int_equal(create(TRAIN_BATCH_MAX + 1, 1, &good, &reason), -EINVAL);
    assert_int_equal(create(4, 0, &good, &reason), -EINVAL);
    assert_int_equal(create(4, TRAIN_LAYERS_MAX + 1, &good, &reason), -EINVAL);
    train_destroy(NULL);
}

static void test_train_view_knows_what_there_is(void **state)
{
    const struct train_layer layers[] = {
        {CONV3(5), NORM_RELU, .output = {.kind = TRAIN_U7, .learned = true}},
        {DENSE(4), .bias = true}};
    const struct train_settings settings = {.batch = 1};
    struct train *train = toy_create((struct train_shape){8, 8, 2}, layers, 2, &settings);
    struct train_view view;

    (void)state;
    assert_int_equal(train_view(train, 0, TRAIN_WEIGHT, &view), 0);
    assert_int_equal(view.count, 3 * 3 * 2 * 5);
    assert_int_equal(train_view(train, 0, TRAIN_BIAS, &view), -ENOENT);
    assert_int_equal(train_view(train, 0, TRAIN_CLIP, &view), 0);
    assert_int_equal(train_view(train, 0, TRAIN_VARIANCE, &view), 0);
    assert_true(view.count == 5 && view.gradient == NULL && view.data[4] == 1.0f);
    assert_int_equal(train_view(train, 1, TRAIN_GAMMA, &view), -ENOENT);
    assert_int_equal(train_layer_shape(train, 0).channels, 5);
    assert_int_equal(train_layer_shape(train, 1).height, 1);
    train_destroy(train);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_train_random),
        cmocka_unit_test(test_train_shuffle),
        cmocka_unit_test(test_train_shuffle_is_fair),
        cmocka_unit_test(test_train_rate),
        cmocka_unit_test(test_train_power),
        cmocka_unit_test(test_train_power_range),
        cmocka_unit_test(test_train_levels),
        cmocka_unit_test(test_train_code_weights),
        cmocka_unit_test(test_train_create_refuses),
        cmocka_unit_test(test_train_view_knows_what_there_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
