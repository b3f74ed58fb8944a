/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The files of a configuration: bytes and names. Internal to config/; it reads no line. */
#ifndef OCELLUS_CONFIG_FILE_H
#define OCELLUS_CONFIG_FILE_H

#include <stddef.h>

#include "config/config.h"

/* The bytes of a regular file; the caller frees them. Errors: negative errno, -EBADMSG for what is
 * no such file or too large; *ret_error says why. */
int config_file_read(const char *path, char **ret_text, size_t *ret_size,
                     struct config_error *ret_error);

/* The paths of the drop-ins of `path`, in order. The caller frees each and the list, on failure as
 * well. Errors: as above. */
int config_file_list_drop_ins(const char *path, char ***ret_paths, int *ret_count,
                              struct config_error *ret_error);

#endif
