/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab compose: crops of objects, pasted on backgrounds -> frames whose truth is exact.
 *
 * FRAMES  Frame i has a background of folder i modulo their number: a picture drawn at random, at 1
 *   to 2 times the smallest size that covers the frame, cut at random and mirrored or not. Pictures
 *   narrower than half the frame make a mosaic of themselves and others of their folder instead,
 *   each enlarged 1.5 to 4 times, their borders blended over a quarter of a side.
 *   Objects are taken in turns: the frame's first is crop i * objects modulo their number. A crop
 * is enlarged by 1 to 4, but to no more than fits, uniformly in the logarithm, mirrored or not, and
 *   pasted whole within the frame through LAB_MASK_OVAL. Its box is the whole crop as enlarged.
 * Then come decoys, crops drawn at random and pasted likewise but without a box: a detector that
 * takes the mask's border for an object finds them. No two pasted ones overlap; one that finds no
 * room in PLACE_TRIES places is left out. All happens in linear light. Frames are JPEGs or, where a
 * sensor is asked for, the DNGs that capture would have made of them: the same seed gives the same
 * scenes in either.
 */
#include "engine/lab/lab.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/image/image.h"
#include "engine/lab/canvas.h"
#include "engine/lab/capture.h"
#include "engine/lab/file.h"
#include "engine/lab/options.h"
#include "engine/lab/progress.h"
#include "engine/lab/scenes.h"
#include "engine/lab/tree.h"
#include "engine/train/train.h"

#define SIDE_MAX       4096u
#define FILES_MAX      100000u
#define PASTED_MAX     32u
#define PLACE_TRIES    64u
#define CROP_SCALE_MAX 4.0
#define ZOOM_MAX       2.0
#define TILE_MIN       1.5
#define TILE_MAX       4.0

struct folder {
    const char *directory;
    char **names;
    uint32_t count;
};

struct composing {
    struct folder objects, decoys, backgrounds[LAB_OPERANDS_MAX];
    uint32_t background_count, frames, objects_each, width, height;
    uint64_t seed;
    bool sensor; /* DNGs */
    uint32_t bits, exposure_num, exposure_den;
    bool noise;
    const char *out;
    struct image_decoder *decoder;
    char *truth; /* the table so far */
    size_t truth_size, truth_room;
};

/* What one frame draws and has. */
struct scene {
    uint64_t frame, drawn;
    struct lab_canvas canvas;
    struct lab_box pasted[PASTED_MAX];
    uint32_t pasted_count;
};

/* ---- chance ---- */

/* [0, 1): of the frame's own stream, so that no frame depends on another. */
static double draw(const struct composing *composing, struct scene *scene)
{
    return (double)(train_random(composing->seed, scene->frame, scene->drawn++) >> 11) / 0x1p53;
}

static uint32_t draw_below(const struct composing *composing, struct scene *scene, uint32_t count)
{
    return (uint32_t)(draw(composing, scene) * count);
}

static bool draw_bit(const struct composing *composing, struct scene *scene)
{
    return draw(composing, scene) < 0.5;
}

static double draw_scale(const struct composing *composing, struct scene *scene, double low,
                         double high)
{
    return low * pow(high / low, draw(composing, scene));
}

/* ---- pictures ---- */

static int tell(const char *path, int r)
{
    lab_error("%s: %s", path, lab_image_error(r));
    return r;
}

/* A picture of a folder, enlarged or reduced to `scale` of its size and never below 1 or above
 * SIDE_MAX pixels a side. */
static int open_scaled(struct composing *composing, const struct folder *folder, uint32_t index,
                       double scale, bool mirror, struct lab_canvas *ret_canvas)
{
    struct lab_canvas whole;
    uint32_t width, height;
    char *path;
    if (asprintf(&path, "%s/%s", folder->directory, folder->names[index]) < 0) {
        return tell(folder->directory, -ENOMEM);
    }
    int r = lab_canvas_probe(composing->decoder, path, &width, &height);
    if (r == 0) {
        double reduce = fmin(scale, 1.0);
        reduce = fmin(reduce, (double)SIDE_MAX / (width > height ? width : height));
        uint32_t to_width = (uint32_t)fmin(fmax(width * scale + 0.5, 1), SIDE_MAX);
        uint32_t to_height = (uint32_t)fmin(fmax(height * scale + 0.5, 1), SIDE_MAX);
        r = lab_canvas_read(composing->decoder, path, (uint32_t)fmax(width * reduce + 0.5, 1),
                            (uint32_t)fmax(height * reduce + 0.5, 1), &whole);
        if (r == 0) {
            r = lab_canvas_resize(&whole, to_width, to_height, mirror, ret_canvas);
            lab_canvas_finish(&whole);
        }
    }
    if (r < 0) {
        tell(path, r);
    }
    free(path);
    return r;
}

static int probe(struct composing *composing, const struct folder *folder, uint32_t index,
                 uint32_t *ret_width, uint32_t *ret_height)
{
    char *path;
    if (asprintf(&path, "%s/%s", folder->directory, folder->names[index]) < 0) {
        return tell(folder->directory, -ENOMEM);
    }
    int r = lab_canvas_probe(composing->decoder, path, ret_width, ret_height);
    if (r < 0) {
        tell(path, r);
    }
    free(path);
    return r;
}

/* ---- backgrounds ---- */

static int lay_mosaic(struct composing *composing, const struct folder *folder, uint32_t first,
                      struct scene *scene)
{
    double scale = draw_scale(composing, scene, TILE_MIN, TILE_MAX);
    uint32_t index = first;
    struct lab_canvas tile;
    uint32_t x = 0, y = 0, pitch = 0;
    while (y < composing->height) {
        int r = open_scaled(composing, folder, index, scale, draw_bit(composing, scene), &tile);
        if (r < 0) {
            return r;
        }
        lab_canvas_paste(&scene->canvas, &tile, x, y, LAB_MASK_TILE, x > 0, y > 0);
        /* Three quarters on; tiles of one folder may differ in size, so the row's least counts. */
        uint32_t down = tile.height - tile.height / 4;
        pitch = x == 0 || down < pitch ? down : pitch;
        x += tile.width - tile.width / 4;
        lab_canvas_finish(&tile);
        if (x >= composing->width) {
            x = 0;
            y += pitch > 0 ? pitch : 1;
        }
        index = draw_below(composing, scene, folder->count);
    }
    return 0;
}

static int lay_photograph(struct composing *composing, const struct folder *folder, uint32_t index,
                          uint32_t width, uint32_t height, struct scene *scene)
{
    double across = (double)composing->width / width, down = (double)composing->height / height;
    double scale = fmax(across, down) * draw_scale(composing, scene, 1.0, ZOOM_MAX);
    struct lab_canvas picture;
    int r = open_scaled(composing, folder, index, scale, draw_bit(composing, scene), &picture);
    if (r < 0) {
        return r;
    }
    uint32_t spare_x = picture.width > composing->width ? picture.width - composing->width : 0;
    uint32_t spare_y = picture.height > composing->height ? picture.height - composing->height : 0;
    int64_t x = draw_below(composing, scene, spare_x + 1);
    int64_t y = draw_below(composing, scene, spare_y + 1);
    lab_canvas_paste(&scene->canvas, &picture, -x, -y, LAB_MASK_TILE, false, false);
    lab_canvas_finish(&picture);
    return 0;
}

static int lay_background(struct composing *composing, struct scene *scene)
{
    const struct folder *folder =
        &composing->backgrounds[scene->frame % composing->background_count];
    uint32_t index = draw_below(composing, scene, folder->count), width, height;
    int r = probe(composing, folder, index, &width, &height);
    if (r < 0) {
        return r;
    }
    return width * 2 < composing->width
               ? lay_mosaic(composing, folder, index, scene)
               : lay_photograph(composing, folder, index, width, height, scene);
}

/* ---- what is pasted ---- */

static bool is_free(const struct scene *scene, const struct lab_box *box)
{
    for (uint32_t i = 0; i < scene->pasted_count; i++) {
        if (lab_box_overlap(&scene->pasted[i], box) > 0) {
            return false;
        }
    }
    return true;
}

/* Errors: -ENOSPC: there is no room. */
static int find_place(const struct composing *composing, struct scene *scene, struct lab_box *box)
{
    for (uint32_t i = 0; i < PLACE_TRIES; i++) {
        box->x = draw_below(composing, scene, composing->width - (uint32_t)box->width + 1);
        box->y = draw_below(composing, scene, composing->height - (uint32_t)box->height + 1);
        if (is_free(scene, box)) {
            return 0;
        }
    }
    return -ENOSPC;
}

/* Errors: -ENOSPC as above, or told. */
static int paste(struct composing *composing, struct scene *scene, const struct folder *folder,
                 uint32_t index, struct lab_box *ret_box)
{
    uint32_t width, height;
    int r = probe(composing, folder, index, &width, &height);
    if (r < 0) {
        return r;
    }
    double most = fmin((double)composing->width / width, (double)composing->height / height);
    if (most < 1) {
        lab_error("%s/%s: larger than the frames", folder->directory, folder->names[index]);
        return -EINVAL;
    }
    double scale = draw_scale(composing, scene, 1.0, fmin(most, CROP_SCALE_MAX));
    bool mirror = draw_bit(composing, scene);
    struct lab_box box = {.width = fmin(floor(width * scale + 0.5), composing->width),
                          .height = fmin(floor(height * scale + 0.5), composing->height)};
    r = find_place(composing, scene, &box);
    if (r < 0) {
        return r;
    }
    struct lab_canvas whole, patch;
    r = open_scaled(composing, folder, index, 1.0, false, &whole);
    if (r < 0) {
        return r;
    }
    r = lab_canvas_resize(&whole, (uint32_t)box.width, (uint32_t)box.height, mirror, &patch);
    lab_canvas_finish(&whole);
    if (r < 0) {
        return tell(folder->names[index], r);
    }
    lab_canvas_paste(&scene->canvas, &patch, (int64_t)box.x, (int64_t)box.y, LAB_MASK_OVAL, false,
                     false);
    lab_canvas_finish(&patch);
    scene->pasted[scene->pasted_count++] = box;
    *ret_box = box;
    return 0;
}

static int add_truth(struct composing *composing, const char *name, const struct lab_box *box)
{
    if (composing->truth_room - composing->truth_size < 128) {
        size_t room = composing->truth_room * 2 + 4096;
        char *longer = realloc(composing->truth, room);
        if (!longer) {
            return tell(LAB_TRUTH_NAME, -ENOMEM);
        }
        composing->truth = longer;
        composing->truth_room = room;
    }
    char *end = composing->truth + composing->truth_size;
    composing->truth_size += (size_t)snprintf(end, 128, "%s,%.0f,%.0f,%.0f,%.0f\n", name, box->x,
                                              box->y, box->width, box->height);
    return 0;
}

static int paste_all(struct composing *composing, struct scene *scene, const char *name)
{
    struct lab_box box;
    for (uint32_t i = 0; i < composing->objects_each; i++) {
        uint64_t turn = scene->frame * composing->objects_each + i;
        int r = paste(composing, scene, &composing->objects,
                      (uint32_t)(turn % composing->objects.count), &box);
        if (r == 0) {
            r = add_truth(composing, name, &box);
        }
        if (r < 0 && r != -ENOSPC) {
            return r;
        }
    }
    for (uint32_t i = 0; composing->decoys.count > 0 && i < composing->objects_each; i++) {
        uint32_t index = draw_below(composing, scene, composing->decoys.count);
        int r = paste(composing, scene, &composing->decoys, index, &box);
        if (r < 0 && r != -ENOSPC) {
            return r;
        }
    }
    return 0;
}

/* ---- writing ---- */

static int encode(const struct composing *composing, const struct scene *scene, uint8_t **ret_bytes,
                  size_t *ret_size)
{
    struct lab_sensor sensor;
    if (!composing->sensor) {
        return lab_canvas_jpeg(&scene->canvas, ret_bytes, ret_size);
    }
    lab_sensor_init(&sensor, composing->bits, composing->exposure_num, composing->exposure_den,
                    composing->noise, train_random(composing->seed, scene->frame, UINT64_MAX));
    return lab_capture_dng(&sensor, IMAGE_CFA_RGGB, scene->canvas.planes, scene->canvas.width,
                           scene->canvas.height, ret_bytes, ret_size);
}

static int write_frame(const struct composing *composing, const struct scene *scene,
                       const char *name)
{
    uint8_t *bytes;
    size_t size;
    char *path;
    if (asprintf(&path, "%s/%s", composing->out, name) < 0) {
        return tell(name, -ENOMEM);
    }
    int r = encode(composing, scene, &bytes, &size);
    if (r == 0) {
        r = lab_file_write(path, bytes, size);
        free(bytes);
    }
    if (r < 0) {
        tell(path, r);
    }
    free(path);
    return r;
}

static int make_frame(struct composing *composing, uint32_t frame)
{
    struct scene scene = {.frame = frame};
    char name[32];
    snprintf(name, sizeof(name), "%05u.%s", frame, composing->sensor ? "dng" : "jpg");
    int r = lab_canvas_init(&scene.canvas, composing->width, composing->height);
    if (r < 0) {
        return tell(name, r);
    }
    r = lay_background(composing, &scene);
    if (r == 0) {
        r = paste_all(composing, &scene, name);
    }
    if (r == 0) {
        r = write_frame(composing, &scene, name);
    }
    lab_canvas_finish(&scene.canvas);
    return r;
}

static int write_truth(const struct composing *composing)
{
    char *path;
    if (asprintf(&path, "%s/" LAB_TRUTH_NAME, composing->out) < 0) {
        return tell(LAB_TRUTH_NAME, -ENOMEM);
    }
    int r = lab_file_write(path, composing->truth, composing->truth_size);
    if (r < 0) {
        tell(path, r);
    }
    free(path);
    return r;
}

/* ---- the command ---- */

static int open_folder(struct folder *folder, const char *directory)
{
    folder->directory = directory;
    int r = lab_tree_names(directory, FILES_MAX, &folder->names, &folder->count);
    if (r == 0 && folder->count == 0) {
        r = -ENOENT;
    }
    if (r < 0) {
        lab_error("%s: %s", directory, r == -ENOENT ? "no picture there" : strerror(-r));
    }
    return r;
}

static void close_folder(struct folder *folder)
{
    for (uint32_t i = 0; i < folder->count; i++) {
        free(folder->names[i]);
    }
    free(folder->names);
}

static int parse(const struct lab_args *args, struct composing *composing)
{
    uint64_t images = 200, objects = 1, bits = 16;
    composing->seed = 1;
    composing->width = 640;
    composing->height = 480;
    composing->exposure_num = composing->exposure_den = 1;
    composing->out = args->values[LAB_OPTION_OUT];
    composing->noise = lab_args_given(args, LAB_OPTION_NOISE);
    composing->sensor = composing->noise || lab_args_given(args, LAB_OPTION_BITS) ||
                        lab_args_given(args, LAB_OPTION_EXPOSURE);
    if (!args->operands[1]) {
        lab_error("compose: expected %s", args->command->operands);
        return -EINVAL;
    }
    if (lab_args_number(args, LAB_OPTION_IMAGES, 1, LAB_SCENES_MAX, &images) < 0 ||
        lab_args_number(args, LAB_OPTION_OBJECTS, 0, PASTED_MAX / 2, &objects) < 0 ||
        lab_args_number(args, LAB_OPTION_BITS, 8, 16, &bits) < 0 ||
        lab_args_number(args, LAB_OPTION_SEED, 0, UINT64_MAX, &composing->seed) < 0 ||
        lab_args_fraction(args, LAB_OPTION_EXPOSURE, &composing->exposure_num,
                          &composing->exposure_den) < 0 ||
        lab_args_size(args, LAB_OPTION_SIZE, &composing->width, &composing->height) < 0) {
        return -EINVAL;
    }
    composing->frames = (uint32_t)images;
    composing->objects_each = (uint32_t)objects;
    composing->bits = (uint32_t)bits;
    return 0;
}

static int open_all(const struct lab_args *args, struct composing *composing)
{
    int r = open_folder(&composing->objects, args->operands[0]);
    if (r == 0 && args->values[LAB_OPTION_DECOYS]) {
        r = open_folder(&composing->decoys, args->values[LAB_OPTION_DECOYS]);
    }
    while (r == 0 && composing->background_count + 1 < LAB_OPERANDS_MAX &&
           args->operands[composing->background_count + 1]) {
        uint32_t index = composing->background_count++;
        r = open_folder(&composing->backgrounds[index], args->operands[index + 1]);
    }
    if (r == 0) {
        r = image_decoder_create(NULL, NULL, &composing->decoder);
        if (r < 0) {
            tell("decoder", r);
        }
    }
    if (r == 0 && mkdir(composing->out, 0777) != 0 && errno != EEXIST) {
        r = tell(composing->out, -errno);
    }
    if (r == 0) {
        composing->truth = strdup(LAB_TRUTH_HEADER);
        composing->truth_size = composing->truth_room = strlen(LAB_TRUTH_HEADER);
        r = composing->truth ? 0 : tell(LAB_TRUTH_NAME, -ENOMEM);
    }
    return r;
}

static void close_all(struct composing *composing)
{
    close_folder(&composing->objects);
    close_folder(&composing->decoys);
    for (uint32_t i = 0; i < composing->background_count; i++) {
        close_folder(&composing->backgrounds[i]);
    }
    image_decoder_destroy(composing->decoder);
    free(composing->truth);
}

int lab_compose(const struct lab_args *args)
{
    struct composing composing = {0};
    struct lab_progress progress;
    if (parse(args, &composing) < 0) {
        return LAB_EXIT_USAGE;
    }
    int r = open_all(args, &composing);
    if (r == 0) {
        lab_progress_init(&progress, "compose", composing.frames);
        for (uint32_t i = 0; r == 0 && i < composing.frames; i++) {
            r = make_frame(&composing, i);
            lab_progress_step(&progress);
        }
        lab_progress_finish(&progress);
    }
    if (r == 0) {
        r = write_truth(&composing);
    }
    close_all(&composing);
    return r < 0 ? LAB_EXIT_FAILED : LAB_EXIT_OK;
}
