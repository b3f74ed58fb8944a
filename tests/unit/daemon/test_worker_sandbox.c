/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Tries every system call inside the worker's sandbox, each in a process of its own, and what
 * shedding takes away. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/worker/job.h"
#include "daemon/worker/sandbox.h"

#define CALL_LAST 470

/* Exit codes of a child. */
enum { RETURNED = 0, REFUSED = 1, NO_SANDBOX = 2 };

/* Runs `body` in a child and returns its wait status. Five seconds, then SIGALRM. */
static int in_child(int (*body)(long), long argument)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        alarm(5);
        _exit(body(argument));
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static bool killed(int status)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static bool returned(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == RETURNED;
}

static int call_number(long number)
{
    if (sandbox_enter() < 0) {
        return NO_SANDBOX;
    }
    /* No pointer, descriptor or id is valid as -1, so that what is let through fails at once. */
    syscall(number, -1L, -1L, -1L, -1L, -1L, -1L);
    return RETURNED;
}

/* Calls that come through with all arguments -1: those allowed with any arguments, and pread64,
 * which asks for a descriptor above 4. recvmsg, sendmsg, mmap and madvise do not, because their
 * arguments are checked. */
static bool expected(long number)
{
    static const long allowed[] = {
        SYS_ppoll, SYS_pread64, SYS_fstat,         SYS_close,      SYS_munmap,          SYS_mremap,
        SYS_brk,   SYS_futex,   SYS_clock_gettime, SYS_exit_group, SYS_restart_syscall,
#ifdef __x86_64__
        335,       336, /* uretprobe, uprobe: newer kernels exempt both from filters; they do
                           nothing unless traced */
#endif
    };
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        if (allowed[i] == number) {
            return true;
        }
    }
    return false;
}

static void test_every_call(void **state)
{
    (void)state;
    if (SANDBOX_WIDE) {
        print_message("skipped: sanitizer builds have a wider filter\n");
        skip();
    }
    unsigned wrong = 0;
    for (long number = 0; number <= CALL_LAST; number++) {
        int status = in_child(call_number, number);
        bool uprobe =
            number == 335 || number == 336; /* older kernels know no such calls and kill */
        if (killed(status) == expected(number) && !uprobe) {
            print_message("call %ld: wait status 0x%x\n", number, (unsigned)status);
            wrong++;
        }
        assert_false(WIFEXITED(status) && WEXITSTATUS(status) == NO_SANDBOX);
        assert_false(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
    }
    assert_int_equal(wrong, 0);
}

#ifdef __x86_64__
static void test_other_architectures(void **state)
{
    (void)state;
    const long x32 = 0x40000000;
    assert_true(killed(in_child(call_number, x32 | SYS_close)));
    assert_true(killed(in_child(call_number, x32 | SYS_futex)));
}
#endif

static int map_memory(long protection)
{
    if (sandbox_enter() < 0) {
        return NO_SANDBOX;
    }
    void *bytes =
        (void *)syscall(SYS_mmap, NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return bytes == MAP_FAILED ? REFUSED : RETURNED;
}

static int map_file(long protection)
{
    int fd = memfd_create("test", 0);
    if (fd < 0 || ftruncate(fd, 4096) < 0 || sandbox_enter() < 0) {
        return NO_SANDBOX;
    }
    void *bytes = (void *)syscall(SYS_mmap, NULL, 4096, protection, MAP_SHARED, fd, 0);
    return bytes == MAP_FAILED ? REFUSED : RETURNED;
}

static int protect_memory(long protection)
{
    void *bytes = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED || sandbox_enter() < 0) {
        return NO_SANDBOX;
    }
    return syscall(SYS_mprotect, bytes, 4096, protection) < 0 ? REFUSED : RETURNED;
}

static int advise_memory(long advice)
{
    void *bytes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED || sandbox_enter() < 0) {
        return NO_SANDBOX;
    }
    return syscall(SYS_madvise, bytes, 4096, advice) < 0 ? REFUSED : RETURNED;
}

static void test_memory(void **state)
{
    (void)state;
    assert_true(returned(in_child(map_memory, PROT_READ | PROT_WRITE)));
    assert_true(returned(in_child(map_file, PROT_READ)));
    assert_true(returned(in_child(advise_memory, MADV_DONTNEED)));
    assert_true(killed(in_child(map_memory, PROT_EXEC)));
    assert_true(killed(in_child(map_memory, PROT_READ | PROT_WRITE | PROT_EXEC)));
    assert_true(killed(in_child(map_file, PROT_READ | PROT_EXEC)));
    assert_true(killed(in_child(protect_memory, PROT_READ | PROT_EXEC)));
    if (!SANDBOX_WIDE) {
        assert_true(killed(in_child(map_file, PROT_WRITE)));
        assert_true(killed(in_child(map_file, PROT_READ | PROT_WRITE)));
        assert_true(killed(in_child(protect_memory, PROT_READ | PROT_WRITE)));
        assert_true(killed(in_child(advise_memory, MADV_HWPOISON)));
        assert_true(killed(in_child(advise_memory, MADV_REMOVE)));
    }
}

/* One byte through one end of a pair, read at the other. */
static int send_on(long fd)
{
    int pair[2];
    char byte = 'x';
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0 || dup2(pair[0], JOB_FD_DOORBELL) < 0 ||
        dup2(pair[1], 9) < 0 || sandbox_enter() < 0) {
        return NO_SANDBOX;
    }
    if (sendmsg((int)fd, &header, 0) != 1) {
        return REFUSED;
    }
    return RETURNED;
}

static int receive_on(long fd)
{
    int pair[2];
    char byte = 'x';
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0 || send(pair[0], "x", 1, 0) != 1 ||
        send(pair[1], "x", 1, 0) != 1 || dup2(pair[0], JOB_FD_DOORBELL) < 0 ||
        dup2(pair[1], 9) < 0 || sandbox_enter() < 0) {
        return NO_SANDBOX;
    }
    return recvmsg((int)fd, &header, 0) == 1 ? RETURNED : REFUSED;
}

static void test_doorbell_only(void **state)
{
    (void)state;
    assert_true(returned(in_child(send_on, JOB_FD_DOORBELL)));
    assert_true(returned(in_child(receive_on, JOB_FD_DOORBELL)));
    if (!SANDBOX_WIDE) {
        assert_true(killed(in_child(send_on, 9)));
        assert_true(killed(in_child(receive_on, 9)));
    }
}

static int read_on(long fd)
{
    char bytes[4];
    int file = memfd_create("test", 0);
    if (file < 0 || write(file, "1234", 4) != 4 || dup2(file, (int)fd) < 0 || sandbox_enter() < 0) {
        return NO_SANDBOX;
    }
    return pread((int)fd, bytes, 4, 0) == 4 ? RETURNED : REFUSED;
}

static void test_reads_passed_files_only(void **state)
{
    (void)state;
    assert_true(returned(in_child(read_on, JOB_FD_REGION + 1)));
    assert_true(killed(in_child(read_on, STDERR_FILENO)));
    assert_true(killed(in_child(read_on, JOB_FD_REGION)));
}

#define SHED_MEMORY ((size_t)256 << 20)

/* Each step has its own exit code, so that a failure names its line. */
static int shed(long argument)
{
    (void)argument;
    setenv("TZ", "America/New_York", 1);
    int high = fcntl(STDERR_FILENO, F_DUPFD, 100);
    if (high < 100 || sandbox_shed(SHED_MEMORY) < 0) {
        return __LINE__ % 256;
    }
    if (fcntl(high, F_GETFD) >= 0 || fcntl(STDERR_FILENO, F_GETFD) < 0) {
        return __LINE__ % 256;
    }
    int signal = 0;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0 ||
        prctl(PR_GET_PDEATHSIG, &signal) < 0 || signal != SIGKILL) {
        return __LINE__ % 256;
    }
    time_t epoch = 0;
    if (localtime(&epoch)->tm_hour != 0) {
        return __LINE__ % 256;
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_CORE, &limit) < 0 || limit.rlim_max != 0 ||
        getrlimit(RLIMIT_NPROC, &limit) < 0 || limit.rlim_max != 0 ||
        getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max > 32) {
        return __LINE__ % 256;
    }
    return RETURNED;
}

static void test_shed(void **state)
{
    (void)state;
    int status = in_child(shed, 0);
    print_message("wait status 0x%x\n", (unsigned)status);
    assert_true(returned(status));
}

/* malloc must end with NULL before the limit is taken, inside the filter. */
static int take_memory(long argument)
{
    (void)argument;
    if (sandbox_shed(SHED_MEMORY) < 0 || sandbox_enter() < 0) {
        return NO_SANDBOX;
    }
    for (size_t taken = 0; taken < SHED_MEMORY; taken += (size_t)1 << 20) {
        volatile char *block = malloc((size_t)1 << 20);
        if (block == NULL) {
            return RETURNED;
        }
        block[0] = 1;
    }
    return REFUSED;
}

/* A single request that cannot be met is an error, too: the C library must not try ways of getting
 * memory that the filter forbids. */
static int take_too_much(long argument)
{
    (void)argument;
    const size_t limit = (size_t)1 << 30;
    if (sandbox_shed(limit) < 0 || sandbox_enter() < 0) {
        return NO_SANDBOX;
    }
    for (size_t size = limit; size < limit << 10; size <<= 1) {
        if (malloc(size) != NULL) {
            return REFUSED;
        }
    }
    return RETURNED;
}

static void test_memory_limit(void **state)
{
    (void)state;
    if (SANDBOX_WIDE) {
        print_message("skipped: sanitizer builds have no memory limit\n");
        skip();
    }
    assert_true(returned(in_child(take_memory, 0)));
    assert_true(returned(in_child(take_too_much, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_call),
#ifdef __x86_64__
        cmocka_unit_test(test_other_architectures),
#endif
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_doorbell_only),
        cmocka_unit_test(test_reads_passed_files_only),
        cmocka_unit_test(test_shed),
        cmocka_unit_test(test_memory_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
