/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The low-rank training experiments: gradients against differences, what drift may touch, counts of
 * writes, streams that follow from their seed, and cells that go on with the same bytes. The digits
 * are made up.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/kernel/cpu.h"
#include "engine/lab/file.h"
#include "engine/lab/lrt_run.h"

/* Bars at places that depend on the class. */
static struct lab_packed make_digits(void)
{
    struct lab_packed digits = {
        .count = LAB_LRT_DIGITS, .width = LAB_LRT_SIDE, .height = LAB_LRT_SIDE, .channels = 1};
    digits.pixels = calloc(LAB_LRT_DIGITS, LAB_LRT_PIXELS);
    digits.labels = calloc(LAB_LRT_DIGITS, 1);
    assert_non_null(digits.pixels);
    assert_non_null(digits.labels);
    for (uint32_t i = 0; i < LAB_LRT_DIGITS; i++) {
        uint8_t *p = digits.pixels + (size_t)i * LAB_LRT_PIXELS;
        digits.labels[i] = (uint8_t)(i % LAB_LRT_CLASSES);
        for (uint32_t k = 4; k < 24; k++) {
            p[k * LAB_LRT_SIDE + 4 + 2 * digits.labels[i]] = 255;
            p[(4 + 2 * digits.labels[i]) * LAB_LRT_SIDE + k] = 200;
        }
    }
    return digits;
}

static void free_digits(struct lab_packed *digits)
{
    free(digits->pixels);
    free(digits->labels);
}

static void make_net(struct lab_lrt_net *net)
{
    assert_int_equal(lab_lrt_net_create(net, 8, 1, kernel_cpu_detect()), 0);
}

static void test_grid_rounds_halves_to_even(void **state)
{
    (void)state;
    assert_float_equal(lab_lrt_grid(0.5f, 1, -4, 4), 0, 0);
    assert_float_equal(lab_lrt_grid(1.5f, 1, -4, 4), 2, 0);
    assert_float_equal(lab_lrt_grid(-2.5f, 1, -4, 4), -2, 0);
    assert_float_equal(lab_lrt_grid(7.0f, 1, -4, 3), 3, 0);
    assert_float_equal(lab_lrt_bias(100), 8 - 1.0f / 4096, 0);
    assert_float_equal(lab_lrt_bias(3.0f / 8192), 2.0f / 4096, 0);
}

static double loss_of(struct lab_lrt_net *net, const float *pixels, uint32_t label)
{
    double sum = 0;
    lab_lrt_net_forward(net, pixels, false);
    const float *z = net->layer[LAB_LRT_LAYERS - 1].z;
    for (uint32_t i = 0; i < LAB_LRT_CLASSES; i++) {
        sum += exp((double)(z[i] - z[label]));
    }
    return log(sum);
}

/* Central difference of the loss over one float. */
static float difference(struct lab_lrt_net *net, const float *pixels, uint32_t label, float *value)
{
    const float step = 1.0f / 512, before = *value;
    *value = before + step;
    const double above = loss_of(net, pixels, label);
    *value = before - step;
    const double below = loss_of(net, pixels, label);
    *value = before;
    return (float)((above - below) / (2 * (double)step));
}

/* Kinks of relu and of the pools spoil some of the differences, hence most of them only. */
static void test_gradients_are_differences(void **state)
{
    (void)state;
    struct lab_packed digits = make_digits();
    const struct lab_lrt_stream stream = {.digits = &digits, .seed = 3, .length = 10};
    struct lab_lrt_net net;
    float pixels[LAB_LRT_PIXELS];
    uint32_t label, near = 0, checked = 0;
    make_net(&net);
    lab_lrt_picture(&stream, 0, pixels, &label);
    lab_lrt_net_forward(&net, pixels, true);
    net.exact = net.fine = true;
    loss_of(&net, pixels, label);
    lab_lrt_net_backward(&net, label);
    for (uint32_t i = 0; i < LAB_LRT_LAYERS; i++) {
        struct lab_lrt_layer *l = &net.layer[i];
        float *gradient = calloc((size_t)l->out_c * l->patch, sizeof(float));
        assert_non_null(gradient);
        loss_of(&net, pixels, label);
        lab_lrt_net_backward(&net, label);
        lab_lrt_net_weight_gradient(&net, i, false, gradient);
        for (uint32_t k = 0; k < 6; k++) {
            const uint32_t o = (k * 37 + 1) % l->out_c, c = (k * 101 + 4) % l->patch;
            float *weight = l->forward + (o / TRAIN_PANEL) * ((size_t)l->patch * TRAIN_PANEL) +
                            (size_t)c * TRAIN_PANEL + o % TRAIN_PANEL;
            const float g = gradient[(size_t)o * l->patch + c];
            const float d = difference(&net, pixels, label, weight);
            near += fabsf(g - d) <= 0.05f * fabsf(d) + 2e-3f;
            checked++;
        }
        const float bias = l->bias_gradient[1];
        near += fabsf(bias - difference(&net, pixels, label, &l->bias[1])) <=
                0.05f * fabsf(bias) + 2e-3f;
        checked++;
        free(gradient);
    }
    for (uint32_t i = 0; i < LAB_LRT_NORMS; i++) {
        loss_of(&net, pixels, label);
        lab_lrt_net_backward(&net, label);
        const float gamma = net.norm[i].gamma_gradient[5], beta = net.norm[i].beta_gradient[5];
        near += fabsf(gamma - difference(&net, pixels, label, &net.norm[i].gamma[5])) <=
                0.05f * fabsf(gamma) + 2e-3f;
        near += fabsf(beta - difference(&net, pixels, label, &net.norm[i].beta[5])) <=
                0.05f * fabsf(beta) + 2e-3f;
        checked += 2;
    }
    print_message("%u of %u\n", near, checked);
    assert_true(10 * near >= 7 * checked); /* half of them with one factor left out */
    lab_lrt_net_destroy(&net);
    free_digits(&digits);
}

static void test_counts_of_products(void **state)
{
    (void)state;
    struct lab_packed digits = make_digits();
    const struct lab_lrt_stream stream = {.digits = &digits, .seed = 3, .length = 10};
    struct lab_lrt_net net;
    float pixels[LAB_LRT_PIXELS], count[128 * 9] = {0};
    uint32_t label, expected = 0;
    make_net(&net);
    lab_lrt_picture(&stream, 0, pixels, &label);
    lab_lrt_net_forward(&net, pixels, true);
    lab_lrt_net_backward(&net, (label + 1) % LAB_LRT_CLASSES);
    const struct lab_lrt_layer *l = &net.layer[0];
    for (uint32_t y = 0; y < l->out_h; y++) {
        for (uint32_t x = 0; x < l->out_w; x++) { /* weight [7][1][2] */
            expected += l->delta[(y * l->out_w + x) * l->out_c + 7] != 0 &&
                        pixels[(y + 1) * LAB_LRT_SIDE + x + 2] != 0;
        }
    }
    lab_lrt_net_weight_gradient(&net, 0, true, count);
    assert_int_equal((uint32_t)count[7 * 9 + 5], expected);
    assert_false(l->silent);
    lab_lrt_net_destroy(&net);
    free_digits(&digits);
}

static void test_drift_changes_codes_alone(void **state)
{
    (void)state;
    struct lab_lrt_net net;
    make_net(&net);
    struct lab_lrt_layer *l = &net.layer[1];
    const size_t count = (size_t)l->out_c * l->patch;
    int8_t *before = malloc(count);
    assert_non_null(before);
    memcpy(before, l->codes, count);
    lab_lrt_drift(&net, LAB_LRT_CONTROL, 1, 10);
    assert_memory_equal(before, l->codes, count);
    lab_lrt_drift(&net, LAB_LRT_DIGITAL, 1, 10);
    uint32_t bits = 0;
    for (size_t i = 0; i < count; i++) {
        bits += (uint32_t)__builtin_popcount((uint8_t)(before[i] ^ l->codes[i]));
    }
    assert_in_range(bits, 70, 170); /* 118 expected */
    memcpy(before, l->codes, count);
    lab_lrt_drift(&net, LAB_LRT_ANALOG, 1, 20);
    double squares = 0, inside = 0;
    for (size_t i = 0; i < count; i++) {
        const double d = l->codes[i] - before[i];
        if (before[i] > -100 && before[i] < 100) {
            squares += d * d;
            inside++;
        }
    }
    assert_float_equal(sqrt(squares / inside), 4.05, 0.1); /* 0.0316 of 1/128 */
    for (uint32_t c = 0; c < l->out_c; c++) {
        assert_float_equal(l->bias[c], 0, 0);
    }
    free(before);
    lab_lrt_net_destroy(&net);
}

static void test_streams_follow_from_their_seed(void **state)
{
    (void)state;
    struct lab_packed digits = make_digits();
    struct lab_lrt_stream stream = {.digits = &digits,
                                    .source = LAB_LRT_FROM_ONLINE,
                                    .seed = 3,
                                    .length = 100,
                                    .environment = LAB_LRT_SHIFT};
    float a[LAB_LRT_PIXELS], b[LAB_LRT_PIXELS];
    uint32_t label, other, clustered = 0;
    for (uint32_t i = 0; i < 100; i += 7) {
        lab_lrt_picture(&stream, i, a, &label);
        lab_lrt_picture(&stream, i, b, &other);
        assert_int_equal(label, other);
        assert_memory_equal(a, b, sizeof(a));
        for (size_t k = 0; k < LAB_LRT_PIXELS; k++) {
            assert_true(a[k] >= 0 && a[k] <= 1);
        }
    }
    stream.seed = 4;
    lab_lrt_picture(&stream, 98, b, &other);
    assert_memory_not_equal(a, b, sizeof(a));
    stream.length = 10000; /* the first segment: classes near the one of the time */
    for (uint32_t i = 0; i < 1000; i++) {
        lab_lrt_picture(&stream, i, a, &label);
        clustered += (label + 10 - i / 100) % 10 < 2;
    }
    assert_in_range(clustered, 680, 840); /* 0.7 + 0.3 / 5 */
    free_digits(&digits);
}

static const struct lab_lrt_scheme lowrank = {.kind = LAB_LRT_LOWRANK,
                                              .max_norm = true,
                                              .unbiased_conv = true,
                                              .unbiased_dense = true,
                                              .rank = 2,
                                              .kappa = 100};

/* What a learner has become after `from` to `to` pictures. */
static void learn(struct lab_lrt_learner *learner, const struct lab_lrt_stream *stream,
                  uint64_t from, uint64_t to)
{
    float pixels[LAB_LRT_PIXELS];
    for (uint64_t i = from; i < to; i++) {
        uint32_t label;
        lab_lrt_picture(stream, i, pixels, &label);
        lab_lrt_net_forward(learner->net, pixels, true);
        lab_lrt_learn(learner, label);
    }
}

static void test_saved_state_goes_on_with_the_same_bytes(void **state)
{
    (void)state;
    struct lab_packed digits = make_digits();
    const struct lab_lrt_stream stream = {.digits = &digits, .seed = 3, .length = 100};
    struct lab_lrt_net net[2];
    struct lab_lrt_learner learner[2];
    struct lab_lrt_worst worst;
    uint8_t *saved[2];
    for (int i = 0; i < 2; i++) {
        make_net(&net[i]);
        assert_int_equal(
            lab_lrt_learner_create(&learner[i], &lowrank, &net[i], 5, kernel_cpu_detect()), 0);
        saved[i] = malloc(lab_lrt_state_bytes(&learner[i]));
        assert_non_null(saved[i]);
    }
    learn(&learner[0], &stream, 0, 13);
    lab_lrt_save(&learner[0], saved[0]);
    lab_lrt_restore(&learner[1], saved[0]);
    learn(&learner[0], &stream, 13, 24);
    learn(&learner[1], &stream, 13, 24);
    lab_lrt_save(&learner[0], saved[0]);
    lab_lrt_save(&learner[1], saved[1]);
    assert_memory_equal(saved[0], saved[1], lab_lrt_state_bytes(&learner[0]));
    lab_lrt_worst(&learner[0], &worst);
    assert_in_range(worst.changes, 1, 2); /* flushes of convolutions after 10 and 20 pictures */
    assert_int_equal(learner[0].flushes, 8);
    for (int i = 0; i < 2; i++) {
        lab_lrt_learner_destroy(&learner[i]);
        lab_lrt_net_destroy(&net[i]);
        free(saved[i]);
    }
    free_digits(&digits);
}

static void test_cell_writes_rows(void **state)
{
    (void)state;
    struct lab_packed digits = make_digits();
    char directory[] = "/tmp/ocellus-lrt-XXXXXX", command[128];
    struct lab_lrt_outcome outcome;
    struct lab_lrt_cell cell = {.name = "cell",
                                .scheme = {.kind = LAB_LRT_BIAS},
                                .pictures = 120,
                                .seed = 1,
                                .bits = 8,
                                .scratch = true};
    assert_non_null(mkdtemp(directory));
    const struct lab_lrt_place place = {
        .directory = directory, .digits = &digits, .cpu = kernel_cpu_detect()};
    assert_true(lab_lrt_cell_read(&cell, directory, 0, &outcome) < 0);
    assert_int_equal(lab_lrt_cell_run(&cell, &place), 0);
    assert_int_equal(lab_lrt_cell_read(&cell, directory, 0, &outcome), 0);
    assert_int_equal(outcome.pictures, 120);
    assert_true(outcome.changes == 0);
    assert_int_equal(lab_lrt_cell_read(&cell, directory, 100, &outcome), 0);
    assert_int_equal(outcome.pictures, 100);
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    assert_int_equal(system(command), 0);
    free_digits(&digits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grid_rounds_halves_to_even),
        cmocka_unit_test(test_gradients_are_differences),
        cmocka_unit_test(test_counts_of_products),
        cmocka_unit_test(test_drift_changes_codes_alone),
        cmocka_unit_test(test_streams_follow_from_their_seed),
        cmocka_unit_test(test_saved_state_goes_on_with_the_same_bytes),
        cmocka_unit_test(test_cell_writes_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
