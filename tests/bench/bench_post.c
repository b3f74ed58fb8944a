/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Posts one file over and over to an HTTP server on a Unix socket, one request at a time on one
 * connection, and prints what a reply takes as a JSON line. It knows nothing of the server but that
 * a right answer is a 200 with a Content-Length. Usage: bench_post NAME SOCKET PATH FILE RUNS
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/bench/timing.h"

enum { WARMUP = 100, RUNS_MAX = 100000, HEAD_MAX = 512 };

static char reply[256 * 1024];

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "bench_post: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        fail(path);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        fail(path);
    }
    return fd;
}

/* Head and body of the request in one block. */
static char *make_request(const char *path, const char *file, size_t *ret_size)
{
    struct stat status;
    int fd = open(file, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &status) < 0) {
        fail(file);
    }
    size_t size = (size_t)status.st_size;
    char *request = malloc(HEAD_MAX + size);
    if (request == NULL) {
        fail(file);
    }
    int head =
        snprintf(request, HEAD_MAX, "PUT %s HTTP/1.1\r\nHost: bench\r\nContent-Length: %zu\r\n\r\n",
                 path, size);
    if (head < 0 || head >= HEAD_MAX || read(fd, request + head, size) != (ssize_t)size) {
        fail(file);
    }
    close(fd);
    *ret_size = (size_t)head + size;
    return request;
}

static bool complete(size_t got)
{
    reply[got] = '\0';
    const char *body = strstr(reply, "\r\n\r\n");
    const char *length = strcasestr(reply, "content-length:");

    return body != NULL && length != NULL && length < body &&
           got >= (size_t)(body + 4 - reply) + strtoul(length + 15, NULL, 10);
}

static void exchange(int fd, const char *request, size_t size)
{
    size_t got = 0;

    for (size_t done = 0; done < size;) {
        ssize_t sent = send(fd, request + done, size - done, MSG_NOSIGNAL);
        if (sent <= 0) {
            fail("send");
        }
        done += (size_t)sent;
    }
    do {
        ssize_t more = recv(fd, reply + got, sizeof(reply) - 1 - got, 0);
        if (more <= 0) {
            fail("recv");
        }
        got += (size_t)more;
    } while (!complete(got));
    if (strncmp(reply, "HTTP/1.1 200 ", 13) != 0) {
        fprintf(stderr, "bench_post: the server says: %s\n", reply);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    long runs = argc == 6 ? strtol(argv[5], NULL, 10) : 0;
    if (runs < 10 || runs > RUNS_MAX) {
        fprintf(stderr, "usage: bench_post NAME SOCKET PATH FILE RUNS\n");
        return 2;
    }
    size_t size;
    char *request = make_request(argv[3], argv[4], &size);
    double *us = malloc((size_t)runs * sizeof(*us));
    int fd = connect_to(argv[2]);
    if (us == NULL) {
        fail("memory");
    }
    for (long i = -WARMUP; i < runs; i++) {
        double start = timing_now_us();
        exchange(fd, request, size);
        if (i >= 0) {
            us[i] = timing_now_us() - start;
        }
    }
    const double median = timing_median(us, (size_t)runs);

    printf("{\"service\":\"%s\",\"runs\":%ld,\"median_us\":%.1f,\"p99_us\":%.1f,\"min_us\":%.1f}\n",
           argv[1], runs, median, us[runs * 99 / 100], us[0]);
    free(us);
    free(request);
    close(fd);
    return 0;
}
