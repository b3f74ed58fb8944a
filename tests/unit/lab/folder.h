/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* A folder of a test program's own: made before its tests, removed with all in it after them. */
#ifndef OCELLUS_TESTS_UNIT_LAB_FOLDER_H
#define OCELLUS_TESTS_UNIT_LAB_FOLDER_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/lab/file.h"
#include "tests/unit/lab/pictures.h"

static char root[64];

/* For cmocka's setup. */
static inline int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "/tmp/ocellus-lab-test.XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

/* For cmocka's teardown. */
static inline int remove_root(void **state)
{
    (void)state;
    char command[96];
    snprintf(command, sizeof(command), "rm -r '%s'", root);
    return system(command);
}

/* A path in it, in one of a few static buffers. */
static inline const char *at(const char *name)
{
    static char paths[8][256];
    static unsigned turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", root, name);
    return path;
}

/* How often a word stands in a text. */
static inline unsigned count_words(const char *text, const char *word)
{
    unsigned found = 0;
    while ((text = strstr(text, word))) {
        found++;
        text += strlen(word);
    }
    return found;
}

/* TREE/KIND/0.ppm and so on: pictures of one kind but of other sizes, so that they differ. The tree
 * is there. */
static inline int draw_pictures(const char *tree, enum picture kind, uint32_t side, uint32_t count)
{
    char name[128];
    snprintf(name, sizeof(name), "%s/%s", tree, picture_name(kind));
    int r = mkdir(at(name), 0700);
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        size_t size;
        uint8_t *bytes = picture_ppm(kind, side + i, side + 2 * i, &size);
        snprintf(name, sizeof(name), "%s/%s/%u.ppm", tree, picture_name(kind), i);
        r = bytes ? lab_file_write(at(name), bytes, size) : -1;
        free(bytes);
    }
    return r;
}

/* Trees "train" and "test" of two classes, `count` pictures each. */
static inline int make_trees(uint32_t count)
{
    return make_root(NULL) == 0 && mkdir(at("train"), 0700) == 0 && mkdir(at("test"), 0700) == 0 &&
                   draw_pictures("train", PICTURE_DISC, 40, count) == 0 &&
                   draw_pictures("train", PICTURE_STRIPES, 40, count) == 0 &&
                   draw_pictures("test", PICTURE_DISC, 60, count) == 0 &&
                   draw_pictures("test", PICTURE_STRIPES, 60, count) == 0
               ? 0
               : -1;
}

#endif
