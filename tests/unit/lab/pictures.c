/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The drawings of pictures.h. Changing one changes the golden values. */
#include "tests/unit/lab/pictures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct colour {
    uint8_t r, g, b;
};

/* A well mixed function of the position; stands for randomness. */
static uint32_t hash(uint32_t x, uint32_t y, uint32_t salt)
{
    uint32_t h = x * 0x9e3779b1u ^ y * 0x85ebca77u ^ salt * 0xc2b2ae3du;
    h = (h ^ (h >> 15)) * 0x2c1b3c6du;
    h = (h ^ (h >> 12)) * 0x297a2d39u;
    return h ^ (h >> 15);
}

static struct colour draw_gradient(uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
    uint32_t across = x * 255 / (width - 1), down = y * 255 / (height - 1);
    return (struct colour){(uint8_t)across, (uint8_t)down, (uint8_t)((across + down) / 2)};
}

static struct colour draw_disc(uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
    int64_t radius = (width < height ? width : height) / 3;
    int64_t dx = (int64_t)x - width / 2, dy = (int64_t)y - height / 2;
    int64_t distance = dx * dx + dy * dy, limit = radius * radius;
    if (distance > limit) {
        return (struct colour){40, 90, 160};
    }
    int64_t light = 255 - 180 * distance / limit;
    return (struct colour){(uint8_t)light, (uint8_t)(light * 3 / 4), (uint8_t)(light / 4)};
}

static struct colour draw_stripes(uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
    uint32_t period = (width + height) / 16 + 1;
    if ((2 * x + y) / period % 2 == 0) {
        return (struct colour){230, 225, 210};
    }
    return (struct colour){30, 40, 35};
}

static struct colour draw_texture(uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
    uint32_t block = (width < height ? width : height) / 8;
    uint32_t coarse = hash(x / block, y / block, 1), fine = hash(x, y, 2);
    return (struct colour){(uint8_t)((coarse & 127) + (fine & 63) + 20),
                           (uint8_t)((coarse >> 8 & 127) + (fine >> 8 & 63) + 40),
                           (uint8_t)((coarse >> 16 & 127) + (fine >> 16 & 63))};
}

static int in_wheel(int64_t x, int64_t y, int64_t centre_x, int64_t centre_y, int64_t radius)
{
    return (x - centre_x) * (x - centre_x) + (y - centre_y) * (y - centre_y) <= radius * radius;
}

/* Coordinates of the scene are in 1/32 of the picture. */
static struct colour draw_road(uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
    int64_t u = (int64_t)x * 3200 / width, v = (int64_t)y * 3200 / height;
    if (in_wheel(u, v, 900, 2250, 260) || in_wheel(u, v, 2300, 2250, 260)) {
        return (struct colour){25, 25, 28};
    }
    if (u >= 2250 && u < 2750 && v >= 1300 && v < 1700) {
        return (struct colour){120, 160, 190}; /* window */
    }
    if ((u >= 500 && u < 2000 && v >= 900 && v < 2200) ||
        (u >= 2000 && u < 2850 && v >= 1200 && v < 2200)) {
        return (struct colour){185, 40, 35};
    }
    if (v >= 2300) {
        uint8_t grain = (uint8_t)(hash(x, y, 3) & 15);
        return (struct colour){(uint8_t)(90 + grain), (uint8_t)(88 + grain), (uint8_t)(85 + grain)};
    }
    return (struct colour){(uint8_t)(110 + v / 40), (uint8_t)(160 + v / 60), 235};
}

static const struct {
    const char *name;
    struct colour (*draw)(uint32_t x, uint32_t y, uint32_t width, uint32_t height);
} drawings[PICTURE_COUNT] = {
    [PICTURE_GRADIENT] = {"gradient", draw_gradient},
    [PICTURE_DISC] = {"disc", draw_disc},
    [PICTURE_STRIPES] = {"stripes", draw_stripes},
    [PICTURE_TEXTURE] = {"texture", draw_texture},
    [PICTURE_ROAD] = {"road", draw_road},
};

const char *picture_name(enum picture picture)
{
    return drawings[picture].name;
}

void picture_draw(enum picture picture, uint32_t width, uint32_t height, uint8_t *rgb)
{
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            struct colour colour = drawings[picture].draw(x, y, width, height);
            *rgb++ = colour.r;
            *rgb++ = colour.g;
            *rgb++ = colour.b;
        }
    }
}

uint8_t *picture_ppm(enum picture picture, uint32_t width, uint32_t height, size_t *ret_size)
{
    char header[32];
    int length = snprintf(header, sizeof(header), "P6\n%u %u\n255\n", width, height);
    size_t size = (size_t)length + (size_t)width * height * 3;
    uint8_t *bytes = malloc(size);
    if (bytes) {
        memcpy(bytes, header, (size_t)length);
        picture_draw(picture, width, height, bytes + length);
        *ret_size = size;
    }
    return bytes;
}
