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

void kernel_accumulate_u16_c(uint32_t *acc, const uint16_t *row, size_t n, uint16_t black,
                             uint16_t range);
void kernel_accumulate_u8_c(uint32_t *acc, const uint8_t *row, size_t n, uint8_t black,
                            uint8_t range);

#endif
