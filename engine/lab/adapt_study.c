/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Scenes of adapt_study.h made of a tree of windows, labels drawn, trainers taught and measured.
 */
#include "engine/lab/adapt_study.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/gradient/gradient.h"
#include "engine/kernel/cpu.h"
#include "engine/lab/lab.h"
#include "engine/train/train.h"

#define STEPS       9u /* of the search for a strength */
#define WINDOWS_MAX 4000u
#define NOMINAL     3 /* stops below full scale */
#define BIAS_RATE   1.0f
#define SGD_RATE    0.4f

const uint32_t lab_adapt_stops[LAB_ADAPT_STOPS] = {5, 10, LAB_ADAPT_LABELS};
const char *const lab_adapt_schemes[LAB_ADAPT_SCHEMES] = {"trainer", "prototypes", "biases", "sgd"};

/* ---- windows ---- */

static bool same_photograph(const char *a, const char *b)
{
    const char *x = strrchr(a, '/'), *y = strrchr(b, '/');
    size_t n;

    x = x != NULL ? x + 1 : a;
    y = y != NULL ? y + 1 : b;
    n = strcspn(x, ".");
    if (n != strcspn(y, ".") || n == 0) {
        return false;
    }
    n -= isalpha((unsigned char)x[n - 1]) != 0;
    return strncmp(x, y, n) == 0;
}

static void find_sources(struct lab_adapt_study *study)
{
    for (uint32_t i = 0; i < study->count; i++) {
        study->source[i] = i;
        for (uint32_t j = 0; j < i; j++) {
            const struct lab_tree_file *a = &study->samples.tree.files[i];
            const struct lab_tree_file *b = &study->samples.tree.files[j];

            if (a->class_index == b->class_index && same_photograph(a->path, b->path)) {
                study->source[i] = study->source[j];
                break;
            }
        }
    }
}

/* Codes of planes at an exposure of 2^stops. */
static void encode(struct lab_adapt_study *study, const uint16_t *planes, int stops, uint8_t *codes)
{
    const struct network_input *input = study->model.input;
    const int shift = NOMINAL - stops;

    for (size_t i = 0; i < study->samples.values; i++) {
        study->exposed[i] = (uint16_t)(planes[i] >> shift);
    }
    gradient_encode(&input->front, study->exposed, input->target.width, input->target.height,
                    (uint16_t)(65535 >> NOMINAL), codes);
}

static void make_scene(struct lab_adapt_study *study, enum lab_adapt_scene scene, double strength,
                       bool light)
{
    for (uint32_t i = 0; i < study->count; i++) {
        const size_t at = i * study->model.code_bytes;

        lab_adapt_show(scene, &study->window, strength, study->patterns + scene, i,
                       study->samples.planes + i * study->samples.values, study->work,
                       study->shown);
        encode(study, study->shown, 0, study->scene + at);
        if (light) {
            encode(study, study->shown, -4, study->dark + at);
            encode(study, study->shown, 2, study->bright + at);
        }
    }
}

/* ---- measuring ---- */

struct accuracy {
    double balanced, all; /* percent of the windows that are measured */
};

static struct accuracy measure(struct lab_adapt_study *study, struct train_online *online,
                               const uint8_t *codes)
{
    double right[2] = {0}, count[2] = {0};

    for (uint32_t i = 0; i < study->count; i++) {
        const uint32_t label = study->samples.labels[i];

        if (study->held[i]) {
            train_online_predict(online, codes + i * study->model.code_bytes, study->scores);
            count[label]++;
            right[label] += network_argmax(study->scores, 2) == label;
        }
    }
    return (struct accuracy){50 * (right[0] / count[0] + right[1] / count[1]),
                             100 * (right[0] + right[1]) / (count[0] + count[1])};
}

static int make_trainer(const struct lab_adapt_study *study,
                        const struct train_online_settings *settings,
                        struct train_online **ret_online)
{
    const char *reason = "out of memory";
    const int r = train_online_create(study->model.model, 0, settings, ret_online, &reason);

    if (r < 0) {
        lab_error("adapt: %s", reason);
    }
    return r;
}

int lab_adapt_enter(struct lab_adapt_study *study, enum lab_adapt_scene scene, double *ret_strength)
{
    struct train_online_settings settings;
    struct train_online *base;
    double low = 0, high = 1;
    int r;

    lab_adapt_settings(study, LAB_ADAPT_RULE, &settings);
    r = make_trainer(study, &settings, &base);
    if (r < 0) {
        return r;
    }
    memset(study->held, 1, study->count * sizeof(*study->held));
    for (uint32_t step = 0; step < STEPS; step++) {
        const double middle = (low + high) / 2;

        make_scene(study, scene, middle, false);
        *(measure(study, base, study->scene).balanced > LAB_ADAPT_AIM ? &low : &high) = middle;
    }
    train_online_destroy(base);
    if (high == 1) {
        lab_error("adapt: no %s makes the model err", lab_adapt_names[scene]);
        return -ERANGE;
    }
    make_scene(study, scene, high, true);
    *ret_strength = high;
    return 0;
}

int lab_adapt_draw(struct lab_adapt_study *study, uint64_t seed, uint32_t *labelled)
{
    uint32_t *order = malloc(study->count * sizeof(*order));
    uint32_t count[2] = {0}, left[2] = {0};

    if (order == NULL) {
        lab_error("out of memory");
        return -ENOMEM;
    }
    memset(study->held, 1, study->count * sizeof(*study->held));
    train_shuffle(seed, 77, study->count, order);
    for (uint32_t k = 0; k < study->count; k++) {
        const uint32_t i = order[k], label = study->samples.labels[i];

        if (count[label] == LAB_ADAPT_LABELS / 2 || !study->held[i]) {
            continue;
        }
        labelled[2 * count[label]++ + (label ^ (seed & 1))] = i;
        for (uint32_t j = 0; j < study->count; j++) {
            study->held[j] = study->held[j] && study->source[j] != study->source[i];
        }
    }
    free(order);
    for (uint32_t i = 0; i < study->count; i++) {
        left[study->samples.labels[i]] += study->held[i];
    }
    if (count[0] + count[1] < LAB_ADAPT_LABELS || left[0] == 0 || left[1] == 0) {
        lab_error("adapt: each class needs pictures of more than %u photographs",
                  LAB_ADAPT_LABELS / 2);
        return -EINVAL;
    }
    return 0;
}

/* ---- teaching ---- */

void lab_adapt_settings(const struct lab_adapt_study *study, enum lab_adapt_scheme scheme,
                        struct train_online_settings *ret_settings)
{
    train_online_defaults(study->model.model, 0, ret_settings);
    ret_settings->cpu = study->kernels.cpu;
    switch (scheme) {
    case LAB_ADAPT_PROTOTYPES:
        ret_settings->head = TRAIN_ONLINE_PROTOTYPE;
        break;
    case LAB_ADAPT_BIASES:
        ret_settings->head = TRAIN_ONLINE_BIAS;
        ret_settings->bias_rate = BIAS_RATE;
        break;
    case LAB_ADAPT_SGD: /* the last label alone, in one step */
        ret_settings->head = TRAIN_ONLINE_LOWRANK;
        ret_settings->recent = 1;
        ret_settings->passes = 1;
        ret_settings->rate = SGD_RATE;
        ret_settings->hold = 0;
        break;
    default:
        break;
    }
}

/* The model's file with the trainer's layers. The caller frees it. */
static int make_file(const struct lab_adapt_study *study, struct train_online *online,
                     void **ret_file, size_t *ret_size)
{
    struct network_description model = *network_model_describe(study->model.model);
    struct network_point *points = malloc(model.point_count * sizeof(*points));
    struct network_layer *layers = malloc(model.points[0].layer_count * sizeof(*layers));
    int r = points != NULL && layers != NULL ? 0 : -ENOMEM;

    if (r == 0) {
        memcpy(points, model.points, model.point_count * sizeof(*points));
        memcpy(layers, points[0].layers, points[0].layer_count * sizeof(*layers));
        for (uint32_t i = 0; i < points[0].layer_count; i++) {
            train_online_layer(online, i, &layers[i]); /* others stay as they are */
        }
        points[0].layers = layers;
        model.points = points;
        r = network_model_write(&model, ret_file, ret_size, NULL);
    }
    free(points);
    free(layers);
    return r;
}

static int put_file(const struct lab_adapt_study *study, struct train_online *online,
                    struct lab_adapt_disk *disk, bool first, uint64_t *bytes)
{
    void *file;
    size_t size;
    int r = make_file(study, online, &file, &size);

    if (r < 0) {
        return r;
    }
    *bytes += first ? 0 : size;
    if (disk != NULL) {
        r = first ? lab_adapt_disk_begin(disk, file, size)
                  : lab_adapt_disk_rewrite(disk, file, size);
    }
    free(file);
    return r;
}

static int learn_one(struct lab_adapt_study *study, struct train_online *online, uint32_t window)
{
    struct train_online_answer answer;

    return train_online_learn(online, study->scene + window * study->model.code_bytes,
                              study->samples.labels[window], window, &answer);
}

/* Nothing to record, or a record that would do harm, is no error here. */
static int flush(struct train_online *online, const void **ret_record, size_t *ret_size,
                 bool *ret_prototypes)
{
    struct train_online_verdict verdict = {0};
    const int r = train_online_flush(online, ret_record, ret_size, &verdict);

    if (r == -EAGAIN || r == -ECANCELED) {
        *ret_size = 0;
        return 0;
    }
    *ret_prototypes = verdict.head == TRAIN_ONLINE_PROTOTYPE;
    return r;
}

static int teach(struct lab_adapt_study *study, struct train_online *online,
                 const struct lab_adapt_way *way, const uint32_t *labelled, uint32_t n,
                 struct lab_adapt_outcome *outcome)
{
    const void *record;
    size_t size;
    int r = 0;

    if (way->by_label) {
        r = put_file(study, online, way->disk, true, &outcome->record);
    } else if (way->disk != NULL) {
        r = lab_adapt_disk_begin(way->disk, NULL, 0);
    }
    for (uint32_t k = 0; r == 0 && k < n; k++) {
        r = learn_one(study, online, labelled[k]);
        if (r == 0 && way->by_label) {
            r = flush(online, &record, &size, &outcome->prototypes);
            r = r == 0 ? put_file(study, online, way->disk, false, &outcome->record) : r;
        }
    }
    if (r == 0 && n > 0 && !way->by_label) {
        r = flush(online, &record, &size, &outcome->prototypes);
        outcome->record = r == 0 ? size : 0;
        if (r == 0 && size > 0 && way->disk != NULL) {
            r = lab_adapt_disk_commit(way->disk, record, size);
        }
    }
    if (way->disk != NULL) {
        const int end = lab_adapt_disk_end(way->disk, &outcome->store, &outcome->device);

        r = r < 0 ? r : end;
    }
    return r;
}

int lab_adapt_run(struct lab_adapt_study *study, const struct train_online_settings *settings,
                  const struct lab_adapt_way *way, const uint32_t *labelled, uint32_t n,
                  struct lab_adapt_outcome *ret_outcome)
{
    struct lab_adapt_outcome outcome = {0};
    struct train_online *online;
    int r = make_trainer(study, settings, &online);

    if (r < 0) {
        return r;
    }
    r = teach(study, online, way, labelled, n, &outcome);
    if (r < 0) {
        lab_error("adapt: %s", strerror(-r));
    } else {
        outcome.scene = measure(study, online, study->scene).balanced;
        outcome.original = measure(study, online, study->original).all;
        if (way->light) {
            outcome.dark = measure(study, online, study->dark).balanced;
            outcome.bright = measure(study, online, study->bright).balanced;
        }
        *ret_outcome = outcome;
    }
    train_online_destroy(online);
    return r;
}

/* ---- opening ---- */

static int take_buffers(struct lab_adapt_study *study)
{
    const size_t codes = study->model.code_bytes, values = study->samples.values;

    study->source = malloc(study->count * sizeof(*study->source));
    study->held = malloc(study->count * sizeof(*study->held));
    study->original = malloc(study->count * codes);
    study->scene = malloc(study->count * codes);
    study->dark = malloc(study->count * codes);
    study->bright = malloc(study->count * codes);
    study->shown = malloc(values * sizeof(uint16_t));
    study->exposed = malloc(values * sizeof(uint16_t));
    study->work = malloc(2 * values * sizeof(float));
    return study->source != NULL && study->held != NULL && study->original != NULL &&
                   study->scene != NULL && study->dark != NULL && study->bright != NULL &&
                   study->shown != NULL && study->exposed != NULL && study->work != NULL
               ? 0
               : -ENOMEM;
}

int lab_adapt_open(struct lab_adapt_study *study, const char *model, const char *directory,
                   uint32_t cpu_mask, uint64_t patterns)
{
    const struct network_input *input;
    int r;

    memset(study, 0, sizeof(*study));
    study->patterns = patterns;
    kernel_table_init(&study->kernels, kernel_cpu_detect() & cpu_mask);
    r = lab_model_open(&study->model, model, &study->kernels);
    if (r < 0) {
        return r;
    }
    input = study->model.input;
    r = lab_samples_init(&study->samples, directory, input, &study->kernels);
    if (r < 0) {
        return r;
    }
    study->count = study->samples.tree.file_count;
    if (study->model.labels != 2 || study->samples.tree.class_count != 2 ||
        study->count > WINDOWS_MAX || study->samples.tree.packed != NULL ||
        input->front.source != GRADIENT_SOURCE_LOG_GRADIENT) {
        lab_error("adapt: expected a log-gradient model of two classes and a folder of at most %u "
                  "pictures for it",
                  WINDOWS_MAX);
        return -EINVAL;
    }
    study->window =
        (struct lab_adapt_window){input->target.width, input->target.height, input->front.planes};
    r = take_buffers(study);
    if (r < 0) {
        lab_error("%s", strerror(-r));
        return r;
    }
    find_sources(study);
    for (uint32_t i = 0; i < study->count; i++) {
        encode(study, study->samples.planes + i * study->samples.values, 0,
               study->original + i * study->model.code_bytes);
    }
    return 0;
}

void lab_adapt_close(struct lab_adapt_study *study)
{
    free(study->source);
    free(study->held);
    free(study->original);
    free(study->scene);
    free(study->dark);
    free(study->bright);
    free(study->shown);
    free(study->exposed);
    free(study->work);
    lab_samples_finish(&study->samples);
    lab_model_close(&study->model);
}
