/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Events for subscribers, whom nobody waits for. Each subscriber has a bounded queue that its door
 * empties as fast as the client reads. What finds no room is lost: then all that comes is lost
 * until the queue is empty, and the next event says how much it was. Loop thread only; it writes to
 * no socket.
 *
 * An event is a JSON object, the same on every door (io.ocellus.varlink, Subscribe):
 *   {"event":"result","number":7,"result":{...}}   numbers rise by one for each event that is made
 */
#ifndef OCELLUS_DAEMON_EVENTS_H
#define OCELLUS_DAEMON_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/authorise.h"

struct cJSON;
struct subscriber;

enum event_kind {
    EVENT_STATE = 0,  /* of the service; the first that a subscriber gets */
    EVENT_RESULT,     /* of a frame */
    EVENT_ADAPTATION, /* an adapter's frames are judged by other weights */
    EVENT_RELOAD,     /* a reload ended */
    EVENT_DROPPED,    /* this subscriber lost events */
};

struct event {
    uint32_t references;
    enum event_kind kind;
    uint64_t number;
    size_t length;
    char text[]; /* with a NUL */
};

/* Zero-initialised: nothing happened yet. */
struct events {
    struct subscriber *subscribers; /* a list */
    uint64_t numbers;
    uint64_t lost;       /* by all subscribers since the start */
    uint32_t count;      /* of subscribers */
    struct event *state; /* the last of its kind; NULL: none yet */
};

/* Drop what is kept; no subscriber is left. */
void events_finish(struct events *events);

/* Would an event reach somebody? `camera`: of a result, else NULL. */
bool events_wanted(const struct events *events, const char *camera);

/*
 * Make an event with `body` as the member of the kind's name, and queue it for those it concerns.
 * The body is taken over; NULL, no memory for it: it counts as lost. Each subscriber's `ready`
 * runs, which may end that subscriber and no other.
 */
void events_publish(struct events *events, enum event_kind kind, const char *camera,
                    struct cJSON *body);

/*
 * A subscriber; `camera`: whose results it gets, empty: of all. What is the state is queued for it
 * already. ready(context) runs whenever something was queued. Errors: -EUSERS  there are as many as
 * may be, of this peer or in all; -ENOMEM.
 */
int events_subscribe(struct events *events, const char *camera, const struct peer *peer,
                     void (*ready)(void *context), void *context,
                     struct subscriber **ret_subscriber);
void events_unsubscribe(struct subscriber *subscriber);

/* The next event, which the caller releases; NULL: none now. */
struct event *events_next(struct subscriber *subscriber);
void event_release(struct event *event);

/* "result" and so on. */
const char *event_name(enum event_kind kind);

/* The event as a message of a stream of server-sent events, or as a Varlink reply that others
 * follow, its end mark not included. The caller frees it. NULL: out of memory. */
char *event_to_sse(const struct event *event, size_t *ret_length);
char *event_to_reply(const struct event *event, size_t *ret_length);

#endif
