/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Read, compare, prepare, switch; or leave all as it is and say why. */
#include "daemon/reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "daemon/adaptation.h"
#include "daemon/limits.h"
#include "daemon/events.h"
#include "daemon/install.h"
#include "daemon/json_builder.h"
#include "daemon/log.h"
#include "daemon/memory_plan.h"
#include "daemon/method.h"
#include "daemon/server.h"

static void on_setup_idle(struct setup *setup)
{
    setup_destroy(setup);
}

int setup_create(struct server *server, struct config *config, char *ret_reason, size_t size,
                 struct setup **ret_setup)
{
    struct models *models = NULL;
    struct setup *setup = calloc(1, sizeof(*setup));
    const struct models_source source = install_source(&server->install);
    int r = setup == NULL ? -ENOMEM : models_load(config, &source, &models, ret_reason, size);
    if (setup == NULL) {
        snprintf(ret_reason, size, "out of memory");
    }
    if (r < 0) {
        free(setup);
        return r;
    }
    if (models->damage[0] != '\0') {
        log_message(&server->log, LOG_ID_MODEL_DAMAGED, "%s; the configured file is used",
                    models->damage);
    }
    struct memory_plan plan;
    r = memory_plan_make(config, models, fleet_count_workers(config), memory_plan_control_group(),
                         &plan);
    if (r < 0) {
        memory_plan_refuse(&plan, ret_reason, size);
        models_destroy(models);
        free(setup);
        return r;
    }
    struct fleet *fleet = server->setup != NULL ? server->setup->fleet : NULL;
    if (fleet != NULL && fleet_suits(fleet, config, models, plan.worker)) {
        models_destroy(models);
        fleet->users++;
    } else if ((r = fleet_create(server, config, models, plan.worker, &fleet)) < 0) {
        snprintf(ret_reason, size, "workers: %s: %s", config->worker_path, strerror(-r));
        models_destroy(models);
        free(setup);
        return r;
    }
    *setup = (struct setup){.config = config,
                            .models = fleet->models,
                            .pool = fleet->pool,
                            .fleet = fleet,
                            .idle = on_setup_idle};
    *ret_setup = setup;
    return 0;
}

void setup_destroy(struct setup *setup)
{
    struct fleet *fleet = setup->fleet;
    if (setup->pinned) { /* its configuration and models are an adapter's */
        fleet->server->pinned = setup;
    } else {
        config_destroy(setup->config);
        free(setup);
    }
    fleet_drop(fleet);
}

/* ---- What a reload cannot change ---- */

#define SAME_TEXT(key) (strcmp(a->key, b->key) == 0)

/* Cameras learn as they did. */
static bool same_adapters(const struct config *a, const struct config *b)
{
    for (uint32_t i = 0; i < a->camera_count; i++) {
        const struct config_camera *camera = &a->cameras[i];
        uint32_t k = 0;
        while (k < b->camera_count && strcmp(b->cameras[k].name, camera->name) != 0) {
            k++;
        }
        if (camera->adapter_slot != (k < b->camera_count ? b->cameras[k].adapter_slot : 0)) {
            return false;
        }
    }
    return a->adapter_count == b->adapter_count &&
           memcmp(a->adapters, b->adapters, a->adapter_count * sizeof(a->adapters[0])) == 0;
}

/* The key that differs, or NULL. Sockets are open, and places of cameras and of what is learned are
 * taken. */
static const char *needs_restart(const struct config *a, const struct config *b)
{
    return !SAME_TEXT(http_socket)                                              ? "http"
           : !SAME_TEXT(varlink_socket)                                         ? "varlink"
           : !SAME_TEXT(http_tcp)                                               ? "http-tcp"
           : a->socket_mode != b->socket_mode                                   ? "socket-mode"
           : !SAME_TEXT(socket_group)                                           ? "socket-group"
           : !SAME_TEXT(cpu_mask)                                               ? "cpu-mask"
           : a->cameras_max != b->cameras_max                                   ? "cameras-max"
           : memcmp(&a->adaptation, &b->adaptation, sizeof(a->adaptation)) != 0 ? "[adaptation]"
           : !same_adapters(a, b) || !same_adapters(b, a)                       ? "adapter"
                                                                                : NULL;
}

/* An adapter goes on over the same model, whose workers may be new. */
static bool adapters_fit(const struct server *server, const struct setup *next)
{
    for (uint32_t i = 0; i < next->config->adapter_count; i++) {
        const char *name = next->config->adapters[i].model;
        const int before = models_find(server->models, name),
                  after = models_find(next->models, name);
        if (before != after || strcmp(network_model_id(server->models->list[before].network),
                                      network_model_id(next->models->list[after].network)) != 0) {
            return false;
        }
    }
    return true;
}

/* ---- One reload ---- */

static const char not_ready[] = "workers do not get ready with the new configuration";

static void start(struct reload *reload);

static void answer_calls(struct reload *reload)
{
    while (reload->calls != NULL) {
        struct method_call *call = reload->calls;
        reload->calls = call->next;
        call->reloading = false;
        if (reload->trouble[0] != '\0') {
            call->done(call, PROTO_BAD_REQUEST, reload->trouble, NULL);
            continue;
        }
        cJSON *result = cJSON_CreateObject();
        if (cJSON_AddNumberToObject(result, "configuration", (double)reload->done) == NULL) {
            cJSON_Delete(result);
            call->done(call, PROTO_INTERNAL, "out of memory", NULL);
        } else {
            call->done(call, PROTO_OK, NULL, result);
        }
    }
}

static void tell(struct reload *reload)
{
    struct json_builder builder = {.good = true};
    if (events_wanted(&reload->server->events, NULL)) {
        cJSON *body = cJSON_CreateObject();
        json_put_number(&builder, body, "configuration", (double)reload->done);
        if (reload->trouble[0] != '\0') {
            json_put_string(&builder, body, "error", reload->trouble);
        }
        events_publish(&reload->server->events, EVENT_RELOAD, NULL,
                       json_builder_finish(&builder, body));
    }
}

static void finish(struct reload *reload)
{
    service_reloaded(&reload->server->service);
    tell(reload);
    answer_calls(reload); /* which may ask for the next, and close connections */
    if (reload->again && !reload->server->stopping) {
        reload->again = false;
        start(reload);
    }
}

static void fail(struct reload *reload, const char *reason)
{
    snprintf(reload->trouble, sizeof(reload->trouble), "%s", reason);
    log_message(&reload->server->log, LOG_ID_RELOAD_REFUSED,
                "reload: %s; the old configuration stays in force", reload->trouble);
    finish(reload);
}

static void fail_prepared(struct reload *reload, const char *reason)
{
    struct setup *next = reload->next;
    reload->next = NULL;
    char text[CONFIG_ERROR_BYTES];
    snprintf(text, sizeof(text), "%.4095s: %.500s", reload->path, reason);
    uv_timer_stop(&reload->timer);
    setup_destroy(next); /* the reason may be a part of it */
    fail(reload, text);
}

/* The one moment. */
static void switch_over(struct reload *reload)
{
    struct server *server = reload->server;
    struct setup *next = reload->next, *before = server->setup;
    uv_timer_stop(&reload->timer);
    if (next->pool != before->pool) {
        int r = pool_inherit(next->pool, before->pool);
        if (r < 0) {
            fail_prepared(reload, strerror(-r));
            return;
        }
        adaptation_set_pool(server->adaptation, next->pool);
    }
    reload->next = NULL;
    server_use(server, next);
    admission_switch(server->admission, next);
    admission_changed(server->admission);
    reload->done++;
    if (reload->trouble[0] != '\0' || next->pool != before->pool) {
        log_message(&server->log, LOG_ID_RELOADED, "reloaded%s",
                    next->pool != before->pool ? ", with new workers" : "");
    }
    reload->trouble[0] = '\0';
    if (before->frames == 0) {
        setup_destroy(before);
    }
    finish(reload);
}

static void on_timer(uv_timer_t *timer)
{
    struct reload *reload = timer->data;
    if (reload->next->fleet->proven) {
        switch_over(reload);
    } else {
        fail_prepared(reload, not_ready);
    }
}

void reload_fleet_changed(struct reload *reload, struct fleet *fleet)
{
    if (reload->next == NULL || reload->next->fleet != fleet || reload->server->stopping) {
        return;
    }
    if (fleet->refusal[0] != '\0') {
        fail_prepared(reload, fleet->refusal);
    } else if (!pool_healthy(fleet->pool, 0, uv_hrtime())) {
        fail_prepared(reload, not_ready);
    } else if (fleet_complete(fleet)) {
        switch_over(reload);
    }
}

/* A new setup, or why not in reload->trouble. */
static struct setup *prepare(struct reload *reload, char *reason, size_t size)
{
    struct server *server = reload->server;
    struct config *config;
    struct config_error error;
    struct setup *next;
    if (config_load(reload->path, &config, &error) < 0) {
        config_error_format(&error, reason, size);
        return NULL;
    }
    const char *key = needs_restart(server->config, config);
    int r = -EINVAL;
    char why[CONFIG_ERROR_BYTES - sizeof(error.file)];
    if (key != NULL) {
        snprintf(why, sizeof(why), "%s cannot change without a restart", key);
    } else {
        r = setup_create(server, config, why, sizeof(why), &next);
    }
    if (r == 0 && !adapters_fit(server, next)) {
        setup_destroy(next); /* with the configuration */
        snprintf(reason, size, "%s: the model of an adapter cannot change without a restart",
                 reload->path);
        return NULL;
    }
    if (r < 0) {
        config_destroy(config);
        snprintf(reason, size, "%s: %s", reload->path, why);
        return NULL;
    }
    return next;
}

static void start(struct reload *reload)
{
    char reason[CONFIG_ERROR_BYTES];
    reload->calls = reload->later;
    reload->later = NULL;
    service_reloading(&reload->server->service);
    reload->next = prepare(reload, reason, sizeof(reason));
    if (reload->next == NULL) {
        fail(reload, reason);
    } else if (reload->next->pool == reload->server->pool) {
        switch_over(reload);
    } else {
        uv_timer_start(&reload->timer, on_timer, LIMIT_RELOAD_MS, 0);
    }
}

/* ---- Who asks ---- */

void reload_init(struct reload *reload, struct server *server, const char *path)
{
    *reload = (struct reload){.server = server, .path = path, .done = 1};
    uv_timer_init(&server->loop, &reload->timer);
    uv_timer_init(&server->loop, &reload->soon);
    reload->timer.data = reload->soon.data = reload;
}

void reload_stop(struct reload *reload)
{
    struct setup *next = reload->next;
    uv_close((uv_handle_t *)&reload->timer, NULL);
    uv_close((uv_handle_t *)&reload->soon, NULL);
    reload->next = NULL;
    if (next != NULL) {
        setup_destroy(next); /* its fleet goes with the others */
    }
}

/* At once, or after the reload that is under way. */
static void ask(struct reload *reload)
{
    if (reload->next != NULL || reload->calls != NULL) {
        reload->again = true;
    } else {
        start(reload);
    }
}

static void on_soon(uv_timer_t *timer)
{
    ask(timer->data);
}

void reload_soon(struct reload *reload)
{
    uv_timer_start(&reload->soon, on_soon, 0, 0);
}

void reload_call(struct reload *reload, struct method_call *call)
{
    call->server = reload->server;
    call->reloading = true;
    call->next = reload->later;
    reload->later = call;
    ask(reload);
}

static void unlink_call(struct method_call **list, const struct method_call *call)
{
    while (*list != NULL && *list != call) {
        list = &(*list)->next;
    }
    if (*list != NULL) {
        *list = call->next;
    }
}

void reload_cancel(struct reload *reload, struct method_call *call)
{
    unlink_call(&reload->calls, call);
    unlink_call(&reload->later, call);
    call->reloading = false;
}
