/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab search: costs are those of the networks that are trained, pictures are held out by
 * class, and a search over drawn pictures keeps its bounds, gives the same bytes for a seed and
 * goes on where it was broken off.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/lab/file.h"
#include "engine/lab/genome.h"
#include "engine/lab/lab.h"
#include "engine/lab/options.h"
#include "engine/lab/recipe.h"
#include "engine/lab/samples.h"
#include "engine/train/train.h"
#include "tests/unit/lab/folder.h"

#define SIDE     16u
#define TRAINING 30u /* pictures of a class; the second has twice as many */
#define MEMORY   1500u
#define BYTES    1200u
#define MACS     60000u

static const char base[] = "[model]\nname = NAME\n"
                           "[input]\nsource = srgb\nwidth = 16\nheight = 16\nplanes = grey\n"
                           "coding = f32\n"
                           "[train]\nrate = 0.01\nepochs = 2\nbatch = 16\n"
                           "[search]\nmemory = 1500\nbytes = 1200\nmacs = 60000\n"
                           "candidates = 8\npopulation = 3\nsample = 2\n";

/* Stripes across or down under noise; the first pixel is the picture's number. */
static void write_picture(const char *split, const char *name, bool across, uint32_t number)
{
    uint8_t bytes[64 + SIDE * SIDE];
    char path[96];
    size_t size = (size_t)snprintf((char *)bytes, 64, "P5 %u %u 255\n", SIDE, SIDE);
    for (uint32_t i = 0; i < SIDE * SIDE; i++) {
        uint32_t stripe = ((across ? i / SIDE : i % SIDE) + number) / 2 % 2;
        bytes[size++] = (uint8_t)(40 + 120 * stripe + train_random(number, across, i) % 60);
    }
    bytes[size - SIDE * SIDE] = (uint8_t)number;
    snprintf(path, sizeof(path), "%s/%s/%03u.pgm", split, name, number);
    assert_int_equal(lab_file_write(at(path), bytes, size), 0);
}

/* candidates: 8, or 9 for one more */
static void write_recipe(const char *name, const char *source, char candidates)
{
    char text[sizeof(base) + 64], path[64];
    const char *spot = strstr(base, "NAME"), *from = strstr(base, "srgb\n");
    snprintf(text, sizeof(text), "%.*s%s%.*s%s%s", (int)(spot - base), base, name,
             (int)(from - spot - 4), spot + 4, source, from + 4);
    snprintf(path, sizeof(path), "%s.ini", name);
    strstr(text, "candidates = 8")[13] = candidates;
    assert_int_equal(lab_file_write(at(path), text, strlen(text)), 0);
}

static int make_pictures(void **state)
{
    static const char *const folders[] = {"train",      "test",      "train/across",
                                          "train/down", "test/down", "test/across"};
    (void)state;
    assert_int_equal(make_root(state), 0);
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        assert_int_equal(mkdir(at(folders[i]), 0700), 0);
    }
    for (uint32_t i = 0; i < 2 * TRAINING; i++) {
        if (i < TRAINING) {
            write_picture("train", "across", true, i);
            write_picture("test", "across", true, 100 + i);
            write_picture("test", "down", false, 100 + i);
        }
        write_picture("train", "down", false, i);
    }
    write_recipe("plain", "srgb", '8');
    write_recipe("codes", "log-gradient\nfloor = 64", '8');
    return 0;
}

/* ---- costs ---- */

/* Counted on the trainer's own shapes and tensors. */
static void assert_costs(const struct lab_genome *genome, const struct lab_genome_cost *cost)
{
    static struct lab_recipe recipe;
    static char layers[LAB_GENOME_RECIPE], text[sizeof(base) + LAB_GENOME_RECIPE];
    const struct train_settings settings = {.batch = 1, .cpu = 0};
    struct train *train;
    struct train_view view;
    uint64_t bytes = 0, macs = 0;
    lab_genome_recipe(genome, 3, layers);
    snprintf(text, sizeof(text), "%s%s", base, layers);
    assert_int_equal(lab_recipe_parse("r.ini", text, strlen(text), &recipe), 0);
    const struct train_network network = {{SIDE, SIDE, 1}, recipe.layer_count, recipe.layers};
    assert_int_equal(train_create(&network, &settings, &train, NULL), 0);
    struct train_shape before = network.input;
    for (uint32_t i = 0; i < recipe.layer_count; i++) {
        const struct train_layer *layer = &recipe.layers[i];
        struct train_shape shape = train_layer_shape(train, i);
        if (train_view(train, i, TRAIN_WEIGHT, &view) == 0) {
            bool conv = layer->operation != TRAIN_DENSE;
            uint64_t places = conv ? (uint64_t)((before.height - 1) / layer->stride[0] + 1) *
                                         ((before.width - 1) / layer->stride[1] + 1)
                                   : 1;
            bytes += view.count + 8 * (uint64_t)shape.channels;
            macs += view.count * places;
        }
        before = shape;
    }
    assert_int_equal(before.channels, 3);
    assert_int_equal(cost->bytes, bytes);
    assert_int_equal(cost->macs, macs);
    train_destroy(train);
}

static void test_costs_are_those_of_the_networks(void **state)
{
    (void)state;
    const struct network_shape input = {SIDE, SIDE, 1};
    struct lab_genome_random random = {7, 1, 0};
    struct lab_genome genome;
    struct lab_genome_cost cost;
    uint32_t fitting = 0;
    lab_genome_random(&random, &genome);
    for (uint32_t i = 0; i < 400; i++) {
        struct lab_genome before = genome;
        if (i % 20 == 0) {
            lab_genome_random(&random, &genome);
        } else {
            lab_genome_mutate(&random, &genome);
        }
        if (!lab_genome_cost(&genome, input, 3, &cost)) {
            genome = before;
            continue;
        }
        fitting++;
        assert_costs(&genome, &cost);
    }
    assert_true(fitting > 200);
}

static void test_memory_and_text_of_a_network_done_by_hand(void **state)
{
    (void)state;
    const struct lab_genome genome = {
        .block_count = 2,
        .blocks = {{.kernel = 3, .stride = 2, .channels = 10, .pool = true},
                   {.separable = true, .kernel = 5, .stride = 1, .channels = 40}},
        .mean = 2,
        .hidden = 12};
    struct lab_genome_cost cost;
    char text[LAB_GENOME_TEXT];
    assert_true(lab_genome_cost(&genome, (struct network_shape){16, 16, 2}, 2, &cost));
    assert_int_equal(cost.memory, 512 + 640);
    assert_int_equal(cost.bytes, 180 + 80 + 250 + 80 + 400 + 320 + 1920 + 96 + 24 + 16);
    assert_int_equal(cost.macs, 64 * 180 + 16 * 250 + 16 * 400 + 1920 + 24);
    lab_genome_write(&genome, text);
    assert_string_equal(text, "conv3x10/2p sep5x40 mean2 dense12");
    assert_false(lab_genome_cost(&genome, (struct network_shape){16, 3, 2}, 2, &cost));
}

/* ---- holding out ---- */

static void test_the_last_of_each_class_is_held_out(void **state)
{
    (void)state;
    struct kernel_table kernels;
    struct lab_samples samples, held;
    const struct network_input input = {
        .target = {.width = SIDE, .height = SIDE, .channels = 1},
        .front = {.source = GRADIENT_SOURCE_SRGB, .planes = 1, .coding = GRADIENT_CODING_F32}};
    kernel_table_init(&kernels, kernel_cpu_detect());
    assert_int_equal(lab_samples_init(&samples, at("train"), &input, &kernels), 0);
    assert_int_equal(lab_samples_hold_out(&samples, TRAINING + 1, &held), -EINVAL);
    assert_int_equal(samples.tree.file_count, 3 * TRAINING);
    assert_int_equal(lab_samples_hold_out(&samples, 5, &held), 0);
    assert_int_equal(samples.tree.file_count, 72);
    assert_int_equal(held.tree.file_count, 18);
    assert_string_equal(held.tree.classes[1], "down");
    const struct lab_samples *both[] = {&samples, &held};
    uint32_t seen[2] = {0};
    for (size_t s = 0; s < 2; s++) {
        for (uint32_t i = 0; i < both[s]->tree.file_count; i++) {
            uint32_t label = both[s]->labels[i];
            uint32_t number = (both[s]->planes[i * both[s]->values] + 128u) / 257u;
            assert_int_equal(number, seen[label]++); /* in order, so the last are held out */
            assert_int_equal(both[s]->whites[i], 65535);
        }
    }
    assert_int_equal(seen[0], TRAINING);
    assert_int_equal(seen[1], 2 * TRAINING);
    lab_samples_finish(&samples);
    lab_samples_finish(&held);
}

/* ---- searches ---- */

static int search(const char *out, const char *seed, bool resume)
{
    static const struct lab_command command = {.name = "search"};
    struct lab_args args = {.command = &command, .operands = {at("codes.ini"), at("plain.ini")}};
    args.values[LAB_OPTION_DATA] = at("train");
    args.values[LAB_OPTION_TEST] = at("test");
    args.values[LAB_OPTION_OUT] = at(out);
    args.values[LAB_OPTION_SEED] = seed;
    args.values[LAB_OPTION_THREADS] = "1";
    args.values[LAB_OPTION_RESUME] = resume ? "" : NULL;
    return lab_search(&args);
}

/* The caller frees it. */
static char *text_of(const char *directory, const char *name)
{
    char path[128];
    uint8_t *bytes;
    size_t size;
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    assert_int_equal(lab_file_read(at(path), 1 << 20, &bytes, &size), 0);
    char *text = strndup((char *)bytes, size);
    free(bytes);
    return text;
}

static void assert_same_file(const char *a, const char *b, const char *name)
{
    char *first = text_of(a, name), *second = text_of(b, name);
    assert_string_equal(first, second);
    free(first);
    free(second);
}

static const char *const results[] = {"codes.csv",       "plain.csv", "codes-front.csv",
                                      "plain-front.csv", "report.md", "search.gp"};

static void test_search_keeps_its_bounds(void **state)
{
    (void)state;
    assert_int_equal(search("a", "5", false), LAB_EXIT_OK);
    for (size_t f = 0; f < 2; f++) {
        char *text = text_of("a", results[f]);
        const char *row = strchr(text, '\n') + 1;
        uint32_t rows = 0;
        for (; *row; row = strchr(row, '\n') + 1) {
            unsigned number, memory, bytes, macs;
            double error, test;
            assert_int_equal(sscanf(row, "%u,%*[^,],%u,%u,%u,%lf,%lf", &number, &memory, &bytes,
                                    &macs, &error, &test),
                             6);
            assert_int_equal(number, ++rows);
            assert_true(memory <= MEMORY && bytes <= BYTES && macs <= MACS);
            assert_true(error >= 0 && error <= 1 && test >= 0 && test <= 1);
        }
        assert_int_equal(rows, 8);
        free(text);
    }
    for (size_t f = 2; f < 4; f++) {
        char *text = text_of("a", results[f]);
        const char *row = strchr(text, '\n') + 1;
        unsigned last_bytes = 0;
        double last_error = 2;
        assert_true(*row != '\0');
        for (; *row; row = strchr(row, '\n') + 1) {
            unsigned bytes;
            double error;
            assert_int_equal(sscanf(row, "%u,%lf", &bytes, &error), 2);
            assert_true(bytes > last_bytes && error < last_error);
            last_bytes = bytes;
            last_error = error;
        }
        free(text);
    }
}

static void test_same_seed_same_bytes(void **state)
{
    (void)state;
    assert_int_equal(search("again", "5", false), LAB_EXIT_OK);
    for (size_t f = 0; f < sizeof(results) / sizeof(results[0]); f++) {
        assert_same_file("a", "again", results[f]);
    }
    assert_int_equal(search("other", "6", false), LAB_EXIT_OK);
    char *a = text_of("a", "codes.csv"), *other = text_of("other", "codes.csv");
    assert_string_not_equal(a, other);
    free(a);
    free(other);
}

static void test_broken_off_search_goes_on_to_the_same_bytes(void **state)
{
    (void)state;
    char *rows = text_of("again", "codes.csv");
    size_t cut = strlen(rows) / 2; /* within a row */
    assert_int_equal(lab_file_write(at("again/codes.csv"), rows, cut), 0);
    assert_int_equal(unlink(at("again/plain.csv")), 0);
    free(rows);
    assert_int_equal(search("again", "5", false), LAB_EXIT_FAILED);
    assert_int_equal(search("again", "6", true), LAB_EXIT_FAILED);
    assert_int_equal(search("again", "5", true), LAB_EXIT_OK);
    for (size_t f = 0; f < sizeof(results) / sizeof(results[0]); f++) {
        assert_same_file("a", "again", results[f]);
    }
}

static void test_search_goes_on_to_more_candidates(void **state)
{
    (void)state;
    write_recipe("plain", "srgb", '9');
    write_recipe("codes", "log-gradient\nfloor = 64", '9');
    assert_int_equal(search("again", "5", true), LAB_EXIT_OK);
    char *before = text_of("a", "codes.csv"), *after = text_of("again", "codes.csv");
    assert_int_equal(strncmp(after, before, strlen(before)), 0);
    assert_int_equal(strncmp(after + strlen(before), "9,", 2), 0);
    free(before);
    free(after);
    write_recipe("plain", "srgb\nfit = stretch", '9');
    assert_int_equal(search("again", "5", true), LAB_EXIT_FAILED);
    write_recipe("plain", "srgb", '9');
}

static void test_changed_rows_are_refused(void **state)
{
    (void)state;
    char *rows = text_of("again", "codes.csv");
    char *network = strstr(rows, "x");
    assert_non_null(network);
    network[1] = network[1] == '9' ? '8' : '9';
    assert_int_equal(lab_file_write(at("again/codes.csv"), rows, strlen(rows)), 0);
    free(rows);
    assert_int_equal(search("again", "5", true), LAB_EXIT_FAILED);
}

static void test_recipes_that_cannot_be_searched(void **state)
{
    (void)state;
    char text[sizeof(base) + 128];
    write_recipe("plain", "srgb", '8');
    snprintf(text, sizeof(text), "%s[layer x]\nop = conv\nout = 2\nkernel = 1\n", base);
    assert_int_equal(lab_file_write(at("codes.ini"), text, strlen(text)), 0);
    assert_int_equal(search("none", "5", false), LAB_EXIT_FAILED);
    memcpy(text, base, sizeof(base));
    memcpy(strstr(text, "memory = 1500"), "memory = 0200", 13); /* below the input's 256 bytes */
    assert_int_equal(lab_file_write(at("codes.ini"), text, strlen(text)), 0);
    assert_int_equal(search("none", "5", false), LAB_EXIT_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_costs_are_those_of_the_networks),
        cmocka_unit_test(test_memory_and_text_of_a_network_done_by_hand),
        cmocka_unit_test(test_the_last_of_each_class_is_held_out),
        cmocka_unit_test(test_search_keeps_its_bounds),
        cmocka_unit_test(test_same_seed_same_bytes),
        cmocka_unit_test(test_broken_off_search_goes_on_to_the_same_bytes),
        cmocka_unit_test(test_search_goes_on_to_more_candidates),
        cmocka_unit_test(test_changed_rows_are_refused),
        cmocka_unit_test(test_recipes_that_cannot_be_searched),
    };
    return cmocka_run_group_tests(tests, make_pictures, remove_root);
}
