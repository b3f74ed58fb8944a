/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* A list of updates in which each names the one that it builds on. */
#include "daemon/history.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ROOT       (-1)    /* the snapshot, or the model as it is */
#define COUNT_MAX  100000u /* records between two snapshots; the log's bound comes first */
#define FIRST_ROOM 16u

struct entry {
    uint64_t sequence, digest;
    uint64_t stored; /* number of the record */
    int32_t before;  /* DELTA: the entry that it changes; RESET: where it was, for undo */
    int32_t head;    /* the entry, or ROOT, that is the state after this one */
    bool reset;      /* starts from the model as it is */
    uint8_t *delta;  /* NULL: none */
    size_t size;
};

struct history {
    uint8_t *snapshot; /* NULL: none */
    size_t snapshot_bytes;
    uint64_t root_sequence, root_digest;
    struct entry *entries;
    uint32_t count, room;
    size_t bytes;
};

static void put_u64(uint8_t *to, uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        to[i] = (uint8_t)(value >> 8 * i);
    }
}

static uint64_t get_u64(const uint8_t *from)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) {
        value = value << 8 | from[i];
    }
    return value;
}

void history_write(const struct history_head *head, uint8_t out[HISTORY_HEAD_BYTES])
{
    memset(out, 0, HISTORY_HEAD_BYTES);
    out[0] = 'O';
    out[1] = 'A';
    out[2] = 1;
    out[3] = (uint8_t)head->kind;
    put_u64(out + 8, head->sequence);
    put_u64(out + 16, head->target);
    put_u64(out + 24, head->digest);
}

static int read_head(const uint8_t *payload, size_t size, struct history_head *ret_head)
{
    static const uint8_t start[3] = {'O', 'A', 1}, zeros[4] = {0};
    if (size < HISTORY_HEAD_BYTES || memcmp(payload, start, 3) != 0 ||
        memcmp(payload + 4, zeros, 4) != 0 || payload[3] < HISTORY_DELTA ||
        payload[3] > HISTORY_SNAPSHOT) {
        return -EBADMSG;
    }
    *ret_head = (struct history_head){
        .kind = (enum history_kind)payload[3],
        .sequence = get_u64(payload + 8),
        .target = get_u64(payload + 16),
        .digest = get_u64(payload + 24),
    };
    bool body = ret_head->kind == HISTORY_DELTA || ret_head->kind == HISTORY_SNAPSHOT;
    return body == (size > HISTORY_HEAD_BYTES) ? 0 : -EBADMSG;
}

struct history *history_create(void)
{
    return calloc(1, sizeof(struct history));
}

static void forget(struct history *history)
{
    for (uint32_t i = 0; i < history->count; i++) {
        free(history->entries[i].delta);
    }
    free(history->entries);
    free(history->snapshot);
    *history = (struct history){0};
}

void history_destroy(struct history *history)
{
    if (history != NULL) {
        forget(history);
        free(history);
    }
}

static int32_t head_of(const struct history *history)
{
    return history->count > 0 ? history->entries[history->count - 1].head : ROOT;
}

uint64_t history_sequence(const struct history *history)
{
    return history->count > 0 ? history->entries[history->count - 1].sequence
                              : history->root_sequence;
}

size_t history_bytes(const struct history *history)
{
    return history->bytes;
}

void history_stored(struct history *history, uint64_t number)
{
    if (history->count > 0) {
        history->entries[history->count - 1].stored = number;
    }
}

uint64_t history_durable(const struct history *history, uint64_t number)
{
    uint32_t i = history->count;
    while (i > 0 && history->entries[i - 1].stored > number) {
        i--;
    }
    return i > 0 ? history->entries[i - 1].sequence : history->root_sequence;
}

/* The state after the last update up to this number. Errors: -ENOENT. */
static int find(const struct history *history, uint64_t sequence, int32_t *ret_head)
{
    if (sequence < history->root_sequence || sequence > history_sequence(history)) {
        return -ENOENT;
    }
    uint32_t i = history->count;
    while (i > 0 && history->entries[i - 1].sequence > sequence) {
        i--;
    }
    *ret_head = i > 0 ? history->entries[i - 1].head : ROOT;
    return 0;
}

int history_reaches(const struct history *history, uint64_t sequence)
{
    int32_t head;
    return find(history, sequence, &head);
}

int history_before(const struct history *history, uint64_t *ret_sequence)
{
    int32_t head = head_of(history);
    if (head == ROOT) {
        return -ENOENT;
    }
    int32_t before = history->entries[head].before;
    *ret_sequence = before == ROOT ? history->root_sequence : history->entries[before].sequence;
    return 0;
}

static uint8_t *copy(const void *bytes, size_t size)
{
    uint8_t *copied = malloc(size);
    if (copied != NULL) {
        memcpy(copied, bytes, size);
    }
    return copied;
}

static int add_snapshot(struct history *history, const struct history_head *head,
                        const uint8_t *body, size_t size)
{
    uint8_t *snapshot = copy(body, size);
    if (snapshot == NULL) {
        return -ENOMEM;
    }
    forget(history);
    history->snapshot = snapshot;
    history->snapshot_bytes = history->bytes = size;
    history->root_sequence = head->sequence;
    history->root_digest = head->digest;
    return 0;
}

static int make_room(struct history *history)
{
    if (history->count < history->room) {
        return 0;
    }
    uint32_t room = history->room == 0 ? FIRST_ROOM : history->room * 2;
    struct entry *entries =
        history->count < COUNT_MAX ? realloc(history->entries, room * sizeof(*entries)) : NULL;
    if (entries == NULL) {
        return -ENOMEM;
    }
    history->entries = entries;
    history->room = room;
    return 0;
}

int history_add(struct history *history, const void *payload, size_t size)
{
    struct history_head head;
    const uint8_t *body = (const uint8_t *)payload + HISTORY_HEAD_BYTES;
    if (read_head(payload, size, &head) < 0) {
        return -EBADMSG;
    }
    if (head.kind == HISTORY_SNAPSHOT) {
        return head.sequence < history_sequence(history)
                   ? -EBADMSG
                   : add_snapshot(history, &head, body, size - HISTORY_HEAD_BYTES);
    }
    const int32_t self = (int32_t)history->count;
    struct entry entry = {.sequence = head.sequence,
                          .digest = head.digest,
                          .before = head_of(history),
                          .head = head_of(history)};
    if (head.sequence <= history_sequence(history) ||
        (head.kind == HISTORY_BACK && find(history, head.target, &entry.head) < 0)) {
        return -EBADMSG;
    }
    if (make_room(history) < 0) {
        return -ENOMEM;
    }
    if (head.kind == HISTORY_DELTA || head.kind == HISTORY_RESET) {
        entry.head = self;
        entry.reset = head.kind == HISTORY_RESET;
    }
    if (head.kind == HISTORY_DELTA) {
        entry.size = size - HISTORY_HEAD_BYTES;
        entry.delta = copy(body, entry.size);
        if (entry.delta == NULL) {
            return -ENOMEM;
        }
    }
    history->entries[history->count++] = entry;
    history->bytes += sizeof(entry) + entry.size;
    return 0;
}

int history_walk(const struct history *history,
                 int (*each)(void *user, const void *delta, size_t size), void *user,
                 const void **ret_snapshot, size_t *ret_snapshot_bytes)
{
    uint32_t depth = 0;
    int r = 0;
    int32_t at = head_of(history);
    uint32_t *way = malloc((history->count + 1) * sizeof(*way));
    if (way == NULL) {
        return -ENOMEM;
    }
    /* Each builds on an earlier one: this ends. */
    while (at != ROOT && !history->entries[at].reset) {
        way[depth++] = (uint32_t)at;
        at = history->entries[at].before;
    }
    *ret_snapshot = at == ROOT ? history->snapshot : NULL;
    *ret_snapshot_bytes = at == ROOT ? history->snapshot_bytes : 0;
    while (each != NULL && depth > 0 && r == 0) {
        const struct entry *entry = &history->entries[way[--depth]];
        r = each(user, entry->delta, entry->size);
    }
    free(way);
    return r;
}

static int apply(void *user, const void *delta, size_t size)
{
    return train_online_apply(user, delta, size);
}

int history_replay(const struct history *history, struct train_online *online)
{
    const void *snapshot;
    size_t size;
    int r = history_walk(history, NULL, NULL, &snapshot, &size);
    if (r < 0) {
        return r;
    }
    train_online_reset(online);
    if (snapshot != NULL) {
        r = train_online_restore(online, snapshot, size);
    }
    if (r == 0) {
        r = history_walk(history, apply, online, &snapshot, &size);
    }
    const int32_t head = head_of(history);
    if (r == 0 && (head != ROOT || history->snapshot != NULL) &&
        train_online_digest(online) !=
            (head != ROOT ? history->entries[head].digest : history->root_digest)) {
        r = -EILSEQ;
    }
    return r;
}
