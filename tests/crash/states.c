/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The store on a disk that loses power after any operation: opens every state that may be left, and
 * every state that a crash during that may leave, and demands what store.h promises. Then damage to
 * bytes at rest, and a fault at every call.
 *
 *   states [--states N] [--seed S]      stops after N different states; prints how many and how
 * fast
 *
 * G1 what was committed is there; G2 what is there is an exact prefix of what was appended; G3
 * damage is named; G9 the ledger never falls behind what was charged at the last commit, nor behind
 * the blocks written.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "tests/crash/disk.h"

#define RING      1024u /* records whose digest is remembered */
#define PAYLOAD   320u
#define STEPS     24u /* of a history between two crashes that it lives through */
#define DEPTH_MAX 2u

static const struct store_settings settings = {.base = {7},
                                               .budget_day = UINT64_C(1) << 50,
                                               .journal_allowance = 4096,
                                               .log_max = 4096,
                                               .reserve = 4096};

/* What a history may demand. */
struct history {
    uint64_t committed, appended; /* sequence numbers */
    uint64_t group;               /* first record of the last commit */
    uint64_t charged;             /* by the ledger, when the last commit was told */
    uint64_t digest[RING];        /* of all payloads up to each sequence number */
};

struct run {
    struct disk disk, probe[DEPTH_MAX];
    struct disk_image image[DEPTH_MAX + 1], base;
    struct history history;
    struct store *store;
    uint64_t random, seed, operation;
    uint64_t states, wanted, opened;
    uint64_t *seen; /* a set of digests; 0: empty */
    uint64_t seen_size;
    uint32_t depth;
};

static uint32_t below(struct run *run, uint32_t n)
{
    run->random = run->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(run->random >> 33) % n;
}

static void fail(const struct run *run, const char *what, uint64_t a, uint64_t b)
{
    printf("VIOLATION: %s (%llu, %llu); seed %llu, state %llu, operation %llu, depth %u\n", what,
           (unsigned long long)a, (unsigned long long)b, (unsigned long long)run->seed,
           (unsigned long long)run->states, (unsigned long long)run->operation, run->depth);
    exit(1);
}

/* ---- what a store serves ---- */

static uint64_t mix(uint64_t digest, const void *payload, size_t size)
{
    return XXH3_64bits_withSeed(payload, size, digest);
}

struct served {
    uint64_t digest, sequence;
    bool broken;
};

static int serve(void *user, uint64_t sequence, const void *payload, size_t size, bool snapshot)
{
    struct served *served = user;
    if (snapshot) { /* the digest, and filling */
        served->broken = served->broken || size < sizeof(uint64_t) || served->sequence != 0;
        if (!served->broken) {
            memcpy(&served->digest, payload, sizeof(uint64_t));
            for (size_t i = sizeof(uint64_t); i < size; i++) {
                served->broken = served->broken || ((const uint8_t *)payload)[i] != (uint8_t)i;
            }
        }
    } else {
        served->broken = served->broken || sequence != served->sequence + 1;
        served->digest = mix(served->digest, payload, size);
    }
    served->sequence = sequence;
    return 0;
}

/* What it serves must be what was appended up to some record. Returns which. */
static uint64_t read_back(const struct run *run, struct store *store)
{
    struct served served = {0};
    const struct history *h = &run->history;
    if (store_read(store, serve, &served) != 0) {
        fail(run, "what was opened cannot be read", 0, 0);
    }
    if (served.broken || served.sequence > h->appended) {
        fail(run, "G2: not what was appended", served.sequence, h->appended);
    }
    if (h->appended - served.sequence < RING &&
        served.digest != h->digest[served.sequence % RING]) {
        fail(run, "G2: other bytes than were appended", served.sequence, h->appended);
    }
    return served.sequence;
}

/* ---- a state ---- */

static bool is_new(struct run *run, const struct disk_image *image)
{
    const uint64_t point[3] = {disk_digest(image), run->operation, run->depth};
    uint64_t digest = XXH3_64bits(point, sizeof(point));
    digest += digest == 0;
    uint64_t at = digest % run->seen_size;
    while (run->seen[at] != 0) {
        if (run->seen[at] == digest) {
            return false;
        }
        at = (at + 1) % run->seen_size;
    }
    run->seen[at] = digest;
    run->states++;
    return true;
}

static void crash_states(struct run *run, const struct disk *disk, uint32_t tears);

static void crash_again(void *user)
{
    struct run *run = user;
    crash_states(run, &run->probe[run->depth - 1], 1);
}

/* It goes on working, and says so the next time. */
static void go_on(struct run *run, struct store *store, struct disk *disk, uint64_t sequence)
{
    const struct store_io io = disk_io(disk);
    struct store_opened opened;
    uint64_t got;
    if (store_append(store, "more", 4, &got) != 0 || got != sequence + 1 ||
        store_commit(store, NULL) != 0) {
        fail(run, "a recovered store takes no record", sequence, 0);
    }
    store_close(store);
    if (store_open(&io, &settings, &store, &opened) != 0 || opened.state != STORE_CLEAN ||
        opened.sequence != sequence + 1) {
        fail(run, "a recovered store is not clean the next time", opened.state, opened.sequence);
    }
    store_close(store);
}

static void check_state(struct run *run, const struct disk_image *image)
{
    const struct history *h = &run->history;
    struct disk *disk = &run->probe[run->depth];
    const struct store_io io = disk_io(disk);
    struct store_opened opened;
    struct store_ledger ledger;
    struct store *store;
    disk_start(disk, image);
    run->depth++;
    disk->changed = run->depth < DEPTH_MAX ? crash_again : NULL;
    disk->user = run;
    const int err = store_open(&io, &settings, &store, &opened);
    disk->changed = NULL;
    run->depth--;
    run->opened++;
    if (err != 0) {
        fail(run, "a crash left a state that does not open", (uint64_t)-err, 0);
    }
    if (opened.read_only) {
        fail(run, "a crash is taken for damage", opened.state, opened.sequence);
    }
    if (opened.sequence < h->committed) {
        fail(run, "G1: a committed record is gone", opened.sequence, h->committed);
    }
    if (read_back(run, store) != opened.sequence) {
        fail(run, "it serves another number than it says", opened.sequence, 0);
    }
    store_get_ledger(store, &ledger);
    if (ledger.charged < h->charged) {
        fail(run, "G9: the ledger fell behind", ledger.charged, h->charged);
    }
    if (run->opened % 8 == 0) {
        go_on(run, store, disk, opened.sequence);
    } else {
        store_close(store);
    }
}

/* States after the last operation of `disk`: all subsets of few pending operations, some of many.
 */
static void crash_states(struct run *run, const struct disk *disk, uint32_t tears)
{
    const uint32_t count = disk->pending_count, all = count >= 32 ? 0 : 1u << count;
    const uint32_t subsets = count <= 6 ? all : 64;
    struct disk_image *image = &run->image[run->depth];
    run->operation += run->depth == 0;
    if (disk->overflow) {
        fail(run, "the disk of this test is too small", count, 0);
    }
    for (uint32_t i = 0; i < subsets; i++) {
        const uint32_t subset = count <= 6 ? i : below(run, all);
        const bool tearable = disk_last_write(disk, subset) >= 0;
        for (uint32_t t = 0; t <= (tearable ? tears : 0); t++) {
            const uint64_t tear = t == 0 ? 0 : 1 + below(run, 1u << 30);
            if (run->states >= run->wanted) {
                return;
            }
            disk_crash(disk, subset, tear, image);
            if (is_new(run, image)) {
                check_state(run, image);
            }
        }
    }
}

/* ---- a history ---- */

static void changed(void *user)
{
    struct run *run = user;
    crash_states(run, &run->disk, 12);
}

/* What an attacker might send to be taken for a record: a header without the right checksums, of a
 * commit that is still to come. */
static void forge(uint8_t *payload)
{
    const uint32_t length = 0, back = 0;
    const uint64_t sequence = UINT64_C(1) << 40;
    memcpy(payload, "OREC", 4);
    memcpy(payload + 8, &length, sizeof(length));
    memcpy(payload + 12, &back, sizeof(back));
    memcpy(payload + 16, &sequence, sizeof(sequence));
}

static int append(struct run *run)
{
    struct history *h = &run->history;
    uint8_t payload[PAYLOAD];
    const size_t size = below(run, PAYLOAD);
    const uint64_t before = h->digest[h->appended % RING];
    uint64_t sequence;
    for (size_t i = 0; i < size; i++) {
        payload[i] = (uint8_t)below(run, 256);
    }
    if (size > 120 && below(run, 4) == 0) {
        forge(payload + 48);
    }
    int err = store_append(run->store, payload, size, &sequence);
    if (err == 0) {
        if (sequence != h->appended + 1) {
            fail(run, "numbers do not rise by one", sequence, h->appended);
        }
        h->appended = sequence;
        h->digest[sequence % RING] = mix(before, payload, size);
    }
    return err;
}

static int commit(struct run *run)
{
    struct history *h = &run->history;
    struct store_ledger ledger;
    const uint64_t group = h->committed + 1;
    int err = store_commit(run->store, NULL);
    if (err == 0) {
        h->group = h->appended >= group ? group : h->group;
        store_get_ledger(run->store, &ledger);
        if (ledger.charged < h->charged) {
            fail(run, "S8: the ledger fell", ledger.charged, h->charged);
        }
        h->charged = h->appended >= group ? ledger.charged : h->charged; /* by a record */
        h->committed = h->appended;
        if (ledger.committed != h->committed) {
            fail(run, "the ledger names another record", ledger.committed, h->committed);
        }
    }
    return err;
}

static int snapshot(struct run *run)
{
    uint8_t payload[700];
    const size_t size = sizeof(uint64_t) + below(run, sizeof(payload) - sizeof(uint64_t));
    for (size_t i = 0; i < size; i++) {
        payload[i] = (uint8_t)i;
    }
    memcpy(payload, &run->history.digest[run->history.committed % RING], sizeof(uint64_t));
    return store_snapshot(run->store, payload, size, NULL);
}

/* Errors are those of an injected fault. */
static int open_store(struct run *run, bool faults)
{
    const struct store_io io = disk_io(&run->disk);
    struct store_opened opened;
    run->store = NULL;
    int err = store_open(&io, &settings, &run->store, &opened);
    if (err != 0) {
        if (!faults) {
            fail(run, "the store does not open", (uint64_t)-err, 0);
        }
        return err;
    }
    if (opened.sequence < run->history.committed) {
        if (!(faults && opened.read_only)) {
            fail(run, "G1: a committed record is gone", opened.sequence, run->history.committed);
        }
        return -EROFS;
    }
    const uint64_t fault_at = run->disk.fault_at;
    run->disk.fault_at = 0; /* of this look at it nobody is told */
    read_back(run, run->store);
    run->disk.fault_at = fault_at;
    if (opened.sequence > run->history.committed) { /* a commit that nobody was told of */
        run->history.group = run->history.committed + 1;
    }
    run->history.committed = run->history.appended = opened.sequence;
    return 0;
}

static int step(struct run *run, bool faults)
{
    const uint32_t what = below(run, 16);
    int err = 0;
    run->disk.monotonic += below(run, 1000000);
    if (what < 12) {
        for (uint32_t i = 1 + below(run, 3); err == 0 && i > 0; i--) {
            err = append(run);
        }
        return err == 0 && what < 10 ? commit(run) : err;
    }
    if (what < 14 || store_wants_snapshot(run->store)) {
        err = commit(run);
        return err == 0 ? snapshot(run) : err;
    }
    store_close(run->store);
    return open_store(run, faults);
}

static void start_history(struct run *run, bool faults)
{
    memset(&run->history, 0, sizeof(run->history));
    disk_finish(&run->disk);
    disk_init(&run->disk);
    run->disk.user = run;
    run->disk.changed = faults ? NULL : changed;
}

/* Histories of crashes that follow on each other, without anything being repaired in between. */
static void live(struct run *run)
{
    while (run->states < run->wanted) {
        start_history(run, false);
        open_store(run, false);
        for (uint32_t crashes = 0; crashes < 40 && run->states < run->wanted; crashes++) {
            const uint64_t written = run->disk.written, charged = run->history.charged;
            for (uint32_t i = 0; i < STEPS && run->states < run->wanted; i++) {
                step(run, false);
            }
            append(run); /* its record carries the ledger */
            if (commit(run) == 0 && run->disk.written - written > run->history.charged - charged) {
                fail(run, "G9: more was written than charged", run->disk.written - written,
                     run->history.charged - charged);
            }
            append(run);
            run->disk.changed = NULL;
            store_commit(run->store, NULL); /* nobody is told */
            if (below(run, 2) == 0) {       /* the process alone dies */
                store_close(run->store);
                run->disk.changed = changed;
                open_store(run, false);
                continue;
            }
            const uint32_t count = run->disk.pending_count;
            disk_crash(&run->disk, count > 0 ? below(run, 1u << count) : 0, below(run, 1000),
                       &run->base);
            store_close(run->store);
            disk_start(&run->disk, &run->base);
            run->disk.changed = changed;
            open_store(run, false);
        }
        store_close(run->store);
    }
}

/* ---- damage at rest ---- */

/* One byte of a file changes: what is served stays a prefix, and only the last commit may be taken
 * for one that was never finished. */
static void damage(struct run *run, uint32_t rounds)
{
    uint32_t named = 0, cut = 0, unseen = 0;
    for (uint32_t round = 0; round < rounds; round++) {
        struct store_opened opened;
        start_history(run, true);
        open_store(run, false);
        for (uint32_t i = 0; i < STEPS; i++) {
            step(run, false);
        }
        commit(run);
        store_close(run->store);
        for (uint32_t flip = 0; flip < 20; flip++) {
            const struct store_io io = disk_io(&run->probe[0]);
            struct store *store;
            disk_start(&run->probe[0], &run->disk.now); /* without removed files */
            disk_copy(&run->base, &run->probe[0].now);
            struct disk_file *file = &run->base.file[below(run, run->base.files)];
            if (file->size == 0) {
                continue; /* the lock */
            }
            file->bytes[below(run, file->size)] ^= (uint8_t)(1 + below(run, 255));
            disk_start(&run->probe[0], &run->base);
            if (store_open(&io, &settings, &store, &opened) != 0) {
                fail(run, "G3: damage does not open read-only", 0, 0);
            }
            const uint64_t sequence = read_back(run, store);
            if (!opened.read_only && sequence + 1 < run->history.group) {
                fail(run, "G3: a damaged middle was cut", sequence, run->history.group);
            }
            named += opened.read_only;
            cut += opened.state == STORE_CUT;
            unseen += opened.state == STORE_CLEAN;
            store_close(store);
        }
    }
    /* Bytes that mean nothing: what fills a record up to a multiple of 8. */
    if (named == 0 || cut == 0 || unseen * 10 > named + cut) {
        fail(run, "G3: damage is not seen", unseen, named);
    }
    printf("damage: %u refused, %u cut as a last commit, %u without a meaning\n", named, cut,
           unseen);
}

/* ---- faults ---- */

static bool fault_history(struct run *run, uint64_t at, int fault, bool stays, uint32_t subset)
{
    const uint64_t random = run->random;
    start_history(run, true);
    run->random = 12345;
    run->disk.fault_at = at;
    run->disk.fault = fault;
    run->disk.fault_stays = stays;
    int err = open_store(run, true);
    for (uint32_t i = 0; i < STEPS && err == 0; i++) {
        err = step(run, true);
    }
    if (err < 0 && run->store != NULL && fault != -ESRCH) {
        /* What does not say that the disk is full is final, though the disk goes on now. */
        run->disk.fault_at = 0;
        const bool is_final = err != -ENOSPC && err != -EDQUOT && err != -EMFILE;
        if (is_final && (append(run) != -EROFS || commit(run) != -EROFS)) {
            fail(run, "S5: it goes on after a failed write", (uint64_t)-err, at);
        }
        commit(run); /* if it does, what it acknowledges must be there */
    }
    store_close(run->store);
    const bool reached = run->disk.calls >= at;
    if (reached && subset == 0) { /* S9: a new process on the same, running machine */
        run->disk.fault_at = 0;
        if (open_store(run, false) == 0 && at % 2 == 0 && append(run) == 0) {
            commit(run);
        }
        store_close(run->store);
    }
    disk_crash(&run->disk, subset, 0, &run->base);
    disk_start(&run->disk, &run->base);
    run->disk.fault_at = 0;
    open_store(run, false);
    store_close(run->store);
    run->random = random;
    return reached;
}

static void faults(struct run *run)
{
    static const int kinds[] = {-EIO, -ENOSPC, -EINTR, -EDQUOT, -EMFILE, -EDOM, -ESRCH};
    uint64_t count = 0;
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        for (uint32_t way = 0; way < 4; way++) {
            const bool stays = way & 1;
            if (stays ? kinds[k] == -EINTR || kinds[k] == -EDOM : kinds[k] == -ESRCH) {
                continue; /* for ever is no interruption, and death is for ever */
            }
            for (uint64_t at = 1; fault_history(run, at, kinds[k], stays, way & 2 ? UINT32_MAX : 0);
                 at++) {
                count++;
            }
        }
    }
    printf("faults: %llu histories\n", (unsigned long long)count);
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
    struct run *run = calloc(1, sizeof(*run));
    if (run == NULL) {
        return 1;
    }
    run->wanted = 200000;
    run->seed = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--states") == 0) {
            run->wanted = strtoull(argv[i + 1], NULL, 0);
        } else if (strcmp(argv[i], "--seed") == 0) {
            run->seed = strtoull(argv[i + 1], NULL, 0);
        }
    }
    run->random = XXH3_64bits(&run->seed, sizeof(run->seed));
    run->seen_size = 2 * run->wanted + 1;
    run->seen = calloc(run->seen_size, sizeof(*run->seen));
    if (run->seen == NULL) {
        return 1;
    }
    disk_init(&run->disk);
    for (uint32_t i = 0; i < DEPTH_MAX; i++) {
        disk_init(&run->probe[i]);
    }
    damage(run, 200);
    faults(run);
    const double start = now_s();
    live(run);
    printf("states: %llu different, 0 violations, %.0f a second\n", (unsigned long long)run->states,
           (double)run->states / (now_s() - start));
    disk_finish(&run->disk);
    for (uint32_t i = 0; i < DEPTH_MAX; i++) {
        disk_finish(&run->probe[i]);
    }
    free(run->seen);
    free(run);
    return 0;
}
