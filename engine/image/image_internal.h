/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * What the files of engine/image share: the decoder, one function for each kind of input, and the
 * area average that all of them end in. Nobody outside this folder includes it.
 */
#ifndef OCELLUS_ENGINE_IMAGE_IMAGE_INTERNAL_H
#define OCELLUS_ENGINE_IMAGE_IMAGE_INTERNAL_H

#include "engine/image/image.h"

struct image_jpeg;
struct image_raw;

/* A buffer that grows and is kept from image to image. */
struct image_scratch {
    void *data;
    size_t size;
};

struct image_decoder {
    struct image_limits limits; /* every field set */
    struct image_ops ops;       /* every slot set */
    struct image_scratch sums;  /* column sums of an output row */
    struct image_scratch spans; /* struct image_span of every output column */
    struct image_scratch block; /* source rows that had to be made */
    struct image_scratch
        line;                /* what a kind needs beside: a JPEG's row, a RAW row's black levels */
    struct image_jpeg *jpeg; /* made when first needed, as is raw */
    struct image_raw *raw;
};

/* One call of image_decode, or of image_probe when target is NULL. */
struct image_job {
    const uint8_t *bytes;
    size_t size;
    const struct image_sensor *sensor;
    const struct image_target *target;
    uint16_t *planes;
};

/* Copy what is wanted and fill the rest with portable C. */
void image_ops_init(struct image_ops *ops, const struct image_ops *wanted);

/* Make room for `size` bytes; the former content is lost. Errors: -ENOMEM. */
int image_scratch_reserve(struct image_scratch *scratch, size_t size);

/* Hold a declared size against the limits. Errors: -EBADMSG (empty), -EFBIG. */
int image_check_size(const struct image_decoder *decoder, uint64_t width, uint64_t height);

/* Fill kind, orientation and the upright size; everything else is set to its plain value. */
void image_info_init(struct image_info *info, enum image_kind kind, uint8_t orientation,
                     uint32_t stored_width, uint32_t stored_height);

/*
 * The decoders. Each fills *info only on success, writes planes only when job->target is given, and
 * leaves IMAGE_WARN_CONSTANT to the caller. Errors as in image_decode.
 */
int image_decode_jpeg(struct image_decoder *decoder, const struct image_job *job,
                      struct image_info *info);
int image_decode_raw(struct image_decoder *decoder, const struct image_job *job,
                     struct image_info *info);
int image_decode_pnm(struct image_decoder *decoder, const struct image_job *job,
                     struct image_info *info);
int image_decode_sensor(struct image_decoder *decoder, const struct image_job *job,
                        struct image_info *info);

/*
 * Whether a complete JPEG decodes without a complaint of the library. Errors: -EBADMSG, -ENOTSUP,
 * -EFBIG, -ENOMEM.
 */
int image_jpeg_check(struct image_decoder *decoder, const uint8_t *bytes, size_t size);

/*
 * Whether the boxes of an ISO base media file (CR3) end inside of what holds them; other files
 * pass. To be asked before LibRaw, which never returns from some that do not. Errors: -EBADMSG.
 */
int image_raw_check_boxes(const uint8_t *bytes, size_t size);

/*
 * Whether there is nothing that looks like a TIFF entry with a colour pattern of 6x6. To be asked
 * before LibRaw, which up to 0.20 never stops copying it, over what lies behind (its issue 335);
 * mosaics of 6x6 are not supported anyhow. Errors: -ENOTSUP.
 */
int image_raw_check_patterns(const uint8_t *bytes, size_t size);

/* Where a container says that the first piece of its picture lies; size 0 when it does not say. */
struct image_raw_extent {
    uint32_t offset, size;
};

/*
 * Whether a file can hold a picture of so many pixels, as far as TIFF structures say where that
 * lies. The extent is inside the file. Errors: -EBADMSG when the file ends before.
 */
int image_raw_check_extent(const uint8_t *bytes, size_t size, uint64_t pixels,
                           struct image_raw_extent *ret_extent);

void image_jpeg_destroy(struct image_jpeg *jpeg);
void image_raw_destroy(struct image_raw *raw);

/* TIFF directories (tiff.c). Offsets may point anywhere: reads past the end fail. */
struct image_tiff {
    const uint8_t *bytes;
    size_t size;
    bool big_endian;
};

enum {
    IMAGE_TIFF_SHORT = 3,
    IMAGE_TIFF_LONG = 4,
    IMAGE_TIFF_IFD = 13,
};

/* An entry of one of the types above: `count` values that begin at `at`. */
struct image_tiff_field {
    uint32_t type, count;
    uint64_t at;
};

/* False when the bytes do not begin with a byte order mark. The magic number is 42, or a maker's
 * own. */
bool image_tiff_open(struct image_tiff *tiff, const uint8_t *bytes, size_t size,
                     uint32_t *ret_magic, uint32_t *ret_directory);
bool image_tiff_has(const struct image_tiff *tiff, uint32_t directory, uint32_t tag);
/* False when there is no such tag, or one of another type. */
bool image_tiff_find(const struct image_tiff *tiff, uint32_t directory, uint32_t tag,
                     struct image_tiff_field *ret_field);
bool image_tiff_value(const struct image_tiff *tiff, const struct image_tiff_field *field,
                      uint32_t index, uint32_t *ret_value);
/* The first value of a tag. */
bool image_tiff_number(const struct image_tiff *tiff, uint32_t directory, uint32_t tag,
                       uint32_t *ret_value);
/* The directory that follows, or 0. */
uint32_t image_tiff_next(const struct image_tiff *tiff, uint32_t directory);

/* Orientation in the first directory of an Exif block, or 1 when there is none that makes sense. */
uint8_t image_exif_orientation(const uint8_t *bytes, size_t size);

/*
 * Orientation: bit 2 swaps the axes of the stored picture, then bit 0 mirrors x and bit 1 mirrors y
 * of the upright one.
 */
enum {
    IMAGE_MIRROR_X = 1,
    IMAGE_MIRROR_Y = 2,
    IMAGE_SWAP_AXES = 4,
};
unsigned image_orientation_flags(uint8_t orientation);

/*
 * GEOMETRY (image.h). An axis of the stored picture: `count` samples from `offset` on make
 * `outputs` values. Shrinking weighs in units that keep all weights whole: an inner sample weighs
 * `inner`, the weights of an output sum to `total`. Both are reduced by their common divisor, which
 * changes no result.
 */
struct image_axis {
    uint32_t offset, count, outputs;
    uint32_t inner, total;
    bool mirrored; /* against the upright picture; matters where samples repeat */
};

/* Samples of one output: [begin, end) weigh `inner`; begin - 1 weighs head and end weighs tail,
 * where 0 means that the sample is not part of it. Sample 0 is the axis's offset. */
struct image_span {
    uint32_t begin, end;
    uint32_t head, tail;
};

struct image_geometry {
    struct image_axis rows, columns; /* in the order in which they are stored */
    /* Output value of stored row k, column l lies at origin + k * row_step + l * column_step. */
    ptrdiff_t origin, row_step, column_step;
    /* The part of the output that the picture covers; the rest repeats its border (contain). */
    uint32_t inner_x, inner_y, inner_width, inner_height;
};

/* Size of the upright source rectangle that a fit takes from an upright picture. */
void image_fit_rectangle(uint32_t width, uint32_t height, const struct image_target *target,
                         uint32_t *ret_width, uint32_t *ret_height);

/* Map a stored picture (in pixels; a mosaic's in quads) onto a valid target. */
void image_geometry_init(struct image_geometry *geometry, uint32_t stored_width,
                         uint32_t stored_height, uint8_t orientation,
                         const struct image_target *target);

/* Span of output k, 0 <= k < axis->outputs, in stored order. Begins never go back as k grows. */
struct image_span image_axis_span(const struct image_axis *axis, uint32_t k);

/* How the samples of a source row lie. */
enum image_form {
    IMAGE_FORM_MONO,
    IMAGE_FORM_MOSAIC, /* two source rows make one row of quads */
    IMAGE_FORM_RGB,    /* three samples a pixel */
    IMAGE_FORM_RGBX,   /* four samples a pixel, the last one ignored */
};

/* Linear samples. Rows lie in memory, or are made one at a time. */
struct image_source {
    enum image_form form;
    enum image_cfa cfa; /* of a mosaic */
    uint16_t black, range;
    /* Row y starts at data + y * pitch bytes; bytes, or aligned 16-bit words of the host. */
    const void *data;
    size_t pitch;
    bool wide; /* 16 bit, as converted rows always are */
    /* Used where data is NULL: write n 16-bit samples of row `index`, from sample `first` on. Where
     * the form is not a mosaic, every row is asked for at most once, in order. */
    void (*convert)(void *context, uint32_t index, size_t first, size_t n, uint16_t *out);
    void *context;
};

/* Bytes of column sums that image_scale needs for `count` samples a row, aligned for uint64_t. */
size_t image_sums_bytes(size_t count);

/* Average the source over the geometry into planes (image.h). Errors: -ENOMEM. */
int image_scale(struct image_decoder *decoder, const struct image_geometry *geometry,
                const struct image_source *source, const struct image_target *target,
                uint16_t *planes);

#endif
