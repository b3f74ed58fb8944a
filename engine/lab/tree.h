/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Labelled pictures: a folder-per-class tree, DIR/<class>/<file>, or a data set that packs them
 * (packed.h). Lists names and hands out bytes; decodes no picture.
 */
#ifndef OCELLUS_ENGINE_LAB_TREE_H
#define OCELLUS_ENGINE_LAB_TREE_H

#include <stddef.h>
#include <stdint.h>

#define LAB_TREE_CLASSES_MAX 1024u
#define LAB_TREE_FILES_MAX   1000000u

struct lab_packed;

struct lab_tree_file {
    char *path; /* of a packed one for messages only */
    uint32_t class_index;
};

struct lab_tree {
    char **classes; /* folder names in byte order */
    uint32_t class_count;
    struct lab_tree_file *files; /* NULL after lab_samples_hold_out */
    uint32_t file_count;
    struct lab_packed *packed; /* NULL: the files are files */
};

/*
 * Lists the tree. Files are sorted by name within their class and the classes take turns: the first
 * of every class, the second of every class, and so on, so that the first n files are spread over
 * the classes. Hidden names and everything but regular files are passed over. Pictures of a packed
 * data set stay in its order. Errors (told on standard error): -ENOENT no such folder, or no file
 * in it; -E2BIG over a limit; those of lab_packed_open; others of the system.
 */
int lab_tree_init(struct lab_tree *tree, const char *directory);
void lab_tree_finish(struct lab_tree *tree);

/* The names of a folder's regular files but hidden ones, in byte order; at most `max`. The caller
 * frees each and the list. Errors: -E2BIG, -ENOMEM, the system's; not told. */
int lab_tree_names(const char *directory, uint32_t max, char ***ret_names, uint32_t *ret_count);

/* A picture's bytes, for engine/image. The caller frees *ret_bytes. Errors: those of
 * lab_file_read. */
int lab_tree_read(const struct lab_tree *tree, uint32_t index, size_t max, uint8_t **ret_bytes,
                  size_t *ret_size);

#endif
