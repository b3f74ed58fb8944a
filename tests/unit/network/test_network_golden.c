/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Real trained weights and the codes and scores that another implementation got for 100 test
 * images: codes must match exactly, float scores within 1e-3. Skips where the shared data is
 * absent.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/network/model.h"
#include "engine/network/safetensors.h"

#define IMAGES 100u
#define PIXELS 1024u

static struct network_safetensors *read_shared(const char *name)
{
    const char *root = getenv("OCELLUS_SHARED");
    struct network_safetensors *file = NULL;
    char path[4096];

    snprintf(path, sizeof path, "%s/models/%s", root != NULL ? root : SOURCE_ROOT "/../shared",
             name);
    FILE *stream = fopen(path, "rb");
    if (stream == NULL) {
        print_message("skipped: no %s\n", path);
        skip();
    }
    char *bytes = malloc(4 << 20);
    assert_non_null(bytes);
    size_t size = fread(bytes, 1, 4 << 20, stream);
    fclose(stream);
    assert_int_equal(network_safetensors_read(bytes, size, &file, NULL), 0);
    free(bytes);
    return file;
}

static const void *data_of(const struct network_safetensors *file, const char *name)
{
    const struct network_tensor *tensor = network_safetensors_find(file, name);

    assert_non_null(tensor);
    return tensor->data;
}

/* [3][32][32] bytes to linear planes (IEC 61966-2-1). */
static void linearise(const uint8_t *pixels, uint16_t *planes)
{
    for (size_t i = 0; i < 3 * PIXELS; i++) {
        double v = pixels[i] / 255.0;
        double linear = v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4);

        planes[i] = (uint16_t)floor(65535 * linear + 0.5);
    }
}

static const struct gradient_spec log_front = {
    .coding = GRADIENT_CODING_TERNARY, .planes = 3, .floor = 64, .ratio = {{9, 8}}};
static const struct gradient_spec srgb_front = {
    .source = GRADIENT_SOURCE_SRGB, .coding = GRADIENT_CODING_F32, .planes = 3};

static void test_codes(void **state)
{
    struct network_safetensors *golden = read_shared("cifar10-lg3-golden.safetensors");
    const uint8_t *pixels = data_of(golden, "pixels_rgb_u8");
    const int8_t *expect = data_of(golden, "codes_i8");
    uint16_t planes[3 * PIXELS];
    int8_t codes[6 * PIXELS];

    (void)state;
    for (size_t image = 0; image < IMAGES; image++) {
        linearise(pixels + image * 3 * PIXELS, planes);
        gradient_encode(&log_front, planes, 32, 32, 65535, codes);
        for (size_t i = 0; i < 6 * PIXELS; i++) {
            assert_int_equal(codes[i % PIXELS * 6 + i / PIXELS], expect[image * 6 * PIXELS + i]);
        }
    }
    network_safetensors_destroy(golden);
}

/* Convolution and normalisation become one layer, [out][in][y][x] becomes [out][y][x][in]. */
static void fold(const struct network_safetensors *file, unsigned index, size_t in, size_t out,
                 float *weight, float *bias)
{
    static const char *const parts[] = {"weight", "bias", "running_mean", "running_var"};
    const float *norm[4];
    char name[32];

    for (size_t i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "bn%u.%s", index, parts[i]);
        norm[i] = data_of(file, name);
    }
    snprintf(name, sizeof name, "conv%u.weight", index);
    const float *from = data_of(file, name);
    for (size_t o = 0; o < out; o++) {
        double scale = norm[0][o] / sqrt(norm[3][o] + 1e-5);

        bias[o] = (float)(norm[1][o] - norm[2][o] * scale);
        for (size_t i = 0; i < in * 9; i++) {
            weight[(o * 9 + i % 9) * in + i / 9] = (float)(from[o * in * 9 + i] * scale);
        }
    }
}

struct network {
    float conv_weight[3][128 * 64 * 9], conv_bias[3][128], dense_weight[10 * 2048];
    struct network_layer layers[7];
};

static struct network_model *import_model(const char *name, const struct gradient_spec *front)
{
    static const char *const labels[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    static const char *const names[] = {"conv1", "conv2", "conv3"};
    struct network_safetensors *file = read_shared(name);
    struct network *net = calloc(1, sizeof *net);
    struct network_model *model;
    size_t in = gradient_channels(front), size;
    void *bytes;

    assert_non_null(net);
    for (unsigned i = 0; i < 3; i++) {
        size_t out = 32u << i;

        fold(file, i + 1, in, out, net->conv_weight[i], net->conv_bias[i]);
        net->layers[2 * i] = (struct network_layer){.op = NETWORK_OP_CONV,
                                                    .input = 2 * i,
                                                    .weights = NETWORK_WEIGHTS_F32,
                                                    .output = NETWORK_OUTPUT_F32,
                                                    .relu = true,
                                                    .kernel = {3, 3},
                                                    .stride = {1, 1},
                                                    .pad = {1, 1},
                                                    .out = (uint32_t)out,
                                                    .name = names[i],
                                                    .weight_f32 = net->conv_weight[i],
                                                    .bias_f32 = net->conv_bias[i]};
        net->layers[2 * i + 1] = (struct network_layer){
            .op = NETWORK_OP_MAXPOOL, .input = 2 * i + 1, .kernel = {2, 2}, .stride = {2, 2}};
        in = out;
    }
    const float *dense = data_of(file, "fc.weight");
    for (size_t i = 0; i < 10 * 2048; i++) { /* [out][c][y][x] to [out][y][x][c] */
        size_t o = i / 2048, c = i % 2048 / 16, yx = i % 16;

        net->dense_weight[o * 2048 + yx * 128 + c] = dense[i];
    }
    net->layers[6] = (struct network_layer){.op = NETWORK_OP_DENSE,
                                            .input = 6,
                                            .weights = NETWORK_WEIGHTS_F32,
                                            .output = NETWORK_OUTPUT_SCORES,
                                            .out = 10,
                                            .name = "fc",
                                            .weight_f32 = net->dense_weight,
                                            .bias_f32 = data_of(file, "fc.bias")};
    const struct network_point point = {.name = "default",
                                        .input = {.target = {32, 32, 3, 0}, .front = *front},
                                        .layer_count = 7,
                                        .layers = net->layers};
    const struct network_description description = {
        .name = "golden", .label_count = 10, .labels = labels, .point_count = 1, .points = &point};
    assert_int_equal(network_model_write(&description, &bytes, &size, NULL), 0);
    assert_int_equal(network_model_load(bytes, size, &model, NULL), 0);
    free(bytes);
    free(net);
    network_safetensors_destroy(file);
    return model;
}

static void compare_scores(const char *weights, const char *golden_name,
                           const struct gradient_spec *front)
{
    struct network_safetensors *golden = read_shared(golden_name);
    struct network_model *model = import_model(weights, front);
    const uint8_t *pixels = data_of(golden, "pixels_rgb_u8");
    const float *expect = data_of(golden, "logits_f32");
    struct kernel_table kernels;
    struct network_plan *plan;
    uint16_t planes[3 * PIXELS];
    float codes[6 * PIXELS];
    double worst = 0;

    kernel_table_init(&kernels, kernel_cpu_detect());
    assert_int_equal(network_plan_create(model, 0, 1, &kernels, &plan), 0);
    void *arena = aligned_alloc(64, network_plan_arena_bytes(plan));
    assert_non_null(arena);
    for (size_t image = 0; image < IMAGES; image++) {
        int32_t scores[10];

        linearise(pixels + image * 3 * PIXELS, planes);
        gradient_encode(front, planes, 32, 32, 65535, codes);
        network_run(plan, arena, codes, scores);
        for (size_t i = 0; i < 10; i++) {
            worst = fmax(worst, fabs(scores[i] / 65536.0 - (double)expect[image * 10 + i]));
        }
    }
    print_message("%s: largest difference of a score %.2g\n", weights, worst);
    assert_true(worst < 1e-3);
    free(arena);
    network_plan_destroy(plan);
    network_model_destroy(model);
    network_safetensors_destroy(golden);
}

static void test_scores_of_log_gradient(void **state)
{
    (void)state;
    compare_scores("cifar10-lg3-f32.safetensors", "cifar10-lg3-golden.safetensors", &log_front);
}

static void test_scores_of_srgb(void **state)
{
    (void)state;
    compare_scores("cifar10-srgb3-f32.safetensors", "cifar10-srgb3-golden.safetensors",
                   &srgb_front);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_scores_of_log_gradient),
        cmocka_unit_test(test_scores_of_srgb),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
