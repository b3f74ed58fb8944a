/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab adapt: how far a model of two classes gets in five scenes from 20 labels, and what it
 * costs elsewhere. The trainer is the daemon's (engine/train/online.h).
 *
 * Each scene is made as strong as the model's balanced accuracy in it falls to AIM. Labelled frames
 * are 10 of each class, of different photographs; everything else of those photographs (mirrored
 * windows above all) is left out of all that is measured. A photograph is a file's name up to one
 * letter before the dot. Light is that of a sensor whose nominal white is 1/8 of its scale.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/gradient/gradient.h"
#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/lab/adapt.h"
#include "engine/lab/lab.h"
#include "engine/lab/model.h"
#include "engine/lab/options.h"
#include "engine/lab/samples.h"
#include "engine/train/online.h"
#include "engine/train/train.h"

#define PER_CLASS     10u
#define AIM           82.0 /* percent */
#define STEPS         9u   /* of the search for a strength */
#define SEEDS_MAX     20u
#define SEEDS_DEFAULT 3u
#define WINDOWS_MAX   4000u
#define NOMINAL       3 /* stops below full scale */
#define BIAS_RATE     0.2f
#define SGD_RATE      1.0f

enum scheme { SCHEME_RULE = 0, SCHEME_PROTOTYPE, SCHEME_BIAS, SCHEME_SGD, SCHEMES };
static const char *const scheme_names[SCHEMES] = {"rule", "prototypes", "biases", "sgd"};

struct study {
    struct lab_model model;
    struct lab_samples samples;
    struct kernel_table kernels;
    struct lab_adapt_window window;
    struct train_online_settings settings;
    uint32_t count;
    uint32_t *source;          /* photograph of a window */
    bool *held;                /* windows that are measured */
    uint8_t *original, *scene; /* codes [window] */
    uint8_t *dark, *bright;    /* the scene at 1/16 and 4 */
    uint16_t *shown, *exposed; /* planes of one window */
    float *work;
    int32_t scores[2];
};

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

static void find_sources(struct study *study)
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
static void encode(struct study *study, const uint16_t *planes, int stops, uint8_t *codes)
{
    const struct network_input *input = study->model.input;
    const int shift = NOMINAL - stops;

    for (size_t i = 0; i < study->samples.values; i++) {
        study->exposed[i] = (uint16_t)(planes[i] >> shift);
    }
    gradient_encode(&input->front, study->exposed, input->target.width, input->target.height,
                    (uint16_t)(65535 >> NOMINAL), codes);
}

static void make_scene(struct study *study, enum lab_adapt_scene scene, double strength)
{
    for (uint32_t i = 0; i < study->count; i++) {
        const size_t at = i * study->model.code_bytes;

        lab_adapt_show(scene, &study->window, strength, scene + 1u, i,
                       study->samples.planes + i * study->samples.values, study->work,
                       study->shown);
        encode(study, study->shown, 0, study->scene + at);
        encode(study, study->shown, -4, study->dark + at);
        encode(study, study->shown, 2, study->bright + at);
    }
}

/* ---- measuring ---- */

struct accuracy {
    double balanced, all; /* percent of the windows that are measured */
};

static struct accuracy measure(struct study *study, struct train_online *online,
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

static int find_strength(struct study *study, struct train_online *online,
                         enum lab_adapt_scene scene, double *ret_strength)
{
    double low = 0, high = 1;

    memset(study->held, 1, study->count * sizeof(*study->held));
    for (uint32_t step = 0; step < STEPS; step++) {
        const double middle = (low + high) / 2;

        make_scene(study, scene, middle);
        *(measure(study, online, study->scene).balanced > AIM ? &low : &high) = middle;
    }
    make_scene(study, scene, high);
    *ret_strength = high;
    return high < 1 ? 0 : -ERANGE;
}

/* Draws the labelled frames; only other photographs are measured from now on. */
static uint32_t draw(struct study *study, uint64_t seed, uint32_t *labelled)
{
    uint32_t *order = malloc(study->count * sizeof(*order));
    uint32_t count[2] = {0}, n = 0;

    if (order == NULL) {
        return 0;
    }
    memset(study->held, 1, study->count * sizeof(*study->held));
    train_shuffle(seed, 77, study->count, order);
    for (uint32_t k = 0; k < study->count; k++) {
        const uint32_t i = order[k], label = study->samples.labels[i];

        if (count[label] == PER_CLASS || !study->held[i]) {
            continue;
        }
        labelled[n++] = i;
        count[label]++;
        for (uint32_t j = 0; j < study->count; j++) {
            study->held[j] = study->held[j] && study->source[j] != study->source[i];
        }
    }
    free(order);
    return n;
}

/* ---- schemes ---- */

struct outcome {
    struct accuracy scene, original, dark, bright;
    uint64_t bytes;
};

/* Labels one after the other, then one flush; `each`: one flush for each label instead. */
static int teach(struct study *study, struct train_online *online, const uint32_t *labelled,
                 uint32_t n, bool each, uint64_t *bytes)
{
    int r = 0;

    *bytes = 0;
    for (uint32_t k = 0; r == 0 && k < n; k++) {
        struct train_online_answer answer;
        struct train_online_verdict verdict;
        const void *record;
        size_t size;

        r = train_online_learn(online, study->scene + labelled[k] * study->model.code_bytes,
                               study->samples.labels[labelled[k]], labelled[k], &answer);
        if (r == 0 && (each || k + 1 == n)) {
            r = train_online_flush(online, &record, &size, &verdict);
            *bytes += r == 0 ? size : 0;
            r = r == -EAGAIN || r == -ECANCELED ? 0 : r;
        }
    }
    return r;
}

static void settings_of(const struct study *study, enum scheme scheme,
                        struct train_online_settings *ret_settings)
{
    *ret_settings = study->settings;
    switch (scheme) {
    case SCHEME_PROTOTYPE:
        ret_settings->head = TRAIN_ONLINE_PROTOTYPE;
        break;
    case SCHEME_BIAS:
        ret_settings->head = TRAIN_ONLINE_BIAS;
        ret_settings->bias_rate = BIAS_RATE;
        break;
    case SCHEME_SGD: /* the last label alone, in one step of full length */
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

static int run(struct study *study, enum scheme scheme, const uint32_t *labelled, uint32_t n,
               struct outcome *ret_outcome)
{
    struct train_online_settings settings;
    struct train_online *online;
    struct outcome outcome;
    const char *reason = "out of memory";
    int r;

    settings_of(study, scheme, &settings);
    r = train_online_create(study->model.model, 0, &settings, &online, &reason);
    if (r < 0) {
        lab_error("adapt: %s", reason);
        return r;
    }
    r = teach(study, online, labelled, n, scheme == SCHEME_SGD, &outcome.bytes);
    if (scheme == SCHEME_SGD) {
        outcome.bytes = (uint64_t)n * study->model.file_bytes; /* written anew each time */
    }
    outcome.scene = measure(study, online, study->scene);
    outcome.original = measure(study, online, study->original);
    outcome.dark = measure(study, online, study->dark);
    outcome.bright = measure(study, online, study->bright);
    train_online_destroy(online);
    *ret_outcome = outcome;
    return r;
}

/* ---- the report ---- */

static void print_row(const char *scene, uint64_t seed, const char *scheme,
                      const struct outcome *before, const struct outcome *after)
{
    printf("%-6s %4" PRIu64 " %-11s %7.2f %7.2f %9.2f %+7.2f %8.2f %8.2f %9" PRIu64 "\n", scene,
           seed, scheme, before->scene.balanced, after->scene.balanced, after->original.all,
           after->original.all - before->original.all, after->dark.balanced, after->bright.balanced,
           after->bytes);
    fflush(stdout);
}

static int run_seed(struct study *study, enum lab_adapt_scene scene, uint64_t seed,
                    struct outcome *sums)
{
    uint32_t labelled[2 * PER_CLASS];
    const uint32_t n = draw(study, seed, labelled);
    struct outcome before, after;
    int r = n == 2 * PER_CLASS ? run(study, SCHEME_RULE, labelled, 0, &before) : -EINVAL;

    for (uint32_t scheme = 0; r == 0 && scheme < SCHEMES; scheme++) {
        r = run(study, (enum scheme)scheme, labelled, n, &after);
        if (r == 0) {
            print_row(lab_adapt_names[scene], seed, scheme_names[scheme], &before, &after);
            sums[scheme].scene.balanced += after.scene.balanced;
            sums[scheme].original.all += after.original.all - before.original.all;
            sums[scheme].dark.balanced += after.dark.balanced - after.scene.balanced;
            sums[scheme].bright.balanced += after.bright.balanced - after.scene.balanced;
            sums[scheme].bytes += after.bytes;
        }
    }
    return r;
}

static int run_scene(struct study *study, enum lab_adapt_scene scene, uint64_t seeds)
{
    struct outcome sums[SCHEMES] = {0};
    struct train_online *base;
    const char *reason = "out of memory";
    double strength = 0;
    int r = train_online_create(study->model.model, 0, &study->settings, &base, &reason);

    if (r < 0) {
        lab_error("adapt: %s", reason);
        return r;
    }
    r = find_strength(study, base, scene, &strength);
    train_online_destroy(base);
    if (r < 0) {
        lab_error("adapt: no %s makes the model err", lab_adapt_names[scene]);
        return r;
    }
    for (uint64_t seed = 1; r == 0 && seed <= seeds; seed++) {
        r = run_seed(study, scene, seed, sums);
    }
    for (uint32_t scheme = 0; r == 0 && scheme < SCHEMES; scheme++) {
        const double n = (double)seeds;

        printf("%-6s mean %-11s strength %.3f: %.2f, original %+.2f, 1/16 %+.2f, 4x %+.2f, "
               "%.0f bytes\n",
               lab_adapt_names[scene], scheme_names[scheme], strength,
               sums[scheme].scene.balanced / n, sums[scheme].original.all / n,
               sums[scheme].dark.balanced / n, sums[scheme].bright.balanced / n,
               (double)sums[scheme].bytes / n);
    }
    return r;
}

/* ---- opening ---- */

static int take_buffers(struct study *study)
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

static int open_study(struct study *study, const struct lab_args *args)
{
    const struct network_input *input;
    uint32_t mask = KERNEL_CPU_ALL;
    int r = lab_args_cpu_mask(args, &mask);

    if (r < 0) {
        return r;
    }
    kernel_table_init(&study->kernels, kernel_cpu_detect() & mask);
    r = lab_model_open(&study->model, args->operands[0], &study->kernels);
    if (r < 0) {
        return r;
    }
    input = study->model.input;
    r = lab_samples_init(&study->samples, args->values[LAB_OPTION_TEST], input, &study->kernels);
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
    train_online_defaults(study->model.model, 0, &study->settings);
    study->settings.cpu = study->kernels.cpu;
    r = take_buffers(study);
    if (r < 0) {
        lab_error("%s", strerror(-r));
    }
    return r;
}

static void close_study(struct study *study)
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

int lab_adapt(const struct lab_args *args)
{
    struct study *study = calloc(1, sizeof(*study));
    uint64_t seeds = SEEDS_DEFAULT;
    int r;

    if (study == NULL) {
        lab_error("out of memory");
        return LAB_EXIT_FAILED;
    }
    r = lab_args_number(args, LAB_OPTION_SEEDS, 1, SEEDS_MAX, &seeds);
    if (r < 0) {
        free(study);
        return LAB_EXIT_USAGE;
    }
    r = open_study(study, args);
    if (r == 0) {
        find_sources(study);
        for (uint32_t i = 0; i < study->count; i++) {
            encode(study, study->samples.planes + i * study->samples.values, 0,
                   study->original + i * study->model.code_bytes);
        }
        printf("%-6s %4s %-11s %7s %7s %9s %7s %8s %8s %9s\n", "scene", "seed", "scheme", "before",
               "after", "original", "change", "at 1/16", "at 4x", "bytes");
    }
    for (uint32_t scene = 0; r == 0 && scene < LAB_ADAPT_SCENES; scene++) {
        r = run_scene(study, (enum lab_adapt_scene)scene, seeds);
    }
    close_study(study);
    free(study);
    return r < 0 ? LAB_EXIT_FAILED : LAB_EXIT_OK;
}
