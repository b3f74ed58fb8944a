/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Packing float models with random weights: on frames that were not calibrated with, the packed
 * model's scores must stay close to the float model's. No trained model and no data set is needed.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/lab/calibrate.h"
#include "engine/lab/file.h"
#include "engine/lab/model.h"
#include "engine/lab/progress.h"
#include "engine/lab/quantise.h"

enum { SIDE = 16, PLANES = 3, LABELS = 4, FRAMES = 1000, FRESH = 200 };

static struct kernel_table kernels;
static char path[] = "/tmp/ocellus-lab-test.XXXXXX";
static uint32_t random_state;

static int setup(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    if (fd >= 0) {
        close(fd);
    }
    kernel_table_init(&kernels, kernel_cpu_detect());
    return fd >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

/* -1 .. 1 */
static float next_random(void)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (float)(random_state >> 8) / (1 << 23) - 1.0f;
}

static float *random_floats(size_t count, float scale)
{
    float *values = calloc(count, sizeof(*values));
    assert_non_null(values);
    for (size_t i = 0; i < count; i++) {
        values[i] = next_random() * scale;
    }
    return values;
}

/* ---- models ---- */

static void add_conv(struct lab_draft *draft, const char *name, uint32_t in, uint32_t out,
                     uint16_t stride, bool relu)
{
    struct network_layer *layer = lab_draft_add(draft, name);
    assert_non_null(layer);
    layer->op = NETWORK_OP_CONV;
    layer->weights = NETWORK_WEIGHTS_F32;
    layer->output = NETWORK_OUTPUT_F32;
    layer->relu = relu;
    layer->out = out;
    for (int axis = 0; axis < 2; axis++) {
        layer->kernel[axis] = 3;
        layer->stride[axis] = stride;
        layer->pad[axis] = 1;
    }
    layer->weight_f32 = random_floats((size_t)out * 9 * in, 1.0f / sqrtf((float)(3 * in)));
    layer->bias_f32 = random_floats(out, 0.3f);
}

static void add_pool(struct lab_draft *draft, enum network_op op)
{
    struct network_layer *layer = lab_draft_add(draft, NULL);
    assert_non_null(layer);
    layer->op = (uint8_t)op;
    for (int axis = 0; axis < 2 && op != NETWORK_OP_GLOBALAVGPOOL; axis++) {
        layer->kernel[axis] = 2;
        layer->stride[axis] = 2;
    }
}

static void add_scores(struct lab_draft *draft, uint32_t in)
{
    struct network_layer *layer = lab_draft_add(draft, "fc");
    assert_non_null(layer);
    layer->op = NETWORK_OP_DENSE;
    layer->weights = NETWORK_WEIGHTS_F32;
    layer->output = NETWORK_OUTPUT_SCORES;
    layer->out = LABELS;
    layer->weight_f32 = random_floats((size_t)LABELS * in, 4.0f / sqrtf((float)in));
    layer->bias_f32 = random_floats(LABELS, 0.3f);
}

static const char *const labels[LABELS] = {"a", "b", "c", "d"};

/* A draft without layers for one of the front ends. */
static void init_draft(struct lab_draft *draft, enum gradient_coding coding)
{
    lab_draft_init(draft);
    struct gradient_spec *front = &draft->point.input.front;
    draft->description.name = "random";
    draft->description.labels = labels;
    draft->description.label_count = LABELS;
    draft->point.input.target = (struct image_target){SIDE, SIDE, IMAGE_RGB, IMAGE_FIT_COVER};
    front->planes = PLANES;
    front->coding = (uint8_t)coding;
    front->source =
        coding == GRADIENT_CODING_F32 ? GRADIENT_SOURCE_SRGB : GRADIENT_SOURCE_LOG_GRADIENT;
    if (front->source == GRADIENT_SOURCE_LOG_GRADIENT) {
        front->floor = 64;
        for (uint16_t i = 0; i < (coding == GRADIENT_CODING_SEVEN ? 3 : 1); i++) {
            front->ratio[i] = (struct gradient_ratio){(uint16_t)(9 + 3 * i), 8};
        }
    }
}

static void open_draft(struct lab_draft *draft, struct lab_model *model)
{
    const char *reason = "";
    void *bytes;
    size_t size;
    if (network_model_write(&draft->description, &bytes, &size, &reason) < 0) {
        fail_msg("%s", reason);
    }
    assert_int_equal(lab_file_write(path, bytes, size), 0);
    free(bytes);
    assert_int_equal(lab_model_open(model, path, &kernels), 0);
}

/* ---- frames ---- */

/* Planes of soft blocks, so that neighbours move together as they do in pictures. */
static void draw(uint16_t *planes)
{
    for (int plane = 0; plane < PLANES; plane++) {
        float corner[4][4];
        for (int i = 0; i < 16; i++) {
            corner[i / 4][i % 4] = (next_random() + 1.0f) * 24000.0f;
        }
        for (int y = 0; y < SIDE; y++) {
            for (int x = 0; x < SIDE; x++) {
                float value = corner[y / 4][x / 4] + (next_random() + 1.0f) * 6000.0f;
                *planes++ = (uint16_t)value;
            }
        }
    }
}

struct codes {
    struct lab_frames frames;
    uint8_t *float_codes, *packed_codes;
};

static struct codes make_codes(const struct gradient_spec *from, uint32_t count)
{
    struct gradient_spec packed;
    assert_int_equal(lab_quantise_front(from, &packed), 0);
    size_t values = SIDE * SIDE * gradient_channels(from);
    struct codes codes = {.frames = {.count = count,
                                     .float_stride = values * gradient_code_size(from),
                                     .packed_stride = values * gradient_code_size(&packed)}};
    codes.float_codes = calloc(count, codes.frames.float_stride);
    codes.packed_codes = calloc(count, codes.frames.packed_stride);
    assert_true(codes.float_codes && codes.packed_codes);
    for (uint32_t i = 0; i < count; i++) {
        uint16_t planes[PLANES * SIDE * SIDE];
        draw(planes);
        gradient_encode(from, planes, SIDE, SIDE, 65535,
                        codes.float_codes + i * codes.frames.float_stride);
        gradient_encode(&packed, planes, SIDE, SIDE, 65535,
                        codes.packed_codes + i * codes.frames.packed_stride);
    }
    codes.frames.float_codes = codes.float_codes;
    codes.frames.packed_codes = codes.packed_codes;
    return codes;
}

static int quantise(struct lab_model *model, const struct codes *codes, struct lab_draft *draft,
                    const char **ret_reason)
{
    struct lab_progress progress;
    uint32_t *answers = calloc(codes->frames.count, sizeof(*answers));
    assert_non_null(answers);
    lab_progress_init(&progress, "quantise", 2 * (uint64_t)codes->frames.count);
    int r = lab_quantise(model, &codes->frames, &progress, answers, draft, ret_reason);
    free(answers);
    return r;
}

/* Root of the mean squared error of the scores over that of their spread. */
static double relative_error(struct lab_model *model, struct lab_model *packed,
                             const struct codes *fresh)
{
    double errors = 0.0, squares = 0.0, sums[LABELS] = {0.0};
    for (uint32_t i = 0; i < fresh->frames.count; i++) {
        network_run(model->plan, model->arena, fresh->float_codes + i * fresh->frames.float_stride,
                    model->scores);
        network_run(packed->plan, packed->arena,
                    fresh->packed_codes + i * fresh->frames.packed_stride, packed->scores);
        for (int label = 0; label < LABELS; label++) {
            double truth = model->scores[label], error = packed->scores[label] - truth;
            errors += error * error;
            squares += truth * truth;
            sums[label] += truth;
        }
    }
    for (int label = 0; label < LABELS; label++) {
        squares -= sums[label] * sums[label] / fresh->frames.count;
    }
    return sqrt(errors / squares);
}

/* Takes the draft's layers away. */
static void check(struct lab_draft *draft, double limit)
{
    struct lab_model model, packed_model;
    struct lab_draft packed;
    const char *reason = NULL;
    open_draft(draft, &model);
    struct codes codes = make_codes(&model.input->front, FRAMES);
    struct codes fresh = make_codes(&model.input->front, FRESH);
    assert_int_equal(quantise(&model, &codes, &packed, &reason), 0);
    open_draft(&packed, &packed_model);
    double error = relative_error(&model, &packed_model, &fresh);
    print_message("relative error %.4f\n", error);
    assert_true(error < limit);

    struct lab_draft again; /* a packed model is not packed again */
    assert_int_equal(quantise(&packed_model, &codes, &again, &reason), -ENOTSUP);
    assert_non_null(reason);
    free(codes.float_codes);
    free(codes.packed_codes);
    free(fresh.float_codes);
    free(fresh.packed_codes);
    lab_model_close(&packed_model);
    lab_model_close(&model);
    lab_draft_finish(&packed);
    lab_draft_finish(draft);
}

static void test_ternary_codes_and_max_pools(void **state)
{
    (void)state;
    struct lab_draft draft;
    random_state = 1;
    init_draft(&draft, GRADIENT_CODING_TERNARY);
    add_conv(&draft, "conv1", 6, 12, 1, true);
    add_pool(&draft, NETWORK_OP_MAXPOOL);
    add_conv(&draft, "conv2", 12, 20, 1, true);
    add_pool(&draft, NETWORK_OP_MAXPOOL);
    add_scores(&draft, 4 * 4 * 20);
    check(&draft, 0.04);
}

static void test_seven_levels_strides_and_average_pools(void **state)
{
    (void)state;
    struct lab_draft draft;
    random_state = 2;
    init_draft(&draft, GRADIENT_CODING_SEVEN);
    add_conv(&draft, "conv1", 6, 13, 2, true);
    add_pool(&draft, NETWORK_OP_AVGPOOL);
    add_conv(&draft, "conv2", 13, 17, 1, true);
    add_pool(&draft, NETWORK_OP_GLOBALAVGPOOL);
    add_scores(&draft, 17);
    check(&draft, 0.15);
}

static void test_srgb_codes(void **state)
{
    (void)state;
    struct lab_draft draft;
    random_state = 3;
    init_draft(&draft, GRADIENT_CODING_F32);
    add_conv(&draft, "conv1", 3, 12, 1, true);
    add_pool(&draft, NETWORK_OP_MAXPOOL);
    add_conv(&draft, "conv2", 12, 20, 2, true);
    add_scores(&draft, 4 * 4 * 20);
    check(&draft, 0.04);
}

static void test_layers_without_rectification_are_refused(void **state)
{
    (void)state;
    struct lab_draft draft, packed;
    struct lab_model model;
    const char *reason = NULL;
    random_state = 4;
    init_draft(&draft, GRADIENT_CODING_TERNARY);
    add_conv(&draft, "conv1", 6, 4, 1, false);
    add_scores(&draft, SIDE * SIDE * 4);
    open_draft(&draft, &model);
    struct codes codes = make_codes(&model.input->front, 1);
    assert_int_equal(quantise(&model, &codes, &packed, &reason), -ENOTSUP);
    assert_non_null(reason);
    free(codes.float_codes);
    free(codes.packed_codes);
    lab_model_close(&model);
    lab_draft_finish(&draft);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ternary_codes_and_max_pools),
        cmocka_unit_test(test_seven_levels_strides_and_average_pools),
        cmocka_unit_test(test_srgb_codes),
        cmocka_unit_test(test_layers_without_rectification_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
