/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Camera RAW: any bytes give planes or a typed error. The walk through the container, which is our
 * own, is called for every input; LibRaw behind it runs with small limits.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/image/image_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct image_limits limits = {.max_pixels = 1 << 20, .max_raw_mib = 32};
    const struct image_target target = {16, 16, IMAGE_RGB, IMAGE_FIT_COVER};
    struct image_raw_extent extent;
    struct image_decoder *decoder;
    struct image_info info;
    uint16_t planes[3 * 16 * 16];

    int r = image_raw_check_extent(data, size, size, &extent);
    require(r == -EBADMSG || (r == 0 && (uint64_t)extent.offset + extent.size <= size));
    r = image_raw_check_boxes(data, size);
    require(r == 0 || r == -EBADMSG);
    uint8_t orientation = image_exif_orientation(data, size);
    require(orientation >= 1 && orientation <= 8);

    if (image_decoder_create(&limits, NULL, &decoder) < 0) {
        return 0;
    }
    r = image_decode(decoder, data, size, IMAGE_KIND_RAW, NULL, &target, planes, &info);
    require(r == 0 || r == -EBADMSG || r == -ENOTSUP || r == -EFBIG || r == -ENOMEM);
    image_decoder_destroy(decoder);
    return 0;
}
