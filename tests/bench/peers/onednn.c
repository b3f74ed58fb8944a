/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Times oneDNN (u8 activations, s8 weights, static scales) on the bench topologies, one thread, as a user would set it
 * up: primitives made once, weights reordered to the layout that each primitive asks for, activations left in the
 * layouts oneDNN chooses. The input is handed over already quantised, which favours this peer. Prints one JSON line a run.
 * Usage: onednn [runs]; the instruction set is bounded by ONEDNN_MAX_CPU_ISA.
 */
#include <oneapi/dnnl/dnnl.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHECK(call)                                                                               \
    do {                                                                                          \
        dnnl_status_t status_ = (call);                                                           \
        if (status_ != dnnl_success) {                                                            \
            fprintf(stderr, "%s:%d: oneDNN error %d in %s\n", __FILE__, __LINE__, (int)status_, #call); \
            exit(1);                                                                              \
        }                                                                                         \
    } while (0)

#define LAYERS_MAX 64

enum op { OP_CONV, OP_DEPTHWISE, OP_POOL, OP_GAP };

struct layer {
    enum op op;
    int kernel, pad, out, relu, stride; /* stride 0 is 1 */
};

struct net {
    const char *name;
    int channels, size; /* square input */
    struct layer layers[32];
    int count;
};

#define SEPARABLE(channels, stride) {OP_DEPTHWISE, 3, 1, 0, 1, stride}, {OP_CONV, 1, 0, channels, 1, 1}

static const struct net nets[] = {
    {"small-32-64-64", 3, 32,
     {{OP_CONV, 3, 1, 32, 1}, {OP_POOL, 2, 0, 0, 0}, {OP_CONV, 3, 1, 64, 1}, {OP_POOL, 2, 0, 0, 0},
      {OP_CONV, 3, 1, 64, 1}, {OP_GAP, 8, 0, 0, 0}, {OP_CONV, 1, 0, 10, 0}}, 7},
    {"lg3-32-64-128", 6, 32,
     {{OP_CONV, 3, 1, 32, 1}, {OP_POOL, 2, 0, 0, 0}, {OP_CONV, 3, 1, 64, 1}, {OP_POOL, 2, 0, 0, 0},
      {OP_CONV, 3, 1, 128, 1}, {OP_POOL, 2, 0, 0, 0}, {OP_CONV, 4, 0, 10, 0}}, 7},
    {"net-b", 3, 32,
     {{OP_CONV, 2, 0, 256, 1}, {OP_CONV, 2, 0, 256, 1}, {OP_POOL, 2, 0, 0, 0}, {OP_CONV, 2, 0, 256, 1},
      {OP_CONV, 2, 0, 256, 1}, {OP_POOL, 2, 0, 0, 0}, {OP_CONV, 2, 0, 256, 1}, {OP_CONV, 2, 0, 256, 1},
      {OP_CONV, 2, 0, 256, 1}, {OP_CONV, 2, 0, 256, 1}, {OP_POOL, 2, 0, 0, 0}, {OP_CONV, 1, 0, 10, 0}}, 12},
    {"bineareye-256", 3, 32,
     {{OP_CONV, 2, 0, 256, 1}, {OP_CONV, 2, 0, 256, 1}, {OP_CONV, 2, 0, 256, 1}, {OP_CONV, 2, 0, 256, 1},
      {OP_POOL, 2, 0, 0, 0}, {OP_CONV, 2, 0, 256, 1}, {OP_CONV, 2, 0, 256, 1}, {OP_POOL, 2, 0, 0, 0},
      {OP_CONV, 2, 0, 256, 1}, {OP_CONV, 2, 0, 256, 1}, {OP_CONV, 4, 0, 10, 0}}, 11},
    {"net-c", 3, 96,
     {{OP_CONV, 3, 1, 8, 1, 2}, SEPARABLE(16, 1), SEPARABLE(32, 2), SEPARABLE(32, 1), SEPARABLE(64, 2),
      SEPARABLE(64, 1), SEPARABLE(128, 2), SEPARABLE(128, 1), SEPARABLE(128, 1), SEPARABLE(128, 1),
      SEPARABLE(128, 1), SEPARABLE(128, 1), SEPARABLE(256, 2), SEPARABLE(256, 1), {OP_GAP, 3, 0, 0, 0, 0},
      {OP_CONV, 1, 0, 10, 0, 0}}, 29},
};

struct step {
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t args[4];
    int arg_count;
};

struct program {
    struct step steps[LAYERS_MAX];
    int count;
    dnnl_memory_t input;
    dnnl_memory_desc_t input_desc;
    uint64_t macs;
};

static dnnl_engine_t engine;
static dnnl_stream_t stream;

static dnnl_memory_t new_memory(const dnnl_memory_desc_t *desc)
{
    dnnl_memory_t memory;

    CHECK(dnnl_memory_create(&memory, desc, engine, DNNL_MEMORY_ALLOCATE));
    return memory;
}

static void fill(dnnl_memory_t memory, const dnnl_memory_desc_t *desc, int low, int high)
{
    int8_t *bytes;
    size_t size = dnnl_memory_desc_get_size(desc);

    CHECK(dnnl_memory_get_data_handle(memory, (void **)&bytes));
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (int8_t)(low + rand() % (high - low + 1));
    }
}

/* Reorder random plain weights into the layout that the primitive chose. */
static dnnl_memory_t weights_for(const dnnl_memory_desc_t *wanted, int rank, const dnnl_dims_t dims)
{
    dnnl_memory_desc_t plain;
    dnnl_memory_t from, to = new_memory(wanted);
    dnnl_primitive_desc_t reorder_desc;
    dnnl_primitive_t reorder;

    CHECK(dnnl_memory_desc_init_by_tag(&plain, rank, dims, dnnl_s8, rank == 5 ? dnnl_goihw : dnnl_oihw));
    from = new_memory(&plain);
    fill(from, &plain, -127, 127);
    CHECK(dnnl_reorder_primitive_desc_create(&reorder_desc, &plain, engine, wanted, engine, NULL));
    CHECK(dnnl_primitive_create(&reorder, reorder_desc));
    dnnl_exec_arg_t args[2] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    CHECK(dnnl_primitive_execute(reorder, stream, 2, args));
    CHECK(dnnl_stream_wait(stream));
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(reorder_desc);
    dnnl_memory_destroy(from);
    return to;
}

static void add_conv(struct program *program, const struct layer *layer, dnnl_memory_t *io,
                     dnnl_memory_desc_t *io_desc, dnnl_dims_t dims, int last)
{
    const int depthwise = layer->op == OP_DEPTHWISE, stride = layer->stride > 0 ? layer->stride : 1;
    const int channels = depthwise ? (int)dims[1] : layer->out;
    dnnl_dims_t out = {dims[0], channels, (dims[2] + 2 * layer->pad - layer->kernel) / stride + 1,
                       (dims[3] + 2 * layer->pad - layer->kernel) / stride + 1};
    dnnl_dims_t plain_dims = {channels, dims[1], layer->kernel, layer->kernel};
    dnnl_dims_t group_dims = {channels, 1, 1, layer->kernel, layer->kernel};
    dnnl_dim_t *wdims = depthwise ? group_dims : plain_dims;
    dnnl_dims_t bdims = {channels}, strides = {stride, stride}, pads = {layer->pad, layer->pad};
    dnnl_memory_desc_t src, wei, bias, dst;
    dnnl_convolution_desc_t desc;
    dnnl_primitive_attr_t attr;
    dnnl_primitive_desc_t pd;
    dnnl_post_ops_t post;
    float scales[1024];
    struct step *step = &program->steps[program->count++];

    CHECK(dnnl_memory_desc_init_by_tag(&src, 4, dims, dnnl_u8, dnnl_format_tag_any));
    CHECK(dnnl_memory_desc_init_by_tag(&wei, depthwise ? 5 : 4, wdims, dnnl_s8, dnnl_format_tag_any));
    CHECK(dnnl_memory_desc_init_by_tag(&bias, 1, bdims, dnnl_s32, dnnl_x));
    CHECK(dnnl_memory_desc_init_by_tag(&dst, 4, out, last ? dnnl_f32 : dnnl_u8, dnnl_format_tag_any));
    CHECK(dnnl_convolution_forward_desc_init(&desc, dnnl_forward_inference, dnnl_convolution_direct,
                                             &src, &wei, &bias, &dst, strides, pads, pads));
    CHECK(dnnl_primitive_attr_create(&attr));
    for (int i = 0; i < channels; i++) {
        scales[i] = 0.001f + 0.00001f * (float)i;
    }
    CHECK(dnnl_primitive_attr_set_output_scales(attr, channels, 2, scales));
    if (layer->relu) {
        CHECK(dnnl_post_ops_create(&post));
        CHECK(dnnl_post_ops_append_eltwise(post, 1.0f, dnnl_eltwise_relu, 0.0f, 0.0f));
        CHECK(dnnl_primitive_attr_set_post_ops(attr, post));
    }
    CHECK(dnnl_primitive_desc_create(&pd, &desc, attr, engine, NULL));
    const dnnl_memory_desc_t *src_md = dnnl_primitive_desc_query_md(pd, dnnl_query_src_md, 0);
    if (*io == NULL) { /* the first layer says what input it wants */
        *io_desc = *src_md;
        *io = new_memory(src_md);
        fill(*io, src_md, 0, 127);
        program->input = *io;
        program->input_desc = *src_md;
    } else if (!dnnl_memory_desc_equal(src_md, io_desc)) {
        dnnl_primitive_desc_t rd;
        dnnl_memory_t changed = new_memory(src_md);
        struct step *convolution = &program->steps[program->count++];

        *convolution = *step;
        CHECK(dnnl_reorder_primitive_desc_create(&rd, io_desc, engine, src_md, engine, NULL));
        CHECK(dnnl_primitive_create(&step->primitive, rd));
        step->args[0] = (dnnl_exec_arg_t){DNNL_ARG_FROM, *io};
        step->args[1] = (dnnl_exec_arg_t){DNNL_ARG_TO, changed};
        step->arg_count = 2;
        *io = changed;
        step = convolution;
    }
    CHECK(dnnl_primitive_create(&step->primitive, pd));
    const dnnl_memory_desc_t *dst_md = dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0);
    dnnl_memory_t bias_memory = new_memory(&bias), output = new_memory(dst_md);
    fill(bias_memory, &bias, 0, 1);
    step->args[0] = (dnnl_exec_arg_t){DNNL_ARG_SRC, *io};
    step->args[1] = (dnnl_exec_arg_t){
        DNNL_ARG_WEIGHTS, weights_for(dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0), depthwise ? 5 : 4, wdims)};
    step->args[2] = (dnnl_exec_arg_t){DNNL_ARG_BIAS, bias_memory};
    step->args[3] = (dnnl_exec_arg_t){DNNL_ARG_DST, output};
    step->arg_count = 4;
    *io = output;
    *io_desc = *dst_md;
    program->macs += (uint64_t)out[1] * (uint64_t)out[2] * (uint64_t)out[3] *
                     (depthwise ? 1 : (uint64_t)dims[1]) * (uint64_t)(layer->kernel * layer->kernel);
    memcpy(dims, out, sizeof(dnnl_dims_t));
    dnnl_primitive_attr_destroy(attr);
}

static void add_pool(struct program *program, const struct layer *layer, dnnl_memory_t *io,
                     dnnl_memory_desc_t *io_desc, dnnl_dims_t dims)
{
    int kernel = layer->op == OP_GAP ? (int)dims[2] : layer->kernel;
    dnnl_dims_t out = {dims[0], dims[1], dims[2] / kernel, dims[3] / kernel};
    dnnl_dims_t k = {kernel, kernel}, zeros = {0, 0};
    dnnl_memory_desc_t dst;
    dnnl_pooling_desc_t desc;
    dnnl_primitive_desc_t pd;
    struct step *step = &program->steps[program->count++];

    CHECK(dnnl_memory_desc_init_by_tag(&dst, 4, out, dnnl_u8, dnnl_format_tag_any));
    CHECK(dnnl_pooling_forward_desc_init(&desc, dnnl_forward_inference,
                                         layer->op == OP_GAP ? dnnl_pooling_avg_exclude_padding
                                                             : dnnl_pooling_max,
                                         io_desc, &dst, k, k, zeros, zeros));
    CHECK(dnnl_primitive_desc_create(&pd, &desc, NULL, engine, NULL));
    const dnnl_memory_desc_t *dst_md = dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0);
    dnnl_memory_t output = new_memory(dst_md);
    CHECK(dnnl_primitive_create(&step->primitive, pd));
    step->args[0] = (dnnl_exec_arg_t){DNNL_ARG_SRC, *io};
    step->args[1] = (dnnl_exec_arg_t){DNNL_ARG_DST, output};
    step->arg_count = 2;
    *io = output;
    *io_desc = *dst_md;
    memcpy(dims, out, sizeof(dnnl_dims_t));
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static void time_net(const struct net *net, int batch, int runs)
{
    struct program program = {0};
    dnnl_dims_t dims = {batch, net->channels, net->size, net->size};
    dnnl_memory_t io = NULL;
    dnnl_memory_desc_t io_desc;
    double *us = calloc((size_t)runs, sizeof(*us));
    const char *isa = getenv("ONEDNN_MAX_CPU_ISA");

    for (int i = 0; i < net->count; i++) {
        if (net->layers[i].op <= OP_DEPTHWISE) {
            add_conv(&program, &net->layers[i], &io, &io_desc, dims, i == net->count - 1);
        } else {
            add_pool(&program, &net->layers[i], &io, &io_desc, dims);
        }
    }
    for (int run = -runs / 10 - 3; run < runs; run++) {
        double start = now_us();

        for (int i = 0; i < program.count; i++) {
            struct step *step = &program.steps[i];
            CHECK(dnnl_primitive_execute(step->primitive, stream, step->arg_count, step->args));
        }
        CHECK(dnnl_stream_wait(stream));
        if (run >= 0) {
            us[run] = now_us() - start;
        }
    }
    qsort(us, (size_t)runs, sizeof(*us), by_value);
    printf("{\"peer\":\"onednn\",\"isa\":\"%s\",\"net\":\"%s\",\"batch\":%d,\"runs\":%d,\"median_us\":%.2f,"
           "\"p99_us\":%.2f,\"min_us\":%.2f,\"gops\":%.1f}\n",
           isa ? isa : "all", net->name, batch, runs, us[runs / 2], us[runs * 99 / 100], us[0],
           2e-3 * (double)program.macs * batch / us[runs / 2] / 1.0);
    free(us);
}

int main(int argc, char **argv)
{
    int runs = argc > 1 ? atoi(argv[1]) : 1000;

    if (runs < 10) {
        fprintf(stderr, "usage: onednn [runs >= 10]\n");
        return 2;
    }
    CHECK(dnnl_engine_create(&engine, dnnl_cpu, 0));
    CHECK(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags));
    for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++) {
        time_net(&nets[i], 1, runs);
    }
    return 0;
}
