/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The trainer's integers: what records do to them, snapshots, digests. Nothing here depends on
 * floats or on the machine.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/train/online_internal.h"

#define BLOCK        256u
#define SNAPSHOT     0x31534c4fu /* "OLS1" */
#define HEADER_BYTES 24u
#define VARINT_BYTES 5u
#define CHECKSUM     8u
#define SUM_LIMIT    (INT64_C(1) << 31)

static size_t cells_of(const struct online_node *node)
{
    return (size_t)node->rows * node->columns;
}

bool train_online_within(const struct online_node *node, const int8_t *codes, const int32_t *bias)
{
    for (uint32_t o = 0; o < node->rows; o++) {
        const int8_t *row = codes + (size_t)o * node->columns;
        int64_t sum = bias[o] < 0 ? -(int64_t)bias[o] : bias[o];

        for (uint32_t i = 0; i < node->columns; i++) {
            sum += (int64_t)node->input_bound * abs(row[i]);
        }
        if (sum >= SUM_LIMIT >> node->layer->preshift) {
            return false;
        }
    }
    return true;
}

/* Arrays of the last layer with a head folded in, or the values as they are. */
static void fold(const struct train_online *online, const struct online_node *node,
                 const struct train_prototypes *head, const int8_t *codes, const int32_t *bias,
                 struct online_values *ret_values)
{
    if (node == online->last && head->present) {
        train_prototypes_fold(head, codes, bias, ret_values->codes, ret_values->bias);
    } else if (ret_values->codes != codes) {
        memcpy(ret_values->codes, codes, cells_of(node));
        memcpy(ret_values->bias, bias, node->rows * sizeof(*bias));
    }
}

void train_online_show(struct train_online *online)
{
    const uint64_t generation = online->generation + 1;

    for (uint32_t i = 0; i < online->node_count; i++) {
        struct online_node *node = &online->nodes[i];
        uint64_t before;

        if (!node->trained) {
            continue;
        }
        before = XXH64(node->shown.codes, cells_of(node),
                       XXH64(node->shown.bias, node->rows * sizeof(int32_t), 0));
        fold(online, node, &online->durable_head, node->durable.codes, node->live, &node->shown);
        if (before != XXH64(node->shown.codes, cells_of(node),
                            XXH64(node->shown.bias, node->rows * sizeof(int32_t), 0))) {
            node->generation = generation;
            online->generation = generation;
        }
        for (size_t k = 0; k < cells_of(node); k++) {
            node->whole[k] = node->shown.codes[k];
        }
        memcpy(node->weights, node->whole, cells_of(node) * sizeof(*node->weights));
    }
}

/* ---- records ---- */

static struct online_node *find(struct train_online *online, uint32_t layer)
{
    for (uint32_t i = 0; i < online->node_count; i++) {
        if (online->nodes[i].index == layer && online->nodes[i].trained) {
            return &online->nodes[i];
        }
    }
    return NULL;
}

static bool fits(struct train_online *online, const struct train_delta *delta)
{
    const struct train_prototypes *head = &online->durable_head;

    if (delta->base != online->base) {
        return false;
    }
    for (uint32_t i = 0; i < delta->layer_count; i++) {
        const struct online_node *node = find(online, delta->layers[i].layer);

        if (node == NULL || node->rows != delta->layers[i].rows ||
            node->columns != delta->layers[i].columns) {
            return false;
        }
    }
    return !delta->prototypes || (online->can_prototype && delta->classes == head->classes &&
                                  delta->features == head->features);
}

/* Steps of all cells of a layer; those that were written too often stay. */
static int step_layer(struct online_node *node, const struct train_delta_layer *layer,
                      uint32_t writes_max, const struct train_cells *cells)
{
    const int32_t most =
        layer->rank == TRAIN_DELTA_DENSE ? TRAIN_DELTA_DENSE_MAX : TRAIN_DELTA_STEP_MAX;
    int32_t steps[BLOCK];

    for (uint32_t row = 0; layer->rank > 0 && row < node->rows; row++) {
        for (uint32_t from = 0; from < node->columns; from += BLOCK) {
            const uint32_t n = node->columns - from < BLOCK ? node->columns - from : BLOCK;
            const size_t at = (size_t)row * node->columns + from;

            train_delta_steps(layer, row, from, n, steps);
            for (uint32_t j = 0; j < n; j++) {
                if (abs(steps[j]) > most) {
                    return -ERANGE;
                }
                if (writes_max > 0 && node->writes[at + j] >= writes_max) {
                    steps[j] = 0;
                }
            }
            train_cells_step(cells, at, steps, n, true);
        }
    }
    return 0;
}

static int try_layer(struct train_online *online, struct online_node *node,
                     const struct train_delta_layer *layer, const struct train_delta *delta)
{
    const struct train_cells cells = {node->trial.codes, NULL, cells_of(node), -127, 127};
    int r = 0;

    memcpy(node->trial.codes, node->durable.codes, cells_of(node));
    for (uint32_t o = 0; o < node->rows; o++) {
        const int64_t add = layer != NULL ? train_delta_s32(layer->bias, o) : 0;
        const int64_t durable = node->durable.bias[o] + add, live = node->live[o] + add;

        if (durable != (int32_t)durable || live != (int32_t)live) {
            return -ERANGE;
        }
        node->trial.bias[o] = (int32_t)live;
    }
    if (layer != NULL) {
        r = step_layer(node, layer, delta->writes_max, &cells);
    }
    if (r == 0) {
        fold(online, node, &online->trial_head, node->trial.codes, node->trial.bias, &node->trial);
        r = train_online_within(node, node->trial.codes, node->trial.bias) ? 0 : -ERANGE;
    }
    return r;
}

static void copy_head(struct train_prototypes *to, const struct train_prototypes *from)
{
    to->present = from->present;
    to->exponent = from->exponent;
    memcpy(to->gain, from->gain, from->classes * sizeof(*to->gain));
    memcpy(to->means, from->means, (size_t)from->classes * from->features);
}

static int read_head(const struct train_delta *delta, struct train_prototypes *head)
{
    head->present = true;
    head->exponent = delta->exponent;
    for (uint32_t c = 0; c < head->classes; c++) {
        head->gain[c] = train_delta_s32(delta->gain, c);
        if (head->gain[c] < 0 || head->gain[c] > TRAIN_PROTOTYPE_GAIN_MAX) {
            return -ERANGE;
        }
    }
    memcpy(head->means, delta->means, (size_t)head->classes * head->features);
    return 0;
}

int train_online_try(struct train_online *online, const struct train_delta *delta)
{
    uint32_t next = 0;
    int r = 0;

    if (!fits(online, delta)) {
        return -EBADMSG;
    }
    if (online->can_prototype) {
        copy_head(&online->trial_head, &online->durable_head);
    }
    if (delta->prototypes) {
        r = read_head(delta, &online->trial_head);
    }
    for (uint32_t i = 0; r == 0 && i < online->node_count; i++) {
        struct online_node *node = &online->nodes[i];
        const bool named = next < delta->layer_count && delta->layers[next].layer == node->index;

        if (node->trained) {
            r = try_layer(online, node, named ? &delta->layers[next] : NULL, delta);
        }
        next += named;
    }
    return r;
}

void train_online_commit(struct train_online *online, const struct train_delta *delta, size_t size)
{
    for (uint32_t i = 0; i < delta->layer_count; i++) {
        const struct train_delta_layer *layer = &delta->layers[i];
        struct online_node *node = find(online, layer->layer);
        const struct train_cells cells = {node->durable.codes, node->writes, cells_of(node), -127,
                                          127};

        step_layer(node, layer, delta->writes_max, &cells);
        for (uint32_t o = 0; o < node->rows; o++) {
            const int32_t add = train_delta_s32(layer->bias, o);

            node->durable.bias[o] += add;
            node->live[o] += add;
        }
    }
    if (delta->prototypes) {
        copy_head(&online->durable_head, &online->trial_head);
    }
    online->status.records++;
    online->status.record_bytes += size;
    train_online_show(online);
}

int train_online_apply(struct train_online *online, const void *record, size_t size)
{
    struct train_delta delta;
    int r = train_delta_parse(record, size, &delta);

    if (r == 0) {
        r = train_online_try(online, &delta);
    }
    if (r == 0) {
        train_online_commit(online, &delta, size);
    }
    return r;
}

void train_online_reset(struct train_online *online)
{
    for (uint32_t i = 0; i < online->node_count; i++) {
        struct online_node *node = &online->nodes[i];

        if (node->trained) {
            memcpy(node->durable.codes, node->layer->weight_s8, cells_of(node));
            memcpy(node->durable.bias, node->layer->bias_s32, node->rows * sizeof(int32_t));
            memcpy(node->live, node->layer->bias_s32, node->rows * sizeof(int32_t));
            memset(node->writes, 0, cells_of(node) * sizeof(*node->writes));
        }
    }
    online->durable_head.present = false;
    online->fresh = false;
    online->status.records = 0;
    online->status.record_bytes = 0;
    train_online_show(online);
}

/* ---- snapshots ---- */

static uint8_t *put(uint8_t *p, uint64_t x, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        p[i] = (uint8_t)(x >> (8 * i));
    }
    return p + bytes;
}

static uint64_t get(const uint8_t *p, uint32_t bytes)
{
    uint64_t x = 0;

    for (uint32_t i = 0; i < bytes; i++) {
        x |= (uint64_t)p[i] << (8 * i);
    }
    return x;
}

static size_t snapshot_room(const struct train_online *online)
{
    const struct train_prototypes *head = &online->durable_head;
    size_t size = HEADER_BYTES + CHECKSUM;

    for (uint32_t i = 0; i < online->node_count; i++) {
        const struct online_node *node = &online->nodes[i];

        if (node->trained) {
            size += cells_of(node) * (1 + VARINT_BYTES) + 4 * (size_t)node->rows;
        }
    }
    return size + (head->present ? head->classes * (4 + (size_t)head->features) : 0);
}

static uint8_t *put_node(uint8_t *p, const struct online_node *node)
{
    memcpy(p, node->durable.codes, cells_of(node));
    p += cells_of(node);
    for (uint32_t o = 0; o < node->rows; o++) {
        p = put(p, (uint32_t)node->durable.bias[o], 4);
    }
    for (size_t i = 0; i < cells_of(node); i++) {
        uint32_t x = node->writes[i];

        for (; x >= 128; x >>= 7) {
            *p++ = (uint8_t)(x | 128);
        }
        *p++ = (uint8_t)x;
    }
    return p;
}

/*
 * u32 magic; u8 head present; u8 exponent; u16 0; u64 base; u64 records. Each trained layer: codes,
 * i32 biases, writes in LEB128. The head: i32 gains, means. u64 XXH64 of all before it.
 */
static size_t write_snapshot(const struct train_online *online, uint8_t *to)
{
    const struct train_prototypes *head = &online->durable_head;
    uint8_t *p = put(to, SNAPSHOT, 4);

    p = put(p, head->present, 1);
    p = put(p, head->present ? head->exponent : 0, 3);
    p = put(p, online->base, 8);
    p = put(p, online->status.records, 8);
    for (uint32_t i = 0; i < online->node_count; i++) {
        if (online->nodes[i].trained) {
            p = put_node(p, &online->nodes[i]);
        }
    }
    for (uint32_t c = 0; head->present && c < head->classes; c++) {
        p = put(p, (uint32_t)head->gain[c], 4);
    }
    if (head->present) {
        memcpy(p, head->means, (size_t)head->classes * head->features);
        p += (size_t)head->classes * head->features;
    }
    p = put(p, XXH64(to, (size_t)(p - to), 0), 8);
    return (size_t)(p - to);
}

int train_online_snapshot(const struct train_online *online, void **ret_bytes, size_t *ret_size)
{
    uint8_t *bytes = malloc(snapshot_room(online));

    if (bytes == NULL) {
        return -ENOMEM;
    }
    *ret_size = write_snapshot(online, bytes);
    *ret_bytes = bytes;
    return 0;
}

uint64_t train_online_digest(const struct train_online *online)
{
    const struct train_prototypes *head = &online->durable_head;
    uint64_t h = online->base;

    for (uint32_t i = 0; i < online->node_count; i++) {
        const struct online_node *node = &online->nodes[i];

        if (node->trained) {
            h = XXH64(node->durable.codes, cells_of(node), h);
            h = XXH64(node->durable.bias, node->rows * sizeof(int32_t), h);
            h = XXH64(node->writes, cells_of(node) * sizeof(uint32_t), h);
        }
    }
    if (head->present) {
        h = XXH64(head->gain, head->classes * sizeof(int32_t), h + head->exponent);
        h = XXH64(head->means, (size_t)head->classes * head->features, h);
    }
    return h;
}

struct cursor {
    const uint8_t *at, *end;
};

static const uint8_t *advance(struct cursor *cursor, size_t bytes)
{
    const uint8_t *at = cursor->at;

    if (bytes > (size_t)(cursor->end - at)) {
        return NULL;
    }
    cursor->at += bytes;
    return at;
}

/* One number in LEB128, of 32 bits. */
static bool get_count(struct cursor *cursor, uint32_t *ret_x)
{
    uint64_t x = 0;

    for (uint32_t i = 0; i < VARINT_BYTES; i++) {
        const uint8_t *p = advance(cursor, 1);

        if (p == NULL) {
            return false;
        }
        x |= (uint64_t)(*p & 127) << (7 * i);
        if (*p < 128) {
            *ret_x = (uint32_t)x;
            return x <= UINT32_MAX;
        }
    }
    return false;
}

/* Checks a layer; with `keep`, takes it over. */
static bool get_node(struct cursor *cursor, struct online_node *node, bool keep)
{
    const uint8_t *codes = advance(cursor, cells_of(node));
    const uint8_t *bias = advance(cursor, 4 * (size_t)node->rows);
    uint32_t writes;

    if (codes == NULL || bias == NULL || memchr(codes, 0x80, cells_of(node)) != NULL) {
        return false;
    }
    for (size_t i = 0; i < cells_of(node); i++) {
        if (!get_count(cursor, &writes)) {
            return false;
        }
        if (keep) {
            node->writes[i] = writes;
        }
    }
    memcpy(node->trial.codes, codes, cells_of(node));
    for (uint32_t o = 0; o < node->rows; o++) {
        node->trial.bias[o] = (int32_t)(uint32_t)get(bias + 4 * (size_t)o, 4);
    }
    if (keep) {
        memcpy(node->durable.codes, node->trial.codes, cells_of(node));
        memcpy(node->durable.bias, node->trial.bias, node->rows * sizeof(int32_t));
        memcpy(node->live, node->trial.bias, node->rows * sizeof(int32_t));
    }
    return true;
}

static bool get_head(struct cursor *cursor, struct train_prototypes *head, uint32_t exponent)
{
    const uint8_t *gain = advance(cursor, 4 * (size_t)head->classes);
    const uint8_t *means = advance(cursor, (size_t)head->classes * head->features);
    struct train_delta delta = {.exponent = exponent, .gain = gain, .means = means};

    return gain != NULL && means != NULL && exponent <= 7 && read_head(&delta, head) == 0;
}

static bool read_snapshot(struct train_online *online, const uint8_t *bytes, size_t size, bool keep)
{
    struct cursor cursor = {bytes + HEADER_BYTES, bytes + size - CHECKSUM};

    for (uint32_t i = 0; i < online->node_count; i++) {
        if (online->nodes[i].trained && !get_node(&cursor, &online->nodes[i], keep)) {
            return false;
        }
    }
    if (bytes[4] > 1 || (bytes[4] == 1 && !online->can_prototype) ||
        (bytes[4] == 1 &&
         !get_head(&cursor, keep ? &online->durable_head : &online->trial_head, bytes[5]))) {
        return false;
    }
    return cursor.at == cursor.end;
}

/* What the trial values and head would predict with is within the loader's bounds. */
static bool trial_within(struct train_online *online)
{
    for (uint32_t i = 0; i < online->node_count; i++) {
        struct online_node *node = &online->nodes[i];

        if (node->trained) {
            fold(online, node, &online->trial_head, node->trial.codes, node->trial.bias,
                 &node->trial);
            if (!train_online_within(node, node->trial.codes, node->trial.bias)) {
                return false;
            }
        }
    }
    return true;
}

int train_online_restore(struct train_online *online, const void *bytes, size_t size)
{
    const uint8_t *p = bytes;

    online->trial_head.present = false;
    if (size < HEADER_BYTES + CHECKSUM || get(p, 4) != SNAPSHOT || get(p + 6, 2) != 0 ||
        get(p + 8, 8) != online->base ||
        get(p + size - CHECKSUM, 8) != XXH64(p, size - CHECKSUM, 0) ||
        !read_snapshot(online, p, size, false) || !trial_within(online)) {
        return -EBADMSG;
    }
    online->durable_head.present = false;
    read_snapshot(online, p, size, true);
    online->status.records = get(p + 16, 8);
    online->status.record_bytes = 0;
    online->fresh = false;
    train_online_show(online);
    return 0;
}
