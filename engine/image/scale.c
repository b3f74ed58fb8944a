/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The area average of linear samples. Source rows are added to column sums, many at a time; at the
 * end of an output row the sums are reduced along the row and divided once. It holds no picture,
 * only lines of sums.
 *
 * Nothing overflows: weights of an axis sum to at most 65535 and a count is at most 65535, so a
 * column sum fits 32 bits; the decoder allows at most 2^30 pixels, so S * 65535 fits 64 bits even
 * where grey multiplies A by four.
 */
#include "engine/image/image_internal.h"

#include <string.h>

#define BLOCK_ROWS 8u
#define FEW_ROWS   2u

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
    unsigned planes;    /* that are made */
    size_t step;        /* samples between two pixels of a column sum line */
    uint32_t lines;     /* 2 for a mosaic: even and odd rows have different colours */
    size_t count;       /* samples in a line */
    uint32_t *sums[2];  /* of whole rows */
    uint32_t *edges[2]; /* of weighted boundary rows */
    uint64_t *prefix;   /* of one line: sums of the values before each; NULL where none is wanted */
    uint16_t *block;    /* the rows made last: */
    uint32_t made, made_count;
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
    /* A source without colour gives three equal planes: one is made. */
    s->planes = s->source->form == IMAGE_FORM_MONO ? 1 : channels;
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

/* Rows of the source from `index` on, cropped to the geometry's columns: where they start, how far
 * they are apart, and how many of the `count` wanted are there. Rows that must be made are made in
 * small blocks, which stay in the cache; the last block is kept, since an output row ends in the
 * row that the next one begins with. */
static uint32_t fetch_rows(struct scaler *s, uint32_t index, uint32_t count,
                           const uint8_t **ret_rows, size_t *ret_pitch)
{
    const struct image_source *source = s->source;
    size_t first = (size_t)s->geometry->columns.offset * s->step;

    if (source->data != NULL) {
        *ret_pitch = source->pitch;
        *ret_rows = (const uint8_t *)source->data + index * source->pitch +
                    first * (source->wide ? sizeof(uint16_t) : 1);
        return count;
    }
    if (count > BLOCK_ROWS) {
        count = BLOCK_ROWS;
    }
    if (index != s->made || count != s->made_count) {
        for (uint32_t i = 0; i < count; i++) {
            source->convert(source->context, index + i, first, s->count, s->block + i * s->count);
        }
        s->made = index;
        s->made_count = count;
    }
    *ret_pitch = s->count * sizeof(uint16_t);
    *ret_rows = (const uint8_t *)s->block;
    return count;
}

/* Add whole pixel rows [begin, end) of the rectangle to the sums. */
static void add_rows(struct scaler *s, uint32_t begin, uint32_t end)
{
    const struct image_source *source = s->source;
    const struct image_ops *ops = &s->decoder->ops;
    uint32_t lines = s->lines, offset = s->geometry->rows.offset;
    uint32_t index = (offset + begin) * lines, last = (offset + end) * lines;

    while (index < last) {
        const uint8_t *rows;
        size_t pitch;
        uint32_t count = fetch_rows(s, index, last - index, &rows, &pitch);
        for (uint32_t line = 0; line < lines; line++) {
            const void *row = rows + line * pitch;
            if (source->wide) {
                ops->accumulate_u16(s->sums[line], row, pitch * lines, count / lines, s->count,
                                    source->black, source->range);
            } else {
                ops->accumulate_u8(s->sums[line], row, pitch * lines, count / lines, s->count,
                                   (uint8_t)source->black, (uint8_t)source->range);
            }
        }
        index += count;
    }
}

static uint16_t count_of(uint16_t sample, uint16_t black, uint16_t range)
{
    uint16_t above = (uint16_t)((sample > black ? sample : black) - black);

    return above < range ? above : range;
}

/* Add pixel row `index` of the rectangle to the sums or edges with a weight (of at most the
 * output's height). */
static void add_weighted(struct scaler *s, uint32_t index, uint16_t weight, uint32_t *const *to)
{
    const struct image_source *source = s->source;
    uint16_t black = source->black, range = source->range;
    const uint8_t *rows;
    size_t pitch;

    (void)fetch_rows(s, (s->geometry->rows.offset + index) * s->lines, s->lines, &rows, &pitch);
    for (uint32_t line = 0; line < s->lines; line++) {
        uint32_t *restrict sums = to[line];
        const uint8_t *restrict bytes = rows + line * pitch;
        const uint16_t *restrict words = (const void *)(rows + line * pitch);
        if (source->wide && range == UINT16_MAX) { /* nothing to be cut off */
            for (size_t i = 0; i < s->count; i++) {
                sums[i] += (uint32_t)weight * words[i];
            }
        } else if (source->wide) {
            for (size_t i = 0; i < s->count; i++) {
                sums[i] += (uint32_t)weight * count_of(words[i], black, range);
            }
        } else {
            for (size_t i = 0; i < s->count; i++) {
                sums[i] += (uint32_t)weight * count_of(bytes[i], black, range);
            }
        }
    }
}

/* Column sums of one output row, weights included, end up in s->sums. Many whole rows are added
 * first and weighted once. */
static void gather_output_row(struct scaler *s, const struct image_span *span)
{
    uint32_t inner = s->geometry->rows.inner;
    bool few = inner != 1 && span->end - span->begin <= FEW_ROWS;
    uint32_t *const *edges = inner == 1 || few ? s->sums : s->edges;
    size_t used = (edges == s->sums ? 1 : 2) * s->lines * s->count;

    memset(s->sums[0], 0, used * sizeof(uint32_t));
    if (span->head > 0) {
        add_weighted(s, span->begin - 1, (uint16_t)span->head, edges);
    }
    if (few) {
        for (uint32_t y = span->begin; y < span->end; y++) {
            add_weighted(s, y, (uint16_t)inner, s->sums);
        }
    } else {
        add_rows(s, span->begin, span->end);
    }
    if (span->tail > 0) {
        add_weighted(s, span->end, (uint16_t)span->tail, edges);
    }
    for (size_t line = 0; edges != s->sums && line < s->lines; line++) {
        uint32_t *restrict sums = s->sums[line];
        const uint32_t *restrict more = s->edges[line];
        for (size_t i = 0; i < s->count; i++) {
            sums[i] = sums[i] * inner + more[i];
        }
    }
}

/*
 * Sums of a line over a span, one for each of the `step` samples of a pixel. The sums of `chunk`
 * pixels fit 32 bits.
 */
static inline __attribute__((always_inline)) void
sum_span(const uint32_t *restrict sums, size_t step, const struct image_span *span, uint32_t inner,
         size_t chunk, uint64_t *restrict ret_sums)
{
    for (size_t p = 0; p < step; p++) {
        ret_sums[p] = 0;
    }
    for (size_t i = span->begin; i < span->end;) {
        size_t end = span->end - i > chunk ? i + chunk : span->end;
        uint32_t part[4] = {0};
        for (; i < end; i++) {
            for (size_t p = 0; p < step; p++) {
                part[p] += sums[i * step + p];
            }
        }
        for (size_t p = 0; p < step; p++) {
            ret_sums[p] += part[p];
        }
    }
    const uint32_t *head = sums + ((size_t)span->begin - (span->head > 0)) * step;
    const uint32_t *tail = sums + ((size_t)span->end - (span->tail == 0)) * step;
    for (size_t p = 0; p < step; p++) {
        ret_sums[p] =
            ret_sums[p] * inner + (uint64_t)span->head * head[p] + (uint64_t)span->tail * tail[p];
    }
}

/* The same for both lines, with a step that the compiler knows. */
static void sum_pixel(const struct scaler *s, const struct image_span *span, size_t chunk,
                      uint64_t (*ret_sums)[4])
{
    uint32_t inner = s->geometry->columns.inner;

    switch (s->step) {
    case 1:
        sum_span(s->sums[0], 1, span, inner, chunk, ret_sums[0]);
        break;
    case 2:
        sum_span(s->sums[0], 2, span, inner, chunk, ret_sums[0]);
        sum_span(s->sums[1], 2, span, inner, chunk, ret_sums[1]);
        break;
    case 3:
        sum_span(s->sums[0], 3, span, inner, chunk, ret_sums[0]);
        break;
    default:
        sum_span(s->sums[0], 4, span, inner, chunk, ret_sums[0]);
        break;
    }
}

/* Reduce the column sums to one output row of every plane. */
static void write_row(const struct scaler *s, size_t plane_size, uint16_t *out)
{
    const struct image_geometry *g = s->geometry;
    uint64_t highest = (uint64_t)g->rows.total * s->source->range; /* of a column sum */
    size_t chunk = (size_t)(UINT32_MAX / highest);
    uint64_t full[3], sums[2][4];

    for (unsigned p = 0; p < s->planes; p++) {
        full[p] = highest * g->columns.total * s->recipes[p].total;
    }
    for (uint32_t column = 0; column < g->columns.outputs; column++) {
        sum_pixel(s, &s->spans[column], chunk, sums);
        for (unsigned p = 0; p < s->planes; p++) {
            const struct recipe *recipe = &s->recipes[p];
            uint64_t sum = 0;
            for (unsigned i = 0; i < recipe->count; i++) {
                const struct tap *tap = &recipe->taps[i];
                sum += tap->weight * sums[tap->line][tap->first];
            }
            out[p * plane_size + column * g->column_step] =
                (uint16_t)((sum * 65535 + full[p] / 2) / full[p]);
        }
    }
}

/*
 * The same for a line of one sample a pixel with range 65535, without branches. There
 * (S * 65535 + A * 65535 / 2) / (A * 65535) is (S + A / 2) / A in whole numbers, since S / A + 1/2
 * is no closer to the next integer than 1 / 2A. It is taken as (S + A / 2 + 1/2) * (1 / A) in
 * double, where the exact value is at least 1 / 2A >= 2^-31 from any integer and the error below
 * 2^-35.
 */
static void write_mono_row(const struct scaler *s, uint16_t *out)
{
    const struct image_axis *columns = &s->geometry->columns;
    const uint64_t area = (uint64_t)s->geometry->rows.total * columns->total;
    const double half = (double)(area / 2) + 0.5, share = 1.0 / (double)area;
    const uint32_t *restrict sums = s->sums[0];
    uint64_t *restrict prefix = s->prefix;
    uint64_t sum = 0;

    for (size_t i = 0; i < s->count; i++) {
        prefix[i] = sum;
        sum += sums[i];
    }
    prefix[s->count] = sum;
    for (uint32_t k = 0; k < columns->outputs; k++) {
        const struct image_span span = s->spans[k];
        const uint64_t inner = (prefix[span.end] - prefix[span.begin]) * columns->inner;
        const uint64_t ends = (uint64_t)span.head * sums[span.begin - (span.head > 0)] +
                              (uint64_t)span.tail * sums[span.end - (span.tail == 0)];

        out[k * s->geometry->column_step] =
            (uint16_t)(((double)(int64_t)(inner + ends) + half) * share);
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
    int r = image_scratch_reserve(&decoder->sums, image_sums_bytes(s->lines * s->count));

    if (r == 0) {
        r = image_scratch_reserve(&decoder->spans, columns->outputs * sizeof(*s->spans));
    }
    if (r == 0 && s->source->data == NULL) {
        r = image_scratch_reserve(&decoder->block, BLOCK_ROWS * s->count * sizeof(uint16_t));
    }
    if (r < 0) {
        return r;
    }
    s->block = decoder->block.data;
    uint32_t *sums = decoder->sums.data;
    for (size_t line = 0; line < s->lines; line++) {
        s->sums[line] = sums + line * s->count;
        s->edges[line] = sums + (s->lines + line) * s->count;
    }
    if (s->source->form == IMAGE_FORM_MONO && s->source->range == UINT16_MAX) {
        s->prefix = (uint64_t *)(void *)(sums + 2 * s->count);
    }
    struct image_span *spans = decoder->spans.data;
    for (uint32_t k = 0; k < columns->outputs; k++) {
        spans[k] = image_axis_span(columns, k);
    }
    s->spans = spans;
    return 0;
}

size_t image_sums_bytes(size_t count)
{
    return 2 * count * sizeof(uint32_t) + (count + 1) * sizeof(uint64_t);
}

int image_scale(struct image_decoder *decoder, const struct image_geometry *geometry,
                const struct image_source *source, const struct image_target *target,
                uint16_t *planes)
{
    struct scaler s = {
        .decoder = decoder, .geometry = geometry, .source = source, .made = UINT32_MAX};
    size_t plane_size = (size_t)target->width * target->height;

    choose_recipes(&s, target->channels);
    s.count = geometry->columns.count * s.step;
    int r = prepare(&s, decoder);
    if (r < 0) {
        return r;
    }
    for (uint32_t k = 0; k < geometry->rows.outputs; k++) {
        struct image_span span = image_axis_span(&geometry->rows, k);
        gather_output_row(&s, &span);
        uint16_t *out = planes + geometry->origin + (ptrdiff_t)k * geometry->row_step;
        if (s.prefix != NULL) {
            write_mono_row(&s, out);
        } else {
            write_row(&s, plane_size, out);
        }
    }
    for (unsigned p = 0; p < s.planes; p++) {
        fill_border(geometry, target, planes + p * plane_size);
    }
    for (unsigned p = s.planes; p < target->channels; p++) {
        memcpy(planes + p * plane_size, planes, plane_size * sizeof(*planes));
    }
    return 0;
}
