/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See bn_toy.h. The first step of a batch norm, and the one that NLMS makes. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lab/bn_toy.h"
#include "engine/train/train.h"

#define SAMPLES  LAB_BN_TOY_SAMPLES
#define CHANNELS LAB_BN_TOY_CHANNELS
#define TAPS     LAB_BN_TOY_TAPS
#define MODES    LAB_BN_TOY_MODES
#define CLASSES  10u
#define WEIGHTS  (MODES * CLASSES)
#define RATE     0.1f
#define STEPS    10u

struct samples {
    double x[SAMPLES * MODES];     /* [sample][channel][tap] */
    float images[SAMPLES * MODES]; /* [sample][tap][channel] */
    uint32_t labels[SAMPLES];
    double sigma[CHANNELS]; /* sqrt(variance + epsilon) */
};

/* Samples whose channels have a mean of `mean` deviations, and labels that depend on them. */
static void draw(uint64_t seed, double mean, struct samples *s)
{
    double square[CHANNELS] = {0};
    lab_bn_toy_samples(seed, s->x);
    for (size_t i = 0; i < (size_t)SAMPLES * MODES; i++) {
        square[i / TAPS % CHANNELS] += s->x[i] * s->x[i] / (SAMPLES * TAPS);
    }
    for (size_t i = 0; i < (size_t)SAMPLES * MODES; i++) {
        const size_t c = i / TAPS % CHANNELS;
        s->x[i] += mean * sqrt(square[c]);
        s->images[(i / MODES * TAPS + i % TAPS) * CHANNELS + c] = (float)s->x[i];
    }
    for (uint32_t c = 0; c < CHANNELS; c++) {
        s->sigma[c] = sqrt(square[c] + (double)TRAIN_NORM_EPSILON);
    }
    for (uint32_t p = 0; p < SAMPLES; p++) { /* the channel that is loudest for its deviation */
        double best = -1;
        for (uint32_t i = 0; i < MODES; i++) {
            const double size = fabs(s->x[(size_t)p * MODES + i]) / s->sigma[i / TAPS];
            if (size > best) {
                best = size;
                s->labels[p] = i / TAPS;
            }
        }
    }
}

/* ---- by the formulas ---- */

/* Both steps of a neuron that reads [channel][tap] and errs by e: dw of batch norm, v = w sigma, is
 * rate / P sum e x / sigma over sigma; that of NLMS rate sum e x / (|x|^2 + P epsilon). */
static double formulas(const struct samples *s)
{
    double differences = 0, steps = 0;
    for (uint32_t i = 0; i < MODES; i++) {
        const uint32_t c = i / TAPS;
        double normed = 0, plain = 0, power = 0;
        for (uint32_t p = 0; p < SAMPLES; p++) {
            const double e = sin(p + 1.0), *x = s->x + (size_t)p * MODES;
            normed += e * (x[i] / s->sigma[c]) / SAMPLES;
            plain += e * x[i];
            for (uint32_t k = 0; k < TAPS; k++) {
                power += x[c * TAPS + k] * x[c * TAPS + k] / TAPS;
            }
        }
        const double a = normed / s->sigma[c];
        const double b = plain / (power + SAMPLES * (double)TRAIN_NORM_EPSILON);
        differences += (a - b) * (a - b);
        steps += b * b;
    }
    return sqrt(differences / steps);
}

/* ---- by the trainer ---- */

/* Two networks of one function: the deviations divided out before the layer, or in its steps. */
struct pair {
    struct train *norm, *nlms;
    struct train_view v, w;
};

static int open_pair(const struct samples *s, uint64_t seed, uint32_t cpu, struct pair *pair)
{
    const struct train_layer norm[] = {{.operation = TRAIN_IDENTITY, .norm = TRAIN_NORM_BATCH},
                                       {.operation = TRAIN_DENSE, .out = CLASSES, .bias = true}};
    const struct train_layer nlms[] = {
        {.operation = TRAIN_DENSE, .out = CLASSES, .bias = true, .norm = TRAIN_NORM_NLMS}};
    const struct train_shape shape = {2, TAPS / 2, CHANNELS};
    const struct train_settings settings = {.batch = SAMPLES, .cpu = cpu, .seed = seed};
    int r = train_create(&(struct train_network){shape, 2, norm}, &settings, &pair->norm, NULL);
    if (r == 0) {
        r = train_create(&(struct train_network){shape, 1, nlms}, &settings, &pair->nlms, NULL);
    }
    if (r < 0 || train_view(pair->norm, 1, TRAIN_WEIGHT, &pair->v) < 0 ||
        train_view(pair->nlms, 0, TRAIN_WEIGHT, &pair->w) < 0) {
        return r < 0 ? r : -EINVAL;
    }
    for (size_t i = 0; i < pair->v.count; i++) {
        pair->w.data[i] = (float)((double)pair->v.data[i] / s->sigma[i / CLASSES % CHANNELS]);
    }
    train_touch(pair->nlms);
    return 0;
}

static void make_step(struct train *train, const struct samples *s, const struct train_view *view,
                      float *change)
{
    static const struct train_optimiser sgd = {.rule = TRAIN_SGD};
    struct train_result result;
    memcpy(change, view->data, WEIGHTS * sizeof(*change));
    train_forward(train, s->images, SAMPLES, true, NULL);
    train_backward(train, TRAIN_SOFTMAX, s->labels, NULL, &result);
    for (size_t i = 0; i < WEIGHTS; i++) {
        change[i] = -RATE * view->gradient[i]; /* the update, before it is rounded to the weight */
    }
    train_update(train, &sgd, RATE);
}

/* differences[n]: of step n + 1 */
static int trainer(const struct samples *s, uint64_t seed, uint32_t cpu, double *differences)
{
    struct pair pair = {0};
    float normed[WEIGHTS], plain[WEIGHTS];
    int r = open_pair(s, seed, cpu, &pair);
    for (uint32_t n = 0; r == 0 && n < STEPS; n++) {
        double difference = 0, size = 0;
        make_step(pair.norm, s, &pair.v, normed);
        make_step(pair.nlms, s, &pair.w, plain);
        for (uint32_t i = 0; i < WEIGHTS; i++) {
            const double a = (double)normed[i] / s->sigma[i / CLASSES % CHANNELS];
            difference += (a - (double)plain[i]) * (a - (double)plain[i]);
            size += (double)plain[i] * (double)plain[i];
        }
        differences[n] = sqrt(difference / size);
    }
    train_destroy(pair.norm);
    train_destroy(pair.nlms);
    return r;
}

int lab_bn_first_step(uint64_t seed, uint32_t cpu, struct lab_bn_first *ret_first)
{
    struct samples *s = calloc(1, sizeof(*s));
    struct lab_bn_first first;
    double differences[STEPS];
    if (!s) {
        return -ENOMEM;
    }
    draw(seed, 0, s);
    first.exact = formulas(s);
    int r = trainer(s, seed, cpu, differences);
    first.trained = differences[0];
    first.second = differences[1];
    first.tenth = differences[STEPS - 1];
    if (r == 0) {
        draw(seed, 1, s);
        r = trainer(s, seed, cpu, differences);
        first.with_mean = differences[0];
    }
    free(s);
    if (r == 0) {
        *ret_first = first;
    }
    return r;
}
