/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * A folder of frames, the boxes of the objects that they show, and boxes that a detector found.
 * Reads names and tables; decodes no frame.
 *
 * TRUTH  truth.csv beside the frames: a line of column names "frame,x,y,width,height", then a line
 * for each object, in pixels of the frame, lines of a frame in any place. The frame is a file name;
 * its ending does not count, so that the same truth serves frames in several formats. Frames
 * without a line show nothing. A folder without the file has no truth. BOXES  the same with a
 * column "score" after height: the higher, the surer.
 */
#ifndef OCELLUS_ENGINE_LAB_SCENES_H
#define OCELLUS_ENGINE_LAB_SCENES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAB_SCENES_MAX      100000u
#define LAB_SCENE_BOXES_MAX 10000000u
#define LAB_TRUTH_NAME      "truth.csv"
#define LAB_TRUTH_HEADER    "frame,x,y,width,height\n"
#define LAB_BOXES_HEADER    "frame,x,y,width,height,score\n"

struct lab_box {
    double x, y, width, height; /* pixels of the frame; width and height > 0 */
    double score;               /* of a detector's; 0 in a truth */
    uint32_t frame;
};

struct lab_boxes {
    struct lab_box *boxes; /* by frame */
    uint32_t count, room;
};

struct lab_scenes {
    const char *directory; /* by pointer */
    char **names;          /* of the frames, in byte order */
    uint32_t count;
    bool has_truth;
    struct lab_boxes truth;
};

/* Lists frames (every regular file without a dot in front whose name does not end in .csv) and
 * reads their truth. Errors, told on standard error: -ENOENT no frame, -EBADMSG, -E2BIG, -ENOMEM,
 * the system's. */
int lab_scenes_init(struct lab_scenes *scenes, const char *directory);
/* Accepts a zeroed one. */
void lab_scenes_finish(struct lab_scenes *scenes);

/* DIRECTORY/NAME of a frame; the caller frees it. NULL: no memory. */
char *lab_scenes_path(const struct lab_scenes *scenes, uint32_t frame);

/* Boxes of a detector over these frames. Errors: as above; -EBADMSG also for a frame that is none
 * of them. */
int lab_scenes_boxes(const struct lab_scenes *scenes, const char *path,
                     struct lab_boxes *ret_boxes);

/* Errors: -ENOMEM, -E2BIG. */
int lab_boxes_push(struct lab_boxes *boxes, const struct lab_box *box);
void lab_boxes_finish(struct lab_boxes *boxes);

/* The boxes of a frame: the first one, and how many. */
const struct lab_box *lab_boxes_of(const struct lab_boxes *boxes, uint32_t frame,
                                   uint32_t *ret_count);

/* Area of both over area of either. */
double lab_box_overlap(const struct lab_box *a, const struct lab_box *b);

#endif
