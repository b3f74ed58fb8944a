/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab join: packed models of one task become the operating points of one file. No weight is
 * changed.
 */
#include "engine/lab/lab.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernel/kernel.h"
#include "engine/lab/file.h"
#include "engine/lab/model.h"
#include "engine/lab/options.h"
#include "engine/network/model.h"

#define NAME_BYTES (NETWORK_LAYER_NAME_MAX + 1u)

/* A model on its way to become a point; its layers' arrays stay the model's. */
struct part {
    struct lab_model model;
    char name[NAME_BYTES];
    struct network_layer layers[NETWORK_LAYERS_MAX];
    char names[NETWORK_LAYERS_MAX][NAME_BYTES];
};

struct join {
    uint32_t count;
    struct part *parts;
    struct network_point points[NETWORK_POINTS_MAX];
};

static int refuse(const char *file, const char *what)
{
    lab_error("%s: %s", file, what);
    return -EINVAL;
}

static bool same_labels(const struct network_description *a, const struct network_description *b)
{
    bool same = a->label_count == b->label_count;
    for (uint32_t i = 0; same && i < a->label_count; i++) {
        same = strcmp(a->labels[i], b->labels[i]) == 0;
    }
    return same;
}

/* Layers are called after their point, so that tensors have names of their own. */
static int rename_layers(struct part *part, const struct network_point *point, const char *file)
{
    for (uint32_t i = 0; i < point->layer_count; i++) {
        part->layers[i] = point->layers[i];
        if (point->layers[i].name != NULL) {
            int length =
                snprintf(part->names[i], NAME_BYTES, "%s_%s", part->name, point->layers[i].name);
            if (length >= (int)NAME_BYTES) {
                return refuse(file, "a layer's name gets too long with the point's before it");
            }
            part->layers[i].name = part->names[i];
        }
    }
    return 0;
}

static bool is_name_taken(const struct join *join, const char *name)
{
    bool taken = false;
    for (uint32_t i = 0; i < join->count; i++) {
        taken = taken || strcmp(join->parts[i].name, name) == 0;
    }
    return taken;
}

/* operand: NAME=FILE */
static int add(struct join *join, const char *operand, const struct kernel_table *kernels)
{
    struct part *part = &join->parts[join->count];
    const char *file = strchr(operand, '=');
    size_t length = strspn(operand, "abcdefghijklmnopqrstuvwxyz0123456789_");
    if (!file || file != operand + length || length == 0 || length >= NAME_BYTES) {
        return refuse(operand, "expected NAME=FILE, the name of 1 to 32 of a-z, 0-9 and _");
    }
    memcpy(part->name, operand, length);
    if (is_name_taken(join, part->name)) {
        return refuse(operand, "another operating point has that name");
    }
    int r = lab_model_open(&part->model, ++file, kernels);
    if (r < 0) {
        return r;
    }
    const struct network_description *description = network_model_describe(part->model.model);
    if (description->point_count != 1) {
        return refuse(file, "has several operating points already");
    }
    if (!same_labels(description, network_model_describe(join->parts[0].model.model))) {
        return refuse(file, "its labels are not those of the first model");
    }
    join->points[join->count] =
        (struct network_point){.name = part->name,
                               .input = description->points[0].input,
                               .layer_count = description->points[0].layer_count,
                               .layers = part->layers};
    return rename_layers(part, &description->points[0], file);
}

static int write_joined(const struct join *join, const char *output)
{
    struct network_description description = *network_model_describe(join->parts[0].model.model);
    const char *reason = NULL;
    void *bytes;
    size_t size;
    description.points = join->points;
    description.point_count = join->count;
    int r = network_model_write(&description, &bytes, &size, &reason);
    if (r == 0) {
        r = lab_file_write(output, bytes, size);
        free(bytes);
    }
    if (r < 0) {
        lab_error("%s: %s", output, reason ? reason : strerror(-r));
        return r;
    }
    printf("%s: %u operating points, %zu bytes\n", output, join->count, size);
    return 0;
}

int lab_join(const struct lab_args *args)
{
    struct kernel_table kernels;
    struct join join = {.parts = calloc(NETWORK_POINTS_MAX, sizeof(*join.parts))};
    int r = 0;
    kernel_table_init(&kernels, 0);
    if (!join.parts) {
        lab_error("out of memory");
        return LAB_EXIT_FAILED;
    }
    for (int i = 0; r == 0 && i < LAB_OPERANDS_MAX && args->operands[i]; i++, join.count++) {
        r = i < (int)NETWORK_POINTS_MAX
                ? add(&join, args->operands[i], &kernels)
                : refuse(args->operands[i], "a model has at most 8 operating points");
    }
    if (r == 0) {
        r = write_joined(&join, args->values[LAB_OPTION_OUTPUT]);
    }
    for (uint32_t i = 0; i < NETWORK_POINTS_MAX; i++) {
        lab_model_close(&join.parts[i].model);
    }
    free(join.parts);
    return r < 0 ? LAB_EXIT_FAILED : LAB_EXIT_OK;
}
