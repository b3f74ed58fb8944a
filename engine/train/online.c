/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The online trainer's layout: which layers learn, what memory they need, what is reported of
 * them. It learns nothing itself.
 */
#include "engine/train/online.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/kernel/cpu.h"
#include "engine/network/plan.h"
#include "engine/train/online_internal.h"

#define BLOCKS_PER_NODE  32u
#define BLOCKS           32u
#define LAMBDA_BLOCK     64u
#define VALUES_MAX       ((size_t)1 << 26) /* of any one array */
#define PROTOTYPE_LABELS 64u               /* classes beyond make records too long */

void *train_online_take(struct train_online *online, size_t count, size_t size)
{
    void *memory = NULL;

    if (!online->failed && count <= VALUES_MAX) {
        memory = calloc(count > 0 ? count : 1, size);
    }
    if (memory == NULL) {
        online->failed = true;
    } else {
        online->blocks[online->block_count++] = memory;
        online->bytes += count * size;
    }
    return memory;
}

/* ---- what can be trained ---- */

static bool weighted(const struct network_layer *layer)
{
    return layer->op == NETWORK_OP_CONV || layer->op == NETWORK_OP_DENSE;
}

static bool trainable(const struct network_layer *layer)
{
    return weighted(layer) && layer->weights == NETWORK_WEIGHTS_S8 &&
           (layer->output == NETWORK_OUTPUT_U7 || layer->output == NETWORK_OUTPUT_SCORES);
}

/* The largest |value| that layer `index` may read, and with it the loader's factor for sums; 0:
 * nothing that the trainer can hold in 8 bits. */
static uint32_t input_bound(const struct network_point *point, uint32_t index)
{
    const uint32_t from = point->layers[index].input;
    const struct network_layer *layer = from > 0 ? &point->layers[from - 1] : NULL;

    if (layer == NULL) {
        switch (point->input.front.coding) {
        case GRADIENT_CODING_TERNARY:
            return 3;
        case GRADIENT_CODING_SEVEN:
            return 9;
        case GRADIENT_CODING_U7:
            return 127;
        default:
            return 0;
        }
    }
    return layer->output == NETWORK_OUTPUT_U7 ? 127 : 0;
}

void train_online_defaults(const struct network_model *model, uint32_t point,
                           struct train_online_settings *ret_settings)
{
    const struct network_point *p = &network_model_describe(model)->points[point];

    *ret_settings = (struct train_online_settings){
        .layer_count = 1,
        .layers = {p->layer_count - 1},
        .rank = 1,
        .rate = 0.1f,
        .bias_rate = 0.005f,
        .margin = 16,
        .flush = 32, /* of `person`: 194 bytes of record a label */
        .passes = 8,
        .recent = 64,
        .holdout = 64,
        .hold = 0.01f,
        .kappa = 0, /* one direction of errors: every term but the first would be skipped */
        .norm = TRAIN_ONLINE_NLMS,
        .head = TRAIN_ONLINE_AUTO,
        .seed = 1,
        .cpu = kernel_cpu_detect(),
    };
    while (ret_settings->rank < 4 && ret_settings->rank + 1 < network_model_labels(model)) {
        ret_settings->rank++; /* errors of n classes have n - 1 dimensions */
    }
}

static bool in_range(const struct train_online_settings *s)
{
    return s->layer_count <= TRAIN_ONLINE_LAYERS_MAX && s->rank >= 1 &&
           s->rank <= TRAIN_LOWRANK_MAX && s->rate >= 0 && s->rate <= 1 && s->bias_rate >= 0 &&
           s->bias_rate <= 1 && s->margin >= 0 && s->margin <= 1000 && s->flush >= 1 &&
           s->flush <= TRAIN_ONLINE_RECENT_MAX && s->passes >= 1 && s->passes <= 1000 &&
           s->recent >= 1 && s->recent <= TRAIN_ONLINE_RECENT_MAX &&
           s->holdout <= TRAIN_ONLINE_RECENT_MAX && s->hold <= 1 && s->kappa >= 0 &&
           s->norm <= TRAIN_ONLINE_NLMS && s->head <= TRAIN_ONLINE_BIAS;
}

static bool is_trained(const struct train_online_settings *s, uint32_t layer)
{
    for (uint32_t i = 0; i < s->layer_count; i++) {
        if (s->layers[i] == layer) {
            return true;
        }
    }
    return false;
}

/* A static sentence, or NULL. */
static const char *refuse(const struct network_point *point, const struct train_online_settings *s)
{
    for (uint32_t i = 0; i < s->layer_count; i++) {
        if (s->layers[i] >= point->layer_count || (i > 0 && s->layers[i] <= s->layers[i - 1])) {
            return "the trained layers are not ascending indices of the point";
        }
        if (!trainable(&point->layers[s->layers[i]])) {
            return "a trained layer is no convolution or dense layer of 8 bits with 7-bit outputs";
        }
    }
    for (uint32_t i = s->layers[0]; i < point->layer_count; i++) {
        const struct network_layer *layer = &point->layers[i];

        if (layer->input != i || !(trainable(layer) || layer->op == NETWORK_OP_MAXPOOL)) {
            return "gradients cannot pass a layer behind the first trained one";
        }
        if (input_bound(point, i) == 0) {
            return "a layer that learns reads codes of another kind";
        }
    }
    return NULL;
}

/* ---- layout ---- */

static void shape_of(const struct train_online *online, uint32_t index, struct network_shape *ret)
{
    struct network_shape shapes[NETWORK_LAYERS_MAX + 1];

    shapes[0] = network_input_shape(&online->point->input);
    for (uint32_t i = 0; i < index; i++) {
        network_layer_shape(&online->point->layers[i], shapes[online->point->layers[i].input],
                            &shapes[i + 1], NULL);
    }
    *ret = shapes[index];
}

static void set_geometry(struct online_node *node)
{
    const struct network_layer *layer = node->layer;

    for (uint32_t d = 0; d < 2; d++) {
        const bool dense = layer->op == NETWORK_OP_DENSE;

        node->kernel[d] =
            dense ? (uint16_t)(d == 0 ? node->in.height : node->in.width) : layer->kernel[d];
        node->stride[d] = dense ? 1 : layer->stride[d];
        node->pad[d] = dense ? 0 : layer->pad[d];
    }
    if (layer->op == NETWORK_OP_DENSE) {
        node->out = (struct network_shape){1, 1, layer->out};
    }
    node->weighted = weighted(layer);
    node->rows = node->weighted ? layer->out : 0;
    node->columns =
        node->weighted ? (uint32_t)node->kernel[0] * node->kernel[1] * node->in.channels : 0;
    node->pitch = (size_t)(node->in.width + 2u * node->pad[1]) * node->in.channels;
}

static void take_maps(struct train_online *online, struct online_node *node)
{
    const size_t in = (size_t)node->in.height * node->in.width * node->in.channels;
    const size_t out = (size_t)node->out.height * node->out.width * node->out.channels;
    const size_t padded = (node->in.height + 2u * node->pad[0]) * node->pitch;

    node->in_codes = train_online_take(online, padded, 1);
    node->in_map = train_online_take(online, padded, sizeof(float));
    node->in_delta = train_online_take(online, in, sizeof(float));
    node->gradient = train_online_take(online, padded, sizeof(float));
    if (node->weighted) {
        node->z = train_online_take(online, out, sizeof(float));
        node->dt = train_online_take(online, out, sizeof(float));
        node->scale = train_online_take(online, node->rows, sizeof(float));
        node->weights =
            train_online_take(online, (size_t)node->rows * node->columns, sizeof(float));
    } else {
        node->tap = train_online_take(online, out, sizeof(uint32_t));
    }
    for (size_t i = 0; !online->failed && i < padded; i++) {
        node->in_codes[i] = (int8_t)node->layer->pad_code;
        node->in_map[i] = node->layer->pad_code;
    }
}

static void take_values(struct train_online *online, struct online_node *node,
                        struct online_values *values)
{
    values->codes = train_online_take(online, (size_t)node->rows * node->columns, 1);
    values->bias = train_online_take(online, node->rows, sizeof(int32_t));
}

static void take_state(struct train_online *online, struct online_node *node)
{
    const struct train_online_settings *s = &online->settings;
    const size_t cells = (size_t)node->rows * node->columns;
    struct train_lowrank_settings settings = {.rows = node->rows,
                                              .columns = node->columns,
                                              .rank = s->rank,
                                              .unbiased = s->unbiased,
                                              .kappa = s->kappa,
                                              .discount = 1,
                                              .seed = s->seed,
                                              .stream = node->index,
                                              .cpu = s->cpu};
    float *v, *y;

    take_values(online, node, &node->durable);
    take_values(online, node, &node->trial);
    take_values(online, node, &node->shown);
    node->live = train_online_take(online, node->rows, sizeof(int32_t));
    node->writes = train_online_take(online, cells, sizeof(uint32_t));
    node->whole = train_online_take(online, cells, sizeof(float));
    node->left = train_online_take(online, (size_t)s->rank * node->rows, sizeof(float));
    node->right = train_online_take(online, (size_t)s->rank * node->columns, sizeof(float));
    node->left_bytes = train_online_take(online, (size_t)s->rank * node->rows, 2);
    node->right_bytes = train_online_take(online, (size_t)s->rank * node->columns, 2);
    node->bias_bytes = train_online_take(online, node->rows, 4);
    v = train_online_take(online, node->columns, sizeof(float));
    y = train_online_take(online, node->columns, sizeof(float));
    if (online->failed || train_lowrank_create(&settings, &node->total) < 0) {
        online->failed = true;
        return;
    }
    online->bytes += train_lowrank_bytes(&settings);
    train_lambda_init(&node->lambda, node->columns, LAMBDA_BLOCK, v, y);
}

static void make_node(struct train_online *online, uint32_t k)
{
    struct online_node *node = &online->nodes[k];
    const struct network_layer *layer;

    node->index = online->first + k;
    node->layer = layer = &online->point->layers[node->index];
    node->trained = is_trained(&online->settings, node->index);
    node->input_bound = input_bound(online->point, node->index);
    shape_of(online, node->index, &node->in);
    shape_of(online, node->index + 1, &node->out);
    set_geometry(node);
    take_maps(online, node);
    if (node->trained) {
        take_state(online, node);
    } else { /* what it predicts with is the model's, and stays */
        node->shown.codes = node->trial.codes = (int8_t *)layer->weight_s8;
        node->shown.bias = node->trial.bias = (int32_t *)layer->bias_s32;
    }
    for (uint32_t o = 0; !online->failed && o < node->rows; o++) {
        const bool scores = layer->output == NETWORK_OUTPUT_SCORES;

        node->scale[o] =
            (float)ldexp(layer->mult[o], layer->preshift - 32 - layer->shift - (scores ? 16 : 0));
    }
    for (size_t i = 0; !online->failed && i < (size_t)node->rows * node->columns; i++) {
        node->weights[i] = layer->weight_s8[i];
    }
}

static void take_labelled(struct train_online *online, struct online_labelled *labelled,
                          uint32_t room)
{
    labelled->room = room;
    labelled->latent = train_online_take(online, room * online->latent_values, 1);
    labelled->labels = train_online_take(online, room, sizeof(uint32_t));
    labelled->tags = train_online_take(online, room, sizeof(uint64_t));
    labelled->learned = train_online_take(online, room, sizeof(bool));
}

static void take_head(struct train_online *online, struct train_prototypes *head)
{
    head->classes = online->classes;
    head->features = online->last->columns;
    head->gain = train_online_take(online, head->classes, sizeof(int32_t));
    head->means = train_online_take(online, (size_t)head->classes * head->features, 1);
}

static void take_scratch(struct train_online *online)
{
    const uint32_t n = online->settings.recent, classes = online->classes;

    online->aims = train_online_take(online, (size_t)n * classes, sizeof(float));
    online->starts = train_online_take(online, (size_t)n * classes, sizeof(float));
    online->plain = train_online_take(online, (size_t)n * classes, sizeof(float));
    online->features = train_online_take(online, (size_t)n * online->last->columns, 1);
    online->order = train_online_take(online, n, sizeof(uint32_t));
    online->use = train_online_take(online, n, sizeof(bool));
    online->margins = train_online_take(online, n, sizeof(float));
    online->trial_margins = train_online_take(online, n, sizeof(float));
    online->z = train_online_take(online, classes, sizeof(float));
    online->dz = train_online_take(online, classes, sizeof(float));
    online->scores = train_online_take(online, classes, sizeof(int32_t));
    online->latent = train_online_take(online, online->latent_values, 1);
    online->can_prototype = online->last->trained && classes <= PROTOTYPE_LABELS &&
                            (size_t)classes * online->last->columns <= TRAIN_PROTOTYPE_VALUES_MAX;
    if (online->can_prototype) {
        take_head(online, &online->durable_head);
        take_head(online, &online->trial_head);
    }
}

/* The longest record that a flush can make. */
static size_t longest_record(const struct train_online *online)
{
    struct train_delta delta = {.prototypes = online->can_prototype,
                                .classes = online->classes,
                                .features = online->last->columns};

    for (uint32_t i = 0; i < online->node_count; i++) {
        const struct online_node *node = &online->nodes[i];

        if (node->trained) {
            delta.layers[delta.layer_count++] = (struct train_delta_layer){
                .rank = online->settings.rank, .rows = node->rows, .columns = node->columns};
        }
    }
    return train_delta_size(&delta);
}

static uint64_t hash_base(const struct train_online *online)
{
    uint64_t h = 0;

    for (uint32_t i = 0; i < online->point->layer_count; i++) {
        const struct network_layer *layer = &online->point->layers[i];
        const uint32_t fixed[5] = {layer->op, layer->out, layer->preshift, layer->shift,
                                   is_trained(&online->settings, i)};
        struct network_shape in, out;
        size_t columns;

        h = XXH64(fixed, sizeof(fixed), h);
        if (!trainable(layer)) {
            continue;
        }
        shape_of(online, i, &in);
        shape_of(online, i + 1, &out);
        columns = layer->op == NETWORK_OP_DENSE
                      ? (size_t)in.height * in.width * in.channels
                      : (size_t)layer->kernel[0] * layer->kernel[1] * in.channels;
        h = XXH64(layer->weight_s8, layer->out * columns, h);
        h = XXH64(layer->bias_s32, layer->out * sizeof(int32_t), h);
        h = XXH64(layer->mult, layer->out * sizeof(int32_t), h);
    }
    return h;
}

static int take_plan(struct train_online *online, const struct network_model *model, uint32_t point)
{
    int r;

    kernel_table_init(&online->kernels, online->settings.cpu);
    r = network_plan_create(model, point, 1, &online->kernels, &online->plan);
    if (r < 0) {
        return r;
    }
    online->arena = aligned_alloc(64, (network_plan_arena_bytes(online->plan) + 63) / 64 * 64);
    online->bytes +=
        network_plan_arena_bytes(online->plan) + network_plan_packed_bytes(online->plan);
    return online->arena != NULL ? 0 : -ENOMEM;
}

static int lay_out(struct train_online *online, const struct network_model *model, uint32_t point)
{
    struct network_shape in;

    online->blocks = calloc(BLOCKS + BLOCKS_PER_NODE * online->node_count, sizeof(void *));
    if (online->blocks == NULL) {
        return -ENOMEM;
    }
    online->nodes = train_online_take(online, online->node_count, sizeof(*online->nodes));
    for (uint32_t k = 0; !online->failed && k < online->node_count; k++) {
        make_node(online, k);
    }
    if (online->failed) {
        return -ENOMEM;
    }
    online->last = &online->nodes[online->node_count - 1];
    in = online->nodes[0].in;
    online->latent_values = (size_t)in.height * in.width * in.channels;
    take_scratch(online);
    take_labelled(online, &online->recent, online->settings.recent);
    take_labelled(online, &online->holdout, online->settings.holdout);
    online->record_room = longest_record(online);
    online->record = train_online_take(online, online->record_room, 1);
    return online->failed || online->record_room == 0 ? -ENOMEM : take_plan(online, model, point);
}

int train_online_create(const struct network_model *model, uint32_t point,
                        const struct train_online_settings *settings,
                        struct train_online **ret_online, const char **ret_reason)
{
    const struct network_description *description = network_model_describe(model);
    struct train_online *online;
    const char *reason = "a setting is out of range";
    int r = -EINVAL;

    online = calloc(1, sizeof(*online));
    if (online == NULL) {
        return -ENOMEM;
    }
    if (point < description->point_count && in_range(settings)) {
        online->settings = *settings;
        online->point = &description->points[point];
        online->classes = description->label_count;
        if (settings->layer_count == 0) {
            online->settings.layer_count = 1;
            online->settings.layers[0] = online->point->layer_count - 1;
        }
        reason = refuse(online->point, &online->settings);
        r = reason == NULL ? 0 : -ENOTSUP;
    }
    if (r == 0) {
        online->first = online->settings.layers[0];
        online->node_count = online->point->layer_count - online->first;
        online->bytes = sizeof(*online);
        r = lay_out(online, model, point);
        reason = "out of memory";
    }
    if (r < 0) {
        if (ret_reason != NULL) {
            *ret_reason = reason;
        }
        train_online_destroy(online);
        return r;
    }
    online->base = hash_base(online);
    train_online_reset(online);
    online->generation = 0;
    for (uint32_t i = 0; i < online->node_count; i++) {
        online->nodes[i].generation = 0;
    }
    *ret_online = online;
    return 0;
}

void train_online_destroy(struct train_online *online)
{
    if (online == NULL) {
        return;
    }
    for (uint32_t i = 0; online->nodes != NULL && i < online->node_count; i++) {
        train_lowrank_destroy(online->nodes[i].total);
    }
    for (uint32_t i = 0; i < online->block_count; i++) {
        free(online->blocks[i]);
    }
    free(online->blocks);
    free(online->arena);
    network_plan_destroy(online->plan);
    free(online);
}

/* ---- what can be asked ---- */

size_t train_online_bytes(const struct train_online *online)
{
    return online->bytes;
}

uint64_t train_online_base(const struct train_online *online)
{
    return online->base;
}

uint64_t train_online_generation(const struct train_online *online)
{
    return online->generation;
}

uint64_t train_online_layer_generation(const struct train_online *online, uint32_t layer)
{
    return layer >= online->first && layer - online->first < online->node_count
               ? online->nodes[layer - online->first].generation
               : 0;
}

int train_online_layer(const struct train_online *online, uint32_t layer,
                       struct network_layer *ret_values)
{
    const struct online_node *node;

    if (layer < online->first || layer - online->first >= online->node_count) {
        return -ENOENT;
    }
    node = &online->nodes[layer - online->first];
    if (!node->trained) {
        return -ENOENT;
    }
    *ret_values = *node->layer;
    ret_values->weight_s8 = node->shown.codes;
    ret_values->bias_s32 = node->shown.bias;
    return 0;
}

static struct train_online_layer_status layer_status(const struct online_node *node)
{
    struct train_online_layer_status status = {.layer = node->index,
                                               .lambda = node->lambda.value,
                                               .energy = node->energy,
                                               .cells = (uint64_t)node->rows * node->columns};
    struct train_lowrank_counters counters;

    train_lowrank_get(node->total, &counters);
    status.terms = counters.terms;
    status.skipped = counters.skipped;
    status.cap = node->steps > 0 ? (float)node->capped / (float)node->steps : 0;
    for (uint64_t i = 0; i < status.cells; i++) {
        status.cells_written += node->writes[i];
        status.worst = node->writes[i] > status.worst ? node->writes[i] : status.worst;
    }
    return status;
}

void train_online_get(struct train_online *online, struct train_online_status *ret_status)
{
    struct train_online_status status = online->status;

    status.recent = online->recent.count;
    status.holdout = online->holdout.count;
    status.layer_count = 0;
    for (uint32_t i = 0; i < online->node_count; i++) {
        if (online->nodes[i].trained) {
            status.layers[status.layer_count++] = layer_status(&online->nodes[i]);
        }
    }
    *ret_status = status;
}

uint32_t train_online_distrusted(struct train_online *online, uint64_t *ret_tags, uint32_t max)
{
    const uint32_t n = online->status.loo_count < online->recent.count ? online->status.loo_count
                                                                       : online->recent.count;
    uint32_t count = 0;

    memset(online->use, 0, online->recent.room * sizeof(*online->use));
    while (count < max) {
        uint32_t worst = n;

        for (uint32_t i = 0; i < n; i++) {
            if (!online->use[i] && online->margins[i] < 0 &&
                (worst == n || online->margins[i] < online->margins[worst])) {
                worst = i;
            }
        }
        if (worst == n) {
            break;
        }
        online->use[worst] = true;
        ret_tags[count++] = online->recent.tags[worst];
    }
    return count;
}
