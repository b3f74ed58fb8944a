/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * For LD_PRELOAD: counts the calls of the store that change files, and at call number SHIM_AT kills
 * the process before it (SHIM_WHAT=kill-before) or after it (kill-after), or makes it fail with an
 * errno (SHIM_WHAT=5; once, or from there on with SHIM_STAYS=1) or write half (short).
 * SHIM_COUNT=1: tells how many calls there were, on standard error. Calls on the file of
 * acknowledgements, which is fsynced, are left alone.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static unsigned long calls;

static unsigned long number(const char *name)
{
    const char *text = getenv(name);
    return text != NULL ? strtoul(text, NULL, 10) : 0;
}

/* What happens to this call: 0 nothing, -1 death after it, -2 a short write, else its errno. */
static int fate(void)
{
    const unsigned long at = number("SHIM_AT");
    const char *what = getenv("SHIM_WHAT");
    calls++;
    if (what == NULL || at == 0 || calls < at || (calls > at && number("SHIM_STAYS") == 0)) {
        return 0;
    }
    if (strcmp(what, "kill-before") == 0) {
        raise(SIGKILL);
    }
    return strcmp(what, "kill-after") == 0 ? -1 : strcmp(what, "short") == 0 ? -2 : atoi(what);
}

__attribute__((destructor)) static void tell(void)
{
    if (number("SHIM_COUNT") != 0) {
        dprintf(STDERR_FILENO, "%lu\n", calls);
    }
}

static void *real(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

#define CALL(result, name, declared, ...)                                                          \
    result name declared                                                                           \
    {                                                                                              \
        result(*call) declared;                                                                    \
        *(void **)&call = real(#name);                                                             \
        const int f = fate();                                                                      \
        if (f > 0) {                                                                               \
            errno = f;                                                                             \
            return -1;                                                                             \
        }                                                                                          \
        result r = call(__VA_ARGS__);                                                              \
        if (f == -1) {                                                                             \
            raise(SIGKILL);                                                                        \
        }                                                                                          \
        return r;                                                                                  \
    }

CALL(int, fdatasync, (int fd), fd)
CALL(int, ftruncate, (int fd, off_t size), fd, size)
CALL(int, fallocate, (int fd, int mode, off_t at, off_t size), fd, mode, at, size)
CALL(int, unlinkat, (int fd, const char *name, int flags), fd, name, flags)
CALL(int, renameat, (int from, const char *a, int to, const char *b), from, a, to, b)

/* The directory is synced by fsync, and so is the file of acknowledgements. */
int fsync(int fd)
{
    int (*call)(int);
    *(void **)&call = real("fsync");
    const int f = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY ? fate() : 0;
    if (f > 0) {
        errno = f;
        return -1;
    }
    const int r = call(fd);
    if (f == -1) {
        raise(SIGKILL);
    }
    return r;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    ssize_t (*call)(int, const void *, size_t, off_t);
    *(void **)&call = real("pwrite");
    const int f = size == sizeof(unsigned long long) && at == 0 ? 0 : fate(); /* acknowledgements */
    if (f > 0) {
        errno = f;
        return -1;
    }
    const ssize_t r = call(fd, bytes, f == -2 && size > 1 ? size / 2 : size, at);
    if (f == -1) {
        raise(SIGKILL);
    }
    return r;
}

int openat(int directory, const char *name, int flags, ...)
{
    int (*call)(int, const char *, int, ...);
    va_list list;
    *(void **)&call = real("openat");
    va_start(list, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
    va_end(list);
    const int f = fate();
    if (f > 0) {
        errno = f;
        return -1;
    }
    const int r = call(directory, name, flags, mode);
    if (f == -1) {
        raise(SIGKILL);
    }
    return r;
}
