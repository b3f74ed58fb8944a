/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Trains and measures for the study of log codes: networks as recipes say, and float networks whose
 * norms are folded and whose activations or weights are held to codes. Nothing is learned there;
 * ranges are chosen on training pictures.
 */
#include "engine/lab/lognet.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lab/lab.h"
#include "engine/lab/progress.h"

#define TRIALS 4 /* of full-scale ranges of a layer: one that holds its peak, and below */

static int tell(const char *name, int r, const char *reason)
{
    lab_error("%s: %s", name, reason ? reason : strerror(-r));
    return r;
}

/* The first `count` samples. It borrows everything. */
static struct lab_samples first(const struct lab_samples *all, uint32_t count)
{
    return lab_study_part(all, &all->input.front, 0, count);
}

static int open_work(struct lab_study_work *work, const struct lab_lognet *lognet,
                     const struct lab_study_tools *tools, enum lab_lognet_training training,
                     uint32_t seed)
{
    return lab_study_work_open(work, tools, lab_lognet_training_names[training],
                               lab_lognet_recipe(lognet, training), lognet->pictures, seed + 1);
}

/* ---- training ---- */

int lab_lognet_train(struct lab_lognet *lognet, const struct lab_study_tools *tools,
                     enum lab_lognet_training training, uint32_t seed)
{
    struct lab_lognet_trained *trained = &lognet->trained[training][seed];
    struct lab_lognet_trained measured = {0};
    char name[LAB_LOGNET_NAME_MAX];
    lab_lognet_name(training, seed, name);
    struct lab_study_work *work = calloc(1, sizeof(*work));
    int r = work ? open_work(work, lognet, tools, training, seed) : tell(name, -ENOMEM, NULL);
    if (r == 0) {
        r = lab_study_work_restore(work, lognet->directory, name);
    }
    if (r == -ENOENT) {
        r = lab_study_work_learn(work, lognet->directory, name);
        measured.diverged = r == -ERANGE; /* a finding, not a failure */
        r = measured.diverged ? 0 : r;
    }
    if (r == 0) {
        const struct lab_samples on = first(&tools->test, lognet->test);
        struct lab_score score;
        lab_learner_measure(&work->learner, &on, &score);
        measured.right = score.right;
        measured.pictures = score.count;
        *trained = measured;
        r = lab_lognet_save_trained(lognet, training, seed);
    }
    lab_study_work_close(work);
    return r;
}

/* ---- norms folded ---- */

void lab_lognet_fold_layers(uint32_t count, struct train_layer *layers)
{
    for (uint32_t i = 0; i < count; i++) {
        layers[i].norm = TRAIN_NORM_NONE;
        layers[i].bias = true;
        layers[i].weights = layers[i].output = (struct train_coding){.kind = TRAIN_F32};
    }
}

static void fold_layer(const struct train_view *weight, const struct train *from, uint32_t layer,
                       struct train_view *to_weight, struct train_view *to_bias)
{
    const size_t out = to_bias->count;
    struct train_view gamma, beta, mean, variance, bias;
    memcpy(to_weight->data, weight->data, weight->count * sizeof(float));
    if (train_view(from, layer, TRAIN_BIAS, &bias) == 0) {
        memcpy(to_bias->data, bias.data, out * sizeof(float));
        return;
    }
    if (train_view(from, layer, TRAIN_GAMMA, &gamma) < 0 ||
        train_view(from, layer, TRAIN_BETA, &beta) < 0 ||
        train_view(from, layer, TRAIN_MEAN, &mean) < 0 ||
        train_view(from, layer, TRAIN_VARIANCE, &variance) < 0) {
        return; /* neither norm nor bias */
    }
    for (size_t c = 0; c < out; c++) {
        const float gain = gamma.data[c] / sqrtf(variance.data[c] + TRAIN_NORM_EPSILON);
        to_bias->data[c] = beta.data[c] - gain * mean.data[c];
        for (size_t i = c; i < weight->count; i += out) { /* outputs are innermost */
            to_weight->data[i] *= gain;
        }
    }
}

void lab_lognet_fold(const struct train *from, uint32_t layers, struct train *to)
{
    for (uint32_t i = 0; i < layers; i++) {
        struct train_view weight, to_weight, to_bias;
        if (train_view(from, i, TRAIN_WEIGHT, &weight) == 0 &&
            train_view(to, i, TRAIN_WEIGHT, &to_weight) == 0 &&
            train_view(to, i, TRAIN_BIAS, &to_bias) == 0) {
            fold_layer(&weight, from, i, &to_weight, &to_bias);
        }
    }
    train_touch(to);
}

/* ---- codes without learning ---- */

/* A float network of a seed, and the pictures and peaks by which ranges are chosen. */
struct subject {
    const struct lab_study_tools *tools;
    struct lab_study_work *trained;
    struct lab_samples test;
    struct lab_batch pictures;
    uint32_t count;
    float weights[LAB_LOGNET_LAYERS], outputs[LAB_LOGNET_LAYERS]; /* largest magnitudes */
};

/* The subject's network with norms folded and the layers' codings. */
static int open_coded(struct lab_study_work *work, const struct subject *subject,
                      const struct train_coding weights[LAB_LOGNET_LAYERS],
                      const struct train_coding outputs[LAB_LOGNET_LAYERS])
{
    const char *reason = NULL;
    work->recipe = subject->trained->recipe;
    work->data = subject->trained->data;
    lab_lognet_fold_layers(LAB_LOGNET_LAYERS, work->recipe.layers);
    for (uint32_t i = 0; i < LAB_LOGNET_LAYERS; i++) {
        work->recipe.layers[i].weights = weights[i];
        work->recipe.layers[i].output = outputs[i];
    }
    int r = lab_learner_init(&work->learner, &work->recipe, &work->data, 0, subject->tools->cpu,
                             &subject->tools->workers, &reason);
    if (r == 0) {
        lab_lognet_fold(subject->trained->learner.train, LAB_LOGNET_LAYERS, work->learner.train);
    }
    return r < 0 ? tell("codings", r, reason) : 0;
}

/* Mean cross-entropy over the subject's pictures; with `peaks` also the largest outputs. */
static double loss_of(struct lab_study_work *work, const struct subject *subject, float *peaks)
{
    struct train *train = work->learner.train;
    const uint32_t room = work->learner.batch.room;
    const struct network_shape in = network_input_shape(&work->recipe.input);
    const size_t size = (size_t)in.height * in.width * in.channels;
    double loss = 0;
    for (uint32_t at = 0; at < subject->count; at += room) {
        const uint32_t n = subject->count - at < room ? subject->count - at : room;
        struct train_result result;
        train_forward(train, subject->pictures.images + at * size, n, false,
                      &subject->tools->workers);
        train_measure(train, TRAIN_SOFTMAX, subject->pictures.labels + at, &result);
        loss += result.loss * n / subject->count;
        for (uint32_t l = 0; peaks && l < LAB_LOGNET_LAYERS; l++) {
            const struct train_shape shape = train_layer_shape(train, l);
            const size_t values = (size_t)n * shape.height * shape.width * shape.channels;
            float step;
            const float *out = train_output(train, l, &step);
            for (size_t i = 0; i < values; i++) {
                peaks[l] = fmaxf(peaks[l], fabsf(out[i] * step));
            }
        }
    }
    return loss;
}

static int find_peaks(struct subject *subject)
{
    const struct train_coding f32[LAB_LOGNET_LAYERS] = {{.kind = TRAIN_F32}};
    struct lab_study_work *work = calloc(1, sizeof(*work));
    int r = work ? open_coded(work, subject, f32, f32) : -ENOMEM;
    if (r == 0) {
        loss_of(work, subject, subject->outputs);
        for (uint32_t l = 0; l < LAB_LOGNET_LAYERS; l++) {
            struct train_view view;
            if (train_view(work->learner.train, l, TRAIN_WEIGHT, &view) == 0) {
                for (size_t i = 0; i < view.count; i++) {
                    subject->weights[l] = fmaxf(subject->weights[l], fabsf(view.data[i]));
                }
            }
        }
    }
    lab_study_work_close(work);
    return r;
}

/* The full-scale range that just holds a peak, as TRAIN_FSR_TRACKED takes it. */
static int fsr_of(enum lab_lognet_grid grid, float peak)
{
    int exponent;
    const bool power = frexpf(peak > 0x1p-50f && peak < 0x1p50f ? peak : 1.0f, &exponent) == 0.5f;
    return exponent - power + (grid != LAB_LOGNET_STEPS);
}

/* Layer after layer, input first: the range with the least loss, earlier layers in their codes and
 * later ones in float; the largest of equals. */
static int choose_ranges(const struct subject *subject, const struct lab_lognet_coding *coding,
                         struct train_coding weights[LAB_LOGNET_LAYERS],
                         struct train_coding outputs[LAB_LOGNET_LAYERS])
{
    int r = 0;
    for (uint32_t l = 0; r == 0 && l < LAB_LOGNET_LAYERS; l++) {
        const bool of_weights = lab_lognet_has_weights(coding->part, l);
        struct train_coding *chosen = of_weights ? &weights[l] : &outputs[l], best = *chosen;
        double least = INFINITY;
        if (!of_weights && !lab_lognet_has_outputs(coding->part, l)) {
            continue;
        }
        const int trials = coding->part == LAB_LOGNET_PEAKS ? 1 : TRIALS;
        const int top =
            fsr_of(coding->grid, of_weights ? subject->weights[l] : subject->outputs[l]);
        for (int trial = 0; r == 0 && trial < trials; trial++) {
            struct lab_study_work *work = calloc(1, sizeof(*work));
            *chosen = (struct train_coding){
                .kind = coding->grid == LAB_LOGNET_STEPS ? TRAIN_LEVELS : TRAIN_LOG,
                .bits = (uint8_t)(coding->bits + LAB_LOGNET_BITS_MIN),
                .root = coding->grid == LAB_LOGNET_ROOT2,
                .fsr = (int8_t)(top - trial),
            };
            r = work ? open_coded(work, subject, weights, outputs) : -ENOMEM;
            const double loss = r == 0 ? loss_of(work, subject, NULL) : 0;
            if (r == 0 && (loss < least || trial == 0)) {
                least = loss;
                best = *chosen;
            }
            lab_study_work_close(work);
        }
        *chosen = best;
    }
    return r;
}

static int measure_coding(const struct subject *subject, const struct lab_lognet_coding *coding,
                          struct lab_lognet_row *row)
{
    struct train_coding weights[LAB_LOGNET_LAYERS] = {{.kind = TRAIN_F32}};
    struct train_coding outputs[LAB_LOGNET_LAYERS] = {{.kind = TRAIN_F32}};
    struct lab_study_work *work = calloc(1, sizeof(*work));
    struct lab_score score;
    int r = work ? choose_ranges(subject, coding, weights, outputs) : -ENOMEM;
    if (r == 0) {
        r = open_coded(work, subject, weights, outputs);
    }
    if (r == 0) {
        lab_learner_measure(&work->learner, &subject->test, &score);
        row->right = score.right;
        row->pictures = score.count;
        for (uint32_t l = 0; l < LAB_LOGNET_LAYERS; l++) {
            row->fsr[l] = lab_lognet_has_weights(coding->part, l) ? weights[l].fsr : outputs[l].fsr;
        }
    }
    lab_study_work_close(work);
    return r;
}

static int open_subject(struct subject *subject, const struct lab_lognet *lognet, uint32_t seed)
{
    char name[LAB_LOGNET_NAME_MAX];
    lab_lognet_name(LAB_LOGNET_FLOAT, seed, name);
    uint32_t *order = calloc(lognet->calibration, sizeof(*order));
    subject->trained = calloc(1, sizeof(*subject->trained));
    subject->test = first(&subject->tools->test, lognet->test);
    subject->count = lognet->calibration;
    int r = order && subject->trained
                ? open_work(subject->trained, lognet, subject->tools, LAB_LOGNET_FLOAT, seed)
                : tell(name, -ENOMEM, NULL);
    if (r == 0) {
        r = lab_study_work_restore(subject->trained, lognet->directory, name);
        r = r == -ENOENT ? tell(name, r, NULL) : r;
    }
    if (r == 0) {
        r = lab_batch_init(&subject->pictures, &subject->trained->data, subject->count);
        r = r < 0 ? tell(name, r, NULL) : 0;
    }
    if (r == 0) {
        for (uint32_t i = 0; i < subject->count; i++) {
            order[i] = i;
        }
        lab_batch_fill(&subject->pictures, &subject->trained->data, order, subject->count, NULL,
                       &subject->tools->workers);
        r = find_peaks(subject);
    }
    free(order);
    return r;
}

static bool rows_complete(struct lab_lognet *lognet, uint32_t seed)
{
    struct lab_lognet_coding coding;
    for (uint32_t i = 0; lab_lognet_coding_at(i, &coding); i++) {
        if (lab_lognet_row(lognet, seed, &coding)->pictures == 0) {
            return false;
        }
    }
    return true;
}

int lab_lognet_code(struct lab_lognet *lognet, const struct lab_study_tools *tools, uint32_t seed)
{
    struct subject subject = {.tools = tools};
    struct lab_lognet_coding coding;
    struct lab_progress progress;
    char title[LAB_LOGNET_NAME_MAX];
    snprintf(title, sizeof(title), "codings-%u", seed + 1);
    if (rows_complete(lognet, seed)) {
        return 0;
    }
    int r = open_subject(&subject, lognet, seed);
    lab_progress_init(&progress, title, LAB_LOGNET_PARTS * LAB_LOGNET_BITS * LAB_LOGNET_GRIDS);
    for (uint32_t i = 0; r == 0 && lab_lognet_coding_at(i, &coding); i++) {
        struct lab_lognet_row *row = lab_lognet_row(lognet, seed, &coding);
        if (row->pictures == 0) {
            r = measure_coding(&subject, &coding, row);
            r = r < 0 ? r : lab_lognet_save_rows(lognet, seed);
        }
        lab_progress_step(&progress);
    }
    lab_progress_finish(&progress);
    lab_batch_finish(&subject.pictures);
    lab_study_work_close(subject.trained);
    return r;
}

/* ---- timing ---- */

int lab_lognet_time(const struct lab_lognet *lognet, const struct lab_study_tools *tools,
                    double *ret_learning, double *ret_classifying)
{
    struct lab_study_work *work = calloc(1, sizeof(*work));
    int r =
        work ? open_work(work, lognet, tools, LAB_LOGNET_LOG, 0) : tell("timing", -ENOMEM, NULL);
    if (r == 0) {
        r = lab_study_work_time(work, tools, ret_learning, ret_classifying);
    }
    lab_study_work_close(work);
    return r;
}
