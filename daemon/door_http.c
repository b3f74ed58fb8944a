/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * One HTTP connection. Requests are answered one after the other: while one is answered, the bytes
 * of the next wait in the input buffer and then in the socket. The body of a frame is read straight
 * into the buffer that the frame keeps.
 */
#include "daemon/door_http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include <cjson/cJSON.h>

#include "daemon/admission.h"
#include "daemon/events.h"
#include "daemon/http_body.h"
#include "daemon/http_socket.h"
#include "daemon/limits.h"
#include "daemon/method.h"
#include "daemon/metrics.h"
#include "daemon/server.h"
#include "proto/http.h"

#define INPUT_BYTES       (16u * 1024u)
#define RETRY_AFTER_S     1u
#define HTTP_UNAUTHORIZED 401

enum state {
    STATE_HEAD,   /* waiting for a request, or reading its head */
    STATE_BODY,   /* reading its body */
    STATE_BUSY,   /* its method runs */
    STATE_REPLY,  /* the rest of its reply is on the way */
    STATE_STREAM, /* events are its reply, one after the other */
    STATE_LINGER, /* the last reply is out; what still comes is thrown away */
    STATE_CLOSED,
};

struct http_connection {
    struct connection base;
    union http_socket socket;
    uv_timer_t timer;
    unsigned handles; /* not closed yet */
    enum state state;
    bool reading;
    bool ended;      /* the client will send no more */
    bool processing; /* process() is on the stack */
    bool keep_alive; /* after the reply under way */

    struct http_reader *reader;
    struct peer peer; /* who asks: that of the connection, on TCP by the request's token */
    const struct method *method;
    struct method_call call; /* bytes, length and reserved are the body so far */
    size_t progress;         /* body bytes since the timer was set */
    enum http_body body;

    uv_write_t write;
    uv_shutdown_t shutdown;
    char *reply; /* what could not be written at once */

    size_t input_start, input_end;
    char input[INPUT_BYTES];
};

static void on_handle_closed(uv_handle_t *handle)
{
    struct http_connection *connection = handle->data;
    if (--connection->handles == 0) {
        http_reader_destroy(connection->reader);
        free(connection->reply);
        free(connection);
    }
}

static void close_handles(struct http_connection *connection)
{
    connection->state = STATE_CLOSED;
    uv_close(&connection->socket.handle, on_handle_closed);
    uv_close((uv_handle_t *)&connection->timer, on_handle_closed);
}

/* The connection itself stays in memory until the loop's next turn. */
static void close_connection(struct http_connection *connection)
{
    if (connection->state == STATE_CLOSED) {
        return;
    }
    method_cancel(connection->base.server, &connection->call);
    method_call_drop(connection->base.server, &connection->call);
    server_remove(&connection->base);
    close_handles(connection);
}

static void on_drop(struct connection *base)
{
    close_connection((struct http_connection *)base);
}

static bool has_input(const struct http_connection *connection)
{
    return connection->input_start < connection->input_end;
}

static void on_timeout(uv_timer_t *timer);
static void on_resume(uv_timer_t *timer);

static void set_timer(struct http_connection *connection, unsigned ms)
{
    uv_timer_start(&connection->timer, on_timeout, ms, 0);
}

/* ---- The body ---- */

static int grow_body(struct http_connection *connection, size_t needed)
{
    return http_body_grow(connection->base.server, connection->body,
                          http_reader_head(connection->reader), needed, &connection->call);
}

/* The reader's callback: bytes of the body, which may lie where they belong already. */
static int on_body(void *context, const char *data, size_t size)
{
    struct http_connection *connection = context;
    struct method_call *call = &connection->call;
    if (connection->body == HTTP_BODY_NONE) {
        return -EINVAL;
    }
    int r = grow_body(connection, call->length + size);
    if (r < 0) {
        return r;
    }
    if ((const uint8_t *)data != call->bytes + call->length) {
        memcpy(call->bytes + call->length, data, size);
    }
    call->length += size;
    connection->progress += size;
    if (connection->progress >= LIMIT_BODY_PROGRESS_BYTES) {
        connection->progress = 0;
        set_timer(connection, LIMIT_BODY_TIMEOUT_MS);
    }
    return 0;
}

/* ---- Reading ---- */

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer);

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct http_connection *connection = handle->data;
    struct method_call *call = &connection->call;
    (void)suggested;
    bool direct = connection->state == STATE_BODY && connection->body == HTTP_BODY_FRAME &&
                  !http_reader_head(connection->reader)->chunked && !has_input(connection);
    /* Where the body cannot grow the input buffer serves, and its first byte brings the error up.
     */
    if (direct && grow_body(connection, call->length + 1) == 0) {
        *buffer = uv_buf_init((char *)call->bytes + call->length,
                              (unsigned)(call->reserved - call->length));
        return;
    }
    *buffer = uv_buf_init(connection->input + connection->input_end,
                          (unsigned)(INPUT_BYTES - connection->input_end));
}

/* Read whenever there is room, also while a method runs: only so a client that goes away is
 * noticed. */
static void update_reading(struct http_connection *connection)
{
    if (connection->state == STATE_CLOSED) {
        return;
    }
    if (!has_input(connection)) {
        connection->input_start = connection->input_end = 0;
    }
    bool wanted = !connection->ended && connection->input_end < INPUT_BYTES;
    if (wanted && !connection->reading) {
        uv_read_start(&connection->socket.stream, on_alloc, on_read);
    } else if (!wanted && connection->reading) {
        uv_read_stop(&connection->socket.stream);
    }
    connection->reading = wanted;
}

/* ---- Replies ---- */

static void on_shutdown(uv_shutdown_t *request, int status)
{
    (void)request;
    (void)status;
}

/* The reply is out: go on with the next request, or end. */
static void reply_sent(struct http_connection *connection)
{
    free(connection->reply);
    connection->reply = NULL;
    if (connection->ended && !(connection->keep_alive && has_input(connection))) {
        close_connection(connection);
        return;
    }
    if (!connection->keep_alive) {
        /* To close now would reset the connection of a client that still sends, and lose it the
         * reply. */
        connection->state = STATE_LINGER;
        connection->input_start = connection->input_end = 0;
        set_timer(connection, LIMIT_LINGER_MS);
        uv_shutdown(&connection->shutdown, &connection->socket.stream, on_shutdown);
    } else {
        connection->state = STATE_HEAD;
        connection->method = NULL;
        http_reader_reset(connection->reader);
        if (!has_input(connection)) {
            set_timer(connection, LIMIT_IDLE_TIMEOUT_MS);
        } else if (!connection->processing) {
            /* On the next turn: clients whose frames push each other out must not recurse. */
            uv_timer_start(&connection->timer, on_resume, 0, 0);
        }
    }
    update_reading(connection);
}

static void on_written(uv_write_t *request, int status)
{
    struct http_connection *connection = request->handle->data;
    if (connection->state != STATE_REPLY) {
        return;
    }
    if (status < 0) {
        close_connection(connection);
    } else {
        reply_sent(connection);
    }
}

/* Send what is left of the reply when the socket takes it. */
static void write_rest(struct http_connection *connection, size_t sent, size_t size)
{
    uv_buf_t buffer = uv_buf_init(connection->reply + sent, (unsigned)(size - sent));
    connection->state = STATE_REPLY;
    set_timer(connection, LIMIT_BODY_TIMEOUT_MS);
    if (uv_write(&connection->write, &connection->socket.stream, &buffer, 1, on_written) < 0) {
        close_connection(connection);
    } else {
        update_reading(connection);
    }
}

/* Send a reply; takes the body over. NULL: memory ran out while it was made. */
static void send_reply(struct http_connection *connection, struct http_response *response,
                       cJSON *body)
{
    char *text = http_body_print(response, body);
    size_t length = text != NULL ? strlen(text) : 0;
    connection->reply = text != NULL && length <= LIMIT_REPLY_QUEUE_BYTES
                            ? malloc(HTTP_RESPONSE_HEAD_BYTES + length)
                            : NULL;
    if (connection->reply == NULL) {
        free(text);
        close_connection(connection);
        return;
    }
    response->content_length = length;
    response->keep_alive = connection->keep_alive;
    size_t head = http_response_head(response, connection->reply);
    memcpy(connection->reply + head, text, length);
    free(text);

    const uv_buf_t buffer = uv_buf_init(connection->reply, (unsigned)(head + length));
    int sent = uv_try_write(&connection->socket.stream, &buffer, 1);
    sent = sent == UV_EAGAIN ? 0 : sent;
    if (sent < 0) {
        close_connection(connection);
    } else if ((size_t)sent == buffer.len) {
        reply_sent(connection);
    } else {
        write_rest(connection, (size_t)sent, buffer.len);
    }
}

static void send_error(struct http_connection *connection, enum proto_error error,
                       const char *message)
{
    metrics_count_request(&connection->base.server->metrics, METRICS_HTTP, connection->method,
                          error);
    const bool nobody = error == PROTO_FORBIDDEN && connection->peer.class == PEER_TCP;
    struct http_response response = {
        .status = nobody ? HTTP_UNAUTHORIZED : proto_error_http_status(error),
        .authenticate = nobody,
        .content_type = HTTP_BODY_JSON_TYPE,
        .retry_after = error == PROTO_TOO_BUSY ? RETRY_AFTER_S : 0,
        .allow = error == PROTO_METHOD_NOT_FOUND ? connection->method->allow : NULL,
    };
    send_reply(connection, &response, proto_error_to_json(error, message));
}

/* Refuse a request that was not read to its end: what follows cannot be told from it. */
static void refuse(struct http_connection *connection, enum proto_error error, const char *message)
{
    method_call_drop(connection->base.server, &connection->call);
    connection->keep_alive = false;
    send_error(connection, error, message);
}

static void on_method_done(struct method_call *call, enum proto_error error, const char *message,
                           cJSON *result)
{
    struct http_connection *connection = call->door;
    if (error != PROTO_OK) {
        send_error(connection, error, message);
    } else {
        const char *type = connection->method->text_type;
        struct http_response response = {
            .status = proto_error_http_status(PROTO_OK),
            .content_type = type != NULL ? type : HTTP_BODY_JSON_TYPE,
        };
        metrics_count_request(&connection->base.server->metrics, METRICS_HTTP, connection->method,
                              error);
        send_reply(connection, &response, result);
    }
}

/* ---- Events ---- */

static void stream_next(struct http_connection *connection);

static void on_event_written(uv_write_t *request, int status)
{
    struct http_connection *connection = request->handle->data;
    if (connection->state != STATE_STREAM) {
        return;
    }
    free(connection->reply);
    connection->reply = NULL;
    if (status < 0) {
        close_connection(connection);
    } else {
        set_timer(connection, LIMIT_STREAM_QUIET_MS);
        stream_next(connection);
    }
}

/* Send a piece of the stream, which is taken over; until it is out nothing follows. */
static void stream_write(struct http_connection *connection, char *text, size_t length)
{
    uv_buf_t buffer = uv_buf_init(text, (unsigned)length);
    connection->reply = text;
    set_timer(connection, LIMIT_BODY_TIMEOUT_MS);
    if (text == NULL || uv_write(&connection->write, &connection->socket.stream, &buffer, 1,
                                 on_event_written) < 0) {
        close_connection(connection);
    }
}

static void stream_next(struct http_connection *connection)
{
    struct event *event = connection->state == STATE_STREAM && connection->reply == NULL
                              ? events_next(connection->call.subscriber)
                              : NULL;
    if (event != NULL) {
        size_t length = 0;
        char *text = event_to_sse(event, &length);
        event_release(event);
        stream_write(connection, text, length);
    }
}

static void on_events(void *call)
{
    stream_next(((struct method_call *)call)->door);
}

static void stream_start(struct http_connection *connection)
{
    const struct http_response response = {
        .status = 200, .content_type = "text/event-stream", .stream = true};
    char *head = malloc(HTTP_RESPONSE_HEAD_BYTES);
    metrics_count_request(&connection->base.server->metrics, METRICS_HTTP, connection->method,
                          PROTO_OK);
    connection->state = STATE_STREAM;
    connection->input_start = connection->input_end = 0; /* what still comes is thrown away */
    stream_write(connection, head, head != NULL ? http_response_head(&response, head) : 0);
}

/* ---- Requests ---- */

static void on_head(struct http_connection *connection, bool more_is_here)
{
    const struct http_head *head = http_reader_head(connection->reader);
    const char *message;
    connection->peer = connection->base.peer;
    http_body_identify(connection->base.server,
                       http_reader_header(connection->reader, "authorization"), &connection->peer);
    connection->progress = 0;
    connection->call = (struct method_call){
        .source = JOB_SOURCE_REGION,
        .fd = -1,
        .done = on_method_done,
        .door = connection,
        .peer = &connection->peer,
        .ready = on_events,
    };
    enum proto_error error =
        http_body_open(connection->base.server, &connection->peer, head, &connection->method,
                       &connection->call.request, &connection->body, &message);
    bool has_body = head->chunked || head->content_length > 0;
    if (error != PROTO_OK && has_body) {
        refuse(connection, error, message);
        return;
    }
    if (error != PROTO_OK) {
        connection->keep_alive = http_reader_keep_alive(connection->reader);
        send_error(connection, error, message);
        return;
    }
    connection->state = STATE_BODY;
    set_timer(connection, LIMIT_BODY_TIMEOUT_MS);
    if (head->expect_continue && !more_is_here && has_body) {
        const uv_buf_t buffer = uv_buf_init((char *)HTTP_CONTINUE, (unsigned)strlen(HTTP_CONTINUE));
        if (uv_try_write(&connection->socket.stream, &buffer, 1) != (int)buffer.len) {
            close_connection(connection); /* the socket is empty: it takes so little at once */
        }
    }
}

static void start_with_json(struct http_connection *connection)
{
    struct method_call *call = &connection->call;
    cJSON *root;
    const char *message;
    enum proto_error error = http_body_read_json(connection->method, (const char *)call->bytes,
                                                 call->length, &call->request, &root, &message);
    method_call_drop(connection->base.server, call);
    call->parameters = root;
    if (error != PROTO_OK) {
        send_error(connection, error, message);
    } else {
        method_start(connection->base.server, connection->method, &connection->call);
    }
    call->parameters = NULL;
    cJSON_Delete(root);
}

static void on_end(struct http_connection *connection)
{
    struct server *server = connection->base.server;
    uv_timer_stop(&connection->timer);
    connection->state = STATE_BUSY;
    connection->keep_alive = http_reader_keep_alive(connection->reader);
    if (connection->body == HTTP_BODY_FRAME && connection->call.length == 0) {
        send_error(connection, PROTO_BAD_REQUEST, "the body is empty");
        return;
    }
    if (connection->body == HTTP_BODY_JSON) {
        start_with_json(connection);
    } else {
        method_start(server, connection->method, &connection->call);
    }
    if (connection->state == STATE_BUSY && connection->call.subscriber != NULL) {
        stream_start(connection);
    }
}

/* Feed bytes to the reader and act on what they bring. True when there may be more to do without
 * new bytes. */
static bool feed(struct http_connection *connection, const char *data, size_t size)
{
    size_t used = 0;
    enum http_event event = HTTP_EVENT_MORE;
    const char *reason = NULL;
    bool from_input = data == connection->input + connection->input_start;
    int r = http_reader_feed(connection->reader, data, size, &used, &event, &reason);
    if (from_input) {
        connection->input_start += r < 0 ? size : used;
    }
    if (r < 0) {
        const enum proto_error error = http_body_error(connection->body, r, &reason);
        refuse(connection, error, reason);
    } else if (event == HTTP_EVENT_HEAD) {
        on_head(connection, used < size);
    } else if (event == HTTP_EVENT_END) {
        on_end(connection);
    }
    return r == 0 && event != HTTP_EVENT_MORE;
}

/* Work on the input as far as it goes. */
static void process(struct http_connection *connection)
{
    bool more = true;
    connection->processing = true;
    while (more && (connection->state == STATE_BODY ||
                    (connection->state == STATE_HEAD && has_input(connection)))) {
        if (connection->state == STATE_HEAD && http_reader_idle(connection->reader)) {
            set_timer(connection, LIMIT_HEAD_TIMEOUT_MS);
        }
        more = feed(connection, connection->input + connection->input_start,
                    connection->input_end - connection->input_start);
    }
    connection->processing = false;
    if (connection->ended && (connection->state == STATE_HEAD || connection->state == STATE_BODY)) {
        close_connection(connection); /* the rest of the request will not come */
    }
    update_reading(connection);
}

static void on_resume(uv_timer_t *timer)
{
    process(timer->data);
}

static void on_timeout(uv_timer_t *timer)
{
    struct http_connection *connection = timer->data;
    bool idle = connection->state == STATE_HEAD && http_reader_idle(connection->reader);
    if (connection->state == STATE_STREAM && connection->reply == NULL) {
        stream_write(connection, strdup(":\n\n"), 3); /* a comment */
    } else if (!idle && (connection->state == STATE_HEAD || connection->state == STATE_BODY)) {
        refuse(connection, PROTO_BAD_REQUEST, "the request did not arrive in time");
    } else {
        close_connection(connection);
    }
}

/* ---- The socket ---- */

static void on_read_end(struct http_connection *connection, bool clean)
{
    connection->ended = true;
    if (!clean || http_socket_gone(&connection->socket) || connection->state == STATE_BODY ||
        connection->state == STATE_LINGER ||
        (connection->state == STATE_HEAD && !has_input(connection))) {
        close_connection(connection);
    } else {
        update_reading(connection);
    }
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct http_connection *connection = stream->data;
    if (count == 0 || connection->state == STATE_CLOSED) {
        return;
    }
    if (count < 0) {
        on_read_end(connection, count == UV_EOF);
        return;
    }
    if (connection->state == STATE_LINGER || connection->state == STATE_STREAM) {
        return;
    }
    if (buffer->base == connection->input + connection->input_end) {
        connection->input_end += (size_t)count;
        process(connection);
        return;
    }
    feed(connection, buffer->base,
         (size_t)count); /* in the body already, and no more than it needs */
    update_reading(connection);
}

int door_http_open(struct server *server, int fd, const struct peer *peer)
{
    struct http_connection *connection = calloc(1, sizeof(*connection));
    if (connection == NULL ||
        http_reader_create(LIMIT_HTTP_HEAD_BYTES, on_body, connection, &connection->reader) < 0) {
        free(connection);
        close(fd);
        return -ENOMEM;
    }
    connection->base.peer = *peer;
    connection->base.close = on_drop;
    connection->call.fd = -1;
    connection->handles = 2;
    uv_timer_init(&server->loop, &connection->timer);
    int r = http_socket_open(&connection->socket, &server->loop, fd, peer->class == PEER_TCP);
    connection->socket.handle.data = connection;
    connection->timer.data = connection;
    if (r < 0) {
        close_handles(connection);
        return r;
    }
    server_add(server, &connection->base);
    set_timer(connection, LIMIT_IDLE_TIMEOUT_MS);
    update_reading(connection);
    return 0;
}
