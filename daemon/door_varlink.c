/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* One Varlink connection. Calls run side by side and are answered in their order. */
#include "daemon/door_varlink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <cjson/cJSON.h>

#include "daemon/admission.h"
#include "daemon/events.h"
#include "daemon/fd_queue.h"
#include "daemon/limits.h"
#include "daemon/method.h"
#include "daemon/metrics.h"
#include "daemon/server.h"
#include "daemon/varlink_frame.h"
#include "daemon/varlink_input.h"
#include "proto/varlink.h"

#define REPLY_BYTES 4096 /* most replies need no more */

/* STREAM: ready whenever there is a text, which others follow. */
enum slot_state { SLOT_FREE = 0, SLOT_BUSY, SLOT_READY, SLOT_STREAM };

/* A call whose reply is not out yet. */
struct slot {
    struct method_call call;
    const struct method *method;
    enum slot_state state;
    bool oneway;
    char *text; /* of the reply, SLOT_READY; NULL when there is none */
    size_t length, sent;
};

/* What the timer waits for. */
enum timer_phase {
    TIMER_OFF = 0,
    TIMER_IDLE,    /* the next call */
    TIMER_MESSAGE, /* the rest of a message */
    TIMER_REPLY,   /* a client that reads */
    TIMER_RESUME,  /* nothing: the loop's next turn */
    TIMER_STALE,   /* what is over: it must be set anew */
};

struct varlink_connection {
    struct connection base;
    uv_poll_t poll;
    uv_timer_t timer;
    unsigned handles; /* not closed yet */
    int fd, events;
    enum timer_phase phase;
    bool closed;
    bool ended;      /* the client will send no more */
    bool gone;       /* nor will it read */
    bool failed;     /* what it sends cannot be understood: close after the last reply */
    bool processing; /* process() is on the stack */

    struct varlink_scanner scanner;
    struct varlink_input input;
    struct fd_queue fds;

    struct slot slots[LIMIT_VARLINK_PIPELINE]; /* a ring in the order of the calls */
    unsigned first, used;
    size_t queued; /* bytes of all texts */
};

static void on_handle_closed(uv_handle_t *handle)
{
    struct varlink_connection *connection = handle->data;
    if (--connection->handles == 0) {
        close(connection->fd); /* not before its poll handle is closed */
        varlink_input_finish(&connection->input);
        free(connection);
    }
}

/* Drop a call without a word. */
static void free_slot(struct varlink_connection *connection, struct slot *slot)
{
    if (slot->state != SLOT_FREE) {
        method_cancel(connection->base.server, &slot->call);
        method_call_drop(connection->base.server, &slot->call);
        free(slot->text);
        *slot = (struct slot){.state = SLOT_FREE};
    }
}

/* The connection itself stays in memory until the loop's next turn. */
static void close_connection(struct varlink_connection *connection)
{
    struct server *server = connection->base.server;
    if (connection->closed) {
        return;
    }
    connection->closed = true;
    for (unsigned i = 0; i < LIMIT_VARLINK_PIPELINE; i++) {
        free_slot(connection, &connection->slots[i]);
    }
    fd_queue_close(&connection->fds);
    varlink_input_release(&connection->input, server->admission);
    server_remove(&connection->base);
    uv_close((uv_handle_t *)&connection->poll, on_handle_closed);
    uv_close((uv_handle_t *)&connection->timer, on_handle_closed);
}

static void on_drop(struct connection *base)
{
    close_connection((struct varlink_connection *)base);
}

static struct slot *first_slot(struct varlink_connection *connection)
{
    return &connection->slots[connection->first];
}

/* ---- Replies ---- */

static char end_mark(const struct varlink_connection *connection)
{
    return connection->scanner.terminator == VARLINK_TERMINATOR_NEWLINE ? '\n' : '\0';
}

/* The call is answered; takes the reply over. When memory runs out there is no text, and flush ends
 * the connection. */
static void set_reply(struct varlink_connection *connection, struct slot *slot, cJSON *reply)
{
    slot->state = SLOT_READY;
    if (!slot->oneway && !connection->gone) {
        slot->text = reply != NULL ? cJSON_PrintBuffered(reply, REPLY_BYTES, 0) : NULL;
        if (slot->text != NULL) {
            slot->length = strlen(slot->text);
            slot->text[slot->length++] = end_mark(connection);
            connection->queued += slot->length;
        }
    }
    cJSON_Delete(reply);
}

static void set_error(struct varlink_connection *connection, struct slot *slot,
                      enum proto_error error, const char *message)
{
    metrics_count_request(&connection->base.server->metrics, METRICS_VARLINK, slot->method, error);
    set_reply(connection, slot, proto_error_to_json(error, message));
}

/* Nobody reads replies any more. What was called oneway goes on. */
static void set_gone(struct varlink_connection *connection)
{
    connection->gone = true;
    for (unsigned i = 0; i < LIMIT_VARLINK_PIPELINE; i++) {
        struct slot *slot = &connection->slots[i];
        if (slot->state == SLOT_STREAM || (slot->state == SLOT_BUSY && !slot->oneway)) {
            method_cancel(connection->base.server, &slot->call);
            slot->state = SLOT_READY;
        }
    }
}

/* The next event of a stream becomes its text. False: there is none. */
static bool fetch_event(struct varlink_connection *connection, struct slot *slot)
{
    struct event *event = events_next(slot->call.subscriber);
    if (event == NULL) {
        return false;
    }
    slot->text = event_to_reply(event, &slot->length);
    slot->sent = 0;
    event_release(event);
    if (slot->text == NULL) {
        close_connection(connection);
        return false;
    }
    slot->text[slot->length++] = end_mark(connection); /* in place of the NUL */
    connection->queued += slot->length;
    return true;
}

/* Is there something to send? */
static bool first_ready(struct varlink_connection *connection)
{
    struct slot *slot = first_slot(connection);
    return connection->used > 0 &&
           (slot->state == SLOT_READY ||
            (slot->state == SLOT_STREAM && (slot->text != NULL || fetch_event(connection, slot))));
}

/* Send the text of a slot. False: not all of it now. */
static bool send_text(struct varlink_connection *connection, struct slot *slot)
{
    while (slot->text != NULL && slot->sent < slot->length && !connection->gone) {
        ssize_t n = send(connection->fd, slot->text + slot->sent, slot->length - slot->sent,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0) {
            slot->sent += (size_t)n;
        } else if (errno == EAGAIN) {
            if (connection->queued > LIMIT_REPLY_QUEUE_BYTES) {
                close_connection(connection);
            }
            return false;
        } else if (errno != EINTR) {
            set_gone(connection);
        }
    }
    return true;
}

/* Send what is ready, in order. */
static void flush(struct varlink_connection *connection)
{
    while (!connection->closed && first_ready(connection)) {
        struct slot *slot = first_slot(connection);
        if (!send_text(connection, slot)) {
            return;
        }
        bool missing = slot->text == NULL && !slot->oneway && !connection->gone;
        connection->queued -= slot->length;
        connection->phase = TIMER_STALE; /* the client reads: the next reply has its own time */
        if (slot->state == SLOT_STREAM) {
            free(slot->text);
            slot->text = NULL;
            slot->length = 0;
            continue;
        }
        free_slot(connection, slot);
        connection->first = (connection->first + 1) % LIMIT_VARLINK_PIPELINE;
        connection->used--;
        if (missing) {
            close_connection(connection);
            return;
        }
    }
}

/* ---- Calls ---- */

static void on_method_done(struct method_call *call, enum proto_error error, const char *message,
                           cJSON *result);
static void on_events(void *call);

/* Find the method and its arguments. PROTO_OK, or the error to answer. */
static enum proto_error check_call(struct varlink_connection *connection, struct slot *slot,
                                   const struct varlink_call *call, int *fds, unsigned fd_count,
                                   const char **ret_message)
{
    const struct server *server = connection->base.server;
    slot->method = method_by_name(call->method);
    if (slot->method == NULL) {
        *ret_message = "there is no such method";
        return PROTO_METHOD_NOT_FOUND;
    }
    if (!server_allows(server, slot->method, &connection->base.peer)) {
        *ret_message = "you may not call this method";
        return PROTO_FORBIDDEN;
    }
    if (call->more != slot->method->streams || call->upgrade || (call->more && call->oneway)) {
        *ret_message = slot->method->streams
                           ? "this method gives many replies: more, and nothing else"
                           : "this method gives one reply: neither more nor upgrade";
        return PROTO_BAD_REQUEST;
    }
    slot->call.parameters = call->parameters;
    const enum method_takes takes = slot->method->takes;
    struct proto_request *request = &slot->call.request;
    if (takes == METHOD_TAKES_WATCH &&
        proto_watch_from_json(call->parameters, request, ret_message) < 0) {
        return PROTO_BAD_REQUEST;
    }
    if (takes == METHOD_TAKES_MODEL) {
        return proto_model_from_json(call->parameters, true, request, ret_message) < 0
                   ? PROTO_BAD_REQUEST
                   : varlink_model_take(connection->scanner.terminator ==
                                            VARLINK_TERMINATOR_NEWLINE,
                                        &slot->call, fds, fd_count, ret_message);
    }
    if (takes == METHOD_TAKES_FRAME || takes == METHOD_TAKES_LABEL) {
        int r = takes == METHOD_TAKES_FRAME
                    ? proto_request_from_json(call->parameters, request, ret_message)
                    : proto_label_from_json(call->parameters, request, ret_message);
        if (r < 0) {
            return PROTO_BAD_REQUEST;
        }
        if (takes == METHOD_TAKES_FRAME || request->fd >= 0 || request->data != NULL) {
            return varlink_frame_take(server,
                                      connection->scanner.terminator == VARLINK_TERMINATOR_NEWLINE,
                                      &slot->call, fds, fd_count, ret_message);
        }
    }
    if (fd_count > 0) {
        *ret_message = "this method takes no descriptors";
        return PROTO_BAD_REQUEST;
    }
    return PROTO_OK;
}

static void run_call(struct varlink_connection *connection, struct slot *slot,
                     const struct varlink_call *call, int *fds, unsigned fd_count)
{
    const char *message;
    slot->oneway = call->oneway;
    if (connection->gone && !call->oneway) {
        slot->state = SLOT_READY; /* nobody would read the reply */
        return;
    }
    enum proto_error error = check_call(connection, slot, call, fds, fd_count, &message);
    if (error == PROTO_OK) {
        method_start(connection->base.server, slot->method, &slot->call);
        if (slot->call.subscriber != NULL) {
            slot->state = SLOT_STREAM;
            metrics_count_request(&connection->base.server->metrics, METRICS_VARLINK, slot->method,
                                  PROTO_OK);
        }
    } else if (error == PROTO_METHOD_NOT_FOUND) {
        metrics_count_request(&connection->base.server->metrics, METRICS_VARLINK, NULL, error);
        set_reply(connection, slot, varlink_method_not_found(message, call->method));
    } else {
        set_error(connection, slot, error, message);
    }
}

/* The next free place, and there is one: calls are read only then. */
static struct slot *add_slot(struct varlink_connection *connection)
{
    unsigned index = (connection->first + connection->used++) % LIMIT_VARLINK_PIPELINE;
    struct slot *slot = &connection->slots[index];
    *slot = (struct slot){
        .call = {.source = JOB_SOURCE_REGION,
                 .fd = -1,
                 .done = on_method_done,
                 .door = connection,
                 .peer = &connection->base.peer,
                 .ready = on_events},
        .state = SLOT_BUSY,
    };
    return slot;
}

static void handle_message(struct varlink_connection *connection, const char *data, size_t length)
{
    struct varlink_call call;
    const char *reason = "out of memory";
    int fds[LIMIT_VARLINK_FDS];
    unsigned fd_count =
        fd_queue_take(&connection->fds, connection->input.consumed + length + 1, fds);
    struct slot *slot = add_slot(connection);

    int r = varlink_call_parse(data, length, &call, &reason);
    if (r < 0) {
        set_error(connection, slot, r == -ENOMEM ? PROTO_INTERNAL : PROTO_BAD_REQUEST, reason);
    } else {
        run_call(connection, slot, &call, fds, fd_count);
        varlink_call_finish(&call);
    }
    for (unsigned i = 0; i < fd_count; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
}

/* What comes cannot be told apart any more: answer once, then close. */
static void fail(struct varlink_connection *connection, enum proto_error error, const char *message)
{
    connection->failed = true;
    set_error(connection, add_slot(connection), error, message);
    flush(connection);
}

/* ---- The connection ---- */

static bool has_unscanned(const struct varlink_connection *connection)
{
    return connection->scanner.scanned < connection->input.end - connection->input.start;
}

static void on_poll(uv_poll_t *poll, int status, int events);
static void on_timer(uv_timer_t *timer);

/* flush has left something that the client must read first. */
static bool has_text(struct varlink_connection *connection)
{
    const struct slot *slot = first_slot(connection);
    return connection->used > 0 &&
           (slot->state == SLOT_READY || (slot->state == SLOT_STREAM && slot->text != NULL));
}

static void update_events(struct varlink_connection *connection)
{
    bool reads = !connection->ended && !connection->failed &&
                 connection->used < LIMIT_VARLINK_PIPELINE && !has_unscanned(connection);
    bool writes = has_text(connection) && !connection->gone;
    /* Asking for priority data, which a Unix socket never has, lets a hang-up through that nobody
     * reads. */
    int events = (reads ? UV_READABLE : 0) | (writes ? UV_WRITABLE : 0) |
                 (connection->gone ? 0 : UV_PRIORITIZED);
    if (events == connection->events) {
        return;
    }
    connection->events = events;
    if (events == 0) {
        uv_poll_stop(&connection->poll);
    } else {
        uv_poll_start(&connection->poll, events, on_poll);
    }
}

static void update_timer(struct varlink_connection *connection)
{
    static const unsigned waits[] = {
        [TIMER_IDLE] = LIMIT_IDLE_TIMEOUT_MS,
        [TIMER_MESSAGE] = LIMIT_HEAD_TIMEOUT_MS,
        [TIMER_REPLY] = LIMIT_BODY_TIMEOUT_MS,
        [TIMER_RESUME] = 0,
    };
    enum timer_phase phase = has_unscanned(connection) && !connection->failed &&
                                     connection->used < LIMIT_VARLINK_PIPELINE
                                 ? TIMER_RESUME
                             : has_text(connection)                            ? TIMER_REPLY
                             : connection->used > 0                            ? TIMER_OFF
                             : connection->input.end > connection->input.start ? TIMER_MESSAGE
                                                                               : TIMER_IDLE;
    if (phase == connection->phase) {
        return;
    }
    connection->phase = phase;
    if (phase == TIMER_OFF) {
        uv_timer_stop(&connection->timer);
    } else {
        uv_timer_start(&connection->timer, on_timer, waits[phase], 0);
    }
}

/* After whatever happened: what to wait for now, or the end. */
static void update(struct varlink_connection *connection)
{
    if (connection->closed) {
        return;
    }
    bool more = !connection->failed && (!connection->ended || has_unscanned(connection));
    if (connection->used == 0 && !more) {
        close_connection(connection);
        return;
    }
    varlink_input_shrink(&connection->input, connection->base.server->admission);
    update_events(connection);
    update_timer(connection);
}

/* Work on the input as far as it and the pipeline go. */
static void process(struct varlink_connection *connection)
{
    connection->processing = true;
    while (!connection->closed && !connection->failed &&
           connection->used < LIMIT_VARLINK_PIPELINE && has_unscanned(connection)) {
        const char *data = connection->input.bytes + connection->input.start;
        size_t length = 0, consumed = 0;
        int r = varlink_scan(&connection->scanner, data,
                             connection->input.end - connection->input.start, &length, &consumed);
        if (r == -EAGAIN) {
            break;
        }
        if (r < 0) {
            fail(connection, PROTO_BAD_REQUEST,
                 "a message is a JSON object with a NUL, or from the first on a newline, after it");
            break;
        }
        handle_message(connection, data, length);
        connection->input.start += consumed;
        connection->input.consumed += consumed;
        connection->phase = TIMER_STALE; /* the next message has its own time */
        flush(connection);
    }
    connection->processing = false;
    update(connection);
}

static void on_method_done(struct method_call *call, enum proto_error error, const char *message,
                           cJSON *result)
{
    struct slot *slot = (struct slot *)call; /* of which it is the first member */
    struct varlink_connection *connection = call->door;
    if (error == PROTO_OK) {
        metrics_count_request(&connection->base.server->metrics, METRICS_VARLINK, slot->method,
                              error);
        set_reply(connection, slot, varlink_wrap_result(slot->method, result));
    } else {
        set_error(connection, slot, error, message);
    }
    if (!connection->processing) {
        /* What waits in the input is called on the loop's next turn: clients whose frames push each
         * other out must not recurse. */
        flush(connection);
        update(connection);
    }
}

static void on_events(void *call)
{
    struct varlink_connection *connection = ((struct method_call *)call)->door;
    if (!connection->processing) {
        flush(connection);
        update(connection);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct varlink_connection *connection = timer->data;
    enum timer_phase phase = connection->phase;
    connection->phase = TIMER_OFF;
    if (phase == TIMER_RESUME) {
        process(connection);
    } else {
        close_connection(connection);
    }
}

static void on_readable(struct varlink_connection *connection)
{
    int r = varlink_input_grow(&connection->input, connection->base.server->admission);
    if (r < 0) {
        fail(connection,
             r == -EFBIG     ? PROTO_TOO_LARGE
             : r == -ENOBUFS ? PROTO_TOO_BUSY
                             : PROTO_INTERNAL,
             r == -EFBIG     ? "the message is too large: pass frames as descriptors"
             : r == -ENOBUFS ? "too many frames are held already"
                             : "out of memory");
        return;
    }
    ssize_t n = fd_queue_receive(
        &connection->fds, connection->fd, connection->input.bytes + connection->input.end,
        connection->input.size - connection->input.end,
        connection->input.consumed + (connection->input.end - connection->input.start));
    if (n > 0) {
        connection->input.end += (size_t)n;
    } else if (n == 0) {
        connection->ended = true;
        if (server_peer_gone(connection->fd)) {
            set_gone(connection);
        }
    } else if (n != -EAGAIN && n != -EINTR) {
        close_connection(connection);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct varlink_connection *connection = poll->data;
    if (status < 0) {
        close_connection(connection);
        return;
    }
    if ((events & UV_READABLE) != 0) {
        on_readable(connection);
    } else if ((events & UV_PRIORITIZED) != 0 && server_peer_gone(connection->fd)) {
        set_gone(connection);
    }
    if (!connection->closed) {
        flush(connection);
        process(connection);
    }
}

int door_varlink_open(struct server *server, int fd, const struct peer *peer)
{
    struct varlink_connection *connection = calloc(1, sizeof(*connection));
    int r = connection != NULL ? varlink_input_init(&connection->input) : -ENOMEM;
    if (r == 0) {
        r = uv_poll_init(&server->loop, &connection->poll, fd);
    }
    if (r < 0) {
        if (connection != NULL) {
            varlink_input_finish(&connection->input);
        }
        free(connection);
        close(fd);
        return r;
    }
    connection->base.peer = *peer;
    connection->base.close = on_drop;
    connection->fd = fd;
    connection->scanner.terminator = VARLINK_TERMINATOR_UNKNOWN;
    connection->handles = 2;
    uv_timer_init(&server->loop, &connection->timer);
    connection->poll.data = connection;
    connection->timer.data = connection;
    server_add(server, &connection->base);
    update(connection);
    return 0;
}
