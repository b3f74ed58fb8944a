/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * network_model_load on any bytes: an error has a reason; what loads can be written, loaded again,
 * planned, and, when it is small, run with the same scores by portable C and by the best kernels.
 * Input that starts with a brace is taken as header text, NUL and data, and gets its length in
 * front, so that a fuzzer can change the text's length.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/network/model.h"

#define SMALL_BYTES (1u << 20)
#define SMALL_MACS  (1u << 21)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int condition)
{
    if (!condition) {
        abort();
    }
}

static void *take(size_t size)
{
    void *memory = aligned_alloc(64, (size + 63) / 64 * 64);

    check(memory != NULL);
    return memory;
}

static uint8_t *codes_for(const struct network_input *input)
{
    const struct network_shape shape = network_input_shape(input);
    const size_t count = (size_t)shape.height * shape.width * shape.channels;
    const uint8_t coding = input->front.coding;
    uint8_t *codes = malloc(count * gradient_code_size(&input->front));

    check(codes != NULL);
    for (size_t i = 0; i < count; i++) {
        uint32_t mixed = (uint32_t)i * 2654435761u >> 16;

        if (coding == GRADIENT_CODING_F32) {
            float value = (float)mixed / 32768 - 1;

            memcpy(codes + i * sizeof value, &value, sizeof value);
        } else {
            codes[i] = coding == GRADIENT_CODING_U7        ? (uint8_t)(mixed % 128)
                       : coding == GRADIENT_CODING_TERNARY ? (uint8_t)(mixed % 3 - 1)
                       : coding == GRADIENT_CODING_SEVEN
                           ? (uint8_t)(mixed % 7 - 3)
                           : (uint8_t)(mixed % (input->front.levels + 1u));
        }
    }
    return codes;
}

static void run(const struct network_model *model, uint32_t point, uint32_t cpu, int32_t *scores)
{
    struct kernel_table kernels;
    struct network_plan *plan;

    kernel_table_init(&kernels, cpu);
    check(network_plan_create(model, point, 1, &kernels, &plan) == 0);
    size_t bytes = network_plan_arena_bytes(plan);
    if (bytes <= SMALL_BYTES && network_plan_macs(plan) <= SMALL_MACS) {
        uint8_t *codes = codes_for(network_model_input(model, point));
        void *arena = take(bytes);

        network_run(plan, arena, codes, scores);
        free(arena);
        free(codes);
    }
    network_plan_destroy(plan);
}

static void check_model(const struct network_model *model)
{
    const uint32_t labels = network_model_labels(model);
    int32_t *plain = calloc(labels, sizeof *plain), *best = calloc(labels, sizeof *best);
    void *bytes;
    size_t size;

    check(plain != NULL && best != NULL);
    for (uint32_t point = 0; point < network_model_points(model); point++) {
        check(gradient_spec_check(&network_model_input(model, point)->front) == 0);
        run(model, point, 0, plain);
        run(model, point, kernel_cpu_detect(), best);
        check(memcmp(plain, best, labels * sizeof *plain) == 0);
    }
    free(plain);
    free(best);

    struct network_model *again;
    check(network_model_write(network_model_describe(model), &bytes, &size, NULL) == 0);
    check(network_model_load(bytes, size, &again, NULL) == 0);
    check(strcmp(network_model_name(model), network_model_name(again)) == 0);
    network_model_destroy(again);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct network_model *model = NULL;
    const char *reason = NULL;
    uint8_t *file = NULL;
    const uint8_t *end = size > 0 && data[0] == '{' ? memchr(data, 0, size) : NULL;

    if (end != NULL) {
        size_t header = (size_t)(end - data), rest = size - header - 1;

        file = malloc(8 + header + rest);
        check(file != NULL);
        for (unsigned i = 0; i < 8; i++) {
            file[i] = (uint8_t)((uint64_t)header >> 8 * i);
        }
        memcpy(file + 8, data, header);
        memcpy(file + 8 + header, end + 1, rest);
        data = file;
        size = 8 + header + rest;
    }
    if (network_model_load(data, size, &model, &reason) == 0) {
        check_model(model);
        network_model_destroy(model);
    } else {
        check(model == NULL && reason != NULL && reason[0] != '\0');
    }
    free(file);
    return 0;
}
