/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Times the trainer's convolutions beside oneDNN's and beside OpenBLAS's sgemm over columns: the
 * layers of the lg3 network, batch 128, forward, gradient of the input, gradient of the weights;
 * one thread, all in turns, processor time. Prints GFLOP/s, medians, and milliseconds of all passes
 * that a training step needs (the first layer's input gets no gradient). oneDNN gets its own
 * layouts ready made, which favours it, and all of them the same shapes. Usage: bench_product
 * [ROUNDS]
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cblas.h>
#include <oneapi/dnnl/dnnl.h>

#include "engine/kernel/cpu.h"
#include "engine/train/graph.h"
#include "tests/bench/timing.h"

#define BATCH      128
#define KERNEL     3
#define ROUNDS_MAX 1000

enum pass { FORWARD = 0, INPUT_GRADIENT, WEIGHT_GRADIENT, PASSES };

static const struct shape {
    int side, in, out;
} shapes[] = {{32, 6, 32}, {16, 32, 64}, {8, 64, 128}};

#define SHAPES 3

static void check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "bench_product: %s failed\n", what);
        exit(1);
    }
}

static float *new_floats(size_t count)
{
    float *values = malloc(count * sizeof(*values));
    check(values != NULL, "malloc");
    for (size_t i = 0; i < count; i++) {
        values[i] = (float)(train_random(1, 2, i) % 3) - 1.0f;
    }
    return values;
}

/* What all but oneDNN work on: [BATCH][side][side][channels]. */
struct data {
    struct shape shape;
    float *in, *out, *in_gradient, *weights, *weight_gradient, *columns;
};

static void make_data(const struct shape *shape, struct data *data)
{
    const size_t area = (size_t)BATCH * (size_t)(shape->side * shape->side);
    const size_t taps = (size_t)(KERNEL * KERNEL * shape->in), out = (size_t)shape->out;

    data->shape = *shape;
    data->in = new_floats(area * (size_t)shape->in);
    data->out = new_floats(area * out);
    data->in_gradient = new_floats(area * (size_t)shape->in);
    data->weights = new_floats(taps * out);
    data->weight_gradient = new_floats(taps * out);
    data->columns = new_floats((size_t)(shape->side * shape->side) * taps);
}

/* ---- the trainer's ---- */

static struct train *make_train(const struct shape *shape)
{
    const struct train_layer layers[] = {
        {.operation = TRAIN_IDENTITY, .norm = true}, /* so that the input wants a gradient */
        {.operation = TRAIN_CONV,
         .out = (uint32_t)shape->out,
         .kernel = {KERNEL, KERNEL},
         .stride = {1, 1},
         .pad = {1, 1},
         .bias = true},
        {.operation = TRAIN_DENSE, .out = 2, .bias = true},
    };
    const uint32_t side = (uint32_t)shape->side;
    const struct train_network network = {{side, side, (uint32_t)shape->in}, 3, layers};
    const struct train_settings settings = {.batch = 1, .cpu = kernel_cpu_detect(), .seed = 1};
    struct train *train;
    float *image = new_floats((size_t)(shape->side * shape->side * shape->in));

    check(train_create(&network, &settings, &train, NULL) == 0, "train_create");
    train_forward(train, image, 1, true, NULL); /* lays out the weights */
    free(image);
    return train;
}

static void run_train(struct train *train, struct data *data, enum pass pass)
{
    struct train_node *node = &train->nodes[2];
    const size_t area = (size_t)(data->shape.side * data->shape.side);
    const size_t in_size = area * (size_t)data->shape.in, out_size = area * (size_t)data->shape.out;

    for (size_t i = 0; i < BATCH; i++) {
        const float *in = data->in + i * in_size;
        float *out = data->out + i * out_size;

        if (pass == FORWARD) {
            train_conv_forward(train->ops, node, false, in, out, &train->scratch[0]);
        } else { /* both gradients in one call where the input's is wanted */
            train_conv_backward(train->ops, node, in, out, data->weight_gradient, i > 0,
                                pass == INPUT_GRADIENT ? data->in_gradient + i * in_size : NULL,
                                &train->scratch[0]);
        }
    }
}

/* ---- sgemm over columns ---- */

/* One image: columns [side * side][taps], each tap a pixel's channels. */
static void gather(const struct shape *shape, const float *in, float *columns)
{
    const size_t bytes = (size_t)shape->in * sizeof(float);

    for (int y = 0; y < shape->side; y++) {
        for (int x = 0; x < shape->side; x++) {
            for (int tap = 0; tap < KERNEL * KERNEL; tap++, columns += shape->in) {
                const int v = y + tap / KERNEL - 1, u = x + tap % KERNEL - 1;

                if (v < 0 || v >= shape->side || u < 0 || u >= shape->side) {
                    memset(columns, 0, bytes);
                } else {
                    memcpy(columns, in + (v * shape->side + u) * shape->in, bytes);
                }
            }
        }
    }
}

static void scatter(const struct shape *shape, const float *columns, float *in)
{
    memset(in, 0, (size_t)(shape->side * shape->side * shape->in) * sizeof(*in));
    for (int y = 0; y < shape->side; y++) {
        for (int x = 0; x < shape->side; x++) {
            for (int tap = 0; tap < KERNEL * KERNEL; tap++, columns += shape->in) {
                const int v = y + tap / KERNEL - 1, u = x + tap % KERNEL - 1;

                for (int c = 0;
                     v >= 0 && v < shape->side && u >= 0 && u < shape->side && c < shape->in; c++) {
                    in[(v * shape->side + u) * shape->in + c] += columns[c];
                }
            }
        }
    }
}

static void run_blas(struct data *data, enum pass pass)
{
    const struct shape *shape = &data->shape;
    const int area = shape->side * shape->side, taps = KERNEL * KERNEL * shape->in;

    for (int i = 0; i < BATCH; i++) {
        const float *in = data->in + (size_t)i * (size_t)(area * shape->in);
        float *out = data->out + (size_t)i * (size_t)(area * shape->out);

        if (pass != INPUT_GRADIENT) {
            gather(shape, in, data->columns);
        }
        if (pass == FORWARD) {
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, area, shape->out, taps, 1.0f,
                        data->columns, taps, data->weights, shape->out, 0.0f, out, shape->out);
        } else if (pass == WEIGHT_GRADIENT) {
            cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, taps, shape->out, area, 1.0f,
                        data->columns, taps, out, shape->out, i > 0 ? 1.0f : 0.0f,
                        data->weight_gradient, shape->out);
        } else {
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, area, taps, shape->out, 1.0f, out,
                        shape->out, data->weights, shape->out, 0.0f, data->columns, taps);
            scatter(shape, data->columns,
                    data->in_gradient + (size_t)i * (size_t)(area * shape->in));
        }
    }
}

/* ---- oneDNN ---- */

static dnnl_engine_t engine;
static dnnl_stream_t stream;

struct primitive {
    dnnl_primitive_t primitive; /* NULL: not to be had on this machine */
    dnnl_exec_arg_t args[3];
};

static dnnl_memory_t new_memory(const_dnnl_primitive_desc_t pd, dnnl_query_t what)
{
    dnnl_memory_t memory;
    void *bytes;

    check(dnnl_memory_create(&memory, dnnl_primitive_desc_query_md(pd, what, 0), engine,
                             DNNL_MEMORY_ALLOCATE) == dnnl_success,
          "dnnl_memory_create");
    dnnl_memory_get_data_handle(memory, &bytes);
    memset(bytes, 0x3c, dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(pd, what, 0)));
    return memory;
}

static void make_primitive(struct primitive *made, const dnnl_convolution_desc_t *conv,
                           const_dnnl_primitive_desc_t hint, const int *args,
                           const dnnl_query_t *queries, dnnl_primitive_desc_t *ret_pd)
{
    dnnl_primitive_desc_t pd;

    if (dnnl_primitive_desc_create(&pd, conv, NULL, engine, hint) != dnnl_success) {
        return;
    }
    for (int i = 0; i < 3; i++) {
        made->args[i] = (dnnl_exec_arg_t){args[i], new_memory(pd, queries[i])};
    }
    check(dnnl_primitive_create(&made->primitive, pd) == dnnl_success, "dnnl_primitive_create");
    if (ret_pd != NULL) {
        *ret_pd = pd;
    } else {
        dnnl_primitive_desc_destroy(pd);
    }
}

static void make_onednn(const struct shape *shape, dnnl_data_type_t type, bool interleaved,
                        struct primitive *made)
{
    const dnnl_dims_t in_dims = {BATCH, shape->in, shape->side, shape->side},
                      out_dims = {BATCH, shape->out, shape->side, shape->side},
                      weight_dims = {shape->out, shape->in, KERNEL, KERNEL}, ones = {1, 1};
    const dnnl_format_tag_t tag = interleaved ? dnnl_nhwc : dnnl_format_tag_any;
    dnnl_memory_desc_t in, out, weights;
    dnnl_convolution_desc_t conv;
    dnnl_primitive_desc_t hint = NULL;

    dnnl_memory_desc_init_by_tag(&in, 4, in_dims, type, tag);
    dnnl_memory_desc_init_by_tag(&out, 4, out_dims, type, tag);
    dnnl_memory_desc_init_by_tag(&weights, 4, weight_dims, type, dnnl_format_tag_any);
    dnnl_convolution_forward_desc_init(&conv, dnnl_forward_training, dnnl_convolution_direct, &in,
                                       &weights, NULL, &out, ones, ones, ones);
    make_primitive(
        &made[FORWARD], &conv, NULL, (const int[]){DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
        (const dnnl_query_t[]){dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md}, &hint);
    if (hint == NULL) {
        return;
    }
    dnnl_convolution_backward_data_desc_init(&conv, dnnl_convolution_direct, &in, &weights, &out,
                                             ones, ones, ones);
    make_primitive(&made[INPUT_GRADIENT], &conv, hint,
                   (const int[]){DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
                   (const dnnl_query_t[]){dnnl_query_diff_src_md, dnnl_query_weights_md,
                                          dnnl_query_diff_dst_md},
                   NULL);
    dnnl_convolution_backward_weights_desc_init(&conv, dnnl_convolution_direct, &in, &weights, NULL,
                                                &out, ones, ones, ones);
    make_primitive(&made[WEIGHT_GRADIENT], &conv, hint,
                   (const int[]){DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST},
                   (const dnnl_query_t[]){dnnl_query_src_md, dnnl_query_diff_weights_md,
                                          dnnl_query_diff_dst_md},
                   NULL);
    dnnl_primitive_desc_destroy(hint);
}

static void run_onednn(const struct primitive *made)
{
    check(dnnl_primitive_execute(made->primitive, stream, 3, made->args) == dnnl_success,
          "dnnl_primitive_execute");
    dnnl_stream_wait(stream);
}

/* ---- all in turns ---- */

/* Microseconds of this process: what else the machine does counts less than by the clock. */
static double spent_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

enum peer { TRAINER = 0, ONEDNN_BLOCKED, ONEDNN_INTERLEAVED, ONEDNN_BF16, BLAS, PEERS };

static const char *const peer_names[PEERS] = {"trainer", "oneDNN f32, its layouts",
                                              "oneDNN f32, interleaved", "oneDNN bf16",
                                              "OpenBLAS sgemm, columns"};

struct layer {
    struct data data;
    struct train *train;
    struct primitive onednn[3][PASSES];
    double times[PEERS][PASSES][ROUNDS_MAX]; /* microseconds */
};

static void run(struct layer *layer, int peer, enum pass pass)
{
    if (peer == TRAINER) {
        run_train(layer->train, &layer->data, pass);
    } else if (peer == BLAS) {
        run_blas(&layer->data, pass);
    } else if (layer->onednn[peer - 1][pass].primitive != NULL) {
        run_onednn(&layer->onednn[peer - 1][pass]);
    }
}

static void measure(struct layer *layers, int rounds)
{
    for (int round = -1; round < rounds; round++) { /* the first one warms up */
        for (int i = 0; i < SHAPES * PEERS * PASSES; i++) {
            struct layer *layer = &layers[i / (PEERS * PASSES)];
            const int peer = i / PASSES % PEERS, pass = i % PASSES;
            const double start = spent_us();

            run(layer, peer, (enum pass)pass);
            if (round >= 0) {
                layer->times[peer][pass][round] = spent_us() - start;
            }
        }
    }
}

static double median(struct layer *layer, int peer, enum pass pass, int rounds)
{
    double time = timing_median(layer->times[peer][pass], (size_t)rounds);

    /* The trainer's call for the input's gradient gives that of the weights too. */
    return peer == TRAINER && pass == INPUT_GRADIENT
               ? time - timing_median(layer->times[peer][WEIGHT_GRADIENT], (size_t)rounds)
               : time;
}

static void print(struct layer *layers, int rounds)
{
    printf("GFLOP/s, batch %d, one thread, medians of %d: forward, input gradient, weight "
           "gradient\n%-26s",
           BATCH, rounds, "");
    for (int s = 0; s < SHAPES; s++) {
        printf("%6dx%d, %d to %-8d", shapes[s].side, shapes[s].side, shapes[s].in, shapes[s].out);
    }
    puts("  ms a step");
    for (int peer = 0; peer < PEERS; peer++) {
        double step = 0;

        if (peer >= ONEDNN_BLOCKED && peer <= ONEDNN_BF16 &&
            layers[0].onednn[peer - 1][FORWARD].primitive == NULL) {
            printf("%-26s not to be had on this machine\n", peer_names[peer]);
            continue;
        }
        printf("%-26s", peer_names[peer]);
        for (int s = 0; s < SHAPES; s++) {
            const double flops = 2.0 * BATCH * KERNEL * KERNEL * shapes[s].side * shapes[s].side *
                                 shapes[s].in * shapes[s].out;

            for (int pass = 0; pass < PASSES; pass++) {
                const double time = median(&layers[s], peer, (enum pass)pass, rounds);

                printf(" %6.1f", flops / time / 1e3);
                step += s == 0 && pass == INPUT_GRADIENT ? 0 : time / 1e3;
            }
            printf("  ");
        }
        printf(" %8.1f\n", step);
    }
}

/* libgomp reads its number of threads when it is loaded. */
static void stay_alone(char **argv)
{
    const char *threads = getenv("OMP_NUM_THREADS");

    if (threads == NULL || strcmp(threads, "1") != 0) {
        setenv("OMP_NUM_THREADS", "1", 1);
        setenv("OPENBLAS_NUM_THREADS", "1", 1);
        execv("/proc/self/exe", argv);
    }
}

int main(int argc, char **argv)
{
    const int rounds = argc > 1 ? atoi(argv[1]) : 15;
    struct layer *layers = calloc(SHAPES, sizeof(*layers));

    stay_alone(argv);
    if (rounds < 1 || rounds > ROUNDS_MAX) {
        fputs("usage: bench_product [ROUNDS]\n", stderr);
        return 2;
    }
    check(layers != NULL, "calloc");
    check(dnnl_engine_create(&engine, dnnl_cpu, 0) == dnnl_success, "dnnl_engine_create");
    check(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags) == dnnl_success,
          "dnnl_stream_create");
    for (int s = 0; s < SHAPES; s++) {
        make_data(&shapes[s], &layers[s].data);
        layers[s].train = make_train(&shapes[s]);
        make_onednn(&shapes[s], dnnl_f32, false, layers[s].onednn[0]);
        make_onednn(&shapes[s], dnnl_f32, true, layers[s].onednn[1]);
        make_onednn(&shapes[s], dnnl_bf16, false, layers[s].onednn[2]);
    }
    measure(layers, rounds);
    print(layers, rounds);
    return 0; /* the rest is the system's to free */
}
