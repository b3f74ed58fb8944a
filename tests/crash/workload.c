/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The store at work on real files, for tests that kill it, make its calls fail or look at the
 * device.
 *
 *   workload run DIRECTORY ACKS COMMITS BYTES   appends records of BYTES, commits each, takes a
 * snapshot now and then, opens the store again now and then; each number that was committed goes,
 * durable, to the file ACKS. Prints the ledger at the end. Exit status 3: the store refused to go
 * on workload check DIRECTORY ACKS               what was acknowledged is there, and what is there
 * is an exact prefix; then the store takes another record
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/store/store.h"

#define SNAPSHOT_EACH 50u
#define OPEN_EACH     70u
#define BYTES_MAX     4096u

static const struct store_settings settings = {.base = {9},
                                               .budget_day = UINT64_C(1) << 40,
                                               .journal_allowance = 16384,
                                               .log_max = 1 << 20,
                                               .reserve = 1 << 18};

/* The payload of a record follows from its number. */
static size_t fill(uint64_t sequence, size_t size, uint8_t *payload)
{
    for (size_t i = 0; i < size; i++) {
        payload[i] = (uint8_t)(sequence * 131 + i * 7);
    }
    return size;
}

static int acknowledge(int acks, uint64_t sequence)
{
    if (pwrite(acks, &sequence, sizeof(sequence), 0) != (ssize_t)sizeof(sequence) ||
        fsync(acks) < 0) {
        return -errno;
    }
    return 0;
}

static int open_store(const int *directory, struct store **ret_store,
                      struct store_opened *ret_opened)
{
    const struct store_io io = store_io_posix(directory);
    return store_open(&io, &settings, ret_store, ret_opened);
}

static int one(struct store *store, size_t bytes, uint64_t *ret_sequence)
{
    uint8_t payload[BYTES_MAX];
    struct store_ledger ledger;
    uint64_t sequence;
    store_get_ledger(store, &ledger);
    int err = store_append(store, payload, fill(ledger.committed + 1, bytes, payload), &sequence);
    if (err == 0) {
        err = store_commit(store, NULL);
    }
    if (err == 0) {
        *ret_sequence = sequence;
    }
    return err;
}

static int run(const int *directory, int acks, uint64_t commits, size_t bytes)
{
    struct store_opened opened;
    struct store_ledger ledger;
    struct store *store;
    uint64_t sequence = 0;
    int err = open_store(directory, &store, &opened);
    if (err < 0) {
        return err;
    }
    for (uint64_t i = 1; err == 0 && i <= commits; i++) {
        err = one(store, bytes, &sequence);
        if (err == 0) {
            err = acknowledge(acks, sequence);
        }
        if (err == 0 && i % SNAPSHOT_EACH == 0) {
            err = store_snapshot(store, &sequence, sizeof(sequence), NULL);
        }
        if (err == 0 && i % OPEN_EACH == 0) {
            store_close(store);
            err = open_store(directory, &store, &opened);
            if (err < 0) {
                return err;
            }
        }
    }
    store_get_ledger(store, &ledger);
    printf("{\"committed\": %" PRIu64 ", \"charged\": %" PRIu64 "}\n", ledger.committed,
           ledger.charged);
    store_close(store);
    return err;
}

struct look {
    uint64_t next;
    bool wrong;
};

static int look(void *user, uint64_t sequence, const void *payload, size_t size, bool snapshot)
{
    struct look *look = user;
    uint8_t expected[BYTES_MAX];
    if (snapshot) {
        look->wrong = size != sizeof(sequence) || memcmp(payload, &sequence, sizeof(sequence)) != 0;
    } else {
        look->wrong = look->wrong || sequence != look->next || size > sizeof(expected) ||
                      memcmp(payload, expected, fill(sequence, size, expected)) != 0;
    }
    look->next = sequence + 1;
    return 0;
}

static int check(const int *directory, int acks)
{
    struct store_opened opened;
    struct look seen = {.next = 1};
    struct store *store;
    uint64_t acknowledged = 0, sequence;
    if (pread(acks, &acknowledged, sizeof(acknowledged), 0) < 0) {
        return -errno;
    }
    int err = open_store(directory, &store, &opened);
    if (err < 0) {
        return err;
    }
    if (opened.read_only || opened.sequence < acknowledged || store_read(store, look, &seen) < 0 ||
        seen.wrong || seen.next != opened.sequence + 1) {
        printf("VIOLATION: state %u (%s), %" PRIu64 " there, %" PRIu64 " acknowledged\n",
               opened.state, opened.reason, opened.sequence, acknowledged);
        store_close(store);
        return -EBADMSG;
    }
    err = one(store, 10, &sequence);
    store_close(store);
    return err;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        return 2;
    }
    const int directory = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int acks = open(argv[3], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (directory < 0 || acks < 0) {
        perror("workload");
        return 2;
    }
    int err = strcmp(argv[1], "check") == 0
                  ? check(&directory, acks)
                  : run(&directory, acks, strtoull(argv[4], NULL, 0), strtoull(argv[5], NULL, 0));
    if (err < 0) {
        fprintf(stderr, "workload: %s\n", strerror(-err));
    }
    return err < 0 ? 3 : 0;
}
