/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The socket of an HTTP connection: Unix or TCP, behind one stream. Reads and writes nothing. */
#ifndef OCELLUS_DAEMON_HTTP_SOCKET_H
#define OCELLUS_DAEMON_HTTP_SOCKET_H

#include <stdbool.h>
#include <uv.h>

union http_socket {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_pipe_t pipe;
    uv_tcp_t tcp;
};

/* Take a connected fd over, also on failure. Errors: negative errno of libuv; the handle has to be
 * closed in any case. */
int http_socket_open(union http_socket *socket, uv_loop_t *loop, int fd, bool tcp);

/* Has the peer closed both halves? */
bool http_socket_gone(const union http_socket *socket);

#endif
