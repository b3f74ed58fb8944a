/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Sockets of the doors, with the mode and group of the configuration before anybody can connect. */
#include "daemon/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

struct opener {
    struct listener *listeners;
    uint32_t count;
    char *reason;
    size_t reason_size;
};

__attribute__((format(printf, 3, 4))) static int fail(struct opener *opener, int error,
                                                      const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(opener->reason, opener->reason_size, format, arguments);
    va_end(arguments);
    return error;
}

/* There is room: systemd's sockets are counted by adopt, ours are three. */
static struct listener *add(struct opener *opener, int fd, enum listen_door door, bool local)
{
    struct listener *listener = &opener->listeners[opener->count++];
    *listener = (struct listener){.fd = fd, .door = door, .local = local};
    return listener;
}

static struct sockaddr_un unix_address(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strnlen(path, sizeof(address.sun_path) - 1));
    return address;
}

/* Remove a socket file that nobody listens on. Errors: -EADDRINUSE, -EEXIST (not a socket), errno.
 */
static int remove_stale(const char *path)
{
    struct stat status;
    if (lstat(path, &status) < 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    if (!S_ISSOCK(status.st_mode)) {
        return -EEXIST;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    struct sockaddr_un address = unix_address(path);
    int r = connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
    close(fd);
    if (r != -ECONNREFUSED) {
        return r == 0 || r == -EAGAIN ? -EADDRINUSE : r;
    }
    return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

/* Nobody can connect before listen(), so mode and group are right from the first connection on. */
static int bind_unix(int fd, const char *path, mode_t mode, gid_t group, struct stat *ret_status)
{
    struct sockaddr_un address = unix_address(path);
    mode_t old = umask(0177);
    int r = bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
    umask(old);
    if (r < 0) {
        return r;
    }
    if ((group != (gid_t)-1 && lchown(path, (uid_t)-1, group) < 0) || chmod(path, mode) < 0 ||
        lstat(path, ret_status) < 0 || listen(fd, SOMAXCONN) < 0) {
        r = -errno;
        unlink(path);
    }
    return r;
}

static int open_unix(struct opener *opener, const char *path, const struct config *config,
                     gid_t group, enum listen_door door)
{
    struct stat status;
    int r = remove_stale(path);
    if (r < 0) {
        return fail(opener, r, "%s: %s", path,
                    r == -EADDRINUSE ? "another process listens there"
                    : r == -EEXIST   ? "the file is not a socket"
                                     : strerror(-r));
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return fail(opener, -errno, "%s: %s", path, strerror(errno));
    }
    r = bind_unix(fd, path, config->socket_mode,
                  config->socket_group[0] != '\0' ? group : (gid_t)-1, &status);
    if (r < 0) {
        close(fd);
        return fail(opener, r, "%s: %s", path, strerror(-r));
    }
    struct listener *listener =
        add(opener, fd, door, true); /* at most three of ours: there is room */
    memcpy(listener->path, path, strlen(path) + 1);
    listener->device = status.st_dev;
    listener->inode = status.st_ino;
    return 0;
}

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* 127.0.0.1:8080 or [::1]:8080; the configuration was checked. Returns the size of the address or
 * -EINVAL. */
static int parse_address(const char *text, union address *ret_address)
{
    char host[CONFIG_PATH_BYTES];
    const char *colon = strrchr(text, ':');
    bool v6 = text[0] == '[';
    if (colon == NULL || colon - text < 3 || (v6 && colon[-1] != ']')) {
        return -EINVAL;
    }
    snprintf(host, sizeof(host), "%.*s", (int)(colon - text) - (v6 ? 2 : 0), text + (v6 ? 1 : 0));
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (*end != '\0' || port > UINT16_MAX) {
        return -EINVAL;
    }
    union address address = {.v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)}};
    if (v6) {
        *ret_address = address;
        return inet_pton(AF_INET6, host, &ret_address->v6.sin6_addr) == 1 ? (int)sizeof(address.v6)
                                                                          : -EINVAL;
    }
    address.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    *ret_address = address;
    return inet_pton(AF_INET, host, &ret_address->v4.sin_addr) == 1 ? (int)sizeof(address.v4)
                                                                    : -EINVAL;
}

static int open_tcp(struct opener *opener, const char *text)
{
    union address address = {.any = {.sa_family = AF_UNSPEC}};
    const int yes = 1;
    int size = parse_address(text, &address);
    if (size < 0) {
        return fail(opener, size, "%s: not an address and port", text);
    }
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return fail(opener, -errno, "%s: %s", text, strerror(errno));
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
        (address.any.sa_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes)) < 0) ||
        bind(fd, &address.any, (socklen_t)size) < 0 || listen(fd, SOMAXCONN) < 0) {
        int r = -errno;
        close(fd);
        return fail(opener, r, "%s: %s", text, strerror(-r));
    }
    add(opener, fd, LISTEN_HTTP, false);
    return 0;
}

/* One socket of systemd. It is ours from here on, whatever happens. */
static int adopt(struct opener *opener, int fd, const char *name)
{
    enum listen_door door = strcmp(name, "varlink") == 0   ? LISTEN_VARLINK
                            : strcmp(name, "metrics") == 0 ? LISTEN_METRICS
                                                           : LISTEN_HTTP;
    bool known = door != LISTEN_HTTP || strcmp(name, "http") == 0;
    bool local = sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) > 0;
    bool internet = sd_is_socket_inet(fd, AF_UNSPEC, SOCK_STREAM, 1, 0) > 0;
    if (!known || (!local && !(internet && door != LISTEN_VARLINK)) ||
        opener->count == LISTEN_MAX || fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        close(fd);
        return fail(opener, -EINVAL,
                    "socket '%.64s' from the service manager: only listening stream sockets named "
                    "http, metrics or varlink (local) are of use, and not too many",
                    name);
    }
    add(opener, fd, door, local);
    return 0;
}

static int adopt_all(struct opener *opener)
{
    char **names = NULL;
    int count = sd_listen_fds_with_names(1, &names);
    if (count < 0) {
        return fail(opener, count, "sockets from the service manager: %s", strerror(-count));
    }
    int result = 0;
    for (int i = 0; i < count; i++) {
        int fd = SD_LISTEN_FDS_START + i;
        int r = result == 0 ? adopt(opener, fd, names[i]) : (close(fd), 0);
        result = r < 0 ? r : result;
        free(names[i]);
    }
    free(names);
    return result;
}

static int open_own(struct opener *opener, const struct config *config, gid_t group)
{
    int r = 0;
    if (config->http_socket[0] != '\0') {
        r = open_unix(opener, config->http_socket, config, group, LISTEN_HTTP);
    }
    if (r == 0 && config->http_tcp[0] != '\0') {
        r = open_tcp(opener, config->http_tcp);
    }
    if (r == 0 && config->varlink_socket[0] != '\0') {
        r = open_unix(opener, config->varlink_socket, config, group, LISTEN_VARLINK);
    }
    return r;
}

int listen_open(const struct config *config, gid_t group, struct listener listeners[LISTEN_MAX],
                uint32_t *ret_count, char *ret_reason, size_t reason_size)
{
    struct opener opener = {
        .listeners = listeners, .reason = ret_reason, .reason_size = reason_size};
    int r = adopt_all(&opener);
    if (r == 0 && opener.count == 0) {
        r = open_own(&opener, config, group);
    }
    if (r < 0) {
        for (uint32_t i = 0; i < opener.count; i++) {
            listen_close(&listeners[i]);
        }
        return r;
    }
    *ret_count = opener.count;
    return 0;
}

void listen_close(struct listener *listener)
{
    struct stat status;
    close(listener->fd);
    if (listener->path[0] != '\0' && lstat(listener->path, &status) == 0 &&
        status.st_dev == listener->device && status.st_ino == listener->inode) {
        unlink(listener->path);
    }
}
