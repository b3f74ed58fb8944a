/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Times training steps of the lg3 network: the other half of train_torch.py, with the same options
 * and the same work. Prints the seconds of --steps steps, one line a repeat.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/kernel/cpu.h"
#include "engine/train/train.h"

#define CLASSES 10u
#define PIXELS  (32u * 32u * 6u)

struct options {
    uint32_t threads, steps, repeats, batch, cpu;
};

/* One parallel loop: its threads take indices until none is left. */
struct loop {
    void (*task)(void *argument, uint32_t index);
    void *argument;
    uint32_t count;
    atomic_uint next;
};

static void *loop_run(void *user)
{
    struct loop *loop = user;
    uint32_t index;

    while ((index = atomic_fetch_add(&loop->next, 1)) < loop->count) {
        loop->task(loop->argument, index);
    }
    return NULL;
}

/* A helper thread sleeps on `start` between loops. */
struct helper {
    pthread_t thread;
    pthread_barrier_t start, end;
    struct loop *loop;
};

static void *helper_run(void *user)
{
    struct helper *helper = user;

    for (;;) {
        pthread_barrier_wait(&helper->start);
        if (helper->loop == NULL) {
            return NULL;
        }
        loop_run(helper->loop);
        pthread_barrier_wait(&helper->end);
    }
}

static void two_threads(void *context, uint32_t count, void (*task)(void *, uint32_t),
                        void *argument)
{
    struct helper *helper = context;
    struct loop loop = {.task = task, .argument = argument, .count = count};

    helper->loop = &loop;
    pthread_barrier_wait(&helper->start);
    loop_run(&loop);
    pthread_barrier_wait(&helper->end);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#define CONV(n)                                                                                    \
    {                                                                                              \
        .operation = TRAIN_CONV, .out = (n), .kernel = {3, 3}, .stride = {1, 1}, .pad = {1, 1},    \
        .norm = true, .activation = TRAIN_RELU, .pool = {2, 2}, .pool_stride = {2, 2},             \
    }

static struct train *make(const struct options *options)
{
    static const struct train_layer layers[] = {
        CONV(32), CONV(64), CONV(128), {.operation = TRAIN_DENSE, .out = CLASSES, .bias = true}};
    const struct train_network network = {.input = {32, 32, 6}, .layer_count = 4, .layers = layers};
    const struct train_settings settings = {
        .batch = options->batch, .cpu = options->cpu, .seed = 1};
    struct train *train = NULL;

    if (train_create(&network, &settings, &train, NULL) < 0) {
        exit(1);
    }
    return train;
}

static void bench(const struct options *options, const struct train_workers *workers)
{
    const struct train_optimiser sgd = {.rule = TRAIN_SGD, .momentum = 0.9f, .decay = 5e-4f};
    struct train *train = make(options);
    float *images = malloc(options->batch * PIXELS * sizeof(*images));
    uint32_t *labels = malloc(options->batch * sizeof(*labels));
    struct train_result result;

    if (images == NULL || labels == NULL) {
        exit(1);
    }
    for (uint32_t i = 0; i < options->batch * PIXELS; i++) {
        images[i] = (float)(train_random(1, 0, i) % 3) - 1.0f;
    }
    for (uint32_t i = 0; i < options->batch; i++) {
        labels[i] = (uint32_t)(train_random(1, 1, i) % CLASSES);
    }
    for (uint32_t r = 0; r <= options->repeats; r++) {
        double start = now();

        for (uint32_t i = 0; i < (r == 0 ? 3 : options->steps); i++) {
            train_forward(train, images, options->batch, true, workers);
            train_backward(train, TRAIN_SOFTMAX, labels, workers, &result);
            train_update(train, &sgd, 0.05f);
        }
        if (r > 0) {
            printf("%.6f\n", now() - start);
            fflush(stdout);
        }
    }
    free(labels);
    free(images);
    train_destroy(train);
}

static int usage(void)
{
    fputs(
        "usage: bench_train [--threads 1|2] [--steps N] [--repeats N] [--batch N] [--cpu-mask M]\n",
        stderr);
    return 2;
}

static int parse(int argc, char **argv, struct options *options)
{
    for (int i = 1; i < argc; i += 2) {
        uint32_t *to = strcmp(argv[i], "--threads") == 0   ? &options->threads
                       : strcmp(argv[i], "--steps") == 0   ? &options->steps
                       : strcmp(argv[i], "--repeats") == 0 ? &options->repeats
                       : strcmp(argv[i], "--batch") == 0   ? &options->batch
                                                           : NULL;
        uint32_t mask;

        if (i + 1 == argc) {
            return -1;
        }
        if (to != NULL) {
            *to = (uint32_t)strtoul(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--cpu-mask") == 0 &&
                   kernel_cpu_mask_parse(argv[i + 1], &mask) == 0) {
            options->cpu &= mask;
        } else {
            return -1;
        }
    }
    return options->threads >= 1 && options->threads <= 2 && options->batch > 0 &&
                   options->batch <= 4096
               ? 0
               : -1;
}

int main(int argc, char **argv)
{
    struct options options = {1, 20, 3, 128, kernel_cpu_detect()};
    struct helper helper = {0};
    const struct train_workers workers = {two_threads, &helper};

    if (parse(argc, argv, &options) < 0) {
        return usage();
    }
    if (options.threads == 1) {
        bench(&options, NULL);
        return 0;
    }
    pthread_barrier_init(&helper.start, NULL, 2);
    pthread_barrier_init(&helper.end, NULL, 2);
    if (pthread_create(&helper.thread, NULL, helper_run, &helper) != 0) {
        return 1;
    }
    bench(&options, &workers);
    helper.loop = NULL;
    pthread_barrier_wait(&helper.start);
    pthread_join(helper.thread, NULL);
    return 0;
}
