/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * A model file opened for use by one thread: loaded, planned, with the buffers of one run.
 */
#ifndef OCELLUS_ENGINE_LAB_MODEL_H
#define OCELLUS_ENGINE_LAB_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/network/network.h"

struct kernel_table;

struct lab_model {
    struct network_model *model;
    struct network_plan *plan;
    const struct network_input *input; /* the model's own */
    void *arena, *codes;
    int32_t *scores; /* of the last run */
    uint32_t labels, lanes;
    size_t code_bytes, file_bytes; /* code_bytes: of one image */
};

/* Opens a float or a packed model; `kernels` must outlive it. Errors are told on standard error. */
int lab_model_open(struct lab_model *model, const char *path, const struct kernel_table *kernels);
/* The same from memory; `name` is for the errors. */
int lab_model_open_bytes(struct lab_model *model, const char *name, const uint8_t *bytes,
                         size_t size, const struct kernel_table *kernels);
/* The same for an operating point, with room for `lanes` images in codes, scores and arena. */
int lab_model_open_lanes(struct lab_model *model, const char *name, const uint8_t *bytes,
                         size_t size, const struct kernel_table *kernels, uint32_t point,
                         uint32_t lanes);
/* Accepts a zeroed one. */
void lab_model_close(struct lab_model *model);

/* Index of the winning label for planes of the size and channels that the input asks for. */
uint32_t lab_model_classify(struct lab_model *model, const uint16_t *planes,
                            uint16_t nominal_white);

/* The label of that name. Errors: -ENOENT. */
int lab_model_find_label(const struct lab_model *model, const char *name, uint32_t *ret_label);

/* Of two labels the one that is looked for: `name`, or for NULL the second. Errors, told on
 * standard error: -ENOENT, also for a name where there are not two labels. */
int lab_model_positive(const struct lab_model *model, const char *name, uint32_t *ret_label);

/* Values in the planes that the model asks for. */
size_t lab_model_plane_values(const struct lab_model *model);

#endif
