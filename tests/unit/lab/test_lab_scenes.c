/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Tables of boxes read back, every broken line refused, and which windows are picked of them. */
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

#include "engine/lab/file.h"
#include "engine/lab/pick.h"
#include "engine/lab/scenes.h"

static char root[64];
static const char *const files[] = {"a.jpg", "b.b.jpg", "c.dng", "truth.csv", "boxes.csv"};

static void put(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    assert_int_equal(lab_file_write(path, text, strlen(text)), 0);
}

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "/tmp/ocellus-lab-test.XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", root, files[i]);
        unlink(path);
    }
    return rmdir(root);
}

static void test_tables(void **state)
{
    (void)state;
    struct lab_scenes scenes;
    assert_int_equal(lab_scenes_init(&scenes, root), -ENOENT);
    for (size_t i = 0; i < 3; i++) {
        put(files[i], "");
    }
    assert_int_equal(lab_scenes_init(&scenes, root), 0);
    assert_int_equal(scenes.count, 3);
    assert_false(scenes.has_truth);
    lab_scenes_finish(&scenes);

    put("truth.csv", "frame,x,y,width,height\nc.jpg,1,2,3,4\na.jpg,-5,6.5,7,8\nc.jpg,9,9,9,9\n");
    assert_int_equal(lab_scenes_init(&scenes, root), 0);
    assert_true(scenes.has_truth);
    assert_int_equal(scenes.truth.count, 3);
    uint32_t count;
    const struct lab_box *boxes = lab_boxes_of(&scenes.truth, 0, &count);
    assert_int_equal(count, 1);
    assert_true(boxes->x == -5 && boxes->y == 6.5 && boxes->width == 7 && boxes->height == 8);
    lab_boxes_of(&scenes.truth, 1, &count);
    assert_int_equal(count, 0);
    lab_boxes_of(&scenes.truth, 2, &count);
    assert_int_equal(count, 2);

    char path[128];
    struct lab_boxes found;
    snprintf(path, sizeof(path), "%s/boxes.csv", root);
    assert_int_equal(lab_scenes_boxes(&scenes, path, &found), -ENOENT);
    put("boxes.csv", LAB_BOXES_HEADER "b.b.png,1,1,2,2,-0.5\nb.b.png,1,1,2,2,1e1\n");
    assert_int_equal(lab_scenes_boxes(&scenes, path, &found), 0);
    assert_int_equal(found.count, 2);
    assert_int_equal(found.boxes[0].frame, 1);
    assert_true(found.boxes[0].score == 10 && found.boxes[1].score == -0.5);
    lab_boxes_finish(&found);
    lab_scenes_finish(&scenes);
}

static void test_broken_tables(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "",
        "frame,x,y,width\n",
        LAB_TRUTH_HEADER "a.jpg,1,2,3\n",
        LAB_TRUTH_HEADER "a.jpg,1,2,3,4,5\n",
        LAB_TRUTH_HEADER "a.jpg,1,2,3,4",
        LAB_TRUTH_HEADER "a.jpg,1,2,0,4\n",
        LAB_TRUTH_HEADER "a.jpg,1,2,-3,4\n",
        LAB_TRUTH_HEADER "a.jpg,1,2,3,nan\n",
        LAB_TRUTH_HEADER "a.jpg,1,2,3,inf\n",
        LAB_TRUTH_HEADER "a.jpg,1,2,3,1e300\n",
        LAB_TRUTH_HEADER "a.jpg, 1,2,3,4\n",
        LAB_TRUTH_HEADER "a.jpg,,2,3,4\n",
        LAB_TRUTH_HEADER "z.jpg,1,2,3,4\n",
        LAB_TRUTH_HEADER "\n",
    };
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct lab_scenes scenes;
        put("truth.csv", broken[i]);
        assert_int_equal(lab_scenes_init(&scenes, root), -EBADMSG);
    }
}

static void test_overlap(void **state)
{
    (void)state;
    const struct lab_box box = {.x = 0, .y = 0, .width = 4, .height = 2};
    const struct lab_box half = {.x = 2, .y = 0, .width = 4, .height = 2};
    const struct lab_box beside = {.x = 4, .y = 0, .width = 4, .height = 2};
    assert_true(lab_box_overlap(&box, &box) == 1);
    assert_true(fabs(lab_box_overlap(&box, &half) - 1.0 / 3) < 1e-15);
    assert_true(lab_box_overlap(&box, &beside) == 0);
}

static struct lab_box at(double x, double score, uint32_t number)
{
    return (struct lab_box){
        .x = x, .y = 0, .width = 10, .height = 20, .score = score, .frame = number};
}

static void test_hard_windows(void **state)
{
    (void)state;
    const struct lab_box object = at(100, 0, 0);
    struct lab_box windows[] = {
        at(0, 1, 0),   at(3, 2, 1),    /* over half of one another: the surer */
        at(4, 0.5, 2),                 /* 3 and 4 overlap as well */
        at(40, 3, 3),  at(60, 0.1, 4), /* not sure enough */
        at(101, 9, 5),                 /* the object itself */
        at(106, 5, 6),                 /* a quarter of it is an error */
        at(80, 3, 7),
    };
    uint32_t picked[8];
    assert_int_equal(lab_pick_hard(windows, 8, &object, 1, 0.4, 8, picked), 4);
    const uint32_t wanted[] = {6, 3, 7, 1};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(windows[picked[i]].frame, wanted[i]);
    }
    assert_int_equal(lab_pick_hard(windows, 8, &object, 1, 0.4, 2, picked), 2);
    assert_int_equal(windows[picked[1]].frame, 3);
    assert_int_equal(lab_pick_hard(windows, 8, NULL, 0, 0.4, 1, picked), 1);
    assert_int_equal(windows[picked[0]].frame, 5);
    assert_int_equal(lab_pick_hard(windows, 0, NULL, 0, 0.4, 8, picked), 0);
}

static void test_fitting_windows(void **state)
{
    (void)state;
    const struct lab_box object = at(0, 0, 0);
    struct lab_box windows[9];
    for (uint32_t i = 0; i < 9; i++) { /* overlaps 1, 0.82, 0.67, ... */
        windows[i] = at(i / 2, 0, i);
    }
    uint32_t picked[9];
    assert_int_equal(lab_pick_fitting(windows, 9, &object, 9, picked), 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(picked[i], i);
    }
    assert_int_equal(lab_pick_fitting(windows, 9, &object, 2, picked), 2);
    assert_int_equal(picked[0], 0);
    assert_int_equal(picked[1], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),          cmocka_unit_test(test_broken_tables),
        cmocka_unit_test(test_overlap),         cmocka_unit_test(test_hard_windows),
        cmocka_unit_test(test_fitting_windows),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
