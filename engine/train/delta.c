/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Records of updates, see delta.h: one reader that trusts nothing, one writer, and the one rule by
 * which factors become steps.
 */
#include "engine/train/delta.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <xxhash.h>

#include "engine/train/lowrank.h"

#define MAGIC          0x31444c4fu
#define HEADER_BYTES   24u
#define LAYER_BYTES    12u
#define HEAD_BYTES     8u
#define CHECKSUM_BYTES 8u
#define FACTOR_MAX     32767.0

static uint64_t load(const uint8_t *p, uint32_t bytes)
{
    uint64_t x = 0;

    for (uint32_t i = 0; i < bytes; i++) {
        x |= (uint64_t)p[i] << (8 * i);
    }
    return x;
}

static uint8_t *save(uint8_t *p, uint64_t x, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        p[i] = (uint8_t)(x >> (8 * i));
    }
    return p + bytes;
}

int32_t train_delta_s32(const uint8_t *array, size_t index)
{
    return (int32_t)(uint32_t)load(array + 4 * index, 4);
}

int32_t train_delta_s16(const uint8_t *array, size_t index)
{
    return (int16_t)(uint16_t)load(array + 2 * index, 2);
}

/* ---- reading ---- */

struct reader {
    const uint8_t *at;
    size_t left;
};

/* NULL where fewer bytes are left. */
static const uint8_t *take(struct reader *reader, uint64_t bytes)
{
    const uint8_t *at = reader->at;

    if (bytes > reader->left) {
        return NULL;
    }
    reader->at += bytes;
    reader->left -= (size_t)bytes;
    return at;
}

static bool in_range(const uint8_t *array, uint64_t count, int32_t most)
{
    for (uint64_t i = 0; i < count; i++) {
        const int32_t x = train_delta_s16(array, i);

        if (x < -most || x > most) {
            return false;
        }
    }
    return true;
}

static bool parse_steps(struct reader *reader, struct train_delta_layer *layer)
{
    const uint64_t count = (uint64_t)layer->rows * layer->columns;

    layer->left = take(reader, 2 * count);
    return layer->shift == 0 && layer->left != NULL &&
           in_range(layer->left, count, TRAIN_DELTA_DENSE_MAX);
}

static bool parse_factors(struct reader *reader, struct train_delta_layer *layer)
{
    const uint64_t left = (uint64_t)layer->rank * layer->rows;
    const uint64_t right = (uint64_t)layer->rank * layer->columns;

    layer->left = take(reader, 2 * left);
    layer->right = take(reader, 2 * right);
    return layer->rank <= TRAIN_LOWRANK_MAX && layer->shift <= 62 && layer->left != NULL &&
           layer->right != NULL && in_range(layer->left, left, INT16_MAX) &&
           in_range(layer->right, right, INT16_MAX);
}

static bool parse_layer(struct reader *reader, struct train_delta_layer *layer)
{
    const uint8_t *p = take(reader, LAYER_BYTES);

    if (p == NULL) {
        return false;
    }
    layer->layer = (uint32_t)load(p, 2);
    layer->rank = p[2];
    layer->shift = p[3];
    layer->rows = (uint32_t)load(p + 4, 4);
    layer->columns = (uint32_t)load(p + 8, 4);
    if (layer->rows == 0 || layer->rows > TRAIN_DELTA_SIDE_MAX || layer->columns == 0 ||
        layer->columns > TRAIN_DELTA_SIDE_MAX) {
        return false;
    }
    layer->bias = take(reader, 4 * (uint64_t)layer->rows);
    return layer->bias != NULL && (layer->rank == TRAIN_DELTA_DENSE ? parse_steps(reader, layer)
                                                                    : parse_factors(reader, layer));
}

static bool parse_prototypes(struct reader *reader, struct train_delta *delta)
{
    const uint8_t *p = take(reader, HEAD_BYTES);

    if (p == NULL) {
        return false;
    }
    delta->classes = (uint32_t)load(p, 2);
    delta->exponent = p[2];
    delta->features = (uint32_t)load(p + 4, 4);
    if (delta->classes == 0 || delta->exponent > 7 || p[3] != 0 || delta->features == 0 ||
        delta->features > TRAIN_DELTA_SIDE_MAX) {
        return false;
    }
    delta->gain = take(reader, 4 * (uint64_t)delta->classes);
    delta->means = take(reader, (uint64_t)delta->classes * delta->features);
    return delta->gain != NULL && delta->means != NULL;
}

int train_delta_parse(const void *bytes, size_t size, struct train_delta *ret_delta)
{
    const uint8_t *p = bytes;
    struct train_delta delta = {0};
    struct reader reader;

    if (size < HEADER_BYTES + CHECKSUM_BYTES || load(p, 4) != MAGIC || load(p + 4, 4) != size ||
        load(p + size - CHECKSUM_BYTES, 8) != XXH64(p, size - CHECKSUM_BYTES, 0)) {
        return -EBADMSG;
    }
    delta.base = load(p + 8, 8);
    delta.writes_max = (uint32_t)load(p + 16, 4);
    delta.layer_count = p[20];
    delta.prototypes = p[21] == 1;
    if (delta.layer_count > TRAIN_DELTA_LAYERS_MAX || p[21] > 1 || load(p + 22, 2) != 0) {
        return -EBADMSG;
    }
    reader = (struct reader){p + HEADER_BYTES, size - HEADER_BYTES - CHECKSUM_BYTES};
    for (uint32_t i = 0; i < delta.layer_count; i++) {
        if (!parse_layer(&reader, &delta.layers[i]) ||
            (i > 0 && delta.layers[i].layer <= delta.layers[i - 1].layer)) {
            return -EBADMSG;
        }
    }
    if ((delta.prototypes && !parse_prototypes(&reader, &delta)) || reader.left != 0) {
        return -EBADMSG;
    }
    *ret_delta = delta;
    return 0;
}

/* ---- writing ---- */

/* Bytes of left, or of the steps, and of right. */
static uint64_t left_bytes(const struct train_delta_layer *l)
{
    return 2 * (uint64_t)l->rows * (l->rank == TRAIN_DELTA_DENSE ? l->columns : l->rank);
}

static uint64_t right_bytes(const struct train_delta_layer *l)
{
    return l->rank == TRAIN_DELTA_DENSE ? 0 : 2 * (uint64_t)l->columns * l->rank;
}

size_t train_delta_size(const struct train_delta *delta)
{
    uint64_t size = HEADER_BYTES + CHECKSUM_BYTES;

    for (uint32_t i = 0; i < delta->layer_count; i++) {
        const struct train_delta_layer *l = &delta->layers[i];

        size += LAYER_BYTES + 4 * (uint64_t)l->rows + left_bytes(l) + right_bytes(l);
    }
    if (delta->prototypes) {
        size += HEAD_BYTES + (uint64_t)delta->classes * (4 + (uint64_t)delta->features);
    }
    return size <= UINT32_MAX ? (size_t)size : 0;
}

static uint8_t *copy(uint8_t *to, const uint8_t *from, size_t bytes)
{
    if (bytes > 0) {
        memcpy(to, from, bytes);
    }
    return to + bytes;
}

void train_delta_write(const struct train_delta *delta, void *to)
{
    const size_t size = train_delta_size(delta);
    uint8_t *p = to;

    p = save(p, MAGIC, 4);
    p = save(p, size, 4);
    p = save(p, delta->base, 8);
    p = save(p, delta->writes_max, 4);
    p = save(p, delta->layer_count, 1);
    p = save(p, delta->prototypes, 3);
    for (uint32_t i = 0; i < delta->layer_count; i++) {
        const struct train_delta_layer *l = &delta->layers[i];

        p = save(p, l->layer, 2);
        p = save(p, l->rank, 1);
        p = save(p, l->shift, 1);
        p = save(p, l->rows, 4);
        p = save(p, l->columns, 4);
        p = copy(p, l->bias, 4 * (size_t)l->rows);
        p = copy(p, l->left, (size_t)left_bytes(l));
        p = copy(p, l->right, (size_t)right_bytes(l));
    }
    if (delta->prototypes) {
        p = save(p, delta->classes, 2);
        p = save(p, delta->exponent, 2);
        p = save(p, delta->features, 4);
        p = copy(p, delta->gain, 4 * (size_t)delta->classes);
        p = copy(p, delta->means, (size_t)delta->classes * delta->features);
    }
    save(p, XXH64(to, size - CHECKSUM_BYTES, 0), 8);
}

/* ---- steps ---- */

void train_delta_steps(const struct train_delta_layer *layer, uint32_t row, uint32_t from,
                       uint32_t n, int32_t *steps)
{
    const uint64_t half = layer->shift > 0 ? UINT64_C(1) << (layer->shift - 1) : 0;

    if (layer->rank == TRAIN_DELTA_DENSE) {
        for (uint32_t j = 0; j < n; j++) {
            steps[j] = train_delta_s16(layer->left, (size_t)row * layer->columns + from + j);
        }
        return;
    }
    for (uint32_t j = 0; j < n; j++) {
        int64_t s = 0, step;

        for (uint32_t k = 0; k < layer->rank; k++) {
            s += (int64_t)train_delta_s16(layer->left, (size_t)k * layer->rows + row) *
                 train_delta_s16(layer->right, (size_t)k * layer->columns + from + j);
        }
        step = (int64_t)(((uint64_t)(s < 0 ? -s : s) + half) >> layer->shift);
        step = step > INT32_MAX ? INT32_MAX : step;
        steps[j] = (int32_t)(s < 0 ? -step : step);
    }
}

static double largest(const float *x, size_t n)
{
    double most = 0;

    for (size_t i = 0; i < n; i++) {
        const double size = fabs((double)x[i]);

        most = size > most ? size : most;
    }
    return most;
}

uint32_t train_delta_factors(uint32_t rank, uint32_t rows, uint32_t columns, const float *left,
                             const float *right, uint8_t *ret_left, uint8_t *ret_right)
{
    const double most_left = largest(left, (size_t)rank * rows);
    const double most_right = largest(right, (size_t)rank * columns);
    const double unit = most_right / FACTOR_MAX; /* of right; left takes it in */
    uint32_t shift = 0;

    while (shift < 62 && most_left * unit * ldexp(1, (int)shift + 1) <= FACTOR_MAX) {
        shift++;
    }
    for (size_t i = 0; i < (size_t)rank * rows; i++) {
        const double x = round((double)left[i] * unit * ldexp(1, (int)shift));

        save(ret_left + 2 * i, (uint64_t)(int64_t)fmax(-FACTOR_MAX, fmin(FACTOR_MAX, x)), 2);
    }
    for (size_t i = 0; i < (size_t)rank * columns; i++) {
        const double x = unit > 0 ? round((double)right[i] / unit) : 0;

        save(ret_right + 2 * i, (uint64_t)(int64_t)x, 2);
    }
    return shift;
}
