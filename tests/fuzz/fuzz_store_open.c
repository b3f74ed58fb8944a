/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * A store whose log, and snapshot, are any bytes: it opens, says what it found, serves records that
 * follow on each other, and says the same the next time. Input: a byte of flags, two of the log's
 * length, the log of epoch 0 (flag 1: of epoch 1), the snapshot of epoch 1. Flag 2: the checksums
 * are made right first, so that what they hide is reached.
 */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/store/store_internal.h"
#include "tests/crash/disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { EPOCH_1 = 1, REPAIR = 2 };

static void check(int condition)
{
    if (!condition) {
        abort();
    }
}

static void repair_header(uint8_t *bytes, size_t size)
{
    struct store_file_header header;
    if (size < sizeof(header)) {
        return;
    }
    memcpy(&header, bytes, sizeof(header));
    header.payload_sum =
        XXH3_64bits_withSeed(bytes + sizeof(header), size - sizeof(header), header.salt);
    header.sum = XXH3_64bits(&header, offsetof(struct store_file_header, sum));
    memcpy(bytes, &header, sizeof(header));
}

static uint64_t header_sum(struct store_record_header bare, uint64_t seed)
{
    bare.check = 0;
    bare.chain = 0;
    return XXH3_64bits_withSeed(&bare, sizeof(bare), seed);
}

static void repair_records(uint8_t *bytes, size_t size)
{
    struct store_file_header file;
    struct store_record_header record;
    if (size < sizeof(file)) {
        return;
    }
    memcpy(&file, bytes, sizeof(file));
    uint64_t chain = file.sum;
    for (size_t at = sizeof(file); size - at >= sizeof(record);) {
        memcpy(&record, bytes + at, sizeof(record));
        if (record.length > STORE_RECORD_MAX || store_record_bytes(record.length) > size - at) {
            return;
        }
        record.check = (uint32_t)header_sum(record, file.salt);
        chain = record.chain = XXH3_64bits_withSeed(bytes + at + sizeof(record), record.length,
                                                    header_sum(record, chain));
        memcpy(bytes + at, &record, sizeof(record));
        at += store_record_bytes(record.length);
    }
}

static void put(struct disk_image *image, int slot, const char *kind, uint64_t epoch,
                const uint8_t *bytes, size_t size, bool repair)
{
    struct disk_file *file = &image->file[slot];
    store_name(image->name[slot].name, kind, epoch);
    image->name[slot].file = slot;
    memcpy(file->bytes, bytes, size);
    file->size = file->mark = (uint32_t)size;
    image->files = (uint32_t)slot + 1;
    if (repair) {
        repair_header(file->bytes, size);
        repair_records(file->bytes, kind[0] == 'l' ? size : 0);
    }
}

struct served {
    uint64_t last, digest, count;
};

static int serve(void *user, uint64_t sequence, const void *payload, size_t size, bool snapshot)
{
    struct served *served = user;
    check(served->count == 0 ? snapshot || sequence == 1 : sequence == served->last + 1);
    served->last = sequence;
    served->digest = XXH3_64bits_withSeed(payload, size, served->digest + snapshot);
    served->count++;
    return 0;
}

static struct served open_once(struct disk *disk, struct store_opened *ret_opened)
{
    const struct store_settings settings = {.base = {9},
                                            .budget_day = UINT64_C(1) << 40,
                                            .journal_allowance = 4096,
                                            .log_max = 1 << 20,
                                            .reserve = 4096};
    const struct store_io io = disk_io(disk);
    struct served served = {0};
    struct store *store;
    check(store_open(&io, &settings, &store, ret_opened) == 0);
    check(ret_opened->reason != NULL);
    check(store_read(store, serve, &served) == 0);
    check(served.last == ret_opened->sequence);
    store_close(store);
    return served;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct disk disk; /* large; made anew for each input */
    static struct disk_image image;
    struct store_opened first, second;
    if (size < 3 || size > DISK_BYTES) {
        return 0;
    }
    const uint8_t flags = data[0];
    const size_t rest = size - 3, given = data[1] + 256u * data[2];
    const size_t log = given < rest ? given : rest;
    disk_init(&disk);
    disk_copy(&image, &disk.now);
    put(&image, 0, "log", flags & EPOCH_1, data + 3, log, flags & REPAIR);
    if (flags & EPOCH_1) {
        put(&image, 1, "snap", 1, data + 3 + log, rest - log, flags & REPAIR);
    }
    disk_start(&disk, &image);
    const struct served before = open_once(&disk, &first);
    const struct served after = open_once(&disk, &second);
    check(before.digest == after.digest && before.last == after.last);
    check(first.read_only == second.read_only);
    check(first.read_only || second.state == STORE_CLEAN);
    disk_finish(&disk);
    return 0;
}
