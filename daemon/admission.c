/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* One waiting place per camera, a queue of cameras, one timer for the deadlines of all frames. */
#include "daemon/admission.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/limits.h"
#include "daemon/scan.h"
#include "daemon/strikes.h"
#include "proto/result.h"

#define NS_PER_MS UINT64_C(1000000)

struct camera {
    char name[PROTO_CAMERA_BYTES];
    uint32_t model_index;
    const struct config_camera *settings;
    bool declared;
    struct scan_memory memory;
    bool queued; /* in the queue of cameras with a waiting frame */
    struct frame *waiting, *working;
    struct camera *next;
    uint64_t used; /* tick of its last frame */
    struct admission_counters counters;
};

struct admission {
    uv_timer_t timer;
    struct setup *setup;
    struct camera *first, *last; /* the queue: not working, served in turn */
    uint32_t queued;             /* cameras in it */
    uint32_t old_frames;         /* of setups before this one */
    bool dispatching, stopped;
    struct strikes strikes;
    uint64_t ticks, frame_ids;
    uint64_t reserved;
    struct admission_counters totals;
    uint32_t camera_count;
    struct camera cameras[]; /* cameras_max */
};

/* Counters are kept per camera and as a sum that outlives cameras. */
#define COUNT(admission, camera, name)                                                             \
    do {                                                                                           \
        (admission)->totals.name++;                                                                \
        (camera)->counters.name++;                                                                 \
    } while (0)

/* What the setup says of the camera. */
static void configure_camera(struct camera *camera, const struct setup *setup)
{
    const int index = config_find_camera(setup->config, camera->name);
    camera->declared = index >= 0;
    camera->settings = index >= 0 ? &setup->config->cameras[index] : &setup->config->other;
    const int model = models_find(setup->models, camera->settings->model);
    /* A declared camera's was checked: it is there. */
    camera->model_index =
        camera->declared && model >= 0 ? (uint32_t)model : setup->models->standard;
}

static void set_camera(struct camera *camera, const char *name, const struct setup *setup)
{
    scan_forget(&camera->memory);
    *camera = (struct camera){.settings = NULL};
    memcpy(camera->name, name, strlen(name) + 1);
    configure_camera(camera, setup);
}

int admission_create(uv_loop_t *loop, struct setup *setup, struct admission **ret_admission)
{
    const struct config *config = setup->config;
    struct admission *admission =
        calloc(1, sizeof(*admission) + config->cameras_max * sizeof(admission->cameras[0]));
    if (admission == NULL) {
        return -ENOMEM;
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    /* Unique over restarts, and below 2^53 until the year 2248. */
    admission->frame_ids = ((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / NS_PER_MS) * 1024;
    admission->setup = setup;
    for (uint32_t i = 0; i < config->camera_count; i++) {
        set_camera(&admission->cameras[admission->camera_count++], config->cameras[i].name, setup);
    }
    uv_timer_init(loop, &admission->timer);
    admission->timer.data = admission;
    *ret_admission = admission;
    return 0;
}

bool admission_reserve(struct admission *admission, size_t bytes)
{
    const uint64_t most = admission->setup->config->queue_bytes_max; /* was more before a reload? */
    if (admission->reserved > most || bytes > most - admission->reserved) {
        return false;
    }
    admission->reserved += bytes;
    return true;
}

void admission_release(struct admission *admission, size_t bytes)
{
    admission->reserved -= bytes;
}

static void destroy_frame(struct admission *admission, struct frame *frame)
{
    struct setup *setup = frame->setup;
    const bool old = setup != admission->setup;
    admission_release(admission, frame->reserved);
    frame_destroy(frame);
    admission->old_frames -= old;
    if (--setup->frames == 0 && old) {
        setup->idle(setup);
    }
}

/* The callback may submit and cancel other frames: nothing may be half-done when it is called. */
static void finish_frame(struct admission *admission, struct frame *frame, enum proto_error error,
                         const char *message, const struct proto_result *result)
{
    frame->done(frame, error, message, result);
    destroy_frame(admission, frame);
}

static struct camera *find_camera(struct admission *admission, const char *name)
{
    for (uint32_t i = 0; i < admission->camera_count; i++) {
        if (strcmp(admission->cameras[i].name, name) == 0) {
            return &admission->cameras[i];
        }
    }
    return NULL;
}

/* The least recently used of the cameras that appeared by posting and have no frame here, or NULL.
 */
static struct camera *find_replaceable(struct admission *admission)
{
    struct camera *oldest = NULL;
    for (uint32_t i = 0; i < admission->camera_count; i++) {
        struct camera *camera = &admission->cameras[i];
        bool idle = camera->waiting == NULL && camera->working == NULL && !camera->queued;
        if (!camera->declared && idle && (oldest == NULL || camera->used < oldest->used)) {
            oldest = camera;
        }
    }
    return oldest;
}

/* NULL when all places are needed. */
static struct camera *add_camera(struct admission *admission, const char *name)
{
    struct camera *place;
    if (admission->camera_count < admission->setup->config->cameras_max) {
        place = &admission->cameras[admission->camera_count++];
    } else {
        place = find_replaceable(admission);
    }
    if (place == NULL) {
        return NULL;
    }
    set_camera(place, name, admission->setup);
    return place;
}

static void enqueue(struct admission *admission, struct camera *camera)
{
    if (camera->queued || camera->working != NULL || camera->waiting == NULL) {
        return;
    }
    camera->queued = true;
    admission->queued++;
    camera->next = NULL;
    if (admission->first == NULL) {
        admission->first = camera;
    } else {
        admission->last->next = camera;
    }
    admission->last = camera;
}

static struct camera *dequeue(struct admission *admission)
{
    struct camera *camera = admission->first;
    if (camera != NULL) {
        admission->first = camera->next;
        admission->queued--;
        camera->queued = false;
    }
    return camera;
}

/* The operating point of a frame that leaves the choice to us: the first when nothing waits, a
 * cheaper one for each frame that waits per worker. Points are listed from the dearest down. */
static uint32_t choose_point(const struct admission *admission, const struct frame *frame)
{
    const uint32_t count = frame->setup->models->list[frame->model_index].point_count;
    struct pool_stats stats;
    uint32_t waiting = 0;
    pool_get_stats(frame->setup->pool, &stats);
    for (const struct camera *camera = admission->first; camera != NULL; camera = camera->next) {
        waiting++;
    }
    uint32_t point = waiting / (stats.ready > 0 ? stats.ready : 1);
    return point < count ? point : count - 1;
}

/* A camera's adapter judges its frames, where they name no other model or point. */
static void set_adapter(struct frame *frame)
{
    const struct model *model = &frame->setup->models->list[frame->home_model];
    const struct config_camera *settings = frame->settings;
    const bool own = frame->model_index == frame->home_model && !frame->exits &&
                     (int)frame->point_index == models_find_point(model, settings->point);
    frame->adapter = own ? settings->adapter_slot : 0;
    frame->adapter_name = settings->adapter;
    frame->want_codes = frame->adapter != 0;
}

/* Hand the camera's waiting frame to the pool. False when the pool has no worker for it now. */
static bool start_waiting(struct admission *admission, struct camera *camera)
{
    struct frame *frame = camera->waiting;
    int r;
    if (strcmp(frame->point, MODELS_POINT_AUTO) == 0) {
        frame->point_index = choose_point(admission, frame);
    }
    set_adapter(frame);
    frame->generation = pool_generation(frame->setup->pool, frame);
    scan_recall(&camera->memory, frame->scan_config, frame, uv_hrtime());
    do {
        r = pool_start_frame(frame->setup->pool, frame);
    } while (r == -EIO); /* that worker is gone now: there are only so many */
    if (r == -EAGAIN) {
        return false;
    }
    camera->waiting = NULL;
    if (r < 0) {
        COUNT(admission, camera, failed);
        finish_frame(admission, frame, PROTO_INTERNAL, "the frame could not be handed over", NULL);
    } else {
        camera->working = frame;
    }
    return true;
}

static void dispatch(struct admission *admission)
{
    if (admission->dispatching) { /* called from a callback below: the loop there goes on */
        return;
    }
    admission->dispatching = true;
    uint32_t passed = 0; /* over in a row: frames of another setup may find an idle worker */
    while (!admission->stopped && passed < admission->queued &&
           (admission->old_frames > 0 || pool_has_idle(admission->setup->pool))) {
        struct camera *camera = dequeue(admission);
        if (camera->waiting == NULL) {
            continue; /* cancelled or expired meanwhile */
        }
        if (start_waiting(admission, camera)) {
            passed = 0;
        } else {
            enqueue(admission, camera);
            passed++;
        }
    }
    admission->dispatching = false;
}

/* Answer the frame of this place if its time is over. True when it was. */
static bool expire(struct admission *admission, struct camera *camera, struct frame *frame,
                   uint64_t now)
{
    if (frame == NULL || frame->cancelled || frame->deadline_ns > now) {
        return false;
    }
    COUNT(admission, camera, expired);
    if (frame == camera->waiting) {
        camera->waiting = NULL;
        finish_frame(admission, frame, PROTO_DEADLINE, "the frame waited too long for a worker",
                     NULL);
    } else {
        frame->cancelled = true; /* the worker still has it */
        frame->done(frame, PROTO_DEADLINE, "the frame was not done in time", NULL);
    }
    return true;
}

static uint64_t next_deadline(const struct admission *admission)
{
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; i < admission->camera_count; i++) {
        const struct frame *frames[] = {admission->cameras[i].waiting,
                                        admission->cameras[i].working};
        for (int k = 0; k < 2; k++) {
            if (frames[k] != NULL && !frames[k]->cancelled && frames[k]->deadline_ns < next) {
                next = frames[k]->deadline_ns;
            }
        }
    }
    return next;
}

static void on_timer(uv_timer_t *timer)
{
    struct admission *admission = timer->data;
    uint64_t now = uv_hrtime();
    for (uint32_t i = 0; i < admission->camera_count; i++) {
        struct camera *camera = &admission->cameras[i];
        expire(admission, camera, camera->waiting, now);
        expire(admission, camera, camera->working, now);
    }
    uint64_t next = next_deadline(admission);
    if (next != UINT64_MAX && !admission->stopped) {
        now = uv_hrtime();
        uv_timer_start(timer, on_timer, next > now ? (next - now) / NS_PER_MS + 1 : 0, 0);
    }
}

/* Frames of the peer that are not finished, but for the one that waits for this camera: a newer one
 * takes its place. */
static uint32_t count_frames(const struct admission *admission, const struct peer *peer,
                             const struct camera *camera)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < admission->camera_count; i++) {
        const struct camera *other = &admission->cameras[i];
        count += other->waiting != NULL && other != camera &&
                 authorise_same_peer(&other->waiting->peer, peer);
        count += other->working != NULL && authorise_same_peer(&other->working->peer, peer);
    }
    return count;
}

static bool peer_has_room(const struct admission *admission, const struct frame *frame,
                          const struct camera *camera, const char **ret_message)
{
    const bool out = strikes_out(&admission->strikes, &frame->peer, uv_hrtime());
    if (!out && count_frames(admission, &frame->peer, camera) < LIMIT_FRAMES_PER_PEER) {
        return true;
    }
    *ret_message =
        out ? "frames of yours cost too many workers lately" : "you have too many frames in flight";
    return false;
}

/* Which camera and model, or why not. *ret_camera is NULL when it is not known. */
static enum proto_error admit(struct admission *admission, struct frame *frame,
                              struct camera **ret_camera, const char **ret_message)
{
    struct camera *camera = find_camera(admission, frame->camera);
    *ret_camera = camera;
    if (admission->stopped) {
        *ret_message = "the daemon is shutting down";
        return PROTO_TOO_BUSY;
    }
    if (!peer_has_room(admission, frame, camera, ret_message)) {
        return PROTO_TOO_BUSY;
    }
    const struct models *models = admission->setup->models;
    enum proto_error error = camera != NULL ? models_route(models, camera->settings,
                                                           camera->model_index, frame, ret_message)
                                            : models_route(models, &admission->setup->config->other,
                                                           models->standard, frame, ret_message);
    if (error != PROTO_OK) {
        return error;
    }
    if (camera == NULL) {
        camera = add_camera(admission, frame->camera);
        *ret_camera = camera;
    }
    if (camera == NULL) {
        *ret_message = "too many cameras at once";
        return PROTO_TOO_BUSY;
    }
    if (!camera->settings->enabled) {
        *ret_message = "this camera is disabled";
        return PROTO_FORBIDDEN;
    }
    if (frame->length > admission->setup->config->frame_bytes_max) {
        *ret_message = "the frame is over a limit that was lowered meanwhile";
        return PROTO_TOO_LARGE;
    }
    frame->settings = camera->settings;
    frame->home_model = camera->model_index;
    return PROTO_OK;
}

void admission_submit(struct admission *admission, struct frame *frame)
{
    struct camera *camera;
    const char *message;
    const uint32_t deadline_ms = admission->setup->config->deadline_ms;
    if (!pool_has_idle(admission->setup->pool)) {
        /* One turn of the loop may admit frames of many clients for milliseconds. Workers that wait
         * for its end judge one frame a turn, and the others supersede each other. */
        pool_collect(admission->setup->pool);
    }
    frame->setup = admission->setup;
    frame->setup->frames++;
    enum proto_error error = admit(admission, frame, &camera, &message);

    frame->id = ++admission->frame_ids;
    frame->deadline_ns = frame->arrived_ns + deadline_ms * NS_PER_MS;
    admission->totals.received++;
    if (camera != NULL) {
        camera->counters.received++;
        camera->used = ++admission->ticks;
    }
    if (error != PROTO_OK) {
        admission->totals.refused++;
        if (camera != NULL) {
            camera->counters.refused++;
        }
        finish_frame(admission, frame, error, message, NULL);
        return;
    }
    struct frame *older = camera->waiting;
    camera->waiting = frame;
    enqueue(admission, camera);
    if (!uv_is_active((uv_handle_t *)&admission->timer)) {
        uv_timer_start(&admission->timer, on_timer, deadline_ms, 0);
    }
    if (older != NULL) {
        COUNT(admission, camera, superseded);
        finish_frame(admission, older, PROTO_TOO_BUSY, "superseded by a newer frame", NULL);
    }
    dispatch(admission);
}

void admission_cancel(struct admission *admission, struct frame *frame)
{
    struct camera *camera = find_camera(admission, frame->camera);
    COUNT(admission, camera, cancelled);
    if (frame == camera->waiting) {
        camera->waiting = NULL;
        destroy_frame(admission, frame);
    } else {
        frame->cancelled = true;
    }
}

void admission_changed(struct admission *admission)
{
    dispatch(admission);
}

void admission_observe(struct admission *admission, struct frame *frame,
                       const struct job_result *result)
{
    if (frame->setup->pool == admission->setup->pool) { /* else of other models */
        struct camera *camera = find_camera(admission, frame->camera);
        scan_remember(&camera->memory, frame, result, uv_hrtime());
    }
}

void admission_finished(struct admission *admission, struct frame *frame, enum proto_error error,
                        const char *message, const struct proto_result *result)
{
    struct camera *camera = find_camera(admission, frame->camera);
    camera->working = NULL;
    enqueue(admission, camera);
    if (error == PROTO_WORKER_FAILED) {
        strikes_add(&admission->strikes, &frame->peer, uv_hrtime());
    }
    if (frame->cancelled) {
        destroy_frame(admission, frame);
        return;
    }
    if (error == PROTO_OK) {
        COUNT(admission, camera, answered);
    } else if (error == PROTO_DEADLINE) {
        COUNT(admission, camera, expired);
    } else {
        COUNT(admission, camera, failed);
    }
    finish_frame(admission, frame, error, message, result);
}

void admission_switch(struct admission *admission, struct setup *setup)
{
    const bool same = setup->pool == admission->setup->pool;
    admission->old_frames += admission->setup->frames;
    admission->setup = setup;
    for (uint32_t i = 0; i < admission->camera_count; i++) {
        if (!same) {
            scan_forget(&admission->cameras[i].memory);
        }
        configure_camera(&admission->cameras[i], setup);
    }
    for (uint32_t i = 0; i < setup->config->camera_count; i++) {
        const char *name = setup->config->cameras[i].name;
        if (find_camera(admission, name) == NULL) {
            add_camera(admission,
                       name); /* where all places have frames now: with its first frame */
        }
    }
}

void admission_stop(struct admission *admission)
{
    admission->stopped = true;
    for (uint32_t i = 0; i < admission->camera_count; i++) {
        struct camera *camera = &admission->cameras[i];
        struct frame *frame = camera->waiting;
        if (frame != NULL) {
            camera->waiting = NULL;
            COUNT(admission, camera, failed);
            finish_frame(admission, frame, PROTO_TOO_BUSY, "the daemon is shutting down", NULL);
        }
    }
    uv_close((uv_handle_t *)&admission->timer, NULL);
}

void admission_destroy(struct admission *admission)
{
    for (uint32_t i = 0; admission != NULL && i < admission->camera_count; i++) {
        scan_forget(&admission->cameras[i].memory);
    }
    free(admission);
}

static struct admission_counters with_pending(struct admission_counters counters)
{
    counters.pending = counters.received - counters.refused - counters.answered - counters.failed -
                       counters.superseded - counters.expired - counters.cancelled;
    return counters;
}

void admission_get_totals(const struct admission *admission, struct admission_counters *ret_totals,
                          uint64_t *ret_reserved)
{
    *ret_totals = with_pending(admission->totals);
    *ret_reserved = admission->reserved;
}

bool admission_get_camera(const struct admission *admission, uint32_t index,
                          struct admission_camera *ret_camera)
{
    if (index >= admission->camera_count) {
        return false;
    }
    const struct camera *camera = &admission->cameras[index];
    *ret_camera = (struct admission_camera){
        .name = camera->name,
        .model_index = camera->model_index,
        .declared = camera->declared,
        .enabled = camera->settings->enabled,
        .counters = with_pending(camera->counters),
    };
    return true;
}
