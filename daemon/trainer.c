/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* One mutex for what both threads see. The thread works without it. */
#include "daemon/trainer.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/adapter_internal.h"
#include "daemon/limits.h"

/* Requests that are worked on before what is due, if more are queued. */
#define TURN 16u

struct publication {
    bool full; /* the loop has not taken it yet */
    struct pool_weights weights[TRAIN_ONLINE_LAYERS_MAX];
    uint32_t count;
    uint64_t generation;
};

struct queue {
    struct trainer_request *first, *last;
};

struct trainer {
    struct trainer_options options;
    uv_async_t async;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* by CLOCK_MONOTONIC */

    /* under the mutex */
    struct queue asked, answered;
    uint32_t queued; /* asked and not taken by the loop again */
    bool opened, stop;
    bool taken; /* the loop took publications */
    int open_error;
    struct publication publications[JOB_ADAPTERS_MAX];
    struct adapter_status statuses[JOB_ADAPTERS_MAX];

    /* the thread's */
    struct adapter *adapters[JOB_ADAPTERS_MAX];
    uint64_t generations[JOB_ADAPTERS_MAX]; /* published last */
    bool skipped;                           /* something waits to be published */
    struct adapter_settings settings[JOB_ADAPTERS_MAX];
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

static void push(struct queue *queue, struct trainer_request *request)
{
    request->next = NULL;
    if (queue->first == NULL) {
        queue->first = request;
    } else {
        queue->last->next = request;
    }
    queue->last = request;
}

static struct trainer_request *pop(struct queue *queue)
{
    struct trainer_request *request = queue->first;
    if (request != NULL) {
        queue->first = request->next;
    }
    return request;
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

/* Offer what changed to the loop, unless the last offer still lies there. */
static void publish(struct trainer *trainer, uint32_t index)
{
    struct publication *place = &trainer->publications[index];
    struct publication made = {.full = true};
    struct adapter_status status;
    bool full;
    pthread_mutex_lock(&trainer->mutex);
    full = place->full;
    pthread_mutex_unlock(&trainer->mutex);
    trainer->skipped = trainer->skipped || full;
    if (!full) {
        made.full = adapter_publish(trainer->adapters[index], made.weights, &made.count,
                                    &made.generation) == 0 &&
                    (made.count > 0 || made.generation != trainer->generations[index]);
    }
    adapter_get_status(trainer->adapters[index], &status);
    pthread_mutex_lock(&trainer->mutex);
    trainer->statuses[index] = status;
    if (!full && made.full) {
        trainer->generations[index] = made.generation;
        *place = made;
    }
    pthread_mutex_unlock(&trainer->mutex);
}

/* An update that was undone is applied as soon as it is durable: so it is published before it is
 * answered, which a label, of which many come, does not wait for. */
static void work(struct trainer *trainer, struct trainer_request *request)
{
    handle(trainer->adapters[request->adapter], request);
    if (request->op != TRAINER_LABEL) {
        publish(trainer, request->adapter);
    }
    pthread_mutex_lock(&trainer->mutex);
    push(&trainer->answered, request);
    pthread_mutex_unlock(&trainer->mutex);
    uv_async_send(&trainer->async);
}

/* What is due, then publication. Labels are published before a flush, which may take its time. */
static void maintain(struct trainer *trainer)
{
    pthread_mutex_lock(&trainer->mutex);
    trainer->taken = false;
    pthread_mutex_unlock(&trainer->mutex);
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

/* Sleep until there is a request, something is due or can be published, or it is over. */
static void wait(struct trainer *trainer, int64_t due)
{
    while (trainer->asked.first == NULL && !trainer->stop && due > now_us() &&
           !(trainer->skipped && trainer->taken)) {
        struct timespec until = {.tv_sec = due / 1000000, .tv_nsec = due % 1000000 * 1000};
        if (due == INT64_MAX) {
            pthread_cond_wait(&trainer->changed, &trainer->mutex);
        } else {
            pthread_cond_timedwait(&trainer->changed, &trainer->mutex, &until);
        }
    }
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
        const int64_t due = dirty ? 0 : next_due(trainer);
        pthread_mutex_lock(&trainer->mutex);
        wait(trainer, due);
        struct trainer_request *request = turn < TURN ? pop(&trainer->asked) : NULL;
        const bool stop = trainer->stop && request == NULL && trainer->asked.first == NULL;
        pthread_mutex_unlock(&trainer->mutex);
        if (request != NULL) {
            work(trainer, request);
            dirty = true;
            turn++;
        } else if (stop) {
            return;
        } else {
            maintain(trainer);
            dirty = false;
            turn = 0;
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
    pthread_mutex_lock(&trainer->mutex);
    trainer->opened = true;
    trainer->open_error = r;
    pthread_cond_broadcast(&trainer->changed);
    pthread_mutex_unlock(&trainer->mutex);
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
        pthread_mutex_lock(&trainer->mutex);
        struct publication taken = trainer->publications[i];
        trainer->publications[i].full = false;
        pthread_mutex_unlock(&trainer->mutex);
        if (taken.full) {
            trainer->options.published(trainer->options.context, i, taken.weights, taken.count,
                                       taken.generation);
            any = true;
        }
    }
    if (any) {
        pthread_mutex_lock(&trainer->mutex);
        trainer->taken = true;
        pthread_cond_signal(&trainer->changed); /* the thread may have more to publish */
        pthread_mutex_unlock(&trainer->mutex);
    }
}

static void on_async(uv_async_t *async)
{
    struct trainer *trainer = async->data;
    take_publications(trainer);
    for (;;) {
        pthread_mutex_lock(&trainer->mutex);
        struct trainer_request *request = pop(&trainer->answered);
        trainer->queued -= request != NULL;
        pthread_mutex_unlock(&trainer->mutex);
        if (request == NULL) {
            return;
        }
        if (request->done != NULL) {
            request->done(request);
        }
        trainer_request_destroy(request);
    }
}

static void trainer_free(uv_handle_t *handle)
{
    struct trainer *trainer = handle->data;
    struct trainer_request *request;
    while ((request = pop(&trainer->answered)) != NULL) {
        trainer_request_destroy(request);
    }
    for (uint32_t i = 0; i < trainer->options.count; i++) {
        if (trainer->publications[i].full) {
            adapter_close_weights(trainer->publications[i].weights, trainer->publications[i].count);
        }
    }
    pthread_cond_destroy(&trainer->changed);
    pthread_mutex_destroy(&trainer->mutex);
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

static int init(struct trainer *trainer, const struct trainer_options *options)
{
    pthread_condattr_t attributes;
    trainer->options = *options;
    memcpy(trainer->settings, options->adapters, options->count * sizeof(trainer->settings[0]));
    trainer->options.adapters = trainer->settings;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int r = pthread_mutex_init(&trainer->mutex, NULL);
    if (r == 0) {
        r = pthread_cond_init(&trainer->changed, &attributes);
    }
    pthread_condattr_destroy(&attributes);
    return -r;
}

int trainer_create(uv_loop_t *loop, const struct trainer_options *options,
                   struct trainer **ret_trainer)
{
    struct trainer *trainer = calloc(1, sizeof(*trainer));
    if (trainer == NULL) {
        return -ENOMEM;
    }
    int r = init(trainer, options);
    if (r == 0) {
        r = uv_async_init(loop, &trainer->async, on_async);
    }
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
    pthread_mutex_lock(&trainer->mutex);
    while (!trainer->opened) {
        pthread_cond_wait(&trainer->changed, &trainer->mutex);
    }
    r = trainer->open_error;
    pthread_mutex_unlock(&trainer->mutex);
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
    pthread_mutex_lock(&trainer->mutex);
    trainer->stop = true;
    pthread_cond_signal(&trainer->changed);
    pthread_mutex_unlock(&trainer->mutex);
    pthread_join(trainer->thread, NULL);
    uv_close((uv_handle_t *)&trainer->async, trainer_free);
}

int trainer_submit(struct trainer *trainer, struct trainer_request *request)
{
    int r = 0;
    pthread_mutex_lock(&trainer->mutex);
    if (trainer->queued >= LIMIT_TRAINER_QUEUE || trainer->stop) {
        r = -EAGAIN;
    } else {
        trainer->queued++;
        push(&trainer->asked, request);
        pthread_cond_signal(&trainer->changed);
    }
    pthread_mutex_unlock(&trainer->mutex);
    return r;
}

void trainer_get_status(struct trainer *trainer, uint32_t adapter,
                        struct adapter_status *ret_status)
{
    pthread_mutex_lock(&trainer->mutex);
    *ret_status = trainer->statuses[adapter];
    pthread_mutex_unlock(&trainer->mutex);
}
