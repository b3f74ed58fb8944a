/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The ring of codes against a plain list, and the history of updates against states kept beside
 * it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/history.h"
#include "daemon/ring.h"

/* ---- The ring ---- */

#define FRAMES 4000u

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Length and bytes of a frame follow from its id. */
static size_t fill(uint64_t frame, size_t most, uint8_t *bytes)
{
    uint32_t state = (uint32_t)frame * 2654435761u;
    size_t size = next_random(&state) % most;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)next_random(&state);
    }
    return size;
}

/* The newest frames are there, whole, without a gap; never more than fit, never none that could. */
static void check_ring(size_t room, size_t most)
{
    uint8_t bytes[2048];
    struct ring *ring;
    assert_int_equal(ring_create(room, &ring), 0);
    for (uint64_t frame = 1; frame <= FRAMES; frame++) {
        size_t held = 0;
        ring_put(ring, frame, bytes, fill(frame, most, bytes));
        const uint32_t count = ring_count(ring);
        assert_in_range(count, 1, room);
        for (uint64_t old = frame; old > 0 && old + 40 > frame; old--) {
            size_t size = 0;
            const uint8_t *found = ring_get(ring, old, &size);
            assert_true((found != NULL) == (old + count > frame));
            if (found != NULL) {
                held += size;
                assert_int_equal(size, fill(old, most, bytes));
                assert_memory_equal(found, bytes, size);
            }
        }
        assert_true(held <= room);
        if (frame > 200) { /* a wrap wastes less than one frame at either end */
            assert_true(count * (most + 24) + 3 * (most + 24) + 64 > room / 2);
        }
    }
    ring_destroy(ring);
}

static void test_ring(void **state)
{
    (void)state;
    struct ring *ring;
    size_t size;
    static uint8_t large[8192];
    assert_int_equal(ring_create(10, &ring), -EINVAL);
    check_ring(4096, 300);
    check_ring(4096, 1500);
    check_ring(5000, 17);
    assert_int_equal(ring_create(4096, &ring), 0);
    assert_null(ring_get(ring, 1, &size));
    ring_put(ring, 1, large, 1000);
    ring_put(ring, 2, large, sizeof(large)); /* does not fit: the others stay */
    assert_non_null(ring_get(ring, 1, &size));
    assert_null(ring_get(ring, 2, &size));
    ring_destroy(ring);
}

/* ---- The history ---- */

static int add(struct history *history, enum history_kind kind, uint64_t sequence, uint64_t target,
               const char *body)
{
    uint8_t payload[HISTORY_HEAD_BYTES + 32];
    const struct history_head head = {.kind = kind, .sequence = sequence, .target = target};
    history_write(&head, payload);
    memcpy(payload + HISTORY_HEAD_BYTES, body, strlen(body));
    return history_add(history, payload, HISTORY_HEAD_BYTES + strlen(body));
}

static int append(void *user, const void *delta, size_t size)
{
    char *text = user;
    strncat(text, delta, size);
    return 0;
}

/* The state as the deltas that made it, one letter each; a snapshot before them. */
static void expect(const struct history *history, const char *state)
{
    char text[64] = "";
    const void *snapshot;
    size_t size;
    assert_int_equal(history_walk(history, NULL, NULL, &snapshot, &size), 0);
    if (snapshot != NULL) {
        strncat(text, snapshot, size);
    }
    assert_int_equal(history_walk(history, append, text, &snapshot, &size), 0);
    assert_string_equal(text, state);
}

static void test_history(void **state)
{
    (void)state;
    struct history *history = history_create();
    uint64_t before;
    assert_non_null(history);
    expect(history, "");
    assert_int_equal(history_before(history, &before), -ENOENT);
    assert_int_equal(add(history, HISTORY_DELTA, 3, 0, "a"), 0);
    assert_int_equal(add(history, HISTORY_DELTA, 5, 0, "b"), 0);
    assert_int_equal(add(history, HISTORY_MARK, 6, 0, ""), 0);
    assert_int_equal(add(history, HISTORY_DELTA, 8, 0, "c"), 0);
    expect(history, "abc");
    assert_int_equal(history_before(history, &before), 0);
    assert_int_equal(before, 5);
    assert_int_equal(add(history, HISTORY_BACK, 9, before, ""), 0);
    expect(history, "ab");
    assert_int_equal(add(history, HISTORY_DELTA, 10, 0, "d"), 0);
    expect(history, "abd");
    assert_int_equal(add(history, HISTORY_BACK, 11, 8, ""), 0);
    expect(history, "abc");
    assert_int_equal(add(history, HISTORY_RESET, 12, 0, ""), 0);
    expect(history, "");
    assert_int_equal(add(history, HISTORY_DELTA, 13, 0, "e"), 0);
    expect(history, "e");
    assert_int_equal(history_before(history, &before), 0);
    assert_int_equal(before, 12);
    assert_int_equal(add(history, HISTORY_BACK, 14, 12, ""), 0);
    expect(history, "");
    assert_int_equal(history_before(history, &before), 0); /* the reset itself */
    assert_int_equal(add(history, HISTORY_BACK, 15, before, ""), 0);
    expect(history, "abc");
    assert_int_equal(add(history, HISTORY_BACK, 16, 0, ""), 0);
    expect(history, "");
    assert_int_equal(history_before(history, &before), -ENOENT);

    /* Numbers that do not rise, targets that are not there, payloads that are none. */
    assert_int_equal(add(history, HISTORY_DELTA, 16, 0, "x"), -EBADMSG);
    assert_int_equal(add(history, HISTORY_BACK, 17, 18, ""), -EBADMSG);
    assert_int_equal(add(history, HISTORY_DELTA, 17, 0, ""), -EBADMSG);
    assert_int_equal(add(history, HISTORY_RESET, 17, 0, "x"), -EBADMSG);
    assert_int_equal(add(history, 9, 17, 0, "x"), -EBADMSG);
    assert_int_equal(history_add(history, "OA", 2), -EBADMSG);
    assert_int_equal(history_sequence(history), 16);

    /* A snapshot: what came before cannot be reached any more. */
    assert_int_equal(add(history, HISTORY_SNAPSHOT, 16, 0, "S"), 0);
    expect(history, "S");
    assert_int_equal(history_reaches(history, 15), -ENOENT);
    assert_int_equal(history_reaches(history, 16), 0);
    assert_int_equal(history_reaches(history, 17), -ENOENT);
    assert_int_equal(history_before(history, &before), -ENOENT);
    assert_int_equal(add(history, HISTORY_DELTA, 20, 0, "f"), 0);
    history_stored(history, 7);
    assert_int_equal(add(history, HISTORY_DELTA, 22, 0, "g"), 0);
    history_stored(history, 8);
    expect(history, "Sfg");
    assert_int_equal(history_durable(history, 6), 16);
    assert_int_equal(history_durable(history, 7), 20);
    assert_int_equal(history_durable(history, 9), 22);
    assert_int_equal(add(history, HISTORY_BACK, 23, 16, ""), 0);
    expect(history, "S");
    assert_true(history_bytes(history) > 0);
    history_destroy(history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
