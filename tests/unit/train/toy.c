/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * See toy.h.
 */
#include "tests/unit/train/toy.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/kernel/cpu.h"

struct train *toy_create(struct train_shape input, const struct train_layer *layers, uint32_t count,
                         const struct train_settings *settings)
{
    const struct train_network network = {.input = input, .layer_count = count, .layers = layers};
    const char *reason = "no memory";
    struct train *train = NULL;

    if (train_create(&network, settings, &train, &reason) < 0) {
        fail_msg("%s", reason);
    }
    return train;
}

static int pattern(uint32_t class, uint32_t x, uint32_t y)
{
    switch (class) {
    case 0:
        return x % 2 == 0 ? 1 : -1;
    case 1:
        return y % 2 == 0 ? 1 : -1;
    case 2:
        return (x + y) % 2 == 0 ? 1 : -1;
    default:
        return (x / 3 + y / 3) % 2 == 0 ? 1 : -1;
    }
}

void toy_images(uint64_t seed, uint32_t count, uint32_t side, uint32_t channels, float *images,
                uint32_t *labels)
{
    uint64_t counter = 0;

    for (uint32_t i = 0; i < count; i++) {
        labels[i] = (uint32_t)(train_random(seed, 0, i) % 4);
        for (uint32_t p = 0; p < side * side * channels; p++) {
            const uint32_t x = p / channels % side, y = p / channels / side;
            const uint64_t r = train_random(seed, 1, counter++);
            const bool noise = r % 4 == 0;

            *images++ = (float)(noise ? (int)(r / 4 % 3) - 1 : pattern(labels[i], x, y));
        }
    }
}

void toy_noise(uint64_t seed, uint32_t count, float *values)
{
    for (uint32_t i = 0; i < count; i++) {
        values[i] = (float)(train_random(seed, 0, i) >> 40) * 0x1p-23f - 1.0f;
    }
}

struct loop {
    void (*task)(void *argument, uint32_t index);
    void *argument;
    uint32_t count;
    atomic_uint taken, low, high;
};

static void *from_below(void *user)
{
    struct loop *loop = user;

    while (atomic_fetch_add(&loop->taken, 1) < loop->count) {
        loop->task(loop->argument, atomic_fetch_add(&loop->low, 1));
    }
    return NULL;
}

static void *from_above(void *user)
{
    struct loop *loop = user;

    while (atomic_fetch_add(&loop->taken, 1) < loop->count) {
        loop->task(loop->argument, loop->count - 1 - atomic_fetch_add(&loop->high, 1));
    }
    return NULL;
}

static void two_threads(void *context, uint32_t count, void (*task)(void *, uint32_t),
                        void *argument)
{
    struct loop loop = {.task = task, .argument = argument, .count = count};
    pthread_t thread;

    (void)context;
    assert_int_equal(pthread_create(&thread, NULL, from_above, &loop), 0);
    from_below(&loop);
    pthread_join(thread, NULL);
}

const struct train_workers toy_two_threads = {two_threads, NULL};
