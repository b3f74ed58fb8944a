/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Camera RAW files by LibRaw, used for unpacking only: no demosaic, no white balance, no gamma.
 * LibRaw is never allowed to print or to open a file, and what it calls a success is not believed
 * before the file was seen to hold its picture (raw_extent.c).
 */
#include "engine/image/image_internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <libraw.h>

struct image_raw {
    libraw_data_t *library;
    unsigned data_errors; /* told by LibRaw's callback about the current file */
};

/* An unpacked picture, and how to read it. */
struct picture {
    enum image_form form;
    enum image_cfa cfa;
    const uint8_t *samples; /* first visible one */
    size_t pitch;           /* bytes */
    const libraw_colordata_t *colour;
    unsigned filters;
    uint32_t step; /* samples of a pixel */
    uint32_t range;
    uint32_t lowest_black, highest_black;
    /* Only where blacks differ: those of one row from column 0 on, which repeat, and a row without.
     */
    size_t black_period;
    uint16_t *blacks;
    uint16_t *row;
};

static int error_of_library(int code)
{
    switch (code) {
    case LIBRAW_SUCCESS:
        return 0;
    case LIBRAW_FILE_UNSUPPORTED:
    case LIBRAW_NOT_IMPLEMENTED:
        return -ENOTSUP;
    case LIBRAW_UNSUFFICIENT_MEMORY:
    case ENOMEM:
        return -ENOMEM;
    case LIBRAW_TOO_BIG:
        return -EFBIG;
    default:
        return -EBADMSG;
    }
}

static void on_memory_error(void *data, const char *file, const char *where)
{
    (void)data;
    (void)file;
    (void)where;
}

static void on_data_error(void *data, const char *file, const int offset)
{
    struct image_raw *raw = data;

    (void)file;
    (void)offset;
    raw->data_errors++;
}

static struct image_raw *raw_create(const struct image_limits *limits)
{
    struct image_raw *raw = calloc(1, sizeof(*raw));

    if (raw == NULL) {
        return NULL;
    }
    raw->library = libraw_init(LIBRAW_OPTIONS_NONE);
    if (raw->library == NULL) {
        free(raw);
        return NULL;
    }
    libraw_set_memerror_handler(raw->library, on_memory_error, raw);
    libraw_set_dataerror_handler(raw->library, on_data_error, raw);
    raw->library->params.max_raw_memory_mb = limits->max_raw_mib;
    return raw;
}

void image_raw_destroy(struct image_raw *raw)
{
    if (raw != NULL) {
        libraw_close(raw->library);
        free(raw);
    }
}

/* sizes.flip: bits as in dcraw, or degrees. Returns the Exif orientation. */
static uint8_t orientation_of_flip(int flip)
{
    static const uint8_t orientations[8] = {1, 2, 4, 3, 5, 8, 6, 7};

    switch ((flip % 360 + 360) % 360) {
    case 270:
        return 8;
    case 180:
        return 3;
    case 90:
        return 6;
    default:
        return orientations[flip & 7];
    }
}

/* Where the file says that white is exposed below the sensor's white (DNG BaselineExposure, in
 * stops). */
static uint16_t nominal_white(const libraw_data_t *library)
{
    double stops = library->color.dng_levels.baseline_exposure;

    if (library->idata.dng_version == 0 || !(stops > 0)) {
        return 65535;
    }
    return (uint16_t)lround(65535 * exp2(stops < 8 ? -stops : -8));
}

/* Colour of a mosaic's sample, as an index into cdesc and cblack (LibRaw's FC). */
static unsigned mosaic_colour(unsigned filters, uint32_t row, uint32_t column)
{
    return filters >> (((row << 1 & 14) + (column & 1)) << 1) & 3;
}

/* Errors: -ENOTSUP for anything but red, two greens and blue in a square of four. */
static int mosaic_pattern(const libraw_iparams_t *idata, enum image_cfa *ret_cfa)
{
    static const char names[4][5] = {
        [IMAGE_CFA_RGGB] = "RGGB",
        [IMAGE_CFA_GRBG] = "GRBG",
        [IMAGE_CFA_GBRG] = "GBRG",
        [IMAGE_CFA_BGGR] = "BGGR",
    };
    char name[5] = "";

    if (idata->filters != (idata->filters & 0xff) * 0x01010101u) {
        return -ENOTSUP;
    }
    for (unsigned i = 0; i < 4; i++) {
        name[i] = idata->cdesc[mosaic_colour(idata->filters, i / 2, i % 2)];
    }
    for (unsigned cfa = 0; cfa < 4; cfa++) {
        if (strcmp(name, names[cfa]) == 0) {
            *ret_cfa = cfa;
            return 0;
        }
    }
    return -ENOTSUP;
}

/* Which of LibRaw's buffers holds the picture. It has at least rows x columns pixels. */
static int find_samples(const libraw_data_t *library, uint32_t rows, uint32_t columns,
                        struct picture *p)
{
    const libraw_rawdata_t *data = &library->rawdata;
    const libraw_image_sizes_t *sizes = &library->sizes;
    const void *start;

    if (data->ioparams.fuji_width != 0) {
        return -ENOTSUP; /* a mosaic turned by 45 degrees */
    }
    if (data->raw_image != NULL && library->idata.filters == 0 && library->idata.colors == 1) {
        p->form = IMAGE_FORM_MONO;
        p->step = 1;
        start = data->raw_image;
    } else if (data->raw_image != NULL) {
        int r = mosaic_pattern(&library->idata, &p->cfa);
        if (r < 0) {
            return r;
        }
        p->form = IMAGE_FORM_MOSAIC;
        p->step = 1;
        start = data->raw_image;
    } else if (data->color3_image != NULL || data->color4_image != NULL) {
        if (library->idata.colors != 3 || strncmp(library->idata.cdesc, "RGB", 3) != 0) {
            return -ENOTSUP;
        }
        p->form = data->color3_image != NULL ? IMAGE_FORM_RGB : IMAGE_FORM_RGBX;
        p->step = data->color3_image != NULL ? 3 : 4;
        start = data->color3_image != NULL ? (const void *)data->color3_image
                                           : (const void *)data->color4_image;
    } else {
        return -ENOTSUP; /* floating point */
    }
    p->filters = library->idata.filters;
    p->pitch = sizes->raw_pitch;
    size_t pixel = p->step * sizeof(uint16_t);
    if ((uint32_t)sizes->top_margin + sizes->height > rows ||
        (uint32_t)sizes->left_margin + sizes->width > columns || p->pitch > columns * pixel ||
        p->pitch < (sizes->left_margin + (size_t)sizes->width) * pixel || p->pitch % 2 != 0) {
        return -ENOTSUP;
    }
    p->samples = (const uint8_t *)start + sizes->top_margin * p->pitch + sizes->left_margin * pixel;
    return 0;
}

/* Black of a visible sample: one for all, one for each colour and a pattern that repeats. */
static uint32_t black_of(const struct picture *p, uint32_t row, uint32_t column)
{
    const libraw_colordata_t *colour = p->colour;
    uint32_t pixel = column / p->step;
    uint32_t channel =
        p->form == IMAGE_FORM_MOSAIC ? mosaic_colour(p->filters, row, column) : column % p->step;
    uint64_t black = (uint64_t)colour->black + colour->cblack[channel];
    uint32_t height = colour->cblack[4], width = colour->cblack[5];

    if (height > 0 && width > 0) {
        black += colour->cblack[6 + row % height * width + pixel % width];
    }
    return black < 65535 ? (uint32_t)black : 65535;
}

static int find_levels(const libraw_data_t *library, struct picture *p)
{
    const libraw_colordata_t *colour = &library->color;
    uint64_t height = colour->cblack[4], width = colour->cblack[5];

    if (height * width > LIBRAW_CBLACK_SIZE - 6) {
        return -EBADMSG;
    }
    p->colour = colour;
    bool pattern = height > 0 && width > 0;
    uint32_t rows = pattern ? 2 * (uint32_t)height : 2;
    uint32_t columns = (pattern ? 2 * (uint32_t)width : 2) * p->step;
    p->lowest_black = UINT32_MAX;
    for (uint32_t row = 0; row < rows; row++) {
        for (uint32_t column = 0; column < columns; column++) {
            if (p->step == 4 && column % 4 == 3) {
                continue; /* the unused fourth sample */
            }
            uint32_t black = black_of(p, row, column);
            p->lowest_black = black < p->lowest_black ? black : p->lowest_black;
            p->highest_black = black > p->highest_black ? black : p->highest_black;
        }
    }
    uint32_t white = colour->maximum < 65535 ? colour->maximum : 65535;
    if (white <= p->highest_black) {
        return -EBADMSG;
    }
    p->range = white - p->highest_black;
    p->black_period = columns;
    return 0;
}

static void convert_row(void *context, uint32_t index, size_t first, size_t n, uint16_t *out)
{
    const struct picture *p = context;
    const void *start = p->samples + index * p->pitch;
    const uint16_t *samples = (const uint16_t *)start + first;

    for (size_t i = 0; i < p->black_period; i++) {
        p->blacks[i] = (uint16_t)black_of(p, index, (uint32_t)i);
    }
    size_t phase = first % p->black_period;
    for (size_t i = 0; i < n; i++) {
        uint16_t black = p->blacks[phase];
        out[i] = (uint16_t)(samples[i] > black ? samples[i] - black : 0);
        phase = phase + 1 < p->black_period ? phase + 1 : 0;
    }
}

static int scale_picture(struct image_decoder *decoder, const struct image_job *job,
                         const libraw_image_sizes_t *sizes, uint8_t orientation, struct picture *p)
{
    bool even = p->lowest_black == p->highest_black;
    uint32_t pixel = p->form == IMAGE_FORM_MOSAIC ? 2 : 1;
    struct image_source source = {
        .form = p->form,
        .cfa = p->cfa,
        .black = even ? (uint16_t)p->lowest_black : 0,
        .range = (uint16_t)p->range,
        .data = even ? p->samples : NULL,
        .pitch = p->pitch,
        .wide = true,
        .convert = convert_row,
        .context = p,
    };
    struct image_geometry geometry;

    if (sizes->width < pixel || sizes->height < pixel) {
        return -EBADMSG;
    }
    int r = image_scratch_reserve(&decoder->line, p->black_period * sizeof(uint16_t));
    if (r < 0) {
        return r;
    }
    p->blacks = decoder->line.data;
    image_geometry_init(&geometry, sizes->width / pixel, sizes->height / pixel, orientation,
                        job->target);
    return image_scale(decoder, &geometry, &source, job->target, job->planes);
}

/*
 * Two of LibRaw's decoders call libjpeg in a way that prints and that takes damage for a picture.
 * One is refused; the other one, for the Kodak DC120, is fed only what was seen to decode cleanly.
 * There the JPEG lies with the bytes of each pair swapped.
 */
static int check_inner_jpeg(struct image_decoder *decoder, const struct image_job *job,
                            const struct image_raw_extent *extent)
{
    const char *name = libraw_unpack_function_name(decoder->raw->library);

    if (strcmp(name, "lossy_dng_load_raw()") == 0) {
        return -ENOTSUP;
    }
    if (strcmp(name, "kodak_jpeg_load_raw()") != 0) {
        return 0;
    }
    uint8_t *swapped = malloc((size_t)extent->size + 1);
    if (swapped == NULL) {
        return -ENOMEM;
    }
    const uint8_t *bytes = job->bytes + extent->offset;
    size_t size = extent->size & ~(size_t)1;
    for (size_t i = 0; i < size; i += 2) {
        swapped[i] = bytes[i + 1];
        swapped[i + 1] = bytes[i];
    }
    int r = image_jpeg_check(decoder, swapped, size);
    free(swapped);
    return r;
}

/* Unpack the opened file, which has at least rows x columns pixels, into planes. */
static int read_picture(struct image_decoder *decoder, const struct image_job *job, uint32_t rows,
                        uint32_t columns, const struct image_raw_extent *extent)
{
    struct image_raw *raw = decoder->raw;
    const libraw_image_sizes_t *sizes = &raw->library->sizes;
    struct picture picture = {0};

    int r = check_inner_jpeg(decoder, job, extent);
    if (r == 0) {
        r = error_of_library(libraw_unpack(raw->library));
    }
    if (r == 0 && raw->data_errors > 0) {
        r = -EBADMSG;
    }
    if (r == 0) {
        r = find_samples(raw->library, rows, columns, &picture);
    }
    if (r == 0) {
        r = find_levels(raw->library, &picture);
    }
    if (r == 0) {
        r = scale_picture(decoder, job, sizes, orientation_of_flip(sizes->flip), &picture);
    }
    return r;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static int decode(struct image_decoder *decoder, const struct image_job *job,
                  struct image_info *info)
{
    struct image_raw *raw = decoder->raw;
    const libraw_image_sizes_t *sizes = &raw->library->sizes;
    struct image_raw_extent extent;

    raw->data_errors = 0;
    int r = image_raw_check_boxes(job->bytes, job->size);
    if (r == 0) {
        r = image_raw_check_patterns(job->bytes, job->size);
    }
    if (r == 0) {
        /* LibRaw reads the buffer only, its C interface does not say so. */
        void *bytes = (void *)(uintptr_t)job->bytes;
        r = error_of_library(libraw_open_buffer(raw->library, bytes, job->size));
    }
    if (r < 0) {
        return r;
    }
    /* LibRaw allocates at least these, and may change its mind about `sizes` while it unpacks. */
    uint32_t rows = larger(sizes->raw_height, sizes->height);
    uint32_t columns = larger(sizes->raw_width, sizes->width);
    r = image_check_size(decoder, columns, rows);
    if (r == 0) {
        r = image_raw_check_extent(job->bytes, job->size, (uint64_t)columns * rows, &extent);
    }
    if (r == 0 && job->target != NULL) {
        r = read_picture(decoder, job, rows, columns, &extent);
    }
    if (r < 0) {
        return r;
    }
    image_info_init(info, IMAGE_KIND_RAW, orientation_of_flip(sizes->flip), sizes->width,
                    sizes->height);
    info->nominal_white = nominal_white(raw->library);
    info->mono = raw->library->idata.filters == 0 && raw->library->idata.colors == 1;
    return 0;
}

int image_decode_raw(struct image_decoder *decoder, const struct image_job *job,
                     struct image_info *info)
{
    if (decoder->raw == NULL) {
        decoder->raw = raw_create(&decoder->limits);
        if (decoder->raw == NULL) {
            return -ENOMEM;
        }
    }
    int r = decode(decoder, job, info);
    libraw_recycle(decoder->raw->library);
    return r;
}
