/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * From training scripts' files to the network's schema. Trusts nothing of the file but what it has
 * checked; knows only the layers that such files have had so far.
 */
#include "engine/lab/import.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "engine/lab/draft.h"
#include "engine/network/model.h"
#include "engine/network/safetensors.h"

#define DEFAULT_EPSILON 1e-5 /* PyTorch's, of batch normalisation */

struct importer {
    struct network_safetensors *file;
    cJSON *root;
    struct lab_draft draft;
    const char *labels[NETWORK_LABELS_MAX];
    struct network_shape shape; /* after the layers so far */
    size_t row;                 /* weights per output of the last layer that has any */
    bool chw; /* the next dense layer's weights are in channel, row, column order */
    char provenance[256];
    const char *reason;
};

static int refuse(struct importer *importer, const char *reason)
{
    importer->reason = reason;
    return -EBADMSG;
}

static const char *text_of(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return text ? text : "";
}

/* 0 when it is absent or no whole number of [1, max]. */
static uint32_t number_of(const cJSON *object, const char *key, uint32_t max)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    double value = cJSON_IsNumber(item) ? item->valuedouble : 0.0;
    return value >= 1.0 && value <= max && value == floor(value) ? (uint32_t)value : 0;
}

/* A float tensor of exactly this shape, or NULL. */
static const float *tensor(const struct importer *importer, const char *layer, const char *part,
                           uint32_t rank, const uint32_t *shape)
{
    char name[NETWORK_LAYER_NAME_MAX + 32];
    snprintf(name, sizeof(name), "%s.%s", layer, part);
    const struct network_tensor *found = network_safetensors_find(importer->file, name);
    if (!found || found->dtype != NETWORK_DTYPE_F32 || found->rank != rank) {
        return NULL;
    }
    for (uint32_t i = 0; i < rank; i++) {
        if (found->shape[i] != shape[i]) {
            return NULL;
        }
    }
    return found->data;
}

/* Outputs of a layer: the first dimension of its weights; 0 when there is none. */
static uint32_t outputs(const struct importer *importer, const char *layer)
{
    char name[NETWORK_LAYER_NAME_MAX + 32];
    snprintf(name, sizeof(name), "%s.weight", layer);
    const struct network_tensor *found = network_safetensors_find(importer->file, name);
    return found && found->rank > 0 && found->shape[0] <= NETWORK_CHANNELS_MAX
               ? (uint32_t)found->shape[0]
               : 0;
}

/* ---- input and labels ---- */

static int read_log_gradient(struct importer *importer, const cJSON *input,
                             struct gradient_spec *front)
{
    static const char *const order[] = {"gx.r", "gx.g", "gx.b", "gy.r", "gy.g", "gy.b"};
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(input, "order");
    const cJSON *ratio = cJSON_GetObjectItemCaseSensitive(input, "ratio");
    for (int i = 0; i < 6; i++) {
        const char *name = cJSON_GetStringValue(cJSON_GetArrayItem(names, i));
        if (!name || strcmp(name, order[i]) != 0) {
            return refuse(importer, "the order of the gradient planes is not known");
        }
    }
    const cJSON *p = cJSON_GetArrayItem(ratio, 0), *q = cJSON_GetArrayItem(ratio, 1);
    bool known = number_of(input, "levels", 3) == 3 &&
                 number_of(input, "linear_white", 65535) == 65535 && cJSON_IsNumber(p) &&
                 cJSON_IsNumber(q) && q->valueint >= 1 && p->valueint > q->valueint &&
                 p->valueint <= 4096;
    if (!known) {
        return refuse(importer, "the log-gradient input is not described as expected");
    }
    front->source = GRADIENT_SOURCE_LOG_GRADIENT;
    front->coding = GRADIENT_CODING_TERNARY;
    front->merge = GRADIENT_MERGE_ALL;
    front->floor = (uint16_t)number_of(input, "floor", 65535);
    front->ratio[0] = (struct gradient_ratio){(uint16_t)p->valueint, (uint16_t)q->valueint};
    return 0;
}

static int read_input(struct importer *importer)
{
    const cJSON *input = cJSON_GetObjectItemCaseSensitive(importer->root, "input");
    struct network_input *to = &importer->draft.point.input;
    to->target.width = number_of(input, "width", 4096);
    to->target.height = number_of(input, "height", 4096);
    to->target.channels = IMAGE_RGB;
    to->target.fit = IMAGE_FIT_COVER;
    to->front.planes = 3;
    if (strcmp(text_of(input, "planes"), "rgb") != 0 || to->target.width == 0 ||
        to->target.height == 0) {
        return refuse(importer, "the input is not described as expected");
    }
    if (strcmp(text_of(input, "source"), "srgb") == 0) {
        to->front.source = GRADIENT_SOURCE_SRGB;
        to->front.coding = GRADIENT_CODING_F32;
    } else {
        int r = read_log_gradient(importer, input, &to->front);
        if (r < 0) {
            return r;
        }
    }
    if (gradient_spec_check(&to->front) < 0) {
        return refuse(importer, "the input's front end is impossible");
    }
    importer->shape = network_input_shape(to);
    return 0;
}

static int read_labels(struct importer *importer)
{
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(importer->root, "labels"), *label;
    struct network_description *to = &importer->draft.description;
    cJSON_ArrayForEach(label, labels)
    {
        if (!cJSON_IsString(label) || to->label_count == NETWORK_LABELS_MAX) {
            return refuse(importer, "the labels are not a list of text");
        }
        importer->labels[to->label_count++] = label->valuestring;
    }
    to->labels = importer->labels;
    return 0;
}

/* What the file says of its making, carried on. */
static int write_provenance(struct importer *importer)
{
    cJSON *object = cJSON_CreateObject();
    const char *data = text_of(importer->root, "data");
    const cJSON *top1 = cJSON_GetObjectItemCaseSensitive(importer->root, "test_top1_percent");
    if (*data) {
        cJSON_AddStringToObject(object, "data", data);
    }
    if (cJSON_IsNumber(top1)) {
        cJSON_AddNumberToObject(object, "float_top1_percent", top1->valuedouble);
    }
    bool fits =
        cJSON_PrintPreallocated(object, importer->provenance, sizeof(importer->provenance), 0);
    cJSON_Delete(object);
    importer->draft.description.provenance = importer->provenance;
    return fits ? 0 : refuse(importer, "what the file says of its data is too long");
}

/* ---- layers ---- */

static struct network_layer *last_weighted(struct importer *importer)
{
    uint32_t count = importer->draft.point.layer_count;
    struct network_layer *layer = count > 0 ? &importer->draft.layers[count - 1] : NULL;
    return layer && layer->weight_f32 ? layer : NULL;
}

static int advance(struct importer *importer, const struct network_layer *layer)
{
    struct network_shape next;
    int r = network_layer_shape(layer, importer->shape, &next, &importer->reason);
    if (r == 0) {
        importer->shape = next;
    }
    return r;
}

static float *copy_floats(const float *from, size_t count)
{
    float *to = calloc(count, sizeof(*to));
    if (to && from) {
        memcpy(to, from, count * sizeof(*to));
    }
    return to;
}

/* [out][in][rows][columns] -> [out][rows][columns][in] */
static float *permute(const float *from, uint32_t out, uint32_t in, uint32_t rows, uint32_t columns)
{
    size_t area = (size_t)rows * columns;
    float *to = calloc(out, area * in * sizeof(*to));
    for (size_t o = 0; to && o < out; o++) {
        for (size_t c = 0; c < in; c++) {
            for (size_t i = 0; i < area; i++) {
                to[(o * area + i) * in + c] = from[(o * in + c) * area + i];
            }
        }
    }
    return to;
}

/* "conv1 3x3 pad1" */
static int add_conv(struct importer *importer, const char *name, const char *details)
{
    uint32_t rows, columns, pad;
    char end;
    if (sscanf(details, " %ux%u pad%u%c", &rows, &columns, &pad, &end) != 3 || rows == 0 ||
        columns == 0 || rows > NETWORK_KERNEL_MAX || columns > NETWORK_KERNEL_MAX ||
        pad > NETWORK_KERNEL_MAX) {
        return refuse(importer, "a convolution is not described as 'NAME RxC padP'");
    }
    uint32_t out = outputs(importer, name), in = importer->shape.channels;
    const float *weight =
        tensor(importer, name, "weight", 4, (const uint32_t[]){out, in, rows, columns});
    struct network_layer *layer = weight ? lab_draft_add(&importer->draft, name) : NULL;
    if (!layer) {
        return refuse(importer, "a convolution's weights are missing or of another shape");
    }
    layer->op = NETWORK_OP_CONV;
    layer->weights = NETWORK_WEIGHTS_F32;
    layer->output = NETWORK_OUTPUT_F32;
    layer->kernel[0] = (uint16_t)rows;
    layer->kernel[1] = (uint16_t)columns;
    layer->stride[0] = layer->stride[1] = 1;
    layer->pad[0] = layer->pad[1] = (uint16_t)pad;
    layer->out = out;
    layer->weight_f32 = permute(weight, out, in, rows, columns);
    layer->bias_f32 = copy_floats(tensor(importer, name, "bias", 1, &out), out);
    if (!layer->weight_f32 || !layer->bias_f32) {
        return -ENOMEM;
    }
    importer->row = (size_t)rows * columns * in;
    return advance(importer, layer);
}

/* "bn1 eps1e-5": y = (x - mean) / sqrt(var + eps) * gamma + beta, folded into the layer before. */
static int fold_norm(struct importer *importer, const char *name, const char *details)
{
    struct network_layer *layer = last_weighted(importer);
    double epsilon = DEFAULT_EPSILON;
    if (!layer || layer->relu || (*details && sscanf(details, " eps%lf", &epsilon) != 1)) {
        return refuse(importer, "a normalisation does not follow a convolution");
    }
    const float *gamma = tensor(importer, name, "weight", 1, &layer->out);
    const float *beta = tensor(importer, name, "bias", 1, &layer->out);
    const float *mean = tensor(importer, name, "running_mean", 1, &layer->out);
    const float *variance = tensor(importer, name, "running_var", 1, &layer->out);
    if (!gamma || !beta || !mean || !variance) {
        return refuse(importer, "a normalisation's tensors are missing or of another shape");
    }
    /* The draft's own arrays, made by add_conv. */
    float *weight = (float *)layer->weight_f32, *bias = (float *)layer->bias_f32;
    for (uint32_t o = 0; o < layer->out; o++) {
        double scale = gamma[o] / sqrt((double)variance[o] + epsilon);
        bias[o] = (float)(beta[o] + ((double)bias[o] - mean[o]) * scale);
        for (size_t k = 0; k < importer->row; k++) {
            weight[o * importer->row + k] = (float)(weight[o * importer->row + k] * scale);
        }
    }
    return 0;
}

/* "maxpool2" */
static int add_maxpool(struct importer *importer, const char *name)
{
    uint32_t size;
    char end;
    if (sscanf(name, "maxpool%u%c", &size, &end) != 1 || size == 0 || size > NETWORK_KERNEL_MAX) {
        return refuse(importer, "a pool is not described as 'maxpoolN'");
    }
    struct network_layer *layer = lab_draft_add(&importer->draft, NULL);
    if (!layer) {
        return refuse(importer, "too many layers");
    }
    layer->op = NETWORK_OP_MAXPOOL;
    layer->kernel[0] = layer->kernel[1] = (uint16_t)size;
    layer->stride[0] = layer->stride[1] = (uint16_t)size;
    return advance(importer, layer);
}

/* "fc", the last layer */
static int add_dense(struct importer *importer, const char *name)
{
    struct network_shape in = importer->shape;
    uint32_t out = importer->draft.description.label_count;
    uint32_t row = in.height * in.width * in.channels;
    const float *weight = tensor(importer, name, "weight", 2, (const uint32_t[]){out, row});
    const float *bias = tensor(importer, name, "bias", 1, &out);
    struct network_layer *layer = weight && bias ? lab_draft_add(&importer->draft, name) : NULL;
    if (!layer || !importer->chw) {
        return refuse(importer,
                      "the dense layer is missing, of another shape or not flattened chw");
    }
    layer->op = NETWORK_OP_DENSE;
    layer->weights = NETWORK_WEIGHTS_F32;
    layer->output = NETWORK_OUTPUT_SCORES;
    layer->out = out;
    layer->weight_f32 = permute(weight, out, in.channels, in.height, in.width);
    layer->bias_f32 = copy_floats(bias, out);
    if (!layer->weight_f32 || !layer->bias_f32) {
        return -ENOMEM;
    }
    return advance(importer, layer);
}

static int add_layer(struct importer *importer, const char *text)
{
    char name[NETWORK_LAYER_NAME_MAX + 1];
    int length;
    if (sscanf(text, "%32s%n", name, &length) != 1) {
        return refuse(importer, "an empty layer");
    }
    const char *details = text + length;
    if (strncmp(name, "conv", 4) == 0) {
        return add_conv(importer, name, details);
    }
    if (strncmp(name, "bn", 2) == 0) {
        return fold_norm(importer, name, details);
    }
    if (strcmp(name, "relu") == 0) {
        struct network_layer *layer = last_weighted(importer);
        if (!layer) {
            return refuse(importer, "a relu does not follow a convolution");
        }
        layer->relu = true;
        return 0;
    }
    if (strncmp(name, "maxpool", 7) == 0) {
        return add_maxpool(importer, name);
    }
    if (strcmp(text, "flatten chw") == 0) {
        importer->chw = true;
        return 0;
    }
    if (strncmp(name, "fc", 2) == 0) {
        return add_dense(importer, name);
    }
    return refuse(importer, "a layer of an unknown kind");
}

static int read_all(struct importer *importer)
{
    importer->draft.description.name = text_of(importer->root, "name");
    int r = read_input(importer);
    if (r == 0) {
        r = read_labels(importer);
    }
    const cJSON *layers = cJSON_GetObjectItemCaseSensitive(importer->root, "layers"), *layer;
    cJSON_ArrayForEach(layer, layers)
    {
        if (r == 0) {
            r = cJSON_IsString(layer) ? add_layer(importer, layer->valuestring)
                                      : refuse(importer, "a layer is not text");
        }
    }
    return r < 0 ? r : write_provenance(importer);
}

/* The metadata's JSON; NULL when the file has none. */
static cJSON *parse_metadata(const struct network_safetensors *file)
{
    const char *text = network_safetensors_metadata(file, "ocellus");
    return text ? cJSON_Parse(text) : NULL;
}

bool lab_import_recognise(const void *bytes, size_t size)
{
    struct network_safetensors *file;
    if (network_safetensors_read(bytes, size, &file, NULL) < 0) {
        return false;
    }
    cJSON *root = parse_metadata(file);
    const cJSON *layers = cJSON_GetObjectItemCaseSensitive(root, "layers");
    bool informal = cJSON_IsString(cJSON_GetArrayItem(layers, 0));
    cJSON_Delete(root);
    network_safetensors_destroy(file);
    return informal;
}

int lab_import(const void *bytes, size_t size, uint8_t **ret_bytes, size_t *ret_size,
               const char **ret_reason)
{
    struct importer *importer = calloc(1, sizeof(*importer));
    if (!importer) {
        return -ENOMEM;
    }
    lab_draft_init(&importer->draft);
    int r = network_safetensors_read(bytes, size, &importer->file, &importer->reason);
    if (r == 0) {
        importer->root = parse_metadata(importer->file);
        r = importer->root ? read_all(importer) : refuse(importer, "no description in the file");
    }
    if (r == 0) {
        void *made;
        r = network_model_write(&importer->draft.description, &made, ret_size, &importer->reason);
        if (r == 0) {
            *ret_bytes = made;
        }
    }
    if (r < 0) {
        *ret_reason = importer->reason;
    }
    lab_draft_finish(&importer->draft);
    cJSON_Delete(importer->root);
    network_safetensors_destroy(importer->file);
    free(importer);
    return r;
}
