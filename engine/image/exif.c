/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Finds the orientation in an Exif block (TIFF 6.0 structure, Exif 2.3 tag 0x0112). It follows one
 * offset, to the first directory, and reads nothing else.
 */
#include "engine/image/image_internal.h"

#define TAG_ORIENTATION 0x0112
#define TYPE_SHORT      3

static uint32_t read_u16(const uint8_t *p, bool big_endian)
{
    return big_endian ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
}

static uint32_t read_u32(const uint8_t *p, bool big_endian)
{
    uint32_t first = read_u16(p, big_endian), second = read_u16(p + 2, big_endian);

    return big_endian ? first << 16 | second : second << 16 | first;
}

uint8_t image_exif_orientation(const uint8_t *tiff, size_t size)
{
    if (size < 8) {
        return 1;
    }
    bool big_endian = tiff[0] == 'M';
    uint32_t order = read_u16(tiff, false), offset = read_u32(tiff + 4, big_endian);
    if ((order != 0x4949 && order != 0x4d4d) || read_u16(tiff + 2, big_endian) != 42 ||
        offset > size - 2) {
        return 1;
    }
    const uint8_t *entry = tiff + offset + 2;
    size_t fit = (size - offset - 2) / 12; /* entries that the block has room for */
    size_t count = read_u16(tiff + offset, big_endian);
    for (size_t i = 0; i < count && i < fit; i++, entry += 12) {
        if (read_u16(entry, big_endian) == TAG_ORIENTATION) {
            uint32_t type = read_u16(entry + 2, big_endian);
            uint32_t value = read_u16(entry + 8, big_endian);
            return type == TYPE_SHORT && value >= 1 && value <= 8 ? (uint8_t)value : 1;
        }
    }
    return 1;
}
