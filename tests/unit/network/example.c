/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See example.h. It shares no arithmetic with the code under test. */
#include "example.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t example_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1dull;
}

uint32_t example_range(uint64_t *state, uint32_t low, uint32_t high)
{
    return low + (uint32_t)((example_random(state) >> 32) % (high - low + 1));
}

static void *take(struct example *example, size_t bytes)
{
    void *memory = malloc(bytes > 0 ? bytes : 1);

    if (memory == NULL) {
        abort();
    }
    example->memory[example->memories++] = memory;
    return memory;
}

static void make_input(struct example *example, enum example_kind kind)
{
    uint64_t *seed = &example->seed;
    struct network_input *input = &example->point.input;
    struct gradient_spec *front = &input->front;

    input->target.width = example_range(seed, 1, 19);
    input->target.height = example_range(seed, 1, 19);
    input->target.fit = (uint8_t)example_range(seed, 0, 2);
    input->target.channels = front->planes = example_range(seed, 0, 1) ? 3 : 1;
    front->source = (uint8_t)example_range(seed, 0, 1);
    if (front->source == GRADIENT_SOURCE_SRGB) {
        front->coding = kind == EXAMPLE_F32 && example_range(seed, 0, 1) ? GRADIENT_CODING_F32
                                                                         : GRADIENT_CODING_U7;
        return;
    }
    front->coding = (uint8_t)example_range(seed, 0, 1);
    if (kind == EXAMPLE_F32 && example_range(seed, 0, 3) == 0) {
        front->coding = GRADIENT_CODING_F32;
    }
    front->merge = (uint8_t)example_range(seed, 0, 1);
    front->floor = 64;
    for (uint16_t i = 0; i < (front->coding == GRADIENT_CODING_SEVEN ? 3 : 1); i++) {
        front->ratio[i] = (struct gradient_ratio){(uint16_t)(9 + i), 8};
    }
    if (front->coding == GRADIENT_CODING_F32) {
        front->ratio[0] = (struct gradient_ratio){0, 0};
    }
}

static size_t taps(const struct network_layer *layer, struct network_shape in)
{
    size_t window = layer->op == NETWORK_OP_CONV ? (size_t)layer->kernel[0] * layer->kernel[1]
                                                 : (size_t)in.height * in.width;

    return window * in.channels;
}

/* Weights of all kinds: spread, sparse, all at the ends. */
static int8_t random_weight(uint64_t *seed, uint32_t style)
{
    switch (style) {
    case 0:
        return (int8_t)((int)example_range(seed, 0, 254) - 127);
    case 1:
        return (int8_t)(example_range(seed, 0, 3) == 0 ? (int)example_range(seed, 0, 20) - 10 : 0);
    case 2:
        return example_range(seed, 0, 1) ? 127 : -127;
    default:
        return 127;
    }
}

/* Shifts and multipliers that bring sums up to `most` near 0..127, with some far outside. */
static void scale_s8(struct example *example, struct network_layer *layer, int32_t *mult,
                     int64_t most)
{
    uint64_t *seed = &example->seed;
    const bool awkward = example_range(seed, 0, 3) == 0;

    while (layer->preshift < 30 && most << (layer->preshift + 1) < INT64_C(1) << 31 &&
           example_range(seed, 0, 7) > 0) {
        layer->preshift++;
    }
    layer->shift = 1;
    while (layer->shift < 31 && (most << layer->preshift) >> (1 + layer->shift) > 512) {
        layer->shift++;
    }
    for (uint32_t o = 0; o < layer->out; o++) {
        mult[o] = (int32_t)(0x40000000u + (uint32_t)(example_random(seed) >> 34));
        if (awkward) {
            static const int32_t ends[] = {0, -1, INT32_MIN, INT32_MAX, 1};

            mult[o] = ends[example_range(seed, 0, 4)];
        }
    }
}

static void fill_s8(struct example *example, struct network_layer *layer, size_t count, int peak)
{
    uint64_t *seed = &example->seed;
    const uint32_t style = example_range(seed, 0, 3);
    int8_t *weight = take(example, layer->out * count);
    int32_t *bias = take(example, layer->out * sizeof *bias);
    int32_t *mult = take(example, layer->out * sizeof *mult);
    int64_t most = 1;

    for (uint32_t o = 0; o < layer->out; o++) {
        int64_t sum = 0;

        bias[o] = (int32_t)example_range(seed, 0, 4000) - 2000;
        for (size_t i = 0; i < count; i++) {
            weight[o * count + i] = random_weight(seed, style);
            sum += abs(weight[o * count + i]);
        }
        sum = sum * peak + abs(bias[o]);
        most = sum > most ? sum : most;
    }
    scale_s8(example, layer, mult, most);
    layer->weight_s8 = weight;
    layer->bias_s32 = bias;
    layer->mult = mult;
}

static void fill_f32(struct example *example, struct network_layer *layer, size_t count)
{
    uint64_t *seed = &example->seed;
    float *weight = take(example, layer->out * count * sizeof *weight);
    float *bias = take(example, layer->out * sizeof *bias);
    float scale = 2.0f / sqrtf((float)count);

    for (uint32_t o = 0; o < layer->out; o++) {
        bias[o] = (float)example_range(seed, 0, 1000) / 1000.0f - 0.5f;
    }
    for (size_t i = 0; i < layer->out * count; i++) {
        weight[i] = scale * ((float)example_range(seed, 0, 1000) / 500.0f - 1.0f);
    }
    layer->weight_f32 = weight;
    layer->bias_f32 = bias;
}

static void shape_layer(struct network_layer *layer, uint64_t *seed)
{
    for (int i = 0; i < 2; i++) {
        layer->kernel[i] = (uint16_t)example_range(seed, 1, 4);
        layer->stride[i] = (uint16_t)example_range(seed, 1, 3);
        layer->pad[i] = layer->op == NETWORK_OP_CONV
                            ? (uint16_t)example_range(seed, 0, layer->kernel[i] - 1u)
                            : 0;
    }
    if (layer->op == NETWORK_OP_MAXPOOL && example_range(seed, 0, 3) > 0) {
        for (int i = 0; i < 2; i++) {
            layer->kernel[i] = layer->stride[i] = 2;
        }
    }
}

static void weigh(struct example *example, struct network_layer *layer, struct network_shape in,
                  int peak, bool last)
{
    bool s8 = layer->weights == NETWORK_WEIGHTS_S8;
    uint32_t index = example->point.layer_count;

    snprintf(example->names[index], sizeof example->names[index], "l_%u", index);
    layer->name = example->names[index];
    layer->relu = !last && (s8 || example_range(&example->seed, 0, 1));
    layer->output = last ? NETWORK_OUTPUT_SCORES : s8 ? NETWORK_OUTPUT_U7 : NETWORK_OUTPUT_F32;
    if (layer->op == NETWORK_OP_CONV && peak == 127) {
        layer->pad_code = (uint8_t)example_range(&example->seed, 0, 127);
    }
    if (s8) {
        fill_s8(example, layer, taps(layer, in), peak);
    } else {
        fill_f32(example, layer, taps(layer, in));
    }
}

static int input_peak(const struct example *example)
{
    static const int peaks[] = {1, 3, 127, 0};

    return peaks[example->point.input.front.coding];
}

void example_create(struct example *example, uint64_t seed, enum example_kind kind)
{
    static const char *const words[16] = {"a", "b", "c", "d", "e", "f", "g", "h",
                                          "i", "j", "k", "l", "m", "n", "o", "p"};
    uint32_t body;

    *example = (struct example){.seed = seed * 0x9e3779b97f4a7c15ull + 1};
    struct network_description *description = &example->description;
    struct network_point *point = &example->point;
    description->points = point;
    description->point_count = 1;
    point->name = "default";
    make_input(example, kind);
    memcpy(example->labels, words, sizeof words);
    description->name = "example";
    description->labels = example->labels;
    description->label_count = example_range(&example->seed, 1, 16);
    point->layers = example->layers;
    body = example_range(&example->seed, 0, EXAMPLE_LAYERS_MAX - 1);

    struct network_shape shape = network_input_shape(&point->input), out;
    int peak = input_peak(example);
    bool is_float = kind == EXAMPLE_F32;
    for (uint32_t tries = 0; tries < body; tries++) {
        struct network_layer *layer = &example->layers[point->layer_count];
        const bool codes = peak == 1 || peak == 3;

        static const uint8_t ops[] = {NETWORK_OP_CONV, NETWORK_OP_DENSE, NETWORK_OP_MAXPOOL,
                                      NETWORK_OP_AVGPOOL, NETWORK_OP_GLOBALAVGPOOL};

        *layer = (struct network_layer){.op = ops[example_range(&example->seed, 0, 4)],
                                        .input = point->layer_count};
        if (codes || layer->op == NETWORK_OP_DENSE) {
            layer->op = NETWORK_OP_CONV;
        }
        if (layer->op != NETWORK_OP_GLOBALAVGPOOL) {
            shape_layer(layer, &example->seed);
        }
        is_float = is_float || (kind == EXAMPLE_MIXED && example_range(&example->seed, 0, 2) == 0);
        layer->out = layer->op == NETWORK_OP_CONV ? example_range(&example->seed, 1, 70) : 0;
        if (network_layer_shape(layer, shape, &out, NULL) < 0) {
            continue;
        }
        if (layer->op == NETWORK_OP_CONV) {
            layer->weights = is_float ? NETWORK_WEIGHTS_F32 : NETWORK_WEIGHTS_S8;
            weigh(example, layer, shape, peak, false);
            peak = is_float ? 0 : 127;
        }
        shape = out;
        point->layer_count++;
    }

    struct network_layer *last = &example->layers[point->layer_count];
    *last = (struct network_layer){
        .input = point->layer_count,
        .op = NETWORK_OP_DENSE,
        .weights = is_float || kind == EXAMPLE_MIXED ? NETWORK_WEIGHTS_F32 : NETWORK_WEIGHTS_S8,
        .out = description->label_count,
    };
    weigh(example, last, shape, peak, true);
    point->layer_count++;
}

void example_destroy(struct example *example)
{
    for (size_t i = 0; i < example->memories; i++) {
        free(example->memory[i]);
    }
}

void *example_codes(struct example *example)
{
    const struct gradient_spec *front = &example->point.input.front;
    struct network_shape shape = network_input_shape(&example->point.input);
    size_t count = (size_t)shape.height * shape.width * shape.channels;
    uint8_t *codes = malloc(count * gradient_code_size(front));
    const uint32_t peak = (uint32_t)input_peak(example), ends = example_range(&example->seed, 0, 3);

    if (codes == NULL) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t value = example_range(&example->seed, 0, peak < 127 ? 2 * peak : peak);

        if (ends == 0) { /* only the largest codes */
            value = peak < 127 ? 2 * peak : peak;
        }
        if (front->coding == GRADIENT_CODING_F32) {
            ((float *)(void *)codes)[i] = (float)example_range(&example->seed, 0, 2000) / 1000 - 1;
        } else {
            codes[i] = (uint8_t)(value - (peak < 127 ? peak : 0));
        }
    }
    return codes;
}

/* An activation as numbers: exact integers fit a double. */
struct map {
    struct network_shape shape;
    double *values;
};

static double at(const struct map *map, int64_t y, int64_t x, uint32_t c, double outside)
{
    if (y < 0 || x < 0 || y >= map->shape.height || x >= map->shape.width) {
        return outside;
    }
    return map->values[((size_t)y * map->shape.width + (size_t)x) * map->shape.channels + c];
}

static int64_t floor_shift(int64_t value, unsigned shift)
{
    int64_t unit = INT64_C(1) << shift, quotient = value / unit;

    return quotient * unit > value ? quotient - 1 : quotient;
}

static double finish(const struct network_layer *layer, uint32_t o, double sum)
{
    if (layer->weights == NETWORK_WEIGHTS_F32) {
        return layer->relu && sum < 0 ? 0 : sum;
    }
    int64_t high = floor_shift((int64_t)ldexp(sum, layer->preshift) * layer->mult[o], 32);
    int64_t value = floor_shift(high + (INT64_C(1) << (layer->shift - 1)), layer->shift);

    if (layer->output == NETWORK_OUTPUT_SCORES) {
        return (double)value;
    }
    return value < 0 ? 0 : value > 127 ? 127 : (double)value;
}

static double tap_sum(const struct network_layer *layer, const struct map *in, uint32_t y,
                      uint32_t x, uint32_t o)
{
    const bool conv = layer->op == NETWORK_OP_CONV, s8 = layer->weights == NETWORK_WEIGHTS_S8;
    const uint32_t rows = conv ? layer->kernel[0] : in->shape.height;
    const uint32_t columns = conv ? layer->kernel[1] : in->shape.width;
    double sum = s8 ? layer->bias_s32[o] : (double)layer->bias_f32[o];
    size_t k = o * taps(layer, in->shape);

    for (uint32_t ky = 0; ky < rows; ky++) {
        for (uint32_t kx = 0; kx < columns; kx++) {
            for (uint32_t c = 0; c < in->shape.channels; c++, k++) {
                int64_t iy = (int64_t)y * layer->stride[0] + ky - layer->pad[0];
                int64_t ix = (int64_t)x * layer->stride[1] + kx - layer->pad[1];
                double weight = s8 ? layer->weight_s8[k] : (double)layer->weight_f32[k];

                sum += weight * at(in, iy, ix, c, layer->pad_code);
            }
        }
    }
    return sum;
}

static double pool(const struct network_layer *layer, const struct map *in, uint32_t y, uint32_t x,
                   uint32_t c, bool is_float)
{
    const bool whole = layer->op == NETWORK_OP_GLOBALAVGPOOL;
    const uint32_t rows = whole ? in->shape.height : layer->kernel[0];
    const uint32_t columns = whole ? in->shape.width : layer->kernel[1];
    double sum = 0, best = -INFINITY;

    for (uint32_t ky = 0; ky < rows; ky++) {
        for (uint32_t kx = 0; kx < columns; kx++) {
            double value = at(in, y * layer->stride[0] + ky, x * layer->stride[1] + kx, c, NAN);

            sum += value;
            best = fmax(best, value);
        }
    }
    if (layer->op == NETWORK_OP_MAXPOOL) {
        return best;
    }
    double mean = sum / (rows * columns);
    return is_float ? mean : floor(mean + 0.5);
}

static struct map next_map(const struct network_layer *layer, const struct map *in, bool *is_float)
{
    struct map out;
    size_t n = 0;

    if (network_layer_shape(layer, in->shape, &out.shape, NULL) < 0) {
        abort();
    }
    out.values =
        calloc((size_t)out.shape.height * out.shape.width * out.shape.channels, sizeof *out.values);
    if (out.values == NULL) {
        abort();
    }
    bool weighted = layer->op == NETWORK_OP_CONV || layer->op == NETWORK_OP_DENSE;
    *is_float = *is_float || (weighted && layer->weights == NETWORK_WEIGHTS_F32);
    for (uint32_t y = 0; y < out.shape.height; y++) {
        for (uint32_t x = 0; x < out.shape.width; x++) {
            for (uint32_t c = 0; c < out.shape.channels; c++) {
                out.values[n++] = weighted ? finish(layer, c, tap_sum(layer, in, y, x, c))
                                           : pool(layer, in, y, x, c, *is_float);
            }
        }
    }
    return out;
}

void example_naive(const struct example *example, const void *codes, int64_t *scores, double *real)
{
    const struct network_description *description = &example->description;
    const uint8_t coding = description->points[0].input.front.coding;
    struct map map = {.shape = network_input_shape(&description->points[0].input)};
    size_t count = (size_t)map.shape.height * map.shape.width * map.shape.channels;
    bool is_float = coding == GRADIENT_CODING_F32;

    map.values = calloc(count, sizeof *map.values);
    if (map.values == NULL) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        map.values[i] = coding == GRADIENT_CODING_F32  ? (double)((const float *)codes)[i]
                        : coding == GRADIENT_CODING_U7 ? ((const uint8_t *)codes)[i]
                                                       : ((const int8_t *)codes)[i];
    }
    for (uint32_t i = 0; i < description->points[0].layer_count; i++) {
        struct map next = next_map(&description->points[0].layers[i], &map, &is_float);

        free(map.values);
        map = next;
    }
    for (uint32_t i = 0; i < description->label_count; i++) {
        real[i] = map.values[i];
        scores[i] = is_float ? 0 : (int64_t)map.values[i];
    }
    free(map.values);
}
