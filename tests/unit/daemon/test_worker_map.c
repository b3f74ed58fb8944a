/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The cache of mapped memfds: what is mapped once, what is mapped again, what is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/worker/frame_map.h"

#define SIZE_LIMIT ((size_t)1 << 20)

static int make_file(char fill, size_t size)
{
    char bytes[8192];
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(size <= sizeof(bytes));
    memset(bytes, fill, size);
    assert_int_equal(write(fd, bytes, size), size);
    return fd;
}

static void test_same_file_is_mapped_once(void **state)
{
    struct frame_maps maps = {0};
    const uint8_t *first;
    const uint8_t *again;
    int fd = make_file('a', 4096);
    int other = dup(fd);
    (void)state;
    assert_int_equal(frame_maps_get(&maps, fd, 4096, SIZE_LIMIT, 1, &first), 0);
    close(fd); /* the mapping stays */
    assert_int_equal(frame_maps_get(&maps, other, 10, SIZE_LIMIT, 2, &again), 0);
    assert_ptr_equal(first, again);
    assert_int_equal(first[4095], 'a');
    /* What the client writes later is seen. */
    assert_int_equal(pwrite(other, "z", 1, 0), 1);
    assert_int_equal(again[0], 'z');
    close(other);
    assert_false(frame_maps_drop(&maps, UINT64_MAX));
}

static void test_size_is_the_kernels(void **state)
{
    struct frame_maps maps = {0};
    const uint8_t *bytes = NULL;
    int fd = make_file('a', 100);
    (void)state;
    assert_int_equal(frame_maps_get(&maps, fd, 101, SIZE_LIMIT, 1, &bytes), -EINVAL);
    assert_int_equal(frame_maps_get(&maps, fd, SIZE_MAX, SIZE_LIMIT, 1, &bytes), -EINVAL);
    assert_int_equal(frame_maps_get(&maps, -1, 1, SIZE_LIMIT, 1, &bytes), -EINVAL);
    assert_null(bytes);
    assert_int_equal(frame_maps_get(&maps, fd, 100, SIZE_LIMIT, 1, &bytes), 0);
    /* It has grown: the old mapping is too short. */
    assert_int_equal(ftruncate(fd, 8192), 0);
    assert_int_equal(pwrite(fd, "z", 1, 8191), 1);
    assert_int_equal(frame_maps_get(&maps, fd, 8192, SIZE_LIMIT, 2, &bytes), 0);
    assert_int_equal(bytes[8191], 'z');
    /* Never more than the limit. */
    assert_int_equal(frame_maps_get(&maps, fd, 8192, 8191, 2, &bytes), -EINVAL);
    close(fd);
    frame_maps_drop(&maps, UINT64_MAX);
}

static void test_oldest_makes_room(void **state)
{
    struct frame_maps maps = {0};
    const uint8_t *bytes[FRAME_MAP_COUNT + 1];
    const uint8_t *again;
    int fds[FRAME_MAP_COUNT + 1];
    (void)state;
    for (int i = 0; i <= FRAME_MAP_COUNT; i++) {
        fds[i] = make_file((char)('a' + i), 4096);
    }
    for (int i = 0; i < FRAME_MAP_COUNT; i++) {
        assert_int_equal(
            frame_maps_get(&maps, fds[i], 4096, SIZE_LIMIT, 10 + (uint64_t)i, &bytes[i]), 0);
    }
    assert_int_equal(frame_maps_get(&maps, fds[0], 4096, SIZE_LIMIT, 20, &again), 0);
    assert_ptr_equal(again, bytes[0]);
    /* fds[1] is now the oldest. */
    assert_int_equal(frame_maps_get(&maps, fds[FRAME_MAP_COUNT], 4096, SIZE_LIMIT, 21, &again), 0);
    assert_int_equal(again[0], 'a' + FRAME_MAP_COUNT);
    for (int i = 0; i <= FRAME_MAP_COUNT; i++) {
        if (i != 1) {
            assert_int_equal(frame_maps_get(&maps, fds[i], 4096, SIZE_LIMIT, 30, &again), 0);
            assert_int_equal(again[0], 'a' + i);
        }
    }
    for (int i = 0; i < FRAME_MAP_COUNT; i++) {
        assert_true(maps.entries[i].inode != 0);
    }
    struct stat stat;
    assert_int_equal(frame_map_stat(fds[1], &stat), 0);
    for (int i = 0; i < FRAME_MAP_COUNT; i++) {
        assert_int_not_equal(maps.entries[i].inode, stat.st_ino);
    }
    /* Dropping by age. */
    assert_int_equal(frame_maps_get(&maps, fds[0], 4096, SIZE_LIMIT, 40, &again), 0);
    assert_true(frame_maps_drop(&maps, 40));
    assert_int_equal(frame_maps_get(&maps, fds[0], 4096, SIZE_LIMIT, 41, &again), 0);
    assert_int_equal(again[0], 'a');
    assert_false(frame_maps_drop(&maps, 42));
    for (int i = 0; i <= FRAME_MAP_COUNT; i++) {
        close(fds[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_file_is_mapped_once),
        cmocka_unit_test(test_size_is_the_kernels),
        cmocka_unit_test(test_oldest_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
