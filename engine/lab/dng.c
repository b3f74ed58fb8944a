/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The DNG writer: a TIFF header, one directory, the values that do not fit in it, one strip. */
#include "engine/lab/dng.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/image/image.h"

#define TAG_COUNT     26u
#define HEADER_BYTES  8u
#define IFD_BYTES     (2u + TAG_COUNT * 12u + 4u)
#define HEAP_BYTES    256u
#define SAMPLES_START (HEADER_BYTES + IFD_BYTES + HEAP_BYTES)
#define SIDE_MAX      4096u

/* The values longer than 4 bytes take 176 bytes of the heap with a version of 6 characters. */
_Static_assert(sizeof(OCELLUS_VERSION) <= 64, "the heap would overflow");

enum tiff_type { BYTE = 1, ASCII = 2, SHORT = 3, LONG = 4, RATIONAL = 5, SRATIONAL = 10 };

struct writer {
    uint8_t *bytes;
    size_t entry; /* where the next directory entry goes */
    size_t heap;  /* where the next long value goes */
};

static void put_u16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static void put_u32(uint8_t *at, uint32_t value)
{
    put_u16(at, (uint16_t)value);
    put_u16(at + 2, (uint16_t)(value >> 16));
}

/* One directory entry of `count` values in `size` ready-made bytes. Tags must come in rising order.
 */
static void put_tag(struct writer *writer, uint16_t tag, enum tiff_type type, uint32_t count,
                    const void *value, size_t size)
{
    uint8_t *entry = writer->bytes + writer->entry;
    put_u16(entry, tag);
    put_u16(entry + 2, (uint16_t)type);
    put_u32(entry + 4, count);
    if (size <= 4) {
        memcpy(entry + 8, value, size);
    } else {
        put_u32(entry + 8, (uint32_t)writer->heap);
        memcpy(writer->bytes + writer->heap, value, size);
        writer->heap += (size + 1) & ~(size_t)1;
    }
    writer->entry += 12;
}

static void put_short(struct writer *writer, uint16_t tag, uint16_t value)
{
    uint8_t bytes[2];
    put_u16(bytes, value);
    put_tag(writer, tag, SHORT, 1, bytes, sizeof(bytes));
}

static void put_long(struct writer *writer, uint16_t tag, uint32_t value)
{
    uint8_t bytes[4];
    put_u32(bytes, value);
    put_tag(writer, tag, LONG, 1, bytes, sizeof(bytes));
}

static void put_text(struct writer *writer, uint16_t tag, const char *text)
{
    size_t size = strlen(text) + 1;
    put_tag(writer, tag, ASCII, (uint32_t)size, text, size);
}

/* `count` fractions with one denominator; at most 9. */
static void put_fractions(struct writer *writer, uint16_t tag, enum tiff_type type,
                          const int32_t *numerators, uint32_t count, uint32_t denominator)
{
    uint8_t bytes[9 * 8];
    for (uint32_t i = 0; i < count; i++) {
        put_u32(bytes + 8 * i, (uint32_t)numerators[i]);
        put_u32(bytes + 8 * i + 4, denominator);
    }
    put_tag(writer, tag, type, count, bytes, (size_t)count * 8);
}

static void put_mosaic(struct writer *writer, uint8_t cfa)
{
    static const uint8_t patterns[4][4] = {
        [IMAGE_CFA_RGGB] = {0, 1, 1, 2},
        [IMAGE_CFA_GRBG] = {1, 0, 2, 1},
        [IMAGE_CFA_GBRG] = {1, 2, 0, 1},
        [IMAGE_CFA_BGGR] = {2, 1, 1, 0},
    };
    static const uint8_t dimensions[4] = {2, 0, 2, 0};
    put_tag(writer, 33421, SHORT, 2, dimensions, 4); /* CFARepeatPatternDim */
    put_tag(writer, 33422, BYTE, 4, patterns[cfa], 4);
}

static void put_tags(struct writer *writer, const struct lab_dng *dng)
{
    static const uint8_t version[4] = {1, 4, 0, 0}, oldest_reader[4] = {1, 1, 0, 0};
    /* XYZ to linear sRGB under D65, IEC 61966-2-1, in units of 1/10000. */
    static const int32_t matrix[9] = {32405, -15371, -4985, -9693, 18760, 416, 556, -2040, 10572};
    static const int32_t neutral[3] = {1, 1, 1};

    put_long(writer, 254, 0);                              /* NewSubfileType: the full picture */
    put_long(writer, 256, dng->width);                     /* ImageWidth */
    put_long(writer, 257, dng->height);                    /* ImageLength */
    put_short(writer, 258, 16);                            /* BitsPerSample */
    put_short(writer, 259, 1);                             /* Compression: none */
    put_short(writer, 262, 32803);                         /* PhotometricInterpretation: CFA */
    put_text(writer, 271, "Ocellus");                      /* Make */
    put_text(writer, 272, "Simulated sensor");             /* Model */
    put_long(writer, 273, SAMPLES_START);                  /* StripOffsets */
    put_short(writer, 274, 1);                             /* Orientation: upright */
    put_short(writer, 277, 1);                             /* SamplesPerPixel */
    put_long(writer, 278, dng->height);                    /* RowsPerStrip */
    put_long(writer, 279, dng->width * dng->height * 2);   /* StripByteCounts */
    put_short(writer, 284, 1);                             /* PlanarConfiguration */
    put_text(writer, 305, "ocellus-lab " OCELLUS_VERSION); /* Software */
    put_mosaic(writer, dng->cfa);
    put_tag(writer, 50706, BYTE, 4, version, 4);                            /* DNGVersion */
    put_tag(writer, 50707, BYTE, 4, oldest_reader, 4);                      /* DNGBackwardVersion */
    put_text(writer, 50708, "Ocellus simulated sensor");                    /* UniqueCameraModel */
    put_short(writer, 50714, dng->black);                                   /* BlackLevel */
    put_short(writer, 50717, dng->white);                                   /* WhiteLevel */
    put_fractions(writer, 50721, SRATIONAL, matrix, 9, 10000);              /* ColorMatrix1 */
    put_fractions(writer, 50728, RATIONAL, neutral, 3, 1);                  /* AsShotNeutral */
    put_fractions(writer, 50730, SRATIONAL, &dng->baseline_exposure, 1, 1); /* BaselineExposure */
    put_short(writer, 50778, 21); /* CalibrationIlluminant1: D65 */
}

int lab_dng_build(const struct lab_dng *dng, uint8_t **ret_bytes, size_t *ret_size)
{
    if (dng->width < 2 || dng->width > SIDE_MAX || dng->width % 2 != 0 || dng->height < 2 ||
        dng->height > SIDE_MAX || dng->height % 2 != 0 || dng->cfa > IMAGE_CFA_BGGR) {
        return -EINVAL;
    }
    size_t count = (size_t)dng->width * dng->height;
    size_t size = SAMPLES_START + count * 2;
    struct writer writer = {.bytes = calloc(1, size)};
    if (!writer.bytes) {
        return -ENOMEM;
    }
    memcpy(writer.bytes, "II*", 4);
    put_u32(writer.bytes + 4, HEADER_BYTES);
    put_u16(writer.bytes + HEADER_BYTES, TAG_COUNT);
    writer.entry = HEADER_BYTES + 2;
    writer.heap = HEADER_BYTES + IFD_BYTES;
    put_tags(&writer, dng);
    for (size_t i = 0; i < count; i++) {
        put_u16(writer.bytes + SAMPLES_START + 2 * i, dng->samples[i]);
    }
    *ret_bytes = writer.bytes;
    *ret_size = size;
    return 0;
}
