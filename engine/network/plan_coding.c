/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* What codes stand for and as which bytes they lie in the arena. It knows no layer but its output.
 */
#include "engine/network/plan_internal.h"

#include <math.h>

/* Above it twice the code does not fit the kernels' 7 bits. */
#define THERMOMETER_DOUBLED_MAX 63u

struct plan_bytes network_code_bytes(struct network_flow flow)
{
    switch (flow.value) {
    case NETWORK_VALUE_TERNARY:
    case NETWORK_VALUE_BINARY:
        return (struct plan_bytes){.offset = 1, .scale = 1, .peak = 2};
    case NETWORK_VALUE_SEVEN:
        return (struct plan_bytes){.offset = 3, .scale = 1, .peak = 6};
    case NETWORK_VALUE_THERMOMETER:
        if (flow.levels <= THERMOMETER_DOUBLED_MAX) {
            return (struct plan_bytes){flow.levels, 1, (uint8_t)(2 * flow.levels), false};
        }
        return (struct plan_bytes){flow.levels, 2, flow.levels, false};
    case NETWORK_VALUE_LOG:
        if (flow.root || flow.bits > 3) {
            return (struct plan_bytes){0, 1, (uint8_t)((1u << flow.bits) - 1), true};
        }
        return (struct plan_bytes){0, 1, (uint8_t)(1u << ((1u << flow.bits) - 2)), false};
    default:
        return (struct plan_bytes){0, 1, 127, false};
    }
}

uint8_t network_code_byte(struct network_flow flow, uint8_t code)
{
    const struct plan_bytes bytes = network_code_bytes(flow);

    switch (flow.value) {
    case NETWORK_VALUE_BINARY:
        return (uint8_t)(2 * code);
    case NETWORK_VALUE_THERMOMETER:
        return bytes.scale == 2 ? code : (uint8_t)(2 * code);
    case NETWORK_VALUE_LOG:
        return bytes.codes || code == 0 ? code : (uint8_t)(1u << (code - 1));
    default:
        return code;
    }
}

uint8_t network_code_pad(struct network_flow flow, uint8_t code)
{
    if (flow.value == NETWORK_VALUE_TERNARY || flow.value == NETWORK_VALUE_SEVEN) {
        return network_code_bytes(flow).offset;
    }
    return network_code_byte(flow, code);
}

float network_code_real(struct network_flow flow, uint8_t byte)
{
    const struct plan_bytes bytes = network_code_bytes(flow);

    if (!bytes.codes) {
        return (float)(bytes.scale * byte - bytes.offset);
    }
    if (byte == 0) {
        return 0;
    }
    if (!flow.root) {
        return ldexpf(1, byte - 1);
    }
    return ldexpf(byte % 2 == 0 ? (float)M_SQRT2 : 1.0f, (byte - 1) / 2);
}
