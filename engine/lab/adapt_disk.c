/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What learning writes, by the counter of the block device: records through engine/store with the
 * daemon's settings, or a file written again and again.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "engine/lab/adapt_study.h"
#include "engine/lab/lab.h"
#include "engine/store/store.h"

#define FOLDER "ocellus-lab-adapt"
#define FILE_  "model"
#define SECTOR 512u

struct lab_adapt_store {
    struct store_io io;
    struct store *store;
};

/* Bytes that the device received so far, after everything was written back. */
static int written(const struct lab_adapt_disk *disk, uint64_t *ret_bytes)
{
    uint64_t sectors;
    FILE *file;
    int got;

    if (syncfs(disk->root) < 0) {
        return -errno;
    }
    file = fopen(disk->statistic, "re");
    if (file == NULL) {
        return -errno;
    }
    got = fscanf(file, "%*u %*u %*u %*u %*u %*u %" SCNu64, &sectors);
    fclose(file);
    if (got != 1) {
        return -EIO;
    }
    *ret_bytes = sectors * SECTOR;
    return 0;
}

int lab_adapt_disk_open(struct lab_adapt_disk *disk, const char *path)
{
    struct stat about;
    struct statvfs system;
    uint64_t bytes;

    *disk = (struct lab_adapt_disk){.path = path, .folder = -1};
    disk->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (disk->root < 0 || fstat(disk->root, &about) < 0 || fstatvfs(disk->root, &system) < 0) {
        const int r = -errno;

        lab_error("%s: %s", path, strerror(-r));
        lab_adapt_disk_close(disk);
        return r;
    }
    disk->block = (uint32_t)system.f_bsize;
    snprintf(disk->statistic, sizeof(disk->statistic), "/sys/dev/block/%u:%u/stat",
             major(about.st_dev), minor(about.st_dev));
    if (written(disk, &bytes) < 0) {
        lab_error("%s: no block device that counts what it receives", path);
        lab_adapt_disk_close(disk);
        return -ENODEV;
    }
    return 0;
}

void lab_adapt_disk_close(struct lab_adapt_disk *disk)
{
    if (disk->root >= 0) {
        close(disk->root);
        disk->root = -1;
    }
}

static int open_store(struct lab_adapt_disk *disk)
{
    const struct store_settings settings = {.base = {1},
                                            .budget_day = UINT64_C(1) << 30,
                                            .journal_allowance = 16384,
                                            .log_max = UINT64_C(256) << 10,
                                            .reserve = UINT64_C(16) << 10};
    struct store_opened opened;
    int r;

    disk->store = calloc(1, sizeof(*disk->store));
    if (disk->store == NULL) {
        return -ENOMEM;
    }
    disk->store->io = store_io_posix(&disk->folder);
    r = store_open(&disk->store->io, &settings, &disk->store->store, &opened);
    return r < 0 ? r : opened.state == STORE_FRESH ? 0 : -EEXIST;
}

int lab_adapt_disk_begin(struct lab_adapt_disk *disk, const void *file, size_t size)
{
    uint64_t before;
    int r = written(disk, &before);

    if (r < 0 || mkdirat(disk->root, FOLDER, 0700) < 0) {
        return r < 0 ? r : -errno;
    }
    disk->folder = openat(disk->root, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (disk->folder < 0) {
        return -errno;
    }
    r = file != NULL ? lab_adapt_disk_rewrite(disk, file, size) : open_store(disk);
    if (r == 0) {
        r = written(disk, &disk->begun);
    }
    if (r == 0 && file == NULL) {
        disk->made = disk->begun - before;
    }
    return r;
}

int lab_adapt_disk_commit(struct lab_adapt_disk *disk, const void *record, size_t size)
{
    uint64_t sequence;
    const int r = store_append(disk->store->store, record, size, &sequence);

    return r < 0 ? r : store_commit(disk->store->store, NULL);
}

int lab_adapt_disk_rewrite(struct lab_adapt_disk *disk, const void *file, size_t size)
{
    const int fd = openat(disk->folder, FILE_, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ssize_t put;
    int r;

    if (fd < 0) {
        return -errno;
    }
    put = pwrite(fd, file, size, 0);
    r = put < 0 ? -errno : (size_t)put < size ? -ENOSPC : fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return r;
}

/* Takes away what a run wrote. */
static void clear(struct lab_adapt_disk *disk)
{
    DIR *folder = fdopendir(disk->folder);
    const struct dirent *entry;

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            unlinkat(disk->folder, entry->d_name, 0);
        }
    }
    if (folder != NULL) {
        closedir(folder);
    } else {
        close(disk->folder);
    }
    disk->folder = -1;
    unlinkat(disk->root, FOLDER, AT_REMOVEDIR);
}

int lab_adapt_disk_end(struct lab_adapt_disk *disk, uint64_t *ret_store, uint64_t *ret_device)
{
    struct store_ledger ledger = {0};
    uint64_t now = 0;
    const int r = written(disk, &now);

    if (disk->store != NULL) {
        if (disk->store->store != NULL) {
            store_get_ledger(disk->store->store, &ledger);
            store_close(disk->store->store);
        }
        free(disk->store);
        disk->store = NULL;
    }
    if (disk->folder >= 0) {
        clear(disk);
    }
    if (r == 0) {
        *ret_store = ledger.record_bytes;
        *ret_device = now - disk->begun;
    }
    return r;
}
