/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* A parallel loop over a fixed set of threads, in the form that engine/train asks for. */
#ifndef OCELLUS_ENGINE_LAB_THREADS_H
#define OCELLUS_ENGINE_LAB_THREADS_H

#include <stdint.h>

#define LAB_THREADS_MAX 64u

struct lab_threads;

/* count: 1..LAB_THREADS_MAX with the caller's own. Errors: -ENOMEM, those of pthread_create. */
int lab_threads_create(uint32_t count, struct lab_threads **ret_threads);
/* Accepts NULL. */
void lab_threads_destroy(struct lab_threads *threads);

/* Calls task(argument, i) once for each i < count and returns when all are done. One caller at a
 * time. `threads` is a struct lab_threads, void for struct train_workers. */
void lab_threads_run(void *threads, uint32_t count, void (*task)(void *argument, uint32_t index),
                     void *argument);

#endif
