/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Opens model files for the commands of the lab. Computes nothing itself. */
#include "engine/lab/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lab/file.h"
#include "engine/lab/import.h"
#include "engine/lab/lab.h"
#include "engine/network/model.h"

#define ARENA_ALIGNMENT 64u

/* An informal file is replaced by its description in the network's schema. */
static int load(struct lab_model *model, const uint8_t *bytes, size_t size, const char **ret_reason)
{
    uint8_t *converted = NULL;
    int r = 0;
    model->file_bytes = size;
    if (lab_import_recognise(bytes, size)) {
        r = lab_import(bytes, size, &converted, &size, ret_reason);
        bytes = converted;
    }
    if (r == 0) {
        r = network_model_load(bytes, size, &model->model, ret_reason);
    }
    if (r == 0) {
        network_model_identify(model->model, bytes, size);
    }
    free(converted);
    return r;
}

static void *aligned(size_t size)
{
    size_t rounded = (size + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    return aligned_alloc(ARENA_ALIGNMENT, rounded == 0 ? ARENA_ALIGNMENT : rounded);
}

size_t lab_model_plane_values(const struct lab_model *model)
{
    /* The network's limits keep this far below overflow. */
    return (size_t)model->input->target.width * model->input->target.height *
           model->input->front.planes;
}

static int make_buffers(struct lab_model *model)
{
    const struct gradient_spec *front = &model->input->front;
    size_t pixels = (size_t)model->input->target.width * model->input->target.height;
    model->arena = aligned(network_plan_arena_bytes(model->plan));
    model->code_bytes = pixels * gradient_channels(front) * gradient_code_size(front);
    model->codes = aligned(model->lanes * model->code_bytes);
    model->scores = calloc(model->lanes * model->labels, sizeof(*model->scores));
    return model->arena && model->codes && model->scores ? 0 : -ENOMEM;
}

int lab_model_open_lanes(struct lab_model *model, const char *name, const uint8_t *bytes,
                         size_t size, const struct kernel_table *kernels, uint32_t point,
                         uint32_t lanes)
{
    const char *reason = NULL;
    memset(model, 0, sizeof(*model));
    int r = load(model, bytes, size, &reason);
    if (r == 0 && point >= network_model_points(model->model)) {
        reason = "the model has no such operating point";
        r = -ENOENT;
    }
    if (r == 0) {
        model->lanes = lanes;
        model->input = network_model_input(model->model, point);
        model->labels = network_model_labels(model->model);
        r = network_plan_create(model->model, point, lanes, kernels, &model->plan);
    }
    if (r == 0) {
        r = make_buffers(model);
    }
    if (r < 0) {
        lab_error("%s: %s", name, reason ? reason : strerror(-r));
        lab_model_close(model);
    }
    return r;
}

int lab_model_open_bytes(struct lab_model *model, const char *name, const uint8_t *bytes,
                         size_t size, const struct kernel_table *kernels)
{
    return lab_model_open_lanes(model, name, bytes, size, kernels, 0, 1);
}

int lab_model_open(struct lab_model *model, const char *path, const struct kernel_table *kernels)
{
    uint8_t *bytes;
    size_t size;
    int r = lab_file_read(path, NETWORK_FILE_MAX, &bytes, &size);
    if (r < 0) {
        memset(model, 0, sizeof(*model));
        lab_error("%s: %s", path, strerror(-r));
        return r;
    }
    r = lab_model_open_bytes(model, path, bytes, size, kernels);
    free(bytes);
    return r;
}

void lab_model_close(struct lab_model *model)
{
    network_plan_destroy(model->plan);
    network_model_destroy(model->model);
    free(model->arena);
    free(model->codes);
    free(model->scores);
    memset(model, 0, sizeof(*model));
}

uint32_t lab_model_classify(struct lab_model *model, const uint16_t *planes, uint16_t nominal_white)
{
    const struct image_target *target = &model->input->target;
    gradient_encode(&model->input->front, planes, target->width, target->height, nominal_white,
                    model->codes);
    network_run(model->plan, model->arena, model->codes, model->scores);
    return network_argmax(model->scores, model->labels);
}

int lab_model_find_label(const struct lab_model *model, const char *name, uint32_t *ret_label)
{
    for (uint32_t i = 0; i < model->labels; i++) {
        if (strcmp(network_model_label(model->model, i), name) == 0) {
            *ret_label = i;
            return 0;
        }
    }
    return -ENOENT;
}

int lab_model_positive(const struct lab_model *model, const char *name, uint32_t *ret_label)
{
    if (!name) {
        *ret_label = 1;
        return 0;
    }
    if (model->labels != 2 || lab_model_find_label(model, name, ret_label) < 0) {
        lab_error("--positive: '%s' is none of two labels of the model", name);
        return -ENOENT;
    }
    return 0;
}
