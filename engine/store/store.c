/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Opening and recovery, reading, the ledger. Every file is checked before it is believed. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/store/store_internal.h"

#define EPOCHS_MAX 64u /* of files of one kind that are looked at, the newest ones */

/* ---- the directory ---- */

/* Epochs of the files of one kind, the newest first. */
struct epochs {
    uint64_t epoch[EPOCHS_MAX];
    uint32_t count;
};

struct listing {
    struct epochs snap, log;
};

static void insert(struct epochs *epochs, uint64_t epoch)
{
    uint32_t at = epochs->count;
    while (at > 0 && epochs->epoch[at - 1] < epoch) {
        at--;
    }
    if (at == EPOCHS_MAX) {
        return;
    }
    if (epochs->count == EPOCHS_MAX) {
        epochs->count--;
    }
    memmove(&epochs->epoch[at + 1], &epochs->epoch[at],
            (epochs->count - at) * sizeof(epochs->epoch[0]));
    epochs->epoch[at] = epoch;
    epochs->count++;
}

static void see_name(void *user, const char *name)
{
    struct listing *listing = user;
    char again[STORE_NAME_SIZE];
    const char *kind = strncmp(name, "snap-", 5) == 0 ? "snap" : "log";
    const char *digits = strchr(name, '-');
    if (digits == NULL) {
        return;
    }
    const uint64_t epoch = strtoull(digits + 1, NULL, 16);
    store_name(again, kind, epoch);
    if (strcmp(again, name) == 0) { /* nothing else in front or behind */
        insert(kind[0] == 's' ? &listing->snap : &listing->log, epoch);
    }
}

static bool has(const struct epochs *epochs, uint64_t epoch)
{
    for (uint32_t i = 0; i < epochs->count; i++) {
        if (epochs->epoch[i] == epoch) {
            return true;
        }
    }
    return false;
}

static void clean_kind(struct store *store, const char *kind, const struct epochs *epochs)
{
    char name[STORE_NAME_SIZE];
    for (uint32_t i = 0; i < epochs->count; i++) {
        if (epochs->epoch[i] != store->epoch) {
            store_name(name, kind, epochs->epoch[i]);
            store->io.unlink(store->io.context, name);
            store_budget_charge(&store->budget, store->settings.journal_allowance);
        }
    }
}

/* What earlier epochs and an unfinished later one left. Errors do not matter: the next start tries
 * again. */
static void clean(struct store *store, const struct listing *listing)
{
    clean_kind(store, "snap", &listing->snap);
    clean_kind(store, "log", &listing->log);
}

/* ---- recovery ---- */

static void refuse(struct store *store, enum store_state state, const char *reason)
{
    store->opened.state = (uint8_t)state;
    store->opened.read_only = true;
    store->opened.reason = reason;
}

/* The newest snapshot that is whole becomes the store's epoch. */
static int find_snapshot(struct store *store, const struct listing *listing)
{
    for (uint32_t i = 0; i < listing->snap.count; i++) {
        struct store_file_header header;
        void *payload;
        int err = store_snapshot_load(store, listing->snap.epoch[i], &header, &payload);
        if (err == 0) {
            free(payload);
            store->epoch = listing->snap.epoch[i];
            store->salt = header.salt;
            store->snapshot_sequence = store->committed = header.sequence;
            store_budget_resume(&store->budget, &header.times);
            return 0;
        }
        if (err == -ESTALE) {
            refuse(store, STORE_FOREIGN, "the snapshot is of another base or version");
            return 0;
        }
        if (err != -EBADMSG && err != -EIO) {
            return err;
        }
        refuse(store, STORE_DAMAGED, "a snapshot is damaged");
    }
    return 0;
}

static int start_fresh(struct store *store)
{
    const int64_t times[2] = {store->budget.real, store->budget.monotonic};
    store->salt = XXH3_64bits_withSeed(times, sizeof(times), (uint64_t)(uintptr_t)store);
    store_budget_charge(&store->budget, store_log_create_cost(store));
    int err = store_log_create(store, 0, store->salt, 0, &store->log, &store->chain);
    if (err == 0) {
        err = store->io.sync_directory(store->io.context);
        store->syncs++;
    }
    store->end = store->allocated = sizeof(struct store_file_header);
    return err;
}

static int cut_tail(struct store *store, const struct store_scan *scan)
{
    const struct store_io *io = &store->io;
    /* The lost commit, and this. */
    store_budget_charge(&store->budget, 2 * store_cut_cost(store, scan->end, scan->size));
    /* Not synced: the next commit's sync is, and until then what is cut is still a tail. */
    int err = io->truncate(io->context, store->log, scan->end);
    store->opened.state = STORE_CUT;
    store->opened.reason = "an unfinished commit was cut off";
    return err;
}

/* S9. Bytes that a sync cannot make durable are dropped from memory: what is read then is what the
 * disk has. */
static int show_disk(struct store *store)
{
    const struct store_io *io = &store->io;
    store_budget_charge(&store->budget, 2 * (uint64_t)store->settings.journal_allowance);
    store->syncs += 2;
    int err = io->sync_directory(io->context);
    if (err < 0) {
        return err;
    }
    io->sync(io->context, store->log);
    return io->forget(io->context, store->log);
}

static int recover_log(struct store *store)
{
    struct store_scan scan;
    int err = show_disk(store);
    if (err < 0) {
        return err;
    }
    err = store_log_scan(store, store->log, store->epoch, store->committed, NULL, NULL, &scan);
    if (err == -ESTALE) {
        refuse(store, STORE_FOREIGN, "the log is of another base or version");
        return 0;
    }
    if (err == -EBADMSG || err == -EIO) {
        refuse(store, STORE_DAMAGED, "the head of the log is damaged");
        return 0;
    }
    if (err < 0) {
        return err;
    }
    if (scan.damaged) {
        refuse(store, STORE_DAMAGED, "the log is damaged before its end");
        return 0;
    }
    store_budget_resume(&store->budget, &scan.times);
    store->salt = scan.salt;
    store->chain = scan.chain;
    store->end = store->allocated = scan.end;
    store->committed = scan.sequence;
    return scan.tail ? cut_tail(store, &scan) : 0;
}

/* A log of epoch 0 too short for a record never held one: its making was broken off. */
static int open_log(struct store *store, const struct listing *listing, bool *ret_fresh)
{
    const struct store_io *io = &store->io;
    char name[STORE_NAME_SIZE];
    uint64_t size = 0;
    *ret_fresh = store->epoch == 0 && !has(&listing->log, 0);
    if (*ret_fresh && listing->log.count > 0) {
        refuse(store, STORE_DAMAGED, "the log is gone");
        *ret_fresh = false;
    }
    if (*ret_fresh || store->opened.read_only) {
        return 0;
    }
    store_name(name, "log", store->epoch);
    int fd = io->open(io->context, name, O_RDWR, 0);
    if (fd == -ENOENT) {
        refuse(store, STORE_DAMAGED, "the log is gone");
        return 0;
    }
    if (fd < 0) {
        return fd;
    }
    store->log = fd;
    int err = io->size(io->context, fd, &size);
    if (err == 0 && store->epoch == 0 && size <= sizeof(struct store_file_header)) {
        struct store_scan scan;
        err = store_log_scan(store, fd, 0, 0, NULL, NULL, &scan);
        if (err == -EBADMSG) {
            io->close(io->context, fd);
            store->log = -1;
            *ret_fresh = true;
            err = 0;
        } else if (err == -ESTALE) {
            err = 0;
        }
    }
    return err;
}

static int recover(struct store *store)
{
    struct listing listing = {0};
    bool fresh = false;
    int err = store->io.list(store->io.context, see_name, &listing);
    if (err == 0) {
        err = find_snapshot(store, &listing);
    }
    if (err == 0) {
        err = open_log(store, &listing, &fresh);
    }
    if (err < 0 || store->opened.read_only) {
        return err;
    }
    if (fresh) {
        return start_fresh(store);
    }
    store->opened.state = STORE_CLEAN;
    store->opened.reason = "as it was left";
    err = recover_log(store);
    if (err == 0 && !store->opened.read_only) {
        clean(store, &listing);
    }
    return err;
}

/* ---- the interface ---- */

static int take_lock(struct store *store)
{
    const struct store_io *io = &store->io;
    store->lock = io->open(io->context, "lock", O_RDWR | O_CREAT, 0600);
    if (store->lock < 0) {
        return store->lock;
    }
    int err = io->lock(io->context, store->lock);
    return err == -EAGAIN || err == -EACCES ? -EBUSY : err;
}

int store_open(const struct store_io *io, const struct store_settings *settings,
               struct store **ret_store, struct store_opened *ret_opened)
{
    int64_t real, monotonic;
    struct store *store = calloc(1, sizeof(*store));
    if (store == NULL) {
        return -ENOMEM;
    }
    store->io = *io;
    store->settings = *settings;
    store->lock = store->log = -1;
    store->opened = (struct store_opened){.state = STORE_FRESH, .reason = "nothing was there"};
    io->now(io->context, &real, &monotonic);
    store_budget_init(&store->budget, settings->budget_day, real, monotonic);
    int err = take_lock(store);
    if (err == 0) {
        err = recover(store);
    }
    if (err < 0) {
        store_close(store);
        return err;
    }
    if (store->opened.read_only) { /* the snapshot alone */
        store->committed = store->opened.state == STORE_FOREIGN ? 0 : store->snapshot_sequence;
    }
    store->appended = store->opened.sequence = store->committed;
    *ret_opened = store->opened;
    *ret_store = store;
    return 0;
}

void store_close(struct store *store)
{
    if (store == NULL) {
        return;
    }
    if (store->log >= 0) {
        store->io.close(store->io.context, store->log);
    }
    if (store->lock >= 0) {
        store->io.close(store->io.context, store->lock);
    }
    free(store->pending.bytes);
    free(store);
}

static int read_snapshot(struct store *store,
                         int (*each)(void *user, uint64_t sequence, const void *payload,
                                     size_t size, bool snapshot),
                         void *user)
{
    struct store_file_header header;
    void *payload;
    int err = store_snapshot_load(store, store->epoch, &header, &payload);
    if (err == 0) {
        err = each(user, header.sequence, payload, header.length, true);
        free(payload);
    }
    return err;
}

int store_read(struct store *store,
               int (*each)(void *user, uint64_t sequence, const void *payload, size_t size,
                           bool snapshot),
               void *user)
{
    struct store_scan scan;
    int err = 0;
    if (store->opened.state == STORE_FOREIGN) {
        return 0;
    }
    if (store->epoch > 0) {
        err = read_snapshot(store, each, user);
    }
    if (err == 0 && !store->opened.read_only) {
        err = store_log_scan(store, store->log, store->epoch, store->snapshot_sequence, each, user,
                             &scan);
    }
    return err;
}

void store_get_ledger(struct store *store, struct store_ledger *ret_ledger)
{
    int64_t real, monotonic;
    store->io.now(store->io.context, &real, &monotonic);
    store_budget_tick(&store->budget, monotonic);
    *ret_ledger = (struct store_ledger){
        .charged = store->budget.charged,
        .record_bytes = store->record_bytes,
        .syncs = store->syncs,
        .records = store->records,
        .snapshots = store->snapshots,
        .budget_left = store->budget.allowed,
        .committed = store->committed,
    };
}
