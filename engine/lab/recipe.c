/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * From the text of a recipe to its struct: one table of keys. libinih splits keys from values;
 * every line is checked before libinih sees it. Shapes are left to the trainer.
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

#define TITLE_BYTES 64u

enum section { MODEL = 0, INPUT, LAYER, QUANTISE, TRAIN, AUGMENT, SECTION_COUNT };

static const char *const titles[SECTION_COUNT] = {"model",    "input", "layer",
                                                  "quantise", "train", "augment"};

enum value { NAME, WORD, COUNT, PAIR, REAL, FLAG, RATIOS };

#define CONV  (1u << TRAIN_CONV)
#define DENSE (1u << TRAIN_DENSE)
#define POOL  (1u << TRAIN_AVERAGE_POOL)
#define ALL   0xffu

struct key {
    const char *name;
    uint8_t section; /* enum section */
    uint8_t value;   /* enum value */
    bool required;
    uint8_t operations;       /* of [layer]: those that take it */
    size_t offset, size;      /* in the recipe, of [layer] in the layer */
    double min, max;          /* of COUNT, PAIR and REAL */
    const char *const *words; /* of WORD; "" stands for a number without word */
};

/* In the order of their enumerations. */
static const char *const operations[] = {"conv", "", "dense", "avgpool", "globalavgpool", NULL};
static const char *const sources[] = {"log-gradient", "srgb", NULL};
static const char *const planes[] = {"", "grey", "", "rgb", NULL};
static const char *const fits[] = {"cover", "contain", "stretch", NULL};
static const char *const codings[] = {"ternary", "seven", "", "f32", NULL};
static const char *const merges[] = {"all", "strongest", NULL};
static const char *const weights[] = {"f32", "s8", NULL};
static const char *const activations[] = {"f32", "", "u7", NULL};
static const char *const losses[] = {"softmax", "squared-hinge", NULL};
static const char *const rules[] = {"sgd", "adam", NULL};
static const char *const schedules[] = {"constant", "cosine", "exponential", NULL};

#define AT(type, field) offsetof(type, field), sizeof(((type *)0)->field)
#define R(field)        AT(struct lab_recipe, field)
#define L(field)        AT(struct train_layer, field)

static const struct key keys[] = {
    {"name", MODEL, NAME, true, 0, R(name), 0, 0, NULL},
    {"source", INPUT, WORD, true, 0, R(input.front.source), 0, 0, sources},
    {"width", INPUT, COUNT, true, 0, R(input.target.width), 1, 4096, NULL},
    {"height", INPUT, COUNT, true, 0, R(input.target.height), 1, 4096, NULL},
    {"planes", INPUT, WORD, true, 0, R(input.front.planes), 0, 0, planes},
    {"fit", INPUT, WORD, false, 0, R(input.target.fit), 0, 0, fits},
    {"coding", INPUT, WORD, true, 0, R(input.front.coding), 0, 0, codings},
    {"merge", INPUT, WORD, false, 0, R(input.front.merge), 0, 0, merges},
    {"ratio", INPUT, RATIOS, false, 0, R(input.front.ratio), 0, 0, NULL},
    {"floor", INPUT, COUNT, false, 0, R(input.front.floor), 1, 65535, NULL},
    {"op", LAYER, WORD, true, ALL, L(operation), 0, 0, operations},
    {"out", LAYER, COUNT, false, CONV | DENSE, L(out), 1, TRAIN_CHANNELS_MAX, NULL},
    {"kernel", LAYER, PAIR, false, CONV | POOL, L(kernel), 1, TRAIN_KERNEL_MAX, NULL},
    {"stride", LAYER, PAIR, false, CONV | POOL, L(stride), 1, TRAIN_KERNEL_MAX, NULL},
    {"pad", LAYER, PAIR, false, CONV, L(pad), 0, TRAIN_KERNEL_MAX, NULL},
    {"pool", LAYER, PAIR, false, CONV, L(pool), 1, TRAIN_KERNEL_MAX, NULL},
    {"norm", LAYER, FLAG, false, CONV | DENSE, L(norm), 0, 0, NULL},
    {"weights", QUANTISE, WORD, false, 0, R(weights), 0, 0, weights},
    {"activations", QUANTISE, WORD, false, 0, R(activations), 0, 0, activations},
    {"gradient-bits", QUANTISE, COUNT, false, 0, R(gradient_bits), 0, 5, NULL},
    {"loss", TRAIN, WORD, false, 0, R(loss), 0, 0, losses},
    {"optimiser", TRAIN, WORD, false, 0, R(optimiser.rule), 0, 0, rules},
    {"momentum", TRAIN, REAL, false, 0, R(optimiser.momentum), 0, 0.9999, NULL},
    {"decay", TRAIN, REAL, false, 0, R(optimiser.decay), 0, 1, NULL},
    {"schedule", TRAIN, WORD, false, 0, R(schedule), 0, 0, schedules},
    {"rate", TRAIN, REAL, true, 0, R(rate), 1e-9, 100, NULL},
    {"final", TRAIN, REAL, false, 0, R(final), 1e-9, 100, NULL},
    {"warmup", TRAIN, COUNT, false, 0, R(warmup), 0, LAB_EPOCHS_MAX, NULL},
    {"epochs", TRAIN, COUNT, true, 0, R(epochs), 1, LAB_EPOCHS_MAX, NULL},
    {"batch", TRAIN, COUNT, false, 0, R(batch), 1, TRAIN_BATCH_MAX, NULL},
    {"shift", AUGMENT, COUNT, false, 0, R(shift), 0, LAB_SHIFT_MAX, NULL},
    {"mirror", AUGMENT, FLAG, false, 0, R(mirror), 0, 0, NULL},
};

#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

struct parser {
    const char *path, *text, *end; /* text: not yet read */
    uint32_t line;
    bool failed;
    int section;                          /* enum section, or -1 */
    uint32_t section_line[SECTION_COUNT]; /* 0: not seen */
    uint32_t key_line[KEY_COUNT];         /* of [layer], in the present one */
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

/* ---- values ---- */

static bool read_count(const char **text, double min, double max, uint32_t *ret_count)
{
    if (**text < '0' || **text > '9') {
        return false;
    }
    char *end;
    errno = 0;
    unsigned long count = strtoul(*text, &end, 10);
    *text = end;
    *ret_count = (uint32_t)count;
    return errno == 0 && (double)count >= min && (double)count <= max;
}

static bool set_name(const char *text, char *name)
{
    size_t length = strlen(text);
    size_t good = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    if (length > NETWORK_NAME_MAX || good != length) {
        return false;
    }
    memcpy(name, text, length + 1);
    return true;
}

static bool set_word(const struct key *key, const char *text, uint8_t *field)
{
    for (uint8_t i = 0; key->words[i]; i++) {
        if (strcmp(key->words[i], text) == 0) {
            *field = i;
            return true;
        }
    }
    return false;
}

static bool set_count(const struct key *key, const char *text, void *field)
{
    uint32_t count;
    if (!read_count(&text, key->min, key->max, &count) || *text != '\0') {
        return false;
    }
    uint16_t half = (uint16_t)count;
    uint8_t byte = (uint8_t)count;
    memcpy(field, key->size == 1 ? &byte : key->size == 2 ? (void *)&half : &count, key->size);
    return true;
}

static bool set_pair(const struct key *key, const char *text, uint16_t *pair)
{
    uint32_t first, second;
    if (!read_count(&text, key->min, key->max, &first)) {
        return false;
    }
    second = first;
    if (*text == 'x') {
        text++;
        if (!read_count(&text, key->min, key->max, &second)) {
            return false;
        }
    }
    pair[0] = (uint16_t)first;
    pair[1] = (uint16_t)second;
    return *text == '\0';
}

static bool set_real(const struct key *key, const char *text, float *field)
{
    char *end;
    if (text[strspn(text, "0123456789.eE+-")] != '\0') { /* no blanks, no hexadecimals, no words */
        return false;
    }
    double value = strtod(text, &end);
    *field = (float)value;
    return *end == '\0' && value >= key->min && value <= key->max;
}

static bool set_flag(const char *text, bool *field)
{
    *field = strcmp(text, "yes") == 0;
    return *field || strcmp(text, "no") == 0;
}

/* "9/8" or "9/8 5/4 2/1" */
static bool set_ratios(const char *text, struct gradient_ratio *ratio)
{
    for (size_t i = 0; i < 3; i++) {
        uint32_t p, q;
        if (!read_count(&text, 1, 4096, &p) || *text++ != '/' || !read_count(&text, 1, 4096, &q)) {
            return false;
        }
        ratio[i] = (struct gradient_ratio){(uint16_t)p, (uint16_t)q};
        text += strspn(text, " ");
        if (*text == '\0') {
            return i != 1;
        }
    }
    return false;
}

static bool set_value(const struct key *key, const char *text, void *field)
{
    switch ((enum value)key->value) {
    case NAME:
        return set_name(text, field);
    case WORD:
        return set_word(key, text, field);
    case COUNT:
        return set_count(key, text, field);
    case PAIR:
        return set_pair(key, text, field);
    case REAL:
        return set_real(key, text, field);
    case FLAG:
        return set_flag(text, field);
    case RATIOS:
        return set_ratios(text, field);
    }
    return false;
}

/* What a value should have been. */
static void describe(const struct key *key, char *text, size_t room)
{
    size_t at = 0;
    switch ((enum value)key->value) {
    case NAME:
        snprintf(text, room, "at most %u of A-Z a-z 0-9 . _ -", NETWORK_NAME_MAX);
        break;
    case WORD:
        text[0] = '\0';
        for (size_t i = 0; key->words[i] && at < room; i++) {
            if (key->words[i][0] != '\0') {
                at += (size_t)snprintf(text + at, room - at, "%s%s", at > 0 ? ", " : "",
                                       key->words[i]);
            }
        }
        break;
    case COUNT:
        snprintf(text, room, "a whole number from %.0f to %.0f", key->min, key->max);
        break;
    case PAIR:
        snprintf(text, room, "N or RxC, each from %.0f to %.0f", key->min, key->max);
        break;
    case REAL:
        snprintf(text, room, "a number from %g to %g", key->min, key->max);
        break;
    case FLAG:
        snprintf(text, room, "yes or no");
        break;
    case RATIOS:
        snprintf(text, room, "P/Q, or three of them, each number from 1 to 4096");
        break;
    }
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
    if (layer->kernel[0] == 0 && ((CONV | POOL) & (1u << layer->operation))) {
        return fail(parser, line, "%s needs 'kernel'", op);
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
                    "sections are [model], [input], [layer NAME], [quantise], [train], [augment]");
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
    if (value[0] == '\0' || !set_value(&keys[i], value, base + keys[i].offset)) {
        char expected[160];
        describe(&keys[i], expected, sizeof(expected));
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
    input->target.channels = input->front.planes;
    if (srgb && input->front.coding != GRADIENT_CODING_F32) {
        return fail(parser, line, "srgb is trained with coding = f32");
    }
    if (!srgb && input->front.floor == 0) {
        return fail(parser, line, "log-gradient needs 'floor'");
    }
    if (gradient_spec_check(&input->front) < 0) {
        return fail(parser, line, "source, coding, merge and ratio do not fit together");
    }
    return 0;
}

/* Activations and codings, which follow from a layer's place. */
static int complete_layers(struct parser *parser)
{
    struct lab_recipe *recipe = &parser->recipe;
    for (uint32_t i = 0; i < recipe->layer_count; i++) {
        struct train_layer *layer = &recipe->layers[i];
        bool weighted = layer->operation == TRAIN_CONV || layer->operation == TRAIN_DENSE;
        bool last = i + 1 == recipe->layer_count;
        layer->bias = weighted && !layer->norm;
        layer->activation = weighted && !last ? TRAIN_RELU : TRAIN_LINEAR;
        layer->output.kind = last ? TRAIN_F32 : recipe->activations;
        /* Codes of s8 weights are for inputs that are codes. */
        bool coded = i > 0 ? recipe->activations != TRAIN_F32
                           : recipe->input.front.coding != GRADIENT_CODING_F32;
        layer->weights.kind = weighted && coded ? recipe->weights : TRAIN_F32;
        if (last && (layer->operation != TRAIN_DENSE || layer->norm)) {
            return fail(parser, parser->section_line[LAYER],
                        "the last layer is dense, without norm");
        }
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
    if (recipe->gradient_bits == 1) {
        return fail(parser, parser->section_line[QUANTISE], "gradient-bits is 0 or 2 to 5");
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
    parser->recipe.weights = TRAIN_S8;
    parser->recipe.activations = TRAIN_U7;
    parser->recipe.optimiser = (struct train_optimiser){TRAIN_ADAM, 0.9f, 0.999f, 1e-8f, 0.0f};
    parser->recipe.schedule = TRAIN_COSINE;
    parser->recipe.batch = 64;
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
