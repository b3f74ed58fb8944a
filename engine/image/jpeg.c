/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * JPEG by libjpeg-turbo: rows are averaged as they are decoded, and no full picture is kept here.
 * It prints nothing: messages of the library become warnings and error codes.
 */
#include "engine/image/image_internal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#define MARKER_SOS 0xda

/* Where a row starts in its buffer. Rows on a multiple of 16 or 32 bytes libjpeg-turbo writes past
 * the caches, from where they are about to be read: that costs more than the decoding. */
#define ODD 8

struct image_jpeg {
    struct jpeg_decompress_struct cinfo;
    struct jpeg_error_mgr error;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    int result;         /* what a jump returns */
    uint32_t warnings;  /* of this image */
    uint32_t max_scans; /* of this image */
    uint32_t next_row;  /* the row that libjpeg gives next */
    uint8_t *row;
};

static int error_of_message(int code)
{
    switch (code) {
    case JERR_OUT_OF_MEMORY:
        return -ENOMEM;
    case JERR_NO_BACKING_STORE: /* over max_memory_to_use */
    case JERR_IMAGE_TOO_BIG:
    case JERR_WIDTH_OVERFLOW:
        return -EFBIG;
    case JERR_ARITH_NOTIMPL:
    case JERR_BAD_PRECISION:
    case JERR_CCIR601_NOTIMPL:
    case JERR_COMPONENT_COUNT:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_NOTIMPL:
    case JERR_NOT_COMPILED:
    case JERR_SOF_UNSUPPORTED:
        return -ENOTSUP;
    default:
        return -EBADMSG;
    }
}

static _Noreturn void fail(struct image_jpeg *jpeg, int result)
{
    jpeg->result = result;
    longjmp(jpeg->jump, 1);
}

static _Noreturn void on_error(j_common_ptr cinfo)
{
    fail(cinfo->client_data, error_of_message(cinfo->err->msg_code));
}

static void on_message(j_common_ptr cinfo, int level)
{
    struct image_jpeg *jpeg = cinfo->client_data;
    int code = cinfo->err->msg_code;

    if (level >= 0 || code == JWRN_JFIF_MAJOR) {
        return; /* a trace, or a version number that changes nothing */
    }
    if (code == JWRN_JPEG_EOF) {
        jpeg->warnings |= IMAGE_WARN_TRUNCATED;
    } else if (code != JWRN_HIT_MARKER || !(jpeg->warnings & IMAGE_WARN_TRUNCATED)) {
        jpeg->warnings |= IMAGE_WARN_DAMAGED;
    }
}

static void on_output(j_common_ptr cinfo)
{
    (void)cinfo;
}

/* The scans were counted before, but the bytes may have changed since. */
static void on_progress(j_common_ptr cinfo)
{
    struct image_jpeg *jpeg = cinfo->client_data;

    if ((uint32_t)jpeg->cinfo.input_scan_number > jpeg->max_scans) {
        fail(jpeg, -EFBIG);
    }
}

static void source_init(j_decompress_ptr cinfo)
{
    (void)cinfo;
}

/* The bytes are used up: go on with an end-of-image marker, as libjpeg's own sources do. */
static boolean source_fill(j_decompress_ptr cinfo)
{
    static const JOCTET end[2] = {0xff, JPEG_EOI};

    WARNMS(cinfo, JWRN_JPEG_EOF);
    cinfo->src->next_input_byte = end;
    cinfo->src->bytes_in_buffer = sizeof(end);
    return TRUE;
}

static void source_skip(j_decompress_ptr cinfo, long count)
{
    struct jpeg_source_mgr *source = cinfo->src;

    if (count <= 0) {
        return;
    }
    if ((size_t)count > source->bytes_in_buffer) {
        (void)source_fill(cinfo);
        return;
    }
    source->next_input_byte += count;
    source->bytes_in_buffer -= (size_t)count;
}

static int create_library_object(struct image_jpeg *jpeg)
{
    jpeg->cinfo.err = jpeg_std_error(&jpeg->error);
    jpeg->error.error_exit = on_error;
    jpeg->error.emit_message = on_message;
    jpeg->error.output_message = on_output;
    jpeg->cinfo.client_data = jpeg;
    if (setjmp(jpeg->jump) != 0) {
        return -ENOMEM;
    }
    jpeg_create_decompress(&jpeg->cinfo);
    return 0;
}

static struct image_jpeg *jpeg_create(const struct image_limits *limits)
{
    struct image_jpeg *jpeg = calloc(1, sizeof(*jpeg));

    if (jpeg == NULL || create_library_object(jpeg) < 0) {
        image_jpeg_destroy(jpeg);
        return NULL;
    }
    jpeg->source = (struct jpeg_source_mgr){
        .init_source = source_init,
        .fill_input_buffer = source_fill,
        .skip_input_data = source_skip,
        .resync_to_restart = jpeg_resync_to_restart,
        .term_source = source_init,
    };
    jpeg->progress.progress_monitor = on_progress;
    jpeg->cinfo.src = &jpeg->source;
    jpeg->cinfo.progress = &jpeg->progress;
    jpeg->cinfo.mem->max_memory_to_use = (long)limits->max_raw_mib << 20;
    return jpeg;
}

void image_jpeg_destroy(struct image_jpeg *jpeg)
{
    if (jpeg != NULL) {
        jpeg_destroy_decompress(&jpeg->cinfo);
        free(jpeg);
    }
}

/*
 * The segment that starts at *at, which is moved past it. Returns the marker code and its payload,
 * or 0 where no segment with a length starts; then *at is only moved past fill bytes.
 */
static uint8_t next_segment(const uint8_t **at, const uint8_t *end, const uint8_t **ret_payload,
                            size_t *ret_size)
{
    const uint8_t *p = *at;

    while (end - p >= 4 && p[0] == 0xff && p[1] == 0xff) {
        p++; /* fill bytes */
    }
    *at = p;
    if (end - p < 4 || p[0] != 0xff) {
        return 0;
    }
    uint8_t code = p[1];
    size_t length = (size_t)p[2] << 8 | p[3];
    if (code < 0xc0 || (code >= 0xd0 && code <= JPEG_EOI) || length < 2 ||
        length > (size_t)(end - p) - 2) {
        return 0;
    }
    *ret_payload = p + 4;
    *ret_size = length - 2;
    *at = p + 2 + length;
    return code;
}

static uint8_t find_orientation(const uint8_t *bytes, size_t size)
{
    static const uint8_t exif[6] = {'E', 'x', 'i', 'f', 0, 0};
    const uint8_t *at = bytes + 2, *payload;
    size_t length;
    uint8_t code;

    while ((code = next_segment(&at, bytes + size, &payload, &length)) != 0 && code != MARKER_SOS) {
        if (code == JPEG_APP0 + 1 && length >= sizeof(exif) &&
            memcmp(payload, exif, sizeof(exif)) == 0) {
            return image_exif_orientation(payload + sizeof(exif), length - sizeof(exif));
        }
    }
    return 1;
}

/* Whether more than `limit` scans start in the rest of a file whose first scan begins at `at`. */
static bool scans_exceed(const uint8_t *at, const uint8_t *end, uint32_t limit)
{
    uint32_t scans = 0;

    while ((at = memchr(at, 0xff, (size_t)(end - at))) != NULL) {
        const uint8_t *payload;
        size_t length;
        uint8_t code = next_segment(&at, end, &payload, &length);
        if (code == 0) {
            if (end - at >= 2 && at[1] == JPEG_EOI) {
                return false;
            }
            at++; /* a stuffed byte or a restart marker of the entropy-coded data */
        } else if (code == MARKER_SOS && ++scans > limit) {
            return true;
        }
    }
    return false;
}

/* Scans that this image may have. */
static uint32_t scan_limit(const struct image_limits *limits, uint64_t pixels)
{
    uint64_t by_time = limits->max_scan_pixels / pixels;

    return by_time < limits->max_scans ? (uint32_t)by_time : limits->max_scans;
}

/* Everything that is known before the first coefficient, held against the limits. */
static int read_header(struct image_decoder *decoder, const struct image_job *job,
                       struct image_info *info)
{
    struct image_jpeg *jpeg = decoder->jpeg;
    struct jpeg_decompress_struct *cinfo = &jpeg->cinfo;

    jpeg->source.next_input_byte = job->bytes;
    jpeg->source.bytes_in_buffer = job->size;
    jpeg->warnings = 0;
    jpeg->next_row = 0;
    (void)jpeg_read_header(cinfo, TRUE);
    int r = image_check_size(decoder, cinfo->image_width, cinfo->image_height);
    if (r < 0) {
        return r;
    }
    if (cinfo->jpeg_color_space != JCS_GRAYSCALE && cinfo->jpeg_color_space != JCS_YCbCr &&
        cinfo->jpeg_color_space != JCS_RGB) {
        return -ENOTSUP;
    }
    const uint8_t *scan = jpeg->source.next_input_byte;
    size_t left = jpeg->source.bytes_in_buffer;
    if (left < 2 || (scan[0] == 0xff && scan[1] == JPEG_EOI)) {
        return -EBADMSG; /* a header without a picture */
    }
    jpeg->max_scans =
        scan_limit(&decoder->limits, (uint64_t)cinfo->image_width * cinfo->image_height);
    if (jpeg->max_scans < 1 ||
        (jpeg_has_multiple_scans(cinfo) && scans_exceed(scan, scan + left, jpeg->max_scans - 1))) {
        return -EFBIG;
    }
    image_info_init(info, IMAGE_KIND_JPEG, find_orientation(job->bytes, job->size),
                    cinfo->image_width, cinfo->image_height);
    info->mono = cinfo->jpeg_color_space == JCS_GRAYSCALE;
    return 0;
}

/* The largest reduction that leaves the source rectangle at least twice the model's size. */
static uint8_t choose_reduction(const struct image_info *info, const struct image_target *target)
{
    uint32_t width, height;
    uint8_t reduction = 8;

    image_fit_rectangle(info->width, info->height, target, &width, &height);
    while (reduction > 1 &&
           (width / reduction < 2 * target->width || height / reduction < 2 * target->height)) {
        reduction /= 2;
    }
    return reduction;
}

/* Decode up to row `index`, and take its bytes through the table. */
static void convert_row(void *context, uint32_t index, size_t first, size_t n, uint16_t *out)
{
    struct image_jpeg *jpeg = context;
    const uint16_t *linear = image_srgb_to_linear();
    JSAMPROW row = jpeg->row;

    for (; jpeg->next_row <= index; jpeg->next_row++) {
        (void)jpeg_read_scanlines(&jpeg->cinfo, &row, 1);
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = linear[row[first + i]];
    }
}

static int read_picture(struct image_decoder *decoder, const struct image_job *job,
                        struct image_info *info)
{
    struct image_jpeg *jpeg = decoder->jpeg;
    struct jpeg_decompress_struct *cinfo = &jpeg->cinfo;
    bool colour = job->target->channels == IMAGE_RGB && cinfo->jpeg_color_space != JCS_GRAYSCALE;

    info->reduction = choose_reduction(info, job->target);
    cinfo->scale_num = 1;
    cinfo->scale_denom = info->reduction;
    cinfo->dct_method = JDCT_ISLOW;
    cinfo->out_color_space = colour ? JCS_RGB : JCS_GRAYSCALE;
    jpeg_calc_output_dimensions(cinfo);
    int r =
        image_scratch_reserve(&decoder->line, ODD + (size_t)cinfo->output_width * (colour ? 3 : 1));
    if (r < 0) {
        return r;
    }
    jpeg->row = (uint8_t *)decoder->line.data + ODD;

    struct image_source source = {
        .form = colour ? IMAGE_FORM_RGB : IMAGE_FORM_MONO,
        .range = 65535,
        .wide = true,
        .convert = convert_row,
        .context = jpeg,
    };
    struct image_geometry geometry;
    image_geometry_init(&geometry, cinfo->output_width, cinfo->output_height, info->orientation,
                        job->target);
    (void)jpeg_start_decompress(cinfo);
    r = image_scale(decoder, &geometry, &source, job->target, job->planes);
    info->warnings |= jpeg->warnings;
    return r;
}

static int read_and_drop(struct image_decoder *decoder)
{
    struct jpeg_decompress_struct *cinfo = &decoder->jpeg->cinfo;

    jpeg_calc_output_dimensions(cinfo);
    int r = image_scratch_reserve(&decoder->line,
                                  (size_t)cinfo->output_width * (size_t)cinfo->output_components);
    if (r < 0) {
        return r;
    }
    JSAMPROW row = decoder->line.data;
    (void)jpeg_start_decompress(cinfo);
    while (cinfo->output_scanline < cinfo->output_height) {
        (void)jpeg_read_scanlines(cinfo, &row, 1);
    }
    return decoder->jpeg->warnings == 0 ? 0 : -EBADMSG;
}

/* Where the library's errors come back to. */
static int decode(struct image_decoder *decoder, const struct image_job *job,
                  struct image_info *info, bool check)
{
    if (setjmp(decoder->jpeg->jump) != 0) {
        return decoder->jpeg->result;
    }
    int r = read_header(decoder, job, info);
    if (r == 0 && check) {
        r = read_and_drop(decoder);
    } else if (r == 0 && job->target != NULL) {
        r = read_picture(decoder, job, info);
    }
    return r;
}

static int decode_with_library(struct image_decoder *decoder, const struct image_job *job,
                               struct image_info *info, bool check)
{
    if (decoder->jpeg == NULL) {
        decoder->jpeg = jpeg_create(&decoder->limits);
        if (decoder->jpeg == NULL) {
            return -ENOMEM;
        }
    }
    int r = decode(decoder, job, info, check);
    jpeg_abort_decompress(&decoder->jpeg->cinfo);
    return r;
}

int image_decode_jpeg(struct image_decoder *decoder, const struct image_job *job,
                      struct image_info *info)
{
    return decode_with_library(decoder, job, info, false);
}

int image_jpeg_check(struct image_decoder *decoder, const uint8_t *bytes, size_t size)
{
    struct image_job job = {.bytes = bytes, .size = size};
    struct image_info info;

    return decode_with_library(decoder, &job, &info, true);
}
