/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See bn_run.h. */
#include "engine/lab/bn_run.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/lab/bn_eigen.h"
#include "engine/lab/file.h"
#include "engine/lab/lab.h"

#define SIDE         (LAB_BN_SIDE / 2)
#define PIXELS       (SIDE * SIDE)
#define ORDER_STREAM 77u
#define QUIETEST     -1.0 /* gains, as powers of ten */
#define LOUDEST      0.5

static const char *const layer_names[LAB_BN_LAYERS] = {"conv1", "conv2", "conv3", "dense"};

const char *lab_bn_norm_name(uint8_t norm)
{
    static const char *const names[LAB_BN_NORMS] = {"none",     "batch",  "amplify",
                                                    "suppress", "center", "nlms"};
    return names[norm];
}

void lab_bn_cell_name(const struct lab_bn_cell *cell, char name[LAB_BN_NAME])
{
    snprintf(name, LAB_BN_NAME, "%s-%s-%g", lab_bn_norm_name(cell->norm),
             cell->spread ? "spread" : "plain", cell->rate);
}

/* ---- the network ---- */

#define CONV(channels)                                                                             \
    .operation = TRAIN_CONV, .out = (channels), .kernel = {3, 3}, .stride = {1, 1}, .pad = {1, 1}, \
    .activation = TRAIN_RELU
#define POOL .pool = {2, 2}, .pool_stride = {2, 2}

static void make_layers(uint8_t norm, struct train_layer *layers)
{
    const struct train_layer plain[LAB_BN_LAYERS] = {
        {CONV(8), POOL},
        {CONV(16), POOL},
        {CONV(16)},
        {.operation = TRAIN_DENSE, .out = LAB_BN_CLASSES}};
    for (uint32_t i = 0; i < LAB_BN_LAYERS; i++) {
        const bool first = i == 0, last = i + 1 == LAB_BN_LAYERS;
        layers[i] = plain[i];
        layers[i].norm = (norm == TRAIN_NORM_NLMS ? first : last) ? TRAIN_NORM_NONE : norm;
        layers[i].bias = !train_normalises(&layers[i]);
    }
}

static void spread_gains(struct train *train)
{
    for (uint32_t layer = 0; layer + 1 < LAB_BN_LAYERS; layer++) {
        const uint32_t channels = train_layer_shape(train, layer).channels;
        struct train_view view;
        if (train_view(train, layer, TRAIN_WEIGHT, &view) < 0) {
            continue;
        }
        for (size_t i = 0; i < view.count; i++) {
            const double part = (double)(i % channels) / (channels - 1);
            view.data[i] *= (float)pow(10, QUIETEST + (LOUDEST - QUIETEST) * part);
        }
    }
    train_touch(train);
}

/* ---- the trace ---- */

struct trace {
    FILE *layers, *channels;
    char *layers_text, *channels_text;
    size_t layers_size, channels_size;
    double *r;
};

static int trace_open(struct trace *trace)
{
    trace->r = calloc((size_t)LAB_BN_MODES_MAX * LAB_BN_MODES_MAX, sizeof(*trace->r));
    trace->layers = open_memstream(&trace->layers_text, &trace->layers_size);
    trace->channels = open_memstream(&trace->channels_text, &trace->channels_size);
    if (!trace->r || !trace->layers || !trace->channels) {
        return -ENOMEM;
    }
    fputs("step,loss,rate", trace->layers);
    for (uint32_t i = 0; i < LAB_BN_LAYERS; i++) {
        const char *name = layer_names[i];
        fprintf(trace->layers, ",%s_largest,%s_bound,%s_channel_least,%s_channel_most", name, name,
                name, name);
    }
    fputs("\n", trace->layers);
    fputs("step,layer,channel,least,most\n", trace->channels);
    return 0;
}

/* What a layer read in the last pass. */
static struct lab_bn_input input_of(const struct train *train, const struct train_layer *layers,
                                    uint32_t layer, const float *images)
{
    struct lab_bn_input in = {.x = images, .step = 1, .images = LAB_BN_BATCH};
    struct train_shape shape = {SIDE, SIDE, 1};
    if (layer > 0) {
        shape = train_layer_shape(train, layer - 1);
        in.x = train_output(train, layer - 1, &in.step);
    }
    in.height = shape.height;
    in.width = shape.width;
    in.channels = shape.channels;
    for (int axis = 0; axis < 2; axis++) {
        const bool dense = layers[layer].operation == TRAIN_DENSE;
        const uint32_t side = axis == 0 ? shape.height : shape.width;
        in.kernel[axis] = dense ? (uint16_t)side : layers[layer].kernel[axis];
        in.stride[axis] = dense ? 1 : layers[layer].stride[axis];
        in.pad[axis] = layers[layer].pad[axis];
    }
    return in;
}

static int trace_layer(struct trace *trace, uint32_t step, uint32_t layer,
                       const struct lab_bn_input *in)
{
    const uint32_t taps = (uint32_t)in->kernel[0] * in->kernel[1];
    double block[LAB_BN_TAPS_MAX * LAB_BN_TAPS_MAX], values[LAB_BN_TAPS_MAX];
    double least = INFINITY, most = 0;
    int r = lab_bn_autocorrelation(in, trace->r);
    if (r < 0) {
        return r;
    }
    for (uint32_t c = 0; c < in->channels; c++) {
        lab_bn_block(trace->r, in->channels, taps, c, block);
        lab_bn_eigenvalues(taps, block, values);
        least = fmin(least, values[0]);
        most = fmax(most, values[taps - 1]);
        fprintf(trace->channels, "%u,%s,%u,%.6g,%.6g\n", step, layer_names[layer], c, values[0],
                values[taps - 1]);
    }
    const double largest = lab_bn_largest(lab_bn_modes(in), trace->r);
    fprintf(trace->layers, ",%.6g,%.6g,%.6g,%.6g", largest, 2 / largest, least, most);
    return 0;
}

static int trace_step(struct trace *trace, const struct lab_bn_cell *cell,
                      const struct train *train, const struct train_layer *layers,
                      const float *images, uint32_t step, double loss)
{
    int r = 0;
    fprintf(trace->layers, "%u,%.6g,%g", step, loss, cell->rate);
    for (uint32_t i = 0; r == 0 && i < LAB_BN_LAYERS; i++) {
        const struct lab_bn_input in = input_of(train, layers, i, images);
        r = trace_layer(trace, step, i, &in);
    }
    fputs("\n", trace->layers);
    return r;
}

static int write_text(const char *directory, const char *what, const struct lab_bn_cell *cell,
                      const char *text, size_t size)
{
    char path[4096], name[LAB_BN_NAME];
    lab_bn_cell_name(cell, name);
    snprintf(path, sizeof(path), "%s/%s-%s.csv", directory, what, name);
    int r = lab_file_write(path, text, size);
    if (r < 0) {
        lab_error("%s: %s", path, strerror(-r));
    }
    return r;
}

static int trace_write(struct trace *trace, const struct lab_bn_cell *cell, const char *directory)
{
    if (fflush(trace->layers) != 0 || fflush(trace->channels) != 0) {
        return -ENOMEM;
    }
    int r = write_text(directory, "trace", cell, trace->layers_text, trace->layers_size);
    return r < 0 ? r
                 : write_text(directory, "channels", cell, trace->channels_text,
                              trace->channels_size);
}

static void trace_close(struct trace *trace)
{
    if (trace->layers) {
        fclose(trace->layers);
    }
    if (trace->channels) {
        fclose(trace->channels);
    }
    free(trace->layers_text);
    free(trace->channels_text);
    free(trace->r);
}

/* ---- the training ---- */

struct run {
    const struct lab_bn_cell *cell;
    const struct lab_packed *digits;
    struct train_layer layers[LAB_BN_LAYERS];
    struct train *train;
    struct trace trace;
    uint32_t *order;
    float images[LAB_BN_BATCH * PIXELS];
    uint32_t labels[LAB_BN_BATCH];
    double recent[LAB_BN_WINDOW];
};

/* Batch number `step`, from 0: digits in an order of the seed's, another one each time round. */
static void load(struct run *run, uint32_t step)
{
    const uint32_t batches = run->digits->count / LAB_BN_BATCH, at = step % batches;
    if (at == 0) {
        train_shuffle(run->cell->seed, ORDER_STREAM + step / batches, run->digits->count,
                      run->order);
    }
    for (uint32_t i = 0; i < LAB_BN_BATCH; i++) {
        const uint32_t digit = run->order[at * LAB_BN_BATCH + i];
        const uint8_t *from = run->digits->pixels + (size_t)digit * LAB_BN_SIDE * LAB_BN_SIDE;
        run->labels[i] = run->digits->labels[digit];
        for (uint32_t k = 0; k < PIXELS; k++) {
            const uint8_t *quad =
                from + (size_t)(k / SIDE) * 2 * LAB_BN_SIDE + (size_t)(k % SIDE) * 2;
            const int sum = quad[0] + quad[1] + quad[LAB_BN_SIDE] + quad[LAB_BN_SIDE + 1];
            run->images[i * PIXELS + k] = (float)sum / (4 * 255);
        }
    }
}

/* One step; false: it diverged. */
static int make_step(struct run *run, uint32_t step, struct lab_bn_outcome *outcome)
{
    static const struct train_optimiser sgd = {.rule = TRAIN_SGD};
    const struct lab_bn_cell *cell = run->cell;
    struct train_result result;
    load(run, step);
    train_forward(run->train, run->images, LAB_BN_BATCH, true, NULL);
    train_backward(run->train, TRAIN_SOFTMAX, run->labels, NULL, &result);
    outcome->steps = step + 1;
    outcome->first = step == 0 ? result.loss : outcome->first;
    run->recent[step % LAB_BN_WINDOW] = result.loss;
    if (!(result.loss <= LAB_BN_DIVERGED * outcome->first)) {
        outcome->diverged = step + 1;
        return 0;
    }
    double mean = 0;
    for (uint32_t i = 0; i < LAB_BN_WINDOW && i <= step; i++) {
        mean += run->recent[i] / (step < LAB_BN_WINDOW ? step + 1 : LAB_BN_WINDOW);
    }
    outcome->last = mean;
    if (outcome->reached == 0 && step + 1 >= LAB_BN_WINDOW && mean <= LAB_BN_TARGET) {
        outcome->reached = step + 1;
    }
    if (cell->trace_each > 0 && step % cell->trace_each == 0) {
        int r =
            trace_step(&run->trace, cell, run->train, run->layers, run->images, step, result.loss);
        if (r < 0) {
            return r;
        }
    }
    train_update(run->train, &sgd, (float)cell->rate);
    return 0;
}

static int start(struct run *run, uint32_t cpu)
{
    const struct lab_bn_cell *cell = run->cell;
    const struct train_network network = {{SIDE, SIDE, 1}, LAB_BN_LAYERS, run->layers};
    const struct train_settings settings = {.batch = LAB_BN_BATCH, .cpu = cpu, .seed = cell->seed};
    make_layers(cell->norm, run->layers);
    run->order = calloc(run->digits->count, sizeof(*run->order));
    int r = run->order ? train_create(&network, &settings, &run->train, NULL) : -ENOMEM;
    if (r == 0 && cell->spread) {
        spread_gains(run->train);
    }
    return r < 0 || cell->trace_each == 0 ? r : trace_open(&run->trace);
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int lab_bn_cell_run(const struct lab_bn_cell *cell, const struct lab_packed *digits, uint32_t cpu,
                    const char *directory, struct lab_bn_outcome *ret_outcome)
{
    struct lab_bn_outcome outcome = {0};
    struct run *run = calloc(1, sizeof(*run));
    const double from = now_s();
    if (!run) {
        return -ENOMEM;
    }
    run->cell = cell;
    run->digits = digits;
    int r = start(run, cpu);
    for (uint32_t step = 0; r == 0 && outcome.diverged == 0 && step < cell->steps; step++) {
        r = make_step(run, step, &outcome);
    }
    if (r == 0 && cell->trace_each > 0) {
        r = trace_write(&run->trace, cell, directory);
    }
    if (r == 0) {
        outcome.seconds = now_s() - from;
        *ret_outcome = outcome;
    }
    trace_close(&run->trace);
    train_destroy(run->train);
    free(run->order);
    free(run);
    return r;
}
