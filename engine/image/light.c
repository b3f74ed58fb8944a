/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* How a picture is lit, told from its planes. It knows nothing of where they came from. */
#include "engine/image/image.h"

#include <errno.h>

/* What is counted over a picture. */
struct tally {
    uint64_t sum; /* of the level, times `channels` with green twice */
    uint64_t saturated, dark;
    uint64_t lit, coloured; /* pixels that can tell a colour, and those that do */
};

static void count_grey(const uint16_t *plane, size_t pixels, uint32_t dark, struct tally *tally)
{
    for (size_t i = 0; i < pixels; i++) {
        tally->sum += plane[i];
        tally->saturated += plane[i] >= IMAGE_LIGHT_SATURATED;
        tally->dark += plane[i] < dark;
    }
}

static uint16_t largest(uint16_t a, uint16_t b)
{
    return a > b ? a : b;
}

static uint16_t smallest(uint16_t a, uint16_t b)
{
    return a < b ? a : b;
}

static void count_rgb(const uint16_t *planes, size_t pixels, uint32_t dark, struct tally *tally)
{
    const uint16_t *red = planes, *green = planes + pixels, *blue = planes + 2 * pixels;

    for (size_t i = 0; i < pixels; i++) {
        const uint32_t high = largest(largest(red[i], green[i]), blue[i]);
        const uint32_t low = smallest(smallest(red[i], green[i]), blue[i]);
        const bool lit = high >= 4 * dark && high < IMAGE_LIGHT_SATURATED;

        tally->sum += (uint64_t)red[i] + 2u * green[i] + blue[i];
        tally->saturated += high >= IMAGE_LIGHT_SATURATED;
        tally->dark += high < dark;
        tally->lit += lit;
        tally->coloured += lit && 4 * (high - low) > high;
    }
}

/* part / whole in 1/65535, at most 1. */
static uint16_t share(uint64_t part, uint64_t whole)
{
    return part >= whole ? UINT16_MAX : (uint16_t)((part * UINT16_MAX + whole / 2) / whole);
}

int image_measure_light(const uint16_t *planes, uint32_t channels, uint32_t width, uint32_t height,
                        uint16_t nominal_white, struct image_light *ret_light)
{
    const uint64_t pixels = (uint64_t)width * height;
    const uint32_t dark = ((uint32_t)nominal_white + 255) / 256;
    struct tally tally = {0};

    if ((channels != IMAGE_GREY && channels != IMAGE_RGB) || pixels < 1 || width > 65535 ||
        height > 65535 || nominal_white < 1) {
        return -EINVAL;
    }
    if (channels == IMAGE_RGB) {
        count_rgb(planes, pixels, dark, &tally);
    } else {
        count_grey(planes, pixels, dark, &tally);
    }
    const uint64_t mean = tally.sum / (pixels * (channels == IMAGE_RGB ? 4 : 1));
    const bool tells = channels == IMAGE_RGB && tally.lit > 0 && tally.lit >= pixels / 64;

    *ret_light = (struct image_light){
        .mean = share(mean, nominal_white),
        .saturated = share(tally.saturated, pixels),
        .dark = share(tally.dark, pixels),
        .colour = !tells                            ? IMAGE_COLOUR_UNKNOWN
                  : tally.coloured > tally.lit / 64 ? IMAGE_COLOUR_YES
                                                    : IMAGE_COLOUR_NONE,
    };
    return 0;
}
