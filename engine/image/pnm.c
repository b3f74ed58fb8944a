/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Binary PGM and PPM (netpbm formats P5 and P6), one or two bytes a sample, most significant first.
 * The first picture of a file is read. Samples are taken as linear: 0 is black, maxval is white.
 */
#include "engine/image/image_internal.h"

#include <errno.h>
#include <string.h>

struct pnm {
    const uint8_t *samples; /* of the whole picture */
    uint32_t width, height, maxval;
    uint32_t channels; /* 1 or 3 */
};

struct cursor {
    const uint8_t *at, *end;
};

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next number of a header, after white space and comments. Errors: -EBADMSG. */
static int read_number(struct cursor *cursor, uint32_t *ret_number)
{
    bool comment = false;
    uint32_t number = 0;
    bool digits = false;

    for (; cursor->at < cursor->end; cursor->at++) {
        uint8_t c = *cursor->at;
        if (comment) {
            comment = c != '\n' && c != '\r';
        } else if (c >= '0' && c <= '9') {
            number = number < 400000000 ? number * 10 + (c - '0') : UINT32_MAX;
            digits = true;
        } else if (digits) {
            break;
        } else if (c == '#') {
            comment = true;
        } else if (!is_space(c)) {
            return -EBADMSG;
        }
    }
    if (!digits || cursor->at == cursor->end) {
        return -EBADMSG;
    }
    *ret_number = number;
    return 0;
}

static int read_header(const struct image_job *job, struct pnm *pnm)
{
    struct cursor cursor = {job->bytes, job->bytes + job->size};

    if (job->size < 3 || job->bytes[0] != 'P') {
        return -EBADMSG;
    }
    uint8_t type = job->bytes[1];
    if (type != '5' && type != '6') {
        return -ENOTSUP;
    }
    cursor.at += 2;
    int r = read_number(&cursor, &pnm->width);
    if (r == 0) {
        r = read_number(&cursor, &pnm->height);
    }
    if (r == 0) {
        r = read_number(&cursor, &pnm->maxval);
    }
    if (r < 0) {
        return r;
    }
    /* Exactly one white-space byte follows maxval. */
    if (pnm->maxval < 1 || pnm->maxval > 65535 || !is_space(*cursor.at)) {
        return -EBADMSG;
    }
    pnm->channels = type == '6' ? 3 : 1;
    pnm->samples = cursor.at + 1;
    return 0;
}

/* Two-byte samples are turned around. */
static void convert_row(void *context, uint32_t index, size_t first, size_t n, uint16_t *out)
{
    const struct pnm *pnm = context;
    const uint8_t *bytes = pnm->samples + 2 * ((size_t)index * pnm->width * pnm->channels + first);

    for (size_t i = 0; i < n; i++) {
        out[i] = (uint16_t)(bytes[2 * i] << 8 | bytes[2 * i + 1]);
    }
}

int image_decode_pnm(struct image_decoder *decoder, const struct image_job *job,
                     struct image_info *info)
{
    struct pnm pnm;

    int r = read_header(job, &pnm);
    if (r == 0) {
        r = image_check_size(decoder, pnm.width, pnm.height);
    }
    if (r < 0) {
        return r;
    }
    /* At most 2^30 pixels of 6 bytes. */
    uint64_t row_samples = (uint64_t)pnm.width * pnm.channels;
    uint64_t bytes = row_samples * pnm.height * (pnm.maxval < 256 ? 1 : 2);
    if (bytes > (size_t)(job->bytes + job->size - pnm.samples)) {
        return -EBADMSG;
    }
    if (job->target != NULL) {
        struct image_geometry geometry;
        struct image_source source = {
            .form = pnm.channels == 3 ? IMAGE_FORM_RGB : IMAGE_FORM_MONO,
            .range = (uint16_t)pnm.maxval,
            .data = pnm.maxval < 256 ? pnm.samples : NULL,
            .pitch = (size_t)row_samples,
            .wide = pnm.maxval > 255,
            .convert = convert_row,
            .context = &pnm,
        };
        image_geometry_init(&geometry, pnm.width, pnm.height, 1, job->target);
        r = image_scale(decoder, &geometry, &source, job->target, job->planes);
        if (r < 0) {
            return r;
        }
    }
    image_info_init(info, IMAGE_KIND_PNM, 1, pnm.width, pnm.height);
    info->mono = pnm.channels == 1;
    return 0;
}
