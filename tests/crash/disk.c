/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See disk.h. */
#include "tests/crash/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define BLOCK       4096u
#define DESCRIPTORS (sizeof(((struct disk *)NULL)->descriptors) / sizeof(int))

static void wipe(struct disk_file *file)
{
    memset(file->bytes, 0, file->mark);
    file->size = file->mark = 0;
}

void disk_copy(struct disk_image *to, const struct disk_image *from)
{
    for (uint32_t i = 0; i < from->files; i++) {
        const struct disk_file *f = &from->file[i];
        struct disk_file *t = &to->file[i];
        const uint32_t mark = i < to->files && t->mark > f->mark ? t->mark : f->mark;
        memcpy(t->bytes, f->bytes, mark); /* beyond its mark a file is zeros */
        t->size = f->size;
        t->mark = f->mark;
    }
    for (uint32_t i = from->files; i < to->files; i++) {
        wipe(&to->file[i]);
    }
    to->files = from->files;
    memcpy(to->name, from->name, sizeof(to->name));
}

static void empty_image(struct disk_image *image)
{
    memset(image, 0, sizeof(*image));
    for (uint32_t i = 0; i < DISK_FILES; i++) {
        image->name[i].file = -1;
    }
}

static int find(const struct disk_image *image, const char *name)
{
    for (uint32_t i = 0; i < DISK_FILES; i++) {
        if (image->name[i].file >= 0 && strcmp(image->name[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static bool link_name(struct disk_image *image, const char *name, int file)
{
    int at = find(image, name);
    for (uint32_t i = 0; at < 0 && i < DISK_FILES; i++) {
        at = image->name[i].file < 0 ? (int)i : -1;
    }
    if (at < 0) {
        return false;
    }
    strcpy(image->name[at].name, name);
    image->name[at].file = file;
    return true;
}

static void apply(struct disk_image *image, const struct disk_op *op)
{
    struct disk_file *file = &image->file[op->file];
    int from;
    if ((uint32_t)op->file >= image->files) {
        image->files = (uint32_t)op->file + 1;
    }
    switch (op->kind) {
    case DISK_WRITE:
        memcpy(file->bytes + op->at, op->bytes, op->size);
        file->size = op->at + op->size > file->size ? op->at + op->size : file->size;
        file->mark = file->size > file->mark ? file->size : file->mark;
        break;
    case DISK_TRUNCATE:
        if (op->size < file->size) {
            memset(file->bytes + op->size, 0, file->size - op->size);
        }
        file->size = op->size;
        break;
    case DISK_LINK:
        link_name(image, op->name, op->file);
        break;
    case DISK_RENAME:
        from = find(image, op->name);
        if (from >= 0) {
            image->name[from].file = -1;
        }
        link_name(image, op->to, op->file);
        break;
    default:
        from = find(image, op->name);
        if (from >= 0) {
            image->name[from].file = -1;
        }
    }
}

/* ---- the calls ---- */

static bool faulty(struct disk *disk, int *ret_error)
{
    disk->calls++;
    if (disk->fault_at == 0 || disk->calls < disk->fault_at ||
        (disk->calls > disk->fault_at && !disk->fault_stays)) {
        return false;
    }
    *ret_error = disk->fault;
    return true;
}

static void add(struct disk *disk, const struct disk_op *op)
{
    apply(&disk->now, op);
    if (disk->pending_count == DISK_PENDING) {
        disk->overflow = true;
        return;
    }
    struct disk_op *to = &disk->pending[disk->pending_count++];
    *to = *op;
    if (op->kind == DISK_WRITE) {
        to->bytes = malloc(op->size);
        if (to->bytes == NULL) {
            abort();
        }
        memcpy(to->bytes, op->bytes, op->size);
    }
    disk->operations++;
    if (disk->changed != NULL) {
        disk->changed(disk->user);
    }
}

/* Pending bytes of a file, or names (file -1), become durable or are lost. */
static void settle(struct disk *disk, int file, bool durable)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < disk->pending_count; i++) {
        struct disk_op *op = &disk->pending[i];
        const bool data = op->kind == DISK_WRITE || op->kind == DISK_TRUNCATE;
        if (file >= 0 ? data && op->file == file : !data) {
            if (durable) {
                apply(&disk->durable, op);
            }
            free(op->bytes);
        } else {
            disk->pending[left++] = *op;
        }
    }
    disk->pending_count = left;
}

static int file_of(const struct disk *disk, int fd)
{
    return disk->descriptors[fd];
}

static bool named(const struct disk_image *image, int file)
{
    for (uint32_t i = 0; i < DISK_FILES; i++) {
        if (image->name[i].file == file) {
            return true;
        }
    }
    return false;
}

static bool in_use(const struct disk *disk, int file)
{
    for (uint32_t i = 0; i < disk->pending_count; i++) {
        if (disk->pending[i].file == file && disk->pending[i].kind != DISK_UNLINK) {
            return true;
        }
    }
    for (size_t i = 0; i < DESCRIPTORS; i++) {
        if (disk->descriptors[i] == file) {
            return true;
        }
    }
    return named(&disk->now, file) || named(&disk->durable, file);
}

/* An empty file, in both images; its name is in neither. */
static int new_file(struct disk *disk)
{
    for (int file = 0; file < (int)DISK_FILES; file++) {
        if (!in_use(disk, file)) {
            wipe(&disk->now.file[file]);
            wipe(&disk->durable.file[file]);
            disk->now.files =
                disk->now.files > (uint32_t)file ? disk->now.files : (uint32_t)file + 1;
            disk->durable.files = disk->now.files;
            return file;
        }
    }
    disk->overflow = true;
    return 0;
}

static int disk_open(void *context, const char *name, int flags, unsigned mode)
{
    struct disk *disk = context;
    int error, fd = 0;
    (void)mode;
    if (faulty(disk, &error)) {
        return error;
    }
    const int at = find(&disk->now, name);
    if (at < 0 && !(flags & O_CREAT)) {
        return -ENOENT;
    }
    while (disk->descriptors[fd] >= 0) {
        fd++;
    }
    disk->descriptors[fd] = at >= 0 ? disk->now.name[at].file : new_file(disk);
    struct disk_op op = {.file = disk->descriptors[fd]};
    if (at < 0) {
        op.kind = DISK_LINK;
        strcpy(op.name, name);
        add(disk, &op);
    } else if (flags & O_TRUNC && disk->now.file[op.file].size > 0) {
        op.kind = DISK_TRUNCATE;
        add(disk, &op);
    }
    return fd;
}

static int disk_close(void *context, int fd)
{
    ((struct disk *)context)->descriptors[fd] = -1;
    return 0;
}

static int64_t disk_pread(void *context, int fd, void *bytes, size_t size, uint64_t at)
{
    struct disk *disk = context;
    const struct disk_file *file = &disk->now.file[file_of(disk, fd)];
    int error;
    if (faulty(disk, &error)) {
        return error;
    }
    if (at >= file->size) {
        return 0;
    }
    size = size < file->size - at ? size : file->size - at;
    memcpy(bytes, file->bytes + at, size);
    return (int64_t)size;
}

static int64_t disk_pwrite(void *context, int fd, const void *bytes, size_t size, uint64_t at)
{
    struct disk *disk = context;
    int error;
    if (faulty(disk, &error)) {
        if (error != -EDOM) {
            return error;
        }
        size = size > 1 ? size / 2 : size; /* EDOM: a short write */
    }
    if (at + size > DISK_BYTES) {
        return -ENOSPC;
    }
    struct disk_op op = {.kind = DISK_WRITE,
                         .file = file_of(disk, fd),
                         .at = (uint32_t)at,
                         .size = (uint32_t)size,
                         .bytes = (uint8_t *)(uintptr_t)bytes};
    disk->written += ((at + size - 1) / BLOCK - at / BLOCK + 1) * BLOCK;
    add(disk, &op);
    return (int64_t)size;
}

static int disk_size(void *context, int fd, uint64_t *ret_size)
{
    struct disk *disk = context;
    int error;
    if (faulty(disk, &error)) {
        return error;
    }
    *ret_size = disk->now.file[file_of(disk, fd)].size;
    return 0;
}

static int disk_allocate(void *context, int fd, uint64_t from, uint64_t size)
{
    struct disk *disk = context;
    int error;
    (void)fd;
    (void)from;
    (void)size;
    return faulty(disk, &error) ? error : 0;
}

static int disk_truncate(void *context, int fd, uint64_t size)
{
    struct disk *disk = context;
    int error;
    if (faulty(disk, &error)) {
        return error;
    }
    const struct disk_op op = {
        .kind = DISK_TRUNCATE, .file = file_of(disk, fd), .size = (uint32_t)size};
    add(disk, &op);
    return 0;
}

static int disk_sync(void *context, int fd)
{
    struct disk *disk = context;
    int error;
    const bool fails = faulty(disk, &error);
    if (fails && error == -ESRCH) { /* there is nobody to sync any more */
        return error;
    }
    settle(disk, file_of(disk, fd), !fails);
    return fails ? error : 0;
}

/* Unlike bytes, names that a sync could not make durable may still become so: journals hold them.
 */
static int disk_sync_directory(void *context)
{
    struct disk *disk = context;
    int error;
    if (faulty(disk, &error)) {
        return error;
    }
    settle(disk, -1, true);
    return 0;
}

static int disk_forget(void *context, int fd)
{
    struct disk *disk = context;
    const int file = file_of(disk, fd);
    int error;
    if (faulty(disk, &error)) {
        return error;
    }
    struct disk_file *now = &disk->now.file[file];
    wipe(now);
    memcpy(now->bytes, disk->durable.file[file].bytes, disk->durable.file[file].mark);
    now->size = disk->durable.file[file].size;
    now->mark = disk->durable.file[file].mark;
    for (uint32_t i = 0; i < disk->pending_count; i++) {
        const struct disk_op *op = &disk->pending[i];
        if (op->file == file && (op->kind == DISK_WRITE || op->kind == DISK_TRUNCATE)) {
            apply(&disk->now, op);
        }
    }
    return 0;
}

static int disk_rename(void *context, const char *from, const char *to)
{
    struct disk *disk = context;
    const int at = find(&disk->now, from);
    struct disk_op op = {.kind = DISK_RENAME};
    int error;
    if (faulty(disk, &error)) {
        return error;
    }
    if (at < 0) {
        return -ENOENT;
    }
    op.file = disk->now.name[at].file;
    strcpy(op.name, from);
    strcpy(op.to, to);
    add(disk, &op);
    return 0;
}

static int disk_unlink(void *context, const char *name)
{
    struct disk *disk = context;
    struct disk_op op = {.kind = DISK_UNLINK};
    int error;
    if (faulty(disk, &error)) {
        return error;
    }
    if (find(&disk->now, name) < 0) {
        return -ENOENT;
    }
    strcpy(op.name, name);
    add(disk, &op);
    return 0;
}

static int disk_list(void *context, void (*each)(void *user, const char *name), void *user)
{
    struct disk *disk = context;
    int error;
    if (faulty(disk, &error)) {
        return error;
    }
    for (uint32_t i = 0; i < DISK_FILES; i++) {
        if (disk->now.name[i].file >= 0) {
            each(user, disk->now.name[i].name);
        }
    }
    return 0;
}

static int disk_lock(void *context, int fd)
{
    int error;
    (void)fd;
    return faulty(context, &error) ? error : 0;
}

static void disk_now(void *context, int64_t *ret_real, int64_t *ret_monotonic)
{
    const struct disk *disk = context;
    *ret_real = disk->real;
    *ret_monotonic = disk->monotonic;
}

struct store_io disk_io(struct disk *disk)
{
    return (struct store_io){
        .open = disk_open,
        .close = disk_close,
        .pread = disk_pread,
        .pwrite = disk_pwrite,
        .size = disk_size,
        .allocate = disk_allocate,
        .truncate = disk_truncate,
        .sync = disk_sync,
        .sync_directory = disk_sync_directory,
        .forget = disk_forget,
        .rename = disk_rename,
        .unlink = disk_unlink,
        .list = disk_list,
        .lock = disk_lock,
        .now = disk_now,
        .context = disk,
    };
}

/* ---- power ---- */

static void forget(struct disk *disk)
{
    for (uint32_t i = 0; i < disk->pending_count; i++) {
        free(disk->pending[i].bytes);
    }
    disk->pending_count = 0;
    for (size_t i = 0; i < DESCRIPTORS; i++) {
        disk->descriptors[i] = -1;
    }
}

void disk_init(struct disk *disk)
{
    memset(disk, 0, sizeof(*disk));
    empty_image(&disk->now);
    empty_image(&disk->durable);
    forget(disk);
    disk->real = INT64_C(1800000000000000);
    disk->monotonic = 1000;
}

void disk_finish(struct disk *disk)
{
    forget(disk);
}

/* Files without a name are gone, so that long runs stay small. */
static void compact(struct disk_image *image)
{
    bool used[DISK_FILES] = {false};
    for (uint32_t i = 0; i < DISK_FILES; i++) {
        if (image->name[i].file >= 0) {
            used[image->name[i].file] = true;
        }
    }
    uint32_t to = 0;
    for (uint32_t from = 0; from < image->files; from++) {
        if (!used[from]) {
            continue;
        }
        if (to != from) {
            struct disk_file *t = &image->file[to], *f = &image->file[from];
            memcpy(t->bytes, f->bytes, t->mark > f->mark ? t->mark : f->mark);
            t->size = f->size;
            t->mark = f->mark;
            for (uint32_t i = 0; i < DISK_FILES; i++) {
                image->name[i].file =
                    image->name[i].file == (int)from ? (int)to : image->name[i].file;
            }
        }
        to++;
    }
    for (uint32_t i = to; i < image->files; i++) {
        wipe(&image->file[i]);
    }
    image->files = to;
}

void disk_start(struct disk *disk, const struct disk_image *image)
{
    forget(disk);
    disk_copy(&disk->now, image);
    compact(&disk->now);
    disk_copy(&disk->durable, &disk->now);
}

int disk_last_write(const struct disk *disk, uint32_t subset)
{
    for (int i = (int)disk->pending_count - 1; i >= 0; i--) {
        if (subset >> i & 1 && disk->pending[i].kind == DISK_WRITE) {
            return i;
        }
    }
    return -1;
}

/* Some sectors of a write are there, the others as they were. */
static void apply_sectors(struct disk_image *image, const struct disk_op *op, uint64_t which)
{
    for (uint32_t from = op->at; from < op->at + op->size; which >>= 1) {
        const uint32_t end = op->at + op->size, sector = (from / 512 + 1) * 512;
        const uint32_t to = sector < end ? sector : end;
        const struct disk_op part = {.kind = DISK_WRITE,
                                     .file = op->file,
                                     .at = from,
                                     .size = to - from,
                                     .bytes = op->bytes + (from - op->at)};
        if (which & 1) {
            apply(image, &part);
        }
        from = to;
    }
}

/* A write of which a part is there: some sectors; or the front up to a place, and behind it what
 * was there before, zeros, or rubbish. */
static void apply_torn(struct disk_image *image, const struct disk_op *op, uint64_t tear)
{
    struct disk_file *file = &image->file[op->file];
    const uint64_t mixed = XXH3_64bits(&tear, sizeof(tear));
    const uint32_t whole = (uint32_t)(mixed >> 8) % (op->size + 1);
    const struct disk_op front = {
        .kind = DISK_WRITE, .file = op->file, .at = op->at, .size = whole, .bytes = op->bytes};
    if (mixed % 4 == 0) {
        apply_sectors(image, op, mixed >> 8);
        return;
    }
    apply(image, &front);
    if (mixed % 4 == 1) {
        return; /* as it was, the length too */
    }
    for (uint32_t i = whole; i < op->size; i++) {
        file->bytes[op->at + i] =
            mixed % 4 == 2 ? 0 : (uint8_t)(mixed >> (i % 7 * 8)) ^ (uint8_t)(i * 167);
    }
    file->size = op->at + op->size > file->size ? op->at + op->size : file->size;
    file->mark = file->size > file->mark ? file->size : file->mark;
}

void disk_crash(const struct disk *disk, uint32_t subset, uint64_t tear, struct disk_image *image)
{
    const int torn = tear == 0 ? -1 : disk_last_write(disk, subset);
    disk_copy(image, &disk->durable);
    for (uint32_t i = 0; i < disk->pending_count; i++) {
        if (!(subset >> i & 1)) {
            continue;
        }
        if ((int)i == torn) {
            apply_torn(image, &disk->pending[i], tear);
        } else {
            apply(image, &disk->pending[i]);
        }
    }
}

uint64_t disk_digest(const struct disk_image *image)
{
    uint64_t digest = 0;
    for (uint32_t i = 0; i < DISK_FILES; i++) {
        const struct disk_name *n = &image->name[i];
        if (n->file >= 0) {
            const struct disk_file *f = &image->file[n->file];
            const uint64_t name = XXH3_64bits(n->name, strlen(n->name));
            digest += XXH3_64bits_withSeed(f->bytes, f->size, name ^ f->size);
        }
    }
    return digest;
}
