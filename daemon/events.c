/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* One text for each event, shared by the queues that hold it. */
#include "daemon/events.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "daemon/limits.h"
#include "proto/result.h"

struct subscriber {
    struct events *events;
    struct subscriber *previous, *next;
    char camera[PROTO_CAMERA_BYTES];
    struct peer peer;
    void (*ready)(void *context);
    void *context;
    struct event *queue[LIMIT_EVENT_QUEUE]; /* a ring */
    uint32_t first, used;
    size_t bytes;  /* of the queue */
    uint64_t lost; /* since the queue was empty */
};

const char *event_name(enum event_kind kind)
{
    static const char *const names[] = {
        [EVENT_STATE] = "state",   [EVENT_RESULT] = "result",   [EVENT_ADAPTATION] = "adaptation",
        [EVENT_RELOAD] = "reload", [EVENT_DROPPED] = "dropped",
    };
    return names[kind];
}

void event_release(struct event *event)
{
    if (event != NULL && --event->references == 0) {
        free(event);
    }
}

/* Takes the body; NULL: no memory. */
static struct event *make_event(enum event_kind kind, uint64_t number, cJSON *body)
{
    cJSON *root = cJSON_CreateObject();
    struct event *event = NULL;
    char *text = NULL;
    if (body == NULL || !cJSON_AddItemToObjectCS(root, event_name(kind), body)) {
        cJSON_Delete(body);
    } else {
        text = cJSON_PrintUnformatted(root);
    }
    cJSON_Delete(root);
    const size_t room = text != NULL ? strlen(text) + 64 : 0;
    event = text != NULL ? malloc(sizeof(*event) + room) : NULL;
    if (event != NULL) {
        *event = (struct event){.references = 1, .kind = kind, .number = number};
        /* The object's own brace is replaced by the members that all events have. */
        event->length =
            (size_t)snprintf(event->text, room, "{\"event\":\"%s\",\"number\":%" PRIu64 ",%s",
                             event_name(kind), number, text + 1);
    }
    free(text);
    return event;
}

/* ---- Queues ---- */

static void push(struct subscriber *subscriber, struct event *event)
{
    if (subscriber->lost > 0 || event == NULL || subscriber->used == LIMIT_EVENT_QUEUE ||
        event->length > LIMIT_EVENT_QUEUE_BYTES - subscriber->bytes) {
        subscriber->lost++;
        subscriber->events->lost++;
        return;
    }
    event->references++;
    subscriber->queue[(subscriber->first + subscriber->used++) % LIMIT_EVENT_QUEUE] = event;
    subscriber->bytes += event->length;
}

struct event *events_next(struct subscriber *subscriber)
{
    struct events *events = subscriber->events;
    struct event *event = NULL;
    if (subscriber->used > 0) {
        event = subscriber->queue[subscriber->first];
        subscriber->first = (subscriber->first + 1) % LIMIT_EVENT_QUEUE;
        subscriber->used--;
        subscriber->bytes -= event->length;
    } else if (subscriber->lost > 0) {
        cJSON *body = cJSON_CreateObject();
        if (cJSON_AddNumberToObject(body, "events", (double)subscriber->lost) == NULL) {
            cJSON_Delete(body);
            body = NULL;
        }
        event = make_event(EVENT_DROPPED, events->numbers, body);
        subscriber->lost = event != NULL ? 0 : subscriber->lost; /* else told later */
    }
    return event;
}

bool events_wanted(const struct events *events, const char *camera)
{
    for (const struct subscriber *one = events->subscribers; one != NULL; one = one->next) {
        if (camera == NULL || one->camera[0] == '\0' || strcmp(one->camera, camera) == 0) {
            return true;
        }
    }
    return false;
}

void events_publish(struct events *events, enum event_kind kind, const char *camera, cJSON *body)
{
    struct event *event = make_event(kind, ++events->numbers, body);
    if (kind == EVENT_STATE && event != NULL) {
        event_release(events->state);
        events->state = event;
        event->references++;
    }
    for (struct subscriber *one = events->subscribers, *next; one != NULL; one = next) {
        next = one->next;
        if (camera == NULL || one->camera[0] == '\0' || strcmp(one->camera, camera) == 0) {
            push(one, event);
            one->ready(one->context);
        }
    }
    event_release(event);
}

/* ---- Subscribers ---- */

int events_subscribe(struct events *events, const char *camera, const struct peer *peer,
                     void (*ready)(void *context), void *context,
                     struct subscriber **ret_subscriber)
{
    uint32_t same = 0;
    for (const struct subscriber *one = events->subscribers; one != NULL; one = one->next) {
        same += authorise_same_peer(&one->peer, peer);
    }
    if (events->count >= LIMIT_SUBSCRIBERS || same >= LIMIT_SUBSCRIBERS_PER_PEER) {
        return -EUSERS;
    }
    struct subscriber *subscriber = calloc(1, sizeof(*subscriber));
    if (subscriber == NULL) {
        return -ENOMEM;
    }
    subscriber->events = events;
    subscriber->peer = *peer;
    subscriber->ready = ready;
    subscriber->context = context;
    snprintf(subscriber->camera, sizeof(subscriber->camera), "%s", camera);
    subscriber->next = events->subscribers;
    if (subscriber->next != NULL) {
        subscriber->next->previous = subscriber;
    }
    events->subscribers = subscriber;
    events->count++;
    if (events->state != NULL) {
        push(subscriber, events->state);
    }
    *ret_subscriber = subscriber;
    return 0;
}

void events_unsubscribe(struct subscriber *subscriber)
{
    struct events *events = subscriber->events;
    while (subscriber->used > 0) {
        event_release(events_next(subscriber));
    }
    if (subscriber->previous != NULL) {
        subscriber->previous->next = subscriber->next;
    } else {
        events->subscribers = subscriber->next;
    }
    if (subscriber->next != NULL) {
        subscriber->next->previous = subscriber->previous;
    }
    events->count--;
    free(subscriber);
}

void events_finish(struct events *events)
{
    event_release(events->state);
    events->state = NULL;
}

/* ---- What doors send ---- */

static char *compose(const struct event *event, const char *before, const char *after,
                     size_t *ret_length)
{
    const size_t head = strlen(before), tail = strlen(after);
    char *text = malloc(head + event->length + tail + 1);
    if (text != NULL) {
        memcpy(text, before, head);
        memcpy(text + head, event->text, event->length);
        memcpy(text + head + event->length, after, tail + 1);
        *ret_length = head + event->length + tail;
    }
    return text;
}

char *event_to_sse(const struct event *event, size_t *ret_length)
{
    char before[80]; /* JSON without formatting is one line */
    snprintf(before, sizeof(before), "event: %s\nid: %" PRIu64 "\ndata: ", event_name(event->kind),
             event->number);
    return compose(event, before, "\n\n", ret_length);
}

char *event_to_reply(const struct event *event, size_t *ret_length)
{
    return compose(event, "{\"parameters\":", ",\"continues\":true}", ret_length);
}
