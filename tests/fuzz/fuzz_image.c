/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * JPEG, PNM and sensor buffers: any bytes give planes or a typed error. The first four bytes choose
 * kind, fit and size; a sensor's description takes twelve more. RAW has a target of its own.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIDE = 64, GUARD = 16 };

static void require(int condition)
{
    if (!condition) {
        abort();
    }
}

static uint16_t read_u16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static int is_typed_error(int r)
{
    return r == -EBADMSG || r == -ENOTSUP || r == -EFBIG || r == -EINVAL || r == -ENOMEM;
}

static void check(struct image_decoder *decoder, const uint8_t *bytes, size_t size,
                  enum image_kind kind, const struct image_sensor *sensor,
                  const struct image_target *target)
{
    static uint16_t planes[3 * SIDE * SIDE + GUARD];
    size_t count = (size_t)target->channels * target->width * target->height;
    struct image_info info, header;

    memset(planes + count, 0xa5, GUARD * sizeof(*planes));
    int r = image_decode(decoder, bytes, size, kind, sensor, target, planes, &info);
    for (size_t i = 0; i < GUARD; i++) {
        require(planes[count + i] == 0xa5a5);
    }
    if (r < 0) {
        require(is_typed_error(r));
        return;
    }
    require(r == 0 && info.kind == kind && info.orientation >= 1 && info.orientation <= 8);
    require(info.width > 0 && info.height > 0 && info.nominal_white > 0);
    require(image_probe(decoder, bytes, size, kind, sensor, &header) == 0);
    require(header.width == info.width && header.height == info.height &&
            header.orientation == info.orientation);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum image_kind kinds[] = {IMAGE_KIND_JPEG, IMAGE_KIND_PNM, IMAGE_KIND_SENSOR};
    /* Small, so that no input takes long. */
    const struct image_limits limits = {.max_pixels = 1 << 20, .max_scan_pixels = 1 << 22};
    struct image_decoder *decoder;
    struct image_sensor sensor = {0};

    if (size < 16) {
        return 0;
    }
    enum image_kind kind = kinds[data[0] % 3];
    const struct image_target target = {
        .width = 1 + data[2] % SIDE,
        .height = 1 + data[3] % SIDE,
        .channels = data[1] & 1 ? IMAGE_RGB : IMAGE_GREY,
        .fit = data[1] / 2 % 3,
    };
    data += 4;
    size -= 4;
    if (kind == IMAGE_KIND_SENSOR) {
        sensor = (struct image_sensor){
            .width = read_u16(data),
            .height = read_u16(data + 2),
            .stride = read_u16(data + 4),
            .cfa = data[6] % 8,
            .packing = data[7] % 8,
            .black = read_u16(data + 8),
            .white = read_u16(data + 10),
        };
        data += 12;
        size -= 12;
    }
    if (image_decoder_create(&limits, NULL, &decoder) < 0) {
        return 0;
    }
    check(decoder, data, size, kind, kind == IMAGE_KIND_SENSOR ? &sensor : NULL, &target);
    image_decoder_destroy(decoder);
    return 0;
}
