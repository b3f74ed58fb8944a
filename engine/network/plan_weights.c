/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Weights of a file as the kernels take them: one signed byte each, or maps of bits. It folds
 * nothing.
 */
#include "engine/network/plan_internal.h"

#include <stdlib.h>
#include <string.h>

/* The lowest bit of each byte is bit 0..7 of `bits`. */
static uint64_t spread(uint8_t bits)
{
    const uint64_t ones = 0x0101010101010101u;
    const uint64_t each = (bits * ones) & 0x8040201008040201u;

    return (each + 0x7f * ones) >> 7 & ones;
}

/* One filter of `count` weights of one bit: 1 or -1, or 0 where `nonzero` (may be NULL) has none;
 * times `scale`. */
static void expand_bits(const uint8_t *signs, const uint8_t *nonzero, uint64_t count, int8_t scale,
                        int8_t *to)
{
    for (uint64_t i = 0; i < count; i += 8) {
        const uint64_t set = spread(signs[i / 8]);
        const uint64_t some = nonzero != NULL ? spread(nonzero[i / 8]) : 0x0101010101010101u;
        const uint64_t left = count - i < 8 ? count - i : 8;

        for (uint64_t k = 0; k < left; k++) {
            const int one = (int)(set >> 8 * k & 1), any = (int)(some >> 8 * k & 1);

            to[i + k] = (int8_t)(scale * (2 * one - any));
        }
    }
}

/* What the file's codes stand for: signed codes, or values of base 2. */
static void log_table(const struct network_layer *layer, bool codes, int8_t table[64])
{
    const int sign = 1 << (layer->weight_bits - 1);

    for (int raw = 0; raw < 2 * sign; raw++) {
        const int code = raw % sign;
        const int size = codes || code == 0 ? code : 1 << (code - 1);

        table[raw] = (int8_t)(raw >= sign ? -size : size);
    }
}

/* One filter of log weights. */
static void expand_log(const struct network_layer *layer, const int8_t table[64],
                       const uint8_t *from, uint64_t count, int8_t *to)
{
    if (layer->weight_bits > 4) {
        for (uint64_t i = 0; i < count; i++) {
            to[i] = table[from[i] & 63];
        }
        return;
    }
    for (uint64_t i = 0; i + 1 < count; i += 2) {
        const uint8_t pair = *from++;

        to[i] = table[pair & 15];
        to[i + 1] = table[pair >> 4];
    }
    if (count % 2 != 0) {
        to[count - 1] = table[*from & 15];
    }
}

int8_t *network_plan_expand(const struct network_layer *layer, uint64_t count, bool codes,
                            int8_t scale)
{
    const uint64_t bits = (count + 7) / 8;
    const uint64_t row = layer->weight_bits > 4 ? count : (count + 1) / 2;
    int8_t *weights = malloc(layer->out * count);
    int8_t table[64] = {0};

    if (layer->weights == NETWORK_WEIGHTS_LOG) {
        log_table(layer, codes, table);
    }
    for (uint32_t o = 0; weights != NULL && o < layer->out; o++) {
        int8_t *to = weights + o * count;

        if (layer->weights == NETWORK_WEIGHTS_LOG) {
            expand_log(layer, table, layer->weight_codes + o * row, count, to);
        } else {
            expand_bits(layer->weight_codes + o * bits,
                        layer->weights == NETWORK_WEIGHTS_TERNARY ? layer->nonzero + o * bits
                                                                  : NULL,
                        count, scale, to);
        }
    }
    return weights;
}

/* Bits at..at + count (at most 64) of a string of bits, the lowest first. */
static uint64_t bits_at(const uint8_t *from, uint64_t at, uint32_t count)
{
    uint64_t word = 0;

    for (uint32_t got = 0; got < count;) {
        const uint32_t skip = (at + got) % 8;

        word |= (uint64_t)(from[(at + got) / 8] >> skip) << got;
        got += 8 - skip;
    }
    return count == 64 ? word : word & ((UINT64_C(1) << count) - 1);
}

void network_plan_words(const uint8_t *from, uint32_t out, uint32_t taps, uint32_t channels,
                        uint64_t *to)
{
    const uint64_t row = ((uint64_t)taps * channels + 7) / 8;

    for (uint32_t o = 0; o < out; o++, from += row) {
        for (uint64_t tap = 0; tap < taps; tap++) {
            for (uint32_t c = 0; c < channels; c += 64) {
                *to++ = bits_at(from, tap * channels + c, channels - c < 64 ? channels - c : 64);
            }
        }
    }
}
