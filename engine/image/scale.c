/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The area average that every kind of input ends in. Source rows are added to column sums as they
 * come; at the end of an output row the sums are reduced along the row and divided once. It holds
 * no picture, only two lines of sums.
 *
 * Nothing overflows: weights of an axis sum to at most 65535 and a count is at most 65535, so a
 * column sum fits 32 bits; the decoder allows at most 2^30 pixels, so S * 65535 fits 64 bits even
 * where grey multiplies A by four.
 */
#include "engine/image/image_internal.h"

#include <errno.h>
#include <string.h>

/* A plane's value is made of these column sums: line (of two), first sample, weight. */
struct tap {
    uint8_t line, first, weight;
};

struct recipe {
    struct tap taps[4];
    uint8_t count;
    uint8_t total; /* of the weights */
};

struct scaler {
    const struct image_decoder *decoder;
    const struct image_geometry *geometry;
    const struct image_source *source;
    const struct image_span *spans; /* of the output columns */
    struct recipe recipes[3];
    size_t step;        /* samples between two pixels of a column sum line */
    size_t lines;       /* 2 for a mosaic: even and odd rows have different colours */
    size_t count;       /* samples in a line */
    uint32_t *sums[2];  /* of whole rows */
    uint32_t *edges[2]; /* of weighted boundary rows */
};

/* Step and recipes of each form; a mosaic's four positions are (line, first). */
static void choose_recipes(struct scaler *s, unsigned channels)
{
    static const struct recipe mono = {{{0, 0, 1}}, 1, 1};
    static const struct recipe red = {{{0, 0, 1}}, 1, 1};
    static const struct recipe green = {{{0, 1, 1}}, 1, 1};
    static const struct recipe blue = {{{0, 2, 1}}, 1, 1};
    static const struct recipe luma = {{{0, 0, 1}, {0, 1, 2}, {0, 2, 1}}, 3, 4};
    static const struct recipe quad = {{{0, 0, 1}, {0, 1, 1}, {1, 0, 1}, {1, 1, 1}}, 4, 4};

    s->lines = 1;
    if (s->source->form == IMAGE_FORM_MONO) {
        s->step = 1;
        s->recipes[0] = mono;
    } else if (s->source->form == IMAGE_FORM_MOSAIC) {
        /* The position of red in the quad; blue is opposite, the greens are beside it. */
        uint8_t line = s->source->cfa == IMAGE_CFA_GBRG || s->source->cfa == IMAGE_CFA_BGGR;
        uint8_t first = s->source->cfa == IMAGE_CFA_GRBG || s->source->cfa == IMAGE_CFA_BGGR;
        uint8_t other_line = !line, other_first = !first;
        s->step = 2;
        s->lines = 2;
        s->recipes[0] = quad;
        if (channels == IMAGE_RGB) {
            s->recipes[0] = (struct recipe){{{line, first, 1}}, 1, 1};
            s->recipes[1] = (struct recipe){{{line, other_first, 1}, {other_line, first, 1}}, 2, 2};
            s->recipes[2] = (struct recipe){{{other_line, other_first, 1}}, 1, 1};
        }
    } else {
        s->step = s->source->form == IMAGE_FORM_RGB ? 3 : 4;
        s->recipes[0] = channels == IMAGE_RGB ? red : luma;
        s->recipes[1] = green;
        s->recipes[2] = blue;
    }
}

static void add_srgb(uint32_t *restrict sums, const uint8_t *restrict row, size_t n)
{
    const uint16_t *linear = image_srgb_to_linear();

    for (size_t i = 0; i < n; i++) {
        sums[i] += linear[row[i]];
    }
}

static void add_row(const struct scaler *s, uint32_t *sums, const void *row)
{
    const struct image_source *source = s->source;
    const struct image_ops *ops = &s->decoder->ops;

    switch (source->samples) {
    case IMAGE_SAMPLES_U8:
        ops->accumulate_u8(sums, row, s->count, (uint8_t)source->black, (uint8_t)source->range);
        break;
    case IMAGE_SAMPLES_U16:
        ops->accumulate_u16(sums, row, s->count, source->black, source->range);
        break;
    case IMAGE_SAMPLES_SRGB:
        add_srgb(sums, row, s->count);
        break;
    }
}

static uint32_t count_of(uint32_t sample, uint32_t black, uint32_t range)
{
    uint32_t above = (sample > black ? sample : black) - black;

    return above < range ? above : range;
}

static void add_weighted_row(const struct scaler *s, uint32_t *restrict sums, const void *row,
                             uint32_t weight)
{
    const uint8_t *restrict bytes = row;
    const uint16_t *restrict words = row;
    const uint16_t *linear = image_srgb_to_linear();
    uint32_t black = s->source->black, range = s->source->range;

    switch (s->source->samples) {
    case IMAGE_SAMPLES_U8:
        for (size_t i = 0; i < s->count; i++) {
            sums[i] += weight * count_of(bytes[i], black, range);
        }
        break;
    case IMAGE_SAMPLES_U16:
        for (size_t i = 0; i < s->count; i++) {
            sums[i] += weight * count_of(words[i], black, range);
        }
        break;
    case IMAGE_SAMPLES_SRGB:
        for (size_t i = 0; i < s->count; i++) {
            sums[i] += weight * linear[bytes[i]];
        }
        break;
    }
}

/* Add pixel row `index` of the rectangle: whole when weight is 0, else weighted into the edges. */
static int gather_row(const struct scaler *s, uint32_t index, uint32_t weight)
{
    const struct image_source *source = s->source;
    size_t lines = s->lines;
    uint32_t first_row = (s->geometry->rows.offset + index) * (uint32_t)lines;
    size_t first = (size_t)s->geometry->columns.offset * s->step;

    for (uint32_t line = 0; line < lines; line++) {
        const void *row;
        int r = source->row(source->context, first_row + line, first, s->count, &row);
        if (r < 0) {
            return r;
        }
        if (weight == 0) {
            add_row(s, s->sums[line], row);
        } else {
            add_weighted_row(s, s->edges[line], row, weight);
        }
    }
    return 0;
}

/* Column sums of one output row, weights included, end up in s->sums. */
static int gather_output_row(const struct scaler *s, const struct image_span *span)
{
    const struct image_axis *rows = &s->geometry->rows;
    int r = 0;

    memset(s->sums[0], 0, 2 * s->lines * s->count * sizeof(uint32_t));
    if (span->head > 0) {
        r = gather_row(s, span->begin - 1, span->head);
    }
    for (uint32_t index = span->begin; r == 0 && index < span->end; index++) {
        r = gather_row(s, index, 0);
    }
    if (r == 0 && span->tail > 0) {
        r = gather_row(s, span->end, span->tail);
    }
    if (r < 0 || rows->inner == 1) {
        return r; /* with whole samples only there are no edges */
    }
    for (size_t line = 0; line < s->lines; line++) {
        uint32_t *restrict sums = s->sums[line];
        const uint32_t *restrict edges = s->edges[line];
        for (size_t i = 0; i < s->count; i++) {
            sums[i] = sums[i] * rows->inner + edges[i];
        }
    }
    return 0;
}

static uint64_t sum_span(const uint32_t *sums, size_t step, const struct image_span *span,
                         uint32_t inner)
{
    uint64_t sum = 0;

    for (size_t i = span->begin; i < span->end; i++) {
        sum += sums[i * step];
    }
    sum *= inner;
    if (span->head > 0) {
        sum += (uint64_t)span->head * sums[(span->begin - 1) * step];
    }
    if (span->tail > 0) {
        sum += (uint64_t)span->tail * sums[span->end * step];
    }
    return sum;
}

/* Reduce the column sums to one output row of one plane. */
static void write_row(const struct scaler *s, const struct recipe *recipe, uint16_t *out)
{
    const struct image_geometry *g = s->geometry;
    uint64_t full = (uint64_t)g->rows.total * g->columns.total * recipe->total * s->source->range;

    for (uint32_t column = 0; column < g->columns.outputs; column++) {
        const struct image_span *span = &s->spans[column];
        uint64_t sum = 0;
        for (unsigned i = 0; i < recipe->count; i++) {
            const struct tap *tap = &recipe->taps[i];
            sum += tap->weight *
                   sum_span(s->sums[tap->line] + tap->first, s->step, span, g->columns.inner);
        }
        out[column * g->column_step] = (uint16_t)((sum * 65535 + full / 2) / full);
    }
}

/* Contain: repeat the picture's border over the rest of the plane. */
static void fill_border(const struct image_geometry *g, const struct image_target *target,
                        uint16_t *plane)
{
    size_t width = target->width;
    size_t left = g->inner_x, right = left + g->inner_width;
    size_t top = g->inner_y, bottom = top + g->inner_height;

    for (size_t y = top; y < bottom; y++) {
        uint16_t *row = plane + y * width;
        for (size_t x = 0; x < left; x++) {
            row[x] = row[left];
        }
        for (size_t x = right; x < width; x++) {
            row[x] = row[right - 1];
        }
    }
    for (size_t y = 0; y < top; y++) {
        memcpy(plane + y * width, plane + top * width, width * sizeof(*plane));
    }
    for (size_t y = bottom; y < target->height; y++) {
        memcpy(plane + y * width, plane + (bottom - 1) * width, width * sizeof(*plane));
    }
}

static int prepare(struct scaler *s, struct image_decoder *decoder)
{
    const struct image_axis *columns = &s->geometry->columns;
    int r = image_scratch_reserve(&decoder->sums, 2 * s->lines * s->count * sizeof(uint32_t));

    if (r == 0) {
        r = image_scratch_reserve(&decoder->spans, columns->outputs * sizeof(*s->spans));
    }
    if (r < 0) {
        return r;
    }
    uint32_t *sums = decoder->sums.data;
    for (size_t line = 0; line < s->lines; line++) {
        s->sums[line] = sums + line * s->count;
        s->edges[line] = sums + (s->lines + line) * s->count;
    }
    struct image_span *spans = decoder->spans.data;
    for (uint32_t k = 0; k < columns->outputs; k++) {
        spans[k] = image_axis_span(columns, k);
    }
    s->spans = spans;
    return 0;
}

int image_scale(struct image_decoder *decoder, const struct image_geometry *geometry,
                const struct image_source *source, const struct image_target *target,
                uint16_t *planes)
{
    struct scaler s = {.decoder = decoder, .geometry = geometry, .source = source};
    size_t plane_size = (size_t)target->width * target->height;
    /* A source without colour gives three equal planes. */
    unsigned made = source->form == IMAGE_FORM_MONO ? 1 : target->channels;

    choose_recipes(&s, target->channels);
    s.count = geometry->columns.count * s.step;
    int r = prepare(&s, decoder);
    for (uint32_t k = 0; r == 0 && k < geometry->rows.outputs; k++) {
        struct image_span span = image_axis_span(&geometry->rows, k);
        r = gather_output_row(&s, &span);
        for (unsigned p = 0; r == 0 && p < made; p++) {
            write_row(&s, &s.recipes[p],
                      planes + p * plane_size + geometry->origin +
                          (ptrdiff_t)k * geometry->row_step);
        }
    }
    if (r < 0) {
        return r;
    }
    for (unsigned p = 0; p < target->channels; p++) {
        if (p < made) {
            fill_border(geometry, target, planes + p * plane_size);
        } else {
            memcpy(planes + p * plane_size, planes, plane_size * sizeof(*planes));
        }
    }
    return 0;
}
