/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * A disk in memory that can lose power: a struct store_io that remembers which operations a sync
 * has made durable, and makes the states in which a crash may leave the disk.
 *
 * What is promised: bytes and length of a file as of its last sync; names as of the last sync of
 * the directory. Every later write, truncation, creation, renaming and removal may be there or not,
 * each on its own and in any combination; the last write that is there may be torn.
 */
#ifndef OCELLUS_TESTS_CRASH_DISK_H
#define OCELLUS_TESTS_CRASH_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/store/store.h"

#define DISK_FILES   12u /* with those removed, until they are forgotten */
#define DISK_PENDING 24u
#define DISK_BYTES   32768u /* of a file */

struct disk_file {
    uint8_t bytes[DISK_BYTES];
    uint32_t size, mark; /* mark: bytes that were ever used, to be copied */
};

struct disk_name {
    char name[36];
    int file; /* -1: no such entry */
};

enum disk_op_kind { DISK_WRITE, DISK_TRUNCATE, DISK_LINK, DISK_RENAME, DISK_UNLINK };

struct disk_op {
    uint8_t kind;
    int file;
    uint32_t at, size;
    char name[36], to[36];
    uint8_t *bytes; /* of a write */
};

/* An image: files and names. */
struct disk_image {
    struct disk_file file[DISK_FILES];
    struct disk_name name[DISK_FILES];
    uint32_t files;
};

struct disk {
    struct disk_image now, durable;
    struct disk_op pending[DISK_PENDING];
    uint32_t pending_count;
    int descriptors[16]; /* file of each, -1 */
    int64_t real, monotonic;
    uint64_t operations; /* so far, those that change something */
    uint64_t written;    /* bytes of the blocks touched: what the ledger must not be below */
    bool overflow;       /* a bound of this file was reached: the test is wrong */
    /* Called after each operation that changes something; may be NULL. */
    void (*changed)(void *user);
    void *user;
    /* The fault that operation number fault_at meets, counted over all calls; 0: none. A failed
     * sync throws away what it should have made durable, as Linux may. */
    uint64_t calls, fault_at;
    int fault; /* negative errno */
    bool fault_stays;
};

void disk_init(struct disk *disk);
void disk_finish(struct disk *disk);
struct store_io disk_io(struct disk *disk);

/* Power on again with this image: everything in it is durable, nothing open. */
void disk_start(struct disk *disk, const struct disk_image *image);

/* The image in which `subset`, a bit for each pending operation, reached the disk; `tear` chooses
 * how the last write in it is torn: 0 not; else at a place and with a filling that follow from the
 * number. */
void disk_crash(const struct disk *disk, uint32_t subset, uint64_t tear, struct disk_image *image);

/* The last write of the subset, -1: none. */
int disk_last_write(const struct disk *disk, uint32_t subset);

uint64_t disk_digest(const struct disk_image *image);
void disk_copy(struct disk_image *to, const struct disk_image *from);

#endif
