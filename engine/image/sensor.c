/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Bare sensor buffers. Rows that lie ready in memory are handed on where they are; packed ones
 * (MIPI CSI-2 RAW10 and RAW12) are unpacked row by row, and only the columns that are wanted.
 */
#include "engine/image/image_internal.h"

#include <errno.h>
#include <string.h>

#define LITTLE_ENDIAN_HOST (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

struct sensor {
    const uint8_t *bytes;
    const struct image_sensor *description;
    void (*unpack)(uint16_t *out, const uint8_t *in, size_t groups);
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

static void convert_u16(void *context, uint32_t index, size_t first, size_t n, uint16_t *out)
{
    const uint8_t *bytes = row_bytes(context, index) + 2 * first;

    for (size_t i = 0; i < n; i++) {
        out[i] = (uint16_t)(bytes[2 * i] | bytes[2 * i + 1] << 8);
    }
}

/* Unpack n samples from `first` on: whole groups in one go, broken ones at either end by a copy. */
static void convert_mipi(void *context, uint32_t index, size_t first, size_t n, uint16_t *out)
{
    const struct sensor *sensor = context;
    const struct packing *packing = &packings[sensor->description->packing];
    const uint8_t *in = row_bytes(sensor, index) + first / packing->samples * packing->bytes;
    size_t skip = first % packing->samples;
    uint16_t group[4];

    while (n > 0) {
        size_t count = n / packing->samples;
        if (skip > 0 || count == 0) {
            size_t part = packing->samples - skip < n ? packing->samples - skip : n;
            sensor->unpack(group, in, 1);
            memcpy(out, group + skip, part * sizeof(*out));
            in += packing->bytes;
            out += part;
            n -= part;
            skip = 0;
        } else {
            sensor->unpack(out, in, count);
            in += count * packing->bytes;
            out += count * packing->samples;
            n -= count * packing->samples;
        }
    }
}

/* Whether 16-bit words can be read where they are. */
static bool words_ready(const struct sensor *sensor)
{
    return LITTLE_ENDIAN_HOST &&
           ((uintptr_t)sensor->bytes | sensor->description->stride) % _Alignof(uint16_t) == 0;
}

static int scale_sensor(struct image_decoder *decoder, const struct image_job *job)
{
    const struct image_sensor *description = job->sensor;
    bool mono = description->cfa == IMAGE_CFA_MONO;
    struct sensor sensor = {.bytes = job->bytes, .description = description};
    struct image_source source = {
        .form = mono ? IMAGE_FORM_MONO : IMAGE_FORM_MOSAIC,
        .cfa = description->cfa,
        .black = description->black,
        .range = (uint16_t)(description->white - description->black),
        .pitch = description->stride,
        .wide = description->packing != IMAGE_PACKING_U8,
        .context = &sensor,
    };
    uint32_t pixel = mono ? 1 : 2; /* samples along a side of what is one pixel to the geometry */
    struct image_geometry geometry;

    switch ((enum image_packing)description->packing) {
    case IMAGE_PACKING_U8:
        source.data = job->bytes;
        break;
    case IMAGE_PACKING_U16LE:
        source.data = words_ready(&sensor) ? job->bytes : NULL;
        source.convert = convert_u16;
        break;
    case IMAGE_PACKING_MIPI10:
        source.convert = convert_mipi;
        sensor.unpack = decoder->ops.unpack_mipi10;
        break;
    case IMAGE_PACKING_MIPI12:
        source.convert = convert_mipi;
        sensor.unpack = decoder->ops.unpack_mipi12;
        break;
    }
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
    info->mono = description->cfa == IMAGE_CFA_MONO;
    if (description->nominal_white != 0) {
        info->nominal_white = description->nominal_white;
    }
    return 0;
}
