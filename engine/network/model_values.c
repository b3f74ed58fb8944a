/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The arrays of one layer: their formats, and the bounds of the sums that they can make (SUMS in
 * model.h). After these checks no accumulator leaves its type.
 */
#include "engine/network/model_internal.h"

#include <errno.h>
#include <math.h>

#define WIDE_MAX (UINT64_C(1) << 62)

static int refuse(const char **ret_reason, const char *reason)
{
    *ret_reason = reason;
    return -EBADMSG;
}

/* ---- magnitudes: never wrong by overflow, WIDE_MAX + 1 stands for more ---- */

static uint64_t add_up(uint64_t a, uint64_t b)
{
    return a + b > WIDE_MAX ? WIDE_MAX + 1 : a + b; /* both are at most WIDE_MAX + 1 */
}

static uint64_t times_power(uint64_t number, unsigned exponent)
{
    if (number == 0) {
        return 0;
    }
    return exponent > 62 || number > WIDE_MAX >> exponent ? WIDE_MAX + 1 : number << exponent;
}

/* number times sqrt2^steps in units of 1/128, as SUMS counts it; never below what fewer steps give.
 */
static uint64_t times_root(uint64_t number, unsigned steps)
{
    return times_power(number * (steps % 2 == 0 ? 128 : 181), steps / 2);
}

/* The largest value of the input: `number` times 2^(steps / 2). */
struct peak {
    uint64_t number;
    unsigned steps;
};

static struct peak peak_of(const struct network_flow *in)
{
    switch (in->value) {
    case NETWORK_VALUE_SEVEN:
        return (struct peak){3, 0};
    case NETWORK_VALUE_U7:
        return (struct peak){127, 0};
    case NETWORK_VALUE_THERMOMETER:
        return (struct peak){in->levels, 0};
    case NETWORK_VALUE_LOG:
        return (struct peak){1, ((1u << in->bits) - 2) * (in->root ? 1 : 2)};
    default:
        return (struct peak){1, 0};
    }
}

static bool is_signed(const struct network_flow *in)
{
    return in->value == NETWORK_VALUE_TERNARY || in->value == NETWORK_VALUE_SEVEN ||
           in->value == NETWORK_VALUE_THERMOMETER || in->value == NETWORK_VALUE_BINARY;
}

/* What one log weight with this code (1..) adds at most. */
static uint64_t log_product(const struct network_layer *layer, const struct network_flow *in,
                            unsigned code)
{
    const struct peak peak = peak_of(in);
    const unsigned steps = peak.steps + (code - 1) * (layer->weight_root ? 1 : 2);
    const bool rooted = layer->weight_root || (in->value == NETWORK_VALUE_LOG && in->root);

    return rooted ? times_root(peak.number, steps) : times_power(peak.number, steps / 2);
}

/* What `sum` of linear weights adds at most. */
static uint64_t linear_product(const struct network_flow *in, uint64_t sum)
{
    const struct peak peak = peak_of(in);

    return in->value == NETWORK_VALUE_LOG && in->root
               ? times_root(sum * peak.number, peak.steps)
               : times_power(sum * peak.number, peak.steps / 2);
}

/* ---- weights of one output ---- */

/* One that the format forbids gives -EBADMSG, else *ret_sum is the largest |t|. */
static int sum_s8(const int8_t *weights, uint64_t count, const struct network_flow *in,
                  uint64_t *ret_sum)
{
    uint64_t sum = 0;
    int8_t least = 0;

    while (count > 0) { /* the inner loop has no way out: compilers make vectors of it */
        const uint64_t part = count < 1u << 20 ? count : 1u << 20;
        uint32_t part_sum = 0;

        for (uint64_t i = 0; i < part; i++) {
            least = weights[i] < least ? weights[i] : least;
            part_sum += (uint32_t)(weights[i] < 0 ? -weights[i] : weights[i]);
        }
        sum += part_sum;
        weights += part;
        count -= part;
    }
    if (least == INT8_MIN) {
        return -EBADMSG;
    }
    *ret_sum = linear_product(in, sum);
    return 0;
}

/* nonzero: NULL for binary weights. */
static int sum_bits(const uint8_t *signs, const uint8_t *nonzero, uint64_t count,
                    const struct network_flow *in, uint64_t *ret_sum)
{
    const uint64_t row = (count + 7) / 8;
    const unsigned spare = (unsigned)(row * 8 - count);
    uint64_t sum = count;

    if ((uint8_t)(signs[row - 1] >> (8 - spare)) != 0 && spare != 0) {
        return -EBADMSG;
    }
    if (nonzero != NULL) {
        sum = 0;
        for (uint64_t i = 0; i < row; i++) {
            if ((signs[i] & ~nonzero[i]) != 0) {
                return -EBADMSG;
            }
            sum += (unsigned)__builtin_popcount(nonzero[i]);
        }
        if (spare != 0 && nonzero[row - 1] >> (8 - spare) != 0) {
            return -EBADMSG;
        }
    }
    *ret_sum = linear_product(in, sum);
    return 0;
}

static int sum_log(const struct network_layer *layer, const uint8_t *codes, uint64_t count,
                   const struct network_flow *in, uint64_t *ret_sum)
{
    const bool halves = layer->weight_bits <= 4;
    const uint32_t sign = 1u << (layer->weight_bits - 1);
    uint64_t counts[256] = {0}, sum = 0;

    for (uint64_t i = 0; i < count; i++) {
        counts[halves ? codes[i / 2] >> i % 2 * 4 & 15 : codes[i]]++;
    }
    for (uint32_t raw = 1; raw < 256; raw++) {
        uint64_t product = 0;

        if (counts[raw] == 0) {
            continue;
        }
        if (raw >= 2 * sign || raw == sign) {
            return -EBADMSG; /* bits above the code, or negative zero */
        }
        if (__builtin_mul_overflow(counts[raw], log_product(layer, in, raw % sign), &product) ||
            product > WIDE_MAX) {
            product = WIDE_MAX + 1;
        }
        sum = add_up(sum, product);
    }
    if (halves && count % 2 == 1 && codes[count / 2] >> 4 != 0) {
        return -EBADMSG;
    }
    *ret_sum = sum;
    return 0;
}

static int sum_of(const struct network_layer *layer, uint32_t output, uint64_t count,
                  const struct network_flow *in, uint64_t *ret_sum)
{
    const uint64_t row = network_codes_row(layer, count);

    switch (layer->weights) {
    case NETWORK_WEIGHTS_S8:
        return sum_s8(layer->weight_s8 + output * count, count, in, ret_sum);
    case NETWORK_WEIGHTS_BINARY:
        return sum_bits(layer->weight_codes + output * row, NULL, count, in, ret_sum);
    case NETWORK_WEIGHTS_TERNARY:
        return sum_bits(layer->weight_codes + output * row, layer->nonzero + output * row, count,
                        in, ret_sum);
    default:
        return sum_log(layer, layer->weight_codes + output * row, count, in, ret_sum);
    }
}

/* ---- bounds ---- */

static uint64_t size_of(int64_t number)
{
    return number < 0 ? -(uint64_t)number : (uint64_t)number;
}

/* Whether t, with the bias, stays in its type and survives the requantisation. */
static bool sums_fit(const struct network_layer *layer, const struct network_flow *in,
                     uint32_t output, uint64_t sum)
{
    const bool wide = network_layer_is_wide(layer, in);
    /* A threshold of INT32_MAX is never reached: no sum may be as large. */
    const uint64_t limit =
        wide ? WIDE_MAX : (UINT64_C(1) << 31) - (network_layer_levels(layer) > 0 ? 1 : 0);
    const uint64_t most = is_signed(in) && sum <= WIDE_MAX ? sum * 3 : sum;
    uint64_t bias = 0;

    if (layer->output == NETWORK_OUTPUT_U7 || layer->output == NETWORK_OUTPUT_SCORES) {
        bias = wide ? size_of(layer->bias_s64[output]) : size_of(layer->bias_s32[output]);
    }
    if (sum > WIDE_MAX || most >= limit || bias >= limit || most + bias >= limit) {
        return false;
    }
    /* Rounding down may take a negative number one further, to -2^31 at most. */
    const uint64_t narrowed = (sum + bias) >> layer->narrow;

    return network_layer_levels(layer) > 0 || narrowed < (UINT64_C(1) << 31) >> layer->preshift;
}

static bool thresholds_rise(const struct network_layer *layer)
{
    const uint32_t levels = network_layer_levels(layer);

    for (uint64_t o = 0; o < layer->out; o++) {
        for (uint64_t i = o * levels + 1; i < (o + 1) * levels; i++) {
            if (layer->threshold_s64 != NULL
                    ? layer->threshold_s64[i] < layer->threshold_s64[i - 1]
                    : layer->threshold_s32[i] < layer->threshold_s32[i - 1]) {
                return false;
            }
        }
    }
    return true;
}

static bool all_finite(const float *values, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) {
            return false;
        }
    }
    return true;
}

int network_layer_check_values(const struct network_layer *layer, const struct network_flow *in,
                               const char **ret_reason)
{
    const uint64_t count = network_layer_inputs(layer, in->shape);

    if (layer->weights == NETWORK_WEIGHTS_F32) {
        if (!all_finite(layer->weight_f32, layer->out * count) ||
            !all_finite(layer->bias_f32, layer->out)) {
            return refuse(ret_reason, "A weight or bias is not a finite number.");
        }
        return 0;
    }
    for (uint32_t o = 0; o < layer->out; o++) {
        uint64_t sum = 0;

        if (sum_of(layer, o, count, in, &sum) < 0) {
            return refuse(ret_reason, layer->weights == NETWORK_WEIGHTS_S8
                                          ? "A weight is -128, below the smallest allowed."
                                          : "A weight's code is none, or a spare bit is set.");
        }
        if (!sums_fit(layer, in, o, sum)) {
            return refuse(ret_reason, network_layer_is_wide(layer, in)
                                          ? "A layer's sums can leave their bounds."
                                          : "A layer's sums can leave 32 bits.");
        }
    }
    if (!thresholds_rise(layer)) {
        return refuse(ret_reason, "A layer's thresholds do not rise.");
    }
    return 0;
}
