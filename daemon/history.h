/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What the records of an adapter's store mean: each is an update with a sequence number, and the
 * state is what the updates on the way back from the last one made. Going back is an update, too:
 * it names an earlier number, and nothing is subtracted. Memory only; no file is touched here.
 *
 * PAYLOAD of a record or snapshot, little-endian
 *      0  "OA", version 1, kind
 *      4  0 (4 bytes)
 *      8  sequence number of the update
 *     16  BACK: the sequence number that is gone back to; else 0
 *     24  train_online_digest after the update; 0 of BACK and MARK, whose state is an earlier one's
 *     32  DELTA: a record of train_online_flush; SNAPSHOT: train_online_snapshot; else nothing
 */
#ifndef OCELLUS_DAEMON_HISTORY_H
#define OCELLUS_DAEMON_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#include "engine/train/online.h"

enum history_kind {
    HISTORY_DELTA = 1, /* learned, or imported */
    HISTORY_BACK,      /* to what was after an earlier update */
    HISTORY_RESET,     /* to the model as it is */
    HISTORY_MARK,      /* updates up to here changed nothing that is kept */
    HISTORY_SNAPSHOT,
};

#define HISTORY_HEAD_BYTES 32u

struct history_head {
    enum history_kind kind;
    uint64_t sequence, target, digest;
};

/* Write the head of a payload. */
void history_write(const struct history_head *head, uint8_t out[HISTORY_HEAD_BYTES]);

struct history;

/* NULL: out of memory. An empty history stands at the model as it is, sequence number 0. */
struct history *history_create(void);
void history_destroy(struct history *history);

/*
 * Add the payload of a snapshot, which must come first and makes everything before it be forgotten,
 * or of a record; it is copied. Errors, nothing being changed: -EBADMSG  no payload, numbers that
 * do not rise, or a target that is not there; -ENOMEM.
 */
int history_add(struct history *history, const void *payload, size_t size);

/* The number that the store gave the record that was added last; and the last update whose
 * record has at most this number, or is in the snapshot. */
void history_stored(struct history *history, uint64_t number);
uint64_t history_durable(const struct history *history, uint64_t number);

/* Number of the last update, and bytes held. */
uint64_t history_sequence(const struct history *history);
size_t history_bytes(const struct history *history);

/* The number to go back to in order to take the last update back. Errors: -ENOENT  there is nothing
 * that could be taken back. */
int history_before(const struct history *history, uint64_t *ret_sequence);

/* Whether one can go back to this number: -ENOENT  it lies before what is kept, or was never
 * reached. */
int history_reaches(const struct history *history, uint64_t sequence);

/* Bring a trainer to the state that the history stands at. Errors: those of train_online_restore
 * and train_online_apply; -EILSEQ  the digest is another than that of the record. The trainer is
 * undefined then. */
int history_replay(const struct history *history, struct train_online *online);

/* The deltas that made the state, the oldest first, as far as the snapshot (*ret_snapshot, NULL:
 * none). `each` returns 0 or a negative number that ends the walk. */
int history_walk(const struct history *history,
                 int (*each)(void *user, const void *delta, size_t size), void *user,
                 const void **ret_snapshot, size_t *ret_snapshot_bytes);

#endif
