/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Mappings of memfds that clients passed with their frames. A client that passes the same memfd
 * again and again is mapped once. Decodes nothing and does not trust a size that it did not ask the
 * kernel for.
 */
#ifndef OCELLUS_DAEMON_WORKER_FRAME_MAP_H
#define OCELLUS_DAEMON_WORKER_FRAME_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FRAME_MAP_COUNT 4

struct frame_map {
    const uint8_t *bytes; /* NULL: free */
    size_t size;
    dev_t device;
    ino_t inode;
    uint64_t used_ns;
};

struct frame_maps {
    struct frame_map entries[FRAME_MAP_COUNT];
};

/*
 * The first `length` bytes behind fd, mapped read-only, of at most `size_max` that
 * are mapped. The least recently used mapping makes room. The fd stays the caller's; the bytes stay
 * mapped until dropped, and may change at any time. Errors: -EINVAL (the file is shorter), -ENOMEM.
 */
int frame_maps_get(struct frame_maps *maps, int fd, size_t length, size_t size_max, uint64_t now_ns,
                   const uint8_t **ret_bytes);

/* Unmap what was last used before `before_ns`; UINT64_MAX: everything. True when some mapping is
 * left. */
bool frame_maps_drop(struct frame_maps *maps, uint64_t before_ns);

/* fstat by the system call of that name, which the sandbox allows: the C library may choose one
 * that takes a path. */
struct stat;
int frame_map_stat(int fd, struct stat *ret_stat);

#endif
