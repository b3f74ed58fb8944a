/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* What the two ways of ocellus-lab export share: of a float model, and of a run directory. */
#ifndef OCELLUS_ENGINE_LAB_EXPORT_H
#define OCELLUS_ENGINE_LAB_EXPORT_H

#include <stdint.h>

struct kernel_table;

struct lab_export_request {
    const char *model;    /* a float model's file, or a run directory */
    const char *pictures; /* folder-per-class tree */
    const char *output;
    uint32_t images; /* of the pictures, at most */
    uint32_t cpu;    /* instruction sets of `kernels` */
    const struct kernel_table *kernels;
};

/* Packs a run directory. Errors are told on standard error; nothing is written then. */
int lab_export_trained(const struct lab_export_request *request);

#endif
