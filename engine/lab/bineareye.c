/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* ocellus-lab reproduce bineareye: recipes, trainings, measurements and their files. */
#include "engine/lab/bineareye.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lab/exposing.h"
#include "engine/lab/lab.h"
#include "engine/lab/options.h"
#include "engine/lab/widen.h"

#define DEFAULT_OUT "bineareye"
#define SIDE        32u
#define SENSOR_BITS 16u

static const struct lab_study_sizes whole = {UINT32_MAX, 12, 3, UINT32_MAX};
static const struct lab_study_sizes quick = {1000, 3, 1, 300};

/* Wide networks learn faster by the picture and slower by the hour. */
const struct lab_bineareye_shape lab_bineareye_shapes[LAB_BINEAREYE_SHAPES] = {
    {"64-depth-4", 64, {1, 1, 1}, 12, false, false},
    {"64-depth-6", 64, {2, 2, 1}, 12, false, false},
    {"64", 64, {4, 2, 2}, 12, true, false},
    {"128", 128, {4, 2, 2}, 8, false, false},
    {"256", 256, {4, 2, 2}, 2, false, true},
};

const char *const lab_bineareye_input_names[LAB_BINEAREYE_INPUTS] = {"thermometer", "log-gradient"};

/* Planes of a colour, an odd number as the paper has them; it has 85 at width 256, but what begins
 * as a network of width 128 sees what that saw. */
static uint32_t levels_of(uint32_t width)
{
    return width == 64 ? 21 : 41;
}

static uint32_t epochs_of(const struct lab_bineareye *study, uint32_t shape)
{
    const uint32_t epochs = study->epochs * lab_bineareye_shapes[shape].share / 12;
    return epochs > 0 ? epochs : 1;
}

uint32_t lab_bineareye_planes(const struct lab_bineareye_shape *shape,
                              enum lab_bineareye_input input)
{
    return input == LAB_BINEAREYE_THERMOMETER ? 3 * levels_of(shape->width) : 6;
}

double lab_bineareye_operations(const struct lab_bineareye_shape *shape, uint32_t planes)
{
    double operations = 0;
    uint32_t side = SIDE;
    uint32_t in = planes;
    for (uint32_t stage = 0; stage < 3; stage++) {
        side = stage > 0 ? side / 2 : side;
        for (uint32_t i = 0; i < shape->convolutions[stage]; i++) {
            side--;
            operations += 2.0 * side * side * 4 * in * shape->width;
            in = shape->width;
        }
    }
    return operations + 2.0 * side * side * in * 10;
}

/* ---- recipes ---- */

/* The caller frees it; NULL: out of memory. */
static char *make_recipe(const struct lab_bineareye *study, enum lab_bineareye_input input,
                         uint32_t index)
{
    const struct lab_bineareye_shape *shape = &lab_bineareye_shapes[index];
    char *bytes;
    size_t size;
    FILE *text = open_memstream(&bytes, &size);
    if (!text) {
        return NULL;
    }
    fputs("[model]\nname = binary\n[input]\nwidth = 32\nheight = 32\nplanes = rgb\n", text);
    if (input == LAB_BINEAREYE_THERMOMETER) {
        fprintf(text, "source = srgb\ncoding = thermometer\nlevels = %u\n",
                levels_of(shape->width));
    } else {
        fputs("source = log-gradient\ncoding = ternary\nratio = 3/2\nfloor = 8\n", text);
    }
    fputs("[quantise]\nweights = binary\nactivations = binary\n", text);
    for (uint32_t stage = 0, layer = 1; stage < 3; stage++) {
        for (uint32_t i = 0; i < shape->convolutions[stage]; i++, layer++) {
            const bool last = stage < 2 && i + 1 == shape->convolutions[stage];
            fprintf(text, "[layer conv%u]\nop = conv\nout = %u\nkernel = 2\nnorm = yes\n%s", layer,
                    shape->width, last ? "pool = 2\n" : "");
        }
    }
    fprintf(text,
            "[layer scores]\nop = dense\nout = %u\nnorm = yes\n"
            "[train]\nloss = squared-hinge\nrate = %s\nfinal = 0.00001\nepochs = %u\n"
            "batch = %u\n%s[augment]\nmirror = yes\n",
            study->classes, shape->widened ? "0.005" : "0.015", epochs_of(study, index),
            shape->width == 64 ? 100 : 50, shape->width == 64 ? "" : "precision = bf16\n");
    if (fclose(text) != 0) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

static void make_name(enum lab_bineareye_input input, uint32_t shape, uint32_t seed,
                      char name[LAB_BINEAREYE_NAME_MAX])
{
    snprintf(name, LAB_BINEAREYE_NAME_MAX, "%s-%s-%" PRIu32, lab_bineareye_input_names[input],
             lab_bineareye_shapes[shape].name, seed + 1);
}

/* ---- results as files ---- */

static int tell(const char *name, int r)
{
    lab_error("%s: %s", name,
              r == -EBADMSG  ? "its CSV file is not what was written there"
              : r == -ERANGE ? "the loss is no number any more"
                             : strerror(-r));
    return r;
}

static int save(const struct lab_bineareye *study, const char *name,
                const struct lab_bineareye_cell *cell)
{
    char *bytes;
    size_t size;
    FILE *text = open_memstream(&bytes, &size);
    if (!text) {
        return tell(name, -ENOMEM);
    }
    fprintf(text, "exposure,right,pictures\nnone,%u,%u\n", cell->decoded, cell->pictures);
    for (uint32_t e = 0; e < LAB_LIGHT_EXPOSURES; e++) {
        fprintf(text, "%s,%u,%u\n", lab_light_exposure_names[e], cell->right[e], cell->pictures);
    }
    return lab_study_save(study->directory, name, ".csv", text, &bytes, &size);
}

/* `pictures` stays 0 where there is no file. */
static int load(const struct lab_bineareye *study, const char *name,
                struct lab_bineareye_cell *ret_cell)
{
    struct lab_bineareye_cell cell = {0};
    char *text;
    int r = lab_study_load(study->directory, name, &text);
    if (r < 0 || !text) {
        return r;
    }
    const char *at = strchr(text, '\n');
    bool good = at != NULL;
    for (uint32_t e = 0; good && e <= LAB_LIGHT_EXPOSURES; e++) {
        const char *exposure = e == 0 ? "none" : lab_light_exposure_names[e - 1];
        uint32_t *right = e == 0 ? &cell.decoded : &cell.right[e - 1];
        char label[8];
        good = sscanf(at + 1, "%7[^,],%" SCNu32 ",%" SCNu32, label, right, &cell.pictures) == 3 &&
               strcmp(label, exposure) == 0 && *right <= cell.pictures &&
               cell.pictures == study->test;
        at = good ? strchr(at + 1, '\n') : at;
        good = good && at;
    }
    free(text);
    if (!good) {
        return tell(name, -EBADMSG);
    }
    *ret_cell = cell;
    return 0;
}

/* ---- a cell ---- */

static int measure(struct lab_study_work *work, const struct lab_samples *on,
                   struct lab_bineareye_cell *cell)
{
    struct lab_exposing exposing;
    struct lab_score score;
    int r = lab_exposing_init(&exposing, on);
    if (r < 0) {
        return r;
    }
    lab_learner_measure(&work->learner, on, &score);
    cell->decoded = score.right;
    for (uint32_t e = 0; e < LAB_LIGHT_EXPOSURES; e++) {
        lab_exposing_set(&exposing, SENSOR_BITS, false, lab_light_exposures[e][0],
                         lab_light_exposures[e][1]);
        lab_learner_measure(&work->learner, &exposing.samples, &score);
        cell->right[e] = score.right;
    }
    cell->pictures = score.count;
    lab_exposing_finish(&exposing);
    return 0;
}

/* The first weights are what the narrower network learned. */
static int widen(const struct lab_bineareye *study, const struct lab_study_tools *tools,
                 enum lab_bineareye_input input, uint32_t shape, uint32_t seed,
                 struct lab_study_work *wide)
{
    struct lab_study_work *narrow = calloc(1, sizeof(*narrow));
    const char *reason;
    char name[LAB_BINEAREYE_NAME_MAX];
    make_name(input, shape - 1, seed, name);
    int r = narrow ? lab_study_work_open(narrow, tools, name, make_recipe(study, input, shape - 1),
                                         study->pictures, seed + 1)
                   : tell(name, -ENOMEM);
    if (r == 0) {
        r = lab_study_work_restore(narrow, study->directory, name);
        r = r == -ENOENT ? tell(name, r) : r;
    }
    if (r == 0) {
        r = lab_widen(&narrow->recipe, narrow->learner.train, &wide->recipe, wide->learner.train,
                      LAB_WIDENING_NOISE, seed + 1, &reason);
        if (r < 0) {
            lab_error("%s: %s", name, reason);
        }
    }
    lab_study_work_close(narrow);
    return r;
}

static int learn(const struct lab_bineareye *study, const struct lab_study_tools *tools,
                 enum lab_bineareye_input input, uint32_t shape, uint32_t seed,
                 struct lab_study_work *work)
{
    char name[LAB_BINEAREYE_NAME_MAX];
    make_name(input, shape, seed, name);
    int r = lab_study_work_restore(work, study->directory, name);
    if (r != -ENOENT) {
        return r;
    }
    r = lab_bineareye_shapes[shape].widened ? widen(study, tools, input, shape, seed, work) : 0;
    r = r < 0 ? r : lab_study_work_learn(work, study->directory, name);
    return r == -ERANGE ? tell(name, r) : r;
}

static int run_cell(struct lab_bineareye *study, const struct lab_study_tools *tools,
                    enum lab_bineareye_input input, uint32_t shape, uint32_t seed)
{
    struct lab_bineareye_cell *cell = &study->cells[input][shape][seed];
    struct lab_study_work *work;
    char name[LAB_BINEAREYE_NAME_MAX];
    make_name(input, shape, seed, name);
    if (cell->pictures > 0 || (seed > 0 && !lab_bineareye_shapes[shape].seeds)) {
        return 0;
    }
    work = calloc(1, sizeof(*work));
    int r = work ? lab_study_work_open(work, tools, name, make_recipe(study, input, shape),
                                       study->pictures, seed + 1)
                 : tell(name, -ENOMEM);
    r = r < 0 ? r : learn(study, tools, input, shape, seed, work);
    if (r == 0) {
        const struct lab_samples on =
            lab_study_part(&tools->test, &work->recipe.input.front, 0, study->test);
        r = measure(work, &on, cell);
        r = r < 0 ? tell(name, r) : save(study, name, cell);
    }
    lab_study_work_close(work);
    if (r == 0) {
        printf("%s: %.2f %%\n", name, 100.0 * cell->decoded / cell->pictures);
        fflush(stdout);
        r = lab_bineareye_report(study);
    }
    return r;
}

/* ---- the way ---- */

/* Hours by the operations of a cell, beside those of the one that was timed. */
static int print_plan(const struct lab_bineareye *study, const struct lab_study_tools *tools)
{
    const struct lab_bineareye_shape *timed = &lab_bineareye_shapes[LAB_BINEAREYE_DEEP];
    const enum lab_bineareye_input first = LAB_BINEAREYE_THERMOMETER;
    struct lab_study_work *work = calloc(1, sizeof(*work));
    double learning, classifying, hours = 0;
    uint32_t left = 0;
    int r = work ? lab_study_work_open(work, tools, "timing",
                                       make_recipe(study, first, LAB_BINEAREYE_DEEP),
                                       study->pictures, 1)
                 : tell("timing", -ENOMEM);
    r = r < 0 ? r : lab_study_work_time(work, tools, &learning, &classifying);
    lab_study_work_close(work);
    for (uint32_t s = 0; r == 0 && s < study->seeds * LAB_BINEAREYE_SHAPES; s++) {
        const uint32_t shape = s % LAB_BINEAREYE_SHAPES, seed = s / LAB_BINEAREYE_SHAPES;
        const struct lab_bineareye_shape *of = &lab_bineareye_shapes[shape];
        const double ratio = lab_bineareye_operations(of, lab_bineareye_planes(of, first)) /
                             lab_bineareye_operations(timed, lab_bineareye_planes(timed, first));
        for (uint32_t i = 0; i < LAB_BINEAREYE_INPUTS; i++) {
            if (study->cells[i][shape][seed].pictures == 0 &&
                (seed == 0 || lab_bineareye_shapes[shape].seeds)) {
                left++;
                hours += ratio *
                         (learning * study->pictures * epochs_of(study, shape) +
                          classifying * study->test * (LAB_LIGHT_EXPOSURES + 1)) /
                         3600;
            }
        }
    }
    if (r == 0) {
        printf("bineareye (%s), %u pictures, %u epochs of width 64, %u seeds, %u test pictures\n"
               "%u networks to train and measure, %.2f h, as measured just now\n",
               study->title, study->pictures, study->epochs, study->seeds, study->test, left,
               hours);
        fflush(stdout);
    }
    return r;
}

/* run: false only loads results. The cheapest networks come first, more seeds last. */
static int visit_all(struct lab_bineareye *study, const struct lab_study_tools *tools, bool run)
{
    int r = 0;
    for (uint32_t seed = 0; seed < study->seeds; seed++) {
        for (uint32_t shape = 0; shape < LAB_BINEAREYE_SHAPES; shape++) {
            for (uint32_t i = 0; r == 0 && i < LAB_BINEAREYE_INPUTS; i++) {
                const enum lab_bineareye_input input = (enum lab_bineareye_input)i;
                char name[LAB_BINEAREYE_NAME_MAX];
                make_name(input, shape, seed, name);
                r = run ? run_cell(study, tools, input, shape, seed)
                        : load(study, name, &study->cells[i][shape][seed]);
            }
        }
    }
    return r;
}

static int work(struct lab_bineareye *study, const struct lab_study_tools *tools)
{
    char plan[256];
    snprintf(plan, sizeof(plan),
             "bineareye: %u training pictures of %u classes, %u epochs, %u test pictures\n",
             study->pictures, study->classes, study->epochs, study->test);
    int r = lab_study_enter(study->directory, plan);
    r = r < 0 ? r : visit_all(study, tools, false);
    r = r < 0 ? r : print_plan(study, tools);
    r = r < 0 ? r : visit_all(study, tools, true);
    r = r < 0 ? r : lab_bineareye_report(study);
    if (r == 0) {
        printf("%s/report.md\n", study->directory);
    }
    return r;
}

int lab_bineareye_reproduce(const struct lab_args *args)
{
    struct lab_bineareye *study = calloc(1, sizeof(*study));
    struct lab_study_tools tools = {0};
    struct lab_study_sizes asked, sizes;
    uint64_t threads;
    uint32_t mask;
    if (!study) {
        lab_error("out of memory");
        return LAB_EXIT_FAILED;
    }
    if (lab_study_parse(args, &whole, &quick, &asked, &threads, &mask) < 0) {
        free(study);
        return LAB_EXIT_USAGE;
    }
    sizes = asked;
    int r = lab_study_open(&tools, args, threads, mask, &sizes);
    if (r == 0) {
        const char *out = args->values[LAB_OPTION_OUT];
        study->directory = out ? out : DEFAULT_OUT;
        study->classes = tools.data.tree.class_count;
        study->pictures = (uint32_t)sizes.pictures;
        study->test = (uint32_t)sizes.test;
        study->epochs = (uint32_t)sizes.epochs;
        study->seeds = (uint32_t)sizes.seeds;
        study->title = lab_study_same_sizes(&asked, &quick)   ? "quick"
                       : lab_study_same_sizes(&asked, &whole) ? "whole"
                                                              : "other sizes than the usual";
        r = work(study, &tools);
    }
    lab_study_close(&tools);
    free(study);
    return r < 0 ? LAB_EXIT_FAILED : LAB_EXIT_OK;
}
