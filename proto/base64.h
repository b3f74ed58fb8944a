/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Strict base64 (RFC 4648 section 4): padded, no white space, no stray bits. */
#ifndef OCELLUS_PROTO_BASE64_H
#define OCELLUS_PROTO_BASE64_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that `length` characters decode to at most. */
#define PROTO_BASE64_BYTES(length) ((length) / 4u * 3u)

/* Decode text[0..length) into out, which has room for PROTO_BASE64_BYTES(length). Errors: -EBADMSG.
 */
int proto_base64_decode(const char *text, size_t length, uint8_t *out, size_t *ret_size);

/* Characters of `size` bytes, without the NUL. */
#define PROTO_BASE64_LENGTH(size) (((size) + 2u) / 3u * 4u)

/* Encode into out, which has room for PROTO_BASE64_LENGTH(size) + 1, with a NUL. */
void proto_base64_encode(const void *bytes, size_t size, char *out);

#endif
