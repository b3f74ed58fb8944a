/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Models and pictures that lie beside the repository: float masters of PyTorch give their golden
 * answers and agree with what export packs from them, and the shipped models know as many test
 * pictures as their cards say. Skips where that data is absent. Usage: test_lab_shared DIRECTORY
 * COUNT; the pictures are unpacked to DIRECTORY, once, and COUNT of them looked at: all 10,000, or
 * fewer where sanitizers slow it down.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/image/image.h"
#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/model.h"
#include "engine/lab/options.h"
#include "engine/lab/samples.h"
#include "engine/lab/tree.h"
#include "engine/network/safetensors.h"

#define SIDE        32u
#define PIXELS      (SIDE * SIDE)
#define FRAMES      100u
#define LABELS      10u
#define PICTURES    10000u
#define FILE_MAX    ((size_t)16 << 20)
#define SCORE_UNIT  65536.0f
#define PATH_ROOM   4096u
#define LOGIT_CLOSE 1e-3f

static const char *scratch; /* where pictures are unpacked */
static uint32_t pictures_wanted;
static struct kernel_table kernels;

/* The path of something in the shared folder, or NULL after saying that it is not there. */
static const char *shared(const char *name)
{
    static char path[PATH_ROOM];
    const char *root = getenv("OCELLUS_SHARED");
    int length =
        snprintf(path, sizeof(path), "%s/%s", root ? root : SOURCE_ROOT "/../shared", name);
    assert_in_range(length, 1, PATH_ROOM - 1);
    if (access(path, R_OK) != 0) {
        print_message("skipped: no %s\n", path);
        return NULL;
    }
    return path;
}

/* ---- the float masters' golden answers ---- */

static struct network_safetensors *read_tensors(const char *path)
{
    struct network_safetensors *file;
    uint8_t *bytes;
    size_t size;
    assert_int_equal(lab_file_read(path, FILE_MAX, &bytes, &size), 0);
    assert_int_equal(network_safetensors_read(bytes, size, &file, NULL), 0);
    free(bytes);
    return file;
}

static const void *tensor(const struct network_safetensors *file, const char *name, size_t bytes)
{
    const struct network_tensor *found = network_safetensors_find(file, name);
    assert_non_null(found);
    assert_int_equal(found->bytes, bytes);
    return found->data;
}

/* golden: [plane][pixel]; the model's: [pixel][plane]. */
static void check_codes(const struct lab_model *model, const int8_t *golden)
{
    const int8_t *codes = model->codes;
    for (size_t i = 0; i < 6 * PIXELS; i++) {
        assert_int_equal(codes[i % PIXELS * 6 + i / PIXELS], golden[i]);
    }
}

static void check_golden(const char *master, const char *golden, bool has_codes)
{
    const char *path = shared(master);
    struct lab_model model;
    if (!path) {
        skip();
    }
    assert_int_equal(lab_model_open(&model, path, &kernels), 0);
    path = shared(golden);
    if (!path) {
        lab_model_close(&model);
        skip();
    }
    struct network_safetensors *file = read_tensors(path);
    const uint8_t *pixels = tensor(file, "pixels_rgb_u8", (size_t)FRAMES * 3 * PIXELS);
    const float *logits = tensor(file, "logits_f32", FRAMES * LABELS * sizeof(float));
    const int8_t *codes = has_codes ? tensor(file, "codes_i8", (size_t)FRAMES * 6 * PIXELS) : NULL;
    float furthest = 0.0f;
    for (uint32_t frame = 0; frame < FRAMES; frame++) {
        uint16_t planes[3 * PIXELS];
        for (uint32_t i = 0; i < 3 * PIXELS; i++) {
            planes[i] = image_srgb_to_linear()[pixels[frame * 3 * PIXELS + i]];
        }
        lab_model_classify(&model, planes, 65535);
        if (codes) {
            check_codes(&model, codes + (size_t)frame * 6 * PIXELS);
        }
        for (uint32_t label = 0; label < LABELS; label++) {
            float got = (float)model.scores[label] / SCORE_UNIT;
            furthest = fmaxf(furthest, fabsf(got - logits[frame * LABELS + label]));
        }
    }
    print_message("%s: logits within %.2g\n", golden, (double)furthest);
    assert_true(furthest <= LOGIT_CLOSE);
    network_safetensors_destroy(file);
    lab_model_close(&model);
}

static void test_log_gradient_master_gives_its_golden_codes_and_logits(void **state)
{
    (void)state;
    check_golden("models/cifar10-lg3-f32.safetensors", "models/cifar10-lg3-golden.safetensors",
                 true);
}

static void test_srgb_master_gives_its_golden_logits(void **state)
{
    (void)state;
    check_golden("models/cifar10-srgb3-f32.safetensors", "models/cifar10-srgb3-golden.safetensors",
                 false);
}

/* ---- packed and float models on the test pictures ---- */

static int run_tar(const char *archive, const char *directory)
{
    pid_t child = fork();
    if (child == 0) {
        execlp("tar", "tar", "-xJf", archive, "-C", directory, "test", (char *)NULL);
        _exit(127);
    }
    int status;
    return child > 0 && waitpid(child, &status, 0) == child ? status : -1;
}

/* Unpacks the test pictures of data/NAME.tar.xz beside their final place, then moves them there, so
 * that a run that was cut off leaves nothing that looks complete. */
static const char *unpack(const char *name)
{
    static char pictures[PATH_ROOM];
    char part[PATH_ROOM], inside[PATH_ROOM + 8];
    snprintf(pictures, sizeof(pictures), "%s/%s-test", scratch, name);
    if (access(pictures, R_OK) == 0) {
        return pictures;
    }
    snprintf(part, sizeof(part), "data/%s.tar.xz", name);
    const char *archive = shared(part);
    if (!archive) {
        return NULL;
    }
    snprintf(part, sizeof(part), "%s/unpack.XXXXXX", scratch);
    assert_non_null(mkdtemp(part));
    int status = run_tar(archive, part);
    if (status != 0) {
        print_message("skipped: tar cannot unpack %s (status %d)\n", archive, status);
        return NULL;
    }
    snprintf(inside, sizeof(inside), "%s/test", part);
    assert_int_equal(rename(inside, pictures), 0);
    assert_int_equal(rmdir(part), 0);
    return pictures;
}

struct count {
    uint32_t packed_right, float_right, agreed;
};

static void decode(struct image_decoder *decoder, const char *path, uint16_t *planes)
{
    const struct image_target target = {SIDE, SIDE, IMAGE_RGB, IMAGE_FIT_COVER};
    struct image_info info;
    uint8_t *bytes;
    size_t size;
    assert_int_equal(lab_file_read(path, FILE_MAX, &bytes, &size), 0);
    assert_int_equal(
        image_decode(decoder, bytes, size, IMAGE_KIND_JPEG, NULL, &target, planes, &info), 0);
    assert_int_equal(info.nominal_white, 65535);
    free(bytes);
}

static struct count count_pictures(struct lab_model *packed, struct lab_model *master,
                                   const struct lab_tree *tree)
{
    struct image_decoder *decoder;
    struct count count = {0};
    assert_int_equal(image_decoder_create(NULL, NULL, &decoder), 0);
    for (uint32_t i = 0; i < pictures_wanted; i++) {
        uint16_t planes[3 * PIXELS];
        decode(decoder, tree->files[i].path, planes);
        uint32_t truth = tree->files[i].class_index; /* both lists are in alphabetical order */
        uint32_t ours = lab_model_classify(packed, planes, 65535);
        uint32_t theirs = lab_model_classify(master, planes, 65535);
        count.packed_right += ours == truth;
        count.float_right += theirs == truth;
        count.agreed += ours == theirs;
    }
    image_decoder_destroy(decoder);
    return count;
}

/* What export makes of the master. The calibration pictures are some of those that are counted
 * afterwards: this compares two models, it measures none. */
static int pack(const char *master, const char *pictures, const char *output)
{
    static const struct lab_command command = {.name = "export"};
    struct lab_args args = {.command = &command, .operands = {master}};
    args.values[LAB_OPTION_CALIBRATE] = pictures;
    args.values[LAB_OPTION_IMAGES] = "1000";
    args.values[LAB_OPTION_OUTPUT] = output;
    return lab_export(&args);
}

/* stated: how many of 10,000 pictures the float model is said to know. */
static void check_agreement(const char *name, uint32_t stated)
{
    struct lab_model packed, master;
    struct lab_tree tree;
    char path[PATH_ROOM], master_path[PATH_ROOM];
    snprintf(path, sizeof(path), "models/%s-f32.safetensors", name);
    const char *found = shared(path);
    if (!found) {
        skip();
    }
    snprintf(master_path, sizeof(master_path), "%s", found); /* of a buffer that is used again */
    assert_int_equal(lab_model_open(&master, master_path, &kernels), 0);
    const char *pictures = unpack("cifar10-jpeg");
    if (!pictures) {
        lab_model_close(&master);
        skip();
    }
    snprintf(path, sizeof(path), "%s/%s-packed.safetensors", scratch, name);
    assert_int_equal(pack(master_path, pictures, path), LAB_EXIT_OK);
    assert_int_equal(lab_model_open(&packed, path, &kernels), 0);
    assert_int_equal(lab_tree_init(&tree, pictures), 0);
    assert_int_equal(tree.file_count, PICTURES);
    assert_int_equal(tree.class_count, LABELS);
    struct count count = count_pictures(&packed, &master, &tree);
    print_message("%s, %u pictures: %u right as float, %u packed, %u agree\n", name,
                  pictures_wanted, count.float_right, count.packed_right, count.agreed);
    assert_true(count.agreed * 100 >= pictures_wanted * 99);
    assert_true(count.packed_right + pictures_wanted / 200 >= count.float_right);
    if (pictures_wanted == PICTURES) {
        assert_true(count.float_right + 5 >= stated && count.float_right <= stated + 5);
        assert_true(count.packed_right + 50 >= stated);
    }
    lab_tree_finish(&tree);
    lab_model_close(&packed);
    lab_model_close(&master);
}

static void test_packed_log_gradient_model_agrees_with_its_master(void **state)
{
    (void)state;
    check_agreement("cifar10-lg3", 7923);
}

static void test_packed_srgb_model_agrees_with_its_master(void **state)
{
    (void)state;
    check_agreement("cifar10-srgb3", 8279);
}

/* ---- shipped models ---- */

/* stated: how many of all test pictures the card says that the model knows. */
static void check_shipped(const char *name, const char *archive, uint32_t stated)
{
    char path[PATH_ROOM];
    struct lab_model model;
    struct lab_samples samples;
    uint32_t right = 0;
    const char *pictures = unpack(archive);
    if (!pictures) {
        skip();
    }
    snprintf(path, sizeof(path), SOURCE_ROOT "/engine/models/%s.safetensors", name);
    assert_int_equal(lab_model_open(&model, path, &kernels), 0);
    assert_int_equal(lab_samples_init(&samples, pictures, model.input, &kernels), 0);
    uint32_t all = samples.tree.file_count, count = pictures_wanted < all ? pictures_wanted : all;
    for (uint32_t i = 0; i < count; i++) {
        /* Labels and folders are both in alphabetical order. */
        right += lab_model_classify(&model, samples.planes + i * samples.values,
                                    samples.whites[i]) == samples.labels[i];
    }
    print_message("%s: %u of %u\n", name, right, count);
    if (count == all) {
        assert_int_equal(right, stated);
    } else {
        assert_true(right * 100 >= count * (100ull * stated / all - 5));
    }
    lab_samples_finish(&samples);
    lab_model_close(&model);
}

static void test_cifar10_lg3_is_as_good_as_its_card_says(void **state)
{
    (void)state;
    check_shipped("cifar10-lg3", "cifar10-jpeg", 8000);
}

static void test_cifar10_log_is_as_good_as_its_card_says(void **state)
{
    (void)state;
    check_shipped("cifar10-log", "cifar10-jpeg", 7670);
}

static void test_person_is_as_good_as_its_card_says(void **state)
{
    (void)state;
    check_shipped("person", "person-inria", 858);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_gradient_master_gives_its_golden_codes_and_logits),
        cmocka_unit_test(test_srgb_master_gives_its_golden_logits),
        cmocka_unit_test(test_packed_log_gradient_model_agrees_with_its_master),
        cmocka_unit_test(test_packed_srgb_model_agrees_with_its_master),
        cmocka_unit_test(test_cifar10_lg3_is_as_good_as_its_card_says),
        cmocka_unit_test(test_cifar10_log_is_as_good_as_its_card_says),
        cmocka_unit_test(test_person_is_as_good_as_its_card_says),
    };
    pictures_wanted = argc == 3 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
    if (pictures_wanted == 0 || pictures_wanted > PICTURES) {
        fprintf(stderr, "usage: %s DIRECTORY COUNT\n", argv[0]);
        return 2;
    }
    scratch = argv[1];
    kernel_table_init(&kernels, kernel_cpu_detect());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
