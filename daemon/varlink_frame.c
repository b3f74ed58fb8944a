/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Descriptors and base64 -> the frame of a call. Only fstat, F_GETFL and F_GET_SEALS are called on
 * descriptors of strangers: the workers read them. */
#include "daemon/varlink_frame.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cjson/cJSON.h>

#include "daemon/admission.h"
#include "daemon/limits.h"
#include "daemon/server.h"
#include "proto/base64.h"

/* What the daemon may know of a stranger's descriptor: that it cannot shrink under a mapping, or
 * that it is a file which is only read. PROTO_OK, or why the descriptor is refused. */
static enum proto_error check_fd(int fd, uint64_t bytes_max, enum job_source *ret_source,
                                 size_t *ret_length, const char **ret_message)
{
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS);
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
        *ret_message = "the descriptor is neither a memfd nor a regular file";
        return PROTO_BAD_REQUEST;
    }
    bool sealed = seals >= 0 && (seals & F_SEAL_SHRINK) != 0;
    if (!sealed && ((flags & O_ACCMODE) != O_RDONLY || (flags & O_PATH) != 0)) {
        *ret_message = "the descriptor must be a memfd with F_SEAL_SHRINK or a read-only file";
        return PROTO_BAD_REQUEST;
    }
    if (status.st_size <= 0) {
        *ret_message = "the file is empty";
        return PROTO_BAD_REQUEST;
    }
    if ((uint64_t)status.st_size > bytes_max) {
        *ret_message = "the file is over the limit, frame-bytes-max of a frame";
        return PROTO_TOO_LARGE;
    }
    *ret_source = sealed ? JOB_SOURCE_MAP : JOB_SOURCE_PREAD;
    *ret_length = (size_t)status.st_size;
    return PROTO_OK;
}

static enum proto_error take_data(const struct server *server, struct method_call *call,
                                  const char **ret_message)
{
    size_t length = strlen(call->request.data);
    size_t room = PROTO_BASE64_BYTES(length);
    if (room > LIMIT_BASE64_FRAME_BYTES + 2 || room > server->config->frame_bytes_max + 2) {
        *ret_message = "the frame is too large for base64: pass a descriptor";
        return PROTO_TOO_LARGE;
    }
    if (!admission_reserve(server->admission, room)) {
        *ret_message = "too many frames are held already";
        return PROTO_TOO_BUSY;
    }
    call->reserved = room;
    call->bytes = malloc(room + 1);
    if (call->bytes == NULL) {
        *ret_message = "out of memory";
        return PROTO_INTERNAL;
    }
    if (proto_base64_decode(call->request.data, length, call->bytes, &call->length) < 0 ||
        call->length == 0) {
        *ret_message = "data is empty or not base64";
        return PROTO_BAD_REQUEST;
    }
    return PROTO_OK;
}

/* The message brought the descriptors that the call names, one or none. */
static enum proto_error check_count(bool newline_mode, const struct method_call *call,
                                    unsigned fd_count, const char **ret_message)
{
    const unsigned named = call->request.fd >= 0 ? 1 : 0;
    if (newline_mode && named + fd_count > 0) {
        *ret_message = "messages that end in a newline carry no descriptors";
        return PROTO_BAD_REQUEST;
    }
    if (fd_count != named || call->request.fd >= (int)fd_count) {
        *ret_message = "the descriptors of the message are not those that the call names";
        return PROTO_BAD_REQUEST;
    }
    return PROTO_OK;
}

static enum proto_error take_fd(struct method_call *call, int *fds, uint64_t bytes_max,
                                const char **ret_message)
{
    enum proto_error error = check_fd(fds[0], bytes_max, &call->source, &call->length, ret_message);
    if (error == PROTO_OK) {
        call->fd = fds[0];
        fds[0] = -1;
    }
    return error;
}

enum proto_error varlink_frame_take(const struct server *server, bool newline_mode,
                                    struct method_call *call, int *fds, unsigned fd_count,
                                    const char **ret_message)
{
    enum proto_error error = check_count(newline_mode, call, fd_count, ret_message);
    if (error != PROTO_OK) {
        return error;
    }
    return fd_count == 0 ? take_data(server, call, ret_message)
                         : take_fd(call, fds, server->config->frame_bytes_max, ret_message);
}

enum proto_error varlink_model_take(bool newline_mode, struct method_call *call, int *fds,
                                    unsigned fd_count, const char **ret_message)
{
    enum proto_error error = check_count(newline_mode, call, fd_count, ret_message);
    return error == PROTO_OK ? take_fd(call, fds, NETWORK_FILE_MAX, ret_message) : error;
}

struct cJSON *varlink_wrap_result(const struct method *method, cJSON *result)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *parent = root;
    const char *name = "parameters";
    if (method->result_name != NULL) {
        parent = cJSON_AddObjectToObject(root, "parameters");
        name = method->result_name;
    }
    if (!cJSON_AddItemToObjectCS(parent, name, result)) {
        cJSON_Delete(result);
        cJSON_Delete(root);
        return NULL;
    }
    return root;
}

struct cJSON *varlink_method_not_found(const char *message, const char *method)
{
    cJSON *reply = proto_error_to_json(PROTO_METHOD_NOT_FOUND, message);
    cJSON *parameters = cJSON_GetObjectItemCaseSensitive(reply, "parameters");
    if (cJSON_AddStringToObject(parameters, "method", method) == NULL) {
        cJSON_Delete(reply);
        reply = NULL;
    }
    return reply;
}
