/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Reads float models as training scripts leave them, an informal list of layers beside tensors in
 * PyTorch's layouts, and writes them in the network's own schema: batch normalisation folded into
 * weights, [out][kernel_h][kernel_w][in] order, features flattened as rows, columns, channels.
 * Bytes in, bytes out.
 */
#ifndef OCELLUS_ENGINE_LAB_IMPORT_H
#define OCELLUS_ENGINE_LAB_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether the bytes look like such a file rather than one in the network's schema. */
bool lab_import_recognise(const void *bytes, size_t size);

/* The caller frees *ret_bytes. Errors: -EBADMSG, *ret_reason then is a static sentence; -ENOMEM. */
int lab_import(const void *bytes, size_t size, uint8_t **ret_bytes, size_t *ret_size,
               const char **ret_reason);

#endif
