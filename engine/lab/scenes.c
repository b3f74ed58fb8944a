/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Tables of boxes, read strictly: a line that is not understood is an error with its number. */
#include "engine/lab/scenes.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/tree.h"

#define TABLE_BYTES_MAX ((size_t)1 << 30)
#define PLACE_MAX       1e6 /* pixels */

int lab_boxes_push(struct lab_boxes *boxes, const struct lab_box *box)
{
    if (boxes->count == LAB_SCENE_BOXES_MAX) {
        return -E2BIG;
    }
    if (boxes->count == boxes->room) {
        uint32_t room = boxes->room == 0 ? 256 : boxes->room * 2;
        struct lab_box *moved = reallocarray(boxes->boxes, room, sizeof(*moved));
        if (!moved) {
            return -ENOMEM;
        }
        boxes->boxes = moved;
        boxes->room = room;
    }
    boxes->boxes[boxes->count++] = *box;
    return 0;
}

void lab_boxes_finish(struct lab_boxes *boxes)
{
    free(boxes->boxes);
    memset(boxes, 0, sizeof(*boxes));
}

const struct lab_box *lab_boxes_of(const struct lab_boxes *boxes, uint32_t frame,
                                   uint32_t *ret_count)
{
    uint32_t low = 0, high = boxes->count, count = 0;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (boxes->boxes[middle].frame < frame) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    while (low + count < boxes->count && boxes->boxes[low + count].frame == frame) {
        count++;
    }
    *ret_count = count;
    return boxes->boxes + low;
}

double lab_box_overlap(const struct lab_box *a, const struct lab_box *b)
{
    double width = fmin(a->x + a->width, b->x + b->width) - fmax(a->x, b->x);
    double height = fmin(a->y + a->height, b->y + b->height) - fmax(a->y, b->y);
    if (width <= 0 || height <= 0) {
        return 0.0;
    }
    double both = width * height;
    return both / (a->width * a->height + b->width * b->height - both);
}

/* ---- tables ---- */

static size_t stem(const char *name, size_t length)
{
    const char *dot = memrchr(name, '.', length);
    return dot ? (size_t)(dot - name) : length;
}

/* Frames are in byte order, but an ending may sort otherwise than its stem: so all are tried. */
static int find_frame(const struct lab_scenes *scenes, const char *name, size_t length,
                      uint32_t hint, uint32_t *ret_frame)
{
    size_t wanted = stem(name, length);
    for (uint32_t i = 0; i < scenes->count; i++) {
        uint32_t frame = (hint + i) % scenes->count; /* lines mostly follow the frames */
        const char *other = scenes->names[frame];
        if (stem(other, strlen(other)) == wanted && memcmp(name, other, wanted) == 0) {
            *ret_frame = frame;
            return 0;
        }
    }
    return -ENOENT;
}

/* ",NUMBER" */
static bool read_value(const char **text, double low, double high, double *ret_value)
{
    char *end;
    if (**text != ',' || strchr("0123456789.-", (*text)[1]) == NULL) {
        return false;
    }
    double value = strtod(*text + 1, &end);
    if (end == *text + 1 || !(value >= low && value <= high)) {
        return false;
    }
    *text = end;
    *ret_value = value;
    return true;
}

static int read_line(const struct lab_scenes *scenes, const char *line, bool scored, uint32_t hint,
                     struct lab_box *ret_box)
{
    size_t name = strcspn(line, ",\n");
    const char *at = line + name;
    struct lab_box box = {.frame = 0};
    if (!read_value(&at, -PLACE_MAX, PLACE_MAX, &box.x) ||
        !read_value(&at, -PLACE_MAX, PLACE_MAX, &box.y) ||
        !read_value(&at, 0, PLACE_MAX, &box.width) || !read_value(&at, 0, PLACE_MAX, &box.height) ||
        (scored && !read_value(&at, -1e9, 1e9, &box.score)) || box.width <= 0 || box.height <= 0 ||
        *at != '\n') {
        return -EBADMSG;
    }
    int r = find_frame(scenes, line, name, hint, &box.frame);
    if (r == 0) {
        *ret_box = box;
    }
    return r;
}

static int by_frame(const void *a, const void *b)
{
    const struct lab_box *x = a, *y = b;
    if (x->frame != y->frame) {
        return x->frame < y->frame ? -1 : 1;
    }
    return (x->score < y->score) - (x->score > y->score);
}

static int read_lines(const struct lab_scenes *scenes, const char *path, const char *text,
                      bool scored, struct lab_boxes *boxes)
{
    const char *header = scored ? LAB_BOXES_HEADER : LAB_TRUTH_HEADER;
    uint32_t number = 1, hint = 0;
    if (strncmp(text, header, strlen(header)) != 0) {
        lab_error("%s:1: expected %.*s", path, (int)strlen(header) - 1, header);
        return -EBADMSG;
    }
    for (const char *line = text + strlen(header); *line; line = strchr(line, '\n') + 1) {
        struct lab_box box;
        number++;
        int r = strchr(line, '\n') ? read_line(scenes, line, scored, hint, &box) : -EBADMSG;
        if (r == 0) {
            r = lab_boxes_push(boxes, &box);
        }
        if (r < 0) {
            lab_error("%s:%u: %s", path, number,
                      r == -ENOENT    ? "no such frame"
                      : r == -EBADMSG ? "not a box"
                                      : strerror(-r));
            return r == -ENOENT ? -EBADMSG : r;
        }
        hint = box.frame;
    }
    if (boxes->count > 0) {
        qsort(boxes->boxes, boxes->count, sizeof(*boxes->boxes), by_frame);
    }
    return 0;
}

/* -ENOENT is not told. */
static int read_table(const struct lab_scenes *scenes, const char *path, bool scored,
                      struct lab_boxes *ret_boxes)
{
    struct lab_boxes boxes = {0};
    uint8_t *bytes;
    size_t size;
    int r = lab_file_read(path, TABLE_BYTES_MAX, &bytes, &size);
    if (r < 0) {
        if (r != -ENOENT) {
            lab_error("%s: %s", path, strerror(-r));
        }
        return r;
    }
    char *text = realloc(bytes, size + 1);
    if (!text) {
        free(bytes);
        lab_error("out of memory");
        return -ENOMEM;
    }
    text[size] = '\0';
    r = read_lines(scenes, path, text, scored, &boxes);
    free(text);
    if (r < 0) {
        lab_boxes_finish(&boxes);
        return r;
    }
    *ret_boxes = boxes;
    return 0;
}

int lab_scenes_boxes(const struct lab_scenes *scenes, const char *path, struct lab_boxes *ret_boxes)
{
    int r = read_table(scenes, path, true, ret_boxes);
    if (r == -ENOENT) {
        lab_error("%s: %s", path, strerror(-r));
    }
    return r;
}

/* ---- frames ---- */

static bool is_table(const char *name)
{
    size_t length = strlen(name);
    return length >= 4 && strcmp(name + length - 4, ".csv") == 0;
}

/* Takes the names of tables out. */
static void keep_frames(struct lab_scenes *scenes)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < scenes->count; i++) {
        if (is_table(scenes->names[i])) {
            free(scenes->names[i]);
        } else {
            scenes->names[kept++] = scenes->names[i];
        }
    }
    scenes->count = kept;
}

int lab_scenes_init(struct lab_scenes *scenes, const char *directory)
{
    char *path;
    memset(scenes, 0, sizeof(*scenes));
    scenes->directory = directory;
    int r = lab_tree_names(directory, LAB_SCENES_MAX, &scenes->names, &scenes->count);
    if (r == 0) {
        keep_frames(scenes);
        r = scenes->count > 0 ? 0 : -ENOENT;
    }
    if (r < 0) {
        lab_error("%s: %s", directory, r == -ENOENT ? "no frame there" : strerror(-r));
        lab_scenes_finish(scenes);
        return r;
    }
    if (asprintf(&path, "%s/" LAB_TRUTH_NAME, directory) < 0) {
        lab_scenes_finish(scenes);
        lab_error("out of memory");
        return -ENOMEM;
    }
    r = read_table(scenes, path, false, &scenes->truth);
    free(path);
    scenes->has_truth = r == 0;
    if (r < 0 && r != -ENOENT) {
        lab_scenes_finish(scenes);
        return r;
    }
    return 0;
}

void lab_scenes_finish(struct lab_scenes *scenes)
{
    for (uint32_t i = 0; i < scenes->count; i++) {
        free(scenes->names[i]);
    }
    free(scenes->names);
    lab_boxes_finish(&scenes->truth);
    memset(scenes, 0, sizeof(*scenes));
}

char *lab_scenes_path(const struct lab_scenes *scenes, uint32_t frame)
{
    char *path;
    return asprintf(&path, "%s/%s", scenes->directory, scenes->names[frame]) < 0 ? NULL : path;
}
