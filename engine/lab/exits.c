/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab exits: what it costs and what it gives up to take a cheaper operating point's answer
 * where that is sure (EXITS in engine/network/model.h). Chooses the margins where --output asks for
 * a copy that has them, else measures those of the model. Changes no weight.
 */
#include "engine/lab/lab.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/lab/file.h"
#include "engine/lab/model.h"
#include "engine/lab/options.h"
#include "engine/lab/progress.h"
#include "engine/lab/samples.h"
#include "engine/network/model.h"

#define POINTS_MAX   3u   /* whose margins are chosen; more would need another search */
#define GRID         256u /* margins that are tried for a point, evenly spread over the pictures */
#define DEFAULT_LOSS 0.5  /* points of accuracy */

/* What one operating point says. */
struct voice {
    struct lab_model model;
    uint64_t macs;
    uint32_t right; /* alone */
    int32_t *margin;
    bool *is_right;
};

/* Exits at margins over all pictures. */
struct outcome {
    uint32_t right, left[NETWORK_POINTS_MAX]; /* left: pictures whose answer a point gives */
    double macs;                              /* of all of them together */
};

struct exits {
    struct kernel_table kernels;
    uint32_t points, pictures;
    struct voice voices[NETWORK_POINTS_MAX];
    struct lab_samples samples;
    uint32_t *label_of_class;
    int32_t margins[NETWORK_POINTS_MAX - 1]; /* of point 1 on */
    double loss;
};

/* ---- answers ---- */

static int open_all(struct exits *exits, const char *path, const char *directory)
{
    uint8_t *bytes;
    size_t size;
    int r = lab_file_read(path, NETWORK_FILE_MAX, &bytes, &size);
    if (r < 0) {
        lab_error("%s: %s", path, strerror(-r));
        return r;
    }
    for (uint32_t p = 0; r == 0 && (p == 0 || p < exits->points); p++) {
        struct voice *voice = &exits->voices[p];
        r = lab_model_open_lanes(&voice->model, path, bytes, size, &exits->kernels, p, 1);
        if (r == 0) {
            exits->points = network_model_points(voice->model.model);
            voice->macs = network_plan_macs(voice->model.plan);
        }
    }
    free(bytes);
    if (r == 0 && (exits->points < 2 || exits->voices[0].model.labels < 2)) {
        lab_error("%s: exits need two operating points and two labels at least", path);
        r = -EINVAL;
    }
    if (r == 0) {
        r = lab_samples_init(&exits->samples, directory, exits->voices[0].model.input,
                             &exits->kernels);
    }
    return r;
}

static int match_labels(struct exits *exits)
{
    const struct lab_tree *tree = &exits->samples.tree;
    exits->label_of_class = calloc(tree->class_count, sizeof(*exits->label_of_class));
    if (!exits->label_of_class) {
        return -ENOMEM;
    }
    for (uint32_t c = 0; c < tree->class_count; c++) {
        if (lab_model_find_label(&exits->voices[0].model, tree->classes[c],
                                 &exits->label_of_class[c]) < 0) {
            lab_error("folder '%s' is no label of the model", tree->classes[c]);
            return -EINVAL;
        }
    }
    return 0;
}

/* Every picture through every point. */
static int listen(struct exits *exits)
{
    const struct lab_samples *samples = &exits->samples;
    struct lab_progress progress;
    exits->pictures = samples->tree.file_count;
    for (uint32_t p = 0; p < exits->points; p++) {
        struct voice *voice = &exits->voices[p];
        voice->margin = calloc(exits->pictures, sizeof(*voice->margin));
        voice->is_right = calloc(exits->pictures, sizeof(*voice->is_right));
        if (!voice->margin || !voice->is_right) {
            return -ENOMEM;
        }
    }
    lab_progress_init(&progress, "exits", exits->pictures);
    for (uint32_t i = 0; i < exits->pictures; i++) {
        for (uint32_t p = 0; p < exits->points; p++) {
            struct voice *voice = &exits->voices[p];
            const uint32_t label = lab_model_classify(
                &voice->model, samples->planes + i * samples->values, samples->whites[i]);
            voice->margin[i] = network_margin(voice->model.scores, voice->model.labels);
            voice->is_right[i] = label == exits->label_of_class[samples->labels[i]];
            voice->right += voice->is_right[i];
        }
        lab_progress_step(&progress);
    }
    lab_progress_finish(&progress);
    return 0;
}

static void count(const struct exits *exits, const int32_t *margins, struct outcome *ret_outcome)
{
    *ret_outcome = (struct outcome){0};
    for (uint32_t i = 0; i < exits->pictures; i++) {
        uint32_t p = exits->points - 1;
        ret_outcome->macs += (double)exits->voices[p].macs;
        while (p > 0 && exits->voices[p].margin[i] < margins[p - 1]) {
            p--;
            ret_outcome->macs += (double)exits->voices[p].macs;
        }
        ret_outcome->right += exits->voices[p].is_right[i];
        ret_outcome->left[p]++;
    }
}

/* ---- margins ---- */

static int compare_margins(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Margins of a point at even shares of the pictures, from the largest, at which nobody leaves, to
 * 0, at which all do. */
static int make_grid(const struct exits *exits, uint32_t p, int32_t grid[GRID])
{
    int32_t *sorted = malloc(exits->pictures * sizeof(*sorted));
    if (!sorted) {
        return -ENOMEM;
    }
    memcpy(sorted, exits->voices[p].margin, exits->pictures * sizeof(*sorted));
    qsort(sorted, exits->pictures, sizeof(*sorted), compare_margins);
    grid[0] = INT32_MAX;
    for (uint32_t g = 1; g < GRID - 1; g++) {
        grid[g] = sorted[(size_t)exits->pictures * (GRID - 1 - g) / (GRID - 1)];
    }
    grid[GRID - 1] = 0;
    free(sorted);
    return 0;
}

/* The cheapest margins with at least as many right answers as are wanted: every pair of the two
 * grids. Margins at which nobody leaves always are enough. */
static int choose(struct exits *exits)
{
    const double wanted = exits->voices[0].right - exits->loss / 100 * exits->pictures;
    int32_t grid[2][GRID];
    struct outcome best = {.macs = INFINITY};
    if (exits->points > POINTS_MAX) {
        lab_error("exits are chosen for models of at most %u operating points", POINTS_MAX);
        return -ENOTSUP;
    }
    for (uint32_t p = 1; p < exits->points; p++) {
        int r = make_grid(exits, p, grid[p - 1]);
        if (r < 0) {
            return r;
        }
    }
    const uint32_t second = exits->points == 3 ? GRID : 1;
    for (uint32_t i = 0; i < GRID * second; i++) {
        const int32_t margins[] = {grid[0][i / second],
                                   exits->points == 3 ? grid[1][i % second] : 0};
        struct outcome outcome;
        count(exits, margins, &outcome);
        if (outcome.right >= wanted && outcome.macs < best.macs) {
            best = outcome;
            memcpy(exits->margins, margins, (exits->points - 1) * sizeof(*margins));
        }
    }
    return 0;
}

static int write_copy(const struct exits *exits, const char *path)
{
    struct network_description description = *network_model_describe(exits->voices[0].model.model);
    const char *reason = NULL;
    void *bytes = NULL;
    size_t size;
    description.exits = exits->margins;
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

/* ---- the report ---- */

static void print(const struct exits *exits)
{
    const struct voice *widest = &exits->voices[0];
    const double pictures = exits->pictures;
    struct outcome outcome;
    count(exits, exits->margins, &outcome);
    printf("%u pictures\n%-12s %12s %10s %10s %12s\n", exits->pictures, "point", "operations",
           "alone", "answers", "margin");
    for (uint32_t p = exits->points; p-- > 0;) {
        const struct voice *voice = &exits->voices[p];
        printf("%-12s %12llu %8.2f %% %8.2f %% ", network_model_point(widest->model.model, p),
               2 * (unsigned long long)voice->macs, 100 * voice->right / pictures,
               100 * outcome.left[p] / pictures);
        if (p > 0) {
            printf("%12.4f\n", exits->margins[p - 1] / 65536.0);
        } else {
            printf("%12s\n", "-");
        }
    }
    printf("%-12s %12.0f %8.2f %%\n", "exit", 2 * outcome.macs / pictures,
           100 * outcome.right / pictures);
    printf("%.1f %% of %s's operations, %+.2f points\n",
           100 * outcome.macs / pictures / (double)widest->macs,
           network_model_point(widest->model.model, 0),
           100 * ((double)outcome.right - widest->right) / pictures);
}

/* ---- the command ---- */

static void close_all(struct exits *exits)
{
    for (uint32_t p = 0; p < NETWORK_POINTS_MAX; p++) {
        lab_model_close(&exits->voices[p].model);
        free(exits->voices[p].margin);
        free(exits->voices[p].is_right);
    }
    lab_samples_finish(&exits->samples);
    free(exits->label_of_class);
}

static int work(struct exits *exits, const struct lab_args *args)
{
    const char *output = args->values[LAB_OPTION_OUTPUT];
    int r = open_all(exits, args->operands[0], args->operands[1]);
    if (r < 0) {
        return r;
    }
    const struct network_description *about = network_model_describe(exits->voices[0].model.model);
    if (!output && !about->exits) {
        lab_error("%s: has no exits; --output FILE chooses some", args->operands[0]);
        return -ENOENT;
    }
    if (about->exits) {
        memcpy(exits->margins, about->exits, (exits->points - 1) * sizeof(*about->exits));
    }
    r = match_labels(exits);
    r = r == 0 ? listen(exits) : r;
    r = r == 0 && output ? choose(exits) : r;
    r = r == 0 && output ? write_copy(exits, output) : r;
    if (r == 0) {
        print(exits);
    }
    return r;
}

int lab_exits(const struct lab_args *args)
{
    struct exits *exits = calloc(1, sizeof(*exits));
    uint32_t mask = KERNEL_CPU_ALL;
    if (!exits) {
        lab_error("out of memory");
        return LAB_EXIT_FAILED;
    }
    exits->loss = DEFAULT_LOSS;
    if (lab_args_percent(args, LAB_OPTION_LOSS, &exits->loss) < 0 ||
        lab_args_cpu_mask(args, &mask) < 0) {
        free(exits);
        return LAB_EXIT_USAGE;
    }
    kernel_table_init(&exits->kernels, kernel_cpu_detect() & mask);
    int r = work(exits, args);
    if (r == -ENOMEM) {
        lab_error("out of memory");
    }
    close_all(exits);
    free(exits);
    return r < 0 ? LAB_EXIT_FAILED : LAB_EXIT_OK;
}
