/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* What libuv keeps apart. */
#include "daemon/http_socket.h"

#include <unistd.h>

#include "daemon/server.h"

int http_socket_open(union http_socket *socket, uv_loop_t *loop, int fd, bool tcp)
{
    int r;
    if (tcp) {
        uv_tcp_init(loop, &socket->tcp);
        r = uv_tcp_open(&socket->tcp, fd);
        r = r < 0 ? r : uv_tcp_nodelay(&socket->tcp, 1);
    } else {
        uv_pipe_init(loop, &socket->pipe, 0);
        r = uv_pipe_open(&socket->pipe, fd);
    }
    int owned;
    if (r < 0 && uv_fileno(&socket->handle, &owned) < 0) {
        close(fd);
    }
    return r;
}

bool http_socket_gone(const union http_socket *socket)
{
    int fd;
    return uv_fileno(&socket->handle, &fd) < 0 || server_peer_gone(fd);
}
