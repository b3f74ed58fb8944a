/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The same bytes from one thread and from two, from a run in one go and from one that was saved and
 * restored; and the refusal of states that do not belong.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/kernel/cpu.h"
#include "tests/unit/train/toy.h"

#define BATCH    37u /* shards of 3, the last of 1, two empty */
#define SIDE     8u
#define CHANNELS 2u

static const struct train_layer layers[] = {
    {CONV3(6), S8, NORM_RELU, POOL2, .output = {.kind = TRAIN_U7, .learned = true}},
    {DEPTHWISE3, NORM_RELU, .output = {.kind = TRAIN_U7}},
    {CONV3(40), .bias = true, .activation = TRAIN_RELU},
    {DENSE(9), .norm = true, .activation = TRAIN_RELU},
    {DENSE(4), .bias = true},
};

static const struct train_optimiser adam = {
    .rule = TRAIN_ADAM, .momentum = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f, .decay = 1e-3f};

static struct train *make(uint64_t seed)
{
    const struct train_settings settings = {
        .batch = BATCH,
        .cpu = kernel_cpu_detect(),
        .seed = seed,
        .gradients = {.kind = TRAIN_LOG, .bits = 4, .fsr = TRAIN_FSR_TRACKED}};

    return toy_create((struct train_shape){SIDE, SIDE, CHANNELS}, layers, LENGTH(layers),
                      &settings);
}

static void run(struct train *train, uint32_t steps, const struct train_workers *workers)
{
    static float images[BATCH * SIDE * SIDE * CHANNELS];
    static uint32_t labels[BATCH];
    struct train_result result;

    for (uint32_t i = 0; i < steps; i++) {
        toy_images(train_steps(train), BATCH, SIDE, CHANNELS, images, labels);
        train_forward(train, images, BATCH - (uint32_t)(train_steps(train) % 3), true, workers);
        train_backward(train, TRAIN_SOFTMAX, labels, workers, &result);
        train_update(train, &adam, 1e-3f);
    }
}

static void save(const struct train *train, void **ret_bytes, size_t *ret_size)
{
    assert_int_equal(train_save(train, ret_bytes, ret_size), 0);
}

/* Fails unless both would go on with the same bytes. */
static void compare(const struct train *one, const struct train *other)
{
    void *bytes[2];
    size_t sizes[2];

    save(one, &bytes[0], &sizes[0]);
    save(other, &bytes[1], &sizes[1]);
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(bytes[0], bytes[1], sizes[0]);
    free(bytes[0]);
    free(bytes[1]);
}

static void test_train_repeat_threads(void **state)
{
    struct train *one = make(1), *two = make(1);

    (void)state;
    run(one, 8, NULL);
    run(two, 8, &toy_two_threads);
    compare(one, two);
    train_destroy(one);
    train_destroy(two);
}

static void test_train_repeat_restored(void **state)
{
    struct train *whole = make(1), *first = make(1), *second = make(2);
    void *bytes;
    size_t size;

    (void)state;
    run(whole, 7, NULL);
    run(first, 4, NULL);
    save(first, &bytes, &size);
    assert_int_equal(train_restore(second, bytes, size, NULL), 0);
    assert_int_equal(train_steps(second), 4);
    run(second, 3, NULL);
    compare(whole, second);
    free(bytes);
    train_destroy(whole);
    train_destroy(first);
    train_destroy(second);
}

static void test_train_repeat_seeds_differ(void **state)
{
    struct train *one = make(1), *two = make(2);
    struct train_view a, b;

    (void)state;
    assert_int_equal(train_view(one, 0, TRAIN_WEIGHT, &a), 0);
    assert_int_equal(train_view(two, 0, TRAIN_WEIGHT, &b), 0);
    assert_memory_not_equal(a.data, b.data, a.count * sizeof(float));
    train_destroy(one);
    train_destroy(two);
}

static void test_train_repeat_refuses(void **state)
{
    const struct train_settings settings = {.batch = 1};
    struct train_layer other[LENGTH(layers)];
    struct train *one = make(1), *two;
    const char *reason = NULL;
    void *bytes, *before, *after;
    size_t size, before_size, after_size;

    (void)state;
    memcpy(other, layers, sizeof(other));
    other[0].output.learned = false; /* one parameter less */
    other[1].output.learned = true;  /* and one more: equal sizes */
    two = toy_create((struct train_shape){SIDE, SIDE, CHANNELS}, other, LENGTH(other), &settings);
    run(one, 1, NULL);
    save(one, &bytes, &size);
    save(two, &before, &before_size);
    assert_int_equal(train_restore(two, bytes, size, &reason), -EBADMSG);
    assert_string_equal(reason, "the state of another network");
    assert_int_equal(train_restore(two, bytes, size - 1, &reason), -EBADMSG);
    assert_int_equal(train_restore(two, bytes, 0, &reason), -EBADMSG);
    save(two, &after, &after_size);
    assert_int_equal(before_size, after_size);
    assert_memory_equal(before, after, before_size);
    free(bytes);
    free(before);
    free(after);
    train_destroy(one);
    train_destroy(two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_train_repeat_threads),
        cmocka_unit_test(test_train_repeat_restored),
        cmocka_unit_test(test_train_repeat_seeds_differ),
        cmocka_unit_test(test_train_repeat_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
