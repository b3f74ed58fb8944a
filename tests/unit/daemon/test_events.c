/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Queues of subscribers: bounds, order, what is lost, who is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "daemon/events.h"
#include "daemon/limits.h"

static const struct peer somebody = {.uid = 1000}, another = {.uid = 1001};

static void count_ready(void *context)
{
    ++*(unsigned *)context;
}

static struct subscriber *subscribe(struct events *events, const char *camera, unsigned *ready)
{
    struct subscriber *subscriber = NULL;
    assert_int_equal(events_subscribe(events, camera, &somebody, count_ready, ready, &subscriber),
                     0);
    return subscriber;
}

static void publish(struct events *events, enum event_kind kind, const char *camera, size_t size)
{
    char *text = calloc(1, size + 1);
    assert_non_null(text);
    memset(text, 'x', size);
    events_publish(events, kind, camera, cJSON_CreateString(text));
    free(text);
}

/* The kind of the next event, -1: none. */
static int next_kind(struct subscriber *subscriber)
{
    struct event *event = events_next(subscriber);
    int kind = event != NULL ? (int)event->kind : -1;
    event_release(event);
    return kind;
}

static void test_state_first_then_what_concerns_one(void **state)
{
    (void)state;
    struct events events = {.numbers = 0};
    unsigned all_ready = 0, one_ready = 0;
    assert_false(events_wanted(&events, NULL));
    publish(&events, EVENT_STATE, NULL, 1); /* nobody is there */
    struct subscriber *all = subscribe(&events, "", &all_ready);
    struct subscriber *one = subscribe(&events, "porch", &one_ready);
    assert_true(events_wanted(&events, "yard"));
    publish(&events, EVENT_RESULT, "yard", 1);
    publish(&events, EVENT_RESULT, "porch", 1);
    publish(&events, EVENT_RELOAD, NULL, 1);
    assert_int_equal(all_ready, 3);
    assert_int_equal(one_ready, 2);
    assert_int_equal(next_kind(one), EVENT_STATE);
    struct event *event = events_next(one);
    assert_string_equal(event->text, "{\"event\":\"result\",\"number\":3,\"result\":\"x\"}");
    assert_int_equal(event->length, strlen(event->text));
    event_release(event);
    assert_int_equal(next_kind(one), EVENT_RELOAD);
    assert_int_equal(next_kind(one), -1);
    events_unsubscribe(all); /* with what waits for it */
    assert_false(events_wanted(&events, "yard"));
    events_unsubscribe(one);
    events_finish(&events);
}

static void test_queues_are_bounded_and_tell(void **state)
{
    (void)state;
    struct events events = {.numbers = 0};
    unsigned ready = 0;
    struct subscriber *slow = subscribe(&events, "", &ready);
    for (unsigned i = 0; i < LIMIT_EVENT_QUEUE + 10; i++) {
        publish(&events, EVENT_RELOAD, NULL, 1);
    }
    assert_int_equal(events.lost, 10);
    assert_int_equal(next_kind(slow), EVENT_RELOAD);
    publish(&events, EVENT_RELOAD, NULL, 1); /* there is room, but those before it are lost */
    for (unsigned i = 1; i < LIMIT_EVENT_QUEUE; i++) {
        assert_int_equal(next_kind(slow), EVENT_RELOAD);
    }
    struct event *event = events_next(slow);
    assert_string_equal(event->text,
                        "{\"event\":\"dropped\",\"number\":75,\"dropped\":{\"events\":11}}");
    event_release(event);
    assert_int_equal(next_kind(slow), -1);
    publish(&events, EVENT_RELOAD, NULL, 1);
    assert_int_equal(next_kind(slow), EVENT_RELOAD);
    /* Bytes are bounded, too, and one that is too large for any queue is lost. */
    publish(&events, EVENT_RESULT, "a", LIMIT_EVENT_QUEUE_BYTES / 2);
    publish(&events, EVENT_RESULT, "a", LIMIT_EVENT_QUEUE_BYTES / 2);
    assert_int_equal(next_kind(slow), EVENT_RESULT);
    assert_int_equal(next_kind(slow), EVENT_DROPPED);
    publish(&events, EVENT_RESULT, "a", LIMIT_EVENT_QUEUE_BYTES);
    assert_int_equal(next_kind(slow), EVENT_DROPPED);
    /* No memory for the body. */
    events_publish(&events, EVENT_RESULT, "a", NULL);
    assert_int_equal(next_kind(slow), EVENT_DROPPED);
    assert_int_equal(next_kind(slow), -1);
    events_unsubscribe(slow);
}

static void test_places_are_bounded(void **state)
{
    (void)state;
    struct events events = {.numbers = 0};
    unsigned ready = 0;
    struct subscriber *list[LIMIT_SUBSCRIBERS], *more;
    for (unsigned i = 0; i < LIMIT_SUBSCRIBERS; i++) {
        const struct peer *peer = i < LIMIT_SUBSCRIBERS_PER_PEER ? &somebody : &another;
        if (i == LIMIT_SUBSCRIBERS_PER_PEER) {
            assert_int_equal(events_subscribe(&events, "", &somebody, count_ready, &ready, &more),
                             -EUSERS);
        }
        assert_int_equal(events_subscribe(&events, "", peer, count_ready, &ready, &list[i]), 0);
    }
    const struct peer third = {.uid = 1002};
    assert_int_equal(events_subscribe(&events, "", &third, count_ready, &ready, &more), -EUSERS);
    events_unsubscribe(list[3]);
    assert_int_equal(events_subscribe(&events, "", &third, count_ready, &ready, &list[3]), 0);
    for (unsigned i = 0; i < LIMIT_SUBSCRIBERS; i++) {
        events_unsubscribe(list[i]);
    }
    assert_int_equal(events.count, 0);
    assert_null(events.subscribers);
}

struct leaver {
    struct subscriber *self;
};

static void leave(void *context)
{
    struct leaver *leaver = context;
    events_unsubscribe(leaver->self);
    leaver->self = NULL;
}

static void test_one_may_leave_while_it_is_told(void **state)
{
    (void)state;
    struct events events = {.numbers = 0};
    struct leaver leavers[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            events_subscribe(&events, "", &somebody, leave, &leavers[i], &leavers[i].self), 0);
    }
    publish(&events, EVENT_RELOAD, NULL, 1);
    assert_int_equal(events.count, 0);
    assert_null(leavers[0].self);
}

static void test_what_doors_send(void **state)
{
    (void)state;
    struct events events = {.numbers = 0};
    unsigned ready = 0;
    size_t length = 0;
    struct subscriber *one = subscribe(&events, "", &ready);
    events_publish(&events, EVENT_RELOAD, NULL, cJSON_CreateString("a\nb"));
    struct event *event = events_next(one);
    char *sse = event_to_sse(event, &length);
    assert_string_equal(sse, "event: reload\nid: 1\n"
                             "data: {\"event\":\"reload\",\"number\":1,\"reload\":\"a\\nb\"}\n\n");
    assert_int_equal(length, strlen(sse));
    char *reply = event_to_reply(event, &length);
    assert_string_equal(reply,
                        "{\"parameters\":{\"event\":\"reload\",\"number\":1,\"reload\":\"a\\nb\"},"
                        "\"continues\":true}");
    assert_int_equal(length, strlen(reply));
    free(sse);
    free(reply);
    event_release(event);
    events_unsubscribe(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_first_then_what_concerns_one),
        cmocka_unit_test(test_queues_are_bounded_and_tell),
        cmocka_unit_test(test_places_are_bounded),
        cmocka_unit_test(test_one_may_leave_while_it_is_told),
        cmocka_unit_test(test_what_doors_send),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
