/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The table of errors: names, HTTP statuses, errno values. */
#include "proto/error.h"

#include <errno.h>
#include <string.h>

#include <cjson/cJSON.h>

static const struct {
    const char *name;
    int http_status;
} errors[PROTO_ERROR_COUNT] = {
    [PROTO_OK] = {"", 200},
    [PROTO_UNSUPPORTED] = {"io.ocellus.Unsupported", 415},
    [PROTO_CORRUPT] = {"io.ocellus.Corrupt", 422},
    [PROTO_TOO_LARGE] = {"io.ocellus.TooLarge", 413},
    [PROTO_TOO_BUSY] = {"io.ocellus.TooBusy", 503},
    [PROTO_BAD_REQUEST] = {"io.ocellus.BadRequest", 400},
    [PROTO_FORBIDDEN] = {"io.ocellus.Forbidden", 403},
    [PROTO_DEADLINE] = {"io.ocellus.Deadline", 504},
    [PROTO_NOT_FOUND] = {"io.ocellus.NotFound", 404},
    [PROTO_METHOD_NOT_FOUND] = {"org.varlink.service.MethodNotFound", 405},
    [PROTO_WORKER_FAILED] = {"io.ocellus.WorkerFailed", 500},
    [PROTO_INTERNAL] = {"io.ocellus.Internal", 500},
    [PROTO_GONE] = {"io.ocellus.Gone", 410},
};

static enum proto_error known(enum proto_error error)
{
    return (unsigned)error < PROTO_ERROR_COUNT ? error : PROTO_INTERNAL;
}

const char *proto_error_name(enum proto_error error)
{
    return errors[known(error)].name;
}

int proto_error_http_status(enum proto_error error)
{
    return errors[known(error)].http_status;
}

enum proto_error proto_error_from_name(const char *name)
{
    for (unsigned i = PROTO_OK + 1; i < PROTO_ERROR_COUNT; i++) {
        if (strcmp(errors[i].name, name) == 0) {
            return (enum proto_error)i;
        }
    }
    return PROTO_INTERNAL;
}

enum proto_error proto_error_from_errno(int negative_errno)
{
    switch (negative_errno) {
    case 0:
        return PROTO_OK;
    case -EBADMSG:
        return PROTO_CORRUPT;
    case -ENOTSUP:
        return PROTO_UNSUPPORTED;
    case -EFBIG:
        return PROTO_TOO_LARGE;
    case -EINVAL:
        return PROTO_BAD_REQUEST;
    case -ETIME:
        return PROTO_DEADLINE;
    default:
        return PROTO_INTERNAL;
    }
}

struct cJSON *proto_error_to_json(enum proto_error error, const char *message)
{
    cJSON *root = cJSON_CreateObject();
    if (cJSON_AddStringToObject(root, "error", proto_error_name(error)) == NULL ||
        cJSON_AddStringToObject(cJSON_AddObjectToObject(root, "parameters"), "message", message) ==
            NULL) {
        cJSON_Delete(root);
        return NULL;
    }
    return root;
}
