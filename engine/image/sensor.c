/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Bare sensor buffers. Rows that lie ready in memory are handed on where they are; packed ones
 * (MIPI CSI-2 RAW10 and RAW12) are unpacked a row at a time, and only the columns that are wanted.
 */
#include "engine/image/image_internal.h"

#include <errno.h>
#include <string.h>

#define LITTLE_ENDIAN_HOST (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

struct sensor {
    const uint8_t *bytes;
    const struct image_sensor *description;
    uint16_t *row;
};

/* Samples that share a group of bytes, and the bytes of a group. */
struct packing {
    uint8_t samples, bytes;
    uint16_t highest;
};

static const struct packing packings[] = {
    [IMAGE_PACKING_U8] = {1, 1, 255},
    [IMAGE_PACKING_U16LE] = {1, 2, 65535},
    [IMAGE_PACKING_MIPI10] = {4, 5, 1023},
    [IMAGE_PACKING_MIPI12] = {2, 3, 4095},
};

int image_sensor_bytes(const struct image_sensor *sensor, size_t *ret_bytes)
{
    if (sensor->cfa > IMAGE_CFA_MONO || sensor->packing > IMAGE_PACKING_MIPI12) {
        return -EINVAL;
    }
    const struct packing *packing = &packings[sensor->packing];
    uint32_t least = sensor->cfa == IMAGE_CFA_MONO ? 1 : 2;
    if (sensor->width < least || sensor->width > 65535 || sensor->height < least ||
        sensor->height > 65535 || sensor->width % packing->samples != 0 ||
        sensor->black >= sensor->white || sensor->white > packing->highest) {
        return -EINVAL;
    }
    uint32_t row = sensor->width / packing->samples * packing->bytes;
    size_t bytes;
    if (sensor->stride < row ||
        __builtin_mul_overflow((size_t)sensor->stride, sensor->height - 1, &bytes) ||
        __builtin_add_overflow(bytes, row, &bytes)) {
        return -EINVAL;
    }
    *ret_bytes = bytes;
    return 0;
}

static const uint8_t *row_bytes(const struct sensor *sensor, uint32_t index)
{
    return sensor->bytes + (size_t)index * sensor->description->stride;
}

static int row_u8(void *context, uint32_t index, size_t first, size_t count, const void **ret_row)
{
    (void)count;
    *ret_row = row_bytes(context, index) + first;
    return 0;
}

static int row_u16(void *context, uint32_t index, size_t first, size_t count, const void **ret_row)
{
    const struct sensor *sensor = context;
    const uint8_t *bytes = row_bytes(sensor, index) + 2 * first;

    if (LITTLE_ENDIAN_HOST && (uintptr_t)bytes % _Alignof(uint16_t) == 0) {
        *ret_row = bytes;
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        sensor->row[i] = (uint16_t)(bytes[2 * i] | bytes[2 * i + 1] << 8);
    }
    *ret_row = sensor->row;
    return 0;
}

/* Groups of four samples in five bytes; the lanes of a 64-bit word are the samples. */
static int row_mipi10(void *context, uint32_t index, size_t first, size_t count,
                      const void **ret_row)
{
    const struct sensor *sensor = context;
    size_t group = first / 4, end = (first + count + 3) / 4;
    const uint8_t *in = row_bytes(sensor, index) + 5 * group;
    uint16_t *out = sensor->row;

    for (; group < end; group++, in += 5, out += 4) {
        unsigned low = in[4];
        out[0] = (uint16_t)(in[0] << 2 | (low & 3));
        out[1] = (uint16_t)(in[1] << 2 | (low >> 2 & 3));
        out[2] = (uint16_t)(in[2] << 2 | (low >> 4 & 3));
        out[3] = (uint16_t)(in[3] << 2 | low >> 6);
    }
    *ret_row = sensor->row + first % 4;
    return 0;
}

static int row_mipi12(void *context, uint32_t index, size_t first, size_t count,
                      const void **ret_row)
{
    const struct sensor *sensor = context;
    size_t group = first / 2, end = (first + count + 1) / 2;
    const uint8_t *in = row_bytes(sensor, index) + 3 * group;
    uint16_t *out = sensor->row;

    for (; group < end; group++, in += 3, out += 2) {
        out[0] = (uint16_t)(in[0] << 4 | (in[2] & 15));
        out[1] = (uint16_t)(in[1] << 4 | in[2] >> 4);
    }
    *ret_row = sensor->row + first % 2;
    return 0;
}

static int scale_sensor(struct image_decoder *decoder, const struct image_job *job)
{
    static int (*const row[])(void *, uint32_t, size_t, size_t, const void **) = {
        [IMAGE_PACKING_U8] = row_u8,
        [IMAGE_PACKING_U16LE] = row_u16,
        [IMAGE_PACKING_MIPI10] = row_mipi10,
        [IMAGE_PACKING_MIPI12] = row_mipi12,
    };
    const struct image_sensor *description = job->sensor;
    bool mono = description->cfa == IMAGE_CFA_MONO;
    struct sensor sensor = {.bytes = job->bytes, .description = description};
    struct image_source source = {
        .form = mono ? IMAGE_FORM_MONO : IMAGE_FORM_MOSAIC,
        .samples = description->packing == IMAGE_PACKING_U8 ? IMAGE_SAMPLES_U8 : IMAGE_SAMPLES_U16,
        .cfa = description->cfa,
        .black = description->black,
        .range = (uint16_t)(description->white - description->black),
        .row = row[description->packing],
        .context = &sensor,
    };
    uint32_t pixel = mono ? 1 : 2; /* samples along a side of what is one pixel to the geometry */

    int r = image_scratch_reserve(&decoder->row, description->width * sizeof(uint16_t));
    if (r < 0) {
        return r;
    }
    sensor.row = decoder->row.data;
    struct image_geometry geometry;
    image_geometry_init(&geometry, description->width / pixel, description->height / pixel, 1,
                        job->target);
    return image_scale(decoder, &geometry, &source, job->target, job->planes);
}

int image_decode_sensor(struct image_decoder *decoder, const struct image_job *job,
                        struct image_info *info)
{
    const struct image_sensor *description = job->sensor;
    size_t needed;

    int r = image_sensor_bytes(description, &needed);
    if (r == 0) {
        r = image_check_size(decoder, description->width, description->height);
    }
    if (r < 0) {
        return r;
    }
    if (job->size < needed) {
        return -EBADMSG;
    }
    if (job->target != NULL) {
        r = scale_sensor(decoder, job);
        if (r < 0) {
            return r;
        }
    }
    image_info_init(info, IMAGE_KIND_SENSOR, 1, description->width, description->height);
    if (description->nominal_white != 0) {
        info->nominal_white = description->nominal_white;
    }
    return 0;
}
