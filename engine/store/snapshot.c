/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Snapshots: a new epoch begins with one. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/store/store_internal.h"

int store_snapshot_load(struct store *store, uint64_t epoch, struct store_file_header *ret_header,
                        void **ret_payload)
{
    const struct store_io *io = &store->io;
    struct store_file_header header;
    char name[STORE_NAME_SIZE];
    uint64_t size;
    void *payload = NULL;
    store_name(name, "snap", epoch);
    int fd = io->open(io->context, name, O_RDONLY, 0);
    if (fd < 0) {
        return fd;
    }
    int err = io->size(io->context, fd, &size);
    if (err == 0 && size < sizeof(header)) {
        err = -EBADMSG;
    }
    if (err == 0) {
        err = store_read_all(io, fd, &header, sizeof(header), 0);
    }
    if (err == 0) {
        err = store_header_check(store, &header, 'S', epoch);
    }
    if (err == 0 &&
        (header.length > STORE_SNAPSHOT_MAX || header.length != size - sizeof(header))) {
        err = -EBADMSG;
    }
    if (err == 0) {
        payload = malloc(header.length + 1);
        err = payload != NULL ? store_read_all(io, fd, payload, header.length, sizeof(header))
                              : -ENOMEM;
    }
    if (err == 0 &&
        header.payload_sum != XXH3_64bits_withSeed(payload, header.length, header.salt)) {
        err = -EBADMSG;
    }
    io->close(io->context, fd);
    if (err < 0) {
        free(payload);
        return err;
    }
    *ret_header = header;
    *ret_payload = payload;
    return 0;
}

bool store_wants_snapshot(const struct store *store)
{
    return store->end > store->settings.log_max;
}

/* Writing it and its sync, a rename, the new log, the directory's sync, two files removed. */
static uint64_t cost_of(const struct store *store, size_t size)
{
    return store_blocks(0, sizeof(struct store_file_header) + size) +
           5 * (uint64_t)store->settings.journal_allowance + store_log_create_cost(store);
}

/* Not random enough to keep a secret, which it need not: it tells epochs and stores apart. */
static uint64_t next_salt(const struct store *store)
{
    int64_t times[2];
    store->io.now(store->io.context, &times[0], &times[1]);
    return XXH3_64bits_withSeed(times, sizeof(times), store->salt ^ store->chain);
}

static int write_snapshot(struct store *store, const char *name, const void *payload, size_t size,
                          uint64_t salt)
{
    const struct store_io *io = &store->io;
    struct store_file_header header =
        store_header(store, 'S', store->epoch + 1, salt, store->committed);
    header.length = size;
    header.payload_sum = XXH3_64bits_withSeed(payload, size, salt);
    store_header_seal(&header);
    int fd = io->open(io->context, name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0) {
        return fd;
    }
    int err = io->allocate(io->context, fd, 0, sizeof(header) + size);
    if (err != -ENOSPC && err != -EDQUOT) {
        err = store_write_all(io, fd, &header, sizeof(header), 0);
    }
    if (err == 0) {
        err = store_write_all(io, fd, payload, size, sizeof(header));
    }
    if (err == 0) {
        err = io->sync(io->context, fd);
        store->syncs++;
    }
    io->close(io->context, fd);
    return err;
}

/* The files of the epoch before; what cannot be removed now is removed at the next start. */
static void remove_epoch(struct store *store, uint64_t epoch)
{
    char name[STORE_NAME_SIZE];
    store_name(name, "snap", epoch);
    store->io.unlink(store->io.context, name);
    store_name(name, "log", epoch);
    store->io.unlink(store->io.context, name);
}

static void enter_epoch(struct store *store, int log, uint64_t salt, uint64_t chain)
{
    store->io.close(store->io.context, store->log);
    store->log = log;
    store->epoch++;
    store->salt = salt;
    store->chain = chain;
    store->end = store->allocated = sizeof(struct store_file_header);
    store->snapshot_sequence = store->committed;
    store->snapshots++;
    remove_epoch(store, store->epoch - 1);
}

int store_snapshot(struct store *store, const void *payload, size_t size, int64_t *ret_wait_us)
{
    const struct store_io *io = &store->io;
    char snap[STORE_NAME_SIZE], temporary[STORE_NAME_SIZE + 4];
    int64_t real, monotonic;
    uint64_t chain;
    int log;
    if (store->opened.read_only || store->failed) {
        return -EROFS;
    }
    if (store->pending.used > 0) {
        return -EINVAL;
    }
    if (size > STORE_SNAPSHOT_MAX) {
        return -EFBIG;
    }
    io->now(io->context, &real, &monotonic);
    store_budget_tick(&store->budget, monotonic);
    const int64_t wait = store_budget_wait(&store->budget, cost_of(store, size));
    if (wait > 0) {
        if (ret_wait_us != NULL) {
            *ret_wait_us = wait;
        }
        return -EDQUOT;
    }
    store_budget_charge(&store->budget, cost_of(store, size));
    const uint64_t salt = next_salt(store);
    store_name(snap, "snap", store->epoch + 1);
    memcpy(temporary, snap, sizeof(snap));
    strcat(temporary, ".tmp");
    int err = write_snapshot(store, temporary, payload, size, salt);
    if (err == -ENOSPC || err == -EDQUOT) {
        io->unlink(io->context, temporary);
        return -ENOSPC;
    }
    if (err == -EMFILE || err == -ENFILE) { /* nothing was begun */
        return err;
    }
    if (err == 0) {
        err = store_log_create(store, store->epoch + 1, salt, store->committed, &log, &chain);
    }
    if (err == 0) {
        err = io->sync_directory(io->context);
        store->syncs++;
        if (err == 0) {
            err = io->rename(io->context, temporary, snap);
        }
        if (err == 0) {
            err = io->sync_directory(io->context);
            store->syncs++;
        }
        if (err < 0) {
            io->close(io->context, log);
        }
    }
    if (err < 0) {
        store->failed = true;
        return err;
    }
    store->record_bytes += sizeof(struct store_file_header) + size;
    enter_epoch(store, log, salt, chain);
    return 0;
}
