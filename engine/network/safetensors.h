/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Strict reader and writer of the safetensors format: 8 bytes little-endian header length, a JSON
 * header, then the tensors' bytes. It knows tensors and string metadata, not what they mean.
 *
 * Refused beyond what the format's description refuses: headers over NETWORK_HEADER_MAX, keys that
 * occur twice at any level, NUL characters, anything but spaces after the JSON, unknown keys or
 * data types, and tensors that do not cover the rest of the file exactly, without gap or overlap.
 */
#ifndef OCELLUS_ENGINE_NETWORK_SAFETENSORS_H
#define OCELLUS_ENGINE_NETWORK_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#define NETWORK_HEADER_MAX  (1u << 20)
#define NETWORK_RANK_MAX    8u
#define NETWORK_TENSORS_MAX 2048u /* four for each of 64 layers of 8 points */

enum network_dtype {
    NETWORK_DTYPE_F32 = 0,
    NETWORK_DTYPE_I8,
    NETWORK_DTYPE_U8,
    NETWORK_DTYPE_I16,
    NETWORK_DTYPE_I32,
    NETWORK_DTYPE_U32,
    NETWORK_DTYPE_I64,
};

/* Elements are little-endian in C order. bytes == dtype size * product of shape[0 .. rank - 1]. */
struct network_tensor {
    const char *name; /* 1..255 bytes of UTF-8 */
    uint8_t dtype;    /* enum network_dtype */
    uint8_t rank;     /* 0 is a single element */
    uint64_t shape[NETWORK_RANK_MAX];
    size_t bytes;
    const void *data; /* 64-byte aligned when it comes from the reader */
};

struct network_metadata {
    const char *key, *value;
};

struct network_safetensors;

/*
 * Parse `bytes`, which may go away afterwards. ret_reason (may be NULL) gets a static sentence for
 * people on -EBADMSG and -EFBIG. Errors: -EBADMSG (breaks a rule), -EFBIG (over a limit above),
 * -ENOMEM.
 */
int network_safetensors_read(const void *bytes, size_t size, struct network_safetensors **ret_file,
                             const char **ret_reason);
void network_safetensors_destroy(struct network_safetensors *file);

/* Tensors in the order of their data. They live as long as the file. */
uint32_t network_safetensors_count(const struct network_safetensors *file);
const struct network_tensor *network_safetensors_at(const struct network_safetensors *file,
                                                    uint32_t index);

/* NULL when there is none of that name or key. */
const struct network_tensor *network_safetensors_find(const struct network_safetensors *file,
                                                      const char *name);
const char *network_safetensors_metadata(const struct network_safetensors *file, const char *key);

/*
 * Write a file that the reader accepts, tensors in the given order, `bytes` fields ignored. The
 * caller frees *ret_bytes. Errors: -EINVAL (a name, shape or type that the reader would refuse, or
 * a name twice), -EFBIG, -ENOMEM.
 */
int network_safetensors_write(const struct network_tensor *tensors, uint32_t count,
                              const struct network_metadata *metadata, uint32_t metadata_count,
                              void **ret_bytes, size_t *ret_size);

#endif
