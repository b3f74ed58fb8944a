/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Lays the packed group and the arrays out one behind the other, then seals them. */
#include "daemon/weights.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/worker/job.h"

#define ALIGN 64u

/* Weights of one output of the layer. A loaded model's layers fit their shapes. */
static uint64_t inputs_of(const struct network_point *point, uint32_t layer)
{
    struct network_shape shapes[NETWORK_LAYERS_MAX + 1];
    shapes[0] = network_input_shape(&point->input);
    for (uint32_t i = 0; i < layer; i++) {
        if (network_layer_shape(&point->layers[i], shapes[point->layers[i].input], &shapes[i + 1],
                                NULL) < 0) {
            return 0;
        }
    }
    const struct network_layer *what = &point->layers[layer];
    const struct network_shape in = shapes[what->input];
    return what->op == NETWORK_OP_CONV ? (uint64_t)what->kernel[0] * what->kernel[1] * in.channels
                                       : (uint64_t)in.height * in.width * in.channels;
}

/* A place for `bytes` behind what there is. */
static uint64_t place(uint64_t *total, uint64_t bytes)
{
    uint64_t at = *total;
    *total += (bytes + ALIGN - 1) / ALIGN * ALIGN;
    return at;
}

static int make_memfd(uint64_t bytes, void **ret_map)
{
    int fd = memfd_create("ocellus-weights", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return -errno;
    }
    /* Allocated now: a store to a page that cannot be had would be a signal. */
    int err = posix_fallocate(fd, 0, (off_t)bytes);
    void *map =
        err == 0 ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (map == MAP_FAILED) {
        err = err != 0 ? -err : -errno;
        close(fd);
        return err;
    }
    *ret_map = map;
    return fd;
}

int weights_seal(const struct network_model *model, uint32_t point, const struct network_plan *plan,
                 uint32_t layer, const struct network_layer *values, int *ret_memfd,
                 uint64_t *ret_bytes)
{
    const struct network_point *about = &network_model_describe(model)->points[point];
    const struct network_layer *what = &about->layers[layer];
    const uint64_t group = network_plan_group_bytes(plan, layer);
    if ((what->op != NETWORK_OP_CONV && what->op != NETWORK_OP_DENSE) ||
        what->weights != NETWORK_WEIGHTS_S8 || what->bias_s32 == NULL || what->mult == NULL ||
        group == 0) {
        return -ENOTSUP;
    }
    /* The model's file has as many bytes: nothing overflows. */
    const uint64_t weights = what->out * inputs_of(about, layer);
    const uint64_t array = what->out * sizeof(int32_t);
    uint64_t total = 0;
    place(&total, sizeof(struct job_weights));
    struct job_weights head = {
        .preshift = values->preshift, .shift = values->shift, .narrow = values->narrow};
    head.group = place(&total, group);
    head.weight_s8 = place(&total, weights);
    head.bias_s32 = place(&total, array);
    head.mult = place(&total, array);

    void *map;
    int fd = make_memfd(total, &map);
    if (fd < 0) {
        return fd;
    }
    uint8_t *bytes = map;
    memcpy(bytes, &head, sizeof(head));
    memcpy(bytes + head.weight_s8, values->weight_s8, weights);
    memcpy(bytes + head.bias_s32, values->bias_s32, array);
    memcpy(bytes + head.mult, values->mult, array);
    int err = network_plan_pack(plan, layer, values, bytes + head.group);
    munmap(map, total);
    if (err == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        err = -errno;
    }
    if (err < 0) {
        close(fd);
        return err;
    }
    *ret_memfd = fd;
    *ret_bytes = total;
    return 0;
}
