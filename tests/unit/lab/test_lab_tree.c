/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Listing a folder-per-class tree, and whole files in and out. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/lab/file.h"
#include "engine/lab/tree.h"
#include "tests/unit/lab/folder.h"

static void make_file(const char *name)
{
    assert_int_equal(lab_file_write(at(name), "x", 1), 0);
}

static void test_classes_take_turns_in_byte_order(void **state)
{
    (void)state;
    assert_int_equal(mkdir(at("b"), 0700), 0);
    assert_int_equal(mkdir(at("a"), 0700), 0);
    assert_int_equal(mkdir(at("Z"), 0700), 0);
    assert_int_equal(mkdir(at(".hidden"), 0700), 0);
    assert_int_equal(mkdir(at("a/folder"), 0700), 0);
    make_file("loose.jpg");
    make_file(".hidden/h.jpg");
    make_file("a/2.jpg");
    make_file("a/10.jpg");
    make_file("a/.part");
    make_file("b/1.jpg");
    make_file("b/3.jpg");
    make_file("b/2.jpg");
    static const struct {
        const char *path;
        uint32_t class_index;
    } expected[] = {
        {"a/10.jpg", 1}, {"b/1.jpg", 2}, {"a/2.jpg", 1}, {"b/2.jpg", 2}, {"b/3.jpg", 2}};
    struct lab_tree tree;
    assert_int_equal(lab_tree_init(&tree, root), 0);
    assert_int_equal(tree.class_count, 3);
    assert_string_equal(tree.classes[0], "Z");
    assert_string_equal(tree.classes[1], "a");
    assert_string_equal(tree.classes[2], "b");
    assert_int_equal(tree.file_count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(tree.files[i].path, at(expected[i].path));
        assert_int_equal(tree.files[i].class_index, expected[i].class_index);
    }
    lab_tree_finish(&tree);
}

static void test_trees_without_pictures_are_errors(void **state)
{
    (void)state;
    struct lab_tree tree = {.file_count = 7};
    assert_int_equal(lab_tree_init(&tree, at("absent")), -ENOENT);
    assert_int_equal(lab_tree_init(&tree, root), -ENOENT);
    assert_int_equal(mkdir(at("class"), 0700), 0);
    assert_int_equal(lab_tree_init(&tree, root), -ENOENT);
    make_file("plain");
    assert_int_equal(lab_tree_init(&tree, at("plain")), -ENOTDIR);
    assert_int_equal(tree.file_count, 7);
}

static void test_files_come_back_whole_and_bounded(void **state)
{
    (void)state;
    enum { SIZE = 200000 };
    uint8_t *bytes = malloc(SIZE), *back;
    size_t size;
    assert_non_null(bytes);
    for (size_t i = 0; i < SIZE; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    }
    assert_int_equal(lab_file_write(at("big"), bytes, SIZE), 0);
    assert_int_equal(lab_file_read(at("big"), SIZE, &back, &size), 0);
    assert_int_equal(size, SIZE);
    assert_memory_equal(back, bytes, SIZE);
    free(back);
    back = bytes;
    assert_int_equal(lab_file_read(at("big"), SIZE - 1, &back, &size), -EFBIG);
    assert_ptr_equal(back, bytes);
    assert_int_equal(lab_file_write(at("big"), bytes, 0), 0); /* replaced */
    assert_int_equal(lab_file_read(at("big"), SIZE, &back, &size), 0);
    assert_int_equal(size, 0);
    free(back);
    assert_int_equal(lab_file_read(at("absent"), SIZE, &back, &size), -ENOENT);
    assert_int_equal(lab_file_read(root, SIZE, &back, &size), -EISDIR);
    assert_int_equal(lab_file_write(at("absent/file"), bytes, 1), -ENOENT);
    assert_int_equal(access(at("big.part"), F_OK), -1);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_classes_take_turns_in_byte_order, make_root,
                                        remove_root),
        cmocka_unit_test_setup_teardown(test_trees_without_pictures_are_errors, make_root,
                                        remove_root),
        cmocka_unit_test_setup_teardown(test_files_come_back_whole_and_bounded, make_root,
                                        remove_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
