/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * One adapter: a trainer over an operating point, its store and its history. It learns, records,
 * goes back, and packs what changed. The trainer's thread only; it blocks on disks, and knows no
 * loop, no client and no frame.
 *
 * SEQUENCE NUMBERS count updates: a label, a flush, an import, and going back are one each. A label
 * is accepted with its number, applied when weights of that number or a later one were published,
 * durable when a committed record has such a number. After a restart they go on behind the last
 * durable one.
 */
#ifndef OCELLUS_DAEMON_ADAPTER_H
#define OCELLUS_DAEMON_ADAPTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/pool.h"
#include "engine/kernel/kernel.h"
#include "engine/store/store.h"
#include "engine/train/online.h"

#define ADAPTER_DISTRUSTED_MAX 16u
/* Bytes of records that may wait for the write budget; then labels are refused. */
#define ADAPTER_WAITING_MAX ((size_t)1 << 20)

struct adapter_settings {
    const char *name, *directory; /* of the store; made where it is not there */
    uint32_t slot;                /* which adapter of the workers it is */
    uint32_t model_index, point;
    const struct network_model *model;
    const struct kernel_table *kernels; /* as the workers have it */
    uint64_t budget_day;
    uint32_t journal_allowance;
    uint32_t flush;           /* labels; 0: the trainer's own choice */
    uint64_t commit_after_us; /* labels are flushed and committed so long after the first of them */
};

struct adapter;

struct adapter_answer {
    uint64_t sequence; /* of this update */
    uint64_t durable;
    /* Until the budget allows what is not durable yet; 0: nothing waits for it; -1: it is too much
     * for any day. */
    int64_t wait_us;
    uint32_t predicted; /* of a label: before learning */
    float loss;
    bool held_out;
    bool judged; /* verdict holds */
    struct train_online_verdict verdict;
};

struct adapter_status {
    bool open;              /* else only what follows up to `reason` holds */
    enum store_state store; /* what was found at the start */
    bool read_only;
    char reason[160]; /* why it is read-only or not open; else how the store was found */
    uint64_t sequence, recorded, durable;
    int64_t wait_us;
    double accuracy;  /* predicted before learning: mean of the last 20 or so */
    uint64_t harmful; /* flushes that were taken back */
    uint64_t base;
    size_t bytes; /* of memory */
    uint64_t budget_day;
    struct store_ledger ledger;
    struct train_online_status online;
    uint32_t distrusted_count;
    uint64_t distrusted[ADAPTER_DISTRUSTED_MAX]; /* sequence numbers of labels, the worst first */
};

/*
 * Open the store and replay it. The strings of settings are borrowed. An adapter that cannot learn
 * (no layer to train, a store that cannot be opened) is returned all the same, and says so.
 * Errors: -ENOMEM.
 */
int adapter_open(const struct adapter_settings *settings, struct adapter **ret_adapter);

/* Flush, commit as far as the budget allows, close. NULL is fine. */
void adapter_close(struct adapter *adapter);

/*
 * What clients ask for. Errors, nothing being changed: -EROFS  read-only or not open
 * (adapter_status.reason); -EDQUOT  too much waits for the write budget; -ENOMEM; and:
 */
/* codes: packed as workers return them. -EBADMSG  no codes of this model; -EINVAL  no such label */
int adapter_learn(struct adapter *adapter, const void *codes, size_t size, uint32_t label,
                  struct adapter_answer *ret_answer);
/* Record and commit all that was learned. */
int adapter_sync(struct adapter *adapter, struct adapter_answer *ret_answer);
/* Take back what was learned since the last record, or that record. -ENOENT  nothing is left. */
int adapter_undo(struct adapter *adapter, struct adapter_answer *ret_answer);
/* Back to what was after an update. -ENOENT  it is no longer kept, or was never reached. */
int adapter_rollback(struct adapter *adapter, uint64_t sequence, struct adapter_answer *ret_answer);
/* Back to the model as it is. */
int adapter_reset(struct adapter *adapter, struct adapter_answer *ret_answer);
/* What was learned as one record (engine/train/delta.h), for another adapter of the same base; the
 * caller frees it. -ENOENT  nothing. */
int adapter_export(struct adapter *adapter, void **ret_bytes, size_t *ret_size);
/* -EBADMSG  no record, or of another base; -ERANGE  beyond a bound; -ECANCELED  it would make
 * labelled codes come out worse */
int adapter_import(struct adapter *adapter, const void *bytes, size_t size,
                   struct adapter_answer *ret_answer);

/* Flush and commit what is due at this time (CLOCK_MONOTONIC, microseconds). */
void adapter_maintain(struct adapter *adapter, int64_t now_us);
/* When adapter_maintain has something to do next; INT64_MAX: never. */
int64_t adapter_due(const struct adapter *adapter);

/*
 * Pack what changed since the last call: at most TRAIN_ONLINE_LAYERS_MAX weights, whose memfds
 * become the caller's, for the adapter's present sequence number, *ret_generation. Errors: negative
 * errno of weights_seal; the next call tries again.
 */
int adapter_publish(struct adapter *adapter, struct pool_weights *weights, uint32_t *ret_count,
                    uint64_t *ret_generation);

void adapter_get_status(struct adapter *adapter, struct adapter_status *ret_status);

#endif
