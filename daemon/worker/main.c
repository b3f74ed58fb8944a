/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-worker: started by ocellusd with a doorbell and a region (job.h). Closes its sandbox,
 * then answers one message after the other. Says something only when it cannot start; after that it
 * just ends.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/worker/job.h"
#include "daemon/worker/sandbox.h"
#include "daemon/worker/worker.h"
#include "engine/kernel/cpu.h"

#define EXIT_USAGE 64
#define EXIT_SETUP 71

static bool parse_number(const char *text, uint64_t *ret_value)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || text[0] < '0' || text[0] > '9' || *end != '\0' || value == 0) {
        return false;
    }
    *ret_value = value;
    return true;
}

/* "A,B,...": as many as the table has. */
static bool parse_rates(const char *text, uint32_t rates[KERNEL_RATES])
{
    for (uint32_t i = 0; i < KERNEL_RATES; i++) {
        char *end;
        errno = 0;
        unsigned long long value = strtoull(text, &end, 10);
        if (errno != 0 || text[0] < '0' || text[0] > '9' || value == 0 || value > UINT32_MAX ||
            *end != (i + 1 < KERNEL_RATES ? ',' : '\0')) {
            return false;
        }
        rates[i] = (uint32_t)value;
        text = end + 1;
    }
    return true;
}

static bool parse_options(int argc, char **argv, struct worker_options *ret_options)
{
    static const struct option names[] = {
        {"frame-bytes-max", required_argument, NULL, 'f'},
        {"pixels-max", required_argument, NULL, 'p'},
        {"memory-max", required_argument, NULL, 'm'},
        {"cpu-mask", required_argument, NULL, 'c'},
        {"rates", required_argument, NULL, 'r'},
        {0},
    };
    struct worker_options options = {.cpu_mask = KERNEL_CPU_ALL};
    uint64_t frame_bytes_max = 0;
    bool valid = true;
    int name;
    while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (name) {
        case 'f':
            valid = valid && parse_number(optarg, &frame_bytes_max);
            break;
        case 'p':
            valid = valid && parse_number(optarg, &options.pixels_max);
            break;
        case 'm':
            valid = valid && parse_number(optarg, &options.memory_max);
            break;
        case 'c':
            valid = valid && kernel_cpu_mask_parse(optarg, &options.cpu_mask) == 0;
            break;
        case 'r':
            valid = valid && parse_rates(optarg, options.rates);
            break;
        default:
            valid = false;
        }
    }
    options.frame_bytes_max = (size_t)frame_bytes_max;
    *ret_options = options;
    return valid && optind == argc && frame_bytes_max > 0 && frame_bytes_max <= SIZE_MAX / 2 &&
           options.pixels_max > 0;
}

/* The descriptor of a message, or -1. Only one fits. */
static int passed_descriptor(struct msghdr *header)
{
    int fd = -1;
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(header);
    if (cmsg != NULL && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS &&
        cmsg->cmsg_len == CMSG_LEN(sizeof(fd))) {
        memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
    }
    return fd;
}

/* False at the end of the daemon, and for anything that is not one whole message. */
static bool receive(struct job_message *message, int *ret_fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = message, .iov_len = sizeof(*message)};
    struct msghdr header = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes),
    };
    ssize_t length;
    do {
        length = recvmsg(JOB_FD_DOORBELL, &header, MSG_CMSG_CLOEXEC);
    } while (length < 0 && errno == EINTR);
    if (length != (ssize_t)sizeof(*message) || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        return false;
    }
    *ret_fd = passed_descriptor(&header);
    return true;
}

static bool reply(const struct job_done *done)
{
    struct iovec iov = {.iov_base = (void *)done, .iov_len = sizeof(*done)};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t length;
    do {
        length = sendmsg(JOB_FD_DOORBELL, &header, MSG_NOSIGNAL);
    } while (length < 0 && errno == EINTR);
    return length == (ssize_t)sizeof(*done);
}

/* Wait for a message; give memory back while none comes. */
static void wait_for_message(struct worker *worker)
{
    while (worker_release(worker)) {
        struct pollfd doorbell = {.fd = JOB_FD_DOORBELL, .events = POLLIN};
        struct timespec hold = {.tv_sec = WORKER_HOLD_NS / 1000000000};
        if (ppoll(&doorbell, 1, &hold, NULL) != 0) {
            return;
        }
    }
}

static void serve(struct worker *worker)
{
    for (;;) {
        struct job_message message;
        struct job_done done;
        int fd;
        wait_for_message(worker);
        if (!receive(&message, &fd)) {
            return;
        }
        int err = worker_handle(worker, &message, fd, &done);
        if (fd >= 0) {
            close(fd);
        }
        if (err < 0 || !reply(&done)) {
            return;
        }
    }
}

static int fail(const char *what, int err)
{
    fprintf(stderr, "ocellus-worker: %s: %s\n", what, strerror(-err));
    return EXIT_SETUP;
}

int main(int argc, char **argv)
{
    struct worker worker;
    struct worker_options options;
    if (!parse_options(argc, argv, &options)) {
        fprintf(stderr, "ocellus-worker is started by ocellusd\n");
        return EXIT_USAGE;
    }
    int err = sandbox_shed(worker_memory_bytes(&options));
    if (err < 0) {
        return fail("cannot shed privileges", err);
    }
    err = worker_init(&worker, &options, JOB_FD_REGION);
    if (err < 0) {
        return fail("cannot start", err);
    }
    err = sandbox_enter();
    if (err < 0) {
        return fail("no system call filter, so no work", err);
    }
    serve(&worker);
    _exit(EXIT_SUCCESS); /* no exit handlers: they would want calls that the filter forbids */
}
