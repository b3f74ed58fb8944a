/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Makes, gathers and pools bit maps with AVX2. Codes are compared 32 at a time; none behind the
 * last one is read. */
#include <immintrin.h>
#include <string.h>

#include "engine/kernel/isa.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { FOUR_MOST = 16 }; /* channels, at most, of pixels that are taken four at a time */

static uint32_t words(uint32_t channels)
{
    return (channels + 63) / 64;
}

/* The same bits of both halves of a ternary map. */
struct bits {
    uint64_t above, other;
};

ALWAYS_INLINE struct bits compare(const uint8_t *codes, __m256i zero)
{
    const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)codes);

    return (struct bits){
        .above = (uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(v, zero)),
        .other = ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, zero)),
    };
}

/* The bits of the `count` codes (1..64) from `codes` on; after them there is garbage. Behind `end`
 * nothing is read. */
ALWAYS_INLINE struct bits compare_some(const uint8_t *codes, const uint8_t *end, uint32_t count,
                                       __m256i zero)
{
    const size_t bytes = count > 32 ? 64 : 32;
    uint8_t last[64];

    if ((size_t)(end - codes) < bytes) {
        memset(last, 0, sizeof(last));
        memcpy(last, codes, (size_t)(end - codes));
        codes = last;
    }
    struct bits bits = compare(codes, zero);
    if (count > 32) {
        const struct bits more = compare(codes + 32, zero);

        bits.above |= more.above << 32;
        bits.other |= more.other << 32;
    }
    return bits;
}

/* Four pixels of less than a word together. */
ALWAYS_INLINE void put_four(uint64_t bits, __m256i shifts, __m256i valid, uint64_t *to)
{
    const __m256i pixels = _mm256_srlv_epi64(_mm256_set1_epi64x((int64_t)bits), shifts);

    _mm256_storeu_si256((__m256i *)(void *)to, _mm256_and_si256(pixels, valid));
}

/* The pixels of a row that are a multiple of four; returns their number. other may be NULL. */
ALWAYS_INLINE uint32_t map_fours(const struct kernel_bits_map *map, const uint8_t *in,
                                 const uint8_t *end, uint64_t *above, uint64_t *other)
{
    const uint32_t c = map->channels;
    const __m256i valid = _mm256_set1_epi64x((int64_t)((UINT64_C(1) << c) - 1));
    const __m256i shifts = _mm256_setr_epi64x(0, c, 2 * (int64_t)c, 3 * (int64_t)c);
    const __m256i zero = _mm256_set1_epi8((char)map->zero);
    uint32_t x = 0;

    for (; x + 4 <= map->width; x += 4, in += (size_t)4 * c) {
        const struct bits bits = compare_some(in, end, 4 * c, zero);

        put_four(bits.above, shifts, valid, above + x);
        if (other != NULL) {
            put_four(bits.other, shifts, valid, other + x);
        }
    }
    return x;
}

void kernel_bits_from_codes_avx2(const struct kernel_bits_map *map, const uint8_t *in,
                                 uint64_t *signs, uint64_t *nonzero)
{
    const uint8_t *end = in + (map->height - 1) * map->in_row + (size_t)map->width * map->channels;
    const __m256i zero = _mm256_set1_epi8((char)map->zero);

    for (uint32_t y = 0; y < map->height; y++, in += map->in_row) {
        uint64_t *other = nonzero != NULL ? nonzero + y * map->out_row : NULL;
        uint64_t *above = signs + y * map->out_row;
        uint32_t x = map->channels <= FOUR_MOST ? map_fours(map, in, end, above, other) : 0;
        const uint8_t *codes = in + (size_t)x * map->channels;
        size_t to = (size_t)x * words(map->channels);

        for (; x < map->width; x++) {
            for (uint32_t left = map->channels; left > 0; to++) {
                const uint32_t count = left < 64 ? left : 64;
                const struct bits bits = compare_some(codes, end, count, zero);
                const uint64_t valid = UINT64_MAX >> (64 - count);

                above[to] = bits.above & valid;
                if (other != NULL) {
                    other[to] = bits.other & valid;
                }
                codes += count;
                left -= count;
            }
        }
    }
}

ALWAYS_INLINE __m256i load(const uint64_t *from)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)from);
}

/* What a row of a kernel of three columns finds for four outputs next to each other. */
ALWAYS_INLINE __m256i row_of_three(const uint64_t *in, __m128i one, __m128i two)
{
    return _mm256_or_si256(load(in), _mm256_or_si256(_mm256_sll_epi64(load(in + 1), one),
                                                     _mm256_sll_epi64(load(in + 2), two)));
}

/* Four columns of outputs of a 3x3 kernel: what one row finds serves three outputs. */
ALWAYS_INLINE void gather_three(const struct kernel_bits_gather *gather, const uint64_t *in,
                                uint64_t *out)
{
    const __m128i one = _mm_cvtsi32_si128((int)gather->in_c);
    const __m128i two = _mm_cvtsi32_si128((int)(2 * gather->in_c));
    const __m128i three = _mm_cvtsi32_si128((int)(3 * gather->in_c));
    __m256i first = row_of_three(in, one, two);
    __m256i second = row_of_three(in + gather->in_row, one, two);

    in += 2 * (size_t)gather->in_row;
    for (uint32_t y = 0; y < gather->out_h; y++, in += gather->in_row, out += gather->out_w) {
        const __m256i third = row_of_three(in, one, two);
        const __m256i low = _mm256_sll_epi64(third, three);

        _mm256_storeu_si256(
            (__m256i *)(void *)out,
            _mm256_or_si256(first, _mm256_sll_epi64(_mm256_or_si256(second, low), three)));
        first = second;
        second = third;
    }
}

/* Four outputs next to each other. */
static void gather_four(const struct kernel_bits_gather *gather, const uint64_t *in, uint64_t *out)
{
    __m256i sum = _mm256_setzero_si256();
    uint32_t shift = 0;

    for (uint32_t ky = 0; ky < gather->kernel_h; ky++, in += gather->in_row) {
        for (uint32_t kx = 0; kx < gather->kernel_w; kx++, shift += gather->in_c) {
            sum = _mm256_or_si256(sum,
                                  _mm256_sll_epi64(load(in + kx), _mm_cvtsi32_si128((int)shift)));
        }
    }
    _mm256_storeu_si256((__m256i *)(void *)out, sum);
}

/* The last four columns may be some that were done before. */
void kernel_bits_gather_avx2(const struct kernel_bits_gather *gather, const uint64_t *in,
                             uint64_t *out)
{
    const uint32_t taps = gather->kernel_h * gather->kernel_w, width = gather->out_w;

    if (taps * gather->in_c > 64 || gather->stride_x != 1 || width < 4) {
        kernel_bits_gather_c(gather, in, out);
        return;
    }
    for (uint32_t i = 0; i < width; i += 4) {
        const uint32_t x = i + 4 <= width ? i : width - 4;

        if (gather->kernel_h == 3 && gather->kernel_w == 3 && gather->stride_y == 1) {
            gather_three(gather, in + x, out + x);
            continue;
        }
        for (uint32_t y = 0; y < gather->out_h; y++) {
            gather_four(gather, in + (size_t)y * gather->stride_y * gather->in_row + x,
                        out + (size_t)y * width + x);
        }
    }
}

/* What a row of the kernel finds for eight outputs next to each other. */
struct found {
    __m256i signs[2], nonzero[2];
};

/* Eight columns of outputs. */
struct strip {
    __m256i zero, shifts[2], valid;
    uint32_t codes;     /* that a row of the kernel reads for them, 1..64 */
    const uint8_t *end; /* of all codes */
};

ALWAYS_INLINE struct found find(const struct strip *strip, const uint8_t *in)
{
    const struct bits bits = compare_some(in, strip->end, strip->codes, strip->zero);
    const __m256i above = _mm256_set1_epi64x((int64_t)bits.above);
    const __m256i other = _mm256_set1_epi64x((int64_t)bits.other);
    struct found found;

    for (uint32_t i = 0; i < 2; i++) {
        found.signs[i] = _mm256_and_si256(_mm256_srlv_epi64(above, strip->shifts[i]), strip->valid);
        found.nonzero[i] =
            _mm256_and_si256(_mm256_srlv_epi64(other, strip->shifts[i]), strip->valid);
    }
    return found;
}

ALWAYS_INLINE void join(struct found *to, const struct found *row, uint32_t shift)
{
    const __m128i by = _mm_cvtsi32_si128((int)shift);

    for (uint32_t i = 0; i < 2; i++) {
        to->signs[i] = _mm256_or_si256(to->signs[i], _mm256_sll_epi64(row->signs[i], by));
        to->nonzero[i] = _mm256_or_si256(to->nonzero[i], _mm256_sll_epi64(row->nonzero[i], by));
    }
}

ALWAYS_INLINE void put(const struct found *found, uint64_t *signs, uint64_t *nonzero)
{
    for (uint32_t i = 0; i < 2; i++) {
        _mm256_storeu_si256((__m256i *)(void *)(signs + 4 * i), found->signs[i]);
        if (nonzero != NULL) {
            _mm256_storeu_si256((__m256i *)(void *)(nonzero + 4 * i), found->nonzero[i]);
        }
    }
}

/* All rows of a strip. nonzero may be NULL. */
ALWAYS_INLINE void gather_strip(const struct kernel_bits_gather *gather, const struct strip *strip,
                                const uint8_t *in, uint64_t *signs, uint64_t *nonzero)
{
    const uint32_t run = gather->kernel_w * gather->in_c;

    for (uint32_t y = 0; y < gather->out_h; y++) {
        const uint8_t *row = in + (size_t)y * gather->stride_y * gather->in_row;
        const size_t to = (size_t)y * gather->out_w;
        struct found sum = find(strip, row);

        for (uint32_t ky = 1; ky < gather->kernel_h; ky++) {
            const struct found more = find(strip, row + (size_t)ky * gather->in_row);

            join(&sum, &more, ky * run);
        }
        put(&sum, signs + to, nonzero != NULL ? nonzero + to : NULL);
    }
}

/* The same of three rows that move by one: what one row finds serves three outputs. */
ALWAYS_INLINE void gather_strip_of_three(const struct kernel_bits_gather *gather,
                                         const struct strip *strip, const uint8_t *in,
                                         uint64_t *signs, uint64_t *nonzero)
{
    const uint32_t run = gather->kernel_w * gather->in_c;
    struct found a = find(strip, in), b = find(strip, in + gather->in_row);

    in += 2 * (size_t)gather->in_row;
    for (uint32_t y = 0; y < gather->out_h; y++, in += gather->in_row) {
        const struct found c = find(strip, in);
        const size_t to = (size_t)y * gather->out_w;

        join(&a, &b, run);
        join(&a, &c, 2 * run);
        put(&a, signs + to, nonzero != NULL ? nonzero + to : NULL);
        a = b;
        b = c;
    }
}

/* The last eight columns may be some that were done before. */
void kernel_bits_gather_codes_avx2(const struct kernel_bits_gather *gather, uint8_t zero,
                                   const uint8_t *in, uint64_t *signs, uint64_t *nonzero)
{
    const uint32_t c = gather->in_c, run = gather->kernel_w * c, width = gather->out_w;
    const int64_t step = (int64_t)gather->stride_x * c;
    const size_t last = (size_t)(gather->out_h - 1) * gather->stride_y + gather->kernel_h - 1;
    const struct strip strip = {
        .zero = _mm256_set1_epi8((char)zero),
        .shifts = {_mm256_setr_epi64x(0, step, 2 * step, 3 * step),
                   _mm256_setr_epi64x(4 * step, 5 * step, 6 * step, 7 * step)},
        .valid = _mm256_set1_epi64x((int64_t)(UINT64_MAX >> (64 - (run < 64 ? run : 64)))),
        .codes = 7 * (uint32_t)step + run,
        .end = in + last * gather->in_row + (width - 1) * (size_t)step + run,
    };

    if (gather->kernel_h * run > 64 || strip.codes > 64 || width < 8) {
        kernel_bits_gather_codes_c(gather, zero, in, signs, nonzero);
        return;
    }
    for (uint32_t i = 0; i < width; i += 8) {
        const uint32_t x = i + 8 <= width ? i : width - 8;
        const uint8_t *from = in + x * (size_t)step;
        uint64_t *other = nonzero != NULL ? nonzero + x : NULL;

        if (gather->kernel_h == 3 && gather->stride_y == 1) {
            gather_strip_of_three(gather, &strip, from, signs + x, other);
        } else {
            gather_strip(gather, &strip, from, signs + x, other);
        }
    }
}

void kernel_bits_max_binary_avx2(const struct kernel_pool *pool, const uint64_t *in, uint64_t *out)
{
    if (pool->channels < 4) {
        kernel_bits_max_binary_c(pool, in, out);
        return;
    }
    for (uint32_t y = 0; y < pool->out_h; y++, out += pool->out_row) {
        const uint64_t *row = in + (size_t)y * pool->stride_y * pool->in_row;

        for (uint32_t x = 0; x < pool->out_w; x++) {
            const uint64_t *corner = row + (size_t)x * pool->stride_x * pool->channels;

            for (uint32_t i = 0; i < pool->channels; i += 4) {
                const uint32_t c = i + 4 <= pool->channels ? i : pool->channels - 4;
                __m256i any = _mm256_setzero_si256();

                for (uint32_t ky = 0; ky < pool->window_h; ky++) {
                    const uint64_t *from = corner + ky * pool->in_row + c;

                    for (uint32_t kx = 0; kx < pool->window_w; kx++, from += pool->channels) {
                        any = _mm256_or_si256(any, load(from));
                    }
                }
                _mm256_storeu_si256((__m256i *)(void *)(out + (size_t)x * pool->channels + c), any);
            }
        }
    }
}
