/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab calibrate: what a model's confidence is worth on pictures that it has not seen, the
 * temperature that mends it, and thresholds for wished rates. The model is not trained; a copy of
 * it with the temperature in its last multipliers is written where --output asks for one.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/lab/draft.h"
#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/model.h"
#include "engine/lab/options.h"
#include "engine/lab/roc.h"
#include "engine/lab/samples.h"
#include "engine/lab/temperature.h"

#define MULTIPLIER_LIMIT (0x1p31 - 1)
#define SHIFT_MAX        31
#define DEFAULT_FOUND    95.0 /* percent */
#define DEFAULT_MISTAKEN 1.0

/* A point of the curve that was wished for. */
struct wish {
    const char *kind; /* "recall" or "false_positives" */
    double percent, found, mistaken, threshold;
};

struct calibrating {
    struct kernel_table kernels;
    struct lab_model model;
    struct lab_samples samples;
    uint32_t *label_of_class;
    uint32_t positive;
    struct lab_answers answers;
    double temperature, loss[2], error[2]; /* before, after */
    double found, mistaken;                /* wished, percent */
    struct wish wishes[2];
    uint32_t wish_count;
};

/* ---- answers ---- */

static int match_labels(struct calibrating *calibrating)
{
    const struct lab_tree *tree = &calibrating->samples.tree;
    calibrating->label_of_class = calloc(tree->class_count, sizeof(uint32_t));
    if (!calibrating->label_of_class) {
        lab_error("out of memory");
        return -ENOMEM;
    }
    for (uint32_t c = 0; c < tree->class_count; c++) {
        int r = lab_model_find_label(&calibrating->model, tree->classes[c],
                                     &calibrating->label_of_class[c]);
        if (r < 0) {
            lab_error("folder '%s' is no label of the model", tree->classes[c]);
            return r;
        }
    }
    return 0;
}

/* The first half of each class by name is one half: pictures of one source mostly stay together. */
static int split(struct calibrating *calibrating)
{
    const struct lab_tree *tree = &calibrating->samples.tree;
    uint32_t *total = calloc(tree->class_count, sizeof(*total));
    uint32_t *seen = calloc(tree->class_count, sizeof(*seen));
    if (total && seen) {
        for (uint32_t i = 0; i < tree->file_count; i++) {
            total[tree->files[i].class_index]++;
        }
        for (uint32_t i = 0; i < tree->file_count; i++) {
            uint32_t c = tree->files[i].class_index;
            calibrating->answers.half[i] = seen[c]++ >= total[c] / 2;
        }
    }
    int r = total && seen ? 0 : -ENOMEM;
    free(total);
    free(seen);
    return r;
}

static int answer(struct calibrating *calibrating)
{
    const struct lab_samples *samples = &calibrating->samples;
    struct lab_answers *answers = &calibrating->answers;
    struct lab_model *model = &calibrating->model;
    answers->labels = model->labels;
    answers->count = samples->tree.file_count;
    answers->scores = calloc(answers->count, model->labels * sizeof(int32_t));
    answers->truth = calloc(answers->count, sizeof(*answers->truth));
    answers->half = calloc(answers->count, 1);
    int r = answers->scores && answers->truth && answers->half ? split(calibrating) : -ENOMEM;
    if (r < 0) {
        lab_error("%s", strerror(-r));
        return r;
    }
    for (size_t i = 0; i < answers->count; i++) {
        lab_model_classify(model, samples->planes + i * samples->values, samples->whites[i]);
        memcpy(answers->scores + i * model->labels, model->scores, model->labels * sizeof(int32_t));
        answers->truth[i] = calibrating->label_of_class[samples->labels[i]];
    }
    return 0;
}

/* ---- figures ---- */

static void fit(struct calibrating *calibrating)
{
    const struct lab_answers *answers = &calibrating->answers;
    const double as_it_is[2] = {1.0, 1.0};
    /* Each half is judged at the temperature of the other. */
    const double crossed[2] = {lab_temperature_fit(answers, LAB_HALF_SECOND),
                               lab_temperature_fit(answers, LAB_HALF_FIRST)};
    calibrating->temperature = lab_temperature_fit(answers, LAB_HALF_BOTH);
    calibrating->loss[0] = lab_temperature_loss(answers, LAB_HALF_BOTH, 1.0);
    calibrating->loss[1] = lab_temperature_loss(answers, LAB_HALF_BOTH, calibrating->temperature);
    calibrating->error[0] = lab_temperature_error(answers, as_it_is);
    calibrating->error[1] = lab_temperature_error(answers, crossed);
}

static void add_wish(struct calibrating *calibrating, const struct lab_roc *roc,
                     const struct lab_roc_point *point, const char *kind, double percent)
{
    if (point) {
        calibrating->wishes[calibrating->wish_count++] =
            (struct wish){.kind = kind,
                          .percent = percent,
                          .found = 100.0 * (double)point->found / (double)roc->positives,
                          .mistaken = 100.0 * (double)point->mistaken / (double)roc->negatives,
                          .threshold = lab_roc_probability(point->margin)};
    }
}

static int choose_thresholds(struct calibrating *calibrating)
{
    const struct lab_answers *answers = &calibrating->answers;
    uint32_t positive = calibrating->positive;
    struct lab_roc roc;
    if (answers->labels != 2) {
        return 0;
    }
    struct lab_answer *list = calloc(answers->count, sizeof(*list));
    for (size_t i = 0; list && i < answers->count; i++) {
        const int32_t *scores = answers->scores + 2 * i;
        list[i] = (struct lab_answer){(int64_t)scores[positive] - scores[1 - positive],
                                      answers->truth[i] == positive};
    }
    int r = list ? lab_roc_init(&roc, list, answers->count) : -ENOMEM;
    if (r == 0) {
        add_wish(calibrating, &roc, lab_roc_at_found(&roc, calibrating->found / 100), "recall",
                 calibrating->found);
        add_wish(calibrating, &roc, lab_roc_at_mistaken(&roc, calibrating->mistaken / 100),
                 "false_positives", calibrating->mistaken);
        lab_roc_finish(&roc);
    } else if (r == -ENOMEM) {
        lab_error("out of memory");
    }
    free(list);
    return r == -EDOM ? 0 : r; /* pictures of one class have no curve */
}

/* The threshold that stands for the same margin once scores are divided by the temperature. */
static double mended(const struct calibrating *calibrating, double threshold)
{
    double odds = log(threshold) - log1p(-threshold);
    return 1 / (1 + exp(-odds / calibrating->temperature));
}

/* ---- telling ---- */

static void print_text(const struct calibrating *calibrating)
{
    const struct network_model *model = calibrating->model.model;
    printf("model              %s, id %s\n", network_model_name(model), network_model_id(model));
    printf("pictures           %zu\n", calibrating->answers.count);
    printf("temperature        %.4f\n", calibrating->temperature);
    printf("                      as it is  with temperature\n");
    printf("calibration error  %9.2f %%  %14.2f %%\n", 100 * calibrating->error[0],
           100 * calibrating->error[1]);
    printf("loss               %11.4f  %16.4f\n", calibrating->loss[0], calibrating->loss[1]);
    for (uint32_t i = 0; i < calibrating->wish_count; i++) {
        const struct wish *wish = &calibrating->wishes[i];
        bool recall = strcmp(wish->kind, "recall") == 0;
        printf("%-19s%s %g %%: found %.2f %%, false positives %.2f %%; threshold %.6f, with "
               "temperature %.6f\n",
               network_model_label(model, calibrating->positive),
               recall ? "found at least" : "false positives at most", wish->percent, wish->found,
               wish->mistaken, wish->threshold, mended(calibrating, wish->threshold));
    }
}

static cJSON *make_json(const struct calibrating *calibrating)
{
    const struct network_model *model = calibrating->model.model;
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "model", network_model_id(model));
    cJSON_AddNumberToObject(object, "pictures", (double)calibrating->answers.count);
    cJSON_AddNumberToObject(object, "temperature", calibrating->temperature);
    cJSON_AddNumberToObject(object, "error_before", calibrating->error[0]);
    cJSON_AddNumberToObject(object, "error_after", calibrating->error[1]);
    cJSON_AddNumberToObject(object, "loss_before", calibrating->loss[0]);
    cJSON_AddNumberToObject(object, "loss_after", calibrating->loss[1]);
    cJSON *list = calibrating->wish_count > 0 ? cJSON_AddArrayToObject(object, "thresholds") : NULL;
    for (uint32_t i = 0; i < calibrating->wish_count; i++) {
        const struct wish *wish = &calibrating->wishes[i];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "label", network_model_label(model, calibrating->positive));
        cJSON_AddStringToObject(item, "wished", wish->kind);
        cJSON_AddNumberToObject(item, "percent", wish->percent);
        cJSON_AddNumberToObject(item, "found_percent", wish->found);
        cJSON_AddNumberToObject(item, "mistaken_percent", wish->mistaken);
        cJSON_AddNumberToObject(item, "threshold_before", wish->threshold);
        cJSON_AddNumberToObject(item, "threshold_after", mended(calibrating, wish->threshold));
        cJSON_AddItemToArray(list, item);
    }
    return object;
}

static int print_json(const struct calibrating *calibrating)
{
    cJSON *object = make_json(calibrating);
    char *text = cJSON_Print(object);
    cJSON_Delete(object);
    if (!text) {
        lab_error("out of memory");
        return -ENOMEM;
    }
    puts(text);
    free(text);
    return 0;
}

/* ---- the copy ---- */

/* Divides a packed layer's multipliers; the shift keeps them as large as they can be. */
static int divide(const struct network_layer *from, double temperature, int32_t *mult,
                  struct network_layer *layer)
{
    double factor = 1 / temperature;
    int64_t largest = 0;
    int shift = from->shift;
    for (uint32_t o = 0; o < from->out; o++) {
        const int64_t size = from->mult[o] < 0 ? -(int64_t)from->mult[o] : from->mult[o];
        largest = size > largest ? size : largest;
    }
    const double most = (double)largest;
    for (; most * factor > MULTIPLIER_LIMIT && shift > 1; shift--) {
        factor /= 2;
    }
    for (; most * factor * 2 <= MULTIPLIER_LIMIT && shift < SHIFT_MAX; shift++) {
        factor *= 2;
    }
    if (most * factor > MULTIPLIER_LIMIT) {
        return -ERANGE;
    }
    for (uint32_t o = 0; o < from->out; o++) {
        mult[o] = (int32_t)floor((double)from->mult[o] * factor + 0.5);
    }
    layer->shift = (uint8_t)shift;
    layer->mult = mult;
    return 0;
}

/* The model's provenance and the figures; the caller frees it. */
static char *describe_origin(const struct calibrating *calibrating)
{
    const char *before = network_model_describe(calibrating->model.model)->provenance;
    cJSON *object = before ? cJSON_Parse(before) : cJSON_CreateObject();
    cJSON_DeleteItemFromObjectCaseSensitive(object, "calibration");
    cJSON_AddItemToObject(object, "calibration", make_json(calibrating));
    char *text = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    return text;
}

static int write_copy(const struct calibrating *calibrating, const char *path)
{
    struct network_description description = *network_model_describe(calibrating->model.model);
    struct network_layer layers[NETWORK_LAYERS_MAX];
    struct network_point points[NETWORK_POINTS_MAX];
    struct network_point *point = &points[0]; /* the one that was measured */
    struct network_layer *last = &layers[description.points[0].layer_count - 1];
    struct network_scan_meaning scan;
    const char *reason = NULL;
    void *bytes = NULL;
    size_t size;
    if (description.scan) { /* margins shrink as scores do */
        scan = *description.scan;
        scan.slope *= calibrating->temperature;
        description.scan = &scan;
    }
    memcpy(points, description.points, description.point_count * sizeof(*points));
    memcpy(layers, point->layers, point->layer_count * sizeof(*layers));
    if (last->weights == NETWORK_WEIGHTS_F32) {
        lab_error("%s: only a packed model can be written with its temperature",
                  network_model_name(calibrating->model.model));
        return -ENOTSUP;
    }
    int32_t *mult = calloc(last->out, sizeof(*mult));
    char *origin = describe_origin(calibrating);
    int r = mult && origin ? divide(last, calibrating->temperature, mult, last) : -ENOMEM;
    if (r == 0) {
        point->layers = layers;
        description.points = points;
        description.provenance = origin;
        r = network_model_write(&description, &bytes, &size, &reason);
    }
    if (r == 0) {
        r = lab_file_write(path, bytes, size);
    }
    if (r < 0) {
        lab_error("%s: %s", path, reason ? reason : strerror(-r));
    }
    free(bytes);
    free(origin);
    free(mult);
    return r;
}

/* ---- the command ---- */

static int parse(const struct lab_args *args, struct calibrating *calibrating)
{
    uint32_t mask;
    calibrating->found = DEFAULT_FOUND;
    calibrating->mistaken = DEFAULT_MISTAKEN;
    if (lab_args_percent(args, LAB_OPTION_RECALL, &calibrating->found) < 0 ||
        lab_args_percent(args, LAB_OPTION_FALSE_POSITIVES, &calibrating->mistaken) < 0 ||
        lab_args_cpu_mask(args, &mask) < 0) {
        return -EINVAL;
    }
    kernel_table_init(&calibrating->kernels, kernel_cpu_detect() & mask);
    return 0;
}

static int open_all(struct calibrating *calibrating, const struct lab_args *args)
{
    int r = lab_model_open(&calibrating->model, args->operands[0], &calibrating->kernels);
    if (r == 0) {
        r = lab_model_positive(&calibrating->model, args->values[LAB_OPTION_POSITIVE],
                               &calibrating->positive);
    }
    if (r == 0) {
        r = lab_samples_init(&calibrating->samples, args->operands[1], calibrating->model.input,
                             &calibrating->kernels);
    }
    return r < 0 ? r : match_labels(calibrating);
}

static void close_all(struct calibrating *calibrating)
{
    lab_samples_finish(&calibrating->samples);
    lab_model_close(&calibrating->model);
    free(calibrating->label_of_class);
    free(calibrating->answers.scores);
    free(calibrating->answers.truth);
    free(calibrating->answers.half);
}

int lab_calibrate(const struct lab_args *args)
{
    struct calibrating calibrating = {0};
    const char *output = args->values[LAB_OPTION_OUTPUT];
    if (parse(args, &calibrating) < 0) {
        return LAB_EXIT_USAGE;
    }
    int r = open_all(&calibrating, args);
    if (r == 0) {
        r = answer(&calibrating);
    }
    if (r == 0) {
        fit(&calibrating);
        r = choose_thresholds(&calibrating);
    }
    if (r == 0 && output) {
        r = write_copy(&calibrating, output);
    }
    if (r == 0 && lab_args_given(args, LAB_OPTION_JSON)) {
        r = print_json(&calibrating);
    } else if (r == 0) {
        print_text(&calibrating);
    }
    close_all(&calibrating);
    return r < 0 ? LAB_EXIT_FAILED : LAB_EXIT_OK;
}
