/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * engine/store: an append-only log, a snapshot and a write budget. Payloads are opaque bytes. What
 * was reported committed survives any crash; what is found after one is an exact prefix of what was
 * appended. It knows nothing of networks, logs nothing, starts no thread.
 *
 * FILES in one directory, which belongs to one store
 *   lock          OFD write lock, held while open: one writer
 *   snap-<epoch>  a snapshot: header, payload; written to a temporary name, fsync, rename, fsync of
 *                 the directory
 *   log-<epoch>   header, then records; made and fsynced, the directory fsynced, before its first
 *                 record; preallocated, so that a full disk is known before anything is promised
 *   <epoch> is 16 hex digits and rises by one with each snapshot. The log of an epoch holds what
 *   came after the snapshot of that epoch; epoch 0 needs no snapshot.
 *
 * [formats and numbered invariants S1..Sn: fill in]
 */
#ifndef OCELLUS_ENGINE_STORE_STORE_H
#define OCELLUS_ENGINE_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define STORE_ID_BYTES     32u        /* digest of what the records are based on */
#define STORE_RECORD_MAX   (4u << 20) /* bytes of one payload */
#define STORE_SNAPSHOT_MAX (64u << 20)
#define STORE_SEQUENCE_MAX ((UINT64_C(1) << 53) - 1)

/* Every system call of the store. Same results as the calls that they are named after, but errors
 * come as negative errno. Times: microseconds, CLOCK_REALTIME and CLOCK_MONOTONIC. */
struct store_io {
    int (*open)(void *context, const char *name, int flags, unsigned mode); /* in the directory */
    int (*close)(void *context, int fd);
    int64_t (*pread)(void *context, int fd, void *bytes, size_t size, uint64_t at);
    int64_t (*pwrite)(void *context, int fd, const void *bytes, size_t size, uint64_t at);
    int (*size)(void *context, int fd, uint64_t *ret_size);
    int (*allocate)(void *context, int fd, uint64_t from,
                    uint64_t size); /* fallocate, keeps size */
    int (*truncate)(void *context, int fd, uint64_t size);
    int (*sync)(void *context, int fd); /* fdatasync */
    int (*sync_directory)(void *context);
    int (*rename)(void *context, const char *from, const char *to);
    int (*unlink)(void *context, const char *name);
    int (*list)(void *context, void (*each)(void *user, const char *name), void *user);
    int (*lock)(void *context, int fd);
    void (*now)(void *context, int64_t *ret_real, int64_t *ret_monotonic);
    void *context;
};

/* The real one, for a directory that is open; borrowed. */
struct store_io store_io_posix(const int *directory_fd);

struct store_settings {
    uint8_t base[STORE_ID_BYTES];
    uint64_t budget_day; /* bytes that the device may receive in 24 hours; the ledger's model */
    uint32_t journal_allowance; /* bytes charged for each sync beyond the blocks touched */
    uint64_t log_max;           /* bytes of records after which store_wants_snapshot is true */
    uint64_t reserve;           /* bytes kept preallocated ahead of the end of the log */
};

/* What open found. reason: a static sentence, never NULL. */
enum store_state {
    STORE_FRESH = 0, /* nothing was there */
    STORE_CLEAN,
    STORE_CUT,     /* a damaged tail was cut */
    STORE_DAMAGED, /* damage before the tail: the snapshot alone is served, read-only */
    STORE_FOREIGN, /* of another base or an unknown version: nothing is served, read-only */
};

struct store_opened {
    uint8_t state; /* enum store_state */
    bool read_only;
    const char *reason;
    uint64_t sequence; /* of the last record that is served; 0: none */
};

struct store;

/*
 * Lock, recover, cut a damaged tail. `io` and `settings` are copied. Errors: -EBUSY  another
 * process has it; -ENOMEM; negative errno of a call. Damage is no error: see *ret_opened.
 */
int store_open(const struct store_io *io, const struct store_settings *settings,
               struct store **ret_store, struct store_opened *ret_opened);
void store_close(struct store *store);

/* What is served: the snapshot (size 0: none) with the sequence number that it stands at, then
 * every record after it, in order. `each` returns 0, or a negative number that ends the call and is
 * returned. Errors: those of reads. */
int store_read(struct store *store,
               int (*each)(void *user, uint64_t sequence, const void *payload, size_t size,
                           bool snapshot),
               void *user);

/*
 * Append a record in memory; it is durable after store_commit. Sequence numbers rise by one.
 * Errors: -EFBIG, -ENOMEM, -EROFS  read-only or a sync failed earlier: that is final.
 */
int store_append(struct store *store, const void *payload, size_t size, uint64_t *ret_sequence);

/*
 * Write what was appended, one sync for all. Errors: -EDQUOT  the budget does not allow it now:
 * nothing was written, the records stay for later, *ret_wait_us says when it will; -ENOSPC
 * likewise, without a time; every other error is final (-EROFS from then on).
 */
int store_commit(struct store *store, int64_t *ret_wait_us);

/* The log has outgrown log_max. */
bool store_wants_snapshot(const struct store *store);

/* Replace snapshot and log: `payload` is the state at the last committed record; nothing may be
 * appended and not committed (-EINVAL). Charged to the budget. Errors as store_commit. */
int store_snapshot(struct store *store, const void *payload, size_t size, int64_t *ret_wait_us);

/* Counters of the ledger, which is kept in the records. */
struct store_ledger {
    uint64_t charged;      /* bytes, since the store was made, by the model above */
    uint64_t record_bytes; /* of records and snapshots alone */
    uint64_t syncs, records, snapshots;
    uint64_t budget_left; /* bytes, now */
    uint64_t committed;   /* sequence number */
};

void store_get_ledger(struct store *store, struct store_ledger *ret_ledger);

#endif
