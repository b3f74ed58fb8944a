/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Parameters -> requests to the trainer -> replies. */
#include "daemon/method_adapt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "daemon/adaptation.h"
#include "daemon/adaptation_json.h"
#include "daemon/admission.h"
#include "daemon/server.h"
#include "engine/network/network.h"
#include "proto/base64.h"
#include "proto/json.h"

static void refuse(struct method_call *call, enum proto_error error, const char *message)
{
    call->done(call, error, message, NULL);
}

static void answer(struct method_call *call, cJSON *result)
{
    if (result == NULL) {
        refuse(call, PROTO_INTERNAL, "out of memory");
    } else {
        call->done(call, PROTO_OK, NULL, result);
    }
}

/* ---- Requests ---- */

static void on_done(struct trainer_request *request)
{
    struct method_call *call = request->context;
    struct adaptation *adaptation = call->server->adaptation;
    const char *message;
    enum proto_error error = adaptation_error(adaptation, request, &message);
    call->request_in_flight = NULL;
    if (error != PROTO_OK) {
        refuse(call, error, message);
    } else {
        answer(call, adaptation_reply_to_json(adaptation, request));
    }
}

static void submit(struct server *server, struct method_call *call, struct trainer_request *request)
{
    const char *message;
    request->done = on_done;
    request->context = call;
    call->server = server;
    enum proto_error error = adaptation_submit(server->adaptation, request, &message);
    if (error != PROTO_OK) {
        refuse(call, error, message);
    } else {
        call->request_in_flight = request;
    }
}

static bool has_adapters(struct server *server, struct method_call *call)
{
    if (server->adaptation == NULL) {
        refuse(call, PROTO_NOT_FOUND, "no camera has an adapter");
        return false;
    }
    return true;
}

/* Bytes of a string of base64. The caller frees them. */
static enum proto_error decode(const char *text, uint8_t **ret_bytes, size_t *ret_size,
                               const char **ret_message)
{
    const size_t length = strlen(text);
    uint8_t *bytes = malloc(PROTO_BASE64_BYTES(length) + 1);
    if (bytes == NULL) {
        *ret_message = "out of memory";
        return PROTO_INTERNAL;
    }
    if (proto_base64_decode(text, length, bytes, ret_size) < 0) {
        free(bytes);
        *ret_message = "that is not base64";
        return PROTO_BAD_REQUEST;
    }
    *ret_bytes = bytes;
    return PROTO_OK;
}

/* ---- Labels ---- */

static bool find_label(const struct adaptation *adaptation, uint32_t adapter, const char *name,
                       uint32_t *ret_label)
{
    const struct network_model *network = adaptation_model(adaptation, adapter)->network;
    for (uint32_t i = 0; i < network_model_labels(network); i++) {
        if (strcmp(network_model_label(network, i), name) == 0) {
            *ret_label = i;
            return true;
        }
    }
    return false;
}

/* Takes the request over. */
static void teach(struct server *server, struct method_call *call, struct trainer_request *request)
{
    if (!find_label(server->adaptation, request->adapter, call->request.label, &request->label)) {
        trainer_request_destroy(request);
        refuse(call, PROTO_BAD_REQUEST, "the model has no such label");
        return;
    }
    submit(server, call, request);
}

static void teach_frame(struct server *server, struct method_call *call, uint64_t frame)
{
    struct trainer_request *request;
    const char *message;
    enum proto_error error =
        adaptation_recall(server->adaptation, frame, call->request.box, &request, &message);
    if (error != PROTO_OK) {
        refuse(call, error, message);
    } else {
        teach(server, call, request);
    }
}

static void teach_codes(struct server *server, struct method_call *call)
{
    const int adapter = adaptation_find(server->adaptation, call->request.adapter);
    uint8_t *bytes;
    size_t size;
    const char *message;
    if (adapter < 0) {
        refuse(call, PROTO_NOT_FOUND, "there is no such adapter");
        return;
    }
    enum proto_error error = decode(call->request.codes, &bytes, &size, &message);
    if (error != PROTO_OK) {
        refuse(call, error, message);
        return;
    }
    struct trainer_request *request = trainer_request_create(TRAINER_LABEL, bytes, size);
    free(bytes);
    if (request == NULL) {
        refuse(call, PROTO_INTERNAL, "out of memory");
        return;
    }
    request->adapter = (uint32_t)adapter;
    teach(server, call, request);
}

/* The image was judged; its codes are in the ring under the frame's number now. */
static void on_image_done(struct frame *frame, enum proto_error error, const char *message,
                          const struct proto_result *result)
{
    struct method_call *call = frame->door;
    call->frame = NULL;
    if (error != PROTO_OK) {
        refuse(call, error, message);
    } else {
        teach_frame(call->server, call, result->frame);
    }
}

void method_label(struct server *server, struct method_call *call)
{
    const struct proto_request *request = &call->request;
    if (call->frame != NULL && (server->adaptation == NULL ||
                                adaptation_of_camera(server->adaptation, request->camera) < 0)) {
        method_call_drop_frame(server, call);
        refuse(call, PROTO_NOT_FOUND, "this camera has no adapter");
    } else if (call->frame != NULL) {
        call->server = server;
        method_submit_frame(server, call, on_image_done);
    } else if (has_adapters(server, call)) {
        if (request->codes != NULL) {
            teach_codes(server, call);
        } else {
            teach_frame(server, call, request->frame);
        }
    }
}

/* ---- Changes of adapters ---- */

/* What these methods have as parameters. */
struct parameters {
    const char *adapter, *data; /* NULL: not given */
    int64_t sequence;           /* -1: not given */
};

static const char *read_parameters(const cJSON *object, struct parameters *ret_parameters)
{
    struct parameters parameters = {.sequence = -1};
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        const char **text = strcmp(item->string, "adapter") == 0 ? &parameters.adapter
                            : strcmp(item->string, "data") == 0  ? &parameters.data
                                                                 : NULL;
        if (cJSON_IsNull(item)) {
            continue;
        }
        if (text != NULL && *text == NULL && cJSON_IsString(item)) {
            *text = item->valuestring;
        } else if (strcmp(item->string, "sequence") == 0 && parameters.sequence < 0 &&
                   proto_json_whole(item) >= 0) {
            parameters.sequence = proto_json_whole(item);
        } else {
            return "the parameters are adapter and data, strings, and sequence, a number";
        }
    }
    *ret_parameters = parameters;
    return NULL;
}

/* The adapter that is named, or the only one. Answers the call where there is none. */
static bool choose_adapter(struct server *server, struct method_call *call, const char *name,
                           uint32_t *ret_adapter)
{
    int index = name != NULL ? adaptation_find(server->adaptation, name)
                : adaptation_count(server->adaptation) == 1 ? 0
                                                            : -EINVAL;
    if (index < 0) {
        refuse(call, index == -EINVAL ? PROTO_BAD_REQUEST : PROTO_NOT_FOUND,
               index == -EINVAL ? "there are several adapters: name one"
                                : "there is no such adapter");
        return false;
    }
    *ret_adapter = (uint32_t)index;
    return true;
}

static void change(struct server *server, struct method_call *call, enum trainer_op op)
{
    struct parameters parameters = {.sequence = -1};
    uint32_t adapter;
    uint8_t *bytes = NULL;
    size_t size = 0;
    const char *message = read_parameters(call->parameters, &parameters);
    if (message == NULL && (op == TRAINER_ROLLBACK) != (parameters.sequence >= 0)) {
        message = "a rollback, and nothing else, needs a sequence number";
    }
    if (message == NULL && (op == TRAINER_IMPORT) != (parameters.data != NULL)) {
        message = "an import, and nothing else, needs data";
    }
    if (message != NULL) {
        refuse(call, PROTO_BAD_REQUEST, message);
        return;
    }
    if (!has_adapters(server, call) ||
        !choose_adapter(server, call, parameters.adapter, &adapter)) {
        return;
    }
    if (parameters.data != NULL) {
        enum proto_error error = decode(parameters.data, &bytes, &size, &message);
        if (error != PROTO_OK) {
            refuse(call, error, message);
            return;
        }
    }
    struct trainer_request *request = trainer_request_create(op, bytes, size);
    free(bytes);
    if (request == NULL) {
        refuse(call, PROTO_INTERNAL, "out of memory");
        return;
    }
    request->adapter = adapter;
    request->sequence = parameters.sequence >= 0 ? (uint64_t)parameters.sequence : 0;
    submit(server, call, request);
}

void method_sync(struct server *server, struct method_call *call)
{
    change(server, call, TRAINER_SYNC);
}

void method_undo(struct server *server, struct method_call *call)
{
    change(server, call, TRAINER_UNDO);
}

void method_rollback(struct server *server, struct method_call *call)
{
    change(server, call, TRAINER_ROLLBACK);
}

void method_reset(struct server *server, struct method_call *call)
{
    change(server, call, TRAINER_RESET);
}

void method_export(struct server *server, struct method_call *call)
{
    change(server, call, TRAINER_EXPORT);
}

void method_import(struct server *server, struct method_call *call)
{
    change(server, call, TRAINER_IMPORT);
}

void method_adaptation_status(struct server *server, struct method_call *call)
{
    if (call->parameters != NULL && call->parameters->child != NULL) {
        refuse(call, PROTO_BAD_REQUEST, "this method has no parameters");
    } else {
        answer(call, adaptation_to_json(server->adaptation));
    }
}
