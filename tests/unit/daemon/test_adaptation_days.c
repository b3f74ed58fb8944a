/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * 72 simulated hours of one label a minute, with the default budget, through a real store whose
 * clock is made up: once committed as adapters do, once with a sync asked for after every label.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"
#include "engine/store/store.h"

#define MINUTES       (72u * 60)
#define MINUTE_US     INT64_C(60000000)
#define SNAPSHOT_SIZE 40000u
#define RECORD_SIZE   6300u /* of an update of the shipped person model */

struct world {
    struct store_io io, real;
    int64_t now_us;
    int directory;
    char path[64];
};

static void now(void *context, int64_t *ret_real, int64_t *ret_monotonic)
{
    const struct world *world = context;
    *ret_real = INT64_C(1800000000000000) + world->now_us;
    *ret_monotonic = world->now_us;
}

#define FORWARD(call, ...)                                                                         \
    (((struct world *)context)->real.call(((struct world *)context)->real.context, __VA_ARGS__))

static int forward_open(void *context, const char *name, int flags, unsigned mode)
{
    return FORWARD(open, name, flags, mode);
}
static int forward_close(void *context, int fd)
{
    return FORWARD(close, fd);
}
static int64_t forward_pread(void *context, int fd, void *bytes, size_t size, uint64_t at)
{
    return FORWARD(pread, fd, bytes, size, at);
}
static int64_t forward_pwrite(void *context, int fd, const void *bytes, size_t size, uint64_t at)
{
    return FORWARD(pwrite, fd, bytes, size, at);
}
static int forward_size(void *context, int fd, uint64_t *ret_size)
{
    return FORWARD(size, fd, ret_size);
}
static int forward_allocate(void *context, int fd, uint64_t from, uint64_t size)
{
    return FORWARD(allocate, fd, from, size);
}
static int forward_truncate(void *context, int fd, uint64_t size)
{
    return FORWARD(truncate, fd, size);
}
static int forward_rename(void *context, const char *from, const char *to)
{
    return FORWARD(rename, from, to);
}
static int forward_unlink(void *context, const char *name)
{
    return FORWARD(unlink, name);
}
static int forward_list(void *context, void (*each)(void *user, const char *name), void *user)
{
    return FORWARD(list, each, user);
}
static int forward_lock(void *context, int fd)
{
    return FORWARD(lock, fd);
}
static int no_sync(void *context, int fd)
{
    (void)context;
    (void)fd;
    return 0;
}
static int no_directory_sync(void *context)
{
    (void)context;
    return 0;
}

static void open_world(struct world *world)
{
    memset(world, 0, sizeof(*world));
    snprintf(world->path, sizeof(world->path), "/tmp/ocellus-days-XXXXXX");
    assert_non_null(mkdtemp(world->path));
    world->directory = open(world->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(world->directory >= 0);
    world->now_us = 1;
    world->real = store_io_posix(&world->directory);
    world->io = (struct store_io){
        .open = forward_open,
        .close = forward_close,
        .pread = forward_pread,
        .pwrite = forward_pwrite,
        .size = forward_size,
        .allocate = forward_allocate,
        .truncate = forward_truncate,
        .sync = no_sync,
        .sync_directory = no_directory_sync,
        .rename = forward_rename,
        .unlink = forward_unlink,
        .list = forward_list,
        .lock = forward_lock,
        .now = now,
        .context = world,
    };
}

static void close_world(struct world *world)
{
    char command[96];
    close(world->directory);
    snprintf(command, sizeof(command), "rm -r %s", world->path);
    assert_int_equal(system(command), 0);
}

/* The defaults of the configuration, as it says them, and how many labels a record has. */
static struct store_settings default_settings(uint32_t *ret_labels)
{
    char path[] = "/tmp/ocellus-days-conf-XXXXXX";
    static const char text[] = "[model m]\npath = /m\n";
    struct config *config;
    struct config_error error;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    close(fd);
    assert_int_equal(config_load(path, &config, &error), 0);
    unlink(path);
    const struct store_settings settings = {
        .budget_day = config->adaptation.budget_day,
        .journal_allowance = (uint32_t)config->adaptation.journal_allowance,
        .log_max = 256u << 10,
        .reserve = 16u << 10,
    };
    assert_int_equal(config->adaptation.flush, 0); /* the trainer's own: 32 labels */
    *ret_labels = config->adaptation.commit_after_ms / 60000;
    assert_in_range(*ret_labels, 1, 32);
    config_destroy(config);
    return settings;
}

/* `every`: labels of one record, 0: as the defaults have it. Returns that. */
static uint32_t live(uint32_t every, struct store_ledger *ret_ledger)
{
    static uint64_t charged[MINUTES];
    static uint8_t bytes[SNAPSHOT_SIZE];
    uint32_t usual;
    const struct store_settings settings = default_settings(&usual);
    struct world world;
    struct store *store;
    struct store_opened opened;
    struct store_ledger ledger;
    uint64_t number;
    every = every == 0 ? usual : every;
    open_world(&world);
    assert_int_equal(store_open(&world.io, &settings, &store, &opened), 0);
    for (uint32_t minute = 0; minute < MINUTES; minute++) {
        int64_t wait;
        world.now_us += MINUTE_US;
        if ((minute + 1) % every == 0) {
            int r = store_append(store, bytes, RECORD_SIZE, &number);
            assert_true(r == 0 || r == -ENOBUFS);
            r = store_commit(store, &wait);
            assert_true(r == 0 || (r == -EDQUOT && wait > 0));
            if (r == 0 && store_wants_snapshot(store)) {
                r = store_snapshot(store, bytes, SNAPSHOT_SIZE, &wait);
                assert_true(r == 0 || r == -EDQUOT);
            }
        }
        store_get_ledger(store, &ledger);
        charged[minute] = ledger.charged;
        if (minute >= 24 * 60) {
            assert_true(charged[minute] - charged[minute - 24 * 60] <= settings.budget_day);
        } else {
            assert_true(charged[minute] <= settings.budget_day);
        }
    }
    *ret_ledger = ledger;
    store_close(store);
    close_world(&world);
    return every;
}

static void test_as_adapters_commit(void **state)
{
    struct store_ledger ledger;
    (void)state;
    const uint32_t every = live(0, &ledger);
    const uint64_t a_label = ledger.record_bytes / MINUTES;
    print_message("a record of %u labels: %llu KiB in 72 hours, %llu bytes of record a label\n",
                  every, (unsigned long long)(ledger.charged >> 10), (unsigned long long)a_label);
    assert_int_equal(ledger.committed, MINUTES / every); /* none has to wait */
    assert_true(a_label <= 256 && ledger.snapshots > 0);
}

static void test_sync_after_every_label(void **state)
{
    struct store_ledger ledger;
    (void)state;
    live(1, &ledger);
    print_message("a record each label: %llu KiB in 72 hours, %llu of %u durable\n",
                  (unsigned long long)(ledger.charged >> 10), (unsigned long long)ledger.committed,
                  MINUTES);
    assert_in_range(ledger.committed, 250, MINUTES - 1); /* the budget does bound it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_adapters_commit),
        cmocka_unit_test(test_sync_after_every_label),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
