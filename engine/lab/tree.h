/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * A folder-per-class tree of pictures: DIR/<class>/<file>. Lists names only; opens no picture.
 */
#ifndef OCELLUS_ENGINE_LAB_TREE_H
#define OCELLUS_ENGINE_LAB_TREE_H

#include <stdint.h>

#define LAB_TREE_CLASSES_MAX 1024u
#define LAB_TREE_FILES_MAX   1000000u

struct lab_tree_file {
    char *path;
    uint32_t class_index;
};

struct lab_tree {
    char **classes; /* folder names in byte order */
    uint32_t class_count;
    struct lab_tree_file *files;
    uint32_t file_count;
};

/*
 * Lists the tree. Files are sorted by name within their class and the classes take turns: the first
 * of every class, the second of every class, and so on, so that the first n files are spread over
 * the classes. Hidden names and everything but regular files are passed over. Errors (told on
 * standard error): -ENOENT no such folder, or no file in it; -E2BIG over a limit; others of the
 * system.
 */
int lab_tree_init(struct lab_tree *tree, const char *directory);
void lab_tree_finish(struct lab_tree *tree);

#endif
