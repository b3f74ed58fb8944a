/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* ocellus-lab show: what a model file holds, for people. Runs nothing. */
#include "engine/lab/lab.h"

#include <stdio.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/lab/model.h"
#include "engine/lab/options.h"
#include "engine/network/plan.h"

static void print_input(const struct network_input *input)
{
    static const char *const fits[] = {"cover", "contain", "stretch"};
    static const char *const codings[] = {"ternary", "seven levels", "u7", "f32", "thermometer"};
    const struct gradient_spec *front = &input->front;
    printf("input       %ux%u %s, %s; %s, %s", input->target.width, input->target.height,
           front->planes == 3 ? "rgb" : "grey", fits[input->target.fit],
           front->source == GRADIENT_SOURCE_SRGB ? "srgb" : "log gradient", codings[front->coding]);
    if (front->source == GRADIENT_SOURCE_LOG_GRADIENT) {
        uint32_t ratios = front->coding == GRADIENT_CODING_SEVEN     ? 3
                          : front->coding == GRADIENT_CODING_TERNARY ? 1
                                                                     : 0;
        for (uint32_t i = 0; i < ratios; i++) {
            printf("%s %u/%u", i == 0 ? ", ratio" : ",", front->ratio[i].p, front->ratio[i].q);
        }
        printf(", floor %u%s", front->floor,
               front->merge == GRADIENT_MERGE_STRONGEST ? ", strongest plane" : "");
    }
    if (front->coding == GRADIENT_CODING_THERMOMETER) {
        printf(", %u levels", front->levels);
    }
    putchar('\n');
}

static void print_labels(const struct network_description *model)
{
    printf("labels      %u:", model->label_count);
    for (uint32_t i = 0; i < model->label_count; i++) {
        printf(" %s", model->labels[i]);
    }
    putchar('\n');
}

/* "log 4 bits sqrt2" and the like. */
static void print_log(uint8_t bits, bool root)
{
    printf("log %u bits%s", bits, root ? " sqrt2" : "");
}

static void print_weights(const struct network_layer *layer, struct network_shape in,
                          struct network_shape out)
{
    static const char *const kinds[] = {"s8", "f32", "ternary", "binary", ""};
    uint64_t row = (uint64_t)layer->kernel[0] * layer->kernel[1] * in.channels;
    if (layer->op == NETWORK_OP_DENSE) {
        row = (uint64_t)in.height * in.width * in.channels;
    } else if (layer->op == NETWORK_OP_DEPTHWISE) {
        row = (uint64_t)layer->kernel[0] * layer->kernel[1];
    }
    uint64_t weights = row * layer->out;
    printf(", %llu %s", (unsigned long long)weights, kinds[layer->weights]);
    if (layer->weights == NETWORK_WEIGHTS_LOG) {
        print_log(layer->weight_bits, layer->weight_root);
    }
    printf(" weights, %llu MACs", (unsigned long long)(weights * out.height * out.width));
}

static void print_output(const struct network_layer *layer)
{
    static const char *const codings[] = {"u7", "f32", "scores", "ternary", "binary", ""};
    static const unsigned levels[] = {0, 0, 0, 2, 1, 0};
    const bool is_log = layer->output == NETWORK_OUTPUT_LOG;
    unsigned thresholds = is_log ? (1u << layer->output_bits) - 1 : levels[layer->output];
    printf(" %s", codings[layer->output]);
    if (is_log) {
        print_log(layer->output_bits, layer->output_root);
    }
    if (thresholds > 0 && layer->op <= NETWORK_OP_DEPTHWISE) {
        printf(" by %u threshold%s a channel", thresholds, thresholds > 1 ? "s" : "");
    }
}

/* Who is read, where it is not the layer before. */
static void print_reads(const struct network_point *point, uint32_t index)
{
    const struct network_layer *layer = &point->layers[index];
    if (layer->op == NETWORK_OP_ADD) {
        printf(" of %s and %s", point->layers[layer->input - 1].name,
               point->layers[layer->other - 1].name);
    } else if (layer->input != index) {
        printf(" of %s", point->layers[layer->input - 1].name);
    }
}

static void print_layer(const struct network_point *point, uint32_t index, struct network_shape in,
                        struct network_shape out)
{
    const struct network_layer *layer = &point->layers[index];
    static const char *const ops[] = {"conv",    "dense",   "depthwise",    "add",
                                      "maxpool", "avgpool", "globalavgpool"};
    printf("  %-10s %s", layer->name ? layer->name : "-", ops[layer->op]);
    if (layer->kernel[0] > 0) {
        printf(" %ux%u stride %u", layer->kernel[0], layer->kernel[1], layer->stride[0]);
    }
    if (layer->op == NETWORK_OP_CONV || layer->op == NETWORK_OP_DEPTHWISE) {
        printf(" pad %u", layer->pad[0]);
    }
    print_reads(point, index);
    printf("%s, %ux%ux%u -> %ux%ux%u", layer->relu ? ", relu" : "", in.height, in.width,
           in.channels, out.height, out.width, out.channels);
    print_output(layer);
    if (layer->op <= NETWORK_OP_DEPTHWISE) {
        print_weights(layer, in, out);
    }
    putchar('\n');
}

static void print_point(const struct network_point *point)
{
    struct network_shape shapes[NETWORK_LAYERS_MAX + 1] = {network_input_shape(&point->input)};
    printf("point       %s\n", point->name);
    print_input(&point->input);
    puts("layers");
    for (uint32_t i = 0; i < point->layer_count; i++) {
        const struct network_shape in = shapes[point->layers[i].input];
        if (network_layer_shape(&point->layers[i], in, &shapes[i + 1], NULL) == 0) {
            print_layer(point, i, in, shapes[i + 1]);
        }
    }
}

static void print_rates(const struct kernel_table *kernels)
{
    static const char *const names[KERNEL_RATES] = {
        [KERNEL_RATE_CONV] = "bytes",
        [KERNEL_RATE_BITS] = "bits",
        [KERNEL_RATE_BITS_TERNARY_INPUT] = "ternary input",
        [KERNEL_RATE_BITS_TERNARY_WEIGHTS] = "ternary weights",
        [KERNEL_RATE_BITS_TERNARY_BOTH] = "both ternary",
        [KERNEL_RATE_SUMS] = "sums encoded",
        [KERNEL_RATE_MAP] = "bytes to bits",
    };
    printf("rates      ");
    for (int i = 0; i < KERNEL_RATES; i++) {
        printf("%s %s %.1f us", i > 0 ? "," : "", names[i], kernels->rates[i] * 1e-3);
    }
    puts(" for 2^20");
}

/* Each step: the layers that it covers, its kernel, what it reads and writes. */
static int print_plan(const struct network_model *model, uint32_t index,
                      const struct kernel_table *kernels)
{
    const struct network_point *point = &network_model_describe(model)->points[index];
    struct network_plan *plan;
    int r = network_plan_create(model, index, 1, kernels, &plan);
    if (r < 0) {
        return r;
    }
    printf("plan        %s, %zu bytes packed, %zu bytes of arena\n", point->name,
           network_plan_packed_bytes(plan), network_plan_arena_bytes(plan));
    for (uint32_t i = 0; i < network_plan_steps(plan); i++) {
        struct network_step step;
        network_plan_step(plan, i, &step);
        const char *name = point->layers[step.first].name;
        printf("  %-10s %s%s%s%s, %s -> %s", name ? name : "-", step.kernel,
               step.first != step.last ? " with pool" : "", step.isa[0] ? " " : "", step.isa,
               step.in, step.out);
        if (step.macs > 0) {
            printf(", %llu MACs, %zu bytes packed", (unsigned long long)step.macs,
                   step.packed_bytes);
        }
        putchar('\n');
    }
    network_plan_destroy(plan);
    return 0;
}

int lab_show(const struct lab_args *args)
{
    struct kernel_table kernels;
    struct lab_model model;
    uint32_t mask;
    int r = 0;
    if (lab_args_cpu_mask(args, &mask) < 0) {
        return LAB_EXIT_USAGE;
    }
    kernel_table_init(&kernels, kernel_cpu_detect() & mask);
    if (lab_args_given(args, LAB_OPTION_PLAN)) {
        kernel_table_measure(&kernels);
    }
    if (lab_model_open(&model, args->operands[0], &kernels) < 0) {
        return LAB_EXIT_FAILED;
    }
    const struct network_description *description = network_model_describe(model.model);
    printf("name        %s\nid          %s\nfile        %zu bytes\n", description->name,
           network_model_id(model.model), model.file_bytes);
    print_labels(description);
    if (lab_args_given(args, LAB_OPTION_PLAN)) {
        print_rates(&kernels);
    }
    for (uint32_t i = 0; i < description->point_count; i++) {
        print_point(&description->points[i]);
        if (lab_args_given(args, LAB_OPTION_PLAN)) {
            r = print_plan(model.model, i, &kernels) < 0 ? -1 : r;
        }
    }
    printf("work        %llu multiply-accumulates a frame, %zu bytes of arena\n",
           (unsigned long long)network_plan_macs(model.plan), network_plan_arena_bytes(model.plan));
    if (description->scan) {
        printf("scan        %s: probability 1 / (1 + exp(-(%.6g * margin + %.6g)))\n",
               description->labels[description->scan->label], description->scan->slope,
               description->scan->offset);
    }
    if (description->provenance) {
        printf("provenance  %s\n", description->provenance);
    }
    lab_model_close(&model);
    return r < 0 ? LAB_EXIT_FAILED : LAB_EXIT_OK;
}
