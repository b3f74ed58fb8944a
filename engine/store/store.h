/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * engine/store: an append-only log, a snapshot and a write budget. Payloads are opaque bytes. What
 * was reported committed survives any crash; what is found after one is an exact prefix of what was
 * appended. It knows nothing of networks, logs nothing, starts no thread.
 *
 * FILES in one directory, which belongs to one store
 *   lock          OFD write lock, held while open: one writer
 *   snap-<epoch>  a snapshot: header, payload
 *   log-<epoch>   header, then records
 *   <epoch> is 16 hex digits and rises by one with each snapshot. The log of an epoch holds what
 *   came after the snapshot of that epoch; epoch 0 has no snapshot. Names that end in .tmp are
 *   unfinished.
 *
 * FORMAT, little-endian. Checksums are XXH3_64bits_withSeed (libxxhash), `check` its low half.
 *   file header, 128 bytes
 *      0  8  "OCELLUS" and 'L' (log) or 'S' (snapshot)
 *      8  4  version, 1             12  4  zero
 *     16  8  epoch                  24  8  salt, random
 *     32  8  sequence number that the file starts behind (log) or stands at (snapshot)
 *     40  8  bytes of the payload; 0 of a log
 *     48  8  checksum of the payload, seed salt; 0 of a log
 *     56 24  ledger, as in a record
 *     80 32  base                  112  8  zero
 *    120  8  checksum of the 120 bytes before, seed 0
 *   record, 56 bytes, the payload, zeros up to a multiple of 8
 *      0  4  "OREC"
 *      4  4  check: low half of the header's sum, seed salt: of this epoch, whatever came before
 *      8  4  bytes of the payload   12  4  records of the same commit before this one
 *     16  8  sequence number
 *     24  8  chain: checksum of the payload, the seed being the header's sum, whose seed is the
 *            chain of the record before, of the first record the checksum of the file header
 *     32  8  ledger: bytes charged so far, this commit included
 *     40  8  ledger: bytes that the budget still allowed then, signed
 *     48  8  ledger: microseconds, CLOCK_REALTIME, never less than in the record before
 *
 *   The header's sum: its checksum, check and chain being zeros.
 *
 * INVARIANTS
 *   S1  A record is served only if its chain is right and its number is the one before plus 1.
 *   S2  store_commit returns 0 only after the record's bytes were written and the file synced.
 *   S3  A log's header and its name in the directory are synced before its first record is written.
 *   S4  A snapshot is written under a temporary name, synced, renamed, the directory synced; its
 *       epoch's log is made and synced before that; files of earlier epochs go only after it.
 *   S5  After a failed write or sync nothing is written any more. A full disk, told by the
 *       allocation that comes before a write, leaves the store as it was; where files cannot be
 *       allocated a full disk is a failed write.
 *   S6  Behind the last good record there may be the remains of one commit. They are a tail, and
 *       cut. If behind it lies a header of this epoch that began a later commit, what lies between
 *       had been synced: that is damage, and refused. A last commit that rotted after its sync
 *       looks like a tail: nothing behind it tells them apart.
 *   S7  What a file of another base or version holds is neither read nor changed.
 *   S8  The ledger only grows, and what is charged is charged before it is written.
 *   S9  What store_open tells is durable, even where an earlier run was killed before its sync, or
 *       its sync failed: the directory and the log are synced, and the log is read from the disk
 *       and not from memory.
 *
 * BUDGET (the ledger's model of what the device receives)
 *   A write costs the 4 KiB blocks of the file that it touches. Every sync of a file or of the
 *   directory costs journal_allowance, and so does every making, renaming, removing, cutting and
 *   allocating. Cutting a tail costs its blocks twice, once for the commit that was lost; a commit
 *   is allowed only where the budget also has that left. What is charged is
 *   remembered by the next record: a crash forgets what came after the last one.
 *   Of budget_day a quarter may be spent at once, and three quarters come back evenly in 24 hours:
 *   in no 24 hours is more spent than budget_day. While open, time is CLOCK_MONOTONIC. Between two
 *   runs it is CLOCK_REALTIME: a clock that went back gives nothing, one that jumped ahead at most
 *   the quarter, once for every time that it gets beyond the latest that was ever seen.
 */
#ifndef OCELLUS_ENGINE_STORE_STORE_H
#define OCELLUS_ENGINE_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_ID_BYTES     32u        /* digest of what the records are based on */
#define STORE_RECORD_MAX   (4u << 20) /* bytes of one payload */
#define STORE_SNAPSHOT_MAX (64u << 20)
#define STORE_LOG_MAX      (64u << 20) /* bytes of a log; a fuller one takes no records */
#define STORE_PENDING_MAX  (16u << 20) /* bytes appended and not committed */
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
    int (*forget)(void *context, int fd); /* what memory holds of it and the disk may not */
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
    uint64_t budget_day;        /* bytes, at most 2^53 */
    uint32_t journal_allowance; /* bytes */
    uint64_t log_max;           /* bytes of records after which store_wants_snapshot is true */
    uint64_t reserve;           /* bytes allocated at a time ahead of the end of the log */
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
 * Errors: -EFBIG  over STORE_RECORD_MAX; -ENOBUFS  over STORE_PENDING_MAX or STORE_LOG_MAX;
 * -ENOMEM; -EROFS  read-only, or a write or sync failed earlier: that is final.
 */
int store_append(struct store *store, const void *payload, size_t size, uint64_t *ret_sequence);

/*
 * Write what was appended, one sync for all. Errors: -EDQUOT  the budget does not allow all of it
 * now: of the records that it allows each is durable (store_get_ledger: committed), the others stay
 * for later, *ret_wait_us (may be NULL) says when the next one will be allowed, INT64_MAX: never,
 * it is larger than the budget; -ENOSPC  the disk is full: nothing was written; every other error
 * is final (-EROFS from then on).
 */
int store_commit(struct store *store, int64_t *ret_wait_us);

/* The log has outgrown log_max. */
bool store_wants_snapshot(const struct store *store);

/* Replace snapshot and log: `payload` is the state at the last committed record; nothing may be
 * appended and not committed (-EINVAL). Charged to the budget. Errors as store_commit, -EFBIG. */
int store_snapshot(struct store *store, const void *payload, size_t size, int64_t *ret_wait_us);

/* Counters of the ledger, which is kept in the records. */
struct store_ledger {
    uint64_t charged;      /* bytes, since the store was made, by the model above */
    uint64_t record_bytes; /* of records and snapshots alone */
    uint64_t syncs, records, snapshots;
    int64_t budget_left; /* bytes, now; negative after a tail that had to be cut */
    uint64_t committed;  /* sequence number */
};

void store_get_ledger(struct store *store, struct store_ledger *ret_ledger);

#endif
