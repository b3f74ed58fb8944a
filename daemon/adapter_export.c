/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* What was learned as one piece of bytes, to be taken elsewhere, and its reading. Bytes of
 * strangers: nothing is believed but what was checked. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/adapter_internal.h"

#define HEAD_BYTES 24u
#define DELTAS_MAX 4096u

static void put(uint8_t *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        to[i] = (uint8_t)(value >> 8 * i);
    }
}

static uint64_t get(const uint8_t *from, unsigned bytes)
{
    uint64_t value = 0;
    while (bytes-- > 0) {
        value = value << 8 | from[bytes];
    }
    return value;
}

struct writer {
    uint8_t *bytes; /* NULL: only measured */
    size_t size;
    uint32_t count;
};

static int write_delta(void *user, const void *delta, size_t size)
{
    struct writer *writer = user;
    if (writer->bytes != NULL) {
        put(writer->bytes + writer->size, size, 4);
        memcpy(writer->bytes + writer->size + 4, delta, size);
    }
    writer->size += 4 + size;
    writer->count++;
    return 0;
}

int adapter_export_make(const struct history *history, uint64_t base, void **ret_bytes,
                        size_t *ret_size)
{
    struct writer writer = {.size = HEAD_BYTES};
    const void *snapshot;
    size_t snapshot_bytes;
    int r = history_walk(history, write_delta, &writer, &snapshot, &snapshot_bytes);
    if (r == 0 && (snapshot != NULL || writer.count == 0 || writer.count > DELTAS_MAX)) {
        r = -ENOENT;
    }
    if (r < 0) {
        return r;
    }
    uint8_t *bytes = malloc(writer.size);
    if (bytes == NULL) {
        return -ENOMEM;
    }
    memcpy(bytes, "OCELLUSX", 8);
    put(bytes + 8, 1, 4);
    put(bytes + 12, writer.count, 4);
    put(bytes + 16, base, 8);
    writer = (struct writer){.bytes = bytes, .size = HEAD_BYTES};
    r = history_walk(history, write_delta, &writer, &snapshot, &snapshot_bytes);
    if (r < 0) {
        free(bytes);
        return r;
    }
    *ret_bytes = bytes;
    *ret_size = writer.size;
    return 0;
}

int adapter_export_walk(const void *bytes, size_t size,
                        int (*each)(void *user, const void *delta, size_t size), void *user)
{
    const uint8_t *at = bytes;
    if (size < HEAD_BYTES || memcmp(at, "OCELLUSX", 8) != 0 || get(at + 8, 4) != 1) {
        return -EBADMSG;
    }
    const uint64_t count = get(at + 12, 4);
    if (count == 0 || count > DELTAS_MAX) {
        return -EBADMSG;
    }
    at += HEAD_BYTES;
    size -= HEAD_BYTES;
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t length = size >= 4 ? get(at, 4) : UINT64_MAX;
        if (length > size - 4 || size < 4) {
            return -EBADMSG;
        }
        int r = each != NULL ? each(user, at + 4, length) : 0;
        if (r < 0) {
            return r;
        }
        at += 4 + length;
        size -= 4 + length;
    }
    return size == 0 ? 0 : -EBADMSG;
}

int adapter_export_check(const void *bytes, size_t size, uint64_t base)
{
    int r = adapter_export_walk(bytes, size, NULL, NULL);
    return r == 0 && get((const uint8_t *)bytes + 16, 8) != base ? -EBADMSG : r;
}
