/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What the files of engine/store share. Not for use outside of it.
 */
#ifndef OCELLUS_ENGINE_STORE_STORE_INTERNAL_H
#define OCELLUS_ENGINE_STORE_STORE_INTERNAL_H

#include "engine/store/store.h"

#define STORE_VERSION   1u
#define STORE_BLOCK     4096u
#define STORE_NAME_SIZE 32u

/* ---- formats, as in store.h ---- */

struct store_times { /* the ledger in a record or file header */
    uint64_t charged;
    int64_t allowed, time;
};

struct store_file_header {
    char magic[8];
    uint32_t version, zero;
    uint64_t epoch, salt, sequence, length, payload_sum;
    struct store_times times;
    uint8_t base[STORE_ID_BYTES];
    uint64_t zero2, sum;
};

struct store_record_header {
    char magic[4];
    uint32_t check, length, back;
    uint64_t sequence, chain;
    struct store_times times;
};

_Static_assert(sizeof(struct store_file_header) == 128, "format");
_Static_assert(sizeof(struct store_record_header) == 56, "format");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are little-endian");

static inline uint64_t store_padded(uint64_t bytes)
{
    return (bytes + 7) / 8 * 8;
}

/* Bytes of a record with its header. */
static inline uint64_t store_record_bytes(uint32_t length)
{
    return sizeof(struct store_record_header) + store_padded(length);
}

/* ---- budget.c ---- */

struct store_budget {
    uint64_t capacity, day; /* bytes at once; bytes that come back in a day */
    uint64_t charged;
    int64_t allowed;    /* negative after a tail that had to be cut */
    uint64_t rest;      /* of a byte that came back, in 1 / 86,400,000,000 */
    int64_t real;       /* latest time seen */
    int64_t monotonic;  /* when `allowed` was right */
    int64_t start_real; /* real time is this and what monotonic time has passed since start */
    int64_t start_monotonic;
};

void store_budget_init(struct store_budget *budget, uint64_t budget_day, int64_t real,
                       int64_t monotonic);
/* Go on where a ledger of an earlier run stopped. */
void store_budget_resume(struct store_budget *budget, const struct store_times *times);
/* What has come back until now. */
void store_budget_tick(struct store_budget *budget, int64_t monotonic);
/* Charged whether it was allowed or not: for what cannot be helped. */
void store_budget_charge(struct store_budget *budget, uint64_t cost);
/* Microseconds until `cost` is allowed: 0 now, INT64_MAX never. */
int64_t store_budget_wait(const struct store_budget *budget, uint64_t cost);
struct store_times store_budget_times(const struct store_budget *budget);

/* Blocks that bytes from..to of a file touch, in bytes. */
static inline uint64_t store_blocks(uint64_t from, uint64_t to)
{
    return from == to ? 0 : ((to - 1) / STORE_BLOCK - from / STORE_BLOCK + 1) * STORE_BLOCK;
}

/* ---- the store ---- */

struct store_pending {
    uint8_t *bytes; /* records with unfinished headers */
    size_t used, capacity;
};

struct store {
    struct store_io io;
    struct store_settings settings;
    struct store_budget budget;
    struct store_opened opened;
    int lock, log; /* descriptors, -1: none */
    bool failed;   /* a write or sync failed: nothing is written any more */
    uint64_t epoch, salt;
    uint64_t end;                 /* of the last committed record in the log */
    uint64_t allocated;           /* bytes of the log */
    uint64_t chain;               /* of the last committed record */
    uint64_t committed, appended; /* sequence numbers */
    uint64_t snapshot_sequence;   /* 0: there is no snapshot */
    uint64_t record_bytes, syncs, records, snapshots;
    struct store_pending pending;
};

/* io.c: whole reads and writes. Interrupted calls go on. -EIO: the file is shorter. */
int store_read_all(const struct store_io *io, int fd, void *bytes, size_t size, uint64_t at);
int store_write_all(const struct store_io *io, int fd, const void *bytes, size_t size, uint64_t at);
void store_name(char name[STORE_NAME_SIZE], const char *kind, uint64_t epoch);

/* log.c */
struct store_file_header store_header(const struct store *store, char kind, uint64_t epoch,
                                      uint64_t salt, uint64_t sequence);
void store_header_seal(struct store_file_header *header);
/* -EBADMSG damaged; -ESTALE another base or version. */
int store_header_check(const struct store *store, const struct store_file_header *header, char kind,
                       uint64_t epoch);

/* Makes log-<epoch> and its header, synced, the directory not. */
int store_log_create(struct store *store, uint64_t epoch, uint64_t salt, uint64_t sequence,
                     int *ret_fd, uint64_t *ret_chain);
/* Its cost, and that of the directory's sync. */
uint64_t store_log_create_cost(const struct store *store);

/* Cost of cutting a log at `from` whose bytes up to `to` may have been written. */
static inline uint64_t store_cut_cost(const struct store *store, uint64_t from, uint64_t to)
{
    return store_blocks(from, to) + store->settings.journal_allowance;
}

/* What a log holds: reads it, tells `each` record by record (may be NULL). */
struct store_scan {
    uint64_t end, chain, sequence, size, records;
    uint64_t group;           /* where the last commit begins; `end`: there is none */
    struct store_times times; /* of the last record, or of the header */
    uint64_t salt;
    bool tail;    /* bytes behind `end` */
    bool damaged; /* and they are no tail */
};
int store_log_scan(struct store *store, int fd, uint64_t epoch, uint64_t sequence,
                   int (*each)(void *user, uint64_t sequence, const void *payload, size_t size,
                               bool snapshot),
                   void *user, struct store_scan *ret_scan);

/* snapshot.c */
/* Reads and checks snap-<epoch>; the caller frees *ret_payload. Errors: as store_header_check. */
int store_snapshot_load(struct store *store, uint64_t epoch, struct store_file_header *ret_header,
                        void **ret_payload);

#endif
