/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Random layers: weights of a bell-like distribution, scales from the spread that follows. */
#include "engine/lab/random_layer.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static uint32_t random_below(uint64_t *state, uint32_t n)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*state >> 33) % n);
}

/* -1..1, as weights lie: most near 0. */
static double random_weight(uint64_t *seed)
{
    double sum = 0;
    for (int i = 0; i < 4; i++) {
        sum += random_below(seed, 1 << 20) / (double)(1 << 19) - 1;
    }
    return sum / 4;
}

static uint64_t row_bytes(const struct network_layer *layer, uint64_t taps)
{
    if (layer->weights != NETWORK_WEIGHTS_LOG) {
        return (taps + 7) / 8;
    }
    return layer->weight_bits <= 4 ? (taps + 1) / 2 : taps;
}

/* The code of a log weight of so many bits, the sign being the highest. */
static uint8_t log_code(double weight, uint8_t bits)
{
    const int codes = (1 << (bits - 1)) - 1;
    int code = codes + (int)lround(log2(fabs(weight) + 1e-12));
    code = code < 0 ? 0 : code > codes ? codes : code;
    return (uint8_t)(code == 0 ? 0 : code | (weight < 0) << (bits - 1));
}

/* What a weight counts in sums. */
static double size_of(const struct network_layer *layer, double weight)
{
    if (layer->weights == NETWORK_WEIGHTS_LOG) {
        int code = log_code(weight, layer->weight_bits) & ((1 << (layer->weight_bits - 1)) - 1);
        return code == 0 ? 0 : ldexp(1, code - 1);
    }
    return layer->weights == NETWORK_WEIGHTS_S8 ? round(weight * 127) : 1;
}

/* Writes one output's weights; returns the sum of their squares and, in *total, of their sizes. */
static double fill_row(struct network_layer *layer, uint64_t o, uint64_t taps, uint64_t *seed,
                       double *total)
{
    uint8_t *codes =
        (uint8_t *)layer->weight_codes + (layer->weight_codes ? o * row_bytes(layer, taps) : 0);
    uint8_t *nonzero =
        (uint8_t *)layer->nonzero + (layer->nonzero ? o * row_bytes(layer, taps) : 0);
    double squares = 0;
    *total = 0;
    for (uint64_t i = 0; i < taps; i++) {
        const double weight = random_weight(seed), size = size_of(layer, weight);
        bool some = true;
        switch (layer->weights) {
        case NETWORK_WEIGHTS_S8:
            ((int8_t *)layer->weight_s8)[o * taps + i] = (int8_t)lround(weight * 127);
            break;
        case NETWORK_WEIGHTS_LOG:
            codes[layer->weight_bits <= 4 ? i / 2 : i] |=
                (uint8_t)(log_code(weight, layer->weight_bits)
                          << (layer->weight_bits <= 4 ? i % 2 * 4 : 0));
            break;
        default:
            some = layer->weights == NETWORK_WEIGHTS_BINARY || fabs(weight) > 0.15;
            codes[i / 8] |= (uint8_t)((some && weight > 0) << i % 8);
            if (nonzero) {
                nonzero[i / 8] |= (uint8_t)(some << i % 8);
            }
            break;
        }
        squares += some ? size * size : 0;
        *total += some ? fabs(size) : 0;
    }
    return squares;
}

static int take_weights(struct network_layer *layer, uint64_t taps)
{
    const uint64_t bytes = layer->out * row_bytes(layer, taps);
    if (layer->weights == NETWORK_WEIGHTS_S8) {
        layer->weight_s8 = calloc(layer->out, taps);
        return layer->weight_s8 ? 0 : -ENOMEM;
    }
    layer->weight_codes = calloc(1, bytes);
    if (layer->weights == NETWORK_WEIGHTS_TERNARY) {
        layer->nonzero = calloc(1, bytes);
    }
    return layer->weight_codes && (layer->nonzero || layer->weights != NETWORK_WEIGHTS_TERNARY)
               ? 0
               : -ENOMEM;
}

/* Levels of a channel whose sums spread by `spread`: for bits around 0, for logarithms up to twice
 * the spread. */
static int64_t threshold_of(const struct network_layer *layer, uint32_t levels, uint32_t level,
                            double spread, uint64_t *seed)
{
    if (layer->output != NETWORK_OUTPUT_LOG) {
        return (int64_t)(spread * (random_weight(seed) + level - (levels - 1) / 2.0));
    }
    return (int64_t)ldexp(2 * spread, (int)level - (int)levels) + 1 + level;
}

static int fill_thresholds(struct network_layer *layer, bool wide, double spread, uint64_t *seed)
{
    const uint32_t levels =
        layer->output == NETWORK_OUTPUT_LOG ? (1u << layer->output_bits) - 1 : 1;
    int64_t *s64 = wide ? calloc(layer->out * (size_t)levels, sizeof(*s64)) : NULL;
    int32_t *s32 = wide ? NULL : calloc(layer->out * (size_t)levels, sizeof(*s32));
    layer->threshold_s64 = s64;
    layer->threshold_s32 = s32;
    if (!s64 && !s32) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < layer->out * (size_t)levels; i++) {
        int64_t value = threshold_of(layer, levels, (uint32_t)(i % levels), spread, seed);
        if (wide) {
            s64[i] = value;
        } else {
            s32[i] = (int32_t)value;
        }
    }
    return 0;
}

/* A scale that spreads sums over 0..127; `most` is the largest sum. */
static int fill_scale(struct network_layer *layer, bool wide, double spread, double most)
{
    int64_t *s64 = wide ? calloc(layer->out, sizeof(*s64)) : NULL;
    int32_t *s32 = wide ? NULL : calloc(layer->out, sizeof(*s32));
    int32_t *mult = malloc(layer->out * sizeof(*mult));
    layer->bias_s64 = s64;
    layer->bias_s32 = s32;
    layer->mult = mult;
    if (!mult || (!s64 && !s32)) {
        return -ENOMEM;
    }
    while (ldexp(most, -layer->narrow) >= 0x1p30) {
        layer->narrow++;
    }
    /* y = t mult / 2^(32 + shift), about 40 for a sum of the spread. */
    double scale = 40 / ldexp(spread, -layer->narrow);
    layer->shift = 1;
    while (layer->shift < 31 && ldexp(scale, 32 + layer->shift) < 0x1p30) {
        layer->shift++;
    }
    double value = ldexp(scale, 32 + layer->shift);
    while (value >= 0x1p31) {
        value /= 2;
    }
    for (uint32_t o = 0; o < layer->out; o++) {
        mult[o] = (int32_t)value;
    }
    return 0;
}

static void set_codings(struct network_layer *layer, const struct lab_random_style *style)
{
    layer->weights = style->weights;
    layer->output = layer->op == NETWORK_OP_DENSE ? NETWORK_OUTPUT_SCORES : style->output;
    layer->relu = layer->output == NETWORK_OUTPUT_U7 || layer->output == NETWORK_OUTPUT_LOG;
    if (layer->weights == NETWORK_WEIGHTS_LOG) {
        layer->weight_bits = style->bits;
    }
    if (layer->output == NETWORK_OUTPUT_LOG) {
        layer->output_bits = style->bits;
    }
}

static struct lab_random_values values_after(const struct network_layer *layer)
{
    if (layer->output == NETWORK_OUTPUT_LOG) {
        return (struct lab_random_values){.log_bits = layer->output_bits};
    }
    return (struct lab_random_values){.peak = layer->output == NETWORK_OUTPUT_BINARY ? 1 : 127};
}

int lab_random_layer(struct network_layer *layer, const struct lab_random_style *style,
                     struct network_shape in, struct lab_random_values *values, uint64_t *seed)
{
    const uint64_t window = (uint64_t)layer->kernel[0] * layer->kernel[1];
    const uint64_t taps = layer->op == NETWORK_OP_DENSE
                              ? (uint64_t)in.height * in.width * in.channels
                          : layer->op == NETWORK_OP_DEPTHWISE ? window
                                                              : window * in.channels;
    const double peak = values->log_bits > 0 ? ldexp(1, (1 << values->log_bits) - 2) : values->peak;
    double squares = 0, total, most = 0;
    set_codings(layer, style);
    const bool wide =
        (layer->weights == NETWORK_WEIGHTS_LOG && layer->weight_bits > 4) || values->log_bits > 3;
    int r = take_weights(layer, taps);
    for (uint64_t o = 0; r == 0 && o < layer->out; o++) {
        squares += fill_row(layer, o, taps, seed, &total);
        most = total > most ? total : most;
    }
    if (r < 0) {
        return r;
    }
    const double spread = sqrt(squares / layer->out) * (peak > 1 ? peak / 3 : 1) + 1;
    r = layer->output == NETWORK_OUTPUT_U7 || layer->output == NETWORK_OUTPUT_SCORES
            ? fill_scale(layer, wide, spread, most * peak)
            : fill_thresholds(layer, wide, spread, seed);
    *values = values_after(layer);
    return r;
}
