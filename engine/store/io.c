/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The system calls of the store, and whole reads and writes over any table of them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/store/store_internal.h"

static int directory(void *context)
{
    return *(const int *)context;
}

static int result(int r)
{
    return r < 0 ? -errno : r;
}

static int posix_open(void *context, const char *name, int flags, unsigned mode)
{
    return result(openat(directory(context), name, flags | O_CLOEXEC | O_NOFOLLOW, mode));
}

static int posix_close(void *context, int fd)
{
    (void)context;
    return result(close(fd));
}

static int64_t posix_pread(void *context, int fd, void *bytes, size_t size, uint64_t at)
{
    (void)context;
    ssize_t count = pread(fd, bytes, size, (off_t)at);
    return count < 0 ? -errno : count;
}

static int64_t posix_pwrite(void *context, int fd, const void *bytes, size_t size, uint64_t at)
{
    (void)context;
    ssize_t count = pwrite(fd, bytes, size, (off_t)at);
    return count < 0 ? -errno : count;
}

static int posix_size(void *context, int fd, uint64_t *ret_size)
{
    struct stat stat;
    (void)context;
    if (fstat(fd, &stat) < 0) {
        return -errno;
    }
    *ret_size = (uint64_t)stat.st_size;
    return 0;
}

static int posix_allocate(void *context, int fd, uint64_t from, uint64_t size)
{
    (void)context;
    return result(fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)size));
}

static int posix_truncate(void *context, int fd, uint64_t size)
{
    (void)context;
    return result(ftruncate(fd, (off_t)size));
}

static int posix_sync(void *context, int fd)
{
    (void)context;
    return result(fdatasync(fd));
}

static int posix_sync_directory(void *context)
{
    return result(fsync(directory(context)));
}

static int posix_forget(void *context, int fd)
{
    (void)context;
    return -posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

static int posix_rename(void *context, const char *from, const char *to)
{
    return result(renameat(directory(context), from, directory(context), to));
}

static int posix_unlink(void *context, const char *name)
{
    return result(unlinkat(directory(context), name, 0));
}

static int posix_list(void *context, void (*each)(void *user, const char *name), void *user)
{
    int fd = openat(directory(context), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    DIR *stream = fdopendir(fd);
    if (stream == NULL) {
        int err = -errno;
        close(fd);
        return err;
    }
    const struct dirent *entry;
    errno = 0;
    while ((entry = readdir(stream)) != NULL) {
        each(user, entry->d_name);
        errno = 0;
    }
    int err = -errno;
    closedir(stream);
    return err;
}

static int posix_lock(void *context, int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    (void)context;
    return result(fcntl(fd, F_OFD_SETLK, &lock));
}

static int64_t microseconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void posix_now(void *context, int64_t *ret_real, int64_t *ret_monotonic)
{
    (void)context;
    *ret_real = microseconds(CLOCK_REALTIME);
    *ret_monotonic = microseconds(CLOCK_BOOTTIME);
}

struct store_io store_io_posix(const int *directory_fd)
{
    return (struct store_io){
        .open = posix_open,
        .close = posix_close,
        .pread = posix_pread,
        .pwrite = posix_pwrite,
        .size = posix_size,
        .allocate = posix_allocate,
        .truncate = posix_truncate,
        .sync = posix_sync,
        .sync_directory = posix_sync_directory,
        .forget = posix_forget,
        .rename = posix_rename,
        .unlink = posix_unlink,
        .list = posix_list,
        .lock = posix_lock,
        .now = posix_now,
        .context = (void *)(uintptr_t)directory_fd,
    };
}

int store_read_all(const struct store_io *io, int fd, void *bytes, size_t size, uint64_t at)
{
    for (size_t done = 0; done < size;) {
        int64_t count = io->pread(io->context, fd, (uint8_t *)bytes + done, size - done, at + done);
        if (count < 0 && count != -EINTR) {
            return (int)count;
        }
        if (count == 0) {
            return -EIO;
        }
        done += count > 0 ? (size_t)count : 0;
    }
    return 0;
}

int store_write_all(const struct store_io *io, int fd, const void *bytes, size_t size, uint64_t at)
{
    for (size_t done = 0; done < size;) {
        int64_t count =
            io->pwrite(io->context, fd, (const uint8_t *)bytes + done, size - done, at + done);
        if (count < 0 && count != -EINTR) {
            return (int)count;
        }
        if (count == 0) {
            return -EIO;
        }
        done += count > 0 ? (size_t)count : 0;
    }
    return 0;
}

void store_name(char name[STORE_NAME_SIZE], const char *kind, uint64_t epoch)
{
    snprintf(name, STORE_NAME_SIZE, "%s-%016" PRIx64, kind, epoch);
}
