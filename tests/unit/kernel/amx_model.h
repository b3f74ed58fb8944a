/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The tile instructions of AMX in software, in place of the intrinsics of those names, after Intel
 * SDM vol. 2 (LDTILECFG, TILELOADD, TDPBUSD, TILESTORED): what the processor answers with a fault
 * ends the program here. Include it behind <immintrin.h>.
 */
#ifndef OCELLUS_TESTS_UNIT_KERNEL_AMX_MODEL_H
#define OCELLUS_TESTS_UNIT_KERNEL_AMX_MODEL_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AMX_TILES = 8, AMX_ROWS = 16, AMX_COLUMNS = 64 };

struct amx_tile {
    unsigned rows, columns; /* columns: bytes; both 0 where it is not configured */
    uint8_t bytes[AMX_ROWS][AMX_COLUMNS];
};

struct amx_state {
    int configured;
    struct amx_tile tile[AMX_TILES];
};

static struct amx_state *amx_state(void)
{
    static struct amx_state state;

    return &state;
}

static void amx_fault(const char *what)
{
    fprintf(stderr, "AMX model: %s\n", what);
    abort();
}

static struct amx_tile *amx_tile(int number)
{
    struct amx_state *state = amx_state();

    if (!state->configured || number < 0 || number >= AMX_TILES || state->tile[number].rows == 0) {
        amx_fault("a tile that is not configured");
    }
    return &state->tile[number];
}

static void amx_load_config(const void *memory)
{
    struct amx_state *state = amx_state();
    uint8_t config[64];

    memcpy(config, memory, sizeof(config));
    if (config[0] != 1 || config[1] != 0) {
        amx_fault("palette or start row");
    }
    for (int i = 2; i < 64; i++) {
        /* columns of tiles 0..7 lie in 16..31, rows in 48..55; all else is reserved */
        if (config[i] != 0 && !(i >= 16 && i < 32) && !(i >= 48 && i < 56)) {
            amx_fault("reserved bytes of the configuration");
        }
    }
    memset(state, 0, sizeof(*state));
    state->configured = 1;
    for (int i = 0; i < AMX_TILES; i++) {
        struct amx_tile *tile = &state->tile[i];

        tile->columns = config[16 + 2 * i] | (unsigned)config[17 + 2 * i] << 8;
        tile->rows = config[48 + i];
        if (tile->columns > AMX_COLUMNS || tile->rows > AMX_ROWS ||
            (tile->columns == 0) != (tile->rows == 0)) {
            amx_fault("shape of a tile");
        }
    }
}

static void amx_release(void)
{
    amx_state()->configured = 0;
}

/* What lies outside a tile's shape is zeroed. */
static void amx_load(int number, const void *base, ptrdiff_t step)
{
    struct amx_tile *tile = amx_tile(number);

    memset(tile->bytes, 0, sizeof(tile->bytes));
    for (unsigned row = 0; row < tile->rows; row++) {
        memcpy(tile->bytes[row], (const uint8_t *)base + (ptrdiff_t)row * step, tile->columns);
    }
}

static void amx_store(int number, void *base, ptrdiff_t step)
{
    const struct amx_tile *tile = amx_tile(number);

    for (unsigned row = 0; row < tile->rows; row++) {
        memcpy((uint8_t *)base + (ptrdiff_t)row * step, tile->bytes[row], tile->columns);
    }
}

/* sum[m][n] += the four products of a[m][k] (unsigned) and b[k][n] (signed), over all k */
static void amx_dot(int sum_number, int a_number, int b_number)
{
    struct amx_tile *sum = amx_tile(sum_number);
    const struct amx_tile *a = amx_tile(a_number), *b = amx_tile(b_number);

    if (sum_number == a_number || sum_number == b_number || a_number == b_number) {
        amx_fault("one tile for two operands");
    }
    if (sum->rows != a->rows || sum->columns != b->columns || a->columns % 4 != 0 ||
        b->columns % 4 != 0 || b->rows != a->columns / 4) {
        amx_fault("shapes that do not belong together");
    }
    for (unsigned m = 0; m < a->rows; m++) {
        for (unsigned n = 0; n < b->columns / 4; n++) {
            uint32_t total;

            memcpy(&total, &sum->bytes[m][4 * n], sizeof(total));
            for (unsigned k = 0; k < a->columns; k++) {
                total += (uint32_t)(a->bytes[m][k] * (int8_t)b->bytes[k / 4][4 * n + k % 4]);
            }
            memcpy(&sum->bytes[m][4 * n], &total, sizeof(total));
        }
    }
}

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbusd
#define _tile_loadconfig(memory)       amx_load_config(memory)
#define _tile_release()                amx_release()
#define _tile_loadd(tile, base, step)  amx_load(tile, base, (ptrdiff_t)(step))
#define _tile_stored(tile, base, step) amx_store(tile, base, (ptrdiff_t)(step))
#define _tile_dpbusd(sum, a, b)        amx_dot(sum, a, b)

#endif
