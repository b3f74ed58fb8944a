/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* CIFAR-10's binary format and IDX: small files made here, whole, cut and lying. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <zlib.h>

#include <cmocka.h>

#include "engine/image/image.h"
#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/lab/file.h"
#include "engine/lab/samples.h"
#include "engine/train/train.h"
#include "tests/unit/lab/folder.h"

#define RECORD 3073u
#define ROWS   5u
#define COLS   4u

static int make_folders(void **state)
{
    return make_root(state) == 0 && mkdir(at("cifar"), 0700) == 0 && mkdir(at("idx"), 0700) == 0
               ? 0
               : -1;
}

static uint8_t pixel(uint32_t picture, uint32_t at_value)
{
    return (uint8_t)train_random(picture, 1, at_value);
}

/* `count` pictures from number `first` on, with the labels 7, 8, 9, 0, 1 ... */
static void write_batch(const char *name, uint32_t first, uint32_t count, size_t cut)
{
    uint8_t *bytes = malloc((size_t)count * RECORD);
    assert_non_null(bytes);
    for (uint32_t i = 0; i < count; i++) {
        bytes[(size_t)i * RECORD] = (uint8_t)((first + i + 7) % 10);
        for (uint32_t v = 0; v + 1 < RECORD; v++) {
            bytes[(size_t)i * RECORD + 1 + v] = pixel(first + i, v);
        }
    }
    assert_int_equal(lab_file_write(at(name), bytes, (size_t)count * RECORD - cut), 0);
    free(bytes);
}

static size_t put_number(uint8_t *bytes, size_t size, uint32_t number)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        bytes[size++] = (uint8_t)(number >> shift);
    }
    return size;
}

static size_t make_pictures(uint8_t *bytes, uint32_t count)
{
    size_t size = put_number(bytes, 0, 0x803);
    size = put_number(bytes, size, count);
    size = put_number(bytes, size, ROWS);
    size = put_number(bytes, size, COLS);
    for (uint32_t i = 0; i < 3 * ROWS * COLS; i++) {
        bytes[size++] = pixel(i / (ROWS * COLS), i % (ROWS * COLS));
    }
    return size;
}

static size_t make_labels(uint8_t *bytes, uint32_t count)
{
    size_t size = put_number(bytes, 0, 0x801);
    size = put_number(bytes, size, count);
    bytes[size++] = 2;
    bytes[size++] = 0;
    bytes[size++] = 3;
    return size;
}

static void write_compressed(const char *name, const uint8_t *bytes, size_t size)
{
    gzFile file = gzopen(at(name), "wbe");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, (unsigned)size), (int)size);
    assert_int_equal(gzclose(file), Z_OK);
}

static struct network_input input_of(uint8_t planes, uint32_t width, uint32_t height)
{
    struct network_input input = {
        .target = {.width = width, .height = height, .channels = planes},
        .front = {.source = GRADIENT_SOURCE_SRGB, .planes = planes, .coding = GRADIENT_CODING_F32},
    };
    return input;
}

static int open_at(const char *path, const struct network_input *input, struct lab_samples *samples)
{
    struct kernel_table kernels;
    kernel_table_init(&kernels, kernel_cpu_detect());
    return lab_samples_init(samples, path, input, &kernels);
}

static void test_cifar_batches_of_a_folder_and_alone(void **state)
{
    (void)state;
    const struct network_input input = input_of(3, 32, 32);
    const uint16_t *linear = image_srgb_to_linear();
    struct lab_samples samples;
    write_batch("cifar/data_batch_1.bin", 0, 3, 0);
    write_batch("cifar/data_batch_2.bin", 3, 2, 0);
    write_batch("cifar/test_batch.bin", 5, 4, 0);
    write_batch("cifar/data_batch_4.bin", 9, 1, 0); /* behind a gap: not one of them */
    assert_int_equal(open_at(at("cifar"), &input, &samples), 0);
    assert_int_equal(samples.tree.file_count, 5);
    assert_int_equal(samples.tree.class_count, 10);
    assert_string_equal(samples.tree.classes[7], "horse");
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(samples.labels[i], (i + 7) % 10);
        assert_int_equal(samples.whites[i], 65535);
        for (uint32_t v = 0; v + 1 < RECORD; v++) {
            assert_int_equal(samples.planes[i * samples.values + v], linear[pixel(i, v)]);
        }
    }
    lab_samples_finish(&samples);
    assert_int_equal(open_at(at("cifar/test_batch.bin"), &input, &samples), 0);
    assert_int_equal(samples.tree.file_count, 4);
    assert_int_equal(samples.planes[0], linear[pixel(5, 0)]);
    lab_samples_finish(&samples);
}

static void test_broken_cifar(void **state)
{
    (void)state;
    const struct network_input input = input_of(3, 32, 32);
    struct lab_samples samples;
    uint8_t record[RECORD] = {10};
    write_batch("short.bin", 0, 2, 1);
    assert_int_equal(open_at(at("short.bin"), &input, &samples), -EBADMSG);
    assert_int_equal(lab_file_write(at("empty.bin"), "", 0), 0);
    assert_int_equal(open_at(at("empty.bin"), &input, &samples), -EBADMSG);
    assert_int_equal(lab_file_write(at("label.bin"), record, sizeof(record)), 0);
    assert_int_equal(open_at(at("label.bin"), &input, &samples), -EBADMSG);
    assert_int_equal(open_at(at("none.bin"), &input, &samples), -ENOENT);
}

static void assert_idx(const char *path)
{
    const struct network_input input = input_of(1, COLS, ROWS);
    const uint16_t *linear = image_srgb_to_linear();
    static const uint32_t labels[] = {2, 0, 3};
    struct lab_samples samples;
    assert_int_equal(open_at(path, &input, &samples), 0);
    assert_int_equal(samples.tree.file_count, 3);
    assert_int_equal(samples.tree.class_count, 4);
    assert_string_equal(samples.tree.classes[3], "3");
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(samples.labels[i], labels[i]);
        for (uint32_t v = 0; v < ROWS * COLS; v++) {
            assert_int_equal(samples.planes[i * samples.values + v], linear[pixel(i, v)]);
        }
    }
    lab_samples_finish(&samples);
}

static void test_idx_plain_and_compressed(void **state)
{
    (void)state;
    uint8_t pictures[256], labels[64];
    size_t size = make_pictures(pictures, 3), label_size = make_labels(labels, 3);
    write_compressed("idx/train-images-idx3-ubyte.gz", pictures, size);
    write_compressed("idx/train-labels-idx1-ubyte.gz", labels, label_size);
    assert_idx(at("idx"));
    assert_idx(at("idx/train-images-idx3-ubyte.gz"));
    assert_int_equal(lab_file_write(at("idx/t10k-images-idx3-ubyte"), pictures, size), 0);
    assert_int_equal(lab_file_write(at("idx/t10k-labels-idx1-ubyte"), labels, label_size), 0);
    assert_idx(at("idx/t10k-images-idx3-ubyte"));
}

/* What is told of pictures and labels that are put into plain files; 0 where they are good. */
static int open_idx(const uint8_t *pictures, size_t size, const uint8_t *labels, size_t label_size)
{
    const struct network_input input = input_of(1, COLS, ROWS);
    struct lab_samples samples;
    assert_int_equal(lab_file_write(at("x-images-idx3-ubyte"), pictures, size), 0);
    assert_int_equal(lab_file_write(at("x-labels-idx1-ubyte"), labels, label_size), 0);
    int r = open_at(at("x-images-idx3-ubyte"), &input, &samples);
    if (r == 0) {
        lab_samples_finish(&samples);
    }
    return r;
}

static void test_broken_idx(void **state)
{
    (void)state;
    uint8_t pictures[257] = {0}, labels[65] = {0}, changed[257] = {0};
    size_t size = make_pictures(pictures, 3), label_size = make_labels(labels, 3);
    assert_int_equal(open_idx(pictures, size, labels, label_size), 0);
    for (size_t cut = 1; cut <= size; cut++) {
        assert_int_equal(open_idx(pictures, size - cut, labels, label_size), -EBADMSG);
    }
    for (size_t cut = 1; cut <= label_size; cut++) {
        assert_int_equal(open_idx(pictures, size, labels, label_size - cut), -EBADMSG);
    }
    assert_int_equal(open_idx(pictures, size + 1, labels, label_size), -EBADMSG);
    assert_int_equal(open_idx(pictures, size, labels, label_size + 1), -EBADMSG);
    static const struct {
        size_t at;
        uint8_t byte;
        int error;
    } lies[] = {
        {2, 9, -EBADMSG},  {3, 1, -EBADMSG},   {7, 0, -EBADMSG},  {7, 4, -EBADMSG},
        {7, 2, -EBADMSG},  {11, 0, -EBADMSG},  {15, 0, -EBADMSG}, {4, 0xff, -EFBIG},
        {8, 0xff, -EFBIG}, {12, 0xff, -EFBIG}, {9, 0x01, -EFBIG},
    };
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        memcpy(changed, pictures, sizeof(changed));
        changed[lies[i].at] = lies[i].byte;
        assert_int_equal(open_idx(changed, size, labels, label_size), lies[i].error);
    }
}

static void test_cut_compressed_idx(void **state)
{
    (void)state;
    const struct network_input input = input_of(1, COLS, ROWS);
    struct lab_samples samples;
    uint8_t pictures[256], labels[64], *bytes;
    size_t size = make_pictures(pictures, 3), packed;
    write_compressed("y-images-idx3-ubyte.gz", pictures, size);
    write_compressed("y-labels-idx1-ubyte.gz", labels, make_labels(labels, 3));
    assert_int_equal(lab_file_read(at("y-images-idx3-ubyte.gz"), 4096, &bytes, &packed), 0);
    for (size_t keep = 0; keep < packed; keep++) {
        assert_int_equal(lab_file_write(at("y-images-idx3-ubyte.gz"), bytes, keep), 0);
        assert_int_equal(open_at(at("y-images-idx3-ubyte.gz"), &input, &samples), -EBADMSG);
    }
    bytes[packed / 2] ^= 0x10;
    assert_int_equal(lab_file_write(at("y-images-idx3-ubyte.gz"), bytes, packed), 0);
    assert_int_equal(open_at(at("y-images-idx3-ubyte.gz"), &input, &samples), -EBADMSG);
    free(bytes);
}

/* The real ones, where they are. */
static void test_mnist(void **state)
{
    (void)state;
    const char *shared = getenv("OCELLUS_SHARED");
    char path[512];
    struct lab_tree tree;
    snprintf(path, sizeof(path), "%s/data/mnist/t10k-images-idx3-ubyte.gz",
             shared ? shared : SOURCE_ROOT "/../shared");
    FILE *file = fopen(path, "rbe");
    if (!file) {
        print_message("no %s\n", path);
        skip();
    }
    fclose(file);
    assert_int_equal(lab_tree_init(&tree, path), 0);
    assert_int_equal(tree.file_count, 10000);
    assert_int_equal(tree.class_count, 10);
    assert_int_equal(tree.files[0].class_index, 7); /* the first digits are 7 2 1 0 4 */
    assert_int_equal(tree.files[4].class_index, 4);
    lab_tree_finish(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cifar_batches_of_a_folder_and_alone),
        cmocka_unit_test(test_broken_cifar),
        cmocka_unit_test(test_idx_plain_and_compressed),
        cmocka_unit_test(test_broken_idx),
        cmocka_unit_test(test_cut_compressed_idx),
        cmocka_unit_test(test_mnist),
    };
    return cmocka_run_group_tests(tests, make_folders, remove_root);
}
