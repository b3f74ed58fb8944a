/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab mine: frames scanned by a model -> windows to train the next one with. Trains
 * nothing.
 *
 * OUTPUT  DIR/background/D.pgm and DIR/LABEL/D.pgm (.ppm of colour), 16 bit, the planes of the
 *   windows as they were scanned, D being a digest of them: a window that occurs twice, in one run
 *   or in several that write to one folder, is one file. A training that reads them has the very
 *   values that scanning has, but for the border, where its neighbours are cut off.
 */
#include "engine/lab/lab.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/lab/file.h"
#include "engine/lab/model.h"
#include "engine/lab/options.h"
#include "engine/lab/pick.h"
#include "engine/lab/progress.h"
#include "engine/lab/scanner.h"
#include "engine/lab/scenes.h"

#define BACKGROUND    "background"
#define LIMIT_DEFAULT 8u
#define LIMIT_MAX     1000u
#define FITTING_MAX   4u /* windows of one object */

struct mining {
    struct kernel_table kernels;
    struct lab_model model;
    struct lab_scanner scanner;
    struct lab_scenes scenes;
    uint32_t positive, limit;
    double threshold; /* natural-log units of margin */
    const char *out;
    struct lab_box *windows; /* of a frame; .frame is its number among them */
    uint32_t *picked, room;
    uint16_t *planes; /* of one window */
    uint64_t hard, fitting, known;
};

static int tell(const char *what, int r)
{
    lab_error("%s: %s", what, strerror(-r));
    return r;
}

/* ---- windows ---- */

static uint32_t count_windows(const struct lab_scanner *scanner)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < scanner->levels; i++) {
        const struct network_scan_level *level = network_scan_level(scanner->scan, i);
        count += level->columns * level->rows; /* all together NETWORK_SCAN_WINDOWS_MAX */
    }
    return count;
}

static int list_windows(struct mining *mining, uint32_t *ret_count)
{
    const struct lab_scanner *scanner = &mining->scanner;
    uint32_t count = count_windows(scanner), at = 0;
    if (count > mining->room) {
        free(mining->windows);
        free(mining->picked);
        mining->windows = calloc(count, sizeof(*mining->windows));
        mining->picked = calloc(count, sizeof(*mining->picked));
        mining->room = mining->windows && mining->picked ? count : 0;
        if (mining->room == 0) {
            return tell("windows", -ENOMEM);
        }
    }
    for (uint32_t i = 0; i < scanner->levels; i++) {
        const struct network_scan_level *level = network_scan_level(scanner->scan, i);
        for (uint32_t row = 0; row < level->rows; row++) {
            for (uint32_t column = 0; column < level->columns; column++) {
                mining->windows[at] = lab_scanner_window(scanner, i, column, row);
                mining->windows[at].frame = at;
                at++;
            }
        }
    }
    *ret_count = count;
    return 0;
}

/* Level, column and row of a window's number. */
static void place(const struct lab_scanner *scanner, uint32_t number, uint32_t ret_place[3])
{
    uint32_t index = 0;
    const struct network_scan_level *level = network_scan_level(scanner->scan, 0);
    while (number >= level->columns * level->rows) {
        number -= level->columns * level->rows;
        level = network_scan_level(scanner->scan, ++index);
    }
    ret_place[0] = index;
    ret_place[1] = number % level->columns;
    ret_place[2] = number / level->columns;
}

/* ---- files ---- */

/* FNV-1a of 64 bit. */
static uint64_t digest(const uint16_t *values, size_t count)
{
    uint64_t sum = 0xcbf29ce484222325u;
    for (size_t i = 0; i < count; i++) {
        sum = (sum ^ (values[i] & 0xff)) * 0x100000001b3u;
        sum = (sum ^ (values[i] >> 8)) * 0x100000001b3u;
    }
    return sum;
}

static int write_pnm(const struct mining *mining, const char *path)
{
    const struct image_target *target = &mining->model.input->target;
    size_t area = (size_t)target->width * target->height;
    uint8_t *bytes = malloc(64 + area * target->channels * 2);
    if (!bytes) {
        return -ENOMEM;
    }
    size_t at = (size_t)snprintf((char *)bytes, 64, "P%c %u %u 65535\n",
                                 target->channels == 3 ? '6' : '5', target->width, target->height);
    for (size_t i = 0; i < area; i++) {
        for (size_t plane = 0; plane < target->channels; plane++) {
            uint16_t value = mining->planes[plane * area + i];
            bytes[at++] = (uint8_t)(value >> 8);
            bytes[at++] = (uint8_t)value;
        }
    }
    int r = lab_file_write(path, bytes, at);
    free(bytes);
    return r;
}

static int save(struct mining *mining, const char *label, uint32_t number)
{
    const struct image_target *target = &mining->model.input->target;
    size_t values = lab_model_plane_values(&mining->model);
    uint32_t at[3];
    char *path;
    place(&mining->scanner, number, at);
    lab_scanner_cut(&mining->scanner, at[0], at[1], at[2], mining->planes);
    if (asprintf(&path, "%s/%s/%016" PRIx64 ".p%cm", mining->out, label,
                 digest(mining->planes, values), target->channels == 3 ? 'p' : 'g') < 0) {
        return tell(label, -ENOMEM);
    }
    int r = 0;
    if (access(path, F_OK) == 0) {
        mining->known++;
    } else {
        r = write_pnm(mining, path);
    }
    if (r < 0) {
        tell(path, r);
    }
    free(path);
    return r;
}

/* ---- the command ---- */

static int save_objects(struct mining *mining, const struct lab_box *truth, uint32_t objects,
                        uint32_t windows)
{
    const char *label = network_model_label(mining->model.model, mining->positive);
    for (uint32_t i = 0; i < objects; i++) {
        uint32_t picked =
            lab_pick_fitting(mining->windows, windows, &truth[i], FITTING_MAX, mining->picked);
        for (uint32_t k = 0; k < picked; k++) {
            int r = save(mining, label, mining->picked[k]);
            if (r < 0) {
                return r;
            }
        }
        mining->fitting += picked;
    }
    return 0;
}

static int mine_frame(struct mining *mining, uint32_t frame)
{
    uint32_t windows = 0, objects;
    const struct lab_box *truth = lab_boxes_of(&mining->scenes.truth, frame, &objects);
    char *path = lab_scenes_path(&mining->scenes, frame);
    int r = path ? lab_scanner_run(&mining->scanner, path, NULL) : tell("frame", -ENOMEM);
    if (r == 0 && mining->scanner.nominal_white != UINT16_MAX) {
        lab_error("%s: frames that keep headroom above white cannot be mined", path);
        r = -ENOTSUP;
    }
    free(path);
    if (r == 0) {
        r = list_windows(mining, &windows);
    }
    if (r == 0) { /* before the sorting */
        r = save_objects(mining, truth, objects, windows);
    }
    if (r < 0) {
        return r;
    }
    uint32_t picked = lab_pick_hard(mining->windows, windows, truth, objects, mining->threshold,
                                    mining->limit, mining->picked);
    for (uint32_t k = 0; r == 0 && k < picked; k++) {
        r = save(mining, BACKGROUND, mining->windows[mining->picked[k]].frame);
    }
    mining->hard += picked;
    return r;
}

static int make_folder(const char *out, const char *label)
{
    char *path;
    if (asprintf(&path, "%s/%s", out, label) < 0) {
        return tell(out, -ENOMEM);
    }
    int r = mkdir(path, 0777) != 0 && errno != EEXIST ? tell(path, -errno) : 0;
    free(path);
    return r;
}

static int open_all(struct mining *mining, const struct lab_args *args)
{
    struct network_scan_settings settings;
    int r = lab_model_open(&mining->model, args->operands[0], &mining->kernels);
    if (r == 0) {
        r = lab_model_positive(&mining->model, args->values[LAB_OPTION_POSITIVE],
                               &mining->positive);
    }
    if (r == 0) {
        r = lab_scanner_settings(args, &mining->model, mining->positive, &settings);
    }
    if (r == 0) {
        r = lab_scanner_init(&mining->scanner, &mining->model, &settings, &mining->kernels);
    }
    if (r == 0) {
        r = lab_scenes_init(&mining->scenes, args->operands[1]);
    }
    if (r == 0) {
        mining->planes = calloc(lab_model_plane_values(&mining->model), sizeof(*mining->planes));
        r = mining->planes ? 0 : tell("planes", -ENOMEM);
    }
    if (r == 0 && mkdir(mining->out, 0777) != 0 && errno != EEXIST) {
        r = tell(mining->out, -errno);
    }
    if (r == 0) {
        r = make_folder(mining->out, BACKGROUND);
    }
    if (r == 0 && mining->scenes.has_truth) {
        r = make_folder(mining->out, network_model_label(mining->model.model, mining->positive));
    }
    return r;
}

static void close_all(struct mining *mining)
{
    lab_scenes_finish(&mining->scenes);
    lab_scanner_finish(&mining->scanner);
    lab_model_close(&mining->model);
    free(mining->windows);
    free(mining->picked);
    free(mining->planes);
}

int lab_mine(const struct lab_args *args)
{
    struct mining mining = {.out = args->values[LAB_OPTION_OUT]};
    struct lab_progress progress;
    uint64_t limit = LIMIT_DEFAULT;
    double percent = 20.0;
    uint32_t mask;
    if (lab_args_number(args, LAB_OPTION_LIMIT, 0, LIMIT_MAX, &limit) < 0 ||
        lab_args_percent(args, LAB_OPTION_THRESHOLD, &percent) < 0 ||
        lab_args_cpu_mask(args, &mask) < 0) {
        return LAB_EXIT_USAGE;
    }
    mining.limit = (uint32_t)limit;
    mining.threshold = log(percent / (100 - percent)); /* infinite at 0 and 100, and right so */
    kernel_table_init(&mining.kernels, kernel_cpu_detect() & mask);
    int r = open_all(&mining, args);
    if (r == 0) {
        lab_progress_init(&progress, "mine", mining.scenes.count);
        for (uint32_t i = 0; r == 0 && i < mining.scenes.count; i++) {
            r = mine_frame(&mining, i);
            lab_progress_step(&progress);
        }
        lab_progress_finish(&progress);
    }
    if (r == 0) {
        printf("%u frames: %" PRIu64 " windows of background, %" PRIu64
               " of objects, of which %" PRIu64 " were there already\n",
               mining.scenes.count, mining.hard, mining.fitting, mining.known);
    }
    close_all(&mining);
    return r < 0 ? LAB_EXIT_FAILED : LAB_EXIT_OK;
}
