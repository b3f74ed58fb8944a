/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The sRGB half of gradient_encode. Not for use outside engine/gradient. */
#ifndef OCELLUS_ENGINE_GRADIENT_SRGB_H
#define OCELLUS_ENGINE_GRADIENT_SRGB_H

#include <stddef.h>
#include <stdint.h>

struct gradient_spec;

/* planes: [spec->planes][pixels]; codes: pixels * spec->planes, interleaved. */
void gradient_srgb_encode(const struct gradient_spec *spec, const uint16_t *planes, size_t pixels,
                          uint16_t nominal_white, void *codes);

#endif
