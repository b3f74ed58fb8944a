/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Packed models made in memory for timing: fixed topologies with random weights. What they answer
 * means nothing. tests/bench/peers builds the same topologies, by the same names, in other engines.
 */
#ifndef OCELLUS_ENGINE_LAB_TOPOLOGY_H
#define OCELLUS_ENGINE_LAB_TOPOLOGY_H

#include <stddef.h>
#include <stdint.h>

/* Name of the topology at `index`, NULL behind the last. */
const char *lab_topology_name(size_t index);

/* Writes the model file of a topology; the same bytes for the same name. The caller frees
 * *ret_bytes. Errors: -ENOENT (no such name), -ENOMEM. */
int lab_topology_write(const char *name, uint8_t **ret_bytes, size_t *ret_size);

#endif
