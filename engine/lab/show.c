/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* ocellus-lab show: what a model file holds, for people. Runs nothing. */
#include "engine/lab/lab.h"

#include <stdio.h>

#include "engine/kernel/kernel.h"
#include "engine/lab/model.h"
#include "engine/lab/options.h"
#include "engine/network/model.h"

static void print_input(const struct network_input *input)
{
    static const char *const fits[] = {"cover", "contain", "stretch"};
    static const char *const codings[] = {"ternary", "seven levels", "u7", "f32"};
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

static void print_layer(const struct network_layer *layer, struct network_shape in,
                        struct network_shape out)
{
    static const char *const ops[] = {"conv", "dense", "maxpool", "avgpool", "globalavgpool"};
    char window[48] = "";
    if (layer->op == NETWORK_OP_CONV) {
        snprintf(window, sizeof(window), " %ux%u stride %u pad %u", layer->kernel[0],
                 layer->kernel[1], layer->stride[0], layer->pad[0]);
    } else if (layer->op != NETWORK_OP_DENSE && layer->op != NETWORK_OP_GLOBALAVGPOOL) {
        snprintf(window, sizeof(window), " %ux%u stride %u", layer->kernel[0], layer->kernel[1],
                 layer->stride[0]);
    }
    printf("  %-10s %s%s%s, %ux%ux%u -> %ux%ux%u", layer->name ? layer->name : "-", ops[layer->op],
           window, layer->relu ? ", relu" : "", in.height, in.width, in.channels, out.height,
           out.width, out.channels);
    if (layer->op == NETWORK_OP_CONV || layer->op == NETWORK_OP_DENSE) {
        uint64_t row = layer->op == NETWORK_OP_CONV
                           ? (uint64_t)layer->kernel[0] * layer->kernel[1] * in.channels
                           : (uint64_t)in.height * in.width * in.channels;
        uint64_t weights = row * layer->out;
        printf(", %llu %s weights, %llu MACs", (unsigned long long)weights,
               layer->weights == NETWORK_WEIGHTS_S8 ? "s8" : "f32",
               (unsigned long long)(weights * out.height * out.width));
    }
    putchar('\n');
}

static void print_point(const struct network_point *point)
{
    struct network_shape shape = network_input_shape(&point->input), next;
    printf("point       %s\n", point->name);
    print_input(&point->input);
    puts("layers");
    for (uint32_t i = 0; i < point->layer_count; i++) {
        if (network_layer_shape(&point->layers[i], shape, &next, NULL) == 0) {
            print_layer(&point->layers[i], shape, next);
            shape = next;
        }
    }
}

int lab_show(const struct lab_args *args)
{
    struct kernel_table kernels;
    struct lab_model model;
    kernel_table_init(&kernels, 0);
    if (lab_model_open(&model, args->operands[0], &kernels) < 0) {
        return LAB_EXIT_FAILED;
    }
    const struct network_description *description = network_model_describe(model.model);
    printf("name        %s\nid          %s\nfile        %zu bytes\n", description->name,
           network_model_id(model.model), model.file_bytes);
    print_labels(description);
    for (uint32_t i = 0; i < description->point_count; i++) {
        print_point(&description->points[i]);
    }
    printf("work        %llu multiply-accumulates a frame, %zu bytes of arena\n",
           (unsigned long long)network_plan_macs(model.plan), network_plan_arena_bytes(model.plan));
    if (description->provenance) {
        printf("provenance  %s\n", description->provenance);
    }
    lab_model_close(&model);
    return LAB_EXIT_OK;
}
