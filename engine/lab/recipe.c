/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * From the text of a recipe to its struct: one table of keys (recipe_values.c reads their values)
 * and what follows from them. libinih splits keys from values; every line is checked before libinih
 * sees it. Shapes are left to the trainer.
 */
#include "engine/lab/recipe.h"

#include <errno.h>
#include <ini.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lab/lab.h"
#include "engine/lab/recipe_values.h"

#define TITLE_BYTES 64u

#define GIVEN_ACTIVATION 1u
#define GIVEN_WEIGHTS    2u
#define GIVEN_OUTPUT     4u

enum section { MODEL = 0, INPUT, LAYER, QUANTISE, TRAIN, AUGMENT, SEARCH, SECTION_COUNT };

static const char *const titles[SECTION_COUNT] = {"model", "input",   "layer", "quantise",
                                                  "train", "augment", "search"};

#define CONV     (1u << TRAIN_CONV)
#define DEPTH    (1u << TRAIN_DEPTHWISE)
#define DENSE    (1u << TRAIN_DENSE)
#define POOL     (1u << TRAIN_AVERAGE_POOL)
#define ADD      (1u << TRAIN_ADD)
#define WEIGHTED (CONV | DEPTH | DENSE)
#define ALL      0xffu

/* In the order of their enumerations. */
static const char *const operations[] = {"conv",          "depthwise", "dense", "avgpool",
                                         "globalavgpool", "add",       NULL};
static const char *const sources[] = {"log-gradient", "srgb", NULL};
static const char *const planes[] = {"", "grey", "", "rgb", NULL};
static const char *const fits[] = {"cover", "contain", "stretch", NULL};
static const char *const codings[] = {"ternary", "seven", "", "f32", "thermometer", NULL};
static const char *const merges[] = {"all", "strongest", NULL};
static const char *const weights[] = {"f32", "s8", "", "ternary", "binary", NULL};
static const char *const outputs[] = {"f32", "", "u7", "ternary", "binary", NULL};
static const char *const gradients[] = {"f32", NULL};
static const char *const activations[] = {"none", "relu", "hard-tanh", NULL};
static const char *const norms[] = {"no", "yes", "amplify", "suppress", "center", "nlms", NULL};
static const char *const losses[] = {"softmax", "squared-hinge", NULL};
static const char *const rules[] = {"sgd", "adam", NULL};
static const char *const precisions[] = {"f32", "bf16", NULL};
static const char *const schedules[] = {"constant", "cosine", "exponential", NULL};

#define AT(type, field) offsetof(type, field), sizeof(((type *)0)->field)
#define R(field)        AT(struct lab_recipe, field)
#define L(field)        AT(struct train_layer, field)

static const struct lab_recipe_key keys[] = {
    {"name", MODEL, LAB_VALUE_NAME, true, 0, R(name), 0, 0, NULL},
    {"source", INPUT, LAB_VALUE_WORD, true, 0, R(input.front.source), 0, 0, sources},
    {"width", INPUT, LAB_VALUE_COUNT, true, 0, R(input.target.width), 1, 4096, NULL},
    {"height", INPUT, LAB_VALUE_COUNT, true, 0, R(input.target.height), 1, 4096, NULL},
    {"planes", INPUT, LAB_VALUE_WORD, true, 0, R(input.front.planes), 0, 0, planes},
    {"fit", INPUT, LAB_VALUE_WORD, false, 0, R(input.target.fit), 0, 0, fits},
    {"coding", INPUT, LAB_VALUE_WORD, true, 0, R(input.front.coding), 0, 0, codings},
    {"levels", INPUT, LAB_VALUE_COUNT, false, 0, R(input.front.levels), 1, 127, NULL},
    {"even", INPUT, LAB_VALUE_FLAG, false, 0, R(input.front.even), 0, 0, NULL},
    {"merge", INPUT, LAB_VALUE_WORD, false, 0, R(input.front.merge), 0, 0, merges},
    {"ratio", INPUT, LAB_VALUE_RATIOS, false, 0, R(input.front.ratio), 0, 0, NULL},
    {"floor", INPUT, LAB_VALUE_COUNT, false, 0, R(input.front.floor), 1, 65535, NULL},
    {"op", LAYER, LAB_VALUE_WORD, true, ALL, L(operation), 0, 0, operations},
    {"out", LAYER, LAB_VALUE_COUNT, false, CONV | DENSE, L(out), 1, TRAIN_CHANNELS_MAX, NULL},
    {"kernel", LAYER, LAB_VALUE_PAIR, false, CONV | DEPTH | POOL, L(kernel), 1, TRAIN_KERNEL_MAX,
     NULL},
    {"stride", LAYER, LAB_VALUE_PAIR, false, CONV | DEPTH | POOL, L(stride), 1, TRAIN_KERNEL_MAX,
     NULL},
    {"pad", LAYER, LAB_VALUE_PAIR, false, CONV | DEPTH, L(pad), 0, TRAIN_KERNEL_MAX, NULL},
    {"pool", LAYER, LAB_VALUE_PAIR, false, CONV | DEPTH | ADD, L(pool), 1, TRAIN_KERNEL_MAX, NULL},
    {"norm", LAYER, LAB_VALUE_WORD, false, WEIGHTED | ADD, L(norm), 0, 0, norms},
    {"activation", LAYER, LAB_VALUE_WORD, false, WEIGHTED | ADD, L(activation), 0, 0, activations},
    {"weights", LAYER, LAB_VALUE_CODING, false, WEIGHTED, L(weights), 0, 0, weights},
    {"output", LAYER, LAB_VALUE_CODING, false, WEIGHTED | ADD, L(output), 0, 0, outputs},
    {"input", LAYER, LAB_VALUE_LAYER, false, ALL, L(input), 0, 0, NULL},
    {"with", LAYER, LAB_VALUE_LAYER, false, ADD, L(other), 0, 0, NULL},
    {"weights", QUANTISE, LAB_VALUE_CODING, false, 0, R(weights), 0, 0, weights},
    {"activations", QUANTISE, LAB_VALUE_CODING, false, 0, R(activations), 0, 0, outputs},
    {"gradients", QUANTISE, LAB_VALUE_CODING, false, 0, R(gradients), 0, 0, gradients},
    {"loss", TRAIN, LAB_VALUE_WORD, false, 0, R(loss), 0, 0, losses},
    {"optimiser", TRAIN, LAB_VALUE_WORD, false, 0, R(optimiser.rule), 0, 0, rules},
    {"momentum", TRAIN, LAB_VALUE_REAL, false, 0, R(optimiser.momentum), 0, 0.9999, NULL},
    {"decay", TRAIN, LAB_VALUE_REAL, false, 0, R(optimiser.decay), 0, 1, NULL},
    {"precision", TRAIN, LAB_VALUE_WORD, false, 0, R(precision), 0, 0, precisions},
    {"schedule", TRAIN, LAB_VALUE_WORD, false, 0, R(schedule), 0, 0, schedules},
    {"rate", TRAIN, LAB_VALUE_REAL, true, 0, R(rate), 1e-9, 100, NULL},
    {"final", TRAIN, LAB_VALUE_REAL, false, 0, R(final), 1e-9, 100, NULL},
    {"warmup", TRAIN, LAB_VALUE_COUNT, false, 0, R(warmup), 0, LAB_EPOCHS_MAX, NULL},
    {"epochs", TRAIN, LAB_VALUE_COUNT, true, 0, R(epochs), 1, LAB_EPOCHS_MAX, NULL},
    {"batch", TRAIN, LAB_VALUE_COUNT, false, 0, R(batch), 1, TRAIN_BATCH_MAX, NULL},
    {"balance", TRAIN, LAB_VALUE_FLAG, false, 0, R(balance), 0, 0, NULL},
    {"shift", AUGMENT, LAB_VALUE_COUNT, false, 0, R(shift), 0, LAB_SHIFT_MAX, NULL},
    {"mirror", AUGMENT, LAB_VALUE_FLAG, false, 0, R(mirror), 0, 0, NULL},
    {"exposure", AUGMENT, LAB_VALUE_REAL, false, 0, R(stops), 0, LAB_STOPS_MAX, NULL},
    {"memory", SEARCH, LAB_VALUE_COUNT, false, 0, R(search.memory), 1, 1e9, NULL},
    {"bytes", SEARCH, LAB_VALUE_COUNT, false, 0, R(search.bytes), 1, 1e9, NULL},
    {"macs", SEARCH, LAB_VALUE_COUNT, false, 0, R(search.macs), 1, 4e9, NULL},
    {"error", SEARCH, LAB_VALUE_REAL, false, 0, R(search.error), 1e-6, 1, NULL},
    {"candidates", SEARCH, LAB_VALUE_COUNT, false, 0, R(search.candidates), 1, 100000, NULL},
    {"population", SEARCH, LAB_VALUE_COUNT, false, 0, R(search.population), 2, 1000, NULL},
    {"sample", SEARCH, LAB_VALUE_COUNT, false, 0, R(search.sample), 1, 1000, NULL},
};

#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

struct parser {
    const char *path, *text, *end; /* text: not yet read */
    uint32_t line;
    bool failed;
    int section;                          /* enum section, or -1 */
    uint32_t section_line[SECTION_COUNT]; /* 0: not seen */
    uint32_t key_line[KEY_COUNT];         /* of [layer], in the present one */
    uint8_t given[TRAIN_LAYERS_MAX];      /* GIVEN_ of what a layer says itself */
    struct lab_recipe recipe;
};

__attribute__((format(printf, 3, 4))) static int fail(struct parser *parser, uint32_t line,
                                                      const char *format, ...)
{
    char text[256];
    va_list arguments;
    if (!parser->failed) { /* the first one is the cause */
        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        lab_error("%s:%u: %s", parser->path, line, text);
    }
    parser->failed = true;
    return -EINVAL;
}

/* ---- sections ---- */

static struct train_layer *present_layer(struct parser *parser)
{
    return &parser->recipe.layers[parser->recipe.layer_count - 1];
}

static int check_required(struct parser *parser, int section)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (keys[i].section == section && keys[i].required && parser->key_line[i] == 0) {
            uint32_t line = parser->section_line[section];
            return fail(parser, line > 0 ? line : parser->line, "[%s] needs '%s'", titles[section],
                        keys[i].name);
        }
    }
    return 0;
}

/* Whether the present layer says the key itself. */
static bool is_given(const struct parser *parser, const char *name)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (keys[i].section == LAYER && strcmp(keys[i].name, name) == 0) {
            return parser->key_line[i] != 0;
        }
    }
    return false;
}

/* Keys that the operation does not take, and those that it cannot do without. */
static int check_layer(struct parser *parser)
{
    const struct train_layer *layer = present_layer(parser);
    const char *op = operations[layer->operation];
    uint32_t line = parser->section_line[LAYER];
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (keys[i].section == LAYER && parser->key_line[i] != 0 &&
            !(keys[i].operations & (1u << layer->operation))) {
            return fail(parser, parser->key_line[i], "%s takes no '%s'", op, keys[i].name);
        }
    }
    if (layer->out == 0 && ((CONV | DENSE) & (1u << layer->operation))) {
        return fail(parser, line, "%s needs 'out'", op);
    }
    if (layer->kernel[0] == 0 && ((CONV | DEPTH | POOL) & (1u << layer->operation))) {
        return fail(parser, line, "%s needs 'kernel'", op);
    }
    if (layer->operation == TRAIN_ADD && !is_given(parser, "with")) {
        return fail(parser, line, "%s needs 'with'", op);
    }
    return 0;
}

static int leave_layer(struct parser *parser)
{
    if (check_required(parser, LAYER) < 0 || check_layer(parser) < 0) {
        return -EINVAL;
    }
    struct train_layer *layer = present_layer(parser);
    if (layer->stride[0] == 0 && layer->kernel[0] > 0) {
        bool pool = layer->operation == TRAIN_AVERAGE_POOL;
        layer->stride[0] = pool ? layer->kernel[0] : 1;
        layer->stride[1] = pool ? layer->kernel[1] : 1;
    }
    parser->given[parser->recipe.layer_count - 1] =
        (uint8_t)((is_given(parser, "activation") ? GIVEN_ACTIVATION : 0) |
                  (is_given(parser, "weights") ? GIVEN_WEIGHTS : 0) |
                  (is_given(parser, "output") ? GIVEN_OUTPUT : 0));
    layer->pool_stride[0] = layer->pool[0];
    layer->pool_stride[1] = layer->pool[1];
    return 0;
}

static int enter_layer(struct parser *parser, const char *name)
{
    struct lab_recipe *recipe = &parser->recipe;
    size_t length = strlen(name);
    if (length == 0 || length > NETWORK_LAYER_NAME_MAX ||
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != length) {
        return fail(parser, parser->line, "a layer's name has 1 to %u of a-z 0-9 _",
                    NETWORK_LAYER_NAME_MAX);
    }
    for (uint32_t i = 0; i < recipe->layer_count; i++) {
        if (strcmp(recipe->names[i], name) == 0) {
            return fail(parser, parser->line, "there is a layer '%s' already", name);
        }
    }
    if (recipe->layer_count == TRAIN_LAYERS_MAX) {
        return fail(parser, parser->line, "more than %u layers", TRAIN_LAYERS_MAX);
    }
    memcpy(recipe->names[recipe->layer_count++], name, length + 1);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        parser->key_line[i] = keys[i].section == LAYER ? 0 : parser->key_line[i];
    }
    return 0;
}

static int enter_section(struct parser *parser, char *title)
{
    char *name = strchr(title, ' ');
    int section = 0;
    if (name) {
        *name++ = '\0';
    }
    while (section < SECTION_COUNT && strcmp(titles[section], title) != 0) {
        section++;
    }
    if (section == SECTION_COUNT || (name != NULL) != (section == LAYER)) {
        return fail(parser, parser->line,
                    "sections are [model], [input], [layer NAME], [quantise], [train], [augment], "
                    "[search]");
    }
    if (section != LAYER && parser->section_line[section] != 0) {
        return fail(parser, parser->line, "[%s] appears twice, first in line %u", title,
                    parser->section_line[section]);
    }
    if (parser->section == LAYER && leave_layer(parser) < 0) {
        return -EINVAL;
    }
    parser->section = section;
    parser->section_line[section] = parser->line;
    return section == LAYER ? enter_layer(parser, name) : 0;
}

/* ---- lines ---- */

/* What libinih would join, cut or drop without a word is refused here. */
static int check_line(struct parser *parser, char *line)
{
    size_t length = strlen(line);
    while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t')) {
        line[--length] = '\0';
    }
    if (length == 0 || line[0] == '#' || line[0] == ';') {
        return 0;
    }
    if (line[0] == ' ' || line[0] == '\t') {
        return fail(parser, parser->line, "keys and sections start at the margin");
    }
    if (strpbrk(line, "#;")) {
        return fail(parser, parser->line, "a comment needs a line of its own");
    }
    if (line[0] != '[') {
        return line[strcspn(line, "=:")] == '='
                   ? 0
                   : fail(parser, parser->line, "neither [section], key = value nor # comment");
    }
    if (line[length - 1] != ']' || length > TITLE_BYTES) {
        return fail(parser, parser->line, "a section is [section] and at most %u bytes",
                    TITLE_BYTES);
    }
    char title[TITLE_BYTES + 1];
    memcpy(title, line + 1, length - 2);
    title[length - 2] = '\0';
    return enter_section(parser, title);
}

/* libinih's reader. */
static char *read_line(char *line, int room, void *stream)
{
    struct parser *parser = stream;
    if (parser->failed || parser->text == parser->end) {
        return NULL;
    }
    size_t left = (size_t)(parser->end - parser->text);
    const char *newline = memchr(parser->text, '\n', left);
    size_t length = newline ? (size_t)(newline - parser->text) : left;
    const char *start = parser->text;
    parser->text += newline ? length + 1 : length;
    parser->line++;
    if (length >= (size_t)room) {
        fail(parser, parser->line, "the line is longer than %d bytes", room - 1);
        return NULL;
    }
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)start[i];
        if ((byte < 0x20 && byte != '\t') || byte == 0x7f) {
            fail(parser, parser->line, "the line holds the control character 0x%02x", byte);
            return NULL;
        }
    }
    memcpy(line, start, length);
    line[length] = '\0';
    return check_line(parser, line) == 0 ? line : NULL;
}

/* A layer that reads another one: how many before the one before it. */
static int set_layer(struct parser *parser, const char *key, const char *name, uint8_t *field)
{
    const struct lab_recipe *recipe = &parser->recipe;
    for (uint32_t i = 0; i + 1 < recipe->layer_count; i++) {
        if (strcmp(recipe->names[i], name) == 0) {
            *field = (uint8_t)(recipe->layer_count - 2 - i);
            return 0;
        }
    }
    return fail(parser, parser->line, "%s: no layer '%s' before this one", key, name);
}

/* libinih's handler; it cuts the section's name, so read_line keeps track instead. */
static int handle_pair(void *user, const char *section, const char *name, const char *value)
{
    struct parser *parser = user;
    size_t i = 0;
    (void)section;
    if (parser->section < 0) {
        fail(parser, parser->line, "'%s' stands before any section", name);
        return 0;
    }
    while (i < KEY_COUNT &&
           (keys[i].section != parser->section || strcmp(keys[i].name, name) != 0)) {
        i++;
    }
    if (i == KEY_COUNT) {
        fail(parser, parser->line, "[%s] takes no '%s'", titles[parser->section], name);
        return 0;
    }
    if (parser->key_line[i] != 0) {
        fail(parser, parser->line, "'%s' appears twice, first in line %u", name,
             parser->key_line[i]);
        return 0;
    }
    parser->key_line[i] = parser->line;
    char *base = parser->section == LAYER ? (char *)present_layer(parser) : (char *)&parser->recipe;
    if (keys[i].value == LAB_VALUE_LAYER) {
        return set_layer(parser, name, value, (uint8_t *)base + keys[i].offset) == 0;
    }
    if (value[0] == '\0' || !lab_recipe_value_set(&keys[i], value, base + keys[i].offset)) {
        char expected[160];
        lab_recipe_value_describe(&keys[i], expected, sizeof(expected));
        fail(parser, parser->line, "%s: expected %s, got '%s'", name, expected, value);
        return 0;
    }
    return 1;
}

/* ---- the whole ---- */

static int complete_input(struct parser *parser)
{
    struct network_input *input = &parser->recipe.input;
    uint32_t line = parser->section_line[INPUT];
    bool srgb = input->front.source == GRADIENT_SOURCE_SRGB;
    bool thermometer = input->front.coding == GRADIENT_CODING_THERMOMETER;
    input->target.channels = input->front.planes;
    if (srgb && input->front.coding != GRADIENT_CODING_F32 && !thermometer) {
        return fail(parser, line, "srgb is trained with coding = f32 or thermometer");
    }
    if ((input->front.levels != 0 || input->front.even) != thermometer) {
        return fail(parser, line, "'levels' belongs to coding = thermometer");
    }
    if (!srgb && input->front.floor == 0) {
        return fail(parser, line, "log-gradient needs 'floor'");
    }
    if (gradient_spec_check(&input->front) < 0) {
        return fail(parser, line, "source, coding, merge and ratio do not fit together");
    }
    return 0;
}

/* What a layer's output is where it does not say so itself. */
static struct train_coding usual_output(const struct lab_recipe *recipe, uint32_t index, bool given)
{
    const struct train_layer *layer = &recipe->layers[index];
    const struct train_coding f32 = {.kind = TRAIN_F32};
    if (index + 1 == recipe->layer_count || (given && layer->activation == TRAIN_LINEAR)) {
        return f32;
    }
    if ((WEIGHTED | ADD) & (1u << layer->operation)) {
        return recipe->activations;
    }
    uint32_t back = 1u + layer->input; /* an average keeps the scale of u7 */
    return index >= back && recipe->layers[index - back].output.kind == TRAIN_U7
               ? recipe->layers[index - back].output
               : f32;
}

/* Activations and codings follow from a layer's place where it does not say them itself. */
static void complete_layer(struct lab_recipe *recipe, uint32_t index, uint8_t given)
{
    struct train_layer *layer = &recipe->layers[index];
    bool weighted = (WEIGHTED & (1u << layer->operation)) != 0;
    bool bends = ((WEIGHTED | ADD) & (1u << layer->operation)) != 0;
    layer->bias = weighted && !train_normalises(layer);
    if (!(given & GIVEN_OUTPUT)) {
        layer->output = usual_output(recipe, index, (given & GIVEN_ACTIVATION) != 0);
    }
    if (!(given & GIVEN_ACTIVATION)) {
        bool signs = layer->output.kind == TRAIN_TERNARY || layer->output.kind == TRAIN_BINARY;
        bool last = index + 1 == recipe->layer_count;
        layer->activation = !bends || last ? TRAIN_LINEAR : signs ? TRAIN_HARD_TANH : TRAIN_RELU;
    }
    /* Coded weights are for inputs that are codes. */
    uint32_t back = 1u + layer->input;
    bool coded = index >= back ? recipe->layers[index - back].output.kind != TRAIN_F32
                               : recipe->input.front.coding != GRADIENT_CODING_F32;
    if (!(given & GIVEN_WEIGHTS) && weighted && coded) {
        layer->weights = recipe->weights;
    }
}

static int complete_layers(struct parser *parser)
{
    struct lab_recipe *recipe = &parser->recipe;
    for (uint32_t i = 0; i < recipe->layer_count; i++) {
        complete_layer(recipe, i, parser->given[i]);
    }
    const struct train_layer *last = &recipe->layers[recipe->layer_count - 1];
    if (last->operation != TRAIN_DENSE || last->activation != TRAIN_LINEAR ||
        last->output.kind != TRAIN_F32) {
        return fail(parser, parser->section_line[LAYER],
                    "the last layer is dense, without activation and output coding");
    }
    return 0;
}

static int complete(struct parser *parser)
{
    struct lab_recipe *recipe = &parser->recipe;
    if (parser->section == LAYER && leave_layer(parser) < 0) {
        return -EINVAL;
    }
    if (recipe->layer_count == 0) {
        return fail(parser, parser->line, "no [layer NAME]");
    }
    if (check_required(parser, MODEL) < 0 || check_required(parser, INPUT) < 0 ||
        check_required(parser, TRAIN) < 0 || complete_input(parser) < 0 ||
        complete_layers(parser) < 0) {
        return -EINVAL;
    }
    if (recipe->warmup >= recipe->epochs && recipe->warmup > 0) {
        return fail(parser, parser->section_line[TRAIN], "warmup takes all epochs");
    }
    if (recipe->final == 0.0f) {
        recipe->final = recipe->rate / 100;
    }
    return 0;
}

int lab_recipe_parse(const char *path, const char *text, size_t size, struct lab_recipe *ret_recipe)
{
    struct parser *parser = calloc(1, sizeof(*parser)); /* too large for the stack */
    if (!parser) {
        lab_error("out of memory");
        return -EINVAL;
    }
    parser->path = path;
    parser->text = text;
    parser->end = text + size;
    parser->section = -1;
    parser->recipe.weights.kind = TRAIN_S8;
    parser->recipe.activations.kind = TRAIN_U7;
    parser->recipe.optimiser = (struct train_optimiser){TRAIN_ADAM, 0.9f, 0.999f, 1e-8f, 0.0f};
    parser->recipe.schedule = TRAIN_COSINE;
    parser->recipe.batch = 64;
    parser->recipe.search = (struct lab_recipe_search){.memory = 10000,
                                                       .bytes = 20000,
                                                       .macs = 1000000,
                                                       .error = 0.02f,
                                                       .candidates = 60,
                                                       .population = 20,
                                                       .sample = 5};
    int bad_line = ini_parse_stream(read_line, parser, handle_pair, parser);
    int r = parser->failed ? -EINVAL
            : bad_line != 0
                ? fail(parser, parser->line, "neither [section], key = value nor # comment")
                : complete(parser);
    if (r == 0) {
        *ret_recipe = parser->recipe;
    }
    free(parser);
    return r;
}
