/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * A reader of TIFF 6.0 directories, for Exif blocks and RAW containers. Every access is checked
 * against the end of the bytes, and it follows no offset by itself.
 */
#include "engine/image/image_internal.h"

#define ENTRY_SIZE 12u

static bool read_u16(const struct image_tiff *tiff, uint64_t at, uint32_t *ret_value)
{
    if (at + 2 > tiff->size) {
        return false;
    }
    const uint8_t *p = tiff->bytes + at;
    *ret_value = tiff->big_endian ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
    return true;
}

static bool read_u32(const struct image_tiff *tiff, uint64_t at, uint32_t *ret_value)
{
    uint32_t first, second;

    if (!read_u16(tiff, at, &first) || !read_u16(tiff, at + 2, &second)) {
        return false;
    }
    *ret_value = tiff->big_endian ? first << 16 | second : second << 16 | first;
    return true;
}

bool image_tiff_open(struct image_tiff *tiff, const uint8_t *bytes, size_t size,
                     uint32_t *ret_magic, uint32_t *ret_directory)
{
    *tiff = (struct image_tiff){.bytes = bytes, .size = size};
    if (size < 8 || bytes[0] != bytes[1] || (bytes[0] != 'I' && bytes[0] != 'M')) {
        return false;
    }
    tiff->big_endian = bytes[0] == 'M';
    return read_u16(tiff, 2, ret_magic) && read_u32(tiff, 4, ret_directory);
}

/* Entries of a directory that lie inside the bytes. */
static uint32_t entry_count(const struct image_tiff *tiff, uint32_t directory)
{
    uint32_t count;

    if (!read_u16(tiff, directory, &count)) {
        return 0;
    }
    uint64_t room = (tiff->size - directory - 2) / ENTRY_SIZE;
    return count < room ? count : (uint32_t)room;
}

/* Where the entry of a tag lies, or 0. */
static uint64_t find_entry(const struct image_tiff *tiff, uint32_t directory, uint32_t tag)
{
    uint32_t count = entry_count(tiff, directory), found;

    for (uint32_t i = 0; i < count; i++) {
        uint64_t at = (uint64_t)directory + 2 + (uint64_t)i * ENTRY_SIZE;
        if (read_u16(tiff, at, &found) && found == tag) {
            return at;
        }
    }
    return 0;
}

bool image_tiff_has(const struct image_tiff *tiff, uint32_t directory, uint32_t tag)
{
    return find_entry(tiff, directory, tag) != 0;
}

bool image_tiff_find(const struct image_tiff *tiff, uint32_t directory, uint32_t tag,
                     struct image_tiff_field *ret_field)
{
    uint64_t at = find_entry(tiff, directory, tag);
    uint32_t type, count, offset;

    if (at == 0 || !read_u16(tiff, at + 2, &type) || !read_u32(tiff, at + 4, &count) ||
        !read_u32(tiff, at + 8, &offset) ||
        (type != IMAGE_TIFF_SHORT && type != IMAGE_TIFF_LONG && type != IMAGE_TIFF_IFD)) {
        return false;
    }
    uint32_t width = type == IMAGE_TIFF_SHORT ? 2 : 4;
    *ret_field = (struct image_tiff_field){
        .type = type,
        .count = count,
        .at = (uint64_t)count * width <= 4 ? at + 8 : offset,
    };
    return true;
}

bool image_tiff_value(const struct image_tiff *tiff, const struct image_tiff_field *field,
                      uint32_t index, uint32_t *ret_value)
{
    if (index >= field->count) {
        return false;
    }
    if (field->type == IMAGE_TIFF_SHORT) {
        return read_u16(tiff, field->at + 2 * (uint64_t)index, ret_value);
    }
    return read_u32(tiff, field->at + 4 * (uint64_t)index, ret_value);
}

bool image_tiff_number(const struct image_tiff *tiff, uint32_t directory, uint32_t tag,
                       uint32_t *ret_value)
{
    struct image_tiff_field field;

    return image_tiff_find(tiff, directory, tag, &field) &&
           image_tiff_value(tiff, &field, 0, ret_value);
}

uint32_t image_tiff_next(const struct image_tiff *tiff, uint32_t directory)
{
    uint32_t count, next;

    if (!read_u16(tiff, directory, &count) ||
        !read_u32(tiff, (uint64_t)directory + 2 + (uint64_t)count * ENTRY_SIZE, &next)) {
        return 0;
    }
    return next;
}

uint8_t image_exif_orientation(const uint8_t *bytes, size_t size)
{
    struct image_tiff tiff;
    uint32_t magic, directory, orientation;

    if (!image_tiff_open(&tiff, bytes, size, &magic, &directory) || magic != 42 ||
        !image_tiff_number(&tiff, directory, 0x0112, &orientation)) {
        return 1;
    }
    return orientation >= 1 && orientation <= 8 ? (uint8_t)orientation : 1;
}
