/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The pool as its owner sees it: slots, deadlines, spinning, shutdown. What concerns one process is
 * in pool_worker.c. */
#include "daemon/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/limits.h"
#include "daemon/pool_worker.h"

#define NS_PER_MS UINT64_C(1000000)

static void on_timer(uv_timer_t *timer)
{
    struct pool *pool = timer->data;
    uint64_t now = uv_hrtime();
    uint64_t next = UINT64_MAX;
    pool->timer_ns = UINT64_MAX;
    for (uint32_t i = 0; i < pool->options.workers; i++) {
        struct pool_worker *worker = &pool->workers[i];
        if (worker->deadline_ns <= now) {
            pool_worker_expire(worker);
        }
        if (worker->deadline_ns < next) {
            next = worker->deadline_ns;
        }
    }
    if (next != UINT64_MAX && !pool->destroying) {
        pool_arm(pool, next);
    }
}

void pool_arm(struct pool *pool, uint64_t deadline_ns)
{
    if (deadline_ns >= pool->timer_ns || pool->destroying) {
        return;
    }
    uint64_t now = uv_hrtime();
    uint64_t wait_ns = deadline_ns > now ? deadline_ns - now : 0;
    pool->timer_ns = deadline_ns;
    uv_timer_start(&pool->timer, on_timer, (wait_ns + NS_PER_MS - 1) / NS_PER_MS, 0);
}

/* An active idle handle makes the loop poll without sleeping: that is the whole spin. */
static void on_spin(uv_idle_t *spin)
{
    struct pool *pool = spin->data;
    if (pool->stats.busy == 0 || uv_hrtime() >= pool->spin_until_ns) {
        uv_idle_stop(spin);
    }
}

static void spin_start(struct pool *pool)
{
    pool->spin_until_ns = uv_hrtime() + (uint64_t)pool->options.spin_us * 1000;
    uv_idle_start(&pool->spin, on_spin);
}

void pool_changed(struct pool *pool)
{
    if (!pool->destroying) {
        pool->options.changed(pool->options.context);
    }
}

static void close_weights(const struct pool_weights *weights)
{
    if (weights->memfd >= 0) {
        close(weights->memfd);
    }
}

static void pool_free(struct pool *pool)
{
    for (uint32_t i = 0; i < pool->published_count; i++) {
        close_weights(&pool->published[i].weights);
    }
    for (uint32_t i = 0; i < pool->options.workers; i++) {
        pool_worker_finish(&pool->workers[i]);
    }
    free(pool->result);
    free(pool);
}

static int pool_init(struct pool *pool, uv_loop_t *loop, const struct pool_options *options)
{
    pool->options = *options;
    pool->loop = loop;
    pool->timer_ns = UINT64_MAX;
    pool->spin_allowed =
        options->spin_us > 0 && sysconf(_SC_NPROCESSORS_ONLN) > (long)options->workers + 1;
    pool->stats.workers = options->workers;
    pool->region_bytes = job_region_bytes(options->frame_bytes_max);
    for (uint32_t i = 0; i < options->workers; i++) {
        pool->workers[i].region_fd = -1;
        pool->workers[i].doorbell = -1;
    }
    pool->result = malloc(sizeof(*pool->result));
    if (pool->result == NULL || pool->region_bytes == 0) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < options->workers; i++) {
        int err = pool_worker_init(&pool->workers[i], pool);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

int pool_create(uv_loop_t *loop, const struct pool_options *options, struct pool **ret_pool)
{
    if (options->workers == 0 || options->model_count == 0 ||
        options->model_count > JOB_MODELS_MAX) {
        return -EINVAL;
    }
    if (access(options->worker_path, X_OK) < 0) {
        return -errno;
    }
    struct pool *pool = calloc(1, sizeof(*pool) + options->workers * sizeof(pool->workers[0]));
    if (pool == NULL) {
        return -ENOMEM;
    }
    int err = pool_init(pool, loop, options);
    if (err < 0) {
        pool_free(pool);
        return err;
    }
    /* From here on nothing fails: a process that does not start is tried again. */
    uv_timer_init(loop, &pool->timer);
    uv_idle_init(loop, &pool->spin);
    pool->timer.data = pool;
    pool->spin.data = pool;
    pool->handles = 2;
    for (uint32_t i = 0; i < options->workers; i++) {
        pool_worker_start(&pool->workers[i]);
    }
    *ret_pool = pool;
    return 0;
}

void pool_slot_closed(struct pool *pool)
{
    if (!pool->destroying || pool->handles > 0) {
        return;
    }
    for (uint32_t i = 0; i < pool->options.workers; i++) {
        if (pool->workers[i].handles > 0) {
            return;
        }
    }
    void (*closed)(void *context) = pool->closed;
    void *context = pool->closed_context;
    pool_free(pool);
    closed(context);
}

static void on_closed(uv_handle_t *handle)
{
    struct pool *pool = handle->data;
    pool->handles--;
    pool_slot_closed(pool);
}

void pool_destroy(struct pool *pool, void (*closed)(void *context), void *context)
{
    pool->destroying = true;
    pool->closed = closed;
    pool->closed_context = context;
    for (uint32_t i = 0; i < pool->options.workers; i++) {
        pool_worker_retire(&pool->workers[i], PROTO_TOO_BUSY, "the daemon is shutting down");
    }
    uv_close((uv_handle_t *)&pool->timer, on_closed);
    uv_close((uv_handle_t *)&pool->spin, on_closed);
}

static struct pool_worker *find_idle(const struct pool *pool)
{
    /* The first, not the next: its caches are the warmest. */
    for (uint32_t i = 0; i < pool->options.workers; i++) {
        if (pool->workers[i].state == POOL_IDLE) {
            return (struct pool_worker *)&pool->workers[i];
        }
    }
    return NULL;
}

bool pool_has_idle(const struct pool *pool)
{
    return find_idle(pool) != NULL;
}

static int start_frame(struct pool *pool, struct pool_worker *worker, struct frame *frame)
{
    if (frame->length > pool->options.frame_bytes_max ||
        frame->model_index >= pool->options.model_count) {
        return -EINVAL;
    }
    if (worker == NULL) {
        return -EAGAIN;
    }
    int err = pool_worker_run(worker, frame);
    if (err == 0 && pool->spin_allowed) {
        spin_start(pool);
    }
    return err;
}

int pool_start_frame(struct pool *pool, struct frame *frame)
{
    return start_frame(pool, find_idle(pool), frame);
}

void pool_collect(struct pool *pool)
{
    for (uint32_t i = 0; i < pool->options.workers && !pool->answering; i++) {
        if (pool->workers[i].state == POOL_BUSY) {
            pool_worker_collect(&pool->workers[i]);
        }
    }
}

static struct pool_worker *find_unproven(const struct pool *pool, uint64_t since_ns)
{
    for (uint32_t i = 0; i < pool->options.workers; i++) {
        const struct pool_worker *worker = &pool->workers[i];
        if (worker->state == POOL_IDLE && worker->answered_ns <= since_ns) {
            return (struct pool_worker *)worker;
        }
    }
    return NULL;
}

bool pool_has_unproven(const struct pool *pool, uint64_t since_ns)
{
    return find_unproven(pool, since_ns) != NULL;
}

int pool_start_probe(struct pool *pool, struct frame *frame, uint64_t since_ns)
{
    return start_frame(pool, find_unproven(pool, since_ns), frame);
}

static bool worker_healthy(const struct pool_worker *worker, uint64_t since_ns, uint64_t now_ns)
{
    switch (worker->state) {
    case POOL_IDLE:
        return worker->answered_ns > since_ns;
    case POOL_BUSY:
    case POOL_UPDATING:
        return true; /* until its deadline */
    default:
        return worker->failed_starts < LIMIT_WORKER_FAILED_STARTS &&
               now_ns < worker->lost_ns + LIMIT_WORKER_START_MS * NS_PER_MS;
    }
}

bool pool_healthy(const struct pool *pool, uint64_t since_ns, uint64_t now_ns)
{
    for (uint32_t i = 0; i < pool->options.workers; i++) {
        if (!worker_healthy(&pool->workers[i], since_ns, now_ns)) {
            return false;
        }
    }
    return true;
}

/* The place of a layer, or the next free one, which may be behind the last. */
static uint32_t find_published(const struct pool *pool, const struct pool_weights *weights)
{
    uint32_t i = 0;
    while (i < pool->published_count && (pool->published[i].weights.adapter != weights->adapter ||
                                         pool->published[i].weights.layer != weights->layer)) {
        i++;
    }
    return i;
}

static bool publish_one(struct pool *pool, const struct pool_weights *weights)
{
    uint32_t i = find_published(pool, weights);
    if (i == POOL_PUBLISHED_MAX || weights->adapter >= JOB_ADAPTERS_MAX ||
        weights->model >= pool->options.model_count) {
        return false;
    }
    if (i < pool->published_count) {
        close_weights(&pool->published[i].weights);
    } else {
        pool->published_count++;
    }
    pool->published[i] = (struct pool_published){*weights, ++pool->published_number};
    pool->generations[weights->adapter] = weights->generation;
    return true;
}

int pool_publish(struct pool *pool, const struct pool_weights *weights, uint32_t count)
{
    bool all = true;
    for (uint32_t i = 0; i < count; i++) {
        if (!publish_one(pool, &weights[i])) {
            close_weights(&weights[i]);
            all = false;
        }
    }
    for (uint32_t i = 0; i < pool->options.workers; i++) {
        if (pool->workers[i].state == POOL_IDLE) {
            pool_worker_update(&pool->workers[i]);
        }
    }
    return all ? 0 : -EINVAL;
}

int pool_inherit(struct pool *pool, const struct pool *from)
{
    struct pool_weights weights[POOL_PUBLISHED_MAX];
    for (uint32_t i = 0; i < from->published_count; i++) {
        weights[i] = from->published[i].weights;
        if (weights[i].memfd >= 0) {
            weights[i].memfd = fcntl(weights[i].memfd, F_DUPFD_CLOEXEC, 0);
            if (weights[i].memfd < 0) {
                int err = -errno;
                while (i-- > 0) {
                    close_weights(&weights[i]);
                }
                return err;
            }
        }
    }
    int r = pool_publish(pool, weights, from->published_count);
    /* An adapter has one number, be it that of layers published later. */
    memcpy(pool->generations, from->generations, sizeof(pool->generations));
    return r;
}

static uint64_t resident_bytes(int pid)
{
    char path[32];
    char text[128];
    unsigned long total, resident;
    snprintf(path, sizeof(path), "/proc/%d/statm", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    ssize_t length = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (length <= 0) {
        return 0;
    }
    text[length] = '\0';
    if (sscanf(text, "%lu %lu", &total, &resident) != 2) {
        return 0;
    }
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t pool_generation(const struct pool *pool, const struct frame *frame)
{
    const uint64_t published = frame->adapter != 0 ? pool->generations[frame->adapter - 1] : 0;
    return published != 0 ? published : pool->options.models[frame->model_index].generation;
}

void pool_get_stats(const struct pool *pool, struct pool_stats *ret_stats)
{
    *ret_stats = pool->stats;
}

uint64_t pool_resident_bytes(const struct pool *pool)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < pool->options.workers; i++) {
        if (pool->workers[i].running) {
            sum += resident_bytes(pool->workers[i].process.pid);
        }
    }
    return sum;
}
