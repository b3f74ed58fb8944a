/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Threads that wait for loops and share their indexes. Knows nothing of the work. */
#include "engine/lab/threads.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

struct lab_threads {
    pthread_mutex_t lock;
    pthread_cond_t started, finished;
    uint64_t loop;    /* number of the present loop */
    uint32_t busy;    /* helpers that are not done with it */
    uint32_t helpers; /* threads beside the caller's */
    bool stop;
    atomic_uint next; /* index that nobody has taken */
    uint32_t count;
    void (*task)(void *argument, uint32_t index);
    void *argument;
    pthread_t thread[LAB_THREADS_MAX];
};

static void work(struct lab_threads *threads)
{
    uint32_t index;
    while ((index = atomic_fetch_add(&threads->next, 1)) < threads->count) {
        threads->task(threads->argument, index);
    }
}

static void *help(void *user)
{
    struct lab_threads *threads = user;
    uint64_t seen = 0;
    pthread_mutex_lock(&threads->lock);
    for (;;) {
        while (threads->loop == seen && !threads->stop) {
            pthread_cond_wait(&threads->started, &threads->lock);
        }
        if (threads->stop) {
            break;
        }
        seen = threads->loop;
        pthread_mutex_unlock(&threads->lock);
        work(threads);
        pthread_mutex_lock(&threads->lock);
        if (--threads->busy == 0) {
            pthread_cond_signal(&threads->finished);
        }
    }
    pthread_mutex_unlock(&threads->lock);
    return NULL;
}

int lab_threads_create(uint32_t count, struct lab_threads **ret_threads)
{
    struct lab_threads *threads = calloc(1, sizeof(*threads));
    if (!threads) {
        return -ENOMEM;
    }
    pthread_mutex_init(&threads->lock, NULL);
    pthread_cond_init(&threads->started, NULL);
    pthread_cond_init(&threads->finished, NULL);
    while (threads->helpers + 1 < count) {
        int r = pthread_create(&threads->thread[threads->helpers], NULL, help, threads);
        if (r != 0) {
            lab_threads_destroy(threads);
            return -r;
        }
        threads->helpers++;
    }
    *ret_threads = threads;
    return 0;
}

void lab_threads_destroy(struct lab_threads *threads)
{
    if (!threads) {
        return;
    }
    pthread_mutex_lock(&threads->lock);
    threads->stop = true;
    pthread_cond_broadcast(&threads->started);
    pthread_mutex_unlock(&threads->lock);
    for (uint32_t i = 0; i < threads->helpers; i++) {
        pthread_join(threads->thread[i], NULL);
    }
    pthread_cond_destroy(&threads->started);
    pthread_cond_destroy(&threads->finished);
    pthread_mutex_destroy(&threads->lock);
    free(threads);
}

void lab_threads_run(void *user, uint32_t count, void (*task)(void *argument, uint32_t index),
                     void *argument)
{
    struct lab_threads *threads = user;
    pthread_mutex_lock(&threads->lock);
    threads->count = count;
    threads->task = task;
    threads->argument = argument;
    atomic_store(&threads->next, 0);
    threads->busy = threads->helpers;
    threads->loop++;
    pthread_cond_broadcast(&threads->started);
    pthread_mutex_unlock(&threads->lock);
    work(threads);
    pthread_mutex_lock(&threads->lock);
    while (threads->busy > 0) {
        pthread_cond_wait(&threads->finished, &threads->lock);
    }
    pthread_mutex_unlock(&threads->lock);
}
