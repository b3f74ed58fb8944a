/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See reference.h. */
#include "reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A value, and whether it is to be multiplied by sqrt2. */
struct number {
    int64_t size;
    bool half;
};

static uint64_t values(struct network_shape shape)
{
    return (uint64_t)shape.height * shape.width * shape.channels;
}

static void *take(uint64_t count, size_t element)
{
    void *memory = calloc(count > 0 ? count : 1, element);

    if (memory == NULL) {
        abort();
    }
    return memory;
}

struct reference_map reference_input(const struct network_input *input)
{
    static const uint8_t codings[] = {
        [GRADIENT_CODING_TERNARY] = REFERENCE_TERNARY,
        [GRADIENT_CODING_SEVEN] = REFERENCE_SEVEN,
        [GRADIENT_CODING_U7] = REFERENCE_U7,
        [GRADIENT_CODING_F32] = REFERENCE_F32,
        [GRADIENT_CODING_THERMOMETER] = REFERENCE_THERMOMETER,
    };

    return (struct reference_map){
        .shape = network_input_shape(input),
        .coding = codings[input->front.coding],
        .levels = input->front.levels,
    };
}

struct reference_map reference_output(const struct network_layer *layer,
                                      const struct reference_map *in)
{
    static const uint8_t codings[] = {
        [NETWORK_OUTPUT_U7] = REFERENCE_U7,         [NETWORK_OUTPUT_F32] = REFERENCE_F32,
        [NETWORK_OUTPUT_SCORES] = REFERENCE_U7,     [NETWORK_OUTPUT_TERNARY] = REFERENCE_TERNARY,
        [NETWORK_OUTPUT_BINARY] = REFERENCE_BINARY, [NETWORK_OUTPUT_LOG] = REFERENCE_LOG,
    };
    struct reference_map out = *in;

    if (network_layer_shape(layer, in->shape, &out.shape, NULL) < 0) {
        abort();
    }
    if (layer->op <= NETWORK_OP_DEPTHWISE) {
        out.coding = codings[layer->output];
        out.bits = layer->output_bits;
        out.root = layer->output_root;
    }
    return out;
}

static struct number power(int code, bool root)
{
    if (code == 0) {
        return (struct number){0, false};
    }
    if (!root) {
        return (struct number){INT64_C(1) << (code - 1), false};
    }
    return (struct number){INT64_C(1) << (code - 1) / 2, (code - 1) % 2 == 1};
}

static struct number value_of(const struct reference_map *map, int32_t code)
{
    switch (map->coding) {
    case REFERENCE_THERMOMETER:
        return (struct number){2 * code - map->levels, false};
    case REFERENCE_BINARY:
        return (struct number){2 * code - 1, false};
    case REFERENCE_LOG:
        return power(code, map->root);
    default:
        return (struct number){code, false};
    }
}

static float real_of(const struct reference_map *map, int32_t code)
{
    struct number value = value_of(map, code);

    return (float)value.size * (value.half ? (float)M_SQRT2 : 1.0f);
}

int64_t reference_largest(const struct reference_map *map)
{
    static const int32_t ends[] = {[REFERENCE_U7] = 127,
                                   [REFERENCE_TERNARY] = 1,
                                   [REFERENCE_SEVEN] = 3,
                                   [REFERENCE_BINARY] = 1};
    int32_t end = map->coding == REFERENCE_THERMOMETER ? map->levels
                  : map->coding == REFERENCE_LOG       ? (1 << map->bits) - 1
                                                       : ends[map->coding];
    struct number value = value_of(map, end);

    return value.half ? 2 * value.size : value.size;
}

uint64_t reference_taps(const struct network_layer *layer, struct network_shape in)
{
    if (layer->op == NETWORK_OP_DENSE) {
        return values(in);
    }
    return (uint64_t)layer->kernel[0] * layer->kernel[1] *
           (layer->op == NETWORK_OP_DEPTHWISE ? 1 : in.channels);
}

bool reference_wide(const struct network_layer *layer, const struct reference_map *in)
{
    bool log = layer->weights == NETWORK_WEIGHTS_LOG;

    return (log && (layer->weight_root || layer->weight_bits >= 5)) ||
           (in->coding == REFERENCE_LOG && (in->root || in->bits >= 4));
}

/* Weight `i` of output `o`, which has `taps`. */
static struct number weight_of(const struct network_layer *layer, uint32_t o, uint64_t i,
                               uint64_t taps)
{
    if (layer->weights == NETWORK_WEIGHTS_S8) {
        return (struct number){layer->weight_s8[o * taps + i], false};
    }
    if (layer->weights == NETWORK_WEIGHTS_LOG) {
        const bool wide = layer->weight_bits >= 5;
        const uint8_t *filter = layer->weight_codes + o * (wide ? taps : (taps + 1) / 2);
        const int raw = wide ? filter[i] : i % 2 == 0 ? filter[i / 2] % 16 : filter[i / 2] / 16;
        const int sign = 1 << (layer->weight_bits - 1);
        struct number size = power(raw % sign, layer->weight_root);

        size.size = raw >= sign ? -size.size : size.size;
        return size;
    }
    const uint64_t at = o * ((taps + 7) / 8) + i / 8;
    const bool one = layer->weight_codes[at] >> i % 8 & 1;

    if (layer->weights == NETWORK_WEIGHTS_TERNARY && (layer->nonzero[at] >> i % 8 & 1) == 0) {
        return (struct number){0, false};
    }
    return (struct number){one ? 1 : -1, false};
}

/* Row, column and channel of a tap of output (y, x, o); false: outside. */
static bool tap_at(const struct network_layer *layer, struct network_shape in, uint32_t y,
                   uint32_t x, uint32_t o, uint64_t tap, uint64_t *ret_at)
{
    const bool dense = layer->op == NETWORK_OP_DENSE;
    const bool own = layer->op == NETWORK_OP_DEPTHWISE;
    const uint64_t columns = dense ? in.width : layer->kernel[1];
    const uint64_t channels = own ? 1 : in.channels;
    const uint64_t c = own ? o : tap % channels;
    const int64_t row = (int64_t)(tap / channels / columns) +
                        (dense ? 0 : (int64_t)y * layer->stride[0] - layer->pad[0]);
    const int64_t column = (int64_t)(tap / channels % columns) +
                           (dense ? 0 : (int64_t)x * layer->stride[1] - layer->pad[1]);

    if (row < 0 || column < 0 || row >= in.height || column >= in.width) {
        return false;
    }
    *ret_at = ((uint64_t)row * in.width + (uint64_t)column) * in.channels + c;
    return true;
}

static int64_t sum_of(const struct network_layer *layer, const struct reference_map *in, uint32_t y,
                      uint32_t x, uint32_t o)
{
    const uint64_t taps = reference_taps(layer, in->shape);
    const bool root = (layer->weights == NETWORK_WEIGHTS_LOG && layer->weight_root) ||
                      (in->coding == REFERENCE_LOG && in->root);
    int64_t even = 0, odd = 0;

    for (uint64_t i = 0; i < taps; i++) {
        uint64_t at;
        bool inside = tap_at(layer, in->shape, y, x, o, i, &at);
        struct number value = value_of(in, inside ? in->codes[at] : layer->pad_code);
        struct number weight = weight_of(layer, o, i, taps);
        int64_t product = value.size * weight.size * (value.half && weight.half ? 2 : 1);

        if (value.half != weight.half) {
            odd += product;
        } else {
            even += product;
        }
    }
    return root ? 128 * even + 181 * odd : even;
}

static int64_t floor_shift(int64_t value, unsigned shift)
{
    int64_t unit = INT64_C(1) << shift, quotient = value / unit;

    return quotient * unit > value ? quotient - 1 : quotient;
}

static int32_t requantise(const struct network_layer *layer, int64_t sum, uint32_t o)
{
    int64_t high = floor_shift(sum * (INT64_C(1) << layer->preshift) * layer->mult[o], 32);

    return (int32_t)floor_shift(high + (INT64_C(1) << (layer->shift - 1)), layer->shift);
}

static int32_t reached(const struct network_layer *layer, int64_t sum, uint32_t o, uint32_t levels)
{
    int32_t count = 0;

    for (uint32_t i = 0; i < levels; i++) {
        size_t at = (size_t)o * levels + i;
        bool extreme = layer->threshold_s32 != NULL ? layer->threshold_s32[at] == INT32_MIN
                                                    : layer->threshold_s64[at] == INT64_MIN;
        int64_t threshold =
            layer->threshold_s32 != NULL ? layer->threshold_s32[at] : layer->threshold_s64[at];

        count += extreme || sum >= threshold;
    }
    return count;
}

static int32_t code_of(const struct network_layer *layer, bool wide, int64_t sum, uint32_t o)
{
    switch (layer->output) {
    case NETWORK_OUTPUT_BINARY:
        return reached(layer, sum, o, 1);
    case NETWORK_OUTPUT_TERNARY:
        return reached(layer, sum, o, 2) - 1;
    case NETWORK_OUTPUT_LOG:
        return reached(layer, sum, o, (1u << layer->output_bits) - 1);
    case NETWORK_OUTPUT_U7: {
        int32_t value = requantise(layer, sum + layer->bias_s32[o], o);

        return value < 0 ? 0 : value > 127 ? 127 : value;
    }
    default: /* scores */
        return wide ? requantise(layer, floor_shift(sum + layer->bias_s64[o], layer->narrow), o)
                    : requantise(layer, sum + layer->bias_s32[o], o);
    }
}

static float real_sum(const struct network_layer *layer, const struct reference_map *in, uint32_t y,
                      uint32_t x, uint32_t o)
{
    const uint64_t taps = reference_taps(layer, in->shape);
    float sum = layer->bias_f32[o];

    for (uint64_t i = 0; i < taps; i++) {
        uint64_t at;
        float value;

        if (tap_at(layer, in->shape, y, x, o, i, &at)) {
            value = in->coding == REFERENCE_F32 ? in->real[at] : real_of(in, in->codes[at]);
        } else {
            value = in->coding == REFERENCE_F32 ? layer->pad_code : real_of(in, layer->pad_code);
        }
        sum += value * layer->weight_f32[o * taps + i];
    }
    return layer->relu && !(sum > 0) ? 0 : sum;
}

static int32_t score_of_real(float value)
{
    double score = floor((double)value * 65536.0 + 0.5);

    return score >= INT32_MAX ? INT32_MAX : score >= INT32_MIN ? (int32_t)score : INT32_MIN;
}

static void pool(const struct network_layer *layer, const struct reference_map *in, uint32_t y,
                 uint32_t x, uint32_t c, struct reference_map *out, uint64_t to)
{
    const bool whole = layer->op == NETWORK_OP_GLOBALAVGPOOL, real = in->coding == REFERENCE_F32;
    const uint32_t rows = whole ? in->shape.height : layer->kernel[0];
    const uint32_t columns = whole ? in->shape.width : layer->kernel[1];
    const uint32_t top = whole ? 0 : y * layer->stride[0], left = whole ? 0 : x * layer->stride[1];
    const int64_t count = (int64_t)rows * columns;
    int64_t sum = 0, best = INT32_MIN;
    float real_total = 0, real_best = -INFINITY;

    for (uint32_t i = 0; i < rows * columns; i++) {
        uint64_t at = ((uint64_t)(top + i / columns) * in->shape.width + left + i % columns) *
                          in->shape.channels +
                      c;

        if (real) {
            real_total += in->real[at];
            real_best = in->real[at] > real_best ? in->real[at] : real_best;
        } else {
            sum += in->codes[at];
            best = in->codes[at] > best ? in->codes[at] : best;
        }
    }
    if (real) {
        out->real[to] = layer->op == NETWORK_OP_MAXPOOL ? real_best : real_total / (float)count;
    } else {
        out->codes[to] = layer->op == NETWORK_OP_MAXPOOL
                             ? (int32_t)best
                             : (int32_t)((2 * sum + count) / (2 * count));
    }
}

static void add(const struct network_layer *layer, const struct reference_map *a,
                const struct reference_map *b, struct reference_map *out)
{
    for (uint64_t i = 0; i < values(out->shape); i++) {
        if (out->coding == REFERENCE_F32) {
            float sum = a->real[i] + b->real[i];

            out->real[i] = layer->relu && !(sum > 0) ? 0 : sum;
        } else {
            int64_t sum = (int64_t)a->codes[i] * layer->add_mult[0] +
                          (int64_t)b->codes[i] * layer->add_mult[1];

            sum = (sum + (INT64_C(1) << (layer->shift - 1))) >> layer->shift;
            out->codes[i] = (int32_t)(sum > 127 ? 127 : sum);
        }
    }
}

static void one_value(const struct network_layer *layer, const struct reference_map *in, uint32_t y,
                      uint32_t x, uint32_t c, struct reference_map *out)
{
    const uint64_t to = ((uint64_t)y * out->shape.width + x) * out->shape.channels + c;

    if (layer->op > NETWORK_OP_ADD) {
        pool(layer, in, y, x, c, out, to);
    } else if (layer->weights != NETWORK_WEIGHTS_F32) {
        out->codes[to] = code_of(layer, reference_wide(layer, in), sum_of(layer, in, y, x, c), c);
    } else if (layer->output == NETWORK_OUTPUT_SCORES) {
        out->codes[to] = score_of_real(real_sum(layer, in, y, x, c));
    } else {
        out->real[to] = real_sum(layer, in, y, x, c);
    }
}

static void load(struct reference_map *map, uint8_t coding, const void *codes)
{
    const uint64_t count = values(map->shape);

    for (uint64_t i = 0; i < count; i++) {
        if (coding == GRADIENT_CODING_F32) {
            memcpy(&map->real[i], (const float *)codes + i, sizeof(float));
        } else {
            map->codes[i] = coding == GRADIENT_CODING_TERNARY || coding == GRADIENT_CODING_SEVEN
                                ? ((const int8_t *)codes)[i]
                                : ((const uint8_t *)codes)[i];
        }
    }
}

struct reference reference_run(const struct network_point *point, const void *codes)
{
    struct reference reference = {.count = point->layer_count + 1};

    reference.map[0] = reference_input(&point->input);
    for (uint32_t i = 0; i <= point->layer_count; i++) {
        struct reference_map *map = &reference.map[i];
        const struct network_layer *layer = &point->layers[i > 0 ? i - 1 : 0];
        const struct reference_map *in = &reference.map[layer->input];

        if (i > 0) {
            *map = reference_output(layer, in);
        }
        map->codes = take(values(map->shape), sizeof *map->codes);
        map->real = take(values(map->shape), sizeof *map->real);
        if (i == 0) {
            load(map, point->input.front.coding, codes);
            continue;
        }
        if (layer->op == NETWORK_OP_ADD) {
            add(layer, in, &reference.map[layer->other], map);
            continue;
        }
        for (uint64_t k = 0; k < values(map->shape); k++) {
            const uint32_t c = (uint32_t)(k % map->shape.channels);
            const uint64_t pixel = k / map->shape.channels;

            one_value(layer, in, (uint32_t)(pixel / map->shape.width),
                      (uint32_t)(pixel % map->shape.width), c, map);
        }
    }
    return reference;
}

void reference_finish(struct reference *reference)
{
    for (uint32_t i = 0; i < reference->count; i++) {
        free(reference->map[i].codes);
        free(reference->map[i].real);
    }
}
