/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See graphs.h. */
#include "graphs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_word(struct graph *graph)
{
    graph->seed ^= graph->seed << 13;
    graph->seed ^= graph->seed >> 7;
    graph->seed ^= graph->seed << 17;
    return graph->seed * 0x2545f4914f6cdd1dull;
}

uint32_t graph_range(struct graph *graph, uint32_t low, uint32_t high)
{
    return low + (uint32_t)((random_word(graph) >> 32) % (high - low + 1));
}

static bool chance(struct graph *graph, uint32_t of_ten)
{
    return graph_range(graph, 0, 9) < of_ten;
}

static void *take(struct graph *graph, size_t bytes)
{
    void *memory = calloc(bytes > 0 ? bytes : 1, 1);

    if (memory == NULL || graph->memories == sizeof graph->memory / sizeof graph->memory[0]) {
        abort();
    }
    graph->memory[graph->memories++] = memory;
    return memory;
}

static void make_input(struct graph *graph, bool floats)
{
    struct network_input *input = &graph->point.input;
    struct gradient_spec *front = &input->front;

    input->target.width = graph_range(graph, 1, 11);
    input->target.height = graph_range(graph, 1, 11);
    input->target.channels = front->planes = chance(graph, 5) ? 3 : 1;
    front->source = chance(graph, 5) ? GRADIENT_SOURCE_SRGB : GRADIENT_SOURCE_LOG_GRADIENT;
    if (floats && chance(graph, 3)) {
        front->coding = GRADIENT_CODING_F32;
    } else if (front->source == GRADIENT_SOURCE_SRGB) {
        front->coding = chance(graph, 5) ? GRADIENT_CODING_U7 : GRADIENT_CODING_THERMOMETER;
    } else {
        front->coding = chance(graph, 7) ? GRADIENT_CODING_TERNARY : GRADIENT_CODING_SEVEN;
    }
    if (front->coding == GRADIENT_CODING_THERMOMETER) {
        front->levels = (uint8_t)(1 | (chance(graph, 5) ? graph_range(graph, 1, 127)
                                                        : graph_range(graph, 62, 65)));
    }
    if (front->source == GRADIENT_SOURCE_LOG_GRADIENT) {
        front->merge = chance(graph, 5) ? GRADIENT_MERGE_ALL : GRADIENT_MERGE_STRONGEST;
        front->floor = 64;
        for (uint16_t i = 0; i < 3 && front->coding != GRADIENT_CODING_F32 &&
                             (i == 0 || front->coding == GRADIENT_CODING_SEVEN);
             i++) {
            front->ratio[i] = (struct gradient_ratio){(uint16_t)(9 + i), 8};
        }
    }
}

static bool needs_unit_weights(const struct reference_map *in)
{
    return in->coding == REFERENCE_THERMOMETER && in->levels > 63;
}

/* ---- numbers ---- */

static void fill_bits(struct graph *graph, struct network_layer *layer, uint64_t taps)
{
    const uint64_t row = (taps + 7) / 8;
    uint8_t *signs = take(graph, layer->out * row), *some = take(graph, layer->out * row);
    const uint32_t dense = graph_range(graph, 0, 10);

    for (uint64_t i = 0; i < layer->out * taps; i++) {
        const uint64_t at = i / taps * row + i % taps / 8;
        const uint8_t bit = (uint8_t)(1u << i % taps % 8);
        const bool ternary = layer->weights == NETWORK_WEIGHTS_TERNARY;

        if (!ternary || chance(graph, dense)) {
            some[at] |= bit;
            signs[at] |= chance(graph, 5) ? bit : 0;
        }
    }
    layer->weight_codes = signs;
    layer->nonzero = layer->weights == NETWORK_WEIGHTS_TERNARY ? some : NULL;
}

/* Codes so small that the sums fit. */
static void fill_log(struct graph *graph, struct network_layer *layer, uint64_t taps,
                     const struct reference_map *in)
{
    const bool wide = layer->weight_bits >= 5;
    const uint64_t row = wide ? taps : (taps + 1) / 2;
    const uint32_t sign = 1u << (layer->weight_bits - 1);
    uint8_t *codes = take(graph, layer->out * row);
    uint32_t most = sign - 1;

    while (most > 1 && ldexp((double)reference_largest(in) * (double)taps * 400,
                             (int)(layer->weight_root ? most / 2 : most)) > ldexp(1, 60)) {
        most--;
    }
    for (uint64_t i = 0; i < layer->out * taps; i++) {
        uint32_t code = chance(graph, 1) ? most : graph_range(graph, 0, most);

        code |= code > 0 && chance(graph, 5) ? sign : 0;
        if (wide) {
            codes[i] = (uint8_t)code;
        } else {
            codes[i / taps * row + i % taps / 2] |= (uint8_t)(code << i % taps % 2 * 4);
        }
    }
    layer->weight_codes = codes;
}

static void fill_s8(struct graph *graph, struct network_layer *layer, uint64_t taps)
{
    int8_t *weights = take(graph, layer->out * taps);
    const uint32_t style = graph_range(graph, 0, 3);

    for (uint64_t i = 0; i < layer->out * taps; i++) {
        weights[i] =
            (int8_t)(style == 0   ? (int)graph_range(graph, 0, 254) - 127
                     : style == 1 ? chance(graph, 3) ? (int)graph_range(graph, 0, 20) - 10 : 0
                     : style == 2 ? chance(graph, 5) ? 127 : -127
                                  : (int)graph_range(graph, 0, 40) - 20);
    }
    layer->weight_s8 = weights;
}

static void fill_f32(struct graph *graph, struct network_layer *layer, uint64_t taps)
{
    float *weights = take(graph, layer->out * taps * sizeof *weights);
    float *bias = take(graph, layer->out * sizeof *bias);

    for (uint64_t i = 0; i < layer->out * taps; i++) {
        weights[i] = ((float)graph_range(graph, 0, 1000) / 500.0f - 1.0f) / (float)taps;
    }
    for (uint32_t o = 0; o < layer->out; o++) {
        bias[o] = (float)graph_range(graph, 0, 1000) / 1000.0f - 0.5f;
    }
    layer->weight_f32 = weights;
    layer->bias_f32 = bias;
}

/* The size of weight i of output o, as SUMS counts it at most. */
static double weight_size(const struct network_layer *layer, uint64_t i, uint64_t taps, bool root)
{
    const uint64_t o = i / taps, k = i % taps;
    double size = 1;

    if (layer->weights == NETWORK_WEIGHTS_S8) {
        size = abs(layer->weight_s8[i]);
    } else if (layer->weights == NETWORK_WEIGHTS_LOG) {
        const bool wide = layer->weight_bits >= 5;
        const int raw = wide ? layer->weight_codes[i]
                             : layer->weight_codes[o * ((taps + 1) / 2) + k / 2] >> k % 2 * 4 & 15;
        const int code = raw % (1 << (layer->weight_bits - 1));

        size = code == 0 ? 0 : layer->weight_root ? ldexp(1, code / 2) : ldexp(1, code - 1);
    }
    return size * (root ? 181 : 1);
}

/* The largest sum of products that an output can have. */
static double largest_sum(const struct network_layer *layer, uint64_t taps,
                          const struct reference_map *in)
{
    const bool root = (layer->weights == NETWORK_WEIGHTS_LOG && layer->weight_root) ||
                      (in->coding == REFERENCE_LOG && in->root);
    double most = 1;

    for (uint32_t o = 0; o < layer->out; o++) {
        double sum = 0;

        for (uint64_t i = 0; i < taps; i++) {
            sum += weight_size(layer, o * taps + i, taps, root);
        }
        most = fmax(most, sum * (double)reference_largest(in));
    }
    return most;
}

/* Shifts and multipliers that bring sums up to `most` near 0..127, with some far outside. */
static void fill_scale(struct graph *graph, struct network_layer *layer, double most, bool wide)
{
    int32_t *mult = take(graph, layer->out * sizeof *mult);
    const bool awkward = chance(graph, 2);

    layer->preshift = layer->narrow = 0;
    while (wide && ldexp(most, -layer->narrow) >= ldexp(1, 30)) {
        layer->narrow++;
    }
    most = ldexp(most, -layer->narrow);
    while (layer->preshift < 30 && ldexp(most, layer->preshift + 2) < ldexp(1, 31) &&
           chance(graph, 9)) {
        layer->preshift++;
    }
    layer->shift = 1;
    while (layer->shift < 31 && ldexp(most, layer->preshift - 1 - layer->shift) > 2000) {
        layer->shift++;
    }
    for (uint32_t o = 0; o < layer->out; o++) {
        static const int32_t ends[] = {0, -1, INT32_MIN, INT32_MAX, 1};

        mult[o] = awkward ? ends[graph_range(graph, 0, 4)]
                          : (int32_t)(0x40000000u + (uint32_t)(random_word(graph) >> 34));
    }
    layer->mult = mult;
}

static void fill_bias(struct graph *graph, struct network_layer *layer, double most, bool wide)
{
    int64_t *bias64 = take(graph, layer->out * sizeof *bias64);
    int32_t *bias32 = take(graph, layer->out * sizeof *bias32);

    for (uint32_t o = 0; o < layer->out; o++) {
        bias64[o] = (int64_t)(most / 8 * ((double)graph_range(graph, 0, 200) / 100 - 1));
        bias32[o] = wide ? 0 : (int32_t)bias64[o];
    }
    layer->bias_s64 = wide ? bias64 : NULL;
    layer->bias_s32 = wide ? NULL : bias32;
}

static void fill_thresholds(struct graph *graph, struct network_layer *layer, double most,
                            bool wide)
{
    const uint32_t levels = layer->output == NETWORK_OUTPUT_BINARY ? 1
                            : layer->output == NETWORK_OUTPUT_TERNARY
                                ? 2
                                : (1u << layer->output_bits) - 1;
    int64_t *to64 = take(graph, layer->out * levels * sizeof *to64);
    int32_t *to32 = take(graph, layer->out * levels * sizeof *to32);

    for (uint32_t o = 0; o < layer->out; o++) {
        double at = -most / 6, step = most / 3 / levels;

        for (uint32_t i = 0; i < levels; i++) {
            int64_t *to = &to64[o * levels + i];

            at += step * 2 * graph_range(graph, 0, 100) / 100;
            *to = (int64_t)at;
            if (i == 0 && chance(graph, 1)) {
                *to = wide ? INT64_MIN : INT32_MIN;
            }
            if (i + 1 == levels && chance(graph, 1)) {
                *to = wide ? INT64_MAX : INT32_MAX;
            }
            to32[o * levels + i] = wide ? 0 : (int32_t)*to;
        }
    }
    layer->threshold_s64 = wide ? to64 : NULL;
    layer->threshold_s32 = wide ? NULL : to32;
}

void graph_refill(struct graph *graph, struct network_layer *layer)
{
    const struct reference_map *in = &graph->map[layer->input];
    const uint64_t taps = reference_taps(layer, in->shape);
    const bool wide = reference_wide(layer, in);

    if (layer->weights == NETWORK_WEIGHTS_F32) {
        fill_f32(graph, layer, taps);
        return;
    }
    if (layer->weights == NETWORK_WEIGHTS_S8) {
        fill_s8(graph, layer, taps);
    } else if (layer->weights == NETWORK_WEIGHTS_LOG) {
        fill_log(graph, layer, taps, in);
    } else {
        fill_bits(graph, layer, taps);
    }
    const double most = largest_sum(layer, taps, in);
    if (layer->output == NETWORK_OUTPUT_U7 || layer->output == NETWORK_OUTPUT_SCORES) {
        fill_bias(graph, layer, most, wide);
        fill_scale(graph, layer, 1.2 * most, wide);
    } else {
        fill_thresholds(graph, layer, most, wide);
    }
}

/* ---- layers ---- */

static void choose_weights(struct graph *graph, struct network_layer *layer,
                           const struct reference_map *in, bool floats)
{
    static const uint8_t kinds[] = {NETWORK_WEIGHTS_TERNARY, NETWORK_WEIGHTS_BINARY,
                                    NETWORK_WEIGHTS_S8, NETWORK_WEIGHTS_LOG};

    if (in->coding == REFERENCE_F32 || (floats && chance(graph, 3))) {
        layer->weights = NETWORK_WEIGHTS_F32;
    } else {
        layer->weights = kinds[graph_range(graph, 0, needs_unit_weights(in) ? 1 : 3)];
    }
    if (layer->weights == NETWORK_WEIGHTS_LOG) {
        layer->weight_bits = (uint8_t)graph_range(graph, 3, 6);
        layer->weight_root = chance(graph, 4);
    }
}

static void choose_output(struct graph *graph, struct network_layer *layer,
                          const struct reference_map *in)
{
    static const uint8_t kinds[] = {NETWORK_OUTPUT_BINARY, NETWORK_OUTPUT_TERNARY,
                                    NETWORK_OUTPUT_LOG, NETWORK_OUTPUT_U7, NETWORK_OUTPUT_U7};

    if (layer->weights == NETWORK_WEIGHTS_F32) {
        layer->output = NETWORK_OUTPUT_F32;
        layer->relu = chance(graph, 5);
        return;
    }
    layer->output = kinds[graph_range(graph, 0, reference_wide(layer, in) ? 2 : 4)];
    layer->relu = layer->output == NETWORK_OUTPUT_U7 || layer->output == NETWORK_OUTPUT_LOG;
    if (layer->output == NETWORK_OUTPUT_LOG) {
        layer->output_bits = (uint8_t)graph_range(graph, 2, 5);
        layer->output_root = chance(graph, 3);
    }
}

static void choose_pad_code(struct graph *graph, struct network_layer *layer,
                            const struct reference_map *in)
{
    uint32_t most = in->coding == REFERENCE_U7            ? 127
                    : in->coding == REFERENCE_THERMOMETER ? in->levels
                    : in->coding == REFERENCE_BINARY      ? 1
                    : in->coding == REFERENCE_LOG         ? (1u << in->bits) - 1
                                                          : 0;

    layer->pad_code = (uint8_t)(chance(graph, 7) ? graph_range(graph, 0, most) : 0);
}

static void choose_geometry(struct graph *graph, struct network_layer *layer)
{
    const bool windows = layer->op == NETWORK_OP_CONV || layer->op == NETWORK_OP_DEPTHWISE;
    const bool pads = windows && !graph->chain;
    const bool same = pads && chance(graph, 4);

    for (int i = 0; i < 2; i++) {
        layer->kernel[i] = (uint16_t)(same ? 3 : graph_range(graph, 1, 4));
        layer->stride[i] = (uint16_t)(same || chance(graph, 5) ? 1 : graph_range(graph, 1, 3));
        layer->pad[i] =
            (uint16_t)(same                       ? 1
                       : pads && chance(graph, 5) ? graph_range(graph, 0, layer->kernel[i] - 1u)
                                                  : 0);
    }
    if (graph->chain) {
        layer->stride[1] = layer->stride[0];
    }
    if (layer->op == NETWORK_OP_MAXPOOL && chance(graph, 7)) {
        for (int i = 0; i < 2; i++) {
            layer->kernel[i] = layer->stride[i] = 2;
        }
    }
}

static void weigh(struct graph *graph, struct network_layer *layer, const struct reference_map *in,
                  bool floats)
{
    static const uint32_t sizes[] = {1, 5, 8, 17, 31, 64, 70, 130};

    choose_weights(graph, layer, in, floats);
    choose_output(graph, layer, in);
    layer->out = sizes[graph_range(graph, 0, 7)];
    if (layer->op == NETWORK_OP_DEPTHWISE) {
        const bool real = in->coding != REFERENCE_U7 || (floats && chance(graph, 3));

        layer->weights = real ? NETWORK_WEIGHTS_F32 : NETWORK_WEIGHTS_S8;
        layer->output = real ? NETWORK_OUTPUT_F32 : NETWORK_OUTPUT_U7;
        layer->relu = layer->relu || !real;
        layer->weight_bits = layer->output_bits = 0;
        layer->weight_root = layer->output_root = false;
        layer->out = in->shape.channels;
    }
    if (layer->op != NETWORK_OP_DENSE) {
        choose_pad_code(graph, layer, in);
    }
}

/* A map of the same shape and coding as `map`, u7 or f32, other than it if there is one; or -1. The
 * input has no name: only the first layer reads it. */
static int partner(struct graph *graph, uint32_t map)
{
    const struct reference_map *a = &graph->map[map];

    if (map == 0 || (a->coding != REFERENCE_U7 && a->coding != REFERENCE_F32)) {
        return -1;
    }
    for (uint32_t i = 1; i <= graph->point.layer_count; i++) {
        const struct reference_map *b = &graph->map[i];

        if (i != map && a->coding == b->coding &&
            memcmp(&a->shape, &b->shape, sizeof a->shape) == 0) {
            return (int)i;
        }
    }
    return chance(graph, 2) ? (int)map : -1;
}

static uint8_t choose_op(struct graph *graph, const struct reference_map *in)
{
    const bool numbers = in->coding == REFERENCE_U7 || in->coding == REFERENCE_F32;
    const bool input = in == &graph->map[0];
    const uint32_t pick = graph_range(graph, 0, 9);

    if (pick < 5) {
        return NETWORK_OP_CONV;
    }
    if (numbers) {
        static const uint8_t ops[] = {NETWORK_OP_DEPTHWISE, NETWORK_OP_ADD, NETWORK_OP_MAXPOOL,
                                      NETWORK_OP_AVGPOOL, NETWORK_OP_GLOBALAVGPOOL};

        return chance(graph, 1) ? NETWORK_OP_DENSE : ops[pick - 5];
    }
    if (pick < 8 && !input && in->coding != REFERENCE_SEVEN &&
        in->coding != REFERENCE_THERMOMETER) {
        return NETWORK_OP_MAXPOOL;
    }
    return pick == 9 ? NETWORK_OP_DENSE : NETWORK_OP_CONV;
}

static void add_layer(struct graph *graph, bool floats)
{
    const uint32_t index = graph->point.layer_count;
    struct network_layer *layer = &graph->layers[index];
    struct network_shape out;
    const bool next = index == 0 || graph->chain || chance(graph, 7);
    const uint32_t map = next ? index : graph_range(graph, 1, index);
    const struct reference_map *in = &graph->map[map];
    int other = partner(graph, map);

    *layer = (struct network_layer){.op = choose_op(graph, in), .input = map};
    if (other >= 0 && chance(graph, 4)) {
        layer->op = NETWORK_OP_ADD;
    }
    if (graph->chain && (layer->op == NETWORK_OP_ADD || layer->op == NETWORK_OP_GLOBALAVGPOOL)) {
        layer->op = NETWORK_OP_CONV;
    }
    if (layer->op == NETWORK_OP_ADD) {
        if (other < 0) {
            return;
        }
        layer->other = (uint32_t)other;
        if (in->coding == REFERENCE_U7) {
            layer->shift = (uint8_t)graph_range(graph, 1, 12);
            layer->add_mult[0] = graph_range(graph, 0, 2u << layer->shift);
            layer->add_mult[1] = graph_range(graph, 0, 2u << layer->shift);
        } else {
            layer->relu = chance(graph, 5);
        }
    } else if (layer->op != NETWORK_OP_GLOBALAVGPOOL && layer->op != NETWORK_OP_DENSE) {
        choose_geometry(graph, layer);
    }
    if (layer->op <= NETWORK_OP_DEPTHWISE) {
        weigh(graph, layer, in, floats);
    }
    if (network_layer_shape(layer, in->shape, &out, NULL) < 0 ||
        (uint64_t)out.height * out.width * out.channels > 8000) {
        return;
    }
    graph->map[index + 1] = reference_output(layer, in);
    graph->point.layer_count++;
}

/* Leaves out what the last layer does not depend on. */
static void prune(struct graph *graph)
{
    const uint32_t count = graph->point.layer_count;
    uint32_t place[GRAPH_LAYERS_MAX + 1] = {0}, kept = 0;
    bool used[GRAPH_LAYERS_MAX + 1] = {false};

    used[count] = true;
    for (uint32_t i = count; i-- > 0;) {
        if (used[i + 1]) {
            used[graph->layers[i].input] = true;
            if (graph->layers[i].op == NETWORK_OP_ADD) {
                used[graph->layers[i].other] = true;
            }
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (used[i + 1]) {
            graph->layers[kept] = graph->layers[i];
            graph->layers[kept].input = place[graph->layers[kept].input];
            graph->layers[kept].other = place[graph->layers[kept].other];
            graph->map[kept + 1] = graph->map[i + 1];
            place[i + 1] = ++kept;
        }
    }
    graph->point.layer_count = kept;
}

static void add_scores(struct graph *graph, bool floats)
{
    const uint32_t index = graph->point.layer_count;
    struct network_layer *layer = &graph->layers[index];

    *layer = (struct network_layer){
        .op = NETWORK_OP_DENSE, .input = index, .out = graph->description.label_count};
    choose_weights(graph, layer, &graph->map[index], floats);
    layer->output = NETWORK_OUTPUT_SCORES;
    graph->map[index + 1] = reference_output(layer, &graph->map[index]);
    graph->point.layer_count++;
}

static void create(struct graph *graph, uint64_t seed, uint32_t floats, bool chain)
{
    static const char *const words[16] = {"a", "b", "c", "d", "e", "f", "g", "h",
                                          "i", "j", "k", "l", "m", "n", "o", "p"};

    *graph = (struct graph){.seed = seed * 0x9e3779b97f4a7c15ull + 1, .chain = chain};
    const bool real = chance(graph, floats);
    memcpy(graph->labels, words, sizeof words);
    graph->point.name = "default";
    graph->point.layers = graph->layers;
    graph->description = (struct network_description){
        .name = "graph",
        .labels = graph->labels,
        .label_count = graph_range(graph, 1, 16),
        .point_count = 1,
        .points = &graph->point,
    };
    make_input(graph, real);
    graph->map[0] = reference_input(&graph->point.input);
    for (uint32_t tries = graph_range(graph, 0, GRAPH_LAYERS_MAX - 1); tries > 0; tries--) {
        add_layer(graph, real);
    }
    add_scores(graph, real);
    prune(graph);
    for (uint32_t i = 0; i < graph->point.layer_count; i++) {
        struct network_layer *layer = &graph->layers[i];

        snprintf(graph->names[i], sizeof graph->names[i], "l_%u", i);
        layer->name = graph->names[i];
        if (layer->op <= NETWORK_OP_DEPTHWISE) {
            graph_refill(graph, layer);
        }
    }
}

void graph_create(struct graph *graph, uint64_t seed, uint32_t floats)
{
    create(graph, seed, floats, false);
}

void graph_create_chain(struct graph *graph, uint64_t seed, uint32_t floats)
{
    create(graph, seed, floats, true);
}

void graph_destroy(struct graph *graph)
{
    for (size_t i = 0; i < graph->memories; i++) {
        free(graph->memory[i]);
    }
}

void *graph_codes(struct graph *graph, uint32_t count, size_t *ret_bytes_each)
{
    const struct gradient_spec *front = &graph->point.input.front;
    const struct network_shape shape = graph->map[0].shape;
    const size_t each = (size_t)shape.height * shape.width * shape.channels;
    const bool ends = chance(graph, 2);
    uint8_t *codes = malloc(count * each * sizeof(float));

    if (codes == NULL) {
        abort();
    }
    for (size_t i = 0; i < count * each; i++) {
        const uint32_t peak = front->coding == GRADIENT_CODING_TERNARY ? 1
                              : front->coding == GRADIENT_CODING_SEVEN ? 3
                                                                       : 0;
        const uint32_t most = peak > 0                                       ? 2 * peak
                              : front->coding == GRADIENT_CODING_THERMOMETER ? front->levels
                                                                             : 127;
        const uint32_t code = ends ? most : graph_range(graph, 0, most);

        if (front->coding == GRADIENT_CODING_F32) {
            ((float *)(void *)codes)[i] = (float)graph_range(graph, 0, 2000) / 1000 - 1;
        } else {
            codes[i] = (uint8_t)(code - peak);
        }
    }
    *ret_bytes_each = each * (front->coding == GRADIENT_CODING_F32 ? sizeof(float) : 1);
    return codes;
}
