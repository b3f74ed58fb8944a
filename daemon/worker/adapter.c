/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Maps sealed weights and points a plan at them. The daemon is believed: it packed them for the
 * same model and kernel table, which network_plan_use checks once more. */
#include "daemon/worker/adapter.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "daemon/worker/frame_map.h"

static void drop_map(struct worker_adapter *adapter, uint32_t layer)
{
    if (adapter->maps[layer].bytes != NULL) {
        munmap((void *)adapter->maps[layer].bytes, adapter->maps[layer].size);
        adapter->maps[layer].bytes = NULL;
    }
}

void adapter_finish(struct worker_adapter *adapter)
{
    network_plan_destroy(adapter->plan);
    for (uint32_t i = 0; i < NETWORK_LAYERS_MAX; i++) {
        drop_map(adapter, i);
    }
    *adapter = (struct worker_adapter){0};
}

static int map_weights(const struct job_message *message, int fd,
                       const struct job_weights **ret_bytes)
{
    struct stat stat;
    if (frame_map_stat(fd, &stat) < 0 || stat.st_size <= 0 ||
        (uint64_t)stat.st_size != message->length || message->length < sizeof(**ret_bytes)) {
        return -EINVAL;
    }
    void *bytes = mmap(NULL, message->length, PROT_READ, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED) {
        return -ENOMEM;
    }
    *ret_bytes = bytes;
    return 0;
}

/* Errors: -EINVAL. */
static int use(struct worker_adapter *adapter, uint32_t layer, const struct job_weights *bytes,
               uint64_t length)
{
    if (bytes == NULL) {
        return network_plan_use(adapter->plan, layer, NULL);
    }
    size_t size = network_plan_group_bytes(adapter->plan, layer);
    if (size == 0 || bytes->group % 64 != 0 || bytes->group > length ||
        size > length - bytes->group) {
        return -EINVAL;
    }
    return network_plan_use(adapter->plan, layer, (const uint8_t *)bytes + bytes->group);
}

int adapter_take(struct worker_adapter *adapter, const struct network_model *model,
                 const struct kernel_table *kernels, const struct job_message *message, int fd)
{
    const struct network_description *about = network_model_describe(model);
    const struct job_weights *bytes = NULL;
    if (message->point >= about->point_count ||
        message->layer >= about->points[message->point].layer_count ||
        (adapter->plan != NULL &&
         (adapter->model != message->model || adapter->point != message->point))) {
        return -EINVAL;
    }
    int err = fd >= 0 ? map_weights(message, fd, &bytes) : 0;
    if (err == 0 && adapter->plan == NULL) {
        err = network_plan_create(model, message->point, 1, kernels, &adapter->plan);
        adapter->base = model;
        adapter->model = message->model;
        adapter->point = message->point;
    }
    if (err == 0) {
        err = use(adapter, message->layer, bytes, message->length);
    }
    if (err < 0) {
        if (bytes != NULL) {
            munmap((void *)bytes, message->length);
        }
        return err;
    }
    drop_map(adapter, message->layer);
    adapter->maps[message->layer].bytes = bytes;
    adapter->maps[message->layer].size = message->length;
    adapter->generation = message->generation;
    return 0;
}

/* An array of the weights, or what the model has. */
static const void *array(const struct job_weights *bytes, uint64_t at, const void *own)
{
    return at != 0 ? (const uint8_t *)bytes + at : own;
}

bool adapter_layer(const struct worker_adapter *adapter, uint32_t layer,
                   struct network_layer *ret_values)
{
    const struct job_weights *bytes = adapter->maps[layer].bytes;
    if (bytes == NULL) {
        return false;
    }
    struct network_layer values =
        network_model_describe(adapter->base)->points[adapter->point].layers[layer];
    values.weight_s8 = array(bytes, bytes->weight_s8, values.weight_s8);
    values.bias_s32 = array(bytes, bytes->bias_s32, values.bias_s32);
    values.mult = array(bytes, bytes->mult, values.mult);
    values.preshift = (uint8_t)bytes->preshift;
    values.shift = (uint8_t)bytes->shift;
    values.narrow = (uint8_t)bytes->narrow;
    *ret_values = values;
    return true;
}
