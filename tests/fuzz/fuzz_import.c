/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * lab_import on any description beside tensors that fit a small network: an error has a reason, and
 * what is imported is a model that loads.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lab/import.h"
#include "engine/network/network.h"
#include "engine/network/safetensors.h"

#define DESCRIPTION_MAX 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const float values[4 * 6 * 3 * 3] = {1.0f, -0.5f, 0.25f};

static const struct network_tensor tensors[] = {
    {.name = "conv1.weight", .rank = 4, .shape = {4, 6, 3, 3}, .data = values},
    {.name = "bn1.weight", .rank = 1, .shape = {4}, .data = values},
    {.name = "bn1.bias", .rank = 1, .shape = {4}, .data = values},
    {.name = "bn1.running_mean", .rank = 1, .shape = {4}, .data = values},
    {.name = "bn1.running_var", .rank = 1, .shape = {4}, .data = values},
    {.name = "fc.weight", .rank = 2, .shape = {2, 16}, .data = values},
    {.name = "fc.bias", .rank = 1, .shape = {2}, .data = values},
};

static void check(int condition)
{
    if (!condition) {
        abort();
    }
}

static void import(const void *file, size_t size)
{
    const char *reason = NULL;
    struct network_model *model;
    uint8_t *made;
    size_t made_size;
    int r = lab_import(file, size, &made, &made_size, &reason);
    if (r < 0) {
        check(reason != NULL || r == -ENOMEM);
        return;
    }
    check(network_model_load(made, made_size, &model, NULL) == 0);
    network_model_destroy(model);
    free(made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char description[DESCRIPTION_MAX + 1];
    const struct network_metadata metadata = {"ocellus", description};
    void *file;
    size_t file_size;
    if (size > DESCRIPTION_MAX || memchr(data, 0, size)) {
        return 0;
    }
    memcpy(description, data, size);
    description[size] = '\0';
    if (network_safetensors_write(tensors, sizeof(tensors) / sizeof(tensors[0]), &metadata, 1,
                                  &file, &file_size) == 0) {
        if (lab_import_recognise(file, file_size)) {
            import(file, file_size);
        }
        free(file);
    }
    return 0;
}
