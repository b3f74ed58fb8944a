/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The store on real files: what is committed is read back, what is damaged is cut or refused, what
 * is over the budget waits. Crashes are tests/crash's.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/store/store.h"

static int64_t clock_real, clock_monotonic;

static void fixed_now(void *context, int64_t *ret_real, int64_t *ret_monotonic)
{
    (void)context;
    *ret_real = clock_real;
    *ret_monotonic = clock_monotonic;
}

struct fixture {
    char path[64];
    int directory;
    struct store_io io;
    struct store_settings settings;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    strcpy(f->path, "/tmp/ocellus-store-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    f->directory = open(f->path, O_RDONLY | O_DIRECTORY);
    assert_true(f->directory >= 0);
    f->io = store_io_posix(&f->directory);
    f->io.now = fixed_now;
    f->settings = (struct store_settings){.base = {1, 2, 3},
                                          .budget_day = 64 << 20,
                                          .journal_allowance = 4096,
                                          .log_max = 1 << 16,
                                          .reserve = 1 << 16};
    clock_real = INT64_C(1800000000000000);
    clock_monotonic = 1000000;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    close(f->directory);
    snprintf(command, sizeof(command), "rm -rf %s", f->path);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static struct store *open_store(struct fixture *f, enum store_state state, uint64_t sequence)
{
    struct store *store;
    struct store_opened opened;
    assert_int_equal(store_open(&f->io, &f->settings, &store, &opened), 0);
    assert_int_equal(opened.state, state);
    assert_int_equal(opened.sequence, sequence);
    assert_int_equal(opened.read_only, state == STORE_DAMAGED || state == STORE_FOREIGN);
    return store;
}

static void append(struct store *store, uint64_t number)
{
    uint8_t payload[200];
    uint64_t sequence;
    memset(payload, (int)number, sizeof(payload));
    assert_int_equal(store_append(store, payload, 1 + number % sizeof(payload), &sequence), 0);
    assert_int_equal(sequence, number);
}

static void commit(struct store *store)
{
    assert_int_equal(store_commit(store, NULL), 0);
}

struct reader {
    uint64_t next, snapshots;
};

static int check(void *user, uint64_t sequence, const void *payload, size_t size, bool snapshot)
{
    struct reader *reader = user;
    const uint8_t *bytes = payload;
    if (snapshot) {
        assert_int_equal(size, 5);
        assert_memory_equal(payload, "state", 5);
        reader->snapshots++;
        reader->next = sequence + 1;
        return 0;
    }
    assert_int_equal(sequence, reader->next++);
    assert_int_equal(size, 1 + sequence % 200);
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(bytes[i], (uint8_t)sequence);
    }
    return 0;
}

static struct reader read_all(struct store *store)
{
    struct reader reader = {.next = 1};
    assert_int_equal(store_read(store, check, &reader), 0);
    return reader;
}

static void test_committed_is_there_again(void **state)
{
    struct store *store = open_store(*state, STORE_FRESH, 0);
    for (uint64_t i = 1; i <= 20; i++) {
        append(store, i);
        if (i % 3 == 0) {
            commit(store);
        }
    }
    store_close(store); /* 19 and 20 were never committed */
    store = open_store(*state, STORE_CLEAN, 18);
    assert_int_equal(read_all(store).next, 19);
    append(store, 19);
    commit(store);
    store_close(store);
    store_close(open_store(*state, STORE_CLEAN, 19));
}

static void test_snapshot_begins_an_epoch(void **state)
{
    struct store *store = open_store(*state, STORE_FRESH, 0);
    append(store, 1);
    assert_int_equal(store_snapshot(store, "state", 5, NULL), -EINVAL);
    commit(store);
    assert_int_equal(store_snapshot(store, "state", 5, NULL), 0);
    append(store, 2);
    commit(store);
    store_close(store);
    store = open_store(*state, STORE_CLEAN, 2);
    struct reader reader = read_all(store);
    assert_int_equal(reader.snapshots, 1);
    assert_int_equal(reader.next, 3);
    store_close(store);
    struct fixture *f = *state;
    assert_int_equal(faccessat(f->directory, "log-0000000000000000", F_OK, 0), -1);
}

static void test_second_writer_is_refused(void **state)
{
    struct fixture *f = *state;
    struct store *store = open_store(f, STORE_FRESH, 0), *other;
    struct store_opened opened;
    assert_int_equal(store_open(&f->io, &f->settings, &other, &opened), -EBUSY);
    store_close(store);
}

/* Changes one byte `back` bytes from the end of a file, or cuts so many off. */
static void damage(struct fixture *f, const char *name, off_t back, bool cut)
{
    uint8_t byte;
    int fd = openat(f->directory, name, O_RDWR);
    assert_true(fd >= 0);
    off_t at = lseek(fd, 0, SEEK_END) - back;
    if (cut) {
        assert_int_equal(ftruncate(fd, at), 0);
    } else {
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x10;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
}

#define LOG0 "log-0000000000000000"

static void test_tail_is_cut_and_middle_refused(void **state)
{
    struct fixture *f = *state;
    struct store *store = open_store(f, STORE_FRESH, 0);
    for (uint64_t i = 1; i <= 6; i++) {
        append(store, i);
        commit(store);
    }
    store_close(store);
    damage(f, LOG0, 3, true); /* the last record alone */
    store = open_store(f, STORE_CUT, 5);
    assert_int_equal(read_all(store).next, 6);
    append(store, 6);
    commit(store);
    store_close(store);
    store_close(open_store(f, STORE_CLEAN, 6));
    damage(f, LOG0, 150, false); /* in the fifth: the sixth was a later commit */
    store = open_store(f, STORE_DAMAGED, 0);
    uint64_t sequence;
    assert_int_equal(store_append(store, "x", 1, &sequence), -EROFS);
    assert_int_equal(read_all(store).next, 1);
    store_close(store);
}

static void test_other_base_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct store *store = open_store(f, STORE_FRESH, 0);
    append(store, 1);
    commit(store);
    store_close(store);
    f->settings.base[0] ^= 1;
    store_close(open_store(f, STORE_FOREIGN, 0));
    f->settings.base[0] ^= 1;
    store_close(open_store(f, STORE_CLEAN, 1));
}

static void test_budget_says_when(void **state)
{
    struct fixture *f = *state;
    struct store_ledger ledger;
    int64_t wait = 0;
    f->settings.budget_day = 400 << 10; /* 100 KiB at once, 300 KiB a day */
    struct store *store = open_store(f, STORE_FRESH, 0);
    uint64_t number = 0;
    int err = 0;
    while (err == 0) {
        append(store, ++number);
        err = store_commit(store, &wait);
        assert_true(number < 100);
    }
    assert_int_equal(err, -EDQUOT);
    assert_true(number > 3);
    assert_true(wait > 0 && wait < INT64_C(86400000000));
    store_get_ledger(store, &ledger);
    assert_int_equal(ledger.committed, number - 1);
    assert_true(ledger.charged <= 100 << 10);
    clock_monotonic += wait - 1;
    assert_int_equal(store_commit(store, &wait), -EDQUOT);
    assert_int_equal(wait, 1);
    clock_monotonic += 1;
    assert_int_equal(store_commit(store, &wait), 0);
    store_close(store);
    /* A clock that went back gives nothing; one that jumped ahead no more than fits. */
    clock_real -= INT64_C(86400000000) * 400;
    store = open_store(f, STORE_CLEAN, number);
    store_get_ledger(store, &ledger);
    assert_true(ledger.budget_left < 20 << 10);
    store_close(store);
    clock_real += INT64_C(86400000000) * 4000;
    store = open_store(f, STORE_CLEAN, number);
    store_get_ledger(store, &ledger);
    assert_int_equal(ledger.budget_left, 100 << 10);
    store_close(store);
}

/* A device without a clock of its own: every start is at the same early time, until the network
 * tells it the right one. Hours that a run has counted do not count again. */
static void test_hours_count_once(void **state)
{
    const int64_t hour = INT64_C(3600000000);
    struct fixture *f = *state;
    struct store_ledger ledger;
    int64_t wait;
    uint64_t number = 0;
    f->settings.budget_day = 400 << 10; /* 12.5 KiB an hour */
    struct store *store = open_store(f, STORE_FRESH, 0);
    do {
        append(store, ++number);
    } while (store_commit(store, &wait) == 0);
    store_close(store);
    number--;
    const int64_t right = clock_real;
    clock_real -= 1000 * hour;
    store = open_store(f, STORE_CLEAN, number);
    clock_monotonic += 4 * hour;
    append(store, ++number);
    commit(store);
    store_get_ledger(store, &ledger);
    const int64_t left = ledger.budget_left;
    store_close(store);
    clock_real = right + 4 * hour;
    store = open_store(f, STORE_CLEAN, number);
    store_get_ledger(store, &ledger);
    assert_int_equal(ledger.budget_left, left);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_committed_is_there_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_snapshot_begins_an_epoch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_second_writer_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tail_is_cut_and_middle_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_base_is_left_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_budget_says_when, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hours_count_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
