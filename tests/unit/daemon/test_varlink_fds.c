/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Descriptors over a real socket pair: the kernel glues messages together as it does. */
#include "daemon/fd_queue.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "pool_fixture.h"

static int pair[2];
static int file;

static int setup(void **state)
{
    (void)state;
    file = memfd_create("test", MFD_CLOEXEC);
    return file < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    close(pair[0]);
    close(pair[1]);
    close(file);
    return 0;
}

/* Send a text with `count` descriptors. */
static void send_text(const char *text, unsigned count)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(16 * sizeof(int))];
    } control = {0};
    struct iovec iov = {.iov_base = (void *)text, .iov_len = strlen(text)};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    if (count > 0) {
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
        for (unsigned i = 0; i < count; i++) {
            memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &file, sizeof(int));
        }
    }
    assert_int_equal(sendmsg(pair[1], &header, 0), strlen(text));
}

/* Read everything `size` bytes at a time; how many descriptors each of the four-byte messages has.
 */
static void read_all(size_t size, unsigned counts[], unsigned messages)
{
    struct fd_queue queue = {.count = 0};
    char data[64];
    uint64_t position = 0;
    unsigned done = 0;
    while (done < messages) {
        ssize_t n = fd_queue_receive(&queue, pair[0], data, size, position);
        assert_true(n > 0);
        position += (uint64_t)n;
        while (done < messages && position >= (done + 1) * 4) {
            int fds[LIMIT_VARLINK_FDS];
            counts[done] = fd_queue_take(&queue, (done + 1) * 4, fds);
            for (unsigned i = 0; i < counts[done]; i++) {
                close(fds[i]);
            }
            done++;
        }
    }
    assert_int_equal(queue.count, 0);
}

static void test_messages_keep_their_descriptors(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 24; size++) {
        unsigned before = count_fds(), counts[6];
        send_text("AAA\n", 0);
        send_text("BBB\n", 1);
        send_text("CCC\n", 0);
        send_text("DDD\n", 2);
        send_text("EEE\n", 0);
        send_text("FFF\n", 1);
        read_all(size, counts, 6);
        const unsigned wanted[6] = {0, 1, 0, 2, 0, 1};
        /* Where a read ends inside a message, its descriptors still belong to the message of its
         * last byte. */
        assert_memory_equal(counts, wanted, sizeof(wanted));
        assert_int_equal(count_fds(), before);
    }
}

static void test_too_many_at_once(void **state)
{
    (void)state;
    struct fd_queue queue = {.count = 0};
    char data[64];
    unsigned before = count_fds();
    send_text("x", LIMIT_VARLINK_FDS);
    assert_int_equal(fd_queue_receive(&queue, pair[0], data, sizeof(data), 0), 1);
    assert_int_equal(queue.count, LIMIT_VARLINK_FDS);
    send_text("y", 1); /* no place left */
    assert_int_equal(fd_queue_receive(&queue, pair[0], data, sizeof(data), 1), -EMSGSIZE);
    fd_queue_close(&queue);
    assert_int_equal(count_fds(), before);

    send_text("z", LIMIT_VARLINK_FDS + 1);
    assert_int_equal(fd_queue_receive(&queue, pair[0], data, sizeof(data), 0), -EMSGSIZE);
    fd_queue_close(&queue);
    assert_int_equal(count_fds(), before);
    assert_int_equal(fd_queue_receive(&queue, pair[0], data, sizeof(data), 0), -EAGAIN);
}

static void test_descriptors_are_not_inherited(void **state)
{
    (void)state;
    struct fd_queue queue = {.count = 0};
    char byte;
    send_text("x", 1);
    assert_int_equal(fd_queue_receive(&queue, pair[0], &byte, 1, 0), 1);
    assert_int_equal(fcntl(queue.items[0].fd, F_GETFD), FD_CLOEXEC);
    fd_queue_close(&queue);
    shutdown(pair[1], SHUT_WR);
    assert_int_equal(fd_queue_receive(&queue, pair[0], &byte, 1, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_messages_keep_their_descriptors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_descriptors_are_not_inherited, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
