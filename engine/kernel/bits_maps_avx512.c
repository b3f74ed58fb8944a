/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Makes, gathers and pools bit maps with AVX-512. What lies behind the last code, word or column is
 * masked, and neither read nor written.
 */
#include <immintrin.h>

#include "engine/kernel/isa.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum {
    EIGHT = 8,
    EIGHT_MOST = 8 /* channels, at most, of pixels that are taken eight at a time */
};

/* The first `count` bits, 0..64. */
ALWAYS_INLINE uint64_t first_bits(uint32_t count)
{
    return count >= 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
}

/* The lanes of the columns from x on, eight at most. */
ALWAYS_INLINE __mmask8 columns(uint32_t width, uint32_t x)
{
    return width - x >= EIGHT ? 0xff : (__mmask8)first_bits(width - x);
}

/* Eight pixels of less than a word, or those of them that `lanes` says. */
ALWAYS_INLINE void put_eight(uint64_t bits, __m512i shifts, __m512i valid, __mmask8 lanes,
                             uint64_t *to)
{
    const __m512i pixels = _mm512_srlv_epi64(_mm512_set1_epi64((int64_t)bits), shifts);

    _mm512_mask_storeu_epi64(to, lanes, _mm512_and_si512(pixels, valid));
}

/* One row of few channels. other may be NULL. */
ALWAYS_INLINE void map_eights(const struct kernel_bits_map *map, const uint8_t *in, uint64_t *above,
                              uint64_t *other)
{
    const uint32_t c = map->channels;
    const __m512i lane = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    const __m512i shifts = _mm512_mullo_epi64(lane, _mm512_set1_epi64(c));
    const __m512i valid = _mm512_set1_epi64((int64_t)first_bits(c));
    const __m512i zero = _mm512_set1_epi8((char)map->zero);

    for (uint32_t x = 0; x < map->width; x += EIGHT, in += (size_t)EIGHT * c) {
        const uint32_t left = map->width - x < EIGHT ? map->width - x : EIGHT;
        const __mmask64 read = first_bits(left * c);
        const __m512i codes = _mm512_maskz_loadu_epi8(read, in);

        put_eight(_mm512_cmpgt_epu8_mask(codes, zero), shifts, valid, columns(map->width, x),
                  above + x);
        if (other != NULL) {
            put_eight(_mm512_cmpneq_epu8_mask(codes, zero), shifts, valid, columns(map->width, x),
                      other + x);
        }
    }
}

/* One row, word by word. */
ALWAYS_INLINE void map_words(const struct kernel_bits_map *map, const uint8_t *in, uint64_t *above,
                             uint64_t *other)
{
    const __m512i zero = _mm512_set1_epi8((char)map->zero);

    for (uint32_t x = 0; x < map->width; x++) {
        for (uint32_t c = 0; c < map->channels; c += 64) {
            const uint32_t count = map->channels - c < 64 ? map->channels - c : 64;
            const __mmask64 valid = first_bits(count);
            const __m512i codes = _mm512_maskz_loadu_epi8(valid, in);

            *above++ = _mm512_mask_cmpgt_epu8_mask(valid, codes, zero);
            if (other != NULL) {
                *other++ = _mm512_mask_cmpneq_epu8_mask(valid, codes, zero);
            }
            in += count;
        }
    }
}

void kernel_bits_from_codes_avx512(const struct kernel_bits_map *map, const uint8_t *in,
                                   uint64_t *signs, uint64_t *nonzero)
{
    for (uint32_t y = 0; y < map->height; y++, in += map->in_row) {
        uint64_t *other = nonzero != NULL ? nonzero + y * map->out_row : NULL;
        uint64_t *above = signs + y * map->out_row;

        if (map->channels <= EIGHT_MOST) {
            map_eights(map, in, above, other);
        } else {
            map_words(map, in, above, other);
        }
    }
}

/* What a row of a kernel of three columns finds for outputs next to each other. */
ALWAYS_INLINE __m512i row_of_three(const uint64_t *in, __mmask8 lanes, __m128i one, __m128i two)
{
    const __m512i b = _mm512_sll_epi64(_mm512_maskz_loadu_epi64(lanes, in + 1), one);
    const __m512i c = _mm512_sll_epi64(_mm512_maskz_loadu_epi64(lanes, in + 2), two);

    return _mm512_or_si512(_mm512_maskz_loadu_epi64(lanes, in), _mm512_or_si512(b, c));
}

/* Eight columns of outputs of a 3x3 kernel: what one row finds serves three outputs. */
ALWAYS_INLINE void gather_three(const struct kernel_bits_gather *gather, const uint64_t *in,
                                uint64_t *out, __mmask8 lanes)
{
    const __m128i one = _mm_cvtsi32_si128((int)gather->in_c);
    const __m128i two = _mm_cvtsi32_si128((int)(2 * gather->in_c));
    const __m128i three = _mm_cvtsi32_si128((int)(3 * gather->in_c));
    __m512i first = row_of_three(in, lanes, one, two);
    __m512i second = row_of_three(in + gather->in_row, lanes, one, two);

    in += 2 * (size_t)gather->in_row;
    for (uint32_t y = 0; y < gather->out_h; y++, in += gather->in_row, out += gather->out_w) {
        const __m512i third = row_of_three(in, lanes, one, two);
        const __m512i low = _mm512_or_si512(second, _mm512_sll_epi64(third, three));

        _mm512_mask_storeu_epi64(out, lanes, _mm512_or_si512(first, _mm512_sll_epi64(low, three)));
        first = second;
        second = third;
    }
}

/* Outputs next to each other. */
static void gather_eight(const struct kernel_bits_gather *gather, const uint64_t *in, uint64_t *out,
                         __mmask8 lanes)
{
    __m512i sum = _mm512_setzero_si512();
    uint32_t shift = 0;

    for (uint32_t ky = 0; ky < gather->kernel_h; ky++, in += gather->in_row) {
        for (uint32_t kx = 0; kx < gather->kernel_w; kx++, shift += gather->in_c) {
            const __m512i words = _mm512_maskz_loadu_epi64(lanes, in + kx);

            sum = _mm512_or_si512(sum, _mm512_sll_epi64(words, _mm_cvtsi32_si128((int)shift)));
        }
    }
    _mm512_mask_storeu_epi64(out, lanes, sum);
}

void kernel_bits_gather_avx512(const struct kernel_bits_gather *gather, const uint64_t *in,
                               uint64_t *out)
{
    const uint32_t taps = gather->kernel_h * gather->kernel_w, width = gather->out_w;

    if (taps * gather->in_c > 64 || gather->stride_x != 1) {
        kernel_bits_gather_c(gather, in, out);
        return;
    }
    for (uint32_t x = 0; x < width; x += EIGHT) {
        const __mmask8 lanes = columns(width, x);

        if (gather->kernel_h == 3 && gather->kernel_w == 3 && gather->stride_y == 1) {
            gather_three(gather, in + x, out + x, lanes);
            continue;
        }
        for (uint32_t y = 0; y < gather->out_h; y++) {
            gather_eight(gather, in + (size_t)y * gather->stride_y * gather->in_row + x,
                         out + (size_t)y * width + x, lanes);
        }
    }
}

/* What a row of the kernel finds for eight outputs next to each other. */
struct found {
    __m512i signs, nonzero;
};

/* Eight columns of outputs, or fewer at the right edge. read: the codes of a row of the kernel. */
struct strip {
    __m512i zero, shifts, valid;
    __mmask64 read;
    __mmask8 lanes;
};

ALWAYS_INLINE __m512i spread(const struct strip *strip, uint64_t bits)
{
    return _mm512_and_si512(_mm512_srlv_epi64(_mm512_set1_epi64((int64_t)bits), strip->shifts),
                            strip->valid);
}

ALWAYS_INLINE struct found find(const struct strip *strip, const uint8_t *in, int ternary)
{
    const __m512i codes = _mm512_maskz_loadu_epi8(strip->read, in);
    struct found found = {.signs = spread(strip, _mm512_cmpgt_epu8_mask(codes, strip->zero))};

    if (ternary) {
        found.nonzero = spread(strip, _mm512_cmpneq_epu8_mask(codes, strip->zero));
    }
    return found;
}

ALWAYS_INLINE __m512i join(__m512i to, __m512i row, uint32_t shift)
{
    return _mm512_or_si512(to, _mm512_sll_epi64(row, _mm_cvtsi32_si128((int)shift)));
}

/* All rows of a strip of columns. */
ALWAYS_INLINE void gather_strip(const struct kernel_bits_gather *gather, const struct strip *strip,
                                const uint8_t *in, uint64_t *signs, uint64_t *nonzero)
{
    const uint32_t run = gather->kernel_w * gather->in_c;
    const int ternary = nonzero != NULL;

    for (uint32_t y = 0; y < gather->out_h; y++) {
        const uint8_t *row = in + (size_t)y * gather->stride_y * gather->in_row;
        struct found sum = find(strip, row, ternary);

        for (uint32_t ky = 1; ky < gather->kernel_h; ky++) {
            const struct found more = find(strip, row + (size_t)ky * gather->in_row, ternary);

            sum.signs = join(sum.signs, more.signs, ky * run);
            if (ternary) {
                sum.nonzero = join(sum.nonzero, more.nonzero, ky * run);
            }
        }
        _mm512_mask_storeu_epi64(signs + (size_t)y * gather->out_w, strip->lanes, sum.signs);
        if (ternary) {
            _mm512_mask_storeu_epi64(nonzero + (size_t)y * gather->out_w, strip->lanes,
                                     sum.nonzero);
        }
    }
}

/* The same of three rows that move by one: what one row finds serves three outputs. */
ALWAYS_INLINE void gather_strip_of_three(const struct kernel_bits_gather *gather,
                                         const struct strip *strip, const uint8_t *in,
                                         uint64_t *signs, uint64_t *nonzero)
{
    const uint32_t run = gather->kernel_w * gather->in_c;
    struct found a = find(strip, in, 1), b = find(strip, in + gather->in_row, 1);

    in += 2 * (size_t)gather->in_row;
    for (uint32_t y = 0; y < gather->out_h; y++, in += gather->in_row) {
        const struct found c = find(strip, in, 1);

        _mm512_mask_storeu_epi64(signs + (size_t)y * gather->out_w, strip->lanes,
                                 join(a.signs, join(b.signs, c.signs, run), run));
        _mm512_mask_storeu_epi64(nonzero + (size_t)y * gather->out_w, strip->lanes,
                                 join(a.nonzero, join(b.nonzero, c.nonzero, run), run));
        a = b;
        b = c;
    }
}

void kernel_bits_gather_codes_avx512(const struct kernel_bits_gather *gather, uint8_t zero,
                                     const uint8_t *in, uint64_t *signs, uint64_t *nonzero)
{
    const uint32_t c = gather->in_c, run = gather->kernel_w * c, step = gather->stride_x * c;
    const __m512i lane = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    struct strip strip = {
        .zero = _mm512_set1_epi8((char)zero),
        .shifts = _mm512_mullo_epi64(lane, _mm512_set1_epi64(step)),
        .valid = _mm512_set1_epi64((int64_t)first_bits(run)),
    };

    if (gather->kernel_h * run > 64 || 7 * step + run > 64) {
        kernel_bits_gather_codes_c(gather, zero, in, signs, nonzero);
        return;
    }
    for (uint32_t x = 0; x < gather->out_w; x += EIGHT) {
        const uint32_t left = gather->out_w - x < EIGHT ? gather->out_w - x : EIGHT;
        const uint8_t *from = in + (size_t)x * step;

        strip.lanes = columns(gather->out_w, x);
        strip.read = first_bits((left - 1) * step + run);
        if (gather->kernel_h == 3 && gather->stride_y == 1 && nonzero != NULL) {
            gather_strip_of_three(gather, &strip, from, signs + x, nonzero + x);
        } else {
            gather_strip(gather, &strip, from, signs + x, nonzero != NULL ? nonzero + x : NULL);
        }
    }
}

void kernel_bits_max_binary_avx512(const struct kernel_pool *pool, const uint64_t *in,
                                   uint64_t *out)
{
    for (uint32_t y = 0; y < pool->out_h; y++, out += pool->out_row) {
        const uint64_t *row = in + (size_t)y * pool->stride_y * pool->in_row;

        for (uint32_t x = 0; x < pool->out_w; x++) {
            const uint64_t *corner = row + (size_t)x * pool->stride_x * pool->channels;

            for (uint32_t c = 0; c < pool->channels; c += EIGHT) {
                const __mmask8 lanes = columns(pool->channels, c);
                __m512i any = _mm512_setzero_si512();

                for (uint32_t ky = 0; ky < pool->window_h; ky++) {
                    const uint64_t *from = corner + ky * pool->in_row + c;

                    for (uint32_t kx = 0; kx < pool->window_w; kx++, from += pool->channels) {
                        any = _mm512_or_si512(any, _mm512_maskz_loadu_epi64(lanes, from));
                    }
                }
                _mm512_mask_storeu_epi64(out + (size_t)x * pool->channels + c, lanes, any);
            }
        }
    }
}
