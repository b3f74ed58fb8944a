/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Epochs of batches through engine/train. The order of pictures is train_random's. */
#include "engine/lab/learn.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lab/progress.h"

#define STREAM_ORDER     ((uint64_t)1 << 32) /* streams of train_random, plus the epoch; */
#define STREAM_VARIATION ((uint64_t)2 << 32) /* those below are engine/train's */

int lab_learner_init(struct lab_learner *learner, const struct lab_recipe *recipe,
                     const struct lab_samples *data, uint64_t seed, uint32_t cpu,
                     const struct train_workers *workers, const char **ret_reason)
{
    struct network_shape in = network_input_shape(&recipe->input);
    const struct train_network network = {
        {in.height, in.width, in.channels}, recipe->layer_count, recipe->layers};
    uint32_t pictures = data->tree.file_count, classes = data->tree.class_count;
    uint32_t batch = recipe->batch < pictures ? recipe->batch : pictures;
    const struct train_settings settings = {batch, cpu, seed, recipe->gradients,
                                            recipe->precision == LAB_BFLOAT16};
    memset(learner, 0, sizeof(*learner));
    learner->recipe = recipe;
    learner->data = data;
    learner->workers = workers;
    learner->seed = seed;
    int r = train_create(&network, &settings, &learner->train, ret_reason);
    if (r < 0) {
        return r;
    }
    /* A last batch of a few pictures would upset the norms: the rest of an epoch is left out. */
    learner->steps = pictures / batch;
    learner->order = calloc(pictures, sizeof(*learner->order));
    learner->class_right = calloc(classes, sizeof(*learner->class_right));
    learner->class_count = calloc(classes, sizeof(*learner->class_count));
    learner->shuffled = calloc(pictures, sizeof(*learner->shuffled));
    learner->next = calloc(classes, sizeof(*learner->next));
    r = learner->order && learner->shuffled && learner->next && learner->class_right &&
                learner->class_count
            ? lab_batch_init(&learner->batch, data, batch)
            : -ENOMEM;
    if (r < 0) {
        lab_learner_finish(learner);
    }
    return r;
}

void lab_learner_finish(struct lab_learner *learner)
{
    train_destroy(learner->train);
    lab_batch_finish(&learner->batch);
    free(learner->order);
    free(learner->shuffled);
    free(learner->next);
    free(learner->class_right);
    free(learner->class_count);
    memset(learner, 0, sizeof(*learner));
}

uint32_t lab_learner_epochs(const struct lab_learner *learner)
{
    return (uint32_t)(train_steps(learner->train) / learner->steps);
}

static void order_epoch(struct lab_learner *learner, uint32_t epoch)
{
    const uint32_t *labels = learner->data->labels;
    uint32_t count = learner->data->tree.file_count, classes = learner->data->tree.class_count;
    if (!learner->recipe->balance) {
        train_shuffle(learner->seed, STREAM_ORDER + epoch, count, learner->order);
        return;
    }
    train_shuffle(learner->seed, STREAM_ORDER + epoch, count, learner->shuffled);
    memset(learner->next, 0, classes * sizeof(*learner->next));
    for (uint32_t i = 0; i < count; i++) { /* classes take turns; trees have no empty ones */
        uint32_t *at = &learner->next[i % classes];
        while (labels[learner->shuffled[*at]] != i % classes) {
            *at = (*at + 1) % count;
        }
        learner->order[i] = learner->shuffled[*at];
        *at = (*at + 1) % count;
    }
}

int lab_learner_learn(struct lab_learner *learner, struct lab_progress *progress,
                      struct train_result *ret_mean, float *ret_rate)
{
    const struct lab_recipe *recipe = learner->recipe;
    uint32_t epoch = lab_learner_epochs(learner), size = learner->batch.room;
    const struct train_schedule schedule = {recipe->schedule, recipe->rate, recipe->final,
                                            (uint64_t)recipe->warmup * learner->steps,
                                            (uint64_t)recipe->epochs * learner->steps};
    struct lab_variation variation = {.shift = recipe->shift,
                                      .mirror = recipe->mirror,
                                      .stops = recipe->stops,
                                      .seed = learner->seed,
                                      .stream = STREAM_VARIATION + epoch};
    struct train_result total = {0}, result;
    order_epoch(learner, epoch);
    for (uint32_t step = 0; step < learner->steps; step++) {
        variation.number = (uint64_t)step * size;
        lab_batch_fill(&learner->batch, learner->data, learner->order + variation.number, size,
                       &variation, learner->workers);
        train_forward(learner->train, learner->batch.images, size, true, learner->workers);
        train_backward(learner->train, recipe->loss, learner->batch.labels, learner->workers,
                       &result);
        if (!isfinite(result.loss)) {
            return -ERANGE;
        }
        *ret_rate = train_rate(&schedule, train_steps(learner->train));
        train_update(learner->train, &recipe->optimiser, *ret_rate);
        total.loss += result.loss / learner->steps;
        total.correct += result.correct;
        if (progress) {
            lab_progress_step(progress);
        }
    }
    *ret_mean = total;
    return 0;
}

static void count_answers(struct lab_learner *learner, uint32_t count, struct lab_score *score)
{
    const float *scores = train_scores(learner->train);
    uint32_t classes = learner->data->tree.class_count;
    for (uint32_t i = 0; i < count; i++, scores += classes) {
        uint32_t best = 0, label = learner->batch.labels[i];
        for (uint32_t c = 1; c < classes; c++) {
            best = scores[c] > scores[best] ? c : best;
        }
        score->right += best == label;
        learner->class_right[label] += best == label;
        learner->class_count[label]++;
    }
    score->count += count;
}

void lab_learner_measure(struct lab_learner *learner, const struct lab_samples *samples,
                         struct lab_score *ret_score)
{
    uint32_t classes = learner->data->tree.class_count, count = samples->tree.file_count;
    struct lab_score score = {0};
    memset(learner->class_right, 0, classes * sizeof(*learner->class_right));
    memset(learner->class_count, 0, classes * sizeof(*learner->class_count));
    for (uint32_t at = 0; at < count; at += learner->batch.room) {
        uint32_t n = count - at < learner->batch.room ? count - at : learner->batch.room;
        for (uint32_t i = 0; i < n; i++) {
            learner->order[i] = at + i;
        }
        lab_batch_fill(&learner->batch, samples, learner->order, n, NULL, learner->workers);
        train_forward(learner->train, learner->batch.images, n, false, learner->workers);
        count_answers(learner, n, &score);
    }
    for (uint32_t c = 0; c < classes; c++) {
        /* Trees have no empty classes. */
        score.balanced += (double)learner->class_right[c] / learner->class_count[c] / classes;
    }
    score.accuracy = (double)score.right / count;
    *ret_score = score;
}
