/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See tiny.h. */
#include "tests/unit/train/tiny.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/train/train.h"

static int8_t weights[6][16384];
static int32_t biases[6][64], mults[6][64];

/* Weights up to 40, biases about 0; `unit` is what 1 of a sum becomes, but for the channel. */
static void fill(uint64_t seed, uint32_t layer, uint32_t rows, uint32_t columns, double unit,
                 uint32_t bits)
{
    for (uint32_t i = 0; i < rows * columns; i++) {
        weights[layer][i] = (int8_t)((int32_t)(train_random(seed, layer, i) % 81) - 40);
    }
    for (uint32_t o = 0; o < rows; o++) {
        biases[layer][o] = (int32_t)(train_random(seed, 100 + layer, o) % 200) - 100;
        mults[layer][o] = (int32_t)(unit * (1 << bits) * (1 + (double)(o % 5) / 8));
    }
}

static struct network_layer conv(const char *name, uint32_t index, uint32_t out, uint16_t pad)
{
    return (struct network_layer){.op = NETWORK_OP_CONV,
                                  .relu = true,
                                  .preshift = 4,
                                  .shift = 2,
                                  .kernel = {3, 3},
                                  .stride = {1, 1},
                                  .pad = {pad, pad},
                                  .out = out,
                                  .input = index,
                                  .name = name,
                                  .weight_s8 = weights[index],
                                  .bias_s32 = biases[index],
                                  .mult = mults[index]};
}

static struct network_layer pool(uint32_t index)
{
    return (struct network_layer){
        .op = NETWORK_OP_MAXPOOL, .kernel = {2, 2}, .stride = {2, 2}, .input = index};
}

static struct network_layer dense(const char *name, uint32_t index, uint32_t out, bool scores)
{
    return (struct network_layer){.op = NETWORK_OP_DENSE,
                                  .output = scores ? NETWORK_OUTPUT_SCORES : NETWORK_OUTPUT_U7,
                                  .relu = !scores,
                                  .preshift = scores ? 11 : 4,
                                  .shift = scores ? 1 : 2,
                                  .out = out,
                                  .input = index,
                                  .name = name,
                                  .weight_s8 = weights[index],
                                  .bias_s32 = biases[index],
                                  .mult = mults[index]};
}

struct network_model *tiny_model(uint64_t seed, uint32_t classes)
{
    const struct network_layer layers[] = {conv("a", 0, 12, 1),      pool(1),
                                           conv("b", 2, 16, 0),      pool(3),
                                           dense("c", 4, 24, false), dense("d", 5, classes, true)};
    static const char *const labels[] = {"zero", "one", "two", "three"};
    struct network_point point = {
        .name = "default",
        .input = {.target = {.width = TINY_SIDE, .height = TINY_SIDE, .channels = 1},
                  .front = {.coding = GRADIENT_CODING_TERNARY,
                            .planes = 1,
                            .ratio = {{9, 8}},
                            .floor = 32}},
        .layer_count = 6,
        .layers = layers};
    const struct network_description description = {.name = "tiny",
                                                    .label_count = classes,
                                                    .labels = labels,
                                                    .point_count = 1,
                                                    .points = &point};
    struct network_model *model;
    const char *reason = NULL;
    void *bytes;
    size_t size;

    fill(seed, 0, 12, 18, 0.4, 30);
    fill(seed, 2, 16, 108, 0.004, 30);
    fill(seed, 4, 24, 64, 0.006, 30);
    fill(seed, 5, classes, 24, 30, 22);
    if (network_model_write(&description, &bytes, &size, &reason) < 0) {
        fail_msg("%s", reason != NULL ? reason : "not written");
    }
    assert_int_equal(network_model_load(bytes, size, &model, NULL), 0);
    free(bytes);
    return model;
}

void tiny_codes(uint64_t seed, uint32_t kind, uint32_t index, int8_t *codes)
{
    for (uint32_t i = 0; i < TINY_VALUES; i++) {
        const uint64_t pattern = train_random(seed, kind, i) % 3;
        const uint64_t noise = train_random(seed, 1000 + kind, (uint64_t)index * TINY_VALUES + i);

        codes[i] = (int8_t)((noise >> 32) % 100 < 12 ? noise % 3 : pattern) - 1;
    }
}
