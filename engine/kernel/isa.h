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
                                const int32_t *bias, const int32_t *mult, void *packed);           \
    void kernel_conv_run_##isa(const struct kernel_conv *conv, const void *packed,                 \
                               const uint8_t *in, void *out, size_t out_row)

KERNEL_CONV_DECLARE(c);
KERNEL_CONV_DECLARE(avx2);
KERNEL_CONV_DECLARE(avx512vnni);
KERNEL_CONV_DECLARE(neon);
KERNEL_CONV_DECLARE(dotprod);

void kernel_accumulate_u16_c(uint32_t *acc, const uint16_t *row, size_t n, uint16_t black,
                             uint16_t range);
void kernel_accumulate_u8_c(uint32_t *acc, const uint8_t *row, size_t n, uint8_t black,
                            uint8_t range);

#endif
