/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Runs a fuzz target on kept inputs: every file named, and every file in every directory named. It
 * makes up no inputs, and it fails when there is nothing to run or when a file cannot be read
 * whole.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int complain(const char *path, int error)
{
    fprintf(stderr, "%s: %s\n", path, strerror(error));
    return -error;
}

/* Reads to the end of the file whatever size it claims; the buffer grows and may be larger than
 * *ret_size. */
static int read_whole(int fd, uint8_t **ret_data, size_t *ret_size)
{
    size_t size = 0, room = 4096;
    uint8_t *data = malloc(room);

    while (data != NULL) {
        ssize_t n = read(fd, data + size, room - size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            int error = errno;
            free(data);
            return -error;
        }
        if (n == 0) {
            *ret_data = data;
            *ret_size = size;
            return 0;
        }
        size += (size_t)n;
        if (size == room) {
            uint8_t *grown = room <= SIZE_MAX / 2 ? realloc(data, room * 2) : NULL;
            if (grown == NULL) {
                break;
            }
            data = grown;
            room *= 2;
        }
    }
    free(data);
    return -ENOMEM;
}

static int run_file(const char *path, unsigned *count)
{
    uint8_t *data = NULL, *exact;
    size_t size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return complain(path, errno);
    }
    int r = read_whole(fd, &data, &size);
    close(fd);
    if (r < 0) {
        return complain(path, -r);
    }
    /* A copy of exactly this size lets a sanitizer see the first byte read past the end. */
    exact = malloc(size);
    if (exact == NULL && size > 0) {
        free(data);
        return complain(path, ENOMEM);
    }
    if (size > 0) {
        memcpy(exact, data, size);
    }
    free(data);
    fprintf(stderr, "%s: %zu bytes\n", path, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    (*count)++;
    return 0;
}

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int run_directory(const char *path, unsigned *count)
{
    struct dirent **entries = NULL;
    int n = scandir(path, &entries, not_hidden, alphasort);
    int result = 0;

    if (n < 0) {
        return complain(path, errno);
    }
    for (int i = 0; i < n; i++) {
        char *name = NULL;
        int r = -ENOMEM;
        if (asprintf(&name, "%s/%s", path, entries[i]->d_name) >= 0) {
            r = run_file(name, count);
            free(name);
        }
        result = result == 0 ? r : result;
        free(entries[i]);
    }
    free(entries);
    return result;
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    int result = 0;

    for (int i = 1; i < argc; i++) {
        struct stat st;
        int r;
        if (stat(argv[i], &st) < 0) {
            r = complain(argv[i], errno);
        } else {
            r = S_ISDIR(st.st_mode) ? run_directory(argv[i], &count) : run_file(argv[i], &count);
        }
        result = result == 0 ? r : result;
    }
    printf("%u inputs run\n", count);
    if (result == 0 && count == 0) {
        fprintf(stderr, "no input to run\n");
    }
    return result == 0 && count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
