/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Reads CIFAR-10's binary format and IDX, plain or compressed: zlib's reader takes both. */
#include "engine/lab/packed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#include "engine/image/image.h"
#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/tree.h"

#define CIFAR_SIDE    32u
#define CIFAR_PIXELS  (3u * CIFAR_SIDE * CIFAR_SIDE)
#define CIFAR_RECORD  (1u + CIFAR_PIXELS)
#define CIFAR_CLASSES 10u
#define CIFAR_BATCHES 1000u /* files at most */
#define IDX_PICTURES  0x803u
#define IDX_LABELS    0x801u
#define IDX_SIDE_MAX  4096u
#define SAMPLE_BYTES  2u /* of a PNM of 16 bit */
#define HEADER_BYTES  32u

static const char *const cifar_classes[CIFAR_CLASSES] = {
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};

static int tell(const char *path, int r, const char *reason)
{
    lab_error("%s: %s", path, reason ? reason : strerror(-r));
    return r;
}

/* DIRECTORY/NAME, the caller frees it; NULL: no memory. */
static char *join(const char *directory, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

static bool has(const char *directory, const char *name)
{
    char *path = join(directory, name);
    bool there = path && access(path, F_OK) == 0;
    free(path);
    return there;
}

static bool ends_in(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static const char *const idx_names[] = {"train-images-idx3-ubyte", "train-images-idx3-ubyte.gz"};

static const char *idx_in(const char *directory)
{
    for (size_t i = 0; i < 2; i++) {
        if (has(directory, idx_names[i])) {
            return idx_names[i];
        }
    }
    return NULL;
}

bool lab_packed_is(const char *path)
{
    return strstr(base_name(path), "images-idx3") || ends_in(path, ".bin") ||
           has(path, "data_batch_1.bin") || idx_in(path);
}

/* ---- CIFAR-10 ---- */

static int add_batch(struct lab_packed *packed, const char *path)
{
    uint8_t *bytes;
    size_t size;
    int r = lab_file_read(path, LAB_PACKED_BYTES_MAX, &bytes, &size);
    if (r < 0) {
        return tell(path, r, NULL);
    }
    size_t count = size / CIFAR_RECORD, total = packed->count + count;
    if (count == 0 || size % CIFAR_RECORD != 0) {
        r = tell(path, -EBADMSG, "not a batch of CIFAR-10: its size is no multiple of 3073");
    } else if (total > LAB_TREE_FILES_MAX || total > LAB_PACKED_BYTES_MAX / CIFAR_PIXELS) {
        r = tell(path, -EFBIG, NULL);
    }
    uint8_t *pixels = r == 0 ? realloc(packed->pixels, total * CIFAR_PIXELS) : NULL;
    packed->pixels = pixels ? pixels : packed->pixels;
    uint8_t *labels = pixels ? realloc(packed->labels, total) : NULL;
    packed->labels = labels ? labels : packed->labels;
    if (r == 0 && !labels) {
        r = tell(path, -ENOMEM, NULL);
    }
    for (size_t i = 0; r == 0 && i < count; i++) {
        const uint8_t *record = bytes + i * CIFAR_RECORD;
        if (record[0] >= CIFAR_CLASSES) {
            r = tell(path, -EBADMSG, "not a batch of CIFAR-10: a label is above 9");
            break;
        }
        packed->labels[packed->count] = record[0];
        memcpy(packed->pixels + (size_t)packed->count++ * CIFAR_PIXELS, record + 1, CIFAR_PIXELS);
    }
    free(bytes);
    return r;
}

static int open_cifar(const char *path, struct lab_packed *packed)
{
    packed->width = packed->height = CIFAR_SIDE;
    packed->channels = 3;
    packed->cifar10 = true;
    if (ends_in(path, ".bin")) {
        return add_batch(packed, path);
    }
    int r = 0;
    for (uint32_t i = 1; r == 0 && i <= CIFAR_BATCHES; i++) {
        char name[32];
        snprintf(name, sizeof(name), "data_batch_%u.bin", i);
        if (!has(path, name)) {
            break;
        }
        char *batch = join(path, name);
        r = batch ? add_batch(packed, batch) : tell(path, -ENOMEM, NULL);
        free(batch);
    }
    return r;
}

/* ---- IDX ---- */

static uint32_t number_of(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Exactly `size` bytes, at most LAB_PACKED_BYTES_MAX. */
static int read_exactly(gzFile file, void *bytes, size_t size)
{
    return gzread(file, bytes, (unsigned)size) == (int)size ? 0 : -EBADMSG;
}

/* Nothing behind, and the check sums of a compressed file hold. */
static int check_end(gzFile file)
{
    uint8_t byte;
    return gzread(file, &byte, 1) == 0 ? 0 : -EBADMSG;
}

static int read_pictures(gzFile file, struct lab_packed *packed)
{
    uint8_t header[16];
    int r = read_exactly(file, header, sizeof(header));
    if (r < 0 || number_of(header) != IDX_PICTURES) {
        return -EBADMSG;
    }
    packed->count = number_of(header + 4);
    packed->height = number_of(header + 8);
    packed->width = number_of(header + 12);
    packed->channels = 1;
    if (packed->count == 0 || packed->height == 0 || packed->width == 0) {
        return -EBADMSG;
    }
    if (packed->count > LAB_TREE_FILES_MAX || packed->height > IDX_SIDE_MAX ||
        packed->width > IDX_SIDE_MAX ||
        (size_t)packed->height * packed->width > LAB_PACKED_BYTES_MAX / packed->count) {
        return -EFBIG;
    }
    size_t size = (size_t)packed->height * packed->width * packed->count;
    packed->pixels = malloc(size);
    if (!packed->pixels) {
        return -ENOMEM;
    }
    r = read_exactly(file, packed->pixels, size);
    return r < 0 ? r : check_end(file);
}

static int read_labels(gzFile file, struct lab_packed *packed)
{
    uint8_t header[8];
    int r = read_exactly(file, header, sizeof(header));
    if (r < 0 || number_of(header) != IDX_LABELS || number_of(header + 4) != packed->count) {
        return -EBADMSG;
    }
    packed->labels = malloc(packed->count);
    if (!packed->labels) {
        return -ENOMEM;
    }
    r = read_exactly(file, packed->labels, packed->count);
    return r < 0 ? r : check_end(file);
}

static int read_idx(const char *path, struct lab_packed *packed,
                    int (*read)(gzFile file, struct lab_packed *packed))
{
    gzFile file = gzopen(path, "rbe");
    if (!file) {
        return tell(path, errno ? -errno : -ENOMEM, NULL);
    }
    int r = read(file, packed);
    if (gzclose(file) != Z_OK && r == 0) { /* cut off within the check sums at the end */
        r = -EBADMSG;
    }
    return r < 0 ? tell(path, r,
                        r != -EBADMSG         ? NULL
                        : read == read_labels ? "not the IDX labels of these pictures, or cut off"
                                              : "not IDX pictures, or cut off")
                 : 0;
}

/* The caller frees it; NULL: no memory. */
static char *labels_path(const char *pictures)
{
    static const char images[] = "images-idx3", labels[] = "labels-idx1";
    char *path = strdup(pictures);
    char *name = path ? strstr(path + (base_name(path) - path), images) : NULL;
    if (name) {
        memcpy(name, labels, sizeof(labels) - 1);
    }
    return path;
}

static int open_idx(const char *path, struct lab_packed *packed)
{
    const char *name = strstr(base_name(path), "images-idx3") ? NULL : idx_in(path);
    char *pictures = name ? join(path, name) : strdup(path);
    char *labels = pictures ? labels_path(pictures) : NULL;
    int r = labels ? read_idx(pictures, packed, read_pictures) : tell(path, -ENOMEM, NULL);
    if (r == 0) {
        r = read_idx(labels, packed, read_labels);
    }
    free(pictures);
    free(labels);
    return r;
}

/* ---- */

int lab_packed_open(const char *path, struct lab_packed *ret_packed)
{
    struct lab_packed packed = {0};
    bool cifar = ends_in(path, ".bin") || has(path, "data_batch_1.bin");
    int r = cifar ? open_cifar(path, &packed) : open_idx(path, &packed);
    if (r < 0) {
        lab_packed_close(&packed);
        return r;
    }
    *ret_packed = packed;
    return 0;
}

void lab_packed_close(struct lab_packed *packed)
{
    free(packed->pixels);
    free(packed->labels);
    memset(packed, 0, sizeof(*packed));
}

void lab_packed_class(const struct lab_packed *packed, uint32_t label, char *text)
{
    if (packed->cifar10) {
        snprintf(text, 16, "%s", cifar_classes[label]);
    } else {
        snprintf(text, 16, "%u", label);
    }
}

int lab_packed_picture(const struct lab_packed *packed, uint32_t index, uint8_t **ret_bytes,
                       size_t *ret_size)
{
    const uint16_t *linear = image_srgb_to_linear();
    uint32_t channels = packed->channels;
    size_t area = (size_t)packed->width * packed->height;
    const uint8_t *pixels = packed->pixels + index * area * channels;
    uint8_t *bytes = malloc(HEADER_BYTES + area * channels * SAMPLE_BYTES);
    if (!bytes) {
        return -ENOMEM;
    }
    size_t at = (size_t)snprintf((char *)bytes, HEADER_BYTES, "P%c %u %u 65535\n",
                                 channels == 3 ? '6' : '5', packed->width, packed->height);
    for (size_t i = 0; i < area; i++) {
        for (uint32_t c = 0; c < channels; c++) {
            uint16_t light = linear[pixels[c * area + i]];
            bytes[at++] = (uint8_t)(light >> 8);
            bytes[at++] = (uint8_t)light;
        }
    }
    *ret_bytes = bytes;
    *ret_size = at;
    return 0;
}
