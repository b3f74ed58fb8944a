/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* recvmsg with room for a few descriptors. */
#include "daemon/fd_queue.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* False when some descriptors did not fit; those are closed. */
static bool keep(struct fd_queue *queue, struct msghdr *header, uint64_t owner)
{
    bool good = (header->msg_flags & MSG_CTRUNC) == 0;
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg != NULL;
         cmsg = CMSG_NXTHDR(header, cmsg)) {
        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(fd), sizeof(fd));
            if (queue->count < LIMIT_VARLINK_FDS) {
                queue->items[queue->count].fd = fd;
                queue->items[queue->count++].owner = owner;
            } else {
                close(fd);
                good = false;
            }
        }
    }
    return good;
}

ssize_t fd_queue_receive(struct fd_queue *queue, int socket, void *data, size_t size,
                         uint64_t position)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(LIMIT_VARLINK_FDS * sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = data, .iov_len = size};
    struct msghdr header = {.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};
    ssize_t n = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0) {
        return -errno;
    }
    return keep(queue, &header, position + (uint64_t)n - 1) ? n : -EMSGSIZE;
}

unsigned fd_queue_take(struct fd_queue *queue, uint64_t end, int fds[LIMIT_VARLINK_FDS])
{
    unsigned taken = 0;
    while (taken < queue->count && queue->items[taken].owner < end) {
        fds[taken] = queue->items[taken].fd;
        taken++;
    }
    queue->count -= taken;
    memmove(queue->items, queue->items + taken, queue->count * sizeof(queue->items[0]));
    return taken;
}

void fd_queue_close(struct fd_queue *queue)
{
    for (unsigned i = 0; i < queue->count; i++) {
        close(queue->items[i].fd);
    }
    queue->count = 0;
}
