/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Prototypes of every kernel, for dispatch.c and for the files that define them. This is the only
 * project header that a file built for an instruction set may include: it holds no function bodies,
 * so no code with such instructions can leak into the common objects.
 */
#ifndef OCELLUS_ENGINE_KERNEL_ISA_H
#define OCELLUS_ENGINE_KERNEL_ISA_H

#include "engine/kernel/kernel.h"

#define KERNEL_CONV_DECLARE(isa)                                                                   \
    size_t kernel_conv_packed_bytes_##isa(const struct kernel_conv *conv);                         \
    void kernel_conv_pack_##isa(const struct kernel_conv *conv, const int8_t *weights,             \
                                const int32_t *bias, const int32_t *mult,                          \
                                const int32_t *threshold, void *packed);                           \
    void kernel_conv_run_##isa(const struct kernel_conv *conv, const void *packed,                 \
                               const uint8_t *in, void *out, size_t out_row)

KERNEL_CONV_DECLARE(c);
KERNEL_CONV_DECLARE(avx2);
KERNEL_CONV_DECLARE(avxvnni);
KERNEL_CONV_DECLARE(avx512vnni);
KERNEL_CONV_DECLARE(amx);
KERNEL_CONV_DECLARE(neon);
KERNEL_CONV_DECLARE(dotprod);

#define KERNEL_LOG_DECLARE(isa)                                                                    \
    size_t kernel_log_packed_bytes_##isa(const struct kernel_log *conv);                           \
    size_t kernel_log_workspace_bytes_##isa(const struct kernel_log *conv);                        \
    void kernel_log_pack_##isa(const struct kernel_log *conv, const int8_t *weights,               \
                               const int64_t *threshold, void *packed);                            \
    void kernel_log_run_##isa(const struct kernel_log *conv, const void *packed,                   \
                              const uint8_t *in, void *workspace, void *out, size_t out_row)

KERNEL_LOG_DECLARE(c);
KERNEL_LOG_DECLARE(avx2);
KERNEL_LOG_DECLARE(avx512vnni);
KERNEL_LOG_DECLARE(neon);
KERNEL_LOG_DECLARE(dotprod);

/*
 * For the packings of convolutions, see conv_pack.c. A block of `width` channels, which `first`
 * begins, opens with a head: int32 bias [width], then of U7 int32 multipliers [width], of CODES
 * int32 thresholds [levels][width] and KERNEL_CONV_HEAD_FLAGS bytes. The first word of those is 1
 * where 16 bits suffice: the thresholds are then int16 [levels][width] in -32767..32767 and the
 * bias is such that the sum, held to int16, reaches those that it should. Channels beyond the last
 * are 0.
 */
#define KERNEL_CONV_HEAD_FLAGS 64u
#define KERNEL_CONV_WIDTH_MAX  64u

size_t kernel_conv_head_bytes(const struct kernel_conv *conv, uint32_t width);
void kernel_conv_pack_head(const struct kernel_conv *conv, const int8_t *weights,
                           const int32_t *bias, const int32_t *mult, const int32_t *threshold,
                           uint32_t first, uint32_t width, void *to);

/* Fours of bytes in a row of the kernel, and the weights of one: zero beyond the channels and
 * beyond the row. */
uint32_t kernel_conv_groups(const struct kernel_conv *conv);
void kernel_conv_pack_group(const struct kernel_conv *conv, const int8_t *weights, uint32_t channel,
                            uint32_t ky, uint32_t group, int8_t *to);

size_t kernel_real_packed_bytes_c(const struct kernel_real *conv);
void kernel_real_pack_c(const struct kernel_real *conv, const float *weights, const float *bias,
                        void *packed);
void kernel_real_run_c(const struct kernel_real *conv, const void *packed, const float *in,
                       float *out, size_t out_row);

void kernel_real_depthwise_c(const struct kernel_real *conv, const float *weights,
                             const float *bias, const float *in, float *out, size_t out_row);

void kernel_pool_max_f32_c(const struct kernel_pool *pool, const float *in, float *out);
void kernel_pool_mean_f32_c(const struct kernel_pool *pool, const float *in, float *out);
void kernel_pool_add_f32_c(const struct kernel_add *add, const float *a, const float *b,
                           float *out);

#define KERNEL_CODES_DECLARE(isa)                                                                  \
    void kernel_pool_max_u7_##isa(const struct kernel_pool *pool, const uint8_t *in,               \
                                  uint8_t *out);                                                   \
    void kernel_pool_mean_u7_##isa(const struct kernel_pool *pool, const uint8_t *in,              \
                                   uint8_t *out);                                                  \
    void kernel_pool_add_u7_##isa(const struct kernel_add *add, const uint8_t *a,                  \
                                  const uint8_t *b, uint8_t *out);                                 \
    void kernel_encode_u7_##isa(const struct kernel_encode *encode, const int32_t *bias,           \
                                const int32_t *mult, const int32_t *in, uint8_t *out);             \
    void kernel_encode_codes_##isa(const struct kernel_encode *encode, const int32_t *threshold,   \
                                   const int32_t *in, uint8_t *out)

KERNEL_CODES_DECLARE(c);
KERNEL_CODES_DECLARE(avx2);
KERNEL_CODES_DECLARE(neon);

#define KERNEL_DEPTHWISE_DECLARE(isa)                                                              \
    size_t kernel_depthwise_packed_bytes_##isa(const struct kernel_depthwise *conv);               \
    void kernel_depthwise_pack_##isa(const struct kernel_depthwise *conv, const int8_t *weights,   \
                                     const int32_t *bias, const int32_t *mult, void *packed);      \
    void kernel_depthwise_run_##isa(const struct kernel_depthwise *conv, const void *packed,       \
                                    const uint8_t *in, uint8_t *out, size_t out_row)

KERNEL_DEPTHWISE_DECLARE(c);
KERNEL_DEPTHWISE_DECLARE(avx2);
KERNEL_DEPTHWISE_DECLARE(avx512vnni);
KERNEL_DEPTHWISE_DECLARE(neon);

#define KERNEL_BITS_DECLARE(isa)                                                                   \
    size_t kernel_bits_packed_bytes_##isa(const struct kernel_bits_conv *conv);                    \
    void kernel_bits_pack_##isa(const struct kernel_bits_conv *conv, const uint64_t *signs,        \
                                const uint64_t *nonzero, const int32_t *thresholds, void *packed); \
    void kernel_bits_run_##isa(const struct kernel_bits_conv *conv, const void *packed,            \
                               const uint64_t *signs, const uint64_t *nonzero, void *out,          \
                               size_t out_row)

KERNEL_BITS_DECLARE(c);
KERNEL_BITS_DECLARE(avx2);
KERNEL_BITS_DECLARE(avx512);
KERNEL_BITS_DECLARE(neon);

#define KERNEL_BITS_MAPS_DECLARE(isa)                                                              \
    void kernel_bits_gather_##isa(const struct kernel_bits_gather *gather, const uint64_t *in,     \
                                  uint64_t *out);                                                  \
    void kernel_bits_gather_codes_##isa(const struct kernel_bits_gather *gather, uint8_t zero,     \
                                        const uint8_t *in, uint64_t *signs, uint64_t *nonzero);    \
    void kernel_bits_from_codes_##isa(const struct kernel_bits_map *map, const uint8_t *in,        \
                                      uint64_t *signs, uint64_t *nonzero);                         \
    void kernel_bits_max_binary_##isa(const struct kernel_pool *pool, const uint64_t *in,          \
                                      uint64_t *out)

KERNEL_BITS_MAPS_DECLARE(c);
KERNEL_BITS_MAPS_DECLARE(avx2);
KERNEL_BITS_MAPS_DECLARE(avx512);
KERNEL_BITS_MAPS_DECLARE(neon);

#define KERNEL_ACCUMULATE_DECLARE(isa)                                                             \
    void kernel_accumulate_u16_##isa(uint32_t *acc, const uint16_t *row, size_t pitch,             \
                                     size_t rows, size_t n, uint16_t black, uint16_t range);       \
    void kernel_accumulate_u8_##isa(uint32_t *acc, const uint8_t *row, size_t pitch, size_t rows,  \
                                    size_t n, uint8_t black, uint8_t range)

KERNEL_ACCUMULATE_DECLARE(c);
KERNEL_ACCUMULATE_DECLARE(avx2);
KERNEL_ACCUMULATE_DECLARE(avx512);

void kernel_unpack_mipi10_c(uint16_t *out, const uint8_t *in, size_t groups);
void kernel_unpack_mipi12_c(uint16_t *out, const uint8_t *in, size_t groups);
void kernel_unpack_mipi10_avx2(uint16_t *out, const uint8_t *in, size_t groups);
void kernel_unpack_mipi12_avx2(uint16_t *out, const uint8_t *in, size_t groups);

#endif
