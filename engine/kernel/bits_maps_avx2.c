/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Makes, gathers and pools bit maps with AVX2. Codes are compared 32 at a time into a string of
 * bits, from which pixels are cut; no code outside the map is read.
 */
#include <immintrin.h>
#include <string.h>

#include "engine/kernel/isa.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum {
    STRING_BYTES = 512, /* bits of one row that are at work together */
    FOUR_MOST = 14,     /* channels, at most, of which four pixels are in one unaligned word */
};

static uint32_t words(uint32_t channels)
{
    return (channels + 63) / 64;
}

/* 32 bits of signs, 32 of nonzero. */
struct bits {
    uint32_t above, other;
};

ALWAYS_INLINE struct bits compare(const uint8_t *codes, __m256i zero)
{
    const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)codes);

    return (struct bits){
        .above = (uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(v, zero)),
        .other = ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, zero)),
    };
}

/* The last `count` codes, 1..31, before `end`; `all` codes lie before it. */
static struct bits compare_last(const uint8_t *end, size_t all, size_t count, __m256i zero)
{
    uint8_t codes[32] = {0};

    if (all >= 32) {
        const struct bits bits = compare(end - 32, zero);

        return (struct bits){bits.above >> (32 - count), bits.other >> (32 - count)};
    }
    memcpy(codes, end - count, count);
    const struct bits bits = compare(codes, zero);
    const uint32_t valid = (UINT32_C(1) << count) - 1;
    return (struct bits){bits.above & valid, bits.other & valid};
}

/* The bits of `count` codes; `before` codes lie before them. `nonzero` may be NULL. The last byte
 * is filled with zeros, and up to three more. */
ALWAYS_INLINE void string_of(const uint8_t *codes, size_t before, size_t count, __m256i zero,
                             uint8_t *signs, uint8_t *nonzero)
{
    size_t i = 0;

    for (; i + 32 <= count; i += 32) {
        const struct bits bits = compare(codes + i, zero);

        memcpy(signs + i / 8, &bits.above, 4);
        if (nonzero != NULL) {
            memcpy(nonzero + i / 8, &bits.other, 4);
        }
    }
    if (i < count) {
        const struct bits bits = compare_last(codes + count, before + count, count - i, zero);

        memcpy(signs + i / 8, &bits.above, 4);
        if (nonzero != NULL) {
            memcpy(nonzero + i / 8, &bits.other, 4);
        }
    }
}

/* 1..64 bits of a string from bit `at` on. */
ALWAYS_INLINE uint64_t cut(const uint8_t *string, size_t at, uint32_t bits)
{
    const uint32_t skip = at % 8;
    uint64_t word;

    memcpy(&word, string + at / 8, 8);
    word >>= skip;
    if (skip + bits > 64) {
        word |= (uint64_t)string[at / 8 + 8] << (64 - skip);
    }
    return bits == 64 ? word : word & ((UINT64_C(1) << bits) - 1);
}

/* Pixels of one string, a map's row or a part of it. */
ALWAYS_INLINE void pixels_of(const uint8_t *string, uint32_t pixels, uint32_t channels,
                             uint64_t *out)
{
    const __m256i valid = _mm256_set1_epi64x((int64_t)((UINT64_C(1) << channels % 64) - 1));
    const __m256i steps =
        _mm256_setr_epi64x(0, channels, 2 * (int64_t)channels, 3 * (int64_t)channels);
    uint32_t x = 0;

    for (; channels <= FOUR_MOST && x + 4 <= pixels; x += 4) {
        const size_t at = (size_t)x * channels;
        int64_t word;

        memcpy(&word, string + at / 8, 8);
        const __m256i shift = _mm256_add_epi64(steps, _mm256_set1_epi64x((int64_t)(at % 8)));
        _mm256_storeu_si256(
            (__m256i *)(void *)(out + x),
            _mm256_and_si256(_mm256_srlv_epi64(_mm256_set1_epi64x(word), shift), valid));
    }
    out += (size_t)x * words(channels);
    for (; x < pixels; x++) {
        const size_t at = (size_t)x * channels;

        for (uint32_t c = 0; c < channels; c += 64) {
            *out++ = cut(string, at + c, channels - c < 64 ? channels - c : 64);
        }
    }
}

/* Few channels, or an uneven number of them. */
static void cut_row(const struct kernel_bits_map *map, const uint8_t *in, uint64_t *signs,
                    uint64_t *nonzero)
{
    const __m256i zero = _mm256_set1_epi8((char)map->zero);
    const uint32_t together = STRING_BYTES * 8 / map->channels;
    uint8_t string[2][STRING_BYTES + 16];

    for (uint32_t x = 0; x < map->width; x += together) {
        const uint32_t pixels = map->width - x < together ? map->width - x : together;
        const size_t at = (size_t)x * map->channels, to = (size_t)x * words(map->channels);

        string_of(in + at, at, (size_t)pixels * map->channels, zero, string[0], string[1]);
        pixels_of(string[0], pixels, map->channels, signs + to);
        if (nonzero != NULL) {
            pixels_of(string[1], pixels, map->channels, nonzero + to);
        }
    }
}

void kernel_bits_from_codes_avx2(const struct kernel_bits_map *map, const uint8_t *in,
                                 uint64_t *signs, uint64_t *nonzero)
{
    const __m256i zero = _mm256_set1_epi8((char)map->zero);

    if (map->channels > STRING_BYTES * 8) {
        kernel_bits_from_codes_c(map, in, signs, nonzero);
        return;
    }
    for (uint32_t y = 0; y < map->height; y++, in += map->in_row) {
        uint64_t *other = nonzero != NULL ? nonzero + y * map->out_row : NULL;
        uint64_t *above = signs + y * map->out_row;

        if (map->channels % 64 != 0) {
            cut_row(map, in, above, other);
        } else {
            string_of(in, 0, (size_t)map->width * map->channels, zero, (uint8_t *)above,
                      (uint8_t *)other);
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
