/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The store under any order of its calls, with power cuts and failing calls between them, beside a
 * model of a few lines: what was committed is there, what is there is a prefix of what was
 * appended. Input: two bytes for each step, what and how.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "tests/crash/disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RECORDS 256u

struct model {
    struct disk disk;
    struct disk_image image;
    struct store *store; /* NULL: a fault kept it from opening */
    uint64_t committed, appended;
    uint64_t digest[RECORDS]; /* of all payloads up to each number */
};

static void check(int condition)
{
    if (!condition) {
        abort();
    }
}

static int serve(void *user, uint64_t sequence, const void *payload, size_t size, bool snapshot)
{
    uint64_t *digest = user;
    (void)sequence;
    if (snapshot) {
        check(size == sizeof(*digest));
        memcpy(digest, payload, sizeof(*digest));
    } else {
        *digest = XXH3_64bits_withSeed(payload, size, *digest);
    }
    return 0;
}

static void open_store(struct model *model)
{
    const struct store_settings settings = {.base = {9},
                                            .budget_day = UINT64_C(1) << 40,
                                            .journal_allowance = 4096,
                                            .log_max = 1 << 20,
                                            .reserve = 4096};
    const struct store_io io = disk_io(&model->disk);
    struct store_opened opened;
    uint64_t digest = 0;
    const int err = store_open(&io, &settings, &model->store, &opened);
    if (err != 0) {
        check(model->disk.fault_at != 0);
        model->store = NULL;
        return;
    }
    if (opened.read_only) { /* a read that failed looks like damage */
        check(model->disk.fault_at != 0);
        store_close(model->store);
        model->store = NULL;
        return;
    }
    model->disk.fault_at = 0;
    check(store_read(model->store, serve, &digest) == 0);
    check(opened.sequence >= model->committed && opened.sequence <= model->appended);
    check(digest == model->digest[opened.sequence]);
    model->committed = model->appended = opened.sequence;
}

static void append(struct model *model, uint8_t how)
{
    uint8_t payload[3 * 255];
    const size_t size = 3u * how;
    uint64_t sequence;
    if (model->appended + 1 == RECORDS) {
        return;
    }
    memset(payload, how ^ (uint8_t)model->appended, sizeof(payload));
    if (store_append(model->store, payload, size, &sequence) == 0) {
        check(sequence == model->appended + 1);
        model->digest[sequence] = XXH3_64bits_withSeed(payload, size, model->digest[sequence - 1]);
        model->appended = sequence;
    }
}

static void cut_power(struct model *model, uint8_t how)
{
    const uint32_t subset = how % 4 == 0 ? UINT32_MAX : how * 2654435761u;
    disk_crash(&model->disk, subset, how % 3 == 0 ? 0 : how, &model->image);
    if (model->store != NULL) {
        store_close(model->store);
    }
    disk_start(&model->disk, &model->image);
    model->disk.fault_at = 0;
    open_store(model);
}

static void step(struct model *model, uint8_t what, uint8_t how)
{
    static const int faults[] = {-EIO, -ENOSPC, -EINTR, -EDQUOT, -EMFILE, -EDOM};
    if (what % 8 == 6) {
        cut_power(model, how);
        return;
    }
    if (what % 8 == 7) {
        model->disk.fault_at = model->disk.calls + 1 + how % 16;
        model->disk.fault = faults[how / 16 % 6];
        model->disk.fault_stays = how >= 128 && model->disk.fault != -EINTR; /* that ends */
        return;
    }
    if (model->store == NULL) {
        open_store(model);
    } else if (what % 8 < 3) {
        append(model, how);
    } else if (what % 8 == 3) {
        model->committed =
            store_commit(model->store, NULL) == 0 ? model->appended : model->committed;
    } else if (what % 8 == 4) {
        store_snapshot(model->store, &model->digest[model->committed], sizeof(uint64_t), NULL);
    } else {
        store_close(model->store);
        open_store(model);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct model model; /* large; made anew for each input */
    disk_init(&model.disk);
    model.store = NULL;
    model.committed = model.appended = 0;
    memset(model.digest, 0, sizeof(model.digest));
    open_store(&model);
    for (size_t i = 0; i + 1 < size && i < 400 && !model.disk.overflow; i += 2) {
        step(&model, data[i], data[i + 1]);
    }
    if (model.store != NULL) {
        store_close(model.store);
    }
    disk_finish(&model.disk);
    return 0;
}
