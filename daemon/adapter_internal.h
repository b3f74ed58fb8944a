/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The inside of an adapter: what adapter.c and adapter_open.c share. */
#ifndef OCELLUS_DAEMON_ADAPTER_INTERNAL_H
#define OCELLUS_DAEMON_ADAPTER_INTERNAL_H

#include "daemon/adapter.h"
#include "daemon/history.h"

struct adapter {
    struct adapter_settings settings;
    bool open, read_only;
    enum store_state found;
    char reason[160];
    int directory; /* -1: not open */
    struct store_io io;
    struct store *store;
    struct history *history;
    struct train_online *online;
    struct network_plan *plan; /* that weights are packed for */
    void *codes;               /* of one label */
    size_t codes_bytes;
    uint32_t layer_count;
    uint32_t layers[TRAIN_ONLINE_LAYERS_MAX];
    uint64_t published[TRAIN_ONLINE_LAYERS_MAX]; /* their generations in the trainer */

    uint64_t sequence, recorded, durable;
    uint64_t labels;        /* since the last record */
    int64_t first_label_us; /* of those; 0: none */
    bool flush_due;
    size_t waiting;   /* bytes of records that are not durable */
    int64_t retry_us; /* no commit before */
    double accuracy;  /* below 0: no label yet */
    uint64_t harmful;
    uint32_t distrusted_count;
    uint64_t distrusted[ADAPTER_DISTRUSTED_MAX];
};

/* No update is taken any more. Returns -EROFS. */
int adapter_broken(struct adapter *adapter, const char *reason);

/* Packed codes -> adapter->codes. Errors: -EBADMSG. */
int adapter_unpack(struct adapter *adapter, const void *packed, size_t size);

/* Close memfds that nobody took. */
void adapter_close_weights(const struct pool_weights *weights, uint32_t count);

void adapter_free(struct adapter *adapter);

#endif
