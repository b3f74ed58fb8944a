/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * train_delta_parse on any bytes: what it accepts can be written again to the same bytes, and its
 * steps can be computed. The checksum and the size are put right first, or nothing would get past
 * them.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/train/delta.h"

#define BYTES_MAX (1u << 20)
#define CELLS_MAX (1u << 12)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int condition)
{
    if (!condition) {
        abort();
    }
}

static void compute(const struct train_delta *delta)
{
    int32_t steps[CELLS_MAX];

    for (uint32_t i = 0; i < delta->layer_count; i++) {
        const struct train_delta_layer *layer = &delta->layers[i];
        const uint32_t n = layer->columns < CELLS_MAX ? layer->columns : CELLS_MAX;

        train_delta_steps(layer, 0, 0, n, steps);
        train_delta_steps(layer, layer->rows - 1, layer->columns - n, n, steps);
        check(train_delta_s32(layer->bias, layer->rows - 1) >= INT32_MIN);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct train_delta delta;
    uint8_t *bytes = malloc(size + 1), *again;

    if (bytes == NULL || size > BYTES_MAX) {
        free(bytes);
        return 0;
    }
    memcpy(bytes, data, size);
    if (size >= 16) {
        const uint32_t length = (uint32_t)size;
        uint64_t sum;

        memcpy(bytes, "OLD1", 4);
        memcpy(bytes + 4, &length, 4);
        sum = XXH64(bytes, size - 8, 0);
        memcpy(bytes + size - 8, &sum, 8);
    }
    if (train_delta_parse(bytes, size, &delta) == 0) {
        compute(&delta);
        check(train_delta_size(&delta) == size);
        again = malloc(size);
        check(again != NULL);
        train_delta_write(&delta, again);
        check(memcmp(bytes, again, size) == 0);
        free(again);
    }
    free(bytes);
    return 0;
}
