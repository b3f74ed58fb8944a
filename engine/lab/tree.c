/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Lists a folder-per-class tree in an order that does not depend on locale or file system. */
#include "engine/lab/tree.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/packed.h"

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_names(char **names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        free(names[i]);
    }
    free(names);
}

/* d_type is not filled in by every file system. */
static bool entry_is(DIR *dir, const struct dirent *entry, mode_t type)
{
    struct stat status;
    return entry->d_name[0] != '.' && fstatat(dirfd(dir), entry->d_name, &status, 0) == 0 &&
           (status.st_mode & S_IFMT) == type;
}

static int push_name(char ***names, uint32_t *count, uint32_t *room, const char *name)
{
    if (*count == *room) {
        uint32_t wider = *room == 0 ? 64 : *room * 2;
        char **moved = reallocarray(*names, wider, sizeof(**names));
        if (!moved) {
            return -ENOMEM;
        }
        *names = moved;
        *room = wider;
    }
    (*names)[*count] = strdup(name);
    if (!(*names)[*count]) {
        return -ENOMEM;
    }
    (*count)++;
    return 0;
}

/* Names in `path` of one file type, in byte order; at most `max`. */
static int list_names(const char *path, mode_t type, uint32_t max, char ***ret_names,
                      uint32_t *ret_count)
{
    DIR *dir = opendir(path);
    if (!dir) {
        return -errno;
    }
    char **names = NULL;
    uint32_t count = 0, room = 0;
    int r = 0;
    struct dirent *entry;
    while (r == 0 && (entry = readdir(dir)) != NULL) {
        if (entry_is(dir, entry, type)) {
            r = count < max ? push_name(&names, &count, &room, entry->d_name) : -E2BIG;
        }
    }
    closedir(dir);
    if (r < 0) {
        free_names(names, count);
        return r;
    }
    if (count > 0) {
        qsort(names, count, sizeof(*names), compare_names);
    }
    *ret_names = names;
    *ret_count = count;
    return 0;
}

int lab_tree_names(const char *directory, uint32_t max, char ***ret_names, uint32_t *ret_count)
{
    return list_names(directory, S_IFREG, max, ret_names, ret_count);
}

struct class_files {
    char **names;
    uint32_t count;
};

static int add_file(struct lab_tree *tree, const char *directory, uint32_t class_index,
                    const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s/%s", directory, tree->classes[class_index], name) < 0) {
        return -ENOMEM;
    }
    tree->files[tree->file_count++] = (struct lab_tree_file){path, class_index};
    return 0;
}

/* The classes take turns. */
static int interleave(struct lab_tree *tree, const char *directory,
                      const struct class_files *per_class, uint32_t total, uint32_t longest)
{
    tree->files = calloc(total, sizeof(*tree->files));
    if (!tree->files) {
        return -ENOMEM;
    }
    for (uint32_t rank = 0; rank < longest; rank++) {
        for (uint32_t c = 0; c < tree->class_count; c++) {
            if (rank < per_class[c].count) {
                int r = add_file(tree, directory, c, per_class[c].names[rank]);
                if (r < 0) {
                    return r;
                }
            }
        }
    }
    return 0;
}

static int list_files(struct lab_tree *tree, const char *directory)
{
    struct class_files *per_class = calloc(tree->class_count, sizeof(*per_class));
    uint32_t total = 0, longest = 0;
    int r = per_class ? 0 : -ENOMEM;
    for (uint32_t c = 0; r == 0 && c < tree->class_count; c++) {
        char *path;
        if (asprintf(&path, "%s/%s", directory, tree->classes[c]) < 0) {
            r = -ENOMEM;
            break;
        }
        r = list_names(path, S_IFREG, LAB_TREE_FILES_MAX - total, &per_class[c].names,
                       &per_class[c].count);
        free(path);
        total += per_class[c].count;
        longest = per_class[c].count > longest ? per_class[c].count : longest;
    }
    if (r == 0) {
        r = total > 0 ? interleave(tree, directory, per_class, total, longest) : -ENOENT;
    }
    for (uint32_t c = 0; per_class && c < tree->class_count; c++) {
        free_names(per_class[c].names, per_class[c].count);
    }
    free(per_class);
    return r;
}

static int list_packed(struct lab_tree *tree, const char *path)
{
    const struct lab_packed *packed = tree->packed;
    uint32_t classes = 1;
    for (uint32_t i = 0; i < packed->count; i++) {
        classes = packed->labels[i] >= classes ? packed->labels[i] + 1u : classes;
    }
    classes = packed->cifar10 ? 10 : classes; /* also where a batch lacks the last ones */
    tree->classes = calloc(classes, sizeof(*tree->classes));
    tree->files = calloc(packed->count, sizeof(*tree->files));
    if (!tree->classes || !tree->files) {
        return -ENOMEM;
    }
    for (uint32_t c = 0; c < classes; c++) {
        char name[16];
        lab_packed_class(packed, c, name);
        tree->classes[c] = strdup(name);
        if (!tree->classes[c]) {
            return -ENOMEM;
        }
        tree->class_count++;
    }
    for (uint32_t i = 0; i < packed->count; i++) {
        struct lab_tree_file *file = &tree->files[i];
        file->class_index = packed->labels[i];
        if (asprintf(&file->path, "%s, picture %u", path, i + 1) < 0) {
            file->path = NULL;
            return -ENOMEM;
        }
        tree->file_count++;
    }
    return 0;
}

static int init_packed(struct lab_tree *tree, const char *path)
{
    struct lab_tree made = {.packed = calloc(1, sizeof(*made.packed))};
    int r = made.packed ? lab_packed_open(path, made.packed) : -ENOMEM;
    if (r == 0) {
        r = list_packed(&made, path);
    }
    if (r < 0) {
        if (r == -ENOMEM) {
            lab_error("%s: out of memory", path);
        }
        lab_tree_finish(&made);
        return r;
    }
    *tree = made;
    return 0;
}

int lab_tree_init(struct lab_tree *tree, const char *directory)
{
    struct lab_tree made = {0};
    if (lab_packed_is(directory)) {
        return init_packed(tree, directory);
    }
    int r = list_names(directory, S_IFDIR, LAB_TREE_CLASSES_MAX, &made.classes, &made.class_count);
    if (r < 0) {
        lab_error("%s: %s", directory,
                  r == -E2BIG ? "more classes than a model can have" : strerror(-r));
        return r;
    }
    r = made.class_count > 0 ? list_files(&made, directory) : -ENOENT;
    if (r < 0) {
        lab_error("%s: %s", directory,
                  r == -ENOENT  ? "no <class>/<picture> in it"
                  : r == -E2BIG ? "too many pictures"
                                : strerror(-r));
        lab_tree_finish(&made);
        return r;
    }
    *tree = made;
    return 0;
}

void lab_tree_finish(struct lab_tree *tree)
{
    for (uint32_t i = 0; tree->files && i < tree->file_count; i++) {
        free(tree->files[i].path);
    }
    free(tree->files);
    free_names(tree->classes, tree->class_count);
    if (tree->packed) {
        lab_packed_close(tree->packed);
        free(tree->packed);
    }
    memset(tree, 0, sizeof(*tree));
}

int lab_tree_read(const struct lab_tree *tree, uint32_t index, size_t max, uint8_t **ret_bytes,
                  size_t *ret_size)
{
    return tree->packed ? lab_packed_picture(tree->packed, index, ret_bytes, ret_size)
                        : lab_file_read(tree->files[index].path, max, ret_bytes, ret_size);
}
