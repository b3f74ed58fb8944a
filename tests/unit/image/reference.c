/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
#include "tests/unit/image/reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t random_state;

void random_start(void)
{
    const char *seed = getenv("OCELLUS_TEST_SEED");

    random_state = seed != NULL ? strtoull(seed, NULL, 0) : 20260101;
    print_message("OCELLUS_TEST_SEED=%llu\n", (unsigned long long)random_state);
}

uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % n);
}

void reference_upright(uint8_t orientation, uint32_t width, uint32_t height, uint32_t x, uint32_t y,
                       uint32_t *ret_x, uint32_t *ret_y)
{
    /* Exif 2.3, tag 0x0112: where row 0 and column 0 of the stored picture are seen. */
    uint32_t right = width - 1 - x, down = height - 1 - y;
    const uint32_t places[8][2] = {
        {x, y},        /* 1: row 0 top,    column 0 left */
        {right, y},    /* 2: row 0 top,    column 0 right */
        {right, down}, /* 3: row 0 bottom, column 0 right */
        {x, down},     /* 4: row 0 bottom, column 0 left */
        {y, x},        /* 5: row 0 left,   column 0 top */
        {down, x},     /* 6: row 0 right,  column 0 top */
        {down, right}, /* 7: row 0 right,  column 0 bottom */
        {y, right},    /* 8: row 0 left,   column 0 bottom */
    };

    *ret_x = places[orientation - 1][0];
    *ret_y = places[orientation - 1][1];
}

/* Sum of the counts of a stored pixel that make a plane, and how many there are. */
static uint64_t pixel_sum(const struct reference_picture *p, uint32_t x, uint32_t y, char plane,
                          unsigned *ret_counts)
{
    uint64_t sum = 0;

    *ret_counts = 0;
    if (p->cfa != NULL) {
        for (unsigned i = 0; i < 4; i++) {
            if (plane == 'Y' || p->cfa[i] == plane) {
                sum += p->count(p->context, 2 * x + i % 2, 2 * y + i / 2, 0);
                ++*ret_counts;
            }
        }
    } else if (p->channels == 1) {
        sum = p->count(p->context, x, y, 0);
        *ret_counts = 1;
    } else if (plane == 'Y') {
        sum = p->count(p->context, x, y, 0) + 2 * (uint64_t)p->count(p->context, x, y, 1) +
              p->count(p->context, x, y, 2);
        *ret_counts = 4;
    } else {
        sum = p->count(p->context, x, y, plane == 'R' ? 0 : plane == 'G' ? 1 : 2);
        *ret_counts = 1;
    }
    return sum;
}

/* Weights of the n samples of an axis for output i of m. */
static void axis_weights(uint64_t n, uint64_t m, uint64_t i, uint64_t *weights)
{
    for (uint64_t j = 0; j < n; j++) {
        uint64_t from = j * m > i * n ? j * m : i * n;
        uint64_t to = (j + 1) * m < (i + 1) * n ? (j + 1) * m : (i + 1) * n;
        weights[j] = to > from ? to - from : 0;
        if (n < m) {
            weights[j] = j == (2 * i + 1) * n / (2 * m);
        }
    }
}

static uint32_t smaller(uint64_t a, uint64_t b)
{
    return (uint32_t)(a < b ? a : b);
}

static uint32_t at_least_one(uint32_t a)
{
    return a > 0 ? a : 1;
}

/* Stored pixels by their upright places. */
struct upright {
    uint32_t width, height;
    uint32_t *stored; /* [height][width]: y * stored width + x */
};

static struct upright upright_make(const struct reference_picture *p)
{
    uint32_t unit = p->cfa != NULL ? 2 : 1;
    uint32_t width = p->width / unit, height = p->height / unit;
    struct upright u = {width, height, malloc((size_t)width * height * sizeof(uint32_t))};

    assert_non_null(u.stored);
    if (p->orientation >= 5) {
        u.width = height;
        u.height = width;
    }
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            uint32_t ux, uy;
            reference_upright(p->orientation, width, height, x, y, &ux, &uy);
            u.stored[uy * u.width + ux] = y * width + x;
        }
    }
    return u;
}

struct rectangle {
    uint32_t x, y, width, height;
};

static uint16_t output_value(const struct reference_picture *p, const struct upright *u,
                             const struct rectangle *source, const uint64_t *weights_x,
                             const uint64_t *weights_y, char plane)
{
    uint64_t sum = 0, total = 0;
    uint32_t stored_width = p->orientation >= 5 ? u->height : u->width;

    for (uint32_t y = 0; y < source->height; y++) {
        for (uint32_t x = 0; x < source->width; x++) {
            uint64_t weight = weights_x[x] * weights_y[y];
            unsigned counts;
            if (weight != 0) {
                uint32_t at = u->stored[(source->y + y) * u->width + source->x + x];
                sum += weight * pixel_sum(p, at % stored_width, at / stored_width, plane, &counts);
                total += weight * counts;
            }
        }
    }
    uint64_t full = total * p->range;
    return (uint16_t)((sum * 65535 + full / 2) / full);
}

void reference_planes(const struct reference_picture *p, const struct image_target *target,
                      uint16_t *planes)
{
    struct upright u = upright_make(p);
    uint64_t W = u.width, H = u.height, w = target->width, h = target->height;
    struct rectangle source = {0, 0, u.width, u.height};
    struct rectangle inner = {0, 0, target->width, target->height};

    if (target->fit == IMAGE_FIT_COVER) {
        source.width = at_least_one(smaller(W, H * w / h));
        source.height = at_least_one(smaller(H, W * h / w));
        source.x = (u.width - source.width) / 2;
        source.y = (u.height - source.height) / 2;
    } else if (target->fit == IMAGE_FIT_CONTAIN) {
        inner.width = at_least_one(smaller(w, h * W / H));
        inner.height = at_least_one(smaller(h, w * H / W));
        inner.x = (target->width - inner.width) / 2;
        inner.y = (target->height - inner.height) / 2;
    }
    uint64_t *weights_x = calloc(source.width, sizeof(*weights_x));
    uint64_t *weights_y = calloc(source.height, sizeof(*weights_y));
    assert_non_null(weights_x);
    assert_non_null(weights_y);
    for (unsigned c = 0; c < target->channels; c++) {
        char plane = target->channels == 1 ? 'Y' : "RGB"[c];
        for (uint32_t y = 0; y < h; y++) {
            for (uint32_t x = 0; x < w; x++) {
                /* The nearest value that the picture covers. */
                uint32_t i = x < inner.x ? 0 : smaller(x - inner.x, inner.width - 1);
                uint32_t j = y < inner.y ? 0 : smaller(y - inner.y, inner.height - 1);
                axis_weights(source.width, inner.width, i, weights_x);
                axis_weights(source.height, inner.height, j, weights_y);
                *planes++ = output_value(p, &u, &source, weights_x, weights_y, plane);
            }
        }
    }
    free(weights_x);
    free(weights_y);
    free(u.stored);
}

void assert_planes_equal(const uint16_t *got, const uint16_t *expected,
                         const struct image_target *target, const char *what)
{
    size_t size = (size_t)target->channels * target->width * target->height;

    for (size_t i = 0; i < size; i++) {
        if (got[i] != expected[i]) {
            fail_msg("%s: %ux%ux%u fit %u: value %zu is %u, not %u", what, target->channels,
                     target->width, target->height, target->fit, i, got[i], expected[i]);
        }
    }
}

uint8_t *read_file(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;
    long size;

    if (file == NULL) {
        return NULL;
    }
    if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0) {
        rewind(file);
        bytes = malloc((size_t)size);
        if (bytes != NULL && fread(bytes, 1, (size_t)size, file) == (size_t)size) {
            *ret_size = (size_t)size;
        } else {
            free(bytes);
            bytes = NULL;
        }
    }
    fclose(file);
    return bytes;
}
