/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* What a simulated Bayer sensor makes of a picture, for the commands that write such frames. */
#ifndef OCELLUS_ENGINE_LAB_CAPTURE_H
#define OCELLUS_ENGINE_LAB_CAPTURE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/lab/sensor.h"

/*
 * planes: [3][height][width], linear, 65535 is nominal white; 2..4096 a side, and an odd last row
 * or column is left out, since a mosaic has whole quads. cfa: enum image_cfa, a mosaic. The caller
 * frees *ret_bytes, a DNG. Errors: -ENOMEM, -EINVAL.
 */
int lab_capture_dng(struct lab_sensor *sensor, uint8_t cfa, const uint16_t *planes, uint32_t width,
                    uint32_t height, uint8_t **ret_bytes, size_t *ret_size);

#endif
