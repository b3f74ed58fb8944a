/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* A cache of four mappings. Opens nothing. */
#include "daemon/worker/frame_map.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int frame_map_stat(int fd, struct stat *ret_stat)
{
    return syscall(SYS_fstat, fd, ret_stat) < 0 ? -errno : 0;
}

static void unmap(struct frame_map *map)
{
    if (map->bytes != NULL) {
        munmap((void *)map->bytes, map->size);
        map->bytes = NULL;
    }
}

static struct frame_map *find(struct frame_maps *maps, const struct stat *stat)
{
    struct frame_map *oldest = &maps->entries[0];
    for (size_t i = 0; i < FRAME_MAP_COUNT; i++) {
        struct frame_map *map = &maps->entries[i];
        if (map->bytes != NULL && map->device == stat->st_dev && map->inode == stat->st_ino) {
            return map;
        }
        if (oldest->bytes != NULL && (map->bytes == NULL || map->used_ns < oldest->used_ns)) {
            oldest = map;
        }
    }
    unmap(oldest);
    return oldest;
}

int frame_maps_get(struct frame_maps *maps, int fd, size_t length, size_t size_max, uint64_t now_ns,
                   const uint8_t **ret_bytes)
{
    struct stat stat;
    int err = frame_map_stat(fd, &stat);
    if (err < 0 || stat.st_size < 0 || (uint64_t)stat.st_size < length || length > size_max) {
        return -EINVAL;
    }
    struct frame_map *map = find(maps, &stat);
    if (map->bytes != NULL && map->size < length) {
        unmap(map); /* the file has grown */
    }
    if (map->bytes == NULL) {
        size_t size = (uint64_t)stat.st_size < size_max ? (size_t)stat.st_size : size_max;
        void *bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
        if (bytes == MAP_FAILED) {
            return errno == ENOMEM ? -ENOMEM : -EINVAL;
        }
        map->bytes = bytes;
        map->size = size;
        map->device = stat.st_dev;
        map->inode = stat.st_ino;
    }
    map->used_ns = now_ns;
    *ret_bytes = map->bytes;
    return 0;
}

bool frame_maps_drop(struct frame_maps *maps, uint64_t before_ns)
{
    bool left = false;
    for (size_t i = 0; i < FRAME_MAP_COUNT; i++) {
        struct frame_map *map = &maps->entries[i];
        if (map->used_ns < before_ns) {
            unmap(map);
        }
        left = left || map->bytes != NULL;
    }
    return left;
}
