/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Folds what a trainer holds into a float or a packed model. Reads no file and changes no weight.
 */
#include "engine/lab/master.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lab/draft.h"

/* A model on its way from the trainer into a draft. */
struct folding {
    const struct lab_recipe *recipe;
    const struct train *train;
    bool packed;
    struct lab_draft draft;
    uint32_t
        last[TRAIN_LAYERS_MAX]; /* number, from 1, of the draft's layer that ends the recipe's */
    const char *reason;         /* a static sentence, or NULL */
};

static uint32_t channels_of(const struct train *train, uint32_t layer)
{
    return train_layer_shape(train, layer).channels;
}

static const float *values_of(const struct train *train, uint32_t layer, enum train_tensor tensor)
{
    struct train_view view;
    return train_view(train, layer, tensor, &view) == 0 ? view.data : NULL;
}

/* y = gain * x + bias: batch norm with its running statistics, or a plain bias. */
static void affine(const struct train *train, uint32_t layer, uint32_t channel, double *ret_gain,
                   double *ret_bias)
{
    const float *gamma = values_of(train, layer, TRAIN_GAMMA);
    if (!gamma) {
        *ret_gain = 1.0;
        *ret_bias = (double)values_of(train, layer, TRAIN_BIAS)[channel];
        return;
    }
    double variance = (double)values_of(train, layer, TRAIN_VARIANCE)[channel];
    double mean = (double)values_of(train, layer, TRAIN_MEAN)[channel];
    *ret_gain = (double)gamma[channel] / sqrt(variance + (double)TRAIN_NORM_EPSILON);
    *ret_bias = (double)values_of(train, layer, TRAIN_BETA)[channel] - *ret_gain * mean;
}

/* [in][out] -> [out][in], [taps][channel] -> [channel][taps], times the norm's gain */
static int fold_float(const struct train *train, uint32_t index, struct network_layer *layer)
{
    struct train_view view;
    int r = train_view(train, index, TRAIN_WEIGHT, &view);
    if (r < 0) {
        return r;
    }
    uint32_t out = channels_of(train, index);
    size_t inputs = view.count / out;
    float *weight = calloc(view.count, sizeof(*weight)), *bias = calloc(out, sizeof(*bias));
    layer->weights = NETWORK_WEIGHTS_F32;
    layer->weight_f32 = weight;
    layer->bias_f32 = bias;
    if (!weight || !bias) {
        return -ENOMEM;
    }
    for (uint32_t o = 0; o < out; o++) {
        double gain, offset;
        affine(train, index, o, &gain, &offset);
        bias[o] = (float)offset;
        for (size_t k = 0; k < inputs; k++) {
            weight[o * inputs + k] = (float)((double)view.data[k * out + o] * gain);
        }
    }
    return 0;
}

/* ---- packed arrays ---- */

/* What a layer reads: the output coding of another, or the network's input. */
static const struct train_coding *coding_read(const struct lab_recipe *recipe, uint32_t index)
{
    uint32_t back = 1u + recipe->layers[index].input;
    return index >= back ? &recipe->layers[index - back].output : NULL;
}

/* As network_layer_is_wide, of base 2. */
static bool is_wide(const struct lab_recipe *recipe, uint32_t index)
{
    const struct train_coding *weights = &recipe->layers[index].weights;
    const struct train_coding *in = coding_read(recipe, index);
    return (weights->kind == TRAIN_LOG && weights->bits >= 4) ||
           (in && in->kind == TRAIN_LOG && in->bits >= 4);
}

static uint32_t levels_of(const struct train_coding *output)
{
    return output->kind == TRAIN_BINARY    ? 1
           : output->kind == TRAIN_TERNARY ? 2
           : output->kind == TRAIN_LOG     ? (1u << output->bits) - 1
                                           : 0;
}

/* Bits of [rows][count] numbers, each row filled up to a byte: where they are positive, or not 0.
 */
static uint8_t *pack_bits(const int8_t *numbers, uint32_t rows, size_t count, bool positive)
{
    size_t row = (count + 7) / 8;
    uint8_t *bits = calloc(rows, row);
    for (size_t r = 0; bits && r < rows; r++) {
        for (size_t i = 0; i < count; i++) {
            int8_t n = numbers[r * count + i];
            bits[r * row + i / 8] |= (uint8_t)((positive ? n > 0 : n != 0) << i % 8);
        }
    }
    return bits;
}

/* Codes of `bits` magnitude bits under a sign, two in a byte where they fit. */
static uint8_t *pack_log(const int8_t *numbers, uint32_t rows, size_t count, uint8_t bits)
{
    size_t each = bits < 4 ? 2 : 1, row = (count + each - 1) / each;
    uint8_t *codes = calloc(rows, row);
    for (size_t r = 0; codes && r < rows; r++) {
        for (size_t i = 0; i < count; i++) {
            int n = numbers[r * count + i];
            unsigned code = n < 0 ? (unsigned)-n | 1u << bits : (unsigned)n;
            codes[r * row + i / each] |= (uint8_t)(code << 4 * (i % each));
        }
    }
    return codes;
}

/* Takes `numbers`, one integer a weight. */
static int pack_weights(struct network_layer *layer, const struct train_coding *coding,
                        int8_t *numbers, uint32_t rows, size_t count)
{
    int r = 0;
    switch ((enum train_coding_kind)coding->kind) {
    case TRAIN_BINARY:
        layer->weights = NETWORK_WEIGHTS_BINARY;
        layer->weight_codes = pack_bits(numbers, rows, count, true);
        break;
    case TRAIN_TERNARY:
        layer->weights = NETWORK_WEIGHTS_TERNARY;
        layer->weight_codes = pack_bits(numbers, rows, count, true);
        layer->nonzero = pack_bits(numbers, rows, count, false);
        r = layer->nonzero ? 0 : -ENOMEM;
        break;
    case TRAIN_LOG:
        layer->weights = NETWORK_WEIGHTS_LOG;
        layer->weight_bits = coding->bits + 1;
        layer->weight_codes = pack_log(numbers, rows, count, coding->bits);
        break;
    default:
        layer->weights = NETWORK_WEIGHTS_S8;
        layer->weight_s8 = numbers;
        return 0;
    }
    free(numbers);
    return layer->weight_codes ? r : -ENOMEM;
}

/* Takes `from`; the ends of the type stay its ends. NULL: no memory, or there was nothing. */
static int32_t *narrow_down(int64_t *from, size_t count)
{
    int32_t *to = from ? calloc(count, sizeof(*to)) : NULL;
    for (size_t i = 0; to && i < count; i++) {
        to[i] = from[i] == INT64_MIN   ? INT32_MIN
                : from[i] == INT64_MAX ? INT32_MAX
                                       : (int32_t)from[i];
    }
    free(from);
    return to;
}

/* Takes the arrays of a fold. */
static int keep(struct folding *folding, uint32_t index, struct network_layer *layer,
                struct train_fold *fold)
{
    const struct train_layer *from = &folding->recipe->layers[index];
    uint32_t out = channels_of(folding->train, index), levels = levels_of(&from->output);
    bool wide = is_wide(folding->recipe, index);
    struct train_view view;
    int r = train_view(folding->train, index, TRAIN_WEIGHT, &view);
    if (levels > 0) {
        free(fold->bias);
        free(fold->mult);
        layer->threshold_s64 = wide ? fold->threshold : NULL;
        layer->threshold_s32 = wide ? NULL : narrow_down(fold->threshold, (size_t)out * levels);
        r = wide || layer->threshold_s32 ? r : -ENOMEM;
    } else {
        free(fold->threshold);
        layer->mult = fold->mult;
        layer->bias_s64 = wide ? fold->bias : NULL;
        layer->bias_s32 = wide ? NULL : narrow_down(fold->bias, out);
        layer->preshift = fold->preshift;
        layer->shift = fold->shift;
        layer->narrow = fold->narrow;
        r = wide || layer->bias_s32 ? r : -ENOMEM;
    }
    int packed = pack_weights(layer, &from->weights, fold->weights, out, view.count / out);
    return packed < 0 ? packed : r;
}

/* The integers that the trainer's own passes use. */
static int fold_packed(struct folding *folding, uint32_t index, struct network_layer *layer)
{
    const struct train_layer *from = &folding->recipe->layers[index];
    struct train_view view;
    int r = train_view(folding->train, index, TRAIN_WEIGHT, &view);
    if (r < 0) {
        return r;
    }
    uint32_t out = channels_of(folding->train, index), levels = levels_of(&from->output);
    struct train_fold fold = {.weights = calloc(view.count, 1),
                              .bias = calloc(out, sizeof(int64_t)),
                              .mult = calloc(out, sizeof(int32_t)),
                              .threshold = calloc((size_t)out * (levels + 1), sizeof(int64_t))};
    if (!fold.weights || !fold.bias || !fold.mult || !fold.threshold) {
        r = -ENOMEM;
    } else {
        r = train_fold(folding->train, index, &fold);
    }
    if (r < 0) {
        free(fold.weights);
        free(fold.bias);
        free(fold.mult);
        free(fold.threshold);
        if (r == -ENOTSUP) {
            folding->reason = "a layer's codings have no packed form, or its numbers do not fit";
        }
        return r;
    }
    return keep(folding, index, layer, &fold);
}

/* Number of the draft's layer that a layer of the recipe reads, 0: the input. */
static uint32_t reads(const struct folding *folding, uint32_t index, uint32_t back)
{
    return index > back ? folding->last[index - 1 - back] : 0;
}

static int add_sum(struct folding *folding, uint32_t index)
{
    const struct train_layer *from = &folding->recipe->layers[index];
    struct network_layer *layer = lab_draft_add(&folding->draft, folding->recipe->names[index]);
    if (!layer) {
        return -EFBIG;
    }
    layer->op = NETWORK_OP_ADD;
    layer->output = NETWORK_OUTPUT_F32;
    layer->relu = from->activation == TRAIN_RELU;
    layer->input = reads(folding, index, from->input);
    layer->other = reads(folding, index, from->other);
    return 0;
}

static uint8_t packed_output(const struct train_coding *output)
{
    return output->kind == TRAIN_BINARY    ? NETWORK_OUTPUT_BINARY
           : output->kind == TRAIN_TERNARY ? NETWORK_OUTPUT_TERNARY
           : output->kind == TRAIN_LOG     ? NETWORK_OUTPUT_LOG
                                           : NETWORK_OUTPUT_U7;
}

static int add_weighted(struct folding *folding, uint32_t index)
{
    const struct lab_recipe *recipe = folding->recipe;
    const struct train_layer *from = &recipe->layers[index];
    struct network_layer *layer = lab_draft_add(&folding->draft, recipe->names[index]);
    if (!layer) {
        return -EFBIG;
    }
    bool dense = from->operation == TRAIN_DENSE, last = index + 1 == recipe->layer_count;
    layer->op = dense                                ? NETWORK_OP_DENSE
                : from->operation == TRAIN_DEPTHWISE ? NETWORK_OP_DEPTHWISE
                                                     : NETWORK_OP_CONV;
    layer->input = reads(folding, index, from->input);
    layer->output = last              ? NETWORK_OUTPUT_SCORES
                    : folding->packed ? packed_output(&from->output)
                                      : NETWORK_OUTPUT_F32;
    layer->output_bits = layer->output == NETWORK_OUTPUT_LOG ? from->output.bits : 0;
    layer->relu = from->activation == TRAIN_RELU;
    layer->out = from->out;
    for (int axis = 0; !dense && axis < 2; axis++) {
        layer->kernel[axis] = from->kernel[axis];
        layer->stride[axis] = from->stride[axis];
        layer->pad[axis] = from->pad[axis];
    }
    return folding->packed ? fold_packed(folding, index, layer)
                           : fold_float(folding->train, index, layer);
}

/* name: NULL where nothing but the next layer reads it. */
static int add_pool(struct lab_draft *draft, enum network_op op, const char *name,
                    const uint16_t *kernel, const uint16_t *stride)
{
    struct network_layer *layer = lab_draft_add(draft, name);
    if (!layer) {
        return -EFBIG;
    }
    layer->op = (uint8_t)op;
    if (op != NETWORK_OP_GLOBALAVGPOOL) {
        memcpy(layer->kernel, kernel, sizeof(layer->kernel));
        memcpy(layer->stride, stride, sizeof(layer->stride));
    }
    return 0;
}

/* What is wrong with a layer for a model file, or NULL. */
static const char *cannot_say(const struct train_layer *layer, bool packed)
{
    if ((layer->weights.kind == TRAIN_LOG && layer->weights.root) ||
        (layer->output.kind == TRAIN_LOG && layer->output.root)) {
        return "log codes of base sqrt 2 are trained, but not packed yet";
    }
    if (layer->weights.kind == TRAIN_LEVELS || layer->output.kind == TRAIN_LEVELS) {
        return "a model file has no linear codes: they are for studies";
    }
    if (layer->activation == TRAIN_HARD_TANH && levels_of(&layer->output) == 0) {
        return "a model file has no hard tanh before outputs that are not ternary or binary";
    }
    if (layer->operation == TRAIN_IDENTITY || (layer->operation == TRAIN_ADD && layer->norm)) {
        return "a model file has no addition with a norm";
    }
    if (layer->norm > TRAIN_NORM_BATCH && layer->norm < TRAIN_NORM_NLMS) {
        return "a model file has batch norm alone: norm = amplify, suppress and center are for "
               "studies";
    }
    return layer->operation == TRAIN_ADD && packed ? "additions are not packed yet" : NULL;
}

/* Whether a layer is read by others than the next one, so that it needs a name. */
static bool is_called(const struct lab_recipe *recipe, uint32_t index)
{
    for (uint32_t i = index + 1; i < recipe->layer_count; i++) {
        const struct train_layer *layer = &recipe->layers[i];
        bool add = layer->operation == TRAIN_ADD;
        if ((i > index + 1 && i - 1 - layer->input == index) ||
            (add && i - 1 - layer->other == index)) {
            return true;
        }
    }
    return false;
}

/* The layer's operation, without its max pool. */
static int add_operation(struct folding *folding, uint32_t index)
{
    const struct train_layer *from = &folding->recipe->layers[index];
    bool global = from->operation == TRAIN_GLOBAL_POOL;
    if (from->operation == TRAIN_ADD) {
        return add_sum(folding, index);
    }
    if (!global && from->operation != TRAIN_AVERAGE_POOL) {
        return add_weighted(folding, index);
    }
    int r = add_pool(&folding->draft, global ? NETWORK_OP_GLOBALAVGPOOL : NETWORK_OP_AVGPOOL,
                     is_called(folding->recipe, index) ? folding->recipe->names[index] : NULL,
                     from->kernel, from->stride);
    if (r == 0) {
        folding->draft.layers[folding->draft.point.layer_count - 1].input =
            reads(folding, index, from->input);
    }
    return r;
}

static int add_layer(struct folding *folding, uint32_t index)
{
    const struct train_layer *from = &folding->recipe->layers[index];
    folding->reason = cannot_say(from, folding->packed);
    int r = folding->reason ? -ENOTSUP : add_operation(folding, index);
    if (r == 0 && from->pool[0] > 0) {
        char name[NETWORK_LAYER_NAME_MAX + sizeof("_pool")];
        snprintf(name, sizeof(name), "%s_pool", folding->recipe->names[index]);
        r = add_pool(&folding->draft, NETWORK_OP_MAXPOOL,
                     is_called(folding->recipe, index) ? name : NULL, from->pool,
                     from->pool_stride);
    }
    folding->last[index] = folding->draft.point.layer_count;
    return r;
}

static int write_model(const struct lab_recipe *recipe, const struct train *train, bool packed,
                       const char *const *labels, uint32_t label_count, const char *provenance,
                       void **ret_bytes, size_t *ret_size, const char **ret_reason)
{
    struct folding *folding = calloc(1, sizeof(*folding)); /* too large for the stack */
    int r = 0;
    if (!folding) {
        return -ENOMEM;
    }
    folding->recipe = recipe;
    folding->train = train;
    folding->packed = packed;
    struct network_description *description = &folding->draft.description;
    lab_draft_init(&folding->draft);
    description->name = recipe->name;
    folding->draft.point.input = recipe->input;
    description->labels = labels;
    description->label_count = label_count;
    description->provenance = provenance;
    for (uint32_t i = 0; r == 0 && i < recipe->layer_count; i++) {
        r = add_layer(folding, i);
    }
    if (r == 0) {
        r = network_model_write(description, ret_bytes, ret_size, &folding->reason);
    }
    if (r < 0 && folding->reason) {
        *ret_reason = folding->reason;
    }
    lab_draft_finish(&folding->draft);
    free(folding);
    return r;
}

bool lab_master_is_coarse(const struct lab_recipe *recipe)
{
    bool coarse = false;
    for (uint32_t i = 0; i < recipe->layer_count; i++) {
        const struct train_layer *layer = &recipe->layers[i];
        coarse = coarse || layer->weights.kind > TRAIN_U7 || levels_of(&layer->output) > 0;
    }
    return coarse;
}

/* Whether a layer computes in floats, which no packed network does. */
static bool has_floats(const struct lab_recipe *recipe, uint32_t index)
{
    const struct train_layer *layer = &recipe->layers[index];
    const struct train_coding *in = coding_read(recipe, index);
    bool last = index + 1 == recipe->layer_count;
    bool weighted = layer->operation == TRAIN_CONV || layer->operation == TRAIN_DEPTHWISE ||
                    layer->operation == TRAIN_DENSE;
    return weighted &&
           (layer->weights.kind == TRAIN_F32 ||
            (in ? in->kind == TRAIN_F32 : recipe->input.front.coding == GRADIENT_CODING_F32) ||
            (layer->output.kind == TRAIN_F32 && !last));
}

int lab_master_check(const struct lab_recipe *recipe, const char **ret_reason)
{
    bool coarse = lab_master_is_coarse(recipe);
    for (uint32_t i = 0; i < recipe->layer_count; i++) {
        const char *reason = cannot_say(&recipe->layers[i], coarse);
        if (!reason && coarse && has_floats(recipe, i)) {
            reason = "a packed network has no floats: its input, weights and outputs are codes";
        }
        if (reason) {
            *ret_reason = reason;
            return -ENOTSUP;
        }
    }
    return 0;
}

int lab_master_write(const struct lab_recipe *recipe, const struct train *train,
                     const char *const *labels, uint32_t label_count, const char *provenance,
                     void **ret_bytes, size_t *ret_size, const char **ret_reason)
{
    return write_model(recipe, train, lab_master_is_coarse(recipe), labels, label_count, provenance,
                       ret_bytes, ret_size, ret_reason);
}

int lab_master_pack(const struct lab_recipe *recipe, const struct train *train,
                    const char *const *labels, uint32_t label_count, const char *provenance,
                    void **ret_bytes, size_t *ret_size, const char **ret_reason)
{
    return write_model(recipe, train, true, labels, label_count, provenance, ret_bytes, ret_size,
                       ret_reason);
}
