/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The one method table of all doors: names, routes, who may call, what is done. A door fills in a
 * call, starts it and gets its answer; it knows nothing of frames. Loop thread only.
 */
#ifndef OCELLUS_DAEMON_METHOD_H
#define OCELLUS_DAEMON_METHOD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/authorise.h"
#include "daemon/frame.h"
#include "proto/error.h"
#include "proto/request.h"

struct cJSON;
struct server;
struct method_call;

struct subscriber;
struct trainer_request;

/* What a request brings besides parameters on Varlink. */
enum method_takes {
    METHOD_TAKES_NOTHING = 0,
    METHOD_TAKES_FRAME, /* a request, and a frame in bytes or fd */
    METHOD_TAKES_JSON,  /* on HTTP parameters: an object in the body */
    METHOD_TAKES_LABEL, /* a request: with a frame, or on HTTP as JSON */
    METHOD_TAKES_WATCH, /* a request: whose events */
    METHOD_TAKES_MODEL, /* a request, and a model's file in fd */
};

struct method {
    const char *name;  /* on Varlink; NULL: not there */
    const char *path;  /* on HTTP; NULL: not there. One that ends in / is followed by a name */
    unsigned verbs;    /* on HTTP: enum http_verb, or-ed */
    const char *allow; /* verbs as the Allow header has them */
    uint32_t column;   /* who may call: AUTHORISE(...) or-ed */
    enum method_takes takes;
    const char
        *result_name; /* on Varlink the result is a member of this name; NULL: it is the object */
    const char *text_type; /* not NULL: only on HTTP, the result is a string of this media type */
    bool streams;          /* gives events until one side ends it (method_call.subscriber) */
    void (*run)(struct server *server, struct method_call *call);
};

struct method_call {
    /* Set by the door. */
    const struct cJSON *parameters; /* valid until method_start returns; NULL: none */
    struct proto_request request;   /* of a method that takes a frame or a label */
    enum job_source source;
    uint8_t *bytes; /* source REGION: malloc'd; taken over by method_start, as is fd */
    size_t length;
    size_t reserved; /* bytes of admission's budget, taken over too */
    int fd;          /* source MAP and PREAD, or a model's file, else -1 */
    /* Called exactly once unless the call is cancelled, possibly before method_start returns.
     * PROTO_OK: the callee owns `result`, an object or with text_type a string; else `message` is a
     * sentence for people. */
    void (*done)(struct method_call *call, enum proto_error error, const char *message,
                 struct cJSON *result);
    void *door;
    /* Of a method that streams: who asks, and what runs when events are there to be fetched. Where
     * such a method does not call `done` it has set `subscriber`, which method_cancel ends. */
    const struct peer *peer;
    void (*ready)(void *call);
    struct subscriber *subscriber;

    struct method_call *next; /* of those that wait for a reload */
    bool reloading;           /* it waits for one */
    bool installing;          /* it waits for a model to be changed */
    struct frame *frame;      /* in flight; NULL: none */
    struct trainer_request *request_in_flight;
    struct server *server; /* of those */
};

/* NULL when there is none. */
const struct method *method_by_name(const char *name);

/*
 * The method of a decoded path; *ret_rest is what follows its own part: a camera's name, or "".
 * NULL when there is none. Whether the verb is one of its verbs is for the caller to see.
 */
const struct method *method_by_path(const char *path, const char **ret_rest);

/* Row `index` of the table; NULL behind the last. */
const struct method *method_at(unsigned index);

/* Free a frame that is not to be sent after all, and give its budget back. */
void method_call_drop(struct server *server, struct method_call *call);

/* For methods: send the call's frame, or free it. */
void method_submit_frame(struct server *server, struct method_call *call,
                         void (*done)(struct frame *frame, enum proto_error error,
                                      const char *message, const struct proto_result *result));
void method_call_drop_frame(struct server *server, struct method_call *call);

/* Run a method that the peer may call. */
void method_start(struct server *server, const struct method *method, struct method_call *call);

/* Nobody waits for the answer any more: done will not run. */
void method_cancel(struct server *server, struct method_call *call);

#endif
