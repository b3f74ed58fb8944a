/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What passes between the threads goes through atomics alone: a lock held by a thread of the lowest
 * priority that gets no time would hold up the loop.
 */
#include "daemon/trainer.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/adapter_internal.h"
#include "daemon/limits.h"

/* Requests that are worked on before what is due, if more are queued. */
#define TURN 16u

/* Written by the thread while it is not full, read by the loop while it is. */
struct publication {
    atomic_bool full;
    struct pool_weights weights[TRAIN_ONLINE_LAYERS_MAX];
    uint32_t count;
    uint64_t generation;
};

/* Three buffers: the thread fills `back`, the loop reads `front`, and both change theirs for the
 * one in the middle. */
#define REPORT_NEW 4u /* in `middle`: the loop has not had it */
struct report {
    struct adapter_status buffers[3];
    atomic_uint middle;
    unsigned back, front;
};

struct trainer {
    struct trainer_options options;
    struct adapter_settings settings[JOB_ADAPTERS_MAX];
    uv_async_t async;
    pthread_t thread;
    sem_t wake;   /* there is something to do */
    sem_t opened; /* the adapters are open, or open_error says why not */
    int open_error;
    atomic_bool stop;
    /* The last request first; taken whole. */
    _Atomic(struct trainer_request *) asked, answered;
    struct publication publications[JOB_ADAPTERS_MAX];
    struct report reports[JOB_ADAPTERS_MAX];

    /* the loop's */
    uint32_t queued; /* asked and not answered */

    /* the thread's */
    struct trainer_request *todo; /* taken, the first first */
    struct adapter *adapters[JOB_ADAPTERS_MAX];
    uint64_t generations[JOB_ADAPTERS_MAX]; /* published last */
    bool skipped;                           /* something waits to be published */
};

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct trainer_request *trainer_request_create(enum trainer_op op, const void *bytes, size_t size)
{
    struct trainer_request *request = malloc(sizeof(*request) + size);
    if (request != NULL) {
        *request = (struct trainer_request){.op = op, .size = size};
        if (bytes != NULL) {
            memcpy(request->bytes, bytes, size);
        }
    }
    return request;
}

void trainer_request_destroy(struct trainer_request *request)
{
    if (request != NULL) {
        free(request->exported);
        free(request);
    }
}

static void push(_Atomic(struct trainer_request *) *list, struct trainer_request *request)
{
    request->next = atomic_load(list);
    while (!atomic_compare_exchange_weak(list, &request->next, request)) {
    }
}

/* All of the list, the first first. */
static struct trainer_request *take_all(_Atomic(struct trainer_request *) *list)
{
    struct trainer_request *last = atomic_exchange(list, NULL), *first = NULL;
    while (last != NULL) {
        struct trainer_request *before = last->next;
        last->next = first;
        first = last;
        last = before;
    }
    return first;
}

/* ---- The thread ---- */

static void handle(struct adapter *adapter, struct trainer_request *request)
{
    switch (request->op) {
    case TRAINER_LABEL:
        request->result =
            adapter_learn(adapter, request->bytes, request->size, request->label, &request->answer);
        break;
    case TRAINER_SYNC:
        request->result = adapter_sync(adapter, &request->answer);
        break;
    case TRAINER_UNDO:
        request->result = adapter_undo(adapter, &request->answer);
        break;
    case TRAINER_ROLLBACK:
        request->result = adapter_rollback(adapter, request->sequence, &request->answer);
        break;
    case TRAINER_RESET:
        request->result = adapter_reset(adapter, &request->answer);
        break;
    case TRAINER_EXPORT:
        request->result = adapter_export(adapter, &request->exported, &request->exported_bytes);
        break;
    case TRAINER_IMPORT:
        request->result = adapter_import(adapter, request->bytes, request->size, &request->answer);
        break;
    }
}

static void report(struct trainer *trainer, uint32_t index)
{
    struct report *report = &trainer->reports[index];
    adapter_get_status(trainer->adapters[index], &report->buffers[report->back]);
    report->back = atomic_exchange(&report->middle, report->back | REPORT_NEW) & 3;
}

/* Offer what changed to the loop, unless the last offer still lies there. */
static void publish(struct trainer *trainer, uint32_t index)
{
    struct publication *place = &trainer->publications[index];
    if (atomic_load(&place->full)) {
        trainer->skipped = true;
    } else if (adapter_publish(trainer->adapters[index], place->weights, &place->count,
                               &place->generation) == 0 &&
               (place->count > 0 || place->generation != trainer->generations[index])) {
        trainer->generations[index] = place->generation;
        atomic_store(&place->full, true);
    }
    report(trainer, index);
}

/* An update that was undone is applied as soon as it is durable: so it is published before it is
 * answered, which a label, of which many come, does not wait for. */
static void work(struct trainer *trainer, struct trainer_request *request)
{
    handle(trainer->adapters[request->adapter], request);
    if (request->op != TRAINER_LABEL) {
        publish(trainer, request->adapter);
    }
    push(&trainer->answered, request);
    uv_async_send(&trainer->async);
}

/* What is due, then publication. Labels are published before a flush, which may take its time. */
static void maintain(struct trainer *trainer)
{
    trainer->skipped = false;
    for (uint32_t i = 0; i < trainer->options.count; i++) {
        publish(trainer, i);
    }
    uv_async_send(&trainer->async);
    for (uint32_t i = 0; i < trainer->options.count; i++) {
        adapter_maintain(trainer->adapters[i], now_us());
        publish(trainer, i);
    }
    uv_async_send(&trainer->async);
}

static int64_t next_due(const struct trainer *trainer)
{
    int64_t due = INT64_MAX;
    for (uint32_t i = 0; i < trainer->options.count; i++) {
        int64_t one = adapter_due(trainer->adapters[i]);
        due = one < due ? one : due;
    }
    return due;
}

/* Sleep until somebody wakes the thread, or something is due. */
static void wait(struct trainer *trainer, int64_t due)
{
    const struct timespec until = {.tv_sec = due / 1000000, .tv_nsec = due % 1000000 * 1000};
    if (due == INT64_MAX) {
        sem_wait(&trainer->wake);
    } else {
        sem_clockwait(&trainer->wake, CLOCK_MONOTONIC, &until);
    }
}

/* The next request, or NULL. */
static struct trainer_request *next_request(struct trainer *trainer)
{
    if (trainer->todo == NULL) {
        trainer->todo = take_all(&trainer->asked);
    }
    struct trainer_request *request = trainer->todo;
    if (request != NULL) {
        trainer->todo = request->next;
    }
    return request;
}

static int open_adapters(struct trainer *trainer)
{
    for (uint32_t i = 0; i < trainer->options.count; i++) {
        int r = adapter_open(&trainer->settings[i], &trainer->adapters[i]);
        if (r < 0) {
            return r;
        }
        publish(trainer, i);
    }
    return 0;
}

static void run(struct trainer *trainer)
{
    uint32_t turn = 0;
    bool dirty = false;
    for (;;) {
        /* Before the look at the list: what is asked after it wakes the next wait. */
        const bool stop = atomic_load(&trainer->stop);
        struct trainer_request *request = turn < TURN ? next_request(trainer) : NULL;
        if (request != NULL) {
            work(trainer, request);
            dirty = true;
            turn++;
        } else if (stop && turn == 0) {
            return; /* all is recorded when the adapters are closed */
        } else if (dirty || stop || next_due(trainer) <= now_us()) {
            maintain(trainer);
            dirty = false;
            turn = 0;
        } else if (trainer->skipped) {
            wait(trainer, INT64_MAX); /* for the loop to take what lies there */
            dirty = true;
        } else {
            wait(trainer, next_due(trainer));
        }
    }
}

static void *run_thread(void *context)
{
    struct trainer *trainer = context;
    const struct sched_param parameters = {.sched_priority = 0};
    pthread_setname_np(pthread_self(), "trainer");
    /* Where it is not allowed the thread is one like others. */
    pthread_setschedparam(pthread_self(), SCHED_IDLE, &parameters);
    int r = open_adapters(trainer);
    trainer->open_error = r;
    sem_post(&trainer->opened);
    if (r == 0) {
        run(trainer);
    }
    for (uint32_t i = 0; i < trainer->options.count; i++) {
        adapter_close(trainer->adapters[i]);
    }
    return NULL;
}

/* ---- The loop ---- */

static void take_publications(struct trainer *trainer)
{
    bool any = false;
    for (uint32_t i = 0; i < trainer->options.count; i++) {
        struct publication *place = &trainer->publications[i];
        if (atomic_load(&place->full)) {
            trainer->options.published(trainer->options.context, i, place->weights, place->count,
                                       place->generation);
            atomic_store(&place->full, false);
            any = true;
        }
    }
    if (any) {
        sem_post(&trainer->wake); /* the thread may have more to publish */
    }
}

static void on_async(uv_async_t *async)
{
    struct trainer *trainer = async->data;
    struct trainer_request *request = take_all(&trainer->answered);
    take_publications(trainer); /* after that: what was answered was published before */
    while (request != NULL) {
        struct trainer_request *next = request->next;
        trainer->queued--;
        if (request->done != NULL) {
            request->done(request);
        }
        trainer_request_destroy(request);
        request = next;
    }
}

static void trainer_free(uv_handle_t *handle)
{
    struct trainer *trainer = handle->data;
    struct trainer_request *request = take_all(&trainer->answered);
    while (request != NULL) {
        struct trainer_request *next = request->next;
        trainer_request_destroy(request);
        request = next;
    }
    for (uint32_t i = 0; i < trainer->options.count; i++) {
        if (atomic_load(&trainer->publications[i].full)) {
            adapter_close_weights(trainer->publications[i].weights, trainer->publications[i].count);
        }
    }
    sem_destroy(&trainer->wake);
    sem_destroy(&trainer->opened);
    free(trainer);
}

/* No signal is ever delivered on the thread: the loop's handlers are for its own. */
static int start_thread(struct trainer *trainer)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&trainer->thread, NULL, run_thread, trainer);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -r;
}

static void init(struct trainer *trainer, const struct trainer_options *options)
{
    trainer->options = *options;
    memcpy(trainer->settings, options->adapters, options->count * sizeof(trainer->settings[0]));
    trainer->options.adapters = trainer->settings;
    for (uint32_t i = 0; i < JOB_ADAPTERS_MAX; i++) {
        struct report *report = &trainer->reports[i];
        report->back = 0;
        report->front = 1;
        atomic_init(&report->middle, 2);
    }
    sem_init(&trainer->wake, 0, 0);
    sem_init(&trainer->opened, 0, 0);
}

int trainer_create(uv_loop_t *loop, const struct trainer_options *options,
                   struct trainer **ret_trainer)
{
    struct trainer *trainer = calloc(1, sizeof(*trainer));
    if (trainer == NULL) {
        return -ENOMEM;
    }
    init(trainer, options);
    int r = uv_async_init(loop, &trainer->async, on_async);
    if (r < 0) {
        free(trainer);
        return r;
    }
    trainer->async.data = trainer;
    r = start_thread(trainer);
    if (r < 0) {
        uv_close((uv_handle_t *)&trainer->async, trainer_free);
        return r;
    }
    while (sem_wait(&trainer->opened) < 0) {
    }
    r = trainer->open_error;
    if (r < 0) {
        pthread_join(trainer->thread, NULL);
        uv_close((uv_handle_t *)&trainer->async, trainer_free);
        return r;
    }
    take_publications(trainer);
    *ret_trainer = trainer;
    return 0;
}

void trainer_destroy(struct trainer *trainer)
{
    atomic_store(&trainer->stop, true);
    take_publications(trainer);
    sem_post(&trainer->wake);
    pthread_join(trainer->thread, NULL);
    uv_close((uv_handle_t *)&trainer->async, trainer_free);
}

int trainer_submit(struct trainer *trainer, struct trainer_request *request)
{
    if (trainer->queued >= LIMIT_TRAINER_QUEUE) {
        return -EAGAIN;
    }
    trainer->queued++;
    push(&trainer->asked, request);
    sem_post(&trainer->wake);
    return 0;
}

void trainer_get_status(struct trainer *trainer, uint32_t adapter,
                        struct adapter_status *ret_status)
{
    struct report *report = &trainer->reports[adapter];
    if ((atomic_load(&report->middle) & REPORT_NEW) != 0) {
        report->front = atomic_exchange(&report->middle, report->front) & 3;
    }
    *ret_status = report->buffers[report->front];
}
