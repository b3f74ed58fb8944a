/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab scan: a model over frames -> boxes, and against the frames' truth what they are
 * worth. Scanning is scanner.c's, arithmetic froc.c's, reports scan_report.c's.
 */
#include "engine/lab/scan.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/kernel/cpu.h"
#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/options.h"
#include "engine/lab/progress.h"
#include "engine/network/model.h"

#define SCORES_PER_UNIT 65536.0

static int parse(const struct lab_args *args, struct lab_scan *scan, uint64_t *ret_limit,
                 uint64_t *ret_seed)
{
    uint64_t bits = 16;
    double percent = 5.0;
    uint32_t mask;
    *ret_limit = LAB_SCENES_MAX;
    *ret_seed = 1;
    scan->exposure_num = scan->exposure_den = 1;
    scan->noise = lab_args_given(args, LAB_OPTION_NOISE);
    scan->exposed = scan->noise || lab_args_given(args, LAB_OPTION_BITS) ||
                    lab_args_given(args, LAB_OPTION_EXPOSURE);
    if (lab_args_number(args, LAB_OPTION_LIMIT, 1, LAB_SCENES_MAX, ret_limit) < 0 ||
        lab_args_number(args, LAB_OPTION_BITS, 8, 16, &bits) < 0 ||
        lab_args_number(args, LAB_OPTION_SEED, 0, UINT64_MAX, ret_seed) < 0 ||
        lab_args_fraction(args, LAB_OPTION_EXPOSURE, &scan->exposure_num, &scan->exposure_den) <
            0 ||
        lab_args_percent(args, LAB_OPTION_THRESHOLD, &percent) < 0 ||
        lab_args_cpu_mask(args, &mask) < 0) {
        return -EINVAL;
    }
    scan->bits = (uint32_t)bits;
    scan->threshold = log(percent / (100 - percent));
    kernel_table_init(&scan->kernels, kernel_cpu_detect() & mask);
    return 0;
}

/* Boxes of frames past the limit are let go. */
static void cut_off(struct lab_boxes *boxes, uint32_t frames)
{
    while (boxes->count > 0 && boxes->boxes[boxes->count - 1].frame >= frames) {
        boxes->count--;
    }
}

static int open_all(struct lab_scan *scan, const struct lab_args *args, uint64_t limit)
{
    struct network_scan_settings settings;
    int r = lab_model_open(&scan->model, args->operands[0], &scan->kernels);
    if (r == 0) {
        r = lab_model_positive(&scan->model, args->values[LAB_OPTION_POSITIVE], &scan->positive);
    }
    if (r == 0) {
        r = lab_scanner_settings(args, &scan->model, scan->positive, &settings);
    }
    if (r == 0) {
        r = lab_scanner_init(&scan->scanner, &scan->model, &settings, &scan->kernels);
    }
    if (r == 0) {
        r = lab_scenes_init(&scan->scenes, args->operands[1]);
    }
    if (r < 0) {
        return r;
    }
    scan->frames = limit < scan->scenes.count ? (uint32_t)limit : scan->scenes.count;
    if (args->values[LAB_OPTION_COMPARE]) {
        r = lab_scenes_boxes(&scan->scenes, args->values[LAB_OPTION_COMPARE], &scan->other);
    }
    cut_off(&scan->scenes.truth, scan->frames);
    cut_off(&scan->other, scan->frames);
    return r;
}

static void close_all(struct lab_scan *scan)
{
    lab_froc_finish(&scan->froc);
    lab_froc_finish(&scan->other_froc);
    lab_boxes_finish(&scan->boxes);
    lab_boxes_finish(&scan->other);
    lab_scenes_finish(&scan->scenes);
    lab_scanner_finish(&scan->scanner);
    lab_model_close(&scan->model);
}

/* Processor time: other work on the machine does not count. */
static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int scan_frame(struct lab_scan *scan, uint32_t frame, struct lab_sensor *sensor)
{
    struct network_scan_box boxes[NETWORK_SCAN_BOXES_MAX];
    struct lab_scanner *scanner = &scan->scanner;
    char *path = lab_scenes_path(&scan->scenes, frame);
    int r = path ? lab_scanner_run(scanner, path, sensor) : -ENOMEM;
    free(path);
    if (r < 0 || scanner->levels == 0) {
        return r;
    }
    uint32_t count =
        network_scan_boxes(scanner->scan, (const int32_t *const *)scanner->margins, boxes);
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        const struct lab_box box = {.x = boxes[i].x,
                                    .y = boxes[i].y,
                                    .width = boxes[i].width,
                                    .height = boxes[i].height,
                                    .score = boxes[i].margin / SCORES_PER_UNIT,
                                    .frame = frame};
        r = lab_boxes_push(&scan->boxes, &box);
    }
    return r;
}

static int scan_all(struct lab_scan *scan, uint64_t seed)
{
    struct lab_progress progress;
    struct lab_sensor sensor;
    int r = 0;
    lab_sensor_init(&sensor, scan->bits, scan->exposure_num, scan->exposure_den, scan->noise, seed);
    lab_progress_init(&progress, "scan", scan->frames);
    for (uint32_t i = 0; r == 0 && i < scan->frames; i++) {
        double start = now();
        r = scan_frame(scan, i, scan->exposed ? &sensor : NULL);
        scan->seconds += now() - start;
        lab_progress_step(&progress);
    }
    lab_progress_finish(&progress);
    return r;
}

static int judge(struct lab_scan *scan)
{
    const struct network_scan_meaning *own = network_model_scan(scan->model.model);
    int r = lab_froc_init(&scan->froc, scan->frames, &scan->scenes.truth, &scan->boxes);
    if (r == 0 && scan->other.count > 0) {
        r = lab_froc_init(&scan->other_froc, scan->frames, &scan->scenes.truth, &scan->other);
    }
    if (r < 0) {
        return r;
    }
    scan->fitted = lab_sigmoid_fit(&scan->froc, scan->threshold, &scan->fit) == 0;
    scan->calibrated = scan->fitted;
    scan->meaning = scan->fit;
    if (own && own->label == scan->positive) {
        scan->calibrated = true;
        scan->meaning = (struct lab_sigmoid){own->slope, own->offset};
    }
    if (scan->calibrated) {
        lab_reliability_measure(&scan->froc, scan->threshold, &scan->meaning, &scan->reliability);
    }
    return 0;
}

/* A copy of the model that says what was fitted. */
static int write_model(const struct lab_scan *scan, const char *path)
{
    struct network_description description = *network_model_describe(scan->model.model);
    struct network_scan_meaning meaning = {scan->positive, scan->fit.slope, scan->fit.offset};
    const char *reason = NULL;
    void *bytes;
    size_t size;
    if (!scan->fitted) {
        lab_error("%s: nothing to calibrate with: the frames need found and false boxes", path);
        return -EDOM;
    }
    description.scan = &meaning;
    int r = network_model_write(&description, &bytes, &size, &reason);
    if (r == 0) {
        r = lab_file_write(path, bytes, size);
        free(bytes);
    }
    if (r < 0) {
        lab_error("%s: %s", path, reason ? reason : strerror(-r));
    }
    return r;
}

int lab_scan(const struct lab_args *args)
{
    struct lab_scan scan = {0};
    uint64_t limit, seed;
    if (parse(args, &scan, &limit, &seed) < 0) {
        return LAB_EXIT_USAGE;
    }
    int r = open_all(&scan, args, limit);
    if (r == 0) {
        r = scan_all(&scan, seed);
    }
    if (r == 0 && scan.scenes.truth.count > 0) {
        r = judge(&scan);
    }
    if (r == 0) {
        r = lab_scan_print(&scan, lab_args_given(args, LAB_OPTION_JSON));
    }
    if (r == -ENOMEM) {
        lab_error("out of memory");
    }
    if (r == 0 && args->values[LAB_OPTION_OUT]) {
        r = lab_scan_write(&scan, args->values[LAB_OPTION_OUT]);
    }
    if (r == 0 && args->values[LAB_OPTION_OUTPUT]) {
        r = write_model(&scan, args->values[LAB_OPTION_OUTPUT]);
    }
    close_all(&scan);
    return r < 0 ? LAB_EXIT_FAILED : LAB_EXIT_OK;
}
