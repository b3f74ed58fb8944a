/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Learning before the stream: see lab_lrt_prepare in lrt_learn.h. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lab/lrt_learn.h"

#define BATCH   32u
#define RATE    0.0025f
#define BETA1   0.9f
#define BETA2   0.999f
#define EPSILON 1e-8f

/* A parameter with its moments; gradients are summed over a batch. */
struct tensor {
    float *value, *gradient, *first, *second;
    size_t count;
};

enum { TENSORS = 2 * LAB_LRT_LAYERS + 2 * LAB_LRT_NORMS };

struct job {
    struct lab_lrt_net *net;
    struct tensor tensor[TENSORS]; /* weights of the layers, biases, gammas, betas */
    float *memory;
};

static size_t count_of(const struct lab_lrt_net *net, uint32_t tensor)
{
    if (tensor < LAB_LRT_LAYERS) {
        return (size_t)net->layer[tensor].out_c * net->layer[tensor].patch;
    }
    tensor -= LAB_LRT_LAYERS;
    if (tensor < LAB_LRT_LAYERS) {
        return net->layer[tensor].out_c;
    }
    return net->norm[(tensor - LAB_LRT_LAYERS) % LAB_LRT_NORMS].channels;
}

/* Where the network keeps it; NULL: weights. */
static float *place_of(const struct lab_lrt_net *net, uint32_t tensor, const float **ret_gradient)
{
    if (tensor < LAB_LRT_LAYERS) {
        return NULL;
    }
    tensor -= LAB_LRT_LAYERS;
    if (tensor < LAB_LRT_LAYERS) {
        *ret_gradient = net->layer[tensor].bias_gradient;
        return net->layer[tensor].bias;
    }
    tensor -= LAB_LRT_LAYERS;
    const struct lab_lrt_norm *norm = &net->norm[tensor % LAB_LRT_NORMS];
    *ret_gradient = tensor < LAB_LRT_NORMS ? norm->gamma_gradient : norm->beta_gradient;
    return tensor < LAB_LRT_NORMS ? norm->gamma : norm->beta;
}

static int job_init(struct job *job, struct lab_lrt_net *net)
{
    size_t all = 0;
    *job = (struct job){.net = net};
    for (uint32_t i = 0; i < TENSORS; i++) {
        all += count_of(net, i);
    }
    job->memory = calloc(4 * all, sizeof(float));
    if (!job->memory) {
        return -ENOMEM;
    }
    float *next = job->memory;
    for (uint32_t i = 0; i < TENSORS; i++) {
        struct tensor *t = &job->tensor[i];
        const float *gradient;
        const float *place = place_of(net, i, &gradient);
        t->count = count_of(net, i);
        t->value = next;
        t->gradient = t->value + t->count;
        t->first = t->gradient + t->count;
        t->second = t->first + t->count;
        next = t->second + t->count;
        for (size_t k = 0; k < t->count; k++) {
            t->value[k] = place ? place[k] : (float)net->layer[i].codes[k] * lab_lrt_code(net);
        }
    }
    return 0;
}

static void gather(struct job *job)
{
    for (uint32_t i = 0; i < TENSORS; i++) {
        struct tensor *t = &job->tensor[i];
        const float *gradient;
        if (!place_of(job->net, i, &gradient)) {
            lab_lrt_net_weight_gradient(job->net, i, false, t->gradient);
            continue;
        }
        for (size_t k = 0; k < t->count; k++) {
            t->gradient[k] += gradient[k];
        }
    }
}

static void adam(struct tensor *t, float rate, uint64_t step)
{
    const float one = 1 - powf(BETA1, (float)step), two = 1 - powf(BETA2, (float)step);
    for (size_t k = 0; k < t->count; k++) {
        const float g = t->gradient[k] / BATCH;
        t->first[k] += (1 - BETA1) * (g - t->first[k]);
        t->second[k] += (1 - BETA2) * (g * g - t->second[k]);
        t->value[k] -= rate * (t->first[k] / one) / (sqrtf(t->second[k] / two) + EPSILON);
        t->gradient[k] = 0;
    }
}

/* Values into the network: weights as codes. */
static void place(struct job *job)
{
    const float code = lab_lrt_code(job->net);
    for (uint32_t i = 0; i < TENSORS; i++) {
        struct tensor *t = &job->tensor[i];
        const float *gradient;
        float *to = place_of(job->net, i, &gradient);
        for (size_t k = 0; k < t->count; k++) {
            if (to) {
                to[k] = lab_lrt_bias(t->value[k]);
                continue;
            }
            t->value[k] = fminf(fmaxf(t->value[k], -1), 1 - code);
            job->net->layer[i].codes[k] = (int8_t)lrintf(t->value[k] / code);
        }
        if (!to) {
            lab_lrt_net_touch(job->net, i);
        }
    }
}

static double measure(struct lab_lrt_net *net, const struct lab_packed *digits, uint64_t seed)
{
    const struct lab_lrt_stream stream = {
        .digits = digits, .source = LAB_LRT_FROM_VALIDATION, .seed = seed, .length = 1};
    float pixels[LAB_LRT_PIXELS];
    uint32_t right = 0;
    for (uint32_t i = 0; i < LAB_LRT_VALIDATION; i++) {
        uint32_t label;
        lab_lrt_picture(&stream, i, pixels, &label);
        lab_lrt_net_forward(net, pixels, false);
        right += lab_lrt_net_class(net) == label;
    }
    return (double)right / LAB_LRT_VALIDATION;
}

int lab_lrt_prepare(struct lab_lrt_net *net, const struct lab_packed *digits, uint64_t seed,
                    uint64_t pictures, void (*told)(void *user, uint64_t done, double accuracy),
                    void *user, double *ret_accuracy)
{
    const struct lab_lrt_stream stream = {
        .digits = digits, .source = LAB_LRT_FROM_OFFLINE, .seed = seed, .length = pictures};
    struct job job;
    float pixels[LAB_LRT_PIXELS];
    const uint64_t steps = pictures / BATCH;
    double recent = 0.1;
    int r = job_init(&job, net);
    if (r < 0) {
        return r;
    }
    net->fine = true;
    for (uint64_t step = 0; step < steps; step++) {
        for (uint32_t i = 0; i < BATCH; i++) {
            uint32_t label;
            lab_lrt_picture(&stream, step * BATCH + i, pixels, &label);
            lab_lrt_net_forward(net, pixels, true);
            recent += 0.002 * ((lab_lrt_net_class(net) == label) - recent);
            lab_lrt_net_backward(net, label);
            gather(&job);
        }
        const double phase = (double)step / (double)steps;
        for (uint32_t i = 0; i < TENSORS; i++) {
            adam(&job.tensor[i], RATE * (float)(0.5 * (1 + cos(M_PI * phase))), step + 1);
        }
        place(&job);
        if (told && step % 20 == 19) {
            told(user, (step + 1) * BATCH, recent);
        }
    }
    net->fine = false;
    free(job.memory);
    *ret_accuracy = measure(net, digits, seed);
    return 0;
}
