/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Bytes of a Varlink connection that came and are not used yet. Reads from nothing. */
#ifndef OCELLUS_DAEMON_VARLINK_INPUT_H
#define OCELLUS_DAEMON_VARLINK_INPUT_H

#include <stddef.h>
#include <stdint.h>

struct admission;

struct varlink_input {
    char *bytes;
    size_t size, start, end; /* start..end is not consumed yet */
    uint64_t consumed;       /* stream position of bytes[start] */
};

/* Each connection has a few bytes of its own; more is of admission's common budget. Errors:
 * -ENOMEM. */
int varlink_input_init(struct varlink_input *input);
void varlink_input_finish(struct varlink_input *input);

/* Make room behind `end`. Errors: -EFBIG  a message is too large; -ENOBUFS  all requests together
 * hold too much; -ENOMEM. */
int varlink_input_grow(struct varlink_input *input, struct admission *admission);

/* Give room back: where nothing is left, the room of a large message. */
void varlink_input_shrink(struct varlink_input *input, struct admission *admission);
/* What is of the budget; the bytes stay until varlink_input_finish. */
void varlink_input_release(struct varlink_input *input, struct admission *admission);

#endif
