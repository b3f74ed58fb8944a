/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Whole-file reading and replacing. Knows no format. */
#include "engine/lab/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FIRST_BYTES 65536u

/* Fills and grows a buffer until the end of the file; pipes have no size to ask for. */
static int read_all(FILE *file, size_t max, uint8_t **bytes, size_t *size)
{
    size_t room = 0;
    for (;;) {
        if (*size == room) {
            room = room == 0 ? FIRST_BYTES : room * 2;
            uint8_t *moved = realloc(*bytes, room);
            if (!moved) {
                return -ENOMEM;
            }
            *bytes = moved;
        }
        size_t got = fread(*bytes + *size, 1, room - *size, file);
        *size += got;
        if (*size > max) {
            return -EFBIG;
        }
        if (got == 0) {
            return ferror(file) ? (errno ? -errno : -EIO) : 0;
        }
    }
}

int lab_file_read(const char *path, size_t max, uint8_t **ret_bytes, size_t *ret_size)
{
    FILE *file = fopen(path, "rbe");
    if (!file) {
        return -errno;
    }
    uint8_t *bytes = NULL;
    size_t size = 0;
    int r = read_all(file, max, &bytes, &size);
    fclose(file);
    if (r < 0) {
        free(bytes);
        return r;
    }
    *ret_bytes = bytes;
    *ret_size = size;
    return 0;
}

int lab_file_write(const char *path, const void *bytes, size_t size)
{
    char *part;
    if (asprintf(&part, "%s.part", path) < 0) {
        return -ENOMEM;
    }
    FILE *file = fopen(part, "wbe");
    int r = file ? 0 : -errno;
    if (file) {
        if (fwrite(bytes, 1, size, file) != size) {
            r = errno ? -errno : -EIO;
        }
        if (fclose(file) != 0 && r == 0) {
            r = -errno;
        }
        if (r == 0 && rename(part, path) != 0) {
            r = -errno;
        }
        if (r < 0) {
            unlink(part);
        }
    }
    free(part);
    return r;
}
