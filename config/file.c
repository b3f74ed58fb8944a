/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Opens what it is told to, and nothing that would make it wait. */
#include "config/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX (256u * 1024u)

__attribute__((format(printf, 4, 5))) static int fail(struct config_error *ret_error, int error,
                                                      const char *file, const char *format, ...)
{
    va_list arguments;

    snprintf(ret_error->file, sizeof(ret_error->file), "%s", file);
    ret_error->line = 0;
    va_start(arguments, format);
    vsnprintf(ret_error->reason, sizeof(ret_error->reason), format, arguments);
    va_end(arguments);
    return error;
}

int config_file_read(const char *path, char **ret_text, size_t *ret_size,
                     struct config_error *ret_error)
{
    struct stat st;
    size_t size = 0;
    ssize_t n = 1;
    int result = 0;
    char *text = malloc(FILE_BYTES_MAX + 1);
    /* Not blocking: a FIFO of this name is to be refused, not waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (text == NULL || fd < 0 || fstat(fd, &st) < 0) {
        result = fail(ret_error, text == NULL ? -ENOMEM : -errno, path, "%s",
                      text == NULL ? "out of memory" : strerror(errno));
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        result = fail(ret_error, -EBADMSG, path, "not a regular file");
        goto out;
    }
    while (n > 0 && size <= FILE_BYTES_MAX) {
        n = read(fd, text + size, FILE_BYTES_MAX + 1 - size);
        size += n > 0 ? (size_t)n : 0;
    }
    if (n < 0) {
        result = fail(ret_error, -errno, path, "%s", strerror(errno));
    } else if (size > FILE_BYTES_MAX) {
        result = fail(ret_error, -EBADMSG, path, "larger than %u bytes", FILE_BYTES_MAX);
    }
out:
    if (fd >= 0) {
        close(fd);
    }
    if (result < 0) {
        free(text);
        return result;
    }
    *ret_text = text;
    *ret_size = size;
    return 0;
}

static int is_drop_in(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);

    return entry->d_name[0] != '.' && length > 5 &&
           strcmp(entry->d_name + length - 5, ".conf") == 0;
}

/* Bytes, not the locale, give the order. */
static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int config_file_list_drop_ins(const char *path, char ***ret_paths, int *ret_count,
                              struct config_error *ret_error)
{
    struct dirent **entries = NULL;
    char *directory = NULL;
    char **paths = NULL;
    int count = 0, made = 0, result = 0;

    if (asprintf(&directory, "%s.d", path) < 0) {
        return fail(ret_error, -ENOMEM, path, "out of memory");
    }
    count = scandir(directory, &entries, is_drop_in, compare_names);
    if (count < 0 && errno == ENOENT) {
        count = 0;
    }
    paths = calloc((size_t)(count > 0 ? count : 1), sizeof(*paths));
    if (count < 0 || paths == NULL) {
        result = fail(ret_error, count < 0 ? -errno : -ENOMEM, directory, "%s",
                      strerror(count < 0 ? errno : ENOMEM));
    }
    for (int i = 0; i < count; i++) {
        if (result == 0) {
            if (asprintf(&paths[i], "%s/%s", directory, entries[i]->d_name) < 0) {
                result = fail(ret_error, -ENOMEM, directory, "out of memory");
            } else {
                made++;
            }
        }
        free(entries[i]);
    }
    free(entries);
    free(directory);
    *ret_paths = paths;
    *ret_count = made;
    return result;
}
