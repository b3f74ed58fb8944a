/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Whether a RAW file holds the picture that its header speaks of. LibRaw reads zeros past the end
 * of many truncated files and calls that a success, so the places that the container names are held
 * against the file's size. Some files it does not survive at all: those are told before it sees
 * them. It decodes nothing.
 */
#include "engine/image/image_internal.h"

#include <errno.h>
#include <string.h>

#define MAX_DIRECTORIES 32
#define MAX_PIECES      65536
#define MAX_BOX_DEPTH   12
#define MAGIC_PANASONIC 0x55
#define PATTERN_COUNT   36 /* of 6x6 */

/* DNG 1.4 */
#define PHOTOMETRIC_CFA    32803
#define PHOTOMETRIC_LINEAR 34892
#define COMPRESSION_NONE   1
#define COMPRESSION_JPEG   7 /* lossless for the photometrics above */

enum tag {
    TAG_WIDTH = 0x100,
    TAG_HEIGHT = 0x101,
    TAG_COMPRESSION = 0x103,
    TAG_PHOTOMETRIC = 0x106,
    TAG_STRIP_OFFSETS = 0x111,
    TAG_STRIP_SIZES = 0x117,
    TAG_PANASONIC_OFFSET = 0x118,
    TAG_TILE_OFFSETS = 0x144,
    TAG_TILE_SIZES = 0x145,
    TAG_SUB_DIRECTORIES = 0x14a,
    TAG_CFA_PATTERN = 0x828e,
    TAG_DNG_VERSION = 0xc612,
    TAG_KODAK_PATTERN = 0xfd09,
};

/* Directories still to be looked at. */
struct queue {
    uint32_t directories[MAX_DIRECTORIES];
    unsigned count;
};

static void enqueue(struct queue *queue, uint32_t directory)
{
    for (unsigned i = 0; i < queue->count; i++) {
        if (queue->directories[i] == directory) {
            return;
        }
    }
    if (directory != 0 && queue->count < MAX_DIRECTORIES) {
        queue->directories[queue->count++] = directory;
    }
}

static void enqueue_children(const struct image_tiff *tiff, uint32_t directory, struct queue *queue)
{
    struct image_tiff_field field;
    uint32_t child;

    enqueue(queue, image_tiff_next(tiff, directory));
    if (image_tiff_find(tiff, directory, TAG_SUB_DIRECTORIES, &field)) {
        for (uint32_t i = 0; i < MAX_DIRECTORIES && image_tiff_value(tiff, &field, i, &child);
             i++) {
            enqueue(queue, child);
        }
    }
}

/* Fewest bytes that the directory's picture can take: lossless JPEG spends a bit on every sample.
 */
static uint64_t fewest_bytes(const struct image_tiff *tiff, uint32_t directory)
{
    uint32_t photometric, compression, width, height;

    if (!image_tiff_number(tiff, directory, TAG_PHOTOMETRIC, &photometric) ||
        !image_tiff_number(tiff, directory, TAG_COMPRESSION, &compression) ||
        !image_tiff_number(tiff, directory, TAG_WIDTH, &width) ||
        !image_tiff_number(tiff, directory, TAG_HEIGHT, &height) ||
        (photometric != PHOTOMETRIC_CFA && photometric != PHOTOMETRIC_LINEAR) ||
        (compression != COMPRESSION_NONE && compression != COMPRESSION_JPEG)) {
        return 0;
    }
    return (uint64_t)width * height / 8;
}

/* Hold the pieces of a picture against the file. *extent collects the first one. */
static int check_pieces(const struct image_tiff *tiff, uint32_t directory, enum tag offsets_tag,
                        enum tag sizes_tag, bool dng, struct image_raw_extent *extent)
{
    struct image_tiff_field offsets, sizes;
    uint64_t total = 0;

    if (!image_tiff_find(tiff, directory, offsets_tag, &offsets) ||
        !image_tiff_find(tiff, directory, sizes_tag, &sizes)) {
        return 0;
    }
    uint32_t count = offsets.count < sizes.count ? offsets.count : sizes.count;
    if (count > MAX_PIECES) {
        return -EBADMSG;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t offset, size;
        if (!image_tiff_value(tiff, &offsets, i, &offset) ||
            !image_tiff_value(tiff, &sizes, i, &size) || (uint64_t)offset + size > tiff->size) {
            return -EBADMSG;
        }
        if (extent->size == 0) {
            *extent = (struct image_raw_extent){offset, size};
        }
        total += size;
    }
    return dng && total < fewest_bytes(tiff, directory) ? -EBADMSG : 0;
}

/* Thumbnails are none of our business: a directory counts from a quarter of the picture's area on.
 */
static bool is_small(const struct image_tiff *tiff, uint32_t directory, uint64_t pixels)
{
    uint32_t width, height;

    return image_tiff_number(tiff, directory, TAG_WIDTH, &width) &&
           image_tiff_number(tiff, directory, TAG_HEIGHT, &height) &&
           (uint64_t)width * height < pixels / 4;
}

static int check_tiff(const struct image_tiff *tiff, uint32_t first, uint64_t pixels,
                      struct image_raw_extent *extent)
{
    struct queue queue = {.count = 0};
    bool dng = image_tiff_has(tiff, first, TAG_DNG_VERSION);

    enqueue(&queue, first);
    for (unsigned i = 0; i < queue.count; i++) {
        uint32_t directory = queue.directories[i];
        enqueue_children(tiff, directory, &queue);
        if (is_small(tiff, directory, pixels)) {
            continue;
        }
        int r = check_pieces(tiff, directory, TAG_STRIP_OFFSETS, TAG_STRIP_SIZES, dng, extent);
        if (r == 0) {
            r = check_pieces(tiff, directory, TAG_TILE_OFFSETS, TAG_TILE_SIZES, dng, extent);
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* RW2 has no sizes of strips; no encoding of it packs more than 14 samples into 16 bytes. */
static int check_panasonic(const struct image_tiff *tiff, uint32_t directory, uint64_t pixels)
{
    uint32_t offset = 0;

    if (!image_tiff_number(tiff, directory, TAG_PANASONIC_OFFSET, &offset)) {
        (void)image_tiff_number(tiff, directory, TAG_STRIP_OFFSETS, &offset);
    }
    return offset + pixels * 8 / 7 > tiff->size ? -EBADMSG : 0;
}

static uint64_t read_big(const uint8_t *bytes, unsigned count)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < count; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

/* Bytes between the header of a box and the boxes in it, or -1 when it holds none. */
static int inner_boxes(const uint8_t *box, size_t size, unsigned depth)
{
    static const struct {
        char name[5];
        uint8_t skip;
    } containers[] = {{"moov", 0}, {"trak", 0},  {"mdia", 0}, {"minf", 0},
                      {"stbl", 0}, {"CCTP", 12}, {"stsd", 8}, {"CRAW", 82}};
    static const uint8_t canon[16] = {0x85, 0xc0, 0xb6, 0x87, 0x82, 0x0f, 0x11, 0xe0,
                                      0x81, 0x11, 0xf4, 0xce, 0x46, 0x2b, 0x6a, 0x48};

    if (memcmp(box + 4, "uuid", 4) == 0) {
        return depth == 1 && size >= 24 && memcmp(box + 8, canon, sizeof(canon)) == 0 ? 16 : -1;
    }
    for (size_t i = 0; i < sizeof(containers) / sizeof(containers[0]); i++) {
        if (memcmp(box + 4, containers[i].name, 4) == 0) {
            return containers[i].skip;
        }
    }
    return -1;
}

/* Boxes lie one after the other and end inside of what holds them. */
static int check_boxes(const uint8_t *bytes, size_t size, unsigned depth)
{
    for (size_t at = 0; size - at >= 8;) {
        uint64_t length = read_big(bytes + at, 4);
        size_t header = 8;
        if (length == 0 && depth == 0) {
            length = size - at; /* up to the end of the file */
        }
        if (length == 1 && size - at >= 16) {
            length = read_big(bytes + at + 8, 8);
            header = 16;
        }
        if (length < header || length > size - at) {
            return -EBADMSG;
        }
        int skip = inner_boxes(bytes + at, size - at, depth);
        if (skip >= 0 && length >= header + (size_t)skip) {
            header += (size_t)skip;
            if (depth == MAX_BOX_DEPTH ||
                check_boxes(bytes + at + header, (size_t)length - header, depth + 1) < 0) {
                return -EBADMSG;
            }
        }
        at += (size_t)length;
    }
    return 0;
}

int image_raw_check_boxes(const uint8_t *bytes, size_t size)
{
    if (size < 12 || memcmp(bytes + 4, "ftyp", 4) != 0) {
        return 0;
    }
    return check_boxes(bytes, size, 0);
}

int image_raw_check_extent(const uint8_t *bytes, size_t size, uint64_t pixels,
                           struct image_raw_extent *ret_extent)
{
    struct image_raw_extent extent = {0};
    struct image_tiff tiff;
    uint32_t magic, directory;
    int r = 0;

    if (image_tiff_open(&tiff, bytes, size, &magic, &directory)) {
        r = magic == MAGIC_PANASONIC ? check_panasonic(&tiff, directory, pixels)
                                     : check_tiff(&tiff, directory, pixels, &extent);
    }
    if (r == 0) {
        *ret_extent = extent;
    }
    return r;
}

static bool is_pattern(unsigned tag)
{
    return tag == TAG_CFA_PATTERN || tag == TAG_KODAK_PATTERN;
}

/* Entries are searched for in all bytes, since LibRaw finds directories in makers' notes and in
 * files within files, though never in bytes that it deciphered. At other bytes one place in 2^46
 * looks like one. */
int image_raw_check_patterns(const uint8_t *bytes, size_t size)
{
    const uint8_t *end = bytes + size;
    const uint8_t *at = bytes;

    /* An entry: tag, 2 bytes, type, 2, count, 4. The count's 36 is looked for. */
    while ((at = memchr(at, PATTERN_COUNT, (size_t)(end - at))) != NULL) {
        if (at - bytes >= 4 && end - at >= 4 && at[1] == 0 && at[2] == 0 && at[3] == 0 &&
            is_pattern((unsigned)at[-3] << 8 | at[-4])) {
            return -ENOTSUP;
        }
        if (at - bytes >= 7 && at[-1] == 0 && at[-2] == 0 && at[-3] == 0 &&
            is_pattern((unsigned)at[-7] << 8 | at[-6])) {
            return -ENOTSUP;
        }
        at++;
    }
    return 0;
}
