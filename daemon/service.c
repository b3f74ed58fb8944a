/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Messages to the service manager, when they are due and true. */
#include "daemon/service.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include <cjson/cJSON.h>

#include "daemon/json_builder.h"
#include "daemon/log.h"
#include "daemon/models.h"
#include "daemon/pool.h"
#include "daemon/server.h"
#include "daemon/status.h"

#define STATUS_MS  10000u               /* a new status line at most so often */
#define LOWERED_NS UINT64_C(1000000000) /* no cheaper point for so long: load is over */
#define PROBE_SIDE 32u /* pixels: what a camera could send, and decoded in no time */

/* `state` is lines that end in a newline, or empty. */
static void notify(struct service *service, const char *state)
{
    char line[sizeof(service->told)], message[sizeof(line) + 128];
    if (!service->managed) {
        return;
    }
    const char *trouble = service->server->reload.trouble;
    status_line(service->server, line, sizeof(line));
    if (trouble[0] != '\0') {
        size_t length = strlen(line);
        snprintf(line + length, sizeof(line) - length, "; reload failed: %.700s", trouble);
    }
    bool news = strcmp(line, service->told) != 0;
    if (news || state[0] != '\0') {
        memcpy(service->told, line, sizeof(line));
        snprintf(message, sizeof(message), "%s%s%s", state, news ? "STATUS=" : "",
                 news ? line : "");
        sd_notify(0, message);
    }
}

/* A picture with edges in both directions, for the default model. NULL: out of memory. */
static struct frame *make_probe(const struct models *models)
{
    static const char head[] = "P6\n32 32\n255\n";
    const size_t length = sizeof(head) - 1 + (size_t)PROBE_SIDE * PROBE_SIDE * 3;
    struct frame *frame = frame_create();
    uint8_t *bytes = malloc(length);
    if (frame == NULL || bytes == NULL) {
        frame_destroy(frame);
        free(bytes);
        return NULL;
    }
    memcpy(bytes, head, sizeof(head) - 1);
    for (uint32_t i = 0; i < PROBE_SIDE * PROBE_SIDE * 3; i++) {
        uint32_t x = i / 3 % PROBE_SIDE, y = i / 3 / PROBE_SIDE;
        bytes[sizeof(head) - 1 + i] = (uint8_t)(x * y + 64 * (i % 3));
    }
    frame->source = JOB_SOURCE_REGION;
    frame->bytes = bytes;
    frame->length = length;
    frame->kind = IMAGE_KIND_PNM;
    frame->model_index = models->standard;
    frame->arrived_ns = uv_hrtime();
    frame->probe = true;
    return frame;
}

/* Each of them is given at most one: it is not idle afterwards, or gone. */
static void start_probes(struct service *service, const struct fleet *fleet)
{
    while (pool_has_unproven(fleet->pool, service->period_start_ns)) {
        struct frame *frame = make_probe(fleet->models);
        if (frame == NULL) {
            return; /* the watchdog will tell, or the next change */
        }
        if (pool_start_probe(fleet->pool, frame, service->period_start_ns) < 0) {
            frame_destroy(frame);
        }
    }
}

void service_pool_changed(struct service *service, const struct fleet *fleet)
{
    if (!service->server->stopping && !fleet->closing) {
        start_probes(service, fleet);
    }
}

void service_probe_finished(struct service *service, struct fleet *fleet, struct frame *frame,
                            enum proto_error error, const char *message)
{
    frame_destroy(frame);
    if (service->server->stopping) {
        return;
    }
    if (error == PROTO_OK) {
        fleet->proven = true;
        if (!service->announced) {
            service->announced = true;
            notify(service, "READY=1\n");
            log_message(&service->server->log, LOG_ID_READY, "ready");
            service_tell(service);
        }
    } else if (error != PROTO_WORKER_FAILED && error != PROTO_DEADLINE) {
        snprintf(fleet->refusal, sizeof(fleet->refusal),
                 "the default model cannot judge a picture: %s", message);
        if (!service->announced) {
            server_fail(service->server, "%s", fleet->refusal);
        }
    } /* else the pool replaces the worker, and the next one tries */
}

void service_tell(struct service *service)
{
    const struct server *server = service->server;
    const bool ready = server->pool != NULL && server_ready(server);
    const int state =
        ready | server->stopping << 1 | service->lowered << 2 | service->starving << 3;
    if (state == service->told_state) {
        return;
    }
    struct json_builder builder = {.good = true};
    cJSON *body = cJSON_CreateObject();
    service->told_state = state;
    json_put_bool(&builder, body, "ready", ready);
    json_put_bool(&builder, body, "stopping", server->stopping);
    json_put_bool(&builder, body, "lowered", service->lowered);
    json_put_bool(&builder, body, "starving", service->starving);
    events_publish(&service->server->events, EVENT_STATE, NULL,
                   json_builder_finish(&builder, body));
}

void service_frame_judged(struct service *service, const struct frame *frame)
{
    if (strcmp(frame->point, MODELS_POINT_AUTO) != 0) {
        return;
    }
    const uint64_t now = uv_hrtime();
    if (frame->point_index > 0) {
        service->lowered_ns = now;
    }
    const bool before = service->lowered;
    service->lowered =
        frame->point_index > 0 || (service->lowered && now - service->lowered_ns < LOWERED_NS);
    if (service->lowered && !before) {
        log_message(&service->server->log, LOG_ID_POINT_LOWERED,
                    "frames wait: those of camera %s are judged at a cheaper operating point",
                    frame->camera);
    }
    service_tell(service);
}

void service_reloading(struct service *service)
{
    char state[64];
    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\n", uv_hrtime() / 1000);
    notify(service, state);
}

void service_reloaded(struct service *service)
{
    if (service->announced) { /* else READY still comes */
        notify(service, "READY=1\n");
    }
}

static void on_status(uv_timer_t *timer)
{
    notify(timer->data, "");
}

static void on_watchdog(uv_timer_t *timer)
{
    struct service *service = timer->data;
    const uint64_t now = uv_hrtime();
    const bool healthy = pool_healthy(service->server->pool, service->period_start_ns, now);
    if (healthy) {
        notify(service, "WATCHDOG=1\n");
    } else if (!service->starving) {
        log_message(&service->server->log, LOG_ID_WATCHDOG_STARVED,
                    "a worker does not answer and cannot be replaced: the watchdog is not fed");
    }
    service->starving = !healthy;
    service_tell(service);
    service->period_start_ns = now;
    start_probes(service, service->server->setup->fleet);
}

void service_init(struct service *service, struct server *server)
{
    uint64_t watchdog_us = 0;
    service->server = server;
    service->told_state = -1;
    service->managed = getenv("NOTIFY_SOCKET") != NULL;
    uv_timer_init(&server->loop, &service->status);
    uv_timer_init(&server->loop, &service->watchdog);
    service->status.data = service;
    service->watchdog.data = service;
    if (service->managed && sd_watchdog_enabled(0, &watchdog_us) > 0) {
        const uint64_t period_ms = watchdog_us / 2000 > 0 ? watchdog_us / 2000 : 1;
        uv_timer_start(&service->watchdog, on_watchdog, period_ms, period_ms);
    }
}

void service_stop(struct service *service)
{
    uv_close((uv_handle_t *)&service->watchdog, NULL);
    uv_close((uv_handle_t *)&service->status, NULL);
    sd_notify(0, "STOPPING=1");
    service_tell(service);
}

void service_note(struct service *service)
{
    if (service->managed && !service->server->stopping &&
        !uv_is_active((uv_handle_t *)&service->status)) {
        uv_timer_start(&service->status, on_status, STATUS_MS, 0);
    }
}
