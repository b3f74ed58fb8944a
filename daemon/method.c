/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The method table and what its methods do. */
#include "daemon/method.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "daemon/admission.h"
#include "daemon/events.h"
#include "daemon/method_adapt.h"
#include "daemon/metrics.h"
#include "daemon/server.h"
#include "daemon/status.h"
#include "daemon/trainer.h"
#include "proto/http.h"
#include "proto/varlink.h"

static_assert((int)PROTO_KIND_AUTO == (int)IMAGE_KIND_AUTO &&
                  (int)PROTO_KIND_JPEG == (int)IMAGE_KIND_JPEG &&
                  (int)PROTO_KIND_RAW == (int)IMAGE_KIND_RAW &&
                  (int)PROTO_KIND_PNM == (int)IMAGE_KIND_PNM &&
                  (int)PROTO_KIND_SENSOR == (int)IMAGE_KIND_SENSOR,
              "kinds are copied as they are");
static_assert((int)PROTO_CFA_RGGB == (int)IMAGE_CFA_RGGB &&
                  (int)PROTO_CFA_GRBG == (int)IMAGE_CFA_GRBG &&
                  (int)PROTO_CFA_GBRG == (int)IMAGE_CFA_GBRG &&
                  (int)PROTO_CFA_BGGR == (int)IMAGE_CFA_BGGR &&
                  (int)PROTO_CFA_MONO == (int)IMAGE_CFA_MONO,
              "mosaics are copied as they are");
static_assert((int)PROTO_PACKING_U8 == (int)IMAGE_PACKING_U8 &&
                  (int)PROTO_PACKING_U16LE == (int)IMAGE_PACKING_U16LE &&
                  (int)PROTO_PACKING_MIPI10 == (int)IMAGE_PACKING_MIPI10 &&
                  (int)PROTO_PACKING_MIPI12 == (int)IMAGE_PACKING_MIPI12,
              "packings are copied as they are");

/* The result is NULL when memory ran out while it was made. */
static void answer(struct method_call *call, cJSON *result)
{
    if (result == NULL) {
        call->done(call, PROTO_INTERNAL, "out of memory", NULL);
    } else {
        call->done(call, PROTO_OK, NULL, result);
    }
}

static void on_frame_done(struct frame *frame, enum proto_error error, const char *message,
                          const struct proto_result *result)
{
    struct method_call *call = frame->door;
    call->frame = NULL;
    if (error != PROTO_OK) {
        call->done(call, error, message, NULL);
    } else {
        answer(call, proto_result_to_json(result));
    }
}

static void set_sensor(struct image_sensor *sensor, const struct proto_sensor *described)
{
    *sensor = (struct image_sensor){
        .width = described->width,
        .height = described->height,
        .stride = described->stride,
        .cfa = (uint8_t)described->cfa,
        .packing = (uint8_t)described->packing,
        .black = (uint16_t)described->black,
        .white = (uint16_t)described->white,
        .nominal_white = (uint16_t)described->nominal_white,
    };
}

void method_submit_frame(struct server *server, struct method_call *call,
                         void (*done)(struct frame *frame, enum proto_error error,
                                      const char *message, const struct proto_result *result))
{
    struct frame *frame = call->frame;
    memcpy(frame->camera, call->request.camera, sizeof(frame->camera));
    memcpy(frame->model, call->request.model, sizeof(frame->model));
    memcpy(frame->point, call->request.point, sizeof(frame->point));
    frame->peer = *call->peer;
    frame->scan_wish = call->request.scan;
    frame->source = call->source;
    frame->length = call->length;
    frame->kind = (enum image_kind)call->request.kind;
    if (frame->kind == IMAGE_KIND_SENSOR) {
        set_sensor(&frame->sensor, &call->request.sensor);
    }
    frame->arrived_ns = uv_hrtime();
    frame->done = done;
    frame->door = call;
    admission_submit(server->admission, frame);
}

static void run_infer(struct server *server, struct method_call *call)
{
    method_submit_frame(server, call, on_frame_done);
}

/* True when the call had parameters, and was answered therefore. */
static bool refuse_parameters(struct method_call *call)
{
    if (call->parameters == NULL || call->parameters->child == NULL) {
        return false;
    }
    call->done(call, PROTO_BAD_REQUEST, "this method has no parameters", NULL);
    return true;
}

static void run_status(struct server *server, struct method_call *call)
{
    if (!refuse_parameters(call)) {
        answer(call, status_to_json(server));
    }
}

/* {"name":true} */
static cJSON *make_flag(const char *name)
{
    cJSON *result = cJSON_CreateObject();
    if (cJSON_AddTrueToObject(result, name) == NULL) {
        cJSON_Delete(result);
        return NULL;
    }
    return result;
}

static void run_health(struct server *server, struct method_call *call)
{
    (void)server;
    answer(call, make_flag("alive"));
}

static void run_ready(struct server *server, struct method_call *call)
{
    if (!server_ready(server)) {
        call->done(call, PROTO_TOO_BUSY, "no worker is ready", NULL);
    } else {
        answer(call, make_flag("ready"));
    }
}

static void run_metrics(struct server *server, struct method_call *call)
{
    char *text = metrics_text(server);
    cJSON *result = text != NULL ? cJSON_CreateString(text) : NULL;
    free(text);
    answer(call, result);
}

static void run_reload(struct server *server, struct method_call *call)
{
    if (!refuse_parameters(call)) {
        reload_call(&server->reload, call);
    }
}

static void run_load_model(struct server *server, struct method_call *call)
{
    install_load(&server->install, call);
    method_call_drop(server, call); /* what was not taken over */
}

static void run_rollback_model(struct server *server, struct method_call *call)
{
    const char *message;
    if (proto_model_from_json(call->parameters, false, &call->request, &message) < 0) {
        call->done(call, PROTO_BAD_REQUEST, message, NULL);
    } else {
        install_rollback(&server->install, call);
    }
}

static void run_subscribe(struct server *server, struct method_call *call)
{
    int r = events_subscribe(&server->events, call->request.camera, call->peer, call->ready, call,
                             &call->subscriber);
    if (r == -EUSERS) {
        call->done(call, PROTO_TOO_BUSY, "there are too many subscribers", NULL);
    } else if (r < 0) {
        call->done(call, PROTO_INTERNAL, "out of memory", NULL);
    }
}

static void run_get_info(struct server *server, struct method_call *call)
{
    (void)server;
    static const char *const interfaces[] = {"org.varlink.service", "io.ocellus"};
    if (refuse_parameters(call)) {
        return;
    }
    cJSON *result = cJSON_CreateObject();
    if (cJSON_AddStringToObject(result, "vendor", "The Ocellus Authors") == NULL ||
        cJSON_AddStringToObject(result, "product", "Ocellus") == NULL ||
        cJSON_AddStringToObject(result, "version", OCELLUS_VERSION) == NULL ||
        cJSON_AddStringToObject(result, "url", "") == NULL ||
        !cJSON_AddItemToObject(result, "interfaces", cJSON_CreateStringArray(interfaces, 2))) {
        cJSON_Delete(result);
        result = NULL;
    }
    answer(call, result);
}

static void run_get_description(struct server *server, struct method_call *call)
{
    (void)server;
    const cJSON *member = call->parameters != NULL ? call->parameters->child : NULL;
    const char *name = NULL;
    if (member != NULL && member->next == NULL && strcmp(member->string, "interface") == 0) {
        name = cJSON_GetStringValue(member);
    }
    if (name == NULL) {
        call->done(call, PROTO_BAD_REQUEST, "the only parameter is interface, a string", NULL);
        return;
    }
    const char *text = varlink_interface_text(name);
    if (text == NULL) {
        call->done(call, PROTO_NOT_FOUND, "there is no such interface", NULL);
        return;
    }
    cJSON *result = cJSON_CreateObject();
    if (cJSON_AddStringToObject(result, "description", text) == NULL) {
        cJSON_Delete(result);
        result = NULL;
    }
    answer(call, result);
}

static const struct method methods[] = {
    {
        .name = "io.ocellus.Infer",
        .path = "/v1/frames/",
        .verbs = HTTP_VERB_PUT | HTTP_VERB_POST,
        .allow = "PUT, POST",
        .column = AUTHORISE_CLIENTS,
        .takes = METHOD_TAKES_FRAME,
        .result_name = "result",
        .run = run_infer,
    },
    {
        .name = "io.ocellus.Status",
        .path = "/v1/status",
        .verbs = HTTP_VERB_GET,
        .allow = "GET",
        .column = AUTHORISE_CLIENTS,
        .run = run_status,
    },
    {
        .name = "io.ocellus.Label",
        .path = "/v1/labels",
        .verbs = HTTP_VERB_POST,
        .allow = "POST",
        .column = AUTHORISE_TRAINERS,
        .takes = METHOD_TAKES_LABEL,
        .run = method_label,
    },
    {
        .name = "io.ocellus.AdaptationStatus",
        .path = "/v1/adaptation",
        .verbs = HTTP_VERB_GET,
        .allow = "GET",
        .column = AUTHORISE_CLIENTS,
        .run = method_adaptation_status,
    },
    {
        .name = "io.ocellus.Sync",
        .path = "/v1/adaptation/sync",
        .verbs = HTTP_VERB_POST,
        .allow = "POST",
        .column = AUTHORISE_TRAINERS,
        .takes = METHOD_TAKES_JSON,
        .run = method_sync,
    },
    {
        .name = "io.ocellus.Undo",
        .path = "/v1/adaptation/undo",
        .verbs = HTTP_VERB_POST,
        .allow = "POST",
        .column = AUTHORISE_TRAINERS,
        .takes = METHOD_TAKES_JSON,
        .run = method_undo,
    },
    {
        .name = "io.ocellus.Rollback",
        .path = "/v1/adaptation/rollback",
        .verbs = HTTP_VERB_POST,
        .allow = "POST",
        .column = AUTHORISE_TRAINERS,
        .takes = METHOD_TAKES_JSON,
        .run = method_rollback,
    },
    {
        .name = "io.ocellus.Reset",
        .path = "/v1/adaptation/reset",
        .verbs = HTTP_VERB_POST,
        .allow = "POST",
        .column = AUTHORISE_TRAINERS,
        .takes = METHOD_TAKES_JSON,
        .run = method_reset,
    },
    {
        .name = "io.ocellus.Export",
        .path = "/v1/adaptation/export",
        .verbs = HTTP_VERB_POST,
        .allow = "POST",
        .column = AUTHORISE_TRAINERS,
        .takes = METHOD_TAKES_JSON,
        .run = method_export,
    },
    {
        .name = "io.ocellus.Import",
        .path = "/v1/adaptation/import",
        .verbs = HTTP_VERB_POST,
        .allow = "POST",
        .column = AUTHORISE_TRAINERS,
        .takes = METHOD_TAKES_JSON,
        .run = method_import,
    },
    {
        .name = "io.ocellus.Reload",
        .path = "/v1/reload",
        .verbs = HTTP_VERB_POST,
        .allow = "POST",
        .column = AUTHORISE_OPERATORS,
        .takes = METHOD_TAKES_JSON,
        .run = run_reload,
    },
    {
        .name = "io.ocellus.LoadModel",
        .column = AUTHORISE_OPERATORS,
        .takes = METHOD_TAKES_MODEL,
        .run = run_load_model,
    },
    {
        .name = "io.ocellus.RollbackModel",
        .column = AUTHORISE_OPERATORS,
        .run = run_rollback_model,
    },
    {
        .name = "io.ocellus.Subscribe",
        .path = "/events",
        .verbs = HTTP_VERB_GET,
        .allow = "GET",
        .column = AUTHORISE_CLIENTS,
        .takes = METHOD_TAKES_WATCH,
        .streams = true,
        .run = run_subscribe,
    },
    {
        .path = "/healthz",
        .verbs = HTTP_VERB_GET,
        .allow = "GET",
        .column = AUTHORISE_EVERYONE,
        .run = run_health,
    },
    {
        .path = "/readyz",
        .verbs = HTTP_VERB_GET,
        .allow = "GET",
        .column = AUTHORISE_EVERYONE,
        .run = run_ready,
    },
    {
        .path = "/metrics",
        .verbs = HTTP_VERB_GET,
        .allow = "GET",
        .column = AUTHORISE_CLIENTS | AUTHORISE(PEER_MONITOR),
        .text_type = "text/plain; version=0.0.4; charset=utf-8",
        .run = run_metrics,
    },
    {
        .name = "org.varlink.service.GetInfo",
        .column = AUTHORISE_EVERYONE,
        .run = run_get_info,
    },
    {
        .name = "org.varlink.service.GetInterfaceDescription",
        .column = AUTHORISE_EVERYONE,
        .run = run_get_description,
    },
};

#define METHOD_COUNT (sizeof(methods) / sizeof(methods[0]))

static_assert(METHOD_COUNT < METRICS_METHODS, "each method is counted");

const struct method *method_at(unsigned index)
{
    return index < METHOD_COUNT ? &methods[index] : NULL;
}

const struct method *method_by_name(const char *name)
{
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        if (methods[i].name != NULL && strcmp(methods[i].name, name) == 0) {
            return &methods[i];
        }
    }
    return NULL;
}

const struct method *method_by_path(const char *path, const char **ret_rest)
{
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        const struct method *method = &methods[i];
        size_t length = method->path != NULL ? strlen(method->path) : 0;
        if (length > 0 && strncmp(method->path, path, length) == 0 &&
            (method->path[length - 1] == '/') == (path[length] != '\0')) {
            *ret_rest = path + length;
            return method;
        }
    }
    return NULL;
}

void method_call_drop(struct server *server, struct method_call *call)
{
    free(call->bytes);
    call->bytes = NULL;
    if (call->fd >= 0) {
        close(call->fd);
        call->fd = -1;
    }
    admission_release(server->admission, call->reserved);
    call->reserved = 0;
}

void method_call_drop_frame(struct server *server, struct method_call *call)
{
    admission_release(server->admission, call->frame->reserved);
    frame_destroy(call->frame);
    call->frame = NULL;
}

void method_start(struct server *server, const struct method *method, struct method_call *call)
{
    call->frame = NULL;
    call->request_in_flight = NULL;
    call->subscriber = NULL;
    call->reloading = false;
    call->installing = false;
    if (method->takes == METHOD_TAKES_MODEL) {
        method->run(server, call);
        return;
    }
    if (call->bytes != NULL || call->fd >= 0) {
        struct frame *frame = frame_create();
        if (frame == NULL) {
            method_call_drop(server, call);
            call->done(call, PROTO_INTERNAL, "out of memory", NULL);
            return;
        }
        frame->bytes = call->bytes;
        frame->fd = call->fd;
        frame->reserved = call->reserved;
        call->bytes = NULL;
        call->fd = -1;
        call->reserved = 0;
        call->frame = frame;
    }
    method->run(server, call);
}

void method_cancel(struct server *server, struct method_call *call)
{
    if (call->frame != NULL) {
        admission_cancel(server->admission, call->frame);
        call->frame = NULL;
    }
    if (call->subscriber != NULL) {
        events_unsubscribe(call->subscriber);
        call->subscriber = NULL;
    }
    if (call->reloading) {
        reload_cancel(&server->reload, call);
    }
    if (call->installing) {
        install_cancel(&server->install, call);
    }
    if (call->request_in_flight != NULL) {
        call->request_in_flight->done = NULL; /* what it asks for happens all the same */
        call->request_in_flight = NULL;
    }
}
