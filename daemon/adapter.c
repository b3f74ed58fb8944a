/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Updates: each changes the trainer, is added to the history and the store, and is committed when
 * the budget allows. */
#include "daemon/adapter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/adapter_internal.h"
#include "daemon/weights.h"

/* Labels in the running mean of what was right: the mean of all up to so many. */
#define ACCURACY_LABELS 20u
#define NO_SPACE_US     INT64_C(60000000) /* between tries on a full disk */

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int adapter_broken(struct adapter *adapter, const char *reason)
{
    adapter->read_only = true;
    snprintf(adapter->reason, sizeof(adapter->reason), "%s", reason);
    return -EROFS;
}

/* ---- Records ---- */

/* The update that was just made becomes a record with the next sequence number. What the trainer
 * holds cannot be told from the records any more when this fails: so that is final. */
static int record(struct adapter *adapter, enum history_kind kind, uint64_t target,
                  const void *body, size_t size)
{
    const bool changed = kind == HISTORY_DELTA || kind == HISTORY_RESET;
    const struct history_head head = {
        .kind = kind,
        .sequence = adapter->sequence + 1,
        .target = target,
        .digest = changed ? train_online_digest(adapter->online) : 0,
    };
    uint64_t number;
    uint8_t *payload = malloc(HISTORY_HEAD_BYTES + size);
    int r = payload != NULL ? 0 : -ENOMEM;
    if (r == 0) {
        history_write(&head, payload);
        if (size > 0) {
            memcpy(payload + HISTORY_HEAD_BYTES, body, size);
        }
        r = history_add(adapter->history, payload, HISTORY_HEAD_BYTES + size);
    }
    if (r == 0) {
        r = store_append(adapter->store, payload, HISTORY_HEAD_BYTES + size, &number);
    }
    free(payload);
    if (r == 0) {
        history_stored(adapter->history, number);
    }
    if (r < 0) {
        return adapter_broken(adapter, r == -ENOMEM ? "out of memory while an update was recorded"
                                                    : "the store takes no records any more");
    }
    adapter->sequence = adapter->recorded = head.sequence;
    adapter->labels = 0;
    adapter->first_label_us = 0;
    adapter->waiting += HISTORY_HEAD_BYTES + size;
    return 0;
}

/* What a snapshot holds is the state at the last record. */
static int snapshot(struct adapter *adapter)
{
    const struct history_head head = {
        .kind = HISTORY_SNAPSHOT,
        .sequence = adapter->recorded,
        .digest = train_online_digest(adapter->online),
    };
    void *state;
    size_t size;
    int64_t wait = 0;
    int r = train_online_snapshot(adapter->online, &state, &size);
    if (r < 0) {
        return r;
    }
    uint8_t *payload = malloc(HISTORY_HEAD_BYTES + size);
    r = payload != NULL ? 0 : -ENOMEM;
    if (r == 0) {
        history_write(&head, payload);
        memcpy(payload + HISTORY_HEAD_BYTES, state, size);
        r = store_snapshot(adapter->store, payload, HISTORY_HEAD_BYTES + size, &wait);
    }
    if (r == 0) {
        r = history_add(adapter->history, payload, HISTORY_HEAD_BYTES + size);
    }
    free(payload);
    free(state);
    return r;
}

/* Make what was recorded durable, if that is possible now. */
static int commit(struct adapter *adapter)
{
    int64_t wait = 0;
    if (adapter->durable == adapter->recorded) {
        return 0;
    }
    if (adapter->retry_us > now_us()) {
        return -EDQUOT;
    }
    int r = store_commit(adapter->store, &wait);
    if (r == -EDQUOT || r == -ENOSPC) {
        struct store_ledger ledger;
        const int64_t now = now_us();
        wait = r == -ENOSPC ? NO_SPACE_US : wait;
        adapter->retry_us = wait > INT64_MAX - now ? INT64_MAX : now + wait;
        store_get_ledger(adapter->store, &ledger); /* some of them may be durable */
        adapter->durable = history_durable(adapter->history, ledger.committed);
        return -EDQUOT;
    }
    if (r < 0) {
        return adapter_broken(adapter, "the store could not be written; what it holds is safe");
    }
    adapter->retry_us = 0;
    adapter->waiting = 0;
    adapter->durable = adapter->recorded;
    if (store_wants_snapshot(adapter->store)) {
        r = snapshot(adapter);
        if (r < 0 && r != -EDQUOT && r != -ENOSPC && r != -ENOMEM) {
            return adapter_broken(adapter, "the store could not be written; what it holds is safe");
        }
    }
    return 0;
}

static void answer_update(const struct adapter *adapter, struct adapter_answer *answer)
{
    const int64_t now = now_us();
    answer->sequence = adapter->sequence;
    answer->durable = adapter->durable;
    answer->wait_us = adapter->recorded == adapter->durable || adapter->retry_us <= now ? 0
                      : adapter->retry_us == INT64_MAX                                  ? -1
                                                       : adapter->retry_us - now;
}

/* After an update that a client asked for and that is recorded. A budget that does not allow it now
 * is no failure: the answer says so. */
static int finish_update(struct adapter *adapter, struct adapter_answer *answer)
{
    int r = commit(adapter);
    answer_update(adapter, answer);
    return r == -EDQUOT ? 0 : r;
}

static int check(const struct adapter *adapter)
{
    return !adapter->open || adapter->read_only     ? -EROFS
           : adapter->waiting > ADAPTER_WAITING_MAX ? -EDQUOT
                                                    : 0;
}

/* ---- Learning ---- */

/* Record what the labels taught. *ret_verdict is set unless there was nothing: -EAGAIN. */
static int flush(struct adapter *adapter, struct train_online_verdict *ret_verdict)
{
    const void *delta;
    size_t size;
    adapter->flush_due = false;
    adapter->first_label_us = 0;
    int r = train_online_flush(adapter->online, &delta, &size, ret_verdict);
    if (r == 0) {
        r = record(adapter, HISTORY_DELTA, 0, delta, size);
    } else if (r == -ECANCELED) {
        adapter->harmful++;
        adapter->sequence++; /* what labels had changed is taken back: other weights */
        adapter->labels = 0;
    } else if (r == -ENOMEM) {
        adapter->flush_due = true; /* tried again with the next label */
    }
    adapter->distrusted_count =
        train_online_distrusted(adapter->online, adapter->distrusted, ADAPTER_DISTRUSTED_MAX);
    return r;
}

int adapter_learn(struct adapter *adapter, const void *codes, size_t size, uint32_t label,
                  struct adapter_answer *ret_answer)
{
    struct train_online_answer told;
    struct adapter_answer answer = {0};
    int r = check(adapter);
    if (r == 0) {
        r = adapter_unpack(adapter, codes, size);
    }
    if (r == 0) {
        r = train_online_learn(adapter->online, adapter->codes, label, adapter->sequence + 1,
                               &told);
    }
    if (r < 0) {
        return r;
    }
    const double right = told.predicted == label;
    adapter->sequence++;
    adapter->labels++;
    const double count =
        adapter->labels < ACCURACY_LABELS ? (double)adapter->labels : ACCURACY_LABELS;
    adapter->accuracy += (right - adapter->accuracy) / count;
    adapter->flush_due = adapter->flush_due || told.flush_due;
    if (adapter->first_label_us == 0) {
        adapter->first_label_us = now_us();
    }
    answer_update(adapter, &answer);
    answer.predicted = told.predicted;
    answer.loss = told.loss;
    answer.held_out = told.held_out;
    *ret_answer = answer;
    return 0;
}

void adapter_maintain(struct adapter *adapter, int64_t now)
{
    struct train_online_verdict verdict;
    if (!adapter->open || adapter->read_only) {
        return;
    }
    if (adapter->flush_due ||
        (adapter->first_label_us != 0 &&
         now - adapter->first_label_us >= (int64_t)adapter->settings.commit_after_us)) {
        flush(adapter, &verdict);
    }
    if (!adapter->read_only) {
        commit(adapter);
    }
}

int64_t adapter_due(const struct adapter *adapter)
{
    int64_t due = INT64_MAX;
    if (!adapter->open || adapter->read_only) {
        return due;
    }
    if (adapter->first_label_us != 0) {
        due = adapter->first_label_us + (int64_t)adapter->settings.commit_after_us;
    }
    if (adapter->recorded > adapter->durable && adapter->retry_us < due) {
        due = adapter->retry_us;
    }
    return due;
}

int adapter_sync(struct adapter *adapter, struct adapter_answer *ret_answer)
{
    struct adapter_answer answer = {0};
    int r = check(adapter);
    if (r == 0 && adapter->labels > 0) {
        r = flush(adapter, &answer.verdict);
        answer.judged = r == 0 || r == -ECANCELED;
        r = r == -EAGAIN || r == -ECANCELED ? 0 : r;
    }
    if (r == 0 && adapter->sequence > adapter->recorded) {
        r = record(adapter, HISTORY_MARK, 0, NULL, 0);
    }
    if (r == 0 || r == -EDQUOT) {
        r = finish_update(adapter, &answer);
    }
    if (r == 0) {
        *ret_answer = answer;
    }
    return r;
}

/* ---- Going back ---- */

/* Bring the trainer to the state of the history, without labels that came after `sequence`. */
static int replay(struct adapter *adapter, uint64_t sequence)
{
    train_online_forget(adapter->online, sequence);
    adapter->flush_due = false;
    if (history_replay(adapter->history, adapter->online) < 0) {
        return adapter_broken(adapter, "an update could not be replayed");
    }
    return 0;
}

static int go_back(struct adapter *adapter, uint64_t sequence, struct adapter_answer *ret_answer)
{
    struct adapter_answer answer = {0};
    int r = record(adapter, HISTORY_BACK, sequence, NULL, 0);
    if (r == 0) {
        r = replay(adapter, sequence);
    }
    if (r == 0) {
        r = finish_update(adapter, &answer);
    }
    if (r == 0) {
        *ret_answer = answer;
    }
    return r;
}

int adapter_undo(struct adapter *adapter, struct adapter_answer *ret_answer)
{
    uint64_t sequence = adapter->recorded;
    int r = check(adapter);
    if (r == 0 && adapter->labels == 0) {
        r = history_before(adapter->history, &sequence);
    }
    return r < 0 ? r : go_back(adapter, sequence, ret_answer);
}

int adapter_rollback(struct adapter *adapter, uint64_t sequence, struct adapter_answer *ret_answer)
{
    int r = check(adapter);
    if (sequence > adapter->recorded && sequence <= adapter->sequence) {
        sequence = adapter->recorded; /* what is not recorded yet has no state of its own */
    }
    if (r == 0) {
        r = history_reaches(adapter->history, sequence);
    }
    return r < 0 ? r : go_back(adapter, sequence, ret_answer);
}

int adapter_reset(struct adapter *adapter, struct adapter_answer *ret_answer)
{
    struct adapter_answer answer = {0};
    int r = check(adapter);
    if (r < 0) {
        return r;
    }
    train_online_forget(adapter->online, 0);
    train_online_reset(adapter->online);
    adapter->flush_due = false;
    r = record(adapter, HISTORY_RESET, 0, NULL, 0);
    if (r == 0) {
        r = finish_update(adapter, &answer);
    }
    if (r == 0) {
        *ret_answer = answer;
    }
    return r;
}

/* ---- Deltas made elsewhere ---- */

int adapter_import(struct adapter *adapter, const void *bytes, size_t size,
                   struct adapter_answer *ret_answer)
{
    struct adapter_answer answer = {0};
    int r = check(adapter);
    if (r == 0 && adapter->labels > 0) { /* what is not recorded must not get lost */
        r = flush(adapter, &answer.verdict);
        r = r == -EAGAIN || r == -ECANCELED ? 0 : r;
    }
    if (r == 0) {
        r = train_online_import(adapter->online, bytes, size, &answer.verdict);
    }
    if (r == 0) {
        r = record(adapter, HISTORY_DELTA, 0, bytes, size);
    }
    if (r == 0) {
        r = finish_update(adapter, &answer);
    }
    if (r == 0) {
        answer.judged = true;
        *ret_answer = answer;
    }
    return r;
}

int adapter_export(struct adapter *adapter, void **ret_bytes, size_t *ret_size)
{
    struct train_online_verdict verdict;
    int r = adapter->open ? 0 : -EROFS;
    if (r == 0 && !adapter->read_only && adapter->labels > 0) {
        r = flush(adapter, &verdict);
        r = r == -EROFS || r == -ENOMEM ? r : 0;
    }
    return r < 0 ? r : train_online_difference(adapter->online, ret_bytes, ret_size);
}

/* ---- Publication ---- */

int adapter_publish(struct adapter *adapter, struct pool_weights *weights, uint32_t *ret_count,
                    uint64_t *ret_generation)
{
    const struct adapter_settings *settings = &adapter->settings;
    uint32_t count = 0;
    int r = 0;
    for (uint32_t i = 0; adapter->open && i < adapter->layer_count && r == 0; i++) {
        const uint32_t layer = adapter->layers[i];
        const uint64_t now = train_online_layer_generation(adapter->online, layer);
        struct pool_weights *next = &weights[count];
        struct network_layer values;
        if (now == adapter->published[i]) {
            continue;
        }
        *next = (struct pool_weights){.adapter = settings->slot,
                                      .layer = layer,
                                      .model = settings->model_index,
                                      .point = settings->point,
                                      .memfd = -1,
                                      .generation = adapter->sequence};
        if (now != 0) {
            r = train_online_layer(adapter->online, layer, &values);
        }
        if (now != 0 && r == 0) {
            r = weights_seal(settings->model, settings->point, adapter->plan, layer, &values,
                             &next->memfd, &next->bytes);
        }
        if (r == 0) {
            count++;
        }
    }
    if (r < 0) {
        adapter_close_weights(weights, count);
        return r;
    }
    for (uint32_t i = 0; i < adapter->layer_count; i++) {
        adapter->published[i] = train_online_layer_generation(adapter->online, adapter->layers[i]);
    }
    *ret_count = count;
    *ret_generation = adapter->sequence;
    return 0;
}

void adapter_get_status(struct adapter *adapter, struct adapter_status *ret_status)
{
    struct adapter_status status = {
        .open = adapter->open,
        .store = adapter->found,
        .read_only = adapter->read_only,
        .budget_day = adapter->settings.budget_day,
    };
    memcpy(status.reason, adapter->reason, sizeof(status.reason));
    if (adapter->open) {
        struct adapter_answer answer = {0};
        answer_update(adapter, &answer);
        status.sequence = adapter->sequence;
        status.recorded = adapter->recorded;
        status.durable = adapter->durable;
        status.wait_us = answer.wait_us;
        status.accuracy = adapter->accuracy;
        status.harmful = adapter->harmful;
        status.base = train_online_base(adapter->online);
        status.bytes = train_online_bytes(adapter->online) + adapter->codes_bytes +
                       history_bytes(adapter->history);
        store_get_ledger(adapter->store, &status.ledger);
        train_online_get(adapter->online, &status.online);
        status.distrusted_count = adapter->distrusted_count;
        memcpy(status.distrusted, adapter->distrusted, sizeof(status.distrusted));
    }
    *ret_status = status;
}

void adapter_close(struct adapter *adapter)
{
    if (adapter != NULL && adapter->open && !adapter->read_only) {
        struct train_online_verdict verdict;
        if (adapter->labels > 0) {
            flush(adapter, &verdict);
        }
        if (!adapter->read_only) {
            commit(adapter);
        }
    }
    adapter_free(adapter);
}
