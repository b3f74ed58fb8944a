/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Fills the kernel table: the C reference first, then every instruction set that is allowed
 * overwrites what it does better, so that no slot can be empty. It does not detect anything.
 */
#include "engine/kernel/kernel.h"

#include "engine/kernel/isa.h"

void kernel_table_init(struct kernel_table *table, uint32_t cpu)
{
    *table = (struct kernel_table){
        .cpu = cpu,
        .accumulate_u16 = kernel_accumulate_u16_c,
        .accumulate_u8 = kernel_accumulate_u8_c,
    };
}
