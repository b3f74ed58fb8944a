/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Whole files in and out of memory, bounded. */
#ifndef OCELLUS_ENGINE_LAB_FILE_H
#define OCELLUS_ENGINE_LAB_FILE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Reads a file of at most `max` bytes. The caller frees *ret_bytes (never NULL, also for an empty
 * file). Errors: -EFBIG, -ENOMEM, or the system's.
 */
int lab_file_read(const char *path, size_t max, uint8_t **ret_bytes, size_t *ret_size);

/* Writes a file as a whole: readers see the old content or the new, never a part. */
int lab_file_write(const char *path, const void *bytes, size_t size);

#endif
