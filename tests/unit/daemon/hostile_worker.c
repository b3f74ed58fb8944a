/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * A worker that misbehaves in the way its --cpu-mask argument names, for the tests of the pool. It
 * decodes nothing: frames that do not start with 'X' are answered with a well-formed result, those
 * that do get the mischief.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/worker/job.h"

#define LABELS 10u

static struct job_result *region;
static const char *mode;

static bool mode_is(const char *name)
{
    return strcmp(mode, name) == 0;
}

static bool receive(struct job_message *message, int *ret_fd, int flags)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = message, .iov_len = sizeof(*message)};
    struct msghdr header = {.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};
    if (recvmsg(JOB_FD_DOORBELL, &header, flags) != (ssize_t)sizeof(*message)) {
        return false;
    }
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
    *ret_fd = -1;
    if (cmsg != NULL) {
        memcpy(ret_fd, CMSG_DATA(cmsg), sizeof(*ret_fd));
    }
    return true;
}

static void reply(uint64_t sequence, int32_t status, uint32_t recycle)
{
    struct job_done done = {.sequence = sequence, .status = status, .recycle = recycle};
    if (send(JOB_FD_DOORBELL, &done, sizeof(done), MSG_NOSIGNAL) != (ssize_t)sizeof(done)) {
        _exit(1);
    }
}

static void reply_with_descriptors(uint64_t sequence)
{
    struct job_done done = {.sequence = sequence};
    int fds[3] = {0, JOB_FD_DOORBELL, JOB_FD_REGION};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(fds))];
    } control = {0};
    struct iovec iov = {.iov_base = &done, .iov_len = sizeof(done)};
    struct msghdr header = {.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(fds));
    memcpy(CMSG_DATA(cmsg), fds, sizeof(fds));
    sendmsg(JOB_FD_DOORBELL, &header, 0);
}

static void scribble(void)
{
    static unsigned char value;
    memset(region, ++value, sizeof(*region));
}

/* What a good worker would write. */
static void write_result(const struct job_message *message)
{
    *region = (struct job_result){
        .sequence = message->sequence,
        .generation = 7,
        .info = {.kind = message->kind == IMAGE_KIND_AUTO ? (uint8_t)IMAGE_KIND_JPEG
                                                          : (uint8_t)message->kind,
                 .orientation = 1,
                 .reduction = 1,
                 .width = 64,
                 .height = 48,
                 .nominal_white = 65535},
        .label_count = LABELS,
        .scores = {1, 2, 3},
        .point = message->point,
    };
    if (message->want_codes) {
        region->codes_bytes = 100;
        memset(region->codes, 0x5a, 100);
    }
}

static void lie(void)
{
    if (mode_is("lie-labels")) {
        region->label_count = 11;
    } else if (mode_is("lie-labels-huge")) {
        region->label_count = UINT32_MAX;
    } else if (mode_is("lie-awake")) {
        region->awake = 1; /* of a model that wakes none */
    } else if (mode_is("lie-point")) {
        region->point++; /* a frame that does not exit was asked for */
    } else if (mode_is("lie-margin")) {
        region->wake_margin = 1;
    } else if (mode_is("lie-macs")) {
        region->macs = UINT64_MAX;
    } else if (mode_is("lie-result-sequence")) {
        region->sequence ^= 1;
    } else if (mode_is("lie-codes")) {
        region->codes_bytes = JOB_CODES_MAX + 1;
    } else if (mode_is("lie-codes-part")) {
        region->codes_bytes = 99; /* less than a window's */
    } else if (mode_is("lie-codes-many")) {
        region->codes_bytes = 200; /* of two windows */
    } else if (mode_is("lie-codes-unasked")) {
        region->codes_bytes = 1;
    } else if (mode_is("lie-scanned")) {
        region->scanned = 1; /* nobody asked */
    } else if (mode_is("lie-box")) {
        region->box_count = 1;
    } else if (mode_is("lie-motion")) {
        region->motion_bytes = 1;
    } else if (mode_is("lie-colour")) {
        region->light.colour = IMAGE_COLOUR_YES + 1;
    } else if (mode_is("lie-generation")) {
        region->generation++;
    } else if (mode_is("lie-times")) {
        region->network_ns = 1000000000;
    } else if (mode_is("lie-times-huge")) {
        region->decode_ns = region->gradient_ns = UINT64_C(1) << 63;
    } else if (mode_is("lie-kind")) {
        region->info.kind = 99;
    } else if (mode_is("lie-kind-other")) {
        region->info.kind = IMAGE_KIND_PNM;
    } else if (mode_is("lie-orientation")) {
        region->info.orientation = 9;
    } else if (mode_is("lie-reduction")) {
        region->info.reduction = 3;
    } else if (mode_is("lie-size")) {
        region->info.width = 0;
    } else if (mode_is("lie-warnings")) {
        region->info.warnings = 1u << 31;
    } else if (mode_is("lie-white")) {
        region->info.nominal_white = 0;
    }
}

static void stay(void)
{
    for (;;) {
        pause();
    }
}

/* Returns when the frame was answered like any other. */
static void misbehave(const struct job_message *message)
{
    if (mode_is("crash")) {
        signal(SIGSEGV, SIG_DFL); /* a sanitizer's report would take longer than a frame may */
        raise(SIGSEGV);
    } else if (mode_is("exit")) {
        _exit(0);
    } else if (mode_is("hang")) {
        stay();
    } else if (mode_is("close")) {
        close(JOB_FD_DOORBELL);
        stay();
    } else if (mode_is("close-after-answer")) {
        reply(message->sequence, 0, 0);
        close(JOB_FD_DOORBELL);
        stay();
    } else if (mode_is("exit-after-answer")) {
        reply(message->sequence, 0, 0);
        _exit(0);
    } else if (mode_is("lie-done-sequence")) {
        reply(message->sequence + 1, 0, 0);
    } else if (mode_is("lie-status")) {
        reply(message->sequence, 1, 0);
    } else if (mode_is("lie-status-huge")) {
        reply(message->sequence, INT32_MIN, 0);
    } else if (mode_is("short")) {
        send(JOB_FD_DOORBELL, &(struct job_done){.sequence = message->sequence}, 12, MSG_NOSIGNAL);
    } else if (mode_is("long")) {
        send(JOB_FD_DOORBELL, (struct job_done[2]){{.sequence = message->sequence}},
             sizeof(struct job_done[2]), MSG_NOSIGNAL);
    } else if (mode_is("empty")) {
        send(JOB_FD_DOORBELL, "", 0, MSG_NOSIGNAL);
    } else if (mode_is("answer-twice")) {
        reply(message->sequence, 0, 0);
        reply(message->sequence, 0, 0);
    } else if (mode_is("flood")) {
        for (;;) {
            reply(message->sequence, 0, 0);
        }
    } else if (mode_is("scribble")) {
        struct job_message peeked;
        reply(message->sequence, 0, 0);
        while (recv(JOB_FD_DOORBELL, &peeked, sizeof(peeked), MSG_PEEK | MSG_DONTWAIT) < 0 &&
               errno == EAGAIN) {
            scribble();
        }
    } else if (mode_is("descriptors")) {
        reply_with_descriptors(message->sequence);
    } else if (mode_is("corrupt")) {
        reply(message->sequence, -EBADMSG, 0);
    } else if (mode_is("recycle")) {
        reply(message->sequence, -EBADMSG, 1);
    } else {
        lie();
        reply(message->sequence, 0, 0);
    }
}

/* "exit-twice" counts its lives in the model's memfd, which the test left writable. */
static void take_model(const struct job_message *message, int fd)
{
    unsigned char lives = 0;
    if (mode_is("exit-twice") && pread(fd, &lives, 1, 0) == 1 && lives < 2) {
        lives++;
        _exit(pwrite(fd, &lives, 1, 0) == 1 ? 1 : 2);
    }
    if (mode_is("never-ready")) {
        stay();
    }
    reply(message->sequence, mode_is("refuse-model") ? -EBADMSG : 0, 0);
    if (mode_is("speak-unasked")) {
        reply(message->sequence, 0, 0);
    }
}

int main(int argc, char **argv)
{
    struct stat stat;
    mode = argv[argc - 1];
    if (mode_is("exit-at-start")) {
        return 1;
    }
    if (fstat(JOB_FD_REGION, &stat) < 0) {
        return 2;
    }
    region = mmap(NULL, (size_t)stat.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, JOB_FD_REGION, 0);
    if (region == MAP_FAILED) {
        return 3;
    }
    struct job_message message;
    int fd;
    while (receive(&message, &fd, 0)) {
        if (message.op == JOB_OP_MODEL) {
            take_model(&message, fd);
            close(fd);
            continue;
        }
        write_result(&message);
        if (((const char *)region)[job_frame_offset()] == 'X') {
            misbehave(&message);
        } else {
            reply(message.sequence, 0, 0);
        }
    }
    return 0;
}
