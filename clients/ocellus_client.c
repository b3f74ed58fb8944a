/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The connection: opens it, sends one call at a time with at most one descriptor, waits for the
 * reply and reads errors. */
#include "clients/ocellus_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "clients/result.h"
#include "proto/error.h"
#include "proto/varlink.h"

#define PUBLIC __attribute__((visibility("default")))

/* Replies are far smaller; this bounds the memory that a wrong peer can make us take. */
#define REPLY_BYTES_MAX    (4u << 20)
#define DEFAULT_TIMEOUT_MS 30000u
#define WAIT_MS_MAX        (UINT64_C(24) * 60 * 60 * 1000) /* of one system call */

struct ocellus_client {
    int fd;
    unsigned timeout_ms;
    bool
        broken; /* a reply is missing or was not understood: the next would answer the wrong call */
    struct varlink_scanner scanner;
    char *received;
    size_t size, room;
    char message[512];
};

__attribute__((format(printf, 3, 4))) static enum ocellus_error
fail(struct ocellus_client *client, enum ocellus_error error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(client->message, sizeof(client->message), format, arguments);
    va_end(arguments);
    client->broken = client->broken || error == OCELLUS_DISCONNECTED;
    return error;
}

PUBLIC const char *ocellus_error_name(enum ocellus_error error)
{
    static const char *const names[] = {
        [OCELLUS_OK] = "ok",
        [OCELLUS_UNSUPPORTED] = "unsupported",
        [OCELLUS_CORRUPT] = "corrupt",
        [OCELLUS_TOO_LARGE] = "too large",
        [OCELLUS_TOO_BUSY] = "too busy",
        [OCELLUS_BAD_REQUEST] = "bad request",
        [OCELLUS_FORBIDDEN] = "forbidden",
        [OCELLUS_DEADLINE] = "deadline",
        [OCELLUS_NOT_FOUND] = "not found",
        [OCELLUS_METHOD_NOT_FOUND] = "method not found",
        [OCELLUS_WORKER_FAILED] = "worker failed",
        [OCELLUS_INTERNAL] = "internal",
        [OCELLUS_GONE] = "gone",
        [OCELLUS_UNREACHABLE] = "unreachable",
        [OCELLUS_DISCONNECTED] = "disconnected",
        [OCELLUS_MEMORY] = "out of memory",
    };

    return (unsigned)error < sizeof(names) / sizeof(names[0]) ? names[error] : "unknown";
}

/* The library's list of errors begins with the daemon's. */
static enum ocellus_error from_proto(enum proto_error error)
{
    _Static_assert((int)PROTO_UNSUPPORTED == (int)OCELLUS_UNSUPPORTED, "same list");
    _Static_assert((int)PROTO_METHOD_NOT_FOUND == (int)OCELLUS_METHOD_NOT_FOUND, "same list");
    _Static_assert((int)PROTO_INTERNAL == (int)OCELLUS_INTERNAL, "same list");
    _Static_assert((int)PROTO_GONE == (int)OCELLUS_GONE, "same list");
    _Static_assert(PROTO_ERROR_COUNT == PROTO_GONE + 1, "same list");
    return (enum ocellus_error)error;
}

static int connect_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    int fd;

    if (length >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, length + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        int error = errno;
        close(fd);
        errno = error;
        fd = -1;
    }
    return fd;
}

PUBLIC enum ocellus_error ocellus_client_open(const char *path, unsigned timeout_ms,
                                              struct ocellus_client **ret_client)
{
    struct ocellus_client *client = calloc(1, sizeof(*client));

    if (client == NULL) {
        return OCELLUS_MEMORY;
    }
    client->timeout_ms = timeout_ms != 0 ? timeout_ms : DEFAULT_TIMEOUT_MS;
    client->scanner.terminator = VARLINK_TERMINATOR_NUL;
    client->fd = connect_socket(path != NULL ? path : OCELLUS_SOCKET);
    if (client->fd < 0) {
        int error = errno;
        free(client);
        errno = error;
        return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS
                   ? OCELLUS_MEMORY
                   : OCELLUS_UNREACHABLE;
    }
    *ret_client = client;
    return OCELLUS_OK;
}

PUBLIC void ocellus_client_close(struct ocellus_client *client)
{
    if (client != NULL) {
        close(client->fd);
        free(client->received);
        free(client);
    }
}

PUBLIC const char *ocellus_client_message(const struct ocellus_client *client)
{
    return client->message;
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Lets the next send or recv wait until the deadline. False when that is over. */
static bool limit_wait(struct ocellus_client *client, int option, uint64_t deadline)
{
    uint64_t now = now_ms();
    uint64_t left = deadline > now ? deadline - now : 0;
    left = left < WAIT_MS_MAX ? left : WAIT_MS_MAX;
    struct timeval wait = {.tv_sec = (time_t)(left / 1000),
                           .tv_usec = (suseconds_t)(left % 1000 * 1000)};

    /* Two zeros would mean for ever. */
    return left > 0 && setsockopt(client->fd, SOL_SOCKET, option, &wait, sizeof(wait)) == 0;
}

static enum ocellus_error timed_out(struct ocellus_client *client)
{
    return fail(client, OCELLUS_DISCONNECTED, "no reply within %u ms", client->timeout_ms);
}

/* The descriptor rides on the first byte of its message. */
static enum ocellus_error send_message(struct ocellus_client *client, const char *data, size_t size,
                                       int fd, uint64_t deadline)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};

    while (size > 0) {
        struct iovec part = {.iov_base = (char *)data, .iov_len = size};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        if (fd >= 0) {
            message.msg_control = &control;
            message.msg_controllen = sizeof(control);
            control.header.cmsg_level = SOL_SOCKET;
            control.header.cmsg_type = SCM_RIGHTS;
            control.header.cmsg_len = CMSG_LEN(sizeof(int));
            memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
        }
        if (!limit_wait(client, SO_SNDTIMEO, deadline)) {
            return timed_out(client);
        }
        ssize_t n = sendmsg(client->fd, &message, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            return timed_out(client);
        }
        if (n < 0 && errno == EBADF) {
            return fail(client, OCELLUS_BAD_REQUEST, "the descriptor is not open");
        }
        if (n < 0) {
            return fail(client, OCELLUS_DISCONNECTED, "ocellusd closed the connection: %s",
                        strerror(errno));
        }
        data += n;
        size -= (size_t)n;
        fd = -1;
    }
    return OCELLUS_OK;
}

static bool make_room(struct ocellus_client *client)
{
    if (client->size < client->room) {
        return true;
    }
    size_t room = client->room == 0 ? 16384 : client->room * 2;
    char *grown = room <= REPLY_BYTES_MAX ? realloc(client->received, room) : NULL;

    if (grown == NULL) {
        return false;
    }
    client->received = grown;
    client->room = room;
    return true;
}

/* The next message: client->received[0..*ret_length); drop *ret_consumed bytes afterwards. */
static enum ocellus_error receive_message(struct ocellus_client *client, uint64_t deadline,
                                          size_t *ret_length, size_t *ret_consumed)
{
    for (;;) {
        int r = client->size == 0 ? -EAGAIN
                                  : varlink_scan(&client->scanner, client->received, client->size,
                                                 ret_length, ret_consumed);
        if (r == 0) {
            return OCELLUS_OK;
        }
        if (r != -EAGAIN) {
            return fail(client, OCELLUS_DISCONNECTED, "the reply is not Varlink");
        }
        if (!make_room(client)) {
            return fail(client, OCELLUS_DISCONNECTED, "the reply is too long");
        }
        if (!limit_wait(client, SO_RCVTIMEO, deadline)) {
            return timed_out(client);
        }
        ssize_t n =
            recv(client->fd, client->received + client->size, client->room - client->size, 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN && now_ms() < deadline) {
            continue; /* a day is over */
        }
        if (n < 0 && errno == EAGAIN) {
            return timed_out(client);
        }
        if (n <= 0) {
            return fail(client, OCELLUS_DISCONNECTED, "ocellusd closed the connection%s%s",
                        n < 0 ? ": " : "", n < 0 ? strerror(errno) : "");
        }
        client->size += (size_t)n;
    }
}

/* The parameters of a reply that is no error; *ret_root owns them. */
static enum ocellus_error read_reply(struct ocellus_client *client, size_t length, cJSON **ret_root,
                                     cJSON **ret_parameters)
{
    cJSON *root = cJSON_ParseWithLength(client->received, length);
    cJSON *parameters = cJSON_GetObjectItemCaseSensitive(root, "parameters");
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "error"));

    if (name != NULL) {
        const char *message =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(parameters, "message"));
        enum ocellus_error error = from_proto(proto_error_from_name(name));
        fail(client, error, "%s", message != NULL ? message : name);
        cJSON_Delete(root);
        return error;
    }
    if (!cJSON_IsObject(parameters)) {
        cJSON_Delete(root);
        return fail(client, OCELLUS_DISCONNECTED, "the reply is not understood");
    }
    *ret_root = root;
    *ret_parameters = parameters;
    return OCELLUS_OK;
}

/* Sends `request` (which it frees; NULL means out of memory). */
static enum ocellus_error send_request(struct ocellus_client *client, cJSON *request, int fd,
                                       uint64_t deadline)
{
    char *text = request != NULL ? cJSON_PrintUnformatted(request) : NULL;
    enum ocellus_error error;

    cJSON_Delete(request);
    if (text == NULL) {
        return fail(client, OCELLUS_MEMORY, "out of memory");
    }
    if (client->broken) {
        free(text);
        return fail(client, OCELLUS_DISCONNECTED, "the connection is broken");
    }
    error = send_message(client, text, strlen(text) + 1, fd, deadline);
    free(text);
    return error;
}

/* The parameters of the next reply that is no error; *ret_root owns them. */
static enum ocellus_error receive_reply(struct ocellus_client *client, uint64_t deadline,
                                        cJSON **ret_root, cJSON **ret_parameters)
{
    size_t length = 0, consumed = 0;
    enum ocellus_error error = receive_message(client, deadline, &length, &consumed);
    if (error != OCELLUS_OK) {
        return error;
    }
    error = read_reply(client, length, ret_root, ret_parameters);
    client->size -= consumed;
    memmove(client->received, client->received + consumed, client->size);
    return error;
}

/* Sends a request and waits for the reply. */
static enum ocellus_error call(struct ocellus_client *client, cJSON *request, int fd,
                               cJSON **ret_root, cJSON **ret_parameters)
{
    uint64_t deadline = now_ms() + client->timeout_ms;
    enum ocellus_error error = send_request(client, request, fd, deadline);
    return error == OCELLUS_OK ? receive_reply(client, deadline, ret_root, ret_parameters) : error;
}

static bool add_text(cJSON *object, const char *name, const char *text)
{
    return text == NULL || cJSON_AddStringToObject(object, name, text) != NULL;
}

static bool add_number(cJSON *object, const char *name, uint32_t number)
{
    return number == 0 || cJSON_AddNumberToObject(object, name, number) != NULL;
}

static bool add_sensor(cJSON *parameters, const struct ocellus_sensor *sensor)
{
    cJSON *object = cJSON_AddObjectToObject(parameters, "sensor");

    return object != NULL && add_number(object, "width", sensor->width) &&
           add_number(object, "height", sensor->height) &&
           add_number(object, "stride", sensor->stride) && add_text(object, "cfa", sensor->cfa) &&
           add_text(object, "packing", sensor->packing) &&
           add_number(object, "black", sensor->black) &&
           add_number(object, "white", sensor->white) &&
           add_number(object, "nominal_white", sensor->nominal_white);
}

/* NULL when out of memory. */
static cJSON *infer_request(const struct ocellus_frame *frame)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *parameters = NULL;
    bool made = add_text(root, "method", "io.ocellus.Infer");

    parameters = cJSON_AddObjectToObject(root, "parameters");
    made = made && parameters != NULL && cJSON_AddNumberToObject(parameters, "fd", 0) != NULL;
    if (frame != NULL) {
        made = made && add_text(parameters, "camera", frame->camera) &&
               add_text(parameters, "model", frame->model) &&
               add_text(parameters, "point", frame->point) &&
               add_text(parameters, "scan", frame->scan) &&
               add_text(parameters, "format", frame->format) &&
               (frame->sensor == NULL || add_sensor(parameters, frame->sensor));
    }
    if (!made) {
        cJSON_Delete(root);
        return NULL;
    }
    return root;
}

PUBLIC enum ocellus_error ocellus_client_infer_fd(struct ocellus_client *client, int fd,
                                                  const struct ocellus_frame *frame,
                                                  struct ocellus_result **ret_result)
{
    cJSON *root = NULL, *parameters = NULL;

    if (fd < 0) {
        return fail(client, OCELLUS_BAD_REQUEST, "the frame's descriptor is not open");
    }
    enum ocellus_error error = call(client, infer_request(frame), fd, &root, &parameters);
    if (error != OCELLUS_OK) {
        return error;
    }
    error = result_from_json(cJSON_GetObjectItemCaseSensitive(parameters, "result"), ret_result);
    cJSON_Delete(root);
    if (error == OCELLUS_DISCONNECTED) {
        return fail(client, error, "the result is not understood");
    }
    return error == OCELLUS_OK ? error : fail(client, error, "out of memory");
}

static bool write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        bytes += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

PUBLIC enum ocellus_error ocellus_client_infer_bytes(struct ocellus_client *client,
                                                     const void *bytes, size_t size,
                                                     const struct ocellus_frame *frame,
                                                     struct ocellus_result **ret_result)
{
    int fd = memfd_create("ocellus-frame", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    enum ocellus_error error;

    if (fd < 0 || !write_all(fd, bytes, size) ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0) {
        error =
            fail(client, OCELLUS_MEMORY, "no room for a copy of the frame: %s", strerror(errno));
    } else {
        error = ocellus_client_infer_fd(client, fd, frame, ret_result);
    }
    if (fd >= 0) {
        close(fd);
    }
    return error;
}

PUBLIC void ocellus_result_destroy(struct ocellus_result *result)
{
    result_destroy(result);
}

static enum ocellus_error print_parameters(struct ocellus_client *client, cJSON *root,
                                           cJSON *parameters, char **ret_json)
{
    char *json = result_print(parameters);
    cJSON_Delete(root);
    if (json == NULL) {
        return fail(client, OCELLUS_MEMORY, "out of memory");
    }
    *ret_json = json;
    return OCELLUS_OK;
}

/* Calls, and hands out the parameters of the reply as text. Frees the request. */
static enum ocellus_error call_with_fd(struct ocellus_client *client, cJSON *request, int fd,
                                       char **ret_json)
{
    cJSON *root = NULL, *parameters = NULL;
    enum ocellus_error error = call(client, request, fd, &root, &parameters);
    return error == OCELLUS_OK ? print_parameters(client, root, parameters, ret_json) : error;
}

static enum ocellus_error call_for_text(struct ocellus_client *client, cJSON *request,
                                        char **ret_json)
{
    return call_with_fd(client, request, -1, ret_json);
}

/* {"method":...,"parameters":{}}; *ret_parameters belongs to it. NULL: out of memory. */
static cJSON *make_request(const char *method, cJSON **ret_parameters)
{
    cJSON *root = cJSON_CreateObject();
    *ret_parameters =
        add_text(root, "method", method) ? cJSON_AddObjectToObject(root, "parameters") : NULL;
    if (*ret_parameters == NULL) {
        cJSON_Delete(root);
        return NULL;
    }
    return root;
}

/* Numbers that cJSON would round. */
static bool add_large(cJSON *object, const char *name, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    return cJSON_AddRawToObject(object, name, text) != NULL;
}

PUBLIC enum ocellus_error ocellus_client_status(struct ocellus_client *client, char **ret_json)
{
    cJSON *request = cJSON_CreateObject();
    if (!add_text(request, "method", "io.ocellus.Status")) {
        cJSON_Delete(request);
        request = NULL;
    }
    return call_for_text(client, request, ret_json);
}

PUBLIC enum ocellus_error ocellus_client_label(struct ocellus_client *client, uint64_t frame,
                                               int box, const char *label, char **ret_json)
{
    cJSON *parameters;
    cJSON *request = make_request("io.ocellus.Label", &parameters);
    if (request != NULL &&
        !(add_large(parameters, "frame", frame) && add_text(parameters, "label", label) &&
          (box < 0 || add_large(parameters, "box", (uint64_t)box)))) {
        cJSON_Delete(request);
        request = NULL;
    }
    return call_for_text(client, request, ret_json);
}

PUBLIC enum ocellus_error ocellus_client_adapt(struct ocellus_client *client,
                                               enum ocellus_adapt what, const char *adapter,
                                               uint64_t sequence, const char *data, char **ret_json)
{
    static const char *const methods[] = {
        [OCELLUS_ADAPT_STATUS] = "io.ocellus.AdaptationStatus",
        [OCELLUS_ADAPT_SYNC] = "io.ocellus.Sync",
        [OCELLUS_ADAPT_UNDO] = "io.ocellus.Undo",
        [OCELLUS_ADAPT_ROLLBACK] = "io.ocellus.Rollback",
        [OCELLUS_ADAPT_RESET] = "io.ocellus.Reset",
        [OCELLUS_ADAPT_EXPORT] = "io.ocellus.Export",
        [OCELLUS_ADAPT_IMPORT] = "io.ocellus.Import",
    };
    cJSON *parameters;
    if ((unsigned)what >= sizeof(methods) / sizeof(methods[0])) {
        return fail(client, OCELLUS_BAD_REQUEST, "there is no such change");
    }
    cJSON *request = make_request(methods[what], &parameters);
    if (request != NULL &&
        !(add_text(parameters, "adapter", adapter) && add_text(parameters, "data", data) &&
          (what != OCELLUS_ADAPT_ROLLBACK || add_large(parameters, "sequence", sequence)))) {
        cJSON_Delete(request);
        request = NULL;
    }
    return call_for_text(client, request, ret_json);
}

PUBLIC enum ocellus_error ocellus_client_manage(struct ocellus_client *client,
                                                enum ocellus_manage what, const char *model, int fd,
                                                const char *sha256, char **ret_json)
{
    static const char *const methods[] = {"io.ocellus.Reload", "io.ocellus.LoadModel",
                                          "io.ocellus.RollbackModel"};
    cJSON *parameters;
    if ((unsigned)what >= sizeof(methods) / sizeof(methods[0]) ||
        (what == OCELLUS_MANAGE_LOAD_MODEL) != (fd >= 0)) {
        return fail(client, OCELLUS_BAD_REQUEST, "a load needs a descriptor, nothing else has one");
    }
    cJSON *request = make_request(methods[what], &parameters);
    if (request != NULL &&
        !(add_text(parameters, "model", model) && add_text(parameters, "sha256", sha256) &&
          (fd < 0 || cJSON_AddNumberToObject(parameters, "fd", 0) != NULL))) {
        cJSON_Delete(request);
        request = NULL;
    }
    return call_with_fd(client, request, fd, ret_json);
}

PUBLIC enum ocellus_error ocellus_client_subscribe(struct ocellus_client *client,
                                                   const char *camera)
{
    cJSON *parameters;
    cJSON *request = make_request("io.ocellus.Subscribe", &parameters);
    if (request != NULL && !(add_text(parameters, "camera", camera) &&
                             cJSON_AddTrueToObject(request, "more") != NULL)) {
        cJSON_Delete(request);
        request = NULL;
    }
    return send_request(client, request, -1, now_ms() + client->timeout_ms);
}

PUBLIC enum ocellus_error ocellus_client_next(struct ocellus_client *client, char **ret_json)
{
    cJSON *root = NULL, *parameters = NULL;
    if (client->broken) {
        return fail(client, OCELLUS_DISCONNECTED, "the connection is broken");
    }
    enum ocellus_error error = receive_reply(client, UINT64_MAX, &root, &parameters);
    return error == OCELLUS_OK ? print_parameters(client, root, parameters, ret_json) : error;
}
