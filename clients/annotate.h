/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Boxes drawn on the picture they were found in. Of the command, not of the library. */
#ifndef OCELLUS_CLIENTS_ANNOTATE_H
#define OCELLUS_CLIENTS_ANNOTATE_H

#include "clients/ocellus_client.h"

/*
 * Write a JPEG to `path`: the upright picture that fd holds, a JPEG or PNM, with the result's
 * boxes, labels and confidences. Camera RAW is not developed here: its boxes are drawn on a grey
 * canvas of the picture's size. Errors: -EBADMSG  the file is not the picture that the result
 * describes; -ENOMEM, and errno of reading and writing.
 */
int annotate(int fd, const struct ocellus_result *result, const char *path);

#endif
