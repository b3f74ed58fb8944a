/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The log: making one, finding out what one holds, appending and committing. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/store/store_internal.h"

static const char record_magic[4] = {'O', 'R', 'E', 'C'};

/* ---- headers ---- */

struct store_file_header store_header(const struct store *store, char kind, uint64_t epoch,
                                      uint64_t salt, uint64_t sequence)
{
    struct store_file_header header = {
        .magic = {'O', 'C', 'E', 'L', 'L', 'U', 'S', kind},
        .version = STORE_VERSION,
        .epoch = epoch,
        .salt = salt,
        .sequence = sequence,
        .times = store_budget_times(&store->budget),
    };
    memcpy(header.base, store->settings.base, STORE_ID_BYTES);
    return header;
}

void store_header_seal(struct store_file_header *header)
{
    header->sum = XXH3_64bits(header, offsetof(struct store_file_header, sum));
}

int store_header_check(const struct store *store, const struct store_file_header *header, char kind,
                       uint64_t epoch)
{
    const char magic[8] = {'O', 'C', 'E', 'L', 'L', 'U', 'S', kind};
    if (memcmp(header->magic, magic, sizeof(magic)) != 0 ||
        header->sum != XXH3_64bits(header, offsetof(struct store_file_header, sum))) {
        return -EBADMSG;
    }
    if (header->version != STORE_VERSION ||
        memcmp(header->base, store->settings.base, STORE_ID_BYTES) != 0) {
        return -ESTALE;
    }
    return header->epoch == epoch && header->sequence <= STORE_SEQUENCE_MAX ? 0 : -EBADMSG;
}

static uint64_t sum_header(const struct store_record_header *header, uint64_t seed)
{
    struct store_record_header bare = *header;
    bare.check = 0;
    bare.chain = 0;
    return XXH3_64bits_withSeed(&bare, sizeof(bare), seed);
}

static uint64_t chain_of(const struct store_record_header *header, const void *payload,
                         uint64_t chain)
{
    return XXH3_64bits_withSeed(payload, header->length, sum_header(header, chain));
}

/* ---- making a log ---- */

uint64_t store_log_create_cost(const struct store *store)
{
    /* making, its block, its sync, the directory's */
    return STORE_BLOCK + 3 * (uint64_t)store->settings.journal_allowance;
}

int store_log_create(struct store *store, uint64_t epoch, uint64_t salt, uint64_t sequence,
                     int *ret_fd, uint64_t *ret_chain)
{
    const struct store_io *io = &store->io;
    struct store_file_header header = store_header(store, 'L', epoch, salt, sequence);
    char name[STORE_NAME_SIZE];
    store_header_seal(&header);
    store_name(name, "log", epoch);
    int fd = io->open(io->context, name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0) {
        return fd;
    }
    int err = store_write_all(io, fd, &header, sizeof(header), 0);
    if (err == 0) {
        err = io->sync(io->context, fd);
        store->syncs++;
    }
    if (err < 0) {
        io->close(io->context, fd);
        return err;
    }
    *ret_fd = fd;
    *ret_chain = header.sum;
    return 0;
}

/* ---- what a log holds ---- */

/* Whether there is a header of this epoch at `at`, whatever came before it. */
static bool header_at(const uint8_t *bytes, uint64_t size, uint64_t at, uint64_t salt,
                      struct store_record_header *ret_header)
{
    struct store_record_header header;
    if (size - at < sizeof(header) || memcmp(bytes + at, record_magic, sizeof(record_magic)) != 0) {
        return false;
    }
    memcpy(&header, bytes + at, sizeof(header));
    if (header.check != (uint32_t)sum_header(&header, salt) || header.length > STORE_RECORD_MAX ||
        header.back >= header.sequence) {
        return false;
    }
    *ret_header = header;
    return true;
}

/* Whether a later commit than the one that began with record `next` left a header behind `at`. */
static bool later_commit(const uint8_t *bytes, uint64_t size, uint64_t at, uint64_t salt,
                         uint64_t next)
{
    struct store_record_header header;
    for (at = store_padded(at); at < size; at += 8) {
        if (header_at(bytes, size, at, salt, &header) && header.sequence - header.back > next) {
            return true;
        }
    }
    return false;
}

static int walk(const uint8_t *bytes, uint64_t size,
                int (*each)(void *user, uint64_t sequence, const void *payload, size_t size,
                            bool snapshot),
                void *user, struct store_scan *scan)
{
    struct store_record_header header;
    while (scan->end < size && header_at(bytes, size, scan->end, scan->salt, &header)) {
        const uint8_t *payload = bytes + scan->end + sizeof(header);
        if (header.sequence != scan->sequence + 1 ||
            store_record_bytes(header.length) > size - scan->end ||
            header.chain != chain_of(&header, payload, scan->chain)) {
            break;
        }
        int err = each == NULL ? 0 : each(user, header.sequence, payload, header.length, false);
        if (err < 0) {
            return err;
        }
        scan->end += store_record_bytes(header.length);
        scan->chain = header.chain;
        scan->sequence = header.sequence;
        scan->times = header.times;
        scan->records++;
    }
    scan->tail = scan->end < size;
    scan->damaged =
        scan->tail && later_commit(bytes, size, scan->end + 8, scan->salt, scan->sequence + 1);
    return 0;
}

int store_log_scan(struct store *store, int fd, uint64_t epoch, uint64_t sequence,
                   int (*each)(void *user, uint64_t sequence, const void *payload, size_t size,
                               bool snapshot),
                   void *user, struct store_scan *ret_scan)
{
    const struct store_io *io = &store->io;
    struct store_file_header header;
    uint64_t size;
    int err = io->size(io->context, fd, &size);
    if (err < 0) {
        return err;
    }
    if (size < sizeof(header) || size > STORE_LOG_MAX + (uint64_t)STORE_RECORD_MAX) {
        return -EBADMSG;
    }
    uint8_t *bytes = malloc(size);
    if (bytes == NULL) {
        return -ENOMEM;
    }
    err = store_read_all(io, fd, bytes, size, 0);
    if (err == 0) {
        memcpy(&header, bytes, sizeof(header));
        err = store_header_check(store, &header, 'L', epoch);
    }
    if (err == 0 && header.sequence != sequence) {
        err = -EBADMSG;
    }
    if (err == 0) {
        struct store_scan scan = {.end = sizeof(header),
                                  .chain = header.sum,
                                  .sequence = sequence,
                                  .size = size,
                                  .times = header.times,
                                  .salt = header.salt};
        err = walk(bytes, size, each, user, &scan);
        if (err == 0) {
            *ret_scan = scan;
        }
    }
    free(bytes);
    return err;
}

/* ---- appending ---- */

static int reserve(struct store_pending *pending, size_t more)
{
    if (more <= pending->capacity - pending->used) {
        return 0;
    }
    size_t capacity = pending->capacity > 0 ? pending->capacity : 4096;
    while (capacity - pending->used < more) {
        capacity *= 2;
    }
    uint8_t *bytes = realloc(pending->bytes, capacity);
    if (bytes == NULL) {
        return -ENOMEM;
    }
    pending->bytes = bytes;
    pending->capacity = capacity;
    return 0;
}

int store_append(struct store *store, const void *payload, size_t size, uint64_t *ret_sequence)
{
    if (store->opened.read_only || store->failed) {
        return -EROFS;
    }
    if (size > STORE_RECORD_MAX) {
        return -EFBIG;
    }
    const size_t bytes = (size_t)store_record_bytes((uint32_t)size);
    if (bytes > STORE_PENDING_MAX - store->pending.used ||
        store->end + store->pending.used + bytes > STORE_LOG_MAX ||
        store->appended >= STORE_SEQUENCE_MAX) {
        return -ENOBUFS;
    }
    int err = reserve(&store->pending, bytes);
    if (err < 0) {
        return err;
    }
    struct store_record_header header = {.length = (uint32_t)size, .sequence = store->appended + 1};
    uint8_t *to = store->pending.bytes + store->pending.used;
    memcpy(header.magic, record_magic, sizeof(record_magic));
    memset(to + bytes - 8, 0, 8);
    memcpy(to, &header, sizeof(header));
    if (size > 0) {
        memcpy(to + sizeof(header), payload, size);
    }
    store->pending.used += bytes;
    store->appended++;
    *ret_sequence = header.sequence;
    return 0;
}

/* ---- committing ---- */

/* What writing `bytes` behind the end costs; *ret_allocate: bytes to allocate first, 0: none. */
static uint64_t commit_cost(const struct store *store, uint64_t bytes, uint64_t *ret_allocate)
{
    const uint64_t to = store->end + bytes;
    uint64_t cost = store_blocks(store->end, to) + store->settings.journal_allowance;
    *ret_allocate = 0;
    if (to > store->allocated) {
        const uint64_t missing = to - store->allocated;
        *ret_allocate = missing > store->settings.reserve ? missing : store->settings.reserve;
        cost += store->settings.journal_allowance;
    }
    return cost;
}

/* As many of the records as the budget allows: their bytes. *ret_wait: for the first that it does
 * not. */
static uint64_t allowed_bytes(struct store *store, int64_t *ret_wait)
{
    struct store_record_header header;
    uint64_t bytes = 0, allocate;
    *ret_wait = 0;
    /* Should the power fail, a tail has to be cut: that is held back while it may happen. */
    while (bytes < store->pending.used) {
        memcpy(&header, store->pending.bytes + bytes, sizeof(header));
        const uint64_t more = bytes + store_record_bytes(header.length);
        const uint64_t cost = commit_cost(store, more, &allocate) +
                              store_cut_cost(store, store->end, store->end + more);
        *ret_wait = store_budget_wait(&store->budget, cost);
        if (*ret_wait > 0) {
            break;
        }
        bytes = more;
    }
    return bytes;
}

/* Finish the headers of the first `bytes` pending. Returns how many there are. */
static uint32_t finish_headers(struct store *store, uint64_t bytes, uint64_t *chain)
{
    const struct store_times times = store_budget_times(&store->budget);
    uint32_t count = 0;
    for (uint64_t at = 0; at < bytes; count++) {
        struct store_record_header header;
        uint8_t *record = store->pending.bytes + at;
        memcpy(&header, record, sizeof(header));
        header.back = count;
        header.times = times;
        header.check = (uint32_t)sum_header(&header, store->salt);
        *chain = header.chain = chain_of(&header, record + sizeof(header), *chain);
        memcpy(record, &header, sizeof(header));
        at += store_record_bytes(header.length);
    }
    return count;
}

static bool full_disk(int err)
{
    return err == -ENOSPC || err == -EDQUOT;
}

/* Everything between a decision and a durable commit. A file system that cannot allocate finds out
 * at the write. */
static int write_records(struct store *store, uint64_t bytes, uint64_t allocate)
{
    const struct store_io *io = &store->io;
    uint64_t chain = store->chain;
    if (allocate > 0) {
        int err = io->allocate(io->context, store->log, store->allocated, allocate);
        if (full_disk(err)) {
            return -ENOSPC;
        }
        store->allocated += allocate;
    }
    const uint32_t count = finish_headers(store, bytes, &chain);
    int err = store_write_all(io, store->log, store->pending.bytes, bytes, store->end);
    if (err == 0) {
        err = io->sync(io->context, store->log);
        store->syncs++;
    }
    if (err < 0) {
        store->failed = true;
        return err;
    }
    store->end += bytes;
    store->chain = chain;
    store->committed += count;
    store->records += count;
    store->record_bytes += bytes;
    return 0;
}

int store_commit(struct store *store, int64_t *ret_wait_us)
{
    uint64_t allocate;
    int64_t real, monotonic, wait;
    if (store->opened.read_only || store->failed) {
        return -EROFS;
    }
    if (store->pending.used == 0) {
        return 0;
    }
    store->io.now(store->io.context, &real, &monotonic);
    store_budget_tick(&store->budget, monotonic);
    const uint64_t bytes = allowed_bytes(store, &wait);
    if (bytes > 0) {
        /* Charged before: if it fails half-way, it may have been written. */
        store_budget_charge(&store->budget, commit_cost(store, bytes, &allocate));
        int err = write_records(store, bytes, allocate);
        if (err < 0) {
            return err;
        }
        memmove(store->pending.bytes, store->pending.bytes + bytes, store->pending.used - bytes);
        store->pending.used -= bytes;
    }
    if (store->pending.used > 0) {
        if (ret_wait_us != NULL) {
            *ret_wait_us = wait;
        }
        return -EDQUOT;
    }
    return 0;
}
