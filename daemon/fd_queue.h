/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Descriptors that came over a stream socket, until the message that owns them is known. They
 * belong to the message with the last byte of the read that brought them: the kernel glues bytes
 * without descriptors in front of bytes that have some, but a read never goes past those.
 */
#ifndef OCELLUS_DAEMON_FD_QUEUE_H
#define OCELLUS_DAEMON_FD_QUEUE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/limits.h"

struct fd_queue { /* zero-initialised: empty */
    struct {
        int fd;
        uint64_t owner; /* stream position of the last byte of its read */
    } items[LIMIT_VARLINK_FDS];
    unsigned count;
};

/*
 * Read once into data[0..size), which is at stream position `position`, and keep what descriptors
 * come along. Returns bytes, 0 at the end of the stream. Errors: -EMSGSIZE there were more
 * descriptors than there is room for, so that some are lost and the rest cannot be trusted; -EAGAIN
 * and negative errno of recvmsg.
 */
ssize_t fd_queue_receive(struct fd_queue *queue, int socket, void *data, size_t size,
                         uint64_t position);

/* Move the descriptors of the message that ends before stream position `end` to `fds`; returns how
 * many. */
unsigned fd_queue_take(struct fd_queue *queue, uint64_t end, int fds[LIMIT_VARLINK_FDS]);

/* Close all that is left. */
void fd_queue_close(struct fd_queue *queue);

#endif
