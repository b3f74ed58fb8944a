/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Tables, JSON and charts of a scan. Counts nothing itself. */
#include "engine/lab/scan.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cjson/cJSON.h>

#include "engine/lab/lab.h"
#include "engine/lab/plot.h"

static const double rates[] = {1, 0.3, 0.1};

#define RATES (sizeof(rates) / sizeof(rates[0]))

/* ---- text ---- */

static void print_recall(const struct lab_froc *froc, const struct lab_froc_point *point)
{
    double interval[2];
    lab_froc_interval(point->found, froc->objects, interval);
    printf("  %6.2f %% (%5.1f to %5.1f)", 100.0 * point->found / froc->objects, 100 * interval[0],
           100 * interval[1]);
}

static void print_curve(const struct lab_scan *scan)
{
    bool other = scan->other_froc.objects > 0;
    printf("\n%-12s  %-26s  %9s%s\n", "false boxes", "found (95 % interval)", "margin",
           other ? "  the other's" : "");
    for (size_t i = 0; i < RATES; i++) {
        struct lab_froc_point point = lab_froc_at(&scan->froc, rates[i]);
        printf("%-4.1f a frame", rates[i]);
        print_recall(&scan->froc, &point);
        printf("  %9.3f", point.score);
        if (other) {
            point = lab_froc_at(&scan->other_froc, rates[i]);
            print_recall(&scan->other_froc, &point);
        }
        putchar('\n');
    }
}

static void print_reliability(const struct lab_scan *scan)
{
    const struct lab_reliability *reliability = &scan->reliability;
    if (!scan->calibrated) {
        return;
    }
    printf("\nprobability of a box: 1 / (1 + exp(-(%.4f * margin + %.4f))), %s\n",
           scan->meaning.slope, scan->meaning.offset,
           network_model_scan(scan->model.model) ? "the model's own" : "fitted to these frames");
    if (scan->fitted && network_model_scan(scan->model.model)) {
        printf("fitted to these frames it would be %.4f * margin + %.4f\n", scan->fit.slope,
               scan->fit.offset);
    }
    printf("%-14s %7s %9s %9s\n", "probability", "boxes", "mean", "found");
    for (uint32_t bin = 0; bin < LAB_FROC_BINS; bin++) {
        uint32_t boxes = reliability->boxes[bin];
        if (boxes > 0) {
            printf("%.1f to %.1f     %7u %8.1f%% %8.1f%%\n", bin / (double)LAB_FROC_BINS,
                   (bin + 1) / (double)LAB_FROC_BINS, boxes, 100 * reliability->sure[bin] / boxes,
                   100.0 * reliability->found[bin] / boxes);
        }
    }
    printf("expected calibration error %.2f %%\n", 100 * reliability->error);
}

static void print_text(const struct lab_scan *scan)
{
    printf("model       %s, id %s\n", network_model_name(scan->model.model),
           network_model_id(scan->model.model));
    printf("frames      %u, %u objects\n", scan->frames, scan->scenes.truth.count);
    if (scan->exposed) {
        printf("sensor      %u bit, exposure %u/%u, nominal white at 1/8 of full scale, %s\n",
               scan->bits, scan->exposure_num, scan->exposure_den,
               scan->noise ? "shot and read noise" : "no noise");
    }
    printf("boxes       %u, %.1f frames a second of processor time from file to boxes\n",
           scan->boxes.count, scan->frames / scan->seconds);
    if (scan->froc.objects > 0) {
        print_curve(scan);
        print_reliability(scan);
    }
}

/* ---- JSON ---- */

static void add_curve(cJSON *to, const char *key, const struct lab_froc *froc)
{
    cJSON *list = cJSON_AddArrayToObject(to, key);
    for (size_t i = 0; i < RATES; i++) {
        struct lab_froc_point point = lab_froc_at(froc, rates[i]);
        double interval[2];
        lab_froc_interval(point.found, froc->objects, interval);
        cJSON *item = cJSON_CreateObject();
        cJSON_AddNumberToObject(item, "false_per_frame", rates[i]);
        cJSON_AddNumberToObject(item, "found", point.found);
        cJSON_AddNumberToObject(item, "recall", (double)point.found / froc->objects);
        cJSON_AddItemToObject(item, "interval", cJSON_CreateDoubleArray(interval, 2));
        if (isfinite(point.score)) {
            cJSON_AddNumberToObject(item, "score", point.score);
        }
        cJSON_AddItemToArray(list, item);
    }
}

static int print_json(const struct lab_scan *scan)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "model", network_model_name(scan->model.model));
    cJSON_AddStringToObject(root, "id", network_model_id(scan->model.model));
    cJSON_AddNumberToObject(root, "frames", scan->frames);
    cJSON_AddNumberToObject(root, "objects", scan->scenes.truth.count);
    cJSON_AddNumberToObject(root, "seconds", scan->seconds);
    if (scan->exposed) {
        cJSON_AddNumberToObject(root, "bits", scan->bits);
        cJSON_AddNumberToObject(root, "exposure", (double)scan->exposure_num / scan->exposure_den);
        cJSON_AddBoolToObject(root, "noise", scan->noise);
    }
    if (scan->froc.objects > 0) {
        add_curve(root, "curve", &scan->froc);
    }
    if (scan->other_froc.objects > 0) {
        add_curve(root, "other", &scan->other_froc);
    }
    if (scan->calibrated) {
        cJSON_AddNumberToObject(root, "slope", scan->meaning.slope);
        cJSON_AddNumberToObject(root, "offset", scan->meaning.offset);
        cJSON_AddNumberToObject(root, "calibration_error", scan->reliability.error);
    }
    char *text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    if (!text) {
        return -ENOMEM;
    }
    puts(text);
    free(text);
    return 0;
}

int lab_scan_print(const struct lab_scan *scan, bool json)
{
    if (json) {
        return print_json(scan);
    }
    print_text(scan);
    return 0;
}

/* ---- files ---- */

static int open_table(const char *directory, const char *name, FILE **ret_file)
{
    char *path;
    if (asprintf(&path, "%s/%s", directory, name) < 0) {
        lab_error("out of memory");
        return -ENOMEM;
    }
    *ret_file = fopen(path, "we");
    int r = *ret_file ? 0 : -errno;
    if (r < 0) {
        lab_error("%s: %s", path, strerror(-r));
    }
    free(path);
    return r;
}

static int close_table(FILE *file, const char *name)
{
    bool failed = ferror(file) != 0;
    if (fclose(file) != 0 || failed) {
        lab_error("%s: cannot be written", name);
        return -EIO;
    }
    return 0;
}

static int write_boxes(const struct lab_scan *scan, const char *directory)
{
    FILE *file;
    int r = open_table(directory, "boxes.csv", &file);
    if (r < 0) {
        return r;
    }
    fputs(LAB_BOXES_HEADER, file);
    for (uint32_t i = 0; i < scan->boxes.count; i++) {
        const struct lab_box *box = &scan->boxes.boxes[i];
        fprintf(file, "%s,%.0f,%.0f,%.0f,%.0f,%.5f\n", scan->scenes.names[box->frame], box->x,
                box->y, box->width, box->height, box->score);
    }
    return close_table(file, "boxes.csv");
}

/* The corners, where one more object is found, and the end. Points without a false box have no
 * place on a logarithmic axis. */
static void write_points(FILE *file, const struct lab_froc *froc, bool other)
{
    struct lab_froc_point point = {0};
    uint32_t at = 0, found = 0;
    while (lab_froc_next(froc, &at, &point)) {
        if (point.mistaken == 0 || (point.found == found && at < froc->count)) {
            continue;
        }
        found = point.found;
        double rate = (double)point.mistaken / froc->frames;
        double recall = (double)point.found / froc->objects;
        fprintf(file, other ? "%.6f,,%.6f\n" : "%.6f,%.6f,\n", rate, recall);
    }
}

static int write_curve(const struct lab_scan *scan, const char *directory)
{
    FILE *file;
    int r = open_table(directory, "curve.csv", &file);
    if (r < 0) {
        return r;
    }
    fputs("false_per_frame,recall,other_recall\n", file);
    write_points(file, &scan->froc, false);
    write_points(file, &scan->other_froc, true);
    return close_table(file, "curve.csv");
}

static int write_reliability(const struct lab_scan *scan, const char *directory)
{
    const struct lab_reliability *reliability = &scan->reliability;
    FILE *file;
    int r = open_table(directory, "reliability.csv", &file);
    if (r < 0) {
        return r;
    }
    fputs("probability,found,boxes,ideal\n", file);
    for (uint32_t bin = 0; bin < LAB_FROC_BINS; bin++) {
        uint32_t boxes = reliability->boxes[bin];
        if (boxes > 0) {
            double mean = reliability->sure[bin] / boxes;
            fprintf(file, "%.6f,%.6f,%u,%.6f\n", mean, (double)reliability->found[bin] / boxes,
                    boxes, mean);
        }
    }
    return close_table(file, "reliability.csv");
}

static int draw(const struct lab_scan *scan, const char *directory)
{
    static const struct lab_series curve[] = {
        {"curve.csv", "false_per_frame", "recall", "this model", false},
        {"curve.csv", "false_per_frame", "other_recall", "the other", false},
    };
    static const struct lab_series reliability[] = {
        {"reliability.csv", "probability", "found", "boxes in bins of a tenth", true},
        {"reliability.csv", "probability", "ideal", "as it should be", false},
    };
    struct lab_plot plot = {"objects found",
                            {"false boxes per frame", LAB_AXIS_LOG10},
                            {"share of the objects", LAB_AXIS_LINEAR},
                            curve,
                            scan->other_froc.objects > 0 ? 2 : 1};
    bool mistaken = lab_froc_at(&scan->froc, 0).found < scan->froc.count; /* else no curve */
    int r = mistaken ? lab_plot_draw(&plot, directory, "curve") : 0;
    if (r == 0 && scan->calibrated) {
        plot = (struct lab_plot){"what a probability is worth",
                                 {"probability", LAB_AXIS_LINEAR},
                                 {"share found", LAB_AXIS_LINEAR},
                                 reliability,
                                 2};
        r = lab_plot_draw(&plot, directory, "reliability");
    }
    return r;
}

int lab_scan_write(const struct lab_scan *scan, const char *directory)
{
    if (mkdir(directory, 0777) != 0 && errno != EEXIST) {
        int r = -errno;
        lab_error("%s: %s", directory, strerror(-r));
        return r;
    }
    int r = write_boxes(scan, directory);
    if (r < 0 || scan->froc.objects == 0) {
        return r;
    }
    r = write_curve(scan, directory);
    if (r == 0 && scan->calibrated) {
        r = write_reliability(scan, directory);
    }
    return r < 0 ? r : draw(scan, directory);
}
