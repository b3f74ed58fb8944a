/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The state of a training run as bytes, and back. What the network is comes from the caller; here
 * it is only compared. No file is opened.
 */
#include "engine/train/graph.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/network/safetensors.h"

/* A layer in numbers, for comparison: two networks with equal numbers have equal arrays. */
#define LAYER_WORDS 27u

static void describe_coding(const struct train_coding *coding, uint32_t *words)
{
    words[0] = coding->kind;
    words[1] = coding->bits;
    words[2] = coding->root;
    words[3] = coding->learned;
    words[4] = (uint32_t)(int32_t)coding->fsr;
}

static void describe_layer(const struct train_layer *l, uint32_t *words)
{
    const uint32_t plain[] = {
        l->operation, l->activation, l->bias,      l->norm,           l->input,          l->other,
        l->out,       l->kernel[0],  l->kernel[1], l->stride[0],      l->stride[1],      l->pad[0],
        l->pad[1],    l->pool[0],    l->pool[1],   l->pool_stride[0], l->pool_stride[1],
    };

    memcpy(words, plain, sizeof(plain));
    describe_coding(&l->weights, words + 17);
    describe_coding(&l->output, words + 22);
}

/* [node_count][LAYER_WORDS], the input first. NULL without memory; the caller frees it. */
static uint32_t *describe(const struct train *train)
{
    uint32_t *words = calloc(train->node_count, LAYER_WORDS * sizeof(*words));

    if (words == NULL) {
        return NULL;
    }
    words[0] = train->nodes[0].shape.height;
    words[1] = train->nodes[0].shape.width;
    words[2] = train->nodes[0].shape.channels;
    for (uint32_t i = 1; i < train->node_count; i++) {
        describe_layer(&train->nodes[i].spec, words + (size_t)i * LAYER_WORDS);
    }
    return words;
}

#define TENSORS 6u

/* What is saved. On little-endian machines only, as everything that reads tensors in place. */
static void list(const struct train *train, const uint32_t *words, const int64_t *steps,
                 struct network_tensor *tensors)
{
    const uint64_t n = train->parameters;
    const struct network_tensor all[TENSORS] = {
        {.name = "network",
         .dtype = NETWORK_DTYPE_U32,
         .rank = 2,
         .shape = {train->node_count, LAYER_WORDS},
         .data = words},
        {.name = "steps", .dtype = NETWORK_DTYPE_I64, .rank = 1, .shape = {1}, .data = steps},
        {.name = "values",
         .dtype = NETWORK_DTYPE_F32,
         .rank = 1,
         .shape = {n},
         .data = train->values},
        {.name = "moment1",
         .dtype = NETWORK_DTYPE_F32,
         .rank = 1,
         .shape = {n},
         .data = train->moment1},
        {.name = "moment2",
         .dtype = NETWORK_DTYPE_F32,
         .rank = 1,
         .shape = {n},
         .data = train->moment2},
        {.name = "state",
         .dtype = NETWORK_DTYPE_F32,
         .rank = 1,
         .shape = {train->states},
         .data = train->state},
    };

    memcpy(tensors, all, sizeof(all));
}

int train_save(const struct train *train, void **ret_bytes, size_t *ret_size)
{
    const int64_t steps = (int64_t)train->steps;
    struct network_tensor tensors[TENSORS];
    uint32_t *words = describe(train);
    int r;

    if (words == NULL) {
        return -ENOMEM;
    }
    list(train, words, &steps, tensors);
    r = network_safetensors_write(tensors, TENSORS, NULL, 0, ret_bytes, ret_size);
    free(words);
    return r;
}

/* The file has all tensors in the types and shapes expected, and the same network. */
static const char *compare(const struct network_safetensors *file,
                           const struct network_tensor *expected)
{
    for (uint32_t i = 0; i < TENSORS; i++) {
        const struct network_tensor *e = &expected[i];
        const struct network_tensor *t = network_safetensors_find(file, e->name);

        if (t == NULL) {
            return "not the state of a training run";
        }
        if (t->dtype != e->dtype || t->rank != e->rank ||
            memcmp(t->shape, e->shape, e->rank * sizeof(t->shape[0])) != 0) {
            return "the state of another network";
        }
    }
    const struct network_tensor *network = network_safetensors_find(file, expected[0].name);
    return memcmp(network->data, expected[0].data, network->bytes) == 0
               ? NULL
               : "the state of another network";
}

static void take(const struct network_safetensors *file, const char *name, void *to)
{
    const struct network_tensor *t = network_safetensors_find(file, name);

    memcpy(to, t->data, t->bytes);
}

int train_restore(struct train *train, const void *bytes, size_t size, const char **ret_reason)
{
    struct network_safetensors *file;
    struct network_tensor expected[TENSORS];
    const char *reason;
    uint32_t *words = NULL;
    int64_t steps = 0;
    int r = network_safetensors_read(bytes, size, &file, ret_reason);

    if (r < 0) {
        return r;
    }
    words = describe(train);
    if (words == NULL) {
        r = -ENOMEM;
        goto done;
    }
    list(train, words, &steps, expected);
    reason = compare(file, expected);
    if (reason != NULL) {
        if (ret_reason != NULL) {
            *ret_reason = reason;
        }
        r = -EBADMSG;
        goto done;
    }
    take(file, "steps", &steps);
    train->steps = (uint64_t)steps;
    take(file, "values", train->values);
    take(file, "moment1", train->moment1);
    take(file, "moment2", train->moment2);
    take(file, "state", train->state);
    train_touch(train);
done:
    free(words);
    network_safetensors_destroy(file);
    return r;
}
