/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What an adapter's store may hold, replayed: any sequence of records and snapshots. A replay ends
 * in an error or in a state whose snapshot gives the same state again. Magic numbers, sizes, bases
 * and checksums are put right first, or nothing would get past them.
 *
 * INPUT  records, each: kind (1); what BACK goes back to, in updates (1); bytes of the body (2); it
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "daemon/history.h"
#include "tests/unit/train/tiny.h"

#define BODY_MAX    4096u
#define RECORDS_MAX 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int condition)
{
    if (!condition) {
        abort();
    }
}

static void mend(uint8_t *body, uint32_t size, uint64_t base, int snapshot)
{
    uint64_t sum;
    if (size < 32) {
        return;
    }
    memcpy(body, snapshot ? "OLS1" : "OLD1", 4);
    if (!snapshot) {
        memcpy(body + 4, &size, 4);
    }
    memcpy(body + 8, &base, 8);
    sum = XXH64(body, size - 8, 0);
    memcpy(body + size - 8, &sum, 8);
}

static void fill(struct history *history, const uint8_t *data, size_t size, uint64_t base)
{
    uint8_t payload[HISTORY_HEAD_BYTES + BODY_MAX];
    for (uint32_t i = 1; i <= RECORDS_MAX && size >= 4; i++) {
        const struct history_head head = {.kind = (enum history_kind)data[0],
                                          .sequence = i,
                                          .target = data[0] == HISTORY_BACK ? data[1] : 0};
        uint32_t body = (uint32_t)data[2] | (uint32_t)data[3] << 8;
        data += 4;
        size -= 4;
        body = body > BODY_MAX ? BODY_MAX : body;
        body = body > size ? (uint32_t)size : body;
        history_write(&head, payload);
        memcpy(payload + HISTORY_HEAD_BYTES, data, body);
        mend(payload + HISTORY_HEAD_BYTES, body, base, head.kind == HISTORY_SNAPSHOT);
        history_add(history, payload, HISTORY_HEAD_BYTES + body);
        data += body;
        size -= body;
    }
}

static void keep(struct train_online *online)
{
    const uint64_t digest = train_online_digest(online);
    void *bytes;
    size_t size;
    check(train_online_snapshot(online, &bytes, &size) == 0);
    train_online_reset(online);
    check(train_online_restore(online, bytes, size) == 0);
    check(train_online_digest(online) == digest);
    free(bytes);
    if (train_online_difference(online, &bytes, &size) == 0) {
        train_online_reset(online);
        check(train_online_apply(online, bytes, size) == 0);
        free(bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct train_online *online; /* one for all inputs: a replay begins at the base */
    static struct network_model *model;
    if (online == NULL) {
        struct train_online_settings settings;
        model = tiny_model(3, 2);
        train_online_defaults(model, 0, &settings);
        check(train_online_create(model, 0, &settings, &online, NULL) == 0);
    }
    struct history *history = history_create();
    check(history != NULL);
    fill(history, data, size, train_online_base(online));
    int r = history_replay(history, online);
    if (r == 0 || r == -EILSEQ) { /* digests are not those of the records here */
        keep(online);
    }
    history_destroy(history);
    return 0;
}
