/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Recipes: what the shipped ones say, and that every mistake is told with its file and line. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/lab/file.h"
#include "engine/lab/recipe.h"

#define TEXT_MAX 4096u

/* Parses and returns what was told on standard error. */
static char *told(const char *text, int expected)
{
    static char message[1024];
    static struct lab_recipe recipe;
    FILE *file = tmpfile();
    int kept = dup(STDERR_FILENO);
    assert_non_null(file);
    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);
    int r = lab_recipe_parse("r.ini", text, strlen(text), &recipe);
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(file);
    message[fread(message, 1, sizeof(message) - 1, file)] = '\0';
    fclose(file);
    if (r != expected) {
        fail_msg("got %d (%s) for:\n%s", r, message, text);
    }
    return message;
}

static const char good[] = "[model]\n" /* line 1 */
                           "name = x\n"
                           "[input]\n" /* 3 */
                           "source = log-gradient\n"
                           "width = 16\n"
                           "height = 8\n" /* 6 */
                           "planes = grey\n"
                           "coding = ternary\n"
                           "ratio = 9/8\n"
                           "floor = 64\n" /* 10 */
                           "[layer c1]\n"
                           "op = conv\n" /* 12 */
                           "out = 8\n"
                           "kernel = 3x5\n"
                           "norm = yes\n"  /* 15 */
                           "[layer fc]\n"  /* 16 */
                           "op = dense\n"  /* 17 */
                           "out = 2\n"     /* 18 */
                           "[train]\n"     /* 19 */
                           "rate = 0.01\n" /* 20 */
                           "epochs = 3\n"; /* 21 */

/* `recipe` with the first `from` replaced. */
static char *changed_in(const char *recipe, const char *from, const char *to)
{
    static char text[TEXT_MAX];
    const char *at = strstr(recipe, from);
    assert_non_null(at);
    snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - recipe), recipe, to, at + strlen(from));
    return text;
}

static char *changed(const char *from, const char *to)
{
    return changed_in(good, from, to);
}

static void test_good_recipe_and_its_defaults(void **state)
{
    (void)state;
    static struct lab_recipe recipe;
    assert_int_equal(lab_recipe_parse("r.ini", good, strlen(good), &recipe), 0);
    assert_string_equal(recipe.name, "x");
    assert_int_equal(recipe.input.target.width, 16);
    assert_int_equal(recipe.input.target.height, 8);
    assert_int_equal(recipe.input.target.channels, IMAGE_GREY);
    assert_int_equal(recipe.input.front.planes, 1);
    assert_int_equal(recipe.input.front.floor, 64);
    assert_int_equal(recipe.input.front.ratio[0].p, 9);
    assert_int_equal(recipe.layer_count, 2);
    const struct train_layer *conv = &recipe.layers[0], *dense = &recipe.layers[1];
    assert_string_equal(recipe.names[0], "c1");
    assert_int_equal(conv->kernel[0], 3);
    assert_int_equal(conv->kernel[1], 5);
    assert_int_equal(conv->stride[1], 1);
    assert_int_equal(conv->activation, TRAIN_RELU);
    assert_true(conv->norm && !conv->bias && dense->bias);
    assert_int_equal(conv->weights.kind, TRAIN_S8);
    assert_int_equal(conv->output.kind, TRAIN_U7);
    assert_int_equal(dense->activation, TRAIN_LINEAR);
    assert_int_equal(dense->output.kind, TRAIN_F32);
    assert_int_equal(recipe.optimiser.rule, TRAIN_ADAM);
    assert_int_equal(recipe.batch, 64);
    assert_true(recipe.final == recipe.rate / 100);
}

/* One layer of every operation and coding. */
static const char branches[] = "[model]\n" /* line 1 */
                               "name = x\n"
                               "[input]\n"
                               "source = srgb\n"
                               "width = 16\n" /* 5 */
                               "height = 16\n"
                               "planes = rgb\n"
                               "coding = f32\n"
                               "[layer first]\n" /* 0: f32 weights, as it reads no codes */
                               "op = conv\n"     /* 10 */
                               "out = 8\n"
                               "kernel = 3\n"
                               "[layer deep]\n" /* 1 */
                               "op = depthwise\n"
                               "kernel = 3\n" /* 15 */
                               "pad = 1\n"
                               "norm = yes\n"
                               "weights = log:4:sqrt2\n"
                               "activation = none\n" /* then f32 */
                               "[layer sum]\n"       /* 2, line 20 */
                               "op = add\n"
                               "with = first\n"
                               "pool = 2\n"
                               "output = ternary\n"
                               "[layer bits]\n" /* 3, line 25 */
                               "op = conv\n"
                               "out = 8\n"
                               "kernel = 1\n"
                               "weights = binary\n"
                               "output = log:3\n" /* 30 */
                               "[layer side]\n"   /* 4 */
                               "op = conv\n"
                               "out = 4\n"
                               "kernel = 1\n"
                               "input = sum\n"  /* 35 */
                               "[layer mean]\n" /* 5 */
                               "op = globalavgpool\n"
                               "input = bits\n"
                               "[layer fc]\n" /* 6 */
                               "op = dense\n" /* 40 */
                               "out = 2\n"
                               "[quantise]\n"
                               "weights = ternary\n"
                               "gradients = linear:5\n"
                               "[train]\n"
                               "rate = 0.01\n"
                               "epochs = 3\n"
                               "[augment]\n"
                               "exposure = 1.5\n";

static void assert_layer(const struct train_layer *layer, uint8_t weights, uint8_t output,
                         uint8_t activation)
{
    assert_int_equal(layer->weights.kind, weights);
    assert_int_equal(layer->output.kind, output);
    assert_int_equal(layer->activation, activation);
}

static void test_layers_say_their_codings(void **state)
{
    (void)state;
    static struct lab_recipe recipe;
    assert_int_equal(lab_recipe_parse("r.ini", branches, strlen(branches), &recipe), 0);
    const struct train_layer *layers = recipe.layers;
    assert_int_equal(recipe.layer_count, 7);
    assert_layer(&layers[0], TRAIN_F32, TRAIN_U7, TRAIN_RELU);
    assert_layer(&layers[1], TRAIN_LOG, TRAIN_F32, TRAIN_LINEAR);
    assert_int_equal(layers[1].weights.bits, 4);
    assert_true(layers[1].weights.root);
    assert_int_equal(layers[1].weights.fsr, TRAIN_FSR_TRACKED);
    assert_layer(&layers[2], TRAIN_F32, TRAIN_TERNARY, TRAIN_HARD_TANH);
    assert_int_equal(layers[2].operation, TRAIN_ADD);
    assert_int_equal(layers[2].input, 0);
    assert_int_equal(layers[2].other, 1);
    assert_false(layers[2].bias);
    assert_layer(&layers[3], TRAIN_BINARY, TRAIN_LOG, TRAIN_RELU);
    assert_int_equal(layers[3].output.bits, 3);
    assert_false(layers[3].output.root);
    assert_layer(&layers[4], TRAIN_TERNARY, TRAIN_U7, TRAIN_RELU);
    assert_int_equal(layers[4].input, 1);
    assert_layer(&layers[5], TRAIN_F32, TRAIN_F32, TRAIN_LINEAR);
    assert_int_equal(layers[5].input, 1);
    assert_layer(&layers[6], TRAIN_F32, TRAIN_F32, TRAIN_LINEAR);
    assert_true(recipe.stops == 1.5f);
    assert_int_equal(recipe.gradients.kind, TRAIN_LEVELS);
    assert_int_equal(recipe.gradients.bits, 5);
    assert_int_equal(recipe.gradients.fsr, TRAIN_FSR_TRACKED);
}

static void test_thermometer_inputs(void **state)
{
    (void)state;
    static struct lab_recipe recipe;
    char *text =
        changed_in(branches, "coding = f32", "coding = thermometer\nlevels = 41\neven = yes");
    assert_int_equal(lab_recipe_parse("r.ini", text, strlen(text), &recipe), 0);
    assert_int_equal(recipe.input.front.coding, GRADIENT_CODING_THERMOMETER);
    assert_int_equal(recipe.input.front.levels, 41);
    assert_true(recipe.input.front.even);
    assert_layer(&recipe.layers[0], TRAIN_TERNARY, TRAIN_U7, TRAIN_RELU); /* it reads codes now */
    text = changed_in(branches, "coding = f32", "coding = thermometer");
    assert_non_null(strstr(told(text, -EINVAL), "'levels' belongs to coding = thermometer"));
    text = changed_in(branches, "coding = f32", "coding = f32\nlevels = 41");
    assert_non_null(strstr(told(text, -EINVAL), "'levels' belongs to coding = thermometer"));
    text = changed_in(branches, "coding = f32", "coding = thermometer\nlevels = 40");
    assert_non_null(strstr(told(text, -EINVAL), "do not fit together"));
}

static void test_mistakes_of_layers(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *message;
    } cases[] = {
        {"with = first\n", "", "r.ini:20: add needs 'with'"},
        {"with = first", "with = bits", "r.ini:22: with: no layer 'bits' before this one"},
        {"with = first", "with = sum", "r.ini:22: with: no layer 'sum' before this one"},
        {"input = sum", "input = none", "r.ini:35: input: no layer 'none' before this one"},
        {"input = sum", "with = sum", "r.ini:35: conv takes no 'with'"},
        {"binary", "u7", "r.ini:29: weights: expected f32, s8, ternary, binary, log:BITS"},
        {"output = ternary", "output = s8", "r.ini:24: output: expected f32, u7, ternary, binary"},
        {"log:3", "linear", "r.ini:30: output: expected"},
        {"log:3", "linear:1", "r.ini:30: output: expected"},
        {"log:3", "linear:3:sqrt2", "r.ini:30: output: expected"},
        {"log:3", "log:6", "r.ini:30: output: expected"},
        {"log:3", "log", "r.ini:30: output: expected"},
        {"log:3", "log:3:", "r.ini:30: output: expected"},
        {"log:3", "log:3:sqrt3", "r.ini:30: output: expected"},
        {"[layer fc]\n", "[layer fc]\noutput = u7\n", "r.ini:39: the last layer is dense"},
        {"[layer fc]\n", "[layer fc]\nactivation = relu\n", "r.ini:39: the last layer is dense"},
        {"exposure = 1.5", "exposure = 9", "r.ini:49: exposure: expected a number from 0 to 8"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *text = changed_in(branches, cases[i].from, cases[i].to);
        const char *message = told(text, -EINVAL);
        if (strstr(message, cases[i].message) == NULL) {
            fail_msg("'%s' for '%s' is told as: %s", cases[i].message, cases[i].to, message);
        }
    }
}

static void test_shipped_recipes_are_good(void **state)
{
    (void)state;
    static const char *const names[] = {"cifar10-lg3", "cifar10-log", "person", "person-srgb"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        static struct lab_recipe recipe;
        char path[512];
        uint8_t *bytes;
        size_t size;
        snprintf(path, sizeof(path), "%s/engine/models/recipes/%s.ini", SOURCE_ROOT, names[i]);
        assert_int_equal(lab_file_read(path, LAB_RECIPE_BYTES_MAX, &bytes, &size), 0);
        assert_int_equal(lab_recipe_parse(path, (const char *)bytes, size, &recipe), 0);
        assert_string_equal(recipe.name, names[i]);
        free(bytes);
    }
}

static void test_mistakes_are_told_with_file_and_line(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *message;
    } cases[] = {
        {"[model]\n", "", "r.ini:1: 'name' stands before any section"},
        {"name = x\n", "", "r.ini:1: [model] needs 'name'"},
        {"name = x", "name = a b", "r.ini:2: name: expected at most 64 of A-Z"},
        {"name = x", "name =", "r.ini:2: name: expected"},
        {"name = x", "name", "r.ini:2: neither [section], key = value nor # comment"},
        {"name = x", "name : x", "r.ini:2: neither [section], key = value nor # comment"},
        {"name = x", "name = x ; y", "r.ini:2: a comment needs a line of its own"},
        {"name = x", " name = x", "r.ini:2: keys and sections start at the margin"},
        {"name = x", "name = \x01", "r.ini:2: the line holds the control character 0x01"},
        {"[input]", "[inputs]", "r.ini:3: sections are [model], [input]"},
        {"[input]", "[input", "r.ini:3: a section is [section]"},
        {"[input]", "[input x]", "r.ini:3: sections are"},
        {"[input]\n", "[model]\n", "r.ini:3: [model] appears twice, first in line 1"},
        {"width = 16", "width = 16\nwidth = 16", "r.ini:6: 'width' appears twice, first in line 5"},
        {"width = 16", "width = 4097", "r.ini:5: width: expected a whole number from 1 to 4096"},
        {"width = 16", "width = -1", "r.ini:5: width: expected a whole number"},
        {"width = 16", "width = 99999999999999999999", "r.ini:5: width: expected"},
        {"width = 16", "depth = 16", "r.ini:5: [input] takes no 'depth'"},
        {"width = 16\n", "", "r.ini:3: [input] needs 'width'"},
        {"planes = grey", "planes = red", "r.ini:7: planes: expected grey, rgb, got 'red'"},
        {"coding = ternary", "coding = f", "r.ini:8: coding: expected ternary, seven, f32"},
        {"coding = ternary", "coding = seven", "r.ini:3: source, coding, merge and ratio do not"},
        {"log-gradient", "srgb", "r.ini:3: srgb is trained with coding = f32"},
        {"ratio = 9/8", "ratio = 9/8 5/4", "r.ini:9: ratio: expected P/Q"},
        {"ratio = 9/8", "ratio = 8/9", "r.ini:3: source, coding, merge and ratio do not"},
        {"floor = 64\n", "", "r.ini:3: log-gradient needs 'floor'"},
        {"[layer c1]", "[layer C1]", "r.ini:11: a layer's name has 1 to 32 of a-z 0-9 _"},
        {"[layer c1]", "[layer]", "r.ini:11: sections are"},
        {"[layer fc]", "[layer c1]", "r.ini:16: there is a layer 'c1' already"},
        {"op = conv\n", "", "r.ini:11: [layer] needs 'op'"},
        {"out = 8\n", "", "r.ini:11: conv needs 'out'"},
        {"kernel = 3x5\n", "", "r.ini:11: conv needs 'kernel'"},
        {"kernel = 3x5", "kernel = 3x", "r.ini:14: kernel: expected N or RxC, each from 1 to 31"},
        {"kernel = 3x5", "kernel = 3x5x7", "r.ini:14: kernel: expected N or RxC"},
        {"norm = yes", "norm = true",
         "r.ini:15: norm: expected no, yes, amplify, suppress, center, nlms, got 'true'"},
        {"op = dense", "op = dense\npad = 1", "r.ini:18: dense takes no 'pad'"},
        {"op = dense", "op = conv\nkernel = 1", "r.ini:16: the last layer is dense, without"},
        {"rate = 0.01", "rate = 0", "r.ini:20: rate: expected a number from 1e-09 to 100"},
        {"rate = 0.01", "rate = nan", "r.ini:20: rate: expected a number"},
        {"rate = 0.01\n", "", "r.ini:19: [train] needs 'rate'"},
        {"epochs = 3", "epochs = 3\nwarmup = 3", "r.ini:19: warmup takes all epochs"},
        {"epochs = 3", "epochs = 3\n[quantise]\ngradients = s8",
         "r.ini:23: gradients: expected f32, log:BITS, log:BITS:sqrt2 or linear:BITS"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *text = changed(cases[i].from, cases[i].to);
        const char *message = told(text, -EINVAL);
        if (strstr(message, cases[i].message) == NULL || strchr(message, '\n')[1] != '\0') {
            fail_msg("'%s' for '%s' is told as: %s", cases[i].message, cases[i].to, message);
        }
    }
}

static void test_long_lines_and_empty_files(void **state)
{
    (void)state;
    char line[512];
    snprintf(line, sizeof(line), "name = %0400d", 0);
    assert_non_null(
        strstr(told(changed("name = x", line), -EINVAL), "r.ini:2: the line is longer"));
    assert_non_null(strstr(told("", -EINVAL), "r.ini:0: no [layer NAME]"));
    assert_non_null(strstr(told("# nothing", -EINVAL), "r.ini:1: no [layer NAME]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_recipe_and_its_defaults),
        cmocka_unit_test(test_layers_say_their_codings),
        cmocka_unit_test(test_thermometer_inputs),
        cmocka_unit_test(test_mistakes_of_layers),
        cmocka_unit_test(test_shipped_recipes_are_good),
        cmocka_unit_test(test_mistakes_are_told_with_file_and_line),
        cmocka_unit_test(test_long_lines_and_empty_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
